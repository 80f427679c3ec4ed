//! A vfio-user client: device information, region access, DMA memory, interrupts and reset over a socket.
//!
//! Own code and not the client of the `vfio_user` crate (0.1.7): that one ignores error replies,
//! waits for ever for the data of a read that failed, and reports the reset capability inverted.
//! A driver that hangs on a failing card breaks a promise, so here every request has a time limit,
//! error replies are errors, and after a failure in mid-stream the connection is given up for good.
//! Each message leaves in one write, since some servers take a header in two pieces for two.
//!
//! Protocol: the vfio-user specification, sections "Header", "VERSION", "DEVICE_GET_INFO",
//! "DEVICE_GET_REGION_INFO", "DEVICE_GET_IRQ_INFO", "DEVICE_SET_IRQS", "DMA_MAP", "DMA_UNMAP", "REGION_READ",
//! "REGION_WRITE", "DEVICE_RESET".

/// The socket: one request and its reply at a time.
mod connection;
/// Commands, numbers, and the fields of bodies.
mod message;

use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::dma::{DmaMemory, Iovas, Mapping};
use super::{Access, Device, Error, EventFd, RegionInfo, events};
use connection::Connection;
use message::{
    BATCH_ACCESS_BYTES, BATCH_BYTES, Command, DEFAULT_TRANSFER_BYTES, DEVICE_FLAG_PCI,
    DEVICE_FLAG_RESET, IRQ_EVENTS, IRQ_MSIX, IRQ_NONE, MAP_READ_WRITE, MESSAGE_COST_BYTES,
    MESSAGE_FDS, REGION_INFO_BYTES, REGIONS_LIMIT, VERSION_MAJOR, VERSION_MINOR, field, words,
};

/// A connected vfio-user device.
pub struct Client {
    /// Shared with the memory that is mapped, which says so when it goes.
    connection: Arc<Mutex<Connection>>,
    chunk_bytes: usize,
    message_fds: usize,
    resettable: bool,
    regions: Vec<RegionInfo>,
    iovas: Iovas,
}

impl Client {
    /// Connects and learns the device's regions. No request may take longer than `limit`.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, Error> {
        let mut client = Self {
            connection: Arc::new(Mutex::new(Connection::open(path, limit)?)),
            chunk_bytes: DEFAULT_TRANSFER_BYTES,
            message_fds: 1,
            resettable: false,
            regions: Vec::new(),
            iovas: Iovas::default(),
        };
        client.negotiate()?;
        client.learn_regions()?;
        Ok(client)
    }

    /// Whether the device says that it can be reset.
    pub fn is_resettable(&self) -> bool {
        self.resettable
    }

    fn negotiate(&mut self) -> Result<(), Error> {
        let mut body = Vec::new();
        body.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
        body.extend_from_slice(&VERSION_MINOR.to_le_bytes());
        let offer = format!(
            "{{\"capabilities\":{{\"max_msg_fds\":{MESSAGE_FDS},\"max_data_xfer_size\":{DEFAULT_TRANSFER_BYTES}}}}}\0"
        );
        body.extend_from_slice(offer.as_bytes());
        let reply = self.call(Command::Version, &body)?;
        let major = u16::from_le_bytes(field(&reply, 0)?);
        if major != VERSION_MAJOR {
            return Err(Error::Protocol(format!(
                "it speaks version {major}, not {VERSION_MAJOR}"
            )));
        }
        let json = reply.get(4..).unwrap_or_default();
        let json = json.strip_suffix(&[0]).unwrap_or(json);
        // An empty text means that every capability has its default.
        if !json.is_empty() {
            let offer: serde_json::Value = serde_json::from_slice(json).map_err(|error| {
                Error::Protocol(format!("its capabilities are not JSON: {error}"))
            })?;
            if let Some(bytes) = offer["capabilities"]["max_data_xfer_size"].as_u64() {
                self.chunk_bytes = (bytes as usize).clamp(8, DEFAULT_TRANSFER_BYTES);
            }
            if let Some(count) = offer["capabilities"]["max_msg_fds"].as_u64() {
                self.message_fds = (count as usize).clamp(1, MESSAGE_FDS);
            }
        }
        Ok(())
    }

    fn learn_regions(&mut self) -> Result<(), Error> {
        let info = self.call(Command::DeviceGetInfo, &words(&[16, 0, 0, 0]))?;
        let flags = u32::from_le_bytes(field(&info, 4)?);
        let regions = u32::from_le_bytes(field(&info, 8)?);
        if flags & DEVICE_FLAG_PCI == 0 {
            return Err(Error::Protocol("it does not serve a PCI device".into()));
        }
        if regions > REGIONS_LIMIT {
            return Err(Error::Protocol(format!("it claims {regions} regions")));
        }
        self.resettable = flags & DEVICE_FLAG_RESET != 0;
        for index in 0..regions {
            let info = self.call(
                Command::DeviceGetRegionInfo,
                &words(&[REGION_INFO_BYTES, 0, index, 0, 0, 0, 0, 0]),
            )?;
            self.regions.push(RegionInfo {
                flags: u32::from_le_bytes(field(&info, 4)?),
                size: u64::from_le_bytes(field(&info, 16)?),
            });
        }
        Ok(())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // Whoever panicked inside left the connection given up, which the next request finds.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, command: Command, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.connection().call(command, body, &[])
    }

    fn set_irqs(
        &self,
        flags: u32,
        start: usize,
        count: usize,
        files: &[RawFd],
    ) -> Result<(), Error> {
        let body = words(&[20, flags, IRQ_MSIX, start as u32, count as u32]);
        self.connection()
            .call(Command::DeviceSetIrqs, &body, files)
            .map(drop)
    }
}

