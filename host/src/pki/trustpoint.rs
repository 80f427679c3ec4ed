//! A trustpoint: an authority that is trusted, an identity that is shown, or both.
//!
//! States: defined → (`authenticate`) authority known → (`enroll`) a request is out → (`import`) enrolled. With
//! `enrollment self` the second step makes key and certificate at once.

use super::bundle::Bundle;
use super::settings::Enrolment;
use super::{Certificate, Date, Error, Key, Settings, request};

/// What is stored of a trustpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trustpoint {
    /// Name.
    pub name: String,
    /// The authority, or the peer, whose certificate was pasted or imported.
    pub authority: Option<Certificate>,
    /// Our certificate.
    pub identity: Option<Certificate>,
    /// Certificates between our certificate and the authority, nearest first.
    pub between: Vec<Certificate>,
    /// Label of the key of our certificate, or of the request that is out.
    pub key_label: Option<String>,
    /// A request was made and not answered.
    pub is_pending: bool,
}

/// How far a trustpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is known.
    Defined,
    /// The authority is known.
    Authenticated,
    /// A request is out.
    Pending,
    /// There is a certificate to show.
    Enrolled,
}

/// What a pasted certificate is to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It signs others: any peer with a certificate from it is trusted.
    Authority,
    /// It is one peer's own: that certificate is trusted and no other.
    Pin,
}

impl Trustpoint {
    /// A trustpoint of which nothing is known.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// How far it is.
    pub fn state(&self) -> State {
        match (&self.identity, &self.authority) {
            _ if self.is_pending => State::Pending,
            (Some(_), _) => State::Enrolled,
            (None, Some(_)) => State::Authenticated,
            (None, None) => State::Defined,
        }
    }

    /// What its authority is to a peer.
    pub fn role(&self) -> Option<Role> {
        self.authority
            .as_ref()
            .map(|authority| match authority.is_ca {
                true => Role::Authority,
                false => Role::Pin,
            })
    }

    /// `crypto ca authenticate`: takes an authority's certificate, or one peer's own.
    pub fn authenticate(&mut self, certificate: Certificate) -> Result<(), Error> {
        if !certificate.is_ca && !certificate.is_self_signed {
            return Err(self.refuse(format!(
                "{} is neither an authority's certificate nor signed by its own key: paste the certificate of {}",
                certificate.subject, certificate.issuer
            )));
        }
        self.authority = Some(certificate);
        Ok(())
    }

    /// `crypto ca enroll` with `enrollment self`.
    pub fn sign_itself(&mut self, settings: &Settings, key: &Key, now: Date) -> Result<(), Error> {
        let made = request::self_signed(settings, key, now)?;
        self.key_label = Some(key.label.clone());
        self.identity = Some(made);
        self.between = Vec::new();
        self.is_pending = false;
        Ok(())
    }

    /// `crypto ca enroll` with `enrollment terminal`: a request, as PEM.
    pub fn request(&mut self, settings: &Settings, key: &Key) -> Result<String, Error> {
        if settings.enrolment != Enrolment::Terminal {
            return Err(self.refuse("it does not enrol by terminal".into()));
        }
        let pem = request::request(settings, key)?;
        self.key_label = Some(key.label.clone());
        self.is_pending = true;
        Ok(pem)
    }

    /// `crypto ca import … certificate`: the answer to a request.
    pub fn import(&mut self, certificate: Certificate, key: &Key) -> Result<(), Error> {
        if certificate.public_key != key.public_key() {
            return Err(self.refuse(format!(
                "the certificate is for another key than {}: it answers another request",
                key.label
            )));
        }
        match &self.authority {
            None => {
                return Err(self.refuse(format!(
                    "authenticate it first: paste the certificate of {}",
                    certificate.issuer
                )));
            }
            Some(authority) if !certificate.is_signed_by(authority) => {
                return Err(self.refuse(format!(
                    "{} did not sign this certificate, {} did",
                    authority.subject, certificate.issuer
                )));
            }
            Some(_) => {}
        }
        self.identity = Some(certificate);
        self.between = Vec::new();
        self.is_pending = false;
        Ok(())
    }

    /// `crypto ca import … pkcs12`: key, certificate and authorities at once. The key goes back to the caller, to be
    /// stored.
    pub fn import_bundle(&mut self, bundle: Bundle) -> Key {
        let mut authorities = bundle.authorities;
        self.authority = authorities.pop();
        self.between = authorities;
        self.identity = Some(bundle.identity);
        self.key_label = Some(bundle.key.label.clone());
        self.is_pending = false;
        bundle.key
    }

    /// `crypto ca export … pkcs12`.
    pub fn bundle(&self, key: Key) -> Result<Bundle, Error> {
        let identity = self.identity.clone().ok_or_else(|| self.not_enrolled())?;
        let authorities = self.between.iter().chain(&self.authority);
        Ok(Bundle {
            key,
            identity,
            authorities: authorities.cloned().collect(),
        })
    }

