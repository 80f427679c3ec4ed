//! Whoever asks about certificates: lists and OCSP responders, over HTTP, on a thread of its own.
//!
//! Comes in: questions of sessions that wait. Goes out: that the ledger knows more. Sessions that want to know the same
//! wait for one exchange. The thread also keeps what responders say of our own certificates fresh, so that it can be
//! shown with them. RFC 6066 §8.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clock::Clock;
use crate::enrol::http;
use crate::pki::Date;
use crate::pki::enrol::Answer;
use crate::pki::revocation::{Key, Learnt, Ledger, Link, List, Question, Response, Status};
use crate::pki::settings::Revocation;
use crate::punt::Event;
use crate::tcp::adapter::Ask;
use crate::tls::keys::Identity;

/// One of our certificates, and how a responder is asked about it.
#[derive(Clone, Debug)]
pub struct Own {
    /// The certificate, as it is shown.
    pub identity: Identity,
    /// What its trustpoint says of revocation.
    pub settings: Revocation,
}

/// Takes lists that are new.
pub type Keep = Box<dyn FnMut(&Question, &List, Date) + Send>;

/// Gives our certificates that are shown with what a responder says of them, when those are others than before.
pub type Changed = Box<dyn FnMut() -> Option<Vec<Own>> + Send>;

/// What the thread begins with.
pub struct Setup {
    /// What is known.
    pub ledger: Arc<Ledger>,
    /// The time.
    pub clock: Clock,
    /// Asked at the start and from time to time.
    pub own: Changed,
    /// The log.
    pub log: Box<dyn FnMut(&Event) + Send>,
    /// Takes lists that are new, to be there after a restart.
    pub keep: Keep,
}

type Wanted = (Question, oneshot::Sender<()>);

/// The thread. It ends when this is dropped.
pub struct Answers {
    questions: Option<UnboundedSender<Wanted>>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Starts it.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let (questions, received) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let desk = Desk {
            changed: setup.own,
            own: Vec::new(),
            ledger: setup.ledger,
            clock: setup.clock,
            log: setup.log,
            keep: setup.keep,
            waiting: HashMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("revocation".into())
            .spawn(move || runtime.block_on(desk.run(received)))?;
        Ok(Self {
            questions: Some(questions),
            thread: Some(thread),
        })
    }

    /// Somebody who may ask, for as long as this is here.
    pub fn asker(&self) -> Ask {
        let questions = self.questions.as_ref().map(UnboundedSender::downgrade);
        Arc::new(move |question| {
            let (answered, answer) = oneshot::channel();
            let questions = questions.as_ref().and_then(|weak| weak.upgrade());
            if let Some(questions) = questions {
                // A thread that has ended drops the sender, and that is an answer too.
                let _ = questions.send((question, answered));
            }
            answer
        })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been told there.
            let _ = thread.join();
        }
    }
}

/// What the thread holds.
struct Desk {
    changed: Changed,
    own: Vec<Kept>,
    ledger: Arc<Ledger>,
    clock: Clock,
    log: Box<dyn FnMut(&Event) + Send>,
    keep: Keep,
    waiting: HashMap<Key, Vec<Waiting>>,
}

/// One of our certificates.
struct Kept {
    own: Own,
    /// When it is to be asked about again.
    due: Duration,
    /// What was asked about last; it may have been renewed since.
    asked: Option<CertificateDer<'static>>,
}

/// Who waits for an answer.
enum Waiting {
    Session(oneshot::Sender<()>),
    /// One of our certificates, by its place.
    Own(usize, CertificateDer<'static>),
}

type Fetched = (Question, Result<Answer, String>);

impl Desk {
    async fn run(mut self, mut questions: UnboundedReceiver<Wanted>) {
        let mut fetching = JoinSet::new();
        loop {
            self.look_for_others();
            self.refresh(&mut fetching);
            let due = self.own.iter().map(|kept| kept.due).min();
            let due = due.map(|due| due.saturating_sub(self.clock.now()));
            // In between it is seen whether one was renewed, or is new.
            let rest = due.map_or(AGAIN, |due| due.min(AGAIN));
            tokio::select! {
                wanted = questions.recv() => match wanted {
                    Some((question, answered)) => {
                        self.fetch(&mut fetching, question, Waiting::Session(answered));
                    }
                    None => return,
                },
                Some(fetched) = fetching.join_next() => {
                    if let Ok((question, answer)) = fetched {
                        self.take(&question, answer);
                    }
                }
                () = sleep(rest) => {}
            }
        }
    }

