//! Puts headers and payload on the link, one TLP after the other (7-series stream, PG054 "AXI4-Stream").
//!
//! A beat a clock when the payload is there, and no bubble between TLPs. Behind three header words the payload moves
//! up by a DW. A request of the card that finds bus mastering off is dropped with its payload. Latency two clocks.
//! About 400 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::tlp::{TurnRound, TxBeat, TxHead};
use crate::skid::Skid;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
pub enum Part {
    /// The first two header words.
    First,
    /// The rest of the header, and a DW of payload if there is room.
    Second,
    /// Payload.
    Payload,
    /// Payload that is not sent.
    Drop,
}

/// The sender; see the module's text.
#[derive(LogicBlock)]
pub struct Transmit {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The card may send requests.
    pub bus_master: Signal<In, Bit>,
    /// The next to be sent.
    pub head: Signal<In, TxHead>,
    /// It is there.
    pub head_valid: Signal<In, Bit>,
    /// It is sent, or dropped.
    pub head_ready: Signal<Out, Bit>,
    /// Payload of completions.
    pub completion_data: Signal<In, Bits<64>>,
    /// It is there.
    pub completion_valid: Signal<In, Bit>,
    /// It is taken.
    pub completion_ready: Signal<Out, Bit>,
    /// Payload of writes.
    pub write_data: Signal<In, Bits<64>>,
    /// It is there.
    pub write_valid: Signal<In, Bit>,
    /// It is taken.
    pub write_ready: Signal<Out, Bit>,
    /// Payload of interrupts, always there.
    pub message_data: Signal<In, Bits<64>>,
    /// It is taken.
    pub message_ready: Signal<Out, Bit>,
    /// What is taken is dropped.
    pub dropped: Signal<Out, Bit>,
    /// A write of the dma block is sent, or dropped; high for one clock.
    pub write_done: Signal<Out, Bit>,
    /// Beat to the link.
    pub beat: Signal<Out, TxBeat>,
    /// It is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    skid: Skid<TxBeat>,
    part: DFF<Part>,
    /// DWs of payload to come.
    left: DFF<Bits<10>>,
    /// The DW that waits for the next beat.
    spare: DFF<Bits<32>>,
    address: Signal<Local, Bits<64>>,
    payload: Signal<Local, Bits<64>>,
    payload_valid: Signal<Local, Bit>,
    payload_ready: Signal<Local, Bit>,
    has_payload: Signal<Local, Bit>,
    low: TurnRound,
    high: TurnRound,
    turned: Signal<Local, Bits<64>>,
    header_end: Signal<Local, Bits<64>>,
    moved: Signal<Local, Bits<64>>,
    four: Signal<Local, Bit>,
    is_one: Signal<Local, Bit>,
    is_two: Signal<Local, Bit>,
    /// This beat takes payload from the source.
    wants: Signal<Local, Bit>,
    sends: Signal<Local, Bit>,
    finishes: Signal<Local, Bit>,
    drops: Signal<Local, Bit>,
    out_data: Signal<Local, Bits<64>>,
    out_upper: Signal<Local, Bit>,
    active: Signal<Local, Bit>,
    none: Constant<Bits<10>>,
    one: Constant<Bits<10>>,
    two: Constant<Bits<10>>,
}

