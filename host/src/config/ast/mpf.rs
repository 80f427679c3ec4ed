//! Modular policy: `class-map`, `policy-map`, `service-policy`, `regex`.

use super::primitive::{Ports, Transport};
use super::{Name, Spanned};

/// `regex NAME "EXPR"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    /// Name.
    pub name: Name,
    /// Expression without its quotes.
    pub expression: Spanned<String>,
}

/// `class-map type regex match-any NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexClass {
    /// Name.
    pub name: Name,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// `match regex NAME` lines.
    pub regexes: Vec<Name>,
}

/// `class-map NAME` of layers 3 and 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    /// Name.
    pub name: Name,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// `match` lines; the device allows one, or `default-inspection-traffic` with an access list.
    pub matches: Vec<Spanned<ClassMatch>>,
}

/// `match` of a `class-map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassMatch {
    /// `any`.
    Any,
    /// `access-list NAME`.
    AccessList(Name),
    /// `default-inspection-traffic`.
    DefaultInspectionTraffic,
    /// `port {tcp|udp} {eq P | range A B}`.
    Port(Transport, Ports),
}

/// `policy-map NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMap {
    /// Name.
    pub name: Name,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// `class NAME` blocks in order.
    pub classes: Vec<PolicyClass>,
}

/// `class NAME` inside a `policy-map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyClass {
    /// The `class-map`.
    pub class: Name,
    /// Actions in order.
    pub actions: Vec<Spanned<ClassAction>>,
}

/// Action of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassAction {
    /// `inspect sip ...` or `inspect skinny ...`.
    Inspect(Inspect),
    /// `inspect PROTO [WORDS]` of a protocol without an inspector here; kept, and a warning.
    InspectOther(String),
    /// `set connection timeout idle H:M:S [reset]`.
    IdleTimeout {
        /// Seconds; 0 is never.
        seconds: u32,
        /// Send resets.
        reset: bool,
    },
    /// `set connection conn-max N ...`.
    ConnectionLimits(ConnectionLimits),
}

/// `inspect {sip|skinny} [MAP] [tls-proxy TP | phone-proxy PP] [uc-ime IME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspect {
    /// Which inspector.
    pub protocol: InspectProtocol,
    /// `policy-map type inspect`.
    pub map: Option<Name>,
    /// `tls-proxy NAME`.
    pub tls_proxy: Option<Name>,
    /// `phone-proxy NAME`.
    pub phone_proxy: Option<Name>,
    /// `uc-ime NAME`.
    pub uc_ime: Option<Name>,
}

/// Protocols with an inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InspectProtocol {
    /// SIP.
    Sip,
    /// SCCP.
    Skinny,
}

/// `set connection ...`; `None` where a limit was not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `conn-max N`.
    pub conn_max: Option<u32>,
    /// `embryonic-conn-max N`.
    pub embryonic_conn_max: Option<u32>,
    /// `per-client-max N`.
    pub per_client_max: Option<u32>,
    /// `per-client-embryonic-max N`.
    pub per_client_embryonic_max: Option<u32>,
}

/// `service-policy NAME {global | interface IF} [fail-close]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePolicy {
    /// The `policy-map`.
    pub policy_map: Name,
    /// Interface by its `nameif`; `None` is `global`.
    pub interface: Option<Name>,
    /// `fail-close`.
    pub fail_close: bool,
}
