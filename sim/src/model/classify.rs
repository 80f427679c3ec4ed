//! The steps of the contract in their order: a frame in, reason and metadata out.

use layout::csr;
use layout::desc::{Metadata, Reason, Verdict};
use layout::hash;
use layout::table::Key;

use super::parse::{self, Link, Packet};
use super::rewrite::Forward;
use super::{Judgement, Model};

/// Stages (bits of `STAGES`) every looked-up frame passes: ingress, parse, decide, last.
const ALWAYS: u8 = 0b1010_0011;
const FLOW: u8 = 1 << 2;
const DESTINATION: u8 = 1 << 3;
const ACL: u8 = 1 << 4;
const EGRESS: u8 = 1 << 6;

impl Model {
    /// Judges a frame that came in (or pretends to have come in) on a port.
    pub(super) fn classify(&mut self, port: u8, frame: &[u8], reinjected: bool) -> Judgement {
        let mut judgement = Judgement {
            metadata: Metadata {
                port,
                reinjected,
                ..self.unknown()
            },
            stages: ALWAYS,
            forward: None,
        };
        let reason = match self.admit(frame, &mut judgement.metadata) {
            Err(reason) => reason,
            Ok((link, packet)) => self.look_up(frame, &link, &packet, &mut judgement),
        };
        judgement.metadata.reason = reason as u8;
        judgement.metadata.verdict = reason.verdict() as u8;
        if reason.verdict() != Verdict::Drop {
            judgement.stages |= EGRESS;
        }
        judgement
    }

    /// Steps 1 to 16: headers and ingress interface.
    fn admit(&self, frame: &[u8], metadata: &mut Metadata) -> Result<(Link, Packet), Reason> {
        if self.control & csr::CONTROL_ENABLE == 0 {
            return Err(Reason::Disabled);
        }
        let link = Link::parse(frame).map_err(|tagged| {
            metadata.tagged = tagged;
            Reason::Runt
        })?;
        metadata.tagged = link.vid.is_some();
        let interfaces = &self.tables.interfaces;
        let interface = interfaces
            .iter()
            .position(|i| {
                i.valid
                    && i.port == metadata.port
                    && i.tagged == link.vid.is_some()
                    && link.vid.is_none_or(|vid| vid == i.vid)
            })
            .ok_or(Reason::NoInterface)?;
        metadata.interface = interface as u8;
        let is_promiscuous = self.control & csr::CONTROL_PROMISCUOUS != 0;
        if !is_promiscuous && !link.is_group() && link.destination != interfaces[interface].mac {
            return Err(Reason::NotOurMac);
        }
        match link.ethertype {
            parse::ETHERTYPE_IPV4 => {}
            parse::ETHERTYPE_ARP => return Err(Reason::Arp),
            _ => return Err(Reason::NonIp),
        }
        let mut packet = Packet::parse(&frame[link.header_bytes..])?;
        packet.key.interface = interface as u8;
        Ok((link, packet))
    }

    /// Steps 17 to 22: flow, destination and ACL.
    fn look_up(
        &mut self,
        frame: &[u8],
        link: &Link,
        packet: &Packet,
        judgement: &mut Judgement,
    ) -> Reason {
        judgement.stages |= FLOW;
        judgement.metadata.queue = hash::queue(&packet.key);
        if let Some(slot) = self.tables.find_flow(&packet.key) {
            judgement.metadata.flow = slot as u16;
            self.count_flow(slot, frame.len(), packet.tcp_flags);
            return self.follow_flow(slot, link, packet, judgement);
        }
        if self.control & csr::CONTROL_HOLD != 0 {
            return Reason::PolicyHold;
        }
        self.judge_first(packet, judgement)
    }

    /// Step 17, hit.
    fn follow_flow(
        &self,
        slot: usize,
        link: &Link,
        packet: &Packet,
        judgement: &mut Judgement,
    ) -> Reason {
        let action = self.tables.flow_action(slot);
        if action.punt {
            return Reason::FlowPunt;
        }
        let adjacency = self.tables.adjacencies[usize::from(action.adjacency)];
        let egress = self
            .tables
            .interfaces
            .get(usize::from(adjacency.interface))
            .filter(|i| i.valid);
        let Some(egress) = egress.filter(|_| adjacency.valid) else {
            return Reason::NoAdjacency;
        };
        if egress.tagged != link.vid.is_some() {
            return Reason::FlowPunt;
        }
        judgement.forward = Some(Forward::flow(
            link,
            packet.key.proto,
            &action,
            &adjacency,
            egress,
        ));
        Reason::FlowHit
    }

    /// Steps 19 to 22: the first packet of a flow.
    fn judge_first(&mut self, packet: &Packet, judgement: &mut Judgement) -> Reason {
        judgement.stages |= DESTINATION;
        let mut key = packet.key;
        if let Some((index, destination)) =
            self.tables.find_destination(self.destination_bank(), &key)
        {
            judgement.metadata.destination = index as u16;
            if destination.local {
                return Reason::Local;
            }
            key = Key {
                dst: key.dst & destination.address_keep | destination.address,
                ..key
            };
            if parse::has_ports(key.proto) {
                key.dport = key.dport & destination.l4_port_keep | destination.l4_port;
            }
        }
        judgement.stages |= ACL;
        let Some((slot, permit)) = self.tables.find_ace(self.acl_bank(), &key) else {
            return Reason::AclImplicitDeny;
        };
        judgement.metadata.ace = slot as u16;
        self.tables.hits[slot] = self.tables.hits[slot].wrapping_add(1);
        if !permit {
            return Reason::AclDeny;
        }
        let opening = parse::TCP_SYN | parse::TCP_ACK | parse::TCP_RST | parse::TCP_FIN;
        let must_open = self.control & csr::CONTROL_DROP_NOT_SYN != 0;
        if must_open && key.proto == parse::TCP && packet.tcp_flags & opening != parse::TCP_SYN {
            return Reason::TcpNotSyn;
        }
        Reason::FlowMiss
    }

    fn acl_bank(&self) -> usize {
        self.policy as usize & 1
    }

    fn destination_bank(&self) -> usize {
        self.policy as usize >> 1 & 1
    }
}
