//! NAT: two rules for one mapped port, mapped addresses that are ours, mistakes in typing.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::super::lower::Findings;
use super::super::lower::names::Names;
use super::super::lower::nat_service::transport_number;
use super::super::model::{InterfaceId, Model, NatRule, NatSource};
use super::super::range::{AddressRange, PortRange};
use crate::config::ast::Config;
use crate::config::ast::nat::{
    MappedAddress, NatInterface, NatOperand, ObjectNat, ObjectTranslation, TwiceSource,
};
use crate::config::ast::object::NetworkDefinition;
use crate::config::{Diagnostic, Lost, Parsed, Span, Spanned};

/// Checks NAT.
pub(super) fn check(parsed: &Parsed, names: &Names<'_>, model: &Model, findings: &mut Findings) {
    conflicts(parsed, names, model, findings);
    conflicts_by_name(&parsed.config, model, findings);
    replaced(parsed, findings);
    own_addresses(&parsed.config, model, findings);
    for rule in model.nat.iter().filter(|rule| !rule.inactive) {
        swapped_ports(model, rule, findings);
        shared_with_static(model, rule, findings);
        options_without_effect(rule, findings);
        if rule.service.as_ref().is_some_and(|service| {
            service.protocol == 17
                && service.real_source
                    == PortRange {
                        low: 5269,
                        high: 5269,
                    }
        }) {
            findings.push(
                Diagnostic::warning("W0404", rule.span, "XMPP federation does not use udp 5269")
                    .with_help("the rule does no harm; the tcp rule is the one that counts"),
            );
        }
    }
}

/// What a static rule takes on its mapped side.
struct Claim {
    interface: Option<InterfaceId>,
    addresses: AddressRange,
    service: Option<(u8, PortRange)>,
    /// Real address that stands at the beginning of `addresses`, and its port.
    real: (Option<u32>, Option<u16>),
    destination: Option<AddressRange>,
    span: Span,
    /// Where a later line of the text took the rule back.
    until: Option<u32>,
}

fn claims_of(rule: &NatRule) -> Vec<Claim> {
    let NatSource::Static(map) = &rule.source else {
        return Vec::new();
    };
    if rule.inactive || rule.unidirectional || map.mapped.is_any() {
        return Vec::new();
    }
    let destination = rule.destination.as_ref();
    map.mapped
        .ranges
        .iter()
        .map(|&addresses| Claim {
            interface: rule.mapped_interface,
            addresses,
            service: rule
                .service
                .as_ref()
                .map(|service| (service.protocol, service.mapped_source)),
            real: (
                map.unmap(addresses.low),
                rule.service.as_ref().map(|service| service.real_source.low),
            ),
            destination: destination.and_then(|map| map.real.ranges.first().copied()),
            span: rule.span,
            until: None,
        })
        .collect()
}

/// The claim of an object's `nat` line that a later line replaced: it was in force in between.
fn claim_of_lost(
    names: &Names<'_>,
    model: &Model,
    object: &str,
    nat: &Spanned<ObjectNat>,
    until: Span,
) -> Option<Claim> {
    let ObjectTranslation::Static {
        mapped, service, ..
    } = &nat.translation
    else {
        return None;
    };
    let host = |name: &str| {
        let definition = names.network_object(name)?.definition.as_ref()?;
        match definition.node {
            NetworkDefinition::Host(IpAddr::V4(address)) => Some(address),
            _ => None,
        }
    };
    let mapped = match mapped {
        MappedAddress::Address(address) => match address.node {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => return None,
        },
        MappedAddress::Object(name) => host(name)?,
        MappedAddress::Interface(_) => return None,
    };
    let real = host(object).map(Ipv4Addr::to_bits);
    let interface = match &nat.mapped_interface {
        NatInterface::Any => None,
        NatInterface::Named(name) => Some(model.interface_named(name)?),
    };
    Some(Claim {
        interface,
        addresses: AddressRange::host(mapped.to_bits()),
        service: service.as_ref().map(|mapping| {
            let port = mapping.mapped.node;
            (
                transport_number(mapping.transport),
                PortRange {
                    low: port,
                    high: port,
                },
            )
        }),
        real: (real, service.as_ref().map(|mapping| mapping.real.node)),
        destination: None,
        span: nat.span,
        until: Some(until.start),
    })
}

