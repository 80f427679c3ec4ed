//! Changes the headers of forwarded frames as their beats leave the packet FIFO.
//!
//! Takes beats and, once a frame, its [`Ruling`] and [`Sums`]; gives the same beats with new MAC addresses,
//! VLAN, addresses, ports and checksums, each with its [`Route`]. Reports every frame that ends to the flow
//! table and the reason counters. Latency one clock, a beat every clock. Costs about 900 LUTs.
//!
//! ```text
//! ruling, sums ─► patch and mask of 512 bits ─► beats 0..N ─┐
//! beat ─────────────────────────────────────────────────────┴► (beat & ~mask) | patch ─► skid buffer
//! ```

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::{Headers, Route, Ruling, Sums};
use crate::skid::Skid;
use crate::stream::{Beat, FrameLength};
use crate::window::Split;

/// The stage; see the module's text.
#[derive(LogicBlock)]
pub struct Rewrite<const W: usize, const K: usize, const N: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat of a frame as received.
    pub in_beat: Signal<In, Beat<W, K>>,
    /// It is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// What becomes of the frame.
    pub ruling: Signal<In, Ruling>,
    /// Its checksums.
    pub sums: Signal<In, Sums>,
    /// A ruling is offered.
    pub ruling_valid: Signal<In, Bit>,
    /// It is taken, with the frame's last beat.
    pub ruling_ready: Signal<Out, Bit>,
    /// Beat to send.
    pub out_beat: Signal<Out, Beat<W, K>>,
    /// Where to.
    pub out_route: Signal<Out, Route>,
    /// It is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    /// A frame ended, high for one clock.
    pub ended: Signal<Out, Bit>,
    /// Its reason.
    pub ended_reason: Signal<Out, Bits<6>>,
    /// It counts in a flow.
    pub counts: Signal<Out, Bit>,
    /// The flow's slot.
    pub counts_slot: Signal<Out, Bits<13>>,
    /// Bytes of the frame.
    pub counts_length: Signal<Out, Bits<16>>,
    /// It had FIN set.
    pub counts_fin: Signal<Out, Bit>,
    /// It had RST set.
    pub counts_rst: Signal<Out, Bit>,
    patch: Patch,
    plain: Split<W, N>,
    plain_mask: Split<W, N>,
    shifted: Split<W, N>,
    shifted_mask: Split<W, N>,
    length: FrameLength<K>,
    beats: Skid<Beat<W, K>>,
    routes: Skid<Route>,
    place: Place<N>,
    finish: DFF<Bit>,
    end_ruling: DFF<Ruling>,
    end_length: DFF<Bits<16>>,
    last: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    change: Signal<Local, Bits<W>>,
    mask: Signal<Local, Bits<W>>,
    keep_mask: Signal<Local, Bits<W>>,
    data: Signal<Local, Bits<W>>,
    nothing: Constant<Bits<W>>,
}

impl<const W: usize, const K: usize, const N: usize> Default for Rewrite<W, K, N> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_beat: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            ruling: Signal::default(),
            sums: Signal::default(),
            ruling_valid: Signal::default(),
            ruling_ready: Signal::default(),
            out_beat: Signal::default(),
            out_route: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            ended: Signal::default(),
            ended_reason: Signal::default(),
            counts: Signal::default(),
            counts_slot: Signal::default(),
            counts_length: Signal::default(),
            counts_fin: Signal::default(),
            counts_rst: Signal::default(),
            patch: Patch::default(),
            plain: Split::default(),
            plain_mask: Split::default(),
            shifted: Split::default(),
            shifted_mask: Split::default(),
            length: FrameLength::default(),
            beats: Skid::default(),
            routes: Skid::default(),
            place: Place::default(),
            finish: DFF::default(),
            end_ruling: DFF::default(),
            end_length: DFF::default(),
            last: Signal::default(),
            room: Signal::default(),
            moves: Signal::default(),
            change: Signal::default(),
            mask: Signal::default(),
            keep_mask: Signal::default(),
            data: Signal::default(),
            nothing: Constant::new(0.into()),
        }
    }
}

