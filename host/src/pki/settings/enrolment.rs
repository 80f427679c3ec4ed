//! How a certificate is got and kept: `enrollment`, `auto-enroll`, `keypair`, `acme`, `eab`.
//!
//! Comes in: the words behind each of them. Goes out: values, or what is wrong with the words.

use std::fmt;

use zeroize::Zeroizing;

use crate::pki::key::Wanted;

/// How a certificate is got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Enrolment {
    /// `enrollment self`: signed by its own key.
    Own,
    /// `enrollment terminal`: requests are copied out, certificates pasted in.
    #[default]
    Terminal,
    /// `enrollment url` or `enrollment protocol … url`.
    Network(Server),
}

/// An authority's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What is spoken with it.
    pub protocol: Via,
    /// Where it is.
    pub url: String,
}

/// Protocols of enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// RFC 8894.
    Scep,
    /// RFC 7030.
    Est,
    /// RFC 9810.
    Cmp,
    /// RFC 8555.
    Acme,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scep => "SCEP",
            Self::Est => "EST",
            Self::Cmp => "CMP",
            Self::Acme => "ACME",
        })
    }
}

/// `enrollment retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often; 0 for ever.
    pub count: u32,
    /// Minutes between two attempts.
    pub period_minutes: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            count: 0,
            period_minutes: 1,
        }
    }
}

/// `auto-enroll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// When this part of a certificate's life is over, the next one is asked for.
    pub percent: u8,
    /// With a new key.
    pub regenerates: bool,
}

/// `acme`: how we show that a name is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// A file on port 80.
    #[default]
    Http,
    /// A certificate on port 443.
    TlsAlpn,
    /// A record that a program of ours sets.
    Dns {
        /// The program.
        hook: String,
    },
}

/// `eab`: an account that the authority knows already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// How the authority calls it.
    pub kid: String,
    /// The secret that proves it, decoded.
    pub hmac: Secret,
}

/// A value that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text, if it is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// `NAME:SECRET` in two; without a colon the name is `otherwise`.
    pub fn split<'a>(&'a self, otherwise: &'a str) -> Option<(&'a str, &'a str)> {
        let text = self.text()?;
        Some(text.split_once(':').unwrap_or((otherwise, text)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// `enrollment …` without `retry`.
pub(super) fn enrolment(words: &[&str]) -> Result<Enrolment, &'static str> {
    let network = |protocol, url: &str| {
        Ok(Enrolment::Network(Server {
            protocol,
            url: http(url)?,
        }))
    };
    match words {
        ["self"] => Ok(Enrolment::Own),
        ["terminal", ..] => Ok(Enrolment::Terminal),
        ["url", url] => network(Via::Scep, url),
        ["protocol", protocol, "url", url] => {
            let protocol = match *protocol {
                "scep" => Via::Scep,
                "est" => Via::Est,
                "cmp" => Via::Cmp,
                "acme" => Via::Acme,
                _ => return Err("a protocol is scep, est, cmp or acme"),
            };
            if matches!(protocol, Via::Est | Via::Acme) && !url.starts_with("https://") {
                return Err(
                    "this protocol needs https: what it sends is protected by nothing else",
                );
            }
            network(protocol, url)
        }
        ["protocol", ..] => Err("say `enrollment protocol {scep|est|cmp|acme} url URL`"),
        _ => Err("enrollment is self, terminal, url or protocol"),
    }
}

/// An `http` or `https` URL without a user: secrets have a place of their own.
fn http(url: &str) -> Result<String, &'static str> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or("a url begins with http:// or https://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host {
        "" => Err("the url names no host"),
        host if host.contains('@') => Err("a url has no user and password: enter `password`"),
        _ => Ok(url.to_owned()),
    }
}

/// `enrollment retry …`.
pub(super) fn retry(retry: &mut Retry, words: &[&str]) -> Result<(), &'static str> {
    match words {
        ["count", count] => match count.parse() {
            Ok(count @ 0..=100) => retry.count = count,
            _ => return Err("a count is 0 to 100, 0 for ever"),
        },
        ["period", minutes] => match minutes.parse() {
            Ok(minutes @ 1..=60) => retry.period_minutes = minutes,
            _ => return Err("a period is 1 to 60 minutes"),
        },
        _ => return Err("say `enrollment retry {count N | period MINUTES}`"),
    }
    Ok(())
}

/// `auto-enroll …`.
pub(super) fn renewal(words: &[&str]) -> Result<Renewal, &'static str> {
    let mut renewal = Renewal {
        percent: DEFAULT_PERCENT,
        regenerates: false,
    };
    for (at, word) in words.iter().enumerate() {
        match (at, *word) {
            (_, "regenerate") if !renewal.regenerates => renewal.regenerates = true,
            (0, word) => match word.parse() {
                Ok(percent @ 1..=99) => renewal.percent = percent,
                _ => return Err("a part of the life time is 1 to 99 percent"),
            },
            _ => return Err("say `auto-enroll [PERCENT] [regenerate]`"),
        }
    }
    Ok(renewal)
}

