//! The `tls-proxy` instances of a configuration, with what the store has for them.
//!
//! Which connection goes to which is for the service policy to say: its classes name the instance of each side that
//! begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::Own;
use crate::config::ast::Config;
use crate::config::ast::tls_proxy::TlsProxy;
use crate::config::source::Name;
use crate::pki::revocation::Ledger;
use crate::pki::settings::Revocation;
use crate::pki::settings::revocation::Method;
use crate::pki::{self, Settings, Trustpoint};
use crate::store::{self, Store};
use crate::tls::keys::{Identity, Renewable};
use crate::tls::proxy::{self, Parts};
use crate::tls::{LocalIssuer, Proxy, Trust};

/// Proxies that serve, by name, and why the others do not.
#[derive(Debug, Default)]
pub struct Proxies {
    /// Those that serve.
    pub ready: BTreeMap<String, Arc<Proxy>>,
    /// What is wrong with the others, in words.
    pub faults: Vec<String>,
    /// What those that serve have of trustpoints.
    pub renewable: Renewable,
    /// What is known of revocations.
    pub ledger: Arc<Ledger>,
    /// Certificates that are shown with what a responder says of them.
    pub stapled: Vec<Own>,
}

/// Why one does not serve.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Proxy(#[from] proxy::Error),
    #[error("tls-proxy {proxy}: {source}")]
    Store { proxy: String, source: store::Error },
    #[error("tls-proxy {proxy}: {source}")]
    Pki { proxy: String, source: pki::Error },
}

/// The trustpoints of a configuration, with what the store has of each: read once for all who want to know.
#[derive(Debug)]
pub(super) struct Trustpoints<'a> {
    pub settings: &'a [Settings],
    /// By name.
    pub held: BTreeMap<&'a str, Trustpoint>,
}

impl<'a> Trustpoints<'a> {
    pub fn read(settings: &'a [Settings], store: &Store) -> Result<Self, store::Error> {
        let mut held = BTreeMap::new();
        for own in settings {
            held.insert(own.name.as_str(), store.trustpoint(&own.name)?);
        }
        Ok(Self { settings, held })
    }
}

impl Proxies {
    /// Those of a configuration. All trustpoints that are configured are trusted, and no others.
    pub(super) fn new(
        ledger: Arc<Ledger>,
        config: &Config,
        trustpoints: &Trustpoints<'_>,
        store: &Store,
    ) -> Self {
        let mut proxies = Self {
            ledger,
            ..Self::default()
        };
        let Trustpoints { settings, held } = trustpoints;
        let revocation = |name: &str| revocation_of(settings, name).cloned();
        let is_judge = |own: &&Settings| !own.is_for_others;
        let judges = settings.iter().filter(is_judge);
        let trust = Trust::new(judges.filter_map(|own| held.get(own.name.as_str())));
        let trust = Arc::new(trust.checking(Arc::clone(&proxies.ledger), revocation));
        for configured in &config.tls_proxies {
            let shelf = Shelf {
                proxy: &configured.name.node,
                trustpoints,
                store,
            };
            match shelf.proxy(configured, &trust) {
                Ok((proxy, renewable)) => {
                    proxies.stapled.extend(own(proxy.identity(), settings));
                    let all = &mut proxies.renewable;
                    all.identities.extend(renewable.identities);
                    all.issuers.extend(renewable.issuers);
                    proxies.ready.insert(proxy.name.clone(), Arc::new(proxy));
                }
                Err(fault) => proxies.faults.push(fault.to_string()),
            }
        }
        proxies
    }
}

fn revocation_of<'a>(settings: &'a [Settings], trustpoint: &str) -> Option<&'a Revocation> {
    let found = settings.iter().find(|own| own.name == trustpoint)?;
    Some(&found.revocation)
}

/// Whoever has peers asked about at a responder shows them what it says of its own certificate.
fn own(identity: &Identity, settings: &[Settings]) -> Option<Own> {
    let settings = revocation_of(settings, &identity.trustpoint)?;
    settings.ladder.contains(&Method::Ocsp).then(|| Own {
        identity: identity.clone(),
        settings: settings.clone(),
    })
}

/// Where the parts of one proxy are looked for.
struct Shelf<'a> {
    proxy: &'a str,
    trustpoints: &'a Trustpoints<'a>,
    store: &'a Store,
}

