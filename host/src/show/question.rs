//! A line of text as a question: `text show conn detail`, `json show tls-proxy session`.
//!
//! Comes in: bytes of whoever found the socket. Goes out: a question, or what might have been asked.

use std::fmt;
use std::net::Ipv4Addr;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// In the device's shape.
    Text,
    /// For programs.
    Json,
}

/// How much is told of each TLS proxy session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// How many there are.
    Count,
    /// A line each.
    Brief,
    /// Both legs too.
    Full,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `show conn [detail] [address A]`.
    Conns {
        /// With timers and with what leads to it.
        is_detailed: bool,
        /// Only those of this host, by any of its addresses.
        address: Option<Ipv4Addr>,
    },
    /// `show xlate`.
    Xlates,
    /// `show tls-proxy`.
    TlsProxies,
    /// `show tls-proxy session [count | detail]`.
    TlsSessions(Detail),
    /// `show sip`.
    Sip,
    /// `show service-policy`.
    ServicePolicy,
    /// `show access-list [NAME]`.
    AccessLists(Option<String>),
    /// `show running-config`.
    RunningConfig,
}

/// A question and how its answer is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub question: Question,
    /// How it is answered.
    pub format: Format,
}

/// Why a line is no question.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unknown {
    /// Longer than any question.
    #[error("a question has at most {LINE_BYTES} bytes")]
    Long,
    /// Not text, or no format in front of it.
    #[error("say `text` or `json`, and then the command")]
    Form,
    /// No such command.
    #[error(
        "say `show {{conn [detail] [address A] | xlate | tls-proxy [session [count | detail]] | sip | service-policy | access-list [NAME] | running-config}}`"
    )]
    Command,
}

impl Request {
    /// Reads a line, with or without its end.
    pub fn parse(line: &[u8]) -> Result<Self, Unknown> {
        if line.len() > LINE_BYTES {
            return Err(Unknown::Long);
        }
        let text = std::str::from_utf8(line).map_err(|_| Unknown::Form)?;
        let mut words = text.split_ascii_whitespace();
        let format = match words.next() {
            Some("text") => Format::Text,
            Some("json") => Format::Json,
            _ => return Err(Unknown::Form),
        };
        let words: Vec<&str> = words.collect();
        let question = match words.as_slice() {
            ["show", rest @ ..] => Question::parse(rest),
            _ => None,
        };
        let question = question.ok_or(Unknown::Command)?;
        Ok(Self { question, format })
    }
}

impl Question {
    /// Reads the words behind `show`.
    fn parse(words: &[&str]) -> Option<Self> {
        Some(match words {
            ["conn", rest @ ..] => {
                let (is_detailed, rest) = match rest {
                    ["detail", rest @ ..] => (true, rest),
                    rest => (false, rest),
                };
                let address = match rest {
                    [] => None,
                    ["address", address] => Some(address.parse().ok()?),
                    _ => return None,
                };
                Self::Conns {
                    is_detailed,
                    address,
                }
            }
            ["xlate"] => Self::Xlates,
            ["tls-proxy"] => Self::TlsProxies,
            ["tls-proxy", "session"] => Self::TlsSessions(Detail::Brief),
            ["tls-proxy", "session", "count"] => Self::TlsSessions(Detail::Count),
            ["tls-proxy", "session", "detail"] => Self::TlsSessions(Detail::Full),
            ["sip"] => Self::Sip,
            ["service-policy"] => Self::ServicePolicy,
            ["access-list"] => Self::AccessLists(None),
            ["access-list", name] => Self::AccessLists(Some((*name).to_owned())),
            ["running-config"] => Self::RunningConfig,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// The longest line.
pub const LINE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(line: &str) -> Result<Question, Unknown> {
        Request::parse(line.as_bytes()).map(|request| request.question)
    }

    #[test]
    fn each_command_is_understood_and_nothing_like_it() {
        let conns = |is_detailed, address: Option<[u8; 4]>| Question::Conns {
            is_detailed,
            address: address.map(Ipv4Addr::from),
        };
        for (words, question) in [
            ("conn", conns(false, None)),
            ("conn detail", conns(true, None)),
            ("conn address 10.0.0.9", conns(false, Some([10, 0, 0, 9]))),
            (
                "conn detail address 192.0.2.1",
                conns(true, Some([192, 0, 2, 1])),
            ),
            ("xlate", Question::Xlates),
            ("tls-proxy", Question::TlsProxies),
            ("tls-proxy session", Question::TlsSessions(Detail::Brief)),
            (
                "tls-proxy session count",
                Question::TlsSessions(Detail::Count),
            ),
            (
                "tls-proxy session detail",
                Question::TlsSessions(Detail::Full),
            ),
            ("sip", Question::Sip),
            ("service-policy", Question::ServicePolicy),
            ("access-list", Question::AccessLists(None)),
            ("running-config", Question::RunningConfig),
            (
                "access-list FROM",
                Question::AccessLists(Some("FROM".into())),
            ),
        ] {
            assert_eq!(asked(&format!("text show {words}")), Ok(question.clone()));
            assert_eq!(asked(&format!("json  show  {words}\r\n")), Ok(question));
            for wrong in [
                format!("text {words}"),
                format!("text show {words} more words"),
            ] {
                assert_eq!(asked(&wrong), Err(Unknown::Command), "{wrong}");
            }
        }
        for wrong in [
            "text show conn address 10.0.0",
            "text show conn address 10.0.0.9 detail",
            "text show tls-proxy session cert-dump",
            "text show",
            "json",
        ] {
            assert_eq!(asked(wrong), Err(Unknown::Command), "{wrong}");
        }
        for wrong in ["", " \n", "show conn", "yaml show conn"] {
            assert_eq!(asked(wrong), Err(Unknown::Form), "{wrong}");
        }
        assert_eq!(
            Request::parse(&[b' '; LINE_BYTES + 1]),
            Err(Unknown::Long),
            "blank or not"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_question_or_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            words in "(text|json) (show)? ?(conn|tls-proxy|access-list)?[ a-z0-9.\r\n]{0,40}",
        ) {
            // A question about something that was not in the line would be one.
            for line in [bytes.as_slice(), words.as_bytes()] {
                if let Ok(Request { question: Question::AccessLists(Some(name)), .. }) = Request::parse(line) {
                    prop_assert!(String::from_utf8_lossy(line).contains(&name));
                }
            }
        }
    }
}
