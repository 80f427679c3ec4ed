//! The core: every block between ports and host, wired up. The only file that knows all of them.

use layout::table::Table;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::acl::Acl;
use crate::adjacency::Interfaces;
use crate::arbiter::Arbiter;
use crate::counters::{Counters, RARE};
use crate::csr::Csr;
use crate::csr::ident::Build;
use crate::decide::Decide;
use crate::destination::Destination;
use crate::flow::Flow;
use crate::inject::Inject;
use crate::packets::Packets;
use crate::parser::Parser;
use crate::punt::Punt;
use crate::record::{Header, Judged, Origin, Stages};
use crate::rewrite::Rewrite;
use crate::steer::Steer;
use crate::stream::{Beat, Tee};
use crate::window::Gather;

/// The core with streams of `W` bits (`K` bytes); see the module's text.
#[derive(LogicBlock)]
pub struct Core<const W: usize, const K: usize, const N: usize, const L: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Control registers go back to their reset values and no frame is taken in.
    pub reset: Signal<In, Bit>,
    /// Ingress port 0.
    pub rx0_data: Signal<In, Bits<W>>,
    /// Bytes present.
    pub rx0_keep: Signal<In, Bits<K>>,
    /// Last beat.
    pub rx0_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx0_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx0_ready: Signal<Out, Bit>,
    /// Ingress port 1.
    pub rx1_data: Signal<In, Bits<W>>,
    /// Bytes present.
    pub rx1_keep: Signal<In, Bits<K>>,
    /// Last beat.
    pub rx1_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx1_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx1_ready: Signal<Out, Bit>,
    /// Egress port 0.
    pub tx0_data: Signal<Out, Bits<W>>,
    /// Bytes present.
    pub tx0_keep: Signal<Out, Bits<K>>,
    /// Last beat.
    pub tx0_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx0_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub tx0_ready: Signal<In, Bit>,
    /// Egress port 1.
    pub tx1_data: Signal<Out, Bits<W>>,
    /// Bytes present.
    pub tx1_keep: Signal<Out, Bits<K>>,
    /// Last beat.
    pub tx1_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx1_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub tx1_ready: Signal<In, Bit>,
    /// Byte address in BAR0.
    pub csr_address: Signal<In, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<In, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<In, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<In, Bit>,
    /// Word read, valid with `csr_ack`.
    pub csr_rdata: Signal<Out, Bits<32>>,
    /// The access is done, high for one clock.
    pub csr_ack: Signal<Out, Bit>,
    /// A verdict, high for one clock a frame.
    pub event_valid: Signal<Out, Bit>,
    /// Its `Metadata`, packed, length zero.
    pub event_metadata: Signal<Out, Bits<76>>,
    /// Bit s: a frame passes stage s of `layout::simulator::STAGES`, high for one clock a frame, in order.
    pub stage_strobe: Signal<Out, Bits<8>>,
    /// Bit s, with its strobe: the stage did something for the frame.
    pub stage_used: Signal<Out, Bits<8>>,
    /// Byte address of a register outside of the core.
    pub outside_address: Signal<Out, Bits<16>>,
    /// Write `outside_wdata` there, high for one clock.
    pub outside_write: Signal<Out, Bit>,
    /// Word to write.
    pub outside_wdata: Signal<Out, Bits<32>>,
    /// The register, or zero, up to four clocks later.
    pub outside_rdata: Signal<In, Bits<32>>,
    /// Frames in the punt buffer.
    pub punt_waiting: Signal<Out, Bits<5>>,
    /// `Metadata` of the oldest, and its beats above.
    pub punt_oldest: Signal<Out, Bits<86>>,
    /// The host's window gives way to `punt_line` and `punt_pop`.
    pub punt_takes: Signal<In, Bit>,
    /// Beat of the oldest frame.
    pub punt_line: Signal<In, Bits<9>>,
    /// That beat, three clocks later.
    pub punt_beat: Signal<Out, Bits<W>>,
    /// Release the oldest frame.
    pub punt_pop: Signal<In, Bit>,
    /// Beat of a frame of the host, from its window.
    pub window_beat: Signal<Out, Beat<W, K>>,
    /// How it is to be treated.
    pub window_origin: Signal<Out, Origin>,
    /// It is offered.
    pub window_valid: Signal<Out, Bit>,
    /// It is taken.
    pub window_ready: Signal<In, Bit>,
    /// Beat of a frame of the host, for the arbiter: from the window, or from elsewhere.
    pub inject_beat: Signal<In, Beat<W, K>>,
    /// How it is to be treated.
    pub inject_origin: Signal<In, Origin>,
    /// It is offered.
    pub inject_valid: Signal<In, Bit>,
    /// It is taken.
    pub inject_ready: Signal<Out, Bit>,
    /// Such a frame is on its way to the arbiter.
    pub inject_sending: Signal<In, Bit>,
    /// Counter n from `PUNT_RING_FULL` on: an event, high for one clock.
    pub rare: [Signal<In, Bit>; RARE],
    arbiter: Arbiter<W, K>,
    tee: Tee,
    packets: Packets<W, K>,
    window: Gather<W, K, N>,
    parser: Parser,
    flow: Flow,
    destination: Destination,
    acl: Acl,
    decide: Decide,
    rewrite: Rewrite<W, K, N>,
    steer: Steer<W, K>,
    punt: Punt<W, K, L>,
    inject: Inject<W, K, L>,
    interfaces: Interfaces,
    counters: Counters,
    csr: Csr,
    /// Frames between ingress and egress.
    present: DFF<Bits<12>>,
    passed: DFF<Stages>,
    worked: DFF<Stages>,
    strobe: Signal<Local, Stages>,
    passed_now: Signal<Local, Stages>,
    worked_now: Signal<Local, Stages>,
    used: Signal<Local, Stages>,
    header: Signal<Local, Header>,
    hit: Signal<Local, Judged>,
    mapped: Signal<Local, Judged>,
    ruled: Signal<Local, Judged>,
    policy: Signal<Local, Bits<32>>,
    one: Constant<Bits<12>>,
    hold_bit: Constant<Bits<5>>,
    no_entry: Constant<Bits<256>>,
}

