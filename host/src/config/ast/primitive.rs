//! Addresses, ports, protocols and services: the words all topics share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// `permit` or `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let pass.
    Permit,
    /// Refuse.
    Deny,
}

/// An aligned block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subnet {
    /// Network address and prefix length from the mask.
    V4(Ipv4Addr, u8),
    /// Network address and prefix length.
    V6(Ipv6Addr, u8),
}

impl Subnet {
    /// The IPv4 block as network address and mask; `None` for IPv6.
    pub fn v4_mask(self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        match self {
            Subnet::V4(network, length) => Some((network, netmask(length))),
            Subnet::V6(..) => None,
        }
    }
}

/// The IPv4 mask with `length` leading ones; lengths above 32 count as 32.
pub fn netmask(length: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(
        u32::MAX
            .checked_shl(32 - u32::from(length.min(32)))
            .unwrap_or(0),
    )
}

/// What an access-list entry, or a similar match, says about one end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `any`: every IPv4 and IPv6 address.
    Any,
    /// `any4`.
    Any4,
    /// `any6`.
    Any6,
    /// `host ADDR`.
    Host(IpAddr),
    /// `NET MASK` or `V6/len`.
    Subnet(Subnet),
    /// `object NAME`.
    Object(super::Name),
    /// `object-group NAME`.
    Group(super::Name),
    /// `interface NAME`: the interface's own address.
    Interface(super::Name),
}

/// A condition on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ports {
    /// `eq P`.
    Eq(u16),
    /// `neq P`.
    Neq(u16),
    /// `lt P`.
    Lt(u16),
    /// `gt P`.
    Gt(u16),
    /// `range LOW HIGH`, ordered.
    Range(u16, u16),
}

impl Ports {
    /// Whether a port satisfies the condition.
    pub fn contains(self, port: u16) -> bool {
        match self {
            Ports::Eq(p) => port == p,
            Ports::Neq(p) => port != p,
            Ports::Lt(p) => port < p,
            Ports::Gt(p) => port > p,
            Ports::Range(low, high) => (low..=high).contains(&port),
        }
    }

    /// The same condition as ascending, disjoint ranges; none when nothing satisfies it (`lt 0`).
    pub fn ranges(self) -> Vec<RangeInclusive<u16>> {
        let below = |p: u16| p.checked_sub(1).map(|last| 0..=last);
        let above = |p: u16| p.checked_add(1).map(|first| first..=u16::MAX);
        match self {
            Ports::Eq(p) => vec![p..=p],
            Ports::Neq(p) => below(p).into_iter().chain(above(p)).collect(),
            Ports::Lt(p) => below(p).into_iter().collect(),
            Ports::Gt(p) => above(p).into_iter().collect(),
            Ports::Range(low, high) => vec![low..=high],
        }
    }
}

/// An IP protocol as access lists name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// `ip`: every protocol.
    Ip,
    /// One protocol by number.
    Number(u8),
}

impl Protocol {
    /// `icmp`.
    pub const ICMP: Protocol = Protocol::Number(1);
    /// `tcp`.
    pub const TCP: Protocol = Protocol::Number(6);
    /// `udp`.
    pub const UDP: Protocol = Protocol::Number(17);
    /// `icmp6`.
    pub const ICMP6: Protocol = Protocol::Number(58);
    /// `sctp`.
    pub const SCTP: Protocol = Protocol::Number(132);

    /// The protocol as one with ports, if it has them.
    pub fn transport(self) -> Option<Transport> {
        match self {
            Self::TCP => Some(Transport::Tcp),
            Self::UDP => Some(Transport::Udp),
            Self::SCTP => Some(Transport::Sctp),
            _ => None,
        }
    }
}

/// A protocol with ports, or both of the common ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
    /// `tcp-udp`: either.
    TcpUdp,
}

impl Transport {
    /// The IP protocols it stands for.
    pub fn protocols(self) -> &'static [Protocol] {
        match self {
            Transport::Tcp => &[Protocol::TCP],
            Transport::Udp => &[Protocol::UDP],
            Transport::Sctp => &[Protocol::SCTP],
            Transport::TcpUdp => &[Protocol::TCP, Protocol::UDP],
        }
    }
}

/// An ICMP type, perhaps with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcmpKind {
    /// Type.
    pub kind: u8,
    /// Code; `None` matches every code.
    pub code: Option<u8>,
}

/// A service as `object service` and untyped `object-group service` define it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A whole protocol.
    Protocol(Protocol),
    /// A transport with conditions on its ports.
    Ports {
        /// Which protocols.
        transport: Transport,
        /// Source port.
        source: Option<Ports>,
        /// Destination port.
        destination: Option<Ports>,
    },
    /// `icmp [TYPE [CODE]]`.
    Icmp(Option<IcmpKind>),
    /// `icmp6 [TYPE [CODE]]`.
    Icmp6(Option<IcmpKind>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_contains_agree_at_the_edges() {
        let conditions = [
            Ports::Eq(0),
            Ports::Neq(0),
            Ports::Neq(65535),
            Ports::Lt(0),
            Ports::Gt(65535),
            Ports::Lt(1),
            Ports::Range(5, 9),
        ];
        for condition in conditions {
            for port in [0, 1, 4, 5, 9, 10, 65534, 65535] {
                let by_range = condition.ranges().iter().any(|range| range.contains(&port));
                assert_eq!(by_range, condition.contains(port), "{condition:?} {port}");
            }
        }
    }

    #[test]
    fn masks_of_all_lengths_have_that_many_ones() {
        for length in 0..=32 {
            assert_eq!(netmask(length).to_bits().leading_ones(), u32::from(length));
        }
    }
}
