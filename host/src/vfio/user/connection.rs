//! The socket: one request and its reply at a time, each within a time limit.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use vmm_sys_util::sock_ctrl_msg::ScmSocket;

use super::super::{Access, Error};
use super::message::{
    ACCESS_BYTES, Command, DEFAULT_TRANSFER_BYTES, FLAG_ERROR, FLAG_REPLY, FLAG_TYPE, HEADER_BYTES,
    SLACK_BYTES, access_header, failure, field, words,
};

/// A connected socket and what keeps it in step.
pub(super) struct Connection {
    stream: UnixStream,
    limit: Duration,
    next_id: u16,
    given_up: bool,
    /// The messages being sent, kept to spare an allocation per access.
    outgoing: Vec<u8>,
}

impl Connection {
    /// Connects. No request may take longer than `limit`.
    pub(super) fn open(path: &Path, limit: Duration) -> Result<Self, Error> {
        let stream = UnixStream::connect(path).map_err(|source| Error::Connect {
            path: path.to_owned(),
            source,
        })?;
        stream
            .set_write_timeout(Some(limit))
            .map_err(|source| failure(Command::Version, limit, source))?;
        Ok(Self {
            stream,
            limit,
            next_id: 0,
            given_up: false,
            outgoing: Vec::new(),
        })
    }

    /// Sends one request, with file descriptors if it has any, and returns the body of its reply.
    pub(super) fn call(
        &mut self,
        command: Command,
        body: &[u8],
        files: &[RawFd],
    ) -> Result<Vec<u8>, Error> {
        self.begin()?;
        let id = self.push(command, &[body]);
        self.send(command, files)?;
        let reply = self.receive(id, command)?;
        self.given_up = false;
        reply.map_err(|errno| Error::Refused {
            request: command.name().to_owned(),
            errno,
        })
    }

    /// From here to a complete reply, be it an error, the connection is out of step.
    fn begin(&mut self) -> Result<(), Error> {
        if self.given_up {
            return Err(Error::GivenUp);
        }
        self.given_up = true;
        self.outgoing.clear();
        Ok(())
    }

    /// Appends a request to what is to be sent and returns its identifier.
    fn push(&mut self, command: Command, body: &[&[u8]]) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let size = HEADER_BYTES + body.iter().map(|part| part.len()).sum::<usize>();
        self.outgoing.extend_from_slice(&id.to_le_bytes());
        self.outgoing
            .extend_from_slice(&(command as u16).to_le_bytes());
        self.outgoing
            .extend_from_slice(&words(&[size as u32, 0, 0]));
        body.iter()
            .for_each(|part| self.outgoing.extend_from_slice(part));
        id
    }

    fn push_access(&mut self, access: &Access<'_>) -> u16 {
        match access {
            Access::Read {
                region,
                offset,
                data,
            } => self.push(
                Command::RegionRead,
                &[&access_header(*region, *offset, data.len())],
            ),
            Access::Write {
                region,
                offset,
                data,
            } => self.push(
                Command::RegionWrite,
                &[&access_header(*region, *offset, data.len()), data],
            ),
        }
    }

    fn send(&mut self, command: Command, files: &[RawFd]) -> Result<(), Error> {
        let fail = |source| failure(command, self.limit, source);
        let mut rest = &self.outgoing[..];
        if !files.is_empty() {
            // Descriptors travel with the first byte; what the socket does not take at once follows.
            let sent = self
                .stream
                .send_with_fds(&[rest], files)
                .map_err(|error| fail(std::io::Error::from_raw_os_error(error.errno())))?;
            rest = &rest[sent..];
        }
        self.stream.write_all(rest).map_err(fail)
    }

    /// Receives the reply to an access; the outer error is that of the connection, the inner the device's.
    fn receive_access(
        &mut self,
        id: u16,
        access: &mut Access<'_>,
    ) -> Result<Result<(), Error>, Error> {
        let (command, region, offset) = match access {
            Access::Read { region, offset, .. } => (Command::RegionRead, *region, *offset),
            Access::Write { region, offset, .. } => (Command::RegionWrite, *region, *offset),
        };
        let reply = match self.receive(id, command)? {
            Ok(reply) => reply,
            Err(errno) => {
                let request = format!("{} of region {region} at {offset:#x}", command.name());
                return Ok(Err(Error::Refused { request, errno }));
            }
        };
        if let Access::Read { data, .. } = access {
            let bytes = reply.get(ACCESS_BYTES..).unwrap_or_default();
            if bytes.len() != data.len() {
                return Err(Error::Protocol(format!(
                    "a read of {} bytes gave {}",
                    data.len(),
                    bytes.len()
                )));
            }
            data.copy_from_slice(bytes);
        }
        Ok(Ok(()))
    }

    /// Sends accesses at once, then collects their replies.
    pub(super) fn exchange(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        self.begin()?;
        let ids: Vec<u16> = accesses
            .iter()
            .map(|access| self.push_access(access))
            .collect();
        self.send(Command::RegionWrite, &[])?;
        let mut outcome = Ok(());
        for (id, access) in ids.into_iter().zip(accesses) {
            let reply = self.receive_access(id, access)?;
            outcome = outcome.and(reply);
        }
        self.given_up = false;
        outcome
    }

    /// Receives a reply: its body or the device's error number.
    fn receive(&mut self, id: u16, command: Command) -> Result<Result<Vec<u8>, u32>, Error> {
        let deadline = Instant::now() + self.limit;
        let mut header = [0; HEADER_BYTES];
        self.read_exact_by(deadline, command, &mut header)?;
        let size = u32::from_le_bytes(field(&header, 4)?) as usize;
        let flags = u32::from_le_bytes(field(&header, 8)?);
        let errno = u32::from_le_bytes(field(&header, 12)?);
        let answers = (
            u16::from_le_bytes(field(&header, 0)?),
            u16::from_le_bytes(field(&header, 2)?),
        );
        if answers != (id, command as u16) || flags & FLAG_TYPE != FLAG_REPLY {
            return Err(Error::Protocol(format!(
                "a stray message instead of the reply to {}",
                command.name()
            )));
        }
        if !(HEADER_BYTES..=HEADER_BYTES + DEFAULT_TRANSFER_BYTES + SLACK_BYTES).contains(&size) {
            return Err(Error::Protocol(format!("a reply of {size} bytes")));
        }
        let mut body = vec![0; size - HEADER_BYTES];
        self.read_exact_by(deadline, command, &mut body)?;
        Ok(if flags & FLAG_ERROR == 0 {
            Ok(body)
        } else {
            Err(errno)
        })
    }

    fn read_exact_by(
        &mut self,
        deadline: Instant,
        command: Command,
        mut into: &mut [u8],
    ) -> Result<(), Error> {
        let limit = self.limit;
        let fail = |source| failure(command, limit, source);
        while !into.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout {
                    request: command.name(),
                    limit,
                });
            }
            self.stream.set_read_timeout(Some(left)).map_err(fail)?;
            match self.stream.read(into) {
                Ok(0) => return Err(fail(ErrorKind::UnexpectedEof.into())),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(())
    }
}
