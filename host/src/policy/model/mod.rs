//! What a configuration means, with every name resolved.
//!
//! Made by `lower`; read by the evaluator, the compiler and the machines of the slow path. All numbers
//! (interfaces, access-control elements, NAT rules) are stable for one configuration, so they can stand in tables.
//! IPv6 parts are left out and reported when lowering: this policy judges IPv4.

/// NAT rules.
mod nat;

use std::collections::BTreeMap;

use super::range::{AddressRange, PortSet};
use crate::config::ast::access_list::{Instant, Log, TimeRange};
use crate::config::ast::inspect::{InspectClass, InspectMap};
use crate::config::ast::mpf::{ConnectionLimits, InspectProtocol, Regex, RegexClass};
use crate::config::ast::timeout::{Timeouts, Timer};
use crate::config::{Span, Spanned};

pub use nat::{NatObject, NatRule, NatService, NatSource, Owned, Pool, StaticMap};
pub(super) use nat::{OwnedPorts, shift};

/// Interface number; below [`layout::table::INTERFACES`] it is the card's interface number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u8);

/// Access list number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclId(pub u16);

/// One access-control element: a configured line may expand to many through object groups. Numbers run over all
/// access lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AceId(pub u32);

/// NAT rule number = place in the order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NatId(pub u16);

/// Index into [`Model::classes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub u16);

/// A resolved configuration.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Interfaces, those with a card port first.
    pub interfaces: Vec<Interface>,
    /// No interface was configured: the pair outside, inside was assumed.
    pub assumed_interfaces: bool,
    /// Routes, longest prefix first, then lowest metric.
    pub routes: Vec<Route>,
    /// `same-security-traffic permit inter-interface`.
    pub inter_interface: bool,
    /// `same-security-traffic permit intra-interface`.
    pub intra_interface: bool,
    /// Access lists.
    pub access_lists: Vec<AccessList>,
    /// `access-group NAME global`.
    pub global_acl: Option<Bound>,
    /// NAT rules in the order of evaluation, sections 1, 2, 3.
    pub nat: Vec<NatRule>,
    /// Ports that static rules own, for whoever allocates PAT ports.
    pub owned: Owned,
    /// `xlate per-session`, first match wins; the device's defaults come last.
    pub per_session: Vec<PerSession>,
    /// Classes of the service policies: those of interfaces first, since they override global ones.
    pub classes: Vec<Class>,
    /// `policy-map type inspect`.
    pub inspect_maps: Vec<InspectMap>,
    /// `class-map type inspect`.
    pub inspect_classes: Vec<InspectClass>,
    /// `regex`.
    pub regexes: Vec<Spanned<Regex>>,
    /// `class-map type regex`.
    pub regex_classes: Vec<RegexClass>,
    /// `timeout`.
    pub timeouts: Timeouts,
    /// `time-range` by name.
    pub time_ranges: BTreeMap<String, TimeRange>,
    /// Time at which entries with a time range are judged; see [`Model::set_clock`].
    pub clock: Option<Instant>,
}

/// An interface with a name.
#[derive(Clone, Debug)]
pub struct Interface {
    /// `nameif`.
    pub name: String,
    /// Hardware name.
    pub hardware: String,
    /// Card port: 0 is `GigabitEthernet0/0`, 1 is `GigabitEthernet0/1`; others are not on the card.
    pub port: Option<u8>,
    /// 802.1Q tag.
    pub vlan: Option<u16>,
    /// Own address.
    pub address: Option<InterfaceAddress>,
    /// Security level.
    pub level: u8,
    /// `shutdown`, here or at the parent.
    pub shutdown: bool,
    /// `management-only`: nothing passes through.
    pub management_only: bool,
    /// `access-group ... in`.
    pub in_acl: Option<Bound>,
    /// `access-group ... out`.
    pub out_acl: Option<Bound>,
    /// The `nameif` line; `None` when assumed.
    pub span: Option<Span>,
}

/// Address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Own address, as a range of one, so that it can stand where pools stand.
    pub own: AddressRange,
    /// The connected subnet.
    pub subnet: AddressRange,
    /// Its prefix length.
    pub prefix: u8,
}

impl InterfaceAddress {
    /// Own address.
    pub fn address(&self) -> u32 {
        self.own.low
    }
}

