//! `policy-map type inspect sip`, ready to judge messages.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::address::{Scheme, addresses, uri};
use super::field::Field;
use super::message::{Message, StartLine};
use super::rate::Bucket;
use super::scan::Span;
use crate::config::ast::inspect::{
    InspectAction, InspectClass, InspectCondition, InspectMap, InspectMatch, InspectVerdict,
    MatchSubject, Parameter, RegexRef, SipField, SipMethod, UriScheme,
};
use crate::config::ast::mpf::{self, InspectProtocol, RegexClass};
use crate::config::{Name, Spanned};
use crate::flow::Time;
use crate::policy::Model;

/// Bytes that a compiled expression may take.
const REGEX_BYTES: usize = 256 * 1024;

/// `parameters` of an inspect map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `im`.
    pub im: bool,
    /// `ip-address-privacy`.
    pub ip_address_privacy: bool,
    /// `traffic-non-sip`.
    pub traffic_non_sip: bool,
    /// `max-forwards-validation`.
    pub max_forwards: Option<InspectAction>,
    /// `software-version`.
    pub software_version: Option<InspectAction>,
    /// `state-checking`.
    pub state_checking: Option<InspectAction>,
    /// `strict-header-validation`.
    pub strict_header: Option<InspectAction>,
    /// `uri-non-sip`.
    pub uri_non_sip: Option<InspectAction>,
}

impl Default for Parameters {
    /// As a device has them: a message with no hop left is dropped and logged.
    fn default() -> Self {
        Self {
            im: true,
            ip_address_privacy: false,
            traffic_non_sip: true,
            max_forwards: Some(InspectAction {
                verdict: Some(InspectVerdict::Drop),
                log: true,
            }),
            software_version: None,
            state_checking: None,
            strict_header: None,
            uri_non_sip: None,
        }
    }
}

impl Parameters {
    fn of(map: &InspectMap) -> Self {
        let mut own = Self::default();
        for line in &map.parameters {
            match line.node {
                Parameter::Im(is_on) => own.im = is_on,
                Parameter::IpAddressPrivacy(is_on) => own.ip_address_privacy = is_on,
                Parameter::TrafficNonSip(is_on) => own.traffic_non_sip = is_on,
                Parameter::MaxForwardsValidation(action) => own.max_forwards = Some(action),
                Parameter::SoftwareVersion(action) => own.software_version = Some(action),
                Parameter::StateChecking(action) => own.state_checking = Some(action),
                Parameter::StrictHeaderValidation(action) => own.strict_header = Some(action),
                Parameter::UriNonSip(action) => own.uri_non_sip = Some(action),
                // Media and the trust verification server are not the inspector's; the rest is Skinny's.
                Parameter::RtpConformance { .. }
                | Parameter::TrustVerificationAddress(_)
                | Parameter::TrustVerificationPort(_)
                | Parameter::EnforceRegistration
                | Parameter::MessageIdMax(_)
                | Parameter::PrefixLengthMax(_)
                | Parameter::PrefixLengthMin(_)
                | Parameter::MediaTimeout(_)
                | Parameter::SignalingTimeout(_) => {}
            }
        }
        own
    }
}

/// A name that stands for nothing usable, by which a map cannot be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The name.
    pub name: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

impl std::error::Error for Unusable {}

/// What names in an inspect map stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `class-map type inspect`.
    pub classes: &'a [InspectClass],
    /// `regex`.
    pub regexes: &'a [Spanned<mpf::Regex>],
    /// `class-map type regex`.
    pub regex_classes: &'a [RegexClass],
}

impl<'a> Names<'a> {
    /// The names of a configuration.
    pub fn of(model: &'a Model) -> Self {
        Self {
            classes: &model.inspect_classes,
            regexes: &model.regexes,
            regex_classes: &model.regex_classes,
        }
    }

    fn expressions(&self, reference: &RegexRef) -> Result<Vec<Regex>, Unusable> {
        let members = match reference {
            RegexRef::Regex(name) => std::slice::from_ref(name),
            RegexRef::Class(name) => {
                let class = self.regex_classes.iter().find(|class| class.name == *name);
                &class.ok_or_else(|| unknown(name))?.regexes
            }
        };
        members.iter().map(|name| self.expression(name)).collect()
    }

    fn expression(&self, name: &Name) -> Result<Regex, Unusable> {
        let regex = self.regexes.iter().find(|regex| regex.node.name == *name);
        let regex = regex.ok_or_else(|| unknown(name))?;
        compile(&regex.node.expression.node).map_err(|why| Unusable {
            name: name.node.clone(),
            why,
        })
    }
}

