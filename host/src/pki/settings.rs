//! `crypto ca trustpoint NAME` and its sub-mode, read from the lines the configuration keeps.
//!
//! Comes in: a configuration. Goes out: what each trustpoint is to be, lines that cannot be read, and what an operator
//! should know of lines that can.

use std::net::Ipv4Addr;

use super::key::Wanted;
use super::{Error, name};
use crate::config::Diagnostic;
use crate::config::ast::{Config, Kept};

/// The lines of a trustpoint as they are typed.
pub mod block;
/// How a certificate is got and kept.
pub mod enrolment;
/// Revocation: which checks, in which order.
pub mod revocation;

pub use enrolment::{Challenge, Enrolment, ExternalAccount, Renewal, Retry, Secret, Server, Via};
pub use revocation::Revocation;

/// What a trustpoint is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name.
    pub name: String,
    /// `enrollment`.
    pub enrolment: Enrolment,
    /// `enrollment retry`.
    pub retry: Retry,
    /// `auto-enroll`.
    pub renewal: Option<Renewal>,
    /// `acme`.
    pub challenge: Challenge,
    /// `eab`.
    pub account: Option<ExternalAccount>,
    /// `password`: the challenge of SCEP, or the password of EST, there also as `USER:PASSWORD`.
    pub password: Option<Secret>,
    /// `fqdn NAME`; `None` with `fqdn none` or without.
    pub fqdn: Option<String>,
    /// `subject-name`.
    pub subject: Option<String>,
    /// `ip-address`.
    pub address: Option<Ipv4Addr>,
    /// `email`.
    pub mail: Option<String>,
    /// `sip-uri`, each of them.
    pub uris: Vec<String>,
    /// `keypair LABEL`.
    pub key_label: Option<String>,
    /// What `keypair` says the key is to be.
    pub key_wanted: Option<Wanted>,
    /// `proxy-ldc-issuer`: it may sign certificates made on the fly.
    pub may_sign_local: bool,
    /// `client-types` or `validation-usage` say that it judges no peers of TLS.
    pub is_for_others: bool,
    /// `revocation-check` and what belongs to it.
    pub revocation: Revocation,
    /// What an operator should know.
    pub notes: Vec<String>,
}

impl Settings {
    /// All trustpoints of a configuration. Lines that cannot be read are returned beside them.
    pub fn all(config: &Config) -> (Vec<Self>, Vec<Error>) {
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for kept in &config.kept {
            if let Some(name) = trustpoint_name(kept) {
                all.push(Self::read(name, kept, config, &mut errors));
            }
        }
        (all, errors)
    }

    /// Whether authorities look for proof of its names at a TCP port.
    pub fn proves_at_a_port(&self) -> bool {
        let is_acme =
            matches!(&self.enrolment, Enrolment::Network(own) if own.protocol == Via::Acme);
        is_acme && !matches!(self.challenge, Challenge::Dns { .. })
    }

    fn read(name: &str, kept: &Kept, config: &Config, errors: &mut Vec<Error>) -> Self {
        let mut settings = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let (mut has_fqdn, mut in_crl) = (false, false);
        for line in &kept.body {
            has_fqdn |= line.node.starts_with("fqdn ");
            if let Err(reason) = settings.take(&line.node, &mut in_crl) {
                errors.push(Error::Line {
                    trustpoint: name.to_owned(),
                    line: line.node.clone(),
                    reason,
                });
            }
        }
        let device = match (&config.hostname, &config.domain_name) {
            (Some(host), Some(domain)) => Some(format!("{}.{}", host.node, domain.node)),
            _ => None,
        };
        match (&device, &settings.fqdn) {
            // The device's own name, unless the block says otherwise.
            (Some(_), _) if !has_fqdn => settings.fqdn = device,
            (Some(device), Some(own)) if own != device => settings.notes.push(format!(
                "crypto ca trustpoint {name}: The certificate enrollment is configured with an fqdn that differs from \
                 the system fqdn: {own}, not {device}"
            )),
            _ => {}
        }
        settings
    }

