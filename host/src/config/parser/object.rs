//! `object network` and `object service` with their sub-modes.

use std::net::IpAddr;

use super::primitive::take_service;
use super::{Handler, Mode, Parser, find_or_add};
use crate::config::ast::object::{Family, NetworkDefinition, NetworkObject, ServiceObject};
use crate::config::ast::{Lost, Overwritten};
use crate::config::cursor::{Cursor, Keywords, Taken, refused};
use crate::config::source::Spanned;

/// Commands of `object network`.
pub const NETWORK_COMMANDS: Keywords<'static, Handler> = &[
    ("host", host),
    ("subnet", subnet),
    ("range", range),
    ("fqdn", fqdn),
    ("description", description),
    ("nat", super::nat::object_nat),
];

/// Commands of `object service`.
pub const SERVICE_COMMANDS: Keywords<'static, Handler> =
    &[("service", service), ("description", description)];

/// `object {network|service} NAME`.
pub fn object(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let is_network = c.take_keyword(
        "network or service",
        &[("network", true), ("service", false)],
    )?;
    let name = c.take_object_name()?;
    c.end()?;
    if c.is_negated {
        let is_removed = if is_network {
            super::remove_named(&mut p.config.network_objects, &name)
        } else {
            super::remove_named(&mut p.config.service_objects, &name)
        };
        if !is_removed {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    Ok(if is_network {
        let new = |name| NetworkObject {
            name,
            definition: None,
            description: None,
            nat: None,
        };
        let index = find_or_add(
            &mut p.config.network_objects,
            &mut p.index.network_objects,
            name,
            new,
        );
        Mode::NetworkObject(index)
    } else {
        let new = |name| ServiceObject {
            name,
            definition: None,
            description: None,
        };
        let index = find_or_add(
            &mut p.config.service_objects,
            &mut p.index.service_objects,
            name,
            new,
        );
        Mode::ServiceObject(index)
    })
}

/// `description TEXT` of an object or of a group.
pub fn description(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let text = c.take_unless_negated(|c| c.take_text("a description"))?;
    let config = &mut p.config;
    let place = match p.mode {
        Mode::NetworkObject(i) => config
            .network_objects
            .get_mut(i)
            .map(|o| &mut o.description),
        Mode::ServiceObject(i) => config
            .service_objects
            .get_mut(i)
            .map(|o| &mut o.description),
        Mode::NetworkGroup(i) => config.network_groups.get_mut(i).map(|g| &mut g.description),
        Mode::ServiceGroup(i) => config
            .service_groups
            .get_mut(i)
            .map(|g| &mut g.group.description),
        Mode::ProtocolGroup(i) => config
            .protocol_groups
            .get_mut(i)
            .map(|g| &mut g.description),
        Mode::IcmpGroup(i) => config.icmp_groups.get_mut(i).map(|g| &mut g.description),
        _ => None,
    };
    if let Some(place) = place {
        *place = text;
    }
    Ok(p.mode)
}

fn host(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let address = c.take_address()?;
    define(p, c, NetworkDefinition::Host(*address))
}

fn subnet(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let subnet = c.take_subnet()?;
    define(p, c, NetworkDefinition::Subnet(*subnet))
}

fn range(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let first = c.take_address()?;
    let last = c.take_address()?;
    let span = first.span.to(last.span);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(refused(
            "E0127",
            span,
            "the ends of the range are of different families",
        ));
    }
    if first.node > last.node {
        return Err(refused(
            "E0109",
            span,
            format!("range {} {} is reversed", *first, *last),
        ));
    }
    define(p, c, NetworkDefinition::Range(first.node as IpAddr, *last))
}

fn fqdn(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let family = match c.peek().map(|token| token.text) {
        Some("v4") => Some(Family::V4),
        Some("v6") => Some(Family::V6),
        _ => None,
    };
    if family.is_some() {
        c.take("a domain name")?;
    }
    let domain = c.take_name("a domain name", 254)?;
    define(
        p,
        c,
        NetworkDefinition::Fqdn {
            family,
            domain: domain.node,
        },
    )
}

/// Sets or removes the definition of the current `object network`.
fn define(p: &mut Parser, c: &mut Cursor, definition: NetworkDefinition) -> Taken<Mode> {
    c.end()?;
    let Mode::NetworkObject(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(object) = p.config.network_objects.get_mut(index) else {
        return Ok(p.mode);
    };
    if c.is_negated {
        if object
            .definition
            .as_ref()
            .is_some_and(|known| known.node == definition)
        {
            object.definition = None;
        } else {
            p.nothing_to_remove(c);
        }
        return Ok(p.mode);
    }
    let lost = object
        .definition
        .replace(Spanned::new(definition, c.span()));
    if let Some(lost) = lost.filter(|lost| Some(lost) != object.definition.as_ref()) {
        let object = Spanned::new(object.name.node.clone(), p.block);
        p.overwritten.push(Overwritten {
            object,
            lost: Lost::Definition(lost),
            by: c.span(),
        });
    }
    Ok(p.mode)
}

fn service(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let definition = take_service(c, false)?;
    c.end()?;
    let Mode::ServiceObject(index) = p.mode else {
        return Ok(p.mode);
    };
    if let Some(object) = p.config.service_objects.get_mut(index) {
        object.definition = (!c.is_negated).then(|| Spanned::new(definition, c.span()));
    }
    Ok(p.mode)
}
