//! Addresses in headers: Via values, name-addr lists, URIs.
//!
//! Everything is a span of the message. What does not fit the grammar is reported, and what was read until then is kept,
//! so that a strict policy can refuse it and a lax one can still translate it. RFC 3261 §25.1.

use super::scan::{Scan, Span, is_blank, is_token};

/// `;name[=value]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: Span,
    /// Its value, with its quotes if it has any.
    pub value: Option<Span>,
}

/// A Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` …
    pub transport: Span,
    /// Host of sent-by.
    pub host: Span,
    /// Port of sent-by.
    pub port: Option<(Span, u16)>,
    /// Parameters.
    pub params: Vec<Param>,
}

/// A name-addr or an addr-spec with header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The URI.
    pub uri: Span,
    /// Parameters behind it.
    pub params: Vec<Param>,
}

/// What the grammar made of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// Values read.
    pub values: Vec<T>,
    /// The whole value follows the grammar.
    pub is_whole: bool,
}

/// Scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip`.
    Sip,
    /// `sips`.
    Sips,
    /// `tel`.
    Tel,
    /// Any other.
    Other,
}

/// A URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Its scheme.
    pub scheme: Scheme,
    /// User and password; empty if there are none.
    pub user: Span,
    /// Host; empty for a URI that is not SIP's.
    pub host: Span,
    /// Port.
    pub port: Option<(Span, u16)>,
    /// Parameters.
    pub params: Vec<Param>,
    /// What follows `?`.
    pub headers: Span,
    /// It follows the grammar of its scheme.
    pub is_whole: bool,
}

/// The value of a parameter, found by its name.
pub fn param(bytes: &[u8], params: &[Param], name: &str) -> Option<Param> {
    let mut found = params.iter();
    found
        .find(|param| param.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()))
        .copied()
}

/// Reads `;name=value` until something else comes. `false` if one is malformed.
fn params(scan: &mut Scan<'_>, into: &mut Vec<Param>) -> bool {
    while scan.eat_spaced(b';') {
        let Some(name) = scan.token() else {
            return false;
        };
        let mut value = None;
        if scan.eat_spaced(b'=') {
            value = scan.quoted().or_else(|| {
                // Token, host, or the bare IPv6 address of `received`.
                let accept = |byte: u8| is_token(byte) || matches!(byte, b'[' | b']' | b':');
                Some(scan.take_while(accept)).filter(|span| !span.is_empty())
            });
            if value.is_none() {
                return false;
            }
        }
        into.push(Param { name, value });
    }
    true
}

/// A comma-separated list. `read` returns a value and whether it is well formed.
fn list<T>(
    bytes: &[u8],
    value: Span,
    mut read: impl FnMut(&mut Scan<'_>) -> Option<(T, bool)>,
) -> List<T> {
    let mut scan = Scan::new(bytes, value);
    let mut values = Vec::new();
    loop {
        scan.skip_blanks();
        let Some((found, is_whole)) = read(&mut scan) else {
            return List {
                values,
                is_whole: false,
            };
        };
        values.push(found);
        scan.skip_blanks();
        if !is_whole || scan.is_at_end() {
            return List {
                values,
                is_whole: is_whole && scan.is_at_end(),
            };
        }
        if !scan.eat(b',') {
            return List {
                values,
                is_whole: false,
            };
        }
    }
}

/// The values of a Via header.
pub fn vias(bytes: &[u8], value: Span) -> List<Via> {
    list(bytes, value, |scan| {
        scan.token()?;
        scan.eat_spaced(b'/').then_some(())?;
        scan.token()?;
        scan.eat_spaced(b'/').then_some(())?;
        let transport = scan.token()?;
        scan.skip_blanks();
        let host = scan.host()?;
        let mut port = None;
        if scan.eat_spaced(b':') {
            port = Some(scan.port()?);
        }
        let mut found = Via {
            transport,
            host,
            port,
            params: Vec::new(),
        };
        let is_whole = params(scan, &mut found.params);
        Some((found, is_whole))
    })
}

/// The values of a header with addresses. `*` is an empty list.
pub fn addresses(bytes: &[u8], value: Span) -> List<Address> {
    if value.of(bytes) == b"*" {
        return List {
            values: Vec::new(),
            is_whole: true,
        };
    }
    list(bytes, value, |scan| {
        let (uri, mut is_whole) = address_uri(scan)?;
        let mut found = Address {
            uri,
            params: Vec::new(),
        };
        is_whole &= params(scan, &mut found.params);
        Some((found, is_whole))
    })
}

/// The URI of an address, behind a display name or bare, and whether all about it is well formed.
fn address_uri(scan: &mut Scan<'_>) -> Option<(Span, bool)> {
    let start = scan.at;
    let mut is_whole = true;
    if scan.peek() == Some(b'"') {
        scan.quoted()?;
        scan.skip_blanks();
        if scan.peek() != Some(b'<') {
            return None;
        }
    } else {
        let bare = scan.take_while(|byte| !matches!(byte, b'<' | b'"' | b',' | b';'));
        if scan.peek() == Some(b'<') {
            // RFC 3261 §25.1: an unquoted display name is tokens and white space.
            is_whole = bare
                .of(scan.bytes)
                .iter()
                .all(|byte| is_token(*byte) || is_blank(*byte));
        } else {
            scan.at = start;
            return bare_uri(scan);
        }
    }
    scan.eat(b'<');
    let inside = scan.take_while(|byte| byte != b'>');
    if !scan.eat(b'>') {
        scan.at = start;
        return None;
    }
    let uri = inside.trim(scan.bytes);
    is_whole &=
        uri == inside && !uri.is_empty() && !uri.of(scan.bytes).iter().any(|b| is_blank(*b));
    Some((uri, is_whole))
}

/// A URI without brackets ends before its own parameters. RFC 3261 §20.10: with `?` in it, it must have brackets.
fn bare_uri(scan: &mut Scan<'_>) -> Option<(Span, bool)> {
    let uri = scan.take_while(|byte| !matches!(byte, b';' | b',' | b'>') && !is_blank(byte));
    let text = uri.of(scan.bytes);
    let is_whole = text.contains(&b':') && !text.contains(&b'?');
    (!uri.is_empty()).then_some((uri, is_whole))
}

/// Reads a URI.
pub fn uri(bytes: &[u8], span: Span) -> Uri {
    let mut scan = Scan::new(bytes, span);
    let name =
        scan.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let mut found = Uri {
        scheme: scheme(name.of(bytes)),
        user: Span::default(),
        host: Span::default(),
        port: None,
        params: Vec::new(),
        headers: Span::default(),
        is_whole: !name.is_empty() && scan.eat(b':'),
    };
    if !found.is_whole || !matches!(found.scheme, Scheme::Sip | Scheme::Sips) {
        return found;
    }
    let rest = scan.rest().of(bytes);
    if let Some(at) = rest.iter().position(|byte| *byte == b'@') {
        found.user = Span::new(scan.at, scan.at + at);
        scan.at += at + 1;
    }
    match scan.host() {
        Some(host) => found.host = host,
        None => found.is_whole = false,
    }
    if found.is_whole && scan.eat(b':') {
        found.port = scan.port();
        found.is_whole = found.port.is_some();
    }
    found.is_whole = found.is_whole && uri_params(&mut scan, &mut found.params);
    if found.is_whole && scan.eat(b'?') {
        found.headers = scan.rest();
        scan.at = span.end;
    }
    found.is_whole &= scan.is_at_end();
    found
}

/// `uri-parameters`: their values know more bytes than tokens do.
fn uri_params(scan: &mut Scan<'_>, into: &mut Vec<Param>) -> bool {
    let accept = |byte: u8| {
        is_token(byte) || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')')
    };
    while scan.eat(b';') {
        let name = scan.take_while(accept);
        if name.is_empty() {
            return false;
        }
        let value = scan.eat(b'=').then(|| scan.take_while(accept));
        into.push(Param { name, value });
    }
    true
}

