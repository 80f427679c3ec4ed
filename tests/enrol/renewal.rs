//! A certificate is renewed beneath a TLS session that goes on.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use host::config;
use host::enrol::prove::MachineDoor;
use host::enrol::{self, Desk as EnrolDesk, Outcome, Wish};
use host::pki::{Certificate, Date, Settings, Trustpoint};
use host::punt::Event;
use host::runtime::clock::Clock;
use host::runtime::log::Log;
use host::runtime::renewal::{self, Keeper};
use host::store::{Store, file_in};
use host::tcp::adapter::Setup;
use host::tcp::{Adapter, Assigned, Duty, Secured};
use host::tls::keys::{Identity, Renewable};
use host::tls::limits::{Application, Limits, PROFILES};
use host::tls::proxy::Parts;
use host::tls::session::Place;
use host::tls::{PassThrough, Proxy, Trust};

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

/// A firewall's trustpoint with its first certificate.
fn enrolled(folder: &Path, port: u16) -> (Settings, Trustpoint) {
    let text = format!(
        "crypto ca trustpoint pub\n enrollment protocol est url https://127.0.0.1:{port}\n fqdn cup.example.com\n \
         keypair k ecdsa 256\n password secret\n auto-enroll 1 regenerate\n"
    );
    let (mut all, errors) = Settings::all(&config::parse(&text).config);
    assert_eq!(errors, []);
    let settings = all.remove(0);
    let authority = std::fs::read_to_string(folder.join("ca.pem")).expect("the file");
    let mut trustpoint = Trustpoint::new("pub");
    let authority = Certificate::from_text(&authority).expect("a certificate");
    trustpoint.authenticate(authority).expect("an authority");
    let open = || Store::open(&folder.join("state"), None);
    open()
        .expect("a store")
        .save(Some(&trustpoint), None)
        .expect("saved");
    let desk = EnrolDesk {
        open: &open,
        now: &now,
        door: &MachineDoor,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let wish = Wish::default();
    let work = enrol::enrol(&desk, &settings, &wish);
    match runtime
        .expect("a runtime")
        .block_on(work)
        .expect("a certificate")
    {
        Outcome::Enrolled(trustpoint) => (settings, *trustpoint),
        Outcome::Waiting(_) => panic!("the server decides at once"),
    }
}

/// A proxy that shows the trustpoint's certificate to both sides.
fn proxy(identity: &Identity, trusted: &[&Trustpoint]) -> Arc<Proxy> {
    let text = "tls-proxy ent_y_to_x\n server trust-point pub\n client trust-point pub\n";
    let parts = Parts {
        server: Some(identity.clone()),
        client: Some(identity.clone()),
        local: None,
    };
    let trust = Trust::new(trusted.iter().copied());
    let configured = &config::parse(text).config.tls_proxies[0];
    Proxy::new(configured, parts, trust.into())
        .expect("a proxy")
        .into()
}

fn adapter(proxy: Arc<Proxy>) -> Adapter {
    let place = |interface: &str, address| Place {
        interface: interface.into(),
        address,
    };
    let assign = move |from: SocketAddr, to: SocketAddr| {
        Some(Duty::Carry(Assigned {
            tls: Some(Secured {
                proxy: proxy.clone(),
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

#[test]
fn a_renewal_is_shown_to_the_next_peer_and_the_session_before_it_goes_on() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::start(folder.path());
    let (settings, trustpoint) = enrolled(folder.path(), authority.1);
    let first = trustpoint.identity.clone().expect("enrolled");
    // Peers trust both authorities, and so do we.
    let both = std::fs::read_to_string(folder.path().join("ca.pem")).expect("the file");
    desk.write("all.pem", &(both + &desk.read("ca.pem")));
    let mut peers = Trustpoint::new("peers");
    let known = Certificate::from_text(&desk.read("ca.pem")).expect("a certificate");
    peers.authenticate(known).expect("an authority");

    let state = folder.path().join("state");
    let key = Store::open(&state, None).and_then(|store| store.key_of(&trustpoint));
    let identity = Identity::new(&trustpoint, &key.expect("a key")).expect("an identity");
    let adapter = adapter(proxy(&identity, &[&trustpoint, &peers]));
    let outside = Endpoint::new(OUTSIDE).expect("a network");
    let inside = Endpoint::new(INSIDE).expect("a network");
    let _wire = Wire::new(adapter, [&outside, &inside]).expect("a wire");
    let server = "s_server -quiet -accept 5061 -cert cup.pem -key cup.key -CAfile all.pem -Verify 3 -verify_return_error";
    let mut server = desk.openssl(&inside, server);
    let is_listening = || {
        let output = inside
            .command("ss")
            .args(["-Htln"])
            .output()
            .expect("ss runs");
        String::from_utf8_lossy(&output.stdout).contains(":5061")
    };
    while !is_listening() {
        std::thread::yield_now();
    }
    let client = "s_client -connect 10.0.0.2:5061 -servername cup.example.com -CAfile all.pem -cert peer.pem -key peer.key -verify_return_error";
    let mut before = desk.openssl(&outside, client);
    assert_eq!(shown(&mut before), first);
    before.say("before");
    assert_eq!(server.line(), "before");

    let (log, lines) = log();
    let open = {
        let state = state.clone();
        move || Store::open(&state, None)
    };
    let keeper = Keeper::start(renewal::Setup {
        settings: vec![settings],
        open: Box::new(open),
        file: file_in(&state),
        door: Box::new(MachineDoor),
        renewable: Renewable {
            identities: vec![identity.clone()],
            ..Renewable::default()
        },
        log,
    });
    let keeper = keeper.expect("a thread");
    let renewed = |line: String| line.contains("The certificate of pub is there");
    while !renewed(lines.recv_timeout(PATIENCE).expect("a renewal")) {}
    let begin = Instant::now();
    while identity.shows(&first) {
        assert!(begin.elapsed() < PATIENCE, "the proxies were not told");
        std::thread::yield_now();
    }
    before.say("still here");
    assert_eq!(server.line(), "still here", "the session goes on");
    drop(before);
    let mut after = desk.openssl(&outside, client);
    let next = shown(&mut after);
    assert_ne!(next, first);
    assert_ne!(
        next.public_key, first.public_key,
        "`regenerate` makes a new key"
    );
    after.say("after");
    assert_eq!(server.line(), "after");
    // At the latest when the one after it is there, nothing needs the first key any more.
    while !renewed(lines.recv_timeout(PATIENCE).expect("a renewal")) {}
    drop(keeper);
    let store = Store::open(&state, None).expect("whole");
    let stored = store.trustpoint("pub").expect("whole");
    store.key_of(&stored).expect("its key");
    assert!(
        store.key("k").expect("read").is_none(),
        "the first key is gone"
    );
}
