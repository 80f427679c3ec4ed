//! OCSP: a question about one certificate, and what a responder answers.
//!
//! Comes in: a certificate and its issuer's, the time. Goes out: the bytes of a question, and later whether the answer is
//! to be believed and what it says. The answer is signed by the issuer itself, or by whom the issuer made a responder
//! (`id-kp-OCSPSigning`); such a responder's own certificate is not asked about again. RFC 6960, RFC 9654.

use aws_lc_rs::{digest, rand};
use der::asn1::{Any, AnyRef, Int, OctetString};
use der::{Decode, Encode, Reader, SliceReader};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::ext::pkix::CrlReason;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::message::{
    BasicHead, CertId, CertStatus, Extension, OcspRequest, OcspResponse, Request, ResponderId,
    ResponseStatus, SingleResponse, TbsRequest,
};
use super::signed::{Signed, inside};
use super::subject::Subject;
use super::{SKEW_SECONDS, Status};
use crate::pki::Date;

/// A number that an answer must repeat.
pub type OcspNonce = [u8; 32];

/// An answer that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What it says.
    pub status: Status,
    /// When that was known to be so.
    pub this_update: Date,
    /// When more will be known.
    pub next_update: Option<Date>,
    /// As it came, to be shown to others.
    pub der: Vec<u8>,
}

/// A nonce.
pub(super) fn nonce() -> Option<OcspNonce> {
    let mut nonce = [0; 32];
    rand::fill(&mut nonce).ok()?;
    Some(nonce)
}

/// A question about a certificate.
pub(super) fn request(subject: &Subject<'_>, nonce: Option<&OcspNonce>) -> der::Result<Vec<u8>> {
    let extensions = nonce.map(|nonce| {
        let value = OctetString::new(nonce.as_slice())?.to_der()?;
        Ok::<_, der::Error>(vec![Extension {
            id: NONCE,
            critical: false,
            value: OctetString::new(value)?,
        }])
    });
    let request = Request {
        cert_id: cert_id(subject)?,
    };
    let tbs_request = TbsRequest {
        request_list: vec![request],
        extensions: extensions.transpose()?,
    };
    OcspRequest { tbs_request }.to_der()
}

impl Response {
    /// Reads an answer and decides whether to believe it.
    pub(super) fn read(
        bytes: &[u8],
        subject: &Subject<'_>,
        nonce: Option<&OcspNonce>,
        now: Date,
    ) -> Result<Self, String> {
        let basic = basic(bytes)?;
        let unreadable = |_| "the answer is none: the encoding is wrong".to_owned();
        let mut reader = inside(&basic).map_err(unreadable)?;
        let signed = Signed::read(&mut reader).map_err(unreadable)?;
        let certificates = certificates(&mut reader).map_err(unreadable)?;
        let head = BasicHead::from_der(signed.message).map_err(unreadable)?;
        check_signer(&signed, &head.responder_id, &certificates, subject, now)?;
        check_extensions(head.extensions.as_deref().unwrap_or_default(), nonce)?;
        let wanted = cert_id(subject).map_err(unreadable)?;
        let single = head
            .responses
            .into_iter()
            .find(|single| single.cert_id.is_same(&wanted))
            .ok_or("the answer is about another certificate")?;
        let response = Self::of(&single, bytes)?;
        response.check_dates(now)?;
        Ok(response)
    }

    fn of(single: &SingleResponse, bytes: &[u8]) -> Result<Self, String> {
        let extensions = single.extensions.as_deref().unwrap_or_default();
        if extensions.iter().any(|extension| extension.critical) {
            return Err("the answer has an extension that is critical and unknown".into());
        }
        let date = |time: &der::asn1::GeneralizedTime| Date::from(time.to_unix_duration());
        Ok(Self {
            status: match &single.status {
                CertStatus::Good(_) => Status::Good,
                CertStatus::Unknown(_) => Status::Unknown,
                CertStatus::Revoked(about) => Status::Revoked {
                    at: date(&about.time),
                    reason: about.reason.map(word),
                },
            },
            this_update: date(&single.this_update),
            next_update: single.next_update.as_ref().map(date),
            der: bytes.to_vec(),
        })
    }

    /// RFC 6960 §4.2.2.1.
    pub(super) fn check_dates(&self, now: Date) -> Result<(), String> {
        if self.this_update.0 > now.0.saturating_add(SKEW_SECONDS) {
            return Err(format!(
                "the answer is of {}, and it is {now} here: is the clock right?",
                self.this_update
            ));
        }
        match self.next_update {
            Some(next) if now > next => Err(format!(
                "the answer is too old: the next one was due at {next}"
            )),
            _ => Ok(()),
        }
    }
}

/// The part of an answer that is signed, with its signature.
fn basic(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let outer = OcspResponse::from_der(bytes)
        .map_err(|_| "the answer is none: the encoding is wrong".to_owned())?;
    let refusal = match outer.status {
        ResponseStatus::Successful => None,
        ResponseStatus::MalformedRequest => Some("malformedRequest"),
        ResponseStatus::InternalError => Some("internalError"),
        ResponseStatus::TryLater => Some("tryLater"),
        ResponseStatus::SigRequired => Some("sigRequired"),
        ResponseStatus::Unauthorized => Some("unauthorized"),
    };
    if let Some(refusal) = refusal {
        return Err(format!("the responder answers {refusal}"));
    }
    match outer.bytes {
        Some(inner) if inner.kind == BASIC => Ok(inner.response.into_bytes().into_vec()),
        _ => Err("the answer is of an unknown kind".into()),
    }
}

