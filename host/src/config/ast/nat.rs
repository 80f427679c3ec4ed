//! Object NAT, twice NAT, `xlate per-session`.

use std::net::IpAddr;

use super::primitive::{Action, Endpoint, Ports, Transport};
use super::{Name, Spanned};

/// One side of `(REAL_IF,MAPPED_IF)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NatInterface {
    /// `any`, and what a rule without the pair means.
    Any,
    /// An interface by its `nameif`.
    Named(Name),
}

/// The `nat` line of an `object network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNat {
    /// Interface of the real address.
    pub real_interface: NatInterface,
    /// Interface of the mapped address.
    pub mapped_interface: NatInterface,
    /// How.
    pub translation: ObjectTranslation,
    /// `dns`.
    pub dns: bool,
}

/// How object NAT translates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectTranslation {
    /// `static`.
    Static {
        /// Mapped address.
        mapped: MappedAddress,
        /// `net-to-net`.
        net_to_net: bool,
        /// `service PROTO REAL_PORT MAPPED_PORT`.
        service: Option<PortMapping>,
        /// `no-proxy-arp`.
        no_proxy_arp: bool,
        /// `route-lookup`.
        route_lookup: bool,
    },
    /// `dynamic MAPPED`.
    Dynamic {
        /// Mapped address: one address means PAT, several mean one-to-one.
        mapped: MappedAddress,
        /// `interface [ipv6]` after it: PAT to the interface when all are taken.
        fallback: Option<InterfaceAddressFamily>,
    },
    /// `dynamic pat-pool POOL`.
    PatPool {
        /// The pool.
        pool: PatPool,
        /// `interface [ipv6]` after it.
        fallback: Option<InterfaceAddressFamily>,
    },
}

/// Mapped side of an object NAT rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappedAddress {
    /// An `object network` or group.
    Object(Name),
    /// An address in the line.
    Address(Spanned<IpAddr>),
    /// The address of the mapped interface.
    Interface(InterfaceAddressFamily),
}

/// Which address `interface` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterfaceAddressFamily {
    /// `interface`.
    V4,
    /// `interface ipv6`.
    V6,
}

/// `service {tcp|udp|sctp} REAL_PORT MAPPED_PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// Protocol; never `tcp-udp`.
    pub transport: Transport,
    /// Port of the real host.
    pub real: Spanned<u16>,
    /// Port the other side sees.
    pub mapped: Spanned<u16>,
}

/// `pat-pool POOL [options]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatPool {
    /// An `object network` or group.
    pub object: Name,
    /// `extended`: ports are unique per destination.
    pub extended: bool,
    /// `flat`: all ports above 1023 are one class.
    pub flat: bool,
    /// `include-reserve`: with `flat`, ports from 1.
    pub include_reserve: bool,
    /// `round-robin`: take addresses in turn.
    pub round_robin: bool,
    /// `block-allocation`: ports by blocks per host.
    pub block_allocation: bool,
}

/// A twice NAT rule. Whether it is in section 1 or 3 is told by the list that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwiceNat {
    /// Interface of the real source.
    pub real_interface: NatInterface,
    /// Interface of the mapped source.
    pub mapped_interface: NatInterface,
    /// `source ...`.
    pub source: TwiceSource,
    /// `destination static MAPPED REAL`.
    pub destination: Option<TwiceDestination>,
    /// `service FIRST SECOND`.
    pub service: Option<ServicePair>,
    /// `net-to-net`.
    pub net_to_net: bool,
    /// `dns`.
    pub dns: bool,
    /// `unidirectional`.
    pub unidirectional: bool,
    /// `no-proxy-arp`.
    pub no_proxy_arp: bool,
    /// `route-lookup`.
    pub route_lookup: bool,
    /// `inactive`.
    pub inactive: bool,
    /// `description TEXT`.
    pub description: Option<String>,
}

/// `source {static|dynamic} ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwiceSource {
    /// `static REAL MAPPED`.
    Static {
        /// Real source.
        real: NatOperand,
        /// Mapped source.
        mapped: NatOperand,
    },
    /// `dynamic REAL MAPPED [interface]`.
    Dynamic {
        /// Real source.
        real: NatOperand,
        /// Mapped source.
        mapped: NatOperand,
        /// `interface [ipv6]` after it.
        fallback: Option<InterfaceAddressFamily>,
    },
    /// `dynamic REAL [MAPPED] pat-pool POOL ...`.
    PatPool {
        /// Real source.
        real: NatOperand,
        /// Addresses used one-to-one before the pool.
        mapped: Option<NatOperand>,
        /// The pool.
        pool: PatPool,
        /// `interface [ipv6]` after it.
        fallback: Option<InterfaceAddressFamily>,
    },
}

/// One argument of twice NAT: an object or group, never an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NatOperand {
    /// `any`.
    Any,
    /// `interface [ipv6]`; mapped sides only.
    Interface(InterfaceAddressFamily),
    /// An `object network` or `object-group network`.
    Object(Name),
}

/// `destination static MAPPED REAL`: mapped comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwiceDestination {
    /// What the source addresses.
    pub mapped: NatOperand,
    /// Where it goes.
    pub real: NatOperand,
}

/// `service FIRST SECOND`: real then mapped for source ports, mapped then real for destination ports. The direction
/// inside the objects decides which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePair {
    /// First `object service`.
    pub first: Name,
    /// Second `object service`.
    pub second: Name,
}

/// `xlate per-session {permit|deny} {tcp|udp} SRC [op P] DST [op P]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XlatePerSession {
    /// `permit`: the translation ends with its connection.
    pub action: Action,
    /// `tcp` or `udp`.
    pub transport: Transport,
    /// Source.
    pub source: Endpoint,
    /// Source port.
    pub source_port: Option<Ports>,
    /// Destination.
    pub destination: Endpoint,
    /// Destination port.
    pub destination_port: Option<Ports>,
}