fn conflicts(parsed: &Parsed, names: &Names<'_>, model: &Model, findings: &mut Findings) {
    let mut claims: Vec<Claim> = model.nat.iter().flat_map(claims_of).collect();
    claims.extend(
        parsed
            .overwritten
            .iter()
            .filter_map(|entry| match &entry.lost {
                Lost::Nat(nat) => claim_of_lost(names, model, &entry.object, nat, entry.by),
                Lost::Definition(_) => None,
            }),
    );
    claims.sort_by_key(|claim| claim.span.start);
    // Single addresses are the rule: they meet in a map; blocks are compared with everything.
    let mut hosts: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut blocks: Vec<usize> = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let is_host = claim.addresses.count() == 1;
        let earlier = if is_host {
            let same = hosts.get(&claim.addresses.low).into_iter().flatten();
            same.chain(&blocks)
                .copied()
                .find(|&other| collide(&claims[other], claim))
        } else {
            (0..index).find(|&other| collide(&claims[other], claim))
        };
        if let Some(other) = earlier {
            report_conflict(parsed, &claims[other], claim, findings);
        }
        if is_host {
            hosts.entry(claim.addresses.low).or_default().push(index);
        } else {
            blocks.push(index);
        }
    }
}

/// Whether two rules take the same port of the same address for different real ports.
fn collide(first: &Claim, second: &Claim) -> bool {
    let interfaces = first.interface.is_none()
        || second.interface.is_none()
        || first.interface == second.interface;
    let services = match (first.service, second.service) {
        (Some((protocol, ports)), Some((other, other_ports))) => {
            protocol == other && ports.overlaps(&other_ports)
        }
        // A whole address under single ports of another rule is a matter of order, not of conflict.
        (None, None) => true,
        _ => false,
    };
    let destinations = match (first.destination, second.destination) {
        (Some(first), Some(second)) => first.overlaps(&second),
        _ => true,
    };
    let same_meaning = first.real == second.real && first.addresses == second.addresses;
    interfaces
        && services
        && destinations
        && !same_meaning
        && first.addresses.overlaps(&second.addresses)
        && first.until.is_none_or(|until| until > second.span.start)
}

fn report_conflict(parsed: &Parsed, first: &Claim, second: &Claim, findings: &mut Findings) {
    let what = match second.service {
        Some((protocol, ports)) => {
            let name = match protocol {
                6 => "tcp",
                17 => "udp",
                _ => "protocol",
            };
            format!("{name} port {}", ports.low)
        }
        None => "address".to_owned(),
    };
    let address = Ipv4Addr::from_bits(second.addresses.low.max(first.addresses.low));
    let real = |claim: &Claim| {
        claim.real.0.map_or_else(
            || "another host".to_owned(),
            |real| Ipv4Addr::from_bits(real).to_string(),
        )
    };
    let command = parsed.source.command(first.span);
    findings.push(
        Diagnostic::error(
            "E0301",
            second.span,
            format!(
                "NAT unable to reserve ports: mapped {address} {what} is claimed for {} here and for {} on line {}",
                real(second),
                real(first),
                first.span.line
            ),
        )
        .with_help("give one of the two another mapped port or address")
        .with_related(first.span, format!("claimed first by `{command}`")),
    );
}

