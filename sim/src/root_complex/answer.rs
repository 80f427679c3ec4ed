//! Completions: cut, delayed, mixed and spoilt as the settings say.

use super::{CARD_ID, Faults, Pins, ROOT_ID, Settings, UNASKED};
use crate::tlp::{Completion, Request, Status, Tlp};

/// Completions on their way to the card.
pub struct Answers {
    boundary: u64,
    latency: (u64, u64),
    is_splitting: bool,
    is_reordering: bool,
    faults: Faults,
    random: Random,
    /// In the order of their clocks; those of one read in their own order.
    due: Vec<(u64, Completion)>,
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a bound that is not zero.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What goes wrong with one read.
enum Fault {
    Dropped,
    Poisoned,
    Unsupported,
    Aborted,
}

impl Answers {
    /// Nothing to answer yet.
    pub fn new(settings: &Settings) -> Self {
        let mut answers = Self {
            boundary: 64,
            latency: (0, 0),
            is_splitting: false,
            is_reordering: false,
            faults: Faults::default(),
            random: Random(0),
            due: Vec::new(),
        };
        answers.set_settings(settings);
        answers
    }

    /// Behaves otherwise from the next read on.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.boundary = settings.read_completion_boundary.into();
        self.latency = settings.latency;
        self.is_splitting = settings.is_splitting;
        self.is_reordering = settings.is_reordering;
        self.faults = settings.faults;
        self.random = Random(settings.seed);
    }

    /// Whether completions with this tag are still to come.
    pub fn is_open(&self, tag: u8) -> bool {
        self.due.iter().any(|(_, completion)| completion.tag == tag)
    }

    /// The clock of the next completion.
    pub fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(clock, _)| *clock)
    }

    /// Offers the completions whose clock has come.
    pub fn send_due(&mut self, pins: &mut dyn Pins) {
        let cycle = pins.cycle();
        let count = self.due.partition_point(|(clock, _)| *clock <= cycle);
        for (_, completion) in self.due.drain(..count) {
            pins.offer(&Tlp::Completion(completion).encode(), 0);
        }
    }

    /// Answers a read with the bytes it asked for, or with Unsupported Request when they are not there.
    pub fn add(
        &mut self,
        cycle: u64,
        request: Request,
        (count, data): (usize, Option<Vec<u8>>),
        max_payload: u16,
    ) {
        let fault = self.pick_fault();
        let completions = match (data, &fault) {
            (Some(data), None | Some(Fault::Dropped | Fault::Poisoned | Fault::Aborted)) => {
                self.cut(&request, &data, max_payload.into())
            }
            _ => vec![Completion {
                status: Status::Unsupported,
                byte_count: count as u16,
                lower_address: request.lower_address(),
                ..nothing(&request)
            }],
        };
        let completions = self.spoil(completions, fault);
        let mut clock = cycle + self.pick_latency();
        if !self.is_reordering {
            clock = clock.max(self.due.last().map_or(0, |(last, _)| *last));
        }
        for completion in completions {
            let at = self.due.partition_point(|(due, _)| *due <= clock);
            self.due.insert(at, (clock, completion));
            if self.is_reordering {
                clock += self.pick_latency() / 2;
            }
        }
    }

    fn pick_latency(&mut self) -> u64 {
        let (from, to) = self.latency;
        from + self.random.below(to.saturating_sub(from) + 1)
    }

    fn pick_fault(&mut self) -> Option<Fault> {
        let Faults {
            dropped,
            poisoned,
            unsupported,
            aborted,
        } = self.faults;
        let mut roll = self.random.below(1000);
        for (share, fault) in [
            (dropped, Fault::Dropped),
            (poisoned, Fault::Poisoned),
            (unsupported, Fault::Unsupported),
            (aborted, Fault::Aborted),
        ] {
            if roll < share.into() {
                return Some(fault);
            }
            roll -= u64::from(share);
        }
        None
    }

    /// The bytes of a read in completions: no payload longer than allowed, every cut on a boundary.
    fn cut(&mut self, request: &Request, data: &[u8], max_payload: u64) -> Vec<Completion> {
        let first = (request.address & !0x7f) + u64::from(request.lower_address());
        let end = first + data.len() as u64;
        let mut completions = Vec::new();
        let mut at = first;
        while at < end {
            let farthest = (at + max_payload) / self.boundary * self.boundary;
            let nearest = (at / self.boundary + 1) * self.boundary;
            let choices = (farthest - nearest) / self.boundary + 1;
            let cut = match self.is_splitting {
                true => nearest + self.boundary * self.random.below(choices),
                false => farthest,
            }
            .min(end);
            let bytes = &data[(at - first) as usize..(cut - first) as usize];
            completions.push(Completion {
                byte_count: (end - at) as u16,
                lower_address: at as u8 & 0x7f,
                status: Status::Successful,
                data: pad(at, bytes),
                ..nothing(request)
            });
            at = cut;
        }
        completions
    }

    fn spoil(&mut self, mut completions: Vec<Completion>, fault: Option<Fault>) -> Vec<Completion> {
        let at = self.random.below(completions.len() as u64) as usize;
        match fault {
            None | Some(Fault::Unsupported) => {}
            Some(Fault::Dropped) => completions.truncate(at),
            Some(Fault::Poisoned) => {
                let completion = &mut completions[at];
                completion.is_poisoned = true;
                // Data that are said to be wrong are wrong.
                completion.data.iter_mut().for_each(|byte| *byte ^= 0xff);
            }
            Some(Fault::Aborted) => {
                completions.truncate(at + 1);
                let completion = &mut completions[at];
                completion.status = Status::Aborted;
                completion.data.clear();
            }
        }
        completions
    }
}

/// Bytes in whole DWs; what nobody asked for around them must not matter.
fn pad(address: u64, bytes: &[u8]) -> Vec<u8> {
    let mut data = vec![UNASKED; (address & 3) as usize];
    data.extend_from_slice(bytes);
    data.resize(data.len().next_multiple_of(4), UNASKED);
    data
}

/// What all completions of a read have in common.
fn nothing(request: &Request) -> Completion {
    Completion {
        completer: ROOT_ID,
        status: Status::Successful,
        byte_count: 0,
        requester: CARD_ID,
        tag: request.tag,
        lower_address: 0,
        data: Vec::new(),
        is_poisoned: false,
    }
}
