//! Connections that an earlier runtime left on the card, taken over without a packet lost.
//!
//! Comes in: the flow entries and next hops that were found. What the configuration still permits, and translates as
//! the entries do, becomes connections and translations again; what it does not is removed from the card.

use layout::table::{Adjacency, FlowEntry, FlowStats};

use super::effect::Effect;
use super::slow_path::SlowPath;
use crate::flow::pairs::{Found, pair};
use crate::flow::xlate::Request;
use crate::flow::{Conn, Direction, Handle, Leg, Time, limits};
use crate::policy::model::InterfaceId;
use crate::policy::{Decision, SourceTranslation, Verdict as PolicyVerdict, decide};
use crate::wire::Tuple;
use crate::wire::packet::{ICMP, TCP, UDP};

/// What was found on a card.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The stamp that the card gives to hits.
    pub epoch: u8,
    /// Next hops by index.
    pub adjacencies: Vec<Adjacency>,
    /// Flows and what they have counted.
    pub entries: Vec<(FlowEntry, FlowStats)>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Connections that go on.
    pub conns: usize,
    /// Entries that were removed.
    pub removed: usize,
}

/// Everything about one take-over.
struct Takeover<'a> {
    now: Time,
    inherited: &'a Inherited,
    installs: Vec<Effect>,
    adopted: Adopted,
}

impl SlowPath {
    /// Takes connections over. To be called before anything else.
    pub fn adopt(
        &mut self,
        now: Time,
        inherited: &Inherited,
        effects: &mut Vec<Effect>,
    ) -> Adopted {
        let egress_of = |index: u8| {
            let next_hop = inherited.adjacencies.get(usize::from(index));
            next_hop.map_or(u8::MAX, |next_hop| next_hop.interface)
        };
        let pairs = pair(&inherited.entries, egress_of);
        let mut takeover = Takeover {
            now,
            inherited,
            installs: Vec::new(),
            adopted: Adopted::default(),
        };
        let mut given_up = Vec::new();
        for [forward, reverse] in pairs.both {
            if !self.take_over(&mut takeover, &forward, Some(&reverse)) {
                given_up.extend([forward, reverse]);
            }
        }
        for one in pairs.alone {
            let is_whole = one.direction == Direction::Forward && one.leg.sent.reply().is_none();
            if !is_whole || !self.take_over(&mut takeover, &one, None) {
                given_up.push(one);
            }
        }
        given_up.extend(self.take_over_punting(&mut takeover, pairs.punting));
        takeover.adopted.removed = given_up.len();
        effects.extend(
            given_up
                .iter()
                .map(|one| Effect::Remove { key: one.leg.key() }),
        );
        // A next hop that we do not know must not be used by whoever gets its index.
        for (index, found) in (0..=u8::MAX).zip(&inherited.adjacencies) {
            if found.valid && !self.neighbours.is_resolved(index) {
                effects.push(Effect::SetAdjacency {
                    index,
                    entry: Adjacency::default(),
                });
            }
        }
        effects.append(&mut takeover.installs);
        takeover.adopted
    }

    /// Connections whose entries punt do not say how they are translated: the configuration does, and the entry of the
    /// other direction says the rest. Returns what could not be joined.
    fn take_over_punting(
        &mut self,
        takeover: &mut Takeover<'_>,
        entries: Vec<Found>,
    ) -> Vec<Found> {
        let mut is_taken = vec![false; entries.len()];
        for at in 0..entries.len() {
            let one = entries[at];
            let answer = match one.direction {
                Direction::Forward => {
                    self.find_punting_answer(&one, &entries, |other| !is_taken[other])
                }
                Direction::Reverse => None,
            };
            let Some(other) = answer else {
                continue;
            };
            let answer = entries[other];
            let Some((back, sent)) = one.leg.seen.reply().zip(answer.leg.seen.reply()) else {
                continue;
            };
            let forward = Found {
                leg: Leg { sent, ..one.leg },
                ..one
            };
            let reverse = Found {
                leg: Leg {
                    sent: back,
                    ..answer.leg
                },
                ..answer
            };
            if self.take_over(takeover, &forward, Some(&reverse)) {
                is_taken[at] = true;
                is_taken[other] = true;
            }
        }
        let all = entries.into_iter().zip(is_taken);
        all.filter(|(_, is_taken)| !is_taken)
            .map(|(one, _)| one)
            .collect()
    }

