//! What an authority signed: the bytes, how, and the signature.
//!
//! Comes in: a list or a response as it came. Goes out: whether a key signed it. Only algorithms that connections
//! accept are accepted: no SHA-1, no RSA below 2048 bits. RFC 5280 §5.1.1, RFC 6960 §4.2.1.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls::crypto::aws_lc_rs::default_provider;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

/// What is inside a SEQUENCE.
pub(super) fn inside(bytes: &[u8]) -> der::Result<SliceReader<'_>> {
    let outer = AnyRef::from_der(bytes)?;
    outer.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(outer.value())
}

/// Signed bytes. What follows the signature stays in the reader.
pub(super) struct Signed<'a> {
    /// What was signed, with its header.
    pub message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads the three parts.
    pub fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let message = reader.tlv_bytes()?;
        let algorithm = AnyRef::decode(reader)?;
        algorithm.tag().assert_eq(Tag::Sequence)?;
        let signature = BitStringRef::decode(reader)?;
        Ok(Self {
            message,
            algorithm: algorithm.value(),
            signature: signature.as_bytes().unwrap_or_default(),
        })
    }

    /// Whether this key, encoded as certificates hold it, signed it.
    pub fn is_by(&self, public_key: &[u8]) -> bool {
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(public_key) else {
            return false;
        };
        let Some(kind) = algorithm_of(public_key) else {
            return false;
        };
        let known = default_provider().signature_verification_algorithms.all;
        known.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == kind
                && algorithm
                    .verify_signature(&key.subject_public_key.data, self.message, self.signature)
                    .is_ok()
        })
    }
}

/// The algorithm of a key, without its header.
fn algorithm_of(public_key: &[u8]) -> Option<&[u8]> {
    let mut reader = inside(public_key).ok()?;
    Some(AnyRef::decode(&mut reader).ok()?.value())
}
