//! A server made of our own messages, for the lies that OpenSSL's does not tell.

use der::asn1::BitString;
use proptest::prelude::*;
use rcgen::ExtendedKeyUsagePurpose;
use zeroize::Zeroizing;

use super::message::{Confirmed, Issued, Poll, Requested, Response, Responses, Status, body};
use super::*;
use crate::pki::Settings;
use crate::pki::enrol::testing::{Authority, Form, NOW, ec, settings};
use crate::pki::key::Wanted;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    Nonce,
    Transaction,
    Version,
    Request,
    Two,
    Secret,
    Encrypted,
    NoCertificate,
    NoConfirmation,
}

struct Server {
    authority: Authority,
    form: Form,
    lie: Lie,
    waits: u32,
    /// Kinds of messages seen.
    seen: Vec<u32>,
    /// What became of the certificate.
    verdicts: Vec<Option<Status>>,
    /// The key that waits for its certificate.
    asked: Vec<u8>,
    issued: Option<Certificate>,
}

impl Server {
    fn new() -> Self {
        Self {
            authority: Authority::new("ca", Wanted::Ecdsa(256)),
            form: Form::default(),
            lie: Lie::None,
            waits: 0,
            seen: Vec::new(),
            verdicts: Vec::new(),
            asked: Vec::new(),
            issued: None,
        }
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        let bytes = &ask.body.as_ref().expect("a message").bytes;
        let (message, header) = Message::read(bytes).expect("a message");
        protection::check(&message, &header, &secret("insta"), &[], NOW).expect("protected");
        let kind = message.kind().expect("a body");
        self.seen.push(kind);
        let reply = match kind {
            kind::IR | kind::KUR => {
                let asked: Vec<Requested> = message.content().expect("a request");
                let template = &asked[0].request.template;
                self.asked = template
                    .public_key
                    .as_ref()
                    .expect("a key")
                    .to_der()
                    .expect("DER");
                assert_eq!(template.extensions.as_ref().map(Vec::len), Some(3));
                self.respond(kind)
            }
            kind::POLL_REQ => {
                assert_eq!(message.content::<Vec<Poll>>().expect("a poll")[0].id, 0);
                self.respond(kind::IR)
            }
            kind::CERT_CONF => {
                let told: Vec<Confirmed> = message.content().expect("a verdict");
                let issued = self.issued.as_ref().expect("issued");
                let hash = crate::pki::signature::Hash::Sha256.digest(&issued.der);
                assert_eq!(told[0].hash.as_bytes(), hash.as_ref());
                self.verdicts.push(told[0].status.clone());
                match self.lie {
                    Lie::NoConfirmation => self.respond(kind::IR),
                    _ => message::confirmation().expect("made"),
                }
            }
            other => panic!("{other}"),
        };
        self.send(&header, reply)
    }

    fn respond(&mut self, asked: u32) -> Any {
        let status = |status| Status {
            status,
            text: None,
            failure: None,
        };
        let mut response = Response {
            id: i64::from(self.lie == Lie::Request),
            status: status(0),
            issued: None,
            info: None,
        };
        if self.waits > 0 {
            self.waits -= 1;
            response.status = status(3);
        } else if self.lie != Lie::NoCertificate {
            let own = self.authority.issue("cup", &self.asked, &self.form);
            let number = u32::from(self.lie == Lie::Encrypted);
            response.issued = Some(Issued {
                certificate: body(number, &Any::from_der(&own.der).expect("DER")).expect("made"),
                private_key: None,
                publication: None,
            });
            self.issued = Some(own);
        }
        let mut responses = vec![response];
        if self.lie == Lie::Two {
            responses.push(responses[0].clone());
        }
        let answer = Responses {
            authorities: None,
            responses,
        };
        body(asked + 1, &answer).expect("made")
    }

    fn send(&self, asked: &Header, reply: Any) -> Answer {
        let proof = secret(if self.lie == Lie::Secret {
            "other"
        } else {
            "insta"
        });
        let chosen = protection::choose(&proof).expect("chosen");
        let mut header = asked.clone();
        header.protection = Some(chosen.algorithm.clone());
        header.recipient_nonce = asked.sender_nonce.clone();
        header.sender_nonce = Some(OctetString::new([9; 16]).expect("short"));
        let zeros = || Some(OctetString::new([0; 16]).expect("short"));
        match self.lie {
            Lie::Nonce => header.recipient_nonce = zeros(),
            Lie::Transaction => header.transaction = zeros(),
            Lie::Version => header.version = 1,
            _ => {}
        }
        let header = Any::encode_from(&header).expect("made");
        let message = protection::protect(&proof, &chosen.algorithm, header, reply);
        Answer {
            status: 200,
            body: message
                .and_then(|message| message.to_der().map_err(unmade))
                .expect("made"),
            ..Answer::default()
        }
    }

