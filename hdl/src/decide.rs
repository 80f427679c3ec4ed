//! The verdict: joins what the lookups said with next hop and egress interface.
//!
//! One [`Judged`] packet in; its [`Ruling`] and [`Sums`] out, and one event with its metadata. Latency three
//! clocks (two of them the adjacency RAM), one packet every clock. Follows `CONTRACT.md` steps 17 to 22. Costs
//! about 700 LUTs, 1 200 flip-flops.
//!
//! ```text
//! judged ─► │ adjacency RAM │ ─► interface, verdict ─► skid buffer ─► ruling
//!        └► │   checksum    │ ─► sums ──────────────► skid buffer ─► sums
//! ```

use layout::csr::CONTROL_DROP_NOT_SYN;
use layout::desc::{HOST_PORT, NO_ACE, Reason, Verdict};
use layout::table::INTERFACES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::adjacency::Adjacencies;
use crate::checksum::Checksum;
use crate::parser::code;
use crate::record::{Action, Judged, Key, Metadata, Ruling, Sums};
use crate::skid::Skid;

/// The stage; see the module's text.
#[derive(LogicBlock)]
pub struct Decide {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// `CONTROL`.
    pub control: Signal<In, Bits<32>>,
    /// Packed `Interface` entries.
    pub interface: [Signal<In, Bits<64>>; INTERFACES],
    /// A looked-up packet.
    pub in_data: Signal<In, Judged>,
    /// It is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken; a register.
    pub in_ready: Signal<Out, Bit>,
    /// What becomes of it.
    pub out_ruling: Signal<Out, Ruling>,
    /// Its new checksums.
    pub out_sums: Signal<Out, Sums>,
    /// A ruling is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    /// A verdict was given, high for one clock a frame.
    pub ruled: Signal<Out, Bit>,
    /// Its packed `Metadata`, length zero.
    pub event_metadata: Signal<Out, Bits<76>>,
    /// Adjacency table port, as in [`Adjacencies`].
    pub table_valid: Signal<In, Bit>,
    /// `Operation`.
    pub table_op: Signal<In, Bits<2>>,
    /// Entry.
    pub table_index: Signal<In, Bits<13>>,
    /// New entry.
    pub table_data: Signal<In, Bits<256>>,
    /// Done.
    pub table_done: Signal<Out, Bit>,
    /// Entry read.
    pub table_read: Signal<Out, Bits<256>>,
    adjacencies: Adjacencies,
    checksum: Checksum,
    verdict: Rule,
    rulings: Skid<Ruling>,
    sums: Skid<Sums>,
    split: SplitJudged,
    first: DFF<Judged>,
    first_valid: DFF<Bit>,
    second: DFF<Judged>,
    second_valid: DFF<Bit>,
    told: DFF<Bit>,
    told_metadata: DFF<Bits<76>>,
}

impl Default for Decide {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            control: Signal::default(),
            interface: std::array::from_fn(|_| Default::default()),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_ruling: Signal::default(),
            out_sums: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            ruled: Signal::default(),
            event_metadata: Signal::default(),
            table_valid: Signal::default(),
            table_op: Signal::default(),
            table_index: Signal::default(),
            table_data: Signal::default(),
            table_done: Signal::default(),
            table_read: Signal::default(),
            adjacencies: Adjacencies::default(),
            checksum: Checksum::default(),
            verdict: Rule::default(),
            rulings: Skid::default(),
            sums: Skid::default(),
            split: SplitJudged::default(),
            first: DFF::default(),
            first_valid: DFF::default(),
            second: DFF::default(),
            second_valid: DFF::default(),
            told: DFF::default(),
            told_metadata: DFF::default(),
        }
    }
}

