//! First of 144 candidates: a two-level priority encoder of twelve groups of twelve.
//!
//! `candidates` must keep still; `found` and `place` are right four clocks later. A flat encoder of this width
//! would set the clock of the whole card. About 250 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The encoder; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct First {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// One bit a candidate.
    pub candidates: Signal<In, Bits<144>>,
    /// There is a candidate.
    pub found: Signal<Out, Bit>,
    /// The lowest one.
    pub place: Signal<Out, Bits<8>>,
    any: [DFF<Bit>; 12],
    /// One-hot: the first group that has a candidate.
    pick: [DFF<Bit>; 12],
    seen: Signal<Local, Bit>,
    base: Signal<Local, Bits<8>>,
    members: Signal<Local, Bits<12>>,
    group_found: DFF<Bit>,
    group_base: DFF<Bits<8>>,
    group: DFF<Bits<12>>,
    place_found: DFF<Bit>,
    place_register: DFF<Bits<8>>,
    offset: Signal<Local, Bits<8>>,
    bases: [Constant<Bits<8>>; 12],
    offsets: [Constant<Bits<8>>; 12],
}

impl Default for First {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            candidates: Signal::default(),
            found: Signal::default(),
            place: Signal::default(),
            any: Default::default(),
            pick: Default::default(),
            seen: Signal::default(),
            base: Signal::default(),
            members: Signal::default(),
            group_found: DFF::default(),
            group_base: DFF::default(),
            group: DFF::default(),
            place_found: DFF::default(),
            place_register: DFF::default(),
            offset: Signal::default(),
            bases: std::array::from_fn(|group| Constant::new((12 * group).to_bits())),
            offsets: std::array::from_fn(|offset| Constant::new(offset.to_bits())),
        }
    }
}

impl Logic for First {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            group_found,
            group_base,
            group,
            place_found,
            place_register
        );
        self.seen.next = false;
        self.group_found.d.next = false;
        self.base.next = 0.into();
        self.members.next = 0.into();
        self.offset.next = 0.into();
        for i in 0..12 {
            self.any[i].clock.next = self.clock.val();
            self.any[i].d.next = self.candidates.val().get_bits::<12>(i * 12).any();
            self.pick[i].clock.next = self.clock.val();
            self.pick[i].d.next = self.any[i].q.val() & !self.seen.val();
            self.seen.next = self.seen.val() | self.any[i].q.val();
            if self.pick[i].q.val() {
                self.group_found.d.next = true;
                self.base.next = self.base.val() | self.bases[i].val();
                self.members.next =
                    self.members.val() | self.candidates.val().get_bits::<12>(i * 12);
            }
            // The last assignment wins, so the lowest comes last.
            if self.group.q.val().get_bit(11 - i) {
                self.offset.next = self.offsets[11 - i].val();
            }
        }
        self.group_base.d.next = self.base.val();
        self.group.d.next = self.members.val();
        self.place_found.d.next = self.group_found.q.val();
        self.place_register.d.next = self.group_base.q.val() + self.offset.val();
        self.found.next = self.place_found.q.val();
        self.place.next = self.place_register.q.val();
    }
}
