//! The whole board at its pins: tables by the serial line, frames in at one port's RGMII and out at the other's.
//!
//! Frames are built, and expected, with etherparse; their check sequence comes from crc32fast. A clock is 8 ns.
//! `POSTERN_BOARD_VERILOG` names a file to judge in place of the printed Verilog: what a tool made of it.

mod support;

use std::collections::VecDeque;

use etherparse::PacketBuilder;
use layout::csr;
use layout::hash::flow_index;
use layout::table::{Adjacency, FlowAction, FlowEntry, Interface, Key, Operation, Table};
use layout::uart::{BAUD, UartAnswer};
use support::ports::Port;
use support::random::Random;
use support::uart::{read, request, write};
use support::verilated::Verilated;

const OUTSIDE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];
const INSIDE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const PEER: [u8; 4] = [198, 51, 100, 7];
const PUBLIC: [u8; 4] = [192, 0, 2, 10];
const SERVER: [u8; 4] = [10, 0, 0, 10];
const PEER_PORT: u16 = 40_000;
const PUBLIC_PORT: u16 = 5061;
const SERVER_PORT: u16 = 15_061;

/// Clocks in a bit of the serial line.
const BIT: u64 = 125_000_000 / BAUD as u64;
/// Clocks at once while only the serial line is busy.
const STEP: u64 = BIT / 5;
/// Preamble and start delimiter.
const PREAMBLE: [u8; 8] = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5];
/// Least gap between frames, bytes.
const GAP: usize = 12;

/// A frame that a port sent, and the clock of its first byte behind the preamble.
struct Sent {
    clock: u64,
    /// With its check sequence.
    bytes: Vec<u8>,
}

/// One port's wires.
#[derive(Default)]
struct Wires {
    /// What the PHY says: byte, carrier, error.
    says: VecDeque<(u8, bool, bool)>,
    /// What the PHY hears, preamble and all.
    hears: Vec<u8>,
    /// Clock of its first byte behind the preamble.
    started: u64,
    sent: Vec<Sent>,
}

struct Board {
    dut: Verilated,
    wires: [Wires; 2],
    line_out: VecDeque<bool>,
    line_in: Vec<u8>,
    /// Clock of the start bit that is being read.
    start: Option<u64>,
    bits: u16,
    /// Bits of the byte that were seen.
    count: u64,
    /// Clock at which the line to the card may change.
    next_bit: u64,
    sequence: u16,
}

impl Board {
    /// Out of reset, nothing loaded.
    fn new(name: &str) -> Self {
        let board = match std::env::var_os("POSTERN_BOARD_VERILOG") {
            None => hdl::emit_versa(0, 0),
            Some(file) => std::fs::read_to_string(file).expect("the file is there"),
        };
        let verilog = [
            include_str!("support/board.v"),
            include_str!("support/ecp5.v"),
            &board,
        ]
        .concat();
        let mut board = Self {
            dut: Verilated::of_text(name, &verilog, &ports(), "-O1"),
            wires: Default::default(),
            line_out: VecDeque::new(),
            line_in: Vec::new(),
            start: None,
            bits: 0,
            count: 0,
            next_bit: 0,
            sequence: 0,
        };
        board.dut.set("reset_n", true);
        for _ in 0..40 {
            board.tick();
        }
        board.ask(&[]);
        board
    }

    fn tick(&mut self) {
        self.run(1);
    }

    /// Runs some clocks; more than one only while the ports are quiet.
    fn run(&mut self, clocks: u64) {
        for (port, wires) in self.wires.iter_mut().enumerate() {
            let (byte, carrier, error) = wires.says.pop_front().unwrap_or_default();
            self.dut.set(&format!("phy{port}_rx"), byte);
            self.dut.set(&format!("phy{port}_dv"), carrier);
            self.dut.set(&format!("phy{port}_er"), error);
        }
        if self.dut.clocks >= self.next_bit {
            let level = self.line_out.pop_front().unwrap_or(true);
            self.dut.set("uart_rx", level);
            self.next_bit = self.dut.clocks + BIT;
        }
        self.dut.run(clocks as u32);
        for port in 0..2 {
            self.hear(port);
        }
        self.listen();
    }

