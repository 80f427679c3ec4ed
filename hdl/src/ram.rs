//! Memories with one write and one read port on one clock, all zero at power-on.
//!
//! [`Ram`] is for block RAM (EBR, 18 kbit: 512 words of 36, 1024 of 18, 2048 of 9 …): the address
//! is taken at one edge, the word leaves the RAM at that edge and an output register at the next,
//! so data is valid **two clocks** after the address. [`LutRam`] is for small memories of LUTs
//! (16 words of 4 bits each): one clock, and `forward` puts the word being written into the output
//! register, which is how a FIFO lets a word fall through.
//!
//! A read of a word of [`Ram`] that is written at the same edge gives the old word in simulation and
//! **any** word on silicon; who reads and writes at once must not use what was read. A read of
//! [`LutRam`] gives the old word everywhere.

use rust_hdl_core::prelude::*;

/// Block RAM of 2^`A` words; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Ram<T: Synth, const A: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Take `read_address`; the output register follows one clock later in any case.
    pub read_enable: Signal<In, Bit>,
    /// Word to read.
    pub read_address: Signal<In, Bits<A>>,
    /// The word, two clocks after its address.
    pub read_data: Signal<Out, T>,
    /// Write `write_data` at this edge.
    pub write_enable: Signal<In, Bit>,
    /// Word to write.
    pub write_address: Signal<In, Bits<A>>,
    /// New word.
    pub write_data: Signal<In, T>,
    _memory: Vec<T>,
    _word: T,
}

impl<T: Synth, const A: usize> Default for Ram<T, A> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            read_enable: Signal::default(),
            read_address: Signal::default(),
            read_data: Signal::default(),
            write_enable: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            _memory: vec![T::default(); 1 << A],
            _word: T::default(),
        }
    }
}

impl<T: Synth, const A: usize> Logic for Ram<T, A> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.read_data.next = self._word;
            if self.read_enable.val() {
                self._word = self._memory[self.read_address.val().index()];
            }
            if self.write_enable.val() {
                self._memory[self.write_address.val().index()] = self.write_data.val();
            }
        }
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        // no_rw_check: the caller never uses a word read while it is written, so the tools need
        // not add logic that keeps the old word.
        Verilog::Custom(format!(
            "(* ram_style = \"block\", no_rw_check *) reg [{msb}:0] memory [0:{last}];\n\
             reg [{msb}:0] word;\n\
             integer i;\n\
             initial begin\n\
             word = 0;\n\
             read_data = 0;\n\
             for (i = 0; i <= {last}; i = i + 1) memory[i] = 0;\n\
             end\n\
             always @(posedge clock) begin\n\
             read_data <= word;\n\
             if (read_enable) word <= memory[read_address];\n\
             if (write_enable) memory[write_address] <= write_data;\n\
             end\n",
            msb = T::BITS - 1,
            last = (1_usize << A) - 1,
        ))
    }
}

/// LUT RAM of 2^`A` words with an output register; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct LutRam<T: Synth, const A: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Load the output register.
    pub read_enable: Signal<In, Bit>,
    /// Load `write_data` instead of a stored word.
    pub forward: Signal<In, Bit>,
    /// Word to read.
    pub read_address: Signal<In, Bits<A>>,
    /// Output register.
    pub read_data: Signal<Out, T>,
    /// Write `write_data` at this edge.
    pub write_enable: Signal<In, Bit>,
    /// Word to write.
    pub write_address: Signal<In, Bits<A>>,
    /// New word.
    pub write_data: Signal<In, T>,
    _memory: Vec<T>,
}

impl<T: Synth, const A: usize> Default for LutRam<T, A> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            read_enable: Signal::default(),
            forward: Signal::default(),
            read_address: Signal::default(),
            read_data: Signal::default(),
            write_enable: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            _memory: vec![T::default(); 1 << A],
        }
    }
}

impl<T: Synth, const A: usize> Logic for LutRam<T, A> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            if self.read_enable.val() {
                self.read_data.next = if self.forward.val() {
                    self.write_data.val()
                } else {
                    self._memory[self.read_address.val().index()]
                };
            }
            if self.write_enable.val() {
                self._memory[self.write_address.val().index()] = self.write_data.val();
            }
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
             always @(posedge clock) begin\n\
             if (read_enable) read_data <= forward ? write_data : memory[read_address];\n\
             if (write_enable) memory[write_address] <= write_data;\n\
             end\n",
            msb = T::BITS - 1,
            last = (1_usize << A) - 1,
        ))
    }
}
