//! Flow entries on the card, with their mirror.
//!
//! The card finds flows, the host places them. Entries move while packets fly: the copy is written
//! before the original is cleared, so that every moment has at least one. Writing a slot zeroes its
//! statistics, hence the mirror adds up what the slots of a flow have counted.

use std::collections::HashMap;

use layout::table::{FlowEntry, FlowStats, Key, Operation, Table};

use super::placement::{Move, Placement};
use super::{Error, Nic};

/// What the driver remembers of the flow table.
#[derive(Default)]
pub(super) struct FlowMirror {
    placement: Placement,
    flows: HashMap<Key, Flow>,
}

struct Flow {
    entry: FlowEntry,
    totals: FlowTotals,
    /// The slot's statistics as read last, already part of `totals`.
    seen: FlowStats,
}

/// What a flow has counted since it was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// Packets.
    pub packets: u64,
    /// Frame bytes without FCS.
    pub bytes: u64,
    /// `EPOCH` at the last packet, `None` before the first.
    pub epoch: Option<u8>,
    /// A TCP FIN was seen.
    pub fin: bool,
    /// A TCP RST was seen.
    pub rst: bool,
}

impl FlowTotals {
    /// In the card's form: counts cut to its widths, which a reader of differences does not notice.
    pub fn as_stats(&self) -> FlowStats {
        FlowStats {
            packets: self.packets as u32 & PACKETS_MASK,
            bytes: self.bytes & BYTES_MASK,
            stamp: self.epoch.unwrap_or(0),
            fin: self.fin,
            rst: self.rst,
        }
    }
}

impl Nic {
    /// Installs both directions of a connection; no packet sees one without the other. A key that is
    /// installed already gets the new action and counts from zero.
    pub fn install_pair(&mut self, pair: &[FlowEntry; 2]) -> Result<(), Error> {
        let first = self.make_room(&pair[0].key(), None)?;
        let second = self.make_room(&pair[1].key(), Some(first))?;
        self.write_pair(Table::Flow, [first, second], pair.map(|entry| entry.pack()))?;
        self.flows.note(first, &pair[0]);
        self.flows.note(second, &pair[1]);
        Ok(())
    }

    /// Installs the only direction of a connection that nothing answers.
    pub fn install_flow(&mut self, entry: &FlowEntry) -> Result<(), Error> {
        let slot = self.make_room(&entry.key(), None)?;
        self.write_entry(Table::Flow, slot, &entry.pack())?;
        self.flows.note(slot, entry);
        Ok(())
    }

    /// Removes one direction and returns what it has counted, `None` if it was not installed.
    pub fn remove_flow(&mut self, key: &Key) -> Result<Option<FlowTotals>, Error> {
        let Some(totals) = self.flow_totals(key)? else {
            return Ok(None);
        };
        if let Some(slot) = self.flows.placement.slot_of(key) {
            self.write_entry(Table::Flow, slot, &FlowEntry::default().pack())?;
        }
        self.flows.placement.remove(key);
        self.flows.flows.remove(key);
        Ok(Some(totals))
    }

    /// What a flow has counted, `None` if it is not installed.
    pub fn flow_totals(&mut self, key: &Key) -> Result<Option<FlowTotals>, Error> {
        let Some(slot) = self.flows.placement.slot_of(key) else {
            return Ok(None);
        };
        let stats = FlowStats::unpack(&self.read_entry(Table::FlowStats, slot)?);
        Ok(self.flows.flows.get_mut(key).map(|flow| flow.fold(stats)))
    }

    /// The key in a flow slot, as punt metadata and verdict records name it.
    pub fn flow_key(&self, slot: usize) -> Option<Key> {
        self.flows.placement.key_at(slot)
    }

    /// Number of flow entries installed.
    pub fn flow_count(&self) -> usize {
        self.flows.placement.len()
    }

    /// Moves entries until the key has a free slot, and returns that.
    fn make_room(&mut self, key: &Key, pinned: Option<usize>) -> Result<usize, Error> {
        let used = self.flow_count();
        let room = self
            .flows
            .placement
            .room_for(key, pinned)
            .ok_or(Error::FlowTableFull { used })?;
        for step in room.moves {
            self.move_flow(step)?;
        }
        Ok(room.slot)
    }

