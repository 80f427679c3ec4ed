//! A policy onto the card in one step that packets can notice.
//!
//! The new entries go into ACL slots that the live policy does not use, its valid map and destination
//! bank into the shadow banks; then one write of `POLICY` switches all of it and the generation.
//! When too few slots are free the card is told to hold: it punts what would have been judged, and
//! the host judges it, until the new policy is in place. So no packet ever sees a mixture.
//!
//! Pinholes stand before the policy's destinations: the policy's are at the end of the table, so that opening one writes
//! one entry into the shadow bank, and what the card says of a destination means the same before and after.

use std::collections::HashMap;

use layout::csr::{self, CONTROL_HOLD, STATUS_IDLE};
use layout::table::{
    ACL_LANES, ACL_PAGES, ACL_SLOTS, AclEntry, AclValid, DESTINATIONS, Destination, Table,
};

use super::{Error, Nic};

/// What the driver remembers of the loaded policies.
#[derive(Default)]
pub(super) struct PolicyMirror {
    live: Live,
    /// Valid maps of both banks as the card has them.
    valid: [Bank<[u64; ACL_PAGES]>; 2],
    /// Destination entries of both banks, as many as are not zero.
    destinations: [Bank<Vec<Destination>>; 2],
    /// Destinations of the live policy.
    own: Vec<Destination>,
    /// Destinations of pinholes.
    pinholes: Vec<Destination>,
    /// Slots of the policies of recent generations, by generation.
    slots: HashMap<u8, Vec<u16>>,
}

/// What is in a bank.
enum Bank<T> {
    /// This, because we wrote it or nobody did.
    Known(T),
    /// What an earlier driver wrote.
    Unknown,
}

impl<T: Default> Default for Bank<T> {
    fn default() -> Self {
        Bank::Known(T::default())
    }
}

#[derive(Clone, Copy, Default)]
struct Live {
    generation: u8,
    acl_bank: usize,
    destination_bank: usize,
}

impl Live {
    fn next(self) -> Self {
        Self {
            generation: self.generation.wrapping_add(1),
            acl_bank: 1 - self.acl_bank,
            destination_bank: 1 - self.destination_bank,
        }
    }

    fn of_register(word: u32) -> Self {
        Self {
            generation: (word >> 8) as u8,
            acl_bank: (word & 1) as usize,
            destination_bank: (word >> 1 & 1) as usize,
        }
    }

    fn register(self) -> u32 {
        self.acl_bank as u32 | (self.destination_bank as u32) << 1 | u32::from(self.generation) << 8
    }
}

impl Nic {
    /// Replaces the policy and returns its generation, which verdicts and punts will name. Entries
    /// keep their order.
    pub fn load_policy(
        &mut self,
        acl: &[AclEntry],
        destinations: &[Destination],
    ) -> Result<u8, Error> {
        if acl.len() > ACL_SLOTS {
            return Err(Error::PolicyTooLarge {
                table: Table::Acl,
                entries: acl.len(),
                capacity: ACL_SLOTS,
            });
        }
        if destinations.len() > DESTINATIONS {
            return Err(Error::PolicyTooLarge {
                table: Table::Destination,
                entries: destinations.len(),
                capacity: DESTINATIONS,
            });
        }
        let next = self.policy.live.next();
        let free = self.policy.free_slots();
        let hold = free.len() < acl.len();
        let slots: Vec<u16> = match hold {
            true => (0..acl.len() as u16).collect(),
            false => free.into_iter().take(acl.len()).collect(),
        };
        if hold {
            self.hold()?;
        }
        // On a failure below the hold stays: the live slots may be half overwritten by then.
        self.write_acl(&slots, acl, next.acl_bank)?;
        // Connections through them go on; whoever opened them tells which there are under the new policy.
        self.policy.pinholes.clear();
        self.write_destinations(destinations, &[], next.destination_bank)?;
        self.bar.write(csr::POLICY, next.register())?;
        self.policy.live = next;
        self.policy.own = destinations.to_vec();
        self.policy.remember(next.generation, slots);
        if hold {
            self.bar.write(csr::CONTROL, self.control)?;
        }
        Ok(next.generation)
    }

    /// Index in the `acl` of a recent policy of the entry that sits in an ACL slot.
    pub fn acl_index(&self, generation: u8, slot: u16) -> Option<usize> {
        self.policy
            .slots
            .get(&generation)?
            .binary_search(&slot)
            .ok()
    }

    /// Index in the `destinations` of the live policy of what the card names as a packet's destination.
    pub fn destination_index(&self, found: u16) -> Option<usize> {
        usize::from(found).checked_sub(self.pinhole_room())
    }

    /// How many destinations pinholes may have.
    pub fn pinhole_room(&self) -> usize {
        DESTINATIONS - self.policy.own.len()
    }

