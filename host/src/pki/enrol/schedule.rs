//! When to ask for the next certificate, and what to say of the one there is.
//!
//! Comes in: a trustpoint, its settings, how attempts went, the time, a seed. Goes out: what to do next and when. Seeds
//! spread firewalls that were enrolled at once, and nothing else: the same seed gives the same answer.

use crate::pki::settings::{Enrolment, Retry};
use crate::pki::trustpoint::State;
use crate::pki::{Certificate, Date, Settings, Trustpoint};

/// How attempts went since the last certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Those that failed, one after the other.
    pub failures: u32,
    /// When the authority was asked last.
    pub last: Option<Date>,
    /// Seconds after which it wants to be asked again, if it said.
    pub named: Option<u32>,
    /// When the authority suggests to renew (RFC 9773), if it said.
    pub window: Option<(Date, Date)>,
}

/// What to do, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Ask whether the certificate is there by now.
    Poll(Date),
    /// Ask for the next certificate.
    Renew(Date),
}

impl Task {
    /// When.
    pub fn at(self) -> Date {
        match self {
            Self::Poll(at) | Self::Renew(at) => at,
        }
    }
}

/// What a trustpoint needs next, if anything.
pub fn next(
    trustpoint: &Trustpoint,
    settings: &Settings,
    attempts: &Attempts,
    now: Date,
    seed: u64,
) -> Option<Task> {
    if !matches!(settings.enrolment, Enrolment::Network(_)) {
        return None;
    }
    let waits = trustpoint
        .pending
        .as_ref()
        .is_some_and(|own| !own.memo.is_empty());
    if waits {
        if is_given_up(&settings.retry, attempts) {
            return None;
        }
        let period = attempts.named.unwrap_or(settings.retry.period_minutes * 60);
        let last = attempts.last.unwrap_or(Date(now.0 - i64::from(period)));
        return Some(Task::Poll(Date(last.0.saturating_add(period.into()))));
    }
    let renewal = settings.renewal?;
    let due = match (trustpoint.state(), &trustpoint.identity) {
        // A request that was interrupted is made again at once.
        (State::Renewing, _) => now,
        (_, Some(identity)) => due(identity, renewal.percent, attempts.window, seed),
        // Where an authority looks at a port of ours, only a firewall that runs can show it what it looks for.
        (_, None) if has_authority(trustpoint) && settings.proves_at_a_port() => now,
        (_, None) => return None,
    };
    Some(Task::Renew(match (attempts.failures, attempts.last) {
        (0, _) | (_, None) => due,
        (failures, Some(last)) => due.max(Date(last.0.saturating_add(pause(
            failures,
            settings.retry.period_minutes,
            seed,
        )))),
    }))
}

fn has_authority(trustpoint: &Trustpoint) -> bool {
    let authority = trustpoint.authority.as_ref();
    authority.is_some_and(|authority| authority.is_ca)
}

/// When a certificate is to be renewed: in the authority's window, or when its part of the life is over; in any case
/// while it is still valid.
pub fn due(
    certificate: &Certificate,
    percent: u8,
    window: Option<(Date, Date)>,
    seed: u64,
) -> Date {
    let life = certificate
        .not_after
        .0
        .saturating_sub(certificate.not_before.0)
        .max(0);
    if let Some((start, end)) = window {
        let length = end.0.saturating_sub(start.0);
        return Date(start.0.saturating_add(part(length, seed)));
    }
    let begin = life.saturating_mul(percent.into()) / 100;
    // A hundredth of the life, and no more than what is left.
    let spread = (life / 100).min(life - begin);
    Date(
        certificate
            .not_before
            .0
            .saturating_add(begin)
            .saturating_add(part(spread, seed)),
    )
}

/// Seconds after the last of so many failures: twice as long after each, at most a day, less up to a quarter.
pub fn pause(failures: u32, period_minutes: u32, seed: u64) -> i64 {
    let doubled =
        i64::from(period_minutes.max(1)) << failures.saturating_sub(1).min(MOST_DOUBLINGS);
    let seconds = doubled.saturating_mul(60).min(LONGEST_PAUSE);
    seconds - part(seconds / 4, seed.wrapping_add(failures.into()))
}

