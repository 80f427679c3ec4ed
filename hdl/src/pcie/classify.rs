//! Tells what a TLP is from its header (PCIe base specification 2.2.1, 2.2.7, 2.2.9).
//!
//! Header in, [`Class`] and the fields that are needed later out. Two adders and some gates, no registers.

use layout::csr::BAR0_BYTES;
use rust_hdl_core::prelude::*;

use super::tlp::{Class, Head};

/// The classifier; see the module's text.
#[derive(LogicBlock)]
pub struct Classify {
    /// Header.
    pub head: Signal<In, Head>,
    /// Requester that the card is.
    pub identifier: Signal<In, Bits<16>>,
    /// What it is.
    pub nature: Signal<Out, Class>,
    /// DWs the header tells of, 1..=1024.
    pub dwords: Signal<Out, Bits<11>>,
    /// DWs that an answer which is not to a memory request tells of.
    pub operand: Signal<Out, Bits<11>>,
    /// DW in BAR0.
    pub address: Signal<Out, Bits<14>>,
    word0: Signal<Local, Bits<32>>,
    word2: Signal<Local, Bits<32>>,
    place: Signal<Local, Bits<32>>,
    kind: Signal<Local, Bits<5>>,
    prefix: Signal<Local, Bit>,
    payload: Signal<Local, Bit>,
    four: Signal<Local, Bit>,
    memory: Signal<Local, Bit>,
    locked: Signal<Local, Bit>,
    register: Signal<Local, Bit>,
    atomic: Signal<Local, Bit>,
    message: Signal<Local, Bit>,
    completion: Signal<Local, Bit>,
    locked_completion: Signal<Local, Bit>,
    length: Signal<Local, Bits<11>>,
    after: Signal<Local, Bits<15>>,
    after_page: Signal<Local, Bits<12>>,
    kind_memory: Constant<Bits<5>>,
    kind_locked: Constant<Bits<5>>,
    kind_io: Constant<Bits<5>>,
    kind_configuration0: Constant<Bits<5>>,
    kind_configuration1: Constant<Bits<5>>,
    kind_completion: Constant<Bits<5>>,
    kind_locked_completion: Constant<Bits<5>>,
    kind_fetch_add: Constant<Bits<5>>,
    kind_swap: Constant<Bits<5>>,
    kind_compare: Constant<Bits<5>>,
    kind_message: Constant<Bits<2>>,
    no_tag: Constant<Bits<3>>,
    most: Constant<Bits<11>>,
    one: Constant<Bits<11>>,
    bar_end: Constant<Bits<15>>,
    page_end: Constant<Bits<12>>,
}

