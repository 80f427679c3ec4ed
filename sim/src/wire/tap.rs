//! A TAP device as the far end of a port: what the kernel sends on it enters the card.
//!
//! Attached to if it exists, else made if we may, and gone with this process then. Frames are passed
//! as they are, without padding or FCS. A frame the kernel does not take is lost, as on a wire.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `TUNSETIFF` of `linux/if_tun.h`.
const SET_INTERFACE: Opcode = opcode::write::<i32>(b'T', 202);
/// `IFF_TAP`: whole Ethernet frames.
const TAP: u16 = 0x0002;
/// `IFF_NO_PI`: and nothing in front of them.
const NO_PACKET_INFORMATION: u16 = 0x1000;
/// Bytes of an interface's name with the zero behind it.
const NAME_BYTES: usize = 16;

/// `struct ifreq` of `net/if.h`, as `TUNSETIFF` reads and writes it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    flags: u16,
    unused: [u8; 22],
}

/// An attached TAP device.
#[derive(Debug)]
pub struct Tap {
    descriptor: OwnedFd,
}

impl Tap {
    /// Attaches to a device by name.
    ///
    /// # Errors
    /// If the name cannot be one, the device cannot be made, or somebody else is attached.
    pub fn attach(name: &str) -> io::Result<Self> {
        let mut request = InterfaceRequest {
            name: [0; NAME_BYTES],
            flags: TAP | NO_PACKET_INFORMATION,
            unused: [0; 22],
        };
        let is_name = !name.is_empty() && name.len() < NAME_BYTES && !name.contains(['/', '\0']);
        if !is_name {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an interface's name has 1 to 15 bytes and no slash",
            ));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = open("/dev/net/tun", flags, Mode::empty())?;
        // SAFETY: this is the structure the kernel reads and writes for this request.
        unsafe { ioctl(&descriptor, Updater::<SET_INTERFACE, _>::new(&mut request))? };
        Ok(Self { descriptor })
    }

    /// The next frame the kernel has sent; `None` when there is none now.
    ///
    /// # Errors
    /// If the device is gone.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match rustix::io::read(&self.descriptor, &mut *buffer) {
            Ok(count) => Ok(Some(&buffer[..count])),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands a frame to the kernel, or loses it.
    ///
    /// # Errors
    /// If the device is gone.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        match rustix::io::write(&self.descriptor, frame) {
            Err(error @ (Errno::BADFD | Errno::BADF)) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40);
