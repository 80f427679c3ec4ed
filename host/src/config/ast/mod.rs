//! The configuration tree: what a device would hold after reading the text.
//!
//! Names are not resolved here: a reference is the name as written, with its place. `no`, `clear configure`,
//! `line N` and reopened blocks are already applied; what a later line replaced is in
//! [`Parsed::overwritten`](super::Parsed::overwritten), since a replacement is often a typing mistake.

/// Addresses, ports, protocols and services: the words all topics share.
pub mod primitive;
/// Interfaces, routes, same-security traffic.
pub mod interface;
/// `object` and `object-group`.
pub mod object;
/// `access-list`, `access-group`, `time-range`.
pub mod access_list;
/// Object NAT, twice NAT, `xlate per-session`.
pub mod nat;
/// `tls-proxy`.
pub mod tls_proxy;
/// `class-map`, `policy-map`, `service-policy`, `regex`.
pub mod mpf;
/// `policy-map type inspect` and `class-map type inspect`.
pub mod inspect;
/// `timeout`.
pub mod timeout;

use super::source::{Flag, Name, Span, Spanned};
use access_list::{AccessGroup, AccessList, TimeRange};
use inspect::{InspectClass, InspectMap};
use interface::{Interface, Mtu, Route, SameSecurity};
use mpf::{ClassMap, PolicyMap, Regex, RegexClass, ServicePolicy};
use nat::{ObjectNat, TwiceNat, XlatePerSession};
use object::{
    IcmpGroup, NetworkDefinition, NetworkGroup, NetworkObject, ProtocolGroup, ServiceGroup,
    ServiceObject,
};
use timeout::Timeouts;
use tls_proxy::TlsProxy;

/// A whole configuration, each kind in the order it was entered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `hostname`.
    pub hostname: Option<Name>,
    /// `domain-name`.
    pub domain_name: Option<Name>,
    /// `no names` was entered: numbers are shown instead of names of hosts.
    pub no_names: Flag,
    /// `interface` blocks, hardware and sub-interfaces.
    pub interfaces: Vec<Interface>,
    /// `mtu IF BYTES`.
    pub mtus: Vec<Spanned<Mtu>>,
    /// `route`.
    pub routes: Vec<Spanned<Route>>,
    /// `same-security-traffic permit`.
    pub same_security: SameSecurity,
    /// `object network`.
    pub network_objects: Vec<NetworkObject>,
    /// `object service`.
    pub service_objects: Vec<ServiceObject>,
    /// `object-group network`.
    pub network_groups: Vec<NetworkGroup>,
    /// `object-group service`.
    pub service_groups: Vec<ServiceGroup>,
    /// `object-group protocol`.
    pub protocol_groups: Vec<ProtocolGroup>,
    /// `object-group icmp-type`.
    pub icmp_groups: Vec<IcmpGroup>,
    /// `time-range`.
    pub time_ranges: Vec<TimeRange>,
    /// `access-list`, entries in evaluation order.
    pub access_lists: Vec<AccessList>,
    /// `access-group`.
    pub access_groups: Vec<Spanned<AccessGroup>>,
    /// Twice NAT of section 1 in evaluation order.
    pub nat_before_auto: Vec<Spanned<TwiceNat>>,
    /// Twice NAT of section 3 (`after-auto`) in evaluation order.
    pub nat_after_auto: Vec<Spanned<TwiceNat>>,
    /// `xlate per-session` in evaluation order.
    pub xlate_per_session: Vec<Spanned<XlatePerSession>>,
    /// `timeout`.
    pub timeouts: Timeouts,
    /// `tls-proxy maximum-session`.
    pub tls_proxy_limit: Option<Spanned<u32>>,
    /// `tls-proxy NAME`.
    pub tls_proxies: Vec<TlsProxy>,
    /// `regex`.
    pub regexes: Vec<Spanned<Regex>>,
    /// `class-map type regex`.
    pub regex_classes: Vec<RegexClass>,
    /// `class-map` of layers 3 and 4.
    pub class_maps: Vec<ClassMap>,
    /// `class-map type inspect`.
    pub inspect_classes: Vec<InspectClass>,
    /// `policy-map type inspect`.
    pub inspect_maps: Vec<InspectMap>,
    /// `policy-map`.
    pub policy_maps: Vec<PolicyMap>,
    /// `service-policy`.
    pub service_policies: Vec<Spanned<ServicePolicy>>,
    /// Commands kept word for word because another part of the product reads them (`crypto`, `ssl`).
    pub kept: Vec<Kept>,
}

/// A command kept word for word, with the lines of its sub-mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The command, blanks normalised.
    pub command: Spanned<String>,
    /// Lines of its sub-mode or of the pasted data that belongs to it, in order.
    pub body: Vec<Spanned<String>>,
    /// The body is data pasted up to `quit` (a certificate), not commands.
    pub is_data: bool,
}

/// Something a later line took the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// The object, as named by the later block.
    pub object: Name,
    /// What was lost.
    pub lost: Lost,
    /// The line that replaced it.
    pub by: Span,
}

/// What a later line replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// `host`, `subnet`, `range` or `fqdn` of an `object network`; only when the new one differs.
    Definition(Spanned<NetworkDefinition>),
    /// The `nat` of an `object network`; only when the new one differs.
    Nat(Spanned<ObjectNat>),
}
