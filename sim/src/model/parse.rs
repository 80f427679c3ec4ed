//! Frame bytes to header fields: steps 2 and 6 to 16 of the contract.
//!
//! In goes a frame without FCS, out come fields or the reason why there are none. No table is
//! consulted here. RFC 791 §3.1, RFC 9293 §3.1, RFC 768, RFC 792; IEEE 802.1Q §9.

use layout::desc::Reason;
use layout::table::Key;

/// TCP flag: no more data from the sender.
pub const TCP_FIN: u8 = 0x01;
/// TCP flag: a connection begins.
pub const TCP_SYN: u8 = 0x02;
/// TCP flag: the connection is reset.
pub const TCP_RST: u8 = 0x04;
/// TCP flag: the acknowledgement number is meaningful.
pub const TCP_ACK: u8 = 0x10;

/// ICMP.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of an 802.1Q tag.
const ETHERTYPE_VLAN: u16 = 0x8100;

/// The link layer of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The 802.1Q VLAN identifier, if there is a tag.
    pub vid: Option<u16>,
    /// EtherType behind the tag.
    pub ethertype: u16,
    /// Destination MAC, first byte on the wire in bits 47..40.
    pub destination: u64,
    /// Bytes in front of the payload.
    pub header_bytes: usize,
}

impl Link {
    /// Step 2. A runt gives whether its tag was seen.
    pub fn parse(frame: &[u8]) -> Result<Self, bool> {
        if frame.len() < 14 {
            return Err(false);
        }
        let destination = frame[..6]
            .iter()
            .fold(0, |mac, byte| mac << 8 | u64::from(*byte));
        let ethertype = be16(frame, 12);
        if ethertype != ETHERTYPE_VLAN {
            return Ok(Self {
                vid: None,
                ethertype,
                destination,
                header_bytes: 14,
            });
        }
        if frame.len() < 18 {
            return Err(true);
        }
        let vid = Some(be16(frame, 14) & 0x0fff);
        Ok(Self {
            vid,
            ethertype: be16(frame, 16),
            destination,
            header_bytes: 18,
        })
    }

    /// Whether the destination is a group (multicast or broadcast) address.
    pub fn is_group(&self) -> bool {
        self.destination >> 40 & 1 == 1
    }
}

/// What lookups and rewrite need of an IPv4 packet that passed every check.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Lookup key, without its interface.
    pub key: Key,
    /// TCP flags; zero for every other protocol.
    pub tcp_flags: u8,
}

impl Packet {
    /// Steps 6 to 16, on everything behind the link header.
    pub fn parse(payload: &[u8]) -> Result<Self, Reason> {
        let available = payload.len();
        if available < 20 {
            return Err(Reason::TruncatedIp);
        }
        let header_words = payload[0] & 0x0f;
        let total_length = usize::from(be16(payload, 2));
        if payload[0] >> 4 != 4 || header_words < 5 || total_length < usize::from(header_words) * 4
        {
            return Err(Reason::BadIpHeader);
        }
        if header_words == 5 && ones_complement_sum(&payload[..20]) != 0xffff {
            return Err(Reason::BadIpChecksum);
        }
        let (src, dst) = (be32(payload, 12), be32(payload, 16));
        if src >= 0xe000_0000 {
            return Err(Reason::BadSource);
        }
        if src == dst {
            return Err(Reason::Land);
        }
        if header_words > 5 {
            return Err(Reason::IpOptions);
        }
        // More-fragments is bit 13, the offset is below it; don't-fragment and the reserved bit do not count.
        if be16(payload, 6) & 0x3fff != 0 {
            return Err(Reason::Fragment);
        }
        if payload[8] <= 1 {
            return Err(Reason::TtlExpired);
        }
        let proto = payload[9];
        let needed = match proto {
            TCP => 40,
            UDP | ICMP => 28,
            _ => 0,
        };
        if available < needed || total_length < needed {
            return Err(Reason::TruncatedL4);
        }
        let l4 = &payload[20..];
        let (sport, dport, tcp_flags) = match proto {
            TCP if l4[12] >> 4 < 5 => return Err(Reason::BadTcpHeader),
            TCP => (be16(l4, 0), be16(l4, 2), l4[13]),
            UDP => (be16(l4, 0), be16(l4, 2), 0),
            ICMP if matches!(l4[0], 3 | 4 | 5 | 11 | 12) => return Err(Reason::IcmpError),
            ICMP => (be16(l4, 4), be16(l4, 0), 0),
            _ => (0, 0, 0),
        };
        Ok(Self {
            key: Key {
                dport,
                sport,
                dst,
                src,
                proto,
                interface: 0,
            },
            tcp_flags,
        })
    }
}

/// Whether lookups see ports for this protocol.
pub fn has_ports(proto: u8) -> bool {
    matches!(proto, TCP | UDP | ICMP)
}

/// Big-endian 16 bits.
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Big-endian 32 bits.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
}

/// One's complement sum of an even number of bytes (RFC 1071).
fn ones_complement_sum(bytes: &[u8]) -> u16 {
    fold(
        bytes
            .chunks_exact(2)
            .map(|pair| u32::from(be16(pair, 0)))
            .sum(),
    )
}

/// Adds the carries back until none is left.
pub fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
