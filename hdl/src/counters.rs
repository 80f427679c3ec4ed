//! The 64-bit counters: one a reason, and frames and bytes of every port.
//!
//! Events come at up to one of each kind a clock and are counted exactly. A counter is two halves of 32 bits in
//! LUT RAM with an asynchronous read: the low half is read, added to and written back in one clock, its carry
//! goes to the high half in the next. Reading takes the halves in the same order, so that a value is never torn.
//! Costs about 900 LUTs.
//!
//! ```text
//! event ─► │ ─► low half + amount ─► │ carry ─► high half + carry
//! read  ─► │ ─► low half ──────────► │ ──────► high half ─► │ ─► value
//! ```

use layout::csr::{
    COUNTER_COUNT, PUNT_OVERFLOW, PUNT_RING_FULL, RX_BYTES_0, RX_FRAMES_0, TLP_UNEXPECTED,
    TX_BYTES_0, TX_FRAMES_0,
};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Clocks from `index` to `value`.
pub const READ_CLOCKS: usize = 4;

/// Index of the host within the counters of a direction; the ports are 0 and 1.
const HOST: u64 = 2;
/// Index of the overflow counter within the counters of frames sent.
const OVERFLOW: u64 = 3;

/// Counters of what the dma block and the endpoint see, `PUNT_RING_FULL` and the next.
pub const RARE: usize = 9;
/// Index of the first of them within its group of sixteen.
const FIRST_RARE: u64 = PUNT_RING_FULL as u64 % 16;

