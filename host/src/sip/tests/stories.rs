//! Sessions from their first message to their last.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::bench::{Bench, SERVER_MAPPED, message};
use crate::flow::Time;
use crate::show::{self, Format};
use crate::sip::limits::Limits;
use crate::sip::{Effect, PinholeId, Protocol, Reason, Rules, Way};

const SDP_IN: &str = "v=0
o=- 1 1 IN IP4 10.0.0.2
s=-
c=IN IP4 10.0.0.2
t=0 0
m=audio 4000 RTP/AVP 0";
const SDP_OUT: &str = "v=0
o=- 1 1 IN IP4 198.51.100.9
s=-
c=IN IP4 198.51.100.9
t=0 0
m=audio 6000 RTP/AVP 0";

/// A message of the dialog `c1`, begun from inside. Inside names are as they stand on the side it is sent from.
fn of_call(start: &str, from: &str, cseq: &str, sdp: &str) -> String {
    let host = if from == "in" {
        "10.0.0.2"
    } else {
        "192.0.2.10:45060"
    };
    let kind = if sdp.is_empty() {
        ""
    } else {
        "\nContent-Type: application/sdp"
    };
    message(
        &format!(
            "{start}
             Via: SIP/2.0/UDP {host};branch=z9hG4bK1
             From: <sip:alice@example.com>;tag=a
             To: <sip:bob@example.net>;tag=b
             Call-ID: c1
             CSeq: {cseq}{kind}"
        ),
        sdp,
    )
}

fn invited() -> Bench {
    let mut bench = Bench::new();
    let invite = of_call(
        "INVITE sip:bob@example.net SIP/2.0",
        "in",
        "1 INVITE",
        SDP_IN,
    );
    bench.out(&invite).expect("passes");
    bench
}

fn answered() -> Bench {
    let mut bench = invited();
    let ok = of_call("SIP/2.0 200 OK", "out", "1 INVITE", SDP_OUT);
    bench.back(&ok).expect("passes");
    bench
}

const TO_ALICE: [&str; 2] = [
    "Inbound RTCP 192.0.2.11:20001 198.51.100.9",
    "Inbound RTP 192.0.2.11:20000 198.51.100.9",
];
const TO_BOB: [&str; 2] = [
    "Outbound RTCP 198.51.100.9:6001 10.0.0.2",
    "Outbound RTP 198.51.100.9:6000 10.0.0.2",
];

fn shown(bench: &Bench) -> String {
    show::inspect::sip(
        Format::Text,
        bench.now,
        std::slice::from_ref(&bench.inspector),
    )
}

#[test]
fn a_call_opens_media_both_ways_and_closes_it_when_it_ends() {
    let mut bench = invited();
    assert_eq!(
        bench.pinholes(),
        [
            "Inbound RTCP 192.0.2.11:20001 any",
            "Inbound RTP 192.0.2.11:20000 any"
        ]
    );
    assert!(shown(&bench).contains("state Call init, idle 0:00:00"));
    bench
        .back(&of_call("SIP/2.0 200 OK", "out", "1 INVITE", SDP_OUT))
        .expect("passes");
    assert_eq!(bench.pinholes(), [&TO_ALICE[..], &TO_BOB].concat());
    assert_eq!(
        bench.log[0],
        "%ASA-6-607001: Pre-allocate SIP RTP secondary channel for inside:10.0.0.2/4000 to outside:any from INVITE message"
    );
    bench.pass(Time::from_secs(3));
    assert_eq!(
        shown(&bench),
        "Total: 1\ncall-id c1\n    state Active, idle 0:00:03\n"
    );
    bench
        .back(&of_call(
            "BYE sip:alice@192.0.2.10:45060 SIP/2.0",
            "out",
            "9 BYE",
            "",
        ))
        .expect("passes");
    assert_eq!(bench.open.len(), 4, "media stay until the BYE is answered");
    bench
        .out(&of_call("SIP/2.0 200 OK", "in", "9 BYE", ""))
        .expect("passes");
    assert_eq!(bench.open.len(), 0);
    bench.pass(Time::from_secs(119));
    assert_eq!(bench.inspector.sessions().len(), 1);
    bench.pass(Time::from_secs(1));
    assert_eq!(shown(&bench), "Total: 0\n");
}

#[test]
fn an_unanswered_bye_closes_media_after_the_disconnect_time() {
    let mut bench = answered();
    bench
        .out(&of_call(
            "BYE sip:bob@198.51.100.9 SIP/2.0",
            "in",
            "2 BYE",
            "",
        ))
        .expect("passes");
    bench.pass(Time::from_secs(119));
    assert_eq!(bench.open.len(), 4);
    bench.pass(Time::from_secs(1));
    assert_eq!((bench.open.len(), bench.inspector.sessions().len()), (0, 0));
}

