//! Points in time as RabbitMQ writes them.

use time::{Duration, OffsetDateTime};

/// `2026-11-21 9:05:07`, of seconds since 1970, in UTC.
#[must_use]
pub(crate) fn date_time(at_s: u64) -> String {
    let at = utc(at_s.saturating_mul(1000));
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour}:{minute:02}:{second:02}", at.date())
}

/// A time as RabbitMQ writes `idle_since`: `2026-08-21T10:11:12.345+00:00`, of milliseconds since 1970.
pub(crate) fn timestamp(at_ms: u64) -> String {
    let at = utc(at_ms);
    let (hour, minute, second, ms) = at.to_hms_milli();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{ms:03}+00:00", at.date())
}

/// Far in the future all times are one.
fn utc(at_ms: u64) -> OffsetDateTime {
    let since_1970 = Duration::milliseconds(i64::try_from(at_ms).unwrap_or(i64::MAX));
    OffsetDateTime::UNIX_EPOCH.saturating_add(since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_time(951_782_400), "2000-02-29 0:00:00");
        assert_eq!(date_time(1_767_225_599), "2025-12-31 23:59:59");
        assert_eq!(date_time(u64::MAX), date_time(u64::MAX - 1));
    }

    #[test]
    fn times_are_written_as_rabbitmq_does() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(timestamp(951_782_400_000), "2000-02-29T00:00:00.000+00:00");
        assert_eq!(timestamp(1_795_265_148_449), "2026-11-21T12:45:48.449+00:00");
        assert_eq!(timestamp(1_767_225_599_999), "2025-12-31T23:59:59.999+00:00");
    }
}
