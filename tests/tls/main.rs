//! The TLS proxy with OpenSSL on both sides, over the kernel's TCP.
//!
//! `cargo nextest run --test tls`. Needs root and openssl. Packets go by TUN devices from one network namespace to the
//! adapter and on to another, as a card would carry them.

mod network;
mod peers;
mod revocation;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use host::config;
use host::pki::revocation::Ledger;
use host::pki::settings::Revocation;
use host::pki::settings::revocation::Method;
use host::pki::{Certificate, Key, Settings, Trustpoint};
use host::runtime::answers::{self, Answers, Own};
use host::runtime::clock::Clock;
use host::show::Format;
use host::show::question::Detail;
use host::show::tls::sessions;
use host::tcp::adapter::Setup;
use host::tcp::{Adapter, Assigned, Duty, Secured};
use host::tls::keys::Identity;
use host::tls::limits::{Application, Limits, PROFILES};
use host::tls::proxy::Parts;
use host::tls::session::Place;
use host::tls::{PassThrough, Proxy, Trust};
use network::{Endpoint, Wire};
use peers::{Desk, Peer};
use rustix::process::Signal;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Two endpoints, the adapter between them, and its log.
struct Scene {
    outside: Endpoint,
    inside: Endpoint,
    wire: Wire,
    log: Receiver<String>,
    desk: Desk,
    _answers: Answers,
}

impl Scene {
    fn new() -> Self {
        Self::checking(Desk::new(), "")
    }

    /// One whose trustpoint says this of revocation.
    fn checking(desk: Desk, revocation: &str) -> Self {
        let (log, lines) = channel();
        let settings = settings(revocation);
        let ledger = Arc::new(Ledger::default());
        let (proxy, identity) = proxy(&desk, &settings, &ledger);
        let told = log.clone();
        let mut own = Some(match settings.ladder.contains(&Method::Ocsp) {
            true => vec![Own { identity, settings }],
            false => Vec::new(),
        });
        let answers = Answers::start(answers::Setup {
            ledger,
            clock: Clock::start(),
            own: Box::new(move || own.take()),
            log: Box::new(move |event| {
                // Nobody reads the last lines.
                let _ = told.send(event.to_string());
            }),
            keep: Box::new(|_, _, _| {}),
        })
        .expect("a thread");
        let place = |interface: &str, address| Place {
            interface: interface.into(),
            address,
        };
        let assign = move |from: SocketAddr, to: SocketAddr| {
            Some(Duty::Carry(Assigned {
                tls: (to.port() == 5061).then(|| Secured {
                    proxy: proxy.clone(),
                    application: Application::PresenceFederation,
                }),
                dialler: place("outside", from),
                dialled: place("inside", to),
                inspect: Box::new(PassThrough),
            }))
        };
        let adapter = Adapter::start(Setup {
            clock: Clock::start(),
            limits: Limits::new(&PROFILES[0]),
            assign: Box::new(assign),
            log: Box::new(move |event| {
                // Nobody reads the last lines.
                let _ = log.send(event.to_string());
            }),
            ask: answers.asker(),
        })
        .expect("an adapter; this needs root");
        let outside = Endpoint::new(OUTSIDE).expect("a network");
        let inside = Endpoint::new(INSIDE).expect("a network");
        let wire = Wire::new(adapter, [&outside, &inside]).expect("a wire");
        Self {
            outside,
            inside,
            wire,
            log: lines,
            desk,
            _answers: answers,
        }
    }

    /// `openssl s_server` inside, once it listens.
    fn server(&self, words: &str) -> Peer {
        let words = format!(
            "s_server -quiet -accept 5061 -cert cup.pem -key cup.key -CAfile ca.pem -Verify 3 -verify_return_error {words}"
        );
        let server = self.desk.openssl(&self.inside, &words);
        // It says nothing when it listens; the kernel knows.
        while !self.is_listening() {
            std::thread::yield_now();
        }
        server
    }

