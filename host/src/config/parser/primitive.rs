//! Addresses, ports, protocols and services.

use crate::config::ast::primitive::{
    Action, Endpoint, IcmpKind, Ports, Protocol, Service, Transport,
};
use crate::config::cursor::{Cursor, Failure, Taken, refused, unexpected};
use crate::config::names::{self, IcmpVersion};
use crate::config::source::{Span, Spanned};

/// `permit` or `deny`.
pub fn take_action(c: &mut Cursor) -> Taken<Action> {
    c.take_keyword(
        "permit or deny",
        &[("permit", Action::Permit), ("deny", Action::Deny)],
    )
}

#[derive(Clone, Copy)]
enum EndpointWord {
    Any,
    Any4,
    Any6,
    Host,
    Object,
    Group,
    Interface,
}

/// `any`, `host A`, `NET MASK`, `object O`, ….
pub fn take_endpoint(c: &mut Cursor) -> Taken<Spanned<Endpoint>> {
    let first = c.peek().ok_or(Failure::Incomplete("an address"))?.span;
    let word = c.take_optional(&[
        ("any", EndpointWord::Any),
        ("any4", EndpointWord::Any4),
        ("any6", EndpointWord::Any6),
        ("host", EndpointWord::Host),
        ("object", EndpointWord::Object),
        ("object-group", EndpointWord::Group),
        ("interface", EndpointWord::Interface),
    ])?;
    let (endpoint, last) = match word.map(|word| word.node) {
        Some(EndpointWord::Any) => (Endpoint::Any, first),
        Some(EndpointWord::Any4) => (Endpoint::Any4, first),
        Some(EndpointWord::Any6) => (Endpoint::Any6, first),
        Some(EndpointWord::Host) => take_spanned(c.take_address()?, Endpoint::Host),
        Some(EndpointWord::Object) => take_named(c.take_object_name()?, Endpoint::Object),
        Some(EndpointWord::Group) => take_named(c.take_object_name()?, Endpoint::Group),
        Some(EndpointWord::Interface) => take_named(c.take_interface_name()?, Endpoint::Interface),
        None => take_spanned(c.take_subnet()?, Endpoint::Subnet),
    };
    Ok(Spanned::new(endpoint, first.to(last)))
}

fn take_spanned<T>(value: Spanned<T>, make: impl FnOnce(T) -> Endpoint) -> (Endpoint, Span) {
    (make(value.node), value.span)
}

fn take_named(
    name: Spanned<String>,
    make: impl FnOnce(Spanned<String>) -> Endpoint,
) -> (Endpoint, Span) {
    let span = name.span;
    (make(name), span)
}

/// A port by number or by a name of the transport.
pub fn take_port(c: &mut Cursor, transport: Transport) -> Taken<Spanned<u16>> {
    let token = c.take("a port")?;
    let number = token.text.parse::<u16>().ok();
    match number.or_else(|| names::port_number(transport, token.text)) {
        Some(port) => Ok(Spanned::new(port, token.span)),
        None if token.text.bytes().all(|b| b.is_ascii_digit()) => Err(refused(
            "E0110",
            token.span,
            format!("port {} is above 65535", token.text),
        )),
        None => {
            let message = format!("`{}` is not a port of this protocol", token.text);
            Err(refused("E0110", token.span, message))
        }
    }
}

#[derive(Clone, Copy)]
enum Operator {
    Eq,
    Neq,
    Lt,
    Gt,
    Range,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("eq", Operator::Eq),
    ("neq", Operator::Neq),
    ("lt", Operator::Lt),
    ("gt", Operator::Gt),
    ("range", Operator::Range),
];

/// `eq P`, `range A B`, … if an operator is next.
pub fn take_optional_ports(c: &mut Cursor, transport: Transport) -> Taken<Option<Spanned<Ports>>> {
    let Some(operator) = c.take_optional(OPERATORS)? else {
        return Ok(None);
    };
    let first = take_port(c, transport)?;
    let (ports, last) = match operator.node {
        Operator::Eq => (Ports::Eq(*first), first.span),
        Operator::Neq => (Ports::Neq(*first), first.span),
        Operator::Lt => (Ports::Lt(*first), first.span),
        Operator::Gt => (Ports::Gt(*first), first.span),
        Operator::Range => {
            let second = take_port(c, transport)?;
            if *first > *second {
                let message = format!("range {} {} is reversed", *first, *second);
                return Err(refused("E0109", first.span.to(second.span), message));
            }
            (Ports::Range(*first, *second), second.span)
        }
    };
    Ok(Some(Spanned::new(ports, operator.span.to(last))))
}

