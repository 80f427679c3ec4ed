//! The far end of the ports: captures played into the card and recorded from it, or TAP devices.
//!
//! A frame of a capture enters only when the card is enabled and idle and the host has taken what was
//! punted, so a capture is played without loss however slow the host is, and twice in the same way.
//! Recorded timestamps are the card's clock at 125 MHz, not the host's. Frames of a TAP device enter
//! as they come, a burst at a time; while the card works on them the kernel queues, and then drops.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use layout::csr;
use layout::table::{PORTS, PUNT_QUEUES};
use pcap_file::PcapError;

use crate::card::{Body, Card};

/// Captures.
mod capture;
/// TAP devices.
mod tap;

use capture::{Input, Output};
use tap::Tap;

/// Clocks before the wire looks at host and ports again when the host asks for nothing: some milliseconds of the RTL
/// card.
const SLICE_CLOCKS: u64 = 5_000;
/// And while it asks: a microsecond, about what a register read takes across a real bus. With more, a host that reads
/// a table under traffic would wait minutes for the RTL card.
const REQUEST_CLOCKS: u64 = 125;
/// Frames taken from a TAP device at once.
const BURST_FRAMES: usize = 32;
/// Longest frame of a TAP device.
const FRAME_BYTES: usize = 65_535;
/// How often the clock moves when nothing else moves it: timers of the card go on.
const TICK: Duration = Duration::from_millis(10);
/// And how far.
const TICK_CLOCKS: u64 = 4_000;
/// Names of the ports, by number.
pub const PORT_NAMES: [&str; PORTS] = ["outside", "inside"];

