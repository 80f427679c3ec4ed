//! All connections, found by the card's key of either direction.

use std::collections::BTreeSet;

use layout::table::{FlowStats, Key};

use super::conn::{Conn, State, Teardown};
use super::deadline::Deadlines;
use super::leg::Direction;
use super::limits::{FIRST_LOOK, LAST_LOOK, Limits};
use super::seeded::{Map, Seeded};
use super::slab::Slab;
use super::{Handle, Time};
use crate::policy::Model;
use crate::wire::packet::TCP;

/// The connection table.
#[derive(Clone, Debug)]
pub struct Conns {
    slab: Slab<Conn>,
    index: Map<Key, (Handle, Direction)>,
    due: Deadlines<Handle>,
    /// TCP connections whose handshake is not complete, oldest first.
    embryonic: BTreeSet<(Time, Handle)>,
    limits: Limits,
    built: u64,
    most: usize,
}

/// Why a connection cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The table is full and no handshake can give way.
    Full,
    /// One of its keys belongs to another connection.
    InUse,
}

/// What a connection that is due needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its end.
    Close(Handle, Teardown),
    /// A look at the card's counters.
    Look(Handle),
}

impl Conns {
    /// An empty table.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            slab: Slab::default(),
            index: Map::with_hasher(Seeded(seed)),
            due: Deadlines::default(),
            embryonic: BTreeSet::new(),
            limits,
            built: 0,
            most: 0,
        }
    }

    /// Connections in use.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// No connections.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The most there ever were.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Connections made so far.
    pub fn built(&self) -> u64 {
        self.built
    }

    /// Handshakes not complete.
    pub fn embryonic(&self) -> usize {
        self.embryonic.len()
    }

    /// The connection and direction of a key.
    pub fn find(&self, key: &Key) -> Option<(Handle, Direction)> {
        self.index.get(key).copied()
    }

    /// The connection.
    pub fn get(&self, handle: Handle) -> Option<&Conn> {
        self.slab.get(handle)
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slab.iter()
    }

    /// The handshake that has to give way before another connection is added, if one has to.
    pub fn victim(&self) -> Option<Handle> {
        let crowded =
            self.slab.len() >= self.limits.conns || self.embryonic.len() >= self.limits.embryonic;
        self.embryonic
            .first()
            .filter(|_| crowded)
            .map(|(_, handle)| *handle)
    }

    /// Adds a connection.
    pub fn insert(&mut self, mut conn: Conn, model: &Model) -> Result<Handle, Refused> {
        if self.slab.len() >= self.limits.conns {
            return Err(Refused::Full);
        }
        let (forward, reverse) = (conn.forward.key(), conn.reverse.map(|leg| leg.key()));
        if [Some(forward), reverse]
            .iter()
            .flatten()
            .any(|key| self.index.contains_key(key))
            || reverse == Some(forward)
        {
            return Err(Refused::InUse);
        }
        self.built += 1;
        conn.number = self.built;
        let (opened, is_tcp) = (conn.opened, conn.proto() == TCP);
        let handle = self.slab.insert(conn);
        self.index.insert(forward, (handle, Direction::Forward));
        if let Some(reverse) = reverse {
            self.index.insert(reverse, (handle, Direction::Reverse));
        }
        if is_tcp {
            self.embryonic.insert((opened, handle));
        }
        self.most = self.most.max(self.slab.len());
        self.schedule(opened, handle, model, true);
        Ok(handle)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, handle: Handle) -> Option<Conn> {
        let conn = self.slab.remove(handle)?;
        self.index.remove(&conn.forward.key());
        if let Some(leg) = conn.reverse {
            self.index.remove(&leg.key());
        }
        self.due.set(handle, conn.due, None);
        self.embryonic.remove(&(conn.opened, handle));
        Some(conn)
    }

    /// The card has no entries for it: the host forwards its packets.
    pub fn keep_on_host(&mut self, now: Time, handle: Handle, model: &Model) {
        if let Some(conn) = self.slab.get_mut(handle) {
            conn.on_host = true;
            self.schedule(now, handle, model, true);
        }
    }

    /// A packet passed on the host path.
    pub fn observe(
        &mut self,
        now: Time,
        handle: Handle,
        direction: Direction,
        bytes: usize,
        flags: u8,
        model: &Model,
    ) {
        let Some(conn) = self.slab.get_mut(handle) else {
            return;
        };
        let before = conn.state();
        conn.observe(now, direction, bytes, flags);
        // Within a state the deadline only moves away; that is noticed when it comes.
        if conn.state() != before {
            self.schedule(now, handle, model, true);
        }
    }

    /// The card's counters arrived; returns why the connection ends, if it does.
    pub fn observe_card(
        &mut self,
        now: Time,
        handle: Handle,
        forward: Option<&FlowStats>,
        reverse: Option<&FlowStats>,
        model: &Model,
    ) -> Option<Teardown> {
        let conn = self.slab.get_mut(handle)?;
        let mut is_active = false;
        for (direction, stats) in [(Direction::Forward, forward), (Direction::Reverse, reverse)] {
            if let Some(stats) = stats {
                is_active |= conn.observe_card(now, direction, stats);
            }
        }
        if let Some(end) = conn.ended(now, model) {
            return Some(end);
        }
        self.schedule(now, handle, model, is_active);
        None
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// The next connection that is due.
    pub fn poll(&mut self, now: Time, model: &Model) -> Option<Due> {
        while let Some(handle) = self.due.pop(now) {
            let Some(conn) = self.slab.get_mut(handle) else {
                continue;
            };
            conn.due = None;
            if !conn.on_host {
                // Until the answer comes, ask again now and then.
                let again = now + FIRST_LOOK;
                conn.due = Some(again);
                self.due.set(handle, None, Some(again));
                return Some(Due::Look(handle));
            }
            if let Some(end) = conn.ended(now, model) {
                return Some(Due::Close(handle, end));
            }
            self.schedule(now, handle, model, true);
        }
        None
    }

    /// Sets the next deadline: the end of the idle time or, on the card, the next look at its counters.
    fn schedule(&mut self, now: Time, handle: Handle, model: &Model, is_active: bool) {
        let Some(conn) = self.slab.get_mut(handle) else {
            return;
        };
        let end = conn
            .timeout(model)
            .map(|timeout| conn.last.saturating_add(timeout).max(now));
        conn.look = if is_active {
            FIRST_LOOK
        } else {
            (conn.look * 2).min(LAST_LOOK)
        };
        let look = (!conn.on_host).then_some(now + conn.look);
        let due = [end, look].into_iter().flatten().min();
        let (old, opened, state) = (conn.due, conn.opened, conn.state());
        conn.due = due;
        self.due.set(handle, old, due);
        if state != State::Embryonic {
            self.embryonic.remove(&(opened, handle));
        }
    }
}
