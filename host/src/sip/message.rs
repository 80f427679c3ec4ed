//! A SIP message as spans of its bytes.
//!
//! Comes in: the bytes of a datagram, or of a message that [`Framer`](super::Framer) cut from a stream. Goes out: start
//! line, headers and body by position, or the fault for which nobody may have the message. Nothing is copied and nothing
//! rewritten. RFC 3261 §7 and §25.

use super::fault::Fault;
use super::field::Field;
use super::limits::{HEADERS, LINE_BYTES, MESSAGE_BYTES};
use super::scan::{Scan, Span, is_blank, is_token, number};

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// `METHOD URI SIP/2.0`.
    Request {
        /// Method.
        method: Span,
        /// Request-URI.
        uri: Span,
    },
    /// `SIP/2.0 CODE REASON`.
    Response {
        /// Status code.
        code: u16,
    },
}

/// One header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which.
    pub field: Field,
    /// Its value without white space at its ends; folds are inside.
    pub value: Span,
}

/// A message whose parts are known.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// All bytes, without what followed the body.
    pub bytes: &'a [u8],
    /// The first line.
    pub start: StartLine,
    /// Headers in order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Span,
    /// Bytes that followed the body in the datagram: RFC 3261 §18.3 has them ignored.
    pub excess: usize,
}

/// What a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A datagram: it ends the body if nothing else does.
    Datagram,
    /// A stream: only Content-Length ends the body.
    Stream,
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn parse(bytes: &'a [u8], framing: Framing) -> Result<Self, Fault> {
        let head = Head::parse(bytes)?;
        let body_bytes = head.body_bytes(bytes)?;
        let available = bytes.len() - head.end;
        let length = match (body_bytes, framing) {
            (Some(length), _) if length > available => return Err(Fault::BodyCut),
            (Some(length), _) => length,
            (None, Framing::Datagram) => available,
            (None, Framing::Stream) => return Err(Fault::NoContentLength),
        };
        let end = head.end + length;
        if end > MESSAGE_BYTES {
            return Err(Fault::MessageLong);
        }
        let message = Self {
            bytes: &bytes[..end],
            start: head.start,
            headers: head.headers,
            body: Span::new(head.end, end),
            excess: available - length,
        };
        message.identify()?;
        Ok(message)
    }

    /// Refuses a message that belongs to no dialog, or to more than one.
    fn identify(&self) -> Result<(), Fault> {
        for field in [
            Field::Via,
            Field::From,
            Field::To,
            Field::CallId,
            Field::CSeq,
        ] {
            if self.header(field).is_none() {
                return Err(Fault::Missing(field));
            }
        }
        for header in &self.headers {
            let is_again = header.field.is_single() && self.all(header.field).count() > 1;
            let fault = Fault::Repeated(header.field);
            if is_again && header.field != Field::ContentLength && fault.is_fatal() {
                return Err(fault);
            }
        }
        let (_, method) = self.cseq().ok_or(Fault::CSeq)?;
        match self.start {
            StartLine::Request { method: own, .. } if own.of(self.bytes) != method => {
                Err(Fault::CSeqMethod)
            }
            _ => Ok(()),
        }
    }

    /// The first header of a field.
    pub fn header(&self, field: Field) -> Option<Span> {
        self.all(field).next()
    }

    /// All headers of a field.
    pub fn all(&self, field: Field) -> impl Iterator<Item = Span> + '_ {
        let headers = self.headers.iter();
        headers
            .filter(move |header| header.field == field)
            .map(|header| header.value)
    }

    /// The bytes of the first header of a field.
    pub fn value(&self, field: Field) -> &'a [u8] {
        self.header(field)
            .map_or(&[][..], |value| value.of(self.bytes))
    }

    /// A header that is a number; `None` when it is missing, none or above 32 bits.
    pub fn number(&self, field: Field) -> Option<u32> {
        number(self.value(field))
    }

    /// Digits and method of CSeq.
    pub fn cseq(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut scan = Scan::new(self.bytes, self.header(Field::CSeq)?);
        let digits = scan.take_while(|byte| byte.is_ascii_digit());
        let blanks = scan.take_while(is_blank);
        let method = scan.token()?;
        let is_whole = !digits.is_empty() && !blanks.is_empty() && scan.is_at_end();
        is_whole.then(|| (digits.of(self.bytes), method.of(self.bytes)))
    }

    /// The method: of the request line, or the one that a response answers.
    pub fn method(&self) -> &'a [u8] {
        match self.start {
            StartLine::Request { method, .. } => method.of(self.bytes),
            StartLine::Response { .. } => self.cseq().map_or(&[], |(_, method)| method),
        }
    }

    /// The status code; `None` for a request.
    pub fn code(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { code } => Some(code),
            StartLine::Request { .. } => None,
        }
    }
}

/// Start line and headers.
#[derive(Clone, Debug)]
pub(super) struct Head {
    start: StartLine,
    headers: Vec<Header>,
    /// Where the body begins.
    pub end: usize,
}