/// `enrollment retry count`: so many questions of one request.
fn is_given_up(retry: &Retry, attempts: &Attempts) -> bool {
    retry.count > 0 && attempts.failures >= retry.count
}

/// What an operator should hear about a certificate now: a word a day in its last month. `told` is when it was said last.
pub fn warning(
    name: &str,
    identity: &Certificate,
    now: Date,
    told: Option<Date>,
) -> Option<String> {
    if told.is_some_and(|told| now < told.plus_days(1)) {
        return None;
    }
    if now < identity.not_before {
        return Some(format!(
            "The certificate of trustpoint {name} is not valid before {}, but it is {now} here: is the clock right?",
            identity.not_before
        ));
    }
    if now > identity.not_after {
        return Some(format!(
            "The certificate of trustpoint {name} expired at {}; peers refuse it",
            identity.not_after
        ));
    }
    let left = identity.not_after.0 - now.0;
    let life = identity.not_after.0 - identity.not_before.0;
    // One that lives for a week is renewed in its last days, and needs no word before.
    let late = (30 * DAY).min(life / 10);
    (left < late).then(|| {
        format!(
            "The certificate of trustpoint {name} expires at {}, in {} days",
            identity.not_after,
            left / DAY
        )
    })
}

/// A part of a span that follows from a seed (splitmix64).
fn part(span: i64, seed: u64) -> i64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    match u64::try_from(span) {
        Ok(span @ 1..) => i64::try_from(mixed % span).unwrap_or(0),
        _ => 0,
    }
}

