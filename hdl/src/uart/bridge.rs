//! Requests on a serial line to accesses of the register bus, and answers back; `layout::uart` has their form.
//!
//! ```text
//! bytes ─► word ─► request ┐                           ┌─► csr_* ─┐
//!           │              ├─ one block RAM ─► decode ─┤          │
//!          check           │                           └─◄────────┘
//!           │     answer ◄─┘◄─────────── words read ───────┘
//! bytes ◄─ word ◄───┘
//! ```
//!
//! A request is kept whole until its check is found right; nothing of it has reached the bus by then. Then its accesses
//! are done, in order, and what they read is kept too, so that the answer can be sent again without reading again. A byte
//! that is broken, or silence of [`GAP_BITS`], ends a request that is coming in. What comes in while a request is done or
//! answered is not heard.
//!
//! On the bus an access is held until `ack`, and the next begins no sooner than the clock after. The bus answers each;
//! a core that is held in reset does not, so `reset` of the bridge is that of the core.
//!
//! Between two accesses of a request stand 256 clocks, so that a status read behind a command sees what became of it.
//!
//! Latency: from the last byte of a request to the first of its answer about 20 clocks, 258 for each access behind the
//! first, and for each word what the bus takes (8) and 1 (read) or 4 (written). Throughput: the line's; writing 254 words
//! takes less than three bytes do. Cost: 631 LUTs, 35 carry cells, 233 flip-flops, 1 block RAM (`synth_ecp5`, with the
//! circuit of the check).

use layout::uart::{
    ANSWER_START, GAP_BITS, OPERATION_READ, OPERATION_WRITE, REQUEST_START, UART_WORDS,
};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::check::Check;
use crate::ram::Ram;

/// Clocks between two accesses: a table operation that the first one started is over when the second one asks, unless
/// packets hold it up. Shorter than a quarter of a byte.
const SETTLE_CLOCKS: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    /// A header comes in.
    Listen,
    /// It is there.
    Header,
    /// The words behind it come in, the check last.
    Body,
    /// Is the request to be done?
    Judge,
    /// An access is fetched.
    Seek,
    /// It is there.
    Decode,
    /// Has the access more words?
    Turn,
    /// A word to write is fetched.
    Fetch,
    /// The bus is at work.
    Bus,
    /// What is sent next?
    Pick,
    /// A word of the answer is fetched.
    Load,
    /// A word is sent.
    Send,
}

/// The bridge; see the module's text.
#[derive(LogicBlock)]
pub struct Bridge {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forget everything: a request must open again.
    pub reset: Signal<In, Bit>,
    /// Byte from the line, with `in_valid`.
    pub in_data: Signal<In, Bits<8>>,
    /// A byte came, high for one clock, no sooner than nine clocks after the last.
    pub in_valid: Signal<In, Bit>,
    /// A byte came that is broken, high for one clock.
    pub in_broken: Signal<In, Bit>,
    /// Byte for the line.
    pub out_data: Signal<Out, Bits<8>>,
    /// `out_data` holds a byte.
    pub out_valid: Signal<Out, Bit>,
    /// The line takes it, no sooner than nine clocks after the last.
    pub out_ready: Signal<In, Bit>,
    /// Byte address.
    pub csr_address: Signal<Out, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<Out, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<Out, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<Out, Bit>,
    /// Word read, valid with `csr_ack`.
    pub csr_rdata: Signal<In, Bits<32>>,
    /// The access is done, high for one clock.
    pub csr_ack: Signal<In, Bit>,
    check: Check,
    /// The request in the lower half, the answer in the upper.
    memory: Ram<Bits<32>, 9>,
    state: DFF<State>,
    /// Bytes on their way in or out.
    word: DFF<Bits<32>>,
    lane: DFF<Bits<2>>,
    gap: DFF<Bits<24>>,
    /// Words of the request, without the check.
    words: DFF<Bits<8>>,
    /// Its sequence number.
    number: DFF<Bits<16>>,
    /// Words that came, of the request; then the place of the word that is fetched, of either.
    place: DFF<Bits<8>>,
    stored: DFF<Bit>,
    /// A request with words may be done.
    opened: DFF<Bit>,
    /// Sequence number of the request served last.
    served: DFF<Bits<16>>,
    /// Words of its answer.
    answers: DFF<Bits<8>>,
    address: DFF<Bits<16>>,
    count: DFF<Bits<8>>,
    writing: DFF<Bit>,
    writes: DFF<Bit>,
    reads: DFF<Bit>,
    /// Clocks until the block RAM has the word, and until the next access begins.
    pause: DFF<Bits<8>>,
    /// The header of the answer was sent.
    headed: DFF<Bit>,
    /// The check is being sent.
    closing: DFF<Bit>,
    is_start: Signal<Local, Bit>,
    hears: Signal<Local, Bit>,
    takes: Signal<Local, Bit>,
    sends: Signal<Local, Bit>,
    whole: Signal<Local, Bit>,
    silent: Signal<Local, Bit>,
    is_last: Signal<Local, Bit>,
    is_new: Signal<Local, Bit>,
    arrived: Signal<Local, Bit>,
    answering: Signal<Local, Bit>,
    is_read: Signal<Local, Bit>,
    is_write: Signal<Local, Bit>,
    half: Signal<Local, Bits<9>>,
    answer_header: Signal<Local, Bits<32>>,
    none: Constant<Bits<8>>,
    one: Constant<Bits<8>>,
    next_lane: Constant<Bits<2>>,
    first_lane: Constant<Bits<2>>,
    last_lane: Constant<Bits<2>>,
    fetching: Constant<Bits<8>>,
    settling: Constant<Bits<8>>,
    next_clock: Constant<Bits<24>>,
    no_clock: Constant<Bits<24>>,
    gap_clocks: Constant<Bits<24>>,
    next_address: Constant<Bits<16>>,
    request_half: Constant<Bits<9>>,
    answer_half: Constant<Bits<9>>,
    most: Constant<Bits<8>>,
    request_start: Constant<Bits<8>>,
    answer_start: Constant<Bits<32>>,
    read_code: Constant<Bits<8>>,
    write_code: Constant<Bits<8>>,
}

