//! What messages announce is translated and let through, and no longer than it should.

use std::net::SocketAddrV4;

use etherparse::PacketBuilder;
use layout::desc::Reason;

use super::bench::*;
use crate::flow::{Direction, Time};
use crate::policy::model::ClassId;
use crate::punt::inspect::{Channel, Inspected};
use crate::punt::{Drop, Verdict};
use crate::wire::packet::{TCP, UDP};
use crate::wire::{Packet, Tuple, datagram};

const SERVER: [u8; 4] = [10, 0, 0, 2];
const PHONE: [u8; 4] = [10, 0, 0, 9];
const MAPPED: [u8; 4] = [192, 0, 2, 10];
const FAR: [u8; 4] = [198, 51, 100, 7];
const OTHER: [u8; 4] = [198, 51, 100, 66];

/// SIP over UDP of one server, with a static rule; its phones have the dynamic one.
fn bench() -> Bench {
    Bench::new(&config())
}

fn config() -> String {
    format!(
        "{CONFIG}
object network server-udp
 host 10.0.0.2
 nat (inside,outside) static 192.0.2.10 service udp 5060 5060
access-list from_outside extended permit udp any host 10.0.0.2 eq 5060
class-map inspection_default
 match default-inspection-traffic
policy-map global_policy
 class inspection_default
  inspect sip
service-policy global_policy global
"
    )
}

fn datagram_of(tuple: &Tuple, text: &str) -> Vec<u8> {
    let [_, b, c, d] = tuple.src.octets();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0xbb, 0, b, c, d], [2, 0xaa, 0, 0, 0, 0])
        .ipv4(tuple.src.octets(), tuple.dst.octets(), 64)
        .udp(tuple.sport, tuple.dport)
        .write(&mut frame, text.as_bytes())
        .expect("a vector takes everything");
    frame
}

fn text_of(frame: &[u8]) -> String {
    let packet = Packet::parse(frame).expect("valid");
    assert!(datagram::has_valid_checksum(&packet, frame));
    let text = datagram::udp_payload(&packet, frame);
    String::from_utf8(text.to_vec()).expect("text")
}

