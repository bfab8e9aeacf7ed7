//! The time of a line.

use std::fmt;

use time::OffsetDateTime;

/// A moment, written as RabbitMQ does: `2025-10-31 09:57:11.836278+00:00`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(OffsetDateTime);

impl Moment {
    pub(super) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> u64 {
        u64::try_from(self.0.unix_timestamp()).unwrap_or_default()
    }

    /// As RFC 3164 has it: `Oct  3 09:57:11`.
    pub(super) fn rfc3164(self) -> String {
        let (hour, minute, second) = self.0.to_hms();
        let month = self.0.month().to_string();
        let month = month.get(..3).unwrap_or(&month);
        format!("{month} {:>2} {hour:02}:{minute:02}:{second:02}", self.0.day())
    }

    /// As RFC 5424 has it: `2025-10-31T09:57:11.836278Z`.
    pub(super) fn rfc5424(self) -> String {
        let (hour, minute, second, micros) = self.0.to_hms_micro();
        format!("{}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", self.0.date())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second, micros) = self.0.to_hms_micro();
        write!(f, "{} {hour:02}:{minute:02}:{second:02}.{micros:06}+00:00", self.0.date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(micros: i64) -> Moment {
        Moment(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap())
    }

    #[test]
    fn moments_are_written_in_utc() {
        for (micros, text) in [
            (0_i64, "1970-01-01 00:00:00.000000+00:00"),
            (951_782_400_000_000, "2000-02-29 00:00:00.000000+00:00"),
            (1_761_904_631_836_278, "2025-10-31 09:57:11.836278+00:00"),
            (1_704_067_199_999_999, "2023-12-31 23:59:59.999999+00:00"),
            (1_709_251_200_000_000, "2024-03-01 00:00:00.000000+00:00"),
        ] {
            assert_eq!(moment(micros).to_string(), text);
        }
    }

    #[test]
    fn syslogs_have_times_of_their_own() {
        let moment = moment(1_709_456_631_836_278);
        assert_eq!(moment.rfc3164(), "Mar  3 09:03:51");
        assert_eq!(moment.rfc5424(), "2024-03-03T09:03:51.836278Z");
    }
}
