//! What a strict reader of RFC 3261 finds wrong with a message that can be delimited.

use super::address::{Scheme, addresses, param, uri, vias};
use super::fault::Fault;
use super::field::{Field, Shape};
use super::limits::URI_BYTES;
use super::message::{Message, StartLine};
use super::scan::{ipv4, number};

/// The faults of a message, in the order of its bytes. Bounded by its headers.
pub fn faults(message: &Message<'_>) -> Vec<Fault> {
    let mut found = Vec::new();
    request_uri(message, &mut found);
    for header in &message.headers {
        let bytes = message.bytes;
        match header.field.shape() {
            Shape::Vias => via(message, header.value, &mut found),
            Shape::Reachable | Shape::Identity => {
                let list = addresses(bytes, header.value);
                let is_one = !matches!(header.field, Field::From | Field::To);
                let is_whole = list.is_whole
                    && (is_one || list.values.len() == 1)
                    && list.values.iter().all(|one| uri(bytes, one.uri).is_whole);
                if !is_whole {
                    found.push(Fault::Address(header.field));
                }
            }
            Shape::Opaque | Shape::Text => number_or_date(message, header.field, &mut found),
        }
    }
    found
}

fn request_uri(message: &Message<'_>, found: &mut Vec<Fault>) {
    let StartLine::Request { uri: span, .. } = message.start else {
        return;
    };
    let parsed = uri(message.bytes, span);
    if !parsed.is_whole {
        found.push(Fault::RequestUri);
    }
    // RFC 3261 §19.1.1, table 1.
    if !parsed.headers.is_empty() {
        found.push(Fault::UriHeaders);
    }
    if span.len() > URI_BYTES && matches!(parsed.scheme, Scheme::Sip | Scheme::Sips) {
        found.push(Fault::UriLong);
    }
}

fn via(message: &Message<'_>, value: super::scan::Span, found: &mut Vec<Fault>) {
    let bytes = message.bytes;
    let list = vias(bytes, value);
    if !list.is_whole {
        found.push(Fault::Via);
    }
    for via in &list.values {
        let branch = param(bytes, &via.params, "branch").and_then(|branch| branch.value);
        if branch.is_some_and(|branch| branch.of(bytes).eq_ignore_ascii_case(b"z9hG4bK")) {
            found.push(Fault::Branch);
        }
        let address = ipv4(via.host.of(bytes));
        if address.is_some_and(|address| address.is_broadcast() || address.is_multicast()) {
            found.push(Fault::ViaAddress);
        }
    }
}

fn number_or_date(message: &Message<'_>, field: Field, found: &mut Vec<Fault>) {
    let below = |digits: &[u8], limit: u32| number(digits).is_some_and(|value| value < limit);
    let is_good = match field {
        // RFC 3261 §8.1.1.5 and §20.22.
        Field::CSeq => message
            .cseq()
            .is_some_and(|(digits, _)| below(digits, 1 << 31)),
        Field::MaxForwards => below(message.value(field), 256),
        Field::Expires => message.number(field).is_some(),
        Field::Date => {
            if !message.value(field).ends_with(b"GMT") {
                found.push(Fault::Date);
            }
            true
        }
        _ => true,
    };
    if message.all(field).count() > 1 && field == Field::MaxForwards {
        found.push(Fault::Repeated(field));
    }
    if !is_good {
        found.push(Fault::Number(field));
    }
}
