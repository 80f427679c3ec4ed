//! The page that a few lanes look at, counted for them alone.
//!
//! `page` is one clock behind the count of the access-control list. One counter for all lanes would drive
//! a thousand LUT RAM blocks in every corner of the device; the counters of two groups of lanes never
//! differ, but no tool merges them, since each follows only itself. About ten LUTs, no latency of its own.

use layout::table::ACL_PAGE_BITS;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The counter; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Pages {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// A page was looked at.
    pub counts: Signal<In, Bit>,
    /// It was the last of its lookup; wins over `counts`.
    pub restarts: Signal<In, Bit>,
    /// The page.
    pub page: Signal<Out, Bits<ACL_PAGE_BITS>>,
    count: DFF<Bits<ACL_PAGE_BITS>>,
    one: Constant<Bits<ACL_PAGE_BITS>>,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            counts: Signal::default(),
            restarts: Signal::default(),
            page: Signal::default(),
            count: DFF::default(),
            one: Constant::new(1_u64.to_bits()),
        }
    }
}

impl Logic for Pages {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count);
        if self.restarts.val() {
            self.count.d.next = 0.into();
        } else if self.counts.val() {
            self.count.d.next = self.count.q.val() + self.one.val();
        }
        self.page.next = self.count.q.val();
    }
}