    /// The only entry that can be the answer to a connection that begins with `one`.
    fn find_punting_answer(
        &self,
        one: &Found,
        entries: &[Found],
        is_free: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let decision = decide(&self.model, &one.leg.key());
        let seen = one.leg.seen;
        let source = match decision.source {
            SourceTranslation::None => Some((seen.src, seen.sport)),
            SourceTranslation::Static { address, port, .. } => Some((address.into(), port)),
            SourceTranslation::DynamicNat { .. } | SourceTranslation::DynamicPat { .. } => None,
        };
        let mut fitting = entries.iter().enumerate().filter(|(at, other)| {
            let answers = other.leg.seen.reply().is_some_and(|sent| {
                (sent.proto, u32::from(sent.dst), sent.dport)
                    == (seen.proto, decision.destination, decision.destination_port)
                    && source.is_none_or(|source| source == (sent.src, sent.sport))
            });
            is_free(*at)
                && other.direction == Direction::Reverse
                && answers
                && (other.leg.ingress, other.leg.egress) == (one.leg.egress, one.leg.ingress)
        });
        let (at, _) = fitting.next()?;
        fitting.next().is_none().then_some(at)
    }

    /// Makes a connection of two directions, if the configuration permits it as it is.
    fn take_over(
        &mut self,
        takeover: &mut Takeover<'_>,
        forward: &Found,
        reverse: Option<&Found>,
    ) -> bool {
        let Some(decision) = self.still_permits(forward, reverse) else {
            return false;
        };
        let Ok(xlate) = self.inherit_source(takeover.now, &forward.leg, &decision) else {
            return false;
        };
        let now = takeover.now;
        match self.inherit_conn(takeover, forward, reverse, &decision, xlate) {
            Some(()) => takeover.adopted.conns += 1,
            None => {
                if let Some(xlate) = xlate {
                    self.xlates.release(now, &self.model, xlate);
                }
                return false;
            }
        }
        true
    }

    /// The decision about the first packet of a connection, if it leads to this connection.
    fn still_permits(&self, forward: &Found, reverse: Option<&Found>) -> Option<Decision> {
        let Leg {
            ingress,
            seen,
            egress,
            sent,
            ..
        } = forward.leg;
        let vid = |interface: u8| Some(self.attachments.get(usize::from(interface))?.vid.is_some());
        let is_same_tagging = vid(ingress)? == vid(egress)?;
        if seen.proto == ICMP && reverse.is_some() != seen.is_icmp_query() {
            return None;
        }
        let decision = decide(&self.model, &forward.leg.key());
        let is_permitted = matches!(decision.verdict, PolicyVerdict::Permit)
            && decision
                .egress
                .is_some_and(|chosen| chosen.interface.0 == egress)
            && (decision.destination, decision.destination_port) == (sent.dst.into(), sent.dport)
            && (is_same_tagging || forward.punt);
        let is_translated = match decision.source {
            SourceTranslation::None => (seen.src, seen.sport) == (sent.src, sent.sport),
            SourceTranslation::Static { address, port, .. } => {
                (address, port) == (sent.src.into(), sent.sport)
            }
            SourceTranslation::DynamicNat { .. } | SourceTranslation::DynamicPat { .. } => true,
        };
        (is_permitted && is_translated).then_some(decision)
    }