    /// What is to be said of lines of trustpoints, each at its line.
    pub fn findings(config: &Config) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for kept in &config.kept {
            let Some(name) = trustpoint_name(kept) else {
                continue;
            };
            let (mut own, mut in_crl) = (Self::default(), false);
            own.name = name.to_owned();
            for line in &kept.body {
                if let Err(reason) = own.take(&line.node, &mut in_crl) {
                    let message = format!("trustpoint {name} does not take this line: {reason}");
                    found.push(Diagnostic::warning("W0510", line.span, message));
                }
                let notes = own.notes.drain(..);
                let notes = notes.map(|note| Diagnostic::warning("W0511", line.span, note));
                found.extend(notes);
            }
        }
        found
    }

    fn take(&mut self, line: &str, in_crl: &mut bool) -> Result<(), &'static str> {
        let taken = self.revocation.apply(line, *in_crl);
        *in_crl |= line == "crl configure";
        taken.unwrap_or_else(|| self.apply(line))
    }

    fn apply(&mut self, line: &str) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (word, words.as_slice()) {
            ("no", [word, ..]) => return self.negate(word),
            ("enrollment", ["retry", words @ ..]) => enrolment::retry(&mut self.retry, words)?,
            // Which interface a server is reached by is for the routes to say.
            ("enrollment", ["interface", _]) => {}
            ("enrollment", words) => self.enrolment = enrolment::enrolment(words)?,
            ("auto-enroll", words) => self.renewal = Some(enrolment::renewal(words)?),
            ("acme", words) => self.challenge = enrolment::challenge(words)?,
            ("eab", words) => self.account = Some(enrolment::external_account(words)?),
            ("password", [_, ..]) => self.password = Some(Secret::new(rest.as_bytes().to_vec())),
            ("password", []) => return Err("a password is missing"),
            ("keypair", words) => {
                let (label, wanted) = enrolment::key_pair(words)?;
                (self.key_label, self.key_wanted) = (Some(label), wanted);
            }
            ("proxy-ldc-issuer", []) => self.may_sign_local = true,
            ("client-types" | "validation-usage" | "id-usage" | "serial-number", words) => {
                self.usage(word, words)?;
            }
            // Who signs whom is always checked, and certificates between are always taken.
            ("ca-check" | "accept-subordinates" | "match", _) => {}
            _ => return self.naming(word, rest),
        }
        Ok(())
    }

    /// Whom the certificate is to name.
    fn naming(&mut self, word: &str, rest: &str) -> Result<(), &'static str> {
        match word {
            "fqdn" if rest == "none" => self.fqdn = None,
            "fqdn" if is_host_name(rest) => self.fqdn = Some(rest.to_owned()),
            "fqdn" => return Err("this is not a host name"),
            "subject-name" => {
                name::parse(rest).map_err(|error| match error {
                    Error::Name { reason, .. } => reason,
                    _ => "this is not a name",
                })?;
                if name::has_misprint(rest) {
                    self.note("`U=` is read as OU=: it is a misprint of a guide, and no attribute");
                }
                self.subject = Some(rest.to_owned());
            }
            "ip-address" if rest == "none" => self.address = None,
            "ip-address" => {
                self.address = Some(rest.parse().map_err(|_| "this is not an address")?);
            }
            "email" if rest.is_ascii() && rest.contains('@') => self.mail = Some(rest.to_owned()),
            "email" => return Err("this is not a mail address"),
            "sip-uri" if is_sip_uri(rest) => self.uris.push(rest.to_owned()),
            "sip-uri" => return Err("this is not sip:DOMAIN"),
            _ => return Err("a trustpoint has no such command"),
        }
        Ok(())
    }

    /// What the trustpoint is for.
    fn usage(&mut self, word: &str, words: &[&str]) -> Result<(), &'static str> {
        match (word, words) {
            ("client-types" | "validation-usage", []) => return Err("a use is missing"),
            ("client-types", words) => {
                if !words.iter().all(|word| ["ssl", "ipsec", "none"].contains(word)) {
                    return Err("client-types are ssl, ipsec and none");
                }
                self.is_for_others = !words.contains(&"ssl");
            }
            ("validation-usage", words) => {
                let known = ["ssl-client", "ssl-server", "ipsec-client"];
                if !words.iter().all(|word| known.contains(word)) {
                    return Err("validation-usage is ssl-client, ssl-server and ipsec-client");
                }
                self.is_for_others = words.iter().all(|word| !word.starts_with("ssl"));
            }
            ("id-usage", ["ssl-ipsec"]) => {}
            ("id-usage", ["code-signer"]) => {
                self.note("`id-usage code-signer` signs nothing here: certificates are for connections");
            }
            ("id-usage", _) => return Err("id-usage is ssl-ipsec or code-signer"),
            ("serial-number", ["none"]) => {}
            _ => self.note(
                "`serial-number` adds nothing, since the firewall has none: write `serialnumber=` in subject-name",
            ),
        }
        Ok(())
    }

    fn negate(&mut self, word: &str) -> Result<(), &'static str> {
        match word {
            "fqdn" => self.fqdn = None,
            "enrollment" => self.enrolment = Enrolment::default(),
            "auto-enroll" => self.renewal = None,
            "acme" => self.challenge = Challenge::default(),
            "eab" => self.account = None,
            "password" => self.password = None,
            "keypair" => (self.key_label, self.key_wanted) = (None, None),
            "subject-name" => self.subject = None,
            "ip-address" => self.address = None,
            "email" => self.mail = None,
            "sip-uri" => self.uris.clear(),
            "proxy-ldc-issuer" => self.may_sign_local = false,
            "client-types" | "validation-usage" => self.is_for_others = false,
            "id-usage" | "serial-number" | "ca-check" | "accept-subordinates" | "match" => {}
            _ => return Err("a trustpoint has no such command"),
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        let name = &self.name;
        self.notes
            .push(format!("crypto ca trustpoint {name}: {text}"));
    }
}

