//! Steps 17 to 22: flows, destinations and the ACL.

use layout::csr;
use layout::desc::{NO_ACE, NO_DESTINATION, Reason};
use layout::hash::flow_index;
use layout::table::{
    ACL_SLOTS, AclEntry, DESTINATIONS, Destination, FLOW_WAY_ENTRIES, FlowAction, FlowEntry,
    FlowStats, Key, Table,
};
use sim::frame::{Frame, Transport};
use sim::{Access, Card};

use crate::{Bench, MAC_1, OUTSIDE, any, forward, syn, syn_key, with};

#[test]
fn flow_hit_is_found_in_every_way_and_in_the_stash() {
    for way in 0..=4 {
        let mut bench = Bench::new();
        let slot = bench.flow(way, syn_key(), forward());
        let outcome = bench.receive(0, &syn().build());
        assert_eq!(
            (outcome.reason, usize::from(outcome.metadata.flow)),
            (Reason::FlowHit, slot)
        );
        assert_eq!(
            (outcome.metadata.ace, outcome.metadata.destination),
            (NO_ACE, NO_DESTINATION)
        );
        for change in 0..6 {
            let mut frame = syn();
            let mut port = 0;
            match change {
                0 => frame.src ^= 1,
                1 => frame.dst ^= 1 << 31,
                2 => frame.transport = Transport::tcp(40_001, 443, 2),
                3 => frame.transport = Transport::tcp(40_000, 442, 2),
                4 => {
                    frame.transport = Transport::Udp {
                        sport: 40_000,
                        dport: 443,
                    }
                }
                _ => (port, frame.destination) = (1, MAC_1),
            }
            assert_eq!(
                bench.receive(port, &frame.build()).reason,
                Reason::FlowMiss,
                "change {change}"
            );
        }
    }
}

#[test]
fn lowest_way_wins_and_a_misplaced_entry_is_not_found() {
    let mut bench = Bench::new();
    bench.flow(4, syn_key(), forward());
    let high = bench.flow(3, syn_key(), forward());
    assert_eq!(
        usize::from(bench.receive(0, &syn().build()).metadata.flow),
        high
    );
    let low = bench.flow(
        1,
        syn_key(),
        FlowAction {
            punt: true,
            ..forward()
        },
    );
    let outcome = bench.receive(0, &syn().build());
    assert_eq!(
        (outcome.reason, usize::from(outcome.metadata.flow)),
        (Reason::FlowPunt, low)
    );

    let mut bench = Bench::new();
    let elsewhere = (flow_index(2, &syn_key()) + 1) % FLOW_WAY_ENTRIES;
    let entry = FlowEntry::new(syn_key(), forward());
    bench
        .card
        .write_entry(Table::Flow, 2 * FLOW_WAY_ENTRIES + elsewhere, &entry.pack());
    assert_eq!(bench.reason(&syn().build()), Reason::FlowMiss);
}

#[test]
fn hit_without_a_usable_way_out_is_punted() {
    let mut bench = Bench::new();
    for (adjacency, reason) in [
        (0, Reason::NoAdjacency), // never written
        (3, Reason::NoAdjacency), // interface not valid
        (4, Reason::NoAdjacency), // no such interface
        (2, Reason::FlowPunt),    // egress tagged, packet not
        (1, Reason::FlowHit),
    ] {
        let slot = bench.flow(
            0,
            syn_key(),
            FlowAction {
                adjacency,
                ..forward()
            },
        );
        let outcome = bench.receive(0, &syn().build());
        assert_eq!(
            (outcome.reason, usize::from(outcome.metadata.flow)),
            (reason, slot)
        );
        assert_eq!(
            bench.stats(slot).packets,
            1,
            "counted whatever becomes of it"
        );
    }
}

#[test]
fn stats_count_packets_bytes_stamp_and_closing_flags() {
    let mut bench = Bench::new();
    let slot = bench.flow(0, syn_key(), forward());
    bench.card.bar_write(csr::EPOCH, 0x1a5);
    let frame = syn().build();
    bench.receive(0, &frame);
    let expected = FlowStats {
        packets: 1,
        bytes: frame.len() as u64,
        stamp: 0xa5,
        fin: false,
        rst: false,
    };
    assert_eq!(bench.stats(slot), expected);
    bench.receive(
        0,
        &with(|f| f.transport = Transport::tcp(40_000, 443, 0x11)),
    );
    assert!(bench.stats(slot).fin && !bench.stats(slot).rst);
    bench.receive(
        0,
        &with(|f| f.transport = Transport::tcp(40_000, 443, 0x04)),
    );
    let stats = bench.stats(slot);
    assert!(stats.fin && stats.rst && stats.packets == 3);
    bench.flow(0, syn_key(), forward());
    assert_eq!(
        bench.stats(slot),
        FlowStats::default(),
        "a write clears them"
    );
}

