//! Two enterprises with servers that nobody here wrote, and the firewall between them on the RTL card.
//!
//! What each scene showed is printed as a summary; captures of both sides, logs and configurations are kept in
//! `target/lab`. A scene that does not hold ends the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use clap::Args;

use crate::networks::{FAR, Lab, Side};
use crate::process::{Failure, Result, at, capture as capture_of, root, target};
use crate::programs;
use crate::requirements::{self, FEDERATION, SCANNERS, SIMULATION};

/// Keys and certificates of the enterprises.
mod certificates;
/// The firewall as a process.
mod firewall;
/// SIP servers.
mod sip;
/// Their users.
mod user;
/// What users hear of each other.
mod media;
/// Telephones that speak SIP without TLS.
mod telephones;
/// XMPP servers.
mod xmpp;
/// Judges of the TLS proxy that nobody here wrote.
mod scanners;
/// Child processes that end with us.
mod process;

use certificates::Authority;
use firewall::Firewall;
use sip::Presence;
use xmpp::Xmpp;

/// What the card is made of.
#[derive(Args)]
pub struct Options {
    /// `rtl` for the Verilated circuits, or `model`
    #[arg(long, default_value = "rtl", value_parser = ["rtl", "model"])]
    engine: String,
    /// Let testssl.sh and sslscan look for faults of the TLS proxy instead
    #[arg(long)]
    scan: bool,
}

/// On the RTL card, unless this user may not make the networks at its ports. `programs` is where they are built.
pub fn play_if_root(programs: &Path) -> Result {
    if !rustix::process::geteuid().is_root() {
        println!("    SKIPPED: network namespaces need root");
        return Ok(());
    }
    play("rtl", programs)
}

/// Builds the programs, and lets them play.
pub fn lab(options: &Options) -> Result {
    if options.scan {
        requirements::ensure(&[SIMULATION, SCANNERS])?;
        let programs = programs::build()?;
        return scanners::scan(&options.engine, &programs, &folder()?);
    }
    requirements::ensure(&[SIMULATION, FEDERATION])?;
    play(&options.engine, &programs::build()?)
}

/// An empty folder for captures, logs and reports.
fn folder() -> Result<PathBuf> {
    let folder = target().join("lab");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&folder)(error)),
        _ => fs::create_dir_all(&folder)
            .map_err(at(&folder))
            .map(|()| folder),
    }
}

/// Brings both enterprises up, and goes through all scenes.
fn play(engine: &str, programs: &Path) -> Result {
    let scene = Scene::start(engine, programs)?;
    let told = scene.play()?;
    println!("\n    what was seen");
    for line in &told {
        println!("      {line}");
    }
    let summary = scene.folder.join("summary.txt");
    fs::write(&summary, told.join("\n") + "\n").map_err(at(&summary))?;
    println!("    this, captures and logs: {}", scene.folder.display());
    Ok(())
}

/// Everything that runs.
struct Scene {
    // Dropped in this order: programs before the networks they are in.
    captures: Vec<Child>,
    offices: [Presence; 2],
    xmpp: [Xmpp; 3],
    firewall: Firewall,
    lab: Lab,
    folder: PathBuf,
}

impl Scene {
    fn start(engine: &str, programs: &Path) -> Result<Self> {
        let folder = folder()?;
        let lab = Lab::start(&programs.join("postern-card"), engine)
            .map_err(|error| Failure::Check(format!("cannot start the card: {error}")))?;
        for (side, words) in [
            (Side::Inside, "address add 10.0.0.2/24 dev inside0"),
            (Side::Inside, "address add 10.0.0.10/24 dev inside0"),
            (Side::Inside, "address add 10.0.0.20/24 dev inside0"),
            (Side::Outside, "address add 198.51.100.9/32 dev outside0"),
        ] {
            process::run(lab.command(side, "ip").args(words.split(' ')))?;
        }
        let public = Authority::new(&folder, "public-authority")?;
        let internal = Authority::new(&folder, "internal-authority")?;
        // Each side of the firewall has an identity that its own side believes.
        let ours = public.bundle(&folder, "office.example")?;
        let theirs = internal.bundle(&folder, "partner.example")?;
        let identities = [("public", ours.as_path()), ("internal", theirs.as_path())];
        let captures = [Side::Outside, Side::Inside].map(|side| capture(&lab, side, &folder));
        let captures = captures.into_iter().collect::<Result<_>>()?;
        let configuration = root().join("tests/support/federation.cfg");
        let firewall = Firewall::start(
            &programs.join("postern"),
            &configuration,
            &identities,
            &lab,
            &folder,
        )?;
        Ok(Self {
            captures,
            offices: sip::start(&lab, [&internal, &public], &folder)?,
            xmpp: xmpp::start(&lab, &public, &folder)?,
            firewall,
            lab,
            folder,
        })
    }

    fn play(&self) -> Result<Vec<String>> {
        let mut told = Vec::new();
        let [ours, theirs] = &self.offices;
        for (caller, callee, way) in [(ours, theirs, "outbound"), (theirs, ours, "inbound")] {
            told.push(sip::talk(&self.lab, caller, callee)?);
            self.firewall
                .await_line(&format!("%ASA-6-302013: Built {way} TCP connection"))?;
        }
        told.push(self.media()?);
        told.push(sip::search_leaks(&self.offices)?);
        told.extend(telephones::call(&self.lab, &self.folder)?);
        told.extend(xmpp::ping(&self.xmpp)?);
        told.push(self.search_headers()?);
        Ok(told)
    }

    /// Who carried the media of both calls.
    fn media(&self) -> Result<String> {
        let shown = self.firewall.conns(FAR)?;
        let conns = shown["conns"].as_array().into_iter().flatten();
        let media: Vec<_> = conns.filter(|conn| conn["protocol"] == "UDP").collect();
        // RTP and RTCP of a call each way.
        if media.len() != 4 || media.iter().any(|conn| conn["by"] != "card") {
            return Err(Failure::Check(format!("media is not in the card: {shown}")));
        }
        Ok("media of both calls: 4 connections, all in the card".to_owned())
    }

    /// Looks for packets with an address of the inside in what was captured outside.
    fn search_headers(&self) -> Result<String> {
        let path = self.folder.join("outside.pcap");
        let read = |filter: &str| {
            let mut command = Command::new("tcpdump");
            command.args(["-n", "-t", "-r"]).arg(&path).arg(filter);
            capture_of(&mut command)
        };
        let (all, leaks) = (read("ip")?, read("net 10.0.0.0/8")?);
        match leaks.lines().next() {
            Some(leak) => Err(Failure::Check(format!("seen outside: {leak}"))),
            None => Ok(format!(
                "outside: {} packets captured, none from or to an inside address",
                all.lines().count()
            )),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for capture in &mut self.captures {
            process::end(capture);
        }
    }
}

fn capture(lab: &Lab, side: Side, folder: &Path) -> Result<Child> {
    let (device, name) = match side {
        Side::Outside => ("outside0", "outside.pcap"),
        Side::Inside => ("inside0", "inside.pcap"),
    };
    let mut command = lab.command(side, "tcpdump");
    // Packet by packet, so that nothing is missing when it is ended.
    command.args(["-i", device, "-U", "--immediate-mode", "-w"]);
    command.arg(folder.join(name));
    process::spawn_until(
        &mut command,
        &folder.join(format!("{name}.log")),
        "listening on",
    )
}