    /// A byte at a port's transmit pins.
    fn hear(&mut self, port: usize) {
        let byte = self.dut.get(&format!("phy{port}_tx")) as u8;
        let carrier = self.dut.get(&format!("phy{port}_en")) == 1;
        assert_eq!(self.dut.get(&format!("phy{port}_tx_er")), 0, "port {port}");
        let wires = &mut self.wires[port];
        if carrier {
            wires.hears.push(byte);
            if wires.hears.len() == PREAMBLE.len() {
                wires.started = self.dut.clocks + 1;
            }
        } else if !wires.hears.is_empty() {
            let heard = std::mem::take(&mut wires.hears);
            assert_eq!(heard[..8], PREAMBLE, "port {port}");
            wires.sent.push(Sent {
                clock: wires.started,
                bytes: heard[8..].to_vec(),
            });
        }
    }

    /// The card's end of the serial line, looked at about the middle of each bit.
    fn listen(&mut self) {
        let level = self.dut.get("uart_tx") == 1;
        match self.start {
            None if !level => {
                self.start = Some(self.dut.clocks);
                self.bits = 0;
                self.count = 0;
            }
            None => {}
            Some(start) => {
                if self.dut.clocks - start >= self.count * BIT + BIT / 2 - STEP {
                    self.bits |= u16::from(level) << self.count;
                    self.count += 1;
                }
                if self.count == 10 {
                    assert_eq!(self.bits & 0x201, 0x200, "start and stop bit");
                    self.line_in.push((self.bits >> 1) as u8);
                    self.start = None;
                }
            }
        }
    }

    /// Sends a request and returns the words of its answer.
    fn ask(&mut self, words: &[u32]) -> Vec<u32> {
        self.sequence += 1;
        for byte in request(self.sequence, words) {
            self.line_out.push_back(false);
            self.line_out.extend((0..8).map(|bit| byte >> bit & 1 == 1));
            self.line_out.push_back(true);
        }
        self.line_in.clear();
        let limit = self.dut.clocks + 600 * 10 * BIT + 2_000_000;
        loop {
            self.run(STEP);
            assert!(self.dut.clocks < limit, "no answer: {:x?}", self.line_in);
            let words: Vec<u32> = self
                .line_in
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect();
            let Some(head) = words.first() else { continue };
            let head = UartAnswer::unpack(&[*head]);
            if words.len() == usize::from(head.words) + 2 {
                assert_eq!(head.sequence, self.sequence);
                return words[1..words.len() - 1].to_vec();
            }
        }
    }

    /// Writes entries of a table.
    fn load(&mut self, table: Table, entries: &[(usize, Vec<u32>)]) {
        for (index, entry) in entries {
            let command = table as u32 | (Operation::Write as u32) << 4;
            let words = [
                write(csr::TABLE_INDEX as u16, &[*index as u32]),
                write(csr::TABLE_DATA as u16, entry),
                write(csr::TABLE_COMMAND as u16, &[command]),
                read(csr::TABLE_STATUS as u16, 1),
            ]
            .concat();
            assert_eq!(self.ask(&words), [0], "{table:?} {index}");
        }
    }

    /// Two interfaces, two next hops, and one connection through a static PAT.
    fn load_connection(&mut self) {
        let interface = |port: u8, mac: [u8; 6]| Interface {
            valid: true,
            port,
            tagged: false,
            vid: 0,
            mac: address(mac),
        };
        let hop = |interface: u8, mac: [u8; 6]| Adjacency {
            valid: true,
            interface,
            mac: address(mac),
        };
        self.load(
            Table::Interface,
            &[
                (0, interface(0, OUTSIDE_MAC).pack().to_vec()),
                (1, interface(1, INSIDE_MAC).pack().to_vec()),
            ],
        );
        self.load(
            Table::Adjacency,
            &[
                (0, hop(0, PEER_MAC).pack().to_vec()),
                (1, hop(1, SERVER_MAC).pack().to_vec()),
            ],
        );
        let inbound = Key {
            dport: PUBLIC_PORT,
            sport: PEER_PORT,
            dst: u32::from_be_bytes(PUBLIC),
            src: u32::from_be_bytes(PEER),
            proto: 6,
            interface: 0,
        };
        let outbound = Key {
            dport: PEER_PORT,
            sport: SERVER_PORT,
            dst: u32::from_be_bytes(PEER),
            src: u32::from_be_bytes(SERVER),
            proto: 6,
            interface: 1,
        };
        let flows = [
            (
                inbound,
                FlowAction {
                    valid: true,
                    punt: false,
                    translate_source: false,
                    translate_destination: true,
                    adjacency: 1,
                    l4_port: SERVER_PORT,
                    address: u32::from_be_bytes(SERVER),
                },
            ),
            (
                outbound,
                FlowAction {
                    valid: true,
                    punt: false,
                    translate_source: true,
                    translate_destination: false,
                    adjacency: 0,
                    l4_port: PUBLIC_PORT,
                    address: u32::from_be_bytes(PUBLIC),
                },
            ),
        ];
        let flows = flows.map(|(key, action)| {
            (
                flow_index(0, &key),
                FlowEntry::new(key, action).pack().to_vec(),
            )
        });
        self.load(Table::Flow, &flows);
        self.ask(&write(csr::CONTROL as u16, &[csr::CONTROL_ENABLE]));
    }

