//! `policy-map type inspect` and `class-map type inspect`.

use super::mpf::INSPECTORS;
use super::{Handler, Mode, Parser};
use crate::config::ast::inspect::{
    InspectAction, InspectClass, InspectCondition, InspectMap, InspectMatch, InspectRule,
    InspectVerdict, MatchSubject, RegexRef, SipField, SipMethod, UriScheme,
};
use crate::config::ast::mpf::InspectProtocol;
use crate::config::cursor::{
    Cursor, Failure, Keywords, Lookup, MAX_NAME, Taken, look_up, refused, unexpected,
};
use crate::config::source::Spanned;

/// Commands of `class-map type inspect`.
pub const CLASS_COMMANDS: Keywords<'static, Handler> =
    &[("match", class_match), ("description", description)];

/// Commands of `policy-map type inspect`.
pub const MAP_COMMANDS: Keywords<'static, Handler> = &[
    ("parameters", parameters),
    ("match", map_match),
    ("class", map_class),
    ("description", description),
];

/// Commands of `match` and `class` inside `policy-map type inspect`.
pub const RULE_COMMANDS: Keywords<'static, Handler> = &[
    ("drop", action),
    ("drop-connection", action),
    ("reset", action),
    ("mask", action),
    ("rate-limit", action),
    ("log", action),
    ("parameters", parameters),
    ("match", map_match),
    ("class", map_class),
    ("description", description),
];

fn take_inspector(c: &mut Cursor) -> Taken<InspectProtocol> {
    let token = c.peek().ok_or(Failure::Incomplete("sip or skinny"))?;
    if matches!(look_up(token.text, INSPECTORS), Lookup::Unknown) {
        return Err(Failure::Outside);
    }
    c.take_keyword("sip or skinny", INSPECTORS)
}

/// `policy-map type inspect {sip|skinny} NAME`, after `inspect`.
pub fn inspect_map(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let protocol = take_inspector(c)?;
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    let maps = &mut p.config.inspect_maps;
    let found = maps
        .iter()
        .position(|map| map.name == name && map.protocol == protocol);
    if c.is_negated {
        match found {
            Some(index) => drop(maps.remove(index)),
            None => p.nothing_to_remove(c),
        }
        return Ok(Mode::Global);
    }
    let index = found.unwrap_or_else(|| {
        let (parameters, rules) = (Vec::new(), Vec::new());
        maps.push(InspectMap {
            protocol,
            name,
            description: None,
            parameters,
            rules,
        });
        maps.len() - 1
    });
    Ok(Mode::InspectMap(index))
}

/// `class-map type inspect {sip|skinny} [match-all|match-any] NAME`, after `inspect`.
pub fn inspect_class(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let protocol = take_inspector(c)?;
    let match_any = c.eat_full("match-any");
    if !match_any {
        c.eat_full("match-all");
    }
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    let classes = &mut p.config.inspect_classes;
    let found = classes
        .iter()
        .position(|class| class.name == name && class.protocol == protocol);
    if c.is_negated {
        match found {
            Some(index) => drop(classes.remove(index)),
            None => p.nothing_to_remove(c),
        }
        return Ok(Mode::Global);
    }
    let index = found.unwrap_or_else(|| {
        let matches = Vec::new();
        classes.push(InspectClass {
            protocol,
            name,
            match_any,
            description: None,
            matches,
        });
        classes.len() - 1
    });
    Ok(Mode::InspectClass(index))
}

fn map_index(mode: Mode) -> Option<usize> {
    match mode {
        Mode::InspectMap(i) | Mode::InspectParameters(i) | Mode::InspectRule(i, _) => Some(i),
        _ => None,
    }
}

/// `description TEXT` of a map or class.
pub fn description(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let text = c.take_unless_negated(|c| c.take_text("a description"))?;
    if let Mode::InspectClass(index) = p.mode {
        if let Some(class) = p.config.inspect_classes.get_mut(index) {
            class.description = text;
        }
        return Ok(p.mode);
    }
    let Some(index) = map_index(p.mode) else {
        return Ok(p.mode);
    };
    if let Some(map) = p.config.inspect_maps.get_mut(index) {
        map.description = text;
    }
    Ok(Mode::InspectMap(index))
}

/// `parameters`.
pub fn parameters(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    let Some(index) = map_index(p.mode) else {
        return Ok(p.mode);
    };
    if c.is_negated {
        if let Some(map) = p.config.inspect_maps.get_mut(index) {
            map.parameters.clear();
        }
        return Ok(Mode::InspectMap(index));
    }
    Ok(Mode::InspectParameters(index))
}

