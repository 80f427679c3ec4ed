//! `access-list` and `access-group`.

use super::object_group::GroupKind;
use super::primitive::{
    take_action, take_endpoint, take_optional_icmp, take_optional_ports, take_protocol,
};
use super::{Mode, Parser, find_or_add};
use crate::config::ast::access_list::{
    AccessGroup, AccessList, Binding, Direction, Entry, ExtendedEntry, IcmpSpec, Log, PortSpec,
    ProtocolSpec, StandardEntry,
};
use crate::config::ast::primitive::{Endpoint, Protocol, Transport};
use crate::config::cursor::{Cursor, Failure, Lookup, MAX_NAME, Taken, look_up, unexpected};
use crate::config::diagnostic::Diagnostic;
use crate::config::names::IcmpVersion;
use crate::config::source::{Name, Spanned};

#[derive(Clone, Copy)]
enum Kind {
    Remark,
    Standard,
    Extended,
    Permit,
    Deny,
    Outside,
}

/// `access-list NAME [line N] …`.
pub fn access_list(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let name = c.take_name("the name of the access list", MAX_NAME)?;
    let line = if c.eat_full("line") {
        Some(c.take_number("a line number", 1, u32::MAX)?)
    } else {
        None
    };
    let before = c.clone();
    let kind = c.take_keyword(
        "extended, standard, remark, permit or deny",
        &[
            ("remark", Kind::Remark),
            ("standard", Kind::Standard),
            ("extended", Kind::Extended),
            ("permit", Kind::Permit),
            ("deny", Kind::Deny),
            ("ethertype", Kind::Outside),
            ("webtype", Kind::Outside),
        ],
    )?;
    let entry = match kind {
        Kind::Remark => Entry::Remark(c.take_text("the text of the remark")?.node),
        Kind::Standard => Entry::Standard(take_standard(c)?),
        Kind::Extended => Entry::Extended(take_extended(p, c)?),
        Kind::Permit | Kind::Deny => {
            *c = before;
            Entry::Extended(take_extended(p, c)?)
        }
        Kind::Outside => return Err(Failure::Outside),
    };
    c.end()?;
    let entry = Spanned::new(entry, c.span());
    if c.is_negated {
        remove(p, c, &name, &entry);
    } else {
        insert(p, name, line, entry)?;
    }
    Ok(Mode::Global)
}

fn remove(p: &mut Parser, c: &Cursor, name: &Name, entry: &Spanned<Entry>) {
    let lists = &mut p.config.access_lists;
    let found = lists.iter().position(|list| list.name == *name);
    let is_removed =
        found.is_some_and(|index| super::remove_equal(&mut lists[index].entries, entry));
    if !is_removed {
        p.nothing_to_remove(c);
    } else if let Some(index) = found.filter(|index| lists[*index].entries.is_empty()) {
        lists.remove(index);
    }
}

fn insert(
    p: &mut Parser,
    name: Name,
    line: Option<Spanned<u32>>,
    entry: Spanned<Entry>,
) -> Taken<()> {
    let index = p.index.access_lists.get(&name.node).copied();
    let known = index.and_then(|index| p.config.access_lists.get(index));
    let is_standard = matches!(entry.node, Entry::Standard(_));
    let is_remark = matches!(entry.node, Entry::Remark(_));
    let other = known
        .filter(|list| list.name == name && !is_remark)
        .and_then(|list| {
            // Only the last rule needs a look: all before it are of its kind.
            let rule = list
                .entries
                .iter()
                .rev()
                .find(|e| !matches!(e.node, Entry::Remark(_)))?;
            (matches!(rule.node, Entry::Standard(_)) != is_standard).then_some(rule.span)
        });
    if let Some(other) = other {
        let message = format!("`{}` would mix standard and extended entries", name.node);
        let diagnostic = Diagnostic::error("E0114", entry.span, message);
        return Err(diagnostic
            .with_related(other, "an entry of the other kind")
            .into());
    }
    if let Some(line) = line {
        let key = (name.node.clone(), line.node);
        if let Some(earlier) = p.access_list_lines.insert(key, entry.span) {
            let message = format!("line {} of `{}` is given twice", line.node, name.node);
            let help = "the later entry is put before the earlier one";
            let diagnostic = Diagnostic::warning("W0106", line.span, message);
            p.diagnostics.push(
                diagnostic
                    .with_help(help)
                    .with_related(earlier, "the earlier one"),
            );
        }
    }
    let new = |name| AccessList {
        name,
        entries: Vec::new(),
    };
    let index = find_or_add(
        &mut p.config.access_lists,
        &mut p.index.access_lists,
        name,
        new,
    );
    let entries = &mut p.config.access_lists[index].entries;
    let at = line.map_or(entries.len(), |line| {
        (line.node as usize - 1).min(entries.len())
    });
    entries.insert(at, entry);
    Ok(())
}

