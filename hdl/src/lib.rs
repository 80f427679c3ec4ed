//! The Postern card in rust-hdl, in the order a packet meets its modules.
//!
//! ```text
//! Header ─► flow ─► destination ─► acl ─► Judged
//! ```
//!
//! rust-hdl is frozen and prints wrong Verilog for some expression forms. Kernels keep to a plain
//! style which `tests/kernel_style.rs` enforces, `tests/verilog_lint.rs` checks what was printed, and
//! every module has a lock-step test of the printed Verilog against the native simulation.
//!
//! All state is initialised by the bitstream; there is one clock and no reset input, so a reset of
//! the card is a reconfiguration. Every output of every module is a function of registers alone:
//! no combinational path crosses a module.

#![forbid(unsafe_code)]

/// What one lookup stage tells the next about a packet.
pub mod record;

/// Register with enable and reset.
pub mod dff;
/// Block RAM and LUT RAM.
pub mod ram;
/// Two-entry elastic buffer for a ready/valid stream.
pub mod skid;
/// Synchronous FIFOs.
pub mod fifo;
