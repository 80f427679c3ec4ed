//! Captures through a configuration, packet by packet.
//!
//! Frames are received in the order of their timestamps, which also are the time of the slow path.
//! Each is followed to its end before the next one comes, so the same captures always give the same
//! result, on either card.

use std::path::{Path, PathBuf};
use std::time::Duration;

use layout::desc::{Reason, Verdict as CardVerdict};
use layout::table::HOST_FRAME_BYTES;

use super::capture::{Capture, CaptureError, CaptureWriter, Captured, Merged};
use super::report::{Describer, Path as Way, Record, Replayed, Verdict};
use super::{Error as RuntimeError, Outcome, Runtime};
use crate::policy::Model;
use crate::policy::model::InterfaceId;
use crate::punt;
use crate::simulator::Left;
use crate::wire::Link;

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
        outputs.write(captured.time, &left)?;
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
        outputs.write(captured.time, left)?;
    }
    describe(&mut record, describer, outputs, captured, &outcome);
    Ok(record)
}

/// Fills a record from what the frame led to.
fn describe(
    record: &mut Record,
    describer: &Describer<'_>,
    outputs: &Outputs,
    captured: &Captured,
    outcome: &Outcome,
) {
    let reason = Reason::from_code(outcome.verdict.metadata.reason);
    let card_reason = reason.map_or("unknown", Reason::name);
    record.cycles_in = Some(outcome.verdict.cycle_first);
    record.cycles_out = outcome.left.last().map(|left| left.cycle_last);
    record.set_origin(describer, outcome.origin);
    record.reason = card_reason;
    record.egress = outcome
        .left
        .first()
        .and_then(|left| outputs.interface_name(left));
    record.set_sent(outcome.left.first().map(|left| left.frame.as_slice()));
    match (&outcome.report, reason.map(Reason::verdict)) {
        (Some(report), _) => {
            record.path = Way::Host;
            record.punted = Some(card_reason);
            record.reason = report.reason;
            record.verdict = match report.verdict {
                punt::Verdict::Forward => Verdict::Forward,
                punt::Verdict::Held => Verdict::Punt,
                punt::Verdict::Local => Verdict::Local,
                punt::Verdict::Drop(_) => Verdict::Drop,
            };
            record.add_origin(describer, report.ace, report.nat);
            if record.egress.is_none() {
                record.egress = report
                    .egress
                    .map(|id| describer.interface_name(id).to_owned());
            }
        }
        (None, Some(CardVerdict::Forward)) => record.verdict = Verdict::Forward,
        (None, Some(CardVerdict::Punt)) => {
            record.verdict = Verdict::Drop;
            record.punted = Some(card_reason);
            record.reason = if captured.frame.len() > HOST_FRAME_BYTES {
                "too-long-for-host"
            } else {
                "punt-overflow"
            };
        }
        (None, _) => record.verdict = Verdict::Drop,
    }
}

/// A capture for each interface on the card: what left it.
pub struct Outputs {
    interfaces: Vec<Output>,
}

struct Output {
    name: String,
    port: u8,
    vid: Option<u16>,
    writer: CaptureWriter,
}

impl Outputs {
    /// Makes `<nameif>.pcap` for each interface on the card.
    pub fn create(model: &Model, folder: &Path) -> Result<Self, CaptureError> {
        let on_card = model
            .interfaces
            .iter()
            .filter_map(|interface| Some((interface, interface.port?)));
        let interfaces = on_card
            .map(|(interface, port)| {
                let writer = CaptureWriter::create(&file_of(folder, &interface.name))?;
                Ok(Output {
                    name: interface.name.clone(),
                    port,
                    vid: interface.vlan,
                    writer,
                })
            })
            .collect::<Result<_, CaptureError>>()?;
        Ok(Self { interfaces })
    }

    fn write(&mut self, time: Duration, left: &Left) -> Result<(), CaptureError> {
        match self.position(left) {
            Some(index) => self.interfaces[index].writer.write(time, &left.frame),
            // The card sends only through interfaces; a port without any sends nothing.
            None => Ok(()),
        }
    }

    fn interface_name(&self, left: &Left) -> Option<String> {
        self.position(left)
            .map(|index| self.interfaces[index].name.clone())
    }

    /// The interface with the frame's port and tag, else the first one on the port.
    fn position(&self, left: &Left) -> Option<usize> {
        let vid = Link::parse(&left.frame).ok().and_then(|link| link.vid);
        let on_port = |output: &Output| output.port == left.port;
        let exact = self
            .interfaces
            .iter()
            .position(|output| on_port(output) && output.vid == vid);
        exact.or_else(|| self.interfaces.iter().position(on_port))
    }

    fn finish(self) -> Result<(), CaptureError> {
        self.interfaces
            .into_iter()
            .try_for_each(|output| output.writer.finish())
    }
}

/// Interface names may hold characters that file names may not.
fn file_of(folder: &Path, interface: &str) -> PathBuf {
    folder.join(format!("{}.pcap", interface.replace('/', "_")))
}

/// Lengths are 16 bits wide in the card.
const CARD_FRAME_BYTES: usize = u16::MAX as usize;
