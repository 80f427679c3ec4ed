//! Who is measured: Postern, and haproxy and Kamailio where they are installed.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::certificates::Certificates;
use super::client::Block;
use super::control::Control;
use super::measure;
use super::network::Network;

/// The server behind. The port is not that of the proxies, which listen on all addresses.
pub const BACKEND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5062);

/// A proxy that runs, and that is ended when this is dropped.
pub struct Subject {
    pub name: String,
    pub network: Network,
    pub process: Child,
    /// Where it listens.
    pub front: SocketAddrV4,
    pub control: Option<Control>,
    pub _folder: TempDir,
}

impl Subject {
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Connections begin.
    pub fn begin(&mut self, block: Block) {
        if let Some(control) = &mut self.control {
            control.say(&format!("begin {}", block.words()));
        }
    }

    /// Connections are over.
    pub fn end(&mut self, block: Block) {
        if let Some(control) = &mut self.control {
            control.say(&format!("end {}", block.words()));
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.control = None;
        // Each fails only if it has ended already; who has children ends them.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let begin = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begin.elapsed() < GRACE {
            std::thread::sleep(LOOK);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that is not ours.
pub struct Peer {
    program: &'static str,
    config: &'static str,
    address: Ipv4Addr,
    /// Words of its command line, and how its version is asked for.
    words: &'static [&'static str],
}

pub const HAPROXY: Peer = Peer {
    program: "haproxy",
    config: include_str!("haproxy.cfg"),
    address: Ipv4Addr::new(192, 0, 2, 3),
    words: &["-db", "-f", "{folder}/config"],
};

pub const KAMAILIO: Peer = Peer {
    program: "kamailio",
    config: include_str!("kamailio.cfg"),
    address: Ipv4Addr::new(192, 0, 2, 4),
    words: &[
        "-DD",
        "-E",
        "-m",
        "512",
        "-M",
        "8",
        "-Y",
        "{folder}",
        "-f",
        "{folder}/config",
    ],
};

impl Peer {
    /// Name and version, if it is installed; else says so.
    pub fn find(&self) -> Option<String> {
        let output = Command::new(self.program).arg("-v").output();
        let Ok(output) = output else {
            println!("{} is not installed: skipped", self.program);
            return None;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let version = text.split_whitespace().find(is_number).unwrap_or("?");
        let version = version.split(['-', '+']).next().unwrap_or_default();
        Some(format!("{} {version}", self.program))
    }

    /// Starts it in a network of its own.
    pub fn start(&self, name: &str, certificates: &Certificates) -> Subject {
        let folder = tempfile::tempdir().expect("a folder");
        let fill = |text: &str| {
            text.replace("{folder}", &folder.path().display().to_string())
                .replace(
                    "{certificates}",
                    &certificates.path("").display().to_string(),
                )
                .replace("{address}", &self.address.to_string())
                .replace("{server}", &BACKEND.to_string())
                .replace("{most}", &measure::most_connections().to_string())
        };
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), fill(text)).expect("room");
        };
        write("config", self.config);
        write("tls", include_str!("kamailio_tls.cfg"));
        let log = std::fs::File::create(folder.path().join("log")).expect("room");
        let network = Network::new();
        let front = SocketAddrV4::new(self.address, 5061);
        let process = network.enter(|| {
            let mut command = Command::new(self.program);
            command.args(self.words.iter().map(|word| fill(word)));
            command.stdin(Stdio::null());
            command.stdout(log.try_clone().expect("a copy")).stderr(log);
            let process = command.spawn().expect("it starts");
            let begin = Instant::now();
            while TcpStream::connect(front).is_err() {
                let told = std::fs::read_to_string(folder.path().join("log"));
                assert!(begin.elapsed() < PATIENCE, "{}: {told:?}", self.program);
                std::thread::sleep(LOOK);
            }
            process
        });
        Subject {
            name: name.into(),
            network,
            process,
            front,
            control: None,
            _folder: folder,
        }
    }
}

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Longest that a program takes to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who has not ended after this is killed.
const GRACE: Duration = Duration::from_secs(5);
