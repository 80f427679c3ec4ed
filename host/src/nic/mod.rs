//! The card driver: BAR0, and rings in shared memory. Files stand in the order of a card's life.
//!
//! One [`Nic`] owns one card. It knows registers, tables and frames, and no policy: what to load is
//! an image, what to install are flow entries, and why is somebody else's business.

/// BAR0 as 32-bit registers.
mod bar;
/// Ident block, and the refusal of cards that do not fit.
mod bring_up;
/// Entries through the table window.
mod tables;
/// What an earlier driver left on the card: taken over, or emptied.
pub mod inherit;
/// A policy in one atomic step.
mod policy;
/// Counters by name.
pub mod stats;
/// Punt rings and inject ring in shared memory.
mod ring;
/// Punted frames out, injected frames in.
pub mod host_path;
/// Placement of flow entries, pure.
pub mod placement;
/// Flow entries on the card, with their mirror.
pub mod flows;

pub use bring_up::{Ident, Nic};
pub use inherit::Inheritance;

use layout::table::{Operation, Table};

use crate::vfio;

/// Why the driver gave up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The way to the card failed.
    #[error(transparent)]
    Vfio(#[from] vfio::Error),
    /// BAR0 is not that of a Postern card.
    #[error(
        "the device is not a Postern card: its first register reads {magic:#010x}, not {:#010x}",
        layout::csr::MAGIC_VALUE
    )]
    NotPostern {
        /// What it read.
        magic: u32,
    },
    /// BAR0 is missing or too small.
    #[error(
        "BAR0 of the device has {bytes:#x} bytes, a Postern card has {:#x}",
        layout::csr::BAR0_BYTES
    )]
    BarTooSmall {
        /// Its size.
        bytes: u64,
    },
    /// Card and driver were built from different register maps.
    #[error(
        "the card's layout {card:#018x} (core {core}, git {git:08x}) is not this driver's {:#018x}; \
         load a bitstream or start a postern-card built from the same source as this program",
        layout::LAYOUT_HASH
    )]
    LayoutMismatch {
        /// The card's layout hash.
        card: u64,
        /// The card's core version.
        core: String,
        /// The card's commit.
        git: u32,
    },
    /// A table has another size than this driver was built for.
    #[error("the card has {card} {what}, this driver was built for {host}")]
    SizeMismatch {
        /// What differs.
        what: &'static str,
        /// The card's size.
        card: u32,
        /// Ours.
        host: u32,
    },
    /// The card did not finish a table operation.
    #[error("{operation:?} of table {table:?} at index {index} did not finish")]
    TableBusy {
        /// Which table.
        table: Table,
        /// Which entry.
        index: usize,
        /// What was tried.
        operation: Operation,
    },
    /// The card refused a table operation.
    #[error("the card refused {operation:?} of table {table:?} at index {index}")]
    TableRefused {
        /// Which table.
        table: Table,
        /// Which entry.
        index: usize,
        /// What was tried.
        operation: Operation,
    },
    /// A policy has more entries than the card.
    #[error("a policy of {entries} entries does not fit table {table:?} of {capacity}")]
    PolicyTooLarge {
        /// Which table.
        table: Table,
        /// Entries of the policy.
        entries: usize,
        /// Entries of the card.
        capacity: usize,
    },
    /// No slot could be made free for a flow.
    #[error("the flow table is full: no place for a flow among {used} others")]
    FlowTableFull {
        /// Flows it holds.
        used: usize,
    },
    /// A frame does not fit the host path.
    #[error(
        "a frame of {bytes} bytes cannot be injected (14 to {} can)",
        layout::table::HOST_FRAME_BYTES
    )]
    FrameLength {
        /// Its length.
        bytes: usize,
    },
    /// The card refused an injected frame.
    #[error("the card refused to inject a frame of {bytes} bytes on port {port}")]
    InjectRefused {
        /// Its length.
        bytes: usize,
        /// Its port.
        port: u8,
    },
    /// The inject window did not become free.
    #[error("the card's inject window stays occupied")]
    InjectBusy,
    /// The punt buffer contradicts itself.
    #[error("the card shows a punted frame of {bytes} bytes, longer than its punt window")]
    PuntLength {
        /// The length it shows.
        bytes: usize,
    },
    /// The card shows an index that a ring cannot have.
    #[error(
        "the card shows index {shown} for the {ring} ring, which can only be from {low} to {high}"
    )]
    RingIndex {
        /// Which ring.
        ring: &'static str,
        /// What it shows.
        shown: u16,
        /// The index seen last.
        low: u16,
        /// The furthest that is possible.
        high: u16,
    },
    /// The card did not stop using the rings.
    #[error("the card goes on using its rings in host memory")]
    RingsBusy,
}
