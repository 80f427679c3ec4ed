//! The simulator-only region of a simulated card: feed frames, run the clock, read what left.
//!
//! Replay and packet-tracer use it to stay in lock-step with the card. Silicon has no such region,
//! and [`crate::nic`] never touches it.

use std::path::Path;

use layout::desc::Metadata;
use layout::simulator::{self as region, Frame, RECORD_FRAME, RECORD_VERDICT, Record, STAGES};

use crate::vfio::{self, Device};

/// What the simulator saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame left a port.
    Left {
        /// Egress port.
        port: u8,
        /// The frame without FCS.
        frame: Vec<u8>,
        /// Clock of the last beat.
        cycle_last: u64,
    },
    /// The card decided about a frame.
    Verdict {
        /// What it knows and decided.
        metadata: Metadata,
        /// Clock of the first beat.
        cycle_first: u64,
        /// Clock of the last beat.
        cycle_last: u64,
        /// Clock of each of `layout::simulator::STAGES`, 0 where the packet did not pass.
        stages: Vec<u64>,
    },
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
        match device.region_info(region::REGION_INDEX) {
            Some(info) if info.size >= region::REGION_BYTES as u64 => Ok(Self(device)),
            _ => Err(Error::NoRegion),
        }
    }

    /// Puts a frame at the end of what a port will receive.
    pub fn feed(&mut self, port: u8, frame: &[u8]) -> Result<(), Error> {
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
        self.write(region::FEED, &bytes)
    }

    /// Runs the clock until nothing is left to do.
    pub fn run_until_idle(&mut self) -> Result<(), Error> {
        self.write(region::RUN, &RUN_CLOCKS.to_le_bytes())?;
        match self.read_u64(region::RUN)? {
            1 => Ok(()),
            _ => Err(Error::NotIdle(RUN_CLOCKS)),
        }
    }

    /// Takes what was seen since the last call, in the order it happened.
    pub fn drain(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        loop {
            let waiting = self.read_u64(region::DRAIN_BYTES)?;
            if waiting == 0 {
                return Ok(events);
            }
            let mut bytes = vec![0; waiting.min(DRAIN_WINDOW_BYTES) as usize];
            self.0
                .region_read(region::REGION_INDEX, region::DRAIN, &mut bytes)?;
            let taken = parse_records(&bytes, &mut events)?;
            if taken == 0 {
                return Err(Error::Records("records wait but none can be read"));
            }
        }
    }

    /// Starts a wave file.
    pub fn start_wave(&mut self, path: &Path) -> Result<(), Error> {
        self.write(region::WAVE, path.as_os_str().as_encoded_bytes())
    }

    /// Ends the wave file.
    pub fn stop_wave(&mut self) -> Result<(), Error> {
        self.write(region::WAVE, &[])
    }

    fn read_u64(&mut self, offset: u64) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.0
            .region_read(region::REGION_INDEX, offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.0.region_write(region::REGION_INDEX, offset, bytes)?)
    }
}

/// Parses whole records and returns how many; a zero header is the end of what was there.
fn parse_records(bytes: &[u8], events: &mut Vec<Event>) -> Result<usize, Error> {
    let mut at = 0;
    let mut count = 0;
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
        count += 1;
    }
    Ok(count)
}

fn parse_record(record: &Record, body: &[u8]) -> Result<Event, Error> {
    let (cycle_first, cycle_last) = (record.cycle_first, record.cycle_last);
    match record.kind {
        RECORD_FRAME => Ok(Event::Left {
            port: record.port,
            frame: body.to_vec(),
            cycle_last,
        }),
        RECORD_VERDICT if body.len() == METADATA_BYTES + 8 * STAGES.len() => {
            let (metadata, stages) = body.split_at(METADATA_BYTES);
            Ok(Event::Verdict {
                metadata: Metadata::unpack(&words(metadata)),
                cycle_first,
                cycle_last,
                stages: stages
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|bytes| u64::from_le_bytes(*bytes))
                    .collect(),
            })
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
/// From `DRAIN` to the end of the region.
const DRAIN_WINDOW_BYTES: u64 = region::REGION_BYTES as u64 - region::DRAIN;
/// Far more than any frame needs, few enough that the slowest card answers in time.
const RUN_CLOCKS: u64 = 100_000;

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
        assert_eq!(parse_records(&bytes, &mut events).expect("records"), 2);
        assert_eq!(
            events[0],
            Event::Left {
                port: 1,
                frame: vec![7, 8, 9],
                cycle_last: 9
            }
        );
        assert!(
            matches!(&events[1], Event::Verdict { cycle_first: 1, stages, .. } if stages.len() == STAGES.len())
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
