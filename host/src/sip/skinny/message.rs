//! Skinny (SCCP) messages: cut from a stream, addresses found in them.
//!
//! A message is a length, a version and that many bytes, of which the first four are its number; all numbers have
//! their low byte first, addresses their high byte first.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes before the part that the length counts.
pub const PREFIX_BYTES: usize = 8;
/// Longest part that is held for inspection.
pub const MESSAGE_BYTES: usize = 64 * 1024;
/// Messages from this version on have room for IPv6 addresses.
const LONG_ADDRESSES: u32 = 17;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Version of its header.
    pub version: u32,
    /// Its number.
    pub id: u32,
}

/// What a message is to the inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A phone registers and says its address.
    Register,
    /// The phone may go on.
    RegisterAck,
    /// Keep-alives, alarms and refusals, which need no registration.
    Unregistered,
    /// A phone says where it receives media.
    ReceiveAck,
    /// A phone is told where to send media.
    StartTransmission,
    /// A phone is told to receive no longer.
    CloseReceive,
    /// Anything else.
    Other,
}

impl<'a> Message<'a> {
    /// Reads a message that was cut from a stream. `None` if it is not one whole message.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let length = word(bytes, 0)? as usize;
        let is_whole = length >= 4 && bytes.len().checked_sub(PREFIX_BYTES) == Some(length);
        Some(Self {
            bytes,
            version: word(bytes, 4)?,
            id: word(bytes, 8)?,
        })
        .filter(|_| is_whole)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.id {
            0x0001 => Kind::Register,
            0x0081 => Kind::RegisterAck,
            0x0000 | 0x0020 | 0x009d | 0x009f | 0x0100 => Kind::Unregistered,
            0x0022 => Kind::ReceiveAck,
            0x008a => Kind::StartTransmission,
            0x0106 => Kind::CloseReceive,
            _ => Kind::Other,
        }
    }

    /// Where its address stands, and its port if it has one; `None` without an IPv4 address.
    pub fn address(&self) -> Option<(usize, Option<usize>)> {
        let (at, has_port) = match self.kind() {
            Kind::Register => return Some((36, None)).filter(|(at, _)| self.bytes.len() >= at + 4),
            Kind::ReceiveAck => (16, true),
            Kind::StartTransmission => (20, true),
            _ => return None,
        };
        let (address, port) = if self.version >= LONG_ADDRESSES {
            // The kind of address comes first: 0 is IPv4.
            if word(self.bytes, at)? != 0 {
                return None;
            }
            (at + 4, at + 20)
        } else {
            (at, at + 4)
        };
        word(self.bytes, port)?;
        Some((address, has_port.then_some(port)))
    }

    /// The address and port that it names.
    pub fn socket(&self) -> Option<SocketAddrV4> {
        let (address, port) = self.address()?;
        let octets: [u8; 4] = self.bytes.get(address..address + 4)?.try_into().ok()?;
        let port = match port {
            Some(port) => word(self.bytes, port)?.try_into().ok()?,
            None => 0,
        };
        Some(SocketAddrV4::new(Ipv4Addr::from(octets), port))
    }

    /// The message with another address and port.
    pub fn with_socket(&self, socket: SocketAddrV4) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        let Some((address, port)) = self.address() else {
            return bytes;
        };
        bytes[address..address + 4].copy_from_slice(&socket.ip().octets());
        if let Some(port) = port {
            bytes[port..port + 4].copy_from_slice(&u32::from(socket.port()).to_le_bytes());
        }
        bytes
    }

    /// What names a stream of media: both ends say it of the same channel.
    pub fn party(&self) -> Option<u32> {
        match self.kind() {
            Kind::ReceiveAck if self.version >= LONG_ADDRESSES => word(self.bytes, 40),
            Kind::ReceiveAck => word(self.bytes, 24),
            Kind::StartTransmission | Kind::CloseReceive => word(self.bytes, 16),
            _ => None,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(word))
}

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Message(Vec<u8>),
    /// A length that no message has; nothing follows.
    Broken(u32),
}

/// Cuts a stream into messages and holds one at most.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    out: VecDeque<Frame>,
    is_broken: bool,
}

impl Framer {
    /// Takes the next bytes. What they complete is in [`Framer::poll`].
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.is_broken {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = word(&self.buffer, at) {
            if !(4..=MESSAGE_BYTES as u32).contains(&length) {
                self.is_broken = true;
                self.out.push_back(Frame::Broken(length));
                self.buffer = Vec::new();
                return;
            }
            let end = at + PREFIX_BYTES + length as usize;
            let Some(message) = self.buffer.get(at..end) else {
                break;
            };
            self.out.push_back(Frame::Message(message.to_vec()));
            at = end;
        }
        self.buffer.drain(..at);
    }

    /// The next piece.
    pub fn poll(&mut self) -> Option<Frame> {
        self.out.pop_front()
    }

    /// Bytes held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }
}
