use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use der::asn1::{Any, BitString, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode, Sequence};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, CustomExtension, ExtendedKeyUsagePurpose, KeyIdMethod,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::message::{
    BasicHead, CertStatus, OcspRequest, OcspResponse, ResponderId, ResponseBytes, ResponseStatus,
    RevokedInfo, SingleResponse,
};
use super::*;
use crate::pki::enrol::Answer;
use crate::pki::settings::Revocation;
use crate::pki::settings::revocation::{Method, Policy};
use crate::tls::tests::bench::{Authority, NOW, Pair};

pub(crate) const LIST: &str = "http://crl.example/ca.crl";
const RESPONDER: &str = "http://ocsp.example/";

fn now() -> Date {
    Date::from(NOW)
}

pub(crate) fn ladder(methods: &[Method]) -> Revocation {
    Revocation {
        ladder: methods.to_vec(),
        ..Revocation::default()
    }
}

fn authority() -> Authority {
    Authority::with("Authority", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    })
}

/// A certificate that says where to ask about it.
fn peer(ca: &Authority) -> Pair {
    ca.issue("peer.example.com", with_places)
}

pub(crate) fn with_places(params: &mut CertificateParams) {
    params.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec![LIST.into()],
    }];
    params.custom_extensions = vec![responder_extension(RESPONDER)];
}

/// RFC 5280 §4.2.2.1.
pub(crate) fn responder_extension(url: &str) -> CustomExtension {
    let method = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let place = [
        &[0x86, u8::try_from(url.len()).expect("short")],
        url.as_bytes(),
    ]
    .concat();
    let description = wrapped(&[method.as_slice(), &place].concat());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], wrapped(&description))
}

fn wrapped(content: &[u8]) -> Vec<u8> {
    [
        &[0x30, u8::try_from(content.len()).expect("short")],
        content,
    ]
    .concat()
}

fn path(own: &Pair, ca: &Authority) -> Vec<CertificateDer<'static>> {
    vec![own.certificate.der.clone(), ca.certificate.der.clone()]
}

fn list_params() -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: now().plus_days(-1).calendar(),
        next_update: now().plus_days(1).calendar(),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

