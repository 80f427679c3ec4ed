//! The endpoint as the dma block sees it: writes, reads and interrupts into host memory, completions out of it, and
//! the order among them. Every run is repeated by the Verilated endpoint.

mod support;

use std::collections::HashMap;

use layout::csr::{MSIX_PENDING, MSIX_TABLE};
use rust_hdl_core::prelude::*;
use support::endpoint::{Bench, FAST, FUNCTION, Given, Pace};
use support::random::Random;
use support::tlp::*;

/// Everyone dawdles.
const SLOW: Pace = Pace {
    link_offers: 60,
    link_takes: 50,
    dma_offers: 40,
    access: 9,
};

fn words(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.bits() as u32).collect()
}

/// Checks the header of a request of the card.
fn check_request(tlp: &Tlp, address: u64, dwords: usize, is_write: bool) {
    let far = address >> 32 != 0;
    let kind = match (is_write, far) {
        (false, false) => READ,
        (false, true) => READ_FAR,
        (true, false) => WRITE,
        (true, true) => WRITE_FAR,
    };
    assert_eq!(
        tlp.header[0],
        kind << 24 | dwords as u32,
        "no class, attributes, digest or poison"
    );
    assert_eq!(tlp.header[1] >> 16, FUNCTION);
    assert_eq!(tlp.address(), address);
}

fn write_table(bench: &mut Bench, vector: u32, address: u64, data: u32, masked: bool) {
    let fields = [
        address as u32,
        (address >> 32) as u32,
        data,
        u32::from(masked),
    ];
    let request = Request {
        kind: WRITE,
        address: u64::from(MSIX_TABLE + 16 * vector),
        dwords: 4,
        last: 15,
        ..Request::default()
    };
    bench.bring(&request.tlp(&fields));
}

fn read_word(bench: &mut Bench, offset: u32) -> u32 {
    bench.sent.retain(|sent| !sent.tlp.is_completion());
    bench.bring(
        &Request {
            address: offset.into(),
            ..Request::default()
        }
        .tlp(&[]),
    );
    bench.until(2000, "the word is read", |bench| {
        !bench.completions(0).is_empty()
    });
    bench.completions(0)[0].payload[0]
}

fn raise(bench: &mut Bench, vectors: u64) {
    bench.run.uut.raise.next = vectors.to_bits();
    bench.tick();
}

#[test]
fn writes_and_reads_leave_as_they_were_ordered() {
    let mut bench = Bench::new(21);
    let mut random = Random(31);
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for round in 0..60 {
        let high = if random.chance(50) {
            0x4_5600_0000_0000
        } else {
            0
        };
        let address = high | 0x1234_5000 | random.below(512) << 2;
        let longest = if random.chance(80) { 9 } else { 128 };
        let count = 1 + random.below(longest) as usize;
        let data = words(&mut random, count);
        writes.push((address, data));
        let dwords = 1 + random.below(128) as usize;
        let last = if dwords == 1 { 0 } else { 7 };
        reads.push((address ^ 0x8000, dwords, 12, last, round % 32));
    }
    bench.writes.extend(writes.iter().cloned());
    bench.reads.extend(reads.iter().copied());
    bench.pace = SLOW;
    bench.until(20_000, "half is sent", |bench| bench.sent.len() > 60);
    bench.pace = FAST;
    bench.until(20_000, "all is sent", |bench| bench.sent.len() == 120);
    let (seen_writes, seen_reads): (Vec<Tlp>, Vec<Tlp>) = bench
        .requests()
        .into_iter()
        .partition(|tlp| tlp.kind() & 0x40 != 0);
    for (tlp, (address, data)) in seen_writes.iter().zip(&writes) {
        check_request(tlp, *address, data.len(), true);
        let last = if data.len() == 1 { 0 } else { 15 };
        assert_eq!(tlp.header[1] & 0xff, last << 4 | 15);
        assert_eq!(tlp.payload, *data);
    }
    for (tlp, &(address, dwords, first, last, tag)) in seen_reads.iter().zip(&reads) {
        check_request(tlp, address, dwords, false);
        assert_eq!(tlp.header[1] & 0xffff, tag << 8 | last << 4 | first);
    }
    bench
        .run
        .compare("pcie-requests")
        .expect("native and Verilated agree");
}

