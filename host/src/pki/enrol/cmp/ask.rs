//! What a CMP client says: requests, polls, verdicts, and the header before them.

use der::asn1::{Any, BitString, GeneralizedTime, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Tag, TagNumber};
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::request::CertReq;

use super::message::{
    CertificateId, Confirmed, Header, Info, Poll, Possession, Request, Requested, Status, Template,
    body, kind, unmade,
};
use super::protection::Chosen;
use super::{Cmp, failure};
use crate::pki::enrol::Proof;
use crate::pki::signature::{self, Strength};
use crate::pki::{Certificate, Date, Error, Key};

/// Number of the one request in a message.
pub const REQUEST_ID: i64 = 0;
/// Tag of a certificate that is not encrypted.
pub const PLAIN_CERTIFICATE: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(0),
};
/// RFC 4210 §5.1.1.1.
pub const IMPLICIT_CONFIRM: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.4.13");
const OLD_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.5.1.5");
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// RFC 4210 §7: what every server knows.
const VERSION: i64 = 2;
const REJECTED: i64 = 2;

impl Cmp<'_> {
    /// The header of the next message.
    pub(super) fn header(&self, chosen: &Chosen, now: Date) -> Result<Header, Error> {
        let bytes = |bytes: &[u8]| OctetString::new(bytes).map_err(unmade);
        let sender = match &self.proof {
            Proof::Secret { .. } => read_request(&self.request)?.info.subject,
            Proof::Signature(identity) => subject(identity.certificate)?,
        };
        let recipient = match self.confirmed.first() {
            Some(authority) => subject(authority)?,
            None => Name::default(),
        };
        Ok(Header {
            version: VERSION,
            sender: named(sender)?,
            recipient: named(recipient)?,
            time: Some(GeneralizedTime::from_unix_duration(now.since_epoch()).map_err(unmade)?),
            protection: Some(chosen.algorithm.clone()),
            sender_key: chosen.key.as_deref().map(bytes).transpose()?,
            recipient_key: None,
            transaction: Some(bytes(&self.transaction)?),
            sender_nonce: Some(bytes(&self.nonce)?),
            recipient_nonce: match self.their_nonce.as_slice() {
                [] => None,
                nonce => Some(bytes(nonce)?),
            },
            text: None,
            info: None,
        })
    }
}

/// A request with the proof that its key is held.
pub fn request(
    asked: u32,
    pkcs10: &[u8],
    key: &Key,
    old: Option<&Certificate>,
) -> Result<Any, Error> {
    let read = read_request(pkcs10)?;
    let request = Request {
        id: REQUEST_ID,
        template: Template {
            subject: Some(read.info.subject.clone()),
            public_key: Some(read.info.public_key.clone()),
            extensions: extensions(&read)?,
        },
        controls: old.map(followed).transpose()?.map(|one| vec![one]),
    };
    let covered = request.to_der().map_err(unmade)?;
    let proof = Possession {
        algorithm: signature::of_key(key)?.1,
        signature: BitString::from_bytes(&key.sign(&covered)?).map_err(unmade)?,
    };
    let requested = Requested {
        request,
        proof: Some(proof),
    };
    body(asked, &vec![requested])
}

/// Asks whether the certificate is there by now.
pub fn poll() -> Result<Any, Error> {
    body(kind::POLL_REQ, &vec![Poll { id: REQUEST_ID }])
}

/// Tells the authority what becomes of its certificate.
pub fn verdict(issued: &Certificate, refusal: Option<&Error>) -> Result<Any, Error> {
    let parsed = x509_cert::Certificate::from_der(&issued.der)
        .map_err(|_| failure("the certificate cannot be read".into()))?;
    // RFC 4210 §5.3.18: digested as it is signed, even if it is refused for that.
    let algorithm = parsed.signature_algorithm().oid;
    let hash = signature::digest_of(&algorithm, Strength::Old)?
        .ok_or_else(|| failure("the certificate does not say how it is signed".into()))?;
    let status = match refusal {
        None => None,
        Some(reason) => {
            let text = Any::new(Tag::Utf8String, reason.to_string().into_bytes());
            Some(Status {
                status: REJECTED,
                text: Some(vec![text.map_err(unmade)?]),
                failure: None,
            })
        }
    };
    let confirmed = Confirmed {
        hash: OctetString::new(hash.digest(&issued.der).as_ref()).map_err(unmade)?,
        id: REQUEST_ID,
        status,
    };
    body(kind::CERT_CONF, &vec![confirmed])
}

fn followed(old: &Certificate) -> Result<Info, Error> {
    let parsed = read_certificate(old)?;
    let tbs = parsed.tbs_certificate();
    let id = CertificateId {
        issuer: named(tbs.issuer().clone())?,
        serial: tbs.serial_number().clone(),
    };
    Ok(Info {
        kind: OLD_CERTIFICATE,
        value: Some(Any::encode_from(&id).map_err(unmade)?),
    })
}

fn extensions(request: &CertReq) -> Result<Option<Extensions>, Error> {
    let mut attributes = request.info.attributes.iter();
    let found = attributes.find(|attribute| attribute.oid == EXTENSION_REQUEST);
    let value = found.and_then(|attribute| attribute.values.iter().next());
    value
        .map(|value| value.decode_as::<Extensions>().map_err(unmade))
        .transpose()
}

fn read_request(pkcs10: &[u8]) -> Result<CertReq, Error> {
    CertReq::from_der(pkcs10).map_err(unmade)
}

fn read_certificate(certificate: &Certificate) -> Result<x509_cert::Certificate, Error> {
    x509_cert::Certificate::from_der(&certificate.der).map_err(|_| {
        failure(format!(
            "the certificate of {} cannot be read",
            certificate.subject
        ))
    })
}

fn subject(certificate: &Certificate) -> Result<Name, Error> {
    Ok(read_certificate(certificate)?
        .tbs_certificate()
        .subject()
        .clone())
}

fn named(name: Name) -> Result<Any, Error> {
    GeneralName::DirectoryName(name)
        .to_der()
        .and_then(|der| Any::from_der(&der))
        .map_err(unmade)
}
