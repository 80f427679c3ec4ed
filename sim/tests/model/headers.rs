//! Steps 1 to 16: what headers alone decide.

use layout::csr;
use layout::desc::{NO_INTERFACE, Reason};
use layout::table::{Interface, Table};
use sim::frame::{Checksum, Frame, Transport, internet_checksum};
use sim::{Access, Card};

use crate::{Bench, MAC_0, MAC_1, syn, with};

#[test]
fn disabled_card_drops_everything_but_direct_frames() {
    let mut bench = Bench::new();
    bench.card.bar_write(csr::CONTROL, 0);
    let outcome = bench.receive(0, &with(|f| f.tag = Some(5)));
    assert_eq!(outcome.reason, Reason::Disabled);
    assert_eq!(
        (outcome.metadata.interface, outcome.metadata.tagged),
        (NO_INTERFACE, false)
    );
    assert!(bench.card.inject(1, false, &[7; 14]));
    let outcome = bench.outcome();
    assert_eq!(
        (outcome.reason, outcome.sent),
        (Reason::HostInject, Some((1, vec![7; 14])))
    );
    assert!(bench.card.inject(1, true, &[7; 14]));
    assert_eq!(bench.outcome().reason, Reason::Disabled);
}

#[test]
fn runts_end_before_their_ethertype() {
    let mut bench = Bench::new();
    let tagged = with(|f| f.tag = Some(5));
    for (bytes, reason, is_tagged) in [
        (1, Reason::Runt, false),
        (13, Reason::Runt, false),
        (14, Reason::Runt, true),
        (17, Reason::Runt, true),
        (18, Reason::TruncatedIp, true),
    ] {
        let outcome = bench.receive(0, &tagged[..bytes]);
        assert_eq!(
            (outcome.reason, outcome.metadata.tagged),
            (reason, is_tagged),
            "{bytes} bytes"
        );
        assert_eq!(
            outcome.metadata.interface == NO_INTERFACE,
            reason == Reason::Runt
        );
    }
    assert_eq!(bench.reason(&syn().build()[..14]), Reason::TruncatedIp);
}

#[test]
fn interface_is_the_lowest_valid_one_of_port_tag_and_vlan() {
    let mut bench = Bench::new();
    let tagged = with(|f| f.tag = Some(0xe005));
    assert_eq!(bench.receive(0, &tagged).metadata.interface, 2);
    assert_eq!(
        bench
            .receive(1, &with(|f| (f.tag, f.destination) = (Some(5), MAC_1)))
            .metadata
            .interface,
        3
    );
    assert_eq!(
        bench.reason(&with(|f| f.tag = Some(4))),
        Reason::NoInterface
    );
    assert_eq!(
        bench
            .receive(0, &with(|f| f.tag = Some(4)))
            .metadata
            .interface,
        NO_INTERFACE
    );
    // A second interface for the same VLAN is never seen; without the first it is.
    let entry = Interface {
        valid: true,
        port: 0,
        tagged: true,
        vid: 5,
        mac: MAC_0,
    };
    bench.card.write_entry(Table::Interface, 6, &entry.pack());
    assert_eq!(bench.receive(0, &tagged).metadata.interface, 2);
    bench.card.write_entry(
        Table::Interface,
        2,
        &Interface {
            valid: false,
            ..entry
        }
        .pack(),
    );
    assert_eq!(bench.receive(0, &tagged).metadata.interface, 6);
    // The VLAN of an untagged interface means nothing.
    let untagged = Interface {
        valid: true,
        port: 0,
        tagged: false,
        vid: 9,
        mac: MAC_0,
    };
    bench
        .card
        .write_entry(Table::Interface, 0, &untagged.pack());
    assert_eq!(bench.receive(0, &syn().build()).metadata.interface, 0);
}

#[test]
fn unicast_to_another_station_is_dropped_unless_promiscuous() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.reason(&with(|f| f.destination = MAC_1)),
        Reason::NotOurMac
    );
    assert_eq!(
        bench.reason(&with(|f| f.destination = 0x0100_0000_0001)),
        Reason::FlowMiss,
        "group bit"
    );
    assert_eq!(
        bench.reason(&with(|f| f.destination = 0xffff_ffff_ffff)),
        Reason::FlowMiss
    );
    let control = bench.card.bar_read(csr::CONTROL);
    bench
        .card
        .bar_write(csr::CONTROL, control | csr::CONTROL_PROMISCUOUS);
    assert_eq!(
        bench.reason(&with(|f| f.destination = MAC_1)),
        Reason::FlowMiss
    );
}

#[test]
fn other_ethertypes_are_punted() {
    let mut bench = Bench::new();
    for (ethertype, reason) in [
        (0x0806, Reason::Arp),
        (0x86dd, Reason::NonIp),
        (0x88a8, Reason::NonIp),
    ] {
        assert_eq!(bench.reason(&with(|f| f.ethertype = ethertype)), reason);
        assert_eq!(
            bench.reason(&with(|f| (f.ethertype, f.tag) = (ethertype, Some(5)))),
            reason
        );
    }
    assert_eq!(
        bench.reason(&with(|f| (f.ethertype, f.tag) = (0x8100, Some(5)))),
        Reason::NonIp,
        "second tag"
    );
    assert_eq!(
        bench.reason(&with(|f| f.ethertype = 0x0806)[..14]),
        Reason::Arp,
        "nothing behind it is needed"
    );
}

