//! Asks for descriptors of the inject ring, and for the frames they name.
//!
//! Up to eight descriptors are asked for in one read, as soon as there is room for eight; a frame is asked for in
//! reads of at most Max_Read_Request_Size, 512 bytes, and the end of its 4 KiB page. Each read gets a tag and, at
//! once, its place in the reorder buffer; the order of reads goes to the retirer. A frame of one read takes seven
//! clocks. Costs about 600 LUTs.

#![allow(clippy::collapsible_match, reason = "kernels have no guards")]

use layout::table::{HOST_FRAME_BYTES, PORTS};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::{Descriptor, FAULT_BAD, Order, ReadHead};
use crate::fifo::Fifo;
use crate::skid::Skid;

/// Steps to a read.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    Idle,
    Pending,
    Count,
    Locate,
    Check,
    Cut,
    Trim,
    Fit,
    Send,
    Skip,
}

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Fetch {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Ask for nothing, and lose the descriptors.
    pub forget: Signal<In, Bit>,
    /// Everything is empty: begin anew.
    pub restart: Signal<In, Bit>,
    /// The next descriptor is the first of the ring.
    pub clear: Signal<In, Bit>,
    /// Descriptors are asked for.
    pub serve: Signal<In, Bit>,
    /// Host memory may be read.
    pub bus_master: Signal<In, Bit>,
    /// Longest read, 128 bytes and its doublings.
    pub max_read: Signal<In, Bits<3>>,
    /// `INJECT_RING`.
    pub ring: Signal<In, Bits<64>>,
    /// `INJECT_RING_SIZE`.
    pub size: Signal<In, Bits<4>>,
    /// `INJECT_TAIL`.
    pub tail: Signal<In, Bits<16>>,
    /// The oldest descriptor.
    pub descriptor: Signal<In, Descriptor>,
    /// It is offered.
    pub descriptor_valid: Signal<In, Bit>,
    /// It is taken.
    pub descriptor_ready: Signal<Out, Bit>,
    /// The tag to claim.
    pub tag: Signal<In, Bits<4>>,
    /// It may be claimed.
    pub tag_free: Signal<In, Bit>,
    /// Claim it, for a read of
    pub claim: Signal<Out, Bit>,
    /// to this place,
    pub claim_place: Signal<Out, Bits<10>>,
    /// of these DWs,
    pub claim_dwords: Signal<Out, Bits<8>>,
    /// from this address in DWs, modulo 128 bytes.
    pub claim_lower: Signal<Out, Bits<5>>,
    /// DWs of the reorder buffer that become free.
    pub freed: Signal<In, Bits<10>>,
    /// A read.
    pub read: Signal<Out, ReadHead>,
    /// It is offered.
    pub read_valid: Signal<Out, Bit>,
    /// It is taken.
    pub read_ready: Signal<In, Bit>,
    /// The oldest read.
    pub order: Signal<Out, Order>,
    /// It is offered.
    pub order_valid: Signal<Out, Bit>,
    /// It is taken.
    pub order_ready: Signal<In, Bit>,
    /// Nothing is asked for, and no descriptor waits.
    pub idle: Signal<Out, Bit>,
    reads: Skid<ReadHead>,
    orders: Fifo<Order, 4, 5>,
    state: DFF<State>,
    /// The next descriptor.
    fetched: DFF<Bits<16>>,
    /// Descriptors that are waiting or on their way.
    reserved: DFF<Bits<5>>,
    /// DWs of the reorder buffer.
    used: DFF<Bits<11>>,
    place: DFF<Bits<10>>,
    waiting: DFF<Bits<16>>,
    slot: DFF<Bits<16>>,
    count: DFF<Bits<4>>,
    low_sum: DFF<Bits<33>>,
    descriptors: DFF<Bit>,
    current: DFF<Descriptor>,
    page: DFF<Bits<52>>,
    low: DFF<Bits<10>>,
    remaining: DFF<Bits<10>>,
    total: DFF<Bits<10>>,
    chunk: DFF<Bits<10>>,
    fits: DFF<Bit>,
    resting: DFF<Bit>,
    most: DFF<Bits<10>>,
    wants: Signal<Local, Bit>,
    span: Signal<Local, Bits<16>>,
    slot_mask: Signal<Local, Bits<16>>,
    block: Signal<Local, Bits<4>>,
    until_block: Signal<Local, Bits<4>>,
    slot_bytes: Signal<Local, Bits<33>>,
    upper: Signal<Local, Bits<32>>,
    length: Signal<Local, Bits<16>>,
    port: Signal<Local, Bits<2>>,
    at: Signal<Local, Bits<64>>,
    bad: Signal<Local, Bit>,
    failed: Signal<Local, Bit>,
    lead: Signal<Local, Bits<16>>,
    span_dwords: Signal<Local, Bits<10>>,
    to_page: Signal<Local, Bits<11>>,
    chunk_wide: Signal<Local, Bits<11>>,
    filled: Signal<Local, Bits<11>>,
    next_low: Signal<Local, Bits<11>>,
    goes: Signal<Local, Bit>,
    skips: Signal<Local, Bit>,
    pops: Signal<Local, Bit>,
    is_last: Signal<Local, Bit>,
    page_bytes: Signal<Local, Bits<12>>,
    grown: Signal<Local, Bits<5>>,
    added: Signal<Local, Bits<5>>,
    more_used: Signal<Local, Bits<11>>,
    one32: Constant<Bits<32>>,
    one52: Constant<Bits<52>>,
    one5: Constant<Bits<5>>,
    none5: Constant<Bits<5>>,
    none10: Constant<Bits<10>>,
    none11: Constant<Bits<11>>,
    none16: Constant<Bits<16>>,
    three: Constant<Bits<16>>,
    ones16: Constant<Bits<16>>,
    seven: Constant<Bits<4>>,
    eight: Constant<Bits<4>>,
    three_bits: Constant<Bits<4>>,
    one4: Constant<Bits<4>>,
    /// Descriptors that may wait when eight more are asked for.
    room_for: Constant<Bits<5>>,
    capacity: Constant<Bits<11>>,
    least: Constant<Bits<10>>,
    longest: Constant<Bits<10>>,
    longest_code: Constant<Bits<3>>,
    shortest_frame: Constant<Bits<16>>,
    longest_frame: Constant<Bits<16>>,
    ports: Constant<Bits<2>>,
    bad_code: Constant<Bits<2>>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            forget: Signal::default(),
            restart: Signal::default(),
            clear: Signal::default(),
            serve: Signal::default(),
            bus_master: Signal::default(),
            max_read: Signal::default(),
            ring: Signal::default(),
            size: Signal::default(),
            tail: Signal::default(),
            descriptor: Signal::default(),
            descriptor_valid: Signal::default(),
            descriptor_ready: Signal::default(),
            tag: Signal::default(),
            tag_free: Signal::default(),
            claim: Signal::default(),
            claim_place: Signal::default(),
            claim_dwords: Signal::default(),
            claim_lower: Signal::default(),
            freed: Signal::default(),
            read: Signal::default(),
            read_valid: Signal::default(),
            read_ready: Signal::default(),
            order: Signal::default(),
            order_valid: Signal::default(),
            order_ready: Signal::default(),
            idle: Signal::default(),
            reads: Skid::default(),
            orders: Fifo::default(),
            state: DFF::default(),
            fetched: DFF::default(),
            reserved: DFF::default(),
            used: DFF::default(),
            place: DFF::default(),
            waiting: DFF::default(),
            slot: DFF::default(),
            count: DFF::default(),
            low_sum: DFF::default(),
            descriptors: DFF::default(),
            current: DFF::default(),
            page: DFF::default(),
            low: DFF::default(),
            remaining: DFF::default(),
            total: DFF::default(),
            chunk: DFF::default(),
            fits: DFF::default(),
            resting: DFF::default(),
            most: DFF::default(),
            wants: Signal::default(),
            span: Signal::default(),
            slot_mask: Signal::default(),
            block: Signal::default(),
            until_block: Signal::default(),
            slot_bytes: Signal::default(),
            upper: Signal::default(),
            length: Signal::default(),
            port: Signal::default(),
            at: Signal::default(),
            bad: Signal::default(),
            failed: Signal::default(),
            lead: Signal::default(),
            span_dwords: Signal::default(),
            to_page: Signal::default(),
            chunk_wide: Signal::default(),
            filled: Signal::default(),
            next_low: Signal::default(),
            goes: Signal::default(),
            skips: Signal::default(),
            pops: Signal::default(),
            is_last: Signal::default(),
            page_bytes: Signal::default(),
            grown: Signal::default(),
            added: Signal::default(),
            more_used: Signal::default(),
            one32: Constant::new(1.into()),
            one52: Constant::new(1.into()),
            one5: Constant::new(1.into()),
            none5: Constant::new(0.into()),
            none10: Constant::new(0.into()),
            none11: Constant::new(0.into()),
            none16: Constant::new(0.into()),
            three: Constant::new(3_u64.to_bits()),
            ones16: Constant::new(Bits::mask()),
            seven: Constant::new(7_u64.to_bits()),
            eight: Constant::new(8_u64.to_bits()),
            three_bits: Constant::new(3_u64.to_bits()),
            one4: Constant::new(1.into()),
            room_for: Constant::new(8_u64.to_bits()),
            capacity: Constant::new(1024_u64.to_bits()),
            least: Constant::new(32_u64.to_bits()),
            longest: Constant::new(128_u64.to_bits()),
            longest_code: Constant::new(2_u64.to_bits()),
            shortest_frame: Constant::new(14_u64.to_bits()),
            longest_frame: Constant::new((HOST_FRAME_BYTES as u64).to_bits()),
            ports: Constant::new((PORTS as u64).to_bits()),
            bad_code: Constant::new((FAULT_BAD).to_bits()),
        }
    }
}

