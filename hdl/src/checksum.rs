//! IPv4 and L4 checksums of a translated frame, RFC 1624 equation 3.
//!
//! HC' = ~fold(~HC + Σ(~m + m')): no byte of the frame beyond the headers is needed, so the frame may be cut
//! through. One [`Judged`] packet in, its [`Sums`] three enabled clocks later; both sums are complemented and
//! folded once, the last carry is added where they are used. Costs about 250 LUTs and 190 flip-flops.
//!
//! ```text
//! ~m + m' (high, low), ~port + port' ─► │ ─► address, port + ~HC ─► │ ─► sum ─► │ ─► fold once
//! ```

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::{Action, Judged, Key, Sums};

/// The adders; see the module's text.
#[derive(LogicBlock)]
pub struct Checksum {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The pipeline moves.
    pub go: Signal<In, Bit>,
    /// The packet, its key split up.
    pub packet: Signal<In, Judged>,
    /// Its key.
    pub key: Signal<In, Key>,
    /// Its action.
    pub action: Signal<In, Action>,
    /// New checksums of the packet of three enabled clocks ago.
    pub sums: Signal<Out, Sums>,
    old_address: Signal<Local, Bits<32>>,
    old_port: Signal<Local, Bits<16>>,
    new_address: Signal<Local, Bits<32>>,
    new_port: Signal<Local, Bits<16>>,
    not_address: Signal<Local, Bits<32>>,
    not_port: Signal<Local, Bits<16>>,
    old_ip: Signal<Local, Bits<16>>,
    old_l4: Signal<Local, Bits<16>>,
    not_ip: Signal<Local, Bits<16>>,
    not_l4: Signal<Local, Bits<16>>,
    high: DFF<Bits<17>>,
    low: DFF<Bits<17>>,
    port: DFF<Bits<17>>,
    ip: DFF<Bits<16>>,
    l4: DFF<Bits<16>>,
    icmp: DFF<Bit>,
    keep: DFF<Bit>,
    address2: DFF<Bits<18>>,
    port2: DFF<Bits<18>>,
    ip2: DFF<Bits<16>>,
    icmp2: DFF<Bit>,
    keep2: DFF<Bit>,
    ip3: DFF<Bits<19>>,
    l43: DFF<Bits<19>>,
    keep3: DFF<Bit>,
    l4_address: Signal<Local, Bits<19>>,
    ip_sum: Signal<Local, Bits<19>>,
    l4_sum: Signal<Local, Bits<19>>,
    l4_carries: Signal<Local, Bits<3>>,
    l4_end: Signal<Local, Bits<3>>,
    no_address: Constant<Bits<19>>,
    zero: Constant<Bits<16>>,
}

impl Default for Checksum {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            go: Signal::default(),
            packet: Signal::default(),
            key: Signal::default(),
            action: Signal::default(),
            sums: Signal::default(),
            old_address: Signal::default(),
            old_port: Signal::default(),
            new_address: Signal::default(),
            new_port: Signal::default(),
            not_address: Signal::default(),
            not_port: Signal::default(),
            old_ip: Signal::default(),
            old_l4: Signal::default(),
            not_ip: Signal::default(),
            not_l4: Signal::default(),
            high: DFF::default(),
            low: DFF::default(),
            port: DFF::default(),
            ip: DFF::default(),
            l4: DFF::default(),
            icmp: DFF::default(),
            keep: DFF::default(),
            address2: DFF::default(),
            port2: DFF::default(),
            ip2: DFF::default(),
            icmp2: DFF::default(),
            keep2: DFF::default(),
            ip3: DFF::default(),
            l43: DFF::default(),
            keep3: DFF::default(),
            l4_address: Signal::default(),
            ip_sum: Signal::default(),
            l4_sum: Signal::default(),
            l4_carries: Signal::default(),
            l4_end: Signal::default(),
            no_address: Constant::new(0.into()),
            zero: Constant::new(0.into()),
        }
    }
}

impl Logic for Checksum {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, high, low, port, ip, l4, icmp, keep, address2, port2, ip2, icmp2, keep2,
            ip3, l43, keep3
        );
        self.new_address.next = self.action.val().address;
        self.new_port.next = self.action.val().l4_port;
        self.old_ip.next = self.packet.val().ip_checksum;
        self.old_l4.next = self.packet.val().l4_checksum;
        if self.action.val().translate_source {
            self.old_address.next = self.key.val().src;
            self.old_port.next = self.key.val().sport;
        } else {
            self.old_address.next = self.key.val().dst;
            self.old_port.next = self.key.val().dport;
        }
        // The ICMP identifier is the source port of the key, whichever address changes.
        if self.packet.val().icmp {
            self.old_port.next = self.key.val().sport;
        }
        self.not_address.next = !self.old_address.val();
        self.not_port.next = !self.old_port.val();
        self.not_ip.next = !self.old_ip.val();
        self.not_l4.next = !self.old_l4.val();
        self.l4_address.next = bit_cast::<19, 18>(self.address2.q.val());
        if self.icmp2.q.val() {
            self.l4_address.next = self.no_address.val();
        }
        self.ip_sum.next =
            bit_cast::<19, 18>(self.address2.q.val()) + bit_cast::<19, 16>(self.ip2.q.val());
        self.l4_sum.next = self.l4_address.val() + bit_cast::<19, 18>(self.port2.q.val());
        if self.go.val() {
            self.high.d.next = bit_cast::<17, 16>(self.not_address.val().get_bits::<16>(16))
                + bit_cast::<17, 16>(self.new_address.val().get_bits::<16>(16));
            self.low.d.next = bit_cast::<17, 16>(self.not_address.val().get_bits::<16>(0))
                + bit_cast::<17, 16>(self.new_address.val().get_bits::<16>(0));
            self.port.d.next =
                bit_cast::<17, 16>(self.not_port.val()) + bit_cast::<17, 16>(self.new_port.val());
            self.ip.d.next = self.not_ip.val();
            self.l4.d.next = self.not_l4.val();
            self.icmp.d.next = self.packet.val().icmp;
            self.keep.d.next = self.packet.val().udp & (self.old_l4.val() == self.zero.val());

            self.address2.d.next =
                bit_cast::<18, 17>(self.high.q.val()) + bit_cast::<18, 17>(self.low.q.val());
            self.port2.d.next =
                bit_cast::<18, 17>(self.port.q.val()) + bit_cast::<18, 16>(self.l4.q.val());
            self.ip2.d.next = self.ip.q.val();
            self.icmp2.d.next = self.icmp.q.val();
            self.keep2.d.next = self.keep.q.val();

            self.ip3.d.next = self.ip_sum.val();
            self.l43.d.next = self.l4_sum.val();
            self.keep3.d.next = self.keep2.q.val();
        }

        self.sums.next.ip = bit_cast::<17, 16>(self.ip3.q.val().get_bits::<16>(0))
            + bit_cast::<17, 3>(self.ip3.q.val().get_bits::<3>(16));
        self.sums.next.l4 = bit_cast::<17, 16>(self.l43.q.val().get_bits::<16>(0))
            + bit_cast::<17, 3>(self.l43.q.val().get_bits::<3>(16));
        self.sums.next.keep_l4 = self.keep3.q.val();
        // All ones come only of a fold without a carry out, so the adder need not be waited for.
        self.l4_carries.next = self.l43.q.val().get_bits::<3>(16);
        self.l4_end.next = self.l43.q.val().get_bits::<3>(0) ^ self.l4_carries.val();
        self.sums.next.zero_l4 = self.l43.q.val().get_bits::<13>(3).all() & self.l4_end.val().all();
    }
}
