//! Registers that steer the pipeline, and those that show its state.

use layout::csr as map;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::ident::reset_of;
use crate::dff::DffR;

/// Registers the host may write: `CONTROL`, `EPOCH`, `POLICY`, `SCRATCH`.
const WRITABLE: usize = 4;
/// Registers that show state: `STATUS`, `PUNT_STATUS`, `INJECT_STATUS`.
const SHOWN: usize = 3;

/// The registers; see the module's text.
#[derive(LogicBlock)]
pub struct Control {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Back to the reset values.
    pub reset: Signal<In, Bit>,
    /// Byte address.
    pub address: Signal<In, Bits<16>>,
    /// Write `wdata` at the next edge but one; address and data stay until then.
    pub write: Signal<In, Bit>,
    /// New value.
    pub wdata: Signal<In, Bits<32>>,
    /// The register, or zero, one clock after its address.
    pub data: Signal<Out, Bits<32>>,
    /// `STATUS`, `PUNT_STATUS`, `INJECT_STATUS`.
    pub shown: [Signal<In, Bits<32>>; SHOWN],
    /// `CONTROL`.
    pub control: Signal<Out, Bits<32>>,
    /// `EPOCH`.
    pub epoch: Signal<Out, Bits<32>>,
    /// `POLICY`.
    pub policy: Signal<Out, Bits<32>>,
    register: [DffR<Bits<32>>; WRITABLE],
    /// The address decoded, one clock later; the write waits for it.
    writing: DFF<Bit>,
    hit: [DFF<Bit>; WRITABLE],
    shown_hit: [DFF<Bit>; SHOWN],
    offset: [Constant<Bits<16>>; WRITABLE],
    bits: [Constant<Bits<32>>; WRITABLE],
    shown_offset: [Constant<Bits<16>>; SHOWN],
    none: Constant<Bits<32>>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            address: Signal::default(),
            write: Signal::default(),
            wdata: Signal::default(),
            data: Signal::default(),
            shown: std::array::from_fn(|_| Default::default()),
            control: Signal::default(),
            epoch: Signal::default(),
            policy: Signal::default(),
            register: writable()
                .map(|(offset, _)| DffR::new(u64::from(reset_of(offset)).to_bits())),
            writing: DFF::default(),
            hit: Default::default(),
            shown_hit: Default::default(),
            offset: writable().map(|(offset, _)| Constant::new(u64::from(offset).to_bits())),
            bits: writable().map(|(_, bits)| Constant::new(u64::from(bits).to_bits())),
            shown_offset: [map::STATUS, map::PUNT_STATUS, map::INJECT_STATUS]
                .map(|offset| Constant::new(u64::from(offset).to_bits())),
            none: Constant::new(0.into()),
        }
    }
}

impl Logic for Control {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, writing);
        self.writing.d.next = self.write.val();
        self.data.next = self.none.val();
        for i in 0..4 {
            self.hit[i].clock.next = self.clock.val();
            self.hit[i].d.next = self.address.val() == self.offset[i].val();
            self.register[i].clock.next = self.clock.val();
            self.register[i].reset.next = self.reset.val();
            self.register[i].d.next = self.wdata.val() & self.bits[i].val();
            self.register[i].enable.next = self.writing.q.val() & self.hit[i].q.val();
            if self.hit[i].q.val() {
                self.data.next = self.data.val() | self.register[i].q.val();
            }
        }
        for i in 0..3 {
            self.shown_hit[i].clock.next = self.clock.val();
            self.shown_hit[i].d.next = self.address.val() == self.shown_offset[i].val();
            if self.shown_hit[i].q.val() {
                self.data.next = self.data.val() | self.shown[i].val();
            }
        }
        self.control.next = self.register[0].q.val();
        self.epoch.next = self.register[1].q.val();
        self.policy.next = self.register[2].q.val();
    }
}

/// Offsets of the writable registers and the bits they hold.
fn writable() -> [(u32, u32); WRITABLE] {
    let control = map::CONTROL_ENABLE
        | map::CONTROL_PROMISCUOUS
        | map::CONTROL_DROP_NOT_SYN
        | map::CONTROL_HOLD;
    [
        (map::CONTROL, control),
        (map::EPOCH, 0xff),
        (map::POLICY, 0xff03),
        (map::SCRATCH, !0),
    ]
}
