//! First packets: the evaluator's decision becomes a connection and its card entries.

use std::net::Ipv4Addr;

use super::effect::Effect;
use super::event::Event;
use super::inspect::{Open, PinholeKey};
use super::report::{Drop, Report};
use super::slow_path::{Arrival, SlowPath};
use crate::flow::xlate::Request;
use crate::flow::{Conn, Direction, Handle, Leg, Teardown, Time};
use crate::policy::decision::{AclResult, Egress};
use crate::policy::model::{AceId, InterfaceId, NatId};
use crate::policy::{
    AclBasis, Decision, DropReason, SourceTranslation, Verdict as PolicyVerdict, decide,
    decide_through,
};
use crate::wire::Tuple;
use crate::wire::packet::{ICMP, TCP, UDP, tcp_flags};

/// What a connection holds besides its legs.
struct Held {
    /// Its translation.
    xlate: Option<Handle>,
    /// How long it may be idle, where a pinhole says that.
    idle: Option<Time>,
}

/// A translated source: address and port, and the dynamic translation it came from.
type Source = ((Ipv4Addr, u16), Option<Handle>);

impl SlowPath {
    /// Judges a packet that belongs to no connection.
    pub(super) fn first_packet(
        &mut self,
        arrival: &Arrival,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let model = self.model.clone();
        let tuple = arrival.packet.tuple;
        let key = tuple.key(arrival.ingress);
        let decision = decide(&model, &key);
        let pinholes = &self.inspection.pinholes;
        let pinhole = match decision.verdict {
            // What may pass anyway does so as its own line says.
            PolicyVerdict::Permit => None,
            _ => pinholes.find(arrival.ingress, &tuple),
        };
        let pinhole = pinhole.map(|(key, open)| (key, *open));
        if pinhole.is_none() && self.looks_for_proof(arrival, &decision) {
            return self.show_to(arrival, effects);
        }
        let decision = match &pinhole {
            Some((_, open)) => decide_through(&model, &key, &open.through),
            None => decision,
        };
        let acl = decision
            .ingress_acl
            .into_iter()
            .chain(decision.egress_acl)
            .find(|acl| !acl.permit)
            .or(decision.ingress_acl);
        let (ace, nat) = (acl.and_then(element), rule(&decision));
        let judged = |report: Report| Report {
            ace,
            nat,
            decision: Some(decision),
            ..report
        };
        let result = match decision.verdict {
            PolicyVerdict::Drop(DropReason::AclDrop) => {
                effects.push(Effect::Log(Event::denied(
                    &model,
                    arrival.ingress,
                    &tuple,
                    &decision,
                )));
                Err(Drop::Policy(DropReason::AclDrop))
            }
            PolicyVerdict::Local => self.serve(arrival, effects),
            // The card drops these after its access list, and so does the host.
            _ if is_not_syn(arrival) => {
                effects.push(Effect::Log(Event::no_connection(
                    &model,
                    arrival.ingress,
                    &arrival.packet,
                )));
                Err(Drop::TcpNotSyn)
            }
            PolicyVerdict::Drop(reason) => {
                effects.extend(
                    Event::nat_failed(&model, arrival.ingress, &tuple, &decision, reason)
                        .map(Effect::Log),
                );
                Err(Drop::Policy(reason))
            }
            PolicyVerdict::Permit => match self.open(arrival, &decision, pinhole, effects) {
                Ok(handle) => self.forward(arrival, handle, Direction::Forward, effects),
                Err(drop) => Err(drop),
            },
        };
        Ok(judged(result.unwrap_or_else(Report::from)))
    }

