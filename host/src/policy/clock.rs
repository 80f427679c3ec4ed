//! Time ranges: whether they last at a given minute.
//!
//! The policy has no clock. Whoever has one tells the model the local time and, when an answer may change, tells it
//! again. Until then entries with a time range do not count.

use super::model::{Activity, Model};
use crate::config::ast::access_list::{Instant, Periodic, TimeOfDay, TimeRange};

impl Model {
    /// Judges every entry with a time range at this local time.
    pub fn set_clock(&mut self, now: Instant) {
        self.clock = Some(now);
        let ranges = &self.time_ranges;
        let aces = self.access_lists.iter_mut().flat_map(|list| &mut list.aces);
        for ace in aces {
            if let Activity::During { name, now: lasts } = &mut ace.activity {
                *lasts = ranges.get(name).is_some_and(|range| is_active(range, now));
            }
        }
    }
}

/// Whether a time range lasts at this minute: within `absolute`, and within one of the `periodic` lines if there are
/// any. A range that says nothing always lasts.
fn is_active(range: &TimeRange, now: Instant) -> bool {
    let absolute = range.absolute.as_ref().is_none_or(|absolute| {
        absolute.start.is_none_or(|start| start <= now) && absolute.end.is_none_or(|end| now <= end)
    });
    let periodic = range.periodic.is_empty()
        || range
            .periodic
            .iter()
            .any(|periodic| within(periodic, weekday(now), now.time));
    absolute && periodic
}

/// Whether a weekly period lasts at this minute.
fn within(periodic: &Periodic, day: u8, time: TimeOfDay) -> bool {
    const WEEK: u32 = 7 * 24 * 60;
    let minutes = |day: u8, time: TimeOfDay| {
        (u32::from(day) * 24 + u32::from(time.hour)) * 60 + u32::from(time.minute)
    };
    let now = minutes(day, time);
    (0..7u8)
        .filter(|start| periodic.days >> start & 1 == 1)
        .any(|start| {
            let from = minutes(start, periodic.from);
            // Without a day it ends on the day it started, or in the night after.
            let over_night = periodic.until_day.is_none() && periodic.until < periodic.from;
            let until_day = periodic.until_day.unwrap_or(start + u8::from(over_night));
            let until = minutes(until_day, periodic.until);
            // Both may lie beyond the end of the week.
            (now + WEEK - from) % WEEK <= (until + WEEK - from) % WEEK
        })
}

/// Day of the week, 0 = Monday (Zeller's congruence).
fn weekday(date: Instant) -> u8 {
    // The calendar repeats after 400 years; so many more keep the year of January positive.
    let (mut year, mut month) = (u32::from(date.year) + 400, u32::from(date.month));
    if month < 3 {
        year -= 1;
        month += 12;
    }
    let day =
        u32::from(date.day) + 13 * (month + 1) / 5 + year + year / 4 - year / 100 + year / 400;
    // The congruence counts from Saturday.
    ((day + 5) % 7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8, hour: u8, minute: u8) -> Instant {
        Instant {
            year,
            month,
            day,
            time: TimeOfDay { hour, minute },
        }
    }

    #[test]
    fn weekdays_of_known_dates() {
        assert_eq!(weekday(at(2026, 11, 23, 0, 0)), 0);
        assert_eq!(weekday(at(2000, 1, 1, 0, 0)), 5);
        assert_eq!(weekday(at(2024, 2, 29, 0, 0)), 3);
    }

    #[test]
    fn a_period_may_run_over_the_end_of_the_week() {
        let weekend = Periodic {
            days: 1 << 4,
            from: TimeOfDay {
                hour: 18,
                minute: 0,
            },
            until_day: Some(0),
            until: TimeOfDay { hour: 6, minute: 0 },
        };
        let lasts = |date: Instant| within(&weekend, weekday(date), date.time);
        assert!(lasts(at(2026, 11, 22, 12, 0)));
        assert!(lasts(at(2026, 11, 23, 6, 0)));
        assert!(!lasts(at(2026, 11, 23, 6, 1)));
        assert!(lasts(at(2026, 11, 20, 18, 0)));
        assert!(!lasts(at(2026, 11, 20, 17, 59)));
    }
}