/// An access list bound by `access-group`.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Which list.
    pub acl: AclId,
    /// The `access-group` line.
    pub span: Span,
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Destinations.
    pub destination: AddressRange,
    /// Prefix length of `destination`.
    pub prefix: u8,
    /// Egress interface.
    pub interface: InterfaceId,
    /// Gateway; `None` when the destination itself is the next hop.
    pub gateway: Option<u32>,
    /// Distance; 0 when connected.
    pub metric: u8,
    /// The line it comes from: `route` or `ip address`; `None` when assumed.
    pub span: Option<Span>,
}

/// An access list.
#[derive(Clone, Debug)]
pub struct AccessList {
    /// Name.
    pub name: String,
    /// Number of its first element.
    pub first: AceId,
    /// Active and inactive extended entries in order.
    pub aces: Vec<Ace>,
    /// For each entry, a box around all it can match: a quick first look.
    pub(super) bounds: Vec<Bounds>,
}

/// An extended entry. Its elements are the product services × sources × destinations, in that order.
#[derive(Clone, Debug)]
pub struct Ace {
    /// Its list.
    pub acl: AclId,
    /// Line number from 1, remarks counted.
    pub line: u32,
    /// `permit`.
    pub permit: bool,
    /// Protocols and ports.
    pub services: Vec<ServiceMatch>,
    /// Source addresses.
    pub sources: Vec<AddressRange>,
    /// Destination addresses.
    pub destinations: Vec<AddressRange>,
    /// Number of its first element.
    pub first: AceId,
    /// When it counts.
    pub activity: Activity,
    /// `log`.
    pub log: Option<Log>,
    /// What was left out: IPv6 addresses, unresolved domain names.
    pub left_out: Vec<LeftOut>,
    /// The configured line.
    pub span: Span,
}

impl Ace {
    /// How many elements it has.
    pub fn elements(&self) -> u32 {
        (self.services.len() * self.sources.len() * self.destinations.len()) as u32
    }

    /// Element number `index` of the entry: its service, source and destination.
    pub fn element(&self, index: u32) -> Option<(&ServiceMatch, AddressRange, AddressRange)> {
        let index = index as usize;
        let per_source = self.destinations.len();
        let per_service = per_source * self.sources.len();
        let service = self.services.get(index.checked_div(per_service)?)?;
        let source = self.sources[index % per_service / per_source];
        Some((service, source, self.destinations[index % per_source]))
    }
}

/// When an entry counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Always.
    Always,
    /// Never: `inactive`.
    Inactive,
    /// While the named time range lasts; `now` is its state at [`Model::clock`].
    During {
        /// `time-range`.
        name: String,
        /// Whether it lasts now.
        now: bool,
    },
}

impl Activity {
    /// Whether the entry counts now.
    pub fn is_active(&self) -> bool {
        matches!(self, Activity::Always | Activity::During { now: true, .. })
    }
}

/// Part of an operand that no IPv4 packet can match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// An IPv6 address or protocol.
    Ipv6,
    /// A domain name, which nobody has resolved.
    Fqdn(String),
}

/// A protocol and its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceMatch {
    /// IP protocol; `None` is every protocol.
    pub protocol: Option<u8>,
    /// Source ports.
    pub source: PortSet,
    /// Destination ports; for ICMP `type << 8 | code`.
    pub destination: PortSet,
}

impl ServiceMatch {
    /// Every port of one protocol, or of all.
    pub fn all(protocol: Option<u8>) -> Self {
        Self {
            protocol,
            source: PortSet::any(),
            destination: PortSet::any(),
        }
    }

    /// Whether a packet's protocol and ports match.
    pub fn matches(&self, protocol: u8, source: u16, destination: u16) -> bool {
        self.protocol.is_none_or(|own| own == protocol)
            && self.source.contains(source)
            && self.destination.contains(destination)
    }
}

/// The smallest box around all an entry can match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) source: AddressRange,
    pub(super) destination: AddressRange,
    pub(super) protocol: Option<u8>,
}

/// `xlate per-session`.
#[derive(Clone, Debug)]
pub struct PerSession {
    /// `permit`: the translation ends with its connection.
    pub permit: bool,
    /// Protocol and ports.
    pub service: ServiceMatch,
    /// Sources.
    pub sources: Vec<AddressRange>,
    /// Destinations.
    pub destinations: Vec<AddressRange>,
    /// The line; `None` for the device's defaults.
    pub span: Option<Span>,
}

