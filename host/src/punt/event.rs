//! Events in the words and numbers of ASA's system log.

use std::fmt;
use std::net::Ipv4Addr;

use crate::flow::show::{Clock, Protocol};
use crate::flow::xlate::{Exhausted, Request, Xlate};
use crate::flow::{Conn, Direction, Teardown, Time};
use crate::policy::model::InterfaceId;
use crate::policy::{AclBasis, Decision, DropReason, Model};
use crate::wire::arp::Arp;
use crate::wire::packet::{ICMP, TCP, UDP, tcp_flags};
use crate::wire::{Mac, Packet, Tuple};

/// A system log message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Severity: 0 emergencies to 7 debugging.
    pub severity: u8,
    /// Message number.
    pub id: u32,
    /// Text after the number.
    pub text: String,
}

/// Prints `%ASA-6-302013: Built ...`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%ASA-{}-{}: {}", self.severity, self.id, self.text)
    }
}

/// Address and port on an interface: `outside:192.0.2.1/5061`.
struct End<'a>(&'a str, (Ipv4Addr, u16));

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(interface, (address, port)) = self;
        write!(f, "{interface}:{address}/{port}")
    }
}

impl Event {
    fn new(severity: u8, id: u32, text: String) -> Self {
        Self { severity, id, text }
    }

    /// 302013, 302015, 302020: a connection began. Protocols without a message of their own have none.
    pub fn conn_built(model: &Model, conn: &Conn) -> Option<Self> {
        let way = if conn.inbound { "inbound" } else { "outbound" };
        let id = match conn.proto() {
            TCP => 302013,
            UDP => 302015,
            ICMP => {
                return Some(Self::new(
                    6,
                    302020,
                    format!("Built {way} ICMP connection for {}", icmp_addresses(conn)),
                ));
            }
            _ => return None,
        };
        let [(foreign, foreign_mapped), (local, local_mapped)] = ends(model, conn);
        let mapped = |(address, port): (Ipv4Addr, u16)| format!("({address}/{port})");
        let text = format!(
            "Built {way} {} connection {} for {foreign} {} to {local} {}",
            Protocol(conn.proto()),
            conn.number,
            mapped(foreign_mapped),
            mapped(local_mapped),
        );
        Some(Self::new(6, id, text))
    }

    /// 302014, 302016, 302021: a connection ended.
    pub fn conn_torn_down(model: &Model, now: Time, conn: &Conn, end: Teardown) -> Option<Self> {
        let id = match conn.proto() {
            TCP => 302014,
            UDP => 302016,
            ICMP => {
                return Some(Self::new(
                    6,
                    302021,
                    format!("Teardown ICMP connection for {}", icmp_addresses(conn)),
                ));
            }
            _ => return None,
        };
        let [(foreign, _), (local, _)] = ends(model, conn);
        let duration = Clock(now.saturating_sub(conn.opened));
        let bytes = conn.seen[0].bytes + conn.seen[1].bytes;
        let reason = match (conn.proto(), end) {
            (UDP, _) => "",
            (_, Teardown::SynTimeout) => " SYN Timeout",
            (_, Teardown::IdleTimeout) => " Connection timeout",
            (_, Teardown::Fins) => " TCP FINs",
            (_, Teardown::Reset(direction))
                if (direction == Direction::Forward) == conn.inbound =>
            {
                " TCP Reset-O"
            }
            (_, Teardown::Reset(_)) => " TCP Reset-I",
        };
        let (protocol, number) = (Protocol(conn.proto()), conn.number);
        let text = format!(
            "Teardown {protocol} connection {number} for {foreign} to {local} duration {duration} bytes {bytes}{reason}"
        );
        Some(Self::new(6, id, text))
    }

    /// 305009, 305011: a dynamic translation was made.
    pub fn xlate_built(model: &Model, xlate: &Xlate) -> Self {
        let id = if xlate.port.is_some() { 305011 } else { 305009 };
        Self::new(
            6,
            id,
            format!("Built dynamic {}", translation(model, xlate)),
        )
    }

    /// 305010, 305012: a dynamic translation ended.
    pub fn xlate_torn_down(model: &Model, now: Time, xlate: &Xlate) -> Self {
        let id = if xlate.port.is_some() { 305012 } else { 305010 };
        let duration = Clock(now.saturating_sub(xlate.built));
        Self::new(
            6,
            id,
            format!(
                "Teardown dynamic {} duration {duration}",
                translation(model, xlate)
            ),
        )
    }

    /// 202010, 305006: no translation could be made.
    pub fn exhausted(model: &Model, request: &Request, exhausted: Exhausted) -> Self {
        let name = |interface| &model.interface(interface).name;
        let (protocol, (src, sport), (dst, dport)) =
            (Protocol(request.proto), request.real, request.destination);
        let ends = format!(
            "{}:{src}/{sport} to {}:{dst}/{dport}",
            name(request.real_interface),
            name(request.mapped_interface)
        );
        match exhausted {
            Exhausted::Ports(low, high) => Self::new(
                3,
                202010,
                format!(
                    "PAT pool exhausted, port range {low}-{high}. Unable to create {protocol} connection from {ends}"
                ),
            ),
            Exhausted::Addresses => Self::new(
                3,
                202010,
                format!("NAT pool exhausted. Unable to create {protocol} connection from {ends}"),
            ),
            Exhausted::Table => Self::new(
                3,
                305006,
                format!("portmap translation creation failed for {protocol} src {ends}"),
            ),
        }
    }

