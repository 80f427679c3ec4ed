//! How the partner and the server speak TLS: neither goes on from an earlier session.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Which key exchange they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    X25519,
    /// The hybrid with ML-KEM-768, which OpenSSL 3.0 does not speak.
    Hybrid,
}

impl Exchange {
    pub fn name(self) -> &'static str {
        match self {
            Exchange::X25519 => "X25519",
            Exchange::Hybrid => "X25519MLKEM768",
        }
    }

    pub fn named(name: &str) -> Self {
        match name == Exchange::Hybrid.name() {
            true => Exchange::Hybrid,
            false => Exchange::X25519,
        }
    }

    fn provider(self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = match self {
            Exchange::X25519 => vec![aws_lc_rs::kx_group::X25519],
            Exchange::Hybrid => vec![aws_lc_rs::kx_group::X25519MLKEM768],
        };
        Arc::new(provider)
    }
}

/// The partner.
pub fn partner(folder: &Path, exchange: Exchange) -> ClientConfig {
    let (chain, key) = identity(folder, "partner");
    let mut config = ClientConfig::builder_with_provider(exchange.provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots(folder))
        .with_client_auth_cert(chain, key)
        .expect("a key");
    config.resumption = Resumption::disabled();
    config
}

/// The server, which asks for a certificate.
pub fn server(folder: &Path, exchange: Exchange) -> ServerConfig {
    let roots = Arc::new(roots(folder));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, exchange.provider());
    let (chain, key) = identity(folder, "server");
    let mut config = ServerConfig::builder_with_provider(exchange.provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a key");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// Both authorities: without a proxy, partner and server meet each other.
fn roots(folder: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for name in ["public", "internal"] {
        roots.add(certificate(folder, name)).expect("an anchor");
    }
    roots
}

fn identity(folder: &Path, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")));
    (vec![certificate(folder, name)], key.expect("a key"))
}

fn certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    let path = folder.join(format!("{name}.pem"));
    CertificateDer::from_pem_file(path).expect("a certificate")
}
