//! How fast something may happen: token buckets, one or one a source.

use std::net::Ipv4Addr;

use crate::flow::Time;
use crate::flow::deadline::Deadlines;
use crate::flow::seeded::{Map, Seeded};

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: u32,
    burst: u32,
    /// Thousandths of tokens.
    filled: u64,
    at: Time,
}

impl Bucket {
    /// A full bucket: `rate` a second, `burst` at once.
    pub fn new(now: Time, rate: u32, burst: u32) -> Self {
        Self {
            rate,
            burst,
            filled: u64::from(burst) * 1000,
            at: now,
        }
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        let passed = now.saturating_sub(self.at).as_millis();
        if passed > 0 {
            let passed = u64::try_from(passed).unwrap_or(u64::MAX);
            let more = passed.saturating_mul(self.rate.into());
            self.filled = self
                .filled
                .saturating_add(more)
                .min(u64::from(self.burst) * 1000);
            // What is less than a millisecond counts the next time.
            self.at = self.at.saturating_add(Time::from_millis(passed));
        }
        let is_there = self.filled >= 1000;
        self.filled -= if is_there { 1000 } else { 0 };
        is_there
    }
}

/// A bucket for each source, for a bounded number of sources.
#[derive(Clone, Debug)]
pub struct Sources {
    buckets: Map<Ipv4Addr, (Bucket, Time)>,
    heard: Deadlines<Ipv4Addr>,
    most: usize,
    rate: u32,
    burst: u32,
}

impl Sources {
    /// No source was heard.
    pub fn new(most: usize, rate: u32, burst: u32, seed: u64) -> Self {
        Self {
            buckets: Map::with_hasher(Seeded(seed)),
            heard: Deadlines::default(),
            most,
            rate,
            burst,
        }
    }

    /// Whether a source may do one more thing.
    pub fn take(&mut self, now: Time, source: Ipv4Addr) -> bool {
        if !self.buckets.contains_key(&source)
            && self.buckets.len() >= self.most
            && let Some(silent) = self.heard.pop(Time::MAX)
        {
            self.buckets.remove(&silent);
        }
        let fresh = || (Bucket::new(now, self.rate, self.burst), now);
        let is_new = !self.buckets.contains_key(&source);
        let (bucket, heard) = self.buckets.entry(source).or_insert_with(fresh);
        self.heard
            .set(source, (!is_new).then_some(*heard), Some(now));
        *heard = now;
        bucket.take(now)
    }

    /// Sources known.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// None known.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(Time::ZERO, 2, 3);
        let taken = |bucket: &mut Bucket, ms| {
            let now = Time::from_millis(ms);
            (0..10).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 499), 0);
        assert_eq!(taken(&mut bucket, 500), 1);
        assert_eq!(taken(&mut bucket, 60_000), 3);
    }

    #[test]
    fn the_source_silent_for_longest_is_forgotten() {
        let mut sources = Sources::new(2, 0, 1, 7);
        let source = |last| Ipv4Addr::new(198, 51, 100, last);
        let at = Time::from_secs;
        assert!(sources.take(at(1), source(1)));
        assert!(sources.take(at(2), source(2)));
        assert!(!sources.take(at(3), source(1)));
        assert!(sources.take(at(4), source(3)));
        assert_eq!(sources.len(), 2);
        assert!(!sources.take(at(5), source(1)), "it was heard last");
        assert!(sources.take(at(6), source(2)), "it was forgotten");
    }
}
