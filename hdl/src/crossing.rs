//! From one clock to another: a FIFO with Gray pointers, and synchronisers for a level, a pulse and a reset.
//!
//! The clocks may have any frequencies and phases. What crosses is a register that changes one bit at a time, read
//! through two flip-flops: whatever the first of them makes of a bit in motion, the second holds the value before
//! the change or the one after.
//!
//! [`Crossing`] takes one word a clock on one side and gives one a clock on the other. A word that finds it empty is at
//! the output at the third edge of the reader's clock after the edge that took it, that is two to three clocks later;
//! room that the reader made is seen by the writer as much later. Sixteen words of 73 bits cost 37 LUTs, 19 LUT RAMs of
//! 16 × 4 and 131 flip-flops, no block RAM.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::dff::DffR;

/// A level, or a Gray code, as seen from another clock, two clocks later.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Synchroniser<T: Synth> {
    /// The reader's clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Register of another clock, at most one bit of which is changing.
    pub d: Signal<In, T>,
    /// Its value, two edges later.
    pub q: Signal<Out, T>,
    _first: T,
}

impl<T: Synth> Logic for Synchroniser<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self._first;
            self._first = self.d.val();
        }
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    fn hdl(&self) -> Verilog {
        // Kept: neither may be merged with a like register, nor moved behind logic.
        Verilog::Custom(format!(
            "(* keep, async_reg = \"true\" *) reg [{msb}:0] first;\n\
             (* keep, async_reg = \"true\" *) reg [{msb}:0] second;\n\
             initial begin\n\
             first = 0;\n\
             second = 0;\n\
             end\n\
             always @(posedge clock) begin\n\
             first <= d;\n\
             second <= first;\n\
             end\n\
             always @(*) q = second;\n",
            msb = T::BITS - 1,
        ))
    }
}

/// A pulse of one clock as a pulse of one clock of another.
///
/// Two pulses must be as far apart as two clocks of the reader and one of the writer. Two to three clocks.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Pulse {
    /// The writer's clock, rising edge.
    pub in_clock: Signal<In, Clock>,
    /// High for one clock of the writer.
    pub in_pulse: Signal<In, Bit>,
    /// The reader's clock, rising edge.
    pub out_clock: Signal<In, Clock>,
    /// High for one clock of the reader.
    pub out_pulse: Signal<Out, Bit>,
    toggle: DFF<Bit>,
    seen: Synchroniser<Bit>,
    earlier: DFF<Bit>,
}

impl Logic for Pulse {
    #[hdl_gen]
    fn update(&mut self) {
        self.toggle.clock.next = self.in_clock.val();
        self.toggle.d.next = self.toggle.q.val() ^ self.in_pulse.val();
        self.seen.clock.next = self.out_clock.val();
        self.seen.d.next = self.toggle.q.val();
        self.earlier.clock.next = self.out_clock.val();
        self.earlier.d.next = self.seen.q.val();
        self.out_pulse.next = self.seen.q.val() ^ self.earlier.q.val();
    }
}

/// A reset for another clock: begins at once, even if that clock stands still, and ends two of its edges after `reset`.
#[derive(Clone, Debug, LogicBlock)]
pub struct ResetSynchroniser {
    /// Clock of those who are reset, rising edge.
    pub clock: Signal<In, Clock>,
    /// Reset, a register of any clock.
    pub reset: Signal<In, Bit>,
    /// Reset, to be looked at by the edges of `clock`. High at power-on.
    pub held: Signal<Out, Bit>,
    _first: bool,
    _second: bool,
}

impl Default for ResetSynchroniser {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            held: Signal::new_with_default(true),
            _first: true,
            _second: true,
        }
    }
}

impl Logic for ResetSynchroniser {
    fn update(&mut self) {
        if self.reset.val() {
            (self._first, self._second) = (true, true);
        } else if self.clock.pos_edge() {
            (self._first, self._second) = (false, self._first);
        }
        self.held.next = self._second;
    }

    fn connect(&mut self) {
        self.held.connect();
    }

    fn hdl(&self) -> Verilog {
        Verilog::Custom(
            "(* keep, async_reg = \"true\" *) reg first;\n\
             (* keep, async_reg = \"true\" *) reg second;\n\
             initial begin\n\
             first = 1;\n\
             second = 1;\n\
             end\n\
             always @(posedge clock or posedge reset)\n\
             if (reset) begin\n\
             first <= 1;\n\
             second <= 1;\n\
             end else begin\n\
             first <= 0;\n\
             second <= first;\n\
             end\n\
             always @(*) held = second;\n"
                .into(),
        )
    }
}

