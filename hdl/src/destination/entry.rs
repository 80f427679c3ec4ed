//! A destination entry as the table port brings it, and the part that is looked up by its place.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use rust_hdl_core::prelude::*;

/// As `layout::table::Destination`.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Entry {
    pub valid: Bit,
    pub interface: Bits<4>,
    pub interface_mask: Bits<4>,
    pub proto: Bits<8>,
    pub proto_mask: Bits<8>,
    pub dst: Bits<32>,
    pub dst_mask: Bits<32>,
    pub dport: Bits<16>,
    pub dport_mask: Bits<16>,
    pub local: Bit,
    pub address: Bits<32>,
    pub address_keep: Bits<32>,
    pub l4_port: Bits<16>,
    pub l4_port_keep: Bits<16>,
}

impl From<Bits<218>> for Entry {
    fn from(bits: Bits<218>) -> Self {
        let at = Entry::default();
        Self {
            valid: bits.get_bit(at.get_my_offset_valid()),
            interface: bits.get_bits(at.get_my_offset_interface()),
            interface_mask: bits.get_bits(at.get_my_offset_interface_mask()),
            proto: bits.get_bits(at.get_my_offset_proto()),
            proto_mask: bits.get_bits(at.get_my_offset_proto_mask()),
            dst: bits.get_bits(at.get_my_offset_dst()),
            dst_mask: bits.get_bits(at.get_my_offset_dst_mask()),
            dport: bits.get_bits(at.get_my_offset_dport()),
            dport_mask: bits.get_bits(at.get_my_offset_dport_mask()),
            local: bits.get_bit(at.get_my_offset_local()),
            address: bits.get_bits(at.get_my_offset_address()),
            address_keep: bits.get_bits(at.get_my_offset_address_keep()),
            l4_port: bits.get_bits(at.get_my_offset_l4_port()),
            l4_port_keep: bits.get_bits(at.get_my_offset_l4_port_keep()),
        }
    }
}

/// What a matching entry makes of the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Outcome {
    pub local: Bit,
    pub address: Bits<32>,
    pub address_keep: Bits<32>,
    pub l4_port: Bits<16>,
    pub l4_port_keep: Bits<16>,
}

/// The fields that are matched, in the order of the strides: nibble n is stride n.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Fields {
    pub dport: Bits<16>,
    pub dst: Bits<32>,
    pub proto: Bits<8>,
    pub interface: Bits<4>,
}
