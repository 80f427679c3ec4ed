//! Access-control list: ordered match of the key, last module of the lookups.
//!
//! ```text
//! in ─┬─► queue ────────────────────────────────────────────────────────────────┬─► out      step 20
//!     └─► keys ─► page 0, 1, … ─► strides ─► AND ─► AND ─► encoder ─► hits ─► results
//!                     p0          p1  p2     p3     p4     p5 p6      3 clocks
//!                     └─► pages ─► ranges ────────────┘
//! ```
//!
//! A page is 36 slots, compared in one clock: 19 nibbles of interface, protocol, source and destination address
//! are looked up in a block RAM each (row {page, nibble}, one bit a slot), the ports are compared with the ranges of
//! every lane, and the AND of it all and the live valid map leaves the slots that match. Pages come in order, so the
//! first page with a match wins, and ends the lookup. The next lookup begins behind the last page without waiting
//! for the result: **33 clocks** a lookup at worst, 46 from in to out. A packet that needs no lookup passes in **one clock**
//! when nothing is in front of it; results and packets keep their order.
//!
//! An entry is written between two lookups (23 clocks: 16 rows read, changed in one bit, written back, in all strides at
//! once), so a lookup sees all of it or nothing. `request`, `map_request` and `hits_request` are held until `done`,
//! which is high for one clock. Costs 25 EBR, and 36 lanes of ranges in LUT RAM.

mod encoder;
mod entry;
mod hits;
mod pages;
mod range;

use layout::desc::{ACE_BITS, NO_ACE};
use layout::table::{ACL_LANES, ACL_PAGE_BITS, ACL_PAGES, ACL_SLOT_BITS, AclEntry};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::fifo::Reserved;
use crate::ram::{LutRam, Ram};
use crate::record::Judged;

pub use encoder::Encoder;
pub use entry::{Entry, Fields, Found, Lookup, Ranges};
pub use hits::Hits;
pub use pages::Pages;
pub use range::Range;

/// Groups of lanes that share a count of pages.
const GROUPS: usize = 9;

/// Nibbles of interface, protocol and both addresses.
const STRIDES: usize = 19;
/// Bits of the address of a row: page and nibble.
const ROW_BITS: usize = ACL_PAGE_BITS + 4;
/// Bits of the address of a page's valid map: page and bank.
const MAP_BITS: usize = ACL_PAGE_BITS + 1;

/// What the host's table operation is doing.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    Idle,
    Divide,
    Wait,
    Expand,
    Clear,
    Map,
    Read,
    Done,
}

/// A page on its way to the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct Page {
    valid: Bit,
    /// Which of two lookups in flight.
    tag: Bit,
    last: Bit,
    number: Bits<ACL_PAGE_BITS>,
}

/// Address of a word of the valid maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct MapAddress {
    page: Bits<ACL_PAGE_BITS>,
    bank: Bit,
}

