//! Names that mean two things, lead nowhere, or name what is not there in this product.

use std::collections::HashMap;

use super::super::lower::Findings;
use crate::config::ast::inspect::{InspectCondition, InspectMatch, MatchSubject, RegexRef};
use crate::config::ast::mpf::{ClassAction, InspectProtocol};
use crate::config::ast::tls_proxy::TlsProxy;
use crate::config::ast::{Config, Kept};
use crate::config::{Diagnostic, Name, Spanned};

/// Checks names that lowering does not follow.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    shared_names(config, findings);
    regexes(config, findings);
    inspect_classes(config, findings);
    classes_without_match(config, findings);
    other_proxies(config, findings);
    for proxy in &config.tls_proxies {
        trustpoints(config, proxy, findings);
        cipher_suites(proxy, findings);
    }
}

/// An object and a group of one kind must not share a name: a rule that takes either could mean both.
fn shared_names(config: &Config, findings: &mut Findings) {
    fn report<'n>(
        kind: &str,
        objects: impl Iterator<Item = &'n Name>,
        groups: impl Iterator<Item = &'n Name>,
        findings: &mut Findings,
    ) {
        let objects: HashMap<&str, &Name> = objects.map(|name| (name.as_str(), name)).collect();
        for group in groups {
            let Some(object) = objects.get(group.as_str()) else {
                continue;
            };
            let message = format!(
                "{} is the name of an object {kind} and of an object-group {kind}",
                group.node
            );
            findings.push(
                Diagnostic::error("E0212", group.span, message)
                    .with_help("give one of the two another name")
                    .with_related(object.span, "the object"),
            );
        }
    }
    let networks = config.network_objects.iter().map(|object| &object.name);
    let groups = config.network_groups.iter().map(|group| &group.name);
    report("network", networks, groups, findings);
    let services = config.service_objects.iter().map(|object| &object.name);
    let groups = config.service_groups.iter().map(|typed| &typed.group.name);
    report("service", services, groups, findings);
}

/// All `match` lines on SIP and Skinny messages.
fn matches(config: &Config) -> impl Iterator<Item = &InspectMatch> {
    let classes = config
        .inspect_classes
        .iter()
        .flat_map(|class| class.matches.iter().map(|line| &line.node));
    let rules = config.inspect_maps.iter().flat_map(|map| &map.rules);
    classes.chain(rules.filter_map(|rule| match &rule.condition.node {
        InspectCondition::Match(line) => Some(line),
        InspectCondition::Class(_) => None,
    }))
}

fn regexes(config: &Config, findings: &mut Findings) {
    let is_regex = |name: &Name| config.regexes.iter().any(|regex| regex.name == *name);
    let members = config.regex_classes.iter().flat_map(|class| &class.regexes);
    for name in members.filter(|name| !is_regex(name)) {
        findings.unknown("E0213", "regex", name);
    }
    for regex in &config.regexes {
        let expression = &regex.node.expression;
        if crate::sip::rules::compile(&expression.node).is_err() {
            findings.push(
                Diagnostic::error(
                    "E0214",
                    expression.span,
                    format!(
                        "regex {} is no expression, or too large",
                        regex.node.name.node
                    ),
                )
                .with_help(
                    "close every bracket, and write `\\` before a character that stands for itself",
                ),
            );
        }
    }
    for line in matches(config) {
        let (MatchSubject::Field(_, expression) | MatchSubject::ContentType(expression)) =
            &line.subject
        else {
            continue;
        };
        match expression {
            RegexRef::Regex(name) if !is_regex(name) => {
                findings.unknown("E0213", "regex", name);
            }
            RegexRef::Class(name)
                if !config.regex_classes.iter().any(|class| class.name == *name) =>
            {
                findings.unknown("E0208", "class-map type regex", name);
            }
            _ => {}
        }
    }
}

fn inspect_classes(config: &Config, findings: &mut Findings) {
    for map in &config.inspect_maps {
        for rule in &map.rules {
            let InspectCondition::Class(name) = &rule.condition.node else {
                continue;
            };
            let known = config
                .inspect_classes
                .iter()
                .any(|class| class.protocol == map.protocol && class.name == *name);
            if !known {
                findings.unknown("E0208", "class-map type inspect", name);
            }
        }
    }
}

