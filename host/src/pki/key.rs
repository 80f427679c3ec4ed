//! Key pairs, and their sealed form.
//!
//! Comes in: what kind of key is wanted, PKCS#8, or a token that holds one. Goes out: a key that signs, and bytes that only the holder of the
//! sealing key can open (AES-256-GCM, bound to the key's label). Private bytes are wiped when dropped; nothing here
//! prints them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use rcgen::{KeyPair, PublicKeyData, RsaKeySize, SigningKey};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

use super::Error;
use super::certificate::{self, KeyKind};
use super::token::{Remote, Token};

/// Label of a key that was made without naming it.
pub const DEFAULT_LABEL: &str = "<Default-RSA-Key>";

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// RSA with a modulus of so many bits.
    Rsa(u32),
    /// On the NIST curve of so many bits.
    Ecdsa(u32),
    /// Ed25519.
    Ed25519,
}

/// A private key and its label.
pub struct Key {
    /// What the configuration calls it.
    pub label: String,
    private: Private,
    kind: KeyKind,
    public: Vec<u8>,
}

/// Where the private half is.
enum Private {
    /// Here, as PKCS#8.
    Here(Zeroizing<Vec<u8>>),
    /// In a token, which does not hand it out.
    Token(Remote),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.label, self.kind)
    }
}

impl Key {
    /// Makes a key.
    pub fn generate(label: &str, wanted: Wanted) -> Result<Self, Error> {
        let made = match wanted {
            Wanted::Rsa(2048) => rsa(RsaKeySize::_2048),
            Wanted::Rsa(3072) => rsa(RsaKeySize::_3072),
            Wanted::Rsa(4096) => rsa(RsaKeySize::_4096),
            Wanted::Rsa(_) => {
                return Err(Error::Key(
                    "a modulus is 2048, 3072 or 4096 bits: smaller keys are refused by every current peer",
                ));
            }
            Wanted::Ecdsa(256) => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Wanted::Ecdsa(384) => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Wanted::Ecdsa(521) => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            Wanted::Ecdsa(_) => {
                return Err(Error::Key("an elliptic curve is 256, 384 or 521 bits"));
            }
            Wanted::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let mut made = made.map_err(|_| Error::Key("the key could not be made"))?;
        let pkcs8 = Zeroizing::new(made.serialized_der().to_vec());
        made.zeroize();
        Self::from_pkcs8(label, pkcs8)
    }

    /// Takes a key that was made elsewhere.
    pub fn from_pkcs8(label: &str, pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let mut pair = pair(&pkcs8)?;
        let algorithm = pair.algorithm();
        let public = pair.subject_public_key_info();
        let kind = match () {
            () if *algorithm == rcgen::PKCS_ECDSA_P256_SHA256 => KeyKind::Ecdsa(256),
            () if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 => KeyKind::Ecdsa(384),
            () if *algorithm == rcgen::PKCS_ECDSA_P521_SHA512 => KeyKind::Ecdsa(521),
            () if *algorithm == rcgen::PKCS_ED25519 => KeyKind::Ed25519,
            () if *algorithm == rcgen::PKCS_RSA_SHA256 => KeyKind::Rsa(modulus_bits(&public)),
            () => KeyKind::Other,
        };
        pair.zeroize();
        Ok(Self {
            label: label.to_owned(),
            private: Private::Here(pkcs8),
            kind,
            public,
        })
    }

    /// Takes a key that stays in a token; `public` is its public half, encoded as certificates hold it.
    pub fn in_token(label: &str, public: Vec<u8>, token: Arc<dyn Token>) -> Result<Self, Error> {
        let kind = certificate::kind_of(&public)
            .filter(|kind| matches!(kind, KeyKind::Rsa(_) | KeyKind::Ecdsa(256 | 384 | 521)))
            .ok_or(Error::Key(
                "a key in a token is RSA, or ECDSA on P-256, P-384 or P-521",
            ))?;
        let remote = Remote {
            token,
            kind,
            public: public.clone(),
        };
        Ok(Self {
            label: label.to_owned(),
            private: Private::Token(remote),
            kind,
            public,
        })
    }

    /// Where the key is, if it is in a token.
    pub fn uri(&self) -> Option<&str> {
        match &self.private {
            Private::Here(_) => None,
            Private::Token(remote) => Some(remote.token.uri()),
        }
    }

    /// Kind and size.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key as certificates hold it.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The private key, to be written nowhere; nothing for a key in a token.
    pub fn pkcs8(&self) -> &[u8] {
        match &self.private {
            Private::Here(pkcs8) => pkcs8,
            Private::Token(_) => &[],
        }
    }

    /// The private key for a library that wants its bytes; see [`Key::signer`] for one that does not.
    pub fn for_tls(&self) -> PrivateKeyDer<'_> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8()))
    }

