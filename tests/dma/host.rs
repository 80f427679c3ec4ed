//! A host: its memory, its interrupts, its rings, and a card whose function is set up for them.

use std::sync::{Arc, Mutex, MutexGuard};

use layout::csr;
use layout::desc::{DmaStatus, InjectRequest, Metadata};
use layout::table::{AclEntry, AclValid, Interface, PUNT_QUEUES, PUNT_SLOT_BYTES, Table};
use sim::bus::MESSAGE_ADDRESS;
use sim::{Access, Card, Function, Host, Unmapped};

/// Where host memory begins: 4 GiB is in the middle of it.
pub const BASE: u64 = 0xfff0_0000;
pub const MEMORY_BYTES: usize = 0x20_0000;
pub const STATUS: u64 = BASE + 0x40;
pub const INJECT: u64 = BASE + 0x1000;
/// Memory for frames to inject; its end is the end of memory.
pub const FRAMES: u64 = BASE + 0x10_0000;
/// Punt rings of at most 64 slots.
pub const PUNT: u64 = BASE + 0x2000;
const PUNT_STRIDE: u64 = 64 * PUNT_SLOT_BYTES as u64;
/// Clocks in which a card must come to rest.
const PATIENCE: u64 = 400_000;
/// Clocks in which an interrupt follows what it tells of.
const INTERRUPT_CLOCKS: u64 = 300;
pub const EVERYTHING: u32 = csr::DMA_PUNT | csr::DMA_INJECT;

pub const ON: Function = Function {
    bus_master: true,
    max_payload: 128,
    max_read_request: 512,
    msix_enable: true,
    msix_mask: false,
};

/// Memory that a test and the card's function see.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

pub struct State {
    pub bytes: Vec<u8>,
    pub interrupts: Vec<usize>,
    /// Writes by the card.
    pub writes: usize,
}

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: vec![0xee; MEMORY_BYTES],
            interrupts: Vec::new(),
            writes: 0,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panicked inside")
    }

    pub fn put(&self, address: u64, bytes: &[u8]) {
        let start = (address - BASE) as usize;
        self.state().bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    pub fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let start = (address - BASE) as usize;
        self.state().bytes[start..start + count].to_vec()
    }

    pub fn words<const N: usize>(&self, address: u64) -> [u32; N] {
        let start = (address - BASE) as usize;
        let state = self.state();
        std::array::from_fn(|n| {
            let at = start + 4 * n;
            u32::from_le_bytes(state.bytes[at..at + 4].try_into().expect("four bytes"))
        })
    }

    pub fn status(&self) -> DmaStatus {
        DmaStatus::unpack(&self.words::<{ DmaStatus::WORDS }>(STATUS))
    }

    pub fn tails(&self) -> [u16; PUNT_QUEUES] {
        let status = self.status();
        [
            status.punt_tail_0,
            status.punt_tail_1,
            status.punt_tail_2,
            status.punt_tail_3,
        ]
    }

    /// A slot of a punt ring: metadata and frame.
    pub fn punted(&self, ring: usize, slot: usize) -> (Metadata, Vec<u8>) {
        let address = slot_address(ring, slot);
        let metadata = Metadata::unpack(&self.words::<{ Metadata::WORDS }>(address));
        assert_eq!(self.words(address + 12), [0]);
        let frame = self.bytes(address + 16, metadata.length.into());
        (metadata, frame)
    }

    /// Writes a descriptor.
    pub fn request(&self, slot: u16, length: u16, port: u8, lookup: bool, address: u64) {
        let request = InjectRequest {
            length,
            port,
            lookup,
            reserved: 0x1555_5555_5555,
            address,
        };
        let bytes = request.pack().map(u32::to_le_bytes).concat();
        self.put(INJECT + 16 * u64::from(slot), &bytes);
    }

    /// Writes a descriptor, and a frame of its own to go with it.
    pub fn describe(&self, slot: u16, port: u8, lookup: bool, frame: &[u8]) {
        let address = FRAMES + 0x800 * u64::from(slot) + 1;
        self.put(address, frame);
        self.request(slot, frame.len() as u16, port, lookup, address);
    }

    pub fn interrupts(&self) -> Vec<usize> {
        let mut taken = std::mem::take(&mut self.state().interrupts);
        taken.sort_unstable();
        taken
    }
}

