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
/// One direction of a connection and its card entry.
pub mod leg;
/// One connection: its two legs, what was seen of it, its TCP state.
pub mod conn;
/// Entries found on a card, as the two directions of connections.
pub mod pairs;
/// All connections by key.
pub mod conns;
/// Which ports of one mapped address are in use.
pub mod ports;
/// Blocks of ports given out to hosts.
pub mod blocks;
/// Addresses given out whole.
pub mod pool;
/// All translations: one-to-one and by port.
pub mod xlate;
/// `show conn` and `show xlate`.
pub mod show;

pub use conn::{Conn, State, Teardown};
pub use conns::Conns;
pub use leg::{Direction, Leg};
pub use limits::Limits;
pub use slab::Handle;
pub use xlate::{Xlate, Xlates};

/// Time since an origin that the caller chooses and keeps.
pub type Time = std::time::Duration;
