//! Card, clock and frames for the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use etherparse::{Icmpv4Type, PacketBuilder, PacketBuilderStep, icmpv4::DestUnreachableHeader};
use layout::desc::{
    InjectDescriptor, Metadata, NO_ACE, NO_DESTINATION, NO_FLOW, Reason, Verdict as CardVerdict,
};
use layout::table::{Adjacency, FlowEntry, FlowStats, Interface, Key};

use crate::flow::{Limits, Time, conn};
use crate::punt::inspect::cover::SeenEnd;
use crate::punt::{Adopted, Effect, Inherited, Report, Resolution, Setup, SlowPath};
use crate::wire::packet::{ICMP, TCP, UDP};
use crate::wire::{Mac, Packet, Tuple, edit};

pub const OUTSIDE: u8 = 0;
pub const INSIDE: u8 = 1;

/// Two interfaces, static PAT for one server, dynamic PAT for everybody.
pub const CONFIG: &str = "
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
 nat (inside,outside) static 192.0.2.10 service tcp 5061 5062
object network everybody
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic 192.0.2.10
access-list from_outside extended permit tcp any host 10.0.0.2 eq 5061
access-group from_outside in interface outside
";

pub struct Bench {
    pub path: SlowPath,
    pub now: Time,
    pub entries: BTreeMap<[u32; 4], (FlowEntry, FlowStats)>,
    pub adjacencies: BTreeMap<u8, Adjacency>,
    /// Frames that left, with their port.
    pub sent: Vec<(u8, Vec<u8>)>,
    /// Connections that the proxy knows of.
    pub dialled: Vec<Tuple>,
    /// What the proxy was given.
    pub proxied: Vec<Vec<u8>>,
    /// Ends that the card hands over.
    pub pinholes: BTreeSet<SeenEnd>,
    pub log: Vec<String>,
    /// The card takes no entries.
    pub is_full: bool,
    epoch: u8,
}

impl Bench {
    pub fn new(config: &str) -> Self {
        Self::with(config, Resolution::Derive, Limits::default(), [None, None])
    }

    /// Inspected TCP connections end at a proxy.
    pub fn with_proxy(config: &str) -> Self {
        let mut bench = Self::new(config);
        bench.path.has_proxy = true;
        bench
    }

    pub fn with(
        config: &str,
        resolution: Resolution,
        limits: Limits,
        vids: [Option<u16>; 2],
    ) -> Self {
        let parsed = crate::config::parse(config);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let (model, _) = crate::policy::lower(&parsed.config);
        let interface = |port: u8| Interface {
            valid: true,
            port,
            tagged: vids[usize::from(port)].is_some(),
            vid: vids[usize::from(port)].unwrap_or(0),
            mac: mac_of_ours(port).into(),
        };
        let interfaces = vec![interface(0), interface(1)];
        Self {
            path: SlowPath::new(Setup {
                model: Arc::new(model),
                interfaces,
                resolution,
                limits,
                seed: 7,
                has_proxy: false,
            }),
            now: Time::from_secs(1000),
            entries: BTreeMap::new(),
            adjacencies: BTreeMap::new(),
            sent: Vec::new(),
            dialled: Vec::new(),
            proxied: Vec::new(),
            pinholes: BTreeSet::new(),
            log: Vec::new(),
            is_full: false,
            epoch: 0,
        }
    }

    /// The runtime dies and another begins, with a configuration of its own. The card keeps what it has.
    pub fn restart(&mut self, config: &str) -> Adopted {
        let fresh = Self::new(config);
        let inherited = Inherited {
            epoch: self.epoch,
            adjacencies: (0..=u8::MAX)
                .map(|index| self.adjacencies.get(&index).copied().unwrap_or_default())
                .collect(),
            entries: self.entries.values().copied().collect(),
        };
        self.path = fresh.path;
        self.log.clear();
        let mut effects = Vec::new();
        let adopted = self.path.adopt(self.now, &inherited, &mut effects);
        // What is installed again counts from zero.
        for effect in &effects {
            if let Effect::InstallPair {
                forward, reverse, ..
            } = effect
            {
                self.entries.remove(&forward.key().pack());
                self.entries.remove(&reverse.key().pack());
            }
        }
        self.carry_out(effects);
        adopted
    }

