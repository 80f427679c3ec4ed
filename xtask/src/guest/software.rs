//! QEMU, a kernel and busybox from Debian, unpacked under `target/guest` and never installed.
//!
//! `vfio-user-pci` came with QEMU 10.1, which no stable Debian has: it is taken from trixie-backports with all it
//! depends on, its own loader and C library included, so that it runs on any Debian. What was fetched stays until the
//! folder is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, Result, at, capture, command, target};

/// The release with the kernel of the guest.
const RELEASE: &str = "trixie";
/// Where its newer QEMU is.
const BACKPORTS: &str = "trixie-backports";
/// Least version of QEMU: the first with `vfio-user-pci`.
const QEMU_VERSION: (u32, u32) = (10, 1);
/// Depends on the current kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// The unpacked programs.
pub struct Software {
    folder: PathBuf,
}

impl Software {
    /// Fetches what is not there yet.
    pub fn ensure() -> Result<Self> {
        let software = Self {
            folder: target().join("guest/software"),
        };
        let complete = software.folder.join("complete");
        if !complete.exists() {
            println!("    fetching QEMU and a kernel from {RELEASE}: about 75 MB, once");
            // A fetch that was interrupted leaves nothing to trust.
            if software.folder.exists() {
                fs::remove_dir_all(&software.folder).map_err(at(&software.folder))?;
            }
            software.fetch()?;
            fs::write(&complete, "").map_err(at(&complete))?;
        }
        let version = software.version()?;
        println!(
            "    QEMU {}.{}, {}",
            version.0,
            version.1,
            software.kernel()?.display()
        );
        match version >= QEMU_VERSION {
            true => Ok(software),
            false => Err(Failure::Check(format!(
                "QEMU {}.{} has no vfio-user-pci; remove {} to fetch it again",
                version.0,
                version.1,
                software.folder.display()
            ))),
        }
    }

    fn fetch(&self) -> Result {
        let apt = Apt::new(&self.folder.join("apt"))?;
        apt.run("apt-get", &["-qq", "update"])?;
        let wanted = [
            "-qq",
            "-y",
            "--download-only",
            "-t",
            BACKPORTS,
            "install",
            "qemu-system-x86",
        ];
        apt.run("apt-get", &wanted)?;
        unpack(&apt.archives(), &self.folder.join("qemu"))?;
        let depends = apt.run("apt-cache", &["depends", KERNEL])?;
        let kernel = depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with("linux-image-"))
            .ok_or_else(|| Failure::Check(format!("{KERNEL} depends on no kernel:\n{depends}")))?;
        let singles = self.folder.join("singles");
        fs::create_dir_all(&singles).map_err(at(&singles))?;
        let wanted = ["-qq", "download", kernel, "busybox-static"];
        capture(apt.command("apt-get", &wanted).current_dir(&singles))?;
        unpack(&singles, &self.folder.join("guest"))?;
        for folder in [&singles, &apt.folder] {
            fs::remove_dir_all(folder).map_err(at(folder))?;
        }
        Ok(())
    }

    /// QEMU with its own loader and libraries.
    pub fn qemu(&self) -> Command {
        let root = self.folder.join("qemu");
        let libraries =
            [root.join(LIBRARIES), root.join("usr/lib")].map(|path| path.display().to_string());
        let mut command = command(root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command
            .env("QEMU_MODULE_DIR", root.join(LIBRARIES).join("qemu"))
            .args(["--library-path", &libraries.join(":")])
            .arg(root.join("usr/bin/qemu-system-x86_64"));
        for data in ["qemu", "seabios"] {
            command.arg("-L").arg(root.join("usr/share").join(data));
        }
        command
    }

    fn version(&self) -> Result<(u32, u32)> {
        let told = capture(self.qemu().arg("--version"))?;
        let mut numbers = told.split_whitespace().filter_map(|word| {
            let (major, rest) = word.split_once('.')?;
            let minor = rest.split('.').next()?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        numbers
            .next()
            .ok_or_else(|| Failure::Check(format!("QEMU does not tell its version: {told}")))
    }

    /// The kernel's image.
    pub fn kernel(&self) -> Result<PathBuf> {
        let boot = self.folder.join("guest/boot");
        find(&boot, |name| name.starts_with("vmlinuz"))
    }

    /// A compressed module of the kernel.
    pub fn module(&self, name: &str) -> Result<PathBuf> {
        let file = format!("{name}.ko.xz");
        find(&self.folder.join("guest/usr/lib/modules"), |found| {
            found == file
        })
    }

    /// The statically linked busybox.
    pub fn busybox(&self) -> PathBuf {
        self.folder.join("guest/usr/bin/busybox")
    }
}

/// An apt that knows nothing of this machine's packages, so that a download is complete.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(at(&part))?;
        }
        let mirror = mirror()?;
        let sources = [RELEASE, BACKPORTS]
            .map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            .concat();
        for (name, text) in [("status", ""), ("sources.list", &sources)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = command(program);
        let at = |name: &str| self.folder.join(name).display().to_string();
        let settings = [
            ("Dir::Etc::sourcelist", at("sources.list")),
            ("Dir::Etc::sourceparts", "-".into()),
            ("Dir::State", at("")),
            ("Dir::State::lists", at("lists")),
            ("Dir::State::status", at("status")),
            ("Dir::Cache", at("cache")),
            ("APT::Install-Recommends", "0".into()),
            // Nothing of the system is touched, so neither its locks nor its unprivileged user are needed.
            ("Debug::NoLocking", "1".into()),
            ("APT::Sandbox::User", String::new()),
        ];
        for (name, value) in settings {
            command.args(["-o", &format!("{name}={value}")]);
        }
        command.args(words);
        command
    }

    fn run(&self, program: &str, words: &[&str]) -> Result<String> {
        capture(&mut self.command(program, words))
    }

    fn archives(&self) -> PathBuf {
        self.folder.join("cache/archives")
    }
}

/// The Debian mirror that this machine uses.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(more) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(more.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let words = lines
        .iter()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(|line| line.split_whitespace());
    // A mirror of Debian itself: neither its security archive nor somebody else's packages.
    let mut mirrors = words
        .filter(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"));
    mirrors.next().map(str::to_owned).ok_or_else(|| {
        Failure::Check(
            "no Debian mirror in /etc/apt: the guest's QEMU and kernel come from one".into(),
        )
    })
}

/// Unpacks every package of a folder.
fn unpack(packages: &Path, into: &Path) -> Result {
    let entries = fs::read_dir(packages).map_err(at(packages))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
    println!("    unpacking {} packages", files.len());
    for file in files {
        capture(command("dpkg").arg("-x").arg(file).arg(into))?;
    }
    Ok(())
}

/// The first file below a folder whose name fits.
fn find(folder: &Path, fits: impl Fn(&str) -> bool + Copy) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)
            .map_err(at(&next))?
            .filter_map(|entry| entry.ok())
        {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if entry.file_name().to_str().is_some_and(fits) {
                return Ok(entry.path());
            }
        }
    }
    Err(Failure::Check(format!(
        "nothing that fits in {}",
        folder.display()
    )))
}