    /// Makes the connection with all it needs, or leaves nothing behind.
    fn open(
        &mut self,
        arrival: &Arrival,
        decision: &Decision,
        pinhole: Option<(PinholeKey, Open)>,
        effects: &mut Vec<Effect>,
    ) -> Result<Handle, Drop> {
        let (now, tuple) = (arrival.now, arrival.packet.tuple);
        let egress = decision.egress.ok_or(Drop::Policy(DropReason::NoRoute))?;
        if usize::from(egress.interface.0) >= self.attachments.len() {
            // A configured interface that is not on the card.
            return Err(Drop::Policy(DropReason::InterfaceDown));
        }
        while let Some(handle) = self.conns.victim() {
            self.close(now, handle, Teardown::SynTimeout, effects);
        }
        let ((src, sport), mut xlate) =
            self.source(arrival, decision, egress.interface, effects)?;
        if let Some(behind) = pinhole.and_then(|(_, open)| open.xlate) {
            // A connection holds one translation: that of its source, or that of the end it was let through to.
            if let Some(source) = xlate {
                self.release(now, source, effects);
                return Err(Drop::XlateFailed);
            }
            xlate = self.xlates.hold(now, behind).then_some(behind);
        }
        let sent = Tuple {
            src,
            sport,
            dst: decision.destination.into(),
            dport: decision.destination_port,
            ..tuple
        };
        let held = Held {
            xlate,
            idle: pinhole.and_then(|(_, open)| open.idle),
        };
        let handle = self.join(arrival, decision, &egress, sent, held, effects);
        if let (Ok(handle), Some((key, _))) = (&handle, pinhole) {
            self.enter_pinhole(now, *handle, key);
        }
        if let (Err(_), Some(xlate)) = (&handle, xlate) {
            self.release(now, xlate, effects);
        }
        handle
    }

    /// Mapped source address and port.
    fn source(
        &mut self,
        arrival: &Arrival,
        decision: &Decision,
        egress: InterfaceId,
        effects: &mut Vec<Effect>,
    ) -> Result<Source, Drop> {
        let Tuple {
            proto, src, sport, ..
        } = arrival.packet.tuple;
        let rule = match decision.source {
            SourceTranslation::None => return Ok(((src, sport), None)),
            SourceTranslation::Static { address, port, .. } => {
                return Ok(((address.into(), port), None));
            }
            SourceTranslation::DynamicNat { rule } | SourceTranslation::DynamicPat { rule } => rule,
        };
        let request = Request {
            rule,
            real_interface: InterfaceId(arrival.ingress),
            mapped_interface: egress,
            proto,
            real: (src, sport),
            destination: (decision.destination.into(), decision.destination_port),
            has_port: matches!(proto, TCP | UDP) || arrival.packet.tuple.is_icmp_query(),
            per_session: decision.per_session,
        };
        let handle = self
            .xlates
            .acquire(arrival.now, &self.model, request)
            .map_err(|exhausted| {
                effects.push(Effect::Log(Event::exhausted(
                    &self.model,
                    &request,
                    exhausted,
                )));
                Drop::XlateFailed
            })?;
        let xlate = self.xlates.get(handle).ok_or(Drop::XlateFailed)?;
        let mapped = (xlate.address, xlate.port.unwrap_or(sport));
        if xlate.conns == 1 {
            effects.push(Effect::Log(Event::xlate_built(&self.model, xlate)));
        }
        // An address given out whole keeps the source port, unless a static rule owns that one.
        if xlate.port.is_none()
            && self
                .model
                .owned
                .contains(egress, proto, mapped.0.into(), mapped.1)
        {
            self.release(arrival.now, handle, effects);
            return Err(Drop::XlateFailed);
        }
        Ok((mapped, Some(handle)))
    }

