//! Real programs and the kernel's TCP through the simulated card, between two private networks.
//!
//! `cargo nextest run --test lab`. Needs root, curl and python3. The card is a process of its own, and so is `postern`.

#[path = "../support/command.rs"]
#[allow(dead_code, reason = "the suites share it")]
mod command;
mod daemon;
#[path = "../support/lab.rs"]
#[allow(dead_code, reason = "the suites share it")]
mod lab;
mod limits;
mod stream;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use daemon::Daemon;
use lab::{CLIENT, FAR, GATEWAY, Lab, Side};
use stream::Transfer;

/// Address and port of the XMPP server as the outside sees it.
const XMPP: &str = "192.0.2.10:5269";

#[test]
fn curl_gets_through_static_and_dynamic_pat_and_nothing_else_does() {
    for engine in engines() {
        println!("on the {engine} card");
        let lab = Lab::start(command::card_program(), engine).expect("a lab");
        let folder = tempfile::tempdir().expect("a folder");
        let page: Vec<u8> = (0..page_bytes(engine)).map(|at| (at / 7) as u8).collect();
        std::fs::write(folder.path().join("page"), &page).expect("room");
        let (daemon, _) = Daemon::start(&configuration(), &lab.socket());

        // Dynamic PAT: the server sees the address of the outside interface.
        let (web, seen) = (
            WebServer::start(&lab, Side::Outside, FAR, 8080, folder.path()),
            "192.0.2.1",
        );
        assert_eq!(
            curl(&lab, Side::Inside, "http://198.51.100.7:8080/page"),
            Ok(page.clone())
        );
        assert_eq!(web.client(), seen);
        daemon.await_line("Built outbound TCP connection 1 for outside:198.51.100.7/8080");

        // Static PAT, and the one service that the access list permits.
        let xmpp = WebServer::start(&lab, Side::Inside, CLIENT, 5269, folder.path());
        assert_eq!(
            curl(&lab, Side::Outside, &format!("http://{XMPP}/page")),
            Ok(page)
        );
        assert_eq!(xmpp.client(), GATEWAY);
        daemon.await_line("Built inbound TCP connection 2 for outside:192.0.2.254/");
        daemon.await_line("Teardown TCP connection 2 for outside:192.0.2.254/");
        let lists = daemon.show("access-list FROM-OUTSIDE --format json").json();
        let hits = |line: usize| lists["access_lists"][0]["lines"][line]["hits"].as_u64();
        assert_eq!((hits(0), hits(1)), (Some(1), Some(0)), "{lists}");

        // A server that listens, and that nobody outside may reach.
        let _closed = WebServer::start(&lab, Side::Inside, CLIENT, 5222, folder.path());
        let sent = denied(&lab);
        assert_eq!(daemon.stop().code(), Some(0));
        let info = command::postern([
            "nic",
            "info",
            &format!("vfio-user:{}", lab.socket().display()),
            "--format",
            "json",
        ]);
        let counter = |name: &str| info.json()["counters"][name].as_u64().expect("a counter");
        assert_eq!(counter("acl-deny"), sent, "{}", info.out);
        assert_eq!(counter("acl-implicit-deny"), 0);
        // The first packets of two connections; all others passed without the host.
        assert_eq!(counter("flow-miss"), 2);
        assert!(
            counter("flow-hit") > 2 * page_bytes(engine) / 1500,
            "{}",
            info.out
        );
        assert_eq!(lab.card_log(), "");
    }
}

/// Tries what the access list denies; returns how many frames the kernel sent for it.
fn denied(lab: &Lab) -> u64 {
    let sent = |group, name| {
        lab.kernel_count(Side::Outside, group, name)
            .expect("a count")
    };
    let before = sent("Ip", "OutRequests");
    for port in [5222, 22] {
        let refused = curl(
            lab,
            Side::Outside,
            &format!("http://192.0.2.10:{port}/page"),
        );
        assert_eq!(refused, Err(CURL_TIMED_OUT), "port {port}");
    }
    let socket = lab
        .datagrams(Side::Outside, &format!("{GATEWAY}:0"))
        .expect("a socket");
    for _ in 0..10 {
        socket.send_to(b"let me in", XMPP).expect("sent");
    }
    sent("Ip", "OutRequests") - before
}

