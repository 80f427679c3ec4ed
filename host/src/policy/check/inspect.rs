//! Service policies: classes that never act, one-way federation, maps and timers that break it.

use layout::table::Key;

use super::super::eval::first_match;
use super::super::lower::Findings;
use super::super::model::{Ace, AclId, Class, ClassSelector, Model};
use crate::config::Diagnostic;
use crate::config::ast::Config;
use crate::config::ast::inspect::{InspectVerdict, Parameter};
use crate::config::ast::mpf::InspectProtocol;
use crate::config::ast::timeout::Timer;

/// Usual lifetime of a SUBSCRIBE dialogue, and how much longer `timeout sip` must be.
const EXPIRY_S: u32 = 30 * 60;
const MARGIN_S: u32 = 5 * 60;

/// Elements of class lists that are compared with each other: of longer lists nothing is said, since it would take
/// minutes. Class lists name the few hosts of a federation.
const ELEMENT_LIMIT: u32 = 256;

/// Checks service policies.
pub(super) fn check(config: &Config, model: &Model, findings: &mut Findings) {
    sip_timeout(config, model, findings);
    without_effect(config, findings);
    for (index, class) in model.classes.iter().enumerate() {
        never_reached(model, &model.classes[..index], class, findings);
        high_security(model, class, findings);
        one_way(model, class, findings);
    }
}

/// Parameters that are read and do nothing.
fn without_effect(config: &Config, findings: &mut Findings) {
    let maps = config.inspect_maps.iter();
    for line in maps.flat_map(|map| &map.parameters) {
        let (name, why) = match line.node {
            Parameter::RtpConformance { .. } => (
                "rtp-conformance",
                "media of a call stays in the card, which does not read it",
            ),
            Parameter::TrustVerificationAddress(_) | Parameter::TrustVerificationPort(_) => (
                "trust-verification-server",
                "no telephone asks us whom to trust",
            ),
            _ => continue,
        };
        let text = format!("`{name}` has no effect: {why}");
        findings.push(Diagnostic::warning("W0509", line.span, text));
    }
}

/// The access list of a class.
fn list_of(class: &Class) -> Option<AclId> {
    class.matches.iter().find_map(|selector| match selector {
        ClassSelector::AccessList(acl) => Some(*acl),
        _ => None,
    })
}

/// Whether a class takes SIP to a TLS proxy.
fn is_federation(class: &Class) -> bool {
    class.inspect.as_ref().is_some_and(|inspect| {
        inspect.protocol == InspectProtocol::Sip && inspect.tls_proxy.is_some()
    })
}

fn sip_timeout(config: &Config, model: &Model, findings: &mut Findings) {
    let Some(class) = model.classes.iter().find(|class| is_federation(class)) else {
        return;
    };
    let seconds = model.timeout_s(Timer::Sip);
    if seconds == 0 || seconds >= EXPIRY_S + MARGIN_S {
        return;
    }
    let configured = config.timeouts.set.get(&Timer::Sip).map(|value| value.span);
    let span = configured.or(class.inspect.as_ref().map(|inspect| inspect.span));
    findings.push(
        Diagnostic::warning(
            "W0502",
            span.unwrap_or_default(),
            format!(
                "`timeout sip` is {} minutes: subscriptions live 30 minutes and lose their pinhole",
                seconds / 60
            ),
        )
        .with_help("enter `timeout sip 0:35:00` or more"),
    );
}

/// A class whose flows an earlier class with the same inspector takes.
fn never_reached(model: &Model, earlier: &[Class], class: &Class, findings: &mut Findings) {
    let Some(inspect) = &class.inspect else {
        return;
    };
    let list = list_of(class);
    let aces = list
        .filter(|acl| is_short(model, *acl))
        .map_or(&[][..], |acl| &model.acl(acl).aces);
    let permits: Vec<&Ace> = aces
        .iter()
        .filter(|ace| ace.permit && ace.elements() > 0)
        .collect();
    // One that takes everything is in the way of any class, also of one without an access list.
    let takes_all = |other: &Class| {
        let mut selectors = other.matches.iter();
        selectors.all(|selector| matches!(selector, ClassSelector::Any))
    };
    let winner = earlier.iter().find(|other| {
        other
            .inspect
            .as_ref()
            .is_some_and(|own| own.protocol == inspect.protocol)
            && (other.interface.is_none() || other.interface == class.interface)
            && (takes_all(other)
                || list.is_some() && list_of(other) == list && other.matches.len() == 1
                || !permits.is_empty() && permits.iter().all(|ace| takes(model, other, ace)))
    });
    if let Some(other) = winner {
        findings.push(
            Diagnostic::warning(
                "W0504",
                class.spans[2],
                format!(
                    "class {} is never reached: class {} takes its flows",
                    class.name, other.name
                ),
            )
            .with_help("put the narrower class first")
            .with_related(other.spans[2], "this class comes first"),
        );
    }
}