    /// Puts a frame on a port's wires. Returns the clock of its first byte behind the preamble, when it goes at once.
    fn receive(&mut self, port: usize, frame: &[u8]) -> u64 {
        let bytes = with_check(frame);
        self.receive_bytes(port, &bytes)
    }

    fn receive_bytes(&mut self, port: usize, bytes: &[u8]) -> u64 {
        let says = &mut self.wires[port].says;
        let at = self.dut.clocks + says.len() as u64 + PREAMBLE.len() as u64 + 1;
        says.extend(
            PREAMBLE
                .iter()
                .chain(bytes)
                .map(|byte| (*byte, true, false)),
        );
        says.extend([(0, false, false); GAP]);
        at
    }

    /// Runs until the wires are quiet, and returns what the ports sent.
    fn settle(&mut self) -> [Vec<Sent>; 2] {
        while self.wires.iter().any(|wires| !wires.says.is_empty()) {
            self.tick();
        }
        for _ in 0..3000 {
            self.tick();
        }
        std::mem::take(&mut self.wires).map(|wires| wires.sent)
    }

    /// The counters of what the ports met.
    fn faults(&mut self) -> Vec<u32> {
        self.ask(&read(csr::PORT_FAULTS as u16, 16))
    }
}

fn ports() -> Vec<Port> {
    let port = |name: &str, is_input, width| Port {
        name: name.into(),
        is_input,
        width,
        value: String::new(),
    };
    let mut ports = vec![
        port("clock", true, 1),
        port("reset_n", true, 1),
        port("uart_rx", true, 1),
        port("uart_tx", false, 1),
        port("led", false, 8),
    ];
    for phy in ["phy0", "phy1"] {
        ports.extend([
            port(&format!("{phy}_rx"), true, 8),
            port(&format!("{phy}_dv"), true, 1),
            port(&format!("{phy}_er"), true, 1),
            port(&format!("{phy}_tx"), false, 8),
            port(&format!("{phy}_en"), false, 1),
            port(&format!("{phy}_tx_er"), false, 1),
            port(&format!("{phy}_runs"), false, 1),
        ]);
    }
    ports
}

fn address(mac: [u8; 6]) -> u64 {
    mac.iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A frame with its check sequence.
fn with_check(frame: &[u8]) -> Vec<u8> {
    [frame, &crc32fast::hash(frame).to_le_bytes()].concat()
}

/// Whether the last four bytes check the others.
fn is_sound(bytes: &[u8]) -> bool {
    let (frame, check) = bytes.split_at(bytes.len() - 4);
    crc32fast::hash(frame).to_le_bytes() == check
}

/// One end of a segment: MAC address, address, port.
type End = ([u8; 6], [u8; 4], u16);

/// A TCP segment from one end to the other.
fn segment(from: End, to: End, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(from.1, to.1, 64)
        .tcp(from.2, to.2, sequence, 1024)
        .ack(1)
        .write(&mut frame, payload)
        .expect("memory is written");
    frame
}

/// From the peer to the server: as it comes, and as it must leave.
fn inbound(sequence: u32, payload: &[u8]) -> [Vec<u8>; 2] {
    let ways = [
        (
            (PEER_MAC, PEER, PEER_PORT),
            (OUTSIDE_MAC, PUBLIC, PUBLIC_PORT),
        ),
        (
            (INSIDE_MAC, PEER, PEER_PORT),
            (SERVER_MAC, SERVER, SERVER_PORT),
        ),
    ];
    ways.map(|(from, to)| segment(from, to, sequence, payload))
}

/// From the server to the peer: as it comes, and as it must leave.
fn outbound(sequence: u32, payload: &[u8]) -> [Vec<u8>; 2] {
    let ways = [
        (
            (SERVER_MAC, SERVER, SERVER_PORT),
            (INSIDE_MAC, PEER, PEER_PORT),
        ),
        (
            (OUTSIDE_MAC, PUBLIC, PUBLIC_PORT),
            (PEER_MAC, PEER, PEER_PORT),
        ),
    ];
    ways.map(|(from, to)| segment(from, to, sequence, payload))
}

/// Bytes that make a frame of this length, check sequence included.
fn payload(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length - 58).map(|_| random.bits() as u8).collect()
}

