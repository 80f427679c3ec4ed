//! Interfaces and routes as text.

use std::fmt::{self, Display, Formatter};

use super::primitive::words;
use crate::config::ast::interface::{Interface, InterfaceAddress, Ipv6Address, Mtu, Route};
use crate::config::ast::primitive::netmask;

/// The block; a security level that was not entered is not printed, so that reading it back gives the same tree.
impl Display for Interface {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "interface {}", self.hardware)?;
        if let Some(text) = &self.description {
            writeln!(f, " description {text}")?;
        }
        if self.shutdown.is_some() {
            writeln!(f, " shutdown")?;
        }
        if let Some(vlan) = &self.vlan {
            writeln!(f, " vlan {vlan}")?;
        }
        if self.management_only.is_some() {
            writeln!(f, " management-only")?;
        }
        if let Some(name) = &self.nameif {
            writeln!(f, " nameif {name}")?;
        }
        if let Some(level) = &self.security {
            writeln!(f, " security-level {level}")?;
        }
        if let Some(address) = &self.address {
            writeln!(f, " ip address {address}")?;
        }
        self.ipv6_addresses
            .iter()
            .try_for_each(|address| writeln!(f, " ipv6 address {address}"))
    }
}

impl Display for InterfaceAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            InterfaceAddress::Static {
                address,
                prefix,
                standby,
            } => {
                write!(f, "{address} {}", netmask(*prefix))?;
                standby.map_or(Ok(()), |standby| write!(f, " standby {standby}"))
            }
            InterfaceAddress::Dhcp { set_route } => {
                f.write_str("dhcp")?;
                words(f, &[(*set_route, "setroute")])
            }
        }
    }
}

impl Display for Ipv6Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)?;
        self.standby
            .map_or(Ok(()), |standby| write!(f, " standby {standby}"))
    }
}

impl Display for Mtu {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "mtu {} {}", self.interface, self.bytes)
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Route {
            interface,
            destination,
            gateway,
            metric,
        } = self;
        write!(f, "route {interface} {destination} {gateway} {metric}")
    }
}
