//! The program that ships, driving the simulated card through the kernel's VFIO in a guest under QEMU.
//!
//! The card is a process of ours with its ports in two private networks; QEMU shows it to the guest as a PCI device;
//! the guest's kernel hands it to `postern` as it would hand over silicon. Every step prints what it measured, and
//! fails on the value: a guest that only says that all is well proves nothing.

use std::fs;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// QEMU and a kernel that nobody installs.
mod software;
/// The guest's file system.
mod image;
/// The running guest and its console.
mod machine;
/// Measured values.
mod report;
/// Connections through the card.
mod traffic;

use crate::networks::Lab;
use crate::process::{Failure, Result, root, target};
use crate::programs;
use crate::requirements::{self, GUEST, SIMULATION};
use machine::{BACKGROUND, Machine};
use report::{equal, is, json, number};
use software::Software;

/// What the card is made of.
#[derive(Args)]
pub struct Options {
    /// `rtl` for the Verilated circuits, or `model`
    #[arg(long, default_value = "rtl", value_parser = ["rtl", "model"])]
    engine: String,
}

/// On the RTL card, unless this user may not make the networks at its ports.
pub fn guest_test_if_root() -> Result {
    if !rustix::process::geteuid().is_root() {
        println!("    SKIPPED: network namespaces need root");
        return Ok(());
    }
    guest_test(&Options {
        engine: "rtl".into(),
    })
}

/// Boots the guest and goes through all steps.
pub fn guest_test(options: &Options) -> Result {
    requirements::ensure(&[SIMULATION, GUEST])?;
    let programs = programs::build()?;
    let software = Software::ensure()?;
    let configuration = root().join("tests/support/lab.cfg");
    let configuration =
        fs::read_to_string(&configuration).map_err(crate::process::at(&configuration))?;
    let image = image::make(&software, &programs, &configuration)?;
    let lab = Lab::start(&programs.join("postern-card"), &options.engine)
        .map_err(|error| Failure::Check(format!("cannot start the card: {error}")))?;
    let log = target().join("guest/console.log");
    println!(
        "    booting; the guest's console is copied to {}",
        log.display()
    );
    let machine = Machine::boot(&software, &image, &lab.socket(), &log)?;
    let mut test = Test {
        machine,
        lab,
        bdf: String::new(),
    };
    test.boot()?;
    test.find_and_bind(&options.engine)?;
    test.probe()?;
    test.serve_and_stop()?;
    test.serve_and_die()?;
    test.end()
}

struct Test {
    machine: Machine,
    lab: Lab,
    /// The card's PCI address in the guest.
    bdf: String,
}

impl Test {
    fn boot(&mut self) -> Result {
        let ready = self.machine.await_line("guest: ready")?;
        is("boot", &ready, ready.contains("6."), "a kernel")
    }

    fn find_and_bind(&mut self, engine: &str) -> Result {
        let card = self.listed_card()?;
        self.bdf = card["bdf"].as_str().unwrap_or_default().to_owned();
        is(
            "nic list: address",
            &self.bdf,
            self.bdf.len() == 12,
            "a PCI address",
        )?;
        is(
            "nic list: IOMMU group",
            &card["group"],
            card["group"].is_string(),
            "a group",
        )?;
        equal("nic list: driver", &card["driver"], &Value::Null)?;
        let bdf = self.bdf.clone();
        let unbound = self.machine.run(&format!("postern nic info vfio:{bdf}"))?;
        is(
            "nic info before bind: status",
            &unbound.status,
            unbound.status != 0,
            "a failure",
        )?;
        let advice = unbound.text().contains(&format!("postern nic bind {bdf}"));
        equal("nic info before bind: says what to do", advice, true)?;
        let bound = self.machine.run(&format!("postern nic bind {bdf}"))?;
        equal("nic bind: status", bound.status, 0)?;
        equal(
            "nic list: driver",
            &self.listed_card()?["driver"],
            &Value::from("vfio-pci"),
        )?;
        let info = self.info()?;
        let board = if engine == "rtl" {
            "simulated RTL"
        } else {
            "software model"
        };
        equal(
            "nic info: board",
            &info["card"]["board"],
            &Value::from(board),
        )?;
        equal(
            "nic info: DMA rings and MSI-X",
            &info["card"]["DMA rings and MSI-X"],
            &Value::from("yes"),
        )?;
        equal(
            "nic info: link",
            &info["card"]["link"],
            &Value::from("2.5 GT/s PCIe x1"),
        )
    }

