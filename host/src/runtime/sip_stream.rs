//! SIP inspection of the text of one TLS proxy session.
//!
//! Comes in: text of both directions. Goes out: the same with addresses translated, or that the connection is refused.
//! The inspector is shared by all sessions of its class, since the state of a subscription comes by another connection
//! than the subscription.
//!
//! Translations are those of the static rules. An end that only a dynamic rule translates gets a name on the other side,
//! an address and a port by which the peer may call it in messages; nothing that is sent there passes. Pinholes are not
//! opened either: signalling goes over the connections that the access list permits, media does not pass yet.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use layout::table::Key;

use crate::policy::model::InterfaceId;
use crate::policy::{Model, SourceTranslation, decide};
use crate::punt::Event;
use crate::sip::{
    Arrival, Effect, Frame, Framer, Inspector, Mapping, Place, Protocol, Translator, Way,
};
use crate::tls::inspect::Direction;
use crate::tls::session;
use crate::tls::{Inspect, Refusal};
use crate::wire::packet::{TCP, UDP};

/// What the sessions of a class share.
#[derive(Clone)]
pub struct Shared {
    /// The inspector.
    pub inspector: Arc<Mutex<Inspector>>,
    /// Names of ends that only a dynamic rule translates.
    pub names: Arc<Mutex<Names>>,
    /// The configuration.
    pub model: Arc<Model>,
    /// The log.
    pub log: Log,
}

/// Takes lines of the log, from any thread.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// One connection as the configuration sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// Which way text of whoever dialled goes.
    pub forward: Way,
    /// Interface of the real side.
    pub real: u8,
    /// Interface of the mapped side.
    pub mapped: u8,
    /// Somebody on the mapped side.
    pub peer: SocketAddrV4,
}

/// Inspects one session.
pub struct SipStream {
    shared: Shared,
    framers: [Framer; 2],
    sides: Sides,
    /// Who dialled and who was dialled.
    places: [(String, SocketAddrV4); 2],
}

impl SipStream {
    /// For a session that begins.
    pub fn new(
        shared: Shared,
        sides: Sides,
        dialler: &session::Place,
        dialled: &session::Place,
        reassembly: Option<Duration>,
    ) -> Self {
        Self {
            shared,
            framers: [Framer::new(reassembly), Framer::new(reassembly)],
            sides,
            places: [dialler, dialled].map(|place| {
                let SocketAddr::V4(address) = place.address else {
                    return (place.interface.clone(), NOWHERE);
                };
                (place.interface.clone(), address)
            }),
        }
    }

    /// Passes on what the framer of a direction has.
    fn pass(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        while let Some(frame) = self.framers[direction as usize].poll() {
            match frame {
                Frame::KeepAlive(bytes) => onward.extend(bytes),
                Frame::Message(bytes) | Frame::Foreign(bytes) => {
                    self.inspect(now, direction, &bytes, onward)?;
                }
                Frame::Broken(fault) => {
                    return Err(Refusal {
                        reason: format!("not SIP: {}", fault.name()),
                        is_reset: false,
                    });
                }
            }
        }
        Ok(())
    }

    fn inspect(
        &mut self,
        now: Duration,
        direction: Direction,
        bytes: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let place = |at: usize| Place {
            interface: &self.places[at].0,
            socket: self.places[at].1,
        };
        let (source, destination, way) = match direction {
            Direction::Forward => (place(0), place(1), self.sides.forward),
            Direction::Backward => (place(1), place(0), self.sides.forward.back()),
        };
        let arrival = Arrival {
            now,
            way,
            protocol: Protocol::Tcp,
            is_tls: true,
            source,
            destination,
        };
        let mut translator = ByRules {
            model: &self.shared.model,
            names: &self.shared.names,
            sides: self.sides,
        };
        let mut effects = Vec::new();
        let mut inspector = lock(&self.shared.inspector);
        inspector.handle_timeout(now, &mut effects);
        inspector.handle_message(&arrival, bytes, &mut translator, &mut effects);
        drop(inspector);
        for effect in effects {
            match effect {
                Effect::Forward(bytes) => onward.extend(bytes),
                Effect::Drop(_) => {}
                Effect::DropConnection(reason) => return Err(refusal(reason.name(), false)),
                Effect::Reset(reason) => return Err(refusal(reason.name(), true)),
                // The card is not told, and so nobody is told that it was.
                Effect::OpenPinhole { .. } | Effect::ClosePinhole { .. } => {}
                Effect::Log(event) if event.id == PRE_ALLOCATED => {}
                Effect::Log(event) => (self.shared.log)(&Event {
                    severity: event.severity,
                    id: event.id,
                    text: event.text,
                }),
            }
        }
        Ok(())
    }
}

