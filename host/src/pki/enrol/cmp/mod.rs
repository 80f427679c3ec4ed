//! CMP, the Certificate Management Protocol, version 2 (RFC 4210, RFC 9480, the profile of RFC 9483).
//!
//! Comes in: an [`Order`], a [`Proof`] and what the server answers. Goes out: ir, cr or kur, pollReq while the authority
//! wants time, certConf with the verdict on the certificate, at the end certificates. Every message is protected, and every
//! answer must be. Where no authority is confirmed yet, a shared secret proves those that the server sends.

/// Headers, bodies, requests.
pub mod message;
/// Codes and signatures.
pub mod protection;
/// What goes out.
mod ask;

use aws_lc_rs::rand;
use der::asn1::{Any, OctetString};
use der::{Decode, Encode, Tagged};

use super::judge::accept;
use super::{Answer, Ask, Body, Identity, Next, Order, Proof, Protocol, said_by};
use crate::pki::chain::{self, MAX_CERTIFICATES};
use crate::pki::{Certificate, Date, Error, Key, request};
use message::{Failed, Header, Info, Later, Memo, Message, Responses, kind, unmade};

/// One conversation with a CMP server.
pub struct Cmp<'a> {
    url: String,
    proof: Proof<'a>,
    key: &'a Key,
    confirmed: Vec<Certificate>,
    /// The request as PKCS#10, whose names and extensions the template takes over.
    request: Vec<u8>,
    /// The certificate that is to be followed, with `kur`.
    old: Option<&'a Certificate>,
    asked: u32,
    answered: u32,
    transaction: Vec<u8>,
    /// Our number in the last message.
    nonce: Vec<u8>,
    /// The server's number in its last.
    their_nonce: Vec<u8>,
    step: Step,
}

/// What is waited for.
enum Step {
    /// Nothing was asked.
    Begin,
    /// The answer to the request, or when to ask again.
    Response,
    /// pkiConf; then this is told.
    Confirmation(Result<Vec<Certificate>, Error>),
}

impl<'a> Cmp<'a> {
    /// Asks for a first certificate (ir).
    pub fn initial(order: &Order<'a>, proof: Proof<'a>) -> Result<Self, Error> {
        Self::place(order, proof, None, kind::IR, kind::IP)
    }

    /// Asks for one more certificate (cr).
    pub fn additional(order: &Order<'a>, proof: Proof<'a>) -> Result<Self, Error> {
        Self::place(order, proof, None, kind::CR, kind::CP)
    }

    /// Asks for the certificate that follows the current one, signed with it (kur).
    pub fn renew(order: &Order<'a>, current: &Identity<'a>) -> Result<Self, Error> {
        let proof = Proof::Signature(*current);
        Self::place(
            order,
            proof,
            Some(current.certificate),
            kind::KUR,
            kind::KUP,
        )
    }

    fn place(
        order: &Order<'a>,
        proof: Proof<'a>,
        old: Option<&'a Certificate>,
        asked: u32,
        answered: u32,
    ) -> Result<Self, Error> {
        match &proof {
            Proof::Signature(_) if order.authorities.is_empty() => {
                return Err(failure(
                    "no authority is confirmed yet: `crypto ca authenticate` comes first, or a shared secret".into(),
                ));
            }
            Proof::Signature(identity)
                if identity.certificate.public_key != identity.key.public_key() =>
            {
                return Err(failure(
                    "the certificate to sign with is for another key".into(),
                ));
            }
            Proof::Secret { secret, .. } if secret.is_empty() => {
                return Err(failure("the shared secret is empty".into()));
            }
            _ => {}
        }
        let (transaction, their_nonce) = match order.memo {
            [] => (random()?, Vec::new()),
            memo => {
                let memo = Memo::from_der(memo)
                    .map_err(|_| failure("what waits cannot be read: enrol anew".into()))?;
                (
                    memo.transaction.as_bytes().to_vec(),
                    memo.nonce.as_bytes().to_vec(),
                )
            }
        };
        Ok(Self {
            url: order.url.to_owned(),
            proof,
            key: order.key,
            confirmed: order.authorities.to_vec(),
            request: request::encoded(order.settings, order.key, None)?,
            old,
            asked,
            answered,
            transaction,
            nonce: Vec::new(),
            their_nonce,
            step: Step::Begin,
        })
    }