/// All counters; see the module's text.
#[derive(LogicBlock)]
pub struct Counters {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// A frame got its verdict.
    pub judged: Signal<In, Bit>,
    /// Its reason.
    pub judged_reason: Signal<In, Bits<6>>,
    /// A frame was received.
    pub received: Signal<In, Bit>,
    /// From port 0, 1, or 2 for the host.
    pub received_source: Signal<In, Bits<2>>,
    /// Its bytes.
    pub received_length: Signal<In, Bits<16>>,
    /// A frame left a port.
    pub sent: Signal<In, Bit>,
    /// The port.
    pub sent_port: Signal<In, Bits<1>>,
    /// Its bytes.
    pub sent_length: Signal<In, Bits<16>>,
    /// A frame entered the punt buffer. Never in one clock with `sent`.
    pub kept: Signal<In, Bit>,
    /// Its bytes.
    pub kept_length: Signal<In, Bits<16>>,
    /// A punted frame did not fit. Never in one clock with `sent` or `kept`.
    pub lost: Signal<In, Bit>,
    /// Counter n from `PUNT_RING_FULL` on: an event.
    pub rare: [Signal<In, Bit>; RARE],
    /// Counter to read.
    pub index: Signal<In, Bits<7>>,
    /// Its value.
    pub value: Signal<Out, Bits<64>>,
    /// An event is not in its counter yet.
    pub busy: Signal<Out, Bit>,
    reasons: Bank<6>,
    rx_frames: Bank<2>,
    rx_bytes: Bank<2>,
    tx_frames: Bank<2>,
    tx_bytes: Bank<2>,
    seldom: Bank<4>,
    /// Rare events that are not counted yet; each has its turn every sixteen clocks.
    pending: [DFF<Bits<5>>; RARE],
    turn: DFF<Bits<4>>,
    shown: DFF<Bits<64>>,
    chosen: Signal<Local, Bits<64>>,
    amount: Signal<Local, Bits<5>>,
    rare_busy: Signal<Local, Bit>,
    rare_index: Signal<Local, Bits<4>>,
    block: Signal<Local, Bits<3>>,
    turn_of: [Constant<Bits<4>>; RARE],
    first_rare: Constant<Bits<4>>,
    last_rare: Constant<Bits<4>>,
    rare_block: Constant<Bits<3>>,
    one_turn: Constant<Bits<4>>,
    one_event: Constant<Bits<5>>,
    no_event: Constant<Bits<5>>,
    group: Signal<Local, Bits<5>>,
    member: Signal<Local, Bits<2>>,
    is_reason: Signal<Local, Bit>,
    sent_index: Signal<Local, Bits<2>>,
    sent_bytes: Signal<Local, Bits<16>>,
    one_frame: Constant<Bits<16>>,
    host: Constant<Bits<2>>,
    overflow: Constant<Bits<2>>,
    first_member: Constant<Bits<2>>,
    none: Constant<Bits<64>>,
    rx_frames_group: Constant<Bits<5>>,
    rx_bytes_group: Constant<Bits<5>>,
    tx_frames_group: Constant<Bits<5>>,
    tx_bytes_group: Constant<Bits<5>>,
    overflow_group: Constant<Bits<5>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            judged: Signal::default(),
            judged_reason: Signal::default(),
            received: Signal::default(),
            received_source: Signal::default(),
            received_length: Signal::default(),
            sent: Signal::default(),
            sent_port: Signal::default(),
            sent_length: Signal::default(),
            kept: Signal::default(),
            kept_length: Signal::default(),
            lost: Signal::default(),
            rare: std::array::from_fn(|_| Default::default()),
            index: Signal::default(),
            value: Signal::default(),
            busy: Signal::default(),
            reasons: Bank::default(),
            rx_frames: Bank::default(),
            rx_bytes: Bank::default(),
            tx_frames: Bank::default(),
            tx_bytes: Bank::default(),
            seldom: Bank::default(),
            pending: std::array::from_fn(|_| Default::default()),
            turn: DFF::default(),
            shown: DFF::default(),
            chosen: Signal::default(),
            amount: Signal::default(),
            rare_busy: Signal::default(),
            rare_index: Signal::default(),
            block: Signal::default(),
            turn_of: std::array::from_fn(|i| Constant::new((FIRST_RARE + i as u64).to_bits())),
            first_rare: Constant::new(FIRST_RARE.to_bits()),
            last_rare: Constant::new((FIRST_RARE + RARE as u64 - 1).to_bits()),
            rare_block: Constant::new(u64::from(PUNT_RING_FULL / 16).to_bits()),
            one_turn: Constant::new(1.into()),
            one_event: Constant::new(1.into()),
            no_event: Constant::new(0.into()),
            group: Signal::default(),
            member: Signal::default(),
            is_reason: Signal::default(),
            sent_index: Signal::default(),
            sent_bytes: Signal::default(),
            one_frame: Constant::new(1.into()),
            host: Constant::new(HOST.to_bits()),
            overflow: Constant::new(OVERFLOW.to_bits()),
            first_member: Constant::new(0.into()),
            none: Constant::new(0.into()),
            rx_frames_group: group_of(RX_FRAMES_0),
            rx_bytes_group: group_of(RX_BYTES_0),
            tx_frames_group: group_of(TX_FRAMES_0),
            tx_bytes_group: group_of(TX_BYTES_0),
            overflow_group: group_of(PUNT_OVERFLOW),
        }
    }
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, turn, shown);
        clock!(
            self, clock, reasons, rx_frames, rx_bytes, tx_frames, tx_bytes, seldom
        );
        self.reasons.count.next = self.judged.val();
        self.reasons.count_index.next = self.judged_reason.val();
        self.reasons.amount.next = self.one_frame.val();

        self.rx_frames.count.next = self.received.val();
        self.rx_frames.count_index.next = self.received_source.val();
        self.rx_frames.amount.next = self.one_frame.val();
        self.rx_bytes.count.next = self.received.val();
        self.rx_bytes.count_index.next = self.received_source.val();
        self.rx_bytes.amount.next = self.received_length.val();

        self.sent_index.next = bit_cast::<2, 1>(self.sent_port.val());
        self.sent_bytes.next = self.sent_length.val();
        if self.kept.val() {
            self.sent_index.next = self.host.val();
            self.sent_bytes.next = self.kept_length.val();
        }
        if self.lost.val() {
            self.sent_index.next = self.overflow.val();
        }
        self.tx_frames.count.next = self.sent.val() | self.kept.val() | self.lost.val();
        self.tx_frames.count_index.next = self.sent_index.val();
        self.tx_frames.amount.next = self.one_frame.val();
        self.tx_bytes.count.next = self.sent.val() | self.kept.val();
        self.tx_bytes.count_index.next = self.sent_index.val();
        self.tx_bytes.amount.next = self.sent_bytes.val();

        // Rare events may come together: they wait for their turn, and are counted with those that came since.
        self.turn.d.next = self.turn.q.val() + self.one_turn.val();
        self.amount.next = self.no_event.val();
        self.rare_busy.next = false;
        for i in 0..9 {
            self.pending[i].clock.next = self.clock.val();
            self.pending[i].d.next = self.pending[i].q.val();
            if self.rare[i].val() {
                self.pending[i].d.next = self.pending[i].q.val() + self.one_event.val();
            }
            if self.turn.q.val() == self.turn_of[i].val() {
                self.amount.next = self.pending[i].q.val();
                self.pending[i].d.next = self.no_event.val();
                if self.rare[i].val() {
                    self.pending[i].d.next = self.one_event.val();
                }
            }
            self.rare_busy.next =
                self.rare_busy.val() | self.rare[i].val() | self.pending[i].q.val().any();
        }
        self.seldom.count.next = self.amount.val().any();
        self.seldom.count_index.next = self.turn.q.val();
        self.seldom.amount.next = bit_cast::<16, 5>(self.amount.val());
        self.rare_index.next = self.index.val().get_bits::<4>(0);
        self.block.next = self.index.val().get_bits::<3>(4);
        self.seldom.index.next = self.rare_index.val();

        // Counters 0..64 are reasons; behind them come groups of four.
        self.group.next = self.index.val().get_bits::<5>(2);
        self.member.next = self.index.val().get_bits::<2>(0);
        self.is_reason.next = !self.index.val().get_bit(6);
        self.reasons.index.next = self.index.val().get_bits::<6>(0);
        self.rx_frames.index.next = self.member.val();
        self.rx_bytes.index.next = self.member.val();
        self.tx_bytes.index.next = self.member.val();
        self.tx_frames.index.next = self.member.val();
        if self.group.val() == self.overflow_group.val() {
            self.tx_frames.index.next = self.overflow.val();
        }
        self.chosen.next = self.none.val();
        if self.is_reason.val() {
            self.chosen.next = self.reasons.value.val();
        }
        if self.group.val() == self.rx_frames_group.val() {
            self.chosen.next = self.rx_frames.value.val();
        }
        if self.group.val() == self.rx_bytes_group.val() {
            self.chosen.next = self.rx_bytes.value.val();
        }
        if (self.group.val() == self.tx_frames_group.val())
            & (self.member.val() != self.overflow.val())
        {
            self.chosen.next = self.tx_frames.value.val();
        }
        if self.group.val() == self.tx_bytes_group.val() {
            self.chosen.next = self.tx_bytes.value.val();
        }
        if (self.group.val() == self.overflow_group.val())
            & (self.member.val() == self.first_member.val())
        {
            self.chosen.next = self.tx_frames.value.val();
        }
        if (self.block.val() == self.rare_block.val())
            & (self.rare_index.val() >= self.first_rare.val())
            & (self.rare_index.val() <= self.last_rare.val())
        {
            self.chosen.next = self.seldom.value.val();
        }
        self.shown.d.next = self.chosen.val();
        self.value.next = self.shown.q.val();
        self.busy.next = self.reasons.busy.val()
            | self.rare_busy.val()
            | self.seldom.busy.val()
            | self.rx_frames.busy.val()
            | self.rx_bytes.busy.val()
            | self.tx_frames.busy.val()
            | self.tx_bytes.busy.val();
    }
}

