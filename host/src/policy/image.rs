//! The card's tables for one configuration, and a report of how they came about.
//!
//! Order is meaning: the lowest matching entry wins. Where the driver puts the entries is its own business as
//! long as it keeps their order; the maps here turn an entry's place back into what was configured.

use layout::table::{AclEntry, Destination, Interface};

use super::model::{AceId, InterfaceId, NatId};

/// Entries in order, with the origin of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Interface table from index 0. MAC addresses are zero: the driver fills them in.
    pub interfaces: Vec<Interface>,
    /// One bank of the destination table.
    pub destinations: Vec<Destination>,
    /// Where each of `destinations` comes from.
    pub destination_origins: Vec<DestinationOrigin>,
    /// Access-control entries.
    pub acl: Vec<AclEntry>,
    /// Where each of `acl` comes from.
    pub acl_origins: Vec<AclOrigin>,
}

/// Where a destination entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationOrigin {
    /// A NAT rule: the entry translates as the rule does.
    Nat(NatId),
    /// A NAT rule that the card cannot judge alone: the entry is `local`, the host decides.
    HostDecides(NatId),
    /// An interface's own address or a broadcast address of its subnet.
    Own(InterfaceId),
    /// Multicast and the limited broadcast.
    Multicast,
    /// The table was full: everything not matched before goes to the host.
    Overflow,
}

impl DestinationOrigin {
    /// The NAT rule.
    pub fn nat(self) -> Option<NatId> {
        match self {
            DestinationOrigin::Nat(rule) | DestinationOrigin::HostDecides(rule) => Some(rule),
            _ => None,
        }
    }
}

/// Where an access-control entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclOrigin {
    /// An element of an access list: the entry says what it says.
    Ace(AceId),
    /// An element that the card cannot judge alone: the entry permits, the host decides.
    HostDecides(AceId),
    /// An address of the device: nothing passes through to it.
    Own(InterfaceId),
    /// Security levels of an interface without access list, by a route.
    SecurityLevel(InterfaceId),
    /// The table was full: everything not matched before goes to the host.
    Overflow,
}

impl AclOrigin {
    /// The element of an access list.
    pub fn ace(self) -> Option<AceId> {
        match self {
            AclOrigin::Ace(ace) | AclOrigin::HostDecides(ace) => Some(ace),
            _ => None,
        }
    }
}

/// How many entries the card takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Interfaces.
    pub interfaces: usize,
    /// Entries of one destination bank.
    pub destinations: usize,
    /// ACL slots that one policy may use.
    pub acl: usize,
}

impl Default for Capacity {
    /// The default build of the card.
    fn default() -> Self {
        Self {
            interfaces: layout::table::INTERFACES,
            destinations: layout::table::DESTINATIONS,
            acl: layout::table::ACL_SLOTS,
        }
    }
}

/// What became of the configuration. The image is right in any case: whatever the card cannot do, the host does,
/// only slower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitReport {
    /// Entries the whole configuration would take, by table: used is the smaller of this and the capacity.
    pub wanted: Usage,
    /// What the card offers.
    pub capacity: Usage,
    /// First element that found no slot; it and all after it are decided by the host.
    pub first_ace_left_out: Option<AceId>,
    /// First NAT rule that found no entry.
    pub first_nat_left_out: Option<NatId>,
    /// Interfaces beyond the card's table: their packets are dropped by the card.
    pub interfaces_left_out: Vec<InterfaceId>,
    /// Elements that can never match, and the earlier one that takes their packets; they take no slot.
    pub shadowed: Vec<(AceId, AceId)>,
    /// Elements and rules that the card hands to the host, and why.
    pub host_decides: Vec<(Subject, HostReason)>,
    /// Entries that cannot match an IPv4 packet or are inactive; they take no slot. First element of each entry.
    pub without_effect: Vec<AceId>,
}

/// Entries by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Interfaces.
    pub interfaces: usize,
    /// Destination entries.
    pub destinations: usize,
    /// Access-control entries.
    pub acl: usize,
}

impl FitReport {
    /// Whether everything is in the card.
    pub fn fits(&self) -> bool {
        self.first_ace_left_out.is_none()
            && self.first_nat_left_out.is_none()
            && self.interfaces_left_out.is_empty()
    }
}

/// What a remark of the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An element of an access list.
    Ace(AceId),
    /// A NAT rule.
    Nat(NatId),
}

/// Why the card hands something to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostReason {
    /// It depends on the time of day.
    TimeRange,
    /// The un-NAT depends on the source, which the card's destination table does not see.
    DependsOnSource,
    /// Real and mapped addresses do not lie in aligned blocks of the same size.
    NotAligned,
}

impl HostReason {
    /// One sentence.
    pub const fn text(self) -> &'static str {
        match self {
            HostReason::TimeRange => "depends on the time of day",
            HostReason::DependsOnSource => "depends on the source of the packet",
            HostReason::NotAligned => "maps addresses that are not aligned blocks of one size",
        }
    }
}
