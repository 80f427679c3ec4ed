use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use zeroize::Zeroizing;

use crate::config;
use crate::pki::revocation::{Ledger, Question};
use crate::pki::settings::Revocation;
use crate::pki::{Certificate, Date, Key, Trustpoint};
use crate::tls::inspect::{Inspect, PassThrough};
use crate::tls::keys::Identity;
use crate::tls::proxy::Parts;
use crate::tls::session::{Effect, End, Place, READ_BYTES};
use crate::tls::{LocalIssuer, Proxy, Session, Side, Trust};

/// Well inside the dates of the certificates made here.
pub const NOW: Duration = Duration::from_secs(1_793_527_200);
/// Both versions of TLS.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The clock of the peers stands still.
#[derive(Debug)]
struct Noon;

impl TimeProvider for Noon {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(NOW))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate with its key.
pub struct Pair {
    pub certificate: Certificate,
    pub pkcs8: Vec<u8>,
}

impl Pair {
    pub fn key(&self, label: &str) -> Key {
        Key::from_pkcs8(label, Zeroizing::new(self.pkcs8.clone())).expect("a key")
    }

    fn for_rustls(&self) -> rustls::pki_types::PrivateKeyDer<'static> {
        self.key("k").for_tls().clone_key()
    }
}

/// One that signs.
pub struct Authority {
    pub certificate: Certificate,
    pub issuer: Issuer<'static, KeyPair>,
    pkcs8: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.extended_key_usages.clear();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Self {
            certificate: Certificate::parse(made.der()).expect("a certificate"),
            pkcs8: key.serialize_der(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = params(name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair {
            certificate: Certificate::parse(made.der()).expect("a certificate"),
            pkcs8: key.serialize_der(),
        }
    }

    pub fn trustpoint(&self, name: &str) -> Trustpoint {
        Trustpoint {
            authority: Some(self.certificate.clone()),
            ..Trustpoint::new(name)
        }
    }

    pub fn pair(&self) -> Pair {
        Pair {
            certificate: self.certificate.clone(),
            pkcs8: self.pkcs8.clone(),
        }
    }
}

/// A certificate that signs itself and nobody else.
pub fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut params = params(name);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    Pair {
        certificate: Certificate::parse(made.der()).expect("a certificate"),
        pkcs8: key.serialize_der(),
    }
}

pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = crate::pki::name::parse(&format!("cn={name}")).expect("a name");
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("ASCII"))];
    params.extended_key_usages = vec![Purpose::ServerAuth, Purpose::ClientAuth];
    params.not_before = Date(0).calendar();
    params.not_after = Date(4_000_000_000).calendar();
    params
}

/// The proxy between two peers, what it trusts, and how the peers are.
pub struct World {
    pub ca: Authority,
    pub own: Pair,
    pub trustpoints: Vec<Trustpoint>,
    pub lines: String,
    pub local: Option<LocalIssuer>,
    /// How peers are checked for revocation, by every trustpoint.
    pub revocation: Revocation,
    pub ledger: Arc<Ledger>,
}

impl World {
    /// All certificates are of one authority, which the proxy trusts.
    pub fn new() -> Self {
        let ca = Authority::new("Authority");
        Self {
            own: ca.issue("cup.example.com", |_| {}),
            trustpoints: vec![ca.trustpoint("federation_ca")],
            ca,
            lines: " server trust-point own\n client trust-point own\n".into(),
            local: None,
            revocation: Revocation::default(),
            ledger: Arc::default(),
        }
    }

    pub fn proxy(&mut self) -> Arc<Proxy> {
        let parsed = config::parse(&format!("tls-proxy ent_y_to_x\n{}", self.lines));
        assert_eq!(parsed.diagnostics, [], "the configuration is right");
        let own = Trustpoint {
            identity: Some(self.own.certificate.clone()),
            ..Trustpoint::new("own")
        };
        let identity = Identity::new(&own, &self.own.key("own")).expect("enrolled");
        let configured = &parsed.config.tls_proxies[0];
        let parts = Parts {
            server: configured
                .server_trust_point
                .as_ref()
                .map(|_| identity.clone()),
            client: configured
                .client_trust_point
                .as_ref()
                .map(|_| identity.clone()),
            local: self.local.take(),
        };
        let settings = |_: &str| Some(self.revocation.clone());
        let trust = Trust::new(self.trustpoints.iter()).checking(self.ledger.clone(), settings);
        let trust = Arc::new(trust);
        Arc::new(Proxy::new(configured, parts, trust).expect("a proxy"))
    }

    /// Settings of a peer that dials; without a certificate if there is none.
    pub fn dialler(
        &self,
        pair: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.ca.certificate.der.clone())
            .expect("an anchor");
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Noon))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        match pair {
            Some(pair) => builder
                .with_client_auth_cert(vec![pair.certificate.der.clone()], pair.for_rustls())
                .expect("a key"),
            None => builder.with_no_client_auth(),
        }
    }

    /// Settings of a peer that is dialled and wants a certificate of the authority.
    pub fn behind(
        &self,
        pair: &Pair,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        self.behind_trusting(pair, versions, &self.ca.certificate)
    }

    /// The same, with another authority that it trusts.
    pub fn behind_trusting(
        &self,
        pair: &Pair,
        versions: &[&'static SupportedProtocolVersion],
        authority: &Certificate,
    ) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).expect("an anchor");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .expect("a verifier");
        ServerConfig::builder_with_details(provider(), Arc::new(Noon))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![pair.certificate.der.clone()], pair.for_rustls())
            .expect("a key")
    }

    /// A bench with good peers of one version.
    pub fn good(&mut self, version: &'static SupportedProtocolVersion) -> Bench {
        let peer = self.ca.issue("ent-y.example.com", |_| {});
        let cup = self.ca.issue("cup.example.com", |_| {});
        let dialler = self.dialler(Some(&peer), &[version]);
        let behind = self.behind(&cup, &[version]);
        Bench::new(self.proxy(), dialler, behind)
    }
}