fn message(start: &str, via: &str, cseq: &str, media: Option<&str>) -> String {
    let body = media.map_or(String::new(), |media| {
        let (address, port) = media.split_once(':').expect("address and port");
        format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    });
    format!(
        "{start}\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nFrom: <sip:alice@office.example>;tag=a\r\n\
         To: <sip:bob@partner.example>;tag=b\r\nCall-ID: call\r\nCSeq: {cseq}\r\nMax-Forwards: 70\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const OUT: (u8, [u8; 4], [u8; 4]) = (INSIDE, SERVER, FAR);
const BACK: (u8, [u8; 4], [u8; 4]) = (OUTSIDE, FAR, MAPPED);

/// Sends a message one way or the other; gives what left.
fn say(bench: &mut Bench, (interface, src, dst): (u8, [u8; 4], [u8; 4]), text: &str) -> String {
    let frame = datagram_of(&tuple(UDP, src, 5060, dst, 5060), text);
    let report = bench.receive(interface, &frame).expect("punted");
    assert_eq!(report.verdict, Verdict::Forward, "{}", report.reason);
    text_of(&bench.sent.last().expect("it left").1)
}

/// A call from a phone behind the server, answered.
fn call() -> Bench {
    let mut bench = bench();
    let invite = message(
        "INVITE sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "1 INVITE",
        Some("10.0.0.9:4000"),
    );
    let invite = say(&mut bench, OUT, &invite);
    assert!(!invite.contains("10.0.0."), "{invite}");
    assert!(invite.contains("c=IN IP4 192.0.2.10\r\n"), "{invite}");
    assert!(invite.contains("m=audio 4000 "), "{invite}");
    let ok = message(
        "SIP/2.0 200 OK",
        "192.0.2.10:5060",
        "1 INVITE",
        Some("198.51.100.7:6000"),
    );
    let ok = say(&mut bench, BACK, &ok);
    assert!(ok.contains("Via: SIP/2.0/UDP 10.0.0.2:5060"), "{ok}");
    bench
}

fn media(src: [u8; 4]) -> Tuple {
    tuple(UDP, src, 6000, MAPPED, 4000)
}

#[test]
fn media_of_a_call_passes_from_its_peer_and_stays_in_the_card() {
    let mut early = bench();
    let stray = early
        .receive(OUTSIDE, &frame(&media(FAR), 0, 64))
        .expect("punted");
    assert!(matches!(stray.verdict, Verdict::Drop(_)));

    let mut bench = call();
    let seen: Vec<(u8, u8, u16)> = bench
        .pinholes
        .iter()
        .map(|end| (end.interface, end.proto, end.port))
        .collect();
    assert_eq!(
        seen,
        [
            (OUTSIDE, UDP, 4000),
            (OUTSIDE, UDP, 4001),
            (INSIDE, UDP, 6000),
            (INSIDE, UDP, 6001)
        ]
    );
    let stranger = bench.punt(OUTSIDE, Reason::Local, &frame(&media(OTHER), 0, 64), false);
    assert!(matches!(stranger.verdict, Verdict::Drop(Drop::Policy(_))));

    let report = bench.punt(OUTSIDE, Reason::Local, &frame(&media(FAR), 0, 64), false);
    assert_eq!(report.verdict, Verdict::Forward, "{}", report.reason);
    let (port, packet) = bench.last();
    assert_eq!(
        (port, packet.tuple),
        (INSIDE, tuple(UDP, FAR, 6000, PHONE, 4000))
    );
    // From now on nobody asks the host, in either direction.
    assert_eq!(bench.receive(OUTSIDE, &frame(&media(FAR), 0, 64)), None);
    let answer = tuple(UDP, PHONE, 4000, FAR, 6000);
    assert_eq!(bench.receive(INSIDE, &frame(&answer, 0, 64)), None);
    assert_eq!(bench.last().1.tuple, tuple(UDP, MAPPED, 4000, FAR, 6000));
    // Twice for the phone: for anybody, and for the peer as soon as it is known.
    assert_eq!(
        bench.logged("607001: Pre-allocate SIP RTP secondary channel"),
        3
    );
}

#[test]
fn a_phone_that_sends_first_uses_the_port_that_was_announced() {
    let mut bench = call();
    let first = tuple(UDP, PHONE, 4000, FAR, 6000);
    bench
        .receive(INSIDE, &frame(&first, 0, 64))
        .expect("punted");
    assert_eq!(bench.last().1.tuple, tuple(UDP, MAPPED, 4000, FAR, 6000));
    assert_eq!(bench.receive(OUTSIDE, &frame(&media(FAR), 0, 64)), None);
    assert_eq!(bench.last().1.tuple, tuple(UDP, FAR, 6000, PHONE, 4000));
}

#[test]
fn after_the_call_nothing_is_left() {
    let mut bench = call();
    bench.punt(OUTSIDE, Reason::Local, &frame(&media(FAR), 0, 64), false);
    let bye = message(
        "BYE sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "2 BYE",
        None,
    );
    say(&mut bench, OUT, &bye);
    let ok = message("SIP/2.0 200 OK", "192.0.2.10:5060", "2 BYE", None);
    say(&mut bench, BACK, &ok);
    bench.pass(Time::from_secs(121));
    assert!(bench.pinholes.is_empty(), "{:?}", bench.pinholes);
    assert_eq!(bench.path.open_pinholes(), 0);
    let late = bench.punt(OUTSIDE, Reason::Local, &frame(&media(OTHER), 0, 64), false);
    assert!(matches!(late.verdict, Verdict::Drop(_)));
    // The signalling connection lives for `timeout sip`, the media connection went with `sip_media`.
    bench.pass(Time::from_secs(130));
    assert_eq!(bench.path.conns().len(), 1);
    bench.pass(Time::from_secs(3600));
    assert!(bench.path.conns().is_empty() && bench.path.xlates().is_empty());
}

#[test]
fn a_pinhole_that_nobody_uses_closes_and_one_in_use_stays() {
    let mut bench = call();
    bench.punt(OUTSIDE, Reason::Local, &frame(&media(FAR), 0, 64), false);
    for _ in 0..30 {
        bench.pass(Time::from_secs(10));
        bench.receive(OUTSIDE, &frame(&media(FAR), 0, 64));
    }
    let ports: Vec<u16> = bench.pinholes.iter().map(|end| end.port).collect();
    assert_eq!(ports, [4000], "only media came, and only from outside");
}

#[test]
fn a_message_in_fragments_is_inspected_whole_and_cut_again() {
    let mut bench = bench();
    let mut text = message(
        "INVITE sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "1 INVITE",
        Some("10.0.0.9:4000"),
    );
    let padding = "a".repeat(3000);
    text = text.replace(
        "Max-Forwards",
        &format!("Subject: {padding}\r\nMax-Forwards"),
    );
    let short = datagram_of(&tuple(UDP, SERVER, 5060, FAR, 5060), "");
    let packet = Packet::parse(&short).expect("valid");
    let pieces = datagram::with_udp_payload(&packet, &short, text.as_bytes()).expect("it fits");
    assert!(pieces.len() > 2);
    for (_, piece) in pieces {
        bench.punt(INSIDE, Reason::Fragment, &piece, false);
    }
    let sent: Vec<(Packet, Vec<u8>)> = bench
        .sent
        .iter()
        .map(|(_, frame)| (Packet::parse(frame).expect("valid"), frame.clone()))
        .collect();
    let (_, whole) = datagram::join(&sent).expect("they fit");
    let sent = text_of(&whole);
    assert!(sent.contains(&padding) && sent.contains("c=IN IP4 192.0.2.10"));
    assert!(!sent.contains("10.0.0."), "{sent}");
}

#[test]
fn a_message_that_was_damaged_is_dropped() {
    let mut bench = bench();
    let text = message(
        "OPTIONS sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "1 OPTIONS",
        None,
    );
    let mut frame = datagram_of(&tuple(UDP, SERVER, 5060, FAR, 5060), &text);
    *frame.last_mut().expect("some") ^= 1;
    let report = bench.receive(INSIDE, &frame).expect("punted");
    assert_eq!(report.verdict, Verdict::Drop(Drop::UdpChecksum));
}

fn channel_of(bench: &Bench) -> Channel {
    let end = |address: [u8; 4], port| SocketAddrV4::new(address.into(), port);
    let model = bench.path.model.clone();
    assert!(model.class(ClassId(0)).inspect.is_some());
    Channel {
        class: ClassId(0),
        protocol: crate::sip::Protocol::Tcp,
        is_tls: false,
        forward: crate::sip::Way::Outbound,
        real: INSIDE,
        mapped: OUTSIDE,
        peer: end(FAR, 5061),
        ends: [(INSIDE, end(SERVER, 40_000)), (OUTSIDE, end(FAR, 5061))],
    }
}

/// What a stream's message becomes.
fn pass(bench: &mut Bench, text: &str) -> String {
    let channel = channel_of(bench);
    let mut effects = Vec::new();
    let inspected = bench.path.inspect(
        bench.now,
        &channel,
        Direction::Forward,
        text.as_bytes(),
        &mut effects,
    );
    let Inspected::Forward(bytes) = inspected else {
        panic!("{inspected:?}");
    };
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_contact_behind_a_dynamic_rule_can_be_dialled_for_as_long_as_the_subscription_lasts() {
    let mut bench = bench();
    let text = "SUBSCRIBE sip:bob@partner.example SIP/2.0\r\n\
        Via: SIP/2.0/TCP 10.0.0.2:5061;branch=z9hG4bK1\r\nFrom: <sip:alice@office.example>;tag=a\r\n\
        To: <sip:bob@partner.example>\r\nCall-ID: presence\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\n\
        Event: presence\r\nExpires: 600\r\nContact: <sip:alice@10.0.0.9:5071;transport=tcp>\r\n\
        Content-Length: 0\r\n\r\n";
    let sent = pass(&mut bench, text);
    assert!(
        sent.contains("Contact: <sip:alice@192.0.2.10:5071;transport=tcp>"),
        "{sent}"
    );
    assert!(sent.contains("Via: SIP/2.0/TCP 192.0.2.10:5062"), "{sent}");

    // A pinhole keeps its port, whatever is shown there.
    bench.path.show_proof(Some(5071));
    let dial = tuple(TCP, OTHER, 50_000, MAPPED, 5071);
    let report = bench.punt(OUTSIDE, Reason::Local, &frame(&dial, 2, 64), false);
    assert_eq!(report.verdict, Verdict::Forward, "{}", report.reason);
    let conn = bench.path.conns().iter().next().expect("one");
    assert_eq!(
        conn.inspect,
        Some(ClassId(0)),
        "what comes there is inspected"
    );
    assert_eq!(conn.real()[1], (PHONE.into(), 5071));

    bench.pass(Time::from_secs(2 * 3600));
    assert_eq!(bench.path.open_pinholes(), 0);
    bench.pass(Time::from_secs(3600));
    assert!(bench.path.xlates().is_empty());
}

#[test]
fn an_access_list_that_stops_media_does_not_make_its_address_leak() {
    let list = "
access-list from_inside extended permit udp host 10.0.0.2 any eq 5060
access-group from_inside in interface inside
";
    let mut bench = Bench::new(&(config() + list));
    let invite = message(
        "INVITE sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "1 INVITE",
        Some("10.0.0.9:4000"),
    );
    let sent = say(&mut bench, OUT, &invite);
    assert!(!sent.contains("10.0.0."), "{sent}");
    say(
        &mut bench,
        BACK,
        &message(
            "SIP/2.0 200 OK",
            "192.0.2.10:5060",
            "1 INVITE",
            Some("198.51.100.7:6000"),
        ),
    );
    // And the pinhole stands for the access list, inside as outside.
    let own = tuple(UDP, PHONE, 4000, FAR, 6000);
    let report = bench.punt(INSIDE, Reason::Local, &frame(&own, 0, 64), false);
    assert_eq!(report.verdict, Verdict::Forward, "{}", report.reason);
}

/// Classes of the real thing: one for each side that dials.
fn proxied() -> Bench {
    Bench::with_proxy(include_str!("../../../../tests/support/federation.cfg"))
}

#[test]
fn a_contact_of_a_proxied_channel_is_dialled_through_the_proxy_of_the_other_side() {
    let mut bench = proxied();
    let class = |bench: &Bench, name: &str| {
        let mut classes = bench.path.model.classes.iter();
        let found = classes
            .position(|class| class.name == name)
            .expect("a class");
        ClassId(found as u16)
    };
    let (ours, theirs) = (class(&bench, "ent_x_to_y"), class(&bench, "ent_y_to_x"));
    let channel = Channel {
        class: ours,
        is_tls: true,
        ..channel_of(&bench)
    };
    let text = "OPTIONS sip:bob@partner.example SIP/2.0\r\n\
        Via: SIP/2.0/TLS 10.0.0.2:5061;branch=z9hG4bK1\r\nFrom: <sip:alice@office.example>;tag=a\r\n\
        To: <sip:bob@partner.example>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
        Contact: <sip:alice@10.0.0.9:5071;transport=tls>\r\nContent-Length: 0\r\n\r\n";
    let mut effects = Vec::new();
    let now = bench.now;
    let path = &mut bench.path;
    path.inspect(
        now,
        &channel,
        Direction::Forward,
        text.as_bytes(),
        &mut effects,
    );
    for (mapped, port) in [([192, 0, 2, 1], 5071), ([192, 0, 2, 2], 5061)] {
        let dial = tuple(TCP, [198, 51, 100, 7], 50_000 + port, mapped, port);
        let report = bench.punt(OUTSIDE, Reason::Local, &frame(&dial, 2, 64), false);
        let conn = report.conn.expect("a connection");
        let conn = bench.path.conns().get(conn).expect("it lives");
        assert_eq!((conn.inspect, conn.terminated), (Some(theirs), true));
    }
}

#[test]
fn a_class_that_runs_dry_shows_what_it_would_do_and_does_nothing() {
    let mut bench = bench();
    bench.path.run_dry(ClassId(0));
    let invite = message(
        "INVITE sip:bob@partner.example SIP/2.0",
        "10.0.0.2:5060",
        "1 INVITE",
        Some("10.0.0.9:4000"),
    );
    assert_eq!(say(&mut bench, OUT, &invite), invite);
    assert!(bench.pinholes.is_empty() && bench.path.xlates().is_empty());
    let told = "607003: dry-run: Received SIP request INVITE from inside:10.0.0.2/5060 to \
                outside:198.51.100.7/5060; would change\n\
                -Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n\
                +Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1\n";
    assert_eq!(bench.logged(told), 1, "{:#?}", bench.log);
    assert_eq!(bench.logged("-c=IN IP4 10.0.0.9\n+c=IN IP4 192.0.2.10"), 1);
}

/// A message of Skinny of version 0: its number and what follows, all words low byte first.
fn skinny(id: u32, words: &[u32]) -> Vec<u8> {
    let head = [4 + 4 * words.len() as u32, 0, id];
    let words = head.iter().chain(words);
    words.flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn media_of_a_skinny_telephone_pass_until_its_connection_ends() {
    let policy = "class-map inspection_default
 match default-inspection-traffic
policy-map global_policy
 class inspection_default
  inspect skinny
service-policy global_policy global
";
    let mut bench = Bench::new(&format!("{CONFIG}{policy}"));
    let channel = Channel {
        peer: SocketAddrV4::new(FAR.into(), 2000),
        ..channel_of(&bench)
    };
    let mut connection = crate::sip::skinny::Connection::default();
    let address = u32::from_le_bytes(PHONE);
    let opened = skinny(0x22, &[0, address, 4000, 77]);
    let mut effects = Vec::new();
    let (now, path) = (bench.now, &mut bench.path);
    let way = Direction::Forward;
    let inspected = path.inspect_skinny(now, &channel, way, &mut connection, &opened, &mut effects);
    let mapped = u32::from_le_bytes(MAPPED);
    let expected = skinny(0x22, &[0, mapped, 4000, 77]);
    assert_eq!(inspected, Inspected::Forward(expected));
    let report = bench.punt(OUTSIDE, Reason::Local, &frame(&media(FAR), 0, 64), false);
    assert_eq!(report.verdict, Verdict::Forward, "{}", report.reason);
    assert_eq!(bench.last().1.tuple, tuple(UDP, FAR, 6000, PHONE, 4000));

    let (now, path) = (bench.now, &mut bench.path);
    path.end_skinny(now, &channel, connection, &mut Vec::new());
    assert_eq!(path.open_pinholes(), 0);
    let late = bench.punt(OUTSIDE, Reason::Local, &frame(&media(OTHER), 0, 64), false);
    assert!(matches!(late.verdict, Verdict::Drop(_)));
}