#[test]
fn a_transfer_goes_on_while_the_runtime_is_killed_and_started_again() {
    for engine in engines() {
        println!("on the {engine} card");
        let lab = Lab::start(command::card_program(), engine).expect("a lab");
        let step = page_bytes(engine);
        let (daemon, said) = Daemon::start(&configuration(), &lab.socket());
        assert_eq!(
            said.len(),
            1,
            "a fresh card has nothing to take over: {said:?}"
        );

        let web = lab
            .listen(Side::Outside, &format!("{FAR}:443"))
            .expect("a listener");
        let xmpp = lab
            .listen(Side::Inside, &format!("{CLIENT}:5269"))
            .expect("a listener");
        let client = lab
            .connect(Side::Inside, &format!("{FAR}:443"))
            .expect("a connection");
        let (server, _) = lab::accept(&web).expect("a client");
        let download = Transfer::start(server, client);
        let client = lab.connect(Side::Outside, XMPP).expect("a connection");
        let (server, _) = lab::accept(&xmpp).expect("a client");
        let upload = Transfer::start(client, server);
        let transfers = [&download, &upload];
        let go_on = || {
            transfers
                .iter()
                .for_each(|transfer| transfer.await_progress(step))
        };
        go_on();
        daemon.crash();
        go_on();
        let (daemon, said) = Daemon::start(&configuration(), &lab.socket());
        assert!(
            said[0].contains("took 2 connections over, removed 0 flows"),
            "{said:?}"
        );
        go_on();
        // Once more: what was taken over can be taken over.
        daemon.crash();
        go_on();
        let (daemon, said) = Daemon::start(&configuration(), &lab.socket());
        assert!(
            said[0].contains("took 2 connections over, removed 0 flows"),
            "{said:?}"
        );
        go_on();

        for side in [Side::Outside, Side::Inside] {
            for name in ["OutRsts", "EstabResets", "AttemptFails"] {
                assert_eq!(
                    lab.kernel_count(side, "Tcp", name).expect("a count"),
                    0,
                    "{name} {side:?}"
                );
            }
        }
        // Teardown tells the bytes of a connection from its beginning: nothing that was counted is lost.
        let mut payloads = [download.end(), upload.end()];
        let mut told: Vec<u64> = (0..2).map(|_| torn_down(&daemon)).collect();
        payloads.sort();
        told.sort();
        for (told, payload) in told.iter().zip(payloads) {
            assert!(
                *told > payload && *told < 2 * payload,
                "{told} of {payload}"
            );
        }
        assert_eq!(daemon.stop().code(), Some(0));
    }
}

/// Waits for the end of a connection and returns the bytes it had.
fn torn_down(daemon: &Daemon) -> u64 {
    let said = daemon.await_line("302014: Teardown TCP connection");
    let line = said.last().expect("the line");
    assert!(line.ends_with("TCP FINs"), "{line}");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == "bytes")
        .expect("bytes");
    words[at + 1].parse().expect("a number")
}

/// Python's own web server.
struct WebServer {
    process: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl WebServer {
    fn start(lab: &Lab, side: Side, address: &str, port: u16, folder: &Path) -> Self {
        // It says that it listens, which the module's command line does not.
        // Nor does this ask a name server who it is.
        let script = "import sys, socket, http.server as h; a, p, d = sys.argv[1:]; socket.getfqdn = str\n\
            class H(h.SimpleHTTPRequestHandler):\n  \
            def __init__(self, *w): super().__init__(*w, directory=d)\n\
            s = h.ThreadingHTTPServer((a, int(p)), H); print('up', file=sys.stderr, flush=True); s.serve_forever()";
        let mut process = lab
            .command(side, "python3")
            .args(["-c", script, address, &port.to_string()])
            .arg(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut server = Self { process, log };
        assert_eq!(server.line(), "up");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The client of the next request.
    fn client(mut self) -> String {
        let line = self.line();
        line.split(' ').next().unwrap_or_default().to_owned()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What curl got, or its exit code.
fn curl(lab: &Lab, side: Side, url: &str) -> Result<Vec<u8>, i32> {
    let mut command: Command = lab.command(side, "curl");
    // The first bounds what is denied, the second what hangs.
    command.args([
        "--silent",
        "--connect-timeout",
        "3",
        "--max-time",
        "60",
        url,
    ]);
    let output = command.output().expect("curl");
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        code => Err(code.unwrap_or(-1)),
    }
}

/// The engines, unless the kernel does not let us make networks.
fn engines() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        return ENGINES;
    }
    println!("SKIPPED: network namespaces need root");
    &[]
}

/// The cards that this build has.
const ENGINES: &[&str] = if cfg!(feature = "verilator") {
    &["model", "rtl"]
} else {
    &["model"]
};

/// Bytes of a step: the RTL card is some hundred times slower.
fn page_bytes(engine: &str) -> u64 {
    if engine == "rtl" { 50_000 } else { 2_000_000 }
}

fn configuration() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/lab.cfg")
}

const CURL_TIMED_OUT: i32 = 28;
