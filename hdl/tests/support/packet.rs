//! Layout entries as signals, and packets as the parser would hand them on.

use hdl::record::Header;
use layout::table::Key;
use rust_hdl_core::prelude::*;

use super::random::Random;

/// Packed words as bits.
pub fn to_bits<const N: usize>(words: &[u32]) -> Bits<N> {
    let mut bits = Bits::<N>::default();
    for (index, word) in words.iter().enumerate() {
        for bit in 0..32 {
            if word >> bit & 1 == 1 {
                bits = bits.replace_bit(32 * index + bit, true);
            }
        }
    }
    bits
}

/// Bits as packed words.
pub fn to_words<const N: usize>(bits: Bits<N>) -> Vec<u32> {
    let mut words = vec![0_u32; N.div_ceil(32)];
    for index in 0..N {
        words[index / 32] |= u32::from(bits.get_bit(index)) << (index % 32);
    }
    words
}

/// A packet for lookup.
pub fn header(key: &Key) -> Header {
    Header {
        key: to_bits(&key.pack()),
        tcp: key.proto == 6,
        udp: key.proto == 17,
        icmp: key.proto == 1,
        interface: u64::from(key.interface).to_bits(),
        ..Header::default()
    }
}

/// A key from a small world, so that random entries meet random packets.
pub fn random_key(random: &mut Random) -> Key {
    Key {
        dport: random.below(4) as u16 * 0x1111,
        sport: random.below(3) as u16 + 1000,
        dst: 0x0a00_0000 | (random.below(4) as u32 * 0x101),
        src: 0xc0a8_0000 | (random.below(4) as u32 * 0x1001),
        proto: [6, 17, 1, 47][random.below(4) as usize],
        interface: random.below(3) as u8,
    }
}