fn classes_without_match(config: &Config, findings: &mut Findings) {
    for map in config
        .class_maps
        .iter()
        .filter(|map| map.matches.is_empty())
    {
        findings.push(
            Diagnostic::warning(
                "W0508",
                map.name.span,
                format!(
                    "class-map {} has no `match`: it takes no flow",
                    map.name.node
                ),
            )
            .with_help("add `match access-list NAME` or another `match`"),
        );
    }
}

/// `phone-proxy` and `uc-ime` are read and printed, and nothing more.
fn other_proxies(config: &Config, findings: &mut Findings) {
    let classes = config.policy_maps.iter().flat_map(|map| &map.classes);
    for action in classes.flat_map(|class| &class.actions) {
        let ClassAction::Inspect(inspect) = &action.node else {
            continue;
        };
        let protocol = match inspect.protocol {
            InspectProtocol::Sip => "sip",
            InspectProtocol::Skinny => "skinny",
        };
        for (word, name) in [
            ("phone-proxy", &inspect.phone_proxy),
            ("uc-ime", &inspect.uc_ime),
        ] {
            if let Some(name) = name {
                findings.push(
                    Diagnostic::warning(
                        "W0507",
                        name.span,
                        format!("`{word}` is kept, but there is no such proxy here"),
                    )
                    .with_help(format!(
                        "use `inspect {protocol} [MAP] tls-proxy NAME` for encrypted calls"
                    )),
                );
            }
        }
    }
}

fn trustpoint<'c>(config: &'c Config, name: &Name) -> Option<&'c Kept> {
    // Kept lines keep their short forms; `trustp` is where `trustpool` goes another way.
    let is_it = |word: &str| word.len() > "trustp".len() && "trustpoint".starts_with(word);
    config.kept.iter().find(|kept| {
        let words: Vec<&str> = kept.command.split(' ').collect();
        matches!(words[..], ["crypto", "ca", word, own] if is_it(word) && own == name.node)
    })
}

fn trustpoints(config: &Config, proxy: &TlsProxy, findings: &mut Findings) {
    let named = [
        &proxy.server_trust_point,
        &proxy.client_trust_point,
        &proxy.client_ldc_issuer,
    ];
    for name in named.into_iter().flatten() {
        if trustpoint(config, name).is_none() {
            let message = format!("there is no crypto ca trustpoint {}", name.node);
            findings.push(
                Diagnostic::warning("W0505", name.span, message)
                    .with_help("define and enroll it, or correct the name"),
            );
        }
    }
    let issuer = proxy.client_ldc_issuer.as_ref();
    if let Some((name, kept)) = issuer.and_then(|name| Some((name, trustpoint(config, name)?)))
        && !kept.body.iter().any(|line| line.node == "proxy-ldc-issuer")
    {
        let message = format!("trustpoint {} may not sign local certificates", name.node);
        findings.push(
            Diagnostic::error("E0403", name.span, message)
                .with_help("enter `proxy-ldc-issuer` in the trustpoint")
                .with_related(kept.command.span, "the trustpoint"),
        );
    }
}

/// The suites that the old keywords name: RSA key exchange with broken or obsolete ciphers. They are kept for printing.
fn cipher_suites(proxy: &TlsProxy, findings: &mut Findings) {
    const OLD: [&str; 8] = [
        "3des-sha1",
        "aes128-sha1",
        "aes256-sha1",
        "des-sha1",
        "null-sha1",
        "rc4-md5",
        "rc4-sha1",
        "null-md5",
    ];
    let lines: [&Option<Spanned<Vec<String>>>; 2] =
        [&proxy.server_cipher_suites, &proxy.client_cipher_suites];
    // One finding a proxy: it says all there is to say.
    let found = lines.into_iter().flatten().find_map(|suites| {
        let mut words = suites.iter().map(|word| word.trim_matches('"'));
        let old = words.find(|word| OLD.iter().any(|known| known.eq_ignore_ascii_case(word)))?;
        Some((suites.span, old))
    });
    if let Some((span, suite)) = found {
        findings.push(
            Diagnostic::warning(
                "W0506",
                span,
                format!("`{suite}` is kept, but no connection negotiates it or others of its age"),
            )
            .with_help("remove the line: TLS 1.2 and 1.3 suites with forward secrecy are offered"),
        );
    }
}
