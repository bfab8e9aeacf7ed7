//! Numbers that stand for values and destinations in the types that share messages out. They are the same in each process and
//! after each restart, so that a key stays with its queue.

use std::hash::{Hash, Hasher};

/// FNV-1a of 64 bits, mixed at the end.
struct Stable(u64);

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

/// The number of a destination.
pub(super) fn of_destination<D: Hash>(destination: &D) -> u64 {
    let mut hasher = Stable(FNV_OFFSET);
    destination.hash(&mut hasher);
    hasher.finish()
}

/// The number of some bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = Stable(FNV_OFFSET);
    hasher.write(bytes);
    hasher.finish()
}

/// The number of routing keys, of all of them in their order.
pub(super) fn of_keys(keys: &[&[u8]]) -> u64 {
    keys.iter().fold(0, |before, key| mix(before ^ of_bytes(key)))
}

/// Spreads what two numbers have of differences over all bits (the finish of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_change_with_the_process() {
        // Whoever changes these moves every key of every deployed exchange.
        assert_eq!(of_bytes(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(of_bytes(b"key"), of_bytes(b"key"));
        assert_ne!(of_bytes(b"key"), of_bytes(b"kez"));
        assert_ne!(of_keys(&[b"a", b"b"]), of_keys(&[b"b", b"a"]));
        assert_ne!(of_keys(&[b"a"]), of_keys(&[b"a", b"b"]));
    }
}
