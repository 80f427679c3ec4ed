//! Tags of reads of host memory: who is waited for, who has come, who is late.
//!
//! A tag is claimed for a read, waited for from the clock in which the read leaves, `done` when its last completion
//! has come or will not come, and released in the order of the reads. A tag whose completions may still come when
//! nobody wants them is astray: it is not claimed again before they came, or twice the time-out passed. Time is
//! counted in units of sixteen clocks, one look at each tag a unit: a read is given up 0 to 48 clocks after its
//! time. Costs about 350 LUTs.

/// Tags.
pub const TAGS: usize = 16;
/// Time-out in units of sixteen clocks when the host has not set one.
const DEFAULT_UNITS: u64 = 0x1_0000 / 16;

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::counters::Cells;

/// All tags; see the module's text.
#[derive(LogicBlock)]
pub struct Tags {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// `COMPLETION_TIMEOUT`.
    pub timeout: Signal<In, Bits<32>>,
    /// Give up all reads in flight.
    pub forget: Signal<In, Bit>,
    /// Claim `offered`.
    pub claim: Signal<In, Bit>,
    /// The tag to claim.
    pub offered: Signal<Out, Bits<4>>,
    /// It may be claimed.
    pub free: Signal<Out, Bit>,
    /// The read of `sent_tag` leaves.
    pub sent: Signal<In, Bit>,
    /// Which.
    pub sent_tag: Signal<In, Bits<4>>,
    /// The tag of a completion that is looked at next.
    pub early_tag: Signal<In, Bits<4>>,
    /// The tag of a completion.
    pub tag: Signal<In, Bits<4>>,
    /// It is waited for.
    pub waited: Signal<Out, Bit>,
    /// No completion of `early_tag` has come.
    pub fresh: Signal<Out, Bit>,
    /// A completion of `tag` has come that is waited for.
    pub touch: Signal<In, Bit>,
    /// No more completion of `tag` will come.
    pub ends: Signal<In, Bit>,
    /// The read of `finish_tag` is over.
    pub finish: Signal<In, Bit>,
    /// Which.
    pub finish_tag: Signal<In, Bits<4>>,
    /// It failed.
    pub finish_failed: Signal<In, Bit>,
    /// More completions of it may come.
    pub finish_astray: Signal<In, Bit>,
    /// Completions of `hold_tag` are coming now: it is not given up.
    pub hold: Signal<In, Bit>,
    /// Which.
    pub hold_tag: Signal<In, Bits<4>>,
    /// The tag that is released next.
    pub oldest: Signal<In, Bits<4>>,
    /// Its read is over.
    pub done: Signal<Out, Bit>,
    /// A completion of it failed.
    pub failed: Signal<Out, Bit>,
    /// It was given up.
    pub late: Signal<Out, Bit>,
    /// Release it.
    pub releases: Signal<In, Bit>,
    state: [Tag; TAGS],
    stamps: Cells<4>,
    pointer: DFF<Bits<4>>,
    clocks: DFF<Bits<34>>,
    limit: DFF<Bits<30>>,
    age: DFF<Bits<30>>,
    aged: DFF<Bits<4>>,
    /// Its read had left.
    left: DFF<Bit>,
    expired: DFF<Bit>,
    expired_tag: DFF<Bits<4>>,
    now: Signal<Local, Bits<32>>,
    passed: Signal<Local, Bits<30>>,
    limit_units: Signal<Local, Bits<30>>,
    given: Signal<Local, Bits<30>>,
    doubtful: Signal<Local, Bit>,
    away: Signal<Local, Bit>,
    turn: Signal<Local, Bits<4>>,
    /// As `free`, which must not depend on `claim` in the eyes of a tool.
    usable: Signal<Local, Bit>,
    measured: Signal<Local, Bits<30>>,
    number: [Constant<Bits<4>>; TAGS],
    one4: Constant<Bits<4>>,
    one34: Constant<Bits<34>>,
    one30: Constant<Bits<30>>,
    default_units: Constant<Bits<30>>,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            timeout: Signal::default(),
            forget: Signal::default(),
            claim: Signal::default(),
            offered: Signal::default(),
            free: Signal::default(),
            sent: Signal::default(),
            sent_tag: Signal::default(),
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
            oldest: Signal::default(),
            done: Signal::default(),
            failed: Signal::default(),
            late: Signal::default(),
            releases: Signal::default(),
            state: std::array::from_fn(|_| Default::default()),
            stamps: Cells::default(),
            pointer: DFF::default(),
            clocks: DFF::default(),
            limit: DFF::default(),
            age: DFF::default(),
            aged: DFF::default(),
            left: DFF::default(),
            expired: DFF::default(),
            expired_tag: DFF::default(),
            now: Signal::default(),
            passed: Signal::default(),
            limit_units: Signal::default(),
            given: Signal::default(),
            doubtful: Signal::default(),
            away: Signal::default(),
            turn: Signal::default(),
            usable: Signal::default(),
            measured: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            one4: Constant::new(1.into()),
            one34: Constant::new(1.into()),
            one30: Constant::new(1.into()),
            default_units: Constant::new((DEFAULT_UNITS).to_bits()),
        }
    }
}

