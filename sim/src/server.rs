//! A vfio-user server in front of any card.
//!
//! In come the messages of one client at a time over a Unix socket, out go replies; the card behind
//! stays as it is when a client leaves, however it leaves, and the next one finds it so. Requests are
//! answered in order on the thread that owns the card, so a client is always in step with the clock.
//! With a [`Wire`](crate::wire::Wire) the card also runs between requests.
//!
//! Protocol: the vfio-user specification in the QEMU manual; numbers are those of `linux/vfio.h`.
//! This is an own implementation because the `vfio_user` crate's server (0.1) cannot keep two
//! promises made here: it takes a header that arrives in two pieces, or the payload of a command it
//! does not know, for the next message, and panics on a malformed `VERSION`; its errors reach the
//! client as number 0, and its loop cannot let a clock run between requests. The crate's client is
//! what the tests drive this server with.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Framing and payloads of the protocol.
pub mod message;
/// The PCI device: regions, interrupts and what they lead to.
pub mod device;
/// PCI configuration space.
pub mod config_space;
/// The simulator-only region.
pub mod simulator;

pub use device::Device;

use message::{FramingError, Request};

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
    /// The wire failed.
    #[error("{0}")]
    Wire(#[from] crate::wire::WireError),
}

impl ServerError {
    /// Whether only one client is lost.
    pub fn is_client_fault(&self) -> bool {
        matches!(self, ServerError::Client(_) | ServerError::Framing(_))
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
        let (mut stream, _) = wait(
            device,
            &self.listener,
            ServerError::Accept,
            UnixListener::accept,
        )?;
        let mut received = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            while let Some(request) = Request::take(&mut received)? {
                if let Some(reply) = request.answer(device) {
                    send(device, &mut stream, &reply)?;
                }
            }
            let count = wait(device, &stream, ServerError::Client, |mut stream| {
                stream.read(&mut chunk)
            })?;
            if count == 0 {
                return Ok(());
            }
            received.extend_from_slice(&chunk[..count]);
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

/// A socket that can be asked not to wait.
trait Pollable {
    fn set_nonblocking(&self, on: bool) -> io::Result<()>;
}

impl Pollable for UnixListener {
    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        UnixListener::set_nonblocking(self, on)
    }
}

impl Pollable for UnixStream {
    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        UnixStream::set_nonblocking(self, on)
    }
}

/// Repeats a socket operation until it is done; while there is nothing to do, the card runs on.
fn wait<S: Pollable, T>(
    device: &mut Device,
    socket: &S,
    wrap: impl Fn(io::Error) -> ServerError,
    mut operation: impl FnMut(&S) -> io::Result<T>,
) -> Result<T, ServerError> {
    loop {
        let is_busy = device.advance()?;
        socket.set_nonblocking(is_busy).map_err(&wrap)?;
        match operation(socket) {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            done => return done.map_err(wrap),
        }
    }
}

/// Sends all of a reply.
fn send(device: &mut Device, stream: &mut UnixStream, mut reply: &[u8]) -> Result<(), ServerError> {
    while !reply.is_empty() {
        let count = wait(device, stream, ServerError::Client, |mut stream| {
            stream.write(reply)
        })?;
        reply = &reply[count..];
    }
    Ok(())
}