    fn carry(&mut self, cmp: &mut Cmp<'_>, first: Result<Next, Error>) -> Result<Next, Error> {
        let mut next = first?;
        while let Next::Ask(ask) = &next {
            next = cmp.answer(&self.answer(ask), NOW)?;
        }
        Ok(next)
    }
}

fn secret(word: &str) -> Proof<'static> {
    Proof::Secret {
        reference: "17".into(),
        secret: Zeroizing::new(word.into()),
    }
}

struct Scene {
    server: Server,
    settings: Settings,
    key: Key,
    known: Vec<Certificate>,
}

impl Scene {
    fn new(lie: Lie) -> Self {
        let server = Server {
            lie,
            ..Server::new()
        };
        Self {
            known: vec![server.authority.certificate.clone()],
            server,
            settings: settings(),
            key: ec(),
        }
    }

    fn order<'a>(&'a self, memo: &'a [u8]) -> Order<'a> {
        Order {
            url: "http://ca/pkix/",
            settings: &self.settings,
            key: &self.key,
            authorities: &self.known,
            memo,
        }
    }

    fn enrol(&mut self) -> Result<Next, Error> {
        let order = Order {
            url: "http://ca/pkix/",
            settings: &self.settings,
            key: &self.key,
            authorities: &self.known,
            memo: &[],
        };
        let mut cmp = Cmp::initial(&order, secret("insta"))?;
        let first = cmp.start(NOW);
        self.server.carry(&mut cmp, first)
    }
}

#[test]
fn a_certificate_is_issued_and_confirmed() {
    let mut scene = Scene::new(Lie::None);
    let Ok(Next::Issued(chain)) = scene.enrol() else {
        panic!("no certificate");
    };
    assert_eq!(chain[0].public_key, scene.key.public_key());
    assert_eq!(chain.len(), 1, "the authority is known");
    assert_eq!(scene.server.seen, [kind::IR, kind::CERT_CONF]);
    assert_eq!(scene.server.verdicts, [None]);
}

#[test]
fn the_authority_learns_that_its_certificate_is_refused() {
    let mut scene = Scene::new(Lie::None);
    scene.server.form.purposes = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let said = scene.enrol().expect_err("refused").to_string();
    assert!(said.contains("lacks serverAuth"), "{said}");
    let [Some(told)] = scene.server.verdicts.as_slice() else {
        panic!("it was told nothing");
    };
    assert_eq!(told.status, 2);
    assert!(
        told.words().contains("lacks serverAuth"),
        "{}",
        told.words()
    );
}

#[test]
fn every_lie_of_a_server_is_found_out() {
    for (lie, words) in [
        (Lie::Nonce, "to another message (recipNonce)"),
        (Lie::Transaction, "another transaction (transactionID)"),
        (Lie::Version, "another version of CMP"),
        (Lie::Request, "to another request (certReqId)"),
        (Lie::Two, "must answer one request"),
        (Lie::Secret, "not protected with our shared secret"),
        (Lie::Encrypted, "does not come in the open"),
        (Lie::NoCertificate, "has no certificate"),
        (Lie::NoConfirmation, "answered something that was not asked"),
    ] {
        let mut scene = Scene::new(lie);
        let said = scene.enrol().expect_err("refused").to_string();
        assert!(
            said.starts_with("CMP: ") && said.contains(words),
            "{lie:?}: {said}"
        );
    }
}

#[test]
fn a_request_that_waits_goes_on_after_a_restart() {
    let mut scene = Scene::new(Lie::None);
    scene.server.waits = 2;
    let mut server = std::mem::replace(&mut scene.server, Server::new());
    let mut cmp = Cmp::initial(&scene.order(&[]), secret("insta")).expect("an order");
    let first = cmp.start(NOW);
    assert_eq!(server.carry(&mut cmp, first), Ok(Next::Wait(None)));
    let memo = cmp.memo();
    let transaction = cmp.transaction.clone();
    drop(cmp);
    let mut cmp = Cmp::initial(&scene.order(&memo), secret("insta")).expect("an order");
    assert_eq!(
        (&cmp.transaction, &cmp.their_nonce),
        (&transaction, &vec![9; 16])
    );
    let again = cmp.resume(NOW);
    assert_eq!(server.carry(&mut cmp, again), Ok(Next::Wait(None)));
    let again = cmp.resume(NOW);
    assert!(matches!(server.carry(&mut cmp, again), Ok(Next::Issued(_))));
    for end in 1..memo.len() {
        assert!(Cmp::initial(&scene.order(&memo[..end]), secret("insta")).is_err());
    }
}