impl Bridge {
    /// A bridge on a line with bits of this many clocks.
    ///
    /// # Panics
    /// When the counter does not hold the longest silence.
    pub fn new(clocks_per_bit: u32) -> Self {
        let gap_clocks = u64::from(GAP_BITS) * u64::from(clocks_per_bit);
        assert!(gap_clocks < 1 << 24, "at most 1023 clocks a bit");
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_broken: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            check: Check::default(),
            memory: Ram::default(),
            state: DFF::default(),
            word: DFF::default(),
            lane: DFF::default(),
            gap: DFF::default(),
            words: DFF::default(),
            number: DFF::default(),
            place: DFF::default(),
            stored: DFF::default(),
            opened: DFF::default(),
            served: DFF::default(),
            answers: DFF::default(),
            address: DFF::default(),
            count: DFF::default(),
            writing: DFF::default(),
            writes: DFF::default(),
            reads: DFF::default(),
            pause: DFF::default(),
            headed: DFF::default(),
            closing: DFF::default(),
            is_start: Signal::default(),
            hears: Signal::default(),
            takes: Signal::default(),
            sends: Signal::default(),
            whole: Signal::default(),
            silent: Signal::default(),
            is_last: Signal::default(),
            is_new: Signal::default(),
            arrived: Signal::default(),
            answering: Signal::default(),
            is_read: Signal::default(),
            is_write: Signal::default(),
            half: Signal::default(),
            answer_header: Signal::default(),
            none: Constant::new(0.into()),
            one: Constant::new(1.into()),
            next_lane: Constant::new(1.into()),
            first_lane: Constant::new(0.into()),
            last_lane: Constant::new(3.into()),
            fetching: Constant::new(2.into()),
            settling: Constant::new((SETTLE_CLOCKS - 1).to_bits()),
            next_clock: Constant::new(1.into()),
            no_clock: Constant::new(0.into()),
            gap_clocks: Constant::new(gap_clocks.to_bits()),
            next_address: Constant::new(4.into()),
            request_half: Constant::new(0.into()),
            answer_half: Constant::new(0x100_u64.to_bits()),
            most: Constant::new((UART_WORDS as u64).to_bits()),
            request_start: Constant::new(u64::from(REQUEST_START).to_bits()),
            answer_start: Constant::new(u64::from(ANSWER_START).to_bits()),
            read_code: Constant::new(u64::from(OPERATION_READ).to_bits()),
            write_code: Constant::new(u64::from(OPERATION_WRITE).to_bits()),
        }
    }
}