fn unknown(name: &Name) -> Unusable {
    Unusable {
        name: name.node.clone(),
        why: "not defined".to_owned(),
    }
}

/// An expression of the configuration. It takes time in proportion to the text, whatever it is.
pub fn compile(expression: &str) -> Result<Regex, String> {
    RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| error.to_string())
}

/// What a `match` looks for.
#[derive(Clone, Debug)]
enum Subject {
    Field(SipField, Vec<Regex>),
    ContentLength(u32),
    ContentTypeSdp,
    ContentType(Vec<Regex>),
    RequestMethod(SipMethod),
    UriLength(UriScheme, u32),
    Nothing,
}

#[derive(Clone, Debug)]
struct Test {
    is_negated: bool,
    subject: Subject,
}

/// A `match` or `class` block.
#[derive(Clone, Debug)]
struct Rule {
    /// What the log calls it.
    name: String,
    tests: Vec<Test>,
    is_any: bool,
    action: InspectAction,
    bucket: Option<Bucket>,
}

/// A map that is ready.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `parameters`.
    pub parameters: Parameters,
    rules: Vec<Rule>,
}

/// A rule that a message matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What the log calls the rule.
    pub rule: String,
    /// Its action.
    pub action: InspectAction,
    /// `rate-limit`: it is over the limit.
    pub is_over: bool,
    /// What `mask` hides.
    pub spans: Vec<Span>,
}

impl Rules {
    /// Makes a map ready.
    pub fn of(map: &InspectMap, names: Names<'_>) -> Result<Self, Unusable> {
        let mut rules = Vec::new();
        for rule in &map.rules {
            // A block without an action does nothing.
            let Some(action) = rule.action.as_ref().map(|action| action.node) else {
                continue;
            };
            let (name, matches, is_any) = match &rule.condition.node {
                InspectCondition::Match(own) => ("match".to_owned(), vec![own], false),
                InspectCondition::Class(name) => {
                    let class = names.classes.iter().find(|class| {
                        class.protocol == InspectProtocol::Sip && class.name == *name
                    });
                    let class = class.ok_or_else(|| unknown(name))?;
                    let matches = class.matches.iter().map(|own| &own.node).collect();
                    (format!("class {}", name.node), matches, class.match_any)
                }
            };
            let tests = matches.into_iter().map(|own| test(own, names));
            rules.push(Rule {
                name,
                tests: tests.collect::<Result<_, _>>()?,
                is_any,
                action,
                bucket: None,
            });
        }
        Ok(Self {
            parameters: Parameters::of(map),
            rules,
        })
    }

    /// The rules that a message matches, in order, until one ends it.
    pub fn judge(&mut self, now: Time, message: &Message<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        for rule in &mut self.rules {
            let Some(spans) = rule.matches(message) else {
                continue;
            };
            let is_over = match rule.action.verdict {
                Some(InspectVerdict::RateLimit(rate)) => {
                    let fresh = || Bucket::new(now, rate, rate.max(1));
                    !rule.bucket.get_or_insert_with(fresh).take(now)
                }
                _ => false,
            };
            let ends = is_over
                || matches!(
                    rule.action.verdict,
                    Some(
                        InspectVerdict::Drop
                            | InspectVerdict::DropConnection
                            | InspectVerdict::Reset
                    )
                );
            hits.push(Hit {
                rule: rule.name.clone(),
                action: rule.action,
                is_over,
                spans,
            });
            if ends {
                break;
            }
        }
        hits
    }
}

fn test(own: &InspectMatch, names: Names<'_>) -> Result<Test, Unusable> {
    Ok(Test {
        is_negated: own.negated,
        subject: match &own.subject {
            MatchSubject::Field(field, regex) => Subject::Field(*field, names.expressions(regex)?),
            MatchSubject::ContentLength(length) => Subject::ContentLength(*length),
            MatchSubject::ContentTypeSdp => Subject::ContentTypeSdp,
            MatchSubject::ContentType(regex) => Subject::ContentType(names.expressions(regex)?),
            MatchSubject::RequestMethod(method) => Subject::RequestMethod(*method),
            MatchSubject::UriLength(scheme, length) => Subject::UriLength(*scheme, *length),
            MatchSubject::MessageId(..) => Subject::Nothing,
        },
    })
}

impl Rule {
    /// What of a message matches; `None` if it does not match. A rule without tests matches nothing.
    fn matches(&self, message: &Message<'_>) -> Option<Vec<Span>> {
        let mut spans = Vec::new();
        let mut found = 0;
        for test in &self.tests {
            let hit = test.subject.find(message);
            if hit.is_some() != test.is_negated {
                found += 1;
                spans.extend(hit.unwrap_or_default());
            }
        }
        let is_match = found > 0 && (self.is_any || found == self.tests.len());
        is_match.then_some(spans)
    }
}