    /// A frame arrives: a hit leaves, a miss is punted.
    pub fn receive(&mut self, interface: u8, frame: &[u8]) -> Option<Report> {
        self.on_card(interface, frame, false)
    }

    pub fn punt(
        &mut self,
        interface: u8,
        reason: Reason,
        frame: &[u8],
        reinjected: bool,
    ) -> Report {
        let metadata = Metadata {
            length: frame.len() as u16,
            port: interface,
            reinjected,
            tagged: false,
            interface,
            reason: reason as u8,
            verdict: CardVerdict::Punt as u8,
            generation: 0,
            ace: NO_ACE,
            destination: NO_DESTINATION,
            flow: NO_FLOW,
            queue: 0,
        };
        let mut effects = Vec::new();
        let report = self
            .path
            .handle_punt(self.now, &metadata, frame, &mut effects);
        self.carry_out(effects);
        report
    }

    /// The proxy sends a packet.
    pub fn proxy_sends(&mut self, datagram: &[u8]) -> Report {
        let mut effects = Vec::new();
        let report = self.path.handle_proxied(self.now, datagram, &mut effects);
        self.carry_out(effects);
        report
    }

    /// Lets time pass, stopping at every deadline.
    pub fn pass(&mut self, time: Time) {
        let end = self.now + time;
        while let Some(due) = self.path.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.poll();
        }
        self.now = end;
        self.poll();
    }

    pub fn poll(&mut self) {
        let mut effects = Vec::new();
        self.path.poll(self.now, &mut effects);
        self.carry_out(effects);
    }

    /// The last frame that left, and as what.
    pub fn last(&self) -> (u8, Packet) {
        let (port, frame) = self.sent.last().expect("something left");
        (*port, Packet::parse(frame).expect("what leaves is valid"))
    }

    pub fn logged(&self, id: &str) -> usize {
        self.log.iter().filter(|line| line.contains(id)).count()
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::InstallPair { conn, .. } | Effect::Install { conn, .. } if self.is_full => {
                    self.path.handle_refused(self.now, conn);
                }
                Effect::InstallPair {
                    forward, reverse, ..
                } => {
                    self.install(forward);
                    self.install(reverse);
                }
                Effect::Install { entry, .. } => self.install(entry),
                Effect::Remove { key } => drop(self.entries.remove(&key.pack())),
                Effect::SetAdjacency { index, entry } => {
                    self.adjacencies.insert(index, entry);
                }
                Effect::Inject { descriptor, frame } => self.inject(descriptor, frame),
                Effect::SetEpoch(epoch) => {
                    assert_eq!(epoch, conn::epoch(self.now));
                    self.epoch = epoch;
                }
                Effect::ReadStats {
                    conn,
                    forward,
                    reverse,
                } => {
                    let stats = |key: Key| self.entries.get(&key.pack()).map(|(_, stats)| *stats);
                    let (forward, reverse) = (stats(forward), reverse.and_then(stats));
                    let mut effects = Vec::new();
                    self.path.handle_stats(
                        self.now,
                        conn,
                        forward.as_ref(),
                        reverse.as_ref(),
                        &mut effects,
                    );
                    self.carry_out(effects);
                }
                Effect::BeginProxied { forward, .. } => self.dialled.push(forward.seen),
                Effect::BeginLook { seen } => self.dialled.push(seen),
                Effect::EndProxied { seen } => self.dialled.retain(|known| *known != seen),
                Effect::Terminate { datagram } => self.proxied.push(datagram),
                Effect::SetPinholes { ends } => self.pinholes = ends,
                Effect::Log(event) => self.log.push(event.to_string()),
            }
        }
    }

    fn install(&mut self, entry: FlowEntry) {
        let old = self
            .entries
            .insert(entry.key().pack(), (entry, FlowStats::default()));
        assert_eq!(old, None, "one entry a key");
    }

    fn inject(&mut self, descriptor: InjectDescriptor, frame: Vec<u8>) {
        assert_eq!(usize::from(descriptor.length), frame.len());
        if descriptor.lookup {
            self.on_card(descriptor.port, &frame, true);
        } else {
            self.sent.push((descriptor.port, frame));
        }
    }

    fn on_card(&mut self, interface: u8, frame: &[u8], reinjected: bool) -> Option<Report> {
        let packet = Packet::parse(frame).expect("the card drops others");
        let key = packet.tuple.key(interface).pack();
        let Some((entry, stats)) = self.entries.get_mut(&key) else {
            return Some(self.punt(interface, Reason::FlowMiss, frame, reinjected));
        };
        stats.packets += 1;
        stats.bytes += frame.len() as u64;
        stats.stamp = self.epoch;
        stats.fin |= packet.tcp_flags() & 1 != 0;
        stats.rst |= packet.tcp_flags() & 4 != 0;
        if entry.punt {
            return Some(self.punt(interface, Reason::FlowPunt, frame, reinjected));
        }
        let Some(next) = self
            .adjacencies
            .get(&entry.adjacency)
            .filter(|next| next.valid)
            .copied()
        else {
            return Some(self.punt(interface, Reason::NoAdjacency, frame, reinjected));
        };
        let sent = apply(entry, &packet.tuple);
        let mut frame = frame.to_vec();
        edit::set_tuple(&mut frame, &packet, &sent);
        edit::set_link(
            &mut frame,
            Mac::from(next.mac),
            mac_of_ours(next.interface),
            packet.link.vid,
        );
        self.sent.push((next.interface, frame));
        None
    }
}

