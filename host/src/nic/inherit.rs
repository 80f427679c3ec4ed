//! What an earlier driver left on the card: taken over, or emptied.
//!
//! A reset of the function leaves tables and forwarding as they are, so that a host that starts again need not
//! interrupt anybody. Flows, next hops and interfaces can be read back; the policy cannot.

use layout::csr::{self, CONTROL_HOLD};
use layout::table::{Adjacency, FlowEntry, FlowStats, Interface, Table};

use super::flows::FlowTotals;
use super::policy::PolicyMirror;
use super::{Error, Nic};

/// What was on the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inheritance {
    /// `EPOCH`: it has stood since the earlier driver wrote it last.
    pub epoch: u8,
    /// The interface table; empty if the card was fresh.
    pub interfaces: Vec<Interface>,
    /// The next hops; empty if the card was fresh.
    pub adjacencies: Vec<Adjacency>,
    /// Flows with what they have counted, in order of their keys.
    pub flows: Vec<(FlowEntry, FlowTotals)>,
}

impl Nic {
    /// The interface table; empty if the card is fresh.
    pub fn interfaces(&mut self) -> Result<Vec<Interface>, Error> {
        if self.is_fresh()? {
            return Ok(Vec::new());
        }
        let entries = self.read_table(Table::Interface)?;
        Ok(entries
            .iter()
            .map(|words| Interface::unpack(words))
            .collect())
    }

    /// Disables the card and empties every table.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.bar.write(csr::CONTROL, 0)?;
        if self.is_fresh()? {
            return Ok(());
        }
        self.bar.write(csr::POLICY, 0)?;
        for table in [
            Table::Interface,
            Table::Flow,
            Table::Adjacency,
            Table::AclValid,
            Table::Destination,
        ] {
            self.empty_table(table)?;
        }
        Ok(())
    }

    /// Reads back what the card has, and sets the mirrors to it.
    pub(super) fn inherit(&mut self) -> Result<Inheritance, Error> {
        // A hold of a driver that died while it loaded a policy is kept on the card until the next policy is in place.
        self.control = self.bar.read(csr::CONTROL)? & !CONTROL_HOLD;
        self.policy = PolicyMirror::inherited(self.bar.read(csr::POLICY)?);
        // Most slots are empty, and a register takes its time: the word that says so is enough for those.
        let column = self.read_column(Table::Flow, word_of_valid())?;
        for (slot, words) in column.iter().enumerate() {
            if !FlowEntry::unpack(words).valid {
                continue;
            }
            let entry = FlowEntry::unpack(&self.read_entry(Table::Flow, slot)?);
            let stats = FlowStats::unpack(&self.read_entry(Table::FlowStats, slot)?);
            if !self.flows.note_found(slot, &entry, stats) {
                self.write_entry(Table::Flow, slot, &FlowEntry::default().pack())?;
            }
        }
        let mut flows: Vec<(FlowEntry, FlowTotals)> = self.flows.iter().collect();
        flows.sort_by_key(|(entry, _)| entry.pack());
        let interfaces = self.interfaces()?;
        let adjacencies = self.read_table(Table::Adjacency)?;
        Ok(Inheritance {
            interfaces,
            adjacencies: adjacencies
                .iter()
                .map(|words| Adjacency::unpack(words))
                .collect(),
            flows,
            epoch: self.bar.read(csr::EPOCH)? as u8,
        })
    }
}

/// The word of a flow entry that has its `valid`.
fn word_of_valid() -> usize {
    let fields = FlowEntry::ENTRY.fields.iter();
    let before = fields.take_while(|field| field.name != "valid");
    before.map(|field| field.width).sum::<usize>() / 32
}