impl Default for Transmit {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            bus_master: Signal::default(),
            head: Signal::default(),
            head_valid: Signal::default(),
            head_ready: Signal::default(),
            completion_data: Signal::default(),
            completion_valid: Signal::default(),
            completion_ready: Signal::default(),
            write_data: Signal::default(),
            write_valid: Signal::default(),
            write_ready: Signal::default(),
            message_data: Signal::default(),
            message_ready: Signal::default(),
            dropped: Signal::default(),
            write_done: Signal::default(),
            beat: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            skid: Skid::default(),
            part: DFF::default(),
            left: DFF::default(),
            spare: DFF::default(),
            address: Signal::default(),
            payload: Signal::default(),
            payload_valid: Signal::default(),
            payload_ready: Signal::default(),
            has_payload: Signal::default(),
            low: TurnRound::default(),
            high: TurnRound::default(),
            turned: Signal::default(),
            header_end: Signal::default(),
            moved: Signal::default(),
            four: Signal::default(),
            is_one: Signal::default(),
            is_two: Signal::default(),
            wants: Signal::default(),
            sends: Signal::default(),
            finishes: Signal::default(),
            drops: Signal::default(),
            out_data: Signal::default(),
            out_upper: Signal::default(),
            active: Signal::default(),
            none: Constant::new(0_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            two: Constant::new(2_u64.to_bits()),
        }
    }
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, part, left, spare);
        clock!(self, clock, skid);

        self.four.next = self.head.val().four;
        self.address.next = self.head.val().address;
        self.has_payload.next = self.head.val().dwords != self.none.val();
        self.payload.next = self.completion_data.val();
        self.payload_valid.next = self.completion_valid.val();
        if self.head.val().write {
            self.payload.next = self.write_data.val();
            self.payload_valid.next = self.write_valid.val();
        } else if self.head.val().interrupt {
            self.payload.next = self.message_data.val();
            self.payload_valid.next = true;
        }
        self.low.word.next = self.payload.val().get_bits::<32>(0);
        self.high.word.next = self.payload.val().get_bits::<32>(32);
        self.turned.next = (bit_cast::<64, 32>(self.high.turned.val()) << 32)
            | bit_cast::<64, 32>(self.low.turned.val());
        self.moved.next = (bit_cast::<64, 32>(self.low.turned.val()) << 32)
            | bit_cast::<64, 32>(self.spare.q.val());
        self.header_end.next = (bit_cast::<64, 32>(self.low.turned.val()) << 32)
            | bit_cast::<64, 32>(self.address.val().get_bits::<32>(0));
        self.is_one.next = self.left.q.val() == self.one.val();
        self.is_two.next = self.left.q.val() == self.two.val();

        // What the beat is, and whether it needs payload.
        self.out_data.next = (bit_cast::<64, 32>(self.head.val().word1) << 32)
            | bit_cast::<64, 32>(self.head.val().word0);
        self.out_upper.next = true;
        self.finishes.next = false;
        self.wants.next = false;
        self.drops.next = false;
        self.active.next = self.head_valid.val();
        match self.part.q.val() {
            Part::First => {
                self.left.d.next = self.head.val().dwords;
                self.drops.next = self.head.val().request & (!self.bus_master.val());
            }
            Part::Second => {
                if self.four.val() {
                    self.out_data.next = (bit_cast::<64, 32>(self.address.val().get_bits::<32>(0))
                        << 32)
                        | bit_cast::<64, 32>(self.address.val().get_bits::<32>(32));
                    self.finishes.next = !self.has_payload.val();
                } else {
                    self.out_data.next = self.header_end.val();
                    self.out_upper.next = self.has_payload.val();
                    self.wants.next = self.has_payload.val();
                    self.finishes.next = (!self.has_payload.val()) | self.is_one.val();
                }
            }
            Part::Payload => {
                if self.four.val() {
                    self.out_data.next = self.turned.val();
                    self.out_upper.next = !self.is_one.val();
                    self.wants.next = true;
                    self.finishes.next = self.is_one.val() | self.is_two.val();
                } else {
                    self.out_data.next = self.moved.val();
                    self.out_upper.next = !self.is_one.val();
                    self.wants.next = !self.is_one.val();
                    self.finishes.next = self.is_one.val() | self.is_two.val();
                }
            }
            Part::Drop => {
                self.drops.next = true;
                self.wants.next = true;
                self.finishes.next = self.is_one.val() | self.is_two.val();
            }
            _ => {}
        }

        // It goes when the payload is there and, unless it is dropped, the link has room.
        self.sends.next = self.active.val()
            & (self.payload_valid.val() | (!self.wants.val()))
            & (self.skid.in_ready.val() | self.drops.val());
        self.skid.in_data.next.data = self.out_data.val();
        self.skid.in_data.next.upper = self.out_upper.val();
        self.skid.in_data.next.last = self.finishes.val();
        self.skid.in_valid.next = self.active.val()
            & (self.payload_valid.val() | (!self.wants.val()))
            & (!self.drops.val());
        self.payload_ready.next = self.sends.val() & self.wants.val();
        self.head_ready.next = false;
        if self.sends.val() {
            if self.wants.val() {
                self.spare.d.next = self.high.turned.val();
            }
            match self.part.q.val() {
                Part::First => {
                    if !self.drops.val() {
                        self.part.d.next = Part::Second;
                    } else if self.has_payload.val() {
                        self.part.d.next = Part::Drop;
                    } else {
                        self.head_ready.next = true;
                    }
                }
                Part::Second => {
                    self.part.d.next = Part::Payload;
                    if !self.four.val() {
                        self.left.d.next = self.left.q.val() - self.one.val();
                    }
                }
                _ => {
                    self.left.d.next = self.left.q.val() - self.two.val();
                }
            }
            if self.finishes.val() {
                self.part.d.next = Part::First;
                self.head_ready.next = true;
            }
        }
        self.completion_ready.next =
            self.payload_ready.val() & (!self.head.val().write) & (!self.head.val().interrupt);
        self.write_ready.next = self.payload_ready.val() & self.head.val().write;
        self.message_ready.next = self.payload_ready.val() & self.head.val().interrupt;
        self.dropped.next = self.drops.val();
        self.write_done.next = self.sends.val() & self.finishes.val() & self.head.val().write;
        self.beat.next = self.skid.out_data.val();
        self.valid.next = self.skid.out_valid.val();
        self.skid.out_ready.next = self.ready.val();
    }
}
