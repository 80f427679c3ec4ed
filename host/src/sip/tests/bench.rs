//! A NAT and an inspector for the tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::flow::Time;
use crate::sip::limits::Limits;
use crate::sip::{
    Arrival, Candidates, Effect, Inspector, Mapping, Pinhole, PinholeId, Place, Protocol, Rules,
    Setup, Timeouts, Translator, Way,
};

/// The server with static PAT: UDP 5060 is seen as 45060, TCP 5062 as 5061.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const SERVER_MAPPED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// All other real hosts are seen as this, by dynamic PAT.
pub const SHARED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
pub const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 5060);

/// Static PAT for the server, dynamic PAT for everybody in 10.0.0.0/24.
#[derive(Clone, Debug, Default)]
pub struct Nat {
    dynamic: BTreeMap<(Protocol, SocketAddrV4), SocketAddrV4>,
    /// Translations left; `None` is no limit.
    pub left: Option<usize>,
    /// Media get a port anywhere, not beside each other.
    pub scatters: bool,
}

impl Nat {
    pub fn made(&self) -> usize {
        self.dynamic.len()
    }

    fn fixed() -> [(Protocol, SocketAddrV4, SocketAddrV4); 2] {
        [
            (
                Protocol::Udp,
                SocketAddrV4::new(SERVER, 5060),
                SocketAddrV4::new(SERVER_MAPPED, 45060),
            ),
            (
                Protocol::Tcp,
                SocketAddrV4::new(SERVER, 5062),
                SocketAddrV4::new(SERVER_MAPPED, 5061),
            ),
        ]
    }
}

pub fn is_real(address: Ipv4Addr) -> bool {
    address.octets()[..3] == [10, 0, 0]
}

impl Translator for Nat {
    fn map(&mut self, protocol: Protocol, real: SocketAddrV4) -> Mapping {
        if !is_real(*real.ip()) {
            return Mapping::Same;
        }
        let mut fixed = Nat::fixed().into_iter();
        if let Some((.., mapped)) = fixed.find(|(own, end, _)| (*own, *end) == (protocol, real)) {
            return Mapping::To(mapped);
        }
        if let Some(mapped) = self.dynamic.get(&(protocol, real)) {
            return Mapping::To(*mapped);
        }
        if self.left == Some(self.dynamic.len()) {
            return Mapping::Failed;
        }
        let step = if self.scatters { 3 } else { 1 };
        let port = 20_000 + (self.dynamic.len() * step) as u16;
        let mapped = SocketAddrV4::new(SHARED, port);
        self.dynamic.insert((protocol, real), mapped);
        Mapping::To(mapped)
    }

    fn map_address(&mut self, real: Ipv4Addr) -> Option<Ipv4Addr> {
        match real {
            SERVER => Some(SERVER_MAPPED),
            real if is_real(real) => Some(SHARED),
            _ => None,
        }
    }

    fn unmap(&mut self, protocol: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        let mut fixed = Nat::fixed().into_iter();
        let fixed = fixed.find(|(own, _, end)| (*own, *end) == (protocol, mapped));
        let mut dynamic = self.dynamic.iter();
        fixed.map(|(_, real, _)| real).or_else(|| {
            let found = dynamic.find(|((own, _), end)| (*own, **end) == (protocol, mapped));
            found.map(|((_, real), _)| *real)
        })
    }

    fn unmap_address(&mut self, _: Ipv4Addr) -> Option<Ipv4Addr> {
        // Behind PAT no address belongs to one host.
        None
    }
}