impl Device for Client {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        self.regions.get(region as usize).copied()
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let mut offset = offset;
        for data in data.chunks_mut(self.chunk_bytes) {
            let next = offset + data.len() as u64;
            self.connection().exchange(&mut [Access::Read {
                region,
                offset,
                data,
            }])?;
            offset = next;
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut offset = offset;
        for data in data.chunks(self.chunk_bytes) {
            self.connection().exchange(&mut [Access::Write {
                region,
                offset,
                data,
            }])?;
            offset += data.len() as u64;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.call(Command::DeviceReset, &[]).map(drop)
    }

    fn map(&mut self, bytes: usize) -> Result<DmaMemory, Error> {
        let mapping = Arc::new(Mapping::allocate(bytes)?);
        let size = mapping.bytes();
        let iova = self.iovas.take(size)?;
        let numbers = [0, iova, size as u64].map(u64::to_le_bytes).concat();
        let body = [words(&[32, MAP_READ_WRITE]), numbers].concat();
        let mapped = self
            .connection()
            .call(Command::DmaMap, &body, &[mapping.file()]);
        if let Err(error) = mapped {
            self.iovas.give_back(iova);
            return Err(error);
        }
        let (connection, iovas) = (self.connection.clone(), self.iovas.clone());
        let unmap = move || {
            let numbers = [iova, size as u64].map(u64::to_le_bytes).concat();
            let body = [words(&[24, 0]), numbers].concat();
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            // A server that is gone has unmapped it; one that refuses keeps the IOVA, so nothing else gets it.
            if connection.call(Command::DmaUnmap, &body, &[]).is_ok() {
                iovas.give_back(iova);
            }
        };
        Ok(DmaMemory::new(mapping, iova, unmap))
    }

    fn interrupt_count(&mut self) -> Result<usize, Error> {
        let info = self.call(Command::DeviceGetIrqInfo, &words(&[16, 0, IRQ_MSIX, 0]))?;
        Ok(u32::from_le_bytes(field(&info, 12)?) as usize)
    }

    fn enable_interrupts(&mut self, count: usize) -> Result<Vec<EventFd>, Error> {
        let available = self.interrupt_count()?;
        if available < count {
            return Err(Error::Interrupts {
                available,
                wanted: count,
            });
        }
        let events = events(count)?;
        self.set_irqs(IRQ_NONE, 0, 0, &[])?;
        let files: Vec<RawFd> = events.iter().map(AsRawFd::as_raw_fd).collect();
        for (group, files) in files.chunks(self.message_fds).enumerate() {
            self.set_irqs(IRQ_EVENTS, group * self.message_fds, files.len(), files)?;
        }
        Ok(events)
    }

    fn batch(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        let bytes = |access: &Access<'_>| match access {
            Access::Read { data, .. } => data.len(),
            Access::Write { data, .. } => data.len(),
        };
        let limit = self.chunk_bytes.min(BATCH_ACCESS_BYTES);
        // What is sent at once must fit the socket's buffer: a peer that waits for us to read its
        // replies does not read our requests.
        for group in accesses.chunk_by_mut(|a, b| bytes(a).max(bytes(b)) <= limit) {
            let largest = group.iter().map(bytes).max().unwrap_or(0) + MESSAGE_COST_BYTES;
            for group in group.chunks_mut((BATCH_BYTES / largest).max(1)) {
                match group {
                    [
                        Access::Read {
                            region,
                            offset,
                            data,
                        },
                    ] => self.region_read(*region, *offset, data)?,
                    [
                        Access::Write {
                            region,
                            offset,
                            data,
                        },
                    ] => self.region_write(*region, *offset, data)?,
                    group => self.connection().exchange(group)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
