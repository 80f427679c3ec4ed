//! Next hops: MAC addresses asked for, learned, forgotten.
//!
//! The index of a next hop is its index in the card's adjacency table. A MAC address is believed only from an ARP message of
//! somebody we know as a next hop (RFC 826 without creating entries for strangers), so nobody can fill the table.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use layout::table::{ADJACENCIES, Adjacency};

use super::attachment::Attachment;
use super::effect::Effect;
use crate::flow::Time;
use crate::flow::deadline::Deadlines;
use crate::flow::seeded::{Map, Seeded};
use crate::wire::arp::Arp;
use crate::wire::{Mac, edit};

/// Time between two questions.
const ASK_AGAIN: Time = Time::from_secs(1);
/// Questions before a next hop counts as silent.
const QUESTIONS: u8 = 3;
/// A MAC address is asked for again after this (`arp timeout` default).
const ARP_TIMEOUT: Time = Time::from_secs(4 * 3600);

/// Where MAC addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// ARP.
    Ask,
    /// For replay, where nobody answers: the MAC address that the next hop's own frames carried, else `02:00`
    /// and its IPv4 address.
    Derive,
}

/// How a waiting frame goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Through the card again, as if it came in on this interface.
    LookUp(u8),
    /// Out of the next hop's interface with a new link header.
    Send,
}

/// What became of a frame for a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Now,
    /// It waits for the MAC address.
    Waiting,
    /// Too many wait, or it is too long.
    Refused,
}

#[derive(Clone, Debug)]
struct Neighbour {
    interface: u8,
    address: Ipv4Addr,
    mac: Option<Mac>,
    /// Questions without an answer.
    asked: u8,
    /// The next question, the end of waiting, or the age at which to ask again.
    due: Option<Time>,
    waiting: VecDeque<(Vec<u8>, Route)>,
    /// Legs of connections that use it.
    legs: usize,
    /// When the last of them went.
    unused_since: Time,
}

impl Neighbour {
    fn new(interface: u8, address: Ipv4Addr) -> Self {
        Self {
            interface,
            address,
            mac: None,
            asked: 0,
            due: None,
            waiting: VecDeque::new(),
            legs: 0,
            unused_since: Time::ZERO,
        }
    }
}

/// Place of an index that nobody has: no next hop has this address.
const NOBODY: (u8, Ipv4Addr) = (u8::MAX, Ipv4Addr::UNSPECIFIED);

/// The next hops.
#[derive(Clone, Debug)]
pub struct Neighbours {
    attachments: Arc<[Attachment]>,
    resolution: Resolution,
    waiting_limit: usize,
    entries: Vec<Neighbour>,
    index: Map<(u8, Ipv4Addr), u8>,
    unused: BTreeSet<(Time, u8)>,
    due: Deadlines<u8>,
    given_up: u64,
}

impl Neighbours {
    /// Nobody is known.
    pub fn new(
        attachments: Arc<[Attachment]>,
        resolution: Resolution,
        waiting_limit: usize,
        seed: u64,
    ) -> Self {
        Self {
            attachments,
            resolution,
            waiting_limit,
            entries: Vec::new(),
            index: Map::with_hasher(Seeded(seed)),
            unused: BTreeSet::new(),
            due: Deadlines::default(),
            given_up: 0,
        }
    }

    /// Frames given up because their next hop did not answer.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// A leg of a connection uses a next hop; `hint` is the MAC address its own frame carried. `None` when all
    /// indexes are in use.
    pub fn acquire(
        &mut self,
        now: Time,
        interface: u8,
        address: Ipv4Addr,
        hint: Option<Mac>,
        effects: &mut Vec<Effect>,
    ) -> Option<u8> {
        let index = match self.index.get(&(interface, address)) {
            Some(index) => *index,
            None => self.create(interface, address, effects)?,
        };
        let entry = &mut self.entries[usize::from(index)];
        if entry.legs == 0 {
            self.unused.remove(&(entry.unused_since, index));
        }
        entry.legs += 1;
        if self.resolution == Resolution::Derive {
            let [a, b, c, d] = address.octets();
            let derived = || entry.mac.unwrap_or(Mac([2, 0, a, b, c, d]));
            let mac = hint.filter(|mac| !mac.is_group()).unwrap_or_else(derived);
            self.resolve(now, index, mac, effects);
        }
        Some(index)
    }

    /// A leg of a connection uses a next hop that the card has at this index. `false` if the address has another index,
    /// or the index another address. A MAC address that was found is used, and asked for again soon.
    pub fn adopt(&mut self, now: Time, index: u8, found: &Adjacency, address: Ipv4Addr) -> bool {
        let place = (found.interface, address);
        match self.index.get(&place) {
            Some(known) if *known != index => return false,
            Some(_) => {
                self.entries[usize::from(index)].legs += 1;
                return true;
            }
            None => {}
        }
        while self.entries.len() <= usize::from(index) {
            self.unused.insert((Time::ZERO, self.entries.len() as u8));
            self.entries.push(Neighbour::new(NOBODY.0, NOBODY.1));
        }
        let entry = &mut self.entries[usize::from(index)];
        if (entry.interface, entry.address) != NOBODY {
            return false;
        }
        self.unused.remove(&(Time::ZERO, index));
        let is_checked = found.valid && self.resolution == Resolution::Ask;
        *entry = Neighbour {
            mac: found.valid.then(|| Mac::from(found.mac)),
            due: is_checked.then_some(now + ASK_AGAIN),
            legs: 1,
            ..Neighbour::new(found.interface, address)
        };
        self.due.set(index, None, entry.due);
        self.index.insert(place, index);
        true
    }

