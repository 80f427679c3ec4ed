//! Cryptographic messages (RFC 5652): signed, encrypted, or certificates alone.
//!
//! Comes in: bytes, keys, certificates. Goes out: bytes, or what they hold once it is proved. What is made is SHA-256 or
//! better and AES; what is read may be no less, unless the caller lets it pass. Reading is DER, bounded by the
//! caller's [`super::MAX_ANSWER_BYTES`].

/// Signed messages.
pub mod signed;
/// Encrypted messages.
pub mod enveloped;

use cms::cert::IssuerAndSerialNumber;
use cms::content_info::ContentInfo;
use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode};
use x509_cert::TbsCertificate;

pub use enveloped::{decrypt, encrypt};
pub use signed::{Signed, Verified, sign};

use crate::pki::chain::MAX_CERTIFICATES;
use crate::pki::{Certificate, Error, bundle};

/// Plain bytes.
pub const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");

/// Certificates out of whatever they are handed over in: PEM, base64 alone, DER, or PKCS#7 in any of these.
pub fn certificates_of(bytes: &[u8]) -> Result<Vec<Certificate>, Error> {
    if bytes.len() > bundle::MAX_BYTES {
        return Err(Error::NotACertificate("it is too long"));
    }
    let text = std::str::from_utf8(bytes).ok();
    let found = match text {
        Some(text) if text.contains("-----BEGIN") => armoured(text)?,
        Some(text) => encoded(
            &bundle::pasted(text).ok_or(Error::NotACertificate("it is neither PEM nor base64"))?,
        )?,
        None => encoded(bytes)?,
    };
    match found.len() {
        0 => Err(Error::NotACertificate("there is no certificate in it")),
        1..=MAX_CERTIFICATES => Ok(found),
        _ => Err(Error::NotACertificate(
            "there are too many certificates in it",
        )),
    }
}

fn armoured(text: &str) -> Result<Vec<Certificate>, Error> {
    let parts = pem::parse_many(text).map_err(|_| Error::NotACertificate("the PEM is damaged"))?;
    let mut found = Vec::new();
    for part in parts {
        match part.tag() {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                found.push(Certificate::parse(part.contents())?);
            }
            "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA" => {
                found.extend(certificates_alone(part.contents())?)
            }
            tag if tag.contains("PRIVATE KEY") => {
                return Err(Error::NotACertificate(
                    "there is a private key in it: it does not belong here, and is no secret any more",
                ));
            }
            _ => {}
        }
        if found.len() > MAX_CERTIFICATES {
            break;
        }
    }
    Ok(found)
}

/// DER of a certificate or of a message that carries certificates.
pub fn encoded(der: &[u8]) -> Result<Vec<Certificate>, Error> {
    if ContentInfo::from_der(der).is_ok() {
        return certificates_alone(der);
    }
    Ok(vec![Certificate::parse(der)?])
}

/// The certificates of a message that has nothing else (RFC 8894 §3.4), whether somebody signed it or not.
pub fn certificates_alone(der: &[u8]) -> Result<Vec<Certificate>, Error> {
    Signed::read(der)?.certificates()
}

/// A message that has nothing but certificates.
pub fn bundle_of(certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
    signed::degenerate(certificates)
}

fn message(content_type: ObjectIdentifier, content: &impl Encode) -> Result<Vec<u8>, Error> {
    let content = content.to_der().and_then(|der| Any::from_der(&der));
    content
        .and_then(|content| {
            ContentInfo {
                content_type,
                content,
            }
            .to_der()
        })
        .map_err(unmade)
}

fn content(der: &[u8], wanted: ObjectIdentifier) -> Result<Any, Error> {
    let outer = ContentInfo::from_der(der).map_err(|_| wrong("this is not a CMS message"))?;
    if outer.content_type != wanted {
        return Err(Error::Message(format!(
            "the CMS message is of type {}, not {wanted}",
            outer.content_type
        )));
    }
    Ok(outer.content)
}

/// How messages name a certificate.
pub fn name_of(certificate: &Certificate) -> Result<IssuerAndSerialNumber, Error> {
    let parsed = x509_cert::Certificate::from_der(&certificate.der)
        .map_err(|_| wrong("the encoding of a certificate is wrong"))?;
    let tbs: &TbsCertificate = parsed.tbs_certificate();
    Ok(IssuerAndSerialNumber {
        issuer: tbs.issuer().clone(),
        serial_number: tbs.serial_number().clone(),
    })
}

fn wrong(what: &str) -> Error {
    Error::Message(what.to_owned())
}

fn unmade(error: der::Error) -> Error {
    Error::Make {
        what: "CMS message",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
