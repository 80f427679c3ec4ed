//! What the link brings: requests for the completer, completions for the dma block, the rest is counted.
//!
//! ```text
//! link ─► skid ─► align ─┬► classify ─► judge ─┬► requests ─► completer
//!                        └► payload ───────────┼► store ────► completer
//!                                              └► store ────► deliver ─► dma
//! ```
//!
//! A TLP is judged when it has ended, since only then its length is known; until then its payload is kept apart.
//! Beats are taken every clock until 28 requests wait for the completer or its store is full; completions do not
//! wait for anyone, unless they come without payload and many at once. Latency from the last beat four clocks to a
//! request, nine to the first payload. Costs four block RAMs and about 1200 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::align::Align;
use super::classify::Classify;
use super::deliver::Deliver;
use super::store::Store;
use super::tlp::{Class, Completion, Request, RxBeat};
use crate::fifo::Fifo;
use crate::skid::Skid;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Receive {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat from the link.
    pub beat: Signal<In, RxBeat>,
    /// It is offered.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// Requester that the card is.
    pub identifier: Signal<In, Bits<16>>,
    /// Oldest request.
    pub request: Signal<Out, Request>,
    /// It is there, with all its payload on the way.
    pub request_valid: Signal<Out, Bit>,
    /// It is done.
    pub request_ready: Signal<In, Bit>,
    /// Payload of the writes among the requests, two DWs at a time.
    pub payload: Signal<Out, Bits<64>>,
    /// It is there.
    pub payload_valid: Signal<Out, Bit>,
    /// It is taken.
    pub payload_ready: Signal<In, Bit>,
    /// A completion, for one clock.
    pub completion_valid: Signal<Out, Bit>,
    /// What it says.
    pub completion: Signal<Out, Completion>,
    /// Its payload.
    pub completion_data: Signal<Out, Bits<64>>,
    /// Payload is there.
    pub completion_data_valid: Signal<Out, Bit>,
    /// The last of it.
    pub completion_data_last: Signal<Out, Bit>,
    /// A request is not supported, for one clock.
    pub unsupported: Signal<Out, Bit>,
    /// A request ends beyond BAR0, for one clock.
    pub aborted: Signal<Out, Bit>,
    /// A TLP is malformed or a poisoned write, for one clock.
    pub bad: Signal<Out, Bit>,
    /// A completion cannot be one of the card's requests, for one clock.
    pub unexpected: Signal<Out, Bit>,
    skid: Skid<RxBeat>,
    align: Align,
    classify: Classify,
    requests: Fifo<Request, 5, 6>,
    writes: Store,
    deliver: Deliver,
    nature: DFF<Class>,
    word1: DFF<Bits<32>>,
    word2: DFF<Bits<32>>,
    labels: DFF<Bits<24>>,
    address: DFF<Bits<14>>,
    dwords: DFF<Bits<11>>,
    operand: DFF<Bits<11>>,
    expected: DFF<Bits<12>>,
    beats: DFF<Bits<10>>,
    full: DFF<Bit>,
    unsupported_event: DFF<Bit>,
    aborted_event: DFF<Bit>,
    bad_event: DFF<Bit>,
    unexpected_event: DFF<Bit>,
    takes: Signal<Local, Bit>,
    head_class: Signal<Local, Class>,
    word0: Signal<Local, Bits<32>>,
    header_words: Signal<Local, Bits<12>>,
    payload_words: Signal<Local, Bits<12>>,
    rounded: Signal<Local, Bits<11>>,
    total: Signal<Local, Bits<12>>,
    with_digest: Signal<Local, Bits<12>>,
    agrees: Signal<Local, Bit>,
    sound: Signal<Local, Bit>,
    spoilt: Signal<Local, Bit>,
    is_bad: Signal<Local, Bit>,
    in_bar: Signal<Local, Bit>,
    is_aborted: Signal<Local, Bit>,
    is_unsupported: Signal<Local, Bit>,
    is_unexpected: Signal<Local, Bit>,
    is_answer: Signal<Local, Bit>,
    is_memory: Signal<Local, Bit>,
    serves: Signal<Local, Bit>,
    posted: Signal<Local, Bit>,
    stores: Signal<Local, Bit>,
    wanted: Signal<Local, Bit>,
    three: Constant<Bits<12>>,
    four: Constant<Bits<12>>,
    one: Constant<Bits<12>>,
    no_words: Constant<Bits<12>>,
    half: Constant<Bits<11>>,
    first_place: Constant<Bits<14>>,
    all_bytes: Constant<Bits<4>>,
    most_requests: Constant<Bits<6>>,
    longest: Constant<Bits<11>>,
    success: Constant<Bits<3>>,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            beat: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            identifier: Signal::default(),
            request: Signal::default(),
            request_valid: Signal::default(),
            request_ready: Signal::default(),
            payload: Signal::default(),
            payload_valid: Signal::default(),
            payload_ready: Signal::default(),
            completion_valid: Signal::default(),
            completion: Signal::default(),
            completion_data: Signal::default(),
            completion_data_valid: Signal::default(),
            completion_data_last: Signal::default(),
            unsupported: Signal::default(),
            aborted: Signal::default(),
            bad: Signal::default(),
            unexpected: Signal::default(),
            skid: Skid::default(),
            align: Align::default(),
            classify: Classify::default(),
            requests: Fifo::default(),
            writes: Store::default(),
            deliver: Deliver::default(),
            nature: DFF::default(),
            word1: DFF::default(),
            word2: DFF::default(),
            labels: DFF::default(),
            address: DFF::default(),
            dwords: DFF::default(),
            operand: DFF::default(),
            expected: DFF::default(),
            beats: DFF::default(),
            full: DFF::default(),
            unsupported_event: DFF::default(),
            aborted_event: DFF::default(),
            bad_event: DFF::default(),
            unexpected_event: DFF::default(),
            takes: Signal::default(),
            head_class: Signal::default(),
            word0: Signal::default(),
            header_words: Signal::default(),
            payload_words: Signal::default(),
            rounded: Signal::default(),
            total: Signal::default(),
            with_digest: Signal::default(),
            agrees: Signal::default(),
            sound: Signal::default(),
            spoilt: Signal::default(),
            is_bad: Signal::default(),
            in_bar: Signal::default(),
            is_aborted: Signal::default(),
            is_unsupported: Signal::default(),
            is_unexpected: Signal::default(),
            is_answer: Signal::default(),
            is_memory: Signal::default(),
            serves: Signal::default(),
            posted: Signal::default(),
            stores: Signal::default(),
            wanted: Signal::default(),
            three: Constant::new(3_u64.to_bits()),
            four: Constant::new(4_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            no_words: Constant::new(0_u64.to_bits()),
            half: Constant::new(1_u64.to_bits()),
            first_place: Constant::new(0_u64.to_bits()),
            all_bytes: Constant::new(15_u64.to_bits()),
            most_requests: Constant::new(28_u64.to_bits()),
            longest: Constant::new((LONGEST_READ).to_bits()),
            success: Constant::new(0_u64.to_bits()),
        }
    }
}

