//! The simulator-only region beside BAR0: feed frames, run the clock, read what left.
//!
//! It exists so that replay and packet-tracer stay in lock-step with a simulated card. Silicon has
//! no such region, and the driver never touches it.

/// VFIO region index of the simulator-only region (the first device-specific one).
pub const REGION_INDEX: u32 = 9;
/// Size of the region in bytes.
pub const REGION_BYTES: usize = 0x20_0000;

/// Read, 8 bytes: clocks since reset (the model card counts one per packet).
pub const CYCLE: u64 = 0x00;
/// Write, 8 bytes: run until idle, at most this many clocks. Read: 1 if the last run ended idle.
pub const RUN: u64 = 0x08;
/// Write, 8 bytes: run exactly this many clocks.
pub const STEP: u64 = 0x10;
/// Write, 8 bytes: bits 31..0 ready pattern of port 0 repeated over 32 clocks, bits 63..32 of port 1. All ones after reset.
pub const READY_PATTERN: u64 = 0x18;
/// Write, 8 bytes: bits 31..0 valid pattern for both ingress ports. All ones after reset.
pub const VALID_PATTERN: u64 = 0x20;
/// Read, 8 bytes: bytes of records waiting at `DRAIN`.
pub const DRAIN_BYTES: u64 = 0x28;
/// Write: UTF-8 path; starts a wave file there (RTL card only). An empty write stops it.
pub const WAVE: u64 = 0x1000;
/// Write: [`Frame`] headers each followed by the frame, padded to 8 bytes.
pub const FEED: u64 = 0x10_0000;
/// Read: oldest records, whole ones only; reading removes them.
pub const DRAIN: u64 = 0x18_0000;

/// Stages whose clock a verdict record carries, in order. Zero where the packet did not pass.
pub const STAGES: &[&str] = &[
    "ingress",
    "parse",
    "flow",
    "destination",
    "acl",
    "decide",
    "egress",
    "last",
];

entry! {
    /// A frame fed to a port; its bytes follow, padded to 8.
    Frame {
        /// Frame bytes without FCS.
        length: u16 = 16,
        /// Ingress port, 0 or 1.
        port: u8 = 8,
        /// Zero.
        reserved: u64 = 40,
    }
}

/// [`Record::kind`]: a frame left a port; its bytes follow, padded to 8.
pub const RECORD_FRAME: u8 = 0;
/// [`Record::kind`]: a verdict; packed `Metadata` (16 bytes) and `STAGES.len()` clocks of 8 bytes follow.
pub const RECORD_VERDICT: u8 = 1;

entry! {
    /// What the simulator saw; a body follows according to `kind`.
    Record {
        /// Body bytes without padding.
        length: u16 = 16,
        /// Egress port of a frame, ingress port of a verdict.
        port: u8 = 8,
        /// `RECORD_FRAME` or `RECORD_VERDICT`.
        kind: u8 = 8,
        /// Zero.
        reserved: u32 = 32,
        /// Clock of the first beat.
        cycle_first: u64 = 64,
        /// Clock of the last beat.
        cycle_last: u64 = 64,
    }
}
