//! A trustpoint: an authority that is trusted, an identity that is shown, or both.
//!
//! States: defined → (`authenticate`) authority known → (`enroll`) a request is out → (answer) enrolled → (a request
//! for the next certificate) renewing → enrolled. With `enrollment self` the second step makes key and certificate at
//! once. While a trustpoint renews, what it has is shown; what it had is kept until the new certificate has been used or
//! the old one expires.

use super::bundle::Bundle;
use super::settings::Enrolment;
use super::{Certificate, Date, Error, Key, Settings, enrol, request};

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
    /// Label of the key of our certificate.
    pub key_label: Option<String>,
    /// A request that was made and not answered.
    pub pending: Option<Pending>,
    /// Our certificate before this one.
    pub previous: Option<Previous>,
}

/// A request that is out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Label of its key.
    pub key_label: String,
    /// What the protocol must remember; empty before the authority has taken the request.
    pub memo: Vec<u8>,
}

/// A certificate that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The certificate.
    pub identity: Certificate,
    /// Certificates between it and the authority, nearest first.
    pub between: Vec<Certificate>,
    /// Label of its key.
    pub key_label: String,
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
    /// There is one to show, and a request for the next is out.
    Renewing,
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
        match (&self.identity, &self.pending, &self.authority) {
            (Some(_), Some(_), _) => State::Renewing,
            (Some(_), None, _) => State::Enrolled,
            (None, Some(_), _) => State::Pending,
            (None, None, Some(_)) => State::Authenticated,
            (None, None, None) => State::Defined,
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
        self.replace(made, Vec::new(), key, now);
        Ok(())
    }

    /// `crypto ca enroll` with `enrollment terminal`: a request, as PEM.
    pub fn request(&mut self, settings: &Settings, key: &Key) -> Result<String, Error> {
        if settings.enrolment != Enrolment::Terminal {
            return Err(self.refuse("it does not enrol by terminal".into()));
        }
        let pem = request::request(settings, key)?;
        self.begin(key);
        Ok(pem)
    }

    /// A request is made with this key.
    pub fn begin(&mut self, key: &Key) {
        self.pending = Some(Pending {
            key_label: key.label.clone(),
            memo: Vec::new(),
        });
    }

    /// The authority wants time; the protocol remembers this.
    pub fn wait(&mut self, memo: Vec<u8>) {
        if let Some(pending) = &mut self.pending {
            pending.memo = memo;
        }
    }

    /// Takes a certificate that was judged, and those between it and the authority, nearest first. Returns the label of
    /// a key that nothing here needs any more.
    pub fn replace(
        &mut self,
        identity: Certificate,
        between: Vec<Certificate>,
        key: &Key,
        now: Date,
    ) -> Option<String> {
        let before = self.identity.replace(identity);
        let between = std::mem::replace(&mut self.between, between);
        let label = self.key_label.replace(key.label.clone());
        self.pending = None;
        let needless = self.settle();
        if let (Some(identity), Some(key_label)) = (before, label) {
            self.previous = Some(Previous {
                identity,
                between,
                key_label,
            });
        }
        // One that nobody takes any more is not worth keeping.
        match &self.previous {
            Some(previous) if previous.identity.not_after < now => self.settle().or(needless),
            _ => needless.filter(|label| !self.needs(label)),
        }
    }

    /// The certificate has been used in a connection, or the one before it has expired: that one may go. Returns the
    /// label of a key that nothing here needs any more.
    pub fn settle(&mut self) -> Option<String> {
        let previous = self.previous.take()?;
        Some(previous.key_label).filter(|label| !self.needs(label))
    }

    /// Whether anything here belongs to a key.
    fn needs(&self, label: &str) -> bool {
        let pending = self.pending.as_ref().map(|own| own.key_label.as_str());
        let previous = self.previous.as_ref().map(|own| own.key_label.as_str());
        [self.key_label.as_deref(), pending, previous].contains(&Some(label))
    }

    /// `crypto ca import … certificate`: the answer to a request, with whatever else the authority sent along.
    pub fn import(&mut self, answer: &[Certificate], key: &Key, now: Date) -> Result<(), Error> {
        let Some(authority) = self.authority.clone() else {
            let issuer = answer
                .first()
                .map_or("the authority", |first| &first.issuer);
            return Err(self.refuse(format!(
                "authenticate it first: paste the certificate of {issuer}"
            )));
        };
        let (identity, between) = judged("import", answer, key, &authority, now)?;
        self.replace(identity, between, key, now);
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
        (self.pending, self.previous) = (None, None);
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

    /// A key is removed, and with it all that belongs to it.
    pub fn forget(&mut self, label: &str) {
        if self.key_label.as_deref() == Some(label) {
            (self.identity, self.key_label) = (None, None);
            self.between.clear();
        }
        self.pending.take_if(|own| own.key_label == label);
        self.previous.take_if(|own| own.key_label == label);
    }

    /// Label of the key that an answer to the request, or else the certificate, belongs to.
    pub fn wanted_key(&self) -> Option<&str> {
        let pending = self.pending.as_ref().map(|own| own.key_label.as_str());
        pending.or(self.key_label.as_deref())
    }

    /// Label for a key after this one, for a trustpoint whose keys change: `k`, `k#2`, `k#3`.
    pub fn next_key_label(label: &str) -> String {
        let (base, number) = match label.rsplit_once('#') {
            Some((base, number)) => (base, number.parse::<u32>().unwrap_or(1)),
            None => (label, 1),
        };
        format!("{base}#{}", number.saturating_add(1))
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

/// Judges what an authority issued: the certificate, and those between it and the authority, nearest first.
pub fn judged(
    protocol: &'static str,
    issued: &[Certificate],
    key: &Key,
    authority: &Certificate,
    now: Date,
) -> Result<(Certificate, Vec<Certificate>), Error> {
    let known = std::slice::from_ref(authority);
    let whole = enrol::accept(protocol, issued, key, known, now)?;
    let mut whole = whole.into_iter();
    let identity = whole
        .next()
        .ok_or(Error::NotACertificate("there is none"))?;
    Ok((identity, whole.take_while(|one| one != authority).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Wanted;

    const NOW: Date = Date(1_793_527_200);

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
        let made = request::self_signed(&own, &key, NOW).expect("a certificate");
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
            .import(std::slice::from_ref(&answer), &key, NOW)
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
        trustpoint
            .import(std::slice::from_ref(&answer), &key, NOW)
            .expect("the answer");
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
        assert!(trustpoint.import(&[answer], &other, NOW).is_err());
        assert!(
            trustpoint
                .import(&[issue(&request, &strange, &strange_key)], &key, NOW)
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
    fn what_is_shown_stays_while_the_next_certificate_is_awaited_and_until_that_one_is_used() {
        let own = settings("tp", Enrolment::Own);
        let mut trustpoint = Trustpoint::new("tp");
        let first = key("k");
        trustpoint.sign_itself(&own, &first, NOW).expect("made");
        let old = trustpoint.identity.clone().expect("enrolled");
        let second = key(&Trustpoint::next_key_label("k"));
        trustpoint.begin(&second);
        trustpoint.wait(b"memo".to_vec());
        assert_eq!(trustpoint.state(), State::Renewing);
        assert_eq!(trustpoint.chain().expect("enrolled"), [&old]);
        assert_eq!(trustpoint.wanted_key(), Some("k#2"));
        let new = request::self_signed(&own, &second, NOW.plus_days(1)).expect("made");
        trustpoint.replace(new.clone(), Vec::new(), &second, NOW.plus_days(1));
        assert_eq!(trustpoint.state(), State::Enrolled);
        assert_eq!(trustpoint.chain().expect("enrolled"), [&new]);
        let kept = trustpoint.previous.as_ref().expect("kept");
        assert_eq!((&kept.identity, kept.key_label.as_str()), (&old, "k"));
        assert_eq!(trustpoint.settle().as_deref(), Some("k"));
        assert_eq!((trustpoint.settle(), &trustpoint.previous), (None, &None));
    }

    #[test]
    fn a_key_that_is_still_needed_and_a_certificate_that_has_expired_are_told_apart() {
        let own = settings("tp", Enrolment::Own);
        let mut trustpoint = Trustpoint::new("tp");
        let key = key("k");
        trustpoint.sign_itself(&own, &key, NOW).expect("made");
        let same = request::self_signed(&own, &key, NOW.plus_days(1)).expect("made");
        trustpoint.replace(same.clone(), Vec::new(), &key, NOW.plus_days(1));
        assert_eq!(trustpoint.settle(), None, "the key is in use");
        let after = same.not_after.plus_days(1);
        trustpoint.replace(same, Vec::new(), &key, after);
        assert_eq!(trustpoint.previous, None, "it had expired");
        assert_eq!(Trustpoint::next_key_label("k#2"), "k#3");
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
            .import(&[issue(&request, &ca, &ca_key)], &key, NOW)
            .expect("the answer");
        let mut second = Trustpoint::new("tp");
        let key = second.import_bundle(first.bundle(key).expect("enrolled"));
        assert_eq!(first, second);
        assert_eq!(second.bundle(key).expect("enrolled").authorities, [ca]);
    }
}
