//! Headers, next hops, verdicts and new header bytes, each in lock-step with its printed Verilog. Whole frames
//! against the contract are the business of the comparison with the model card.

mod support;

use std::collections::VecDeque;

use hdl::adjacency::{Adjacencies, Interfaces};
use hdl::decide::Decide;
use hdl::parser::{Conclude, Parser};
use hdl::record::{Judged, Origin, Ruling, Sums, Window};
use hdl::rewrite::Rewrite;
use hdl::stream::Beat;
use layout::csr::{CONTROL_DROP_NOT_SYN, CONTROL_ENABLE, CONTROL_PROMISCUOUS};
use layout::desc::{Metadata, NO_ACE, NO_FLOW, NO_INTERFACE, Reason};

use layout::table::{Adjacency, Interface, Key, Operation};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::{to_bits, to_words};
use support::random::Random;

const MAC: u64 = 0x0200_0000_0001;
const PEER: u64 = 0x0200_0000_0902;

/// One interface of each kind on each port: untagged 0 and 1, VLAN 291 on port 1.
fn interfaces() -> [Interface; 3] {
    let plain = Interface {
        valid: true,
        mac: MAC,
        ..Interface::default()
    };
    [
        plain,
        Interface { port: 1, ..plain },
        Interface {
            port: 1,
            tagged: true,
            vid: 0x123,
            ..plain
        },
    ]
}

