//! A card with one planted fault: what the comparison must see.

use std::io;
use std::path::Path;

use layout::csr;
use layout::table::PORTS;
use sim::{Body, Card, Function, Host, Model, Record};

/// What is wrong with the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One bit of one frame sent.
    Byte,
    /// A frame never leaves.
    LostFrame,
    /// Two frames leave in the wrong order.
    Reordered,
    /// The metadata of one verdict.
    Metadata,
    /// A verdict is never told.
    LostVerdict,
    /// A counter is one too high.
    Counter,
    /// One bit of the punt window.
    PuntWindow,
    /// One bit of table data read.
    TableData,
    /// Refused commands are accepted.
    Refusal,
    /// A policy flip is forgotten.
    Policy,
    /// The clock never ends.
    Stuck,
}

impl Fault {
    pub const ALL: [Fault; 11] = [
        Fault::Byte,
        Fault::LostFrame,
        Fault::Reordered,
        Fault::Metadata,
        Fault::LostVerdict,
        Fault::Counter,
        Fault::PuntWindow,
        Fault::TableData,
        Fault::Refusal,
        Fault::Policy,
        Fault::Stuck,
    ];
}

/// The model card with a fault.
pub struct Faulty {
    card: Model,
    fault: Fault,
    frames: u32,
    verdicts: u32,
    held: Option<Record>,
}

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        Self {
            card: Model::new(64),
            fault,
            frames: 0,
            verdicts: 0,
            held: None,
        }
    }

    /// The seventh frame and the twentieth verdict of the case are the bad ones.
    fn spoil(&mut self, mut record: Record) -> Option<Record> {
        match &mut record.body {
            Body::Frame(frame) => {
                self.frames += 1;
                match self.fault {
                    Fault::Byte if self.frames == 7 => *frame.last_mut()? ^= 0x10,
                    Fault::LostFrame if self.frames == 7 => return None,
                    Fault::Reordered if self.frames == 7 => {
                        self.held = Some(record);
                        return None;
                    }
                    _ => {}
                }
            }
            Body::Verdict { metadata, .. } => {
                self.verdicts += 1;
                match self.fault {
                    Fault::Metadata if self.verdicts == 20 => metadata.ace ^= 1,
                    Fault::LostVerdict if self.verdicts == 20 => return None,
                    _ => {}
                }
            }
        }
        Some(record)
    }
}

impl Card for Faulty {
    fn bar_read(&mut self, offset: u32) -> u32 {
        let value = self.card.bar_read(offset);
        match self.fault {
            Fault::Counter if offset == csr::COUNTER + 8 * csr::RX_FRAMES_1 => value + 1,
            Fault::PuntWindow if offset == csr::PUNT_WINDOW + 16 => value ^ 0x8000,
            Fault::TableData if offset == csr::TABLE_DATA + 4 => value ^ 1,
            Fault::Refusal if offset == csr::TABLE_STATUS => 0,
            _ => value,
        }
    }

    fn bar_write(&mut self, offset: u32, value: u32) {
        if self.fault == Fault::Policy && offset == csr::POLICY {
            return;
        }
        self.card.bar_write(offset, value);
    }

    fn reset(&mut self) {
        let fault = self.fault;
        *self = Self::new(fault);
    }

    fn set_host(&mut self, host: Option<Box<dyn Host>>) {
        self.card.set_host(host);
    }

    fn set_function(&mut self, function: Function) {
        self.card.set_function(function);
    }

    fn function_reset(&mut self) {
        self.card.function_reset();
    }

    fn feed(&mut self, port: usize, frame: &[u8]) {
        self.card.feed(port, frame);
    }

    fn run(&mut self, max_clocks: u64) -> bool {
        self.card.run(max_clocks) && self.fault != Fault::Stuck
    }

    fn step(&mut self, clocks: u64) {
        self.card.step(clocks);
    }

    fn cycle(&self) -> u64 {
        self.card.cycle()
    }

    fn set_ready_pattern(&mut self, _patterns: [u32; PORTS]) {}

    fn set_valid_pattern(&mut self, _pattern: u32) {}

    fn next_record(&mut self) -> Option<Record> {
        loop {
            let Some(record) = self.card.next_record() else {
                return self.held.take();
            };
            if let Some(record) = self.spoil(record) {
                return Some(record);
            }
        }
    }

    fn start_wave(&mut self, path: &Path) -> io::Result<()> {
        self.card.start_wave(path)
    }

    fn stop_wave(&mut self) {}

    fn fault(&self) -> Option<String> {
        None
    }
}
