//! Keys that never leave a token (PKCS#11): what is asked of it, and how that looks to other libraries.
//!
//! Comes in: a URI (RFC 7512), a message to sign. Goes out: what the URI says, signatures in the forms that certificates
//! and connections want. Whoever talks to the token implements [`Token`].

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rcgen::{PublicKeyData, SignatureAlgorithm as Certified};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::Error;
use super::certificate::KeyKind;

/// A private key in a token.
pub trait Token: Send + Sync {
    /// Where it is: a URI without secrets.
    fn uri(&self) -> &str;
    /// Signs. RSA as the token makes it; ECDSA as two numbers of the curve's length, of a digest that was made here.
    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// How a token signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSA with the padding of PKCS#1 v1.5 over a digest that the token makes.
    RsaPkcs1(Hash),
    /// RSA with PSS, salt as long as the digest, over a digest that the token makes.
    RsaPss(Hash),
    /// ECDSA over a digest.
    Ecdsa,
}

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    fn of(self, message: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message)
    }
}

/// What a `pkcs11:` URI says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// `token`: the label of the token.
    pub token: String,
    /// `object`: the label of the key in it.
    pub object: Option<String>,
    /// `module-path`: the library that talks to it.
    pub module: String,
    /// `pin-source`: the file with its PIN.
    pub pin_file: Option<String>,
}

impl Uri {
    /// Reads a URI. A PIN in it is refused: it would be stored and shown.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let body = text
            .strip_prefix("pkcs11:")
            .ok_or(Error::Key("a token's address begins with pkcs11:"))?;
        let (path, query) = body.split_once('?').unwrap_or((body, ""));
        let mut uri = Self::default();
        let parts = path.split(';').chain(query.split('&'));
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or(Error::Key("a part of the token's address has no value"))?;
            let value = unescaped(value)?;
            match name {
                "token" => uri.token = value,
                "object" => uri.object = Some(value),
                "module-path" => uri.module = value,
                "pin-source" => {
                    let file = value.strip_prefix("file:").unwrap_or(&value);
                    uri.pin_file = Some(file.trim_start_matches("//").to_owned());
                }
                "pin-value" => {
                    return Err(Error::Key(
                        "a PIN does not belong into the token's address: name its file with pin-source",
                    ));
                }
                // They tell apart what the label of the token tells apart too.
                "manufacturer" | "model" | "serial" | "type" => {}
                _ => {
                    return Err(Error::Key(
                        "a part of the token's address is not known here",
                    ));
                }
            }
        }
        match uri.token.is_empty() || !uri.module.starts_with('/') {
            true => Err(Error::Key(
                "a token's address is pkcs11:token=LABEL?module-path=/LIBRARY&pin-source=FILE",
            )),
            false => Ok(uri),
        }
    }
}

/// The URI of one key in a token.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkcs11:token={}", escaped(&self.token))?;
        if let Some(object) = &self.object {
            write!(f, ";object={}", escaped(object))?;
        }
        write!(f, "?module-path={}", escaped(&self.module))?;
        match &self.pin_file {
            Some(file) => write!(f, "&pin-source=file:{}", escaped(file)),
            None => Ok(()),
        }
    }
}

fn unescaped(text: &str) -> Result<String, Error> {
    let wrong = Error::Key("the token's address is not encoded as RFC 7512 says");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| wrong.clone())?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong.clone())?);
                rest = tail;
            }
            (b'%', _) => return Err(wrong),
            (plain, _) => bytes.push(*plain),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A key in a token, as certificates and connections see it.
#[derive(Clone)]
pub struct Remote {
    /// The token.
    pub token: Arc<dyn Token>,
    /// Kind and size.
    pub kind: KeyKind,
    /// The public half, encoded as certificates hold it.
    pub public: Vec<u8>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({}, {})", self.token.uri(), self.kind)
    }
}

impl Remote {
    /// The digest that goes with the key in certificates.
    fn hash(&self) -> Hash {
        match self.kind {
            KeyKind::Ecdsa(384) => Hash::Sha384,
            KeyKind::Ecdsa(521) => Hash::Sha512,
            _ => Hash::Sha256,
        }
    }

    /// Signs a certificate, a request or a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.kind {
            KeyKind::Rsa(_) => self.token.sign(Scheme::RsaPkcs1(self.hash()), message),
            _ => self.sign_on_curve(self.hash(), message),
        }
    }

    fn sign_on_curve(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = hash.of(message);
        let numbers = self.token.sign(Scheme::Ecdsa, digest.as_ref())?;
        encoded(&numbers)
    }
}

