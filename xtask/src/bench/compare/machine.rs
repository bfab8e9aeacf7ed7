//! What Linux tells of the machine and of processes on it.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// `st` in `/proc/net/tcp`: the socket listens.
const LISTENING: &str = "0A";

/// Where figures are from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub memory_gib: u64,
    pub system: String,
}

impl Machine {
    pub fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kib = status_kib(&meminfo, "MemTotal:").unwrap_or(0);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // The first two numbers: what comes after them changes by the week.
        let version: Vec<&str> = release.trim().split('.').take(2).collect();
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned()),
            memory_gib: (memory_kib as f64 / f64::from(1 << 20)).round() as u64,
            system: format!("Linux {}", version.join(".")),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores ({}), {} GiB of memory, {}", self.cores, self.cpu, self.memory_gib, self.system)
    }
}

/// The process that listens on a port, if we may see it.
pub fn pid_of_port(port: u16) -> Option<u32> {
    let sockets: HashSet<PathBuf> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listening_inodes(&fs::read_to_string(table).unwrap_or_default(), port))
        .map(|inode| PathBuf::from(format!("socket:[{inode}]")))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|process| Some((process.file_name().to_str()?.parse::<u32>().ok()?, process.path())))
        .find(|(_, process)| holds(process, &sockets))
        .map(|(pid, _)| pid)
}

fn holds(process: &Path, sockets: &HashSet<PathBuf>) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|to| sockets.contains(&to)))
}

/// The inodes of the sockets that listen on a port, in a table as `/proc/net/tcp` is.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let found = u16::from_str_radix(local_port, 16).ok()? == port && fields.get(3) == Some(&LISTENING);
        found.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().filter_map(inode).collect()
}

/// Resident memory of a process.
pub fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let kib = status_kib(&status, "VmRSS:").context("a process has no memory")?;
    Ok(kib as f64 / 1024.0)
}

fn status_kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Lets us and all that we start have as many files and sockets as the system allows, and tells how many.
pub fn raise_open_files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What it was stays if it cannot be raised.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listening_port_leads_to_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(pid_of_port(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(pid_of_port(port), None);
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 41 1\n\
            1: 0100007F:1628 0100007F:D431 01 00000000:00000000 00:00000000 00000000  0 0 42 1\n\
            2: 0100007F:1629 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 43 1\n";
        assert_eq!(listening_inodes(table, 0x1628), ["41"]);
    }

    #[test]
    fn the_machine_and_our_own_memory_are_known() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory_gib > 0 && machine.system.starts_with("Linux "), "{machine}");
        assert!(resident_mib(std::process::id()).unwrap() > 0.1);
        assert!(raise_open_files() > 0);
    }
}
