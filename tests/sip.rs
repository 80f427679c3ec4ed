//! The SIP parser against the torture messages of RFC 4475: each has a verdict and the reason for it.
//!
//! The messages themselves are no part of this repository. Where the folder beside it is absent, only the vectors in
//! this file, written from RFC 3261, are judged.

use std::path::PathBuf;

use host::sip::strict;
use host::sip::{Fault, Field, Framing, Message};

/// What the inspector says about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is wrong with it.
    Pass,
    /// It passes, unless strict headers are asked for.
    Strict(Fault),
    /// It is dropped whatever is configured.
    Refuse(Fault),
}

use Verdict::{Pass, Refuse, Strict};

/// Name, verdict, section of RFC 4475 and reason.
const TORTURE: [(&str, Verdict, &str); 50] = [
    (
        "wsinv",
        Pass,
        "3.1.1.1: folds, compact forms and escapes are unusual and right",
    ),
    (
        "intmeth",
        Pass,
        "3.1.1.2: every token character in a method, escaped NUL in a quoted string",
    ),
    ("esc01", Pass, "3.1.1.3: escapes in a user part"),
    (
        "escnull",
        Pass,
        "3.1.1.4: an escaped NUL is a character like others",
    ),
    (
        "esc02",
        Pass,
        "3.1.1.5: a method is compared as it is written, escapes mean nothing there",
    ),
    (
        "lwsdisp",
        Pass,
        "3.1.1.6: no blank between a display name and its URI",
    ),
    ("longreq", Pass, "3.1.1.7: long, and within all limits"),
    (
        "dblreq",
        Pass,
        "3.1.1.8: what follows the body in a datagram is ignored",
    ),
    ("semiuri", Pass, "3.1.1.9: a semicolon in a user part"),
    (
        "transports",
        Pass,
        "3.1.1.10: any token may name a transport",
    ),
    (
        "mpart01",
        Pass,
        "3.1.1.11: a binary part in a multipart body",
    ),
    ("unreason", Pass, "3.1.1.12: UTF-8 in a reason phrase"),
    ("noreason", Pass, "3.1.1.13: an empty reason phrase"),
    (
        "badinv01",
        Strict(Fault::Via),
        "3.1.2.1: separators without anything between them",
    ),
    (
        "clerr",
        Refuse(Fault::BodyCut),
        "3.1.2.2: the body is shorter than its length",
    ),
    (
        "ncl",
        Refuse(Fault::ContentLength),
        "3.1.2.3: a negative length",
    ),
    (
        "scalar02",
        Strict(Fault::Number(Field::CSeq)),
        "3.1.2.4: numbers too large for their field",
    ),
    (
        "scalarlg",
        Strict(Fault::Number(Field::CSeq)),
        "3.1.2.5: numbers too large, in a response",
    ),
    (
        "quotbal",
        Strict(Fault::Address(Field::To)),
        "3.1.2.6: a quoted string without its end",
    ),
    (
        "ltgtruri",
        Refuse(Fault::StartLine),
        "3.1.2.7: brackets around the Request-URI",
    ),
    (
        "lwsruri",
        Refuse(Fault::StartLine),
        "3.1.2.8: a blank in the Request-URI",
    ),
    (
        "lwsstart",
        Refuse(Fault::StartLine),
        "3.1.2.9: two blanks in the request line",
    ),
    (
        "trws",
        Refuse(Fault::StartLine),
        "3.1.2.10: blanks behind the request line",
    ),
    (
        "escruri",
        Strict(Fault::UriHeaders),
        "3.1.2.11: headers in the Request-URI",
    ),
    (
        "baddate",
        Strict(Fault::Date),
        "3.1.2.12: a time zone other than GMT",
    ),
    (
        "regbadct",
        Strict(Fault::Address(Field::Contact)),
        "3.1.2.13: a question mark needs brackets",
    ),
    (
        "badaspec",
        Strict(Fault::Address(Field::To)),
        "3.1.2.14: blanks inside the brackets",
    ),
    (
        "baddn",
        Refuse(Fault::HeadCut),
        "3.1.2.15: a comma in a bare display name; this copy also lacks its empty line",
    ),
    (
        "badvers",
        Refuse(Fault::Version),
        "3.1.2.16: another version",
    ),
    (
        "mismatch01",
        Refuse(Fault::CSeqMethod),
        "3.1.2.17: CSeq names another method",
    ),
    (
        "mismatch02",
        Refuse(Fault::CSeqMethod),
        "3.1.2.18: CSeq names another method, the request an unknown one",
    ),
    (
        "bigcode",
        Refuse(Fault::StatusCode),
        "3.1.2.19: a status code of more than three digits",
    ),
    (
        "badbranch",
        Strict(Fault::Branch),
        "3.2.1: the cookie of a branch with nothing behind it",
    ),
    (
        "insuf",
        Refuse(Fault::Missing(Field::From)),
        "3.3.1: no From, To and Call-ID: it belongs to nothing",
    ),
    (
        "unkscm",
        Pass,
        "3.3.2: an unknown scheme is for the one who is asked",
    ),
    (
        "novelsc",
        Pass,
        "3.3.3: a known scheme that is not SIP's, likewise",
    ),
    (
        "unksm2",
        Pass,
        "3.3.4: unknown schemes in From, To and Contact",
    ),
    (
        "bext01",
        Pass,
        "3.3.5: an unknown Require is for the one who is asked",
    ),
    ("invut", Pass, "3.3.6: an unknown body"),
    ("regaut01", Pass, "3.3.7: an unknown authorisation"),
    (
        "multi01",
        Refuse(Fault::Repeated(Field::CSeq)),
        "3.3.8: two of what may be there once: two readers see two messages",
    ),
    (
        "mcl01",
        Refuse(Fault::Repeated(Field::ContentLength)),
        "3.3.9: two lengths: two readers see two bodies",
    ),
    (
        "bcast",
        Strict(Fault::ViaAddress),
        "3.3.10: an answer that was sent for a broadcast address",
    ),
    (
        "zeromf",
        Pass,
        "3.3.11: no hop left is for max-forwards-validation, not for the grammar",
    ),
    (
        "cparam01",
        Pass,
        "3.3.12: an unknown parameter of a Contact",
    ),
    (
        "cparam02",
        Pass,
        "3.3.13: an unknown parameter of a Contact's URI",
    ),
    (
        "regescrt",
        Pass,
        "3.3.14: headers in a Contact's URI, in brackets",
    ),
    (
        "sdp01",
        Pass,
        "3.3.15: an unknown Accept is for the one who is asked",
    ),
    (
        "inv2543",
        Pass,
        "3.4.1: from before RFC 3261: no branch, no length, no tags of answers",
    ),
    (
        "test",
        Refuse(Fault::NotSip),
        "beside the RFC: a request line without a version is no SIP",
    ),
];

