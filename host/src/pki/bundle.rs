//! Certificates and keys as files carry them: PEM (RFC 7468) and PKCS#12 (RFC 7292).
//!
//! Comes in: bytes and a passphrase. Goes out: one key, its certificate, and those that signed it, in order.

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKeyChain};
use pem::{EncodeConfig, LineEnding, Pem};
use zeroize::Zeroizing;

use super::{Certificate, Error, Key};

/// The longest file that is looked at.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The longest chain: more is not a chain but a collection.
const MAX_CERTIFICATES: usize = 16;

/// A key with its certificate.
#[derive(Debug)]
pub struct Bundle {
    /// The private key.
    pub key: Key,
    /// Its certificate.
    pub identity: Certificate,
    /// Those that signed it, nearest first.
    pub authorities: Vec<Certificate>,
}

impl Bundle {
    /// Reads PKCS#12, as bytes or as the base64 text that is pasted.
    pub fn from_pkcs12(label: &str, data: &[u8], passphrase: &str) -> Result<Self, Error> {
        if data.len() > MAX_BYTES {
            return Err(Error::Bundle("it is too long".into()));
        }
        let decoded = std::str::from_utf8(data).ok().and_then(pasted);
        let archive = Pkcs12Archive::from_pkcs12(decoded.as_deref().unwrap_or(data), passphrase)
            .map_err(|error| Error::Bundle(format!("{error} (is the passphrase right?)")))?;
        let mut keys = archive.keys.into_iter();
        let key = match (keys.next(), keys.next()) {
            (Some(bag), None) => Zeroizing::new(bag.key.as_der().to_vec()),
            (None, _) => return Err(Error::Bundle("there is no private key in it".into())),
            _ => {
                return Err(Error::Bundle(
                    "there is more than one private key in it".into(),
                ));
            }
        };
        let certificates = archive.certs.iter().map(|bag| bag.cert.as_der());
        Self::build(label, key, certificates)
    }

    /// Reads PEM: a key in PKCS#8 and certificates.
    pub fn from_pem(label: &str, text: &[u8]) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::NotACertificate("it is too long"));
        }
        let parts =
            pem::parse_many(text).map_err(|_| Error::NotACertificate("the PEM is damaged"))?;
        let (mut key, mut certificates) = (None, Vec::new());
        for part in parts {
            match part.tag() {
                "CERTIFICATE" => certificates.push(part.into_contents()),
                "PRIVATE KEY" => key = Some(Zeroizing::new(part.into_contents())),
                "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
                    return Err(Error::Key(
                        "the key is not in plain PKCS#8: `openssl pkcs8 -topk8 -nocrypt` makes it so",
                    ));
                }
                _ => {}
            }
        }
        let key = key.ok_or(Error::Key("there is no private key in it"))?;
        Self::build(label, key, certificates.iter().map(Vec::as_slice))
    }

    /// Finds the certificate of the key among others, and those that signed it.
    fn build<'a>(
        label: &str,
        pkcs8: Zeroizing<Vec<u8>>,
        certificates: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Error> {
        let key = Key::from_pkcs8(label, pkcs8)?;
        let mut rest: Vec<Certificate> = certificates
            .take(MAX_CERTIFICATES)
            .map(Certificate::parse)
            .collect::<Result<_, _>>()?;
        let own = rest
            .iter()
            .position(|certificate| certificate.public_key == key.public_key())
            .ok_or_else(|| Error::Bundle("no certificate in it belongs to its key".into()))?;
        let identity = rest.swap_remove(own);
        let mut authorities: Vec<Certificate> = Vec::new();
        loop {
            let last = authorities.last().unwrap_or(&identity);
            if last.is_self_signed {
                break;
            }
            let Some(at) = rest.iter().position(|other| last.is_signed_by(other)) else {
                break;
            };
            authorities.push(rest.swap_remove(at));
        }
        Ok(Self {
            key,
            identity,
            authorities,
        })
    }

    /// Writes PKCS#12 with AES-256 and HMAC-SHA-256, as OpenSSL 3 does.
    pub fn to_pkcs12(&self, name: &str, passphrase: &str) -> Result<Vec<u8>, Error> {
        let fail = |error: p12_keystore::error::Error| Error::Bundle(error.to_string());
        if self.key.uri().is_some() {
            return Err(Error::Bundle(
                "the key is in a token, which does not hand it out".into(),
            ));
        }
        let key = p12_keystore::PrivateKey::from_der(self.key.pkcs8()).map_err(fail)?;
        let chain: Vec<p12_keystore::Certificate> = std::iter::once(&self.identity)
            .chain(&self.authorities)
            .map(|certificate| p12_keystore::Certificate::from_der(&certificate.der))
            .collect::<Result<_, _>>()
            .map_err(fail)?;
        let mut store = KeyStore::new();
        let chain = PrivateKeyChain::new(name, key, chain);
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
        store.writer(passphrase).write().map_err(fail)
    }
}

/// Bytes as PEM.
pub fn armour(label: &str, bytes: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, bytes), config)
}

/// What a person pastes: PEM, or the base64 text alone; `None` if it is neither.
pub fn pasted(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let parsed = match text.contains("-----BEGIN") {
        true => pem::parse(text),
        false => pem::parse(format!("-----BEGIN X-----\n{text}\n-----END X-----\n")),
    };
    parsed.ok().map(Pem::into_contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Wanted;
    use crate::pki::{Date, Settings, request};

    fn bundle() -> Bundle {
        let authority = Settings {
            name: "ca".into(),
            ..Settings::default()
        };
        let make = |label| Key::generate(label, Wanted::Ecdsa(256)).expect("a key");
        let (ca_key, key) = (make("ca"), make("own"));
        let ca = request::self_signed(&authority, &ca_key, Date(0)).expect("a certificate");
        let own = Settings {
            name: "own".into(),
            ..Settings::default()
        };
        let like = request::self_signed(&own, &key, Date(0)).expect("a certificate");
        let identity = request::local(&like, &key, &ca, &ca_key, Date(0)).expect("a certificate");
        Bundle {
            key,
            identity,
            authorities: vec![ca],
        }
    }

    #[test]
    fn what_is_written_as_pkcs12_is_read_back_as_bytes_and_as_pasted_text() {
        let made = bundle();
        let written = made.to_pkcs12("own", "secret").expect("written");
        let pasted = armour("PKCS12", &written);
        for data in [&written[..], pasted.as_bytes()] {
            let read = Bundle::from_pkcs12("own", data, "secret").expect("read");
            assert_eq!(read.key.pkcs8(), made.key.pkcs8());
            assert_eq!(read.identity, made.identity);
            assert_eq!(read.authorities, made.authorities);
        }
        let refused = Bundle::from_pkcs12("own", &written, "wrong").expect_err("wrong passphrase");
        assert!(
            refused.to_string().contains("is the passphrase right?"),
            "{refused}"
        );
    }

    #[test]
    fn a_key_among_strange_certificates_is_not_a_bundle() {
        let (made, other) = (bundle(), bundle());
        let key = armour("PRIVATE KEY", made.key.pkcs8());
        let read = Bundle::from_pem(
            "own",
            (key.clone() + &made.authorities[0].pem() + &made.identity.pem()).as_bytes(),
        );
        assert_eq!(read.expect("a bundle").authorities, made.authorities);
        let strange = Bundle::from_pem("own", (key + &other.identity.pem()).as_bytes());
        assert!(strange.is_err());
    }
}
