//! Objects and groups by name, resolved to addresses, services and ports.
//!
//! A reference that leads nowhere is reported where it is written and counts as empty; a group that contains itself is
//! reported once and its inner mention counts as empty. Resolved groups are remembered, since access lists name the
//! same ones again and again.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::rc::Rc;

use super::Findings;
use crate::config::ast::Config;
use crate::config::ast::object::*;
use crate::config::ast::primitive::{IcmpKind, Ports, Protocol, Service, Subnet, Transport};
use crate::config::{Diagnostic, Name, Span, Spanned};
use crate::policy::model::{LeftOut, ServiceMatch};
use crate::policy::range::{AddressRange, PortRange, PortSet};

/// Members a group may have when all groups inside it are opened.
const GROUP_LIMIT: usize = 1 << 16;
/// Groups inside groups inside groups.
const DEPTH_LIMIT: usize = 64;

/// IPv4 addresses an operand stands for, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Addresses {
    pub ranges: Vec<AddressRange>,
    pub left_out: Vec<LeftOut>,
}

/// Objects and groups by name.
pub(in crate::policy) struct Names<'a> {
    network_objects: HashMap<&'a str, &'a NetworkObject>,
    service_objects: HashMap<&'a str, &'a ServiceObject>,
    network: Groups<'a, NetworkMember, Item<AddressRange>>,
    services: Groups<'a, ServiceMember, ServiceMatch>,
    service_transport: HashMap<&'a str, Option<Transport>>,
    protocols: Groups<'a, ProtocolMember, Protocol>,
    icmp: Groups<'a, IcmpMember, IcmpKind>,
}

/// A member that IPv4 can match, or a note about one that it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item<T> {
    Of(T),
    LeftOut(LeftOut),
}

/// Groups of one kind and what they were resolved to.
struct Groups<'a, M, T> {
    groups: HashMap<&'a str, &'a Group<M>>,
    resolved: RefCell<HashMap<&'a str, Rc<Vec<T>>>>,
}

/// What a member of a group is.
enum Member<'m, T> {
    Items(Vec<T>),
    Group(&'m Name),
}

impl<'a, M, T: Clone + Eq + Hash> Groups<'a, M, T> {
    fn new(groups: impl Iterator<Item = &'a Group<M>>) -> Self {
        Self {
            groups: groups.map(|group| (group.name.as_str(), group)).collect(),
            resolved: RefCell::default(),
        }
    }

