//! A container without an engine: own network, processes and mounts by `unshare`, files by `chroot`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::build::Image;
use super::root;
use crate::command;

/// By their full names, since the path is the image's by then.
const CHROOT: &str = "/usr/sbin/chroot";
const NSENTER: &str = "/usr/bin/nsenter";
/// What `docker stop` waits for.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Makes the loopback device of a new network work.
const LOOPBACK: &str = r#"
python3 -c '
import fcntl, socket, struct
SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
fcntl.ioctl(socket.socket(), SET_FLAGS, struct.pack("16sH14x", b"lo", UP_AND_RUNNING))
'
"#;
/// Gives the folder that is the first argument /proc and /dev, and becomes what the others say with no other environment.
const BEGIN: &str = r#"
set -e
root=$1
shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec env --ignore-environment "$@"
"#;

/// Runs a command in the files of an image to its end, as `docker build` does for RUN.
pub fn run_in(image: &Image, words: &[&str]) -> anyhow::Result<()> {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BEGIN, "sh"])
        .arg(&image.root)
        .arg(format!("PATH={}", super::DEFAULT_PATH))
        .args(image.env.iter().map(|(name, value)| format!("{name}={value}")))
        .arg(CHROOT)
        .arg(&image.root)
        .args(words)
        .stdin(Stdio::null());
    let output = unshare.output().context("unshare")?;
    ensure!(output.status.success(), "{}", shown(&output));
    Ok(())
}

pub struct Container {
    image: Image,
    /// The program `unshare`; it ends with the container.
    shell: Child,
    /// The first process of the container, by the number that it has outside.
    pid: u32,
    log: PathBuf,
}

/// Whether such containers can be made here.
pub fn possible() -> bool {
    command::works("unshare", &["--net", "--mount", "--pid", "--fork", "chroot", "/", "true"])
        && command::works(NSENTER, &["--version"])
        && command::works("python3", &["--version"])
        && Path::new("/usr/share/base-passwd").exists()
}

impl Container {
    /// Starts the image's own command. `user` is what `docker run --user` says.
    pub fn start(image: &Image, user: Option<&str>, env: &[(&str, &str)], log: &Path) -> anyhow::Result<Self> {
        let user = user.or(image.user.as_deref()).unwrap_or("0:0");
        // Engines give it to every container.
        fs::write(root::outside(&image.root, "/etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        let output = File::create(log)?;
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"])
            .arg(format!("{LOOPBACK}{BEGIN}"))
            .arg("sh")
            .arg(&image.root)
            .args(image.env.iter().map(|(name, value)| format!("{name}={value}")))
            .args(env.iter().map(|(name, value)| format!("{name}={value}")))
            .args([CHROOT, &format!("--userspec={user}")])
            .arg(&image.root)
            .args(image.entrypoint.iter().chain(&image.command))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let shell = unshare.spawn().context("unshare")?;
        let mut container = Self { image: image.clone(), shell, pid: 0, log: log.to_owned() };
        container.pid = container.first_process()?;
        Ok(container)
    }

    /// The only child of `unshare`.
    fn first_process(&mut self) -> anyhow::Result<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.shell.id());
        let start = Instant::now();
        while start.elapsed() < BEGIN_LIMIT {
            let listed = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = listed.split_whitespace().next() {
                return Ok(pid.parse()?);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("the container has no process: {}", self.output())
    }

    /// What the container wrote.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs a command inside, as `docker exec --user` does.
    pub fn exec(&self, user: &str, words: &[String]) -> anyhow::Result<Output> {
        let (user_id, group_id) = user.split_once(':').unwrap_or((user, "0"));
        let mut nsenter = Command::new(NSENTER);
        nsenter
            .args(["--net", "--mount", "--pid", "--root", "--wd", "--target", &self.pid.to_string()])
            .args(["--setuid", user_id, "--setgid", group_id, "--"])
            .args(words)
            .env_clear()
            .envs(self.image.env.iter().cloned())
            .stdin(Stdio::null());
        nsenter.output().context("nsenter")
    }

    /// Waits until the image's health command is content, and says how long that took.
    pub fn await_health(&mut self, limit: Duration) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let user = self.image.user.clone().unwrap_or_else(|| "0:0".to_owned());
        loop {
            if let Some(status) = self.shell.try_wait()? {
                bail!("the container ended with {status}:\n{}", self.output());
            }
            // Until the first process is inside, there is nothing to run a command in.
            let inside = fs::read_link(format!("/proc/{}/root", self.pid)).is_ok_and(|root| root == self.image.root);
            let health = if inside { Some(self.exec(&user, &self.image.health.command)?) } else { None };
            match health {
                Some(output) if output.status.success() => return Ok(start.elapsed()),
                Some(output) if start.elapsed() > limit => {
                    bail!("not healthy after {limit:?}: {}\n{}", shown(&output), self.output());
                }
                None if start.elapsed() > limit => bail!("nothing runs after {limit:?}:\n{}", self.output()),
                _ => std::thread::sleep(POLL_INTERVAL),
            }
        }
    }

    /// The user that the first process runs as.
    pub fn user_id(&self) -> anyhow::Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("a process without a user")?;
        Ok(line.split_whitespace().next().context("an empty Uid line")?.parse()?)
    }

    /// The ports on which something inside listens for TCP.
    pub fn listening_ports(&self) -> anyhow::Result<Vec<u16>> {
        let mut ports = Vec::new();
        for file in ["tcp", "tcp6"] {
            let table = fs::read_to_string(format!("/proc/{}/net/{file}", self.pid))?;
            ports.extend(table.lines().skip(1).filter_map(listening_port));
        }
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }

    /// A path of the container, for us.
    pub fn path(&self, path: &str) -> PathBuf {
        root::outside(&self.image.root, path)
    }

    /// As `docker stop`: the image's signal, then patience. The container must end with success.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        command::signal(&self.image.stop_signal, self.pid);
        let status = command::wait(&mut self.shell, STOP_LIMIT)?.context("docker stop would have to kill it")?;
        ensure!(status.success(), "it ended with {status}:\n{}", self.output());
        Ok(start.elapsed())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if matches!(self.shell.try_wait(), Ok(None)) {
            // Its children go with it: that is what --kill-child means.
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}

/// Both outputs of a command in one line.
pub fn shown(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    format!("{}: {}", output.status, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The port of a row of /proc/net/tcp whose socket listens (state 0A).
fn listening_port(row: &str) -> Option<u16> {
    let mut fields = row.split_whitespace();
    let (_, address) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    (state == "0A").then(|| u16::from_str_radix(address, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let listening = "0: 00000000:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        let connected = "1: 0100007F:1628 0100007F:A00A 01 00000000:00000000 00:00000000 00000000 0 0 1 1";
        assert_eq!(listening_port(listening), Some(5672));
        assert_eq!(listening_port(connected), None);
    }
}
