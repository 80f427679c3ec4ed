//! The way from a running card to its proxies, with TLS and without, and back: which connection goes to which of them.
//!
//! Comes in: connections that begin and end, their packets. Goes out: packets, as from the peers. A connection of a
//! proxy that cannot serve, for want of a certificate, is reset: it was to be inspected, so it must not pass. Whoever looks
//! for a proof of an enrolment is led to what is shown.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::answers::{self, Answers};
use super::clock::Clock;
use super::log::Log;
use super::serving::Serving;
use super::streams::{Desk, SipStream, SkinnyStream};
use super::{Shared, lock};
use crate::config::ast::Config;
use crate::config::ast::mpf::InspectProtocol;
use crate::enrol::prove::Stand;
use crate::flow::Leg;
use crate::pki::Settings;
use crate::policy::Model;
use crate::policy::model::{ClassId, InterfaceId};
use crate::punt::Channel;
use crate::show::tls::Named;
use crate::sip::Timeouts;
use crate::store::{self, Store};
use crate::tcp::adapter::{self, Answer, Setup};
use crate::tcp::{Adapter, Assigned, Duty, Secured};
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
    /// No thread that asks about certificates.
    #[error("cannot start the thread that asks about certificates: {0}")]
    Answers(#[source] io::Error),
    /// No network for them.
    #[error(transparent)]
    Adapter(#[from] adapter::Error),
}

/// Makes the proxies' network, unless no class inspects and no trustpoint proves names at ports of ours. `limits` are those of the licence. What keeps a proxy from serving is told by `complain`.
pub fn start(
    config: &Arc<Config>,
    model: &Arc<Model>,
    store: impl Fn() -> Result<Store, store::Error> + Send + 'static,
    mut limits: Limits,
    clock: Clock,
    log: Log,
    mut complain: impl FnMut(&str),
) -> Result<Option<Link>, Error> {
    let inspected = || {
        model
            .classes
            .iter()
            .filter_map(|class| class.inspect.as_ref())
    };
    let proves = |own: &Settings| own.renewal.is_some() && own.proves_at_a_port();
    let proves = Settings::all(config).0.iter().any(proves);
    if inspected().next().is_none() && !proves {
        return Ok(None);
    }
    let serving = match inspected().any(|inspect| inspect.tls_proxy.is_some()) {
        true => Serving::load(config, &store()?)?,
        false => Serving::default(),
    };
    for fault in &serving.now().faults {
        complain(&format!("{fault}; its connections are reset"));
    }
    if let Some(wanted) = &config.tls_proxy_limit {
        limits.configure(wanted.node)?;
    }
    let (wanted, most) = (limits.proxy(), raise_descriptors() / DESCRIPTORS_A_SESSION);
    if inspected().any(|inspect| inspect.tls_proxy.is_some()) && most < wanted.into() {
        complain(&format!(
            "descriptors suffice for {most} of {wanted} TLS proxy sessions; raise the limit of open files (systemd: LimitNOFILE=)"
        ));
    }
    let told = log.clone();
    let answers = Answers::start(answers::Setup {
        ledger: Arc::clone(&serving.now().ledger),
        clock,
        own: serving.stapled(),
        log: Box::new(move |event| told(event)),
        // A list that is not kept is fetched again: that is all that is lost.
        keep: Box::new(move |question, list, now| {
            let _ = store().and_then(|store| store.save_list(question, &list.der, now));
        }),
    })
    .map_err(Error::Answers)?;
    let reassembly = Timeouts::of(&model.timeouts).reassembly;
    let conns = Conns::default();
    let known = conns.clone();
    let stand = Stand::default();
    let (shown, led) = (stand.clone(), serving.clone());
    let told = log.clone();
    let assign = move |dialler: SocketAddr, dialled: SocketAddr| {
        let conn = match lock(&known.0).get(&(dialler, dialled)).cloned()? {
            Purpose::Inspection(conn) => *conn,
            Purpose::Look => return Some(Duty::Answer(answer_look(shown.clone()))),
        };
        let tls = match &conn.proxy {
            Some(name) => Some(Secured {
                proxy: led.now().ready.get(name)?.clone(),
                application: conn.application(),
            }),
            None => None,
        };
        let desk = Desk {
            slow_path: conn.slow_path,
            channel: conn.channel,
            log: told.clone(),
        };
        Some(Duty::Carry(Assigned {
            tls,
            dialler: conn.dialler,
            dialled: conn.dialled,
            inspect: match conn.protocol {
                InspectProtocol::Sip => Box::new(SipStream::new(desk, reassembly)),
                InspectProtocol::Skinny => Box::new(SkinnyStream::new(desk)),
            },
        }))
    };
    let adapter = Adapter::start(Setup {
        clock,
        limits,
        assign: Box::new(assign),
        log: Box::new(move |event| log(event)),
        ask: answers.asker(),
    })?;
    let overview = Overview {
        sessions: adapter.asker(),
        classes: classes(model),
        serving,
    };
    Ok(Some(Link {
        adapter,
        _answers: answers,
        conns,
        stand,
        model: model.clone(),
        slow_path: None,
        overview,
    }))
}

/// Takes as many descriptors as this process may have, and says how many those are. The usual limit is for programs
/// that keep a few files open.
fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It fails for nobody: the maximum is what was granted.
    let _ = setrlimit(Resource::Nofile, limit);
    limit.maximum.unwrap_or(u64::MAX)
}

