//! Transaction layer packets as lists of header and payload words, and as beats of the 7-series stream.
//!
//! Written from PCIe base specification 2.2 and PG054 alone. Payload words hold the byte at the lowest address in
//! bits 7..0, as the host sees them.

use super::random::Random;

/// Routing and format of a request, the first byte of its header.
pub const READ: u32 = 0x00;
pub const READ_FAR: u32 = 0x20;
pub const WRITE: u32 = 0x40;
pub const WRITE_FAR: u32 = 0x60;
pub const LOCKED_READ: u32 = 0x01;
pub const IO_READ: u32 = 0x02;
pub const IO_WRITE: u32 = 0x42;
pub const CONFIGURATION_READ: u32 = 0x04;
pub const CONFIGURATION_WRITE: u32 = 0x45;
pub const MESSAGE: u32 = 0x34;
pub const MESSAGE_DATA: u32 = 0x74;
pub const FETCH_ADD: u32 = 0x4c;
pub const SWAP_FAR: u32 = 0x6d;
pub const COMPARE: u32 = 0x4e;
pub const COMPLETION: u32 = 0x0a;
pub const COMPLETION_DATA: u32 = 0x4a;
pub const COMPLETION_LOCKED: u32 = 0x0b;

/// A packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tlp {
    pub header: Vec<u32>,
    pub payload: Vec<u32>,
    /// The hard block found BAR0.
    pub bar0: bool,
    /// The hard block says poisoned.
    pub poisoned: bool,
}

/// A memory, IO or configuration request.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: u32,
    pub address: u64,
    pub dwords: usize,
    pub first: u32,
    pub last: u32,
    pub requester: u32,
    pub tag: u32,
    pub traffic: u32,
    pub attributes: u32,
    pub bar0: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            kind: READ,
            address: 0,
            dwords: 1,
            first: 15,
            last: 0,
            requester: 0x0010,
            tag: 0,
            traffic: 0,
            attributes: 0,
            bar0: true,
        }
    }
}

impl Request {
    /// The packet, with the payload that its kind has.
    pub fn tlp(&self, payload: &[u32]) -> Tlp {
        let mut header = vec![
            self.kind << 24
                | self.traffic << 20
                | (self.attributes >> 2) << 18
                | (self.attributes & 3) << 12
                | (self.dwords as u32 & 0x3ff),
            self.requester << 16 | self.tag << 8 | self.last << 4 | self.first,
        ];
        if self.kind & 0x20 != 0 {
            header.push((self.address >> 32) as u32);
        }
        header.push(self.address as u32);
        let payload = if self.kind & 0x40 != 0 {
            payload.to_vec()
        } else {
            Vec::new()
        };
        Tlp {
            header,
            payload,
            bar0: self.bar0,
            poisoned: false,
        }
    }

    /// Byte enables that the specification allows for this length (2.2.5).
    pub fn random_enables(&mut self, random: &mut Random) {
        (self.first, self.last) = match self.dwords {
            1 => (random.below(16) as u32, 0),
            // Holes are allowed in two DWs of an aligned quadword only.
            2 if self.address & 4 == 0 => {
                (1 + random.below(15) as u32, 1 + random.below(15) as u32)
            }
            _ => (
                [15, 14, 12, 8][random.below(4) as usize],
                [15, 7, 3, 1][random.below(4) as usize],
            ),
        };
    }

    /// Table 2-38 of the specification.
    pub fn byte_count(&self) -> usize {
        if self.kind == IO_READ || self.kind == IO_WRITE || self.kind & 0x1e == 0x04 {
            return 4;
        }
        match self.kind & 0x1f {
            0x0c | 0x0d => return 4 * self.dwords,
            0x0e => return 2 * self.dwords,
            _ => {}
        }
        let lead = self.lead();
        if self.dwords == 1 {
            return match self.first {
                0b0000 | 0b0001 | 0b0010 | 0b0100 | 0b1000 => 1,
                0b0011 | 0b0110 | 0b1100 => 2,
                0b0101 | 0b0111 | 0b1010 | 0b1110 => 3,
                _ => 4,
            };
        }
        let behind = match self.last {
            8.. => 0,
            4.. => 1,
            2.. => 2,
            _ => 3,
        };
        4 * self.dwords - lead - behind
    }

    /// Table 2-39: bytes of the first DW before the first enabled one.
    pub fn lead(&self) -> usize {
        match self.first {
            0b0000 => 0,
            enables => enables.trailing_zeros() as usize,
        }
    }
}

/// A completion for a request of the card.
pub fn completion(
    tag: u32,
    requester: u32,
    status: u32,
    bytes: usize,
    lower: u32,
    payload: &[u32],
) -> Tlp {
    let kind = if payload.is_empty() {
        COMPLETION
    } else {
        COMPLETION_DATA
    };
    Tlp {
        header: vec![
            kind << 24 | (payload.len() as u32 & 0x3ff),
            0x0010 << 16 | status << 13 | (bytes as u32 & 0xfff),
            requester << 16 | tag << 8 | lower,
        ],
        payload: payload.to_vec(),
        bar0: false,
        poisoned: false,
    }
}

/// One beat: data, `keep`, `last`.
pub type Beat = (u64, u64, bool);

impl Tlp {
    /// Its beats on the stream.
    pub fn beats(&self) -> Vec<Beat> {
        let words: Vec<u32> = self
            .header
            .iter()
            .copied()
            .chain(self.payload.iter().map(|word| word.swap_bytes()))
            .collect();
        let count = words.len().div_ceil(2);
        words
            .chunks(2)
            .enumerate()
            .map(|(index, pair)| {
                let high = pair.get(1).copied().unwrap_or(0xdead_beef);
                let keep = if pair.len() == 2 { 0xff } else { 0x0f };
                (
                    u64::from(high) << 32 | u64::from(pair[0]),
                    keep,
                    index + 1 == count,
                )
            })
            .collect()
    }

    /// Takes the words of a packet apart.
    ///
    /// # Panics
    /// When its length does not agree with its header.
    pub fn parse(words: &[u32]) -> Self {
        let header = if words[0] >> 29 & 1 == 1 { 4 } else { 3 };
        let length = match words[0] & 0x3ff {
            0 => 1024,
            length => length as usize,
        };
        let payload: Vec<u32> = words[header..]
            .iter()
            .map(|word| word.swap_bytes())
            .collect();
        let expected = if words[0] >> 30 & 1 == 1 { length } else { 0 };
        assert_eq!(payload.len(), expected, "{words:08x?}");
        Self {
            header: words[..header].to_vec(),
            payload,
            ..Self::default()
        }
    }

    /// Format and type.
    pub fn kind(&self) -> u32 {
        self.header[0] >> 24
    }

    /// Tag of a completion.
    pub fn tag(&self) -> u32 {
        self.header[2] >> 8 & 0xff
    }

    /// A completion.
    pub fn is_completion(&self) -> bool {
        self.kind() & 0x1e == 0x0a
    }

    /// Address of a memory request.
    pub fn address(&self) -> u64 {
        match self.header[..] {
            [_, _, high, low] => u64::from(high) << 32 | u64::from(low),
            _ => u64::from(self.header[2]),
        }
    }
}
