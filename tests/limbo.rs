//! What is trusted, against the cases of the x509-limbo project.
//!
//! `cargo nextest run --test limbo`. The cases are read from `../shared/data`; where they are absent the test says so.

use std::collections::BTreeMap;
use std::path::Path;

use host::pki::{Certificate, Date, Trustpoint};
use host::tls::verify::Usage;
use host::tls::{Trust, identity};
use serde_json::Value;

/// Cases that are answered differently here, by reason.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "RFC 5922 compares whole names, without wildcards and other names than DNS and SIP.",
        &[
            "webpki::nc::nc-permits-dns-san-pattern",
            "webpki::san::leftmost-wildcard-san",
            "online::docs.python.org",
        ],
    ),
    (
        "RFC 5922 reads a common name where there is no subjectAltName, and no further where there is one.",
        &[
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::case-mismatch",
            "webpki::san::no-san",
        ],
    ),
    (
        "Key identifiers help to find a certificate; whether it is trusted hangs on none of them.",
        &[
            "rfc5280::aki::critical-aki",
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::ski::critical-ski",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-ski-mismatch",
        ],
    ),
    (
        "An operator's own anchor is trusted as it is: name, key and dates.",
        &[
            "rfc5280::ca-empty-subject",
            "rfc5280::unknown-critical-extension-root",
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::root-inconsistent-ca-extensions",
            "webpki::eku::root-has-eku",
            "webpki::forbidden-rsa-not-divisible-by-8-in-root",
        ],
    ),
    (
        "Stricter than the standard: an authority's certificate serves no peer, and constraints on names that nobody compares fail.",
        &[
            "pathlen::validation-ignores-pathlen-in-leaf",
            "pathlen::self-issued-certs-pathlen",
            "rfc5280::nc::permitted-dn-match",
            "rfc5280::nc::permitted-self-issued",
            "rfc5280::nc::nc-permits-email-exact",
            "rfc5280::nc::nc-permits-email-domain",
            "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match",
            "rfc5280::nc::nc-permits-email-literal-double-asterisk",
            "rfc5280::nc::nc-permits-email-literal-mid-asterisk",
            "rfc5280::ca-as-leaf",
        ],
    ),
    (
        "Form without consequence for trust.",
        &[
            "pathological::nc-dos-3",
            "rfc5280::nc::permitted-dns-match-noncritical",
            "rfc5280::nc::invalid-dnsname-leading-period",
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::nc::not-allowed-in-ee-critical",
            "rfc5280::pc::ica-noncritical-pc",
            "rfc5280::san::noncritical-with-empty-subject",
            "rfc5280::san::underscore-dns",
            "rfc5280::san::ip-in-dns",
            "rfc5280::serial::too-long",
            "rfc5280::serial::zero",
            "rfc5280::leaf-ku-keycertsign",
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
            "webpki::san::san-critical-with-nonempty-subject",
            "webpki::malformed-aia",
            "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
        ],
    ),
];

#[test]
fn chains_are_judged_as_the_cases_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/x509-limbo.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("NOT RUN: {} is absent", path.display());
        return;
    };
    let cases: Value = serde_json::from_str(&text).expect("JSON");
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    for case in cases["testcases"].as_array().expect("cases") {
        let id = case["id"].as_str().expect("a name");
        let answer = match judge(case) {
            Some(answer) => answer,
            None => {
                *counts.entry("skipped").or_insert(0) += 1;
                continue;
            }
        };
        let expected = case["expected_result"] == "SUCCESS";
        let is_known = DIFFERENT.iter().any(|(_, ids)| ids.contains(&id));
        *counts.entry("judged").or_insert(0) += 1;
        // A case that is listed and answered as expected is one too many on the list.
        if (answer.is_ok() != expected) != is_known {
            wrong.push(format!("{id}: expected {expected}, but {answer:?}"));
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    assert!(counts["judged"] > 150, "{counts:?}");
}

/// The answer to a case; `None` for one that asks what nobody decides here.
fn judge(case: &Value) -> Option<Result<(), String>> {
    let has = |feature: &str| {
        case["features"]
            .as_array()
            .is_some_and(|all| all.iter().any(|own| own == feature))
    };
    if has("has-crl") || !case["max_chain_depth"].is_null() {
        return None;
    }
    let usage = match case["validation_kind"].as_str()? {
        "CLIENT" => Usage::Client,
        _ => Usage::Server,
    };
    Some(verify(case, usage))
}

fn verify(case: &Value, usage: Usage) -> Result<(), String> {
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
    let trust = Trust::new(trustpoints.iter());
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
        .verify(&own.der, &between, usage, time(&case["validation_time"]))
        .map_err(|distrust| distrust.to_string())?;
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
