//! Completions of reads: finds their place in the reorder buffer, or says that nobody waits for them.
//!
//! Every completion must go on where the last of its read ended: its Byte Count, its Lower Address and its length
//! are compared with what is left. One that fails with payload (poisoned) is read to its end, one without payload
//! ends its read. Three clocks from a header to what it does; data is taken as it comes. Costs about 200 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::counters::Cells;

/// The receiver; see the module's text.
#[derive(LogicBlock)]
pub struct Receive {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Write nothing more of what is coming.
    pub forget: Signal<In, Bit>,
    /// A read gets a tag.
    pub claim: Signal<In, Bit>,
    /// Which.
    pub claim_tag: Signal<In, Bits<4>>,
    /// Where its first DW shall go.
    pub claim_place: Signal<In, Bits<10>>,
    /// Its DWs.
    pub claim_dwords: Signal<In, Bits<8>>,
    /// Its address in DWs, modulo 128 bytes.
    pub claim_lower: Signal<In, Bits<5>>,
    /// A completion begins, high for one clock.
    pub completion_valid: Signal<In, Bit>,
    /// Its tag.
    pub completion_tag: Signal<In, Bits<5>>,
    /// It is not successful, or poisoned.
    pub completion_failed: Signal<In, Bit>,
    /// Byte Count.
    pub completion_bytes: Signal<In, Bits<12>>,
    /// Lower Address.
    pub completion_lower: Signal<In, Bits<7>>,
    /// DWs of payload.
    pub completion_dwords: Signal<In, Bits<10>>,
    /// Two of them, in the clocks after `completion_valid`.
    pub completion_data: Signal<In, Bits<64>>,
    /// They come now.
    pub completion_data_valid: Signal<In, Bit>,
    /// They are the last.
    pub completion_data_last: Signal<In, Bit>,
    /// The tag that is looked at next.
    pub early_tag: Signal<Out, Bits<4>>,
    /// The tag that is looked at.
    pub tag: Signal<Out, Bits<4>>,
    /// It is waited for.
    pub waited: Signal<In, Bit>,
    /// No completion of `early_tag` has come.
    pub fresh: Signal<In, Bit>,
    /// A completion of `tag` is accepted.
    pub touch: Signal<Out, Bit>,
    /// No more completion of `tag` will come.
    pub ends: Signal<Out, Bit>,
    /// The read of `finish_tag` is over.
    pub finish: Signal<Out, Bit>,
    /// Which.
    pub finish_tag: Signal<Out, Bits<4>>,
    /// It failed.
    pub finish_failed: Signal<Out, Bit>,
    /// More completions of it may come.
    pub finish_astray: Signal<Out, Bit>,
    /// Data of `hold_tag` is coming.
    pub hold: Signal<Out, Bit>,
    /// Which.
    pub hold_tag: Signal<Out, Bits<4>>,
    /// Nobody waits for a completion, high for one clock.
    pub unexpected: Signal<Out, Bit>,
    /// Write to the reorder buffer.
    pub write: Signal<Out, Bit>,
    /// Two DWs.
    pub write_both: Signal<Out, Bit>,
    /// Where.
    pub write_place: Signal<Out, Bits<10>>,
    /// What.
    pub write_data: Signal<Out, Bits<64>>,
    places: Cells<4>,
    progress: Cells<4>,
    /// A completion of the tag was poisoned.
    faulty: [DFF<Bit>; 16],
    came: DFF<Bit>,
    came_tag: DFF<Bits<5>>,
    came_failed: DFF<Bit>,
    came_bytes: DFF<Bits<12>>,
    came_lower: DFF<Bits<7>>,
    came_dwords: DFF<Bits<10>>,
    look: DFF<Bit>,
    look_tag: DFF<Bits<4>>,
    look_mine: DFF<Bit>,
    look_failed: DFF<Bit>,
    look_empty: DFF<Bit>,
    look_last: DFF<Bit>,
    look_dwords: DFF<Bits<10>>,
    look_bytes: DFF<Bits<12>>,
    look_low: DFF<Bits<2>>,
    look_lower: DFF<Bits<5>>,
    expected_bytes: DFF<Bits<12>>,
    expected_lower: DFF<Bits<5>>,
    place: DFF<Bits<10>>,
    done_dwords: DFF<Bits<8>>,
    data1: DFF<Bits<64>>,
    data1_valid: DFF<Bit>,
    data1_last: DFF<Bit>,
    data2: DFF<Bits<64>>,
    data2_valid: DFF<Bit>,
    data2_last: DFF<Bit>,
    accepting: DFF<Bit>,
    accept_tag: DFF<Bits<4>>,
    accept_place: DFF<Bits<10>>,
    accept_left: DFF<Bits<10>>,
    /// The read is over with the last of the data.
    accept_ends: DFF<Bit>,
    accept_failed: DFF<Bit>,
    unexpected_event: DFF<Bit>,
    place_word: Signal<Local, Bits<32>>,
    progress_now: Signal<Local, Bits<8>>,
    remaining: Signal<Local, Bits<8>>,
    remaining_wide: Signal<Local, Bits<12>>,
    bytes_of: Signal<Local, Bits<12>>,
    was_faulty: Signal<Local, Bit>,
    fits: Signal<Local, Bit>,
    accepts: Signal<Local, Bit>,
    fails: Signal<Local, Bit>,
    misfits: Signal<Local, Bit>,
    wanted: Signal<Local, Bit>,
    short: Signal<Local, Bit>,
    bytes_left: Signal<Local, Bits<12>>,
    lasts: Signal<Local, Bit>,
    takes: Signal<Local, Bit>,
    final_data: Signal<Local, Bit>,
    new_progress: Signal<Local, Bits<8>>,
    number: [Constant<Bits<4>>; 16],
    none8: Constant<Bits<8>>,
    none10: Constant<Bits<10>>,
    two10: Constant<Bits<10>>,
    most: Constant<Bits<10>>,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            forget: Signal::default(),
            claim: Signal::default(),
            claim_tag: Signal::default(),
            claim_place: Signal::default(),
            claim_dwords: Signal::default(),
            claim_lower: Signal::default(),
            completion_valid: Signal::default(),
            completion_tag: Signal::default(),
            completion_failed: Signal::default(),
            completion_bytes: Signal::default(),
            completion_lower: Signal::default(),
            completion_dwords: Signal::default(),
            completion_data: Signal::default(),
            completion_data_valid: Signal::default(),
            completion_data_last: Signal::default(),
            early_tag: Signal::default(),
            tag: Signal::default(),
            waited: Signal::default(),
            fresh: Signal::default(),
            touch: Signal::default(),
            ends: Signal::default(),
            finish: Signal::default(),
            finish_tag: Signal::default(),
            finish_failed: Signal::default(),
            finish_astray: Signal::default(),
            hold: Signal::default(),
            hold_tag: Signal::default(),
            unexpected: Signal::default(),
            write: Signal::default(),
            write_both: Signal::default(),
            write_place: Signal::default(),
            write_data: Signal::default(),
            places: Cells::default(),
            progress: Cells::default(),
            faulty: std::array::from_fn(|_| Default::default()),
            came: DFF::default(),
            came_tag: DFF::default(),
            came_failed: DFF::default(),
            came_bytes: DFF::default(),
            came_lower: DFF::default(),
            came_dwords: DFF::default(),
            look: DFF::default(),
            look_tag: DFF::default(),
            look_mine: DFF::default(),
            look_failed: DFF::default(),
            look_empty: DFF::default(),
            look_last: DFF::default(),
            look_dwords: DFF::default(),
            look_bytes: DFF::default(),
            look_low: DFF::default(),
            look_lower: DFF::default(),
            expected_bytes: DFF::default(),
            expected_lower: DFF::default(),
            place: DFF::default(),
            done_dwords: DFF::default(),
            data1: DFF::default(),
            data1_valid: DFF::default(),
            data1_last: DFF::default(),
            data2: DFF::default(),
            data2_valid: DFF::default(),
            data2_last: DFF::default(),
            accepting: DFF::default(),
            accept_tag: DFF::default(),
            accept_place: DFF::default(),
            accept_left: DFF::default(),
            accept_ends: DFF::default(),
            accept_failed: DFF::default(),
            unexpected_event: DFF::default(),
            place_word: Signal::default(),
            progress_now: Signal::default(),
            remaining: Signal::default(),
            remaining_wide: Signal::default(),
            bytes_of: Signal::default(),
            was_faulty: Signal::default(),
            fits: Signal::default(),
            accepts: Signal::default(),
            fails: Signal::default(),
            misfits: Signal::default(),
            wanted: Signal::default(),
            short: Signal::default(),
            bytes_left: Signal::default(),
            lasts: Signal::default(),
            takes: Signal::default(),
            final_data: Signal::default(),
            new_progress: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            none8: Constant::new(0.into()),
            none10: Constant::new(0.into()),
            two10: Constant::new(2_u64.to_bits()),
            most: Constant::new(128_u64.to_bits()),
        }
    }
}

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            came,
            came_tag,
            came_failed,
            came_bytes,
            came_lower,
            came_dwords,
            look,
            look_tag,
            look_mine,
            look_failed,
            look_empty,
            look_last,
            look_dwords,
            look_bytes,
            look_low,
            look_lower,
            expected_bytes,
            expected_lower,
            place,
            done_dwords,
            data1,
            data1_valid,
            data1_last,
            data2,
            data2_valid,
            data2_last,
            accepting,
            accept_tag,
            accept_place,
            accept_left,
            accept_ends,
            accept_failed,
            unexpected_event
        );
        clock!(self, clock, places, progress);
        // What was asked for under each tag, and how much of it has come.
        self.places.index.next = self.claim_tag.val();
        self.places.new_word.next = bit_cast::<32, 10>(self.claim_place.val())
            | (bit_cast::<32, 8>(self.claim_dwords.val()) << 10)
            | (bit_cast::<32, 5>(self.claim_lower.val()) << 18);
        self.places.write.next = self.claim.val();

        self.came.d.next = self.completion_valid.val();
        self.came_tag.d.next = self.completion_tag.val();
        self.came_failed.d.next = self.completion_failed.val();
        self.came_bytes.d.next = self.completion_bytes.val();
        self.came_lower.d.next = self.completion_lower.val();
        self.came_dwords.d.next = self.completion_dwords.val();

        // The state of its tag. Its last completion was at least two clocks earlier, and has been counted.
        self.places.shown_index.next = self.came_tag.q.val().get_bits::<4>(0);
        self.progress.shown_index.next = self.came_tag.q.val().get_bits::<4>(0);
        self.place_word.next = self.places.shown_word.val();
        self.early_tag.next = self.came_tag.q.val().get_bits::<4>(0);
        self.look.d.next = self.came.q.val();
        self.look_tag.d.next = self.came_tag.q.val().get_bits::<4>(0);
        self.look_mine.d.next = !self.came_tag.q.val().get_bit(4);
        self.look_failed.d.next = self.came_failed.q.val();
        self.look_empty.d.next = !self.came_dwords.q.val().any();
        self.look_dwords.d.next = self.came_dwords.q.val();
        self.look_bytes.d.next = self.came_bytes.q.val();
        self.bytes_of.next = bit_cast::<12, 10>(self.came_dwords.q.val()) << 2;
        self.look_last.d.next = self.came_bytes.q.val() == self.bytes_of.val();
        self.look_low.d.next = self.came_lower.q.val().get_bits::<2>(0);
        self.look_lower.d.next = self.came_lower.q.val().get_bits::<5>(2);
        self.progress_now.next = self.progress.shown_word.val().get_bits::<8>(0);
        if self.fresh.val() {
            self.progress_now.next = self.none8.val();
        }
        self.done_dwords.d.next = self.progress_now.val();
        self.remaining.next = self.place_word.val().get_bits::<8>(10) - self.progress_now.val();
        self.remaining_wide.next = bit_cast::<12, 8>(self.remaining.val()) << 2;
        self.expected_bytes.d.next = self.remaining_wide.val();
        self.expected_lower.d.next =
            self.place_word.val().get_bits::<5>(18) + self.progress_now.val().get_bits::<5>(0);
        self.place.d.next =
            self.place_word.val().get_bits::<10>(0) + bit_cast::<10, 8>(self.progress_now.val());

        // What becomes of it.
        self.tag.next = self.look_tag.q.val();
        self.was_faulty.next = false;
        for i in 0..16 {
            if self.look_tag.q.val() == self.number[i].val() {
                self.was_faulty.next = self.faulty[i].q.val();
            }
        }
        self.bytes_left.next = bit_cast::<12, 10>(self.look_dwords.q.val()) << 2;
        self.fits.next = (self.look_bytes.q.val() == self.expected_bytes.q.val())
            & (self.bytes_left.val() <= self.expected_bytes.q.val())
            & (self.look_dwords.q.val() <= self.most.val())
            & (!self.look_empty.q.val())
            & (self.look_lower.q.val() == self.expected_lower.q.val())
            & (!self.look_low.q.val().any());
        self.wanted.next =
            self.look.q.val() & self.look_mine.q.val() & self.waited.val() & (!self.forget.val());
        self.accepts.next = self.wanted.val() & self.fits.val();
        self.fails.next = self.wanted.val() & self.look_empty.q.val() & self.look_failed.q.val();
        self.misfits.next = self.wanted.val() & (!self.fits.val()) & (!self.fails.val());
        self.lasts.next = self.look_last.q.val() | self.look_empty.q.val();
        self.touch.next = self.accepts.val();
        self.ends.next =
            self.look.q.val() & self.look_mine.q.val() & (!self.waited.val()) & self.lasts.val();
        self.unexpected_event.d.next = self.look.q.val() & (!self.wanted.val());
        self.unexpected.next = self.unexpected_event.q.val();
        self.new_progress.next =
            self.done_dwords.q.val() + self.look_dwords.q.val().get_bits::<8>(0);
        self.progress.index.next = self.look_tag.q.val();
        self.progress.new_word.next = bit_cast::<32, 8>(self.new_progress.val());
        self.progress.write.next = self.accepts.val();
        for i in 0..16 {
            self.faulty[i].clock.next = self.clock.val();
            self.faulty[i].d.next = self.faulty[i].q.val();
            if self.claim.val() & (self.claim_tag.val() == self.number[i].val()) {
                self.faulty[i].d.next = false;
            }
            if self.accepts.val()
                & self.look_failed.q.val()
                & (self.look_tag.q.val() == self.number[i].val())
            {
                self.faulty[i].d.next = true;
            }
        }

        // Its data, two clocks behind.
        self.data1.d.next = self.completion_data.val();
        self.data1_valid.d.next = self.completion_data_valid.val();
        self.data1_last.d.next = self.completion_data_last.val();
        self.data2.d.next = self.data1.q.val();
        self.data2_valid.d.next = self.data1_valid.q.val();
        self.data2_last.d.next = self.data1_last.q.val();
        self.takes.next = self.accepting.q.val() & self.data2_valid.q.val();
        self.final_data.next = self.takes.val() & self.data2_last.q.val();
        self.write.next = self.takes.val() & self.accept_left.q.val().any();
        self.write_both.next = self.accept_left.q.val() >= self.two10.val();
        self.write_place.next = self.accept_place.q.val();
        self.write_data.next = self.data2.q.val();
        if self.takes.val() {
            self.accept_place.d.next = self.accept_place.q.val() + self.two10.val();
            self.accept_left.d.next = self.accept_left.q.val() - self.two10.val();
            if self.accept_left.q.val() <= self.two10.val() {
                self.accept_left.d.next = self.none10.val();
            }
        }
        if self.final_data.val() {
            self.accepting.d.next = false;
        }
        if self.look.q.val() {
            self.accepting.d.next = self.accepts.val();
            self.accept_tag.d.next = self.look_tag.q.val();
            self.accept_place.d.next = self.place.q.val();
            self.accept_left.d.next = self.look_dwords.q.val();
            self.accept_ends.d.next = self.look_last.q.val();
            self.accept_failed.d.next = self.look_failed.q.val() | self.was_faulty.val();
        }
        if self.forget.val() {
            self.accepting.d.next = false;
        }
        self.hold.next = self.accepting.q.val();
        self.hold_tag.next = self.accept_tag.q.val();

        // A read is over with its last data, with a completion without data, or when nothing fits.
        self.short.next = self.final_data.val() & (self.accept_left.q.val() > self.two10.val());
        self.finish.next = self.fails.val()
            | self.misfits.val()
            | (self.final_data.val() & (self.accept_ends.q.val() | self.short.val()));
        self.finish_tag.next = self.look_tag.q.val();
        self.finish_failed.next = true;
        self.finish_astray.next = self.misfits.val() & (!self.lasts.val());
        if !(self.fails.val() | self.misfits.val()) {
            self.finish_tag.next = self.accept_tag.q.val();
            self.finish_failed.next = self.accept_failed.q.val() | self.short.val();
            self.finish_astray.next = self.short.val() & (!self.accept_ends.q.val());
        }
    }
}
