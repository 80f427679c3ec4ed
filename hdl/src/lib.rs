//! The Postern card in rust-hdl, in the order a packet meets its modules.
//!
//! ```text
//! rx0 ────┐           ┌─► packet FIFO ────────────────────────────────────┐
//! rx1 ────┼─► arbiter ┤                                                   ├─► rewrite ─► steer ─┬─► tx0, tx1
//! inject ─┘           └─► window ─► parser ─► flow ─► destination ─► acl ─► decide ┘            └─► punt
//!                                   └──── Header ────┘└────── Judged ─────┘└ Ruling
//!                 csr: registers, table operations, punt and inject windows;  counters
//!                 dma: punt rings and inject ring ─► pcie: endpoint
//! ```
//!
//! rust-hdl is frozen and prints wrong Verilog for some expression forms. Kernels keep to a plain
//! style which `tests/kernel_style.rs` enforces, `tests/verilog_lint.rs` checks what was printed, and
//! every module has a lock-step test of the printed Verilog against the native simulation.
//!
//! All state is initialised by the bitstream. There is one clock, except that of what an Ethernet port receives; the
//! `reset` of the card puts the control registers back and keeps frames out, tables and frames inside stay. No
//! combinational path leads from one module's `ready` through another module to a third: a skid buffer or a register
//! is in between. Only parser and destination lookup pass on the `ready` of who stands behind them, which is a
//! register.

#![forbid(unsafe_code)]

use rust_hdl_core::prelude::*;

/// Primitives of the device.
pub mod family;
/// Register with enable and reset.
pub mod dff;
/// Block RAM and LUT RAM.
pub mod ram;
/// Two-entry elastic buffer for a ready/valid stream.
pub mod skid;
/// Synchronous FIFOs.
pub mod fifo;
/// From one clock to another.
pub mod crossing;

/// What travels beside a packet.
pub mod record;
/// One beat of a packet, and the stream contract.
pub mod stream;

/// Whose frame comes next.
pub mod arbiter;
/// Where frames wait for their verdicts.
pub mod packets;
/// First bytes of each frame.
pub mod window;
/// Header fields and first verdicts.
pub mod parser;
/// Flow table: exact match of the key, and what every flow has counted.
pub mod flow;
/// Destination lookup: un-NAT and the card's own addresses.
pub mod destination;
/// Access-control list: ordered match of the key.
pub mod acl;
/// Next hops and interfaces.
pub mod adjacency;
/// Checksums of a translated frame.
pub mod checksum;
/// Punt ring of a packet.
pub mod queue;
/// The verdict.
pub mod decide;
/// New header bytes.
pub mod rewrite;
/// Which way a frame leaves.
pub mod steer;

/// Frames on their way to the host.
pub mod punt;
/// Frames from the host.
pub mod inject;
/// Rings in host memory.
pub mod dma;
/// What is counted.
pub mod counters;
/// What the host sees.
pub mod csr;

/// The card on the bus: TLPs in, TLPs out.
pub mod pcie;

/// A serial line as the way to the registers.
pub mod uart;
/// Gigabit Ethernet.
pub mod mac;
/// What surrounds the core on a board.
pub mod board;

/// The pipeline wired up.
pub mod core;
/// The card without rings.
pub mod top;
/// The card with rings.
pub mod card;

/// Name of the top module in the Verilog of [`emit_top`] and [`emit_card`].
pub const TOP: &str = "postern";

/// Stream widths the card without rings exists in. The card with rings has 64 bits.
pub const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// Verilog of the whole card without rings, with streams `width` bits wide (64, 128, 256 or 512). The same text every
/// time.
///
/// # Panics
/// On another width, and when the circuit has an open signal or a logic loop.
pub fn emit_top(width: usize) -> String {
    let build = csr::ident::Build::default();
    apart(move || match width {
        64 => emit(TOP, top::Postern::<64, 8, 8, 2>::new(build)),
        128 => emit(TOP, top::Postern::<128, 16, 4, 4>::new(build)),
        256 => emit(TOP, top::Postern::<256, 32, 2, 8>::new(build)),
        512 => emit(TOP, top::Postern::<512, 64, 1, 16>::new(build)),
        _ => panic!("streams are 64, 128, 256 or 512 bits wide, not {width}"),
    })
}

/// Verilog of the whole card with rings and PCIe. The same text every time.
///
/// # Panics
/// When the circuit has an open signal or a logic loop.
pub fn emit_card() -> String {
    apart(|| emit(TOP, card::Card::new(csr::ident::Build::default())))
}

/// Verilog of the card on the Lattice Versa ECP5-5G, with the first 32 bits of the commit and the time it was built from
/// in its ident block. The same text every time.
///
/// # Panics
/// When the circuit has an open signal or a logic loop.
pub fn emit_versa(git_hash: u32, build_time: u32) -> String {
    let build = csr::ident::Build {
        board: layout::csr::BOARD_VERSA_ECP5,
        git_hash,
        build_time,
        ..csr::ident::Build::default()
    };
    apart(move || emit(TOP, board::versa::Versa::new(build)))
}

/// Verilog of the card on the STLV7325, as [`emit_versa`] for its board.
///
/// # Panics
/// When the circuit has an open signal or a logic loop.
pub fn emit_stlv7325(git_hash: u32, build_time: u32) -> String {
    let build = csr::ident::Build {
        board: layout::csr::BOARD_STLV7325,
        git_hash,
        build_time,
        ..csr::ident::Build::default()
    };
    apart(move || emit(TOP, board::stlv7325::Stlv7325::new(build)))
}

/// Prints on a stack of its own: a card is a value of some MiB, more than a thread of a test has.
fn apart(print: impl FnOnce() -> String + Send + 'static) -> String {
    let printer = std::thread::Builder::new().stack_size(64 << 20);
    let text = printer
        .spawn(print)
        .expect("a thread can be started")
        .join();
    text.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Verilog of one circuit under the given module name.
///
/// # Panics
/// When the circuit has an open signal, a logic loop, or drives an input.
pub fn emit<U: Block>(name: &str, mut circuit: U) -> String {
    circuit.connect_all();
    if let Err(error) = check_all(&circuit) {
        panic!("{name}: {error:?}");
    }
    let mut modules = ModuleDefines::default();
    circuit.accept(name, &mut modules);
    modules.defines()
}
