//! Interfaces, routes, same-security traffic.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::primitive::Subnet;
use super::{Flag, Name, Spanned};

/// An `interface` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Hardware name in full, with `.N` for a sub-interface: `GigabitEthernet0/0.100`.
    pub hardware: Name,
    /// `shutdown`.
    pub shutdown: Flag,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// `vlan N`.
    pub vlan: Option<Spanned<u16>>,
    /// `nameif NAME`.
    pub nameif: Option<Name>,
    /// `security-level N`; see [`Interface::security_level`] for the default.
    pub security: Option<Spanned<u8>>,
    /// `ip address`.
    pub address: Option<Spanned<InterfaceAddress>>,
    /// `ipv6 address`, in order.
    pub ipv6_addresses: Vec<Spanned<Ipv6Address>>,
    /// `management-only`.
    pub management_only: Flag,
}

impl Interface {
    /// An interface as it is before any command of its sub-mode.
    pub fn new(hardware: Name) -> Self {
        Self {
            hardware,
            shutdown: None,
            description: None,
            vlan: None,
            nameif: None,
            security: None,
            address: None,
            ipv6_addresses: Vec::new(),
            management_only: None,
        }
    }

    /// The level in force: as configured, else 100 for `inside` and 0 for every other name.
    pub fn security_level(&self) -> u8 {
        let by_name = if self
            .nameif
            .as_ref()
            .is_some_and(|name| name.node == "inside")
        {
            100
        } else {
            0
        };
        self.security.map_or(by_name, |level| level.node)
    }

    /// The hardware interface this one belongs to: the name up to the sub-interface number.
    pub fn parent_hardware(&self) -> &str {
        self.hardware
            .split_once('.')
            .map_or(self.hardware.as_str(), |(parent, _)| parent)
    }
}

/// `ip address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceAddress {
    /// `ip address A.B.C.D MASK [standby A.B.C.E]`.
    Static {
        /// Own address.
        address: Ipv4Addr,
        /// Length of the mask.
        prefix: u8,
        /// Address of the standby unit.
        standby: Option<Ipv4Addr>,
    },
    /// `ip address dhcp [setroute]`.
    Dhcp {
        /// Take the default route from the server.
        set_route: bool,
    },
}

/// `ipv6 address X:Y/len [standby Z]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Address {
    /// Own address.
    pub address: Ipv6Addr,
    /// Prefix length.
    pub prefix: u8,
    /// Address of the standby unit.
    pub standby: Option<Ipv6Addr>,
}

/// `mtu IF BYTES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtu {
    /// Interface by its `nameif`.
    pub interface: Name,
    /// Largest packet in bytes.
    pub bytes: u16,
}

/// `route IF NET MASK GATEWAY [METRIC]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Interface by its `nameif`.
    pub interface: Name,
    /// Destination.
    pub destination: Subnet,
    /// Next hop.
    pub gateway: std::net::IpAddr,
    /// Distance, 1 unless given.
    pub metric: u8,
}

/// `same-security-traffic permit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SameSecurity {
    /// Between interfaces of one level.
    pub inter_interface: Flag,
    /// In and out of one interface.
    pub intra_interface: Flag,
}