/// Names of proxies, with the classes that lead to them.
fn classes(model: &Model) -> Vec<(String, String)> {
    let lead = model.classes.iter().filter_map(|class| {
        let proxy = class.inspect.as_ref()?.tls_proxy.as_ref()?;
        Some((proxy.clone(), class.name.clone()))
    });
    lead.collect()
}

fn answer_look(stand: Stand) -> Answer {
    Box::new(move |stream| Box::pin(async move { stand.show_to(stream).await }))
}

/// Why a connection ends here.
#[derive(Clone)]
enum Purpose {
    /// A proxy carries it on.
    Inspection(Box<ProxiedConn>),
    /// Somebody looks for a proof.
    Look,
}

/// A connection that a proxy ends.
#[derive(Clone)]
struct ProxiedConn {
    /// `tls-proxy`, for one with TLS.
    proxy: Option<String>,
    protocol: InspectProtocol,
    slow_path: Shared,
    channel: Channel,
    dialler: Place,
    dialled: Place,
}

impl ProxiedConn {
    /// What it counts as.
    fn application(&self) -> Application {
        match self.protocol {
            InspectProtocol::Sip => Application::PresenceFederation,
            InspectProtocol::Skinny => Application::EncryptedVoice,
        }
    }
}

/// Connections by the addresses that the dialler sees, shared with the proxies' thread.
#[derive(Clone, Default)]
struct Conns(Arc<Mutex<HashMap<(SocketAddr, SocketAddr), Purpose>>>);

/// The way to the proxies and back.
pub struct Link {
    adapter: Adapter,
    /// Its thread ends with this.
    _answers: Answers,
    conns: Conns,
    stand: Stand,
    model: Arc<Model>,
    slow_path: Option<Shared>,
    overview: Overview,
}

/// What there is to be shown of the proxies, from any thread.
#[derive(Clone)]
pub struct Overview {
    /// Asks about the sessions.
    pub sessions: adapter::Asker,
    /// The proxies.
    pub serving: Serving,
    /// Names of proxies, with the classes that lead to them.
    classes: Vec<(String, String)>,
}

impl Overview {
    /// The proxies that serve now, with the classes that lead to them.
    pub fn proxies(&self) -> Vec<Named> {
        let proxies = self.serving.now();
        let named = |(proxy, class): &(String, String)| {
            Some((proxies.ready.get(proxy)?.clone(), class.clone()))
        };
        self.classes.iter().filter_map(named).collect()
    }
}

impl Link {
    /// Says whom the proxies ask about messages. Before that no connection reaches them.
    pub fn attach(&mut self, slow_path: &Shared) {
        self.slow_path = Some(slow_path.clone());
    }

    /// A connection of a class begins; what its initiator sends comes in as `forward.seen`.
    pub fn begin(&mut self, class: ClassId, forward: &Leg) {
        let inspect = self.model.class(class).inspect.as_ref();
        let (Some(inspect), Some(slow_path)) = (inspect, &self.slow_path) else {
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
            proxy: inspect.tls_proxy.clone(),
            protocol: inspect.protocol,
            slow_path: slow_path.clone(),
            channel,
            dialler,
            dialled,
        };
        let purpose = Purpose::Inspection(conn.into());
        lock(&self.conns.0).insert(ends(&forward.seen), purpose);
    }

    /// A connection begins by which somebody looks for a proof.
    pub fn begin_look(&mut self, seen: &Tuple) {
        lock(&self.conns.0).insert(ends(seen), Purpose::Look);
    }

    /// Where proofs are put that such a connection is to find.
    pub fn stand(&self) -> &Stand {
        &self.stand
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
    let end = |address, port| SocketAddr::new(IpAddr::V4(address), port);
    (end(seen.src, seen.sport), end(seen.dst, seen.dport))
}

/// One for each leg.
const DESCRIPTORS_A_SESSION: u64 = 2;

/// Whether a packet was not taken only because there is no room for it now.
pub fn is_full(error: &adapter::Error) -> bool {
    matches!(error, adapter::Error::Packet(source) if source.kind() == io::ErrorKind::WouldBlock)
}
