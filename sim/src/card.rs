//! The seam between a simulated card and everything that drives one.
//!
//! A card has two sides. The driver's side is the PCI function: BAR0 (`layout::csr`), 32 bits at a
//! time, and what the function does to its host. The wire side is what `layout::simulator` offers:
//! frames fed to the ports, a clock that moves only when told to, and records of what was seen.
//! Accesses to BAR0 may move the clock, as they do on silicon.

use std::io;
use std::path::Path;

use layout::desc::Metadata;
use layout::simulator::STAGES;
use layout::table::PORTS;

use crate::bus::{Function, Host};

/// A simulated card.
pub trait Card: Send {
    /// Reads the 32-bit register at a byte offset of BAR0; zero where there is none.
    fn bar_read(&mut self, offset: u32) -> u32;
    /// Writes the 32-bit register at a byte offset of BAR0; ignored where there is none.
    fn bar_write(&mut self, offset: u32, value: u32);
    /// Power-on reset: tables, counters, buffers and clock start from zero, fed frames are forgotten.
    /// Its host and what configuration space says stay: they are outside the card.
    fn reset(&mut self);

    /// Connects the function to its host. With `None` every access is unmapped, interrupts go nowhere.
    fn set_host(&mut self, host: Option<Box<dyn Host>>);
    /// Changes what configuration space says to the function.
    fn set_function(&mut self, function: Function);
    /// Resets the function: rings, DMA registers and MSI-X. Tables, counters and forwarding stay.
    fn function_reset(&mut self);

    /// Queues a frame (without FCS) in front of an ingress port. It enters as the clock moves.
    ///
    /// # Panics
    /// If there is no such port or the frame is empty or longer than 65 535 bytes.
    fn feed(&mut self, port: usize, frame: &[u8]);
    /// Runs until every fed frame has passed, the card is idle and its rings are at rest, at most
    /// `max_clocks`. True when so.
    fn run(&mut self, max_clocks: u64) -> bool;
    /// Runs exactly this many clocks.
    fn step(&mut self, clocks: u64);
    /// Clocks since reset.
    fn cycle(&self) -> u64;
    /// Clocks (of every 32) in which the far end of each egress port takes a beat.
    fn set_ready_pattern(&mut self, patterns: [u32; PORTS]);
    /// Clocks (of every 32) in which the far end of the ingress ports may begin to offer a beat.
    fn set_valid_pattern(&mut self, pattern: u32);
    /// The oldest thing seen that was not yet taken.
    fn next_record(&mut self) -> Option<Record>;

    /// Starts a wave file.
    ///
    /// # Errors
    /// If this card has no waves, or the file cannot be written.
    fn start_wave(&mut self, path: &Path) -> io::Result<()>;
    /// Ends the wave file, if one is open.
    fn stop_wave(&mut self);
    /// The first breach of a pin protocol by the card (a stream or the register bus), if there was one.
    fn fault(&self) -> Option<String>;
}

/// Something a simulated card was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Egress port of a frame, ingress port of a verdict.
    pub port: u8,
    /// Clock of the first beat.
    pub cycle_first: u64,
    /// Clock of the last beat.
    pub cycle_last: u64,
    /// What it was.
    pub body: Body,
}

/// The two kinds of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A frame left a port.
    Frame(Vec<u8>),
    /// A frame was judged, and all of it has left or was discarded.
    Verdict {
        /// What the card knew of it; `length` is zero.
        metadata: Metadata,
        /// Clock of each of `STAGES`, zero where it did not pass.
        stages: [u64; STAGES.len()],
    },
}
