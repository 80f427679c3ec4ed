//! What a message lets through: ends that packets may go to without an access list.

use std::fmt;
use std::net::Ipv4Addr;

use super::fixup::End;
use super::translate::{Protocol, Way};
use crate::flow::Time;

/// Names a pinhole as long as it is open, and never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinholeId(pub u64);

/// What goes through a pinhole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// SIP itself: its packets are inspected.
    Signalling,
    /// Media.
    Media,
    /// Control of media.
    Control,
}

/// Prints it as the log does.
impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Signalling => "SIGNALLING",
            Purpose::Media => "RTP",
            Purpose::Control => "RTCP",
        })
    }
}

/// Packets that may pass, and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pinhole {
    /// What for.
    pub purpose: Purpose,
    /// Over this.
    pub protocol: Protocol,
    /// The way that packets to the end go.
    pub way: Way,
    /// The end they go to.
    pub to: End,
    /// The address they come from, where it is known.
    pub from: Option<Ipv4Addr>,
    /// It may close when nothing passed for so long; `None` when only the inspector closes it.
    pub idle: Option<Time>,
}

impl Pinhole {
    /// Whether both let through the same, whoever sends.
    pub(super) fn is_alike(&self, other: &Pinhole) -> bool {
        (self.purpose, self.protocol, self.way, self.to)
            == (other.purpose, other.protocol, other.way, other.to)
    }
}
