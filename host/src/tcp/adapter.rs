//! Packets in and out.
//!
//! Comes in: IPv4 packets, by [`Adapter::send`]. Goes out: IPv4 packets, by [`Adapter::receive`], when the descriptor is
//! readable. The first packet of a connection to a port makes the port open, so ports need not be known beforehand.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use etherparse::{SlicedPacket, TransportSlice};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tun_rs::SyncDevice;

use super::service;
use crate::pki::revocation::Question;
use crate::punt::Event;
use crate::runtime::clock::Clock;
use crate::tls::limits::{Application, Limits};
use crate::tls::session::Place;
use crate::tls::{Inspect, Proxy, Sessions};

/// Why connections cannot end here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No namespace.
    #[error(
        "cannot make a network namespace: {0}; this needs CAP_SYS_ADMIN, or to be started in a network of its own (systemd: PrivateNetwork=yes)"
    )]
    Namespace(#[source] io::Error),
    /// No TUN device.
    #[error("cannot make a TUN device (this needs /dev/net/tun and CAP_NET_ADMIN): {0}")]
    Device(#[source] io::Error),
    /// No routes.
    #[error("cannot set up routes for the TLS proxy: {0}")]
    Routes(#[source] io::Error),
    /// No thread.
    #[error("cannot start the thread of the TLS proxy: {0}")]
    Thread(#[source] io::Error),
    /// No listener.
    #[error("cannot listen on port {port} for the TLS proxy: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// More ports than anybody inspects.
    #[error("the TLS proxy listens on {MAX_PORTS} ports already")]
    Ports,
    /// The device took or gave no packet.
    #[error("the TUN device of the TLS proxy: {0}")]
    Packet(#[source] io::Error),
    /// The thread has ended.
    #[error("the TLS proxy has stopped")]
    Stopped,
}

/// TLS of a connection.
pub struct Secured {
    /// The `tls-proxy` of its class.
    pub proxy: Arc<Proxy>,
    /// What it counts as.
    pub application: Application,
}

/// What is to be done with a connection.
pub struct Assigned {
    /// How both legs are secured; `None` without TLS.
    pub tls: Option<Secured>,
    /// Who dials, as shown.
    pub dialler: Place,
    /// Who is dialled, as shown.
    pub dialled: Place,
    /// What looks at the text.
    pub inspect: Box<dyn Inspect>,
}

/// Answers a connection that nobody is behind, to its end.
pub type Answer = Box<dyn FnOnce(TcpStream) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Who has a connection.
pub enum Duty {
    /// A session with a peer behind.
    Carry(Assigned),
    /// We ourselves.
    Answer(Answer),
}

/// Finds who has a connection between two addresses; `None` resets it.
pub type Assign = Box<dyn FnMut(SocketAddr, SocketAddr) -> Option<Duty> + Send>;
/// Takes lines of the log.
pub type Log = Box<dyn FnMut(&Event) + Send>;

/// Asks about a certificate, and teaches the ledger what comes of it; ends when that is done.
pub type Ask = Arc<dyn Fn(Question) -> oneshot::Receiver<()> + Send + Sync>;

/// What an adapter begins with.
pub struct Setup {
    /// The time.
    pub clock: Clock,
    /// How many sessions there may be.
    pub limits: Limits,
    /// Who has which connection.
    pub assign: Assign,
    /// The log.
    pub log: Log,
    /// Who asks about certificates.
    pub ask: Ask,
}

/// What the thread is asked.
pub(super) enum Command {
    Listen(u16, mpsc::Sender<io::Result<()>>),
    Ask(Box<dyn FnOnce(&mut Sessions) + Send>),
}

/// The kernel's TCP behind a TUN device. Everything ends when it is dropped.
pub struct Adapter {
    device: SyncDevice,
    ports: BTreeSet<u16>,
    /// The thread ends when there is nobody left to ask it.
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Adapter {
    /// Makes the network and waits until it is up.
    pub fn start(setup: Setup) -> Result<Self, Error> {
        let (commands, received) = unbounded_channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("tls-proxy".into())
            .spawn(move || service::run(setup, received, &ready))
            .map_err(Error::Thread)?;
        let device = started.recv().map_err(|_| Error::Stopped)??;
        Ok(Self {
            device,
            ports: BTreeSet::new(),
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Hands over a packet from the network.
    pub fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        if let Some(port) = opens(packet)
            && !self.ports.contains(&port)
        {
            self.listen(port)?;
        }
        self.device.send(packet).map_err(Error::Packet)?;
        Ok(())
    }

    /// Takes a packet for the network, if there is one.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        match self.device.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(Error::Packet(error)),
        }
    }

    /// Asks about the sessions, or changes their limits.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Sessions) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = mpsc::channel();
        self.command(Command::Ask(Box::new(move |sessions| {
            // Whoever asked waits.
            let _ = answer.send(question(sessions));
        })))?;
        answered.recv().map_err(|_| Error::Stopped)
    }

    /// Somebody who may ask from another thread, for as long as this is here.
    pub fn asker(&self) -> Asker {
        Asker(self.commands.as_ref().map(UnboundedSender::downgrade))
    }

    fn listen(&mut self, port: u16) -> Result<(), Error> {
        if self.ports.len() >= MAX_PORTS {
            return Err(Error::Ports);
        }
        let (answer, answered) = mpsc::channel();
        self.command(Command::Listen(port, answer))?;
        answered
            .recv()
            .map_err(|_| Error::Stopped)?
            .map_err(|source| Error::Listen { port, source })?;
        self.ports.insert(port);
        Ok(())
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        let commands = self.commands.as_ref().ok_or(Error::Stopped)?;
        commands.send(command).map_err(|_| Error::Stopped)
    }
}

/// Asks about the sessions, from any thread.
#[derive(Clone)]
pub struct Asker(Option<WeakUnboundedSender<Command>>);

impl Asker {
    /// As [`Adapter::ask`], without keeping a thread.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Sessions) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let commands = self.0.as_ref().and_then(WeakUnboundedSender::upgrade);
        let ask = Command::Ask(Box::new(move |sessions| {
            // Whoever asked may have gone.
            let _ = answer.send(question(sessions));
        }));
        commands
            .ok_or(Error::Stopped)?
            .send(ask)
            .map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)
    }
}

impl AsRawFd for Adapter {
    /// Readable when there is a packet for the network.
    fn as_raw_fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been told there.
            let _ = thread.join();
        }
    }
}

/// The port that a packet asks to connect to.
fn opens(packet: &[u8]) -> Option<u16> {
    match SlicedPacket::from_ip(packet).ok()?.transport? {
        TransportSlice::Tcp(tcp) if tcp.syn() && !tcp.ack() => Some(tcp.destination_port()),
        _ => None,
    }
}

/// Ports that are listened on. Classes that are inspected name a handful.
const MAX_PORTS: usize = 1024;
