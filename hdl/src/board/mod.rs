//! The card on the Lattice Versa ECP5-5G: two gigabit ports, the register bus on a serial line, no PCIe yet.

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
/// All of it.
pub mod versa;