impl Logic for Decide {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            first,
            first_valid,
            second,
            second_valid,
            told,
            told_metadata
        );
        clock!(self, clock, adjacencies, checksum, rulings, sums);
        self.in_ready.next = self.rulings.in_ready.val();
        self.split.packet.next = self.in_data.val();
        self.adjacencies.enable.next = self.rulings.in_ready.val();
        self.adjacencies.index.next = self.split.action.val().adjacency;
        self.adjacencies.table_valid.next = self.table_valid.val();
        self.adjacencies.table_op.next = self.table_op.val();
        self.adjacencies.table_index.next = self.table_index.val();
        self.adjacencies.table_data.next = self.table_data.val();
        self.table_done.next = self.adjacencies.table_done.val();
        self.table_read.next = self.adjacencies.table_read.val();
        self.checksum.go.next = self.rulings.in_ready.val();
        self.checksum.packet.next = self.in_data.val();
        self.checksum.key.next = self.split.key.val();
        self.checksum.action.next = self.split.action.val();
        if self.rulings.in_ready.val() {
            self.first.d.next = self.in_data.val();
            self.first_valid.d.next = self.in_valid.val();
            self.second.d.next = self.first.q.val();
            self.second_valid.d.next = self.first_valid.q.val();
        }

        self.verdict.control.next = self.control.val();
        for i in 0..8 {
            self.verdict.interface[i].next = self.interface[i].val();
        }
        self.verdict.packet.next = self.second.q.val();
        self.verdict.adjacency.next = self.adjacencies.entry.val();
        self.rulings.in_data.next = self.verdict.ruling.val();
        self.rulings.in_valid.next = self.second_valid.q.val();
        self.rulings.out_ready.next = self.out_ready.val();
        self.sums.in_data.next = self.checksum.sums.val();
        self.sums.in_valid.next = self.second_valid.q.val();
        self.sums.out_ready.next = self.out_ready.val();
        self.out_ruling.next = self.rulings.out_data.val();
        self.out_sums.next = self.sums.out_data.val();
        self.out_valid.next = self.rulings.out_valid.val();

        self.told.d.next = self.second_valid.q.val() & self.rulings.in_ready.val();
        self.told_metadata.d.next = self.verdict.ruling.val().metadata;
        self.ruled.next = self.told.q.val();
        self.event_metadata.next = self.told_metadata.q.val();
    }
}

/// Key and action of a packet as fields: wires.
#[derive(LogicBlock, Default)]
pub struct SplitJudged {
    /// The packet.
    pub packet: Signal<In, Judged>,
    /// Its key.
    pub key: Signal<Out, Key>,
    /// Its action.
    pub action: Signal<Out, Action>,
    key_bits: Signal<Local, Bits<108>>,
    action_bits: Signal<Local, Bits<60>>,
}

impl Logic for SplitJudged {
    #[hdl_gen]
    fn update(&mut self) {
        self.key_bits.next = self.packet.val().key;
        self.key.next.dport = self.key_bits.val().get_bits::<16>(0);
        self.key.next.sport = self.key_bits.val().get_bits::<16>(16);
        self.key.next.dst = self.key_bits.val().get_bits::<32>(32);
        self.key.next.src = self.key_bits.val().get_bits::<32>(64);
        self.key.next.proto = self.key_bits.val().get_bits::<8>(96);
        self.key.next.interface = self.key_bits.val().get_bits::<4>(104);
        self.action_bits.next = self.packet.val().action;
        self.action.next.valid = self.action_bits.val().get_bit(0);
        self.action.next.punt = self.action_bits.val().get_bit(1);
        self.action.next.translate_source = self.action_bits.val().get_bit(2);
        self.action.next.translate_destination = self.action_bits.val().get_bit(3);
        self.action.next.adjacency = self.action_bits.val().get_bits::<8>(4);
        self.action.next.l4_port = self.action_bits.val().get_bits::<16>(12);
        self.action.next.address = self.action_bits.val().get_bits::<32>(28);
    }
}

