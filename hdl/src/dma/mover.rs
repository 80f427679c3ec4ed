//! Moves the beats of writes to the endpoint, in the order of the planner's [`Move`]s.
//!
//! A beat a clock, without a pause between frames. `placed` and `announced` come when the endpoint has passed the
//! write to the link, or given it up: until then bus mastering may go off and the write be lost. `DmaStatus` is
//! copied when all writes in front of it are over, so it tells of nothing that may still be lost. Costs about
//! 150 LUTs and a skid buffer.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::{Ending, Move};
use crate::fifo::Fifo;
use crate::skid::Skid;

/// The mover; see the module's text.
#[derive(LogicBlock)]
pub struct Mover {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// What to do with the next beats.
    pub moves: Signal<In, Move>,
    /// It is offered.
    pub moves_valid: Signal<In, Bit>,
    /// It is taken.
    pub moves_ready: Signal<Out, Bit>,
    /// Beat of a frame.
    pub data: Signal<In, Bits<64>>,
    /// It is offered.
    pub data_valid: Signal<In, Bit>,
    /// It is taken.
    pub data_ready: Signal<Out, Bit>,
    /// Beats of `DmaStatus`, two clocks after `snapshot`.
    pub status: [Signal<In, Bits<64>>; 4],
    /// Copy them.
    pub snapshot: Signal<Out, Bit>,
    /// Beat for the endpoint.
    pub write_data: Signal<Out, Bits<64>>,
    /// It is offered.
    pub write_data_valid: Signal<Out, Bit>,
    /// It is taken.
    pub write_data_ready: Signal<In, Bit>,
    /// The oldest write has gone to the link, or was given up; high for one clock.
    pub write_done: Signal<In, Bit>,
    /// The last write of a frame is over, high for one clock.
    pub placed: Signal<Out, Bit>,
    /// Its ring.
    pub placed_queue: Signal<Out, Bits<2>>,
    /// The write of `DmaStatus` is over, high for one clock.
    pub announced: Signal<Out, Bit>,
    /// Nothing is on its way.
    pub idle: Signal<Out, Bit>,
    buffer: Skid<Bits<64>>,
    /// Writes that are not over.
    endings: Fifo<Ending, 2, 3>,
    active: DFF<Bit>,
    current: DFF<Move>,
    left: DFF<Bits<9>>,
    settle1: DFF<Bit>,
    settle2: DFF<Bit>,
    place: DFF<Bit>,
    place_queue: DFF<Bits<2>>,
    announce: DFF<Bit>,
    next_status: Signal<Local, Bit>,
    final_beat: Signal<Local, Bit>,
    loads: Signal<Local, Bit>,
    supplies: Signal<Local, Bit>,
    moves_on: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    word: Signal<Local, Bits<64>>,
    one: Constant<Bits<9>>,
    number: [Constant<Bits<9>>; 4],
}

impl Default for Mover {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            moves: Signal::default(),
            moves_valid: Signal::default(),
            moves_ready: Signal::default(),
            data: Signal::default(),
            data_valid: Signal::default(),
            data_ready: Signal::default(),
            status: std::array::from_fn(|_| Default::default()),
            snapshot: Signal::default(),
            write_data: Signal::default(),
            write_data_valid: Signal::default(),
            write_data_ready: Signal::default(),
            write_done: Signal::default(),
            placed: Signal::default(),
            placed_queue: Signal::default(),
            announced: Signal::default(),
            idle: Signal::default(),
            buffer: Skid::default(),
            endings: Fifo::default(),
            active: DFF::default(),
            current: DFF::default(),
            left: DFF::default(),
            settle1: DFF::default(),
            settle2: DFF::default(),
            place: DFF::default(),
            place_queue: DFF::default(),
            announce: DFF::default(),
            next_status: Signal::default(),
            final_beat: Signal::default(),
            loads: Signal::default(),
            supplies: Signal::default(),
            moves_on: Signal::default(),
            ends: Signal::default(),
            writes: Signal::default(),
            word: Signal::default(),
            one: Constant::new(1.into()),
            number: std::array::from_fn(|i| Constant::new((4 - i as u64).to_bits())),
        }
    }
}

impl Logic for Mover {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            active,
            current,
            left,
            settle1,
            settle2,
            place,
            place_queue,
            announce
        );
        clock!(self, clock, buffer, endings);
        self.final_beat.next = self.left.q.val() == self.one.val();
        self.supplies.next = self.active.q.val() & self.data_valid.val();
        if self.current.q.val().status {
            self.supplies.next =
                self.active.q.val() & (!self.settle1.q.val()) & (!self.settle2.q.val());
        }
        self.moves_on.next =
            self.supplies.val() & (self.buffer.in_ready.val() | self.current.q.val().discard);
        self.ends.next = self.moves_on.val() & self.final_beat.val();
        self.data_ready.next = self.active.q.val()
            & (!self.current.q.val().status)
            & (self.buffer.in_ready.val() | self.current.q.val().discard);

        self.next_status.next = self.moves.val().status;
        self.loads.next = self.moves_valid.val()
            & self.endings.in_ready.val()
            & ((!self.active.q.val()) | self.ends.val());
        if self.next_status.val() {
            self.loads.next =
                self.moves_valid.val() & (!self.active.q.val()) & (!self.endings.out_valid.val());
        }
        self.moves_ready.next = self.loads.val();
        self.writes.next = self.loads.val() & (!self.moves.val().discard);
        self.endings.in_valid.next = self.writes.val();
        self.endings.in_data.next.frame = self.moves.val().last;
        self.endings.in_data.next.status = self.next_status.val();
        self.endings.in_data.next.queue = self.moves.val().queue;
        if self.moves_on.val() {
            self.left.d.next = self.left.q.val() - self.one.val();
        }
        if self.ends.val() {
            self.active.d.next = false;
        }
        if self.loads.val() {
            self.active.d.next = true;
            self.current.d.next = self.moves.val();
            self.left.d.next = self.moves.val().beats;
        }
        // The tails are up to date one clock after the last write is over.
        self.settle1.d.next = self.loads.val() & self.next_status.val();
        self.settle2.d.next = self.settle1.q.val();
        self.snapshot.next = self.settle1.q.val();

        self.word.next = self.data.val();
        if self.current.q.val().status {
            for i in 0..4 {
                if self.left.q.val() == self.number[i].val() {
                    self.word.next = self.status[i].val();
                }
            }
        }
        self.buffer.in_data.next = self.word.val();
        self.buffer.in_valid.next = self.supplies.val() & (!self.current.q.val().discard);
        self.buffer.out_ready.next = self.write_data_ready.val();
        self.write_data.next = self.buffer.out_data.val();
        self.write_data_valid.next = self.buffer.out_valid.val();

        self.endings.out_ready.next = self.write_done.val();
        self.place.d.next = self.write_done.val() & self.endings.out_data.val().frame;
        self.place_queue.d.next = self.endings.out_data.val().queue;
        self.announce.d.next = self.write_done.val() & self.endings.out_data.val().status;
        self.placed.next = self.place.q.val();
        self.placed_queue.next = self.place_queue.q.val();
        self.announced.next = self.announce.q.val();
        self.idle.next = !(self.active.q.val()
            | self.endings.out_valid.val()
            | self.place.q.val()
            | self.announce.q.val());
    }
}
