//! Points in time as the device prints them: `10:00:00 UTC Nov 1 2026`.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

/// Seconds since 1970, UTC; certificates may lie before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i64);

impl Date {
    /// For libraries that want a calendar. A date that no calendar holds becomes 1970.
    pub fn calendar(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// So many days later.
    pub fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(24 * 3600)))
    }

    /// Time since 1970; zero before it.
    pub fn since_epoch(self) -> Duration {
        Duration::from_secs(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<Duration> for Date {
    fn from(since_epoch: Duration) -> Self {
        Self(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.calendar();
        let (hour, minute, second) = date.time().as_hms();
        let month = date.month().to_string();
        write!(
            f,
            "{hour:02}:{minute:02}:{second:02} UTC {} {} {}",
            month.get(..3).unwrap_or_default(),
            date.day(),
            date.year()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_printed_as_the_device_does() {
        assert_eq!(Date(1_793_527_200).to_string(), "10:00:00 UTC Nov 1 2026");
        assert_eq!(Date(i64::MAX).to_string(), "00:00:00 UTC Jan 1 1970");
        assert_eq!(Date(-1).to_string(), "23:59:59 UTC Dec 31 1969");
    }
}
