//! The simulator-only region of a simulated card: feed frames, run the clock, read what left.
//!
//! Replay and packet-tracer use it to stay in lock-step with the card. Silicon has no such region,
//! and [`crate::nic`] never touches it.

use std::path::Path;

use layout::desc::Metadata;
use layout::simulator::{
    DRAIN, FEED, Frame, RECORD_FRAME, RECORD_VERDICT, REGION_BYTES, REGION_INDEX, RUN, Record,
    STAGES, WAVE,
};
use layout::table::HOST_FRAME_BYTES;

use crate::vfio::{self, Access, Device};

/// What the simulator saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame left a port.
    Left(Left),
    /// The card decided about a frame.
    Verdict(Verdict),
}

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Egress port.
    pub port: u8,
    /// The frame without FCS.
    pub frame: Vec<u8>,
    /// Clock of its last beat.
    pub cycle_last: u64,
}

/// A decision about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the card knew and decided; `length` is 0.
    pub metadata: Metadata,
    /// Clock of the frame's first beat.
    pub cycle_first: u64,
    /// Clock of its last beat.
    pub cycle_last: u64,
    /// Clock of each of `layout::simulator::STAGES`, 0 where the frame did not pass.
    pub stages: Vec<u64>,
}

/// Why the lock-step failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The way to the card failed.
    #[error(transparent)]
    Vfio(#[from] vfio::Error),
    /// The device is not a simulated card.
    #[error("the card has no simulator region: lock-step needs a simulated card")]
    NoRegion,
    /// A frame cannot be described to the simulator.
    #[error("a frame of {0} bytes cannot be fed")]
    FrameLength(usize),
    /// The card stays busy.
    #[error("the card is not idle after {0} clocks")]
    NotIdle(u64),
    /// The region's content makes no sense.
    #[error("the simulator's records are out of step: {0}")]
    Records(&'static str),
}

/// The region of an open device.
pub struct Simulator<'a>(&'a mut dyn Device);

impl<'a> Simulator<'a> {
    /// Checks that the device has the region.
    pub fn of(device: &'a mut dyn Device) -> Result<Self, Error> {
        match device.region_info(REGION_INDEX) {
            Some(info) if info.size >= REGION_BYTES as u64 => Ok(Self(device)),
            _ => Err(Error::NoRegion),
        }
    }

    /// Gives a port a frame to receive, runs the clock until nothing is left to do, and returns what
    /// was seen since the last call, in the order it happened. Without a frame it only runs.
    pub fn run(&mut self, frame: Option<(u8, &[u8])>) -> Result<Vec<Event>, Error> {
        let feed = frame.map(|(port, frame)| encode(port, frame)).transpose()?;
        let length = frame.map_or(0, |(_, frame)| frame.len());
        let longest = RECORD_BYTES + length.max(HOST_FRAME_BYTES) + ALIGN;
        let mut window = vec![0; DRAIN_READ_BYTES + longest];
        let mut idle = [0; 8];
        let mut accesses = Vec::new();
        if let Some(data) = &feed {
            accesses.push(Access::Write {
                region: REGION_INDEX,
                offset: FEED,
                data,
            });
        }
        accesses.push(Access::Write {
            region: REGION_INDEX,
            offset: RUN,
            data: &RUN_CLOCKS,
        });
        accesses.push(Access::Read {
            region: REGION_INDEX,
            offset: RUN,
            data: &mut idle,
        });
        accesses.push(Access::Read {
            region: REGION_INDEX,
            offset: DRAIN,
            data: &mut window,
        });
        self.0.batch(&mut accesses)?;
        if u64::from_le_bytes(idle) != 1 {
            return Err(Error::NotIdle(u64::from_le_bytes(RUN_CLOCKS)));
        }
        let mut events = Vec::new();
        // Only whole records are shown: none waits behind the last one if any would have fitted.
        while parse_records(&window, &mut events)? + longest > window.len() {
            self.0.region_read(REGION_INDEX, DRAIN, &mut window)?;
        }
        Ok(events)
    }

    /// Starts a wave file.
    pub fn start_wave(&mut self, path: &Path) -> Result<(), Error> {
        self.write(WAVE, path.as_os_str().as_encoded_bytes())
    }