#[test]
fn writes_of_64_bytes_leave_without_a_gap() {
    for high in [0, 0x1_0000_0000] {
        let mut bench = Bench::new(22);
        for index in 0..30 {
            bench
                .writes
                .push_back((high | 0x1000 | index << 6, vec![index as u32; 16]));
        }
        bench.until(400, "all is sent", |bench| bench.sent.len() == 30);
        for pair in bench.sent.windows(2) {
            assert_eq!(pair[1].first_clock, pair[0].last_clock + 1, "no gap");
            assert_eq!(pair[1].last_clock - pair[1].first_clock, 9, "ten beats");
        }
    }
}

#[test]
fn completions_reach_the_dma_block_as_fast_as_they_come() {
    let mut bench = Bench::new(23);
    let mut random = Random(33);
    let mut expected = Vec::new();
    for index in 0..60_u32 {
        let count = match index {
            0..30 => 16,
            _ => [1, 2, 31, 32, 127, 128, 16, 5][random.below(8) as usize],
        };
        let mut data = words(&mut random, count);
        let status = u32::from(index % 9 == 7) * [1, 2, 4][random.below(3) as usize];
        if index % 9 == 7 && index % 2 == 0 {
            data.clear();
        }
        let (bytes, lower) = (random.below(4096) as usize, random.below(128) as u32);
        let mut tlp = completion(index % 32, FUNCTION, status, bytes, lower, &data);
        tlp.poisoned = index == 40;
        if data.is_empty() {
            // Reserved without payload: it says nothing.
            tlp.header[0] |= 9;
        }
        bench.bring(&tlp);
        // What is damaged on its way never arrives, and spoils nothing.
        if index % 7 == 3 {
            let mut damaged = completion(5, FUNCTION, 0, 64, 0, &words(&mut random, 16));
            if random.chance(50) {
                damaged.payload.truncate(9);
            } else {
                damaged.payload.push(1);
            }
            bench.bring(&damaged);
        }
        expected.push(Given {
            tag: index as usize % 32,
            failed: status != 0 || tlp.poisoned,
            bytes,
            lower: lower as usize,
            dwords: data.len(),
            data,
        });
        if index == 29 {
            bench.until(2000, "half has come", |bench| bench.link_is_empty());
            assert_eq!(bench.waited, 0, "the link never waits");
            bench.pace = SLOW;
        }
    }
    bench.until(20_000, "all have come", |bench| bench.link_is_empty());
    bench.ticks(100);
    assert_eq!(bench.given, expected);
    assert_eq!(bench.events, [0, 0, 9, 0]);
    bench
        .run
        .compare("pcie-completions")
        .expect("native and Verilated agree");
}