#[test]
fn closing_flags_are_tcp_only() {
    let mut bench = Bench::new();
    // A UDP payload where a TCP header would have its flags.
    let key = Key {
        proto: 17,
        ..syn_key()
    };
    let slot = bench.flow(0, key, forward());
    let transport = Transport::Udp {
        sport: 40_000,
        dport: 443,
    };
    assert_eq!(
        bench.reason(&with(
            |f| (f.transport, f.payload) = (transport, vec![0xff; 40])
        )),
        Reason::FlowHit
    );
    assert!(!bench.stats(slot).fin && !bench.stats(slot).rst);
}

#[test]
fn hold_punts_before_destination_and_acl_but_not_before_flows() {
    let mut bench = Bench::new();
    let control = bench.card.bar_read(csr::CONTROL);
    bench
        .card
        .bar_write(csr::CONTROL, control | csr::CONTROL_HOLD);
    let local = Destination {
        valid: true,
        local: true,
        ..Destination::default()
    };
    bench.destination(0, &local);
    let outcome = bench.receive(0, &syn().build());
    assert_eq!(
        (outcome.reason, outcome.metadata.destination),
        (Reason::PolicyHold, NO_DESTINATION)
    );
    assert_eq!(bench.hits(10), 0);
    bench.flow(0, syn_key(), forward());
    assert_eq!(bench.reason(&syn().build()), Reason::FlowHit);
}

#[test]
fn lowest_matching_destination_of_the_live_bank_wins() {
    let mut bench = Bench::new();
    let exact = Destination {
        valid: true,
        interface: OUTSIDE,
        interface_mask: 0xf,
        proto: 6,
        proto_mask: 0xff,
        dst: 0xc000_0202,
        dst_mask: u32::MAX,
        dport: 443,
        dport_mask: u16::MAX,
        local: true,
        ..Destination::default()
    };
    for other in [
        Destination {
            interface: 1,
            ..exact
        },
        Destination { proto: 17, ..exact },
        Destination {
            dst: 0xc000_0203,
            ..exact
        },
        Destination {
            dport: 442,
            ..exact
        },
        Destination {
            valid: false,
            ..exact
        },
    ] {
        bench.destination(3, &other);
        assert_eq!(
            bench.receive(0, &syn().build()).metadata.destination,
            NO_DESTINATION
        );
    }
    bench.destination(143, &exact);
    let outcome = bench.receive(0, &syn().build());
    assert_eq!(
        (
            outcome.reason,
            outcome.metadata.destination,
            outcome.metadata.ace
        ),
        (Reason::Local, 143, NO_ACE)
    );
    bench.destination(7, &exact);
    assert_eq!(bench.receive(0, &syn().build()).metadata.destination, 7);
    bench.card.bar_write(csr::POLICY, 2);
    assert_eq!(bench.receive(0, &syn().build()).reason, Reason::FlowMiss);
    bench.destination(DESTINATIONS + 9, &exact);
    assert_eq!(
        bench.receive(0, &syn().build()).metadata.destination,
        9,
        "index within the bank"
    );
}

#[test]
fn acl_sees_the_real_destination_and_the_frame_does_not_change() {
    let mut bench = Bench::new();
    let real = Destination {
        valid: true,
        dst: 0xc000_0200,
        dst_mask: 0xffff_ff00,
        address: 0x0a01_0100,
        address_keep: 0x0000_00ff,
        l4_port: 0x2000,
        l4_port_keep: 0x00ff,
        ..Destination::default()
    };
    bench.destination(0, &real);
    // 192.0.2.2:443 = 0x1bb is really 10.1.1.2:0x20bb.
    let rule = |dport| AclEntry {
        dst: 0x0a01_0102,
        dst_mask: u32::MAX,
        dport_low: dport,
        dport_high: dport,
        ..any(true)
    };
    bench.acl(10, &rule(0x20bb));
    let frame = syn().build();
    let outcome = bench.receive(0, &frame);
    assert_eq!(
        (
            outcome.reason,
            outcome.metadata.destination,
            outcome.metadata.ace
        ),
        (Reason::FlowMiss, 0, 10)
    );
    assert_eq!(bench.card.pop_punt().unwrap().1, frame);
    bench.acl(10, &rule(443));
    let outcome = bench.receive(0, &frame);
    assert_eq!(
        (
            outcome.reason,
            outcome.metadata.destination,
            outcome.metadata.ace
        ),
        (Reason::AclImplicitDeny, 0, NO_ACE)
    );
    // A protocol without ports keeps port zero.
    bench.acl(10, &rule(0));
    let other = Frame {
        transport: Transport::Other(47),
        ..syn()
    };
    assert_eq!(bench.reason(&other.build()), Reason::FlowMiss);
}

