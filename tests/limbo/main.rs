//! What is trusted, against the cases of the x509-limbo project.
//!
//! `cargo nextest run --test limbo`. The cases are read from `../shared/data`; where they are absent the test says so.
//! Where the answer here is another one, `DEVIATIONS.md` says why.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use host::pki::revocation::Standing;
use host::pki::settings::Revocation;
use host::pki::settings::revocation::{Method, Policy};
use host::pki::{Certificate, Date, Trustpoint};
use host::tls::verify::Usage;
use host::tls::{Trust, identity};
use serde_json::Value;

/// The table of cases that are answered differently.
const TABLE: &str = include_str!("DEVIATIONS.md");

/// What a peer meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Refuse,
}

impl Answer {
    fn of(is_accepted: bool) -> Self {
        match is_accepted {
            true => Self::Accept,
            false => Self::Refuse,
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "accept" => Self::Accept,
            "refuse" => Self::Refuse,
            word => panic!("{word:?} is neither accept nor refuse"),
        }
    }
}

/// The rows of the table: case → what x509-limbo says, what is said here.
fn table() -> BTreeMap<&'static str, (Answer, Answer)> {
    let mut rows = BTreeMap::new();
    let body = TABLE.lines().skip_while(|line| !line.starts_with("|---"));
    for line in body.skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [case, theirs, ours, why] = cells[..] else {
            panic!("not a row of four cells: {line}");
        };
        let case = case.trim_matches('`');
        let (theirs, ours) = (Answer::read(theirs), Answer::read(ours));
        assert!(why.ends_with('.'), "{case}: no reason, {why:?}");
        assert_ne!(theirs, ours, "{case} is listed and does not deviate");
        assert!(
            rows.insert(case, (theirs, ours)).is_none(),
            "{case} stands twice"
        );
        let last = rows.last_key_value().map(|(case, _)| *case);
        assert_eq!(last, Some(case), "{case} is not in its place");
    }
    rows
}

#[test]
fn the_table_of_deviations_can_be_read_also_where_the_cases_are_absent() {
    assert!(table().len() > 50);
}

#[test]
fn chains_are_judged_as_the_cases_say_or_as_the_table_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/x509-limbo.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("NOT RUN: {} is absent", path.display());
        return;
    };
    let cases: Value = serde_json::from_str(&text).expect("JSON");
    let cases = cases["testcases"].as_array().expect("cases");
    let mut listed = table();
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("a name");
        let judged = verify(case);
        let theirs = Answer::of(case["expected_result"] == "SUCCESS");
        let ours = Answer::of(judged.is_ok());
        // A case that is listed and answered as expected is one too many in the table.
        let row = listed.remove(id);
        let right = match row {
            Some(row) => row == (theirs, ours),
            None => theirs == ours,
        };
        if !right {
            wrong.push(format!(
                "{id}: x509-limbo {theirs:?}, here {judged:?}, listed {row:?}"
            ));
        }
    }
    wrong.extend(
        listed
            .keys()
            .map(|id| format!("{id}: there is no such case")),
    );
    println!("{} cases, {} listed", cases.len(), table().len());
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    assert!(cases.len() >= 208, "{} cases", cases.len());
}

/// The answer to a case.
fn verify(case: &Value) -> Result<(), String> {
    let usage = match case["validation_kind"].as_str() {
        Some("CLIENT") => Usage::Client,
        _ => Usage::Server,
    };
    let read = |pem: &Value| Certificate::from_text(pem.as_str().unwrap_or_default());
    let mut trustpoints = Vec::new();
    for (number, pem) in case["trusted_certs"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let mut trustpoint = Trustpoint::new(&number.to_string());
        // One that is no anchor is not taken.
        if read(pem).is_ok_and(|certificate| trustpoint.authenticate(certificate).is_ok()) {
            trustpoints.push(trustpoint);
        }
    }
    let revocation = revocation(case);
    let trust =
        Trust::new(trustpoints.iter()).checking(Arc::default(), |_| Some(revocation.clone()));
    let now = time(&case["validation_time"]);
    let mut between = Vec::new();
    for pem in case["untrusted_intermediates"]
        .as_array()
        .into_iter()
        .flatten()
    {
        between.push(read(pem).map_err(|error| error.to_string())?.der);
    }
    let own = read(&case["peer_certificate"]).map_err(|error| error.to_string())?;
    let peer = trust
        .verify(&own.der, &between, usage, now)
        .map_err(|distrust| distrust.to_string())?;
    let ledger = trust.ledger();
    // Each place is asked once: what it answered is remembered.
    while let Standing::Asked(questions) = ledger.judge(&peer.path, &revocation, now) {
        for question in questions {
            let list = list(case, &question.ask.url);
            let _ = ledger.learn(&question, Ok(&list), now);
        }
    }
    if let Standing::Refused(trouble) = ledger.judge(&peer.path, &revocation, now) {
        return Err(trouble.to_string());
    }
    let name = &case["expected_peer_name"];
    match name["kind"].as_str() {
        Some("DNS") if !peer.is_pinned => {
            let wanted = name["value"].as_str().unwrap_or_default();
            match identity::speaks_for(&peer.certificate.names, wanted) {
                true => Ok(()),
                false => Err(format!("not {wanted}")),
            }
        }
        _ => Ok(()),
    }
}

/// Lists are checked where a case brings some: they are what the configuration names.
fn revocation(case: &Value) -> Revocation {
    let mut settings = Revocation::default();
    let count = case["crls"].as_array().map_or(0, Vec::len);
    if count > 0 {
        settings.ladder = vec![Method::Crl];
        settings.crl.policy = Policy::Static;
        settings.crl.urls = (0..count)
            .map(|at| (at as u8, format!("http://limbo.example/{at}")))
            .collect();
    }
    settings
}

/// A list of a case, by its place.
fn list(case: &Value, url: &str) -> host::pki::enrol::Answer {
    let at = url
        .rsplit('/')
        .next()
        .and_then(|at| at.parse::<usize>().ok());
    let pem = &case["crls"][at.expect("a number")];
    host::pki::enrol::Answer {
        status: 200,
        body: pem.as_str().unwrap_or_default().into(),
        ..Default::default()
    }
}

/// `2024-01-01T00:00:00+00:00`; without one, a day in the middle of most certificates.
fn time(text: &Value) -> Date {
    let number = |range: std::ops::Range<usize>| {
        text.as_str()
            .and_then(|text| text.get(range)?.parse::<i64>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return Date(1_735_689_600);
    };
    // Days from the civil calendar, counted from March.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let clock = number(11..13).unwrap_or(0) * 3_600
        + number(14..16).unwrap_or(0) * 60
        + number(17..19).unwrap_or(0);
    Date(days * 86_400 + clock)
}
