//! Which ports of one mapped address are in use, for one protocol.
//!
//! 128 blocks of 512 ports: the first is the class 0–511, the second 512–1023, the rest 1024–65535, and a block is also
//! what `block-allocation` gives out. Only blocks with a port in use take memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::limits::BLOCK_PORTS;

const WORDS: usize = BLOCK_PORTS as usize / 64;

/// Ports in use.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    blocks: BTreeMap<u8, Block>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    words: [u64; WORDS],
    used: u16,
}

/// The ports a translation may get instead of its source port: the class of the source port.
pub fn class(port: u16) -> RangeInclusive<u16> {
    match port {
        // Port 0 belongs to the class but is never a good choice.
        0..=511 => 1..=511,
        512..=1023 => 512..=1023,
        1024.. => 1024..=u16::MAX,
    }
}

/// Number of the block of a port.
pub fn block(port: u16) -> u8 {
    (port / BLOCK_PORTS) as u8
}

/// The ports of a block.
pub fn block_ports(block: u8) -> RangeInclusive<u16> {
    let low = u16::from(block) * BLOCK_PORTS;
    low..=low + (BLOCK_PORTS - 1)
}

impl Ports {
    /// Nothing is in use.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Takes a port; false if it is taken.
    pub fn take(&mut self, port: u16) -> bool {
        let entry = self.blocks.entry(block(port)).or_default();
        let (word, bit) = place(port);
        let was_free = entry.words[word] & bit == 0;
        entry.words[word] |= bit;
        entry.used += u16::from(was_free);
        was_free
    }

    /// Takes every port of a range.
    pub fn strike_out(&mut self, range: RangeInclusive<u16>) {
        for port in range {
            self.take(port);
        }
    }

    /// Gives a port back.
    pub fn release(&mut self, port: u16) {
        let (word, bit) = place(port);
        if let Some(entry) = self.blocks.get_mut(&block(port)) {
            entry.used -= u16::from(entry.words[word] & bit != 0);
            entry.words[word] &= !bit;
            if entry.used == 0 {
                self.blocks.remove(&block(port));
            }
        }
    }

    /// Whether a port is free.
    pub fn is_free(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.blocks
            .get(&block(port))
            .is_none_or(|entry| entry.words[word] & bit == 0)
    }

    /// A free port of the range: the first from `start` on, and then around.
    pub fn find(&self, range: &RangeInclusive<u16>, start: u16) -> Option<u16> {
        let before = start.checked_sub(1).filter(|before| range.contains(before));
        self.first_free(start, *range.end())
            .or_else(|| self.first_free(*range.start(), before?))
    }

    /// At most 128 blocks and 8 words are looked at.
    fn first_free(&self, low: u16, high: u16) -> Option<u16> {
        (block(low)..=block(high)).find_map(|number| {
            let ports = block_ports(number);
            let (low, high) = (low.max(*ports.start()), high.min(*ports.end()));
            match self.blocks.get(&number) {
                None => Some(low),
                Some(entry) if entry.used == BLOCK_PORTS => None,
                Some(entry) => entry.first_free(low, high),
            }
        })
    }
}

impl Block {
    fn first_free(&self, low: u16, high: u16) -> Option<u16> {
        let base = low - low % BLOCK_PORTS;
        let (low, high) = (u32::from(low - base), u32::from(high - base));
        (low as usize / 64..=high as usize / 64).find_map(|word| {
            let first = word as u32 * 64;
            let mut free = !self.words[word];
            free &= u64::MAX << low.saturating_sub(first);
            free &= u64::MAX >> 63u32.saturating_sub(high - first);
            (free != 0).then(|| base + (first + free.trailing_zeros()) as u16)
        })
    }
}

fn place(port: u16) -> (usize, u64) {
    (usize::from(port % BLOCK_PORTS) / 64, 1 << (port % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            taken in proptest::collection::btree_set(0u16..1600, 0..1500), released in proptest::collection::vec(0u16..1600, 0..300),
            a in 0u16..1600, b in 0u16..1600, at in any::<prop::sample::Index>(),
        ) {
            let mut ports = Ports::default();
            let mut set = taken.clone();
            for port in &taken {
                prop_assert!(ports.take(*port));
                prop_assert!(!ports.take(*port));
            }
            for port in released {
                ports.release(port);
                set.remove(&port);
            }
            let (low, high) = (a.min(b), a.max(b));
            let start = low + at.index(usize::from(high - low) + 1) as u16;
            let expected = (start..=high).chain(low..start).find(|port| !set.contains(port));
            prop_assert_eq!(ports.find(&(low..=high), start), expected);
            prop_assert!((0..1600).all(|port| ports.is_free(port) != set.contains(&port)));
            prop_assert_eq!(ports.is_empty(), set.is_empty());
        }
    }

    #[test]
    fn the_last_port_can_be_found() {
        let mut ports = Ports::default();
        let all: BTreeSet<u16> = (1024..u16::MAX).collect();
        all.iter().for_each(|port| assert!(ports.take(*port)));
        assert_eq!(ports.find(&(1024..=u16::MAX), 30_000), Some(u16::MAX));
        assert!(ports.take(u16::MAX));
        assert_eq!(ports.find(&(1024..=u16::MAX), 30_000), None);
        assert_eq!(ports.find(&(1..=u16::MAX), 30_000), Some(1));
    }
}
