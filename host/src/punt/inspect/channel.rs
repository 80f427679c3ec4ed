//! A connection whose text is inspected, as inspection sees it.

use std::net::SocketAddrV4;

use crate::flow::{Direction, Leg, Time};
use crate::policy::Model;
use crate::policy::model::{ClassId, InterfaceId};
use crate::sip::{Arrival, Place, Protocol, Way};
use crate::wire::packet::{TCP, UDP};

/// Which way through NAT its text goes, and between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The class that inspects it.
    pub class: ClassId,
    /// Over what.
    pub protocol: Protocol,
    /// Over TLS.
    pub is_tls: bool,
    /// Which way text of the initiator goes.
    pub forward: Way,
    /// Interface of the real side.
    pub real: u8,
    /// Interface of the mapped side.
    pub mapped: u8,
    /// Whoever is on the mapped side.
    pub peer: SocketAddrV4,
    /// Interface of each, and address on its own side: initiator and responder.
    pub ends: [(u8, SocketAddrV4); 2],
}

impl Channel {
    /// For a connection of a class. `forward` is what its initiator sends.
    pub fn of(model: &Model, class: ClassId, forward: &Leg) -> Self {
        let Leg {
            ingress,
            egress,
            seen,
            sent,
            ..
        } = *forward;
        let level = |interface| model.interface(InterfaceId(interface)).level;
        // Addresses of the more trusted side are the ones that are hidden.
        let is_inbound = level(ingress) < level(egress);
        let (real, mapped, peer, way) = match is_inbound {
            true => (egress, ingress, (sent.src, sent.sport), Way::Inbound),
            false => (ingress, egress, (sent.dst, sent.dport), Way::Outbound),
        };
        Self {
            class,
            protocol: match seen.proto {
                TCP => Protocol::Tcp,
                _ => Protocol::Udp,
            },
            is_tls: seen.proto == TCP && model.tls_proxy(class).is_some(),
            forward: way,
            real,
            mapped,
            peer: SocketAddrV4::new(peer.0, peer.1),
            ends: [
                (ingress, SocketAddrV4::new(seen.src, seen.sport)),
                (egress, SocketAddrV4::new(sent.dst, sent.dport)),
            ],
        }
    }

    /// A message of a direction, as an inspector wants to know it.
    pub(super) fn arrival<'a>(
        &self,
        model: &'a Model,
        now: Time,
        direction: Direction,
    ) -> Arrival<'a> {
        let place = |(interface, socket)| Place {
            interface: &model.interface(InterfaceId(interface)).name,
            socket,
        };
        let [source, destination] = self.between(direction).map(place);
        Arrival {
            now,
            way: self.way(direction),
            protocol: self.protocol,
            is_tls: self.is_tls,
            source,
            destination,
        }
    }

    /// Which way text of a direction goes.
    fn way(&self, direction: Direction) -> Way {
        match direction {
            Direction::Forward => self.forward,
            Direction::Reverse => self.forward.back(),
        }
    }

    /// Who sends and who receives.
    fn between(&self, direction: Direction) -> [(u8, SocketAddrV4); 2] {
        let [initiator, responder] = self.ends;
        match direction {
            Direction::Forward => [initiator, responder],
            Direction::Reverse => [responder, initiator],
        }
    }
}

/// IP protocol number.
pub(super) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    }
}