    /// Everything in a group and in the groups inside it, each once; `open` says what a member is.
    fn resolve(
        &self,
        name: &str,
        findings: &mut Findings,
        open: &impl Fn(&'a Spanned<M>, &mut Findings) -> Member<'a, T>,
    ) -> Option<Rc<Vec<T>>> {
        let (&key, _) = self.groups.get_key_value(name)?;
        self.resolve_within(key, &mut Vec::new(), findings, open)
    }

    fn resolve_within(
        &self,
        name: &'a str,
        outer: &mut Vec<&'a str>,
        findings: &mut Findings,
        open: &impl Fn(&'a Spanned<M>, &mut Findings) -> Member<'a, T>,
    ) -> Option<Rc<Vec<T>>> {
        if let Some(known) = self.resolved.borrow().get(name) {
            return Some(known.clone());
        }
        let group = *self.groups.get(name)?;
        outer.push(name);
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        for member in &group.members {
            let more = match open(member, findings) {
                Member::Items(more) => Rc::new(more),
                Member::Group(inner) => self.resolve_inner(inner, outer, findings, open),
            };
            items.extend(
                more.iter()
                    .filter(|&item| seen.insert(item.clone()))
                    .cloned(),
            );
        }
        outer.pop();
        if items.len() > GROUP_LIMIT {
            findings.push(
                Diagnostic::error(
                    "E0206",
                    group.name.span,
                    format!("object-group {name} has more than {GROUP_LIMIT} members"),
                )
                .with_help("name subnets instead of single hosts"),
            );
            items.truncate(GROUP_LIMIT);
        }
        let items = Rc::new(items);
        self.resolved.borrow_mut().insert(name, items.clone());
        Some(items)
    }

    fn resolve_inner(
        &self,
        inner: &'a Name,
        outer: &mut Vec<&'a str>,
        findings: &mut Findings,
        open: &impl Fn(&'a Spanned<M>, &mut Findings) -> Member<'a, T>,
    ) -> Rc<Vec<T>> {
        if outer.contains(&inner.as_str()) || outer.len() >= DEPTH_LIMIT {
            findings.push(
                Diagnostic::error(
                    "E0205",
                    inner.span,
                    format!(
                        "object-group {} contains itself or is nested more than {DEPTH_LIMIT} deep",
                        inner.node
                    ),
                )
                .with_help("remove one of the `group-object` lines of the circle"),
            );
            return Rc::default();
        }
        self.resolve_within(inner, outer, findings, open)
            .unwrap_or_else(|| {
                findings.unknown("E0201", "object-group", inner);
                Rc::default()
            })
    }
}

impl<'a> Names<'a> {
    /// Indexes a configuration.
    pub fn new(config: &'a Config) -> Self {
        Self {
            network_objects: config
                .network_objects
                .iter()
                .map(|object| (object.name.as_str(), object))
                .collect(),
            service_objects: config
                .service_objects
                .iter()
                .map(|object| (object.name.as_str(), object))
                .collect(),
            network: Groups::new(config.network_groups.iter()),
            services: Groups::new(config.service_groups.iter().map(|typed| &typed.group)),
            service_transport: config
                .service_groups
                .iter()
                .map(|typed| (typed.group.name.as_str(), typed.transport))
                .collect(),
            protocols: Groups::new(config.protocol_groups.iter()),
            icmp: Groups::new(config.icmp_groups.iter()),
        }
    }

    /// The `object network` with a name.
    pub fn network_object(&self, name: &str) -> Option<&'a NetworkObject> {
        self.network_objects.get(name).copied()
    }

    /// The `object service` with a name; reports when there is none or it is empty.
    pub fn service_object(&self, name: &Name, findings: &mut Findings) -> Option<Service> {
        let Some(object) = self.service_objects.get(name.as_str()) else {
            findings.unknown("E0202", "object service", name);
            return None;
        };
        if object.definition.is_none() {
            findings.push(Diagnostic::error(
                "E0202",
                name.span,
                format!("object service {} says no service", name.node),
            ));
        }
        object.definition.as_ref().map(|service| service.node)
    }

    /// Addresses of an `object network`.
    pub fn object(&self, name: &Name, findings: &mut Findings) -> Addresses {
        match self.network_object(name) {
            Some(object) => collect(self.object_items(object, name.span, findings)),
            None => {
                findings.unknown("E0201", "object network", name);
                Addresses::default()
            }
        }
    }

    /// Addresses of an `object-group network`.
    pub fn group(&self, name: &Name, findings: &mut Findings) -> Addresses {
        let open = |member: &'a Spanned<NetworkMember>, findings: &mut Findings| {
            Member::Items(match &member.node {
                NetworkMember::Host(address) => vec![host(*address)],
                NetworkMember::Subnet(network) => vec![subnet(*network)],
                NetworkMember::Object(object) => match self.network_object(object) {
                    Some(object) => self.object_items(object, member.span, findings),
                    None => {
                        findings.unknown("E0201", "object network", object);
                        Vec::new()
                    }
                },
                NetworkMember::Group(inner) => return Member::Group(inner),
            })
        };
        match self.network.resolve(name, findings, &open) {
            Some(items) => collect(items.iter().cloned()),
            None => {
                findings.unknown("E0201", "object-group network", name);
                Addresses::default()
            }
        }
    }

    /// Addresses of what twice NAT names: an object or a group.
    pub fn object_or_group(&self, name: &Name, findings: &mut Findings) -> Addresses {
        if self.network.groups.contains_key(name.as_str()) {
            self.group(name, findings)
        } else {
            self.object(name, findings)
        }
    }

    /// Services of an untyped service group or a protocol group; `None` after a report.
    pub fn service_group(
        &self,
        name: &Name,
        findings: &mut Findings,
    ) -> Option<Rc<Vec<ServiceMatch>>> {
        if let Some(Some(_)) = self.service_transport.get(name.as_str()) {
            findings.push(
                Diagnostic::error(
                    "E0210",
                    name.span,
                    format!("object-group {} holds ports, not protocols", name.node),
                )
                .with_help("name the protocol here and the group where the port stands"),
            );
            return None;
        }
        if let Some(protocols) = self
            .protocols
            .resolve(name, findings, &|member, _| match &member.node {
                ProtocolMember::Protocol(protocol) => Member::Items(vec![*protocol]),
                ProtocolMember::Group(inner) => Member::Group(inner),
            })
        {
            let services = protocols
                .iter()
                .filter_map(|protocol| protocol_number(*protocol))
                .map(ServiceMatch::all);
            return Some(Rc::new(services.collect()));
        }
        self.resolve_services(name, findings)
    }

    /// Port conditions of a typed service group; `None` after a report.
    pub fn port_group(
        &self,
        name: &Name,
        protocol: u8,
        findings: &mut Findings,
    ) -> Option<Vec<PortSet>> {
        match self.service_transport.get(name.as_str()) {
            Some(Some(transport))
                if transport.protocols().contains(&Protocol::Number(protocol)) => {}
            Some(_) => {
                findings.push(
                    Diagnostic::error(
                        "E0210",
                        name.span,
                        format!("object-group {} holds no ports of this protocol", name.node),
                    )
                    .with_help(
                        "a group of ports is made by `object-group service NAME {tcp|udp|tcp-udp}`",
                    ),
                );
                return None;
            }
            None => {}
        }
        let services = self.resolve_services(name, findings)?;
        let mut seen = HashSet::new();
        Some(
            services
                .iter()
                .map(|service| &service.destination)
                .filter(|&ports| seen.insert(ports.clone()))
                .cloned()
                .collect(),
        )
    }

    /// ICMP types of an `object-group icmp-type`.
    pub fn icmp_group(&self, name: &Name, findings: &mut Findings) -> Rc<Vec<IcmpKind>> {
        let resolved = self
            .icmp
            .resolve(name, findings, &|member, _| match &member.node {
                IcmpMember::Type(kind) => Member::Items(vec![*kind]),
                IcmpMember::Group(inner) => Member::Group(inner),
            });
        resolved.unwrap_or_else(|| {
            findings.unknown("E0202", "object-group icmp-type", name);
            Rc::default()
        })
    }

    fn resolve_services(
        &self,
        name: &Name,
        findings: &mut Findings,
    ) -> Option<Rc<Vec<ServiceMatch>>> {
        let open = |member: &'a Spanned<ServiceMember>, findings: &mut Findings| {
            Member::Items(match &member.node {
                // The protocol is that of the entry; a typed group only holds ports.
                ServiceMember::Ports(ports) => vec![ServiceMatch {
                    destination: port_set(*ports),
                    ..ServiceMatch::all(None)
                }],
                ServiceMember::Service(service) => service_matches(*service),
                ServiceMember::Object(object) => self
                    .service_object(object, findings)
                    .map(service_matches)
                    .unwrap_or_default(),
                ServiceMember::Group(inner) => return Member::Group(inner),
            })
        };
        let resolved = self.services.resolve(name, findings, &open);
        if resolved.is_none() {
            findings.unknown("E0202", "object-group service", name);
        }
        resolved
    }

