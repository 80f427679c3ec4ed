//! Fragments held until their datagram is complete (virtual reassembly).
//!
//! The fragments go on as fragments; they are only judged together, so that no fragment passes whose
//! datagram has no ports to judge. Overlaps end the datagram (RFC 3128, RFC 1858).

use std::net::Ipv4Addr;

use super::report::Drop;
use crate::flow::limits::{FRAGMENT_TIMEOUT, Limits};
use crate::flow::seeded::{Map, Seeded};
use crate::flow::{Time, deadline::Deadlines};
use crate::wire::Packet;

/// Longest payload a datagram can have.
const PAYLOAD_BYTES: usize = 65_535 - 20;

/// A fragment with its frame.
pub type Piece = (Packet, Vec<u8>);

/// What fragments of one datagram share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct DatagramKey {
    interface: u8,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    proto: u8,
    ident: u16,
}

#[derive(Clone, Debug)]
struct Datagram {
    pieces: Vec<Piece>,
    /// Payload bytes held.
    held: usize,
    /// Payload bytes of the whole, once its last fragment is here.
    whole: Option<usize>,
    due: Time,
}

/// Datagrams that are not complete.
#[derive(Clone, Debug)]
pub struct Fragments {
    datagrams: Map<DatagramKey, Datagram>,
    due: Deadlines<DatagramKey>,
    limits: Limits,
    timed_out: u64,
}

impl Fragments {
    /// None.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            datagrams: Map::with_hasher(Seeded(seed)),
            due: Deadlines::default(),
            limits,
            timed_out: 0,
        }
    }

    /// Datagrams being collected.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Datagrams that never became complete.
    pub fn timed_out(&self) -> u64 {
        self.timed_out
    }

    /// Adds a fragment; returns all of them, first one first, when the datagram is complete.
    pub fn add(
        &mut self,
        now: Time,
        interface: u8,
        packet: &Packet,
        frame: &[u8],
    ) -> Result<Option<Vec<Piece>>, Drop> {
        let fragment = packet.fragment.ok_or(Drop::FragmentFailed)?;
        let tuple = packet.tuple;
        let key = DatagramKey {
            interface,
            src: tuple.src,
            dst: tuple.dst,
            proto: tuple.proto,
            ident: fragment.ident,
        };
        if !self.datagrams.contains_key(&key) {
            if self.datagrams.len() >= self.limits.datagrams {
                return Err(Drop::FragmentFailed);
            }
            let due = now + FRAGMENT_TIMEOUT;
            self.due.set(key, None, Some(due));
            self.datagrams.insert(
                key,
                Datagram {
                    pieces: Vec::new(),
                    held: 0,
                    whole: None,
                    due,
                },
            );
        }
        let datagram = self.datagrams.get_mut(&key).ok_or(Drop::FragmentFailed)?;
        let added = datagram.add(packet, frame, self.limits.fragments);
        if matches!(added, Ok(false)) {
            return Ok(None);
        }
        let mut datagram = self.datagrams.remove(&key).ok_or(Drop::FragmentFailed)?;
        self.due.set(key, Some(datagram.due), None);
        added?;
        datagram.pieces.sort_by_key(|(packet, _)| start(packet));
        Ok(Some(datagram.pieces))
    }

    /// When a datagram has waited long enough.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// Forgets datagrams that did not become complete in time.
    pub fn poll(&mut self, now: Time) {
        while let Some(key) = self.due.pop(now) {
            self.datagrams.remove(&key);
            self.timed_out += 1;
        }
    }
}

impl Datagram {
    /// Whether it is complete with this fragment; an error ends it.
    fn add(&mut self, packet: &Packet, frame: &[u8], limit: usize) -> Result<bool, Drop> {
        let fragment = packet.fragment.ok_or(Drop::FragmentFailed)?;
        let (start, len) = (fragment.start, packet.end - packet.l4);
        let end = start + len;
        let is_last = !fragment.more;
        let known = self.whole.unwrap_or(PAYLOAD_BYTES);
        let impossible = len == 0
            || (fragment.more && len % 8 != 0)
            || end > known
            || self.pieces.len() >= limit
            || (is_last && self.whole.is_some())
            || self.pieces.iter().any(|(other, _)| {
                let other_start = self::start(other);
                let other_end = other_start + (other.end - other.l4);
                (start < other_end && other_start < end) || (is_last && other_end > end)
            });
        if impossible {
            return Err(Drop::FragmentFailed);
        }
        self.pieces.push((*packet, frame.to_vec()));
        self.held += len;
        if is_last {
            self.whole = Some(end);
        }
        Ok(self.whole == Some(self.held))
    }
}

fn start(packet: &Packet) -> usize {
    packet.fragment.map_or(0, |fragment| fragment.start)
}
