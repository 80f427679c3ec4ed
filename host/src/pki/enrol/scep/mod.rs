//! SCEP, the Simple Certificate Enrolment Protocol (RFC 8894).
//!
//! Comes in: an [`Order`], and what the server answers. Goes out: GetCACaps, GetCACert, then PKCSReq or RenewalReq, CertPoll
//! while the authority wants time, at the end certificates. What is sent is signed with SHA-256 and encrypted with AES; a
//! server that cannot read that is refused, and so is an answer with less. The transaction is named after the key, so
//! that it goes on after a restart.

/// Attributes, questions, answers.
pub mod message;

use aws_lc_rs::digest;
use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};
use zeroize::Zeroizing;

use super::cms::{self, enveloped::Cipher};
use super::{Answer, Ask, Body, CMC_CA, CMC_RA, Identity, Next, Order, Protocol, said_by};
use crate::pki::certificate::{KeyKind, hexadecimal};
use crate::pki::signature::Strength;
use crate::pki::{Certificate, Date, Error, Key, chain, request};
use message::{Header, IssuerAndSubject, Kind, Status};

/// One conversation with a SCEP server.
pub struct Scep<'a> {
    url: String,
    strength: Strength,
    step: Step,
    /// None where only the authorities are asked for.
    order: Option<Placed<'a>>,
}

/// What is asked for.
struct Placed<'a> {
    request: Zeroizing<Vec<u8>>,
    /// The key that the certificate is to be for.
    public_key: Vec<u8>,
    transaction: String,
    kind: Kind,
    signer: Certificate,
    signer_key: &'a Key,
    confirmed: Vec<Certificate>,
    /// What GetCACert told: authorities between, and those who register.
    told: Vec<Certificate>,
}

/// What is waited for.
enum Step {
    /// Nothing was asked.
    Begin,
    /// GetCACaps; then this is to be asked.
    Capabilities(Kind),
    /// GetCACert; then this is to be asked.
    Certificates(Kind),
    /// The answer to this.
    Decision(Header),
}

