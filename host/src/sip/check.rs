//! The inspect map's judgement of a message.

use super::address::{Scheme, addresses, uri};
use super::edits::Edits;
use super::effect::Effect;
use super::event::{Event, title};
use super::field::Field;
use super::inspect::{Arrival, Inspector};
use super::message::Message;
use super::reason::Reason;
use super::rules::Hit;
use super::scan::Span;
use super::strict;
use crate::config::ast::inspect::{InspectAction, InspectVerdict};

/// Something that a parameter or a rule found.
struct Finding<'a> {
    what: &'a str,
    why: &'a str,
    action: InspectAction,
    reason: Reason,
    /// What `mask` hides.
    spans: &'a [Span],
}

impl Inspector {
    /// Judges a message by all that is configured. `Err` is the end of it.
    pub(super) fn check(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        tags: [Option<u64>; 2],
        masks: &mut Edits,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Effect> {
        let parameters = self.rules.parameters;
        if let Some(action) = parameters.strict_header
            && let Some(fault) = strict::faults(message).first()
        {
            let reason = Reason::Strict(*fault);
            let finding = Finding {
                what: "strict-header-validation",
                why: &fault.to_string(),
                action,
                reason,
                spans: &[],
            };
            finding.act(arrival, message, masks, effects)?;
        }
        let is_spent = message.code().is_none() && message.number(Field::MaxForwards) == Some(0);
        if let Some(action) = parameters.max_forwards.filter(|_| is_spent) {
            let finding = Finding {
                what: "max-forwards-validation",
                why: "Max-Forwards is 0",
                action,
                reason: Reason::MaxForwards,
                spans: &[],
            };
            finding.act(arrival, message, masks, effects)?;
        }
        if !parameters.im && is_instant_message(message) {
            return Err(Effect::Drop(Reason::InstantMessage));
        }
        if let Some(action) = parameters.state_checking
            && !self.is_expected(arrival, message, tags)
        {
            let finding = Finding {
                what: "state-checking",
                why: "unexpected in this state",
                action,
                reason: Reason::State,
                spans: &[],
            };
            finding.act(arrival, message, masks, effects)?;
        }
        self.check_fields(arrival, message, masks, effects)?;
        for hit in self.rules.judge(arrival.now, message) {
            rule_hit(&hit, arrival, message, masks, effects)?;
        }
        Ok(())
    }

    /// `software-version` and `uri-non-sip`.
    fn check_fields(
        &self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        masks: &mut Edits,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Effect> {
        let parameters = &self.rules.parameters;
        let versions: Vec<Span> = [Field::Server, Field::UserAgent]
            .into_iter()
            .flat_map(|field| message.all(field))
            .collect();
        let uris = foreign_uris(message);
        for (what, why, action, spans) in [
            (
                "software-version",
                "software version",
                parameters.software_version,
                versions,
            ),
            (
                "uri-non-sip",
                "URI is not SIP",
                parameters.uri_non_sip,
                uris,
            ),
        ] {
            if let Some(action) = action.filter(|_| !spans.is_empty()) {
                let finding = Finding {
                    what,
                    why,
                    action,
                    reason: Reason::Rule,
                    spans: &spans,
                };
                finding.act(arrival, message, masks, effects)?;
            }
        }
        Ok(())
    }

    fn is_expected(
        &self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        tags: [Option<u64>; 2],
    ) -> bool {
        let method = self.method_key(message);
        let session = self.session_of(message);
        match session.and_then(|handle| self.sessions.get(handle)) {
            Some(session) => session.expects(message, arrival.way, method, tags),
            None => {
                let begins = !matches!(
                    message.method(),
                    b"ACK" | b"CANCEL" | b"BYE" | b"PRACK" | b"UPDATE"
                );
                message.code().is_none() && begins && tags[1].is_none()
            }
        }
    }
}

impl Finding<'_> {
    /// Does what is configured.
    fn act(
        &self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        masks: &mut Edits,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Effect> {
        let ends = [arrival.source, arrival.destination];
        let (action, end) = match self.action.verdict {
            None | Some(InspectVerdict::RateLimit(_)) => ("", None),
            Some(InspectVerdict::Mask) => {
                for span in self.spans {
                    masks.replace(*span, masked(span.of(message.bytes)));
                }
                ("Masked", None)
            }
            Some(InspectVerdict::Drop) => ("Dropped", Some(Effect::Drop(self.reason))),
            Some(InspectVerdict::DropConnection) => (
                "Dropped connection",
                Some(Effect::DropConnection(self.reason)),
            ),
            Some(InspectVerdict::Reset) => ("Reset connection", Some(Effect::Reset(self.reason))),
        };
        if self.action.log {
            let title = title(message);
            effects.push(Effect::Log(if action.is_empty() {
                Event::noticed(self.what, &title, ends, self.why)
            } else {
                Event::acted(self.what, action, &title, ends, self.why)
            }));
        }
        end.map_or(Ok(()), Err)
    }
}

fn rule_hit(
    hit: &Hit,
    arrival: &Arrival<'_>,
    message: &Message<'_>,
    masks: &mut Edits,
    effects: &mut Vec<Effect>,
) -> Result<(), Effect> {
    let limits_rate = matches!(hit.action.verdict, Some(InspectVerdict::RateLimit(_)));
    if limits_rate && !hit.is_over {
        return Ok(());
    }
    // What is over the limit is dropped.
    let verdict = if hit.is_over {
        Some(InspectVerdict::Drop)
    } else {
        hit.action.verdict
    };
    let finding = Finding {
        what: &hit.rule,
        why: if hit.is_over { "rate limit" } else { "rule" },
        action: InspectAction {
            verdict,
            ..hit.action
        },
        reason: if hit.is_over {
            Reason::RateLimit
        } else {
            Reason::Rule
        },
        spans: &hit.spans,
    };
    finding.act(arrival, message, masks, effects)
}

/// Letters and digits become `X`, so that the grammar around them stays.
fn masked(text: &[u8]) -> Vec<u8> {
    let hide = |byte: &u8| {
        if byte.is_ascii_alphanumeric() {
            b'X'
        } else {
            *byte
        }
    };
    text.iter().map(hide).collect()
}

/// MESSAGE, and subscriptions to presence.
fn is_instant_message(message: &Message<'_>) -> bool {
    match message.method() {
        b"MESSAGE" => true,
        b"SUBSCRIBE" => message.value(Field::Event).starts_with(b"presence"),
        _ => false,
    }
}

/// What follows the scheme of URIs in Alert-Info and Call-Info that are not SIP's.
fn foreign_uris(message: &Message<'_>) -> Vec<Span> {
    let mut found = Vec::new();
    for value in [Field::AlertInfo, Field::CallInfo]
        .into_iter()
        .flat_map(|field| message.all(field))
    {
        for one in addresses(message.bytes, value).values {
            let parsed = uri(message.bytes, one.uri);
            let text = one.uri.of(message.bytes);
            let colon = text.iter().position(|byte| *byte == b':');
            if let Some(colon) = colon.filter(|_| matches!(parsed.scheme, Scheme::Other)) {
                found.push(Span::new(one.uri.start + colon + 1, one.uri.end));
            }
        }
    }
    found
}
