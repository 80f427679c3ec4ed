//! What the parts of the endpoint tell each other about a TLP.
//!
//! Header words are numbers as PCIe base specification 2.2.1 draws them: bit 31 is the first bit on the link,
//! so they cross the stream as they are. Payload is kept in memory order, byte 0 in bits 7..0, and its DWs are
//! turned round where they meet the stream.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use rust_hdl_core::prelude::*;

/// A beat from the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct RxBeat {
    /// Two DWs, the first in the low word.
    pub data: Bits<64>,
    /// The second DW is there.
    pub upper: Bit,
    /// Last beat of the TLP.
    pub last: Bit,
    /// The hard block found the address in BAR0.
    pub bar0: Bit,
    /// The hard block says that the TLP is poisoned.
    pub poisoned: Bit,
}

/// A beat to the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct TxBeat {
    /// Two DWs, the first in the low word.
    pub data: Bits<64>,
    /// The second DW is there.
    pub upper: Bit,
    /// Last beat of the TLP.
    pub last: Bit,
}

/// The header of a TLP and what the hard block said beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Head {
    pub word0: Bits<32>,
    pub word1: Bits<32>,
    pub word2: Bits<32>,
    /// Payload when the header has three words.
    pub word3: Bits<32>,
    /// The address is in BAR0.
    pub bar0: Bit,
    /// The payload is not to be trusted.
    pub poisoned: Bit,
}

/// What kind of TLP it is, from its header alone; at most one of the first eight is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Class {
    /// Memory read or write.
    pub memory: Bit,
    /// Locked memory read.
    pub locked: Bit,
    /// IO or configuration request.
    pub register: Bit,
    /// Atomic operation.
    pub atomic: Bit,
    /// Message.
    pub message: Bit,
    /// Completion.
    pub completion: Bit,
    /// Completion of a locked read.
    pub locked_completion: Bit,
    /// No format and type of these.
    pub unknown: Bit,
    /// Carries payload.
    pub payload: Bit,
    /// Four header words.
    pub four: Bit,
    /// May end with a digest.
    pub digest: Bit,
    /// Address in BAR0.
    pub bar0: Bit,
    /// Payload is poisoned.
    pub poisoned: Bit,
    /// Ends beyond BAR0, if it is for BAR0.
    pub beyond: Bit,
    /// Crosses a 4 KiB boundary.
    pub crosses: Bit,
    /// A completion of one of the card's own requests, by its requester and the range of its tag.
    pub ours: Bit,
}

/// A request for the completer.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Request {
    /// Serve a read of BAR0.
    pub read: Bit,
    /// Serve a write of BAR0. Neither: answer with an error.
    pub write: Bit,
    /// The error is Completer Abort, else Unsupported Request.
    pub aborted: Bit,
    /// The error is for a locked read.
    pub locked: Bit,
    /// DW in BAR0.
    pub address: Bits<14>,
    /// 1..=1024; the DWs to be answered when it is not a memory request.
    pub dwords: Bits<11>,
    /// Byte enables of the first DW.
    pub first: Bits<4>,
    /// Byte enables of the last DW, not used when there is one.
    pub final_enables: Bits<4>,
    /// Who asks.
    pub requester: Bits<16>,
    /// Under which tag.
    pub tag: Bits<8>,
    /// Traffic class, to be copied.
    pub traffic: Bits<3>,
    /// Attributes, to be copied.
    pub attributes: Bits<3>,
}

/// A completion for the dma block.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Completion {
    /// Tag of the read.
    pub tag: Bits<5>,
    /// Not successful, poisoned or without payload.
    pub failed: Bit,
    /// Byte Count.
    pub bytes: Bits<12>,
    /// Lower Address.
    pub lower: Bits<7>,
    /// DWs of payload.
    pub dwords: Bits<10>,
}

/// A write of host memory; its data follow apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct WriteHead {
    /// A multiple of four.
    pub address: Bits<64>,
    /// At least one.
    pub dwords: Bits<10>,
}

/// A read of host memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct ReadHead {
    /// A multiple of four.
    pub address: Bits<64>,
    /// At least one.
    pub dwords: Bits<10>,
    /// Byte enables of the first DW.
    pub first: Bits<4>,
    /// Byte enables of the last DW, none when there is one.
    pub final_enables: Bits<4>,
    /// Tag.
    pub tag: Bits<5>,
}

/// A TLP that is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct TxHead {
    pub word0: Bits<32>,
    pub word1: Bits<32>,
    /// The address, or word 2 of a completion in its low half.
    pub address: Bits<64>,
    /// Four header words.
    pub four: Bit,
    /// DWs of payload.
    pub dwords: Bits<10>,
    /// A request of the card, which needs bus mastering.
    pub request: Bit,
    /// Payload is that of a write of the dma block; of an interrupt. Neither: of a completion.
    pub write: Bit,
    pub interrupt: Bit,
}

/// The bytes of a DW the other way round: between the stream and memory order.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct TurnRound {
    /// One way.
    pub word: Signal<In, Bits<32>>,
    /// The other.
    pub turned: Signal<Out, Bits<32>>,
}

impl Logic for TurnRound {
    #[hdl_gen]
    fn update(&mut self) {
        self.turned.next = (bit_cast::<32, 8>(self.word.val().get_bits::<8>(0)) << 24)
            | (bit_cast::<32, 8>(self.word.val().get_bits::<8>(8)) << 16)
            | (bit_cast::<32, 8>(self.word.val().get_bits::<8>(16)) << 8)
            | bit_cast::<32, 8>(self.word.val().get_bits::<8>(24));
    }
}
