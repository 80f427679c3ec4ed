//! A certificate is renewed beneath a TLS session that goes on.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use host::config;
use host::config::ast::Config;
use host::enrol::prove::MachineDoor;
use host::enrol::{self, Desk as EnrolDesk, Outcome, Wish};
use host::pki::{Certificate, Date, Settings, Trustpoint};
use host::punt::Event;
use host::runtime::clock::Clock;
use host::runtime::log::Log;
use host::runtime::renewal::{self, Keeper};
use host::runtime::serving::Serving;
use host::store::{Store, file_in};
use host::tcp::adapter::Setup;
use host::tcp::{Adapter, Assigned, Duty, Secured};
use host::tls::PassThrough;
use host::tls::limits::{Application, Limits, PROFILES};
use host::tls::session::Place;

use tempfile::TempDir;

use crate::network::{Endpoint, Wire};
use crate::peers::{Desk, PATIENCE, Peer};
use crate::scene::est_server;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// An EST server whose certificates live for a hundred seconds.
struct Authority(Child, u16);

impl Authority {
    fn start(folder: &Path) -> Self {
        let mut server = Command::new(est_server())
            .arg(folder)
            .arg("100")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server runs");
        let mut line = String::new();
        let output = server.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self(server, line.trim().parse().expect("a port"))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // It runs until now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn now() -> Date {
    Date::from(Clock::start().now())
}

/// A firewall's configuration and state, with the authority of its trustpoint.
struct Firewall {
    folder: TempDir,
    config: Arc<Config>,
    _authority: Authority,
}

impl Firewall {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::start(folder.path());
        let text = format!(
            "crypto ca trustpoint pub\n enrollment protocol est url https://127.0.0.1:{}\n fqdn cup.example.com\n \
             keypair k ecdsa 256\n password secret\n auto-enroll 1 regenerate\n\
             crypto ca trustpoint peers\n enrollment terminal\n\
             tls-proxy ent_y_to_x\n server trust-point pub\n client trust-point pub\n",
            authority.1
        );
        Self {
            folder,
            config: Arc::new(config::parse(&text).config),
            _authority: authority,
        }
    }

