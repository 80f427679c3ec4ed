//! The PCI device a client sees: region accesses in, card accesses out.
//!
//! Regions are VFIO's: 0 is BAR0, 7 the configuration space, 9 the simulator-only region; the other
//! standard ones exist and are empty. BAR0 takes any multiple of four bytes at a multiple of four and
//! turns it into 32-bit accesses in ascending order.
//!
//! The MSI-X table is the device's own business, as it is the kernel's for silicon: a client says
//! which vectors it wants on which event descriptors, and what it writes to the table is ignored.
//! What a client maps and wants ends with it; the function is then reset, and the card goes on.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use layout::csr::{BAR0_BYTES, MSIX_TABLE, MSIX_VECTORS};
use layout::simulator;

use super::config_space::{CONFIG_BYTES, ConfigSpace};
use super::interrupts::{self, Interrupts, SetIrqs};
use super::memory::{Access, MapError, Memory};
use super::message::Errno;
use super::simulator::SimulatorRegion;
use crate::bus::{Function, Host, MESSAGE_ADDRESS, Unmapped};
use crate::card::Card;
use crate::wire::{Wire, WireError};

/// Regions of the device: VFIO's nine and ours.
pub const REGIONS: u32 = simulator::REGION_INDEX + 1;
/// `VFIO_PCI_BAR0_REGION_INDEX`.
const BAR0: u32 = 0;
/// `VFIO_PCI_CONFIG_REGION_INDEX`.
const CONFIG: u32 = 7;

/// Bytes of a vector in the MSI-X table.
const VECTOR_BYTES: u32 = 16;

/// A card behind PCI regions.
pub struct Device {
    card: Box<dyn Card>,
    config: ConfigSpace,
    client: Client,
    map_error: Option<MapError>,
    side: Side,
}

/// What the client offers the function.
///
/// WHY a lock: the card owns its host, and requests change it; all on one thread, so it is never held
/// by another.
#[derive(Clone, Default)]
struct Client(Arc<Mutex<Offers>>);

#[derive(Default)]
struct Offers {
    memory: Memory,
    interrupts: Interrupts,
}

impl Client {
    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Client {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        self.offers().memory.read(address, data)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        self.offers().memory.write(address, data)
    }

    fn interrupt(&mut self, vector: usize) {
        self.offers().interrupts.fire(interrupts::MSIX, vector);
    }
}

/// Who moves the clock and takes what leaves.
enum Side {
    /// The client, through the simulator-only region.
    LockStep(SimulatorRegion),
    /// The far ends of the ports; the simulator-only region is empty.
    Wired(Box<Wire>),
}

impl Device {
    /// A device in lock-step with its client.
    pub fn new(card: Box<dyn Card>) -> Self {
        Self::with_side(card, Side::LockStep(SimulatorRegion::new()))
    }

    /// A device whose ports lead somewhere.
    pub fn wired(card: Box<dyn Card>, wire: Wire) -> Self {
        Self::with_side(card, Side::Wired(Box::new(wire)))
    }

    fn with_side(mut card: Box<dyn Card>, side: Side) -> Self {
        let client = Client::default();
        card.set_host(Some(Box::new(client.clone())));
        let mut device = Self {
            card,
            config: ConfigSpace::new(),
            client,
            map_error: None,
            side,
        };
        device.tell_function();
        device
    }

    /// Lets the wire do what it can; gives how long it can then be left alone (`None`: for ever).
    ///
    /// # Errors
    /// If a port's far end fails.
    pub fn advance(&mut self) -> Result<Option<Duration>, WireError> {
        match &mut self.side {
            Side::LockStep(_) => Ok(None),
            Side::Wired(wire) => wire.advance(self.card.as_mut()),
        }
    }

    /// Lets the wire do what it can in the time between two requests.
    ///
    /// # Errors
    /// If a port's far end fails.
    pub fn advance_briefly(&mut self) -> Result<(), WireError> {
        match &mut self.side {
            Side::LockStep(_) => Ok(()),
            Side::Wired(wire) => wire.advance_briefly(self.card.as_mut()),
        }
    }

