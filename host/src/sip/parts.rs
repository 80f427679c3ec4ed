//! The parts of a body: itself, or those of a multipart body (RFC 2046 §5.1), flattened.

use super::field::Field;
use super::limits::{HEADERS, LINE_BYTES, PART_DEPTH, PARTS};
use super::message::Message;
use super::scan::{Scan, Span, is_blank};

/// What a body is to the inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `application/sdp`.
    Sdp,
    /// `message/sipfrag` or `message/sip`: headers of other messages.
    Fragment,
    /// Anything else: text, presence, data.
    Other,
}

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Compressed or otherwise not readable as it stands.
    pub is_encoded: bool,
    /// Its own Content-Length value, which only parts of multipart bodies have here.
    pub length: Option<Span>,
    /// Its bytes.
    pub body: Span,
}

/// The parts of a message's body; `None` when there are more than the limits allow.
pub fn parts(message: &Message<'_>) -> Option<Vec<Part>> {
    let mut found = Vec::new();
    if message.body.is_empty() {
        return Some(found);
    }
    let encoding = message.value(Field::ContentEncoding);
    let content = Content {
        kind: message.header(Field::ContentType).unwrap_or_default(),
        is_encoded: !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity"),
        length: None,
        body: message.body,
    };
    collect(message.bytes, &content, PART_DEPTH, &mut found).then_some(found)
}

/// A body with its headers.
struct Content {
    kind: Span,
    is_encoded: bool,
    length: Option<Span>,
    body: Span,
}

fn collect(bytes: &[u8], content: &Content, depth: usize, found: &mut Vec<Part>) -> bool {
    let mut scan = Scan::new(bytes, content.kind);
    let main = scan
        .take_while(|byte| byte != b'/' && byte != b';')
        .trim(bytes);
    scan.eat(b'/');
    let sub = scan.take_while(|byte| byte != b';').trim(bytes);
    if main.of(bytes).eq_ignore_ascii_case(b"multipart")
        && let Some(boundary) = boundary(scan)
    {
        return depth > 0
            && split(bytes, content.body, boundary)
                .iter()
                .all(|inner| collect(bytes, inner, depth - 1, found));
    }
    found.push(Part {
        kind: kind(main.of(bytes), sub.of(bytes)),
        is_encoded: content.is_encoded,
        length: content.length,
        body: content.body,
    });
    found.len() <= PARTS
}

fn kind(main: &[u8], sub: &[u8]) -> Kind {
    let is = |text: &[u8], what: &str| text.eq_ignore_ascii_case(what.as_bytes());
    if is(main, "application") && is(sub, "sdp") {
        Kind::Sdp
    } else if is(main, "message") && (is(sub, "sipfrag") || is(sub, "sip")) {
        Kind::Fragment
    } else {
        Kind::Other
    }
}

fn boundary<'a>(mut scan: Scan<'a>) -> Option<&'a [u8]> {
    while scan.eat_spaced(b';') {
        let name = scan.token()?;
        if !scan.eat_spaced(b'=') {
            continue;
        }
        let quoted = scan
            .quoted()
            .map(|span| Span::new(span.start + 1, span.end - 1));
        let value =
            quoted.unwrap_or_else(|| scan.take_while(|byte| byte != b';' && !is_blank(byte)));
        if name.of(scan.bytes).eq_ignore_ascii_case(b"boundary") && !value.is_empty() {
            return Some(value.of(scan.bytes));
        }
    }
    None
}

/// The contents between delimiter lines. What precedes the first is nobody's.
fn split(bytes: &[u8], body: Span, boundary: &[u8]) -> Vec<Content> {
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = body.start;
    for line in body.of(bytes).split_inclusive(|byte| *byte == b'\n') {
        let begin = at;
        at += line.len();
        let Some(rest) = line
            .strip_prefix(b"--")
            .and_then(|line| line.strip_prefix(boundary))
        else {
            continue;
        };
        let (is_last, rest) = match rest.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !rest.iter().all(|byte| is_blank(*byte)) {
            continue;
        }
        if let Some(start) = open.take() {
            found.push(content(
                bytes,
                Span::new(start, without_line_end(bytes, start, begin)),
            ));
        }
        if is_last || found.len() > PARTS {
            return found;
        }
        open = Some(at);
    }
    // A body without its last delimiter: what is there is a part all the same.
    found.extend(open.map(|start| content(bytes, Span::new(start, body.end))));
    found
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let text = Span::new(start, end).of(bytes);
    let ends = match text {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    };
    end - ends
}

/// Headers and body of one part.
fn content(bytes: &[u8], span: Span) -> Content {
    let mut part = Content {
        kind: Span::default(),
        is_encoded: false,
        length: None,
        body: span,
    };
    let mut at = span.start;
    let lines = span.of(bytes).split_inclusive(|byte| *byte == b'\n');
    for line in lines.take(HEADERS) {
        let whole = Span::new(at, at + line.len());
        at = whole.end;
        let trimmed = whole.trim(bytes);
        if trimmed.is_empty() {
            part.body = Span::new(at, span.end);
            return part;
        }
        let mut scan = Scan::new(bytes, trimmed);
        let name = scan.take_while(|byte| byte != b':');
        if name.len() > LINE_BYTES || !scan.eat(b':') {
            continue;
        }
        let value = scan.rest().trim(bytes);
        let name = name.trim(bytes).of(bytes);
        if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            let encoding = value.of(bytes).to_ascii_lowercase();
            part.is_encoded |= matches!(&encoding[..], b"base64" | b"quoted-printable");
        }
        match Field::of(name) {
            Field::ContentType => part.kind = value,
            Field::ContentLength => part.length = Some(value),
            Field::ContentEncoding => {
                part.is_encoded |= !value.of(bytes).eq_ignore_ascii_case(b"identity");
            }
            _ => {}
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::super::message::Framing;
    use super::*;

    fn message(kind: &str, body: &str) -> String {
        format!(
            "MESSAGE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn parts_inside_parts_are_found() {
        let body = "preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\n\
            Content-Type: multipart/alternative; boundary=\"y z\"\r\n\r\n--y z\r\nc: application/sdp\r\n\
            l: 5\r\n\r\nv=0\r\n\r\n--y z--\r\n--x--\r\n";
        let text = message("multipart/mixed;boundary=x", body);
        let message = Message::parse(text.as_bytes(), Framing::Datagram).expect("well formed");
        let parts = parts(&message).expect("within the limits");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].body.of(message.bytes), b"hi");
        assert_eq!(parts[1].kind, Kind::Sdp);
        assert_eq!(parts[1].body.of(message.bytes), b"v=0\r\n");
        assert_eq!(
            parts[1].length.map(|span| span.of(message.bytes)),
            Some(&b"5"[..])
        );
    }

    #[test]
    fn too_many_parts_are_refused() {
        let body = "--x\r\n\r\n\r\n".repeat(PARTS + 2);
        let text = message("multipart/mixed;boundary=x", &body);
        let message = Message::parse(text.as_bytes(), Framing::Datagram).expect("well formed");
        assert_eq!(parts(&message), None);
    }
}
