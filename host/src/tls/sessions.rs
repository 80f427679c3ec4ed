//! All sessions: who may begin one, and what is in use.
//!
//! Comes in: that a peer connected, that a session ended, the time. Goes out: a number for the session, or a refusal
//! that is counted and, once an interval, said. Sessions in use are never ended by a limit.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limits::{Application, Limits, Over, Usage};
use super::session::{Place, Session, Side};
use crate::punt::Event;

/// Number of a session, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: Limits,
    usage: Usage,
    most: u32,
    next: u64,
    open: BTreeMap<SessionId, Open>,
    proxies: BTreeMap<String, Counts>,
    refused: BTreeMap<&'static str, u64>,
    said: BTreeMap<&'static str, (Duration, u64)>,
}

/// A session in use.
#[derive(Clone, Debug)]
pub struct Open {
    /// What it is for.
    pub application: Application,
    /// The proxy that it belongs to.
    pub proxy: String,
    /// How it was when its owner looked last.
    pub seen: Option<Seen>,
}

/// What a session is, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who dialled.
    pub dialler: Place,
    /// Who was dialled.
    pub dialled: Place,
    /// Text bytes that passed.
    pub bytes: u64,
    /// Cipher suite of the leg to whoever dialled, once its handshake is done.
    pub server: Option<String>,
    /// Cipher suite of the leg to whom we dialled, once its handshake is done.
    pub client: Option<String>,
}

/// What a proxy has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions in use.
    pub active: u32,
    /// The most that were in use at once.
    pub most: u32,
    /// Text bytes of sessions that ended.
    pub bytes: u64,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            usage: Usage::default(),
            most: 0,
            next: 1,
            open: BTreeMap::new(),
            proxies: BTreeMap::new(),
            refused: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits, to be changed.
    pub fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Begins a session, if there may be one more. A refusal comes with a line for the log, once an interval.
    pub fn open(
        &mut self,
        now: Duration,
        application: Application,
        proxy: &str,
        dialler: &Place,
        dialled: &Place,
    ) -> Result<SessionId, (Over, Option<Event>)> {
        if let Err(over) = self.usage.admit(&self.limits, application, 1) {
            return Err((over, self.refuse(now, over, dialler, dialled)));
        }
        self.most = self.most.max(self.usage.total);
        let counts = self.proxies.entry(proxy.to_owned()).or_default();
        counts.active += 1;
        counts.most = counts.most.max(counts.active);
        let id = SessionId(self.next);
        self.next += 1;
        let open = Open {
            application,
            proxy: proxy.to_owned(),
            seen: None,
        };
        self.open.insert(id, open);
        Ok(id)
    }

    /// Notes how a session is.
    pub fn see(&mut self, id: SessionId, session: &Session) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        match &mut open.seen {
            // Nothing else changes any more.
            Some(seen) if seen.server.is_some() && seen.client.is_some() => {
                seen.bytes = session.bytes();
            }
            seen => *seen = Some(Seen::of(session)),
        }
    }

    /// Ends a session.
    pub fn close(&mut self, id: SessionId, bytes: u64) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        self.usage.release(open.application, 1);
        let counts = self.proxies.entry(open.proxy).or_default();
        counts.active = counts.active.saturating_sub(1);
        counts.bytes += bytes;
    }

    /// What is in use.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The most that was in use at once.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Sessions in use, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Open)> {
        self.open.iter().map(|(id, open)| (*id, open))
    }

    /// What a proxy has done.
    pub fn counts(&self, proxy: &str) -> Counts {
        let known = self.proxies.get(proxy).copied().unwrap_or_default();
        let running = self.open.values().filter(|open| open.proxy == proxy);
        let bytes: u64 = running
            .filter_map(|open| open.seen.as_ref())
            .map(|seen| seen.bytes)
            .sum();
        Counts {
            bytes: known.bytes + bytes,
            ..known
        }
    }

    /// Sessions that were refused, by limit.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    fn refuse(
        &mut self,
        now: Duration,
        over: Over,
        dialler: &Place,
        dialled: &Place,
    ) -> Option<Event> {
        let (name, id) = match over {
            Over::Proxy(_) => ("tls-proxy-limit", 446_001),
            Over::Licence(_) => ("uc-licence-limit", 446_003),
            Over::Media(_) => ("srtp-limit", 446_001),
        };
        let total = self.refused.entry(name).or_default();
        *total += 1;
        let total = *total;
        let last = self.said.get(name).copied();
        if last.is_some_and(|(said, _)| now < said + SAY_EVERY) {
            return None;
        }
        self.said.insert(name, (now, total));
        let before = last.map_or(0, |(_, total)| total);
        let text = format!(
            "Denied TLS Proxy session from {dialler} to {dialled}: {over} ({} refused since last told)",
            total - before
        );
        Some(Event {
            severity: 4,
            id,
            text,
        })
    }
}

