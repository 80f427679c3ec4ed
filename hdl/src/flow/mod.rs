//! Flow table: exact match of the key, first module of the lookups.
//!
//! ```text
//! in ─► hash ─► a: read ─► b: word ─► c: compare ─► d: select ─► FIFO ─► out      steps 17, 18
//!                 └─ stash: compare ─► first ─► read ─┘
//! ```
//!
//! Four ways of 1 024 entries are read in parallel, each at its own hash of the key; eight more
//! entries (the stash) are compared at once, their keys in registers. The lowest way wins, the stash comes last. A packet that the
//! parser decided passes without a lookup. `hold`, both banks and the generation are sampled when the
//! packet enters the FIFO. A packet takes **five clocks**, and one may enter every clock. The pipeline never
//! stops: a packet is let in only when the FIFO has room for all that are on their way.
//!
//! A way does not store the ten low bits of the destination port: each of them is in one mask of the hash
//! alone, so index and stored bits agree exactly when the whole key does. They are worked out again for the host.
//!
//! The host's table operations: `request` (or `stats_request`) is held until `done`, which is high for one
//! clock. Entries are written while no lookup is in flight, both of a pair before the next one enters.
//! Costs 36 EBR for the entries, 16 for the statistics.

mod hash;
mod stats;

use layout::desc::{ACE_BITS, NO_FLOW};
use layout::hash::INDEX_BITS;
use layout::table::{FLOW_STASH, FLOW_WAY_ENTRIES, FLOW_WAYS, FlowEntry, Operation};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::fifo::Reserved;
use crate::parser::Conclude;
use crate::queue::Queue;
use crate::ram::{LutRam, Ram};
use crate::record::{Header, Judged};

pub use hash::Hash;
pub use stats::{Counts, Stats};

/// What the host's table operation is doing.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    Idle,
    Read,
    ReadIndex,
    ReadWord,
    ReadTake,
    ReadHash,
    ReadPort,
    Count,
    Clear,
    ClearSecond,
    Drain,
    Write,
    WriteSecond,
    Done,
    Rest,
}