/// A class of a service policy.
#[derive(Clone, Debug)]
pub struct Class {
    /// `class-map`.
    pub name: String,
    /// `policy-map`.
    pub policy: String,
    /// Interface of the service policy; `None` is global.
    pub interface: Option<InterfaceId>,
    /// What it selects; all must hold.
    pub matches: Vec<ClassSelector>,
    /// `inspect sip` or `inspect skinny`.
    pub inspect: Option<Inspection>,
    /// Other protocols that are named by `inspect`; nothing inspects them here.
    pub inspect_other: Vec<String>,
    /// `set connection timeout idle`, in seconds; 0 is never.
    pub idle_s: Option<(u32, Span)>,
    /// `set connection ...`.
    pub limits: Option<(ConnectionLimits, Span)>,
    /// Name in `class-map`, in `policy-map`, in `class`, and the `service-policy` line.
    pub spans: [Span; 4],
}

/// What a class selects.
#[derive(Clone, Debug)]
pub enum ClassSelector {
    /// Everything.
    Any,
    /// What an access list permits, on real addresses.
    AccessList(AclId),
    /// The usual ports of whatever protocol is inspected.
    DefaultInspection,
    /// A destination port.
    Service(Vec<ServiceMatch>),
}

/// `inspect ...` of a class.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Which inspector.
    pub protocol: InspectProtocol,
    /// `policy-map type inspect`.
    pub map: Option<String>,
    /// `tls-proxy`.
    pub tls_proxy: Option<String>,
    /// The class of connections that the other side dials, whose proxy has the trustpoints of this one's the other way
    /// round.
    pub answering: Option<ClassId>,
    /// The `inspect` line.
    pub span: Span,
}

impl Model {
    /// The interface.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        &self.interfaces[usize::from(id.0)]
    }

    /// The `tls-proxy` that a class names.
    pub fn tls_proxy(&self, id: ClassId) -> Option<&str> {
        self.class(id).inspect.as_ref()?.tls_proxy.as_deref()
    }

    /// Classes of a name that inspect SIP: one for each policy that has it.
    pub fn sip_classes(&self, name: &str) -> impl Iterator<Item = ClassId> {
        let classes = self.classes.iter().enumerate();
        let named = classes.filter(move |(_, class)| {
            let inspect = class.inspect.as_ref();
            class.name == name
                && inspect.is_some_and(|inspect| inspect.protocol == InspectProtocol::Sip)
        });
        named.map(|(index, _)| ClassId(index as u16))
    }

    /// The interface with this `nameif`.
    pub fn interface_named(&self, name: &str) -> Option<InterfaceId> {
        self.interface_ids()
            .find(|&id| self.interface(id).name == name)
    }

    /// All interface numbers.
    pub fn interface_ids(&self) -> impl Iterator<Item = InterfaceId> + use<> {
        (0..self.interfaces.len() as u8).map(InterfaceId)
    }

    /// The access list.
    pub fn acl(&self, id: AclId) -> &AccessList {
        &self.access_lists[usize::from(id.0)]
    }

    /// The NAT rule.
    pub fn nat_rule(&self, id: NatId) -> &NatRule {
        &self.nat[usize::from(id.0)]
    }

    /// The class.
    pub fn class(&self, id: ClassId) -> &Class {
        &self.classes[usize::from(id.0)]
    }

    /// The configured entry an element belongs to, and the element's number in it.
    pub fn ace(&self, id: AceId) -> Option<(&Ace, u32)> {
        let after = self.access_lists.partition_point(|acl| acl.first <= id);
        let acl = self.access_lists[..after]
            .iter()
            .rfind(|acl| !acl.aces.is_empty())?;
        let after = acl.aces.partition_point(|ace| ace.first <= id);
        let ace = acl.aces[..after].iter().rfind(|ace| ace.elements() > 0)?;
        let index = id.0 - ace.first.0;
        (index < ace.elements()).then_some((ace, index))
    }

    /// Seconds of a timer; 0 is never.
    pub fn timeout_s(&self, timer: Timer) -> u32 {
        self.timeouts.seconds(timer)
    }

    /// Ranges a dynamic rule's PAT may use towards an egress interface, in order of preference.
    pub fn pat_ranges(
        &self,
        rule: NatId,
        egress: InterfaceId,
    ) -> impl Iterator<Item = AddressRange> {
        let pool = match &self.nat_rule(rule).source {
            NatSource::Dynamic { pool, .. } => Some(pool),
            NatSource::Static(_) => None,
        };
        let interface = pool
            .filter(|pool| pool.interface)
            .and(self.interface(egress).address)
            .map(|address| address.own);
        pool.into_iter()
            .flat_map(|pool| pool.pat.ranges.iter().copied())
            .chain(interface)
    }
}