#[test]
fn a_completion_never_passes_a_write_made_before_it_and_nobody_starves() {
    let mut bench = Bench::new(24);
    // The register counts the writes that the endpoint has taken, as the tail of a ring does.
    for (pace, rounds) in [(FAST, 12), (SLOW, 6)] {
        bench.pace = pace;
        for tag in 0..rounds {
            bench.sent.clear();
            let (before, mut made) = (bench.writes_taken, 0);
            let request = Request {
                address: 0x114,
                tag,
                ..Request::default()
            };
            bench.bring(&request.tlp(&[]));
            let end = bench.clock + 1500;
            // There is always more to write and to read, until the completion has come.
            while bench.completions(tag).is_empty() {
                if bench.writes.len() < 4 || bench.reads.len() < 4 {
                    bench.writes.push_back((0x2000, vec![tag; 16]));
                    bench.reads.push_back((0x9000, 16, 15, 15, 3));
                    made += 1;
                }
                bench.registers[0x114 / 4] = (bench.writes_taken - before) as u32;
                bench.tick();
                assert!(bench.clock < end, "the completion starves");
            }
            let told = bench.completions(tag)[0].payload[0] as usize;
            let written = |bench: &Bench| {
                let requests = bench.requests();
                requests.iter().filter(|tlp| tlp.kind() == WRITE).count()
            };
            let sent = written(&bench);
            assert!(sent >= told, "{told} were made, {sent} were sent before");
            bench.until(5000, "the rest leaves", |bench| {
                bench.sent.len() == 2 * made + 1
            });
            assert_eq!(written(&bench), made);
        }
    }
    bench
        .run
        .compare("pcie-order")
        .expect("native and Verilated agree");
}

#[test]
fn interrupts_wait_for_masks_and_their_gap_and_follow_the_data() {
    let mut bench = Bench::new(25);
    assert_eq!(
        read_word(&mut bench, MSIX_TABLE + 12),
        1,
        "masked after reset"
    );
    for vector in 0..6 {
        let high = if vector % 2 == 0 { 0 } else { 0x7_0000_0000 };
        write_table(
            &mut bench,
            vector,
            high | 0xfee0_0000,
            0x4100 + vector,
            vector == 3,
        );
    }
    assert_eq!(read_word(&mut bench, MSIX_TABLE + 16 + 4), 7);
    assert_eq!(read_word(&mut bench, MSIX_TABLE + 48 + 12), 1);
    // Single bytes.
    let request = Request {
        kind: WRITE,
        address: u64::from(MSIX_TABLE + 8),
        first: 0b0100,
        ..Request::default()
    };
    bench.bring(&request.tlp(&[0xff55_ffff]));
    assert_eq!(read_word(&mut bench, MSIX_TABLE + 8), 0x0055_4100);

    // Behind the data.
    bench.sent.clear();
    for index in 0..3 {
        bench.writes.push_back((0x3000 + 64 * index, vec![1; 16]));
    }
    bench.until(200, "the writes are taken", |bench| bench.writes.is_empty());
    raise(&mut bench, 0b11_1111);
    bench.ticks(200);
    let requests = bench.requests();
    assert_eq!(requests.len(), 8, "vector 3 is masked");
    assert!(requests[..3].iter().all(|tlp| tlp.payload.len() == 16));
    let mut seen = HashMap::new();
    for tlp in &requests[3..] {
        let vector = tlp.payload[0] & 0xff;
        let high = if vector % 2 == 0 { 0 } else { 0x7_0000_0000 };
        check_request(tlp, high | 0xfee0_0000, 1, true);
        assert_eq!(tlp.header[1] & 0xffff, 0x000f);
        seen.insert(vector, tlp.payload[0]);
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[&0], 0x0055_4100);
    assert_eq!(read_word(&mut bench, MSIX_PENDING), 0b1000);

    // Unmasked, it is sent once.
    bench.sent.clear();
    write_table(&mut bench, 3, 0xfee0_0000, 0x4103, false);
    bench.ticks(200);
    assert_eq!(bench.requests().len(), 1);
    assert_eq!(read_word(&mut bench, MSIX_PENDING), 0);

    // The function's mask, and the switches of configuration space.
    bench.run.uut.pcie_msix_mask.next = true;
    bench.sent.clear();
    raise(&mut bench, 0b1_0001);
    bench.ticks(50);
    assert_eq!(read_word(&mut bench, MSIX_PENDING), 0b1_0001);
    assert!(bench.requests().is_empty());
    bench.run.uut.pcie_bus_master.next = false;
    bench.run.uut.pcie_msix_mask.next = false;
    bench.ticks(50);
    assert!(bench.requests().is_empty());
    bench.run.uut.pcie_bus_master.next = true;
    bench.run.uut.pcie_msix_enable.next = false;
    bench.ticks(50);
    assert!(bench.requests().is_empty());
    bench.run.uut.pcie_msix_enable.next = true;
    bench.ticks(50);
    assert_eq!(bench.requests().len(), 2);

    // The gap, of one vector only.
    bench.run.uut.interrupt_gap.next = 300_u64.to_bits();
    bench.sent.clear();
    for _ in 0..1000 {
        raise(&mut bench, 0b10_0100);
    }
    for vector in [2, 5] {
        let clocks: Vec<usize> = bench
            .sent
            .iter()
            .filter(|sent| sent.tlp.payload[0] & 0xff == vector)
            .map(|sent| sent.first_clock)
            .collect();
        assert_eq!(clocks.len(), 4, "{clocks:?}");
        assert!(
            clocks
                .windows(2)
                .all(|pair| (300..320).contains(&(pair[1] - pair[0])))
        );
    }

    // A reset of the function.
    raise(&mut bench, 0b10_0100);
    bench.run.uut.pcie_function_reset.next = true;
    bench.tick();
    bench.run.uut.pcie_function_reset.next = false;
    bench.sent.clear();
    for word in [0, 1, 2, 20, 22] {
        assert_eq!(
            read_word(&mut bench, MSIX_TABLE + 4 * word),
            0,
            "word {word}"
        );
    }
    assert_eq!(read_word(&mut bench, MSIX_TABLE + 12 + 32), 1);
    assert_eq!(read_word(&mut bench, MSIX_PENDING), 0);
    bench.ticks(500);
    assert!(bench.requests().is_empty());
    bench
        .run
        .compare("pcie-interrupts")
        .expect("native and Verilated agree");
}

