//! First stage of the parser: finds the tag, aligns the bytes at the IPv4 header, compares the interfaces.

use layout::csr::{CONTROL_ENABLE, CONTROL_PROMISCUOUS};
use layout::table::INTERFACES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::{Aligned, Origin, VLAN_ETHERTYPE, Window};

/// First stage: finds the tag, aligns 40 bytes at the IPv4 header, compares the interfaces.
#[derive(LogicBlock)]
pub struct Align {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The pipeline moves.
    pub go: Signal<In, Bit>,
    /// `CONTROL`.
    pub control: Signal<In, Bits<32>>,
    /// Packed `Interface` entries.
    pub interface: [Signal<In, Bits<64>>; INTERFACES],
    /// First bytes of a frame.
    pub window: Signal<In, Window>,
    /// A window is there.
    pub valid: Signal<In, Bit>,
    /// Findings.
    pub aligned: Signal<Out, Aligned>,
    /// 40 bytes from the IPv4 header on, the first on top.
    pub packet: Signal<Out, Bits<320>>,
    /// They are valid.
    pub aligned_valid: Signal<Out, Bit>,
    findings: DFF<Aligned>,
    bytes: DFF<Bits<320>>,
    full: DFF<Bit>,
    header: Signal<Local, Bits<512>>,
    count: Signal<Local, Bits<7>>,
    origin: Signal<Local, Origin>,
    port: Signal<Local, Bits<2>>,
    has_tag: Signal<Local, Bit>,
    mac: Signal<Local, Bits<48>>,
    vid: Signal<Local, Bits<12>>,
    entry: [Signal<Local, Bits<64>>; INTERFACES],
    same_vlan: [Signal<Local, Bit>; INTERFACES],
    hit: [Signal<Local, Bits<8>>; INTERFACES],
    hits: Signal<Local, Bits<8>>,
    mac_hit: [Signal<Local, Bits<8>>; INTERFACES],
    mac_hits: Signal<Local, Bits<8>>,
    after_l2: Signal<Local, Bits<7>>,
    /// Sums of the 16-bit words at bytes 14 and 16, 18 and 20, … 34 and 36.
    pair: [Signal<Local, Bits<17>>; 6],
    word: [Signal<Local, Bits<16>>; 12],
    four_low: Signal<Local, Bits<18>>,
    four_high: Signal<Local, Bits<18>>,
    vlan_ethertype: Constant<Bits<16>>,
    l2_bytes: Constant<Bits<7>>,
    tagged_l2_bytes: Constant<Bits<7>>,
    one_hot: [Constant<Bits<8>>; INTERFACES],
    none: Constant<Bits<8>>,
    enable_bit: Constant<Bits<5>>,
    promiscuous_bit: Constant<Bits<5>>,
}

impl Default for Align {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            go: Signal::default(),
            control: Signal::default(),
            interface: std::array::from_fn(|_| Default::default()),
            window: Signal::default(),
            valid: Signal::default(),
            aligned: Signal::default(),
            packet: Signal::default(),
            aligned_valid: Signal::default(),
            findings: DFF::default(),
            bytes: DFF::default(),
            full: DFF::default(),
            header: Signal::default(),
            count: Signal::default(),
            origin: Signal::default(),
            port: Signal::default(),
            has_tag: Signal::default(),
            mac: Signal::default(),
            vid: Signal::default(),
            entry: std::array::from_fn(|_| Default::default()),
            same_vlan: std::array::from_fn(|_| Default::default()),
            hit: std::array::from_fn(|_| Default::default()),
            hits: Signal::default(),
            mac_hit: std::array::from_fn(|_| Default::default()),
            mac_hits: Signal::default(),
            after_l2: Signal::default(),
            pair: std::array::from_fn(|_| Default::default()),
            word: std::array::from_fn(|_| Default::default()),
            four_low: Signal::default(),
            four_high: Signal::default(),
            vlan_ethertype: Constant::new(VLAN_ETHERTYPE.to_bits()),
            l2_bytes: Constant::new(14_u64.to_bits()),
            tagged_l2_bytes: Constant::new(18_u64.to_bits()),
            one_hot: std::array::from_fn(|i| Constant::new((1_u64 << i).to_bits())),
            none: Constant::new(0.into()),
            enable_bit: Constant::new((CONTROL_ENABLE.trailing_zeros() as u64).to_bits()),
            promiscuous_bit: Constant::new((CONTROL_PROMISCUOUS.trailing_zeros() as u64).to_bits()),
        }
    }
}

