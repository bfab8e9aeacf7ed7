//! How much memory there is, how much the process has, and how much waiting messages may take.

use std::fs;

/// What is taken where the machine does not say how much it has.
const MACHINE_BYTES_UNKNOWN: u64 = 512 * 1024 * 1024;

/// The share of all memory that waiting messages get...
const SHARE: u64 = 16;

/// ...and its upper bound: the system's page cache is the better place for more.
const BUDGET_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes that messages waiting in queues may take before newcomers stay on disk.
pub(crate) fn default_budget_bytes() -> u64 {
    budget_of(available_bytes())
}

fn budget_of(available_bytes: u64) -> u64 {
    (available_bytes / SHARE).min(BUDGET_BYTES_MAX)
}

/// Memory of the container, or of the machine where there is none or it has no limit.
pub(crate) fn available_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| machine_bytes(&text));
    let machine = machine.unwrap_or(MACHINE_BYTES_UNKNOWN);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = |path: String| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    limit_files(&own).filter_map(limit).fold(machine, u64::min)
}

/// Where the limits of the process's control group may stand, and of those around it: `own` is `/proc/self/cgroup`.
fn limit_files(own: &str) -> impl Iterator<Item = String> {
    // Within a container its own group is often the root of what is seen.
    let mut files =
        vec!["/sys/fs/cgroup/memory.max".to_owned(), "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    if let Some(group) = own.lines().find_map(|line| line.strip_prefix("0::")) {
        let mut group = group.trim_end_matches('/');
        while !group.is_empty() {
            files.push(format!("/sys/fs/cgroup{group}/memory.max"));
            group = group.rsplit_once('/').map_or("", |(around, _)| around);
        }
    }
    files.into_iter()
}

/// What the process has in memory: its resident set.
pub(crate) fn resident_bytes() -> Option<u64> {
    let pages = resident_pages(&fs::read_to_string("/proc/self/statm").ok()?)?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The second number of `/proc/self/statm`.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// The total of `/proc/meminfo`.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let kib: u64 =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_total() {
        assert_eq!(machine_bytes("MemTotal:       24624388 kB\nMemFree: 1 kB\n"), Some(24_624_388 * 1024));
        assert_eq!(machine_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn looks_at_the_groups_around_its_own() {
        let files: Vec<_> = limit_files("12:pids:/x\n0::/system.slice/leveret.service\n").skip(2).collect();
        let group = "/sys/fs/cgroup/system.slice";
        assert_eq!(files, [format!("{group}/leveret.service/memory.max"), format!("{group}/memory.max")]);
        assert_eq!(limit_files("0::/\n").count(), 2);
    }

    #[test]
    fn reads_what_is_resident() {
        assert_eq!(resident_pages("23456 1789 900 1 0 800 0\n"), Some(1789));
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn is_a_share_with_an_upper_bound() {
        assert_eq!(budget_of(256 * 1024 * 1024), 16 * 1024 * 1024);
        assert_eq!(budget_of(1 << 40), BUDGET_BYTES_MAX);
    }
}
