//! SCEP and CMP against servers that nobody here wrote: Debian's `scepserver` and `openssl cmp`.
//!
//! `cargo nextest run --test protocols`. Needs the Debian packages `scep` and `openssl`; `cargo xtask test` installs them.

#[path = "../support/http.rs"]
mod http;

mod cmp;
mod scep;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::pki::enrol::cms::certificates_of;
use host::pki::enrol::{Next, Protocol};
use host::pki::key::Wanted;
use host::pki::settings::Enrolment;
use host::pki::{Certificate, Date, Error, Key, Settings, chain, request};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time of this machine, which the servers take too.
fn now() -> Date {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Date::from(since_epoch.expect("after 1970"))
}

/// A trustpoint of this name.
fn settings(host: &str) -> Settings {
    Settings {
        name: "tp".into(),
        enrolment: Enrolment::Terminal,
        fqdn: Some(host.into()),
        subject: Some(format!("cn={host},o=Example")),
        ..Settings::default()
    }
}

fn rsa() -> Key {
    Key::generate("key", Wanted::Rsa(2048)).expect("a key")
}

/// Carries questions and answers until the authority wants time, or the end.
fn until_wait(protocol: &mut dyn Protocol, first: Result<Next, Error>) -> Result<Next, Error> {
    let mut next = first?;
    while let Next::Ask(ask) = &next {
        next = protocol.answer(&http::exchange(ask), now())?;
    }
    Ok(next)
}

/// Carries a whole conversation in which nobody waits.
fn whole(protocol: &mut dyn Protocol) -> Result<Next, Error> {
    let first = protocol.start(now());
    until_wait(protocol, first)
}

/// The certificates of a conversation that must succeed.
#[track_caller]
fn issued(next: Result<Next, Error>) -> Vec<Certificate> {
    match next {
        Ok(Next::Issued(chain)) => chain,
        other => panic!("no certificate: {other:?}"),
    }
}

/// A folder where servers and OpenSSL keep their files.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("room");
    }

    fn certificate(&self, name: &str) -> Certificate {
        let text = std::fs::read_to_string(self.path(name)).expect("the file");
        Certificate::from_text(&text).expect("a certificate")
    }

    #[track_caller]
    fn run(&self, program: &str, words: &str) {
        let output = Command::new(program)
            .args(words.split(' '))
            .current_dir(self.folder.path())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words}: {errors}");
    }

    /// An authority made by OpenSSL: `NAME.pem` and `NAME.key`.
    fn authority(&self, name: &str) {
        self.run(
            "openssl",
            &format!("req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30"),
        );
    }

    /// A certificate `NAME.pem` of an authority for what a trustpoint asks, with these purposes.
    fn issue(&self, name: &str, authority: &str, (settings, key): (&Settings, &Key), usage: &str) {
        let csr = request::request(settings, key).expect("a request");
        self.write(&format!("{name}.csr"), csr);
        let host = settings.fqdn.as_deref().expect("a name");
        let extensions = format!("extendedKeyUsage={usage}\nsubjectAltName=DNS:{host}\n");
        self.write(&format!("{name}.ext"), extensions);
        self.run(
            "openssl",
            &format!(
                "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -extfile {name}.ext -days 20 -out {name}.pem"
            ),
        );
    }

    fn spawn<S: AsRef<OsStr>>(
        &self,
        program: &str,
        words: impl IntoIterator<Item = S>,
        output: Stdio,
    ) -> Server {
        let mut process = Command::new(program)
            .args(words)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let output = process.stdout.take().map(BufReader::new);
        Server { process, output }
    }
}

/// A server that ends with the test.
struct Server {
    process: Child,
    /// Kept, since a server whose output nobody takes may end.
    output: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// What the first line says of which this makes something.
    #[track_caller]
    fn line<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> T {
        let output = self.output.as_mut().expect("its output is taken");
        let mut line = String::new();
        while output.read_line(&mut line).expect("text") > 0 {
            if let Some(found) = read(line.trim_end()) {
                return found;
            }
            line.clear();
        }
        panic!("the server ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until somebody listens.
#[track_caller]
fn reach(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "nobody listens on port {port}");
        std::thread::yield_now();
    }
}

#[test]
fn bundles_that_openssl_makes_are_read_and_ordered() {
    let (desk, key) = (Desk::new(), rsa());
    desk.authority("ca");
    let settings = settings("cup.example.com");
    desk.issue("own", "ca", (&settings, &key), "serverAuth,clientAuth");
    let wanted = [desk.certificate("own.pem"), desk.certificate("ca.pem")];
    for form in ["PEM", "DER"] {
        desk.run(
            "openssl",
            &format!(
                "crl2pkcs7 -nocrl -certfile ca.pem -certfile own.pem -outform {form} -out both"
            ),
        );
        let bytes = std::fs::read(desk.path("both")).expect("the file");
        let found = certificates_of(&bytes).expect("certificates");
        let ordered = chain::order(found, key.public_key());
        assert_eq!(ordered.as_deref(), Ok(&wanted[..]), "{form}");
    }
}
