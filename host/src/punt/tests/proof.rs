//! Proofs that are looked for at our addresses.

use layout::desc::Reason;

use super::bench::*;
use crate::flow::Time;
use crate::punt::inspect::cover::SeenEnd;
use crate::punt::{Drop, Verdict};
use crate::wire::packet::{TCP, UDP, tcp_flags};
use crate::wire::{Packet, Tuple};

const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;
const FIN: u8 = tcp_flags::FIN;
const FAR: [u8; 4] = [198, 51, 100, 7];
const CLIENT: [u8; 4] = [10, 0, 0, 9];
const OWN: [u8; 4] = [192, 0, 2, 1];
const OWN_INSIDE: [u8; 4] = [10, 0, 0, 1];
const MAPPED: [u8; 4] = [192, 0, 2, 10];
const NOBODYS: [u8; 4] = [192, 0, 2, 11];
/// The port that a static rule owns.
const OWNED: u16 = 5062;

impl Bench {
    fn show_proof(&mut self, port: Option<u16>) {
        self.path.show_proof(port);
        self.poll();
    }
}

#[test]
fn who_looks_is_led_to_the_proof_while_it_is_shown_and_may_finish() {
    let mut bench = Bench::new(CONFIG);
    let look = |sport| tuple(TCP, FAR, sport, OWN, 80);
    let arrives = |bench: &mut Bench, tuple: &Tuple, flags| {
        bench.punt(OUTSIDE, Reason::Local, &frame(tuple, flags, 64), false)
    };
    let early = arrives(&mut bench, &look(1025), SYN);
    assert_eq!(early.verdict, Verdict::Drop(Drop::NoLocalService));

    bench.show_proof(Some(80));
    let seen = look(1026);
    let report = arrives(&mut bench, &seen, SYN);
    assert_eq!(
        (report.verdict, report.reason),
        (Verdict::Local, "to-proxy")
    );
    assert_eq!(
        bench.proxied.pop().as_deref(),
        Some(&frame(&seen, SYN, 64)[14..])
    );
    assert_eq!(bench.dialled, [seen]);
    let answer = seen.reply().expect("tcp");
    let report = bench.proxy_sends(&frame(&answer, SYN | ACK, 64)[14..]);
    assert_eq!(report.verdict, Verdict::Forward);
    let (port, packet) = bench.last();
    assert_eq!((port, packet.tuple), (OUTSIDE, answer));
    assert_eq!(packet.link.source, mac_of_ours(OUTSIDE));
    let asked = Packet::parse(&frame(&seen, SYN, 64)).expect("valid");
    assert_eq!(packet.link.destination, asked.link.source);
    assert!(bench.entries.is_empty(), "the card has no part in it");

    // What has begun goes on, and nothing more begins.
    bench.show_proof(None);
    let late = arrives(&mut bench, &look(1027), SYN);
    assert_eq!(late.verdict, Verdict::Drop(Drop::NoLocalService));
    arrives(&mut bench, &seen, ACK | FIN);
    assert_eq!(bench.proxied.len(), 1);
    bench.proxy_sends(&frame(&answer, ACK | FIN, 64)[14..]);
    bench.pass(Time::from_secs(3));
    assert!(bench.path.conns().is_empty() && bench.dialled.is_empty());
    assert_eq!((bench.logged("302013"), bench.logged("302014")), (1, 1));
}

#[test]
fn the_card_hands_over_mapped_addresses_while_a_proof_is_shown() {
    let pool = "
object network pool
 range 192.0.2.32 192.0.2.40
object network others
 subnet 10.0.7.0 255.255.255.0
 nat (inside,outside) dynamic pool
";
    let end = |address: [u8; 4], mask, port| SeenEnd {
        interface: OUTSIDE,
        proto: TCP,
        address: u32::from_be_bytes(address),
        mask,
        port,
    };
    let mut bench = Bench::new(&format!("{CONFIG}{pool}"));
    bench.show_proof(Some(443));
    let pool = [
        end([192, 0, 2, 32], 0xffff_fff8, 443),
        end([192, 0, 2, 40], u32::MAX, 443),
    ];
    let mapped = end(MAPPED, u32::MAX, 443);
    assert_eq!(
        bench.pinholes,
        [&pool[..], &[mapped]].concat().into_iter().collect()
    );
    bench.show_proof(None);
    assert!(bench.pinholes.is_empty());
    // An address whose port a rule owns stays the card's.
    bench.show_proof(Some(OWNED));
    assert!(
        bench
            .pinholes
            .iter()
            .all(|end| end.address != mapped.address)
    );
    assert_eq!(bench.pinholes.len(), 2);
}

/// All kinds of packets to all kinds of addresses, each from a host that is there.
fn packets() -> Vec<(u8, Tuple, u8)> {
    let mut all = Vec::new();
    for (interface, from) in [(OUTSIDE, FAR), (INSIDE, CLIENT)] {
        for to in [OWN, OWN_INSIDE, MAPPED, NOBODYS, FAR, CLIENT] {
            for (port, proto) in [(80, TCP), (443, TCP), (OWNED, TCP), (80, UDP)] {
                for flags in [SYN, ACK, SYN | ACK] {
                    if from != to {
                        let sent = tuple(proto, from, 40000, to, port);
                        all.push((interface, sent, flags));
                    }
                }
            }
        }
    }
    all
}

/// Where it leads to is the only thing that a proof changes, and only at addresses that are ours.
#[test]
fn a_proof_takes_what_looks_for_it_and_nothing_else() {
    let mut led = Vec::new();
    for (interface, sent, flags) in packets() {
        let frame = frame(&sent, flags, 64);
        let mut without = Bench::new(CONFIG);
        let before = without.punt(interface, Reason::Local, &frame, false);
        for port in [80, OWNED] {
            let mut with = Bench::new(CONFIG);
            with.show_proof(Some(port));
            let after = with.punt(interface, Reason::Local, &frame, false);
            if after.reason == "to-proxy" {
                assert_eq!((sent.proto, sent.dport, flags), (TCP, port, SYN));
                assert!(with.sent.is_empty() && with.entries.is_empty());
                led.push((interface, sent.dst.octets(), port));
            } else {
                assert_eq!(after, before, "{sent:?}");
                assert_eq!(
                    (with.sent, with.log),
                    (without.sent.clone(), without.log.clone())
                );
                assert_eq!(with.entries, without.entries);
                assert!(with.proxied.is_empty() && with.dialled.is_empty());
            }
        }
    }
    let expected = [
        (OUTSIDE, OWN, 80),
        (OUTSIDE, OWN, OWNED),
        (OUTSIDE, MAPPED, 80),
        (INSIDE, OWN_INSIDE, 80),
        (INSIDE, OWN_INSIDE, OWNED),
    ];
    assert_eq!(led, expected);
}
