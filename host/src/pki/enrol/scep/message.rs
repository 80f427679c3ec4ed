//! Messages of SCEP (RFC 8894 §3): signed attributes around an encrypted letter.

use aws_lc_rs::rand;
use der::asn1::{Any, ObjectIdentifier, OctetString, OctetStringRef, PrintableString};
use der::{Decode, Encode, Sequence, Tag, Tagged};
use x509_cert::attr::Attribute;
use x509_cert::name::Name;
use x509_cert::request::CertReq;

use super::super::cms::signed::attribute;
use super::super::cms::{self, Signed, Verified};
use super::failure;
use crate::pki::signature::Strength;
use crate::pki::{Certificate, Error, Key};

/// What is asked with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer.
    CertRep = 3,
    /// For another certificate, signed with the current one.
    RenewalReq = 17,
    /// For a certificate.
    PkcsReq = 19,
    /// Whether it is there by now.
    CertPoll = 20,
}

/// What the authority decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is.
    Success = 0,
    /// There will be none.
    Failure = 2,
    /// It takes time.
    Pending = 3,
}

/// Attributes of a message (RFC 8894 §3.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Kind of message.
    pub kind: String,
    /// Conversation.
    pub transaction: String,
    /// The sender's number for this message.
    pub sender_nonce: Vec<u8>,
    /// In answers: the asker's number.
    pub recipient_nonce: Option<Vec<u8>>,
    /// In answers: what was decided.
    pub status: Option<String>,
    /// In answers: why not.
    pub failure: Option<String>,
    /// In answers: why not, in the server's words.
    pub failure_text: Option<String>,
}

impl Header {
    /// A question with a number that was never used.
    pub fn question(kind: Kind, transaction: &str) -> Result<Self, Error> {
        let mut nonce = vec![0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| Error::Key("no random numbers"))?;
        Ok(Self {
            kind: (kind as u8).to_string(),
            transaction: transaction.to_owned(),
            sender_nonce: nonce,
            recipient_nonce: None,
            status: None,
            failure: None,
            failure_text: None,
        })
    }

    /// Signs a letter with these attributes.
    pub fn sign(&self, letter: &[u8], signer: &Certificate, key: &Key) -> Result<Vec<u8>, Error> {
        let mut attributes = vec![
            text(MESSAGE_TYPE, &self.kind)?,
            text(TRANSACTION_ID, &self.transaction)?,
            bytes(SENDER_NONCE, &self.sender_nonce)?,
        ];
        for (oid, value) in [(PKI_STATUS, &self.status), (FAIL_INFO, &self.failure)] {
            if let Some(value) = value {
                attributes.push(text(oid, value)?);
            }
        }
        if let Some(nonce) = &self.recipient_nonce {
            attributes.push(bytes(RECIPIENT_NONCE, nonce)?);
        }
        cms::sign(letter, attributes, signer, key)
    }

    /// Reads the attributes of a message that was proved.
    pub fn read(message: &Verified) -> Result<Self, Error> {
        let needed = |oid, what| read_text(message, oid)?.ok_or_else(|| lacks(what));
        Ok(Self {
            kind: needed(MESSAGE_TYPE, "messageType")?,
            transaction: needed(TRANSACTION_ID, "transactionID")?,
            sender_nonce: read_bytes(message, SENDER_NONCE)?
                .filter(|nonce| !nonce.is_empty())
                .ok_or_else(|| lacks("senderNonce"))?,
            recipient_nonce: read_bytes(message, RECIPIENT_NONCE)?,
            status: read_text(message, PKI_STATUS)?,
            failure: read_text(message, FAIL_INFO)?,
            failure_text: read_text(message, FAIL_INFO_TEXT)?,
        })
    }

    /// The decision.
    pub fn decision(&self) -> Result<Status, Error> {
        match self.status.as_deref() {
            Some("0") => Ok(Status::Success),
            Some("2") => Ok(Status::Failure),
            Some("3") => Ok(Status::Pending),
            _ => Err(lacks("pkiStatus")),
        }
    }

