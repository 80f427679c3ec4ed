//! Whether what an authority issued can be used here: the same judge for every protocol.
//!
//! RFC 5280 §6 in the part that concerns us: our key, signatures up to an authority that was confirmed, dates, and
//! both purposes of §4.2.1.12, since either side of a federation may dial.

use crate::pki::certificate::Purposes;
use crate::pki::{Certificate, Date, Error, Key, chain};

/// How far an authority's clock may be ahead of ours.
const SKEW_SECONDS: i64 = 300;

/// Judges an answer, in any order, and returns it in order: the certificate of `key`, those between, the authority.
pub fn accept(
    protocol: &'static str,
    issued: &[Certificate],
    key: &Key,
    authorities: &[Certificate],
    now: Date,
) -> Result<Vec<Certificate>, Error> {
    let refuse = |reason| Error::Enrol { protocol, reason };
    let as_chain = |error: Error| refuse(error.to_string());
    let mut whole = chain::order(issued.to_vec(), key.public_key()).map_err(as_chain)?;
    let is_confirmed = |last: Option<&Certificate>| {
        last.is_some_and(|last| authorities.iter().any(|known| known == last))
    };
    if !is_confirmed(whole.last()) {
        let mut known = authorities.to_vec();
        chain::extend(&mut whole, &mut known).map_err(as_chain)?;
    }
    if whole.len() < 2 || !whole.iter().skip(1).any(|one| is_confirmed(Some(one))) {
        let last = whole.last().map_or("nobody", |last| &last.issuer);
        return Err(refuse(format!(
            "the certificate comes from {last}, which is not the authority of this trustpoint: \
             `crypto ca authenticate` confirms another one"
        )));
    }
    if let Some(reason) = unusable(&whole, now) {
        return Err(refuse(reason));
    }
    Ok(whole)
}

/// What would keep connections from working, in words that say what to do.
fn unusable(whole: &[Certificate], now: Date) -> Option<String> {
    let (own, signers) = whole.split_first()?;
    if let Some(signer) = signers.iter().find(|signer| !signer.is_ca) {
        return Some(format!(
            "{} signed the certificate, but it is no authority",
            signer.subject
        ));
    }
    if Date(now.0.saturating_add(SKEW_SECONDS)) < own.not_before {
        return Some(format!(
            "the certificate is not valid before {}, but it is {now} here: is the clock right?",
            own.not_before
        ));
    }
    if let Some(expired) = whole.iter().find(|one| one.not_after < now) {
        return Some(format!(
            "the certificate of {} expired at {}, and it is {now} here: is the clock right?",
            expired.subject, expired.not_after
        ));
    }
    if own.signature.contains("SHA1") || own.signature.contains("MD5") {
        return Some(format!(
            "the certificate is signed with {}, which peers refuse: the authority must sign with SHA-256 or better",
            own.signature
        ));
    }
    purposes_lacking(own.purposes)
}

