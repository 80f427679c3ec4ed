//! Gathers the first bytes of each frame for the parser: 64 at most, less when the headers end earlier.
//!
//! Beats come in, one [`Window`] a frame goes out: with the beat that ends a TCP header, the 54th byte of a frame
//! without a tag and the 58th of one with a tag, or at the last beat of a shorter frame. On a stream of 64 bits that is
//! 56 bytes or 64, so that the smallest frame on a wire, which has 60, takes as long as any other. Bytes beyond `count`
//! are left over from earlier frames. The rest of the frame passes unlooked at.
//! Latency one clock from the completing beat; a beat every clock. `in_ready` follows `out_ready`, which is a
//! register of the flow table. Costs about 540 flip-flops.
//!
//! ```text
//! beats ─► part 0 │ part 1 │ … │ part N-1 ─► header, first byte on the wire on top
//! ```

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::record::{Origin, VLAN_ETHERTYPE, Window};
use crate::stream::{Beat, KeepCount};

/// Ethernet, IPv4 and TCP headers without options or tag.
const UNTAGGED_BYTES: usize = 14 + 20 + 20;

/// The gatherer for `N` beats of `W` bits (`N * W = 512`); see the module's text.
#[derive(LogicBlock)]
pub struct Gather<const W: usize, const K: usize, const N: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat of a frame.
    pub in_beat: Signal<In, Beat<W, K>>,
    /// Where the frame came from.
    pub in_origin: Signal<In, Origin>,
    /// A beat is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// First bytes of a frame.
    pub out_data: Signal<Out, Window>,
    /// A window is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    bytes: KeepCount<K>,
    joined: Join<W, N>,
    part: [DFF<Bits<W>>; N],
    /// Part `i` has its beat, and part `i` + 1 is next: one-hot, none of them before the first beat.
    began: DFF<Bit>,
    later: [DFF<Bit>; N],
    /// The window of this frame is complete.
    skip: DFF<Bit>,
    done: DFF<Bit>,
    /// Bytes in the parts.
    held: DFF<Bits<7>>,
    count: DFF<Bits<7>>,
    origin: DFF<Origin>,
    ready: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    gathers: Signal<Local, Bit>,
    completes: Signal<Local, Bit>,
    sum: Signal<Local, Bits<7>>,
    next_part: [Signal<Local, Bit>; N],
    last_part: Signal<Local, Bit>,
    /// The part with byte 54 is next, and the frame has no tag: of this frame only once byte 13 has been here a clock.
    untagged_part: Signal<Local, Bit>,
    untagged: DFF<Bit>,
    nothing: Constant<Bits<7>>,
    vlan_ethertype: Constant<Bits<16>>,
}

impl<const W: usize, const K: usize, const N: usize> Gather<W, K, N> {
    /// Parts with the headers of a frame without tag.
    const UNTAGGED_PARTS: usize = UNTAGGED_BYTES.div_ceil(K);
}

impl<const W: usize, const K: usize, const N: usize> Default for Gather<W, K, N> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_beat: Signal::default(),
            in_origin: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            bytes: KeepCount::default(),
            joined: Join::default(),
            part: std::array::from_fn(|_| Default::default()),
            began: DFF::default(),
            later: std::array::from_fn(|_| Default::default()),
            skip: DFF::default(),
            done: DFF::default(),
            held: DFF::default(),
            count: DFF::default(),
            origin: DFF::default(),
            ready: Signal::default(),
            last: Signal::default(),
            moves: Signal::default(),
            gathers: Signal::default(),
            completes: Signal::default(),
            sum: Signal::default(),
            next_part: std::array::from_fn(|_| Default::default()),
            last_part: Signal::default(),
            untagged_part: Signal::default(),
            untagged: DFF::default(),
            nothing: Constant::new(0.into()),
            vlan_ethertype: Constant::new(VLAN_ETHERTYPE.to_bits()),
        }
    }
}

