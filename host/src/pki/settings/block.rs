//! The lines of a `crypto ca trustpoint` block as they are typed: short forms, lines that replace others, `no`.
//!
//! Comes in: the lines there are, with a new one at the end. Goes out: the lines as `show running-config` has them, or
//! why the new one is none.

use super::Settings;
use crate::config::{Keywords, Spanned, in_full};

/// First words of the lines of a trustpoint.
pub const WORDS: Keywords<'static, &str> = &[
    ("accept-subordinates", "accept-subordinates"),
    ("acme", "acme"),
    ("auto-enroll", "auto-enroll"),
    ("ca-check", "ca-check"),
    ("client-types", "client-types"),
    ("crl", "crl"),
    ("eab", "eab"),
    ("email", "email"),
    ("enrollment", "enrollment"),
    ("fqdn", "fqdn"),
    ("id-usage", "id-usage"),
    ("ip-address", "ip-address"),
    ("keypair", "keypair"),
    ("match", "match"),
    ("ocsp", "ocsp"),
    ("password", "password"),
    ("proxy-ldc-issuer", "proxy-ldc-issuer"),
    ("revocation-check", "revocation-check"),
    ("serial-number", "serial-number"),
    ("sip-uri", "sip-uri"),
    ("subject-name", "subject-name"),
    ("validation-usage", "validation-usage"),
];

/// First words of the lines behind `crl configure`.
pub const CRL_WORDS: Keywords<'static, &str> = &[
    ("cache-time", "cache-time"),
    ("enforcenextupdate", "enforcenextupdate"),
    ("policy", "policy"),
    ("protocol", "protocol"),
    ("url", "url"),
];

/// The line that opens the sub-mode of revocation lists.
pub const CRL_CONFIGURE: &str = "crl configure";

/// Second words, by first words.
const SECOND: &[(&str, Keywords<'static, &str>)] = &[
    ("crl", &[("configure", "configure")]),
    (
        "enrollment",
        &[
            ("interface", "interface"),
            ("protocol", "protocol"),
            ("retry", "retry"),
            ("self", "self"),
            ("terminal", "terminal"),
            ("url", "url"),
        ],
    ),
    (
        "ocsp",
        &[("disable-nonce", "disable-nonce"), ("url", "url")],
    ),
];

/// A line with its keywords in full, as far as they are at its head. Blanks inside quotes stay.
pub fn spelled_out(line: &str, in_crl: bool) -> String {
    let table = if in_crl { CRL_WORDS } else { WORDS };
    let (negation, line) = match line.trim().strip_prefix("no ") {
        Some(rest) => ("no ", rest.trim_start()),
        None => ("", line.trim()),
    };
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let first = in_full(first, table);
    let second = SECOND.iter().find(|(word, _)| *word == first && !in_crl);
    let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let word = second.map_or(word, |(_, table)| in_full(word, table));
    format!("{negation}{first} {word} {more}")
        .trim_end()
        .to_owned()
}

/// Judges the last line of a block and brings it into its place; one that is refused is gone. Returns what an operator
/// should know.
pub fn settle(name: &str, body: &mut Vec<Spanned<String>>) -> Result<Vec<String>, &'static str> {
    let (mut settings, mut in_crl) = (Settings::default(), false);
    settings.name = name.to_owned();
    let mut taken = Ok(());
    for line in body.iter() {
        settings.notes.clear();
        taken = settings.take(&line.node, &mut in_crl);
    }
    let Some(last) = body.pop() else {
        return Ok(Vec::new());
    };
    taken?;
    match last.node.strip_prefix("no ") {
        Some(rest) => remove(body, rest, last.clone()),
        None => replace(body, last),
    }
    Ok(settings.notes)
}

fn replace(body: &mut Vec<Spanned<String>>, line: Spanned<String>) {
    let opposite = format!("no {}", line.node);
    body.retain(|known| known.node != opposite);
    match body
        .iter_mut()
        .find(|known| place(&known.node) == place(&line.node))
    {
        Some(known) => *known = line,
        None => body.push(line),
    }
}

fn remove(body: &mut Vec<Spanned<String>>, rest: &str, line: Spanned<String>) {
    let is_meant = |known: &str| {
        let more = known.strip_prefix(rest);
        more.is_some_and(|more| more.is_empty() || more.starts_with(' '))
    };
    let is_of_crl = |known: &str| {
        let known = known.strip_prefix("no ").unwrap_or(known);
        let word = known.split(' ').next().unwrap_or_default();
        CRL_WORDS.iter().any(|(of_crl, _)| *of_crl == word)
    };
    // What stands behind `crl configure` goes with it.
    let goes_whole = is_meant(CRL_CONFIGURE);
    body.retain(|known| !(is_meant(&known.node) || goes_whole && is_of_crl(&known.node)));
    // The one switch that is on without a line.
    if rest == "enforcenextupdate" && !body.contains(&line) {
        body.push(line);
    }
}

