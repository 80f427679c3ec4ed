//! A client's file in our address space. The only unsafe code of the server.
//!
//! The bytes are shared with another process that changes them at will, so they are copied and never
//! borrowed. A client that shortens a file it has mapped takes the pages away: the copy then ends this
//! process by SIGBUS, as pulling the memory out of a host would end more than its card.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The whole of a file, mapped and ours until dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    is_writable: bool,
}

// SAFETY: the address is of the whole process, and the bytes are only copied, under the rules of
// memory that another process shares anyway.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` of a file: for writing too, if it may be written.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let map = |protection| {
            // SAFETY: the kernel picks an address at which nothing is mapped.
            unsafe {
                mmap(
                    ptr::null_mut(),
                    bytes,
                    protection,
                    MapFlags::SHARED,
                    file,
                    0,
                )
            }
        };
        let (start, is_writable) = match map(ProtFlags::READ | ProtFlags::WRITE) {
            Err(rustix::io::Errno::ACCESS) => (map(ProtFlags::READ)?, false),
            mapped => (mapped?, true),
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            start,
            bytes,
            is_writable,
        })
    }

    /// Length.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether [`Self::write`] is allowed.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// If the range is not inside.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        self.check(offset, data.len());
        // SAFETY: the range is inside the mapping, and `data` is ours alone.
        unsafe {
            let source = self.start.as_ptr().add(offset);
            ptr::copy_nonoverlapping(source, data.as_mut_ptr(), data.len());
        }
        fence(Ordering::Acquire);
    }

    /// Copies bytes in, behind all that was copied in before.
    ///
    /// # Panics
    /// If the range is not inside or may not be written.
    pub fn write(&self, offset: usize, data: &[u8]) {
        self.check(offset, data.len());
        assert!(self.is_writable, "the file may only be read");
        // The host sees the writes of a function in their order.
        fence(Ordering::Release);
        // SAFETY: the range is inside the mapping, which may be written; `data` lies elsewhere.
        unsafe {
            let target = self.start.as_ptr().add(offset);
            ptr::copy_nonoverlapping(data.as_ptr(), target, data.len());
        }
    }

    fn check(&self, offset: usize, count: usize) {
        let end = offset.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.bytes),
            "{count} bytes at {offset} are not inside {}",
            self.bytes
        );
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody holds a pointer into it.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
