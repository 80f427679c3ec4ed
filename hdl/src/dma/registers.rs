//! DMA registers: where the rings are, how far the host has come, and what it may know.
//!
//! A register is there one clock after its address. `function_reset` puts all of them back. A write of a ring's
//! size sets its indices to zero, those of the host here, those of the card by `clear`. Costs about 700 LUTs.

use layout::csr as map;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::dff::DffR;

/// Registers the host may write.
const WRITABLE: usize = 25;
/// Registers that show state: `DMA_STATUS`, `PUNT_TAIL`, `INJECT_HEAD`.
const SHOWN: usize = 6;

/// The registers; see the module's text.
#[derive(LogicBlock)]
pub struct Registers {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Back to the reset values.
    pub reset: Signal<In, Bit>,
    /// Byte address.
    pub address: Signal<In, Bits<16>>,
    /// Write `wdata` at this edge.
    pub write: Signal<In, Bit>,
    /// New value.
    pub wdata: Signal<In, Bits<32>>,
    /// The register, or zero, one clock later.
    pub data: Signal<Out, Bits<32>>,
    /// A frame or its indices are on their way to host memory.
    pub punt_busy: Signal<In, Bit>,
    /// The inject ring is not at rest.
    pub inject_busy: Signal<In, Bit>,
    /// Bus mastering is on.
    pub bus_master: Signal<In, Bit>,
    /// `PUNT_TAIL`.
    pub tail: [Signal<In, Bits<16>>; 4],
    /// `INJECT_HEAD`.
    pub inject_head: Signal<In, Bits<16>>,
    /// Punted frames go to the rings.
    pub punt_on: Signal<Out, Bit>,
    /// The inject ring is served.
    pub inject_on: Signal<Out, Bit>,
    /// `DMA_BLOCK`.
    pub block: Signal<Out, Bits<64>>,
    /// `PUNT_RING_LOW`.
    pub ring_low: [Signal<Out, Bits<32>>; 4],
    /// `PUNT_RING_HIGH`.
    pub ring_high: [Signal<Out, Bits<32>>; 4],
    /// `PUNT_RING_SIZE`.
    pub size: [Signal<Out, Bits<4>>; 4],
    /// `PUNT_HEAD`.
    pub head: [Signal<Out, Bits<16>>; 4],
    /// `PUNT_RING_SIZE` is written.
    pub clear: [Signal<Out, Bit>; 4],
    /// `INJECT_RING`.
    pub inject_ring: Signal<Out, Bits<64>>,
    /// `INJECT_RING_SIZE`.
    pub inject_size: Signal<Out, Bits<4>>,
    /// `INJECT_TAIL`.
    pub inject_tail: Signal<Out, Bits<16>>,
    /// `INJECT_RING_SIZE` is written.
    pub inject_clear: Signal<Out, Bit>,
    /// `INTERRUPT_GAP`.
    pub interrupt_gap: Signal<Out, Bits<32>>,
    /// `COMPLETION_TIMEOUT`.
    pub timeout: Signal<Out, Bits<32>>,
    register: [DffR<Bits<32>>; WRITABLE],
    answer: DFF<Bits<32>>,
    writes: [Signal<Local, Bit>; WRITABLE],
    shown: [Signal<Local, Bits<32>>; SHOWN],
    chosen: Signal<Local, Bits<32>>,
    control: Signal<Local, Bits<32>>,
    state: Signal<Local, Bits<32>>,
    offset: [Constant<Bits<16>>; WRITABLE],
    bits: [Constant<Bits<32>>; WRITABLE],
    shown_offset: [Constant<Bits<16>>; SHOWN],
    none: Constant<Bits<32>>,
    punt_bit: Constant<Bits<32>>,
    inject_bit: Constant<Bits<32>>,
    master_bit: Constant<Bits<32>>,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            address: Signal::default(),
            write: Signal::default(),
            wdata: Signal::default(),
            data: Signal::default(),
            punt_busy: Signal::default(),
            inject_busy: Signal::default(),
            bus_master: Signal::default(),
            tail: std::array::from_fn(|_| Default::default()),
            inject_head: Signal::default(),
            punt_on: Signal::default(),
            inject_on: Signal::default(),
            block: Signal::default(),
            ring_low: std::array::from_fn(|_| Default::default()),
            ring_high: std::array::from_fn(|_| Default::default()),
            size: std::array::from_fn(|_| Default::default()),
            head: std::array::from_fn(|_| Default::default()),
            clear: std::array::from_fn(|_| Default::default()),
            inject_ring: Signal::default(),
            inject_size: Signal::default(),
            inject_tail: Signal::default(),
            inject_clear: Signal::default(),
            interrupt_gap: Signal::default(),
            timeout: Signal::default(),
            register: std::array::from_fn(|_| Default::default()),
            answer: DFF::default(),
            writes: std::array::from_fn(|_| Default::default()),
            shown: std::array::from_fn(|_| Default::default()),
            chosen: Signal::default(),
            control: Signal::default(),
            state: Signal::default(),
            offset: writable().map(|(offset, _)| Constant::new(u64::from(offset).to_bits())),
            bits: writable().map(|(_, bits)| Constant::new(u64::from(bits).to_bits())),
            shown_offset: shown().map(|offset| Constant::new(u64::from(offset).to_bits())),
            none: Constant::new(0.into()),
            punt_bit: Constant::new((u64::from(map::DMA_PUNT_BUSY)).to_bits()),
            inject_bit: Constant::new((u64::from(map::DMA_INJECT_BUSY)).to_bits()),
            master_bit: Constant::new((u64::from(map::DMA_BUS_MASTER)).to_bits()),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, answer);
        self.state.next = self.none.val();
        if self.punt_busy.val() {
            self.state.next = self.state.val() | self.punt_bit.val();
        }
        if self.inject_busy.val() {
            self.state.next = self.state.val() | self.inject_bit.val();
        }
        if self.bus_master.val() {
            self.state.next = self.state.val() | self.master_bit.val();
        }
        self.shown[0].next = self.state.val();
        self.shown[1].next = bit_cast::<32, 16>(self.tail[0].val());
        self.shown[2].next = bit_cast::<32, 16>(self.tail[1].val());
        self.shown[3].next = bit_cast::<32, 16>(self.tail[2].val());
        self.shown[4].next = bit_cast::<32, 16>(self.tail[3].val());
        self.shown[5].next = bit_cast::<32, 16>(self.inject_head.val());

        self.chosen.next = self.none.val();
        for i in 0..25 {
            self.writes[i].next = self.write.val() & (self.address.val() == self.offset[i].val());
            self.register[i].clock.next = self.clock.val();
            self.register[i].reset.next = self.reset.val();
            self.register[i].d.next = self.wdata.val() & self.bits[i].val();
            self.register[i].enable.next = self.writes[i].val();
            if self.address.val() == self.offset[i].val() {
                self.chosen.next = self.register[i].q.val();
            }
        }
        for i in 0..6 {
            if self.address.val() == self.shown_offset[i].val() {
                self.chosen.next = self.shown[i].val();
            }
        }
        self.answer.d.next = self.chosen.val();
        self.data.next = self.answer.q.val();

        // In the order of `writable`.
        self.control.next = self.register[0].q.val();
        self.punt_on.next = self.control.val().get_bit(0);
        self.inject_on.next = self.control.val().get_bit(1);
        self.block.next = (bit_cast::<64, 32>(self.register[2].q.val()) << 32)
            | bit_cast::<64, 32>(self.register[1].q.val());
        for i in 0..4 {
            self.ring_low[i].next = self.register[i + 3].q.val();
            self.ring_high[i].next = self.register[i + 7].q.val();
            self.size[i].next = self.register[i + 11].q.val().get_bits::<4>(0);
            self.head[i].next = self.register[i + 15].q.val().get_bits::<16>(0);
            self.clear[i].next = self.writes[i + 11].val();
            self.register[i + 15].reset.next = self.reset.val() | self.writes[i + 11].val();
        }
        self.inject_ring.next = (bit_cast::<64, 32>(self.register[20].q.val()) << 32)
            | bit_cast::<64, 32>(self.register[19].q.val());
        self.inject_size.next = self.register[21].q.val().get_bits::<4>(0);
        self.inject_tail.next = self.register[22].q.val().get_bits::<16>(0);
        self.inject_clear.next = self.writes[21].val();
        self.register[22].reset.next = self.reset.val() | self.writes[21].val();
        self.interrupt_gap.next = self.register[23].q.val();
        self.timeout.next = self.register[24].q.val();
    }
}

