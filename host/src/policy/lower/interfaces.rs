//! Interfaces and routes.

use std::net::IpAddr;

use super::Findings;
use crate::config::ast::Config;
use crate::config::ast::interface::{self as ast, InterfaceAddress as Written};
use crate::config::ast::primitive::Subnet;
use crate::config::{Diagnostic, Name, Span};
use crate::policy::model::{Interface, InterfaceAddress, InterfaceId, Model, Route};
use crate::policy::range::AddressRange;

/// Interfaces a model can number.
const LIMIT: usize = 250;

/// Fills in interfaces and routes.
pub(super) fn lower(config: &Config, model: &mut Model, findings: &mut Findings) {
    let mut named: Vec<Interface> = Vec::new();
    for written in &config.interfaces {
        let Some(name) = &written.nameif else {
            continue;
        };
        if let Some(first) = named.iter().find(|first| first.name == name.node) {
            findings.push(
                Diagnostic::error(
                    "E0211",
                    name.span,
                    format!("nameif {} is used twice", name.node),
                )
                .with_help("give every interface its own name")
                .with_related(first.span.unwrap_or_default(), "the first"),
            );
            continue;
        }
        named.push(interface(config, written, name, findings));
    }
    if named.is_empty() {
        assume_pair(model, findings);
        mtus(config, model, findings);
        static_routes(config, model, findings);
        sort_routes(model);
        return;
    }
    // The card numbers its own interfaces from 0.
    named.sort_by_key(|interface| interface.port.is_none());
    named.truncate(LIMIT);
    model.interfaces = named;
    mtus(config, model, findings);
    connected_routes(config, model);
    static_routes(config, model, findings);
    sort_routes(model);
}

fn interface(
    config: &Config,
    written: &ast::Interface,
    name: &Name,
    findings: &mut Findings,
) -> Interface {
    let is_sub_interface = written.hardware.contains('.');
    let port = match written.parent_hardware() {
        _ if is_sub_interface && written.vlan.is_none() => None,
        "GigabitEthernet0/0" => Some(0),
        "GigabitEthernet0/1" => Some(1),
        _ => None,
    };
    if port.is_none() {
        findings.push(
            Diagnostic::warning(
                "W0202",
                name.span,
                format!("no packet comes in or goes out at {}", written.hardware.node),
            )
            .with_help(
                "the card's ports are GigabitEthernet0/0 and GigabitEthernet0/1; a sub-interface needs a `vlan`",
            ),
        );
    }
    let address = match written
        .address
        .as_ref()
        .map(|address| (address.span, address.node))
    {
        Some((
            _,
            Written::Static {
                address, prefix, ..
            },
        )) => Some(InterfaceAddress {
            own: AddressRange::host(address.to_bits()),
            subnet: AddressRange::block(address.to_bits(), prefix),
            prefix,
        }),
        Some((span, Written::Dhcp { .. })) => {
            findings.push(
                Diagnostic::warning(
                    "W0206",
                    span,
                    "an address from DHCP is not known before it is leased",
                )
                .with_help("enter the address: no DHCP client runs here"),
            );
            None
        }
        None => None,
    };
    if let Some(ipv6) = written.ipv6_addresses.first() {
        findings.push(Diagnostic::warning(
            "W0205",
            ipv6.span,
            "IPv6 addresses are not used: only IPv4 is forwarded",
        ));
    }
    let parent_is_shut = config.interfaces.iter().any(|parent| {
        parent.hardware.node == written.parent_hardware() && parent.shutdown.is_some()
    });
    Interface {
        name: name.node.clone(),
        hardware: written.hardware.node.clone(),
        port,
        vlan: written.vlan.map(|vlan| vlan.node),
        address,
        level: written.security_level(),
        shutdown: written.shutdown.is_some() || parent_is_shut,
        management_only: written.management_only.is_some(),
        in_acl: None,
        out_acl: None,
        span: Some(name.span),
    }
}

