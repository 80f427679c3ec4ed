//! Services of NAT rules, and `xlate per-session`.

use super::Findings;
use super::access::endpoint;
use super::names::{Names, port_set};
use crate::config::ast::Config;
use crate::config::ast::nat::{PortMapping, ServicePair, XlatePerSession};
use crate::config::ast::primitive::{Action, Endpoint, Ports, Protocol, Service, Transport};
use crate::config::{Diagnostic, Span, Spanned};
use crate::policy::model::{Model, NatService, PerSession, ServiceMatch};
use crate::policy::range::{AddressRange, PortRange, PortSet};

/// The service of a twice NAT rule; `None` after a report.
pub(super) fn service(
    names: &Names<'_>,
    pair: &ServicePair,
    span: Span,
    findings: &mut Findings,
) -> Option<NatService> {
    let first = names.service_object(&pair.first, findings)?;
    let second = names.service_object(&pair.second, findings)?;
    let both = (transport_ports(first), transport_ports(second));
    let (Some((protocol, source, destination)), Some((protocol2, source2, destination2))) = both
    else {
        let which = if both.0.is_none() {
            &pair.first
        } else {
            &pair.second
        };
        findings.push(
            Diagnostic::error(
                "E0304",
                which.span,
                format!("NAT cannot use object service {}", which.node),
            )
            .with_help("it takes one protocol, tcp, udp or sctp, and ports of one range"),
        );
        return None;
    };
    let same_kind =
        source.is_some() == source2.is_some() && destination.is_some() == destination2.is_some();
    if protocol != protocol2 || !same_kind {
        findings.push(
            Diagnostic::error(
                "E0303",
                span,
                format!("{} and {} differ in protocol or in which port they name", pair.first.node, pair.second.node),
            )
            .with_help("use one rule for each protocol, and source ports on both sides or destination ports on both"),
        );
        return None;
    }
    let any = |ports: Option<PortRange>| ports.unwrap_or(PortRange::ANY);
    let service = NatService {
        protocol,
        real_source: any(source),
        mapped_source: any(source2),
        mapped_destination: any(destination),
        real_destination: any(destination2),
    };
    if service.real_source.count() != service.mapped_source.count()
        || service.mapped_destination.count() != service.real_destination.count()
    {
        findings.push(
            Diagnostic::error(
                "E0304",
                span,
                format!(
                    "{} and {} have different numbers of ports",
                    pair.first.node, pair.second.node
                ),
            )
            .with_help("give both ranges the same size"),
        );
        return None;
    }
    Some(service)
}

/// Protocol, source and destination ports of a service that NAT can use.
fn transport_ports(service: Service) -> Option<(u8, Option<PortRange>, Option<PortRange>)> {
    match service {
        Service::Protocol(protocol @ Protocol::Number(number))
            if protocol.transport().is_some() =>
        {
            Some((number, None, None))
        }
        Service::Ports {
            transport,
            source,
            destination,
        } => {
            let &[Protocol::Number(number)] = transport.protocols() else {
                return None;
            };
            Some((number, one_range(source)?, one_range(destination)?))
        }
        _ => None,
    }
}

/// The condition as one range; `Some(None)` when there is none, `None` when it is not one range.
fn one_range(ports: Option<Ports>) -> Option<Option<PortRange>> {
    let Some(ports) = ports else {
        return Some(None);
    };
    match ports.ranges()[..] {
        [ref range] => Some(Some(PortRange {
            low: *range.start(),
            high: *range.end(),
        })),
        _ => None,
    }
}

/// The service of an object NAT rule.
pub(super) fn port_mapping(mapping: &PortMapping) -> NatService {
    let one = |port: u16| PortRange {
        low: port,
        high: port,
    };
    NatService {
        protocol: transport_number(mapping.transport),
        real_source: one(mapping.real.node),
        mapped_source: one(mapping.mapped.node),
        mapped_destination: PortRange::ANY,
        real_destination: PortRange::ANY,
    }
}

/// The number of a transport that is one protocol.
pub(in crate::policy) fn transport_number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp | Transport::TcpUdp => 6,
        Transport::Udp => 17,
        Transport::Sctp => 132,
    }
}

/// Configured lines, then what the device does by default: TCP and DNS per session, everything else not.
pub(super) fn per_session(
    config: &Config,
    names: &Names<'_>,
    model: &mut Model,
    findings: &mut Findings,
) {
    let lowered: Vec<_> = config
        .xlate_per_session
        .iter()
        .map(|written| per_session_line(written, names, model, findings))
        .collect();
    model.per_session.extend(lowered);
    let default = |protocol, destination| PerSession {
        permit: true,
        service: ServiceMatch {
            destination,
            ..ServiceMatch::all(Some(protocol))
        },
        sources: vec![AddressRange::ANY],
        destinations: vec![AddressRange::ANY],
        span: None,
    };
    let domain = PortSet::of([PortRange { low: 53, high: 53 }]);
    model.per_session.push(default(6, PortSet::any()));
    model.per_session.push(default(17, domain));
}

fn per_session_line(
    written: &Spanned<XlatePerSession>,
    names: &Names<'_>,
    model: &Model,
    findings: &mut Findings,
) -> PerSession {
    let ports = |ports: Option<Ports>| ports.map_or_else(PortSet::any, port_set);
    let mut end = |end: &Endpoint| {
        let spanned = Spanned::new(end.clone(), written.span);
        endpoint(&spanned, names, model, findings).ranges
    };
    PerSession {
        permit: written.action == Action::Permit,
        sources: end(&written.source),
        destinations: end(&written.destination),
        service: ServiceMatch {
            protocol: Some(transport_number(written.transport)),
            source: ports(written.source_port),
            destination: ports(written.destination_port),
        },
        span: Some(written.span),
    }
}
