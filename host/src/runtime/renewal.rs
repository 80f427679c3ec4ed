//! Keeps the certificates of a running firewall valid.
//!
//! A thread of its own looks at the store when it changes and when something is due: it asks authorities for the next
//! certificates, hands every new one to the proxies, whoever got it, and says what an operator should know. Connections
//! that are open keep what they began with. It ends when it is dropped, in the middle of an enrolment too: the store is
//! whole at every moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::log::Log;
use super::proxies::Trustpoints;
use super::serving::{Change, Serving};
use crate::enrol::prove::Door;
use crate::enrol::{self, Desk, Outcome, Wish};
use crate::pki::enrol::schedule::{self, Attempts, Task};
use crate::pki::settings::Enrolment;
use crate::pki::{Date, Settings, Trustpoint};
use crate::punt::Event;
use crate::store::{self, Store};
use crate::tls::LocalIssuer;
use crate::tls::keys::{Identity, Renewable};

/// What it works with.
pub struct Setup {
    /// The trustpoints that are configured.
    pub settings: Vec<Settings>,
    /// Opens the store.
    pub open: Box<dyn Fn() -> Result<Store, store::Error> + Send + Sync>,
    /// The store's file.
    pub file: PathBuf,
    /// Where authorities find proofs.
    pub door: Box<dyn Door>,
    /// The proxies.
    pub serving: Serving,
    /// Takes what happened.
    pub log: Log,
}

