//! The card without a card: a behavioural model, the Verilated RTL, and the vfio-user device in front.
//!
//! In goes what a driver writes to BAR0 and what the wires bring; out comes what leaves the ports.
//! Nothing here is linked into `postern`: the host meets these cards over a socket, exactly as it
//! meets silicon over VFIO. Modules in the order a packet meets them:
//!
//! ```text
//!  driver ──socket──► server ──► Card ◄── wire ◄── captures, TAP devices
//!    ▲                          ├── model      packed entries, executed in plain Rust
//!    └── memory, interrupts ◄───┴── verilated  the RTL, clocked
//! ```

/// Frames for tests and benches.
pub mod frame;
/// The far end of the ports.
pub mod wire;
/// What a card's function sees of its host.
pub mod bus;
/// The seam: what every simulated card offers.
pub mod card;
/// The behavioural card, the oracle of the RTL.
pub mod model;
/// Packets of the PCIe link.
pub mod tlp;
/// The host's end of the PCIe link of the RTL card.
pub mod root_complex;
/// The RTL card.
#[cfg(feature = "verilator")]
pub mod verilated;
/// What a driver does through BAR0, in process and without a socket.
pub mod access;
/// The vfio-user device in front of a card.
pub mod server;

pub use access::Access;
pub use bus::{Function, Host, Unmapped};
pub use card::{Body, Card, Record};
pub use model::Model;
#[cfg(feature = "verilator")]
pub use verilated::Verilated;