    fn is_listening(&self) -> bool {
        let output = self.inside.command("ss").args(["-Htln"]).output();
        String::from_utf8_lossy(&output.expect("ss runs").stdout).contains(":5061")
    }

    /// `openssl s_client` outside.
    fn client(&self, words: &str) -> Peer {
        let words = format!(
            "s_client -connect 10.0.0.2:5061 -servername cup.example.com -CAfile ca.pem {words}"
        );
        self.desk.openssl(&self.outside, &words)
    }

    /// The first line of the log from here on that holds a text.
    #[track_caller]
    fn line(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.log.recv_timeout(peers::PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("no line with `{text}`, but {before:#?}"),
            }
        }
    }
}

/// A proxy that trusts the desk's authority and shows certificates of it.
fn proxy(desk: &Desk, settings: &Revocation, ledger: &Arc<Ledger>) -> (Arc<Proxy>, Identity) {
    let parsed =
        config::parse("tls-proxy ent_y_to_x\n server trust-point own\n client trust-point own\n");
    let certificate = |name: &str| Certificate::from_text(&desk.read(name)).expect("a certificate");
    let trustpoint = Trustpoint {
        authority: Some(certificate("ca.pem")),
        identity: Some(certificate("own.pem")),
        ..Trustpoint::new("own")
    };
    let key = Key::from_pkcs8("own", desk.pkcs8("own.key").into()).expect("a key");
    let identity = Identity::new(&trustpoint, &key).expect("enrolled");
    let parts = Parts {
        server: Some(identity.clone()),
        client: Some(identity.clone()),
        local: None,
    };
    let trust = Trust::new([&trustpoint].into_iter())
        .checking(Arc::clone(ledger), |_| Some(settings.clone()));
    let proxy = Proxy::new(&parsed.config.tls_proxies[0], parts, trust.into());
    (proxy.expect("a proxy").into(), identity)
}

/// What a trustpoint with these lines says of revocation.
fn settings(lines: &str) -> Revocation {
    let parsed = config::parse(&format!("crypto ca trustpoint own\n{lines}"));
    let (mut all, errors) = Settings::all(&parsed.config);
    assert_eq!(errors, []);
    all.remove(0).revocation
}

const PEER: &str = "-cert peer.pem -key peer.key -verify_return_error";

#[test]
fn openssl_talks_to_openssl_through_the_proxy_and_both_see_each_others_addresses() {
    let mut scene = Scene::new();
    let mut server = scene.server("");
    let mut client = scene.client(&format!("-quiet -bind 192.0.2.254:50437 {PEER}"));
    client.say("MESSAGE sip:a@example.com SIP/2.0");
    assert_eq!(server.line(), "MESSAGE sip:a@example.com SIP/2.0");
    server.say("SIP/2.0 202 Accepted");
    assert_eq!(client.line(), "SIP/2.0 202 Accepted");
    let line = scene.line("completed SSL handshake with client");
    assert!(
        line.contains("client outside:192.0.2.254/50437 to inside:10.0.0.2/5061 for TLSv1.3"),
        "{line}"
    );
    assert!(
        line.ends_with("peer cn=ent-y.example.com by trustpoint own"),
        "{line}"
    );
    let seen = scene.wire.stop();
    let (from, to): (SocketAddr, SocketAddr) = ((OUTSIDE, 50_437).into(), (INSIDE, 5_061).into());
    assert!(
        seen.iter()
            .all(|way| *way == (from, to) || *way == (to, from)),
        "{seen:?}"
    );
    assert!(seen.contains(&(from, to)) && seen.contains(&(to, from)));
    let shown = scene
        .wire
        .ask(|open| sessions(Format::Text, Detail::Full, open));
    assert!(
        shown.starts_with(
            "1 in use, 1 most used\noutside 192.0.2.254:50437 inside 10.0.0.2:5061 P:(ent_y_to_x) "
        ),
        "{shown}"
    );
    assert!(
        shown.contains("byte 55\n        Client: State SSLOK Cipher TLS13_AES_256_GCM_SHA384\n"),
        "{shown}"
    );
}

