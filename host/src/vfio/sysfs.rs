//! PCI functions as sysfs shows them: which there are, who drives them, and how one comes to vfio-pci.
//!
//! The root of sysfs is an argument. Linux `Documentation/ABI/testing/sysfs-bus-pci`: `driver_override`, `unbind`, `bind`.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::Error;

/// Address of a PCI function: domain, bus, device, function, as `0000:03:00.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bdf(String);

impl FromStr for Bdf {
    type Err = String;

    /// The domain may be left out when it is 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let full = match text.matches(':').count() {
            1 => format!("0000:{text}"),
            _ => text.to_owned(),
        };
        let shape = |(byte, expected): (u8, u8)| match expected {
            b'h' => byte.is_ascii_hexdigit(),
            literal => byte == literal,
        };
        let pattern = b"hhhh:hh:hh.h";
        // The text becomes part of paths, so nothing else may be in it.
        match full.len() == pattern.len() && full.bytes().zip(*pattern).all(shape) {
            true => Ok(Self(full.to_ascii_lowercase())),
            false => Err(format!(
                "`{text}` is no PCI address; one is written 0000:03:00.0"
            )),
        }
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A PCI function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its address.
    pub bdf: Bdf,
    /// Vendor identifier.
    pub vendor: u16,
    /// Device identifier.
    pub device: u16,
    /// Class code: class, subclass, programming interface.
    pub class: u32,
    /// Has the identifiers of a Postern card.
    pub is_card: bool,
    /// Number of its IOMMU group.
    pub group: Option<String>,
    /// The driver that has it.
    pub driver: Option<String>,
    /// Speed and width of its link, for PCI Express.
    pub link: Option<String>,
}

/// What binding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The function came to vfio-pci.
    Now,
    /// It was there.
    Before,
}

/// A sysfs tree.
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    /// Where Linux mounts it.
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    /// The tree under a folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Folder of a function, which need not exist.
    pub fn folder(&self, bdf: &Bdf) -> PathBuf {
        self.root.join("bus/pci/devices").join(&bdf.0)
    }

    /// Network controllers and Postern cards in order of their addresses.
    pub fn candidates(&self) -> Result<Vec<Function>, Error> {
        let folder = self.root.join("bus/pci/devices");
        let entries = match std::fs::read_dir(&folder) {
            // A machine without PCI has none.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| unreadable(&folder, source))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut found = names
            .filter_map(|name| name.parse().ok())
            .map(|bdf| self.function(&bdf))
            .collect::<Result<Vec<_>, _>>()?;
        found.retain(|function| function.is_card || function.class >> 16 == CLASS_NETWORK);
        found.sort_by(|a, b| a.bdf.cmp(&b.bdf));
        Ok(found)
    }

    /// One function.
    pub fn function(&self, bdf: &Bdf) -> Result<Function, Error> {
        let folder = self.folder(bdf);
        if !folder.is_dir() {
            return Err(Error::NoFunction {
                bdf: bdf.to_string(),
            });
        }
        let number = |name: &str| {
            let path = folder.join(name);
            let text =
                std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
            let digits = text.trim().trim_start_matches("0x");
            u32::from_str_radix(digits, 16).map_err(|error| {
                unreadable(&path, std::io::Error::new(ErrorKind::InvalidData, error))
            })
        };
        let text = |name: &str| {
            Some(
                std::fs::read_to_string(folder.join(name))
                    .ok()?
                    .trim()
                    .to_owned(),
            )
        };
        let (vendor, device) = (number("vendor")? as u16, number("device")? as u16);
        let link = text("current_link_speed").zip(text("current_link_width"));
        Ok(Function {
            bdf: bdf.clone(),
            vendor,
            device,
            class: number("class")?,
            is_card: (vendor, device) == (VENDOR_ID, DEVICE_ID),
            group: target(&folder.join("iommu_group")),
            driver: target(&folder.join("driver")),
            link: link.map(|(speed, width)| format!("{speed} x{width}")),
        })
    }

    /// Checks that a function can be opened through VFIO, and returns its IOMMU group.
    pub fn usable(&self, bdf: &Bdf) -> Result<String, Error> {
        let function = self.function(bdf)?;
        let group = self.own_group(&function)?;
        match function.driver.as_deref() {
            Some(VFIO_PCI) => Ok(group),
            driver => Err(Error::NotBound {
                bdf: bdf.to_string(),
                driver: driver.unwrap_or("no driver").to_owned(),
            }),
        }
    }

    /// Takes a function from its driver and gives it to vfio-pci.
    pub fn bind(&self, bdf: &Bdf) -> Result<Bound, Error> {
        let function = self.function(bdf)?;
        self.own_group(&function)?;
        if function.driver.as_deref() == Some(VFIO_PCI) {
            return Ok(Bound::Before);
        }
        let vfio = self.root.join("bus/pci/drivers").join(VFIO_PCI);
        if !vfio.is_dir() {
            return Err(Error::NoVfio { path: vfio });
        }
        let folder = self.folder(bdf);
        write(bdf, &folder.join("driver_override"), VFIO_PCI)?;
        if function.driver.is_some() {
            write(bdf, &folder.join("driver/unbind"), &bdf.0)?;
        }
        write(bdf, &vfio.join("bind"), &bdf.0)?;
        Ok(Bound::Now)
    }

    /// The IOMMU group of a function, if nothing else in it is in use by the kernel.
    fn own_group(&self, function: &Function) -> Result<String, Error> {
        let bdf = function.bdf.to_string();
        let Some(group) = function.group.clone() else {
            return Err(Error::NoIommu { bdf });
        };
        let devices = self
            .root
            .join("kernel/iommu_groups")
            .join(&group)
            .join("devices");
        let entries = std::fs::read_dir(&devices).map_err(|source| unreadable(&devices, source))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut others: Vec<String> = names
            .filter(|name| *name != bdf)
            .filter_map(|name| {
                let driver = target(&devices.join(&name).join("driver"))?;
                // Bridges may stay with the kernel: their driver does no DMA on behalf of anybody.
                let is_harmless = driver == VFIO_PCI || driver == "pcieport";
                (!is_harmless).then(|| format!("{name} ({driver})"))
            })
            .collect();
        others.sort();
        match others.is_empty() {
            true => Ok(group),
            false => Err(Error::GroupShared { bdf, group, others }),
        }
    }
}

