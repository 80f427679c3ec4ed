//! Access lists, their expansion through groups, and where they are bound.

use super::Findings;
use super::names::{Addresses, Names, icmp_ports, port_set, protocol_number, service_matches};
use crate::config::ast::Config;
use crate::config::ast::access_list::{
    AccessList as Written, Binding, Direction, Entry, ExtendedEntry, IcmpSpec, PortSpec,
    ProtocolSpec,
};
use crate::config::ast::primitive::{Action, Endpoint};
use crate::config::{Diagnostic, Name, Span, Spanned};
use crate::policy::eval::{ICMP, TCP, UDP};
use crate::policy::model::{
    AccessList, Ace, AceId, AclId, Activity, Bound, Bounds, LeftOut, Model, ServiceMatch,
};
use crate::policy::range::{AddressRange, PortSet};

/// Elements one line may expand to.
const ELEMENT_LIMIT: u64 = 1 << 20;
/// Elements all access lists may have.
const TOTAL_LIMIT: u32 = 1 << 24;
/// Access lists a model can number.
const LIST_LIMIT: usize = 1 << 15;

/// Fills in access lists and their bindings.
pub(super) fn lower(
    config: &Config,
    names: &Names<'_>,
    model: &mut Model,
    findings: &mut Findings,
) {
    let mut next = AceId(0);
    for written in config.access_lists.iter().take(LIST_LIMIT) {
        let id = AclId(model.access_lists.len() as u16);
        let list = list(id, written, names, model, &mut next, findings);
        model.access_lists.push(list);
    }
    for group in &config.access_groups {
        bind(
            config,
            group.span,
            &group.access_list,
            &group.binding,
            model,
            findings,
        );
    }
}

fn list(
    id: AclId,
    written: &Written,
    names: &Names<'_>,
    model: &Model,
    next: &mut AceId,
    findings: &mut Findings,
) -> AccessList {
    let first = *next;
    let mut aces = Vec::new();
    for (line, entry, extended) in written.extended() {
        let ace = ace(
            id,
            line as u32,
            entry,
            extended,
            names,
            model,
            *next,
            findings,
        );
        next.0 += ace.elements();
        aces.push(ace);
    }
    AccessList {
        name: written.name.node.clone(),
        first,
        bounds: aces.iter().map(bounds).collect(),
        aces,
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "all are the surroundings of one line"
)]
fn ace(
    acl: AclId,
    line: u32,
    entry: &Spanned<Entry>,
    extended: &ExtendedEntry,
    names: &Names<'_>,
    model: &Model,
    first: AceId,
    findings: &mut Findings,
) -> Ace {
    let mut left_out = Vec::new();
    let mut services = services(extended, names, &mut left_out, findings);
    judge_unparsed_ports(&mut services, extended.action, entry.span, findings);
    let sources = endpoint(&extended.source, names, model, findings);
    let destinations = endpoint(&extended.destination, names, model, findings);
    let elements =
        services.len() as u64 * sources.ranges.len() as u64 * destinations.ranges.len() as u64;
    if elements > ELEMENT_LIMIT || first.0 + elements as u32 > TOTAL_LIMIT {
        findings.push(
            Diagnostic::error("E0206", entry.span, format!("this line expands to {elements} elements, or all lines together to more than {TOTAL_LIMIT}"))
                .with_help("name subnets or port ranges instead of groups of many members"),
        );
        services.clear();
    }
    left_out.extend(sources.left_out);
    left_out.extend(destinations.left_out);
    report_left_out(&left_out, entry.span, findings);
    Ace {
        acl,
        line,
        permit: extended.action == Action::Permit,
        services,
        sources: sources.ranges,
        destinations: destinations.ranges,
        first,
        activity: activity(extended, model, findings),
        log: extended.log,
        left_out,
        span: entry.span,
    }
}