fn judge(bytes: &[u8]) -> Verdict {
    match Message::parse(bytes, Framing::Datagram) {
        Err(fault) => {
            assert!(fault.is_fatal(), "{fault}");
            Refuse(fault)
        }
        Ok(message) => strict::faults(&message).first().map_or(Pass, |fault| {
            assert!(!fault.is_fatal(), "{fault}");
            Strict(*fault)
        }),
    }
}

#[test]
fn torture_messages_get_the_verdict_that_the_rfc_gives() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/rfc4475");
    if !folder.is_dir() {
        println!(
            "not judged, since {} is absent: the messages of RFC 4475",
            folder.display()
        );
        return;
    }
    let mut wrong = Vec::new();
    for (name, verdict, reason) in TORTURE {
        let bytes = std::fs::read(folder.join(name).with_extension("dat")).expect("one of the set");
        let found = judge(&bytes);
        if found != verdict {
            wrong.push(format!("{name}: {found:?} and not {verdict:?} ({reason})"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let files = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(files, TORTURE.len(), "a verdict for every message");
}

/// A request with one part of it replaced.
fn with(old: &str, new: &str) -> Verdict {
    let whole = "MESSAGE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
        Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.net>\r\nCall-ID: a\r\n\
        CSeq: 7 MESSAGE\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 2\r\n\r\nhi";
    let text = whole.replacen(old, new, 1);
    assert!(old.is_empty() || text != whole, "{old}");
    judge(text.as_bytes())
}

#[test]
fn each_fault_is_told_from_the_others() {
    let long = format!("X: {}\r\nTo", "x".repeat(8 * 1024));
    let many = format!("{}To", "X: y\r\n".repeat(256));
    let folded = format!("X: y\r\n{}To", " z\r\n".repeat(3000));
    let uri = format!("sip:{}@example.net", "b".repeat(255));
    for (old, new, verdict) in [
        ("", "", Pass),
        ("Content-Length: 2\r\n", "", Pass),
        ("MESSAGE sip", "message sip", Refuse(Fault::CSeqMethod)),
        ("SIP/2.0\r\nVia", "HTTP/1.1\r\nVia", Refuse(Fault::NotSip)),
        ("SIP/2.0\r\nVia", "SIP/2.1\r\nVia", Refuse(Fault::Version)),
        ("To: ", "To : ", Pass),
        ("To: ", "T o: ", Refuse(Fault::HeaderLine)),
        ("To: ", "To ", Refuse(Fault::HeaderLine)),
        ("\r\nTo", "\nTo", Refuse(Fault::LineEnd)),
        ("\r\nTo", "\rTo", Refuse(Fault::LineEnd)),
        ("\r\nTo", "\r\n\r\nTo", Refuse(Fault::Missing(Field::To))),
        ("\r\n\r\nhi", "\r\n", Refuse(Fault::HeadCut)),
        ("hi", "h", Refuse(Fault::BodyCut)),
        ("Length: 2", "Length: 2x", Refuse(Fault::ContentLength)),
        (
            "Length: 2",
            "Length: 99999999999",
            Refuse(Fault::ContentLength),
        ),
        ("Length: 2\r\n", "Length: 2\r\nl: 2\r\n", Pass),
        (
            "Length: 2\r\n",
            "Length: 2\r\nl: 1\r\n",
            Refuse(Fault::Repeated(Field::ContentLength)),
        ),
        ("Call-ID", "i", Pass),
        (
            "Call-ID: a",
            "Call-ID: a\r\ni: b",
            Refuse(Fault::Repeated(Field::CallId)),
        ),
        ("Via", "Vie", Refuse(Fault::Missing(Field::Via))),
        ("7 MESSAGE", "MESSAGE", Refuse(Fault::CSeq)),
        (
            "7 MESSAGE",
            "2147483648 MESSAGE",
            Strict(Fault::Number(Field::CSeq)),
        ),
        ("To", &long, Refuse(Fault::LineLong)),
        ("To", &folded, Refuse(Fault::LineLong)),
        ("To", &many, Refuse(Fault::HeadersMany)),
        ("sip:bob@example.net", &uri, Strict(Fault::UriLong)),
        ("sip:bob@example.net", "sip:bob@", Strict(Fault::RequestUri)),
        (
            "Forwards: 70",
            "Forwards: 256",
            Strict(Fault::Number(Field::MaxForwards)),
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nMax-Forwards: 7",
            Strict(Fault::Repeated(Field::MaxForwards)),
        ),
        ("192.0.2.1;", "192.0.2.1:x;", Strict(Fault::Via)),
        ("192.0.2.1;", "224.0.0.1;", Strict(Fault::ViaAddress)),
        ("<sip:alice@192.0.2.1>", "*", Pass),
    ] {
        let cut = |text: &str| text[..text.len().min(40)].to_owned();
        assert_eq!(with(old, new), verdict, "{old:?} -> {:?}", cut(new));
    }
}

#[test]
fn a_message_longer_than_64_kib_is_refused() {
    let mut text =
        "MESSAGE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: sip:a@h\r\nTo: sip:b@h\r\ni: 1\r\n\
        CSeq: 1 MESSAGE\r\n\r\n"
            .to_owned();
    text.extend(std::iter::repeat_n('x', 64 * 1024 - text.len()));
    assert_eq!(judge(text.as_bytes()), Pass);
    text.push('x');
    assert_eq!(judge(text.as_bytes()), Refuse(Fault::MessageLong));
}
