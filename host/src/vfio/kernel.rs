//! A device behind the kernel's VFIO: container, group, BAR, DMA map, MSI-X, reset.
//!
//! Linux `Documentation/driver-api/vfio.rst`. The crate `vfio-ioctls` swallows the errors of region accesses and of
//! resets, so these two are done here on its file descriptor.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use vfio_ioctls::{VfioContainer, VfioDevice, VfioError};

use super::dma::{DmaMemory, Iovas, Mapping};
use super::sysfs::{Bdf, Sysfs, refusal};
use super::{BAR0, CONFIG, Device, Error, EventFd, REGION_READ, REGION_WRITE, RegionInfo, events};

/// An open PCI function. Holding it means: it is ours, behind an IOMMU, and answers at its BARs.
pub struct KernelDevice {
    bdf: Bdf,
    bar: Option<MappedBar>,
    /// The device's file descriptor once more, for positioned reads and writes.
    file: File,
    iovas: Iovas,
    // The device before the container: its group leaves the container when it is dropped.
    device: VfioDevice,
    container: Arc<VfioContainer>,
}

impl KernelDevice {
    /// Opens a function that is bound to vfio-pci.
    pub fn open(sysfs: &Sysfs, bdf: &Bdf) -> Result<Self, Error> {
        let group = sysfs.usable(bdf)?;
        let group = Path::new("/dev/vfio").join(group);
        let failed = |error| explain(bdf, &group, error);
        let container = Arc::new(VfioContainer::new(None).map_err(failed)?);
        let device =
            VfioDevice::new(&sysfs.folder(bdf), container.clone(), false).map_err(failed)?;
        // SAFETY: the descriptor is open as long as `device` lives, which is longer than the borrow.
        let file = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) };
        let file = file.try_clone_to_owned().map_err(|source| Error::Io {
            request: "opening the device",
            source,
        })?;
        let mut opened = Self {
            bdf: bdf.clone(),
            bar: None,
            file: File::from(file),
            iovas: Iovas::default(),
            device,
            container,
        };
        // Registers answer only with memory space on, which is set together with bus mastering.
        opened.set_bus_master(true)?;
        opened.set_bus_master(false)?;
        opened.bar = MappedBar::map(&opened.device);
        Ok(opened)
    }

    /// Start of an access in the device's file, if it lies in the region.
    fn position(
        &self,
        what: &str,
        flag: u32,
        region: u32,
        offset: u64,
        bytes: usize,
    ) -> Result<u64, Error> {
        let info = self
            .region_info(region)
            .filter(|info| info.flags & flag != 0);
        let end = offset.checked_add(bytes as u64);
        match info.zip(end) {
            Some((info, end)) if end <= info.size => {
                Ok(self.device.get_region_offset(region) + offset)
            }
            _ => Err(Error::Refused {
                request: format!("{what} of {bytes} bytes of region {region} at {offset:#x}"),
                errno: libc::EINVAL as u32,
            }),
        }
    }

    fn step_failed(&self, step: &'static str, error: VfioError) -> Error {
        Error::Kernel {
            bdf: self.bdf.to_string(),
            step,
            reason: error.to_string(),
        }
    }
}

