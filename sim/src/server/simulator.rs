//! The simulator-only region: `layout::simulator` in terms of a card.
//!
//! Registers are 8 bytes and accessed whole. A list of frames is checked before the first is fed.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layout::simulator::{
    CYCLE, DRAIN, DRAIN_BYTES, FEED, Frame, READY_PATTERN, RECORD_FRAME, RECORD_VERDICT, RUN, STEP,
    VALID_PATTERN, WAVE,
};
use layout::table::PORTS;

use super::message::Errno;
use crate::card::{Body, Card, Record};

/// Bytes of a packed record or frame header.
const FRAME_HEADER_BYTES: usize = Frame::WORDS * 4;
const RECORD_HEADER_BYTES: usize = layout::simulator::Record::WORDS * 4;
/// Bytes of packed metadata in a verdict record.
const METADATA_BYTES: usize = 16;

/// What the region remembers between accesses.
#[derive(Default)]
pub struct SimulatorRegion {
    ended_idle: bool,
    records: VecDeque<Vec<u8>>,
    record_bytes: usize,
}

impl SimulatorRegion {
    /// Nothing has run yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A read at an offset that is known to lie inside the region.
    pub fn read(&mut self, card: &mut dyn Card, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        if offset == DRAIN {
            self.collect(card);
            self.drain(data);
            return Ok(());
        }
        let value = match offset {
            CYCLE => card.cycle(),
            RUN => u64::from(self.ended_idle),
            DRAIN_BYTES => {
                self.collect(card);
                self.record_bytes as u64
            }
            _ => return Err(Errno::Invalid),
        };
        if data.len() != 8 {
            return Err(Errno::Invalid);
        }
        data.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// A write at an offset that is known to lie inside the region.
    pub fn write(&mut self, card: &mut dyn Card, offset: u64, data: &[u8]) -> Result<(), Errno> {
        match offset {
            FEED => return feed(card, data),
            WAVE if data.is_empty() => card.stop_wave(),
            WAVE => {
                let path = Path::new(OsStr::from_bytes(data));
                return card.start_wave(path).map_err(|error| match error.kind() {
                    std::io::ErrorKind::Unsupported => Errno::NotSupported,
                    _ => Errno::Io,
                });
            }
            _ => {
                let value = u64::from_le_bytes(data.try_into().map_err(|_| Errno::Invalid)?);
                match offset {
                    RUN => self.ended_idle = card.run(value),
                    STEP => card.step(value),
                    READY_PATTERN => card.set_ready_pattern([value as u32, (value >> 32) as u32]),
                    VALID_PATTERN => card.set_valid_pattern(value as u32),
                    _ => return Err(Errno::Invalid),
                }
            }
        }
        Ok(())
    }

    /// Moves what the card has seen into packed records.
    fn collect(&mut self, card: &mut dyn Card) {
        while let Some(record) = card.next_record() {
            let bytes = encode(&record);
            self.record_bytes += bytes.len();
            self.records.push_back(bytes);
        }
    }

    /// Fills the data with as many whole records as fit, the rest with zeros.
    fn drain(&mut self, data: &mut [u8]) {
        let mut at = 0;
        while let Some(bytes) = self
            .records
            .pop_front_if(|bytes| at + bytes.len() <= data.len())
        {
            data[at..at + bytes.len()].copy_from_slice(&bytes);
            at += bytes.len();
            self.record_bytes -= bytes.len();
        }
        data[at..].fill(0);
    }
}

/// Feeds a list of frames, or none of it when any part is malformed.
fn feed(card: &mut dyn Card, data: &[u8]) -> Result<(), Errno> {
    let mut frames = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (header, body) = rest
            .split_at_checked(FRAME_HEADER_BYTES)
            .ok_or(Errno::Invalid)?;
        let header = Frame::unpack(&to_words(header));
        let (length, port) = (usize::from(header.length), usize::from(header.port));
        let (padded, next) = body
            .split_at_checked(length.next_multiple_of(8))
            .ok_or(Errno::Invalid)?;
        if length == 0 || port >= PORTS {
            return Err(Errno::Invalid);
        }
        frames.push((port, &padded[..length]));
        rest = next;
    }
    frames
        .into_iter()
        .for_each(|(port, frame)| card.feed(port, frame));
    Ok(())
}

/// A record as it stands in `DRAIN`.
fn encode(record: &Record) -> Vec<u8> {
    let (kind, body) = match &record.body {
        Body::Frame(frame) => (RECORD_FRAME, frame.clone()),
        Body::Verdict { metadata, stages } => {
            let mut body = to_bytes(&metadata.pack());
            body.resize(METADATA_BYTES, 0);
            stages
                .iter()
                .for_each(|clock| body.extend_from_slice(&clock.to_le_bytes()));
            (RECORD_VERDICT, body)
        }
    };
    let header = layout::simulator::Record {
        length: body.len() as u16,
        port: record.port,
        kind,
        reserved: 0,
        cycle_first: record.cycle_first,
        cycle_last: record.cycle_last,
    };
    let mut bytes = to_bytes(&header.pack());
    debug_assert_eq!(bytes.len(), RECORD_HEADER_BYTES);
    bytes.extend_from_slice(&body);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn to_bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}
