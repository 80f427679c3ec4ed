//! The `tls-proxy` instances of a firewall that runs, as the store has them now.
//!
//! Comes in: the store, after each change. Goes out: proxies for the next connection. One whose trustpoint was not enrolled
//! serves as soon as it is; an authority that is new is trusted, and one that went is not any more. Sessions that run keep
//! what they began with. A renewal changes nothing here: it happens beneath the proxies (`renewal.rs`).

use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;

use super::answers::Changed;
use super::lock;
use super::proxies::{Proxies, Trustpoints};
use crate::config::ast::Config;
use crate::pki::Settings;
use crate::store::{self, Store};

/// The proxies of now, for whoever leads connections to them, shows them or renews their certificates.
#[derive(Clone, Debug, Default)]
pub struct Serving(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    config: Arc<Config>,
    now: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    basis: Basis,
    proxies: Arc<Proxies>,
}

/// What has become of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It serves.
    Serves(String),
    /// It does not, and why.
    Fault(String),
}

impl Serving {
    /// The proxies of a configuration.
    pub fn load(config: &Arc<Config>, store: &Store) -> Result<Self, store::Error> {
        let (settings, _) = Settings::all(config);
        let trustpoints = Trustpoints::read(&settings, store)?;
        let ledger = Arc::new(store.ledger()?);
        let loaded = Loaded {
            basis: Basis::of(config, &trustpoints, store)?,
            proxies: Arc::new(Proxies::new(ledger, config, &trustpoints, store)),
        };
        Ok(Self(Arc::new(Inner {
            config: Arc::clone(config),
            now: Mutex::new(loaded),
        })))
    }

    /// The proxies.
    pub fn now(&self) -> Arc<Proxies> {
        Arc::clone(&lock(&self.0.now).proxies)
    }

    /// Gives the certificates that are shown with what a responder says of them, whenever the proxies were made anew.
    pub fn stapled(&self) -> Changed {
        let (serving, mut last) = (self.clone(), None);
        Box::new(move || {
            let proxies = serving.now();
            let is_last = |last| Arc::ptr_eq(last, &proxies);
            if last.as_ref().is_some_and(is_last) {
                return None;
            }
            last = Some(Arc::clone(&proxies));
            Some(proxies.stapled.clone())
        })
    }

    /// Makes the proxies anew, if the store has not what they were made of.
    pub(super) fn follow(
        &self,
        trustpoints: &Trustpoints<'_>,
        store: &Store,
    ) -> Result<Vec<Change>, store::Error> {
        let config = &self.0.config;
        let basis = Basis::of(config, trustpoints, store)?;
        let before = {
            let now = lock(&self.0.now);
            if now.basis == basis {
                return Ok(Vec::new());
            }
            Arc::clone(&now.proxies)
        };
        // Not under the lock: connections are led to the proxies from before until the new ones are there.
        let ledger = Arc::clone(&before.ledger);
        let proxies = Arc::new(Proxies::new(ledger, config, trustpoints, store));
        let changes = changes(&before, &proxies);
        *lock(&self.0.now) = Loaded { basis, proxies };
        Ok(changes)
    }
}

/// What an operator should know of proxies that were made anew.
fn changes(before: &Proxies, after: &Proxies) -> Vec<Change> {
    let serves = after.ready.keys();
    let new = serves.filter(|name| !before.ready.contains_key(*name));
    let faults = after.faults.iter();
    let worse = faults.filter(|fault| !before.faults.contains(fault));
    let new = new.cloned().map(Change::Serves);
    new.chain(worse.cloned().map(Change::Fault)).collect()
}

