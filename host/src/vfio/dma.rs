//! Memory that host and card share.
//!
//! A [`Mapping`] is memory of ours behind a file descriptor, so that it can be shown to the kernel and to
//! another process alike. [`DmaMemory`] is a mapping that a card reaches at an address of its own, the
//! IOVA, until it is dropped.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;

/// Shared memory, mapped. Holding it means: these bytes stay mapped, writable, and backed by the file.
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    file: OwnedFd,
}

// SAFETY: the pages belong to nobody else in this process, and every access goes through raw copies and atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; concurrent copies of the same bytes may tear, as they may against the card.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory of at least this size, of huge pages if there are any.
    pub fn allocate(bytes: usize) -> Result<Self, Error> {
        let huge = bytes.next_multiple_of(HUGE_PAGE_BYTES);
        if bytes >= HUGE_PAGE_BYTES
            && let Ok(mapping) = Self::of_file(huge, libc::MFD_HUGETLB | libc::MFD_HUGE_2MB)
        {
            return Ok(mapping);
        }
        let bytes = bytes.next_multiple_of(PAGE_BYTES);
        Self::of_file(bytes, 0).map_err(|source| Error::Memory { bytes, source })
    }

    fn of_file(bytes: usize, flags: libc::c_uint) -> std::io::Result<Self> {
        // SAFETY: the name is a C string; nothing else is passed.
        let file =
            unsafe { libc::memfd_create(c"postern-dma".as_ptr(), flags | libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the call above gave us this descriptor, and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: plain numbers.
        if unsafe { libc::ftruncate(file.as_raw_fd(), bytes as libc::off_t) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that is as long as it.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                flags,
                file.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start.cast()).filter(|_| start != libc::MAP_FAILED) {
            Some(start) => Ok(Self { start, bytes, file }),
            None => Err(std::io::Error::last_os_error()),
        }
    }

    /// Bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Address in this process, for the kernel.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The file behind it, for other processes.
    pub fn file(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Loads an aligned little-endian word that the card may be writing.
    pub fn load(&self, offset: usize) -> u32 {
        u32::from_le(self.word(offset).load(Ordering::Relaxed))
    }

    /// Stores an aligned word, little-endian.
    pub fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value.to_le(), Ordering::Relaxed);
    }

    /// Copies bytes in.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` has checked the range, and a slice of ours does not overlap the mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Copies bytes out.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        let from = self.at(offset, bytes.len());
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Lends bytes in place.
    ///
    /// # Safety
    /// Nobody, the card included, writes them while they are lent.
    pub unsafe fn lend(&self, offset: usize, bytes: usize) -> &[u8] {
        // SAFETY: `at` has checked the range; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.at(offset, bytes), bytes) }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "words are aligned");
        // SAFETY: in range and aligned, since the mapping begins at a page; atomics may be shared with anyone.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        let end = offset.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes),
            "{bytes} bytes at {offset}"
        );
        // SAFETY: within the mapping, as just checked.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is what mmap gave, and nothing borrowed from it outlives it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Memory that a card reaches. Dropping it takes it away from the card.
pub struct DmaMemory {
    mapping: Arc<Mapping>,
    iova: u64,
    unmap: Option<Box<dyn FnOnce() + Send>>,
}

impl DmaMemory {
    /// A mapping that a card reaches at `iova` until `unmap` was called.
    pub fn new(mapping: Arc<Mapping>, iova: u64, unmap: impl FnOnce() + Send + 'static) -> Self {
        Self {
            mapping,
            iova,
            unmap: Some(Box::new(unmap)),
        }
    }

    /// Address of the first byte as the card uses it.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// The memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl Drop for DmaMemory {
    fn drop(&mut self) {
        if let Some(unmap) = self.unmap.take() {
            unmap();
        }
    }
}

/// Which IOVAs a device has in use. Shared with the memory that gives them back.
#[derive(Clone, Default)]
pub(super) struct Iovas(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Iovas {
    /// The lowest free range.
    pub(super) fn take(&self, bytes: usize) -> Result<u64, Error> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = (bytes as u64).next_multiple_of(HUGE_PAGE_BYTES as u64);
        let mut start = FIRST_IOVA;
        for (begin, bytes) in used.iter() {
            if start + size <= *begin {
                break;
            }
            start = begin + bytes;
        }
        if start + size > LAST_IOVA {
            return Err(Error::NoIova { bytes });
        }
        used.insert(start, size);
        Ok(start)
    }

    /// Makes a range free again.
    pub(super) fn give_back(&self, iova: u64) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.remove(&iova);
    }
}

const PAGE_BYTES: usize = 4096;
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Above what is reserved for legacy devices.
const FIRST_IOVA: u64 = 0x1000_0000;
/// Below the window of message-signalled interrupts at 0xfee0_0000, so below 4 GiB: requests have short headers.
const LAST_IOVA: u64 = 0xe000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_and_holds_what_is_written() {
        for bytes in [1, 5000, HUGE_PAGE_BYTES + 1] {
            let mapping = Mapping::allocate(bytes).expect("memory");
            assert!(mapping.bytes() >= bytes);
            let mut read = vec![1; mapping.bytes()];
            mapping.read(0, &mut read);
            assert!(read.iter().all(|byte| *byte == 0));
            mapping.write(0, &[1, 2, 3, 4]);
            assert_eq!(mapping.load(0), 0x0403_0201);
            mapping.store(mapping.bytes() - 4, 0x0807_0605);
            mapping.read(mapping.bytes() - 4, &mut read[..4]);
            assert_eq!(read[..4], [5, 6, 7, 8]);
        }
    }

    #[test]
    #[should_panic(expected = "2 bytes at 4095")]
    fn nothing_is_reached_beyond_the_end() {
        let mapping = Mapping::allocate(1).expect("memory");
        mapping.write(4095, &[0, 0]);
    }

    #[test]
    fn iovas_do_not_overlap_and_are_used_again() {
        let iovas = Iovas::default();
        let [a, b, c] = [1, 3 << 20, 4096].map(|bytes| iovas.take(bytes).expect("room"));
        assert_eq!(
            (a, b, c),
            (FIRST_IOVA, FIRST_IOVA + (2 << 20), FIRST_IOVA + (6 << 20))
        );
        iovas.give_back(b);
        assert_eq!(iovas.take(5 << 20).expect("room"), FIRST_IOVA + (8 << 20));
        assert_eq!(iovas.take(4 << 20).expect("room"), b);
        assert!(matches!(iovas.take(4 << 30), Err(Error::NoIova { .. })));
    }

    #[test]
    fn dropped_memory_is_unmapped_once() {
        let (sender, calls) = std::sync::mpsc::channel();
        let mapping = Arc::new(Mapping::allocate(1).expect("memory"));
        let memory = DmaMemory::new(mapping, 0x1000, move || sender.send(()).expect("heard"));
        assert!(calls.try_recv().is_err());
        drop(memory);
        assert_eq!(calls.iter().count(), 1);
    }
}
