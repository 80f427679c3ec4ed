//! The way from a running card to its TLS proxies and back: which connection goes to which of them.
//!
//! Comes in: connections that begin and end, their packets. Goes out: packets, as from the peers. A connection of a
//! proxy that cannot serve, for want of a certificate, is reset: it was to be inspected, so it must not pass.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use super::proxies::Proxies;
use crate::config::ast::Config;
use crate::flow::Leg;
use crate::policy::Model;
use crate::policy::model::{ClassId, InterfaceId};
use crate::punt::Event;
use crate::store::{self, Store};
use crate::tcp::adapter::{self, Setup};
use crate::tcp::{Adapter, Assigned};
use crate::tls::PassThrough;
use crate::tls::limits::{self, Application, Limits, PROFILES};
use crate::tls::session::Place;
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

/// Makes the proxies' network, unless no class names one. What keeps a proxy from serving is told by `complain`.
pub fn start(
    config: &Config,
    model: &Arc<Model>,
    store: impl FnOnce() -> Result<Store, store::Error>,
    clock: Clock,
    log: impl FnMut(&Event) + Send + 'static,
    mut complain: impl FnMut(&str),
) -> Result<Option<Link>, Error> {
    let mut inspections = model
        .classes
        .iter()
        .filter_map(|class| class.inspect.as_ref());
    if !inspections.any(|inspect| inspect.tls_proxy.is_some()) {
        return Ok(None);
    }
    let proxies = Proxies::load(config, &store()?)?;
    for fault in &proxies.faults {
        complain(&format!("{fault}; its connections are reset"));
    }
    let mut limits = Limits::new(PROFILE);
    limits.apply_licence(LICENSED_SESSIONS)?;
    if let Some(wanted) = &config.tls_proxy_limit {
        limits.configure(wanted.node)?;
    }
    let conns = Conns::default();
    let known = conns.clone();
    let assign = move |dialler: SocketAddr, dialled: SocketAddr| {
        let conn = known.lock().get(&(dialler, dialled)).cloned()?;
        Some(Assigned {
            proxy: proxies.ready.get(&conn.proxy)?.clone(),
            application: Application::PresenceFederation,
            dialler: conn.dialler,
            dialled: conn.dialled,
            inspect: Box::new(PassThrough),
        })
    };
    let adapter = Adapter::start(Setup {
        clock,
        limits,
        assign: Box::new(assign),
        log: Box::new(log),
    })?;
    Ok(Some(Link {
        adapter,
        conns,
        model: model.clone(),
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
