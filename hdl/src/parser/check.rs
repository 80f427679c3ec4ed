//! Second stage of the parser: every check of the contract, and the key.

use layout::desc::{NO_INTERFACE, Reason};
use layout::table::INTERFACES;
use rust_hdl_core::prelude::*;

use super::code;
use crate::record::{Aligned, Header, Key};

/// Second stage, without registers: every check of the contract, and the key.
#[derive(LogicBlock)]
pub struct Check {
    /// Findings of the first stage.
    pub aligned: Signal<In, Aligned>,
    /// 40 bytes from the IPv4 header on, the first on top.
    pub packet: Signal<In, Bits<320>>,
    /// The result.
    pub header: Signal<Out, Header>,
    available: Signal<Local, Bits<7>>,
    ethertype: Signal<Local, Bits<16>>,
    version: Signal<Local, Bits<4>>,
    ihl: Signal<Local, Bits<4>>,
    header_bytes: Signal<Local, Bits<16>>,
    total: Signal<Local, Bits<16>>,
    fragment: Signal<Local, Bits<14>>,
    ttl: Signal<Local, Bits<8>>,
    proto: Signal<Local, Bits<8>>,
    src: Signal<Local, Bits<32>>,
    dst: Signal<Local, Bits<32>>,
    icmp_type: Signal<Local, Bits<8>>,
    tcp: Signal<Local, Bit>,
    udp: Signal<Local, Bit>,
    icmp: Signal<Local, Bit>,
    sport: Signal<Local, Bits<16>>,
    dport: Signal<Local, Bits<16>>,
    l4_checksum: Signal<Local, Bits<16>>,
    interfaces: Signal<Local, Bits<8>>,
    macs: Signal<Local, Bits<8>>,
    lowest: Signal<Local, Bits<4>>,
    our_mac: Signal<Local, Bit>,
    sum_low: Signal<Local, Bits<20>>,
    sum_high: Signal<Local, Bits<20>>,
    sum_end: Signal<Local, Bits<20>>,
    sum_bits: Signal<Local, Bits<20>>,
    sum_majority: Signal<Local, Bits<20>>,
    sum_twice: Signal<Local, Bits<20>>,
    sum: Signal<Local, Bits<20>>,
    summed: Signal<Local, Bit>,
    direct: Signal<Local, Bit>,
    disabled: Signal<Local, Bit>,
    runt: Signal<Local, Bit>,
    /// Verdict of the checks up to the IPv4 header, and of those behind it.
    l2_decided: Signal<Local, Bit>,
    l2_reason: Signal<Local, Bits<6>>,
    ip_decided: Signal<Local, Bit>,
    ip_reason: Signal<Local, Bits<6>>,
    l4_decided: Signal<Local, Bit>,
    l4_reason: Signal<Local, Bits<6>>,
    decided: Signal<Local, Bit>,
    reason: Signal<Local, Bits<6>>,
    key: Signal<Local, Key>,
    known: Signal<Local, Bits<4>>,
    has_tag: Signal<Local, Bit>,
    no_interface: Constant<Bits<4>>,
    number: [Constant<Bits<4>>; INTERFACES],
    zero16: Constant<Bits<16>>,
    zero6: Constant<Bits<6>>,
    arp: Constant<Bits<16>>,
    ipv4: Constant<Bits<16>>,
    version_4: Constant<Bits<4>>,
    words_5: Constant<Bits<4>>,
    ttl_1: Constant<Bits<8>>,
    multicast: Constant<Bits<32>>,
    bytes_20: Constant<Bits<7>>,
    bytes_28: Constant<Bits<7>>,
    bytes_40: Constant<Bits<7>>,
    total_28: Constant<Bits<16>>,
    total_40: Constant<Bits<16>>,
    proto_icmp: Constant<Bits<8>>,
    proto_tcp: Constant<Bits<8>>,
    proto_udp: Constant<Bits<8>>,
    /// Bit n: ICMP type n is an error message.
    icmp_errors: Constant<Bits<32>>,
    icmp_error_map: Signal<Local, Bits<32>>,
    icmp_low: Signal<Local, Bits<5>>,
    icmp_error: Signal<Local, Bit>,
    host_inject: Constant<Bits<6>>,
    disabled_code: Constant<Bits<6>>,
    runt_code: Constant<Bits<6>>,
    no_interface_code: Constant<Bits<6>>,
    not_our_mac: Constant<Bits<6>>,
    arp_code: Constant<Bits<6>>,
    non_ip: Constant<Bits<6>>,
    truncated_ip: Constant<Bits<6>>,
    bad_ip_header: Constant<Bits<6>>,
    bad_source: Constant<Bits<6>>,
    land: Constant<Bits<6>>,
    ip_options: Constant<Bits<6>>,
    fragment_code: Constant<Bits<6>>,
    ttl_expired: Constant<Bits<6>>,
    truncated_l4: Constant<Bits<6>>,
    bad_tcp_header: Constant<Bits<6>>,
    icmp_error_code: Constant<Bits<6>>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            aligned: Signal::default(),
            packet: Signal::default(),
            header: Signal::default(),
            available: Signal::default(),
            ethertype: Signal::default(),
            version: Signal::default(),
            ihl: Signal::default(),
            header_bytes: Signal::default(),
            total: Signal::default(),
            fragment: Signal::default(),
            ttl: Signal::default(),
            proto: Signal::default(),
            src: Signal::default(),
            dst: Signal::default(),
            icmp_type: Signal::default(),
            tcp: Signal::default(),
            udp: Signal::default(),
            icmp: Signal::default(),
            sport: Signal::default(),
            dport: Signal::default(),
            l4_checksum: Signal::default(),
            interfaces: Signal::default(),
            macs: Signal::default(),
            lowest: Signal::default(),
            our_mac: Signal::default(),
            sum_low: Signal::default(),
            sum_high: Signal::default(),
            sum_end: Signal::default(),
            sum_bits: Signal::default(),
            sum_majority: Signal::default(),
            sum_twice: Signal::default(),
            sum: Signal::default(),
            summed: Signal::default(),
            direct: Signal::default(),
            disabled: Signal::default(),
            runt: Signal::default(),
            l2_decided: Signal::default(),
            l2_reason: Signal::default(),
            ip_decided: Signal::default(),
            ip_reason: Signal::default(),
            l4_decided: Signal::default(),
            l4_reason: Signal::default(),
            decided: Signal::default(),
            reason: Signal::default(),
            key: Signal::default(),
            known: Signal::default(),
            has_tag: Signal::default(),
            no_interface: Constant::new((NO_INTERFACE as u64).to_bits()),
            number: std::array::from_fn(|i| Constant::new((7 - i as u64).to_bits())),
            zero16: Constant::new(0.into()),
            zero6: Constant::new(0.into()),
            arp: Constant::new(0x0806_u64.to_bits()),
            ipv4: Constant::new(0x0800_u64.to_bits()),
            version_4: Constant::new(4_u64.to_bits()),
            words_5: Constant::new(5_u64.to_bits()),
            ttl_1: Constant::new(1_u64.to_bits()),
            multicast: Constant::new(0xe000_0000_u64.to_bits()),
            bytes_20: Constant::new(20_u64.to_bits()),
            bytes_28: Constant::new(28_u64.to_bits()),
            bytes_40: Constant::new(40_u64.to_bits()),
            total_28: Constant::new(28_u64.to_bits()),
            total_40: Constant::new(40_u64.to_bits()),
            proto_icmp: Constant::new(1_u64.to_bits()),
            proto_tcp: Constant::new(6_u64.to_bits()),
            proto_udp: Constant::new(17_u64.to_bits()),
            icmp_errors: Constant::new(0b1_1000_0011_1000_u64.to_bits()),
            icmp_error_map: Signal::default(),
            icmp_low: Signal::default(),
            icmp_error: Signal::default(),
            host_inject: code(Reason::HostInject),
            disabled_code: code(Reason::Disabled),
            runt_code: code(Reason::Runt),
            no_interface_code: code(Reason::NoInterface),
            not_our_mac: code(Reason::NotOurMac),
            arp_code: code(Reason::Arp),
            non_ip: code(Reason::NonIp),
            truncated_ip: code(Reason::TruncatedIp),
            bad_ip_header: code(Reason::BadIpHeader),
            bad_source: code(Reason::BadSource),
            land: code(Reason::Land),
            ip_options: code(Reason::IpOptions),
            fragment_code: code(Reason::Fragment),
            ttl_expired: code(Reason::TtlExpired),
            truncated_l4: code(Reason::TruncatedL4),
            bad_tcp_header: code(Reason::BadTcpHeader),
            icmp_error_code: code(Reason::IcmpError),
        }
    }
}

