//! What is measured, and how it is printed.

use std::sync::Arc;
use std::time::Duration;

use super::certificates::{Certificates, Kind};
use super::client::{Client, Places};
use super::ends::{self, Exchange};
use super::load::{self, Load};
use super::measure::{self, median, percentile};
use super::peers::{HAPROXY, KAMAILIO, Peer, Subject};
use super::postern;
use super::server::Server;

/// All sections, by the words that select them.
pub const ALL: [(&str, fn()); 3] = [
    ("handshakes", handshakes),
    ("messages", messages),
    ("memory", memory),
];

/// A proxy and the server behind it.
struct Rig {
    server: Server,
    subject: Subject,
}

/// Everything for one measurement.
struct Scene {
    load: Load,
    rigs: Vec<Rig>,
    /// Some read them late.
    _certificates: Certificates,
}

impl Scene {
    /// Postern, and those peers that are installed.
    fn new(kind: Kind, exchange: Exchange, peers: &[&Peer]) -> Self {
        let certificates = Certificates::new(kind);
        let folder = certificates.folder();
        let found = peers.iter().filter_map(|peer| Some((peer, peer.find()?)));
        let others = found.map(|(peer, name)| peer.start(&name, &certificates));
        let subjects = std::iter::once(postern::start(&certificates)).chain(others);
        let rig = |subject: Subject| Rig {
            server: Server::start(&subject.network, folder, exchange),
            subject,
        };
        Self {
            rigs: subjects.map(rig).collect(),
            load: Load {
                partner: Arc::new(ends::partner(folder, exchange)),
                places: Places::new(),
            },
            _certificates: certificates,
        }
    }
}

/// CPU time of connections: two full handshakes, a message, its answer, and the end.
fn handshakes() {
    println!("\nfull handshakes, {CONNECTIONS} connections a round, {ROUNDS} rounds");
    println!(
        "{:40}{:>16}{:>24}",
        "", "µs CPU a pair", "handshakes a CPU second"
    );
    for (kind, exchange) in [
        (Kind::Rsa2048, Exchange::X25519),
        (Kind::P256, Exchange::X25519),
        (Kind::P256, Exchange::Hybrid),
    ] {
        let peers: &[&Peer] = match exchange {
            Exchange::X25519 => &[&HAPROXY],
            Exchange::Hybrid => &[],
        };
        let mut scene = Scene::new(kind, exchange, peers);
        let Scene { load, rigs, .. } = &mut scene;
        let mut figures = vec![Vec::new(); rigs.len()];
        // The first round is for caches.
        for round in 0..=ROUNDS {
            for (rig, figures) in rigs.iter_mut().zip(&mut figures) {
                let spent = load.connect(&mut rig.subject, CONNECTIONS);
                if round > 0 {
                    figures.push(spent.as_secs_f64() * 1e6);
                }
            }
        }
        for (rig, figures) in rigs.iter().zip(&mut figures) {
            let spent = median(figures);
            let what = format!("{}, {}, {}", kind.name(), exchange.name(), rig.subject.name);
            println!("{what:40}{spent:>16.0}{:>24.0}", 2e6 / spent);
        }
    }
}

/// CPU time and delay of messages at a rate.
fn messages() {
    println!("\nMESSAGE and its answer over 8 connections, P-256, {ROUNDS} rounds of {SECONDS} s");
    println!(
        "{:40}{:>16}{:>16}{:>16}",
        "", "µs CPU each", "p50 µs added", "p99 µs added"
    );
    let peers = [&HAPROXY, &KAMAILIO];
    let mut scene = Scene::new(Kind::P256, Exchange::X25519, &peers);
    let Scene { load, rigs, .. } = &mut scene;
    let mut direct = load.open(&mut rigs[0].subject, true);
    let open = |rig: &mut Rig| load.open(&mut rig.subject, false);
    let mut clients: Vec<_> = rigs.iter_mut().map(open).collect();
    for rate in [1000, 3000] {
        let time = Duration::from_secs(SECONDS);
        let mut delays = vec![Vec::new(); rigs.len()];
        let mut spent = vec![Vec::new(); rigs.len()];
        let mut alone = Vec::new();
        for _ in 0..ROUNDS {
            alone.extend(load::exchange(&mut direct, rate, time));
            for (at, rig) in rigs.iter().enumerate() {
                let before = measure::cpu(rig.subject.id());
                let took = load::exchange(&mut clients[at], rate, time);
                let used = measure::cpu(rig.subject.id()) - before;
                spent[at].push(used.as_secs_f64() * 1e6 / took.len() as f64);
                delays[at].extend(took);
            }
        }
        let (p50, p99) = (percentile(&mut alone, 0.5), percentile(&mut alone, 0.99));
        let what = format!("{rate}/s without a proxy, in all");
        println!("{what:40}{:>16}{p50:>16.0}{p99:>16.0}", "");
        for (at, rig) in rigs.iter().enumerate() {
            let what = format!("{rate}/s, {}", rig.subject.name);
            let each = median(&mut spent[at]);
            let p50 = percentile(&mut delays[at], 0.5) - p50;
            let p99 = percentile(&mut delays[at], 0.99) - p99;
            println!("{what:40}{each:>16.0}{p50:>16.0}{p99:>16.0}");
        }
    }
}

/// Memory of connections that stand still, all at once.
fn memory() {
    println!("\nconnections that stand still after a message, P-256");
    println!(
        "{:40}{:>16}{:>24}{:>12}",
        "", "KB a pair", "carried another message", "processes"
    );
    for count in [1000, measure::MOST] {
        let shares = measure::shares(count);
        let scene = |_| Scene::new(Kind::P256, Exchange::X25519, &[&HAPROXY]);
        let mut scenes: Vec<Scene> = shares.iter().map(scene).collect();
        for at in 0..scenes[0].rigs.len() {
            let (mut held, mut grown) = (Vec::new(), 0);
            for (scene, share) in scenes.iter_mut().zip(&shares) {
                let Rig { server, subject } = &mut scene.rigs[at];
                scene.load.connect(subject, WARM_UP);
                let before = measure::memory_bytes(subject.id());
                server.lay_aside();
                held.extend(scene.load.hold(subject, *share));
                grown += measure::memory_bytes(subject.id()) - before;
            }
            held.iter_mut().for_each(Client::send);
            for (scene, share) in scenes.iter_mut().zip(&shares) {
                scene.rigs[at].server.answer_once(*share);
            }
            held.iter_mut().for_each(|client| drop(client.receive()));
            let what = format!("{count} connections, {}", scenes[0].rigs[at].subject.name);
            let pair = grown as f64 / 1024.0 / count as f64;
            let (carried, processes) = (held.len(), shares.len());
            println!("{what:40}{pair:>16.1}{carried:>24}{processes:>12}");
        }
    }
}

/// Connections before memory is looked at for the first time.
const WARM_UP: usize = 100;
/// Connections of a round.
const CONNECTIONS: usize = 400;
/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
/// Length of a round of messages.
const SECONDS: u64 = 3;
