//! The evaluator: what happens to the first packet of a connection.
//!
//! It walks the resolved configuration and knows nothing of compiled tables, so it can judge them. The same answer
//! drives the slow path and packet-tracer. The order of the steps is the device's own: un-NAT, route, access
//! lists on real addresses, classes, source NAT, the reverse-path check.

use std::net::Ipv4Addr;

use layout::table::Key;

use super::decision::*;
use super::model::*;
use super::range::{AddressRange, PortRange};
use crate::config::ast::mpf::InspectProtocol;

/// IP protocol numbers this module cares about.
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Decides about the first packet of a connection. `key` is as the card builds it: the ingress interface, addresses
/// and ports as on the wire, for ICMP the identifier as source port and `type << 8 | code` as destination port.
/// An interface number that does not exist counts as shut down.
pub fn decide(model: &Model, key: &Key) -> Decision {
    let mut decision = Decision {
        verdict: Verdict::Permit,
        untranslate: None,
        destination: key.dst,
        destination_port: key.dport,
        egress: None,
        ingress_acl: None,
        egress_acl: None,
        source: SourceTranslation::None,
        reverse: None,
        per_session: false,
        inspect: None,
        settings: None,
    };
    decision.verdict = match walk(model, key, &mut decision) {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Drop(reason),
    };
    decision
}

/// The steps in order; `Err` is a drop.
fn walk(model: &Model, key: &Key, decision: &mut Decision) -> Result<Verdict, DropReason> {
    let ingress_id = InterfaceId(key.interface);
    let ingress = model
        .interfaces
        .get(usize::from(key.interface))
        .filter(|interface| !interface.shutdown)
        .ok_or(DropReason::InterfaceDown)?;

    let found = untranslate(model, key);
    let unchanged = found.is_none_or(|(_, address, port)| (address, port) == (key.dst, key.dport));
    // A rule that changes nothing does not take what is for the device itself.
    if unchanged && let Some(verdict) = to_the_device(model, ingress, key.dst) {
        return verdict;
    }
    if let Some((found, address, port)) = found {
        decision.untranslate = Some(found);
        decision.destination = address;
        decision.destination_port = port;
    }
    // From here on everything sees the real destination.
    let real = Key {
        dst: decision.destination,
        dport: decision.destination_port,
        ..*key
    };

    let egress = route(model, decision.untranslate, real.dst).ok_or(DropReason::NoRoute)?;
    decision.egress = Some(egress);
    if model.interface(egress.interface).shutdown {
        return Err(DropReason::InterfaceDown);
    }

    let result = ingress_access(model, ingress, egress.interface, &real);
    decision.ingress_acl = Some(result);
    if !result.permit {
        return Err(DropReason::AclDrop);
    }
    same_security(model, ingress_id, egress.interface)?;
    if let Some(bound) = model.interface(egress.interface).out_acl {
        let result = listed(model, &[Some(bound)], &real);
        decision.egress_acl = Some(result);
        if !result.permit {
            return Err(DropReason::AclDrop);
        }
    }

    let classes = Classes::of(model, ingress_id, egress.interface, &real);
    decision.settings = classes.settings;
    decision.per_session = per_session(model, &real);
    decision.source = source(model, key, decision.untranslate, egress.interface)?;
    if decision.untranslate.is_none() && in_pat_pool(model, ingress_id, key.dst) {
        return Err(DropReason::NoXlateToPatPool);
    }
    decision.inspect = classes.inspect;
    decision.reverse = reverse(model, key, &real, egress.interface);
    let expected = decision.untranslate.map(|found| found.rule);
    let forward = matches!(
        decision.untranslate,
        Some(Untranslate {
            way: Way::Forward,
            ..
        })
    );
    // A rule that matched forwards translates both ends at once: its own answer comes back through it.
    if !forward && decision.reverse != expected {
        return Err(DropReason::RpfFailed);
    }
    Ok(Verdict::Permit)
}

/// Whether an optional interface of a rule admits this one.
fn admits(rule: Option<InterfaceId>, interface: InterfaceId) -> bool {
    rule.is_none_or(|own| own == interface)
}

/// Whether a rule's service admits protocol and ports, given the ranges that apply to this side.
fn admits_service(
    rule: &NatRule,
    key: &Key,
    ranges: fn(&NatService) -> (PortRange, PortRange),
) -> bool {
    rule.service.as_ref().is_none_or(|service| {
        let (source, destination) = ranges(service);
        service.protocol == key.proto
            && source.contains(key.sport)
            && destination.contains(key.dport)
    })
}

