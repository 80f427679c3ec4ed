//! How addresses of one session were written on each side, so that they can be written back exactly.
//!
//! A translation alone does not tell: behind PAT many hosts share a mapped address, and a host without a port in its
//! Contact must find none there again.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use super::limits::MEMORIES;

/// An address as it stands in a message: with or without a port.
pub type Written = (Ipv4Addr, Option<u16>);

/// What tells hosts behind one address apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Hash of what stands before the address, such as the user of a URI.
    pub user: u64,
    /// What kind of field it stands in.
    pub field: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    real: Written,
    mapped: Written,
    place: Place,
}

/// Pairs of written addresses, the latest last.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pairs: VecDeque<Pair>,
}

impl Memory {
    /// Notes how an address stands on both sides.
    pub fn note(&mut self, real: Written, mapped: Written, place: Place) {
        let pair = Pair {
            real,
            mapped,
            place,
        };
        self.pairs
            .retain(|old| old.place != place || (old.mapped != mapped && old.real != real));
        if self.pairs.len() == MEMORIES {
            self.pairs.pop_front();
        }
        self.pairs.push_back(pair);
    }

    /// How a real address stands on the mapped side: in this place, or behind this user elsewhere.
    pub fn mapped(&self, real: Written, place: Place) -> Option<Written> {
        let found = self.nearest(place, |pair| pair.real == real);
        found.map(|pair| pair.mapped)
    }

    /// How a mapped address stands on the real side: in this place, behind this user elsewhere, or everywhere alike.
    pub fn real(&self, mapped: Written, place: Place) -> Option<Written> {
        if let Some(pair) = self.nearest(place, |pair| pair.mapped == mapped) {
            return Some(pair.real);
        }
        let all = self.pairs.iter().filter(|pair| pair.mapped == mapped);
        let mut any = all.map(|pair| pair.real);
        let first = any.next()?;
        any.all(|real| real == first).then_some(first)
    }

    fn nearest(&self, place: Place, is_meant: impl Fn(&Pair) -> bool) -> Option<&Pair> {
        let latest = |is_here: &dyn Fn(&Pair) -> bool| {
            let mut pairs = self.pairs.iter().rev();
            pairs.find(|pair| is_meant(pair) && is_here(pair))
        };
        latest(&|pair| pair.place == place)
            .or_else(|| latest(&|pair| pair.place.user == place.user))
    }

    /// Pairs noted.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Nothing noted.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPED: Written = (Ipv4Addr::new(192, 0, 2, 10), None);
    const REAL: [Written; 2] = [
        (Ipv4Addr::new(10, 0, 0, 2), None),
        (Ipv4Addr::new(10, 0, 0, 3), None),
    ];

    fn place(user: u64, field: u64) -> Place {
        Place { user, field }
    }

    #[test]
    fn hosts_behind_one_address_are_told_apart_by_place() {
        let mut memory = Memory::default();
        memory.note(REAL[0], MAPPED, place(1, 1));
        assert_eq!(memory.real(MAPPED, place(9, 1)), Some(REAL[0]));
        memory.note(REAL[1], MAPPED, place(2, 1));
        assert_eq!(memory.real(MAPPED, place(1, 1)), Some(REAL[0]));
        assert_eq!(memory.real(MAPPED, place(2, 5)), Some(REAL[1]));
        assert_eq!(memory.real(MAPPED, place(9, 1)), None);
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut memory = Memory::default();
        for user in 0..=MEMORIES as u64 {
            memory.note(REAL[0], (MAPPED.0, Some(user as u16)), place(user, 0));
        }
        assert_eq!(memory.len(), MEMORIES);
        assert_eq!(memory.real((MAPPED.0, Some(0)), place(0, 0)), None);
        let next = memory.real((MAPPED.0, Some(1)), place(1, 0));
        assert_eq!(next, Some(REAL[0]));
    }
}
