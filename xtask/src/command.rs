//! Running other programs: shown before they start, and never for ever.

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// No step of ours needs nearly as long, on a slow machine either; what takes longer hangs.
const RUN_LIMIT: Duration = Duration::from_secs(90 * 60);
/// How often something is tried that the network may spoil, and the pause before the second time; each is twice as long.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs a command to its end and fails unless it succeeds.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    run_within(command, RUN_LIMIT)
}

/// The same for at most `limit`; a command that takes longer is ended with all it started.
pub fn run_within(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program(command)))?;
    let Some(status) = wait(&mut child, limit)? else {
        kill_tree(child.id());
        // The tree may have been out of reach (no `ps`); the child itself never is.
        let _ = child.kill();
        child.wait()?;
        bail!("{} ran for over {} s", program(command), limit.as_secs());
    };
    if !status.success() {
        bail!("{} ended with {status}", program(command));
    }
    Ok(())
}

/// Runs a command that fetches something, again if it fails: a server or a network that is away for a moment is no fault.
pub fn run_patiently(mut command: impl FnMut() -> Command) -> anyhow::Result<()> {
    retried(TRIES, PAUSE, || run(&mut command()))
}

fn retried<T>(tries: u32, pause: Duration, mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut pause = pause;
    for _ in 1..tries {
        match work() {
            Ok(value) => return Ok(value),
            Err(error) => println!("{error:#}: again in {} s", pause.as_secs()),
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    work()
}

/// Waits for a child's end, for at most `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Sends a signal by the `kill` program, which every Unix has; the standard library knows only SIGKILL.
pub fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
}

/// Whether a program can be started at all and is content with these arguments.
pub fn works(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// Ends a process and its descendants, children first so that none is left to a new parent.
pub fn kill_tree(root: u32) {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output() else {
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    for pid in descendants(&listing, root).iter().rev() {
        signal("KILL", *pid);
    }
}

/// `root` and all below it in a listing of `pid ppid` lines, parents before children.
fn descendants(listing: &str, root: u32) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = listing
        .lines()
        .filter_map(|line| {
            let (pid, parent) = line.trim().split_once(char::is_whitespace)?;
            Some((pid.parse().ok()?, parent.trim().parse().ok()?))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(pairs.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    found
}

/// The name without its folder: which cargo it is does not matter to a reader.
fn program(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

fn shown(command: &Command) -> String {
    let mut words = vec![program(command)];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_come_after_their_parents() {
        let listing = "  1 0\n 10 1\n 11 10\n 12 11\n 20 1\n 13 10\n";
        assert_eq!(descendants(listing, 10), [10, 11, 13, 12]);
        assert_eq!(descendants(listing, 99), [99]);
    }

    #[test]
    fn a_command_over_its_limit_is_ended_with_what_it_started() {
        let start = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 30 & wait"]);
        let error = run_within(&mut command, Duration::from_millis(100)).expect_err("over its limit");
        assert!(error.to_string().contains("ran for over"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_fails_is_tried_again_but_not_for_ever() {
        let (mut count, now) = (0, Duration::ZERO);
        let mut fails_until = |last: u32, tries: u32| {
            count = 0;
            let result = retried(tries, now, || {
                count += 1;
                if count < last { bail!("attempt {count}") } else { Ok(count) }
            });
            result.map_err(|error| error.to_string())
        };
        assert_eq!(fails_until(1, 3), Ok(1));
        assert_eq!(fails_until(3, 3), Ok(3));
        assert_eq!(fails_until(4, 3), Err("attempt 3".to_owned()));
    }

    #[test]
    fn a_failing_command_is_an_error() {
        assert!(run(&mut Command::new("true")).is_ok());
        assert!(run(&mut Command::new("false")).is_err());
        assert!(run(&mut Command::new("leveret-no-such-program")).is_err());
    }
}
