//! Encrypted messages (RFC 5652 §6): AES in CBC mode (RFC 3565), its key encrypted with RSA (RFC 3370 §4.2.1).

use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use cms::content_info::CmsVersion;
use cms::enveloped_data::{
    EncryptedContentInfo, EnvelopedData, KeyTransRecipientInfo, OriginatorInfo,
    RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use der::asn1::{Any, Null, ObjectIdentifier, OctetString, OctetStringRef, SetOfVec};
use der::{Decode, Sequence, Tag, TagNumber, Tagged};
use x509_cert::attr::Attributes;
use x509_cert::spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::{DATA, ENVELOPED_DATA, content, message, name_of, unmade, wrong};
use crate::pki::signature::{RSA, Strength};
use crate::pki::{Certificate, Error, Key};

const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.7");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");

/// [`EnvelopedData`] as others write it: some cut the content into strings as BER permits.
#[derive(Clone, Debug, Sequence)]
struct Read {
    version: CmsVersion,
    #[asn1(
        context_specific = "0",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    originator: Option<OriginatorInfo>,
    recipients: RecipientInfos,
    content: ReadContent,
    #[asn1(
        context_specific = "1",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    attributes: Option<Attributes>,
}

#[derive(Clone, Debug, Sequence)]
struct ReadContent {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierOwned,
    content: Option<Any>,
}

impl ReadContent {
    fn bytes(&self) -> Option<Vec<u8>> {
        let content = self.content.as_ref()?;
        let mut rest = content.value();
        match content.tag() {
            Tag::ContextSpecific {
                constructed: false,
                number: TagNumber(0),
            } => Some(rest.to_vec()),
            Tag::ContextSpecific {
                constructed: true,
                number: TagNumber(0),
            } => {
                let mut whole = Vec::new();
                while !rest.is_empty() {
                    let (part, after) = <&OctetStringRef>::from_der_partial(rest).ok()?;
                    whole.extend(part.as_bytes());
                    rest = after;
                }
                Some(whole)
            }
            _ => None,
        }
    }
}

/// How content is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES with 128 bits: what RFC 8894 §2.9 has every server know.
    Aes128,
    /// AES with 256 bits.
    Aes256,
}

/// Encrypts to the key of a certificate.
pub fn encrypt(content: &[u8], recipient: &Certificate, cipher: Cipher) -> Result<Vec<u8>, Error> {
    let (oid, algorithm, key_bytes) = match cipher {
        Cipher::Aes128 => (AES_128_CBC, &AES_128, 16),
        Cipher::Aes256 => (AES_256_CBC, &AES_256, 32),
    };
    let mut key = Zeroizing::new(vec![0; key_bytes]);
    let mut iv = [0; 16];
    let failed = |_| wrong("the message cannot be encrypted");
    rand::fill(&mut key).map_err(failed)?;
    rand::fill(&mut iv).map_err(failed)?;
    let mut encrypted = content.to_vec();
    let bound = UnboundCipherKey::new(algorithm, &key).map_err(failed)?;
    PaddedBlockEncryptingKey::cbc_pkcs7(bound)
        .and_then(|key| {
            let context = EncryptionContext::Iv128(FixedLength::from(iv));
            key.less_safe_encrypt(&mut encrypted, context)
        })
        .map_err(failed)?;
    let info = KeyTransRecipientInfo {
        version: CmsVersion::V0,
        rid: RecipientIdentifier::IssuerAndSerialNumber(name_of(recipient)?),
        key_enc_alg: AlgorithmIdentifierOwned {
            oid: RSA,
            parameters: Some(Null.into()),
        },
        enc_key: OctetString::new(to_key(&key, recipient)?).map_err(unmade)?,
    };
    let infos = SetOfVec::from_iter([RecipientInfo::Ktri(info)]).map_err(unmade)?;
    let iv = OctetString::new(iv).map_err(unmade)?;
    let enveloped = EnvelopedData {
        version: CmsVersion::V0,
        originator_info: None,
        recip_infos: RecipientInfos(infos),
        encrypted_content: EncryptedContentInfo {
            content_type: DATA,
            content_enc_alg: AlgorithmIdentifierOwned {
                oid,
                parameters: Some(Any::encode_from(&iv).map_err(unmade)?),
            },
            encrypted_content: Some(OctetString::new(encrypted).map_err(unmade)?),
        },
        unprotected_attrs: None,
    };
    message(ENVELOPED_DATA, &enveloped)
}

fn to_key(secret: &[u8], recipient: &Certificate) -> Result<Vec<u8>, Error> {
    let fail = |_| {
        Error::Message(format!(
            "nothing can be encrypted to {}: its key is {}, and must be RSA from 2048 bits",
            recipient.subject, recipient.key
        ))
    };
    let public = PublicEncryptingKey::from_der(&recipient.public_key)
        .map_err(|_| fail(aws_lc_rs::error::Unspecified))?;
    let public = Pkcs1PublicEncryptingKey::new(public).map_err(fail)?;
    let mut encrypted = vec![0; public.ciphertext_size()];
    let length = public.encrypt(secret, &mut encrypted).map_err(fail)?.len();
    encrypted.truncate(length);
    Ok(encrypted)
}