/// Counters of one kind: 2^`A` of them, one event a clock.
#[derive(LogicBlock)]
pub struct Bank<const A: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Count.
    pub count: Signal<In, Bit>,
    /// Which counter.
    pub count_index: Signal<In, Bits<A>>,
    /// How much.
    pub amount: Signal<In, Bits<16>>,
    /// Counter to read.
    pub index: Signal<In, Bits<A>>,
    /// Its value, three clocks later.
    pub value: Signal<Out, Bits<64>>,
    /// An event is not in its counter yet.
    pub busy: Signal<Out, Bit>,
    low: Cells<A>,
    high: Cells<A>,
    adds: DFF<Bit>,
    adds_index: DFF<Bits<A>>,
    adds_amount: DFF<Bits<16>>,
    carries: DFF<Bit>,
    carries_index: DFF<Bits<A>>,
    pending: DFF<Bit>,
    read_low: DFF<Bits<A>>,
    read_high: DFF<Bits<A>>,
    low_word: DFF<Bits<32>>,
    low_shown: DFF<Bits<32>>,
    high_shown: DFF<Bits<32>>,
    sum: Signal<Local, Bits<33>>,
    none: Constant<Bits<16>>,
    one: Constant<Bits<32>>,
}

impl<const A: usize> Default for Bank<A> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            count: Signal::default(),
            count_index: Signal::default(),
            amount: Signal::default(),
            index: Signal::default(),
            value: Signal::default(),
            busy: Signal::default(),
            low: Cells::default(),
            high: Cells::default(),
            adds: DFF::default(),
            adds_index: DFF::default(),
            adds_amount: DFF::default(),
            carries: DFF::default(),
            carries_index: DFF::default(),
            pending: DFF::default(),
            read_low: DFF::default(),
            read_high: DFF::default(),
            low_word: DFF::default(),
            low_shown: DFF::default(),
            high_shown: DFF::default(),
            sum: Signal::default(),
            none: Constant::new(0.into()),
            one: Constant::new(1.into()),
        }
    }
}

