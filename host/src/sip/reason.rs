//! Why a message does not pass.

use std::fmt;

use super::fault::Fault;

/// Why a message does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is malformed.
    Fault(Fault),
    /// It is not SIP, and `no traffic-non-sip` is configured.
    NonSip,
    /// `max-forwards-validation`.
    MaxForwards,
    /// `strict-header-validation`.
    Strict(Fault),
    /// `state-checking`.
    State,
    /// `no im`.
    InstantMessage,
    /// A rule of the inspect map.
    Rule,
    /// A rule's `rate-limit`.
    RateLimit,
    /// A request whose Via names the address 0.0.0.0.
    ViaUnspecified,
    /// Its source begins too many sessions.
    SourceRate,
    /// There are as many sessions as there may be, all of them answered.
    SessionsFull,
    /// Its Call-ID would be seen as that of another session.
    CallIdTaken,
    /// No translation could be made for an address in it.
    XlateFailed,
    /// A session description that cannot be read: encoded, or behind too many parts.
    Hidden,
    /// The connection was given up before.
    Connection,
    /// A Skinny message whose prefix length is out of bounds.
    PrefixLength,
    /// A Skinny message whose number is out of bounds.
    MessageId,
    /// A Skinny message of a phone that did not register.
    NotRegistered,
}

impl Reason {
    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Fault(fault) => fault.name(),
            Reason::NonSip => "non-sip",
            Reason::MaxForwards => "max-forwards",
            Reason::Strict(_) => "strict-header",
            Reason::State => "state",
            Reason::InstantMessage => "im",
            Reason::Rule => "rule",
            Reason::RateLimit => "rate-limit",
            Reason::ViaUnspecified => "via-unspecified",
            Reason::SourceRate => "source-rate",
            Reason::SessionsFull => "sessions-full",
            Reason::CallIdTaken => "call-id-taken",
            Reason::XlateFailed => "xlate-failed",
            Reason::Hidden => "hidden-description",
            Reason::Connection => "connection-given-up",
            Reason::PrefixLength => "prefix-length",
            Reason::MessageId => "message-id",
            Reason::NotRegistered => "not-registered",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Fault(fault) => write!(f, "malformed: {fault}"),
            Reason::Strict(fault) => write!(f, "strict-header-validation: {fault}"),
            _ => f.write_str(self.name()),
        }
    }
}
