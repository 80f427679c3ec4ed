//! EST (RFC 7030, RFC 8951): the authority's certificates, what it wants requests to be, and requests.
//!
//! Comes in: an order, the server's answers. Goes out: what to ask, and certificates. Who we are is proved below, by
//! TLS or by a password over it. A request that waits is sent again as it was.

use x509_parser::der_parser::asn1_rs::{Any, FromDer, Oid, Sequence, Tag, oid};

use super::{Answer, Ask, Body, MAX_ANSWER_BYTES, Next, Order, Protocol, cms};
use crate::pki::certificate::KeyKind;
use crate::pki::{Certificate, Date, Error, bundle, request};

/// One conversation with an EST server.
pub struct Est {
    base: String,
    step: Step,
    /// How a certificate is asked for: `simpleenroll` or `simplereenroll`.
    operation: &'static str,
    /// PKCS#10; empty when only the authorities are asked for.
    request: Vec<u8>,
    kind: KeyKind,
    authorities: Vec<Certificate>,
    issued: Vec<Certificate>,
}

/// Which answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Authorities,
    Attributes,
    Certificate,
    /// What lies between the certificate and the authority.
    Between,
}

impl Est {
    /// Asks for the authority's certificates.
    pub fn authorities(url: &str) -> Self {
        Self {
            base: base(url),
            step: Step::Authorities,
            operation: "",
            request: Vec::new(),
            kind: KeyKind::Other,
            authorities: Vec::new(),
            issued: Vec::new(),
        }
    }

    /// Asks for a certificate; `renews` when TLS shows the certificate that is to be replaced.
    pub fn certificate(order: &Order<'_>, renews: bool) -> Result<Self, Error> {
        let request = match order.memo {
            [] => request::encoded(order.settings, order.key, None)?,
            memo => memo.to_vec(),
        };
        let operation = if renews {
            "simplereenroll"
        } else {
            "simpleenroll"
        };
        Ok(Self {
            step: Step::Attributes,
            operation,
            request,
            kind: order.key.kind(),
            authorities: order.authorities.to_vec(),
            ..Self::authorities(order.url)
        })
    }

    fn get(&mut self, step: Step, operation: &str, accept: &'static str) -> Next {
        self.step = step;
        Next::Ask(Ask {
            body: None,
            url: format!("{}/{operation}", self.base),
            accept,
        })
    }

    fn post(&mut self) -> Next {
        self.step = Step::Certificate;
        let bytes = base64(&self.request).into_bytes();
        Next::Ask(Ask {
            body: Some(Body {
                content_type: "application/pkcs10",
                bytes,
            }),
            url: format!("{}/{}", self.base, self.operation),
            accept: CERTIFICATES,
        })
    }

    fn issued(&mut self, answer: &Answer) -> Result<Next, Error> {
        match answer.status {
            200 => {}
            // RFC 7030 §4.2.3.
            202 => return Ok(Next::Wait(answer.retry_after)),
            _ => return Err(refused(self.operation, answer)),
        }
        self.issued = certificates(&answer.body)?;
        let ends = |one: &Certificate| {
            self.authorities.contains(one)
                || self.authorities.iter().any(|known| one.is_signed_by(known))
        };
        match self.issued.iter().any(ends) {
            true => Ok(Next::Issued(std::mem::take(&mut self.issued))),
            // What is between comes with the authority's certificates.
            false => Ok(self.get(Step::Between, "cacerts", CERTIFICATES)),
        }
    }

    fn between(&mut self, answer: &Answer) -> Result<Next, Error> {
        let mut others = match answer.status {
            200 => certificates(&answer.body)?,
            _ => return Err(refused("cacerts", answer)),
        };
        let mut whole = std::mem::take(&mut self.issued);
        others.retain(|other| !whole.contains(other));
        while let Some(at) = others
            .iter()
            .position(|other| whole.iter().any(|one| one.is_signed_by(other)))
        {
            whole.push(others.swap_remove(at));
        }
        Ok(Next::Issued(whole))
    }
}

impl Protocol for Est {
    fn start(&mut self, _: Date) -> Result<Next, Error> {
        Ok(match self.step {
            Step::Authorities => self.get(Step::Authorities, "cacerts", CERTIFICATES),
            _ => self.get(Step::Attributes, "csrattrs", "application/csrattrs"),
        })
    }

    fn answer(&mut self, answer: &Answer, _: Date) -> Result<Next, Error> {
        match self.step {
            Step::Authorities => match answer.status {
                200 => Ok(Next::Authorities(certificates(&answer.body)?)),
                _ => Err(refused("cacerts", answer)),
            },
            Step::Attributes => {
                match answer.status {
                    200 => check_attributes(&answer.body, self.kind)?,
                    // RFC 7030 §4.5.2: the server has no wishes, or does not know the question.
                    204 | 400..=599 => {}
                    _ => return Err(refused("csrattrs", answer)),
                }
                Ok(self.post())
            }
            Step::Certificate => self.issued(answer),
            Step::Between => self.between(answer),
        }
    }

    fn resume(&mut self, _: Date) -> Result<Next, Error> {
        Ok(self.post())
    }

    fn memo(&self) -> Vec<u8> {
        self.request.clone()
    }
}

