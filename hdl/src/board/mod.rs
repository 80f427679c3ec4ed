//! The card on the Lattice Versa ECP5-5G: two gigabit ports, the register bus on a serial line, no PCIe yet.

/// A beat in fewer bits.
pub mod beat;
/// Frames between ports and core.
pub mod buffer;
/// What the ports met, and the way to the PHYs.
pub mod registers;
/// The system clock.
pub mod pll;