impl Head {
    /// Reads everything before the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = &bytes[..bytes.len().min(MESSAGE_BYTES + 1)];
        let Some((first, mut at)) = line(bytes, 0)? else {
            return Err(not_sip_or(bytes, Fault::HeadCut));
        };
        let start = start_line(bytes, first)?;
        let mut headers = Vec::new();
        loop {
            let begin = at;
            let Some((mut span, mut next)) = line(bytes, at)? else {
                return Err(too_long_or_cut(bytes));
            };
            if span.is_empty() {
                return Ok(Self {
                    start,
                    headers,
                    end: next,
                });
            }
            while matches!(bytes.get(next), Some(b' ' | b'\t')) {
                let Some((fold, behind)) = line(bytes, next)? else {
                    return Err(too_long_or_cut(bytes));
                };
                (span.end, next) = (fold.end, behind);
                if next - begin > LINE_BYTES {
                    return Err(Fault::LineLong);
                }
            }
            if headers.len() == HEADERS {
                return Err(Fault::HeadersMany);
            }
            headers.push(header(bytes, span)?);
            at = next;
        }
    }

    /// What Content-Length says. Said twice in two ways it says nothing.
    pub fn body_bytes(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let mut found = None;
        for header in &self.headers {
            if header.field != Field::ContentLength {
                continue;
            }
            let value = number(header.value.of(bytes)).ok_or(Fault::ContentLength)?;
            if found.is_some_and(|known| known != value) {
                return Err(Fault::Repeated(Field::ContentLength));
            }
            found = Some(value);
        }
        Ok(found.map(|value| value as usize))
    }
}

fn too_long_or_cut(bytes: &[u8]) -> Fault {
    if bytes.len() > MESSAGE_BYTES {
        Fault::MessageLong
    } else {
        Fault::HeadCut
    }
}

/// The line at a position without its CR LF, and where the next one begins; `None` if it has no end.
fn line(bytes: &[u8], at: usize) -> Result<Option<(Span, usize)>, Fault> {
    let window = bytes.get(at..).unwrap_or_default();
    let reach = window.len().min(LINE_BYTES);
    let Some(length) = window[..reach]
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
    else {
        return if reach == LINE_BYTES {
            Err(Fault::LineLong)
        } else {
            Ok(None)
        };
    };
    match window[length..] {
        [b'\r', b'\n', ..] => Ok(Some((Span::new(at, at + length), at + length + 2))),
        [b'\r'] => Ok(None),
        _ => Err(Fault::LineEnd),
    }
}

fn header(bytes: &[u8], span: Span) -> Result<Header, Fault> {
    let mut scan = Scan::new(bytes, span);
    let name = scan.token().ok_or(Fault::HeaderLine)?;
    scan.take_while(|byte| matches!(byte, b' ' | b'\t'));
    if !scan.eat(b':') {
        return Err(Fault::HeaderLine);
    }
    Ok(Header {
        field: Field::of(name.of(bytes)),
        value: scan.rest().trim(bytes),
    })
}

/// RFC 3261 §7.1 and §7.2: three parts with one blank between them.
fn start_line(bytes: &[u8], line: Span) -> Result<StartLine, Fault> {
    let text = line.of(bytes);
    if !looks_like_sip(text) {
        return Err(Fault::NotSip);
    }
    if let Some(rest) = text.strip_prefix(b"SIP/") {
        return status_line(rest);
    }
    let mut scan = Scan::new(bytes, line);
    let method = scan.token().ok_or(Fault::StartLine)?;
    let first = scan.eat(b' ');
    let uri = scan.take_while(|byte| byte > b' ' && !matches!(byte, b'<' | b'>' | b'"' | 0x7f));
    let second = scan.eat(b' ');
    let version = scan.rest().of(bytes);
    if !first || !second || uri.is_empty() || version.contains(&b' ') {
        return Err(Fault::StartLine);
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Fault::Version);
    }
    Ok(StartLine::Request { method, uri })
}

fn status_line(rest: &[u8]) -> Result<StartLine, Fault> {
    let Some(rest) = rest.strip_prefix(b"2.0") else {
        return Err(Fault::Version);
    };
    let Some(rest) = rest.strip_prefix(b" ") else {
        return Err(Fault::StartLine);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let code = number(&rest[..digits]).filter(|code| digits == 3 && (100..700).contains(code));
    let code = code
        .and_then(|code| u16::try_from(code).ok())
        .ok_or(Fault::StatusCode)?;
    // RFC 4475 §3.1.1.13: the blank stays when the reason is empty; without it nobody is misled either.
    match rest.get(digits) {
        None | Some(b' ') => Ok(StartLine::Response { code }),
        Some(_) => Err(Fault::StartLine),
    }
}

/// Whether a first line belongs to some SIP message, well formed or not.
pub(super) fn looks_like_sip(line: &[u8]) -> bool {
    let is_response = line.starts_with(b"SIP/");
    let mut words = line
        .rsplit(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let version = words.next().unwrap_or_default();
    let is_request = version.len() > 4
        && version[..4].eq_ignore_ascii_case(b"SIP/")
        && words.next().is_some()
        && line.first().copied().is_some_and(is_token);
    is_response || is_request
}

/// What a datagram without a line end is.
fn not_sip_or(bytes: &[u8], fault: Fault) -> Fault {
    if looks_like_sip(bytes) {
        fault
    } else {
        Fault::NotSip
    }
}
