//! Entries through the table window: data, index, command, then wait until it is done.

use std::ops::Range;

use layout::csr::{self, TABLE_BUSY, TABLE_REFUSED};
use layout::table::{Adjacency, Interface, Operation, Table};

use super::{Error, Nic};
use crate::vfio::{Access, BAR0};

impl Nic {
    /// Describes a logical interface; the zero entry removes it.
    pub fn set_interface(&mut self, index: usize, entry: &Interface) -> Result<(), Error> {
        self.write_entry(Table::Interface, index, &entry.pack())
    }

    /// Sets a next hop; the zero entry removes it.
    pub fn set_adjacency(&mut self, index: usize, entry: &Adjacency) -> Result<(), Error> {
        self.write_entry(Table::Adjacency, index, &entry.pack())
    }

    /// Writes one packed entry.
    pub(super) fn write_entry(
        &mut self,
        table: Table,
        index: usize,
        words: &[u32],
    ) -> Result<(), Error> {
        let setup = [
            (csr::TABLE_DATA, words),
            (csr::TABLE_INDEX, &[index as u32]),
        ];
        self.run_command(&setup, table, Operation::Write, index)
    }

    /// Writes two packed entries; no packet sees one without the other.
    pub(super) fn write_pair<const N: usize>(
        &mut self,
        table: Table,
        indexes: [usize; 2],
        entries: [[u32; N]; 2],
    ) -> Result<(), Error> {
        let mut words = [0; 2 * ENTRY_WORDS];
        words[..N].copy_from_slice(&entries[0]);
        words[ENTRY_WORDS..ENTRY_WORDS + N].copy_from_slice(&entries[1]);
        let both = indexes.map(|index| index as u32);
        let setup: [(u32, &[u32]); 2] = [(csr::TABLE_DATA, &words), (csr::TABLE_INDEX, &both)];
        self.run_command(&setup, table, Operation::WritePair, indexes[0])
    }

    /// Reads one packed entry.
    pub(super) fn read_entry(
        &mut self,
        table: Table,
        index: usize,
    ) -> Result<[u32; ENTRY_WORDS], Error> {
        self.run_command(
            &[(csr::TABLE_INDEX, &[index as u32])],
            table,
            Operation::Read,
            index,
        )?;
        let mut words = [0; ENTRY_WORDS];
        self.bar.read_words(csr::TABLE_DATA, &mut words)?;
        Ok(words)
    }

    /// Reads a whole table.
    pub(super) fn read_table(&mut self, table: Table) -> Result<Vec<[u32; ENTRY_WORDS]>, Error> {
        self.for_all(table, Operation::Read, 0..ENTRY_WORDS, Self::read_entry)
    }

    /// Reads one word of every entry of a table; the others may be zero.
    pub(super) fn read_column(
        &mut self,
        table: Table,
        word: usize,
    ) -> Result<Vec<[u32; ENTRY_WORDS]>, Error> {
        self.for_all(table, Operation::Read, word..word + 1, Self::read_entry)
    }

    /// Empties a table.
    pub(super) fn empty_table(&mut self, table: Table) -> Result<(), Error> {
        let empty = [0; ENTRY_WORDS];
        self.bar.write_all(csr::TABLE_DATA, &empty)?;
        let write =
            |nic: &mut Self, table, index| nic.write_entry(table, index, &empty).map(|()| empty);
        self.for_all(table, Operation::Write, 0..0, write).map(drop)
    }

    /// Does an operation on each entry of a table and takes these words of `TABLE_DATA` behind it. Many travel together: a
    /// card behind a socket would take seconds one by one. What was not done in time is done by `alone`, which waits.
    fn for_all(
        &mut self,
        table: Table,
        operation: Operation,
        taken: Range<usize>,
        alone: impl Fn(&mut Self, Table, usize) -> Result<[u32; ENTRY_WORDS], Error>,
    ) -> Result<Vec<[u32; ENTRY_WORDS]>, Error> {
        let mut entries = Vec::with_capacity(table.len());
        while entries.len() < table.len() {
            let count = TOGETHER.min(table.len() - entries.len());
            let done = self.do_together(
                table,
                operation,
                &taken,
                entries.len()..entries.len() + count,
            )?;
            entries.extend(&done);
            for _ in done.len()..count {
                let entry = alone(self, table, entries.len())?;
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Does an operation on some entries without waiting in between. Returns what was taken of `TABLE_DATA` behind each,
    /// up to the first that was not finished when its status was read: commands behind that one may have been ignored.
    fn do_together(
        &mut self,
        table: Table,
        operation: Operation,
        taken: &Range<usize>,
        entries: Range<usize>,
    ) -> Result<Vec<[u32; ENTRY_WORDS]>, Error> {
        let command = (table as u32 | (operation as u32) << 4).to_le_bytes();
        let index = |index: usize| (index as u32).to_le_bytes();
        let indexes: Vec<[u8; 4]> = entries.map(index).collect();
        let mut answers = vec![([0; 4], [0; 4 * ENTRY_WORDS]); indexes.len()];
        let mut accesses = Vec::with_capacity(4 * indexes.len());
        let data = csr::TABLE_DATA + 4 * taken.start as u32;
        let bytes = 4 * taken.start..4 * taken.end;
        for (index, (status, words)) in indexes.iter().zip(&mut answers) {
            accesses.extend([
                write(csr::TABLE_INDEX, index),
                write(csr::TABLE_COMMAND, &command),
                read(csr::TABLE_STATUS, status),
            ]);
            if !taken.is_empty() {
                accesses.push(read(data, &mut words[bytes.clone()]));
            }
        }
        self.bar.device().batch(&mut accesses)?;
        let is_done =
            |status: &[u8; 4]| u32::from_le_bytes(*status) & (TABLE_BUSY | TABLE_REFUSED) == 0;
        let done = answers.iter().take_while(|(status, _)| is_done(status));
        Ok(done
            .map(|(_, bytes)| {
                let words = bytes.as_chunks::<4>().0;
                std::array::from_fn(|index| u32::from_le_bytes(words[index]))
            })
            .collect())
    }

    fn run_command(
        &mut self,
        setup: &[(u32, &[u32])],
        table: Table,
        operation: Operation,
        index: usize,
    ) -> Result<(), Error> {
        let command = [table as u32 | (operation as u32) << 4];
        let mut writes = setup.to_vec();
        writes.push((csr::TABLE_COMMAND, &command));
        let mut status = self.bar.write_then_read(&writes, csr::TABLE_STATUS)?;
        for _ in 0..STATUS_READS {
            if status & TABLE_BUSY == 0 {
                return match status & TABLE_REFUSED {
                    0 => Ok(()),
                    _ => Err(Error::TableRefused {
                        table,
                        index,
                        operation,
                    }),
                };
            }
            status = self.bar.read(csr::TABLE_STATUS)?;
        }
        Err(Error::TableBusy {
            table,
            index,
            operation,
        })
    }
}

fn write(offset: u32, data: &[u8]) -> Access<'_> {
    let (region, offset) = (BAR0, offset.into());
    Access::Write {
        region,
        offset,
        data,
    }
}

fn read(offset: u32, data: &mut [u8]) -> Access<'_> {
    let (region, offset) = (BAR0, offset.into());
    Access::Read {
        region,
        offset,
        data,
    }
}

/// `TABLE_DATA` words of one entry.
const ENTRY_WORDS: usize = 8;
/// Operations that travel together.
const TOGETHER: usize = 64;
/// An operation takes some tens of clocks, a status read at least one; this bounds a broken card.
const STATUS_READS: usize = 1_000;