fn class_match(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let Mode::InspectClass(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(protocol) = p
        .config
        .inspect_classes
        .get(index)
        .map(|class| class.protocol)
    else {
        return Ok(p.mode);
    };
    let line = take_match(c, protocol)?;
    c.end()?;
    let line = Spanned::new(line, c.span());
    let matches = &mut p.config.inspect_classes[index].matches;
    if !c.is_negated {
        if !matches.contains(&line) {
            matches.push(line);
        }
    } else if !super::remove_equal(matches, &line) {
        p.nothing_to_remove(c);
    }
    Ok(p.mode)
}

/// `match …` in a map.
pub fn map_match(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let map = map_index(p.mode).and_then(|index| p.config.inspect_maps.get(index));
    let Some(protocol) = map.map(|map| map.protocol) else {
        return Ok(p.mode);
    };
    let condition = InspectCondition::Match(take_match(c, protocol)?);
    open_rule(p, c, condition)
}

/// `class NAME` in a map.
pub fn map_class(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let condition = InspectCondition::Class(c.take_name("a class-map", MAX_NAME)?);
    open_rule(p, c, condition)
}

fn open_rule(p: &mut Parser, c: &mut Cursor, condition: InspectCondition) -> Taken<Mode> {
    c.end()?;
    let Some(index) = map_index(p.mode) else {
        return Ok(p.mode);
    };
    let Some(map) = p.config.inspect_maps.get_mut(index) else {
        return Ok(p.mode);
    };
    let found = map
        .rules
        .iter()
        .position(|rule| rule.condition.node == condition);
    if c.is_negated {
        match found {
            Some(at) => drop(map.rules.remove(at)),
            None => p.nothing_to_remove(c),
        }
        return Ok(Mode::InspectMap(index));
    }
    let at = found.unwrap_or_else(|| {
        let condition = Spanned::new(condition, c.span());
        map.rules.push(InspectRule {
            condition,
            action: None,
        });
        map.rules.len() - 1
    });
    Ok(Mode::InspectRule(index, at))
}

fn take_regex(c: &mut Cursor) -> Taken<RegexRef> {
    c.expect("regex")?;
    if c.eat_full("class") {
        return Ok(RegexRef::Class(
            c.take_name("a class-map type regex", MAX_NAME)?,
        ));
    }
    Ok(RegexRef::Regex(c.take_name("a regex", MAX_NAME)?))
}

#[derive(Clone, Copy)]
enum Subject {
    Field(SipField),
    Content,
    RequestMethod,
    Uri,
}

/// SIP fields and their keywords.
pub const SIP_FIELDS: Keywords<'static, SipField> = &[
    ("called-party", SipField::CalledParty),
    ("calling-party", SipField::CallingParty),
    ("im-subscriber", SipField::ImSubscriber),
    ("message-path", SipField::MessagePath),
    ("third-party-registration", SipField::ThirdPartyRegistration),
];

/// SIP methods and their keywords.
pub const SIP_METHODS: Keywords<'static, SipMethod> = &[
    ("ack", SipMethod::Ack),
    ("bye", SipMethod::Bye),
    ("cancel", SipMethod::Cancel),
    ("info", SipMethod::Info),
    ("invite", SipMethod::Invite),
    ("message", SipMethod::Message),
    ("notify", SipMethod::Notify),
    ("options", SipMethod::Options),
    ("prack", SipMethod::Prack),
    ("refer", SipMethod::Refer),
    ("register", SipMethod::Register),
    ("subscribe", SipMethod::Subscribe),
    ("unknown", SipMethod::Unknown),
    ("update", SipMethod::Update),
];

fn take_match(c: &mut Cursor, protocol: InspectProtocol) -> Taken<InspectMatch> {
    let negated = c.eat_full("not");
    let subject = match protocol {
        InspectProtocol::Sip => take_sip_subject(c)?,
        InspectProtocol::Skinny => take_message_id(c)?,
    };
    Ok(InspectMatch { negated, subject })
}

