//! What the inspectors log, in the words and numbers of ASA's system log.

use std::fmt;
use std::net::SocketAddrV4;

use super::message::Message;
use super::pinhole::Pinhole;

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

/// An end and the interface it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// `nameif`.
    pub interface: &'a str,
    /// Address and port.
    pub socket: SocketAddrV4,
}

/// Prints `outside:192.0.2.1/5061`.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, socket } = self;
        write!(f, "{interface}:{}/{}", socket.ip(), socket.port())
    }
}

impl Event {
    /// 607001 and 608001: a pinhole opened. `to` and `from` are the interfaces it leads to and from.
    pub fn pre_allocated(
        id: u32,
        protocol: &str,
        pinhole: &Pinhole,
        [to, from]: [&str; 2],
        message: &str,
    ) -> Self {
        let end = Place {
            interface: to,
            socket: pinhole.to.real,
        };
        let source = pinhole
            .from
            .map_or("any".to_owned(), |address| address.to_string());
        let text = format!(
            "Pre-allocate {protocol} {} secondary channel for {end} to {from}:{source} from {message} message",
            pinhole.purpose
        );
        Self {
            severity: 6,
            id,
            text,
        }
    }

    /// 607002: something was done to a message. `what` is said before, `why` behind.
    pub fn acted(what: &str, action: &str, message: &str, ends: [Place<'_>; 2], why: &str) -> Self {
        let [from, to] = ends;
        Self {
            severity: 4,
            id: 607002,
            text: format!("{what}: {action} SIP {message} from {from} to {to}; {why}"),
        }
    }

    /// 607003: a message was seen that was to be logged.
    pub fn noticed(what: &str, message: &str, ends: [Place<'_>; 2], why: &str) -> Self {
        let [from, to] = ends;
        Self {
            severity: 6,
            id: 607003,
            text: format!("{what}: Received SIP {message} from {from} to {to}; {why}"),
        }
    }

    /// 607003 as well: what inspection would do, and does not.
    pub fn dry_run(message: &str, ends: [Place<'_>; 2], what: &str) -> Self {
        let [from, to] = ends;
        Self {
            severity: 6,
            id: 607003,
            text: format!("dry-run: Received SIP {message} from {from} to {to}; {what}"),
        }
    }
}

/// What the log calls a message: `request INVITE`, `response 200`.
pub(super) fn title(message: &Message<'_>) -> String {
    match message.code() {
        Some(code) => format!("response {code}"),
        None => format!("request {}", method(message)),
    }
}

/// The method, printable and not long.
pub(super) fn method(message: &Message<'_>) -> String {
    let method = message.method();
    method[..method.len().min(32)].escape_ascii().to_string()
}

/// Prints `%ASA-6-607001: Pre-allocate ...`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%ASA-{}-{}: {}", self.severity, self.id, self.text)
    }
}
