//! Takes whole frames out of the punt buffer, as they will lie in a slot of a ring.
//!
//! For each frame a [`Notice`], then its beats: two of `Metadata` and zeros, then the frame, whose last beat is
//! zero behind the frame. A frame begins when there is room for it to flow; it releases its place in the punt
//! buffer with its last beat. A frame of n beats takes n + 2 clocks. Costs about 250 LUTs.
//!
//! ```text
//! clock  t        t+1   t+2   t+3     …      t+n+2
//!        line 0   1     2     3 …            next frame
//!                 metadata    beat 0  …
//! ```

use layout::desc::LENGTH_BITS;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::Notice;
use crate::fifo::Fifo;

/// The reader; see the module's text.
#[derive(LogicBlock)]
pub struct Drain {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Begin frames.
    pub enable: Signal<In, Bit>,
    /// A frame waits in the punt buffer.
    pub available: Signal<In, Bit>,
    /// Its `Metadata`, and its beats above.
    pub oldest: Signal<In, Bits<86>>,
    /// `line` is the one to read.
    pub takes: Signal<Out, Bit>,
    /// Beat of the oldest frame.
    pub line: Signal<Out, Bits<9>>,
    /// That beat, three clocks later.
    pub beat: Signal<In, Bits<64>>,
    /// The oldest frame has been read.
    pub pop: Signal<Out, Bit>,
    /// A frame begins.
    pub notice: Signal<Out, Notice>,
    /// A notice is offered.
    pub notice_valid: Signal<Out, Bit>,
    /// It is taken.
    pub notice_ready: Signal<In, Bit>,
    /// Beat for the slot.
    pub data: Signal<Out, Bits<64>>,
    /// A beat is offered.
    pub data_valid: Signal<Out, Bit>,
    /// It is taken.
    pub data_ready: Signal<In, Bit>,
    /// There is nothing on its way.
    pub idle: Signal<Out, Bit>,
    notices: Fifo<Notice, 1, 2>,
    beats: Fifo<Bits<64>, 4, 5>,
    running: DFF<Bit>,
    position: DFF<Bits<9>>,
    final_line: DFF<Bits<10>>,
    words: DFF<Bits<76>>,
    /// Bits of the last beat that are not of the frame.
    unused: DFF<Bits<6>>,
    mask: DFF<Bits<64>>,
    /// The frame was popped in the last clock, or the one before.
    popping: DFF<Bit>,
    popped: DFF<Bit>,
    /// Metadata goes into the FIFO in the two clocks after the start.
    first: DFF<Bit>,
    second: DFF<Bit>,
    /// Beats come three clocks after their line.
    ask1: DFF<Bit>,
    ask2: DFF<Bit>,
    ask3: DFF<Bit>,
    last1: DFF<Bit>,
    last2: DFF<Bit>,
    last3: DFF<Bit>,
    begins: Signal<Local, Bit>,
    asks: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    told_length: Signal<Local, Bits<LENGTH_BITS>>,
    length: Signal<Local, Bits<16>>,
    beats_of: Signal<Local, Bits<10>>,
    final_of: Signal<Local, Bits<10>>,
    not_length: Signal<Local, Bits<3>>,
    unused_bytes: Signal<Local, Bits<3>>,
    one9: Constant<Bits<9>>,
    one10: Constant<Bits<10>>,
    one3: Constant<Bits<3>>,
    zero9: Constant<Bits<9>>,
    ones: Constant<Bits<64>>,
    /// Sixteen places less the beats on their way.
    limit: Constant<Bits<5>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            enable: Signal::default(),
            available: Signal::default(),
            oldest: Signal::default(),
            takes: Signal::default(),
            line: Signal::default(),
            beat: Signal::default(),
            pop: Signal::default(),
            notice: Signal::default(),
            notice_valid: Signal::default(),
            notice_ready: Signal::default(),
            data: Signal::default(),
            data_valid: Signal::default(),
            data_ready: Signal::default(),
            idle: Signal::default(),
            notices: Fifo::default(),
            beats: Fifo::default(),
            running: DFF::default(),
            position: DFF::default(),
            final_line: DFF::default(),
            words: DFF::default(),
            unused: DFF::default(),
            mask: DFF::default(),
            popping: DFF::default(),
            popped: DFF::default(),
            first: DFF::default(),
            second: DFF::default(),
            ask1: DFF::default(),
            ask2: DFF::default(),
            ask3: DFF::default(),
            last1: DFF::default(),
            last2: DFF::default(),
            last3: DFF::default(),
            begins: Signal::default(),
            asks: Signal::default(),
            ends: Signal::default(),
            room: Signal::default(),
            told_length: Signal::default(),
            length: Signal::default(),
            beats_of: Signal::default(),
            final_of: Signal::default(),
            not_length: Signal::default(),
            unused_bytes: Signal::default(),
            one9: Constant::new(1.into()),
            one10: Constant::new(1.into()),
            one3: Constant::new(1.into()),
            zero9: Constant::new(0.into()),
            ones: Constant::new(Bits::mask()),
            limit: Constant::new(11_u64.to_bits()),
        }
    }
}

