//! What one stage of the pipeline tells the next about a packet.
//!
//! `Header` leaves the parser, `Judged` leaves the ACL. `Judged` repeats the fields of `Header`
//! since a nested structure cannot be sliced in a kernel. The first field is at bit 0, as in
//! `layout`; tests/record_order.rs compares the parts that have a layout of their own.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use layout::desc::{ACE_BITS, LENGTH_BITS};
use rust_hdl_core::prelude::*;

/// EtherType of a VLAN tag (IEEE 802.1Q).
pub const VLAN_ETHERTYPE: u64 = 0x8100;

/// Where a frame came from; accompanies every beat from the arbiter to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Origin {
    /// Ingress port; the port it pretends to come from, or shall leave by, when the host injected it.
    pub port: Bits<2>,
    /// The host injected it for lookup.
    pub reinjected: Bit,
    /// The host injected it for `port`, untouched.
    pub direct: Bit,
}

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Window {
    /// `WINDOW_BYTES` bytes, the first on the wire in the top bits, so fields are contiguous big-endian numbers.
    pub header: Bits<512>,
    /// Bytes of the frame in `header`.
    pub count: Bits<7>,
    /// Where the frame came from.
    pub origin: Origin,
}

/// What the first stage knows beside the aligned bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Aligned {
    /// `CONTROL.enable`.
    pub enable: Bit,
    /// `CONTROL.promiscuous`.
    pub promiscuous: Bit,
    /// Bytes after the L2 header.
    pub available: Bits<7>,
    /// The frame ends inside the L2 header.
    pub runt: Bit,
    /// Carries an 802.1Q tag.
    pub tagged: Bit,
    /// EtherType, behind the tag if there is one.
    pub ethertype: Bits<16>,
    /// The destination MAC address is a group address.
    pub group: Bit,
    /// Interfaces with this port and VLAN.
    pub interfaces: Bits<8>,
    /// Interfaces with this destination MAC address.
    pub macs: Bits<8>,
    /// Sum of header words 2 to 5 or 0 to 3, see the kernel.
    pub sum_low: Bits<18>,
    /// Sum of the next four words.
    pub sum_high: Bits<18>,
    /// Sum of the two words that are left.
    pub sum_end: Bits<17>,
    /// Ingress port.
    pub port: Bits<2>,
    /// Injected for lookup.
    pub reinjected: Bit,
    /// Injected for a port.
    pub direct: Bit,
}

/// `layout` `Key`, as fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Key {
    /// Destination port.
    pub dport: Bits<16>,
    /// Source port.
    pub sport: Bits<16>,
    /// Destination address.
    pub dst: Bits<32>,
    /// Source address.
    pub src: Bits<32>,
    /// Protocol.
    pub proto: Bits<8>,
    /// Ingress interface.
    pub interface: Bits<4>,
}

/// A parsed packet.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Header {
    /// Lookup key, packed as `layout::table::Key`.
    pub key: Bits<108>,
    /// The parser has already decided the packet's fate.
    pub decided: Bit,
    /// `layout::desc::Reason` code when `decided`.
    pub reason: Bits<6>,
    /// The packet is TCP.
    pub tcp: Bit,
    /// The packet is UDP.
    pub udp: Bit,
    /// The packet is ICMP.
    pub icmp: Bit,
    /// TCP FIN.
    pub fin: Bit,
    /// TCP SYN.
    pub syn: Bit,
    /// TCP RST.
    pub rst: Bit,
    /// TCP ACK.
    pub ack: Bit,
    /// IPv4 header checksum as received.
    pub ip_checksum: Bits<16>,
    /// TCP, UDP or ICMP checksum as received.
    pub l4_checksum: Bits<16>,
    /// The frame carries an 802.1Q tag.
    pub tagged: Bit,
    /// Ingress port.
    pub port: Bits<2>,
    /// Ingress interface.
    pub interface: Bits<4>,
    /// The host injected it for lookup.
    pub reinjected: Bit,
    /// The host injected it for a port: no lookup.
    pub direct: Bit,
    /// A wrong header checksum overrides `decided` and `reason`: [`crate::parser::Conclude`] has not looked yet.
    pub summed: Bit,
    /// Sum of the ten header words, not folded.
    pub sum: Bits<20>,
}

