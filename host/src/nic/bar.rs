//! BAR0 as 32-bit registers: read, write, and blocks of either.

use crate::vfio::{self, Access, BAR0, Device};

/// BAR0 of an open device. Accesses of a block are one region access of consecutive registers.
pub struct Bar {
    device: Box<dyn Device>,
}

impl Bar {
    /// Takes the device over.
    pub fn new(device: Box<dyn Device>) -> Self {
        Self { device }
    }

    /// The device itself, for its other regions.
    pub fn device(&mut self) -> &mut dyn Device {
        self.device.as_mut()
    }

    /// Reads the register at `offset`.
    pub fn read(&mut self, offset: u32) -> Result<u32, vfio::Error> {
        let mut bytes = [0; 4];
        self.device.region_read(BAR0, offset.into(), &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes the register at `offset`.
    pub fn write(&mut self, offset: u32, value: u32) -> Result<(), vfio::Error> {
        self.device
            .region_write(BAR0, offset.into(), &value.to_le_bytes())
    }

    /// Reads consecutive registers.
    pub fn read_words(&mut self, offset: u32, words: &mut [u32]) -> Result<(), vfio::Error> {
        let mut bytes = vec![0; words.len() * 4];
        self.device.region_read(BAR0, offset.into(), &mut bytes)?;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// Writes consecutive registers.
    pub fn write_all(&mut self, offset: u32, words: &[u32]) -> Result<(), vfio::Error> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.device.region_write(BAR0, offset.into(), &bytes)
    }

    /// Writes runs of consecutive registers in order, then reads one register.
    pub fn write_then_read(
        &mut self,
        writes: &[(u32, &[u32])],
        offset: u32,
    ) -> Result<u32, vfio::Error> {
        let writes: Vec<(u32, Vec<u8>)> = writes
            .iter()
            .map(|(offset, words)| {
                (
                    *offset,
                    words.iter().flat_map(|word| word.to_le_bytes()).collect(),
                )
            })
            .collect();
        let mut status = [0; 4];
        let mut accesses: Vec<Access<'_>> = writes
            .iter()
            .map(|(offset, data)| Access::Write {
                region: BAR0,
                offset: (*offset).into(),
                data,
            })
            .collect();
        accesses.push(Access::Read {
            region: BAR0,
            offset: offset.into(),
            data: &mut status,
        });
        self.device.batch(&mut accesses)?;
        Ok(u32::from_le_bytes(status))
    }

    /// Reads bytes of a window; `bytes` is padded to whole registers by the caller.
    pub fn read_bytes(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), vfio::Error> {
        self.device.region_read(BAR0, offset.into(), bytes)
    }
}
