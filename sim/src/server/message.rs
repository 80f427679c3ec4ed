//! vfio-user messages: bytes to requests, and the reply each request owes.
//!
//! Pure: no socket is touched. A message is taken only when all of it is here, so a command that is
//! unknown or malformed costs an error reply and never the place in the stream; descriptors that came
//! with it are closed if it has no use for them. Integers are little-endian, as on every machine
//! vfio-user runs on.

use std::os::fd::OwnedFd;

use super::device::Device;
use super::interrupts::{self, SetIrqs};
use super::memory::Access;

/// Bytes of a message header.
pub const HEADER_BYTES: usize = 16;
/// Most bytes of region data in one message, as told to clients.
pub const MAX_TRANSFER_BYTES: usize = 1 << 20;
/// Longest message that can mean anything.
const MAX_MESSAGE_BYTES: usize = MAX_TRANSFER_BYTES + 4096;

const FLAG_TYPE_MASK: u32 = 0xf;
const FLAG_REPLY: u32 = 1;
const FLAG_NO_REPLY: u32 = 1 << 4;
const FLAG_ERROR: u32 = 1 << 5;

/// File descriptors one message may carry, as told to clients: all vectors at once.
pub const MAX_DESCRIPTORS: usize = 8;

const CAPABILITIES: &str = r#"{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}"#;

/// Commands this server answers otherwise than with "not supported".
mod command {
    pub const VERSION: u16 = 1;
    pub const DMA_MAP: u16 = 2;
    pub const DMA_UNMAP: u16 = 3;
    pub const DEVICE_GET_INFO: u16 = 4;
    pub const DEVICE_GET_REGION_INFO: u16 = 5;
    pub const DEVICE_GET_IRQ_INFO: u16 = 7;
    pub const DEVICE_SET_IRQS: u16 = 8;
    pub const REGION_READ: u16 = 9;
    pub const REGION_WRITE: u16 = 10;
    pub const DEVICE_RESET: u16 = 13;
}

/// Bytes that cannot be the start of a message; what follows cannot be understood either.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The size in a header is out of range.
    #[error("a message of {0} bytes is shorter than its header or longer than any message")]
    Size(u32),
    /// A client sends commands only.
    #[error("a message of type {0} is not a command")]
    Type(u32),
}

/// Error numbers that reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Errno {
    /// EIO: the card or a file failed.
    Io = 5,
    /// EINVAL: the request makes no sense for this device.
    Invalid = 22,
    /// EOPNOTSUPP: no such command here.
    NotSupported = 95,
}

/// A whole message from the client.
#[derive(Debug)]
pub struct Request {
    id: u16,
    command: u16,
    flags: u32,
    payload: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Request {
    /// Bytes that the message at the front of the received ones still lacks, as far as can be told.
    ///
    /// # Errors
    /// If they cannot be the start of a message.
    pub fn missing(received: &[u8]) -> Result<usize, FramingError> {
        let Some(header) = received.get(..HEADER_BYTES) else {
            return Ok(HEADER_BYTES - received.len());
        };
        let mut header = Reader(header);
        header.skip(4);
        let (size, flags) = (header.u32(), header.u32());
        if !(HEADER_BYTES..=MAX_MESSAGE_BYTES).contains(&(size as usize)) {
            return Err(FramingError::Size(size));
        }
        if flags & FLAG_TYPE_MASK != 0 {
            return Err(FramingError::Type(flags & FLAG_TYPE_MASK));
        }
        Ok((size as usize).saturating_sub(received.len()))
    }

    /// Takes a message of which nothing is [missing](Self::missing), and all its descriptors.
    pub fn take(received: &mut Vec<u8>, descriptors: &mut Vec<OwnedFd>) -> Self {
        let mut header = Reader(received);
        let (id, command) = (header.u16(), header.u16());
        let (size, flags) = (header.u32() as usize, header.u32());
        let payload = received[HEADER_BYTES..size].to_vec();
        received.drain(..size);
        Self {
            id,
            command,
            flags,
            payload,
            descriptors: std::mem::take(descriptors),
        }
    }

    /// Does what is asked; gives the reply, unless the client wants none.
    pub fn answer(mut self, device: &mut Device) -> Option<Vec<u8>> {
        let outcome = self.execute(device);
        if self.flags & FLAG_NO_REPLY != 0 {
            return None;
        }
        let (flags, errno, payload) = match outcome {
            Ok(payload) => (FLAG_REPLY, 0, payload),
            Err(errno) => (FLAG_REPLY | FLAG_ERROR, errno as u32, Vec::new()),
        };
        let mut reply = Vec::with_capacity(HEADER_BYTES + payload.len());
        reply.extend_from_slice(&self.id.to_le_bytes());
        reply.extend_from_slice(&self.command.to_le_bytes());
        put(
            &mut reply,
            &[(HEADER_BYTES + payload.len()) as u32, flags, errno],
        );
        reply.extend_from_slice(&payload);
        Some(reply)
    }

    fn execute(&mut self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        match self.command {
            command::VERSION => self.version(),
            command::DMA_MAP => self.dma_map(device),
            command::DMA_UNMAP => self.dma_unmap(device),
            command::DEVICE_GET_INFO => self.payload_of(16).map(|_| device_info()),
            command::DEVICE_GET_REGION_INFO => self.region_info(device),
            command::DEVICE_GET_IRQ_INFO => self.irq_info(),
            command::DEVICE_SET_IRQS => self.set_irqs(device),
            command::REGION_READ => self.region_read(device),
            command::REGION_WRITE => self.region_write(device),
            command::DEVICE_RESET => {
                device.reset();
                Ok(Vec::new())
            }
            _ => Err(Errno::NotSupported),
        }
    }

    /// The payload, if it has at least this many bytes.
    fn payload_of(&self, bytes: usize) -> Result<Reader<'_>, Errno> {
        if self.payload.len() < bytes {
            Err(Errno::Invalid)
        } else {
            Ok(Reader(&self.payload))
        }
    }

