//! The DMA rings of the model: punted frames to host memory, frames to inject from it.
//!
//! Every access to host memory is done when its turn comes and takes no clock. A batch of the
//! contract is therefore what is ready at once: mostly one frame.

use layout::csr::{self, DMA_INJECT, DMA_PUNT, VECTOR_ERROR, VECTOR_INJECT};
use layout::desc::{DmaStatus, InjectDescriptor, InjectRequest};
use layout::table::{HOST_FRAME_BYTES, PORTS, PUNT_QUEUES, PUNT_SLOT_BYTES};

use super::Model;
use super::bar::word_in;
use super::interrupts::Interrupts;
use crate::bus::{self, Function, Unmapped};

/// Bytes of a descriptor of the inject ring.
const REQUEST_BYTES: usize = InjectRequest::WORDS * 4;
/// Descriptors read in one request: what the smallest Max_Read_Request_Size allows.
const REQUESTS_AT_ONCE: u16 = 8;
/// Frames after which the indices are written though more are ready.
const BATCH_FRAMES: usize = 8;

/// Registers of the DMA engines, and what they remember.
#[derive(Default)]
pub struct Dma {
    /// MSI-X.
    pub interrupts: Interrupts,
    control: u32,
    block: [u32; 2],
    punt: [Ring; PUNT_QUEUES],
    inject: Ring,
    timeout: u32,
    errors: u16,
    sequence: u32,
}

/// A ring in host memory.
#[derive(Clone, Copy, Default)]
struct Ring {
    base: [u32; 2],
    /// Slots, log2; 0 when there is none.
    size: u32,
    head: u16,
    tail: u16,
}

/// A register of a ring, for the arrays that have one a ring.
type Field = fn(&Ring) -> u32;
/// What a write to such a register does.
type SetField = fn(&mut Ring, u32);

/// Which rings have moved since the indices were last written.
#[derive(Default)]
struct Batch {
    frames: usize,
    vectors: [bool; csr::MSIX_VECTORS],
}

impl Ring {
    fn is_absent(&self) -> bool {
        self.size == 0
    }

    fn slots(&self) -> u32 {
        1 << self.size
    }

    fn used(&self) -> u16 {
        self.tail.wrapping_sub(self.head)
    }

    fn address(&self, index: u16, slot_bytes: usize) -> u64 {
        let slot = u64::from(u32::from(index) % self.slots());
        page_address(self.base).wrapping_add(slot * slot_bytes as u64)
    }

    /// A new size begins an empty ring.
    fn resize(&mut self, value: u32) {
        *self = Self {
            base: self.base,
            size: value & 0xf,
            ..Self::default()
        };
    }
}

/// Rings begin at a page.
fn page_address([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low & !0xfff)
}

impl Dma {
    /// A register of the DMA engines or of MSI-X; `None` if there is none at the offset.
    pub fn read(&self, offset: u32, function: &Function) -> Option<u32> {
        Some(match offset {
            csr::DMA_CONTROL => self.control,
            // Nothing is ever on its way when the driver looks.
            csr::DMA_STATUS if function.bus_master => csr::DMA_BUS_MASTER,
            csr::DMA_STATUS => 0,
            csr::DMA_BLOCK_LOW => self.block[0],
            csr::DMA_BLOCK_HIGH => self.block[1],
            csr::INJECT_RING_LOW => self.inject.base[0],
            csr::INJECT_RING_HIGH => self.inject.base[1],
            csr::INJECT_RING_SIZE => self.inject.size,
            csr::INJECT_TAIL => self.inject.tail.into(),
            csr::INJECT_HEAD => self.inject.head.into(),
            csr::INTERRUPT_GAP => self.interrupts.gap,
            csr::COMPLETION_TIMEOUT => self.timeout,
            _ => return self.read_array(offset, function),
        })
    }

