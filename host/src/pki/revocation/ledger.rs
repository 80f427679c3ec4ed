//! What is known, and the order in which more is asked for.
//!
//! `revocation-check` is a ladder: each way is tried in turn, and the next only when one has no answer. What was learnt
//! is kept for as long as it counts, and so is, for a minute, that somebody did not answer: a responder that is down
//! must not delay every connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateDer;

use super::list::List;
use super::ocsp::{self, OcspNonce, Response};
use super::subject::{Link, Subject};
use super::{Status, Trouble};
use crate::pki::Date;
use crate::pki::enrol::{Answer, Ask, Body};
use crate::pki::settings::Revocation;
use crate::pki::settings::revocation::{Method, Policy};

/// How a path stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is against it. What could not be found out and is let pass, in words.
    Clear(Vec<Trouble>),
    /// It does not count.
    Refused(Trouble),
    /// Ask these, and judge again.
    Asked(Vec<Question>),
}

/// Something to ask, and all that is needed to judge the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What to ask, and where.
    pub ask: Ask,
    /// The same for all who want to know the same.
    pub key: Key,
    certificate: Vec<u8>,
    issuer: Vec<u8>,
    nonce: Option<OcspNonce>,
}

/// What is known under one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A list: its place, and the key that signs it.
    List(String, Vec<u8>),
    /// An answer: the responder, and the certificate.
    Status(String, Vec<u8>),
}

impl Key {
    fn place(&self) -> &str {
        match self {
            Self::List(place, _) | Self::Status(place, _) => place,
        }
    }

    fn of_list(place: &str, subject: &Subject<'_>) -> Self {
        Self::List(place.to_owned(), subject.issuer.public_key().raw.to_vec())
    }
}

/// All that is known.
#[derive(Default)]
pub struct Ledger(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    lists: BTreeMap<Key, (Date, Arc<List>)>,
    responses: BTreeMap<Key, (Date, Arc<Response>)>,
    failures: BTreeMap<Key, (Date, String)>,
}

/// A list that is known.
pub struct Known {
    /// Where it is from.
    pub place: String,
    /// The key that signed it, encoded as certificates hold it.
    pub signer: Vec<u8>,
    /// When it came.
    pub at: Date,
    /// The list.
    pub list: Arc<List>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pages = self.pages();
        let (lists, responses) = (pages.lists.len(), pages.responses.len());
        write!(f, "Ledger({lists} lists, {responses} responses)")
    }
}

/// How one certificate stands, as far as is known.
enum Step {
    Good,
    Passed(Trouble),
    Refused(Trouble),
    Ask(Box<Question>),
}

/// What one way has to say.
enum Found {
    Said(Status, String),
    Ask(Box<Question>),
    Nothing,
}