impl Logic for Check {
    #[hdl_gen]
    fn update(&mut self) {
        self.available.next = self.aligned.val().available;
        self.ethertype.next = self.aligned.val().ethertype;
        self.has_tag.next = self.aligned.val().tagged;
        self.version.next = self.packet.val().get_bits::<4>(316);
        self.ihl.next = self.packet.val().get_bits::<4>(312);
        self.header_bytes.next = bit_cast::<16, 4>(self.ihl.val()) << 2;
        self.total.next = self.packet.val().get_bits::<16>(288);
        self.fragment.next = self.packet.val().get_bits::<14>(256);
        self.ttl.next = self.packet.val().get_bits::<8>(248);
        self.proto.next = self.packet.val().get_bits::<8>(240);
        self.src.next = self.packet.val().get_bits::<32>(192);
        self.dst.next = self.packet.val().get_bits::<32>(160);
        self.tcp.next = self.proto.val() == self.proto_tcp.val();
        self.udp.next = self.proto.val() == self.proto_udp.val();
        self.icmp.next = self.proto.val() == self.proto_icmp.val();
        self.icmp_type.next = self.packet.val().get_bits::<8>(152);

        self.sum_low.next = bit_cast::<20, 18>(self.aligned.val().sum_low);
        self.sum_high.next = bit_cast::<20, 18>(self.aligned.val().sum_high);
        self.sum_end.next = bit_cast::<20, 17>(self.aligned.val().sum_end);
        // Three words to two first (carry save), then one adder.
        self.sum_bits.next = (self.sum_low.val() ^ self.sum_high.val()) ^ self.sum_end.val();
        self.sum_majority.next = (self.sum_low.val() & self.sum_high.val())
            | (self.sum_low.val() & self.sum_end.val())
            | (self.sum_high.val() & self.sum_end.val());
        self.sum_twice.next = self.sum_majority.val() << 1;
        self.sum.next = self.sum_bits.val() + self.sum_twice.val();

        // The lowest interface wins: look from the highest down.
        self.interfaces.next = self.aligned.val().interfaces;
        self.macs.next = self.aligned.val().macs;
        self.lowest.next = self.no_interface.val();
        self.our_mac.next = false;
        for i in 0..8 {
            if self.interfaces.val().get_bit(7 - i) {
                self.lowest.next = self.number[i].val();
                self.our_mac.next = self.macs.val().get_bit(7 - i);
            }
        }

        self.direct.next = self.aligned.val().direct;
        self.disabled.next = !self.aligned.val().enable;
        self.runt.next = self.aligned.val().runt;

        // In each group the check that comes first in the contract is written last, and wins.
        self.l2_decided.next = true;
        self.l2_reason.next = self.non_ip.val();
        if self.ethertype.val() == self.ipv4.val() {
            self.l2_decided.next = false;
        }
        if self.ethertype.val() == self.arp.val() {
            self.l2_reason.next = self.arp_code.val();
        }
        if !(self.aligned.val().promiscuous | self.aligned.val().group | self.our_mac.val()) {
            self.l2_decided.next = true;
            self.l2_reason.next = self.not_our_mac.val();
        }
        if !self.interfaces.val().any() {
            self.l2_decided.next = true;
            self.l2_reason.next = self.no_interface_code.val();
        }
        if self.runt.val() {
            self.l2_decided.next = true;
            self.l2_reason.next = self.runt_code.val();
        }
        if self.disabled.val() {
            self.l2_decided.next = true;
            self.l2_reason.next = self.disabled_code.val();
        }
        if self.direct.val() {
            self.l2_decided.next = true;
            self.l2_reason.next = self.host_inject.val();
        }

        self.ip_decided.next = false;
        self.ip_reason.next = self.zero6.val();
        if self.src.val() == self.dst.val() {
            self.ip_decided.next = true;
            self.ip_reason.next = self.land.val();
        }
        if self.src.val() >= self.multicast.val() {
            self.ip_decided.next = true;
            self.ip_reason.next = self.bad_source.val();
        }
        // Here comes the header checksum, which overrides what is above, in the next clock.
        self.summed.next = self.ihl.val() == self.words_5.val();
        if (self.version.val() != self.version_4.val())
            | (self.ihl.val() < self.words_5.val())
            | (self.total.val() < self.header_bytes.val())
        {
            self.ip_decided.next = true;
            self.ip_reason.next = self.bad_ip_header.val();
            self.summed.next = false;
        }
        if self.available.val() < self.bytes_20.val() {
            self.ip_decided.next = true;
            self.ip_reason.next = self.truncated_ip.val();
            self.summed.next = false;
        }

        self.icmp_error_map.next = self.icmp_errors.val();
        self.icmp_low.next = self.icmp_type.val().get_bits::<5>(0);
        self.icmp_error.next = (!self.icmp_type.val().get_bits::<3>(5).any())
            & self
                .icmp_error_map
                .val()
                .get_bit(self.icmp_low.val().index());
        self.l4_decided.next = false;
        self.l4_reason.next = self.zero6.val();
        if self.icmp.val() & self.icmp_error.val() {
            self.l4_decided.next = true;
            self.l4_reason.next = self.icmp_error_code.val();
        }
        if self.tcp.val() & (self.packet.val().get_bits::<4>(60) < self.words_5.val()) {
            self.l4_decided.next = true;
            self.l4_reason.next = self.bad_tcp_header.val();
        }
        if (self.tcp.val()
            & ((self.available.val() < self.bytes_40.val())
                | (self.total.val() < self.total_40.val())))
            | ((self.udp.val() | self.icmp.val())
                & ((self.available.val() < self.bytes_28.val())
                    | (self.total.val() < self.total_28.val())))
        {
            self.l4_decided.next = true;
            self.l4_reason.next = self.truncated_l4.val();
        }
        if self.ttl.val() <= self.ttl_1.val() {
            self.l4_decided.next = true;
            self.l4_reason.next = self.ttl_expired.val();
        }
        if self.fragment.val().any() {
            self.l4_decided.next = true;
            self.l4_reason.next = self.fragment_code.val();
        }
        if self.ihl.val() > self.words_5.val() {
            self.l4_decided.next = true;
            self.l4_reason.next = self.ip_options.val();
        }

        self.decided.next = self.l2_decided.val() | self.ip_decided.val() | self.l4_decided.val();
        if self.l2_decided.val() {
            self.reason.next = self.l2_reason.val();
        } else if self.ip_decided.val() {
            self.reason.next = self.ip_reason.val();
        } else {
            self.reason.next = self.l4_reason.val();
        }

        // ICMP: type and code as destination port, identifier as source port.
        self.sport.next = self.zero16.val();
        self.dport.next = self.zero16.val();
        self.l4_checksum.next = self.zero16.val();
        if self.icmp.val() {
            self.sport.next = self.packet.val().get_bits::<16>(112);
            self.dport.next = self.packet.val().get_bits::<16>(144);
            self.l4_checksum.next = self.packet.val().get_bits::<16>(128);
        }
        if self.tcp.val() | self.udp.val() {
            self.sport.next = self.packet.val().get_bits::<16>(144);
            self.dport.next = self.packet.val().get_bits::<16>(128);
            self.l4_checksum.next = self.packet.val().get_bits::<16>(96);
        }
        if self.tcp.val() {
            self.l4_checksum.next = self.packet.val().get_bits::<16>(16);
        }
        self.known.next = self.lowest.val();
        if self.direct.val() | self.disabled.val() | self.runt.val() {
            self.known.next = self.no_interface.val();
        }
        self.key.next.dport = self.dport.val();
        self.key.next.sport = self.sport.val();
        self.key.next.dst = self.dst.val();
        self.key.next.src = self.src.val();
        self.key.next.proto = self.proto.val();
        self.key.next.interface = self.known.val();

        self.header.next.key = self.key.val().into();
        self.header.next.decided = self.decided.val();
        self.header.next.reason = self.reason.val();
        self.header.next.summed = self.summed.val() & !self.l2_decided.val();
        self.header.next.sum = self.sum.val();
        self.header.next.tcp = self.tcp.val();
        self.header.next.udp = self.udp.val();
        self.header.next.icmp = self.icmp.val();
        self.header.next.fin = self.tcp.val() & self.packet.val().get_bit(48);
        self.header.next.syn = self.tcp.val() & self.packet.val().get_bit(49);
        self.header.next.rst = self.tcp.val() & self.packet.val().get_bit(50);
        self.header.next.ack = self.tcp.val() & self.packet.val().get_bit(52);
        self.header.next.ip_checksum = self.packet.val().get_bits::<16>(224);
        self.header.next.l4_checksum = self.l4_checksum.val();
        self.header.next.tagged = self.has_tag.val() & (!(self.direct.val() | self.disabled.val()));
        self.header.next.port = self.aligned.val().port;
        self.header.next.interface = self.known.val();
        self.header.next.reinjected = self.aligned.val().reinjected;
        self.header.next.direct = self.direct.val();
    }
}
