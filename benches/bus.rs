//! The rings over a PCIe link, in clocks: what a punted and an injected frame cost against what the link allows.
//!
//! Clocks are exact and repeat to the digit. Run with `cargo bench --features verilator --bench bus`. The bound of a
//! link, in clocks a frame, is the greatest of
//!
//! - the beats of 8 bytes of the stream to the hard block, and of the stream from it: for each packet
//!   ceil((header + data) / 8), at one beat a clock;
//! - the bytes on the link each way, over its bytes a clock: for each packet header + data + 8, which are the start
//!   and end symbols, the sequence number and the LCRC of generations 1 and 2. Acknowledgements and credits are left
//!   out, so the bound is a little too good;
//! - for an injected frame the beats in which it leaves its port.
//!
//! At 125 MHz a lane of generation 1 carries 2 bytes a clock (2.5 GT/s, 8b/10b), four lanes of generation 2 carry 16,
//! more than the stream's 8. Packets of a punted frame: writes of at most Max_Payload_Size of its slot, which holds 16
//! bytes of metadata and the frame, and an eighth of a status write and of an interrupt. Of an injected frame: its
//! reads of at most Max_Read_Request_Size (512 bytes), its completions, cut at multiples of Max_Payload_Size, and
//! its share of reads and completions of descriptors, 32 in 512 bytes, and of status and interrupt.

use std::sync::{Arc, Mutex};

use layout::csr;
use layout::desc::InjectRequest;
use layout::table::{Interface, Table};
use sim::bus::MESSAGE_ADDRESS;
use sim::root_complex::Settings;
use sim::{Access, Card, Function, Host, Unmapped, Verilated};

/// Header of a write, a completion or a read below 4 GiB.
const HEADER: u64 = 12;
/// Symbols, sequence number and LCRC around each packet.
const FRAMING: u64 = 8;
const BEAT: u64 = 8;
const READ_BYTES: u64 = 512;
const STATUS_BYTES: u64 = 32;
const MESSAGE_BYTES: u64 = 4;
const DESCRIPTOR_BYTES: u64 = 16;
/// Frames that share a status write.
const BATCH: f64 = 8.0;
/// Share of the bound that is asked for.
const WANTED: f64 = 0.9;

/// A link by its bytes a clock.
const LINKS: [(&str, u32); 2] = [("Gen1 x1", 2), ("Gen2 x4", 16)];

const BASE: u64 = 0x1000_0000;
const STATUS: u64 = BASE;
const DESCRIPTORS: u64 = BASE + 0x1000;
const PUNT: u64 = BASE + 0x1_0000;
const FRAMES: u64 = BASE + 0x20_0000;
const MEMORY_BYTES: usize = 0x40_0000;
const RING_LOG: u32 = 8;
const RING: u64 = 1 << RING_LOG;

fn main() {
    println!("clocks a frame over the link, the bound of the link, and the share of the bound:");
    println!(
        "{:>8} {:>12} {:>6} {:>15} {:>7} {:>7} {:>15} {:>7} {:>7}",
        "link",
        "max payload",
        "bytes",
        "punt clocks",
        "bound",
        "share",
        "inject clocks",
        "bound",
        "share"
    );
    let mut is_enough = true;
    for (name, rate) in LINKS {
        for payload in [128, 256] {
            for bytes in [64, 1500] {
                let (punt, inject) = (punt(rate, payload, bytes), inject(rate, payload, bytes));
                let bounds = (
                    punt_bound(rate, payload.into(), bytes as u64),
                    inject_bound(rate, payload.into(), bytes as u64),
                );
                let shares = (bounds.0 / punt, bounds.1 / inject);
                println!(
                    "{name:>8} {payload:>12} {bytes:>6} {punt:>15.2} {:>7.2} {:>6.1}% {inject:>15.2} {:>7.2} {:>6.1}%",
                    bounds.0,
                    100.0 * shares.0,
                    bounds.1,
                    100.0 * shares.1
                );
                is_enough &= shares.0 >= WANTED && shares.1 >= WANTED;
            }
        }
    }
    assert!(is_enough, "less than {WANTED} of a bound");
}

/// What packets cost in one direction, in clocks.
struct Way {
    rate: u64,
    beats: f64,
    bytes: f64,
}

impl Way {
    fn new(rate: u32) -> Self {
        Self {
            rate: rate.into(),
            beats: 0.0,
            bytes: 0.0,
        }
    }

    /// A share of a packet with so many bytes of data.
    fn packet(&mut self, data: u64, share: f64) {
        self.beats += share * (HEADER + data).div_ceil(BEAT) as f64;
        self.bytes += share * (HEADER + data + FRAMING) as f64;
    }

    /// Packets for so many bytes, none with more than `most`.
    fn cut(&mut self, bytes: u64, most: u64, share: f64) {
        (0..bytes / most).for_each(|_| self.packet(most, share));
        if !bytes.is_multiple_of(most) {
            self.packet(bytes % most, share);
        }
    }

    fn clocks(&self) -> f64 {
        self.beats.max(self.bytes / self.rate as f64)
    }
}

fn punt_bound(rate: u32, payload: u64, bytes: u64) -> f64 {
    let mut out = Way::new(rate);
    let slot = csr::PUNT_HEADER_BYTES as u64 + bytes.next_multiple_of(4);
    out.cut(slot, payload, 1.0);
    out.packet(STATUS_BYTES, 1.0 / BATCH);
    out.packet(MESSAGE_BYTES, 1.0 / BATCH);
    out.clocks()
}