impl Inspect for SipStream {
    fn handle_text(
        &mut self,
        now: Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let framer = &mut self.framers[direction as usize];
        framer.handle_timeout(now);
        framer.handle_bytes(now, text);
        self.pass(now, direction, onward)
    }

    fn handle_end(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        // Half a message is no message: it ends with its connection.
        self.pass(now, direction, onward)
    }
}

fn refusal(reason: &str, is_reset: bool) -> Refusal {
    Refusal {
        reason: format!("SIP inspection: {reason}"),
        is_reset,
    }
}

/// What is behind a lock, also when its holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Translations by the rules of the configuration.
struct ByRules<'a> {
    model: &'a Model,
    names: &'a Mutex<Names>,
    sides: Sides,
}

impl ByRules<'_> {
    fn source(&self, protocol: Protocol, real: SocketAddrV4) -> SourceTranslation {
        let key = Key {
            interface: self.sides.real,
            proto: number(protocol),
            src: (*real.ip()).into(),
            sport: real.port(),
            dst: (*self.sides.peer.ip()).into(),
            dport: self.sides.peer.port(),
        };
        decide(self.model, &key).source
    }
}

impl Translator for ByRules<'_> {
    fn map(&mut self, protocol: Protocol, real: SocketAddrV4) -> Mapping {
        match self.source(protocol, real) {
            SourceTranslation::None => Mapping::Same,
            SourceTranslation::Static { address, port, .. } => {
                Mapping::To(SocketAddrV4::new(address.into(), port))
            }
            SourceTranslation::DynamicNat { rule } | SourceTranslation::DynamicPat { rule } => {
                let mapped = InterfaceId(self.sides.mapped);
                let Some(range) = self.model.pat_ranges(rule, mapped).next() else {
                    return Mapping::Failed;
                };
                let owned = |port| {
                    let proto = number(protocol);
                    self.model.owned.contains(mapped, proto, range.low, port)
                };
                let name = lock(self.names).name(protocol, real, range.low.into(), owned);
                name.map_or(Mapping::Failed, Mapping::To)
            }
        }
    }

    fn map_address(&mut self, real: Ipv4Addr) -> Option<Ipv4Addr> {
        match self.map(Protocol::Tcp, SocketAddrV4::new(real, SIP_TLS)) {
            Mapping::To(mapped) => Some(*mapped.ip()),
            Mapping::Same | Mapping::Failed => None,
        }
    }

    fn unmap(&mut self, protocol: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        let key = Key {
            interface: self.sides.mapped,
            proto: number(protocol),
            src: (*self.sides.peer.ip()).into(),
            sport: self.sides.peer.port(),
            dst: (*mapped.ip()).into(),
            dport: mapped.port(),
        };
        let decision = decide(self.model, &key);
        match decision.untranslate {
            Some(_) => Some(SocketAddrV4::new(
                decision.destination.into(),
                decision.destination_port,
            )),
            None => lock(self.names).real(protocol, mapped),
        }
    }

    fn unmap_address(&mut self, mapped: Ipv4Addr) -> Option<Ipv4Addr> {
        // It is nobody else's if any port of it leads to the same host.
        let mut end = |port| self.unmap(Protocol::Tcp, SocketAddrV4::new(mapped, port));
        let (low, high) = (end(1)?, end(u16::MAX)?);
        (low.ip() == high.ip()).then(|| *low.ip())
    }
}

/// Ends of the real side that only a dynamic rule translates, and what the mapped side calls them.
#[derive(Debug)]
pub struct Names {
    mapped: HashMap<(Protocol, SocketAddrV4), SocketAddrV4>,
    real: HashMap<(Protocol, SocketAddrV4), SocketAddrV4>,
    /// Where a free port is looked for.
    next_port: u16,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            mapped: HashMap::new(),
            real: HashMap::new(),
            next_port: FIRST_PORT,
        }
    }
}

