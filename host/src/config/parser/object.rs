//! `object` and `object-group` with their sub-modes.

use std::net::IpAddr;

use super::primitive::{take_icmp, take_ports, take_protocol, take_service};
use super::{Handler, Mode, Parser, find_or_add};
use crate::config::ast::object::{
    Family, Group, IcmpMember, NetworkDefinition, NetworkMember, NetworkObject, ProtocolMember,
    ServiceGroup, ServiceMember, ServiceObject,
};
use crate::config::ast::primitive::Transport;
use crate::config::ast::{Lost, Overwritten};
use crate::config::cursor::{
    Cursor, Failure, Keywords, Lookup, MAX_OBJECT_NAME, Taken, is_name, look_up, refused,
    unexpected,
};
use crate::config::diagnostic::Diagnostic;
use crate::config::lexer::Line;
use crate::config::names::IcmpVersion;
use crate::config::source::{Name, Spanned};

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

/// Commands of `object-group network`.
pub const NETWORK_GROUP_COMMANDS: Keywords<'static, Handler> = &[
    ("network-object", network_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group service`.
pub const SERVICE_GROUP_COMMANDS: Keywords<'static, Handler> = &[
    ("port-object", port_member),
    ("service-object", service_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group protocol`.
pub const PROTOCOL_GROUP_COMMANDS: Keywords<'static, Handler> = &[
    ("protocol-object", protocol_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group icmp-type`.
pub const ICMP_GROUP_COMMANDS: Keywords<'static, Handler> = &[
    ("icmp-object", icmp_member),
    ("group-object", group_member),
    ("description", description),
];

/// Kinds of `object-group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// `network`.
    Network,
    /// `service` without a protocol.
    Service,
    /// `service` with a protocol.
    TypedService(Transport),
    /// `protocol`.
    Protocol,
    /// `icmp-type`.
    IcmpType,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupWord {
    Network,
    Service,
    Protocol,
    IcmpType,
    Outside,
}

const GROUP_WORDS: Keywords<'static, GroupWord> = &[
    ("network", GroupWord::Network),
    ("service", GroupWord::Service),
    ("protocol", GroupWord::Protocol),
    ("icmp-type", GroupWord::IcmpType),
    ("user", GroupWord::Outside),
    ("security", GroupWord::Outside),
];

/// Protocols of a typed service group.
const GROUP_TRANSPORTS: Keywords<'static, Transport> = &[
    ("tcp", Transport::Tcp),
    ("udp", Transport::Udp),
    ("tcp-udp", Transport::TcpUdp),
];

/// Name and kind if the line opens an `object-group`. An access list needs the kind of every group in the text: its
/// grammar does not tell a group of ports from a group of addresses.
pub fn opened_group<'a>(line: &Line<'a>) -> Option<(&'a str, GroupKind)> {
    let text = |index: usize| line.tokens.get(index).map(|token| token.text);
    let first = text(0)?;
    let is_group = first.len() > "object-".len()
        && !matches!(look_up(first, &[("object-group", ())]), Lookup::Unknown);
    let (Lookup::Exact(word) | Lookup::Prefix(word)) = look_up(text(1)?, GROUP_WORDS) else {
        return None;
    };
    let transport = text(3).and_then(|word| match look_up(word, GROUP_TRANSPORTS) {
        Lookup::Exact(transport) | Lookup::Prefix(transport) => Some(transport),
        _ => None,
    });
    // A line that will be refused opens nothing.
    let is_whole = match line.tokens.len() {
        3 => true,
        4 => word == GroupWord::Service && transport.is_some(),
        _ => false,
    };
    let kind = match word {
        GroupWord::Network => GroupKind::Network,
        GroupWord::Service => transport.map_or(GroupKind::Service, GroupKind::TypedService),
        GroupWord::Protocol => GroupKind::Protocol,
        GroupWord::IcmpType => GroupKind::IcmpType,
        GroupWord::Outside => return None,
    };
    let name = text(2).filter(|name| is_name(name, MAX_OBJECT_NAME))?;
    (is_group && is_whole).then_some((name, kind))
}

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

