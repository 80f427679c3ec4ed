//! Protection of CMP messages (RFC 4210 §5.1.3): a code with a shared secret, or a signature.
//!
//! What is sent is SHA-256 or better. In answers a code with HMAC-SHA-1 passes, because RFC 4210 makes every server know
//! it and what broke SHA-1 does not break it; a signature with it does not.

use aws_lc_rs::{hmac, rand};
use der::asn1::{Any, BitString, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};
use x509_cert::spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::failure;
use super::message::{Header, Message, PasswordBased, unmade};
use crate::pki::chain::{self, MAX_CERTIFICATES};
use crate::pki::enrol::{CMC_CA, CMC_RA, Proof};
use crate::pki::signature::{self, Hash, SHA256, Strength};
use crate::pki::{Certificate, Date, Error};

/// How a message will be protected: chosen before its header is written, which says it.
pub struct Chosen {
    /// Goes into the header.
    pub algorithm: AlgorithmIdentifierOwned,
    /// Goes into the header: which key.
    pub key: Option<Vec<u8>>,
}

/// Chooses the protection of a message.
pub fn choose(proof: &Proof<'_>) -> Result<Chosen, Error> {
    match proof {
        Proof::Secret { reference, .. } => {
            let mut salt = [0; SALT_BYTES];
            rand::fill(&mut salt).map_err(|_| Error::Key("no random numbers"))?;
            let bare = |oid| AlgorithmIdentifierOwned {
                oid,
                parameters: None,
            };
            let parameters = PasswordBased {
                salt: OctetString::new(salt).map_err(unmade)?,
                digest: bare(SHA256),
                iterations: ITERATIONS,
                code: bare(HMAC_SHA256),
            };
            let parameters = Any::encode_from(&parameters).map_err(unmade)?;
            Ok(Chosen {
                algorithm: AlgorithmIdentifierOwned {
                    oid: PASSWORD_BASED_MAC,
                    parameters: Some(parameters),
                },
                key: Some(reference.as_bytes().to_vec()),
            })
        }
        Proof::Signature(identity) => Ok(Chosen {
            algorithm: signature::of_key(identity.key)?.1,
            key: key_identifier(identity.certificate),
        }),
    }
}

/// Protects header and body.
pub fn protect(
    proof: &Proof<'_>,
    algorithm: &AlgorithmIdentifierOwned,
    header: Any,
    body: Any,
) -> Result<Message, Error> {
    let covered = Message::protected(&header, &body)?;
    let (bits, extra) = match proof {
        Proof::Secret { secret, .. } => (code(algorithm, secret, &covered)?.0, None),
        Proof::Signature(identity) => {
            let shown = std::iter::once(identity.certificate).chain(identity.between);
            let shown: Result<Vec<Any>, _> = shown.map(|one| Any::from_der(&one.der)).collect();
            (identity.key.sign(&covered)?, Some(shown.map_err(unmade)?))
        }
    };
    Ok(Message {
        header,
        body,
        protection: Some(BitString::from_bytes(&bits).map_err(unmade)?),
        extra,
    })
}

/// Proves that a message is from the authority: with the secret, where we have one, or signed for one that was confirmed.
pub fn check(
    message: &Message,
    header: &Header,
    proof: &Proof<'_>,
    confirmed: &[Certificate],
    now: Date,
) -> Result<(), Error> {
    let (Some(algorithm), Some(bits)) = (&header.protection, &message.protection) else {
        return Err(failure(
            "the answer is not protected: anybody could have sent it".into(),
        ));
    };
    let covered = Message::protected(&message.header, &message.body)?;
    if algorithm.oid == PASSWORD_BASED_MAC {
        let Proof::Secret { secret, .. } = proof else {
            return Err(failure(
                "the answer is protected with a shared secret, and there is none: it must be signed".into(),
            ));
        };
        let (_, key) = code(algorithm, secret, &covered)?;
        return hmac::verify(&key, &covered, bits.raw_bytes()).map_err(|_| {
            failure("the answer is not protected with our shared secret, or was changed".into())
        });
    }
    let extra = extra(message)?;
    let named = signature::digest_of(&algorithm.oid, Strength::Current)
        .map_err(|error| failure(error.to_string()))?;
    let is_proved = confirmed.iter().chain(&extra).any(|signer| {
        let bits = bits.raw_bytes();
        let strength = Strength::Current;
        may_speak(signer, &extra, confirmed, now)
            && signature::verify(
                &signer.public_key,
                &algorithm.oid,
                named,
                &covered,
                bits,
                strength,
            )
            .is_ok()
    });
    if is_proved {
        return Ok(());
    }
    Err(failure(
        "the answer was changed, or is signed by nobody who may speak for the authority: its own key, one that was \
         confirmed, or one whose certificate it signed for cmcRA or cmcCA"
            .into(),
    ))
}

