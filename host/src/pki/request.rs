//! Certificate requests (PKCS#10, RFC 2986), self-signed certificates and certificates made on the fly.
//!
//! Comes in: what a trustpoint is to be, a key, the time. Every certificate is for both sides of a connection, since
//! either side of a federation may dial, and carries a subjectAltName, since peers compare names with nothing else.

use aws_lc_rs::rand;
use der::Encode;
use der::asn1::{Any, PrintableString, SetOfVec, Utf8StringRef};
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
    SubjectPublicKeyInfo,
};

use super::{Certificate, Date, Error, Key, Settings, name};

/// How long a self-signed certificate lives, as on the device.
const SELF_SIGNED_DAYS: i64 = 3652;
/// How long a certificate made on the fly lives; it is made anew with each connection.
const LOCAL_DAYS: i64 = 7;
/// RFC 2985 §5.4.1.
const CHALLENGE_PASSWORD: &[u64] = &[1, 2, 840, 113_549, 1, 9, 7];

/// A request for a certificate, as PEM.
pub fn request(settings: &Settings, key: &Key) -> Result<String, Error> {
    let params = params(settings)?;
    key.with_signer(|signer| params.serialize_request(signer)?.pem())
}

/// A request for a certificate, as DER; with the password by which an authority knows who asks (RFC 2985 §5.4.1).
pub fn encoded(settings: &Settings, key: &Key, challenge: Option<&str>) -> Result<Vec<u8>, Error> {
    let params = params(settings)?;
    let attributes = match challenge {
        Some(word) => vec![Attribute {
            oid: CHALLENGE_PASSWORD,
            values: challenge_value(word)?,
        }],
        None => Vec::new(),
    };
    let made =
        key.with_signer(|signer| params.serialize_request_with_attributes(signer, attributes))?;
    Ok(made.der().to_vec())
}

/// A set of one string: printable where it can be, since old servers read nothing else.
fn challenge_value(word: &str) -> Result<Vec<u8>, Error> {
    let value = PrintableString::new(word)
        .and_then(|value| Any::encode_from(&value))
        .or_else(|_| Any::encode_from(&Utf8StringRef::new(word)?));
    value
        .and_then(|value| SetOfVec::from_iter([value])?.to_der())
        .map_err(|_| Error::Make {
            what: "request",
            reason: "the challenge password is too long".into(),
        })
}

/// A certificate signed by its own key.
pub fn self_signed(settings: &Settings, key: &Key, now: Date) -> Result<Certificate, Error> {
    let mut params = params(settings)?;
    params.not_before = now.calendar();
    params.not_after = now.plus_days(SELF_SIGNED_DAYS).calendar();
    params.serial_number = Some(serial()?);
    // As the device does: peers take it for the authority that signed it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let made = key.with_signer(|signer| params.self_signed(signer))?;
    Certificate::parse(made.der())
}

/// A certificate signed by its own key that is for showing who asks alone (RFC 8894 §2.3): no authority.
pub fn own(settings: &Settings, key: &Key, now: Date) -> Result<Certificate, Error> {
    let mut params = params(settings)?;
    params.not_before = now.plus_days(-1).calendar();
    params.not_after = now.plus_days(SELF_SIGNED_DAYS).calendar();
    params.serial_number = Some(serial()?);
    let made = key.with_signer(|signer| params.self_signed(signer))?;
    Certificate::parse(made.der())
}

/// A certificate for `key` that says what `peer` says of itself, signed by a trustpoint's identity: what we show on
/// when a peer is to be seen as itself (`client ldc`).
pub fn local(
    peer: &Certificate,
    key: &Key,
    issuer: &Certificate,
    issuer_key: &Key,
    now: Date,
) -> Result<Certificate, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name::parse(&peer.subject).or_else(|_| common_name(peer))?;
    params.subject_alt_names = alternatives(peer)?;
    for_connections(&mut params);
    params.not_before = now.plus_days(-1).calendar();
    params.not_after = now.plus_days(LOCAL_DAYS).calendar();
    params.serial_number = Some(serial()?);
    params.use_authority_key_identifier_extension = true;
    let made = issuer_key.with_signer(|signer| {
        let issuer = Issuer::from_ca_cert_der(&issuer.der, signer)?;
        let public = SubjectPublicKeyInfo::from_der(key.public_key())?;
        params.signed_by(&public, &issuer)
    })?;
    Certificate::parse(made.der())
}

fn params(settings: &Settings) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let mut subject = match &settings.subject {
        Some(text) => name::parse(text)?,
        None => DistinguishedName::new(),
    };
    if subject.iter().next().is_none() {
        let name = settings.fqdn.as_ref().unwrap_or(&settings.name);
        subject.push(DnType::CommonName, name.as_str());
    }
    params.subject_alt_names = own_alternatives(settings, &subject)?;
    params.distinguished_name = subject;
    for_connections(&mut params);
    Ok(params)
}

/// The host that the common name of a trustpoint stands for, if any.
pub fn common_name_of(settings: &Settings) -> Result<Option<String>, Error> {
    let subject = params(settings)?.distinguished_name;
    Ok(match subject.get(&DnType::CommonName) {
        Some(DnValue::Utf8String(name)) => Some(name.clone()),
        _ => None,
    })
}

fn for_connections(params: &mut CertificateParams) {
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
}

