//! The endpoint between a host, a register file and a dma block that behave as they like, within the contract.

use std::collections::VecDeque;

use hdl::pcie::Endpoint;
use rust_hdl_core::prelude::*;

use super::lockstep::Lockstep;
use super::random::Random;
use super::tlp::{Beat, Tlp};

/// Bus, device and function number of the card.
pub const FUNCTION: u32 = 0x0308;

/// A completion that the dma block was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    pub tag: usize,
    pub failed: bool,
    pub bytes: usize,
    pub lower: usize,
    pub dwords: usize,
    pub data: Vec<u32>,
}

/// A packet that left, and the clocks of its first and last beat.
#[derive(Clone, Debug)]
pub struct Sent {
    pub tlp: Tlp,
    pub first_clock: usize,
    pub last_clock: usize,
}

/// An access of the register file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    Read(usize),
    Write(usize, u32),
}

/// How busy everyone is: chances in percent.
#[derive(Clone, Copy)]
pub struct Pace {
    pub link_offers: u64,
    pub link_takes: u64,
    pub dma_offers: u64,
    /// Most clocks of a register access.
    pub access: u64,
}

/// Nobody waits.
pub const FAST: Pace = Pace {
    link_offers: 100,
    link_takes: 100,
    dma_offers: 100,
    access: 1,
};