impl Shelf<'_> {
    fn proxy(
        &self,
        configured: &TlsProxy,
        trust: &Arc<Trust>,
    ) -> Result<(Proxy, Renewable), Fault> {
        let identity = |name: &Option<Name>| {
            name.as_ref()
                .map(|name| self.identity(&name.node))
                .transpose()
        };
        let parts = Parts {
            server: identity(&configured.server_trust_point)?,
            client: identity(&configured.client_trust_point)?,
            local: self.local(configured)?,
        };
        let renewable = Renewable {
            identities: parts.server.iter().chain(&parts.client).cloned().collect(),
            issuers: parts.local.iter().cloned().collect(),
        };
        Ok((Proxy::new(configured, parts, Arc::clone(trust))?, renewable))
    }

    fn identity(&self, name: &str) -> Result<Identity, Fault> {
        let trustpoint = self.enrolled(name)?;
        let key = self
            .store
            .key_of(trustpoint)
            .map_err(|source| self.of_store(source))?;
        Identity::new(trustpoint, &key).map_err(|source| self.of_pki(source))
    }

    fn local(&self, configured: &TlsProxy) -> Result<Option<LocalIssuer>, Fault> {
        let Some(name) = &configured.client_ldc_issuer else {
            return Ok(None);
        };
        let trustpoint = self.enrolled(&name.node)?;
        let may_sign = |own: &&Settings| own.name == name.node && own.may_sign_local;
        if !self.trustpoints.settings.iter().any(|own| may_sign(&own)) {
            return Err(self.of_pki(pki::Error::State {
                trustpoint: name.node.clone(),
                reason: "it may not sign local certificates: enter `proxy-ldc-issuer`".into(),
            }));
        }
        let own_key = match &configured.client_ldc_key_pair {
            Some(label) => {
                let found = self.store.named(&label.node);
                Some(found.map_err(|source| self.of_store(source))?)
            }
            None => None,
        };
        let key = self
            .store
            .key_of(trustpoint)
            .map_err(|source| self.of_store(source))?;
        // `enrolled` has seen it.
        let Some(certificate) = trustpoint.identity.clone() else {
            return Err(self.not_enrolled(&name.node));
        };
        let issuer = LocalIssuer::new(&name.node, certificate, key, own_key);
        Ok(Some(issuer))
    }

    fn enrolled(&self, name: &str) -> Result<&Trustpoint, Fault> {
        self.trustpoints
            .held
            .get(name)
            .filter(|trustpoint| trustpoint.identity.is_some())
            .ok_or_else(|| self.not_enrolled(name))
    }

    fn not_enrolled(&self, trustpoint: &str) -> Fault {
        Fault::Proxy(proxy::Error::NotEnrolled {
            proxy: self.proxy.to_owned(),
            trustpoint: trustpoint.to_owned(),
        })
    }

    fn of_store(&self, source: store::Error) -> Fault {
        Fault::Store {
            proxy: self.proxy.to_owned(),
            source,
        }
    }

    fn of_pki(&self, source: pki::Error) -> Fault {
        Fault::Pki {
            proxy: self.proxy.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::pki::key::Wanted;
    use crate::pki::{Date, Key};

    const CONFIG: &str = "\
crypto ca trustpoint cup_proxy
 enrollment self
crypto ca trustpoint ent_y
 enrollment terminal
crypto ca trustpoint ldc
 enrollment self
 proxy-ldc-issuer
tls-proxy x_to_y
 server trust-point cup_proxy
 client trust-point ent_y
tls-proxy phones
 server trust-point cup_proxy
 client ldc issuer ldc
 client ldc key-pair phone_key
tls-proxy nothing
 client trust-point cup_proxy
tls-proxy wrong
 server trust-point cup_proxy
 client ldc issuer cup_proxy
";

    #[test]
    fn proxies_serve_as_far_as_their_trustpoints_are_enrolled() {
        let parsed = config::parse(CONFIG);
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), None).expect("a store");
        let (settings, errors) = Settings::all(&parsed.config);
        assert_eq!(errors, []);
        for (own, label) in settings.iter().zip(["cup_key", "ent_key", "ldc_key"]) {
            if own.name == "ent_y" {
                continue;
            }
            let key = Key::generate(label, Wanted::Ecdsa(256)).expect("a key");
            let mut trustpoint = Trustpoint::new(&own.name);
            trustpoint
                .sign_itself(own, &key, Date(0))
                .expect("a certificate");
            store.save(Some(&trustpoint), Some(&key)).expect("saved");
        }
        let load = || {
            let trustpoints = Trustpoints::read(&settings, &store).expect("read");
            Proxies::new(Arc::default(), &parsed.config, &trustpoints, &store)
        };
        let nothing = "tls-proxy nothing: enter `server trust-point`: without one there is nothing to show to whoever dials";
        let wrong = "tls-proxy wrong: trustpoint cup_proxy: it may not sign local certificates: enter `proxy-ldc-issuer`";
        assert_eq!(
            load().faults,
            [
                "tls-proxy x_to_y: trustpoint ent_y is not enrolled",
                "tls-proxy phones: there is no key phone_key: `postern crypto key generate rsa label phone_key` makes it",
                nothing,
                wrong,
            ]
        );
        let key = Key::generate("phone_key", Wanted::Ecdsa(256)).expect("a key");
        let mut ent_y = Trustpoint::new("ent_y");
        ent_y
            .sign_itself(&settings[1], &key, Date(0))
            .expect("a certificate");
        store.save(Some(&ent_y), Some(&key)).expect("saved");
        let proxies = load();
        assert_eq!(proxies.faults, [nothing, wrong]);
        assert_eq!(
            proxies.ready.keys().collect::<Vec<_>>(),
            ["phones", "x_to_y"]
        );
        assert_eq!(
            proxies.ready["x_to_y"].client_trustpoint.as_deref(),
            Some("ent_y")
        );
        assert_eq!(
            proxies.ready["phones"].client_trustpoint.as_deref(),
            Some("ldc")
        );
    }
}