impl Device for KernelDevice {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        (region <= CONFIG).then(|| RegionInfo {
            size: self.device.get_region_size(region),
            flags: self.device.get_region_flags(region),
        })
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let position = self.position("read", REGION_READ, region, offset, data.len())?;
        if let Some(bar) = self.bar.as_ref().filter(|_| region == BAR0)
            && bar.read(offset, data)
        {
            return Ok(());
        }
        self.file
            .read_exact_at(data, position)
            .map_err(|source| Error::Io {
                request: "read",
                source,
            })
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        let position = self.position("write", REGION_WRITE, region, offset, data.len())?;
        if let Some(bar) = self.bar.as_ref().filter(|_| region == BAR0)
            && bar.write(offset, data)
        {
            return Ok(());
        }
        self.file
            .write_all_at(data, position)
            .map_err(|source| Error::Io {
                request: "write",
                source,
            })
    }

    fn reset(&mut self) -> Result<(), Error> {
        // SAFETY: the request takes no argument and the descriptor is that of a VFIO device.
        match unsafe { libc::ioctl(self.file.as_raw_fd(), VFIO_DEVICE_RESET) } {
            0 => Ok(()),
            _ => Err(Error::Io {
                request: "reset",
                source: std::io::Error::last_os_error(),
            }),
        }
    }

    fn map(&mut self, bytes: usize) -> Result<DmaMemory, Error> {
        let mapping = Arc::new(Mapping::allocate(bytes)?);
        let size = mapping.bytes();
        let iova = self.iovas.take(size)?;
        // SAFETY: the memory stays mapped until the closure below has taken it from the device, and is touched only
        // through `Mapping`, whose accesses are raw copies, atomics, or lent under its own contract.
        let mapped = unsafe { self.container.vfio_dma_map(iova, size, mapping.start()) };
        if let Err(error) = mapped {
            self.iovas.give_back(iova);
            return Err(self.step_failed("map memory (is `ulimit -l` large enough?) for", error));
        }
        let (container, iovas, kept) =
            (self.container.clone(), self.iovas.clone(), mapping.clone());
        let unmap = move || match container.vfio_dma_unmap(iova, size) {
            Ok(()) => iovas.give_back(iova),
            // The device may still reach it: neither address nor memory may be used for anything else.
            Err(_) => std::mem::forget(kept),
        };
        Ok(DmaMemory::new(mapping, iova, unmap))
    }

    fn interrupt_count(&mut self) -> Result<usize, Error> {
        let info = self.device.get_irq_info(IRQ_MSIX);
        Ok(info.map_or(0, |irq| irq.count as usize))
    }

    fn enable_interrupts(&mut self, count: usize) -> Result<Vec<EventFd>, Error> {
        let available = self.interrupt_count()?;
        if available < count {
            return Err(Error::Interrupts {
                available,
                wanted: count,
            });
        }
        let events = events(count)?;
        // Fails when none are enabled, which is what it is for.
        let _ = self.device.disable_msix();
        self.device
            .enable_msix(events.iter().collect())
            .map_err(|error| self.step_failed("enable the interrupts of", error))?;
        Ok(events)
    }
}

/// BAR0, mapped: accesses are loads and stores, each 32 bits wide as the card wants them.
struct MappedBar {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone, and is used through it alone.
unsafe impl Send for MappedBar {}

impl MappedBar {
    /// Maps the whole of BAR0, or nothing if the kernel does not allow that; reads and writes do the same, slower.
    fn map(device: &VfioDevice) -> Option<Self> {
        let bytes = usize::try_from(device.get_region_size(BAR0)).ok()?;
        let offset = libc::off_t::try_from(device.get_region_offset(BAR0)).ok()?;
        if device.get_region_flags(BAR0) & REGION_MMAP == 0 || bytes == 0 {
            return None;
        }
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice, of a region of this size.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                flags,
                device.as_raw_fd(),
                offset,
            )
        };
        let start = NonNull::new(start.cast()).filter(|_| start != libc::MAP_FAILED)?;
        Some(Self { start, bytes })
    }

    /// Reads whole aligned words; `false` for anything else.
    fn read(&self, offset: u64, data: &mut [u8]) -> bool {
        let Some(start) = self.words(offset, data.len()) else {
            return false;
        };
        for (index, bytes) in data.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: `words` has checked alignment and range.
            let word = unsafe { start.add(index).read_volatile() };
            *bytes = word.to_ne_bytes();
        }
        true
    }

    /// Writes whole aligned words; `false` for anything else.
    fn write(&self, offset: u64, data: &[u8]) -> bool {
        let Some(start) = self.words(offset, data.len()) else {
            return false;
        };
        for (index, bytes) in data.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: as in `read`.
            unsafe { start.add(index).write_volatile(u32::from_ne_bytes(*bytes)) };
        }
        true
    }

    fn words(&self, offset: u64, bytes: usize) -> Option<*mut u32> {
        let offset = usize::try_from(offset).ok()?;
        let is_inside = offset.checked_add(bytes)? <= self.bytes;
        if !offset.is_multiple_of(4) || !bytes.is_multiple_of(4) || !is_inside {
            return None;
        }
        // SAFETY: inside the mapping, as just checked.
        Some(unsafe { self.start.as_ptr().add(offset) }.cast())
    }
}

