//! Both cards on the bus: rings in host memory, interrupts, reset of the function, and what a bad host costs.

#[path = "../support/mod.rs"]
mod support;

use support::cards;

/// Memory and interrupts of the host, and a card set up in front of it.
mod host;
/// The section "Rings" of `hdl/CONTRACT.md`, line by line.
mod rings;
/// Repeatable random choices.
#[cfg(feature = "verilator")]
#[path = "../pipeline/random.rs"]
#[allow(dead_code, reason = "the other suite uses all of it")]
mod random;
/// Random frames through the rings while the bus misbehaves.
#[cfg(feature = "verilator")]
mod campaign;
/// Rings and events as the driver meets them.
mod driver;
/// Random packets of the link.
#[cfg(feature = "verilator")]
mod link;
