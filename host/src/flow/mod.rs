//! Connections and translations: create, allocate ports, age, tear down.
//!
//! Comes in: the evaluator's decision about a first packet, what the card and the host path saw of a
//! connection, and the time. Goes out: connections as pairs of card entries, translations, and
//! what has to end. All tables are bounded by [`limits::Limits`]; nothing here scans a table for a packet.

/// How much of everything there may be.
pub mod limits;
/// Slots with handles that do not outlive their entry.
pub mod slab;
/// Hash maps whose order and collisions an outsider cannot foresee.
pub mod seeded;
/// What is due when.
pub mod deadline;
/// Which ports of one mapped address are in use.
pub mod ports;

pub use limits::Limits;
pub use slab::Handle;

/// Time since an origin that the caller chooses and keeps.
pub type Time = std::time::Duration;
