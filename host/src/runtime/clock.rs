//! Time: of captures as a date, and of the machine.

use std::time::{Duration, Instant as Moment, SystemTime, UNIX_EPOCH};

use crate::config::ast::access_list::{Instant, TimeOfDay};

/// Time since 1970 that never goes back, whatever is done to the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begin: Duration,
    started: Moment,
}

impl Clock {
    /// Reads the machine's clock, once.
    pub fn start() -> Self {
        Self {
            // A clock before 1970 is as good as one at 1970.
            begin: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            started: Moment::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Duration {
        self.begin + self.started.elapsed()
    }
}

/// The minute (UTC) of a time since 1970. Gregorian calendar; days are counted from March so that the
/// leap day comes last.
pub fn instant(since_1970: Duration) -> Instant {
    let minutes = since_1970.as_secs() / 60;
    let (days, minute) = (minutes / (24 * 60), minutes % (24 * 60));
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    Instant {
        year: year as u16,
        month: month as u8,
        day: day as u8,
        time: TimeOfDay {
            hour: (minute / 60) as u8,
            minute: (minute % 60) as u8,
        },
    }
}

/// From 1 March of year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;
/// Days of 400 years.
const DAYS_OF_ERA: u64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, date) in [
            (0, (1970, 1, 1, 0, 0)),
            (951_782_400, (2000, 2, 29, 0, 0)),
            (951_868_800, (2000, 3, 1, 0, 0)),
            (1_000_000_000, (2001, 9, 9, 1, 46)),
            (1_735_689_599, (2024, 12, 31, 23, 59)),
        ] {
            let Instant {
                year,
                month,
                day,
                time,
            } = instant(Duration::from_secs(seconds));
            assert_eq!((year, month, day, time.hour, time.minute), date);
        }
    }
}