#[test]
fn the_end_of_one_side_reaches_the_other_and_the_session_is_over() {
    let scene = Scene::new();
    let mut server = scene.server("-naccept 1");
    let mut client = scene.client(&format!("-quiet -no_ign_eof {PEER}"));
    client.say("BYE");
    assert_eq!(server.line(), "BYE");
    client.end_input();
    assert!(client.ends(), "the client did not end");
    assert!(server.ends(), "the server was not told of the end");
    scene.line("terminated, 4 bytes");
    let mut asked = 0;
    while scene.wire.ask(|sessions| sessions.usage().total) > 0 {
        asked += 1;
        assert!(asked < 1_000_000, "the session was never closed");
    }
}

#[test]
fn a_peer_that_is_killed_takes_its_session_along_and_no_other() {
    let scene = Scene::new();
    let mut server = scene.server("");
    let mut client = scene.client(&format!("-quiet {PEER}"));
    client.say("MESSAGE sip:a@example.com SIP/2.0");
    assert_eq!(server.line(), "MESSAGE sip:a@example.com SIP/2.0");
    let mut other = scene.client(&format!("-quiet {PEER}"));
    for _ in 0..2 {
        scene.line("completed SSL handshake with client");
    }
    client.kill();
    let line = scene.line("%ASA-4-725007");
    assert!(
        line.contains("ended without close_notify") || line.contains("was reset by the peer"),
        "{line}"
    );
    // The server talks to one at a time: it was told of the end of the first when it turns to the other.
    other.say("MESSAGE sip:b@example.com SIP/2.0");
    assert_eq!(server.line(), "MESSAGE sip:b@example.com SIP/2.0");
    assert_eq!(scene.wire.ask(|sessions| sessions.most()), 2);
}

#[test]
fn a_reader_that_stands_still_stops_the_writer_and_gets_all_in_the_end() {
    const LINES: u64 = 320_000;
    let scene = Scene::new();
    let text: String = (0..LINES).map(|at| format!("{at:099}\n")).collect();
    scene.desk.write("bulk", &text);
    let mut server = scene.server("-naccept 1");
    let mut client = scene.client(&format!(
        "-quiet -no_ign_eof -bind 192.0.2.254:50437 {PEER}"
    ));
    client.say("begin");
    assert_eq!(server.line(), "begin");
    server.signal(Signal::STOP);
    client.say_file(scene.desk.path("bulk"));
    scene
        .wire
        .await_stopped((OUTSIDE, 50_437).into(), peers::PATIENCE);
    // What the kernel holds for both connections, and no more.
    let held = scene.wire.ask(|sessions| {
        let seen = sessions.iter().filter_map(|(_, open)| open.seen.as_ref());
        seen.map(|seen| seen.bytes).sum::<u64>()
    });
    assert!(
        held < 100 * LINES * 3 / 4,
        "{held} bytes were taken for a reader that takes none"
    );
    server.signal(Signal::CONT);
    for at in 0..LINES {
        assert_eq!(server.line(), format!("{at:099}"));
    }
    assert!(server.ends());
}

#[test]
fn sessions_resume_with_openssl_on_both_sides() {
    let scene = Scene::new();
    let _server = scene.server("");
    for version in ["-tls1_3", "-tls1_2"] {
        for (words, kind) in [("-sess_out", "New, TLSv1"), ("-sess_in", "Reused, TLSv1")] {
            let mut client = scene.client(&format!("{version} {words} session {PEER}"));
            // Tickets come behind the handshake: an answer shows that they are here.
            assert!(
                client.find(kind),
                "{version}: not `{kind}`: {:?}",
                client.seen()
            );
            scene.line("completed SSL handshake with client");
            let line = scene.line("completed SSL handshake with server");
            // The leg behind may go on from a session of the version before.
            if words == "-sess_in" {
                assert!(line.contains(", resumed, "), "{version}: {line}");
            }
            if words == "-sess_out" {
                client.await_file(&scene.desk.path("session"));
            }
            client.end_input();
            client.ends();
            std::fs::File::open(scene.desk.path("session")).expect("a session");
        }
        std::fs::remove_file(scene.desk.path("session")).expect("a session");
    }
}

