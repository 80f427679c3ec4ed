//! What is rewritten, byte for byte.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::bench::{Bench, PEER, SERVER, SERVER_MAPPED, message};
use crate::sip::{Effect, Protocol, Reason, Way};

fn invite() -> String {
    message(
        "INVITE sip:bob@198.51.100.7:5060 SIP/2.0
         Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-10.0.0.2-1;rport
         Via: SIP/2.0/UDP 10.0.0.50:5080;branch=z9hG4bK2;received=10.0.0.51;rport=6000
         Max-Forwards: 70
         Record-Route: <sip:10.0.0.2;lr>
         From: \"Alice\" <sip:alice@10.0.0.50>;tag=a
         To: <sip:bob@example.net>
         Call-ID: 1@10.0.0.2
         CSeq: 1 INVITE
         Contact: <sip:alice@10.0.0.50:5080;transport=udp>
         P-Asserted-Identity: <sip:alice@10.0.0.2>
         Warning: 399 10.0.0.50 \"see 10.0.0.2:5060\"
         Content-Type: application/sdp",
        "v=0
         o=- 1 1 IN IP4 10.0.0.50
         s=-
         c=IN IP4 10.0.0.50
         t=0 0
         m=audio 49170 RTP/AVP 0
         a=candidate:1 1 UDP 2130706431 10.0.0.50 49170 typ host
         a=candidate:2 1 UDP 2130706431 10.0.0.99 49170 typ host",
    )
}

