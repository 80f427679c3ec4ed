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