#[test]
fn openssl_peers_that_are_wrong_are_told_apart() {
    let scene = Scene::new();
    let _server = scene.server("");
    for (words, said) in [
        ("", "it shows no certificate"),
        (
            "-cert stranger.pem -key stranger.key",
            "is signed by cn=stranger, which no trustpoint holds",
        ),
        (
            "-cert expired.pem -key peer.key",
            "or of its authority expired at ",
        ),
        (
            "-cert server-only.pem -key peer.key",
            "its extended key usage lacks clientAuth",
        ),
        (
            "-tls1 -cipher DEFAULT@SECLEVEL=0 -cert peer.pem -key peer.key",
            "it speaks nothing newer than TLS 1.1",
        ),
    ] {
        let mut client = scene.client(words);
        let line = scene.line("%ASA-4-725006");
        assert!(line.contains(said), "{words}: {line}");
        assert!(line.contains("client outside:192.0.2.254/"), "{line}");
        assert!(
            line.contains("(tls-proxy ent_y_to_x, server leg, trust-point own)"),
            "{line}"
        );
        client.end_input();
        assert!(client.ends(), "{words}: the connection was not closed");
    }
    assert_eq!(scene.wire.ask(|sessions| sessions.most()), 1);
}

#[test]
fn sessions_over_the_limit_are_reset_and_the_others_stay() {
    let scene = Scene::new();
    let _server = scene.server("");
    let mut clients: Vec<Peer> = (0..2)
        .map(|_| scene.client(&format!("-quiet {PEER}")))
        .collect();
    // The server talks to one at a time; the session of the other is one none the less.
    for _ in 0..2 {
        scene.line("completed SSL handshake with client");
    }
    let mut third = scene.client(&format!("-quiet {PEER}"));
    let line = scene.line("%ASA-4-446003");
    assert!(
        line.contains("UC proxy license limit of 2 sessions reached"),
        "{line}"
    );
    assert!(third.ends());
    for client in &mut clients {
        assert!(!client.has_ended(), "a session that ran was ended");
    }
}

#[test]
fn nothing_is_left_of_a_process_that_is_killed() {
    if std::env::var_os(HOLDER).is_some() {
        return hold();
    }
    let before = network_of_the_machine();
    for _ in 0..2 {
        let (mut holder, namespace) =
            start_holder(Command::new(std::env::current_exe().expect("a program")));
        assert!(
            namespaces().contains(&namespace),
            "{namespace} is not there"
        );
        assert_eq!(
            network_of_the_machine(),
            before,
            "the machine's own network was touched"
        );
        holder.kill().expect("it runs");
        holder.wait().expect("it ends");
        assert!(!namespaces().contains(&namespace), "{namespace} is left");
        assert_eq!(network_of_the_machine(), before);
    }
}