#[test]
fn without_bus_mastering_requests_are_dropped_and_the_host_is_answered() {
    let mut bench = Bench::new(26);
    write_table(&mut bench, 0, 0xfee0_0000, 9, false);
    for index in 0..40 {
        bench.writes.push_back((
            0x2000 + 64 * index,
            vec![index as u32; 15 + index as usize % 3],
        ));
        bench.reads.push_back((0x9000, 16, 15, 15, 4));
    }
    bench.until(400, "some are sent", |bench| bench.sent.len() > 10);
    bench.run.uut.pcie_bus_master.next = false;
    bench.tick();
    raise(&mut bench, 1);
    bench.ticks(20);
    let sent = bench.requests().len();
    bench.until(2000, "the rest is dropped", |bench| {
        bench.writes.is_empty() && bench.reads.is_empty()
    });
    assert_eq!(read_word(&mut bench, 0x1f0), bench.registers[0x1f0 / 4]);
    assert_eq!(bench.requests().len(), sent);
    // An interrupt that was on its way already is kept as well.
    bench.run.uut.pcie_bus_master.next = true;
    bench.until(200, "the interrupt is sent", |bench| {
        bench.requests().len() > sent
    });
    bench.pace.link_takes = 0;
    bench.writes.push_back((0x5000, vec![7; 32]));
    bench.ticks(20);
    raise(&mut bench, 1);
    bench.ticks(40);
    bench.run.uut.pcie_bus_master.next = false;
    bench.ticks(2);
    bench.pace.link_takes = 100;
    bench.ticks(60);
    assert_eq!(bench.requests().len(), sent + 2, "the write had begun");
    // The next write has its own data again.
    bench.run.uut.pcie_bus_master.next = true;
    bench.sent.clear();
    bench.writes.push_back((0x7000, vec![1, 2, 3]));
    bench.ticks(60);
    let requests = bench.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().any(|tlp| tlp.payload == [1, 2, 3]));
    assert!(requests.iter().any(|tlp| tlp.payload == [9]));
    bench
        .run
        .compare("pcie-mastering")
        .expect("native and Verilated agree");
}
