//! Descriptors, punt metadata, verdicts and reason codes.

use crate::table::ACL_SLOTS;

/// What the card did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Left through a port.
    Forward = 0,
    /// Discarded.
    Drop = 1,
    /// Handed to the host.
    Punt = 2,
}

/// Declares the reason codes with verdict, name and meaning.
macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $code:literal, $verdict:ident, $name:literal; )+) => {
        /// Why a packet got its verdict. The code is also the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $( $(#[doc = $doc])+ $variant = $code, )+ }
        impl Reason {
            /// Every reason in code order.
            pub const ALL: &'static [Reason] = &[$( Reason::$variant, )+];
            /// Name in counters, reports and `show` output.
            pub const fn name(self) -> &'static str {
                match self { $( Reason::$variant => $name, )+ }
            }
            /// Meaning, one line.
            pub const fn doc(self) -> &'static str {
                match self { $( Reason::$variant => concat!($($doc),+), )+ }
            }
            /// The verdict that goes with the reason.
            pub const fn verdict(self) -> Verdict {
                match self { $( Reason::$variant => Verdict::$verdict, )+ }
            }
            /// The reason with this code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $( $code => Some(Reason::$variant), )+ _ => None }
            }
        }
    };
}

reasons! {
    /// Known flow, rewritten and sent.
    FlowHit = 0, Forward, "flow-hit";
    /// Injected by the host for a port, sent untouched.
    HostInject = 1, Forward, "host-inject";
    /// Permitted first packet: the host makes the connection.
    FlowMiss = 8, Punt, "flow-miss";
    /// The flow entry says punt (inspected).
    FlowPunt = 9, Punt, "flow-punt";
    /// The flow's next hop is not resolved.
    NoAdjacency = 10, Punt, "no-adjacency";
    /// ARP.
    Arp = 11, Punt, "arp";
    /// Neither IPv4 nor ARP.
    NonIp = 12, Punt, "non-ip";
    /// IPv4 options present; the host checks the header.
    IpOptions = 13, Punt, "ip-options";
    /// A fragment, first ones included.
    Fragment = 14, Punt, "fragment";
    /// Time to live is 0 or 1.
    TtlExpired = 15, Punt, "ttl-expired";
    /// ICMP unreachable, source quench, redirect, time exceeded or parameter problem.
    IcmpError = 16, Punt, "icmp-error";
    /// Addressed to the card itself.
    Local = 17, Punt, "local";
    /// A policy is being loaded: the host decides.
    PolicyHold = 18, Punt, "policy-hold";
    /// The card is not enabled.
    Disabled = 32, Drop, "disabled";
    /// Ends before its EtherType.
    Runt = 33, Drop, "runt";
    /// No interface has this port and VLAN.
    NoInterface = 34, Drop, "no-interface";
    /// Unicast to another MAC address.
    NotOurMac = 35, Drop, "not-our-mac";
    /// Ends inside the IPv4 header.
    TruncatedIp = 36, Drop, "truncated-ip";
    /// Version is not 4, header length below 5, or total length below the header length.
    BadIpHeader = 37, Drop, "bad-ip-header";
    /// IPv4 header checksum is wrong.
    BadIpChecksum = 38, Drop, "bad-ip-checksum";
    /// Source is multicast, class E or the limited broadcast.
    BadSource = 39, Drop, "bad-source";
    /// Source and destination address are equal.
    Land = 40, Drop, "land";
    /// Frame or IPv4 total length ends inside the TCP, UDP or ICMP header.
    TruncatedL4 = 41, Drop, "truncated-l4";
    /// TCP data offset below 5.
    BadTcpHeader = 42, Drop, "bad-tcp-header";
    /// An access-control entry denies it.
    AclDeny = 43, Drop, "acl-deny";
    /// No access-control entry matches.
    AclImplicitDeny = 44, Drop, "acl-implicit-deny";
    /// TCP without a connection and not a SYN.
    TcpNotSyn = 45, Drop, "tcp-not-syn";
}

