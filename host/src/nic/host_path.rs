//! Punted frames out, injected frames in, through the programmed-IO windows.

use layout::csr::{self, INJECT_READY, INJECT_REFUSED, PUNT_HEADER_BYTES};
use layout::desc::{InjectDescriptor, Metadata};
use layout::table::HOST_FRAME_BYTES;

use super::{Error, Nic};

/// A frame that the card handed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Punt {
    /// What the card knows of it.
    pub metadata: Metadata,
    /// The frame as it came in, without FCS.
    pub frame: Vec<u8>,
}

impl Nic {
    /// Takes the oldest punted frame, if there is one.
    pub fn take_punt(&mut self) -> Result<Option<Punt>, Error> {
        if self.bar.read(csr::PUNT_STATUS)? == 0 {
            return Ok(None);
        }
        // Most punted frames are first packets and short: one access gets them whole.
        let mut window = vec![0; FIRST_READ_BYTES];
        self.bar.read_bytes(csr::PUNT_WINDOW, &mut window)?;
        let words: Vec<u32> = window[..PUNT_HEADER_BYTES]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        let metadata = Metadata::unpack(&words);
        let bytes = usize::from(metadata.length);
        if bytes > HOST_FRAME_BYTES {
            return Err(Error::PuntLength { bytes });
        }
        let end = PUNT_HEADER_BYTES + bytes;
        if end > window.len() {
            window.resize(end.next_multiple_of(4), 0);
            self.bar.read_bytes(
                csr::PUNT_WINDOW + FIRST_READ_BYTES as u32,
                &mut window[FIRST_READ_BYTES..],
            )?;
        }
        self.bar.write(csr::PUNT_POP, 1)?;
        Ok(Some(Punt {
            metadata,
            frame: window[PUNT_HEADER_BYTES..end].to_vec(),
        }))
    }

    /// Sends a frame out of `port` as it is, or with `lookup` runs it through the lookups as if `port`
    /// had received it.
    pub fn inject(&mut self, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error> {
        let bytes = frame.len();
        if !(FRAME_BYTES_MIN..=HOST_FRAME_BYTES).contains(&bytes) {
            return Err(Error::FrameLength { bytes });
        }
        self.await_inject_window()?;
        let words: Vec<u32> = frame.chunks(4).map(word).collect();
        let descriptor = InjectDescriptor {
            length: bytes as u16,
            port,
            lookup,
        };
        let writes: [(u32, &[u32]); 2] = [
            (csr::INJECT_WINDOW, &words),
            (csr::INJECT_SUBMIT, &descriptor.pack()),
        ];
        match self.bar.write_then_read(&writes, csr::INJECT_STATUS)? & INJECT_REFUSED {
            0 => Ok(()),
            _ => Err(Error::InjectRefused { bytes, port }),
        }
    }

    fn await_inject_window(&mut self) -> Result<(), Error> {
        for _ in 0..STATUS_READS {
            if self.bar.read(csr::INJECT_STATUS)? & INJECT_READY != 0 {
                return Ok(());
            }
        }
        Err(Error::InjectBusy)
    }
}

/// Up to four bytes as a register, the first in the low bits.
fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Metadata and the frames of ordinary first packets.
const FIRST_READ_BYTES: usize = 256;
/// An Ethernet header.
const FRAME_BYTES_MIN: usize = 14;
/// A frame leaves in some hundreds of clocks unless its port is stalled; this bounds the wait.
const STATUS_READS: usize = 10_000;
