//! Signatures and digests by the names that messages carry for them.
//!
//! Comes in: a public key as certificates hold it, algorithm identifiers, a message. Goes out: whether the signature is
//! right, or why it is not even looked at. MD5 is refused always, SHA-1 unless the caller lets it pass. RFC 5754, RFC
//! 8410.

use aws_lc_rs::digest;
use aws_lc_rs::signature as lc;
use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::certificate::KeyKind;
use super::{Error, Key};

/// What a peer may still use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strength {
    /// SHA-256 or better, AES.
    #[default]
    Current,
    /// Also SHA-1 and DES: for servers that answer so whatever they are asked with.
    Old,
}

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Finds a digest by its identifier.
    pub fn named(oid: &ObjectIdentifier, strength: Strength) -> Result<Self, Error> {
        match *oid {
            SHA256 => Ok(Self::Sha256),
            SHA384 => Ok(Self::Sha384),
            SHA512 => Ok(Self::Sha512),
            SHA1 if strength == Strength::Old => Ok(Self::Sha1),
            SHA1 => Err(weak("SHA-1")),
            MD5 => Err(weak("MD5")),
            _ => Err(Error::Message(format!(
                "the digest {oid} is not known here"
            ))),
        }
    }

    /// Its identifier.
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => SHA1,
            Self::Sha256 => SHA256,
            Self::Sha384 => SHA384,
            Self::Sha512 => SHA512,
        }
    }

    /// Digests a message.
    pub fn digest(self, message: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message)
    }
}

/// The digest and the algorithm that [`Key::sign`] uses.
pub fn of_key(key: &Key) -> Result<(Hash, AlgorithmIdentifierOwned), Error> {
    let (hash, oid) = match key.kind() {
        KeyKind::Rsa(_) => (Hash::Sha256, RSA_SHA256),
        KeyKind::Ecdsa(256) => (Hash::Sha256, ECDSA_SHA256),
        KeyKind::Ecdsa(384) => (Hash::Sha384, ECDSA_SHA384),
        KeyKind::Ecdsa(521) => (Hash::Sha512, ECDSA_SHA512),
        KeyKind::Ed25519 => (Hash::Sha512, ED25519),
        _ => {
            return Err(Error::Key(
                "messages cannot be signed with a key of this kind",
            ));
        }
    };
    // RFC 4055 §5: RSA wants NULL parameters; RFC 5758 §3.2 and RFC 8410 §3: the others none.
    let parameters = (oid == RSA_SHA256).then(|| der::asn1::Null.into());
    Ok((hash, AlgorithmIdentifierOwned { oid, parameters }))
}

/// The digest that a signature algorithm implies; `None` where the message names it elsewhere.
pub fn digest_of(oid: &ObjectIdentifier, strength: Strength) -> Result<Option<Hash>, Error> {
    let hash = match *oid {
        RSA => return Ok(None),
        RSA_SHA256 | ECDSA_SHA256 => Hash::Sha256,
        RSA_SHA384 | ECDSA_SHA384 => Hash::Sha384,
        RSA_SHA512 | ECDSA_SHA512 | ED25519 => Hash::Sha512,
        RSA_SHA1 if strength == Strength::Old => Hash::Sha1,
        RSA_SHA1 | ECDSA_SHA1 => return Err(weak("SHA-1")),
        RSA_MD5 => return Err(weak("MD5")),
        _ => {
            return Err(Error::Message(format!(
                "the signature algorithm {oid} is not known here"
            )));
        }
    };
    Ok(Some(hash))
}

/// Checks a signature. `named` is the digest that the message names beside the algorithm.
pub fn verify(
    public_key: &[u8],
    algorithm: &ObjectIdentifier,
    named: Option<Hash>,
    message: &[u8],
    signature: &[u8],
    strength: Strength,
) -> Result<(), Error> {
    let implied = digest_of(algorithm, strength)?;
    let hash = match (implied, named) {
        (Some(implied), Some(named)) if implied != named => {
            return Err(Error::Message(
                "the signature names two digests that differ".into(),
            ));
        }
        (implied, named) => implied.or(named),
    };
    let key = SubjectPublicKeyInfoOwned::from_der(public_key)
        .map_err(|_| Error::Message("the signer's key cannot be read".into()))?;
    let verifier = verifier(&key, algorithm, hash)
        .ok_or_else(|| Error::Message("the signature does not go with the signer's key".into()))?;
    lc::UnparsedPublicKey::new(verifier, key.subject_public_key.raw_bytes())
        .verify(message, signature)
        .map_err(|_| Error::Message("the signature is wrong".into()))
}

fn verifier(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &ObjectIdentifier,
    hash: Option<Hash>,
) -> Option<&'static dyn lc::VerificationAlgorithm> {
    let curve = || {
        let parameters = key.algorithm.parameters.as_ref()?;
        parameters.decode_as::<ObjectIdentifier>().ok()
    };
    let is_rsa = [RSA, RSA_SHA1, RSA_SHA256, RSA_SHA384, RSA_SHA512].contains(algorithm);
    Some(match (key.algorithm.oid, hash) {
        (RSA, Some(Hash::Sha1)) if is_rsa => &lc::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (RSA, Some(Hash::Sha256)) if is_rsa => &lc::RSA_PKCS1_2048_8192_SHA256,
        (RSA, Some(Hash::Sha384)) if is_rsa => &lc::RSA_PKCS1_2048_8192_SHA384,
        (RSA, Some(Hash::Sha512)) if is_rsa => &lc::RSA_PKCS1_2048_8192_SHA512,
        (ED25519, _) if *algorithm == ED25519 => &lc::ED25519,
        (EC, _) => match (*algorithm, curve()?) {
            (ECDSA_SHA256, P256) => &lc::ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, P256) => &lc::ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA512, P256) => &lc::ECDSA_P256_SHA512_ASN1,
            (ECDSA_SHA256, P384) => &lc::ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, P384) => &lc::ECDSA_P384_SHA384_ASN1,
            (ECDSA_SHA512, P384) => &lc::ECDSA_P384_SHA512_ASN1,
            (ECDSA_SHA256, P521) => &lc::ECDSA_P521_SHA256_ASN1,
            (ECDSA_SHA384, P521) => &lc::ECDSA_P521_SHA384_ASN1,
            (ECDSA_SHA512, P521) => &lc::ECDSA_P521_SHA512_ASN1,
            _ => return None,
        },
        _ => return None,
    })
}

fn weak(what: &str) -> Error {
    Error::Message(format!(
        "it is signed with {what}, which is refused: the server must use SHA-256 or better"
    ))
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// RSA encryption, also a signature whose digest stands elsewhere.
pub const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSA_MD5: ObjectIdentifier = oid("1.2.840.113549.1.1.4");
const RSA_SHA1: ObjectIdentifier = oid("1.2.840.113549.1.1.5");
const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const ECDSA_SHA1: ObjectIdentifier = oid("1.2.840.10045.4.1");
const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = oid("1.3.101.112");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");
const P521: ObjectIdentifier = oid("1.3.132.0.35");
const MD5: ObjectIdentifier = oid("1.2.840.113549.2.5");
const SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
/// RFC 5754 §2.2.
pub const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