    /// Whether the MAC address of the next hop with this index is known.
    pub fn is_resolved(&self, index: u8) -> bool {
        let entry = self.entries.get(usize::from(index));
        entry.is_some_and(|entry| entry.mac.is_some())
    }

    /// A leg does not need its next hop any more.
    pub fn release(&mut self, now: Time, index: u8) {
        let Some(entry) = self.entries.get_mut(usize::from(index)) else {
            return;
        };
        entry.legs = entry.legs.saturating_sub(1);
        if entry.legs == 0 {
            self.unused.remove(&(entry.unused_since, index));
            entry.unused_since = now;
            self.unused.insert((now, index));
        }
    }

    /// Sends a frame to a next hop, or keeps it and asks.
    pub fn send(
        &mut self,
        now: Time,
        index: u8,
        frame: Vec<u8>,
        route: Route,
        effects: &mut Vec<Effect>,
    ) -> Sent {
        let Some(entry) = self.entries.get_mut(usize::from(index)) else {
            return Sent::Refused;
        };
        if let Some(mac) = entry.mac {
            let Some(effect) = emit(&self.attachments, entry.interface, mac, frame, route) else {
                return Sent::Refused;
            };
            effects.push(effect);
            return Sent::Now;
        }
        if entry.waiting.len() >= self.waiting_limit {
            return Sent::Refused;
        }
        entry.waiting.push_back((frame, route));
        if entry.due.is_none() {
            self.ask(now, index, effects);
        }
        Sent::Waiting
    }

    /// An ARP message tells that an address is at a MAC address.
    pub fn learn(
        &mut self,
        now: Time,
        interface: u8,
        address: Ipv4Addr,
        mac: Mac,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(index) = self.index.get(&(interface, address)) {
            self.resolve(now, *index, mac, effects);
        }
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// Asks again, gives up, forgets.
    pub fn poll(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(index) = self.due.pop(now) {
            let entry = &mut self.entries[usize::from(index)];
            entry.due = None;
            if entry.asked < QUESTIONS && (entry.legs > 0 || !entry.waiting.is_empty()) {
                self.ask(now, index, effects);
                continue;
            }
            self.given_up += entry.waiting.len() as u64;
            entry.waiting.clear();
            entry.asked = 0;
            if entry.mac.take().is_some() {
                effects.push(adjacency(index, entry));
            }
        }
    }

    fn resolve(&mut self, now: Time, index: u8, mac: Mac, effects: &mut Vec<Effect>) {
        let entry = &mut self.entries[usize::from(index)];
        let is_new = entry.mac.replace(mac) != Some(mac);
        let due = (self.resolution == Resolution::Ask).then_some(now + ARP_TIMEOUT);
        self.due.set(index, entry.due, due);
        entry.due = due;
        entry.asked = 0;
        if is_new {
            effects.push(adjacency(index, entry));
        }
        for (frame, route) in std::mem::take(&mut entry.waiting) {
            effects.extend(emit(&self.attachments, entry.interface, mac, frame, route));
        }
    }

    fn ask(&mut self, now: Time, index: u8, effects: &mut Vec<Effect>) {
        let entry = &mut self.entries[usize::from(index)];
        entry.asked += 1;
        let due = Some(now + ASK_AGAIN);
        self.due.set(index, entry.due, due);
        entry.due = due;
        let Some(own) = self.attachments.get(usize::from(entry.interface)) else {
            return;
        };
        let sender = own.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        effects.extend(own.send(Arp::request(own.mac, sender, entry.address, own.vid)));
    }

    /// A new index, or that of the next hop that was unused for longest.
    fn create(
        &mut self,
        interface: u8,
        address: Ipv4Addr,
        effects: &mut Vec<Effect>,
    ) -> Option<u8> {
        let entry = Neighbour::new(interface, address);
        let index = if self.entries.len() < ADJACENCIES {
            self.entries.push(entry);
            (self.entries.len() - 1) as u8
        } else {
            let (_, index) = self.unused.pop_first()?;
            let old = std::mem::replace(&mut self.entries[usize::from(index)], entry);
            self.index.remove(&(old.interface, old.address));
            self.due.set(index, old.due, None);
            self.given_up += old.waiting.len() as u64;
            // The index must not lead to the old next hop while the new one is unknown.
            effects.push(adjacency(index, &self.entries[usize::from(index)]));
            index
        };
        self.index.insert((interface, address), index);
        Some(index)
    }
}

fn adjacency(index: u8, entry: &Neighbour) -> Effect {
    let mac = entry.mac.map_or(0, u64::from);
    Effect::SetAdjacency {
        index,
        entry: Adjacency {
            valid: entry.mac.is_some(),
            interface: entry.interface,
            mac,
        },
    }
}

fn emit(
    attachments: &[Attachment],
    interface: u8,
    mac: Mac,
    mut frame: Vec<u8>,
    route: Route,
) -> Option<Effect> {
    match route {
        Route::LookUp(ingress) => attachments.get(usize::from(ingress))?.look_up(frame),
        Route::Send => {
            let own = attachments.get(usize::from(interface))?;
            edit::set_link(&mut frame, mac, own.mac, own.vid);
            own.send(frame)
        }
    }
}