impl Drop for MappedBar {
    fn drop(&mut self) {
        // SAFETY: the range is what mmap gave, and no pointer into it is kept.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// What a failure to open means.
fn explain(bdf: &Bdf, group: &Path, error: VfioError) -> Error {
    let step = "open";
    let with_number = |number| std::io::Error::from_raw_os_error(number);
    match &error {
        VfioError::OpenContainer(source) => {
            refusal(bdf, step, &PathBuf::from("/dev/vfio/vfio"), source)
        }
        VfioError::OpenGroup(source, _) => refusal(bdf, step, group, source),
        VfioError::ContainerSetIOMMU(source) if source.errno() == libc::EPERM => Error::Kernel {
            bdf: bdf.to_string(),
            step,
            reason:
                "the IOMMU does not remap interrupts: switch interrupt remapping on in the firmware"
                    .into(),
        },
        VfioError::GroupGetDeviceFD(source) => {
            refusal(bdf, step, group, &with_number(source.errno()))
        }
        VfioError::GroupViable => Error::Kernel {
            bdf: bdf.to_string(),
            step,
            reason: format!(
                "{} is not viable: another device of the group has a kernel driver",
                group.display()
            ),
        },
        _ => Error::Kernel {
            bdf: bdf.to_string(),
            step,
            reason: error.to_string(),
        },
    }
}

/// `VFIO_REGION_INFO_FLAG_MMAP`.
const REGION_MMAP: u32 = 1 << 2;
/// `VFIO_PCI_MSIX_IRQ_INDEX`.
const IRQ_MSIX: u32 = 2;
/// `_IO(';', 100 + 11)`.
const VFIO_DEVICE_RESET: libc::Ioctl = 0x3b6f;

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory in place of a BAR.
    fn bar() -> (Mapping, MappedBar) {
        let memory = Mapping::allocate(4096).expect("memory");
        // SAFETY: a second mapping of the same file, at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                memory.file(),
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        let start = NonNull::new(start.cast()).expect("an address");
        (memory, MappedBar { start, bytes: 4096 })
    }

    #[test]
    fn a_mapped_bar_takes_whole_words_and_nothing_else() {
        let (memory, bar) = bar();
        assert!(bar.write(0x10, &[1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(
            (memory.load(0x10), memory.load(0x14)),
            (0x0403_0201, 0x0807_0605)
        );
        let mut data = [0; 8];
        assert!(bar.read(0x10, &mut data));
        assert_eq!(data, [1, 2, 3, 4, 5, 6, 7, 8]);
        for (offset, bytes) in [(2, 4), (0, 3), (4096, 4), (4092, 8), (u64::MAX, 4)] {
            assert!(!bar.read(offset, &mut data[..bytes]), "{bytes} at {offset}");
            assert!(!bar.write(offset, &data[..bytes]), "{bytes} at {offset}");
        }
    }

    #[test]
    fn failures_to_open_say_what_to_do() {
        let bdf: Bdf = "03:00.0".parse().expect("an address");
        let told = |error| explain(&bdf, Path::new("/dev/vfio/6"), error).to_string();
        let io = std::io::Error::from_raw_os_error;
        assert!(told(VfioError::OpenContainer(io(libc::ENOENT))).contains("modprobe vfio-pci"));
        assert!(
            told(VfioError::OpenContainer(io(libc::EACCES)))
                .contains("/dev/vfio/vfio: run as root")
        );
        assert!(
            told(VfioError::OpenGroup(io(libc::EBUSY), "6".into())).contains("/dev/vfio/6 is busy")
        );
        assert!(told(VfioError::GroupViable).contains("another device of the group"));
        let number = vmm_sys_util::errno::Error::new(libc::EPERM);
        assert!(told(VfioError::ContainerSetIOMMU(number)).contains("interrupt remapping"));
    }
}
