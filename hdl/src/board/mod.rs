//! What surrounds the core on a board: clock, resets, gigabit ports, a serial line, the hard block of PCIe.

/// A beat in fewer bits.
pub mod beat;
/// Frames between ports and core.
pub mod buffer;
/// The system clock.
pub mod pll;
/// Resets.
pub mod power_up;
/// Pins that are more than a wire.
pub mod pins;
/// What the ports met, and the way to the PHYs.
pub mod registers;
/// The PHYs.
pub mod phys;
/// Lamps.
pub mod lights;
/// One gigabit port.
pub mod port;
/// The serial line.
pub mod console;
/// The hard block of PCIe.
pub mod pcie_block;
/// All of it on the Lattice Versa ECP5-5G.
pub mod versa;
/// All of it on the STLV7325.
pub mod stlv7325;
