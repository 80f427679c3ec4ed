//! What a certificate says, read once.
//!
//! Comes in: DER or PEM, at most [`MAX_BYTES`]. Goes out: the facts that people are shown and that decisions need.
//! It does not decide whether a peer is trusted: that is `tls::verify`. RFC 5280 §4.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{Date, Error, name};

/// The longest certificate that is looked at.
pub const MAX_BYTES: usize = 64 * 1024;

/// A certificate and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its bytes.
    pub der: CertificateDer<'static>,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// First moment at which it is valid.
    pub not_before: Date,
    /// Last moment at which it is valid.
    pub not_after: Date,
    /// The kind of its key.
    pub key: KeyKind,
    /// How it is signed, as `RSA-SHA256`.
    pub signature: String,
    /// It may sign other certificates.
    pub is_ca: bool,
    /// It is signed by its own key.
    pub is_self_signed: bool,
    /// What its key may be used for; `None` if it does not say, which permits all.
    pub purposes: Option<Purposes>,
    /// Whom it names besides, by name.
    pub names: Names,
    /// Its public key, encoded.
    pub public_key: Vec<u8>,
}

/// Extended key usages that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    /// `serverAuth`.
    pub server: bool,
    /// `clientAuth`.
    pub client: bool,
}

/// Names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// There is a subjectAltName, whatever is in it.
    pub has_alternatives: bool,
    /// URIs.
    pub uris: Vec<String>,
    /// Host names.
    pub hosts: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// The common name of the subject.
    pub common_name: Option<String>,
}

/// Kind and size of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with so many bits.
    Rsa(usize),
    /// On an elliptic curve with so many bits.
    Ecdsa(usize),
    /// Ed25519.
    Ed25519,
    /// Something else.
    Other,
}

impl std::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA ({bits} bits)"),
            Self::Ecdsa(bits) => write!(f, "ECDSA ({bits} bits)"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other => f.write_str("other"),
        }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({}, serial {})", self.subject, self.serial)
    }
}

impl Certificate {
    /// Reads DER.
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_BYTES {
            return Err(Error::NotACertificate("it is too long"));
        }
        let (rest, x509) = X509Certificate::from_der(der)
            .map_err(|_| Error::NotACertificate("the encoding is wrong"))?;
        if !rest.is_empty() {
            return Err(Error::NotACertificate("something follows it"));
        }
        let is_own_issuer = x509.subject().as_raw() == x509.issuer().as_raw();
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            subject: name::print(x509.subject()),
            issuer: name::print(x509.issuer()),
            serial: hexadecimal(x509.raw_serial()),
            not_before: Date(x509.validity().not_before.timestamp()),
            not_after: Date(x509.validity().not_after.timestamp()),
            key: key_kind(x509.public_key()),
            signature: signature_name(&x509),
            is_ca: x509.is_ca(),
            is_self_signed: is_own_issuer && x509.verify_signature(None).is_ok(),
            purposes: purposes(&x509)?,
            names: names(&x509)?,
            public_key: x509.public_key().raw.to_vec(),
        })
    }

    /// Reads what a person pastes: PEM, or the base64 text alone.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let der = super::bundle::pasted(text)
            .ok_or(Error::NotACertificate("it is neither PEM nor base64"))?;
        Self::parse(&der)
    }

    /// Whether another certificate's key signed this one.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let parsed = X509Certificate::from_der(&self.der);
        let signer = X509Certificate::from_der(&issuer.der);
        match (parsed, signer) {
            (Ok((_, own)), Ok((_, other))) => {
                own.issuer().as_raw() == other.subject().as_raw()
                    && own.verify_signature(Some(other.public_key())).is_ok()
            }
            _ => false,
        }
    }

    /// SHA-256 of its bytes, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        hexadecimal(digest::digest(&digest::SHA256, &self.der).as_ref())
    }

    /// SHA-1 of its bytes, which older tools show.
    pub fn sha1(&self) -> String {
        let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        hexadecimal(digest::digest(algorithm, &self.der).as_ref())
    }

    /// As PEM.
    pub fn pem(&self) -> String {
        super::bundle::armour("CERTIFICATE", &self.der)
    }

    /// What an operator should know before this certificate is used here.
    pub fn concerns(&self, now: Date) -> Vec<String> {
        let mut found = Vec::new();
        if now < self.not_before {
            found.push(format!(
                "not valid before {}, but it is {now} here: is the clock right?",
                self.not_before
            ));
        }
        if now > self.not_after {
            found.push(format!("expired at {}, and it is {now}", self.not_after));
        }
        if matches!(self.key, KeyKind::Rsa(bits) if bits < 2048) {
            found.push("RSA keys of less than 2048 bits are not accepted in connections".into());
        }
        if self.signature.contains("SHA1") || self.signature.contains("MD5") {
            found.push(format!(
                "its signature ({}) is not accepted in connections",
                self.signature
            ));
        }
        if !self.is_ca || self.is_self_signed {
            if !self.names.has_alternatives {
                found
                    .push("it has no subjectAltName: peers that check names will refuse it".into());
            }
            match self.purposes {
                Some(Purposes { server: true, client: false }) => found.push(
                    "it is for servers alone (no clientAuth): connections that it begins will fail".into(),
                ),
                Some(Purposes { server: false, client: true }) => found.push(
                    "it is for clients alone (no serverAuth): connections that it accepts will fail".into(),
                ),
                _ => {}
            }
        }
        found
    }
}