/// A question, and the server's answer to it.
fn exchange(scene: &mut Scene) -> (Vec<u8>, Vec<u8>, Answer) {
    let mut server = std::mem::replace(&mut scene.server, Server::new());
    let mut cmp = Cmp::initial(&scene.order(&[]), secret("insta")).expect("an order");
    let Ok(Next::Ask(ask)) = cmp.start(NOW) else {
        panic!("no question");
    };
    let answer = server.answer(&ask);
    let of = (cmp.transaction.clone(), cmp.nonce.clone());
    scene.known = vec![server.authority.certificate.clone()];
    (of.0, of.1, answer)
}

#[test]
fn an_answer_that_was_cut_or_changed_anywhere_is_an_error() {
    let mut scene = Scene::new(Lie::None);
    let (transaction, nonce, answer) = exchange(&mut scene);
    let taken = |body: Vec<u8>| {
        let mut cmp = Cmp::initial(&scene.order(&[]), secret("insta")).expect("an order");
        cmp.transaction.clone_from(&transaction);
        cmp.nonce.clone_from(&nonce);
        cmp.step = Step::Response;
        let answer = Answer {
            body,
            ..answer.clone()
        };
        cmp.answer(&answer, NOW)
    };
    assert!(matches!(taken(answer.body.clone()), Ok(Next::Ask(_))));
    for at in 0..answer.body.len() {
        assert!(taken(answer.body[..at].to_vec()).is_err(), "{at} bytes");
    }
    for at in (0..answer.body.len()).step_by(5) {
        let mut changed = answer.body.clone();
        changed[at] ^= 1;
        assert!(taken(changed).is_err(), "byte {at}");
    }
}

#[test]
fn a_server_cannot_keep_us_busy_with_rounds() {
    let mut scene = Scene::new(Lie::None);
    let (_, _, answer) = exchange(&mut scene);
    let (message, mut header) = Message::read(&answer.body).expect("a message");
    let algorithm = header.protection.as_mut().expect("protected");
    let parameters = algorithm.parameters.take().expect("of a password");
    let mut rounds: message::PasswordBased = parameters.decode_as().expect("parameters");
    for (iterations, words) in [
        (100_001, "at most 100000 are made"),
        (i64::MAX, "at most 100000 are made"),
        (0, "at most 100000 are made"),
        (-1, "at most 100000 are made"),
    ] {
        rounds.iterations = iterations;
        let algorithm = header.protection.as_mut().expect("protected");
        algorithm.parameters = Some(Any::encode_from(&rounds).expect("made"));
        let checked = protection::check(&message, &header, &secret("insta"), &scene.known, NOW);
        let said = checked.expect_err("refused").to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_password_proves_nothing_to_who_has_none() {
    let mut scene = Scene::new(Lie::None);
    let (_, _, answer) = exchange(&mut scene);
    let (message, header) = Message::read(&answer.body).expect("a message");
    let own = ec();
    let certificate = scene.known[0].clone();
    let proof = Proof::Signature(Identity {
        certificate: &certificate,
        between: &[],
        key: &own,
    });
    let checked = protection::check(&message, &header, &proof, &scene.known, NOW);
    let said = checked.expect_err("refused").to_string();
    assert!(said.contains("it must be signed"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_said_before_it_is_asked() {
    let mut scene = Scene::new(Lie::None);
    let certificate = scene.known[0].clone();
    let own = ec();
    let identity = Identity {
        certificate: &certificate,
        between: &[],
        key: &own,
    };
    let refused = |order: &Order<'_>, proof| match Cmp::initial(order, proof) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("taken"),
    };
    let proof = || Proof::Signature(identity);
    assert!(refused(&scene.order(&[]), proof()).contains("is for another key"));
    assert!(refused(&scene.order(&[]), secret("")).contains("is empty"));
    scene.known.clear();
    let said = refused(&scene.order(&[]), proof());
    assert!(said.contains("no authority is confirmed yet"), "{said}");
    let mut cmp = Cmp::initial(&scene.order(&[]), secret("insta")).expect("an order");
    assert!(cmp.answer(&Answer::default(), NOW).is_err());
}

#[test]
fn failures_have_names_by_their_bits() {
    let status = |bits: &[u8]| Status {
        status: 2,
        text: None,
        failure: Some(BitString::from_bytes(bits).expect("short")),
    };
    assert!(status(&[0x40]).words().contains("badMessageCheck"));
    assert!(
        status(&[0, 0, 0, 0x20])
            .words()
            .contains("duplicateCertReq")
    );
    assert_eq!(status(&[]).words(), "it gave no reason");
    let many = status(&[0xff; 40]).words();
    assert!(many.contains("badAlg") && many.contains("systemFailure"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((message, _)) = Message::read(&bytes) {
            let _ = message.content::<Responses>();
        }
        let _ = Responses::from_der(&bytes);
        let _ = Failed::from_der(&bytes);
        let _ = Vec::<Later>::from_der(&bytes);
        let _ = Memo::from_der(&bytes);
    }
}