    fn settings(&self) -> Vec<Settings> {
        let (all, errors) = Settings::all(&self.config);
        assert_eq!(errors, []);
        all
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn store(&self) -> Store {
        Store::open(&self.state(), None).expect("a store")
    }

    /// The authority of the trustpoint, as PEM.
    fn authority(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.pem")).expect("the file")
    }

    /// `crypto ca authenticate`.
    fn authenticate(&self, name: &str, pem: &str) {
        let mut trustpoint = Trustpoint::new(name);
        let authority = Certificate::from_text(pem).expect("a certificate");
        trustpoint.authenticate(authority).expect("an authority");
        self.store().save(Some(&trustpoint), None).expect("saved");
    }

    /// `crypto ca enroll`. Returns the certificate.
    fn enrol(&self) -> Certificate {
        let state = self.state();
        let open = || Store::open(&state, None);
        let desk = EnrolDesk {
            open: &open,
            now: &now,
            door: &MachineDoor,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let (settings, wish) = (self.settings().remove(0), Wish::default());
        let work = enrol::enrol(&desk, &settings, &wish);
        match runtime
            .expect("a runtime")
            .block_on(work)
            .expect("a certificate")
        {
            Outcome::Enrolled(trustpoint) => trustpoint.identity.expect("enrolled"),
            Outcome::Waiting(_) => panic!("the server decides at once"),
        }
    }

    fn serving(&self) -> Serving {
        Serving::load(&self.config, &self.store()).expect("read")
    }

    /// What keeps its certificates, and the log.
    fn keep(&self, serving: &Serving) -> (Keeper, Receiver<String>) {
        let (log, lines) = log();
        let state = self.state();
        let keeper = Keeper::start(renewal::Setup {
            settings: self.settings(),
            file: file_in(&state),
            open: Box::new(move || Store::open(&state, None)),
            door: Box::new(MachineDoor),
            serving: serving.clone(),
            log,
        });
        (keeper.expect("a thread"), lines)
    }
}

/// The network between two peers, with the proxies in it.
struct Between {
    outside: Endpoint,
    inside: Endpoint,
    _wire: Wire,
}

impl Between {
    fn new(serving: &Serving) -> Self {
        let outside = Endpoint::new(OUTSIDE).expect("a network");
        let inside = Endpoint::new(INSIDE).expect("a network");
        let wire = Wire::new(adapter(serving.clone()), [&outside, &inside]).expect("a wire");
        Self {
            outside,
            inside,
            _wire: wire,
        }
    }

    /// A peer that listens.
    fn server(&self, desk: &Desk) -> Peer {
        let server = "s_server -quiet -accept 5061 -cert cup.pem -key cup.key -CAfile all.pem -Verify 3 -verify_return_error";
        let server = desk.openssl(&self.inside, server);
        let is_listening = || {
            let output = self
                .inside
                .command("ss")
                .args(["-Htln"])
                .output()
                .expect("ss runs");
            String::from_utf8_lossy(&output.stdout).contains(":5061")
        };
        while !is_listening() {
            std::thread::yield_now();
        }
        server
    }

    /// A peer that dials.
    fn client(&self, desk: &Desk) -> Peer {
        let client = "s_client -connect 10.0.0.2:5061 -servername cup.example.com -CAfile all.pem -cert peer.pem -key peer.key -verify_return_error";
        desk.openssl(&self.outside, client)
    }
}

fn adapter(serving: Serving) -> Adapter {
    let place = |interface: &str, address| Place {
        interface: interface.into(),
        address,
    };
    let assign = move |from: SocketAddr, to: SocketAddr| {
        let proxy = serving.now().ready.get("ent_y_to_x")?.clone();
        Some(Duty::Carry(Assigned {
            tls: Some(Secured {
                proxy,
                application: Application::PresenceFederation,
            }),
            dialler: place("outside", from),
            dialled: place("inside", to),
            inspect: Box::new(PassThrough),
        }))
    };
    let setup = Setup {
        clock: Clock::start(),
        limits: Limits::new(&PROFILES[0]),
        assign: Box::new(assign),
        log: Box::new(|_| {}),
        ask: Arc::new(|_| tokio::sync::oneshot::channel().1),
    };
    Adapter::start(setup).expect("an adapter; this needs root")
}

/// A log that the test reads.
fn log() -> (Log, Receiver<String>) {
    let (sender, lines): (Sender<String>, _) = channel();
    let sender = Mutex::new(sender);
    let log = move |event: &Event| {
        // Nobody reads the last lines.
        let _ = sender.lock().expect("whole").send(event.to_string());
    };
    (Arc::new(log), lines)
}

/// The certificate that `s_client` says it was shown.
fn shown(client: &mut Peer) -> Certificate {
    assert!(client.find("-----BEGIN CERTIFICATE-----"));
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    while !text.ends_with("-----END CERTIFICATE-----\n") {
        text += &(client.line() + "\n");
    }
    Certificate::from_text(&text).expect("a certificate")
}

/// Waits for a line of the log.
fn wait_for(lines: &Receiver<String>, text: &str) {
    let begin = Instant::now();
    // Certificates are renewed all the time, so there is always another line.
    let left = || PATIENCE.saturating_sub(begin.elapsed());
    while !lines.recv_timeout(left()).expect(text).contains(text) {}
}

const RENEWED: &str = "The certificate of pub is there";

#[test]
fn a_renewal_is_shown_to_the_next_peer_and_the_session_before_it_goes_on() {
    let desk = Desk::new();
    let firewall = Firewall::new();
    firewall.authenticate("pub", &firewall.authority());
    firewall.authenticate("peers", &desk.read("ca.pem"));
    let first = firewall.enrol();
    // Peers trust both authorities, and so do we.
    desk.write("all.pem", &(firewall.authority() + &desk.read("ca.pem")));
    let serving = firewall.serving();
    let between = Between::new(&serving);
    let mut server = between.server(&desk);
    let mut before = between.client(&desk);
    assert_eq!(shown(&mut before), first);
    before.say("before");
    assert_eq!(server.line(), "before");

    let (keeper, lines) = firewall.keep(&serving);
    wait_for(&lines, RENEWED);
    let begin = Instant::now();
    let shows_first = || {
        let mut identities = serving.now().renewable.identities.clone().into_iter();
        identities.any(|identity| identity.shows(&first))
    };
    while shows_first() {
        assert!(begin.elapsed() < PATIENCE, "the proxies were not told");
        std::thread::yield_now();
    }
    before.say("still here");
    assert_eq!(server.line(), "still here", "the session goes on");
    drop(before);
    let mut after = between.client(&desk);
    let next = shown(&mut after);
    assert_ne!(next, first);
    assert_ne!(
        next.public_key, first.public_key,
        "`regenerate` makes a new key"
    );
    after.say("after");
    assert_eq!(server.line(), "after");
    // At the latest when the one after it is there, nothing needs the first key any more.
    wait_for(&lines, RENEWED);
    drop(keeper);
    let store = firewall.store();
    let stored = store.trustpoint("pub").expect("whole");
    store.key_of(&stored).expect("its key");
    assert!(
        store.key("k").expect("read").is_none(),
        "the first key is gone"
    );
}

#[test]
fn a_proxy_serves_once_its_trustpoint_is_enrolled_and_peers_are_trusted_once_their_authority_is_known()
 {
    let desk = Desk::new();
    let firewall = Firewall::new();
    let serving = firewall.serving();
    assert_eq!(
        serving.now().faults,
        ["tls-proxy ent_y_to_x: trustpoint pub is not enrolled"]
    );
    let (keeper, lines) = firewall.keep(&serving);
    desk.write("all.pem", &(firewall.authority() + &desk.read("ca.pem")));
    let between = Between::new(&serving);
    let mut server = between.server(&desk);

    firewall.authenticate("pub", &firewall.authority());
    firewall.authenticate("peers", &desk.read("ca.pem"));
    firewall.enrol();
    wait_for(&lines, "tls-proxy ent_y_to_x: serves from now on");
    let mut client = between.client(&desk);
    shown(&mut client);
    client.say("at last");
    assert_eq!(server.line(), "at last");
    drop(keeper);
}
