//! Carries out requests on BAR0, one register access a DW, and answers those that want an answer.
//!
//! Requests come in order and are taken one after the other. A DW costs three clocks and what the register bus
//! needs. A read is answered piece by piece: a completion ends at a multiple of 128 bytes, which is the read
//! completion boundary of an endpoint and never more than Max_Payload_Size. A piece is offered when all of its
//! data are there. The MSI-X page of BAR0 goes to the interrupts' own port, which takes single bytes; the register
//! bus takes whole DWs only. About 500 LUTs.

use layout::csr as map;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::span::Span;
use super::tlp::{Request, TxHead};
use crate::fifo::Fifo;

/// What the completer is doing.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
pub enum State {
    /// Waits for a request.
    Idle,
    /// Begins a completion.
    Begin,
    /// Starts an access, or finds that none is needed.
    Access,
    /// An access to a register runs.
    Wait,
    /// The interrupts look a word up.
    Look,
    /// The word is there.
    Word,
    /// The DW is done.
    Advance,
    /// Offers a completion.
    Answer,
}

/// The completer; see the module's text.
#[derive(LogicBlock)]
pub struct Completer {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Oldest request.
    pub request: Signal<In, Request>,
    /// It is there.
    pub request_valid: Signal<In, Bit>,
    /// It is done.
    pub request_ready: Signal<Out, Bit>,
    /// Payload of the writes, two DWs at a time.
    pub payload: Signal<In, Bits<64>>,
    /// It is there.
    pub payload_valid: Signal<In, Bit>,
    /// It is taken.
    pub payload_ready: Signal<Out, Bit>,
    /// Who answers.
    pub identifier: Signal<In, Bits<16>>,
    /// Register bus: byte address.
    pub csr_address: Signal<Out, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<Out, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<Out, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<Out, Bit>,
    /// Word read, with `csr_ack`.
    pub csr_rdata: Signal<In, Bits<32>>,
    /// The access is done.
    pub csr_ack: Signal<In, Bit>,
    /// Interrupts: DW in their page.
    pub msix_address: Signal<Out, Bits<10>>,
    /// Word to write.
    pub msix_wdata: Signal<Out, Bits<32>>,
    /// Bytes to write, for one clock.
    pub msix_write: Signal<Out, Bits<4>>,
    /// Read, for one clock.
    pub msix_read: Signal<Out, Bit>,
    /// Word read, two clocks later.
    pub msix_rdata: Signal<In, Bits<32>>,
    /// No access now.
    pub msix_busy: Signal<In, Bit>,
    /// A completion.
    pub completion: Signal<Out, TxHead>,
    /// It is offered.
    pub completion_valid: Signal<Out, Bit>,
    /// It is taken.
    pub completion_ready: Signal<In, Bit>,
    /// Payload of the completions taken, and ahead of them.
    pub data: Signal<Out, Bits<64>>,
    /// It is there.
    pub data_valid: Signal<Out, Bit>,
    /// It is taken.
    pub data_ready: Signal<In, Bit>,
    span: Span,
    words: Fifo<Bits<64>, 4, 5>,
    state: DFF<State>,
    at: DFF<Bits<14>>,
    left: DFF<Bits<11>>,
    bytes: DFF<Bits<13>>,
    first: DFF<Bit>,
    odd: DFF<Bit>,
    /// Of the completion being filled: DWs, Byte Count, Lower Address.
    size: DFF<Bits<10>>,
    count: DFF<Bits<12>>,
    lower: DFF<Bits<7>>,
    low: DFF<Bits<32>>,
    word: DFF<Bits<32>>,
    writing: DFF<Bit>,
    reading: DFF<Bit>,
    value: DFF<Bits<32>>,
    serves: Signal<Local, Bit>,
    single: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    piece_ends: Signal<Local, Bit>,
    enables: Signal<Local, Bits<4>>,
    interrupts: Signal<Local, Bit>,
    skips: Signal<Local, Bit>,
    new_word: Signal<Local, Bits<32>>,
    pushes: Signal<Local, Bit>,
    advances: Signal<Local, Bit>,
    taken_bytes: Signal<Local, Bits<13>>,
    lead: Signal<Local, Bits<2>>,
    status: Signal<Local, Bits<3>>,
    format: Signal<Local, Bits<8>>,
    attributes: Signal<Local, Bits<3>>,
    labels: Signal<Local, Bits<32>>,
    one_dword: Constant<Bits<11>>,
    next_place: Constant<Bits<14>>,
    next_size: Constant<Bits<10>>,
    no_size: Constant<Bits<10>>,
    no_lead: Constant<Bits<2>>,
    no_word: Constant<Bits<32>>,
    four_bytes: Constant<Bits<13>>,
    all_bytes: Constant<Bits<4>>,
    no_bytes: Constant<Bits<4>>,
    page: Constant<Bits<4>>,
    success: Constant<Bits<3>>,
    unsupported: Constant<Bits<3>>,
    aborted: Constant<Bits<3>>,
    with_data: Constant<Bits<8>>,
    without_data: Constant<Bits<8>>,
    locked: Constant<Bits<8>>,
}