    /// 305013, 305006: the evaluator found no valid translation.
    pub fn nat_failed(
        model: &Model,
        ingress: u8,
        tuple: &Tuple,
        decision: &Decision,
        reason: DropReason,
    ) -> Option<Self> {
        let ends = flow(model, ingress, tuple, decision);
        match reason {
            DropReason::RpfFailed => Some(Self::new(
                5,
                305013,
                format!(
                    "Asymmetric NAT rules matched for forward and reverse flows; Connection for {ends} denied due to NAT reverse path failure"
                ),
            )),
            DropReason::XlateFailed => Some(Self::new(
                3,
                305006,
                format!("portmap translation creation failed for {ends}"),
            )),
            _ => None,
        }
    }

    /// 106023: an access list or the security levels deny a packet.
    pub fn denied(model: &Model, ingress: u8, tuple: &Tuple, decision: &Decision) -> Self {
        let denying = decision
            .ingress_acl
            .into_iter()
            .chain(decision.egress_acl)
            .find(|acl| !acl.permit);
        let by = match denying.map(|acl| acl.by) {
            Some(AclBasis::Ace(id)) => model.ace(id).map(|(ace, _)| &*model.acl(ace.acl).name),
            _ => None,
        };
        let by = by.map_or(String::new(), |name| format!(" by access-group \"{name}\""));
        Self::new(
            4,
            106023,
            format!("Deny {}{by}", flow(model, ingress, tuple, decision)),
        )
    }

    /// 106015: a TCP packet that belongs to no connection and begins none.
    pub fn no_connection(model: &Model, ingress: u8, packet: &Packet) -> Self {
        let Tuple {
            src,
            sport,
            dst,
            dport,
            ..
        } = packet.tuple;
        let names = [
            ("FIN", tcp_flags::FIN),
            ("SYN", tcp_flags::SYN),
            ("RST", tcp_flags::RST),
            ("ACK", tcp_flags::ACK),
        ];
        let set: Vec<&str> = names
            .iter()
            .filter(|(_, bit)| packet.tcp_flags() & bit != 0)
            .map(|(name, _)| *name)
            .collect();
        let interface = &model.interface(InterfaceId(ingress)).name;
        let text = format!(
            "Deny TCP (no connection) from {src}/{sport} to {dst}/{dport} flags {} on interface {interface}",
            set.join(" ")
        );
        Self::new(6, 106015, text)
    }

    /// 710005: a request to the device that nothing serves.
    pub fn discarded(model: &Model, ingress: u8, tuple: &Tuple) -> Option<Self> {
        let Tuple {
            proto,
            src,
            sport,
            dst,
            dport,
        } = *tuple;
        let to = End(&model.interface(InterfaceId(ingress)).name, (dst, dport));
        let is_known = matches!(proto, TCP | UDP);
        is_known.then(|| {
            Self::new(
                7,
                710005,
                format!(
                    "{} request discarded from {src}/{sport} to {to}",
                    Protocol(proto)
                ),
            )
        })
    }

    /// 405003: somebody claims an address of ours.
    pub fn address_collision(model: &Model, ingress: u8, arp: &Arp, own: Mac) -> Self {
        let interface = &model.interface(InterfaceId(ingress)).name;
        let text = format!(
            "IP address collision detected between host {} at {} and interface {interface}, {own}.",
            arp.sender, arp.sender_mac
        );
        Self::new(4, 405003, text)
    }
}

/// Real end and mapped address of both sides, the interface with the lower security level first.
fn ends<'a>(model: &'a Model, conn: &Conn) -> [(End<'a>, (Ipv4Addr, u16)); 2] {
    let name = |interface| &*model.interface(InterfaceId(interface)).name;
    let ([real_from, real_to], [mapped_from, mapped_to]) = (conn.real(), conn.mapped());
    let initiator = (End(name(conn.forward.ingress), real_from), mapped_from);
    let responder = (End(name(conn.forward.egress), real_to), mapped_to);
    if conn.inbound {
        [initiator, responder]
    } else {
        [responder, initiator]
    }
}

/// `faddr A/ID gaddr B/0 laddr C/0`: foreign, global (mapped local) and local address.
fn icmp_addresses(conn: &Conn) -> String {
    let ([real_from, real_to], [mapped_from, mapped_to]) = (conn.real(), conn.mapped());
    let identifier = real_from.1;
    let (foreign, global, local) = if conn.inbound {
        (real_from.0, mapped_to.0, real_to.0)
    } else {
        (real_to.0, mapped_from.0, real_from.0)
    };
    format!("faddr {foreign}/{identifier} gaddr {global}/0 laddr {local}/0")
}

fn translation(model: &Model, xlate: &Xlate) -> String {
    let name = |interface| &*model.interface(interface).name;
    let request = &xlate.request;
    let (real, mapped) = (name(request.real_interface), name(request.mapped_interface));
    match xlate.port {
        Some(port) => {
            let mapped = End(mapped, (xlate.address, port));
            format!(
                "{} translation from {} to {mapped}",
                Protocol(request.proto),
                End(real, request.real)
            )
        }
        None => format!(
            "translation from {real}:{} to {mapped}:{}",
            request.real.0, xlate.address
        ),
    }
}

/// `tcp src outside:A/P dst inside:B/Q`.
fn flow(model: &Model, ingress: u8, tuple: &Tuple, decision: &Decision) -> String {
    let name = |interface| &*model.interface(interface).name;
    let from = End(name(InterfaceId(ingress)), (tuple.src, tuple.sport));
    let to = End(
        decision.egress.map_or("", |egress| name(egress.interface)),
        (tuple.dst, tuple.dport),
    );
    format!(
        "{} src {from} dst {to}",
        Protocol(tuple.proto).to_string().to_lowercase()
    )
}
