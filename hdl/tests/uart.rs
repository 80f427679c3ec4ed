//! The serial line: bytes survive it, requests reach the register bus whole, once, or not at all.

mod support;

use std::collections::VecDeque;

use hdl::uart::UartBridge;
use hdl::uart::bridge::Bridge;
use hdl::uart::check::Check;
use hdl::uart::receive::Receive;
use hdl::uart::transmit::Transmit;
use layout::uart::{GAP_BITS, REQUEST_START, UART_WORDS};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::random::Random;
use support::uart::{Registers, access, answer, crc32, read, request, write};
use support::verilated::Verilated;

/// Clocks of a bit in short tests.
const BIT: u32 = 16;

/// Levels of the line for each clock while a byte passes, each bit of `bit` clocks.
fn wave(byte: u8, bit: u32, stop: bool) -> impl Iterator<Item = bool> {
    let bits = (0..8).map(move |index| byte >> index & 1 == 1);
    let all: Vec<bool> = [false].into_iter().chain(bits).chain([stop]).collect();
    all.into_iter()
        .flat_map(move |level| (0..bit).map(move |_| level))
}

/// Bytes of a line sampled once a clock.
#[derive(Default)]
struct Sampler {
    clocks: Option<u32>,
    bits: u16,
    bytes: Vec<u8>,
}

impl Sampler {
    fn clock(&mut self, level: bool, bit: u32) {
        let at = match self.clocks {
            None if level => return,
            None => 0,
            Some(clocks) => clocks + 1,
        };
        self.clocks = Some(at);
        if at % bit != bit / 2 {
            return;
        }
        let index = at / bit;
        self.bits |= u16::from(level) << index;
        if index == 9 {
            assert_eq!(self.bits & 0x201, 0x200, "a start bit and a stop bit");
            self.bytes.push((self.bits >> 1) as u8);
            *self = Self {
                bytes: std::mem::take(&mut self.bytes),
                ..Self::default()
            };
        }
    }
}

struct Line {
    run: Lockstep<Receive>,
    bytes: Vec<u8>,
    broken: usize,
}

impl Line {
    fn new() -> Self {
        let run = Lockstep::new(Receive::new(BIT), |uut, high| uut.clock.next = high.into());
        let mut line = Self {
            run,
            bytes: Vec::new(),
            broken: 0,
        };
        line.rest(2 * BIT);
        line
    }

    fn clock(&mut self, level: bool) {
        self.run.uut.line.next = level;
        self.run.tick();
        if self.run.uut.valid.val() {
            self.bytes.push(self.run.uut.data.val().to_u8());
        }
        self.broken += usize::from(self.run.uut.broken.val());
    }

    fn rest(&mut self, clocks: u32) {
        (0..clocks).for_each(|_| self.clock(true));
    }

    fn send(&mut self, levels: impl Iterator<Item = bool>) {
        levels.for_each(|level| self.clock(level));
    }
}

#[test]
fn bytes_come_in_at_full_rate_and_with_a_sender_off_by_a_thirtieth() {
    let mut line = Line::new();
    let mut random = Random(1);
    let bytes: Vec<u8> = (0..60).map(|_| random.bits() as u8).collect();
    for byte in &bytes {
        line.send(wave(*byte, BIT, true));
    }
    // Thirty clocks of 31 and so on: a bit is now and then a clock longer or shorter.
    for lengthen in [false, true] {
        for byte in &bytes {
            let levels: Vec<bool> = wave(*byte, 30, true).collect();
            let stretched = levels.iter().enumerate().flat_map(|(at, level)| {
                let kept = 16 * (at + 1) / 30 - 16 * at / 30;
                let extra = usize::from(lengthen && at % 60 == 59);
                let less = usize::from(!lengthen && at % 60 == 59 && kept > 0);
                (0..kept + extra - less).map(move |_| *level)
            });
            let stretched: Vec<bool> = stretched.collect();
            line.send(stretched.into_iter());
            line.rest(BIT / 2);
        }
    }
    line.rest(2 * BIT);
    assert_eq!(line.bytes, bytes.repeat(3));
    assert_eq!(line.broken, 0);
    line.run
        .compare("uart-receive")
        .expect("native and Verilated agree");
}