#[test]
fn a_refused_call_loses_its_pinholes_and_an_unanswered_one_ends() {
    let mut refused = invited();
    refused
        .back(&of_call("SIP/2.0 486 Busy Here", "out", "1 INVITE", ""))
        .expect("passes");
    assert_eq!(refused.open.len(), 0);
    let mut alone = invited();
    alone.pass(Time::from_secs(179));
    assert_eq!(alone.open.len(), 2);
    alone
        .back(&of_call("SIP/2.0 180 Ringing", "out", "1 INVITE", ""))
        .expect("passes");
    alone.pass(Time::from_secs(179));
    assert_eq!(
        alone.open.len(),
        2,
        "a provisional answer gives it more time"
    );
    alone.pass(Time::from_secs(1));
    assert_eq!((alone.open.len(), alone.inspector.sessions().len()), (0, 0));
}

#[test]
fn early_media_close_when_nobody_answers_in_time() {
    let mut bench = invited();
    bench
        .back(&of_call(
            "SIP/2.0 183 Session Progress",
            "out",
            "1 INVITE",
            SDP_OUT,
        ))
        .expect("passes");
    assert_eq!(bench.pinholes(), [&TO_ALICE[..], &TO_BOB].concat());
    bench.pass(Time::from_secs(120));
    assert_eq!(bench.pinholes(), TO_ALICE);
    let mut answered = invited();
    answered
        .back(&of_call(
            "SIP/2.0 183 Session Progress",
            "out",
            "1 INVITE",
            SDP_OUT,
        ))
        .expect("passes");
    answered
        .back(&of_call("SIP/2.0 200 OK", "out", "1 INVITE", SDP_OUT))
        .expect("passes");
    answered.pass(Time::from_secs(600));
    assert_eq!(answered.open.len(), 4);
}

#[test]
fn a_re_invite_moves_media_when_it_is_taken_and_not_when_refused() {
    let moved = SDP_IN.replace("4000", "4100");
    let offer = of_call(
        "INVITE sip:bob@198.51.100.9 SIP/2.0",
        "in",
        "2 INVITE",
        &moved,
    );
    let mut taken = answered();
    taken.out(&offer).expect("passes");
    assert_eq!(taken.open.len(), 6);
    taken
        .back(&of_call("SIP/2.0 200 OK", "out", "2 INVITE", SDP_OUT))
        .expect("passes");
    let now = [
        "Inbound RTCP 192.0.2.11:20003 198.51.100.9",
        "Inbound RTP 192.0.2.11:20002 198.51.100.9",
    ];
    assert_eq!(taken.pinholes(), [&now[..], &TO_BOB].concat());
    let mut refused = answered();
    refused.out(&offer).expect("passes");
    refused
        .back(&of_call(
            "SIP/2.0 488 Not Acceptable Here",
            "out",
            "2 INVITE",
            "",
        ))
        .expect("passes");
    assert_eq!(refused.pinholes(), [&TO_ALICE[..], &TO_BOB].concat());
}

#[test]
fn an_idle_pinhole_is_forgotten_and_an_idle_call_ends() {
    let mut bench = answered();
    let idle: Vec<PinholeId> = bench.open.keys().copied().collect();
    assert!(
        bench
            .open
            .values()
            .all(|pinhole| pinhole.idle == Some(Time::from_secs(120)))
    );
    bench.open.remove(&idle[0]);
    bench.inspector.handle_closed(idle[0]);
    assert_eq!(bench.inspector.open_pinholes(), 3);
    bench.pass(Time::from_secs(1799));
    assert_eq!(bench.inspector.sessions().len(), 1);
    bench.pass(Time::from_secs(1));
    assert_eq!((bench.inspector.sessions().len(), bench.open.len()), (0, 0));
}

fn subscribe(expires: u32) -> String {
    message(
        &format!(
            "SUBSCRIBE sip:bob@example.net SIP/2.0
             Via: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK1
             From: <sip:alice@example.com>;tag=a
             To: <sip:bob@example.net>
             Call-ID: s1
             CSeq: 1 SUBSCRIBE
             Contact: <sip:alice@10.0.0.2:5070>
             Expires: {expires}"
        ),
        "",
    )
}

