//! The root complex against an endpoint in software: what it sends, what it serves, what it objects to.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use sim::bus::MESSAGE_ADDRESS;
use sim::root_complex::{BAR0_ADDRESS, CARD_ID, Faults, Pins, ROOT_ID, RootComplex, Settings};
use sim::tlp::{Completion, Request, Status, Tlp};
use sim::{Function, Host, Unmapped};

/// Where host memory is.
const MEMORY: u64 = 0x2_0000_0000;
const MEMORY_BYTES: usize = 0x1_fff8;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Vec<u8>, Vec<usize>)>>);

impl Memory {
    fn new() -> Self {
        let bytes = (0..MEMORY_BYTES).map(|n| (n * 7 / 5) as u8).collect();
        Self(Arc::new(Mutex::new((bytes, Vec::new()))))
    }

    fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let start = (address - MEMORY) as usize;
        self.0.lock().unwrap().0[start..start + count].to_vec()
    }

    fn interrupts(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }
}

impl Host for Memory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(MEMORY).ok_or(Unmapped)? as usize;
        let state = self.0.lock().unwrap();
        data.copy_from_slice(state.0.get(start..start + data.len()).ok_or(Unmapped)?);
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(MEMORY).ok_or(Unmapped)? as usize;
        let mut state = self.0.lock().unwrap();
        let target = state.0.get_mut(start..start + data.len()).ok_or(Unmapped)?;
        target.copy_from_slice(data);
        Ok(())
    }

    fn interrupt(&mut self, vector: usize) {
        self.0.lock().unwrap().1.push(vector);
    }
}

/// An endpoint with registers, which sends what a test tells it to.
#[derive(Default)]
struct Endpoint {
    cycle: u64,
    registers: BTreeMap<u64, u32>,
    arriving: VecDeque<(Vec<u32>, u8)>,
    leaving: VecDeque<Vec<u32>>,
    completions: Vec<(u64, Completion)>,
    /// Answers reads of registers with this in place of data.
    failure: Option<Status>,
    is_deaf: bool,
}

impl Endpoint {
    fn send(&mut self, tlp: &Tlp) {
        self.leaving.push_back(tlp.encode());
    }

    fn read(&mut self, tag: u8, address: u64, dwords: u16, first: u8, last: u8) {
        let request = Request {
            first_enable: first,
            last_enable: last,
            ..Request::whole(CARD_ID, tag, address, dwords.into())
        };
        self.send(&Tlp::MemoryRead { request, dwords });
    }

    fn serve(&mut self, packet: &[u32], bar: u8) {
        match Tlp::decode(packet).unwrap() {
            Tlp::MemoryWrite { request, data, .. } => {
                assert_eq!((bar, request.requester), (1, ROOT_ID));
                let value = u32::from_le_bytes(data.try_into().unwrap());
                self.registers.insert(request.address - BAR0_ADDRESS, value);
            }
            Tlp::MemoryRead { request, dwords } => {
                assert_eq!((bar, dwords), (1, 1));
                let value = self.registers.get(&(request.address - BAR0_ADDRESS));
                let value = value.copied().unwrap_or(0);
                let data = value.to_le_bytes().to_vec();
                let completion = Completion {
                    completer: CARD_ID,
                    status: self.failure.unwrap_or(Status::Successful),
                    byte_count: 4,
                    requester: request.requester,
                    tag: request.tag,
                    lower_address: request.lower_address(),
                    data: if self.failure.is_some() { vec![] } else { data },
                    is_poisoned: false,
                };
                self.send(&Tlp::Completion(completion));
            }
            Tlp::Completion(completion) => {
                assert_eq!((bar, completion.requester), (0, CARD_ID));
                self.completions.push((self.cycle, completion));
            }
        }
    }
}

impl Pins for Endpoint {
    fn cycle(&self) -> u64 {
        self.cycle
    }

    fn clocks(&mut self, max: u64) {
        assert!(max > 0);
        if !self.is_deaf {
            while let Some((packet, bar)) = self.arriving.pop_front() {
                self.serve(&packet, bar);
            }
        }
        self.cycle += if self.leaving.is_empty() { max } else { 1 };
    }

    fn offer(&mut self, packet: &[u32], bar: u8) {
        self.arriving.push_back((packet.to_vec(), bar));
    }

