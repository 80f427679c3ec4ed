//! Service policies: which flows go to an inspector, which get a timeout or limits.

use super::Findings;
use super::names::port_set;
use crate::config::ast::Config;
use crate::config::ast::mpf::{
    ClassAction, ClassMap, ClassMatch, Inspect, PolicyClass, PolicyMap, ServicePolicy,
};
use crate::config::{Diagnostic, Name, Span, Spanned};
use crate::policy::model::{
    AclId, Class, ClassId, ClassSelector, Inspection, InterfaceId, Model, ServiceMatch,
};
use crate::policy::range::PortSet;

/// Classes a model can number.
const LIMIT: usize = 1 << 15;

/// Fills in the classes of all service policies, those of interfaces first: they override global ones.
pub(super) fn lower(config: &Config, model: &mut Model, findings: &mut Findings) {
    for map in &config.class_maps {
        check_class_map(config, map, findings);
    }
    let (global, own): (Vec<_>, Vec<_>) = config
        .service_policies
        .iter()
        .partition(|policy| policy.interface.is_none());
    for policy in own.into_iter().chain(global) {
        service_policy(config, policy, model, findings);
    }
    model.classes.truncate(LIMIT);
    for index in 0..model.classes.len() {
        let answering = answering(config, &model.classes, index);
        if let Some(inspect) = &mut model.classes[index].inspect {
            inspect.answering = answering;
        }
    }
}

/// The class that has the same inspect map as another one, and its proxy's trustpoints the other way round.
fn answering(config: &Config, classes: &[Class], index: usize) -> Option<ClassId> {
    let trust_points = |inspect: &Inspection| {
        let name = inspect.tls_proxy.as_deref()?;
        let mut proxies = config.tls_proxies.iter();
        let proxy = proxies.find(|proxy| proxy.name.node == name)?;
        let server = proxy.server_trust_point.as_ref()?.node.as_str();
        Some((server, proxy.client_trust_point.as_ref()?.node.as_str()))
    };
    let own = classes[index].inspect.as_ref()?;
    let (server, client) = trust_points(own)?;
    let found = classes.iter().position(|class| {
        class.inspect.as_ref().is_some_and(|other| {
            (other.protocol, &other.map) == (own.protocol, &own.map)
                && trust_points(other) == Some((client, server))
        })
    });
    found.map(|found| ClassId(found as u16))
}

fn service_policy(
    config: &Config,
    policy: &Spanned<ServicePolicy>,
    model: &mut Model,
    findings: &mut Findings,
) {
    let interface = match &policy.interface {
        Some(name) => match model.interface_named(name) {
            Some(id) => Some(id),
            None => return findings.unknown("E0203", "interface", name),
        },
        None => None,
    };
    let Some(map) = config
        .policy_maps
        .iter()
        .find(|map| map.name == policy.policy_map)
    else {
        return findings.unknown("E0208", "policy-map", &policy.policy_map);
    };
    for class in &map.classes {
        policy_class(config, map, class, interface, policy.span, model, findings);
    }
}

fn policy_class(
    config: &Config,
    map: &PolicyMap,
    class: &PolicyClass,
    interface: Option<InterfaceId>,
    service_policy: Span,
    model: &mut Model,
    findings: &mut Findings,
) {
    let Some((matches, class_span)) = selectors(config, &class.class, findings) else {
        return;
    };
    let mut settings = Class {
        name: class.class.node.clone(),
        policy: map.name.node.clone(),
        interface,
        matches,
        inspect: None,
        inspect_other: Vec::new(),
        idle_s: None,
        limits: None,
        spans: [class_span, map.name.span, class.class.span, service_policy],
    };
    let mut inspections = Vec::new();
    for action in &class.actions {
        match &action.node {
            ClassAction::Inspect(inspect) => {
                inspections.push(inspection(config, inspect, action.span, findings));
            }
            ClassAction::InspectOther(words) => settings.inspect_other.push(words.clone()),
            ClassAction::IdleTimeout { seconds, .. } => {
                settings.idle_s = Some((*seconds, action.span));
            }
            ClassAction::ConnectionLimits(limits) => {
                settings.limits = Some((*limits, action.span));
            }
        }
    }
    // One entry for each inspector, so that a class never means two; settings stand in the first.
    let mut inspections = inspections.into_iter();
    let bare = Class {
        idle_s: None,
        limits: None,
        inspect_other: Vec::new(),
        ..settings.clone()
    };
    settings.inspect = inspections.next();
    model.classes.push(settings);
    model.classes.extend(inspections.map(|inspect| Class {
        inspect: Some(inspect),
        ..bare.clone()
    }));
}