impl<const W: usize, const K: usize, const N: usize> Logic for Gather<W, K, N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, began, skip, done, held, count, origin, untagged
        );
        self.ready.next = self.out_ready.val() | (!self.done.q.val());
        self.moves.next = self.in_valid.val() & self.ready.val();
        self.gathers.next = self.moves.val() & (!self.skip.q.val());
        self.last.next = self.in_beat.val().last;
        self.next_part[0].next = !self.began.q.val();
        for i in 1..N {
            self.next_part[i].next = self.later[i - 1].q.val();
        }
        for i in 0..N {
            self.last_part.next = self.next_part[i].val();
        }
        for i in 0..Self::UNTAGGED_PARTS {
            self.untagged_part.next = self.next_part[i].val() & self.untagged.q.val();
        }
        self.untagged.d.next =
            self.joined.whole.val().get_bits::<16>(400) != self.vlan_ethertype.val();
        self.completes.next = self.gathers.val()
            & (self.last.val() | self.last_part.val() | self.untagged_part.val());
        self.bytes.keep.next = self.in_beat.val().keep;
        self.sum.next = self.held.q.val() + self.bytes.count.val();

        for i in 0..N {
            self.part[i].clock.next = self.clock.val();
            self.part[i].d.next = self.part[i].q.val();
            // Whether a beat moves need not be waited for: until one does, what is here means nothing.
            if self.ready.val() & self.next_part[i].val() {
                self.part[i].d.next = self.in_beat.val().data;
            }
            self.joined.part[i].next = self.part[i].q.val();
            self.later[i].clock.next = self.clock.val();
            self.later[i].d.next = self.later[i].q.val();
        }
        if self.out_ready.val() {
            self.done.d.next = false;
        }
        if self.gathers.val() {
            self.began.d.next = true;
            self.later[0].d.next = !self.began.q.val();
            for i in 1..N {
                self.later[i].d.next = self.later[i - 1].q.val();
            }
            self.held.d.next = self.sum.val();
        }
        if self.completes.val() {
            self.done.d.next = true;
            self.skip.d.next = true;
            self.began.d.next = false;
            for i in 0..N {
                self.later[i].d.next = false;
            }
            self.held.d.next = self.nothing.val();
            self.count.d.next = self.sum.val();
            self.origin.d.next = self.in_origin.val();
        }
        if self.moves.val() & self.last.val() {
            self.skip.d.next = false;
        }
        self.in_ready.next = self.ready.val();
        self.out_data.next.header = self.joined.whole.val();
        self.out_data.next.count = self.count.q.val();
        self.out_data.next.origin = self.origin.q.val();
        self.out_valid.next = self.done.q.val();
    }
}

/// `N` beats as one big-endian number of 512 bits: wires.
#[derive(LogicBlock)]
pub struct Join<const W: usize, const N: usize> {
    /// Beats in order.
    pub part: [Signal<In, Bits<W>>; N],
    /// First byte of the first beat on top.
    pub whole: Signal<Out, Bits<512>>,
}

impl<const W: usize, const N: usize> Default for Join<W, N> {
    fn default() -> Self {
        Self {
            part: std::array::from_fn(|_| Default::default()),
            whole: Signal::default(),
        }
    }
}

impl<const W: usize, const N: usize> Logic for Join<W, N> {
    fn update(&mut self) {
        let mut whole = Bits::<512>::default();
        for i in 0..N {
            for byte in 0..W / 8 {
                let position = 8 * (i * W / 8 + byte);
                whole.set_bits(504 - position, self.part[i].val().get_bits::<8>(8 * byte));
            }
        }
        self.whole.next = whole;
    }

    fn connect(&mut self) {
        self.whole.connect();
    }

    fn hdl(&self) -> Verilog {
        let bytes: Vec<String> = (0..N)
            .flat_map(|i| {
                (0..W / 8).map(move |byte| format!("part${i}[{}:{}]", 8 * byte + 7, 8 * byte))
            })
            .collect();
        Verilog::Custom(format!("always @(*) whole = {{{}}};\n", bytes.join(", ")))
    }
}

/// A big-endian number of 512 bits as `N` beats: wires, the reverse of [`Join`].
#[derive(LogicBlock)]
pub struct Split<const W: usize, const N: usize> {
    /// First byte of the first beat on top.
    pub whole: Signal<In, Bits<512>>,
    /// Beats in order.
    pub part: [Signal<Out, Bits<W>>; N],
}

impl<const W: usize, const N: usize> Default for Split<W, N> {
    fn default() -> Self {
        Self {
            whole: Signal::default(),
            part: std::array::from_fn(|_| Default::default()),
        }
    }
}

impl<const W: usize, const N: usize> Logic for Split<W, N> {
    fn update(&mut self) {
        for i in 0..N {
            let mut part = Bits::<W>::default();
            for byte in 0..W / 8 {
                let position = 8 * (i * W / 8 + byte);
                part.set_bits(8 * byte, self.whole.val().get_bits::<8>(504 - position));
            }
            self.part[i].next = part;
        }
    }

    fn connect(&mut self) {
        for part in &mut self.part {
            part.connect();
        }
    }

    fn hdl(&self) -> Verilog {
        let mut code = String::from("always @(*) begin\n");
        for i in 0..N {
            let bytes: Vec<String> = (0..W / 8)
                .rev()
                .map(|byte| 504 - 8 * (i * W / 8 + byte))
                .map(|low| format!("whole[{}:{low}]", low + 7))
                .collect();
            code += &format!("part${i} = {{{}}};\n", bytes.join(", "));
        }
        Verilog::Custom(code + "end\n")
    }
}