    /// For the TLS library.
    pub fn signer(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, Error> {
        match &self.private {
            Private::Here(_) => any_supported_type(&self.for_tls())
                .map_err(|_| Error::Key("the key cannot sign in connections")),
            Private::Token(remote) => Ok(Arc::new(remote.clone())),
        }
    }

    /// Signs requests and certificates.
    pub(super) fn with_signer<T>(
        &self,
        action: impl FnOnce(&Signer) -> Result<T, rcgen::Error>,
    ) -> Result<T, Error> {
        let mut signer = match &self.private {
            Private::Here(pkcs8) => Signer::Here(pair(pkcs8)?),
            Private::Token(remote) => Signer::Token(remote.clone()),
        };
        let result = action(&signer);
        if let Signer::Here(pair) = &mut signer {
            pair.zeroize();
        }
        result.map_err(|error| Error::Make {
            what: "certificate or request",
            reason: error.to_string(),
        })
    }

    /// Signs a message, with the digest that suits the key.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.with_signer(|signer| signer.sign(message))
    }

    /// Decrypts what was encrypted to this key (RSA, PKCS#1 v1.5). Only for messages whose sender was proved before:
    /// otherwise it tells about the padding of any.
    pub fn decrypt(&self, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        if !matches!(self.kind, KeyKind::Rsa(_)) {
            return Err(Error::Key(
                "nothing can be encrypted to a key that is not RSA",
            ));
        }
        let fail = |_| Error::Key("what was encrypted to this key cannot be decrypted");
        let Private::Here(pkcs8) = &self.private else {
            return Err(Error::Key(
                "a key in a token signs and does not decrypt: SCEP takes no such key, EST and CMP do",
            ));
        };
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8)
            .map_err(|_| Error::Key("the key does not decrypt"))?;
        let key = Pkcs1PrivateDecryptingKey::new(key).map_err(fail)?;
        let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key.decrypt(encrypted, &mut plain).map_err(fail)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The key as it is stored: a nonce, then the sealed PKCS#8.
    pub fn seal(&self, sealer: &Sealer) -> Result<Vec<u8>, Error> {
        match &self.private {
            Private::Here(pkcs8) => sealer.seal(&self.label, pkcs8),
            Private::Token(_) => Err(Error::Key("a key in a token stays there")),
        }
    }

    /// Opens what [`Key::seal`] made.
    pub fn open(label: &str, sealed: &[u8], sealer: &Sealer) -> Result<Self, Error> {
        Self::from_pkcs8(label, sealer.open(label, sealed)?)
    }
}

/// What signs certificates and requests.
pub(super) enum Signer {
    /// A key that is here.
    Here(KeyPair),
    /// A key in a token.
    Token(Remote),
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Here(pair) => pair.der_bytes(),
            Self::Token(remote) => remote.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::Here(pair) => pair.algorithm(),
            Self::Token(remote) => PublicKeyData::algorithm(remote),
        }
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Here(pair) => pair.sign(message),
            Self::Token(remote) => remote
                .sign(message)
                .map_err(|_| rcgen::Error::RemoteKeyError),
        }
    }
}

/// Seals and opens keys.
pub struct Sealer {
    key: RandomizedNonceKey,
}

impl Sealer {
    /// Bytes of a sealing key.
    pub const KEY_BYTES: usize = 32;

