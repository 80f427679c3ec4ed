//! Headers of a received frame, checked and reduced to what the host path asks.
//!
//! In: a frame without FCS. Out: [`Link`] (Ethernet II and at most one 802.1Q tag) and [`Packet`]
//! (IPv4 and TCP, UDP or ICMP) or the reason why it is [`Invalid`]. The checks repeat those of the
//! card (`hdl/CONTRACT.md`, classification) and add the ones that the card leaves to the host:
//! checksum of headers with options, whole datagram present, UDP length, TCP options present.
//! RFC 791, 793, 768, 792.

use std::fmt;
use std::net::Ipv4Addr;

use etherparse::{
    Ethernet2HeaderSlice, Ipv4HeaderSlice, SingleVlanHeaderSlice, TcpHeaderSlice, UdpHeaderSlice,
};

use super::checksum;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// IP protocol number of ICMP.
pub const ICMP: u8 = 1;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

/// TCP flag bits as in byte 13 of the header.
pub mod tcp_flags {
    /// No more data.
    pub const FIN: u8 = 1;
    /// First packet.
    pub const SYN: u8 = 2;
    /// Reset.
    pub const RST: u8 = 4;
    /// Acknowledgement.
    pub const ACK: u8 = 16;
}

/// A MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The group bit is set.
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

/// From the form of `layout` tables: first byte on the wire in bits 47..40.
impl From<u64> for Mac {
    fn from(value: u64) -> Self {
        let [_, _, bytes @ ..] = value.to_be_bytes();
        Self(bytes)
    }
}

impl From<Mac> for u64 {
    fn from(Mac([a, b, c, d, e, f]): Mac) -> Self {
        Self::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// As ASA prints it: `0200.0a00.0001`.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}")
    }
}

/// The link layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Destination MAC address.
    pub destination: Mac,
    /// Source MAC address.
    pub source: Mac,
    /// VLAN identifier when tagged.
    pub vid: Option<u16>,
    /// EtherType after the tag.
    pub ethertype: u16,
    /// Bytes of the link header: 14, or 18 when tagged.
    pub len_bytes: usize,
}

impl Link {
    /// Reads the Ethernet header and its tag.
    pub fn parse(frame: &[u8]) -> Result<Self, Invalid> {
        let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Invalid::Runt)?;
        let mut link = Self {
            destination: Mac(header.destination()),
            source: Mac(header.source()),
            vid: None,
            ethertype: header.ether_type().0,
            len_bytes: 14,
        };
        if link.ethertype == ETHERTYPE_VLAN {
            let tag = SingleVlanHeaderSlice::from_slice(&frame[14..]).map_err(|_| Invalid::Runt)?;
            link.vid = Some(tag.vlan_identifier().value());
            link.ethertype = tag.ether_type().0;
            link.len_bytes = 18;
        }
        Ok(link)
    }
}

/// What a lookup matches on, without the interface. For ICMP `sport` is the identifier and `dport`
/// is type << 8 | code, as in `layout::Key`. Ports are 0 for protocols other than these three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// IP protocol.
    pub proto: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Source port, or ICMP identifier.
    pub sport: u16,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Destination port, or ICMP type and code.
    pub dport: u16,
}

impl Tuple {
    /// What an answer carries, if anything answers it: an ICMP message that is no query has none.
    pub fn reply(&self) -> Option<Self> {
        let Self {
            proto,
            src,
            sport,
            dst,
            dport,
        } = *self;
        if proto != ICMP {
            return Some(Self {
                proto,
                src: dst,
                sport: dport,
                dst: src,
                dport: sport,
            });
        }
        // RFC 792 and RFC 950: the code of every query and its answer is 0.
        let answer: u16 = match dport {
            0x0800 => 0,
            0x0000 => 8,
            0x0d00 => 14,
            0x0e00 => 13,
            0x0f00 => 16,
            0x1000 => 15,
            0x1100 => 18,
            0x1200 => 17,
            _ => return None,
        };
        Some(Self {
            proto,
            src: dst,
            sport,
            dst: src,
            dport: answer << 8,
        })
    }

    /// An ICMP query, which may open a connection that its answer returns through.
    pub fn is_icmp_query(&self) -> bool {
        self.proto == ICMP && matches!(self.dport, 0x0800 | 0x0d00 | 0x0f00 | 0x1100)
    }

