//! What the slow path wants done. The runtime is the only one who does it, in order.

use std::collections::BTreeSet;

use layout::desc::InjectDescriptor;
use layout::table::{Adjacency, FlowEntry, Key};

use super::event::Event;
use super::inspect::cover::SeenEnd;
use crate::flow::{Handle, Leg};
use crate::policy::model::ClassId;
use crate::wire::Tuple;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write both directions of a connection in one step. If the card has no room, say so with
    /// [`SlowPath::handle_refused`](super::SlowPath::handle_refused).
    InstallPair {
        /// The connection.
        conn: Handle,
        /// What its initiator sends.
        forward: FlowEntry,
        /// What comes back.
        reverse: FlowEntry,
    },
    /// Write the only direction of a connection that nothing answers.
    Install {
        /// The connection.
        conn: Handle,
        /// What its initiator sends.
        entry: FlowEntry,
    },
    /// Remove the entry with this key, if the card has it.
    Remove {
        /// Its key.
        key: Key,
    },
    /// Write a next hop.
    SetAdjacency {
        /// Index in the card's table.
        index: u8,
        /// The next hop; not valid while its MAC address is unknown.
        entry: Adjacency,
    },
    /// Send a frame through the card.
    Inject {
        /// How.
        descriptor: InjectDescriptor,
        /// The frame.
        frame: Vec<u8>,
    },
    /// A connection begins that its proxy ends.
    BeginProxied {
        /// Its class.
        class: ClassId,
        /// What its initiator sends.
        forward: Leg,
    },
    /// A connection begins by which somebody looks for a proof; packets and end as those of a proxied one.
    BeginLook {
        /// What its initiator sends.
        seen: Tuple,
    },
    /// It is over.
    EndProxied {
        /// What its initiator sent.
        seen: Tuple,
    },
    /// Give an IPv4 packet to the proxy that ends its connection; what that sends comes back by
    /// [`SlowPath::handle_proxied`](super::SlowPath::handle_proxied).
    Terminate {
        /// The packet, without a link header.
        datagram: Vec<u8>,
    },
    /// Let the card hand over packets to these ends, and to no others, whatever its access list says of them.
    SetPinholes {
        /// The ends.
        ends: BTreeSet<SeenEnd>,
    },
    /// Write the card's `EPOCH`.
    SetEpoch(u8),
    /// Read what the card counted for a connection and pass it to
    /// [`SlowPath::handle_stats`](super::SlowPath::handle_stats).
    ReadStats {
        /// The connection.
        conn: Handle,
        /// Key of its forward entry.
        forward: Key,
        /// Key of its reverse entry.
        reverse: Option<Key>,
    },
    /// Log an event.
    Log(Event),
}
