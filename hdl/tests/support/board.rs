//! A board with its PHYs and its serial line, clock by clock, and with its link of PCIe if it has one.
//!
//! `POSTERN_BOARD_VERILOG` names a file to judge in place of the printed Verilog of the Versa: what a tool made of it.

use std::collections::VecDeque;

use layout::csr;
use layout::table::{Operation, Table};
use layout::uart::{BAUD, UartAnswer};

use super::ports::Port;
use super::tlp::Tlp;
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
    /// Clocks of the fastest clock in one of the card's.
    steps: u32,
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
    /// The Lattice Versa ECP5-5G, out of reset, nothing loaded.
    pub fn versa(name: &str) -> Self {
        let board = match std::env::var_os("POSTERN_BOARD_VERILOG") {
            None => hdl::emit_versa(0, 0),
            Some(file) => std::fs::read_to_string(file).expect("the file is there"),
        };
        let models = [include_str!("versa.v"), include_str!("ecp5.v")].concat();
        let verilog = [&models, include_str!("phy.v"), &board].concat();
        let mut ports = ports();
        ports.push(port("clock", true, 1));
        Self::start(Verilated::of_text(name, &verilog, &ports, "-O1"), 1)
    }

    /// The STLV7325, the same. Its link has a clock twice as fast as the card's, with other edges; it is down.
    pub fn stlv7325(name: &str) -> Self {
        let board = hdl::emit_stlv7325(0, 0);
        let models = [include_str!("stlv7325.v"), include_str!("series7.v")].concat();
        let verilog = [
            &models,
            include_str!("pcie_7x.v"),
            include_str!("phy.v"),
            &board,
        ]
        .concat();
        let mut ports = ports();
        ports.extend(link_ports());
        let globals = "static int level = 0;\n";
        let edges = "dut->link_clock = 0; dut->eval(); dut->clock = level; level ^= 1; dut->eval(); \
                     dut->link_clock = 1; dut->eval();";
        let dut = Verilated::with_clocks(name, &verilog, &ports, "-O1", globals, edges);
        Self::start(dut, 2)
    }

    fn start(dut: Verilated, steps: u32) -> Self {
        let mut board = Self {
            dut,
            steps,
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

    /// Clocks of the card that have run.
    fn clocks(&self) -> u64 {
        self.dut.clocks / u64::from(self.steps)
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
        if self.clocks() >= self.next_bit {
            let level = self.line_out.pop_front().unwrap_or(true);
            self.dut.set("uart_rx", level);
            self.next_bit = self.clocks() + BIT;
        }
        self.dut.run(clocks as u32 * self.steps);
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
        let clocks = self.clocks();
        let wires = &mut self.wires[port];
        if carrier {
            wires.hears.push(byte);
            if wires.hears.len() == PREAMBLE.len() {
                wires.started = clocks + 1;
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
                self.start = Some(self.clocks());
                self.bits = 0;
                self.count = 0;
            }
            None => {}
            Some(start) => {
                if self.clocks() - start >= self.count * BIT + BIT / 2 - STEP {
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
        let limit = self.clocks() + 600 * 10 * BIT + 2_000_000;
        loop {
            self.run(STEP);
            assert!(self.clocks() < limit, "no answer: {:x?}", self.line_in);
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
        let clocks = self.clocks();
        let says = &mut self.wires[port].says;
        let at = clocks + says.len() as u64 + PREAMBLE.len() as u64 + 1;
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

    /// Brings the link of PCIe up, or takes it down; the function gets a number and leave to read and write host memory.
    pub fn link(&mut self, is_up: bool, identifier: u16) {
        self.dut.set("link_reset_n", is_up);
        self.dut.set("link_up", is_up);
        self.dut.set("link_identifier", identifier);
        self.dut
            .set("link_command", if is_up { 0b110_u16 } else { 0 });
        self.dut.set("link_tx_ready", is_up);
        self.dut.run(40);
    }

    /// Sends a TLP to the card, and returns the next that the card sends.
    pub fn exchange(&mut self, packet: &Tlp) -> Tlp {
        self.send(packet);
        let mut words = Vec::new();
        let limit = self.dut.clocks + 2000;
        loop {
            assert!(self.dut.clocks < limit, "no answer: {words:x?}");
            let (data, keep) = (self.dut.get("link_tx_data"), self.dut.get("link_tx_keep"));
            let last = self.dut.get("link_tx_last") == 1;
            let taken = self.dut.get("link_tx_valid") == 1;
            self.dut.run(1);
            if taken {
                words.push(data as u32);
                words.extend((keep == 0xff).then_some((data >> 32) as u32));
                if last {
                    break;
                }
            }
        }
        self.align();
        Tlp::parse(&words)
    }

    /// Up to a rising edge of the card's clock, where its ports are looked at.
    fn align(&mut self) {
        let beyond = self.dut.clocks % u64::from(self.steps);
        self.dut.run(beyond as u32);
    }

    /// Sends a TLP to the card, a beat a clock of the link as long as it takes them.
    pub fn send(&mut self, packet: &Tlp) {
        for (data, keep, last) in packet.beats() {
            self.dut.set("link_rx_data", data);
            self.dut.set("link_rx_keep", keep);
            self.dut.set("link_rx_last", last);
            self.dut.set("link_rx_valid", true);
            self.dut.set("link_rx_beside", u32::from(packet.bar0) << 2);
            let limit = self.dut.clocks + 2000;
            while {
                assert!(self.dut.clocks < limit, "the card takes nothing");
                let taken = self.dut.get("link_rx_ready") == 1;
                self.dut.run(1);
                !taken
            } {}
        }
        self.dut.set("link_rx_valid", false);
        self.align();
    }

    /// The counters of what the ports met.
    pub fn faults(&mut self) -> Vec<u32> {
        self.ask(&read(csr::PORT_FAULTS as u16, 16))
    }
}

fn port(name: &str, is_input: bool, width: usize) -> Port {
    Port {
        name: name.into(),
        is_input,
        width,
        value: String::new(),
    }
}

/// Those that every board has.
fn ports() -> Vec<Port> {
    let mut ports = vec![
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

/// Those of a link.
fn link_ports() -> Vec<Port> {
    vec![
        port("link_reset_n", true, 1),
        port("link_up", true, 1),
        port("link_identifier", true, 16),
        port("link_command", true, 16),
        port("link_rx_data", true, 64),
        port("link_rx_keep", true, 8),
        port("link_rx_last", true, 1),
        port("link_rx_valid", true, 1),
        port("link_rx_beside", true, 22),
        port("link_rx_ready", false, 1),
        port("link_tx_data", false, 64),
        port("link_tx_keep", false, 8),
        port("link_tx_last", false, 1),
        port("link_tx_valid", false, 1),
        port("link_tx_ready", true, 1),
    ]
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
