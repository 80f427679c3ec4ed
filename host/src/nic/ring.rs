//! Punt rings and inject ring in memory shared with the card: `hdl/CONTRACT.md`, section "Rings".
//!
//! The doorbell rule, for both directions: write the data and its descriptor, fence, write the doorbell; read the
//! status, fence, read the data it tells of. What the card writes is believed only after it was checked: an index or a
//! length that cannot be is an error.

use std::sync::atomic::{Ordering, fence};

use layout::csr;
use layout::desc::{DmaStatus, InjectDescriptor, InjectRequest, Metadata};
use layout::table::{HOST_FRAME_BYTES, PUNT_QUEUES, PUNT_SLOT_BYTES};

use super::Error;
use super::bar::Bar;
use crate::vfio::{self, DmaMemory, Mapping};

/// All rings of a card, in one piece of memory.
pub(super) struct Rings {
    memory: DmaMemory,
    punt: [PuntRing; PUNT_QUEUES],
    inject: InjectRing,
}

#[derive(Clone, Copy, Default)]
struct PuntRing {
    /// Frames that we have taken.
    head: u16,
    /// The card's tail as seen last: it never goes back.
    tail: u16,
}

#[derive(Clone, Copy, Default)]
struct InjectRing {
    /// Descriptors that the card is done with, as seen last.
    head: u16,
    /// Descriptors that we have written.
    tail: u16,
    /// Those that the card has been told of.
    rung: u16,
}

impl Rings {
    /// Lays empty rings out in zeroed memory of at least [`MEMORY_BYTES`].
    pub(super) fn new(memory: DmaMemory) -> Self {
        Self {
            memory,
            punt: Default::default(),
            inject: InjectRing::default(),
        }
    }

    /// Tells the card where the rings are. It does not use them before `DMA_CONTROL` says so.
    pub(super) fn program(&self, bar: &mut Bar) -> Result<(), vfio::Error> {
        let address = |offset: usize| {
            let iova = self.memory.iova() + offset as u64;
            [iova as u32, (iova >> 32) as u32]
        };
        bar.write_all(csr::DMA_BLOCK_LOW, &address(STATUS_AT))?;
        for queue in 0..PUNT_QUEUES {
            let [low, high] = address(punt_slot(queue, 0));
            let register = |base: u32| base + 4 * queue as u32;
            bar.write(register(csr::PUNT_RING_LOW), low)?;
            bar.write(register(csr::PUNT_RING_HIGH), high)?;
            bar.write(register(csr::PUNT_RING_SIZE), PUNT_SLOTS.ilog2())?;
        }
        bar.write_all(csr::INJECT_RING_LOW, &address(REQUESTS_AT))?;
        bar.write(csr::INJECT_RING_SIZE, INJECT_SLOTS.ilog2())
    }

    /// Lends at most `most` punted frames to `take`, then gives their slots back, with one doorbell a ring.
    pub(super) fn take(
        &mut self,
        bar: &mut Bar,
        most: usize,
        mut take: impl FnMut(&Metadata, &[u8]),
    ) -> Result<usize, Error> {
        let status = self.status();
        let tails = [
            status.punt_tail_0,
            status.punt_tail_1,
            status.punt_tail_2,
            status.punt_tail_3,
        ];
        let mut left = most;
        for (queue, tail) in tails.into_iter().enumerate() {
            let waiting = self.punt[queue].advance(queue, tail)?;
            let count = waiting.min(left);
            if count == 0 {
                continue;
            }
            for _ in 0..count {
                let slot = punt_slot(queue, self.punt[queue].head);
                let (metadata, frame) = read_slot(self.memory.mapping(), slot)?;
                take(&metadata, frame);
                self.punt[queue].head = self.punt[queue].head.wrapping_add(1);
            }
            left -= count;
            // The card may overwrite the slots once it sees this; nothing may read them later.
            fence(Ordering::SeqCst);
            bar.write(
                csr::PUNT_HEAD + 4 * queue as u32,
                self.punt[queue].head.into(),
            )?;
        }
        Ok(most - left)
    }

    /// Whether a punted frame waits.
    pub(super) fn has_punts(&self) -> bool {
        let status = self.status();
        let tails = [
            status.punt_tail_0,
            status.punt_tail_1,
            status.punt_tail_2,
            status.punt_tail_3,
        ];
        tails
            .iter()
            .zip(&self.punt)
            .any(|(tail, ring)| *tail != ring.head)
    }

    /// Puts a frame into the inject ring; the card sees it after [`Rings::ring_doorbell`].
    pub(super) fn inject(
        &mut self,
        bar: &mut Bar,
        descriptor: InjectDescriptor,
        frame: &[u8],
    ) -> Result<(), Error> {
        if self.inject.is_full() {
            self.await_slot(bar)?;
        }
        let InjectDescriptor {
            length,
            port,
            lookup,
        } = descriptor;
        let slot = usize::from(self.inject.tail) % INJECT_SLOTS;
        let frame_at = FRAMES_AT + slot * FRAME_SLOT_BYTES;
        let request = InjectRequest {
            length,
            port,
            lookup,
            address: self.memory.iova() + frame_at as u64,
            ..InjectRequest::default()
        };
        let mapping = self.memory.mapping();
        mapping.write(frame_at, frame);
        for (index, word) in request.pack().into_iter().enumerate() {
            mapping.store(REQUESTS_AT + slot * REQUEST_BYTES + 4 * index, word);
        }
        self.inject.tail = self.inject.tail.wrapping_add(1);
        Ok(())
    }

