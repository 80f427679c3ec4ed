//! Enrolment over the network: the conversation with an authority's server, from the store and back into it.
//!
//! Comes in: what a trustpoint is to be, the store, a clock. Goes out: a trustpoint with a certificate, or one that
//! waits, or the reason why it is as it was. The store is held before and after a conversation and never during it; a
//! key is stored before its request leaves, so that no certificate can come for a key that is lost.

/// The HTTP client.
pub mod http;
/// The key for a certificate.
mod key;
/// ACME.
pub mod acme;
/// Proof that a name is ours.
pub mod prove;

use std::fmt;
use std::sync::Arc;

use http::{Client, Credentials, Trust};
pub use key::choose_key;
use prove::Door;
use zeroize::Zeroizing;

use crate::pki::enrol::cmp::Cmp;
use crate::pki::enrol::est::Est;
use crate::pki::enrol::scep::Scep;
use crate::pki::enrol::{Identity, Next, Order, Proof, Protocol};
use crate::pki::settings::{Enrolment, Secret, Server, Via};
use crate::pki::trustpoint::judged;
use crate::pki::{self, Certificate, Date, Key, Settings, Trustpoint};
use crate::store::{self, Store};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be asked.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// What it says is wrong, or what we would ask.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Keys and certificates cannot be read or kept.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Somebody else was faster.
    #[error(
        "trustpoint {0} was changed while its authority was asked; what it answered is not taken"
    )]
    Changed(String),
    /// The server never comes to an end.
    #[error("{0}: the server asks for ever more")]
    Endless(Via),
}

/// How an enrolment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a certificate.
    Enrolled(Box<Trustpoint>),
    /// The authority wants time; so many seconds, if it says.
    Waiting(Option<u32>),
}

/// What an enrolment works with.
pub struct Desk<'a> {
    /// Opens the store.
    pub open: &'a (dyn Fn() -> Result<Store, store::Error> + Sync),
    /// Says what time it is.
    pub now: &'a (dyn Fn() -> Date + Sync),
    /// Where proofs are found.
    pub door: &'a dyn Door,
}

/// What a person adds to the settings.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `regenerate`: with a new key.
    pub regenerates: bool,
    /// `signing-certificate`: the trustpoint whose certificate proves who asks.
    pub signer: Option<String>,
}

/// The authority's certificates, which nobody has confirmed yet.
pub async fn authorities(desk: &Desk<'_>, server: &Server) -> Result<Vec<Certificate>, Error> {
    let mut protocol: Box<dyn Protocol> = match server.protocol {
        Via::Est => Box::new(Est::authorities(&server.url)),
        Via::Scep => Box::new(Scep::authorities(&server.url)),
        other => return Err(no_authorities(other)),
    };
    let client = Client::new(Trust::Anyone, &Credentials::default())?;
    match converse(server.protocol, &client, &mut *protocol, false, desk.now).await? {
        Next::Authorities(found) => Ok(found),
        _ => Err(Error::Endless(server.protocol)),
    }
}

/// Gets a certificate, or asks whether it is there by now. Fails without a trace.
pub async fn enrol(desk: &Desk<'_>, settings: &Settings, wish: &Wish) -> Result<Outcome, Error> {
    let Enrolment::Network(server) = &settings.enrolment else {
        return Err(Error::Pki(pki::Error::State {
            trustpoint: settings.name.clone(),
            reason: "it does not enrol over the network".into(),
        }));
    };
    let begun = Begun::begin(desk, settings, wish)?;
    let answered = begun.ask(desk, settings, server).await;
    begun.finish(desk, answered)
}

/// Leaves a request to a firewall that runs, which makes it as one that was interrupted.
pub fn leave(desk: &Desk<'_>, settings: &Settings, wish: &Wish) -> Result<(), Error> {
    Begun::begin(desk, settings, wish).map(drop)
}

