//! Frames for tests and benches: every header field can be set, rightly or wrongly.
//!
//! Nothing is checked. Lengths and checksums are right unless given. Independent of the model's
//! parser, which it serves to test.

/// A checksum in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The right one.
    Right,
    /// This one, right or not.
    Value(u16),
}

/// What follows the IPv4 header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with its data offset in words (20 bytes are written whatever it says).
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Flags, FIN in bit 0.
        flags: u8,
        /// Data offset.
        offset: u8,
    },
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// ICMP with an identifier.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Bytes 4..6.
        identifier: u16,
    },
    /// Another protocol.
    Other(u8),
}

impl Transport {
    /// A TCP segment with good offset.
    pub fn tcp(sport: u16, dport: u16, flags: u8) -> Self {
        Self::Tcp {
            sport,
            dport,
            flags,
            offset: 5,
        }
    }

    /// IP protocol number.
    pub fn proto(&self) -> u8 {
        match self {
            Self::Tcp { .. } => 6,
            Self::Udp { .. } => 17,
            Self::Icmp { .. } => 1,
            Self::Other(proto) => *proto,
        }
    }
}

/// An Ethernet frame that carries IPv4 unless its EtherType says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Destination MAC, first byte on the wire in bits 47..40.
    pub destination: u64,
    /// Source MAC.
    pub source: u64,
    /// 802.1Q priority and VLAN identifier.
    pub tag: Option<u16>,
    /// EtherType behind the tag.
    pub ethertype: u16,
    /// IP version.
    pub version: u8,
    /// Header length in words; more than five writes that many zero options.
    pub header_words: u8,
    /// Total length, if not the right one.
    pub total_length: Option<u16>,
    /// Identification.
    pub identification: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// IPv4 header checksum.
    pub ip_checksum: Checksum,
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Transport header.
    pub transport: Transport,
    /// Transport checksum.
    pub l4_checksum: Checksum,
    /// Bytes behind the transport header.
    pub payload: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            destination: 0x0200_0000_0001,
            source: 0x0200_0000_00fe,
            tag: None,
            ethertype: 0x0800,
            version: 4,
            header_words: 5,
            total_length: None,
            identification: 0x1234,
            fragment: 0x4000,
            ttl: 64,
            ip_checksum: Checksum::Right,
            src: 0x0a00_0002,
            dst: 0xc000_0202,
            transport: Transport::tcp(40_000, 443, 0x02),
            l4_checksum: Checksum::Right,
            payload: b"0123456789".to_vec(),
        }
    }
}

impl Frame {
    /// The bytes.
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(64 + self.payload.len());
        frame.extend_from_slice(&self.destination.to_be_bytes()[2..]);
        frame.extend_from_slice(&self.source.to_be_bytes()[2..]);
        if let Some(tag) = self.tag {
            frame.extend_from_slice(&[0x81, 0x00]);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        frame.extend_from_slice(&self.ethertype.to_be_bytes());
        let l4 = self.build_transport();
        frame.extend_from_slice(&self.build_ip(l4.len()));
        frame.extend_from_slice(&l4);
        frame
    }

    fn build_ip(&self, l4_bytes: usize) -> Vec<u8> {
        let header_bytes = 4 * usize::from(self.header_words.max(5));
        let total = self
            .total_length
            .unwrap_or((header_bytes + l4_bytes) as u16);
        let mut header = vec![self.version << 4 | self.header_words, 0];
        header.extend_from_slice(&total.to_be_bytes());
        header.extend_from_slice(&self.identification.to_be_bytes());
        header.extend_from_slice(&self.fragment.to_be_bytes());
        header.extend_from_slice(&[self.ttl, self.transport.proto(), 0, 0]);
        header.extend_from_slice(&self.src.to_be_bytes());
        header.extend_from_slice(&self.dst.to_be_bytes());
        header.resize(header_bytes, 0);
        let checksum = match self.ip_checksum {
            Checksum::Right => internet_checksum(&header),
            Checksum::Value(value) => value,
        };
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn build_transport(&self) -> Vec<u8> {
        let length = self.payload.len();
        let (mut l4, checksum_at) = match self.transport {
            Transport::Tcp {
                sport,
                dport,
                flags,
                offset,
            } => {
                let mut l4 = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
                l4.extend_from_slice(&[
                    0,
                    0,
                    0,
                    1,
                    0,
                    0,
                    0,
                    0,
                    offset << 4,
                    flags,
                    0x20,
                    0,
                    0,
                    0,
                    0,
                    0,
                ]);
                (l4, 16)
            }
            Transport::Udp { sport, dport } => {
                let udp_length = (8 + length) as u16;
                (
                    [sport, dport, udp_length, 0].map(u16::to_be_bytes).concat(),
                    6,
                )
            }
            Transport::Icmp {
                kind,
                code,
                identifier,
            } => {
                let identifier = identifier.to_be_bytes();
                (
                    vec![kind, code, 0, 0, identifier[0], identifier[1], 0, 1],
                    2,
                )
            }
            Transport::Other(_) => return self.payload.clone(),
        };
        l4.extend_from_slice(&self.payload);
        let checksum = match self.l4_checksum {
            Checksum::Value(value) => value,
            Checksum::Right => self.transport_checksum(&l4),
        };
        l4[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
        l4
    }

    /// The transport checksum over a segment whose checksum field is zero.
    fn transport_checksum(&self, l4: &[u8]) -> u16 {
        let mut covered = Vec::new();
        if !matches!(self.transport, Transport::Icmp { .. }) {
            covered.extend_from_slice(&self.src.to_be_bytes());
            covered.extend_from_slice(&self.dst.to_be_bytes());
            covered.extend_from_slice(&[0, self.transport.proto()]);
            covered.extend_from_slice(&(l4.len() as u16).to_be_bytes());
        }
        covered.extend_from_slice(l4);
        match (internet_checksum(&covered), &self.transport) {
            (0, Transport::Udp { .. }) => 0xffff,
            (checksum, _) => checksum,
        }
    }
}

/// RFC 1071; an odd last byte is padded with zero.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum = words.fold(0u32, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    !(sum as u16)
}
