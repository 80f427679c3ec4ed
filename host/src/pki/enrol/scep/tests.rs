//! A server made of our own messages: Debian's has no requests that wait, and tells no lies.

use rcgen::KeyUsagePurpose;

use super::message::{Header, IssuerAndSubject, Kind};
use super::*;
use crate::pki::enrol::cms::Signed;
use crate::pki::enrol::testing::{Authority, Form, NOW, ec, rsa, settings};
use crate::pki::key::Wanted;
use crate::pki::{Settings, chain::MAX_CERTIFICATES};
use x509_cert::request::CertReq;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    Nonce,
    NoNonce,
    Transaction,
    Kind,
    NoStatus,
    Stranger,
    OtherRecipient,
    OtherKey,
    Content,
}

struct Server {
    authority: Authority,
    /// Who registers, if not the authority itself.
    registrar: Option<Authority>,
    /// Somebody else's certificate that an attacker adds.
    slipped: Option<Certificate>,
    capabilities: &'static str,
    waits: u32,
    lie: Lie,
    failure: Option<&'static str>,
    /// Transactions and requests seen.
    seen: Vec<(String, String)>,
}

impl Server {
    fn new() -> Self {
        Self {
            authority: Authority::new("ca", Wanted::Rsa(2048)),
            registrar: None,
            slipped: None,
            capabilities: "AES\nSHA-256\r\nPOSTPKIOperation\nRenewal\n",
            waits: 0,
            lie: Lie::None,
            failure: None,
            seen: Vec::new(),
        }
    }

    fn speaker(&self) -> &Authority {
        self.registrar.as_ref().unwrap_or(&self.authority)
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        let body = match (&ask.body, ask.url.as_str()) {
            (None, "http://ca/scep?operation=GetCACaps") => self.capabilities.into(),
            (None, "http://ca/scep?operation=GetCACert") => self.certificates(),
            (Some(body), "http://ca/scep?operation=PKIOperation") => self.operation(&body.bytes),
            other => panic!("{other:?}"),
        };
        Answer {
            status: 200,
            body,
            ..Answer::default()
        }
    }

    fn certificates(&self) -> Vec<u8> {
        let others = self.registrar.iter().map(|one| &one.certificate);
        let others: Vec<_> = others.chain(&self.slipped).cloned().collect();
        let own = self.authority.certificate.clone();
        match others.is_empty() {
            true => own.der.to_vec(),
            false => cms::bundle_of(&[vec![own], others].concat()).expect("made"),
        }
    }

    fn operation(&mut self, bytes: &[u8]) -> Vec<u8> {
        let message = Signed::read(bytes).expect("a message");
        let asker = message.certificates().expect("the asker's").remove(0);
        let asked = message
            .verify(std::slice::from_ref(&asker), Strength::Current)
            .expect("signed by the asker");
        let question = Header::read(&asked).expect("attributes");
        let speaker = self.speaker();
        let letter = cms::decrypt(
            &asked.content,
            &speaker.certificate,
            &speaker.key,
            Strength::Current,
        )
        .expect("encrypted to the server");
        let mut answer = Header::question(Kind::CertRep, &question.transaction).expect("random");
        answer.recipient_nonce = Some(question.sender_nonce.clone());
        self.seen
            .push((question.kind.clone(), question.transaction.clone()));
        let content = match (self.failure, self.waits) {
            (Some(reason), _) => {
                answer.status = Some("2".into());
                answer.failure = Some(reason.into());
                Vec::new()
            }
            (None, 1..) => {
                self.waits -= 1;
                answer.status = Some("3".into());
                Vec::new()
            }
            (None, 0) => {
                answer.status = Some("0".into());
                self.issue(&question, &letter, &asker)
            }
        };
        self.send(answer, &content)
    }

    fn issue(&self, question: &Header, letter: &[u8], asker: &Certificate) -> Vec<u8> {
        let public_key = if question.kind == "20" {
            let named = IssuerAndSubject::from_der(letter).expect("a poll");
            assert_eq!(named.subject.to_string(), "O=Example,CN=cup.example.com");
            asker.public_key.clone()
        } else {
            let request = CertReq::from_der(letter).expect("a request");
            der::Encode::to_der(&request.info.public_key).expect("a key")
        };
        let public_key = match self.lie {
            Lie::OtherKey => ec().public_key().to_vec(),
            _ => public_key,
        };
        let own = self
            .authority
            .issue("cup.example.com", &public_key, &Form::default());
        let bundle = cms::bundle_of(&[own]).expect("made");
        let recipient = match self.lie {
            Lie::OtherRecipient => &self.authority.certificate,
            _ => asker,
        };
        cms::encrypt(&bundle, recipient, Cipher::Aes128).expect("encrypted")
    }