#[test]
fn spikes_breaks_and_wrong_stop_bits_give_no_bytes() {
    let mut line = Line::new();
    // Shorter than half a bit, and a spike of one clock in the middle of a byte.
    for clocks in 1..BIT / 2 {
        (0..clocks).for_each(|_| line.clock(false));
        line.rest(2 * BIT);
    }
    assert_eq!((line.bytes.len(), line.broken), (0, 0));
    for spiked in 0..10 * BIT as usize {
        let levels: Vec<bool> = wave(0x5a, BIT, true).collect();
        line.send(
            levels
                .iter()
                .enumerate()
                .map(|(at, level)| level ^ (at == spiked)),
        );
        line.rest(BIT);
    }
    assert_eq!(line.bytes, [0x5a; 10 * BIT as usize]);
    line.bytes.clear();
    line.send(wave(0x00, BIT, false));
    (0..30 * BIT).for_each(|_| line.clock(false));
    assert_eq!((line.bytes.len(), line.broken), (0, 1), "a break is one");
    line.rest(BIT);
    line.send(wave(0x0f, BIT, false));
    line.rest(BIT);
    assert_eq!((line.bytes.len(), line.broken), (0, 2));
    line.send(wave(0x81, BIT, true));
    line.rest(BIT);
    assert_eq!(line.bytes, [0x81], "and then bytes come again");
    line.run
        .compare("uart-receive-bad")
        .expect("native and Verilated agree");
}

#[test]
fn bytes_go_out_in_order_and_the_line_rests_high() {
    let mut run = Lockstep::new(Transmit::new(BIT), |uut, high| uut.clock.next = high.into());
    let mut random = Random(2);
    let bytes: Vec<u8> = (0..40).map(|_| random.bits() as u8).collect();
    let mut waiting: VecDeque<u8> = bytes.clone().into();
    let mut sampler = Sampler::default();
    assert!(run.uut.line.val(), "high from power-on");
    for clock in 0..60 * 11 * BIT {
        let offers = clock > 50 && random.chance(if clock < 3000 { 100 } else { 2 });
        run.uut.valid.next = offers && !waiting.is_empty();
        run.uut.data.next = u64::from(waiting.front().copied().unwrap_or(0)).to_bits();
        run.settle();
        if run.uut.valid.val() && run.uut.ready.val() {
            waiting.pop_front();
        }
        sampler.clock(run.uut.line.val(), BIT);
        run.tick();
    }
    assert_eq!(sampler.bytes, bytes);
    assert!(run.uut.line.val());
    run.compare("uart-transmit")
        .expect("native and Verilated agree");
}

#[test]
fn the_check_is_that_of_ethernet() {
    let mut run = Lockstep::new(Check::default(), |uut, high| uut.clock.next = high.into());
    let mut text = b"123456789".to_vec();
    assert_eq!(crc32(&text), 0xcbf4_3926, "the published check value");
    for damaged in [false, true] {
        text.truncate(9);
        text.extend(crc32(&text).to_le_bytes());
        text[4] ^= u8::from(damaged);
        for (at, byte) in text.iter().enumerate() {
            run.uut.clear.next = at == 0;
            run.uut.feed.next = true;
            run.uut.data.next = u64::from(*byte).to_bits();
            run.tick();
            run.uut.clear.next = false;
            run.uut.feed.next = false;
            (0..8).for_each(|_| run.tick());
            assert!(!run.uut.busy.val());
            if at == 8 && !damaged {
                assert_eq!(run.uut.value.val(), 0xcbf4_3926_u64.to_bits());
            }
        }
        assert_eq!(run.uut.right.val(), !damaged);
    }
    run.compare("uart-check")
        .expect("native and Verilated agree");
}

/// A bridge with registers behind it, and the bytes it sent. Its line has one clock a bit and ten a byte.
struct Served {
    run: Lockstep<Bridge>,
    registers: Registers,
    sent: Vec<u8>,
    random: Random,
    bus_clocks: u64,
    /// Clocks to wait for an answer.
    patience: u32,
}

impl Served {
    fn new() -> Self {
        Self {
            run: Lockstep::new(Bridge::new(1), |uut, high| uut.clock.next = high.into()),
            registers: Registers::default(),
            sent: Vec::new(),
            random: Random(3),
            bus_clocks: 7,
            patience: 1600,
        }
    }