/// `https://host/.well-known/est`, with the label that a URL may name an authority by (RFC 7030 §3.2.2).
fn base(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("/.well-known/est") {
        return url.to_owned();
    }
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let host_end = url[host_at..]
        .find('/')
        .map_or(url.len(), |at| host_at + at);
    let (host, label) = url.split_at(host_end);
    format!("{host}/.well-known/est{label}")
}

/// What an answer carries: base64 of certificates alone, as RFC 8951 §3 wants, or their bytes.
fn certificates(body: &[u8]) -> Result<Vec<Certificate>, Error> {
    cms::certificates_of(body).map_err(|error| fault(error.to_string()))
}

/// Whether our key is one that the server wants (RFC 7030 §4.5.2). The rest of its wishes is for the authority to
/// enforce: what we ask for is configured.
fn check_attributes(body: &[u8], kind: KeyKind) -> Result<(), Error> {
    let wrong = || fault("csrattrs cannot be read".into());
    if body.is_empty() {
        return Ok(());
    }
    let decoded = std::str::from_utf8(body).ok().and_then(bundle::pasted);
    let der = decoded.as_deref().unwrap_or(body);
    let (rest, wishes) = Sequence::from_der(der).map_err(|_| wrong())?;
    if !rest.is_empty() || der.len() > MAX_ANSWER_BYTES {
        return Err(wrong());
    }
    let mut wanted = Vec::new();
    let mut rest: &[u8] = &wishes.content;
    while !rest.is_empty() {
        let (after, wish) = Any::from_der(rest).map_err(|_| wrong())?;
        // AttrOrOID: the name of an attribute stands first in it.
        let named = match wish.tag() {
            Tag::Oid => rest,
            _ => wish.data,
        };
        let (_, oid) = Oid::from_der(named).map_err(|_| wrong())?;
        rest = after;
        wanted.extend(
            KEYS.iter()
                .find(|(known, _)| *known == oid)
                .map(|(_, word)| *word),
        );
    }
    let ours = match kind {
        KeyKind::Rsa(_) => "RSA",
        KeyKind::Ecdsa(_) => "ECDSA",
        _ => return Ok(()),
    };
    match wanted.is_empty() || wanted.contains(&ours) {
        true => Ok(()),
        false => Err(fault(format!(
            "the authority wants a key of {}, and ours is {ours}: name another with `keypair`",
            wanted.join(" or ")
        ))),
    }
}

fn refused(operation: &str, answer: &Answer) -> Error {
    let said = String::from_utf8_lossy(&answer.body);
    let said: String = said
        .chars()
        .take(MOST_SAID)
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect();
    let why = match answer.status {
        401 | 403 => ": is `password` right? The user is in front of its colon, or is the fqdn",
        404 => ": is the url right?",
        _ => "",
    };
    fault(format!(
        "the server refuses {operation} with status {}{why} {}",
        answer.status,
        said.trim()
    ))
}

fn fault(reason: String) -> Error {
    Error::Enrol {
        protocol: "EST",
        reason: reason.trim_end().to_owned(),
    }
}

fn base64(bytes: &[u8]) -> String {
    let armoured = bundle::armour("X", bytes);
    armoured
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect()
}

/// Algorithms of keys (RFC 3279 §2.3).
const KEYS: &[(Oid<'static>, &str)] = &[
    (oid!(1.2.840.113549.1.1.1), "RSA"),
    (oid!(1.2.840.10045.2.1), "ECDSA"),
];
const CERTIFICATES: &str = "application/pkcs7-mime";
/// How much of a server's words is told.
const MOST_SAID: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_the_well_known_place_with_its_label() {
        assert_eq!(
            base("https://a.example"),
            "https://a.example/.well-known/est"
        );
        assert_eq!(
            base("https://a.example:8443/label/"),
            "https://a.example:8443/.well-known/est/label"
        );
        let whole = "https://a.example/.well-known/est/label";
        assert_eq!(base(whole), whole);
    }

    #[test]
    fn a_key_that_the_authority_does_not_want_is_told_before_it_is_asked() {
        // SEQUENCE { rsaEncryption }, and an attribute with a curve in it.
        let rsa = [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        let curve = [
            0x30, 22, 0x30, 20, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x31, 9, 6, 7, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 3, 1,
        ];
        assert_eq!(check_attributes(&rsa, KeyKind::Rsa(2048)), Ok(()));
        assert!(check_attributes(&rsa, KeyKind::Ecdsa(256)).is_err());
        assert_eq!(check_attributes(&curve, KeyKind::Ecdsa(256)), Ok(()));
        let refused = check_attributes(base64(&curve).as_bytes(), KeyKind::Rsa(2048));
        let refused = refused.expect_err("another key").to_string();
        assert!(
            refused.contains("wants a key of ECDSA, and ours is RSA"),
            "{refused}"
        );
        assert_eq!(check_attributes(&[], KeyKind::Rsa(2048)), Ok(()));
        for length in 1..rsa.len() {
            assert!(
                check_attributes(&rsa[..length], KeyKind::Rsa(2048)).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn what_a_server_says_cannot_break_a_line_and_is_short() {
        let answer = Answer {
            status: 401,
            body: [b"no\r\n".to_vec(), vec![b'x'; 500]].concat(),
            ..Answer::default()
        };
        let text = refused("simpleenroll", &answer).to_string();
        assert!(
            text.contains("is `password` right?") && text.len() < 400,
            "{text}"
        );
        assert!(!text.chars().any(char::is_control));
    }
}
