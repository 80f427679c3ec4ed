//! One session: all messages with one Call-ID, and where they are in their life.
//!
//! Comes in: messages that passed and the time. A session is transient until somebody answers it; its deadline follows
//! from what it is and from the timers. RFC 3261 §12, §13, §17; RFC 6665 for subscriptions.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use super::address::{addresses, param};
use super::field::Field;
use super::limits::{EXCHANGE_TIMEOUT, EXPIRES_DEFAULT_S, EXPIRES_MARGIN, EXPIRES_S, TRANSACTIONS};
use super::memory::Memory;
use super::message::Message;
use super::pinhole::{Pinhole, PinholeId};
use super::scan::number;
use super::timeouts::Timeouts;
use super::translate::Way;
use crate::flow::Time;

/// What a session is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// INVITE.
    Call,
    /// SUBSCRIBE or REFER.
    Subscription,
    /// REGISTER.
    Registration,
    /// A request that its answer ends: MESSAGE, OPTIONS, PUBLISH.
    Exchange,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody answered yet.
    Transient,
    /// Answered.
    Active,
    /// Over: late messages may still come.
    Ended,
}

/// A request and what answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transaction {
    sequence: u32,
    /// Hash of the method.
    method: u64,
    way: Way,
}

/// What a pinhole is in the exchange of an offer and its answer (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// In force.
    Kept,
    /// Of an offer that nobody took yet.
    Fresh,
    /// Of media that the last offer left out.
    Stale,
}

/// A pinhole of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub id: PinholeId,
    pub pinhole: Pinhole,
    pub mark: Mark,
    /// Which medium; `None` for signalling.
    pub medium: Option<usize>,
    /// It closes then, if nothing confirms it (`sip-provisional-media`).
    pub until: Option<Time>,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The beginning of its Call-ID.
    pub call_id: Box<[u8]>,
    /// Whoever began it.
    pub source: Ipv4Addr,
    /// What it is about.
    pub kind: Kind,
    /// Where it is in its life.
    pub state: State,
    /// When it began.
    pub began: Time,
    /// When its last message passed.
    pub last: Time,
    /// When the subscription or registration ends.
    pub expires: Option<Time>,
    pub(super) tags: VecDeque<u64>,
    transactions: VecDeque<Transaction>,
    pub(super) memory: Memory,
    pub(super) pinholes: Vec<Held>,
    /// Media address by medium, of the sender on the real and on the mapped side.
    pub(super) media: [Vec<(usize, Ipv4Addr)>; 2],
    pub(super) due: Option<Time>,
    /// Names of its Call-ID: as it is, and as the mapped side sees it.
    pub(super) keys: [Option<u128>; 2],
}

impl Session {
    pub(super) fn new(now: Time, call_id: &[u8], source: Ipv4Addr) -> Self {
        Self {
            call_id: call_id.into(),
            source,
            kind: Kind::Exchange,
            state: State::Transient,
            began: now,
            last: now,
            expires: None,
            tags: VecDeque::new(),
            transactions: VecDeque::new(),
            memory: Memory::default(),
            pinholes: Vec::new(),
            media: [Vec::new(), Vec::new()],
            due: None,
            keys: [None, None],
        }
    }

    /// Whether a message fits what was seen: `state-checking`. `tags` are those of From and To.
    pub(super) fn expects(
        &self,
        message: &Message<'_>,
        way: Way,
        method: u64,
        tags: [Option<u64>; 2],
    ) -> bool {
        if message.code().is_some() {
            let sequence = sequence(message);
            return self
                .transactions
                .iter()
                .any(|one| (one.sequence, one.method, one.way) == (sequence, method, way.back()));
        }
        match message.method() {
            // They answer or end what an INVITE began (RFC 3261 §9.1 and §17.1.1.3).
            b"ACK" | b"CANCEL" => {
                let sequence = sequence(message);
                self.kind == Kind::Call
                    && self
                        .transactions
                        .iter()
                        .any(|one| one.sequence == sequence && one.way == way)
            }
            b"BYE" | b"PRACK" | b"UPDATE" => self.kind == Kind::Call && self.knows(tags),
            // A request inside a dialog names both tags of it.
            _ => tags[1].is_none() || self.knows(tags),
        }
    }

    fn knows(&self, tags: [Option<u64>; 2]) -> bool {
        let known = tags.iter().flatten();
        known.into_iter().all(|tag| self.tags.contains(tag))
    }

    /// Notes who takes part.
    pub(super) fn note_tags(&mut self, tags: [Option<u64>; 2]) {
        for tag in tags.into_iter().flatten() {
            if !self.tags.contains(&tag) {
                remember(&mut self.tags, tag);
            }
        }
    }