/// The certificates behind the signature.
fn certificates<'a>(reader: &mut SliceReader<'a>) -> der::Result<Vec<&'a [u8]>> {
    let mut found = Vec::new();
    if reader.is_finished() {
        return Ok(found);
    }
    let mut list = inside(AnyRef::decode(reader)?.value())?;
    while !list.is_finished() && found.len() < MAX_CERTIFICATES {
        found.push(list.tlv_bytes()?);
    }
    Ok(found)
}

/// RFC 6960 §4.2.2.2.
fn check_signer(
    signed: &Signed<'_>,
    responder: &ResponderId,
    certificates: &[&[u8]],
    subject: &Subject<'_>,
    now: Date,
) -> Result<(), String> {
    let wrong = || Err("the signature of the answer is wrong, or too weak".to_owned());
    if is_responder(responder, &subject.issuer) {
        return match signed.is_by(subject.issuer.public_key().raw) {
            true => Ok(()),
            false => wrong(),
        };
    }
    let delegated = certificates.iter().find(|der| {
        X509Certificate::from_der(der).is_ok_and(|(_, own)| is_responder(responder, &own))
    });
    let Some(delegated) = delegated else {
        return Err("the answer is signed by somebody whose certificate it does not bring".into());
    };
    check_delegation(delegated, subject.issuer_der, now)?;
    match X509Certificate::from_der(delegated) {
        Ok((_, own)) if signed.is_by(own.public_key().raw) => Ok(()),
        _ => wrong(),
    }
}

/// Whether the issuer itself made somebody a responder.
fn check_delegation(delegated: &[u8], issuer: &[u8], now: Date) -> Result<(), String> {
    let refused = |error: webpki::Error| {
        format!("the answer is signed by somebody whom the issuer made no responder: {error}")
    };
    let issuer = CertificateDer::from(issuer);
    let delegated = CertificateDer::from(delegated);
    let anchor = webpki::anchor_from_trusted_cert(&issuer).map_err(refused)?;
    let parsed = EndEntityCert::try_from(&delegated).map_err(refused)?;
    let time = UnixTime::since_unix_epoch(now.since_epoch());
    let algorithms = default_provider().signature_verification_algorithms.all;
    let usage = KeyUsage::required(OCSP_SIGNING);
    parsed
        .verify_for_usage(algorithms, &[anchor], &[], time, usage, None, None)
        .map(|_| ())
        .map_err(refused)
}

fn is_responder(responder: &ResponderId, certificate: &X509Certificate<'_>) -> bool {
    match responder {
        ResponderId::ByName(name) => is_name(name, certificate.subject().as_raw()),
        ResponderId::ByKey(hash) => {
            let key = &certificate.public_key().subject_public_key.data;
            sha1(key).as_ref() == hash.as_bytes()
        }
    }
}

fn is_name(name: &Any, raw: &[u8]) -> bool {
    name.to_der().is_ok_and(|own| own == raw)
}

/// The nonce is the one that was sent, and nothing else is critical.
fn check_extensions(found: &[Extension], nonce: Option<&OcspNonce>) -> Result<(), String> {
    let is_unknown = |one: &&Extension| one.critical && one.id != NONCE;
    if found.iter().any(|one| is_unknown(&one)) {
        return Err("the answer has an extension that is critical and unknown".into());
    }
    let Some(nonce) = nonce else {
        return Ok(());
    };
    let Some(own) = found.iter().find(|one| one.id == NONCE) else {
        return Err(
            "the answer has no nonce: `ocsp disable-nonce` is for responders that make answers beforehand"
                .into(),
        );
    };
    let value = OctetString::from_der(own.value.as_bytes());
    match value.is_ok_and(|value| value.as_bytes() == nonce) {
        true => Ok(()),
        false => Err("the answer has another nonce: it is to another question".into()),
    }
}

/// Digests are SHA-1 as every responder knows them: they only tell certificates apart.
fn cert_id(subject: &Subject<'_>) -> der::Result<CertId> {
    let name = subject.certificate.issuer().as_raw();
    let key = &subject.issuer.public_key().subject_public_key.data;
    Ok(CertId {
        hash: x509_cert::spki::AlgorithmIdentifierOwned {
            oid: SHA1,
            parameters: Some(Any::null()),
        },
        issuer_name: OctetString::new(sha1(name).as_ref())?,
        issuer_key: OctetString::new(sha1(key).as_ref())?,
        serial: Int::new(subject.certificate.raw_serial())?,
    })
}

fn sha1(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

fn word(reason: CrlReason) -> &'static str {
    match reason {
        CrlReason::Unspecified => "unspecified",
        CrlReason::KeyCompromise => "key compromise",
        CrlReason::CaCompromise => "compromise of the authority",
        CrlReason::AffiliationChanged => "affiliation changed",
        CrlReason::Superseded => "superseded",
        CrlReason::CessationOfOperation => "cessation of operation",
        CrlReason::CertificateHold => "on hold",
        CrlReason::RemoveFromCRL => "removed from the list",
        CrlReason::PrivilegeWithdrawn => "privilege withdrawn",
        CrlReason::AaCompromise => "compromise of an attribute authority",
    }
}

const fn oid(text: &str) -> der::asn1::ObjectIdentifier {
    der::asn1::ObjectIdentifier::new_unwrap(text)
}

const NONCE: der::asn1::ObjectIdentifier = oid("1.3.6.1.5.5.7.48.1.2");
const BASIC: der::asn1::ObjectIdentifier = oid("1.3.6.1.5.5.7.48.1.1");
const SHA1: der::asn1::ObjectIdentifier = oid("1.3.14.3.2.26");
/// `id-kp-OCSPSigning`, 1.3.6.1.5.5.7.3.9, without its header.
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
/// Certificates of an answer that are looked at; a responder needs one.
const MAX_CERTIFICATES: usize = 4;