/// Name, address, mail address and SIP domains of a trustpoint; with none of them, what its common name stands for.
fn own_alternatives(
    settings: &Settings,
    subject: &DistinguishedName,
) -> Result<Vec<SanType>, Error> {
    let mut names = Vec::new();
    if let Some(host) = &settings.fqdn {
        names.push(dns(host)?);
    }
    if let Some(address) = settings.address {
        names.push(SanType::IpAddress(address.into()));
    }
    if let Some(mail) = &settings.mail {
        names.push(SanType::Rfc822Name(ascii(mail)?));
    }
    for uri in &settings.uris {
        names.push(SanType::URI(ascii(uri)?));
    }
    if names.is_empty() {
        let common = match subject.get(&DnType::CommonName) {
            Some(DnValue::Utf8String(name)) => name.as_str(),
            _ => settings.name.as_str(),
        };
        match common.parse() {
            Ok(address) => names.push(SanType::IpAddress(address)),
            Err(_) => names.extend(dns(common).ok()),
        }
    }
    Ok(names)
}

fn alternatives(peer: &Certificate) -> Result<Vec<SanType>, Error> {
    let hosts = peer.names.hosts.iter().map(|host| dns(host));
    let uris = peer
        .names
        .uris
        .iter()
        .map(|uri| Ok(SanType::URI(ascii(uri)?)));
    let addresses = peer.names.addresses.iter();
    hosts
        .chain(uris)
        .chain(addresses.map(|address| Ok(SanType::IpAddress(*address))))
        .collect()
}

fn common_name(peer: &Certificate) -> Result<DistinguishedName, Error> {
    let mut subject = DistinguishedName::new();
    let common = peer.names.common_name.as_ref().ok_or(Error::Make {
        what: "local certificate",
        reason: "the peer's certificate names nobody".into(),
    })?;
    subject.push(DnType::CommonName, common.as_str());
    Ok(subject)
}

fn dns(host: &str) -> Result<SanType, Error> {
    Ok(SanType::DnsName(ascii(host)?))
}

fn ascii(text: &str) -> Result<rcgen::string::Ia5String, Error> {
    text.try_into().map_err(|_| Error::Make {
        what: "certificate",
        reason: format!("{text:?} is not ASCII"),
    })
}

/// RFC 5280 §4.1.2.2: positive, at most 20 bytes, never the same.
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Error::Key("no random numbers"))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::certificate::Purposes;
    use crate::pki::key::Wanted;
    use crate::pki::settings::Enrolment;

    const NOW: Date = Date(1_793_527_200);

    fn settings() -> Settings {
        Settings {
            name: "tp".into(),
            enrolment: Enrolment::Own,
            fqdn: Some("cup.example.com".into()),
            subject: Some("cn=cup.example.com,o=Example".into()),
            address: Some([192, 0, 2, 1].into()),
            uris: vec!["sip:example.com".into()],
            ..Settings::default()
        }
    }

    fn key() -> Key {
        Key::generate("k", Wanted::Ecdsa(256)).expect("a key")
    }

    #[test]
    fn a_self_signed_certificate_serves_both_sides_of_a_connection() {
        let key = key();
        let made = self_signed(&settings(), &key, NOW).expect("a certificate");
        assert!(made.is_self_signed && made.is_ca);
        assert_eq!(
            made.purposes,
            Some(Purposes {
                server: true,
                client: true
            })
        );
        assert_eq!(made.names.hosts, ["cup.example.com"]);
        assert_eq!(made.names.uris, ["sip:example.com"]);
        assert_eq!(made.names.addresses.len(), 1);
        assert_eq!(made.public_key, key.public_key());
        assert_eq!(made.concerns(NOW), Vec::<String>::new());
        assert_eq!(made.not_before, NOW);
        let again = self_signed(&settings(), &key, NOW).expect("a certificate");
        assert_ne!(made.serial, again.serial);
    }

    #[test]
    fn without_a_name_of_its_own_the_common_name_becomes_the_alternative() {
        let bare = |subject: &str| Settings {
            name: "tp".into(),
            subject: Some(subject.into()),
            ..Settings::default()
        };
        let host = self_signed(&bare("cn=cup-proxy"), &key(), NOW).expect("a certificate");
        assert_eq!(host.names.hosts, ["cup-proxy"]);
        let address = self_signed(&bare("cn=192.0.2.9"), &key(), NOW).expect("a certificate");
        assert_eq!(
            address.names.addresses,
            [std::net::IpAddr::from([192, 0, 2, 9])]
        );
        assert!(address.names.hosts.is_empty());
    }

    #[test]
    fn a_request_carries_subject_names_and_key() {
        let key = key();
        let pem = request(&settings(), &key).expect("a request");
        let read = rcgen::CertificateSigningRequestParams::from_pem(&pem).expect("a request");
        let names = &read.params.subject_alt_names;
        assert_eq!(names[0], dns("cup.example.com").expect("ASCII"));
        let common = read.params.distinguished_name.get(&DnType::CommonName);
        assert_eq!(common, Some(&DnValue::Utf8String("cup.example.com".into())));
        assert_eq!(
            read.params.extended_key_usages,
            [
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth
            ]
        );
    }

    #[test]
    fn a_local_certificate_says_what_the_peer_says_and_is_signed_here() {
        let (issuer_key, phone_key, own) = (key(), key(), key());
        let issuer = self_signed(&settings(), &issuer_key, NOW).expect("a certificate");
        let phone = Settings {
            name: "p".into(),
            subject: Some("cn=SEP001122334455".into()),
            ..Settings::default()
        };
        let phone = self_signed(&phone, &phone_key, NOW).expect("a certificate");
        let made = local(&phone, &own, &issuer, &issuer_key, NOW).expect("a certificate");
        assert_eq!(made.subject, "cn=SEP001122334455");
        assert!(made.is_signed_by(&issuer) && !made.is_ca);
        assert_eq!(made.public_key, own.public_key());
    }
}
