//! Proof that a name is ours, for whoever looks: a file (RFC 8555 §8.3), a certificate (RFC 8737), a record (RFC 8555 §8.4).
//!
//! Comes in: what is to be found, and the door behind which whoever looks finds it. It is there until [`Stage::clear`], or
//! until the stage is dropped; records only the former takes away, since a program does it.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::pki;

/// What is to be found.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A file under `/.well-known/acme-challenge/`.
    File {
        /// Its name.
        token: String,
        /// What is in it.
        text: String,
    },
    /// A certificate with an extension.
    Certificate {
        /// The name, or address, that is proved.
        name: String,
        /// What the extension holds.
        digest: Vec<u8>,
    },
    /// A TXT record.
    Record {
        /// The program that sets it.
        hook: String,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// A way in for whoever looks for a proof.
pub trait Door: Send + Sync {
    /// Opens a TCP port of ours.
    fn open(&self, port: u16) -> Opening<'_>;
}

/// A door that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Open, super::Error>> + Send + 'a>>;

/// A door that is open.
pub struct Open {
    /// Where it leads.
    pub stand: Stand,
    /// Closes it when it is dropped.
    pub closes: Box<dyn Send>,
}

/// Where one proof at a time is shown to those who come in.
#[derive(Clone)]
pub struct Stand {
    shown: Arc<Mutex<Option<Arc<Shown>>>>,
    /// For those who look: sessions of a proxy need descriptors too.
    room: Arc<Semaphore>,
}

impl Default for Stand {
    fn default() -> Self {
        Self {
            shown: Arc::default(),
            room: Arc::new(Semaphore::new(MOST_LOOKERS)),
        }
    }
}

/// What they see.
enum Shown {
    File { wanted: String, text: String },
    Certificate(TlsAcceptor),
}

impl Stand {
    fn place(&self, shown: Option<Shown>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown.map(Arc::new);
    }

    /// Shows what there is to somebody who has come in. Whoever is slow or breaks off gets nothing.
    pub async fn show_to(&self, stream: TcpStream) {
        let shown = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (Some(shown), Ok(_place)) = (shown, self.room.try_acquire()) else {
            return;
        };
        let looked = async {
            match &*shown {
                Shown::File { wanted, text } => answer(stream, wanted, text).await,
                Shown::Certificate(acceptor) => acceptor.accept(stream).await?.shutdown().await,
            }
        };
        let _ = tokio::time::timeout(LOOK_TIME, looked).await;
    }
}

/// The machine's own ports, for a command without a firewall.
pub struct MachineDoor;

impl Door for MachineDoor {
    fn open(&self, port: u16) -> Opening<'_> {
        Box::pin(async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
            let listener = listener
                .map_err(|error| fault(format!("port {port} cannot be listened on: {error}")))?;
            let stand = Stand::default();
            let closes = Box::new(Listening(tokio::spawn(listen(listener, stand.clone()))));
            Ok(Open { stand, closes })
        })
    }
}

async fn listen(listener: TcpListener, stand: Stand) {
    loop {
        // A connection that was given up before it was taken is no reason to stop.
        if let Ok((stream, _)) = listener.accept().await {
            stand.show_to(stream).await;
        }
    }
}

struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where proofs of one order are shown.
pub struct Stage<'a> {
    door: &'a dyn Door,
    open: Option<Open>,
    records: Vec<(String, String, String)>,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.stand.place(None);
        }
    }
}

impl<'a> Stage<'a> {
    /// Nothing is shown. Files and certificates will be found behind a door.
    pub fn new(door: &'a dyn Door) -> Self {
        Self {
            door,
            open: None,
            records: Vec::new(),
        }
    }

    /// Shows a proof. A second one takes the place of the first: they are looked at one by one, and an order names one
    /// kind.
    pub async fn show(&mut self, proof: Proof) -> Result<(), super::Error> {
        let (port, shown) = match proof {
            Proof::File { token, text } => {
                let wanted = format!("GET /.well-known/acme-challenge/{token} HTTP/1.1");
                (HTTP_PORT, Shown::File { wanted, text })
            }
            Proof::Certificate { name, digest } => {
                (HTTPS_PORT, Shown::Certificate(acceptor(&name, &digest)?))
            }
            Proof::Record { hook, name, value } => {
                run(&hook, "set", &name, &value).await?;
                self.records.push((hook, name, value));
                return Ok(());
            }
        };
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(self.door.open(port).await?),
        };
        open.stand.place(Some(shown));
        Ok(())
    }

    /// Shows nothing any more.
    pub async fn clear(mut self) -> Result<(), super::Error> {
        for (hook, name, value) in std::mem::take(&mut self.records) {
            run(&hook, "clear", &name, &value).await?;
        }
        Ok(())
    }
}

async fn answer(stream: TcpStream, wanted: &str, text: &str) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut limited = (&mut stream).take(MOST_REQUEST_BYTES);
    limited.read_line(&mut line).await?;
    let is_wanted = line.trim_end() == wanted;
    // The rest is read, or closing would reset the answer away.
    while !["", "\r\n", "\n"].contains(&line.as_str()) {
        line.clear();
        limited.read_line(&mut line).await?;
    }
    let (status, body) = match is_wanted {
        true => ("200 OK", text),
        false => ("404 Not Found", ""),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// RFC 8737 §3: a certificate signed by its own key, for `acme-tls/1` alone.
fn acceptor(name: &str, digest: &[u8]) -> Result<TlsAcceptor, super::Error> {
    let made = || -> Result<ServerConfig, Box<dyn std::error::Error>> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key)?;
        let key = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der())?)?;
        // Not by the library's shorter way, which reads the certificate and stops at the extension it does not know.
        let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        Ok(config)
    };
    let config = made().map_err(|error| fault(format!("no certificate to show: {error}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// `HOOK {set|clear} NAME VALUE`.
async fn run(hook: &str, verb: &str, name: &str, value: &str) -> Result<(), super::Error> {
    let mut command = Command::new(hook);
    command.args([verb, name, value]).kill_on_drop(true);
    let output = tokio::time::timeout(HOOK_TIME, command.output()).await;
    let output = output
        .map_err(|_| fault(format!("{hook} {verb} takes too long")))?
        .map_err(|error| fault(format!("{hook} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(fault(format!(
        "{hook} {verb} failed ({}): {said}",
        output.status
    )))
}

/// What is wrong with an enrolment by ACME.
pub fn fault(reason: String) -> super::Error {
    super::Error::Pki(pki::Error::Enrol {
        protocol: "ACME",
        reason,
    })
}

/// RFC 8555 §8.3.
const HTTP_PORT: u16 = 80;
/// RFC 8737 §3.
const HTTPS_PORT: u16 = 443;
/// How many may look at once.
const MOST_LOOKERS: usize = 64;
/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(10);
/// How long a program may take to set a record.
const HOOK_TIME: Duration = Duration::from_secs(60);
/// Longest request that is read.
const MOST_REQUEST_BYTES: u64 = 8192;
