//! Transaction layer packets: DWs to requests and completions, and back.
//!
//! Pure. A packet is its DWs as the 7-series streams show them: within a DW the first byte of the
//! packet is in bits 31..24, so header fields are where the specification draws them and payload bytes
//! are swapped. Only what this card and its root complex send each other is known: memory requests
//! and completions, traffic class 0, no digest, no prefixes.
//! PCI Express Base Specification 4.0 §2.2.

/// Most DWs of payload, and of one read.
pub const MAX_DWORDS: usize = 1024;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlp {
    /// Read of host memory or of a BAR.
    MemoryRead {
        /// Who, which bytes.
        request: Request,
        /// DWs, 1..=1024.
        dwords: u16,
    },
    /// Write, posted.
    MemoryWrite {
        /// Who, which bytes.
        request: Request,
        /// Whole DWs, bytes in ascending order of address.
        data: Vec<u8>,
        /// The sender knows the data to be wrong.
        is_poisoned: bool,
    },
    /// Answer to a read.
    Completion(Completion),
}

/// What requests have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bus, device and function of the sender.
    pub requester: u16,
    /// Matches the completion to the read.
    pub tag: u8,
    /// Of the first DW.
    pub address: u64,
    /// Bytes enabled in the first DW.
    pub first_enable: u8,
    /// Bytes enabled in the last DW; 0 when there is one.
    pub last_enable: u8,
}

/// Part of the answer to a read, or its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Bus, device and function of the sender.
    pub completer: u16,
    /// How the read went.
    pub status: Status,
    /// Bytes still to come, those of this completion included; 1..=4096.
    pub byte_count: u16,
    /// Of the read.
    pub requester: u16,
    /// Of the read.
    pub tag: u8,
    /// Low 7 bits of the address of the first byte.
    pub lower_address: u8,
    /// Whole DWs from the one of the first byte on; none unless successful.
    pub data: Vec<u8>,
    /// The sender knows the data to be wrong.
    pub is_poisoned: bool,
}

/// Completion status, §2.2.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Successful.
    Successful = 0b000,
    /// Nobody serves such a request.
    Unsupported = 0b001,
    /// Configuration requests only.
    Retry = 0b010,
    /// The completer could, but will not.
    Aborted = 0b100,
}

/// Why DWs are no packet that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLP {header:08x?}: {reason}")]
pub struct Malformed {
    /// Its first DWs.
    pub header: Vec<u32>,
    /// What is wrong.
    pub reason: &'static str,
}

/// Fmt and Type, byte 0 of the header.
mod kind {
    pub const READ_32: u8 = 0b000_00000;
    pub const READ_64: u8 = 0b001_00000;
    pub const WRITE_32: u8 = 0b010_00000;
    pub const WRITE_64: u8 = 0b011_00000;
    pub const COMPLETION: u8 = 0b000_01010;
    pub const COMPLETION_DATA: u8 = 0b010_01010;
}

/// DW 0: EP, poisoned.
const POISONED: u32 = 1 << 14;
/// DW 0 bits that must be zero here: reserved, traffic class, hints, digest, address type. Attributes may be set.
const ZERO: u32 = 0x00ff_8c00 & !(1 << 18);
/// DW 0: attributes, which change nothing here.
const FOUR_GIB: u64 = 1 << 32;

impl Request {
    /// A request for whole DWs.
    pub fn whole(requester: u16, tag: u8, address: u64, dwords: usize) -> Self {
        Self {
            requester,
            tag,
            address,
            first_enable: 0xf,
            last_enable: if dwords == 1 { 0 } else { 0xf },
        }
    }

    /// Bytes from the first to the last enabled, §2.2.9 table 2-38; 1 when none is.
    pub fn byte_count(&self, dwords: usize) -> usize {
        let skipped = self.first_enable.trailing_zeros().min(3) as usize;
        let last = if dwords == 1 {
            self.first_enable
        } else {
            self.last_enable
        };
        if last == 0 {
            return 1;
        }
        let missing = last.leading_zeros() as usize - 4;
        4 * dwords - skipped - missing
    }