/// `object-group KIND NAME [tcp|udp|tcp-udp]`.
pub fn object_group(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let word = c.take_keyword("network, service, protocol or icmp-type", GROUP_WORDS)?;
    if word == GroupWord::Outside {
        return Err(Failure::Outside);
    }
    let name = c.take_object_name()?;
    let transport = match word {
        GroupWord::Service if !c.is_at_end() => {
            Some(c.take_keyword("tcp, udp or tcp-udp", GROUP_TRANSPORTS)?)
        }
        _ => None,
    };
    c.end()?;
    if c.is_negated {
        if !remove_group(p, word, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    check_kind(p, c, word, transport, &name)?;
    let new = |name| Group {
        name,
        description: None,
        members: Vec::new(),
    };
    let config = &mut p.config;
    Ok(match word {
        GroupWord::Network => Mode::NetworkGroup(find_or_add(
            &mut config.network_groups,
            &mut p.index.network_groups,
            name,
            new,
        )),
        GroupWord::Service => {
            let new = |name| ServiceGroup {
                transport,
                group: Group {
                    name,
                    description: None,
                    members: Vec::new(),
                },
            };
            let groups = &mut config.service_groups;
            Mode::ServiceGroup(find_or_add(groups, &mut p.index.service_groups, name, new))
        }
        GroupWord::Protocol => {
            let new = |name| Group {
                name,
                description: None,
                members: Vec::new(),
            };
            let groups = &mut config.protocol_groups;
            Mode::ProtocolGroup(find_or_add(groups, &mut p.index.protocol_groups, name, new))
        }
        _ => {
            let new = |name| Group {
                name,
                description: None,
                members: Vec::new(),
            };
            let groups = &mut config.icmp_groups;
            Mode::IcmpGroup(find_or_add(groups, &mut p.index.icmp_groups, name, new))
        }
    })
}

fn remove_group(p: &mut Parser, word: GroupWord, name: &Name) -> bool {
    let config = &mut p.config;
    match word {
        GroupWord::Network => super::remove_named(&mut config.network_groups, name),
        GroupWord::Service => super::remove_named(&mut config.service_groups, name),
        GroupWord::Protocol => super::remove_named(&mut config.protocol_groups, name),
        _ => super::remove_named(&mut config.icmp_groups, name),
    }
}

/// A name stands for one kind of group.
fn check_kind(
    p: &Parser,
    c: &Cursor,
    word: GroupWord,
    transport: Option<Transport>,
    name: &Name,
) -> Taken<()> {
    let kind = match word {
        GroupWord::Network => GroupKind::Network,
        GroupWord::Service => transport.map_or(GroupKind::Service, GroupKind::TypedService),
        GroupWord::Protocol => GroupKind::Protocol,
        _ => GroupKind::IcmpType,
    };
    let Some((first, place)) = p.group_kinds.get(name.as_str()) else {
        return Ok(());
    };
    if *first == kind {
        return Ok(());
    }
    let message = format!(
        "`{}` is already the name of an object-group of another kind",
        name.node
    );
    let diagnostic = Diagnostic::error("E0118", c.span(), message);
    Err(diagnostic.with_related(*place, "first opened here").into())
}

fn description(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
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

fn network_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let member = if c.eat_full("host") {
        NetworkMember::Host(c.take_address()?.node)
    } else if c.eat_full("object") {
        NetworkMember::Object(c.take_object_name()?)
    } else {
        NetworkMember::Subnet(c.take_subnet()?.node)
    };
    let Mode::NetworkGroup(index) = p.mode else {
        return Ok(p.mode);
    };
    add_member(p, c, member, |p| p.config.network_groups.get_mut(index))
}

fn protocol_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let member = ProtocolMember::Protocol(take_protocol(c)?);
    let Mode::ProtocolGroup(index) = p.mode else {
        return Ok(p.mode);
    };
    add_member(p, c, member, |p| p.config.protocol_groups.get_mut(index))
}

fn icmp_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let member = IcmpMember::Type(take_icmp(c, IcmpVersion::V4)?.node);
    let Mode::IcmpGroup(index) = p.mode else {
        return Ok(p.mode);
    };
    add_member(p, c, member, |p| p.config.icmp_groups.get_mut(index))
}

