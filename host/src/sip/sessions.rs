//! All sessions by Call-ID, bounded: whoever was never answered gives way first.

use std::hash::BuildHasher;
use std::net::Ipv4Addr;

use super::dialog::{Session, State};
use super::limits::SHOWN_BYTES;
use super::timeouts::Timeouts;
use crate::flow::deadline::Deadlines;
use crate::flow::seeded::{Map, Seeded};
use crate::flow::slab::Slab;
use crate::flow::{Handle, Time};

/// The table of sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    slab: Slab<Session>,
    by_key: Map<u128, Handle>,
    due: Deadlines<Handle>,
    /// Those that may give way, by when they began.
    waiting: Deadlines<Handle>,
    limit: usize,
    most: usize,
    seed: u64,
}

impl Sessions {
    pub(super) fn new(limit: usize, seed: u64) -> Self {
        Self {
            slab: Slab::default(),
            by_key: Map::with_hasher(Seeded(seed)),
            due: Deadlines::default(),
            waiting: Deadlines::default(),
            limit,
            most: 0,
            seed,
        }
    }

    /// Sessions in the table.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// No sessions.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The most there ever were.
    pub fn most(&self) -> usize {
        self.most
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slab.iter()
    }

    /// Names a Call-ID without keeping it: 128 bits that an outsider cannot foresee.
    pub(super) fn key(&self, call_id: &[u8]) -> u128 {
        let half = |salt: u64| u128::from(Seeded(self.seed ^ salt).hash_one(call_id));
        half(0) << 64 | half(u64::MAX)
    }

    pub(super) fn find(&self, key: u128) -> Option<Handle> {
        self.by_key.get(&key).copied()
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Session> {
        self.slab.get(handle)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Session> {
        self.slab.get_mut(handle)
    }

    /// Whether another session must give way first, and which; `Err` if none may.
    pub(super) fn victim(&self) -> Result<Option<Handle>, ()> {
        if self.slab.len() < self.limit {
            return Ok(None);
        }
        let oldest = self.waiting.next().map(|(_, handle)| handle);
        oldest.map(Some).ok_or(())
    }

    pub(super) fn insert(
        &mut self,
        now: Time,
        key: u128,
        call_id: &[u8],
        source: Ipv4Addr,
    ) -> Handle {
        let shown = &call_id[..call_id.len().min(SHOWN_BYTES)];
        let mut session = Session::new(now, shown, source);
        session.keys[0] = Some(key);
        let handle = self.slab.insert(session);
        self.by_key.insert(key, handle);
        self.waiting.set(handle, None, Some(now));
        self.most = self.most.max(self.slab.len());
        handle
    }

    /// Names a session by the Call-ID that the mapped side sees. `false` if another one has it.
    pub(super) fn alias(&mut self, handle: Handle, key: u128) -> bool {
        match self.by_key.get(&key) {
            Some(owner) => *owner == handle,
            None => {
                let Some(session) = self.slab.get_mut(handle) else {
                    return false;
                };
                if let Some(old) = session.keys[1].replace(key) {
                    self.by_key.remove(&old);
                }
                self.by_key.insert(key, handle);
                true
            }
        }
    }

    /// Brings deadlines up to date after a change.
    pub(super) fn schedule(&mut self, handle: Handle, timeouts: &Timeouts) {
        let Some(session) = self.slab.get_mut(handle) else {
            return;
        };
        let due = session.next_due(timeouts);
        self.due.set(handle, session.due, due);
        session.due = due;
        let waits = (session.state != State::Active).then_some(session.began);
        self.waiting.set(handle, Some(session.began), waits);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// The next session of which something is due. It must be scheduled again or removed.
    pub(super) fn pop(&mut self, now: Time) -> Option<Handle> {
        let handle = self.due.pop(now)?;
        if let Some(session) = self.slab.get_mut(handle) {
            session.due = None;
        }
        Some(handle)
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Session> {
        let session = self.slab.remove(handle)?;
        for key in session.keys.iter().flatten() {
            self.by_key.remove(key);
        }
        self.due.set(handle, session.due, None);
        self.waiting.set(handle, Some(session.began), None);
        Some(session)
    }
}
