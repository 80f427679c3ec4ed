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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::enrol::testing::{Authority, Form, ec};
    use crate::pki::key::Wanted;

    fn refusal(given: &[&Certificate], public_key: &[u8]) -> String {
        let given = given.iter().map(|one| (*one).clone()).collect();
        order(given, public_key).expect_err("refused").to_string()
    }

    #[test]
    fn certificates_in_any_order_become_the_chain_from_ours_to_the_authority() {
        let root = Authority::new("root", Wanted::Ecdsa(256));
        let upper = root.subordinate("upper");
        let lower = upper.subordinate("lower");
        let key = ec();
        let own = lower.issue("own", key.public_key(), &Form::default());
        let wanted = [own, lower.certificate, upper.certificate, root.certificate];
        for first in 0..4 {
            for second in (0..4).filter(|second| *second != first) {
                let mut given = vec![wanted[first].clone(), wanted[second].clone()];
                let others = (0..4).filter(|at| ![first, second].contains(at));
                given.extend(others.rev().map(|at| wanted[at].clone()));
                // Pasted twice is no harm.
                given.push(wanted[second].clone());
                assert_eq!(order(given, key.public_key()).expect("a chain"), wanted);
            }
        }
        let without_root = wanted[..3].to_vec();
        assert_eq!(
            order(without_root.clone(), key.public_key()),
            Ok(without_root)
        );
    }

    #[test]
    fn a_stranger_in_a_chain_is_named() {
        let (root, other) = (
            Authority::new("root", Wanted::Ecdsa(256)),
            Authority::new("other", Wanted::Ecdsa(256)),
        );
        let key = ec();
        let own = root.issue("own", key.public_key(), &Form::default());
        let words = refusal(
            &[&own, &other.certificate, &root.certificate],
            key.public_key(),
        );
        assert_eq!(
            words,
            "certificate chain: cn=other does not belong to the chain of cn=own: leave it out"
        );
    }

    #[test]
    fn authorities_that_sign_each_other_are_a_circle_and_not_a_chain() {
        let (left, right) = (
            Authority::new("left", Wanted::Ecdsa(256)),
            Authority::new("right", Wanted::Ecdsa(256)),
        );
        let form = Form::authority();
        let left_by_right = right.issue("left", left.key.public_key(), &form);
        let right_by_left = left.issue("right", right.key.public_key(), &form);
        let key = ec();
        let own = left.issue("own", key.public_key(), &Form::default());
        let words = refusal(&[&own, &left_by_right, &right_by_left], key.public_key());
        assert!(
            words.contains("in a circle that comes back to cn=left"),
            "{words}"
        );
        // With the authority's own word for itself there is an end, and the other's word is not needed.
        let given = vec![left_by_right, left.certificate.clone(), own.clone()];
        assert_eq!(
            order(given, key.public_key()),
            Ok(vec![own, left.certificate])
        );
    }

    #[test]
    fn certificates_of_others_are_nobodys_chain() {
        let root = Authority::new("root", Wanted::Ecdsa(256));
        let own = root.issue("own", ec().public_key(), &Form::default());
        let key = ec();
        assert!(refusal(&[&own], key.public_key()).contains("for another key than ours"));
        assert!(refusal(&[&own, &root.certificate], key.public_key()).contains("none of"));
        assert!(refusal(&[], key.public_key()).contains("there is no certificate"));
        let many = vec![&own; MAX_CERTIFICATES + 1];
        assert!(refusal(&many, key.public_key()).contains("too many"));
    }
}
