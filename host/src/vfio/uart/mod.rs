//! A card behind a serial line: BAR0 and nothing else. No memory is shared, no interrupt is raised.
//!
//! Accesses go out as requests of `layout::uart`, as many in one as fit. A request without an answer is sent again as it
//! was: the card does none twice. When repeating does not help the line is given up, since nobody knows then whether the
//! last request was done.

/// Requests and answers as bytes.
pub mod frame;
/// The line itself.
mod line;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use layout::csr::BAR0_BYTES;
use layout::uart::{BAUD, GAP_BITS};

use self::frame::{Fault, HEADER_AND_CHECK_BYTES, Reading, Request, read_answer};
use self::line::{Line, time_of};
use super::{
    Access, BAR0, Device, DmaMemory, Error, EventFd, REGION_READ, REGION_WRITE, RegionInfo,
};

/// An open serial line with a card that answered.
pub struct UartDevice {
    line: Line,
    /// Of the request sent last.
    sequence: u16,
    given_up: bool,
}

impl UartDevice {
    /// Opens a line and the card behind it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut device = Self {
            line: Line::open(path)?,
            // What a card still sends to a host that died is no answer to us.
            sequence: RandomState::new().hash_one(path) as u16,
            given_up: false,
        };
        device.exchange(&Request::default())?;
        Ok(device)
    }

    /// Sends a request until it is answered, at most [`ATTEMPTS`] times.
    fn exchange(&mut self, request: &Request) -> Result<Vec<u32>, Error> {
        if self.given_up {
            return Err(Error::GivenUp);
        }
        self.sequence = self.sequence.wrapping_add(1);
        // Until an answer is here.
        self.given_up = true;
        let mut last = None;
        for attempt in 1..=ATTEMPTS {
            match self.attempt(request, attempt * PATIENCE)? {
                Ok(words) if words.len() == request.answers() => {
                    self.given_up = false;
                    return Ok(words);
                }
                Ok(words) => {
                    return Err(Error::CutShort {
                        path: self.line.path().into(),
                        words: words.len(),
                        wanted: request.answers(),
                    });
                }
                // Damage says more than the silence behind it.
                Err(fault) => last = fault.or(last),
            }
        }
        let path = self.line.path().into();
        Err(match last {
            None => Error::Silent { path },
            Some(Fault::Echo) => Error::Echo { path },
            Some(_) => Error::Damaged { path },
        })
    }

    /// Sends a request once. Inside: the words of its answer, or what came instead, which may be nothing.
    fn attempt(
        &mut self,
        request: &Request,
        patience: Duration,
    ) -> Result<Result<Vec<u32>, Option<Fault>>, Error> {
        let bytes = request.bytes(self.sequence);
        let answer_bytes = HEADER_AND_CHECK_BYTES + 4 * request.answers();
        self.line.forget()?;
        let deadline = Instant::now() + patience + 2 * time_of(bytes.len() + answer_bytes);
        self.line.send(&bytes, deadline)?;
        let mut came = Vec::new();
        loop {
            match read_answer(&came, self.sequence) {
                Reading::Answer(words) => return Ok(Ok(words)),
                Reading::Wrong(fault) => {
                    self.await_silence()?;
                    return Ok(Err(Some(fault)));
                }
                Reading::Lacks(_) => {}
            }
            if self.line.receive(&mut came, deadline)? == 0 {
                let cut = (!came.is_empty()).then_some(Fault::Check);
                return Ok(Err(cut));
            }
        }
    }

    /// Lets the card finish, and forget what it did not hear whole.
    fn await_silence(&mut self) -> Result<(), Error> {
        let mut ignored = Vec::new();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.line.receive(&mut ignored, Instant::now() + GAP)? > 0 {
            ignored.clear();
        }
        Ok(())
    }

    /// Sends what was collected, and puts what was read where it belongs.
    fn settle(&mut self, plan: &mut Plan, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        let Plan { request, targets } = std::mem::take(plan);
        if request.is_empty() {
            return Ok(());
        }
        let mut words = VecDeque::from(self.exchange(&request)?);
        for (index, range) in targets {
            if let Some(Access::Read { data, .. }) = accesses.get_mut(index) {
                for chunk in data[range].chunks_mut(4) {
                    let word = words.pop_front().unwrap_or_default();
                    chunk.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        Ok(())
    }
}

/// Accesses on their way into one request.
#[derive(Default)]
struct Plan {
    request: Request,
    /// Access and bytes of each run of words that is read.
    targets: Vec<(usize, Range<usize>)>,
}

impl Plan {
    /// Adds as many words of an access as fit, from a byte on; returns how many bytes those were.
    fn add(&mut self, index: usize, access: &Access<'_>, done: usize) -> usize {
        let (room, offset, length) = match access {
            Access::Read { offset, data, .. } => (self.request.room_to_read(), *offset, data.len()),
            Access::Write { offset, data, .. } => {
                (self.request.room_to_write(), *offset, data.len())
            }
        };
        let bytes = (4 * room).min(length - done);
        if bytes == 0 {
            return 0;
        }
        let address = (offset as usize + done) as u16;
        let range = done..done + bytes;
        match access {
            Access::Read { .. } => {
                self.request.read(address, bytes / 4);
                self.targets.push((index, range));
            }
            Access::Write { data, .. } => {
                let words = data[range].as_chunks::<4>().0;
                let words = words.iter().map(|word| u32::from_le_bytes(*word));
                self.request.write(address, words);
            }
        }
        bytes
    }
}

impl Device for UartDevice {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        (region == BAR0).then_some(RegionInfo {
            size: BAR0_BYTES as u64,
            flags: REGION_READ | REGION_WRITE,
        })
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        self.batch(&mut [Access::Read {
            region,
            offset,
            data,
        }])
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.batch(&mut [Access::Write {
            region,
            offset,
            data,
        }])
    }

    /// What a reset of the function stops is not there.
    fn reset(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn map(&mut self, _: usize) -> Result<DmaMemory, Error> {
        Err(self.absent("memory that it reaches"))
    }

    fn interrupt_count(&mut self) -> Result<usize, Error> {
        Ok(0)
    }

    fn enable_interrupts(&mut self, _: usize) -> Result<Vec<EventFd>, Error> {
        Err(self.absent("interrupts"))
    }

    fn set_bus_master(&mut self, _: bool) -> Result<(), Error> {
        Err(self.absent("memory that it reaches"))
    }

    fn batch(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        accesses.iter().try_for_each(permitted)?;
        let mut plan = Plan::default();
        for index in 0..accesses.len() {
            let mut done = 0;
            while done < length(&accesses[index]) {
                match plan.add(index, &accesses[index], done) {
                    0 => self.settle(&mut plan, accesses)?,
                    bytes => done += bytes,
                }
            }
        }
        self.settle(&mut plan, accesses)
    }
}

impl UartDevice {
    fn absent(&self, what: &'static str) -> Error {
        Error::Absent {
            path: self.line.path().into(),
            what,
        }
    }
}

fn length(access: &Access<'_>) -> usize {
    match access {
        Access::Read { data, .. } => data.len(),
        Access::Write { data, .. } => data.len(),
    }
}

/// Whole registers of BAR0.
fn permitted(access: &Access<'_>) -> Result<(), Error> {
    let (what, region, offset) = match access {
        Access::Read { region, offset, .. } => ("reading", *region, *offset),
        Access::Write { region, offset, .. } => ("writing", *region, *offset),
    };
    let bytes = length(access);
    let end = offset.checked_add(bytes as u64);
    let fits = end.is_some_and(|end| end <= BAR0_BYTES as u64);
    match region == BAR0 && fits && offset.is_multiple_of(4) && bytes.is_multiple_of(4) {
        true => Ok(()),
        false => Err(Error::Refused {
            request: format!("{what} {bytes} bytes at {offset:#x} of region {region}"),
            errno: libc::EINVAL as u32,
        }),
    }
}

/// How often a request is sent.
const ATTEMPTS: u32 = 5;
/// What the first answer may take besides its time on the line: USB adapters collect what comes, programs wait for their
/// turn. The second may take twice as much, and so on.
const PATIENCE: Duration = Duration::from_millis(250);
/// Silence after which a card has forgotten the begin of a request.
const GAP: Duration = Duration::from_micros(2 * GAP_BITS as u64 * 1_000_000 / BAUD as u64);