/// A packet after all lookups: the header and what the tables say.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Judged {
    /// As in [`Header`].
    pub key: Bits<108>,
    /// As in [`Header`].
    pub decided: Bit,
    /// As in [`Header`].
    pub reason: Bits<6>,
    /// As in [`Header`].
    pub tcp: Bit,
    /// As in [`Header`].
    pub udp: Bit,
    /// As in [`Header`].
    pub icmp: Bit,
    /// As in [`Header`].
    pub fin: Bit,
    /// As in [`Header`].
    pub syn: Bit,
    /// As in [`Header`].
    pub rst: Bit,
    /// As in [`Header`].
    pub ack: Bit,
    /// As in [`Header`].
    pub ip_checksum: Bits<16>,
    /// As in [`Header`].
    pub l4_checksum: Bits<16>,
    /// As in [`Header`].
    pub tagged: Bit,
    /// As in [`Header`].
    pub port: Bits<2>,
    /// As in [`Header`].
    pub interface: Bits<4>,
    /// As in [`Header`].
    pub reinjected: Bit,
    /// As in [`Header`].
    pub direct: Bit,
    /// The flow table holds the key.
    pub hit: Bit,
    /// Flow slot, or `NO_FLOW`.
    pub flow: Bits<13>,
    /// `layout::table::FlowAction` of the slot, zero without a hit.
    pub action: Bits<60>,
    /// `CONTROL.hold` when the packet left the flow lookup.
    pub hold: Bit,
    /// `POLICY` generation when the packet left the flow lookup.
    pub generation: Bits<8>,
    /// Destination entry, or `NO_DESTINATION`.
    pub destination: Bits<9>,
    /// The destination entry is the card's own address.
    pub local: Bit,
    /// ACL slot, or `NO_ACE`.
    pub ace: Bits<ACE_BITS>,
    /// The ACL slot permits.
    pub permit: Bit,
    /// Live destination bank when the packet left the flow lookup.
    pub destination_bank: Bit,
    /// Live ACL bank when the packet left the flow lookup.
    pub acl_bank: Bit,
    /// Punt ring.
    pub queue: Bits<2>,
    /// Nothing is known of it yet: the next table is searched.
    pub searches: Bit,
}

/// `layout` `FlowAction`, as fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Action {
    /// The slot holds a flow.
    pub valid: Bit,
    /// Every packet goes to the host.
    pub punt: Bit,
    /// The source changes.
    pub translate_source: Bit,
    /// The destination changes.
    pub translate_destination: Bit,
    /// Next hop.
    pub adjacency: Bits<8>,
    /// New port.
    pub l4_port: Bits<16>,
    /// New address.
    pub address: Bits<32>,
}

/// `layout` `Metadata`, as fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Metadata {
    /// Frame bytes.
    pub length: Bits<LENGTH_BITS>,
    /// Ingress port.
    pub port: Bits<2>,
    /// Injected for lookup.
    pub reinjected: Bit,
    /// Carries an 802.1Q tag.
    pub tagged: Bit,
    /// Ingress interface.
    pub interface: Bits<4>,
    /// `Reason` code.
    pub reason: Bits<6>,
    /// `Verdict` code.
    pub verdict: Bits<2>,
    /// Policy generation.
    pub generation: Bits<8>,
    /// ACL slot.
    pub ace: Bits<ACE_BITS>,
    /// Destination entry.
    pub destination: Bits<9>,
    /// Flow slot.
    pub flow: Bits<13>,
    /// Punt ring.
    pub queue: Bits<2>,
}

