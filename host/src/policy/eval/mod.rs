//! The evaluator: what happens to the first packet of a connection.
//!
//! It walks the resolved configuration and knows nothing of compiled tables, so it can judge them. The same answer
//! drives the slow path and packet-tracer. The order of the steps is the device's own: un-NAT, route, access
//! lists on real addresses, classes, source NAT, the reverse-path check.

/// Access lists and security levels.
mod access;
/// Un-NAT, source NAT and the reverse-path check.
mod nat;
/// Connections that an inspector lets through.
mod pinhole;

use std::net::Ipv4Addr;

use layout::table::Key;

use super::decision::*;
use super::model::*;
use super::range::AddressRange;
use crate::config::ast::mpf::InspectProtocol;
use access::{ingress_access, listed, same_security};
use nat::{in_pat_pool, reverse, source, untranslate};

pub(super) use access::first_match;
pub use pinhole::{Through, decide_through, translate_source};

/// IP protocol numbers this module cares about.
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Decides about the first packet of a connection. `key` is as the card builds it: the ingress interface, addresses
/// and ports as on the wire, for ICMP the identifier as source port and `type << 8 | code` as destination port.
/// An interface number that does not exist counts as shut down.
pub fn decide(model: &Model, key: &Key) -> Decision {
    let mut decision = Decision::permitted(key);
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

    // Nothing passes through the device to the device, behind a translation neither.
    if is_own(model, real.dst) {
        return Err(DropReason::SecurityFailed);
    }
    let egress = route(model, decision.untranslate, real.dst).ok_or(DropReason::NoRoute)?;
    decision.egress = Some(egress);
    if model.interface(egress.interface).shutdown {
        return Err(DropReason::InterfaceDown);
    }

    if ingress.management_only || model.interface(egress.interface).management_only {
        return Err(DropReason::SecurityFailed);
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
    is_own(model, destination).then_some(Err(DropReason::SecurityFailed))
}

/// Whether any interface has this address.
fn is_own(model: &Model, address: u32) -> bool {
    model
        .interfaces
        .iter()
        .filter_map(|interface| interface.address)
        .any(|own| own.address() == address)
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
    match divert {
        Some(interface) => route_through(model, interface, destination),
        None => first_route(model, destination, |_| true),
    }
}

/// Next hop of a destination behind a given interface.
fn route_through(model: &Model, interface: InterfaceId, destination: u32) -> Option<Egress> {
    let egress = first_route(model, destination, |own| own == interface)?;
    Some(Egress {
        diverted: true,
        ..egress
    })
}

fn first_route(
    model: &Model,
    destination: u32,
    may_leave_by: impl Fn(InterfaceId) -> bool,
) -> Option<Egress> {
    let mut routes = model.routes.iter().enumerate();
    let (index, route) = routes.find(|(_, route)| {
        route.destination.contains(destination) && may_leave_by(route.interface)
    })?;
    Some(Egress {
        interface: route.interface,
        next_hop: route.gateway.unwrap_or(destination),
        route: index,
        diverted: false,
    })
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

#[cfg(test)]
mod tests;