impl<const A: usize> Logic for Bank<A> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            adds,
            adds_index,
            adds_amount,
            carries,
            carries_index,
            pending,
            read_low,
            read_high,
            low_word,
            low_shown,
            high_shown
        );
        clock!(self, clock, low, high);
        self.adds.d.next = self.count.val();
        self.adds_index.d.next = self.count_index.val();
        // Nothing to add carries nothing, so that only the adder is on the way to the carry.
        self.adds_amount.d.next = self.none.val();
        if self.count.val() {
            self.adds_amount.d.next = self.amount.val();
        }
        self.low.index.next = self.adds_index.q.val();
        self.sum.next =
            bit_cast::<33, 32>(self.low.word.val()) + bit_cast::<33, 16>(self.adds_amount.q.val());
        self.low.new_word.next = self.sum.val().get_bits::<32>(0);
        self.low.write.next = self.adds.q.val();
        self.carries.d.next = self.sum.val().get_bit(32);
        self.carries_index.d.next = self.adds_index.q.val();
        self.high.index.next = self.carries_index.q.val();
        self.high.new_word.next = self.high.word.val() + self.one.val();
        self.high.write.next = self.carries.q.val();
        self.pending.d.next = self.adds.q.val();
        self.busy.next = self.count.val() | self.adds.q.val() | self.pending.q.val();

        self.read_low.d.next = self.index.val();
        self.low.shown_index.next = self.read_low.q.val();
        self.low_word.d.next = self.low.shown_word.val();
        self.read_high.d.next = self.read_low.q.val();
        self.high.shown_index.next = self.read_high.q.val();
        self.high_shown.d.next = self.high.shown_word.val();
        self.low_shown.d.next = self.low_word.q.val();
        self.value.next = (bit_cast::<64, 32>(self.high_shown.q.val()) << 32)
            | bit_cast::<64, 32>(self.low_shown.q.val());
    }
}

/// LUT RAM of 2^`A` words of 32 bits, both reads in the same clock.
#[derive(LogicBlock)]
pub struct Cells<const A: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to count in.
    pub index: Signal<In, Bits<A>>,
    /// The word.
    pub word: Signal<Out, Bits<32>>,
    /// Write `new_word` to `index` at this edge.
    pub write: Signal<In, Bit>,
    /// New word.
    pub new_word: Signal<In, Bits<32>>,
    /// Word to show.
    pub shown_index: Signal<In, Bits<A>>,
    /// That word.
    pub shown_word: Signal<Out, Bits<32>>,
    _memory: Vec<Bits<32>>,
}

impl<const A: usize> Default for Cells<A> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            index: Signal::default(),
            word: Signal::default(),
            write: Signal::default(),
            new_word: Signal::default(),
            shown_index: Signal::default(),
            shown_word: Signal::default(),
            _memory: vec![Bits::default(); 1 << A],
        }
    }
}

impl<const A: usize> Logic for Cells<A> {
    fn update(&mut self) {
        if self.clock.pos_edge() && self.write.val() {
            self._memory[self.index.val().index()] = self.new_word.val();
        }
        self.word.next = self._memory[self.index.val().index()];
        self.shown_word.next = self._memory[self.shown_index.val().index()];
    }

    fn connect(&mut self) {
        self.word.connect();
        self.shown_word.connect();
    }

    fn hdl(&self) -> Verilog {
        let last = (1_usize << A) - 1;
        Verilog::Custom(format!(
            "(* ram_style = \"distributed\" *) reg [31:0] memory [0:{last}];\n\
             integer i;\n\
             initial for (i = 0; i <= {last}; i = i + 1) memory[i] = 0;\n\
             always @(posedge clock) if (write) memory[index] <= new_word;\n\
             always @(*) word = memory[index];\n\
             always @(*) shown_word = memory[shown_index];\n"
        ))
    }
}

/// The group of four counters that starts at `first`.
fn group_of(first: u32) -> Constant<Bits<5>> {
    assert!(first.is_multiple_of(4), "groups start at multiples of four");
    Constant::new(u64::from(first / 4).to_bits())
}

// The kernel counts them one by one, within one group of sixteen.
const _: () = assert!(
    TLP_UNEXPECTED - PUNT_RING_FULL + 1 == RARE as u32
        && TLP_UNEXPECTED / 16 == PUNT_RING_FULL / 16
);
// The kernel takes the lower half of the indexes for reasons.
const _: () = assert!(COUNTER_COUNT == 128);