/// Place in a ring of 2^`A` words and its Gray code of `P` = `A` + 1 bits, which tells one turn from the next.
#[derive(Clone, Debug, LogicBlock)]
pub struct GrayPointer<const A: usize, const P: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Back to the first place.
    pub reset: Signal<In, Bit>,
    /// On to the next place.
    pub advance: Signal<In, Bit>,
    /// The place.
    pub place: Signal<Out, Bits<A>>,
    /// Its Gray code, a register.
    pub gray: Signal<Out, Bits<P>>,
    /// Gray code of the place after it, a register.
    pub gray_after: Signal<Out, Bits<P>>,
    address: DffR<Bits<A>>,
    position: DffR<Bits<P>>,
    code: DffR<Bits<P>>,
    code_after: DffR<Bits<P>>,
    beyond: Signal<Local, Bits<P>>,
    next_place: Constant<Bits<A>>,
    one: Constant<Bits<P>>,
}

impl<const A: usize, const P: usize> Default for GrayPointer<A, P> {
    fn default() -> Self {
        assert_eq!(P, A + 1, "one bit more tells full from empty");
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            advance: Signal::default(),
            place: Signal::default(),
            gray: Signal::default(),
            gray_after: Signal::default(),
            address: DffR::default(),
            position: DffR::new(1_u64.to_bits()),
            code: DffR::default(),
            code_after: DffR::new(1_u64.to_bits()),
            beyond: Signal::default(),
            next_place: Constant::new(1_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
        }
    }
}

impl<const A: usize, const P: usize> Logic for GrayPointer<A, P> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, address, position, code, code_after);
        self.address.reset.next = self.reset.val();
        self.position.reset.next = self.reset.val();
        self.code.reset.next = self.reset.val();
        self.code_after.reset.next = self.reset.val();
        self.address.enable.next = self.advance.val();
        self.position.enable.next = self.advance.val();
        self.code.enable.next = self.advance.val();
        self.code_after.enable.next = self.advance.val();

        // `position` is one place ahead, as `code_after` is.
        self.beyond.next = self.position.q.val() + self.one.val();
        self.address.d.next = self.address.q.val() + self.next_place.val();
        self.position.d.next = self.beyond.val();
        self.code.d.next = self.code_after.q.val();
        self.code_after.d.next = self.beyond.val() ^ (self.beyond.val() >> 1);

        self.place.next = self.address.q.val();
        self.gray.next = self.code.q.val();
        self.gray_after.next = self.code_after.q.val();
    }
}

/// LUT RAM of 2^`A` words, written by one clock and read into a register of another.
#[derive(Clone, Debug, LogicBlock)]
pub struct CrossingRam<T: Synth, const A: usize> {
    /// The writer's clock, rising edge.
    pub write_clock: Signal<In, Clock>,
    /// Write `write_data`.
    pub write_enable: Signal<In, Bit>,
    /// Word to write.
    pub write_address: Signal<In, Bits<A>>,
    /// New word.
    pub write_data: Signal<In, T>,
    /// The reader's clock, rising edge.
    pub read_clock: Signal<In, Clock>,
    /// Load the output register.
    pub read_enable: Signal<In, Bit>,
    /// Word to read; not one that is being written.
    pub read_address: Signal<In, Bits<A>>,
    /// Output register.
    pub read_data: Signal<Out, T>,
    _memory: Vec<T>,
}

impl<T: Synth, const A: usize> Default for CrossingRam<T, A> {
    fn default() -> Self {
        Self {
            write_clock: Signal::default(),
            write_enable: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            read_clock: Signal::default(),
            read_enable: Signal::default(),
            read_address: Signal::default(),
            read_data: Signal::default(),
            _memory: vec![T::default(); 1 << A],
        }
    }
}

impl<T: Synth, const A: usize> Logic for CrossingRam<T, A> {
    fn update(&mut self) {
        if self.read_clock.pos_edge() && self.read_enable.val() {
            self.read_data.next = self._memory[self.read_address.val().index()];
        }
        if self.write_clock.pos_edge() && self.write_enable.val() {
            self._memory[self.write_address.val().index()] = self.write_data.val();
        }
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        Verilog::Custom(format!(
            "(* ram_style = \"distributed\" *) reg [{msb}:0] memory [0:{last}];\n\
             integer i;\n\
             initial begin\n\
             read_data = 0;\n\
             for (i = 0; i <= {last}; i = i + 1) memory[i] = 0;\n\
             end\n\
             always @(posedge write_clock) if (write_enable) memory[write_address] <= write_data;\n\
             always @(posedge read_clock) if (read_enable) read_data <= memory[read_address];\n",
            msb = T::BITS - 1,
            last = (1_usize << A) - 1,
        ))
    }
}

