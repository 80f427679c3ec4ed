//! Hash maps and random numbers from a seed that the caller gives.
//!
//! Keys come from the network, so who sends packets must not be able to choose their hashes; and a
//! replay with the same seed must take the same decisions.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Hashes with SipHash after a secret first block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeded(pub u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// A map with seeded hashes.
pub type Map<K, V> = HashMap<K, V, Seeded>;

/// Numbers that look random and follow from the seed.
#[derive(Clone, Debug)]
pub struct Random {
    seed: Seeded,
    drawn: u64,
}

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed: Seeded(seed),
            drawn: 0,
        }
    }

    /// A number in `low..=high`.
    pub fn within(&mut self, low: u16, high: u16) -> u16 {
        self.drawn += 1;
        let span = u64::from(high - low) + 1;
        low + (self.seed.hash_one(self.drawn) % span) as u16
    }
}
