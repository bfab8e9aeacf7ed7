//! How much memory and disk a node may use. Both can be changed while it runs.

/// `vm_memory_high_watermark`: how much memory may be used before publishers are blocked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watermark {
    /// A share of what the container or the machine has.
    Relative(f64),
    /// So many bytes.
    Absolute(u64),
}

/// RabbitMQ's default for `vm_memory_high_watermark`.
const WATERMARK: f64 = 0.6;

impl Default for Watermark {
    fn default() -> Self {
        Self::Relative(WATERMARK)
    }
}

impl Watermark {
    /// In bytes, where there are so many.
    #[must_use]
    pub fn bytes(self, available_bytes: u64) -> u64 {
        match self {
            Self::Relative(share) => share_of(share, available_bytes),
            Self::Absolute(bytes) => bytes,
        }
    }
}

/// `disk_free_limit`: below how much free disk publishers are blocked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DiskLimit {
    /// A multiple of the memory that the container or the machine has.
    Relative(f64),
    /// So many bytes.
    Absolute(u64),
}

impl DiskLimit {
    /// In bytes, where there is so much memory.
    #[must_use]
    pub fn bytes(self, available_bytes: u64) -> u64 {
        match self {
            Self::Relative(share) => share_of(share, available_bytes),
            Self::Absolute(bytes) => bytes,
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of what there is, to the nearest byte or so"
)]
fn share_of(share: f64, bytes: u64) -> u64 {
    (bytes as f64 * share.max(0.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_share_or_a_number_of_bytes() {
        assert_eq!(Watermark::default().bytes(1000), 600);
        assert_eq!(Watermark::Relative(0.0).bytes(1000), 0);
        assert_eq!(Watermark::Absolute(7).bytes(1000), 7);
        assert_eq!(DiskLimit::Relative(1.5).bytes(1000), 1500);
        assert_eq!(DiskLimit::Absolute(50_000_000).bytes(1000), 50_000_000);
        assert_eq!(Watermark::Relative(-1.0).bytes(1000), 0);
    }
}