/// Rules that could not be lowered because they name undefined objects still conflict when they name the same ones.
fn conflicts_by_name(config: &Config, model: &Model, findings: &mut Findings) {
    let lowered: HashSet<u32> = model.nat.iter().map(|rule| rule.span.start).collect();
    let mut seen: HashMap<(&NatInterface, &str, &str), (&str, Span, bool)> = HashMap::new();
    for rule in config.nat_before_auto.iter().chain(&config.nat_after_auto) {
        let TwiceSource::Static {
            real: NatOperand::Object(real),
            mapped: NatOperand::Object(mapped),
        } = &rule.source
        else {
            continue;
        };
        let Some(service) = &rule.service else {
            continue;
        };
        if rule.destination.is_some() || rule.inactive || rule.unidirectional {
            continue;
        }
        let is_lowered = lowered.contains(&rule.span.start);
        let key = (
            &rule.mapped_interface,
            mapped.as_str(),
            service.second.as_str(),
        );
        match seen.get(&key) {
            Some(&(other, span, other_lowered)) if other != real.as_str() => {
                if !(is_lowered && other_lowered) {
                    findings.push(
                        Diagnostic::error(
                            "E0301",
                            rule.span,
                            format!(
                                "NAT unable to reserve ports: {} of {} is claimed for {} here and for {other} on line {}",
                                service.second.node, mapped.node, real.node, span.line
                            ),
                        )
                        .with_help("give one of the two another mapped port or address")
                        .with_related(span, "claimed first here"),
                    );
                }
            }
            Some(_) => {}
            None => {
                seen.insert(key, (real, rule.span, is_lowered));
            }
        }
    }
}

/// An object entered again with another `nat` or address: mostly the name of its neighbour was meant.
fn replaced(parsed: &Parsed, findings: &mut Findings) {
    for entry in &parsed.overwritten {
        let (what, lost) = match &entry.lost {
            Lost::Nat(nat) => ("nat", nat.span),
            Lost::Definition(definition) => ("address", definition.span),
        };
        let name = &entry.object.node;
        // The object entered just before shows which node this part of the text is about.
        let before = parsed
            .config
            .network_objects
            .iter()
            .filter_map(|object| Some((object.nat.as_ref()?.span.start, &object.name.node)))
            .filter(|(start, other)| *start < entry.object.span.start && *other != name)
            .max();
        let help = match before {
            Some((_, other)) => format!(
                "the object before it is {other}: if this one belongs to the same node, correct its name"
            ),
            None => "correct the name if another object was meant".to_owned(),
        };
        findings.push(
            Diagnostic::warning(
                "W0301",
                entry.object.span,
                format!(
                    "object network {name} is opened again and its {what} of line {} is replaced",
                    lost.line
                ),
            )
            .with_help(help)
            .with_related(lost, "lost")
            .with_related(entry.by, "replaced by this"),
        );
    }
}

/// Where the word `interface` stands as the mapped address.
fn written_as_interface(config: &Config) -> HashSet<u32> {
    let twice = config
        .nat_before_auto
        .iter()
        .chain(&config.nat_after_auto)
        .filter(|rule| {
            matches!(
                rule.source,
                TwiceSource::Static {
                    mapped: NatOperand::Interface(_),
                    ..
                } | TwiceSource::Dynamic {
                    mapped: NatOperand::Interface(_),
                    ..
                }
            )
        })
        .map(|rule| rule.span.start);
    let objects = config
        .network_objects
        .iter()
        .filter_map(|object| object.nat.as_ref())
        .filter(|nat| {
            matches!(
                nat.translation,
                ObjectTranslation::Static {
                    mapped: MappedAddress::Interface(_),
                    ..
                } | ObjectTranslation::Dynamic {
                    mapped: MappedAddress::Interface(_),
                    ..
                }
            )
        })
        .map(|nat| nat.span.start);
    twice.chain(objects).collect()
}

