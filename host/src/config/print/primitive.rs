//! Addresses, ports, protocols and services as words.

use std::fmt::{self, Display, Formatter};

use crate::config::ast::primitive::{
    Action, Endpoint, IcmpKind, Ports, Protocol, Service, Subnet, Transport, netmask,
};
use crate::config::names::{self, IcmpVersion};

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Permit => "permit",
            Action::Deny => "deny",
        })
    }
}

impl Display for Subnet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Subnet::V4(network, length) => write!(f, "{network} {}", netmask(*length)),
            Subnet::V6(network, length) => write!(f, "{network}/{length}"),
        }
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Any => f.write_str("any"),
            Endpoint::Any4 => f.write_str("any4"),
            Endpoint::Any6 => f.write_str("any6"),
            Endpoint::Host(address) => write!(f, "host {address}"),
            Endpoint::Subnet(subnet) => subnet.fmt(f),
            Endpoint::Object(name) => write!(f, "object {name}"),
            Endpoint::Group(name) => write!(f, "object-group {name}"),
            Endpoint::Interface(name) => write!(f, "interface {name}"),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Ip => f.write_str("ip"),
            Protocol::Number(number) => match names::protocol_name(*number) {
                Some(name) => f.write_str(name),
                None => number.fmt(f),
            },
        }
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
            Transport::TcpUdp => "tcp-udp",
        })
    }
}

/// A port by its name where the transport has one for it.
pub struct Port(pub Transport, pub u16);

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match names::port_name(self.0, self.1) {
            Some(name) => f.write_str(name),
            None => self.1.fmt(f),
        }
    }
}

impl Ports {
    /// The condition in words, with the port names of a transport.
    pub fn display(self, transport: Transport) -> impl Display {
        PortsText(transport, self)
    }
}

struct PortsText(Transport, Ports);

impl Display for PortsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let port = |port| Port(self.0, port);
        match self.1 {
            Ports::Eq(p) => write!(f, "eq {}", port(p)),
            Ports::Neq(p) => write!(f, "neq {}", port(p)),
            Ports::Lt(p) => write!(f, "lt {}", port(p)),
            Ports::Gt(p) => write!(f, "gt {}", port(p)),
            Ports::Range(low, high) => write!(f, "range {} {}", port(low), port(high)),
        }
    }
}

impl IcmpKind {
    /// Type and code in words, with the names of a version.
    pub fn display(self, version: IcmpVersion) -> impl Display {
        IcmpText(version, self)
    }
}

struct IcmpText(IcmpVersion, IcmpKind);

impl Display for IcmpText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let IcmpText(version, IcmpKind { kind, code }) = self;
        match names::icmp_name(*version, *kind) {
            Some(name) => f.write_str(name)?,
            None => kind.fmt(f)?,
        }
        code.map_or(Ok(()), |code| write!(f, " {code}"))
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Service::Protocol(protocol) => protocol.fmt(f),
            Service::Ports {
                transport,
                source,
                destination,
            } => {
                transport.fmt(f)?;
                if let Some(ports) = source {
                    write!(f, " source {}", ports.display(*transport))?;
                }
                if let Some(ports) = destination {
                    write!(f, " destination {}", ports.display(*transport))?;
                }
                Ok(())
            }
            Service::Icmp(kind) => icmp_service(f, "icmp", IcmpVersion::V4, *kind),
            Service::Icmp6(kind) => icmp_service(f, "icmp6", IcmpVersion::V6, *kind),
        }
    }
}

fn icmp_service(
    f: &mut Formatter<'_>,
    word: &str,
    version: IcmpVersion,
    kind: Option<IcmpKind>,
) -> fmt::Result {
    f.write_str(word)?;
    kind.map_or(Ok(()), |kind| write!(f, " {}", kind.display(version)))
}

/// A list of words that are present, with one blank between.
pub fn words(f: &mut Formatter<'_>, flags: &[(bool, &str)]) -> fmt::Result {
    flags
        .iter()
        .filter(|(is_set, _)| *is_set)
        .try_for_each(|(_, word)| write!(f, " {word}"))
}

/// `H:MM:SS`.
pub struct Duration(pub u32);

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        write!(
            f,
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}