impl Logic for Fetch {
    #[expect(clippy::collapsible_match, reason = "a kernel knows no guards")]
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            fetched,
            reserved,
            used,
            place,
            waiting,
            slot,
            count,
            low_sum,
            descriptors,
            current,
            page,
            low,
            remaining,
            total,
            chunk,
            fits,
            resting,
            most
        );
        clock!(self, clock, reads, orders);
        self.wants.next = self.serve.val()
            & self.bus_master.val()
            & self.size.val().any()
            & (self.tail.val() != self.fetched.q.val())
            & (self.reserved.q.val() <= self.room_for.val());
        self.most.d.next = self.least.val() << self.max_read.val();
        if self.max_read.val() >= self.longest_code.val() {
            self.most.d.next = self.longest.val();
        }

        // Descriptors up to the next multiple of 128 bytes, or the end of a shorter ring.
        self.span.next = self.ones16.val() << self.size.val();
        self.slot_mask.next = !self.span.val();
        self.block.next = self.eight.val();
        if self.size.val() < self.three_bits.val() {
            self.block.next = self.one4.val() << self.size.val();
        }
        self.until_block.next =
            self.block.val() - (self.slot.q.val().get_bits::<4>(0) & self.seven.val());
        self.slot_bytes.next = bit_cast::<33, 16>(self.slot.q.val()) << 4;
        self.upper.next = self.ring.val().get_bits::<32>(32);
        if self.low_sum.q.val().get_bit(32) {
            self.upper.next = self.ring.val().get_bits::<32>(32) + self.one32.val();
        }

        // The frame of a descriptor.
        self.length.next = self.current.q.val().length;
        self.port.next = self.current.q.val().port;
        self.at.next = self.current.q.val().address;
        self.failed.next = self.current.q.val().fault.any();
        self.bad.next = (self.length.val() < self.shortest_frame.val())
            | (self.length.val() > self.longest_frame.val())
            | (self.port.val() >= self.ports.val())
            | self.failed.val();
        self.lead.next = (self.length.val() + bit_cast::<16, 2>(self.at.val().get_bits::<2>(0)))
            + self.three.val();
        self.span_dwords.next = self.lead.val().get_bits::<10>(2);

        self.to_page.next = self.capacity.val() - bit_cast::<11, 10>(self.low.q.val());
        self.chunk_wide.next = bit_cast::<11, 10>(self.chunk.q.val());
        self.filled.next = self.used.q.val() + self.chunk_wide.val();
        self.fits.d.next = self.filled.val() <= self.capacity.val();
        self.next_low.next = bit_cast::<11, 10>(self.low.q.val()) + self.chunk_wide.val();
        self.is_last.next = self.chunk.q.val() == self.remaining.q.val();
        self.goes.next = (self.state.q.val() == State::Send)
            & self.tag_free.val()
            & self.fits.q.val()
            & self.orders.in_ready.val()
            & self.reads.in_ready.val()
            & self.bus_master.val()
            & (!self.forget.val());
        self.skips.next =
            (self.state.q.val() == State::Skip) & self.orders.in_ready.val() & (!self.forget.val());
        self.pops.next = self.descriptor_valid.val()
            & (self.forget.val() | ((self.state.q.val() == State::Idle) & (!self.wants.val())));

        match self.state.q.val() {
            State::Idle => {
                if self.wants.val() {
                    self.state.d.next = State::Pending;
                } else if self.descriptor_valid.val() {
                    self.current.d.next = self.descriptor.val();
                    self.state.d.next = State::Check;
                }
            }
            State::Pending => {
                self.waiting.d.next = self.tail.val() - self.fetched.q.val();
                self.slot.d.next = self.fetched.q.val() & self.slot_mask.val();
                self.state.d.next = State::Count;
            }
            State::Count => {
                self.count.d.next = self.until_block.val();
                if self.waiting.q.val() < bit_cast::<16, 4>(self.until_block.val()) {
                    self.count.d.next = self.waiting.q.val().get_bits::<4>(0);
                }
                self.low_sum.d.next =
                    bit_cast::<33, 32>(self.ring.val().get_bits::<32>(0)) + self.slot_bytes.val();
                self.state.d.next = State::Locate;
            }
            State::Locate => {
                self.descriptors.d.next = true;
                self.page.d.next = (bit_cast::<52, 32>(self.upper.val()) << 20)
                    | bit_cast::<52, 20>(self.low_sum.q.val().get_bits::<20>(12));
                self.low.d.next = self.low_sum.q.val().get_bits::<10>(2);
                self.remaining.d.next = bit_cast::<10, 4>(self.count.q.val()) << 2;
                self.total.d.next = bit_cast::<10, 4>(self.count.q.val()) << 2;
                self.chunk.d.next = bit_cast::<10, 4>(self.count.q.val()) << 2;
                self.state.d.next = State::Fit;
            }
            State::Check => {
                self.descriptors.d.next = false;
                self.page.d.next = self.at.val().get_bits::<52>(12);
                self.low.d.next = self.at.val().get_bits::<10>(2);
                self.remaining.d.next = self.span_dwords.val();
                self.total.d.next = self.span_dwords.val();
                self.state.d.next = State::Cut;
                if self.bad.val() {
                    self.state.d.next = State::Skip;
                }
            }
            State::Cut => {
                self.chunk.d.next = self.remaining.q.val();
                if self.remaining.q.val() > self.most.q.val() {
                    self.chunk.d.next = self.most.q.val();
                }
                self.state.d.next = State::Trim;
            }
            State::Trim => {
                if self.chunk_wide.val() > self.to_page.val() {
                    self.chunk.d.next = self.to_page.val().get_bits::<10>(0);
                }
                self.state.d.next = State::Fit;
            }
            State::Fit => {
                self.state.d.next = State::Send;
            }
            State::Send => {
                if self.goes.val() {
                    self.place.d.next = self.place.q.val() + self.chunk.q.val();
                    self.remaining.d.next = self.remaining.q.val() - self.chunk.q.val();
                    self.low.d.next = self.next_low.val().get_bits::<10>(0);
                    if self.next_low.val().get_bit(10) {
                        self.page.d.next = self.page.q.val() + self.one52.val();
                    }
                    self.state.d.next = State::Cut;
                    if self.is_last.val() {
                        self.state.d.next = State::Idle;
                    }
                    if self.descriptors.q.val() {
                        self.fetched.d.next =
                            self.fetched.q.val() + bit_cast::<16, 4>(self.count.q.val());
                    }
                }
            }
            State::Skip => {
                if self.skips.val() {
                    self.state.d.next = State::Idle;
                }
            }
            _ => {}
        }
        if self.forget.val() {
            self.state.d.next = State::Idle;
        }
        if self.clear.val() {
            self.fetched.d.next = self.none16.val();
        }
        self.descriptor_ready.next = self.pops.val();

        // Room for descriptors and for DWs.
        self.added.next = self.none5.val();
        if self.goes.val() & self.descriptors.q.val() {
            self.added.next = bit_cast::<5, 4>(self.count.q.val());
        }
        self.grown.next = self.reserved.q.val() + self.added.val();
        self.reserved.d.next = self.grown.val();
        if self.pops.val() {
            self.reserved.d.next = self.grown.val() - self.one5.val();
        }
        self.more_used.next = self.used.q.val();
        if self.goes.val() {
            self.more_used.next = self.filled.val();
        }
        self.used.d.next = self.more_used.val() - bit_cast::<11, 10>(self.freed.val());
        if self.restart.val() {
            self.reserved.d.next = self.none5.val();
            self.used.d.next = self.none11.val();
            self.place.d.next = self.none10.val();
        }

        self.claim.next = self.goes.val();
        self.claim_place.next = self.place.q.val();
        self.claim_dwords.next = self.chunk.q.val().get_bits::<8>(0);
        self.claim_lower.next = self.low.q.val().get_bits::<5>(0);
        self.page_bytes.next = bit_cast::<12, 10>(self.low.q.val()) << 2;
        self.reads.in_data.next.address = (bit_cast::<64, 52>(self.page.q.val()) << 12)
            | bit_cast::<64, 12>(self.page_bytes.val());
        self.reads.in_data.next.dwords = self.chunk.q.val();
        self.reads.in_data.next.tag = self.tag.val();
        self.reads.in_valid.next = self.goes.val();
        self.reads.out_ready.next = self.read_ready.val();
        self.read.next = self.reads.out_data.val();
        self.read_valid.next = self.reads.out_valid.val();

        self.orders.in_data.next.tag = self.tag.val();
        self.orders.in_data.next.last = self.is_last.val() | self.skips.val();
        self.orders.in_data.next.skip = self.skips.val();
        self.orders.in_data.next.descriptors = self.descriptors.q.val();
        self.orders.in_data.next.dwords = self.total.q.val();
        self.orders.in_data.next.length = self.length.val().get_bits::<11>(0);
        self.orders.in_data.next.offset = self.at.val().get_bits::<2>(0);
        self.orders.in_data.next.port = self.port.val();
        self.orders.in_data.next.lookup = self.current.q.val().lookup;
        self.orders.in_data.next.fault = self.bad_code.val();
        if self.failed.val() {
            self.orders.in_data.next.fault = self.current.q.val().fault;
        }
        self.orders.in_valid.next = self.goes.val() | self.skips.val();
        self.order.next = self.orders.out_data.val();
        self.order_valid.next = self.orders.out_valid.val();
        self.orders.out_ready.next = self.order_ready.val();
        self.resting.d.next = (self.state.q.val() == State::Idle)
            & (!self.wants.val())
            & (!self.reserved.q.val().any())
            & (!self.orders.out_valid.val());
        self.idle.next = self.resting.q.val();
    }
}