    fn send(&self, mut answer: Header, content: &[u8]) -> Vec<u8> {
        match self.lie {
            Lie::Nonce => answer.recipient_nonce = Some(vec![7; 16]),
            Lie::NoNonce => answer.recipient_nonce = None,
            Lie::Transaction => answer.transaction = "0".repeat(64),
            Lie::Kind => answer.kind = "19".into(),
            Lie::NoStatus => answer.status = None,
            _ => {}
        }
        let stranger = Authority::new("ca", Wanted::Ecdsa(256));
        let speaker = match self.lie {
            Lie::Stranger => &stranger,
            _ => self.speaker(),
        };
        let mut bytes = answer
            .sign(content, &speaker.certificate, &speaker.key)
            .expect("signed");
        if self.lie == Lie::Content {
            let at = bytes
                .windows(content.len())
                .position(|part| part == content);
            bytes[at.expect("it is there") + content.len() / 2] ^= 1;
        }
        bytes
    }

    fn carry(&mut self, scep: &mut Scep<'_>, first: Result<Next, Error>) -> Result<Next, Error> {
        let mut next = first?;
        while let Next::Ask(ask) = &next {
            next = scep.answer(&self.answer(ask), NOW)?;
        }
        Ok(next)
    }
}

/// What a request needs.
struct Scene {
    server: Server,
    settings: Settings,
    key: Key,
    known: Vec<Certificate>,
}

impl Scene {
    fn new() -> Self {
        Self::of(Server::new())
    }

    fn of(server: Server) -> Self {
        Self {
            known: vec![server.authority.certificate.clone()],
            server,
            settings: settings(),
            key: rsa(),
        }
    }

    fn enrol(&mut self) -> Result<Next, Error> {
        let Self {
            server,
            settings,
            key,
            known,
        } = self;
        let mut scep = Scep::enroll(&order(settings, key, known, &[]), None, NOW)?;
        let first = scep.start(NOW);
        server.carry(&mut scep, first)
    }

    fn refusal(&mut self) -> String {
        self.enrol().expect_err("refused").to_string()
    }
}

fn order<'a>(
    settings: &'a Settings,
    key: &'a Key,
    authorities: &'a [Certificate],
    memo: &'a [u8],
) -> Order<'a> {
    Order {
        url: "http://ca/scep",
        settings,
        key,
        authorities,
        memo,
    }
}

#[test]
fn authorities_are_told_alone_or_with_who_registers() {
    let mut server = Server::new();
    for with in [false, true] {
        if with {
            server.registrar = Some(registrar(&server));
        }
        let mut scep = Scep::authorities("http://ca/scep");
        let first = scep.start(NOW);
        match server.carry(&mut scep, first) {
            Ok(Next::Authorities(all)) => assert_eq!(all.len(), 1 + usize::from(with)),
            other => panic!("{other:?}"),
        }
    }
}

fn registrar(server: &Server) -> Authority {
    let key = rsa();
    let form = Form {
        purposes: Vec::new(),
        usages: vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ],
        ..Form::default()
    };
    let certificate = server.authority.issue("ra", key.public_key(), &form);
    Authority { key, certificate }
}

#[test]
fn who_registers_for_the_authority_reads_and_answers() {
    let mut server = Server::new();
    server.registrar = Some(registrar(&server));
    let mut scene = Scene::of(server);
    let Ok(Next::Issued(chain)) = scene.enrol() else {
        panic!("no certificate");
    };
    assert_eq!(chain.len(), 1);
    assert_eq!(chain[0].public_key, scene.key.public_key());
}

#[test]
fn somebody_who_slips_in_as_registrar_is_not_spoken_to() {
    let other = Authority::new("ca", Wanted::Rsa(2048));
    let by_other = |server: &Server| {
        let form = Form {
            purposes: Vec::new(),
            ..Form::default()
        };
        let key = rsa();
        let certificate = other.issue("ra", key.public_key(), &form);
        assert!(!certificate.is_signed_by(&server.authority.certificate));
        certificate
    };
    let of_a_neighbour = |server: &Server| {
        let key = rsa();
        server
            .authority
            .issue("neighbour", key.public_key(), &Form::default())
    };
    let strangers: [&dyn Fn(&Server) -> Certificate; 2] = [&by_other, &of_a_neighbour];
    for stranger in strangers {
        let mut server = Server::new();
        let slipped = stranger(&server);
        server.slipped = Some(slipped);
        // The authority itself reads the request, or the server of this test would panic.
        assert!(matches!(Scene::of(server).enrol(), Ok(Next::Issued(_))));
    }
}

