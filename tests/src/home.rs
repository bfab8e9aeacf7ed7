//! A data directory that outlives the brokers that run on it, one after another.
//!
//! With `LEVERET_PEER=rabbitmq` each of these brokers is a RabbitMQ node of its own, so that what a test expects of a
//! restart is proved like everything else.

mod rabbitmq;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result};

use crate::broker::{Broker, forget_environment, is_external, peer, program, skip_without_process};
use crate::raw::channel::Channel;
use crate::raw::methods::{self, Flag, Props};
use crate::raw::names::unique;
use crate::raw::wire::none;

/// The queue of [`seal`].
const SEAL_QUEUE: &str = "leveret-seal";

/// A directory for the data of a broker; it goes with this value, or with the last of its brokers.
#[derive(Debug)]
pub struct Home {
    directory: Arc<Directory>,
    /// RabbitMQ nodes take seconds of CPU to start: one test at a time may have them.
    _turn: Option<MutexGuard<'static, ()>>,
}

/// A directory that is removed when nobody has it any more.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

/// True, with the reason on stdout, when a test that restarts brokers cannot run now: a running broker that somebody else
/// has started is not ours to kill, but RabbitMQ nodes of our own can be had.
pub fn skip_without_home(test: &str) -> bool {
    !(is_external() && peer()) && skip_without_process(test)
}

impl Home {
    /// An empty one below the directory for temporary files.
    pub fn new() -> Home {
        Home::at(&std::env::temp_dir().join(unique("home")))
    }

    /// An empty one in a place of the caller's choice, such as a small file system.
    pub fn at(path: &Path) -> Home {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = peer().then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        fs::create_dir_all(path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        Home { directory: Arc::new(Directory(path.to_owned())), _turn: turn }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.directory.0
    }

    /// Starts a broker on the directory.
    pub fn start(&self) -> Broker {
        self.start_with(&[])
    }

    /// Starts a broker on the directory with more command line arguments.
    pub fn start_with(&self, args: &[&str]) -> Broker {
        self.try_start_with(args).unwrap_or_else(|error| panic!("no broker on {}: {error:#}", self.path().display()))
    }

    /// Starts a broker on the directory and tells why when it does not come up.
    pub fn try_start_with(&self, args: &[&str]) -> Result<Broker> {
        let broker = if peer() { rabbitmq::start(self.path()) } else { Broker::spawn(self.command(args)?) };
        Ok(broker?.on(&self.directory))
    }

    /// Starts a broker of ours on the directory and kills it so long after, whatever it is doing then.
    pub fn start_and_kill(&self, args: &[&str], after: Duration) -> Result<()> {
        let mut child = self.command(args)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        thread::sleep(after);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts a broker of ours that can write no file longer than this: what goes beyond fails as on a broken disk. The signal
    /// that would end the process instead is ignored.
    pub fn start_with_file_limit(&self, file_bytes_max: u64) -> Result<Broker> {
        let broker = self.command(&[])?;
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", "prlimit", &format!("--fsize={file_bytes_max}")]);
        command.arg(broker.get_program()).args(broker.get_args());
        forget_environment(&mut command);
        Ok(Broker::spawn(command)?.on(&self.directory))
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = program()?;
        command.args(["serve", "--bind", "127.0.0.1", "--port", "0", "--data-dir"]).arg(self.path()).args(args);
        Ok(command)
    }

    /// Every file below the directory with its length in bytes, by its path from there.
    pub fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                // What a running broker removes between the listing and the look is no file of its own any more.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else {
                    files.push((entry.path().strip_prefix(self.path())?.to_owned(), metadata.len()));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The files below one folder of the directory, in the order of their names.
    pub fn files_in(&self, folder: &str) -> Vec<PathBuf> {
        let files = self.files().expect("the data directory can be listed");
        files.into_iter().map(|(path, _)| path).filter(|path| path.starts_with(folder)).collect()
    }
}

impl Default for Home {
    fn default() -> Home {
        Home::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if peer() {
            rabbitmq::clean_up(&self.0);
        }
        // What a failed test leaves behind is worth a look.
        if thread::panicking() {
            eprintln!("the data directory of the failed test: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Waits until what this channel said before is on disk, acknowledgements included: they have no reply, but a message that
/// is published after them is not confirmed before they are kept. The channel goes to confirm mode on the way.
pub fn seal(channel: &Channel) {
    channel.rpc(methods::confirm_select(&[]));
    channel.declare(SEAL_QUEUE, &[Flag::Durable], &none());
    channel.publish_with("", SEAL_QUEUE, &[], &Props::persistent(), "seal");
    let mut confirm = channel.reply(&[crate::raw::ids::BASIC_ACK]);
    assert!(confirm.args.longlong() > 0, "the confirm has a number");
    channel.rpc(methods::queue_purge(SEAL_QUEUE, &[]));
    if peer() {
        // It writes acknowledgements down when a queue falls idle, without telling anybody.
        thread::sleep(Duration::from_secs(1));
    }
}
