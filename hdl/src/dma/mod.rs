//! Rings in host memory: punted frames go there by themselves, frames to inject are fetched from there.
//!
//! Asks nothing of the host but memory: it drops and counts what finds no room, gives up what is not answered, and
//! stalls neither the ports nor the registers. Uses two block RAMs, both for the reorder buffer, and no DSP.
//!
//! ```text
//! punt buffer ─► drain ─► beats ───────► mover ─► write data ┐
//!                  └────► notice ─► plan ─► write headers ───┼─► endpoint ─► host memory
//!                                status ─┘                   │
//! arbiter ◄───────────────── inject ring ─► reads ───────────┘
//!                                 └◄─ completions ◄──────────── endpoint
//!                registers
//! ```

/// What the parts tell each other.
pub mod record;
/// What the host sets and sees.
pub mod registers;
/// Frames out of the punt buffer.
pub mod drain;
/// Where each frame goes.
pub mod plan;
/// Beats to the endpoint.
pub mod mover;
/// What the host is told.
pub mod status;
/// Reads that are asked for.
pub mod fetch;
/// Who is waited for.
pub mod tags;
/// Completions as they come.
pub mod receive;
/// Where they wait for their turn.
pub mod reorder;
/// Reads that are over.
pub mod retire;
/// Frames and descriptors as they leave.
pub mod unload;
/// The inject ring wired up.
pub mod inject_ring;
/// Window and ring as one stream.
pub mod merge;

use rust_hdl_core::prelude::*;

use self::drain::Drain;
use self::inject_ring::InjectRing;
use self::mover::Mover;
use self::plan::Plan;
use self::record::Injected;
use self::registers::Registers;
use self::status::Status;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Dma {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// As `function_reset`, for the whole card.
    pub reset: Signal<In, Bit>,
    /// Rings and registers back to their reset state.
    pub function_reset: Signal<In, Bit>,
    /// Byte address of a register.
    pub address: Signal<In, Bits<16>>,
    /// Write `wdata` at this edge.
    pub write: Signal<In, Bit>,
    /// New value.
    pub wdata: Signal<In, Bits<32>>,
    /// The register, or zero, one clock after its address.
    pub data: Signal<Out, Bits<32>>,
    /// Frames in the punt buffer.
    pub waiting: Signal<In, Bits<5>>,
    /// `Metadata` of the oldest, and its beats above.
    pub oldest: Signal<In, Bits<86>>,
    /// The punt buffer is read by `line`, and released by `pop`.
    pub takes: Signal<Out, Bit>,
    /// Beat of the oldest frame.
    pub line: Signal<Out, Bits<9>>,
    /// That beat, three clocks later.
    pub beat: Signal<In, Bits<64>>,
    /// Release the oldest frame.
    pub pop: Signal<Out, Bit>,
    /// Beat of a frame from the inject ring.
    pub inject_beat: Signal<Out, Injected>,
    /// It is offered.
    pub inject_valid: Signal<Out, Bit>,
    /// It is taken.
    pub inject_ready: Signal<In, Bit>,
    /// A frame is on its way to the arbiter.
    pub sending: Signal<Out, Bit>,
    /// `PUNT_RING_FULL`, high for one clock.
    pub full: Signal<Out, Bit>,
    /// `PUNT_DMA_OFF`, high for one clock.
    pub off: Signal<Out, Bit>,
    /// `INJECT_BAD_DESCRIPTOR`, high for one clock.
    pub bad: Signal<Out, Bit>,
    /// `INJECT_READ_ERROR`, high for one clock.
    pub error: Signal<Out, Bit>,
    /// `INJECT_READ_TIMEOUT`, high for one clock.
    pub overdue: Signal<Out, Bit>,
    /// `TLP_UNEXPECTED`, high for one clock: a completion with a tag nobody waits for.
    pub unexpected: Signal<Out, Bit>,
    /// Bus mastering is on.
    pub bus_master: Signal<In, Bit>,
    /// Longest write, 128 bytes and its doublings.
    pub max_payload: Signal<In, Bits<3>>,
    /// Longest read, 128 bytes and its doublings.
    pub max_read_request: Signal<In, Bits<3>>,
    /// A write is offered.
    pub write_valid: Signal<Out, Bit>,
    /// It is taken; its data follow.
    pub write_ready: Signal<In, Bit>,
    /// A multiple of four.
    pub write_address: Signal<Out, Bits<64>>,
    /// Its DWs.
    pub write_dwords: Signal<Out, Bits<10>>,
    /// Two DWs of it.
    pub write_data: Signal<Out, Bits<64>>,
    /// They are offered.
    pub write_data_valid: Signal<Out, Bit>,
    /// They are taken.
    pub write_data_ready: Signal<In, Bit>,
    /// The oldest write has gone to the link, or was given up; high for one clock.
    pub write_done: Signal<In, Bit>,
    /// A read is offered.
    pub read_valid: Signal<Out, Bit>,
    /// It is taken.
    pub read_ready: Signal<In, Bit>,
    /// A multiple of four.
    pub read_address: Signal<Out, Bits<64>>,
    /// 1..=128.
    pub read_dwords: Signal<Out, Bits<10>>,
    /// Byte enables of the first DW.
    pub read_first_enable: Signal<Out, Bits<4>>,
    /// Byte enables of the last DW, none when there is one.
    pub read_last_enable: Signal<Out, Bits<4>>,
    /// Under which its completions come.
    pub read_tag: Signal<Out, Bits<5>>,
    /// A completion begins, high for one clock.
    pub completion_valid: Signal<In, Bit>,
    /// Its tag.
    pub completion_tag: Signal<In, Bits<5>>,
    /// It is not successful, or poisoned.
    pub completion_failed: Signal<In, Bit>,
    /// Byte Count.
    pub completion_bytes: Signal<In, Bits<12>>,
    /// Lower Address.
    pub completion_lower: Signal<In, Bits<7>>,
    /// DWs of payload.
    pub completion_dwords: Signal<In, Bits<10>>,
    /// Two of them.
    pub completion_data: Signal<In, Bits<64>>,
    /// They come now.
    pub completion_data_valid: Signal<In, Bit>,
    /// They are the last.
    pub completion_data_last: Signal<In, Bit>,
    /// Vectors, high for one clock.
    pub raise: Signal<Out, Bits<6>>,
    /// `INTERRUPT_GAP`.
    pub interrupt_gap: Signal<Out, Bits<32>>,
    registers: Registers,
    drain: Drain,
    plan: Plan,
    mover: Mover,
    status: Status,
    inject: InjectRing,
    restart: Signal<Local, Bit>,
    lost_inject: Signal<Local, Bit>,
    all: Constant<Bits<4>>,
    none: Constant<Bits<4>>,
    one: Constant<Bits<10>>,
}