/// A thread that keeps certificates.
pub struct Keeper {
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Keeper {
    /// Starts it.
    pub fn start(setup: Setup) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("certificates".into())
            .spawn(move || {
                let mut desk = Keeping::new(setup);
                runtime.block_on(async {
                    tokio::select! {
                        () = desk.keep() => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// What is known of a trustpoint.
#[derive(Default)]
struct Known {
    attempts: Attempts,
    /// When an operator was warned last.
    told: Option<Date>,
    /// Fingerprint of the certificate that attempts are counted for.
    fingerprint: String,
    /// The authority was asked for its window.
    has_asked: bool,
    /// Somebody has left a request.
    is_wanted: bool,
}

struct Keeping {
    setup: Setup,
    known: BTreeMap<String, Known>,
    seed: u64,
    /// When the store was changed, as it was seen last.
    seen: Option<SystemTime>,
    /// What was wrong with the store when it was read last.
    fault: Option<String>,
}

impl Keeping {
    fn new(setup: Setup) -> Self {
        let mut seed = [0; 8];
        // Without random numbers all firewalls renew at once, which is no reason not to renew.
        let _ = rand::fill(&mut seed);
        Self {
            setup,
            known: BTreeMap::new(),
            seed: u64::from_le_bytes(seed),
            seen: None,
            fault: None,
        }
    }

    async fn keep(&mut self) {
        loop {
            let next = match self.look() {
                Ok(next) => next,
                Err(error) => {
                    self.tell_fault(error.to_string());
                    None
                }
            };
            match next {
                Some((name, task)) if task.at() <= now() => self.carry_out(&name, task).await,
                next => self.rest(next.map(|(_, task)| task.at())).await,
            }
        }
    }

    /// Reads the store: has proxies made of what is new, hands new certificates over, drops what is not needed any more. Returns what is due first.
    fn look(&mut self) -> Result<Option<(String, Task)>, store::Error> {
        let now = now();
        let store = (self.setup.open)()?;
        let mut first: Option<(String, Task)> = None;
        let mut trustpoints = Trustpoints::read(&self.setup.settings, &store)?;
        for change in self.setup.serving.follow(&trustpoints, &store)? {
            (self.setup.log)(&told(change));
        }
        let proxies = self.setup.serving.now();
        let renewable = &proxies.renewable;
        for settings in trustpoints.settings {
            // Each was read above; names of trustpoints are unique.
            let Some(mut trustpoint) = trustpoints.held.remove(settings.name.as_str()) else {
                continue;
            };
            let known = self.known.entry(settings.name.clone()).or_default();
            known.notice(&trustpoint);
            hand_over(renewable, &store, &trustpoint)?;
            settle(renewable, &store, &mut trustpoint, now)?;
            let identity = trustpoint.identity.as_ref();
            let warned =
                identity.and_then(|own| schedule::warning(&settings.name, own, now, known.told));
            if let Some(text) = warned {
                known.told = Some(now);
                (self.setup.log)(&event(1, 717_054, text));
            }
            let task = schedule::next(&trustpoint, settings, &known.attempts, now, self.seed);
            if let Some(task) = task
                && first
                    .as_ref()
                    .is_none_or(|(_, other)| task.at() < other.at())
            {
                first = Some((settings.name.clone(), task));
            }
        }
        drop(store);
        self.seen = self.changed();
        self.fault = None;
        Ok(first)
    }

    async fn carry_out(&mut self, name: &str, task: Task) {
        let Some(settings) = self.setup.settings.iter().find(|own| own.name == name) else {
            return;
        };
        let desk = Desk {
            open: &*self.setup.open,
            now: &now,
            door: &*self.setup.door,
        };
        let regenerates = settings.renewal.is_some_and(|own| own.regenerates);
        let wish = Wish {
            regenerates: regenerates && matches!(task, Task::Renew(_)),
            signer: None,
        };
        let outcome = enrol::enrol(&desk, settings, &wish).await;
        let known = self.known.entry(name.to_owned()).or_default();
        known.attempts.last = Some(now());
        known.attempts.failures = known.attempts.failures.saturating_add(1);
        known.attempts.named = None;
        let said = match outcome {
            Ok(Outcome::Waiting(seconds)) => {
                known.attempts.named = seconds;
                return;
            }
            Ok(outcome @ Outcome::Enrolled(_)) => event(6, 717_056, outcome.to_string()),
            Err(error) => event(
                3,
                717_057,
                format!("The certificate of trustpoint {name} could not be renewed: {error}"),
            ),
        };
        (self.setup.log)(&said);
    }

    /// Waits until something is due, or the store was changed by somebody else.
    async fn rest(&mut self, until: Option<Date>) {
        self.ask_windows().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let is_due = until.is_some_and(|until| until <= now());
            if is_due || self.fault.is_some() || self.changed() != self.seen {
                return;
            }
        }
    }

    /// Asks authorities that suggest a time (ACME), once for each certificate.
    async fn ask_windows(&mut self) {
        for settings in &self.setup.settings {
            let is_kept = settings.renewal.is_some();
            let known = self.known.entry(settings.name.clone()).or_default();
            if !matches!(&settings.enrolment, Enrolment::Network(_)) || !is_kept || known.has_asked
            {
                continue;
            }
            known.has_asked = true;
            let desk = Desk {
                open: &*self.setup.open,
                now: &now,
                door: &*self.setup.door,
            };
            // An authority that does not answer is asked when there is the next certificate: there is another rule.
            known.attempts.window = enrol::window(&desk, settings).await.unwrap_or_default();
        }
    }

    fn changed(&self) -> Option<SystemTime> {
        let about = std::fs::metadata(&self.setup.file).ok()?;
        about.modified().ok()
    }

    fn tell_fault(&mut self, fault: String) {
        if self.fault.as_ref() != Some(&fault) {
            let text = format!("Certificates cannot be kept: {fault}");
            (self.setup.log)(&event(3, 717_057, text));
        }
        self.fault = Some(fault);
    }
}

impl Known {
    /// With another certificate everything begins anew. Who leaves a request does not mean to wait because others failed.
    fn notice(&mut self, trustpoint: &Trustpoint) {
        let fingerprint = trustpoint.identity.as_ref().map(|own| own.sha256());
        let fingerprint = fingerprint.unwrap_or_default();
        if fingerprint != self.fingerprint {
            *self = Self {
                fingerprint,
                ..Self::default()
            };
        }
        let pending = trustpoint.pending.as_ref();
        let is_wanted = pending.is_some_and(|own| own.memo.is_empty());
        if is_wanted && !self.is_wanted {
            self.attempts = Attempts {
                window: self.attempts.window,
                ..Attempts::default()
            };
        }
        self.is_wanted = is_wanted;
    }
}

/// Shows the certificate of a trustpoint and signs with it, where another is in use.
fn hand_over(
    renewable: &Renewable,
    store: &Store,
    trustpoint: &Trustpoint,
) -> Result<(), store::Error> {
    let Some(identity) = &trustpoint.identity else {
        return Ok(());
    };
    for shown in shown_of(renewable, trustpoint) {
        if !shown.shows(identity) {
            let key = store.key_of(trustpoint)?;
            shown.renew(&Identity::new(trustpoint, &key)?);
        }
    }
    for issuer in issuers_of(renewable, trustpoint) {
        if !issuer.signs_with(identity) {
            issuer.renew(identity.clone(), store.key_of(trustpoint)?);
        }
    }
    Ok(())
}

fn shown_of<'a>(
    renewable: &'a Renewable,
    trustpoint: &Trustpoint,
) -> impl Iterator<Item = &'a Identity> {
    let all = renewable.identities.iter();
    all.filter(|own| own.trustpoint == trustpoint.name)
}

fn issuers_of<'a>(
    renewable: &'a Renewable,
    trustpoint: &Trustpoint,
) -> impl Iterator<Item = &'a LocalIssuer> {
    let all = renewable.issuers.iter();
    all.filter(|own| own.trustpoint == trustpoint.name)
}

/// Drops the certificate before this one, when this one has been shown to a peer or that one has expired.
fn settle(
    renewable: &Renewable,
    store: &Store,
    trustpoint: &mut Trustpoint,
    now: Date,
) -> Result<(), store::Error> {
    let is_over = trustpoint.previous.as_ref().is_some_and(|previous| {
        previous.identity.not_after < now
            || shown_of(renewable, trustpoint).any(Identity::is_used)
            || issuers_of(renewable, trustpoint).any(LocalIssuer::is_used)
    });
    if is_over {
        let needless = trustpoint.settle();
        store.change(Some(trustpoint), None, needless.as_deref())?;
    }
    Ok(())
}

/// What an operator reads of a proxy.
fn told(change: Change) -> Event {
    match change {
        Change::Serves(proxy) => {
            event(6, 717_056, format!("tls-proxy {proxy}: serves from now on"))
        }
        Change::Fault(fault) => event(3, 717_057, format!("{fault}; its connections are reset")),
    }
}

fn event(severity: u8, id: u32, text: String) -> Event {
    Event { severity, id, text }
}

/// What the machine's clock says now, which somebody may have set right.
fn now() -> Date {
    Date::from(Clock::start().now())
}

/// How often the store's file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Key;
    use crate::pki::key::Wanted;

    #[test]
    fn a_request_that_somebody_leaves_does_not_wait_because_others_failed() {
        let key = Key::generate("k", Wanted::Ecdsa(256)).expect("a key");
        let mut trustpoint = Trustpoint::new("pub");
        let mut known = Known::default();
        let failed = Attempts {
            failures: 9,
            last: Some(now()),
            ..Attempts::default()
        };
        known.attempts = failed;
        known.notice(&trustpoint);
        assert_eq!(known.attempts, failed);
        trustpoint.begin(&key);
        known.notice(&trustpoint);
        assert_eq!(known.attempts, Attempts::default());
        // Once: it may fail too.
        known.attempts = failed;
        known.notice(&trustpoint);
        assert_eq!(known.attempts, failed);
    }

    #[test]
    fn who_signs_on_the_fly_is_renewed_and_the_old_certificate_goes_when_the_new_one_has_signed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), None).expect("a store");
        let settings = Settings {
            name: "ldc".into(),
            enrolment: Enrolment::Own,
            ..Settings::default()
        };
        let mut trustpoint = Trustpoint::new("ldc");
        let mut enrol = |label: &str| {
            let key = Key::generate(label, Wanted::Ecdsa(256)).expect("a key");
            trustpoint
                .sign_itself(&settings, &key, now())
                .expect("signed");
            store.save(Some(&trustpoint), Some(&key)).expect("saved");
            (trustpoint.clone(), key)
        };
        let (first, key) = enrol("k");
        let issuer = LocalIssuer::new("ldc", first.identity.clone().expect("enrolled"), key, None);
        let renewable = Renewable {
            issuers: vec![issuer.clone()],
            ..Renewable::default()
        };
        let (mut second, _) = enrol("k#2");
        hand_over(&renewable, &store, &second).expect("a key");
        let next = second.identity.clone().expect("enrolled");
        assert!(issuer.signs_with(&next));
        settle(&renewable, &store, &mut second, now()).expect("written");
        assert!(second.previous.is_some(), "nobody has seen the new one");
        issuer.identity(&next, now()).expect("signed");
        settle(&renewable, &store, &mut second, now()).expect("written");
        assert_eq!(second.previous, None);
        assert_eq!(store.key("k").expect("read").map(|_| ()), None);
    }
}
