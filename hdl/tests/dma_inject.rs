//! The inject ring against host memory that answers in every legal way, badly, late or not at all: every frame of
//! the ring leaves as it is in memory and in ring order, or is counted as lost for the reason it was lost.

mod support;

use layout::csr;
use layout::desc::InjectRequest;
use support::host::{BASE, Fate, Host};
use support::random::Random;

/// Where the ring is; frames are behind it.
const RING: u64 = BASE + 0x1000;
const FRAMES: u64 = BASE + 0xf_0000;
/// Bytes set aside for a frame.
const PLACE: u64 = 4096;

/// A frame to be injected.
struct Frame {
    request: InjectRequest,
    bytes: Vec<u8>,
}

fn random_frame(random: &mut Random, index: u64) -> Frame {
    let length = match random.below(8) {
        0 => random.below(20),
        1 => 2020 + random.below(20),
        2 => 14 + random.below(2019),
        _ => 60 + random.below(80),
    };
    // Long frames cross a page, and one of them 4 GiB.
    let address = FRAMES + PLACE * (index % 32) + random.below(2000);
    Frame {
        request: InjectRequest {
            length: length as u16,
            port: if random.chance(3) {
                2
            } else {
                random.below(2) as u8
            },
            lookup: random.chance(50),
            reserved: random.bits() >> 19,
            address,
        },
        bytes: (0..length).map(|_| random.bits() as u8).collect(),
    }
}

fn is_allowed(frame: &Frame) -> bool {
    (14..=2032).contains(&frame.request.length) && frame.request.port < 2
}

/// A ring of `2^size` descriptors and the frames put into it.
struct Ring {
    size: u32,
    tail: u16,
    head: u16,
    frames: Vec<Frame>,
}

