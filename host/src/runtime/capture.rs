//! Captures: pcap and pcapng in, merged by time; pcap out.
//!
//! Frames come out with the time they were captured at and their number in their file (from 1, as
//! analysers count). What is not a capture of Ethernet is refused; a file that breaks off gives
//! everything before the break and then an error that names the packet.
//!
//! `pcap-file` 2.0 refuses whole packets that a capture has shortened, and takes the timestamps of
//! pcapng for nanoseconds whatever the file says; both are put right here.

use std::fs::File;
use std::io::{BufWriter, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

/// A frame and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Time since 1970.
    pub time: Duration,
    /// Number in its file, from 1.
    pub number: u64,
    /// Bytes it had on the wire; more than `frame` has if the capture shortened it.
    pub wire_bytes: u32,
    /// The frame without FCS.
    pub frame: Vec<u8>,
}

/// Why a capture cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened, or not made.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error("{} is not a capture: {reason}", path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It holds something else than Ethernet frames.
    #[error("{}: packet {number} is of link type {link}, not Ethernet", path.display())]
    LinkType {
        /// The file.
        path: PathBuf,
        /// First packet concerned.
        number: u64,
        /// Its link type.
        link: String,
    },
    /// A packet cannot be read. Everything before it was.
    #[error("{}: packet {number} cannot be read: {reason}", path.display())]
    Packet {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A frame cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

type Source = Box<dyn Read + Send>;

enum Format {
    Pcap(PcapReader<Source>),
    PcapNg(PcapNgReader<Source>),
}

/// A capture being read.
pub struct Capture {
    path: PathBuf,
    format: Format,
    number: u64,
    time: Duration,
}

impl Capture {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|source| CaptureError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::read(path, Box::new(file))
    }

    /// Reads the header from any source; `path` is what errors call it.
    pub fn read(path: &Path, mut source: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let not_a_capture = |reason| CaptureError::NotACapture {
            path: path.to_owned(),
            reason,
        };
        let mut magic = [0; 4];
        source
            .read_exact(&mut magic)
            .map_err(|error| not_a_capture(sentence(&PcapError::IoError(error))))?;
        // Not sought back: a pipe cannot be.
        let source: Source = Box::new(Cursor::new(magic).chain(source));
        let format = if magic == PCAPNG_MAGIC {
            Format::PcapNg(
                PcapNgReader::new(source).map_err(|error| not_a_capture(sentence(&error)))?,
            )
        } else {
            Format::Pcap(PcapReader::new(source).map_err(|error| not_a_capture(sentence(&error)))?)
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            number: 0,
            time: Duration::ZERO,
        })
    }

    /// The next frame; `None` at the end. After an error there is nothing more to be had.
    pub fn next_frame(&mut self) -> Result<Option<Captured>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(reader) => next_of_pcap(reader),
            Format::PcapNg(reader) => next_of_pcapng(reader, self.time),
        };
        let number = self.number + 1;
        let (time, wire_bytes, frame) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(Fault::LinkType(link)) => {
                let link = format!("{link:?}");
                return Err(CaptureError::LinkType {
                    path: self.path.clone(),
                    number,
                    link,
                });
            }
            Err(Fault::Broken(reason)) => {
                return Err(CaptureError::Packet {
                    path: self.path.clone(),
                    number,
                    reason,
                });
            }
        };
        self.number = number;
        self.time = time;
        Ok(Some(Captured {
            time,
            number,
            wire_bytes,
            frame,
        }))
    }
}

/// Several captures in the order of time; of two at the same time the one opened first.
pub struct Merged {
    captures: Vec<(Capture, Option<Captured>)>,
}

