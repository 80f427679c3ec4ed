//! `postern load --uart DEVICE --config FILE [--format text|json]`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use layout::csr::TABLE_COMMAND;
use layout::table::Interface;
use serde_json::json;

use super::Outcome;
use super::check::{self, Format};
use crate::config;
use crate::policy::image::DestinationOrigin;
use crate::policy::{self, Capacity, FitReport, Image, Model};
use crate::runtime::{self, stand_alone};
use crate::vfio::address::Address;
use crate::vfio::uart::UartDevice;
use crate::vfio::{Access, Device, DmaMemory, Error, EventFd, RegionInfo};

const HELP: &str = "\
Example:
  postern load --uart /dev/ttyUSB1 --config firewall.cfg

The board is closed, emptied, loaded, and opened when all of it is there; once it is closed, what fails leaves it closed.
Without a host it drops what access lists deny and what is no packet for it, and counts both. Whoever begins a permitted
connection waits for a host, since routes, translations (static ones too) and next hops are decided with its first packet:
  postern run --nic uart:/dev/ttyUSB1 --config firewall.cfg
serves them over the same line. When it stops the board goes on with the connections it has, translated or not.

Exit code: 0 loaded, 1 the configuration has errors, 2 the board cannot be loaded.";

/// Arguments of `load`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// Serial line of the board
    #[arg(long, value_name = "DEVICE")]
    uart: PathBuf,
    /// Configuration in ASA command language; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    config: String,
    /// How to print what was loaded
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Loads a board. Exit code 1 when the configuration has errors; nothing is written then.
pub fn run(arguments: &Arguments) -> Outcome {
    let checked = policy::check(&config::parse(&check::read(&arguments.config)?));
    if checked.has_errors() {
        eprintln!(
            "postern: the configuration {0} has errors; `postern check {0}` shows them",
            arguments.config
        );
        return Ok(ExitCode::from(1));
    }
    let (image, fit) = policy::compile(&checked.model, &Capacity::default());
    let bar = progress_bar();
    let device = UartDevice::open(&arguments.uart).map_err(runtime::Error::from)?;
    let watched = Box::new(Watched {
        device,
        bar: bar.clone(),
    });
    let loaded = stand_alone::load(watched, &image, |entries| bar.set_length(entries as u64));
    bar.finish_and_clear();
    let summary = Summary {
        address: Address::Uart(arguments.uart.clone()),
        model: &checked.model,
        image: &image,
        fit: &fit,
        interfaces: loaded?,
    };
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => summary.write(&mut out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &summary.json())
                .map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What was loaded.
struct Summary<'a> {
    address: Address,
    model: &'a Model,
    image: &'a Image,
    fit: &'a FitReport,
    interfaces: Vec<Interface>,
}

impl Summary<'_> {
    fn permits(&self) -> usize {
        self.image.acl.iter().filter(|entry| entry.permit).count()
    }

    fn denials(&self) -> usize {
        self.image.acl.len() - self.permits()
    }

    /// Entries for translated destinations.
    fn translations(&self) -> usize {
        let is_nat = |origin: &&DestinationOrigin| {
            matches!(
                origin,
                DestinationOrigin::Nat(_) | DestinationOrigin::HostDecides(_)
            )
        };
        self.image.destination_origins.iter().filter(is_nat).count()
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Interface)> {
        let names = self.model.interfaces.iter().map(|one| one.name.as_str());
        names
            .zip(&self.interfaces)
            .filter(|(_, interface)| interface.valid)
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{} is loaded and switched on", self.address)?;
        for (name, interface) in self.named() {
            write!(out, "  {name}: port {}", interface.port)?;
            if interface.tagged {
                write!(out, ", VLAN {}", interface.vid)?;
            }
            writeln!(out, ", MAC {}", mac(interface))?;
        }
        writeln!(out, "without a host it")?;
        writeln!(out, "  drops what {} entries deny", self.denials())?;
        writeln!(out, "  forwards the connections that a host leaves on it")?;
        writeln!(out, "with `postern run --nic {}` it also", self.address)?;
        writeln!(
            out,
            "  lets connections begin that {} entries permit",
            self.permits()
        )?;
        writeln!(
            out,
            "  lets connections begin to {} translated destinations",
            self.translations()
        )?;
        writeln!(
            out,
            "  answers ARP and ICMP, inspects, routes and translates"
        )?;
        if !self.fit.fits() {
            writeln!(
                out,
                "not all of the configuration fits: what is left out needs the host too"
            )?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let interfaces: Vec<_> = self
            .named()
            .map(|(name, interface)| {
                let vlan = interface.tagged.then_some(interface.vid);
                json!({"name": name, "port": interface.port, "vlan": vlan, "mac": mac(interface)})
            })
            .collect();
        json!({
            "card": self.address.to_string(),
            "interfaces": interfaces,
            "without_host": {"denying_entries": self.denials()},
            "with_host": {
                "permitting_entries": self.permits(),
                "translated_destinations": self.translations(),
            },
            "fits": self.fit.fits(),
        })
    }
}

fn mac(interface: &Interface) -> String {
    let bytes = interface.mac.to_be_bytes();
    let shown: Vec<String> = bytes[2..]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    shown.join(":")
}

/// On standard error, and only where somebody sees it move.
fn progress_bar() -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} entries  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// A device whose table commands move a bar.
struct Watched {
    device: UartDevice,
    bar: ProgressBar,
}

impl Device for Watched {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        self.device.region_info(region)
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        self.device.region_read(region, offset, data)
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.device.region_write(region, offset, data)
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.device.reset()
    }

    fn map(&mut self, bytes: usize) -> Result<DmaMemory, Error> {
        self.device.map(bytes)
    }

    fn interrupt_count(&mut self) -> Result<usize, Error> {
        self.device.interrupt_count()
    }

    fn enable_interrupts(&mut self, count: usize) -> Result<Vec<EventFd>, Error> {
        self.device.enable_interrupts(count)
    }

    fn set_bus_master(&mut self, on: bool) -> Result<(), Error> {
        self.device.set_bus_master(on)
    }

    fn batch(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        self.device.batch(accesses)?;
        let is_command = |access: &&Access<'_>| matches!(access, Access::Write { offset, .. } if *offset == u64::from(TABLE_COMMAND));
        self.bar
            .inc(accesses.iter().filter(is_command).count() as u64);
        Ok(())
    }
}
