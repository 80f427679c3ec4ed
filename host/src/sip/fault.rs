//! What is wrong with a message.

use std::fmt;

use super::field::Field;

/// What is wrong with a message. [`Fault::is_fatal`] tells what no message may have; the rest is for
/// `strict-header-validation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// No SIP at all: for `traffic-non-sip`.
    NotSip,
    /// A CR without LF or a LF without CR in the head.
    LineEnd,
    /// A header longer than the limit.
    LineLong,
    /// More headers than the limit.
    HeadersMany,
    /// A message longer than the limit.
    MessageLong,
    /// The datagram ends before the empty line.
    HeadCut,
    /// The start line has not the parts that it must have, with one blank between them.
    StartLine,
    /// Another version than SIP/2.0.
    Version,
    /// A status code that is not three digits from 100 to 699.
    StatusCode,
    /// A line that is no header.
    HeaderLine,
    /// Content-Length is no number.
    ContentLength,
    /// A header stands twice that may stand once.
    Repeated(Field),
    /// The body is shorter than Content-Length says.
    BodyCut,
    /// No Content-Length on a stream.
    NoContentLength,
    /// A header is missing without which a message belongs to nothing.
    Missing(Field),
    /// CSeq is not a number and a method.
    CSeq,
    /// CSeq names another method than the request line.
    CSeqMethod,
    /// The rest of a message did not come in time.
    Incomplete,
    /// The Request-URI is not as its scheme wants it.
    RequestUri,
    /// The Request-URI is longer than the limit.
    UriLong,
    /// The Request-URI carries headers.
    UriHeaders,
    /// An address header is not as its grammar wants it.
    Address(Field),
    /// A Via is not as its grammar wants it.
    Via,
    /// A branch has nothing behind its cookie.
    Branch,
    /// A Via names an address that cannot be answered: broadcast or multicast.
    ViaAddress,
    /// A number is out of its range.
    Number(Field),
    /// A date in another zone than GMT.
    Date,
}

impl Fault {
    /// Whether a message with it is refused whatever is configured: it cannot be delimited, tracked or understood in one
    /// way only.
    pub fn is_fatal(self) -> bool {
        match self {
            Fault::NotSip
            | Fault::LineEnd
            | Fault::LineLong
            | Fault::HeadersMany
            | Fault::MessageLong
            | Fault::HeadCut
            | Fault::StartLine
            | Fault::Version
            | Fault::StatusCode
            | Fault::HeaderLine
            | Fault::ContentLength
            | Fault::BodyCut
            | Fault::NoContentLength
            | Fault::Missing(_)
            | Fault::CSeq
            | Fault::CSeqMethod
            | Fault::Incomplete => true,
            Fault::Repeated(field) => field != Field::MaxForwards,
            Fault::RequestUri
            | Fault::UriLong
            | Fault::UriHeaders
            | Fault::Address(_)
            | Fault::Via
            | Fault::Branch
            | Fault::ViaAddress
            | Fault::Number(_)
            | Fault::Date => false,
        }
    }

    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Fault::NotSip => "not-sip",
            Fault::LineEnd => "bad-line-end",
            Fault::LineLong => "header-too-long",
            Fault::HeadersMany => "too-many-headers",
            Fault::MessageLong => "message-too-long",
            Fault::HeadCut => "head-cut",
            Fault::StartLine => "bad-start-line",
            Fault::Version => "bad-version",
            Fault::StatusCode => "bad-status-code",
            Fault::HeaderLine => "bad-header-line",
            Fault::ContentLength => "bad-content-length",
            Fault::Repeated(_) => "repeated-header",
            Fault::BodyCut => "body-cut",
            Fault::NoContentLength => "no-content-length",
            Fault::Missing(_) => "missing-header",
            Fault::CSeq => "bad-cseq",
            Fault::CSeqMethod => "cseq-method-mismatch",
            Fault::Incomplete => "incomplete",
            Fault::RequestUri => "bad-request-uri",
            Fault::UriLong => "request-uri-too-long",
            Fault::UriHeaders => "request-uri-headers",
            Fault::Address(_) => "bad-address",
            Fault::Via => "bad-via",
            Fault::Branch => "bad-branch",
            Fault::ViaAddress => "bad-via-address",
            Fault::Number(_) => "number-out-of-range",
            Fault::Date => "bad-date",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Fault::Repeated(field)
            | Fault::Missing(field)
            | Fault::Address(field)
            | Fault::Number(field) => write!(f, " {}", field.name()),
            _ => Ok(()),
        }
    }
}
