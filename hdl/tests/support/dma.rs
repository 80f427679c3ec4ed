//! The dma block with a punt buffer in front of it.

use hdl::dma::Dma;
use hdl::dma::record::Injected;
use hdl::punt::Punt;
use hdl::record::Route;
use hdl::stream::Beat;
use rust_hdl_core::prelude::*;

/// The ports of both, less what is between them.
#[derive(LogicBlock, Default)]
pub struct Rings {
    pub clock: Signal<In, Clock>,
    pub punt_beat: Signal<In, Beat<64, 8>>,
    pub punt_route: Signal<In, Route>,
    pub punt_valid: Signal<In, Bit>,
    pub punt_waiting: Signal<Out, Bits<5>>,
    pub punt_kept: Signal<Out, Bit>,
    pub window_pop: Signal<In, Bit>,
    pub window_word: Signal<In, Bits<9>>,
    pub window_data: Signal<Out, Bits<32>>,
    pub reset: Signal<In, Bit>,
    pub function_reset: Signal<In, Bit>,
    pub address: Signal<In, Bits<16>>,
    pub write: Signal<In, Bit>,
    pub wdata: Signal<In, Bits<32>>,
    pub data: Signal<Out, Bits<32>>,
    pub inject_beat: Signal<Out, Injected>,
    pub inject_valid: Signal<Out, Bit>,
    pub inject_ready: Signal<In, Bit>,
    pub sending: Signal<Out, Bit>,
    pub full: Signal<Out, Bit>,
    pub off: Signal<Out, Bit>,
    pub bad: Signal<Out, Bit>,
    pub error: Signal<Out, Bit>,
    pub overdue: Signal<Out, Bit>,
    pub unexpected: Signal<Out, Bit>,
    pub bus_master: Signal<In, Bit>,
    pub max_payload: Signal<In, Bits<3>>,
    pub max_read_request: Signal<In, Bits<3>>,
    pub write_valid: Signal<Out, Bit>,
    pub write_ready: Signal<In, Bit>,
    pub write_address: Signal<Out, Bits<64>>,
    pub write_dwords: Signal<Out, Bits<10>>,
    pub write_data: Signal<Out, Bits<64>>,
    pub write_data_valid: Signal<Out, Bit>,
    pub write_data_ready: Signal<In, Bit>,
    pub write_done: Signal<In, Bit>,
    pub read_valid: Signal<Out, Bit>,
    pub read_ready: Signal<In, Bit>,
    pub read_address: Signal<Out, Bits<64>>,
    pub read_dwords: Signal<Out, Bits<10>>,
    pub read_first_enable: Signal<Out, Bits<4>>,
    pub read_last_enable: Signal<Out, Bits<4>>,
    pub read_tag: Signal<Out, Bits<5>>,
    pub completion_valid: Signal<In, Bit>,
    pub completion_tag: Signal<In, Bits<5>>,
    pub completion_failed: Signal<In, Bit>,
    pub completion_bytes: Signal<In, Bits<12>>,
    pub completion_lower: Signal<In, Bits<7>>,
    pub completion_dwords: Signal<In, Bits<10>>,
    pub completion_data: Signal<In, Bits<64>>,
    pub completion_data_valid: Signal<In, Bit>,
    pub completion_data_last: Signal<In, Bit>,
    pub raise: Signal<Out, Bits<6>>,
    pub interrupt_gap: Signal<Out, Bits<32>>,
    punt: Punt<64, 8, 2>,
    dma: Dma,
}

impl Logic for Rings {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, punt, dma);
        self.punt.in_beat.next = self.punt_beat.val();
        self.punt.in_route.next = self.punt_route.val();
        self.punt.in_valid.next = self.punt_valid.val();
        self.punt.word.next = self.window_word.val();
        self.window_data.next = self.punt.data.val();
        self.punt_kept.next = self.punt.kept.val();
        self.punt_waiting.next = self.punt.waiting.val();
        self.punt.takes.next = self.dma.takes.val();
        self.punt.line.next = self.dma.line.val();
        self.punt.pop.next = self.window_pop.val();
        if self.dma.takes.val() {
            self.punt.pop.next = self.dma.pop.val();
        }
        self.dma.waiting.next = self.punt.waiting.val();
        self.dma.oldest.next = self.punt.oldest.val();
        self.dma.beat.next = self.punt.beat.val();
        self.dma.reset.next = self.reset.val();
        self.dma.function_reset.next = self.function_reset.val();
        self.dma.address.next = self.address.val();
        self.dma.write.next = self.write.val();
        self.dma.wdata.next = self.wdata.val();
        self.data.next = self.dma.data.val();
        self.inject_beat.next = self.dma.inject_beat.val();
        self.inject_valid.next = self.dma.inject_valid.val();
        self.dma.inject_ready.next = self.inject_ready.val();
        self.sending.next = self.dma.sending.val();
        self.full.next = self.dma.full.val();
        self.off.next = self.dma.off.val();
        self.bad.next = self.dma.bad.val();
        self.error.next = self.dma.error.val();
        self.overdue.next = self.dma.overdue.val();
        self.unexpected.next = self.dma.unexpected.val();
        self.dma.bus_master.next = self.bus_master.val();
        self.dma.max_payload.next = self.max_payload.val();
        self.dma.max_read_request.next = self.max_read_request.val();
        self.write_valid.next = self.dma.write_valid.val();
        self.dma.write_ready.next = self.write_ready.val();
        self.write_address.next = self.dma.write_address.val();
        self.write_dwords.next = self.dma.write_dwords.val();
        self.write_data.next = self.dma.write_data.val();
        self.write_data_valid.next = self.dma.write_data_valid.val();
        self.dma.write_data_ready.next = self.write_data_ready.val();
        self.dma.write_done.next = self.write_done.val();
        self.read_valid.next = self.dma.read_valid.val();
        self.dma.read_ready.next = self.read_ready.val();
        self.read_address.next = self.dma.read_address.val();
        self.read_dwords.next = self.dma.read_dwords.val();
        self.read_first_enable.next = self.dma.read_first_enable.val();
        self.read_last_enable.next = self.dma.read_last_enable.val();
        self.read_tag.next = self.dma.read_tag.val();
        self.dma.completion_valid.next = self.completion_valid.val();
        self.dma.completion_tag.next = self.completion_tag.val();
        self.dma.completion_failed.next = self.completion_failed.val();
        self.dma.completion_bytes.next = self.completion_bytes.val();
        self.dma.completion_lower.next = self.completion_lower.val();
        self.dma.completion_dwords.next = self.completion_dwords.val();
        self.dma.completion_data.next = self.completion_data.val();
        self.dma.completion_data_valid.next = self.completion_data_valid.val();
        self.dma.completion_data_last.next = self.completion_data_last.val();
        self.raise.next = self.dma.raise.val();
        self.interrupt_gap.next = self.dma.interrupt_gap.val();
    }
}
