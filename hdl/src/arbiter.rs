//! Chooses whose frame comes next: ports 0 and 1 and the host, round robin, whole frames.
//!
//! Beats of three streams come in, one stream of beats goes out, each with its frame's [`Origin`]. Every
//! frame that ends is reported to the counters. Latency one clock; a beat every clock, also from one
//! frame to the next. Costs a skid buffer of a beat and about 100 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::Origin;
use crate::skid::Skid;
use crate::stream::{Beat, FrameLength};

/// The arbiter; see the module's text.
#[derive(LogicBlock)]
pub struct Arbiter<const W: usize, const K: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// No new frame is taken.
    pub hold_off: Signal<In, Bit>,
    /// Beat of port 0.
    pub rx0_beat: Signal<In, Beat<W, K>>,
    /// Port 0 offers a beat.
    pub rx0_valid: Signal<In, Bit>,
    /// It is taken.
    pub rx0_ready: Signal<Out, Bit>,
    /// Beat of port 1.
    pub rx1_beat: Signal<In, Beat<W, K>>,
    /// Port 1 offers a beat.
    pub rx1_valid: Signal<In, Bit>,
    /// It is taken.
    pub rx1_ready: Signal<Out, Bit>,
    /// Beat of the host.
    pub inject_beat: Signal<In, Beat<W, K>>,
    /// How the host's frame is to be treated.
    pub inject_origin: Signal<In, Origin>,
    /// The host offers a beat.
    pub inject_valid: Signal<In, Bit>,
    /// It is taken.
    pub inject_ready: Signal<Out, Bit>,
    /// Chosen beat.
    pub out_beat: Signal<Out, Beat<W, K>>,
    /// Where its frame comes from.
    pub out_origin: Signal<Out, Origin>,
    /// A beat is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    /// A frame began (its first beat was taken), high for one clock.
    pub began: Signal<Out, Bit>,
    /// A frame ended, high for one clock.
    pub ended: Signal<Out, Bit>,
    /// Who sent it: 0, 1, or 2 for the host.
    pub ended_source: Signal<Out, Bits<2>>,
    /// Its bytes.
    pub ended_length: Signal<Out, Bits<16>>,
    beats: Skid<Beat<W, K>>,
    origins: Skid<Origin>,
    length: FrameLength<K>,
    /// In the middle of a frame.
    busy: DFF<Bit>,
    /// Who sends, or sent last.
    source: DFF<Bits<2>>,
    report: DFF<Bit>,
    report_source: DFF<Bits<2>>,
    report_length: DFF<Bits<16>>,
    start: DFF<Bit>,
    moved: DFF<Bit>,
    moved_keep: DFF<Bits<K>>,
    moved_last: DFF<Bit>,
    /// One-hot: whose frame we are in the middle of.
    serves: [DFF<Bit>; 3],
    /// Who would begin, and whose beat is chosen.
    takes: [Signal<Local, Bit>; 3],
    selects: [Signal<Local, Bit>; 3],
    was_port0: Signal<Local, Bit>,
    was_port1: Signal<Local, Bit>,
    was_host: Signal<Local, Bit>,
    chosen: Signal<Local, Bits<2>>,
    beat: Signal<Local, Beat<W, K>>,
    last: Signal<Local, Bit>,
    origin: Signal<Local, Origin>,
    valid: Signal<Local, Bit>,
    ready: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    port0: Constant<Bits<2>>,
    port1: Constant<Bits<2>>,
    host: Constant<Bits<2>>,
    from_outside: Constant<Origin>,
    from_inside: Constant<Origin>,
}

impl<const W: usize, const K: usize> Default for Arbiter<W, K> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            hold_off: Signal::default(),
            rx0_beat: Signal::default(),
            rx0_valid: Signal::default(),
            rx0_ready: Signal::default(),
            rx1_beat: Signal::default(),
            rx1_valid: Signal::default(),
            rx1_ready: Signal::default(),
            inject_beat: Signal::default(),
            inject_origin: Signal::default(),
            inject_valid: Signal::default(),
            inject_ready: Signal::default(),
            out_beat: Signal::default(),
            out_origin: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            began: Signal::default(),
            ended: Signal::default(),
            ended_source: Signal::default(),
            ended_length: Signal::default(),
            beats: Skid::default(),
            origins: Skid::default(),
            length: FrameLength::default(),
            busy: DFF::default(),
            source: DFF::default(),
            report: DFF::default(),
            report_source: DFF::default(),
            report_length: DFF::default(),
            start: DFF::default(),
            moved: DFF::default(),
            moved_keep: DFF::default(),
            moved_last: DFF::default(),
            serves: Default::default(),
            takes: Default::default(),
            selects: Default::default(),
            was_port0: Signal::default(),
            was_port1: Signal::default(),
            was_host: Signal::default(),
            chosen: Signal::default(),
            beat: Signal::default(),
            last: Signal::default(),
            origin: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            moves: Signal::default(),
            port0: Constant::new(0.into()),
            port1: Constant::new(1.into()),
            host: Constant::new(2.into()),
            from_outside: Constant::new(Origin {
                port: 0.into(),
                ..Origin::default()
            }),
            from_inside: Constant::new(Origin {
                port: 1.into(),
                ..Origin::default()
            }),
        }
    }
}