/// When the authority suggests to renew a certificate (RFC 9773); `None` where it has no opinion, or none to ask.
pub async fn window(desk: &Desk<'_>, settings: &Settings) -> Result<Option<(Date, Date)>, Error> {
    let Enrolment::Network(
        server @ Server {
            protocol: Via::Acme,
            ..
        },
    ) = &settings.enrolment
    else {
        return Ok(None);
    };
    let (identity, key, trusted, account) = {
        let store = (desk.open)()?;
        let trustpoint = store.trustpoint(&settings.name)?;
        let account = store.account(&server.url)?;
        let (Some(identity), Some(account)) = (trustpoint.identity.clone(), account) else {
            return Ok(None);
        };
        (
            identity,
            store.key_of(&trustpoint)?,
            trusted(&store)?,
            account,
        )
    };
    let client = Client::new(Trust::Known(trusted), &Credentials::default())?;
    let errand = acme::Errand {
        server,
        settings,
        key: &key,
        account: Some(account),
        keep: &|_| Ok(()),
        replaced: None,
    };
    acme::window(&errand, &identity, Arc::new(client)).await
}

/// All authorities that are known.
fn trusted(store: &Store) -> Result<Vec<Certificate>, store::Error> {
    let all = store.trustpoints()?.into_iter();
    Ok(all
        .filter_map(|other| other.authority)
        .filter(|known| known.is_ca)
        .collect())
}

/// An enrolment whose key is stored.
struct Begun {
    /// The trustpoint before.
    before: Trustpoint,
    /// As it is stored now.
    trustpoint: Trustpoint,
    key: Key,
    /// The key was made for this, now or when it was begun before.
    is_new: bool,
    /// The authority that was confirmed.
    authority: Option<Certificate>,
    /// Whose certificate proves who asks.
    signer: Option<(Trustpoint, Key)>,
    /// All authorities that are known, for the server's own certificate.
    trusted: Vec<Certificate>,
    /// The key of the certificate that there is.
    old_key: Option<Key>,
}

/// What an authority answered.
enum Answered {
    Issued(Vec<Certificate>),
    Waiting(Option<u32>, Vec<u8>),
}

impl Begun {
    fn begin(desk: &Desk<'_>, settings: &Settings, wish: &Wish) -> Result<Self, Error> {
        let store = (desk.open)()?;
        let mut before = store.trustpoint(&settings.name)?;
        let authority = before.authority.clone().filter(|known| known.is_ca);
        if authority.is_none() && !proves_authority(settings) {
            return Err(Error::Pki(pki::Error::State {
                trustpoint: settings.name.clone(),
                reason: format!(
                    "no authority is known: `crypto ca authenticate {}` first",
                    settings.name
                ),
            }));
        }
        let signer = match &wish.signer {
            Some(name) => {
                let signer = store.trustpoint(name)?;
                let key = store.key_of(&signer)?;
                Some((signer, key))
            }
            None => None,
        };
        let trusted = trusted(&store)?;
        let mut trustpoint = before.clone();
        // What may have been left to a firewall is over when it fails, and its key goes: it is asked for anew by whoever
        // wants it. Other requests stay known.
        let is_left = settings.proves_at_a_port();
        let (key, is_new) = match key::begun(&store, &before)? {
            Some(key) => (key, is_left),
            None => {
                let chosen = choose_key(&store, settings, &before, wish.regenerates)?;
                trustpoint.begin(&chosen.0);
                chosen
            }
        };
        if is_left {
            before.pending = None;
        }
        let old_key = match before.identity {
            Some(_) => Some(store.key_of(&before)?),
            None => None,
        };
        store.save(Some(&trustpoint), is_new.then_some(&key))?;
        Ok(Self {
            before,
            trustpoint,
            key,
            is_new,
            authority,
            signer,
            trusted,
            old_key,
        })
    }

