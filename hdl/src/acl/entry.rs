//! An access-control entry as the table port brings it, and the parts it is stored in.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use layout::desc::ACE_BITS;
use rust_hdl_core::prelude::*;

/// As `layout::table::AclEntry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Entry {
    pub interface: Bits<4>,
    pub interface_mask: Bits<4>,
    pub proto: Bits<8>,
    pub proto_mask: Bits<8>,
    pub src: Bits<32>,
    pub src_mask: Bits<32>,
    pub dst: Bits<32>,
    pub dst_mask: Bits<32>,
    pub sport_low: Bits<16>,
    pub sport_high: Bits<16>,
    pub dport_low: Bits<16>,
    pub dport_high: Bits<16>,
    pub permit: Bit,
}

impl From<Bits<217>> for Entry {
    fn from(bits: Bits<217>) -> Self {
        let at = Entry::default();
        Self {
            interface: bits.get_bits(at.get_my_offset_interface()),
            interface_mask: bits.get_bits(at.get_my_offset_interface_mask()),
            proto: bits.get_bits(at.get_my_offset_proto()),
            proto_mask: bits.get_bits(at.get_my_offset_proto_mask()),
            src: bits.get_bits(at.get_my_offset_src()),
            src_mask: bits.get_bits(at.get_my_offset_src_mask()),
            dst: bits.get_bits(at.get_my_offset_dst()),
            dst_mask: bits.get_bits(at.get_my_offset_dst_mask()),
            sport_low: bits.get_bits(at.get_my_offset_sport_low()),
            sport_high: bits.get_bits(at.get_my_offset_sport_high()),
            dport_low: bits.get_bits(at.get_my_offset_dport_low()),
            dport_high: bits.get_bits(at.get_my_offset_dport_high()),
            permit: bits.get_bit(at.get_my_offset_permit()),
        }
    }
}

/// The fields matched by value and mask, in the order of the strides: nibble n is stride n.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Fields {
    pub dst: Bits<32>,
    pub src: Bits<32>,
    pub proto: Bits<8>,
    pub interface: Bits<4>,
}

/// The fields matched by range.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Ranges {
    pub sport_low: Bits<16>,
    pub sport_high: Bits<16>,
    pub dport_low: Bits<16>,
    pub dport_high: Bits<16>,
}

/// What is looked up for a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Lookup {
    pub sport: Bits<16>,
    pub dport: Bits<16>,
    pub fields: Bits<76>,
    pub bank: Bit,
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Found {
    pub ace: Bits<ACE_BITS>,
    pub permit: Bit,
}
