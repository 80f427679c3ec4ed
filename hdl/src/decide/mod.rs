//! The verdict: joins what the lookups said with next hop and egress interface.
//!
//! One [`Judged`] packet in; its [`Ruling`] and [`Sums`] out, and one event with its metadata. Latency four
//! clocks (two of them the adjacency RAM), one packet every clock. Follows `CONTRACT.md` steps 17 to 22. Costs
//! about 700 LUTs, 1 600 flip-flops.
//!
//! ```text
//! judged ─► │ adjacency RAM │ ─► │   interface   │ ─► verdict ─► skid buffer ─► ruling
//!        ├► │               │ ─► │ settle a miss │ ─┘
//!        └► │           checksum               │ ─────────► skid buffer ─► sums
//! ```

use layout::table::INTERFACES;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::adjacency::Adjacencies;
use crate::checksum::Checksum;
use crate::record::{Action, Judged, Key, Ruling, Sums};
use crate::skid::Skid;

mod rule;
mod settle;

pub use rule::Rule;
pub use settle::{Settle, Settled};

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
    settle: Settle,
    verdict: Rule,
    rulings: Skid<Ruling>,
    sums: Skid<Sums>,
    split: SplitJudged,
    first: DFF<Judged>,
    first_valid: DFF<Bit>,
    second: DFF<Judged>,
    second_valid: DFF<Bit>,
    third: DFF<Judged>,
    third_valid: DFF<Bit>,
    /// Next hop of the third, and its interface one-hot.
    hop: DFF<Bits<53>>,
    hop_interface: [DFF<Bit>; INTERFACES],
    fourth: DFF<Judged>,
    fourth_valid: DFF<Bit>,
    /// What is settled of the fourth without its next hop; next hop, its interface and new checksums.
    settled: DFF<Settled>,
    adjacency: DFF<Bits<53>>,
    egress: DFF<Bits<64>>,
    fresh_sums: DFF<Sums>,
    entry_interface: Signal<Local, Bits<4>>,
    leaves: Signal<Local, Bits<64>>,
    told: DFF<Bit>,
    told_metadata: DFF<Bits<76>>,
    number: [Constant<Bits<4>>; INTERFACES],
    no_interface: Constant<Bits<64>>,
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
            settle: Settle::default(),
            verdict: Rule::default(),
            rulings: Skid::default(),
            sums: Skid::default(),
            split: SplitJudged::default(),
            first: DFF::default(),
            first_valid: DFF::default(),
            second: DFF::default(),
            second_valid: DFF::default(),
            third: DFF::default(),
            third_valid: DFF::default(),
            hop: DFF::default(),
            hop_interface: Default::default(),
            fourth: DFF::default(),
            fourth_valid: DFF::default(),
            settled: DFF::default(),
            adjacency: DFF::default(),
            egress: DFF::default(),
            fresh_sums: DFF::default(),
            entry_interface: Signal::default(),
            leaves: Signal::default(),
            told: DFF::default(),
            told_metadata: DFF::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            no_interface: Constant::new(0.into()),
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
            third,
            third_valid,
            hop,
            fourth,
            fourth_valid,
            settled,
            adjacency,
            egress,
            fresh_sums,
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
        self.settle.control.next = self.control.val();
        self.settle.packet.next = self.third.q.val();
        // Adjacency: valid, interface 1..5, mac 5..53.
        self.entry_interface.next = self.adjacencies.entry.val().get_bits::<4>(1);
        for i in 0..8 {
            self.hop_interface[i].clock.next = self.clock.val();
            self.hop_interface[i].d.next = self.hop_interface[i].q.val();
            if self.rulings.in_ready.val() {
                self.hop_interface[i].d.next = self.entry_interface.val() == self.number[i].val();
            }
        }
        self.leaves.next = self.no_interface.val();
        for i in 0..8 {
            if self.hop_interface[i].q.val() {
                self.leaves.next = self.leaves.val() | self.interface[i].val();
            }
        }
        if self.rulings.in_ready.val() {
            self.first.d.next = self.in_data.val();
            self.first_valid.d.next = self.in_valid.val();
            self.second.d.next = self.first.q.val();
            self.second_valid.d.next = self.first_valid.q.val();
            self.third.d.next = self.second.q.val();
            self.third_valid.d.next = self.second_valid.q.val();
            self.hop.d.next = self.adjacencies.entry.val();
            self.fourth.d.next = self.third.q.val();
            self.fourth_valid.d.next = self.third_valid.q.val();
            self.settled.d.next = self.settle.settled.val();
            self.adjacency.d.next = self.hop.q.val();
            self.egress.d.next = self.leaves.val();
            self.fresh_sums.d.next = self.checksum.sums.val();
        }

        self.verdict.leaves.next = self.egress.q.val();
        self.verdict.settled.next = self.settled.q.val();
        self.verdict.packet.next = self.fourth.q.val();
        self.verdict.adjacency.next = self.adjacency.q.val();
        self.rulings.in_data.next = self.verdict.ruling.val();
        self.rulings.in_valid.next = self.fourth_valid.q.val();
        self.rulings.out_ready.next = self.out_ready.val();
        self.sums.in_data.next = self.fresh_sums.q.val();
        self.sums.in_valid.next = self.fourth_valid.q.val();
        self.sums.out_ready.next = self.out_ready.val();
        self.out_ruling.next = self.rulings.out_data.val();
        self.out_sums.next = self.sums.out_data.val();
        self.out_valid.next = self.rulings.out_valid.val();

        self.told.d.next = self.fourth_valid.q.val() & self.rulings.in_ready.val();
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