fn take_standard(c: &mut Cursor) -> Taken<StandardEntry> {
    let action = take_action(c)?;
    let token = c.peek();
    let address = take_endpoint(c)?;
    match (&address.node, token) {
        (Endpoint::Any | Endpoint::Any4 | Endpoint::Host(_) | Endpoint::Subnet(_), _) => {}
        (_, Some(token)) => return Err(unexpected(token, "any4, host or a network")),
        (_, None) => {}
    }
    // `any` is the older spelling of `any4` in standard lists.
    let address = if address.node == Endpoint::Any {
        Endpoint::Any4
    } else {
        address.node
    };
    Ok(StandardEntry { action, address })
}

fn take_extended(p: &Parser, c: &mut Cursor) -> Taken<ExtendedEntry> {
    let action = take_action(c)?;
    let protocol = take_protocol_spec(c)?;
    let transport = transport_of(p, &protocol);
    let source = take_endpoint(c)?;
    let source_port = take_port_spec(p, c, transport, Side::Source)?;
    let destination = take_endpoint(c)?;
    let destination_port = take_port_spec(p, c, transport, Side::Destination)?;
    let icmp = match protocol {
        ProtocolSpec::Protocol(Protocol::ICMP) => take_icmp_spec(c, IcmpVersion::V4)?,
        ProtocolSpec::Protocol(Protocol::ICMP6) => take_icmp_spec(c, IcmpVersion::V6)?,
        _ => None,
    };
    let mut entry = ExtendedEntry {
        action,
        protocol,
        source,
        source_port,
        destination,
        destination_port,
        icmp,
        log: None,
        time_range: None,
        inactive: false,
    };
    take_entry_options(c, &mut entry)?;
    Ok(entry)
}

fn take_protocol_spec(c: &mut Cursor) -> Taken<ProtocolSpec> {
    if c.eat_full("object") {
        return Ok(ProtocolSpec::Object(c.take_object_name()?));
    }
    if c.eat_full("object-group") {
        return Ok(ProtocolSpec::Group(c.take_object_name()?));
    }
    Ok(ProtocolSpec::Protocol(take_protocol(c)?))
}

/// Whose port names apply; `None` when the protocol has no ports in the line itself.
fn transport_of(p: &Parser, protocol: &ProtocolSpec) -> Option<Transport> {
    match protocol {
        ProtocolSpec::Protocol(protocol) => protocol.transport(),
        // A group of protocols, or one defined nowhere: the rest of the line tells.
        ProtocolSpec::Group(name)
            if matches!(p.group_kind(name), Some(GroupKind::Protocol) | None) =>
        {
            Some(Transport::TcpUdp)
        }
        _ => None,
    }
}

/// Which side of an entry a port stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// Whether `object-group NAME` is next and names ports. A group that is defined nowhere names ports where an address
/// cannot stand: behind the destination, or behind the source when an address follows it.
fn is_port_group(p: &Parser, c: &Cursor, side: Side) -> bool {
    let mut ahead = c.clone();
    if !ahead.eat_full("object-group") {
        return false;
    }
    let Some(name) = ahead.peek() else {
        return false;
    };
    match p.group_kind(name.text) {
        Some(kind) => matches!(kind, GroupKind::TypedService(_)),
        None if side == Side::Destination => true,
        None => {
            let is_address =
                ahead.take_object_name().is_ok() && take_endpoint(&mut ahead.clone()).is_ok();
            let is_group = ahead.eat_full("object-group");
            let kind = ahead.peek().and_then(|group| p.group_kind(group.text));
            is_address && (!is_group || kind == Some(GroupKind::Network))
        }
    }
}

fn take_port_spec(
    p: &Parser,
    c: &mut Cursor,
    transport: Option<Transport>,
    side: Side,
) -> Taken<Option<Spanned<PortSpec>>> {
    let Some(transport) = transport else {
        return Ok(None);
    };
    if is_port_group(p, c, side) {
        c.take("a group")?;
        let name = c.take_object_name()?;
        let span = name.span;
        return Ok(Some(Spanned::new(PortSpec::Group(name), span)));
    }
    let ports = take_optional_ports(c, transport)?;
    Ok(ports.map(|ports| Spanned::new(PortSpec::Ports(ports.node), ports.span)))
}

