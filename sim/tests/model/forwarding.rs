//! What a flow changes in a frame.

use layout::desc::Reason;
use layout::table::{FlowAction, Interface, Key, Table};
use sim::Access;
use sim::frame::{Checksum, Frame, Transport, internet_checksum};

use crate::{Bench, INSIDE_5, MAC_1, NEXT_HOP, forward, syn, syn_key};

/// Sends a frame through a flow and gives what left; the flow is removed again.
fn through(bench: &mut Bench, frame: &Frame, key: Key, action: FlowAction) -> Vec<u8> {
    let slot = bench.flow(0, key, action);
    let outcome = bench.receive(0, &frame.build());
    assert_eq!(outcome.reason, Reason::FlowHit);
    bench.card.write_entry(Table::Flow, slot, &[0; 8]);
    let (port, bytes) = outcome.sent.unwrap();
    assert_eq!(port, 1);
    bytes
}

#[test]
fn forwarding_changes_macs_and_vlan_and_nothing_else_without_translation() {
    let mut bench = Bench::new();
    let frame = syn();
    let expected = Frame {
        destination: NEXT_HOP,
        source: MAC_1,
        ..frame.clone()
    };
    assert_eq!(
        through(&mut bench, &frame, syn_key(), forward()),
        expected.build()
    );
    let tagged = Frame {
        tag: Some(0xb005),
        ..frame
    };
    let entry = Interface {
        valid: true,
        port: 1,
        tagged: true,
        vid: 0x7fe,
        mac: MAC_1,
    };
    bench
        .card
        .write_entry(Table::Interface, usize::from(INSIDE_5), &entry.pack());
    let sent = through(
        &mut bench,
        &tagged,
        Key {
            interface: 2,
            ..syn_key()
        },
        FlowAction {
            adjacency: 2,
            ..forward()
        },
    );
    let expected = Frame {
        destination: NEXT_HOP,
        source: MAC_1,
        tag: Some(0xb7fe),
        ..tagged
    };
    assert_eq!(sent, expected.build(), "priority bits stay");
}

#[test]
fn translation_gives_what_a_sender_with_those_addresses_would_have_sent() {
    let mut bench = Bench::new();
    let mut random = 1u64;
    for round in 0..300u32 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (address, l4_port) = ((random >> 16) as u32, (random >> 48) as u16);
        let is_source = round % 2 == 0;
        let transport = |port: Option<u16>| {
            let (sport, dport) = if is_source {
                (port.unwrap_or(40_000), 443)
            } else {
                (40_000, port.unwrap_or(443))
            };
            match round % 4 {
                0 | 1 => Transport::tcp(sport, dport, 2),
                2 => Transport::Udp { sport, dport },
                _ => Transport::Icmp {
                    kind: 8,
                    code: 0,
                    identifier: port.unwrap_or(40_000),
                },
            }
        };
        let frame = Frame {
            transport: transport(None),
            identification: random as u16,
            ..syn()
        };
        let key = match round % 4 {
            3 => Key {
                proto: 1,
                dport: 0x0800,
                ..syn_key()
            },
            _ => Key {
                proto: frame.transport.proto(),
                ..syn_key()
            },
        };
        let action = FlowAction {
            translate_source: is_source,
            translate_destination: !is_source,
            address,
            l4_port,
            ..forward()
        };
        let mut expected = Frame {
            destination: NEXT_HOP,
            source: MAC_1,
            transport: transport(Some(l4_port)),
            ..frame.clone()
        };
        *(if is_source {
            &mut expected.src
        } else {
            &mut expected.dst
        }) = address;
        assert_eq!(
            through(&mut bench, &frame, key, action),
            expected.build(),
            "round {round}"
        );
    }
}

#[test]
fn udp_checksum_zero_stays_zero_and_none_becomes_zero() {
    let mut bench = Bench::new();
    let key = Key {
        proto: 17,
        ..syn_key()
    };
    let action = FlowAction {
        translate_source: true,
        address: 0x0102_0304,
        l4_port: 0x0506,
        ..forward()
    };
    let frame = |checksum| Frame {
        transport: Transport::Udp {
            sport: 40_000,
            dport: 443,
        },
        l4_checksum: Checksum::Value(checksum),
        ..syn()
    };
    let checksum = |bytes: &[u8]| u16::from_be_bytes([bytes[40], bytes[41]]);
    assert_eq!(checksum(&through(&mut bench, &frame(0), key, action)), 0);
    // RFC 1624 eq. 3 gives zero when HC is the folded sum of ~m + m' itself.
    let words = [(0x0a00u16, 0x0102u16), (0x0002, 0x0304), (40_000, 0x0506)];
    let sum: u32 = words
        .iter()
        .map(|(old, new)| u32::from(!old) + u32::from(*new))
        .sum();
    let folded = ((sum & 0xffff) + (sum >> 16)) as u16;
    assert_eq!(
        checksum(&through(&mut bench, &frame(folded), key, action)),
        0xffff
    );
    assert_eq!(
        checksum(&through(&mut bench, &frame(folded - 1), key, action)),
        0xfffe
    );
}

#[test]
fn tcp_and_ip_checksums_may_become_zero() {
    let mut bench = Bench::new();
    let action = FlowAction {
        translate_destination: true,
        address: 0xc000_0203,
        l4_port: 443,
        ..forward()
    };
    // Only the address grows by one: a checksum of one becomes zero.
    let frame = Frame {
        l4_checksum: Checksum::Value(1),
        ..syn()
    };
    let sent = through(&mut bench, &frame, syn_key(), action);
    assert_eq!(sent[50..52], [0, 0]);
    assert_eq!(
        internet_checksum(&sent[14..34]),
        0,
        "the header sum stays right"
    );
}

#[test]
fn other_protocols_keep_their_payload_and_both_translations_mean_source() {
    let mut bench = Bench::new();
    let frame = Frame {
        transport: Transport::Other(47),
        payload: vec![0x55; 40],
        ..syn()
    };
    let key = Key {
        proto: 47,
        sport: 0,
        dport: 0,
        ..syn_key()
    };
    let action = FlowAction {
        translate_source: true,
        translate_destination: true,
        address: 0x0909_0909,
        l4_port: 7,
        ..forward()
    };
    let expected = Frame {
        destination: NEXT_HOP,
        source: MAC_1,
        src: 0x0909_0909,
        ..frame.clone()
    };
    assert_eq!(through(&mut bench, &frame, key, action), expected.build());
}