/// The flow table; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Flow {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Packet from the parser.
    pub in_data: Signal<In, Header>,
    /// `in_data` holds a packet.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// Packet with flow, action, hold, generation and banks.
    pub out_data: Signal<Out, Judged>,
    /// `out_data` holds a packet.
    pub out_valid: Signal<Out, Bit>,
    /// The next stage takes it.
    pub out_ready: Signal<In, Bit>,
    /// `CONTROL.hold`.
    pub hold: Signal<In, Bit>,
    /// `POLICY`: generation.
    pub generation: Signal<In, Bits<8>>,
    /// `POLICY`: live destination bank.
    pub destination_bank: Signal<In, Bit>,
    /// `POLICY`: live ACL bank.
    pub acl_bank: Signal<In, Bit>,
    /// `EPOCH`.
    pub epoch: Signal<In, Bits<8>>,
    /// A frame that hit has passed.
    pub event_valid: Signal<In, Bit>,
    /// Its slot.
    pub event_slot: Signal<In, Bits<13>>,
    /// Its length in bytes.
    pub event_length: Signal<In, Bits<16>>,
    /// It is TCP with FIN.
    pub event_fin: Signal<In, Bit>,
    /// It is TCP with RST.
    pub event_rst: Signal<In, Bit>,
    /// Table operation on `Flow`, held until `done`.
    pub request: Signal<In, Bit>,
    /// Read of `FlowStats`, held until `done`.
    pub stats_request: Signal<In, Bit>,
    /// `layout` `Operation` of `request`.
    pub operation: Signal<In, Bits<2>>,
    /// Slot.
    pub index: Signal<In, Bits<13>>,
    /// Second slot of a pair.
    pub index2: Signal<In, Bits<13>>,
    /// Entry to write.
    pub data: Signal<In, Bits<256>>,
    /// Entry to write at `index2`.
    pub data2: Signal<In, Bits<256>>,
    /// The table operation is done, for one clock.
    pub done: Signal<Out, Bit>,
    /// Entry or statistics read, with `done`.
    pub read_data: Signal<Out, Bits<256>>,
    /// A lookup or an event is under way.
    pub busy: Signal<Out, Bit>,

    hashes: [Hash; FLOW_WAYS],
    /// Of the entry that the host reads: a multiplexer in front of `hashes` would be in the packets' way.
    read_hashes: [Hash; FLOW_WAYS],
    ways: [Ram<Bits<159>, 10>; FLOW_WAYS],
    /// Keys of the stash, with the valid bit above.
    stash_keys: [DFF<Bits<109>>; FLOW_STASH],
    stash: LutRam<Bits<169>, 3>,
    conclude: Conclude,
    counts: Stats,
    queue: Queue,
    fifo: Reserved<Judged, 4, 5>,

    a: DFF<Header>,
    b: DFF<Header>,
    c: DFF<Header>,
    d: DFF<Header>,
    a_valid: DFF<Bit>,
    b_valid: DFF<Bit>,
    c_valid: DFF<Bit>,
    d_valid: DFF<Bit>,
    b_slot: [DFF<Bits<13>>; FLOW_WAYS],
    c_slot: [DFF<Bits<13>>; FLOW_WAYS],
    d_slot: [DFF<Bits<13>>; FLOW_WAYS],
    d_hit: [DFF<Bit>; FLOW_WAYS],
    d_action: [DFF<Bits<60>>; FLOW_WAYS],
    b_stash_hit: [DFF<Bit>; FLOW_STASH],
    c_stash_hit: DFF<Bit>,
    c_stash_place: DFF<Bits<3>>,
    d_stash_hit: DFF<Bit>,
    d_stash_place: DFF<Bits<3>>,

    state: DFF<State>,
    entry: DFF<Bits<169>>,
    /// The entry being written, one clock after the state that says so.
    writing: DFF<Bit>,
    write_index: DFF<Bits<13>>,
    write_entry: DFF<Bits<169>>,
    patience: DFF<Bits<6>>,
    /// A packet may be let in, from the last clock: nothing of the host's is in the way, its statistics have not
    /// waited too long, the FIFO has room. All of the parser looks at it.
    open: DFF<Bit>,
    /// `request` and `stats_request`, one clock later.
    asked: DFF<Bit>,
    asked_stats: DFF<Bit>,
    /// `State::ReadIndex`.
    addresses: DFF<Bit>,

    closes: Signal<Local, Bit>,
    lookup: Signal<Local, Bit>,
    key: Signal<Local, Bits<108>>,
    stored_key: Signal<Local, Bits<98>>,
    read_word: Signal<Local, Bits<159>>,
    read_index: Signal<Local, Bits<10>>,
    port: Signal<Local, Bits<10>>,
    hit: Signal<Local, Bit>,
    slot: Signal<Local, Bits<13>>,
    action: Signal<Local, Bits<60>>,
    judged: Signal<Local, Judged>,
    writes: Signal<Local, Bit>,
    new_index: Signal<Local, Bits<13>>,
    new_entry: Signal<Local, Bits<169>>,
    write_way: Signal<Local, Bits<2>>,
    write_place: Signal<Local, Bits<3>>,
    read_way: Signal<Local, Bits<2>>,

    room: Constant<Bits<5>>,
    read: Constant<Bits<2>>,
    write_pair: Constant<Bits<2>>,
    no_flow: Constant<Bits<13>>,
    no_destination: Constant<Bits<9>>,
    no_ace: Constant<Bits<ACE_BITS>>,
    stash_base: Constant<Bits<13>>,
    one: Constant<Bits<6>>,
    place: [Constant<Bits<3>>; FLOW_STASH],
}