impl Default for Completer {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            request: Signal::default(),
            request_valid: Signal::default(),
            request_ready: Signal::default(),
            payload: Signal::default(),
            payload_valid: Signal::default(),
            payload_ready: Signal::default(),
            identifier: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            msix_address: Signal::default(),
            msix_wdata: Signal::default(),
            msix_write: Signal::default(),
            msix_read: Signal::default(),
            msix_rdata: Signal::default(),
            msix_busy: Signal::default(),
            completion: Signal::default(),
            completion_valid: Signal::default(),
            completion_ready: Signal::default(),
            data: Signal::default(),
            data_valid: Signal::default(),
            data_ready: Signal::default(),
            span: Span::default(),
            words: Fifo::default(),
            state: DFF::default(),
            at: DFF::default(),
            left: DFF::default(),
            bytes: DFF::default(),
            first: DFF::default(),
            odd: DFF::default(),
            size: DFF::default(),
            count: DFF::default(),
            lower: DFF::default(),
            low: DFF::default(),
            word: DFF::default(),
            writing: DFF::default(),
            reading: DFF::default(),
            value: DFF::default(),
            serves: Signal::default(),
            single: Signal::default(),
            ends: Signal::default(),
            piece_ends: Signal::default(),
            enables: Signal::default(),
            interrupts: Signal::default(),
            skips: Signal::default(),
            new_word: Signal::default(),
            pushes: Signal::default(),
            advances: Signal::default(),
            taken_bytes: Signal::default(),
            lead: Signal::default(),
            status: Signal::default(),
            format: Signal::default(),
            attributes: Signal::default(),
            labels: Signal::default(),
            one_dword: Constant::new(1_u64.to_bits()),
            next_place: Constant::new(1_u64.to_bits()),
            next_size: Constant::new(1_u64.to_bits()),
            no_size: Constant::new(0_u64.to_bits()),
            no_lead: Constant::new(0_u64.to_bits()),
            no_word: Constant::new(0_u64.to_bits()),
            four_bytes: Constant::new(4_u64.to_bits()),
            all_bytes: Constant::new(15_u64.to_bits()),
            no_bytes: Constant::new(0_u64.to_bits()),
            page: Constant::new((u64::from(map::MSIX_TABLE >> 12)).to_bits()),
            success: Constant::new((0b000_u64).to_bits()),
            unsupported: Constant::new((0b001_u64).to_bits()),
            aborted: Constant::new((0b100_u64).to_bits()),
            with_data: Constant::new(0x4a_u64.to_bits()),
            without_data: Constant::new(0x0a_u64.to_bits()),
            locked: Constant::new(0x0b_u64.to_bits()),
        }
    }
}

