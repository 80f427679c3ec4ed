//! `postern run --config C --nic NIC`: be a firewall until told to stop.
//!
//! Events go to standard error, one a line, in the words of ASA's system log. SIGINT and SIGTERM end it; the card goes
//! on forwarding the flows it has, and the next run takes them over.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::crypto::Place;
use super::{Failure, Outcome, check, no_such_class};
use crate::config::ast::Config;
use crate::config::{self, Severity};
use crate::control::desk::Desk;
use crate::control::server::Control;
use crate::enrol::prove::{Door, MachineDoor};
use crate::pki::Settings;
use crate::policy::model::ClassId;
use crate::policy::{self, Capacity, FitReport, Model};
use crate::runtime::clock::{self, Clock};
use crate::runtime::door::CardDoor;
use crate::runtime::live::{Live, Tables};
use crate::runtime::renewal::{Keeper, Setup};
use crate::runtime::serving::Serving;
use crate::runtime::{self, link, log, questions};
use crate::tls::limits::{Limits, PROFILES, Profile};
use crate::vfio::address::Address;
use crate::vfio::child::{Engine, Wiring};

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Configuration in ASA command language; `-` reads standard input
    #[arg(long, value_name = "CONFIG")]
    config: String,
    /// The card: `sim` for a simulated one, `vfio-user:SOCKET`, `vfio:BDF`, or `uart:DEVICE`
    #[arg(long, value_name = "NIC")]
    nic: Address,
    /// Which simulated card, for `--nic sim`
    #[arg(long, value_enum, default_value_t = Engine::Model)]
    engine: Engine,
    /// What a port of the simulated card leads to, as `postern-card --port` takes it; may be given several times
    #[arg(long = "port", value_name = "NAME=TARGET")]
    ports: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Model whose limits on TLS proxy sessions hold, as 5525-X [default: the largest, with its largest license]
    #[arg(long, value_name = "MODEL", value_parser = platform)]
    platform: Option<&'static Profile>,
    /// UC proxy sessions that are licensed [default: what MODEL has without a license]
    #[arg(long, value_name = "N")]
    uc_sessions: Option<u32>,
    /// A class whose SIP messages pass as they are; what would have changed is logged. May be given several times
    #[arg(long, value_name = "CLASS")]
    dry_run: Vec<String>,
    /// Empty the card instead of taking its flows over
    #[arg(long)]
    clear: bool,
}