    fn is_taken(&self) -> bool {
        self.arriving.is_empty()
    }

    fn take(&mut self) -> Option<Vec<u32>> {
        self.leaving.pop_front()
    }
}

const ON: Function = Function {
    bus_master: true,
    max_payload: 256,
    max_read_request: 512,
    msix_enable: true,
    msix_mask: false,
};

fn bench(settings: Settings) -> (RootComplex, Endpoint, Memory) {
    let memory = Memory::new();
    let mut root = RootComplex::new(settings);
    root.set_host(Some(Box::new(memory.clone())));
    root.set_function(ON);
    (root, Endpoint::default(), memory)
}

/// All completions of one read, put together; checked for order and cuts.
fn assemble(
    endpoint: &mut Endpoint,
    tag: u8,
    first: u64,
    count: usize,
    settings: &Settings,
) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    let mut at = first;
    let end = first + count as u64;
    let parts: Vec<_> = endpoint
        .completions
        .extract_if(.., |(_, c)| c.tag == tag)
        .collect();
    for (_, part) in parts {
        if part.status != Status::Successful {
            return Err(part.status);
        }
        assert_eq!(u64::from(part.byte_count), end - at);
        assert_eq!(u64::from(part.lower_address), at & 0x7f);
        assert!(part.data.len() <= ON.max_payload.into());
        let skipped = (at & 3) as usize;
        let useful = (part.data.len() - skipped).min((end - at) as usize);
        bytes.extend_from_slice(&part.data[skipped..skipped + useful]);
        at += useful as u64;
        let boundary = u64::from(settings.read_completion_boundary);
        assert!(at == end || at.is_multiple_of(boundary), "cut at {at:#x}");
    }
    assert_eq!(at, end, "all of it came");
    Ok(bytes)
}

#[test]
fn register_accesses_are_packets_to_bar_0() {
    let (mut root, mut endpoint, _) = bench(Settings::default());
    root.write_register(&mut endpoint, 0x110, 0x1122_3344);
    assert_eq!(root.read_register(&mut endpoint, 0x110), 0x1122_3344);
    assert_eq!(root.read_register(&mut endpoint, 0x17c), 0);
    assert_eq!(endpoint.registers.len(), 1);
    endpoint.failure = Some(Status::Unsupported);
    assert_eq!(root.read_register(&mut endpoint, 0x110), u32::MAX);
    assert_eq!(root.fault(), None, "a card may refuse");
    endpoint.is_deaf = true;
    assert_eq!(root.read_register(&mut endpoint, 0x110), u32::MAX);
    assert!(
        root.fault()
            .unwrap()
            .contains("no completion for a read of 0x110")
    );
    let (mut root, _, _) = bench(Settings::default());
    root.write_register(&mut endpoint, 0x110, 1);
    assert!(root.fault().unwrap().contains("not taken"));
}

#[test]
fn reads_are_answered_byte_for_byte_however_they_are_cut_and_mixed() {
    // Completions when they are cut only where they must be.
    let mut whole = BTreeMap::new();
    for (boundary, is_splitting, is_reordering) in [
        (64, false, false),
        (128, false, false),
        (64, true, false),
        (128, true, true),
        (64, true, true),
    ] {
        let settings = Settings {
            read_completion_boundary: boundary,
            latency: (3, 90),
            is_splitting,
            is_reordering,
            seed: 7,
            ..Settings::default()
        };
        let (mut root, mut endpoint, memory) = bench(settings);
        let shapes = [
            (0u64, 1u16, 0b1111u8, 0u8),
            (4, 1, 0b0110, 0),
            (0x7c, 2, 0b1000, 0b0001),
            (0x1234, 128, 0b1110, 0b0111),
            (0x2e00, 128, 0b1111, 0b1111),
            (0x3abc, 17, 0b1100, 0b1111),
        ];
        let mut orders = BTreeSet::new();
        let mut parts = 0;
        for _ in 0..50 {
            for (tag, (offset, dwords, first, last)) in (0..).zip(shapes) {
                endpoint.read(tag, MEMORY + offset, dwords, first, last);
            }
            root.run(&mut endpoint, 3_000);
            assert_eq!(root.fault(), None);
            parts += endpoint.completions.len();
            orders.insert(
                endpoint
                    .completions
                    .iter()
                    .map(|(_, c)| c.tag)
                    .collect::<Vec<_>>(),
            );
            for (tag, (offset, dwords, first, last)) in (0..).zip(shapes) {
                let start = MEMORY + offset + u64::from(first.trailing_zeros());
                let last = if dwords == 1 { first } else { last };
                let end =
                    MEMORY + offset + 4 * u64::from(dwords) - u64::from(last.leading_zeros() - 4);
                let count = (end - start) as usize;
                let bytes = assemble(&mut endpoint, tag, start, count, &settings);
                assert_eq!(bytes, Ok(memory.bytes(start, count)), "tag {tag}");
            }
        }
        assert_eq!(orders.len() > 10, is_reordering || is_splitting);
        if is_splitting {
            assert!(parts > whole[&boundary], "{parts} of {whole:?}");
        } else {
            whole.insert(boundary, parts);
        }
        let is_sorted = orders.iter().all(|order| order.is_sorted());
        assert_eq!(is_sorted, !is_reordering);
    }
}