impl Seen {
    fn of(session: &Session) -> Self {
        let (dialler, dialled) = session.places();
        let suite = |side| session.about(side).map(|about| about.suite.clone());
        Self {
            dialler: dialler.clone(),
            dialled: dialled.clone(),
            bytes: session.bytes(),
            server: suite(Side::Server),
            client: suite(Side::Client),
        }
    }
}

/// How often a refusal is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::limits::PROFILES;

    const APPLICATION: Application = Application::PresenceFederation;

    fn place(port: u16) -> Place {
        Place {
            interface: "outside".into(),
            address: ([192, 0, 2, 254], port).into(),
        }
    }

    fn open(sessions: &mut Sessions, seconds: u64) -> Result<SessionId, (Over, Option<Event>)> {
        let now = Duration::from_secs(seconds);
        sessions.open(now, APPLICATION, "p", &place(50_437), &place(5_061))
    }

    #[test]
    fn over_the_limit_sessions_are_refused_counted_and_said_once_an_interval() {
        let mut sessions = Sessions::new(Limits::new(&PROFILES[0]));
        let first = open(&mut sessions, 0).expect("room");
        open(&mut sessions, 0).expect("room");
        let said = |result: Result<SessionId, (Over, Option<Event>)>| {
            let (over, event) = result.expect_err("no room");
            assert_eq!(over, Over::Licence(2));
            event.map(|event| event.to_string())
        };
        let line = said(open(&mut sessions, 1)).expect("the first is said");
        assert_eq!(
            line,
            "%ASA-4-446003: Denied TLS Proxy session from outside:192.0.2.254/50437 to outside:192.0.2.254/5061: \
             UC proxy license limit of 2 sessions reached (1 refused since last told)"
        );
        assert_eq!(said(open(&mut sessions, 2)), None);
        assert_eq!(said(open(&mut sessions, 60)), None);
        let line = said(open(&mut sessions, 61)).expect("said again");
        assert!(line.contains("(3 refused since last told)"), "{line}");
        assert_eq!(sessions.refused().get("uc-licence-limit"), Some(&4));
        assert_eq!((sessions.usage().total, sessions.most()), (2, 2));
        sessions.close(first, 10);
        open(&mut sessions, 62).expect("room again");
        assert_eq!(
            sessions.counts("p"),
            Counts {
                active: 2,
                most: 2,
                bytes: 10
            }
        );
    }

    #[test]
    fn a_limit_that_sinks_leaves_sessions_alone() {
        let mut sessions = Sessions::new(Limits::new(&PROFILES[10]));
        let all: Vec<SessionId> = (0..3)
            .map(|_| open(&mut sessions, 0).expect("room"))
            .collect();
        sessions.limits_mut().configure(1).expect("low");
        assert_eq!(sessions.iter().count(), 3);
        assert!(open(&mut sessions, 0).is_err());
        for id in all {
            sessions.close(id, 0);
            // Ending one twice frees nothing twice.
            sessions.close(id, 0);
        }
        assert_eq!(sessions.usage(), Usage::default());
        open(&mut sessions, 0).expect("room");
        assert!(open(&mut sessions, 0).is_err());
    }
}
