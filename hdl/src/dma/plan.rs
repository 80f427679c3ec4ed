//! Says where each punted frame goes: its slot in a ring of host memory, cut into writes, or nowhere.
//!
//! A [`Notice`] comes in; headers of writes go to the endpoint, and for each a [`Move`] to the mover, in the same
//! order. A frame whose ring is full or absent is discarded and counted. When bus mastering goes off, or the
//! function is reset, all frames that have not left are discarded, and what was `claimed` for them is given back.
//! Behind eight frames, and when there is nothing else to do, comes a write of `DmaStatus`. A frame of one write
//! takes eight clocks. Costs about 600 LUTs.

#![allow(clippy::collapsible_match, reason = "kernels have no guards")]

use layout::table::PUNT_SLOT_BYTES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::{Move, Notice, WriteHead};
use crate::fifo::Fifo;

/// What is done with a frame, step by step.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    Idle,
    Look,
    Judge,
    Place,
    Decide,
    Cut,
    Send,
    Status,
}

/// The planner; see the module's text.
#[derive(LogicBlock)]
pub struct Plan {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forget the rings.
    pub reset: Signal<In, Bit>,
    /// Host memory may be written.
    pub bus_master: Signal<In, Bit>,
    /// Longest write, 128 bytes and its doublings.
    pub max_payload: Signal<In, Bits<3>>,
    /// `DMA_BLOCK`.
    pub block: Signal<In, Bits<64>>,
    /// `PUNT_RING_LOW`.
    pub ring_low: [Signal<In, Bits<32>>; 4],
    /// `PUNT_RING_HIGH`.
    pub ring_high: [Signal<In, Bits<32>>; 4],
    /// `PUNT_RING_SIZE`.
    pub size: [Signal<In, Bits<4>>; 4],
    /// `PUNT_HEAD`.
    pub head: [Signal<In, Bits<16>>; 4],
    /// Set the indices of the ring to zero.
    pub clear: [Signal<In, Bit>; 4],
    /// `PUNT_TAIL`.
    pub tail: [Signal<Out, Bits<16>>; 4],
    /// A frame.
    pub notice: Signal<In, Notice>,
    /// It is offered.
    pub notice_valid: Signal<In, Bit>,
    /// It is taken.
    pub notice_ready: Signal<Out, Bit>,
    /// Nothing is on its way before the planner or behind it.
    pub others_idle: Signal<In, Bit>,
    /// Frames wait that will come.
    pub more: Signal<In, Bit>,
    /// The last write of a frame is over.
    pub placed: Signal<In, Bit>,
    /// Its ring.
    pub placed_queue: Signal<In, Bits<2>>,
    /// The write of `DmaStatus` is over.
    pub announced: Signal<In, Bit>,
    /// Tails have moved that the host was not told of.
    pub ring_moved: Signal<In, Bit>,
    /// The host is to be told of the inject ring.
    pub inject_due: Signal<In, Bit>,
    /// No frame may begin.
    pub stopped: Signal<Out, Bit>,
    /// The tail of `placed_queue` moves.
    pub advanced: Signal<Out, Bit>,
    /// Header of a write.
    pub write_head: Signal<Out, WriteHead>,
    /// It is offered.
    pub write_valid: Signal<Out, Bit>,
    /// It is taken.
    pub write_ready: Signal<In, Bit>,
    /// What to do with beats.
    pub moves: Signal<Out, Move>,
    /// It is offered.
    pub moves_valid: Signal<Out, Bit>,
    /// It is taken.
    pub moves_ready: Signal<In, Bit>,
    /// A frame was dropped, ring full or absent; high for one clock.
    pub full: Signal<Out, Bit>,
    /// A frame was dropped, bus mastering off or function reset; high for one clock.
    pub off: Signal<Out, Bit>,
    /// A frame or its indices are on their way.
    pub busy: Signal<Out, Bit>,
    /// `DmaStatus` is on its way.
    pub telling: Signal<Out, Bit>,
    heads: Fifo<WriteHead, 1, 2>,
    commands: Fifo<Move, 1, 2>,
    tails: [DFF<Bits<16>>; 4],
    /// Tails that count the frames on their way.
    claimed: [DFF<Bits<16>>; 4],
    state: DFF<State>,
    /// Everything on its way is lost.
    aborting: DFF<Bit>,
    /// A status is on its way.
    flying: DFF<Bit>,
    /// Frames since the last status.
    batch: DFF<Bits<4>>,
    queue: DFF<Bits<2>>,
    base_low: DFF<Bits<32>>,
    base_high: DFF<Bits<32>>,
    ring_size: DFF<Bits<4>>,
    host: DFF<Bits<16>>,
    next_slot: DFF<Bits<16>>,
    held: DFF<Bits<16>>,
    slot: DFF<Bits<16>>,
    no_room: DFF<Bit>,
    low: DFF<Bits<33>>,
    address: DFF<Bits<64>>,
    dropped: DFF<Bit>,
    remaining: DFF<Bits<10>>,
    offset: DFF<Bits<10>>,
    chunk: DFF<Bits<10>>,
    most: DFF<Bits<10>>,
    full_event: DFF<Bit>,
    off_event: DFF<Bit>,
    /// A frame was lost as it left, and is not counted yet.
    late_loss: DFF<Bit>,
    quiet: Signal<Local, Bit>,
    claims: Signal<Local, Bit>,
    loses: Signal<Local, Bit>,
    due: Signal<Local, Bit>,
    can_send: Signal<Local, Bit>,
    open: Signal<Local, Bit>,
    is_last: Signal<Local, Bit>,
    padded: Signal<Local, Bits<16>>,
    span: Signal<Local, Bits<16>>,
    inverted: Signal<Local, Bits<16>>,
    overrun: Signal<Local, Bits<16>>,
    shifted: Signal<Local, Bits<10>>,
    rounded: Signal<Local, Bits<10>>,
    byte_offset: Signal<Local, Bits<12>>,
    head_address: Signal<Local, Bits<64>>,
    upper: Signal<Local, Bits<32>>,
    slot_bytes: Signal<Local, Bits<33>>,
    number: [Constant<Bits<2>>; 4],
    one16: Constant<Bits<16>>,
    one32: Constant<Bits<32>>,
    one10: Constant<Bits<10>>,
    one4: Constant<Bits<4>>,
    zero4: Constant<Bits<4>>,
    zero10: Constant<Bits<10>>,
    zero16: Constant<Bits<16>>,
    ones16: Constant<Bits<16>>,
    /// Sixteen bytes in front, rounded up to DWs.
    header_and_round: Constant<Bits<16>>,
    least: Constant<Bits<10>>,
    whole_slot: Constant<Bits<10>>,
    whole_slot_code: Constant<Bits<3>>,
    status_dwords: Constant<Bits<10>>,
    status_beats: Constant<Bits<9>>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            bus_master: Signal::default(),
            max_payload: Signal::default(),
            block: Signal::default(),
            ring_low: std::array::from_fn(|_| Default::default()),
            ring_high: std::array::from_fn(|_| Default::default()),
            size: std::array::from_fn(|_| Default::default()),
            head: std::array::from_fn(|_| Default::default()),
            clear: std::array::from_fn(|_| Default::default()),
            tail: std::array::from_fn(|_| Default::default()),
            notice: Signal::default(),
            notice_valid: Signal::default(),
            notice_ready: Signal::default(),
            others_idle: Signal::default(),
            more: Signal::default(),
            placed: Signal::default(),
            placed_queue: Signal::default(),
            announced: Signal::default(),
            ring_moved: Signal::default(),
            inject_due: Signal::default(),
            stopped: Signal::default(),
            advanced: Signal::default(),
            write_head: Signal::default(),
            write_valid: Signal::default(),
            write_ready: Signal::default(),
            moves: Signal::default(),
            moves_valid: Signal::default(),
            moves_ready: Signal::default(),
            full: Signal::default(),
            off: Signal::default(),
            busy: Signal::default(),
            telling: Signal::default(),
            heads: Fifo::default(),
            commands: Fifo::default(),
            tails: std::array::from_fn(|_| Default::default()),
            claimed: std::array::from_fn(|_| Default::default()),
            state: DFF::default(),
            aborting: DFF::default(),
            flying: DFF::default(),
            batch: DFF::default(),
            queue: DFF::default(),
            base_low: DFF::default(),
            base_high: DFF::default(),
            ring_size: DFF::default(),
            host: DFF::default(),
            next_slot: DFF::default(),
            held: DFF::default(),
            slot: DFF::default(),
            no_room: DFF::default(),
            low: DFF::default(),
            address: DFF::default(),
            dropped: DFF::default(),
            remaining: DFF::default(),
            offset: DFF::default(),
            chunk: DFF::default(),
            most: DFF::default(),
            full_event: DFF::default(),
            off_event: DFF::default(),
            late_loss: DFF::default(),
            quiet: Signal::default(),
            claims: Signal::default(),
            loses: Signal::default(),
            due: Signal::default(),
            can_send: Signal::default(),
            open: Signal::default(),
            is_last: Signal::default(),
            padded: Signal::default(),
            span: Signal::default(),
            inverted: Signal::default(),
            overrun: Signal::default(),
            shifted: Signal::default(),
            rounded: Signal::default(),
            byte_offset: Signal::default(),
            head_address: Signal::default(),
            upper: Signal::default(),
            slot_bytes: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            one16: Constant::new(1.into()),
            one32: Constant::new(1.into()),
            one10: Constant::new(1.into()),
            one4: Constant::new(1.into()),
            zero4: Constant::new(0.into()),
            zero10: Constant::new(0.into()),
            zero16: Constant::new(0.into()),
            ones16: Constant::new(Bits::mask()),
            header_and_round: Constant::new(19_u64.to_bits()),
            least: Constant::new(32_u64.to_bits()),
            whole_slot: Constant::new((PUNT_SLOT_BYTES as u64 / 4).to_bits()),
            whole_slot_code: Constant::new(4_u64.to_bits()),
            status_dwords: Constant::new(8_u64.to_bits()),
            status_beats: Constant::new(4_u64.to_bits()),
        }
    }
}