impl PublicKeyData for Remote {
    fn der_bytes(&self) -> &[u8] {
        use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
        // It was read when the key was taken.
        let Ok((_, read)) = SubjectPublicKeyInfo::from_der(&self.public) else {
            return &[];
        };
        let length = read.subject_public_key.data.len();
        &self.public[self.public.len().saturating_sub(length)..]
    }

    fn algorithm(&self) -> &'static Certified {
        match self.kind {
            KeyKind::Ecdsa(384) => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Ecdsa(521) => &rcgen::PKCS_ECDSA_P521_SHA512,
            KeyKind::Ecdsa(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            _ => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

/// For the TLS library.
impl SigningKey for Remote {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let usable: &[SignatureScheme] = match self.kind {
            KeyKind::Rsa(_) => RSA_SCHEMES,
            KeyKind::Ecdsa(256) => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            KeyKind::Ecdsa(384) => &[SignatureScheme::ECDSA_NISTP384_SHA384],
            KeyKind::Ecdsa(521) => &[SignatureScheme::ECDSA_NISTP521_SHA512],
            _ => &[],
        };
        let scheme = usable.iter().find(|own| offered.contains(own))?;
        Some(Box::new(Signing {
            key: self.clone(),
            scheme: *scheme,
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.public.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            KeyKind::Rsa(_) => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

/// One signature of a handshake.
#[derive(Debug)]
struct Signing {
    key: Remote,
    scheme: SignatureScheme,
}

impl Signer for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        use SignatureScheme as S;
        let made = match self.scheme {
            S::RSA_PSS_SHA256 => self.key.token.sign(Scheme::RsaPss(Hash::Sha256), message),
            S::RSA_PSS_SHA384 => self.key.token.sign(Scheme::RsaPss(Hash::Sha384), message),
            S::RSA_PSS_SHA512 => self.key.token.sign(Scheme::RsaPss(Hash::Sha512), message),
            S::RSA_PKCS1_SHA256 => self.key.token.sign(Scheme::RsaPkcs1(Hash::Sha256), message),
            S::RSA_PKCS1_SHA384 => self.key.token.sign(Scheme::RsaPkcs1(Hash::Sha384), message),
            S::RSA_PKCS1_SHA512 => self.key.token.sign(Scheme::RsaPkcs1(Hash::Sha512), message),
            _ => self.key.sign_on_curve(self.key.hash(), message),
        };
        made.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// Two numbers of one length as certificates and connections want them. RFC 3279 §2.2.3.
fn encoded(numbers: &[u8]) -> Result<Vec<u8>, Error> {
    use der::Encode;
    use der::asn1::UintRef;
    let wrong = Error::Key("the token's signature has no form that is known");
    if numbers.is_empty() || !numbers.len().is_multiple_of(2) {
        return Err(wrong);
    }
    let (r, s) = numbers.split_at(numbers.len() / 2);
    let number = |bytes| UintRef::new(bytes).map_err(|_| wrong.clone());
    let both = [number(r)?, number(s)?].to_vec();
    both.to_der().map_err(|_| wrong)
}

/// As the library orders its own.
const RSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_where_a_key_is_and_holds_no_secret() {
        let text = "pkcs11:token=My%20HSM;object=cup;serial=1?module-path=/usr/lib/x.so&pin-source=file:/etc/pin";
        let uri = Uri::parse(text).expect("a URI");
        let expected = Uri {
            token: "My HSM".into(),
            object: Some("cup".into()),
            module: "/usr/lib/x.so".into(),
            pin_file: Some("/etc/pin".into()),
        };
        assert_eq!(uri, expected);
        assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
        for wrong in [
            "token=x",
            "pkcs11:token=x",
            "pkcs11:object=x?module-path=/x.so",
            "pkcs11:token=%zz?module-path=/x.so",
            "pkcs11:token=%4?module-path=/x.so",
            "pkcs11:token=x?module-path=x.so",
            "pkcs11:token=x?module-path=/x.so&pin-value=1234",
            "pkcs11:token=x;pigeon=1?module-path=/x.so",
        ] {
            assert!(Uri::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_numbers_become_a_sequence_of_integers() {
        let made = encoded(&[0x80, 1, 0, 2]).expect("encoded");
        assert_eq!(made, [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 2]);
        assert!(encoded(&[]).is_err() && encoded(&[1, 2, 3]).is_err());
    }
}