pub struct Bench {
    pub run: Lockstep<Endpoint>,
    pub random: Random,
    pub pace: Pace,
    pub clock: usize,
    /// What is on its way to the card.
    link: VecDeque<(Beat, bool, bool)>,
    offered: bool,
    arriving: Vec<u32>,
    began: usize,
    pub sent: Vec<Sent>,
    pub registers: Vec<u32>,
    pub accesses: Vec<Access>,
    access: Option<u64>,
    pub writes: VecDeque<(u64, Vec<u32>)>,
    data: VecDeque<(u32, u32)>,
    write_offered: bool,
    data_offered: bool,
    /// Writes whose header was taken.
    pub writes_taken: usize,
    pub writes_done: usize,
    pub reads: VecDeque<(u64, usize, u32, u32, u32)>,
    read_offered: bool,
    pub given: Vec<Given>,
    given_beats: usize,
    /// Unsupported, aborted, bad, unexpected.
    pub events: [usize; 4],
    /// Clocks in which the link had to wait.
    pub waited: usize,
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        let mut run = Lockstep::new(Endpoint::default(), |uut, high| {
            uut.clock.next = high.into()
        });
        run.uut.pcie_completer_id.next = u64::from(FUNCTION).to_bits();
        run.uut.pcie_bus_master.next = true;
        run.uut.pcie_msix_enable.next = true;
        run.uut.pcie_max_read_request.next = 2_u64.to_bits();
        let mut random = Random(seed);
        let registers = (0..0x4000).map(|_| random.bits() as u32).collect();
        Self {
            run,
            random,
            pace: FAST,
            clock: 0,
            link: VecDeque::new(),
            offered: false,
            arriving: Vec::new(),
            began: 0,
            sent: Vec::new(),
            registers,
            accesses: Vec::new(),
            access: None,
            writes: VecDeque::new(),
            data: VecDeque::new(),
            write_offered: false,
            data_offered: false,
            writes_taken: 0,
            writes_done: 0,
            reads: VecDeque::new(),
            read_offered: false,
            given: Vec::new(),
            given_beats: 0,
            events: [0; 4],
            waited: 0,
        }
    }

    /// Puts a packet on the link.
    pub fn bring(&mut self, tlp: &Tlp) {
        for beat in tlp.beats() {
            self.bring_beat(beat, tlp.bar0, tlp.poisoned);
        }
    }

    /// Puts a beat on the link.
    pub fn bring_beat(&mut self, beat: Beat, bar0: bool, poisoned: bool) {
        self.link.push_back((beat, bar0, poisoned));
    }

    /// Nothing is on its way to the card.
    pub fn link_is_empty(&self) -> bool {
        self.link.is_empty()
    }

    /// One clock.
    pub fn tick(&mut self) {
        self.drive_link();
        self.drive_registers();
        self.drive_dma();
        self.run.settle();
        self.look_at_link();
        self.look_at_registers();
        self.look_at_dma();
        self.run.tick();
        self.run.uut.raise.next = 0_u64.to_bits();
        self.clock += 1;
    }

    /// Runs until the condition holds.
    ///
    /// # Panics
    /// After `limit` clocks.
    pub fn until(&mut self, limit: usize, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = self.clock + limit;
        while !done(self) {
            assert!(self.clock < end, "{what}: not after {limit} clocks");
            self.tick();
        }
    }

    pub fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
        }
    }

    /// Completions that left under a tag.
    pub fn completions(&self, tag: u32) -> Vec<Tlp> {
        self.sent
            .iter()
            .map(|sent| &sent.tlp)
            .filter(|tlp| tlp.is_completion() && tlp.tag() == tag)
            .cloned()
            .collect()
    }

    /// Requests that left.
    pub fn requests(&self) -> Vec<Tlp> {
        self.sent
            .iter()
            .map(|sent| &sent.tlp)
            .filter(|tlp| !tlp.is_completion())
            .cloned()
            .collect()
    }

    fn drive_link(&mut self) {
        self.offered =
            !self.link.is_empty() && (self.offered || self.random.chance(self.pace.link_offers));
        let uut = &mut self.run.uut;
        uut.rx_valid.next = self.offered;
        if let Some(&((data, keep, last), bar0, poisoned)) = self.link.front() {
            uut.rx_data.next = data.to_bits();
            uut.rx_keep.next = keep.to_bits();
            uut.rx_last.next = last;
            uut.rx_bar.next = u64::from(bar0).to_bits();
            uut.rx_poisoned.next = poisoned;
        }
        uut.tx_ready.next = self.random.chance(self.pace.link_takes);
    }

    fn look_at_link(&mut self) {
        let uut = &self.run.uut;
        if self.offered {
            if uut.rx_ready.val() {
                self.link.pop_front();
                self.offered = false;
            } else {
                self.waited += 1;
            }
        }
        if uut.tx_valid.val() && uut.tx_ready.val() {
            let data = number(uut.tx_data.val());
            if self.arriving.is_empty() {
                self.began = self.clock;
            }
            self.arriving.push(data as u32);
            match number(uut.tx_keep.val()) {
                0xff => self.arriving.push((data >> 32) as u32),
                keep => assert!(keep == 0x0f && uut.tx_last.val(), "keep {keep:x}"),
            }
            if uut.tx_last.val() {
                self.sent.push(Sent {
                    tlp: Tlp::parse(&std::mem::take(&mut self.arriving)),
                    first_clock: self.began,
                    last_clock: self.clock,
                });
            }
        }
        for (count, pulse) in self.events.iter_mut().zip([
            uut.unsupported.val(),
            uut.aborted.val(),
            uut.bad.val(),
            uut.unexpected.val(),
        ]) {
            *count += usize::from(pulse);
        }
    }

    fn drive_registers(&mut self) {
        let uut = &mut self.run.uut;
        uut.csr_ack.next = self.access == Some(0);
        let at = uut.csr_address.val().index() / 4;
        uut.csr_rdata.next = u64::from(self.registers[at]).to_bits();
    }

    fn look_at_registers(&mut self) {
        let uut = &self.run.uut;
        let (read, write) = (uut.csr_read.val(), uut.csr_write.val());
        assert!(!(read && write), "both at once");
        let address = uut.csr_address.val().index();
        if read | write {
            assert!(address.is_multiple_of(4));
            assert!(
                !(0x4000..0x5000).contains(&address),
                "the MSI-X page is the endpoint's own"
            );
        }
        match self.access {
            Some(0) => {
                assert!(read | write, "dropped before its ack");
                if write {
                    self.registers[address / 4] = number(uut.csr_wdata.val()) as u32;
                    self.accesses
                        .push(Access::Write(address, self.registers[address / 4]));
                } else {
                    self.accesses.push(Access::Read(address));
                }
                self.access = None;
            }
            Some(clocks) => {
                assert!(read | write, "dropped before its ack");
                self.access = Some(clocks - 1);
            }
            None if read | write => self.access = Some(self.random.below(self.pace.access)),
            None => {}
        }
    }

    fn drive_dma(&mut self) {
        let offers = self.pace.dma_offers;
        self.write_offered =
            !self.writes.is_empty() && (self.write_offered || self.random.chance(offers));
        self.data_offered =
            !self.data.is_empty() && (self.data_offered || self.random.chance(offers));
        self.read_offered =
            !self.reads.is_empty() && (self.read_offered || self.random.chance(offers));
        let uut = &mut self.run.uut;
        uut.write_valid.next = self.write_offered;
        if let Some((address, data)) = self.writes.front() {
            uut.write_address.next = address.to_bits();
            uut.write_dwords.next = (data.len() as u64).to_bits();
        }
        uut.write_data_valid.next = self.data_offered;
        if let Some((low, high)) = self.data.front() {
            uut.write_data.next = (u64::from(*high) << 32 | u64::from(*low)).to_bits();
        }
        uut.read_valid.next = self.read_offered;
        if let Some(&(address, dwords, first, last, tag)) = self.reads.front() {
            uut.read_address.next = address.to_bits();
            uut.read_dwords.next = (dwords as u64).to_bits();
            uut.read_first_enable.next = u64::from(first).to_bits();
            uut.read_last_enable.next = u64::from(last).to_bits();
            uut.read_tag.next = u64::from(tag).to_bits();
        }
    }

    fn look_at_dma(&mut self) {
        let uut = &self.run.uut;
        self.writes_done += usize::from(uut.write_done.val());
        assert!(
            self.writes_done <= self.writes_taken,
            "done before its time"
        );
        if self.data_offered && uut.write_data_ready.val() {
            self.data.pop_front();
            self.data_offered = false;
        }
        if self.write_offered && uut.write_ready.val() {
            let (_, data) = self.writes.pop_front().expect("a write was offered");
            for pair in data.chunks(2) {
                self.data
                    .push_back((pair[0], pair.get(1).copied().unwrap_or(0x5555_5555)));
            }
            self.write_offered = false;
            self.writes_taken += 1;
        }
        if self.read_offered && uut.read_ready.val() {
            self.reads.pop_front();
            self.read_offered = false;
        }
        if uut.completion_valid.val() {
            assert_eq!(self.given_beats, 0, "the last completion is not over");
            assert!(!uut.completion_data_valid.val(), "header and payload apart");
            let dwords = uut.completion_dwords.val().index();
            self.given.push(Given {
                tag: uut.completion_tag.val().index(),
                failed: uut.completion_failed.val(),
                bytes: uut.completion_bytes.val().index(),
                lower: uut.completion_lower.val().index(),
                dwords,
                data: Vec::new(),
            });
            self.given_beats = dwords.div_ceil(2);
        }
        if uut.completion_data_valid.val() {
            let given = self.given.last_mut().expect("a completion before its data");
            let data = number(uut.completion_data.val());
            given.data.push(data as u32);
            if given.data.len() < given.dwords {
                given.data.push((data >> 32) as u32);
            }
            self.given_beats -= 1;
            assert_eq!(uut.completion_data_last.val(), self.given_beats == 0);
        }
    }
}

/// A signal's value.
pub fn number<const N: usize>(bits: Bits<N>) -> u64 {
    bits.into()
}