#[test]
fn bad_ip_headers_are_dropped_each_for_its_reason() {
    let mut bench = Bench::new();
    let good = syn().build();
    assert_eq!(bench.reason(&good[..33]), Reason::TruncatedIp);
    assert_eq!(bench.reason(&good[..34]), Reason::TruncatedL4);
    assert_eq!(bench.reason(&with(|f| f.version = 5)), Reason::BadIpHeader);
    assert_eq!(
        bench.reason(&with(|f| f.header_words = 4)),
        Reason::BadIpHeader
    );
    assert_eq!(
        bench.reason(&with(|f| f.total_length = Some(19))),
        Reason::BadIpHeader
    );
    assert_eq!(
        bench.reason(&with(|f| f.total_length = Some(20))),
        Reason::TruncatedL4
    );
    assert_eq!(
        bench.reason(&with(|f| (f.header_words, f.total_length) = (6, Some(23)))),
        Reason::BadIpHeader
    );
    assert_eq!(
        bench.reason(&with(|f| f.ip_checksum = Checksum::Value(0x1111))),
        Reason::BadIpChecksum
    );
    assert_eq!(
        bench.reason(&with(|f| f.src = 0xe000_0000)),
        Reason::BadSource
    );
    assert_eq!(
        bench.reason(&with(|f| f.src = 0xffff_ffff)),
        Reason::BadSource
    );
    assert_eq!(
        bench.reason(&with(|f| f.src = 0xdfff_ffff)),
        Reason::FlowMiss
    );
    assert_eq!(bench.reason(&with(|f| f.src = f.dst)), Reason::Land);
}

#[test]
fn header_checksum_may_be_either_zero() {
    let mut bench = Bench::new();
    // An identification with which the rest of the header sums to all ones.
    let mut frame = syn();
    frame.identification = 0;
    frame.ip_checksum = Checksum::Value(0);
    frame.identification = internet_checksum(&frame.build()[14..34]);
    assert_eq!(internet_checksum(&frame.build()[14..34]), 0);
    assert_eq!(bench.reason(&frame.build()), Reason::FlowMiss);
    frame.ip_checksum = Checksum::Value(0xffff);
    assert_eq!(bench.reason(&frame.build()), Reason::FlowMiss);
}

#[test]
fn what_the_host_must_see_is_punted_in_order() {
    let mut bench = Bench::new();
    let options = with(|f| (f.header_words, f.ttl, f.ip_checksum) = (6, 1, Checksum::Value(0)));
    assert_eq!(
        bench.reason(&options),
        Reason::IpOptions,
        "with options the host checks the sum"
    );
    assert_eq!(
        bench.reason(&with(|f| (f.header_words, f.src) = (6, f.dst))),
        Reason::Land
    );
    assert_eq!(
        bench.reason(&with(|f| (f.fragment, f.ttl) = (0x2000, 1))),
        Reason::Fragment
    );
    assert_eq!(
        bench.reason(&with(|f| f.fragment = 0x0001)),
        Reason::Fragment
    );
    assert_eq!(
        bench.reason(&with(|f| f.fragment = 0x1fff)),
        Reason::Fragment
    );
    assert_eq!(
        bench.reason(&with(|f| f.fragment = 0xc000)),
        Reason::FlowMiss,
        "reserved and don't fragment"
    );
    assert_eq!(bench.reason(&with(|f| f.ttl = 0)), Reason::TtlExpired);
    assert_eq!(bench.reason(&with(|f| f.ttl = 1)[..40]), Reason::TtlExpired);
    assert_eq!(bench.reason(&with(|f| f.ttl = 2)), Reason::FlowMiss);
}

#[test]
fn transport_headers_must_be_whole_in_frame_and_total_length() {
    let mut bench = Bench::new();
    for (transport, header) in [
        (Transport::tcp(1, 2, 2), 20),
        (Transport::Udp { sport: 1, dport: 2 }, 8),
        (
            Transport::Icmp {
                kind: 8,
                code: 0,
                identifier: 1,
            },
            8,
        ),
    ] {
        let frame = Frame {
            transport,
            payload: vec![],
            ..syn()
        };
        let bytes = frame.build();
        assert_eq!(bytes.len(), 34 + header);
        assert_eq!(bench.reason(&bytes), Reason::FlowMiss);
        assert_eq!(bench.reason(&bytes[..33 + header]), Reason::TruncatedL4);
        let short = Frame {
            total_length: Some(19 + header as u16),
            ..frame
        };
        assert_eq!(bench.reason(&short.build()), Reason::TruncatedL4);
    }
    let other = Frame {
        transport: Transport::Other(47),
        payload: vec![],
        ..syn()
    };
    assert_eq!(bench.reason(&other.build()), Reason::FlowMiss);
    for (offset, reason) in [
        (4, Reason::BadTcpHeader),
        (5, Reason::FlowMiss),
        (15, Reason::FlowMiss),
    ] {
        let transport = Transport::Tcp {
            sport: 1,
            dport: 2,
            flags: 2,
            offset,
        };
        assert_eq!(bench.reason(&with(|f| f.transport = transport)), reason);
    }
}

#[test]
fn icmp_errors_are_punted_and_echoes_are_not() {
    let mut bench = Bench::new();
    for kind in 0..=255u8 {
        let is_error = [3, 4, 5, 11, 12].contains(&kind);
        let reason = if is_error {
            Reason::IcmpError
        } else {
            Reason::FlowMiss
        };
        let transport = Transport::Icmp {
            kind,
            code: 0,
            identifier: 9,
        };
        assert_eq!(
            bench.reason(&with(|f| f.transport = transport)),
            reason,
            "type {kind}"
        );
        bench.card.pop_punt();
    }
}