#[test]
fn a_subscription_keeps_its_pinhole_until_it_expires_and_a_margin() {
    let mut bench = Bench::new();
    bench.out(&subscribe(3600)).expect("passes");
    // For the answer to the Via, and for notifications to the Contact: one and the same end.
    assert_eq!(
        bench.pinholes(),
        ["Inbound SIGNALLING 192.0.2.11:20000 any"]
    );
    let answer = subscribe(3600)
        .replace(
            "SUBSCRIBE sip:bob@example.net SIP/2.0",
            "SIP/2.0 202 Accepted",
        )
        .replace("10.0.0.2:5070", "192.0.2.11:20000");
    bench.back(&answer).expect("passes");
    assert!(shown(&bench).contains("Active"));
    bench.pass(Time::from_secs(3600 + 299));
    assert_eq!(bench.open.len(), 1);
    bench.pass(Time::from_secs(1));
    assert_eq!((bench.open.len(), bench.inspector.sessions().len()), (0, 0));
}

#[test]
fn the_last_notification_ends_a_subscription() {
    let mut bench = Bench::new();
    bench.out(&subscribe(3600)).expect("passes");
    let notify = message(
        "NOTIFY sip:alice@192.0.2.11:20000 SIP/2.0
         Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK9
         From: <sip:bob@example.net>;tag=b
         To: <sip:alice@example.com>;tag=a
         Call-ID: s1
         CSeq: 1 NOTIFY
         Subscription-State: terminated;reason=timeout",
        "",
    );
    let passed = bench.back(&notify).expect("passes");
    assert!(
        passed.starts_with("NOTIFY sip:alice@10.0.0.2:5070 SIP/2.0"),
        "{passed}"
    );
    bench.pass(Time::from_secs(120));
    assert_eq!((bench.open.len(), bench.inspector.sessions().len()), (0, 0));
}

#[test]
fn a_message_is_over_with_its_answer() {
    let mut bench = Bench::new();
    let text = subscribe(0).replace("SUBSCRIBE", "MESSAGE");
    bench.out(&text).expect("passes");
    let answer = text.replace("MESSAGE sip:bob@example.net SIP/2.0", "SIP/2.0 200 OK");
    bench
        .back(&answer.replace("10.0.0.2:5070", "192.0.2.11:20000"))
        .expect("passes");
    bench.pass(Time::from_secs(64));
    assert_eq!((bench.open.len(), bench.inspector.sessions().len()), (0, 0));
}

#[test]
fn a_flood_takes_neither_memory_nor_the_sessions_of_others() {
    let limits = Limits {
        sessions: 50,
        sources: 8,
        begin_rate: 10,
        begin_burst: 20,
    };
    let mut bench = Bench::with(Rules::default(), limits);
    bench
        .out(&of_call(
            "INVITE sip:bob@example.net SIP/2.0",
            "in",
            "1 INVITE",
            SDP_IN,
        ))
        .expect("passes");
    bench
        .back(&of_call("SIP/2.0 200 OK", "out", "1 INVITE", SDP_OUT))
        .expect("passes");
    let mapped = SocketAddrV4::new(SERVER_MAPPED, 45060);
    let mut refused = 0;
    for number in 0..1000_u32 {
        let text = subscribe(60).replace("Call-ID: s1", &format!("Call-ID: {number}"));
        let source = Ipv4Addr::from(0xc633_6400 + number / 100);
        let result = bench.send(Way::Inbound, SocketAddrV4::new(source, 5060), mapped, &text);
        refused += usize::from(result == Err(Effect::Drop(Reason::SourceRate)));
    }
    assert_eq!(refused, 800, "each of ten sources may begin 20 at once");
    assert_eq!(bench.inspector.sessions().len(), 50);
    assert_eq!(bench.inspector.sessions().most(), 50);
    assert!(shown(&bench).contains("call-id c1\n    state Active"));
}

#[test]
fn sessions_that_are_answered_do_not_give_way() {
    let limits = Limits {
        sessions: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(Rules::default(), limits);
    bench
        .out(&of_call(
            "INVITE sip:bob@example.net SIP/2.0",
            "in",
            "1 INVITE",
            "",
        ))
        .expect("passes");
    bench
        .back(&of_call("SIP/2.0 200 OK", "out", "1 INVITE", ""))
        .expect("passes");
    assert_eq!(
        bench.out(&subscribe(60)),
        Err(Effect::Drop(Reason::SessionsFull))
    );
}

#[test]
fn a_broken_message_ends_a_stream_and_not_a_datagram_flow() {
    let broken = "OPTIONS sip:b@h SIP/2.0\r\nContent-Length: x\r\n\r\n";
    let reason = Reason::Fault(crate::sip::Fault::ContentLength);
    let mut bench = Bench::new();
    assert_eq!(bench.out(broken), Err(Effect::Drop(reason)));
    bench.protocol = Protocol::Tcp;
    assert_eq!(bench.out(broken), Err(Effect::DropConnection(reason)));
    assert_eq!(
        bench.inspector.stats().drops.get("bad-content-length"),
        Some(&2)
    );
}
