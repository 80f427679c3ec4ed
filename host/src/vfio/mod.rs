//! Reaching a PCI function through VFIO-shaped calls.
//!
//! The driver in [`crate::nic`] knows only the trait [`Device`]: a function made of numbered
//! regions (0 is BAR0) that are read and written at byte offsets. Whether a socket or the kernel is
//! behind it is decided when the device is opened, and nothing above can tell.

/// Why a device could not be reached.
mod error;
/// Memory that host and card share.
pub mod dma;
/// A device served by another process over a vfio-user socket.
pub mod user;
/// A device behind the kernel's VFIO.
pub mod kernel;
/// A card behind a serial line.
pub mod uart;
/// PCI functions as sysfs shows them.
pub mod sysfs;
/// Where a card is.
pub mod address;
/// A simulated card started as a child process on a private socket.
pub mod child;

pub use dma::{DmaMemory, Mapping};
pub use error::Error;
pub use vmm_sys_util::eventfd::EventFd;

/// VFIO region index of BAR0.
pub const BAR0: u32 = 0;
/// VFIO region index of configuration space.
pub const CONFIG: u32 = 7;

/// Region flag: the region can be read.
pub const REGION_READ: u32 = 1 << 0;
/// Region flag: the region can be written.
pub const REGION_WRITE: u32 = 1 << 1;

/// Size and permissions of one region; absent regions have size 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Bytes.
    pub size: u64,
    /// `REGION_…` bits.
    pub flags: u32,
}

/// An open PCI function. Accesses are complete when the call returns.
pub trait Device: Send {
    /// Size and permissions of a region, `None` if the device has no region of this number.
    fn region_info(&self, region: u32) -> Option<RegionInfo>;
    /// Fills `data` from `offset` of the region.
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error>;
    /// Writes `data` at `offset` of the region.
    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error>;
    /// Resets the function: DMA and interrupts stop. What else is forgotten is the device's choice.
    fn reset(&mut self) -> Result<(), Error>;
    /// Zeroed memory of at least this size, which the function reaches at [`DmaMemory::iova`] once it is bus master.
    fn map(&mut self, bytes: usize) -> Result<DmaMemory, Error>;
    /// Number of MSI-X vectors.
    fn interrupt_count(&mut self) -> Result<usize, Error>;
    /// Lets vectors 0 to `count` raise an event each. The events do not block when read.
    fn enable_interrupts(&mut self, count: usize) -> Result<Vec<EventFd>, Error>;

    /// Lets the function reach memory, or forbids it. VFIO leaves it forbidden.
    fn set_bus_master(&mut self, on: bool) -> Result<(), Error> {
        let mut command = [0; 2];
        self.region_read(CONFIG, CONFIG_COMMAND, &mut command)?;
        let bits = u16::from_le_bytes(command);
        let bits = match on {
            true => bits | COMMAND_MEMORY | COMMAND_BUS_MASTER,
            false => bits & !COMMAND_BUS_MASTER,
        };
        self.region_write(CONFIG, CONFIG_COMMAND, &bits.to_le_bytes())
    }

    /// Does several accesses in order. After a failure the later ones may or may not have happened.
    /// A transport with long round trips overrides this to pay for one instead of many.
    fn batch(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        for access in accesses {
            match access {
                Access::Read {
                    region,
                    offset,
                    data,
                } => self.region_read(*region, *offset, data)?,
                Access::Write {
                    region,
                    offset,
                    data,
                } => self.region_write(*region, *offset, data)?,
            }
        }
        Ok(())
    }
}

/// One access of a batch.
pub enum Access<'a> {
    /// [`Device::region_read`].
    Read {
        /// Region number.
        region: u32,
        /// First byte.
        offset: u64,
        /// What is to be filled.
        data: &'a mut [u8],
    },
    /// [`Device::region_write`].
    Write {
        /// Region number.
        region: u32,
        /// First byte.
        offset: u64,
        /// What is to be written.
        data: &'a [u8],
    },
}

/// Offset of the command register in configuration space.
const CONFIG_COMMAND: u64 = 0x04;
/// Command: the function answers at its memory BARs.
const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: the function may reach memory.
const COMMAND_BUS_MASTER: u16 = 1 << 2;

/// Events that do not block when read and are not inherited by child processes.
fn events(count: usize) -> Result<Vec<EventFd>, Error> {
    let event = |_| EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
    (0..count)
        .map(event)
        .collect::<Result<_, _>>()
        .map_err(|source| Error::Io {
            request: "setting up interrupts",
            source,
        })
}
