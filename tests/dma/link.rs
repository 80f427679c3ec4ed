//! Random packets of the link, legal and illegal, between and upon the traffic of the rings: whatever comes, the card
//! keeps to the specification, answers its host, and serves its rings again after a reset of the function.

use layout::csr;
use layout::table::PUNT_QUEUES;
use sim::root_complex::{BAR0_ADDRESS, CARD_ID, PEER_ID, Settings};
use sim::tlp::{Completion, Request, Status, Tlp};
use sim::{Access, Card, Function, Verilated};

use crate::host::{Bench, ON};
use crate::random::Random;

const ROUNDS: u64 = 60;
const PACKETS: usize = 40;

/// A packet that some device could send.
fn legal(random: &mut Random) -> Tlp {
    let dwords = random.pick(&[1, 1, 1, 2, 3, 16, 32]);
    let offset = 4 * random.below(csr::BAR0_BYTES / 4 - dwords) as u64;
    let whole = Request::whole(PEER_ID, random.next() as u8, BAR0_ADDRESS + offset, dwords);
    let request = Request {
        first_enable: match random.percent(20) {
            true => random.below(16) as u8,
            false => whole.first_enable,
        },
        ..whole
    };
    let is_poisoned = random.percent(10);
    match random.below(4) {
        0 => Tlp::MemoryRead {
            request,
            dwords: dwords as u16,
        },
        1 => Tlp::Completion(Completion {
            completer: PEER_ID,
            status: random.pick(&[Status::Successful, Status::Unsupported, Status::Aborted]),
            byte_count: random.below(4096) as u16,
            requester: CARD_ID,
            tag: random.below(40) as u8,
            lower_address: random.below(128) as u8,
            data: vec![0xc3; 4 * dwords],
            is_poisoned,
        }),
        _ => Tlp::MemoryWrite {
            request,
            data: (0..4 * dwords).map(|_| random.next() as u8).collect(),
            is_poisoned,
        },
    }
}

/// A packet that no device should send.
fn spoil(random: &mut Random, packet: &mut Vec<u32>) {
    match random.below(5) {
        0 => packet[0] ^= 1 << random.below(32),
        1 => packet[0] = packet[0] & !0x3ff | random.below(1024) as u32,
        2 => packet.truncate(random.between(1, packet.len())),
        3 => packet.extend((0..random.between(1, 20)).map(|word| word as u32)),
        _ => {
            let word = random.below(packet.len());
            packet[word] = random.next() as u32;
        }
    }
}

fn arp(n: u8) -> Vec<u8> {
    let mut frame = vec![n; 60];
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    frame
}

/// Frames both ways, once the host has started again.
fn serves(bench: &mut Bench<Verilated>, round: u8) {
    bench.card.function_reset();
    bench.settle();
    while bench.card.pop_punt().is_some() {}
    while bench.card.next_record().is_some() {}
    bench.set_up_core();
    bench.set_up_rings([2; PUNT_QUEUES], 2);
    bench.memory.interrupts();
    for n in 0..4 {
        bench.card.feed(0, &arp(round ^ n));
        bench.memory.describe(n.into(), 1, false, &[round ^ n; 61]);
    }
    bench.inject_to(4);
    assert_eq!(bench.memory.tails(), [4, 0, 0, 0]);
    assert_eq!(bench.memory.status().inject_head, 4);
    for n in 0..4 {
        assert_eq!(bench.memory.punted(0, n.into()).1, arp(round ^ n));
    }
    let left: Vec<_> = std::iter::from_fn(|| bench.card.next_record())
        .filter_map(|record| match record.body {
            sim::Body::Frame(frame) => Some(frame),
            sim::Body::Verdict { .. } => None,
        })
        .collect();
    let expected: Vec<_> = (0..4).map(|n| vec![round ^ n; 61]).collect();
    assert_eq!(left, expected);
    let interrupts = bench.memory.interrupts();
    assert!(interrupts.contains(&0) && interrupts.contains(&csr::VECTOR_INJECT));
    assert_eq!(bench.card.fault(), None);
}

/// What the counters from `PUNT_RING_FULL` on have counted.
fn counted(bench: &mut Bench<Verilated>) -> [u64; 9] {
    bench.card.bar_read(csr::MAGIC);
    std::array::from_fn(|n| bench.card.counter(csr::PUNT_RING_FULL + n as u32))
}