/// FIFO of 2^`A` + 1 words between two clocks; see the module's text.
///
/// Both resets must be high together for three clocks of either side before one of them falls; the other may fall
/// whenever it likes. What was inside is lost.
#[derive(Clone, Debug, LogicBlock)]
pub struct Crossing<T: Synth, const A: usize, const P: usize> {
    /// The writer's clock, rising edge.
    pub in_clock: Signal<In, Clock>,
    /// Reset of the writer's side.
    pub in_reset: Signal<In, Bit>,
    /// Word offered.
    pub in_data: Signal<In, T>,
    /// `in_data` holds a word.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// The reader's clock, rising edge.
    pub out_clock: Signal<In, Clock>,
    /// Reset of the reader's side.
    pub out_reset: Signal<In, Bit>,
    /// Oldest word.
    pub out_data: Signal<Out, T>,
    /// `out_data` holds a word.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    memory: CrossingRam<T, A>,
    tail: GrayPointer<A, P>,
    head: GrayPointer<A, P>,
    tail_seen: Synchroniser<Bits<P>>,
    head_seen: Synchroniser<Bits<P>>,
    ready: DffR<Bit>,
    valid: DffR<Bit>,
    store: Signal<Local, Bit>,
    load: Signal<Local, Bit>,
    holds: Signal<Local, Bit>,
    limit: Signal<Local, Bits<P>>,
    full: Signal<Local, Bit>,
    full_after: Signal<Local, Bit>,
    other_turn: Constant<Bits<P>>,
}

impl<T: Synth, const A: usize, const P: usize> Default for Crossing<T, A, P> {
    fn default() -> Self {
        Self {
            in_clock: Signal::default(),
            in_reset: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_clock: Signal::default(),
            out_reset: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            memory: CrossingRam::default(),
            tail: GrayPointer::default(),
            head: GrayPointer::default(),
            tail_seen: Synchroniser::default(),
            head_seen: Synchroniser::default(),
            ready: DffR::default(),
            valid: DffR::default(),
            store: Signal::default(),
            load: Signal::default(),
            holds: Signal::default(),
            limit: Signal::default(),
            full: Signal::default(),
            full_after: Signal::default(),
            // A place and the same place one turn later differ in the two highest bits of their Gray codes.
            other_turn: Constant::new((3_u64 << (A - 1)).to_bits()),
        }
    }
}

impl<T: Synth, const A: usize, const P: usize> Logic for Crossing<T, A, P> {
    #[hdl_gen]
    fn update(&mut self) {
        // The writer's side.
        self.tail.clock.next = self.in_clock.val();
        self.head_seen.clock.next = self.in_clock.val();
        self.ready.clock.next = self.in_clock.val();
        self.memory.write_clock.next = self.in_clock.val();
        self.tail.reset.next = self.in_reset.val();
        self.ready.reset.next = self.in_reset.val();
        self.head_seen.d.next = self.head.gray.val();

        self.store.next = self.in_valid.val() & self.ready.q.val();
        self.limit.next = self.head_seen.q.val() ^ self.other_turn.val();
        self.full.next = self.tail.gray.val() == self.limit.val();
        self.full_after.next = self.tail.gray_after.val() == self.limit.val();
        self.ready.enable.next = true;
        self.ready.d.next = !self.full.val();
        if self.store.val() {
            self.ready.d.next = !self.full_after.val();
        }
        self.tail.advance.next = self.store.val();
        self.memory.write_enable.next = self.store.val();
        self.memory.write_address.next = self.tail.place.val();
        self.memory.write_data.next = self.in_data.val();
        self.in_ready.next = self.ready.q.val();

        // The reader's side.
        self.head.clock.next = self.out_clock.val();
        self.tail_seen.clock.next = self.out_clock.val();
        self.valid.clock.next = self.out_clock.val();
        self.memory.read_clock.next = self.out_clock.val();
        self.head.reset.next = self.out_reset.val();
        self.valid.reset.next = self.out_reset.val();
        self.tail_seen.d.next = self.tail.gray.val();

        self.load.next = self.out_ready.val() | !self.valid.q.val();
        self.holds.next = self.head.gray.val() != self.tail_seen.q.val();
        self.valid.enable.next = self.load.val();
        self.valid.d.next = self.holds.val();
        self.head.advance.next = self.load.val() & self.holds.val();
        self.memory.read_enable.next = self.load.val();
        self.memory.read_address.next = self.head.place.val();
        self.out_data.next = self.memory.read_data.val();
        self.out_valid.next = self.valid.q.val();
    }
}
