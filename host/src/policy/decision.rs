//! The evaluator's answer for the first packet of a connection, for machines and for people.

use layout::table::Key;

use super::model::{AceId, ClassId, InterfaceId, NatId};

/// What happens, and everything that led to it. Fields are filled up to the step that dropped the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The end of it.
    pub verdict: Verdict,
    /// The un-NAT that was found.
    pub untranslate: Option<Untranslate>,
    /// Real destination address: after un-NAT.
    pub destination: u32,
    /// Real destination port (ICMP: type and code as in the key).
    pub destination_port: u16,
    /// Where it leaves.
    pub egress: Option<Egress>,
    /// What the ingress side's access lists or security levels said.
    pub ingress_acl: Option<AclResult>,
    /// What the egress interface's `out` list said, if there is one.
    pub egress_acl: Option<AclResult>,
    /// Source translation.
    pub source: SourceTranslation,
    /// The reverse-path check of NAT: the rule that would translate the answer.
    pub reverse: Option<NatId>,
    /// Whether the translation ends with the connection (`xlate per-session`).
    pub per_session: bool,
    /// The class that sends the flow to an inspector.
    pub inspect: Option<ClassId>,
    /// The class that sets the idle timeout or limits.
    pub settings: Option<ClassId>,
}

impl Decision {
    /// That a packet passes as it is, before anything was looked at.
    pub(super) fn permitted(key: &Key) -> Self {
        Self {
            verdict: Verdict::Permit,
            untranslate: None,
            destination: key.dst,
            destination_port: key.dport,
            egress: None,
            ingress_acl: None,
            egress_acl: None,
            source: SourceTranslation::None,
            reverse: None,
            per_session: false,
            inspect: None,
            settings: None,
        }
    }
}

/// The end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A connection is made and the packet sent on.
    Permit,
    /// For the device itself: its address, a broadcast, a multicast.
    Local,
    /// Dropped.
    Drop(DropReason),
}

/// Why a first packet is dropped, in the words of `show asp drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// The ingress or egress interface is shut down.
    InterfaceDown,
    /// No route to the destination.
    NoRoute,
    /// An access list or the security levels deny it.
    AclDrop,
    /// Equal security levels or one interface in and out, without `same-security-traffic`; an address of the device
    /// on another interface than the packet came in on; or an interface that is `management-only`.
    SecurityFailed,
    /// No translation can be made.
    XlateFailed,
    /// Addressed to a shared PAT address, and no connection is known there.
    NoXlateToPatPool,
    /// Forward and reverse direction would match different NAT rules.
    RpfFailed,
}

impl DropReason {
    /// Name, as counters print it.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::InterfaceDown => "interface-down",
            DropReason::NoRoute => "no-route",
            DropReason::AclDrop => "acl-drop",
            DropReason::SecurityFailed => "sp-security-failed",
            DropReason::XlateFailed => "nat-xlate-failed",
            DropReason::NoXlateToPatPool => "nat-no-xlate-to-pat-pool",
            DropReason::RpfFailed => "nat-rpf-failed",
        }
    }

    /// One sentence.
    pub const fn text(self) -> &'static str {
        match self {
            DropReason::InterfaceDown => "Interface is down",
            DropReason::NoRoute => "No route to host",
            DropReason::AclDrop => "Flow is denied by configured rule",
            DropReason::SecurityFailed => "Slowpath security checks failed",
            DropReason::XlateFailed => "NAT failed",
            DropReason::NoXlateToPatPool => "Connection to PAT address without pre-existing xlate",
            DropReason::RpfFailed => "NAT reverse path failed",
        }
    }
}

/// A destination that a NAT rule maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Untranslate {
    /// The rule.
    pub rule: NatId,
    /// Which way the packet goes through it.
    pub way: Way,
}

/// Which way a packet goes through a NAT rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the real side to the mapped side: its source is the rule's source.
    Forward,
    /// From the mapped side to the real side: its destination is the rule's source.
    Reverse,
}

/// Where a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Egress {
    /// Interface.
    pub interface: InterfaceId,
    /// Next hop address: the gateway, or the destination itself.
    pub next_hop: u32,
    /// Index into `Model::routes` of the route that gave the next hop.
    pub route: usize,
    /// The NAT rule chose the interface, not the routing table.
    pub diverted: bool,
}

/// What an access list or the security levels said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AclResult {
    /// Passed.
    pub permit: bool,
    /// What decided.
    pub by: AclBasis,
}

/// What decided about access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclBasis {
    /// An element.
    Ace(AceId),
    /// No entry matched: the deny at the end of every list.
    ImplicitDeny,
    /// No list is bound: the security levels.
    SecurityLevel,
}

/// What happens to the source address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceTranslation {
    /// Nothing.
    None,
    /// A static rule.
    Static {
        /// The rule.
        rule: NatId,
        /// Mapped address.
        address: u32,
        /// Mapped port; the packet's own where the rule names none.
        port: u16,
    },
    /// An address of the rule's one-to-one pool (then its PAT, see [`Model::pat_ranges`](super::Model::pat_ranges)).
    DynamicNat {
        /// The rule.
        rule: NatId,
    },
    /// A port of [`Model::pat_ranges`](super::Model::pat_ranges); the packet's own port if it is free.
    DynamicPat {
        /// The rule.
        rule: NatId,
    },
}

impl SourceTranslation {
    /// The rule.
    pub fn rule(self) -> Option<NatId> {
        match self {
            SourceTranslation::None => None,
            SourceTranslation::Static { rule, .. }
            | SourceTranslation::DynamicNat { rule }
            | SourceTranslation::DynamicPat { rule } => Some(rule),
        }
    }
}