/// Reason, verdict and new header fields of one packet; no registers.
#[derive(LogicBlock)]
pub struct Rule {
    /// `CONTROL`.
    pub control: Signal<In, Bits<32>>,
    /// Packed `Interface` entries.
    pub interface: [Signal<In, Bits<64>>; INTERFACES],
    /// The packet.
    pub packet: Signal<In, Judged>,
    /// Packed `Adjacency` of its action.
    pub adjacency: Signal<In, Bits<53>>,
    /// What becomes of it.
    pub ruling: Signal<Out, Ruling>,
    split: SplitJudged,
    action: Signal<Local, Action>,
    hop: Signal<Local, Bits<53>>,
    hop_interface: Signal<Local, Bits<4>>,
    egress: Signal<Local, Bits<64>>,
    ingress: Signal<Local, Bits<2>>,
    usable: Signal<Local, Bit>,
    direct: Signal<Local, Bit>,
    hit: Signal<Local, Bit>,
    has_tag: Signal<Local, Bit>,
    not_syn: Signal<Local, Bit>,
    ace: Signal<Local, Bits<12>>,
    hit_reason: Signal<Local, Bits<6>>,
    miss_reason: Signal<Local, Bits<6>>,
    reason: Signal<Local, Bits<6>>,
    forwards: Signal<Local, Bits<64>>,
    drops: Signal<Local, Bits<64>>,
    verdict: Signal<Local, Bits<2>>,
    rewrites: Signal<Local, Bit>,
    metadata: Signal<Local, Metadata>,
    no_length: Constant<Bits<16>>,
    no_entry: Constant<Bits<64>>,
    number: [Constant<Bits<4>>; INTERFACES],
    no_ace: Constant<Bits<12>>,
    host_port: Constant<Bits<2>>,
    drop_not_syn_bit: Constant<Bits<5>>,
    forward: Constant<Bits<2>>,
    drop_code: Constant<Bits<2>>,
    punt: Constant<Bits<2>>,
    /// Bit n: the reason with code n has this verdict.
    forward_map: Constant<Bits<64>>,
    drop_map: Constant<Bits<64>>,
    flow_hit: Constant<Bits<6>>,
    flow_punt: Constant<Bits<6>>,
    no_adjacency: Constant<Bits<6>>,
    policy_hold: Constant<Bits<6>>,
    local_code: Constant<Bits<6>>,
    acl_implicit_deny: Constant<Bits<6>>,
    acl_deny: Constant<Bits<6>>,
    tcp_not_syn: Constant<Bits<6>>,
    flow_miss: Constant<Bits<6>>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            control: Signal::default(),
            interface: std::array::from_fn(|_| Default::default()),
            packet: Signal::default(),
            adjacency: Signal::default(),
            ruling: Signal::default(),
            split: SplitJudged::default(),
            action: Signal::default(),
            hop: Signal::default(),
            hop_interface: Signal::default(),
            egress: Signal::default(),
            ingress: Signal::default(),
            usable: Signal::default(),
            direct: Signal::default(),
            hit: Signal::default(),
            has_tag: Signal::default(),
            not_syn: Signal::default(),
            ace: Signal::default(),
            hit_reason: Signal::default(),
            miss_reason: Signal::default(),
            reason: Signal::default(),
            forwards: Signal::default(),
            drops: Signal::default(),
            verdict: Signal::default(),
            rewrites: Signal::default(),
            metadata: Signal::default(),
            no_length: Constant::new(0.into()),
            no_entry: Constant::new(0.into()),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            no_ace: Constant::new((NO_ACE as u64).to_bits()),
            host_port: Constant::new((HOST_PORT as u64).to_bits()),
            drop_not_syn_bit: Constant::new(
                (CONTROL_DROP_NOT_SYN.trailing_zeros() as u64).to_bits(),
            ),
            forward: Constant::new((Verdict::Forward as u64).to_bits()),
            drop_code: Constant::new((Verdict::Drop as u64).to_bits()),
            punt: Constant::new((Verdict::Punt as u64).to_bits()),
            forward_map: reasons_of(Verdict::Forward),
            drop_map: reasons_of(Verdict::Drop),
            flow_hit: code(Reason::FlowHit),
            flow_punt: code(Reason::FlowPunt),
            no_adjacency: code(Reason::NoAdjacency),
            policy_hold: code(Reason::PolicyHold),
            local_code: code(Reason::Local),
            acl_implicit_deny: code(Reason::AclImplicitDeny),
            acl_deny: code(Reason::AclDeny),
            tcp_not_syn: code(Reason::TcpNotSyn),
            flow_miss: code(Reason::FlowMiss),
        }
    }
}

