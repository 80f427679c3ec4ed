//! OpenSSL as peer and as authority.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::network::Endpoint;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with certificates.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    /// An authority, `ca`; certificates of it for the proxy (`own`), the peer outside (`peer`) and inside (`cup`); and some
    /// that are wrong.
    pub fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        desk.write(
            "both.ext",
            "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:cup.example.com\n",
        );
        desk.write(
            "peer.ext",
            "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:ent-y.example.com\n",
        );
        desk.write("server.ext", "extendedKeyUsage=serverAuth\n");
        desk.authority("ca", "authority");
        desk.authority("other", "stranger");
        for (name, subject) in [
            ("own", "cup.example.com"),
            ("cup", "cup.example.com"),
            ("peer", "ent-y.example.com"),
            ("stranger", "ent-y.example.com"),
        ] {
            desk.run(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={subject}"));
        }
        desk.sign("own", "own", "ca", "both.ext", 20);
        desk.sign("cup", "cup", "ca", "both.ext", 20);
        desk.sign("peer", "peer", "ca", "peer.ext", 20);
        desk.sign("stranger", "stranger", "other", "peer.ext", 20);
        desk.sign("server-only", "peer", "ca", "server.ext", 20);
        // Its last day was yesterday.
        desk.sign("expired", "peer", "ca", "peer.ext", -1);
        desk
    }

    fn authority(&self, name: &str, subject: &str) {
        self.run(&format!("req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN={subject} -days 30"));
    }

    pub fn sign(&self, name: &str, request: &str, authority: &str, extensions: &str, days: i32) {
        self.run(&format!(
            "x509 -req -in {request}.csr -CA {authority}.pem -CAkey {authority}.key -extfile {extensions} -days {days} -out {name}.pem"
        ));
    }

    #[track_caller]
    pub fn run(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("openssl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {words}: {errors}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("room");
    }

    /// A private key as PKCS#8.
    pub fn pkcs8(&self, name: &str) -> Vec<u8> {
        self.run(&format!(
            "pkcs8 -topk8 -nocrypt -in {name} -outform DER -out {name}.der"
        ));
        std::fs::read(self.path(&format!("{name}.der"))).expect("the file")
    }

    /// `openssl` here, left running.
    pub fn start(&self, words: &str) -> Peer {
        let mut command = Command::new("openssl");
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path());
        Peer::start(command)
    }

    /// `openssl` in a network, left running.
    pub fn openssl(&self, endpoint: &Endpoint, words: &str) -> Peer {
        let mut command = endpoint.command("openssl");
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path());
        Peer::start(command)
    }
}

/// A program that talks by lines.
pub struct Peer {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let output = process.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            input: process.stdin.take(),
            process,
            lines,
            seen: Vec::new(),
        }
    }

    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it listens");
        writeln!(input, "{line}").expect("it listens");
    }

    /// Says a whole file, on a thread of its own, and then no more.
    pub fn say_file(&mut self, path: PathBuf) {
        let mut input = self.input.take().expect("it listens");
        std::thread::spawn(move || {
            let mut file = File::open(path).expect("the file");
            // It may have ended.
            let _ = std::io::copy(&mut file, &mut input);
        });
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line");
        self.seen.push(line.clone());
        line
    }

    /// Whether it prints a line with this text.
    pub fn find(&mut self, text: &str) -> bool {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
            if self.seen.last().is_some_and(|line| line.contains(text)) {
                return true;
            }
        }
        false
    }

    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits until it has written a file.
    pub fn await_file(&self, path: &Path) {
        let begin = Instant::now();
        while !std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            assert!(begin.elapsed() < PATIENCE, "no {}", path.display());
            std::thread::yield_now();
        }
    }

    /// Stops it where it stands, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.process);
        kill_process(process, signal).expect("it runs");
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Whether it ends by itself.
    pub fn ends(&mut self) -> bool {
        let begin = Instant::now();
        while !self.has_ended() && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        self.has_ended()
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Either fails only if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