impl Default for Dma {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            function_reset: Signal::default(),
            address: Signal::default(),
            write: Signal::default(),
            wdata: Signal::default(),
            data: Signal::default(),
            waiting: Signal::default(),
            oldest: Signal::default(),
            takes: Signal::default(),
            line: Signal::default(),
            beat: Signal::default(),
            pop: Signal::default(),
            inject_beat: Signal::default(),
            inject_valid: Signal::default(),
            inject_ready: Signal::default(),
            sending: Signal::default(),
            full: Signal::default(),
            off: Signal::default(),
            bad: Signal::default(),
            error: Signal::default(),
            overdue: Signal::default(),
            unexpected: Signal::default(),
            bus_master: Signal::default(),
            max_payload: Signal::default(),
            max_read_request: Signal::default(),
            write_valid: Signal::default(),
            write_ready: Signal::default(),
            write_address: Signal::default(),
            write_dwords: Signal::default(),
            write_data: Signal::default(),
            write_data_valid: Signal::default(),
            write_data_ready: Signal::default(),
            write_done: Signal::default(),
            read_valid: Signal::default(),
            read_ready: Signal::default(),
            read_address: Signal::default(),
            read_dwords: Signal::default(),
            read_first_enable: Signal::default(),
            read_last_enable: Signal::default(),
            read_tag: Signal::default(),
            completion_valid: Signal::default(),
            completion_tag: Signal::default(),
            completion_failed: Signal::default(),
            completion_bytes: Signal::default(),
            completion_lower: Signal::default(),
            completion_dwords: Signal::default(),
            completion_data: Signal::default(),
            completion_data_valid: Signal::default(),
            completion_data_last: Signal::default(),
            raise: Signal::default(),
            interrupt_gap: Signal::default(),
            registers: Registers::default(),
            drain: Drain::default(),
            plan: Plan::default(),
            mover: Mover::default(),
            status: Status::default(),
            inject: InjectRing::default(),
            restart: Signal::default(),
            lost_inject: Signal::default(),
            all: Constant::new(Bits::mask()),
            none: Constant::new(0.into()),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for Dma {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, registers, drain, plan, mover, status, inject);
        self.restart.next = self.reset.val() | self.function_reset.val();

        self.registers.reset.next = self.restart.val();
        self.registers.address.next = self.address.val();
        self.registers.write.next = self.write.val();
        self.registers.wdata.next = self.wdata.val();
        self.registers.punt_busy.next = self.plan.busy.val();
        self.registers.inject_busy.next = self.inject.busy.val();
        self.registers.bus_master.next = self.bus_master.val();
        self.registers.inject_head.next = self.inject.head.val();
        self.data.next = self.registers.data.val();
        self.interrupt_gap.next = self.registers.interrupt_gap.val();

