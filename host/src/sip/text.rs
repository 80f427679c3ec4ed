//! Fix-up of free text: addresses in headers that have no grammar for us, or do not keep to it.

use std::hash::BuildHasher;
use std::net::Ipv4Addr;

use super::field::{Field, Shape};
use super::fixup::{Fixer, Role, TEXT, is_usable, text};
use super::memory::Place;
use super::scan::{Span, ipv4, is_token, number};
use super::translate::Way;

impl Fixer<'_> {
    /// Translates every address in a span that nobody looked at yet.
    pub fn sweep(&mut self, span: Span, field: Field) {
        let is_kept = field.shape() == Shape::Opaque && !self.context.is_private;
        let mut at = span.start;
        while let Some((literal, address, port)) = next_literal(self.bytes, Span::new(at, span.end))
        {
            at = literal.end;
            if self.edits.is_claimed(literal) || !is_usable(&address) {
                continue;
            }
            if is_kept {
                let is_real = self.context.way == Way::Outbound
                    && self.translator.map_address(address).is_some();
                if is_real && !self.found.kept.contains(&field) {
                    self.found.kept.push(field);
                }
                continue;
            }
            let place = self.place_in_text(Span::new(span.start, literal.start), field);
            let written = (address, port);
            let new = match self.context.way {
                Way::Outbound => {
                    self.translate(written, Role::Identity, (self.text_protocol, 0), place)
                }
                Way::Inbound => self.memory.real(written, place),
            };
            self.edits.claim_or_replace(literal, new.map(text));
        }
    }

    /// Whether any address in a span is one of the real side.
    pub fn names_real(&mut self, span: Span) -> bool {
        let mut at = span.start;
        while let Some((literal, address, _)) = next_literal(self.bytes, Span::new(at, span.end)) {
            if self.translator.map_address(address).is_some() {
                return true;
            }
            at = literal.end;
        }
        false
    }

    /// The place of an address in free text: the word that it ends, such as `z9hG4bK-` of `z9hG4bK-10.0.0.2`.
    fn place_in_text(&mut self, before: Span, field: Field) -> Place {
        let text = before.of(self.bytes);
        let length = text
            .iter()
            .rev()
            .take_while(|byte| is_token(**byte) || matches!(byte, b'@' | b'='))
            .count();
        let word = &text[text.len() - length..];
        Place {
            user: self.context.seed.hash_one((TEXT, word)),
            field: self.nth(TEXT, field),
        }
    }
}

/// The next dotted quad, perhaps with a port. One that a name goes on behind is part of that name.
fn next_literal(bytes: &[u8], within: Span) -> Option<(Span, Ipv4Addr, Option<u16>)> {
    let mut at = within.start;
    while at < within.end {
        let rest = Span::new(at, within.end).of(bytes);
        match rest {
            // An escaped byte: its digits belong to no number.
            [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => at += 3,
            [b'0'..=b'9', ..] => {
                let accept = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
                let run = rest.iter().take_while(accept).count();
                let dots = rest[..run]
                    .iter()
                    .rev()
                    .take_while(|byte| **byte == b'.')
                    .count();
                let length = run - dots;
                let goes_on = dots > 0 && rest.get(run).is_some_and(u8::is_ascii_alphanumeric);
                let address = ipv4(&rest[..length]).filter(|_| !goes_on);
                if let Some(address) = address {
                    let (length, port) = with_port(rest, length);
                    return Some((Span::new(at, at + length), address, port));
                }
                at += run;
            }
            _ => at += 1,
        }
    }
    None
}

fn with_port(rest: &[u8], length: usize) -> (usize, Option<u16>) {
    let Some([b':', digits @ ..]) = rest.get(length..) else {
        return (length, None);
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let port = number(&digits[..count]).and_then(|port| u16::try_from(port).ok());
    match port {
        Some(port) => (length + 1 + count, Some(port)),
        None => (length, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_among_names_versions_and_escapes() {
        for (of, found) in [
            ("10.0.0.2", Some(("10.0.0.2", None))),
            ("x=10.0.0.2:5060;", Some(("10.0.0.2:5060", Some(5060)))),
            ("a%4010.0.0.2", Some(("10.0.0.2", None))),
            ("from 10.0.0.2.", Some(("10.0.0.2", None))),
            ("::ffff:10.0.0.2]", Some(("10.0.0.2", None))),
            ("10.0.0.2:99999", Some(("10.0.0.2", None))),
            ("10.0.0.2.example.com", None),
            ("1.10.0.0.2", None),
            ("10.0.0.256 10.0.0", None),
        ] {
            let literal = next_literal(of.as_bytes(), Span::new(0, of.len()));
            let seen = literal.map(|(span, _, port)| (&of[span.start..span.end], port));
            assert_eq!(seen, found, "{of}");
        }
    }
}
