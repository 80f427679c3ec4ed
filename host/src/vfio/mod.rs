//! Reaching a PCI function through VFIO-shaped calls.
//!
//! The driver in [`crate::nic`] knows only the trait [`Device`]: a function made of numbered
//! regions (0 is BAR0) that are read and written at byte offsets. Whether a socket or the kernel is
//! behind it is decided when the device is opened, and nothing above can tell.

/// A device served by another process over a vfio-user socket.
pub mod user;
/// A simulated card started as a child process on a private socket.
pub mod child;

use std::path::PathBuf;
use std::time::Duration;

/// VFIO region index of BAR0.
pub const BAR0: u32 = 0;

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
    /// Returns the function to its power-on state.
    fn reset(&mut self) -> Result<(), Error>;

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

/// Why a device could not be reached or an access failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket.
    #[error("cannot connect to the card at {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection failed in the middle of a request.
    #[error("the connection to the card failed during {request}")]
    Io {
        /// The request.
        request: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No answer in time. The connection cannot be used any more.
    #[error("the card did not answer {request} within {limit:?}")]
    Timeout {
        /// The request.
        request: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The device answered with an error.
    #[error("the card refused {request} (errno {errno})")]
    Refused {
        /// The request, with region and offset where it has them.
        request: String,
        /// Its error number; some servers always say 0.
        errno: u32,
    },
    /// The peer does not speak the protocol.
    #[error("the peer does not follow the vfio-user protocol: {0}")]
    Protocol(String),
    /// An earlier failure left the connection out of step.
    #[error("the connection to the card was given up after an earlier failure")]
    GivenUp,
    /// No `postern-card` to start.
    #[error(
        "cannot find the program `postern-card` (looked at {looked_at}); \
         build it with `cargo build -p sim --features verilator`, or set POSTERN_CARD_BIN to its path"
    )]
    NoCardProgram {
        /// The places.
        looked_at: String,
    },
    /// The simulated card could not be started.
    #[error("cannot start the simulated card {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The simulated card ended, or stayed silent, instead of reporting ready.
    #[error("the simulated card {} did not become ready: {what}", program.display())]
    NotReady {
        /// The program.
        program: PathBuf,
        /// Its exit status or what it said.
        what: String,
    },
}