impl Logic for Tags {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            pointer,
            clocks,
            limit,
            age,
            aged,
            left,
            expired,
            expired_tag
        );
        clock!(self, clock, stamps);
        // The clock, and the tag that is looked at in it.
        self.clocks.d.next = self.clocks.q.val() + self.one34.val();
        self.now.next = bit_cast::<32, 30>(self.clocks.q.val().get_bits::<30>(4));
        self.limit_units.next = bit_cast::<30, 28>(self.timeout.val().get_bits::<28>(4));
        self.given.next = self.limit_units.val() + self.one30.val();
        self.limit.d.next = self.given.val();
        if !self.timeout.val().any() {
            self.limit.d.next = self.default_units.val();
        }

        // Its age, and a clock later the verdict. The time of a read that is about to leave is still that of an
        // earlier one: it is not looked at. A tag cannot be released, claimed and leave before its verdict.
        self.stamps.index.next = self.sent_tag.val();
        self.stamps.new_word.next = self.now.val();
        self.stamps.write.next = self.sent.val();
        self.turn.next = self.clocks.q.val().get_bits::<4>(0);
        self.stamps.shown_index.next = self.turn.val();
        self.passed.next =
            self.now.val().get_bits::<30>(0) - self.stamps.shown_word.val().get_bits::<30>(0);
        self.age.d.next = self.passed.val();
        self.aged.d.next = self.turn.val();

        self.done.next = false;
        self.failed.next = false;
        self.late.next = false;
        self.free.next = false;
        self.usable.next = false;
        self.waited.next = false;
        self.fresh.next = false;
        self.doubtful.next = false;
        self.away.next = false;
        for i in 0..16 {
            self.state[i].clock.next = self.clock.val();
            self.state[i].forget.next = self.forget.val();
            self.state[i].claim.next =
                self.claim.val() & (self.pointer.q.val() == self.number[i].val());
            self.state[i].sent.next =
                self.sent.val() & (self.sent_tag.val() == self.number[i].val());
            self.state[i].touch.next = self.touch.val() & (self.tag.val() == self.number[i].val());
            self.state[i].ends.next = self.ends.val() & (self.tag.val() == self.number[i].val());
            self.state[i].finish.next =
                self.finish.val() & (self.finish_tag.val() == self.number[i].val());
            self.state[i].finish_failed.next = self.finish_failed.val();
            self.state[i].finish_astray.next = self.finish_astray.val();
            self.state[i].hold.next = (self.hold.val()
                & (self.hold_tag.val() == self.number[i].val()))
                | self.state[i].touch.val();
            self.state[i].expire.next =
                self.expired.q.val() & (self.expired_tag.q.val() == self.number[i].val());
            self.state[i].releases.next =
                self.releases.val() & (self.oldest.val() == self.number[i].val());
            if self.oldest.val() == self.number[i].val() {
                self.done.next = self.state[i].done.val();
                self.failed.next = self.state[i].failed.val();
                self.late.next = self.state[i].late.val();
            }
            if self.pointer.q.val() == self.number[i].val() {
                self.free.next = self.state[i].free.val();
            }
            if self.pointer.q.val() == self.number[i].val() {
                self.usable.next = self.state[i].free.val();
            }
            if self.tag.val() == self.number[i].val() {
                self.waited.next = self.state[i].waited.val();
            }
            if self.early_tag.val() == self.number[i].val() {
                self.fresh.next = self.state[i].fresh.val();
            }
            if self.turn.val() == self.number[i].val() {
                self.away.next = self.state[i].waited.val() | self.state[i].astray.val();
            }
            if self.aged.q.val() == self.number[i].val() {
                self.doubtful.next = self.state[i].astray.val();
            }
        }
        self.left.d.next = self.away.val();
        // Who is astray has twice the time.
        self.measured.next = self.age.q.val();
        if self.doubtful.val() {
            self.measured.next = self.age.q.val() >> self.one30.val();
        }
        self.expired.d.next = self.left.q.val() & (self.measured.val() > self.limit.q.val());
        self.expired_tag.d.next = self.aged.q.val();

        // Tags are tried in turn.
        self.offered.next = self.pointer.q.val();
        if self.claim.val() | (!self.usable.val()) {
            self.pointer.d.next = self.pointer.q.val() + self.one4.val();
        }
    }
}