        // Punted frames.
        self.drain.enable.next = self.registers.punt_on.val() & (!self.plan.stopped.val());
        self.drain.available.next = self.waiting.val().any();
        self.drain.oldest.next = self.oldest.val();
        self.drain.beat.next = self.beat.val();
        self.takes.next = self.registers.punt_on.val() | (!self.drain.idle.val());
        self.line.next = self.drain.line.val();
        self.pop.next = self.drain.pop.val();
        self.drain.notice_ready.next = self.plan.notice_ready.val();
        self.drain.data_ready.next = self.mover.data_ready.val();
        self.plan.reset.next = self.restart.val();
        self.plan.bus_master.next = self.bus_master.val();
        self.plan.max_payload.next = self.max_payload.val();
        self.plan.block.next = self.registers.block.val();
        for i in 0..4 {
            self.plan.ring_low[i].next = self.registers.ring_low[i].val();
            self.plan.ring_high[i].next = self.registers.ring_high[i].val();
            self.plan.size[i].next = self.registers.size[i].val();
            self.plan.head[i].next = self.registers.head[i].val();
            self.plan.clear[i].next = self.registers.clear[i].val();
            self.registers.tail[i].next = self.plan.tail[i].val();
            self.status.tail[i].next = self.plan.tail[i].val();
            self.mover.status[i].next = self.status.word[i].val();
        }
        self.plan.notice.next = self.drain.notice.val();
        self.plan.notice_valid.next = self.drain.notice_valid.val();
        self.plan.others_idle.next = self.drain.idle.val() & self.mover.idle.val();
        self.plan.more.next = self.registers.punt_on.val() & self.waiting.val().any();
        self.plan.placed.next = self.mover.placed.val();
        self.plan.placed_queue.next = self.mover.placed_queue.val();
        self.plan.announced.next = self.mover.announced.val();
        self.plan.ring_moved.next = self.status.ring_moved.val();
        self.plan.inject_due.next = self.status.inject_due.val();
        self.plan.write_ready.next = self.write_ready.val();
        self.plan.moves_ready.next = self.mover.moves_ready.val();
        self.mover.moves.next = self.plan.moves.val();
        self.mover.moves_valid.next = self.plan.moves_valid.val();
        self.mover.data.next = self.drain.data.val();
        self.mover.data_valid.next = self.drain.data_valid.val();
        self.mover.write_data_ready.next = self.write_data_ready.val();
        self.mover.write_done.next = self.write_done.val();
        self.write_valid.next = self.plan.write_valid.val();
        self.write_address.next = self.plan.write_head.val().address;
        self.write_dwords.next = self.plan.write_head.val().dwords;
        self.write_data.next = self.mover.write_data.val();
        self.write_data_valid.next = self.mover.write_data_valid.val();
        self.full.next = self.plan.full.val();
        self.off.next = self.plan.off.val();

        // Frames to inject.
        self.inject.reset.next = self.restart.val();
        self.inject.clear.next = self.registers.inject_clear.val();
        self.inject.serve.next = self.registers.inject_on.val();
        self.inject.bus_master.next = self.bus_master.val();
        self.inject.max_read.next = self.max_read_request.val();
        self.inject.ring.next = self.registers.inject_ring.val();
        self.inject.size.next = self.registers.inject_size.val();
        self.inject.tail.next = self.registers.inject_tail.val();
        self.inject.timeout.next = self.registers.timeout.val();
        self.inject.read_ready.next = self.read_ready.val();
        self.read_valid.next = self.inject.read_valid.val();
        self.read_address.next = self.inject.read.val().address;
        self.read_dwords.next = self.inject.read.val().dwords;
        self.read_first_enable.next = self.all.val();
        self.read_last_enable.next = self.all.val();
        if self.inject.read.val().dwords == self.one.val() {
            self.read_last_enable.next = self.none.val();
        }
        self.read_tag.next = bit_cast::<5, 4>(self.inject.read.val().tag);
        self.inject.completion_valid.next = self.completion_valid.val();
        self.inject.completion_tag.next = self.completion_tag.val();
        self.inject.completion_failed.next = self.completion_failed.val();
        self.inject.completion_bytes.next = self.completion_bytes.val();
        self.inject.completion_lower.next = self.completion_lower.val();
        self.inject.completion_dwords.next = self.completion_dwords.val();
        self.inject.completion_data.next = self.completion_data.val();
        self.inject.completion_data_valid.next = self.completion_data_valid.val();
        self.inject.completion_data_last.next = self.completion_data_last.val();
        self.inject_beat.next = self.inject.beat.val();
        self.inject_valid.next = self.inject.beat_valid.val();
        self.inject.beat_ready.next = self.inject_ready.val();
        self.sending.next = self.inject.sending.val();
        self.bad.next = self.inject.bad.val();
        self.error.next = self.inject.error.val();
        self.overdue.next = self.inject.overdue.val();
        self.unexpected.next = self.inject.unexpected.val();

        // What the host is told.
        self.lost_inject.next =
            self.inject.bad.val() | self.inject.error.val() | self.inject.overdue.val();
        self.status.reset.next = self.restart.val();
        self.status.inject_head.next = self.inject.head.val();
        self.status.advanced.next = self.plan.advanced.val();
        self.status.ring.next = self.mover.placed_queue.val();
        self.status.inject_moved.next = self.inject.moved.val();
        self.status.inject_rests.next = self.inject.rests.val();
        self.status.lost_punt.next = self.plan.full.val() | self.plan.off.val();
        self.status.lost_inject.next = self.lost_inject.val();
        self.status.snapshot.next = self.mover.snapshot.val();
        self.status.announced.next = self.mover.announced.val();
        self.status.telling.next = self.plan.telling.val();
        self.status.bus_master.next = self.bus_master.val();
        self.raise.next = self.status.raise.val();
    }
}
