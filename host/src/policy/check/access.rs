//! Access lists: lines out of reach, mapped addresses where real ones belong, empty groups.

use std::collections::HashMap;

use super::super::compile::shadowed;
use super::super::lower::Findings;
use super::super::model::{AccessList, Ace, AceId, Activity, ClassSelector, Model, NatSource};
use super::super::range::PortRange;
use crate::config::ast::Config;
use crate::config::ast::object::Group;
use crate::config::{Diagnostic, Span};

/// Checks access lists and groups.
pub(super) fn check(config: &Config, model: &Model, findings: &mut Findings) {
    for list in &model.access_lists {
        out_of_reach(model, list, findings);
        for ace in &list.aces {
            xmpp_over_udp(ace, findings);
        }
    }
    mapped_addresses(model, findings);
    empty_groups(config, findings);
}

/// Lines all of whose elements an earlier line takes.
fn out_of_reach(model: &Model, list: &AccessList, findings: &mut Findings) {
    let mut by_line: HashMap<Span, (u32, AceId)> = HashMap::new();
    for (element, by) in shadowed(list) {
        let (Some((ace, _)), Some((other, _))) = (model.ace(element), model.ace(by)) else {
            continue;
        };
        if ace.span == other.span {
            continue;
        }
        let entry = by_line.entry(ace.span).or_insert((0, by));
        entry.0 += 1;
    }
    for ace in &list.aces {
        let Some(&(count, by)) = by_line.get(&ace.span) else {
            continue;
        };
        let Some((other, _)) = model.ace(by).filter(|_| count == ace.elements()) else {
            continue;
        };
        let effect = if other.permit == ace.permit {
            "adds nothing"
        } else {
            "never acts"
        };
        findings.push(
            Diagnostic::warning(
                "W0401",
                ace.span,
                format!(
                    "this line {effect}: line {} of access-list {} takes its packets",
                    other.line, list.name
                ),
            )
            .with_help("remove it or move it up")
            .with_related(other.span, "matches first"),
        );
    }
}

fn xmpp_over_udp(ace: &Ace, findings: &mut Findings) {
    let xmpp = [PortRange {
        low: 5269,
        high: 5269,
    }];
    let is_udp = ace
        .services
        .iter()
        .any(|service| service.protocol == Some(17) && service.destination.ranges() == xmpp);
    if ace.permit && is_udp {
        findings.push(
            Diagnostic::warning("W0404", ace.span, "XMPP federation does not use udp 5269")
                .with_help("tcp 5269 is enough"),
        );
    }
}

/// Since 8.3 access lists name real addresses; a mapped one never matches, neither as the destination of what comes in
/// nor as the source of what goes out.
fn mapped_addresses(model: &Model, findings: &mut Findings) {
    let own: Vec<u32> = model
        .interfaces
        .iter()
        .filter_map(|interface| interface.address)
        .map(|address| address.address())
        .collect();
    let mut real_of: HashMap<u32, (u32, Span)> = HashMap::new();
    for rule in model.nat.iter().filter(|rule| !rule.inactive) {
        if let NatSource::Static(map) = &rule.source
            && let (Some(mapped), Some(real)) = (map.mapped.single(), map.real.single())
            && mapped != real
            && !own.contains(&mapped)
        {
            real_of.entry(mapped).or_insert((real, rule.span));
        }
    }
    let inbound = model
        .interfaces
        .iter()
        .filter_map(|interface| interface.in_acl);
    let classes = model.classes.iter().flat_map(|class| &class.matches);
    let mut lists: Vec<_> = inbound
        .chain(model.global_acl)
        .map(|bound| bound.acl)
        .chain(classes.filter_map(|selector| match selector {
            ClassSelector::AccessList(acl) => Some(*acl),
            _ => None,
        }))
        .collect();
    lists.sort();
    lists.dedup();
    for ace in lists.into_iter().flat_map(|acl| &model.acl(acl).aces) {
        let hit = ace
            .destinations
            .iter()
            .chain(&ace.sources)
            .filter(|range| range.count() == 1 && ace.activity != Activity::Inactive)
            .find_map(|range| Some((range.low, real_of.get(&range.low)?)));
        if let Some((mapped, &(real, rule))) = hit {
            let (mapped, real) = (
                std::net::Ipv4Addr::from_bits(mapped),
                std::net::Ipv4Addr::from_bits(real),
            );
            findings.push(
                Diagnostic::warning(
                    "W0304",
                    ace.span,
                    format!("{mapped} is a mapped address; access lists see the real one"),
                )
                .with_help(format!(
                    "name {real}, with the port the host itself listens on"
                ))
                .with_related(rule, "mapped by this rule"),
            );
        }
    }
}

fn empty_groups(config: &Config, findings: &mut Findings) {
    fn report<'g, M: 'g>(groups: impl IntoIterator<Item = &'g Group<M>>, findings: &mut Findings) {
        for group in groups.into_iter().filter(|group| group.members.is_empty()) {
            findings.push(
                Diagnostic::warning(
                    "W0403",
                    group.name.span,
                    format!(
                        "object-group {} is empty: lines that name it match nothing",
                        group.name.node
                    ),
                )
                .with_help("add members, or remove it"),
            );
        }
    }
    report(&config.network_groups, findings);
    report(
        config.service_groups.iter().map(|typed| &typed.group),
        findings,
    );
    report(&config.protocol_groups, findings);
    report(&config.icmp_groups, findings);
}