    fn read_array(&self, offset: u32, function: &Function) -> Option<u32> {
        let arrays: [(u32, Field); 5] = [
            (csr::PUNT_RING_LOW, |ring| ring.base[0]),
            (csr::PUNT_RING_HIGH, |ring| ring.base[1]),
            (csr::PUNT_RING_SIZE, |ring| ring.size),
            (csr::PUNT_HEAD, |ring| ring.head.into()),
            (csr::PUNT_TAIL, |ring| ring.tail.into()),
        ];
        arrays
            .iter()
            .find_map(|(array, field)| word_in(*array, offset).map(|n| field(&self.punt[n])))
            .or_else(|| self.interrupts.read(offset, function))
    }

    /// Writes a register of the DMA engines or of MSI-X; true if there is one at the offset.
    pub fn write(&mut self, offset: u32, value: u32) -> bool {
        match offset {
            csr::DMA_CONTROL => self.control = value & (DMA_PUNT | DMA_INJECT),
            csr::DMA_BLOCK_LOW => self.block[0] = value,
            csr::DMA_BLOCK_HIGH => self.block[1] = value,
            csr::INJECT_RING_LOW => self.inject.base[0] = value,
            csr::INJECT_RING_HIGH => self.inject.base[1] = value,
            csr::INJECT_RING_SIZE => self.inject.resize(value),
            csr::INJECT_TAIL => self.inject.tail = value as u16,
            csr::INTERRUPT_GAP => self.interrupts.gap = value,
            csr::COMPLETION_TIMEOUT => self.timeout = value,
            _ => return self.write_array(offset, value),
        }
        true
    }

    fn write_array(&mut self, offset: u32, value: u32) -> bool {
        let arrays: [(u32, SetField); 4] = [
            (csr::PUNT_RING_LOW, |ring, value| ring.base[0] = value),
            (csr::PUNT_RING_HIGH, |ring, value| ring.base[1] = value),
            (csr::PUNT_RING_SIZE, Ring::resize),
            (csr::PUNT_HEAD, |ring, value| ring.head = value as u16),
        ];
        for (array, set) in arrays {
            if let Some(n) = word_in(array, offset) {
                set(&mut self.punt[n], value);
                return true;
            }
        }
        self.interrupts.write(offset, value)
    }

    /// What the status block says after this many writes of it.
    fn status(&self) -> DmaStatus {
        DmaStatus {
            punt_tail_0: self.punt[0].tail,
            punt_tail_1: self.punt[1].tail,
            punt_tail_2: self.punt[2].tail,
            punt_tail_3: self.punt[3].tail,
            inject_head: self.inject.head,
            errors: self.errors,
            sequence: self.sequence,
            ..DmaStatus::default()
        }
    }

    fn status_address(&self) -> u64 {
        u64::from(self.block[1]) << 32 | u64::from(self.block[0] & !63)
    }
}

impl Model {
    /// Does all that the rings have to do, then sends what interrupts it may.
    pub(super) fn serve_rings(&mut self) {
        loop {
            let mut batch = Batch::default();
            self.drain_punts(&mut batch);
            if batch.frames == 0 {
                self.take_injects(&mut batch);
            }
            if batch.frames == 0 {
                break;
            }
            self.finish_batch(&batch);
        }
        self.send_interrupts();
    }

    /// Sends the vectors that may be sent at this clock.
    pub(super) fn send_interrupts(&mut self) {
        while let Some((address, data)) =
            self.dma.interrupts.next_message(self.cycle, &self.function)
        {
            self.write_host(address, &data.to_le_bytes());
        }
    }

    /// Moves punted frames to their rings, at most a batch of them.
    fn drain_punts(&mut self, batch: &mut Batch) {
        if self.dma.control & DMA_PUNT == 0 {
            return;
        }
        while batch.frames < BATCH_FRAMES {
            let Some((metadata, frame)) = self.punt.take() else {
                return;
            };
            let queue = usize::from(metadata.queue);
            let ring = self.dma.punt[queue];
            if !self.function.bus_master {
                self.count_error(csr::PUNT_DMA_OFF);
                continue;
            }
            if ring.is_absent() || u32::from(ring.used()) >= ring.slots() {
                self.count_error(csr::PUNT_RING_FULL);
                continue;
            }
            let mut slot: Vec<u8> = metadata.pack().map(u32::to_le_bytes).concat();
            slot.resize(csr::PUNT_HEADER_BYTES, 0);
            slot.extend_from_slice(&frame);
            slot.resize(slot.len().next_multiple_of(4), 0);
            self.write_host(ring.address(ring.tail, PUNT_SLOT_BYTES), &slot);
            self.dma.punt[queue].tail = ring.tail.wrapping_add(1);
            batch.frames += 1;
            batch.vectors[queue] = true;
        }
    }

