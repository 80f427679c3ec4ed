//! The direction of dependencies, as cargo resolves them: each layer knows only those below it.

use crate::process::{Failure, Result, capture, cargo};

/// One package and what it must never reach through normal dependencies, at any depth.
struct Rule {
    package: &'static str,
    never: &'static [&'static str],
}

/// The circuits and their simulator stay out of what ships; nothing below knows the host.
const RULES: &[Rule] = &[
    Rule {
        package: "postern",
        never: &["hdl", "sim", "rust-hdl*"],
    },
    Rule {
        package: "host",
        never: &["hdl", "sim", "rust-hdl*"],
    },
    Rule {
        package: "sim",
        never: &["host", "hdl", "rust-hdl*"],
    },
    Rule {
        package: "hdl",
        never: &["host", "sim"],
    },
    Rule {
        package: "layout",
        never: &["*"],
    },
];

/// Fails with every dependency that points the wrong way.
pub fn check() -> Result {
    let mut wrong = Vec::new();
    for rule in RULES {
        for reached in reached_by(rule.package)? {
            if rule.never.iter().any(|pattern| matches(pattern, &reached)) {
                wrong.push(format!("{} reaches {reached}", rule.package));
            }
        }
        println!(
            "    {} reaches none of {}",
            rule.package,
            rule.never.join(", ")
        );
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check(wrong.join("; ")))
    }
}

/// Names of all packages a package reaches through normal dependencies, with every feature on.
fn reached_by(package: &str) -> Result<Vec<String>> {
    let tree = capture(&mut cargo([
        "tree",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--all-features",
        "--package",
        package,
    ]))?;
    // The first line is the package itself; a line is `name vX.Y.Z …`.
    let names = tree
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