/// The access-control list; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Acl {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Packet from the destination lookup.
    pub in_data: Signal<In, Judged>,
    /// `in_data` holds a packet.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// The packet, with `ace` and `permit`.
    pub out_data: Signal<Out, Judged>,
    /// `out_data` holds a packet.
    pub out_valid: Signal<Out, Bit>,
    /// The next stage takes it.
    pub out_ready: Signal<In, Bit>,
    /// Write of an entry (`Acl`), held until `done`.
    pub request: Signal<In, Bit>,
    /// Write of a page of a valid map (`AclValid`), held until `done`.
    pub map_request: Signal<In, Bit>,
    /// Read of a counter (`AclHits`), held until `done`.
    pub hits_request: Signal<In, Bit>,
    /// Slot, or bank * `ACL_PAGES` + page.
    pub index: Signal<In, Bits<13>>,
    /// Entry or lanes to write.
    pub data: Signal<In, Bits<256>>,
    /// The table operation is done, for one clock.
    pub done: Signal<Out, Bit>,
    /// The counter, with `done`.
    pub read_data: Signal<Out, Bits<256>>,
    /// A packet is here.
    pub busy: Signal<Out, Bit>,

    /// Packets; one that `searches` waits for a result.
    queue: Reserved<Judged, 4, 5>,
    keys: Reserved<Lookup, 4, 5>,
    results: Reserved<Found, 4, 5>,
    strides: [Ram<Bits<36>, ROW_BITS>; STRIDES],
    pages: [Pages; GROUPS],
    ranges: [Range; ACL_LANES],
    maps: LutRam<Bits<36>, MAP_BITS>,
    encoder: Encoder,
    hits: Hits,
    page: DFF<Bits<ACL_PAGE_BITS>>,
    current: DFF<Lookup>,
    current_valid: DFF<Bit>,
    /// What joins the keys, one clock behind its packet.
    new_key: DFF<Lookup>,
    new_key_valid: DFF<Bit>,
    /// There is hardly room in the queue, from the last clock. Keys and results are never more than packets.
    crowded: DFF<Bit>,
    /// The current key is to have no more pages.
    stop: DFF<Bit>,
    /// The writer wants the rows, or has them.
    wanted: DFF<Bit>,
    issue_tag: DFF<Bit>,
    collect_tag: DFF<Bit>,
    p1: DFF<Page>,
    p2: DFF<Page>,
    p3: DFF<Page>,
    p4: DFF<Page>,
    p5: DFF<Page>,
    p6: DFF<Page>,
    /// The current key had no more pages.
    p1_advance: DFF<Bit>,
    p2_sport: DFF<Bits<16>>,
    p2_dport: DFF<Bits<16>>,
    p2_map: DFF<Bits<36>>,
    p3_low: DFF<Bits<36>>,
    p3_dst: DFF<Bits<36>>,
    p3_src: DFF<Bits<36>>,
    p3_high: DFF<Bits<36>>,
    p3_rest: DFF<Bits<36>>,
    p4_match: DFF<Bits<36>>,
    p6_base: DFF<Bits<ACL_SLOT_BITS>>,
    count: DFF<Bits<64>>,
    state: DFF<State>,
    step: DFF<Bits<5>>,
    write_page: DFF<Bits<ACL_PAGE_BITS>>,
    /// The same for the lanes of a group, when the entry is in one of them.
    group_page: [DFF<Bits<ACL_PAGE_BITS>>; GROUPS],
    /// `State::Clear`, one clock later: ranges are written in every corner of the device.
    storing: DFF<Bit>,
    rest: DFF<Bits<13>>,
    lane: DFF<Bits<36>>,
    row_nibble: DFF<Bits<4>>,
    row_writes: DFF<Bit>,
    row_matches: [DFF<Bit>; STRIDES],

    needed: Signal<Local, Bit>,
    waits: Signal<Local, Bit>,
    key: Signal<Local, Bits<108>>,
    fields: Signal<Local, Fields>,
    lookup: Signal<Local, Lookup>,
    issue: Signal<Local, Bit>,
    scanned: Signal<Local, Bit>,
    advance: Signal<Local, Bit>,
    ended: Signal<Local, Bit>,
    probe: Signal<Local, Page>,
    nibbles: Signal<Local, Bits<76>>,
    nibble: Signal<Local, Bits<4>>,
    base: Signal<Local, Bits<ROW_BITS>>,
    address: Signal<Local, Bits<ROW_BITS>>,
    map_read: Signal<Local, MapAddress>,
    ports: Signal<Local, Bits<36>>,
    wide_page: Signal<Local, Bits<ACL_SLOT_BITS>>,
    raw: Signal<Local, Bits<217>>,
    entry: Signal<Local, Entry>,
    value_fields: Signal<Local, Fields>,
    mask_fields: Signal<Local, Fields>,
    value: Signal<Local, Bits<76>>,
    mask: Signal<Local, Bits<76>>,
    new_ranges: Signal<Local, Ranges>,
    behind: Signal<Local, Bits<5>>,
    remainder: Signal<Local, Bits<6>>,
    write_nibble: Signal<Local, Bits<4>>,
    write_base: Signal<Local, Bits<ROW_BITS>>,
    write_address: Signal<Local, Bits<ROW_BITS>>,
    differs: Signal<Local, Bits<4>>,
    found: Signal<Local, Found>,
    result: Signal<Local, Found>,

    room: Constant<Bits<5>>,
    no_ace: Constant<Bits<ACE_BITS>>,
    last_page: Constant<Bits<ACL_PAGE_BITS>>,
    next_page: Constant<Bits<ACL_PAGE_BITS>>,
    next_step: Constant<Bits<5>>,
    page_lanes: Constant<Bits<13>>,
    lane_zero: Constant<Bits<36>>,
    expand_end: Constant<Bits<5>>,
    weights: [Constant<Bits<36>>; ACL_LANES],
}

