//! First of 36 lanes: a two-level priority encoder of six groups of six, a vector every clock.
//!
//! `found` and `lane` are right two clocks after `lanes`. About 60 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The encoder; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Encoder {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// One bit a lane.
    pub lanes: Signal<In, Bits<36>>,
    /// A lane is set.
    pub found: Signal<Out, Bit>,
    /// The lowest one.
    pub lane: Signal<Out, Bits<6>>,
    any: [DFF<Bit>; 6],
    place: [DFF<Bits<6>>; 6],
    found_register: DFF<Bit>,
    lane_register: DFF<Bits<6>>,
    group: Signal<Local, Bits<6>>,
    numbers: [Constant<Bits<6>>; 36],
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            lanes: Signal::default(),
            found: Signal::default(),
            lane: Signal::default(),
            any: Default::default(),
            place: Default::default(),
            found_register: DFF::default(),
            lane_register: DFF::default(),
            group: Signal::default(),
            numbers: std::array::from_fn(|lane| Constant::new(lane.to_bits())),
        }
    }
}

impl Logic for Encoder {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, found_register, lane_register);
        // The last assignment wins, so the lowest comes last.
        self.found_register.d.next = false;
        for i in 0..6 {
            self.group.next = self.lanes.val().get_bits::<6>(i * 6);
            self.any[i].clock.next = self.clock.val();
            self.any[i].d.next = self.group.val().any();
            self.place[i].clock.next = self.clock.val();
            self.place[i].d.next = self.numbers[i * 6].val();
            for j in 0..6 {
                if self.group.val().get_bit(5 - j) {
                    self.place[i].d.next = self.numbers[i * 6 + 5 - j].val();
                }
            }
            if self.any[5 - i].q.val() {
                self.found_register.d.next = true;
                self.lane_register.d.next = self.place[5 - i].q.val();
            }
        }
        self.found.next = self.found_register.q.val();
        self.lane.next = self.lane_register.q.val();
    }
}