impl Default for Classify {
    fn default() -> Self {
        Self {
            head: Signal::default(),
            identifier: Signal::default(),
            nature: Signal::default(),
            dwords: Signal::default(),
            operand: Signal::default(),
            address: Signal::default(),
            word0: Signal::default(),
            word2: Signal::default(),
            place: Signal::default(),
            kind: Signal::default(),
            prefix: Signal::default(),
            payload: Signal::default(),
            four: Signal::default(),
            memory: Signal::default(),
            locked: Signal::default(),
            register: Signal::default(),
            atomic: Signal::default(),
            message: Signal::default(),
            completion: Signal::default(),
            locked_completion: Signal::default(),
            length: Signal::default(),
            after: Signal::default(),
            after_page: Signal::default(),
            kind_memory: Constant::new((0b0_0000_u64).to_bits()),
            kind_locked: Constant::new((0b0_0001_u64).to_bits()),
            kind_io: Constant::new((0b0_0010_u64).to_bits()),
            kind_configuration0: Constant::new((0b0_0100_u64).to_bits()),
            kind_configuration1: Constant::new((0b0_0101_u64).to_bits()),
            kind_completion: Constant::new((0b0_1010_u64).to_bits()),
            kind_locked_completion: Constant::new((0b0_1011_u64).to_bits()),
            kind_fetch_add: Constant::new((0b0_1100_u64).to_bits()),
            kind_swap: Constant::new((0b0_1101_u64).to_bits()),
            kind_compare: Constant::new((0b0_1110_u64).to_bits()),
            kind_message: Constant::new((0b10_u64).to_bits()),
            no_tag: Constant::new(0_u64.to_bits()),
            most: Constant::new(1024_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            bar_end: Constant::new((BAR0_BYTES as u64 / 4).to_bits()),
            page_end: Constant::new(1024_u64.to_bits()),
        }
    }
}

impl Logic for Classify {
    #[hdl_gen]
    fn update(&mut self) {
        self.word0.next = self.head.val().word0;
        self.word2.next = self.head.val().word2;
        self.prefix.next = self.word0.val().get_bit(31);
        self.payload.next = self.word0.val().get_bit(30);
        self.four.next = self.word0.val().get_bit(29);
        self.kind.next = self.word0.val().get_bits::<5>(24);

        self.memory.next = (self.kind.val() == self.kind_memory.val()) & (!self.prefix.val());
        self.locked.next = (self.kind.val() == self.kind_locked.val())
            & (!self.prefix.val())
            & (!self.payload.val());
        self.register.next = ((self.kind.val() == self.kind_io.val())
            | (self.kind.val() == self.kind_configuration0.val())
            | (self.kind.val() == self.kind_configuration1.val()))
            & (!self.prefix.val())
            & (!self.four.val());
        self.atomic.next = ((self.kind.val() == self.kind_fetch_add.val())
            | (self.kind.val() == self.kind_swap.val())
            | (self.kind.val() == self.kind_compare.val()))
            & (!self.prefix.val())
            & self.payload.val();
        self.message.next = (self.word0.val().get_bits::<2>(27) == self.kind_message.val())
            & (!self.prefix.val())
            & self.four.val();
        self.completion.next = (self.kind.val() == self.kind_completion.val())
            & (!self.prefix.val())
            & (!self.four.val());
        self.locked_completion.next = (self.kind.val() == self.kind_locked_completion.val())
            & (!self.prefix.val())
            & (!self.four.val());

        // A length of 0 is 1024 DWs.
        self.length.next = bit_cast::<11, 10>(self.word0.val().get_bits::<10>(0));
        if !self.word0.val().get_bits::<10>(0).any() {
            self.length.next = self.most.val();
        }
        self.dwords.next = self.length.val();
        // Compare and swap carries two operands; the others are answered with 4 bytes.
        self.operand.next = self.one.val();
        if self.atomic.val() {
            self.operand.next = self.length.val();
            if self.kind.val() == self.kind_compare.val() {
                self.operand.next = self.length.val() >> self.one.val();
            }
        }

        self.place.next = self.word2.val();
        if self.four.val() {
            self.place.next = self.head.val().word3;
        }
        self.address.next = self.place.val().get_bits::<14>(2);
        self.after.next = bit_cast::<15, 14>(self.place.val().get_bits::<14>(2))
            + bit_cast::<15, 11>(self.length.val());
        self.after_page.next = bit_cast::<12, 10>(self.place.val().get_bits::<10>(2))
            + bit_cast::<12, 11>(self.length.val());

        self.nature.next.memory = self.memory.val();
        self.nature.next.locked = self.locked.val();
        self.nature.next.register = self.register.val();
        self.nature.next.atomic = self.atomic.val();
        self.nature.next.message = self.message.val();
        self.nature.next.completion = self.completion.val();
        self.nature.next.locked_completion = self.locked_completion.val();
        self.nature.next.unknown = !(self.memory.val()
            | self.locked.val()
            | self.register.val()
            | self.atomic.val()
            | self.message.val()
            | self.completion.val()
            | self.locked_completion.val());
        self.nature.next.payload = self.payload.val();
        self.nature.next.four = self.four.val();
        self.nature.next.digest = self.word0.val().get_bit(15);
        self.nature.next.bar0 = self.head.val().bar0;
        self.nature.next.poisoned =
            (self.head.val().poisoned | self.word0.val().get_bit(14)) & self.payload.val();
        self.nature.next.beyond = self.after.val() > self.bar_end.val();
        self.nature.next.crosses = self.after_page.val() > self.page_end.val();
        self.nature.next.ours = (self.word2.val().get_bits::<16>(16) == self.identifier.val())
            & (self.word2.val().get_bits::<3>(13) == self.no_tag.val());
    }
}
