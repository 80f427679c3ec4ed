//! Rings in host memory and the interrupts they raise.

use std::sync::{Arc, Mutex, MutexGuard};

use layout::csr;
use layout::desc::{DmaStatus, InjectRequest, Metadata, Reason};
use layout::hash;
use layout::table::{HOST_FRAME_BYTES, PUNT_BUFFER_BYTES, PUNT_FRAMES, PUNT_SLOT_BYTES, Table};
use sim::bus::MESSAGE_ADDRESS;
use sim::{Access, Body, Card, Function, Host, Model, Unmapped};

use crate::{Bench, MAC_1, OUTSIDE, any, forward, syn, syn_key, with};

/// Where the memory of the test host begins: above 4 GiB.
const BASE: u64 = 0x1_8000_0000;
const STATUS: u64 = BASE;
const INJECT: u64 = BASE + 0x1000;
const FRAMES: u64 = BASE + 0x2000;
const PUNT: u64 = BASE + 0x1_0000;
/// Bytes between the punt rings.
const PUNT_STRIDE: u64 = 0x8000;
const MEMORY_BYTES: usize = 0x4_0000;
const EVERYTHING: u32 = csr::DMA_PUNT | csr::DMA_INJECT;

/// Memory that a test and the card's function see.
#[derive(Clone)]
struct Memory(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    interrupts: Vec<usize>,
    /// Length of each write, in order, and where.
    writes: Vec<(u64, usize)>,
}

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: vec![0xee; MEMORY_BYTES],
            interrupts: Vec::new(),
            writes: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn put(&self, address: u64, bytes: &[u8]) {
        let start = (address - BASE) as usize;
        self.state().bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let start = (address - BASE) as usize;
        self.state().bytes[start..start + count].to_vec()
    }

    fn words(&self, address: u64, count: usize) -> Vec<u32> {
        let bytes = self.bytes(address, 4 * count);
        bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    fn status(&self) -> DmaStatus {
        DmaStatus::unpack(&self.words(STATUS, DmaStatus::WORDS))
    }

    fn interrupts(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().interrupts)
    }

    /// A slot of a punt ring: metadata and frame.
    fn punted(&self, ring: usize, slot: usize) -> (Metadata, Vec<u8>) {
        let address = slot_address(ring, slot);
        let metadata = Metadata::unpack(&self.words(address, Metadata::WORDS));
        assert_eq!(self.words(address + 12, 1), [0]);
        let frame = self.bytes(address + 16, metadata.length.into());
        (metadata, frame)
    }

    /// Writes a descriptor, and a frame of its own to go with it.
    fn describe(&self, slot: u16, port: u8, lookup: bool, frame: &[u8]) {
        let address = FRAMES + 0x800 * u64::from(slot) + 1;
        self.put(address, frame);
        self.request(slot, frame.len() as u16, port, lookup, address);
    }

    fn request(&self, slot: u16, length: u16, port: u8, lookup: bool, address: u64) {
        let request = InjectRequest {
            length,
            port,
            lookup,
            reserved: 0x1555_5555_5555,
            address,
        };
        let bytes = request.pack().map(u32::to_le_bytes).concat();
        self.put(INJECT + 16 * u64::from(slot), &bytes);
    }
}

impl Host for Memory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let state = self.state();
        let end = start.checked_add(data.len()).ok_or(Unmapped)?;
        data.copy_from_slice(state.bytes.get(start..end).ok_or(Unmapped)?);
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let mut state = self.state();
        state.writes.push((address, data.len()));
        let target = state.bytes.get_mut(start..start + data.len());
        target.ok_or(Unmapped)?.copy_from_slice(data);
        Ok(())
    }

    fn interrupt(&mut self, vector: usize) {
        self.state().interrupts.push(vector);
    }
}

fn slot_address(ring: usize, slot: usize) -> u64 {
    PUNT + PUNT_STRIDE * ring as u64 + (PUNT_SLOT_BYTES * slot) as u64
}

const ON: Function = Function {
    bus_master: true,
    max_payload: 128,
    max_read_request: 512,
    msix_enable: true,
    msix_mask: false,
};

fn set_address(card: &mut Model, low: u32, high: u32, address: u64) {
    card.bar_write(low, address as u32);
    card.bar_write(high, (address >> 32) as u32);
}