#[test]
fn a_connection_passes_both_ports_at_line_rate_and_broken_frames_leave_broken() {
    let mut random = Random(17);
    let mut board = Board::new("board-pins");
    let ident = board.ask(&read(csr::MAGIC as u16, 7));
    assert_eq!(ident[0], csr::MAGIC_VALUE);
    assert_eq!(
        u64::from(ident[1]) | u64::from(ident[2]) << 32,
        layout::LAYOUT_HASH
    );
    assert_eq!(ident[6], csr::BOARD_VERSA_ECP5);
    board.load_connection();

    // One alone, of several lengths: the way through takes as long for all.
    let mut latencies = Vec::new();
    for length in [64, 65, 71, 72, 200, 1518] {
        let [frame, expected] = inbound(length as u32, &payload(&mut random, length));
        let at = board.receive(0, &frame);
        let [outside, inside] = board.settle();
        assert!(outside.is_empty());
        assert_eq!(inside.len(), 1, "{length} bytes");
        assert_eq!(inside[0].bytes, with_check(&expected), "{length} bytes");
        latencies.push((length, inside[0].clock - at));
    }
    for (length, clocks) in &latencies {
        println!(
            "{length:5} bytes: {} ns from first byte to first byte",
            8 * clocks
        );
    }
    let least = latencies
        .iter()
        .map(|(_, clocks)| *clocks)
        .min()
        .unwrap_or(0);
    let most = latencies
        .iter()
        .map(|(_, clocks)| *clocks)
        .max()
        .unwrap_or(0);
    assert!(
        most - least <= 8,
        "within a beat of a gigabit port: {latencies:?}"
    );

    // Both ways at once, back to back: nothing is lost, nothing waits for ever.
    let mut expected = [Vec::new(), Vec::new()];
    for sequence in 0..60 {
        let long = random.chance(30);
        let length = if long {
            1518
        } else {
            64 + random.below(100) as usize
        };
        let [frame, leaves] = inbound(sequence, &payload(&mut random, length));
        board.receive(0, &frame);
        expected[1].push(with_check(&leaves));
    }
    for sequence in 0..200 {
        let length = 64 + random.below(64) as usize;
        let [frame, leaves] = outbound(sequence, &payload(&mut random, length));
        board.receive(1, &frame);
        expected[0].push(with_check(&leaves));
    }
    let sent = board.settle();
    for port in 0..2 {
        let bytes: Vec<&Vec<u8>> = sent[port].iter().map(|sent| &sent.bytes).collect();
        assert_eq!(bytes.len(), expected[port].len(), "port {port}");
        assert!(bytes.into_iter().eq(&expected[port]), "port {port}");
    }
    assert!(board.faults().iter().all(|count| *count == 0));

    // A broken frame leaves broken, and the next one is sound.
    let [frame, _] = inbound(7, &payload(&mut random, 300));
    let mut bytes = with_check(&frame);
    bytes[200] ^= 0x10;
    board.receive_bytes(0, &bytes);
    let [frame, leaves] = inbound(8, &payload(&mut random, 90));
    board.receive(0, &frame);
    let [_, inside] = board.settle();
    assert_eq!(inside.len(), 2);
    assert!(!is_sound(&inside[0].bytes), "its check sequence says so");
    assert_eq!(inside[1].bytes, with_check(&leaves));
    let faults = board.faults();
    assert_eq!(
        faults[0], 1,
        "port 0 received one with a wrong check sequence"
    );
    assert_eq!(
        faults[csr::PORT_FAULT_KINDS + 5],
        1,
        "port 1 sent one poisoned"
    );
    assert_eq!(faults.iter().sum::<u32>(), 2);
}
