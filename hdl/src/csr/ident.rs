//! Ident block: what the card is, all constants.

use layout::csr as map;
use layout::table::Table;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Number of ident registers.
const REGISTERS: usize = 14;

/// What a bitstream says of itself, besides what `layout` fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// `BOARD`.
    pub board: u32,
    /// `GIT_HASH`.
    pub git_hash: u32,
    /// `BUILD_TIME`.
    pub build_time: u32,
    /// `CAPABILITIES` besides the windows, which every card has.
    pub capabilities: u32,
}

impl Default for Build {
    /// The Verilated card.
    fn default() -> Self {
        Self {
            board: 1,
            git_hash: 0,
            build_time: 0,
            capabilities: 0,
        }
    }
}

/// The block: a word for each ident address, zero for others, one clock after the address.
#[derive(LogicBlock)]
pub struct Ident {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Byte address.
    pub address: Signal<In, Bits<16>>,
    /// The register, or zero.
    pub data: Signal<Out, Bits<32>>,
    offset: [Constant<Bits<16>>; REGISTERS],
    value: [Constant<Bits<32>>; REGISTERS],
    hit: [DFF<Bit>; REGISTERS],
    none: Constant<Bits<32>>,
}

impl Ident {
    /// The ident block of a core with streams of `width` bits.
    pub fn new(width: usize, build: Build) -> Self {
        let registers: [(u32, u32); REGISTERS] = [
            (map::MAGIC, map::MAGIC_VALUE),
            (map::LAYOUT_HASH_LOW, layout::LAYOUT_HASH as u32),
            (map::LAYOUT_HASH_HIGH, (layout::LAYOUT_HASH >> 32) as u32),
            (map::CORE_VERSION, map::CORE_VERSION_VALUE),
            (map::GIT_HASH, build.git_hash),
            (map::BUILD_TIME, build.build_time),
            (map::BOARD, build.board),
            (
                map::CAPABILITIES,
                reset_of(map::CAPABILITIES) | build.capabilities,
            ),
            (map::DATA_WIDTH, width as u32),
            (map::SIZE_ACL, Table::Acl.len() as u32),
            (map::SIZE_DESTINATION, layout::table::DESTINATIONS as u32),
            (map::SIZE_FLOW, Table::Flow.len() as u32),
            (map::SIZE_ADJACENCY, Table::Adjacency.len() as u32),
            (map::SIZE_INTERFACE, Table::Interface.len() as u32),
        ];
        Self {
            clock: Signal::default(),
            address: Signal::default(),
            data: Signal::default(),
            offset: registers.map(|(offset, _)| Constant::new(u64::from(offset).to_bits())),
            value: registers.map(|(_, value)| Constant::new(u64::from(value).to_bits())),
            hit: Default::default(),
            none: Constant::new(0.into()),
        }
    }
}

impl Logic for Ident {
    #[hdl_gen]
    fn update(&mut self) {
        self.data.next = self.none.val();
        for i in 0..14 {
            self.hit[i].clock.next = self.clock.val();
            self.hit[i].d.next = self.address.val() == self.offset[i].val();
            if self.hit[i].q.val() {
                self.data.next = self.data.val() | self.value[i].val();
            }
        }
    }
}

/// The reset value that `layout` gives a register.
pub(super) fn reset_of(offset: u32) -> u32 {
    let register = map::REGISTERS
        .iter()
        .find(|register| register.offset == offset);
    register.expect("layout lists every offset it names").reset
}
