//! Ends that messages announce and a dynamic rule translates.
//!
//! A translation that is made for a message must last until somebody sends there. It is held for a while after it was
//! last announced; a pinhole that leads to it holds it longer, and so does every connection through that.

use std::net::SocketAddrV4;

use crate::flow::deadline::Deadlines;
use crate::flow::seeded::{Map, Seeded};
use crate::flow::{Handle, Time};

/// A real end, and between which interfaces it is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RealEnd {
    /// Where the end is, and where it is seen.
    pub interfaces: [u8; 2],
    /// IP protocol.
    pub proto: u8,
    /// The end.
    pub socket: SocketAddrV4,
}

/// A translation that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// The translation.
    pub xlate: Handle,
    /// What it makes of the end.
    pub mapped: SocketAddrV4,
    until: Option<Time>,
}

/// Seen on this interface, over this protocol, as this.
type MappedEnd = (u8, u8, SocketAddrV4);

/// The ends, by both of their names.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    by_real: Map<RealEnd, Lease>,
    by_mapped: Map<MappedEnd, RealEnd>,
    due: Deadlines<RealEnd>,
    limit: usize,
}

impl Ends {
    /// None; there will be at most `limit`.
    pub fn new(limit: usize, seed: u64) -> Self {
        Self {
            by_real: Map::with_hasher(Seeded(seed)),
            by_mapped: Map::with_hasher(Seeded(seed)),
            due: Deadlines::default(),
            limit,
        }
    }

    /// How an end is seen.
    pub fn get(&self, real: &RealEnd) -> Option<&Lease> {
        self.by_real.get(real)
    }

    /// The end behind what is seen on an interface.
    pub fn behind(&self, interface: u8, proto: u8, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        let real = self.by_mapped.get(&(interface, proto, mapped))?;
        Some(real.socket)
    }

    /// Whether one more may be held.
    pub fn has_room(&self) -> bool {
        self.by_real.len() < self.limit
    }

    /// Holds a translation, which the caller has acquired.
    pub fn hold(&mut self, real: RealEnd, xlate: Handle, mapped: SocketAddrV4) {
        let lease = Lease {
            xlate,
            mapped,
            until: None,
        };
        self.by_real.insert(real, lease);
        self.by_mapped
            .insert((real.interfaces[1], real.proto, mapped), real);
    }

    /// An end was announced: it is held until then at least, for ever if there is no such time.
    pub fn extend(&mut self, real: &RealEnd, until: Option<Time>) {
        let Some(lease) = self.by_real.get_mut(real) else {
            return;
        };
        let until = lease.until.max(until).filter(|_| until.is_some());
        self.due.set(*real, lease.until, until);
        lease.until = until;
    }

    /// When the next one is let go.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// Lets the next one go whose time is over. The caller releases the translation.
    pub fn poll(&mut self, now: Time) -> Option<Handle> {
        let real = self.due.pop(now)?;
        let lease = self.by_real.remove(&real)?;
        self.by_mapped
            .remove(&(real.interfaces[1], real.proto, lease.mapped));
        Some(lease.xlate)
    }
}
