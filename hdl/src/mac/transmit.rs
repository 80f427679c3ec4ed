//! Beats to bytes on the wire: preamble, padding and frame check sequence put on, gap kept.
//!
//! Beats wait in a FIFO of 17. A frame starts when its first is there: preamble and that beat take 16 clocks, in which
//! the second has time to come. Its first byte is at the output 12 clocks after its first beat was taken. One byte a
//! clock, frames twelve clocks apart at least. 354 LUTs, 19 LUT RAMs of 16 × 4 and 164 flip-flops.
//!
//! * Frames shorter than 60 bytes get zeros up to 60.
//! * A frame whose last beat has no bytes is *poisoned*: it ends with its check sequence inverted, which is wrong for
//!   any frame, behind one byte of zero that fills the clock in which the poison was found.
//! * When a beat is missing in mid-frame, an *underrun*, the frame ends in the same way, and the rest of it is thrown
//!   away when it comes.
//! * A frame that is nothing but poison does not go out.
//!
//! Each frame that goes out raises one of three strobes for one clock.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::crc::Crc;
use crate::fifo::Fifo;
use crate::stream::Beat;

/// What a byte time is used for.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
pub enum Slot {
    /// Nothing, a frame may start.
    Idle,
    /// Preamble, the start delimiter last.
    Preamble,
    /// Byte of the frame.
    Data,
    /// Zero behind a short frame.
    Pad,
    /// Frame check sequence.
    Check,
    /// Nothing.
    Gap,
}

/// The transmitter; see the module's text.
#[derive(LogicBlock)]
pub struct Transmit {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat offered.
    pub beat: Signal<In, Beat<64, 8>>,
    /// `beat` holds one.
    pub valid: Signal<In, Bit>,
    /// There is room.
    pub ready: Signal<Out, Bit>,
    /// Byte on the wire.
    pub txd: Signal<Out, Bits<8>>,
    /// There is a byte.
    pub en: Signal<Out, Bit>,
    /// A frame went out.
    pub sent: Signal<Out, Bit>,
    /// A poisoned one went out, with a wrong check sequence.
    pub poisoned: Signal<Out, Bit>,
    /// So did one whose beats came too late.
    pub underrun: Signal<Out, Bit>,
    beats: Fifo<Beat<64, 8>, 4, 5>,
    crc: Crc,
    slot: DFF<Slot>,
    /// Byte times of preamble, check sequence or gap; byte of the beat.
    step: DFF<Bits<4>>,
    position: DFF<Bits<3>>,
    /// Bytes of the frame, up to 59.
    length: DFF<Bits<6>>,
    was_poison: DFF<Bit>,
    was_late: DFF<Bit>,
    /// Throwing away what comes too late.
    dropping: DFF<Bit>,
    /// The byte, and what it is.
    octet: DFF<Bits<8>>,
    active: DFF<Bit>,
    first: DFF<Bit>,
    covered: DFF<Bit>,
    check: DFF<Bit>,
    invert: DFF<Bit>,
    state: DFF<Bits<32>>,
    out: DFF<Bits<8>>,
    out_active: DFF<Bit>,
    did_send: DFF<Bit>,
    did_poison: DFF<Bit>,
    did_underrun: DFF<Bit>,
    head: Signal<Local, Beat<64, 8>>,
    data: Signal<Local, Bits<64>>,
    keep: Signal<Local, Bits<8>>,
    /// `keep` without its lowest bit: bit p tells whether a byte follows byte p.
    follows: Signal<Local, Bits<8>>,
    holds: Signal<Local, Bit>,
    lone_poison: Signal<Local, Bit>,
    broken: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    last_of_beat: Signal<Local, Bit>,
    pop: Signal<Local, Bit>,
    padded: Signal<Local, Bit>,
    covers: Signal<Local, Bit>,
    lane: Signal<Local, Bits<8>>,
    check_bytes: Signal<Local, Bits<8>>,
    zero: Constant<Bits<8>>,
    preamble: Constant<Bits<8>>,
    delimiter: Constant<Bits<8>>,
    all_ones: Constant<Bits<32>>,
    behind: Constant<Bits<32>>,
    no_step: Constant<Bits<4>>,
    next_step: Constant<Bits<4>>,
    preamble_end: Constant<Bits<4>>,
    check_end: Constant<Bits<4>>,
    gap_end: Constant<Bits<4>>,
    first_lane: Constant<Bits<3>>,
    next_lane: Constant<Bits<3>>,
    no_length: Constant<Bits<6>>,
    next_length: Constant<Bits<6>>,
    shortest: Constant<Bits<6>>,
}