/// The last part of where a symbolic link leads.
fn target(link: &Path) -> Option<String> {
    let name = std::fs::read_link(link).ok()?;
    Some(name.file_name()?.to_str()?.to_owned())
}

fn write(bdf: &Bdf, path: &Path, text: &str) -> Result<(), Error> {
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| refusal(bdf, "change the driver of", path, &error))
}

/// What the kernel's refusal means.
pub(super) fn refusal(bdf: &Bdf, step: &'static str, path: &Path, error: &std::io::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::Permission { path },
        ErrorKind::ResourceBusy => Error::Busy { path },
        ErrorKind::NotFound => Error::NoVfio { path },
        _ => Error::Kernel {
            bdf: bdf.to_string(),
            step,
            reason: error.to_string(),
        },
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Sysfs {
        path: path.to_owned(),
        source,
    }
}

/// Vendor of the card: not one the PCI-SIG gave out; the number QEMU's teaching devices use.
const VENDOR_ID: u16 = 0x1234;
/// Device: "PN".
const DEVICE_ID: u16 = 0x504e;
/// Base class of network controllers.
const CLASS_NETWORK: u32 = 0x02;
const VFIO_PCI: &str = "vfio-pci";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree with vfio-pci, e1000e and pcieport, and no function yet.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().expect("a folder"));
            for driver in ["vfio-pci", "e1000e", "pcieport"] {
                tree.file(&format!("bus/pci/drivers/{driver}/bind"), "");
                tree.file(&format!("bus/pci/drivers/{driver}/unbind"), "");
            }
            fs::create_dir_all(tree.path("bus/pci/devices")).expect("a folder");
            tree
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.path(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.path(path)).expect("a file")
        }

        fn function(&self, bdf: &str, ids: [&str; 3], group: Option<&str>, driver: Option<&str>) {
            let folder = format!("bus/pci/devices/{bdf}");
            for (name, id) in ["vendor", "device", "class"].into_iter().zip(ids) {
                self.file(&format!("{folder}/{name}"), &format!("{id}\n"));
            }
            self.file(&format!("{folder}/driver_override"), "(null)\n");
            if let Some(driver) = driver {
                let to = self.path(&format!("bus/pci/drivers/{driver}"));
                symlink(to, self.path(&format!("{folder}/driver"))).expect("a link");
            }
            if let Some(group) = group {
                let devices = self.path(&format!("kernel/iommu_groups/{group}/devices"));
                fs::create_dir_all(&devices).expect("a folder");
                symlink(self.path(&folder), devices.join(bdf)).expect("a link");
                let to = self.path(&format!("kernel/iommu_groups/{group}"));
                symlink(to, self.path(&format!("{folder}/iommu_group"))).expect("a link");
            }
        }

        fn sysfs(&self) -> Sysfs {
            Sysfs::at(self.0.path())
        }
    }

    const CARD: [&str; 3] = ["0x1234", "0x504e", "0x028000"];
    const ETHERNET: [&str; 3] = ["0x8086", "0x10d3", "0x020000"];
    const DISK: [&str; 3] = ["0x144d", "0xa808", "0x010802"];

    fn bdf(text: &str) -> Bdf {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_are_checked_before_they_become_paths() {
        assert_eq!(bdf("3B:00.1").to_string(), "0000:3b:00.1");
        for text in [
            "",
            "3b:00",
            "../../..:00:00.0",
            "0000:3b:00.0/",
            "0000:3g:00.0",
            "00000:3b:00.0",
        ] {
            assert!(text.parse::<Bdf>().is_err(), "{text}");
        }
    }

    #[test]
    fn network_controllers_and_cards_are_candidates() {
        let tree = Tree::new();
        tree.function("0000:04:00.0", CARD, Some("7"), Some("vfio-pci"));
        tree.function("0000:03:00.0", ETHERNET, Some("6"), Some("e1000e"));
        tree.function("0000:02:00.0", DISK, None, None);
        tree.file(
            "bus/pci/devices/0000:04:00.0/current_link_speed",
            "5.0 GT/s PCIe\n",
        );
        tree.file("bus/pci/devices/0000:04:00.0/current_link_width", "1\n");
        let found = tree.sysfs().candidates().expect("functions");
        let told: Vec<_> = found
            .iter()
            .map(|f| {
                (
                    f.bdf.to_string(),
                    f.is_card,
                    f.group.as_deref(),
                    f.driver.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("0000:03:00.0".to_owned(), false, Some("6"), Some("e1000e")),
                ("0000:04:00.0".to_owned(), true, Some("7"), Some("vfio-pci")),
            ]
        );
        assert_eq!(found[1].link.as_deref(), Some("5.0 GT/s PCIe x1"));
        assert_eq!(
            Sysfs::at(tree.path("absent")).candidates().expect("none"),
            []
        );
    }

    #[test]
    fn binding_overrides_unbinds_and_binds() {
        let tree = Tree::new();
        tree.function("0000:03:00.0", CARD, Some("6"), Some("e1000e"));
        tree.function("0000:00:1c.0", DISK, Some("6"), Some("pcieport"));
        assert_eq!(
            tree.sysfs().bind(&bdf("03:00.0")).expect("bound"),
            Bound::Now
        );
        assert!(
            tree.read("bus/pci/devices/0000:03:00.0/driver_override")
                .starts_with("vfio-pci")
        );
        assert_eq!(tree.read("bus/pci/drivers/e1000e/unbind"), "0000:03:00.0");
        assert_eq!(tree.read("bus/pci/drivers/vfio-pci/bind"), "0000:03:00.0");
    }

    #[test]
    fn a_bound_function_is_left_alone_and_usable() {
        let tree = Tree::new();
        tree.function("0000:03:00.0", CARD, Some("6"), Some("vfio-pci"));
        assert_eq!(
            tree.sysfs().bind(&bdf("03:00.0")).expect("bound"),
            Bound::Before
        );
        assert_eq!(tree.read("bus/pci/drivers/vfio-pci/bind"), "");
        assert_eq!(tree.sysfs().usable(&bdf("03:00.0")).expect("usable"), "6");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let tree = Tree::new();
        tree.function("0000:03:00.0", CARD, None, None);
        tree.function("0000:04:00.0", CARD, Some("7"), None);
        tree.function("0000:05:00.0", CARD, Some("8"), Some("e1000e"));
        tree.function("0000:05:00.1", ETHERNET, Some("8"), Some("e1000e"));
        let bind = |text: &str| {
            tree.sysfs()
                .bind(&bdf(text))
                .expect_err("refused")
                .to_string()
        };
        assert!(bind("09:00.0").contains("postern nic list"));
        assert!(bind("03:00.0").contains("intel_iommu=on"));
        assert!(bind("05:00.0").contains("0000:05:00.1 (e1000e)"));
        let unbound = tree.sysfs().usable(&bdf("04:00.0")).expect_err("refused");
        assert!(unbound.to_string().contains("belongs to no driver"));
        assert!(
            unbound
                .to_string()
                .contains("postern nic bind 0000:04:00.0")
        );
        fs::remove_dir_all(tree.path("bus/pci/drivers/vfio-pci")).expect("removed");
        assert!(bind("04:00.0").contains("modprobe vfio-pci"));
    }

    #[test]
    fn error_numbers_become_advice() {
        let told = |number| {
            let error = std::io::Error::from_raw_os_error(number);
            refusal(&bdf("03:00.0"), "open", Path::new("/dev/vfio/6"), &error).to_string()
        };
        assert!(told(libc::EACCES).contains("run as root"));
        assert!(told(libc::EBUSY).contains("another program uses the card"));
        assert!(
            told(libc::EINVAL).starts_with("cannot open PCI device 0000:03:00.0: Invalid argument")
        );
    }
}