/// A card with four punt rings of 4 slots, an inject ring of 4 and every vector open.
fn bench() -> (Bench, Memory) {
    let mut bench = Bench::new();
    let memory = Memory::new();
    bench.card.set_host(Some(Box::new(memory.clone())));
    bench.card.set_function(ON);
    set_up(&mut bench.card);
    bench.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
    (bench, memory)
}

fn set_up(card: &mut Model) {
    set_address(card, csr::DMA_BLOCK_LOW, csr::DMA_BLOCK_HIGH, STATUS);
    for ring in 0..4 {
        let at = 4 * ring as u32;
        let address = slot_address(ring, 0);
        let (low, high) = (csr::PUNT_RING_LOW + at, csr::PUNT_RING_HIGH + at);
        set_address(card, low, high, address);
        card.bar_write(csr::PUNT_RING_SIZE + at, 2);
    }
    set_address(card, csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH, INJECT);
    card.bar_write(csr::INJECT_RING_SIZE, 2);
    for vector in 0..csr::MSIX_VECTORS as u32 {
        let entry = [MESSAGE_ADDRESS as u32, 0, vector, 0];
        for (word, value) in entry.into_iter().enumerate() {
            card.bar_write(csr::MSIX_TABLE + 16 * vector + 4 * word as u32, value);
        }
    }
}

fn arp() -> Vec<u8> {
    with(|f| f.ethertype = 0x0806)
}

fn tail(bench: &mut Bench, ring: u32) -> u32 {
    bench.card.bar_read(csr::PUNT_TAIL + 4 * ring)
}

#[test]
fn only_the_64_bit_card_has_rings() {
    let mut wide = Model::new(512);
    let mut card = Model::new(64);
    assert_eq!(
        card.bar_read(csr::CAPABILITIES),
        csr::CAPABILITY_WINDOWS | csr::CAPABILITY_DMA
    );
    assert_eq!(wide.bar_read(csr::CAPABILITIES), csr::CAPABILITY_WINDOWS);
    for (offset, value) in [
        (csr::DMA_BLOCK_HIGH, 0x1234_5678),
        (csr::PUNT_RING_SIZE + 12, 9),
        (csr::INJECT_TAIL, 0xffff),
        (csr::MSIX_TABLE + 0x58, 0x1234_5678),
    ] {
        wide.bar_write(offset, value);
        card.bar_write(offset, value);
        assert_eq!((wide.bar_read(offset), card.bar_read(offset)), (0, value));
    }
    wide.bar_write(csr::DMA_CONTROL, EVERYTHING);
    assert_eq!(wide.bar_read(csr::DMA_CONTROL), 0);
}

#[test]
fn punted_frame_goes_to_the_ring_of_its_key_with_metadata_and_padding() {
    let (mut bench, memory) = bench();
    let mut frame = syn().build();
    frame.push(0x77);
    let outcome = bench.receive(0, &frame);
    let ring = usize::from(hash::queue(&syn_key()));
    assert_ne!(ring, 0, "an example that can fail");
    assert_eq!(usize::from(outcome.metadata.queue), ring);
    let (metadata, bytes) = memory.punted(ring, 0);
    assert_eq!((metadata.reason, &bytes), (Reason::FlowMiss as u8, &frame));
    let behind = memory.bytes(slot_address(ring, 0) + 16 + frame.len() as u64, 4);
    assert_eq!(behind, [0, 0, 0, 0xee], "up to a multiple of four");
    assert_eq!(tail(&mut bench, ring as u32), 1);
    assert_eq!(memory.interrupts(), [ring]);
    assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), 0);
    assert_eq!(bench.card.counter(csr::TX_FRAMES_HOST), 1);
    // No key was formed: ring 0.
    bench.receive(0, &arp());
    assert_eq!(memory.punted(0, 0).1, arp());
    let status = memory.status();
    let tails = [
        status.punt_tail_0,
        status.punt_tail_1,
        status.punt_tail_2,
        status.punt_tail_3,
    ];
    let expected: [u16; 4] = std::array::from_fn(|n| u16::from(n == 0 || n == ring));
    assert_eq!((tails, status.sequence, status.errors), (expected, 2, 0));
}

