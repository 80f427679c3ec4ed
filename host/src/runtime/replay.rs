//! Captures through a configuration, packet by packet.
//!
//! Frames are received in the order of their timestamps, which also are the time of the slow path.
//! Each is followed to its end before the next one comes, so the same captures always give the same
//! result, on either card.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::capture::{Capture, CaptureError, CaptureWriter, Captured, Merged};
use super::report::{Describer, Record, Replayed};
use super::{Error as RuntimeError, Runtime};
use crate::policy::Model;
use crate::policy::model::{Interface, InterfaceId};
use crate::simulator::Left;

/// A capture and the interface that receives it.
pub struct Input {
    /// Which interface.
    pub interface: InterfaceId,
    /// Its card port.
    pub port: u8,
    /// The capture.
    pub capture: Capture,
}

/// Why a replay cannot be done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A capture is broken, or an output cannot be written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Card or slow path failed.
    #[error("packet {number} of {interface}: {source}")]
    Runtime {
        /// Receiving interface.
        interface: String,
        /// Number in its capture.
        number: u64,
        /// What failed.
        source: RuntimeError,
    },
}

/// Captures about to be replayed.
pub struct Replay {
    inputs: Vec<(InterfaceId, u8)>,
    frames: Merged,
    begin: Duration,
}

impl Replay {
    /// Reads the first frame of each capture.
    pub fn new(inputs: Vec<Input>) -> Result<Self, CaptureError> {
        let interfaces = inputs
            .iter()
            .map(|input| (input.interface, input.port))
            .collect();
        let frames = Merged::new(inputs.into_iter().map(|input| input.capture).collect())?;
        Ok(Self {
            inputs: interfaces,
            begin: frames.next_time().unwrap_or_default(),
            frames,
        })
    }

    /// Time of the first frame since 1970.
    pub fn begin(&self) -> Duration {
        self.begin
    }

    /// Replays and writes what leaves the interfaces. `progress` is told the bytes of each frame. An
    /// error ends the replay; what was found before it is in `replayed` and in the outputs.
    pub fn run(
        mut self,
        runtime: &mut Runtime,
        describer: &Describer<'_>,
        mut outputs: Outputs,
        replayed: &mut Replayed,
        mut progress: impl FnMut(usize),
    ) -> Result<(), Error> {
        let mut now = Duration::ZERO;
        let mut ended = Ok(());
        let mut last = Duration::MAX;
        // Where one capture breaks off, the others are followed to the same time and no further.
        while self.frames.next_time().is_some_and(|time| time <= last)
            && let Some((input, captured, next)) = self.frames.next_frame()
        {
            // A capture whose clock was set back does not take time back here.
            now = now.max(captured.time.saturating_sub(self.begin));
            let (interface, port) = self.inputs[input];
            let received = Received {
                interface,
                port,
                now,
                captured: &captured,
            };
            let record = step(runtime, describer, &received, &mut outputs);
            for event in runtime.take_log() {
                replayed.add_event(captured.time, &event);
            }
            progress(captured.frame.len());
            match record {
                Ok(record) => replayed.packets.push(record),
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
            if let Err(error) = next {
                last = last.min(captured.time);
                ended = ended.and(Err(error.into()));
            }
        }
        outputs.finish()?;
        ended
    }
}

/// A frame about to be received.
struct Received<'a> {
    interface: InterfaceId,
    port: u8,
    now: Duration,
    captured: &'a Captured,
}

/// Lets time pass up to the frame, receives it, and writes what leaves.
fn step(
    runtime: &mut Runtime,
    describer: &Describer<'_>,
    received: &Received<'_>,
    outputs: &mut Outputs,
) -> Result<Record, Error> {
    let Received {
        interface,
        port,
        now,
        captured,
    } = *received;
    let failed = |source| Error::Runtime {
        interface: describer.interface_name(interface).to_owned(),
        number: captured.number,
        source,
    };
    for left in runtime.pass_time(now).map_err(failed)? {
        outputs.write(describer, captured.time, &left)?;
    }
    let mut record = Record::new(describer, interface, captured);
    if captured.frame.len() > CARD_FRAME_BYTES || captured.frame.is_empty() {
        record.reason = if captured.frame.is_empty() {
            "empty-frame"
        } else {
            "too-long-for-card"
        };
        return Ok(record);
    }
    let outcome = runtime
        .receive(now, port, &captured.frame)
        .map_err(failed)?;
    for left in &outcome.left {
        outputs.write(describer, captured.time, left)?;
    }
    record.set_outcome(describer, captured.frame.len(), &outcome);
    Ok(record)
}

/// A capture for each interface on the card: what left it.
pub struct Outputs {
    /// By interface number; `None` for an interface that is not on the card.
    interfaces: Vec<Option<CaptureWriter>>,
}

impl Outputs {
    /// Makes `<nameif>.pcap` for each interface on the card.
    pub fn create(model: &Model, folder: &Path) -> Result<Self, CaptureError> {
        let create = |interface: &Interface| {
            let on_card = interface.port.is_some();
            on_card
                .then(|| CaptureWriter::create(&file_of(folder, &interface.name)))
                .transpose()
        };
        Ok(Self {
            interfaces: model
                .interfaces
                .iter()
                .map(create)
                .collect::<Result<_, _>>()?,
        })
    }

    fn write(
        &mut self,
        describer: &Describer<'_>,
        time: Duration,
        left: &Left,
    ) -> Result<(), CaptureError> {
        let interface = describer
            .egress(left)
            .and_then(|id| self.interfaces.get_mut(usize::from(id.0)));
        match interface.and_then(Option::as_mut) {
            Some(writer) => writer.write(time, &left.frame),
            // The card sends only through interfaces; a port without any sends nothing.
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), CaptureError> {
        self.interfaces
            .into_iter()
            .flatten()
            .try_for_each(CaptureWriter::finish)
    }
}

/// Interface names may hold characters that file names may not.
fn file_of(folder: &Path, interface: &str) -> PathBuf {
    folder.join(format!("{}.pcap", interface.replace('/', "_")))
}

/// Lengths are 16 bits wide in the card.
const CARD_FRAME_BYTES: usize = u16::MAX as usize;
