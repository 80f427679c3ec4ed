//! Chains of certificates: several in any order, brought into the order from an identity to its authority.
//!
//! Comes in: certificates as a person pastes them or a server sends them. Goes out: the chain, or what is wrong with
//! it: a loop, a stranger, nobody's certificate. Whether the last one is trusted is not decided here.

use super::{Certificate, Error};

/// The longest chain: more is not a chain but a collection.
pub const MAX_CERTIFICATES: usize = 16;

/// Orders certificates: first the one of `public_key` (encoded as certificates hold it), each next one signed the one
/// before. All of them must belong to the chain.
pub fn order(given: Vec<Certificate>, public_key: &[u8]) -> Result<Vec<Certificate>, Error> {
    let (mut chain, mut rest) = begin(given, public_key)?;
    extend(&mut chain, &mut rest)?;
    match rest.first() {
        None => Ok(chain),
        Some(stranger) => Err(Error::Chain(format!(
            "{} does not belong to the chain of {}: leave it out",
            stranger.subject, chain[0].subject
        ))),
    }
}

/// Finds the certificate of a key, and returns it apart from the others.
pub(super) fn begin(
    given: Vec<Certificate>,
    public_key: &[u8],
) -> Result<(Vec<Certificate>, Vec<Certificate>), Error> {
    if given.len() > MAX_CERTIFICATES {
        return Err(Error::Chain(format!(
            "{} certificates are too many: a chain has at most {MAX_CERTIFICATES}",
            given.len()
        )));
    }
    let mut rest: Vec<Certificate> = Vec::new();
    for certificate in given {
        if !rest.contains(&certificate) {
            rest.push(certificate);
        }
    }
    let own = (0..rest.len())
        .filter(|at| rest[*at].public_key == public_key)
        .max_by_key(|at| rest[*at].not_before)
        .ok_or_else(|| Error::Chain(no_own(&rest)))?;
    let chain = vec![rest.swap_remove(own)];
    Ok((chain, rest))
}

/// Continues a chain with those of `rest` that signed what comes before, and takes them out of `rest`.
pub(super) fn extend(
    chain: &mut Vec<Certificate>,
    rest: &mut Vec<Certificate>,
) -> Result<(), Error> {
    while let Some(last) = chain.last().filter(|last| !last.is_self_signed) {
        let is_loop = chain.iter().any(|earlier| last.is_signed_by(earlier));
        if is_loop {
            return Err(Error::Chain(format!(
                "the certificates sign each other in a circle that comes back to {}",
                last.issuer
            )));
        }
        let (mut signers, others): (Vec<_>, Vec<_>) =
            rest.drain(..).partition(|other| last.is_signed_by(other));
        *rest = others;
        // An authority that others vouch for too is an end all the same: what they say of it is not needed.
        let end = signers.iter().position(|signer| signer.is_self_signed);
        if signers.is_empty() {
            break;
        }
        chain.push(signers.swap_remove(end.unwrap_or(0)));
        if end.is_none() {
            rest.append(&mut signers);
        }
    }
    Ok(())
}

fn no_own(given: &[Certificate]) -> String {
    match given {
        [] => "there is no certificate".into(),
        [only] => format!(
            "the certificate of {} is for another key than ours: it answers another request",
            only.subject
        ),
        _ => "none of the certificates is for our key: they answer another request".into(),
    }
}
