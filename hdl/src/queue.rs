//! Punt ring of a packet: the parity of the even and of the odd bits of its addresses and ports.
//!
//! `layout::hash::queue` folds them down to two bits; folding by powers of two keeps even and odd bits
//! apart. Zero for packets whose fate the parser decided: they have no key. Taken beside the flow lookup, since the
//! destination lookup changes the key. Latency one clock, a packet every clock. Costs about 40 LUTs, three levels of them.

use layout::table::Key;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Bits of both ports and both addresses, which come first in a key.
const FOLDED_BITS: usize = 96;

/// The hash; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Queue {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Key of the packet.
    pub key: Signal<In, Bits<108>>,
    /// There is no key.
    pub decided: Signal<In, Bit>,
    /// The ring, one clock later.
    pub queue: Signal<Out, Bits<2>>,
    register: DFF<Bits<2>>,
    masked: [Signal<Local, Bits<108>>; 2],
    parity: Signal<Local, Bits<2>>,
    masks: [Constant<Bits<108>>; 2],
    weights: [Constant<Bits<2>>; 2],
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            key: Signal::default(),
            decided: Signal::default(),
            queue: Signal::default(),
            register: DFF::default(),
            masked: Default::default(),
            parity: Signal::default(),
            masks: [0, 1].map(|bit| {
                let mask = (bit..FOLDED_BITS)
                    .step_by(2)
                    .fold(0_u128, |mask, at| mask | 1 << at);
                Constant::new(mask.to_bits())
            }),
            weights: [1_u64, 2].map(|weight| Constant::new(weight.to_bits())),
        }
    }
}

impl Logic for Queue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, register);
        self.parity.next = 0.into();
        for i in 0..2 {
            self.masked[i].next = self.key.val() & self.masks[i].val();
            if self.masked[i].val().xor() & (!self.decided.val()) {
                self.parity.next = self.parity.val() | self.weights[i].val();
            }
        }
        self.register.d.next = self.parity.val();
        self.queue.next = self.register.q.val();
    }
}

// Protocol and interface are behind what is folded.
const _: () = assert!(FOLDED_BITS + 8 + 4 == Key::BITS);
