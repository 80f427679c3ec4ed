//! What software may touch on the Postern card, defined once.
//!
//! RTL, simulated cards and driver all take register offsets, table entries, descriptors, punt
//! metadata and reason codes from here. What the card *does* with them is in `hdl/CONTRACT.md`.
//! Entries are packed with the first field at bit 0 of word 0, words are 32 bits, fields may cross
//! word boundaries. [`LAYOUT_HASH`] covers every name, width, offset and code below; the card shows
//! it in its ident block and the driver refuses a card that shows another.

#![no_std]
#![forbid(unsafe_code)]

/// One field of an entry, register or descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name as in the Rust struct and in `REGISTERS.md`.
    pub name: &'static str,
    /// Width in bits.
    pub width: usize,
}

/// A packed structure: its name and fields from bit 0 upwards.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name of the Rust struct.
    pub name: &'static str,
    /// What it is, one line.
    pub doc: &'static str,
    /// Fields from bit 0.
    pub fields: &'static [Field],
}

/// Declares a packed entry: a plain struct, its field table, `pack` and `unpack`.
macro_rules! entry {
    ($(#[doc = $doc:literal])+ $name:ident { $( #[doc = $fdoc:literal] $field:ident : $ty:tt = $width:expr, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name { $( #[doc = $fdoc] pub $field: $ty, )+ }
        impl $name {
            /// Name, one-line description and fields from bit 0.
            pub const ENTRY: $crate::Entry = $crate::Entry {
                name: stringify!($name),
                doc: concat!($($doc),+),
                fields: &[$( $crate::Field { name: stringify!($field), width: $width }, )+],
            };
            /// Width in bits.
            pub const BITS: usize = 0 $( + $width )+;
            /// Width in 32-bit words.
            pub const WORDS: usize = Self::BITS.div_ceil(32);

            /// Packs the fields, first field at bit 0 of word 0. A value wider than its field is cut.
            pub fn pack(&self) -> [u32; Self::WORDS] {
                let mut words = [0u32; Self::WORDS];
                let mut at = 0;
                $( at = $crate::put(&mut words, at, $width, self.$field as u64); )+
                debug_assert_eq!(at, Self::BITS);
                words
            }

            /// Reads the fields back; missing high words read as zero.
            pub fn unpack(words: &[u32]) -> Self {
                let mut at = 0;
                $( let $field = $crate::cast!($ty, $crate::take(words, &mut at, $width)); )+
                debug_assert_eq!(at, Self::BITS);
                Self { $( $field, )+ }
            }
        }
    };
}

macro_rules! cast {
    (bool, $e:expr) => {
        $e != 0
    };
    ($ty:tt, $e:expr) => {
        $e as $ty
    };
}
use cast;

/// Stores the low `width` bits of a value, word by word: descriptors are packed once a packet.
#[inline]
fn put(words: &mut [u32], at: usize, width: usize, value: u64) -> usize {
    debug_assert!(width == 64 || value >> width == 0);
    let mut done = 0;
    while done < width {
        let (position, shift) = ((at + done) / 32, (at + done) % 32);
        let count = (32 - shift).min(width - done);
        words[position] |= ((value >> done) as u32 & low_bits(count)) << shift;
        done += count;
    }
    at + width
}

#[inline]
fn take(words: &[u32], at: &mut usize, width: usize) -> u64 {
    let (mut value, mut done) = (0, 0);
    while done < width {
        let (position, shift) = ((*at + done) / 32, (*at + done) % 32);
        let count = (32 - shift).min(width - done);
        let word = words.get(position).copied().unwrap_or(0);
        value |= u64::from(word >> shift & low_bits(count)) << done;
        done += count;
    }
    *at += width;
    value
}

/// Ones in the low `count` bits, 1 to 32 of them.
#[inline]
fn low_bits(count: usize) -> u32 {
    u32::MAX >> (32 - count)
}

/// Registers of BAR0: names, offsets, access, reset values.
pub mod csr;
/// Descriptors, punt metadata, verdicts and reason codes.
pub mod desc;
/// The flow table's hash functions.
pub mod hash;
/// The simulator-only region beside BAR0 (never present on silicon).
pub mod simulator;
/// Entries of the tables in the order a packet meets them.
pub mod table;
/// Requests and answers on a board's serial line.
pub mod uart;

/// Every packed structure, in the order `REGISTERS.md` prints them.
pub const ENTRIES: &[Entry] = &[
    table::Interface::ENTRY,
    table::Key::ENTRY,
    table::FlowAction::ENTRY,
    table::FlowEntry::ENTRY,
    table::FlowStats::ENTRY,
    table::Destination::ENTRY,
    table::AclEntry::ENTRY,
    table::AclValid::ENTRY,
    table::AclHits::ENTRY,
    table::Adjacency::ENTRY,
    desc::Metadata::ENTRY,
    desc::InjectDescriptor::ENTRY,
    desc::InjectRequest::ENTRY,
    desc::DmaStatus::ENTRY,
    simulator::Frame::ENTRY,
    simulator::Record::ENTRY,
    uart::UartRequest::ENTRY,
    uart::UartAccess::ENTRY,
    uart::UartAnswer::ENTRY,
];

/// FNV-1a over every name, width, offset, size and code of this crate.
pub const LAYOUT_HASH: u64 = {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < ENTRIES.len() {
        hash = fnv_str(hash, ENTRIES[i].name);
        let mut j = 0;
        while j < ENTRIES[i].fields.len() {
            hash = fnv_str(hash, ENTRIES[i].fields[j].name);
            hash = fnv_u32(hash, ENTRIES[i].fields[j].width as u32);
            j += 1;
        }
        i += 1;
    }
    let mut i = 0;
    while i < csr::REGISTERS.len() {
        hash = fnv_str(hash, csr::REGISTERS[i].name);
        hash = fnv_u32(hash, csr::REGISTERS[i].offset);
        hash = fnv_u32(hash, csr::REGISTERS[i].count);
        hash = fnv_str(hash, csr::REGISTERS[i].access.name());
        i += 1;
    }
    let mut i = 0;
    while i < desc::Reason::ALL.len() {
        hash = fnv_str(hash, desc::Reason::ALL[i].name());
        hash = fnv_u32(hash, desc::Reason::ALL[i] as u32);
        i += 1;
    }
    let mut i = 0;
    while i < table::SIZES.len() {
        hash = fnv_str(hash, table::SIZES[i].0);
        hash = fnv_u32(hash, table::SIZES[i].1 as u32);
        i += 1;
    }
    let mut i = 0;
    while i < csr::COUNTERS.len() {
        hash = fnv_str(hash, csr::COUNTERS[i].name);
        hash = fnv_u32(hash, csr::COUNTERS[i].index);
        i += 1;
    }
    let mut i = 0;
    while i < uart::CONSTANTS.len() {
        hash = fnv_str(hash, uart::CONSTANTS[i].0);
        hash = fnv_u32(hash, uart::CONSTANTS[i].1);
        i += 1;
    }
    fnv_u32(hash, hash::SEED as u32)
};

const fn fnv_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

const fn fnv_str(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = fnv_byte(hash, bytes[i]);
        i += 1;
    }
    fnv_byte(hash, 0)
}