    /// Why there is no certificate, in words (RFC 8894 §3.2.1.4.1).
    pub fn reason(&self) -> String {
        let known = match self.failure.as_deref() {
            Some("0") => "it does not know an algorithm of the request (badAlg)",
            Some("1") => {
                "it could not check the request (badMessageCheck): is its certificate still the one that was confirmed?"
            }
            Some("2") => {
                "it does not permit the request (badRequest): is the challenge password right and still good, and may this \
                 name be asked for or renewed now?"
            }
            Some("3") => {
                "the time of the request is too far from its own (badTime): is the clock right?"
            }
            Some("4") => "it knows no such certificate or request (badCertId)",
            _ => "it gave no reason",
        };
        match &self.failure_text {
            Some(text) => format!("the authority refused: {known}; it says {text:?}"),
            None => format!("the authority refused: {known}"),
        }
    }
}

/// An answer that was proved to be from the authority and to answer this question.
pub fn open(
    body: &[u8],
    question: &Header,
    signers: &[Certificate],
    strength: Strength,
) -> Result<(Header, Vec<u8>), Error> {
    let message = Signed::read(body)?.verify(signers, strength)?;
    let header = Header::read(&message)?;
    if header.kind != (Kind::CertRep as u8).to_string() {
        return Err(failure(format!(
            "the answer is of type {:?}, not CertRep",
            header.kind
        )));
    }
    if header.transaction != question.transaction {
        return Err(failure(
            "the answer belongs to another transaction (transactionID)".into(),
        ));
    }
    if header.recipient_nonce.as_ref() != Some(&question.sender_nonce) {
        return Err(failure(
            "the answer is to another question (recipientNonce): it may be an old one, sent again"
                .into(),
        ));
    }
    Ok((header, message.content))
}

/// What a poll asks for: the authority and whom the certificate is to name (RFC 8894 §3.3.3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct IssuerAndSubject {
    /// The authority.
    pub issuer: Name,
    /// Whom the certificate is to name.
    pub subject: Name,
}

impl IssuerAndSubject {
    /// For a request that waits.
    pub fn new(authority: &Certificate, request: &[u8]) -> Result<Self, Error> {
        let authority = x509_cert::Certificate::from_der(&authority.der)
            .map_err(|_| failure("the authority's certificate cannot be read".into()))?;
        let request =
            CertReq::from_der(request).map_err(|_| failure("the request cannot be read".into()))?;
        Ok(Self {
            issuer: authority.tbs_certificate().subject().clone(),
            subject: request.info.subject,
        })
    }

    /// Encoded.
    pub fn encoded(&self) -> Result<Vec<u8>, Error> {
        self.to_der().map_err(unmade)
    }
}

fn text(oid: ObjectIdentifier, value: &str) -> Result<Attribute, Error> {
    let value = PrintableString::new(value).and_then(|value| Any::encode_from(&value));
    attribute(oid, value.map_err(unmade)?)
}

fn bytes(oid: ObjectIdentifier, value: &[u8]) -> Result<Attribute, Error> {
    let value = OctetString::new(value).and_then(|value| Any::encode_from(&value));
    attribute(oid, value.map_err(unmade)?)
}

fn read_text(message: &Verified, oid: ObjectIdentifier) -> Result<Option<String>, Error> {
    let value = message.attribute(oid)?.filter(|value| {
        matches!(
            value.tag(),
            Tag::PrintableString | Tag::Utf8String | Tag::Ia5String
        )
    });
    Ok(value.and_then(|value| String::from_utf8(value.value().to_vec()).ok()))
}

fn read_bytes(message: &Verified, oid: ObjectIdentifier) -> Result<Option<Vec<u8>>, Error> {
    let value = message.attribute(oid)?;
    Ok(value
        .and_then(|value| value.decode_as::<&OctetStringRef>().ok())
        .map(|value| value.as_bytes().to_vec()))
}

fn lacks(what: &str) -> Error {
    failure(format!("the message has no {what}"))
}

fn unmade(error: der::Error) -> Error {
    Error::Make {
        what: "SCEP message",
        reason: error.to_string(),
    }
}

const NONCE_BYTES: usize = 16;

const MESSAGE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
const PKI_STATUS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.3");
const FAIL_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.4");
const SENDER_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
const RECIPIENT_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.6");
const TRANSACTION_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");
const FAIL_INFO_TEXT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.24.1");