/// Decrypts what was encrypted to a certificate of ours. Its sender must have been proved.
pub fn decrypt(
    der: &[u8],
    recipient: &Certificate,
    key: &Key,
    strength: Strength,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let enveloped = content(der, ENVELOPED_DATA)?
        .decode_as::<Read>()
        .map_err(|_| wrong("the encoding of the encrypted message is wrong"))?;
    let (algorithm, context) = cipher_of(&enveloped.content.algorithm, strength)?;
    let own = name_of(recipient)?;
    let encrypted_key = enveloped
        .recipients
        .0
        .iter()
        .find_map(|info| match info {
            RecipientInfo::Ktri(info)
                if info.rid == RecipientIdentifier::IssuerAndSerialNumber(own.clone()) =>
            {
                Some(info)
            }
            _ => None,
        })
        .ok_or_else(|| wrong("the message is encrypted to somebody else"))?;
    if encrypted_key.key_enc_alg.oid != RSA {
        return Err(Error::Message(format!(
            "the key of the message is encrypted with {}, which is not known here",
            encrypted_key.key_enc_alg.oid
        )));
    }
    let body = enveloped
        .content
        .bytes()
        .ok_or_else(|| wrong("the encrypted message has no content"))?;
    let failed = |_| wrong("the message cannot be decrypted");
    let secret = key.decrypt(encrypted_key.enc_key.as_bytes())?;
    let bound = UnboundCipherKey::new(algorithm, &secret).map_err(failed)?;
    let mut plain = Zeroizing::new(body);
    let length = PaddedBlockDecryptingKey::cbc_pkcs7(bound)
        .map_err(failed)?
        .decrypt(&mut plain, context)
        .map_err(failed)?
        .len();
    plain.truncate(length);
    Ok(plain)
}

fn cipher_of(
    named: &AlgorithmIdentifierOwned,
    strength: Strength,
) -> Result<(&'static Algorithm, DecryptionContext), Error> {
    let algorithm = match named.oid {
        AES_128_CBC => &AES_128,
        AES_256_CBC => &AES_256,
        DES_CBC | DES_EDE3_CBC if strength == Strength::Old => old(named.oid),
        DES_CBC | DES_EDE3_CBC => {
            return Err(wrong(
                "it is encrypted with DES, which is refused: the server must use AES",
            ));
        }
        other => {
            return Err(Error::Message(format!(
                "the message is encrypted with {other}, which is not known here"
            )));
        }
    };
    let iv = named.parameters.as_ref();
    let iv = iv
        .and_then(|value| value.decode_as::<&OctetStringRef>().ok())
        .map(OctetStringRef::as_bytes)
        .unwrap_or_default();
    let context = match algorithm.block_len() {
        16 => <[u8; 16]>::try_from(iv).map(|iv| DecryptionContext::Iv128(FixedLength::from(iv))),
        _ => <[u8; 8]>::try_from(iv).map(|iv| DecryptionContext::Iv64(FixedLength::from(iv))),
    };
    let context = context.map_err(|_| wrong("the encrypted message has no initial vector"))?;
    Ok((algorithm, context))
}

#[expect(
    deprecated,
    reason = "read where the operator lets it pass, never written"
)]
fn old(oid: ObjectIdentifier) -> &'static Algorithm {
    match oid {
        DES_CBC => &aws_lc_rs::cipher::DES_FOR_LEGACY_USE_ONLY,
        _ => &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
    }
}

#[cfg(test)]
mod tests {
    use der::Encode;

    use super::*;
    use crate::pki::enrol::testing::Authority;
    use crate::pki::key::Wanted;

    #[test]
    fn encrypted_content_in_several_strings_is_one() {
        let own = Authority::new("ca", Wanted::Rsa(2048));
        let text = b"twenty bytes of text";
        let der = encrypt(text, &own.certificate, Cipher::Aes128).expect("encrypted");
        let outer = content(&der, ENVELOPED_DATA).expect("read");
        let mut read = outer.decode_as::<Read>().expect("read");
        let whole = read.content.bytes().expect("there");
        let strings: Vec<u8> = whole
            .chunks(11)
            .map(|part| OctetString::new(part).and_then(|part| part.to_der()))
            .collect::<Result<Vec<_>, _>>()
            .expect("short")
            .concat();
        let tag = |constructed| Tag::ContextSpecific {
            constructed,
            number: TagNumber(0),
        };
        for (content, wanted) in [
            (Any::new(tag(true), strings.clone()), Some(&text[..])),
            (Any::new(tag(false), whole.clone()), Some(&text[..])),
            (Any::new(tag(true), &strings[..strings.len() - 1]), None),
            (Any::new(Tag::OctetString, whole), None),
        ] {
            read.content.content = Some(content.expect("short"));
            let der = message(ENVELOPED_DATA, &read).expect("made");
            let plain = decrypt(&der, &own.certificate, &own.key, Strength::Current);
            assert_eq!(plain.ok().as_deref().map(Vec::as_slice), wanted);
        }
    }
}
