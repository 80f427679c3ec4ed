//! `postern flash`: what it refuses, and what it has openFPGALoader do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use layout::LAYOUT_HASH;
use tempfile::TempDir;

/// SHA-256 of `abc`, as FIPS 180 gives it.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A bitstream with a manifest, and a folder to be PATH.
struct Build {
    folder: TempDir,
    layout: String,
    sha256: &'static str,
    board: &'static str,
}

impl Build {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("postern.bit"), "abc").expect("room");
        std::fs::create_dir(folder.path().join("bin")).expect("room");
        Self {
            folder,
            layout: format!("{LAYOUT_HASH:016x}"),
            sha256: ABC,
            board: "versa-ecp5",
        }
    }

    fn write_manifest(&self) {
        let Self {
            layout,
            sha256,
            board,
            ..
        } = self;
        let text = format!(
            "git_commit = \"a5c5737\"\nseed = 3\ndevice = \"LFE5UM5G-45F\"\nboard = \"{board}\"\n\
             layout_hash = \"{layout}\"\nsha256 = \"{sha256}\"\n\
             clocks = [{{ name = \"system\", constraint_mhz = 125, fmax_mhz = 130.2 }}]\n\
             [tools]\nyosys = \"1\"\nnextpnr = \"2\"\necppack = \"3\"\n[resources]\nlut4 = 1\n\
             [tables]\nacl = 1\ndestination = 1\nflow = 1\nadjacency = 1\ninterface = 1\n"
        );
        std::fs::write(self.manifest(), text).expect("room");
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("manifest.toml")
    }

    /// An openFPGALoader that writes down how it was called, and says something.
    fn install(&self, exit: i32) {
        let program = self.bin().join("openFPGALoader");
        let calls = self.calls();
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> '{}'\necho 'Load SRAM: done'\nexit {exit}\n",
            calls.display()
        );
        std::fs::write(&program, text).expect("room");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("ours");
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn calls(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    fn bitstream(&self) -> PathBuf {
        self.folder.path().join("postern.bit")
    }

    fn flash(&self) -> (Option<i32>, String, String) {
        let run = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["flash", "--board", "versa-ecp5"])
            .arg(self.bitstream())
            .env("PATH", self.bin())
            .output()
            .expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (run.status.code(), text(run.stdout), text(run.stderr))
    }

    /// Refused with all of these in one line, and nothing was programmed.
    fn is_refused(&self, words: &[&str]) {
        self.install(0);
        let (code, out, err) = self.flash();
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        for word in words {
            assert!(err.contains(word), "{word}: {err}");
        }
        assert!(!Path::new(&self.calls()).exists());
    }
}

#[test]
fn a_bitstream_that_fits_is_programmed_and_the_loader_is_heard() {
    let build = Build::new();
    build.write_manifest();
    build.install(0);
    let (code, out, err) = build.flash();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, "Load SRAM: done\n");
    assert!(err.contains("commit a5c5737"), "{err}");
    let calls = std::fs::read_to_string(build.calls()).expect("it was called");
    let wanted = format!("-b ecp5_evn {}\n", build.bitstream().display());
    assert_eq!(calls, wanted);
}

#[test]
fn a_loader_that_fails_or_is_missing_is_told_of() {
    let build = Build::new();
    build.write_manifest();
    let (code, _, err) = build.flash();
    assert_eq!(code, Some(2));
    assert!(err.contains("apt install openfpgaloader"), "{err}");
    build.install(1);
    let (code, _, err) = build.flash();
    assert_eq!(code, Some(2));
    assert!(err.contains("openFPGALoader failed"), "{err}");
}

#[test]
fn another_bitstream_layout_or_board_is_refused_with_both_sides() {
    let mut build = Build::new();
    build.sha256 = "00000000000000000000000000000000000000000000000000000000000000ff";
    build.write_manifest();
    build.is_refused(&[
        "manifest.toml describes another bitstream",
        build.sha256,
        ABC,
    ]);
    build.sha256 = ABC;
    build.layout = format!("{:016x}", LAYOUT_HASH ^ 1);
    build.write_manifest();
    let (ours, theirs) = (
        format!("{LAYOUT_HASH:#018x}"),
        format!("{:#018x}", LAYOUT_HASH ^ 1),
    );
    build.is_refused(&[&ours, &theirs, "build both from the same source"]);
    build.layout = format!("{LAYOUT_HASH:016x}");
    build.board = "arty";
    build.write_manifest();
    build.is_refused(&["for the board arty, not for versa-ecp5"]);
}

#[test]
fn a_manifest_or_bitstream_that_is_missing_or_broken_is_named() {
    let build = Build::new();
    build.is_refused(&["cannot read", "manifest.toml"]);
    std::fs::write(build.manifest(), "seed = \"x\"\n").expect("room");
    build.is_refused(&["manifest.toml is no manifest of a bitstream", "line 1"]);
    build.write_manifest();
    std::fs::remove_file(build.bitstream()).expect("it is there");
    build.is_refused(&["cannot read", "postern.bit"]);
}
