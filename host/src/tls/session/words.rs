//! What a session says of itself: sides, places, what is to be done, how it ends.

use std::fmt;
use std::net::SocketAddr;

use crate::pki::revocation::Question;
use crate::punt::Event;
use crate::tls::inspect::Direction;

/// A leg of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Towards the peer that dialled: we are its server.
    Server,
    /// Towards the peer behind: we are its client.
    Client,
}

impl Side {
    /// Which way its text goes.
    pub(crate) fn direction(self) -> Direction {
        match self {
            Side::Server => Direction::Forward,
            Side::Client => Direction::Backward,
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Side::Server => Side::Client,
            Side::Client => Side::Server,
        }
    }
}

/// An end of the connection as the peers see it: `outside:192.0.2.254/50437`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the interface.
    pub interface: String,
    /// Address and port.
    pub address: SocketAddr,
}

/// What the owner of the sockets is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the peer behind, and tell how that ended.
    Dial,
    /// Ask about the certificate of the peer of a leg, teach the ledger what comes of it, and tell.
    Ask(Side, Box<Question>),
    /// Write a line to the log.
    Log(Event),
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not yet.
    Open,
    /// After the bytes that are still to be taken.
    Finish,
    /// At once.
    Reset,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}/{}",
            self.interface,
            self.address.ip(),
            self.address.port()
        )
    }
}
