//! `postern nic list`, `postern nic bind BDF`, `postern nic info NIC`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::check::Format;
use super::{Failure, Outcome};
use crate::nic::Nic;
use crate::nic::stats::CounterValue;
use crate::runtime;
use crate::vfio::address::Address;
use crate::vfio::child::{Engine, Wiring};
use crate::vfio::sysfs::{Bdf, Bound, Function, Sysfs};
use layout::csr::{CAPABILITY_DMA, CAPABILITY_WINDOWS};

/// Commands of `nic`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List network controllers and cards with their IOMMU groups and drivers
    List(List),
    /// Take a PCI function from its driver and give it to vfio-pci
    Bind(Bind),
    /// Show what a card says of itself; nothing is written to it, but nobody else may be using it
    Info(Info),
}

/// Arguments of `nic list`.
#[derive(Args, Debug)]
pub struct List {
    /// How to print the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Arguments of `nic bind`.
#[derive(Args, Debug)]
pub struct Bind {
    /// Address of the function, as 0000:03:00.0
    bdf: Bdf,
}

/// Arguments of `nic info`.
#[derive(Args, Debug)]
pub struct Info {
    /// The card: `sim`, `vfio-user:SOCKET`, `vfio:BDF` or `uart:DEVICE`
    nic: Address,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs one of the commands.
pub fn run(command: &Command) -> Outcome {
    let sysfs = Sysfs::default();
    let mut out = std::io::stdout().lock();
    match command {
        Command::List(List { format }) => {
            let found = sysfs.candidates().map_err(runtime::Error::from)?;
            match format {
                Format::Text => write_list(&mut out, &found)?,
                Format::Json => write_json(&mut out, &json!(found))?,
            }
        }
        Command::Bind(Bind { bdf }) => match sysfs.bind(bdf).map_err(runtime::Error::from)? {
            Bound::Now => writeln!(
                out,
                "{bdf} is bound to vfio-pci: use it as --nic vfio:{bdf}"
            )?,
            Bound::Before => writeln!(out, "{bdf} was bound to vfio-pci already")?,
        },
        Command::Info(Info { nic, format }) => {
            let told = describe(&sysfs, nic)?;
            match format {
                Format::Text => write_info(&mut out, &told)?,
                Format::Json => write_json(&mut out, &told.json())?,
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_list(out: &mut impl Write, found: &[Function]) -> std::io::Result<()> {
    if found.is_empty() {
        return writeln!(out, "no network controllers on PCI");
    }
    writeln!(
        out,
        "{:<14}{:<11}{:<7}{:<12}link",
        "address", "id", "group", "driver"
    )?;
    for function in found {
        let Function {
            bdf,
            vendor,
            device,
            group,
            driver,
            link,
            is_card,
            ..
        } = function;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let (group, driver, link) = (or_none(group), or_none(driver), or_none(link));
        let mark = if *is_card { "  Postern card" } else { "" };
        writeln!(
            out,
            "{bdf:<14}{vendor:04x}:{device:04x}  {group:<7}{driver:<12}{link}{mark}"
        )?;
    }
    Ok(())
}

/// What a card says of itself.
struct Description {
    facts: Vec<(&'static str, String)>,
    counters: Vec<CounterValue>,
}

fn describe(sysfs: &Sysfs, address: &Address) -> Result<Description, runtime::Error> {
    let link = match address {
        Address::Kernel(bdf) => sysfs
            .function(bdf)?
            .link
            .unwrap_or_else(|| "not PCI Express".into()),
        Address::Simulated | Address::User(_) => "simulated".into(),
        Address::Uart(_) => "serial line".into(),
    };
    let wiring = Wiring {
        engine: Engine::Model,
        ports: Vec::new(),
    };
    let (device, _child) = address.open(&wiring)?;
    let mut nic = Nic::inspect(device)?;
    let counters = nic.counters()?;
    let ident = *nic.ident();
    let (major, minor, patch) = ident.core_version;
    let has = |bit| {
        if ident.capabilities & bit != 0 {
            "yes"
        } else {
            "no"
        }
    };
    let mut facts = vec![
        ("card", address.to_string()),
        ("board", board(ident.board).to_owned()),
        ("core version", format!("{major}.{minor}.{patch}")),
        ("git commit", format!("{:08x}", ident.git_hash)),
        ("layout", format!("{:#018x}", layout::LAYOUT_HASH)),
        ("link", link),
        ("stream width", format!("{} bit", ident.data_width)),
        ("programmed-IO windows", has(CAPABILITY_WINDOWS).to_owned()),
        ("DMA rings and MSI-X", has(CAPABILITY_DMA).to_owned()),
    ];
    // The driver refuses other sizes than these.
    facts.extend(Nic::table_sizes().map(|(name, size)| (name, size.to_string())));
    Ok(Description { facts, counters })
}

impl Description {
    fn json(&self) -> Value {
        let facts = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        let counters = self
            .counters
            .iter()
            .map(|one| (one.name.to_owned(), json!(one.value)));
        json!({
            "card": Value::Object(facts.collect()),
            "counters": Value::Object(counters.collect()),
        })
    }
}

fn write_info(out: &mut impl Write, told: &Description) -> std::io::Result<()> {
    for (name, value) in &told.facts {
        writeln!(out, "{name:<24}{value}")?;
    }
    writeln!(out, "counters that are not 0")?;
    for CounterValue { name, value } in told.counters.iter().filter(|one| one.value > 0) {
        writeln!(out, "  {name:<22}{value}")?;
    }
    Ok(())
}

fn write_json(out: &mut impl Write, value: &Value) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

/// As `csr::BOARD` numbers them.
fn board(number: u32) -> &'static str {
    match number {
        0 => "software model",
        1 => "simulated RTL",
        2 => "Lattice Versa ECP5-5G",
        3 => "STLV7325",
        _ => "unknown",
    }
}
