//! `show conn` and `show xlate`.

use std::fmt;
use std::net::Ipv4Addr;

use super::Time;
use super::conn::{Conn, State};
use super::xlate::Xlate;
use crate::config::ast::timeout::Timer;
use crate::policy::Model;
use crate::policy::model::InterfaceId;
use crate::wire::packet::{ICMP, TCP, UDP};

/// A duration as ASA prints it: `0:01:37`.
pub struct Clock(pub Time);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(
            f,
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

/// A protocol as the log and `show` name it.
pub struct Protocol(pub u8);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TCP => f.pad("TCP"),
            UDP => f.pad("UDP"),
            ICMP => f.pad("ICMP"),
            other => write!(f, "IP {other}"),
        }
    }
}

/// One line of `show conn`: the end on the interface with the lower security level first.
pub struct ShowConn<'a> {
    /// Configuration, for names.
    pub model: &'a Model,
    /// The connection.
    pub conn: &'a Conn,
    /// Time of the command.
    pub now: Time,
}

impl fmt::Display for ShowConn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, conn, now } = self;
        write!(f, "{}", Protocol(conn.proto()))?;
        for (interface, address, port) in Ends::of(model, conn).0 {
            write!(f, " {interface} {address}:{port}")?;
        }
        let bytes = conn.seen[0].bytes + conn.seen[1].bytes;
        let idle = Clock(now.saturating_sub(conn.last));
        write!(f, ", idle {idle}, bytes {bytes}, flags {}", flags(conn))
    }
}

/// Interface, real address and port of both ends: the one on the interface with the lower security level first.
pub struct Ends<'a>(pub [(&'a str, Ipv4Addr, u16); 2]);

impl<'a> Ends<'a> {
    /// Those of a connection.
    pub fn of(model: &'a Model, conn: &Conn) -> Self {
        let leg = &conn.forward;
        let name = |interface| model.interface(InterfaceId(interface)).name.as_str();
        let [initiator, responder] = conn.real();
        let mut ends = [
            (name(leg.ingress), initiator.0, initiator.1),
            (name(leg.egress), responder.0, responder.1),
        ];
        if !conn.inbound {
            ends.reverse();
        }
        Self(ends)
    }
}

/// Flags of `show conn`. Whether data passed is told from more packets than a handshake needs.
pub fn flags(conn: &Conn) -> String {
    let [forward, reverse] = conn.seen;
    let (inbound, outbound) = if conn.inbound {
        (forward, reverse)
    } else {
        (reverse, forward)
    };
    let mut flags = String::new();
    if conn.proto() == TCP {
        let state = conn.state();
        match (
            state == State::Embryonic,
            reverse.packets == 0,
            conn.inbound,
        ) {
            (true, true, false) => flags.push_str("saA"),
            (true, true, true) => flags.push_str("SaA"),
            (true, false, false) => flags.push('a'),
            (true, false, true) => flags.push('A'),
            (false, ..) => flags.push('U'),
        }
        let handshake = |is_initiator: bool| if is_initiator { 2 } else { 1 };
        let is_open = state != State::Embryonic;
        let marks = [
            ('I', is_open && inbound.packets > handshake(conn.inbound)),
            ('O', is_open && outbound.packets > handshake(!conn.inbound)),
            ('F', inbound.fin),
            ('f', outbound.fin),
        ];
        flags.extend(
            marks
                .iter()
                .filter(|(_, is_set)| *is_set)
                .map(|(mark, _)| mark),
        );
    }
    if conn.inspect.is_some() {
        flags.push('T');
    }
    if conn.inbound && conn.proto() == TCP {
        flags.push('B');
    }
    if flags.is_empty() {
        flags.push('-');
    }
    flags
}

/// One entry of `show xlate`.
pub struct ShowXlate<'a> {
    /// Configuration, for names.
    pub model: &'a Model,
    /// The translation.
    pub xlate: &'a Xlate,
    /// Time of the command.
    pub now: Time,
}

impl fmt::Display for ShowXlate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, xlate, now } = self;
        let request = &xlate.request;
        let real_interface = &model.interface(request.real_interface).name;
        let mapped_interface = &model.interface(request.mapped_interface).name;
        let (real, real_port) = request.real;
        let (mapped, extended) = (xlate.address, if xlate.extended { "e" } else { "" });
        let idle = Clock(now.saturating_sub(xlate.used));
        match xlate.port {
            Some(port) => {
                let timeout = if request.per_session {
                    0
                } else {
                    model.timeout_s(Timer::PatXlate)
                };
                write!(
                    f,
                    "{} PAT from {real_interface}:{real}/{real_port} to ",
                    Protocol(request.proto)
                )?;
                write!(
                    f,
                    "{mapped_interface}:{mapped}/{port} flags {extended}ri idle {idle} timeout "
                )?;
                write!(f, "{}", Clock(Time::from_secs(timeout.into())))
            }
            None => {
                let timeout = Clock(Time::from_secs(model.timeout_s(Timer::Xlate).into()));
                write!(
                    f,
                    "NAT from {real_interface}:{real} to {mapped_interface}:{mapped} "
                )?;
                write!(f, "flags i idle {idle} timeout {timeout}")
            }
        }
    }
}

/// The first line of either command: `5 in use, 7 most used`.
pub struct InUse {
    /// Entries now.
    pub now: usize,
    /// The most there ever were.
    pub most: usize,
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in use, {} most used", self.now, self.most)
    }
}
