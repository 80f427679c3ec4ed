//! Where a card is: simulated, behind a socket, behind the kernel's VFIO, or behind a serial line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::child::{Child, Wiring};
use super::kernel::KernelDevice;
use super::sysfs::{Bdf, Sysfs};
use super::uart::UartDevice;
use super::user::Client;
use super::{Device, Error};

/// The address of a card, as `--nic` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A simulated card of our own.
    Simulated,
    /// A card served on a vfio-user socket.
    User(PathBuf),
    /// A PCI function bound to vfio-pci.
    Kernel(Bdf),
    /// A card behind a serial line.
    Uart(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "sim" => Ok(Address::Simulated),
            Some(("vfio-user", socket)) if !socket.is_empty() => Ok(Address::User(socket.into())),
            Some(("vfio", bdf)) => Ok(Address::Kernel(bdf.parse()?)),
            Some(("uart", path)) if !path.is_empty() => Ok(Address::Uart(path.into())),
            _ => Err(
                "expected sim, vfio-user:SOCKET, vfio:BDF as vfio:0000:03:00.0, or uart:DEVICE as uart:/dev/ttyUSB1"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Simulated => f.write_str("sim"),
            Address::User(socket) => write!(f, "vfio-user:{}", socket.display()),
            Address::Kernel(bdf) => write!(f, "vfio:{bdf}"),
            Address::Uart(path) => write!(f, "uart:{}", path.display()),
        }
    }
}

impl Address {
    /// Opens the card. The child, if there is one, must outlive the device.
    pub fn open(&self, wiring: &Wiring) -> Result<(Box<dyn Device>, Option<Child>), Error> {
        match self {
            Address::Simulated => {
                let child = Child::start_wired(wiring)?;
                Ok((Box::new(child.connect()?), Some(child)))
            }
            Address::User(socket) => Ok((Box::new(Client::connect(socket, REQUEST_LIMIT)?), None)),
            Address::Kernel(bdf) => {
                Ok((Box::new(KernelDevice::open(&Sysfs::default(), bdf)?), None))
            }
            Address::Uart(path) => Ok((Box::new(UartDevice::open(path)?), None)),
        }
    }
}

/// A card that runs answers at once; this bounds one that hangs.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for text in [
            "sim",
            "vfio-user:/run/card.sock",
            "vfio:0000:03:00.0",
            "uart:/dev/ttyUSB1",
        ] {
            assert_eq!(
                text.parse::<Address>().expect("an address").to_string(),
                text
            );
        }
        assert_eq!(
            "vfio:03:00.0"
                .parse::<Address>()
                .expect("an address")
                .to_string(),
            "vfio:0000:03:00.0"
        );
        for text in [
            "",
            "simulator",
            "vfio-user:",
            "vfio:",
            "vfio:eth0",
            "user:/x",
            "uart:",
            "/dev/ttyUSB1",
            "0000:03:00.0",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