/// Why a port's far end cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The file cannot be opened or made.
    #[error("{path}: {source}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a capture.
    #[error("{path}: not a pcap capture of Ethernet frames: {reason}")]
    Header {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A packet cannot be read. All before it was played.
    #[error("{path}: packet {number}: {reason}")]
    Packet {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A frame cannot be recorded.
    #[error("{path}: cannot record: {source}")]
    Record {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PcapError,
    },
    /// The TAP device cannot be attached.
    #[error(
        "cannot attach TAP device `{name}` (it needs CAP_NET_ADMIN, or a device of yours): {source}"
    )]
    Attach {
        /// Which device.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The TAP device went away.
    #[error("TAP device of port `{port}`: {source}")]
    Tap {
        /// Which port.
        port: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What the ports lead to.
pub struct Wire {
    ports: [Option<Port>; PORTS],
    next_port: usize,
    next_tick: Instant,
    buffer: Vec<u8>,
}

/// The far end of one port.
enum Port {
    Captures(Box<(Input, Output)>),
    Tap(Tap),
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    /// No port leads anywhere: what leaves one is discarded.
    pub fn new() -> Self {
        Self {
            ports: Default::default(),
            next_port: 0,
            next_tick: Instant::now() + TICK,
            buffer: vec![0; FRAME_BYTES],
        }
    }

    /// Connects a port to two captures; one that exists under the second name is replaced.
    ///
    /// # Errors
    /// If either file cannot be opened.
    pub fn connect(&mut self, port: usize, input: &Path, output: &Path) -> Result<(), WireError> {
        let captures = (Input::open(input)?, Output::create(output)?);
        self.ports[port] = Some(Port::Captures(Box::new(captures)));
        Ok(())
    }

    /// Connects a port to a TAP device, which is made if there is none of that name.
    ///
    /// # Errors
    /// If it cannot be attached.
    pub fn connect_tap(&mut self, port: usize, name: &str) -> Result<(), WireError> {
        let tap = Tap::attach(name).map_err(|source| WireError::Attach {
            name: name.to_owned(),
            source,
        })?;
        self.ports[port] = Some(Port::Tap(tap));
        Ok(())
    }

    /// What brings frames when it can be read.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ports.iter().filter_map(|port| match port {
            Some(Port::Tap(tap)) => Some(tap.as_fd()),
            _ => None,
        })
    }

    /// Runs the card for the time between two requests of a host and feeds it what may enter.
    ///
    /// # Errors
    /// If a far end is broken: everything before was played.
    pub fn advance_briefly(&mut self, card: &mut dyn Card) -> Result<(), WireError> {
        self.work(card, REQUEST_CLOCKS).map(drop)
    }

    /// Runs the card a slice and feeds it what may enter; gives how long it can then be left alone
    /// unless a frame comes (`None`: for ever).
    ///
    /// # Errors
    /// If a far end is broken: everything before was played.
    pub fn advance(&mut self, card: &mut dyn Card) -> Result<Option<Duration>, WireError> {
        if self.work(card, SLICE_CLOCKS)? {
            return Ok(Some(Duration::ZERO));
        }
        let has_timers = card.bar_read(csr::DMA_CONTROL) != 0;
        if !has_timers && self.descriptors().next().is_none() {
            return Ok(None);
        }
        let now = Instant::now();
        if now < self.next_tick {
            return Ok(Some(self.next_tick - now));
        }
        card.step(TICK_CLOCKS);
        self.record(card)?;
        // From here: the RTL card may have taken longer than a tick for it.
        self.next_tick = Instant::now() + TICK;
        Ok(Some(TICK))
    }

    /// Runs the card for some clocks, fewer if it becomes idle, and feeds it what may enter. Whether there is more to do.
    fn work(&mut self, card: &mut dyn Card, clocks: u64) -> Result<bool, WireError> {
        let is_idle = card.run(clocks);
        self.record(card)?;
        Ok(!is_idle || self.take_bursts(card)? || self.play_one(card)?)
    }

    /// Feeds what has come from the TAP devices, a burst of each; true if there was any.
    fn take_bursts(&mut self, card: &mut dyn Card) -> Result<bool, WireError> {
        let mut is_fed = false;
        for (number, port) in self.ports.iter().enumerate() {
            let Some(Port::Tap(tap)) = port else {
                continue;
            };
            for _ in 0..BURST_FRAMES {
                let frame = tap.receive(&mut self.buffer);
                let Some(frame) = frame.map_err(|source| tap_error(number, source))? else {
                    break;
                };
                if !frame.is_empty() {
                    card.feed(number, frame);
                    is_fed = true;
                }
            }
        }
        Ok(is_fed)
    }

    /// Feeds one frame of the captures, from the ports in turn, if the card may take it.
    fn play_one(&mut self, card: &mut dyn Card) -> Result<bool, WireError> {
        let has_captures = self
            .ports
            .iter()
            .flatten()
            .any(|p| matches!(p, Port::Captures(_)));
        if !has_captures || !is_ready_for_capture(card) {
            return Ok(false);
        }
        for i in 0..PORTS {
            let number = (self.next_port + i) % PORTS;
            let Some(Port::Captures(captures)) = &mut self.ports[number] else {
                continue;
            };
            if let Some(frame) = captures.0.next_frame()? {
                card.feed(number, &frame);
                self.next_port = (number + 1) % PORTS;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hands on what left the ports.
    fn record(&mut self, card: &mut dyn Card) -> Result<(), WireError> {
        while let Some(record) = card.next_record() {
            let Body::Frame(frame) = &record.body else {
                continue;
            };
            let number = usize::from(record.port);
            match &mut self.ports[number] {
                Some(Port::Captures(captures)) => captures.1.write(record.cycle_last, frame)?,
                Some(Port::Tap(tap)) => {
                    tap.send(frame)
                        .map_err(|source| tap_error(number, source))?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn tap_error(port: usize, source: io::Error) -> WireError {
    WireError::Tap {
        port: PORT_NAMES[port],
        source,
    }
}

/// Whether the card is enabled and the host has taken all that was punted.
fn is_ready_for_capture(card: &mut dyn Card) -> bool {
    if card.bar_read(csr::CONTROL) & csr::CONTROL_ENABLE == 0 {
        return false;
    }
    if card.bar_read(csr::DMA_CONTROL) & csr::DMA_PUNT == 0 {
        return card.bar_read(csr::PUNT_STATUS) == 0;
    }
    (0..PUNT_QUEUES as u32).all(|ring| {
        let head = card.bar_read(csr::PUNT_HEAD + 4 * ring);
        head == card.bar_read(csr::PUNT_TAIL + 4 * ring)
    })
}