/// What proxies are made of, so that a change is seen.
#[derive(Debug, Default, PartialEq)]
struct Basis {
    /// Who is trusted, and whether there is a certificate to show: which one is for renewals. By name.
    trustpoints: Vec<(Option<CertificateDer<'static>>, bool)>,
    /// Whether the key that a proxy names is there, in the order of the configuration.
    keys: Vec<bool>,
}

impl Basis {
    fn of(
        config: &Config,
        trustpoints: &Trustpoints<'_>,
        store: &Store,
    ) -> Result<Self, store::Error> {
        let mut basis = Self::default();
        if config.tls_proxies.is_empty() {
            return Ok(basis);
        }
        for held in trustpoints.held.values() {
            let authority = held.authority.as_ref().map(|own| own.der.clone());
            basis.trustpoints.push((authority, held.identity.is_some()));
        }
        let proxies = config.tls_proxies.iter();
        for label in proxies.filter_map(|proxy| proxy.client_ldc_key_pair.as_ref()) {
            basis.keys.push(store.key(&label.node)?.is_some());
        }
        Ok(basis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::pki::key::Wanted;
    use crate::pki::{Certificate, Date, Key, Trustpoint};
    use crate::runtime::answers::Own;

    const CONFIG: &str = "\
crypto ca trustpoint cup_proxy
 enrollment self
 revocation-check ocsp
crypto ca trustpoint ent_y
 enrollment terminal
crypto ca trustpoint ldc
 enrollment self
 proxy-ldc-issuer
tls-proxy x_to_y
 server trust-point cup_proxy
tls-proxy phones
 server trust-point cup_proxy
 client ldc issuer ldc
 client ldc key-pair phone_key
";

    /// A firewall that was started before anything was enrolled.
    struct Scene {
        settings: Vec<Settings>,
        _folder: tempfile::TempDir,
        store: Store,
        serving: Serving,
    }

    impl Scene {
        fn new() -> Self {
            let config = Arc::new(config::parse(CONFIG).config);
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(folder.path(), None).expect("a store");
            Self {
                settings: Settings::all(&config).0,
                serving: Serving::load(&config, &store).expect("loaded"),
                _folder: folder,
                store,
            }
        }

        fn enrol(&self, number: usize, label: &str) -> Certificate {
            let settings = &self.settings[number];
            let key = Key::generate(label, Wanted::Ecdsa(256)).expect("a key");
            let mut trustpoint = Trustpoint::new(&settings.name);
            trustpoint
                .sign_itself(settings, &key, Date(0))
                .expect("a certificate");
            self.store
                .save(Some(&trustpoint), Some(&key))
                .expect("saved");
            trustpoint.identity.expect("enrolled")
        }

        fn follow(&self) -> Vec<Change> {
            let trustpoints = Trustpoints::read(&self.settings, &self.store).expect("read");
            self.serving
                .follow(&trustpoints, &self.store)
                .expect("read")
        }
    }

    #[test]
    fn a_proxy_serves_when_its_trustpoint_is_enrolled_at_last() {
        let scene = Scene::new();
        assert_eq!(scene.serving.now().faults.len(), 2);
        assert_eq!(scene.follow(), [], "nothing was changed");
        scene.enrol(0, "cup_key");
        let waits = "tls-proxy phones: trustpoint ldc is not enrolled".to_owned();
        let serves = |name: &str| Change::Serves(name.into());
        assert_eq!(scene.follow(), [serves("x_to_y"), Change::Fault(waits)]);
        scene.enrol(2, "ldc_key");
        let lacks = "tls-proxy phones: there is no key phone_key: `postern crypto key generate rsa label phone_key` makes it";
        assert_eq!(scene.follow(), [Change::Fault(lacks.into())]);
        let key = Key::generate("phone_key", Wanted::Ecdsa(256)).expect("a key");
        scene.store.save(None, Some(&key)).expect("saved");
        assert_eq!(scene.follow(), [serves("phones")]);
        assert_eq!(scene.serving.now().faults, Vec::<String>::new());
    }

    #[test]
    fn whoever_asks_about_our_certificates_is_told_of_those_that_are_new() {
        let scene = Scene::new();
        let mut stapled = scene.serving.stapled();
        let mut names = || {
            let name = |own: &Own| own.identity.trustpoint.clone();
            stapled().map(|all| all.iter().map(name).collect::<Vec<_>>())
        };
        assert_eq!(names(), Some(Vec::new()));
        assert_eq!(names(), None);
        scene.enrol(0, "cup_key");
        scene.follow();
        assert_eq!(names(), Some(vec!["cup_proxy".to_owned()]));
        assert_eq!(names(), None);
    }

    #[test]
    fn a_renewal_leaves_the_proxies_as_they_are() {
        let scene = Scene::new();
        scene.enrol(0, "cup_key");
        scene.follow();
        let before = scene.serving.now();
        scene.enrol(0, "cup_key#2");
        assert_eq!(scene.follow(), []);
        assert!(Arc::ptr_eq(&before, &scene.serving.now()));
    }

    #[test]
    fn an_authority_is_trusted_from_when_it_is_known_to_when_it_is_removed() {
        use crate::tls::verify::Usage;

        let scene = Scene::new();
        let peer = scene.enrol(0, "cup_key");
        scene.follow();
        let is_trusted = || {
            let proxies = scene.serving.now();
            let trust = proxies.ready["x_to_y"].trust();
            let now = peer.not_before;
            trust.verify(&peer.der, &[], Usage::Client, now).is_ok()
        };
        assert!(!is_trusted());
        let mut ent_y = Trustpoint::new("ent_y");
        ent_y.authenticate(peer.clone()).expect("a peer");
        scene.store.save(Some(&ent_y), None).expect("saved");
        assert!(!is_trusted(), "nobody has looked");
        scene.follow();
        assert!(is_trusted());
        ent_y.authority = None;
        scene.store.save(Some(&ent_y), None).expect("saved");
        scene.follow();
        assert!(!is_trusted());
    }
}
