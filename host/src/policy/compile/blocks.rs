//! Ranges as aligned power-of-two blocks, which is what value and mask can say.

use crate::policy::range::AddressRange;

/// An aligned block: `value` and the number of low bits that are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    pub value: u32,
    pub free_bits: u32,
}

impl Block {
    /// Ones where an address must agree with `value`.
    pub fn mask(self) -> u32 {
        !self.keep()
    }

    /// What the two share: aligned blocks lie in one another or apart.
    pub fn meet(self, other: Self) -> Option<Self> {
        let apart = (self.value ^ other.value) & self.mask() & other.mask() != 0;
        let narrower = if self.free_bits <= other.free_bits {
            self
        } else {
            other
        };
        (!apart).then_some(narrower)
    }

    /// Ones where an address is free.
    pub fn keep(self) -> u32 {
        ((1u64 << self.free_bits) - 1) as u32
    }
}

/// The fewest blocks that make up a range, in ascending order; at most 62.
pub(crate) fn blocks(range: AddressRange) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut low, end) = (u64::from(range.low), u64::from(range.high) + 1);
    while low < end {
        let free_bits = alignment(low as u32).min((end - low).ilog2());
        blocks.push(Block {
            value: low as u32,
            free_bits,
        });
        low += 1 << free_bits;
    }
    blocks
}

/// Blocks of `from` beside the places in `to` that they move to; both start together and are `count` long.
pub(super) fn paired(from: u32, to: u32, count: u64) -> impl Iterator<Item = (Block, u32)> {
    let mut done = 0u64;
    std::iter::from_fn(move || {
        let left = count.checked_sub(done).filter(|&left| left > 0)?;
        let (value, target) = (from.wrapping_add(done as u32), to.wrapping_add(done as u32));
        let free_bits = alignment(value).min(alignment(target)).min(left.ilog2());
        done += 1 << free_bits;
        Some((Block { value, free_bits }, target))
    })
}

/// Free bits of the largest block that may begin here.
fn alignment(value: u32) -> u32 {
    value.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_make_up_exactly_the_range() {
        let edges = [
            0,
            1,
            2,
            7,
            8,
            255,
            256,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX - 1,
            u32::MAX,
        ];
        for low in edges {
            for high in edges.into_iter().filter(|&high| high >= low) {
                let mut next = u64::from(low);
                for block in blocks(AddressRange { low, high }) {
                    assert_eq!(u64::from(block.value), next);
                    assert_eq!(block.value & block.keep(), 0, "aligned");
                    next += 1 << block.free_bits;
                }
                assert_eq!(next, u64::from(high) + 1);
            }
        }
        assert_eq!(blocks(AddressRange::ANY).len(), 1);
        assert_eq!(
            blocks(AddressRange {
                low: 1,
                high: u32::MAX - 1
            })
            .len(),
            62
        );
    }

    #[test]
    fn pairs_move_every_address_to_its_place() {
        for (from, to, count) in [
            (16, 32, 16),
            (5, 9, 12),
            (0, 0, 1 << 32),
            (3, 4, 1),
            (8, 2, 7),
        ] {
            let mut next = 0u64;
            for (block, target) in paired(from, to, count) {
                assert_eq!(u64::from(block.value), u64::from(from) + next);
                assert_eq!(u64::from(target), u64::from(to) + next);
                assert_eq!(target & block.keep(), 0, "target aligned too");
                next += 1 << block.free_bits;
            }
            assert_eq!(next, count);
        }
    }
}