#[test]
fn acl_ranges_hold_at_both_ends() {
    let mut bench = Bench::new();
    bench.acl(
        10,
        &AclEntry {
            sport_low: 100,
            sport_high: 200,
            dport_low: 300,
            dport_high: 300,
            ..any(true)
        },
    );
    for (sport, dport, is_match) in [
        (100, 300, true),
        (200, 300, true),
        (99, 300, false),
        (201, 300, false),
        (150, 299, false),
        (150, 301, false),
    ] {
        let reason = if is_match {
            Reason::FlowMiss
        } else {
            Reason::AclImplicitDeny
        };
        assert_eq!(
            bench.reason(&with(|f| f.transport = Transport::tcp(sport, dport, 2))),
            reason
        );
    }
    // ICMP: identifier as source port, type and code as destination port.
    bench.acl(
        10,
        &AclEntry {
            sport_low: 9,
            sport_high: 9,
            dport_low: 0x0803,
            dport_high: 0x0803,
            ..any(true)
        },
    );
    let echo = Transport::Icmp {
        kind: 8,
        code: 3,
        identifier: 9,
    };
    assert_eq!(
        bench.reason(&with(|f| f.transport = echo)),
        Reason::FlowMiss
    );
}

#[test]
fn lowest_live_slot_wins_and_counts() {
    let mut bench = Bench::new();
    bench.acl(0, &any(false));
    bench.acl(35, &any(false));
    bench.acl(36, &any(true));
    bench.acl(ACL_SLOTS - 1, &any(false));
    for (live, ace, reason) in [
        (&[0, 10, 36][..], 0, Reason::AclDeny),
        (&[35, 36], 35, Reason::AclDeny),
        (&[36, ACL_SLOTS - 1], 36, Reason::FlowMiss),
        (&[ACL_SLOTS - 1], ACL_SLOTS - 1, Reason::AclDeny),
        (&[], usize::from(NO_ACE), Reason::AclImplicitDeny),
    ] {
        bench.live(0, live);
        let outcome = bench.receive(0, &syn().build());
        assert_eq!(
            (outcome.reason, usize::from(outcome.metadata.ace)),
            (reason, ace)
        );
    }
    assert_eq!(
        [0, 35, 36, ACL_SLOTS - 1].map(|slot| bench.hits(slot)),
        [1; 4]
    );
    bench.acl(36, &any(true));
    assert_eq!(bench.hits(36), 0, "a write clears them");
}

#[test]
fn slot_matches_nothing_until_it_is_written() {
    let mut bench = Bench::new();
    bench.live(0, &[5, 10]);
    let other = Frame {
        transport: Transport::Other(47),
        ..syn()
    };
    assert_eq!(
        bench.receive(0, &other.build()).metadata.ace,
        10,
        "zero ranges would match port zero"
    );
    bench.acl(5, &AclEntry::default());
    assert_eq!(bench.receive(0, &other.build()).metadata.ace, 5);
}

#[test]
fn policy_switches_banks_and_generation_together() {
    let mut bench = Bench::new();
    bench.acl(11, &any(false));
    bench.live(1, &[11]);
    let outcome = bench.receive(0, &syn().build());
    assert_eq!((outcome.metadata.ace, outcome.metadata.generation), (10, 0));
    bench.card.bar_write(csr::POLICY, 0x4201);
    let outcome = bench.receive(0, &syn().build());
    assert_eq!(
        (outcome.metadata.ace, outcome.metadata.generation),
        (11, 0x42)
    );
}

#[test]
fn tcp_without_connection_must_be_a_syn() {
    let mut bench = Bench::new();
    for flags in 0..=255u8 {
        let transport = Transport::tcp(1, 2, flags);
        let is_syn = flags & 0x17 == 0x02;
        let reason = if is_syn {
            Reason::FlowMiss
        } else {
            Reason::TcpNotSyn
        };
        let outcome = bench.receive(0, &with(|f| f.transport = transport));
        assert_eq!(
            (outcome.reason, outcome.metadata.ace),
            (reason, 10),
            "flags {flags:#x}"
        );
        bench.card.pop_punt();
    }
    assert_eq!(bench.hits(10), 256, "the entry matched all the same");
    bench.card.bar_write(csr::CONTROL, csr::CONTROL_ENABLE);
    assert_eq!(
        bench.reason(&with(|f| f.transport = Transport::tcp(1, 2, 0x10))),
        Reason::FlowMiss
    );
}