/// Ports of SCTP are not parsed. To be on the safe side a deny then takes all of the protocol, a permit nothing.
fn judge_unparsed_ports(
    services: &mut Vec<ServiceMatch>,
    action: Action,
    span: Span,
    findings: &mut Findings,
) {
    let is_unparsed = |service: &ServiceMatch| {
        service
            .protocol
            .is_some_and(|number| !matches!(number, ICMP | TCP | UDP))
            && !(service.source.is_any() && service.destination.is_any())
    };
    if !services.iter().any(is_unparsed) {
        return;
    }
    let (effect, help) = match action {
        Action::Deny => (
            "the line denies every port",
            "deny the whole protocol, to say so",
        ),
        Action::Permit => ("the line permits none", "permit the whole protocol"),
    };
    let message = format!("ports of this protocol are not looked at: {effect}");
    findings.push(Diagnostic::warning("W0207", span, message).with_help(help));
    match action {
        Action::Deny => {
            for service in services.iter_mut().filter(|service| is_unparsed(service)) {
                *service = ServiceMatch::all(service.protocol);
            }
        }
        Action::Permit => services.retain(|service| !is_unparsed(service)),
    }
}

fn report_left_out(left_out: &[LeftOut], span: Span, findings: &mut Findings) {
    for item in left_out {
        findings.push(match item {
            LeftOut::Ipv6 => Diagnostic::warning(
                "W0205",
                span,
                "the IPv6 part of this line has no effect: only IPv4 is forwarded",
            ),
            LeftOut::Fqdn(domain) => Diagnostic::warning(
                "W0204",
                span,
                format!("{domain} is not resolved: this part of the line has no effect"),
            )
            .with_help("name the addresses"),
        });
    }
}

fn activity(extended: &ExtendedEntry, model: &Model, findings: &mut Findings) -> Activity {
    if extended.inactive {
        return Activity::Inactive;
    }
    match &extended.time_range {
        Some(name) => {
            if !model.time_ranges.contains_key(&name.node) {
                findings.unknown("E0207", "time-range", name);
            }
            Activity::During {
                name: name.node.clone(),
                now: false,
            }
        }
        None => Activity::Always,
    }
}

/// Addresses of one end.
pub(super) fn endpoint(
    written: &Spanned<Endpoint>,
    names: &Names<'_>,
    model: &Model,
    findings: &mut Findings,
) -> Addresses {
    match &written.node {
        Endpoint::Any | Endpoint::Any4 => Addresses {
            ranges: vec![AddressRange::ANY],
            left_out: Vec::new(),
        },
        Endpoint::Any6 => Addresses {
            ranges: Vec::new(),
            left_out: vec![LeftOut::Ipv6],
        },
        Endpoint::Host(address) => Addresses::host(*address),
        Endpoint::Subnet(subnet) => Addresses::subnet(*subnet),
        Endpoint::Object(name) => names.object(name, findings),
        Endpoint::Group(name) => names.group(name, findings),
        Endpoint::Interface(name) => Addresses {
            ranges: own_address(name, model, findings).into_iter().collect(),
            left_out: Vec::new(),
        },
    }
}

fn own_address(name: &Name, model: &Model, findings: &mut Findings) -> Option<AddressRange> {
    let Some(id) = model.interface_named(name) else {
        findings.unknown("E0203", "interface", name);
        return None;
    };
    let address = model.interface(id).address;
    if address.is_none() {
        findings.push(Diagnostic::warning(
            "W0206",
            name.span,
            format!(
                "interface {} has no known address: this line has no effect",
                name.node
            ),
        ));
    }
    address.map(|address| address.own)
}

