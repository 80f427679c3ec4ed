//! What the parts of the dma block tell each other.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use rust_hdl_core::prelude::*;

/// A frame that is coming out of the punt buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Notice {
    /// Bytes of the frame.
    pub length: Bits<16>,
    /// Its ring.
    pub queue: Bits<2>,
}

/// The header of a write of host memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct WriteHead {
    /// A multiple of four.
    pub address: Bits<64>,
    /// DWs, at least one.
    pub dwords: Bits<10>,
}

/// What to do with the next beats.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Move {
    /// At least one.
    pub beats: Bits<9>,
    /// They end a frame.
    pub last: Bit,
    /// They are those of `DmaStatus`, not of a frame.
    pub status: Bit,
    /// Nobody wants them.
    pub discard: Bit,
    /// Ring of the frame.
    pub queue: Bits<2>,
}

/// What a write on its way to the link ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Ending {
    /// A frame.
    pub frame: Bit,
    /// `DmaStatus`.
    pub status: Bit,
    /// Ring of the frame.
    pub queue: Bits<2>,
}

/// The header of a read of host memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct ReadHead {
    /// A multiple of four.
    pub address: Bits<64>,
    /// DWs, 1..=128.
    pub dwords: Bits<10>,
    /// Under which its completions come.
    pub tag: Bits<4>,
}

/// `layout` `InjectRequest` without its gap, or what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Descriptor {
    /// Bytes of the frame.
    pub length: Bits<16>,
    /// Egress port, or the port it pretends to come from.
    pub port: Bits<2>,
    /// Run it through the lookups.
    pub lookup: Bit,
    /// A `FAULT_…` code: how its own read failed.
    pub fault: Bits<2>,
    /// Where the frame is.
    pub address: Bits<64>,
}

/// Nothing failed.
pub const FAULT_NONE: u64 = 0;
/// Length or port is not allowed.
pub const FAULT_BAD: u64 = 1;
/// A read failed.
pub const FAULT_ERROR: u64 = 2;
/// A read was not answered in time.
pub const FAULT_LATE: u64 = 3;

/// A read in the order in which reads were made, or a descriptor that needs none.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Order {
    /// There is a read: its tag.
    pub tag: Bits<4>,
    /// The last of its frame, or of its descriptors.
    pub last: Bit,
    /// There is no read; `fault` says why.
    pub skip: Bit,
    /// What is read are descriptors.
    pub descriptors: Bit,
    /// DWs of the whole frame or of all descriptors.
    pub dwords: Bits<10>,
    /// Bytes of the frame.
    pub length: Bits<11>,
    /// First byte of the frame in its first DW.
    pub offset: Bits<2>,
    /// As in [`Descriptor`].
    pub port: Bits<2>,
    /// As in [`Descriptor`].
    pub lookup: Bit,
    /// Why the descriptor is skipped.
    pub fault: Bits<2>,
}

/// A whole frame, or whole descriptors, at the front of the reorder buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Whole {
    /// Descriptors; with a `fault` there is nothing of them in the buffer but the place.
    pub descriptors: Bit,
    /// DWs in the buffer.
    pub dwords: Bits<10>,
    /// As in [`Order`].
    pub length: Bits<11>,
    /// As in [`Order`].
    pub offset: Bits<2>,
    /// As in [`Order`].
    pub port: Bits<2>,
    /// As in [`Order`].
    pub lookup: Bit,
    /// A `FAULT_…` code: the frame is not sent.
    pub fault: Bits<2>,
}

/// A word that leaves the reorder buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Step {
    /// There is one.
    pub valid: Bit,
    /// The first of its frame or descriptor.
    pub first: Bit,
    /// The last.
    pub last: Bit,
    /// Of a descriptor.
    pub descriptors: Bit,
    /// Bytes of the frame, modulo 8.
    pub tail: Bits<3>,
    /// As in [`Order`].
    pub offset: Bits<2>,
    /// As in [`Order`].
    pub port: Bits<2>,
    /// As in [`Order`].
    pub lookup: Bit,
    /// As in [`Whole`].
    pub fault: Bits<2>,
}

/// A beat of a frame from the inject ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Injected {
    /// Bytes.
    pub data: Bits<64>,
    /// Bytes present.
    pub keep: Bits<8>,
    /// Last beat.
    pub last: Bit,
    /// As in [`Order`].
    pub port: Bits<2>,
    /// As in [`Order`].
    pub lookup: Bit,
}
