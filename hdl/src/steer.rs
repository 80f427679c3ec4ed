//! Sends each beat where its route says: port 0, port 1, the punt buffer, or nowhere.
//!
//! No registers in the stream: the beats come from a skid buffer, which takes `ready` of the chosen port. The
//! punt buffer and the void are always ready. Reports frames that left a port, and for the simulator when a
//! frame's first and last beat left. Costs about 40 LUTs.

use layout::desc::Verdict;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::Route;
use crate::stream::Beat;

/// The switch; see the module's text.
#[derive(LogicBlock)]
pub struct Steer<const W: usize, const K: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat.
    pub in_beat: Signal<In, Beat<W, K>>,
    /// Where it goes.
    pub in_route: Signal<In, Route>,
    /// It is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// Port 0 is offered the beat.
    pub tx0_valid: Signal<Out, Bit>,
    /// Port 0 takes it.
    pub tx0_ready: Signal<In, Bit>,
    /// Port 1 is offered the beat.
    pub tx1_valid: Signal<Out, Bit>,
    /// Port 1 takes it.
    pub tx1_ready: Signal<In, Bit>,
    /// The punt buffer takes the beat.
    pub punt_valid: Signal<Out, Bit>,
    /// A frame left a port, high for one clock.
    pub sent: Signal<Out, Bit>,
    /// The port.
    pub sent_port: Signal<Out, Bits<1>>,
    /// Bytes of the frame.
    pub sent_length: Signal<Out, Bits<16>>,
    /// The first beat of a frame left or was discarded, high for one clock.
    pub first_left: Signal<Out, Bit>,
    /// That frame was not discarded.
    pub first_kept: Signal<Out, Bit>,
    /// The last beat of a frame left or was discarded, high for one clock.
    pub last_left: Signal<Out, Bit>,
    egress: Signal<Local, Bits<1>>,
    forwards: Signal<Local, Bit>,
    punts: Signal<Local, Bit>,
    ready: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    report: DFF<Bit>,
    report_port: DFF<Bits<1>>,
    report_length: DFF<Bits<16>>,
    first_gone: DFF<Bit>,
    first_stays: DFF<Bit>,
    last_gone: DFF<Bit>,
    forward: Constant<Bits<2>>,
    punt: Constant<Bits<2>>,
}

impl<const W: usize, const K: usize> Default for Steer<W, K> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_beat: Signal::default(),
            in_route: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            tx0_valid: Signal::default(),
            tx0_ready: Signal::default(),
            tx1_valid: Signal::default(),
            tx1_ready: Signal::default(),
            punt_valid: Signal::default(),
            sent: Signal::default(),
            sent_port: Signal::default(),
            sent_length: Signal::default(),
            first_left: Signal::default(),
            first_kept: Signal::default(),
            last_left: Signal::default(),
            egress: Signal::default(),
            forwards: Signal::default(),
            punts: Signal::default(),
            ready: Signal::default(),
            moves: Signal::default(),
            last: Signal::default(),
            report: DFF::default(),
            report_port: DFF::default(),
            report_length: DFF::default(),
            first_gone: DFF::default(),
            first_stays: DFF::default(),
            last_gone: DFF::default(),
            forward: Constant::new((Verdict::Forward as u64).to_bits()),
            punt: Constant::new((Verdict::Punt as u64).to_bits()),
        }
    }
}

impl<const W: usize, const K: usize> Logic for Steer<W, K> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            report,
            report_port,
            report_length,
            first_gone,
            first_stays,
            last_gone
        );
        self.egress.next = self.in_route.val().egress;
        self.forwards.next = self.in_route.val().verdict == self.forward.val();
        self.last.next = self.in_beat.val().last;
        self.ready.next = true;
        if self.forwards.val() {
            if self.egress.val().any() {
                self.ready.next = self.tx1_ready.val();
            } else {
                self.ready.next = self.tx0_ready.val();
            }
        }
        self.moves.next = self.in_valid.val() & self.ready.val();
        self.in_ready.next = self.ready.val();
        self.tx0_valid.next =
            self.in_valid.val() & self.forwards.val() & (!self.egress.val().any());
        self.tx1_valid.next = self.in_valid.val() & self.forwards.val() & self.egress.val().any();
        self.punts.next = self.in_route.val().verdict == self.punt.val();
        self.punt_valid.next = self.in_valid.val() & self.punts.val();

        self.report.d.next = self.moves.val() & self.last.val() & self.forwards.val();
        self.report_port.d.next = self.egress.val();
        self.report_length.d.next = self.in_route.val().length;
        self.first_gone.d.next = self.moves.val() & self.in_route.val().first;
        self.first_stays.d.next = self.forwards.val() | self.punts.val();
        self.last_gone.d.next = self.moves.val() & self.last.val();
        self.sent.next = self.report.q.val();
        self.sent_port.next = self.report_port.q.val();
        self.sent_length.next = self.report_length.q.val();
        self.first_left.next = self.first_gone.q.val();
        self.first_kept.next = self.first_stays.q.val();
        self.last_left.next = self.last_gone.q.val();
    }
}