impl<'a> Scep<'a> {
    /// Asks for the authority's certificates: ends with [`Next::Authorities`].
    pub fn authorities(url: &str) -> Scep<'static> {
        Scep {
            url: url.to_owned(),
            strength: Strength::Current,
            step: Step::Begin,
            order: None,
        }
    }

    /// Asks for a first certificate, with the challenge password that the authority gave out.
    pub fn enroll(
        order: &Order<'a>,
        challenge: Option<Zeroizing<String>>,
        now: Date,
    ) -> Result<Self, Error> {
        // What waits goes on under the certificate that it began with: the server may know it by that.
        let signer = match order.memo {
            [] => request::own(order.settings, order.key, now)?,
            memo => Certificate::parse(memo)?,
        };
        if signer.public_key != order.key.public_key() {
            return Err(failure(
                "what waits was begun with another key: enrol anew".into(),
            ));
        }
        Self::place(order, challenge, Kind::PkcsReq, signer, order.key)
    }

    /// Asks for the next certificate with the current one.
    pub fn renew(
        order: &Order<'a>,
        current: &Identity<'a>,
        challenge: Option<Zeroizing<String>>,
    ) -> Result<Self, Error> {
        let signer = current.certificate.clone();
        if signer.public_key != current.key.public_key() {
            return Err(failure("the current certificate is for another key".into()));
        }
        if !order.memo.is_empty() && *order.memo != *signer.der {
            return Err(failure(
                "what waits was begun with another certificate: renew anew".into(),
            ));
        }
        Self::place(order, challenge, Kind::RenewalReq, signer, current.key)
    }

    /// Lets answers pass that are signed with SHA-1 or encrypted with DES, as some servers answer whatever they are asked
    /// with. Nobody gains much by it: an answer holds a certificate, which is public and is judged for itself. What is
    /// sent stays as it is.
    pub fn accepting(self, strength: Strength) -> Self {
        Self { strength, ..self }
    }

    fn place(
        order: &Order<'a>,
        challenge: Option<Zeroizing<String>>,
        kind: Kind,
        signer: Certificate,
        signer_key: &'a Key,
    ) -> Result<Self, Error> {
        if !matches!(signer.key, KeyKind::Rsa(_)) {
            return Err(failure(format!(
                "the answer is encrypted to the key that asks, which must be RSA and is {}: `crypto key generate rsa` \
                 makes one, or another protocol takes this one",
                signer.key
            )));
        }
        if order.authorities.is_empty() {
            return Err(failure(
                "no authority is confirmed yet: `crypto ca authenticate` comes first".into(),
            ));
        }
        let challenge = challenge.as_ref().map(|word| word.as_str());
        let request = request::encoded(order.settings, order.key, challenge)?;
        // A renewal for the same key is another transaction.
        let named = match kind {
            Kind::RenewalReq => [order.key.public_key(), &signer.der].concat(),
            _ => order.key.public_key().to_vec(),
        };
        let hash = digest::digest(&digest::SHA256, &named);
        Ok(Self {
            url: order.url.to_owned(),
            strength: Strength::Current,
            step: Step::Begin,
            order: Some(Placed {
                request: Zeroizing::new(request),
                public_key: order.key.public_key().to_vec(),
                transaction: hexadecimal(hash.as_ref()),
                kind,
                signer,
                signer_key,
                confirmed: order.authorities.to_vec(),
                told: Vec::new(),
            }),
        })
    }

    fn get(&self, operation: &str) -> Next {
        Next::Ask(Ask {
            body: None,
            url: self.at(operation),
            accept: "",
        })
    }

    fn at(&self, operation: &str) -> String {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}operation={operation}", self.url)
    }

    fn capabilities(&mut self, kind: Kind) -> Next {
        self.step = Step::Capabilities(kind);
        self.get("GetCACaps")
    }

    /// RFC 8894 §3.5.2: a line each; what has SCEPStandard can all that matters here.
    fn take_capabilities(&mut self, answer: &Answer, kind: Kind) -> Result<Next, Error> {
        let text = String::from_utf8_lossy(&answer.body);
        let can = |word: &str| {
            let mut lines = text.lines();
            answer.status == 200 && lines.any(|line| line.trim().eq_ignore_ascii_case(word))
        };
        if !can("SCEPStandard") {
            for (word, lacks) in [
                ("AES", "AES, and DES is refused"),
                ("SHA-256", "SHA-256, and MD5 and SHA-1 are refused"),
                ("POSTPKIOperation", "requests by POST"),
            ] {
                let stronger = word == "SHA-256" && can("SHA-512");
                if !can(word) && !stronger {
                    return Err(failure(format!(
                        "the server does not say that it can {lacks} (GetCACaps)"
                    )));
                }
            }
        }
        if kind == Kind::RenewalReq && !can("Renewal") {
            return Err(failure(
                "the server renews nothing (GetCACaps): enrol anew with a challenge password"
                    .into(),
            ));
        }
        self.step = Step::Certificates(kind);
        Ok(self.get("GetCACert"))
    }

    fn take_certificates(&mut self, answer: &Answer, kind: Kind) -> Result<Next, Error> {
        succeeded(answer)?;
        let told = cms::encoded(&answer.body).map_err(as_scep)?;
        let Some(order) = &mut self.order else {
            self.step = Step::Begin;
            return Ok(Next::Authorities(told));
        };
        order.told = told;
        let (question, letter) = order.letter(kind)?;
        let bytes = question
            .sign(&letter, &order.signer, order.signer_key)
            .map_err(as_scep)?;
        self.step = Step::Decision(question);
        Ok(Next::Ask(Ask {
            body: Some(Body {
                content_type: PKI_MESSAGE,
                bytes,
            }),
            url: self.at("PKIOperation"),
            accept: PKI_MESSAGE,
        }))
    }

    fn take_decision(&mut self, answer: &Answer, question: &Header) -> Result<Next, Error> {
        succeeded(answer)?;
        let order = self.order.as_ref().ok_or_else(nothing_asked)?;
        let (header, letter) =
            message::open(&answer.body, question, &order.signers(), self.strength)
                .map_err(as_scep)?;
        match header.decision()? {
            Status::Failure => Err(failure(header.reason())),
            Status::Pending => Ok(Next::Wait(answer.retry_after)),
            Status::Success => order.issued(&letter, self.strength).map_err(as_scep),
        }
    }
}

