//! The last of the parser's checks: the IPv4 header checksum.
//!
//! A [`Header`] in, its final `decided` and `reason` out. No registers; about 15 LUTs. The sum is an adder's
//! work, the comparison comes here one clock later, beside the hash of the flow table.

use layout::desc::Reason;
use rust_hdl_core::prelude::*;

use super::code;
use crate::record::Header;

/// The check; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Conclude {
    /// What the parser found.
    pub header: Signal<In, Header>,
    /// The packet's fate is decided.
    pub decided: Signal<Out, Bit>,
    /// `layout::desc::Reason` code when `decided`.
    pub reason: Signal<Out, Bits<6>>,
    sum: Signal<Local, Bits<20>>,
    carry: Signal<Local, Bits<4>>,
    words: Signal<Local, Bits<16>>,
    inverted: Signal<Local, Bits<16>>,
    carries: Signal<Local, Bits<16>>,
    bad_ip_checksum: Constant<Bits<6>>,
}

impl Default for Conclude {
    fn default() -> Self {
        Self {
            header: Signal::default(),
            decided: Signal::default(),
            reason: Signal::default(),
            sum: Signal::default(),
            carry: Signal::default(),
            words: Signal::default(),
            inverted: Signal::default(),
            carries: Signal::default(),
            bad_ip_checksum: code(Reason::BadIpChecksum),
        }
    }
}

impl Logic for Conclude {
    #[hdl_gen]
    fn update(&mut self) {
        // The sum of ten words is right when adding its carries gives all ones.
        self.sum.next = self.header.val().sum;
        self.carry.next = self.sum.val().get_bits::<4>(16);
        self.words.next = self.sum.val().get_bits::<16>(0);
        self.inverted.next = !self.words.val();
        self.carries.next = bit_cast::<16, 4>(self.carry.val());
        self.decided.next = self.header.val().decided;
        self.reason.next = self.header.val().reason;
        if self.header.val().summed & (self.inverted.val() != self.carries.val()) {
            self.decided.next = true;
            self.reason.next = self.bad_ip_checksum.val();
        }
    }
}
