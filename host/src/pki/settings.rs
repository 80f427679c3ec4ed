//! `crypto ca trustpoint NAME` and its sub-mode, read from the lines the configuration keeps.

use std::net::Ipv4Addr;

use super::{Error, name};
use crate::config::ast::{Config, Kept};

/// Revocation: which checks, in which order.
pub mod revocation;

pub use revocation::Revocation;

/// How a certificate is got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Enrolment {
    /// `enrollment self`: signed by its own key.
    Own,
    /// `enrollment terminal`: requests are copied out, certificates pasted in.
    #[default]
    Terminal,
    /// `enrollment url` or `enrollment protocol`, as written.
    Network(String),
}

/// What a trustpoint is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name.
    pub name: String,
    /// `enrollment`.
    pub enrolment: Enrolment,
    /// `fqdn NAME`; `None` with `fqdn none` or without.
    pub fqdn: Option<String>,
    /// `subject-name`.
    pub subject: Option<String>,
    /// `ip-address`.
    pub address: Option<Ipv4Addr>,
    /// `email`.
    pub mail: Option<String>,
    /// `keypair LABEL`.
    pub key_label: Option<String>,
    /// `proxy-ldc-issuer`: it may sign certificates made on the fly.
    pub may_sign_local: bool,
    /// `revocation-check` and what belongs to it.
    pub revocation: Revocation,
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

    fn read(name: &str, kept: &Kept, config: &Config, errors: &mut Vec<Error>) -> Self {
        let mut settings = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let (mut has_fqdn, mut in_crl) = (false, false);
        for line in &kept.body {
            has_fqdn |= line.node.starts_with("fqdn ");
            let taken = settings.revocation.apply(&line.node, in_crl);
            in_crl |= line.node == "crl configure";
            if let Err(reason) = taken.unwrap_or_else(|| settings.apply(&line.node)) {
                errors.push(Error::Line {
                    trustpoint: name.to_owned(),
                    line: line.node.clone(),
                    reason,
                });
            }
        }
        // The device's own name, unless the block says otherwise.
        if !has_fqdn && let (Some(host), Some(domain)) = (&config.hostname, &config.domain_name) {
            settings.fqdn = Some(format!("{}.{}", host.node, domain.node));
        }
        settings
    }

    fn apply(&mut self, line: &str) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "enrollment" => self.enrolment(rest),
            "fqdn" if rest == "none" => {
                self.fqdn = None;
                Ok(())
            }
            "fqdn" if is_host_name(rest) => {
                self.fqdn = Some(rest.to_owned());
                Ok(())
            }
            "fqdn" => Err("this is not a host name"),
            "subject-name" => {
                name::parse(rest).map_err(|error| match error {
                    Error::Name { reason, .. } => reason,
                    _ => "this is not a name",
                })?;
                self.subject = Some(rest.to_owned());
                Ok(())
            }
            "ip-address" if rest == "none" => Ok(()),
            "ip-address" => {
                self.address = Some(rest.parse().map_err(|_| "this is not an address")?);
                Ok(())
            }
            "email" if rest.is_ascii() && rest.contains('@') => {
                self.mail = Some(rest.to_owned());
                Ok(())
            }
            "email" => Err("this is not a mail address"),
            "keypair" => {
                self.key_label = rest.split_whitespace().next().map(str::to_owned);
                self.key_label
                    .as_ref()
                    .map(|_| ())
                    .ok_or("a label is missing")
            }
            "proxy-ldc-issuer" => {
                self.may_sign_local = true;
                Ok(())
            }
            // What concerns revocation, renewal and other uses of certificates is for those who read it.
            _ => Ok(()),
        }
    }

    fn enrolment(&mut self, rest: &str) -> Result<(), &'static str> {
        self.enrolment = match rest.split(' ').next().unwrap_or_default() {
            "self" => Enrolment::Own,
            "terminal" => Enrolment::Terminal,
            "url" | "protocol" => Enrolment::Network(rest.to_owned()),
            "retry" | "interface" => return Ok(()),
            _ => return Err("enrollment is self, terminal, url or protocol"),
        };
        Ok(())
    }
}

/// The name in `crypto ca trustpoint NAME`, also in its short forms.
fn trustpoint_name(kept: &Kept) -> Option<&str> {
    let mut words = kept.command.node.split(' ');
    let head = [words.next()?, words.next()?, words.next()?];
    // `trustp` is where `trustpool` goes another way.
    let is_it = head[2].len() > "trustp".len() && "trustpoint".starts_with(head[2]);
    let name = words.next()?;
    (head[..2] == ["crypto", "ca"] && is_it && words.next().is_none()).then_some(name)
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
            enrolment: Enrolment::Network("url http://ca.example/scep".into()),
            fqdn: Some("fw.example.com".into()),
            may_sign_local: true,
            ..Settings::default()
        };
        assert_eq!(all, [own, other]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let text = "crypto ca trustpoint a\n fqdn -x\n subject-name cn\n enrollment pigeon\n ip-address x\n";
        let (_, errors) = Settings::all(&config::parse(text).config);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 4);
        assert_eq!(
            said[0],
            "crypto ca trustpoint a: `fqdn -x`: this is not a host name"
        );
    }
}
