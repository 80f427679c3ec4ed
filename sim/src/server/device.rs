//! The PCI device a client sees: region accesses in, card accesses out.
//!
//! Regions are VFIO's: 0 is BAR0, 7 the configuration space, 9 the simulator-only region; the other
//! standard ones exist and are empty. BAR0 takes any multiple of four bytes at a multiple of four and
//! turns it into 32-bit accesses in ascending order.

use layout::csr::BAR0_BYTES;
use layout::simulator;

use super::config_space::{CONFIG_BYTES, ConfigSpace};
use super::message::Errno;
use super::simulator::SimulatorRegion;
use crate::card::Card;
use crate::wire::{Wire, WireError};

/// Regions of the device: VFIO's nine and ours.
pub const REGIONS: u32 = simulator::REGION_INDEX + 1;
/// `VFIO_PCI_BAR0_REGION_INDEX`.
const BAR0: u32 = 0;
/// `VFIO_PCI_CONFIG_REGION_INDEX`.
const CONFIG: u32 = 7;

/// A card behind PCI regions.
pub struct Device {
    card: Box<dyn Card>,
    config: ConfigSpace,
    side: Side,
}

/// Who moves the clock and takes what leaves.
enum Side {
    /// The client, through the simulator-only region.
    LockStep(SimulatorRegion),
    /// The captures on the ports; the simulator-only region is empty.
    Wired(Box<Wire>),
}

impl Device {
    /// A device in lock-step with its client.
    pub fn new(card: Box<dyn Card>) -> Self {
        Self {
            card,
            config: ConfigSpace::new(),
            side: Side::LockStep(SimulatorRegion::new()),
        }
    }

    /// A device whose ports lead to captures.
    pub fn wired(card: Box<dyn Card>, wire: Wire) -> Self {
        Self {
            card,
            config: ConfigSpace::new(),
            side: Side::Wired(Box::new(wire)),
        }
    }

    /// Lets the wire do what it can; true if there is more to do at once.
    ///
    /// # Errors
    /// If a capture cannot be read or written.
    pub fn advance(&mut self) -> Result<bool, WireError> {
        match &mut self.side {
            Side::LockStep(_) => Ok(false),
            Side::Wired(wire) => wire.advance(self.card.as_mut()),
        }
    }

    /// Size of a region; `None` if the index is out of range.
    pub fn region_bytes(&self, region: u32) -> Option<usize> {
        match (region, &self.side) {
            (BAR0, _) => Some(BAR0_BYTES),
            (CONFIG, _) => Some(CONFIG_BYTES),
            (simulator::REGION_INDEX, Side::LockStep(_)) => Some(simulator::REGION_BYTES),
            _ => (region < REGIONS).then_some(0),
        }
    }

    /// Power-on reset of card and configuration space.
    pub fn reset(&mut self) {
        self.card.reset();
        self.config = ConfigSpace::new();
        if let Side::LockStep(region) = &mut self.side {
            *region = SimulatorRegion::new();
        }
    }

    /// Reads part of a region.
    ///
    /// # Errors
    /// If the access is out of range, unaligned, or not one the region knows.
    pub fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        let start = self.check(region, offset, data.len())?;
        match (region, &mut self.side) {
            (BAR0, _) => {
                for (i, word) in words(start, data.len())?.zip(data.chunks_exact_mut(4)) {
                    word.copy_from_slice(&self.card.bar_read(i).to_le_bytes());
                }
                Ok(())
            }
            (CONFIG, _) => {
                self.config.read(start, data);
                Ok(())
            }
            (_, Side::LockStep(region)) => region.read(self.card.as_mut(), offset, data),
            _ => Err(Errno::Invalid),
        }
    }

    /// Writes part of a region.
    ///
    /// # Errors
    /// As [`Self::region_read`].
    pub fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let start = self.check(region, offset, data.len())?;
        match (region, &mut self.side) {
            (BAR0, _) => {
                for (i, word) in words(start, data.len())?.zip(data.chunks_exact(4)) {
                    let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                    self.card.bar_write(i, value);
                }
                Ok(())
            }
            (CONFIG, _) => {
                self.config.write(start, data);
                Ok(())
            }
            (_, Side::LockStep(region)) => region.write(self.card.as_mut(), offset, data),
            _ => Err(Errno::Invalid),
        }
    }

    /// Whether the access lies inside the region; its offset as an index.
    fn check(&self, region: u32, offset: u64, count: usize) -> Result<usize, Errno> {
        let size = self.region_bytes(region).ok_or(Errno::Invalid)?;
        let start = usize::try_from(offset).map_err(|_| Errno::Invalid)?;
        let end = start.checked_add(count).ok_or(Errno::Invalid)?;
        if end > size {
            Err(Errno::Invalid)
        } else {
            Ok(start)
        }
    }
}

/// Offsets of the registers an access covers.
fn words(start: usize, count: usize) -> Result<impl Iterator<Item = u32>, Errno> {
    if start.is_multiple_of(4) && count.is_multiple_of(4) {
        Ok((start as u32..).step_by(4))
    } else {
        Err(Errno::Invalid)
    }
}
