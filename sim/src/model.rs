//! The behavioural card: executes packed table entries behind BAR0, in plain Rust.
//!
//! Written from `hdl/CONTRACT.md` alone and never from the RTL, whose oracle it is; the two share
//! only `layout`. One clock is one packet: nothing overlaps, nothing waits, patterns have no effect.
//! Step numbers in comments are those of the contract.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use layout::csr;
use layout::desc::{
    HOST_PORT, InjectDescriptor, Metadata, NO_ACE, NO_DESTINATION, NO_FLOW, NO_INTERFACE, Reason,
    Verdict,
};
use layout::simulator::STAGES;
use layout::table::{FlowEntry, HOST_FRAME_BYTES, PORTS};

use crate::bus::{Function, Host};
use crate::card::{Body, Card, Record};

/// BAR0: address decode, windows.
mod bar;
/// The steps of the contract in order.
mod classify;
/// Rings in host memory.
mod dma;
/// MSI-X vectors.
mod interrupts;
/// Frame bytes to header fields.
mod parse;
/// The bounded buffer of punted frames.
mod punt;
/// The only place that changes a frame.
mod rewrite;
/// Tables and what is precomputed from them.
mod tables;

use dma::Dma;
use punt::PuntBuffer;
use tables::Tables;

/// The behavioural card.
pub struct Model {
    beat_bytes: usize,
    control: u32,
    epoch: u8,
    policy: u32,
    scratch: u32,
    tables: Tables,
    table_index: [u32; 2],
    table_data: [u32; 16],
    table_refused: bool,
    counters: [u64; csr::COUNTER_COUNT],
    counter_high: u32,
    punt: PuntBuffer,
    inject_window: Vec<u8>,
    inject_refused: bool,
    dma: Dma,
    host: Option<Box<dyn Host>>,
    function: Function,
    ingress: [VecDeque<Vec<u8>>; PORTS],
    next_port: usize,
    cycle: u64,
    records: VecDeque<Record>,
}

/// What the classification decided about one frame.
struct Judgement {
    metadata: Metadata,
    /// Stages the frame passed, bit n for `STAGES[n]`.
    stages: u8,
    /// The flow and how to forward by it, when the verdict is forward.
    forward: Option<rewrite::Forward>,
}

impl Model {
    /// A card after power-on whose streams are this many bits wide (64, 512, …).
    ///
    /// # Panics
    /// If the width is not a whole number of bytes.
    pub fn new(data_width: usize) -> Self {
        assert!(
            data_width >= 8 && data_width.is_multiple_of(8),
            "a beat is a whole number of bytes"
        );
        let beat_bytes = data_width / 8;
        Self {
            beat_bytes,
            control: csr::CONTROL_DROP_NOT_SYN,
            epoch: 0,
            policy: 0,
            scratch: 0,
            tables: Tables::new(),
            table_index: [0; 2],
            table_data: [0; 16],
            table_refused: false,
            counters: [0; csr::COUNTER_COUNT],
            counter_high: 0,
            punt: PuntBuffer::new(beat_bytes),
            inject_window: vec![0; window_bytes(csr::INJECT_WINDOW)],
            inject_refused: false,
            dma: Dma::default(),
            host: None,
            function: Function::default(),
            ingress: Default::default(),
            next_port: 0,
            cycle: 0,
            records: VecDeque::new(),
        }
    }

    /// Takes the next frame in round-robin order; false when none waits.
    fn take_one(&mut self) -> bool {
        for i in 0..PORTS {
            let port = (self.next_port + i) % PORTS;
            if let Some(frame) = self.ingress[port].pop_front() {
                self.next_port = (port + 1) % PORTS;
                self.count(csr::RX_FRAMES_0 + port as u32, 1);
                self.count(csr::RX_BYTES_0 + port as u32, frame.len() as u64);
                self.process(port as u8, frame, false);
                return true;
            }
        }
        false
    }

    /// A frame from the arbiter to its end.
    fn process(&mut self, port: u8, frame: Vec<u8>, reinjected: bool) {
        self.cycle += 1;
        let judgement = self.classify(port, &frame, reinjected);
        self.finish(judgement, port, frame);
    }

    /// A frame the host injects for a port: no step of the classification applies.
    fn process_direct(&mut self, egress: u8, frame: Vec<u8>) {
        self.cycle += 1;
        let metadata = Metadata {
            port: HOST_PORT,
            reason: Reason::HostInject as u8,
            verdict: Verdict::Forward as u8,
            ..self.unknown()
        };
        let forward = Some(rewrite::Forward::untouched(egress));
        self.finish(
            Judgement {
                metadata,
                stages: 0b1110_0001,
                forward,
            },
            HOST_PORT,
            frame,
        );
    }