#[test]
fn full_absent_and_unmastered_rings_drop_and_count() {
    let (mut bench, memory) = bench();
    for _ in 0..6 {
        bench.receive(0, &arp());
    }
    assert_eq!(tail(&mut bench, 0), 4);
    assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 2);
    assert_eq!(memory.interrupts(), [0, 0, 0, 0, 5, 5]);
    assert_eq!(memory.status().errors, 0, "written before the drops");
    bench.card.bar_write(csr::PUNT_HEAD, 1);
    bench.receive(0, &arp());
    assert_eq!((tail(&mut bench, 0), memory.status().errors), (5, 2));
    // A head that makes no sense does not make the ring overflow.
    bench.card.bar_write(csr::PUNT_HEAD, 0x8000);
    bench.receive(0, &arp());
    assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 3);

    bench.card.bar_write(csr::PUNT_RING_SIZE, 0);
    assert_eq!(tail(&mut bench, 0), 0, "a new size begins at zero");
    bench.receive(0, &arp());
    assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 4);

    bench.card.bar_write(csr::PUNT_RING_SIZE, 2);
    bench.card.set_function(Function {
        bus_master: false,
        ..ON
    });
    bench.receive(0, &arp());
    assert_eq!(bench.card.counter(csr::PUNT_DMA_OFF), 1);
    assert_eq!(
        (tail(&mut bench, 0), bench.card.bar_read(csr::PUNT_STATUS)),
        (0, 0)
    );
    assert_eq!(bench.card.counter(csr::PUNT_OVERFLOW), 0);
}

#[test]
fn frames_that_waited_go_to_the_rings_in_batches_of_eight() {
    let (mut bench, memory) = bench();
    bench.card.bar_write(csr::DMA_CONTROL, 0);
    bench.card.bar_write(csr::PUNT_RING_SIZE, 4);
    for _ in 0..PUNT_FRAMES - 4 {
        bench.receive(0, &arp());
    }
    memory.state().writes.clear();
    bench.card.bar_write(csr::DMA_CONTROL, csr::DMA_PUNT);
    assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), 0);
    let writes = std::mem::take(&mut memory.state().writes);
    let statuses: Vec<usize> = (0..writes.len())
        .filter(|n| writes[*n] == (STATUS, 32))
        .collect();
    assert_eq!(
        statuses,
        [8, 13],
        "behind eight frames, and behind the last"
    );
    assert_eq!(
        memory.interrupts(),
        [0],
        "raised twice before it could be sent"
    );
    assert_eq!(
        (memory.status().punt_tail_0, memory.status().sequence),
        (12, 2)
    );
}

#[test]
fn ring_indices_wrap_at_the_size_and_at_sixteen_bits() {
    let (mut bench, memory) = bench();
    let rounds = 0x1_0002u32;
    for n in 0..rounds {
        bench.card.feed(0, &arp());
        bench.card.run(10);
        bench.card.bar_write(csr::PUNT_HEAD, n + 1);
        memory.describe((n % 4) as u16, 1, false, &[n as u8; 20]);
        bench.card.bar_write(csr::INJECT_TAIL, n + 1);
    }
    assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 0);
    assert_eq!(
        (tail(&mut bench, 0), bench.card.bar_read(csr::INJECT_HEAD)),
        (2, 2)
    );
    assert_eq!(bench.card.counter(csr::TX_FRAMES_1), rounds.into());
    let status = memory.status();
    assert_eq!((status.punt_tail_0, status.inject_head), (2, 2));
    assert_eq!(status.sequence, 2 * rounds);
}

#[test]
fn injected_frames_leave_in_ring_order_as_a_submit_would_send_them() {
    let (mut bench, memory) = bench();
    let lookup = with(|f| f.destination = MAC_1);
    memory.describe(0, 1, false, &[1; 60]);
    memory.describe(1, 0, false, &[2; 61]);
    memory.describe(2, 1, true, &lookup);
    memory.describe(3, 1, false, &vec![4; HOST_FRAME_BYTES]);
    bench.card.bar_write(csr::INJECT_TAIL, 4);
    let sent = [bench.outcome(), bench.outcome()].map(|outcome| outcome.sent);
    assert_eq!(sent, [Some((1, vec![1; 60])), Some((0, vec![2; 61]))]);
    let outcome = bench.outcome();
    assert_eq!(
        (
            outcome.reason,
            outcome.metadata.port,
            outcome.metadata.reinjected
        ),
        (Reason::FlowMiss, 1, true)
    );
    assert_eq!(bench.outcome().sent, Some((1, vec![4; HOST_FRAME_BYTES])));
    assert_eq!(bench.card.counter(csr::RX_FRAMES_HOST), 4);
    assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 4);
    assert_eq!(memory.status().inject_head, 4);
    let ring = usize::from(outcome.metadata.queue);
    assert_eq!(memory.punted(ring, 0).1, lookup, "punted on its way");
    assert_eq!(memory.interrupts(), [ring, csr::VECTOR_INJECT]);
}