fn scheme(name: &[u8]) -> Scheme {
    let is = |scheme: &str| name.eq_ignore_ascii_case(scheme.as_bytes());
    match () {
        () if is("sip") => Scheme::Sip,
        () if is("sips") => Scheme::Sips,
        () if is("tel") => Scheme::Tel,
        () => Scheme::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Span {
        Span::new(0, text.len())
    }

    fn text(of: &str, span: Span) -> &str {
        &of[span.start..span.end]
    }

    #[test]
    fn a_uri_is_taken_apart() {
        let of = "sips:alice;x=1:pw@10.0.0.2:5061;transport=tls;lr?Subject=a";
        let found = uri(of.as_bytes(), whole(of));
        assert!(found.is_whole);
        assert_eq!(found.scheme, Scheme::Sips);
        assert_eq!(text(of, found.user), "alice;x=1:pw");
        assert_eq!(text(of, found.host), "10.0.0.2");
        assert_eq!(found.port.map(|(_, port)| port), Some(5061));
        assert_eq!(text(of, found.headers), "Subject=a");
        let transport = param(of.as_bytes(), &found.params, "Transport").and_then(|p| p.value);
        assert_eq!(transport.map(|span| text(of, span)), Some("tls"));
    }

    #[test]
    fn a_list_has_values_with_and_without_brackets() {
        let of = "\"A, \\\" <b\" <sip:a@h>;q=0.1 , sip:b@h;expires=3,c d <sip:c@h>";
        let found = addresses(of.as_bytes(), whole(of));
        assert!(found.is_whole);
        let uris: Vec<_> = found
            .values
            .iter()
            .map(|value| text(of, value.uri))
            .collect();
        assert_eq!(uris, ["sip:a@h", "sip:b@h", "sip:c@h"]);
        assert_eq!(found.values[1].params.len(), 1);
    }

    #[test]
    fn what_is_malformed_is_said() {
        for of in [
            "\"open <sip:a@h>",
            "< sip:a@h >",
            "Bell, A <sip:a@h>",
            "<sip:a@h>;;;;",
            "sip:a@h?Route=x",
            "<sip:a@h",
            "",
        ] {
            assert!(!addresses(of.as_bytes(), whole(of)).is_whole, "{of}");
        }
    }

    #[test]
    fn a_via_may_be_spread_over_lines() {
        let of = "SIP / 2.0\r\n / UDP\r\n\t10.0.0.2 : 5070 ;branch = x,SIP/2.0/TLS h;rport";
        let found = vias(of.as_bytes(), whole(of));
        assert!(found.is_whole);
        assert_eq!(found.values[0].port.map(|(_, port)| port), Some(5070));
        assert_eq!(text(of, found.values[1].transport), "TLS");
        for of in ["SIP/2.0/UDP 10.0.0.2;;,;,,", "SIP/2.0 h", "SIP/2.0/UDP h:x"] {
            assert!(!vias(of.as_bytes(), whole(of)).is_whole, "{of}");
        }
    }
}
