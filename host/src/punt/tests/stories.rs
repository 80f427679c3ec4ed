//! Stories, packet by packet.

use super::bench::*;
use crate::flow::{Limits, State, Time};
use crate::policy::DropReason;
use crate::punt::{Drop, Resolution, Verdict};
use crate::wire::arp::Arp;
use crate::wire::packet::{ICMP, TCP, UDP, tcp_flags};
use crate::wire::{Link, Mac, Packet, checksum};
use layout::desc::Reason;

const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;
const FIN: u8 = tcp_flags::FIN;
const CLIENT: [u8; 4] = [10, 0, 0, 9];
const FAR: [u8; 4] = [198, 51, 100, 7];
const MAPPED: [u8; 4] = [192, 0, 2, 10];

#[test]
fn a_tcp_connection_is_made_used_and_closed() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(TCP, CLIENT, 40000, FAR, 443);
    let report = bench
        .receive(INSIDE, &frame(&out, SYN, 64))
        .expect("punted");
    assert_eq!(
        (report.verdict, report.reason),
        (Verdict::Forward, "reinjected")
    );
    let (port, syn) = bench.last();
    assert_eq!(
        (port, syn.tuple),
        (OUTSIDE, tuple(TCP, MAPPED, 40000, FAR, 443))
    );
    // The gateway has not been heard of, so its MAC address is made from its address.
    assert_eq!(syn.link.destination, Mac([2, 0, 192, 0, 2, 254]));
    assert_eq!(syn.link.source, mac_of_ours(OUTSIDE));

    let back = syn.tuple.reply().expect("tcp");
    assert_eq!(bench.receive(OUTSIDE, &frame(&back, SYN | ACK, 64)), None);
    let (port, answer) = bench.last();
    assert_eq!((port, Some(answer.tuple)), (INSIDE, out.reply()));
    assert_eq!(
        answer.link.destination,
        Mac([2, 0xbb, 0, 0, 0, 9]),
        "learned from its own frame"
    );
    bench.receive(INSIDE, &frame(&out, ACK, 64));
    bench.pass(Time::from_secs(5));
    let conn = bench.path.conns().iter().next().expect("one");
    assert_eq!(conn.state(), State::Established);

    bench.receive(INSIDE, &frame(&out, FIN | ACK, 64));
    bench.receive(OUTSIDE, &frame(&back, FIN | ACK, 64));
    bench.pass(Time::from_secs(70));
    assert!(
        bench.path.conns().is_empty() && bench.path.xlates().is_empty() && bench.entries.is_empty()
    );
    for id in [
        "302013: Built outbound TCP connection 1 for outside:198.51.100.7/443 (198.51.100.7/443) to inside:10.0.0.9/40000 (192.0.2.10/40000)",
        "305011",
        "302014",
        "TCP FINs",
        "305012",
    ] {
        assert_eq!(bench.logged(id), 1, "{id}: {:#?}", bench.log);
    }
}

#[test]
fn an_inbound_connection_is_untranslated() {
    let mut bench = Bench::new(CONFIG);
    let dial = tuple(TCP, FAR, 50000, MAPPED, 5062);
    let report = bench
        .receive(OUTSIDE, &frame(&dial, SYN, 64))
        .expect("punted");
    assert_eq!(report.verdict, Verdict::Forward);
    assert!(report.nat.is_some() && report.ace.is_some());
    assert_eq!(
        bench.last().1.tuple,
        tuple(TCP, FAR, 50000, [10, 0, 0, 2], 5061)
    );
    let back = tuple(TCP, [10, 0, 0, 2], 5061, FAR, 50000);
    assert_eq!(bench.receive(INSIDE, &frame(&back, SYN | ACK, 64)), None);
    assert_eq!(
        bench.last(),
        (
            OUTSIDE,
            Packet {
                link: bench.last().1.link,
                ..bench.last().1
            }
        )
    );
    assert_eq!(bench.last().1.tuple, tuple(TCP, MAPPED, 5062, FAR, 50000));
    assert!(
        bench.path.xlates().is_empty(),
        "a static rule needs no state"
    );
}