impl Names {
    /// The name of an end: its own port if that is free, else the next that is. The search goes on where the last one
    /// ended, so it does not grow with the names.
    fn name(
        &mut self,
        protocol: Protocol,
        real: SocketAddrV4,
        address: Ipv4Addr,
        is_owned: impl Fn(u16) -> bool,
    ) -> Option<SocketAddrV4> {
        if let Some(known) = self.mapped.get(&(protocol, real)) {
            return Some(*known);
        }
        if self.mapped.len() >= MOST_NAMES {
            return None;
        }
        let own = real.port().max(FIRST_PORT);
        let ports = (self.next_port..=u16::MAX).chain(FIRST_PORT..self.next_port);
        let ports = std::iter::once(own).chain(ports);
        let mut ends = ports.map(|port| SocketAddrV4::new(address, port));
        let is_free = |end: &SocketAddrV4| {
            !self.real.contains_key(&(protocol, *end)) && !is_owned(end.port())
        };
        let name = ends.find(is_free)?;
        if name.port() != own {
            self.next_port = name.port().checked_add(1).unwrap_or(FIRST_PORT);
        }
        self.mapped.insert((protocol, real), name);
        self.real.insert((protocol, name), real);
        Some(name)
    }

    fn real(&self, protocol: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        self.real.get(&(protocol, mapped)).copied()
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    }
}

/// 607001: a pinhole opened.
const PRE_ALLOCATED: u32 = 607_001;
/// Names that are kept; more ends than that are refused.
const MOST_NAMES: usize = 16_384;
/// Ports below are asked for by name (RFC 6335 §6).
const FIRST_PORT: u16 = 1024;
/// RFC 3261 §19.1.2.
const SIP_TLS: u16 = 5061;
/// Of an address that is none of ours.
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> SocketAddrV4 {
        text.parse().expect("an end")
    }

    const CONFIG: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network server
 host 10.0.0.2
 nat (inside,outside) static 192.0.2.2 service tcp 5061 5062
object network whole
 host 10.0.0.3
 nat (inside,outside) static 192.0.2.3
object network everybody
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic interface
";

    fn with_rules<T>(look: impl FnOnce(&mut ByRules<'_>) -> T) -> T {
        let parsed = crate::config::parse(CONFIG);
        let (model, _) = crate::policy::lower(&parsed.config);
        look(&mut ByRules {
            model: &model,
            names: &Mutex::default(),
            sides: Sides {
                forward: Way::Outbound,
                real: 1,
                mapped: 0,
                peer: end("198.51.100.7:5061"),
            },
        })
    }

    #[test]
    fn static_rules_translate_and_translate_back() {
        with_rules(|rules| {
            let (real, mapped) = (end("10.0.0.2:5061"), end("192.0.2.2:5062"));
            assert_eq!(rules.map(Protocol::Tcp, real), Mapping::To(mapped));
            assert_eq!(rules.unmap(Protocol::Tcp, mapped), Some(real));
            assert_eq!(rules.unmap(Protocol::Tcp, end("192.0.2.2:5061")), None);
            assert_eq!(rules.map_address(*real.ip()), Some(*mapped.ip()));
            assert_eq!(rules.unmap_address(*mapped.ip()), None, "one port only");
            let (real, mapped) = ([10, 0, 0, 3].into(), [192, 0, 2, 3].into());
            assert_eq!(rules.map_address(real), Some(mapped));
            assert_eq!(rules.unmap_address(mapped), Some(real));
            let foreign = end("198.51.100.9:5061");
            assert_eq!(rules.map(Protocol::Tcp, foreign), Mapping::Same);
        });
    }

    #[test]
    fn an_end_of_a_dynamic_rule_gets_a_name_of_its_own_that_leads_back() {
        with_rules(|rules| {
            let (first, second) = (end("10.0.0.7:5070"), end("10.0.0.8:5070"));
            let mut name = |real| match rules.map(Protocol::Udp, real) {
                Mapping::To(name) => name,
                other => panic!("{other:?}"),
            };
            assert_eq!(name(first), end("192.0.2.1:5070"));
            assert_eq!(name(second), end("192.0.2.1:1024"));
            assert_eq!(name(first), end("192.0.2.1:5070"), "it stays");
            assert_eq!(name(end("10.0.0.7:53")), end("192.0.2.1:1025"));
            assert_eq!(
                rules.unmap(Protocol::Udp, end("192.0.2.1:1024")),
                Some(second)
            );
            assert_eq!(rules.unmap(Protocol::Tcp, end("192.0.2.1:1024")), None);
        });
    }

    #[test]
    fn there_are_only_so_many_names() {
        let mut names = Names::default();
        for number in 0..MOST_NAMES as u32 {
            let real = SocketAddrV4::new((0x0a00_0000 + number).into(), 5070);
            assert!(
                names
                    .name(Protocol::Udp, real, NOWHERE.ip().to_owned(), |_| false)
                    .is_some()
            );
        }
        let one_more = end("10.255.0.1:5070");
        assert_eq!(
            names.name(Protocol::Udp, one_more, *NOWHERE.ip(), |_| false),
            None
        );
    }
}