/// An IPv4 frame of 60 bytes with a right header checksum; `edit` may break it afterwards.
fn frame(tag: Option<u16>, proto: u8, edit: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut frame = [&MAC.to_be_bytes()[2..], &PEER.to_be_bytes()[2..]].concat();
    if let Some(tag) = tag {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([8, 0]);
    let l2 = frame.len();
    frame.resize(l2 + 46, 0);
    let ip = &mut frame[l2..];
    ip[0] = 0x45;
    ip[3] = 46;
    ip[8] = 64;
    ip[9] = proto;
    ip[12..16].copy_from_slice(&[10, 0, 0, 1]);
    ip[16..20].copy_from_slice(&[192, 0, 2, 7]);
    ip[20..24].copy_from_slice(&[0x12, 0x34, 0, 80]);
    ip[32] = 0x50;
    ip[33] = 0x02;
    edit(ip);
    let sum: u32 = (0..10)
        .map(|i| u32::from(u16::from_be_bytes([ip[2 * i], ip[2 * i + 1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(folded as u16 + (folded >> 16) as u16);
    if ip[10..12] == [0, 0] {
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    frame
}

fn window(frame: &[u8], origin: Origin) -> Window {
    let mut header = Bits::<512>::default();
    for (position, byte) in frame.iter().take(64).enumerate() {
        header.set_bits(504 - 8 * position, u64::from(*byte).to_bits::<8>());
    }
    Window {
        header,
        count: (frame.len().min(64) as u64).to_bits(),
        origin,
    }
}

/// Runs one window through the parser.
fn parse(run: &mut Lockstep<Parser>, frame: &[u8], origin: Origin) -> hdl::record::Header {
    run.uut.in_data.next = window(frame, origin);
    run.uut.in_valid.next = true;
    run.tick();
    run.uut.in_valid.next = false;
    run.tick();
    run.settle();
    assert!(run.uut.out_valid.val(), "two clocks");
    let header = run.uut.out_data.val();
    run.tick();
    conclude(header)
}

/// The header as the flow table takes it on, one clock later.
fn conclude(header: hdl::record::Header) -> hdl::record::Header {
    let mut last = Conclude::default();
    last.connect_all();
    last.header.next = header;
    last.update_all();
    last.update_all();
    hdl::record::Header {
        decided: last.decided.val(),
        reason: last.reason.val(),
        ..header
    }
}

#[test]
fn the_parser_gives_key_or_reason() {
    let mut run = Lockstep::new(Parser::default(), |uut, high| uut.clock.next = high.into());
    for (index, interface) in interfaces().iter().enumerate() {
        run.uut.interface[index].next = to_bits(&interface.pack());
    }
    run.uut.control.next = u64::from(CONTROL_ENABLE).to_bits();
    run.uut.out_ready.next = true;
    let from = |port: u64| Origin {
        port: port.to_bits(),
        ..Origin::default()
    };
    for (tag, proto, interface) in [
        (None, 6, 1),
        (None, 17, 1),
        (None, 1, 1),
        (None, 47, 1),
        (Some(0x6123), 6, 2),
    ] {
        let header = parse(&mut run, &frame(tag, proto, |_| ()), from(1));
        let key = Key::unpack(&to_words(header.key));
        let (sport, dport) = match proto {
            6 | 17 => (0x1234, 80),
            1 => (0, 0x1234),
            _ => (0, 0),
        };
        let expected = Key {
            dport,
            sport,
            dst: 0xc000_0207,
            src: 0x0a00_0001,
            proto,
            interface,
        };
        assert_eq!(key, expected);
        assert!(!header.decided, "reason {:?}", header.reason);
        assert_eq!(header.tagged, tag.is_some());
        assert_eq!(
            (header.tcp, header.udp, header.icmp),
            (proto == 6, proto == 17, proto == 1)
        );
        assert_eq!(
            (header.syn, header.fin, header.rst, header.ack),
            (proto == 6, false, false, false)
        );
    }
    let tcp = |edit: fn(&mut [u8])| frame(None, 6, edit);
    let cases: [(Vec<u8>, u64, Reason); 19] = [
        (tcp(|_| ())[..13].to_vec(), 0, Reason::Runt),
        (
            frame(Some(0x123), 6, |_| ())[..17].to_vec(),
            1,
            Reason::Runt,
        ),
        (frame(Some(0x124), 6, |_| ()), 1, Reason::NoInterface),
        (frame(Some(0x123), 6, |_| ()), 0, Reason::NoInterface),
        (
            [&[2, 0, 0, 0, 0, 9], &tcp(|_| ())[6..]].concat(),
            0,
            Reason::NotOurMac,
        ),
        (
            [&tcp(|_| ())[..12], &[8, 6], &[0; 46]].concat(),
            0,
            Reason::Arp,
        ),
        (
            [&[0xff; 6], &tcp(|_| ())[6..12], &[0x86, 0xdd], &[0; 46]].concat(),
            0,
            Reason::NonIp,
        ),
        (tcp(|_| ())[..33].to_vec(), 0, Reason::TruncatedIp),
        (tcp(|ip| ip[0] = 0x65), 0, Reason::BadIpHeader),
        (tcp(|ip| ip[3] = 19), 0, Reason::BadIpHeader),
        (tcp(|ip| ip[11] = 1), 0, Reason::BadIpChecksum),
        (tcp(|ip| ip[12] = 224), 0, Reason::BadSource),
        (tcp(|ip| ip.copy_within(12..16, 16)), 0, Reason::Land),
        (tcp(|ip| ip[0] = 0x46), 0, Reason::IpOptions),
        (tcp(|ip| ip[6] = 0x20), 0, Reason::Fragment),
        (tcp(|ip| ip[8] = 1), 0, Reason::TtlExpired),
        (tcp(|ip| ip[3] = 39), 0, Reason::TruncatedL4),
        (tcp(|ip| ip[32] = 0x40), 0, Reason::BadTcpHeader),
        (frame(None, 1, |ip| ip[20] = 11), 0, Reason::IcmpError),
    ];
    for (bytes, port, reason) in cases {
        let header = parse(&mut run, &bytes, from(port));
        assert!(header.decided, "{reason:?}");
        assert_eq!(header.reason.index(), reason as usize, "{reason:?}");
        let nowhere = matches!(reason, Reason::Runt | Reason::NoInterface);
        assert_eq!(
            header.interface.index() == NO_INTERFACE.into(),
            nowhere,
            "{reason:?}"
        );
    }
    // Single bits and cut lengths of good frames: lock-step judges.
    let mut random = Random(12);
    for _ in 0..300 {
        let tag = random.chance(40).then_some(0x123);
        let mut bytes = frame(tag, [6, 17, 1, 2][random.below(4) as usize], |_| ());
        let position = random.below(bytes.len() as u64) as usize;
        bytes[position] ^= 1 << random.below(8);
        bytes.truncate(random.below(120).max(1) as usize);
        run.uut.control.next = random.below(4).to_bits();
        run.uut.in_data.next = window(
            &bytes,
            Origin {
                port: random.below(2).to_bits(),
                reinjected: random.chance(20),
                direct: random.chance(10),
            },
        );
        run.uut.in_valid.next = random.chance(80);
        run.uut.out_ready.next = random.chance(80);
        run.tick();
    }
    let promiscuous = u64::from(CONTROL_ENABLE | CONTROL_PROMISCUOUS);
    assert_eq!(promiscuous, 3, "the loop above tries every setting");
    run.compare("parser").expect("native and Verilated agree");
}

#[test]
fn a_next_hop_is_whole_whenever_it_is_written() {
    let mut run = Lockstep::new(Adjacencies::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(3);
    // Indexes asked for and not answered; what each index has held, newest last.
    let mut asked: Vec<usize> = Vec::new();
    let mut held: Vec<Vec<Adjacency>> = vec![vec![Adjacency::default()]; 4];
    let mut writing: Option<(usize, Adjacency)> = None;
    for _ in 0..1500 {
        if writing.is_none() && random.chance(60) {
            let entry = Adjacency {
                valid: true,
                interface: random.below(8) as u8,
                mac: random.bits() >> 16,
            };
            writing = Some((random.below(4) as usize, entry));
        }
        if let Some((index, entry)) = writing {
            run.uut.table_index.next = (index as u64).to_bits();
            run.uut.table_data.next = to_bits(&entry.pack());
            run.uut.table_op.next = (Operation::Write as u64).to_bits();
            if held[index].last() != Some(&entry) {
                held[index].push(entry);
            }
        }
        run.uut.table_valid.next = writing.is_some();
        let moves = random.chance(70);
        let index = random.below(4) as usize;
        run.uut.enable.next = moves;
        run.uut.index.next = (index as u64).to_bits();
        run.settle();
        if moves && asked.len() == 2 {
            let entry = Adjacency::unpack(&to_words(run.uut.entry.val()));
            assert!(
                held[asked[0]]
                    .iter()
                    .rev()
                    .take(3)
                    .any(|known| *known == entry),
                "{entry:?} is torn"
            );
        }
        if run.uut.table_done.val() {
            writing = None;
        }
        if moves {
            asked.push(index);
            if asked.len() > 2 {
                asked.remove(0);
            }
        }
        run.tick();
    }
    run.compare("adjacencies")
        .expect("native and Verilated agree");
}

#[test]
fn interfaces_show_what_was_written() {
    let mut run = Lockstep::new(Interfaces::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(3);
    for _ in 0..40 {
        let (index, value) = (random.below(8) as usize, random.bits());
        let before = run.uut.entry[index].val();
        for op in [Operation::Read, Operation::Write] {
            run.uut.table_valid.next = true;
            run.uut.table_op.next = (op as u64).to_bits();
            run.uut.table_index.next = (index as u64).to_bits();
            run.uut.table_data.next = value.to_bits();
            run.settle();
            while !run.uut.table_done.val() {
                run.tick();
            }
            if op == Operation::Read {
                assert_eq!(run.uut.table_read.val().get_bits::<64>(0), before);
            }
            run.tick();
            run.uut.table_valid.next = false;
            run.tick();
        }
        assert_eq!(run.uut.entry[index].val(), value.to_bits());
    }
    run.compare("interfaces")
        .expect("native and Verilated agree");
}

/// A packet with random findings.
fn judged(random: &mut Random) -> Judged {
    let hit = random.chance(50);
    Judged {
        key: to_bits(
            &[u32::MAX, u32::MAX, u32::MAX, 0xfff].map(|mask| random.bits() as u32 & mask),
        ),
        decided: !hit && random.chance(30),
        reason: (Reason::ALL[random.below(Reason::ALL.len() as u64) as usize] as u64).to_bits(),
        tcp: random.chance(50),
        udp: random.chance(50),
        icmp: random.chance(20),
        fin: random.chance(20),
        syn: random.chance(80),
        rst: random.chance(20),
        ack: random.chance(20),
        ip_checksum: (random.bits() & 0xffff).to_bits(),
        l4_checksum: if random.chance(20) {
            0.into()
        } else {
            (random.bits() & 0xffff).to_bits()
        },
        tagged: random.chance(40),
        queue: random.below(4).to_bits(),
        port: random.below(2).to_bits(),
        interface: random.below(8).to_bits(),
        reinjected: random.chance(20),
        direct: random.chance(10),
        hit,
        flow: if hit {
            random.below(4104).to_bits()
        } else {
            u64::from(NO_FLOW).to_bits()
        },
        action: (random.bits() >> 4).to_bits(),
        hold: random.chance(10),
        acl_bank: random.chance(50),
        destination_bank: random.chance(50),
        generation: random.below(256).to_bits(),
        destination: random.below(144).to_bits(),
        local: random.chance(10),
        ace: if random.chance(30) {
            u64::from(NO_ACE).to_bits()
        } else {
            random.below(1152).to_bits()
        },
        permit: random.chance(50),
        searches: random.chance(50),
    }
}

#[test]
fn verdicts_come_in_order_and_match_their_reasons() {
    let mut run = Lockstep::new(Decide::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(21);
    for (index, interface) in interfaces().iter().enumerate() {
        run.uut.interface[index].next = to_bits(&interface.pack());
    }
    run.uut.control.next = u64::from(CONTROL_ENABLE | CONTROL_DROP_NOT_SYN).to_bits();
    for index in 0..16_u64 {
        let entry = Adjacency {
            valid: index != 3,
            interface: index as u8 % 5,
            mac: random.bits() >> 16,
        };
        run.uut.table_valid.next = true;
        run.uut.table_op.next = (Operation::Write as u64).to_bits();
        run.uut.table_index.next = index.to_bits();
        run.uut.table_data.next = to_bits(&entry.pack());
        run.settle();
        while !run.uut.table_done.val() {
            run.tick();
        }
        run.tick();
        run.uut.table_valid.next = false;
        run.tick();
    }
    let mut waiting = VecDeque::new();
    let mut offered = None;
    let mut forwarded = 0;
    for _ in 0..900 {
        let packet = *offered.get_or_insert_with(|| {
            let mut packet = judged(&mut random);
            // One of the sixteen adjacencies written.
            packet.action.set_bits(8, Bits::<4>::default());
            packet
        });
        run.uut.in_data.next = packet;
        run.uut.in_valid.next = true;
        run.uut.out_ready.next = random.chance(75);
        run.settle();
        if run.uut.in_ready.val() {
            waiting.push_back(packet);
            offered = None;
        }
        if run.uut.out_valid.val() && run.uut.out_ready.val() {
            let packet: Judged = waiting
                .pop_front()
                .expect("nothing leaves that did not enter");
            let ruling = run.uut.out_ruling.val();
            let reason = Reason::from_code(ruling.reason.index() as u8).expect("a reason");
            assert_eq!(ruling.verdict.index(), reason.verdict() as usize);
            assert_eq!(ruling.rewrite, packet.hit && reason == Reason::FlowHit);
            assert_eq!(ruling.counts, packet.hit);
            assert_eq!(ruling.flow, packet.flow);
            let metadata = Metadata::unpack(&to_words(ruling.metadata));
            assert_eq!(
                u64::from(metadata.queue),
                packet.queue.to_u64(),
                "{packet:?}"
            );
            if packet.decided {
                assert_eq!(ruling.reason, packet.reason);
            }
            forwarded += u32::from(ruling.rewrite);
        }
        run.tick();
    }
    assert!(forwarded > 20, "{forwarded} forwarded");
    run.compare("decide").expect("native and Verilated agree");
}

#[test]
fn only_the_headers_of_forwarded_frames_change() {
    let mut run = Lockstep::new(Rewrite::<64, 8, 8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(33);
    let mut sent: VecDeque<(Bits<64>, u64, bool)> = VecDeque::new();
    for _ in 0..60 {
        let (tcp, udp, icmp) = [
            (true, false, false),
            (false, true, false),
            (false, false, true),
            (false, false, false),
        ][random.below(4) as usize];
        let rewrite = random.chance(70);
        let source = rewrite && random.chance(40);
        let ruling = Ruling {
            reason: random.below(46).to_bits(),
            rewrite,
            tagged: random.chance(40),
            destination_mac: (random.bits() >> 16).to_bits(),
            source_mac: (random.bits() >> 16).to_bits(),
            vid: random.below(4096).to_bits(),
            translate_source: source,
            translate_destination: rewrite && !source && random.chance(60),
            address: (random.bits() >> 32).to_bits(),
            l4_port: random.below(0x1_0000).to_bits(),
            counts: random.chance(50),
            tcp,
            udp,
            icmp,
            ..Ruling::default()
        };
        run.uut.ruling.next = ruling;
        let l4 = [random.below(0x1_0007), 0xffff][random.below(2) as usize];
        run.uut.sums.next = Sums {
            ip: random.below(0x1_0007).to_bits(),
            l4: l4.to_bits(),
            keep_l4: random.chance(30),
            zero_l4: l4 == 0xffff,
        };
        run.uut.ruling_valid.next = true;
        let beats = 1 + random.below(14);
        let mut beat = 0;
        while beat < beats {
            let data = random.bits();
            run.uut.in_valid.next = random.chance(80);
            run.uut.in_beat.next = Beat {
                data: data.to_bits(),
                keep: 0xff_u64.to_bits(),
                last: beat + 1 == beats,
            };
            run.uut.out_ready.next = random.chance(80);
            run.settle();
            if run.uut.out_valid.val() && run.uut.out_ready.val() {
                let (data, position, rewrite) =
                    sent.pop_front().expect("nothing leaves that did not enter");
                let out = run.uut.out_beat.val();
                assert_eq!(
                    run.uut.out_route.val().length.index() as u64,
                    8 * (position + 1)
                );
                if !rewrite || position >= 8 {
                    assert_eq!(out.data, data, "beat {position}");
                } else if position == 0 {
                    assert_ne!(out.data, data, "a new MAC address");
                }
            }
            if run.uut.in_valid.val() && run.uut.in_ready.val() {
                sent.push_back((data.to_bits(), beat, ruling.rewrite));
            }
            beat += u64::from(run.uut.in_valid.val() && run.uut.in_ready.val());
            run.tick();
        }
    }
    run.compare("rewrite").expect("native and Verilated agree");
}
