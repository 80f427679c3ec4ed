//! The last step of the verdict: next hop and egress interface, and the new header fields.
//!
//! No registers: in front of the skid buffer of rulings. `CONTRACT.md` step 17 for a hit. Costs about 60 LUTs.

use layout::desc::{HOST_PORT, LENGTH_BITS, Reason, Verdict};
use rust_hdl_core::prelude::*;

use crate::parser::code;
use crate::record::{Action, Judged, Metadata, Ruling};

use super::{Settled, SplitJudged};

/// Reason, verdict and new header fields of one packet; no registers.
#[derive(LogicBlock)]
pub struct Rule {
    /// Packed `Interface` of the next hop, zero when there is none.
    pub leaves: Signal<In, Bits<64>>,
    /// What is known without the next hop.
    pub settled: Signal<In, Settled>,
    /// The packet.
    pub packet: Signal<In, Judged>,
    /// Packed `Adjacency` of its action.
    pub adjacency: Signal<In, Bits<53>>,
    /// What becomes of it.
    pub ruling: Signal<Out, Ruling>,
    split: SplitJudged,
    action: Signal<Local, Action>,
    hop: Signal<Local, Bits<53>>,
    egress: Signal<Local, Bits<64>>,
    ingress: Signal<Local, Bits<2>>,
    usable: Signal<Local, Bit>,
    direct: Signal<Local, Bit>,
    has_tag: Signal<Local, Bit>,
    hit_reason: Signal<Local, Bits<6>>,
    reason: Signal<Local, Bits<6>>,
    verdict: Signal<Local, Bits<2>>,
    rewrites: Signal<Local, Bit>,
    metadata: Signal<Local, Metadata>,
    no_length: Constant<Bits<LENGTH_BITS>>,
    host_port: Constant<Bits<2>>,
    forward: Constant<Bits<2>>,
    punt: Constant<Bits<2>>,
    flow_hit: Constant<Bits<6>>,
    flow_punt: Constant<Bits<6>>,
    no_adjacency: Constant<Bits<6>>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            leaves: Signal::default(),
            settled: Signal::default(),
            packet: Signal::default(),
            adjacency: Signal::default(),
            ruling: Signal::default(),
            split: SplitJudged::default(),
            action: Signal::default(),
            hop: Signal::default(),
            egress: Signal::default(),
            ingress: Signal::default(),
            usable: Signal::default(),
            direct: Signal::default(),
            has_tag: Signal::default(),
            hit_reason: Signal::default(),
            reason: Signal::default(),
            verdict: Signal::default(),
            rewrites: Signal::default(),
            metadata: Signal::default(),
            no_length: Constant::new(0.into()),
            host_port: Constant::new((HOST_PORT as u64).to_bits()),
            forward: Constant::new((Verdict::Forward as u64).to_bits()),
            punt: Constant::new((Verdict::Punt as u64).to_bits()),
            flow_hit: code(Reason::FlowHit),
            flow_punt: code(Reason::FlowPunt),
            no_adjacency: code(Reason::NoAdjacency),
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

        // Adjacency: valid, interface 1..5, mac 5..53. Interface: valid, port 1..3, tagged 3, vid 4..16, mac 16..64.
        self.hop.next = self.adjacency.val();
        self.egress.next = self.leaves.val();
        self.usable.next = self.hop.val().get_bit(0) & self.egress.val().get_bit(0);

        // The step that comes first in the contract is written last, and wins.
        self.hit_reason.next = self.flow_hit.val();
        if self.egress.val().get_bit(3) != self.has_tag.val() {
            self.hit_reason.next = self.flow_punt.val();
        }
        if !self.usable.val() {
            self.hit_reason.next = self.no_adjacency.val();
        }
        if self.settled.val().punts {
            self.hit_reason.next = self.flow_punt.val();
        }

        self.rewrites.next = self.settled.val().hit
            & self.usable.val()
            & (self.egress.val().get_bit(3) == self.has_tag.val())
            & !self.settled.val().punts;
        if self.settled.val().hit {
            self.reason.next = self.hit_reason.val();
            self.verdict.next = self.punt.val();
            if self.rewrites.val() {
                self.verdict.next = self.forward.val();
            }
        } else {
            self.reason.next = self.settled.val().reason;
            self.verdict.next = self.settled.val().verdict;
        }

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
        self.metadata.next.ace = self.packet.val().ace;
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
        self.ruling.next.counts = self.settled.val().hit;
        self.ruling.next.fin = self.packet.val().fin;
        self.ruling.next.rst = self.packet.val().rst;
        self.ruling.next.rewrite = self.rewrites.val();
        self.ruling.next.tagged = self.has_tag.val();
        self.ruling.next.destination_mac = self.hop.val().get_bits::<48>(5);
        self.ruling.next.source_mac = self.egress.val().get_bits::<48>(16);
        self.ruling.next.vid = self.egress.val().get_bits::<12>(4);
        self.ruling.next.translate_source =
            self.rewrites.val() & self.action.val().translate_source;
        // Both at once is not allowed in an entry; then only the source changes.
        self.ruling.next.translate_destination = self.rewrites.val()
            & self.action.val().translate_destination
            & (!self.action.val().translate_source);
        self.ruling.next.address = self.action.val().address;
        self.ruling.next.l4_port = self.action.val().l4_port;
        self.ruling.next.tcp = self.packet.val().tcp;
        self.ruling.next.udp = self.packet.val().udp;
        self.ruling.next.icmp = self.packet.val().icmp;
    }
}

// The kernel punts every hit that it does not forward.
const _: () = assert!(
    matches!(Reason::FlowHit.verdict(), Verdict::Forward)
        && matches!(Reason::FlowPunt.verdict(), Verdict::Punt)
        && matches!(Reason::NoAdjacency.verdict(), Verdict::Punt)
);
