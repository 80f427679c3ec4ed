//! Takes the header off a TLP and puts its payload in order (7-series stream, PG054 "AXI4-Stream").
//!
//! Beats come in, at most one a clock, and are never held back. The header comes out with its last beat, the
//! payload from its first DW on, two DWs a clock in memory order, and [`Align::ended`] after it: at the earliest
//! one clock behind the header, never before the next header. Latency one clock for the header and two for the
//! end. Costs about 250 flip-flops.
//!
//! ```text
//! three words   word1 word0 │ data0 word2 │ data2 data1 │ ...   ─►  data1 data0 │ data3 data2 │ ...
//! four words    word1 word0 │ word3 word2 │ data1 data0 │ ...   ─►  data1 data0 │ ...
//! ```

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::tlp::{Head, RxBeat, TurnRound};

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Align {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat from the link.
    pub beat: Signal<In, RxBeat>,
    /// It is there.
    pub valid: Signal<In, Bit>,
    /// Header of a TLP.
    pub head: Signal<Out, Head>,
    /// It is there, for one clock.
    pub head_valid: Signal<Out, Bit>,
    /// Two DWs of payload.
    pub data: Signal<Out, Bits<64>>,
    /// They are there; the last ones may be more than the header tells of.
    pub data_valid: Signal<Out, Bit>,
    /// The TLP is over, for one clock, with its last payload or later.
    pub ended: Signal<Out, Bit>,
    /// It ended before its header did, and `head` has not been there.
    pub short: Signal<Out, Bit>,
    /// With `ended`: DWs of the whole TLP, at most 2047.
    pub total: Signal<Out, Bits<11>>,
    /// A TLP ends in the next clock, or in this one.
    pub ending: Signal<Out, Bit>,
    /// Next beat: the first, the second, a later one.
    second: DFF<Bit>,
    later: DFF<Bit>,
    held: DFF<RxBeat>,
    held_valid: DFF<Bit>,
    held_second: DFF<Bit>,
    held_later: DFF<Bit>,
    word0: DFF<Bits<32>>,
    word1: DFF<Bits<32>>,
    /// The upper DW of the beat before.
    spare: DFF<Bits<32>>,
    four: DFF<Bit>,
    finished: DFF<Bit>,
    finished_short: DFF<Bit>,
    finished_upper: DFF<Bit>,
    count: DFF<Bits<11>>,
    finished_count: DFF<Bits<11>>,
    low: TurnRound,
    high: TurnRound,
    data_in: Signal<Local, Bits<64>>,
    held_data: Signal<Local, Bits<64>>,
    turned: Signal<Local, Bits<64>>,
    joined: Signal<Local, Bits<64>>,
    prior: Signal<Local, Bits<11>>,
    step: Signal<Local, Bits<11>>,
    first_word: Signal<Local, Bits<32>>,
    none: Constant<Bits<11>>,
    one: Constant<Bits<11>>,
    two: Constant<Bits<11>>,
}

impl Default for Align {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            beat: Signal::default(),
            valid: Signal::default(),
            head: Signal::default(),
            head_valid: Signal::default(),
            data: Signal::default(),
            data_valid: Signal::default(),
            ended: Signal::default(),
            short: Signal::default(),
            total: Signal::default(),
            ending: Signal::default(),
            second: DFF::default(),
            later: DFF::default(),
            held: DFF::default(),
            held_valid: DFF::default(),
            held_second: DFF::default(),
            held_later: DFF::default(),
            word0: DFF::default(),
            word1: DFF::default(),
            spare: DFF::default(),
            four: DFF::default(),
            finished: DFF::default(),
            finished_short: DFF::default(),
            finished_upper: DFF::default(),
            count: DFF::default(),
            finished_count: DFF::default(),
            low: TurnRound::default(),
            high: TurnRound::default(),
            data_in: Signal::default(),
            held_data: Signal::default(),
            turned: Signal::default(),
            joined: Signal::default(),
            prior: Signal::default(),
            step: Signal::default(),
            first_word: Signal::default(),
            none: Constant::new(0_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            two: Constant::new(2_u64.to_bits()),
        }
    }
}