impl Default for Transmit {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            beat: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            txd: Signal::default(),
            en: Signal::default(),
            sent: Signal::default(),
            poisoned: Signal::default(),
            underrun: Signal::default(),
            beats: Fifo::default(),
            crc: Crc::default(),
            slot: DFF::default(),
            step: DFF::default(),
            position: DFF::default(),
            length: DFF::default(),
            was_poison: DFF::default(),
            was_late: DFF::default(),
            dropping: DFF::default(),
            octet: DFF::default(),
            active: DFF::default(),
            first: DFF::default(),
            covered: DFF::default(),
            check: DFF::default(),
            invert: DFF::default(),
            state: DFF::default(),
            out: DFF::default(),
            out_active: DFF::default(),
            did_send: DFF::default(),
            did_poison: DFF::default(),
            did_underrun: DFF::default(),
            head: Signal::default(),
            data: Signal::default(),
            keep: Signal::default(),
            follows: Signal::default(),
            holds: Signal::default(),
            lone_poison: Signal::default(),
            broken: Signal::default(),
            ends: Signal::default(),
            last_of_beat: Signal::default(),
            pop: Signal::default(),
            padded: Signal::default(),
            covers: Signal::default(),
            lane: Signal::default(),
            check_bytes: Signal::default(),
            zero: Constant::new(0_u64.to_bits()),
            preamble: Constant::new(0x55_u64.to_bits()),
            delimiter: Constant::new(0xd5_u64.to_bits()),
            all_ones: Constant::new(0xffff_ffff_u64.to_bits()),
            behind: Constant::new(0xff00_0000_u64.to_bits()),
            no_step: Constant::new(0_u64.to_bits()),
            next_step: Constant::new(1_u64.to_bits()),
            preamble_end: Constant::new(7_u64.to_bits()),
            check_end: Constant::new(3_u64.to_bits()),
            // The idle slot in which a frame starts is the twelfth.
            gap_end: Constant::new(10_u64.to_bits()),
            first_lane: Constant::new(0_u64.to_bits()),
            next_lane: Constant::new(1_u64.to_bits()),
            no_length: Constant::new(0_u64.to_bits()),
            next_length: Constant::new(1_u64.to_bits()),
            shortest: Constant::new(59_u64.to_bits()),
        }
    }
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, slot, step, position, length, was_poison, was_late, dropping, octet,
            invert, state, out, out_active
        );
        dff_setup!(
            self,
            clock,
            active,
            first,
            covered,
            check,
            did_send,
            did_poison,
            did_underrun
        );
        clock!(self, clock, beats);
        self.beats.in_data.next = self.beat.val();
        self.beats.in_valid.next = self.valid.val();
        self.ready.next = self.beats.in_ready.val();

        self.head.next = self.beats.out_data.val();
        self.data.next = self.head.val().data;
        self.keep.next = self.head.val().keep;
        self.follows.next = self.keep.val() >> 1;
        self.holds.next = self.beats.out_valid.val();
        self.lone_poison.next =
            self.holds.val() & self.head.val().last & !self.keep.val().get_bit(0);
        // Nothing to send in this slot: a beat is missing, or it is poison.
        self.broken.next = !(self.holds.val() & self.keep.val().get_bit(0));
        self.last_of_beat.next = !self.follows.val().get_bit(self.position.q.val().index());
        self.padded.next = self.length.q.val() == self.shortest.val();

        self.lane.next = self.data.val().get_bits::<8>(0);
        for i in 1..8 {
            if self.position.q.val() == i.to_bits::<3>() {
                self.lane.next = self.data.val().get_bits::<8>(8 * i);
            }
        }

        if self.holds.val() & self.head.val().last {
            self.dropping.d.next = false;
        }
        self.active.d.next = true;
        self.first.d.next = false;
        self.covers.next = false;
        self.check.d.next = false;
        self.octet.d.next = self.zero.val();
        self.pop.next = false;
        self.ends.next = false;
        self.did_send.d.next = false;
        self.did_poison.d.next = false;
        self.did_underrun.d.next = false;
        match self.slot.q.val() {
            Slot::Idle => {
                self.active.d.next = false;
                self.step.d.next = self.no_step.val();
                if !self.dropping.q.val() {
                    if self.lone_poison.val() {
                        self.pop.next = true;
                    } else if self.holds.val() {
                        self.slot.d.next = Slot::Preamble;
                    }
                }
            }
            Slot::Preamble => {
                self.first.d.next = true;
                self.step.d.next = self.step.q.val() + self.next_step.val();
                self.position.d.next = self.first_lane.val();
                self.length.d.next = self.no_length.val();
                self.was_poison.d.next = false;
                self.was_late.d.next = false;
                self.octet.d.next = self.preamble.val();
                if self.step.q.val() == self.preamble_end.val() {
                    self.octet.d.next = self.delimiter.val();
                    self.slot.d.next = Slot::Data;
                }
            }
            Slot::Data => {
                self.covers.next = true;
                self.step.d.next = self.no_step.val();
                self.position.d.next = self.position.q.val() + self.next_lane.val();
                if !self.broken.val() {
                    self.octet.d.next = self.lane.val();
                }
                if self.last_of_beat.val() {
                    self.position.d.next = self.first_lane.val();
                }
                // Poison is popped too.
                self.pop.next = self.last_of_beat.val() | self.broken.val();
                self.ends.next =
                    self.broken.val() | (self.last_of_beat.val() & self.head.val().last);
                self.was_late.d.next = !self.holds.val();
                self.was_poison.d.next = self.broken.val();
                self.dropping.d.next =
                    self.broken.val() & !(self.holds.val() & self.head.val().last);
                if self.ends.val() {
                    self.slot.d.next = Slot::Pad;
                    if self.padded.val() {
                        self.slot.d.next = Slot::Check;
                    }
                }
            }
            Slot::Pad => {
                self.covers.next = true;
                self.step.d.next = self.no_step.val();
                if self.padded.val() {
                    self.slot.d.next = Slot::Check;
                }
            }
            Slot::Check => {
                self.check.d.next = true;
                self.step.d.next = self.step.q.val() + self.next_step.val();
                if self.step.q.val() == self.check_end.val() {
                    self.step.d.next = self.no_step.val();
                    self.slot.d.next = Slot::Gap;
                    self.did_send.d.next = !self.was_poison.q.val();
                    self.did_poison.d.next = self.was_poison.q.val() & !self.was_late.q.val();
                    self.did_underrun.d.next = self.was_late.q.val();
                }
            }
            Slot::Gap => {
                self.active.d.next = false;
                self.step.d.next = self.step.q.val() + self.next_step.val();
                if self.step.q.val() == self.gap_end.val() {
                    self.slot.d.next = Slot::Idle;
                }
            }
            _ => {}
        }
        self.covered.d.next = self.covers.val();
        if self.covers.val() & !self.padded.val() {
            self.length.d.next = self.length.q.val() + self.next_length.val();
        }
        self.beats.out_ready.next = self.pop.val() | self.dropping.q.val();
        self.invert.d.next = self.was_poison.q.val();

        // The byte goes through the check sequence as it goes out.
        self.crc.state.next = self.state.q.val();
        self.crc.data.next = self.octet.q.val();
        if self.first.q.val() {
            self.state.d.next = self.all_ones.val();
        } else if self.check.q.val() {
            self.state.d.next = (self.state.q.val() >> 8) | self.behind.val();
        } else if self.covered.q.val() {
            self.state.d.next = self.crc.after.val();
        }
        self.check_bytes.next = self.state.q.val().get_bits::<8>(0);
        self.out.d.next = self.octet.q.val();
        if self.check.q.val() {
            if self.invert.q.val() {
                self.out.d.next = self.check_bytes.val();
            } else {
                self.out.d.next = !self.check_bytes.val();
            }
        }
        self.out_active.d.next = self.active.q.val();
        self.txd.next = self.out.q.val();
        self.en.next = self.out_active.q.val();
        self.sent.next = self.did_send.q.val();
        self.poisoned.next = self.did_poison.q.val();
        self.underrun.next = self.did_underrun.q.val();
    }
}