    /// Version 0.0 with our limits. The client's own capabilities change nothing we do.
    fn version(&self) -> Result<Vec<u8>, Errno> {
        if self.payload_of(4)?.u16() != 0 {
            return Err(Errno::Invalid);
        }
        let mut reply = vec![0; 4];
        reply.extend_from_slice(CAPABILITIES.as_bytes());
        reply.push(0);
        Ok(reply)
    }

    fn region_info(&self, device: &Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(32)?;
        payload.skip(8);
        let index = payload.u32();
        let size = device.region_bytes(index).ok_or(Errno::Invalid)? as u64;
        let flags = if size == 0 {
            0
        } else {
            REGION_READABLE | REGION_WRITABLE
        };
        let mut reply = Vec::with_capacity(32);
        put(
            &mut reply,
            &[32, flags, index, 0, size as u32, (size >> 32) as u32, 0, 0],
        );
        Ok(reply)
    }

    fn dma_map(&mut self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(32)?;
        payload.skip(4);
        let (flags, offset) = (payload.u32(), payload.u64());
        let (address, bytes) = (payload.u64(), payload.u64());
        if self.descriptors.len() > 1 {
            return Err(Errno::Invalid);
        }
        let access = Access {
            read: flags & MAP_READ != 0,
            write: flags & MAP_WRITE != 0,
        };
        let file = self.descriptors.pop().map(|file| (file, offset));
        device.map(address, bytes, access, file)?;
        Ok(Vec::new())
    }

    fn dma_unmap(&self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(24)?;
        payload.skip(4);
        let (flags, address, bytes) = (payload.u32(), payload.u64(), payload.u64());
        match flags {
            0 => device.unmap(address, bytes),
            UNMAP_ALL if address == 0 && bytes == 0 => device.unmap_all(),
            _ => return Err(Errno::Invalid),
        }
        Ok(self.payload[..24].to_vec())
    }

    fn irq_info(&self) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(16)?;
        payload.skip(8);
        let index = payload.u32();
        let counts = interrupts::COUNTS;
        let count = *counts.get(index as usize).ok_or(Errno::Invalid)?;
        let flags = if count == 0 { 0 } else { IRQ_EVENTFD };
        let mut reply = Vec::with_capacity(16);
        put(&mut reply, &[16, flags, index, count]);
        Ok(reply)
    }

    fn set_irqs(&mut self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(20)?;
        payload.skip(4);
        let request = SetIrqs {
            flags: payload.u32(),
            index: payload.u32(),
            start: payload.u32(),
            count: payload.u32(),
        };
        let descriptors = std::mem::take(&mut self.descriptors);
        device.set_irqs(request, &self.payload[20..], descriptors)?;
        Ok(Vec::new())
    }

    fn region_read(&self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(16)?;
        let (offset, region, count) = (payload.u64(), payload.u32(), payload.u32() as usize);
        if count > MAX_TRANSFER_BYTES {
            return Err(Errno::Invalid);
        }
        let mut reply = self.payload[..16].to_vec();
        reply.resize(16 + count, 0);
        device.region_read(region, offset, &mut reply[16..])?;
        Ok(reply)
    }

    fn region_write(&self, device: &mut Device) -> Result<Vec<u8>, Errno> {
        let mut payload = self.payload_of(16)?;
        let (offset, region, count) = (payload.u64(), payload.u32(), payload.u32() as usize);
        let data = &self.payload[16..];
        if data.len() != count {
            return Err(Errno::Invalid);
        }
        device.region_write(region, offset, data)?;
        Ok(self.payload[..16].to_vec())
    }
}

/// `VFIO_REGION_INFO_FLAG_READ`.
const REGION_READABLE: u32 = 1 << 0;
/// `VFIO_REGION_INFO_FLAG_WRITE`.
const REGION_WRITABLE: u32 = 1 << 1;
/// `VFIO_IRQ_INFO_EVENTFD`.
const IRQ_EVENTFD: u32 = 1 << 0;
/// `VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI`.
const DEVICE_FLAGS: u32 = 1 << 0 | 1 << 1;
/// The function may read the range.
const MAP_READ: u32 = 1 << 0;
/// The function may write the range.
const MAP_WRITE: u32 = 1 << 1;
/// All ranges at once.
const UNMAP_ALL: u32 = 1 << 1;

fn device_info() -> Vec<u8> {
    let mut reply = Vec::with_capacity(16);
    put(
        &mut reply,
        &[
            16,
            DEVICE_FLAGS,
            super::device::REGIONS,
            interrupts::COUNTS.len() as u32,
        ],
    );
    reply
}

fn put(bytes: &mut Vec<u8>, words: &[u32]) {
    words
        .iter()
        .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
}

/// Takes integers from the front of bytes known to be long enough.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (value, rest) = self
            .0
            .split_first_chunk()
            .expect("the caller checked the length");
        self.0 = rest;
        *value
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
