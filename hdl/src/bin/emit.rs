//! Writes the Verilog of a card, or of one module, for simulation, lint, proof and bitstreams.

use std::path::PathBuf;

use hdl::checksum::Checksum;
use hdl::crossing::{Crossing, GrayPointer};
use hdl::fifo::{BlockFifo, Fifo};
use hdl::mac::Mac;
use hdl::pcie::Endpoint;
use hdl::skid::Skid;
use hdl::uart::UartBridge;
use rust_hdl_core::prelude::Bits;

/// Prints a module under the given name.
type Print = fn(&str) -> String;

/// Modules that proofs are about, in small instances: what they do with a word does not depend on
/// the word, so few bits and few places show every way of losing or swapping one. And those that are synthesised
/// alone.
const MODULES: &[(&str, Print)] = &[
    ("skid", |name| hdl::emit(name, Skid::<Bits<2>>::default())),
    ("fifo", |name| {
        hdl::emit(name, Fifo::<Bits<2>, 2, 3>::default())
    }),
    ("block_fifo", |name| {
        hdl::emit(name, BlockFifo::<Bits<2>, 2, 3>::default())
    }),
    ("crossing", |name| {
        hdl::emit(name, Crossing::<Bits<1>, 1, 2>::default())
    }),
    ("gray_pointer", |name| {
        hdl::emit(name, GrayPointer::<4, 5>::default())
    }),
    ("checksum", |name| hdl::emit(name, Checksum::default())),
    ("mac", |name| hdl::emit(name, Mac::default())),
    ("endpoint", |name| hdl::emit(name, Endpoint::default())),
    ("uart", |name| hdl::emit(name, UartBridge::default())),
];

/// What to print, and where.
#[derive(Default)]
struct Arguments {
    top: bool,
    card: bool,
    board: Option<String>,
    commit: u32,
    time: u32,
    module: Option<String>,
    width: Option<usize>,
    out: Option<PathBuf>,
}

fn main() {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => fail(&error),
    };
    let Some(out) = arguments.out else {
        fail("--out FILE is missing")
    };
    let Arguments {
        top: is_top,
        card,
        ref board,
        ref module,
        ..
    } = arguments;
    let text = match (is_top, card, board, module) {
        (true, false, None, None) => top(arguments.width.unwrap_or(64)),
        (false, true, None, None) => hdl::emit_card(),
        (false, false, Some(name), None) => print_board(name, arguments.commit, arguments.time),
        (false, false, None, Some(name)) => print_module(name),
        _ => fail("one of --top, --card, --board and --module is needed"),
    };
    if let Err(error) = std::fs::write(&out, text) {
        fail(&format!("cannot write {}: {error}", out.display()));
    }
}

fn top(width: usize) -> String {
    if !hdl::WIDTHS.contains(&width) {
        fail(&format!(
            "--width {width}: the widths are {:?}",
            hdl::WIDTHS
        ));
    }
    hdl::emit_top(width)
}

fn print_board(name: &str, commit: u32, time: u32) -> String {
    match name {
        "versa-ecp5" => hdl::emit_versa(commit, time),
        "stlv7325" => hdl::emit_stlv7325(commit, time),
        _ => fail(&format!(
            "--board {name}: the boards are versa-ecp5, stlv7325"
        )),
    }
}

fn print_module(name: &str) -> String {
    match MODULES.iter().find(|(known, _)| *known == name) {
        Some((_, print)) => print(name),
        None => {
            let names: Vec<_> = MODULES.iter().map(|(name, _)| *name).collect();
            fail(&format!(
                "--module {name}: the modules are {}",
                names.join(", ")
            ))
        }
    }
}

fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--top" => arguments.top = true,
            "--card" => arguments.card = true,
            "--board" => {
                arguments.board = Some(words.next().ok_or("--board needs a name")?);
            }
            "--commit" => {
                let value = words.next().ok_or("--commit needs eight digits")?;
                arguments.commit = u32::from_str_radix(&value, 16)
                    .map_err(|_| format!("--commit {value}: not eight hexadecimal digits"))?;
            }
            "--time" => {
                let value = words.next().ok_or("--time needs seconds since 1970")?;
                arguments.time = value
                    .parse()
                    .map_err(|_| format!("--time {value}: not seconds since 1970"))?;
            }
            "--module" => {
                arguments.module = Some(words.next().ok_or("--module needs a name")?);
            }
            "--width" => {
                let value = words.next().ok_or("--width needs a number")?;
                let width = value
                    .parse()
                    .map_err(|_| format!("--width {value}: not a number"))?;
                arguments.width = Some(width);
            }
            "--out" => arguments.out = Some(words.next().ok_or("--out needs a file")?.into()),
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(arguments)
}

fn fail(message: &str) -> ! {
    eprintln!(
        "emit: {message}\nusage: emit (--top [--width 64|128|256|512] | --card | --board versa-ecp5|stlv7325 [--commit HEX] [--time SECONDS] | --module NAME) --out FILE"
    );
    std::process::exit(2)
}
