//! Signed messages (RFC 5652 §5): one signer, attributes, certificates beside them.

use std::cmp::Ordering;

use cms::content_info::CmsVersion;
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier, OctetString, OctetStringRef, SetOfVec};
use der::{Decode, Encode, Sequence};
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{DATA, SIGNED_DATA, content, message, name_of, unmade, wrong};
use crate::pki::chain::MAX_CERTIFICATES;
use crate::pki::signature::{self, Hash, Strength};
use crate::pki::{Certificate, Error, Key};

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// Certificates stay as they came: encoded anew they might not be the ones that were signed.
#[derive(Clone, Debug, Sequence)]
struct SignedData {
    version: CmsVersion,
    digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    content: EncapsulatedContentInfo,
    #[asn1(
        context_specific = "0",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    certificates: Option<SetOfVec<Any>>,
    #[asn1(
        context_specific = "1",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    revocations: Option<SetOfVec<Any>>,
    signers: SetOfVec<SignerInfo>,
}

/// Signs content and attributes, and puts the signer's certificate beside them.
pub fn sign(
    content: &[u8],
    attributes: Vec<Attribute>,
    signer: &Certificate,
    key: &Key,
) -> Result<Vec<u8>, Error> {
    let (hash, signature_algorithm) = signature::of_key(key)?;
    let digest_alg = AlgorithmIdentifierOwned {
        oid: hash.oid(),
        parameters: None,
    };
    let digest = OctetString::new(hash.digest(content).as_ref()).map_err(unmade)?;
    let mut attributes = attributes;
    attributes.push(attribute(CONTENT_TYPE, Any::from(DATA))?);
    attributes.push(attribute(
        MESSAGE_DIGEST,
        Any::encode_from(&digest).map_err(unmade)?,
    )?);
    let attributes = SetOfVec::from_iter(attributes).map_err(unmade)?;
    let signature = key.sign(&attributes.to_der().map_err(unmade)?)?;
    let info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(name_of(signer)?),
        digest_alg: digest_alg.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm,
        signature: OctetString::new(signature).map_err(unmade)?,
        unsigned_attrs: None,
    };
    let body = OctetString::new(content).map_err(unmade)?;
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::from_iter([digest_alg]).map_err(unmade)?,
        content: EncapsulatedContentInfo {
            econtent_type: DATA,
            econtent: Some(Any::encode_from(&body).map_err(unmade)?),
        },
        certificates: Some(set_of(std::slice::from_ref(signer))?),
        revocations: None,
        signers: SetOfVec::from_iter([info]).map_err(unmade)?,
    };
    message(SIGNED_DATA, &signed)
}

/// A message that nobody signed, and that has nothing but certificates.
pub(super) fn degenerate(certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        content: EncapsulatedContentInfo {
            econtent_type: DATA,
            econtent: None,
        },
        certificates: Some(set_of(certificates)?),
        revocations: None,
        signers: SetOfVec::new(),
    };
    message(SIGNED_DATA, &signed)
}

fn set_of(certificates: &[Certificate]) -> Result<SetOfVec<Any>, Error> {
    let values: Result<Vec<Any>, _> = certificates
        .iter()
        .map(|certificate| Any::from_der(&certificate.der))
        .collect();
    values.and_then(SetOfVec::from_iter).map_err(unmade)
}

/// An attribute of one value.
pub fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, Error> {
    let values = SetOfVec::from_iter([value]).map_err(unmade)?;
    Ok(Attribute { oid, values })
}

/// A signed message that was read, and is not proved yet.
#[derive(Clone, Debug)]
pub struct Signed(SignedData);

/// What a signer really said.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The content, empty if there is none.
    pub content: Vec<u8>,
    attributes: Attributes,
}

impl Signed {
    /// Reads a message.
    pub fn read(der: &[u8]) -> Result<Self, Error> {
        let content = content(der, SIGNED_DATA)?;
        let signed = content
            .decode_as::<SignedData>()
            .map_err(|_| wrong("the encoding of the signed message is wrong"))?;
        Ok(Self(signed))
    }