    /// Replaces the destinations of pinholes, which stand before those of the policy.
    pub fn set_pinholes(&mut self, pinholes: &[Destination]) -> Result<(), Error> {
        if pinholes.len() > self.pinhole_room() {
            return Err(Error::PolicyTooLarge {
                table: Table::Destination,
                entries: pinholes.len() + self.policy.own.len(),
                capacity: DESTINATIONS,
            });
        }
        if self.policy.pinholes == pinholes {
            return Ok(());
        }
        let next = Live {
            destination_bank: 1 - self.policy.live.destination_bank,
            ..self.policy.live
        };
        let own = self.policy.own.clone();
        self.write_destinations(&own, pinholes, next.destination_bank)?;
        self.bar.write(csr::POLICY, next.register())?;
        self.policy.live = next;
        self.policy.pinholes = pinholes.to_vec();
        Ok(())
    }

    /// First packets that matched each entry of the live policy, in its order.
    pub fn policy_hits(&mut self) -> Result<Vec<u64>, Error> {
        let slots = self
            .policy
            .slots
            .get(&self.policy.live.generation)
            .cloned()
            .unwrap_or_default();
        slots
            .into_iter()
            .map(|slot| self.acl_hits(slot.into()))
            .collect()
    }

    /// Stops lookups in the policy and waits until packets that were in the middle of one are through.
    fn hold(&mut self) -> Result<(), Error> {
        self.bar.write(csr::CONTROL, self.control | CONTROL_HOLD)?;
        for _ in 0..DRAIN_READS {
            if self.bar.read(csr::STATUS)? & STATUS_IDLE != 0 {
                break;
            }
        }
        Ok(())
    }

    fn write_acl(&mut self, slots: &[u16], acl: &[AclEntry], bank: usize) -> Result<(), Error> {
        let mut valid = [0; ACL_PAGES];
        for (slot, entry) in slots.iter().map(|slot| usize::from(*slot)).zip(acl) {
            self.write_entry(Table::Acl, slot, &entry.pack())?;
            valid[slot / ACL_LANES] |= 1 << (slot % ACL_LANES);
        }
        let old = std::mem::replace(&mut self.policy.valid[bank], Bank::Unknown);
        for (page, lanes) in valid.into_iter().enumerate() {
            if !matches!(&old, Bank::Known(old) if old[page] == lanes) {
                let index = bank * ACL_PAGES + page;
                self.write_entry(Table::AclValid, index, &AclValid { lanes }.pack())?;
            }
        }
        self.policy.valid[bank] = Bank::Known(valid);
        Ok(())
    }

    /// Writes what differs: `pinholes` from the beginning, `own` up to the end.
    fn write_destinations(
        &mut self,
        own: &[Destination],
        pinholes: &[Destination],
        bank: usize,
    ) -> Result<(), Error> {
        let mut wanted = vec![Destination::default(); DESTINATIONS];
        wanted[..pinholes.len()].copy_from_slice(pinholes);
        wanted[DESTINATIONS - own.len()..].copy_from_slice(own);
        let old = std::mem::replace(&mut self.policy.destinations[bank], Bank::Unknown);
        for (index, entry) in wanted.iter().enumerate() {
            let is_there = match &old {
                Bank::Known(old) => old.get(index).copied().unwrap_or_default() == *entry,
                Bank::Unknown => false,
            };
            if !is_there {
                let index = bank * DESTINATIONS + index;
                self.write_entry(Table::Destination, index, &entry.pack())?;
            }
        }
        self.policy.destinations[bank] = Bank::Known(wanted);
        Ok(())
    }
}

impl PolicyMirror {
    /// A policy that an earlier driver loaded, of which only `POLICY` can be read.
    pub(super) fn inherited(register: u32) -> Self {
        Self {
            live: Live::of_register(register),
            valid: [Bank::Unknown, Bank::Unknown],
            destinations: [Bank::Unknown, Bank::Unknown],
            own: Vec::new(),
            pinholes: Vec::new(),
            slots: HashMap::new(),
        }
    }

    /// Slots that no packet can match, in order.
    fn free_slots(&self) -> Vec<u16> {
        let Bank::Known(live) = &self.valid[self.live.acl_bank] else {
            return Vec::new();
        };
        (0..ACL_SLOTS as u16)
            .filter(|slot| {
                live[usize::from(*slot) / ACL_LANES] >> (usize::from(*slot) % ACL_LANES) & 1 == 0
            })
            .collect()
    }

    fn remember(&mut self, generation: u8, slots: Vec<u16>) {
        self.slots.insert(generation, slots);
        // Packets judged by older generations have left the punt buffer long ago.
        self.slots.remove(&generation.wrapping_sub(REMEMBERED));
    }
}

/// Each read takes at least one clock, the lookups that a hold does not stop some tens.
const DRAIN_READS: usize = 128;
/// Generations whose slots are remembered.
const REMEMBERED: u8 = 8;
