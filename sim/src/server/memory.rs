//! What a client has mapped for DMA: IOVA ranges, and the files behind them.
//!
//! A guest behind a vIOMMU maps page by page, tens of thousands of times, out of one file. So each
//! file is mapped into this process once, and a map is only an offset into it. Protection is kept
//! with the map and checked here, since the file is mapped whole.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use super::mapping::Mapping;
use crate::bus::Unmapped;

/// Ranges of IOVA by their first address; no two overlap.
#[derive(Default)]
pub struct Memory {
    maps: BTreeMap<u64, Map>,
    /// By device and inode; dead when no map needs it.
    files: HashMap<(u64, u64), Weak<Mapping>>,
}

/// One range.
#[derive(Clone)]
struct Map {
    last: u64,
    access: Access,
    /// `None`: the client keeps this memory to itself, as QEMU does with ROM and other devices.
    file: Option<Arc<Mapping>>,
    offset: u64,
}

/// What the function may do with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Read it.
    pub read: bool,
    /// Write it.
    pub write: bool,
}

/// Why a range cannot be mapped. The guest of a client is told of success all the same, so this is
/// the end of that client.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The end is beyond the address space, or there is nothing between.
    #[error("DMA map of {bytes} bytes at {address:#x}: no such range")]
    Range {
        /// First address.
        address: u64,
        /// Length.
        bytes: u64,
    },
    /// Part of it is mapped already.
    #[error("DMA map of {bytes} bytes at {address:#x}: part of it is mapped already")]
    Overlap {
        /// First address.
        address: u64,
        /// Length.
        bytes: u64,
    },
    /// The range is not inside the file.
    #[error("DMA map of {bytes} bytes at {offset:#x} of a file of {file_bytes}: beyond its end")]
    File {
        /// Length.
        bytes: u64,
        /// Where in the file.
        offset: u64,
        /// Length of the file.
        file_bytes: u64,
    },
    /// The file cannot be mapped here.
    #[error("DMA map at {address:#x}: the file cannot be mapped: {source}")]
    Mapping {
        /// First address.
        address: u64,
        /// Why.
        source: io::Error,
    },
}