/// Digits without separators.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The kind of a public key that is encoded as certificates hold it.
pub(super) fn kind_of(public: &[u8]) -> Option<KeyKind> {
    let (_, key) = SubjectPublicKeyInfo::from_der(public).ok()?;
    Some(key_kind(&key))
}

fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    if key.algorithm.algorithm.to_id_string() == ED25519 {
        return KeyKind::Ed25519;
    }
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
        Ok(PublicKey::EC(point)) => KeyKind::Ecdsa(match point.key_size() {
            // The coordinates of P-521 fill 66 bytes.
            528 => 521,
            bits => bits,
        }),
        _ => KeyKind::Other,
    }
}

fn signature_name(x509: &X509Certificate<'_>) -> String {
    let oid = x509.signature_algorithm.algorithm.to_id_string();
    let known = SIGNATURES.iter().find(|(known, _)| *known == oid);
    known.map_or(oid.clone(), |(_, word)| (*word).to_owned())
}

fn purposes(x509: &X509Certificate<'_>) -> Result<Option<Purposes>, Error> {
    let usage = x509
        .extended_key_usage()
        .map_err(|_| Error::NotACertificate("its extended key usage is wrong"))?;
    Ok(usage.map(|usage| Purposes {
        server: usage.value.server_auth || usage.value.any,
        client: usage.value.client_auth || usage.value.any,
    }))
}

fn names(x509: &X509Certificate<'_>) -> Result<Names, Error> {
    let alternatives = x509
        .subject_alternative_name()
        .map_err(|_| Error::NotACertificate("its subjectAltName is wrong"))?;
    let common_name = x509.subject().iter_common_name().last();
    let mut names = Names {
        has_alternatives: alternatives.is_some(),
        common_name: common_name.and_then(|name| name.as_str().ok().map(str::to_owned)),
        ..Names::default()
    };
    for name in alternatives
        .iter()
        .flat_map(|list| &list.value.general_names)
    {
        match name {
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::DNSName(host) => names.hosts.push((*host).to_owned()),
            GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Ok(names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|octets| Ipv4Addr::from(octets).into()),
        _ => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|octets| Ipv6Addr::from(octets).into()),
    }
}

const SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.4", "RSA-MD5"),
    ("1.2.840.113549.1.1.5", "RSA-SHA1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA-SHA256"),
    ("1.2.840.113549.1.1.12", "RSA-SHA384"),
    ("1.2.840.113549.1.1.13", "RSA-SHA512"),
    ("1.2.840.10045.4.1", "ECDSA-SHA1"),
    ("1.2.840.10045.4.3.2", "ECDSA-SHA256"),
    ("1.2.840.10045.4.3.3", "ECDSA-SHA384"),
    ("1.2.840.10045.4.3.4", "ECDSA-SHA512"),
    (ED25519, "Ed25519"),
];

/// RFC 8410 §3.
const ED25519: &str = "1.3.101.112";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Certificate {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("names");
        params.subject_alt_names.push(rcgen::SanType::URI(
            "sip:example".try_into().expect("ASCII"),
        ));
        params
            .subject_alt_names
            .push(rcgen::SanType::IpAddress([192, 0, 2, 7].into()));
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = Date(1_000).calendar();
        params.not_after = Date(2_000).calendar();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Certificate::parse(made.der()).expect("a certificate")
    }

    #[test]
    fn facts_of_a_certificate_are_those_it_was_made_with() {
        let certificate = sample();
        assert_eq!(certificate.key, KeyKind::Ecdsa(384));
        assert_eq!(certificate.signature, "ECDSA-SHA384");
        assert_eq!(
            (certificate.not_before, certificate.not_after),
            (Date(1_000), Date(2_000))
        );
        assert!(certificate.is_self_signed && !certificate.is_ca);
        assert_eq!(certificate.names.uris, ["sip:example"]);
        assert_eq!(certificate.names.hosts, ["a.example"]);
        assert_eq!(certificate.names.addresses, [IpAddr::from([192, 0, 2, 7])]);
        assert_eq!(
            certificate.purposes,
            Some(Purposes {
                server: true,
                client: false
            })
        );
    }

    #[test]
    fn pasted_text_is_read_with_and_without_its_armour() {
        let certificate = sample();
        let pem = certificate.pem();
        let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(Certificate::from_text(&pem).as_ref(), Ok(&certificate));
        assert_eq!(Certificate::from_text(&bare).as_ref(), Ok(&certificate));
        assert!(Certificate::from_text("hello").is_err());
        assert!(Certificate::from_text("").is_err());
    }

    #[test]
    fn what_will_fail_in_connections_is_said_beforehand() {
        let text = |now| sample().concerns(Date(now)).join("; ");
        assert!(
            text(999).contains("not valid before 00:16:40 UTC Jan 1 1970"),
            "{}",
            text(999)
        );
        assert!(
            text(2_001).contains("expired at 00:33:20 UTC Jan 1 1970"),
            "{}",
            text(2_001)
        );
        assert_eq!(
            text(1_500),
            "it is for servers alone (no clientAuth): connections that it begins will fail"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::parse(&bytes);
        }

        #[test]
        fn a_certificate_that_was_changed_is_not_signed_any_more(at in any::<usize>(), bit in 0u8..8) {
            let mut der = sample().der.to_vec();
            let signed = X509Certificate::from_der(&der).expect("a certificate").1.tbs_certificate.as_ref().len();
            // The outer header, four bytes, is not signed, nor is what follows.
            let at = 4 + at % signed;
            der[at] ^= 1 << bit;
            if let Ok(damaged) = Certificate::parse(&der) {
                prop_assert!(!damaged.is_self_signed);
            }
        }
    }
}
