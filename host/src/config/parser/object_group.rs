//! `object-group` in its kinds, with their sub-modes.

use super::object::description;
use super::primitive::{take_icmp, take_ports, take_protocol, take_service};
use super::{Handler, Mode, Parser, find_or_add};
use crate::config::ast::object::{
    Group, IcmpMember, NetworkMember, ProtocolMember, ServiceGroup, ServiceMember,
};
use crate::config::ast::primitive::Transport;
use crate::config::cursor::{
    Cursor, Failure, Keywords, Lookup, MAX_OBJECT_NAME, Taken, is_name, look_up, unexpected,
};
use crate::config::diagnostic::Diagnostic;
use crate::config::lexer::Line;
use crate::config::names::IcmpVersion;
use crate::config::source::{Name, Spanned};

/// Commands of `object-group network`.
pub const NETWORK_COMMANDS: Keywords<'static, Handler> = &[
    ("network-object", network_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group service`.
pub const SERVICE_COMMANDS: Keywords<'static, Handler> = &[
    ("port-object", port_member),
    ("service-object", service_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group protocol`.
pub const PROTOCOL_COMMANDS: Keywords<'static, Handler> = &[
    ("protocol-object", protocol_member),
    ("group-object", group_member),
    ("description", description),
];

/// Commands of `object-group icmp-type`.
pub const ICMP_COMMANDS: Keywords<'static, Handler> = &[
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