    fn object_items(
        &self,
        object: &NetworkObject,
        used_at: Span,
        findings: &mut Findings,
    ) -> Vec<Item<AddressRange>> {
        let Some(definition) = &object.definition else {
            findings.push(
                Diagnostic::error(
                    "E0201",
                    used_at,
                    format!("object network {} has no address", object.name.node),
                )
                .with_help("enter `host`, `subnet` or `range` in the object")
                .with_related(object.name.span, "the object"),
            );
            return Vec::new();
        };
        vec![match &definition.node {
            NetworkDefinition::Host(address) => host(*address),
            NetworkDefinition::Subnet(network) => subnet(*network),
            NetworkDefinition::Range(IpAddr::V4(low), IpAddr::V4(high)) => Item::Of(AddressRange {
                low: low.to_bits(),
                high: high.to_bits(),
            }),
            NetworkDefinition::Range(..) => Item::LeftOut(LeftOut::Ipv6),
            NetworkDefinition::Fqdn { domain, .. } => Item::LeftOut(LeftOut::Fqdn(domain.clone())),
        }]
    }
}

fn collect(items: impl IntoIterator<Item = Item<AddressRange>>) -> Addresses {
    let mut addresses = Addresses::default();
    for item in items {
        match item {
            Item::Of(range) => addresses.ranges.push(range),
            Item::LeftOut(left_out) => addresses.left_out.push(left_out),
        }
    }
    addresses
}

