//! `DmaStatus`: what the host is told of the rings, and the vectors that go with it.
//!
//! Collects what moved since it was last told, copies it on `snapshot`, and raises the vectors of what it told
//! when the copy has left. `VECTOR_ERROR` is raised with every frame that was lost. Costs about 100 LUTs.

use layout::csr::{MSIX_VECTORS, VECTOR_ERROR, VECTOR_INJECT};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Status {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forget everything.
    pub reset: Signal<In, Bit>,
    /// `PUNT_TAIL`.
    pub tail: [Signal<In, Bits<16>>; 4],
    /// `INJECT_HEAD`.
    pub inject_head: Signal<In, Bits<16>>,
    /// A tail moves.
    pub advanced: Signal<In, Bit>,
    /// Which.
    pub ring: Signal<In, Bits<2>>,
    /// `INJECT_HEAD` moves.
    pub inject_moved: Signal<In, Bit>,
    /// No more frame of the inject ring is ready.
    pub inject_rests: Signal<In, Bit>,
    /// A frame to a punt ring was lost.
    pub lost_punt: Signal<In, Bit>,
    /// A frame of the inject ring was lost.
    pub lost_inject: Signal<In, Bit>,
    /// Copy.
    pub snapshot: Signal<In, Bit>,
    /// The write of the copy is over.
    pub announced: Signal<In, Bit>,
    /// One is on its way.
    pub telling: Signal<In, Bit>,
    /// Bus mastering is on.
    pub bus_master: Signal<In, Bit>,
    /// The copy.
    pub word: [Signal<Out, Bits<64>>; 4],
    /// Tails have moved since the last copy.
    pub ring_moved: Signal<Out, Bit>,
    /// The host is to be told of the inject ring.
    pub inject_due: Signal<Out, Bit>,
    /// Vectors, high for one clock.
    pub raise: Signal<Out, Bits<6>>,
    moved: DFF<Bits<5>>,
    told: DFF<Bits<5>>,
    /// Bus mastering was off since.
    spoilt: DFF<Bit>,
    /// Steps of the inject ring since the last copy, eight for more.
    steps: DFF<Bits<4>>,
    errors: DFF<Bits<16>>,
    /// `DmaStatus.sequence`.
    writes: DFF<Bits<32>>,
    tails: DFF<Bits<64>>,
    heads: DFF<Bits<32>>,
    raised: DFF<Bits<6>>,
    fresh: Signal<Local, Bits<5>>,
    spoils: Signal<Local, Bit>,
    rings: Signal<Local, Bits<4>>,
    vectors: Signal<Local, Bits<6>>,
    lost: Signal<Local, Bits<16>>,
    head_word: Signal<Local, Bits<32>>,
    joined: Signal<Local, Bits<64>>,
    number: [Constant<Bits<2>>; 4],
    bits: [Constant<Bits<5>>; 4],
    inject_bit: Constant<Bits<5>>,
    error_bit: Constant<Bits<6>>,
    none5: Constant<Bits<5>>,
    none6: Constant<Bits<6>>,
    none16: Constant<Bits<16>>,
    none32: Constant<Bits<32>>,
    none64: Constant<Bits<64>>,
    none4: Constant<Bits<4>>,
    one4: Constant<Bits<4>>,
    one16: Constant<Bits<16>>,
    two16: Constant<Bits<16>>,
    one32: Constant<Bits<32>>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            tail: std::array::from_fn(|_| Default::default()),
            inject_head: Signal::default(),
            advanced: Signal::default(),
            ring: Signal::default(),
            inject_moved: Signal::default(),
            inject_rests: Signal::default(),
            lost_punt: Signal::default(),
            lost_inject: Signal::default(),
            snapshot: Signal::default(),
            announced: Signal::default(),
            telling: Signal::default(),
            bus_master: Signal::default(),
            word: std::array::from_fn(|_| Default::default()),
            ring_moved: Signal::default(),
            inject_due: Signal::default(),
            raise: Signal::default(),
            moved: DFF::default(),
            told: DFF::default(),
            spoilt: DFF::default(),
            steps: DFF::default(),
            errors: DFF::default(),
            writes: DFF::default(),
            tails: DFF::default(),
            heads: DFF::default(),
            raised: DFF::default(),
            fresh: Signal::default(),
            spoils: Signal::default(),
            rings: Signal::default(),
            vectors: Signal::default(),
            lost: Signal::default(),
            head_word: Signal::default(),
            joined: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            bits: std::array::from_fn(|i| Constant::new((1_u64 << i).to_bits())),
            inject_bit: Constant::new((1_u64 << VECTOR_INJECT).to_bits()),
            error_bit: Constant::new((1_u64 << VECTOR_ERROR).to_bits()),
            none5: Constant::new(0.into()),
            none6: Constant::new(0.into()),
            none16: Constant::new(0.into()),
            none32: Constant::new(0.into()),
            none64: Constant::new(0.into()),
            none4: Constant::new(0.into()),
            one4: Constant::new(1.into()),
            one16: Constant::new(1.into()),
            two16: Constant::new(2_u64.to_bits()),
            one32: Constant::new(1.into()),
        }
    }
}

