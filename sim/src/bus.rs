//! What a card's PCI function sees of its host: memory, interrupts, configuration.
//!
//! The card is the one that acts here: it reads and writes host memory by IOVA and raises MSI-X
//! vectors. Who answers is a client of the server, or a test.

/// No memory is mapped, for this kind of access, at some byte of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no host memory is mapped there")]
pub struct Unmapped;

/// Memory and interrupts of the host, as the card's function sees them.
pub trait Host: Send {
    /// Reads host memory.
    ///
    /// # Errors
    /// If part of the range is not mapped for reading: an unsupported request.
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped>;
    /// Writes host memory.
    ///
    /// # Errors
    /// If part of the range is not mapped for writing.
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped>;
    /// MSI-X vector n.
    fn interrupt(&mut self, vector: usize);
}

/// Where the messages of MSI-X go; the data is the vector.
pub const MESSAGE_ADDRESS: u64 = 0xfee0_0000;

/// A posted write by the function: memory, or the message of an interrupt. Nobody tells the card that
/// it went nowhere.
pub fn post(host: &mut dyn Host, address: u64, data: &[u8]) {
    match <[u8; 4]>::try_from(data) {
        Ok(message) if address == MESSAGE_ADDRESS => {
            host.interrupt(u32::from_le_bytes(message) as usize);
        }
        _ => {
            let _ = host.write(address, data);
        }
    }
}

/// What configuration space says to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Requests to host memory may be made.
    pub bus_master: bool,
    /// Max_Payload_Size in bytes.
    pub max_payload: u16,
    /// Max_Read_Request_Size in bytes.
    pub max_read_request: u16,
    /// MSI-X is on.
    pub msix_enable: bool,
    /// All vectors are masked.
    pub msix_mask: bool,
}

impl Default for Function {
    /// As after a reset of configuration space.
    fn default() -> Self {
        Self {
            bus_master: false,
            max_payload: 128,
            max_read_request: 512,
            msix_enable: false,
            msix_mask: false,
        }
    }
}