#[test]
fn a_request_that_waits_goes_on_after_a_restart() {
    let mut scene = Scene::new();
    scene.server.waits = 3;
    let Scene {
        server,
        settings,
        key,
        known,
    } = &mut scene;
    let mut scep = Scep::enroll(&order(settings, key, known, &[]), None, NOW).expect("an order");
    let first = scep.start(NOW);
    assert_eq!(server.carry(&mut scep, first), Ok(Next::Wait(None)));
    let again = scep.resume(NOW);
    assert_eq!(server.carry(&mut scep, again), Ok(Next::Wait(None)));
    let memo = scep.memo();
    drop(scep);
    let later = NOW.plus_days(1);
    let mut scep =
        Scep::enroll(&order(settings, key, known, &memo), None, later).expect("an order");
    let again = scep.resume(later);
    assert_eq!(server.carry(&mut scep, again), Ok(Next::Wait(None)));
    let again = scep.resume(later);
    let next = server.carry(&mut scep, again);
    assert!(matches!(next, Ok(Next::Issued(_))), "{next:?}");
    let kinds: Vec<&str> = server.seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["19", "20", "20", "20"]);
    let hash = digest::digest(&digest::SHA256, key.public_key());
    let transaction = hexadecimal(hash.as_ref());
    assert!(server.seen.iter().all(|(_, named)| *named == transaction));
    // With another key it is another request.
    let other = rsa();
    assert!(Scep::enroll(&order(settings, &other, known, &memo), None, NOW).is_err());
}

#[test]
fn a_renewal_is_signed_with_the_current_certificate_and_may_change_keys() {
    let mut scene = Scene::new();
    let form = Form::default();
    let issue = |key: &Key| scene.server.authority.issue("cup", key.public_key(), &form);
    let current = issue(&scene.key);
    let next_key = ec();
    let Scene {
        server,
        settings,
        key,
        known,
    } = &mut scene;
    let identity = Identity {
        certificate: &current,
        between: &[],
        key,
    };
    let mut scep =
        Scep::renew(&order(settings, &next_key, known, &[]), &identity, None).expect("an order");
    let first = scep.start(NOW);
    match server.carry(&mut scep, first) {
        Ok(Next::Issued(chain)) => assert_eq!(chain[0].public_key, next_key.public_key()),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.seen[0].0, "17");
    server.capabilities = "AES\nSHA-256\nPOSTPKIOperation\n";
    let first = scep.start(NOW);
    let said = server
        .carry(&mut scep, first)
        .expect_err("refused")
        .to_string();
    assert!(said.contains("the server renews nothing"), "{said}");
}

#[test]
fn every_lie_of_a_server_is_found_out() {
    for (lie, words) in [
        (Lie::Nonce, "to another question (recipientNonce)"),
        (Lie::NoNonce, "to another question (recipientNonce)"),
        (Lie::Transaction, "another transaction (transactionID)"),
        (Lie::Kind, "not CertRep"),
        (Lie::NoStatus, "has no pkiStatus"),
        (Lie::Stranger, "nobody whom we trust signed the message"),
        (Lie::OtherRecipient, "encrypted to somebody else"),
        (Lie::OtherKey, "for another key than ours"),
        (Lie::Content, "the content was changed after it was signed"),
    ] {
        let mut scene = Scene::new();
        scene.server.lie = lie;
        let said = scene.refusal();
        assert!(
            said.starts_with("SCEP: ") && said.contains(words),
            "{lie:?}: {said}"
        );
    }
    assert!(Scene::new().enrol().is_ok());
}

#[test]
fn an_answer_cut_anywhere_is_an_error() {
    let mut scene = Scene::new();
    let Scene {
        server,
        settings,
        key,
        known,
    } = &mut scene;
    let mut scep = Scep::enroll(&order(settings, key, known, &[]), None, NOW).expect("an order");
    let mut next = scep.start(NOW).expect("a question");
    for _ in 0..2 {
        let Next::Ask(ask) = &next else {
            panic!("{next:?}")
        };
        next = scep.answer(&server.answer(ask), NOW).expect("a question");
    }
    let Next::Ask(ask) = &next else {
        panic!("{next:?}")
    };
    let answer = server.answer(ask);
    let Step::Decision(question) = std::mem::replace(&mut scep.step, Step::Begin) else {
        panic!("it waits for the decision");
    };
    for end in 0..answer.body.len() {
        let cut = Answer {
            body: answer.body[..end].to_vec(),
            ..answer.clone()
        };
        scep.step = Step::Decision(question.clone());
        assert!(scep.answer(&cut, NOW).is_err(), "{end} bytes");
    }
    scep.step = Step::Decision(question);
    assert!(matches!(scep.answer(&answer, NOW), Ok(Next::Issued(_))));
    assert!(scep.answer(&answer, NOW).is_err(), "it came twice");
}