#[test]
fn every_counter_of_rings_and_link_counts_what_it_says_and_nothing_else() {
    let mut bench = Bench::new(Box::new(Verilated::with_rings()));
    let bar = BAR0_ADDRESS;
    let request = |address, dwords| Request::whole(PEER_ID, 9, address, dwords);
    let read = |address, dwords: u16| {
        let request = request(address, dwords.into());
        Tlp::MemoryRead { request, dwords }.encode()
    };
    let poisoned = Tlp::MemoryWrite {
        request: request(bar + u64::from(csr::SCRATCH), 1),
        data: vec![1; 4],
        is_poisoned: true,
    };
    let stray = Tlp::Completion(Completion {
        completer: PEER_ID,
        status: Status::Successful,
        byte_count: 4,
        requester: CARD_ID,
        tag: 31,
        lower_address: 0,
        data: vec![0; 4],
        is_poisoned: false,
    });
    type Cause<'a> = (u32, Box<dyn Fn(&mut Bench<Verilated>) + 'a>);
    let sends = |packet: Vec<u32>, hit: u8| -> Box<dyn Fn(&mut Bench<Verilated>)> {
        Box::new(move |bench| bench.card.disturb(&packet, hit))
    };
    let causes: [Cause; 9] = [
        (
            csr::PUNT_RING_FULL,
            Box::new(|bench| {
                bench.card.bar_write(csr::PUNT_RING_SIZE, 0);
                bench.receive(0, &arp(1));
            }),
        ),
        (
            csr::PUNT_DMA_OFF,
            Box::new(|bench| {
                bench.card.set_function(Function::default());
                bench.receive(0, &arp(1));
                bench.card.set_function(ON);
            }),
        ),
        (
            csr::INJECT_BAD_DESCRIPTOR,
            Box::new(|bench| {
                bench.memory.describe(0, 2, false, &[0; 60]);
                bench.inject_to(1);
            }),
        ),
        (
            csr::INJECT_READ_ERROR,
            Box::new(|bench| {
                bench.memory.request(1, 60, 1, false, 0x1000);
                bench.inject_to(2);
            }),
        ),
        (
            csr::INJECT_READ_TIMEOUT,
            Box::new(|bench| {
                let mut settings = Settings::default();
                settings.faults.dropped = 1000;
                bench.card.set_link(settings);
                bench.inject_to(3);
                bench.card.set_link(Settings::default());
            }),
        ),
        (csr::TLP_UNSUPPORTED, sends(read(bar, 1), 1 << 1)),
        (
            csr::TLP_ABORTED,
            sends(read(bar + csr::BAR0_BYTES as u64 - 4, 2), 1),
        ),
        (csr::TLP_BAD, sends(poisoned.encode(), 1)),
        (csr::TLP_UNEXPECTED, sends(stray.encode(), 0)),
    ];
    bench.card.bar_write(csr::COMPLETION_TIMEOUT, 1_000);
    for (counter, cause) in causes {
        let before = counted(&mut bench);
        cause(&mut bench);
        let after = counted(&mut bench);
        for (n, (after, before)) in after.into_iter().zip(before).enumerate() {
            let is_it = csr::PUNT_RING_FULL + n as u32 == counter;
            assert_eq!(after - before, u64::from(is_it), "{n} for {counter}");
        }
    }
    assert_eq!(bench.card.fault(), None);
}

#[test]
fn no_packet_of_the_link_wedges_the_card() {
    let first = std::env::var("POSTERN_FIRST_SEED");
    let first: u64 = first.map_or(1, |text| text.parse().expect("a number"));
    let mut bench = Bench::new(Box::new(Verilated::with_rings()));
    for seed in first..first + ROUNDS {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        // Rings under way, wherever the packets move them to.
        for n in 0..4 {
            bench.memory.describe(n.into(), 1, true, &arp(n));
        }
        bench.card.bar_write(csr::INJECT_TAIL, 4);
        for _ in 0..PACKETS {
            let mut packet = legal(&mut random).encode();
            if random.percent(40) {
                spoil(&mut random, &mut packet);
            }
            let bar = random.pick(&[1, 1, 1, 0, 2, 64]);
            bench.card.disturb(&packet, bar);
            if random.percent(20) {
                bench.card.feed(random.below(2), &arp(seed as u8));
            }
            if random.percent(20) {
                bench.card.step(random.below(300) as u64);
            }
        }
        assert_eq!(bench.card.bar_read(csr::MAGIC), csr::MAGIC_VALUE);
        serves(&mut bench, seed as u8);
    }
    for counter in [csr::TLP_UNSUPPORTED, csr::TLP_BAD, csr::TLP_UNEXPECTED] {
        assert!(bench.card.counter(counter) > 10, "counter {counter}");
    }
}
