//! The endpoint as the host sees it: registers behind BAR0, judged by what PCIe base specification 2.2.9 and 2.3.1
//! say about completions. Every run is repeated by the Verilated endpoint.

mod support;

use support::endpoint::{Access, Bench, FAST, FUNCTION, Pace};
use support::random::Random;
use support::tlp::*;

/// Everyone dawdles.
const SLOW: Pace = Pace {
    link_offers: 60,
    link_takes: 50,
    dma_offers: 40,
    access: 9,
};

/// A legal request to BAR0 within a page, of memory the MSI-X table is not in.
fn random_request(random: &mut Random, kind: u32, longest: usize) -> Request {
    let page = [0, 1, 2, 3, 5, 15][random.below(6) as usize];
    let dwords = 1 + random.below(longest as u64) as usize;
    let place = random.below(1025 - dwords as u64);
    let high = if kind & 0x20 != 0 {
        0x12_3456_0000_0000
    } else {
        0
    };
    let mut request = Request {
        kind,
        address: high | 0xfeb0_0000 | page << 12 | place << 2,
        dwords,
        requester: random.below(0x1_0000) as u32,
        traffic: random.below(8) as u32,
        attributes: random.below(8) as u32,
        ..Request::default()
    };
    request.random_enables(random);
    request
}

/// Checks that the completions are one full set for a read, as the specification has it.
fn check_read(request: &Request, completions: &[Tlp], registers: &[u32]) {
    let mut left = request.byte_count();
    let mut address = request.address as usize + request.lead();
    let mut data = Vec::new();
    for (index, completion) in completions.iter().enumerate() {
        check_header(request, completion, COMPLETION_DATA, 0);
        assert_eq!(
            completion.header[1] & 0xfff,
            left as u32 & 0xfff,
            "byte count, {request:?}"
        );
        assert_eq!(
            completion.header[2] & 0x7f,
            address as u32 & 0x7f,
            "lower address"
        );
        let last = index + 1 == completions.len();
        let end = (address & !3) + 4 * completion.payload.len();
        assert!(4 * completion.payload.len() <= 128, "Max_Payload_Size");
        if last {
            assert!(end - address >= left, "the last one brings the rest");
        } else {
            assert_eq!(end % 128, 0, "ends at the read completion boundary");
            left -= end - address;
        }
        address = end;
        data.extend_from_slice(&completion.payload);
    }
    assert_eq!(data.len(), request.dwords, "{request:?}");
    if request.first != 0 {
        let at = (request.address as usize & 0xffff) / 4;
        assert_eq!(data, registers[at..at + request.dwords]);
    }
}

/// What any completion copies from its request.
fn check_header(request: &Request, completion: &Tlp, kind: u32, status: u32) {
    let [word0, word1, word2] = completion.header[..] else {
        panic!("a completion has three header words")
    };
    assert_eq!(word0 >> 24, kind);
    assert_eq!(word0 >> 20 & 0xf, request.traffic, "traffic class");
    assert_eq!(
        (word0 >> 18 & 1) << 2 | (word0 >> 12 & 3),
        request.attributes
    );
    assert_eq!(word0 & 0x000b_cc00, 0, "reserved, no digest, not poisoned");
    assert_eq!(word1 >> 16, FUNCTION);
    assert_eq!(word1 >> 12 & 0xf, status << 1, "status of {request:?}");
    assert_eq!(word2 >> 16, request.requester);
    assert_eq!(word2 >> 7 & 1, 0);
}

/// Reads a register and waits for it.
fn read_register(bench: &mut Bench, offset: u64, tag: u32) -> u32 {
    let before = bench.completions(tag).len();
    let request = Request {
        address: 0xfeb0_0000 | offset,
        tag,
        ..Request::default()
    };
    bench.bring(&request.tlp(&[]));
    bench.until(20_000, "the register is read", |bench| {
        bench.completions(tag).len() > before
    });
    let completion = bench.completions(tag).pop().expect("it is there");
    check_header(&request, &completion, COMPLETION_DATA, 0);
    completion.payload[0]
}

