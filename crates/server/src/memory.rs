//! How much memory waiting messages may take.

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
fn available_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| machine_bytes(&text));
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let machine = machine.unwrap_or(MACHINE_BYTES_UNKNOWN);
    container.map_or(machine, |limit: u64| limit.min(machine))
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
    fn is_a_share_with_an_upper_bound() {
        assert_eq!(budget_of(256 * 1024 * 1024), 16 * 1024 * 1024);
        assert_eq!(budget_of(1 << 40), BUDGET_BYTES_MAX);
    }
}