pub fn mac_of_ours(port: u8) -> Mac {
    Mac([2, 0xaa, 0, 0, 0, port])
}

/// What the card makes of a packet: written from the contract, not from `Leg::entry`.
pub fn apply(entry: &FlowEntry, tuple: &Tuple) -> Tuple {
    let mut sent = *tuple;
    if entry.translate_source {
        sent.src = entry.address.into();
        match tuple.proto {
            TCP | UDP | ICMP => sent.sport = entry.l4_port,
            _ => {}
        }
    } else if entry.translate_destination {
        sent.dst = entry.address.into();
        match tuple.proto {
            TCP | UDP => sent.dport = entry.l4_port,
            ICMP => sent.sport = entry.l4_port,
            _ => {}
        }
    }
    sent
}

fn ip(src: Ipv4Addr, dst: Ipv4Addr, ttl: u8) -> PacketBuilderStep<etherparse::IpHeaders> {
    let [_, b, c, d] = src.octets();
    PacketBuilder::ethernet2([2, 0xbb, 0, b, c, d], [2, 0xaa, 0, 0, 0, 0]).ipv4(
        src.octets(),
        dst.octets(),
        ttl,
    )
}

/// A frame with these addresses and ports; `flags` for TCP, type and code for ICMP from `dport`.
pub fn frame(tuple: &Tuple, flags: u8, ttl: u8) -> Vec<u8> {
    let builder = ip(tuple.src, tuple.dst, ttl);
    let (sport, dport) = (tuple.sport, tuple.dport);
    let mut frame = Vec::new();
    let payload = b"payload of some length, beyond eight bytes";
    match tuple.proto {
        TCP => {
            builder
                .tcp(sport, dport, 1, 1024)
                .write(&mut frame, payload)
                .expect("a vector takes everything");
            let packet = Packet::parse(&frame).expect("valid");
            frame[packet.l4 + 13] = flags;
        }
        UDP => builder
            .udp(sport, dport)
            .write(&mut frame, payload)
            .expect("a vector takes everything"),
        ICMP => {
            let [kind, code] = dport.to_be_bytes();
            let [high, low] = sport.to_be_bytes();
            let raw = Icmpv4Type::Unknown {
                type_u8: kind,
                code_u8: code,
                bytes5to8: [high, low, 0, 1],
            };
            builder
                .icmpv4(raw)
                .write(&mut frame, payload)
                .expect("a vector takes everything");
        }
        other => builder
            .write(&mut frame, etherparse::IpNumber(other), payload)
            .expect("a vector takes everything"),
    }
    frame
}

/// An ICMP port unreachable from `src` that quotes the IPv4 packet of a frame.
pub fn unreachable(src: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(quoted).expect("valid");
    let mut frame = Vec::new();
    ip(src.into(), packet.tuple.src, 64)
        .icmpv4(Icmpv4Type::DestinationUnreachable(
            DestUnreachableHeader::Port,
        ))
        .write(&mut frame, &quoted[packet.ip..packet.l4 + 8])
        .expect("a vector takes everything");
    frame
}

pub fn tuple(proto: u8, src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple {
    Tuple {
        proto,
        src: src.into(),
        sport,
        dst: dst.into(),
        dport,
    }
}