impl Placed<'_> {
    /// The question and what is in it, encrypted to the authority or to who registers for it.
    fn letter(&self, kind: Kind) -> Result<(Header, Vec<u8>), Error> {
        let question = Header::question(kind, &self.transaction)?;
        let content = match kind {
            Kind::CertPoll => {
                Zeroizing::new(IssuerAndSubject::new(self.authority()?, &self.request)?.encoded()?)
            }
            _ => self.request.clone(),
        };
        let letter = cms::encrypt(&content, self.recipient()?, Cipher::Aes128).map_err(as_scep)?;
        Ok((question, letter))
    }

    fn authority(&self) -> Result<&Certificate, Error> {
        let mut confirmed = self.confirmed.iter();
        confirmed.find(|one| one.is_ca).ok_or_else(|| {
            failure("no authority is confirmed: `crypto ca authenticate` comes first".into())
        })
    }

    /// RFC 8894 §2.2: who registers for the authority may have a certificate for each purpose. Anybody may slip others into
    /// what GetCACert tells, so that it must be signed by the authority and must not be for somebody's connections: the
    /// challenge password is encrypted to it.
    fn registers(&self) -> impl Iterator<Item = &Certificate> {
        self.told.iter().filter(|one| {
            let is_certified = self.confirmed.iter().any(|known| one.is_signed_by(known));
            !one.is_ca && is_certified && may_register(one)
        })
    }

    fn recipient(&self) -> Result<&Certificate, Error> {
        let takes = |one: &&Certificate| may(one, KeyUsages::KeyEncipherment);
        match self.registers().find(takes) {
            Some(one) => Ok(one),
            None => self.authority(),
        }
    }

    fn signers(&self) -> Vec<Certificate> {
        let signs = |one: &&Certificate| may(one, KeyUsages::DigitalSignature);
        let registers = self.registers().filter(signs);
        self.confirmed.iter().chain(registers).cloned().collect()
    }

    fn issued(&self, letter: &[u8], strength: Strength) -> Result<Next, Error> {
        let plain = cms::decrypt(letter, &self.signer, self.signer_key, strength)?;
        let given = cms::certificates_alone(&plain)?;
        let (mut chain, mut rest) = chain::begin(given, &self.public_key)?;
        rest.extend(self.told.iter().cloned());
        chain::extend(&mut chain, &mut rest)?;
        let end = chain.iter().position(|one| self.confirmed.contains(one));
        chain.truncate(end.unwrap_or(chain.len()).max(1));
        Ok(Next::Issued(chain))
    }
}

impl Protocol for Scep<'_> {
    fn start(&mut self, _: Date) -> Result<Next, Error> {
        let kind = self
            .order
            .as_ref()
            .map_or(Kind::PkcsReq, |order| order.kind);
        Ok(self.capabilities(kind))
    }

    fn answer(&mut self, answer: &Answer, _: Date) -> Result<Next, Error> {
        match std::mem::replace(&mut self.step, Step::Begin) {
            Step::Begin => Err(nothing_asked()),
            Step::Capabilities(_) if self.order.is_none() => {
                self.step = Step::Certificates(Kind::PkcsReq);
                Ok(self.get("GetCACert"))
            }
            Step::Capabilities(kind) => self.take_capabilities(answer, kind),
            Step::Certificates(kind) => self.take_certificates(answer, kind),
            Step::Decision(question) => self.take_decision(answer, &question),
        }
    }

    fn resume(&mut self, _: Date) -> Result<Next, Error> {
        match self.order {
            Some(_) => Ok(self.capabilities(Kind::CertPoll)),
            None => Err(failure(
                "nothing was asked for that could be waited for".into(),
            )),
        }
    }

    fn memo(&self) -> Vec<u8> {
        let order = self.order.as_ref();
        order.map_or_else(Vec::new, |order| order.signer.der.to_vec())
    }
}

/// RFC 5280 §4.2.1.3: a certificate that does not say may do all.
fn may(certificate: &Certificate, usage: KeyUsages) -> bool {
    let Ok(parsed) = x509_cert::Certificate::from_der(&certificate.der) else {
        return false;
    };
    match parsed.tbs_certificate().get_extension::<KeyUsage>() {
        Ok(Some((_, usages))) => usages.0.contains(usage),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// RFC 5280 §4.2.1.12: a certificate that does not say is for all.
fn may_register(certificate: &Certificate) -> bool {
    let Ok(parsed) = x509_cert::Certificate::from_der(&certificate.der) else {
        return false;
    };
    match parsed.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
        Ok(Some((_, usage))) => REGISTRARS.iter().any(|purpose| usage.0.contains(purpose)),
        Ok(None) => true,
        Err(_) => false,
    }
}

fn succeeded(answer: &Answer) -> Result<(), Error> {
    match answer.status {
        200 => Ok(()),
        status => Err(failure(format!(
            "the server answered with HTTP status {status}"
        ))),
    }
}

fn nothing_asked() -> Error {
    failure("an answer came to no question".into())
}

fn failure(reason: String) -> Error {
    Error::Enrol {
        protocol: PROTOCOL,
        reason,
    }
}

/// Says where an error of a lower layer comes from.
fn as_scep(error: Error) -> Error {
    said_by(PROTOCOL, error)
}

/// Enrolment agents of Microsoft's servers, and the purposes of RFC 6402 §2.10.
const REGISTRARS: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.1"),
    CMC_CA,
    CMC_RA,
];

const PROTOCOL: &str = "SCEP";
const PKI_MESSAGE: &str = "application/x-pki-message";

#[cfg(test)]
mod tests;