#[test]
fn many_punts_of_injected_frames_never_overflow_the_buffer() {
    let (mut bench, memory) = bench();
    bench.card.bar_write(csr::INJECT_RING_SIZE, 3);
    bench.card.bar_write(csr::PUNT_RING_SIZE, 3);
    let mut frame = arp();
    frame.resize(HOST_FRAME_BYTES, 0);
    frame[..6].copy_from_slice(&MAC_1.to_be_bytes()[2..]);
    for slot in 0..7 {
        memory.describe(slot, 1, true, &frame);
    }
    const { assert!(7 * HOST_FRAME_BYTES > PUNT_BUFFER_BYTES) };
    bench.card.bar_write(csr::INJECT_TAIL, 7);
    assert_eq!(bench.card.counter(csr::PUNT_OVERFLOW), 0);
    assert_eq!(tail(&mut bench, 0), 7);
}

#[test]
fn bad_descriptors_and_unmapped_memory_are_skipped_and_counted() {
    let (mut bench, memory) = bench();
    bench.card.bar_write(csr::INJECT_RING_SIZE, 4);
    let bad = [
        (13, 0),
        (HOST_FRAME_BYTES as u16 + 1, 0),
        (60, 2),
        (60, 3),
        (0, 0),
    ];
    for (slot, (length, port)) in bad.into_iter().enumerate() {
        memory.request(slot as u16, length, port, false, FRAMES);
    }
    let end = BASE + MEMORY_BYTES as u64;
    for (slot, address) in [(5, end - 59), (6, u64::MAX - 7), (7, 0)] {
        memory.request(slot, 60, 1, false, address);
    }
    memory.request(8, 60, 1, false, end - 60);
    bench.card.bar_write(csr::INJECT_TAIL, 9);
    assert_eq!(bench.card.counter(csr::INJECT_BAD_DESCRIPTOR), 5);
    assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 3);
    assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
    assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 9);
    let status = memory.status();
    assert_eq!((status.inject_head, status.errors), (9, 8));
    assert_eq!(memory.interrupts(), [csr::VECTOR_INJECT, csr::VECTOR_ERROR]);
    // Descriptors that cannot be read are passed as well, each counted.
    let (low, high) = (csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH);
    set_address(&mut bench.card, low, high, 0x1000);
    bench.card.bar_write(csr::INJECT_TAIL, 12);
    assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 6);
    assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 12);
    assert_eq!(bench.card.counter(csr::RX_FRAMES_HOST), 1);
}

#[test]
fn inject_ring_waits_for_its_switch_and_for_bus_mastering() {
    let (mut bench, memory) = bench();
    bench.card.bar_write(csr::DMA_CONTROL, csr::DMA_PUNT);
    bench.card.set_function(Function::default());
    memory.describe(0, 1, false, &[1; 60]);
    bench.card.bar_write(csr::INJECT_TAIL, 1);
    bench.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
    assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 0);
    assert_eq!(bench.card.bar_read(csr::DMA_STATUS), 0);
    bench.card.set_function(ON);
    assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 1);
    assert_eq!(bench.card.bar_read(csr::DMA_STATUS), csr::DMA_BUS_MASTER);
    assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
}

#[test]
fn masked_vectors_are_pending_until_they_are_unmasked() {
    let (mut bench, memory) = bench();
    let control = csr::MSIX_TABLE + 12;
    bench.card.bar_write(control, 0xffff_ffff);
    assert_eq!(bench.card.bar_read(control), 1);
    bench.receive(0, &arp());
    assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 1);
    assert!(memory.interrupts().is_empty());
    bench.card.bar_write(control, 0);
    assert_eq!(memory.interrupts(), [0]);
    assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 0);

    bench.card.set_function(Function {
        msix_mask: true,
        ..ON
    });
    bench.receive(0, &arp());
    assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 1);
    bench.card.set_function(ON);
    assert_eq!(memory.interrupts(), [0]);

    // Without MSI-X it waits as well, but not because of a mask.
    bench.card.set_function(Function {
        msix_enable: false,
        ..ON
    });
    bench.receive(0, &arp());
    assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 0);
    assert!(memory.interrupts().is_empty());
    bench.card.set_function(ON);
    assert_eq!(memory.interrupts(), [0]);
}