/// Serves the card. Exit code 0 when it was told to stop, 1 when the configuration has errors.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.nic != Address::Simulated && !arguments.ports.is_empty() {
        return Err(Failure::Usage(
            "--port is for --nic sim; a card has its own ports".into(),
        ));
    }
    let limits = Limits::licensed(arguments.platform, arguments.uc_sessions)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let clock = Clock::start();
    let Some((config, mut model)) = load(&arguments.config)? else {
        eprintln!(
            "postern: the configuration {0} has errors; `postern check {0}` shows them",
            arguments.config
        );
        return Ok(ExitCode::from(1));
    };
    model.set_clock(clock::instant(clock.now()));
    let unknown = |name: &&String| model.sip_classes(name).next().is_none();
    if let Some(name) = arguments.dry_run.iter().find(unknown) {
        return Err(Failure::Usage(no_such_class(name)));
    }
    // Before anything is started: a signal that comes early must not leave a half-loaded card.
    let stop = stop_signal()?;
    serve(
        arguments,
        limits,
        clock,
        Arc::new(config),
        Arc::new(model),
        &stop,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn serve(
    arguments: &Arguments,
    limits: Limits,
    clock: Clock,
    config: Arc<Config>,
    model: Arc<Model>,
    stop: &UnixStream,
) -> Result<(), runtime::Error> {
    let wiring = Wiring {
        engine: arguments.engine,
        ports: arguments.ports.clone(),
    };
    let tables = if arguments.clear {
        Tables::Clear
    } else {
        Tables::Adopt
    };
    let (image, fit) = policy::compile(&model, &Capacity::default());
    tell_fit(&fit);
    let log = log::to_stderr;
    let complain = |text: &str| eprintln!("postern: {text}");
    let place = arguments.place.clone();
    let open = move || place.open();
    let proxies = link::start(
        &config,
        &model,
        open,
        limits,
        clock,
        Arc::new(log),
        complain,
    )?;
    // Dropped last: the card sees its client leave before it is ended.
    let (device, _child) = arguments.nic.open(&wiring)?;
    let overview = proxies.as_ref().map(|link| link.overview().clone());
    let serving = overview.as_ref().map(|own| own.serving.clone());
    let stand = proxies.as_ref().map(|link| link.stand().clone());
    let names = arguments.dry_run.iter();
    let dry: Vec<ClassId> = names.flat_map(|name| model.sip_classes(name)).collect();
    let mut live = Live::start(
        clock.now(),
        device,
        tables,
        model.clone(),
        &image,
        proxies,
        log,
    )?;
    for class in dry {
        live.slow_path().run_dry(class);
    }
    for fault in live.slow_path().inspection_faults() {
        eprintln!("postern: {fault}; messages that it was to judge do not pass");
    }
    let (asker, questions) = questions::channel().map_err(runtime::Error::Wait)?;
    live.answer(questions);
    let door: Box<dyn Door> = match stand {
        Some(stand) => Box::new(CardDoor {
            slow_path: live.shared(),
            runtime: asker.clone(),
            stand,
        }),
        // Nobody will ask for it.
        None => Box::new(MachineDoor),
    };
    let keeper = keep_certificates(arguments, &config, door, serving.unwrap_or_default());
    let keeper = keeper.map_err(runtime::Error::Wait)?;
    let desk = Desk {
        config,
        model,
        image: Arc::new(image),
        slow_path: live.shared(),
        runtime: asker,
        proxies: overview,
        clock,
    };
    // A firewall that nobody can ask is better than none.
    let control = Control::start(arguments.place.directory(), desk)
        .map_err(|error| complain(&format!("`postern show` will not work: {error}")));
    tell_start(&mut live, &arguments.nic);
    live.run(|| clock.now(), stop)?;
    drop((control, keeper));
    // What they have closed the card is told.
    live.turn(clock.now())?;
    for (reason, frames) in live.refused() {
        eprintln!("postern: {frames} frames did not reach the card: {reason}");
    }
    let conns = live.slow_path().conns().len();
    live.stop()?;
    eprintln!("postern: stopped; the card goes on with {conns} connections");
    Ok(())
}

/// Keeps what trustpoints have, unless there are none.
fn keep_certificates(
    arguments: &Arguments,
    config: &Config,
    door: Box<dyn Door>,
    serving: Serving,
) -> std::io::Result<Option<Keeper>> {
    let (settings, _) = Settings::all(config);
    if settings.is_empty() {
        return Ok(None);
    }
    let place = arguments.place.clone();
    let setup = Setup {
        settings,
        file: place.file(),
        open: Box::new(move || place.open()),
        door,
        serving,
        log: Arc::new(log::to_stderr),
    };
    Keeper::start(setup).map(Some)
}

/// A model by its name.
fn platform(name: &str) -> Result<&'static Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("there is no such model, but {}", names.join(", "))
    })
}

/// Reads a configuration that may be loaded, `None` if it has errors.
fn load(path: &str) -> Result<Option<(Config, Model)>, Failure> {
    let parsed = config::parse(&check::read(path)?);
    let (model, findings) = policy::lower(&parsed.config);
    let mut all = parsed.diagnostics.iter().chain(&findings);
    let has_errors = all.any(|finding| finding.severity == Severity::Error);
    Ok((!has_errors).then_some((parsed.config, model)))
}

/// A socket that becomes readable when the process is asked to stop.
fn stop_signal() -> Result<UnixStream, Failure> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

fn tell_fit(fit: &FitReport) {
    if !fit.fits() {
        eprintln!(
            "postern: the configuration needs more than the card has; the host decides the rest, slower"
        );
    }
    let left_out = fit.interfaces_left_out.len();
    if left_out > 0 {
        eprintln!("postern: {left_out} interfaces do not fit the card and are down");
    }
}

fn tell_start<L: FnMut(&crate::punt::Event)>(live: &mut Live<L>, address: &Address) {
    let adopted = live.adopted();
    if adopted.conns > 0 || adopted.removed > 0 {
        eprintln!(
            "postern: took {} connections over, removed {} flows",
            adopted.conns, adopted.removed
        );
    }
    let (major, minor, patch) = live.nic().ident().core_version;
    let path = match (live.nic().has_rings(), live.nic().events().is_empty()) {
        (true, false) => "rings and interrupts",
        (true, true) => "polled rings",
        (false, _) => "windows",
    };
    eprintln!("postern: running on {address}, core {major}.{minor}.{patch}, host path: {path}");
}
