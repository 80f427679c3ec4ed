//! The event descriptors a client wants its interrupts on.
//!
//! `VFIO_DEVICE_SET_IRQS` of `linux/vfio.h`, all forms of its trigger action: descriptors (with none:
//! take them away), nothing (count 0: take all away; else fire them), and booleans. Masking is not
//! VFIO's business for MSI-X.

use std::os::fd::OwnedFd;

use layout::csr::MSIX_VECTORS;

use super::message::Errno;

/// Interrupts of each index: INTx, MSI, MSI-X, error, request. QEMU warns unless the last two exist.
pub const COUNTS: [u32; 5] = [0, 0, MSIX_VECTORS as u32, 1, 1];
/// `VFIO_PCI_MSIX_IRQ_INDEX`.
pub const MSIX: usize = 2;

const DATA_NONE: u32 = 1 << 0;
const DATA_BOOL: u32 = 1 << 1;
const DATA_EVENTFD: u32 = 1 << 2;
const ACTION_TRIGGER: u32 = 1 << 5;
const NONE: u32 = DATA_NONE | ACTION_TRIGGER;
const BOOL: u32 = DATA_BOOL | ACTION_TRIGGER;
const EVENTFD: u32 = DATA_EVENTFD | ACTION_TRIGGER;

/// A descriptor for each interrupt that has one.
#[derive(Default)]
pub struct Interrupts {
    descriptors: [Vec<Option<OwnedFd>>; COUNTS.len()],
}

/// The fixed part of the request.
#[derive(Clone, Copy, Debug)]
pub struct SetIrqs {
    /// One kind of data, one action.
    pub flags: u32,
    /// Which of [`COUNTS`].
    pub index: u32,
    /// First interrupt.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl Interrupts {
    /// Does what a client asks.
    ///
    /// # Errors
    /// If there are no such interrupts or no such form; nothing has changed then.
    pub fn set(&mut self, request: SetIrqs, data: &[u8], fds: Vec<OwnedFd>) -> Result<(), Errno> {
        let index = request.index as usize;
        let available = *COUNTS.get(index).ok_or(Errno::Invalid)?;
        let end = request.start.checked_add(request.count);
        let end = end.filter(|end| *end <= available).ok_or(Errno::Invalid)?;
        let range = request.start as usize..end as usize;
        let count = range.len();
        match request.flags {
            NONE if count == 0 => self.descriptors[index].clear(),
            NONE => range.for_each(|n| self.fire(index, n)),
            BOOL => {
                let wanted = data.get(..count).ok_or(Errno::Invalid)?;
                let fired = range.zip(wanted).filter(|(_, is_wanted)| **is_wanted != 0);
                fired.for_each(|(n, _)| self.fire(index, n));
            }
            EVENTFD if fds.is_empty() => range.for_each(|n| self.assign(index, n, None)),
            EVENTFD if fds.len() == count => {
                for (n, fd) in range.zip(fds) {
                    self.assign(index, n, Some(fd));
                }
            }
            _ => return Err(Errno::Invalid),
        }
        Ok(())
    }

    fn assign(&mut self, index: usize, n: usize, descriptor: Option<OwnedFd>) {
        let descriptors = &mut self.descriptors[index];
        if descriptors.len() <= n {
            descriptors.resize_with(n + 1, || None);
        }
        descriptors[n] = descriptor;
    }

    /// Whether somebody waits for this interrupt.
    pub fn is_assigned(&self, index: usize, n: usize) -> bool {
        matches!(self.descriptors[index].get(n), Some(Some(_)))
    }

    /// Adds one to the event of an interrupt, if it has one.
    pub fn fire(&self, index: usize, n: usize) {
        if let Some(Some(descriptor)) = self.descriptors[index].get(n) {
            // A counter that is full has been told already; any other fault is the client's loss.
            let _ = rustix::io::write(descriptor, &1u64.to_ne_bytes());
        }
    }

    /// Takes all descriptors away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