fn own_addresses(config: &Config, model: &Model, findings: &mut Findings) {
    let by_word = written_as_interface(config);
    for rule in model.nat.iter().filter(|rule| !rule.inactive) {
        let (mapped, is_identity) = match &rule.source {
            NatSource::Static(map) => (vec![&map.mapped], map.is_identity()),
            NatSource::Dynamic { pool, .. } => (vec![&pool.one_to_one, &pool.pat], false),
        };
        if by_word.contains(&rule.span.start) {
            if rule.source.is_static() && rule.service.is_none() {
                findings.push(
                    Diagnostic::warning(
                        "W0307",
                        rule.span,
                        "the rule takes all traffic to the interface's own address",
                    )
                    .with_help("add `service` to forward single ports"),
                );
            }
            continue;
        }
        if is_identity {
            continue;
        }
        let overlap = model.interface_ids().find(|&id| {
            let address = model.interface(id).address.map(|address| address.address());
            rule.mapped_interface.is_none_or(|own| own == id)
                && address.is_some_and(|address| {
                    mapped
                        .iter()
                        .any(|list| !list.is_any() && list.contains(address))
                })
        });
        if let Some(id) = overlap {
            let name = &model.interface(id).name;
            findings.push(
                Diagnostic::error(
                    "E0302",
                    rule.span,
                    format!("mapped-address overlaps the address of interface {name}"),
                )
                .with_help("write `interface` instead of the address, or take another address"),
            );
        }
    }
}

/// Real and mapped port the wrong way round: access lists name the mapped port at the real host and never the real.
fn swapped_ports(model: &Model, rule: &NatRule, findings: &mut Findings) {
    let (NatSource::Static(map), Some(service)) = (&rule.source, &rule.service) else {
        return;
    };
    let Some(real) = map.real.single() else {
        return;
    };
    if service.real_source.count() != 1 || service.real_source == service.mapped_source {
        return;
    }
    let names_port = |port: PortRange| {
        model
            .access_lists
            .iter()
            .flat_map(|list| &list.aces)
            .find(|ace| {
                ace.permit
                    && ace.destinations.contains(&AddressRange::host(real))
                    && ace.services.iter().any(|own| {
                        own.protocol == Some(service.protocol) && own.destination.ranges() == [port]
                    })
            })
    };
    if names_port(service.real_source).is_none()
        && let Some(ace) = names_port(service.mapped_source)
    {
        let (real_port, mapped_port) = (service.real_source.low, service.mapped_source.low);
        findings.push(
            Diagnostic::warning(
                "W0303",
                rule.span,
                format!("the host is said to listen on port {real_port}, but access lists name its port {mapped_port}"),
            )
            .with_help(format!("the real port comes first: `{mapped_port} {real_port}` if the host listens on {mapped_port}"))
            .with_related(ace.span, "this line names the port"),
        );
    }
}

/// Options that the device refuses or that do nothing in this rule.
fn options_without_effect(rule: &NatRule, findings: &mut Findings) {
    match &rule.source {
        NatSource::Dynamic { pool, .. } if pool.extended && pool.interface => findings.push(
            Diagnostic::warning(
                "W0309",
                rule.span,
                "an `extended` pool does not go with the interface's address behind it",
            )
            .with_help("remove `extended` or `interface`"),
        ),
        NatSource::Static(map) if rule.route_lookup && !map.is_identity() => findings.push(
            Diagnostic::warning(
                "W0310",
                rule.span,
                "`route-lookup` is meant for identity NAT: the device refuses it in this rule",
            )
            .with_help("remove it: the rule itself tells the egress interface"),
        ),
        _ => {}
    }
}

/// PAT from an address of which static rules own ports: fine, and good to know.
fn shared_with_static(model: &Model, rule: &NatRule, findings: &mut Findings) {
    let NatSource::Dynamic { pool, .. } = &rule.source else {
        return;
    };
    let shared = model.nat.iter().find(|other| match &other.source {
        NatSource::Static(map) => {
            other.service.is_some() && !other.inactive && map.mapped.overlaps(&pool.pat)
        }
        NatSource::Dynamic { .. } => false,
    });
    if let Some(other) = shared {
        findings.push(
            Diagnostic::note(
                "N0308",
                rule.span,
                "the address is shared with static rules: PAT never gives out their ports",
            )
            .with_related(other.span, "one of them"),
        );
    }
}
