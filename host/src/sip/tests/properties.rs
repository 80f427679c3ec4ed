//! What holds for every message.

use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::bench::{Bench, Nat, PEER, SERVER, SERVER_MAPPED, is_real, message};
use crate::flow::Time;
use crate::sip::{Effect, Frame, Framer, Framing, Message, Protocol, Way};

/// Hosts as user agents write them, most of them of the real side.
fn host() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        4 => Just("10.0.0.2".to_owned()),
        4 => (1..250_u8).prop_map(|last| format!("10.0.0.{last}")),
        1 => Just("198.51.100.9".to_owned()),
        1 => Just("host.example.com".to_owned()),
    ];
    let port = prop_oneof![
        Just(String::new()),
        (1..u16::MAX).prop_map(|port| format!(":{port}")),
        Just(":5060".to_owned()),
    ];
    (address, port).prop_map(|(address, port)| address + &port)
}

fn uri() -> impl Strategy<Value = String> {
    let user = prop_oneof![Just(""), Just("alice@"), Just("b%20b;x=1@")];
    let params = prop_oneof![
        Just(""),
        Just(";transport=tcp"),
        Just(";transport=udp;lr"),
        Just(";maddr=10.0.0.9"),
        Just("?Route=%3Csip:10.0.0.7%3E"),
    ];
    (
        prop_oneof![Just("sip:"), Just("sips:")],
        user,
        host(),
        params,
    )
        .prop_map(|(scheme, user, host, params)| format!("<{scheme}{user}{host}{params}>"))
}

fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("Contact"),
        Just("m"),
        Just("Route"),
        Just("Record-Route"),
        Just("Refer-To"),
        Just("b"),
        Just("Path"),
        Just("P-Asserted-Identity"),
        Just("Diversion"),
        Just("Remote-Party-ID"),
        Just("Reply-To"),
        Just("Call-Info"),
        Just("X-Unknown"),
    ];
    let address =
        (name, uri(), uri()).prop_map(|(name, a, b)| format!("{name}: \"x\" {a};q=1 ,\r\n {b}"));
    let via = (host(), host()).prop_map(|(a, b)| {
        format!("v: SIP/2.0/TCP {a};branch=z9hG4bK{b} , SIP / 2.0 / UDP {b};received=10.0.0.77")
    });
    let text = (host(), host()).prop_map(|(a, b)| format!("Warning: 399 {a} \"{b}, ({a})\""));
    let broken = (host(), host()).prop_map(|(a, b)| format!("Contact: \"open <sip:{a}>;;{b}"));
    prop_oneof![5 => address, 2 => via, 1 => text, 1 => broken]
}

fn description() -> impl Strategy<Value = String> {
    let address = || {
        prop_oneof![
            Just("10.0.0.2"),
            Just("10.0.0.60"),
            Just("198.51.100.9"),
            Just("0.0.0.0")
        ]
    };
    let port = || prop_oneof![Just(0_u16), 1..u16::MAX];
    let extra = prop_oneof![
        Just(""),
        Just("\na=rtcp:4001"),
        Just("\na=rtcp:4001 IN IP4 10.0.0.61"),
        Just("\na=rtcp-mux"),
        Just(
            "\na=candidate:1 1 UDP 1 10.0.0.2 4000 typ host\na=candidate:2 1 TCP 1 10.0.0.60 9 typ host"
        ),
        Just("\na=alt:1 1 : a b 10.0.0.60 4000"),
        Just("\na=x-other:10.0.0.60"),
    ];
    let kind = prop_oneof![Just("RTP/AVP 0"), Just("TCP/MSRP *"), Just("udptl t38")];
    let own = prop_oneof![Just(None), address().prop_map(Some)];
    let medium = (port(), kind, own, extra).prop_map(|(port, kind, own, extra)| {
        let own = own
            .map(|own| format!("\nc=IN IP4 {own}"))
            .unwrap_or_default();
        format!("\nm=audio {port} {kind}{own}{extra}")
    });
    (address(), address(), prop::collection::vec(medium, 0..4)).prop_map(
        |(origin, session, media)| {
            format!(
                "v=0\no=- 1 1 IN IP4 {origin}\ns=10.0.0.60\nc=IN IP4 {session}\nt=0 0{}",
                media.concat()
            )
        },
    )
}

fn request() -> impl Strategy<Value = String> {
    (
        uri(),
        host(),
        uri(),
        uri(),
        prop::collection::vec(header(), 0..6),
        description(),
        any::<bool>(),
    )
        .prop_map(|(target, via, from, to, headers, sdp, is_call)| {
            let target = target.trim_matches(['<', '>']).to_owned();
            let (method, body) = if is_call {
                ("INVITE", &*sdp)
            } else {
                ("SUBSCRIBE", "")
            };
            let more: String = headers.iter().map(|line| format!("\n{line}")).collect();
            message(
                &format!(
                    "{method} {target} SIP/2.0
                     Via: SIP/2.0/UDP {via};branch=z9hG4bK1
                     From: {from};tag=a
                     To: {to}
                     Call-ID: x@10.0.0.2
                     CSeq: 1 {method}
                     Content-Type: application/sdp{more}"
                ),
                body,
            )
        })
}

