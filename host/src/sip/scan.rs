//! Spans of a message, and a cursor that reads RFC 3261 §25.1 tokens inside one.
//!
//! A span of a header value may hold folds: inside it CR and LF are white space, for the line splitter has refused
//! those that are not followed by a blank.

use std::net::Ipv4Addr;

/// A part of a message by its byte positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` to before `end`; empty when they are out of order.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// Its bytes; none when it is not of this message.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Nothing in it.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Without white space at its ends.
    pub fn trim(self, bytes: &[u8]) -> Self {
        let of = self.of(bytes);
        let front = of.iter().take_while(|byte| is_blank(**byte)).count();
        let back = of[front..]
            .iter()
            .rev()
            .take_while(|byte| is_blank(**byte))
            .count();
        Self::new(self.start + front, self.end - back)
    }
}

/// White space, folds included.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `token` of RFC 3261 §25.1.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// Bytes of a host name or of an IPv4 address.
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Reads on inside a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    end: usize,
}

impl<'a> Scan<'a> {
    pub fn new(bytes: &'a [u8], span: Span) -> Self {
        let end = span.end.min(bytes.len());
        Self {
            bytes,
            at: span.start.min(end),
            end,
        }
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    pub fn rest(&self) -> Span {
        Span::new(self.at, self.end)
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest().of(self.bytes).first().copied()
    }

    pub fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    pub fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> Span {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        Span::new(start, self.at)
    }

    /// Takes one byte if it is this one.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes one byte with white space around it.
    pub fn eat_spaced(&mut self, byte: u8) -> bool {
        let before = self.at;
        self.skip_blanks();
        if self.eat(byte) {
            self.skip_blanks();
            true
        } else {
            self.at = before;
            false
        }
    }

    pub fn token(&mut self) -> Option<Span> {
        Some(self.take_while(is_token)).filter(|span| !span.is_empty())
    }

    /// A quoted string, with its quotes; `None` leaves the cursor where it was.
    pub fn quoted(&mut self) -> Option<Span> {
        let start = self.at;
        if !self.eat(b'"') {
            return None;
        }
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Some(Span::new(start, self.at)),
                b'\\' => self.at = (self.at + 1).min(self.end),
                _ => {}
            }
        }
        self.at = start;
        None
    }

    /// A host name, IPv4 address or IPv6 reference with its brackets.
    pub fn host(&mut self) -> Option<Span> {
        if self.peek() != Some(b'[') {
            return Some(self.take_while(is_host)).filter(|span| !span.is_empty());
        }
        let start = self.at;
        self.at += 1;
        self.take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        if self.eat(b']') {
            return Some(Span::new(start, self.at));
        }
        self.at = start;
        None
    }

    /// A decimal number of at most 16 bits.
    pub fn port(&mut self) -> Option<(Span, u16)> {
        let span = self.take_while(|byte| byte.is_ascii_digit());
        Some((span, number(span.of(self.bytes))?.try_into().ok()?))
    }
}

/// A decimal number; `None` when it is none or above 32 bits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A dotted quad. Leading zeros are read as decimal, so that `010.0.0.2` does not hide an address.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let digits = parts.next().filter(|digits| digits.len() <= 3)?;
        *octet = number(digits)?.try_into().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Scan<'_> {
        Scan::new(text.as_bytes(), Span::new(0, text.len()))
    }

    #[test]
    fn a_quoted_string_ends_at_a_quote_that_is_not_escaped() {
        let mut text = scan(r#""a \" b" c"#);
        assert_eq!(text.quoted(), Some(Span::new(0, 8)));
        let mut open = scan(r#""a \""#);
        assert_eq!((open.quoted(), open.at), (None, 0));
    }

    #[test]
    fn addresses_are_read_as_written_by_anybody() {
        assert_eq!(ipv4(b"10.0.0.2"), Some([10, 0, 0, 2].into()));
        assert_eq!(ipv4(b"010.0.0.02"), Some([10, 0, 0, 2].into()));
        for wrong in ["10.0.0", "10.0.0.2.1", "10.0.0.256", "10..0.2", "10.0.0.2a"] {
            assert_eq!(ipv4(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_port_is_below_65536() {
        assert_eq!(scan("65535").port().map(|(_, port)| port), Some(65535));
        assert_eq!(scan("65536").port(), None);
        assert_eq!(scan("x").port(), None);
    }
}
