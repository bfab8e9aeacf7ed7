//! When a file of the log has been written to for long enough, and what becomes of it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use leveret_config::settings::{Rotation, Schedule};

use time::{Date, OffsetDateTime};

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Whether a new file is to be begun, when one of this size was looked at last at a time, in seconds since 1970.
pub(super) fn is_due(rotation: &Rotation, bytes: u64, looked_at_s: u64, now_s: u64) -> bool {
    let is_large = rotation.size_bytes > 0 && bytes > rotation.size_bytes;
    is_large || rotation.date.is_some_and(|schedule| looked_at_s < latest(schedule, now_s))
}

/// The latest of the times that has come, in seconds since 1970.
fn latest(schedule: Schedule, now_s: u64) -> u64 {
    let now = i64::try_from(now_s).ok().and_then(|now_s| OffsetDateTime::from_unix_timestamp(now_s).ok());
    let today = now.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let not_after_now =
        |time_s: u64, period_s: u64| if time_s > now_s { time_s.saturating_sub(period_s) } else { time_s };
    match schedule {
        Schedule::Hour { minute } => not_after_now(now_s / HOUR_S * HOUR_S + u64::from(minute) * 60, HOUR_S),
        Schedule::Day { hour } => not_after_now(at(today, hour), DAY_S),
        Schedule::Week { day, hour } => {
            let since = (today.weekday().number_days_from_sunday() + 7 - day) % 7;
            not_after_now(at(today, hour).saturating_sub(u64::from(since) * DAY_S), 7 * DAY_S)
        }
        Schedule::Month { day, hour } => {
            // The last day of a month that has no such day.
            let in_month_of = |date: Date| {
                let day = day.min(date.month().length(date.year()));
                at(date.replace_day(day).unwrap_or(date), hour)
            };
            let time_s = in_month_of(today);
            if time_s <= now_s {
                return time_s;
            }
            let first = today.replace_day(1).unwrap_or(today);
            in_month_of(first.previous_day().unwrap_or(first))
        }
    }
}

/// An hour of a day, in seconds since 1970.
fn at(date: Date, hour: u8) -> u64 {
    let midnight = date.midnight().assume_utc().unix_timestamp();
    u64::try_from(midnight).unwrap_or_default() + u64::from(hour) * HOUR_S
}

/// Gives each old file the name of the next older one, and the file itself that of the first. Without `count` it is no more.
pub(super) fn move_away(path: &Path, count: u32) -> io::Result<()> {
    if !path.exists() {
        // Somebody else has moved it away.
        return Ok(());
    }
    if count == 0 {
        return fs::remove_file(path);
    }
    let last = (0..count).find(|number| !old(path, *number).exists()).unwrap_or(count - 1);
    for number in (1..=last).rev() {
        fs::rename(old(path, number - 1), old(path, number))?;
    }
    fs::rename(path, old(path, 0))
}

/// Removes old files beyond those that are kept.
pub(super) fn remove_beyond(path: &Path, count: u32) {
    let beyond = (count..).map(|number| old(path, number));
    for file in beyond.take_while(|file| file.exists()) {
        if fs::remove_file(file).is_err() {
            return;
        }
    }
}

/// `FILE.0`, `FILE.1`...
fn old(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a day and an hour.
    fn at(days: u64, hour: u64) -> u64 {
        days * DAY_S + hour * HOUR_S
    }

    #[test]
    fn times_come_again_and_again() {
        // Day 19 783 is Friday, 1 March 2024; the February before it had 29 days.
        let friday = 19_783;
        for (schedule, now_s, expected) in [
            (Schedule::Hour { minute: 30 }, at(friday, 5) + 1800, at(friday, 5) + 1800),
            (Schedule::Hour { minute: 30 }, at(friday, 5) + 1799, at(friday, 4) + 1800),
            (Schedule::Day { hour: 0 }, at(friday, 0), at(friday, 0)),
            (Schedule::Day { hour: 23 }, at(friday, 22), at(friday - 1, 23)),
            (Schedule::Week { day: 5, hour: 16 }, at(friday, 16), at(friday, 16)),
            (Schedule::Week { day: 5, hour: 16 }, at(friday, 15), at(friday - 7, 16)),
            (Schedule::Week { day: 0, hour: 0 }, at(friday, 15), at(friday - 5, 0)),
            (Schedule::Week { day: 6, hour: 0 }, at(friday, 15), at(friday - 6, 0)),
            (Schedule::Month { day: 1, hour: 0 }, at(friday, 0), at(friday, 0)),
            (Schedule::Month { day: 1, hour: 1 }, at(friday, 0), at(friday - 29, 1)),
            (Schedule::Month { day: 31, hour: 0 }, at(friday, 0), at(friday - 1, 0)),
            (Schedule::Month { day: 31, hour: 6 }, at(friday + 30, 6), at(friday + 30, 6)),
            (Schedule::Month { day: 5, hour: 6 }, at(friday + 4, 5), at(friday - 25, 6)),
        ] {
            assert_eq!(latest(schedule, now_s), expected, "{schedule:?} at {now_s}");
        }
    }

    #[test]
    fn no_time_is_too_early() {
        for schedule in [
            Schedule::Hour { minute: 59 },
            Schedule::Day { hour: 23 },
            Schedule::Week { day: 3, hour: 23 },
            Schedule::Month { day: 31, hour: 23 },
        ] {
            latest(schedule, 0);
        }
    }

    #[test]
    fn size_and_time_make_a_new_file() {
        let by_size = Rotation { size_bytes: 10, ..Rotation::default() };
        assert!(!is_due(&by_size, 10, 0, at(1, 0)));
        assert!(is_due(&by_size, 11, 0, at(1, 0)));
        let by_day = Rotation { date: Some(Schedule::Day { hour: 0 }), ..Rotation::default() };
        assert!(!is_due(&by_day, u64::MAX, at(1, 0), at(1, 23)));
        assert!(is_due(&by_day, 0, at(1, 23), at(2, 0)));
        assert!(!is_due(&Rotation::default(), u64::MAX, 0, u64::MAX));
    }

    #[test]
    fn old_files_move_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for text in ["one", "two", "three", "four"] {
            fs::write(&path, text).unwrap();
            move_away(&path, 3).unwrap();
        }
        let read = |number| fs::read_to_string(old(&path, number)).ok();
        assert_eq!([read(0), read(1), read(2)].map(Option::unwrap), ["four", "three", "two"]);
        assert!(!path.exists() && read(3).is_none());
        remove_beyond(&path, 1);
        assert_eq!([read(0).as_deref(), read(1).as_deref(), read(2).as_deref()], [Some("four"), None, None]);
        fs::write(&path, "five").unwrap();
        move_away(&path, 0).unwrap();
        assert!(!path.exists());
        move_away(&path, 1).unwrap();
        assert_eq!(read(0).as_deref(), Some("four"));
    }
}