impl Logic for Plan {
    #[expect(clippy::collapsible_match, reason = "a kernel knows no guards")]
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, aborting, flying, batch, queue, base_low, base_high, ring_size,
            host, next_slot, held, slot, no_room, low, address, dropped, remaining, offset, chunk,
            most, full_event, off_event, late_loss
        );
        clock!(self, clock, heads, commands);
        self.quiet.next = self.others_idle.val()
            & (self.state.q.val() == State::Idle)
            & (!self.heads.out_valid.val())
            & (!self.commands.out_valid.val());
        if self.quiet.val() {
            self.aborting.d.next = self.reset.val();
        } else {
            self.aborting.d.next =
                self.aborting.q.val() | self.reset.val() | (!self.bus_master.val());
        }
        self.stopped.next = self.aborting.q.val() | self.reset.val();
        self.advanced.next = self.placed.val() & (!self.aborting.q.val());
        self.due.next = self.bus_master.val()
            & (!self.aborting.q.val())
            & (!self.flying.q.val())
            & (self.batch.q.val().get_bit(3)
                | self.inject_due.val()
                | (self.ring_moved.val() & self.quiet.val() & (!self.more.val())));

        // Eight frames wait for their status, unless it cannot be sent.
        self.open.next = (!self.batch.q.val().get_bit(3)) | self.aborting.q.val();

        // Longest write; a slot is not longer than 2 048 bytes.
        self.shifted.next = self.least.val() << self.max_payload.val();
        self.most.d.next = self.shifted.val();
        if self.max_payload.val() >= self.whole_slot_code.val() {
            self.most.d.next = self.whole_slot.val();
        }

        self.padded.next = self.notice.val().length + self.header_and_round.val();
        self.span.next = self.ones16.val() << self.ring_size.q.val();
        self.inverted.next = !self.span.val();
        self.overrun.next = self.held.q.val() >> self.ring_size.q.val();
        self.slot_bytes.next = bit_cast::<33, 16>(self.slot.q.val()) << 11;
        self.upper.next = self.base_high.q.val();
        if self.low.q.val().get_bit(32) {
            self.upper.next = self.base_high.q.val() + self.one32.val();
        }
        self.is_last.next = self.chunk.q.val() == self.remaining.q.val();
        self.byte_offset.next = bit_cast::<12, 10>(self.offset.q.val()) << 2;
        self.head_address.next = self.address.q.val() | bit_cast::<64, 12>(self.byte_offset.val());
        self.can_send.next = self.heads.in_ready.val() & self.commands.in_ready.val();

        self.notice_ready.next = false;
        self.claims.next = false;
        self.loses.next = false;
        self.full_event.d.next = false;
        self.heads.in_valid.next = false;
        self.heads.in_data.next.address = self.head_address.val();
        self.heads.in_data.next.dwords = self.chunk.q.val();
        self.rounded.next = self.chunk.q.val() + self.one10.val();
        self.commands.in_valid.next = false;
        self.commands.in_data.next.last = self.is_last.val();
        self.commands.in_data.next.status = false;
        self.commands.in_data.next.discard = false;
        self.commands.in_data.next.queue = self.queue.q.val();
        match self.state.q.val() {
            State::Idle => {
                if self.due.val() {
                    self.state.d.next = State::Status;
                } else if self.notice_valid.val() & self.open.val() {
                    self.notice_ready.next = true;
                    self.state.d.next = State::Look;
                    self.remaining.d.next = self.padded.val().get_bits::<10>(2);
                    self.queue.d.next = self.notice.val().queue;
                    self.offset.d.next = self.zero10.val();
                }
            }
            State::Look => {
                for i in 0..4 {
                    if self.queue.q.val() == self.number[i].val() {
                        self.base_low.d.next = self.ring_low[i].val();
                        self.base_high.d.next = self.ring_high[i].val();
                        self.ring_size.d.next = self.size[i].val();
                        self.host.d.next = self.head[i].val();
                        self.next_slot.d.next = self.claimed[i].q.val();
                    }
                }
                self.state.d.next = State::Judge;
            }
            State::Judge => {
                self.held.d.next = self.next_slot.q.val() - self.host.q.val();
                self.slot.d.next = self.next_slot.q.val() & self.inverted.val();
                self.state.d.next = State::Place;
            }
            State::Place => {
                self.no_room.d.next = self.overrun.val().any() | (!self.ring_size.q.val().any());
                self.low.d.next = bit_cast::<33, 32>(self.base_low.q.val()) + self.slot_bytes.val();
                self.state.d.next = State::Decide;
            }
            State::Decide => {
                self.address.d.next = (bit_cast::<64, 32>(self.upper.val()) << 32)
                    | bit_cast::<64, 32>(self.low.q.val().get_bits::<32>(0));
                self.dropped.d.next = self.aborting.q.val() | self.no_room.q.val();
                if self.aborting.q.val() {
                    self.loses.next = true;
                } else if self.no_room.q.val() {
                    self.full_event.d.next = true;
                } else {
                    self.claims.next = true;
                }
                self.state.d.next = State::Cut;
            }
            State::Cut => {
                self.chunk.d.next = self.remaining.q.val();
                if self.remaining.q.val() > self.most.q.val() {
                    self.chunk.d.next = self.most.q.val();
                }
                self.state.d.next = State::Send;
            }
            State::Send => {
                if self.can_send.val() {
                    self.commands.in_valid.next = true;
                    if self.dropped.q.val() | self.aborting.q.val() {
                        self.rounded.next = self.remaining.q.val() + self.one10.val();
                        self.commands.in_data.next.last = true;
                        self.commands.in_data.next.discard = true;
                        self.loses.next = !self.dropped.q.val();
                        self.state.d.next = State::Idle;
                    } else {
                        self.heads.in_valid.next = true;
                        self.remaining.d.next = self.remaining.q.val() - self.chunk.q.val();
                        self.offset.d.next = self.offset.q.val() + self.chunk.q.val();
                        self.state.d.next = State::Cut;
                        if self.is_last.val() {
                            self.batch.d.next = self.batch.q.val() + self.one4.val();
                            self.state.d.next = State::Idle;
                        }
                    }
                }
            }
            State::Status => {
                if self.aborting.q.val() {
                    self.state.d.next = State::Idle;
                } else if self.can_send.val() {
                    self.heads.in_valid.next = true;
                    self.heads.in_data.next.address = self.block.val();
                    self.heads.in_data.next.dwords = self.status_dwords.val();
                    self.commands.in_valid.next = true;
                    self.commands.in_data.next.last = false;
                    self.commands.in_data.next.status = true;
                    self.batch.d.next = self.zero4.val();
                    self.flying.d.next = true;
                    self.state.d.next = State::Idle;
                }
            }
            _ => {}
        }
        self.commands.in_data.next.beats = self.rounded.val().get_bits::<9>(1);
        if self.state.q.val() == State::Status {
            self.commands.in_data.next.beats = self.status_beats.val();
        }
        if self.announced.val() {
            self.flying.d.next = false;
        }

        for i in 0..4 {
            self.tails[i].clock.next = self.clock.val();
            self.claimed[i].clock.next = self.clock.val();
            self.tails[i].d.next = self.tails[i].q.val();
            self.claimed[i].d.next = self.claimed[i].q.val();
            if self.advanced.val() & (self.placed_queue.val() == self.number[i].val()) {
                self.tails[i].d.next = self.tails[i].q.val() + self.one16.val();
            }
            if self.claims.val() & (self.queue.q.val() == self.number[i].val()) {
                self.claimed[i].d.next = self.claimed[i].q.val() + self.one16.val();
            }
            if self.aborting.q.val() & self.quiet.val() {
                self.claimed[i].d.next = self.tails[i].q.val();
            }
            if self.reset.val() | self.clear[i].val() {
                self.tails[i].d.next = self.zero16.val();
                self.claimed[i].d.next = self.zero16.val();
            }
            self.tail[i].next = self.tails[i].q.val();
        }
        if self.aborting.q.val() & self.quiet.val() {
            self.batch.d.next = self.zero4.val();
        }

        // Two frames may be lost in one clock: the one that leaves is counted when there is no other.
        self.off_event.d.next = self.loses.val() | self.late_loss.q.val();
        self.late_loss.d.next = (self.late_loss.q.val() & self.loses.val())
            | (self.placed.val() & self.aborting.q.val());
        self.full.next = self.full_event.q.val();
        self.off.next = self.off_event.q.val();

        self.write_head.next = self.heads.out_data.val();
        self.write_valid.next = self.heads.out_valid.val();
        self.heads.out_ready.next = self.write_ready.val();
        self.moves.next = self.commands.out_data.val();
        self.moves_valid.next = self.commands.out_valid.val();
        self.commands.out_ready.next = self.moves_ready.val();
        self.telling.next = self.flying.q.val();
        self.busy.next = (!self.quiet.val())
            | self.late_loss.q.val()
            | (self.bus_master.val() & self.ring_moved.val());
    }
}

// The kernel cuts slots out of an address, which is a multiple of a slot.
const _: () = assert!(PUNT_SLOT_BYTES == 1 << 11);
