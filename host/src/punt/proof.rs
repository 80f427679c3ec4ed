//! Proofs that an authority looks for at our addresses (ACME): while one is shown, connections to its TCP port end here.
//!
//! As traffic to the device it asks no access list. A NAT rule that owns the port of an address keeps it, and so does a
//! pinhole. Such a connection never comes into the card: own addresses the card hands over anyway, mapped ones for as
//! long as there is something to be seen.

use std::collections::BTreeSet;

use layout::table::Key;

use super::effect::Effect;
use super::event::Event;
use super::first_packet::is_not_syn;
use super::inspect::cover::SeenEnd;
use super::report::{Drop, Report};
use super::slow_path::{Arrival, SlowPath};
use crate::flow::{Conn, Direction, Handle, Leg, Teardown};
use crate::policy::Decision;
use crate::policy::compile::blocks::blocks;
use crate::policy::model::InterfaceId;
use crate::wire::packet::TCP;

impl SlowPath {
    /// Lets whoever looks for a proof come to a TCP port, or nobody any more. The card is told with the next effects.
    pub fn show_proof(&mut self, port: Option<u16>) {
        if self.proof != port {
            self.proof = port;
            self.inspection.pinholes.tell_again();
        }
    }

    /// Mapped addresses with the port, as the card sees packets to them.
    pub(super) fn proof_ends(&self) -> BTreeSet<SeenEnd> {
        let mut ends = BTreeSet::new();
        let Some(port) = self.proof else {
            return ends;
        };
        for interface in 0..self.attachments.len() as u8 {
            for block in self
                .proxy_arp
                .of(interface)
                .iter()
                .copied()
                .flat_map(blocks)
            {
                let is_one = block.mask() == u32::MAX;
                // Where a rule owns the port of some addresses of a block, that is seen packet by packet.
                if !is_one || !self.is_owned(interface, block.value, port) {
                    ends.insert(SeenEnd {
                        interface,
                        proto: TCP,
                        address: block.value,
                        mask: block.mask(),
                        port,
                    });
                }
            }
        }
        ends
    }

    fn is_owned(&self, interface: u8, address: u32, port: u16) -> bool {
        let interface = InterfaceId(interface);
        self.model.owned.contains(interface, TCP, address, port)
    }

    /// Whether the first packet of a connection that no pinhole lets through looks for the proof.
    pub(super) fn looks_for_proof(&self, arrival: &Arrival, decision: &Decision) -> bool {
        let Key {
            proto, dst, dport, ..
        } = arrival.packet.tuple.key(arrival.ingress);
        let own = self.attachments.get(usize::from(arrival.ingress));
        let is_own = own.is_some_and(|own| own.address.is_some_and(|own| u32::from(own) == dst));
        let interface = self.model.interface(InterfaceId(arrival.ingress));
        proto == TCP
            && self.proof == Some(dport)
            && (is_own || self.proxy_arp.contains(arrival.ingress, dst))
            && decision.untranslate.is_none()
            && !interface.shutdown
            && !is_not_syn(arrival)
    }

    /// Leads a first packet to the proof.
    pub(super) fn show_to(
        &mut self,
        arrival: &Arrival,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let handle = self.begin_look(arrival, effects)?;
        self.forward(arrival, handle, Direction::Forward, effects)
    }

    /// A connection whose far end is the device: both legs are on the interface it came in by.
    fn begin_look(&mut self, arrival: &Arrival, effects: &mut Vec<Effect>) -> Result<Handle, Drop> {
        let (now, ingress, seen) = (arrival.now, arrival.ingress, arrival.packet.tuple);
        let answer = seen.reply().ok_or(Drop::NoFlow)?;
        while let Some(handle) = self.conns.victim() {
            self.close(now, handle, Teardown::SynTimeout, effects);
        }
        let next_hop = self.next_hop_back(ingress, seen.src);
        let hint = Some(arrival.packet.link.source);
        let mut leg = |seen| {
            let adjacency = self
                .neighbours
                .acquire(now, ingress, next_hop, hint, effects);
            adjacency.map(|adjacency| Leg {
                ingress,
                seen,
                egress: ingress,
                sent: seen,
                adjacency,
            })
        };
        let forward = leg(seen).ok_or(Drop::NoAdjacency)?;
        // The second use of a next hop that has an index is not refused.
        let reverse = leg(answer).ok_or(Drop::NoAdjacency)?;
        let mut conn = Conn::new(now, forward, Some(reverse));
        (conn.on_host, conn.terminated, conn.inbound) = (true, true, true);
        let Ok(handle) = self.conns.insert(conn, &self.model) else {
            for leg in [forward, reverse] {
                self.neighbours.release(now, leg.adjacency);
            }
            return Err(Drop::NoFlow);
        };
        let conn = self.conns.get(handle);
        let built = conn.and_then(|conn| Event::conn_built(&self.model, conn));
        effects.extend(built.map(Effect::Log));
        effects.push(Effect::BeginLook { seen });
        Ok(handle)
    }
}