/// Lines that are not as before.
fn changed(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    after
        .lines()
        .filter(|line| !old.contains(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_request_leaves_with_mapped_addresses_and_comes_back_as_it_was() {
    let mut bench = Bench::new();
    let before = invite();
    let after = bench.out(&before).expect("passes");
    assert_eq!(
        changed(&before, &after),
        [
            "Via: SIP/2.0/UDP 192.0.2.10:45060;branch=z9hG4bK-10.0.0.2-1;rport",
            "Via: SIP/2.0/UDP 192.0.2.11:20000;branch=z9hG4bK2;received=192.0.2.11;rport=20001",
            "Record-Route: <sip:192.0.2.10:45060;lr>",
            "From: \"Alice\" <sip:alice@192.0.2.11>;tag=a",
            "Contact: <sip:alice@192.0.2.11:20000;transport=udp>",
            "P-Asserted-Identity: <sip:alice@192.0.2.10>",
            "Warning: 399 192.0.2.11 \"see 192.0.2.10:45060\"",
            "Content-Length: 148",
            "o=- 1 1 IN IP4 192.0.2.11",
            "c=IN IP4 192.0.2.11",
            "m=audio 20002 RTP/AVP 0",
            "a=candidate:1 1 UDP 2130706431 192.0.2.11 20002 typ host",
        ]
    );
    assert!(
        !after.contains("10.0.0.99"),
        "a candidate nobody can reach is removed"
    );
    assert_eq!(bench.inspector.stats().kept, 1, "the Call-ID stays");
    let restored = bench.back(&after).expect("passes");
    let lost: Vec<_> = changed(&restored, &before);
    assert_eq!(
        lost,
        [
            "Content-Length: 202",
            "a=candidate:2 1 UDP 2130706431 10.0.0.99 49170 typ host"
        ]
    );
    assert!(restored.contains("From: \"Alice\" <sip:alice@10.0.0.50>;tag=a\r\n"));
}

#[test]
fn an_answer_finds_its_via_again() {
    let mut bench = Bench::new();
    let request = bench.out(&invite()).expect("passes");
    let via = request
        .lines()
        .nth(1)
        .expect("a Via")
        .replace("rport", "received=192.0.2.10;rport=45060");
    let answer = message(
        &format!(
            "SIP/2.0 180 Ringing
             {via}
             From: \"Alice\" <sip:alice@192.0.2.11>;tag=a
             To: <sip:bob@example.net>;tag=b
             Call-ID: 1@10.0.0.2
             CSeq: 1 INVITE
             Record-Route: <sip:192.0.2.10:45060;lr>
             Contact: <sip:bob@198.51.100.9:5070>"
        ),
        "",
    );
    let answer = bench.back(&answer).expect("passes");
    for line in [
        "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-10.0.0.2-1;received=10.0.0.2;rport=5060",
        "From: \"Alice\" <sip:alice@10.0.0.50>;tag=a",
        "Record-Route: <sip:10.0.0.2;lr>",
        "Contact: <sip:bob@198.51.100.9:5070>",
    ] {
        assert!(answer.lines().any(|own| own == line), "{line}\n{answer}");
    }
}

#[test]
fn a_request_from_outside_is_un_natted_and_its_answer_natted() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Tcp;
    let request = message(
        "SUBSCRIBE sip:alice@192.0.2.10:5061;transport=tls SIP/2.0
         Via: SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK1
         From: <sip:bob@example.net>;tag=b
         To: <sip:alice@192.0.2.10>
         Call-ID: s1
         CSeq: 1 SUBSCRIBE
         Event: presence",
        "",
    );
    let (peer, mapped) = (
        SocketAddrV4::new(*PEER.ip(), 40000),
        SocketAddrV4::new(SERVER_MAPPED, 5061),
    );
    let inside = bench
        .send(Way::Inbound, peer, mapped, &request)
        .expect("passes");
    assert!(inside.starts_with("SUBSCRIBE sip:alice@10.0.0.2:5062;transport=tls SIP/2.0\r\n"));
    assert!(inside.contains("To: <sip:alice@10.0.0.2>\r\n"));
    let answer = message(
        "SIP/2.0 202 Accepted
         Via: SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK1
         From: <sip:bob@example.net>;tag=b
         To: <sip:alice@10.0.0.2>;tag=a
         Call-ID: s1
         CSeq: 1 SUBSCRIBE
         Contact: <sip:10.0.0.2:5062;transport=tls>",
        "",
    );
    let out = bench
        .send(
            Way::Outbound,
            SocketAddrV4::new(SERVER, 5062),
            peer,
            &answer,
        )
        .expect("passes");
    assert!(
        out.contains("To: <sip:alice@192.0.2.10>;tag=a\r\n"),
        "{out}"
    );
    assert!(
        out.contains("Contact: <sip:192.0.2.10:5061;transport=tls>\r\n"),
        "{out}"
    );
}

#[test]
fn a_message_without_an_address_to_translate_passes_byte_for_byte() {
    let mut bench = Bench::new();
    let odd = "OPTIONS sip:bob@example.net SIP/2.0\r\nv :SIP / 2.0 / UDP\r\n  192.0.2.77 ;branch=z9hG4bK1\r\n\
        f:<sip:a@example.com>;tag=1\r\nTO\t:sip:b@example.net\r\ni:x\r\ncSeQ: 1\r\n OPTIONS\r\nX-Odd: 192.0.2.77,,;;\r\nl:0\r\n\r\n";
    assert_eq!(bench.out(odd).expect("passes"), odd);
    assert_eq!(bench.inspector.stats().rewritten, 0);
    assert_eq!(bench.nat.made(), 0);
}

#[test]
fn control_packets_whose_port_is_not_beside_media_are_announced() {
    let mut bench = Bench::new();
    bench.nat.scatters = true;
    let after = bench.out(&invite()).expect("passes");
    assert!(after.ends_with("a=rtcp:20009\r\n"), "{after}");
}

#[test]
fn media_without_a_line_of_their_own_get_one_when_their_addresses_part() {
    let mut bench = Bench::new();
    let offer = message(
        "INVITE sip:bob@example.net SIP/2.0
         Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1
         From: <sip:alice@example.com>;tag=a
         To: <sip:bob@example.net>
         Call-ID: m
         CSeq: 1 INVITE
         Content-Type: application/sdp",
        "v=0
         o=- 1 1 IN IP4 198.51.100.9
         s=-
         c=IN IP4 198.51.100.9
         t=0 0
         m=audio 49170 RTP/AVP 0
         a=rtcp:53020 IN IP4 10.0.0.50
         m=message 7394 TCP/MSRP *
         c=IN IP4 10.0.0.2
         a=path:msrp://10.0.0.2:7394/x;tcp
         m=video 0 RTP/AVP 31
         c=IN IP4 10.0.0.2",
    );
    let after = bench.out(&offer).expect("passes");
    let body = after.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(
        body.replace("\r\n", "\n"),
        "v=0\no=- 1 1 IN IP4 198.51.100.9\ns=-\nc=IN IP4 198.51.100.9\nt=0 0\n\
         m=audio 49170 RTP/AVP 0\na=rtcp:20000 IN IP4 192.0.2.11\n\
         m=message 20001 TCP/MSRP *\nc=IN IP4 192.0.2.11\na=path:msrp://192.0.2.11:20001/x;tcp\n\
         m=video 0 RTP/AVP 31\nc=IN IP4 192.0.2.10\n"
    );
    assert!(after.contains(&format!("Content-Length: {}\r\n", body.len())));
}

#[test]
fn a_description_inside_a_multipart_body_is_translated() {
    let mut bench = Bench::new();
    let text = message(
        "MESSAGE sip:bob@example.net SIP/2.0
         Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1
         From: <sip:alice@example.com>;tag=a
         To: <sip:bob@example.net>
         Call-ID: m
         CSeq: 1 MESSAGE
         Content-Type: multipart/mixed;boundary=x",
        "--x
         Content-Type: text/plain

         I am at 10.0.0.2
         --x
         Content-Type: application/sdp
         Content-Length: 73

         v=0
         o=- 1 1 IN IP4 10.0.0.50
         c=IN IP4 10.0.0.50
         m=audio 9000 RTP/AVP 0
         --x--",
    );
    let after = bench.out(&text).expect("passes");
    assert_eq!(
        changed(&text, &after),
        [
            "Content-Length: 194",
            "Content-Length: 76",
            "o=- 1 1 IN IP4 192.0.2.11",
            "c=IN IP4 192.0.2.11",
            "m=audio 20000 RTP/AVP 0",
        ]
    );
    assert!(
        after.contains("I am at 10.0.0.2\r\n"),
        "what people write is theirs"
    );
}

#[test]
fn with_private_addresses_identifiers_are_translated_and_recognised() {
    let mut bench =
        Bench::configured("policy-map type inspect sip m\n parameters\n  ip-address-privacy\n");
    let before = invite();
    let after = bench.out(&before).expect("passes");
    assert!(!after.contains("10.0.0."), "{after}");
    assert!(after.contains("Call-ID: 1@192.0.2.10\r\n"));
    let answer = message(
        "SIP/2.0 200 OK
         Via: SIP/2.0/UDP 192.0.2.10:45060;branch=z9hG4bK-192.0.2.10-1
         From: \"Alice\" <sip:alice@192.0.2.11>;tag=a
         To: <sip:bob@example.net>;tag=b
         Call-ID: 1@192.0.2.10
         CSeq: 1 INVITE",
        "",
    );
    let answer = bench.back(&answer).expect("passes");
    assert!(answer.contains("Call-ID: 1@10.0.0.2\r\n"), "{answer}");
    assert!(
        answer.contains(";branch=z9hG4bK-10.0.0.2-1\r\n"),
        "{answer}"
    );
    assert_eq!(bench.inspector.sessions().len(), 1);
}

#[test]
fn a_message_whose_addresses_cannot_be_translated_does_not_pass() {
    let mut bench = Bench::new();
    bench.nat.left = Some(0);
    assert_eq!(bench.out(&invite()), Err(Effect::Drop(Reason::XlateFailed)));
    assert!(
        bench.log[0].contains("no translation for 10.0.0.50:5080"),
        "{:?}",
        bench.log
    );
    let encoded = invite().replace("Content-Type", "Content-Encoding: gzip\r\nContent-Type");
    bench.nat.left = None;
    assert_eq!(bench.out(&encoded), Err(Effect::Drop(Reason::Hidden)));
}

#[test]
fn one_message_does_not_take_all_ports() {
    let mut bench = Bench::new();
    let many: String = (1..=65).map(|port| format!(" 10.0.0.50:{port}")).collect();
    let text = invite().replace("Warning:", &format!("X-Many:{many}\r\nWarning:"));
    assert_eq!(bench.out(&text), Err(Effect::Drop(Reason::XlateFailed)));
    assert!(bench.nat.made() < 70);
}

#[test]
fn addresses_of_nobody_make_no_translation() {
    let mut bench = Bench::new();
    for nobody in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let text = message(
            &format!(
                "OPTIONS sip:bob@example.net SIP/2.0
                 Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1
                 From: <sip:alice@example.com>;tag=a
                 To: <sip:bob@example.net>
                 Call-ID: {nobody}
                 CSeq: 1 OPTIONS
                 Contact: <sip:alice@{nobody}>"
            ),
            "",
        );
        assert_eq!(bench.out(&text).as_ref(), Ok(&text));
    }
    assert_eq!(bench.nat.made(), 0);
    let via = Ipv4Addr::new(192, 0, 2, 77);
    assert!(
        bench
            .open
            .values()
            .all(|pinhole| *pinhole.to.real.ip() == via)
    );
    let flood = invite().replacen("10.0.0.2", "0.0.0.0", 1);
    assert_eq!(bench.out(&flood), Err(Effect::Drop(Reason::ViaUnspecified)));
}

#[test]
fn the_dry_run_shows_what_would_change_and_changes_nothing() {
    let bench = Bench::new();
    let text = message(
        "OPTIONS sip:bob@example.net SIP/2.0
         Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1
         From: <sip:alice@example.com>;tag=a
         To: <sip:bob@example.net>
         Call-ID: o
         CSeq: 1 OPTIONS",
        "",
    );
    let place = |interface, socket| crate::sip::Place { interface, socket };
    let arrival = crate::sip::Arrival {
        now: bench.now,
        way: Way::Outbound,
        protocol: Protocol::Udp,
        is_tls: false,
        source: place("inside", SocketAddrV4::new(SERVER, 5060)),
        destination: place("outside", PEER),
    };
    let diff = bench
        .inspector
        .diff(&arrival, text.as_bytes(), &mut bench.nat.clone());
    assert_eq!(
        diff.expect("readable"),
        "-Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\n\
         +Via: SIP/2.0/UDP 192.0.2.10:45060;branch=z9hG4bK1\n"
    );
    assert!(bench.inspector.sessions().is_empty());
}