fn host(address: IpAddr) -> Item<AddressRange> {
    match address {
        IpAddr::V4(address) => Item::Of(AddressRange::host(address.to_bits())),
        IpAddr::V6(_) => Item::LeftOut(LeftOut::Ipv6),
    }
}

fn subnet(network: Subnet) -> Item<AddressRange> {
    match network {
        Subnet::V4(address, length) => Item::Of(AddressRange::block(address.to_bits(), length)),
        Subnet::V6(..) => Item::LeftOut(LeftOut::Ipv6),
    }
}

impl Addresses {
    /// One address.
    pub fn host(address: IpAddr) -> Self {
        collect([host(address)])
    }

    /// One block.
    pub fn subnet(network: Subnet) -> Self {
        collect([subnet(network)])
    }
}

/// The number IPv4 knows a protocol by: `Some(None)` is every one, `None` one of IPv6 only.
pub(super) fn protocol_number(protocol: Protocol) -> Option<Option<u8>> {
    match protocol {
        Protocol::Ip => Some(None),
        Protocol::ICMP6 => None,
        Protocol::Number(number) => Some(Some(number)),
    }
}

/// A condition as a set.
pub(super) fn port_set(ports: Ports) -> PortSet {
    PortSet::of(ports.ranges().into_iter().map(|range| PortRange {
        low: *range.start(),
        high: *range.end(),
    }))
}

/// An ICMP type as the destination port of a key.
pub(super) fn icmp_ports(kind: IcmpKind) -> PortSet {
    let low = u16::from(kind.kind) << 8;
    PortSet::of([match kind.code {
        Some(code) => PortRange {
            low: low | u16::from(code),
            high: low | u16::from(code),
        },
        None => PortRange {
            low,
            high: low | 0xff,
        },
    }])
}

/// A service, once for each protocol it stands for; nothing for IPv6.
pub(super) fn service_matches(service: Service) -> Vec<ServiceMatch> {
    match service {
        Service::Protocol(protocol) => protocol_number(protocol)
            .map(ServiceMatch::all)
            .into_iter()
            .collect(),
        Service::Ports {
            transport,
            source,
            destination,
        } => transport
            .protocols()
            .iter()
            .filter_map(|protocol| protocol_number(*protocol))
            .map(|protocol| ServiceMatch {
                protocol,
                source: source.map_or_else(PortSet::any, port_set),
                destination: destination.map_or_else(PortSet::any, port_set),
            })
            .collect(),
        Service::Icmp(kind) => vec![ServiceMatch {
            destination: kind.map_or_else(PortSet::any, icmp_ports),
            ..ServiceMatch::all(Some(1))
        }],
        Service::Icmp6(_) => Vec::new(),
    }
}