impl Default for Flow {
    fn default() -> Self {
        assert_eq!(
            FlowEntry::BITS,
            169,
            "the ways hold entries without the low port bits"
        );
        assert_eq!(INDEX_BITS, 10, "as many low port bits as an index has");
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            hold: Signal::default(),
            generation: Signal::default(),
            destination_bank: Signal::default(),
            acl_bank: Signal::default(),
            epoch: Signal::default(),
            event_valid: Signal::default(),
            event_slot: Signal::default(),
            event_length: Signal::default(),
            event_fin: Signal::default(),
            event_rst: Signal::default(),
            request: Signal::default(),
            stats_request: Signal::default(),
            operation: Signal::default(),
            index: Signal::default(),
            index2: Signal::default(),
            data: Signal::default(),
            data2: Signal::default(),
            done: Signal::default(),
            read_data: Signal::default(),
            busy: Signal::default(),
            hashes: std::array::from_fn(Hash::new),
            read_hashes: std::array::from_fn(Hash::new),
            ways: Default::default(),
            stash_keys: Default::default(),
            stash: LutRam::default(),
            conclude: Conclude::default(),
            counts: Stats::default(),
            queue: Queue::default(),
            fifo: Reserved::default(),
            a: DFF::default(),
            b: DFF::default(),
            c: DFF::default(),
            d: DFF::default(),
            a_valid: DFF::default(),
            b_valid: DFF::default(),
            c_valid: DFF::default(),
            d_valid: DFF::default(),
            b_slot: Default::default(),
            c_slot: Default::default(),
            d_slot: Default::default(),
            d_hit: Default::default(),
            d_action: Default::default(),
            b_stash_hit: Default::default(),
            c_stash_hit: DFF::default(),
            c_stash_place: DFF::default(),
            d_stash_hit: DFF::default(),
            d_stash_place: DFF::default(),
            state: DFF::default(),
            entry: DFF::default(),
            writing: DFF::default(),
            write_index: DFF::default(),
            write_entry: DFF::default(),
            patience: DFF::default(),
            open: DFF::default(),
            asked: DFF::default(),
            asked_stats: DFF::default(),
            addresses: DFF::default(),
            closes: Signal::default(),
            lookup: Signal::default(),
            key: Signal::default(),
            stored_key: Signal::default(),
            read_word: Signal::default(),
            read_index: Signal::default(),
            port: Signal::default(),
            hit: Signal::default(),
            slot: Signal::default(),
            action: Signal::default(),
            judged: Signal::default(),
            writes: Signal::default(),
            new_index: Signal::default(),
            new_entry: Signal::default(),
            write_way: Signal::default(),
            write_place: Signal::default(),
            read_way: Signal::default(),
            // Sixteen places, less four packets in a to d, the one let in now and the one let in before it was counted.
            room: Constant::new(10_u64.to_bits()),
            read: Constant::new((Operation::Read as u64).to_bits()),
            write_pair: Constant::new((Operation::WritePair as u64).to_bits()),
            no_flow: Constant::new(u64::from(NO_FLOW).to_bits()),
            no_destination: Constant::new(u64::from(layout::desc::NO_DESTINATION).to_bits()),
            no_ace: Constant::new(u64::from(layout::desc::NO_ACE).to_bits()),
            stash_base: Constant::new((FLOW_WAYS * FLOW_WAY_ENTRIES).to_bits()),
            one: Constant::new(1_u64.to_bits()),
            place: std::array::from_fn(|place| Constant::new(place.to_bits())),
        }
    }
}

