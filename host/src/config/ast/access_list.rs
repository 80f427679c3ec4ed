//! `access-list`, `access-group`, `time-range`.

use super::primitive::{Action, Endpoint, IcmpKind, Ports, Protocol};
use super::{Name, Spanned};

/// All entries of one `access-list`, in evaluation order; entry `i` is line `i + 1` (remarks count).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    /// Name; its span is the first line that used it.
    pub name: Name,
    /// Entries; a span covers the whole command.
    pub entries: Vec<Spanned<Entry>>,
}

impl AccessList {
    /// A list with a standard entry: good for routing protocols, not for `access-group` or `class-map`.
    pub fn is_standard(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.node, Entry::Standard(_)))
    }

    /// The extended entries with their line numbers from 1.
    pub fn extended(&self) -> impl Iterator<Item = (usize, &Spanned<Entry>, &ExtendedEntry)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| match &entry.node {
                Entry::Extended(extended) => Some((index + 1, entry, extended)),
                _ => None,
            })
    }
}

/// One line of an access list.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all entries are of the largest kind"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `remark TEXT`.
    Remark(String),
    /// `standard ...`.
    Standard(StandardEntry),
    /// `extended ...`.
    Extended(ExtendedEntry),
}

/// `standard {permit|deny} {any4 | host A | NET MASK}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardEntry {
    /// Verdict.
    pub action: Action,
    /// Address.
    pub address: Endpoint,
}

/// `extended {permit|deny} ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedEntry {
    /// Verdict.
    pub action: Action,
    /// Protocol or service.
    pub protocol: ProtocolSpec,
    /// Source address.
    pub source: Spanned<Endpoint>,
    /// Source port.
    pub source_port: Option<Spanned<PortSpec>>,
    /// Destination address.
    pub destination: Spanned<Endpoint>,
    /// Destination port.
    pub destination_port: Option<Spanned<PortSpec>>,
    /// ICMP type and code.
    pub icmp: Option<Spanned<IcmpSpec>>,
    /// `log ...`.
    pub log: Option<Log>,
    /// `time-range NAME`.
    pub time_range: Option<Name>,
    /// `inactive`.
    pub inactive: bool,
}

/// The protocol part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolSpec {
    /// A protocol by name or number.
    Protocol(Protocol),
    /// `object NAME`: an `object service`.
    Object(Name),
    /// `object-group NAME`: an untyped service group or a protocol group.
    Group(Name),
}

/// The port part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortSpec {
    /// A condition.
    Ports(Ports),
    /// `object-group NAME`: a typed service group.
    Group(Name),
}

/// The ICMP part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IcmpSpec {
    /// Type and code.
    Kind(IcmpKind),
    /// `object-group NAME`: an ICMP-type group.
    Group(Name),
}

/// `log` of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Log {
    /// `log [LEVEL] [interval SECS]`.
    Messages {
        /// Severity 0 to 7.
        level: u8,
        /// Seconds between messages.
        interval_s: u32,
    },
    /// `log default`: what an entry without `log` does.
    Default,
    /// `log disable`.
    Disable,
}

/// `access-group NAME ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGroup {
    /// The access list.
    pub access_list: Name,
    /// Where it is bound.
    pub binding: Binding,
}

/// Where an access list is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `global`.
    Global,
    /// `{in|out} interface IF`.
    Interface {
        /// Which way packets go through the interface.
        direction: Direction,
        /// Interface by its `nameif`.
        interface: Name,
        /// `per-user-override`.
        per_user_override: bool,
        /// `control-plane`: traffic to the device itself.
        control_plane: bool,
    },
}

/// Which way packets go through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `in`: arriving.
    In,
    /// `out`: leaving.
    Out,
}

/// `time-range NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Name.
    pub name: Name,
    /// `absolute [start ...] [end ...]`.
    pub absolute: Option<Spanned<Absolute>>,
    /// `periodic ...` lines.
    pub periodic: Vec<Spanned<Periodic>>,
}

/// `absolute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absolute {
    /// From this minute on.
    pub start: Option<Instant>,
    /// Up to and with this minute.
    pub end: Option<Instant>,
}

/// A minute of a calendar day, in the device's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Year, 1993 to 2035 on the device.
    pub year: u16,
    /// Month 1 to 12.
    pub month: u8,
    /// Day of the month.
    pub day: u8,
    /// Time of day.
    pub time: TimeOfDay,
}

/// `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// `periodic DAYS HH:MM to [DAY] HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// Days it starts on: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// First minute.
    pub from: TimeOfDay,
    /// Day it ends on, 0 = Monday, when that is not the day it started.
    pub until_day: Option<u8>,
    /// Last minute.
    pub until: TimeOfDay,
}
