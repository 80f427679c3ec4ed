//! The way from a running card to its TLS proxies and back: which connection goes to which of them.
//!
//! Comes in: connections that begin and end, their packets. Goes out: packets, as from the peers. A connection of a
//! proxy that cannot serve, for want of a certificate, is reset: it was to be inspected, so it must not pass.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use super::clock::Clock;
use super::proxies::Proxies;
use super::sip_stream::{Log, SipStream};
use super::{Shared, lock};
use crate::config::ast::Config;
use crate::flow::Leg;
use crate::policy::Model;
use crate::policy::model::{ClassId, Inspection, InterfaceId};
use crate::punt::Channel;
use crate::sip::Timeouts;
use crate::store::{self, Store};
use crate::tcp::adapter::{self, Setup};
use crate::tcp::{Adapter, Assigned};
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
    log: Log,
    mut complain: impl FnMut(&str),
) -> Result<Option<Link>, Error> {
    if proxied(model).next().is_none() {
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
    let reassembly = Timeouts::of(&model.timeouts).reassembly;
    let conns = Conns::default();
    let known = conns.clone();
    let told = log.clone();
    let assign = move |dialler: SocketAddr, dialled: SocketAddr| {
        let conn = lock(&known.0).get(&(dialler, dialled)).cloned()?;
        let stream = SipStream::new(conn.slow_path, conn.channel, told.clone(), reassembly);
        Some(Assigned {
            proxy: proxies.ready.get(&conn.proxy)?.clone(),
            application: Application::PresenceFederation,
            dialler: conn.dialler,
            dialled: conn.dialled,
            inspect: Box::new(stream),
        })
    };
    let adapter = Adapter::start(Setup {
        clock,
        limits,
        assign: Box::new(assign),
        log: Box::new(move |event| log(event)),
    })?;
    Ok(Some(Link {
        adapter,
        conns,
        model: model.clone(),
        slow_path: None,
    }))
}

/// Inspections whose classes name a proxy.
fn proxied(model: &Model) -> impl Iterator<Item = &Inspection> {
    let inspections = model
        .classes
        .iter()
        .filter_map(|class| class.inspect.as_ref());
    inspections.filter(|inspect| inspect.tls_proxy.is_some())
}

/// A connection that a proxy ends.
#[derive(Clone)]
struct ProxiedConn {
    proxy: String,
    slow_path: Shared,
    channel: Channel,
    dialler: Place,
    dialled: Place,
}

/// Connections by the addresses that the dialler sees, shared with the proxies' thread.
#[derive(Clone, Default)]
struct Conns(Arc<Mutex<HashMap<(SocketAddr, SocketAddr), ProxiedConn>>>);

/// The way to the proxies and back.
pub struct Link {
    adapter: Adapter,
    conns: Conns,
    model: Arc<Model>,
    slow_path: Option<Shared>,
}

impl Link {
    /// Says whom the proxies ask about messages. Before that no connection reaches them.
    pub(super) fn attach(&mut self, slow_path: &Shared) {
        self.slow_path = Some(slow_path.clone());
    }

    /// A connection of a class begins; what its initiator sends comes in as `forward.seen`.
    pub fn begin(&mut self, class: ClassId, forward: &Leg) {
        let proxy = self.model.tls_proxy(class);
        let (Some(proxy), Some(slow_path)) = (proxy, &self.slow_path) else {
            return;
        };
        let channel = Channel::of(&self.model, class, forward);
        let place = |interface, address, port| Place {
            interface: self.model.interface(InterfaceId(interface)).name.clone(),
            address: SocketAddr::new(IpAddr::V4(address), port),
        };
        // The proxy speaks with these addresses, so they are those that each side sees.
        let Leg { sent, .. } = *forward;
        let dialler = place(forward.ingress, sent.src, sent.sport);
        let dialled = place(forward.egress, sent.dst, sent.dport);
        let conn = ProxiedConn {
            proxy: proxy.to_owned(),
            slow_path: slow_path.clone(),
            channel,
            dialler,
            dialled,
        };
        lock(&self.conns.0).insert(ends(&forward.seen), conn);
    }

    /// A connection is over.
    pub fn end(&mut self, seen: &Tuple) {
        lock(&self.conns.0).remove(&ends(seen));
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
    let end = |address, port| SocketAddr::new(IpAddr::V4(address), port);
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