    /// Asks, unless it is being asked already.
    fn fetch(&mut self, fetching: &mut JoinSet<Fetched>, question: Question, waiting: Waiting) {
        let others = self.waiting.entry(question.key.clone()).or_default();
        others.push(waiting);
        if others.len() > 1 {
            return;
        }
        fetching.spawn(async move {
            let answer = match timeout(PATIENCE, http::fetch_signed(&question.ask)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
            };
            (question, answer)
        });
    }

    fn take(&mut self, question: &Question, answer: Result<Answer, String>) {
        let now = Date::from(self.clock.now());
        let answer = answer.as_ref().map_err(String::as_str);
        let learnt = self.ledger.learn(question, answer, now);
        if let Ok(Learnt::List(list)) = &learnt {
            (self.keep)(question, list, now);
        }
        for waiting in self.waiting.remove(&question.key).unwrap_or_default() {
            match waiting {
                Waiting::Session(answered) => {
                    // The session may have ended.
                    let _ = answered.send(());
                }
                Waiting::Own(at, asked) => self.staple(at, &asked, &learnt),
            }
        }
    }

    /// Takes those of our certificates that are shown now.
    fn look_for_others(&mut self) {
        let Some(own) = (self.changed)() else {
            return;
        };
        // An answer that is on its way is about one of those before.
        for waiting in self.waiting.values_mut() {
            waiting.retain(|one| matches!(one, Waiting::Session(_)));
        }
        let kept = |own| Kept {
            own,
            due: Duration::ZERO,
            asked: None,
        };
        self.own = own.into_iter().map(kept).collect();
    }

    /// Asks about those of our certificates whose time has come.
    fn refresh(&mut self, fetching: &mut JoinSet<Fetched>) {
        let now = self.clock.now();
        for at in 0..self.own.len() {
            let kept = &mut self.own[at];
            let link = kept.own.identity.link();
            let certificate = link.as_ref().map(|[own, _]| own.clone());
            if kept.due > now && kept.asked == certificate {
                continue;
            }
            // Until an answer says when the next is due.
            kept.due = now + PATIENCE + AGAIN;
            kept.asked = certificate;
            let question = link.and_then(|link| {
                let [certificate, issuer] = &link;
                let link = Link {
                    certificate,
                    issuer,
                };
                let question = self.ledger.status_of(link, &kept.own.settings)?;
                Some((question, certificate.clone()))
            });
            match question {
                Some((question, own)) => self.fetch(fetching, question, Waiting::Own(at, own)),
                // Nobody answers about it: ask when it may be another.
                None => self.own[at].due = now + DAY,
            }
        }
    }

    /// Shows what a responder says of our certificate with it.
    fn staple(&mut self, at: usize, asked: &CertificateDer<'_>, learnt: &Result<Learnt, String>) {
        let now = self.clock.now();
        let Kept { own, due, .. } = &mut self.own[at];
        let name = own.identity.trustpoint.clone();
        let told = match learnt {
            Ok(Learnt::Response(response)) => {
                *due = now + refresh_after(response, Date::from(now));
                let is_good = response.status == Status::Good;
                let staple = is_good.then(|| response.der.clone());
                own.identity.staple(asked, staple);
                match &response.status {
                    Status::Good => return,
                    Status::Unknown => "the responder does not know it".to_owned(),
                    Status::Revoked { at, .. } => format!("it was revoked at {at}: enroll again"),
                }
            }
            Ok(Learnt::List(_)) => return,
            // What is shown goes on being shown: peers judge its dates themselves.
            Err(reason) => {
                *due = now + AGAIN;
                reason.clone()
            }
        };
        (self.log)(&Event {
            severity: 4,
            id: 717_032,
            text: format!("Revocation status of our own certificate of trustpoint {name}: {told}"),
        });
    }
}

/// Half way to the next update, so that a responder that is down for a while does no harm.
fn refresh_after(response: &Response, now: Date) -> Duration {
    let left = response.next_update.map_or(0, |next| next.0 - now.0);
    let half = Duration::from_secs(u64::try_from(left / 2).unwrap_or(0));
    half.clamp(AGAIN, DAY)
}

/// How long an exchange may take: a handshake waits for it.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long after a failure somebody is asked again about our own certificate.
const AGAIN: Duration = Duration::from_secs(60);
/// How long after anything at the latest.
const DAY: Duration = Duration::from_secs(24 * 3600);
