//! NAT rules, resolved.

use std::collections::HashMap;

use super::InterfaceId;
use crate::config::Span;
use crate::policy::range::{AddressList, AddressRange, PortRange};

/// A NAT rule.
#[derive(Clone, Debug)]
pub struct NatRule {
    /// 1 twice NAT, 2 object NAT, 3 twice NAT after-auto.
    pub section: u8,
    /// Interface of the real source; `None` is any.
    pub real_interface: Option<InterfaceId>,
    /// Interface of the mapped source; `None` is any.
    pub mapped_interface: Option<InterfaceId>,
    /// What happens to the source.
    pub source: NatSource,
    /// What happens to the destination.
    pub destination: Option<StaticMap>,
    /// Protocol and ports; `None` is every protocol, ports kept.
    pub service: Option<NatService>,
    /// Only the real side may begin.
    pub unidirectional: bool,
    /// Do not answer ARP for mapped addresses.
    pub no_proxy_arp: bool,
    /// Egress by the routing table.
    pub route_lookup: bool,
    /// `inactive`.
    pub inactive: bool,
    /// The object that carries the rule (section 2).
    pub object: Option<NatObject>,
    /// The `nat` line.
    pub span: Span,
}

/// The object an object NAT rule belongs to.
#[derive(Clone, Debug)]
pub struct NatObject {
    /// Name.
    pub name: String,
    /// Its definition (`host`, `subnet`, `range`).
    pub definition: Span,
}

/// What a NAT rule does to the source.
#[derive(Clone, Debug)]
pub enum NatSource {
    /// One to one, both ways.
    Static(StaticMap),
    /// From a pool, connections from the real side only.
    Dynamic {
        /// Real addresses.
        real: AddressList,
        /// Where mapped addresses come from.
        pool: Pool,
    },
}

impl NatSource {
    /// Real addresses.
    pub fn real(&self) -> &AddressList {
        match self {
            NatSource::Static(map) => &map.real,
            NatSource::Dynamic { real, .. } => real,
        }
    }

    /// Whether it is static.
    pub fn is_static(&self) -> bool {
        matches!(self, NatSource::Static(_))
    }
}

/// Addresses side by side: the n-th real one is the n-th mapped one; the shorter side begins again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMap {
    /// Real addresses.
    pub real: AddressList,
    /// Mapped addresses.
    pub mapped: AddressList,
}

impl StaticMap {
    /// The mapped address of a real one.
    pub fn map(&self, real: u32) -> Option<u32> {
        self.mapped.at(self.real.position(real)?)
    }

    /// The real address of a mapped one.
    pub fn unmap(&self, mapped: u32) -> Option<u32> {
        self.real.at(self.mapped.position(mapped)?)
    }

    /// Whether nothing changes.
    pub fn is_identity(&self) -> bool {
        self.real == self.mapped
    }
}

/// Where dynamic translations come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Addresses given out whole, one host each.
    pub one_to_one: AddressList,
    /// Addresses shared by port: after `one_to_one` is used up, or from the start if it is empty.
    pub pat: AddressList,
    /// The mapped interface's address, shared by port, last of all.
    pub interface: bool,
    /// `extended`.
    pub extended: bool,
    /// `flat`.
    pub flat: bool,
    /// `include-reserve`.
    pub include_reserve: bool,
    /// `round-robin`.
    pub round_robin: bool,
    /// `block-allocation`.
    pub block_allocation: bool,
}

impl Pool {
    /// Whether ports are shared from the first connection on.
    pub fn is_pat(&self) -> bool {
        self.one_to_one.ranges.is_empty()
    }
}

/// The service of a NAT rule: port n of one side is port n of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatService {
    /// IP protocol.
    pub protocol: u8,
    /// Source ports as seen on the real side.
    pub real_source: PortRange,
    /// Source ports as seen on the mapped side.
    pub mapped_source: PortRange,
    /// Destination ports as the source addresses them.
    pub mapped_destination: PortRange,
    /// Destination ports where they go.
    pub real_destination: PortRange,
}

/// Moves a port from one range to the same place in another of equal size.
pub(in crate::policy) fn shift(port: u16, from: PortRange, to: PortRange) -> u16 {
    to.low.wrapping_add(port.wrapping_sub(from.low))
}

/// Ports and addresses that static rules own on the mapped side.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    hosts: HashMap<u32, Vec<OwnedPorts>>,
    blocks: Vec<OwnedPorts>,
}

/// What one static rule owns.
#[derive(Clone, Debug)]
pub(in crate::policy) struct OwnedPorts {
    pub(in crate::policy) interface: Option<InterfaceId>,
    pub(in crate::policy) addresses: AddressRange,
    pub(in crate::policy) protocol: Option<u8>,
    pub(in crate::policy) ports: PortRange,
}

impl Owned {
    /// Adds what a rule owns.
    pub(in crate::policy) fn insert(&mut self, ports: OwnedPorts) {
        if ports.addresses.count() == 1 {
            self.hosts
                .entry(ports.addresses.low)
                .or_default()
                .push(ports);
        } else {
            self.blocks.push(ports);
        }
    }

    /// Ports of a mapped address that static rules own, for whoever allocates PAT ports.
    pub fn ports(
        &self,
        interface: InterfaceId,
        protocol: u8,
        address: u32,
    ) -> impl Iterator<Item = PortRange> {
        let hosts = self.hosts.get(&address).into_iter().flatten();
        hosts
            .chain(&self.blocks)
            .filter(move |owned| {
                owned.addresses.contains(address)
                    && owned.protocol.is_none_or(|own| own == protocol)
                    && owned.interface.is_none_or(|own| own == interface)
            })
            .map(|owned| owned.ports)
    }

    /// Whether a static rule owns the port of a mapped address, so that PAT must not give it out.
    pub fn contains(&self, interface: InterfaceId, protocol: u8, address: u32, port: u16) -> bool {
        self.ports(interface, protocol, address)
            .any(|owned| owned.contains(port))
    }
}
