//! The far end of the ports: captures played into the card and recorded from it.
//!
//! A frame enters only when the card is enabled and idle and the host has emptied the punt window,
//! so a capture is played without loss however slow the host is, and twice in the same way. Recorded
//! timestamps are the card's clock at 125 MHz, not the host's.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use layout::csr;
use layout::table::PORTS;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::{PcapError, TsResolution};

use crate::card::{Body, Card};

/// Clocks for one frame before the wire looks at the host again.
const SLICE_CLOCKS: u64 = 100_000;
/// Nanoseconds of a clock at 125 MHz.
const CLOCK_NS: u64 = 8;
/// Names of the ports, by number.
pub const PORT_NAMES: [&str; PORTS] = ["outside", "inside"];

/// Why a capture cannot go on.
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
}

/// What the ports lead to.
#[derive(Default)]
pub struct Wire {
    ports: [Option<Port>; PORTS],
    next_port: usize,
}

/// A capture in and one out.
struct Port {
    input: Input,
    output: Output,
}

struct Input {
    path: PathBuf,
    reader: Option<PcapReader<BufReader<File>>>,
    number: u64,
}

struct Output {
    path: PathBuf,
    /// Not buffered: what has left the card is in the file, however the process ends.
    writer: PcapWriter<File>,
}

impl Wire {
    /// No port leads anywhere: what leaves one is discarded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects a port to two captures; one that exists under the second name is replaced.
    ///
    /// # Errors
    /// If either file cannot be opened.
    pub fn connect(&mut self, port: usize, input: &Path, output: &Path) -> Result<(), WireError> {
        self.ports[port] = Some(Port {
            input: Input::open(input)?,
            output: Output::create(output)?,
        });
        Ok(())
    }

    /// Plays the next frame if the card can take it; true if there may be more to do at once.
    ///
    /// # Errors
    /// If a capture is broken: everything before the named packet was played.
    pub fn advance(&mut self, card: &mut dyn Card) -> Result<bool, WireError> {
        let is_idle = card.run(SLICE_CLOCKS);
        self.record(card)?;
        if !is_idle {
            return Ok(true);
        }
        let is_enabled = card.bar_read(csr::CONTROL) & csr::CONTROL_ENABLE != 0;
        if !is_enabled || card.bar_read(csr::PUNT_STATUS) != 0 {
            return Ok(false);
        }
        self.play_one(card)
    }

    /// Feeds one frame, from the ports in turn.
    fn play_one(&mut self, card: &mut dyn Card) -> Result<bool, WireError> {
        for i in 0..PORTS {
            let number = (self.next_port + i) % PORTS;
            let Some(port) = &mut self.ports[number] else {
                continue;
            };
            if let Some(frame) = port.input.next_frame()? {
                card.feed(number, &frame);
                self.next_port = (number + 1) % PORTS;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes down what left the ports.
    fn record(&mut self, card: &mut dyn Card) -> Result<(), WireError> {
        while let Some(record) = card.next_record() {
            let Body::Frame(frame) = &record.body else {
                continue;
            };
            if let Some(port) = &mut self.ports[usize::from(record.port)] {
                port.output.write(record.cycle_last, frame)?;
            }
        }
        Ok(())
    }
}

impl Input {
    fn open(path: &Path) -> Result<Self, WireError> {
        let file = File::open(path).map_err(|source| WireError::Open {
            path: path.to_owned(),
            source,
        })?;
        let fail = |reason: String| WireError::Header {
            path: path.to_owned(),
            reason,
        };
        let reader =
            PcapReader::new(BufReader::new(file)).map_err(|error| fail(error.to_string()))?;
        let datalink = reader.header().datalink;
        if datalink != pcap_file::DataLink::ETHERNET {
            return Err(fail(format!("link type {datalink:?}")));
        }
        Ok(Self {
            path: path.to_owned(),
            reader: Some(reader),
            number: 0,
        })
    }

    /// The next frame; `None` at the end, and after an error.
    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let Some(packet) = self.reader.as_mut().and_then(PcapReader::next_packet) else {
            return Ok(None);
        };
        self.number += 1;
        let reason = match packet {
            Ok(packet) if packet.data.is_empty() => "it has no bytes".to_owned(),
            Ok(packet) if packet.data.len() > usize::from(u16::MAX) => "it is too long".to_owned(),
            Ok(packet) => return Ok(Some(packet.data.into_owned())),
            Err(error) => error.to_string(),
        };
        self.reader = None;
        Err(WireError::Packet {
            path: self.path.clone(),
            number: self.number,
            reason,
        })
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, WireError> {
        let file = File::create(path).map_err(|source| WireError::Open {
            path: path.to_owned(),
            source,
        })?;
        let header = PcapHeader {
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(file, header).map_err(|source| WireError::Record {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    fn write(&mut self, cycle: u64, frame: &[u8]) -> Result<(), WireError> {
        let packet = PcapPacket::new(
            Duration::from_nanos(cycle * CLOCK_NS),
            frame.len() as u32,
            frame,
        );
        let written = self.writer.write_packet(&packet);
        written.map(|_| ()).map_err(|source| WireError::Record {
            path: self.path.clone(),
            source,
        })
    }
}
