//! One case: two cards, the same tables, the same frames; the same of everything must come out.
//!
//! The subject decides in which order frames of different ports are taken in (that depends on its
//! clock); the reference then gets them in that order, and each policy generation from the frame on
//! that the subject judged by it. Everything else must be equal: bytes on each port, verdicts, punted
//! frames, counters, flow statistics, hits, accepted and refused commands.

use std::collections::VecDeque;
use std::path::Path;

use layout::csr;
use layout::desc::{HOST_PORT, Metadata};
use layout::simulator::STAGES;
use layout::table::{Operation, PORTS, PUNT_BUFFER_BYTES, PUNT_FRAMES, Table};
use sim::{Access, Body, Card, Record};

use crate::host_actions::{self, Action};
use crate::random::Random;
use crate::traffic;
use crate::world::{World, Write};

/// Clocks after which a card that is not idle is stuck.
const PATIENCE: u64 = 3_000_000;
/// Frames of a short round at most.
const SHORT: usize = 20;

/// What went wrong, with what it takes to look into it.
pub struct Failure {
    pub round: usize,
    pub what: String,
    /// What went into the failing round.
    pub input: Vec<String>,
    /// What the subject did, and what the reference did.
    pub logs: [Vec<String>; 2],
}

/// Where to leave a wave, from which round on.
pub struct Wave<'a> {
    pub round: usize,
    pub path: &'a Path,
}

/// A case in progress.
pub struct Duel<'a> {
    pub random: Random,
    pub world: World,
    pub subject: &'a mut dyn Card,
    pub reference: &'a mut dyn Card,
    /// Frames judged so far.
    pub frames: u64,
    control: u32,
    /// What `POLICY` holds.
    pub policy: u32,
    round: Round,
}

/// What happened in one round.
#[derive(Default)]
pub struct Round {
    /// Fed and not yet judged.
    pub fed: [VecDeque<Vec<u8>>; PORTS],
    /// Injected and not yet judged: port, for lookup or not, frame.
    pub injected: VecDeque<(u8, bool, Vec<u8>)>,
    /// Policies written while frames were under way.
    pub flips: VecDeque<u32>,
    /// Frames the subject gave to the host.
    pub popped: Vec<(Metadata, Vec<u8>)>,
    input: Vec<Input>,
    logs: [Vec<Record>; 2],
}

/// What was done to the subject, in order.
enum Input {
    Write(Write),
    Patterns { ready: [u32; PORTS], valid: u32 },
    Feed(usize, Vec<u8>),
    Action(u64, Action),
}

type Outcome = Result<(), String>;

/// What a case took.
#[derive(Default)]
pub struct Tally {
    /// Frames judged.
    pub frames: u64,
    /// Clocks of the subject.
    pub clocks: u64,
}

/// Runs the case of a seed.
pub fn run(
    seed: u64,
    subject: &mut dyn Card,
    reference: &mut dyn Card,
    wave: Option<&Wave>,
) -> Result<Tally, Box<Failure>> {
    let mut random = Random::new(seed);
    let world = World::new(&mut random);
    subject.reset();
    reference.reset();
    let round = Round::default();
    let mut duel = Duel {
        random,
        world,
        subject,
        reference,
        frames: 0,
        control: 0,
        policy: 0,
        round,
    };
    let rounds = duel.random.between(3, 6);
    for number in 0..=rounds {
        if let Some(wave) = wave.filter(|wave| wave.round == number) {
            duel.subject.start_wave(wave.path).expect("a wave file");
        }
        let outcome = match number {
            0 => duel.load(),
            _ => duel.play(),
        };
        let outcome = if number == rounds {
            outcome.and_then(|()| duel.compare_tables())
        } else {
            outcome
        };
        if let Err(what) = outcome.and_then(|()| duel.check_fault()) {
            duel.subject.stop_wave();
            return Err(Box::new(duel.round.failure(number, what)));
        }
    }
    Ok(Tally {
        frames: duel.frames,
        clocks: duel.subject.cycle(),
    })
}