/// First rule that maps the destination, with the real address and port.
fn untranslate(model: &Model, key: &Key) -> Option<(Untranslate, u32, u16)> {
    let ingress = InterfaceId(key.interface);
    model.nat.iter().enumerate().find_map(|(index, rule)| {
        let (way, address, port) = untranslate_reverse(rule, ingress, key)
            .map(|(address, port)| (Way::Reverse, address, port))
            .or_else(|| {
                untranslate_forward(rule, ingress, key)
                    .map(|(address, port)| (Way::Forward, address, port))
            })?;
        let rule = NatId(index as u16);
        Some((Untranslate { rule, way }, address, port))
    })
}

/// A packet from the mapped side to a static rule's mapped source.
fn untranslate_reverse(rule: &NatRule, ingress: InterfaceId, key: &Key) -> Option<(u32, u16)> {
    let NatSource::Static(map) = &rule.source else {
        return None;
    };
    let applies = !rule.inactive
        && !rule.unidirectional
        && admits(rule.mapped_interface, ingress)
        && rule
            .destination
            .as_ref()
            .is_none_or(|destination| destination.real.contains(key.src))
        && admits_service(rule, key, |service| {
            (service.real_destination, service.mapped_source)
        });
    if !applies {
        return None;
    }
    let address = map.unmap(key.dst)?;
    let port = rule.service.as_ref().map_or(key.dport, |service| {
        shift(key.dport, service.mapped_source, service.real_source)
    });
    Some((address, port))
}

/// A packet from the real side to a twice NAT rule's mapped destination.
fn untranslate_forward(rule: &NatRule, ingress: InterfaceId, key: &Key) -> Option<(u32, u16)> {
    let destination = rule.destination.as_ref()?;
    let applies = !rule.inactive
        && admits(rule.real_interface, ingress)
        && rule.source.real().contains(key.src)
        && admits_service(rule, key, |service| {
            (service.real_source, service.mapped_destination)
        });
    if !applies {
        return None;
    }
    let address = destination.unmap(key.dst)?;
    let port = rule.service.as_ref().map_or(key.dport, |service| {
        shift(
            key.dport,
            service.mapped_destination,
            service.real_destination,
        )
    });
    Some((address, port))
}

/// Whether the packet is for the device; `Some(Err)` when it is for an address on the far side of it.
fn to_the_device(
    model: &Model,
    ingress: &Interface,
    destination: u32,
) -> Option<Result<Verdict, DropReason>> {
    let address = Ipv4Addr::from_bits(destination);
    if address.is_multicast() || address.is_broadcast() {
        return Some(Ok(Verdict::Local));
    }
    if let Some(own) = ingress.address
        && (own.address() == destination || is_subnet_edge(&own, destination))
    {
        return Some(Ok(Verdict::Local));
    }
    model
        .interfaces
        .iter()
        .filter_map(|interface| interface.address)
        .any(|own| own.address() == destination)
        .then_some(Err(DropReason::SecurityFailed))
}

/// Network and broadcast address of a subnet that has them (RFC 3021: /31 has none).
fn is_subnet_edge(own: &InterfaceAddress, address: u32) -> bool {
    own.prefix < 31 && (address == own.subnet.low || address == own.subnet.high)
}

/// Egress interface and next hop of a real destination.
fn route(model: &Model, untranslate: Option<Untranslate>, destination: u32) -> Option<Egress> {
    let divert = untranslate.and_then(|found| {
        let rule = model.nat_rule(found.rule);
        let far = match found.way {
            Way::Forward => rule.mapped_interface,
            Way::Reverse => rule.real_interface,
        };
        far.filter(|_| !rule.route_lookup)
    });
    model
        .routes
        .iter()
        .position(|route| {
            route.destination.contains(destination)
                && divert.is_none_or(|interface| interface == route.interface)
        })
        .map(|index| {
            let route = &model.routes[index];
            Egress {
                interface: route.interface,
                next_hop: route.gateway.unwrap_or(destination),
                route: index,
                diverted: divert.is_some(),
            }
        })
}

/// Interface list, then global list, then the implicit deny; without any list the security levels.
fn ingress_access(model: &Model, ingress: &Interface, egress: InterfaceId, key: &Key) -> AclResult {
    if ingress.in_acl.is_some() || model.global_acl.is_some() {
        return listed(model, &[ingress.in_acl, model.global_acl], key);
    }
    // Equal levels are the business of `same-security-traffic`, checked next.
    AclResult {
        permit: ingress.level >= model.interface(egress).level,
        by: AclBasis::SecurityLevel,
    }
}

