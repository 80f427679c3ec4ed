//! The board with its PHYs and its serial line, clock by clock.
//!
//! `POSTERN_BOARD_VERILOG` names a file to judge in place of the printed Verilog: what a tool made of it.

use std::collections::VecDeque;

use layout::csr;
use layout::table::{Operation, Table};
use layout::uart::{BAUD, UartAnswer};

use super::ports::Port;
use super::uart::{read, request, write};
use super::verilated::Verilated;

/// Clocks in a bit of the serial line.
const BIT: u64 = 125_000_000 / BAUD as u64;
/// Clocks at once while only the serial line is busy.
const STEP: u64 = BIT / 5;
/// Preamble and start delimiter.
const PREAMBLE: [u8; 8] = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5];
/// Least gap between frames, bytes.
const GAP: usize = 12;

/// A frame that a port sent, and the clock of its first byte behind the preamble.
pub struct Sent {
    pub clock: u64,
    /// With its check sequence.
    pub bytes: Vec<u8>,
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

pub struct Board {
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
    pub fn new(name: &str) -> Self {
        let board = match std::env::var_os("POSTERN_BOARD_VERILOG") {
            None => hdl::emit_versa(0, 0),
            Some(file) => std::fs::read_to_string(file).expect("the file is there"),
        };
        let verilog = [include_str!("board.v"), include_str!("ecp5.v"), &board].concat();
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
    pub fn ask(&mut self, words: &[u32]) -> Vec<u32> {
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
    pub fn load(&mut self, table: Table, entries: &[(usize, Vec<u32>)]) {
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

    /// Puts a frame on a port's wires. Returns the clock of its first byte behind the preamble, when it goes at once.
    pub fn receive(&mut self, port: usize, frame: &[u8]) -> u64 {
        let bytes = with_check(frame);
        self.receive_bytes(port, &bytes)
    }

    pub fn receive_bytes(&mut self, port: usize, bytes: &[u8]) -> u64 {
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
    pub fn settle(&mut self) -> [Vec<Sent>; 2] {
        while self.wires.iter().any(|wires| !wires.says.is_empty()) {
            self.tick();
        }
        for _ in 0..3000 {
            self.tick();
        }
        std::mem::take(&mut self.wires).map(|wires| wires.sent)
    }

    /// The counters of what the ports met.
    pub fn faults(&mut self) -> Vec<u32> {
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

/// A frame with its check sequence.
pub fn with_check(frame: &[u8]) -> Vec<u8> {
    [frame, &crc32fast::hash(frame).to_le_bytes()].concat()
}

/// Whether the last four bytes check the others.
pub fn is_sound(bytes: &[u8]) -> bool {
    let (frame, check) = bytes.split_at(bytes.len() - 4);
    crc32fast::hash(frame).to_le_bytes() == check
}
