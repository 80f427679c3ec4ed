//! Bytes from the wire to beats: preamble and frame check sequence taken off, bad frames poisoned.
//!
//! One byte a clock comes in, a beat of eight goes out when it is known not to be the last, that is with the fifth byte
//! behind it: 13 clocks after its first byte was at the input. The last beat is written two clocks after the carrier
//! fell. 201 LUTs and 179 flip-flops.
//!
//! * A frame begins behind a start delimiter; a carrier that shows anything but preamble before it is passed over.
//! * A frame is *poisoned*, its last beat has no bytes, when its check sequence is wrong, `er` was high in it, it has
//!   less than 64 or more than 1522 bytes, or some of it did not fit the FIFO. One that is too long is cut there. Of a
//!   bad frame of which nothing was handed on yet, nothing is: a frame never begins with poison.
//! * Nobody can be asked to wait. A beat that finds no `ready` is lost, with the rest of its frame; the poison that ends
//!   what was handed on is written when there is room, and a frame that comes before that is lost as a whole.
//! * MAC control frames, to 01-80-C2-00-00-01 and of type 0x8808, are dropped as a whole and leave no poison: the two
//!   bytes of the type are on their way when the first beat is complete, so that looking at them costs no clock.
//!
//! Each frame raises one of six strobes for one clock.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::crc::{Crc, RESIDUE};
use crate::dff::DffR;
use crate::stream::Beat;

/// Bytes of the longest frame, with a VLAN tag and its check sequence.
const LONGEST: u64 = 1522;

/// The receiver; see the module's text.
#[derive(LogicBlock)]
pub struct Receive {
    /// Clock of the bytes, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forgets the frame at hand; the next one begins with the next carrier.
    pub reset: Signal<In, Bit>,
    /// Byte on the wire.
    pub rxd: Signal<In, Bits<8>>,
    /// The carrier: there is a byte.
    pub dv: Signal<In, Bit>,
    /// The byte is wrong.
    pub er: Signal<In, Bit>,
    /// Beat to write.
    pub beat: Signal<Out, Beat<64, 8>>,
    /// Write it.
    pub valid: Signal<Out, Bit>,
    /// There is room.
    pub ready: Signal<In, Bit>,
    /// A frame was handed on.
    pub good: Signal<Out, Bit>,
    /// The check sequence was wrong, or a byte was.
    pub bad: Signal<Out, Bit>,
    /// Less than 64 bytes.
    pub runt: Signal<Out, Bit>,
    /// More than 1522 bytes.
    pub oversize: Signal<Out, Bit>,
    /// A MAC control frame.
    pub pause: Signal<Out, Bit>,
    /// Nothing wrong with it, but it did not fit.
    pub overrun: Signal<Out, Bit>,
    crc: Crc,
    /// The byte that arrives, and what it might be.
    octet: DFF<Bits<8>>,
    carrier: DFF<Bit>,
    wrong: DFF<Bit>,
    is_preamble: DFF<Bit>,
    is_delimiter: DFF<Bit>,
    is_control_high: DFF<Bit>,
    /// Within a frame, or passing a carrier over.
    framed: DffR<Bit>,
    deaf: DffR<Bit>,
    /// Bytes of the frame before this one.
    count: DFF<Bits<11>>,
    /// The last four bytes, which may be the check sequence.
    delay: [DFF<Bits<8>>; 4],
    primed: DFF<Bit>,
    lane: [DFF<Bits<8>>; 8],
    keep: DFF<Bits<8>>,
    /// All lanes hold a byte.
    full: DffR<Bit>,
    state: DFF<Bits<32>>,
    right: DFF<Bit>,
    spoiled: DFF<Bit>,
    too_long: DFF<Bit>,
    to_control: DFF<Bit>,
    /// The frame is one to pass over, or has lost a beat.
    control: DFF<Bit>,
    lost: DFF<Bit>,
    /// Some of the frame was handed on; poison is owed for an earlier one.
    open: DffR<Bit>,
    owing: DffR<Bit>,
    closing: DffR<Bit>,
    was_good: DFF<Bit>,
    was_bad: DFF<Bit>,
    was_runt: DFF<Bit>,
    was_oversize: DFF<Bit>,
    was_pause: DFF<Bit>,
    was_overrun: DFF<Bit>,
    begins: Signal<Local, Bit>,
    arrives: Signal<Local, Bit>,
    overlong: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    place: Signal<Local, Bits<3>>,
    position: Signal<Local, Bits<3>>,
    expected: Signal<Local, Bits<8>>,
    addressed: Signal<Local, Bit>,
    complete: Signal<Local, Bit>,
    undecided: Signal<Local, Bit>,
    is_control: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    long_enough: Signal<Local, Bit>,
    sound: Signal<Local, Bit>,
    fits: Signal<Local, Bit>,
    data: Signal<Local, Bits<64>>,
    preamble: Constant<Bits<8>>,
    delimiter: Constant<Bits<8>>,
    control_high: Constant<Bits<8>>,
    control_low: Constant<Bits<8>>,
    address: [Constant<Bits<8>>; 6],
    residue: Constant<Bits<32>>,
    all_ones: Constant<Bits<32>>,
    longest: Constant<Bits<11>>,
    first_part: Constant<Bits<11>>,
    last_lane: Constant<Bits<3>>,
    half: Constant<Bits<3>>,
    one: Constant<Bits<11>>,
    none: Constant<Bits<11>>,
    three: Constant<Bits<11>>,
    lowest: Constant<Bits<8>>,
    no_bytes: Constant<Bits<8>>,
    all_bytes: Constant<Bits<8>>,
}