/// Real addresses in a text, found in another way than the inspector does.
fn real_addresses(text: &str) -> Vec<&str> {
    let text = text
        .split_inclusive("%3C")
        .flat_map(|part| part.split(|c: char| !c.is_ascii_digit() && c != '.'));
    text.filter(|word| word.parse::<Ipv4Addr>().is_ok_and(is_real))
        .collect()
}

/// A message with what may be written in several ways taken out.
fn meaning(text: &str) -> Vec<String> {
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole message");
    let head = head
        .split("\r\n")
        .filter(|line| !line.starts_with("Content-Length"));
    let skipped = ["a=rtcp:", "a=candidate", "a=alt", "c="];
    let body = body
        .split("\r\n")
        .filter(|line| !skipped.iter().any(|skip| line.starts_with(skip)));
    head.chain(body).map(str::to_owned).collect()
}

fn private() -> Bench {
    Bench::configured("policy-map type inspect sip m\n parameters\n  ip-address-privacy\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_real_address_is_left_in_any_byte(text in request(), scatters: bool) {
        let mut bench = private();
        bench.nat.scatters = scatters;
        let out = bench.out(&text).expect("passes");
        prop_assert_eq!(real_addresses(&out), Vec::<&str>::new(), "{}\n{}", text, out);
        let (head, body) = out.split_once("\r\n\r\n").expect("whole");
        let length = format!("Content-Length: {}", body.len());
        prop_assert!(head.contains(&length), "{}", out);
    }

    #[test]
    fn only_identifiers_keep_an_address(text in request()) {
        let out = Bench::new().out(&text).expect("passes");
        for line in out.split("\r\n").filter(|line| !line.contains("branch=") && !line.starts_with("Call-ID")) {
            let line = line.split_once("?Route").map_or(line, |(before, _)| before);
            prop_assert_eq!(real_addresses(line), Vec::<&str>::new(), "{}", out);
        }
    }

    #[test]
    fn what_left_comes_back_with_the_same_meaning(text in request()) {
        let mut bench = Bench::new();
        let out = bench.out(&text).expect("passes");
        let again = bench.back(&out).expect("passes");
        prop_assert_eq!(meaning(&again), meaning(&text), "{}", out);
    }

    #[test]
    fn a_message_of_strangers_passes_byte_for_byte(text in request()) {
        let text = text.replace("10.0.0.", "77.0.0.");
        prop_assert_eq!(Bench::new().out(&text), Ok(text));
    }

    #[test]
    fn bytes_changed_anywhere_never_break_the_inspector(
        text in request(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        is_stream: bool,
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() * 2));
        let mut bench = Bench::new();
        bench.protocol = if is_stream { Protocol::Tcp } else { Protocol::Udp };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mapped = SocketAddrV4::new(SERVER_MAPPED, 45060);
        let real = SocketAddrV4::new(SERVER, 5060);
        let _: Result<String, Effect> = bench.send(Way::Outbound, real, PEER, &text);
        let _: Result<String, Effect> = bench.send(Way::Inbound, PEER, mapped, &text);
        bench.pass(Time::from_secs(100_000));
        prop_assert_eq!(bench.inspector.sessions().len(), 0);
    }

    #[test]
    fn a_stream_is_cut_into_the_same_messages_however_it_comes(
        texts in prop::collection::vec(request(), 1..4),
        sizes in prop::collection::vec(1..400_usize, 1..40),
    ) {
        let stream = texts.concat().into_bytes();
        let mut framer = Framer::new(None);
        let (mut found, mut rest) = (Vec::new(), &stream[..]);
        for size in sizes.iter().cycle() {
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            framer.handle_bytes(Time::ZERO, piece);
            while let Some(frame) = framer.poll() {
                match frame {
                    Frame::Message(bytes) => found.push(bytes),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let texts: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
        prop_assert_eq!(found, texts);
    }

    #[test]
    fn random_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut framer = Framer::new(Some(Time::from_secs(60)));
        framer.handle_bytes(Time::ZERO, &bytes);
        while framer.poll().is_some() {}
        framer.handle_timeout(Time::from_secs(60));
        prop_assert_eq!(framer.held_bytes(), 0);
        let _ = Message::parse(&bytes, Framing::Datagram);
        prop_assert_eq!(Nat::default().made(), 0);
    }
}