    fn clock(&mut self, byte: Option<u8>, broken: bool, ready: bool) {
        let uut = &mut self.run.uut;
        uut.in_valid.next = byte.is_some();
        uut.in_data.next = u64::from(byte.unwrap_or(0x99)).to_bits();
        uut.in_broken.next = broken;
        uut.out_ready.next = ready;
        uut.csr_ack.next = false;
        self.run.settle();
        let uut = &mut self.run.uut;
        let (address, wdata) = (uut.csr_address.val(), uut.csr_wdata.val());
        let (writes, reads) = (uut.csr_write.val(), uut.csr_read.val());
        let word = self.registers.clock(
            address.index() as u16,
            wdata.index() as u32,
            writes,
            reads,
            self.bus_clocks,
        );
        uut.csr_ack.next = word.is_some();
        uut.csr_rdata.next = u64::from(word.unwrap_or(0xdead_beef)).to_bits();
        if uut.out_valid.val() && ready {
            self.sent.push(uut.out_data.val().to_u8());
        }
        self.run.tick();
    }

    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            (0..9).for_each(|_| self.clock(None, false, false));
            self.clock(Some(*byte), false, false);
        }
    }

    fn wait(&mut self, clocks: u32) {
        (0..clocks).for_each(|clock| self.clock(None, false, clock % 10 == 9));
    }

    /// Sends bytes and gives what is answered.
    fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.bus_clocks = 1 + self.random.below(9);
        self.sent.clear();
        self.hear(bytes);
        self.wait(self.patience);
        while !self.sent.is_empty() && self.run.uut.out_valid.val() {
            self.wait(200);
        }
        std::mem::take(&mut self.sent)
    }

    fn open(&mut self) {
        assert_eq!(self.ask(&request(100, &[])), answer(100, &[]));
    }

    fn finish(self, name: &str) {
        self.run.compare(name).expect("native and Verilated agree");
    }
}

#[test]
fn accesses_are_done_in_order_and_answered() {
    let mut card = Served::new();
    card.open();
    let accesses = [
        write(0x180, &[1, 2, 3]),
        read(0x180, 4),
        write(0x180, &[9]),
        read(0x180, 1),
    ]
    .concat();
    let words = [1, 2, 3, 0x5eed_018c, 9];
    assert_eq!(card.ask(&request(101, &accesses)), answer(101, &words));
    assert_eq!(
        card.registers.writes,
        [(0x180, 1), (0x184, 2), (0x188, 3), (0x180, 9)]
    );
    assert_eq!(
        card.ask(&request(102, &write(0x110, &[7]))),
        answer(102, &[])
    );
    card.finish("uart-bridge");
}

#[test]
fn the_longest_request_and_the_longest_answer_fit() {
    let mut card = Served::new();
    card.open();
    card.patience = 6000;
    let words: Vec<u32> = (0..UART_WORDS as u32 - 1)
        .map(|n| n * 0x0101_0101)
        .collect();
    assert_eq!(
        card.ask(&request(1, &write(0x3000, &words))),
        answer(1, &[])
    );
    let written: Vec<u32> = card
        .registers
        .writes
        .iter()
        .map(|(_, word)| *word)
        .collect();
    assert_eq!(written, words);
    let shown: Vec<u32> = (0..UART_WORDS as u32)
        .map(|n| card.registers.shown(0x3000 + 4 * n as u16))
        .collect();
    let longest = read(0x3000, UART_WORDS as u8);
    assert_eq!(card.ask(&request(2, &longest)), answer(2, &shown));
    // One word more ends the request; what stands behind it is not done.
    let beyond = [longest, read(0x110, 1), write(0x110, &[1])].concat();
    assert_eq!(card.ask(&request(3, &beyond)), answer(3, &shown));
    assert_eq!(card.registers.writes.len(), words.len());
    card.finish("uart-bridge-long");
}

#[test]
fn a_repeated_request_is_answered_again_and_not_done_again() {
    let mut card = Served::new();
    card.open();
    let pop = request(7, &[write(0x204, &[1]), read(0x200, 1)].concat());
    let first = card.ask(&pop);
    assert_eq!(first, answer(7, &[0x5eed_0200]));
    assert_eq!(card.ask(&pop), first);
    // Also behind a request that was damaged, and behind noise.
    let mut damaged = request(8, &write(0x204, &[1]));
    damaged[9] ^= 1;
    assert_eq!(card.ask(&damaged), []);
    card.hear(&[0x00, 0xff, 0x55]);
    assert_eq!(card.ask(&pop), first);
    assert_eq!(card.registers.writes, [(0x204, 1)]);
    assert_eq!(card.registers.reads, [0x200]);
    // Another number is another request.
    assert_eq!(card.ask(&request(8, &write(0x204, &[1]))), answer(8, &[]));
    assert_eq!(card.registers.writes, [(0x204, 1); 2]);
    card.finish("uart-bridge-repeat");
}

