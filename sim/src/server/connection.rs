//! One client's socket: bytes and file descriptors in, whole requests out; replies back.
//!
//! Never more is read than the message at hand still needs, so descriptors that come with the bytes
//! belong to that message whatever the kernel glues together.

use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::ServerError;
use super::message::{MAX_DESCRIPTORS, Request};

/// Bytes taken from the socket at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connected client.
pub struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What came of looking for a request.
pub enum Received {
    /// A whole one.
    Request(Request),
    /// The client has not sent all of it yet.
    Nothing,
    /// The client has left.
    End,
}

impl Connection {
    /// Takes over a socket that was just accepted.
    ///
    /// # Errors
    /// If it cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> Result<Self, ServerError> {
        stream.set_nonblocking(true).map_err(ServerError::Client)?;
        Ok(Self {
            stream,
            received: Vec::new(),
            descriptors: Vec::new(),
        })
    }

    /// The next request, if it is here.
    ///
    /// # Errors
    /// If the socket fails, or what it brings cannot be a message.
    pub fn receive(&mut self) -> Result<Received, ServerError> {
        loop {
            let missing = Request::missing(&self.received)?;
            if missing == 0 {
                let request = Request::take(&mut self.received, &mut self.descriptors);
                return Ok(Received::Request(request));
            }
            match self.read_some(missing.min(CHUNK_BYTES)) {
                Ok(0) => return Ok(Received::End),
                Ok(_) => {}
                Err(error) if is_temporary(&error) => return Ok(Received::Nothing),
                Err(error) => return Err(ServerError::Client(error)),
            }
        }
    }

    fn read_some(&mut self, wanted: usize) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let before = self.received.len();
        self.received.resize(before + wanted, 0);
        let mut parts = [IoSliceMut::new(&mut self.received[before..])];
        let outcome = recvmsg(
            &self.stream,
            &mut parts,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let count = outcome.as_ref().map_or(0, |message| message.bytes);
        self.received.truncate(before + count);
        outcome?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(count)
    }

    /// Sends as much of a reply as the client takes now; gives how much that was.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn send_some(&mut self, reply: &[u8]) -> Result<usize, ServerError> {
        match self.stream.write(reply) {
            Err(error) if is_temporary(&error) => Ok(0),
            sent => sent.map_err(ServerError::Client),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