    /// Low bits of the address of the first enabled byte; those of the DW when none is.
    pub fn lower_address(&self) -> u8 {
        let skipped = match self.first_enable {
            0 => 0,
            enable => enable.trailing_zeros() as u8,
        };
        (self.address as u8 & 0x7c) + skipped
    }

    /// Whether the enables are ones the specification allows, §2.2.5.
    fn check(&self, dwords: usize) -> Result<(), &'static str> {
        let (first, last) = (self.first_enable, self.last_enable);
        let is_quad_word = dwords == 2 && self.address.is_multiple_of(8);
        let is_contiguous = |enable: u8| matches!(enable, 0b0001..=0b0100 | 0b0110..=0b1000 | 0b1100 | 0b1110 | 0b1111);
        match dwords {
            1 if last != 0 => Err("last byte enables of one DW"),
            1 => Ok(()),
            _ if first == 0 => Err("no byte enabled in the first DW of several"),
            _ if last == 0 => Err("no byte enabled in the last DW of several"),
            _ if is_quad_word => Ok(()),
            _ if !is_contiguous(first) || !is_contiguous(last) => Err("byte enables with a gap"),
            _ if first & 0b1000 == 0 => Err("first byte enables with a gap before the next DW"),
            _ if last & 0b0001 == 0 => Err("last byte enables with a gap behind the DW before"),
            _ => Ok(()),
        }
    }
}

impl Tlp {
    /// The DWs of a packet. A payload that is no whole number of DWs is cut.
    pub fn encode(&self) -> Vec<u32> {
        match self {
            Tlp::MemoryRead { request, dwords } => {
                let kinds = (kind::READ_32, kind::READ_64);
                encode_request(request, kinds, (*dwords).into(), &[], false)
            }
            Tlp::MemoryWrite {
                request,
                data,
                is_poisoned,
            } => {
                let kinds = (kind::WRITE_32, kind::WRITE_64);
                encode_request(request, kinds, data.len() / 4, data, *is_poisoned)
            }
            Tlp::Completion(completion) => completion.encode(),
        }
    }

    /// The packet in some DWs.
    ///
    /// # Errors
    /// If they are not exactly one well-formed packet of a kind known here.
    pub fn decode(dwords: &[u32]) -> Result<Self, Malformed> {
        decode(dwords).map_err(|reason| Malformed {
            header: dwords[..dwords.len().min(4)].to_vec(),
            reason,
        })
    }
}

impl Completion {
    fn encode(&self) -> Vec<u32> {
        let kind = if self.data.is_empty() {
            kind::COMPLETION
        } else {
            kind::COMPLETION_DATA
        };
        let mut dwords = vec![
            first_dword(kind, self.data.len() / 4, self.is_poisoned),
            u32::from(self.completer) << 16
                | (self.status as u32) << 13
                | u32::from(self.byte_count) & 0xfff,
            u32::from(self.requester) << 16
                | u32::from(self.tag) << 8
                | u32::from(self.lower_address) & 0x7f,
        ];
        dwords.extend(payload_dwords(&self.data));
        dwords
    }
}

fn first_dword(kind: u8, length: usize, is_poisoned: bool) -> u32 {
    let poisoned = if is_poisoned { POISONED } else { 0 };
    u32::from(kind) << 24 | poisoned | length as u32 & 0x3ff
}

fn encode_request(
    request: &Request,
    (kind_32, kind_64): (u8, u8),
    length: usize,
    data: &[u8],
    is_poisoned: bool,
) -> Vec<u32> {
    let is_long = request.address >= FOUR_GIB;
    let kind = if is_long { kind_64 } else { kind_32 };
    let mut dwords = vec![
        first_dword(kind, length, is_poisoned),
        u32::from(request.requester) << 16
            | u32::from(request.tag) << 8
            | u32::from(request.last_enable) << 4
            | u32::from(request.first_enable),
    ];
    if is_long {
        dwords.push((request.address >> 32) as u32);
    }
    dwords.push(request.address as u32);
    dwords.extend(payload_dwords(data));
    dwords
}