/// The words that say what a line is about: two lines with the same ones cannot stand side by side.
fn place(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split(' ').collect();
    let count = match words.as_slice() {
        ["sip-uri" | "match" | "protocol", ..] => words.len(),
        ["enrollment", "retry", ..] => 3,
        ["enrollment", "interface", ..] | ["ocsp" | "url", ..] | ["crl", "configure"] => 2,
        _ => 1,
    };
    words.into_iter().take(count).collect()
}

/// A line as it may be shown to whoever looks over a shoulder.
pub fn without_secrets(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let hidden = match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["password", ..] => "password *****".to_owned(),
        ["eab", "kid", kid, "hmac", ..] => format!("eab kid {kid} hmac *****"),
        _ => return line.to_owned(),
    };
    format!("{}{hidden}", &line[..indent])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    /// The lines that are left when these were typed.
    fn typed(lines: &[&str]) -> Vec<String> {
        let mut body = Vec::new();
        for line in lines {
            body.push(Spanned::new((*line).to_owned(), Span::default()));
            // Those that are refused are in the test of refusals.
            let _ = settle("tp", &mut body);
        }
        body.into_iter().map(|line| line.node).collect()
    }

    #[test]
    fn a_line_replaces_the_one_about_the_same_and_no_takes_it_back() {
        assert_eq!(
            typed(&[
                "enrollment self",
                "enrollment retry count 3",
                "enrollment terminal",
                "enrollment retry period 2",
                "fqdn a.example.com",
                "sip-uri sip:a.example",
                "sip-uri sip:b.example",
                "fqdn b.example.com",
                "no sip-uri sip:a.example",
                "no enrollment retry count",
                "ocsp disable-nonce",
                "ocsp url http://o.example",
                "no ocsp disable-nonce",
            ]),
            [
                "enrollment terminal",
                "enrollment retry period 2",
                "fqdn b.example.com",
                "sip-uri sip:b.example",
                "ocsp url http://o.example",
            ]
        );
    }

    #[test]
    fn lists_are_configured_and_forgotten_together() {
        let lines = [
            "crl configure",
            "cache-time 10",
            "url 1 http://c.example/1",
            "no enforcenextupdate",
        ];
        assert_eq!(typed(&lines), lines);
        let again = [
            &lines[..],
            &["crl configure", "cache-time 20", "enforcenextupdate"],
        ]
        .concat();
        assert_eq!(
            typed(&again),
            [
                "crl configure",
                "cache-time 20",
                "url 1 http://c.example/1",
                "enforcenextupdate"
            ]
        );
        assert_eq!(
            typed(&[&lines[..], &["no crl configure"]].concat()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_line_that_is_refused_leaves_the_others() {
        let mut body = vec![Spanned::new("fqdn a.example".to_owned(), Span::default())];
        body.push(Spanned::new("fqdn -x".to_owned(), Span::default()));
        assert_eq!(settle("tp", &mut body), Err("this is not a host name"));
        assert_eq!(body.len(), 1);
        body.push(Spanned::new(
            "subject-name cn=a,U=b".to_owned(),
            Span::default(),
        ));
        assert_eq!(settle("tp", &mut body).map(|notes| notes.len()), Ok(1));
        body.push(Spanned::new("fqdn b.example".to_owned(), Span::default()));
        assert_eq!(
            settle("tp", &mut body),
            Ok(vec![]),
            "each note is told once"
        );
    }

    #[test]
    fn short_forms_are_spelled_out_and_values_are_not() {
        for (short, full) in [
            ("enr term", "enrollment terminal"),
            ("no au", "no auto-enroll"),
            ("subj cn=a,  o=\"b  c\"", "subject-name cn=a,  o=\"b  c\""),
            ("e a@b", "e a@b"),
            ("pass crl", "password crl"),
            ("crl conf", "crl configure"),
        ] {
            assert_eq!(spelled_out(short, false), full);
        }
        assert_eq!(spelled_out("pol static", true), "policy static");
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(without_secrets(" password a b"), " password *****");
        assert_eq!(
            without_secrets(" eab kid x hmac AAAA"),
            " eab kid x hmac *****"
        );
        assert_eq!(without_secrets(" fqdn a"), " fqdn a");
    }
}
