//! Pinholes that inspectors opened: which first packets they let through, and how long.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::cover::SeenEnd;
use crate::flow::deadline::Deadlines;
use crate::flow::seeded::{Map, Seeded};
use crate::flow::{Handle, Time};
use crate::policy::Through;
use crate::sip::PinholeId;
use crate::wire::Tuple;

/// An inspector by its number among those of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opener {
    /// SIP.
    Sip(usize),
    /// Skinny.
    Skinny(usize),
}

/// A pinhole and which inspector opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinholeKey {
    /// The inspector.
    pub opener: Opener,
    /// Its name there.
    pub id: PinholeId,
}

/// An open pinhole.
#[derive(Clone, Copy, Debug)]
pub(in crate::punt) struct Open {
    /// Where packets come in, and to which end.
    pub end: SeenEnd,
    /// Who may send; anybody if unknown.
    pub from: Option<Ipv4Addr>,
    /// Where they go.
    pub through: Through,
    /// The translation of the end.
    pub xlate: Option<Handle>,
    /// It closes when nothing passed for so long.
    pub idle: Option<Time>,
    /// Connections that began through it and live.
    pub conns: usize,
    due: Option<Time>,
}

impl Open {
    /// A pinhole through which nothing has passed yet.
    pub fn new(
        end: SeenEnd,
        from: Option<Ipv4Addr>,
        through: Through,
        xlate: Option<Handle>,
        idle: Option<Time>,
    ) -> Self {
        Self {
            end,
            from,
            through,
            xlate,
            idle,
            conns: 0,
            due: None,
        }
    }
}

/// Pinholes of one end, by who may send. There are thousands where every transaction has the same contact.
type Senders = BTreeMap<Option<Ipv4Addr>, BTreeSet<PinholeKey>>;

/// All of them.
#[derive(Clone, Debug)]
pub(in crate::punt) struct Pinholes {
    open: Map<PinholeKey, Open>,
    by_end: Map<SeenEnd, Senders>,
    due: Deadlines<PinholeKey>,
    /// The card does not know yet what opened or closed.
    is_changed: bool,
}

impl Pinholes {
    /// None.
    pub fn new(seed: u64) -> Self {
        Self {
            open: Map::with_hasher(Seeded(seed)),
            by_end: Map::with_hasher(Seeded(seed)),
            due: Deadlines::default(),
            is_changed: false,
        }
    }

    /// Opens one.
    pub fn open(&mut self, now: Time, key: PinholeKey, open: Open) {
        let senders = self.by_end.entry(open.end).or_default();
        self.is_changed |= senders.is_empty();
        senders.entry(open.from).or_default().insert(key);
        self.open.insert(key, open);
        self.touch(now, key);
    }

    /// Closes one; gives what it was.
    pub fn close(&mut self, key: PinholeKey) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.due.set(key, open.due, None);
        if let Some(senders) = self.by_end.get_mut(&open.end) {
            if let Some(keys) = senders.get_mut(&open.from) {
                keys.remove(&key);
                if keys.is_empty() {
                    senders.remove(&open.from);
                }
            }
            if senders.is_empty() {
                self.by_end.remove(&open.end);
                self.is_changed = true;
            }
        }
        Some(open)
    }

    /// The pinhole that lets a first packet through.
    pub fn find(&self, interface: u8, tuple: &Tuple) -> Option<(PinholeKey, &Open)> {
        if self.open.is_empty() {
            return None;
        }
        let end = SeenEnd {
            interface,
            proto: tuple.proto,
            address: tuple.dst.into(),
            mask: u32::MAX,
            port: tuple.dport,
        };
        let senders = self.by_end.get(&end)?;
        let keys = senders
            .get(&Some(tuple.src))
            .or_else(|| senders.get(&None))?;
        let key = *keys.first()?;
        Some((key, self.open.get(&key)?))
    }

    /// A connection through one begins.
    pub fn enter(&mut self, now: Time, key: PinholeKey) {
        if let Some(open) = self.open.get_mut(&key) {
            open.conns += 1;
            self.touch(now, key);
        }
    }

    /// A connection through one is over.
    pub fn leave(&mut self, now: Time, key: PinholeKey) {
        if let Some(open) = self.open.get_mut(&key) {
            open.conns = open.conns.saturating_sub(1);
            self.touch(now, key);
        }
    }

    fn touch(&mut self, now: Time, key: PinholeKey) {
        if let Some(open) = self.open.get_mut(&key) {
            let due = open.idle.map(|idle| now.saturating_add(idle));
            self.due.set(key, open.due, due);
            open.due = due;
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// When [`Pinholes::poll`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// The next one through which nothing passed for its idle time. It is to be closed.
    pub fn poll(&mut self, now: Time) -> Option<PinholeKey> {
        loop {
            let key = self.due.pop(now)?;
            let open = self.open.get_mut(&key)?;
            open.due = None;
            if open.conns == 0 {
                return Some(key);
            }
            // A connection that lives passes packets: it would have ended otherwise.
            self.touch(now, key);
        }
    }

    /// Something else that the card hands over has changed.
    pub fn tell_again(&mut self) {
        self.is_changed = true;
    }

    /// Ends that the card must hand over, if they changed since the last call.
    pub fn changes(&mut self) -> Option<BTreeSet<SeenEnd>> {
        std::mem::take(&mut self.is_changed).then(|| self.by_end.keys().copied().collect())
    }
}