    /// Ends the wave file.
    pub fn stop_wave(&mut self) -> Result<(), Error> {
        self.write(WAVE, &[])
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.0.region_write(REGION_INDEX, offset, bytes)?)
    }
}

/// A frame as the region wants it.
fn encode(port: u8, frame: &[u8]) -> Result<Vec<u8>, Error> {
    let length = u16::try_from(frame.len()).map_err(|_| Error::FrameLength(frame.len()))?;
    let header = Frame {
        length,
        port,
        reserved: 0,
    };
    let mut bytes: Vec<u8> = header
        .pack()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    bytes.extend_from_slice(frame);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    Ok(bytes)
}

/// Parses whole records and returns their bytes; a zero header is the end of what was there.
fn parse_records(bytes: &[u8], events: &mut Vec<Event>) -> Result<usize, Error> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + RECORD_BYTES) {
        let record = Record::unpack(&words(header));
        if record == Record::default() {
            break;
        }
        let start = at + RECORD_BYTES;
        let end = start + usize::from(record.length);
        let body = bytes
            .get(start..end)
            .ok_or(Error::Records("a record is cut"))?;
        events.push(parse_record(&record, body)?);
        at = end.next_multiple_of(ALIGN);
    }
    Ok(at)
}

fn parse_record(record: &Record, body: &[u8]) -> Result<Event, Error> {
    let (cycle_first, cycle_last) = (record.cycle_first, record.cycle_last);
    match record.kind {
        RECORD_FRAME => Ok(Event::Left(Left {
            port: record.port,
            frame: body.to_vec(),
            cycle_last,
        })),
        RECORD_VERDICT if body.len() == METADATA_BYTES + 8 * STAGES.len() => {
            let (metadata, stages) = body.split_at(METADATA_BYTES);
            let stages = stages.as_chunks::<8>().0.iter();
            Ok(Event::Verdict(Verdict {
                metadata: Metadata::unpack(&words(metadata)),
                cycle_first,
                cycle_last,
                stages: stages.map(|bytes| u64::from_le_bytes(*bytes)).collect(),
            }))
        }
        RECORD_VERDICT => Err(Error::Records("a verdict of wrong length")),
        _ => Err(Error::Records("a record of unknown kind")),
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}

/// Records and fed frames begin at multiples of this.
const ALIGN: usize = 8;
/// A packed `Record`.
const RECORD_BYTES: usize = Record::WORDS * 4;
/// Packed `Metadata` in a verdict record.
const METADATA_BYTES: usize = 16;
/// Room for the records of one frame and what the host made of it; more takes another read.
const DRAIN_READ_BYTES: usize = 2048;
/// Far more than any frame needs, few enough that the slowest card answers in time.
const RUN_CLOCKS: [u8; 8] = 100_000u64.to_le_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    fn record(record: Record, body: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = record
            .pack()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    #[test]
    fn records_are_read_in_order_up_to_the_padding() {
        let frame = Record {
            length: 3,
            port: 1,
            kind: RECORD_FRAME,
            cycle_first: 5,
            cycle_last: 9,
            ..Default::default()
        };
        let verdict = Record {
            length: 16 + 64,
            kind: RECORD_VERDICT,
            cycle_first: 1,
            cycle_last: 2,
            ..Default::default()
        };
        let bytes = [
            record(frame, &[7, 8, 9]),
            record(verdict, &[0; 80]),
            vec![0; 64],
        ]
        .concat();
        let mut events = Vec::new();
        assert_eq!(
            parse_records(&bytes, &mut events).expect("records"),
            bytes.len() - 64
        );
        assert_eq!(
            events[0],
            Event::Left(Left {
                port: 1,
                frame: vec![7, 8, 9],
                cycle_last: 9
            })
        );
        assert!(
            matches!(&events[1], Event::Verdict(Verdict { cycle_first: 1, stages, .. }) if stages.len() == STAGES.len())
        );
    }

    #[test]
    fn cut_and_unknown_records_are_errors() {
        let cut = Record {
            length: 100,
            kind: RECORD_FRAME,
            cycle_first: 1,
            ..Default::default()
        };
        assert!(parse_records(&record(cut, &[0; 8]), &mut Vec::new()).is_err());
        let unknown = Record {
            kind: 9,
            ..Default::default()
        };
        assert!(parse_records(&record(unknown, &[]), &mut Vec::new()).is_err());
    }
}
