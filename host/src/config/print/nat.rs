//! `nat` and `xlate per-session` as text.

use std::fmt::{self, Display, Formatter};

use super::primitive::{Port, words};
use crate::config::ast::nat::{
    InterfaceAddressFamily, MappedAddress, NatInterface, NatOperand, ObjectNat, ObjectTranslation,
    PatPool, PortMapping, TwiceNat, TwiceSource, XlatePerSession,
};

impl Display for NatInterface {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NatInterface::Any => f.write_str("any"),
            NatInterface::Named(name) => name.fmt(f),
        }
    }
}

impl Display for InterfaceAddressFamily {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InterfaceAddressFamily::V4 => "interface",
            InterfaceAddressFamily::V6 => "interface ipv6",
        })
    }
}

impl Display for MappedAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            MappedAddress::Object(name) => name.fmt(f),
            MappedAddress::Address(address) => address.fmt(f),
            MappedAddress::Interface(family) => family.fmt(f),
        }
    }
}

impl Display for NatOperand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NatOperand::Any => f.write_str("any"),
            NatOperand::Interface(family) => family.fmt(f),
            NatOperand::Object(name) => name.fmt(f),
        }
    }
}

impl Display for PortMapping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let port = |port| Port(self.transport, port);
        write!(
            f,
            "service {} {} {}",
            self.transport,
            port(*self.real),
            port(*self.mapped)
        )
    }
}

impl Display for PatPool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "pat-pool {}", self.object)?;
        words(
            f,
            &[
                (self.extended, "extended"),
                (self.flat, "flat"),
                (self.include_reserve, "include-reserve"),
                (self.round_robin, "round-robin"),
                (self.block_allocation, "block-allocation"),
            ],
        )
    }
}

fn write_fallback(f: &mut Formatter<'_>, fallback: &Option<InterfaceAddressFamily>) -> fmt::Result {
    fallback.map_or(Ok(()), |family| write!(f, " {family}"))
}

/// The `nat` line of an object.
impl Display for ObjectNat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "nat ({},{})", self.real_interface, self.mapped_interface)?;
        match &self.translation {
            ObjectTranslation::Static {
                mapped,
                net_to_net,
                service,
                no_proxy_arp,
                route_lookup,
            } => {
                write!(f, " static {mapped}")?;
                words(f, &[(*net_to_net, "net-to-net"), (self.dns, "dns")])?;
                if let Some(service) = service {
                    write!(f, " {service}")?;
                }
                words(
                    f,
                    &[
                        (*no_proxy_arp, "no-proxy-arp"),
                        (*route_lookup, "route-lookup"),
                    ],
                )
            }
            ObjectTranslation::Dynamic { mapped, fallback } => {
                write!(f, " dynamic {mapped}")?;
                write_fallback(f, fallback)?;
                words(f, &[(self.dns, "dns")])
            }
            ObjectTranslation::PatPool { pool, fallback } => {
                write!(f, " dynamic {pool}")?;
                write_fallback(f, fallback)?;
                words(f, &[(self.dns, "dns")])
            }
        }
    }
}

impl TwiceNat {
    /// The whole line; the list that holds the rule knows whether it is of section 3.
    pub fn display(&self, after_auto: bool) -> impl Display {
        TwiceText(self, after_auto)
    }
}

struct TwiceText<'a>(&'a TwiceNat, bool);

impl Display for TwiceText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let TwiceText(nat, after_auto) = self;
        write!(f, "nat ({},{})", nat.real_interface, nat.mapped_interface)?;
        words(f, &[(*after_auto, "after-auto")])?;
        write!(f, " source {}", nat.source)?;
        if let Some(destination) = &nat.destination {
            write!(
                f,
                " destination static {} {}",
                destination.mapped, destination.real
            )?;
        }
        if let Some(pair) = &nat.service {
            write!(f, " service {} {}", pair.first, pair.second)?;
        }
        words(
            f,
            &[
                (nat.net_to_net, "net-to-net"),
                (nat.dns, "dns"),
                (nat.unidirectional, "unidirectional"),
                (nat.no_proxy_arp, "no-proxy-arp"),
                (nat.route_lookup, "route-lookup"),
                (nat.inactive, "inactive"),
            ],
        )?;
        nat.description
            .as_ref()
            .map_or(Ok(()), |text| write!(f, " description {text}"))
    }
}

impl Display for TwiceSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TwiceSource::Static { real, mapped } => write!(f, "static {real} {mapped}"),
            TwiceSource::Dynamic {
                real,
                mapped,
                fallback,
            } => {
                write!(f, "dynamic {real} {mapped}")?;
                write_fallback(f, fallback)
            }
            TwiceSource::PatPool {
                real,
                mapped,
                pool,
                fallback,
            } => {
                write!(f, "dynamic {real}")?;
                if let Some(mapped) = mapped {
                    write!(f, " {mapped}")?;
                }
                write!(f, " {pool}")?;
                write_fallback(f, fallback)
            }
        }
    }
}

impl Display for XlatePerSession {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "xlate per-session {} {} {}",
            self.action, self.transport, self.source
        )?;
        if let Some(ports) = self.source_port {
            write!(f, " {}", ports.display(self.transport))?;
        }
        write!(f, " {}", self.destination)?;
        if let Some(ports) = self.destination_port {
            write!(f, " {}", ports.display(self.transport))?;
        }
        Ok(())
    }
}
