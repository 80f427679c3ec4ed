//! Modular policy, inspection and TLS proxies as text.

use std::fmt::{self, Display, Formatter};

use super::primitive::{Duration, words};
use crate::config::ast::inspect::{
    InspectAction, InspectClass, InspectCondition, InspectMap, InspectMatch, InspectVerdict,
    MatchSubject, Parameter, RegexRef, UriScheme,
};
use crate::config::ast::mpf::{
    ClassAction, ClassMap, ClassMatch, Inspect, InspectProtocol, PolicyMap, Regex, RegexClass,
    ServicePolicy,
};
use crate::config::ast::tls_proxy::TlsProxy;
use crate::config::parser::{SIP_FIELDS, SIP_METHODS};
use crate::config::source::Spanned;

impl Display for TlsProxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "tls-proxy {}", self.name)?;
        let suites = |suites: &Option<Spanned<Vec<String>>>| suites.as_ref().map(|s| s.join(" "));
        let plain = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.node.clone());
        let lines = [
            (" server trust-point", plain(&self.server_trust_point)),
            (
                " no server authenticate-client",
                self.no_authenticate_client.map(|_| String::new()),
            ),
            (" server cipher-suite", suites(&self.server_cipher_suites)),
            (" client trust-point", plain(&self.client_trust_point)),
            (" client ldc issuer", plain(&self.client_ldc_issuer)),
            (" client ldc key-pair", plain(&self.client_ldc_key_pair)),
            (" client cipher-suite", suites(&self.client_cipher_suites)),
        ];
        lines.iter().try_for_each(|(words, value)| match value {
            None => Ok(()),
            Some(value) if value.is_empty() => writeln!(f, "{words}"),
            Some(value) => writeln!(f, "{words} {value}"),
        })
    }
}

impl Display for Regex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = &self.expression.node;
        // A quote in an unquoted expression, or a backslash at its end, would not survive quotes around it.
        let has_blank = text.is_empty() || text.contains(char::is_whitespace);
        if !has_blank && (text.contains('"') || text.ends_with('\\')) {
            return write!(f, "regex {} {text}", self.name);
        }
        write!(f, "regex {} \"{text}\"", self.name)
    }
}

fn write_description(f: &mut Formatter<'_>, text: &Option<Spanned<String>>) -> fmt::Result {
    text.as_ref()
        .map_or(Ok(()), |text| writeln!(f, " description {text}"))
}

impl Display for RegexClass {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "class-map type regex match-any {}", self.name)?;
        write_description(f, &self.description)?;
        self.regexes
            .iter()
            .try_for_each(|name| writeln!(f, " match regex {name}"))
    }
}

impl Display for ClassMap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "class-map {}", self.name)?;
        write_description(f, &self.description)?;
        self.matches
            .iter()
            .try_for_each(|line| writeln!(f, " {line}"))
    }
}

impl Display for ClassMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ClassMatch::Any => f.write_str("match any"),
            ClassMatch::AccessList(name) => write!(f, "match access-list {name}"),
            ClassMatch::DefaultInspectionTraffic => f.write_str("match default-inspection-traffic"),
            ClassMatch::Port(transport, ports) => {
                write!(f, "match port {transport} {}", ports.display(*transport))
            }
        }
    }
}

impl Display for PolicyMap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy-map {}", self.name)?;
        write_description(f, &self.description)?;
        self.classes.iter().try_for_each(|class| {
            writeln!(f, " class {}", class.class)?;
            class
                .actions
                .iter()
                .try_for_each(|action| writeln!(f, "  {action}"))
        })
    }
}

impl Display for ClassAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ClassAction::Inspect(inspect) => inspect.fmt(f),
            ClassAction::InspectOther(text) => write!(f, "inspect {text}"),
            ClassAction::IdleTimeout { seconds, reset } => {
                write!(f, "set connection timeout idle {}", Duration(*seconds))?;
                words(f, &[(*reset, "reset")])
            }
            ClassAction::ConnectionLimits(limits) => {
                f.write_str("set connection")?;
                let limits = [
                    ("conn-max", limits.conn_max),
                    ("embryonic-conn-max", limits.embryonic_conn_max),
                    ("per-client-max", limits.per_client_max),
                    ("per-client-embryonic-max", limits.per_client_embryonic_max),
                ];
                limits.iter().try_for_each(|(word, limit)| {
                    limit.map_or(Ok(()), |limit| write!(f, " {word} {limit}"))
                })
            }
        }
    }
}

impl Display for InspectProtocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InspectProtocol::Sip => "sip",
            InspectProtocol::Skinny => "skinny",
        })
    }
}

impl Display for Inspect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "inspect {}", self.protocol)?;
        let parts = [
            ("", &self.map),
            (" tls-proxy", &self.tls_proxy),
            (" phone-proxy", &self.phone_proxy),
            (" uc-ime", &self.uc_ime),
        ];
        parts.iter().try_for_each(|(word, name)| {
            name.as_ref()
                .map_or(Ok(()), |name| write!(f, "{word} {name}"))
        })
    }
}