/// `Metadata::ace` when no access-control entry matched or was consulted.
pub const NO_ACE: u16 = (1 << ACE_BITS) - 1;
/// Bits of an ACL slot's number or [`NO_ACE`].
pub const ACE_BITS: usize = if ACL_SLOTS < 0xfff { 12 } else { 13 };
/// Bits of a frame's length in [`Metadata`]: what a longer number of an ACL slot takes, the length gives.
pub const LENGTH_BITS: usize = 28 - ACE_BITS;
/// `Metadata::destination` when no destination entry matched or was consulted.
pub const NO_DESTINATION: u16 = 0x1ff;
/// `Metadata::flow` when no flow entry matched or was consulted.
pub const NO_FLOW: u16 = 0x1fff;
/// `Metadata::interface` when no interface matched.
pub const NO_INTERFACE: u8 = 0xf;
/// `Metadata::port` of packets injected for lookup keeps the port they pretend to come from.
pub const HOST_PORT: u8 = 2;

entry! {
    /// What the card knows of a packet: in front of each punted frame, and one verdict event per packet.
    Metadata {
        /// Frame bytes without FCS. Zero in a verdict event (length is known only at the end).
        length: u16 = LENGTH_BITS,
        /// Ingress port.
        port: u8 = 2,
        /// The host injected it for lookup.
        reinjected: bool = 1,
        /// Carries an 802.1Q tag.
        tagged: bool = 1,
        /// Ingress interface, or 15.
        interface: u8 = 4,
        /// A `Reason` code.
        reason: u8 = 6,
        /// A `Verdict` code.
        verdict: u8 = 2,
        /// Policy generation that judged it.
        generation: u8 = 8,
        /// Matched ACL slot, or all ones.
        ace: u16 = ACE_BITS,
        /// Matched destination entry within its bank, or 0x1ff.
        destination: u16 = 9,
        /// Matched flow slot, or 0x1fff.
        flow: u16 = 13,
        /// Punt ring for the frame: `hash::queue` of its key, 0 where no key was formed.
        queue: u8 = 2,
    }
}

entry! {
    /// How an injected frame is to be treated.
    InjectDescriptor {
        /// Frame bytes without FCS, 14..=2032.
        length: u16 = 16,
        /// Egress port when direct; the port it pretends to come from when `lookup`.
        port: u8 = 2,
        /// Run it through the lookups (re-injected first packet), else send it as it is.
        lookup: bool = 1,
    }
}

entry! {
    /// One descriptor of the inject ring, 16 bytes in host memory.
    InjectRequest {
        /// As `InjectDescriptor`: frame bytes without FCS.
        length: u16 = 16,
        /// As `InjectDescriptor`: port.
        port: u8 = 2,
        /// As `InjectDescriptor`: lookup.
        lookup: bool = 1,
        /// Ignored.
        reserved: u64 = 45,
        /// Address of the first byte of the frame in host memory; any alignment.
        address: u64 = 64,
    }
}

entry! {
    /// What the card writes to host memory when rings have moved: 32 bytes in one write, behind the frames it tells of.
    DmaStatus {
        /// `PUNT_TAIL` of ring 0.
        punt_tail_0: u16 = 16,
        /// `PUNT_TAIL` of ring 1.
        punt_tail_1: u16 = 16,
        /// `PUNT_TAIL` of ring 2.
        punt_tail_2: u16 = 16,
        /// `PUNT_TAIL` of ring 3.
        punt_tail_3: u16 = 16,
        /// `INJECT_HEAD`.
        inject_head: u16 = 16,
        /// Failed reads and dropped frames of both directions since the function was reset, modulo 2^16.
        errors: u16 = 16,
        /// Zero.
        reserved: u32 = 32,
        /// Counts the writes of this block.
        sequence: u32 = 32,
        /// Zero.
        reserved_1: u64 = 64,
        /// Zero.
        reserved_2: u32 = 32,
    }
}