/// Offsets of the writable registers and the bits they hold.
fn writable() -> [(u32, u32); WRITABLE] {
    let page = !0xfff;
    let of_rings = |first: u32, bits: u32| [0, 4, 8, 12].map(|ring| (first + ring, bits));
    let low = of_rings(map::PUNT_RING_LOW, page);
    let high = of_rings(map::PUNT_RING_HIGH, !0);
    let size = of_rings(map::PUNT_RING_SIZE, 0xf);
    let head = of_rings(map::PUNT_HEAD, 0xffff);
    [
        (map::DMA_CONTROL, map::DMA_PUNT | map::DMA_INJECT),
        (map::DMA_BLOCK_LOW, !0x3f),
        (map::DMA_BLOCK_HIGH, !0),
        low[0],
        low[1],
        low[2],
        low[3],
        high[0],
        high[1],
        high[2],
        high[3],
        size[0],
        size[1],
        size[2],
        size[3],
        head[0],
        head[1],
        head[2],
        head[3],
        (map::INJECT_RING_LOW, page),
        (map::INJECT_RING_HIGH, !0),
        (map::INJECT_RING_SIZE, 0xf),
        (map::INJECT_TAIL, 0xffff),
        (map::INTERRUPT_GAP, !0),
        (map::COMPLETION_TIMEOUT, !0),
    ]
}

/// Offsets of the registers that show state.
fn shown() -> [u32; SHOWN] {
    let tail = map::PUNT_TAIL;
    [
        map::DMA_STATUS,
        tail,
        tail + 4,
        tail + 8,
        tail + 12,
        map::INJECT_HEAD,
    ]
}