    /// The certificates that came with it; nothing proves them.
    pub fn certificates(&self) -> Result<Vec<Certificate>, Error> {
        let given = self.0.certificates.as_ref();
        if given.is_some_and(|given| given.len() > MAX_CERTIFICATES) {
            return Err(Error::NotACertificate(
                "there are too many certificates in it",
            ));
        }
        let given = given.into_iter().flat_map(SetOfVec::iter);
        given
            .map(|one| Certificate::parse(&one.to_der().map_err(unmade)?))
            .collect()
    }

    /// The message with another digest named in it.
    #[cfg(test)]
    pub(super) fn with_digest(mut self, oid: ObjectIdentifier) -> Self {
        let mut signers = std::mem::take(&mut self.0.signers).into_vec();
        signers[0].digest_alg.oid = oid;
        self.0.signers = SetOfVec::from_iter(signers).expect("one");
        self
    }

    /// Proves that one of these signed it.
    pub fn verify(&self, signers: &[Certificate], strength: Strength) -> Result<Verified, Error> {
        let [info] = self.0.signers.as_slice() else {
            return Err(wrong("the message must have one signer"));
        };
        let signer = signers
            .iter()
            .find(|signer| is_named(&info.sid, signer))
            .ok_or_else(|| wrong("nobody whom we trust signed the message"))?;
        let hash = Hash::named(&info.digest_alg.oid, strength)?;
        let content = match &self.0.content.econtent {
            Some(body) => body
                .decode_as::<&OctetStringRef>()
                .map_err(|_| wrong("the content of the message is not a string"))?
                .as_bytes(),
            None => &[],
        };
        // RFC 5652 §5.3: without attributes the content itself would be signed, and an attacker could present the
        // attributes of another message as content.
        let attributes = info
            .signed_attrs
            .as_ref()
            .ok_or_else(|| wrong("the message has no signed attributes"))?;
        let told = single(attributes, MESSAGE_DIGEST)?
            .and_then(|value| value.decode_as::<&OctetStringRef>().ok())
            .ok_or_else(|| wrong("the message does not say its digest"))?;
        if told.as_bytes() != hash.digest(content).as_ref() {
            return Err(wrong("the content was changed after it was signed"));
        }
        let told = single(attributes, CONTENT_TYPE)?
            .and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
        if told != Some(self.0.content.econtent_type) {
            return Err(wrong("the message does not say the type of its content"));
        }
        signature::verify(
            &signer.public_key,
            &info.signature_algorithm.oid,
            Some(hash),
            &attributes.to_der().map_err(unmade)?,
            info.signature.as_bytes(),
            strength,
        )?;
        Ok(Verified {
            content: content.to_vec(),
            attributes: attributes.clone(),
        })
    }
}

impl Verified {
    /// The value of an attribute; `None` where it is not there.
    pub fn attribute(&self, oid: ObjectIdentifier) -> Result<Option<&Any>, Error> {
        single(&self.attributes, oid)
    }
}

/// RFC 5652 §5.3: an attribute stands once, and these have one value.
fn single(attributes: &Attributes, oid: ObjectIdentifier) -> Result<Option<&Any>, Error> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(attribute), None) => match attribute.values.as_slice() {
            [value] => Ok(Some(value)),
            _ => Err(wrong("an attribute of the message does not have one value")),
        },
        _ => Err(wrong("an attribute of the message stands twice")),
    }
}

fn is_named(id: &SignerIdentifier, certificate: &Certificate) -> bool {
    match id {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            name_of(certificate).is_ok_and(|own| own == *named)
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => {
            key_identifier(certificate).is_some_and(|own| own.0.cmp(&named.0) == Ordering::Equal)
        }
    }
}

fn key_identifier(certificate: &Certificate) -> Option<SubjectKeyIdentifier> {
    let parsed = x509_cert::Certificate::from_der(&certificate.der).ok()?;
    let found = parsed.tbs_certificate().get_extension();
    found.ok().flatten().map(|(_, identifier)| identifier)
}
