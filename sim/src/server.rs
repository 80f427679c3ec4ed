//! A vfio-user server in front of any card.
//!
//! In come the messages of one client at a time over a Unix socket, out go replies. When a client
//! leaves, however it leaves, the function is reset and the card behind goes on as it is; the next
//! client finds its tables. Requests are answered in order on the thread that owns the card, so a
//! client is always in step with the clock. With a [`Wire`](crate::wire::Wire) the card also runs
//! between requests, and while there is no client.
//!
//! Protocol: the vfio-user specification in the QEMU manual; numbers are those of `linux/vfio.h`.
//! This is an own implementation because the `vfio_user` crate's server (0.1) cannot keep two
//! promises made here: it takes a header that arrives in two pieces, or the payload of a command it
//! does not know, for the next message, and panics on a malformed `VERSION`; its errors reach the
//! client as number 0, and its loop cannot let a clock run between requests. The crate's client is
//! what the tests drive this server with.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A client's socket.
mod connection;
/// Framing and payloads of the protocol.
pub mod message;
/// The PCI device: regions, interrupts and what they lead to.
pub mod device;
/// PCI configuration space.
pub mod config_space;
/// What a client has mapped for DMA.
pub mod memory;
/// A client's files in our memory.
mod mapping;
/// The event descriptors of a client.
pub mod interrupts;
/// The simulator-only region.
pub mod simulator;

pub use device::Device;

use connection::{Connection, Received};
use memory::MapError;
use message::FramingError;

/// What ended a server or one of its clients.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket cannot be made.
    #[error("cannot listen on {path}: {source}")]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No further client can be accepted.
    #[error("cannot accept a client: {0}")]
    Accept(#[source] io::Error),
    /// The client's socket failed; the card serves on.
    #[error("the client's connection failed: {0}")]
    Client(#[source] io::Error),
    /// The client sent what cannot be a message; the card serves on.
    #[error("the client was cut off: {0}")]
    Framing(#[from] FramingError),
    /// The client mapped what cannot be mapped; the card serves on.
    #[error("the client was cut off: {0}")]
    Map(#[from] MapError),
    /// Nothing can be waited for.
    #[error("cannot wait for the next event: {0}")]
    Wait(#[source] io::Error),
    /// The wire failed.
    #[error("{0}")]
    Wire(#[from] crate::wire::WireError),
}

impl ServerError {
    /// Whether only one client is lost.
    pub fn is_client_fault(&self) -> bool {
        use ServerError::{Client, Framing, Map};
        matches!(self, Client(_) | Framing(_) | Map(_))
    }
}

/// A listening socket; dropping it removes the path.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Listens on a path. A socket there on which nobody listens any more is replaced.
    ///
    /// # Errors
    /// If the path exists otherwise, or cannot be made.
    pub fn bind(path: &Path) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Bind {
            path: path.to_owned(),
            source,
        };
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
                std::fs::remove_file(path).map_err(fail)?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        Ok(Self {
            listener: bound.map_err(fail)?,
            path: path.to_owned(),
        })
    }

    /// Serves the next client until it leaves.
    ///
    /// # Errors
    /// What ended the client or the server; see [`ServerError::is_client_fault`].
    pub fn serve_client(&self, device: &mut Device) -> Result<(), ServerError> {
        wait(device, self.listener.as_fd(), PollFlags::IN)?;
        let (stream, _) = self.listener.accept().map_err(ServerError::Accept)?;
        let served = serve(device, Connection::new(stream)?);
        device.client_left();
        served
    }
}

/// Answers one client until it leaves.
fn serve(device: &mut Device, mut connection: Connection) -> Result<(), ServerError> {
    loop {
        // Between requests too: a client that never pauses must not stop the clock.
        device.advance_briefly()?;
        match connection.receive()? {
            Received::End => return Ok(()),
            Received::Nothing => wait(device, connection.as_fd(), PollFlags::IN)?,
            Received::Request(request) => {
                if let Some(reply) = request.answer(device) {
                    send(device, &mut connection, &reply)?;
                }
                if let Some(error) = device.take_map_error() {
                    return Err(error.into());
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to be told that the path had gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A socket file whose listener is gone.
fn is_abandoned(path: &Path) -> bool {
    matches!(UnixStream::connect(path), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// Sends all of a reply.
fn send(
    device: &mut Device,
    connection: &mut Connection,
    mut reply: &[u8],
) -> Result<(), ServerError> {
    while !reply.is_empty() {
        let count = connection.send_some(reply)?;
        reply = &reply[count..];
        if count == 0 {
            wait(device, connection.as_fd(), PollFlags::OUT)?;
        }
    }
    Ok(())
}

/// Waits until a socket is ready; meanwhile the card runs.
fn wait(device: &mut Device, socket: BorrowedFd<'_>, events: PollFlags) -> Result<(), ServerError> {
    loop {
        let pause = device.advance()?;
        let mut watched = vec![PollFd::from_borrowed_fd(socket, events)];
        watched.extend(
            device
                .descriptors()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let timeout = pause.map(timespec);
        match poll(&mut watched, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            waited => drop(waited.map_err(|error| ServerError::Wait(error.into()))?),
        }
        if !watched[0].revents().is_empty() {
            return Ok(());
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: duration.subsec_nanos().into(),
    }
}
