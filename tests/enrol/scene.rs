//! A network with nothing in it but us, a firewall's state, and programs that run there.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::command::Answer;

/// All of it ends when it is dropped.
pub struct Scene {
    /// Holds the network until its input ends.
    holder: Child,
    servers: Vec<Child>,
    folder: TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        for server in self.servers.iter_mut().chain([&mut self.holder]) {
            // One that is gone already is fine.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Scene {
    /// A network, and a configuration.
    pub fn new(configuration: &str) -> Self {
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut line = String::new();
        let output = holder.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n", "making a network needs root");
        let scene = Self {
            holder,
            servers: Vec::new(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        scene.configure(configuration);
        scene
    }

    /// Another configuration.
    pub fn configure(&self, text: &str) {
        self.write("x.cfg", text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("room");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file")
    }

    /// A program in the network.
    pub fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg(program.as_ref())
            .current_dir(self.folder.path());
        command
    }

    /// The process that holds the network.
    pub fn process(&self) -> u32 {
        self.holder.id()
    }

    /// Starts a server; returns what it says.
    pub fn serve(&mut self, command: Command) -> BufReader<ChildStdout> {
        let server = self.start(command, Stdio::piped());
        BufReader::new(server.stdout.take().expect("a pipe"))
    }

    /// Starts a server whose words go to the log.
    pub fn serve_quietly(&mut self, command: Command) {
        let log = self.log();
        self.start(command, Stdio::from(log));
    }

    fn start(&mut self, mut command: Command, output: Stdio) -> &mut Child {
        let spawned = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::from(self.log()))
            .spawn();
        let server = spawned.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; `cargo xtask enrol-test` installs it")
        });
        self.servers.push(server);
        self.servers.last_mut().expect("just started")
    }

    /// Stops servers where they stand, or lets them go on.
    pub fn signal_servers(&self, signal: Signal) {
        for server in &self.servers {
            kill_process(Pid::from_child(server), signal).expect("it runs");
        }
    }

    /// Waits until somebody is connected to a port.
    pub fn await_connection(&self, port: u16) {
        self.await_socket(&format!("ss -Htn state established dport = :{port}"));
    }

    /// Waits until a port is listened on.
    pub fn await_listener(&self, port: u16) {
        self.await_socket(&format!("ss -Htln sport = :{port}"));
    }

    fn await_socket(&self, words: &str) {
        while self.run(words).is_empty() {
            std::thread::yield_now();
        }
    }

    fn log(&self) -> File {
        let mut options = File::options();
        let log = options.create(true).append(true).open(self.path("log"));
        log.expect("room")
    }

    /// Runs a program to its end.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        let (program, rest) = words.split_once(' ').unwrap_or((words, ""));
        let output = self.program(program).args(rest.split_whitespace()).output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn crypto_command(&self, words: &str) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_postern"));
        command.args(["crypto", "--config", "x.cfg", "--state", "state"]);
        command.args(words.split(' '));
        command
    }

    /// `postern crypto …` with a text on its standard input.
    pub fn crypto_reading(&self, input: &str, words: &str) -> Answer {
        self.write("input", input);
        let input = File::open(self.path("input")).expect("the file");
        let output = self.crypto_command(words).stdin(input).output();
        answer(output.expect("postern runs"))
    }

    /// The configuration shell with these commands, which must be carried out.
    #[track_caller]
    pub fn shell(&self, commands: &str) -> String {
        self.write("commands", commands);
        let input = File::open(self.path("commands")).expect("the file");
        let mut command = self.program(env!("CARGO_BIN_EXE_postern"));
        command.args(["shell", "--config", "x.cfg", "--state", "state"]);
        let output = command.stdin(input).output();
        let answer = answer(output.expect("postern runs"));
        assert_eq!(answer.code, Some(0), "{answer:?}\n{}", self.said());
        answer.out
    }

    /// `postern crypto …`.
    pub fn crypto(&self, words: &str) -> Answer {
        self.crypto_reading("", words)
    }

    /// The same, which must do what it is told.
    #[track_caller]
    pub fn done(&self, words: &str) -> String {
        let answer = self.crypto(words);
        assert_eq!(answer.code, Some(0), "{words}: {answer:?}\n{}", self.said());
        answer.out
    }

    /// What servers said of themselves.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `postern crypto …` that is killed without warning once `until` returns.
    pub fn killed(&self, words: &str, until: impl FnOnce()) {
        let mut child = self
            .crypto_command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postern runs");
        until();
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it should have waited"
        );
        let id = Pid::from_child(&child);
        kill_process(id, Signal::KILL).expect("ours");
        child.wait().expect("a child");
    }

    /// `postern show crypto ca …`.
    pub fn show(&self, words: &str) -> String {
        let mut command = self.program(env!("CARGO_BIN_EXE_postern"));
        command.args(["show", "--state", "state", "crypto", "ca"]);
        let output = command.args(words.split(' ')).output();
        answer(output.expect("postern runs")).out
    }

    /// The certificate that a trustpoint has now.
    #[track_caller]
    pub fn identity(&self, trustpoint: &str) -> String {
        self.done(&format!("ca export {trustpoint} identity-certificate"))
    }

    /// What OpenSSL reads in a certificate.
    #[track_caller]
    pub fn text_of(&self, certificate: &str) -> String {
        self.write("read.pem", certificate);
        self.run("openssl x509 -in read.pem -noout -text")
    }

    /// The key that a certificate is of.
    #[track_caller]
    pub fn public_key_of(&self, certificate: &str) -> String {
        self.write("read.pem", certificate);
        self.run("openssl x509 -in read.pem -noout -pubkey")
    }

    /// SHA-256 of a certificate in a file, as OpenSSL sees it.
    #[track_caller]
    pub fn fingerprint(&self, name: &str) -> String {
        let said = self.run(&format!(
            "openssl x509 -in {name} -noout -fingerprint -sha256"
        ));
        said.split_once('=')
            .expect("a fingerprint")
            .1
            .trim()
            .to_owned()
    }

    /// All that is stored, to be compared.
    pub fn stored(&self) -> (String, String) {
        (self.show("trustpoints"), self.show("certificates"))
    }
}

fn answer(output: std::process::Output) -> Answer {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Answer {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A line of a server.
#[track_caller]
pub fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "the server ended");
    line.trim().to_owned()
}

/// Waits until a server answers.
#[track_caller]
pub fn await_answer(scene: &Scene, url: &str) {
    // Curl tries again until somebody listens.
    scene.run(&format!(
        "curl --silent --output /dev/null --insecure --retry 100 --retry-connrefused --retry-delay 1 {url}"
    ));
}

/// The server of the crate `est-ca`, built where nobody has.
pub fn est_server() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = root.join("target/est-server");
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--manifest-path",
                "tests/enrol/est-server/Cargo.toml",
            ])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(root)
            .status();
        assert!(built.expect("cargo runs").success());
        target.join("debug/est-server")
    })
}

/// Writes a program.
pub fn script(scene: &Scene, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = scene.path(name);
    let mut file = File::create(&path).expect("room");
    file.write_all(text.as_bytes()).expect("room");
    let mode = std::fs::Permissions::from_mode(0o755);
    file.set_permissions(mode).expect("ours");
    path
}
