//! Placement of flow entries, pure: cuckoo hashing over four ways with a small stash.
//!
//! Each key has one slot in each way (`layout::hash::flow_index`) and may sit in the stash. When its
//! slots are taken, a breadth-first search finds the shortest chain of moves that frees one. With
//! four choices such a search succeeds up to a load of about 97 % (Fountoulakis, Panagiotou 2012);
//! the stash catches what it misses. Nothing here touches the card.

use std::collections::{HashMap, VecDeque};

use layout::hash::flow_index;
use layout::table::{FLOW_SLOTS, FLOW_STASH, FLOW_WAY_ENTRIES, FLOW_WAYS, Key};

/// Which key sits in which slot.
pub struct Placement {
    slots: Vec<Option<Key>>,
    by_key: HashMap<Key, usize>,
}

/// A step that makes room: the key at `from` goes to `to`, which is free by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Slot that becomes free.
    pub from: usize,
    /// Free slot, another place of the same key.
    pub to: usize,
}

/// Where a key can go, and the moves that must come first, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Moves, each into a slot that is free when its turn comes.
    pub moves: Vec<Move>,
    /// The slot for the key.
    pub slot: usize,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            slots: vec![None; FLOW_SLOTS],
            by_key: HashMap::new(),
        }
    }
}

impl Placement {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no key is placed.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The slot of a key.
    pub fn slot_of(&self, key: &Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// The key in a slot.
    pub fn key_at(&self, slot: usize) -> Option<Key> {
        self.slots.get(slot).copied().flatten()
    }

    /// Finds room for a key; the slot `pinned` is neither used nor moved.
    pub fn room_for(&self, key: &Key, pinned: Option<usize>) -> Option<Room> {
        if let Some(slot) = self.slot_of(key) {
            return Some(Room {
                moves: Vec::new(),
                slot,
            });
        }
        self.search(key, pinned).or_else(|| {
            let stash = FLOW_SLOTS - FLOW_STASH..FLOW_SLOTS;
            let slot = stash
                .into_iter()
                .find(|&slot| self.slots[slot].is_none() && Some(slot) != pinned)?;
            Some(Room {
                moves: Vec::new(),
                slot,
            })
        })
    }

    /// Notes that a key sits in a slot.
    pub fn place(&mut self, key: Key, slot: usize) {
        debug_assert!(self.slots[slot].is_none_or(|other| other == key));
        self.slots[slot] = Some(key);
        self.by_key.insert(key, slot);
    }

    /// Forgets a key and returns its slot.
    pub fn remove(&mut self, key: &Key) -> Option<usize> {
        let slot = self.by_key.remove(key)?;
        self.slots[slot] = None;
        Some(slot)
    }

    /// Notes a move that the card has made.
    pub fn apply(&mut self, step: Move) {
        if let Some(key) = self.slots[step.from].take() {
            self.place(key, step.to);
        }
    }

    /// Breadth first from the key's own slots, over the other slots of whoever is in the way.
    fn search(&self, key: &Key, pinned: Option<usize>) -> Option<Room> {
        let mut reached: HashMap<usize, Option<usize>> = HashMap::new();
        let mut queue = VecDeque::new();
        let reach = |slot,
                     from,
                     reached: &mut HashMap<usize, Option<usize>>,
                     queue: &mut VecDeque<usize>| {
            if Some(slot) != pinned && !reached.contains_key(&slot) {
                reached.insert(slot, from);
                queue.push_back(slot);
            }
        };
        for slot in slots_of(key) {
            reach(slot, None, &mut reached, &mut queue);
        }
        while let Some(slot) = queue.pop_front() {
            let Some(occupant) = self.slots[slot] else {
                return Some(path(&reached, slot));
            };
            if reached.len() < SEARCH_SLOTS {
                for next in slots_of(&occupant) {
                    reach(next, Some(slot), &mut reached, &mut queue);
                }
            }
        }
        None
    }
}

/// Turns the chain that leads to the free slot `end` into moves, last link first.
fn path(reached: &HashMap<usize, Option<usize>>, end: usize) -> Room {
    let mut moves = Vec::new();
    let mut slot = end;
    while let Some(Some(from)) = reached.get(&slot) {
        moves.push(Move {
            from: *from,
            to: slot,
        });
        slot = *from;
    }
    Room { moves, slot }
}

fn slots_of(key: &Key) -> [usize; FLOW_WAYS] {
    std::array::from_fn(|way| way * FLOW_WAY_ENTRIES + flow_index(way, key))
}

/// Slots a search may reach; bounds an insert into a table that is really full.
const SEARCH_SLOTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key {
            dport: 5061,
            sport: 1024 + (n % 60_000) as u16,
            dst: 0xc000_0201,
            src: 0x0a00_0000 + n / 60_000,
            proto: 6,
            interface: (n & 1) as u8,
        }
    }

    /// Places a key and checks that every move goes from a used to a free slot of the same key.
    fn insert(placement: &mut Placement, key: Key) -> bool {
        let Some(room) = placement.room_for(&key, None) else {
            return false;
        };
        for step in room.moves {
            let moved = placement.key_at(step.from).expect("a key to move");
            assert_eq!(placement.key_at(step.to), None);
            assert!(slots_of(&moved).contains(&step.to));
            placement.apply(step);
            assert_eq!(placement.slot_of(&moved), Some(step.to));
        }
        assert_eq!(placement.key_at(room.slot), None);
        assert!(room.slot >= FLOW_SLOTS - FLOW_STASH || slots_of(&key).contains(&room.slot));
        placement.place(key, room.slot);
        true
    }

    #[test]
    fn inserts_never_fail_below_ninety_percent_even_under_churn() {
        let mut placement = Placement::default();
        let full = FLOW_SLOTS * 9 / 10;
        for n in 0..full as u32 {
            assert!(insert(&mut placement, key(n)), "flow {n}");
        }
        for n in full as u32..5 * FLOW_SLOTS as u32 {
            placement
                .remove(&key(n - full as u32))
                .expect("placed before");
            assert!(insert(&mut placement, key(n)), "flow {n} under churn");
            assert_eq!(placement.len(), full);
        }
    }

    #[test]
    fn a_full_table_refuses_and_keeps_what_it_has() {
        let mut placement = Placement::default();
        let placed: Vec<Key> = (0..2 * FLOW_SLOTS as u32)
            .map(key)
            .filter(|key| insert(&mut placement, *key))
            .collect();
        assert!(
            placed.len() > FLOW_SLOTS * 97 / 100,
            "{} of {FLOW_SLOTS}",
            placed.len()
        );
        assert_eq!(placement.len(), placed.len());
        for key in placed {
            let slot = placement.slot_of(&key).expect("still placed");
            assert_eq!(placement.key_at(slot), Some(key));
        }
    }

    #[test]
    fn a_pinned_slot_is_neither_used_nor_moved() {
        let mut placement = Placement::default();
        for n in 0..FLOW_SLOTS as u32 * 8 / 10 {
            insert(&mut placement, key(n));
        }
        for n in 0..1_000 {
            let newcomer = key(100_000 + n);
            let pinned = slots_of(&newcomer)[n as usize % FLOW_WAYS];
            let room = placement.room_for(&newcomer, Some(pinned)).expect("room");
            assert_ne!(room.slot, pinned);
            assert!(
                room.moves
                    .iter()
                    .all(|step| step.from != pinned && step.to != pinned)
            );
        }
    }
}