    async fn ask(
        &self,
        desk: &Desk<'_>,
        settings: &Settings,
        server: &Server,
    ) -> Result<Answered, Error> {
        if server.protocol == Via::Acme {
            return self.ask_acme(desk, settings, server).await;
        }
        let now = (desk.now)();
        let memo = self
            .trustpoint
            .pending
            .as_ref()
            .map(|own| own.memo.as_slice());
        let order = Order {
            url: &server.url,
            settings,
            key: &self.key,
            authorities: self.authority.as_slice(),
            memo: memo.unwrap_or_default(),
        };
        let current = self.current(now);
        let challenge = settings.password.as_ref().and_then(Secret::text);
        let challenge = challenge.map(|word| Zeroizing::new(word.to_owned()));
        let mut protocol: Box<dyn Protocol + '_> = match (server.protocol, &current) {
            (Via::Est, current) => Box::new(Est::certificate(&order, current.is_some())?),
            (Via::Scep, Some(current)) => Box::new(Scep::renew(&order, current, challenge)?),
            (Via::Scep, None) => Box::new(Scep::enroll(&order, challenge, now)?),
            (_, Some(current)) => Box::new(Cmp::renew(&order, current)?),
            (_, None) => Box::new(Cmp::initial(&order, self.proof(settings)?)?),
        };
        let otherwise = user_of(settings);
        let mut credentials = Credentials::default();
        if server.protocol == Via::Est {
            credentials.identity = current.map(|own| {
                let chain = std::iter::once(own.certificate).chain(own.between);
                (chain.cloned().collect(), own.key)
            });
            let password = settings.password.as_ref();
            credentials.password = password.and_then(|own| own.split(otherwise));
        }
        let client = Client::new(Trust::Known(self.trusted.clone()), &credentials)?;
        let waits = !order.memo.is_empty();
        let end = converse(server.protocol, &client, &mut *protocol, waits, desk.now).await?;
        match end {
            Next::Issued(issued) => Ok(Answered::Issued(issued)),
            Next::Wait(seconds) => Ok(Answered::Waiting(seconds, protocol.memo())),
            Next::Authorities(_) | Next::Ask(_) => Err(Error::Endless(server.protocol)),
        }
    }

    async fn ask_acme(
        &self,
        desk: &Desk<'_>,
        settings: &Settings,
        server: &Server,
    ) -> Result<Answered, Error> {
        let client = Client::new(Trust::Known(self.trusted.clone()), &Credentials::default())?;
        let account = (desk.open)()?.account(&server.url)?;
        let keep = |account: &[u8]| Ok((desk.open)()?.save_account(&server.url, account)?);
        let errand = acme::Errand {
            server,
            settings,
            key: &self.key,
            account,
            keep: &keep,
            replaced: self.before.identity.as_ref(),
        };
        let issued = acme::issue(&errand, Arc::new(client), desk.door).await?;
        Ok(Answered::Issued(issued))
    }

    /// What proves to a CMP server who asks.
    fn proof(&self, settings: &Settings) -> Result<Proof<'_>, Error> {
        if let Some((signer, key)) = &self.signer {
            let certificate = signer
                .identity
                .as_ref()
                .ok_or_else(|| signer.not_enrolled())?;
            return Ok(Proof::Signature(Identity {
                certificate,
                between: &signer.between,
                key,
            }));
        }
        let secret = settings.password.as_ref();
        let secret = secret.and_then(|own| own.split(user_of(settings)));
        let (reference, secret) = secret.ok_or_else(|| {
            Error::Pki(pki::Error::Enrol {
                protocol: "CMP",
                reason: "nothing proves who asks: enter `password REFERENCE:SECRET`, or name a trustpoint with \
                         `signing-certificate`"
                    .into(),
            })
        })?;
        Ok(Proof::Secret {
            reference: reference.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
        })
    }

    /// The certificate that there is, if the authority would know it.
    fn current(&self, now: Date) -> Option<Identity<'_>> {
        let certificate = self
            .before
            .identity
            .as_ref()
            .filter(|own| own.not_after > now)?;
        let known = self.before.between.iter().chain(&self.authority);
        let mut known = known.filter(|known| known.is_ca);
        known
            .any(|known| certificate.is_signed_by(known))
            .then_some(())?;
        Some(Identity {
            certificate,
            between: &self.before.between,
            key: self.old_key.as_ref()?,
        })
    }

    fn finish(self, desk: &Desk<'_>, answered: Result<Answered, Error>) -> Result<Outcome, Error> {
        let judged = answered.and_then(|answered| match answered {
            Answered::Issued(issued) => {
                let now = (desk.now)();
                // Where none was confirmed, the protocol has proved the one that it returns.
                let proved = issued.iter().find(|one| one.is_ca && one.is_self_signed);
                let authority = self.authority.as_ref().or(proved);
                let authority = authority
                    .cloned()
                    .ok_or_else(|| self.before.not_enrolled())?;
                let (identity, between) = judged("enrolment", &issued, &self.key, &authority, now)?;
                Ok((Some((authority, identity, between)), None, vec![]))
            }
            Answered::Waiting(seconds, memo) => Ok((None, seconds, memo)),
        });
        let store = (desk.open)()?;
        if store.trustpoint(&self.trustpoint.name)? != self.trustpoint {
            return Err(Error::Changed(self.trustpoint.name));
        }
        let mut trustpoint = self.trustpoint;
        match judged {
            Ok((Some((authority, identity, between)), _, _)) => {
                trustpoint.authority = Some(authority);
                let needless = trustpoint.replace(identity, between, &self.key, (desk.now)());
                store.change(Some(&trustpoint), None, needless.as_deref())?;
                Ok(Outcome::Enrolled(Box::new(trustpoint)))
            }
            Ok((None, seconds, memo)) => {
                trustpoint.wait(memo);
                store.save(Some(&trustpoint), None)?;
                Ok(Outcome::Waiting(seconds))
            }
            Err(error) => {
                let needless = self.is_new.then_some(self.key.label.as_str());
                store.change(Some(&self.before), None, needless)?;
                Err(error)
            }
        }
    }
}

