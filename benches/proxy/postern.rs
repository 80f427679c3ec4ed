//! Postern in a process of its own: all of `postern run` but the card.
//!
//! The process is this very program, started with `serve` and a folder. What a card would tell it, which connections
//! begin and end, comes by its input; their packets come by the loopback of the network that it made for itself.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use etherparse::PacketBuilder;
use host::config;
use host::flow::Leg;
use host::pki::{Certificate, Key, Trustpoint};
use host::policy::model::ClassId;
use host::policy::{self, Model};
use host::punt::{Resolution, Setup, SlowPath};
use host::runtime::clock::Clock;
use host::runtime::{link, log};
use host::store::Store;
use host::tls::limits::Limits;
use host::wire::Tuple;
use layout::table::Interface;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::certificates::Certificates;
use super::control::{self, Control};
use super::network::Network;
use super::peers::{BACKEND, Subject};

/// The configuration of two enterprises that federate.
const CONFIG: &str = include_str!("../../tests/support/federation.cfg");
/// How partners see the server.
const FRONT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 5061;
const TCP: u8 = 6;

/// Starts the process.
pub fn start(certificates: &Certificates) -> Subject {
    let folder = tempfile::tempdir().expect("a folder");
    fill(
        &Store::open(folder.path(), None).expect("a store"),
        certificates,
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("room");
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg("serve").arg(folder.path()).stderr(log);
    let (process, control) = Control::spawn(&mut command);
    let network = Network::of_proxy(&process);
    Subject {
        name: "Postern".into(),
        network,
        process,
        front: SocketAddrV4::new(FRONT, PORT),
        control: Some(control),
        _folder: folder,
    }
}

/// Puts the certificates where the configuration looks for them.
fn fill(store: &Store, certificates: &Certificates) {
    for (trustpoint, shown) in [("public", "shown-outside"), ("internal", "shown-inside")] {
        let certificate = |name: &str| {
            let path = certificates.path(&format!("{name}.pem"));
            let text = std::fs::read_to_string(path).expect("the file");
            Certificate::from_text(&text).expect("a certificate")
        };
        let path = certificates.path(&format!("{shown}.key"));
        let key = PrivateKeyDer::from_pem_file(path).expect("a key");
        let key = Key::from_pkcs8(trustpoint, key.secret_der().to_vec().into()).expect("a key");
        let trustpoint = Trustpoint {
            authority: Some(certificate(trustpoint)),
            identity: Some(certificate(shown)),
            key_label: Some(key.label.clone()),
            ..Trustpoint::new(trustpoint)
        };
        store.save(Some(&trustpoint), Some(&key)).expect("saved");
    }
}

/// What the process does.
pub fn serve(folder: &Path) {
    let config = Arc::new(config::parse(CONFIG).config);
    let model = Arc::new(policy::lower(&config).0);
    let state = folder.to_path_buf();
    let link = link::start(
        &config,
        &model,
        move || Store::open(&state, None),
        Limits::licensed(None, None).expect("the largest model"),
        Clock::start(),
        Arc::new(log::to_stderr),
        |fault| panic!("{fault}"),
    );
    let mut link = link
        .expect("the proxy starts; this needs root")
        .expect("it has a class");
    link.attach(&slow_path(&model));
    link.send(&opening()).expect("the packet is taken");
    let class = class(&model);
    control::obey(|line| {
        let (verb, block) = line.split_once(' ').expect("a verb");
        for leg in legs(&model, block) {
            match verb {
                "begin" => link.begin(class, &leg),
                _ => link.end(&leg.seen),
            }
        }
    });
}

/// What knows of translations and pinholes, which no packet reaches here.
fn slow_path(model: &Arc<Model>) -> Arc<Mutex<SlowPath>> {
    let slow_path = SlowPath::new(Setup {
        model: model.clone(),
        interfaces: vec![Interface::default(); model.interfaces.len()],
        resolution: Resolution::Ask,
        limits: host::flow::Limits::default(),
        seed: 7,
        has_proxy: true,
    });
    Arc::new(Mutex::new(slow_path))
}

/// The class of connections from partners.
fn class(model: &Model) -> ClassId {
    let mut ids = (0..model.classes.len() as u16).map(ClassId);
    ids.find(|id| model.tls_proxy(*id) == Some("ent_y_to_x"))
        .expect("a class")
}

/// What the packets of connections look like on either side.
fn legs(model: &Model, block: &str) -> Vec<Leg> {
    let interface = |name| model.interface_named(name).expect("an interface").0;
    let words: Vec<&str> = block.split(' ').collect();
    let number = |at: usize| words[at].parse::<u16>().expect("a number");
    let ports = number(1)..number(1) + number(2);
    let leg = |sport| {
        let seen = Tuple {
            proto: TCP,
            src: words[0].parse().expect("an address"),
            sport,
            dst: FRONT,
            dport: PORT,
        };
        Leg {
            ingress: interface("outside"),
            seen,
            egress: interface("inside"),
            sent: Tuple {
                dst: *BACKEND.ip(),
                dport: BACKEND.port(),
                ..seen
            },
            adjacency: 0,
        }
    };
    ports.map(leg).collect()
}

/// A packet that opens the port, and that the kernel then drops for its checksum.
fn opening() -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 254], FRONT.octets(), 64)
        .tcp(1, PORT, 1, 1024)
        .syn()
        .write(&mut packet, &[])
        .expect("a vector takes everything");
    let checksum = 20 + 16;
    packet[checksum] ^= 0x55;
    packet
}