impl Merged {
    /// Reads the first frame of each.
    pub fn new(captures: Vec<Capture>) -> Result<Self, CaptureError> {
        let with_head = |mut capture: Capture| capture.next_frame().map(|head| (capture, head));
        Ok(Self {
            captures: captures
                .into_iter()
                .map(with_head)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Time of the next frame.
    pub fn next_time(&self) -> Option<Duration> {
        self.captures
            .iter()
            .filter_map(|(_, head)| head.as_ref())
            .map(|head| head.time)
            .min()
    }

    /// Takes the next frame and says which capture it is from. An error behind it comes with it, so
    /// that what was read is never lost.
    pub fn next_frame(&mut self) -> Option<(usize, Captured, Result<(), CaptureError>)> {
        let waiting = |(index, (_, head)): (usize, &(Capture, Option<Captured>))| {
            head.as_ref().map(|head| (head.time, index))
        };
        let (_, index) = self.captures.iter().enumerate().filter_map(waiting).min()?;
        let (capture, head) = &mut self.captures[index];
        let (next, outcome) = match capture.next_frame() {
            Ok(next) => (next, Ok(())),
            Err(error) => (None, Err(error)),
        };
        std::mem::replace(head, next).map(|frame| (index, frame, outcome))
    }
}

/// A capture being written: classic pcap with nanoseconds.
pub struct CaptureWriter {
    path: PathBuf,
    writer: PcapWriter<BufWriter<File>>,
}

impl CaptureWriter {
    /// Makes the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        let file = File::create(path).map_err(|source| CaptureError::Open {
            path: path.to_owned(),
            source,
        })?;
        let header = PcapHeader {
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            snaplen: SNAPLEN,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(BufWriter::new(file), header).map_err(|error| {
            CaptureError::Write {
                path: path.to_owned(),
                reason: sentence(&error),
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    /// Appends a frame.
    pub fn write(&mut self, time: Duration, frame: &[u8]) -> Result<(), CaptureError> {
        let packet = PcapPacket::new(time, frame.len() as u32, frame);
        self.writer
            .write_packet(&packet)
            .map_err(|error| self.failed(sentence(&error)))?;
        Ok(())
    }

    /// Makes sure that everything is in the file.
    pub fn finish(self) -> Result<(), CaptureError> {
        let Self { path, writer } = self;
        writer
            .into_writer()
            .flush()
            .map_err(|error| CaptureError::Write {
                path,
                reason: error.to_string(),
            })
    }

    fn failed(&self, reason: String) -> CaptureError {
        CaptureError::Write {
            path: self.path.clone(),
            reason,
        }
    }
}

enum Fault {
    LinkType(DataLink),
    Broken(String),
}

impl From<PcapError> for Fault {
    fn from(error: PcapError) -> Self {
        Fault::Broken(sentence(&error))
    }
}

/// Time, bytes on the wire, frame.
type Found = (Duration, u32, Vec<u8>);

fn next_of_pcap(reader: &mut PcapReader<Source>) -> Result<Option<Found>, Fault> {
    let header = reader.header();
    if header.datalink != DataLink::ETHERNET {
        return Err(Fault::LinkType(header.datalink));
    }
    let Some(packet) = reader.next_raw_packet() else {
        return Ok(None);
    };
    let RawPcapPacket {
        ts_sec,
        ts_frac,
        incl_len,
        orig_len,
        data,
    } = packet?;
    let unit = match header.ts_resolution {
        TsResolution::MicroSecond => 1_000_000,
        TsResolution::NanoSecond => 1_000_000_000,
    };
    if ts_frac >= unit {
        return Err(Fault::Broken(format!(
            "its time has {ts_frac} parts of a second's {unit}"
        )));
    }
    if incl_len > orig_len {
        return Err(Fault::Broken(format!(
            "it claims {incl_len} bytes captured of {orig_len}"
        )));
    }
    let nanos = ts_frac * (1_000_000_000 / unit);
    Ok(Some((
        Duration::new(ts_sec.into(), nanos),
        orig_len,
        data.into_owned(),
    )))
}

/// Blocks that are no packets are skipped; a packet without a time has that of the one before.
fn next_of_pcapng(
    reader: &mut PcapNgReader<Source>,
    before: Duration,
) -> Result<Option<Found>, Fault> {
    while let Some(block) = reader.next_block() {
        let (interface, ticks, wire_bytes, mut frame) = match block? {
            // The reader takes its ticks for nanoseconds.
            Block::EnhancedPacket(packet) => {
                let ticks = packet.timestamp.as_nanos() as u64;
                (
                    packet.interface_id,
                    Some(ticks),
                    packet.original_len,
                    packet.data.into_owned(),
                )
            }
            Block::Packet(packet) => (
                packet.interface_id.into(),
                Some(packet.timestamp),
                packet.original_len,
                packet.data.into_owned(),
            ),
            Block::SimplePacket(packet) => (0, None, packet.original_len, packet.data.into_owned()),
            _ => continue,
        };
        let Some(interface) = reader.interfaces().get(interface as usize) else {
            return Err(Fault::Broken(format!(
                "it names interface {interface}, which the file does not describe"
            )));
        };
        if interface.linktype != DataLink::ETHERNET {
            return Err(Fault::LinkType(interface.linktype));
        }
        let time = match ticks {
            Some(ticks) => time_of(interface, ticks)?,
            None => {
                // A simple packet is padded to four bytes and says only its length on the wire.
                let snaplen = if interface.snaplen == 0 {
                    u32::MAX
                } else {
                    interface.snaplen
                };
                frame.truncate(wire_bytes.min(snaplen) as usize);
                before
            }
        };
        return Ok(Some((time, wire_bytes, frame)));
    }
    Ok(None)
}

/// Ticks in the interface's unit to time since 1970 (pcapng, options if_tsresol and if_tsoffset).
fn time_of(interface: &InterfaceDescriptionBlock<'_>, ticks: u64) -> Result<Duration, Fault> {
    let mut resolution = DEFAULT_RESOLUTION;
    let mut offset_s = 0;
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(value) => resolution = *value,
            InterfaceDescriptionOption::IfTsOffset(value) => offset_s = *value,
            _ => {}
        }
    }
    let exponent = u32::from(resolution & 0x7f);
    let per_second = match resolution & 0x80 {
        0 => 10u128.checked_pow(exponent),
        _ => 2u128.checked_pow(exponent),
    };
    let per_second = per_second
        .ok_or_else(|| Fault::Broken(format!("its time has the resolution {resolution:#x}")))?;
    let ticks = u128::from(ticks);
    let nanos = ticks % per_second * 1_000_000_000 / per_second;
    let seconds = (ticks / per_second) as u64;
    Ok(Duration::new(
        seconds.saturating_add(offset_s),
        nanos as u32,
    ))
}

fn sentence(error: &PcapError) -> String {
    match error {
        PcapError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            "the file ends inside it".into()
        }
        PcapError::IoError(error) => error.to_string(),
        PcapError::IncompleteBuffer => "the file ends inside it".into(),
        error => error.to_string(),
    }
}

/// Block type of a pcapng section header, the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Microseconds.
const DEFAULT_RESOLUTION: u8 = 6;
/// As tcpdump writes it.
const SNAPLEN: u32 = 262_144;
