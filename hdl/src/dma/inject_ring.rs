//! The inject ring: reads descriptors and frames from host memory and hands frames on in ring order.
//!
//! ```text
//!         ┌────────────── descriptors ◄──────────────┐
//!       fetch ─► reads            completions ─► receive ─► reorder buffer ─► unload ─► frames
//!         └─► order ─► retire ─► whole frames, descriptors ─────────────────────┘
//!                        tags: claimed, waited for, over
//! ```
//!
//! `function_reset` makes every read in flight a stranger and empties the ring's part of the card from front to back;
//! a frame that has begun to leave still leaves whole.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::fetch::Fetch;
use super::receive::Receive;
use super::record::{Injected, ReadHead};
use super::reorder::Reorder;
use super::retire::Retire;
use super::tags::Tags;
use super::unload::Unload;

/// The ring; see the module's text.
#[derive(LogicBlock, Default)]
pub struct InjectRing {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forget the ring.
    pub reset: Signal<In, Bit>,
    /// Set the indices to zero.
    pub clear: Signal<In, Bit>,
    /// The ring is served.
    pub serve: Signal<In, Bit>,
    /// Host memory may be read.
    pub bus_master: Signal<In, Bit>,
    /// Longest read, 128 bytes and its doublings.
    pub max_read: Signal<In, Bits<3>>,
    /// `INJECT_RING`.
    pub ring: Signal<In, Bits<64>>,
    /// `INJECT_RING_SIZE`.
    pub size: Signal<In, Bits<4>>,
    /// `INJECT_TAIL`.
    pub tail: Signal<In, Bits<16>>,
    /// `COMPLETION_TIMEOUT`.
    pub timeout: Signal<In, Bits<32>>,
    /// `INJECT_HEAD`.
    pub head: Signal<Out, Bits<16>>,
    /// It has moved, high for one clock.
    pub moved: Signal<Out, Bit>,
    /// A descriptor was not allowed, high for one clock.
    pub bad: Signal<Out, Bit>,
    /// A frame was lost to a failed read, high for one clock.
    pub error: Signal<Out, Bit>,
    /// A frame was lost to a read that was given up, high for one clock.
    pub overdue: Signal<Out, Bit>,
    /// Nobody waits for a completion, high for one clock.
    pub unexpected: Signal<Out, Bit>,
    /// No frame is asked for.
    pub rests: Signal<Out, Bit>,
    /// A frame is on its way to the arbiter.
    pub sending: Signal<Out, Bit>,
    /// The ring is not at rest.
    pub busy: Signal<Out, Bit>,
    /// A read.
    pub read: Signal<Out, ReadHead>,
    /// It is offered.
    pub read_valid: Signal<Out, Bit>,
    /// It is taken.
    pub read_ready: Signal<In, Bit>,
    /// As in [`Receive`].
    pub completion_valid: Signal<In, Bit>,
    /// As in [`Receive`].
    pub completion_tag: Signal<In, Bits<5>>,
    /// As in [`Receive`].
    pub completion_failed: Signal<In, Bit>,
    /// As in [`Receive`].
    pub completion_bytes: Signal<In, Bits<12>>,
    /// As in [`Receive`].
    pub completion_lower: Signal<In, Bits<7>>,
    /// As in [`Receive`].
    pub completion_dwords: Signal<In, Bits<10>>,
    /// As in [`Receive`].
    pub completion_data: Signal<In, Bits<64>>,
    /// As in [`Receive`].
    pub completion_data_valid: Signal<In, Bit>,
    /// As in [`Receive`].
    pub completion_data_last: Signal<In, Bit>,
    /// Beat of a frame.
    pub beat: Signal<Out, Injected>,
    /// It is offered.
    pub beat_valid: Signal<Out, Bit>,
    /// It is taken.
    pub beat_ready: Signal<In, Bit>,
    tags: Tags,
    fetch: Fetch,
    receive: Receive,
    reorder: Reorder,
    retire: Retire,
    unload: Unload,
    flushing: DFF<Bit>,
    forget: Signal<Local, Bit>,
    empty: Signal<Local, Bit>,
    restart: Signal<Local, Bit>,
    emptied: Signal<Local, Bit>,
}

