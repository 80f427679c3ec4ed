//! What an inspector wants done, in order.

use super::event::Event;
use super::pinhole::{Pinhole, PinholeId};
use super::reason::Reason;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes on: the message, with its addresses translated.
    Forward(Vec<u8>),
    /// Drop the message.
    Drop(Reason),
    /// Drop the message and all that follows on its connection.
    DropConnection(Reason),
    /// Drop the message and reset its connection.
    Reset(Reason),
    /// Let packets through.
    OpenPinhole {
        /// Its name.
        id: PinholeId,
        /// Which packets.
        pinhole: Pinhole,
    },
    /// Let them through no longer. Connections that began through it follow their own timeouts.
    ClosePinhole {
        /// Its name.
        id: PinholeId,
    },
    /// Log an event.
    Log(Event),
}
