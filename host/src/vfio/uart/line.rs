//! A serial line of our own: raw, at the board's rate, and nobody else's while it is open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use layout::uart::BAUD;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, ioctl_tiocexcl,
    ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
};

use crate::vfio::Error;

/// An open line. Holding it means that no other Postern uses it.
pub struct Line {
    file: File,
    path: PathBuf,
}

impl Line {
    /// Opens a line and sets it up.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => Error::Permission { path: path.into() },
            io::ErrorKind::ResourceBusy => Error::Busy { path: path.into() },
            _ => Error::Line {
                path: path.into(),
                source,
            },
        };
        // Without waiting for a carrier, which the board does not have.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(path)
            .map_err(failed)?;
        // Root may open a line that is exclusive, so the lock comes first.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => Error::Busy { path: path.into() },
            other => failed(other.into()),
        })?;
        let mut termios = tcgetattr(&file).map_err(|errno| match errno {
            Errno::NOTTY => Error::NotALine { path: path.into() },
            other => failed(other.into()),
        })?;
        set_up(&mut termios).map_err(|errno| failed(errno.into()))?;
        tcsetattr(&file, OptionalActions::Flush, &termios)
            .and_then(|()| ioctl_tiocexcl(&file))
            .map_err(|errno| failed(errno.into()))?;
        answer_at_once(path);
        Ok(Self {
            file,
            path: path.into(),
        })
    }

    /// Its device file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets what came and was not read.
    pub fn forget(&mut self) -> Result<(), Error> {
        tcflush(&self.file, QueueSelector::IFlush).map_err(|errno| self.failed(errno.into()))
    }

    /// Sends bytes.
    pub fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<(), Error> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        if !self.wait(PollFlags::OUT, deadline)? {
                            return Err(self.failed(io::ErrorKind::TimedOut.into()));
                        }
                    }
                    _ => return Err(self.failed(error)),
                },
            }
        }
        Ok(())
    }

    /// Appends what comes, waiting for it until the deadline; returns how much that was, none at the deadline.
    pub fn receive(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> Result<usize, Error> {
        let mut buffer = [0; 512];
        loop {
            match self.file.read(&mut buffer) {
                // The other end of a pseudo-terminal, or a plug, is gone.
                Ok(0) => return Err(self.failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        if !self.wait(PollFlags::IN, deadline)? {
                            return Ok(0);
                        }
                    }
                    _ => return Err(self.failed(error)),
                },
            }
        }
    }

    /// Waits until the line is ready; `false` at the deadline.
    fn wait(&self, flags: PollFlags, deadline: Instant) -> Result<bool, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let limit = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&self.file, flags)], Some(&limit)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(self.failed(errno.into())),
            }
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Line {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Otherwise it is exclusive for as long as anybody else has it open.
        let _ = ioctl_tiocnxcl(&self.file);
    }
}

/// Raw, 8N1, at the board's rate; no modem lines.
fn set_up(termios: &mut Termios) -> Result<(), Errno> {
    termios.make_raw();
    termios.control_modes.remove(
        ControlModes::CSIZE | ControlModes::CSTOPB | ControlModes::PARENB | ControlModes::CRTSCTS,
    );
    termios
        .control_modes
        .insert(ControlModes::CS8 | ControlModes::CREAD | ControlModes::CLOCAL);
    // Nothing there is not the end: a read says so, and a wait begins.
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    termios.set_speed(BAUD)
}

/// A USB adapter of FTDI keeps what came for 16 ms by default, which every request would wait for. Who may not change
/// that waits.
fn answer_at_once(path: &Path) {
    let Some(name) = path
        .canonicalize()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_owned()))
    else {
        return;
    };
    let latency = Path::new("/sys/bus/usb-serial/devices")
        .join(name)
        .join("latency_timer");
    let _ = std::fs::write(latency, "1");
}

/// The time that so many bytes take on the line.
pub fn time_of(bytes: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 10 * 1_000_000 / u64::from(BAUD))
}