impl Logic for Bridge {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, word, lane, gap, words, number, place, stored, opened, served,
            answers, address, count, writing, writes, reads, pause, headed, closing
        );
        clock!(self, clock, check, memory);

        // A byte of a request: the first must be the one that begins requests.
        self.is_start.next = (self.lane.q.val() != self.first_lane.val())
            | (self.in_data.val() == self.request_start.val());
        self.hears.next =
            (self.state.q.val() == State::Listen) | (self.state.q.val() == State::Body);
        self.takes.next = self.in_valid.val()
            & (((self.state.q.val() == State::Listen) & self.is_start.val())
                | (self.state.q.val() == State::Body));
        self.sends.next = (self.state.q.val() == State::Send) & self.out_ready.val();
        if self.takes.val() {
            self.word.d.next =
                (self.word.q.val() >> 8) | (bit_cast::<32, 8>(self.in_data.val()) << 24);
        } else if self.sends.val() {
            self.word.d.next = self.word.q.val() >> 8;
        }
        if self.takes.val() | self.sends.val() {
            self.lane.d.next = self.lane.q.val() + self.next_lane.val();
        }
        self.whole.next =
            (self.takes.val() | self.sends.val()) & (self.lane.q.val() == self.last_lane.val());
        self.out_data.next = self.word.q.val().get_bits::<8>(0);
        self.out_valid.next = self.state.q.val() == State::Send;

        // The check begins with the first byte of a request, and with the header of an answer.
        self.check.clear.next = ((self.state.q.val() == State::Listen)
            & (self.lane.q.val() == self.first_lane.val()))
            | ((self.state.q.val() == State::Pick) & !self.headed.q.val());
        self.check.feed.next = self.takes.val() | (self.sends.val() & !self.closing.q.val());
        self.check.data.next = self.in_data.val();
        if self.state.q.val() == State::Send {
            self.check.data.next = self.word.q.val().get_bits::<8>(0);
        }

        // Silence in the middle of a request.
        self.silent.next = self.gap.q.val() == self.gap_clocks.val();
        self.gap.d.next = self.no_clock.val();
        if self.hears.val() & !self.in_valid.val() {
            if !self.silent.val() {
                self.gap.d.next = self.gap.q.val() + self.next_clock.val();
            } else {
                self.gap.d.next = self.gap.q.val();
            }
        }

        // The block RAM has a word two clocks after its address, which stands still meanwhile.
        self.answering.next =
            (self.state.q.val() == State::Pick) | (self.state.q.val() == State::Load);
        self.half.next = self.request_half.val();
        if self.answering.val() {
            self.half.next = self.answer_half.val();
        }
        self.memory.read_address.next = bit_cast::<9, 8>(self.place.q.val()) | self.half.val();
        self.memory.read_enable.next = (self.state.q.val() == State::Seek)
            | (self.state.q.val() == State::Fetch)
            | (self.state.q.val() == State::Load);
        self.arrived.next = self.pause.q.val() == self.none.val();
        if !self.arrived.val() {
            self.pause.d.next = self.pause.q.val() - self.one.val();
        }
        self.stored.d.next = self.whole.val() & (self.state.q.val() == State::Body);
        if self.state.q.val() == State::Bus {
            self.memory.write_address.next =
                bit_cast::<9, 8>(self.answers.q.val()) | self.answer_half.val();
            self.memory.write_data.next = self.csr_rdata.val();
            self.memory.write_enable.next = self.csr_ack.val() & !self.writing.q.val();
        } else {
            self.memory.write_address.next =
                bit_cast::<9, 8>(self.place.q.val()) | self.request_half.val();
            self.memory.write_data.next = self.word.q.val();
            self.memory.write_enable.next = self.stored.q.val();
        }

        self.is_last.next = self.place.q.val() == self.words.q.val();
        self.is_new.next = self.number.q.val() != self.served.q.val();
        self.is_read.next = self.memory.read_data.val().get_bits::<8>(24) == self.read_code.val();
        self.is_write.next = self.memory.read_data.val().get_bits::<8>(24) == self.write_code.val();
        self.answer_header.next = (bit_cast::<32, 16>(self.served.q.val()) << 16)
            | (bit_cast::<32, 8>(self.answers.q.val()) << 8)
            | self.answer_start.val();

        match self.state.q.val() {
            State::Listen => {
                self.closing.d.next = false;
                self.headed.d.next = false;
                if self.whole.val() {
                    self.state.d.next = State::Header;
                }
            }
            State::Header => {
                self.words.d.next = self.word.q.val().get_bits::<8>(8);
                self.number.d.next = self.word.q.val().get_bits::<16>(16);
                self.place.d.next = self.none.val();
                self.state.d.next = State::Body;
            }
            State::Body => {
                if self.stored.q.val() {
                    if self.is_last.val() {
                        self.state.d.next = State::Judge;
                    } else {
                        self.place.d.next = self.place.q.val() + self.one.val();
                    }
                }
            }
            State::Judge => {
                self.place.d.next = self.none.val();
                self.pause.d.next = self.fetching.val();
                if !self.check.busy.val() {
                    if !self.check.right.val() {
                        self.state.d.next = State::Listen;
                    } else if self.words.q.val() == self.none.val() {
                        self.opened.d.next = true;
                        self.served.d.next = self.number.q.val();
                        self.answers.d.next = self.none.val();
                        self.state.d.next = State::Pick;
                    } else if !self.opened.q.val() {
                        self.state.d.next = State::Listen;
                    } else if self.is_new.val() {
                        self.served.d.next = self.number.q.val();
                        self.answers.d.next = self.none.val();
                        self.state.d.next = State::Seek;
                    } else {
                        self.state.d.next = State::Pick;
                    }
                }
            }
            State::Seek => {
                if self.is_last.val() {
                    self.place.d.next = self.none.val();
                    self.state.d.next = State::Pick;
                } else if self.arrived.val() {
                    self.place.d.next = self.place.q.val() + self.one.val();
                    self.state.d.next = State::Decode;
                }
            }
            State::Decode => {
                self.address.d.next = self.memory.read_data.val().get_bits::<16>(0);
                self.count.d.next = self.memory.read_data.val().get_bits::<8>(16);
                self.writing.d.next = self.is_write.val();
                if (self.is_read.val() | self.is_write.val())
                    & (self.memory.read_data.val().get_bits::<8>(16) != self.none.val())
                {
                    self.state.d.next = State::Turn;
                } else {
                    self.place.d.next = self.none.val();
                    self.state.d.next = State::Pick;
                }
            }
            State::Turn => {
                self.pause.d.next = self.fetching.val();
                if self.count.q.val() == self.none.val() {
                    self.pause.d.next = self.settling.val();
                    self.state.d.next = State::Seek;
                } else if self.writing.q.val() & !self.is_last.val() {
                    self.state.d.next = State::Fetch;
                } else if (!self.writing.q.val()) & (self.answers.q.val() != self.most.val()) {
                    self.reads.d.next = true;
                    self.state.d.next = State::Bus;
                } else {
                    self.place.d.next = self.none.val();
                    self.state.d.next = State::Pick;
                }
            }
            State::Fetch => {
                if self.arrived.val() {
                    self.place.d.next = self.place.q.val() + self.one.val();
                    self.writes.d.next = true;
                    self.state.d.next = State::Bus;
                }
            }
            State::Bus => {
                if self.csr_ack.val() {
                    self.reads.d.next = false;
                    self.writes.d.next = false;
                    self.address.d.next = self.address.q.val() + self.next_address.val();
                    self.count.d.next = self.count.q.val() - self.one.val();
                    if !self.writing.q.val() {
                        self.answers.d.next = self.answers.q.val() + self.one.val();
                    }
                    self.state.d.next = State::Turn;
                }
            }
            State::Pick => {
                self.headed.d.next = true;
                self.pause.d.next = self.fetching.val();
                if !self.headed.q.val() {
                    self.word.d.next = self.answer_header.val();
                    self.state.d.next = State::Send;
                } else if self.closing.q.val() {
                    self.state.d.next = State::Listen;
                } else if self.place.q.val() != self.answers.q.val() {
                    self.state.d.next = State::Load;
                } else if !self.check.busy.val() {
                    self.closing.d.next = true;
                    self.word.d.next = self.check.value.val();
                    self.state.d.next = State::Send;
                }
            }
            State::Load => {
                if self.arrived.val() {
                    self.word.d.next = self.memory.read_data.val();
                    self.place.d.next = self.place.q.val() + self.one.val();
                    self.state.d.next = State::Send;
                }
            }
            State::Send => {
                if self.whole.val() {
                    self.state.d.next = State::Pick;
                }
            }
        }
        // Not what is complete: that is judged.
        if self.in_broken.val() & self.hears.val() {
            self.state.d.next = State::Listen;
            self.lane.d.next = self.first_lane.val();
        }
        if self.silent.val() & self.hears.val() & (!self.in_valid.val()) & !self.stored.q.val() {
            self.state.d.next = State::Listen;
            self.lane.d.next = self.first_lane.val();
        }
        if self.reset.val() {
            self.state.d.next = State::Listen;
            self.lane.d.next = self.first_lane.val();
            self.opened.d.next = false;
            self.reads.d.next = false;
            self.writes.d.next = false;
        }

        self.csr_address.next = self.address.q.val();
        self.csr_wdata.next = self.memory.read_data.val();
        self.csr_write.next = self.writes.q.val();
        self.csr_read.next = self.reads.q.val();
    }
}