    /// The card's key on an interface.
    pub fn key(&self, interface: u8) -> layout::table::Key {
        let Self {
            proto,
            src,
            sport,
            dst,
            dport,
        } = *self;
        layout::table::Key {
            interface,
            proto,
            src: src.into(),
            sport,
            dst: dst.into(),
            dport,
        }
    }
}

/// Prints `tcp 10.0.0.2/5061 > 192.0.2.254/40000`.
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            proto,
            src,
            sport,
            dst,
            dport,
        } = self;
        match *proto {
            TCP => write!(f, "tcp {src}/{sport} > {dst}/{dport}"),
            UDP => write!(f, "udp {src}/{sport} > {dst}/{dport}"),
            ICMP => write!(
                f,
                "icmp {src} > {dst} type {} code {} id {sport}",
                dport >> 8,
                dport & 0xff
            ),
            other => write!(f, "protocol {other} {src} > {dst}"),
        }
    }
}

/// What follows the IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP with its flag byte.
    Tcp {
        /// [`tcp_flags`].
        flags: u8,
    },
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// Another protocol.
    Other,
    /// A fragment that does not begin the datagram: no transport header.
    Later,
}

/// The place of a fragment in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification field.
    pub ident: u16,
    /// First payload byte, counted in the datagram's payload.
    pub start: usize,
    /// More fragments follow.
    pub more: bool,
}

/// An IPv4 packet in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Link layer.
    pub link: Link,
    /// Frame offset of the IPv4 header.
    pub ip: usize,
    /// Frame offset of the transport header (of the payload, in a later fragment).
    pub l4: usize,
    /// Frame offset just after the datagram; padding may follow.
    pub end: usize,
    /// Time to live.
    pub ttl: u8,
    /// Set when it is a fragment.
    pub fragment: Option<Fragment>,
    /// Addresses and ports; ports are 0 in a later fragment.
    pub tuple: Tuple,
    /// Transport header.
    pub transport: Transport,
}

impl Packet {
    /// Reads and checks an IPv4 frame.
    pub fn parse(frame: &[u8]) -> Result<Self, Invalid> {
        let link = Link::parse(frame)?;
        if link.ethertype != ETHERTYPE_IPV4 {
            return Err(Invalid::NotIp);
        }
        let ip = link.len_bytes;
        let datagram = &frame[ip..];
        if datagram.len() < 20 {
            return Err(Invalid::TruncatedIp);
        }
        let header = Ipv4HeaderSlice::from_slice(datagram).map_err(|_| Invalid::BadIpHeader)?;
        let header_bytes = header.slice().len();
        let total = usize::from(header.total_len());
        if total < header_bytes {
            return Err(Invalid::BadIpHeader);
        }
        if checksum::sum(header.slice()) != 0xffff {
            return Err(Invalid::BadIpChecksum);
        }
        let payload = datagram
            .get(header_bytes..total)
            .ok_or(Invalid::TruncatedIp)?;
        let (src, dst) = (header.source_addr(), header.destination_addr());
        if src.octets()[0] >= 224 {
            return Err(Invalid::BadSource);
        }
        if src == dst {
            return Err(Invalid::Land);
        }
        let fragment = header.is_fragmenting_payload().then(|| Fragment {
            ident: header.identification(),
            start: usize::from(header.fragments_offset().value()) * 8,
            more: header.more_fragments(),
        });
        let proto = header.protocol().0;
        let (transport, sport, dport) = match fragment {
            Some(Fragment { start, .. }) if start > 0 => (Transport::Later, 0, 0),
            _ => transport(proto, payload, fragment.is_some())?,
        };
        Ok(Self {
            link,
            ip,
            l4: ip + header_bytes,
            end: ip + total,
            ttl: header.ttl(),
            fragment,
            tuple: Tuple {
                proto,
                src,
                sport,
                dst,
                dport,
            },
            transport,
        })
    }

    /// TCP flags, or none.
    pub fn tcp_flags(&self) -> u8 {
        match self.transport {
            Transport::Tcp { flags } => flags,
            _ => 0,
        }
    }

    /// The IPv4 options.
    pub fn options<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.ip + 20..self.l4).unwrap_or_default()
    }

    /// The datagram's payload.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.l4..self.end).unwrap_or_default()
    }
}

