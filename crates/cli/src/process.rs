//! Processes of this machine.

use std::fs;
use std::path::Path;

/// Whether a process runs, if that can be told here. One that has ended and that nobody has asked about does not.
pub(crate) fn is_alive(pid: u64) -> Option<bool> {
    if !Path::new("/proc/self").exists() {
        return None;
    }
    Some(match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state comes after the name, which may hold anything, in brackets.
        Ok(stat) => !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_none_has_that_number() {
        assert_eq!(is_alive(u64::from(std::process::id())), Some(true));
        assert_eq!(is_alive(u64::from(u32::MAX)), Some(false));
    }
}