fn write_register(bench: &mut Bench, offset: u64, value: u32) {
    let request = Request {
        kind: WRITE,
        address: 0xfeb0_0000 | offset,
        ..Request::default()
    };
    bench.bring(&request.tlp(&[value]));
}

#[test]
fn every_request_that_wants_an_answer_gets_one_full_set_of_completions() {
    let mut bench = Bench::new(1);
    let mut random = Random(11);
    let mut tag = 0;
    for round in 0..10 {
        bench.pace = if round % 3 == 2 { FAST } else { SLOW };
        let mut asked = Vec::new();
        for _ in 0..12 {
            let kinds = [
                READ,
                READ_FAR,
                READ,
                READ,
                LOCKED_READ,
                IO_READ,
                IO_WRITE,
                CONFIGURATION_READ,
                CONFIGURATION_WRITE,
                FETCH_ADD,
                SWAP_FAR,
                COMPARE,
                READ,
            ];
            let kind = kinds[random.below(kinds.len() as u64) as usize];
            let longest = if random.chance(70) { 4 } else { 80 };
            let mut request = random_request(&mut random, kind, longest);
            if !matches!(kind, READ | READ_FAR | LOCKED_READ) {
                request.dwords = if kind == COMPARE { 4 } else { 1 };
                (request.first, request.last) = (15, 0);
            }
            request.bar0 = random.chance(85);
            request.tag = tag;
            tag = (tag + 1) % 256;
            let payload: Vec<u32> = (0..request.dwords).map(|_| random.bits() as u32).collect();
            bench.bring(&request.tlp(&payload));
            asked.push(request);
        }
        let before = bench.sent.len();
        let mut quiet = 0;
        while quiet < 400 {
            let seen = bench.sent.len();
            bench.tick();
            let busy = !bench.link_is_empty() || bench.sent.len() != seen;
            quiet = if busy { 0 } else { quiet + 1 };
        }
        let mut sets = 0;
        for request in &asked {
            let completions: Vec<Tlp> = bench.completions(request.tag);
            sets += completions.len();
            if matches!(request.kind, READ | READ_FAR) && request.bar0 {
                check_read(request, &completions, &bench.registers);
            } else {
                let [completion] = &completions[..] else {
                    panic!("{} completions for {request:?}", completions.len())
                };
                let locked = request.kind == LOCKED_READ;
                let kind = if locked {
                    COMPLETION_LOCKED
                } else {
                    COMPLETION
                };
                check_header(request, completion, kind, 1);
                assert_eq!(
                    completion.header[1] & 0xfff,
                    request.byte_count() as u32 & 0xfff
                );
                let is_memory = matches!(request.kind, READ | READ_FAR | LOCKED_READ);
                let lower = request.address as u32 + request.lead() as u32;
                let lower = if is_memory { lower & 0x7f } else { 0 };
                assert_eq!(completion.header[2] & 0x7f, lower);
            }
        }
        assert_eq!(bench.sent.len() - before, sets, "nothing else left");
    }
    assert_eq!(bench.events[1..], [0, 0, 0]);
    assert!(bench.events[0] > 30);
    bench
        .run
        .compare("pcie-answers")
        .expect("native and Verilated agree");
}

#[test]
fn writes_reach_the_registers_in_order_and_only_as_whole_words() {
    let mut bench = Bench::new(2);
    let mut random = Random(12);
    let mut expected = Vec::new();
    for round in 0..40 {
        bench.pace = if round < 20 { FAST } else { SLOW };
        let kind = if random.chance(50) { WRITE } else { WRITE_FAR };
        let longest = if random.chance(80) { 6 } else { 60 };
        let mut request = random_request(&mut random, kind, longest);
        request.bar0 = random.chance(90);
        let payload: Vec<u32> = (0..request.dwords).map(|_| random.bits() as u32).collect();
        let mut tlp = request.tlp(&payload);
        tlp.poisoned = random.chance(10);
        bench.bring(&tlp);
        if request.bar0 && !tlp.poisoned {
            for (index, &word) in payload.iter().enumerate() {
                let enables = match index {
                    0 => request.first,
                    _ if index + 1 == request.dwords => request.last,
                    _ => 15,
                };
                if enables == 15 {
                    let address = (request.address as usize & 0xffff) + 4 * index;
                    expected.push(Access::Write(address, word));
                }
            }
        }
    }
    // Ordered behind the writes.
    read_register(&mut bench, 0x110, 9);
    expected.push(Access::Read(0x110));
    assert_eq!(bench.accesses, expected);
    bench
        .run
        .compare("pcie-writes")
        .expect("native and Verilated agree");
}

