//! One `tls-proxy` of the configuration, ready for connections.
//!
//! Comes in: what was configured, the identities of its trustpoints, all that is trusted. Goes out: settings for both
//! legs. Sessions that run keep the settings they began with, so a certificate can be renewed beneath them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::UnixTime;
use rustls::server::ServerSessionMemoryCache;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig};

use super::issuer::LocalIssuer;
use super::keys::Identity;
use super::verify::{Peer, Trust, VerifyClient, VerifyServer};
use crate::config::ast::tls_proxy::TlsProxy;
use crate::pki::{self, Date};

/// Why a `tls-proxy` cannot serve.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Nothing to show.
    #[error(
        "tls-proxy {0}: enter `server trust-point`: without one there is nothing to show to whoever dials"
    )]
    NoServerTrustpoint(String),
    /// A trustpoint that is named is not enrolled.
    #[error("tls-proxy {proxy}: trustpoint {trustpoint} is not enrolled")]
    NotEnrolled {
        /// The proxy.
        proxy: String,
        /// The trustpoint.
        trustpoint: String,
    },
    /// The TLS library refuses.
    #[error("tls-proxy {proxy}: {reason}")]
    Library {
        /// The proxy.
        proxy: String,
        /// What it says.
        reason: String,
    },
    /// Certificates cannot be made on the fly.
    #[error("tls-proxy {proxy}: {source}")]
    Local {
        /// The proxy.
        proxy: String,
        /// Why not.
        source: pki::Error,
    },
}

/// What a `tls-proxy` needs from the store.
pub struct Parts {
    /// Identity of `server trust-point`.
    pub server: Option<Identity>,
    /// Identity of `client trust-point`.
    pub client: Option<Identity>,
    /// `client ldc`.
    pub local: Option<LocalIssuer>,
}

/// A `tls-proxy` that serves.
pub struct Proxy {
    /// Name.
    pub name: String,
    /// The trustpoint that is shown to whoever dials.
    pub server_trustpoint: String,
    /// The trustpoint that is shown when we dial, or that signs what is shown.
    pub client_trustpoint: Option<String>,
    /// Peers that dial must show a certificate.
    pub authenticates_client: bool,
    /// `client cipher-suite`, as written: it is shown and not used, since no suite that it can name is still spoken.
    pub client_suites: Vec<String>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    local: Option<LocalIssuer>,
    trust: Arc<Trust>,
    clock: Arc<Clock>,
    identity: Identity,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.name)
    }
}

impl Proxy {
    /// Makes the settings of both legs.
    pub fn new(configured: &TlsProxy, parts: Parts, trust: Arc<Trust>) -> Result<Self, Error> {
        let name = configured.name.node.clone();
        let server = parts
            .server
            .ok_or_else(|| Error::NoServerTrustpoint(name.clone()))?;
        let library = |error: rustls::Error| Error::Library {
            proxy: name.clone(),
            reason: error.to_string(),
        };
        let clock = Arc::new(Clock::default());
        let authenticates_client = configured.no_authenticate_client.is_none();
        let server_config =
            server_settings(&server, authenticates_client, &trust, &clock).map_err(library)?;
        let client_config =
            client_settings(parts.client.as_ref(), &trust, &clock).map_err(library)?;
        let suites = configured.client_cipher_suites.as_ref();
        let local = parts.local.as_ref().map(|local| local.trustpoint.clone());
        let shown = parts.client.map(|identity| identity.trustpoint);
        Ok(Self {
            name,
            server_trustpoint: server.trustpoint.clone(),
            identity: server,
            client_trustpoint: local.or(shown),
            authenticates_client,
            client_suites: suites.map(|suites| suites.node.clone()).unwrap_or_default(),
            server: Arc::new(server_config),
            client: Arc::new(client_config),
            local: parts.local,
            trust,
            clock,
        })
    }

    /// What is shown to whoever dials.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is trusted.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Tells the TLS library what time it is.
    pub(super) fn set_time(&self, now: Duration) {
        self.clock.0.store(now.as_secs(), Ordering::Relaxed);
    }

    /// The client leg's certificate says who dialled.
    pub(super) fn shows_peer_as_itself(&self) -> bool {
        self.local.is_some()
    }

    /// Settings of the server leg, for the protocol that the peer behind chose.
    pub(super) fn server_settings(&self, protocol: Option<&[u8]>) -> Arc<ServerConfig> {
        match protocol {
            None => Arc::clone(&self.server),
            Some(protocol) => {
                let mut config = ServerConfig::clone(&self.server);
                config.alpn_protocols = vec![protocol.to_vec()];
                Arc::new(config)
            }
        }
    }

    /// Settings of the client leg; `peer` is who dialled.
    pub(super) fn client_settings(
        &self,
        peer: Option<&Peer>,
        now: Date,
    ) -> Result<Arc<ClientConfig>, Error> {
        let (Some(local), Some(peer)) = (&self.local, peer) else {
            return Ok(Arc::clone(&self.client));
        };
        let identity = local.identity(&peer.certificate, now);
        let identity = identity.map_err(|source| Error::Local {
            proxy: self.name.clone(),
            source,
        })?;
        let mut config = ClientConfig::clone(&self.client);
        config.client_auth_cert_resolver = identity.resolver();
        // Another peer must not go on where this one stopped.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

fn server_settings(
    identity: &Identity,
    authenticates_client: bool,
    trust: &Arc<Trust>,
    clock: &Arc<Clock>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_details(provider(), time(clock))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match authenticates_client {
        true => builder.with_client_cert_verifier(Arc::new(VerifyClient(Arc::clone(trust)))),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(identity.resolver());
    // A peer's own order may begin with the weakest suite that both have.
    config.ignore_client_order = true;
    // Sessions are kept here and not in tickets: what is trusted may change while a ticket is away.
    config.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
    Ok(config)
}

fn client_settings(
    identity: Option<&Identity>,
    trust: &Arc<Trust>,
    clock: &Arc<Clock>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_details(provider(), time(clock))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(VerifyServer(Arc::clone(trust))));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn time(clock: &Arc<Clock>) -> Arc<dyn TimeProvider> {
    let clock: Arc<Clock> = Arc::clone(clock);
    clock
}

/// The time as the last caller said it: the library asks for it from within.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(now))
    }
}

/// Sessions that can be taken up again, on each leg of a proxy.
const RESUMABLE_SESSIONS: usize = 1024;