impl Round {
    fn failure(&self, round: usize, what: String) -> Failure {
        let input = self.input.iter().map(Input::describe).collect();
        let logs = self
            .logs
            .each_ref()
            .map(|log| log.iter().map(describe).collect());
        Failure {
            round,
            what,
            input,
            logs,
        }
    }
}

impl Input {
    fn describe(&self) -> String {
        match self {
            Self::Write((table, index, words)) => format!("write {table:?} {index} {words:08x?}"),
            Self::Patterns { ready, valid } => format!("ready {ready:08x?} valid {valid:08x}"),
            Self::Feed(port, frame) => format!("feed {port} {}", hex(frame)),
            Self::Action(clock, action) => format!("clock {clock}: {action:?}"),
        }
    }
}

impl Duel<'_> {
    /// Same register write on both cards.
    fn set(&mut self, register: u32, value: u32) {
        self.subject.bar_write(register, value);
        self.reference.bar_write(register, value);
    }

    /// Same table write on both cards; both must take it.
    pub fn write(&mut self, (table, index, words): &Write) -> Outcome {
        let answers = [
            self.subject.write_entry(*table, *index, words),
            self.reference.write_entry(*table, *index, words),
        ];
        self.round
            .input
            .push(Input::Write((*table, *index, words.clone())));
        same("acceptance of a write", answers[0], answers[1])
    }

    /// Both cards before the first frame.
    fn load(&mut self) -> Outcome {
        for write in self.world.writes(&mut self.random) {
            self.write(&write)?;
        }
        self.control = World::control(&mut self.random);
        self.policy = (self.random.next() as u32 & 0xff03).max(self.policy);
        self.set(csr::POLICY, self.policy);
        self.refuse()
    }

    /// Commands that both must refuse, or both accept.
    fn refuse(&mut self) -> Outcome {
        for _ in 0..self.random.between(0, 6) {
            let (table, operation) = (self.random.below(16) as u32, self.random.below(16) as u32);
            let known = Table::ALL.get(table as usize);
            let is_supported = known.is_some_and(|table| match operation {
                0 => table.supports(Operation::Read),
                1 => table.supports(Operation::Write),
                2 => table.supports(Operation::WritePair),
                _ => false,
            });
            let length = known.map_or(0, |table| table.len());
            let outside = length + self.random.pick(&[0, 1, 100, 0x8000, 0x1_0000]);
            let (first, second) = match self.random.below(3) {
                _ if !is_supported => (0, 0),
                0 if operation == 2 => (0, outside),
                1 => (outside, outside),
                _ => (outside, 0),
            };
            let subject = self.subject.command(table, operation, first, second);
            let reference = self.reference.command(table, operation, first, second);
            same(
                &format!(
                    "acceptance of table {table} operation {operation} index {first} {second}"
                ),
                subject,
                reference,
            )?;
        }
        Ok(())
    }

    /// Changes at rest, frames, what the host does meanwhile, and the comparison.
    fn play(&mut self) -> Outcome {
        self.round = Round::default();
        if self.random.percent(60) {
            for write in self.world.change(&mut self.random) {
                self.write(&write)?;
            }
            self.control = World::control(&mut self.random);
        }
        let epoch = self.random.next() as u32 & 0xff;
        self.set(csr::EPOCH, epoch);
        self.set(csr::CONTROL, self.control);
        let waiting = self.subject.bar_read(csr::PUNT_STATUS);
        same(
            "frames waiting for the host",
            waiting,
            self.reference.bar_read(csr::PUNT_STATUS),
        )?;

        let is_light = waiting == 0 && self.random.percent(30);
        let (most, bytes) = match is_light {
            true => (PUNT_FRAMES / 2, PUNT_BUFFER_BYTES / 2),
            false => (self.random.pick(&[SHORT, 300, 2000]), usize::MAX),
        };
        self.choose_patterns(most);
        self.feed(most, bytes);
        for action in host_actions::choose(self, is_light) {
            self.act(action)?;
        }
        self.end(is_light)
    }

    /// Gaps on the ingress ports and back-pressure on the egress ports. Long rounds have the denser ones.
    fn choose_patterns(&mut self, most: usize) {
        let pattern = |random: &mut Random| match random.below(8) {
            0..=2 => u32::MAX,
            3 => 0x5555_5555,
            4 => 0xffff_ffff ^ 1 << random.below(32),
            5 => 0xffff << random.below(16),
            6 if most > SHORT => random.next() as u32 | random.next() as u32 | 1,
            6 => 1 << random.below(32),
            _ => random.next() as u32 | 1,
        };
        let ready = [pattern(&mut self.random), pattern(&mut self.random)];
        let valid = pattern(&mut self.random);
        self.subject.set_ready_pattern(ready);
        self.subject.set_valid_pattern(valid);
        self.round.input.push(Input::Patterns { ready, valid });
    }

    /// Light rounds cannot overflow the punt buffer, whatever the host's timing.
    fn feed(&mut self, most: usize, mut bytes: usize) {
        for _ in 0..self.random.between(1, most) {
            let (port, frame) = traffic::frame(&mut self.random, &self.world);
            let Some(left) = bytes.checked_sub(frame.len().next_multiple_of(64)) else {
                continue;
            };
            bytes = left;
            self.round.input.push(Input::Feed(port, frame.clone()));
            self.subject.feed(port, &frame);
            self.round.fed[port].push_back(frame);
        }
    }

    fn act(&mut self, action: Action) -> Outcome {
        self.round
            .input
            .push(Input::Action(self.subject.cycle(), action.clone()));
        match action {
            Action::Step(clocks) => self.subject.step(clocks),
            Action::Write(write) => self.write(&write)?,
            Action::WritePair(table, first, second) => {
                let answer =
                    self.subject
                        .write_pair(table, (first.0, &first.1), (second.0, &second.1));
                let expected =
                    self.reference
                        .write_pair(table, (first.0, &first.1), (second.0, &second.1));
                same("acceptance of a pair", answer, expected)?;
            }
            Action::Look(table, index) => {
                self.subject.read_entry(table, index);
            }
            Action::ReadRegister(offset) => {
                self.subject.bar_read(offset);
            }
            Action::Flip(policy) => {
                self.subject.bar_write(csr::POLICY, policy);
                self.policy = policy;
                self.round.flips.push_back(policy);
            }
            Action::Inject(port, lookup, frame) => {
                let is_taken = self.subject.inject(port, lookup, &frame);
                let is_right = usize::from(port) < PORTS
                    && (14..=layout::table::HOST_FRAME_BYTES).contains(&frame.len());
                same("acceptance of an injected frame", is_taken, is_right)?;
                if is_taken {
                    self.round.injected.push_back((port, lookup, frame));
                } else {
                    self.reference.inject(port, lookup, &frame);
                }
            }
            Action::Pop => self.round.popped.extend(self.subject.pop_punt()),
        }
        Ok(())
    }

    /// Lets the subject finish, brings the reference to the same point, compares.
    fn end(&mut self, is_light: bool) -> Outcome {
        if !self.subject.run(PATIENCE) {
            return Err(format!("not idle after {PATIENCE} clocks"));
        }
        let mut sent: [VecDeque<Vec<u8>>; PORTS] = Default::default();
        let mut verdicts = Vec::new();
        while let Some(record) = self.subject.next_record() {
            self.round.logs[0].push(record.clone());
            match record.body {
                Body::Frame(frame) => sent[usize::from(record.port)].push_back(frame),
                Body::Verdict { metadata, stages } => {
                    check_stages(&stages, (record.cycle_first, record.cycle_last))?;
                    verdicts.push(metadata);
                }
            }
        }
        let mut expected_popped = Vec::new();
        for metadata in verdicts {
            self.follow(metadata, &mut sent)?;
            if is_light {
                expected_popped.extend(self.reference.pop_punt());
            }
        }
        for policy in std::mem::take(&mut self.round.flips) {
            self.reference.bar_write(csr::POLICY, policy);
        }
        let unjudged =
            self.round.fed.iter().map(VecDeque::len).sum::<usize>() + self.round.injected.len();
        same("frames without a verdict", unjudged, 0)?;
        same(
            "frames sent without a verdict",
            sent.iter().map(VecDeque::len).sum::<usize>(),
            0,
        )?;
        self.compare_punts(is_light, expected_popped)?;
        self.compare_counters()
    }

    /// Gives the reference the frame of the subject's next verdict, and compares what it does with it.
    fn follow(&mut self, metadata: Metadata, sent: &mut [VecDeque<Vec<u8>>; PORTS]) -> Outcome {
        self.frames += 1;
        while self.reference_generation() != metadata.generation {
            let Some(policy) = self.round.flips.pop_front() else {
                return Err(format!(
                    "judged by generation {} which is not live: {metadata:?}",
                    metadata.generation
                ));
            };
            self.reference.bar_write(csr::POLICY, policy);
        }
        let is_injected = metadata.reinjected || metadata.port == HOST_PORT;
        let (frame, taken) = if is_injected {
            let (port, lookup, frame) = self
                .round
                .injected
                .pop_front()
                .ok_or("a verdict on a frame nobody injected")?;
            let is_taken = self.reference.inject(port, lookup, &frame);
            (frame, is_taken)
        } else {
            let port = usize::from(metadata.port);
            let queue = self
                .round
                .fed
                .get_mut(port)
                .ok_or("a verdict of a port that does not exist")?;
            let frame = queue.pop_front().ok_or("a verdict on a frame nobody fed")?;
            self.reference.feed(port, &frame);
            let is_taken = self.reference.run(1);
            (frame, is_taken)
        };
        same("the reference takes the frame", taken, true)?;
        self.compare_frame(metadata, &frame, sent).map_err(|what| {
            format!(
                "frame {} of the case, {} bytes: {}\n{what}",
                self.frames,
                frame.len(),
                hex(&frame)
            )
        })
    }

    fn reference_generation(&mut self) -> u8 {
        (self.reference.bar_read(csr::POLICY) >> 8) as u8
    }

    fn compare_frame(
        &mut self,
        metadata: Metadata,
        frame: &[u8],
        sent: &mut [VecDeque<Vec<u8>>; PORTS],
    ) -> Outcome {
        let mut has_verdict = false;
        while let Some(record) = self.reference.next_record() {
            self.round.logs[1].push(record.clone());
            match record.body {
                Body::Verdict {
                    metadata: expected, ..
                } => {
                    has_verdict = true;
                    same("metadata", metadata, expected)?;
                }
                Body::Frame(expected) => {
                    let left = sent[usize::from(record.port)].pop_front();
                    let left = left.ok_or_else(|| format!("nothing left port {}", record.port))?;
                    if left != expected {
                        return Err(differing_bytes(frame, &left, &expected));
                    }
                }
            }
        }
        same("the reference has a verdict", has_verdict, true)
    }

    /// Everything popped meanwhile, then some of what waits.
    fn compare_punts(&mut self, is_light: bool, mut expected: Vec<(Metadata, Vec<u8>)>) -> Outcome {
        let waiting = self.subject.bar_read(csr::PUNT_STATUS) as usize;
        let pops = if is_light || self.random.percent(70) {
            waiting
        } else {
            self.random.between(0, waiting)
        };
        for _ in 0..pops {
            self.round.popped.extend(self.subject.pop_punt());
            expected.extend(self.reference.pop_punt());
        }
        same(
            "number of punted frames",
            self.round.popped.len(),
            expected.len(),
        )?;
        for (popped, expected) in self.round.popped.iter().zip(&expected) {
            same("metadata of a punted frame", popped.0, expected.0)?;
            if popped.1 != expected.1 {
                return Err(format!(
                    "punted frame: {}",
                    differing_bytes(&expected.1, &popped.1, &expected.1)
                ));
            }
        }
        same(
            "frames left waiting",
            self.subject.bar_read(csr::PUNT_STATUS),
            self.reference.bar_read(csr::PUNT_STATUS),
        )
    }

    fn compare_counters(&mut self) -> Outcome {
        for index in 0..csr::COUNTER_COUNT as u32 {
            same(
                &format!("counter {index}"),
                self.subject.counter(index),
                self.reference.counter(index),
            )?;
        }
        Ok(())
    }

    /// What the tables themselves hold and have counted.
    fn compare_tables(&mut self) -> Outcome {
        for slot in self.world.flow_slots() {
            self.compare_entry(Table::FlowStats, slot)?;
        }
        for slot in self.world.acl.keys().copied().collect::<Vec<_>>() {
            self.compare_entry(Table::AclHits, slot)?;
        }
        for _ in 0..20 {
            let slot = self.random.pick(&self.world.flow_slots());
            self.compare_entry(Table::Flow, slot)?;
            let table = self.random.pick(&[
                Table::Flow,
                Table::FlowStats,
                Table::Interface,
                Table::Adjacency,
                Table::AclHits,
            ]);
            let index = self.random.below(table.len());
            self.compare_entry(table, index)?;
        }
        Ok(())
    }

    fn compare_entry(&mut self, table: Table, index: usize) -> Outcome {
        let (subject, reference) = (
            self.subject.read_entry(table, index),
            self.reference.read_entry(table, index),
        );
        same(&format!("{table:?} {index}"), subject, reference)
    }

    fn check_fault(&self) -> Outcome {
        self.subject.fault().map_or(Ok(()), Err)
    }
}