#[test]
fn denied_and_late_packets_are_dropped_with_asa_reasons() {
    let mut bench = Bench::new(CONFIG);
    let denied = bench
        .receive(OUTSIDE, &frame(&tuple(UDP, FAR, 5, MAPPED, 5062), 0, 64))
        .expect("punted");
    assert_eq!(
        denied.verdict,
        Verdict::Drop(Drop::Policy(DropReason::AclDrop))
    );
    let late = bench
        .receive(
            INSIDE,
            &frame(&tuple(TCP, CLIENT, 40000, FAR, 443), ACK, 64),
        )
        .expect("punted");
    assert_eq!(
        (late.verdict, late.reason),
        (Verdict::Drop(Drop::TcpNotSyn), "tcp-not-syn")
    );
    assert_eq!(bench.path.drops().get("acl-drop"), Some(&1));
    assert_eq!(bench.path.drops().get("tcp-not-syn"), Some(&1));
    assert_eq!((bench.logged("106023"), bench.logged("106015")), (1, 1));
    assert!(bench.sent.is_empty() && bench.entries.is_empty());
}

/// `local` of the card may be a rule it cannot judge alone or a table that overflowed, so the host asks the evaluator.
#[test]
fn the_reason_local_is_no_proof_that_a_packet_is_for_the_device() {
    let mut bench = Bench::new(CONFIG);
    let mut local = |interface, tuple: &_| {
        let report = bench.punt(interface, Reason::Local, &frame(tuple, SYN, 64), false);
        report.verdict
    };
    let policy = |reason| Verdict::Drop(Drop::Policy(reason));
    // Our address on the far side, also where an access list or the levels would let it pass.
    assert_eq!(
        local(INSIDE, &tuple(TCP, CLIENT, 40000, [192, 0, 2, 1], 443)),
        policy(DropReason::SecurityFailed)
    );
    assert_eq!(
        local(INSIDE, &tuple(ICMP, CLIENT, 7, [192, 0, 2, 1], 0x0800)),
        policy(DropReason::SecurityFailed)
    );
    // Through traffic: denied, untranslated and sent on, translated and sent on.
    assert_eq!(
        local(OUTSIDE, &tuple(TCP, FAR, 50000, [10, 0, 0, 2], 22)),
        policy(DropReason::AclDrop)
    );
    assert_eq!(
        local(OUTSIDE, &tuple(TCP, FAR, 50000, MAPPED, 5062)),
        Verdict::Forward
    );
    assert_eq!(
        local(INSIDE, &tuple(TCP, CLIENT, 40000, FAR, 443)),
        Verdict::Forward
    );
    // And what is for the device is, whatever the card says.
    let echo = frame(&tuple(ICMP, CLIENT, 7, [10, 0, 0, 1], 0x0800), 0, 64);
    for reason in [Reason::Local, Reason::FlowMiss] {
        let report = bench.punt(INSIDE, reason, &echo, false);
        assert_eq!(
            (report.verdict, report.reason),
            (Verdict::Local, "echo-reply")
        );
    }
}

#[test]
fn a_static_port_is_never_given_to_dynamic_pat() {
    let mut bench = Bench::new(CONFIG);
    bench.receive(INSIDE, &frame(&tuple(TCP, CLIENT, 5062, FAR, 443), SYN, 64));
    let (_, sent) = bench.last();
    assert_eq!(sent.tuple.src.octets(), MAPPED);
    assert!(sent.tuple.sport != 5062 && sent.tuple.sport >= 1024);
    bench.receive(INSIDE, &frame(&tuple(UDP, CLIENT, 5062, FAR, 443), 0, 64));
    assert_eq!(
        bench.last().1.tuple.sport,
        5062,
        "the rule owns the TCP port only"
    );
}

#[test]
fn icmp_queries_return_by_identifier_and_end_soon() {
    let mut bench = Bench::new(CONFIG);
    let (one, two) = (
        tuple(ICMP, CLIENT, 77, FAR, 0x0800),
        tuple(ICMP, [10, 0, 0, 8], 77, FAR, 0x0800),
    );
    bench.receive(INSIDE, &frame(&one, 0, 64));
    bench.receive(INSIDE, &frame(&two, 0, 64));
    let (_, sent) = bench.last();
    assert!(sent.tuple.sport != 77, "two hosts, two identifiers");
    assert_eq!(
        bench.receive(OUTSIDE, &frame(&sent.tuple.reply().expect("echo"), 0, 64)),
        None
    );
    assert_eq!(Some(bench.last().1.tuple), two.reply());
    bench.pass(Time::from_millis(4_100));
    assert!(bench.path.conns().is_empty());
}