#[test]
fn completions_keep_the_latency_of_the_settings() {
    let settings = Settings {
        latency: (500, 700),
        ..Settings::default()
    };
    let (mut root, mut endpoint, _) = bench(settings);
    for tag in 0..20 {
        let start = endpoint.cycle;
        endpoint.read(tag, MEMORY, 1, 0xf, 0);
        root.run(&mut endpoint, 1_000);
        let (clock, _) = endpoint.completions.pop().unwrap();
        assert!((500..=702).contains(&(clock - start)), "{}", clock - start);
    }
}

#[test]
fn unmapped_reads_are_unsupported_and_unmapped_writes_vanish() {
    let (mut root, mut endpoint, _) = bench(Settings::default());
    endpoint.read(1, 0x1000, 4, 0xf, 0xf);
    endpoint.read(2, MEMORY + MEMORY_BYTES as u64 - 8, 4, 0xf, 0xf);
    endpoint.send(&Tlp::MemoryWrite {
        request: Request::whole(CARD_ID, 0, 0x1000, 1),
        data: vec![1; 4],
        is_poisoned: false,
    });
    root.run(&mut endpoint, 1_000);
    for tag in [1, 2] {
        let failed = assemble(&mut endpoint, tag, 0, 16, root.settings());
        assert_eq!(failed, Err(Status::Unsupported));
    }
    root.set_host(None);
    endpoint.read(3, MEMORY, 1, 0xf, 0);
    root.run(&mut endpoint, 1_000);
    let failed = assemble(&mut endpoint, 3, 0, 4, root.settings());
    assert_eq!((failed, root.fault()), (Err(Status::Unsupported), None));
}

#[test]
fn writes_reach_memory_in_order_and_interrupts_their_vector() {
    let (mut root, mut endpoint, memory) = bench(Settings::default());
    let write = |address, data: Vec<u8>| Tlp::MemoryWrite {
        request: Request::whole(CARD_ID, 0, address, data.len() / 4),
        data,
        is_poisoned: false,
    };
    endpoint.send(&write(MEMORY + 0x100, vec![1; 256]));
    endpoint.send(&write(MEMORY + 0x104, vec![2; 4]));
    endpoint.send(&write(MESSAGE_ADDRESS, vec![5, 0, 0, 0]));
    // A read behind them sees what they wrote.
    endpoint.read(0, MEMORY + 0x100, 2, 0xf, 0xf);
    root.run(&mut endpoint, 500);
    assert_eq!(
        memory.bytes(MEMORY + 0x0ff, 10)[1..],
        [1, 1, 1, 1, 2, 2, 2, 2, 1]
    );
    let seen = assemble(&mut endpoint, 0, MEMORY + 0x100, 8, root.settings());
    assert_eq!(seen, Ok(vec![1, 1, 1, 1, 2, 2, 2, 2]));
    assert_eq!((memory.interrupts(), root.fault()), (vec![5], None));
}