impl<const W: usize, const K: usize, const N: usize> Logic for Rewrite<W, K, N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, finish, end_ruling, end_length);
        clock!(self, clock, length, beats, routes, place);
        self.room.next = self.beats.in_ready.val();
        self.last.next = self.in_beat.val().last;
        self.moves.next = self.in_valid.val() & self.ruling_valid.val() & self.room.val();
        self.in_ready.next = self.ruling_valid.val() & self.room.val();
        self.ruling_ready.next = self.in_valid.val() & self.last.val() & self.room.val();
        self.place.moves.next = self.moves.val();
        self.place.last.next = self.last.val();
        self.place.vlan.next = self.ruling.val().tagged;

        self.patch.ruling.next = self.ruling.val();
        self.patch.sums.next = self.sums.val();
        self.plain.whole.next = self.patch.plain.val();
        self.plain_mask.whole.next = self.patch.plain_mask.val();
        self.shifted.whole.next = self.patch.shifted.val();
        self.shifted_mask.whole.next = self.patch.shifted_mask.val();
        self.change.next = self.nothing.val();
        self.mask.next = self.nothing.val();
        for i in 0..N {
            if self.place.plain[i].val() {
                self.change.next = self.change.val() | self.plain.part[i].val();
                self.mask.next = self.mask.val() | self.plain_mask.part[i].val();
            }
            if self.place.shifted[i].val() {
                self.change.next = self.change.val() | self.shifted.part[i].val();
                self.mask.next = self.mask.val() | self.shifted_mask.part[i].val();
            }
        }
        self.keep_mask.next = !self.mask.val();
        self.data.next = self.in_beat.val().data;
        self.beats.in_data.next.data = (self.data.val() & self.keep_mask.val()) | self.change.val();
        self.beats.in_data.next.keep = self.in_beat.val().keep;
        self.beats.in_data.next.last = self.last.val();
        self.beats.in_valid.next = self.moves.val();
        self.beats.out_ready.next = self.out_ready.val();

        self.length.moves.next = self.moves.val();
        self.length.keep.next = self.in_beat.val().keep;
        self.length.last.next = self.last.val();
        self.routes.in_data.next.verdict = self.ruling.val().verdict;
        self.routes.in_data.next.egress = self.ruling.val().egress;
        self.routes.in_data.next.first = self.place.first.val();
        self.routes.in_data.next.length = self.length.length.val();
        self.routes.in_data.next.metadata = self.ruling.val().metadata;
        self.routes.in_valid.next = self.moves.val();
        self.routes.out_ready.next = self.out_ready.val();
        self.out_beat.next = self.beats.out_data.val();
        self.out_route.next = self.routes.out_data.val();
        self.out_valid.next = self.beats.out_valid.val();

        self.finish.d.next = self.moves.val() & self.last.val();
        self.end_ruling.d.next = self.ruling.val();
        self.end_length.d.next = self.length.length.val();
        self.ended.next = self.finish.q.val();
        self.ended_reason.next = self.end_ruling.q.val().reason;
        self.counts.next = self.finish.q.val() & self.end_ruling.q.val().counts;
        self.counts_slot.next = self.end_ruling.q.val().flow;
        self.counts_length.next = self.end_length.q.val();
        self.counts_fin.next = self.end_ruling.q.val().fin;
        self.counts_rst.next = self.end_ruling.q.val().rst;
    }
}

/// Which beat of its frame comes next, one-hot, once for plain frames and once for tagged ones; none of them
/// beyond `N`. Registers but for the first beat, since every bit of a beat looks at them.
#[derive(LogicBlock)]
pub struct Place<const N: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// A beat moves.
    pub moves: Signal<In, Bit>,
    /// It is the last of its frame.
    pub last: Signal<In, Bit>,
    /// The frame has a VLAN tag.
    pub vlan: Signal<In, Bit>,
    /// The beat is number n of a frame without one.
    pub plain: [Signal<Out, Bit>; N],
    /// The beat is number n of a frame with one.
    pub shifted: [Signal<Out, Bit>; N],
    /// The beat is the first.
    pub first: Signal<Out, Bit>,
    /// A beat of the frame has passed.
    began: DFF<Bit>,
    /// The beat is number n + 1.
    later_plain: [DFF<Bit>; N],
    later_shifted: [DFF<Bit>; N],
    goes_on: Signal<Local, Bit>,
}

impl<const N: usize> Default for Place<N> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            moves: Signal::default(),
            last: Signal::default(),
            vlan: Signal::default(),
            plain: std::array::from_fn(|_| Default::default()),
            shifted: std::array::from_fn(|_| Default::default()),
            first: Signal::default(),
            began: DFF::default(),
            later_plain: std::array::from_fn(|_| Default::default()),
            later_shifted: std::array::from_fn(|_| Default::default()),
            goes_on: Signal::default(),
        }
    }
}

