//! The guest's file system: busybox, the kernel's VFIO, our programs with the libraries that they load, and a first
//! process that takes commands.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::software::Software;
use crate::process::{Failure, Result, at, capture, command, target};

/// In the order in which they need each other.
const MODULES: [&str; 5] = [
    "irqbypass",
    "vfio",
    "vfio_iommu_type1",
    "vfio-pci-core",
    "vfio-pci",
];
/// Where the configuration is in the guest.
pub const CONFIGURATION: &str = "/postern.cfg";

/// The first process. It reads commands from the console, and says after each how it ended.
const INIT: &str = r#"#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
stty -echo
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "guest: no module $module"; done
echo 4 >/proc/sys/vm/nr_hugepages
echo "guest: ready $(uname -r)"
while read -r number line; do
  eval "$line" </dev/null
  echo "guest: ended $number $?"
done
"#;

/// Makes the image that the kernel unpacks into memory.
pub fn make(software: &Software, programs: &Path, configuration: &str) -> Result<PathBuf> {
    let folder = target().join("guest/image");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
    }
    for part in ["bin", "dev", "proc", "sys", "tmp", "modules"] {
        let part = folder.join(part);
        fs::create_dir_all(&part).map_err(at(&part))?;
    }
    let write = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(at(&path))
    };
    let copy = |from: &Path, name: &str| {
        let to = folder.join(name);
        fs::copy(from, &to).map(drop).map_err(at(from))
    };
    copy(&software.busybox(), "bin/busybox")?;
    let shell = folder.join("bin/sh");
    symlink("busybox", &shell).map_err(at(&shell))?;
    for module in MODULES {
        let packed = software.module(module)?;
        let output = command(software.busybox())
            .args(["xz", "-dc"])
            .arg(&packed)
            .output()
            .map_err(at(&packed))?;
        write(&format!("modules/{module}.ko"), &output.stdout)?;
    }
    write("modules/order", MODULES.join("\n").as_bytes())?;
    for (program, from) in [
        ("postern", "postern"),
        ("guest_probe", "examples/guest_probe"),
    ] {
        let from = programs.join(from);
        let to = folder.join("bin").join(program);
        capture(command("strip").arg("-o").arg(to).arg(&from))?;
        for library in libraries(&from)? {
            let to = folder.join(library.strip_prefix("/").unwrap_or(&library));
            let parent = to.parent().unwrap_or(&folder);
            fs::create_dir_all(parent).map_err(at(parent))?;
            fs::copy(&library, &to).map_err(at(&library))?;
        }
    }
    write(
        CONFIGURATION.trim_start_matches('/'),
        configuration.as_bytes(),
    )?;
    write("init", INIT.as_bytes())?;
    let init = folder.join("init");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(at(&init))?;
    pack(software, &folder)
}

/// What a program loads, and what loads it.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let told = capture(command("ldd").arg(program))?;
    let words = told.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}

/// Packs a folder as the kernel wants it.
fn pack(software: &Software, folder: &Path) -> Result<PathBuf> {
    let image = folder.with_extension("cpio");
    let file = fs::File::create(&image).map_err(at(&image))?;
    let status = command("sh")
        .args(["-c", "find . | \"$0\" cpio -o -H newc"])
        .arg(software.busybox())
        .current_dir(folder)
        .stdout(file)
        .stderr(Stdio::null())
        .status()
        .map_err(at(&image))?;
    match status.success() {
        true => Ok(image),
        false => Err(Failure::Check(format!(
            "cannot pack {}: {status}",
            folder.display()
        ))),
    }
}