fn transport(
    proto: u8,
    payload: &[u8],
    fragmented: bool,
) -> Result<(Transport, u16, u16), Invalid> {
    match proto {
        TCP => {
            if payload.len() < 20 {
                return Err(Invalid::TruncatedL4);
            }
            let tcp = TcpHeaderSlice::from_slice(payload).map_err(|_| Invalid::BadTcpHeader)?;
            Ok((
                Transport::Tcp {
                    flags: tcp.slice()[13],
                },
                tcp.source_port(),
                tcp.destination_port(),
            ))
        }
        UDP => {
            let udp = UdpHeaderSlice::from_slice(payload).map_err(|_| Invalid::TruncatedL4)?;
            let len_bytes = usize::from(udp.length());
            // A first fragment announces more than it carries.
            if len_bytes < 8 || (!fragmented && len_bytes > payload.len()) {
                return Err(Invalid::BadUdpLength);
            }
            Ok((Transport::Udp, udp.source_port(), udp.destination_port()))
        }
        ICMP => match payload {
            [kind, code, _, _, id_high, id_low, _, _, ..] => Ok((
                Transport::Icmp,
                u16::from_be_bytes([*id_high, *id_low]),
                u16::from_be_bytes([*kind, *code]),
            )),
            _ => Err(Invalid::TruncatedL4),
        },
        _ => Ok((Transport::Other, 0, 0)),
    }
}

/// Why a frame is not a packet that could be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// Ends before its EtherType.
    Runt,
    /// Neither IPv4 nor ARP.
    NotIp,
    /// Ends inside the IPv4 header or before the announced total length.
    TruncatedIp,
    /// Version, header length or total length is impossible.
    BadIpHeader,
    /// IPv4 header checksum is wrong.
    BadIpChecksum,
    /// Source is multicast, class E or the limited broadcast.
    BadSource,
    /// Source and destination are equal.
    Land,
    /// Ends inside the TCP, UDP or ICMP header.
    TruncatedL4,
    /// TCP data offset is impossible.
    BadTcpHeader,
    /// UDP length is impossible.
    BadUdpLength,
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn tcp_frame() -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 2], [192, 0, 2, 254], 64)
            .tcp(5061, 40000, 7, 1024)
            .syn()
            .write(&mut frame, b"x")
            .expect("a vector takes everything");
        frame
    }

    #[test]
    fn deconstructs_what_was_constructed() {
        let packet = Packet::parse(&tcp_frame()).expect("valid");
        assert_eq!(
            packet.tuple.to_string(),
            "tcp 10.0.0.2/5061 > 192.0.2.254/40000"
        );
        assert_eq!(
            (packet.ip, packet.l4, packet.end, packet.ttl),
            (14, 34, 55, 64)
        );
        assert_eq!(packet.tcp_flags(), tcp_flags::SYN);
    }

    #[test]
    fn every_truncation_is_refused() {
        let frame = tcp_frame();
        for len in 0..frame.len() {
            assert!(Packet::parse(&frame[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn mac_is_the_layout_form_and_prints_as_asa() {
        let mac = Mac([2, 0, 10, 0, 0, 1]);
        assert_eq!(u64::from(mac), 0x0200_0a00_0001);
        assert_eq!(Mac::from(0x0200_0a00_0001), mac);
        assert_eq!(mac.to_string(), "0200.0a00.0001");
    }

    #[test]
    fn reply_of_a_reply_is_the_query() {
        for dport in [0x0800, 0x0d00, 0x0f00, 0x1100] {
            let query = Tuple {
                proto: ICMP,
                src: [10, 0, 0, 2].into(),
                sport: 9,
                dst: [192, 0, 2, 1].into(),
                dport,
            };
            assert_eq!(query.reply().and_then(|r| r.reply()), Some(query));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Packet::parse(&frame);
        }

        #[test]
        fn mutated_frames_never_panic_and_stay_inside(at in 0usize..55, value: u8) {
            let mut frame = tcp_frame();
            frame[at] = value;
            if let Ok(packet) = Packet::parse(&frame) {
                prop_assert!(packet.ip < packet.l4 && packet.l4 <= packet.end && packet.end <= frame.len());
            }
        }
    }
}
