//! Finding an earlier entry that takes everything a new one could match.
//!
//! Entries are filed by the shape of what they match (prefix lengths, one protocol or all, interface mask) and, within a
//! shape, by value: for a new entry each wider shape needs one look-up, so the cost does not grow with the
//! number of entries. Only single covering entries are found, not several that cover together.

use std::collections::HashMap;

use layout::table::AclEntry;

use super::interfaces::Match;

/// Entries of one value that are looked at; a miss only costs a slot.
const LOOK_LIMIT: usize = 32;

/// What of an entry is compared by value under the shape's masks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Value {
    interface: u8,
    proto: u8,
    src: u32,
    dst: u32,
}

/// Masks of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    interface: u8,
    proto: u8,
    src: u32,
    dst: u32,
}

impl Shape {
    fn of(entry: &AclEntry) -> Self {
        Self {
            interface: entry.interface_mask,
            proto: entry.proto_mask,
            src: entry.src_mask,
            dst: entry.dst_mask,
        }
    }

    fn is_wider_than(self, entry: &AclEntry) -> bool {
        let within = |own: u32, other: u32| own & other == own;
        within(self.src, entry.src_mask)
            && within(self.dst, entry.dst_mask)
            && self.proto & entry.proto_mask == self.proto
            && self.interface & entry.interface_mask == self.interface
    }

    fn value(self, entry: &AclEntry) -> Value {
        Value {
            interface: entry.interface & self.interface,
            proto: entry.proto & self.proto,
            src: entry.src & self.src,
            dst: entry.dst & self.dst,
        }
    }
}

/// The entries so far.
#[derive(Default)]
pub(super) struct Shadows {
    shapes: Vec<(Shape, HashMap<Value, Vec<usize>>)>,
}

impl Shadows {
    /// The earlier entry of `entries` that covers `entry`.
    pub fn covering(&self, entries: &[AclEntry], entry: &AclEntry) -> Option<usize> {
        self.shapes
            .iter()
            .filter(|(shape, _)| shape.is_wider_than(entry))
            .filter_map(|(shape, by_value)| by_value.get(&shape.value(entry)))
            .flat_map(|places| places.iter().take(LOOK_LIMIT))
            .copied()
            .filter(|&place| covers(&entries[place], entry))
            .min()
    }

    /// Files an entry that stands at `place`.
    pub fn insert(&mut self, place: usize, entry: &AclEntry) {
        let shape = Shape::of(entry);
        let index = match self.shapes.iter().position(|(known, _)| *known == shape) {
            Some(index) => index,
            None => {
                self.shapes.push((shape, HashMap::new()));
                self.shapes.len() - 1
            }
        };
        self.shapes[index]
            .1
            .entry(shape.value(entry))
            .or_default()
            .push(place);
    }
}

/// Whether everything `entry` matches, `wide` matches too.
fn covers(wide: &AclEntry, entry: &AclEntry) -> bool {
    let interface = |entry: &AclEntry| Match {
        value: entry.interface,
        mask: entry.interface_mask,
    };
    interface(wide).covers(interface(entry))
        && wide.sport_low <= entry.sport_low
        && entry.sport_high <= wide.sport_high
        && wide.dport_low <= entry.dport_low
        && entry.dport_high <= wide.dport_high
}
