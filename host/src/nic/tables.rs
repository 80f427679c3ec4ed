//! Entries through the table window: data, index, command, then wait until it is done.

use layout::csr::{self, TABLE_BUSY, TABLE_REFUSED};
use layout::table::{Adjacency, Interface, Operation, Table};

use super::{Error, Nic};

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

    /// Empties a table that can be written, one entry after the other.
    pub(super) fn empty_table(&mut self, table: Table) -> Result<(), Error> {
        self.bar.write_all(csr::TABLE_DATA, &[0; 2 * ENTRY_WORDS])?;
        (0..table.len()).try_for_each(|index| {
            let setup: [(u32, &[u32]); 1] = [(csr::TABLE_INDEX, &[index as u32])];
            self.run_command(&setup, table, Operation::Write, index)
        })
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

/// `TABLE_DATA` words of one entry.
const ENTRY_WORDS: usize = 8;
/// An operation takes some tens of clocks, a status read at least one; this bounds a broken card.
const STATUS_READS: usize = 1_000;