impl Logic for Align {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            second,
            later,
            held,
            held_valid,
            held_second,
            held_later,
            word0,
            word1,
            spare,
            four,
            finished,
            finished_short,
            finished_upper,
            count,
            finished_count
        );

        // A beat comes in.
        self.data_in.next = self.beat.val().data;
        self.held_valid.d.next = self.valid.val();
        self.prior.next = self.count.q.val();
        if (!self.second.q.val()) & (!self.later.q.val()) {
            self.prior.next = self.none.val();
        }
        self.step.next = self.one.val();
        if self.beat.val().upper {
            self.step.next = self.two.val();
        }
        if self.valid.val() {
            self.held.d.next = self.beat.val();
            self.held_second.d.next = self.second.q.val();
            self.held_later.d.next = self.later.q.val();
            if self.beat.val().last {
                self.second.d.next = false;
                self.later.d.next = false;
            } else {
                self.second.d.next = (!self.second.q.val()) & (!self.later.q.val());
                self.later.d.next = self.second.q.val() | self.later.q.val();
            }
            if (!self.second.q.val()) & (!self.later.q.val()) {
                self.word0.d.next = self.data_in.val().get_bits::<32>(0);
                self.word1.d.next = self.data_in.val().get_bits::<32>(32);
            }
            // Beyond the longest TLP the count stands still.
            if !self.prior.val().get_bits::<5>(6).all() {
                self.count.d.next = self.prior.val() + self.step.val();
            }
        }

        // The beat in the register.
        self.held_data.next = self.held.q.val().data;
        self.first_word.next = self.word0.q.val();
        self.low.word.next = self.held_data.val().get_bits::<32>(0);
        self.high.word.next = self.held_data.val().get_bits::<32>(32);
        self.head.next.word0 = self.word0.q.val();
        self.head.next.word1 = self.word1.q.val();
        self.head.next.word2 = self.held_data.val().get_bits::<32>(0);
        self.head.next.word3 = self.held_data.val().get_bits::<32>(32);
        self.head.next.bar0 = self.held.q.val().bar0;
        self.head.next.poisoned = self.held.q.val().poisoned;
        self.head_valid.next = self.held_valid.q.val() & self.held_second.q.val();
        if self.held_valid.q.val() {
            self.spare.d.next = self.high.turned.val();
            if self.held_second.q.val() {
                self.four.d.next = self.first_word.val().get_bit(29);
            }
        }
        self.finished.d.next = self.held_valid.q.val() & self.held.q.val().last;
        self.finished_short.d.next = (!self.held_second.q.val()) & (!self.held_later.q.val());
        self.finished_upper.d.next = self.held.q.val().upper;
        self.finished_count.d.next = self.count.q.val();

        self.turned.next = (bit_cast::<64, 32>(self.high.turned.val()) << 32)
            | bit_cast::<64, 32>(self.low.turned.val());
        self.joined.next = (bit_cast::<64, 32>(self.low.turned.val()) << 32)
            | bit_cast::<64, 32>(self.spare.q.val());

        // Behind three header words a DW of each beat waits for the next, the last one for the end.
        if self.four.q.val() {
            self.data.next = self.turned.val();
            self.data_valid.next = self.held_valid.q.val() & self.held_later.q.val();
        } else {
            self.data.next = bit_cast::<64, 32>(self.spare.q.val());
            self.data_valid.next = self.finished.q.val() & self.finished_upper.q.val();
            if self.held_valid.q.val() & self.held_later.q.val() {
                self.data.next = self.joined.val();
                self.data_valid.next = true;
            }
        }
        self.ended.next = self.finished.q.val();
        self.short.next = self.finished_short.q.val();
        self.total.next = self.finished_count.q.val();
        self.ending.next =
            self.finished.q.val() | (self.held_valid.q.val() & self.held.q.val().last);
    }
}