impl Logic for Status {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, moved, told, spoilt, steps, errors, writes, tails, heads, raised
        );
        self.fresh.next = self.none5.val();
        for i in 0..4 {
            if self.advanced.val() & (self.ring.val() == self.number[i].val()) {
                self.fresh.next = self.bits[i].val();
            }
        }
        if self.inject_moved.val() {
            self.fresh.next = self.fresh.val() | self.inject_bit.val();
        }
        self.moved.d.next = self.moved.q.val() | self.fresh.val();
        if self.inject_moved.val() & (!self.steps.q.val().get_bit(3)) {
            self.steps.d.next = self.steps.q.val() + self.one4.val();
        }
        // A write that was on its way while bus mastering was off may be lost: it is made again.
        self.spoils.next = self.spoilt.q.val() | (!self.bus_master.val());
        self.spoilt.d.next = self.telling.val() & self.spoils.val();
        if self.announced.val() & self.spoils.val() {
            self.moved.d.next = (self.moved.q.val() | self.fresh.val()) | self.told.q.val();
            if self.told.q.val().get_bit(4) & (!self.steps.q.val().any()) {
                self.steps.d.next = self.one4.val();
            }
        }
        self.lost.next = self.none16.val();
        if self.lost_punt.val() | self.lost_inject.val() {
            self.lost.next = self.one16.val();
        }
        if self.lost_punt.val() & self.lost_inject.val() {
            self.lost.next = self.two16.val();
        }
        self.errors.d.next = self.errors.q.val() + self.lost.val();

        // What moves in the clock of the copy is not in it.
        self.joined.next = (bit_cast::<64, 16>(self.tail[3].val()) << 48)
            | (bit_cast::<64, 16>(self.tail[2].val()) << 32)
            | (bit_cast::<64, 16>(self.tail[1].val()) << 16)
            | bit_cast::<64, 16>(self.tail[0].val());
        self.head_word.next = (bit_cast::<32, 16>(self.errors.q.val()) << 16)
            | bit_cast::<32, 16>(self.inject_head.val());
        if self.snapshot.val() {
            self.moved.d.next = self.fresh.val();
            self.told.d.next = self.moved.q.val();
            self.steps.d.next = self.none4.val();
            if self.inject_moved.val() {
                self.steps.d.next = self.one4.val();
            }
            self.writes.d.next = self.writes.q.val() + self.one32.val();
            self.tails.d.next = self.joined.val();
            self.heads.d.next = self.head_word.val();
        }
        self.vectors.next = self.none6.val();
        if self.announced.val() {
            self.vectors.next = bit_cast::<6, 5>(self.told.q.val());
        }
        if self.lost_punt.val() | self.lost_inject.val() {
            self.vectors.next = self.vectors.val() | self.error_bit.val();
        }
        self.raised.d.next = self.vectors.val();
        if self.reset.val() {
            self.moved.d.next = self.none5.val();
            self.told.d.next = self.none5.val();
            self.steps.d.next = self.none4.val();
            self.errors.d.next = self.none16.val();
            self.writes.d.next = self.none32.val();
            self.raised.d.next = self.none6.val();
        }
        self.rings.next = self.moved.q.val().get_bits::<4>(0);
        self.word[0].next = self.tails.q.val();
        self.word[1].next = bit_cast::<64, 32>(self.heads.q.val());
        self.word[2].next = bit_cast::<64, 32>(self.writes.q.val());
        self.word[3].next = self.none64.val();
        self.ring_moved.next = self.rings.val().any();
        self.inject_due.next =
            self.steps.q.val().get_bit(3) | (self.steps.q.val().any() & self.inject_rests.val());
        self.raise.next = self.raised.q.val();
    }
}

// The kernel knows the vectors.
const _: () = assert!(MSIX_VECTORS == 6 && VECTOR_INJECT == 4 && VECTOR_ERROR == 5);
