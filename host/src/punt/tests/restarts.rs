//! Runtimes that take over what another left on the card.

use proptest::prelude::*;

use super::bench::*;
use crate::flow::{State, Time};
use crate::punt::Adopted;
use crate::wire::Tuple;
use crate::wire::packet::{ICMP, TCP, UDP, tcp_flags};

const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;
const CLIENT: [u8; 4] = [10, 0, 0, 9];
const FAR: [u8; 4] = [198, 51, 100, 7];
const MAPPED: [u8; 4] = [192, 0, 2, 10];

/// Opens a TCP connection from an interface and returns what its answers carry.
fn establish(bench: &mut Bench, interface: u8, out: &Tuple) -> Tuple {
    bench
        .receive(interface, &frame(out, SYN, 64))
        .expect("punted");
    let back = bench.last().1.tuple.reply().expect("tcp");
    bench.receive(1 - interface, &frame(&back, SYN | ACK, 64));
    bench.receive(interface, &frame(out, ACK, 64));
    back
}

/// Everything but the effects of the restart itself.
fn entries(bench: &Bench) -> Vec<[u32; 4]> {
    bench.entries.keys().copied().collect()
}

#[test]
fn connections_go_on_with_their_translations_counts_and_directions() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(TCP, CLIENT, 40000, FAR, 443);
    let back = establish(&mut bench, INSIDE, &out);
    let dial = tuple(TCP, FAR, 50000, MAPPED, 5062);
    let answer = establish(&mut bench, OUTSIDE, &dial);
    let ping = tuple(ICMP, CLIENT, 7, FAR, 0x0800);
    bench.receive(INSIDE, &frame(&ping, 0, 64)).expect("punted");
    let mut before: Vec<_> = bench
        .path
        .conns()
        .iter()
        .map(|conn| (conn.real(), conn.mapped(), conn.inbound, conn.nat, conn.ace))
        .collect();
    let on_card = entries(&bench);

    assert_eq!(
        bench.restart(CONFIG),
        Adopted {
            conns: 3,
            removed: 0
        }
    );
    assert_eq!(entries(&bench), on_card);
    let mut after: Vec<_> = bench
        .path
        .conns()
        .iter()
        .map(|conn| (conn.real(), conn.mapped(), conn.inbound, conn.nat, conn.ace))
        .collect();
    before.sort_by_key(|one| one.0);
    after.sort_by_key(|one| one.0);
    assert_eq!(after, before);
    assert_eq!(
        bench.path.xlates().len(),
        2,
        "the connection through static PAT has none"
    );

    // Nothing is punted, and nothing was lost in between.
    for (interface, packet) in [
        (INSIDE, &out),
        (OUTSIDE, &back),
        (OUTSIDE, &dial),
        (INSIDE, &answer),
    ] {
        assert_eq!(bench.receive(interface, &frame(packet, ACK, 64)), None);
    }
    bench.pass(Time::from_secs(5));
    let tcp: Vec<_> = bench
        .path
        .conns()
        .iter()
        .filter(|conn| conn.proto() == TCP)
        .collect();
    assert_eq!(tcp.len(), 2);
    for conn in tcp {
        assert_eq!(
            (conn.state(), conn.seen[0].packets, conn.seen[1].packets),
            (State::Established, 3, 2)
        );
    }
}

#[test]
fn who_began_a_connection_is_known_whatever_its_ports() {
    // Both ways are permitted and nothing is translated: only the entries tell.
    let open = "
interface GigabitEthernet0/0
 nameif outside
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
access-list anything extended permit ip any any
access-group anything in interface outside
access-group anything in interface inside
";
    for ports in [
        (1024, 40_000),
        (40_000, 1024),
        (5269, 5269),
        (50_000, 50_000),
    ] {
        for (interface, src, dst) in [(INSIDE, CLIENT, FAR), (OUTSIDE, FAR, CLIENT)] {
            let mut bench = Bench::new(open);
            establish(
                &mut bench,
                interface,
                &tuple(TCP, src, ports.0, dst, ports.1),
            );
            let told = |bench: &Bench| {
                let conn = bench.path.conns().iter().next().expect("a connection");
                (conn.inbound, conn.real())
            };
            let before = told(&bench);
            assert_eq!(
                bench.restart(open),
                Adopted {
                    conns: 1,
                    removed: 0
                }
            );
            assert_eq!(told(&bench), before);
        }
    }
}

