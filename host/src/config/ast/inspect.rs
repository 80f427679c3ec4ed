//! `policy-map type inspect` and `class-map type inspect`.

use std::net::IpAddr;

use super::mpf::InspectProtocol;
use super::{Name, Spanned};

/// `policy-map type inspect {sip|skinny} NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectMap {
    /// Which inspector.
    pub protocol: InspectProtocol,
    /// Name.
    pub name: Name,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// Lines of `parameters`: for each kind the last one entered.
    pub parameters: Vec<Spanned<Parameter>>,
    /// `match` and `class` blocks in order.
    pub rules: Vec<InspectRule>,
}

/// A `match` or `class` block and what happens to its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectRule {
    /// What it selects.
    pub condition: Spanned<InspectCondition>,
    /// `{drop | ... } [log]`.
    pub action: Option<Spanned<InspectAction>>,
}

/// What a rule of an inspect map selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectCondition {
    /// `match [not] ...`.
    Match(InspectMatch),
    /// `class NAME`: a `class-map type inspect`.
    Class(Name),
}

/// `{drop|drop-connection|reset|mask|rate-limit N|log} [log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectAction {
    /// What happens to the message; `None` when it is only logged.
    pub verdict: Option<InspectVerdict>,
    /// `log`.
    pub log: bool,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InspectVerdict {
    /// `drop` the message.
    Drop,
    /// `drop-connection`.
    DropConnection,
    /// `reset` the connection.
    Reset,
    /// `mask` the field.
    Mask,
    /// `rate-limit N` messages a second.
    RateLimit(u32),
}

/// `class-map type inspect {sip|skinny} [match-all|match-any] NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectClass {
    /// Which inspector.
    pub protocol: InspectProtocol,
    /// Name.
    pub name: Name,
    /// `match-any`; else all must match.
    pub match_any: bool,
    /// `description TEXT`.
    pub description: Option<Spanned<String>>,
    /// `match` lines.
    pub matches: Vec<Spanned<InspectMatch>>,
}

/// `match [not] ...` on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectMatch {
    /// `not`.
    pub negated: bool,
    /// What is looked at.
    pub subject: MatchSubject,
}

/// What `match` looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchSubject {
    /// A field against expressions.
    Field(SipField, RegexRef),
    /// `content length gt N`.
    ContentLength(u32),
    /// `content type sdp`.
    ContentTypeSdp,
    /// `content type regex ...`.
    ContentType(RegexRef),
    /// `request-method METHOD`.
    RequestMethod(SipMethod),
    /// `uri {sip|tel} length gt N`.
    UriLength(UriScheme, u32),
    /// Skinny `message-id N` or `message-id range A B`.
    MessageId(u32, u32),
}

/// SIP fields that take expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SipField {
    /// `called-party`: To.
    CalledParty,
    /// `calling-party`: From.
    CallingParty,
    /// `im-subscriber`.
    ImSubscriber,
    /// `message-path`: Via.
    MessagePath,
    /// `third-party-registration`.
    ThirdPartyRegistration,
}

/// `regex NAME` or `regex class NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegexRef {
    /// A `regex`.
    Regex(Name),
    /// A `class-map type regex`.
    Class(Name),
}

/// Methods `match request-method` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the method of that name")]
pub enum SipMethod {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Refer,
    Register,
    Subscribe,
    Unknown,
    Update,
}

/// Schemes `match uri` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UriScheme {
    /// `sip`.
    Sip,
    /// `tel`.
    Tel,
}

/// A line of `parameters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `[no] im`, default on.
    Im(bool),
    /// `[no] ip-address-privacy`, default off.
    IpAddressPrivacy(bool),
    /// `[no] traffic-non-sip`, default on.
    TrafficNonSip(bool),
    /// `rtp-conformance [enforce-payloadtype]`.
    RtpConformance {
        /// Whether the payload type must be the negotiated one.
        enforce_payload_type: bool,
    },
    /// `max-forwards-validation action ...`.
    MaxForwardsValidation(InspectAction),
    /// `software-version action ...`.
    SoftwareVersion(InspectAction),
    /// `state-checking action ...`.
    StateChecking(InspectAction),
    /// `strict-header-validation action ...`.
    StrictHeaderValidation(InspectAction),
    /// `uri-non-sip action ...`.
    UriNonSip(InspectAction),
    /// `trust-verification-server ip A`.
    TrustVerificationAddress(IpAddr),
    /// `trust-verification-server port N`.
    TrustVerificationPort(u16),
    /// Skinny `enforce-registration`.
    EnforceRegistration,
    /// Skinny `message-id max N`.
    MessageIdMax(u32),
    /// Skinny `sccp-prefix-len max N`.
    PrefixLengthMax(u32),
    /// Skinny `sccp-prefix-len min N`.
    PrefixLengthMin(u32),
    /// Skinny `timeout media H:M:S`, in seconds.
    MediaTimeout(u32),
    /// Skinny `timeout signaling H:M:S`, in seconds.
    SignalingTimeout(u32),
}
