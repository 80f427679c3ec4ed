//! The punt rings against host memory: every frame of the punt buffer lies in its slot before the host is told of
//! it, or is counted; full and absent rings, a host that sleeps, bus mastering that comes and goes, resets.

mod support;

use std::collections::VecDeque;

use layout::csr;
use layout::desc::{DmaStatus, Metadata};
use support::host::{BASE, Host};
use support::random::Random;

/// Where the status block is; the rings are behind it, far enough apart for 32 slots.
const BLOCK: u64 = BASE + 0x40;
/// The third ring crosses 4 GiB.
const RINGS: [u64; 4] = [
    BASE + 0x1000,
    BASE + 0x2_0000,
    BASE + 0xf_8000,
    BASE + 0x18_0000,
];
const SLOT: u64 = 2048;

/// A frame on its way into the punt buffer.
struct Coming {
    metadata: Metadata,
    bytes: Vec<u8>,
}

fn random_frame(random: &mut Random, queues: u64) -> Coming {
    let length = match random.below(10) {
        0 => 1 + random.below(20),
        1 => 2025 + random.below(12),
        2 => 1 + random.below(2032),
        _ => 60 + random.below(90),
    };
    Coming {
        metadata: Metadata {
            length: length as u16,
            flow: random.below(4096) as u16,
            reason: random.below(64) as u8,
            queue: random.below(queues) as u8,
            ..Metadata::default()
        },
        bytes: (0..length).map(|_| random.bits() as u8).collect(),
    }
}

/// What a slot holds: metadata, a zero word, the frame, zeros up to a DW.
fn slot_of(frame: &Coming) -> Vec<u8> {
    let words = frame.metadata.pack();
    let mut slot: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    slot.extend([0; 4]);
    slot.extend(&frame.bytes);
    slot.resize(slot.len().next_multiple_of(4), 0);
    slot
}

/// The traffic into the punt buffer, and what the host has seen of it.
struct Traffic {
    sizes: [u32; 4],
    heads: [u16; 4],
    /// Frames in the card by ring, oldest first, not seen by the host.
    waiting: [VecDeque<Coming>; 4],
    sending: Option<(Coming, usize)>,
    kept: u64,
    taken: u64,
    /// Chance of a new frame in a clock, in percent.
    load: u64,
    /// Rings that frames are for.
    queues: u64,
}

impl Traffic {
    fn new() -> Self {
        Self {
            sizes: [0; 4],
            heads: [0; 4],
            waiting: Default::default(),
            sending: None,
            kept: 0,
            taken: 0,
            load: 20,
            queues: 4,
        }
    }

    fn start(&mut self, host: &mut Host, sizes: [u32; 4]) {
        host.write_register(csr::DMA_BLOCK_LOW, BLOCK as u32);
        host.write_register(csr::DMA_BLOCK_HIGH, (BLOCK >> 32) as u32);
        for ring in 0..4 {
            let register = |first: u32| first + 4 * ring as u32;
            host.write_register(register(csr::PUNT_RING_LOW), RINGS[ring] as u32);
            host.write_register(register(csr::PUNT_RING_HIGH), (RINGS[ring] >> 32) as u32);
            host.write_register(register(csr::PUNT_RING_SIZE), sizes[ring]);
        }
        host.write_register(csr::DMA_CONTROL, csr::DMA_PUNT);
        (self.sizes, self.heads) = (sizes, [0; 4]);
    }