impl Logic for Drain {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, running, position, final_line, words, unused, mask, popping, popped,
            first, second, ask1, ask2, ask3, last1, last2, last3
        );
        clock!(self, clock, notices, beats);
        self.room.next = self.beats.count.val() <= self.limit.val();
        self.begins.next = self.enable.val()
            & self.available.val()
            & (!self.running.q.val())
            & (!self.popping.q.val())
            & (!self.popped.q.val())
            & self.notices.in_ready.val()
            & self.room.val();
        self.told_length.next = self.oldest.val().get_bits::<LENGTH_BITS>(0);
        self.length.next = bit_cast::<16, LENGTH_BITS>(self.told_length.val());
        self.beats_of.next = self.oldest.val().get_bits::<10>(76);
        self.final_of.next = self.beats_of.val() - self.one10.val();
        self.not_length.next = !self.length.val().get_bits::<3>(0);
        self.unused_bytes.next = self.not_length.val() + self.one3.val();
        self.notices.in_data.next.length = self.length.val();
        self.notices.in_data.next.queue = self.oldest.val().get_bits::<2>(74);
        self.notices.in_valid.next = self.begins.val();
        if self.begins.val() {
            self.words.d.next = self.oldest.val().get_bits::<76>(0);
            self.final_line.d.next = self.final_of.val();
            self.unused.d.next = bit_cast::<6, 3>(self.unused_bytes.val()) << 3;
            self.running.d.next = true;
        }

        self.asks.next = self.begins.val() | (self.running.q.val() & self.room.val());
        self.ends.next = self.asks.val()
            & ((self.running.q.val()
                & (bit_cast::<10, 9>(self.position.q.val()) == self.final_line.q.val()))
                | (self.begins.val() & (!self.final_of.val().any())));
        if self.asks.val() {
            self.position.d.next = self.position.q.val() + self.one9.val();
        }
        if self.ends.val() {
            self.position.d.next = self.zero9.val();
            self.running.d.next = false;
        }
        self.popping.d.next = self.ends.val();
        self.popped.d.next = self.popping.q.val();
        self.pop.next = self.popping.q.val();
        self.takes.next = self.begins.val() | self.running.q.val();
        self.line.next = self.position.q.val();

        self.first.d.next = self.begins.val();
        self.second.d.next = self.first.q.val();
        self.ask1.d.next = self.asks.val();
        self.ask2.d.next = self.ask1.q.val();
        self.ask3.d.next = self.ask2.q.val();
        self.last1.d.next = self.ends.val();
        self.last2.d.next = self.last1.q.val();
        self.last3.d.next = self.last2.q.val();
        self.mask.d.next = self.ones.val() >> self.unused.q.val();
        self.beats.in_data.next = self.beat.val();
        if self.last3.q.val() {
            self.beats.in_data.next = self.beat.val() & self.mask.q.val();
        }
        if self.first.q.val() {
            self.beats.in_data.next = self.words.q.val().get_bits::<64>(0);
        }
        if self.second.q.val() {
            self.beats.in_data.next = bit_cast::<64, 12>(self.words.q.val().get_bits::<12>(64));
        }
        self.beats.in_valid.next = self.first.q.val() | self.second.q.val() | self.ask3.q.val();

        self.notice.next = self.notices.out_data.val();
        self.notice_valid.next = self.notices.out_valid.val();
        self.notices.out_ready.next = self.notice_ready.val();
        self.data.next = self.beats.out_data.val();
        self.data_valid.next = self.beats.out_valid.val();
        self.beats.out_ready.next = self.data_ready.val();
        self.idle.next = !(self.running.q.val()
            | self.popping.q.val()
            | self.popped.q.val()
            | self.first.q.val()
            | self.second.q.val()
            | self.ask1.q.val()
            | self.ask2.q.val()
            | self.ask3.q.val()
            | self.notices.out_valid.val()
            | self.beats.out_valid.val());
    }
}
