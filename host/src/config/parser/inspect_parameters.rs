//! `parameters` of `policy-map type inspect`.

use super::inspect::{description, map_class, map_match, parameters, take_action_words, take_hex};
use super::{Handler, Mode, Parser};
use crate::config::ast::inspect::{InspectAction, InspectVerdict, Parameter};
use crate::config::ast::mpf::InspectProtocol;
use crate::config::cursor::{Cursor, Keywords, Taken, unexpected};
use crate::config::source::Spanned;

/// Commands of the sub-mode.
pub const COMMANDS: Keywords<'static, Handler> = &[
    ("im", parameter),
    ("ip-address-privacy", parameter),
    ("traffic-non-sip", parameter),
    ("rtp-conformance", parameter),
    ("max-forwards-validation", parameter),
    ("software-version", parameter),
    ("state-checking", parameter),
    ("strict-header-validation", parameter),
    ("uri-non-sip", parameter),
    ("trust-verification-server", parameter),
    ("enforce-registration", parameter),
    ("message-id", parameter),
    ("sccp-prefix-len", parameter),
    ("timeout", parameter),
    ("match", map_match),
    ("class", map_class),
    ("parameters", parameters),
    ("description", description),
];

fn parameter(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let Mode::InspectParameters(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(protocol) = p.config.inspect_maps.get(index).map(|map| map.protocol) else {
        return Ok(p.mode);
    };
    c.rewind();
    let parameter = match protocol {
        InspectProtocol::Sip => take_sip_parameter(c)?,
        InspectProtocol::Skinny => take_skinny_parameter(c)?,
    };
    c.end()?;
    let lines = &mut p.config.inspect_maps[index].parameters;
    let same = |known: &Spanned<Parameter>| {
        std::mem::discriminant(&known.node) == std::mem::discriminant(&parameter)
    };
    let found = lines.iter().position(same);
    // `no` of a switch is a setting; `no` of anything else removes it.
    let is_switch = matches!(
        parameter,
        Parameter::Im(_) | Parameter::IpAddressPrivacy(_) | Parameter::TrafficNonSip(_)
    );
    let line = Spanned::new(parameter, c.span());
    match (found, c.is_negated && !is_switch) {
        (Some(at), false) => lines[at] = line,
        (None, false) => lines.push(line),
        (Some(at), true) => drop(lines.remove(at)),
        (None, true) => p.nothing_to_remove(c),
    }
    Ok(p.mode)
}

#[derive(Clone, Copy)]
enum SipWord {
    Im,
    Privacy,
    NonSip,
    Rtp,
    MaxForwards,
    Software,
    State,
    Strict,
    UriNonSip,
    TrustServer,
}

fn take_sip_parameter(c: &mut Cursor) -> Taken<Parameter> {
    let word = c.take_keyword(
        "a SIP parameter",
        &[
            ("im", SipWord::Im),
            ("ip-address-privacy", SipWord::Privacy),
            ("traffic-non-sip", SipWord::NonSip),
            ("rtp-conformance", SipWord::Rtp),
            ("max-forwards-validation", SipWord::MaxForwards),
            ("software-version", SipWord::Software),
            ("state-checking", SipWord::State),
            ("strict-header-validation", SipWord::Strict),
            ("uri-non-sip", SipWord::UriNonSip),
            ("trust-verification-server", SipWord::TrustServer),
        ],
    )?;
    let is_on = !c.is_negated;
    Ok(match word {
        SipWord::Im => Parameter::Im(is_on),
        SipWord::Privacy => Parameter::IpAddressPrivacy(is_on),
        SipWord::NonSip => Parameter::TrafficNonSip(is_on),
        SipWord::Rtp => Parameter::RtpConformance {
            enforce_payload_type: c.eat("enforce-payloadtype"),
        },
        SipWord::MaxForwards => Parameter::MaxForwardsValidation(take_check_action(c, false)?),
        SipWord::Software => Parameter::SoftwareVersion(take_check_action(c, true)?),
        SipWord::State => Parameter::StateChecking(take_check_action(c, false)?),
        SipWord::Strict => Parameter::StrictHeaderValidation(take_check_action(c, false)?),
        SipWord::UriNonSip => Parameter::UriNonSip(take_check_action(c, true)?),
        SipWord::TrustServer => {
            if c.take_keyword("ip or port", &[("ip", true), ("port", false)])? {
                Parameter::TrustVerificationAddress(c.take_address()?.node)
            } else {
                let port = c.take_number("a port", 1, 65535)?;
                Parameter::TrustVerificationPort(port.node as u16)
            }
        }
    })
}

/// `action …`: `mask` for the checks that hide a field, the rest for the others.
fn take_check_action(c: &mut Cursor, hides_field: bool) -> Taken<InspectAction> {
    if c.is_negated && c.is_at_end() {
        return Ok(InspectAction {
            verdict: None,
            log: true,
        });
    }
    c.expect("action")?;
    let token = c.peek();
    let action = take_action_words(c)?;
    let fits = match action.verdict {
        None => true,
        Some(InspectVerdict::Mask) => hides_field,
        Some(InspectVerdict::RateLimit(_)) => false,
        Some(_) => !hides_field,
    };
    match token {
        Some(token) if !fits => Err(unexpected(token, "an action this check can take")),
        _ => Ok(action),
    }
}

#[derive(Clone, Copy)]
enum SkinnyWord {
    Registration,
    MessageId,
    PrefixLength,
    Timeout,
    Rtp,
}

fn take_skinny_parameter(c: &mut Cursor) -> Taken<Parameter> {
    let word = c.take_keyword(
        "a skinny parameter",
        &[
            ("enforce-registration", SkinnyWord::Registration),
            ("message-id", SkinnyWord::MessageId),
            ("sccp-prefix-len", SkinnyWord::PrefixLength),
            ("timeout", SkinnyWord::Timeout),
            ("rtp-conformance", SkinnyWord::Rtp),
        ],
    )?;
    Ok(match word {
        SkinnyWord::Registration => Parameter::EnforceRegistration,
        SkinnyWord::MessageId => {
            c.expect("max")?;
            Parameter::MessageIdMax(take_hex(c)?.node)
        }
        SkinnyWord::PrefixLength => {
            let is_max = c.take_keyword("max or min", &[("max", true), ("min", false)])?;
            let length = c.take_number("a length", 0, u32::MAX)?.node;
            if is_max {
                Parameter::PrefixLengthMax(length)
            } else {
                Parameter::PrefixLengthMin(length)
            }
        }
        SkinnyWord::Timeout => {
            let is_media = c.take_keyword(
                "media or signaling",
                &[("media", true), ("signaling", false)],
            )?;
            let seconds = c.take_duration()?.node;
            if is_media {
                Parameter::MediaTimeout(seconds)
            } else {
                Parameter::SignalingTimeout(seconds)
            }
        }
        SkinnyWord::Rtp => Parameter::RtpConformance {
            enforce_payload_type: c.eat("enforce-payloadtype"),
        },
    })
}
