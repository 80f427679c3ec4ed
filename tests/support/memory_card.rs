//! A card in memory that follows `hdl/CONTRACT.md`, section "Rings", and nothing else of it.
//!
//! It has the ident block, registers that hold what is written, the rings and the windows. It can be made to show
//! indices and lengths that no card should.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use host::vfio::{BAR0, CONFIG, Device, DmaMemory, Error, EventFd, Mapping, RegionInfo};
use layout::csr;
use layout::desc::{DmaStatus, InjectDescriptor, InjectRequest, Metadata};
use layout::table::{PUNT_QUEUES, PUNT_SLOT_BYTES};

/// The test's side of the card.
#[derive(Clone)]
pub struct MemoryCard(Arc<Mutex<State>>);

/// The driver's side of it.
struct Function(Arc<Mutex<State>>);

/// A frame that the driver sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// How.
    pub descriptor: InjectDescriptor,
    /// The frame.
    pub frame: Vec<u8>,
}

pub struct State {
    registers: HashMap<u32, u32>,
    command: u16,
    memory: Option<(u64, Arc<Mapping>)>,
    events: Vec<EventFd>,
    status: DmaStatus,
    window: VecDeque<(Metadata, Vec<u8>)>,
    inject_window: Vec<u8>,
    injected: Vec<Injected>,
}

impl MemoryCard {
    /// A card with these capabilities.
    pub fn new(capabilities: u32) -> Self {
        let mut registers: HashMap<u32, u32> = csr::REGISTERS
            .iter()
            .map(|register| (register.offset, register.reset))
            .collect();
        registers.insert(csr::LAYOUT_HASH_LOW, layout::LAYOUT_HASH as u32);
        registers.insert(csr::LAYOUT_HASH_HIGH, (layout::LAYOUT_HASH >> 32) as u32);
        registers.insert(csr::CAPABILITIES, capabilities);
        Self(Arc::new(Mutex::new(State {
            registers,
            command: 0,
            memory: None,
            events: Vec::new(),
            status: DmaStatus::default(),
            window: VecDeque::new(),
            inject_window: vec![0; 2048],
            injected: Vec::new(),
        })))
    }