fn payload_dwords(data: &[u8]) -> impl Iterator<Item = u32> {
    data.chunks_exact(4)
        .map(|dword| u32::from_be_bytes([dword[0], dword[1], dword[2], dword[3]]))
}

fn decode(dwords: &[u32]) -> Result<Tlp, &'static str> {
    let [first, second, third, ..] = *dwords else {
        return Err("shorter than a header");
    };
    if first & ZERO != 0 {
        return Err("a reserved field is set, or one not known here");
    }
    let length = match first & 0x3ff {
        0 => MAX_DWORDS,
        length => length as usize,
    };
    let is_poisoned = first & POISONED != 0;
    let kind = (first >> 24) as u8;
    let (header, has_data) = match kind {
        kind::READ_32 => (3, false),
        kind::READ_64 => (4, false),
        kind::WRITE_32 | kind::COMPLETION_DATA => (3, true),
        kind::WRITE_64 => (4, true),
        kind::COMPLETION => (3, false),
        _ => return Err("not a memory request or completion"),
    };
    let payload = dwords.get(header..).ok_or("shorter than its header")?;
    if payload.len() != if has_data { length } else { 0 } {
        return Err("its length is not that of its payload");
    }
    let data: Vec<u8> = payload
        .iter()
        .flat_map(|dword| dword.to_be_bytes())
        .collect();
    if matches!(kind, kind::COMPLETION | kind::COMPLETION_DATA) {
        if kind == kind::COMPLETION && first & 0x3ff != 0 {
            return Err("a completion without data has a length");
        }
        return decode_completion(second, third, data, is_poisoned).map(Tlp::Completion);
    }
    let address = match header {
        3 => u64::from(third),
        _ => u64::from(third) << 32 | u64::from(dwords[3]),
    };
    let request = decode_request(second, address, header, length)?;
    Ok(if has_data {
        Tlp::MemoryWrite {
            request,
            data,
            is_poisoned,
        }
    } else {
        Tlp::MemoryRead {
            request,
            dwords: length as u16,
        }
    })
}

fn decode_request(
    second: u32,
    address: u64,
    header: usize,
    dwords: usize,
) -> Result<Request, &'static str> {
    let request = Request {
        requester: (second >> 16) as u16,
        tag: (second >> 8) as u8,
        address: address & !3,
        first_enable: second as u8 & 0xf,
        last_enable: second as u8 >> 4,
    };
    if address & 3 != 0 {
        return Err("its address is not that of a DW");
    }
    if header == 4 && address < FOUR_GIB {
        return Err("a long address below 4 GiB");
    }
    if address & 0xfff > 0x1000 - 4 * dwords as u64 {
        return Err("it crosses a 4 KiB boundary");
    }
    request.check(dwords)?;
    Ok(request)
}

fn decode_completion(
    second: u32,
    third: u32,
    data: Vec<u8>,
    is_poisoned: bool,
) -> Result<Completion, &'static str> {
    let status = match second >> 13 & 7 {
        0b000 => Status::Successful,
        0b001 => Status::Unsupported,
        0b010 => Status::Retry,
        0b100 => Status::Aborted,
        _ => return Err("a completion status that does not exist"),
    };
    if second & 1 << 12 != 0 {
        return Err("byte count modified, which only PCI-X bridges do");
    }
    if third & 0x80 != 0 {
        return Err("a reserved bit beside the lower address is set");
    }
    if data.is_empty() == (status == Status::Successful) {
        return Err("data and completion status disagree");
    }
    Ok(Completion {
        completer: (second >> 16) as u16,
        status,
        byte_count: match second & 0xfff {
            0 => 4096,
            count => count as u16,
        },
        requester: (third >> 16) as u16,
        tag: (third >> 8) as u8,
        lower_address: third as u8 & 0x7f,
        data,
        is_poisoned,
    })
}

#[cfg(test)]
mod tests;
