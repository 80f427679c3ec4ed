//! The machine: punted frames, statistics and deadlines in, effects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use layout::desc::{Metadata, Reason, Verdict as CardVerdict};
use layout::table::{FlowStats, Interface};

use super::attachment::Attachment;
use super::effect::Effect;
use super::event::Event;
use super::fragments::{Fragments, Piece};
use super::inspect::Inspection;
use super::local::ProxyArp;
use super::neighbours::{Neighbours, Resolution};
use super::report::{Drop, Report, Verdict};
use crate::flow::conns::Due;
use crate::flow::limits::EPOCH;
use crate::flow::{Conns, Handle, Limits, Teardown, Time, Xlates, conn};
use crate::policy::Model;
use crate::wire::packet::ICMP;
use crate::wire::{Packet, Transport};

/// What the slow path is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration.
    pub model: Arc<Model>,
    /// The card's interface table; index = interface number.
    pub interfaces: Vec<Interface>,
    /// Where MAC addresses of next hops come from.
    pub resolution: Resolution,
    /// Bounds of all tables.
    pub limits: Limits,
    /// Source of port choices and hashes: secret in service, fixed in replay.
    pub seed: u64,
    /// There are proxies: TCP connections of classes that inspect end at one. Without, they are forwarded as they are.
    pub has_proxy: bool,
}

/// The slow path: connections, translations, next hops, fragments.
#[derive(Clone, Debug)]
pub struct SlowPath {
    pub(super) model: Arc<Model>,
    pub(super) attachments: Arc<[Attachment]>,
    pub(super) proxy_arp: ProxyArp,
    pub(super) conns: Conns,
    pub(super) xlates: Xlates,
    pub(super) neighbours: Neighbours,
    pub(super) has_proxy: bool,
    pub(super) inspection: Inspection,
    /// The TCP port where a proof is shown.
    pub(super) proof: Option<u16>,
    fragments: Fragments,
    drops: BTreeMap<&'static str, u64>,
    /// The last value written to the card's `EPOCH`, and when the next is due.
    epoch: Option<(u8, Time)>,
}

/// A packet on its way through the machine: one frame, or all fragments of a datagram.
pub(super) struct Arrival<'a> {
    pub now: Time,
    /// Ingress interface.
    pub ingress: u8,
    /// Headers of the first piece.
    pub packet: Packet,
    /// All pieces, first one first.
    pub pieces: &'a [Piece],
    /// The card can forward it once it has the flow.
    pub can_look_up: bool,
    /// The card had it before, so a flow that it misses again must not be tried again.
    pub reinjected: bool,
}

impl SlowPath {
    /// A slow path without connections.
    pub fn new(setup: Setup) -> Self {
        let Setup {
            model,
            interfaces,
            resolution,
            limits,
            seed,
            has_proxy,
        } = setup;
        let attachments: Arc<[Attachment]> = Attachment::all(&model, &interfaces).into();
        Self {
            proxy_arp: ProxyArp::new(&model, &attachments),
            conns: Conns::new(limits, seed),
            xlates: Xlates::new(limits, seed),
            inspection: Inspection::new(&model, seed),
            neighbours: Neighbours::new(attachments.clone(), resolution, limits.waiting, seed),
            fragments: Fragments::new(limits, seed),
            drops: BTreeMap::new(),
            epoch: None,
            proof: None,
            has_proxy,
            model,
            attachments,
        }
    }

    /// The connections.
    pub fn conns(&self) -> &Conns {
        &self.conns
    }

    /// The dynamic translations.
    pub fn xlates(&self) -> &Xlates {
        &self.xlates
    }