/// A session between two peers, and the bytes on the way.
pub struct Bench {
    pub session: Session,
    pub now: Duration,
    pub dialler: Peer,
    pub behind: Peer,
    pub is_dialled: bool,
    pub log: Vec<String>,
    /// What was asked about certificates, and not answered.
    pub questions: Vec<(Side, Question)>,
    /// The dialled peer answers at all.
    pub is_reachable: bool,
}

/// A peer and what it has seen.
pub struct Peer {
    pub tls: Connection,
    pub error: Option<rustls::Error>,
    pub text: Vec<u8>,
    /// It takes bytes from its socket.
    pub is_reading: bool,
}

impl Peer {
    fn new(tls: Connection) -> Self {
        Self {
            tls,
            error: None,
            text: Vec::new(),
            is_reading: true,
        }
    }

    pub fn say(&mut self, text: &[u8]) {
        use std::io::Write;
        self.tls.writer().write_all(text).expect("room");
    }

    pub fn close(&mut self) {
        self.tls.send_close_notify();
    }

    fn take(&mut self, mut bytes: &[u8]) {
        use std::io::Read;
        while !bytes.is_empty() && self.error.is_none() {
            self.tls.read_tls(&mut bytes).expect("room");
            if let Err(error) = self.tls.process_new_packets() {
                self.error = Some(error);
            }
            // The end of the text is an error of reading it: `WouldBlock`, or that the connection ended.
            let _ = self.tls.reader().read_to_end(&mut self.text);
        }
    }

    pub fn has_closed(&mut self) -> bool {
        self.tls
            .process_new_packets()
            .is_ok_and(|state| state.peer_has_closed())
    }
}

impl Bench {
    pub fn new(proxy: Arc<Proxy>, dialler: ClientConfig, behind: ServerConfig) -> Self {
        Self::with(
            proxy,
            Arc::new(dialler),
            Arc::new(behind),
            Box::new(PassThrough),
        )
    }

    pub fn with(
        proxy: Arc<Proxy>,
        dialler: Arc<ClientConfig>,
        behind: Arc<ServerConfig>,
        inspect: Box<dyn Inspect>,
    ) -> Self {
        let name = ServerName::try_from("cup.example.com").expect("a name");
        let client = ClientConnection::new(dialler, name).expect("a client");
        let server = ServerConnection::new(behind).expect("a server");
        let place = |interface: &str, host: u8, port| Place {
            interface: interface.into(),
            address: ([192, 0, 2, host], port).into(),
        };
        let (from, to) = (place("outside", 254, 50_437), place("inside", 2, 5_061));
        Self {
            session: Session::new(NOW, proxy, from, to, inspect),
            now: NOW,
            dialler: Peer::new(client.into()),
            behind: Peer::new(server.into()),
            is_dialled: false,
            log: Vec::new(),
            questions: Vec::new(),
            is_reachable: true,
        }
    }

    /// Carries bytes until none move.
    pub fn run(&mut self) {
        while self.carry(Side::Server) | self.carry(Side::Client) | self.effects() {}
    }

    /// Bytes from a peer that it did not make itself.
    pub fn inject(&mut self, side: Side, bytes: &[u8]) {
        for piece in bytes.chunks(READ_BYTES) {
            self.session.handle_bytes(self.now, side, piece);
        }
        self.run();
    }

    fn carry(&mut self, side: Side) -> bool {
        if side == Side::Client && !self.is_dialled {
            return false;
        }
        let peer = match side {
            Side::Server => &mut self.dialler,
            Side::Client => &mut self.behind,
        };
        let mut moved = false;
        if peer.tls.wants_write() && self.session.wants_bytes(side) {
            let mut bytes = Vec::new();
            peer.tls.write_tls(&mut bytes).expect("room");
            moved = !bytes.is_empty();
            for piece in bytes.chunks(READ_BYTES) {
                self.session.handle_bytes(self.now, side, piece);
            }
        }
        if peer.is_reading {
            let mut bytes = Vec::new();
            self.session.take_bytes(side, &mut bytes);
            moved |= !bytes.is_empty();
            peer.take(&bytes);
        }
        moved
    }

    fn effects(&mut self) -> bool {
        let mut moved = false;
        while let Some(effect) = self.session.poll_effect() {
            moved = true;
            match effect {
                Effect::Dial if self.is_reachable => {
                    self.is_dialled = true;
                    self.session.handle_connected(self.now);
                }
                Effect::Dial => self.session.handle_unreachable("connection refused"),
                Effect::Log(event) => self.log.push(event.to_string()),
                Effect::Ask(side, question) => self.questions.push((side, *question)),
            }
        }
        moved
    }

    /// The one line of the log that says what went wrong.
    #[track_caller]
    pub fn complaint(&self) -> &str {
        let found: Vec<&String> = self
            .log
            .iter()
            .filter(|line| line.starts_with("%ASA-4"))
            .collect();
        assert_eq!(found.len(), 1, "{:#?}", self.log);
        found[0]
    }

    /// Nothing of it is left to do.
    #[track_caller]
    pub fn assert_over(&self, server: End, client: End) {
        assert!(self.session.is_over());
        assert_eq!(
            (
                self.session.end(Side::Server),
                self.session.end(Side::Client)
            ),
            (server, client)
        );
        assert_eq!(self.session.next_deadline(), None);
        assert!(!self.session.wants_bytes(Side::Server) && !self.session.wants_bytes(Side::Client));
    }
}
