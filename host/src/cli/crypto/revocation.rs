//! `postern crypto ca crl request TRUSTPOINT` and `postern show crypto ca crls`.

use std::process::ExitCode;

use super::{Dialogue, Place, clock_now, usage};
use crate::cli::{Failure, Outcome};
use crate::enrol::http;
use crate::pki::revocation::{Learnt, Ledger, Link, Question, show};
use crate::pki::{Settings, Trustpoint};

impl Dialogue<'_> {
    /// `ca crl request TRUSTPOINT`: fetches the revocation lists that are about a trustpoint's certificates.
    pub fn revocation_lists(&self, words: &[String]) -> Outcome {
        let now = clock_now();
        let [verb, name] = words else {
            return usage("say `crl request TRUSTPOINT`");
        };
        if verb != "request" {
            return usage("say `crl request TRUSTPOINT`");
        }
        let settings = self.settings(name)?;
        let trustpoint = self.place.open()?.trustpoint(name)?;
        let ledger = Ledger::default();
        let questions = questions(&ledger, &settings, &trustpoint);
        if questions.is_empty() {
            return Err(Failure::Usage(format!(
                "nobody says where the lists of trustpoint {name} are: its certificates name no place; enter `crl configure` and `url 1 http://…`"
            )));
        }
        let answers = ask(&questions)?;
        let mut is_done = true;
        for (question, answer) in questions.iter().zip(&answers) {
            let answer = answer.as_ref().map_err(String::as_str);
            match ledger.learn(question, answer, now) {
                Ok(Learnt::List(list)) => {
                    // Opened for no longer than it is written: a firewall may run beside it.
                    self.place.open()?.save_list(question, &list.der, now)?;
                    println!("CRL of {} received from {}.", list.issuer, question.ask.url);
                }
                Ok(Learnt::Response(_)) => {}
                Err(reason) => {
                    eprintln!("postern: {}: {reason}", question.ask.url);
                    is_done = false;
                }
            }
        }
        Ok(ExitCode::from(u8::from(!is_done)))
    }
}

/// About each certificate that the trustpoint holds and that another of its certificates signed.
fn questions(ledger: &Ledger, settings: &Settings, trustpoint: &Trustpoint) -> Vec<Question> {
    let chain = trustpoint.identity.iter().chain(&trustpoint.between);
    let all: Vec<_> = chain.chain(&trustpoint.authority).collect();
    let mut found: Vec<Question> = Vec::new();
    for (at, certificate) in all.iter().enumerate() {
        // An authority that signed itself may still say where its list is.
        let issuer = all.get(at + 1).unwrap_or(certificate);
        if !certificate.is_signed_by(issuer) {
            continue;
        }
        let link = Link {
            certificate: &certificate.der,
            issuer: &issuer.der,
        };
        for question in ledger.lists_of(link, &settings.revocation) {
            if found.iter().all(|known| known.key != question.key) {
                found.push(question);
            }
        }
    }
    found
}

fn ask(questions: &[Question]) -> Result<Vec<Result<crate::pki::enrol::Answer, String>>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(async {
        let mut answers = Vec::new();
        for question in questions {
            let answer = http::fetch_signed(&question.ask).await;
            answers.push(answer.map_err(|error| error.to_string()));
        }
        answers
    }))
}

/// The lists that are kept.
pub fn lists(place: &Place, name: Option<&str>) -> Result<String, Failure> {
    let store = place.open()?;
    Ok(show::lists(&store.ledger()?, &store.trustpoints()?, name))
}