    /// One clock, with perhaps a beat into the punt buffer.
    fn tick(&mut self, host: &mut Host) {
        if self.sending.is_none() && host.random.chance(self.load) {
            let frame = random_frame(&mut host.random, self.queues);
            self.sending = Some((frame, 0));
        }
        let mut ended = None;
        if let Some((frame, at)) = self.sending.take() {
            let chunk = &frame.bytes[at..frame.bytes.len().min(at + 8)];
            let mut data = [0x77; 8];
            data[..chunk.len()].copy_from_slice(chunk);
            let last = at + 8 >= frame.bytes.len();
            let beat = u128::from(u64::from_le_bytes(data))
                | u128::from(0xff_u8 >> (8 - chunk.len())) << 64
                | u128::from(last) << 72;
            // Length 4..20, metadata 20..96, its own length zero.
            let metadata = Metadata {
                length: 0,
                ..frame.metadata
            };
            let words = metadata.pack();
            let packed = (0..3).fold(0, |all, word| all | u128::from(words[word]) << (32 * word));
            let route = (frame.bytes.len() as u128) << 4 | packed << 20;
            host.card.set("punt_beat", beat);
            host.card.set("punt_route", route);
            host.card.set("punt_valid", 1_u8);
            if last {
                ended = Some(frame);
            } else {
                self.sending = Some((frame, at + 8));
            }
        }
        let before = host.kept;
        host.tick();
        // Registers may be accessed in the middle of a frame.
        host.card.set("punt_valid", 0_u8);
        if let Some(frame) = ended {
            // The buffer says one clock later whether it kept the frame.
            let kept = host.kept > before;
            if kept {
                self.kept += 1;
                self.waiting[usize::from(frame.metadata.queue)].push_back(frame);
            }
        }
    }

    /// Looks at all frames the status block tells of; frames the card dropped are passed over.
    fn look(&mut self, host: &Host) {
        let tails = status(host);
        for (ring, tail) in tails.iter().enumerate() {
            while self.heads[ring] != *tail {
                assert!(tail.wrapping_sub(self.heads[ring]) <= 1 << self.sizes[ring]);
                let slot = u64::from(self.heads[ring]) % (1 << self.sizes[ring]);
                let address = RINGS[ring] + SLOT * slot;
                let found = self.waiting[ring].iter().position(|frame| {
                    let expected = slot_of(frame);
                    host.bytes(address, expected.len()) == expected
                });
                let Some(found) = found else {
                    panic!("ring {ring} slot {slot}: not a frame of it, or out of order");
                };
                // Earlier ones were dropped.
                self.waiting[ring].drain(..=found);
                self.heads[ring] = self.heads[ring].wrapping_add(1);
                self.taken += 1;
            }
        }
    }

    fn ring_doorbells(&self, host: &mut Host) {
        for ring in 0..4 {
            host.write_register(csr::PUNT_HEAD + 4 * ring, self.heads[ring as usize].into());
        }
    }
}

/// The tails in the status block.
fn status(host: &Host) -> [u16; 4] {
    let block = read_block(host);
    [
        block.punt_tail_0,
        block.punt_tail_1,
        block.punt_tail_2,
        block.punt_tail_3,
    ]
}

