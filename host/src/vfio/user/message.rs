//! Messages: commands, numbers, and the fields of bodies.

use std::io::ErrorKind;
use std::time::Duration;

use super::super::Error;

/// The requests used here, as the specification numbers them.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Command {
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceGetInfo = 4,
    DeviceGetRegionInfo = 5,
    DeviceGetIrqInfo = 7,
    DeviceSetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    DeviceReset = 13,
}

impl Command {
    pub(super) fn name(self) -> &'static str {
        match self {
            Command::Version => "version negotiation",
            Command::DmaMap => "mapping of memory",
            Command::DmaUnmap => "unmapping of memory",
            Command::DeviceGetInfo => "device information",
            Command::DeviceGetRegionInfo => "region information",
            Command::DeviceGetIrqInfo => "interrupt information",
            Command::DeviceSetIrqs => "setting up interrupts",
            Command::RegionRead => "read",
            Command::RegionWrite => "write",
            Command::DeviceReset => "reset",
        }
    }
}

pub(super) fn failure(command: Command, limit: Duration, source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout {
            request: command.name(),
            limit,
        },
        _ => Error::Io {
            request: command.name(),
            source,
        },
    }
}

pub(super) fn access_header(region: u32, offset: u64, count: usize) -> [u8; ACCESS_BYTES] {
    let mut body = [0; ACCESS_BYTES];
    body[..8].copy_from_slice(&offset.to_le_bytes());
    body[8..12].copy_from_slice(&region.to_le_bytes());
    body[12..].copy_from_slice(&(count as u32).to_le_bytes());
    body
}

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Error> {
    bytes
        .get(at..at + N)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::Protocol("a reply that ends too early".into()))
}

pub(super) const VERSION_MAJOR: u16 = 0;
pub(super) const VERSION_MINOR: u16 = 1;
pub(super) const HEADER_BYTES: usize = 16;
/// Offset, region and count in front of the data of a region access.
pub(super) const ACCESS_BYTES: usize = 16;
/// `struct vfio_region_info` without capabilities.
pub(super) const REGION_INFO_BYTES: u32 = 32;
pub(super) const FLAG_TYPE: u32 = 0xf;
pub(super) const FLAG_REPLY: u32 = 1;
pub(super) const FLAG_ERROR: u32 = 1 << 5;
pub(super) const DEVICE_FLAG_RESET: u32 = 1 << 0;
pub(super) const DEVICE_FLAG_PCI: u32 = 1 << 1;
/// The specification's default for `max_data_xfer_size`.
pub(super) const DEFAULT_TRANSFER_BYTES: usize = 1 << 20;
/// Longest access that is sent together with others.
pub(super) const BATCH_ACCESS_BYTES: usize = 8 << 10;
/// Most bytes of messages on their way at once: well below what a socket's buffer takes by default.
pub(super) const BATCH_BYTES: usize = 72 << 10;
/// What a message costs in the socket's buffer beside its data.
pub(super) const MESSAGE_COST_BYTES: usize = 1024;
/// Room for the fixed part of a reply around its data.
pub(super) const SLACK_BYTES: usize = 4096;
/// More regions than any device has; a bound on what a peer can make us ask.
pub(super) const REGIONS_LIMIT: u32 = 256;
/// Index of the MSI-X interrupts.
pub(super) const IRQ_MSIX: u32 = 2;
/// `VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER`.
pub(super) const IRQ_EVENTS: u32 = 1 << 2 | 1 << 5;
/// `VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER`; with a count of 0 it switches all off.
pub(super) const IRQ_NONE: u32 = 1 << 0 | 1 << 5;
/// Memory that the device may read and write.
pub(super) const MAP_READ_WRITE: u32 = 1 << 0 | 1 << 1;
/// Most file descriptors sent with one message.
pub(super) const MESSAGE_FDS: usize = 16;