fn port_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let Mode::ServiceGroup(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(transport) = p.config.service_groups.get(index).and_then(|g| g.transport) else {
        let diagnostic = Diagnostic::error("E0128", c.span(), "this group has no protocol");
        let help = "use `service-object tcp destination eq …`, or open the group with `tcp`";
        return Err(diagnostic.with_help(help).into());
    };
    let member = ServiceMember::Ports(take_ports(c, transport)?.node);
    add_member(p, c, member, |p| {
        p.config.service_groups.get_mut(index).map(|g| &mut g.group)
    })
}

fn service_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let Mode::ServiceGroup(index) = p.mode else {
        return Ok(p.mode);
    };
    if p.config
        .service_groups
        .get(index)
        .is_some_and(|group| group.transport.is_some())
    {
        let diagnostic = Diagnostic::error("E0128", c.span(), "this group has a protocol");
        return Err(diagnostic.with_help("use `port-object eq …`").into());
    }
    let member = if c.eat_full("object") {
        ServiceMember::Object(c.take_object_name()?)
    } else {
        ServiceMember::Service(take_service(c, true)?)
    };
    add_member(p, c, member, |p| {
        p.config.service_groups.get_mut(index).map(|g| &mut g.group)
    })
}

fn group_member(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let token = c.peek();
    let name = c.take_object_name()?;
    let own = match p.mode {
        Mode::NetworkGroup(i) => p.config.network_groups.get(i).map(|g| &g.name),
        Mode::ServiceGroup(i) => p.config.service_groups.get(i).map(|g| &g.group.name),
        Mode::ProtocolGroup(i) => p.config.protocol_groups.get(i).map(|g| &g.name),
        Mode::IcmpGroup(i) => p.config.icmp_groups.get(i).map(|g| &g.name),
        _ => None,
    };
    if let (Some(token), Some(own)) = (token, own)
        && *own == name
    {
        return Err(unexpected(token, "a group other than the one it is in"));
    }
    match p.mode {
        Mode::NetworkGroup(i) => add_member(p, c, NetworkMember::Group(name), |p| {
            p.config.network_groups.get_mut(i)
        }),
        Mode::ServiceGroup(i) => add_member(p, c, ServiceMember::Group(name), |p| {
            p.config.service_groups.get_mut(i).map(|g| &mut g.group)
        }),
        Mode::ProtocolGroup(i) => add_member(p, c, ProtocolMember::Group(name), |p| {
            p.config.protocol_groups.get_mut(i)
        }),
        Mode::IcmpGroup(i) => add_member(p, c, IcmpMember::Group(name), |p| {
            p.config.icmp_groups.get_mut(i)
        }),
        _ => Ok(p.mode),
    }
}

/// Adds a member once, or removes it.
fn add_member<M: PartialEq>(
    p: &mut Parser,
    c: &mut Cursor,
    member: M,
    group: impl for<'p> FnOnce(&'p mut Parser) -> Option<&'p mut Group<M>>,
) -> Taken<Mode> {
    c.end()?;
    let member = Spanned::new(member, c.span());
    let Some(group) = group(p) else {
        return Ok(p.mode);
    };
    if c.is_negated {
        if !super::remove_equal(&mut group.members, &member) {
            p.nothing_to_remove(c);
        }
    } else if group.members.contains(&member) {
        p.warn("W0110", c.span(), "the group already has this member");
    } else {
        group.members.push(member);
    }
    Ok(p.mode)
}