#[test]
fn nothing_is_done_before_a_host_has_opened_and_a_new_host_opens_anew() {
    let mut card = Served::new();
    let wanted = request(5, &write(0x110, &[1]));
    assert_eq!(card.ask(&wanted), []);
    assert_eq!(card.ask(&request(4, &[])), answer(4, &[]));
    assert_eq!(card.ask(&wanted), answer(5, &[]));
    // A host that starts again may come to the same number.
    assert_eq!(card.ask(&request(4, &[])), answer(4, &[]));
    assert_eq!(card.ask(&wanted), answer(5, &[]));
    assert_eq!(card.registers.writes, [(0x110, 1); 2]);
    card.run.uut.reset.next = true;
    card.clock(None, false, false);
    card.run.uut.reset.next = false;
    assert_eq!(
        card.ask(&request(6, &write(0x110, &[1]))),
        [],
        "who was reset says so by silence"
    );
    assert_eq!(card.registers.writes.len(), 2);
    card.finish("uart-bridge-open");
}

#[test]
fn no_damaged_request_reaches_the_bus() {
    let mut card = Served::new();
    card.open();
    let good = request(2, &[write(0x180, &[3, 4]), read(0x110, 1)].concat());
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        let lost: Vec<u8> = [&good[..at], &good[at + 1..]].concat();
        let doubled: Vec<u8> = [&good[..=at], &good[at..]].concat();
        for bad in [&flipped, &lost] {
            assert_eq!(card.ask(bad), [], "{bad:02x?}");
            // Quicker than the gap.
            card.clock(None, true, false);
        }
        // A doubled last byte is noise behind a request that is whole; so is a doubled first before it.
        if (1..good.len() - 1).contains(&at) && doubled[at..] != good[at..] {
            assert_eq!(card.ask(&doubled), [], "{doubled:02x?}");
            card.clock(None, true, false);
        }
        if at % 8 != 0 {
            continue;
        }
        // The line is as good as new.
        let number = 1000 + at as u16;
        assert_eq!(
            card.ask(&request(number, &read(0x110, 1))),
            answer(number, &[0x5eed_0110])
        );
    }
    assert_eq!(card.registers.writes, []);
    // Comparing takes a file of all clocks: the shorter tests do it.
}

#[test]
fn a_host_that_dies_in_a_request_is_forgotten_after_the_gap() {
    let mut card = Served::new();
    card.open();
    let good = request(2, &write(0x110, &[4]));
    card.hear(&good[..9]);
    card.wait(GAP_BITS - 50);
    // Still in time.
    assert_eq!(card.ask(&good[9..]), answer(2, &[]));
    let next = request(3, &write(0x110, &[5]));
    card.hear(&next[..9]);
    card.wait(GAP_BITS + 20);
    assert_eq!(card.ask(&next[9..]), [], "the rest of a forgotten request");
    card.wait(GAP_BITS + 20);
    assert_eq!(card.ask(&next), answer(3, &[]));
    // A byte that is broken ends a request at once.
    let last = request(4, &write(0x110, &[6]));
    card.hear(&last[..9]);
    card.clock(None, true, false);
    assert_eq!(card.ask(&last), answer(4, &[]));
    assert_eq!(card.registers.writes, [(0x110, 4), (0x110, 5), (0x110, 6)]);
    card.finish("uart-bridge-gap");
}