/// The services of a line: protocols × source ports × destination ports.
fn services(
    extended: &ExtendedEntry,
    names: &Names<'_>,
    left_out: &mut Vec<LeftOut>,
    findings: &mut Findings,
) -> Vec<ServiceMatch> {
    let base = match &extended.protocol {
        ProtocolSpec::Protocol(protocol) => match protocol_number(*protocol) {
            Some(number) => vec![ServiceMatch::all(number)],
            None => {
                left_out.push(LeftOut::Ipv6);
                Vec::new()
            }
        },
        ProtocolSpec::Object(name) => names
            .service_object(name, findings)
            .map(service_matches)
            .unwrap_or_default(),
        ProtocolSpec::Group(name) => names
            .service_group(name, findings)
            .map(|services| services.to_vec())
            .unwrap_or_default(),
    };
    let mut services = Vec::new();
    for service in base {
        let protocol = service.protocol.unwrap_or(0);
        let own = |set: &PortSet| vec![set.clone()];
        let sources = match &extended.source_port {
            Some(spec) => ports(spec, protocol, names, findings),
            None => own(&service.source),
        };
        let destinations = match (&extended.destination_port, &extended.icmp) {
            (Some(spec), _) => ports(spec, protocol, names, findings),
            (None, Some(spec)) => icmp(spec, names, findings),
            (None, None) => own(&service.destination),
        };
        for source in &sources {
            services.extend(destinations.iter().map(|destination| ServiceMatch {
                protocol: service.protocol,
                source: source.clone(),
                destination: destination.clone(),
            }));
        }
    }
    services
}

fn ports(
    spec: &Spanned<PortSpec>,
    protocol: u8,
    names: &Names<'_>,
    findings: &mut Findings,
) -> Vec<PortSet> {
    match &spec.node {
        PortSpec::Ports(condition) => vec![port_set(*condition)],
        PortSpec::Group(name) => names
            .port_group(name, protocol, findings)
            .unwrap_or_default(),
    }
}

fn icmp(spec: &Spanned<IcmpSpec>, names: &Names<'_>, findings: &mut Findings) -> Vec<PortSet> {
    match &spec.node {
        IcmpSpec::Kind(kind) => vec![icmp_ports(*kind)],
        IcmpSpec::Group(name) => names
            .icmp_group(name, findings)
            .iter()
            .map(|kind| icmp_ports(*kind))
            .collect(),
    }
}

/// The box around an entry; one that matches nothing gets a box without an inside.
fn bounds(ace: &Ace) -> Bounds {
    let hull = |ranges: &[AddressRange]| AddressRange {
        low: ranges.iter().map(|range| range.low).min().unwrap_or(1),
        high: ranges.iter().map(|range| range.high).max().unwrap_or(0),
    };
    let protocol = ace.services.first().and_then(|first| first.protocol);
    Bounds {
        source: hull(&ace.sources),
        destination: hull(&ace.destinations),
        protocol: protocol.filter(|_| {
            ace.services
                .iter()
                .all(|service| service.protocol == protocol)
        }),
    }
}

fn bind(
    config: &Config,
    span: Span,
    name: &Name,
    binding: &Binding,
    model: &mut Model,
    findings: &mut Findings,
) {
    let Some(index) = config
        .access_lists
        .iter()
        .take(LIST_LIMIT)
        .position(|list| list.name == *name)
    else {
        findings.unknown("E0204", "access-list", name);
        return;
    };
    if config.access_lists[index].is_standard() {
        findings.push(
            Diagnostic::error(
                "E0402",
                name.span,
                format!("access-list {} is a standard list", name.node),
            )
            .with_help("interfaces take extended lists only")
            .with_related(config.access_lists[index].name.span, "the list"),
        );
        return;
    }
    let bound = Bound {
        acl: AclId(index as u16),
        span,
    };
    match binding {
        Binding::Global => model.global_acl = Some(bound),
        Binding::Interface {
            control_plane: true,
            ..
        } => findings.push(
            Diagnostic::warning("W0405", span, "`control-plane` lists are not applied")
                .with_help("traffic to the device itself is limited to ARP and ICMP anyway"),
        ),
        Binding::Interface {
            direction,
            interface,
            ..
        } => {
            let Some(id) = model.interface_named(interface) else {
                findings.unknown("E0203", "interface", interface);
                return;
            };
            let interface = &mut model.interfaces[usize::from(id.0)];
            match direction {
                Direction::In => interface.in_acl = Some(bound),
                Direction::Out => interface.out_acl = Some(bound),
            }
        }
    }
}
