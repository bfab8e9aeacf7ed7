//! What raises alarms, and tells of them.

use std::sync::Arc;

use leveret_session::alarms::{Alarm, Alarms};

/// Watches the room on the disk.
pub(crate) struct DiskWatch {
    alarms: Arc<Alarms>,
    is_low: Box<dyn Fn() -> bool + Send + Sync>,
}

impl DiskWatch {
    /// Raises the alarm among `alarms` while `is_low`, which must not block.
    pub(crate) fn new(alarms: &Arc<Alarms>, is_low: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { alarms: Arc::clone(alarms), is_low: Box::new(is_low) }
    }

    /// Looks once, and logs a change. Says whether the alarm was raised by it.
    pub(crate) fn look(&self) -> bool {
        let is_low = (self.is_low)();
        if !self.alarms.set(Alarm::Disk, is_low) {
            return false;
        }
        if is_low {
            tracing::warn!(
                "low on disk: publishers are blocked until there is room again. Make some on the file system of the data \
                 directory, or consume: consumers and acknowledgements go on"
            );
        } else {
            tracing::info!("the disk has room again: publishers go on");
        }
        is_low
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_alarm_follows_the_disk() {
        let alarms = Arc::new(Alarms::default());
        let low = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&low);
        let watch = DiskWatch::new(&alarms, move || watched.load(Ordering::Relaxed));
        for is_low in [false, true, true, false] {
            low.store(is_low, Ordering::Relaxed);
            let before = alarms.is_raised();
            assert_eq!(watch.look(), is_low && !before);
            assert_eq!(alarms.reason(), is_low.then_some("low on disk"));
        }
    }
}