// The kernel gives every group four lanes.
const _: () = assert!(GROUPS * 4 == ACL_LANES);

impl Default for Acl {
    fn default() -> Self {
        assert_eq!(AclEntry::BITS, Entry::BITS);
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            request: Signal::default(),
            map_request: Signal::default(),
            hits_request: Signal::default(),
            index: Signal::default(),
            data: Signal::default(),
            done: Signal::default(),
            read_data: Signal::default(),
            busy: Signal::default(),
            queue: Reserved::default(),
            keys: Reserved::default(),
            results: Reserved::default(),
            strides: Default::default(),
            pages: std::array::from_fn(|_| Pages::default()),
            ranges: std::array::from_fn(|_| Range::default()),
            maps: LutRam::default(),
            encoder: Encoder::default(),
            hits: Hits::default(),
            page: DFF::default(),
            current: DFF::default(),
            current_valid: DFF::default(),
            new_key: DFF::default(),
            new_key_valid: DFF::default(),
            crowded: DFF::default(),
            stop: DFF::default(),
            wanted: DFF::default(),
            issue_tag: DFF::default(),
            collect_tag: DFF::default(),
            p1: DFF::default(),
            p2: DFF::default(),
            p3: DFF::default(),
            p4: DFF::default(),
            p5: DFF::default(),
            p6: DFF::default(),
            p1_advance: DFF::default(),
            p2_sport: DFF::default(),
            p2_dport: DFF::default(),
            p2_map: DFF::default(),
            p3_low: DFF::default(),
            p3_dst: DFF::default(),
            p3_src: DFF::default(),
            p3_high: DFF::default(),
            p3_rest: DFF::default(),
            p4_match: DFF::default(),
            p6_base: DFF::default(),
            count: DFF::default(),
            state: DFF::default(),
            step: DFF::default(),
            write_page: DFF::default(),
            group_page: Default::default(),
            storing: DFF::default(),
            rest: DFF::default(),
            lane: DFF::default(),
            row_nibble: DFF::default(),
            row_writes: DFF::default(),
            row_matches: Default::default(),
            needed: Signal::default(),
            waits: Signal::default(),
            key: Signal::default(),
            fields: Signal::default(),
            lookup: Signal::default(),
            issue: Signal::default(),
            scanned: Signal::default(),
            advance: Signal::default(),
            ended: Signal::default(),
            probe: Signal::default(),
            nibbles: Signal::default(),
            nibble: Signal::default(),
            base: Signal::default(),
            address: Signal::default(),
            map_read: Signal::default(),
            ports: Signal::default(),
            wide_page: Signal::default(),
            raw: Signal::default(),
            entry: Signal::default(),
            value_fields: Signal::default(),
            mask_fields: Signal::default(),
            value: Signal::default(),
            mask: Signal::default(),
            new_ranges: Signal::default(),
            behind: Signal::default(),
            remainder: Signal::default(),
            write_nibble: Signal::default(),
            write_base: Signal::default(),
            write_address: Signal::default(),
            differs: Signal::default(),
            found: Signal::default(),
            result: Signal::default(),
            // Sixteen places, less the packet let in now and the one let in before it was counted.
            room: Constant::new(14_u64.to_bits()),
            no_ace: Constant::new(u64::from(NO_ACE).to_bits()),
            last_page: Constant::new((ACL_PAGES - 1).to_bits()),
            next_page: Constant::new(1_u64.to_bits()),
            next_step: Constant::new(1_u64.to_bits()),
            page_lanes: Constant::new(ACL_LANES.to_bits()),
            lane_zero: Constant::new(1_u64.to_bits()),
            expand_end: Constant::new(17_u64.to_bits()),
            weights: std::array::from_fn(|lane| Constant::new((1_u64 << lane).to_bits())),
        }
    }
}

