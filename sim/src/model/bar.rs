//! BAR0 of the model: address decode, registers, table commands and windows.

use layout::csr;
use layout::desc::InjectDescriptor;
use layout::table::{
    ACL_SLOTS, ADJACENCIES, DESTINATIONS, FLOW_SLOTS, INTERFACES, Operation, Table,
};

use super::{Model, window_bytes};

/// Words of one entry in `TABLE_DATA`.
const ENTRY_WORDS: usize = 8;

impl Model {
    /// A read; zero where there is no register.
    pub(super) fn read_register(&mut self, offset: u32) -> u32 {
        match offset {
            csr::LAYOUT_HASH_LOW => layout::LAYOUT_HASH as u32,
            csr::LAYOUT_HASH_HIGH => (layout::LAYOUT_HASH >> 32) as u32,
            csr::MAGIC => csr::MAGIC_VALUE,
            csr::CORE_VERSION => csr::CORE_VERSION_VALUE,
            csr::CAPABILITIES if self.has_rings() => csr::CAPABILITY_WINDOWS | csr::CAPABILITY_DMA,
            csr::CAPABILITIES => csr::CAPABILITY_WINDOWS,
            csr::DATA_WIDTH => self.beat_bytes as u32 * 8,
            csr::SIZE_ACL => ACL_SLOTS as u32,
            csr::SIZE_DESTINATION => DESTINATIONS as u32,
            csr::SIZE_FLOW => FLOW_SLOTS as u32,
            csr::SIZE_ADJACENCY => ADJACENCIES as u32,
            csr::SIZE_INTERFACE => INTERFACES as u32,
            csr::CONTROL => self.control,
            // Nothing is ever between ingress and egress when the driver looks.
            csr::STATUS => csr::STATUS_IDLE,
            csr::EPOCH => u32::from(self.epoch),
            csr::POLICY => self.policy,
            csr::SCRATCH => self.scratch,
            csr::TABLE_STATUS => {
                if self.table_refused {
                    csr::TABLE_REFUSED
                } else {
                    0
                }
            }
            csr::TABLE_INDEX => self.table_index[0],
            csr::TABLE_INDEX2 => self.table_index[1],
            csr::PUNT_STATUS => self.punt.len() as u32,
            csr::INJECT_STATUS => {
                csr::INJECT_READY
                    | if self.inject_refused {
                        csr::INJECT_REFUSED
                    } else {
                        0
                    }
            }
            _ => self.read_window(offset),
        }
    }

    /// A write; ignored where there is no register.
    pub(super) fn write_register(&mut self, offset: u32, value: u32) {
        match offset {
            csr::CONTROL => {
                self.control = value
                    & (csr::CONTROL_ENABLE
                        | csr::CONTROL_PROMISCUOUS
                        | csr::CONTROL_DROP_NOT_SYN
                        | csr::CONTROL_HOLD);
            }
            csr::EPOCH => self.epoch = value as u8,
            csr::POLICY => self.policy = value & 0xff03,
            csr::SCRATCH => self.scratch = value,
            csr::TABLE_COMMAND => self.table_refused = self.run_command(value).is_none(),
            csr::TABLE_INDEX => self.table_index[0] = value,
            csr::TABLE_INDEX2 => self.table_index[1] = value,
            csr::PUNT_POP if value & 1 == 1 => drop(self.punt.take()),
            csr::INJECT_SUBMIT => {
                self.submit(InjectDescriptor::unpack(&[value]));
                self.serve_rings();
            }
            _ if self.has_rings() && self.dma.write(offset, value) => self.serve_rings(),
            _ => self.write_window(offset, value),
        }
    }

    fn read_window(&mut self, offset: u32) -> u32 {
        if let Some(word) = word_in(csr::TABLE_DATA, offset) {
            return self.table_data[word];
        }
        if let Some(word) = word_in(csr::COUNTER, offset) {
            let value = self.counters[word / 2];
            if word % 2 == 1 {
                return self.counter_high;
            }
            self.counter_high = (value >> 32) as u32;
            return value as u32;
        }
        if let Some(word) = word_in(csr::PUNT_WINDOW, offset) {
            return self.punt.window(word);
        }
        let ring = self.dma.read(offset, &self.function);
        ring.filter(|_| self.has_rings()).unwrap_or(0)
    }

    /// Only the 64-bit card has a PCIe endpoint.
    fn has_rings(&self) -> bool {
        self.beat_bytes == 8
    }

    fn write_window(&mut self, offset: u32, value: u32) {
        if let Some(word) = word_in(csr::TABLE_DATA, offset) {
            self.table_data[word] = value;
        }
        if let Some(word) = word_in(csr::INJECT_WINDOW, offset) {
            self.inject_window[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// A table command; `None` when it is refused, and then nothing has changed.
    fn run_command(&mut self, command: u32) -> Option<()> {
        let table = *Table::ALL.get(command as usize & 0xf)?;
        let operation = match command >> 4 & 0xf {
            0 => Operation::Read,
            1 => Operation::Write,
            2 => Operation::WritePair,
            _ => return None,
        };
        let in_range = |index: u32| (index as usize) < table.len();
        let [first, second] = self.table_index;
        if !table.supports(operation) || !in_range(first) {
            return None;
        }
        let (low, high) = self.table_data.split_at_mut(ENTRY_WORDS);
        match operation {
            Operation::Read => {
                low.fill(0);
                self.tables.read(table, first as usize, low);
            }
            Operation::Write => self.tables.write(table, first as usize, low),
            Operation::WritePair => {
                if !in_range(second) {
                    return None;
                }
                self.tables.write(table, first as usize, low);
                self.tables.write(table, second as usize, high);
            }
        }
        Some(())
    }
}

/// Index of the word of a window that an aligned offset names.
pub(super) fn word_in(window: u32, offset: u32) -> Option<usize> {
    let inside = offset.checked_sub(window)? as usize;
    (inside < window_bytes(window) && inside.is_multiple_of(4)).then_some(inside / 4)
}
