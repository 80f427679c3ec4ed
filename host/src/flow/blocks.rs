//! Blocks of ports given out to hosts (`block-allocation`), for all protocols together.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::limits::BLOCKS_PER_HOST;
use super::ports;
use super::seeded::{Map, Seeded};
use crate::policy::model::NatId;

/// A host behind a rule.
pub type Host = (NatId, Ipv4Addr);
/// A block of ports of a mapped address.
pub type Block = (Ipv4Addr, u8);

/// The blocks that blocks are taken from: all but those of ports below 1024.
const BLOCKS: RangeInclusive<u8> = 2..=127;

/// Who has which block.
#[derive(Clone, Debug)]
pub struct Blocks {
    of_host: Map<Host, Vec<Block>>,
    /// Owner of each block and how many of its ports are in use.
    owners: Map<Block, (Host, usize)>,
    /// Blocks given out of each address.
    given: Map<Ipv4Addr, usize>,
}

impl Blocks {
    /// All blocks are free.
    pub fn new(seed: u64) -> Self {
        let seeded = Seeded(seed);
        Self {
            of_host: Map::with_hasher(seeded),
            owners: Map::with_hasher(seeded),
            given: Map::with_hasher(seeded),
        }
    }

    /// The blocks a host has.
    pub fn of(&self, host: Host) -> Vec<Block> {
        self.of_host.get(&host).cloned().unwrap_or_default()
    }

    /// The free blocks of an address; none if the host may not have another.
    pub fn free(&self, host: Host, address: Ipv4Addr) -> Vec<Block> {
        let has = self.of_host.get(&host).map_or(0, Vec::len);
        let given = self.given.get(&address).copied().unwrap_or(0);
        if has >= BLOCKS_PER_HOST || given >= BLOCKS.count() {
            return Vec::new();
        }
        BLOCKS
            .map(|block| (address, block))
            .filter(|block| !self.owners.contains_key(block))
            .collect()
    }

    /// A port of a block comes into use; a free block becomes the host's.
    pub fn take(&mut self, host: Host, address: Ipv4Addr, port: u16) {
        let block = (address, ports::block(port));
        let (_, used) = self.owners.entry(block).or_insert_with(|| {
            self.of_host.entry(host).or_default().push(block);
            *self.given.entry(address).or_default() += 1;
            (host, 0)
        });
        *used += 1;
    }

    /// A port is free again; a block without ports in use goes back.
    pub fn release(&mut self, address: Ipv4Addr, port: u16) {
        let block = (address, ports::block(port));
        let Some((host, used)) = self.owners.get_mut(&block) else {
            return;
        };
        *used -= 1;
        if *used > 0 {
            return;
        }
        let host = *host;
        self.owners.remove(&block);
        if let Some(blocks) = self.of_host.get_mut(&host) {
            blocks.retain(|own| *own != block);
            if blocks.is_empty() {
                self.of_host.remove(&host);
            }
        }
        if let Some(given) = self.given.get_mut(&address) {
            *given -= 1;
            if *given == 0 {
                self.given.remove(&address);
            }
        }
    }
}
