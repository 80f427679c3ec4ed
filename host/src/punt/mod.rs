//! A punted packet to a list of effects.
//!
//! Comes in: metadata and frame from the card, and the time. Goes out: a [`Report`] of what became
//! of the frame and [`Effect`]s for the runtime to carry out, in order. No IO and no clock.
//!
//! A permitted first packet becomes a connection, its two card entries, and the packet again for the card to forward.
//! What the card cannot forward by itself the host does: both ends translated at once, inspected flows (to a
//! proxy if there is one), IP options, fragments, time to live 1, frames that change between tagged and untagged.

/// What the slow path wants done.
pub mod effect;
/// System log messages.
pub mod event;
/// What became of a punted frame.
pub mod report;
/// The card's interfaces as the host sends through them.
pub mod attachment;
/// Next hops: MAC addresses asked for, learned, forgotten.
pub mod neighbours;
/// Fragments held until their datagram is complete.
pub mod fragments;
/// The machine: punted frames and deadlines in, effects out.
pub mod slow_path;
/// Connections that an earlier runtime left on the card.
pub mod adopt;
/// First packets: decision, translation, connection, card entries.
mod first_packet;
/// Packets of a connection: sent again through the card or by the host.
mod forward;
/// Inspection of signalling.
pub mod inspect;
/// Packets of a connection that ends here: to its proxy, and from it.
mod terminate;
/// What is for the device itself: ARP and echo requests.
mod local;
/// Proofs that an authority looks for at our addresses.
mod proof;

pub use adopt::{Adopted, Inherited};
pub use attachment::Attachment;
pub use effect::Effect;
pub use event::Event;
pub use inspect::{Channel, Inspected};
pub use neighbours::Resolution;
pub use report::{Drop, Report, Verdict};
pub use slow_path::{Setup, SlowPath};

#[cfg(test)]
mod tests;
