//! `est-server FOLDER [server-only] [SECONDS]`: the EST server of the crate `est-ca`, behind TLS, on a port of its own.
//!
//! The first line of its output is the port. It writes its authority to `FOLDER/ca.pem`. Whoever shows a certificate of
//! that authority is known by its common name; a password is `secret`. With `server-only`, certificates lack clientAuth;
//! they live for so many seconds, or for a month. A request for the path named in `FOLDER/hold` is announced with a line and never answered.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router, body::Body};
use est_ca::auth::{AuthBackend, Principal};
use est_ca::ca::serial::InMemorySerialStore;
use est_ca::ca::{CertProfile, Issuer};
use est_ca::est::server::EstServer;
use hyper::server::conn::Http;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// One password for everybody.
struct Password;

impl AuthBackend for Password {
    fn verify_bootstrap(&self, user: &str, password: &str) -> Result<Principal, String> {
        match password {
            "secret" => Ok(Principal::new(user)),
            _ => Err("wrong password".into()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("est-server FOLDER [server-only] [SECONDS]")?;
    let folder = PathBuf::from(folder);
    let (mut is_server_only, mut seconds) = (false, 30 * 24 * 3600);
    for word in arguments {
        match word.as_str() {
            "server-only" => is_server_only = true,
            word => seconds = word.parse()?,
        }
    }
    let (authority, key) = authority()?;
    let profile = CertProfile {
        validity: Duration::from_secs(seconds),
        client_auth: !is_server_only,
        server_auth: true,
        ..CertProfile::default()
    };
    let serials = Arc::new(InMemorySerialStore::new());
    let issuer = Issuer::from_pem(&authority.pem(), &key.serialize_pem(), profile, serials)?;
    let root = CertificateDer::from(issuer.ca_cert_der().to_vec());
    std::fs::write(folder.join("ca.pem"), pem(&root))?;
    let acceptor = TlsAcceptor::from(Arc::new(settings(&authority, &key, root)?));
    let hold = move |request: Request<Body>, next: Next<Body>| {
        let held = std::fs::read_to_string(folder.join("hold")).unwrap_or_default();
        async move { answer_or_hold(&held, request, next).await }
    };
    let router = EstServer::new(issuer, Arc::new(Password))
        .router()
        .layer(middleware::from_fn(hold));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let shown = stream.get_ref().1.peer_certificates();
            let who = shown.and_then(|chain| common_name(&chain[0]));
            let router: Router = match who {
                Some(name) => router.layer(Extension(Principal::new(name))),
                None => router,
            };
            let _ = Http::new().serve_connection(stream, router).await;
        });
    }
}

async fn answer_or_hold(held: &str, request: Request<Body>, next: Next<Body>) -> Response {
    if !held.is_empty() && request.uri().path().ends_with(held.trim()) {
        println!("held");
        std::future::pending::<()>().await;
    }
    next.run(request).await
}

fn authority() -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "EST authority");
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?, key))
}

fn settings(
    authority: &rcgen::Certificate,
    authority_key: &KeyPair,
    root: CertificateDer<'static>,
) -> Result<ServerConfig, Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let names = vec!["localhost".into(), "127.0.0.1".into()];
    let own = CertificateParams::new(names)?.signed_by(&key, authority, authority_key)?;
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let clients = WebPkiClientVerifier::builder(Arc::new(roots))
        .allow_unauthenticated()
        .build()?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    Ok(ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![own.der().clone()], key)?)
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), config)
}