#[test]
fn what_is_no_access_ends_a_request() {
    let mut card = Served::new();
    card.open();
    let wrong = [
        access(0x110, 1, 0).to_vec(),
        access(0x110, 1, 3).to_vec(),
        access(0x110, 0, 1).to_vec(),
        access(0x110, 0, 2).to_vec(),
    ];
    for (at, wrong) in wrong.iter().enumerate() {
        let number = at as u16;
        let all = [read(0x104, 1), wrong.clone(), write(0x110, &[1])].concat();
        assert_eq!(
            card.ask(&request(number, &all)),
            answer(number, &[0x5eed_0104])
        );
    }
    assert_eq!(card.registers.writes, []);
    // A write with fewer words than it says writes those there are.
    let short = [&access(0x180, 3, 2)[..], &[1, 2]].concat();
    assert_eq!(card.ask(&request(9, &short)), answer(9, &[]));
    assert_eq!(card.registers.writes, [(0x180, 1), (0x184, 2)]);
    card.finish("uart-bridge-wrong");
}

#[test]
fn noise_between_requests_is_not_heard() {
    let mut card = Served::new();
    card.open();
    let mut random = Random(11);
    for number in 0..20 {
        let noise: Vec<u8> = (0..random.below(30))
            .map(|_| random.bits() as u8)
            .filter(|byte| *byte != REQUEST_START)
            .collect();
        card.hear(&noise);
        assert_eq!(
            card.ask(&request(number, &read(0x110, 1))),
            answer(number, &[0x5eed_0110])
        );
    }
    card.finish("uart-bridge-noise");
}

/// Pins of the Verilated bridge, and registers behind it.
struct Pins {
    uut: Verilated,
    registers: Registers,
    sampler: Sampler,
    bit: u32,
}

impl Pins {
    fn new(name: &str, bit: u32) -> Self {
        let mut pins = Self {
            uut: Verilated::new(name, UartBridge::new(bit)),
            registers: Registers::default(),
            sampler: Sampler::default(),
            bit,
        };
        pins.uut.set("reset", 0_u32);
        pins.rest(20);
        pins
    }

    fn clock(&mut self, level: bool) {
        let uut = &mut self.uut;
        let signal = |name: &str| uut.get(name) != 0;
        let word = self.registers.clock(
            uut.get("csr_address") as u16,
            uut.get("csr_wdata") as u32,
            signal("csr_write"),
            signal("csr_read"),
            7,
        );
        uut.set("csr_ack", u32::from(word.is_some()));
        uut.set("csr_rdata", word.unwrap_or(0));
        uut.set("rx", u32::from(level));
        uut.tick();
        self.sampler.clock(uut.get("tx") != 0, self.bit);
    }

    /// Lets the line rest for so many bits.
    fn rest(&mut self, bits: u32) {
        (0..bits * self.bit).for_each(|_| self.clock(true));
    }

    /// Sends bytes and gives what is answered.
    fn ask(&mut self, bytes: &[u8], answer_bytes: usize) -> Vec<u8> {
        for byte in bytes {
            wave(*byte, self.bit, true).for_each(|level| self.clock(level));
        }
        // Accesses, then the answer.
        (0..2000).for_each(|_| self.clock(true));
        self.rest(11 * (1 + answer_bytes as u32));
        std::mem::take(&mut self.sampler.bytes)
    }
}

#[test]
fn the_verilated_pins_answer_at_the_rate_of_the_board() {
    let mut pins = Pins::new("uart-pins", hdl::uart::CLOCKS_PER_BIT);
    assert_eq!(pins.ask(&request(1, &[]), 8), answer(1, &[]));
    let accesses = [write(0x180, &[0x1234_5678, u32::MAX]), read(0x180, 3)].concat();
    let wanted = answer(2, &[0x1234_5678, u32::MAX, 0x5eed_0188]);
    assert_eq!(pins.ask(&request(2, &accesses), wanted.len()), wanted);
}

#[test]
fn the_verilated_pins_answer_behind_noise() {
    let mut pins = Pins::new("uart-noise", BIT);
    assert_eq!(pins.ask(&request(1, &[]), 8), answer(1, &[]));
    let mut random = Random(17);
    for number in 2..4 {
        // Levels that change at random: bytes, broken bytes, spikes.
        for _ in 0..400 {
            let level = random.chance(50);
            (0..random.below(40)).for_each(|_| pins.clock(level));
        }
        // Whatever that began is forgotten.
        pins.rest(GAP_BITS + 20);
        pins.sampler = Sampler::default();
        let wanted = answer(number, &[0x5eed_0110]);
        let asked = request(number, &read(0x110, 1));
        assert_eq!(pins.ask(&asked, wanted.len()), wanted);
    }
    assert_eq!(pins.registers.writes, []);
}