/// `keypair LABEL …`: the label, and what to make when there is none of it.
pub(super) fn key_pair(words: &[&str]) -> Result<(String, Option<Wanted>), &'static str> {
    let [label, rest @ ..] = words else {
        return Err("a label is missing");
    };
    let bits = |word: &str| {
        word.parse::<u32>()
            .map_err(|_| "a size is a number of bits")
    };
    let wanted = match rest {
        [] => None,
        ["rsa"] => Some(Wanted::Rsa(2048)),
        ["rsa", size] | ["rsa", "modulus", size] => Some(Wanted::Rsa(bits(size)?)),
        ["ecdsa"] => Some(Wanted::Ecdsa(384)),
        ["ecdsa", size] | ["ecdsa", "elliptic-curve", size] => Some(Wanted::Ecdsa(bits(size)?)),
        _ => return Err("say `keypair LABEL [{rsa|ecdsa} BITS]`"),
    };
    match wanted {
        Some(Wanted::Rsa(size)) if ![2048, 3072, 4096].contains(&size) => {
            Err("a modulus is 2048, 3072 or 4096 bits")
        }
        Some(Wanted::Ecdsa(size)) if ![256, 384, 521].contains(&size) => {
            Err("an elliptic curve is 256, 384 or 521 bits")
        }
        _ => Ok(((*label).to_owned(), wanted)),
    }
}

/// `acme …`.
pub(super) fn challenge(words: &[&str]) -> Result<Challenge, &'static str> {
    match words {
        ["http-01"] => Ok(Challenge::Http),
        ["tls-alpn-01"] => Ok(Challenge::TlsAlpn),
        ["dns-01", hook] if hook.starts_with('/') => Ok(Challenge::Dns {
            hook: (*hook).to_owned(),
        }),
        ["dns-01", ..] => Err("dns-01 needs the whole path of a program that sets the record"),
        _ => Err("acme is http-01, tls-alpn-01 or dns-01 PROGRAM"),
    }
}

/// `eab kid KID hmac KEY`; the key is base64 as authorities hand it out (RFC 4648 §5).
pub(super) fn external_account(words: &[&str]) -> Result<ExternalAccount, &'static str> {
    let ["kid", kid, "hmac", hmac] = words else {
        return Err("say `eab kid NAME hmac KEY`");
    };
    let plain = hmac
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    let padding = "=".repeat((4 - plain.len() % 4) % 4);
    let decoded = crate::pki::bundle::pasted(&format!("{plain}{padding}"))
        .filter(|bytes| !bytes.is_empty())
        .ok_or("the key is not base64")?;
    Ok(ExternalAccount {
        kid: (*kid).to_owned(),
        hmac: Secret::new(decoded),
    })
}

/// Of `auto-enroll` without a number.
const DEFAULT_PERCENT: u8 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn servers_are_read_and_what_sends_secrets_openly_is_refused() {
        let read = |line| enrolment(&words(line));
        let server = |protocol, url: &str| {
            Ok(Enrolment::Network(Server {
                protocol,
                url: url.into(),
            }))
        };
        assert_eq!(
            read("url http://ca.example/scep"),
            server(Via::Scep, "http://ca.example/scep")
        );
        assert_eq!(
            read("protocol cmp url http://ca.example/pkix/"),
            server(Via::Cmp, "http://ca.example/pkix/")
        );
        assert_eq!(
            read("protocol acme url https://ca.example/dir"),
            server(Via::Acme, "https://ca.example/dir")
        );
        for wrong in [
            "protocol est url http://ca.example",
            "protocol pigeon url https://ca.example",
            "protocol est https://ca.example",
            "url file:///etc/passwd",
            "url https://",
            "url https://a:b@ca.example",
            "pigeon",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn renewal_keys_and_retries_have_limits() {
        let renew = |line| renewal(&words(line)).map(|read| (read.percent, read.regenerates));
        assert_eq!(renew(""), Ok((80, false)));
        assert_eq!(renew("70 regenerate"), Ok((70, true)));
        assert_eq!(renew("regenerate"), Ok((80, true)));
        for wrong in [
            "0",
            "100",
            "70 70",
            "regenerate regenerate",
            "regenerate 70",
        ] {
            assert!(renew(wrong).is_err(), "{wrong}");
        }
        let key = |line| key_pair(&words(line)).map(|(_, wanted)| wanted);
        assert_eq!(key("k"), Ok(None));
        assert_eq!(key("k rsa modulus 4096"), Ok(Some(Wanted::Rsa(4096))));
        assert_eq!(key("k ecdsa 256"), Ok(Some(Wanted::Ecdsa(256))));
        for wrong in ["", "k rsa 1024", "k ecdsa 192", "k dsa 2048", "k rsa many"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
        let mut own = Retry::default();
        assert_eq!(retry(&mut own, &words("count 7")), Ok(()));
        assert_eq!(retry(&mut own, &words("period 5")), Ok(()));
        assert_eq!((own.count, own.period_minutes), (7, 5));
        assert!(retry(&mut own, &words("count 101")).is_err());
        assert!(retry(&mut own, &words("period 0")).is_err());
        assert!(retry(&mut own, &words("never")).is_err());
    }

    #[test]
    fn an_external_account_is_base64_in_either_alphabet_and_prints_nothing() {
        let read = |line| external_account(&words(line));
        let url = read("kid a hmac -_8").expect("read");
        assert_eq!(url.hmac.bytes(), [0xfb, 0xff]);
        assert_eq!(read("kid a hmac +/8="), Ok(url.clone()));
        assert_eq!(format!("{:?}", url.hmac), "Secret");
        for wrong in ["kid a", "kid a hmac !", "kid a hmac ="] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_challenge_by_dns_names_its_program_whole() {
        let read = |line| challenge(&words(line));
        assert_eq!(read("tls-alpn-01"), Ok(Challenge::TlsAlpn));
        let hook = "/usr/local/bin/hook".to_owned();
        assert_eq!(
            read("dns-01 /usr/local/bin/hook"),
            Ok(Challenge::Dns { hook })
        );
        assert!(read("dns-01 hook").is_err());
        assert!(read("dns-01").is_err());
        assert!(read("smoke-01").is_err());
    }
}