impl Logic for Rule {
    #[hdl_gen]
    fn update(&mut self) {
        self.split.packet.next = self.packet.val();
        self.action.next = self.split.action.val();
        self.direct.next = self.packet.val().direct;
        self.has_tag.next = self.packet.val().tagged;
        self.hit.next = self.packet.val().hit & (!self.packet.val().decided);

        // Adjacency: valid, interface 1..5, mac 5..53. Interface: valid, port 1..3, tagged 3, vid 4..16, mac 16..64.
        self.hop.next = self.adjacency.val();
        self.hop_interface.next = self.hop.val().get_bits::<4>(1);
        self.egress.next = self.no_entry.val();
        for i in 0..8 {
            if self.hop_interface.val() == self.number[i].val() {
                self.egress.next = self.interface[i].val();
            }
        }
        self.usable.next = self.hop.val().get_bit(0) & self.egress.val().get_bit(0);

        // In both chains the step that comes first in the contract is written last, and wins.
        self.hit_reason.next = self.flow_hit.val();
        if self.egress.val().get_bit(3) != self.has_tag.val() {
            self.hit_reason.next = self.flow_punt.val();
        }
        if !self.usable.val() {
            self.hit_reason.next = self.no_adjacency.val();
        }
        if self.action.val().punt {
            self.hit_reason.next = self.flow_punt.val();
        }

        self.ace.next = self.packet.val().ace;
        self.not_syn.next = self.packet.val().tcp
            & self
                .control
                .val()
                .get_bit(self.drop_not_syn_bit.val().index())
            & ((!self.packet.val().syn)
                | self.packet.val().ack
                | self.packet.val().rst
                | self.packet.val().fin);
        self.miss_reason.next = self.flow_miss.val();
        if self.not_syn.val() {
            self.miss_reason.next = self.tcp_not_syn.val();
        }
        if !self.packet.val().permit {
            self.miss_reason.next = self.acl_deny.val();
        }
        if self.ace.val() == self.no_ace.val() {
            self.miss_reason.next = self.acl_implicit_deny.val();
        }
        if self.packet.val().local {
            self.miss_reason.next = self.local_code.val();
        }
        if self.packet.val().hold {
            self.miss_reason.next = self.policy_hold.val();
        }

        if self.packet.val().decided {
            self.reason.next = self.packet.val().reason;
        } else if self.hit.val() {
            self.reason.next = self.hit_reason.val();
        } else {
            self.reason.next = self.miss_reason.val();
        }
        self.forwards.next = self.forward_map.val();
        self.drops.next = self.drop_map.val();
        if self.forwards.val().get_bit(self.reason.val().index()) {
            self.verdict.next = self.forward.val();
        } else if self.drops.val().get_bit(self.reason.val().index()) {
            self.verdict.next = self.drop_code.val();
        } else {
            self.verdict.next = self.punt.val();
        }
        self.rewrites.next = self.hit.val() & (self.hit_reason.val() == self.flow_hit.val());

        self.metadata.next.length = self.no_length.val();
        self.metadata.next.port = self.packet.val().port;
        if self.direct.val() {
            self.metadata.next.port = self.host_port.val();
        }
        self.metadata.next.reinjected = self.packet.val().reinjected;
        self.metadata.next.tagged = self.has_tag.val();
        self.metadata.next.interface = self.packet.val().interface;
        self.metadata.next.reason = self.reason.val();
        self.metadata.next.verdict = self.verdict.val();
        self.metadata.next.generation = self.packet.val().generation;
        self.metadata.next.ace = self.ace.val();
        self.metadata.next.destination = self.packet.val().destination;
        self.metadata.next.flow = self.packet.val().flow;
        self.metadata.next.queue = self.packet.val().queue;

        self.ruling.next.verdict = self.verdict.val();
        self.ruling.next.reason = self.reason.val();
        self.ingress.next = self.packet.val().port;
        if self.direct.val() {
            self.ruling.next.egress = self.ingress.val().get_bits::<1>(0);
        } else {
            self.ruling.next.egress = self.egress.val().get_bits::<1>(1);
        }
        self.ruling.next.metadata = self.metadata.val().into();
        self.ruling.next.flow = self.packet.val().flow;
        self.ruling.next.counts = self.hit.val();
        self.ruling.next.fin = self.packet.val().fin;
        self.ruling.next.rst = self.packet.val().rst;
        self.ruling.next.rewrite = self.rewrites.val();
        self.ruling.next.tagged = self.has_tag.val();
        self.ruling.next.destination_mac = self.hop.val().get_bits::<48>(5);
        self.ruling.next.source_mac = self.egress.val().get_bits::<48>(16);
        self.ruling.next.vid = self.egress.val().get_bits::<12>(4);
        self.ruling.next.translate_source = self.action.val().translate_source;
        // Both at once is not allowed in an entry; then only the source changes.
        self.ruling.next.translate_destination =
            self.action.val().translate_destination & (!self.action.val().translate_source);
        self.ruling.next.address = self.action.val().address;
        self.ruling.next.l4_port = self.action.val().l4_port;
        self.ruling.next.tcp = self.packet.val().tcp;
        self.ruling.next.udp = self.packet.val().udp;
        self.ruling.next.icmp = self.packet.val().icmp;
    }
}

/// Bit n is set when the reason with code n has this verdict.
fn reasons_of(verdict: Verdict) -> Constant<Bits<64>> {
    let map = Reason::ALL
        .iter()
        .filter(|reason| reason.verdict() == verdict)
        .fold(0_u64, |map, &reason| map | 1 << reason as u8);
    Constant::new(map.to_bits())
}