fn read_block(host: &Host) -> DmaStatus {
    let words: Vec<u32> = host
        .bytes(BLOCK, 32)
        .chunks(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    DmaStatus::unpack(&words)
}

/// No new frames, until all that is in the card has gone.
fn drain(traffic: &mut Traffic, host: &mut Host) {
    let load = std::mem::take(&mut traffic.load);
    let mut quiet = 0;
    for _ in 0..20_000 {
        traffic.tick(host);
        let still = traffic.sending.is_some() || host.card.get("punt_waiting") > 0;
        quiet = if still { 0 } else { quiet + 1 };
        if quiet > 100 && host.read_register(csr::DMA_STATUS) & csr::DMA_PUNT_BUSY == 0 {
            traffic.load = load;
            return;
        }
    }
    panic!("the punt buffer does not drain");
}

#[test]
fn frames_lie_in_their_slots_before_the_host_is_told() {
    let mut host = Host::new("punt-rings", 1);
    let mut traffic = Traffic::new();
    for (sizes, payload, load) in [
        ([5, 5, 4, 5], 128, 3),
        ([5, 5, 4, 5], 512, 3),
        ([2, 1, 3, 0], 256, 10),
        ([1, 0, 0, 4], 4096, 30),
    ] {
        host.fill(BLOCK, &[0; 32]);
        host.sizes(payload, 512);
        traffic.load = load;
        traffic.start(&mut host, sizes);
        let (kept, taken) = (traffic.kept, traffic.taken);
        let full = host.events[0];
        let mut sequence = read_block(&host).sequence;
        for _ in 0..300 {
            for _ in 0..host.random.below(100) {
                traffic.tick(&mut host);
                let now = read_block(&host).sequence;
                assert!(now <= sequence + 1 || sequence == 0, "every write counts");
                sequence = now;
                traffic.look(&host);
            }
            traffic.ring_doorbells(&mut host);
        }
        drain(&mut traffic, &mut host);
        traffic.look(&host);
        let dropped = host.events[0] - full;
        assert_eq!(
            traffic.kept - kept,
            traffic.taken - taken + dropped,
            "each frame was written or counted"
        );
        assert!(traffic.taken - taken > 50, "{sizes:?}");
        assert_eq!(host.events[1], 0);
        assert_eq!(read_block(&host).errors as u64, host.events[0] & 0xffff);
        assert!(sizes.contains(&0) == (dropped > 0), "{dropped} dropped");
        traffic.waiting = Default::default();
        for ring in 0..4 {
            let tail = host.read_register(csr::PUNT_TAIL + 4 * ring);
            assert_eq!(tail as u16, traffic.heads[ring as usize]);
        }
    }
    for vector in 0..4 {
        assert!(host.raised.contains(&vector), "vector {vector}");
    }
}

#[test]
fn a_sleeping_host_gets_a_full_ring_and_not_one_frame_more() {
    let mut host = Host::new("punt-full", 2);
    host.sizes(128, 512);
    host.fill(BLOCK, &[0; 32]);
    let mut traffic = Traffic::new();
    traffic.start(&mut host, [2, 3, 1, 0]);
    for _ in 0..15_000 {
        traffic.tick(&mut host);
    }
    drain(&mut traffic, &mut host);
    assert_eq!(status(&host), [4, 8, 2, 0]);
    let written: std::collections::BTreeSet<u64> = host
        .writes
        .iter()
        .map(|(address, _)| address / SLOT)
        .collect();
    assert_eq!(written.len(), 4 + 8 + 2 + 1, "slots, and the block");
    traffic.look(&host);
    assert_eq!(traffic.kept, 14 + host.events[0]);
    assert!(host.events[0] > 100);
    let errors = host
        .raised
        .iter()
        .filter(|vector| **vector == csr::VECTOR_ERROR);
    assert_eq!(errors.count() as u64, host.events[0]);
}

#[test]
fn without_bus_mastering_frames_are_counted_and_none_is_written() {
    let mut host = Host::new("punt-off", 3);
    host.sizes(128, 512);
    host.fill(BLOCK, &[0; 32]);
    let mut traffic = Traffic::new();
    traffic.start(&mut host, [5, 5, 4, 5]);
    for round in 0..60 {
        let on = host.random.chance(50);
        host.card.set("bus_master", u8::from(on));
        for _ in 0..host.random.below(400) {
            traffic.tick(&mut host);
            traffic.look(&host);
        }
        traffic.ring_doorbells(&mut host);
        if round % 8 == 7 {
            host.card.set("bus_master", 0_u8);
            drain(&mut traffic, &mut host);
            let writes = host.writes.len();
            (0..300).for_each(|_| traffic.tick(&mut host));
            drain(&mut traffic, &mut host);
            assert_eq!(host.writes.len(), writes);
        }
    }
    host.card.set("bus_master", 1_u8);
    drain(&mut traffic, &mut host);
    (0..200).for_each(|_| host.tick());
    traffic.look(&host);
    assert_eq!(
        traffic.kept,
        traffic.taken + host.events[0] + host.events[1]
    );
    assert!(traffic.taken > 50 && host.events[1] > 50);
}

#[test]
fn a_reset_drops_what_is_on_its_way_and_the_window_shows_the_rest() {
    let mut host = Host::new("punt-reset", 4);
    host.sizes(128, 512);
    let mut traffic = Traffic::new();
    for round in 0..40 {
        host.fill(BLOCK, &[0; 32]);
        traffic.load = 20;
        traffic.start(&mut host, [5, 5, 4, 5]);
        let (kept, events, waiting) = (traffic.kept, host.events, host.card.get("punt_waiting"));
        for _ in 0..host.random.below(600) {
            traffic.tick(&mut host);
        }
        let mut told = [0; 4];
        traffic.load = 0;
        host.card.set("function_reset", 1_u8);
        for (ring, tail) in told.iter_mut().enumerate() {
            *tail = traffic.heads[ring];
        }
        traffic.tick(&mut host);
        host.card.set("function_reset", 0_u8);
        for _ in 0..400 {
            traffic.tick(&mut host);
        }
        assert_eq!(host.read_register(csr::DMA_STATUS) & csr::DMA_PUNT_BUSY, 0);
        for ring in 0..4 {
            assert_eq!(
                host.read_register(csr::PUNT_TAIL + 4 * ring),
                0,
                "round {round}"
            );
        }
        // The oldest frame is in the window, and can be popped.
        while host.card.get("punt_waiting") > 0 {
            let before = host.card.get("punt_waiting");
            host.card.set("window_pop", 1_u8);
            host.tick();
            host.card.set("window_pop", 0_u8);
            host.tick();
            assert_eq!(host.card.get("punt_waiting"), before - 1);
        }
        let dropped = host.events[0] + host.events[1] - events[0] - events[1];
        assert!(dropped <= traffic.kept - kept + waiting);
        traffic.waiting = Default::default();
    }
    assert!(host.events[1] > 10, "{} lost by resets", host.events[1]);
}

#[test]
fn short_frames_keep_up_with_the_ports() {
    let mut host = Host::new("punt-rate", 5);
    host.sizes(128, 512);
    host.fill(BLOCK, &[0; 32]);
    (host.ready, host.link_limited) = (100, true);
    for (length, count, most) in [(60, 1000_u64, 13.0), (1500, 60, 1.11 * 214.0)] {
        let mut traffic = Traffic::new();
        traffic.start(&mut host, [5, 5, 4, 5]);
        traffic.load = 0;
        let (mut begin, mut clocks) = (0, 0);
        let before = host.writes.len();
        while traffic.taken < count {
            if traffic.sending.is_none() && host.card.get("punt_waiting") < 14 {
                let mut frame = random_frame(&mut host.random, 4);
                frame.bytes = vec![traffic.kept as u8; length];
                frame.metadata.length = length as u16;
                traffic.sending = Some((frame, 0));
            }
            traffic.tick(&mut host);
            traffic.look(&host);
            for ring in 0..4 {
                // Doorbells without a clock of their own.
                if clocks % 8 == 2 * ring {
                    host.card.set("address", csr::PUNT_HEAD + 4 * ring as u32);
                    host.card.set("wdata", traffic.heads[ring as usize]);
                    host.card.set("write", 1_u8);
                }
                if clocks % 8 == 2 * ring + 1 {
                    host.card.set("write", 0_u8);
                }
            }
            if traffic.taken == 0 {
                begin = host.card.clocks;
            }
            clocks += 1;
            assert!(clocks < 60_000);
        }
        host.card.set("write", 0_u8);
        let rate = (host.card.clocks - begin) as f64 / count as f64;
        let writes = (host.writes.len() - before) as f64 / count as f64;
        println!("{rate:.2} clocks, {writes:.2} writes a frame of {length} bytes");
        assert!(rate <= most, "{rate} clocks a frame of {length} bytes");
        drain(&mut traffic, &mut host);
        host.write_register(csr::DMA_CONTROL, 0);
        host.fill(BLOCK, &[0; 32]);
    }
}