impl Default for Receive {
    fn default() -> Self {
        let byte = |value: u64| Constant::new(value.to_bits());
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            rxd: Signal::default(),
            dv: Signal::default(),
            er: Signal::default(),
            beat: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            good: Signal::default(),
            bad: Signal::default(),
            runt: Signal::default(),
            oversize: Signal::default(),
            pause: Signal::default(),
            overrun: Signal::default(),
            crc: Crc::default(),
            octet: DFF::default(),
            carrier: DFF::default(),
            wrong: DFF::default(),
            is_preamble: DFF::default(),
            is_delimiter: DFF::default(),
            is_control_high: DFF::default(),
            framed: DffR::default(),
            // A carrier that is there at power-on is in mid-frame.
            deaf: DffR::new(true),
            count: DFF::default(),
            delay: Default::default(),
            primed: DFF::default(),
            lane: Default::default(),
            keep: DFF::default(),
            full: DffR::default(),
            state: DFF::default(),
            right: DFF::default(),
            spoiled: DFF::default(),
            too_long: DFF::default(),
            to_control: DFF::default(),
            control: DFF::default(),
            lost: DFF::default(),
            open: DffR::default(),
            owing: DffR::default(),
            closing: DffR::default(),
            was_good: DFF::default(),
            was_bad: DFF::default(),
            was_runt: DFF::default(),
            was_oversize: DFF::default(),
            was_pause: DFF::default(),
            was_overrun: DFF::default(),
            begins: Signal::default(),
            arrives: Signal::default(),
            overlong: Signal::default(),
            push: Signal::default(),
            place: Signal::default(),
            position: Signal::default(),
            expected: Signal::default(),
            addressed: Signal::default(),
            complete: Signal::default(),
            undecided: Signal::default(),
            is_control: Signal::default(),
            write: Signal::default(),
            long_enough: Signal::default(),
            sound: Signal::default(),
            fits: Signal::default(),
            data: Signal::default(),
            preamble: byte(0x55),
            delimiter: byte(0xd5),
            control_high: byte(0x88),
            control_low: byte(0x08),
            address: [0x01, 0x80, 0xc2, 0x00, 0x00, 0x01].map(byte),
            residue: Constant::new(u64::from(RESIDUE).to_bits()),
            all_ones: Constant::new(0xffff_ffff_u64.to_bits()),
            longest: Constant::new(LONGEST.to_bits()),
            first_part: Constant::new(6_u64.to_bits()),
            last_lane: Constant::new(7_u64.to_bits()),
            half: Constant::new(4_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            none: Constant::new(0_u64.to_bits()),
            three: Constant::new(3_u64.to_bits()),
            lowest: byte(1),
            no_bytes: byte(0),
            all_bytes: byte(0xff),
        }
    }
}

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            octet,
            carrier,
            wrong,
            is_preamble,
            is_delimiter,
            is_control_high,
            count,
            primed,
            keep,
            state,
            right,
            spoiled,
            too_long,
            to_control,
            control,
            lost
        );
        dff_setup!(
            self,
            clock,
            was_good,
            was_bad,
            was_runt,
            was_oversize,
            was_pause,
            was_overrun
        );
        dff_setup!(self, clock, framed, deaf, full, open, owing, closing);
        self.framed.reset.next = self.reset.val();
        self.deaf.reset.next = self.reset.val();
        self.full.reset.next = self.reset.val();
        self.open.reset.next = self.reset.val();
        self.owing.reset.next = self.reset.val();
        self.closing.reset.next = self.reset.val();
        self.framed.enable.next = true;
        self.deaf.enable.next = true;
        self.full.enable.next = true;
        self.open.enable.next = true;
        self.owing.enable.next = true;
        self.closing.enable.next = true;

        // What a byte is, is asked a clock early.
        self.octet.d.next = self.rxd.val();
        self.carrier.d.next = self.dv.val();
        self.wrong.d.next = self.er.val();
        self.is_preamble.d.next = self.rxd.val() == self.preamble.val();
        self.is_delimiter.d.next = self.rxd.val() == self.delimiter.val();
        self.is_control_high.d.next = self.rxd.val() == self.control_high.val();

        self.begins.next = self.carrier.q.val()
            & self.is_delimiter.q.val()
            & !(self.framed.q.val() | self.deaf.q.val());
        self.arrives.next = self.framed.q.val() & self.carrier.q.val();
        self.overlong.next = self.arrives.val() & (self.count.q.val() == self.longest.val());
        if !self.carrier.q.val() {
            self.framed.d.next = false;
            self.deaf.d.next = false;
        } else if self.overlong.val() {
            self.framed.d.next = false;
            self.deaf.d.next = true;
        } else if self.begins.val() {
            self.framed.d.next = true;
        } else if !self.framed.q.val() & !self.is_preamble.q.val() {
            self.deaf.d.next = true;
        }
        self.closing.d.next = self.framed.q.val() & (self.overlong.val() | !self.carrier.q.val());

        // Check sequence and length.
        self.crc.state.next = self.state.q.val();
        self.crc.data.next = self.octet.q.val();
        self.right.d.next = self.state.q.val() == self.residue.val();
        if self.begins.val() {
            self.state.d.next = self.all_ones.val();
            self.count.d.next = self.none.val();
            self.primed.d.next = false;
            self.spoiled.d.next = false;
            self.too_long.d.next = false;
        } else if self.arrives.val() {
            self.state.d.next = self.crc.after.val();
            self.count.d.next = self.count.q.val() + self.one.val();
            self.primed.d.next = self.primed.q.val() | (self.count.q.val() == self.three.val());
            self.spoiled.d.next = self.spoiled.q.val() | self.wrong.q.val();
            self.too_long.d.next = self.overlong.val();
        }

        // Lanes: byte n is written when byte n + 4 arrives.
        self.push.next = self.arrives.val() & self.primed.q.val();
        self.position.next = self.count.q.val().get_bits::<3>(0);
        self.place.next = self.position.val() ^ self.half.val();
        for i in 0..4 {
            self.delay[i].clock.next = self.clock.val();
            self.delay[i].d.next = self.delay[i].q.val();
        }
        if self.arrives.val() {
            self.delay[0].d.next = self.octet.q.val();
            self.delay[1].d.next = self.delay[0].q.val();
            self.delay[2].d.next = self.delay[1].q.val();
            self.delay[3].d.next = self.delay[2].q.val();
        }
        for i in 0..8 {
            self.lane[i].clock.next = self.clock.val();
            self.lane[i].d.next = self.lane[i].q.val();
            if self.push.val() & (self.place.val() == i.to_bits::<3>()) {
                self.lane[i].d.next = self.delay[3].q.val();
            }
        }
        if self.push.val() {
            if self.place.val().any() {
                self.keep.d.next = (self.keep.q.val() << 1) | self.lowest.val();
            } else {
                self.keep.d.next = self.lowest.val();
            }
        }
        self.full.d.next = self.push.val() & (self.place.val() == self.last_lane.val());

        // MAC control: the address byte by byte, the type when the first beat is complete.
        self.expected.next = self.address[0].val();
        for i in 1..6 {
            if self.position.val() == i.to_bits::<3>() {
                self.expected.next = self.address[i].val();
            }
        }
        self.addressed.next = self.octet.q.val() == self.expected.val();
        if self.begins.val() {
            self.to_control.d.next = true;
        } else if self.arrives.val() & (self.count.q.val() < self.first_part.val()) {
            self.to_control.d.next = self.to_control.q.val() & self.addressed.val();
        }
        self.complete.next = self.full.q.val() & self.arrives.val();
        self.undecided.next = !(self.open.q.val() | self.lost.q.val() | self.control.q.val());
        self.is_control.next = self.undecided.val()
            & self.to_control.q.val()
            & self.is_control_high.q.val()
            & (self.rxd.val() == self.control_low.val());

        // Beats within the frame, then the last one, then poison that did not fit earlier.
        self.write.next = self.complete.val()
            & self.ready.val()
            & !(self.owing.q.val() | self.lost.q.val())
            & !(self.control.q.val() | self.is_control.val());
        if self.complete.val() {
            self.control.d.next = self.control.q.val() | self.is_control.val();
            self.lost.d.next = self.lost.q.val()
                | ((self.owing.q.val() | !self.ready.val())
                    & !(self.control.q.val() | self.is_control.val()));
            self.open.d.next = self.open.q.val() | self.write.val();
        }
        self.long_enough.next = self.count.q.val().get_bits::<5>(6).any();
        self.sound.next = self.right.q.val()
            & self.long_enough.val()
            & !(self.too_long.q.val() | self.spoiled.q.val());
        self.fits.next = self.ready.val() & self.open.q.val() & !self.lost.q.val();
        if self.closing.q.val() & self.open.q.val() {
            self.owing.d.next = !self.ready.val();
            self.open.d.next = false;
        } else if self.ready.val() {
            self.owing.d.next = false;
        }
        if self.begins.val() {
            self.control.d.next = false;
            self.lost.d.next = false;
        }

        self.data.next = bit_cast::<64, 8>(self.lane[0].q.val())
            | (bit_cast::<64, 8>(self.lane[1].q.val()) << 8)
            | (bit_cast::<64, 8>(self.lane[2].q.val()) << 16)
            | (bit_cast::<64, 8>(self.lane[3].q.val()) << 24)
            | (bit_cast::<64, 8>(self.lane[4].q.val()) << 32)
            | (bit_cast::<64, 8>(self.lane[5].q.val()) << 40)
            | (bit_cast::<64, 8>(self.lane[6].q.val()) << 48)
            | (bit_cast::<64, 8>(self.lane[7].q.val()) << 56);
        self.beat.next.data = self.data.val();
        self.beat.next.last = true;
        self.beat.next.keep = self.no_bytes.val();
        if self.complete.val() {
            self.beat.next.last = false;
            self.beat.next.keep = self.all_bytes.val();
        }
        if self.owing.q.val() {
            self.beat.next.last = true;
            self.beat.next.keep = self.no_bytes.val();
        } else if self.closing.q.val() & self.sound.val() & !self.lost.q.val() {
            self.beat.next.keep = self.keep.q.val();
        }
        self.valid.next =
            self.write.val() | self.owing.q.val() | (self.closing.q.val() & self.open.q.val());

        self.was_oversize.d.next = self.closing.q.val() & self.too_long.q.val();
        self.was_runt.d.next =
            self.closing.q.val() & !(self.too_long.q.val() | self.long_enough.val());
        self.was_bad.d.next = self.closing.q.val()
            & self.long_enough.val()
            & !self.too_long.q.val()
            & (self.spoiled.q.val() | !self.right.q.val());
        self.was_pause.d.next = self.closing.q.val() & self.sound.val() & self.control.q.val();
        self.was_good.d.next = self.closing.q.val() & self.sound.val() & self.fits.val();
        self.was_overrun.d.next =
            self.closing.q.val() & self.sound.val() & !(self.control.q.val() | self.fits.val());
        self.good.next = self.was_good.q.val();
        self.bad.next = self.was_bad.q.val();
        self.runt.next = self.was_runt.q.val();
        self.oversize.next = self.was_oversize.q.val();
        self.pause.next = self.was_pause.q.val();
        self.overrun.next = self.was_overrun.q.val();
    }
}