pub(crate) fn list(
    ca: &Authority,
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Answer {
    let mut params = list_params();
    change(&mut params);
    let made = params.signed_by(&ca.issuer).expect("a list");
    answer(made.der().to_vec())
}

pub(crate) fn revoke(params: &mut CertificateRevocationListParams, own: &Pair) {
    let (_, parsed) = <x509_parser::certificate::X509Certificate<'_> as x509_parser::prelude::FromDer<'_, _>>::from_der(
        &own.certificate.der,
    )
    .expect("a certificate");
    params.revoked_certs.push(RevokedCertParams {
        serial_number: SerialNumber::from_slice(parsed.raw_serial()),
        revocation_time: now().plus_days(-2).calendar(),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
}

fn answer(body: Vec<u8>) -> Answer {
    Answer {
        status: 200,
        body,
        ..Answer::default()
    }
}

/// The one question of a ledger.
#[track_caller]
fn asked(standing: Standing) -> Question {
    match standing {
        Standing::Asked(mut questions) if questions.len() == 1 => questions.remove(0),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(standing: Standing) -> String {
    match standing {
        Standing::Refused(trouble) => trouble.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What a ledger says once its one question was answered so.
fn after(path: &[CertificateDer<'_>], settings: &Revocation, answer: &Answer) -> Standing {
    let ledger = Ledger::default();
    let question = asked(ledger.judge(path, settings, now()));
    let _ = ledger.learn(&question, Ok(answer), now());
    ledger.judge(path, settings, now())
}

#[test]
fn a_list_says_who_stands_and_who_does_not() {
    let ca = authority();
    let own = peer(&ca);
    let path = path(&own, &ca);
    let settings = ladder(&[Method::Crl]);
    let good = after(&path, &settings, &list(&ca, |_| {}));
    assert_eq!(good, Standing::Clear(Vec::new()));
    let bad = after(&path, &settings, &list(&ca, |params| revoke(params, &own)));
    assert_eq!(
        refused(bad),
        format!(
            "was revoked at {} (key compromise), says the list at {LIST}",
            now().plus_days(-2)
        )
    );
}

#[test]
fn a_list_that_does_not_count_is_no_answer() {
    let (ca, stranger) = (authority(), authority());
    let other = Authority::new("Other");
    let silent = Authority::with("Authority", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let own = peer(&ca);
    let settings = ladder(&[Method::Crl]);
    let of = |scope: Option<CrlScope>, place: &str| {
        list(&ca, |params| {
            params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint {
                    uris: vec![place.into()],
                },
                scope,
            });
        })
    };
    for (answer, said) in [
        (list(&stranger, |_| {}), "did not sign it"),
        (list(&other, |_| {}), "it is the list of cn=Other"),
        (
            list(&ca, |params| {
                params.this_update = now().plus_days(-2).calendar();
                params.next_update = now().plus_days(-1).calendar();
            }),
            "is too old: the next one was due at",
        ),
        (
            list(&ca, |params| {
                params.this_update = Date(now().0 + 3600).calendar();
            }),
            "is the clock right?",
        ),
        (
            of(Some(CrlScope::CaCertsOnly), LIST),
            "about other certificates",
        ),
        (
            of(None, "http://crl.example/other.crl"),
            "another distribution point",
        ),
        (answer(b"<html>".to_vec()), "it is no list"),
        (
            Answer {
                status: 404,
                ..Answer::default()
            },
            "status 404",
        ),
    ] {
        let said_so = refused(after(&path(&own, &ca), &settings, &answer));
        assert!(said_so.contains(said), "{said}: {said_so}");
    }
    let own_of_silent = peer(&silent);
    let said = refused(after(
        &path(&own_of_silent, &silent),
        &settings,
        &list_of_silent(&silent),
    ));
    assert!(said.contains("does not permit signing lists"), "{said}");
    let right = after(
        &path(&own, &ca),
        &settings,
        &of(Some(CrlScope::UserCertsOnly), LIST),
    );
    assert_eq!(right, Standing::Clear(Vec::new()));
}

/// One that its authority's certificate does not permit: made by an issuer of the same name and key that may.
fn list_of_silent(silent: &Authority) -> Answer {
    let mut params = crate::tls::tests::bench::params("Authority");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pair = silent.pair();
    let key = rcgen::KeyPair::try_from(pair.pkcs8.as_slice()).expect("a key");
    let issuer = rcgen::Issuer::new(params, key);
    answer(
        list_params()
            .signed_by(&issuer)
            .expect("a list")
            .der()
            .to_vec(),
    )
}

#[test]
fn the_ladder_is_climbed_only_where_there_is_no_answer() {
    let ca = authority();
    let own = peer(&ca);
    let path = path(&own, &ca);
    let ledger = Ledger::default();
    let settings = ladder(&[Method::Ocsp, Method::Crl, Method::None]);
    let first = asked(ledger.judge(&path, &settings, now()));
    assert_eq!(first.ask.url, RESPONDER);
    let _ = ledger.learn(&first, Err("connection refused"), now());
    let second = asked(ledger.judge(&path, &settings, now()));
    assert_eq!((second.ask.url.as_str(), &second.ask.body), (LIST, &None));
    let _ = ledger.learn(&second, Err("no route to host"), now());
    let Standing::Clear(passed) = ledger.judge(&path, &settings, now()) else {
        panic!("`none` lets it pass");
    };
    assert_eq!(
        passed[0].to_string(),
        format!(
            "may be revoked, nobody knows: {RESPONDER}: connection refused; {LIST}: no route to host"
        )
    );
    let hard = ladder(&[Method::Ocsp, Method::Crl]);
    assert!(matches!(
        ledger.judge(&path, &hard, now()),
        Standing::Refused(Trouble::Unanswered { .. })
    ));
    // A minute later somebody may be there.
    let later = Date(now().0 + 60);
    assert_eq!(asked(ledger.judge(&path, &hard, later)).ask.url, RESPONDER);
    let nobody = ladder(&[Method::None]);
    assert_eq!(
        ledger.judge(&path, &nobody, now()),
        Standing::Clear(Vec::new())
    );
}

#[test]
fn every_certificate_below_the_anchor_is_asked_about() {
    let ca = authority();
    let middle = ca.issue("Middle", |params| {
        with_places(params);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let issuer = rcgen::Issuer::new(
        crate::tls::tests::bench::params("Middle"),
        rcgen::KeyPair::try_from(middle.pkcs8.as_slice()).expect("a key"),
    );
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = crate::tls::tests::bench::params("peer.example.com");
    params.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec!["http://crl.example/middle.crl".into()],
    }];
    let leaf = params.signed_by(&key, &issuer).expect("a certificate");
    let path = [
        leaf.der().clone(),
        middle.certificate.der.clone(),
        ca.certificate.der.clone(),
    ];
    let ledger = Ledger::default();
    let settings = ladder(&[Method::Crl]);
    let Standing::Asked(questions) = ledger.judge(&path, &settings, now()) else {
        panic!("nothing was asked");
    };
    let urls: Vec<&str> = questions.iter().map(|one| one.ask.url.as_str()).collect();
    assert_eq!(urls, ["http://crl.example/middle.crl", LIST]);
    let revoked = list(&ca, |params| revoke(params, &middle));
    let _ = ledger.learn(&questions[1], Ok(&revoked), now());
    // The leaf need not be asked about any more.
    let Standing::Refused(trouble) = ledger.judge(&path, &settings, now()) else {
        panic!("the authority between was revoked");
    };
    assert_eq!(trouble.subject(), "cn=Middle");
}

#[test]
fn a_list_is_kept_as_long_as_configured_and_serves_on_while_there_is_no_newer_one() {
    let ca = authority();
    let own = peer(&ca);
    let path = path(&own, &ca);
    let ledger = Ledger::default();
    let settings = ladder(&[Method::Crl]);
    let question = asked(ledger.judge(&path, &settings, now()));
    let _ = ledger.learn(&question, Ok(&list(&ca, |_| {})), now());
    let at = |seconds| ledger.judge(&path, &settings, Date(now().0 + seconds));
    assert_eq!(at(3599), Standing::Clear(Vec::new()));
    let again = asked(at(3600));
    let _ = ledger.learn(&again, Err("connection refused"), Date(now().0 + 3600));
    assert_eq!(at(3601), Standing::Clear(Vec::new()));
    assert_eq!(asked(at(3660)), again);
    let day = 24 * 3600 + 1;
    let _ = ledger.learn(&again, Err("connection refused"), Date(now().0 + day));
    assert!(refused(at(day)).contains("connection refused"));
    let mut lax = settings.clone();
    lax.crl.enforces_next_update = false;
    let standing = ledger.judge(&path, &lax, Date(now().0 + day));
    assert_eq!(standing, Standing::Clear(Vec::new()));
}

#[test]
fn places_of_lists_are_those_that_are_configured() {
    let ca = authority();
    let own = peer(&ca);
    let mut settings = ladder(&[Method::Crl]);
    settings.crl.urls = vec![(1, "http://own.example/1.crl".into())];
    let mut asks = |policy| {
        settings.crl.policy = policy;
        let ledger = Ledger::default();
        let mut urls = Vec::new();
        while let Standing::Asked(questions) = ledger.judge(&path(&own, &ca), &settings, now()) {
            urls.push(questions[0].ask.url.clone());
            let _ = ledger.learn(&questions[0], Err("down"), now());
        }
        urls
    };
    assert_eq!(asks(Policy::Cdp), [LIST]);
    assert_eq!(asks(Policy::Static), ["http://own.example/1.crl"]);
    assert_eq!(asks(Policy::Both), [LIST, "http://own.example/1.crl"]);
}

/// An OCSP responder that can be made to err.
struct Responder<'a> {
    key: &'a Pair,
    /// Who it says it is.
    name: &'a crate::pki::Certificate,
    certificates: Vec<CertificateDer<'static>>,
    status: CertStatus,
    has_nonce: bool,
    this_update: Date,
    next_update: Option<Date>,
    /// Answers about the next serial number.
    is_about_another: bool,
}

#[derive(Sequence)]
struct Basic {
    head: BasicHead,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<Any>>,
}

impl<'a> Responder<'a> {
    fn new(key: &'a Pair) -> Self {
        Self {
            key,
            name: &key.certificate,
            certificates: Vec::new(),
            status: CertStatus::Good(Null),
            has_nonce: true,
            this_update: Date(now().0 - 10),
            next_update: Some(now().plus_days(1)),
            is_about_another: false,
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        let time =
            |date: Date| GeneralizedTime::from_unix_duration(date.since_epoch()).expect("a date");
        let asked = question.ask.body.as_ref().expect("a question");
        let asked = OcspRequest::from_der(&asked.bytes)
            .expect("a question")
            .tbs_request;
        let mut cert_id = asked.request_list[0].cert_id.clone();
        if self.is_about_another {
            cert_id.serial = der::asn1::Int::new(&[1]).expect("a number");
        }
        let (_, name) =
            <x509_parser::certificate::X509Certificate<'_> as x509_parser::prelude::FromDer<
                '_,
                _,
            >>::from_der(&self.name.der)
            .expect("a certificate");
        let head = BasicHead {
            version: None,
            responder_id: ResponderId::ByName(
                Any::from_der(name.subject().as_raw()).expect("a name"),
            ),
            produced_at: time(now()),
            responses: vec![SingleResponse {
                cert_id,
                status: match &self.status {
                    CertStatus::Good(_) => CertStatus::Good(Null),
                    CertStatus::Unknown(_) => CertStatus::Unknown(Null),
                    CertStatus::Revoked(about) => CertStatus::Revoked(RevokedInfo {
                        time: about.time,
                        reason: about.reason,
                    }),
                },
                this_update: time(self.this_update),
                next_update: self.next_update.map(time),
                extensions: None,
            }],
            extensions: asked.extensions.filter(|_| self.has_nonce),
        };
        answer(self.sign(head))
    }

    fn sign(&self, head: BasicHead) -> Vec<u8> {
        let message = head.to_der().expect("it is short");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key.pkcs8)
            .expect("a key");
        let signature = pair.sign(&SystemRandom::new(), &message).expect("signed");
        let certificates = self.certificates.iter();
        let certificates: Vec<Any> = certificates
            .map(|one| Any::from_der(one).expect("a certificate"))
            .collect();
        let basic = Basic {
            head,
            algorithm: AlgorithmIdentifierOwned {
                oid: der::asn1::ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
                parameters: None,
            },
            signature: BitString::from_bytes(signature.as_ref()).expect("short"),
            certificates: (!certificates.is_empty()).then_some(certificates),
        };
        let bytes = ResponseBytes {
            kind: der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1"),
            response: OctetString::new(basic.to_der().expect("short")).expect("short"),
        };
        let response = OcspResponse {
            status: ResponseStatus::Successful,
            bytes: Some(bytes),
        };
        response.to_der().expect("short")
    }
}

/// What a ledger says of a certificate after a responder's answer.
fn judged(ca: &Authority, own: &Pair, has_nonce: bool, responder: &Responder<'_>) -> Standing {
    let mut settings = ladder(&[Method::Ocsp]);
    settings.has_nonce = has_nonce;
    let path = path(own, ca);
    let ledger = Ledger::default();
    let question = asked(ledger.judge(&path, &settings, now()));
    let _ = ledger.learn(&question, Ok(&responder.answer(&question)), now());
    ledger.judge(&path, &settings, now())
}

#[test]
fn a_responder_says_who_stands_and_who_does_not() {
    let ca = authority();
    let (own, key) = (peer(&ca), ca.pair());
    let mut responder = Responder::new(&key);
    assert_eq!(
        judged(&ca, &own, true, &responder),
        Standing::Clear(Vec::new())
    );
    responder.status = CertStatus::Revoked(RevokedInfo {
        time: GeneralizedTime::from_unix_duration(now().since_epoch()).expect("a date"),
        reason: Some(x509_cert::ext::pkix::CrlReason::Superseded),
    });
    let said = refused(judged(&ca, &own, true, &responder));
    let expected = format!(
        "was revoked at {} (superseded), says the responder {RESPONDER}",
        now()
    );
    assert_eq!(said, expected);
    responder.status = CertStatus::Unknown(Null);
    let said = refused(judged(&ca, &own, true, &responder));
    assert!(
        said.ends_with("http://ocsp.example/ does not know it"),
        "{said}"
    );
}

#[test]
fn a_responder_is_the_issuer_or_whom_it_made_one() {
    let ca = authority();
    let own = peer(&ca);
    let stranger = authority();
    let signing = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    };
    let made = ca.issue("responder", signing);
    let (unmade, foreign) = (
        ca.issue("responder", |_| {}),
        stranger.issue("responder", signing),
    );
    let late = ca.issue("responder", |params| {
        signing(params);
        params.not_after = now().plus_days(-1).calendar();
    });
    let with = |pair| {
        let mut responder = Responder::new(pair);
        responder.certificates = vec![pair.certificate.der.clone()];
        judged(&ca, &own, true, &responder)
    };
    assert_eq!(with(&made), Standing::Clear(Vec::new()));
    for wrong in [&unmade, &foreign, &late] {
        let said = refused(with(wrong));
        assert!(said.contains("whom the issuer made no responder"), "{said}");
    }
    let said = refused(judged(&ca, &own, true, &Responder::new(&made)));
    assert!(
        said.contains("whose certificate it does not bring"),
        "{said}"
    );
    // It says that it is the issuer.
    let mut liar = Responder::new(&made);
    liar.name = &ca.certificate;
    let said = refused(judged(&ca, &own, true, &liar));
    assert!(
        said.contains("the signature of the answer is wrong"),
        "{said}"
    );
}

#[test]
fn an_answer_is_to_this_question_and_of_this_time() {
    let ca = authority();
    let (own, key) = (peer(&ca), ca.pair());
    let said = |has_nonce, change: fn(&mut Responder<'_>)| {
        let mut responder = Responder::new(&key);
        change(&mut responder);
        judged(&ca, &own, has_nonce, &responder)
    };
    let without = |responder: &mut Responder<'_>| responder.has_nonce = false;
    assert!(refused(said(true, without)).contains("`ocsp disable-nonce`"));
    assert_eq!(said(false, without), Standing::Clear(Vec::new()));
    let other = said(true, |responder| responder.is_about_another = true);
    assert!(refused(other).contains("about another certificate"));
    let old = said(true, |responder| {
        responder.next_update = Some(Date(now().0 - 1))
    });
    assert!(refused(old).contains("too old"));
    let early = said(true, |responder| {
        responder.this_update = Date(now().0 + 301)
    });
    assert!(refused(early).contains("is the clock right?"));
    // The answer to an earlier question, again.
    let settings = ladder(&[Method::Ocsp]);
    let path = path(&own, &ca);
    let (first, second) = (Ledger::default(), Ledger::default());
    let earlier = asked(first.judge(&path, &settings, now()));
    let answer = Responder::new(&key).answer(&earlier);
    let question = asked(second.judge(&path, &settings, now()));
    let _ = second.learn(&question, Ok(&answer), now());
    assert!(refused(second.judge(&path, &settings, now())).contains("another nonce"));
}

#[test]
fn answers_without_a_next_update_are_asked_for_again_after_a_minute() {
    let ca = authority();
    let (own, key) = (peer(&ca), ca.pair());
    let mut responder = Responder::new(&key);
    responder.next_update = None;
    let settings = ladder(&[Method::Ocsp]);
    let path = path(&own, &ca);
    let ledger = Ledger::default();
    let question = asked(ledger.judge(&path, &settings, now()));
    let _ = ledger.learn(&question, Ok(&responder.answer(&question)), now());
    let at = |seconds| ledger.judge(&path, &settings, Date(now().0 + seconds));
    assert_eq!(at(59), Standing::Clear(Vec::new()));
    asked(at(60));
}

#[test]
fn damaged_answers_are_refused_and_nothing_else_happens() {
    let ca = authority();
    let (own, key) = (peer(&ca), ca.pair());
    let path = path(&own, &ca);
    let settings = ladder(&[Method::Ocsp]);
    let ledger = Ledger::default();
    let question = asked(ledger.judge(&path, &settings, now()));
    let response = Responder::new(&key).answer(&question).body;
    let listed = asked(ledger.judge(&path, &ladder(&[Method::Crl]), now()));
    let list = list(&ca, |params| revoke(params, &own)).body;
    for (question, whole) in [(&question, response), (&listed, list)] {
        for at in 0..whole.len() {
            let cut = answer(whole[..at].to_vec());
            assert!(
                ledger.learn(question, Ok(&cut), now()).is_err(),
                "{at} bytes"
            );
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            let flipped = answer(flipped);
            assert!(
                ledger.learn(question, Ok(&flipped), now()).is_err(),
                "byte {at}"
            );
        }
        assert!(ledger.learn(question, Ok(&answer(whole)), now()).is_ok());
    }
}

#[test]
fn the_ledger_does_not_grow_without_bound() {
    let ca = authority();
    let ledger = Ledger::default();
    let own = peer(&ca);
    let mut settings = ladder(&[Method::Crl]);
    settings.crl.policy = Policy::Static;
    let made = list(&ca, |_| {});
    for number in 0..70 {
        settings.crl.urls = vec![(1, format!("http://crl.example/{number}.crl"))];
        let later = Date(now().0 + number);
        let question = asked(ledger.judge(&path(&own, &ca), &settings, later));
        assert!(ledger.learn(&question, Ok(&made), later).is_ok());
    }
    let places: Vec<String> = ledger
        .lists()
        .into_iter()
        .map(|known| known.place)
        .collect();
    assert_eq!(places.len(), 64);
    assert!(!places.contains(&"http://crl.example/5.crl".to_owned()));
    assert!(places.contains(&"http://crl.example/6.crl".to_owned()));
}
