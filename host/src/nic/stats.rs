//! Counters by name.

use layout::csr;
use layout::desc::Reason;
use layout::table::{AclHits, Table};

use super::{Error, Nic};

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterValue {
    /// The name `layout` gives it; for reasons the reason's.
    pub name: &'static str,
    /// Events since reset.
    pub value: u64,
}

impl Nic {
    /// Every counter: reasons in code order, then the others.
    pub fn counters(&mut self) -> Result<Vec<CounterValue>, Error> {
        // One access from the first register to the last: each low word is read, and latches, before its high word.
        let mut words = [0; 2 * csr::COUNTER_COUNT];
        self.bar.read_words(csr::COUNTER, &mut words)?;
        let value = |index: u32| {
            let at = 2 * index as usize;
            u64::from(words[at + 1]) << 32 | u64::from(words[at])
        };
        let reasons = Reason::ALL
            .iter()
            .map(|reason| (reason.name(), *reason as u32));
        let others = csr::COUNTERS
            .iter()
            .map(|counter| (counter.name, counter.index));
        Ok(reasons
            .chain(others)
            .map(|(name, index)| CounterValue {
                name,
                value: value(index),
            })
            .collect())
    }

    /// First packets that matched an ACL slot since it was written.
    pub fn acl_hits(&mut self, slot: usize) -> Result<u64, Error> {
        Ok(AclHits::unpack(&self.read_entry(Table::AclHits, slot)?).hits)
    }
}