    /// Tells the card of all frames put into the inject ring.
    pub(super) fn ring_doorbell(&mut self, bar: &mut Bar) -> Result<(), Error> {
        if self.inject.rung != self.inject.tail {
            fence(Ordering::SeqCst);
            bar.write(csr::INJECT_TAIL, self.inject.tail.into())?;
            self.inject.rung = self.inject.tail;
        }
        Ok(())
    }

    /// Frames and reads of host memory that failed since the rings were started, modulo 2^16.
    pub(super) fn errors(&self) -> u16 {
        self.status().errors
    }

    /// Waits until the card is done with the oldest descriptor.
    fn await_slot(&mut self, bar: &mut Bar) -> Result<(), Error> {
        self.inject.advance(self.status().inject_head)?;
        if !self.inject.is_full() {
            return Ok(());
        }
        self.ring_doorbell(bar)?;
        for _ in 0..HEAD_READS {
            let head = bar.read(csr::INJECT_HEAD)? as u16;
            self.inject.advance(head)?;
            if !self.inject.is_full() {
                return Ok(());
            }
        }
        Err(Error::InjectBusy)
    }

    /// What the card wrote last. Data it tells of may be read after this.
    fn status(&self) -> DmaStatus {
        let mapping = self.memory.mapping();
        let words: [u32; DmaStatus::WORDS] =
            std::array::from_fn(|index| mapping.load(STATUS_AT + 4 * index));
        fence(Ordering::Acquire);
        DmaStatus::unpack(&words)
    }
}

impl PuntRing {
    /// Notes the card's tail and returns how many frames wait.
    fn advance(&mut self, queue: usize, tail: u16) -> Result<usize, Error> {
        let (before, waiting) = (
            self.tail.wrapping_sub(self.head),
            tail.wrapping_sub(self.head),
        );
        if usize::from(waiting) > PUNT_SLOTS || waiting < before {
            return Err(Error::RingIndex {
                ring: PUNT_NAMES[queue],
                shown: tail,
                low: self.tail,
                high: self.head.wrapping_add(PUNT_SLOTS as u16),
            });
        }
        self.tail = tail;
        Ok(waiting.into())
    }
}

impl InjectRing {
    fn is_full(&self) -> bool {
        usize::from(self.tail.wrapping_sub(self.head)) == INJECT_SLOTS
    }

    /// Notes the card's head.
    fn advance(&mut self, head: u16) -> Result<(), Error> {
        if self.rung.wrapping_sub(head) > self.rung.wrapping_sub(self.head) {
            return Err(Error::RingIndex {
                ring: "inject",
                shown: head,
                low: self.head,
                high: self.rung,
            });
        }
        self.head = head;
        Ok(())
    }
}

/// Metadata and frame of a slot that the card has handed over.
fn read_slot(mapping: &Mapping, slot: usize) -> Result<(Metadata, &[u8]), Error> {
    let words: [u32; Metadata::WORDS] = std::array::from_fn(|index| mapping.load(slot + 4 * index));
    let metadata = Metadata::unpack(&words);
    let bytes = usize::from(metadata.length);
    if bytes > HOST_FRAME_BYTES {
        return Err(Error::PuntLength { bytes });
    }
    // SAFETY: the card does not write a slot between its tail and our head (CONTRACT, "The ring is never overwritten"),
    // and we move the head only after the frame was given back. A card that breaks this changes bytes of a frame whose
    // reader holds every content for possible; its length is ours.
    let frame = unsafe { mapping.lend(slot + csr::PUNT_HEADER_BYTES, bytes) };
    Ok((metadata, frame))
}

fn punt_slot(queue: usize, index: u16) -> usize {
    PUNT_AT + (queue * PUNT_SLOTS + usize::from(index) % PUNT_SLOTS) * PUNT_SLOT_BYTES
}

/// Slots of each punt ring: a burst at line rate while the host wakes up.
const PUNT_SLOTS: usize = 256;
/// Slots of the inject ring.
const INJECT_SLOTS: usize = 256;
/// Room for one frame to inject.
const FRAME_SLOT_BYTES: usize = 2048;
/// A packed `InjectRequest`.
const REQUEST_BYTES: usize = InjectRequest::WORDS * 4;
const PUNT_NAMES: [&str; PUNT_QUEUES] = ["punt 0", "punt 1", "punt 2", "punt 3"];

// Where things are. Rings begin at multiples of 4096.
const STATUS_AT: usize = 0;
const REQUESTS_AT: usize = 4096;
const PUNT_AT: usize = REQUESTS_AT + INJECT_SLOTS * REQUEST_BYTES;
const FRAMES_AT: usize = PUNT_AT + PUNT_QUEUES * PUNT_SLOTS * PUNT_SLOT_BYTES;
/// Bytes of memory that the rings need.
pub(super) const MEMORY_BYTES: usize = FRAMES_AT + INJECT_SLOTS * FRAME_SLOT_BYTES;

/// A frame leaves in some hundreds of clocks unless its port is stalled; this bounds the wait.
const HEAD_READS: usize = 1_000;

const _: () = assert!(PUNT_AT.is_multiple_of(4096) && FRAME_SLOT_BYTES >= HOST_FRAME_BYTES);
