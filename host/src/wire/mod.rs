//! Frames on the host path: read with `etherparse`, edited in place.
//!
//! A frame comes in as bytes; what is read leaves as small `Copy` values holding offsets, so that
//! the same frame can be edited afterwards. Nothing here decides anything about a packet.

/// The one's complement checksum and its RFC 1624 update.
pub mod checksum;
/// Ethernet, 802.1Q, IPv4 and transport headers of a frame, checked.
pub mod packet;
/// In-place edits: addresses, ports, MACs, VLAN tag.
pub mod edit;
/// Whole datagrams: joined, given another payload, cut.
pub mod datagram;
/// ARP messages.
pub mod arp;
/// ICMP echo replies and the packet quoted by an ICMP error.
pub mod icmp;

pub use packet::{Invalid, Link, Mac, Packet, Transport, Tuple};
