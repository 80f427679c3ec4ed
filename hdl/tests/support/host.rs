//! Host memory behind the dma block, reached as the endpoint would: writes, reads, completions in any legal way.

use std::collections::VecDeque;

use super::dma::Rings;
use super::random::Random;
use super::verilated::Verilated;

/// Where host memory begins: 4 GiB is in the middle of it.
pub const BASE: u64 = 0xfff0_0000;
/// Its bytes.
pub const BYTES: usize = 0x20_0000;

/// What becomes of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it is answered.
    Answered,
    /// Unsupported Request, after `true`: some of it.
    Refused,
    /// A completion is poisoned.
    Poisoned,
    /// A completion does not go on where the last one ended.
    Misfit,
    /// Nothing is answered.
    Silent,
    /// All of it is answered when nobody waits any more.
    Late,
}

/// A read that is not answered wholly.
struct Asked {
    tag: u64,
    address: u64,
    left: u64,
    fate: Fate,
    due: u64,
}

/// The circuit, its host and the bus between them.
pub struct Host {
    pub card: Verilated,
    pub random: Random,
    pub memory: Vec<u8>,
    /// Chances of the endpoint taking a header, and a beat, in percent.
    pub ready: u64,
    /// Clocks a write takes on the link, as 3DW header and data on a stream of 64 bits.
    pub link_limited: bool,
    /// Clocks to the first completion: at least, and how many more at most.
    pub latency: (u64, u64),
    pub max_payload: u64,
    pub max_read: u64,
    /// Chance of a pause in the data of a completion, in percent.
    pub pauses: u64,
    /// Chance of a fate other than `Answered`, in percent.
    pub trouble: u64,
    /// What read of which address had which fate.
    pub fates: Vec<(u64, u64, Fate)>,
    /// Every write: address and DWs.
    pub writes: Vec<(u64, u64)>,
    /// Reads in flight, at most so far.
    pub most_reads: usize,
    /// Vectors raised, in order.
    pub raised: Vec<usize>,
    /// Frames that left for the arbiter: bytes, port, lookup.
    pub injected: VecDeque<(Vec<u8>, u8, bool)>,
    /// Chance that the arbiter takes a beat.
    pub arbiter: u64,
    /// Events: full, off, bad, error, overdue, unexpected.
    pub events: [u64; 6],
    pub kept: u64,
    partial: Vec<u8>,
    writing: Option<(u64, u64)>,
    /// Writes that are over, and the card does not know.
    unreported: usize,
    link_free: u64,
    asked: Vec<Asked>,
    data: VecDeque<(u64, bool)>,
    pause: bool,
    register_write: bool,
}

/// Names of the events in the order of `Host::events`.
const EVENTS: [&str; 6] = ["full", "off", "bad", "error", "overdue", "unexpected"];

impl Host {
    pub fn new(name: &str, seed: u64) -> Self {
        let mut host = Self {
            card: Verilated::new(name, Rings::default()),
            random: Random(seed),
            memory: vec![0xee; BYTES],
            ready: 70,
            link_limited: false,
            latency: (20, 60),
            max_payload: 128,
            max_read: 512,
            pauses: 20,
            trouble: 0,
            fates: Vec::new(),
            writes: Vec::new(),
            most_reads: 0,
            raised: Vec::new(),
            injected: VecDeque::new(),
            arbiter: 80,
            events: [0; 6],
            kept: 0,
            partial: Vec::new(),
            writing: None,
            unreported: 0,
            link_free: 0,
            asked: Vec::new(),
            data: VecDeque::new(),
            pause: false,
            register_write: false,
        };
        host.card.set("bus_master", 1_u8);
        host
    }

    pub fn bytes(&self, address: u64, count: usize) -> &[u8] {
        let at = (address - BASE) as usize;
        &self.memory[at..at + count]
    }

