//! A port's captures: one played into the card, one recorded from it.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::TsResolution;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};

use super::WireError;

/// Nanoseconds of a clock at 125 MHz.
const CLOCK_NS: u64 = 8;

/// What is played.
pub struct Input {
    path: PathBuf,
    reader: Option<PcapReader<BufReader<File>>>,
    number: u64,
}

/// What is recorded.
pub struct Output {
    path: PathBuf,
    /// Not buffered: what has left the card is in the file, however the process ends.
    writer: PcapWriter<File>,
}

impl Input {
    /// Opens a capture of Ethernet frames.
    pub fn open(path: &Path) -> Result<Self, WireError> {
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
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, WireError> {
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
    /// Makes a capture; one that exists is replaced.
    pub fn create(path: &Path) -> Result<Self, WireError> {
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

    /// Adds a frame that left at this clock.
    pub fn write(&mut self, cycle: u64, frame: &[u8]) -> Result<(), WireError> {
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