    /// The device for the driver.
    pub fn device(&self) -> Box<dyn Device> {
        Box::new(Function(self.0.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panicked inside")
    }

    /// Punts a frame; `false` if there was no room. `DmaStatus` is written at [`MemoryCard::end_batch`].
    pub fn punt(&self, metadata: Metadata, frame: &[u8]) -> bool {
        let mut state = self.state();
        let metadata = Metadata {
            length: frame.len() as u16,
            ..metadata
        };
        if state.register(csr::DMA_CONTROL) & csr::DMA_PUNT == 0 {
            state.window.push_back((metadata, frame.to_vec()));
            return true;
        }
        let queue = usize::from(metadata.queue);
        let Some(slot) = state.free_slot(queue) else {
            return false;
        };
        let mut bytes: Vec<u8> = metadata
            .pack()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.resize(csr::PUNT_HEADER_BYTES, 0);
        bytes.extend_from_slice(frame);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        state.write(slot, &bytes);
        state.move_tail(queue, 1);
        true
    }

    /// Claims that so many frames more are in a ring, without writing any.
    pub fn move_tail(&self, queue: usize, by: u16) {
        self.state().move_tail(queue, by);
    }

    /// Writes `DmaStatus` and raises the vectors.
    pub fn end_batch(&self) {
        let mut state = self.state();
        state.write_status();
        for event in &state.events {
            event.write(1).expect("raised");
        }
    }

    /// Serves the inject ring: takes at most `most` descriptors and writes `DmaStatus`.
    pub fn serve_injects(&self, most: usize) {
        let mut state = self.state();
        for _ in 0..most {
            if !state.serve_inject() {
                break;
            }
        }
        state.write_status();
    }

    /// Lets the inject head pass everything unread.
    pub fn skip_injects(&self) {
        let mut state = self.state();
        let tail = state.register(csr::INJECT_TAIL);
        state.registers.insert(csr::INJECT_HEAD, tail);
        state.status.inject_head = tail as u16;
        state.write_status();
    }

    /// Takes the frames that the driver sent.
    pub fn take_injected(&self) -> Vec<Injected> {
        std::mem::take(&mut self.state().injected)
    }

    /// What a register holds.
    pub fn register(&self, offset: u32) -> u32 {
        self.state().register(offset)
    }

    /// Whether the function may reach memory.
    pub fn is_bus_master(&self) -> bool {
        self.state().command & 4 != 0
    }

    /// Whether the driver has memory mapped.
    pub fn has_memory(&self) -> bool {
        self.state().memory.is_some()
    }

    /// Shows a status of the test's making.
    pub fn lie(&self, change: impl FnOnce(&mut DmaStatus)) {
        let mut state = self.state();
        change(&mut state.status);
        state.write_status();
    }
}

impl State {
    fn register(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    fn address(&self, low: u32, high: u32) -> u64 {
        u64::from(self.register(high)) << 32 | u64::from(self.register(low))
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        assert!(self.command & 4 != 0, "bus mastering is on");
        let (iova, mapping) = self.memory.as_ref().expect("memory");
        mapping.write((address - iova) as usize, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        assert!(self.command & 4 != 0, "bus mastering is on");
        let (iova, mapping) = self.memory.as_ref().expect("memory");
        mapping.read((address - iova) as usize, bytes);
    }

    fn free_slot(&self, queue: usize) -> Option<u64> {
        let register = |base: u32| base + 4 * queue as u32;
        let size = 1u16
            .checked_shl(self.register(register(csr::PUNT_RING_SIZE)))
            .filter(|size| *size > 1)?;
        let head = self.register(register(csr::PUNT_HEAD)) as u16;
        let tail = self.register(register(csr::PUNT_TAIL)) as u16;
        let base = self.address(register(csr::PUNT_RING_LOW), register(csr::PUNT_RING_HIGH));
        assert!(base.is_multiple_of(4096));
        (tail.wrapping_sub(head) < size)
            .then(|| base + u64::from(tail % size) * PUNT_SLOT_BYTES as u64)
    }

    fn move_tail(&mut self, queue: usize, by: u16) {
        let offset = csr::PUNT_TAIL + 4 * queue as u32;
        let tail = (self.register(offset) as u16).wrapping_add(by);
        self.registers.insert(offset, tail.into());
        let tails = [
            &mut self.status.punt_tail_0,
            &mut self.status.punt_tail_1,
            &mut self.status.punt_tail_2,
            &mut self.status.punt_tail_3,
        ];
        *tails.into_iter().nth(queue).expect("four rings") = tail;
    }

    fn write_status(&mut self) {
        self.status.sequence = self.status.sequence.wrapping_add(1);
        let bytes: Vec<u8> = self
            .status
            .pack()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let block = self.address(csr::DMA_BLOCK_LOW, csr::DMA_BLOCK_HIGH);
        assert!(block.is_multiple_of(64));
        self.write(block, &bytes);
    }

    fn serve_inject(&mut self) -> bool {
        let (head, tail) = (
            self.register(csr::INJECT_HEAD) as u16,
            self.register(csr::INJECT_TAIL) as u16,
        );
        if head == tail || self.register(csr::DMA_CONTROL) & csr::DMA_INJECT == 0 {
            return false;
        }
        let size = 1u16 << self.register(csr::INJECT_RING_SIZE);
        assert!(
            tail.wrapping_sub(head) <= size,
            "the driver wrote over descriptors in use"
        );
        let mut bytes = [0; 16];
        let ring = self.address(csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH);
        self.read(ring + u64::from(head % size) * 16, &mut bytes);
        let words: Vec<u32> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        let InjectRequest {
            length,
            port,
            lookup,
            address,
            ..
        } = InjectRequest::unpack(&words);
        let mut frame = vec![0; length.into()];
        self.read(address, &mut frame);
        let descriptor = InjectDescriptor {
            length,
            port,
            lookup,
        };
        self.injected.push(Injected { descriptor, frame });
        let head = head.wrapping_add(1);
        self.registers.insert(csr::INJECT_HEAD, head.into());
        self.status.inject_head = head;
        true
    }

    fn window_word(&self, index: u32) -> u32 {
        let Some((metadata, frame)) = self.window.front() else {
            return 0;
        };
        let mut words = metadata.pack().to_vec();
        words.push(0);
        words.extend(frame.chunks(4).map(|bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            u32::from_le_bytes(word)
        }));
        words.get(index as usize).copied().unwrap_or(0)
    }

    fn read_register(&self, offset: u32) -> u32 {
        match offset {
            csr::PUNT_STATUS => self.window.len() as u32,
            csr::PUNT_WINDOW..csr::INJECT_WINDOW => {
                self.window_word((offset - csr::PUNT_WINDOW) / 4)
            }
            _ => self.register(offset),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        self.registers.insert(offset, value);
        let clear = |state: &mut Self, registers: [u32; 2]| {
            for offset in registers {
                state.registers.insert(offset, 0);
            }
        };
        let end = csr::PUNT_RING_SIZE + 4 * PUNT_QUEUES as u32;
        match offset {
            csr::PUNT_POP => drop(self.window.pop_front()),
            csr::INJECT_SUBMIT => {
                let descriptor = InjectDescriptor::unpack(&[value]);
                let frame = self.inject_window[..descriptor.length.into()].to_vec();
                self.injected.push(Injected { descriptor, frame });
            }
            csr::INJECT_RING_SIZE => clear(self, [csr::INJECT_HEAD, csr::INJECT_TAIL]),
            offset if (csr::PUNT_RING_SIZE..end).contains(&offset) => {
                let queue = offset - csr::PUNT_RING_SIZE;
                clear(self, [csr::PUNT_HEAD + queue, csr::PUNT_TAIL + queue]);
            }
            offset if (csr::INJECT_WINDOW..csr::MSIX_TABLE).contains(&offset) => {
                let at = (offset - csr::INJECT_WINDOW) as usize;
                self.inject_window[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            _ => {}
        }
    }
}

impl Function {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panicked inside")
    }
}

impl Device for Function {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        (region == BAR0).then_some(RegionInfo {
            size: csr::BAR0_BYTES as u64,
            flags: 3,
        })
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let state = self.state();
        if region == CONFIG {
            data.copy_from_slice(&state.command.to_le_bytes());
            return Ok(());
        }
        for (index, bytes) in data.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *bytes = state
                .read_register(offset as u32 + 4 * index as u32)
                .to_le_bytes();
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut state = self.state();
        if region == CONFIG {
            state.command = u16::from_le_bytes(data.try_into().expect("the command register"));
            return Ok(());
        }
        for (index, bytes) in data.as_chunks::<4>().0.iter().enumerate() {
            state.write_register(offset as u32 + 4 * index as u32, u32::from_le_bytes(*bytes));
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn map(&mut self, bytes: usize) -> Result<DmaMemory, Error> {
        let mapping = Arc::new(Mapping::allocate(bytes)?);
        self.state().memory = Some((IOVA, mapping.clone()));
        let state = self.0.clone();
        let unmap = move || state.lock().expect("nobody panicked inside").memory = None;
        Ok(DmaMemory::new(mapping, IOVA, unmap))
    }

    fn interrupt_count(&mut self) -> Result<usize, Error> {
        Ok(csr::MSIX_VECTORS)
    }

    fn enable_interrupts(&mut self, count: usize) -> Result<Vec<EventFd>, Error> {
        let events: Vec<EventFd> = (0..count)
            .map(|_| EventFd::new(libc::EFD_NONBLOCK).expect("an event"))
            .collect();
        self.state().events = events
            .iter()
            .map(|event| event.try_clone().expect("an event"))
            .collect();
        Ok(events)
    }
}

/// Above 4 GiB, so that both halves of addresses matter.
const IOVA: u64 = 0x12_3456_0000;