#[test]
fn refusals_of_the_authority_are_told_in_words() {
    for (code, words) in [
        ("0", "badAlg"),
        ("1", "badMessageCheck"),
        ("2", "is the challenge password right"),
        ("3", "is the clock right?"),
        ("4", "badCertId"),
        ("9", "it gave no reason"),
    ] {
        let mut scene = Scene::new();
        scene.server.failure = Some(code);
        let said = scene.refusal();
        assert!(said.starts_with("SCEP: the authority refused: "), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn servers_that_can_only_old_algorithms_are_refused_before_anything_is_sent() {
    for (capabilities, words) in [
        ("", "can AES, and DES is refused"),
        (
            "DES3\nSHA-256\nPOSTPKIOperation",
            "can AES, and DES is refused",
        ),
        (
            "AES\nSHA-1\nPOSTPKIOperation",
            "can SHA-256, and MD5 and SHA-1 are refused",
        ),
        ("AES\nSHA-256", "requests by POST"),
    ] {
        let mut scene = Scene::new();
        scene.server.capabilities = capabilities;
        let said = scene.refusal();
        assert!(said.contains(words), "{said}");
        assert!(scene.server.seen.is_empty());
    }
    for capabilities in ["SCEPStandard", "aes\nSHA-512\nPostPkiOperation"] {
        let mut scene = Scene::new();
        scene.server.capabilities = capabilities;
        assert!(scene.enrol().is_ok(), "{capabilities}");
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_it_is_asked() {
    let mut scene = Scene::new();
    scene.key = ec();
    let said = scene.refusal();
    assert!(
        said.contains("must be RSA and is ECDSA (256 bits)"),
        "{said}"
    );
    let mut scene = Scene::new();
    scene.known.clear();
    assert!(
        scene
            .refusal()
            .contains("`crypto ca authenticate` comes first")
    );
    let mut scep = Scep::authorities("http://ca/scep");
    assert!(scep.resume(NOW).is_err());
    assert!(scep.answer(&Answer::default(), NOW).is_err());
}

#[test]
fn http_errors_and_floods_of_certificates_are_errors() {
    let server = Server::new();
    let asked = |status, body: Vec<u8>| {
        let mut scep = Scep::authorities("http://ca/scep");
        scep.step = Step::Certificates(Kind::PkcsReq);
        let answer = Answer {
            status,
            body,
            ..Answer::default()
        };
        scep.answer(&answer, NOW).expect_err("an error").to_string()
    };
    let good = server.certificates();
    assert!(asked(404, good).contains("HTTP status 404"));
    assert!(asked(200, b"<html>".to_vec()).contains("not a certificate"));
    let many = vec![server.authority.certificate; MAX_CERTIFICATES + 1];
    let mut many: Vec<Certificate> = many;
    for (at, one) in many.iter_mut().enumerate() {
        one.serial = at.to_string();
    }
    assert!(asked(200, cms::bundle_of(&many).expect("made")).contains("too many"));
}

#[test]
fn the_challenge_password_travels_in_the_request_and_nowhere_else() {
    for word in ["Let me in 7", "pässword", "a*b"] {
        let key = rsa();
        let der = request::encoded(&settings(), &key, Some(word)).expect("a request");
        let request = CertReq::from_der(&der).expect("a request");
        let oid = der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
        let mut attributes = request.info.attributes.iter();
        let found = attributes
            .find(|attribute| attribute.oid == oid)
            .expect("there");
        assert_eq!(found.values.as_slice()[0].value(), word.as_bytes());
        let server = Server::new();
        let known = [server.authority.certificate.clone()];
        let settings = settings();
        let mut scep = Scep::enroll(
            &order(&settings, &key, &known, &[]),
            Some(Zeroizing::new(word.to_owned())),
            NOW,
        )
        .expect("an order");
        let has = |bytes: &[u8]| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        assert!(has(&der) && !has(&scep.memo()));
        let mut server = server;
        let first = scep.start(NOW).expect("a question");
        let mut next = first;
        while let Next::Ask(ask) = &next {
            assert!(ask.body.as_ref().is_none_or(|body| !has(&body.bytes)));
            next = scep.answer(&server.answer(ask), NOW).expect("an answer");
        }
    }
}