#[test]
fn an_icmp_error_goes_back_to_the_one_who_caused_it() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    bench.receive(INSIDE, &frame(&out, 0, 64));
    let sent = bench.sent.last().expect("left").1.clone();
    for router in [[203, 0, 113, 1], FAR] {
        let report = bench.punt(
            OUTSIDE,
            Reason::IcmpError,
            &unreachable(router, &sent),
            false,
        );
        assert_eq!(report.verdict, Verdict::Forward);
        let (port, error) = bench.last();
        assert_eq!(
            (port, error.tuple.src, error.tuple.dst),
            (INSIDE, router.into(), CLIENT.into())
        );
        let bytes = &bench.sent.last().expect("left").1;
        assert_eq!(checksum::sum(error.payload(bytes)), 0xffff);
        let quoted = crate::wire::icmp::Quoted::parse(bytes, &error).expect("quoted");
        assert_eq!(quoted.tuple, out);
    }
    let stranger = frame(&tuple(UDP, MAPPED, 1, FAR, 2), 0, 64);
    let report = bench.punt(
        OUTSIDE,
        Reason::IcmpError,
        &unreachable(FAR, &stranger),
        false,
    );
    assert_eq!(report.verdict, Verdict::Drop(Drop::IcmpErrorNoConn));
}

#[test]
fn time_to_live_one_passes_and_zero_does_not() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    let report = bench.punt(INSIDE, Reason::TtlExpired, &frame(&out, 0, 1), false);
    assert_eq!(
        (report.verdict, report.reason),
        (Verdict::Forward, "host-forwarded")
    );
    assert_eq!(
        (bench.last().1.ttl, bench.last().1.tuple.src),
        (1, std::net::Ipv4Addr::from(MAPPED))
    );
    let report = bench.punt(INSIDE, Reason::TtlExpired, &frame(&out, 0, 0), false);
    assert_eq!(report.verdict, Verdict::Drop(Drop::TtlExceeded));
}

#[test]
fn fragments_are_judged_together_and_leave_as_fragments() {
    let mut bench = Bench::new(CONFIG);
    let whole = frame(&tuple(UDP, CLIENT, 40000, FAR, 5060), 0, 64);
    let pieces = fragment(&whole, 24);
    assert_eq!(pieces.len(), 3);
    for piece in [&pieces[2], &pieces[0]] {
        assert_eq!(
            bench.punt(INSIDE, Reason::Fragment, piece, false).verdict,
            Verdict::Held
        );
    }
    assert_eq!(
        bench
            .punt(INSIDE, Reason::Fragment, &pieces[1], false)
            .verdict,
        Verdict::Forward
    );
    assert_eq!(bench.sent.len(), 3);
    let first = Packet::parse(&bench.sent[0].1).expect("valid");
    assert_eq!(first.tuple, tuple(UDP, MAPPED, 40000, FAR, 5060));
    // Together they are the datagram that the translated whole would have been.
    let mut expected = whole.clone();
    let packet = Packet::parse(&whole).expect("valid");
    crate::wire::edit::set_tuple(&mut expected, &packet, &first.tuple);
    let payload: Vec<u8> = bench
        .sent
        .iter()
        .flat_map(|(_, piece)| piece[34..].to_vec())
        .collect();
    assert_eq!(payload, expected[34..]);
}

#[test]
fn overlapping_and_incomplete_fragments_never_leave() {
    let mut bench = Bench::new(CONFIG);
    let pieces = fragment(&frame(&tuple(UDP, CLIENT, 40000, FAR, 5060), 0, 64), 24);
    bench.punt(INSIDE, Reason::Fragment, &pieces[0], false);
    let again = bench.punt(INSIDE, Reason::Fragment, &pieces[0], false);
    assert_eq!(again.verdict, Verdict::Drop(Drop::FragmentFailed));
    for piece in &pieces[1..] {
        bench.punt(INSIDE, Reason::Fragment, piece, false);
    }
    bench.pass(Time::from_secs(5));
    assert_eq!(bench.path.incomplete_datagrams(), 1);
    assert!(bench.sent.is_empty());
}

