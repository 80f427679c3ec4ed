//! What a driver does through BAR0, for tests and tools that hold a card in process.
//!
//! Bounded waits, no retries. The driver that ships is in `host` and knows nothing of this.

use layout::csr;
use layout::desc::{InjectDescriptor, Metadata};
use layout::table::{Operation, Table};

use crate::card::Card;

/// Words of one entry in `TABLE_DATA`.
pub const ENTRY_WORDS: usize = 8;
/// Status reads before a card that stays busy is given up.
const MAX_POLLS: usize = 10_000;

/// Driver's verbs on any card. Every table verb says whether the card accepted it.
pub trait Access {
    /// Starts a table operation with the data as it stands, and waits for its end.
    fn command(&mut self, table: u32, operation: u32, index: usize, index2: usize) -> bool;
    /// Writes an entry.
    fn write_entry(&mut self, table: Table, index: usize, words: &[u32]) -> bool;
    /// Writes two entries, neither of which a packet sees without the other.
    fn write_pair(&mut self, table: Table, first: (usize, &[u32]), second: (usize, &[u32]))
    -> bool;
    /// Reads an entry; `None` if refused.
    fn read_entry(&mut self, table: Table, index: usize) -> Option<[u32; ENTRY_WORDS]>;
    /// Reads a 64-bit counter.
    fn counter(&mut self, index: u32) -> u64;
    /// Takes the oldest punted frame out of the punt buffer.
    fn pop_punt(&mut self) -> Option<(Metadata, Vec<u8>)>;
    /// Hands a frame to the card; false if it was refused.
    fn inject(&mut self, port: u8, lookup: bool, frame: &[u8]) -> bool;
}

impl<C: Card + ?Sized> Access for C {
    fn command(&mut self, table: u32, operation: u32, index: usize, index2: usize) -> bool {
        self.bar_write(csr::TABLE_INDEX, index as u32);
        self.bar_write(csr::TABLE_INDEX2, index2 as u32);
        self.bar_write(csr::TABLE_COMMAND, operation << 4 | table);
        for _ in 0..MAX_POLLS {
            let status = self.bar_read(csr::TABLE_STATUS);
            if status & csr::TABLE_BUSY == 0 {
                return status & csr::TABLE_REFUSED == 0;
            }
        }
        panic!("table {table} operation {operation} index {index}: busy for ever");
    }

    fn write_entry(&mut self, table: Table, index: usize, words: &[u32]) -> bool {
        write_data(self, 0, words);
        self.command(table as u32, Operation::Write as u32, index, 0)
    }

    fn write_pair(
        &mut self,
        table: Table,
        first: (usize, &[u32]),
        second: (usize, &[u32]),
    ) -> bool {
        write_data(self, 0, first.1);
        write_data(self, ENTRY_WORDS, second.1);
        self.command(table as u32, Operation::WritePair as u32, first.0, second.0)
    }

    fn read_entry(&mut self, table: Table, index: usize) -> Option<[u32; ENTRY_WORDS]> {
        self.command(table as u32, Operation::Read as u32, index, 0)
            .then(|| std::array::from_fn(|i| self.bar_read(csr::TABLE_DATA + 4 * i as u32)))
    }

    fn counter(&mut self, index: u32) -> u64 {
        let low = self.bar_read(csr::COUNTER + 8 * index);
        let high = self.bar_read(csr::COUNTER + 8 * index + 4);
        u64::from(high) << 32 | u64::from(low)
    }

    fn pop_punt(&mut self) -> Option<(Metadata, Vec<u8>)> {
        if self.bar_read(csr::PUNT_STATUS) == 0 {
            return None;
        }
        let header: [u32; Metadata::WORDS] =
            std::array::from_fn(|i| self.bar_read(csr::PUNT_WINDOW + 4 * i as u32));
        let metadata = Metadata::unpack(&header);
        let length = usize::from(metadata.length);
        let start = csr::PUNT_WINDOW + csr::PUNT_HEADER_BYTES as u32;
        let mut frame: Vec<u8> = (0..length.div_ceil(4))
            .flat_map(|i| self.bar_read(start + 4 * i as u32).to_le_bytes())
            .collect();
        frame.truncate(length);
        self.bar_write(csr::PUNT_POP, 1);
        Some((metadata, frame))
    }

    fn inject(&mut self, port: u8, lookup: bool, frame: &[u8]) -> bool {
        for _ in 0..MAX_POLLS {
            if self.bar_read(csr::INJECT_STATUS) & csr::INJECT_READY != 0 {
                break;
            }
        }
        for (i, chunk) in frame.chunks(4).enumerate() {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.bar_write(csr::INJECT_WINDOW + 4 * i as u32, u32::from_le_bytes(word));
        }
        let descriptor = InjectDescriptor {
            length: frame.len() as u16,
            port,
            lookup,
        };
        self.bar_write(csr::INJECT_SUBMIT, descriptor.pack()[0]);
        self.bar_read(csr::INJECT_STATUS) & csr::INJECT_REFUSED == 0
    }
}

/// Fills `TABLE_DATA` from one word on, the rest of the entry with zeros.
fn write_data<C: Card + ?Sized>(card: &mut C, at: usize, words: &[u32]) {
    for i in 0..ENTRY_WORDS {
        let value = words.get(i).copied().unwrap_or(0);
        card.bar_write(csr::TABLE_DATA + 4 * (at + i) as u32, value);
    }
}
