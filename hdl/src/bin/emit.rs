//! Writes the Verilog of the card, or of one module, for simulation, lint, proof and bitstreams.

use std::path::PathBuf;

/// What to print, and where.
#[derive(Default)]
struct Arguments {
    top: bool,
    width: Option<usize>,
    out: Option<PathBuf>,
}

fn main() {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => fail(&error),
    };
    let Some(out) = arguments.out else { fail("--out FILE is missing") };
    if !arguments.top {
        fail("--top is missing");
    }
    let width = arguments.width.unwrap_or(64);
    if !hdl::WIDTHS.contains(&width) {
        fail(&format!("--width {width}: the widths are {:?}", hdl::WIDTHS));
    }
    if let Err(error) = std::fs::write(&out, hdl::emit_top(width)) {
        fail(&format!("cannot write {}: {error}", out.display()));
    }
}

fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--top" => arguments.top = true,
            "--width" => {
                let value = words.next().ok_or("--width needs a number")?;
                let width = value.parse().map_err(|_| format!("--width {value}: not a number"))?;
                arguments.width = Some(width);
            }
            "--out" => arguments.out = Some(words.next().ok_or("--out needs a file")?.into()),
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(arguments)
}

fn fail(message: &str) -> ! {
    eprintln!("emit: {message}\nusage: emit --top [--width 64|128|256|512] --out FILE");
    std::process::exit(2)
}
