//! The interface table, and sets of interfaces as value and mask.

use layout::table;

use crate::policy::image::{Capacity, FitReport, Image};
use crate::policy::model::{InterfaceId, Model};

/// A set of card interfaces: bit n is interface n.
pub(super) type Set = u16;

/// Value and mask over the interface number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Match {
    pub value: u8,
    pub mask: u8,
}

impl Match {
    /// Every interface.
    pub const ANY: Self = Self { value: 0, mask: 0 };

    /// One interface.
    pub fn one(interface: u8) -> Self {
        Self {
            value: interface,
            mask: 0xf,
        }
    }

    /// Whether all interfaces of the other are among these.
    pub fn covers(self, other: Self) -> bool {
        self.mask & other.mask == self.mask && other.value & self.mask == self.value
    }

    /// The interfaces that both have.
    pub fn meet(self, other: Self) -> Option<Self> {
        let apart = (self.value ^ other.value) & self.mask & other.mask != 0;
        (!apart).then_some(Self {
            value: self.value | other.value,
            mask: self.mask | other.mask,
        })
    }

    fn members(self) -> Set {
        (0..16)
            .filter(|number| (number ^ self.value) & self.mask == 0)
            .fold(0, |set, number| set | 1 << number)
    }
}

/// Fills in the interface table and returns which interfaces the card has.
pub(super) fn compile(
    model: &Model,
    capacity: &Capacity,
    image: &mut Image,
    report: &mut FitReport,
) -> Set {
    let mut set = 0;
    for id in model.interface_ids() {
        let interface = model.interface(id);
        let Some(port) = interface.port else {
            continue;
        };
        report.wanted.interfaces += 1;
        if image.interfaces.len() >= capacity.interfaces.min(table::INTERFACES) {
            report.interfaces_left_out.push(id);
            continue;
        }
        image.interfaces.push(table::Interface {
            valid: !interface.shutdown,
            port,
            tagged: interface.vlan.is_some(),
            vid: interface.vlan.unwrap_or(0),
            mac: 0,
        });
        if !interface.shutdown {
            set |= 1 << id.0;
        }
    }
    set
}

/// The interface of a rule as the card sees it: `None` when no packet of the card can come from there.
pub(super) fn of_rule(interface: Option<InterfaceId>, present: Set) -> Option<Match> {
    match interface {
        None => Some(Match::ANY),
        Some(id) => (id.0 < 16 && present >> id.0 & 1 == 1).then(|| Match::one(id.0)),
    }
}

/// Few matches that hold all of `wanted` and nothing else that is `present`.
pub(super) fn cover(wanted: Set, present: Set) -> Vec<Match> {
    let mut left = wanted;
    let mut matches = Vec::new();
    while left != 0 {
        // Greedy is good enough for eight interfaces; the order makes it deterministic.
        let Some(best) = (0..16u8)
            .flat_map(|mask| (0..16u8).map(move |value| Match { value, mask }))
            .filter(|candidate| candidate.value & !candidate.mask == 0)
            .filter(|candidate| candidate.members() & present & !wanted == 0)
            .max_by_key(|candidate| {
                let gained = (candidate.members() & left).count_ones();
                (
                    gained,
                    std::cmp::Reverse((candidate.mask.count_ones(), candidate.value)),
                )
            })
        else {
            break;
        };
        left &= !best.members();
        matches.push(best);
    }
    matches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_hold_the_wanted_interfaces_and_no_other() {
        let present: Set = 0b1111_0111;
        for wanted in 0..=0xffu16 {
            let wanted = wanted & present;
            let matches = cover(wanted, present);
            let members = matches.iter().fold(0, |set, m| set | m.members());
            assert_eq!(members & present, wanted);
        }
        assert_eq!(cover(0b11, 0b11), [Match::ANY]);
        assert_eq!(cover(0b10, 0b11).len(), 1);
    }
}
