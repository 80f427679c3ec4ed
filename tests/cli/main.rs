//! The commands as a user types them: what they print, what they write, how they end.

#[path = "../support/command.rs"]
mod command;

mod check;
mod crypto;
mod flash;
mod lists;
mod packet_tracer;
mod replay;
mod shell;
mod show;
mod token;

use command::{case, postern};
use replay::Scene;
use tempfile::TempDir;

/// The case everything here is asked about.
fn corrected() -> String {
    case("seed-corrected")
        .join("setup.cfg")
        .display()
        .to_string()
}

/// A configuration in a file of its own.
fn file_with(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.cfg");
    std::fs::write(&path, text).expect("room");
    let name = path.display().to_string();
    (folder, name)
}

#[test]
fn what_cannot_be_read_or_understood_ends_with_2() {
    for arguments in [
        &["check", "/nowhere/x.cfg"][..],
        &["packet-tracer", "--config", "/nowhere/x.cfg", "input"],
        &[
            "replay",
            "--config",
            "/nowhere/x.cfg",
            "--rx",
            "outside=y",
            "--out",
            "/nowhere",
        ],
    ] {
        let answer = postern(arguments);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        let message = "postern: cannot read /nowhere/x.cfg: ";
        assert!(answer.err.starts_with(message), "{}", answer.err);
    }
    for arguments in [&[][..], &["check"], &["check", "--form"], &["replay"]] {
        let answer = postern(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}");
        assert!(answer.err.contains("Usage:"), "{}", answer.err);
    }
}

#[test]
fn help_of_each_command_shows_an_example_that_works() {
    for command in ["check", "packet-tracer", "replay"] {
        let answer = postern([command, "--help"]);
        assert_eq!(answer.code, Some(0));
        let example = answer
            .out
            .lines()
            .skip_while(|line| *line != "Example:")
            .nth(1)
            .expect("an example")
            .trim();
        let mut words: Vec<String> = example.split(' ').map(str::to_owned).collect();
        assert_eq!(words.remove(0), "postern");
        let scene = Scene::new();
        for word in &mut words {
            match word.as_str() {
                "firewall.cfg" => *word = corrected(),
                "outside=a.pcap" => *word = scene.rx("outside", "outside.pcap"),
                "inside=b.pcapng" => *word = scene.rx("inside", "inside.pcap"),
                "result" => *word = scene.path("result"),
                _ => {}
            }
        }
        let answer = postern(&words);
        assert_eq!(answer.code, Some(0), "{example}: {}", answer.err);
    }
}