/// DWs of the longest read the dma block makes.
const LONGEST_READ: u64 = 128;

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            nature,
            word1,
            word2,
            labels,
            address,
            dwords,
            operand,
            expected,
            beats,
            full,
            unsupported_event,
            aborted_event,
            bad_event,
            unexpected_event
        );
        clock!(self, clock, skid, align, requests, writes, deliver);

        // A write may fill the store to its end, if nothing is in its way.
        self.skid.in_data.next = self.beat.val();
        self.skid.in_valid.next = self.valid.val();
        self.ready.next = self.skid.in_ready.val();
        self.full.d.next =
            (self.requests.count.val() >= self.most_requests.val()) | self.deliver.full.val();
        self.takes.next = (!self.full.q.val())
            & ((!self.writes.tight.val()) | (self.writes.alone.val() & (!self.align.ending.val())));
        self.skid.out_ready.next = self.takes.val();
        self.align.beat.next = self.skid.out_data.val();
        self.align.valid.next = self.skid.out_valid.val() & self.takes.val();

        // The header.
        self.classify.head.next = self.align.head.val();
        self.classify.identifier.next = self.identifier.val();
        self.head_class.next = self.classify.nature.val();
        self.word0.next = self.align.head.val().word0;
        self.header_words.next = self.three.val();
        if self.head_class.val().four {
            self.header_words.next = self.four.val();
        }
        self.payload_words.next = self.no_words.val();
        if self.head_class.val().payload {
            self.payload_words.next = bit_cast::<12, 11>(self.classify.dwords.val());
        }
        self.rounded.next = self.classify.dwords.val() + self.half.val();
        if self.align.head_valid.val() {
            self.nature.d.next = self.classify.nature.val();
            self.word1.d.next = self.align.head.val().word1;
            self.word2.d.next = self.align.head.val().word2;
            self.labels.d.next = self.word0.val().get_bits::<24>(0);
            self.address.d.next = self.classify.address.val();
            self.dwords.d.next = self.classify.dwords.val();
            self.operand.d.next = self.classify.operand.val();
            self.expected.d.next = self.header_words.val() + self.payload_words.val();
            self.beats.d.next = self.rounded.val().get_bits::<10>(1);
        }

        // The payload, as far as the header tells of it.
        self.in_bar.next = self.nature.q.val().bar0 & (!self.nature.q.val().beyond);
        self.serves.next = self.nature.q.val().memory
            & self.in_bar.val()
            & (!self.nature.q.val().crosses)
            & (!self.nature.q.val().poisoned);
        self.stores.next = self.serves.val() & self.nature.q.val().payload;
        self.writes.data.next = self.align.data.val();
        self.writes.write.next = self.stores.val()
            & self.align.data_valid.val()
            & (self.writes.written.val() != self.beats.q.val());
        self.wanted.next = self.nature.q.val().completion
            & self.nature.q.val().payload
            & self.nature.q.val().ours
            & (self.dwords.q.val() <= self.longest.val());
        self.deliver.data.next = self.align.data.val();
        self.deliver.write.next = self.wanted.val()
            & self.align.data_valid.val()
            & (self.deliver.written.val() != self.beats.q.val());

        // The end.
        self.total.next = bit_cast::<12, 11>(self.align.total.val());
        self.with_digest.next = self.expected.q.val() + self.one.val();
        self.agrees.next = (self.total.val() == self.expected.q.val())
            | (self.nature.q.val().digest & (self.total.val() == self.with_digest.val()));
        self.sound.next =
            (!self.align.short.val()) & self.agrees.val() & (!self.nature.q.val().unknown);
        // A write that is poisoned, or crosses a page and not the end of BAR0.
        self.spoilt.next = self.nature.q.val().memory
            & (self.nature.q.val().poisoned
                | (self.nature.q.val().crosses
                    & (!(self.nature.q.val().bar0 & self.nature.q.val().beyond))));
        self.is_memory.next = self.nature.q.val().memory & self.sound.val() & (!self.spoilt.val());
        self.is_bad.next = (!self.sound.val()) | self.spoilt.val();
        self.is_aborted.next =
            self.is_memory.val() & self.nature.q.val().bar0 & self.nature.q.val().beyond;
        self.is_answer.next =
            self.nature.q.val().locked | self.nature.q.val().register | self.nature.q.val().atomic;
        self.is_unsupported.next = (self.is_memory.val() & (!self.nature.q.val().bar0))
            | (self.sound.val() & (self.is_answer.val() | self.nature.q.val().message));
        self.is_unexpected.next = self.sound.val()
            & (self.nature.q.val().locked_completion
                | (self.nature.q.val().completion
                    & ((!self.nature.q.val().ours)
                        | (self.nature.q.val().payload & (!self.wanted.val())))));
        self.bad_event.d.next = self.align.ended.val() & self.is_bad.val();
        self.aborted_event.d.next = self.align.ended.val() & self.is_aborted.val();
        self.unsupported_event.d.next = self.align.ended.val() & self.is_unsupported.val();
        self.unexpected_event.d.next = self.align.ended.val() & self.is_unexpected.val();
        self.bad.next = self.bad_event.q.val();
        self.aborted.next = self.aborted_event.q.val();
        self.unsupported.next = self.unsupported_event.q.val();
        self.unexpected.next = self.unexpected_event.q.val();

        // To the completer: what is served, and what wants an answer.
        self.posted.next = self.nature.q.val().memory & self.nature.q.val().payload;
        self.requests.in_valid.next = self.align.ended.val()
            & ((self.sound.val() & self.is_answer.val())
                | (self.is_memory.val() & (self.serves.val() | (!self.posted.val()))));
        self.requests.in_data.next.read = self.serves.val() & (!self.nature.q.val().payload);
        self.requests.in_data.next.write = self.stores.val();
        self.requests.in_data.next.aborted = self.nature.q.val().memory & self.nature.q.val().bar0;
        self.requests.in_data.next.locked = self.nature.q.val().locked;
        self.requests.in_data.next.requester = self.word1.q.val().get_bits::<16>(16);
        self.requests.in_data.next.tag = self.word1.q.val().get_bits::<8>(8);
        self.requests.in_data.next.traffic = self.labels.q.val().get_bits::<3>(20);
        self.requests.in_data.next.attributes =
            (bit_cast::<3, 1>(self.labels.q.val().get_bits::<1>(18)) << 2)
                | bit_cast::<3, 2>(self.labels.q.val().get_bits::<2>(12));
        if self.nature.q.val().memory | self.nature.q.val().locked {
            self.requests.in_data.next.address = self.address.q.val();
            self.requests.in_data.next.dwords = self.dwords.q.val();
            self.requests.in_data.next.first = self.word1.q.val().get_bits::<4>(0);
            self.requests.in_data.next.final_enables = self.word1.q.val().get_bits::<4>(4);
        } else {
            self.requests.in_data.next.address = self.first_place.val();
            self.requests.in_data.next.dwords = self.operand.q.val();
            self.requests.in_data.next.first = self.all_bytes.val();
            self.requests.in_data.next.final_enables = self.all_bytes.val();
        }
        self.writes.keep.next = self.align.ended.val() & self.is_memory.val() & self.stores.val();
        self.writes.forget.next = self.align.ended.val() & (!self.writes.keep.val());
        self.request.next = self.requests.out_data.val();
        self.request_valid.next = self.requests.out_valid.val();
        self.requests.out_ready.next = self.request_ready.val();
        self.payload.next = self.writes.out_data.val();
        self.payload_valid.next = self.writes.out_valid.val();
        self.writes.out_ready.next = self.payload_ready.val();

        // To the dma block.
        self.deliver.ended.next = self.align.ended.val();
        self.deliver.keep.next = self.align.ended.val()
            & self.sound.val()
            & self.nature.q.val().completion
            & (!self.is_unexpected.val());
        self.deliver.head.next.tag = self.word2.q.val().get_bits::<5>(8);
        self.deliver.head.next.failed = self.nature.q.val().poisoned
            | (!self.nature.q.val().payload)
            | (self.word1.q.val().get_bits::<3>(13) != self.success.val());
        self.deliver.head.next.bytes = self.word1.q.val().get_bits::<12>(0);
        self.deliver.head.next.lower = self.word2.q.val().get_bits::<7>(0);
        self.deliver.payload.next = self.nature.q.val().payload;
        self.deliver.head.next.dwords = self.dwords.q.val().get_bits::<10>(0);
        self.completion_valid.next = self.deliver.valid.val();
        self.completion.next = self.deliver.completion.val();
        self.completion_data.next = self.deliver.out_data.val();
        self.completion_data_valid.next = self.deliver.out_valid.val();
        self.completion_data_last.next = self.deliver.out_last.val();
    }
}