#[test]
fn faults_come_as_often_as_the_settings_say_and_twice_the_same() {
    let settings = Settings {
        is_splitting: true,
        faults: Faults {
            dropped: 100,
            poisoned: 100,
            unsupported: 100,
            aborted: 100,
        },
        seed: 3,
        ..Settings::default()
    };
    let run = || {
        let (mut root, mut endpoint, _) = bench(settings);
        let mut counts = [0; 5];
        for n in 0..1000u32 {
            let tag = (n % 32) as u8;
            endpoint.read(tag, MEMORY, 128, 0xf, 0xf);
            root.run(&mut endpoint, 300);
            let parts: Vec<_> = endpoint.completions.drain(..).collect();
            let last = parts.last().map(|(_, c)| c);
            let is_whole = last.is_some_and(|c| usize::from(c.byte_count) == c.data.len());
            counts[match last.map(|c| c.status) {
                _ if parts.iter().any(|(_, c)| c.is_poisoned) => 1,
                Some(Status::Unsupported) => 2,
                Some(Status::Aborted) => 3,
                _ if is_whole => 4,
                _ => 0,
            }] += 1;
        }
        assert_eq!(root.fault(), None);
        counts
    };
    let counts = run();
    assert!(
        counts[..4].iter().all(|count| (60..150).contains(count)),
        "{counts:?}"
    );
    assert_eq!(counts, run());
}

#[test]
fn what_the_specification_forbids_is_a_fault_of_the_card() {
    let request = |address, dwords: usize| Request::whole(CARD_ID, 0, address, dwords);
    let read = |request, dwords| Tlp::MemoryRead { request, dwords }.encode();
    let write = |request, count: usize| Tlp::MemoryWrite {
        request,
        data: vec![0; count],
        is_poisoned: false,
    };
    let stray = Completion {
        completer: CARD_ID,
        status: Status::Successful,
        byte_count: 4,
        requester: ROOT_ID,
        tag: 0,
        lower_address: 0,
        data: vec![0; 4],
        is_poisoned: false,
    };
    let mut poisoned = write(request(MEMORY, 1), 4);
    if let Tlp::MemoryWrite { is_poisoned, .. } = &mut poisoned {
        *is_poisoned = true;
    }
    let off = Function {
        bus_master: false,
        ..ON
    };
    let masked = Function {
        msix_mask: true,
        ..ON
    };
    let foreign = Request {
        requester: 0x0200,
        ..request(MEMORY, 1)
    };
    let message = request(MESSAGE_ADDRESS, 1);
    for (function, packet, reason) in [
        (
            ON,
            read(request(MEMORY, 129), 129),
            "read of 516 bytes, 512 are allowed",
        ),
        (
            ON,
            write(request(MEMORY, 65), 260).encode(),
            "write of 260 bytes, 256 are allowed",
        ),
        (ON, read(request(MEMORY + 0xffc, 2), 2), "4 KiB"),
        (off, read(request(MEMORY, 1), 1), "bus mastering is off"),
        (
            off,
            write(request(MEMORY, 1), 4).encode(),
            "bus mastering is off",
        ),
        (ON, read(foreign, 1), "requester 0x0200"),
        (ON, poisoned.encode(), "poisoned"),
        (masked, write(message, 4).encode(), "MSI-X is off or masked"),
        (ON, Tlp::Completion(stray).encode(), "nobody waits"),
        (
            ON,
            vec![0x6000_0001, 0x0100_000f, 0, 0x1000, 0],
            "long address below 4 GiB",
        ),
    ] {
        let (mut root, mut endpoint, _) = bench(Settings::default());
        root.set_function(function);
        // What was on its way when configuration space changed may still come.
        endpoint.leaving.push_back(packet.clone());
        root.run(&mut endpoint, 300);
        let is_late = function != ON;
        assert!(
            !is_late || root.fault().is_none(),
            "{reason}: {:?}",
            root.fault()
        );
        endpoint.leaving.push_back(packet);
        root.run(&mut endpoint, 10);
        let fault = root.fault().unwrap_or("none");
        assert!(fault.contains(reason), "{reason}: {fault}");
        assert!(
            fault.starts_with(if is_late { "clock 301:" } else { "clock 1:" }),
            "{fault}"
        );
    }
    let (mut root, mut endpoint, _) = bench(Settings::default());
    endpoint.read(9, MEMORY, 1, 0xf, 0);
    endpoint.read(9, MEMORY, 1, 0xf, 0);
    root.run(&mut endpoint, 10);
    assert!(root.fault().unwrap().contains("tag 9, which is in use"));
}