#[test]
fn ports_of_connections_taken_over_are_not_given_out_again() {
    let mut bench = Bench::new(CONFIG);
    establish(&mut bench, INSIDE, &tuple(TCP, CLIENT, 40000, FAR, 443));
    bench.restart(CONFIG);
    let other = tuple(TCP, [10, 0, 0, 8], 40000, FAR, 443);
    let answer = establish(&mut bench, INSIDE, &other);
    assert_ne!(answer.dport, 40000);
    assert_eq!(bench.path.conns().len(), 2);
}

#[test]
fn a_connection_taken_over_ends_as_any_other() {
    let mut bench = Bench::new(CONFIG);
    let out = tuple(TCP, CLIENT, 40000, FAR, 443);
    let back = establish(&mut bench, INSIDE, &out);
    bench.restart(CONFIG);
    let fin = tcp_flags::FIN | ACK;
    bench.receive(INSIDE, &frame(&out, fin, 64));
    bench.receive(OUTSIDE, &frame(&back, fin, 64));
    bench.pass(Time::from_secs(70));
    assert!(
        bench.path.conns().is_empty() && bench.path.xlates().is_empty() && bench.entries.is_empty()
    );
    assert_eq!((bench.logged("TCP FINs"), bench.logged("305012")), (1, 1));
    let bytes = 5 * frame(&out, ACK, 64).len();
    assert_eq!(
        bench.logged(&format!("bytes {bytes} ")),
        1,
        "{:?}",
        bench.log
    );
}

#[test]
fn the_time_without_a_runtime_is_no_idle_time() {
    let mut bench = Bench::new(CONFIG);
    let query = tuple(UDP, CLIENT, 5000, FAR, 53);
    bench
        .receive(INSIDE, &frame(&query, 0, 64))
        .expect("punted");
    bench.pass(Time::from_secs(60));
    // Nobody writes the epoch for a long time. UDP may be idle for two minutes.
    bench.now += Time::from_secs(1000);
    bench.restart(CONFIG);
    let conn = bench.path.conns().iter().next().expect("taken over");
    assert_eq!(bench.now - conn.last, Time::from_secs(60));
    bench.pass(Time::from_secs(50));
    assert_eq!(bench.path.conns().len(), 1);
    bench.pass(Time::from_secs(75));
    assert_eq!(bench.path.conns().len(), 0);
}

#[test]
fn what_the_configuration_no_longer_permits_is_removed() {
    let mut bench = Bench::new(CONFIG);
    establish(&mut bench, INSIDE, &tuple(TCP, CLIENT, 40000, FAR, 443));
    establish(&mut bench, OUTSIDE, &tuple(TCP, FAR, 50000, MAPPED, 5062));
    let stricter = CONFIG.replace("permit tcp any host 10.0.0.2 eq 5061", "deny tcp any any");
    assert_eq!(
        bench.restart(&stricter),
        Adopted {
            conns: 1,
            removed: 2
        }
    );
    assert_eq!((bench.entries.len(), bench.path.conns().len()), (2, 1));
}

#[test]
fn what_the_configuration_translates_otherwise_is_removed() {
    let mut bench = Bench::new(CONFIG);
    establish(&mut bench, INSIDE, &tuple(TCP, CLIENT, 40000, FAR, 443));
    establish(&mut bench, OUTSIDE, &tuple(TCP, FAR, 50000, MAPPED, 5062));
    let other = CONFIG.replace("dynamic 192.0.2.10", "dynamic 192.0.2.11");
    assert_eq!(
        bench.restart(&other),
        Adopted {
            conns: 1,
            removed: 2
        }
    );
    assert!(bench.path.xlates().is_empty());
    let other = CONFIG.replace("service tcp 5061 5062", "service tcp 5061 5063");
    assert_eq!(
        bench.restart(&other),
        Adopted {
            conns: 0,
            removed: 2
        }
    );
    assert!(bench.entries.is_empty());
}

#[test]
fn half_a_connection_is_removed() {
    let mut bench = Bench::new(CONFIG);
    establish(&mut bench, INSIDE, &tuple(TCP, CLIENT, 40000, FAR, 443));
    bench.entries.pop_first();
    assert_eq!(
        bench.restart(CONFIG),
        Adopted {
            conns: 0,
            removed: 1
        }
    );
    assert!(bench.entries.is_empty() && bench.path.xlates().is_empty());
}