impl Logic for InjectRing {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, flushing);
        clock!(self, clock, tags, fetch, receive, reorder, retire, unload);
        self.forget.next = self.reset.val() | self.flushing.q.val();
        self.empty.next =
            self.fetch.idle.val() & (!self.retire.whole_valid.val()) & self.unload.idle.val();
        // While it is emptied, descriptors that were asked for are not waited for.
        self.emptied.next = (!self.fetch.order_valid.val())
            & (!self.retire.whole_valid.val())
            & self.unload.idle.val();
        self.restart.next = self.flushing.q.val() & self.emptied.val() & (!self.reset.val());
        self.flushing.d.next = self.reset.val() | (self.flushing.q.val() & (!self.emptied.val()));

        self.tags.timeout.next = self.timeout.val();
        self.tags.forget.next = self.forget.val();
        self.tags.claim.next = self.fetch.claim.val();
        self.tags.sent.next = self.fetch.read_valid.val() & self.read_ready.val();
        self.tags.sent_tag.next = self.fetch.read.val().tag;
        self.tags.early_tag.next = self.receive.early_tag.val();
        self.tags.tag.next = self.receive.tag.val();
        self.tags.touch.next = self.receive.touch.val();
        self.tags.ends.next = self.receive.ends.val();
        self.tags.finish.next = self.receive.finish.val();
        self.tags.finish_tag.next = self.receive.finish_tag.val();
        self.tags.finish_failed.next = self.receive.finish_failed.val();
        self.tags.finish_astray.next = self.receive.finish_astray.val();
        self.tags.hold.next = self.receive.hold.val();
        self.tags.hold_tag.next = self.receive.hold_tag.val();
        self.tags.oldest.next = self.retire.tag.val();
        self.tags.releases.next = self.retire.releases.val();

        self.fetch.forget.next = self.forget.val();
        self.fetch.restart.next = self.restart.val();
        self.fetch.clear.next = self.clear.val() | self.reset.val();
        self.fetch.serve.next = self.serve.val() & (!self.forget.val());
        self.fetch.bus_master.next = self.bus_master.val();
        self.fetch.max_read.next = self.max_read.val();
        self.fetch.ring.next = self.ring.val();
        self.fetch.size.next = self.size.val();
        self.fetch.tail.next = self.tail.val();
        self.fetch.descriptor.next = self.unload.descriptor.val();
        self.fetch.descriptor_valid.next = self.unload.descriptor_valid.val();
        self.fetch.tag.next = self.tags.offered.val();
        self.fetch.tag_free.next = self.tags.free.val();
        self.fetch.freed.next = self.unload.freed.val();
        self.fetch.read_ready.next = self.read_ready.val();
        self.fetch.order_ready.next = self.retire.order_ready.val();
        self.read.next = self.fetch.read.val();
        self.read_valid.next = self.fetch.read_valid.val();

        self.receive.forget.next = self.forget.val();
        self.receive.claim.next = self.fetch.claim.val();
        self.receive.claim_tag.next = self.tags.offered.val();
        self.receive.claim_place.next = self.fetch.claim_place.val();
        self.receive.claim_dwords.next = self.fetch.claim_dwords.val();
        self.receive.claim_lower.next = self.fetch.claim_lower.val();
        self.receive.completion_valid.next = self.completion_valid.val();
        self.receive.completion_tag.next = self.completion_tag.val();
        self.receive.completion_failed.next = self.completion_failed.val();
        self.receive.completion_bytes.next = self.completion_bytes.val();
        self.receive.completion_lower.next = self.completion_lower.val();
        self.receive.completion_dwords.next = self.completion_dwords.val();
        self.receive.completion_data.next = self.completion_data.val();
        self.receive.completion_data_valid.next = self.completion_data_valid.val();
        self.receive.completion_data_last.next = self.completion_data_last.val();
        self.receive.waited.next = self.tags.waited.val();
        self.receive.fresh.next = self.tags.fresh.val();
        self.unexpected.next = self.receive.unexpected.val();

        self.reorder.write.next = self.receive.write.val();
        self.reorder.write_both.next = self.receive.write_both.val();
        self.reorder.write_place.next = self.receive.write_place.val();
        self.reorder.write_data.next = self.receive.write_data.val();
        self.reorder.read_place.next = self.unload.read_place.val();

        self.retire.forget.next = self.forget.val();
        self.retire.clear.next = self.clear.val() | self.reset.val();
        self.retire.order.next = self.fetch.order.val();
        self.retire.order_valid.next = self.fetch.order_valid.val();
        self.retire.done.next = self.tags.done.val();
        self.retire.failed.next = self.tags.failed.val();
        self.retire.late.next = self.tags.late.val();
        self.retire.whole_ready.next = self.unload.whole_ready.val();
        self.head.next = self.retire.head.val();
        self.moved.next = self.retire.moved.val();
        self.bad.next = self.retire.bad.val();
        self.error.next = self.retire.error.val();
        self.overdue.next = self.retire.overdue.val();

        self.unload.forget.next = self.forget.val();
        self.unload.restart.next = self.restart.val();
        self.unload.whole.next = self.retire.whole.val();
        self.unload.whole_valid.next = self.retire.whole_valid.val();
        self.unload.read_data.next = self.reorder.read_data.val();
        self.unload.descriptor_ready.next = self.fetch.descriptor_ready.val();
        self.beat.next = self.unload.beat.val();
        self.beat_valid.next = self.unload.beat_valid.val();
        self.unload.beat_ready.next = self.beat_ready.val();

        self.rests.next = self.fetch.idle.val();
        self.sending.next = self.unload.sending.val();
        self.busy.next = (!self.empty.val())
            | self.reset.val()
            | self.flushing.q.val()
            | self.unload.sending.val();
    }
}