/// First match in the lists, else the implicit deny.
fn listed(model: &Model, lists: &[Option<Bound>], key: &Key) -> AclResult {
    lists
        .iter()
        .flatten()
        .find_map(|bound| first_match(model.acl(bound.acl), key))
        .map_or(
            AclResult {
                permit: false,
                by: AclBasis::ImplicitDeny,
            },
            |(permit, ace)| AclResult {
                permit,
                by: AclBasis::Ace(ace),
            },
        )
}

/// First active entry that matches: its verdict and the element that matched.
pub(super) fn first_match(list: &AccessList, key: &Key) -> Option<(bool, AceId)> {
    list.bounds
        .iter()
        .enumerate()
        .filter(|(_, bounds)| bounds.admit(key))
        .find_map(|(index, _)| {
            let ace = &list.aces[index];
            let element = ace
                .activity
                .is_active()
                .then(|| first_element(ace, key))
                .flatten()?;
            Some((ace.permit, AceId(ace.first.0 + element)))
        })
}

impl Bounds {
    /// Whether a packet can match at all.
    fn admit(&self, key: &Key) -> bool {
        self.source.contains(key.src)
            && self.destination.contains(key.dst)
            && self.protocol.is_none_or(|own| own == key.proto)
    }
}

/// The first element of an entry that matches. Elements are a product, so each part is looked for on its own.
fn first_element(ace: &Ace, key: &Key) -> Option<u32> {
    let within =
        |ranges: &[AddressRange], address| ranges.iter().position(|range| range.contains(address));
    let service = ace
        .services
        .iter()
        .position(|service| service.matches(key.proto, key.sport, key.dport))?;
    let source = within(&ace.sources, key.src)?;
    let destination = within(&ace.destinations, key.dst)?;
    Some(((service * ace.sources.len() + source) * ace.destinations.len() + destination) as u32)
}

/// Equal levels and hairpins need `same-security-traffic`, whatever the access lists say.
fn same_security(
    model: &Model,
    ingress: InterfaceId,
    egress: InterfaceId,
) -> Result<(), DropReason> {
    let equal = model.interface(ingress).level == model.interface(egress).level;
    let permitted = if ingress == egress {
        model.intra_interface
    } else {
        !equal || model.inter_interface
    };
    permitted.then_some(()).ok_or(DropReason::SecurityFailed)
}

/// What happens to the source.
fn source(
    model: &Model,
    key: &Key,
    untranslate: Option<Untranslate>,
    egress: InterfaceId,
) -> Result<SourceTranslation, DropReason> {
    if let Some(Untranslate { rule: id, way }) = untranslate {
        let rule = model.nat_rule(id);
        match (way, &rule.destination) {
            (Way::Forward, _) => return forward_source(model, id, key, egress),
            (Way::Reverse, Some(destination)) => {
                return Ok(reverse_source(rule, id, destination, key));
            }
            // A rule without destination leaves the source to the other rules.
            (Way::Reverse, None) => {}
        }
    }
    let ingress = InterfaceId(key.interface);
    // Rules with a destination would have matched it above.
    let found = model
        .nat
        .iter()
        .position(|rule| rule.destination.is_none() && matches_source(rule, ingress, egress, key));
    found.map_or(Ok(SourceTranslation::None), |index| {
        forward_source(model, NatId(index as u16), key, egress)
    })
}

/// Whether a packet from `real` towards `mapped` is of a rule's source. `key` has the real source.
fn matches_source(rule: &NatRule, real: InterfaceId, mapped: InterfaceId, key: &Key) -> bool {
    !rule.inactive
        && admits(rule.real_interface, real)
        && admits(rule.mapped_interface, mapped)
        && rule.source.real().contains(key.src)
        && admits_service(rule, key, |service| {
            (service.real_source, service.mapped_destination)
        })
}

/// Source translation of a rule the packet goes through forwards.
fn forward_source(
    model: &Model,
    id: NatId,
    key: &Key,
    egress: InterfaceId,
) -> Result<SourceTranslation, DropReason> {
    let rule = model.nat_rule(id);
    match &rule.source {
        NatSource::Static(map) => {
            let address = map.map(key.src).ok_or(DropReason::XlateFailed)?;
            let port = rule.service.as_ref().map_or(key.sport, |service| {
                shift(key.sport, service.real_source, service.mapped_source)
            });
            Ok(SourceTranslation::Static {
                rule: id,
                address,
                port,
            })
        }
        NatSource::Dynamic { pool, .. } if !pool.is_pat() => {
            Ok(SourceTranslation::DynamicNat { rule: id })
        }
        NatSource::Dynamic { .. } => {
            if !has_ports(key) || model.pat_ranges(id, egress).next().is_none() {
                return Err(DropReason::XlateFailed);
            }
            Ok(SourceTranslation::DynamicPat { rule: id })
        }
    }
}

