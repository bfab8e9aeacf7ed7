//! Points in time as RabbitMQ writes them.

/// `2026-11-21 9:05:07`, of seconds since 1970, in UTC.
#[must_use]
pub(crate) fn date_time(at_s: u64) -> String {
    let (days, of_day_s) = (at_s / 86_400, at_s % 86_400);
    let (year, month, day) = date(days);
    format!("{year}-{month:02}-{day:02} {}:{:02}:{:02}", of_day_s / 3600, of_day_s / 60 % 60, of_day_s % 60)
}

/// Year, month and day of so many days after 1970 began. Years begin in March here, so that a leap day comes last.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_time(951_782_400), "2000-02-29 0:00:00");
        assert_eq!(date_time(1_767_225_599), "2025-12-31 23:59:59");
    }
}
