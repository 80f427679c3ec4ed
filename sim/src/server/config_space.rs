//! PCI configuration space of the simulated card: a type 0 header and its write masks.
//!
//! PCI Local Bus Specification 3.0 §6.1 and §6.2. One BAR, 32-bit memory, not prefetchable. No
//! capabilities and no interrupt pin: the card is polled in this version.

use layout::csr::BAR0_BYTES;

/// Bytes of configuration space.
pub const CONFIG_BYTES: usize = 256;
/// Vendor: not one the PCI-SIG gave out; the number QEMU's teaching devices use.
pub const VENDOR_ID: u16 = 0x1234;
/// Device: "PN".
pub const DEVICE_ID: u16 = 0x504e;
/// Class code: network controller, Ethernet.
pub const CLASS: u32 = 0x02_0000;
const REVISION: u8 = 1;

const COMMAND: usize = 0x04;
const BAR0: usize = 0x10;
/// Memory space, bus master, interrupt disable.
const COMMAND_WRITABLE: u16 = 1 << 1 | 1 << 2 | 1 << 10;

/// The registers and which of their bits a write changes.
pub struct ConfigSpace {
    bytes: [u8; CONFIG_BYTES],
    writable: [u8; CONFIG_BYTES],
}

impl ConfigSpace {
    /// As after power-on.
    pub fn new() -> Self {
        let mut space = Self {
            bytes: [0; CONFIG_BYTES],
            writable: [0; CONFIG_BYTES],
        };
        space.bytes[0x00..0x02].copy_from_slice(&VENDOR_ID.to_le_bytes());
        space.bytes[0x02..0x04].copy_from_slice(&DEVICE_ID.to_le_bytes());
        space.bytes[0x08] = REVISION;
        space.bytes[0x09..0x0c].copy_from_slice(&CLASS.to_le_bytes()[..3]);
        space.bytes[0x2c..0x2e].copy_from_slice(&VENDOR_ID.to_le_bytes());
        space.bytes[0x2e..0x30].copy_from_slice(&DEVICE_ID.to_le_bytes());
        space.writable[COMMAND..COMMAND + 2].copy_from_slice(&COMMAND_WRITABLE.to_le_bytes());
        // Software sizes a BAR by writing ones: the bits below its size stay zero.
        let size_mask = !(BAR0_BYTES as u32 - 1);
        space.writable[BAR0..BAR0 + 4].copy_from_slice(&size_mask.to_le_bytes());
        space.writable[0x3c] = 0xff; // interrupt line, a note of the firmware to itself
        space
    }

    /// Reads inside the space.
    pub fn read(&self, start: usize, data: &mut [u8]) {
        data.copy_from_slice(&self.bytes[start..start + data.len()]);
    }

    /// Writes inside the space; read-only bits stay.
    pub fn write(&mut self, start: usize, data: &[u8]) {
        for (i, value) in data.iter().enumerate() {
            let mask = self.writable[start + i];
            let byte = &mut self.bytes[start + i];
            *byte = *byte & !mask | value & mask;
        }
    }
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}
