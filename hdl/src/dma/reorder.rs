//! Reorder buffer: 1 024 DWs in a ring, in the order in which they were asked for.
//!
//! Two block RAMs, one for even and one for odd DWs, so that two DWs beginning at any DW are written and read in
//! one clock. A word is there three clocks after its place.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::ram::Ram;

/// The buffer; see the module's text.
#[derive(LogicBlock)]
pub struct Reorder {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Write the low word to `write_place`.
    pub write: Signal<In, Bit>,
    /// And the high word behind it.
    pub write_both: Signal<In, Bit>,
    /// A DW.
    pub write_place: Signal<In, Bits<10>>,
    /// Two DWs.
    pub write_data: Signal<In, Bits<64>>,
    /// A DW.
    pub read_place: Signal<In, Bits<10>>,
    /// It and the next, three clocks later.
    pub read_data: Signal<Out, Bits<64>>,
    even: Ram<Bits<32>, 9>,
    odd: Ram<Bits<32>, 9>,
    even_place: DFF<Bits<9>>,
    odd_place: DFF<Bits<9>>,
    turned1: DFF<Bit>,
    turned2: DFF<Bit>,
    turned3: DFF<Bit>,
    write_next: Signal<Local, Bits<10>>,
    read_next: Signal<Local, Bits<10>>,
    write_odd: Signal<Local, Bit>,
    low: Signal<Local, Bits<32>>,
    high: Signal<Local, Bits<32>>,
    one: Constant<Bits<10>>,
}

impl Default for Reorder {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            write: Signal::default(),
            write_both: Signal::default(),
            write_place: Signal::default(),
            write_data: Signal::default(),
            read_place: Signal::default(),
            read_data: Signal::default(),
            even: Ram::default(),
            odd: Ram::default(),
            even_place: DFF::default(),
            odd_place: DFF::default(),
            turned1: DFF::default(),
            turned2: DFF::default(),
            turned3: DFF::default(),
            write_next: Signal::default(),
            read_next: Signal::default(),
            write_odd: Signal::default(),
            low: Signal::default(),
            high: Signal::default(),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for Reorder {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, even_place, odd_place, turned1, turned2, turned3
        );
        clock!(self, clock, even, odd);
        self.write_next.next = self.write_place.val() + self.one.val();
        self.write_odd.next = self.write_place.val().get_bit(0);
        self.low.next = self.write_data.val().get_bits::<32>(0);
        self.high.next = self.write_data.val().get_bits::<32>(32);
        self.odd.write_address.next = self.write_place.val().get_bits::<9>(1);
        self.even.write_address.next = self.write_next.val().get_bits::<9>(1);
        if self.write_odd.val() {
            self.odd.write_data.next = self.low.val();
            self.odd.write_enable.next = self.write.val();
            self.even.write_data.next = self.high.val();
            self.even.write_enable.next = self.write.val() & self.write_both.val();
        } else {
            self.even.write_data.next = self.low.val();
            self.even.write_enable.next = self.write.val();
            self.odd.write_data.next = self.high.val();
            self.odd.write_enable.next = self.write.val() & self.write_both.val();
        }

        self.read_next.next = self.read_place.val() + self.one.val();
        self.even_place.d.next = self.read_next.val().get_bits::<9>(1);
        self.odd_place.d.next = self.read_place.val().get_bits::<9>(1);
        self.even.read_enable.next = true;
        self.even.read_address.next = self.even_place.q.val();
        self.odd.read_enable.next = true;
        self.odd.read_address.next = self.odd_place.q.val();
        self.turned1.d.next = self.read_place.val().get_bit(0);
        self.turned2.d.next = self.turned1.q.val();
        self.turned3.d.next = self.turned2.q.val();
        self.read_data.next = (bit_cast::<64, 32>(self.odd.read_data.val()) << 32)
            | bit_cast::<64, 32>(self.even.read_data.val());
        if self.turned3.q.val() {
            self.read_data.next = (bit_cast::<64, 32>(self.even.read_data.val()) << 32)
                | bit_cast::<64, 32>(self.odd.read_data.val());
        }
    }
}
