//! The time of a line.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, written as RabbitMQ does: `2025-10-31 09:57:11.836278+00:00`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    since_1970: Duration,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { since_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> u64 {
        self.since_1970.as_secs()
    }

    /// As RFC 3164 has it: `Oct  3 09:57:11`.
    pub(super) fn rfc3164(self) -> String {
        let (_, month, day) = date(self.seconds() / DAY_S);
        let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
        let (hour, minute, second) = self.clock();
        format!("{month} {day:>2} {hour:02}:{minute:02}:{second:02}")
    }

    /// As RFC 5424 has it: `2025-10-31T09:57:11.836278Z`.
    pub(super) fn rfc5424(self) -> String {
        let (year, month, day) = date(self.seconds() / DAY_S);
        let (hour, minute, second) = self.clock();
        let micros = self.since_1970.subsec_micros();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }

    /// Hour, minute and second.
    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.seconds();
        (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

pub(super) const DAY_S: u64 = 86_400;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.seconds() / DAY_S);
        let (hour, minute, second) = self.clock();
        let micros = self.since_1970.subsec_micros();
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
    }
}

/// Year, month and day by the number of days since 1970.
pub(super) fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    for length in month_days(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// The days of a year's months.
pub(super) fn month_days(year: u64) -> [u64; 12] {
    let february = if year_days(year) == 366 { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn year_days(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01 00:00:00.000000+00:00"),
            (951_782_400_000_000, "2000-02-29 00:00:00.000000+00:00"),
            (1_761_904_631_836_278, "2025-10-31 09:57:11.836278+00:00"),
            (1_704_067_199_999_999, "2023-12-31 23:59:59.999999+00:00"),
            (1_709_251_200_000_000, "2024-03-01 00:00:00.000000+00:00"),
        ] {
            let moment = Moment { since_1970: Duration::from_micros(micros) };
            assert_eq!(moment.to_string(), text);
        }
    }

    #[test]
    fn syslogs_have_times_of_their_own() {
        let moment = Moment { since_1970: Duration::from_micros(1_709_456_631_836_278) };
        assert_eq!(moment.rfc3164(), "Mar  3 09:03:51");
        assert_eq!(moment.rfc5424(), "2024-03-03T09:03:51.836278Z");
    }
}