#[test]
fn the_longest_requests_are_served_and_a_read_of_nothing_touches_nothing() {
    let mut bench = Bench::new(3);
    let payload: Vec<u32> = (0..1024).map(|word| word * 0x0001_0101).collect();
    // Two of them: the second waits until the first has made room.
    for _ in 0..2 {
        let request = Request {
            kind: WRITE,
            address: 0x8000_1000,
            dwords: 1024,
            last: 15,
            ..Request::default()
        };
        bench.bring(&request.tlp(&payload));
    }
    let request = Request {
        address: 0x8000_1000,
        dwords: 1024,
        last: 15,
        tag: 1,
        ..Request::default()
    };
    bench.bring(&request.tlp(&[]));
    bench.until(20_000, "4 KiB are written twice and read", |bench| {
        bench.completions(1).len() == 32
    });
    check_read(&request, &bench.completions(1), &bench.registers);
    assert_eq!(bench.registers[0x400..0x800], payload);
    assert!(bench.waited > 0, "the link had to wait");
    bench.accesses.clear();
    let request = Request {
        address: 0x0000_0200,
        first: 0,
        tag: 2,
        ..Request::default()
    };
    bench.bring(&request.tlp(&[]));
    bench.until(200, "nothing is read", |bench| {
        bench.completions(2).len() == 1
    });
    check_read(&request, &bench.completions(2), &bench.registers);
    assert!(bench.accesses.is_empty());
    bench
        .run
        .compare("pcie-longest")
        .expect("native and Verilated agree");
}

#[test]
fn what_is_not_served_is_counted_once_and_answered_when_it_must_be() {
    let mut bench = Bench::new(4);
    let word = [0x1234_5678];
    let write = Request {
        kind: WRITE,
        address: 0x100,
        ..Request::default()
    };
    let long = Request {
        address: 0xfff0,
        dwords: 8,
        last: 15,
        tag: 3,
        ..Request::default()
    };
    let mut poisoned = write.tlp(&word);
    poisoned.header[0] |= 1 << 14;
    let short = Tlp {
        payload: Vec::new(),
        ..write.tlp(&word)
    };
    let mut trailing = Request::default().tlp(&[]);
    trailing.payload.push(1);
    let digest = {
        let mut tlp = write.tlp(&word);
        tlp.header[0] |= 1 << 15;
        tlp.payload.push(0xc0de_c0de);
        tlp
    };
    let long_write = Request {
        kind: WRITE,
        ..long.clone()
    };
    let crossing = Request {
        address: 0x0ff8,
        dwords: 4,
        last: 15,
        ..Request::default()
    };
    let cases: Vec<(Tlp, [usize; 4], usize)> = vec![
        (
            Request {
                bar0: false,
                ..write.clone()
            }
            .tlp(&word),
            [1, 0, 0, 0],
            0,
        ),
        (
            Request {
                kind: MESSAGE,
                dwords: 0,
                ..Request::default()
            }
            .tlp(&[]),
            [1, 0, 0, 0],
            0,
        ),
        (
            Request {
                kind: MESSAGE_DATA,
                ..Request::default()
            }
            .tlp(&word),
            [1, 0, 0, 0],
            0,
        ),
        (
            Request {
                kind: IO_WRITE,
                ..Request::default()
            }
            .tlp(&word),
            [1, 0, 0, 0],
            1,
        ),
        (long.tlp(&[]), [0, 1, 0, 0], 1),
        (long_write.tlp(&[0; 8]), [0, 1, 0, 0], 0),
        (crossing.tlp(&[]), [0, 0, 1, 0], 0),
        (poisoned, [0, 0, 1, 0], 0),
        (
            Tlp {
                poisoned: true,
                ..write.tlp(&word)
            },
            [0, 0, 1, 0],
            0,
        ),
        (short, [0, 0, 1, 0], 0),
        (trailing, [0, 0, 1, 0], 0),
        (
            Request {
                kind: 0x80,
                ..Request::default()
            }
            .tlp(&[]),
            [0, 0, 1, 0],
            0,
        ),
        (
            Request {
                kind: 0x1b,
                ..Request::default()
            }
            .tlp(&[]),
            [0, 0, 1, 0],
            0,
        ),
        (completion(40, FUNCTION, 0, 4, 0, &word), [0, 0, 0, 1], 0),
        (completion(1, FUNCTION ^ 1, 0, 4, 0, &word), [0, 0, 0, 1], 0),
        (
            completion(1, FUNCTION, 0, 516, 0, &[0; 129]),
            [0, 0, 0, 1],
            0,
        ),
        (digest, [0, 0, 0, 0], 0),
    ];
    for (index, (tlp, counted, answers)) in cases.iter().enumerate() {
        (bench.events, bench.sent) = ([0; 4], Vec::new());
        bench.bring(tlp);
        bench.ticks(120);
        assert_eq!(bench.events, *counted, "case {index}: {tlp:x?}");
        assert_eq!(bench.sent.len(), *answers, "case {index}");
    }
    assert_eq!(
        bench.accesses,
        [Access::Write(0x100, word[0])],
        "the one with a digest"
    );
    (bench.sent, bench.events) = (Vec::new(), [0; 4]);
    bench.bring(&long.tlp(&[]));
    bench.ticks(60);
    check_header(&long, &bench.sent[0].tlp, COMPLETION, 4);
    assert!(bench.given.is_empty());
    bench
        .run
        .compare("pcie-refused")
        .expect("native and Verilated agree");
}