#[test]
fn arp_is_answered_for_our_and_mapped_addresses_only() {
    let mut bench = Bench::new(CONFIG);
    let (peer, peer_mac) = ([192, 0, 2, 254], Mac([2, 0xbb, 0, 0, 0, 1]));
    let mut ask = |sender: [u8; 4], target: [u8; 4]| {
        bench.sent.clear();
        let request = Arp::request(peer_mac, sender.into(), target.into(), None);
        let report = bench.punt(OUTSIDE, Reason::Arp, &request, false);
        let answer = bench.sent.pop().map(|(port, frame)| {
            let link = Link::parse(&frame).expect("link");
            (port, Arp::parse(&frame, &link).expect("reply"))
        });
        (report.verdict, answer, bench.logged("405003"))
    };
    for target in [[192, 0, 2, 1], MAPPED] {
        let (verdict, answer, _) = ask(peer, target);
        let (port, reply) = answer.expect("answered");
        assert_eq!(
            (verdict, port, reply.sender, reply.sender_mac),
            (Verdict::Local, 0, target.into(), mac_of_ours(0))
        );
    }
    assert_eq!(ask(peer, [192, 0, 2, 77]).1, None);
    assert_eq!(
        ask([192, 0, 2, 1], [192, 0, 2, 1]),
        (Verdict::Drop(Drop::Arp), None, 1)
    );
}

#[test]
fn echo_to_us_is_answered() {
    let mut bench = Bench::new(CONFIG);
    let request = frame(
        &tuple(ICMP, [192, 0, 2, 254], 5, [192, 0, 2, 1], 0x0800),
        0,
        64,
    );
    let report = bench.punt(OUTSIDE, Reason::Local, &request, false);
    assert_eq!(
        (report.verdict, report.reason),
        (Verdict::Local, "echo-reply")
    );
    let (port, reply) = bench.last();
    assert_eq!(
        (port, reply.tuple),
        (OUTSIDE, tuple(ICMP, [192, 0, 2, 1], 5, [192, 0, 2, 254], 0))
    );
    let ssh = frame(
        &tuple(TCP, [192, 0, 2, 254], 5, [192, 0, 2, 1], 22),
        SYN,
        64,
    );
    let report = bench.punt(OUTSIDE, Reason::Local, &ssh, false);
    assert_eq!(
        (report.verdict, bench.logged("710005")),
        (Verdict::Drop(Drop::NoLocalService), 1)
    );
}

#[test]
fn frames_wait_for_arp_and_then_leave_in_order() {
    let mut bench = Bench::with(CONFIG, Resolution::Ask, Limits::default(), [None; 2]);
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    for _ in 0..3 {
        let report = bench.receive(INSIDE, &frame(&out, 0, 64)).expect("punted");
        assert_eq!(
            (report.verdict, report.reason),
            (Verdict::Held, "waits-for-arp")
        );
    }
    let (port, request) = bench.sent.pop().expect("asked");
    let link = Link::parse(&request).expect("link");
    let request = Arp::parse(&request, &link).expect("request");
    assert_eq!(
        (port, request.target, request.sender),
        (OUTSIDE, [192, 0, 2, 254].into(), [192, 0, 2, 1].into())
    );
    assert!(bench.sent.is_empty(), "one question for all");
    let gateway = Mac([2, 0xcc, 0, 0, 0, 1]);
    bench.punt(OUTSIDE, Reason::Arp, &request.reply(gateway, None), false);
    assert_eq!(bench.sent.len(), 3);
    assert_eq!(bench.last().1.link.destination, gateway);
    assert_eq!(
        bench.receive(INSIDE, &frame(&out, 0, 64)),
        None,
        "now the card does it"
    );
}

#[test]
fn a_silent_next_hop_is_asked_three_times() {
    let mut bench = Bench::with(CONFIG, Resolution::Ask, Limits::default(), [None; 2]);
    bench.receive(INSIDE, &frame(&tuple(UDP, CLIENT, 40000, FAR, 5060), 0, 64));
    bench.pass(Time::from_secs(10));
    assert_eq!((bench.sent.len(), bench.path.given_up()), (3, 1));
}

#[test]
fn the_host_forwards_what_the_card_has_no_room_for() {
    let mut bench = Bench::new(CONFIG);
    bench.is_full = true;
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    // The first is tried on the card, which misses it again.
    for reason in ["reinjected", "host-forwarded"] {
        let report = bench.receive(INSIDE, &frame(&out, 0, 64)).expect("punted");
        assert_eq!((report.verdict, report.reason), (Verdict::Forward, reason));
        assert_eq!(bench.last().1.tuple.src, std::net::Ipv4Addr::from(MAPPED));
    }
    assert_eq!((bench.sent.len(), bench.path.conns().len()), (2, 1));
    bench.pass(Time::from_secs(119));
    assert_eq!(bench.path.conns().len(), 1);
    bench.pass(Time::from_secs(1));
    assert!(bench.path.conns().is_empty());
}