    /// Both legs with their next hops, entered into the table and into the card.
    fn join(
        &mut self,
        arrival: &Arrival,
        decision: &Decision,
        egress: &Egress,
        sent: Tuple,
        held: Held,
        effects: &mut Vec<Effect>,
    ) -> Result<Handle, Drop> {
        let (now, seen, ingress) = (arrival.now, arrival.packet.tuple, arrival.ingress);
        let out = egress.interface.0;
        let forward = self
            .neighbours
            .acquire(now, out, egress.next_hop.into(), None, effects)
            .ok_or(Drop::NoAdjacency)?;
        let forward = Leg {
            ingress,
            seen,
            egress: out,
            sent,
            adjacency: forward,
        };
        let reverse = match self.reverse(arrival, &forward, effects) {
            Ok(reverse) => reverse,
            Err(drop) => {
                self.neighbours.release(now, forward.adjacency);
                return Err(drop);
            }
        };
        let tags =
            [ingress, out].map(|interface| self.attachments[usize::from(interface)].vid.is_some());
        let both_ends = [Some(forward), reverse]
            .iter()
            .flatten()
            .any(|leg| leg.changes() == (true, true));
        let mut conn = Conn::new(now, forward, reverse);
        conn.on_host = decision.inspect.is_some() || both_ends || tags[0] != tags[1];
        conn.xlate = held.xlate;
        self.describe(&mut conn, decision);
        conn.idle = held.idle.or(conn.idle);
        let on_host = conn.on_host;
        let proxied = conn.inspect.filter(|_| conn.terminated);
        let Ok(handle) = self.conns.insert(conn, &self.model) else {
            for leg in [Some(forward), reverse].iter().flatten() {
                self.neighbours.release(now, leg.adjacency);
            }
            return Err(Drop::NoFlow);
        };
        effects.extend(
            self.conns
                .get(handle)
                .and_then(|conn| Event::conn_built(&self.model, conn))
                .map(Effect::Log),
        );
        effects.extend(proxied.map(|class| Effect::BeginProxied { class, forward }));
        effects.push(match reverse {
            Some(reverse) => Effect::InstallPair {
                conn: handle,
                forward: forward.entry(Direction::Forward, on_host),
                reverse: reverse.entry(Direction::Reverse, on_host),
            },
            None => Effect::Install {
                conn: handle,
                entry: forward.entry(Direction::Forward, on_host),
            },
        });
        Ok(handle)
    }

    /// What the configuration says of a connection, beside its legs.
    pub(super) fn describe(&self, conn: &mut Conn, decision: &Decision) {
        let levels = [conn.forward.ingress, conn.forward.egress]
            .map(|interface| self.model.interface(InterfaceId(interface)).level);
        conn.inbound = levels[0] < levels[1];
        conn.ace = decision.ingress_acl.and_then(element);
        conn.nat = rule(decision);
        conn.inspect = decision.inspect;
        conn.terminated = self.has_proxy && conn.proto() == TCP && conn.inspect.is_some();
        conn.idle = decision
            .settings
            .and_then(|id| self.model.class(id).idle_s)
            .map(|(seconds, _)| Time::from_secs(seconds.into()))
            .or(self.signalling_idle(conn.inspect));
    }

    /// The way back, if anything can come back.
    fn reverse(
        &mut self,
        arrival: &Arrival,
        forward: &Leg,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Leg>, Drop> {
        let seen = forward.seen;
        if seen.proto == ICMP && !seen.is_icmp_query() {
            return Ok(None);
        }
        let (Some(answer), Some(sent)) = (forward.sent.reply(), seen.reply()) else {
            return Ok(None);
        };
        let next_hop = self.next_hop_back(arrival.ingress, seen.src);
        let hint = Some(arrival.packet.link.source);
        let adjacency = self
            .neighbours
            .acquire(arrival.now, arrival.ingress, next_hop, hint, effects)
            .ok_or(Drop::NoAdjacency)?;
        Ok(Some(Leg {
            ingress: forward.egress,
            seen: answer,
            egress: arrival.ingress,
            sent,
            adjacency,
        }))
    }

    /// Next hop towards the initiator: answers leave where the connection came in.
    pub(super) fn next_hop_back(&self, ingress: u8, source: Ipv4Addr) -> Ipv4Addr {
        let mut routes = self.model.routes.iter();
        let route = routes.find(|route| {
            route.interface.0 == ingress && route.destination.contains(source.into())
        });
        route
            .and_then(|route| route.gateway)
            .map_or(source, Ipv4Addr::from)
    }
}

/// A TCP packet that begins no connection.
pub(super) fn is_not_syn(arrival: &Arrival) -> bool {
    let handshake = tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST | tcp_flags::FIN;
    arrival.packet.tuple.proto == TCP && arrival.packet.tcp_flags() & handshake != tcp_flags::SYN
}

/// The access-control element that decided.
fn element(acl: AclResult) -> Option<AceId> {
    match acl.by {
        AclBasis::Ace(ace) => Some(ace),
        AclBasis::ImplicitDeny | AclBasis::SecurityLevel => None,
    }
}

/// The NAT rule that acts: on the destination, else on the source.
fn rule(decision: &Decision) -> Option<NatId> {
    decision
        .untranslate
        .map(|found| found.rule)
        .or(decision.source.rule())
}