impl<const W: usize, const K: usize, const N: usize, const L: usize> Default for Core<W, K, N, L> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            rx0_data: Signal::default(),
            rx0_keep: Signal::default(),
            rx0_last: Signal::default(),
            rx0_valid: Signal::default(),
            rx0_ready: Signal::default(),
            rx1_data: Signal::default(),
            rx1_keep: Signal::default(),
            rx1_last: Signal::default(),
            rx1_valid: Signal::default(),
            rx1_ready: Signal::default(),
            tx0_data: Signal::default(),
            tx0_keep: Signal::default(),
            tx0_last: Signal::default(),
            tx0_valid: Signal::default(),
            tx0_ready: Signal::default(),
            tx1_data: Signal::default(),
            tx1_keep: Signal::default(),
            tx1_last: Signal::default(),
            tx1_valid: Signal::default(),
            tx1_ready: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            event_valid: Signal::default(),
            event_metadata: Signal::default(),
            stage_strobe: Signal::default(),
            stage_used: Signal::default(),
            outside_address: Signal::default(),
            outside_write: Signal::default(),
            outside_wdata: Signal::default(),
            outside_rdata: Signal::default(),
            punt_waiting: Signal::default(),
            punt_oldest: Signal::default(),
            punt_takes: Signal::default(),
            punt_line: Signal::default(),
            punt_beat: Signal::default(),
            punt_pop: Signal::default(),
            window_beat: Signal::default(),
            window_origin: Signal::default(),
            window_valid: Signal::default(),
            window_ready: Signal::default(),
            inject_beat: Signal::default(),
            inject_origin: Signal::default(),
            inject_valid: Signal::default(),
            inject_ready: Signal::default(),
            inject_sending: Signal::default(),
            rare: std::array::from_fn(|_| Default::default()),
            arbiter: Arbiter::default(),
            tee: Tee::default(),
            packets: Packets::default(),
            window: Gather::default(),
            parser: Parser::default(),
            flow: Flow::default(),
            destination: Destination::default(),
            acl: Acl::default(),
            decide: Decide::default(),
            rewrite: Rewrite::default(),
            steer: Steer::default(),
            punt: Punt::default(),
            inject: Inject::default(),
            interfaces: Interfaces::default(),
            counters: Counters::default(),
            csr: Csr::default(),
            present: DFF::default(),
            passed: DFF::default(),
            worked: DFF::default(),
            strobe: Signal::default(),
            passed_now: Signal::default(),
            worked_now: Signal::default(),
            used: Signal::default(),
            header: Signal::default(),
            hit: Signal::default(),
            mapped: Signal::default(),
            ruled: Signal::default(),
            policy: Signal::default(),
            one: Constant::new(1.into()),
            hold_bit: Constant::new((layout::csr::CONTROL_HOLD.trailing_zeros() as u64).to_bits()),
            no_entry: Constant::new(0.into()),
        }
    }
}