/// Equal, or an error that names both.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, subject: T, reference: T) -> Outcome {
    if subject == reference {
        Ok(())
    } else {
        Err(format!(
            "{what}:\n  subject   {subject:?}\n  reference {reference:?}"
        ))
    }
}

/// A frame passes its stages in order, and its record spans them.
fn check_stages(stages: &[u64; STAGES.len()], (first, last): (u64, u64)) -> Outcome {
    let passed: Vec<u64> = stages.iter().copied().filter(|clock| *clock != 0).collect();
    if !passed.is_sorted()
        || passed.first().is_some_and(|clock| *clock < first)
        || passed.last().is_some_and(|clock| *clock > last)
    {
        return Err(format!(
            "clocks of a verdict out of order: {first}..{last} {stages:?}"
        ));
    }
    Ok(())
}

fn differing_bytes(frame: &[u8], subject: &[u8], reference: &[u8]) -> String {
    let at = subject
        .iter()
        .zip(reference)
        .position(|(a, b)| a != b)
        .unwrap_or(subject.len().min(reference.len()));
    format!(
        "bytes differ from {at} on ({} and {} bytes)\n  received  {}\n  subject   {}\n  reference {}",
        subject.len(),
        reference.len(),
        hex(frame),
        hex(subject),
        hex(reference)
    )
}

fn describe(record: &Record) -> String {
    let Record {
        port,
        cycle_last,
        body,
        ..
    } = record;
    match body {
        Body::Frame(frame) => format!("clock {cycle_last}: port {port} sent {}", hex(frame)),
        Body::Verdict { metadata, .. } => format!("clock {cycle_last}: {metadata:?}"),
    }
}

/// Up to 128 bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes
        .iter()
        .take(128)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if bytes.len() > 128 {
        format!("{shown}… ({} bytes)", bytes.len())
    } else {
        shown
    }
}
