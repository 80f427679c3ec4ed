//! Reads the headers: lookup key, fields for the rewrite, and the verdicts that need no lookup.
//!
//! One [`Window`] in, one [`Header`] out, in the order of `CONTRACT.md` steps 1 to 16. Latency two clocks, one
//! frame every clock. Costs about 900 LUTs, most of them the comparison with eight interfaces.
//!
//! ```text
//! window ─► tag? ─► align at the IPv4 header ─► │ ─► checks, key ─► │
//!           interface and MAC compare ────────► │
//!           IPv4 checksum: pairs, then fours ─► │ ─► sum, compare
//! ```
//!
//! RFC 791, RFC 768, RFC 9293, RFC 792, IEEE 802.1Q clause 9.

mod align;
mod check;
mod conclude;

use layout::desc::Reason;
use layout::table::INTERFACES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::{Header, Window};

pub use align::Align;
pub use check::Check;
pub use conclude::Conclude;

/// The parser; see the module's text.
#[derive(LogicBlock)]
pub struct Parser {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// `CONTROL`.
    pub control: Signal<In, Bits<32>>,
    /// Packed `Interface` entries.
    pub interface: [Signal<In, Bits<64>>; INTERFACES],
    /// First bytes of a frame.
    pub in_data: Signal<In, Window>,
    /// A window is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken; a register.
    pub in_ready: Signal<Out, Bit>,
    /// What the headers say.
    pub out_data: Signal<Out, Header>,
    /// A header is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    align: Align,
    check: Check,
    header: DFF<Header>,
    full: DFF<Bit>,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            control: Signal::default(),
            interface: std::array::from_fn(|_| Default::default()),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            align: Align::default(),
            check: Check::default(),
            header: DFF::default(),
            full: DFF::default(),
        }
    }
}

impl Logic for Parser {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, align);
        dff_setup!(self, clock, header, full);
        // All of it stands when the reader does, whose word is a register: there is nothing to buffer.
        self.in_ready.next = self.out_ready.val();
        self.align.go.next = self.out_ready.val();
        self.align.control.next = self.control.val();
        self.align.window.next = self.in_data.val();
        self.align.valid.next = self.in_valid.val();
        for i in 0..8 {
            self.align.interface[i].next = self.interface[i].val();
        }
        self.check.aligned.next = self.align.aligned.val();
        self.check.packet.next = self.align.packet.val();
        if self.out_ready.val() {
            self.header.d.next = self.check.header.val();
            self.full.d.next = self.align.aligned_valid.val();
        }
        self.out_data.next = self.header.q.val();
        self.out_valid.next = self.full.q.val();
    }
}

/// A reason code as a constant of the kernel.
pub(crate) fn code(reason: Reason) -> Constant<Bits<6>> {
    Constant::new((reason as u64).to_bits())
}
