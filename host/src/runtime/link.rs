//! The way from a running card to its TLS proxies and back: which connection goes to which of them.
//!
//! Comes in: connections that begin and end, their packets. Goes out: packets, as from the peers. A connection of a
//! proxy that cannot serve, for want of a certificate, is reset: it was to be inspected, so it must not pass.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use super::clock::Clock;
use super::proxies::Proxies;
use super::random;
use super::sip_stream::{Log, Names, Shared, Sides, SipStream, lock};
use crate::config::ast::Config;
use crate::config::ast::inspect::InspectMap;
use crate::flow::Leg;
use crate::policy::Model;
use crate::policy::model::{ClassId, Inspection, InterfaceId};
use crate::show::tls::Named;
use crate::sip::rules::Names as RuleNames;
use crate::sip::{Inspector, Limits as SipLimits, Rules, Setup as SipSetup, Timeouts, Way};
use crate::store::{self, Store};
use crate::tcp::adapter::{self, Setup};
use crate::tcp::{Adapter, Assigned};
use crate::tls::limits::{self, Application, Limits};
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

/// Makes the proxies' network, unless no class names one. `limits` are those of the licence. What keeps a proxy from serving is told by `complain`.
pub fn start(
    config: &Config,
    model: &Arc<Model>,
    store: impl FnOnce() -> Result<Store, store::Error>,
    mut limits: Limits,
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
    if let Some(wanted) = &config.tls_proxy_limit {
        limits.configure(wanted.node)?;
    }
    let inspectors = inspectors(model, &log, &mut complain);
    let shown = shown(model, &proxies);
    let shared = inspectors.iter();
    let shared = shared.map(|(map, shared)| (map.clone(), shared.inspector.clone()));
    let shared = shared.collect();
    let reassembly = Timeouts::of(&model.timeouts).reassembly;
    let conns = Conns::default();
    let known = conns.clone();
    let assign = move |dialler: SocketAddr, dialled: SocketAddr| {
        let conn = lock(&known.0).get(&(dialler, dialled)).cloned()?;
        let shared = inspectors.get(&conn.map)?.clone();
        let stream = SipStream::new(shared, conn.sides, &conn.dialler, &conn.dialled, reassembly);
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
    let overview = Overview {
        sessions: adapter.asker(),
        proxies: shown,
        inspectors: shared,
    };
    Ok(Some(Link {
        adapter,
        conns,
        model: model.clone(),
        overview,
    }))
}

/// The proxies that serve, with the classes that lead to them.
fn shown(model: &Model, proxies: &Proxies) -> Vec<Named> {
    let lead = model.classes.iter().filter_map(|class| {
        let proxy = class.inspect.as_ref()?.tls_proxy.as_ref()?;
        Some((proxies.ready.get(proxy)?.clone(), class.name.clone()))
    });
    lead.collect()
}

/// Inspections whose classes name a proxy.
fn proxied(model: &Model) -> impl Iterator<Item = &Inspection> {
    let inspections = model
        .classes
        .iter()
        .filter_map(|class| class.inspect.as_ref());
    inspections.filter(|inspect| inspect.tls_proxy.is_some())
}

/// An inspector for each inspect map that a class with a proxy names: classes with the same map share it, since what
/// one side subscribes to comes by a connection of the other's.
fn inspectors(
    model: &Arc<Model>,
    log: &Log,
    complain: &mut impl FnMut(&str),
) -> HashMap<Option<String>, Shared> {
    let names = Arc::new(Mutex::new(Names::default()));
    let mut inspectors = HashMap::new();
    for inspect in proxied(model) {
        if inspectors.contains_key(&inspect.map) {
            continue;
        }
        let is_named = |map: &&InspectMap| {
            map.protocol == inspect.protocol && inspect.map.as_ref() == Some(&map.name.node)
        };
        let map = model.inspect_maps.iter().find(is_named);
        let rules = map.map(|map| Rules::of(map, RuleNames::of(model)));
        let rules = match rules.transpose() {
            Ok(rules) => rules.unwrap_or_default(),
            Err(unusable) => {
                complain(&format!(
                    "{unusable}; connections that it inspects are reset"
                ));
                continue;
            }
        };
        let inspector = Inspector::new(SipSetup {
            rules,
            timeouts: Timeouts::of(&model.timeouts),
            limits: SipLimits::default(),
            seed: random(),
            ..SipSetup::default()
        });
        let shared = Shared {
            inspector: Arc::new(Mutex::new(inspector)),
            names: names.clone(),
            model: model.clone(),
            log: log.clone(),
        };
        inspectors.insert(inspect.map.clone(), shared);
    }
    inspectors
}

/// A connection that a proxy ends.
#[derive(Clone)]
struct ProxiedConn {
    proxy: String,
    /// Its inspect map.
    map: Option<String>,
    sides: Sides,
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
    overview: Overview,
}

/// What there is to be shown of the proxies, from any thread.
#[derive(Clone)]
pub struct Overview {
    /// Asks about the sessions.
    pub sessions: adapter::Asker,
    /// The proxies that serve, with the classes that lead to them.
    pub proxies: Vec<Named>,
    /// The inspectors, by inspect map.
    pub inspectors: Vec<(Option<String>, Arc<Mutex<Inspector>>)>,
}

impl Link {
    /// A connection of a class begins; what its initiator sends comes in as `forward.seen`.
    pub fn begin(&mut self, class: ClassId, forward: &Leg) {
        let inspect = self.model.class(class).inspect.as_ref();
        let Some(inspect) = inspect else {
            return;
        };
        let Some(proxy) = inspect.tls_proxy.clone() else {
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
        let level = |interface| self.model.interface(InterfaceId(interface)).level;
        // Addresses of the more trusted side are the ones that are hidden.
        let sides = match level(ingress) < level(egress) {
            true => Sides {
                forward: Way::Inbound,
                real: egress,
                mapped: ingress,
                peer: SocketAddrV4::new(sent.src, sent.sport),
            },
            false => Sides {
                forward: Way::Outbound,
                real: ingress,
                mapped: egress,
                peer: SocketAddrV4::new(sent.dst, sent.dport),
            },
        };
        let conn = ProxiedConn {
            proxy,
            map: inspect.map.clone(),
            sides,
            dialler: place(ingress, sent.src, sent.sport),
            dialled: place(egress, sent.dst, sent.dport),
        };
        lock(&self.conns.0).insert(ends(&forward.seen), conn);
    }

    /// A connection is over.
    pub fn end(&mut self, seen: &Tuple) {
        lock(&self.conns.0).remove(&ends(seen));
    }

    /// What there is to be shown.
    pub fn overview(&self) -> &Overview {
        &self.overview
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
