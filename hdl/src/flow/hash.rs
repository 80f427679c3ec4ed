//! H3 hash of a key: the index into one way of the flow table.
//!
//! Index bit n is the parity of the key under mask n of `layout::hash`. Latency one clock, a key every
//! clock. An index bit is an XOR of about 54 key bits: three LUT levels, some 18 LUTs.

use layout::hash::{INDEX_BITS, MASKS};
use layout::table::FLOW_WAY_ENTRIES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The hash of one way; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Hash {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Key to hash.
    pub key: Signal<In, Bits<108>>,
    /// The index, one clock later.
    pub index: Signal<Out, Bits<10>>,
    /// The index with the way in front.
    pub slot: Signal<Out, Bits<13>>,
    register: DFF<Bits<10>>,
    masked: [Signal<Local, Bits<108>>; INDEX_BITS],
    parity: Signal<Local, Bits<10>>,
    masks: [Constant<Bits<108>>; INDEX_BITS],
    weights: [Constant<Bits<10>>; INDEX_BITS],
    base: Constant<Bits<13>>,
}

impl Hash {
    /// The hash of this way.
    pub fn new(way: usize) -> Self {
        Self {
            clock: Signal::default(),
            key: Signal::default(),
            index: Signal::default(),
            slot: Signal::default(),
            register: DFF::default(),
            masked: Default::default(),
            parity: Signal::default(),
            masks: MASKS[way].map(|mask| Constant::new(mask.to_bits())),
            weights: std::array::from_fn(|bit| Constant::new((1_u64 << bit).to_bits())),
            base: Constant::new((way * FLOW_WAY_ENTRIES).to_bits()),
        }
    }
}

impl Logic for Hash {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, register);
        self.parity.next = 0.into();
        for i in 0..10 {
            self.masked[i].next = self.key.val() & self.masks[i].val();
            if self.masked[i].val().xor() {
                self.parity.next = self.parity.val() | self.weights[i].val();
            }
        }
        self.register.d.next = self.parity.val();
        self.index.next = self.register.q.val();
        self.slot.next = bit_cast::<13, 10>(self.register.q.val()) | self.base.val();
    }
}