/// Whether the list of a class is short enough to be compared.
fn is_short(model: &Model, acl: AclId) -> bool {
    let elements = model
        .acl(acl)
        .aces
        .iter()
        .map(|ace| u64::from(ace.elements()));
    elements.sum::<u64>() <= u64::from(ELEMENT_LIMIT)
}

/// Whether a class takes both edges of everything an entry permits.
fn takes(model: &Model, class: &Class, ace: &Ace) -> bool {
    let any = class
        .matches
        .iter()
        .any(|selector| matches!(selector, ClassSelector::Any));
    let Some(acl) = list_of(class).filter(|acl| is_short(model, *acl)) else {
        return any;
    };
    let edges = |index: u32, last: bool| -> Option<Key> {
        let (service, source, destination) = ace.element(index)?;
        let edge = |low: u32, high: u32| if last { high } else { low };
        let port = |ranges: &[crate::policy::range::PortRange]| -> Option<u16> {
            Some(if last {
                ranges.last()?.high
            } else {
                ranges.first()?.low
            })
        };
        Some(Key {
            interface: 0,
            proto: service.protocol.unwrap_or(6),
            src: edge(source.low, source.high),
            dst: edge(destination.low, destination.high),
            sport: port(service.source.ranges())?,
            dport: port(service.destination.ranges())?,
        })
    };
    (0..ace.elements()).all(|index| {
        [false, true]
            .into_iter()
            .filter_map(|last| edges(index, last))
            .all(|key| first_match(model.acl(acl), &key).is_some_and(|(permit, _)| permit))
    })
}

/// A map as strict as the highest level of the device manager refuses what federation partners send.
fn high_security(model: &Model, class: &Class, findings: &mut Findings) {
    let Some(inspect) = class.inspect.as_ref().filter(|_| is_federation(class)) else {
        return;
    };
    let map = model.inspect_maps.iter().find(|map| {
        map.protocol == inspect.protocol && Some(&map.name.node) == inspect.map.as_ref()
    });
    let strict = map.and_then(|map| {
        map.parameters
            .iter()
            .find(|parameter| match &parameter.node {
                Parameter::StrictHeaderValidation(action) => matches!(
                    action.verdict,
                    Some(
                        InspectVerdict::Drop
                            | InspectVerdict::DropConnection
                            | InspectVerdict::Reset
                    )
                ),
                _ => false,
            })
    });
    if let Some(parameter) = strict {
        findings.push(
            Diagnostic::warning(
                "W0501",
                parameter.span,
                "so strict a map breaks federation through a TLS proxy",
            )
            .with_help("use low or medium security: log instead of drop")
            .with_related(inspect.span, "used here"),
        );
    }
}

/// Either side may dial: a class for each direction is needed.
fn one_way(model: &Model, class: &Class, findings: &mut Findings) {
    if !is_federation(class) {
        return;
    }
    let Some(acl) = list_of(class) else {
        return;
    };
    let federation = || model.classes.iter().filter(|class| is_federation(class));
    if !federation()
        .filter_map(list_of)
        .all(|acl| is_short(model, acl))
    {
        return;
    }
    let permits = |acl| model.acl(acl).aces.iter().filter(|ace| ace.permit);
    let is_reverse = |ace: &Ace, other: &Ace| {
        let meet = |left: &[crate::policy::range::AddressRange],
                    right: &[crate::policy::range::AddressRange]| {
            left.iter().any(|a| right.iter().any(|b| a.overlaps(b)))
        };
        meet(&ace.sources, &other.destinations) && meet(&ace.destinations, &other.sources)
    };
    let has_reverse = federation()
        .filter_map(list_of)
        .any(|other| permits(other).any(|other| permits(acl).any(|ace| is_reverse(ace, other))));
    if !has_reverse && permits(acl).next().is_some() {
        findings.push(
            Diagnostic::warning(
                "W0503",
                class.spans[2],
                format!("federation works one way only: no class takes connections against the direction of {}", class.name),
            )
            .with_help("add an access list with source and destination exchanged, a class and a tls-proxy for it"),
        );
    }
}
