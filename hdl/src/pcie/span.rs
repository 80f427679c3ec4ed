//! Byte Count and the low bits of Lower Address of a memory request (PCIe base specification 2.3.1.1).
//!
//! Total: enables that the specification does not allow count as if the bytes at the ends were there. No registers.

use rust_hdl_core::prelude::*;

/// The calculation; see the module's text.
#[derive(LogicBlock)]
pub struct Span {
    /// DWs asked, 1..=1024.
    pub dwords: Signal<In, Bits<11>>,
    /// Byte enables of the first DW.
    pub first: Signal<In, Bits<4>>,
    /// Byte enables of the last DW, not used when there is one.
    pub final_enables: Signal<In, Bits<4>>,
    /// Bytes from the first enabled to the last, at least 1.
    pub bytes: Signal<Out, Bits<13>>,
    /// Bytes before the first enabled one.
    pub lead: Signal<Out, Bits<2>>,
    ends: Signal<Local, Bits<4>>,
    prior: Signal<Local, Bits<2>>,
    behind: Signal<Local, Bits<2>>,
    whole: Signal<Local, Bits<13>>,
    unused: Signal<Local, Bits<13>>,
    single: Constant<Bits<11>>,
    number: [Constant<Bits<2>>; 4],
}

impl Default for Span {
    fn default() -> Self {
        Self {
            dwords: Signal::default(),
            first: Signal::default(),
            final_enables: Signal::default(),
            bytes: Signal::default(),
            lead: Signal::default(),
            ends: Signal::default(),
            prior: Signal::default(),
            behind: Signal::default(),
            whole: Signal::default(),
            unused: Signal::default(),
            single: Constant::new(1_u64.to_bits()),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
        }
    }
}

impl Logic for Span {
    #[hdl_gen]
    fn update(&mut self) {
        self.ends.next = self.final_enables.val();
        if self.dwords.val() == self.single.val() {
            self.ends.next = self.first.val();
        }
        // No byte enabled counts as the first byte.
        self.prior.next = self.number[0].val();
        if !self.first.val().get_bit(0) {
            if self.first.val().get_bit(1) {
                self.prior.next = self.number[1].val();
            } else if self.first.val().get_bit(2) {
                self.prior.next = self.number[2].val();
            } else if self.first.val().get_bit(3) {
                self.prior.next = self.number[3].val();
            }
        }
        if self.ends.val().get_bit(3) {
            self.behind.next = self.number[0].val();
        } else if self.ends.val().get_bit(2) {
            self.behind.next = self.number[1].val();
        } else if self.ends.val().get_bit(1) {
            self.behind.next = self.number[2].val();
        } else {
            self.behind.next = self.number[3].val();
        }
        self.whole.next = bit_cast::<13, 11>(self.dwords.val()) << 2;
        self.unused.next =
            bit_cast::<13, 2>(self.prior.val()) + bit_cast::<13, 2>(self.behind.val());
        self.bytes.next = self.whole.val() - self.unused.val();
        self.lead.next = self.prior.val();
    }
}