/// A SIP URI of a domain and nobody in it (RFC 5922 §7.1).
fn is_sip_uri(text: &str) -> bool {
    text.strip_prefix("sip:").is_some_and(is_host_name)
}

/// The name in `crypto ca trustpoint NAME`.
fn trustpoint_name(kept: &Kept) -> Option<&str> {
    let name = kept.command.strip_prefix("crypto ca trustpoint ")?;
    Some(name).filter(|name| !name.contains(' '))
}

/// RFC 1123 §2.1, with the wildcard that certificates may have.
fn is_host_name(text: &str) -> bool {
    let body = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    body.len() <= 253 && body.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn trustpoints_of_the_federation_guide_are_read() {
        let text = "hostname fw\ndomain-name example.com\ncrypto ca trustpoint cup_proxy\n enrollment self\n \
                    fqdn none\n subject-name cn=cup-proxy\n keypair cup_key\ncrypto ca trustpoint ent_y\n \
                    enrollment url http://ca.example/scep\n proxy-ldc-issuer\n revocation-check none\n";
        let (all, errors) = Settings::all(&config::parse(text).config);
        assert_eq!(errors, []);
        let own = Settings {
            name: "cup_proxy".into(),
            enrolment: Enrolment::Own,
            subject: Some("cn=cup-proxy".into()),
            key_label: Some("cup_key".into()),
            ..Settings::default()
        };
        let other = Settings {
            name: "ent_y".into(),
            enrolment: Enrolment::Network(Server {
                protocol: Via::Scep,
                url: "http://ca.example/scep".into(),
            }),
            fqdn: Some("fw.example.com".into()),
            may_sign_local: true,
            ..Settings::default()
        };
        assert_eq!(all, [own, other]);
    }

    #[test]
    fn every_line_about_enrolment_finds_its_place() {
        let text = "crypto ca trustpoint a\n enrollment protocol acme url https://ca.example/dir\n \
                    enrollment retry count 5\n enrollment retry period 2\n auto-enroll 70 regenerate\n \
                    keypair k ecdsa 256\n acme tls-alpn-01\n eab kid me hmac c2VjcmV0\n password a:b c\n \
                    serial-number\n email a@example.com\n sip-uri sip:example.com\n sip-uri sip:example.org\n \
                    id-usage ssl-ipsec\n client-types ipsec\n revocation-check crl none\n crl configure\n  \
                    cache-time 10\n subject-name cn=a.example,U=unit,O=\"A, B\"\n";
        let (all, errors) = Settings::all(&config::parse(text).config);
        assert_eq!(errors, []);
        let [own] = &all[..] else {
            panic!("one trustpoint")
        };
        assert_eq!((own.retry.count, own.retry.period_minutes), (5, 2));
        assert_eq!(own.challenge, Challenge::TlsAlpn);
        assert_eq!(own.key_wanted, Some(Wanted::Ecdsa(256)));
        assert_eq!(own.uris, ["sip:example.com", "sip:example.org"]);
        let password = own.password.as_ref().expect("a password");
        assert_eq!(password.split("other"), Some(("a", "b c")));
        assert!(own.is_for_others);
        assert_eq!(own.revocation.crl.cache_minutes, 10);
        assert_eq!(own.notes.len(), 2);
        assert!(
            own.notes[1].contains("`U=` is read as OU="),
            "{:?}",
            own.notes
        );
    }

    #[test]
    fn findings_stand_at_their_lines() {
        let text = "crypto ca trustpoint a\n subject-name cn=a,U=b\n coffee\n crl configure\n  cache-time 0\n";
        let found = Settings::findings(&config::parse(text).config);
        let found: Vec<_> = found.iter().map(|one| (one.code, one.span.line)).collect();
        assert_eq!(found, [("W0511", 2), ("W0510", 3), ("W0510", 5)]);
    }

    #[test]
    fn another_name_than_the_system_has_is_told_and_no_takes_back() {
        let text = "hostname fw\ndomain-name example.com\ncrypto ca trustpoint a\n fqdn b.example.com\n \
                    ip-address 192.0.2.1\n no ip-address\n auto-enroll\n no auto-enroll\n validation-usage ssl-server\n";
        let (all, errors) = Settings::all(&config::parse(text).config);
        assert_eq!(errors, []);
        assert_eq!((all[0].address, all[0].renewal), (None, None));
        assert!(!all[0].is_for_others);
        assert_eq!(all[0].notes.len(), 1);
        assert!(all[0].notes[0].ends_with("b.example.com, not fw.example.com"));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let text = "crypto ca trustpoint a\n fqdn -x\n subject-name cn\n enrollment pigeon\n ip-address x\n coffee\n";
        let (_, errors) = Settings::all(&config::parse(text).config);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5);
        assert_eq!(
            said[0],
            "crypto ca trustpoint a: `fqdn -x`: this is not a host name"
        );
    }
}
