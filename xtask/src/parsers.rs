//! Bytes from outside against every parser: builds the targets of `fuzz/` for libFuzzer and runs them.
//!
//! `cargo fuzz` needs a nightly compiler for the flags that count coverage; LLVM takes the same ones from the stable
//! compiler. There is no address sanitizer then, which code without `unsafe` does not miss; overflows and debug
//! assertions are on.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::process::{Failure, Result, at, capture, cargo, command, output, root, run, target};

/// Which parsers, and for how long.
#[derive(Args)]
pub struct Options {
    /// Targets of `fuzz/fuzz_targets`; all by default
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Seconds for each
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

/// Coverage that libFuzzer reads.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];
/// Longest that one input may take, in seconds, and the most memory, in MB.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// Builds the targets and runs them one after the other; an input that fails stays in the target directory.
pub fn fuzz_parsers(options: &Options) -> Result {
    let targets = chosen(&options.targets)?;
    let triple = host_triple()?;
    let built = target().join("fuzz");
    println!("Building {} fuzz targets", targets.len());
    // A target of its own keeps the flags away from build scripts.
    let mut build = cargo(["build", "--release", "--target", &triple]);
    build
        .arg("--manifest-path")
        .arg(root().join("fuzz/Cargo.toml"));
    build.arg("--target-dir").arg(&built);
    for name in &targets {
        build.args(["--bin", name]);
    }
    run(build.env("RUSTFLAGS", FLAGS.join(" ")))?;
    let programs = built.join(triple).join("release");
    println!("\n{:16}{:>16}{:>20}", "target", "executions", "inputs kept");
    for name in &targets {
        try_one(name, &programs, &built, options.seconds)?;
    }
    Ok(())
}

fn try_one(name: &str, programs: &Path, built: &Path, seconds: u64) -> Result {
    let found = built.join("corpus").join(name);
    fs::create_dir_all(&found).map_err(at(&found))?;
    let mut fuzz = command(programs.join(name));
    // New inputs go to the first folder; the second, in the tree, is where it begins.
    fuzz.arg(&found);
    fuzz.args(Some(root().join("fuzz/corpus").join(name)).filter(|kept| kept.exists()));
    fuzz.args(LIMITS);
    fuzz.arg(format!("-max_total_time={seconds}"));
    fuzz.arg(format!("-artifact_prefix={}/{name}-", built.display()));
    fuzz.arg("-print_final_stats=1");
    let told = output(&mut fuzz)?;
    let text = String::from_utf8_lossy(&told.stderr);
    let log = built.join(format!("{name}.log"));
    fs::write(&log, text.as_bytes()).map_err(at(&log))?;
    if !told.status.success() {
        let end: Vec<&str> = text.lines().rev().take(20).collect();
        end.iter().rev().for_each(|line| eprintln!("{line}"));
        return Err(Failure::Check(format!(
            "{name} fails on an input, {}; the whole log: {}",
            told.status,
            log.display()
        )));
    }
    let figure = |what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what));
        line.unwrap_or("?").trim().to_owned()
    };
    let executions = figure("stat::number_of_executed_units:");
    let kept = figure("stat::new_units_added:");
    println!("{name:16}{executions:>16}{kept:>20}");
    Ok(())
}

/// The targets that there are, or those of them that were asked for.
fn chosen(wanted: &[String]) -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut all = Vec::new();
    for file in fs::read_dir(&folder).map_err(at(&folder))? {
        let path: PathBuf = file.map_err(at(&folder))?.path();
        all.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    all.sort();
    match wanted.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(Failure::Check(format!(
            "there is no fuzz target {name}; there are {}",
            all.join(", ")
        ))),
        None if wanted.is_empty() => Ok(all),
        None => Ok(wanted.to_vec()),
    }
}

fn host_triple() -> Result<String> {
    let text = capture(command("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .ok_or_else(|| Failure::Check("`rustc -vV` names no host".into()))
}