fn inject_bound(rate: u32, payload: u64, bytes: u64) -> f64 {
    let (mut out, mut back) = (Way::new(rate), Way::new(rate));
    let descriptors = DESCRIPTOR_BYTES as f64 / READ_BYTES as f64;
    for _ in 0..bytes.div_ceil(READ_BYTES) {
        out.packet(0, 1.0);
    }
    out.packet(0, descriptors);
    out.packet(STATUS_BYTES, 1.0 / BATCH);
    out.packet(MESSAGE_BYTES, 1.0 / BATCH);
    back.cut(bytes.next_multiple_of(4), payload, 1.0);
    back.cut(READ_BYTES, payload, descriptors);
    let port = bytes.div_ceil(BEAT) as f64;
    out.clocks().max(back.clocks()).max(port)
}

/// Memory that the card's function sees.
#[derive(Clone)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Tail of the first punt ring, as `DmaStatus` tells it.
    fn tail(&self) -> u64 {
        let memory = self.0.lock().expect("nobody panicked inside");
        u64::from(memory[0]) | u64::from(memory[1]) << 8
    }
}

impl Host for Memory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let memory = self.0.lock().map_err(|_| Unmapped)?;
        let bytes = memory.get(start..start + data.len()).ok_or(Unmapped)?;
        data.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Unmapped> {
        let start = address.checked_sub(BASE).ok_or(Unmapped)? as usize;
        let mut memory = self.0.lock().map_err(|_| Unmapped)?;
        let bytes = memory.get_mut(start..start + data.len()).ok_or(Unmapped)?;
        bytes.copy_from_slice(data);
        Ok(())
    }

    fn interrupt(&mut self, _vector: usize) {}
}

/// A card that takes every frame, with its rings set up, behind a link.
fn card(rate: u32, max_payload: u16) -> (Verilated, Memory) {
    let mut card = Verilated::with_rings();
    let memory = Memory(Arc::new(Mutex::new(vec![0; MEMORY_BYTES])));
    card.set_host(Some(Box::new(memory.clone())));
    card.set_function(Function {
        bus_master: true,
        max_payload,
        max_read_request: READ_BYTES as u16,
        msix_enable: true,
        msix_mask: false,
    });
    card.set_link(Settings {
        latency: (60, 60),
        ..Settings::default()
    });
    for port in 0..2 {
        let interface = Interface {
            valid: true,
            port,
            ..Interface::default()
        };
        assert!(card.write_entry(Table::Interface, port.into(), &interface.pack()));
    }
    for (register, value) in [
        (csr::CONTROL, csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS),
        (csr::DMA_BLOCK_LOW, STATUS as u32),
        (csr::PUNT_RING_LOW, PUNT as u32),
        (csr::PUNT_RING_SIZE, RING_LOG),
        (csr::INJECT_RING_LOW, DESCRIPTORS as u32),
        (csr::INJECT_RING_SIZE, RING_LOG),
    ] {
        card.bar_write(register, value);
    }
    for vector in 0..csr::MSIX_VECTORS as u32 {
        let entry = csr::MSIX_TABLE + 16 * vector;
        card.bar_write(entry, MESSAGE_ADDRESS as u32);
        card.bar_write(entry + 8, vector);
        card.bar_write(entry + 12, 0);
    }
    card.set_link_speed(rate, FRAMING as u32);
    (card, memory)
}

/// Clocks a frame of this length that comes in at the ports as fast as they go.
fn punt(rate: u32, max_payload: u16, bytes: usize) -> f64 {
    let (mut card, memory) = card(rate, max_payload);
    card.bar_write(csr::DMA_CONTROL, csr::DMA_PUNT);
    let mut frame = vec![0x5a; bytes];
    // An ARP request: no lookup is slower than the link.
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    // What does not fit the punt buffer is dropped: the slots written tell the pace.
    for n in 0..8 * RING as usize {
        card.feed(n % 2, &frame);
    }
    let mut passes = |count: u64| {
        loop {
            let tail = memory.tail();
            if tail >= count {
                return (card.cycle(), tail);
            }
            card.step(4);
        }
    };
    let (begin, first) = passes(RING / 4);
    let (end, last) = passes(3 * RING / 4);
    assert_eq!(card.fault(), None);
    (end - begin) as f64 / (last - first) as f64
}

/// Clocks a frame of this length from a ring full of them.
fn inject(rate: u32, max_payload: u16, bytes: usize) -> f64 {
    let (mut card, mut memory) = card(rate, max_payload);
    let count = RING - 1;
    for n in 0..count {
        // Aligned as a host's buffers are.
        let request = InjectRequest {
            length: bytes as u16,
            port: 0,
            address: FRAMES + 2048 * n,
            ..InjectRequest::default()
        };
        let words = request.pack().map(u32::to_le_bytes).concat();
        let address = DESCRIPTORS + DESCRIPTOR_BYTES * n;
        memory.write(address, &words).expect("memory of the bench");
    }
    card.bar_write(csr::DMA_CONTROL, csr::DMA_INJECT);
    card.bar_write(csr::INJECT_TAIL, count as u32);
    let mut ends = Vec::new();
    while ends.len() < count as usize {
        card.step(64);
        ends.extend(
            std::iter::from_fn(|| card.next_record()).filter_map(|record| {
                matches!(record.body, sim::Body::Frame(_)).then_some(record.cycle_last)
            }),
        );
    }
    assert_eq!(card.fault(), None);
    let (first, last) = (count as usize / 4, 3 * count as usize / 4);
    (ends[last] - ends[first]) as f64 / (last - first) as f64
}