/// A chapter pasted without interfaces still has a meaning: the pair every example means.
fn assume_pair(model: &mut Model, findings: &mut Findings) {
    findings.push(
        Diagnostic::warning(
            "W0201",
            Span::default(),
            "no interface is configured: assuming outside (level 0, GigabitEthernet0/0) and inside (level 100, \
             GigabitEthernet0/1), private addresses inside, all others outside",
        )
        .with_help("configure `interface`, `nameif`, `ip address` and `route`"),
    );
    let pair = |name: &str, port, level| Interface {
        name: name.to_owned(),
        hardware: format!("GigabitEthernet0/{port}"),
        port: Some(port),
        vlan: None,
        address: None,
        level,
        shutdown: false,
        management_only: false,
        in_acl: None,
        out_acl: None,
        span: None,
    };
    model.assumed_interfaces = true;
    model.interfaces = vec![pair("outside", 0, 0), pair("inside", 1, 100)];
    // RFC 1918 §3.
    let private = [(0x0a00_0000, 8), (0xac10_0000, 12), (0xc0a8_0000, 16)];
    let everything = [(0, 0)];
    let routes = private
        .iter()
        .map(|block| (InterfaceId(1), block))
        .chain(everything.iter().map(|block| (InterfaceId(0), block)));
    model.routes = routes
        .map(|(interface, &(network, prefix))| Route {
            destination: AddressRange::block(network, prefix),
            prefix,
            interface,
            gateway: None,
            // Any configured route of the same length goes first.
            metric: u8::MAX,
            span: None,
        })
        .collect();
}

fn connected_routes(config: &Config, model: &mut Model) {
    let routes: Vec<Route> = model
        .interface_ids()
        .filter_map(|id| {
            let interface = model.interface(id);
            let address = interface.address.filter(|_| !interface.shutdown)?;
            let written = config
                .interfaces
                .iter()
                .find(|written| written.hardware.node == interface.hardware)?;
            Some(Route {
                destination: address.subnet,
                prefix: address.prefix,
                interface: id,
                gateway: None,
                metric: 0,
                span: written.address.as_ref().map(|address| address.span),
            })
        })
        .collect();
    model.routes.extend(routes);
}

fn mtus(config: &Config, model: &Model, findings: &mut Findings) {
    for mtu in &config.mtus {
        if model.interface_named(&mtu.interface).is_none() {
            findings.unknown("E0203", "interface", &mtu.interface);
        }
    }
}

fn static_routes(config: &Config, model: &mut Model, findings: &mut Findings) {
    for written in &config.routes {
        let Some(id) = model.interface_named(&written.interface) else {
            findings.unknown("E0203", "interface", &written.interface);
            continue;
        };
        let (Subnet::V4(network, prefix), IpAddr::V4(gateway)) =
            (written.destination, written.gateway)
        else {
            findings.push(Diagnostic::warning(
                "W0205",
                written.span,
                "IPv6 routes are not used: only IPv4 is forwarded",
            ));
            continue;
        };
        let interface = model.interface(id);
        if let Some(address) = interface.address
            && !address.subnet.contains(gateway.to_bits())
        {
            findings.push(
                Diagnostic::warning(
                    "W0203",
                    written.span,
                    format!(
                        "gateway {gateway} is not in the subnet of {}",
                        interface.name
                    ),
                )
                .with_help("nobody there will answer ARP for it"),
            );
        }
        if !interface.shutdown {
            model.routes.push(Route {
                destination: AddressRange::block(network.to_bits(), prefix),
                prefix,
                interface: id,
                gateway: Some(gateway.to_bits()),
                metric: written.metric,
                span: Some(written.span),
            });
        }
    }
}

/// Longest prefix first; among equals the nearest, then the first entered (the sort is stable).
fn sort_routes(model: &mut Model) {
    model
        .routes
        .sort_by_key(|route| (std::cmp::Reverse(route.prefix), route.metric));
}