    /// A request passed.
    pub(super) fn request(&mut self, now: Time, message: &Message<'_>, way: Way, method: u64) {
        self.last = now;
        let transaction = Transaction {
            sequence: sequence(message),
            method,
            way,
        };
        if message.method() != b"ACK" && !self.transactions.contains(&transaction) {
            remember(&mut self.transactions, transaction);
        }
        match message.method() {
            b"INVITE" => {
                self.kind = Kind::Call;
                self.revive();
            }
            b"SUBSCRIBE" | b"REFER" if self.kind != Kind::Call => {
                self.kind = Kind::Subscription;
                self.revive();
                self.expire(now, message);
            }
            b"NOTIFY" if self.kind == Kind::Exchange => self.kind = Kind::Subscription,
            b"REGISTER" => {
                self.kind = Kind::Registration;
                self.revive();
                self.expire(now, message);
            }
            b"BYE" => self.state = State::Ended,
            b"CANCEL" if self.state == State::Transient => self.state = State::Ended,
            _ if self.kind == Kind::Exchange => self.revive(),
            _ => {}
        }
        let says = message.value(Field::SubscriptionState);
        let is_over = says.len() >= 10 && says[..10].eq_ignore_ascii_case(b"terminated");
        if message.method() == b"NOTIFY" && is_over && self.kind == Kind::Subscription {
            self.state = State::Ended;
        }
    }

    /// A refused or ended session begins again: with credentials, or with the next of its kind.
    fn revive(&mut self) {
        if self.state == State::Ended {
            self.state = State::Transient;
        }
    }

    /// An answer passed. Returns whether media pinholes must close now.
    pub(super) fn response(&mut self, now: Time, message: &Message<'_>, code: u16) -> bool {
        self.last = now;
        let is_final = code >= 200;
        let is_good = (200..300).contains(&code);
        match (message.method(), self.kind) {
            (b"INVITE", Kind::Call) if is_good => {
                if self.state == State::Transient {
                    self.state = State::Active;
                }
                false
            }
            (b"INVITE", Kind::Call) if is_final && self.state == State::Transient => {
                self.state = State::Ended;
                true
            }
            (b"BYE", _) if is_final => {
                self.state = State::Ended;
                true
            }
            (b"CANCEL", Kind::Call) if is_final => self.state == State::Ended,
            (b"SUBSCRIBE" | b"REFER", Kind::Subscription) | (b"REGISTER", Kind::Registration) => {
                if is_good {
                    self.state = State::Active;
                    self.expire(now, message);
                } else if is_final && self.state == State::Transient {
                    self.state = State::Ended;
                }
                false
            }
            (_, Kind::Exchange) if is_final => {
                self.state = State::Ended;
                false
            }
            _ => false,
        }
    }

    /// Notes how long a subscription or registration lasts. RFC 3261 §10.3: a Contact may say it for itself.
    fn expire(&mut self, now: Time, message: &Message<'_>) {
        let seconds = contact_expires(message)
            .or_else(|| message.number(Field::Expires))
            .unwrap_or(if message.header(Field::Expires).is_some() {
                EXPIRES_S
            } else {
                EXPIRES_DEFAULT_S
            });
        if seconds == 0 {
            if message.code().is_some() {
                self.state = State::Ended;
            }
            return;
        }
        let life = Time::from_secs(seconds.min(EXPIRES_S).into());
        self.expires = Some(now.saturating_add(life));
    }

    /// When it ends, if nothing more comes.
    pub(super) fn ends(&self, timeouts: &Timeouts) -> Option<Time> {
        let after = |time: Time| self.last.saturating_add(time);
        match (self.state, self.kind) {
            (State::Ended, Kind::Exchange) => Some(after(EXCHANGE_TIMEOUT)),
            (State::Ended, _) => Some(after(timeouts.disconnect.unwrap_or(EXCHANGE_TIMEOUT))),
            (_, Kind::Exchange) => Some(after(EXCHANGE_TIMEOUT)),
            (State::Transient, Kind::Call) => timeouts.invite.or(timeouts.sip).map(after),
            (State::Active, Kind::Call) => timeouts.sip.map(after),
            (_, Kind::Subscription | Kind::Registration) => {
                let idle = after(timeouts.sip?);
                let own = self.expires.map(|at| at.saturating_add(EXPIRES_MARGIN));
                Some(own.map_or(idle, |own| own.max(idle)))
            }
        }
    }

    /// The next time that something of it ends.
    pub(super) fn next_due(&self, timeouts: &Timeouts) -> Option<Time> {
        let pinholes = self.pinholes.iter().filter_map(|held| held.until);
        self.ends(timeouts).into_iter().chain(pinholes).min()
    }
}

/// `expires` of the first Contact.
fn contact_expires(message: &Message<'_>) -> Option<u32> {
    let list = addresses(message.bytes, message.header(Field::Contact)?);
    let value = param(message.bytes, &list.values.first()?.params, "expires")?.value?;
    // RFC 4475 §3.1.2.5: more than fits is as long as may be.
    Some(number(value.of(message.bytes)).unwrap_or(EXPIRES_S))
}

fn sequence(message: &Message<'_>) -> u32 {
    message
        .cseq()
        .and_then(|(digits, _)| number(digits))
        .unwrap_or(u32::MAX)
}

/// Adds to a short memory.
fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() == TRANSACTIONS {
        memory.pop_front();
    }
    memory.push_back(item);
}
