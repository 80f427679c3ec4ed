//! An authority for tests.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SubjectPublicKeyInfo,
};

use crate::pki::key::Wanted;
use crate::pki::settings::Enrolment;
use crate::pki::{Certificate, Date, Key, Settings};

/// When the tests play.
pub const NOW: Date = Date(1_793_527_200);

/// A key and the certificate that goes with it.
pub struct Authority {
    pub key: Key,
    pub certificate: Certificate,
}

/// What a certificate is made with.
pub struct Form {
    pub is_ca: bool,
    pub purposes: Vec<ExtendedKeyUsagePurpose>,
    pub usages: Vec<KeyUsagePurpose>,
    pub from: Date,
    pub to: Date,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            is_ca: false,
            purposes: vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            usages: Vec::new(),
            from: NOW.plus_days(-1),
            to: NOW.plus_days(30),
        }
    }
}

impl Form {
    /// Of an authority.
    pub fn authority() -> Self {
        Self {
            is_ca: true,
            purposes: Vec::new(),
            ..Self::default()
        }
    }

    fn params(&self, name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.clone_from(&self.purposes);
        params.key_usages.clone_from(&self.usages);
        params.not_before = self.from.calendar();
        params.not_after = self.to.calendar();
        params.is_ca = match self.is_ca {
            true => IsCa::Ca(BasicConstraints::Unconstrained),
            false => IsCa::ExplicitNoCa,
        };
        params
    }
}

impl Authority {
    /// One that nobody signed.
    pub fn new(name: &str, wanted: Wanted) -> Self {
        let key = Key::generate(name, wanted).expect("a key");
        let params = Form::authority().params(name);
        let made = key.with_signer(|signer| params.self_signed(signer));
        let certificate = Certificate::parse(made.expect("made").der()).expect("a certificate");
        Self { key, certificate }
    }

    /// Another one under this one.
    pub fn subordinate(&self, name: &str) -> Self {
        let key = Key::generate(name, Wanted::Ecdsa(256)).expect("a key");
        let certificate = self.issue(name, key.public_key(), &Form::authority());
        Self { key, certificate }
    }

    /// A certificate.
    pub fn issue(&self, name: &str, public_key: &[u8], form: &Form) -> Certificate {
        let params = form.params(name);
        let made = self.key.with_signer(|signer| {
            let issuer = Issuer::from_ca_cert_der(&self.certificate.der, signer)?;
            let public = SubjectPublicKeyInfo::from_der(public_key)?;
            params.signed_by(&public, &issuer)
        });
        Certificate::parse(made.expect("made").der()).expect("a certificate")
    }
}

/// A trustpoint.
pub fn settings() -> Settings {
    Settings {
        name: "tp".into(),
        enrolment: Enrolment::Terminal,
        fqdn: Some("cup.example.com".into()),
        subject: Some("cn=cup.example.com,o=Example".into()),
        ..Settings::default()
    }
}

/// An RSA key.
pub fn rsa() -> Key {
    Key::generate("rsa", Wanted::Rsa(2048)).expect("a key")
}

/// A key on a curve.
pub fn ec() -> Key {
    Key::generate("ec", Wanted::Ecdsa(256)).expect("a key")
}
