//! Translations of what messages say, by the rules of the configuration.
//!
//! A static rule translates by itself. An end that a dynamic rule translates gets the very translation that its packets
//! will get, and that is held until nobody can want it any more.

use std::net::{Ipv4Addr, SocketAddrV4};

use layout::table::Key;

use super::channel::{Channel, number};
use super::ends::{Ends, RealEnd};
use crate::flow::xlate::Request;
use crate::flow::{Time, Xlates};
use crate::policy::model::InterfaceId;
use crate::policy::{Model, SourceTranslation, decide, translate_source};
use crate::punt::effect::Effect;
use crate::punt::event::Event;
use crate::sip::{Mapping, Protocol, Timeouts, Translator};

/// Translates for one message.
pub(super) struct ByRules<'a> {
    pub now: Time,
    pub model: &'a Model,
    pub channel: &'a Channel,
    /// Nothing is made: an end without a translation is shown with the first address it could get.
    pub is_dry: bool,
    pub timeouts: &'a Timeouts,
    pub xlates: &'a mut Xlates,
    pub ends: &'a mut Ends,
    pub effects: &'a mut Vec<Effect>,
}

impl ByRules<'_> {
    /// What a packet of an end would look like, on its way to the peer.
    fn key(&self, protocol: Protocol, real: SocketAddrV4) -> Key {
        Key {
            interface: self.channel.real,
            proto: number(protocol),
            src: (*real.ip()).into(),
            sport: real.port(),
            dst: (*self.channel.peer.ip()).into(),
            dport: self.channel.peer.port(),
        }
    }

    /// Translates an end, which is announced to be reachable for `lease`. A translation that is made gets the port
    /// `wish` if it can.
    fn announce(
        &mut self,
        protocol: Protocol,
        real: SocketAddrV4,
        wish: u16,
        lease: Option<Time>,
    ) -> Mapping {
        let mapped_interface = InterfaceId(self.channel.mapped);
        let key = self.key(protocol, real);
        let (rule, per_session) = match translate_source(self.model, &key, mapped_interface) {
            Ok((SourceTranslation::None, _)) => return Mapping::Same,
            Ok((SourceTranslation::Static { address, port, .. }, _)) => {
                return Mapping::To(SocketAddrV4::new(address.into(), port));
            }
            Ok((
                SourceTranslation::DynamicNat { rule } | SourceTranslation::DynamicPat { rule },
                per_session,
            )) => (rule, per_session),
            Err(_) => return Mapping::Failed,
        };
        let end = RealEnd {
            interfaces: [self.channel.real, self.channel.mapped],
            proto: number(protocol),
            socket: real,
        };
        let request = Request {
            rule,
            real_interface: InterfaceId(self.channel.real),
            mapped_interface,
            proto: end.proto,
            real: (*real.ip(), real.port()),
            destination: (*self.channel.peer.ip(), self.channel.peer.port()),
            has_port: true,
            per_session,
        };
        let Some(mapped) = self.hold(end, request, wish) else {
            return Mapping::Failed;
        };
        if self.is_dry {
            return Mapping::To(mapped);
        }
        let until = lease.map(|lease| self.now.saturating_add(lease));
        self.ends.extend(&end, until);
        Mapping::To(mapped)
    }

    /// The translation of an end that a dynamic rule translates.
    fn hold(&mut self, end: RealEnd, request: Request, wish: u16) -> Option<SocketAddrV4> {
        if let Some(lease) = self.ends.get(&end) {
            return Some(lease.mapped);
        }
        if self.is_dry {
            let mut ranges = self
                .model
                .pat_ranges(request.rule, request.mapped_interface);
            let range = ranges.next()?;
            return Some(SocketAddrV4::new(range.low.into(), wish));
        }
        if !self.ends.has_room() {
            return None;
        }
        let made = self.xlates.acquire_at(self.now, self.model, request, wish);
        let handle = match made {
            Ok(handle) => handle,
            Err(exhausted) => {
                let event = Event::exhausted(self.model, &request, exhausted);
                self.effects.push(Effect::Log(event));
                return None;
            }
        };
        let xlate = self.xlates.get(handle)?;
        if xlate.conns == 1 {
            let event = Event::xlate_built(self.model, xlate);
            self.effects.push(Effect::Log(event));
        }
        let mapped = SocketAddrV4::new(xlate.address, xlate.port.unwrap_or(request.real.1));
        self.ends.hold(end, handle, mapped);
        Some(mapped)
    }
}

impl Translator for ByRules<'_> {
    fn map(&mut self, protocol: Protocol, real: SocketAddrV4) -> Mapping {
        self.announce(protocol, real, real.port(), self.timeouts.sip)
    }

    fn map_address(&mut self, real: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = self.key(Protocol::Tcp, SocketAddrV4::new(real, SIP_TLS));
        let mapped = InterfaceId(self.channel.mapped);
        match translate_source(self.model, &key, mapped).ok()?.0 {
            SourceTranslation::None => None,
            SourceTranslation::Static { address, .. } => Some(address.into()),
            SourceTranslation::DynamicNat { rule } | SourceTranslation::DynamicPat { rule } => {
                let range = self.model.pat_ranges(rule, mapped).next()?;
                Some(range.low.into())
            }
        }
    }

    fn unmap(&mut self, protocol: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        let key = Key {
            interface: self.channel.mapped,
            proto: number(protocol),
            src: (*self.channel.peer.ip()).into(),
            sport: self.channel.peer.port(),
            dst: (*mapped.ip()).into(),
            dport: mapped.port(),
        };
        let decision = decide(self.model, &key);
        match decision.untranslate {
            Some(_) => Some(SocketAddrV4::new(
                decision.destination.into(),
                decision.destination_port,
            )),
            None => self
                .ends
                .behind(self.channel.mapped, number(protocol), mapped),
        }
    }

    fn unmap_address(&mut self, mapped: Ipv4Addr) -> Option<Ipv4Addr> {
        // It is nobody else's if any port of it leads to the same host.
        let mut end = |port| self.unmap(Protocol::Tcp, SocketAddrV4::new(mapped, port));
        let (low, high) = (end(1)?, end(u16::MAX)?);
        (low.ip() == high.ip()).then(|| *low.ip())
    }

    fn map_media(&mut self, rtp: SocketAddrV4, rtcp: Option<SocketAddrV4>) -> [Mapping; 2] {
        let lease = self.timeouts.media;
        let media = self.announce(Protocol::Udp, rtp, rtp.port(), lease);
        let control = rtcp.map_or(Mapping::Same, |rtcp| {
            // Beside media, where a peer looks that does not read `a=rtcp` (RFC 3550 §11).
            let is_beside = rtp.port().checked_add(1) == Some(rtcp.port());
            let wish = match media {
                Mapping::To(mapped) if is_beside => mapped.port().saturating_add(1),
                _ => rtcp.port(),
            };
            self.announce(Protocol::Udp, rtcp, wish, lease)
        });
        [media, control]
    }
}

/// RFC 3261 §19.1.2.
const SIP_TLS: u16 = 5061;