/// Certificates that came beside a message; nothing proves them.
pub fn extra(message: &Message) -> Result<Vec<Certificate>, Error> {
    certificates(message.extra.as_deref())
}

/// Reads certificates of a message.
pub fn certificates(given: Option<&[Any]>) -> Result<Vec<Certificate>, Error> {
    let given = given.unwrap_or_default();
    if given.len() > MAX_CERTIFICATES {
        return Err(failure(
            "there are too many certificates in the answer".into(),
        ));
    }
    given
        .iter()
        .map(|one| Certificate::parse(&one.to_der().map_err(unmade)?))
        .collect()
}

/// RFC 9483 §3.4: not everybody whom the authority certified may speak for it.
fn may_speak(
    signer: &Certificate,
    extra: &[Certificate],
    confirmed: &[Certificate],
    now: Date,
) -> bool {
    if confirmed.contains(signer) {
        return true;
    }
    if !has_purpose(signer) || now < signer.not_before || now > signer.not_after {
        return false;
    }
    let mut whole = vec![signer.clone()];
    let mut rest: Vec<Certificate> = confirmed.iter().chain(extra).cloned().collect();
    rest.retain(|one| one != signer);
    if chain::extend(&mut whole, &mut rest).is_err() {
        return false;
    }
    let end = whole.iter().position(|one| confirmed.contains(one));
    end.is_some_and(|end| {
        whole[1..=end]
            .iter()
            .all(|one| one.is_ca && one.not_after >= now)
    })
}

fn has_purpose(certificate: &Certificate) -> bool {
    let Ok(parsed) = x509_cert::Certificate::from_der(&certificate.der) else {
        return false;
    };
    let usage = parsed.tbs_certificate().get_extension::<ExtendedKeyUsage>();
    matches!(usage, Ok(Some((_, usage))) if usage.0.contains(&CMC_RA) || usage.0.contains(&CMC_CA))
}

fn key_identifier(certificate: &Certificate) -> Option<Vec<u8>> {
    let parsed = x509_cert::Certificate::from_der(&certificate.der).ok()?;
    let found = parsed
        .tbs_certificate()
        .get_extension::<SubjectKeyIdentifier>();
    let (_, identifier) = found.ok()??;
    Some(identifier.0.as_bytes().to_vec())
}

/// RFC 4211 §4.4: the password and salt, digested over and over, are the key of the code.
fn code(
    algorithm: &AlgorithmIdentifierOwned,
    secret: &str,
    covered: &[u8],
) -> Result<(Vec<u8>, hmac::Key), Error> {
    let parameters = algorithm
        .parameters
        .as_ref()
        .and_then(|value| value.decode_as::<PasswordBased>().ok())
        .ok_or_else(|| failure("the parameters of the protection cannot be read".into()))?;
    if !(1..=MAX_ITERATIONS).contains(&parameters.iterations) {
        return Err(failure(format!(
            "the protection wants {} rounds of digests: at most {MAX_ITERATIONS} are made",
            parameters.iterations
        )));
    }
    let hash = Hash::named(&parameters.digest.oid, Strength::Current)
        .map_err(|error| failure(error.to_string()))?;
    let code = match parameters.code.oid {
        HMAC_SHA1 | HMAC_SHA1_OF_PKCS => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HMAC_SHA256 => hmac::HMAC_SHA256,
        HMAC_SHA384 => hmac::HMAC_SHA384,
        HMAC_SHA512 => hmac::HMAC_SHA512,
        other => {
            return Err(failure(format!(
                "the protection uses {other}, which is not known here"
            )));
        }
    };
    let mut key = Zeroizing::new([secret.as_bytes(), parameters.salt.as_bytes()].concat());
    for _ in 0..parameters.iterations {
        key = Zeroizing::new(hash.digest(&key).as_ref().to_vec());
    }
    let key = hmac::Key::new(code, &key);
    Ok((hmac::sign(&key, covered).as_ref().to_vec(), key))
}

const SALT_BYTES: usize = 16;
const ITERATIONS: i64 = 10_000;
/// More would let a server keep us busy.
const MAX_ITERATIONS: i64 = 100_000;

const PASSWORD_BASED_MAC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113533.7.66.13");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.8.1.2");
const HMAC_SHA1_OF_PKCS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