const fn fnv_u32(mut hash: u64, value: u32) -> u64 {
    let bytes = value.to_le_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = fnv_byte(hash, bytes[i]);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, as the description of packed entries says.
    fn bit(words: &[u32], at: usize) -> u32 {
        words[at / 32] >> (at % 32) & 1
    }

    #[test]
    fn every_width_at_every_place_is_stored_bit_by_bit_and_read_back() {
        for (at, width) in (0..70).flat_map(|at| (1..=64).map(move |width| (at, width))) {
            let value = 0xa5c3_f00f_9669_1234_u64 & (u64::MAX >> (64 - width));
            let mut words = [0; 5];
            assert_eq!(put(&mut words, at, width, value), at + width);
            for position in 0..160 {
                let inside = position >= at && position < at + width;
                let expected = if inside {
                    (value >> (position - at) & 1) as u32
                } else {
                    0
                };
                assert_eq!(
                    bit(&words, position),
                    expected,
                    "bit {position} of {width} at {at}"
                );
            }
            let mut next = at;
            assert_eq!(take(&words, &mut next, width), value);
            assert_eq!(next, at + width);
            // Neighbours are left out, and what is not there reads as zero.
            assert_eq!(
                take(&words.map(|word| !word), &mut { at }, width),
                !value & (u64::MAX >> (64 - width))
            );
            assert_eq!(take(&[], &mut { at }, width), 0);
        }
    }
}