fn take_icmp_spec(c: &mut Cursor, version: IcmpVersion) -> Taken<Option<Spanned<IcmpSpec>>> {
    if c.eat_full("object-group") {
        let name = c.take_object_name()?;
        let span = name.span;
        return Ok(Some(Spanned::new(IcmpSpec::Group(name), span)));
    }
    let kind = take_optional_icmp(c, version)?;
    Ok(kind.map(|kind| Spanned::new(IcmpSpec::Kind(kind.node), kind.span)))
}

fn take_entry_options(c: &mut Cursor, entry: &mut ExtendedEntry) -> Taken<()> {
    #[derive(Clone, Copy)]
    enum Word {
        Log,
        TimeRange,
        Inactive,
    }
    let words = &[
        ("log", Word::Log),
        ("time-range", Word::TimeRange),
        ("inactive", Word::Inactive),
    ];
    while let Some(word) = c.take_optional(words)? {
        match word.node {
            Word::Log => entry.log = Some(take_log(c)?),
            Word::TimeRange => entry.time_range = Some(c.take_name("a time-range", MAX_NAME)?),
            Word::Inactive => entry.inactive = true,
        }
    }
    Ok(())
}

/// Names of log levels, most severe first.
pub const LOG_LEVELS: [(&str, u8); 8] = [
    ("emergencies", 0),
    ("alerts", 1),
    ("critical", 2),
    ("errors", 3),
    ("warnings", 4),
    ("notifications", 5),
    ("informational", 6),
    ("debugging", 7),
];

fn take_log(c: &mut Cursor) -> Taken<Log> {
    if c.eat_full("default") {
        return Ok(Log::Default);
    }
    if c.eat_full("disable") {
        return Ok(Log::Disable);
    }
    // A level may be shortened, but `in` of `inactive` and `interval` must not be read as one.
    let by_name = |text: &str| match look_up(text, &LOG_LEVELS) {
        Lookup::Exact(level) => Some(level),
        Lookup::Prefix(level) if text.len() >= 3 => Some(level),
        _ => None,
    };
    let by_number = |text: &str| text.parse::<u8>().ok().filter(|level| *level < 8);
    let level = c
        .peek()
        .and_then(|token| by_number(token.text).or_else(|| by_name(token.text)));
    if level.is_some() {
        c.take("a level")?;
    }
    let interval_s = if c.peek().is_some_and(|t| t.text.len() >= 3) && c.eat("interval") {
        c.take_number("an interval in seconds", 1, 600)?.node
    } else {
        300
    };
    Ok(Log::Messages {
        level: level.unwrap_or(6),
        interval_s,
    })
}

/// `access-group NAME {in|out} interface IF …` or `access-group NAME global`.
pub fn access_group(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let access_list = c.take_name("the name of an access list", MAX_NAME)?;
    let direction = c.take_keyword(
        "in, out or global",
        &[
            ("in", Some(Direction::In)),
            ("out", Some(Direction::Out)),
            ("global", None),
        ],
    )?;
    let binding = match direction {
        None => Binding::Global,
        Some(direction) => {
            c.expect("interface")?;
            let interface = c.take_interface_name()?;
            let mut options = (false, false);
            while let Some(option) =
                c.take_optional(&[("per-user-override", true), ("control-plane", false)])?
            {
                if option.node {
                    options.0 = true;
                } else {
                    options.1 = true;
                }
            }
            let (per_user_override, control_plane) = options;
            Binding::Interface {
                direction,
                interface,
                per_user_override,
                control_plane,
            }
        }
    };
    c.end()?;
    let group = Spanned::new(
        AccessGroup {
            access_list,
            binding,
        },
        c.span(),
    );
    if !c.is_negated {
        // One list per place: a later one takes over.
        let groups = &mut p.config.access_groups;
        let same = groups
            .iter()
            .position(|known| is_same_place(&known.binding, &group.binding));
        if let Some(old) = same
            .map(|index| groups.remove(index))
            .filter(|old| *old != group)
        {
            let diagnostic = Diagnostic::warning(
                "W0109",
                c.span(),
                format!(
                    "replaces access list `{}` bound here before",
                    old.access_list
                ),
            );
            p.diagnostics
                .push(diagnostic.with_related(old.span, "bound here before"));
        }
    }
    p.add_or_remove(c, group, |config| &mut config.access_groups);
    Ok(Mode::Global)
}

fn is_same_place(one: &Binding, other: &Binding) -> bool {
    match (one, other) {
        (Binding::Global, Binding::Global) => true,
        (
            Binding::Interface {
                direction: d1,
                interface: i1,
                control_plane: c1,
                ..
            },
            Binding::Interface {
                direction: d2,
                interface: i2,
                control_plane: c2,
                ..
            },
        ) => d1 == d2 && i1 == i2 && c1 == c2,
        _ => false,
    }
}
