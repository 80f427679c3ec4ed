//! Punted frames out, injected frames in: through the rings once they are started, else through the windows of BAR0.

use layout::csr::{
    self, CAPABILITY_DMA, DMA_INJECT, DMA_INJECT_BUSY, DMA_PUNT, DMA_PUNT_BUSY, INJECT_READY,
    INJECT_REFUSED, MSIX_VECTORS, PUNT_HEADER_BYTES,
};
use layout::desc::{InjectDescriptor, Metadata};
use layout::table::{HOST_FRAME_BYTES, PORTS};

use super::ring::{MEMORY_BYTES, Rings};
use super::{Error, Nic};
use crate::vfio::EventFd;

/// How the host learns that a ring has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The card raises events.
    Events,
    /// The host looks.
    Polling,
}

/// A frame that the card handed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Punt {
    /// What the card knows of it.
    pub metadata: Metadata,
    /// The frame as it came in, without FCS.
    pub frame: Vec<u8>,
}

impl Nic {
    /// Moves the host path to rings in shared memory. `false` if the card has none: the windows stay in use.
    pub fn start_rings(&mut self, wake: Wake) -> Result<bool, Error> {
        if self.ident.capabilities & CAPABILITY_DMA == 0 {
            return Ok(false);
        }
        self.bar.write(csr::DMA_CONTROL, 0)?;
        let rings = Rings::new(self.bar.device().map(MEMORY_BYTES)?);
        rings.program(&mut self.bar)?;
        if wake == Wake::Events {
            self.events = self.bar.device().enable_interrupts(MSIX_VECTORS)?;
            self.bar.write(csr::INTERRUPT_GAP, INTERRUPT_GAP_CLOCKS)?;
        }
        self.bar.device().set_bus_master(true)?;
        self.bar.write(csr::DMA_CONTROL, DMA_PUNT | DMA_INJECT)?;
        self.rings = Some(rings);
        Ok(true)
    }

    /// Moves the host path back to the windows. The card goes on forwarding what it knows.
    pub fn stop_rings(&mut self) -> Result<(), Error> {
        if self.rings.is_none() {
            return Ok(());
        }
        self.bar.write(csr::DMA_CONTROL, 0)?;
        let is_busy = DMA_PUNT_BUSY | DMA_INJECT_BUSY;
        let mut reads = 0..STATUS_READS;
        while self.bar.read(csr::DMA_STATUS)? & is_busy != 0 {
            reads.next().ok_or(Error::RingsBusy)?;
        }
        self.bar.device().set_bus_master(false)?;
        self.events.clear();
        self.rings = None;
        Ok(())
    }

    /// Whether frames go through rings.
    pub fn has_rings(&self) -> bool {
        self.rings.is_some()
    }

    /// Events of the card, one a vector; none while it is polled.
    pub fn events(&self) -> &[EventFd] {
        &self.events
    }

    /// Takes notice of all events raised so far. Rings are to be looked at after this, not before.
    pub fn take_events(&self) {
        for event in &self.events {
            // Fails when it was not raised.
            let _ = event.read();
        }
    }

    /// Lends at most `most` punted frames, oldest of each ring first, and returns how many there were.
    pub fn take_punts(
        &mut self,
        most: usize,
        mut take: impl FnMut(&Metadata, &[u8]),
    ) -> Result<usize, Error> {
        if let Some(rings) = &mut self.rings {
            return rings.take(&mut self.bar, most, take);
        }
        for count in 0..most {
            let Some(punt) = self.take_punt()? else {
                return Ok(count);
            };
            take(&punt.metadata, &punt.frame);
        }
        Ok(most)
    }

    /// Whether a punted frame waits.
    pub fn has_punts(&mut self) -> Result<bool, Error> {
        match &self.rings {
            Some(rings) => Ok(rings.has_punts()),
            None => Ok(self.bar.read(csr::PUNT_STATUS)? != 0),
        }
    }

    /// Frames that the rings lost since they were started, modulo 2^16.
    pub fn ring_errors(&self) -> u16 {
        self.rings.as_ref().map_or(0, Rings::errors)
    }

    /// As [`Nic::inject`], but the card may see the frame only at the next [`Nic::flush`].
    pub fn queue(&mut self, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error> {
        let Some(rings) = &mut self.rings else {
            return self.inject(port, lookup, frame);
        };
        let descriptor = descriptor(port, lookup, frame)?;
        rings.inject(&mut self.bar, descriptor, frame)
    }

    /// Shows the card all frames queued.
    pub fn flush(&mut self) -> Result<(), Error> {
        match &mut self.rings {
            Some(rings) => rings.ring_doorbell(&mut self.bar),
            None => Ok(()),
        }
    }

    /// Takes the oldest frame of the punt window, if there is one.
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
    /// had received it. Through the inject window, whose answer says whether the card took it.
    pub fn inject(&mut self, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error> {
        let descriptor = descriptor(port, lookup, frame)?;
        let bytes = frame.len();
        self.await_inject_window()?;
        let words: Vec<u32> = frame.chunks(4).map(word).collect();
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

/// What the card is told of a frame that it can take.
fn descriptor(port: u8, lookup: bool, frame: &[u8]) -> Result<InjectDescriptor, Error> {
    let bytes = frame.len();
    if !(FRAME_BYTES_MIN..=HOST_FRAME_BYTES).contains(&bytes) {
        return Err(Error::FrameLength { bytes });
    }
    if usize::from(port) >= PORTS {
        return Err(Error::InjectRefused { bytes, port });
    }
    Ok(InjectDescriptor {
        length: bytes as u16,
        port,
        lookup,
    })
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
/// Some microseconds between interrupts of a ring: a burst costs the host one wake-up.
const INTERRUPT_GAP_CLOCKS: u32 = 1_000;
