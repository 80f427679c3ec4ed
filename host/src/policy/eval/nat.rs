//! NAT as the evaluator walks it: first rule that matches, in the order of evaluation.

use layout::table::Key;

use super::{ICMP, TCP, UDP};
use crate::policy::decision::{DropReason, SourceTranslation, Untranslate, Way};
use crate::policy::model::{
    InterfaceId, Model, NatId, NatRule, NatService, NatSource, StaticMap, shift,
};
use crate::policy::range::PortRange;

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
pub(super) fn untranslate(model: &Model, key: &Key) -> Option<(Untranslate, u32, u16)> {
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

/// What happens to the source.
pub(super) fn source(
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
pub(super) fn in_pat_pool(model: &Model, ingress: InterfaceId, address: u32) -> bool {
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
pub(super) fn reverse(model: &Model, key: &Key, real: &Key, egress: InterfaceId) -> Option<NatId> {
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