    /// Frames dropped by the host, by reason.
    pub fn drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.drops
    }

    /// Frames given up because their next hop did not answer.
    pub fn given_up(&self) -> u64 {
        self.neighbours.given_up()
    }

    /// Datagrams given up because a fragment did not come.
    pub fn incomplete_datagrams(&self) -> u64 {
        self.fragments.timed_out()
    }

    /// Deals with a frame that the card punted.
    pub fn handle_punt(
        &mut self,
        now: Time,
        metadata: &Metadata,
        frame: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Report {
        self.keep_epoch(now, effects);
        let report = self
            .judge(now, metadata, frame, effects)
            .unwrap_or_else(Report::from);
        if let Verdict::Drop(drop) = report.verdict {
            self.count_drop(drop);
        }
        report
    }

    pub(super) fn count_drop(&mut self, drop: Drop) {
        *self.drops.entry(drop.name()).or_default() += 1;
    }

    /// What the card counted for a connection: the answer to [`Effect::ReadStats`]. `None` for an entry it does not have.
    pub fn handle_stats(
        &mut self,
        now: Time,
        conn: Handle,
        forward: Option<&FlowStats>,
        reverse: Option<&FlowStats>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(end) = self
            .conns
            .observe_card(now, conn, forward, reverse, &self.model)
        {
            self.close(now, conn, end, effects);
        }
    }

    /// The card has no room for a connection: the host forwards its packets.
    pub fn handle_refused(&mut self, now: Time, conn: Handle) {
        self.conns.keep_on_host(now, conn, &self.model);
    }

    /// When [`SlowPath::poll`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        let epoch = self
            .epoch
            .filter(|_| !self.conns.is_empty())
            .map(|(_, due)| due);
        [
            self.conns.next_deadline(),
            self.xlates.next_deadline(),
            self.neighbours.next_deadline(),
            self.fragments.next_deadline(),
            self.inspection.next_deadline(),
            epoch,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.keep_epoch(now, effects);
        while let Some(due) = self.conns.poll(now, &self.model) {
            match due {
                Due::Close(handle, end) => self.close(now, handle, end, effects),
                Due::Look(handle) => {
                    effects.extend(self.conns.get(handle).map(|conn| Effect::ReadStats {
                        conn: handle,
                        forward: conn.forward.key(),
                        reverse: conn.reverse.map(|leg| leg.key()),
                    }));
                }
            }
        }
        self.poll_inspection(now, effects);
        while let Some(xlate) = self.xlates.poll(now, &self.model) {
            effects.push(Effect::Log(Event::xlate_torn_down(
                &self.model,
                now,
                &xlate,
            )));
        }
        self.neighbours.poll(now, effects);
        self.fragments.poll(now);
    }

    /// Ends a connection and all it holds.
    pub(super) fn close(
        &mut self,
        now: Time,
        handle: Handle,
        end: Teardown,
        effects: &mut Vec<Effect>,
    ) {
        let Some(conn) = self.conns.remove(handle) else {
            return;
        };
        self.leave_pinhole(now, handle);
        for leg in [Some(&conn.forward), conn.reverse.as_ref()]
            .into_iter()
            .flatten()
        {
            effects.push(Effect::Remove { key: leg.key() });
            self.neighbours.release(now, leg.adjacency);
        }
        if conn.terminated {
            let seen = conn.forward.seen;
            effects.push(Effect::EndProxied { seen });
        }
        effects.extend(Event::conn_torn_down(&self.model, now, &conn, end).map(Effect::Log));
        if let Some(xlate) = conn.xlate {
            self.release(now, xlate, effects);
        }
    }

    /// One connection less uses a translation.
    pub(super) fn release(&mut self, now: Time, xlate: Handle, effects: &mut Vec<Effect>) {
        if let Some(xlate) = self.xlates.release(now, &self.model, xlate) {
            effects.push(Effect::Log(Event::xlate_torn_down(
                &self.model,
                now,
                &xlate,
            )));
        }
    }

    fn judge(
        &mut self,
        now: Time,
        metadata: &Metadata,
        frame: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let reason = Reason::from_code(metadata.reason)
            .filter(|reason| reason.verdict() == CardVerdict::Punt);
        let (reason, ingress) = (reason.ok_or(Drop::Unexpected)?, metadata.interface);
        if usize::from(ingress) >= self.attachments.len() {
            return Err(Drop::Unexpected);
        }
        match reason {
            Reason::Arp => return self.arp(now, ingress, frame, effects),
            Reason::NonIp => return Err(Drop::NonIp),
            _ => {}
        }
        let packet = Packet::parse(frame).map_err(Drop::Invalid)?;
        // RFC 791 §3.1. A time to live of 1 passes: the device does not count it down.
        if packet.ttl == 0 {
            return Err(Drop::TtlExceeded);
        }
        if !options_may_pass(packet.options(frame)) {
            return Err(Drop::IpOption);
        }
        let mut pieces = vec![(packet, frame.to_vec())];
        if packet.fragment.is_some() {
            match self.fragments.add(now, ingress, &packet, frame)? {
                None => return Ok(Report::new(Verdict::Held, "fragment-held")),
                Some(datagram) => pieces = datagram,
            }
        }
        let packet = pieces.first().ok_or(Drop::FragmentFailed)?.0;
        let can_look_up = matches!(
            reason,
            Reason::FlowMiss | Reason::PolicyHold | Reason::NoAdjacency
        ) && !metadata.reinjected;
        let arrival = Arrival {
            now,
            ingress,
            packet,
            pieces: &pieces,
            can_look_up,
            reinjected: metadata.reinjected,
        };
        self.packet(&arrival, effects)
    }

    /// A packet that may pass if its connection exists or may begin.
    fn packet(&mut self, arrival: &Arrival, effects: &mut Vec<Effect>) -> Result<Report, Drop> {
        let packet = &arrival.packet;
        if is_icmp_error(packet) {
            return self.icmp_error(arrival, effects);
        }
        if let Some((handle, direction)) = self.conns.find(&packet.tuple.key(arrival.ingress)) {
            return self.forward(arrival, handle, direction, effects);
        }
        if arrival.reinjected {
            return Err(Drop::NoFlow);
        }
        self.first_packet(arrival, effects)
    }

    /// Tells the card the time in units of its hit stamps.
    fn keep_epoch(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let epoch = conn::epoch(now);
        if self.epoch.is_none_or(|(written, _)| written != epoch) {
            effects.push(Effect::SetEpoch(epoch));
        }
        let begun = now.as_nanos() / EPOCH.as_nanos();
        let due = EPOCH.saturating_mul(u32::try_from(begun + 1).unwrap_or(u32::MAX));
        self.epoch = Some((epoch, due));
    }
}

fn is_icmp_error(packet: &Packet) -> bool {
    packet.transport == Transport::Icmp
        && packet.tuple.proto == ICMP
        && matches!(packet.tuple.dport >> 8, 3 | 4 | 5 | 11 | 12)
}

/// As ASA's default inspection of IP options, made a little wider: end of list, no operation and router alert pass,
/// anything else drops the packet.
fn options_may_pass(mut options: &[u8]) -> bool {
    loop {
        options = match options {
            [] | [0, ..] => return true,
            [1, rest @ ..] => rest,
            [148, 4, _, _, rest @ ..] => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_options_pass() {
        assert!(options_may_pass(&[]));
        assert!(options_may_pass(&[1, 1, 1, 0]));
        assert!(options_may_pass(&[148, 4, 0, 0]));
        assert!(options_may_pass(&[0, 7, 7, 7]));
        // Record route, loose source route, a router alert of the wrong length, one cut short.
        for refused in [
            &[7, 7, 4, 0, 0, 0, 0, 0][..],
            &[131, 3, 4, 0],
            &[148, 5, 0, 0, 0],
            &[1, 1, 148, 4],
        ] {
            assert!(!options_may_pass(refused), "{refused:?}");
        }
    }
}
