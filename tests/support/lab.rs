//! A simulated card between two private networks, with the kernel's TCP at both ends.
//!
//! Each network is a namespace without a name, held by a process that ends when we do, however we end; so there is
//! nothing to remove and nothing to clash with. Needs root. Only sockets and programs are opened in a network, never a
//! thread of the caller moved into one.
//!
//!     198.51.100.7, 192.0.2.254 ── outside ── card ── inside ── 10.0.0.9

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Host behind the outside interface, and the next hop of everything there.
pub const GATEWAY: &str = "192.0.2.254";
/// Host somewhere outside.
pub const FAR: &str = "198.51.100.7";
/// Host behind the inside interface.
pub const CLIENT: &str = "10.0.0.9";
/// Longest that a socket waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Behind port 0.
    Outside,
    /// Behind port 1.
    Inside,
}

/// A card whose ports lead to two networks. All of it ends when it is dropped.
pub struct Lab {
    networks: [Network; 2],
    card: Child,
    directory: tempfile::TempDir,
}

/// A network namespace and the process that holds it.
struct Network {
    holder: Child,
    namespace: File,
}

impl Lab {
    /// Starts a card of an engine (`model` or `rtl`); what it says on standard error is in [`Lab::card_log`].
    pub fn start(card_program: &Path, engine: &str) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let networks = [Network::new()?, Network::new()?];
        let mut command = Command::new("unshare");
        command
            .arg("--net")
            .arg(card_program)
            .args(["--exit-with-stdin", "--engine", engine, "--socket"])
            .arg(directory.path().join(SOCKET))
            .args([
                "--port",
                "outside=tap:outside0",
                "--port",
                "inside=tap:inside0",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.path().join(LOG))?);
        let mut card = command.spawn()?;
        let ready = first_line(&mut card)?;
        let lab = Self {
            networks,
            card,
            directory,
        };
        if !ready.starts_with("postern-card: ready") {
            return Err(io::Error::other(format!(
                "the card said `{ready}`; {}",
                lab.card_log()
            )));
        }
        for (network, device) in lab.networks.iter().zip(["outside0", "inside0"]) {
            let holder = network.holder.id().to_string();
            run(in_network(lab.card.id(), "ip").args(["link", "set", device, "netns", &holder]))?;
        }
        for (side, words) in SETUP {
            run(lab.command(*side, "ip").args(words.split_whitespace()))?;
        }
        Ok(lab)
    }

    /// Where the card is served.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// The card's process.
    pub fn card_process(&self) -> u32 {
        self.card.id()
    }

    /// Whether the card still runs.
    pub fn card_runs(&mut self) -> bool {
        matches!(self.card.try_wait(), Ok(None))
    }

    /// What the card has complained of.
    pub fn card_log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join(LOG)).unwrap_or_default()
    }

    /// A program that will run in a network.
    pub fn command(&self, side: Side, program: &str) -> Command {
        in_network(self.networks[side as usize].holder.id(), program)
    }

    /// Listens in a network; nothing that is accepted waits for ever.
    pub fn listen(&self, side: Side, address: &str) -> io::Result<TcpListener> {
        let address = parse(address)?;
        self.within(side, || TcpListener::bind(address))
    }

    /// Connects from a network.
    pub fn connect(&self, side: Side, address: &str) -> io::Result<TcpStream> {
        let address = parse(address)?;
        let stream = self.within(side, || TcpStream::connect_timeout(&address, PATIENCE))?;
        limit(stream)
    }

    /// A datagram socket in a network.
    pub fn datagrams(&self, side: Side, address: &str) -> io::Result<UdpSocket> {
        let address = parse(address)?;
        let socket = self.within(side, || UdpSocket::bind(address))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    /// A number that the kernel counts for a network, as `Tcp` and `OutRsts` of `/proc/net/snmp`.
    pub fn kernel_count(&self, side: Side, group: &str, name: &str) -> io::Result<u64> {
        let text = self.within(side, || {
            std::fs::read_to_string("/proc/thread-self/net/snmp")
        })?;
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
        let names = lines.next().unwrap_or_default().split_whitespace();
        let values = lines.next().unwrap_or_default().split_whitespace();
        let found = names.zip(values).find(|(found, _)| *found == name);
        found
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| io::Error::other(format!("the kernel has no {group} {name}")))
    }

    /// Does something in a network, on a thread of its own that ends there.
    fn within<T: Send>(
        &self,
        side: Side,
        action: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let namespace = self.networks[side as usize].namespace.as_fd();
        let enter = move || {
            move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
            action()
        };
        std::thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| io::Error::other("a thread panicked in a network"))?
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        end(&mut self.card);
    }
}

/// Accepts a connection that does not wait for ever.
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    Ok((limit(stream)?, peer))
}

impl Network {
    fn new() -> io::Result<Self> {
        // It waits for the end of its input, which comes when we are gone.
        let script = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 && echo up && exec cat";
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = first_line(&mut holder)?;
        let namespace = File::open(format!("/proc/{}/ns/net", holder.id()))?;
        let network = Self { holder, namespace };
        match said.as_str() {
            "up" => Ok(network),
            _ => Err(io::Error::other(
                "cannot make a network namespace; this needs root",
            )),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        end(&mut self.holder);
    }
}

fn end(process: &mut Child) {
    // Either fails only if the process has ended already.
    let _ = process.kill();
    let _ = process.wait();
}

fn first_line(process: &mut Child) -> io::Result<String> {
    let output = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn in_network(process: u32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &process.to_string(), "--net", program]);
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

fn limit(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.parse().map_err(io::Error::other)
}

const SOCKET: &str = "card.sock";
const LOG: &str = "card.log";
/// Addresses and routes. The outside knows no way to the inside's own addresses.
const SETUP: &[(Side, &str)] = &[
    (Side::Outside, "link set lo up"),
    (Side::Outside, "link set outside0 up"),
    (Side::Outside, "address add 192.0.2.254/24 dev outside0"),
    (Side::Outside, "address add 198.51.100.7/32 dev lo"),
    (Side::Inside, "link set lo up"),
    (Side::Inside, "link set inside0 up"),
    (Side::Inside, "address add 10.0.0.9/24 dev inside0"),
    (Side::Inside, "route add default via 10.0.0.1"),
];