/// `eq P`, `range A B`, ….
pub fn take_ports(c: &mut Cursor, transport: Transport) -> Taken<Spanned<Ports>> {
    match take_optional_ports(c, transport)? {
        Some(ports) => Ok(ports),
        None => Err(unexpected(
            c.take("eq, neq, lt, gt or range")?,
            "eq, neq, lt, gt or range",
        )),
    }
}

/// `ip`, a protocol name or a protocol number.
pub fn take_protocol(c: &mut Cursor) -> Taken<Protocol> {
    let token = c.take("a protocol")?;
    if token.text.eq_ignore_ascii_case("ip") {
        return Ok(Protocol::Ip);
    }
    let number = token
        .text
        .parse::<u8>()
        .ok()
        .or_else(|| names::protocol_number(token.text));
    number
        .map(Protocol::Number)
        .ok_or_else(|| unexpected(token, "a protocol"))
}

/// `TYPE [CODE]` if a type is next.
pub fn take_optional_icmp(
    c: &mut Cursor,
    version: IcmpVersion,
) -> Taken<Option<Spanned<IcmpKind>>> {
    let Some(token) = c.peek() else {
        return Ok(None);
    };
    let number = token.text.parse::<u8>().ok();
    let Some(kind) = number.or_else(|| names::icmp_number(version, token.text)) else {
        return Ok(None);
    };
    c.take("an ICMP type")?;
    let code = match c
        .peek()
        .filter(|next| next.text.bytes().all(|b| b.is_ascii_digit()))
    {
        Some(_) => Some(c.take_number("an ICMP code", 0, 255)?),
        None => None,
    };
    let span = code.map_or(token.span, |code| token.span.to(code.span));
    Ok(Some(Spanned::new(
        IcmpKind {
            kind,
            code: code.map(|code| code.node as u8),
        },
        span,
    )))
}

/// `TYPE [CODE]`.
pub fn take_icmp(c: &mut Cursor, version: IcmpVersion) -> Taken<Spanned<IcmpKind>> {
    match take_optional_icmp(c, version)? {
        Some(kind) => Ok(kind),
        None => Err(unexpected(c.take("an ICMP type")?, "an ICMP type")),
    }
}

/// `tcp`, `udp` and so on.
pub const TRANSPORTS: &[(&str, Transport)] = &[
    ("tcp", Transport::Tcp),
    ("udp", Transport::Udp),
    ("sctp", Transport::Sctp),
    ("tcp-udp", Transport::TcpUdp),
];

/// `{tcp|udp|sctp|tcp-udp} [source OP P] [destination OP P]`, `icmp …` or a protocol. Where `bare_is_destination`,
/// `tcp eq 80` means the destination.
pub fn take_service(c: &mut Cursor, bare_is_destination: bool) -> Taken<Service> {
    let token = c.peek().ok_or(Failure::Incomplete("a protocol"))?;
    if c.eat_full("icmp") {
        return Ok(Service::Icmp(
            take_optional_icmp(c, IcmpVersion::V4)?.map(|kind| kind.node),
        ));
    }
    if c.eat_full("icmp6") {
        return Ok(Service::Icmp6(
            take_optional_icmp(c, IcmpVersion::V6)?.map(|kind| kind.node),
        ));
    }
    let by_name = TRANSPORTS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(token.text));
    let Some((_, transport)) = by_name else {
        return Ok(plain_service(take_protocol(c)?));
    };
    c.take("a protocol")?;
    if bare_is_destination && let Some(ports) = take_optional_ports(c, *transport)? {
        let destination = Some(ports.node);
        return Ok(Service::Ports {
            transport: *transport,
            source: None,
            destination,
        });
    }
    let source = if c.eat("source") {
        Some(take_ports(c, *transport)?.node)
    } else {
        None
    };
    let destination = if c.eat("destination") {
        Some(take_ports(c, *transport)?.node)
    } else {
        None
    };
    Ok(Service::Ports {
        transport: *transport,
        source,
        destination,
    })
}

/// A protocol by number as the service that its name would make.
fn plain_service(protocol: Protocol) -> Service {
    let ports = |transport| Service::Ports {
        transport,
        source: None,
        destination: None,
    };
    match protocol {
        Protocol::TCP => ports(Transport::Tcp),
        Protocol::UDP => ports(Transport::Udp),
        Protocol::SCTP => ports(Transport::Sctp),
        Protocol::ICMP => Service::Icmp(None),
        Protocol::ICMP6 => Service::Icmp6(None),
        other => Service::Protocol(other),
    }
}