fn take_sip_subject(c: &mut Cursor) -> Taken<MatchSubject> {
    let mut table: Vec<(&'static str, Subject)> = SIP_FIELDS
        .iter()
        .map(|(word, field)| (*word, Subject::Field(*field)))
        .collect();
    table.extend([
        ("content", Subject::Content),
        ("request-method", Subject::RequestMethod),
        ("uri", Subject::Uri),
    ]);
    Ok(match c.take_keyword("what to match", &table)? {
        Subject::Field(field) => MatchSubject::Field(field, take_regex(c)?),
        Subject::Content => {
            if c.take_keyword("length or type", &[("length", true), ("type", false)])? {
                c.expect("gt")?;
                MatchSubject::ContentLength(c.take_number("a length", 0, 65536)?.node)
            } else if c.eat_full("sdp") {
                MatchSubject::ContentTypeSdp
            } else {
                MatchSubject::ContentType(take_regex(c)?)
            }
        }
        Subject::RequestMethod => {
            MatchSubject::RequestMethod(c.take_keyword("a method", SIP_METHODS)?)
        }
        Subject::Uri => {
            let scheme = c.take_keyword(
                "sip or tel",
                &[("sip", UriScheme::Sip), ("tel", UriScheme::Tel)],
            )?;
            c.expect("length")?;
            c.expect("gt")?;
            MatchSubject::UriLength(scheme, c.take_number("a length", 0, 65536)?.node)
        }
    })
}

fn take_message_id(c: &mut Cursor) -> Taken<MatchSubject> {
    c.expect("message-id")?;
    if !c.eat_full("range") {
        let id = take_hex(c)?;
        return Ok(MatchSubject::MessageId(id.node, id.node));
    }
    let (low, high) = (take_hex(c)?, take_hex(c)?);
    if low.node > high.node {
        return Err(refused(
            "E0109",
            low.span.to(high.span),
            "the range is reversed",
        ));
    }
    Ok(MatchSubject::MessageId(low.node, high.node))
}

/// `0x181` or `385`, up to 16 bits.
pub fn take_hex(c: &mut Cursor) -> Taken<Spanned<u32>> {
    let token = c.take("a number such as 0x181")?;
    let parsed = match token.text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => token.text.parse().ok(),
    };
    match parsed.filter(|number| *number <= 0xffff) {
        Some(number) => Ok(Spanned::new(number, token.span)),
        None => Err(unexpected(token, "a number such as 0x181")),
    }
}

#[derive(Clone, Copy)]
enum ActionWord {
    Log,
    Verdict(InspectVerdict),
    RateLimit,
}

const ACTIONS: Keywords<'static, ActionWord> = &[
    ("drop", ActionWord::Verdict(InspectVerdict::Drop)),
    (
        "drop-connection",
        ActionWord::Verdict(InspectVerdict::DropConnection),
    ),
    ("reset", ActionWord::Verdict(InspectVerdict::Reset)),
    ("mask", ActionWord::Verdict(InspectVerdict::Mask)),
    ("rate-limit", ActionWord::RateLimit),
    ("log", ActionWord::Log),
];

/// `drop log`, `rate-limit N`, `log`, ….
pub fn take_action_words(c: &mut Cursor) -> Taken<InspectAction> {
    let verdict = match c.take_keyword("an action", ACTIONS)? {
        ActionWord::Log => {
            return Ok(InspectAction {
                verdict: None,
                log: true,
            });
        }
        ActionWord::Verdict(verdict) => verdict,
        ActionWord::RateLimit => {
            InspectVerdict::RateLimit(c.take_number("messages a second", 0, u32::MAX)?.node)
        }
    };
    Ok(InspectAction {
        verdict: Some(verdict),
        log: c.eat("log"),
    })
}

fn action(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.rewind();
    let action = take_action_words(c)?;
    c.end()?;
    let Mode::InspectRule(map, rule) = p.mode else {
        return Ok(p.mode);
    };
    let rule = p
        .config
        .inspect_maps
        .get_mut(map)
        .and_then(|map| map.rules.get_mut(rule));
    let Some(rule) = rule else { return Ok(p.mode) };
    let limits_rate = matches!(action.verdict, Some(InspectVerdict::RateLimit(_)));
    let is_method = matches!(
        &rule.condition.node,
        InspectCondition::Class(_)
            | InspectCondition::Match(InspectMatch {
                subject: MatchSubject::RequestMethod(_),
                ..
            })
    );
    if limits_rate && !is_method {
        return Err(refused(
            "E0120",
            c.span(),
            "`rate-limit` goes with `match request-method` only",
        ));
    }
    rule.action = (!c.is_negated).then(|| Spanned::new(action, c.span()));
    Ok(p.mode)
}