#[test]
fn flows_that_shared_a_next_hop_part_when_the_routes_say_so() {
    let routes = |second: &str| {
        format!(
            "{CONFIG}route inside 10.1.1.0 255.255.255.0 10.0.0.3\nroute inside 10.1.2.0 255.255.255.0 {second}\n"
        )
    };
    let mut bench = Bench::new(&routes("10.0.0.3"));
    let [one, two] = [1, 2].map(|net| tuple(UDP, [10, 1, net, 9], 5000, FAR, 53));
    for out in [&one, &two] {
        bench.receive(INSIDE, &frame(out, 0, 64)).expect("punted");
    }
    let next_hops = |bench: &Bench| {
        [one, two].map(|out| {
            let back = out.reply().expect("udp").key(OUTSIDE).pack();
            bench.entries[&back].0.adjacency
        })
    };
    let [before, same] = next_hops(&bench);
    assert_eq!(before, same);
    assert_eq!(
        bench.restart(&routes("10.0.0.4")),
        Adopted {
            conns: 2,
            removed: 0
        }
    );
    let [one, two] = next_hops(&bench);
    assert_ne!(one, two);
    assert!([one, two].contains(&before));
}

#[test]
fn connections_that_the_host_forwards_are_taken_over_too() {
    let both_ends = format!(
        "{CONFIG}
object network far_real
 host 198.51.100.7
object network far_mapped
 host 10.0.0.77
object network client
 host 10.0.0.9
object network client_mapped
 host 192.0.2.99
nat (inside,outside) source static client client_mapped destination static far_mapped far_real
"
    );
    let mut bench = Bench::new(&both_ends);
    let out = tuple(TCP, CLIENT, 40000, [10, 0, 0, 77], 443);
    let back = establish(&mut bench, INSIDE, &out);
    assert!(bench.entries.values().all(|(entry, _)| entry.punt));
    assert_eq!(
        bench.restart(&both_ends),
        Adopted {
            conns: 1,
            removed: 0
        }
    );
    let report = bench
        .receive(OUTSIDE, &frame(&back, ACK, 64))
        .expect("punted");
    assert_eq!(report.reason, "host-forwarded");
    assert_eq!(Some(bench.last().1.tuple), out.reply());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_set_of_connections_survives_restarts(
        opens in proptest::collection::btree_set((0..3u8, 2..6u8, 1024..1040u16, 0..3u16), 1..40)
    ) {
        let mut bench = Bench::new(CONFIG);
        for (kind, host, port, service) in opens {
            let inside = [10, 0, 0, host];
            let (interface, first, flags) = match kind {
                0 => (INSIDE, tuple(TCP, inside, port, FAR, 443 + service), SYN),
                1 => (INSIDE, tuple(UDP, inside, port, FAR, 53 + service), 0),
                _ => (INSIDE, tuple(ICMP, inside, port, FAR, 0x0800), 0),
            };
            bench.receive(interface, &frame(&first, flags, 64));
        }
        let dial = tuple(TCP, FAR, 50000, MAPPED, 5062);
        bench.receive(OUTSIDE, &frame(&dial, SYN, 64));
        let (conns, xlates, on_card) = (bench.path.conns().len(), bench.path.xlates().len(), entries(&bench));
        for _ in 0..2 {
            prop_assert_eq!(bench.restart(CONFIG), Adopted { conns, removed: 0 });
            prop_assert_eq!((bench.path.conns().len(), bench.path.xlates().len()), (conns, xlates));
            prop_assert_eq!(entries(&bench), on_card.clone());
        }
        bench.pass(Time::from_secs(4000));
        prop_assert!(bench.path.conns().is_empty() && bench.path.xlates().is_empty() && bench.entries.is_empty());
    }

    #[test]
    fn any_entries_at_all_are_taken_over_or_removed(words in proptest::collection::vec(prop::array::uniform6(any::<u32>()), 0..60), adjacencies in proptest::collection::vec(any::<[u32; 2]>(), 0..256)) {
        let mut bench = Bench::new(CONFIG);
        for words in words {
            let mut entry = layout::table::FlowEntry::unpack(&words);
            entry.valid = true;
            // So that some are on interfaces that exist.
            entry.interface &= 3;
            bench.entries.insert(entry.key().pack(), (entry, layout::table::FlowStats::unpack(&words)));
        }
        for (index, words) in adjacencies.iter().enumerate() {
            bench.adjacencies.insert(index as u8, layout::table::Adjacency::unpack(words));
        }
        let found = bench.entries.len();
        let adopted = bench.restart(CONFIG);
        prop_assert_eq!(bench.entries.len(), found - adopted.removed);
        bench.pass(Time::from_secs(40_000));
        prop_assert!(bench.path.conns().is_empty() && bench.entries.is_empty());
    }
}