impl Logic for Flow {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, counts, queue, fifo, stash);
        dff_setup!(self, clock, a, b, c, d, a_valid, b_valid, c_valid, d_valid);
        dff_setup!(
            self,
            clock,
            c_stash_hit,
            c_stash_place,
            d_stash_hit,
            d_stash_place,
            state,
            entry,
            writing,
            write_index,
            write_entry,
            patience,
            open,
            asked,
            asked_stats,
            addresses
        );

        self.asked.d.next = self.request.val();
        self.asked_stats.d.next = self.stats_request.val();

        // The host's operation. Its statistics wait for a gap between events, but not for ever.
        self.done.next = false;
        self.closes.next = false;
        self.writes.next = false;
        self.new_index.next = self.index.val();
        self.new_entry.next = self.data.val().get_bits::<169>(0);
        self.counts.request.next = false;
        self.counts.clear.next = true;
        self.counts.slot.next = self.index.val();
        self.patience.d.next = 0.into();
        match self.state.q.val() {
            State::Idle => {
                if self.asked_stats.q.val() {
                    self.state.d.next = State::Count;
                } else if self.asked.q.val() {
                    if self.operation.val() == self.read.val() {
                        self.state.d.next = State::Read;
                        self.closes.next = true;
                    } else {
                        self.state.d.next = State::Clear;
                    }
                }
            }
            State::Read => {
                self.state.d.next = State::ReadIndex;
            }
            State::ReadIndex => {
                self.state.d.next = State::ReadWord;
            }
            State::ReadWord => {
                self.state.d.next = State::ReadTake;
            }
            State::ReadTake => {
                self.state.d.next = State::ReadHash;
            }
            State::ReadHash => {
                if self.index.val().get_bit(12) {
                    self.state.d.next = State::Done;
                } else {
                    self.state.d.next = State::ReadPort;
                }
            }
            State::ReadPort => {
                self.state.d.next = State::Done;
            }
            State::Count => {
                self.counts.request.next = true;
                self.counts.clear.next = false;
                if self.counts.done.val() {
                    self.state.d.next = State::Done;
                }
            }
            State::Clear => {
                self.counts.request.next = true;
                if self.counts.done.val() {
                    if self.operation.val() == self.write_pair.val() {
                        self.state.d.next = State::ClearSecond;
                    } else {
                        self.state.d.next = State::Drain;
                        self.closes.next = true;
                    }
                }
            }
            State::ClearSecond => {
                self.counts.request.next = true;
                self.counts.slot.next = self.index2.val();
                if self.counts.done.val() {
                    self.state.d.next = State::Drain;
                    self.closes.next = true;
                }
            }
            State::Drain => {
                self.closes.next = true;
                if !self.a_valid.q.val() & !self.b_valid.q.val() & !self.c_valid.q.val() {
                    self.state.d.next = State::Write;
                }
            }
            State::Write => {
                self.writes.next = true;
                if self.operation.val() == self.write_pair.val() {
                    self.state.d.next = State::WriteSecond;
                    self.closes.next = true;
                } else {
                    self.state.d.next = State::Done;
                }
            }
            State::WriteSecond => {
                self.writes.next = true;
                self.new_index.next = self.index2.val();
                self.new_entry.next = self.data2.val().get_bits::<169>(0);
                self.state.d.next = State::Done;
            }
            State::Done => {
                self.done.next = true;
                self.state.d.next = State::Rest;
            }
            // What was asked is still seen as asked.
            State::Rest => {
                self.state.d.next = State::Idle;
            }
        }
        if self.counts.request.val() {
            self.patience.d.next = self.patience.q.val();
            if !self.patience.q.val().all() {
                self.patience.d.next = self.patience.q.val() + self.one.val();
            }
        }

        // A packet let in now reads its way in two clocks, and the stash in one: both after the write.
        self.writing.d.next = self.writes.val();
        self.write_index.d.next = self.new_index.val();
        self.write_entry.d.next = self.new_entry.val();

        // Let a packet in.
        self.open.d.next = !self.closes.val()
            & !self.patience.q.val().all()
            & (self.fifo.count.val() <= self.room.val());
        self.in_ready.next = self.open.q.val();
        self.a.d.next = self.in_data.val();
        self.a_valid.d.next = self.in_valid.val() & self.open.q.val();
        self.conclude.header.next = self.a.q.val();
        self.b.d.next = self.a.q.val();
        self.b.d.next.decided = self.conclude.decided.val();
        self.b.d.next.reason = self.conclude.reason.val();
        self.b_valid.d.next = self.a_valid.q.val();
        self.c.d.next = self.b.q.val();
        self.c_valid.d.next = self.b_valid.q.val();
        self.d.d.next = self.c.q.val();
        self.d_valid.d.next = self.c_valid.q.val();

        // The ways: index in a, word in b, data in c, hit in d.
        self.key.next = self.c.q.val().key;
        self.stored_key.next = self.key.val().get_bits::<98>(10);
        self.addresses.d.next = self.state.q.val() == State::Read;
        self.lookup.next = !(self.c.q.val().decided | self.c.q.val().direct);
        self.write_way.next = self.write_index.q.val().get_bits::<2>(10);
        self.read_way.next = self.index.val().get_bits::<2>(10);
        for i in 0..4 {
            self.hashes[i].clock.next = self.clock.val();
            self.hashes[i].key.next = self.in_data.val().key;
            self.read_hashes[i].clock.next = self.clock.val();
            self.read_hashes[i].key.next = self.entry.q.val().get_bits::<108>(0);
            self.ways[i].clock.next = self.clock.val();
            self.ways[i].read_enable.next = self.a_valid.q.val() | self.addresses.q.val();
            self.ways[i].read_address.next = self.hashes[i].index.val();
            if self.addresses.q.val() {
                self.ways[i].read_address.next = self.index.val().get_bits::<10>(0);
            }
            self.ways[i].write_enable.next = self.writing.q.val()
                & !self.write_index.q.val().get_bit(12)
                & (self.write_way.val() == i.to_bits::<2>());
            self.ways[i].write_address.next = self.write_index.q.val().get_bits::<10>(0);
            self.ways[i].write_data.next = self.write_entry.q.val().get_bits::<159>(10);
            self.b_slot[i].clock.next = self.clock.val();
            self.b_slot[i].d.next = self.hashes[i].slot.val();
            self.c_slot[i].clock.next = self.clock.val();
            self.c_slot[i].d.next = self.b_slot[i].q.val();
            self.d_slot[i].clock.next = self.clock.val();
            self.d_slot[i].d.next = self.c_slot[i].q.val();
            self.d_hit[i].clock.next = self.clock.val();
            self.d_hit[i].d.next = self.lookup.val()
                & self.ways[i].read_data.val().get_bit(98)
                & (self.ways[i].read_data.val().get_bits::<98>(0) == self.stored_key.val());
            self.d_action[i].clock.next = self.clock.val();
            self.d_action[i].d.next = self.ways[i].read_data.val().get_bits::<60>(98);
        }

        // The stash: hits in b, the first of them in c, its entry in d. No packet is in b when the host reads.
        self.write_place.next = self.write_index.q.val().get_bits::<3>(0);
        self.c_stash_hit.d.next = false;
        for i in 0..8 {
            self.stash_keys[i].clock.next = self.clock.val();
            self.stash_keys[i].d.next = self.stash_keys[i].q.val();
            if self.writing.q.val()
                & self.write_index.q.val().get_bit(12)
                & (self.write_place.val() == i.to_bits::<3>())
            {
                self.stash_keys[i].d.next = self.write_entry.q.val().get_bits::<109>(0);
            }
            self.b_stash_hit[i].clock.next = self.clock.val();
            self.b_stash_hit[i].d.next = self.stash_keys[i].q.val().get_bit(108)
                & (self.stash_keys[i].q.val().get_bits::<108>(0) == self.a.q.val().key);
        }
        for i in 0..8 {
            if self.b_stash_hit[7 - i].q.val() {
                self.c_stash_hit.d.next = true;
                self.c_stash_place.d.next = self.place[7 - i].val();
            }
        }
        if self.state.q.val() == State::ReadWord {
            self.c_stash_place.d.next = self.index.val().get_bits::<3>(0);
        }
        self.stash.read_enable.next = true;
        self.stash.forward.next = false;
        self.stash.read_address.next = self.c_stash_place.q.val();
        self.stash.write_enable.next = self.writing.q.val() & self.write_index.q.val().get_bit(12);
        self.stash.write_address.next = self.write_place.val();
        self.stash.write_data.next = self.write_entry.q.val();
        self.d_stash_hit.d.next = self.lookup.val() & self.c_stash_hit.q.val();
        self.d_stash_place.d.next = self.c_stash_place.q.val();

        // Select; the last assignment wins, so the lowest way comes last.
        self.hit.next = self.d_stash_hit.q.val();
        self.slot.next = self.no_flow.val();
        self.action.next = 0.into();
        if self.d_stash_hit.q.val() {
            self.slot.next = bit_cast::<13, 3>(self.d_stash_place.q.val()) | self.stash_base.val();
            self.action.next = self.stash.read_data.val().get_bits::<60>(108);
        }
        for i in 0..4 {
            if self.d_hit[3 - i].q.val() {
                self.hit.next = true;
                self.slot.next = self.d_slot[3 - i].q.val();
                self.action.next = self.d_action[3 - i].q.val();
            }
        }
        self.judged.next.key = self.d.q.val().key;
        self.judged.next.decided = self.d.q.val().decided;
        self.judged.next.reason = self.d.q.val().reason;
        self.judged.next.tcp = self.d.q.val().tcp;
        self.judged.next.udp = self.d.q.val().udp;
        self.judged.next.icmp = self.d.q.val().icmp;
        self.judged.next.fin = self.d.q.val().fin;
        self.judged.next.syn = self.d.q.val().syn;
        self.judged.next.rst = self.d.q.val().rst;
        self.judged.next.ack = self.d.q.val().ack;
        self.judged.next.ip_checksum = self.d.q.val().ip_checksum;
        self.judged.next.l4_checksum = self.d.q.val().l4_checksum;
        self.judged.next.tagged = self.d.q.val().tagged;
        self.judged.next.port = self.d.q.val().port;
        self.judged.next.interface = self.d.q.val().interface;
        self.judged.next.reinjected = self.d.q.val().reinjected;
        self.judged.next.direct = self.d.q.val().direct;
        self.judged.next.hit = self.hit.val();
        self.judged.next.flow = self.slot.val();
        self.judged.next.action = self.action.val();
        self.judged.next.hold = self.hold.val();
        self.judged.next.generation = self.generation.val();
        self.judged.next.destination = self.no_destination.val();
        self.judged.next.local = false;
        self.judged.next.ace = self.no_ace.val();
        self.judged.next.permit = false;
        self.judged.next.destination_bank = self.destination_bank.val();
        self.judged.next.acl_bank = self.acl_bank.val();
        // From the key as it came in: all packets of a flow, the first one too, go to one ring.
        self.queue.enable.next = true;
        self.queue.key.next = self.key.val();
        self.queue.decided.next = self.c.q.val().decided;
        self.judged.next.queue = self.queue.queue.val();
        self.judged.next.searches =
            !(self.d.q.val().decided | self.d.q.val().direct | self.hit.val() | self.hold.val());

        self.fifo.in_data.next = self.judged.val();
        self.fifo.in_valid.next = self.d_valid.q.val();
        self.fifo.out_ready.next = self.out_ready.val();
        self.out_data.next = self.fifo.out_data.val();
        self.out_valid.next = self.fifo.out_valid.val();

        // What the host reads: an entry of the stash, or the word of a way and then its low port bits.
        self.read_word.next = 0.into();
        self.read_index.next = 0.into();
        for i in 0..4 {
            if self.read_way.val() == i.to_bits::<2>() {
                self.read_word.next = self.ways[i].read_data.val();
                self.read_index.next = self.read_hashes[i].index.val();
            }
        }
        self.port.next = self.read_index.val() ^ self.index.val().get_bits::<10>(0);
        if self.state.q.val() == State::ReadTake {
            self.entry.d.next = bit_cast::<169, 159>(self.read_word.val()) << 10;
        }
        if (self.state.q.val() == State::ReadHash) & self.index.val().get_bit(12) {
            self.entry.d.next = self.stash.read_data.val();
        }
        if (self.state.q.val() == State::ReadPort) & self.entry.q.val().get_bit(108) {
            self.entry.d.next = self.entry.q.val() | bit_cast::<169, 10>(self.port.val());
        }
        if self.counts.done.val() {
            self.entry.d.next = bit_cast::<169, 72>(self.counts.counts.val());
        }
        self.read_data.next = bit_cast::<256, 169>(self.entry.q.val());

        self.counts.epoch.next = self.epoch.val();
        self.counts.event_valid.next = self.event_valid.val();
        self.counts.event_slot.next = self.event_slot.val();
        self.counts.event_length.next = self.event_length.val();
        self.counts.event_fin.next = self.event_fin.val();
        self.counts.event_rst.next = self.event_rst.val();
        self.busy.next = self.a_valid.q.val()
            | self.b_valid.q.val()
            | self.c_valid.q.val()
            | self.d_valid.q.val()
            | self.fifo.out_valid.val()
            | self.counts.busy.val();
    }
}