    /// What only a program of its own can measure: all vectors, reset, DMA faults, slow registers.
    fn probe(&mut self) -> Result {
        self.machine.send(&format!("guest_probe {}", self.bdf))?;
        for step in ["vectors", "after-reset"] {
            if step == "after-reset" {
                let reset = self.measured("reset")?;
                equal(
                    "reset: DMA_CONTROL before",
                    number(&reset, "/dma_before")?,
                    3,
                )?;
                equal("reset: DMA_CONTROL after", number(&reset, "/dma_after")?, 0)?;
                equal(
                    "reset: tables kept",
                    &reset["tables_kept"],
                    &Value::from(true),
                )?;
            }
            let told = self.measured(step)?;
            equal(
                &format!("{step}: frames by inject ring"),
                number(&told, "/sent")?,
                64,
            )?;
            equal(
                &format!("{step}: frames by punt rings"),
                number(&told, "/taken")?,
                64,
            )?;
            equal(
                &format!("{step}: same bytes"),
                &told["same"],
                &Value::from(true),
            )?;
            for vector in 0..5 {
                let events = number(&told, &format!("/events/{vector}"))?;
                is(
                    &format!("{step}: MSI-X of vector {vector}"),
                    &events,
                    events > 0,
                    "some",
                )?;
            }
            equal(&format!("{step}: DMA errors"), number(&told, "/errors")?, 0)?;
        }
        let fault = self.measured("fault")?;
        equal(
            "mapped IOVA: descriptors read and refused",
            number(&fault, "/mapped/bad_descriptors")?,
            1,
        )?;
        equal(
            "mapped IOVA: failed reads",
            number(&fault, "/mapped/read_errors")?,
            0,
        )?;
        equal(
            "unmapped IOVA: descriptors read",
            number(&fault, "/unmapped/bad_descriptors")?,
            0,
        )?;
        equal(
            "unmapped IOVA: failed reads",
            number(&fault, "/unmapped/read_errors")?,
            1,
        )?;
        equal(
            "MSI-X of the error vector",
            number(&fault, "/error_events")?,
            2,
        )?;
        self.slow_read()
    }

    /// Holds the card while the guest reads a register: longer than QEMU waits unless told otherwise.
    fn slow_read(&mut self) -> Result {
        self.measured("slow-read-begins")?;
        self.signal_card(Signal::STOP)?;
        // Not a wait for something: how slow the register is.
        std::thread::sleep(SLOW_READ);
        self.signal_card(Signal::CONT)?;
        let told = self.measured("slow-read")?;
        let longest = number(&told, "/longest_ms")?;
        is(
            "slow read: milliseconds",
            &longest,
            longest >= 6_000,
            "at least 6000",
        )?;
        equal("slow read: wrong values", number(&told, "/wrong")?, 0)?;
        equal("probe: status", self.machine.finish()?.status, 0)
    }

    /// A policy, traffic of every kind, an orderly end, and what the card counted.
    fn serve_and_stop(&mut self) -> Result {
        let before = self.info()?;
        self.start_postern()?;
        let busy = self
            .machine
            .run(&format!("postern nic info vfio:{}", self.bdf))?;
        equal(
            "second program: told that the card is busy",
            busy.text().contains("is busy"),
            true,
        )?;
        for (pair, what) in [
            (traffic::outbound(&self.lab)?, "outbound"),
            (traffic::inbound(&self.lab)?, "inbound"),
        ] {
            let mut pair = pair;
            pair.exchange(what)?;
            pair.close()?;
            self.machine
                .await_background(&format!("%ASA-6-302013: Built {what} TCP connection"))?;
        }
        traffic::denied(&self.lab, DENIED)?;
        self.interrupts()?;
        for _ in 0..2 {
            // The program has seen in the card's own statistics that the connections ended.
            let ended = self
                .machine
                .await_background("%ASA-6-302014: Teardown TCP connection")?;
            is(
                "flow statistics",
                &ended,
                ended.ends_with("TCP FINs"),
                "an end by FINs",
            )?;
        }
        self.machine.run("kill -TERM $(pidof postern)")?;
        let stopped = self.machine.await_background("postern: stopped")?;
        is(
            "run: last words",
            &stopped,
            stopped.ends_with("the card goes on with 0 connections"),
            "no connection left",
        )?;
        // Until then the card is busy.
        self.machine.await_background("ended 0")?;
        let after = self.info()?;
        let counted = |name: &str| {
            let pointer = format!("/counters/{name}");
            Ok(number(&after, &pointer)? - number(&before, &pointer)?)
        };
        equal(
            "denied by the access list",
            counted("acl-deny")?,
            DENIED as u64,
        )?;
        for (name, least) in [("flow-hit", 400), ("flow-miss", 2), ("arp", 2)] {
            let count: u64 = counted(name)?;
            is(name, &count, count >= least, &format!("at least {least}"))?;
        }
        for name in [
            "punt-overflow",
            "punt-ring-full",
            "inject-read-error",
            "inject-bad-descriptor",
        ] {
            equal(name, counted(name)?, 0)?;
        }
        Ok(())
    }