#[test]
fn a_reinjected_miss_does_not_come_round_again() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    let stray = bench.punt(INSIDE, Reason::FlowMiss, &frame(&out, 0, 64), true);
    assert_eq!(stray.verdict, Verdict::Drop(Drop::NoFlow));
    bench.receive(INSIDE, &frame(&out, 0, 64));
    bench.entries.clear();
    let report = bench.receive(INSIDE, &frame(&out, 0, 64)).expect("punted");
    assert_eq!(report.verdict, Verdict::Forward);
    assert_eq!(bench.last().1.tuple.src.octets(), MAPPED);
}

#[test]
fn both_ends_translated_and_tags_that_differ_stay_on_the_host() {
    let twice = format!(
        "{CONFIG}
object network partner
 host 198.51.100.7
object network partner-inside
 host 10.9.9.9
object network client
 host 10.0.0.9
object network client-outside
 host 192.0.2.20
nat (inside,outside) source static client client-outside destination static partner-inside partner
"
    );
    let out = tuple(UDP, CLIENT, 40000, [10, 9, 9, 9], 5060);
    let sent = tuple(UDP, [192, 0, 2, 20], 40000, FAR, 5060);
    for (config, vids, out, sent) in [
        (&*twice, [None, None], out, sent),
        (
            CONFIG,
            [Some(30), None],
            tuple(UDP, CLIENT, 40000, FAR, 5060),
            tuple(UDP, MAPPED, 40000, FAR, 5060),
        ),
    ] {
        let mut bench = Bench::with(config, Resolution::Derive, Limits::default(), vids);
        let report = bench.receive(INSIDE, &frame(&out, 0, 64)).expect("punted");
        assert_eq!(
            (report.verdict, report.reason),
            (Verdict::Forward, "host-forwarded")
        );
        assert_eq!(
            (bench.last().1.tuple, bench.last().1.link.vid),
            (sent, vids[0])
        );
        assert!(bench.entries.values().all(|(entry, _)| entry.punt));
        let report = bench
            .receive(OUTSIDE, &frame(&sent.reply().expect("udp"), 0, 64))
            .expect("punted");
        assert_eq!(
            (report.verdict, Some(bench.last().1.tuple)),
            (Verdict::Forward, out.reply())
        );
    }
}

#[test]
fn options_and_bad_headers_are_checked_by_the_host() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(UDP, CLIENT, 40000, FAR, 5060);
    let alert = with_options(&frame(&out, 0, 64), &[148, 4, 0, 0]);
    assert_eq!(
        bench.punt(INSIDE, Reason::IpOptions, &alert, false).verdict,
        Verdict::Forward
    );
    assert_eq!(bench.last().1.tuple.src.octets(), MAPPED);
    let route = with_options(&frame(&out, 0, 64), &[131, 7, 4, 1, 2, 3, 4, 0]);
    assert_eq!(
        bench.punt(INSIDE, Reason::IpOptions, &route, false).verdict,
        Verdict::Drop(Drop::IpOption)
    );
    let mut damaged = alert.clone();
    damaged[14 + 10] ^= 1;
    assert_eq!(
        bench
            .punt(INSIDE, Reason::IpOptions, &damaged, false)
            .reason,
        "bad-ip-cksum"
    );
    assert_eq!(
        bench.punt(INSIDE, Reason::NonIp, &[0; 60], false).reason,
        "l2_acl"
    );
}

/// The same packet with IPv4 options.
fn with_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.splice(34..34, options.iter().copied());
    frame[14] = 0x45 + (options.len() / 4) as u8;
    set_length_and_checksum(&mut frame, 20 + options.len());
    frame
}

/// Cuts a frame's datagram into fragments of so many payload bytes.
fn fragment(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let payload = &frame[34..];
    let pieces = payload.chunks(size).enumerate();
    let cut = |(index, piece): (usize, &[u8])| {
        let mut fragment = frame[..34].to_vec();
        fragment.extend_from_slice(piece);
        let start = index * size;
        let more = start + piece.len() < payload.len();
        fragment[18..20].copy_from_slice(&7u16.to_be_bytes());
        fragment[20..22]
            .copy_from_slice(&((start / 8) as u16 | u16::from(more) << 13).to_be_bytes());
        set_length_and_checksum(&mut fragment, 20);
        fragment
    };
    pieces.map(cut).collect()
}

fn set_length_and_checksum(frame: &mut [u8], header: usize) {
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[24..26].copy_from_slice(&[0, 0]);
    let sum = !checksum::sum(&frame[14..14 + header]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}