    /// Protects a body and asks with it.
    fn ask(&mut self, body: Any, now: Date, step: Step) -> Result<Next, Error> {
        let chosen = protection::choose(&self.proof)?;
        self.nonce = random()?;
        let header = self.header(&chosen, now)?;
        let header = Any::encode_from(&header).map_err(unmade)?;
        let message = protection::protect(&self.proof, &chosen.algorithm, header, body)?;
        self.step = step;
        Ok(Next::Ask(Ask {
            body: Some(Body {
                content_type: PKIXCMP,
                bytes: message.to_der().map_err(unmade)?,
            }),
            url: self.url.clone(),
            accept: PKIXCMP,
        }))
    }

    /// Reads an answer and proves that it is from the authority and answers our last message.
    fn open(&self, answer: &Answer, now: Date) -> Result<(Message, Header), Error> {
        let (message, header) =
            Message::read(&answer.body).map_err(|error| match answer.status {
                200 => error,
                status => failure(format!("the server answered with HTTP status {status}")),
            })?;
        let proved = protection::check(&message, &header, &self.proof, &self.confirmed, now);
        if let (Err(reason), Some(kind::ERROR)) = (&proved, message.kind()) {
            // Nothing is believed but that there is no certificate, and what it says helps to find out why.
            let said = message.content::<Failed>()?.status.words();
            return Err(failure(format!(
                "the server reports, without proof that it is the authority: {said} ({reason})"
            )));
        }
        proved?;
        let is = |value: &Option<OctetString>, own: &[u8]| {
            value.as_ref().is_some_and(|value| value.as_bytes() == own)
        };
        if !(2..=3).contains(&header.version) {
            return Err(failure("the answer is of another version of CMP".into()));
        }
        if !is(&header.transaction, &self.transaction) {
            return Err(failure(
                "the answer belongs to another transaction (transactionID)".into(),
            ));
        }
        if !is(&header.recipient_nonce, &self.nonce) {
            return Err(failure(
                "the answer is to another message (recipNonce): it may be an old one, sent again"
                    .into(),
            ));
        }
        Ok((message, header))
    }

    fn take_response(
        &mut self,
        message: &Message,
        header: &Header,
        now: Date,
    ) -> Result<Next, Error> {
        match message.kind() {
            Some(kind::POLL_REP) => {
                let later = message.content::<Vec<Later>>()?;
                let after = later.first().map_or(0, |later| later.after);
                Ok(Next::Wait(Some(u32::try_from(after).unwrap_or(0))))
            }
            Some(kind) if kind == self.answered => self.take_certificate(message, header, now),
            _ => Err(unexpected()),
        }
    }

    fn take_certificate(
        &mut self,
        message: &Message,
        header: &Header,
        now: Date,
    ) -> Result<Next, Error> {
        let answer = message.content::<Responses>()?;
        let [response] = answer.responses.as_slice() else {
            return Err(failure("the server must answer one request".into()));
        };
        if response.id != ask::REQUEST_ID {
            return Err(failure(
                "the answer is to another request (certReqId)".into(),
            ));
        }
        match response.status.status {
            ACCEPTED | ACCEPTED_WITH_CHANGES => {}
            WAITING => return Ok(Next::Wait(None)),
            _ => {
                return Err(failure(format!(
                    "the authority refused: {}",
                    response.status.words()
                )));
            }
        }
        let issued = response
            .issued
            .as_ref()
            .ok_or_else(|| failure("the answer has no certificate".into()))?;
        // Tagged 1 it would be encrypted, which nobody asked for.
        if issued.certificate.tag() != ask::PLAIN_CERTIFICATE {
            return Err(failure("the certificate does not come in the open".into()));
        }
        let issued = Certificate::parse(issued.certificate.value()).map_err(as_cmp)?;
        let mut others = protection::certificates(answer.authorities.as_deref())?;
        // RFC 4210 §5.3.2: caPubs are as good as what protects them.
        let told = if self.confirmed.is_empty() {
            others.clone()
        } else {
            Vec::new()
        };
        others.extend(protection::extra(message)?);
        let verdict = self.judge(&issued, others, &told, now);
        if grants_implicit_confirmation(header) {
            return verdict.map(Next::Issued);
        }
        let body = ask::verdict(&issued, verdict.as_ref().err())?;
        self.ask(body, now, Step::Confirmation(verdict))
    }