/// An inspector with its NAT and clock.
pub struct Bench {
    pub inspector: Inspector,
    pub nat: Nat,
    pub now: Time,
    pub protocol: Protocol,
    pub open: BTreeMap<PinholeId, Pinhole>,
    pub log: Vec<String>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Rules::default(), Limits::default())
    }

    pub fn with(rules: Rules, limits: Limits) -> Self {
        Self {
            inspector: Inspector::new(Setup {
                rules,
                timeouts: Timeouts::default(),
                limits,
                candidates: Candidates::default(),
                seed: 7,
            }),
            nat: Nat::default(),
            now: Time::from_secs(1000),
            protocol: Protocol::Udp,
            open: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// An inspector with the only SIP map of a configuration.
    pub fn configured(text: &str) -> Self {
        let parsed = crate::config::parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let (model, _) = crate::policy::lower(&parsed.config);
        let rules = Rules::of(&model.inspect_maps[0], crate::sip::rules::Names::of(&model));
        Self::with(rules.expect("usable"), Limits::default())
    }

    /// From the server, by its own port.
    pub fn out(&mut self, text: &str) -> Result<String, Effect> {
        self.send(Way::Outbound, SocketAddrV4::new(SERVER, 5060), PEER, text)
    }

    /// To the server.
    pub fn back(&mut self, text: &str) -> Result<String, Effect> {
        self.send(
            Way::Inbound,
            PEER,
            SocketAddrV4::new(SERVER_MAPPED, 45060),
            text,
        )
    }

    pub fn send(
        &mut self,
        way: Way,
        from: SocketAddrV4,
        to: SocketAddrV4,
        text: &str,
    ) -> Result<String, Effect> {
        let (inside, outside) = ("inside", "outside");
        let interfaces = match way {
            Way::Outbound => [inside, outside],
            Way::Inbound => [outside, inside],
        };
        let arrival = Arrival {
            now: self.now,
            way,
            protocol: self.protocol,
            is_tls: false,
            source: Place {
                interface: interfaces[0],
                socket: from,
            },
            destination: Place {
                interface: interfaces[1],
                socket: to,
            },
        };
        let mut effects = Vec::new();
        self.inspector
            .handle_message(&arrival, text.as_bytes(), &mut self.nat, &mut effects);
        let end = self.carry_out(effects);
        match end.expect("every message has an end") {
            Effect::Forward(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            end => Err(end),
        }
    }

    /// Lets time pass, stopping at every deadline.
    pub fn pass(&mut self, time: Time) {
        let end = self.now + time;
        while let Some(due) = self.inspector.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let mut effects = Vec::new();
            self.inspector.handle_timeout(self.now, &mut effects);
            assert!(self.carry_out(effects).is_none());
        }
        self.now = end;
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Option<Effect> {
        let mut end = None;
        for effect in effects {
            match effect {
                Effect::OpenPinhole { id, pinhole } => {
                    assert_eq!(self.open.insert(id, pinhole), None, "opened once");
                }
                Effect::ClosePinhole { id } => {
                    assert!(self.open.remove(&id).is_some(), "closed once");
                }
                Effect::Log(event) => self.log.push(event.to_string()),
                other => assert!(end.replace(other).is_none(), "one end"),
            }
        }
        assert_eq!(self.inspector.open_pinholes(), self.open.len());
        end
    }

    /// How often a message of this number was logged.
    pub fn logged(&self, id: &str) -> usize {
        self.log.iter().filter(|line| line.contains(id)).count()
    }

    /// Pinholes as `way purpose mapped-end from`.
    pub fn pinholes(&self) -> Vec<String> {
        let show = |pinhole: &Pinhole| {
            let end = match pinhole.way {
                Way::Inbound => pinhole.to.mapped,
                Way::Outbound => pinhole.to.real,
            };
            let from = pinhole
                .from
                .map_or("any".to_owned(), |from| from.to_string());
            format!("{:?} {} {end} {from}", pinhole.way, pinhole.purpose)
        };
        let mut shown: Vec<_> = self.open.values().map(show).collect();
        shown.sort();
        shown
    }
}

/// A message of lines, with the length of its body. Indentation of the source is taken off, a fold's blank stays.
pub fn message(head: &str, body: &str) -> String {
    let plain = |line: &str| {
        let is_indented = line.starts_with("        ");
        format!(
            "{}\r\n",
            if is_indented {
                line.trim_start()
            } else {
                line.trim_end_matches('\r')
            }
        )
    };
    let head: String = head.lines().map(plain).collect();
    let body: String = body.lines().map(plain).collect();
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}