/// Whether PAT can tell connections of this protocol apart: by port, or by the identifier of an ICMP query.
fn has_ports(key: &Key) -> bool {
    match key.proto {
        TCP | UDP => true,
        // Queries: echo, timestamp, information, address mask (RFC 5508 §3.1).
        ICMP => matches!(key.dport >> 8, 8 | 13 | 15 | 17),
        _ => false,
    }
}

/// Source translation of a packet that comes backwards through a rule with a destination: real to mapped.
fn reverse_source(
    rule: &NatRule,
    id: NatId,
    destination: &StaticMap,
    key: &Key,
) -> SourceTranslation {
    let port = rule.service.as_ref().map_or(key.sport, |service| {
        shift(
            key.sport,
            service.real_destination,
            service.mapped_destination,
        )
    });
    match destination.map(key.src) {
        Some(address) => SourceTranslation::Static {
            rule: id,
            address,
            port,
        },
        None => SourceTranslation::None,
    }
}

/// Whether an address is shared by PAT towards the ingress interface.
fn in_pat_pool(model: &Model, ingress: InterfaceId, address: u32) -> bool {
    model.nat.iter().any(|rule| match &rule.source {
        NatSource::Dynamic { pool, .. } => {
            !rule.inactive
                && admits(rule.mapped_interface, ingress)
                && (pool.pat.contains(address) || pool.one_to_one.contains(address))
        }
        NatSource::Static(_) => false,
    })
}

/// The rule the answer would match first: its source is our real destination.
fn reverse(model: &Model, key: &Key, real: &Key, egress: InterfaceId) -> Option<NatId> {
    let ingress = InterfaceId(key.interface);
    let found = model.nat.iter().position(|rule| {
        !rule.inactive
            && admits(rule.real_interface, egress)
            && admits(rule.mapped_interface, ingress)
            && rule.source.real().contains(real.dst)
            && rule
                .destination
                .as_ref()
                .is_none_or(|destination| destination.real.contains(key.src))
            && rule.service.as_ref().is_none_or(|service| {
                service.protocol == key.proto
                    && service.real_source.contains(real.dport)
                    && service.real_destination.contains(key.sport)
            })
    });
    found.map(|index| NatId(index as u16))
}

/// Whether the translation is one of `xlate per-session permit`.
fn per_session(model: &Model, key: &Key) -> bool {
    let within =
        |ranges: &[AddressRange], address| ranges.iter().any(|range| range.contains(address));
    model
        .per_session
        .iter()
        .find(|rule| {
            rule.service.matches(key.proto, key.sport, key.dport)
                && within(&rule.sources, key.src)
                && within(&rule.destinations, key.dst)
        })
        .is_some_and(|rule| rule.permit)
}

/// The classes that act on a flow, one for each feature.
struct Classes {
    settings: Option<ClassId>,
    inspect: Option<ClassId>,
}

impl Classes {
    /// First class that matches, for each feature; those of interfaces stand before global ones.
    fn of(model: &Model, ingress: InterfaceId, egress: InterfaceId, key: &Key) -> Self {
        let find = |has_feature: fn(&Class) -> bool| {
            model
                .classes
                .iter()
                .position(|class| {
                    has_feature(class)
                        && class
                            .interface
                            .is_none_or(|own| own == ingress || own == egress)
                        && class
                            .matches
                            .iter()
                            .all(|selector| selects(model, class, selector, key))
                })
                .map(|index| ClassId(index as u16))
        };
        Self {
            settings: find(|class| class.idle_s.is_some() || class.limits.is_some()),
            inspect: find(|class| class.inspect.is_some()),
        }
    }
}

/// Whether one `match` of a class selects a flow.
fn selects(model: &Model, class: &Class, selector: &ClassSelector, key: &Key) -> bool {
    match selector {
        ClassSelector::Any => true,
        ClassSelector::AccessList(acl) => {
            first_match(model.acl(*acl), key).is_some_and(|(permit, _)| permit)
        }
        ClassSelector::DefaultInspection => {
            class
                .inspect
                .as_ref()
                .is_some_and(|inspect| match inspect.protocol {
                    InspectProtocol::Sip => matches!(key.proto, TCP | UDP) && key.dport == 5060,
                    InspectProtocol::Skinny => key.proto == TCP && key.dport == 2000,
                })
        }
        ClassSelector::Service(services) => services
            .iter()
            .any(|service| service.matches(key.proto, key.sport, key.dport)),
    }
}