impl Logic for Completer {
    #[expect(clippy::collapsible_match, reason = "a kernel knows no guards")]
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, at, left, bytes, first, odd, size, count, lower, low, word,
            writing, reading, value
        );
        clock!(self, clock, words);

        // Where the request is.
        self.span.dwords.next = self.request.val().dwords;
        self.span.first.next = self.request.val().first;
        self.span.final_enables.next = self.request.val().final_enables;
        self.serves.next = self.request.val().read | self.request.val().write;
        self.single.next = self.request.val().dwords == self.one_dword.val();
        self.ends.next = self.left.q.val() == self.one_dword.val();
        self.piece_ends.next = self.ends.val() | self.at.q.val().get_bits::<5>(0).all();
        self.enables.next = self.all_bytes.val();
        if self.first.q.val() {
            self.enables.next = self.request.val().first;
        } else if self.ends.val() {
            self.enables.next = self.request.val().final_enables;
        }
        self.interrupts.next = self.at.q.val().get_bits::<4>(10) == self.page.val();
        // Reading a whole DW harms nothing; a read of nothing at all is a flush.
        self.skips.next =
            (self.request.val().read & self.single.val() & (!self.request.val().first.any()))
                | (self.request.val().write
                    & ((!self.enables.val().any())
                        | ((!self.interrupts.val()) & (!self.enables.val().all()))));
        self.new_word.next = self.payload.val().get_bits::<32>(0);
        if self.odd.q.val() {
            self.new_word.next = self.payload.val().get_bits::<32>(32);
        }

        self.msix_address.next = self.at.q.val().get_bits::<10>(0);
        self.msix_wdata.next = self.new_word.val();
        self.msix_write.next = self.no_bytes.val();
        self.msix_read.next = false;
        self.pushes.next = false;
        self.advances.next = false;
        self.payload_ready.next = false;
        self.request_ready.next = false;
        self.completion_valid.next = self.state.q.val() == State::Answer;
        self.lead.next = self.no_lead.val();
        if self.first.q.val() {
            self.lead.next = self.span.lead.val();
        }
        self.taken_bytes.next = self.four_bytes.val() - bit_cast::<13, 2>(self.lead.val());

        match self.state.q.val() {
            State::Idle => {
                self.at.d.next = self.request.val().address;
                self.left.d.next = self.request.val().dwords;
                self.bytes.d.next = self.span.bytes.val();
                self.first.d.next = true;
                self.odd.d.next = false;
                if self.request_valid.val() {
                    if self.request.val().write {
                        self.state.d.next = State::Access;
                    } else {
                        self.state.d.next = State::Begin;
                    }
                }
            }
            State::Begin => {
                self.size.d.next = self.no_size.val();
                self.count.d.next = self.bytes.q.val().get_bits::<12>(0);
                self.lower.d.next = (bit_cast::<7, 5>(self.at.q.val().get_bits::<5>(0)) << 2)
                    | bit_cast::<7, 2>(self.lead.val());
                self.odd.d.next = false;
                if self.serves.val() {
                    self.state.d.next = State::Access;
                } else {
                    self.state.d.next = State::Answer;
                }
            }
            State::Access => {
                self.word.d.next = self.no_word.val();
                self.value.d.next = self.new_word.val();
                if self.request.val().read | self.payload_valid.val() {
                    if self.skips.val() {
                        self.state.d.next = State::Advance;
                    } else if self.interrupts.val() {
                        if !self.msix_busy.val() {
                            if self.request.val().read {
                                self.msix_read.next = true;
                                self.state.d.next = State::Look;
                            } else {
                                self.msix_write.next = self.enables.val();
                                self.state.d.next = State::Advance;
                            }
                        }
                    } else {
                        self.writing.d.next = self.request.val().write;
                        self.reading.d.next = self.request.val().read;
                        self.state.d.next = State::Wait;
                    }
                }
            }
            State::Wait => {
                self.word.d.next = self.csr_rdata.val();
                if self.csr_ack.val() {
                    self.writing.d.next = false;
                    self.reading.d.next = false;
                    self.state.d.next = State::Advance;
                }
            }
            State::Look => {
                self.state.d.next = State::Word;
            }
            State::Word => {
                self.word.d.next = self.msix_rdata.val();
                self.state.d.next = State::Advance;
            }
            State::Advance => {
                self.pushes.next =
                    self.request.val().read & (self.odd.q.val() | self.piece_ends.val());
                self.advances.next = (!self.pushes.val()) | self.words.in_ready.val();
                if self.advances.val() {
                    self.at.d.next = self.at.q.val() + self.next_place.val();
                    self.left.d.next = self.left.q.val() - self.one_dword.val();
                    self.bytes.d.next = self.bytes.q.val() - self.taken_bytes.val();
                    self.size.d.next = self.size.q.val() + self.next_size.val();
                    self.first.d.next = false;
                    self.odd.d.next = !self.odd.q.val();
                    self.low.d.next = self.word.q.val();
                    self.state.d.next = State::Access;
                    if self.request.val().write {
                        self.payload_ready.next = self.odd.q.val() | self.ends.val();
                        if self.ends.val() {
                            self.request_ready.next = true;
                            self.state.d.next = State::Idle;
                        }
                    } else if self.piece_ends.val() {
                        self.state.d.next = State::Answer;
                    }
                }
            }
            State::Answer => {
                if self.completion_ready.val() {
                    if self.serves.val() & self.left.q.val().any() {
                        self.state.d.next = State::Begin;
                    } else {
                        self.request_ready.next = true;
                        self.state.d.next = State::Idle;
                    }
                }
            }
            _ => {}
        }

        self.csr_address.next = bit_cast::<16, 14>(self.at.q.val()) << 2;
        self.csr_wdata.next = self.value.q.val();
        self.csr_write.next = self.writing.q.val();
        self.csr_read.next = self.reading.q.val();

        // Payload of completions, from the low word on.
        self.words.in_data.next =
            (bit_cast::<64, 32>(self.word.q.val()) << 32) | bit_cast::<64, 32>(self.low.q.val());
        if !self.odd.q.val() {
            self.words.in_data.next = bit_cast::<64, 32>(self.word.q.val());
        }
        self.words.in_valid.next = self.pushes.val();
        self.data.next = self.words.out_data.val();
        self.data_valid.next = self.words.out_valid.val();
        self.words.out_ready.next = self.data_ready.val();

        // Header: format and type, traffic class, attributes, length; completer, status, count; requester, tag.
        self.format.next = self.without_data.val();
        self.status.next = self.unsupported.val();
        if self.serves.val() {
            self.format.next = self.with_data.val();
            self.status.next = self.success.val();
        } else if self.request.val().aborted {
            self.status.next = self.aborted.val();
        } else if self.request.val().locked {
            self.format.next = self.locked.val();
        }
        self.attributes.next = self.request.val().attributes;
        self.labels.next = (bit_cast::<32, 3>(self.request.val().traffic) << 20)
            | (bit_cast::<32, 1>(self.attributes.val().get_bits::<1>(2)) << 18)
            | (bit_cast::<32, 2>(self.attributes.val().get_bits::<2>(0)) << 12);
        self.completion.next.word0 = (bit_cast::<32, 8>(self.format.val()) << 24)
            | self.labels.val()
            | bit_cast::<32, 10>(self.size.q.val());
        self.completion.next.word1 = (bit_cast::<32, 16>(self.identifier.val()) << 16)
            | (bit_cast::<32, 3>(self.status.val()) << 13)
            | bit_cast::<32, 12>(self.count.q.val());
        self.completion.next.address = (bit_cast::<64, 16>(self.request.val().requester) << 16)
            | (bit_cast::<64, 8>(self.request.val().tag) << 8)
            | bit_cast::<64, 7>(self.lower.q.val());
        self.completion.next.four = false;
        self.completion.next.dwords = self.size.q.val();
        self.completion.next.request = false;
        self.completion.next.write = false;
        self.completion.next.interrupt = false;
    }
}

// The interrupts have their page of BAR0 to themselves.
const _: () = assert!(
    map::MSIX_TABLE.is_multiple_of(0x1000) && map::MSIX_PENDING >> 12 == map::MSIX_TABLE >> 12
);
