//! The Internet checksum: full sum and incremental update.
//!
//! RFC 1071 for the sum, RFC 1624 equation 3 for the update: HC' = ~(~HC + ~m + m').

/// One's complement sum of the bytes, folded; an odd last byte is the high half of its word.
pub fn sum(bytes: &[u8]) -> u16 {
    let mut words = bytes.chunks_exact(2);
    let mut total: u64 = words
        .by_ref()
        .map(|w| u64::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    if let [last] = words.remainder() {
        total += u64::from(*last) << 8;
    }
    fold(total)
}

/// What changed under a checksum, gathered word by word and applied once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change(u64);

impl Change {
    /// A 16-bit word `old` became `new`.
    pub fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + u64::from(!old) + u64::from(new))
    }

    /// Two aligned words, as an IPv4 address.
    pub fn words(self, old: u32, new: u32) -> Self {
        self.word((old >> 16) as u16, (new >> 16) as u16)
            .word(old as u16, new as u16)
    }

    /// The checksum after the change.
    pub fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + u64::from(!checksum))
    }

    /// As [`Change::apply`] for UDP: zero means "none" and stays, and is never produced (RFC 768).
    pub fn apply_udp(self, checksum: u16) -> u16 {
        match checksum {
            0 => 0,
            _ => match self.apply(checksum) {
                0 => 0xffff,
                updated => updated,
            },
        }
    }
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn update_equals_recomputation(mut words in proptest::collection::vec(any::<u16>(), 2..40), index in any::<prop::sample::Index>(), new: u16) {
            let at = index.index(words.len());
            let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
            let before = !sum(&bytes(&words));
            let change = Change::default().word(words[at], new);
            words[at] = new;
            let after = !sum(&bytes(&words));
            // RFC 1624 §3: only all-zero data tells 0x0000 from 0xffff, and no header is all zero.
            prop_assume!(words.iter().any(|w| *w != 0));
            prop_assert_eq!(change.apply(before), after);
        }
    }

    #[test]
    fn rfc_1624_section_4_example() {
        assert_eq!(Change::default().word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn udp_zero_stays_and_is_never_made() {
        assert_eq!(Change::default().word(1, 2).apply_udp(0), 0);
        assert_eq!(
            Change::default().word(0x5555, 0x3285).apply_udp(0xdd2f),
            0xffff
        );
    }

    #[test]
    fn odd_byte_is_padded_on_the_right() {
        assert_eq!(sum(&[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
    }
}