impl Logic for Acl {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, queue, keys, results, maps, encoder, hits);
        dff_setup!(
            self,
            clock,
            page,
            current,
            current_valid,
            crowded,
            stop,
            wanted,
            issue_tag,
            collect_tag,
            p1,
            p2,
            p3,
            p4,
            p5,
            p6
        );
        dff_setup!(
            self, clock, p1_advance, p2_sport, p2_dport, p2_map, p3_low, p3_dst, p3_src, p3_high,
            p3_rest
        );
        dff_setup!(
            self,
            clock,
            p4_match,
            p6_base,
            count,
            state,
            step,
            write_page,
            storing,
            rest,
            lane,
            row_nibble,
            row_writes,
            new_key,
            new_key_valid
        );

        // A packet joins the queue, what is looked up of it joins the keys.
        self.key.next = self.in_data.val().key;
        self.needed.next = self.in_data.val().searches & !self.in_data.val().local;
        self.fields.next.dst = self.key.val().get_bits::<32>(32);
        self.fields.next.src = self.key.val().get_bits::<32>(64);
        self.fields.next.proto = self.key.val().get_bits::<8>(96);
        self.fields.next.interface = self.key.val().get_bits::<4>(104);
        self.lookup.next.dport = self.key.val().get_bits::<16>(0);
        self.lookup.next.sport = self.key.val().get_bits::<16>(16);
        self.lookup.next.fields = self.fields.val().into();
        self.lookup.next.bank = self.in_data.val().acl_bank;
        self.queue.in_data.next = self.in_data.val();
        self.queue.in_data.next.searches = self.needed.val();
        self.queue.in_valid.next = self.in_valid.val() & !self.crowded.q.val();
        self.new_key.d.next = self.lookup.val();
        self.new_key_valid.d.next = self.in_valid.val() & !self.crowded.q.val() & self.needed.val();
        self.keys.in_data.next = self.new_key.q.val();
        self.keys.in_valid.next = self.new_key_valid.q.val();
        self.crowded.d.next = self.queue.count.val() > self.room.val();
        self.in_ready.next = !self.crowded.q.val();

        // p0: a page of the current key. Between two keys the writer may have the rows.
        self.keys.out_ready.next = !self.current_valid.q.val() & !self.wanted.q.val();
        if !self.current_valid.q.val() & !self.wanted.q.val() {
            self.current.d.next = self.keys.out_data.val();
            self.current_valid.d.next = self.keys.out_valid.val();
        }
        self.issue.next = self.current_valid.q.val();
        self.ended.next = self.p6.q.val().valid
            & (self.p6.q.val().tag == self.collect_tag.q.val())
            & (self.p6.q.val().last | self.encoder.found.val());
        self.scanned.next = self.issue.val() & (self.page.q.val() == self.last_page.val());
        self.stop.d.next = self.ended.val()
            & (self.issue_tag.q.val() == self.collect_tag.q.val())
            & !self.scanned.val();
        self.advance.next = self.scanned.val() | self.stop.q.val();
        if self.advance.val() {
            self.page.d.next = 0.into();
            self.current_valid.d.next = false;
            self.issue_tag.d.next = !self.issue_tag.q.val();
        } else if self.issue.val() {
            self.page.d.next = self.page.q.val() + self.next_page.val();
        }
        self.probe.next.valid = self.issue.val();
        self.probe.next.tag = self.issue_tag.q.val();
        self.probe.next.last = self.page.q.val() == self.last_page.val();
        self.probe.next.number = self.page.q.val();
        self.p1.d.next = self.probe.val();
        self.p2.d.next = self.p1.q.val();
        self.p3.d.next = self.p2.q.val();
        self.p4.d.next = self.p3.q.val();
        self.p5.d.next = self.p4.q.val();
        self.p6.d.next = self.p5.q.val();
        self.map_read.next.page = self.page.q.val();
        self.map_read.next.bank = self.current.q.val().bank;
        self.maps.forward.next = false;
        self.maps.read_enable.next = self.issue.val();
        self.maps.read_address.next = self.map_read.val().into();
        // The key stays for a clock after its last page.
        self.p2_sport.d.next = self.current.q.val().sport;
        self.p2_dport.d.next = self.current.q.val().dport;
        self.p1_advance.d.next = self.advance.val();
        self.p2_map.d.next = self.maps.read_data.val();

        // The entry to write, and where: steps 2 to 17 write what steps 0 to 15 read.
        self.raw.next = self.data.val().get_bits::<217>(0);
        self.entry.next = self.raw.val().into();
        self.value_fields.next.dst = self.entry.val().dst;
        self.value_fields.next.src = self.entry.val().src;
        self.value_fields.next.proto = self.entry.val().proto;
        self.value_fields.next.interface = self.entry.val().interface;
        self.mask_fields.next.dst = self.entry.val().dst_mask;
        self.mask_fields.next.src = self.entry.val().src_mask;
        self.mask_fields.next.proto = self.entry.val().proto_mask;
        self.mask_fields.next.interface = self.entry.val().interface_mask;
        self.value.next = self.value_fields.val().into();
        self.mask.next = self.mask_fields.val().into();
        self.new_ranges.next.sport_low = self.entry.val().sport_low;
        self.new_ranges.next.sport_high = self.entry.val().sport_high;
        self.new_ranges.next.dport_low = self.entry.val().dport_low;
        self.new_ranges.next.dport_high = self.entry.val().dport_high;
        self.behind.next = self.step.q.val() - self.next_step.val();
        // What `Divide` leaves is less than the lanes.
        self.remainder.next = self.rest.q.val().get_bits::<6>(0);
        // Whether a row matches is worked out a clock before it is written: the block RAMs are far.
        self.write_nibble.next = self.behind.val().get_bits::<4>(0);
        self.row_nibble.d.next = self.write_nibble.val();
        self.row_writes.d.next = (self.state.q.val() == State::Expand)
            & self.step.q.val().any()
            & (self.step.q.val() != self.expand_end.val());
        self.write_base.next = bit_cast::<ROW_BITS, ACL_PAGE_BITS>(self.write_page.q.val()) << 4;
        self.write_address.next =
            self.write_base.val() | bit_cast::<ROW_BITS, 4>(self.row_nibble.q.val());

        // p1, p2: rows and ranges.
        self.nibbles.next = self.current.q.val().fields;
        self.base.next = bit_cast::<ROW_BITS, ACL_PAGE_BITS>(self.page.q.val()) << 4;
        for i in 0..19 {
            self.nibble.next = self.nibbles.val().get_bits::<4>(i * 4);
            self.address.next = self.base.val() | bit_cast::<ROW_BITS, 4>(self.nibble.val());
            if self.state.q.val() == State::Expand {
                self.nibble.next = self.step.q.val().get_bits::<4>(0);
                self.address.next =
                    self.write_base.val() | bit_cast::<ROW_BITS, 4>(self.nibble.val());
            }
            self.strides[i].clock.next = self.clock.val();
            self.strides[i].read_enable.next =
                self.issue.val() | (self.state.q.val() == State::Expand);
            self.strides[i].read_address.next = self.address.val();
            self.strides[i].write_enable.next = self.row_writes.q.val();
            self.strides[i].write_address.next = self.write_address.val();
            self.differs.next = (self.write_nibble.val() ^ self.value.val().get_bits::<4>(i * 4))
                & self.mask.val().get_bits::<4>(i * 4);
            self.row_matches[i].clock.next = self.clock.val();
            self.row_matches[i].d.next = !self.differs.val().any();
            if self.row_matches[i].q.val() {
                self.strides[i].write_data.next =
                    self.strides[i].read_data.val() | self.lane.q.val();
            } else {
                self.strides[i].write_data.next =
                    self.strides[i].read_data.val() & !self.lane.q.val();
            }
        }
        for i in 0..9 {
            self.pages[i].clock.next = self.clock.val();
            self.pages[i].counts.next = self.p1.q.val().valid;
            self.pages[i].restarts.next = self.p1_advance.q.val();
            self.group_page[i].clock.next = self.clock.val();
            self.group_page[i].d.next = self.group_page[i].q.val();
            if self.lane.q.val().get_bits::<4>(i * 4).any() {
                self.group_page[i].d.next = self.write_page.q.val();
            }
            for j in 0..4 {
                self.ranges[i * 4 + j].page.next = self.pages[i].page.val();
                self.ranges[i * 4 + j].write_page.next = self.group_page[i].q.val();
            }
        }
        self.ports.next = 0.into();
        for i in 0..36 {
            self.ranges[i].clock.next = self.clock.val();
            self.ranges[i].sport.next = self.p2_sport.q.val();
            self.ranges[i].dport.next = self.p2_dport.q.val();
            self.ranges[i].write_enable.next = self.storing.q.val() & self.lane.q.val().get_bit(i);
            self.ranges[i].ranges.next = self.new_ranges.val();
            if self.ranges[i].inside_ranges.val() {
                self.ports.next = self.ports.val() | self.weights[i].val();
            }
        }

        self.storing.d.next = self.state.q.val() == State::Clear;

        // p3, p4: AND of everything.
        self.p3_low.d.next = self.strides[0].read_data.val()
            & self.strides[1].read_data.val()
            & self.strides[2].read_data.val()
            & self.strides[3].read_data.val();
        self.p3_dst.d.next = self.strides[4].read_data.val()
            & self.strides[5].read_data.val()
            & self.strides[6].read_data.val()
            & self.strides[7].read_data.val();
        self.p3_src.d.next = self.strides[8].read_data.val()
            & self.strides[9].read_data.val()
            & self.strides[10].read_data.val()
            & self.strides[11].read_data.val();
        self.p3_high.d.next = self.strides[12].read_data.val()
            & self.strides[13].read_data.val()
            & self.strides[14].read_data.val()
            & self.strides[15].read_data.val();
        self.p3_rest.d.next = self.strides[16].read_data.val()
            & self.strides[17].read_data.val()
            & self.strides[18].read_data.val()
            & self.p2_map.q.val();
        self.p4_match.d.next = self.p3_low.q.val()
            & self.p3_dst.q.val()
            & self.p3_src.q.val()
            & self.p3_high.q.val()
            & self.p3_rest.q.val()
            & self.ports.val();

        // p5, p6: the lowest lane; the slot number is page * 36 + lane.
        self.encoder.lanes.next = self.p4_match.q.val();
        self.wide_page.next = bit_cast::<ACL_SLOT_BITS, ACL_PAGE_BITS>(self.p5.q.val().number);
        self.p6_base.d.next = (self.wide_page.val() << 5) + (self.wide_page.val() << 2);
        if self.ended.val() {
            self.collect_tag.d.next = !self.collect_tag.q.val();
        }
        self.hits.event_valid.next = self.ended.val();
        self.hits.event_found.next = self.encoder.found.val();
        self.hits.event_slot.next =
            self.p6_base.q.val() + bit_cast::<ACL_SLOT_BITS, 6>(self.encoder.lane.val());

        // The result waits for its packet. It has room: there are no more lookups than places in the queue.
        self.found.next.ace = self.no_ace.val();
        self.found.next.permit = false;
        if self.hits.result_found.val() {
            self.found.next.ace = bit_cast::<ACE_BITS, ACL_SLOT_BITS>(self.hits.result_slot.val());
            self.found.next.permit = self.hits.result_permit.val();
        }
        self.results.in_data.next = self.found.val();
        self.results.in_valid.next = self.hits.result_valid.val();
        self.waits.next = self.queue.out_data.val().searches;
        self.result.next = self.results.out_data.val();
        self.out_data.next = self.queue.out_data.val();
        if self.waits.val() {
            self.out_data.next.ace = self.result.val().ace;
            self.out_data.next.permit = self.result.val().permit;
        }
        self.out_valid.next =
            self.queue.out_valid.val() & (self.results.out_valid.val() | !self.waits.val());
        self.queue.out_ready.next =
            self.out_ready.val() & (self.results.out_valid.val() | !self.waits.val());
        self.results.out_ready.next =
            self.out_ready.val() & self.queue.out_valid.val() & self.waits.val();
        self.busy.next = self.queue.out_valid.val();

        // The host's operation.
        self.done.next = false;
        self.step.d.next = 0.into();
        self.maps.write_enable.next = false;
        self.maps.write_address.next = self.index.val().get_bits::<MAP_BITS>(0);
        self.maps.write_data.next = self.data.val().get_bits::<36>(0);
        self.hits.request.next =
            (self.state.q.val() == State::Clear) | (self.state.q.val() == State::Read);
        self.hits.clear.next = self.state.q.val() == State::Clear;
        self.hits.permit.next = self.entry.val().permit;
        self.hits.slot.next = self.index.val().get_bits::<ACL_SLOT_BITS>(0);
        self.read_data.next = bit_cast::<256, 64>(self.count.q.val());
        match self.state.q.val() {
            State::Idle => {
                self.rest.d.next = self.index.val();
                self.write_page.d.next = 0.into();
                if self.request.val() {
                    self.state.d.next = State::Divide;
                } else if self.map_request.val() {
                    self.state.d.next = State::Map;
                } else if self.hits_request.val() {
                    self.state.d.next = State::Read;
                }
            }
            State::Divide => {
                if self.rest.q.val() >= self.page_lanes.val() {
                    self.rest.d.next = self.rest.q.val() - self.page_lanes.val();
                    self.write_page.d.next = self.write_page.q.val() + self.next_page.val();
                } else {
                    self.lane.d.next = self.lane_zero.val() << self.remainder.val();
                    self.wanted.d.next = true;
                    self.state.d.next = State::Wait;
                }
            }
            State::Wait => {
                if !self.current_valid.q.val() {
                    self.state.d.next = State::Expand;
                }
            }
            State::Expand => {
                self.step.d.next = self.step.q.val() + self.next_step.val();
                if self.step.q.val() == self.expand_end.val() {
                    self.state.d.next = State::Clear;
                }
            }
            State::Clear => {
                if self.hits.done.val() {
                    self.wanted.d.next = false;
                    self.state.d.next = State::Done;
                }
            }
            State::Map => {
                self.maps.write_enable.next = true;
                self.state.d.next = State::Done;
            }
            State::Read => {
                if self.hits.done.val() {
                    self.count.d.next = self.hits.count.val();
                    self.state.d.next = State::Done;
                }
            }
            State::Done => {
                self.done.next = true;
                self.state.d.next = State::Idle;
            }
        }
    }
}