/// What a class-map selects, and its line. `inspection_default` and `class-default` exist on every device.
fn selectors(
    config: &Config,
    name: &Name,
    findings: &mut Findings,
) -> Option<(Vec<ClassSelector>, Span)> {
    let Some(map) = config.class_maps.iter().find(|map| map.name == *name) else {
        let built_in = match name.as_str() {
            "inspection_default" => ClassSelector::DefaultInspection,
            "class-default" => ClassSelector::Any,
            _ => {
                findings.unknown("E0208", "class-map", name);
                return None;
            }
        };
        return Some((vec![built_in], name.span));
    };
    let selectors: Option<Vec<_>> = map
        .matches
        .iter()
        .map(|written| selector(config, &written.node))
        .collect();
    // A class without a `match` selects nothing.
    selectors
        .filter(|selectors| !selectors.is_empty())
        .map(|selectors| (selectors, map.name.span))
}

/// What one `match` selects; `None` when its list is unusable, which is reported with the class-map.
fn selector(config: &Config, written: &ClassMatch) -> Option<ClassSelector> {
    Some(match written {
        ClassMatch::Any => ClassSelector::Any,
        ClassMatch::DefaultInspectionTraffic => ClassSelector::DefaultInspection,
        ClassMatch::AccessList(name) => {
            let index = config
                .access_lists
                .iter()
                .position(|list| list.name == *name && !list.is_standard())?;
            ClassSelector::AccessList(AclId(u16::try_from(index).ok()?))
        }
        ClassMatch::Port(transport, ports) => ClassSelector::Service(
            transport
                .protocols()
                .iter()
                .filter_map(|protocol| super::names::protocol_number(*protocol))
                .map(|protocol| ServiceMatch {
                    protocol,
                    source: PortSet::any(),
                    destination: port_set(*ports),
                })
                .collect(),
        ),
    })
}

fn check_class_map(config: &Config, map: &ClassMap, findings: &mut Findings) {
    for written in &map.matches {
        let ClassMatch::AccessList(name) = &written.node else {
            continue;
        };
        let usable = config
            .access_lists
            .iter()
            .any(|list| list.name == *name && !list.is_standard());
        if !usable {
            findings.push(
                Diagnostic::error(
                    "E0401",
                    name.span,
                    format!(
                        "Specified ACL ({}) either does not exist or its type is not supported by the match command",
                        name.node
                    ),
                )
                .with_help("define it as an extended access list"),
            );
        }
    }
}

fn inspection(
    config: &Config,
    inspect: &Inspect,
    span: Span,
    findings: &mut Findings,
) -> Inspection {
    if let Some(name) = &inspect.map {
        let known = config
            .inspect_maps
            .iter()
            .any(|map| map.protocol == inspect.protocol && map.name == *name);
        if !known {
            findings.unknown("E0208", "policy-map type inspect", name);
        }
    }
    if let Some(name) = &inspect.tls_proxy
        && !config.tls_proxies.iter().any(|proxy| proxy.name == *name)
    {
        findings.unknown("E0209", "tls-proxy", name);
    }
    let text = |name: &Option<Name>| name.as_ref().map(|name| name.node.clone());
    Inspection {
        protocol: inspect.protocol,
        map: text(&inspect.map),
        tls_proxy: text(&inspect.tls_proxy),
        answering: None,
        span,
    }
}