#[test]
fn message_to_another_address_is_a_write() {
    let (mut bench, memory) = bench();
    let (low, high) = (csr::MSIX_TABLE, csr::MSIX_TABLE + 4);
    set_address(&mut bench.card, low, high, BASE + 0x800);
    bench.card.bar_write(csr::MSIX_TABLE + 8, 0xfeed_f00d);
    bench.receive(0, &arp());
    assert_eq!(memory.words(BASE + 0x800, 1), [0xfeed_f00d]);
    assert!(memory.interrupts().is_empty());
}

#[test]
fn interrupt_gap_spreads_the_interrupts_of_one_vector() {
    let (mut bench, memory) = bench();
    bench.card.bar_write(csr::INTERRUPT_GAP, 100);
    for _ in 0..4 {
        bench.card.feed(0, &arp());
    }
    assert!(!bench.card.run(50), "an interrupt waits");
    assert_eq!(memory.interrupts(), [0]);
    assert!(bench.card.run(100));
    assert_eq!((memory.interrupts().len(), bench.card.cycle()), (1, 101));
    // Another vector does not wait for this one.
    let start = bench.card.cycle();
    memory.describe(0, 1, false, &[1; 60]);
    bench.card.bar_write(csr::INJECT_TAIL, 1);
    assert_eq!(memory.interrupts(), [csr::VECTOR_INJECT]);
    assert_eq!(bench.card.cycle(), start + 1);
}

#[test]
fn function_reset_keeps_tables_counters_and_forwarding() {
    let (mut bench, memory) = bench();
    let slot = bench.flow(1, syn_key(), forward());
    bench.card.bar_write(csr::PUNT_RING_SIZE, 1);
    for _ in 0..3 {
        bench.receive(0, &arp());
    }
    memory.interrupts();
    bench.card.function_reset();
    for register in csr::REGISTERS {
        let is_dma = (csr::DMA_CONTROL..csr::COUNTER).contains(&register.offset)
            || register.offset >= csr::MSIX_TABLE;
        if is_dma && register.name != "DMA_STATUS" {
            for n in 0..register.count {
                let value = bench.card.bar_read(register.offset + 4 * n);
                let is_control = register.offset == csr::MSIX_TABLE && n % 4 == 3;
                let expected = if is_control { 1 } else { register.reset };
                assert_eq!(value, expected, "{} {n}", register.name);
            }
        }
    }
    assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 1);
    assert!(matches!(
        bench.receive(0, &syn().build()).sent,
        Some((1, _))
    ));
    assert_eq!(bench.stats(slot).packets, 1);
    // Punts wait in the window again, and nothing reaches the host's memory.
    memory.state().writes.clear();
    bench.receive(0, &arp());
    assert_eq!(bench.card.pop_punt().unwrap().1, arp());
    assert!(memory.state().writes.is_empty() && memory.interrupts().is_empty());
    // And the rings can be set up again.
    set_up(&mut bench.card);
    bench.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
    bench.receive(0, &arp());
    assert_eq!(
        (memory.status().punt_tail_0, memory.status().errors),
        (1, 0)
    );
}

#[test]
fn power_on_reset_keeps_the_host_and_a_lost_host_costs_only_its_memory() {
    let (mut bench, memory) = bench();
    bench.card.reset();
    assert_eq!(bench.card.bar_read(csr::DMA_STATUS), csr::DMA_BUS_MASTER);
    set_up(&mut bench.card);
    bench.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
    bench.acl(0, &any(true));
    memory.describe(0, 1, false, &[9; 60]);
    bench.card.bar_write(csr::INJECT_TAIL, 1);
    assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
    bench.card.set_host(None);
    bench.card.bar_write(csr::INJECT_TAIL, 2);
    assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 1);
    assert_eq!(bench.card.next_record().map(|r| r.port), Some(1));
    assert!(matches!(
        bench.card.next_record().map(|r| r.body),
        Some(Body::Verdict { .. })
    ));
    let interface = bench.card.read_entry(Table::Interface, OUTSIDE.into());
    assert_eq!(interface.map(|words| words[0]), Some(0));
}