/// The name in front of a password that has none.
fn user_of(settings: &Settings) -> &str {
    settings.fqdn.as_deref().unwrap_or(&settings.name)
}

/// Whether the protocol proves who the authority is: a shared secret does (RFC 9483 §6.1.2).
fn proves_authority(settings: &Settings) -> bool {
    let is_cmp = matches!(&settings.enrolment, Enrolment::Network(own) if own.protocol == Via::Cmp);
    is_cmp && settings.password.is_some()
}

/// Asks until there is an end.
async fn converse(
    via: Via,
    client: &Client,
    protocol: &mut dyn Protocol,
    waits: bool,
    now: &(dyn Fn() -> Date + Sync),
) -> Result<Next, Error> {
    let mut next = match waits {
        true => protocol.resume(now())?,
        false => protocol.start(now())?,
    };
    for _ in 0..MOST_QUESTIONS {
        let Next::Ask(ask) = &next else {
            return Ok(next);
        };
        let answer = client.exchange(ask).await?;
        next = protocol.answer(&answer, now())?;
    }
    Err(Error::Endless(via))
}

fn no_authorities(via: Via) -> Error {
    Error::Pki(pki::Error::Enrol {
        protocol: "enrolment",
        reason: format!("{via} does not say who its authority is: paste its certificate"),
    })
}

/// The certificate among those of an authority that the others come from; with a fingerprint, the one it belongs to.
pub fn anchor<'a>(found: &'a [Certificate], fingerprint: Option<&str>) -> Option<&'a Certificate> {
    if let Some(wanted) = fingerprint {
        return found.iter().find(|one| {
            [one.sha1(), one.sha256()]
                .iter()
                .any(|known| known == wanted)
        });
    }
    let is_top = |one: &&Certificate| {
        one.is_ca
            && !found
                .iter()
                .any(|other| other != *one && one.is_signed_by(other))
    };
    let own = found.iter().find(|one| one.is_ca && one.is_self_signed);
    own.or_else(|| found.iter().find(is_top))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolled(trustpoint) => match &trustpoint.identity {
                Some(identity) => write!(
                    f,
                    "The certificate of {} is there: {}, serial {}, until {}",
                    trustpoint.name, identity.subject, identity.serial, identity.not_after
                ),
                None => write!(f, "{} has no certificate", trustpoint.name),
            },
            Self::Waiting(Some(seconds)) => {
                write!(f, "The authority wants time; it names {seconds} seconds")
            }
            Self::Waiting(None) => f.write_str("The authority wants time"),
        }
    }
}

/// Most questions of one conversation.
const MOST_QUESTIONS: usize = 16;
