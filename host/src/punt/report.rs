//! What became of a punted frame.

use super::neighbours::Sent;
use crate::flow::{Conn, Handle, Leg};
use crate::policy::model::{AceId, InterfaceId, NatId};
use crate::policy::{Decision, DropReason};
use crate::wire::{Invalid, Tuple};

/// The end of a punted frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sent on, by the card after re-injection or by the host.
    Forward,
    /// Kept for now: other fragments or the next hop's MAC address are awaited.
    Held,
    /// It was for the device, which dealt with it.
    Local,
    /// Dropped.
    Drop(Drop),
}

/// Why the host drops a frame, in the words of `show asp drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drop {
    /// The evaluator's reason.
    Policy(DropReason),
    /// The headers are impossible.
    Invalid(Invalid),
    /// First packet of a TCP connection without SYN.
    TcpNotSyn,
    /// Neither IPv4 nor ARP.
    NonIp,
    /// An ARP message that is malformed, not ours, or claims our address.
    Arp,
    /// An IP option that may not pass.
    IpOption,
    /// Time to live is 0.
    TtlExceeded,
    /// An ICMP error about a connection nobody has.
    IcmpErrorNoConn,
    /// Fragments overlap, are too many, or their datagram is impossible.
    FragmentFailed,
    /// No service of the device listens.
    NoLocalService,
    /// No port or address is left for a translation.
    XlateFailed,
    /// The next hop does not answer, or there are too many next hops.
    NoAdjacency,
    /// A table is full, or the flow is in use already.
    NoFlow,
    /// An inspected datagram was changed on its way here.
    UdpChecksum,
    /// Its inspector refused the message.
    Inspected,
    /// The card punted what it never should.
    Unexpected,
}

impl Drop {
    /// Name, as counters print it.
    pub const fn name(self) -> &'static str {
        match self {
            Drop::Policy(reason) => reason.name(),
            Drop::Invalid(invalid) => match invalid {
                Invalid::NotIp => "l2_acl",
                Invalid::Runt | Invalid::TruncatedIp => "invalid-ip-length",
                Invalid::BadIpHeader => "invalid-ip-header",
                Invalid::BadIpChecksum => "bad-ip-cksum",
                Invalid::BadSource => "invalid-ip-addr",
                Invalid::Land => "land-attack",
                Invalid::TruncatedL4 => "invalid-l4-length",
                Invalid::BadTcpHeader => "invalid-tcp-hdr-length",
                Invalid::BadUdpLength => "invalid-udp-length",
            },
            Drop::TcpNotSyn => "tcp-not-syn",
            Drop::NonIp => "l2_acl",
            Drop::Arp => "arp-invalid",
            Drop::IpOption => "invalid-ip-option",
            Drop::TtlExceeded => "ttl-exceeded",
            Drop::IcmpErrorNoConn => "inspect-icmp-error-no-existing-conn",
            Drop::FragmentFailed => "fragment-reassembly-failed",
            Drop::NoLocalService => "no-local-service",
            Drop::XlateFailed => "nat-xlate-failed",
            Drop::NoAdjacency => "no-adjacency",
            Drop::NoFlow => "unable-to-create-flow",
            Drop::UdpChecksum => "bad-udp-cksum",
            Drop::Inspected => "inspect-sip-drop",
            Drop::Unexpected => "unexpected-packet",
        }
    }
}

/// What became of a punted frame, for replay and packet-tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The end of it.
    pub verdict: Verdict,
    /// What was done, or the drop's name.
    pub reason: &'static str,
    /// Where it leaves.
    pub egress: Option<InterfaceId>,
    /// The connection it belongs to.
    pub conn: Option<Handle>,
    /// Addresses and ports it leaves with.
    pub sent: Option<Tuple>,
    /// The access-control element that judged its connection.
    pub ace: Option<AceId>,
    /// The NAT rule that translates its connection.
    pub nat: Option<NatId>,
    /// The evaluator's decision, if this was a first packet.
    pub decision: Option<Decision>,
}

impl Report {
    /// A report with nothing but its end.
    pub const fn new(verdict: Verdict, reason: &'static str) -> Self {
        Self {
            verdict,
            reason,
            egress: None,
            conn: None,
            sent: None,
            ace: None,
            nat: None,
            decision: None,
        }
    }
}

impl Report {
    /// A packet of a connection that leaves by a leg with these addresses.
    pub(super) fn forwarded(
        reason: &'static str,
        handle: Handle,
        conn: &Conn,
        leg: &Leg,
        sent: Tuple,
    ) -> Self {
        Self {
            egress: Some(InterfaceId(leg.egress)),
            conn: Some(handle),
            sent: Some(sent),
            ace: conn.ace,
            nat: conn.nat,
            ..Self::new(Verdict::Forward, reason)
        }
    }

    /// Notes what the next hop's entry made of the frame.
    pub(super) fn note(&mut self, sent: Sent) -> Result<(), Drop> {
        match sent {
            Sent::Now => {}
            Sent::Waiting => (self.verdict, self.reason) = (Verdict::Held, "waits-for-arp"),
            Sent::Refused => return Err(Drop::NoAdjacency),
        }
        Ok(())
    }
}

impl From<Drop> for Report {
    fn from(drop: Drop) -> Self {
        Self::new(Verdict::Drop(drop), drop.name())
    }
}

impl From<Invalid> for Report {
    fn from(invalid: Invalid) -> Self {
        Drop::Invalid(invalid).into()
    }
}