impl<const W: usize, const K: usize> Logic for Arbiter<W, K> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            busy,
            source,
            report,
            report_source,
            report_length,
            start,
            moved,
            moved_keep,
            moved_last
        );
        clock!(self, clock, beats, origins, length);

        // Whoever was served last comes last. One signal a source: they go to every bit of the beat.
        self.was_port1.next = self.source.q.val() == self.port1.val();
        self.was_host.next = self.source.q.val() == self.host.val();
        self.was_port0.next = !(self.was_port1.val() | self.was_host.val());
        self.takes[0].next = self.rx0_valid.val()
            & (self.was_host.val()
                | ((self.was_port1.val() | !self.rx1_valid.val()) & !self.inject_valid.val()));
        self.takes[1].next = self.rx1_valid.val()
            & (self.was_port0.val()
                | ((self.was_host.val() | !self.inject_valid.val()) & !self.rx0_valid.val()));
        self.takes[2].next = self.inject_valid.val()
            & (self.was_port1.val()
                | ((self.was_port0.val() | !self.rx0_valid.val()) & !self.rx1_valid.val()));
        for i in 0..3 {
            self.serves[i].clock.next = self.clock.val();
            self.serves[i].d.next = self.serves[i].q.val();
            self.selects[i].next =
                self.serves[i].q.val() | (self.takes[i].val() & !self.busy.q.val());
        }
        self.chosen.next = self.host.val();
        self.beat.next = self.inject_beat.val();
        self.origin.next = self.inject_origin.val();
        if self.selects[0].val() {
            self.chosen.next = self.port0.val();
            self.beat.next = self.rx0_beat.val();
            self.origin.next = self.from_outside.val();
        }
        if self.selects[1].val() {
            self.chosen.next = self.port1.val();
            self.beat.next = self.rx1_beat.val();
            self.origin.next = self.from_inside.val();
        }
        // Whichever is chosen next, it is valid when any is: the choice does not delay the handshake.
        if self.busy.q.val() {
            self.valid.next = (self.serves[0].q.val() & self.rx0_valid.val())
                | (self.serves[1].q.val() & self.rx1_valid.val())
                | (self.serves[2].q.val() & self.inject_valid.val());
        } else {
            self.valid.next = self.rx0_valid.val() | self.rx1_valid.val() | self.inject_valid.val();
        }
        self.ready.next = self.beats.in_ready.val() & (self.busy.q.val() | (!self.hold_off.val()));
        self.moves.next = self.valid.val() & self.ready.val();
        self.last.next = self.beat.val().last;
        self.rx0_ready.next = self.ready.val() & self.selects[0].val();
        self.rx1_ready.next = self.ready.val() & self.selects[1].val();
        self.inject_ready.next = self.ready.val() & self.selects[2].val();
        if self.moves.val() {
            self.busy.d.next = !self.last.val();
            self.source.d.next = self.chosen.val();
            for i in 0..3 {
                self.serves[i].d.next = self.selects[i].val() & !self.last.val();
            }
        }

        // The two buffers move together.
        self.beats.in_data.next = self.beat.val();
        self.beats.in_valid.next = self.moves.val();
        self.beats.out_ready.next = self.out_ready.val();
        self.origins.in_data.next = self.origin.val();
        self.origins.in_valid.next = self.moves.val();
        self.origins.out_ready.next = self.out_ready.val();
        self.out_beat.next = self.beats.out_data.val();
        self.out_origin.next = self.origins.out_data.val();
        self.out_valid.next = self.beats.out_valid.val();

        // Counted one clock later: the choice of the port is long enough a path.
        self.moved.d.next = self.moves.val();
        self.moved_keep.d.next = self.beat.val().keep;
        self.moved_last.d.next = self.last.val();
        self.length.moves.next = self.moved.q.val();
        self.length.keep.next = self.moved_keep.q.val();
        self.length.last.next = self.moved_last.q.val();
        self.start.d.next = self.moves.val() & (!self.busy.q.val());
        self.report.d.next = self.moved.q.val() & self.moved_last.q.val();
        self.report_source.d.next = self.source.q.val();
        self.report_length.d.next = self.length.length.val();
        self.began.next = self.start.q.val();
        self.ended.next = self.report.q.val();
        self.ended_source.next = self.report_source.q.val();
        self.ended_length.next = self.report_length.q.val();
    }
}