impl Host for Memory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let end = start.checked_add(data.len()).ok_or(Unmapped)?;
        let state = self.state();
        data.copy_from_slice(state.bytes.get(start..end).ok_or(Unmapped)?);
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let end = start.checked_add(data.len()).ok_or(Unmapped)?;
        let mut state = self.state();
        state.writes += 1;
        let target = state.bytes.get_mut(start..end).ok_or(Unmapped)?;
        target.copy_from_slice(data);
        Ok(())
    }

    fn interrupt(&mut self, vector: usize) {
        self.state().interrupts.push(vector);
    }
}

pub fn slot_address(ring: usize, slot: usize) -> u64 {
    PUNT + PUNT_STRIDE * ring as u64 + (PUNT_SLOT_BYTES * slot) as u64
}

/// A card and the host behind it.
pub struct Bench<C: Card + ?Sized = dyn Card> {
    pub card: Box<C>,
    pub memory: Memory,
}

impl<C: Card + ?Sized> Bench<C> {
    /// Two interfaces that take every frame, a policy that permits everything, four punt rings and an inject ring of
    /// 4 places, every vector open.
    pub fn new(card: Box<C>) -> Self {
        let mut bench = Self {
            card,
            memory: Memory::new(),
        };
        bench.card.set_host(Some(Box::new(bench.memory.clone())));
        bench.card.set_function(ON);
        bench.set_up_core();
        bench.set_up_rings([2; PUNT_QUEUES], 2);
        bench
    }

    /// Tables and control: what a reset of the function leaves alone.
    pub fn set_up_core(&mut self) {
        for port in 0..2 {
            let interface = Interface {
                valid: true,
                port,
                mac: 0x0200_0000_0001 + u64::from(port),
                ..Interface::default()
            };
            let taken = self
                .card
                .write_entry(Table::Interface, port.into(), &interface.pack());
            assert!(taken);
        }
        let everything = AclEntry {
            sport_high: u16::MAX,
            dport_high: u16::MAX,
            permit: true,
            ..AclEntry::default()
        };
        assert!(self.card.write_entry(Table::Acl, 0, &everything.pack()));
        let lanes = AclValid { lanes: 1 };
        assert!(self.card.write_entry(Table::AclValid, 0, &lanes.pack()));
        let control = csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS;
        self.card.bar_write(csr::CONTROL, control);
    }

    /// Empty rings of these sizes, and MSI-X.
    pub fn set_up_rings(&mut self, punt: [u32; PUNT_QUEUES], inject: u32) {
        let registers = [
            (csr::DMA_BLOCK_LOW, csr::DMA_BLOCK_HIGH, STATUS),
            (csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH, INJECT),
        ];
        for (low, high, address) in registers {
            self.set_address(low, high, address);
        }
        for (ring, size) in punt.into_iter().enumerate() {
            let at = 4 * ring as u32;
            let (low, high) = (csr::PUNT_RING_LOW + at, csr::PUNT_RING_HIGH + at);
            self.set_address(low, high, slot_address(ring, 0));
            self.card.bar_write(csr::PUNT_RING_SIZE + at, size);
        }
        self.card.bar_write(csr::INJECT_RING_SIZE, inject);
        self.memory.put(STATUS, &[0; 4 * DmaStatus::WORDS]);
        for vector in 0..csr::MSIX_VECTORS as u32 {
            let entry = [MESSAGE_ADDRESS as u32, 0, vector, 0];
            for (word, value) in entry.into_iter().enumerate() {
                let offset = csr::MSIX_TABLE + 16 * vector + 4 * word as u32;
                self.card.bar_write(offset, value);
            }
        }
        self.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
    }

    pub fn set_address(&mut self, low: u32, high: u32, address: u64) {
        self.card.bar_write(low, address as u32);
        self.card.bar_write(high, (address >> 32) as u32);
    }

    /// Lets the card come to rest, and its interrupts arrive.
    pub fn settle(&mut self) {
        let at_rest = self.card.run(PATIENCE);
        assert_eq!(self.card.fault(), None);
        assert!(at_rest, "the card does not come to rest");
        self.card.step(INTERRUPT_CLOCKS);
    }

    /// Feeds a frame and lets it go where it goes.
    pub fn receive(&mut self, port: usize, frame: &[u8]) {
        self.card.feed(port, frame);
        self.settle();
    }

    /// Moves the inject ring's tail and lets the card serve it.
    pub fn inject_to(&mut self, tail: u32) {
        self.card.bar_write(csr::INJECT_TAIL, tail);
        self.settle();
    }

    pub fn tail(&mut self, ring: u32) -> u32 {
        self.card.bar_read(csr::PUNT_TAIL + 4 * ring)
    }
}