    /// The program is killed under a connection, which goes on in the card and is taken over by the next.
    fn serve_and_die(&mut self) -> Result {
        self.start_postern()?;
        let mut pair = traffic::outbound(&self.lab)?;
        pair.exchange("before the program is killed")?;
        self.machine.run("kill -KILL $(pidof postern)")?;
        self.machine.await_background("ended 137")?;
        pair.exchange("without a program")?;
        self.start_postern()?;
        let taken = self.machine.await_background("postern: took")?;
        is(
            "run again",
            &taken,
            taken.contains("took 1 connections over, removed 0"),
            "one taken over",
        )?;
        pair.exchange("with the next program")?;
        pair.close()?;
        self.machine.run("kill -TERM $(pidof postern)")?;
        self.machine.await_background("ended 0")?;
        Ok(())
    }

    fn end(mut self) -> Result {
        self.machine.power_off()?;
        equal("card: still runs", self.lab.card_runs(), true)?;
        equal("card: complaints", self.lab.card_log().as_str(), "")
    }

    /// Starts `postern run` in the background and waits until it serves.
    fn start_postern(&mut self) -> Result {
        let run = format!(
            "postern run --config {} --nic vfio:{} 2>&1",
            image::CONFIGURATION,
            self.bdf
        );
        let tell = format!("while read -r line; do echo \"{BACKGROUND}$line\"; done");
        self.machine
            .run(&format!("{{ {run}; echo ended $?; }} | {tell} &"))?;
        let running = self.machine.await_background("postern: running on")?;
        is(
            "run",
            &running,
            running.ends_with("rings and interrupts"),
            "rings and interrupts",
        )
    }

    /// Interrupts as the guest's kernel counts them.
    fn interrupts(&mut self) -> Result {
        let told = self.machine.run("grep vfio-msix /proc/interrupts")?;
        equal(
            "kernel: MSI-X vectors",
            told.lines
                .iter()
                .filter(|line| line.contains("vfio-msix"))
                .count(),
            6,
        )?;
        let counts = told
            .lines
            .iter()
            .flat_map(|line| line.split_whitespace().skip(1).take(2));
        let sum: u64 = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
        is("kernel: MSI-X received", &sum, sum >= 4, "at least 4")
    }

    fn listed_card(&mut self) -> Result<Value> {
        let list = json(&self.machine.run("postern nic list --format json")?.text())?;
        let cards = list.as_array().into_iter().flatten();
        let mut cards = cards.filter(|function| function["is_card"] == true);
        cards
            .next()
            .cloned()
            .ok_or_else(|| Failure::Check(format!("no card in {list}")))
    }

    fn info(&mut self) -> Result<Value> {
        let told = self
            .machine
            .run(&format!("postern nic info vfio:{} --format json", self.bdf))?;
        json(&told.text())
    }

    /// The line that the probe printed of a step.
    fn measured(&mut self, step: &str) -> Result<Value> {
        json(&self.machine.await_line(&format!("\"step\":\"{step}\""))?)
    }

    fn signal_card(&self, signal: Signal) -> Result {
        let process = i32::try_from(self.lab.card_process())
            .ok()
            .and_then(Pid::from_raw);
        let process = process.ok_or_else(|| Failure::Check("the card has no process".into()))?;
        kill_process(process, signal)
            .map_err(|error| Failure::Check(format!("cannot stop the card: {error}")))
    }
}

/// Datagrams that the access list denies.
const DENIED: usize = 20;
/// More than the 6 s that the probe looks for.
const SLOW_READ: Duration = Duration::from_secs(7);
