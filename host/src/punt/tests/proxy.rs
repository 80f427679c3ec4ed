//! Connections that end at a proxy.

use super::bench::*;
use crate::flow::{State, Time};
use crate::punt::{Drop, Verdict};
use crate::wire::packet::{ICMP, TCP, tcp_flags};
use crate::wire::{Packet, Tuple};

const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;
const FIN: u8 = tcp_flags::FIN;
const RST: u8 = tcp_flags::RST;
const FAR: [u8; 4] = [198, 51, 100, 7];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const MAPPED: [u8; 4] = [192, 0, 2, 10];

fn bench() -> Bench {
    let inspected = "
tls-proxy ent
 server trust-point own
class-map sips
 match port tcp eq 5061
policy-map global_policy
 class sips
  inspect sip tls-proxy ent
service-policy global_policy global
";
    Bench::with_proxy(&format!("{CONFIG}{inspected}"))
}

/// What the client outside sends and what the server inside is to get.
fn ends() -> (Tuple, Tuple) {
    (
        tuple(TCP, FAR, 40000, MAPPED, 5062),
        tuple(TCP, FAR, 40000, SERVER, 5061),
    )
}

#[test]
fn a_proxy_gets_the_packets_of_both_ends_and_speaks_to_both() {
    let mut bench = bench();
    let (dialled, real) = ends();
    let syn = frame(&dialled, SYN, 64);
    let report = bench.receive(OUTSIDE, &syn).expect("punted");
    assert_eq!(
        (report.verdict, report.reason),
        (Verdict::Local, "to-proxy")
    );
    assert_eq!(
        bench.proxied.pop().as_deref(),
        Some(&syn[14..]),
        "as it came in"
    );
    assert!(bench.sent.is_empty());
    assert_eq!(bench.dialled, [dialled]);

    // The proxy answers as the address that was dialled, and dials the server as the client.
    let answer = dialled.reply().expect("tcp");
    bench.proxy_sends(&frame(&answer, SYN | ACK, 64)[14..]);
    let (port, packet) = bench.last();
    assert_eq!((port, packet.tuple), (OUTSIDE, answer));
    assert_eq!(packet.link.source, mac_of_ours(OUTSIDE));
    let report = bench.proxy_sends(&frame(&real, SYN, 64)[14..]);
    assert_eq!(
        (report.verdict, report.sent),
        (Verdict::Forward, Some(real))
    );
    let (port, packet) = bench.last();
    assert_eq!((port, packet.tuple), (INSIDE, real));

    let back = frame(&real.reply().expect("tcp"), SYN | ACK, 64);
    bench.receive(INSIDE, &back);
    assert_eq!(bench.proxied.pop().as_deref(), Some(&back[14..]));
    bench.receive(OUTSIDE, &frame(&dialled, ACK, 64));
    let conn = bench.path.conns().iter().next().expect("one");
    assert_eq!(conn.state(), State::Established);
    assert_eq!(bench.path.conns().len(), 1, "both ends are one connection");
}

#[test]
fn a_reset_of_one_end_leaves_the_other_to_the_proxy() {
    let mut bench = bench();
    let (dialled, real) = ends();
    bench.receive(OUTSIDE, &frame(&dialled, SYN, 64));
    bench.receive(INSIDE, &frame(&real.reply().expect("tcp"), SYN | ACK, 64));
    bench.receive(OUTSIDE, &frame(&dialled, RST, 64));
    bench.pass(Time::from_secs(60));
    assert_eq!(bench.path.conns().len(), 1, "the server does not know yet");
    let told = bench.proxy_sends(&frame(&real, RST, 64)[14..]);
    assert_eq!(told.verdict, Verdict::Forward);
    bench.pass(Time::from_secs(60));
    assert!(bench.path.conns().is_empty() && bench.entries.is_empty());
    assert_eq!(bench.dialled, []);
}

#[test]
fn both_ends_closed_end_the_connection() {
    let mut bench = bench();
    let (dialled, real) = ends();
    bench.receive(OUTSIDE, &frame(&dialled, SYN, 64));
    bench.receive(INSIDE, &frame(&real.reply().expect("tcp"), SYN | ACK, 64));
    bench.receive(OUTSIDE, &frame(&dialled, FIN | ACK, 64));
    bench.receive(INSIDE, &frame(&real.reply().expect("tcp"), FIN | ACK, 64));
    let last = bench.proxy_sends(&frame(&real, ACK, 64)[14..]);
    assert_eq!(
        last.verdict,
        Verdict::Forward,
        "the last acknowledgement leaves"
    );
    bench.pass(Time::from_secs(60));
    assert!(bench.path.conns().is_empty());
}

#[test]
fn a_connection_that_the_proxy_ends_by_itself_is_over() {
    for (said, answered) in [(RST, None), (FIN | ACK, Some(FIN | ACK))] {
        let mut bench = bench();
        let (dialled, _) = ends();
        bench.receive(OUTSIDE, &frame(&dialled, SYN, 64));
        let to_client = dialled.reply().expect("tcp");
        bench.proxy_sends(&frame(&to_client, SYN | ACK, 64)[14..]);
        bench.receive(OUTSIDE, &frame(&dialled, ACK, 64));
        bench.proxy_sends(&frame(&to_client, said, 64)[14..]);
        if let Some(flags) = answered {
            bench.receive(OUTSIDE, &frame(&dialled, flags, 64));
        }
        bench.pass(Time::from_secs(5));
        assert!(bench.path.conns().is_empty(), "nobody behind was dialled");
    }
}

#[test]
fn an_error_about_what_the_proxy_sent_goes_to_the_proxy() {
    let mut bench = bench();
    let (dialled, real) = ends();
    bench.receive(OUTSIDE, &frame(&dialled, SYN, 64));
    bench.proxied.clear();
    let quoted = frame(&real, ACK, 64);
    let error = unreachable([10, 0, 0, 77], &quoted);
    assert_eq!(Packet::parse(&error).expect("valid").tuple.proto, ICMP);
    let report = bench.receive(INSIDE, &error).expect("punted");
    assert_eq!(report.reason, "to-proxy");
    assert_eq!(bench.proxied.len(), 1);
}

#[test]
fn what_belongs_to_no_proxied_connection_is_not_sent() {
    let mut bench = bench();
    let (_, real) = ends();
    let drop = |report: crate::punt::Report| report.verdict;
    let strange = frame(&real, SYN, 64);
    assert_eq!(
        drop(bench.proxy_sends(&strange[14..])),
        Verdict::Drop(Drop::NoFlow)
    );
    // A connection that the card forwards is none of the proxy's business.
    let plain = tuple(TCP, [10, 0, 0, 9], 40000, FAR, 443);
    bench.receive(INSIDE, &frame(&plain, SYN, 64));
    let (_, sent) = bench.last();
    let before = bench.sent.len();
    let forged = bench.proxy_sends(&frame(&sent.tuple, RST, 64)[14..]);
    assert_eq!(forged.verdict, Verdict::Drop(Drop::NoFlow));
    for garbage in [&[][..], &[0x45; 19], &[0xff; 60]] {
        assert!(matches!(drop(bench.proxy_sends(garbage)), Verdict::Drop(_)));
    }
    assert_eq!(bench.sent.len(), before);
}
