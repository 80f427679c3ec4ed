//! Deterministic random numbers (SplitMix64, Steele, Lea, Flood 2014).

use rust_hdl_core::prelude::*;

/// A generator; the seed is the whole state.
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 128 random bits.
    pub fn wide(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    /// 0..limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// True in `percent` of the cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Random bits; those above the lowest 64 are zero, where the standard conversion stops.
pub fn any<const N: usize>(random: &mut Random) -> Bits<N> {
    let bits = random.bits();
    if N < 64 {
        (bits & ((1 << N) - 1)).to_bits()
    } else {
        bits.to_bits()
    }
}
