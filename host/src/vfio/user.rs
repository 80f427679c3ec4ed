//! A vfio-user client: device information, region access and reset over a UNIX socket.
//!
//! Own code and not the client of the `vfio_user` crate (0.1.7): that one ignores error replies,
//! waits for ever for the data of a read that failed, and reports the reset capability inverted.
//! A driver that hangs on a failing card breaks a promise, so here every request has a time limit,
//! error replies are errors, and after a failure in mid-stream the connection is given up for good.
//! Each message leaves in one write, since some servers take a header in two pieces for two.
//!
//! Protocol: the vfio-user specification, sections "Header", "VERSION", "DEVICE_GET_INFO",
//! "DEVICE_GET_REGION_INFO", "REGION_READ", "REGION_WRITE", "DEVICE_RESET".

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Access, Device, Error, RegionInfo};

/// A connected vfio-user device.
pub struct Client {
    stream: UnixStream,
    limit: Duration,
    next_id: u16,
    given_up: bool,
    chunk_bytes: usize,
    resettable: bool,
    regions: Vec<RegionInfo>,
    /// The messages being sent, kept to spare an allocation per access.
    outgoing: Vec<u8>,
}

impl Client {
    /// Connects and learns the device's regions. No request may take longer than `limit`.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, Error> {
        let stream = UnixStream::connect(path).map_err(|source| Error::Connect {
            path: path.to_owned(),
            source,
        })?;
        stream
            .set_write_timeout(Some(limit))
            .map_err(|source| Error::Io {
                request: Command::Version.name(),
                source,
            })?;
        let mut client = Self {
            stream,
            limit,
            next_id: 0,
            given_up: false,
            chunk_bytes: DEFAULT_TRANSFER_BYTES,
            resettable: false,
            regions: Vec::new(),
            outgoing: Vec::new(),
        };
        client.negotiate()?;
        client.learn_regions()?;
        Ok(client)
    }

    /// Whether the device says that it can be reset.
    pub fn is_resettable(&self) -> bool {
        self.resettable
    }

    fn negotiate(&mut self) -> Result<(), Error> {
        let mut body = Vec::new();
        body.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
        body.extend_from_slice(&VERSION_MINOR.to_le_bytes());
        let offer = format!(
            "{{\"capabilities\":{{\"max_msg_fds\":1,\"max_data_xfer_size\":{DEFAULT_TRANSFER_BYTES}}}}}\0"
        );
        body.extend_from_slice(offer.as_bytes());
        let reply = self.call(Command::Version, &body)?;
        let major = u16::from_le_bytes(field(&reply, 0)?);
        if major != VERSION_MAJOR {
            return Err(Error::Protocol(format!(
                "it speaks version {major}, not {VERSION_MAJOR}"
            )));
        }
        let json = reply.get(4..).unwrap_or_default();
        let json = json.strip_suffix(&[0]).unwrap_or(json);
        // An empty text means that every capability has its default.
        if !json.is_empty() {
            let offer: serde_json::Value = serde_json::from_slice(json).map_err(|error| {
                Error::Protocol(format!("its capabilities are not JSON: {error}"))
            })?;
            if let Some(bytes) = offer["capabilities"]["max_data_xfer_size"].as_u64() {
                self.chunk_bytes = (bytes as usize).clamp(8, DEFAULT_TRANSFER_BYTES);
            }
        }
        Ok(())
    }

    fn learn_regions(&mut self) -> Result<(), Error> {
        let info = self.call(Command::DeviceGetInfo, &words(&[16, 0, 0, 0]))?;
        let flags = u32::from_le_bytes(field(&info, 4)?);
        let regions = u32::from_le_bytes(field(&info, 8)?);
        if flags & DEVICE_FLAG_PCI == 0 {
            return Err(Error::Protocol("it does not serve a PCI device".into()));
        }
        if regions > REGIONS_LIMIT {
            return Err(Error::Protocol(format!("it claims {regions} regions")));
        }
        self.resettable = flags & DEVICE_FLAG_RESET != 0;
        for index in 0..regions {
            let info = self.call(
                Command::DeviceGetRegionInfo,
                &words(&[REGION_INFO_BYTES, 0, index, 0, 0, 0, 0, 0]),
            )?;
            self.regions.push(RegionInfo {
                flags: u32::from_le_bytes(field(&info, 4)?),
                size: u64::from_le_bytes(field(&info, 16)?),
            });
        }
        Ok(())
    }

    /// Sends one request and returns the body of its reply.
    fn call(&mut self, command: Command, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.begin()?;
        let id = self.push(command, &[body]);
        self.send(command)?;
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

    fn send(&mut self, command: Command) -> Result<(), Error> {
        self.stream
            .write_all(&self.outgoing)
            .map_err(|source| failure(command, self.limit, source))
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
    fn exchange(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        self.begin()?;
        let ids: Vec<u16> = accesses
            .iter()
            .map(|access| self.push_access(access))
            .collect();
        self.send(Command::RegionWrite)?;
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

impl Device for Client {
    fn region_info(&self, region: u32) -> Option<RegionInfo> {
        self.regions.get(region as usize).copied()
    }

    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let mut offset = offset;
        for data in data.chunks_mut(self.chunk_bytes) {
            let next = offset + data.len() as u64;
            self.exchange(&mut [Access::Read {
                region,
                offset,
                data,
            }])?;
            offset = next;
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut offset = offset;
        for data in data.chunks(self.chunk_bytes) {
            self.exchange(&mut [Access::Write {
                region,
                offset,
                data,
            }])?;
            offset += data.len() as u64;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.call(Command::DeviceReset, &[]).map(drop)
    }

    fn batch(&mut self, accesses: &mut [Access<'_>]) -> Result<(), Error> {
        let bytes = |access: &Access<'_>| match access {
            Access::Read { data, .. } => data.len(),
            Access::Write { data, .. } => data.len(),
        };
        let limit = self.chunk_bytes.min(BATCH_ACCESS_BYTES);
        // What is sent at once must fit the socket's buffer: a peer that waits for us to read its
        // replies does not read our requests.
        for group in accesses.chunk_by_mut(|a, b| bytes(a).max(bytes(b)) <= limit) {
            for group in group.chunks_mut(BATCH_ACCESSES) {
                match group {
                    [
                        Access::Read {
                            region,
                            offset,
                            data,
                        },
                    ] => self.region_read(*region, *offset, data)?,
                    [
                        Access::Write {
                            region,
                            offset,
                            data,
                        },
                    ] => self.region_write(*region, *offset, data)?,
                    group => self.exchange(group)?,
                }
            }
        }
        Ok(())
    }
}

/// The requests used here, as the specification numbers them.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Command {
    Version = 1,
    DeviceGetInfo = 4,
    DeviceGetRegionInfo = 5,
    RegionRead = 9,
    RegionWrite = 10,
    DeviceReset = 13,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Command::Version => "version negotiation",
            Command::DeviceGetInfo => "device information",
            Command::DeviceGetRegionInfo => "region information",
            Command::RegionRead => "read",
            Command::RegionWrite => "write",
            Command::DeviceReset => "reset",
        }
    }
}

fn failure(command: Command, limit: Duration, source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout {
            request: command.name(),
            limit,
        },
        _ => Error::Io {
            request: command.name(),
            source,
        },
    }
}