impl Logic for Align {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, findings, bytes, full);
        self.header.next = self.window.val().header;
        self.count.next = self.window.val().count;
        self.origin.next = self.window.val().origin;
        self.port.next = self.origin.val().port;
        self.mac.next = self.header.val().get_bits::<48>(464);
        self.vid.next = self.header.val().get_bits::<12>(384);
        self.has_tag.next = (self.count.val() >= self.l2_bytes.val())
            & (self.header.val().get_bits::<16>(400) == self.vlan_ethertype.val());

        // Entry: valid, port 1..3, tagged 3, vid 4..16, mac 16..64.
        for i in 0..8 {
            self.entry[i].next = self.interface[i].val();
            self.same_vlan[i].next = (self.entry[i].val().get_bit(3) == self.has_tag.val())
                & ((!self.has_tag.val())
                    | (self.entry[i].val().get_bits::<12>(4) == self.vid.val()));
            self.hit[i].next = self.none.val();
            if self.entry[i].val().get_bit(0)
                & self.same_vlan[i].val()
                & (self.entry[i].val().get_bits::<2>(1) == self.port.val())
            {
                self.hit[i].next = self.one_hot[i].val();
            }
            self.mac_hit[i].next = self.none.val();
            if self.entry[i].val().get_bits::<48>(16) == self.mac.val() {
                self.mac_hit[i].next = self.one_hot[i].val();
            }
        }
        self.hits.next = (self.hit[0].val() | self.hit[1].val())
            | (self.hit[2].val() | self.hit[3].val())
            | (self.hit[4].val() | self.hit[5].val())
            | (self.hit[6].val() | self.hit[7].val());
        self.mac_hits.next = (self.mac_hit[0].val() | self.mac_hit[1].val())
            | (self.mac_hit[2].val() | self.mac_hit[3].val())
            | (self.mac_hit[4].val() | self.mac_hit[5].val())
            | (self.mac_hit[6].val() | self.mac_hit[7].val());

        // An untagged header is words 0..10 here, a tagged one words 2..12: four pairs serve both.
        for i in 0..12 {
            self.word[i].next = self.header.val().get_bits::<16>(384 - (i * 16));
        }
        self.pair[0].next =
            bit_cast::<17, 16>(self.word[0].val()) + bit_cast::<17, 16>(self.word[1].val());
        self.pair[1].next =
            bit_cast::<17, 16>(self.word[2].val()) + bit_cast::<17, 16>(self.word[3].val());
        self.pair[2].next =
            bit_cast::<17, 16>(self.word[4].val()) + bit_cast::<17, 16>(self.word[5].val());
        self.pair[3].next =
            bit_cast::<17, 16>(self.word[6].val()) + bit_cast::<17, 16>(self.word[7].val());
        self.pair[4].next =
            bit_cast::<17, 16>(self.word[8].val()) + bit_cast::<17, 16>(self.word[9].val());
        self.pair[5].next =
            bit_cast::<17, 16>(self.word[10].val()) + bit_cast::<17, 16>(self.word[11].val());
        self.four_low.next =
            bit_cast::<18, 17>(self.pair[1].val()) + bit_cast::<18, 17>(self.pair[2].val());
        self.four_high.next =
            bit_cast::<18, 17>(self.pair[3].val()) + bit_cast::<18, 17>(self.pair[4].val());

        self.after_l2.next = self.count.val() - self.l2_bytes.val();
        if self.has_tag.val() {
            self.after_l2.next = self.count.val() - self.tagged_l2_bytes.val();
        }
        if self.go.val() {
            self.full.d.next = self.valid.val();
            self.findings.d.next.enable = self.control.val().get_bit(self.enable_bit.val().index());
            self.findings.d.next.promiscuous = self
                .control
                .val()
                .get_bit(self.promiscuous_bit.val().index());
            self.findings.d.next.available = self.after_l2.val();
            self.findings.d.next.runt = (self.count.val() < self.l2_bytes.val())
                | (self.has_tag.val() & (self.count.val() < self.tagged_l2_bytes.val()));
            self.findings.d.next.tagged = self.has_tag.val();
            self.findings.d.next.group = self.mac.val().get_bit(40);
            self.findings.d.next.interfaces = self.hits.val();
            self.findings.d.next.macs = self.mac_hits.val();
            self.findings.d.next.sum_low = self.four_low.val();
            self.findings.d.next.sum_high = self.four_high.val();
            self.findings.d.next.port = self.port.val();
            self.findings.d.next.reinjected = self.origin.val().reinjected;
            self.findings.d.next.direct = self.origin.val().direct;
            if self.has_tag.val() {
                self.findings.d.next.ethertype = self.header.val().get_bits::<16>(368);
                self.findings.d.next.sum_end = self.pair[5].val();
                self.bytes.d.next = self.header.val().get_bits::<320>(48);
            } else {
                self.findings.d.next.ethertype = self.header.val().get_bits::<16>(400);
                self.findings.d.next.sum_end = self.pair[0].val();
                self.bytes.d.next = self.header.val().get_bits::<320>(80);
            }
        }
        self.aligned.next = self.findings.q.val();
        self.packet.next = self.bytes.q.val();
        self.aligned_valid.next = self.full.q.val();
    }
}