#[test]
fn no_sequence_of_packets_wedges_it() {
    let mut bench = Bench::new(5);
    let mut random = Random(15);
    for round in 0..24 {
        bench.pace = if random.chance(50) { FAST } else { SLOW };
        for _ in 0..12 {
            let kinds = [
                READ,
                READ_FAR,
                WRITE,
                WRITE_FAR,
                LOCKED_READ,
                IO_READ,
                COMPARE,
                MESSAGE_DATA,
                COMPLETION,
                COMPLETION_DATA,
                COMPLETION_LOCKED,
                0x80,
                0xff,
            ];
            let kind = kinds[random.below(kinds.len() as u64) as usize];
            let mut request = random_request(&mut random, kind, 12);
            if random.chance(30) {
                request.address = random.bits();
                (request.first, request.last) = (random.below(16) as u32, random.below(16) as u32);
            }
            request.bar0 = random.chance(80);
            let payload: Vec<u32> = (0..request.dwords).map(|_| random.bits() as u32).collect();
            let mut tlp = request.tlp(&payload);
            // Lengths that lie, words that are missing, words that are too many, bits that are wrong.
            if random.chance(15) {
                tlp.header[0] ^= 1 << random.below(32);
            }
            if random.chance(10) {
                tlp.header[0] = tlp.header[0] & !0x3ff | random.below(1024) as u32;
            }
            if random.chance(10) {
                tlp.payload.truncate(random.below(3) as usize);
            }
            if random.chance(10) {
                tlp.header.truncate(1 + random.below(4) as usize);
            }
            if random.chance(10) {
                tlp.payload
                    .extend((0..random.below(20)).map(|word| word as u32));
            }
            bench.bring(&tlp);
        }
        let offset = 0x110 + 4 * round;
        let value = read_register(&mut bench, offset, 0xf0 + round as u32 % 8);
        assert_eq!(value, bench.registers[offset as usize / 4]);
    }
    // A packet longer than any.
    for index in 0..1400 {
        bench.bring_beat((0x4000_0001, 0xff, index == 1399), true, false);
    }
    write_register(&mut bench, 0x120, 77);
    assert_eq!(read_register(&mut bench, 0x120, 1), 77);
    assert!(bench.events[2] > 20, "{:?}", bench.events);
    bench
        .run
        .compare("pcie-junk")
        .expect("native and Verilated agree");
}