impl Memory {
    /// Adds a range; `file` is what backs it and where in it the range begins.
    ///
    /// # Errors
    /// And then nothing has changed.
    pub fn map(
        &mut self,
        address: u64,
        bytes: u64,
        access: Access,
        file: Option<(OwnedFd, u64)>,
    ) -> Result<(), MapError> {
        let end = bytes.checked_sub(1).and_then(|n| address.checked_add(n));
        let last = end.ok_or(MapError::Range { address, bytes })?;
        if self.overlapping(address, last).next().is_some() {
            return Err(MapError::Overlap { address, bytes });
        }
        let (file, offset) = match file {
            None => (None, 0),
            Some((file, offset)) => {
                let mapping = self.mapping(address, &file, access)?;
                let file_bytes = mapping.len() as u64;
                if offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
                    return Err(MapError::File {
                        bytes,
                        offset,
                        file_bytes,
                    });
                }
                (Some(mapping), offset)
            }
        };
        let map = Map {
            last,
            access,
            file,
            offset,
        };
        self.maps.insert(address, map);
        Ok(())
    }

    /// The file in our memory: as it is there already, unless that is not enough.
    fn mapping(
        &mut self,
        address: u64,
        file: &OwnedFd,
        access: Access,
    ) -> Result<Arc<Mapping>, MapError> {
        let fail = |source: io::Error| MapError::Mapping { address, source };
        let stat = rustix::fs::fstat(file).map_err(|error| fail(error.into()))?;
        let bytes = usize::try_from(stat.st_size).unwrap_or(0);
        let key = (stat.st_dev, stat.st_ino);
        let known = self.files.get(&key).and_then(Weak::upgrade);
        let is_enough = |mapping: &Mapping| mapping.is_writable() || !access.write;
        if let Some(known) = known.filter(|known| known.len() >= bytes && is_enough(known)) {
            return Ok(known);
        }
        self.files.retain(|_, mapping| mapping.strong_count() > 0);
        let fresh = Arc::new(Mapping::new(file.as_fd(), bytes).map_err(fail)?);
        if !is_enough(&fresh) {
            return Err(fail(io::ErrorKind::PermissionDenied.into()));
        }
        self.files.insert(key, Arc::downgrade(&fresh));
        Ok(fresh)
    }

    /// Takes away all that is mapped in a range, parts of maps included.
    pub fn unmap(&mut self, address: u64, bytes: u64) {
        let Some(end) = bytes.checked_sub(1) else {
            return;
        };
        let last = address.saturating_add(end);
        let starts: Vec<u64> = self.overlapping(address, last).map(|(s, _)| *s).collect();
        for start in starts {
            let Some(map) = self.maps.remove(&start) else {
                continue;
            };
            if map.last > last {
                let offset = map.offset + (last + 1 - start);
                self.maps.insert(
                    last + 1,
                    Map {
                        offset,
                        ..map.clone()
                    },
                );
            }
            if start < address {
                let last = address - 1;
                self.maps.insert(start, Map { last, ..map });
            }
        }
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Maps that share an address with a range.
    fn overlapping(&self, first: u64, last: u64) -> impl Iterator<Item = (&u64, &Map)> {
        let maps = self.maps.range(..=last).rev();
        // They do not overlap each other: before the first that ends too early all others do.
        maps.take_while(move |(_, map)| map.last >= first)
    }

    /// Reads, across as many maps as it takes.
    ///
    /// # Errors
    /// If part of it may not be read; `data` is then as it was.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        self.check(address, data.len(), |access| access.read)?;
        let mut rest = data;
        let mut at = address;
        while !rest.is_empty() {
            let (file, offset, count) = self.piece(at, rest.len()).ok_or(Unmapped)?;
            let (now, later) = rest.split_at_mut(count);
            file.read(offset, now);
            (rest, at) = (later, at.wrapping_add(count as u64));
        }
        Ok(())
    }

    /// Writes, across as many maps as it takes.
    ///
    /// # Errors
    /// If part of it may not be written; nothing is written then.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        self.check(address, data.len(), |access| access.write)?;
        let mut rest = data;
        let mut at = address;
        while !rest.is_empty() {
            let (file, offset, count) = self.piece(at, rest.len()).ok_or(Unmapped)?;
            let (now, later) = rest.split_at(count);
            file.write(offset, now);
            (rest, at) = (later, at.wrapping_add(count as u64));
        }
        Ok(())
    }

    /// Whether all of a range is there and allowed.
    fn check(
        &self,
        address: u64,
        count: usize,
        is_allowed: impl Fn(Access) -> bool,
    ) -> Result<(), Unmapped> {
        let Some(more) = (count as u64).checked_sub(1) else {
            return Ok(());
        };
        let last = address.checked_add(more).ok_or(Unmapped)?;
        let mut at = address;
        loop {
            let (_, map) = self.maps.range(..=at).next_back().ok_or(Unmapped)?;
            if map.last < at || !is_allowed(map.access) || map.file.is_none() {
                return Err(Unmapped);
            }
            if map.last >= last {
                return Ok(());
            }
            at = map.last + 1;
        }
    }

    /// The file, offset and length of what one map holds from an address on.
    fn piece(&self, at: u64, wanted: usize) -> Option<(&Mapping, usize, usize)> {
        let (start, map) = self.maps.range(..=at).next_back()?;
        let left = map.last.checked_sub(at)?.saturating_add(1);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        let offset = usize::try_from(map.offset + (at - start)).ok()?;
        Some((map.file.as_deref()?, offset, count))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use std::fs::File;

    use rustix::fs::{MemfdFlags, OFlags, memfd_create};

    use super::*;

    const PAGE: u64 = 4096;
    const BOTH: Access = Access {
        read: true,
        write: true,
    };

    /// A file of the test whose pages begin with their number.
    fn pages(count: u64) -> OwnedFd {
        let file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(count * PAGE).unwrap();
        for page in 0..count {
            std::os::unix::fs::FileExt::write_all_at(&file, &page.to_le_bytes(), page * PAGE)
                .unwrap();
        }
        file.into()
    }

    fn page_at(memory: &Memory, address: u64) -> Result<u64, Unmapped> {
        let mut data = [0xee; 8];
        memory.read(address, &mut data)?;
        Ok(u64::from_le_bytes(data))
    }

    fn map(memory: &mut Memory, address: u64, count: u64, file: &OwnedFd, page: u64) {
        let file = (file.try_clone().unwrap(), page * PAGE);
        memory.map(address, count * PAGE, BOTH, Some(file)).unwrap();
    }

    #[test]
    fn accesses_run_across_adjacent_maps_and_nowhere_else() {
        let file = pages(4);
        let mut memory = Memory::default();
        // In another order than in the file.
        for (address, page) in [(0x1000, 3), (0x2000, 1), (0x3000, 2), (0x5000, 0)] {
            map(&mut memory, address, 1, &file, page);
        }
        let data: Vec<u8> = (0..0x2000u32).map(|n| (n / 32) as u8).collect();
        memory.write(0x1800, &data).unwrap();
        let mut back = vec![0; 0x2000];
        memory.read(0x1800, &mut back).unwrap();
        assert_eq!(back, data);
        let mut other = Memory::default();
        map(&mut other, 0, 4, &file, 0);
        let mut page_1 = vec![0; 0x1000];
        other.read(0x1000, &mut page_1).unwrap();
        assert_eq!(page_1, data[0x800..0x1800]);

        for (address, count) in [
            (0xfff, 2),
            (0x3fff, 2),
            (0x4000, 1),
            (0x5fff, 2),
            (0, 0x2000),
        ] {
            let mut data = vec![0xaa; count];
            assert_eq!(
                memory.read(address, &mut data),
                Err(Unmapped),
                "{address:#x}"
            );
            assert_eq!(memory.write(address, &data), Err(Unmapped), "{address:#x}");
            assert!(data.iter().all(|byte| *byte == 0xaa));
        }
        assert_eq!(memory.write(u64::MAX, &[0; 2]), Err(Unmapped));
        assert_eq!(memory.read(u64::MAX, &mut []), Ok(()));
    }

    #[test]
    fn protection_is_kept_with_each_map_of_one_file() {
        let file = pages(3);
        let mut memory = Memory::default();
        for (page, read, write) in [(0, true, false), (1, false, true), (2, true, true)] {
            let access = Access { read, write };
            let file = (file.try_clone().unwrap(), page * PAGE);
            memory.map(page * PAGE, PAGE, access, Some(file)).unwrap();
        }
        let may_read = |address| page_at(&memory, address).is_ok();
        let may_write = |address| memory.write(address, &[0; 8]).is_ok();
        assert_eq!([0, PAGE, 2 * PAGE].map(may_read), [true, false, true]);
        assert_eq!([0, PAGE, 2 * PAGE].map(may_write), [false, true, true]);
        assert!(!may_read(PAGE - 4) && !may_write(PAGE - 4));
    }

    #[test]
    fn files_that_may_only_be_read_are_mapped_for_reading() {
        let file = pages(1);
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let only_read = || rustix::fs::open(&*path, OFlags::RDONLY, 0.into()).unwrap();
        let mut memory = Memory::default();
        let read = Access {
            read: true,
            write: false,
        };
        memory.map(0, PAGE, read, Some((only_read(), 0))).unwrap();
        assert_eq!(page_at(&memory, 0), Ok(0));
        let refused = memory.map(PAGE, PAGE, BOTH, Some((only_read(), 0)));
        assert!(matches!(refused, Err(MapError::Mapping { .. })));
        // The same file by a descriptor that may write.
        map(&mut memory, PAGE, 1, &file, 0);
        memory.write(PAGE, &7u64.to_le_bytes()).unwrap();
        assert_eq!(page_at(&memory, 0), Ok(7));
    }

    #[test]
    fn unmap_takes_any_part_of_any_number_of_maps() {
        let file = pages(8);
        let mut memory = Memory::default();
        map(&mut memory, 0, 4, &file, 0);
        map(&mut memory, 4 * PAGE, 1, &file, 4);
        map(&mut memory, 5 * PAGE, 3, &file, 5);
        memory.unmap(PAGE, PAGE);
        memory.unmap(3 * PAGE, 3 * PAGE);
        memory.unmap(100 * PAGE, PAGE);
        memory.unmap(0, 0);
        let seen: Vec<Option<u64>> = (0..9).map(|n| page_at(&memory, n * PAGE).ok()).collect();
        let expected = [
            Some(0),
            None,
            Some(2),
            None,
            None,
            None,
            Some(6),
            Some(7),
            None,
        ];
        assert_eq!(seen, expected);
        map(&mut memory, PAGE, 1, &file, 5);
        assert_eq!(page_at(&memory, PAGE), Ok(5));
        memory.unmap(0, u64::MAX);
        assert!((0..9).all(|n| page_at(&memory, n * PAGE).is_err()));
    }

    #[test]
    fn maps_without_a_file_are_accepted_and_unmapped() {
        let mut memory = Memory::default();
        memory.map(u64::MAX - PAGE + 1, PAGE, BOTH, None).unwrap();
        assert_eq!(page_at(&memory, u64::MAX - 7), Err(Unmapped));
        memory.unmap(u64::MAX - PAGE + 1, PAGE);
        memory.map(u64::MAX - PAGE + 1, PAGE, BOTH, None).unwrap();
    }

    #[test]
    fn maps_that_cannot_be_are_refused_and_change_nothing() {
        let file = pages(2);
        let mut memory = Memory::default();
        map(&mut memory, PAGE, 1, &file, 0);
        let mut attempt = |address, bytes, offset| {
            let file = (file.try_clone().unwrap(), offset);
            memory.map(address, bytes, BOTH, Some(file)).unwrap_err()
        };
        assert!(matches!(attempt(0, 0, 0), MapError::Range { .. }));
        assert!(matches!(attempt(u64::MAX, 2, 0), MapError::Range { .. }));
        assert!(matches!(attempt(0, PAGE + 1, 0), MapError::Overlap { .. }));
        assert!(matches!(
            attempt(2 * PAGE - 1, 1, 0),
            MapError::Overlap { .. }
        ));
        assert!(matches!(
            attempt(4 * PAGE, PAGE, PAGE + 1),
            MapError::File { .. }
        ));
        assert!(matches!(
            attempt(4 * PAGE, PAGE, u64::MAX),
            MapError::File { .. }
        ));
        let (pipe, _) = std::io::pipe().unwrap();
        let refused = memory.map(4 * PAGE, PAGE, BOTH, Some((pipe.into(), 0)));
        assert!(matches!(refused, Err(MapError::Mapping { .. })));
        assert_eq!(page_at(&memory, PAGE), Ok(0));
        assert!(page_at(&memory, 0).is_err() && page_at(&memory, 4 * PAGE).is_err());
    }

    #[test]
    fn file_that_has_grown_is_mapped_again() {
        let file = pages(1);
        let mut memory = Memory::default();
        map(&mut memory, 0, 1, &file, 0);
        File::from(file.try_clone().unwrap())
            .set_len(2 * PAGE)
            .unwrap();
        map(&mut memory, PAGE, 1, &file, 1);
        memory.write(PAGE - 4, &[1; 8]).unwrap();
        assert_eq!(page_at(&memory, PAGE), Ok(0x0101_0101));
    }

    #[test]
    fn more_maps_than_a_process_may_have_need_one_mapping_a_file() {
        // vm.max_map_count is 65530 unless somebody raised it.
        let file = pages(1);
        let mut memory = Memory::default();
        for page in 0..70_000 {
            map(&mut memory, page * PAGE, 1, &file, 0);
        }
        assert_eq!(page_at(&memory, 69_999 * PAGE), Ok(0));
        assert_eq!(memory.files.len(), 1);
        memory.unmap(0, 70_000 * PAGE);
        assert!(
            memory
                .files
                .values()
                .all(|mapping| mapping.upgrade().is_none())
        );
    }
}
