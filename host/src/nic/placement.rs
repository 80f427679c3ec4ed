//! Placement of flow entries, pure: cuckoo hashing over four ways with a small stash.
//!
//! Each key has one slot in each way (`layout::hash::flow_index`) and may sit in the stash. When its
//! slots are taken, a breadth-first search finds the shortest chain of moves that frees one. With
//! four choices such a search succeeds up to a load of about 97 % for random keys (Fountoulakis,
//! Panagiotou 2012) and beyond for consecutive ones; the stash catches the rest. Nothing here touches the card.

use std::collections::{HashMap, VecDeque};

use layout::hash::flow_index;
use layout::table::{FLOW_SLOTS, FLOW_STASH, FLOW_WAY_ENTRIES, FLOW_WAYS, Key};

/// Which key sits in which slot.
pub struct Placement {
    slots: Vec<Option<Occupant>>,
    by_key: HashMap<Key, usize>,
}

/// A placed key and, since hashing costs more than remembering, where else it could sit.
#[derive(Clone, Copy)]
struct Occupant {
    key: Key,
    choices: [usize; FLOW_WAYS],
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
        self.slots.get(slot)?.map(|occupant| occupant.key)
    }

    /// Whether the card looks for a key in a slot.
    pub fn may_sit(&self, key: &Key, slot: usize) -> bool {
        (FLOW_SLOTS - FLOW_STASH..FLOW_SLOTS).contains(&slot) || choices(key).contains(&slot)
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
        let choices = choices(&key);
        self.slots[slot] = Some(Occupant { key, choices });
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
        if let Some(occupant) = self.slots[step.from].take() {
            self.slots[step.to] = Some(occupant);
            self.by_key.insert(occupant.key, step.to);
        }
    }

    /// Breadth first from the key's own slots, over the other slots of whoever is in the way.
    fn search(&self, key: &Key, pinned: Option<usize>) -> Option<Room> {
        let mut came_from = vec![Link::Unseen; FLOW_SLOTS];
        if let Some(slot) = pinned {
            came_from[slot] = Link::Closed;
        }
        let mut queue = VecDeque::new();
        let mut reach = |slot: usize, link, queue: &mut VecDeque<usize>| {
            if matches!(came_from[slot], Link::Unseen) {
                came_from[slot] = link;
                queue.push_back(slot);
            }
        };
        for slot in choices(key) {
            reach(slot, Link::Start, &mut queue);
        }
        while let Some(slot) = queue.pop_front() {
            let Some(occupant) = self.slots[slot] else {
                return Some(path(&came_from, slot));
            };
            for next in occupant.choices {
                reach(next, Link::From(slot), &mut queue);
            }
        }
        None
    }
}

/// How a search came to a slot.
#[derive(Clone, Copy)]
enum Link {
    Unseen,
    Closed,
    Start,
    From(usize),
}

/// Turns the chain that leads to the free slot `end` into moves, last link first.
fn path(came_from: &[Link], end: usize) -> Room {
    let mut moves = Vec::new();
    let mut slot = end;
    while let Link::From(from) = came_from[slot] {
        moves.push(Move { from, to: slot });
        slot = from;
    }
    Room { moves, slot }
}

fn choices(key: &Key) -> [usize; FLOW_WAYS] {
    std::array::from_fn(|way| way * FLOW_WAY_ENTRIES + flow_index(way, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys without any order.
    fn scattered(n: u32) -> Key {
        let mix =
            |salt: u64| (u64::from(n) ^ salt << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
        let (a, b) = (
            mix(1).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9),
            mix(2).rotate_left(29).wrapping_mul(0x94d0_49bb_1331_11eb),
        );
        Key {
            dport: (a >> 48) as u16,
            sport: (b >> 48) as u16,
            dst: (a >> 8) as u32,
            src: (b >> 8) as u32,
            proto: 17,
            interface: (n & 1) as u8,
        }
    }

    /// Consecutive ports, as one client's connections to one server.
    fn consecutive(n: u32) -> Key {
        Key {
            dport: 5061,
            sport: 1024 + (n % 60_000) as u16,
            dst: 0xc000_02fe,
            src: 0x0a00_0002 + n / 60_000,
            proto: 6,
            interface: 1,
        }
    }

    /// Both directions of connections through PAT, from a few clients that count their ports.
    fn pairs(n: u32) -> Key {
        let (conn, client) = (n / 2, n / 2 % 5);
        if n.is_multiple_of(2) {
            Key {
                dport: 5269,
                sport: (40_000 + conn / 5) as u16,
                dst: 0xc000_02fe,
                src: 0x0a00_0002 + client,
                proto: 6,
                interface: 1,
            }
        } else {
            Key {
                dport: 1024 + conn as u16,
                sport: 5269,
                dst: 0xc000_0201,
                src: 0xc000_02fe,
                proto: 6,
                interface: 0,
            }
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
            assert!(choices(&moved).contains(&step.to));
            placement.apply(step);
            assert_eq!(placement.slot_of(&moved), Some(step.to));
        }
        assert_eq!(placement.key_at(room.slot), None);
        assert!(room.slot >= FLOW_SLOTS - FLOW_STASH || choices(&key).contains(&room.slot));
        placement.place(key, room.slot);
        true
    }

    #[test]
    fn inserts_never_fail_below_ninety_percent_even_under_churn() {
        for key in [consecutive, pairs, scattered] {
            fill_and_churn(key);
        }
    }

    fn fill_and_churn(key: fn(u32) -> Key) {
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
        let placed: Vec<Key> = (0..FLOW_SLOTS as u32 * 21 / 20)
            .map(scattered)
            .filter(|key| insert(&mut placement, *key))
            .collect();
        assert!(
            placed.len() > FLOW_SLOTS * 9 / 10,
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
            insert(&mut placement, consecutive(n));
        }
        for n in 0..1_000 {
            let newcomer = scattered(n);
            let pinned = choices(&newcomer)[n as usize % FLOW_WAYS];
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