impl Subject {
    /// Where it is found.
    fn find(&self, message: &Message<'_>) -> Option<Vec<Span>> {
        match self {
            Subject::Field(field, regexes) => {
                let found: Vec<_> = field_values(*field, message)
                    .into_iter()
                    .flat_map(|value| search(regexes, message, value))
                    .collect();
                (!found.is_empty()).then_some(found)
            }
            Subject::ContentLength(limit) => {
                (message.body.len() as u64 > u64::from(*limit)).then(Vec::new)
            }
            Subject::ContentTypeSdp => {
                let kind = message.header(Field::ContentType)?;
                let text = kind.of(message.bytes);
                let name = text.split(|byte| *byte == b';').next()?.trim_ascii();
                name.eq_ignore_ascii_case(b"application/sdp")
                    .then(|| vec![kind])
            }
            Subject::ContentType(regexes) => {
                let kind = message.header(Field::ContentType)?;
                let found = search(regexes, message, kind);
                (!found.is_empty()).then_some(found)
            }
            Subject::RequestMethod(method) => {
                let is_request = message.code().is_none();
                (is_request && method_of(message.method()) == *method).then(Vec::new)
            }
            Subject::UriLength(scheme, limit) => {
                let long = uris(message).into_iter().filter(|span| {
                    let is = match uri(message.bytes, *span).scheme {
                        Scheme::Sip | Scheme::Sips => *scheme == UriScheme::Sip,
                        Scheme::Tel => *scheme == UriScheme::Tel,
                        Scheme::Other => false,
                    };
                    is && span.len() as u64 > u64::from(*limit)
                });
                let long: Vec<_> = long.collect();
                (!long.is_empty()).then_some(long)
            }
            Subject::Nothing => None,
        }
    }
}

/// Every place that an expression of a list matches.
fn search(regexes: &[Regex], message: &Message<'_>, value: Span) -> Vec<Span> {
    let text = value.of(message.bytes);
    let hits = regexes.iter().flat_map(|regex| regex.find_iter(text));
    hits.map(|hit| Span::new(value.start + hit.start(), value.start + hit.end()))
        .collect()
}

/// The values that a field of the command means.
fn field_values(field: SipField, message: &Message<'_>) -> Vec<Span> {
    let is_request = |method: &[u8]| message.code().is_none() && message.method() == method;
    let one = |field| message.header(field).into_iter().collect();
    match field {
        SipField::CalledParty => one(Field::To),
        SipField::CallingParty => one(Field::From),
        SipField::ImSubscriber if is_request(b"MESSAGE") || is_request(b"SUBSCRIBE") => {
            one(Field::From)
        }
        SipField::MessagePath => message.all(Field::Via).collect(),
        // Somebody registers somebody else.
        SipField::ThirdPartyRegistration
            if is_request(b"REGISTER")
                && party(message, Field::From) != party(message, Field::To) =>
        {
            one(Field::From)
        }
        SipField::ImSubscriber | SipField::ThirdPartyRegistration => Vec::new(),
    }
}

fn party<'a>(message: &Message<'a>, field: Field) -> Option<&'a [u8]> {
    let list = addresses(message.bytes, message.header(field)?);
    Some(list.values.first()?.uri.of(message.bytes))
}

/// Request-URI and the URIs of From and To.
fn uris(message: &Message<'_>) -> Vec<Span> {
    let mut found = Vec::new();
    if let StartLine::Request { uri, .. } = message.start {
        found.push(uri);
    }
    for field in [Field::From, Field::To] {
        for value in message.all(field) {
            let list = addresses(message.bytes, value);
            found.extend(list.values.iter().map(|one| one.uri));
        }
    }
    found
}

/// The method as the command knows it.
fn method_of(method: &[u8]) -> SipMethod {
    match method {
        b"ACK" => SipMethod::Ack,
        b"BYE" => SipMethod::Bye,
        b"CANCEL" => SipMethod::Cancel,
        b"INFO" => SipMethod::Info,
        b"INVITE" => SipMethod::Invite,
        b"MESSAGE" => SipMethod::Message,
        b"NOTIFY" => SipMethod::Notify,
        b"OPTIONS" => SipMethod::Options,
        b"PRACK" => SipMethod::Prack,
        b"REFER" => SipMethod::Refer,
        b"REGISTER" => SipMethod::Register,
        b"SUBSCRIBE" => SipMethod::Subscribe,
        b"UPDATE" => SipMethod::Update,
        _ => SipMethod::Unknown,
    }
}