    /// The authority learns what becomes of its certificate, so it is judged here already.
    fn judge(
        &self,
        issued: &Certificate,
        mut others: Vec<Certificate>,
        told: &[Certificate],
        now: Date,
    ) -> Result<Vec<Certificate>, Error> {
        let (mut chain, _) =
            chain::begin(vec![issued.clone()], self.key.public_key()).map_err(as_cmp)?;
        others.truncate(2 * MAX_CERTIFICATES);
        chain::extend(&mut chain, &mut others).map_err(as_cmp)?;
        let trusted = if self.confirmed.is_empty() {
            told
        } else {
            &self.confirmed
        };
        let mut whole = accept("CMP", &chain, self.key, trusted, now)?;
        let end = whole.iter().position(|one| self.confirmed.contains(one));
        whole.truncate(end.unwrap_or(whole.len()).max(1));
        Ok(whole)
    }
}

impl Protocol for Cmp<'_> {
    fn start(&mut self, now: Date) -> Result<Next, Error> {
        let body = ask::request(self.asked, &self.request, self.key, self.old)?;
        self.ask(body, now, Step::Response)
    }

    fn answer(&mut self, answer: &Answer, now: Date) -> Result<Next, Error> {
        let step = std::mem::replace(&mut self.step, Step::Begin);
        if matches!(step, Step::Begin) {
            return Err(failure("an answer came to no question".into()));
        }
        let (message, header) = self.open(answer, now)?;
        self.their_nonce = header
            .sender_nonce
            .as_ref()
            .map(|nonce| nonce.as_bytes().to_vec())
            .unwrap_or_default();
        if message.kind() == Some(kind::ERROR) {
            let failed = message.content::<Failed>()?;
            return Err(failure(format!(
                "the authority refused: {}",
                failed.status.words()
            )));
        }
        match step {
            Step::Confirmation(verdict) if message.kind() == Some(kind::PKI_CONF) => {
                verdict.map(Next::Issued)
            }
            Step::Response => self.take_response(&message, &header, now),
            _ => Err(unexpected()),
        }
    }

    fn resume(&mut self, now: Date) -> Result<Next, Error> {
        let body = ask::poll()?;
        self.ask(body, now, Step::Response)
    }

    fn memo(&self) -> Vec<u8> {
        let memo = OctetString::new(self.transaction.as_slice())
            .and_then(|transaction| {
                Ok(Memo {
                    transaction,
                    nonce: OctetString::new(self.their_nonce.as_slice())?,
                })
            })
            .and_then(|memo| memo.to_der());
        // Numbers of any size can be encoded.
        memo.unwrap_or_default()
    }
}

fn grants_implicit_confirmation(header: &Header) -> bool {
    let mut granted = header.info.iter().flatten();
    granted.any(|Info { kind, .. }| *kind == ask::IMPLICIT_CONFIRM)
}

fn random() -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; 16];
    rand::fill(&mut bytes).map_err(|_| Error::Key("no random numbers"))?;
    Ok(bytes)
}

fn unexpected() -> Error {
    failure("the server answered something that was not asked".into())
}

fn failure(reason: String) -> Error {
    Error::Enrol {
        protocol: PROTOCOL,
        reason,
    }
}

/// Says where an error of a lower layer comes from.
fn as_cmp(error: Error) -> Error {
    said_by(PROTOCOL, error)
}

const PROTOCOL: &str = "CMP";
const PKIXCMP: &str = "application/pkixcmp";
const ACCEPTED: i64 = 0;
const ACCEPTED_WITH_CHANGES: i64 = 1;
const WAITING: i64 = 3;

#[cfg(test)]
mod tests;