/// RFC 5280 §4.2.1.12: without the extension every purpose is permitted.
fn purposes_lacking(purposes: Option<Purposes>) -> Option<String> {
    let (has, lacks, fails) = match purposes {
        None
        | Some(Purposes {
            server: true,
            client: true,
        }) => return None,
        Some(Purposes {
            server: true,
            client: false,
        }) => ("serverAuth alone", "clientAuth", "that the firewall begins"),
        Some(Purposes {
            server: false,
            client: true,
        }) => (
            "clientAuth alone",
            "serverAuth",
            "that the firewall accepts",
        ),
        Some(_) => (
            "neither serverAuth nor clientAuth",
            "serverAuth and clientAuth",
            "of every kind",
        ),
    };
    Some(format!(
        "the certificate is refused: its extended key usage has {has} and lacks {lacks}, so that connections {fails} \
         would fail. Both were requested: have the authority issue from a profile with serverAuth and clientAuth, \
         or enrol with an authority that does"
    ))
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose as Usage;

    use super::*;
    use crate::pki::enrol::testing::{Authority, Form, NOW, ec};
    use crate::pki::key::Wanted;

    fn root() -> Authority {
        Authority::new("root", Wanted::Ecdsa(256))
    }

    /// What is said of a certificate of this form.
    fn verdict(form: &Form) -> Result<Vec<Certificate>, String> {
        let (root, key) = (root(), ec());
        let own = root.issue("own", key.public_key(), form);
        accept("SCEP", &[own], &key, &[root.certificate], NOW).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(form: &Form, words: &str) {
        let said = verdict(form).expect_err("refused");
        assert!(said.starts_with("SCEP: ") && said.contains(words), "{said}");
    }

    #[test]
    fn a_certificate_for_both_sides_is_accepted_up_to_its_authority() {
        let (root, key) = (root(), ec());
        let middle = root.subordinate("middle");
        let own = middle.issue("own", key.public_key(), &Form::default());
        let whole = [own, middle.certificate, root.certificate];
        let judge = |issued: &[Certificate], confirmed: &Certificate| {
            accept("EST", issued, &key, std::slice::from_ref(confirmed), NOW)
        };
        let reversed = [whole[1].clone(), whole[0].clone()];
        assert_eq!(judge(&reversed, &whole[2]).as_deref(), Ok(&whole[..]));
        assert_eq!(judge(&whole, &whole[2]).as_deref(), Ok(&whole[..]));
        // The operator confirmed the one between.
        assert_eq!(judge(&whole[..1], &whole[1]).as_deref(), Ok(&whole[..2]));
        let unrestricted = Form {
            purposes: Vec::new(),
            ..Form::default()
        };
        assert!(verdict(&unrestricted).is_ok());
    }

    #[test]
    fn a_certificate_that_lacks_a_purpose_is_refused_with_what_to_do() {
        for (purposes, words) in [
            (
                vec![Usage::ClientAuth],
                "has clientAuth alone and lacks serverAuth",
            ),
            (
                vec![Usage::ServerAuth],
                "has serverAuth alone and lacks clientAuth",
            ),
            (
                vec![Usage::CodeSigning],
                "has neither serverAuth nor clientAuth",
            ),
        ] {
            let form = Form {
                purposes,
                ..Form::default()
            };
            refused(&form, words);
            refused(
                &form,
                "have the authority issue from a profile with serverAuth and clientAuth",
            );
        }
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused_with_the_clock_in_mind() {
        let form = |from, to| Form {
            from,
            to,
            ..Form::default()
        };
        let (early, late) = (NOW.plus_days(-9), NOW.plus_days(9));
        refused(&form(early, Date(NOW.0 - 1)), "expired at 09:59:59 UTC");
        refused(
            &form(Date(NOW.0 + SKEW_SECONDS + 1), late),
            "is the clock right?",
        );
        assert!(verdict(&form(Date(NOW.0 + SKEW_SECONDS), NOW.plus_days(9))).is_ok());
    }

    #[test]
    fn a_certificate_of_another_authority_or_key_is_refused() {
        let (first, second, key) = (root(), root(), ec());
        let own = second.issue("own", key.public_key(), &Form::default());
        let judge = |issued: &[Certificate], key: &Key, confirmed: &[Certificate]| {
            let said = accept("EST", issued, key, confirmed, NOW).expect_err("refused");
            said.to_string()
        };
        // Of the same name, but not the same key.
        let words = judge(
            std::slice::from_ref(&own),
            &key,
            std::slice::from_ref(&first.certificate),
        );
        assert!(
            words.contains("not the authority of this trustpoint"),
            "{words}"
        );
        let words = judge(
            &[own.clone(), second.certificate.clone()],
            &key,
            &[first.certificate],
        );
        assert!(
            words.contains("not the authority of this trustpoint"),
            "{words}"
        );
        let words = judge(
            std::slice::from_ref(&own),
            &ec(),
            std::slice::from_ref(&second.certificate),
        );
        assert!(words.contains("for another key than ours"), "{words}");
        assert!(judge(&[own], &key, &[]).contains("not the authority"));
        // Its own word is no authority's.
        let alone = Authority::new("alone", Wanted::Ecdsa(256));
        let itself = [alone.certificate.clone()];
        let words = judge(&itself, &alone.key, &[second.certificate]);
        assert!(words.contains("not the authority"), "{words}");
    }

    #[test]
    fn who_is_no_authority_signs_nothing_for_us() {
        let (root, key, end_key) = (root(), ec(), ec());
        let end = root.issue("end", end_key.public_key(), &Form::default());
        let end = Authority {
            key: end_key,
            certificate: end,
        };
        let own = end.issue("own", key.public_key(), &Form::default());
        let issued = [own, end.certificate];
        let said = accept("EST", &issued, &key, &[root.certificate], NOW).expect_err("refused");
        assert!(said.to_string().contains("it is no authority"), "{said}");
    }
}