const DAY: i64 = 24 * 3600;
const LONGEST_PAUSE: i64 = DAY;
const MOST_DOUBLINGS: u32 = 11;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::key::Wanted;
    use crate::pki::settings::{Challenge, Renewal, Server, Via};
    use crate::pki::{Key, request};

    const NOW: Date = Date(1_793_527_200);

    fn enrolled() -> (Trustpoint, Settings) {
        let settings = Settings {
            name: "pub".into(),
            enrolment: Enrolment::Network(Server {
                protocol: Via::Est,
                url: "https://ca.example".into(),
            }),
            renewal: Some(Renewal {
                percent: 80,
                regenerates: false,
            }),
            ..Settings::default()
        };
        let key = Key::generate("k", Wanted::Ecdsa(256)).expect("a key");
        let made = request::self_signed(&settings, &key, NOW).expect("a certificate");
        let mut trustpoint = Trustpoint::new("pub");
        trustpoint.replace(made, Vec::new(), &key, NOW);
        (trustpoint, settings)
    }

    fn task(trustpoint: &Trustpoint, settings: &Settings, attempts: &Attempts) -> Option<Task> {
        next(trustpoint, settings, attempts, NOW, 7)
    }

    #[test]
    fn a_certificate_is_renewed_when_its_part_of_the_life_is_over() {
        let (trustpoint, mut settings) = enrolled();
        let none = Attempts::default();
        let Some(Task::Renew(at)) = task(&trustpoint, &settings, &none) else {
            panic!("it is to be renewed")
        };
        let days = (at.0 - NOW.0) / DAY;
        assert!((2921..2921 + 37).contains(&days), "{days}");
        let window = Some((NOW.plus_days(3), NOW.plus_days(4)));
        let told = Attempts { window, ..none };
        let at = task(&trustpoint, &settings, &told).expect("a task").at();
        assert!(NOW.plus_days(3) <= at && at < NOW.plus_days(4), "{at}");
        settings.renewal = None;
        assert_eq!(task(&trustpoint, &settings, &none), None);
    }

    #[test]
    fn a_request_that_waits_is_asked_for_at_its_period_and_as_often_as_configured() {
        let (mut trustpoint, mut settings) = enrolled();
        let key = Key::generate("n", Wanted::Ecdsa(256)).expect("a key");
        trustpoint.begin(&key);
        let none = Attempts::default();
        assert_eq!(
            task(&trustpoint, &settings, &none),
            Some(Task::Renew(NOW)),
            "interrupted"
        );
        trustpoint.wait(b"memo".to_vec());
        assert_eq!(task(&trustpoint, &settings, &none), Some(Task::Poll(NOW)));
        let asked = Attempts {
            failures: 2,
            last: Some(NOW),
            ..none
        };
        assert_eq!(
            task(&trustpoint, &settings, &asked),
            Some(Task::Poll(Date(NOW.0 + 60)))
        );
        let named = Attempts {
            named: Some(7),
            ..asked
        };
        assert_eq!(
            task(&trustpoint, &settings, &named),
            Some(Task::Poll(Date(NOW.0 + 7)))
        );
        settings.retry.count = 2;
        assert_eq!(task(&trustpoint, &settings, &asked), None);
    }

    #[test]
    fn the_first_certificate_is_asked_for_where_only_a_running_firewall_can_show_the_proof() {
        let (mut trustpoint, mut settings) = enrolled();
        let authority = trustpoint.identity.take();
        let none = Attempts::default();
        let mut is_asked = |via, challenge: &Challenge, trustpoint: &Trustpoint| {
            if let Enrolment::Network(server) = &mut settings.enrolment {
                server.protocol = via;
            }
            settings.challenge = challenge.clone();
            task(trustpoint, &settings, &none) == Some(Task::Renew(NOW))
        };
        assert!(
            !is_asked(Via::Acme, &Challenge::Http, &trustpoint),
            "no authority"
        );
        trustpoint.authority = authority.map(|own| Certificate { is_ca: true, ..own });
        assert!(is_asked(Via::Acme, &Challenge::Http, &trustpoint));
        assert!(is_asked(Via::Acme, &Challenge::TlsAlpn, &trustpoint));
        let record = Challenge::Dns {
            hook: "/bin/true".into(),
        };
        assert!(!is_asked(Via::Acme, &record, &trustpoint));
        assert!(!is_asked(Via::Est, &Challenge::Http, &trustpoint));
    }

    #[test]
    fn failures_make_the_next_attempt_later() {
        let (mut trustpoint, settings) = enrolled();
        let key = Key::generate("n", Wanted::Ecdsa(256)).expect("a key");
        trustpoint.begin(&key);
        let failed = |failures| Attempts {
            failures,
            last: Some(NOW),
            ..Attempts::default()
        };
        let seconds = |failures| {
            let task = task(&trustpoint, &settings, &failed(failures));
            task.expect("a task").at().0 - NOW.0
        };
        assert!((45..=60).contains(&seconds(1)), "{}", seconds(1));
        assert!((180..=240).contains(&seconds(3)), "{}", seconds(3));
        assert!(seconds(40) <= LONGEST_PAUSE && seconds(40) > LONGEST_PAUSE / 2);
    }

    #[test]
    fn the_end_of_a_certificate_is_told_once_a_day_and_a_wrong_clock_at_once() {
        let (trustpoint, _) = enrolled();
        let identity = trustpoint.identity.as_ref().expect("enrolled");
        let at =
            |days: i64, told| warning("pub", identity, identity.not_after.plus_days(days), told);
        assert_eq!(at(-31, None), None);
        let soon = at(-10, None).expect("said");
        assert!(soon.ends_with("in 10 days"), "{soon}");
        let told = Some(identity.not_after.plus_days(-10));
        assert_eq!(at(-10, told), None);
        assert!(at(-9, told).is_some());
        assert!(at(1, None).expect("said").contains("expired"));
        let early = warning("pub", identity, NOW.plus_days(-1), None).expect("said");
        assert!(early.contains("is the clock right?"), "{early}");
    }

    proptest! {
        #[test]
        fn renewal_never_waits_for_the_end(percent in 1u8..100, seed: u64) {
            let (trustpoint, _) = enrolled();
            let identity = trustpoint.identity.expect("enrolled");
            let at = due(&identity, percent, None, seed);
            prop_assert!(identity.not_before <= at && at <= identity.not_after);
        }
    }
}