#[test]
fn in_a_network_of_its_own_the_right_to_administer_it_is_enough() {
    let network = Endpoint::new(INSIDE).expect("a network");
    let only_administer = |mut command: Command| {
        command.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all"]);
        command.arg(std::env::current_exe().expect("a program"));
        command
    };
    // The network of an endpoint has a device: there nothing may be changed.
    let mut refused = holder(only_administer(network.command("setpriv")));
    let output = refused
        .spawn()
        .and_then(std::process::Child::wait_with_output);
    let output = output.expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Namespace("), "{said}");
    // A network that stays, so that one who was killed leaves rule and route to the next.
    let mut keeper = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo up && exec cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a network");
    let mut line = [0; 3];
    std::io::Read::read_exact(keeper.stdout.as_mut().expect("a pipe"), &mut line)
        .expect("it is up");
    for _ in 0..2 {
        let mut command = Command::new("nsenter");
        command.args(["-t", &keeper.id().to_string(), "--net", "setpriv"]);
        let (mut holder, namespace) = start_holder(only_administer(command));
        assert_eq!(namespaces_of(&keeper.id().to_string()), [namespace]);
        holder.kill().expect("it runs");
        holder.wait().expect("it ends");
    }
    keeper.kill().expect("it runs");
    keeper.wait().expect("it ends");
}

/// The test that holds an adapter, to be started by this program.
fn holder(mut command: Command) -> Command {
    command
        .args([
            "--exact",
            "nothing_is_left_of_a_process_that_is_killed",
            "--nocapture",
        ])
        .env(HOLDER, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

/// Starts one, and waits until its adapter is up; returns its namespace too.
fn start_holder(program: Command) -> (std::process::Child, String) {
    let mut holder = holder(program).spawn().expect("it starts");
    let output = holder.stdout.take().expect("a pipe");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
    let namespace =
        lines.find_map(|line| line.expect("text").strip_prefix("held ").map(str::to_owned));
    (holder, namespace.expect("the adapter is up"))
}

const HOLDER: &str = "POSTERN_TEST_HOLDER";

/// Holds an adapter until it is killed.
fn hold() {
    let _adapter = Adapter::start(Setup {
        clock: Clock::start(),
        limits: Limits::new(&PROFILES[0]),
        assign: Box::new(|_, _| None),
        log: Box::new(|_| {}),
        ask: Arc::new(|_| tokio::sync::oneshot::channel().1),
    })
    .expect("an adapter; this needs root");
    let thread = std::fs::read_dir("/proc/self/task")
        .expect("threads")
        .flatten()
        .find(|task| {
            std::fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name == "tls-proxy\n")
        });
    let link = std::fs::read_link(thread.expect("its thread").path().join("ns/net"));
    println!("\nheld {}", link.expect("a namespace").display());
    // Until the one that started it is gone.
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

/// Network namespaces of all threads of a process.
fn namespaces_of(process: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten();
    tasks
        .filter_map(|task| std::fs::read_link(task.ok()?.path().join("ns/net")).ok())
        .map(|link| link.display().to_string())
        .collect()
}

/// Network namespaces of all threads there are.
fn namespaces() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    processes
        .filter_map(|process| process.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .flat_map(|process| namespaces_of(&process))
        .collect()
}

fn network_of_the_machine() -> String {
    let mut all = String::new();
    for words in ["-o link show type tun", "rule", "route show table 100"] {
        let output = Command::new("ip")
            .args(words.split(' '))
            .output()
            .expect("ip runs");
        all += &String::from_utf8_lossy(&output.stdout);
    }
    all
}

#[test]
fn text_without_tls_goes_from_port_to_port_and_to_the_same_end() {
    let scene = Scene::new();
    let listener = scene.inside.listen(5060);
    // From the port that the adapter listens on, too.
    let mut client = scene.outside.connect(5060, (INSIDE, 5060).into());
    let (mut server, from) = listener.accept().expect("the connection");
    assert_eq!(from, (OUTSIDE, 5060).into());
    client.write_all(b"OPTIONS").expect("room");
    client.shutdown(Shutdown::Write).expect("open");
    let mut heard = String::new();
    server.read_to_string(&mut heard).expect("the end");
    assert_eq!(heard, "OPTIONS");
    server.write_all(b"200").expect("half of it is open");
    drop(server);
    heard.clear();
    client.read_to_string(&mut heard).expect("the end");
    assert_eq!(heard, "200");
    let mut alone = scene.outside.connect(5070, (INSIDE, 5070).into());
    let closed = alone.read(&mut [0]);
    assert_eq!(
        closed.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
    scene.line("terminated by inspection engine, reason - it cannot be reached");
}
