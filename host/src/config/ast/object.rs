//! `object` and `object-group`.

use std::net::IpAddr;

use super::nat::ObjectNat;
use super::primitive::{IcmpKind, Ports, Protocol, Service, Subnet, Transport};
use super::{Name, Spanned};

/// `object network NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkObject {
    /// Name; its span is the first block that opened the object.
    pub name: Name,
    /// `host`, `subnet`, `range` or `fqdn`: the last one entered.
    pub definition: Option<Spanned<NetworkDefinition>>,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// The one `nat` rule: the last one entered.
    pub nat: Option<Spanned<ObjectNat>>,
}

/// What an `object network` stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetworkDefinition {
    /// `host ADDR`.
    Host(IpAddr),
    /// `subnet NET MASK` or `subnet V6/len`.
    Subnet(Subnet),
    /// `range FIRST LAST`, ordered, one family.
    Range(IpAddr, IpAddr),
    /// `fqdn [v4|v6] DOMAIN`.
    Fqdn {
        /// Only this family.
        family: Option<Family>,
        /// Domain name.
        domain: String,
    },
}

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// `object service NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceObject {
    /// Name.
    pub name: Name,
    /// `service ...`: the last one entered.
    pub definition: Option<Spanned<Service>>,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
}

/// An `object-group` of any kind; members in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<Member> {
    /// Name.
    pub name: Name,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// Members, each once.
    pub members: Vec<Spanned<Member>>,
}

/// `object-group network`.
pub type NetworkGroup = Group<NetworkMember>;
/// `object-group protocol`.
pub type ProtocolGroup = Group<ProtocolMember>;
/// `object-group icmp-type`.
pub type IcmpGroup = Group<IcmpMember>;

/// Member of an `object-group network`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetworkMember {
    /// `network-object host ADDR`.
    Host(IpAddr),
    /// `network-object NET MASK` or `V6/len`.
    Subnet(Subnet),
    /// `network-object object NAME`.
    Object(Name),
    /// `group-object NAME`.
    Group(Name),
}

/// Member of an `object-group protocol`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolMember {
    /// `protocol-object PROTO`.
    Protocol(Protocol),
    /// `group-object NAME`.
    Group(Name),
}

/// Member of an `object-group icmp-type`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IcmpMember {
    /// `icmp-object TYPE`.
    Type(IcmpKind),
    /// `group-object NAME`.
    Group(Name),
}

/// `object-group service NAME [tcp|udp|tcp-udp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceGroup {
    /// The protocol of a typed group, usable as a port condition; `None` for the untyped form, usable as a protocol.
    pub transport: Option<Transport>,
    /// Name, description and members.
    pub group: Group<ServiceMember>,
}

/// Member of an `object-group service`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServiceMember {
    /// `port-object ...` of the typed form.
    Ports(Ports),
    /// `service-object ...` of the untyped form.
    Service(Service),
    /// `service-object object NAME`.
    Object(Name),
    /// `group-object NAME`.
    Group(Name),
}
