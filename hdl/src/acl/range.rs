//! Port ranges of one lane: does the packet's pair of ports lie within those of the page's slot?
//!
//! `inside_ranges` is right two clocks after `page`, with the ports of one clock after it: one clock of LUT RAM, one of
//! four 16-bit comparators. Ranges stay ranges; written as prefixes one entry could take hundreds of slots.
//! Costs 32 LUT RAM blocks, 32 carry cells a lane.

use layout::table::ACL_PAGE_BITS;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::entry::Ranges;
use crate::ram::LutRam;

/// The ranges of one lane; see the module's text.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Range {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The page.
    pub page: Signal<In, Bits<ACL_PAGE_BITS>>,
    /// Source port, one clock after the page.
    pub sport: Signal<In, Bits<16>>,
    /// Destination port, one clock after the page.
    pub dport: Signal<In, Bits<16>>,
    /// Both ports are within the ranges, two clocks after the page.
    pub inside_ranges: Signal<Out, Bit>,
    /// Store `ranges` at `write_page`, which keep still for a clock more.
    pub write_enable: Signal<In, Bit>,
    /// Page to write.
    pub write_page: Signal<In, Bits<ACL_PAGE_BITS>>,
    /// Ranges to write.
    pub ranges: Signal<In, Ranges>,
    memory: LutRam<Ranges, ACL_PAGE_BITS>,
    /// `write_enable`, one clock later: who writes is far.
    stores: DFF<Bit>,
    both: DFF<Bit>,
    slot: Signal<Local, Ranges>,
}

impl Logic for Range {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, memory);
        dff_setup!(self, clock, stores, both);
        self.memory.read_enable.next = true;
        self.memory.forward.next = false;
        self.memory.read_address.next = self.page.val();
        self.stores.d.next = self.write_enable.val();
        self.memory.write_enable.next = self.stores.q.val();
        self.memory.write_address.next = self.write_page.val();
        self.memory.write_data.next = self.ranges.val();
        self.slot.next = self.memory.read_data.val();
        // Asked the other way round: `<=` costs a comparison for equality beside the carry chain.
        self.both.d.next = !((self.sport.val() < self.slot.val().sport_low)
            | (self.slot.val().sport_high < self.sport.val())
            | (self.dport.val() < self.slot.val().dport_low)
            | (self.slot.val().dport_high < self.dport.val()));
        self.inside_ranges.next = self.both.q.val();
    }
}