    /// Counts, sends or punts, and records the verdict.
    fn finish(&mut self, judgement: Judgement, port: u8, mut frame: Vec<u8>) {
        let Judgement {
            metadata,
            stages,
            forward,
        } = judgement;
        self.count(u32::from(metadata.reason), 1);
        if let Some(forward) = forward {
            forward.apply(&mut frame);
            self.count(csr::TX_FRAMES_0 + u32::from(forward.port), 1);
            self.count(
                csr::TX_BYTES_0 + u32::from(forward.port),
                frame.len() as u64,
            );
            self.record(forward.port, Body::Frame(frame));
        } else if metadata.verdict == Verdict::Punt as u8 {
            let length = frame.len() as u64;
            if self.punt.push(metadata, frame) {
                self.count(csr::TX_FRAMES_HOST, 1);
                self.count(csr::TX_BYTES_HOST, length);
            } else {
                self.count(csr::PUNT_OVERFLOW, 1);
            }
        }
        let cycle = self.cycle;
        let stages = std::array::from_fn(|n| if stages >> n & 1 == 1 { cycle } else { 0 });
        self.record(port, Body::Verdict { metadata, stages });
    }

    /// Metadata of a frame of which nothing is known yet.
    fn unknown(&self) -> Metadata {
        Metadata {
            interface: NO_INTERFACE,
            generation: (self.policy >> 8) as u8,
            ace: NO_ACE,
            destination: NO_DESTINATION,
            flow: NO_FLOW,
            ..Metadata::default()
        }
    }

    /// Runs the submit register: refused, or taken in at once.
    fn submit(&mut self, descriptor: InjectDescriptor) {
        let length = usize::from(descriptor.length);
        self.inject_refused =
            !(14..=HOST_FRAME_BYTES).contains(&length) || usize::from(descriptor.port) >= PORTS;
        if self.inject_refused {
            return;
        }
        self.accept(descriptor, self.inject_window[..length].to_vec());
    }

    /// Takes in a frame of the host, by whichever way it came.
    fn accept(&mut self, descriptor: InjectDescriptor, frame: Vec<u8>) {
        self.count(csr::RX_FRAMES_HOST, 1);
        self.count(csr::RX_BYTES_HOST, frame.len() as u64);
        if descriptor.lookup {
            self.process(descriptor.port, frame, true);
        } else {
            self.process_direct(descriptor.port, frame);
        }
    }

    /// What a flow slot counts for every packet that hits it, whatever then becomes of it.
    fn count_flow(&mut self, slot: usize, frame_bytes: usize, tcp_flags: u8) {
        let stats = &mut self.tables.stats[slot];
        stats.packets = stats.packets.wrapping_add(1) & ((1 << 28) - 1);
        stats.bytes = stats.bytes.wrapping_add(frame_bytes as u64) & ((1 << 34) - 1);
        stats.stamp = self.epoch;
        stats.fin |= tcp_flags & parse::TCP_FIN != 0;
        stats.rst |= tcp_flags & parse::TCP_RST != 0;
    }

    fn count(&mut self, counter: u32, amount: u64) {
        let value = &mut self.counters[counter as usize];
        *value = value.wrapping_add(amount);
    }

    fn record(&mut self, port: u8, body: Body) {
        self.records.push_back(Record {
            port,
            cycle_first: self.cycle,
            cycle_last: self.cycle,
            body,
        });
    }
}

impl Card for Model {
    fn bar_read(&mut self, offset: u32) -> u32 {
        self.read_register(offset)
    }

    fn bar_write(&mut self, offset: u32, value: u32) {
        self.write_register(offset, value);
    }

    fn reset(&mut self) {
        *self = Self {
            host: self.host.take(),
            function: self.function,
            ..Self::new(self.beat_bytes * 8)
        };
    }

    fn set_host(&mut self, host: Option<Box<dyn Host>>) {
        self.host = host;
    }

    fn set_function(&mut self, function: Function) {
        self.function = function;
        self.serve_rings();
    }

    fn function_reset(&mut self) {
        self.dma = Dma::default();
    }

    fn feed(&mut self, port: usize, frame: &[u8]) {
        assert!(
            !frame.is_empty() && frame.len() <= usize::from(u16::MAX),
            "frame length {}",
            frame.len()
        );
        self.ingress[port].push_back(frame.to_vec());
    }

    fn run(&mut self, max_clocks: u64) -> bool {
        let end = self.cycle.saturating_add(max_clocks);
        while self.cycle < end && self.take_one() {
            self.serve_rings();
        }
        loop {
            let open = self.dma.interrupts.next_open(&self.function);
            let Some(open) = open.filter(|open| *open <= end) else {
                return open.is_none() && self.ingress.iter().all(VecDeque::is_empty);
            };
            self.cycle = self.cycle.max(open);
            self.send_interrupts();
        }
    }

    fn step(&mut self, clocks: u64) {
        let end = self.cycle.saturating_add(clocks);
        self.run(clocks);
        self.cycle = end;
    }

    fn cycle(&self) -> u64 {
        self.cycle
    }

    fn set_ready_pattern(&mut self, _patterns: [u32; PORTS]) {}

    fn set_valid_pattern(&mut self, _pattern: u32) {}

    fn next_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    fn start_wave(&mut self, _path: &Path) -> io::Result<()> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the model card has no wires to trace",
        ))
    }

    fn stop_wave(&mut self) {}

    fn fault(&self) -> Option<String> {
        None
    }
}

/// Bytes of a window, by the register table.
fn window_bytes(offset: u32) -> usize {
    csr::REGISTERS
        .iter()
        .find(|r| r.offset == offset)
        .map_or(0, |r| r.count as usize * 4)
}

const _: () = assert!(STAGES.len() == 8 && FlowEntry::WORDS <= 8);