impl Ring {
    fn start(host: &mut Host, size: u32) -> Self {
        host.write_register(csr::DMA_BLOCK_LOW, (BASE + 0x40) as u32);
        host.write_register(csr::DMA_BLOCK_HIGH, ((BASE + 0x40) >> 32) as u32);
        host.write_register(csr::INJECT_RING_LOW, RING as u32);
        host.write_register(csr::INJECT_RING_HIGH, (RING >> 32) as u32);
        host.write_register(csr::INJECT_RING_SIZE, size);
        host.write_register(csr::DMA_CONTROL, csr::DMA_INJECT);
        Self {
            size,
            tail: 0,
            head: 0,
            frames: Vec::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.tail.wrapping_sub(self.head) < 1 << self.size.min(4)
    }

    fn put(&mut self, host: &mut Host, frame: Frame) {
        let slot = u64::from(self.tail) % (1 << self.size);
        let words = frame.request.pack();
        let packed: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        host.fill(RING + 16 * slot, &packed);
        host.fill(frame.request.address, &frame.bytes);
        self.frames.push(frame);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Takes back the memory of what the card is done with.
    fn reclaim(&mut self, host: &mut Host) {
        let head = host.read_register(csr::INJECT_HEAD) as u16;
        let done = head.wrapping_sub(self.head);
        assert!(done <= self.tail.wrapping_sub(self.head), "head {head}");
        let first = self.frames.len() - usize::from(self.tail.wrapping_sub(self.head));
        for frame in &self.frames[first..first + usize::from(done)] {
            let garbage = vec![0x55; frame.bytes.len()];
            host.fill(frame.request.address, &garbage);
        }
        self.head = head;
    }

    fn run(&mut self, host: &mut Host, count: usize) {
        let mut waited = 0;
        while self.frames.len() < count || self.head != self.tail {
            while self.frames.len() < count && self.has_room() && host.random.chance(80) {
                let index = self.frames.len() as u64;
                let frame = random_frame(&mut host.random, index);
                self.put(host, frame);
            }
            host.write_register(csr::INJECT_TAIL, self.tail.into());
            for _ in 0..host.random.below(60) {
                host.tick();
            }
            let before = self.head;
            self.reclaim(host);
            waited = if self.head == before { waited + 1 } else { 0 };
            assert!(waited < 2000, "wedged at {} of {}", self.head, self.tail);
        }
    }
}

/// Runs until nothing moves any more.
fn settle(host: &mut Host) {
    for _ in 0..10_000 {
        host.tick();
        if host.read_register(csr::DMA_STATUS) & csr::DMA_INJECT_BUSY == 0 {
            (0..200).for_each(|_| host.tick());
            return;
        }
    }
    panic!("the ring does not come to rest");
}

#[test]
fn every_frame_leaves_as_it_is_in_memory() {
    let mut host = Host::new("inject-good", 1);
    for (size, max_read, count) in [(3, 512, 120), (5, 128, 120), (1, 256, 40), (2, 4096, 40)] {
        host.sizes(128, max_read);
        let mut ring = Ring::start(&mut host, size);
        let before = host.events;
        ring.run(&mut host, count);
        settle(&mut host);
        let mut bad = 0;
        for (index, frame) in ring.frames.iter().enumerate() {
            if is_allowed(frame) {
                let (bytes, port, lookup) = host.injected.pop_front().expect("a frame");
                let request = &frame.request;
                assert_eq!(
                    (port, lookup),
                    (request.port, request.lookup),
                    "frame {index}"
                );
                assert!(bytes == frame.bytes, "frame {index} of ring size {size}");
            } else {
                bad += 1;
            }
        }
        assert!(host.injected.is_empty(), "a frame too many");
        let [_, _, bad_seen, error, late, unexpected] =
            std::array::from_fn(|event| host.events[event] - before[event]);
        assert_eq!((bad_seen, error, late, unexpected), (bad, 0, 0, 0));
        let block = host.bytes(BASE + 0x40, 32);
        assert_eq!(block[8..10], ring.head.to_le_bytes(), "the host was told");
        assert!(host.raised.contains(&csr::VECTOR_INJECT));
    }
}

/// Whether any of the frame's reads, or of its descriptor, went wrong; the first one decides how.
fn fate_of(host: &Host, frame: &Frame) -> Option<Fate> {
    let begin = frame.request.address & !3;
    let end = frame.request.address + u64::from(frame.request.length);
    host.fates
        .iter()
        .filter(|(address, _, _)| (begin..end).contains(address))
        .map(|(_, _, fate)| *fate)
        .find(|fate| *fate != Fate::Answered)
}

#[test]
fn trouble_costs_its_own_frames_and_no_tag() {
    let mut host = Host::new("inject-trouble", 2);
    host.sizes(128, 128);
    let mut ring = Ring::start(&mut host, 5);
    host.write_register(csr::COMPLETION_TIMEOUT, 1000);
    let (mut bad, mut error, mut late, mut sent) = (0, 0, 0, 0);
    for round in 0..60 {
        // Trouble with frames only: descriptors are read before it begins.
        host.fates.clear();
        host.trouble = 0;
        let first = ring.frames.len();
        for _ in 0..8 {
            let index = ring.frames.len() as u64;
            let frame = random_frame(&mut host.random, index);
            ring.put(&mut host, frame);
        }
        host.write_register(csr::INJECT_TAIL, ring.tail.into());
        while !host.fates.iter().any(|(address, _, _)| *address < FRAMES) {
            host.tick();
        }
        host.trouble = 10;
        let mut waited = 0;
        while host.read_register(csr::INJECT_HEAD) as u16 != ring.tail {
            (0..20).for_each(|_| host.tick());
            waited += 1;
            assert!(waited < 3000, "wedged in round {round}");
        }
        ring.head = ring.tail;
        (0..1500).for_each(|_| host.tick());
        for frame in &ring.frames[first..] {
            match (is_allowed(frame), fate_of(&host, frame)) {
                (false, _) => bad += 1,
                (true, Some(Fate::Silent | Fate::Late)) => late += 1,
                (true, Some(_)) => error += 1,
                (true, None) => {
                    let (bytes, port, lookup) = host.injected.pop_front().expect("a frame");
                    let request = &frame.request;
                    assert_eq!((port, lookup), (request.port, request.lookup));
                    assert!(bytes == frame.bytes, "round {round}");
                    sent += 1;
                }
            }
        }
        assert!(host.injected.is_empty(), "a frame too many");
        assert_eq!(host.events[2..5], [bad, error, late], "round {round}");
    }
    assert!(
        sent > 100 && error > 20 && late > 20,
        "{sent} {error} {late}"
    );
    // The late completions, and what followed a misfit.
    assert!(host.events[5] > 20, "{} unexpected", host.events[5]);
    host.trouble = 0;
    (0..4000).for_each(|_| host.tick());
    host.most_reads = 0;
    host.latency = (400, 0);
    let count = ring.frames.len() + 40;
    ring.run(&mut host, count);
    assert_eq!(host.most_reads, 16, "no tag is lost");
}

#[test]
fn failed_descriptors_are_counted_one_by_one() {
    let mut host = Host::new("inject-descriptors", 3);
    host.sizes(128, 512);
    let mut ring = Ring::start(&mut host, 4);
    host.write_register(csr::COMPLETION_TIMEOUT, 1000);
    host.trouble = 30;
    ring.run(&mut host, 400);
    settle(&mut host);
    let lost: u64 = host.events[2..5].iter().sum();
    assert_eq!(
        host.injected.len() as u64 + lost,
        400,
        "each left or was counted"
    );
    assert!(host.injected.len() > 20 && lost > 50, "{lost}");
    let errors = u16::from_le_bytes([
        host.bytes(BASE + 0x40, 32)[10],
        host.bytes(BASE + 0x40, 32)[11],
    ]);
    assert_eq!(u64::from(errors), lost);
    // What left is a frame of the ring, in its order, whole.
    let mut frames = ring.frames.iter();
    for (bytes, _, _) in &host.injected {
        assert!(
            frames.any(|frame| frame.bytes == *bytes),
            "not of the ring, or out of order"
        );
    }
}

#[test]
fn a_reset_in_the_middle_forgets_everything_and_leaves_a_working_card() {
    let mut host = Host::new("inject-reset", 4);
    host.sizes(128, 128);
    for round in 0..40 {
        let mut ring = Ring::start(&mut host, 5);
        host.injected.clear();
        for index in 0..16 {
            let frame = random_frame(&mut host.random, index);
            ring.put(&mut host, frame);
        }
        host.write_register(csr::INJECT_TAIL, 16);
        for _ in 0..host.random.below(700) {
            host.tick();
        }
        host.card.set("function_reset", 1_u8);
        host.tick();
        host.card.set("function_reset", 0_u8);
        assert_eq!(host.read_register(csr::DMA_CONTROL), 0);
        assert_eq!(host.read_register(csr::INJECT_HEAD), 0);
        settle(&mut host);
        // Frames that left, left whole and in order.
        let mut frames = ring.frames.iter();
        for (bytes, _, _) in &host.injected {
            assert!(frames.any(|frame| frame.bytes == *bytes), "round {round}");
        }
        while host.reads_in_flight() > 0 {
            host.tick();
        }
        (0..20).for_each(|_| host.tick());
        host.injected.clear();
        let mut ring = Ring::start(&mut host, 3);
        ring.run(&mut host, 12);
        settle(&mut host);
        let good = ring.frames.iter().filter(|frame| is_allowed(frame)).count();
        assert_eq!(host.injected.len(), good, "round {round}");
        host.card.set("function_reset", 1_u8);
        host.tick();
        host.card.set("function_reset", 0_u8);
        settle(&mut host);
    }
}

#[test]
fn short_frames_keep_coming_over_a_slow_bus() {
    let mut host = Host::new("inject-rate", 5);
    host.sizes(128, 512);
    let mut ring = Ring::start(&mut host, 10);
    (host.latency, host.ready, host.arbiter) = ((100, 0), 100, 100);
    host.pauses = 0;
    for index in 0..512_u64 {
        let bytes: Vec<u8> = (0..64).map(|_| host.random.bits() as u8).collect();
        let request = InjectRequest {
            length: 64,
            address: FRAMES + 64 * index,
            ..InjectRequest::default()
        };
        ring.put(&mut host, Frame { request, bytes });
    }
    host.write_register(csr::INJECT_TAIL, 512);
    let begin = host.card.clocks;
    while host.injected.len() < 512 {
        host.tick();
        assert!(host.card.clocks - begin < 20_000);
    }
    let clocks = host.card.clocks - begin;
    println!("{:.1} clocks a frame of 64 bytes", clocks as f64 / 512.0);
    assert!(clocks <= 16 * 512, "{clocks} clocks for 512 frames");
}