fn access_header(region: u32, offset: u64, count: usize) -> [u8; ACCESS_BYTES] {
    let mut body = [0; ACCESS_BYTES];
    body[..8].copy_from_slice(&offset.to_le_bytes());
    body[8..12].copy_from_slice(&region.to_le_bytes());
    body[12..].copy_from_slice(&(count as u32).to_le_bytes());
    body
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Error> {
    bytes
        .get(at..at + N)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::Protocol("a reply that ends too early".into()))
}

const VERSION_MAJOR: u16 = 0;
const VERSION_MINOR: u16 = 1;
const HEADER_BYTES: usize = 16;
/// Offset, region and count in front of the data of a region access.
const ACCESS_BYTES: usize = 16;
/// `struct vfio_region_info` without capabilities.
const REGION_INFO_BYTES: u32 = 32;
const FLAG_TYPE: u32 = 0xf;
const FLAG_REPLY: u32 = 1;
const FLAG_ERROR: u32 = 1 << 5;
const DEVICE_FLAG_RESET: u32 = 1 << 0;
const DEVICE_FLAG_PCI: u32 = 1 << 1;
/// The specification's default for `max_data_xfer_size`.
const DEFAULT_TRANSFER_BYTES: usize = 1 << 20;
/// Longest access that is sent together with others.
const BATCH_ACCESS_BYTES: usize = 8 << 10;
/// Most accesses sent together.
const BATCH_ACCESSES: usize = 8;
/// Room for the fixed part of a reply around its data.
const SLACK_BYTES: usize = 4096;
/// More regions than any device has; a bound on what a peer can make us ask.
const REGIONS_LIMIT: u32 = 256;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Reads one request: id, command, body.
    fn request(stream: &mut UnixStream) -> (u16, u16, Vec<u8>) {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).expect("header");
        let size = u32::from_le_bytes(field(&header, 4).expect("size")) as usize;
        let mut body = vec![0; size - HEADER_BYTES];
        stream.read_exact(&mut body).expect("body");
        (
            u16::from_le_bytes(field(&header, 0).expect("id")),
            u16::from_le_bytes(field(&header, 2).expect("command")),
            body,
        )
    }

    fn reply(stream: &mut UnixStream, id: u16, command: u16, flags: u32, body: &[u8]) {
        let mut message = [id.to_le_bytes(), command.to_le_bytes()].concat();
        message.extend(words(&[(HEADER_BYTES + body.len()) as u32, flags, 0]));
        message.extend_from_slice(body);
        stream.write_all(&message).expect("reply");
    }

    /// A peer with one region that answers the opening and then does what the test says.
    fn peer(
        then: impl FnOnce(&mut UnixStream) + Send + 'static,
    ) -> (tempfile::TempDir, Client, JoinHandle<()>) {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("card");
        let listener = UnixListener::bind(&path).expect("socket");
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("client");
            for body in [
                [
                    &[0, 0, 1, 0][..],
                    b"{\"capabilities\":{\"max_data_xfer_size\":8}}\0",
                ]
                .concat(),
                words(&[16, DEVICE_FLAG_PCI | DEVICE_FLAG_RESET, 1, 0]),
                words(&[REGION_INFO_BYTES, 3, 0, 0, 0x1000, 0, 0, 0]),
            ] {
                let (id, command, _) = request(&mut stream);
                reply(&mut stream, id, command, FLAG_REPLY, &body);
            }
            then(&mut stream);
        });
        let client = Client::connect(&path, Duration::from_millis(200)).expect("connected");
        (dir, client, thread)
    }

    #[test]
    fn regions_and_reset_capability_are_learned() {
        let (_dir, client, thread) = peer(|_| {});
        assert!(client.is_resettable());
        assert_eq!(
            client.region_info(0),
            Some(RegionInfo {
                size: 0x1000,
                flags: 3
            })
        );
        assert_eq!(client.region_info(1), None);
        thread.join().expect("peer");
    }

    #[test]
    fn long_accesses_are_cut_to_the_transfer_size() {
        let (_dir, mut client, thread) = peer(|stream| {
            for (offset, count) in [(4u64, 8u32), (12, 2)] {
                let (id, command, body) = request(stream);
                assert_eq!(body, access_header(0, offset, count as usize));
                let data = vec![count as u8; count as usize];
                reply(
                    stream,
                    id,
                    command,
                    FLAG_REPLY,
                    &[&body[..], &data].concat(),
                );
            }
        });
        let mut data = [0; 10];
        client.region_read(0, 4, &mut data).expect("read");
        assert_eq!(data, [8, 8, 8, 8, 8, 8, 8, 8, 2, 2]);
        thread.join().expect("peer");
    }

    #[test]
    fn error_replies_are_errors_and_the_connection_lives_on() {
        let (_dir, mut client, thread) = peer(|stream| {
            let (id, command, _) = request(stream);
            reply(stream, id, command, FLAG_REPLY | FLAG_ERROR, &[]);
            let (id, command, _) = request(stream);
            reply(stream, id, command, FLAG_REPLY, &[]);
        });
        let error = client
            .region_read(0, 0x40, &mut [0; 4])
            .expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the card refused read of region 0 at 0x40 (errno 0)"
        );
        client.reset().expect("reset");
        thread.join().expect("peer");
    }

    #[test]
    fn silence_times_out_and_gives_the_connection_up() {
        let (_dir, mut client, thread) = peer(|stream| {
            request(stream);
            // Ends when the client hangs up.
            let _ = stream.read(&mut [0; 1]);
        });
        assert!(matches!(
            client.reset(),
            Err(Error::Timeout {
                request: "reset",
                ..
            })
        ));
        assert!(matches!(client.reset(), Err(Error::GivenUp)));
        drop(client);
        thread.join().expect("peer");
    }

    #[test]
    fn stray_replies_give_the_connection_up() {
        let (_dir, mut client, thread) = peer(|stream| {
            let (id, command, _) = request(stream);
            reply(stream, id.wrapping_add(1), command, FLAG_REPLY, &[]);
        });
        assert!(matches!(client.reset(), Err(Error::Protocol(_))));
        assert!(matches!(client.reset(), Err(Error::GivenUp)));
        thread.join().expect("peer");
    }
}
