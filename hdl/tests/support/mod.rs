//! What the circuit tests share: printing and linting Verilog, lock-step, random numbers.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod board;
pub mod dma;
pub mod domains;
pub mod endpoint;
pub mod ethernet;
pub mod frame;
pub mod host;
pub mod lockstep;
pub mod packet;
pub mod ports;
pub mod program;
pub mod random;
pub mod timeline;
pub mod tlp;
pub mod uart;
pub mod verilated;
pub mod verilog;
