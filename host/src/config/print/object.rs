//! `object` and `object-group` as text.

use std::fmt::{self, Display, Formatter};

use crate::config::ast::object::{
    Family, Group, IcmpMember, NetworkDefinition, NetworkMember, NetworkObject, ProtocolMember,
    ServiceGroup, ServiceMember, ServiceObject,
};
use crate::config::ast::primitive::Transport;
use crate::config::names::IcmpVersion;
use crate::config::source::Spanned;

impl Display for NetworkDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NetworkDefinition::Host(address) => write!(f, "host {address}"),
            NetworkDefinition::Subnet(subnet) => write!(f, "subnet {subnet}"),
            NetworkDefinition::Range(first, last) => write!(f, "range {first} {last}"),
            NetworkDefinition::Fqdn { family, domain } => match family {
                None => write!(f, "fqdn {domain}"),
                Some(Family::V4) => write!(f, "fqdn v4 {domain}"),
                Some(Family::V6) => write!(f, "fqdn v6 {domain}"),
            },
        }
    }
}

/// The definition block, without `nat`: the device prints that later, among the rules.
impl Display for NetworkObject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "object network {}", self.name)?;
        if let Some(definition) = &self.definition {
            writeln!(f, " {definition}")?;
        }
        write_description(f, &self.description)
    }
}

impl Display for ServiceObject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "object service {}", self.name)?;
        if let Some(definition) = &self.definition {
            writeln!(f, " service {definition}")?;
        }
        write_description(f, &self.description)
    }
}

fn write_description(f: &mut Formatter<'_>, text: &Option<Spanned<String>>) -> fmt::Result {
    text.as_ref()
        .map_or(Ok(()), |text| writeln!(f, " description {text}"))
}

impl<M> Group<M> {
    /// The block with its heading; `member` writes one line.
    fn write(
        &self,
        f: &mut Formatter<'_>,
        heading: impl Display,
        member: impl Fn(&mut Formatter<'_>, &M) -> fmt::Result,
    ) -> fmt::Result {
        writeln!(f, "object-group {heading}")?;
        write_description(f, &self.description)?;
        self.members.iter().try_for_each(|line| {
            f.write_str(" ")?;
            member(f, line)?;
            writeln!(f)
        })
    }
}

impl Display for Group<NetworkMember> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(
            f,
            format_args!("network {}", self.name),
            |f, member| match member {
                NetworkMember::Host(address) => write!(f, "network-object host {address}"),
                NetworkMember::Subnet(subnet) => write!(f, "network-object {subnet}"),
                NetworkMember::Object(name) => write!(f, "network-object object {name}"),
                NetworkMember::Group(name) => write!(f, "group-object {name}"),
            },
        )
    }
}

impl Display for Group<ProtocolMember> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(
            f,
            format_args!("protocol {}", self.name),
            |f, member| match member {
                ProtocolMember::Protocol(protocol) => write!(f, "protocol-object {protocol}"),
                ProtocolMember::Group(name) => write!(f, "group-object {name}"),
            },
        )
    }
}

impl Display for Group<IcmpMember> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(
            f,
            format_args!("icmp-type {}", self.name),
            |f, member| match member {
                IcmpMember::Type(kind) => {
                    write!(f, "icmp-object {}", kind.display(IcmpVersion::V4))
                }
                IcmpMember::Group(name) => write!(f, "group-object {name}"),
            },
        )
    }
}

impl Display for ServiceGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let transport = self
            .transport
            .map_or(String::new(), |transport| format!(" {transport}"));
        let heading = format!("service {}{transport}", self.group.name);
        self.group.write(f, heading, |f, member| match member {
            ServiceMember::Ports(ports) => {
                let transport = self.transport.unwrap_or(Transport::TcpUdp);
                write!(f, "port-object {}", ports.display(transport))
            }
            ServiceMember::Service(service) => write!(f, "service-object {service}"),
            ServiceMember::Object(name) => write!(f, "service-object object {name}"),
            ServiceMember::Group(name) => write!(f, "group-object {name}"),
        })
    }
}