impl Ledger {
    /// Judges a path: a certificate, the one that signed it, and so on to the anchor.
    pub fn judge(&self, path: &[CertificateDer<'_>], settings: &Revocation, now: Date) -> Standing {
        let (mut passed, mut questions) = (Vec::new(), Vec::new());
        if settings.ladder.first() == Some(&Method::None) {
            return Standing::Clear(passed);
        }
        for (certificate, issuer) in path.iter().zip(path.iter().skip(1)) {
            // The verifier has read both.
            let Some(subject) = Subject::read(Link {
                certificate,
                issuer,
            }) else {
                continue;
            };
            match self.step(&subject, certificate, settings, now) {
                Step::Good => {}
                Step::Passed(trouble) => passed.push(trouble),
                Step::Refused(trouble) => return Standing::Refused(trouble),
                Step::Ask(question) => questions.push(*question),
            }
        }
        match questions.is_empty() {
            true => Standing::Clear(passed),
            false => Standing::Asked(questions),
        }
    }

    fn step(
        &self,
        subject: &Subject<'_>,
        certificate: &[u8],
        settings: &Revocation,
        now: Date,
    ) -> Step {
        let mut tried = Vec::new();
        for method in &settings.ladder {
            let found = match method {
                Method::None => {
                    let subject = subject.name();
                    return Step::Passed(Trouble::Unanswered { subject, tried });
                }
                Method::Crl => self.ask_lists(subject, certificate, settings, now, &mut tried),
                Method::Ocsp => {
                    self.ask_responders(subject, certificate, settings, now, &mut tried)
                }
            };
            match found {
                Found::Said(Status::Good, _) => return Step::Good,
                Found::Said(Status::Revoked { at, reason }, place) => {
                    return Step::Refused(Trouble::Revoked {
                        subject: subject.name(),
                        at,
                        reason,
                        place,
                    });
                }
                Found::Said(Status::Unknown, place) => {
                    tried.push(format!("{place} does not know it"));
                }
                Found::Ask(question) => return Step::Ask(question),
                Found::Nothing => {}
            }
        }
        Step::Refused(Trouble::Unanswered {
            subject: subject.name(),
            tried,
        })
    }

    fn ask_lists(
        &self,
        subject: &Subject<'_>,
        certificate: &[u8],
        settings: &Revocation,
        now: Date,
        tried: &mut Vec<String>,
    ) -> Found {
        let places = list_places(subject, settings);
        if places.is_empty() {
            tried.push("it names no place of a revocation list".into());
        }
        for place in places {
            let key = Key::of_list(&place, subject);
            let pages = self.pages();
            let known = pages.lists.get(&key).cloned();
            let failure = pages.failure(&key, now);
            drop(pages);
            let is_fresh = |at: &Date| now.0 < at.0 + i64::from(settings.crl.cache_minutes) * 60;
            let enforced = settings.crl.enforces_next_update;
            let usable = known.map(|(at, list)| {
                let status = list.check_dates(now, enforced);
                (at, status.and_then(|()| list.status(subject)))
            });
            match (usable, failure) {
                (Some((at, Ok(status))), _) if is_fresh(&at) => {
                    return Found::Said(status, format!("the list at {place}"));
                }
                // It may be kept no longer, but there is no newer one and it is not too old.
                (Some((_, Ok(status))), Some(_)) => {
                    return Found::Said(status, format!("the list at {place}"));
                }
                (_, Some(failure)) => tried.push(format!("{place}: {failure}")),
                // It was just got, and it is no use: another would be the same.
                (Some((at, Err(reason))), None) if now.0 < at.0 + RETRY_SECONDS => {
                    tried.push(format!("{place}: {reason}"));
                }
                _ => return Found::Ask(question(subject, certificate, key, None)),
            }
        }
        Found::Nothing
    }

    fn ask_responders(
        &self,
        subject: &Subject<'_>,
        certificate: &[u8],
        settings: &Revocation,
        now: Date,
        tried: &mut Vec<String>,
    ) -> Found {
        let places = responder_places(subject, settings);
        if places.is_empty() {
            tried.push("it names no OCSP responder".into());
        }
        for place in places {
            let key = Key::Status(place.clone(), subject.key());
            let pages = self.pages();
            let known = pages.responses.get(&key).cloned();
            let failure = pages.failure(&key, now);
            drop(pages);
            match (known, failure) {
                (Some((at, response)), _) if is_fresh(&response, at, now) => {
                    return Found::Said(response.status.clone(), format!("the responder {place}"));
                }
                (_, Some(failure)) => tried.push(format!("{place}: {failure}")),
                _ => {
                    let nonce = match settings.has_nonce {
                        true => ocsp::nonce(),
                        false => None,
                    };
                    return Found::Ask(question(subject, certificate, key, nonce));
                }
            }
        }
        Found::Nothing
    }

    /// What to ask for the lists about a certificate, whatever is known already.
    pub fn lists_of(&self, link: Link<'_>, settings: &Revocation) -> Vec<Question> {
        let Some(subject) = Subject::read(link) else {
            return Vec::new();
        };
        let ask = |place: String| {
            let key = Key::of_list(&place, &subject);
            *question(&subject, link.certificate, key, None)
        };
        list_places(&subject, settings)
            .into_iter()
            .map(ask)
            .collect()
    }

    /// What to ask about a certificate of ours, so that peers can be shown the answer: `None` if nobody answers about
    /// it. Without a nonce, since the peers have sent none.
    pub fn status_of(&self, link: Link<'_>, settings: &Revocation) -> Option<Question> {
        let subject = Subject::read(link)?;
        let place = responder_places(&subject, settings).into_iter().next()?;
        let key = Key::Status(place, subject.key());
        Some(*question(&subject, link.certificate, key, None))
    }

    /// Takes an answer. `Err` says why it is none, and is remembered for a while.
    pub fn learn(
        &self,
        question: &Question,
        answer: Result<&Answer, &str>,
        now: Date,
    ) -> Result<Learnt, String> {
        let learnt = answer
            .map_err(str::to_owned)
            .and_then(|answer| question.judge(answer, now));
        let mut pages = self.pages();
        match &learnt {
            Ok(learnt) => {
                pages.failures.remove(&question.key);
                match learnt {
                    Learnt::List(list) => {
                        let entry = (now, Arc::clone(list));
                        insert(&mut pages.lists, question.key.clone(), entry, MAX_LISTS);
                    }
                    Learnt::Response(response) => {
                        let entry = (now, Arc::clone(response));
                        let key = question.key.clone();
                        insert(&mut pages.responses, key, entry, MAX_RESPONSES);
                    }
                }
            }
            Err(reason) => {
                let entry = (now, reason.clone());
                insert(
                    &mut pages.failures,
                    question.key.clone(),
                    entry,
                    MAX_FAILURES,
                );
            }
        }
        learnt
    }

    /// The lists that are known, by place.
    pub fn lists(&self) -> Vec<Known> {
        let pages = self.pages();
        let known = pages
            .lists
            .iter()
            .filter_map(|(key, (at, list))| match key {
                Key::List(place, signer) => Some(Known {
                    place: place.clone(),
                    signer: signer.clone(),
                    at: *at,
                    list: Arc::clone(list),
                }),
                Key::Status(..) => None,
            });
        known.collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer taught.
#[derive(Clone)]
pub enum Learnt {
    /// A list.
    List(Arc<List>),
    /// An answer of a responder.
    Response(Arc<Response>),
}

impl Question {
    /// What to ask for a list that is about a certificate; `None` if those are no certificates.
    pub fn of_list(place: &str, link: Link<'_>) -> Option<Self> {
        let subject = Subject::read(link)?;
        let key = Key::of_list(place, &subject);
        Some(*question(&subject, link.certificate, key, None))
    }

    /// The certificate that it is about, and who signed it.
    pub fn link(&self) -> Link<'_> {
        Link {
            certificate: &self.certificate,
            issuer: &self.issuer,
        }
    }

    fn judge(&self, answer: &Answer, now: Date) -> Result<Learnt, String> {
        if answer.status != 200 {
            return Err(format!("the server answers with status {}", answer.status));
        }
        let subject = Subject::read(self.link()).ok_or("nobody asked that")?;
        match &self.key {
            Key::List(..) => {
                List::read(&answer.body, &subject).map(|list| Learnt::List(Arc::new(list)))
            }
            Key::Status(..) => Response::read(&answer.body, &subject, self.nonce.as_ref(), now)
                .map(|response| Learnt::Response(Arc::new(response))),
        }
    }
}

impl Pages {
    fn failure(&self, key: &Key, now: Date) -> Option<String> {
        let (at, reason) = self.failures.get(key)?;
        (now.0 < at.0 + RETRY_SECONDS).then(|| reason.clone())
    }
}

fn question(
    subject: &Subject<'_>,
    certificate: &[u8],
    key: Key,
    nonce: Option<OcspNonce>,
) -> Box<Question> {
    let url = key.place().to_owned();
    let ask = match &key {
        Key::List(..) => Ask {
            body: None,
            url,
            accept: "application/pkix-crl",
        },
        Key::Status(..) => Ask {
            body: Some(Body {
                content_type: "application/ocsp-request",
                // Nothing of it can fail to be written; if it did, the responder would say so.
                bytes: ocsp::request(subject, nonce.as_ref()).unwrap_or_default(),
            }),
            url,
            accept: "application/ocsp-response",
        },
    };
    Box::new(Question {
        ask,
        key,
        certificate: certificate.to_vec(),
        issuer: subject.issuer_der.to_vec(),
        nonce,
    })
}

fn list_places(subject: &Subject<'_>, settings: &Revocation) -> Vec<String> {
    let mut places = match settings.crl.policy {
        Policy::Static => Vec::new(),
        Policy::Cdp | Policy::Both => subject.lists(),
    };
    places.truncate(MAX_PLACES);
    if settings.crl.policy != Policy::Cdp {
        places.extend(settings.crl.urls.iter().map(|(_, url)| url.clone()));
    }
    places
}

fn responder_places(subject: &Subject<'_>, settings: &Revocation) -> Vec<String> {
    match &settings.ocsp_url {
        Some(url) => vec![url.clone()],
        None => subject.responders().into_iter().take(MAX_PLACES).collect(),
    }
}

/// Without a next update a responder says that it may know more at any time.
fn is_fresh(response: &Response, at: Date, now: Date) -> bool {
    let seconds = match response.next_update {
        Some(_) => KEEP_SECONDS,
        None => RETRY_SECONDS,
    };
    now.0 < at.0 + seconds && response.check_dates(now).is_ok()
}

/// Puts something in; the oldest makes room.
fn insert<V>(map: &mut BTreeMap<Key, (Date, V)>, key: Key, entry: (Date, V), most: usize) {
    if map.len() >= most && !map.contains_key(&key) {
        let oldest = map.iter().min_by_key(|(_, (at, _))| *at);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            map.remove(&oldest);
        }
    }
    map.insert(key, entry);
}

/// How long nobody is asked again who had no answer.
const RETRY_SECONDS: i64 = 60;
/// How long an answer of a responder is kept at most.
const KEEP_SECONDS: i64 = 3600;
/// Places that a certificate names and that are asked; each may take its time.
const MAX_PLACES: usize = 2;
/// Lists that are kept. Public authorities have a handful for all their certificates.
const MAX_LISTS: usize = 64;
/// Answers of responders that are kept.
const MAX_RESPONSES: usize = 4096;
/// Places that are remembered not to have answered.
const MAX_FAILURES: usize = 1024;