    /// The dynamic translation of a connection, if it has one; an error if it cannot have the one that it has.
    fn inherit_source(
        &mut self,
        now: Time,
        forward: &Leg,
        decision: &Decision,
    ) -> Result<Option<Handle>, ()> {
        let (SourceTranslation::DynamicNat { rule } | SourceTranslation::DynamicPat { rule }) =
            decision.source
        else {
            return Ok(None);
        };
        let Leg {
            ingress,
            seen,
            egress,
            sent,
            ..
        } = *forward;
        let request = Request {
            rule,
            real_interface: InterfaceId(ingress),
            mapped_interface: InterfaceId(egress),
            proto: seen.proto,
            real: (seen.src, seen.sport),
            destination: (sent.dst, sent.dport),
            has_port: matches!(seen.proto, TCP | UDP) || seen.is_icmp_query(),
            per_session: decision.per_session,
        };
        let model = self.model.clone();
        let adopted = self
            .xlates
            .adopt(now, &model, request, (sent.src, sent.sport));
        adopted.map(Some).ok_or(())
    }

    /// Enters a connection with its next hops.
    fn inherit_conn(
        &mut self,
        takeover: &mut Takeover<'_>,
        forward: &Found,
        reverse: Option<&Found>,
        decision: &Decision,
        xlate: Option<Handle>,
    ) -> Option<()> {
        let now = takeover.now;
        let Tuple { src, .. } = forward.leg.seen;
        let ahead = decision.egress?.next_hop.into();
        let leg = self.inherit_next_hop(takeover, forward.leg, ahead)?;
        let back = match reverse {
            None => None,
            Some(reverse) => {
                let next_hop = self.next_hop_back(forward.leg.ingress, src);
                match self.inherit_next_hop(takeover, reverse.leg, next_hop) {
                    Some(back) => Some(back),
                    None => {
                        self.neighbours.release(now, leg.adjacency);
                        return None;
                    }
                }
            }
        };
        let mut conn = Conn::new(now, leg, back);
        self.describe(&mut conn, decision);
        conn.on_host = forward.punt;
        conn.xlate = xlate;
        count_inherited(&mut conn, takeover, [Some(forward), reverse]);
        let Ok(handle) = self.conns.insert(conn, &self.model) else {
            for leg in [Some(leg), back].iter().flatten() {
                self.neighbours.release(now, leg.adjacency);
            }
            return None;
        };
        let has_moved = leg != forward.leg || back != reverse.map(|reverse| reverse.leg);
        if has_moved {
            takeover.installs.push(match back {
                Some(back) => Effect::InstallPair {
                    conn: handle,
                    forward: leg.entry(Direction::Forward, forward.punt),
                    reverse: back.entry(Direction::Reverse, forward.punt),
                },
                None => Effect::Install {
                    conn: handle,
                    entry: leg.entry(Direction::Forward, forward.punt),
                },
            });
        }
        Some(())
    }

    /// The leg with the next hop that the configuration gives it: the one it has, or another.
    fn inherit_next_hop(
        &mut self,
        takeover: &mut Takeover<'_>,
        leg: Leg,
        address: std::net::Ipv4Addr,
    ) -> Option<Leg> {
        let now = takeover.now;
        let found = takeover
            .inherited
            .adjacencies
            .get(usize::from(leg.adjacency))?;
        if self.neighbours.adopt(now, leg.adjacency, found, address) {
            return Some(leg);
        }
        let adjacency =
            self.neighbours
                .acquire(now, leg.egress, address, None, &mut takeover.installs)?;
        Some(Leg { adjacency, ..leg })
    }
}

/// What the card counted. Its clock stood while nobody moved it, so only the time before that is idle time.
fn count_inherited(conn: &mut Conn, takeover: &Takeover<'_>, found: [Option<&Found>; 2]) {
    let now = takeover.now;
    let has_counted = found.iter().flatten().any(|one| one.stats.packets > 0);
    if !has_counted {
        // A flow that moved just before counts from zero. That its handshake is complete is the better guess: the other
        // one would end it.
        conn.seen[0].packets = 2;
        conn.seen[1].packets = 1;
        return;
    }
    conn.last = Time::ZERO;
    for (direction, one) in [Direction::Forward, Direction::Reverse]
        .into_iter()
        .zip(found)
    {
        if let Some(one) = one.filter(|one| one.stats.packets > 0) {
            let epochs = takeover.inherited.epoch.wrapping_sub(one.stats.stamp);
            let idle = limits::EPOCH * u32::from(epochs);
            conn.observe_inherited(now, direction, &one.stats, idle);
        }
    }
}