    fn move_flow(&mut self, step: Move) -> Result<(), Error> {
        let key = self.flows.placement.key_at(step.from);
        let entry = key.and_then(|key| Some(self.flows.flows.get(&key)?.entry));
        let Some(entry) = entry else {
            // A mirror that contradicts itself must not reach the card.
            return Err(Error::TableRefused {
                table: Table::Flow,
                index: step.from,
                operation: Operation::Write,
            });
        };
        self.write_entry(Table::Flow, step.to, &entry.pack())?;
        // Packets between this read and the clearing are forwarded but not counted.
        self.flow_totals(&entry.key())?;
        self.write_entry(Table::Flow, step.from, &FlowEntry::default().pack())?;
        self.flows.placement.apply(step);
        if let Some(flow) = self.flows.flows.get_mut(&entry.key()) {
            flow.seen = FlowStats::default();
        }
        Ok(())
    }
}

impl FlowMirror {
    /// Notes what was found in a slot. `false` if the card would never find it there, or found it before.
    pub(super) fn note_found(&mut self, slot: usize, entry: &FlowEntry, stats: FlowStats) -> bool {
        let key = entry.key();
        if let Some(flow) = self.flows.get_mut(&key) {
            // A copy that a move left behind when its driver died: both have counted.
            let seen = std::mem::take(&mut flow.seen);
            flow.fold(stats);
            flow.seen = seen;
            return false;
        }
        if !self.placement.may_sit(&key, slot) {
            return false;
        }
        self.note(slot, entry);
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.fold(stats);
        }
        true
    }

    /// Every flow with what it has counted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FlowEntry, FlowTotals)> {
        self.flows.values().map(|flow| (flow.entry, flow.totals))
    }

    /// Notes what was written to a slot.
    fn note(&mut self, slot: usize, entry: &FlowEntry) {
        self.placement.place(entry.key(), slot);
        let flow = Flow {
            entry: *entry,
            totals: FlowTotals::default(),
            seen: FlowStats::default(),
        };
        self.flows.insert(entry.key(), flow);
    }
}

impl Flow {
    /// Adds what the slot has counted since it was read last.
    fn fold(&mut self, now: FlowStats) -> FlowTotals {
        let packets = now.packets.wrapping_sub(self.seen.packets) & PACKETS_MASK;
        let bytes = now.bytes.wrapping_sub(self.seen.bytes) & BYTES_MASK;
        self.totals.packets += u64::from(packets);
        self.totals.bytes += bytes;
        if packets > 0 {
            self.totals.epoch = Some(now.stamp);
        }
        self.totals.fin |= now.fin;
        self.totals.rst |= now.rst;
        self.seen = now;
        self.totals
    }
}

/// Packets are counted modulo 2^28.
const PACKETS_MASK: u32 = (1 << 28) - 1;
/// Bytes are counted modulo 2^34.
const BYTES_MASK: u64 = (1 << 34) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_wrap_around_and_a_change_of_slot() {
        let mut flow = Flow {
            entry: FlowEntry::default(),
            totals: FlowTotals::default(),
            seen: FlowStats::default(),
        };
        let near_wrap = FlowStats {
            packets: PACKETS_MASK,
            bytes: BYTES_MASK - 9,
            stamp: 3,
            ..Default::default()
        };
        flow.fold(near_wrap);
        flow.fold(FlowStats {
            packets: 1,
            bytes: 50,
            stamp: 4,
            fin: true,
            ..Default::default()
        });
        flow.seen = FlowStats::default();
        let totals = flow.fold(FlowStats::default());
        assert_eq!(totals.packets, u64::from(PACKETS_MASK) + 2);
        assert_eq!(totals.bytes, BYTES_MASK + 51);
        assert_eq!(
            (totals.epoch, totals.fin, totals.rst),
            (Some(4), true, false)
        );
    }
}
