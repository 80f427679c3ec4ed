//! What is known of a packet before its next hop is: `CONTRACT.md` steps 18 to 22.
//!
//! A [`Judged`] packet in, [`Settled`] out. No registers; about 60 LUTs. It stands beside the adjacency RAM,
//! so that behind the RAM only the next hop itself is left to look at.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use layout::csr::CONTROL_DROP_NOT_SYN;
use layout::desc::{ACE_BITS, NO_ACE, Reason, Verdict};
use rust_hdl_core::prelude::*;

use crate::parser::code;
use crate::record::{Action, Judged};

use super::SplitJudged;

/// What becomes of a packet that hit no flow; for one that did, that its next hop decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Settled {
    /// The packet hit a flow: entry and next hop say the rest.
    pub hit: Bit,
    /// The flow's entry says punt.
    pub punts: Bit,
    /// `Reason`, when no flow was hit.
    pub reason: Bits<6>,
    /// Its verdict.
    pub verdict: Bits<2>,
}

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Settle {
    /// `CONTROL`.
    pub control: Signal<In, Bits<32>>,
    /// The packet.
    pub packet: Signal<In, Judged>,
    /// What is known.
    pub settled: Signal<Out, Settled>,
    split: SplitJudged,
    action: Signal<Local, Action>,
    not_syn: Signal<Local, Bit>,
    ace: Signal<Local, Bits<ACE_BITS>>,
    miss_reason: Signal<Local, Bits<6>>,
    reason: Signal<Local, Bits<6>>,
    verdict: Signal<Local, Bits<2>>,
    forwards: Signal<Local, Bits<64>>,
    drops: Signal<Local, Bits<64>>,
    no_ace: Constant<Bits<ACE_BITS>>,
    drop_not_syn_bit: Constant<Bits<5>>,
    forward: Constant<Bits<2>>,
    drop_code: Constant<Bits<2>>,
    punt: Constant<Bits<2>>,
    /// Bit n: the reason with code n has this verdict.
    forward_map: Constant<Bits<64>>,
    drop_map: Constant<Bits<64>>,
    policy_hold: Constant<Bits<6>>,
    local_code: Constant<Bits<6>>,
    acl_implicit_deny: Constant<Bits<6>>,
    acl_deny: Constant<Bits<6>>,
    tcp_not_syn: Constant<Bits<6>>,
    flow_miss: Constant<Bits<6>>,
}

impl Default for Settle {
    fn default() -> Self {
        Self {
            control: Signal::default(),
            packet: Signal::default(),
            settled: Signal::default(),
            split: SplitJudged::default(),
            action: Signal::default(),
            not_syn: Signal::default(),
            ace: Signal::default(),
            miss_reason: Signal::default(),
            reason: Signal::default(),
            verdict: Signal::default(),
            forwards: Signal::default(),
            drops: Signal::default(),
            no_ace: Constant::new((NO_ACE as u64).to_bits()),
            drop_not_syn_bit: Constant::new(
                (CONTROL_DROP_NOT_SYN.trailing_zeros() as u64).to_bits(),
            ),
            forward: Constant::new((Verdict::Forward as u64).to_bits()),
            drop_code: Constant::new((Verdict::Drop as u64).to_bits()),
            punt: Constant::new((Verdict::Punt as u64).to_bits()),
            forward_map: reasons_of(Verdict::Forward),
            drop_map: reasons_of(Verdict::Drop),
            policy_hold: code(Reason::PolicyHold),
            local_code: code(Reason::Local),
            acl_implicit_deny: code(Reason::AclImplicitDeny),
            acl_deny: code(Reason::AclDeny),
            tcp_not_syn: code(Reason::TcpNotSyn),
            flow_miss: code(Reason::FlowMiss),
        }
    }
}

impl Logic for Settle {
    #[hdl_gen]
    fn update(&mut self) {
        self.split.packet.next = self.packet.val();
        self.action.next = self.split.action.val();

        // The step that comes first in the contract is written last, and wins.
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

        self.reason.next = self.miss_reason.val();
        if self.packet.val().decided {
            self.reason.next = self.packet.val().reason;
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
        self.settled.next.hit = self.packet.val().hit & (!self.packet.val().decided);
        self.settled.next.punts = self.action.val().punt;
        self.settled.next.reason = self.reason.val();
        self.settled.next.verdict = self.verdict.val();
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