    /// From the bytes of the key file.
    pub fn new(bytes: &[u8; Self::KEY_BYTES]) -> Result<Self, Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes)
            .map_err(|_| Error::Key("the sealing key is not usable"))?;
        Ok(Self { key })
    }

    /// Seals a secret under a label: a nonce, then the sealed bytes.
    pub fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
        // The tag must not make it move, or the old place would keep the secret.
        bytes.extend_from_slice(secret);
        let nonce = self
            .key
            .seal_in_place_append_tag(bound_to(label), &mut *bytes)
            .map_err(|_| Error::Key("the key could not be sealed"))?;
        Ok([nonce.as_ref().as_slice(), &bytes].concat())
    }

    /// Opens what [`Sealer::seal`] made.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let fail = || Error::Sealed(label.to_owned());
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(fail)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fail())?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let opened = self
            .key
            .open_in_place(nonce, bound_to(label), &mut bytes)
            .map_err(|_| fail())?
            .len();
        bytes.truncate(opened);
        Ok(bytes)
    }
}

/// A sealed key opens under its own label alone, so that nobody can swap two in the store.
fn bound_to(label: &str) -> Aad<Vec<u8>> {
    Aad::from([b"postern key 1\0".as_slice(), label.as_bytes()].concat())
}

fn rsa(size: RsaKeySize) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
}

fn pair(pkcs8: &[u8]) -> Result<KeyPair, Error> {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).map_err(|_| {
        Error::Key(
            "this key cannot be used: RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, and Ed25519",
        )
    })
}

fn modulus_bits(public: &[u8]) -> usize {
    use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
    use x509_parser::public_key::PublicKey;
    let parsed = SubjectPublicKeyInfo::from_der(public);
    match parsed.as_ref().map(|(_, info)| info.parsed()) {
        Ok(Ok(PublicKey::RSA(key))) => key.key_size(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_with_its_own_label_and_sealer_alone() {
        let key = Key::generate("a", Wanted::Ecdsa(256)).expect("a key");
        let sealer = Sealer::new(&[7; 32]).expect("a sealer");
        let sealed = key.seal(&sealer).expect("sealed");
        let private = &key.pkcs8()[40..56];
        assert!(!sealed.windows(16).any(|window| window == private));
        let opened = Key::open("a", &sealed, &sealer).expect("opens");
        assert_eq!(opened.pkcs8(), key.pkcs8());
        let refused = Error::Sealed("b".into());
        assert_eq!(Key::open("b", &sealed, &sealer).err(), Some(refused));
        let other = Sealer::new(&[8; 32]).expect("a sealer");
        assert!(Key::open("a", &sealed, &other).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(Key::open("a", &damaged, &sealer).is_err(), "byte {at}");
            assert!(
                Key::open("a", &sealed[..at], &sealer).is_err(),
                "{at} bytes"
            );
        }
        assert_ne!(
            sealed,
            key.seal(&sealer).expect("sealed"),
            "a nonce was used twice"
        );
    }

    #[test]
    fn keys_are_what_was_wanted_and_nothing_weak() {
        for (wanted, kind) in [
            (Wanted::Rsa(2048), KeyKind::Rsa(2048)),
            (Wanted::Ecdsa(256), KeyKind::Ecdsa(256)),
            (Wanted::Ecdsa(384), KeyKind::Ecdsa(384)),
            (Wanted::Ecdsa(521), KeyKind::Ecdsa(521)),
            (Wanted::Ed25519, KeyKind::Ed25519),
        ] {
            let key = Key::generate("k", wanted).expect("a key");
            assert_eq!(key.kind(), kind);
        }
        assert!(Key::generate("k", Wanted::Rsa(1024)).is_err());
        assert!(Key::generate("k", Wanted::Ecdsa(192)).is_err());
    }

    #[test]
    fn a_key_does_not_print_itself() {
        let key = Key::generate("k", Wanted::Ecdsa(256)).expect("a key");
        assert_eq!(format!("{key:?}"), "Key(k, ECDSA (256 bits))");
    }
}
