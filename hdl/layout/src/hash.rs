//! The flow table's hash functions: four H3 (XOR of masked key bits) hashes of the 108-bit key.
//!
//! Each index bit is the parity of the key under its mask. RTL takes the masks, software the functions. Key bit n,
//! one of the ten low bits of `dport`, is in mask n of every way and in no other: a way need not store those
//! bits, since they follow from the index and the rest of the key.

use crate::table::{FLOW_WAY_ENTRIES, FLOW_WAYS, FlowEntry, Key};

/// Seed of the masks, searched for so that in every way the low ten bits of each port and address
/// alone reach all indexes. Linear hashes need that: with a way of lower rank, consecutive ports (as
/// PAT hands them out) would leave half of it empty.
pub const SEED: u64 = 0x706f_7374_0004_1980;
/// Index bits of one way.
pub const INDEX_BITS: usize = FLOW_WAY_ENTRIES.ilog2() as usize;

/// `MASKS[way][bit]`: key bits (as packed by [`Key`]) whose parity is that index bit.
pub const MASKS: [[u128; INDEX_BITS]; FLOW_WAYS] = {
    let mut masks = [[0; INDEX_BITS]; FLOW_WAYS];
    let mut state = SEED;
    let mut way = 0;
    while way < FLOW_WAYS {
        let mut bit = 0;
        while bit < INDEX_BITS {
            let (low, next) = split_mix(state);
            let (high, next) = split_mix(next);
            state = next;
            let random = ((high as u128) << 64 | low as u128) & ((1 << Key::BITS) - 1);
            masks[way][bit] = random >> INDEX_BITS << INDEX_BITS | 1 << bit;
            bit += 1;
        }
        way += 1;
    }
    masks
};

/// Index of the key in one way.
pub fn flow_index(way: usize, key: &Key) -> usize {
    let words = key.pack();
    let bits = (0..Key::WORDS).fold(0u128, |bits, i| bits | u128::from(words[i]) << (32 * i));
    (0..INDEX_BITS).fold(0, |index, bit| {
        index | ((bits & MASKS[way][bit]).count_ones() as usize & 1) << bit
    })
}

/// What a slot holds of an entry written to it. A way stores the ten low bits of `dport` as its index, so an
/// entry at another index than its hash has the port that belongs there, and one that is not valid has zeros.
pub fn held(slot: usize, entry: &FlowEntry) -> FlowEntry {
    let (way, index) = (slot / FLOW_WAY_ENTRIES, slot % FLOW_WAY_ENTRIES);
    let low = (FLOW_WAY_ENTRIES - 1) as u16;
    let dport = match (way < FLOW_WAYS, entry.valid) {
        (false, _) => entry.dport,
        (true, true) => entry.dport ^ (flow_index(way, &entry.key()) ^ index) as u16,
        (true, false) => entry.dport & !low,
    };
    FlowEntry { dport, ..*entry }
}

/// Punt ring of a key: both directions of a TCP or UDP connection without translation share one.
pub fn queue(key: &Key) -> u8 {
    let addresses = key.src ^ key.dst;
    let folded = (addresses >> 16) as u16 ^ addresses as u16 ^ key.sport ^ key.dport;
    let byte = (folded >> 8) as u8 ^ folded as u8;
    let nibble = byte >> 4 ^ byte;
    (nibble >> 2 ^ nibble) & 3
}

/// SplitMix64 step (Steele, Lea, Flood 2014): output and next state.
const fn split_mix(state: u64) -> (u64, u64) {
    let next = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = next;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_at_its_own_index_is_held_whole_and_elsewhere_has_the_index_it_is_at() {
        let mut entry = FlowEntry {
            dport: 5061,
            sport: 40_000,
            dst: 0x0a00_0002,
            src: 0xc633_6407,
            proto: 6,
            interface: 1,
            valid: true,
            ..FlowEntry::default()
        };
        for way in 0..FLOW_WAYS {
            let own = flow_index(way, &entry.key());
            assert_eq!(held(way * FLOW_WAY_ENTRIES + own, &entry), entry);
            for index in 0..FLOW_WAY_ENTRIES {
                let moved = held(way * FLOW_WAY_ENTRIES + index, &entry);
                assert_eq!(flow_index(way, &moved.key()), index, "way {way}");
                assert_eq!(moved.dport >> INDEX_BITS, entry.dport >> INDEX_BITS);
            }
        }
        assert_eq!(held(FLOW_WAYS * FLOW_WAY_ENTRIES, &entry), entry, "stash");
        entry.valid = false;
        assert_eq!(held(0, &entry).dport, 5061 & !1023);
    }

    #[test]
    fn consecutive_ports_and_addresses_reach_every_index() {
        let fields: [fn(u16) -> Key; 4] = [
            |n| Key {
                dport: n,
                ..Key::default()
            },
            |n| Key {
                sport: n,
                ..Key::default()
            },
            |n| Key {
                dst: n.into(),
                ..Key::default()
            },
            |n| Key {
                src: n.into(),
                ..Key::default()
            },
        ];
        for (way, field) in (0..FLOW_WAYS).flat_map(|way| fields.map(|field| (way, field))) {
            let mut seen = [false; FLOW_WAY_ENTRIES];
            (0..FLOW_WAY_ENTRIES as u16).for_each(|n| seen[flow_index(way, &field(n))] = true);
            assert_eq!(seen, [true; FLOW_WAY_ENTRIES], "way {way}");
        }
    }
}