impl Display for ServicePolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "service-policy {}", self.policy_map)?;
        match &self.interface {
            None => f.write_str(" global")?,
            Some(name) => write!(f, " interface {name}")?,
        }
        words(f, &[(self.fail_close, "fail-close")])
    }
}

impl Display for InspectClass {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let how = if self.match_any {
            "match-any"
        } else {
            "match-all"
        };
        writeln!(
            f,
            "class-map type inspect {} {how} {}",
            self.protocol, self.name
        )?;
        write_description(f, &self.description)?;
        self.matches
            .iter()
            .try_for_each(|line| writeln!(f, " {line}"))
    }
}

impl Display for InspectMap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy-map type inspect {} {}", self.protocol, self.name)?;
        write_description(f, &self.description)?;
        if !self.parameters.is_empty() {
            writeln!(f, " parameters")?;
        }
        self.parameters
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))?;
        self.rules.iter().try_for_each(|rule| {
            match &rule.condition.node {
                InspectCondition::Match(condition) => writeln!(f, " {condition}")?,
                InspectCondition::Class(name) => writeln!(f, " class {name}")?,
            }
            rule.action
                .map_or(Ok(()), |action| writeln!(f, "  {action}"))
        })
    }
}

impl Display for InspectAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(verdict) = self.verdict else {
            return f.write_str("log");
        };
        match verdict {
            InspectVerdict::Drop => f.write_str("drop")?,
            InspectVerdict::DropConnection => f.write_str("drop-connection")?,
            InspectVerdict::Reset => f.write_str("reset")?,
            InspectVerdict::Mask => f.write_str("mask")?,
            InspectVerdict::RateLimit(rate) => write!(f, "rate-limit {rate}")?,
        }
        words(f, &[(self.log, "log")])
    }
}

impl Display for RegexRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            RegexRef::Regex(name) => write!(f, "regex {name}"),
            RegexRef::Class(name) => write!(f, "regex class {name}"),
        }
    }
}

impl Display for InspectMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negated { "match not " } else { "match " })?;
        match &self.subject {
            MatchSubject::Field(field, regex) => {
                let keyword = SIP_FIELDS.iter().find(|(_, known)| known == field);
                write!(f, "{} {regex}", keyword.map_or("", |(word, _)| word))
            }
            MatchSubject::ContentLength(length) => write!(f, "content length gt {length}"),
            MatchSubject::ContentTypeSdp => f.write_str("content type sdp"),
            MatchSubject::ContentType(regex) => write!(f, "content type {regex}"),
            MatchSubject::RequestMethod(method) => {
                let keyword = SIP_METHODS.iter().find(|(_, known)| known == method);
                write!(f, "request-method {}", keyword.map_or("", |(word, _)| word))
            }
            MatchSubject::UriLength(scheme, length) => {
                let scheme = match scheme {
                    UriScheme::Sip => "sip",
                    UriScheme::Tel => "tel",
                };
                write!(f, "uri {scheme} length gt {length}")
            }
            MatchSubject::MessageId(low, high) if low == high => write!(f, "message-id {low:#x}"),
            MatchSubject::MessageId(low, high) => write!(f, "message-id range {low:#x} {high:#x}"),
        }
    }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let switch = |is_on: bool| if is_on { "" } else { "no " };
        match self {
            Parameter::Im(is_on) => write!(f, "{}im", switch(*is_on)),
            Parameter::IpAddressPrivacy(is_on) => write!(f, "{}ip-address-privacy", switch(*is_on)),
            Parameter::TrafficNonSip(is_on) => write!(f, "{}traffic-non-sip", switch(*is_on)),
            Parameter::RtpConformance {
                enforce_payload_type,
            } => {
                f.write_str("rtp-conformance")?;
                words(f, &[(*enforce_payload_type, "enforce-payloadtype")])
            }
            Parameter::MaxForwardsValidation(action) => {
                write!(f, "max-forwards-validation action {action}")
            }
            Parameter::SoftwareVersion(action) => write!(f, "software-version action {action}"),
            Parameter::StateChecking(action) => write!(f, "state-checking action {action}"),
            Parameter::StrictHeaderValidation(action) => {
                write!(f, "strict-header-validation action {action}")
            }
            Parameter::UriNonSip(action) => write!(f, "uri-non-sip action {action}"),
            Parameter::TrustVerificationAddress(address) => {
                write!(f, "trust-verification-server ip {address}")
            }
            Parameter::TrustVerificationPort(port) => {
                write!(f, "trust-verification-server port {port}")
            }
            Parameter::EnforceRegistration => f.write_str("enforce-registration"),
            Parameter::MessageIdMax(id) => write!(f, "message-id max {id:#x}"),
            Parameter::PrefixLengthMax(length) => write!(f, "sccp-prefix-len max {length}"),
            Parameter::PrefixLengthMin(length) => write!(f, "sccp-prefix-len min {length}"),
            Parameter::MediaTimeout(seconds) => write!(f, "timeout media {}", Duration(*seconds)),
            Parameter::SignalingTimeout(seconds) => {
                write!(f, "timeout signaling {}", Duration(*seconds))
            }
        }
    }
}
