//! Frames of the inject window and of the inject ring, in turn, as one stream for the arbiter.
//!
//! Whole frames, the ring first when the window was served last. Latency one clock, a beat every clock. Costs a
//! skid buffer of a beat.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::Injected;
use crate::record::Origin;
use crate::skid::Skid;
use crate::stream::Beat;

/// The switch; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Merge {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat of the window.
    pub window_beat: Signal<In, Beat<64, 8>>,
    /// How its frame is to be treated.
    pub window_origin: Signal<In, Origin>,
    /// It is offered.
    pub window_valid: Signal<In, Bit>,
    /// It is taken.
    pub window_ready: Signal<Out, Bit>,
    /// Beat of the ring.
    pub ring_beat: Signal<In, Injected>,
    /// It is offered.
    pub ring_valid: Signal<In, Bit>,
    /// It is taken.
    pub ring_ready: Signal<Out, Bit>,
    /// Chosen beat.
    pub out_beat: Signal<Out, Beat<64, 8>>,
    /// How its frame is to be treated.
    pub out_origin: Signal<Out, Origin>,
    /// It is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    beats: Skid<Beat<64, 8>>,
    origins: Skid<Origin>,
    busy: DFF<Bit>,
    /// Who sends, or sent last.
    ring_chosen: DFF<Bit>,
    ring_now: Signal<Local, Bit>,
    beat: Signal<Local, Beat<64, 8>>,
    origin: Signal<Local, Origin>,
    valid: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
}

impl Logic for Merge {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, busy, ring_chosen);
        clock!(self, clock, beats, origins);
        self.ring_now.next = self.ring_chosen.q.val();
        if !self.busy.q.val() {
            self.ring_now.next =
                self.ring_valid.val() & ((!self.ring_chosen.q.val()) | (!self.window_valid.val()));
        }
        self.beat.next = self.window_beat.val();
        self.origin.next = self.window_origin.val();
        self.valid.next = self.window_valid.val();
        if self.ring_now.val() {
            self.beat.next.data = self.ring_beat.val().data;
            self.beat.next.keep = self.ring_beat.val().keep;
            self.beat.next.last = self.ring_beat.val().last;
            self.origin.next.port = self.ring_beat.val().port;
            self.origin.next.reinjected = self.ring_beat.val().lookup;
            self.origin.next.direct = !self.ring_beat.val().lookup;
            self.valid.next = self.ring_valid.val();
        }
        self.moves.next = self.valid.val() & self.beats.in_ready.val();
        if self.moves.val() {
            self.busy.d.next = !self.beat.val().last;
            self.ring_chosen.d.next = self.ring_now.val();
        }
        self.window_ready.next = self.beats.in_ready.val() & (!self.ring_now.val());
        self.ring_ready.next = self.beats.in_ready.val() & self.ring_now.val();

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
    }
}
