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

use super::{Device, Error, RegionInfo};

/// A connected vfio-user device.
pub struct Client {
    stream: UnixStream,
    limit: Duration,
    next_id: u16,
    given_up: bool,
    chunk_bytes: usize,
    resettable: bool,
    regions: Vec<RegionInfo>,
    /// The message being sent, kept to spare an allocation per access.
    message: Vec<u8>,
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
            message: Vec::new(),
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
        let reply = self.call(Command::Version, &body, None)?;
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
        let info = self.call(Command::DeviceGetInfo, &words(&[16, 0, 0, 0]), None)?;
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
                None,
            )?;
            self.regions.push(RegionInfo {
                flags: u32::from_le_bytes(field(&info, 4)?),
                size: u64::from_le_bytes(field(&info, 16)?),
            });
        }
        Ok(())
    }

    /// Sends one request and returns the body of its reply.
    fn call(
        &mut self,
        command: Command,
        body: &[u8],
        access: Option<(u32, u64)>,
    ) -> Result<Vec<u8>, Error> {
        if self.given_up {
            return Err(Error::GivenUp);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        // Given up unless the exchange ends in step: with a complete reply, be it an error.
        self.given_up = true;
        self.send(id, command, body)?;
        let (error, reply) = self.receive(id, command)?;
        self.given_up = false;
        match error {
            None => Ok(reply),
            Some(errno) => {
                let request = match access {
                    Some((region, offset)) => {
                        format!("{} of region {region} at {offset:#x}", command.name())
                    }
                    None => command.name().to_owned(),
                };
                Err(Error::Refused { request, errno })
            }
        }
    }

    fn send(&mut self, id: u16, command: Command, body: &[u8]) -> Result<(), Error> {
        let size = (HEADER_BYTES + body.len()) as u32;
        self.message.clear();
        self.message.extend_from_slice(&id.to_le_bytes());
        self.message
            .extend_from_slice(&(command as u16).to_le_bytes());
        self.message.extend_from_slice(&words(&[size, 0, 0]));
        self.message.extend_from_slice(body);
        self.stream
            .write_all(&self.message)
            .map_err(|source| failure(command, self.limit, source))
    }

    fn receive(&mut self, id: u16, command: Command) -> Result<(Option<u32>, Vec<u8>), Error> {
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
        Ok(((flags & FLAG_ERROR != 0).then_some(errno), body))
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

    fn region_read(&mut self, region: u32, mut offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let chunk_bytes = self.chunk_bytes;
        for chunk in data.chunks_mut(chunk_bytes) {
            let body = access_header(region, offset, chunk.len());
            let reply = self.call(Command::RegionRead, &body, Some((region, offset)))?;
            let bytes = reply.get(ACCESS_BYTES..).unwrap_or_default();
            if bytes.len() != chunk.len() {
                return Err(Error::Protocol(format!(
                    "a read of {} bytes gave {}",
                    chunk.len(),
                    bytes.len()
                )));
            }
            chunk.copy_from_slice(bytes);
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, mut offset: u64, data: &[u8]) -> Result<(), Error> {
        for chunk in data.chunks(self.chunk_bytes) {
            let mut body = access_header(region, offset, chunk.len()).to_vec();
            body.extend_from_slice(chunk);
            self.call(Command::RegionWrite, &body, Some((region, offset)))?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.call(Command::DeviceReset, &[], None).map(drop)
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