impl<const N: usize> Logic for Place<N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, began);
        for i in 0..N {
            self.later_plain[i].clock.next = self.clock.val();
            self.later_plain[i].d.next = self.later_plain[i].q.val();
            self.later_shifted[i].clock.next = self.clock.val();
            self.later_shifted[i].d.next = self.later_shifted[i].q.val();
        }
        self.first.next = !self.began.q.val();
        self.plain[0].next = !self.began.q.val() & !self.vlan.val();
        self.shifted[0].next = !self.began.q.val() & self.vlan.val();
        for i in 1..N {
            self.plain[i].next = self.later_plain[i - 1].q.val();
            self.shifted[i].next = self.later_shifted[i - 1].q.val();
        }
        self.goes_on.next = !self.last.val();
        if self.moves.val() {
            self.began.d.next = self.goes_on.val();
            self.later_plain[0].d.next =
                self.goes_on.val() & !self.began.q.val() & !self.vlan.val();
            self.later_shifted[0].d.next =
                self.goes_on.val() & !self.began.q.val() & self.vlan.val();
            for i in 1..N {
                self.later_plain[i].d.next = self.goes_on.val() & self.later_plain[i - 1].q.val();
                self.later_shifted[i].d.next =
                    self.goes_on.val() & self.later_shifted[i - 1].q.val();
            }
        }
    }
}

/// The new header bytes of a frame and which bits they are; no registers.
#[derive(LogicBlock)]
pub struct Patch {
    /// What changes.
    pub ruling: Signal<In, Ruling>,
    /// New checksums.
    pub sums: Signal<In, Sums>,
    /// First 64 bytes of a frame without VLAN tag, the first on top; zero where nothing changes.
    pub plain: Signal<Out, Bits<512>>,
    /// Its bits that change.
    pub plain_mask: Signal<Out, Bits<512>>,
    /// The same of a frame with a VLAN tag.
    pub shifted: Signal<Out, Bits<512>>,
    /// Its bits that change.
    pub shifted_mask: Signal<Out, Bits<512>>,
    ip_sum: Signal<Local, Bits<17>>,
    l4_sum: Signal<Local, Bits<17>>,
    ip_low: Signal<Local, Bits<3>>,
    l4_low: Signal<Local, Bits<3>>,
    ip_folded: Signal<Local, Bits<16>>,
    l4_folded: Signal<Local, Bits<16>>,
    ip_checksum: Signal<Local, Bits<16>>,
    l4_inverted: Signal<Local, Bits<16>>,
    l4_checksum: Signal<Local, Bits<16>>,
    translates: Signal<Local, Bit>,
    fresh: Signal<Local, Headers>,
    changed: Signal<Local, Headers>,
    fields: Signal<Local, Bits<320>>,
    new_bits: Signal<Local, Bits<320>>,
    changed_bits: Signal<Local, Bits<320>>,
    macs: Signal<Local, Bits<96>>,
    vid: Signal<Local, Bits<12>>,
    destination_mac: Signal<Local, Bits<48>>,
    source_mac: Signal<Local, Bits<48>>,
    l2_mask: Signal<Local, Bits<512>>,
    vlan_mask: Signal<Local, Bits<512>>,
    nothing: Constant<Headers>,
    no_mask: Constant<Bits<512>>,
    ones: Constant<Bits<16>>,
    ones_address: Constant<Bits<32>>,
    macs_mask: Constant<Bits<512>>,
    /// The priority bits above the VLAN identifier stay.
    vid_mask: Constant<Bits<512>>,
}

impl Default for Patch {
    fn default() -> Self {
        Self {
            ruling: Signal::default(),
            sums: Signal::default(),
            plain: Signal::default(),
            plain_mask: Signal::default(),
            shifted: Signal::default(),
            shifted_mask: Signal::default(),
            ip_sum: Signal::default(),
            l4_sum: Signal::default(),
            ip_low: Signal::default(),
            l4_low: Signal::default(),
            ip_folded: Signal::default(),
            l4_folded: Signal::default(),
            ip_checksum: Signal::default(),
            l4_inverted: Signal::default(),
            l4_checksum: Signal::default(),
            translates: Signal::default(),
            fresh: Signal::default(),
            changed: Signal::default(),
            fields: Signal::default(),
            new_bits: Signal::default(),
            changed_bits: Signal::default(),
            macs: Signal::default(),
            vid: Signal::default(),
            destination_mac: Signal::default(),
            source_mac: Signal::default(),
            l2_mask: Signal::default(),
            vlan_mask: Signal::default(),
            nothing: Constant::new(Headers::default()),
            no_mask: Constant::new(0.into()),
            ones: Constant::new(0xffff_u64.to_bits()),
            ones_address: Constant::new(0xffff_ffff_u64.to_bits()),
            macs_mask: ones(416, 96),
            vid_mask: ones(384, 12),
        }
    }
}