    /// What brings work for the wire when it can be read.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wire = match &self.side {
            Side::LockStep(_) => None,
            Side::Wired(wire) => Some(wire),
        };
        wire.into_iter().flat_map(|wire| wire.descriptors())
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

    /// Resets the function. Configuration space is as before, as it is around the kernel's reset.
    pub fn reset(&mut self) {
        self.card.function_reset();
        self.set_up_vectors();
    }

    /// What a client's end leaves: nothing of its own, and the card as it was but for the function.
    pub fn client_left(&mut self) {
        *self.client.offers() = Offers::default();
        self.config = ConfigSpace::new();
        self.map_error = None;
        self.reset();
    }

    /// Maps a range for DMA.
    ///
    /// # Errors
    /// As `Memory::map`; the reason is kept for [`Self::take_map_error`].
    pub fn map(
        &mut self,
        address: u64,
        bytes: u64,
        access: Access,
        file: Option<(OwnedFd, u64)>,
    ) -> Result<(), Errno> {
        let mapped = self
            .client
            .offers()
            .memory
            .map(address, bytes, access, file);
        mapped.map_err(|error| {
            self.map_error = Some(error);
            Errno::Invalid
        })
    }

    /// Takes a range away from DMA, if it was mapped.
    pub fn unmap(&mut self, address: u64, bytes: u64) {
        self.client.offers().memory.unmap(address, bytes);
    }

    /// Takes all ranges away from DMA.
    pub fn unmap_all(&mut self) {
        self.client.offers().memory.clear();
    }

    /// Why a map failed, if one did: the client cannot go on, since it may tell its guest otherwise.
    pub fn take_map_error(&mut self) -> Option<MapError> {
        self.map_error.take()
    }

    /// Changes which interrupts the client waits for, or fires some.
    ///
    /// # Errors
    /// As `Interrupts::set`.
    pub fn set_irqs(
        &mut self,
        request: SetIrqs,
        data: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Errno> {
        let set = self
            .client
            .offers()
            .interrupts
            .set(request, data, descriptors);
        self.set_up_vectors();
        set
    }

    /// Programs the card's vectors, if anybody waits for one: those are open and the others masked.
    fn set_up_vectors(&mut self) {
        let is_wanted = self.wanted_vectors();
        if is_wanted.contains(&true) {
            for (vector, is_wanted) in (0u32..).zip(is_wanted) {
                let at = MSIX_TABLE + VECTOR_BYTES * vector;
                self.card.bar_write(at, MESSAGE_ADDRESS as u32);
                self.card.bar_write(at + 4, (MESSAGE_ADDRESS >> 32) as u32);
                self.card.bar_write(at + 8, vector);
                self.card.bar_write(at + 12, u32::from(!is_wanted));
            }
        }
        self.tell_function();
    }

    fn wanted_vectors(&self) -> [bool; MSIX_VECTORS] {
        let offers = self.client.offers();
        std::array::from_fn(|n| offers.interrupts.is_assigned(interrupts::MSIX, n))
    }

    fn tell_function(&mut self) {
        self.card.set_function(Function {
            msix_enable: self.wanted_vectors().contains(&true),
            ..self.config.function()
        });
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
                    if !is_vector(i) {
                        self.card.bar_write(i, value);
                    }
                }
                Ok(())
            }
            (CONFIG, _) => {
                if self.config.write(start, data) {
                    self.config = ConfigSpace::new();
                    self.reset();
                } else {
                    self.tell_function();
                }
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

/// Whether a register belongs to the MSI-X table.
fn is_vector(offset: u32) -> bool {
    (MSIX_TABLE..MSIX_TABLE + VECTOR_BYTES * MSIX_VECTORS as u32).contains(&offset)
}

/// Offsets of the registers an access covers.
fn words(start: usize, count: usize) -> Result<impl Iterator<Item = u32>, Errno> {
    if start.is_multiple_of(4) && count.is_multiple_of(4) {
        Ok((start as u32..).step_by(4))
    } else {
        Err(Errno::Invalid)
    }
}
