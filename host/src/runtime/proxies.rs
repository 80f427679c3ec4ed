//! The TLS proxies of a configuration beside a running card: which connection goes to which of them.
//!
//! Comes in: connections that begin and end, their packets. Goes out: packets, as from the peers. A connection of a
//! proxy that cannot serve, for want of a certificate, is reset: it was to be inspected, so it must not pass.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use crate::config::ast::Config;
use crate::config::ast::tls_proxy::TlsProxy;
use crate::config::source::Name;
use crate::flow::Leg;
use crate::policy::Model;
use crate::policy::model::{ClassId, InterfaceId};
use crate::punt::Event;
use crate::store::{self, Store};
use crate::tcp::adapter::{self, Setup};
use crate::tcp::{Adapter, Assigned};
use crate::tls::keys::Identity;
use crate::tls::limits::{self, Application, Limits, PROFILES};
use crate::tls::proxy::{LocalIssuer, Parts};
use crate::tls::session::Place;
use crate::tls::{PassThrough, Proxy, Trust};
use crate::wire::Tuple;

/// Why the proxies cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keys and certificates cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The configured limit is refused.
    #[error(transparent)]
    Limit(#[from] limits::Error),
    /// No network for them.
    #[error(transparent)]
    Adapter(#[from] adapter::Error),
}

/// The proxies that classes name.
pub struct Proxies {
    ready: BTreeMap<String, Arc<Proxy>>,
    limits: Limits,
}

impl Proxies {
    /// Makes them, `None` if no class names one. What keeps one from serving is told by `complain`.
    pub fn new(
        config: &Config,
        model: &Model,
        store: impl FnOnce() -> Result<Store, store::Error>,
        mut complain: impl FnMut(&str),
    ) -> Result<Option<Self>, Error> {
        let named = |proxy: &&TlsProxy| {
            let inspections = model
                .classes
                .iter()
                .filter_map(|class| class.inspect.as_ref());
            let mut names = inspections.filter_map(|inspect| inspect.tls_proxy.as_ref());
            names.any(|name| *name == proxy.name.node)
        };
        let named: Vec<&TlsProxy> = config.tls_proxies.iter().filter(named).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let store = store()?;
        let trust = Arc::new(Trust::new(store.trustpoints()?.iter()));
        let mut ready = BTreeMap::new();
        for configured in named {
            let name = configured.name.node.clone();
            match make(configured, &store, &trust) {
                Ok(proxy) => drop(ready.insert(name, Arc::new(proxy))),
                Err(reason) => complain(&format!(
                    "tls-proxy {name} cannot serve, its connections are reset: {reason}"
                )),
            }
        }
        let mut limits = Limits::new(PROFILE);
        limits.apply_licence(LICENSED_SESSIONS)?;
        if let Some(wanted) = &config.tls_proxy_limit {
            limits.configure(wanted.node)?;
        }
        Ok(Some(Self { ready, limits }))
    }

    /// Makes their network.
    pub fn start(
        self,
        clock: Clock,
        model: Arc<Model>,
        log: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Link, Error> {
        let conns = Conns::default();
        let known = conns.clone();
        let ready = self.ready;
        let assign = move |dialler: SocketAddr, dialled: SocketAddr| {
            let conn = known.lock().get(&(dialler, dialled)).cloned()?;
            Some(Assigned {
                proxy: ready.get(&conn.proxy)?.clone(),
                application: Application::PresenceFederation,
                dialler: conn.dialler,
                dialled: conn.dialled,
                inspect: Box::new(PassThrough),
            })
        };
        let adapter = Adapter::start(Setup {
            clock,
            limits: self.limits,
            assign: Box::new(assign),
            log: Box::new(log),
        })?;
        Ok(Link {
            adapter,
            conns,
            model,
        })
    }
}

/// One proxy with what its trustpoints have; why not, in words.
fn make(configured: &TlsProxy, store: &Store, trust: &Arc<Trust>) -> Result<Proxy, String> {
    let words = |error: store::Error| error.to_string();
    let identity = |name: &Option<Name>| -> Result<Option<Identity>, String> {
        let Some(name) = name else {
            return Ok(None);
        };
        let trustpoint = store.trustpoint(&name.node).map_err(words)?;
        let key = store.key_of(&trustpoint).map_err(words)?;
        let identity = Identity::new(&trustpoint, &key).map_err(|error| error.to_string())?;
        Ok(Some(identity))
    };
    let parts = Parts {
        server: identity(&configured.server_trust_point)?,
        client: identity(&configured.client_trust_point)?,
        local: local_issuer(configured, store)?,
    };
    Proxy::new(configured, parts, trust.clone()).map_err(|error| error.to_string())
}

/// `client ldc`: who signs certificates made on the fly.
fn local_issuer(configured: &TlsProxy, store: &Store) -> Result<Option<LocalIssuer>, String> {
    let Some(issuer) = &configured.client_ldc_issuer else {
        return Ok(None);
    };
    let words = |error: store::Error| error.to_string();
    let trustpoint = store.trustpoint(&issuer.node).map_err(words)?;
    let key = store.key_of(&trustpoint).map_err(words)?;
    let label = configured.client_ldc_key_pair.as_ref();
    let own_key = match label {
        None => store.key_of(&trustpoint).map_err(words)?,
        Some(label) => {
            let found = store.key(&label.node).map_err(words)?;
            found.ok_or_else(|| store::Error::NoKey(label.node.clone()).to_string())?
        }
    };
    let certificate = trustpoint.identity.clone();
    Ok(Some(LocalIssuer {
        certificate: certificate.ok_or_else(|| trustpoint.not_enrolled().to_string())?,
        trustpoint: trustpoint.name,
        key,
        own_key,
    }))
}

/// A connection that a proxy ends.
#[derive(Clone)]
struct ProxiedConn {
    proxy: String,
    dialler: Place,
    dialled: Place,
}

/// Connections by the addresses that the dialler sees, shared with the proxies' thread.
#[derive(Clone, Default)]
struct Conns(Arc<Mutex<HashMap<(SocketAddr, SocketAddr), ProxiedConn>>>);

impl Conns {
    fn lock(&self) -> MutexGuard<'_, HashMap<(SocketAddr, SocketAddr), ProxiedConn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the proxies and back.
pub struct Link {
    adapter: Adapter,
    conns: Conns,
    model: Arc<Model>,
}

impl Link {
    /// A connection of a class begins; what its initiator sends comes in as `forward.seen`.
    pub fn begin(&mut self, class: ClassId, forward: &Leg) {
        let inspect = self.model.class(class).inspect.as_ref();
        let Some(proxy) = inspect.and_then(|inspect| inspect.tls_proxy.clone()) else {
            return;
        };
        let place = |interface: u8, address, port| Place {
            interface: self.model.interface(InterfaceId(interface)).name.clone(),
            address: SocketAddr::new(std::net::IpAddr::V4(address), port),
        };
        let Leg {
            ingress,
            egress,
            sent,
            ..
        } = *forward;
        let conn = ProxiedConn {
            proxy,
            dialler: place(ingress, sent.src, sent.sport),
            dialled: place(egress, sent.dst, sent.dport),
        };
        self.conns.lock().insert(ends(&forward.seen), conn);
    }

    /// A connection is over.
    pub fn end(&mut self, seen: &Tuple) {
        self.conns.lock().remove(&ends(seen));
    }

    /// Hands a packet over.
    pub fn send(&mut self, datagram: &[u8]) -> Result<(), adapter::Error> {
        self.adapter.send(datagram)
    }

    /// Takes a packet, if there is one.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, adapter::Error> {
        self.adapter.receive(buffer)
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.adapter.as_raw_fd()
    }
}

fn ends(seen: &Tuple) -> (SocketAddr, SocketAddr) {
    let end = |address, port| SocketAddr::new(std::net::IpAddr::V4(address), port);
    (end(seen.src, seen.sport), end(seen.dst, seen.dport))
}

/// Whether a packet was not taken only because there is no room for it now.
pub fn is_full(error: &adapter::Error) -> bool {
    matches!(error, adapter::Error::Packet(source) if source.kind() == io::ErrorKind::WouldBlock)
}

/// The model that limits are those of: the largest, with its largest licence.
const PROFILE: &limits::Profile = &PROFILES[7];
/// See [`PROFILE`].
const LICENSED_SESSIONS: u32 = 10_000;