/// The verdict and all that carries it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Ruling {
    /// `Verdict` code.
    pub verdict: Bits<2>,
    /// `Reason` code.
    pub reason: Bits<6>,
    /// Egress port when forwarded.
    pub egress: Bits<1>,
    /// `layout` `Metadata`, packed, length zero.
    pub metadata: Bits<76>,
    /// The flow slot to count the frame in.
    pub flow: Bits<13>,
    /// The frame counts in `flow`.
    pub counts: Bit,
    /// TCP FIN, for the flow's statistics.
    pub fin: Bit,
    /// TCP RST.
    pub rst: Bit,
    /// Bytes change as below.
    pub rewrite: Bit,
    /// The frame carries a tag: fields are four bytes later.
    pub tagged: Bit,
    /// New destination MAC address.
    pub destination_mac: Bits<48>,
    /// New source MAC address.
    pub source_mac: Bits<48>,
    /// New VLAN identifier when tagged.
    pub vid: Bits<12>,
    /// The source address (and port) changes; only with `rewrite`.
    pub translate_source: Bit,
    /// The destination address (and port) changes; only with `rewrite`, never with `translate_source`.
    pub translate_destination: Bit,
    /// New address.
    pub address: Bits<32>,
    /// New port or identifier.
    pub l4_port: Bits<16>,
    /// Protocol is TCP.
    pub tcp: Bit,
    /// Protocol is UDP.
    pub udp: Bit,
    /// Protocol is ICMP.
    pub icmp: Bit,
}

/// Checksums of a frame after translation, folded once: bit 16 is a carry still to be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Sums {
    /// Complement of the IPv4 header checksum.
    pub ip: Bits<17>,
    /// Complement of the TCP, UDP or ICMP checksum.
    pub l4: Bits<17>,
    /// A UDP checksum of zero means none, and stays.
    pub keep_l4: Bit,
    /// The TCP, UDP or ICMP checksum comes out as zero.
    pub zero_l4: Bit,
}

/// The 40 bytes from the IPv4 header on that a translation may change, the last byte in the lowest bits.
/// `dport` is also the checksum of ICMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Headers {
    /// Bytes 38 and 39.
    pub end: Bits<16>,
    /// Bytes 36 and 37.
    pub tcp_checksum: Bits<16>,
    /// Bytes 28 to 35.
    pub gap: Bits<64>,
    /// Bytes 26 and 27.
    pub udp_checksum: Bits<16>,
    /// Bytes 24 and 25: ICMP identifier.
    pub identifier: Bits<16>,
    /// Bytes 22 and 23.
    pub dport: Bits<16>,
    /// Bytes 20 and 21.
    pub sport: Bits<16>,
    /// Bytes 16 to 19.
    pub destination: Bits<32>,
    /// Bytes 12 to 15.
    pub source: Bits<32>,
    /// Bytes 10 and 11.
    pub ip_checksum: Bits<16>,
    /// Bytes 0 to 9.
    pub begin: Bits<80>,
}

/// What becomes of the frame a beat belongs to; `length` counts once the beat is its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Route {
    /// `Verdict` code.
    pub verdict: Bits<2>,
    /// Egress port when forwarded.
    pub egress: Bits<1>,
    /// First beat of the frame.
    pub first: Bit,
    /// Bytes of the frame up to this beat.
    pub length: Bits<16>,
    /// `layout` `Metadata`, packed, length zero.
    pub metadata: Bits<76>,
}

/// One bit for each of `layout::simulator::STAGES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Stages {
    /// The first beat was taken in.
    pub ingress: Bit,
    /// The headers were read.
    pub parse: Bit,
    /// The flow table was asked.
    pub flow: Bit,
    /// The destination table was asked.
    pub destination: Bit,
    /// The ACL was asked.
    pub acl: Bit,
    /// The verdict was given.
    pub decide: Bit,
    /// The first beat left.
    pub egress: Bit,
    /// The last beat left.
    pub last: Bit,
}
