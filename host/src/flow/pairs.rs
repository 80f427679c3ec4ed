//! Entries found on a card, as the two directions of connections.
//!
//! Key and action of an entry say what comes in, what leaves, and where; the answer to that is the key of the other
//! direction. An entry that punts does not say how packets leave, so those are left to somebody who can find out.

use layout::table::{FlowEntry, FlowStats, Key};

use super::leg::{Direction, Leg};
use super::seeded::{Map, Seeded};

/// A direction that was found on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What comes in and what leaves.
    pub leg: Leg,
    /// Whose packets they are.
    pub direction: Direction,
    /// Every packet goes to the host.
    pub punt: bool,
    /// What the card counted.
    pub stats: FlowStats,
}

/// What belongs together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Directions that answer each other, that of the end that began first.
    pub both: Vec<[Found; 2]>,
    /// A direction whose answer was not found.
    pub alone: Vec<Found>,
    /// Entries that punt.
    pub punting: Vec<Found>,
}

/// Joins entries; `egress_of` tells the interface of a next hop.
pub fn pair(entries: &[(FlowEntry, FlowStats)], egress_of: impl Fn(u8) -> u8) -> Pairs {
    let found: Vec<Found> = entries
        .iter()
        .map(|(entry, stats)| Found {
            leg: Leg::of_entry(entry, egress_of(entry.adjacency)),
            direction: match entry.initiator {
                true => Direction::Forward,
                false => Direction::Reverse,
            },
            punt: entry.punt,
            stats: *stats,
        })
        .collect();
    let mut index: Map<Key, usize> = Map::with_hasher(Seeded(0));
    index.extend(
        found
            .iter()
            .enumerate()
            .map(|(at, found)| (found.leg.key(), at)),
    );
    let mut pairs = Pairs::default();
    for one in &found {
        if one.punt {
            pairs.punting.push(*one);
            continue;
        }
        let partner = answer_key(&one.leg)
            .and_then(|key| index.get(&key))
            .map(|other| found[*other])
            // Two that both began, or neither, are no connection; least of all one that is its own answer.
            .filter(|other| other.direction != one.direction)
            .filter(|other| !other.punt && answer_key(&other.leg) == Some(one.leg.key()));
        match (partner, one.direction) {
            (Some(reverse), Direction::Forward) => pairs.both.push([*one, reverse]),
            // Its partner brings it along.
            (Some(_), Direction::Reverse) => {}
            (None, _) => pairs.alone.push(*one),
        }
    }
    pairs
}

/// Key of what answers a leg.
pub fn answer_key(leg: &Leg) -> Option<Key> {
    Some(leg.sent.reply()?.key(leg.egress))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Tuple;
    use crate::wire::packet::{ICMP, TCP, UDP};

    fn tuple(proto: u8, src: u32, sport: u16, dst: u32, dport: u16) -> Tuple {
        Tuple {
            proto,
            src: src.into(),
            sport,
            dst: dst.into(),
            dport,
        }
    }

    /// Both legs of a connection from interface 1 to 0.
    fn legs(seen: Tuple, sent: Tuple) -> [Leg; 2] {
        let forward = Leg {
            ingress: 1,
            seen,
            egress: 0,
            sent,
            adjacency: 0,
        };
        let reverse = Leg {
            ingress: 0,
            seen: sent.reply().expect("an answer"),
            egress: 1,
            sent: seen.reply().expect("an answer"),
            adjacency: 1,
        };
        [forward, reverse]
    }

    fn entries(legs: &[Leg], punt: bool) -> Vec<(FlowEntry, FlowStats)> {
        let direction = |leg: &Leg| match leg.ingress {
            1 => Direction::Forward,
            _ => Direction::Reverse,
        };
        legs.iter()
            .map(|leg| (leg.entry(direction(leg), punt), FlowStats::default()))
            .collect()
    }

    #[test]
    fn translated_and_plain_connections_find_their_answers() {
        let pat = tuple(TCP, 0x0a00_0002, 40_000, 0xc000_02fe, 5061);
        let icmp = tuple(ICMP, 0x0a00_0002, 7, 0xc000_02fe, 0x0800);
        let plain = tuple(UDP, 1, 2, 3, 4);
        let conns = [
            legs(
                pat,
                Tuple {
                    src: 0xc000_0201.into(),
                    sport: 1025,
                    ..pat
                },
            ),
            legs(
                icmp,
                Tuple {
                    src: 0xc000_0201.into(),
                    sport: 9,
                    ..icmp
                },
            ),
            legs(plain, plain),
        ];
        // All forward legs first, so that order joins nothing.
        let found: Vec<Leg> = (0..2).flat_map(|way| conns.map(|legs| legs[way])).collect();
        let pairs = pair(&entries(&found, false), |adjacency| adjacency);
        let told: Vec<[Leg; 2]> = pairs
            .both
            .iter()
            .map(|both| both.map(|found| found.leg))
            .collect();
        assert_eq!(told, conns);
        assert_eq!((pairs.alone, pairs.punting), (vec![], vec![]));
    }

    #[test]
    fn who_began_is_what_the_entries_say() {
        let seen = tuple(TCP, 1, 2, 3, 4);
        let [forward, reverse] = legs(seen, seen);
        let entry = |leg: &Leg, direction| (leg.entry(direction, false), FlowStats::default());
        use Direction::{Forward, Reverse};
        for (first, second, both) in [
            (Forward, Reverse, vec![[forward, reverse]]),
            (Reverse, Forward, vec![[reverse, forward]]),
            (Forward, Forward, vec![]),
            (Reverse, Reverse, vec![]),
        ] {
            let found = [entry(&forward, first), entry(&reverse, second)];
            let pairs = pair(&found, |adjacency| adjacency);
            let told: Vec<_> = pairs
                .both
                .iter()
                .map(|both| both.map(|one| one.leg))
                .collect();
            assert_eq!(told, both);
            assert_eq!(pairs.alone.len(), 2 - 2 * both.len());
        }
    }

    #[test]
    fn a_direction_without_its_answer_is_alone() {
        let seen = tuple(TCP, 1, 2, 3, 4);
        let [forward, reverse] = legs(
            seen,
            Tuple {
                src: 9.into(),
                ..seen
            },
        );
        let [_, stranger] = legs(
            seen,
            Tuple {
                src: 8.into(),
                ..seen
            },
        );
        for lonely in [vec![forward], vec![reverse], vec![forward, stranger]] {
            let pairs = pair(&entries(&lonely, false), |adjacency| adjacency);
            assert_eq!((pairs.both.len(), pairs.alone.len()), (0, lonely.len()));
        }
        let pairs = pair(&entries(&[forward, reverse], true), |adjacency| adjacency);
        assert_eq!(
            (pairs.both.len(), pairs.alone.len(), pairs.punting.len()),
            (0, 0, 2)
        );
    }
}