impl<const W: usize, const K: usize, const N: usize, const L: usize> Core<W, K, N, L> {
    /// The core with the ident values of a build.
    pub fn new(build: Build) -> Self {
        Self {
            csr: Csr::new(W, build),
            ..Self::default()
        }
    }
}

impl<const W: usize, const K: usize, const N: usize, const L: usize> Logic for Core<W, K, N, L> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, present, passed, worked);
        clock!(
            self,
            clock,
            arbiter,
            packets,
            window,
            parser,
            flow,
            destination,
            acl,
            decide,
            rewrite,
            steer,
            punt,
            inject,
            interfaces,
            counters,
            csr
        );

        // Ingress.
        self.arbiter.hold_off.next = self.reset.val();
        self.arbiter.rx0_beat.next.data = self.rx0_data.val();
        self.arbiter.rx0_beat.next.keep = self.rx0_keep.val();
        self.arbiter.rx0_beat.next.last = self.rx0_last.val();
        self.arbiter.rx0_valid.next = self.rx0_valid.val();
        self.rx0_ready.next = self.arbiter.rx0_ready.val();
        self.arbiter.rx1_beat.next.data = self.rx1_data.val();
        self.arbiter.rx1_beat.next.keep = self.rx1_keep.val();
        self.arbiter.rx1_beat.next.last = self.rx1_last.val();
        self.arbiter.rx1_valid.next = self.rx1_valid.val();
        self.rx1_ready.next = self.arbiter.rx1_ready.val();
        self.window_beat.next = self.inject.out_beat.val();
        self.window_origin.next = self.inject.out_origin.val();
        self.window_valid.next = self.inject.out_valid.val();
        self.inject.out_ready.next = self.window_ready.val();
        self.arbiter.inject_beat.next = self.inject_beat.val();
        self.arbiter.inject_origin.next = self.inject_origin.val();
        self.arbiter.inject_valid.next = self.inject_valid.val();
        self.inject_ready.next = self.arbiter.inject_ready.val();

        // Every beat to the packet FIFO, the first of each frame to the parser.
        self.tee.in_valid.next = self.arbiter.out_valid.val();
        self.arbiter.out_ready.next = self.tee.in_ready.val();
        self.packets.in_beat.next = self.arbiter.out_beat.val();
        self.packets.in_valid.next = self.tee.first_valid.val();
        self.tee.first_ready.next = self.packets.in_ready.val();
        self.window.in_beat.next = self.arbiter.out_beat.val();
        self.window.in_origin.next = self.arbiter.out_origin.val();
        self.window.in_valid.next = self.tee.second_valid.val();
        self.tee.second_ready.next = self.window.in_ready.val();
        self.parser.in_data.next = self.window.out_data.val();
        self.parser.in_valid.next = self.window.out_valid.val();
        self.window.out_ready.next = self.parser.in_ready.val();

        // Lookups.
        self.flow.in_data.next = self.parser.out_data.val();
        self.flow.in_valid.next = self.parser.out_valid.val();
        self.parser.out_ready.next = self.flow.in_ready.val();
        self.policy.next = self.csr.policy.val();
        self.flow.hold.next = self.csr.control.val().get_bit(self.hold_bit.val().index());
        self.flow.acl_bank.next = self.policy.val().get_bit(0);
        self.flow.destination_bank.next = self.policy.val().get_bit(1);
        self.flow.generation.next = self.policy.val().get_bits::<8>(8);
        self.flow.epoch.next = self.csr.epoch.val().get_bits::<8>(0);
        self.destination.in_data.next = self.flow.out_data.val();
        self.destination.in_valid.next = self.flow.out_valid.val();
        self.flow.out_ready.next = self.destination.in_ready.val();
        self.acl.in_data.next = self.destination.out_data.val();
        self.acl.in_valid.next = self.destination.out_valid.val();
        self.destination.out_ready.next = self.acl.in_ready.val();
        self.decide.in_data.next = self.acl.out_data.val();
        self.decide.in_valid.next = self.acl.out_valid.val();
        self.acl.out_ready.next = self.decide.in_ready.val();
        self.parser.control.next = self.csr.control.val();
        self.decide.control.next = self.csr.control.val();
        for i in 0..8 {
            self.parser.interface[i].next = self.interfaces.entry[i].val();
            self.decide.interface[i].next = self.interfaces.entry[i].val();
        }

        // The frame meets its verdict.
        self.rewrite.in_beat.next = self.packets.out_beat.val();
        self.rewrite.in_valid.next = self.packets.out_valid.val();
        self.packets.out_ready.next = self.rewrite.in_ready.val();
        self.rewrite.ruling.next = self.decide.out_ruling.val();
        self.rewrite.sums.next = self.decide.out_sums.val();
        self.rewrite.ruling_valid.next = self.decide.out_valid.val();
        self.decide.out_ready.next = self.rewrite.ruling_ready.val();
        self.steer.in_beat.next = self.rewrite.out_beat.val();
        self.steer.in_route.next = self.rewrite.out_route.val();
        self.steer.in_valid.next = self.rewrite.out_valid.val();
        self.rewrite.out_ready.next = self.steer.in_ready.val();
        self.tx0_data.next = self.rewrite.out_beat.val().data;
        self.tx0_keep.next = self.rewrite.out_beat.val().keep;
        self.tx0_last.next = self.rewrite.out_beat.val().last;
        self.tx0_valid.next = self.steer.tx0_valid.val();
        self.steer.tx0_ready.next = self.tx0_ready.val();
        self.tx1_data.next = self.rewrite.out_beat.val().data;
        self.tx1_keep.next = self.rewrite.out_beat.val().keep;
        self.tx1_last.next = self.rewrite.out_beat.val().last;
        self.tx1_valid.next = self.steer.tx1_valid.val();
        self.steer.tx1_ready.next = self.tx1_ready.val();
        self.punt.in_beat.next = self.rewrite.out_beat.val();
        self.punt.in_route.next = self.rewrite.out_route.val();
        self.punt.in_valid.next = self.steer.punt_valid.val();

        // What is counted.
        self.flow.event_valid.next = self.rewrite.counts.val();
        self.flow.event_slot.next = self.rewrite.counts_slot.val();
        self.flow.event_length.next = self.rewrite.counts_length.val();
        self.flow.event_fin.next = self.rewrite.counts_fin.val();
        self.flow.event_rst.next = self.rewrite.counts_rst.val();
        self.counters.received.next = self.arbiter.ended.val();
        self.counters.received_source.next = self.arbiter.ended_source.val();
        self.counters.received_length.next = self.arbiter.ended_length.val();
        self.counters.judged.next = self.rewrite.ended.val();
        self.counters.judged_reason.next = self.rewrite.ended_reason.val();
        self.counters.sent.next = self.steer.sent.val();
        self.counters.sent_port.next = self.steer.sent_port.val();
        self.counters.sent_length.next = self.steer.sent_length.val();
        self.counters.kept.next = self.punt.kept.val();
        self.counters.kept_length.next = self.punt.kept_length.val();
        self.counters.lost.next = self.punt.lost.val();
        if self.arbiter.began.val() & (!self.steer.last_left.val()) {
            self.present.d.next = self.present.q.val() + self.one.val();
        } else if self.steer.last_left.val() & (!self.arbiter.began.val()) {
            self.present.d.next = self.present.q.val() - self.one.val();
        }
        self.csr.idle.next = !(self.present.q.val().any()
            | self.arbiter.began.val()
            | self.counters.busy.val()
            | self.flow.busy.val()
            | self.acl.busy.val()
            | (!self.inject.idle.val())
            | self.inject_sending.val());

        // The host.
        self.csr.reset.next = self.reset.val();
        self.csr.address.next = self.csr_address.val();
        self.csr.wdata.next = self.csr_wdata.val();
        self.csr.write.next = self.csr_write.val();
        self.csr.read.next = self.csr_read.val();
        self.csr_rdata.next = self.csr.rdata.val();
        self.csr_ack.next = self.csr.ack.val();
        self.csr.punt_waiting.next = self.punt.waiting.val();
        self.csr.punt_data.next = self.punt.data.val();
        self.punt.takes.next = self.punt_takes.val();
        self.punt.line.next = self.punt_line.val();
        self.punt.pop.next = self.csr.punt_pop.val();
        if self.punt_takes.val() {
            self.punt.pop.next = self.punt_pop.val();
        }
        self.punt_waiting.next = self.punt.waiting.val();
        self.punt_oldest.next = self.punt.oldest.val();
        self.punt_beat.next = self.punt.beat.val();
        self.outside_address.next = self.csr.outside_address.val();
        self.outside_write.next = self.csr.outside_write.val();
        self.outside_wdata.next = self.csr.window_data.val();
        self.csr.outside_data.next = self.outside_rdata.val();
        for i in 0..9 {
            self.counters.rare[i].next = self.rare[i].val();
        }
        self.punt.word.next = self.csr.window_word.val();
        self.csr.inject_ready.next = self.inject.idle.val();
        self.csr.inject_refused.next = self.inject.refused.val();
        self.inject.write.next = self.csr.inject_write.val();
        self.inject.submit.next = self.csr.inject_submit.val();
        self.inject.word.next = self.csr.window_word.val();
        self.inject.data.next = self.csr.window_data.val();
        self.counters.index.next = self.csr.counter.val();
        self.csr.counter_value.next = self.counters.value.val();

        // Its tables, by their codes.
        self.interfaces.table_valid.next = self.csr.table_request[0].val();
        self.interfaces.table_op.next = self.csr.table_operation.val();
        self.interfaces.table_index.next = self.csr.table_index.val();
        self.interfaces.table_data.next = self.csr.table_entry.val();
        self.csr.table_done[0].next = self.interfaces.table_done.val();
        self.csr.table_read[0].next = self.interfaces.table_read.val();
        self.flow.request.next = self.csr.table_request[1].val();
        self.flow.stats_request.next = self.csr.table_request[2].val();
        self.flow.operation.next = self.csr.table_operation.val();
        self.flow.index.next = self.csr.table_index.val();
        self.flow.index2.next = self.csr.table_index2.val();
        self.flow.data.next = self.csr.table_entry.val();
        self.flow.data2.next = self.csr.table_entry2.val();
        self.csr.table_done[1].next = self.flow.done.val();
        self.csr.table_read[1].next = self.flow.read_data.val();
        self.csr.table_done[2].next = self.flow.done.val();
        self.csr.table_read[2].next = self.flow.read_data.val();
        self.destination.request.next = self.csr.table_request[3].val();
        self.destination.index.next = self.csr.table_index.val();
        self.destination.data.next = self.csr.table_entry.val();
        self.csr.table_done[3].next = self.destination.done.val();
        self.csr.table_read[3].next = self.no_entry.val();
        self.acl.request.next = self.csr.table_request[4].val();
        self.acl.map_request.next = self.csr.table_request[5].val();
        self.acl.hits_request.next = self.csr.table_request[6].val();
        self.acl.index.next = self.csr.table_index.val();
        self.acl.data.next = self.csr.table_entry.val();
        for i in 4..7 {
            self.csr.table_done[i].next = self.acl.done.val();
            self.csr.table_read[i].next = self.acl.read_data.val();
        }
        self.decide.table_valid.next = self.csr.table_request[7].val();
        self.decide.table_op.next = self.csr.table_operation.val();
        self.decide.table_index.next = self.csr.table_index.val();
        self.decide.table_data.next = self.csr.table_entry.val();
        self.csr.table_done[7].next = self.decide.table_done.val();
        self.csr.table_read[7].next = self.decide.table_read.val();

        // What a simulator wants to know. Every strobe comes one clock after what it tells.
        self.event_valid.next = self.decide.ruled.val();
        self.event_metadata.next = self.decide.event_metadata.val();
        self.header.next = self.parser.out_data.val();
        self.hit.next = self.flow.out_data.val();
        self.mapped.next = self.destination.out_data.val();
        self.ruled.next = self.acl.out_data.val();
        self.strobe.next.ingress = false;
        self.strobe.next.parse = self.parser.out_valid.val() & self.flow.in_ready.val();
        self.strobe.next.flow = self.flow.out_valid.val() & self.destination.in_ready.val();
        self.strobe.next.destination = self.destination.out_valid.val() & self.acl.in_ready.val();
        self.strobe.next.acl = self.acl.out_valid.val() & self.decide.in_ready.val();
        self.strobe.next.decide = false;
        self.strobe.next.egress = false;
        self.strobe.next.last = false;
        self.used.next.ingress = true;
        self.used.next.parse = !self.header.val().direct;
        self.used.next.flow = !self.hit.val().decided;
        self.used.next.destination =
            (!self.mapped.val().decided) & (!self.mapped.val().hit) & (!self.mapped.val().hold);
        self.used.next.acl = (!self.ruled.val().decided)
            & (!self.ruled.val().hit)
            & (!self.ruled.val().hold)
            & (!self.ruled.val().local);
        self.used.next.decide = true;
        self.used.next.egress = true;
        self.used.next.last = true;
        self.passed.d.next = self.strobe.val();
        self.worked.d.next = self.used.val();
        self.passed_now.next = self.passed.q.val();
        self.passed_now.next.ingress = self.arbiter.began.val();
        self.passed_now.next.decide = self.decide.ruled.val();
        self.passed_now.next.egress = self.steer.first_left.val();
        self.passed_now.next.last = self.steer.last_left.val();
        self.worked_now.next = self.worked.q.val();
        self.worked_now.next.egress = self.steer.first_kept.val();
        self.stage_strobe.next = self.passed_now.val().into();
        self.stage_used.next = self.worked_now.val().into();
    }
}

// The kernel numbers the tables.
const _: () = assert!(
    Table::Interface as u32 == 0
        && Table::Flow as u32 == 1
        && Table::FlowStats as u32 == 2
        && Table::Destination as u32 == 3
        && Table::Acl as u32 == 4
        && Table::AclValid as u32 == 5
        && Table::AclHits as u32 == 6
        && Table::Adjacency as u32 == 7
);