    /// Reads some descriptors of the inject ring and sends their frames.
    fn take_injects(&mut self, batch: &mut Batch) {
        let ring = self.dma.inject;
        let is_served = self.dma.control & DMA_INJECT != 0 && self.function.bus_master;
        if !is_served || ring.is_absent() {
            return;
        }
        let to_end = ring.slots() - u32::from(ring.head) % ring.slots();
        let count = ring.used().min(REQUESTS_AT_ONCE).min(to_end as u16);
        let mut requests = [0; REQUESTS_AT_ONCE as usize * REQUEST_BYTES];
        let requests = &mut requests[..usize::from(count) * REQUEST_BYTES];
        let is_read = self.read_host(ring.address(ring.head, REQUEST_BYTES), requests);
        for request in requests.chunks_exact(REQUEST_BYTES) {
            match is_read {
                Ok(()) => self.take_inject(request),
                Err(Unmapped) => self.count_error(csr::INJECT_READ_ERROR),
            }
            self.dma.inject.head = self.dma.inject.head.wrapping_add(1);
            batch.frames += 1;
            batch.vectors[VECTOR_INJECT] = true;
            self.drain_injected(batch);
        }
    }

    /// What an injected frame has punted goes to its ring before the next one is sent.
    fn drain_injected(&mut self, batch: &mut Batch) {
        let mut punted = Batch::default();
        self.drain_punts(&mut punted);
        for (moved, is_moved) in batch.vectors.iter_mut().zip(punted.vectors) {
            *moved |= is_moved;
        }
    }

    /// Sends the frame of one descriptor.
    fn take_inject(&mut self, request: &[u8]) {
        let words: Vec<u32> = request
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let request = InjectRequest::unpack(&words);
        let length = usize::from(request.length);
        if !(14..=HOST_FRAME_BYTES).contains(&length) || usize::from(request.port) >= PORTS {
            self.count_error(csr::INJECT_BAD_DESCRIPTOR);
            return;
        }
        let mut frame = vec![0; length];
        if self.read_host(request.address, &mut frame).is_err() {
            self.count_error(csr::INJECT_READ_ERROR);
            return;
        }
        let descriptor = InjectDescriptor {
            length: request.length,
            port: request.port,
            lookup: request.lookup,
        };
        self.accept(descriptor, frame);
    }

    /// Tells the host how far the rings are.
    fn finish_batch(&mut self, batch: &Batch) {
        self.dma.sequence = self.dma.sequence.wrapping_add(1);
        let status = self.dma.status().pack().map(u32::to_le_bytes).concat();
        self.write_host(self.dma.status_address(), &status);
        for (vector, is_moved) in batch.vectors.iter().enumerate() {
            if *is_moved {
                self.dma.interrupts.raise(vector);
            }
        }
    }

    fn count_error(&mut self, counter: u32) {
        self.count(counter, 1);
        self.dma.errors = self.dma.errors.wrapping_add(1);
        self.dma.interrupts.raise(VECTOR_ERROR);
    }

    fn read_host(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        self.host.as_mut().ok_or(Unmapped)?.read(address, data)
    }

    fn write_host(&mut self, address: u64, data: &[u8]) {
        if let Some(host) = &mut self.host {
            bus::post(host.as_mut(), address, data);
        }
    }
}

const _: () = assert!(REQUEST_BYTES == 16 && VECTOR_INJECT == PUNT_QUEUES);