    /// The certificates that a peer is shown, ours first. The authority itself is left out: peers know it, or do not
    /// trust it.
    pub fn chain(&self) -> Result<Vec<&Certificate>, Error> {
        let identity = self.identity.as_ref().ok_or_else(|| self.not_enrolled())?;
        let subordinate = self.authority.as_ref().filter(|authority| {
            !authority.is_self_signed && !identity.is_self_signed && authority.is_ca
        });
        Ok(std::iter::once(identity)
            .chain(&self.between)
            .chain(subordinate)
            .collect())
    }

    /// That there is no certificate to show.
    pub fn not_enrolled(&self) -> Error {
        self.refuse(format!(
            "it has no certificate: `crypto ca enroll {}` gets one",
            self.name
        ))
    }

    fn refuse(&self, reason: String) -> Error {
        Error::State {
            trustpoint: self.name.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Wanted;

    fn key(label: &str) -> Key {
        Key::generate(label, Wanted::Ecdsa(256)).expect("a key")
    }

    fn settings(name: &str, enrolment: Enrolment) -> Settings {
        Settings {
            name: name.into(),
            enrolment,
            ..Settings::default()
        }
    }

    fn authority() -> (Certificate, Key) {
        let key = key("ca");
        let own = settings("ca", Enrolment::Own);
        let made = request::self_signed(&own, &key, Date(0)).expect("a certificate");
        (made, key)
    }

    /// What an authority makes of a request.
    fn issue(pem: &str, ca: &Certificate, ca_key: &Key) -> Certificate {
        let request = rcgen::CertificateSigningRequestParams::from_pem(pem).expect("a request");
        let made = ca_key.with_signer(|signer| {
            request.signed_by(&rcgen::Issuer::from_ca_cert_der(&ca.der, signer)?)
        });
        Certificate::parse(made.expect("signed").der()).expect("a certificate")
    }

    #[test]
    fn enrolment_by_terminal_goes_from_defined_to_enrolled() {
        let (ca, ca_key) = authority();
        let own = settings("tp", Enrolment::Terminal);
        let key = key("k");
        let mut trustpoint = Trustpoint::new("tp");
        assert_eq!(trustpoint.state(), State::Defined);
        let request = trustpoint.request(&own, &key).expect("a request");
        let answer = issue(&request, &ca, &ca_key);
        let early = trustpoint
            .import(answer.clone(), &key)
            .expect_err("no authority yet");
        assert!(
            early.to_string().contains("paste the certificate of cn=ca"),
            "{early}"
        );
        trustpoint.authenticate(ca.clone()).expect("an authority");
        assert_eq!(
            (trustpoint.state(), trustpoint.role()),
            (State::Pending, Some(Role::Authority))
        );
        trustpoint.import(answer.clone(), &key).expect("the answer");
        assert_eq!(trustpoint.state(), State::Enrolled);
        assert_eq!(trustpoint.chain().expect("enrolled"), [&answer]);
    }

    #[test]
    fn an_answer_to_another_request_or_from_another_authority_is_refused() {
        let ((ca, ca_key), (strange, strange_key)) = (authority(), authority());
        let own = settings("tp", Enrolment::Terminal);
        let mut trustpoint = Trustpoint::new("tp");
        trustpoint.authenticate(ca.clone()).expect("an authority");
        let (key, other) = (key("k"), key("l"));
        let request = trustpoint.request(&own, &key).expect("a request");
        let answer = issue(&request, &ca, &ca_key);
        assert!(trustpoint.import(answer, &other).is_err());
        assert!(
            trustpoint
                .import(issue(&request, &strange, &strange_key), &key)
                .is_err()
        );
        assert_eq!(trustpoint.state(), State::Pending);
    }

    #[test]
    fn a_certificate_signed_by_another_is_no_anchor() {
        let (ca, ca_key) = authority();
        let key = key("k");
        let request = Trustpoint::new("x").request(&settings("x", Enrolment::Terminal), &key);
        let leaf = issue(&request.expect("a request"), &ca, &ca_key);
        let refused = Trustpoint::new("tp")
            .authenticate(leaf)
            .expect_err("no anchor");
        assert!(
            refused
                .to_string()
                .contains("paste the certificate of cn=ca"),
            "{refused}"
        );
    }

    #[test]
    fn a_bundle_goes_in_and_out_whole() {
        let (ca, ca_key) = authority();
        let own = settings("tp", Enrolment::Terminal);
        let key = key("k");
        let mut first = Trustpoint::new("tp");
        first.authenticate(ca.clone()).expect("an authority");
        let request = first.request(&own, &key).expect("a request");
        first
            .import(issue(&request, &ca, &ca_key), &key)
            .expect("the answer");
        let mut second = Trustpoint::new("tp");
        let key = second.import_bundle(first.bundle(key).expect("enrolled"));
        assert_eq!(first, second);
        assert_eq!(second.bundle(key).expect("enrolled").authorities, [ca]);
    }
}