impl Logic for Patch {
    #[hdl_gen]
    fn update(&mut self) {
        // The last fold cannot carry again: a carry leaves at most 6 in the low half.
        self.ip_sum.next = self.sums.val().ip;
        self.l4_sum.next = self.sums.val().l4;
        self.ip_low.next = self.ip_sum.val().get_bits::<3>(0)
            + bit_cast::<3, 1>(self.ip_sum.val().get_bits::<1>(16));
        self.l4_low.next = self.l4_sum.val().get_bits::<3>(0)
            + bit_cast::<3, 1>(self.l4_sum.val().get_bits::<1>(16));
        self.ip_folded.next = (bit_cast::<16, 13>(self.ip_sum.val().get_bits::<13>(3)) << 3)
            | bit_cast::<16, 3>(self.ip_low.val());
        self.l4_folded.next = (bit_cast::<16, 13>(self.l4_sum.val().get_bits::<13>(3)) << 3)
            | bit_cast::<16, 3>(self.l4_low.val());
        self.ip_checksum.next = !self.ip_folded.val();
        self.l4_inverted.next = !self.l4_folded.val();
        // A UDP checksum that comes out as zero is sent as all ones (RFC 768).
        self.l4_checksum.next = self.l4_inverted.val();
        if self.ruling.val().udp & self.sums.val().zero_l4 {
            self.l4_checksum.next = self.ones.val();
        }

        self.translates.next =
            self.ruling.val().translate_source | self.ruling.val().translate_destination;
        self.fresh.next = self.nothing.val();
        self.changed.next = self.nothing.val();
        self.fresh.next.ip_checksum = self.ip_checksum.val();
        self.fresh.next.source = self.ruling.val().address;
        self.fresh.next.destination = self.ruling.val().address;
        self.fresh.next.sport = self.ruling.val().l4_port;
        self.fresh.next.dport = self.ruling.val().l4_port;
        self.fresh.next.identifier = self.ruling.val().l4_port;
        self.fresh.next.udp_checksum = self.l4_checksum.val();
        self.fresh.next.tcp_checksum = self.l4_checksum.val();
        if self.ruling.val().icmp {
            self.fresh.next.dport = self.l4_checksum.val();
        }
        if self.translates.val() {
            self.changed.next.ip_checksum = self.ones.val();
            if self.ruling.val().icmp {
                self.changed.next.identifier = self.ones.val();
                self.changed.next.dport = self.ones.val();
            }
            if self.ruling.val().tcp {
                self.changed.next.tcp_checksum = self.ones.val();
            }
            if self.ruling.val().udp & (!self.sums.val().keep_l4) {
                self.changed.next.udp_checksum = self.ones.val();
            }
        }
        if self.ruling.val().translate_source {
            self.changed.next.source = self.ones_address.val();
            if self.ruling.val().tcp | self.ruling.val().udp {
                self.changed.next.sport = self.ones.val();
            }
        }
        if self.ruling.val().translate_destination {
            self.changed.next.destination = self.ones_address.val();
            if self.ruling.val().tcp | self.ruling.val().udp {
                self.changed.next.dport = self.ones.val();
            }
        }
        self.fields.next = self.fresh.val().into();
        self.changed_bits.next = self.changed.val().into();
        self.destination_mac.next = self.ruling.val().destination_mac;
        self.source_mac.next = self.ruling.val().source_mac;
        self.vid.next = self.ruling.val().vid;
        self.macs.next = (bit_cast::<96, 48>(self.destination_mac.val()) << 48)
            | bit_cast::<96, 48>(self.source_mac.val());
        self.l2_mask.next = self.no_mask.val();
        self.vlan_mask.next = self.no_mask.val();
        if self.ruling.val().rewrite {
            self.l2_mask.next = self.macs_mask.val();
            self.vlan_mask.next = self.macs_mask.val() | self.vid_mask.val();
        }
        self.new_bits.next = self.fields.val() & self.changed_bits.val();
        self.plain_mask.next =
            self.l2_mask.val() | (bit_cast::<512, 320>(self.changed_bits.val()) << 80);
        self.plain.next = ((bit_cast::<512, 96>(self.macs.val()) << 416) & self.l2_mask.val())
            | (bit_cast::<512, 320>(self.new_bits.val()) << 80);
        self.shifted_mask.next =
            self.vlan_mask.val() | (bit_cast::<512, 320>(self.changed_bits.val()) << 48);
        self.shifted.next = (((bit_cast::<512, 96>(self.macs.val()) << 416)
            | (bit_cast::<512, 12>(self.vid.val()) << 384))
            & self.vlan_mask.val())
            | (bit_cast::<512, 320>(self.new_bits.val()) << 48);
    }
}

/// A constant with `width` ones from bit `low`.
fn ones(low: usize, width: usize) -> Constant<Bits<512>> {
    let mut mask = Bits::<512>::default();
    for bit in low..low + width {
        mask = mask.replace_bit(bit, true);
    }
    Constant::new(mask)
}