/// One tag.
#[derive(LogicBlock, Default)]
pub struct Tag {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Give the read up.
    pub forget: Signal<In, Bit>,
    /// Claim the tag.
    pub claim: Signal<In, Bit>,
    /// Its read leaves.
    pub sent: Signal<In, Bit>,
    /// A completion has come that was waited for.
    pub touch: Signal<In, Bit>,
    /// No more completion will come.
    pub ends: Signal<In, Bit>,
    /// The read is over.
    pub finish: Signal<In, Bit>,
    /// It failed.
    pub finish_failed: Signal<In, Bit>,
    /// More completions may come.
    pub finish_astray: Signal<In, Bit>,
    /// Completions are coming now.
    pub hold: Signal<In, Bit>,
    /// The time has passed.
    pub expire: Signal<In, Bit>,
    /// Release the tag.
    pub releases: Signal<In, Bit>,
    /// It may be claimed.
    pub free: Signal<Out, Bit>,
    /// Its completions are waited for.
    pub waited: Signal<Out, Bit>,
    /// None has come.
    pub fresh: Signal<Out, Bit>,
    /// The read is over.
    pub done: Signal<Out, Bit>,
    /// A completion failed.
    pub failed: Signal<Out, Bit>,
    /// It was given up.
    pub late: Signal<Out, Bit>,
    /// The read has left, and completions may come that nobody wants.
    pub astray: Signal<Out, Bit>,
    busy: DFF<Bit>,
    /// The read has left.
    left: DFF<Bit>,
    over: DFF<Bit>,
    begun: DFF<Bit>,
    bad: DFF<Bit>,
    overdue: DFF<Bit>,
    stray: DFF<Bit>,
    waits: Signal<Local, Bit>,
}

impl Logic for Tag {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, busy, left, over, begun, bad, overdue, stray);
        self.waits.next = self.busy.q.val() & self.left.q.val() & (!self.over.q.val());
        if self.releases.val() {
            self.busy.d.next = false;
        }
        if self.sent.val() {
            self.left.d.next = true;
        }
        if self.touch.val() {
            self.begun.d.next = true;
        }
        if self.finish.val() & self.waits.val() {
            self.over.d.next = true;
            self.bad.d.next = self.finish_failed.val();
            self.stray.d.next = self.finish_astray.val();
        } else if self.expire.val() & self.waits.val() & (!self.hold.val()) {
            self.over.d.next = true;
            self.overdue.d.next = true;
            self.stray.d.next = true;
        } else if self.forget.val() & self.busy.q.val() & (!self.over.q.val()) {
            self.over.d.next = true;
            self.stray.d.next = true;
        } else if self.stray.q.val() & self.left.q.val() & (self.ends.val() | self.expire.val()) {
            self.stray.d.next = false;
        }
        if self.claim.val() {
            self.busy.d.next = true;
            self.left.d.next = false;
            self.over.d.next = false;
            self.begun.d.next = false;
            self.bad.d.next = false;
            self.overdue.d.next = false;
        }
        // Spelt out once more: what is shown depends on no input, which a tool shall see.
        self.free.next = !(self.busy.q.val() | self.stray.q.val());
        self.waited.next = self.busy.q.val() & self.left.q.val() & (!self.over.q.val());
        self.fresh.next = !self.begun.q.val();
        self.done.next = self.over.q.val();
        self.failed.next = self.bad.q.val();
        self.late.next = self.overdue.q.val();
        self.astray.next = self.stray.q.val() & self.left.q.val();
    }
}
