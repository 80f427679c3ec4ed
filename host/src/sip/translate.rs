//! Whom the inspector asks for translations.

use std::net::{Ipv4Addr, SocketAddrV4};

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP, with or without TLS.
    Tcp,
}

/// Which way a message goes through NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the real side to the mapped side: real addresses must not be seen.
    Outbound,
    /// From the mapped side to the real side: mapped addresses become real.
    Inbound,
}

impl Way {
    /// The other one.
    pub fn back(self) -> Self {
        match self {
            Way::Outbound => Way::Inbound,
            Way::Inbound => Way::Outbound,
        }
    }
}

/// How the mapped side sees a real end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// As it is: not an address of the real side, or one without NAT.
    Same,
    /// As this.
    To(SocketAddrV4),
    /// There should be a translation and none can be made.
    Failed,
}

/// Translations between the real and the mapped side. A real end keeps its mapped end as long as anything uses it.
pub trait Translator {
    /// How a real end is seen, by a translation that exists or one made now.
    fn map(&mut self, protocol: Protocol, real: SocketAddrV4) -> Mapping;

    /// How a real address is seen, whatever the port; `None` if as it is. Makes no translation.
    fn map_address(&mut self, real: Ipv4Addr) -> Option<Ipv4Addr>;

    /// The real end behind a mapped one.
    fn unmap(&mut self, protocol: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4>;

    /// The real address behind a mapped one that is nobody else's.
    fn unmap_address(&mut self, mapped: Ipv4Addr) -> Option<Ipv4Addr>;

    /// How the ends of a medium are seen. Who can keeps them neighbours: not every peer reads `a=rtcp`.
    fn map_media(&mut self, rtp: SocketAddrV4, rtcp: Option<SocketAddrV4>) -> [Mapping; 2] {
        let rtp = self.map(Protocol::Udp, rtp);
        let rtcp = rtcp.map_or(Mapping::Same, |rtcp| self.map(Protocol::Udp, rtcp));
        [rtp, rtcp]
    }
}