    pub fn fill(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn sizes(&mut self, max_payload: u64, max_read: u64) {
        self.max_payload = max_payload;
        self.max_read = max_read;
        self.card.set("max_payload", (max_payload / 128).ilog2());
        self.card.set("max_read_request", (max_read / 128).ilog2());
    }

    pub fn write_register(&mut self, offset: u32, value: u32) {
        self.card.set("address", offset);
        self.card.set("wdata", value);
        self.card.set("write", 1_u8);
        self.register_write = true;
        self.tick();
    }

    pub fn read_register(&mut self, offset: u32) -> u32 {
        self.card.set("address", offset);
        self.tick();
        self.tick();
        self.card.get("data") as u32
    }

    /// Reads that wait for an answer.
    pub fn reads_in_flight(&self) -> usize {
        self.asked.len()
    }

    /// One clock of everything.
    pub fn tick(&mut self) {
        let now = self.card.clocks;
        self.take_writes(now);
        self.take_reads(now);
        self.complete(now);
        self.take_frames();
        self.card.tick();
        if std::mem::take(&mut self.register_write) {
            self.card.set("write", 0_u8);
        }
        for (event, name) in self.events.iter_mut().zip(EVENTS) {
            *event += self.card.get(name);
        }
        self.kept += self.card.get("punt_kept");
        let raised = self.card.get("raise");
        self.raised
            .extend((0..6).filter(|vector| raised >> vector & 1 == 1));
    }

    fn take_writes(&mut self, now: u64) {
        let done = self.unreported > 0 && self.random.chance(self.ready);
        self.unreported -= usize::from(done);
        self.card.set("write_done", u8::from(done));
        let idle = self.writing.is_none() && (!self.link_limited || now >= self.link_free);
        let ready = idle && self.random.chance(self.ready);
        self.card.set("write_ready", u8::from(ready));
        let data_ready = self.writing.is_some() && self.random.chance(self.ready);
        self.card.set("write_data_ready", u8::from(data_ready));
        if ready && self.card.get("write_valid") == 1 {
            let (address, dwords) = (
                self.card.get("write_address"),
                self.card.get("write_dwords"),
            );
            assert_eq!(address % 4, 0, "DW aligned");
            assert!((1..=self.max_payload / 4).contains(&dwords), "{dwords} DWs");
            assert_eq!(
                address >> 12,
                (address + 4 * dwords - 1) >> 12,
                "crosses a page"
            );
            self.writes.push((address, dwords));
            self.writing = Some((address, dwords));
            self.link_free = now + (3 + dwords).div_ceil(2);
        }
        if data_ready && self.card.get("write_data_valid") == 1 {
            let data = self.card.get("write_data").to_le_bytes();
            let (address, left) = self.writing.take().expect("ready only while writing");
            let count = left.min(2);
            self.fill(address, &data[..4 * count as usize]);
            if left > count {
                self.writing = Some((address + 4 * count, left - count));
            } else {
                self.unreported += 1;
            }
        }
    }

    fn take_reads(&mut self, now: u64) {
        let ready = self.random.chance(self.ready);
        self.card.set("read_ready", u8::from(ready));
        if !ready || self.card.get("read_valid") == 0 {
            return;
        }
        let (address, dwords) = (self.card.get("read_address"), self.card.get("read_dwords"));
        let tag = self.card.get("read_tag");
        assert_eq!(address % 4, 0, "DW aligned");
        assert!(
            (1..=self.max_read.min(512) / 4).contains(&dwords),
            "{dwords} DWs"
        );
        assert_eq!(
            address >> 12,
            (address + 4 * dwords - 1) >> 12,
            "crosses a page"
        );
        assert_eq!(self.card.get("read_first_enable"), 0xf);
        let last = if dwords == 1 { 0 } else { 0xf };
        assert_eq!(self.card.get("read_last_enable"), last);
        assert!(
            self.asked.iter().all(|read| read.tag != tag),
            "tag {tag} is in use"
        );
        let fate = if self.random.chance(self.trouble) {
            [
                Fate::Refused,
                Fate::Poisoned,
                Fate::Misfit,
                Fate::Silent,
                Fate::Late,
            ][self.random.below(5) as usize]
        } else {
            Fate::Answered
        };
        self.fates.push((address, dwords, fate));
        let wait = self.latency.0 + self.random.below(self.latency.1 + 1);
        let due = now + if fate == Fate::Late { 1400 } else { wait };
        if fate != Fate::Silent {
            self.asked.push(Asked {
                tag,
                address,
                left: 4 * dwords,
                fate,
                due,
            });
        }
        self.most_reads = self.most_reads.max(self.asked.len());
    }

    /// A beat of the completion that is on its way, or the header of another.
    fn complete(&mut self, now: u64) {
        self.card.set("completion_valid", 0_u8);
        self.card.set("completion_data_valid", 0_u8);
        self.card.set("completion_data_last", 0_u8);
        if std::mem::take(&mut self.pause) && self.random.chance(30) {
            self.pause = true;
            return;
        }
        if let Some((data, last)) = self.data.pop_front() {
            self.card.set("completion_data", data);
            self.card.set("completion_data_valid", 1_u8);
            self.card.set("completion_data_last", u8::from(last));
            self.pause = self.random.chance(self.pauses);
            return;
        }
        let due: Vec<usize> = (0..self.asked.len())
            .filter(|&read| self.asked[read].due <= now)
            .collect();
        if due.is_empty() {
            return;
        }
        let index = due[self.random.below(due.len() as u64) as usize];
        self.send_completion(index, now);
    }

    fn send_completion(&mut self, index: usize, now: u64) {
        // The next read completion boundaries of 64 bytes, or the end.
        let read = &self.asked[index];
        let to_boundary = 64 - read.address % 64;
        let chosen = to_boundary + 64 * self.random.below(5);
        let whole = self.latency.1 == 0 || chosen >= read.left;
        let count = if whole { read.left } else { chosen };
        let (address, left, fate) = (read.address, read.left, read.fate);
        let refused = fate == Fate::Refused && (whole || self.random.chance(50));
        let misfit = fate == Fate::Misfit && (whole || self.random.chance(50));
        let poisoned = fate == Fate::Poisoned && (whole || self.random.chance(50));
        let (bytes, lower) = match (misfit, self.random.below(2)) {
            (true, 0) => (left + 4, address % 128),
            (true, _) => (left, (address + 4) % 128),
            _ => (left, address % 128),
        };
        self.card.set("completion_valid", 1_u8);
        self.card.set("completion_tag", self.asked[index].tag);
        self.card
            .set("completion_failed", u8::from(refused || poisoned));
        self.card.set("completion_bytes", bytes);
        self.card.set("completion_lower", lower);
        self.card
            .set("completion_dwords", if refused { 0 } else { count / 4 });
        if !refused {
            let bytes = self.bytes(address, count as usize).to_vec();
            let beats = bytes.len().div_ceil(8);
            for (beat, chunk) in bytes.chunks(8).enumerate() {
                let mut data = [0xaa; 8];
                data[..chunk.len()].copy_from_slice(chunk);
                self.data
                    .push_back((u64::from_le_bytes(data), beat + 1 == beats));
            }
        }
        let read = &mut self.asked[index];
        read.address += count;
        read.left -= count;
        if poisoned || misfit {
            // Once is enough; the rest is answered well.
            read.fate = Fate::Answered;
        }
        if refused || read.left == 0 {
            self.asked.swap_remove(index);
        } else {
            let more = self.random.below(self.latency.1 + 1) / 4;
            self.asked[index].due = now + more;
        }
        // Data come in a later clock than their header.
        self.pause = self.random.chance(self.pauses);
    }

    fn take_frames(&mut self) {
        let ready = self.random.chance(self.arbiter);
        self.card.set("inject_ready", u8::from(ready));
        if !ready || self.card.get("inject_valid") == 0 {
            return;
        }
        // Data 0..64, keep 64..72, last 72, port 73..75, lookup 75.
        let beat = self.card.get_wide("inject_beat");
        let count = ((beat >> 64) as u8).count_ones() as usize;
        self.partial
            .extend_from_slice(&(beat as u64).to_le_bytes()[..count]);
        if beat >> 72 & 1 == 1 {
            let frame = std::mem::take(&mut self.partial);
            let port = (beat >> 73 & 3) as u8;
            self.injected.push_back((frame, port, beat >> 75 & 1 == 1));
        }
    }
}
