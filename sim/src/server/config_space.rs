//! PCI configuration space of the simulated card: a type 0 header, two capabilities, write masks.
//!
//! PCI Express Base Specification 4.0 §7.5 and §7.7.2. One BAR, 32-bit memory, not prefetchable. The
//! PCI Express capability offers a function-level reset, the MSI-X capability points into BAR0.

use layout::csr::{BAR0_BYTES, MSIX_PENDING, MSIX_TABLE, MSIX_VECTORS};

use crate::bus::Function;

/// Bytes of configuration space.
pub const CONFIG_BYTES: usize = 4096;
/// Vendor: not one the PCI-SIG gave out; the number QEMU's teaching devices use.
pub const VENDOR_ID: u16 = 0x1234;
/// Device: "PN".
pub const DEVICE_ID: u16 = 0x504e;
/// Class code: network controller, Ethernet.
pub const CLASS: u32 = 0x02_0000;
const REVISION: u8 = 1;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR0: usize = 0x10;
const CAPABILITIES: usize = 0x34;
/// Where the PCI Express capability is.
const EXPRESS: usize = 0x40;
/// Where the MSI-X capability is.
const MSIX: usize = 0x80;

/// Memory space, bus master, interrupt disable.
const COMMAND_WRITABLE: u16 = 1 << 1 | COMMAND_BUS_MASTER | 1 << 10;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const STATUS_CAPABILITIES: u16 = 1 << 4;

const DEVICE_CONTROL: usize = EXPRESS + 0x08;
/// Version 2, endpoint.
const EXPRESS_FLAGS: u16 = 0x0002;
/// Max_Payload_Size 512, role-based error reporting, function-level reset.
const DEVICE_CAPABILITIES: u32 = 2 | 1 << 15 | 1 << 28;
/// Relaxed ordering, no snoop, Max_Read_Request_Size 512: the defaults of the specification.
const DEVICE_CONTROL_RESET: u16 = 1 << 4 | 1 << 11 | 2 << 12;
/// All but extended tags, phantom functions, auxiliary power and the reset, which is never read back.
const DEVICE_CONTROL_WRITABLE: u16 = 0x78ff;
/// Writing it resets the function.
const DEVICE_CONTROL_RESET_FUNCTION: u16 = 1 << 15;
/// One lane at 2.5 GT/s.
const LINK: u16 = 0x0011;
/// Read completion boundary and common clock.
const LINK_CONTROL_WRITABLE: u16 = 1 << 3 | 1 << 6;

/// Enable and function mask.
const MSIX_CONTROL_WRITABLE: u16 = 3 << 14;

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
        space.put(0x00, &VENDOR_ID.to_le_bytes());
        space.put(0x02, &DEVICE_ID.to_le_bytes());
        space.put(STATUS, &STATUS_CAPABILITIES.to_le_bytes());
        space.put(0x08, &[REVISION]);
        space.put(0x09, &CLASS.to_le_bytes()[..3]);
        space.put(0x2c, &VENDOR_ID.to_le_bytes());
        space.put(0x2e, &DEVICE_ID.to_le_bytes());
        space.put(CAPABILITIES, &[EXPRESS as u8]);
        space.permit(COMMAND, &COMMAND_WRITABLE.to_le_bytes());
        // Software sizes a BAR by writing ones: the bits below its size stay zero.
        space.permit(BAR0, &(!(BAR0_BYTES as u32 - 1)).to_le_bytes());
        space.permit(0x3c, &[0xff]); // interrupt line, a note of the firmware to itself
        space.put_express();
        space.put_msix();
        space
    }

    fn put_express(&mut self) {
        self.put(EXPRESS, &[0x10, MSIX as u8]);
        self.put(EXPRESS + 0x02, &EXPRESS_FLAGS.to_le_bytes());
        self.put(EXPRESS + 0x04, &DEVICE_CAPABILITIES.to_le_bytes());
        self.put(DEVICE_CONTROL, &DEVICE_CONTROL_RESET.to_le_bytes());
        self.permit(DEVICE_CONTROL, &DEVICE_CONTROL_WRITABLE.to_le_bytes());
        self.put(EXPRESS + 0x0c, &LINK.to_le_bytes());
        self.permit(EXPRESS + 0x10, &LINK_CONTROL_WRITABLE.to_le_bytes());
        self.put(EXPRESS + 0x12, &LINK.to_le_bytes());
    }

    fn put_msix(&mut self) {
        self.put(MSIX, &[0x11, 0]);
        self.put(MSIX + 2, &(MSIX_VECTORS as u16 - 1).to_le_bytes());
        self.permit(MSIX + 2, &MSIX_CONTROL_WRITABLE.to_le_bytes());
        // Both in BAR0: the low three bits are its number.
        self.put(MSIX + 4, &MSIX_TABLE.to_le_bytes());
        self.put(MSIX + 8, &MSIX_PENDING.to_le_bytes());
    }

    fn put(&mut self, start: usize, value: &[u8]) {
        self.bytes[start..start + value.len()].copy_from_slice(value);
    }

    fn permit(&mut self, start: usize, mask: &[u8]) {
        self.writable[start..start + mask.len()].copy_from_slice(mask);
    }

    /// Reads inside the space.
    pub fn read(&self, start: usize, data: &mut [u8]) {
        data.copy_from_slice(&self.bytes[start..start + data.len()]);
    }

    /// Writes inside the space; read-only bits stay. True if the write asks for a function-level reset.
    #[must_use]
    pub fn write(&mut self, start: usize, data: &[u8]) -> bool {
        let mut is_reset = false;
        for (i, value) in data.iter().enumerate() {
            let mask = self.writable[start + i];
            let byte = &mut self.bytes[start + i];
            *byte = *byte & !mask | value & mask;
            let reset = (DEVICE_CONTROL_RESET_FUNCTION >> 8) as u8;
            is_reset |= start + i == DEVICE_CONTROL + 1 && value & reset != 0;
        }
        is_reset
    }

    /// What the function is told of bus mastering and sizes. MSI-X is on when a client has event
    /// descriptors for it and not by its capability: VFIO keeps that to itself, as the kernel does.
    pub fn function(&self) -> Function {
        let control = self.word(DEVICE_CONTROL);
        Function {
            bus_master: self.word(COMMAND) & COMMAND_BUS_MASTER != 0,
            max_payload: size(control >> 5),
            max_read_request: size(control >> 12),
            ..Function::default()
        }
    }

    fn word(&self, start: usize) -> u16 {
        u16::from_le_bytes([self.bytes[start], self.bytes[start + 1]])
    }
}

/// Bytes of a size code in its three low bits; the two reserved codes mean the least.
fn size(code: u16) -> u16 {
    match code & 7 {
        code @ 0..=5 => 128 << code,
        _ => 128,
    }
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}
