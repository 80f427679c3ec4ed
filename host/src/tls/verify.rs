//! Whether a peer's certificate is trusted.
//!
//! Comes in: a certificate with those it was sent with, what it is used for, the time. Goes out: the trustpoint that
//! vouches for it, or why none does. Every trustpoint that holds an authority is asked, whatever the `tls-proxy` names;
//! a trustpoint that holds one peer's own certificate vouches for exactly that one. RFC 5280 §6.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::identity;
use crate::pki::certificate::{KeyKind, Purposes};
use crate::pki::revocation::{Ledger, Standing};
use crate::pki::settings::Revocation;
use crate::pki::settings::revocation::Method;
use crate::pki::{Certificate, Date, Trustpoint};

/// What is wrong with a peer, in words.
mod distrust;

pub use distrust::{Distrust, Reason};

/// All that is trusted.
#[derive(Debug)]
pub struct Trust {
    authorities: Vec<Authority>,
    anchors: Vec<TrustAnchor<'static>>,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
    /// What is known of revocations.
    ledger: Arc<Ledger>,
    /// The last that was judged during a handshake.
    judged: Mutex<Option<Judged>>,
}

/// A judgement, and all that it depends on.
#[derive(Debug)]
struct Judged {
    chain: Vec<CertificateDer<'static>>,
    usage: Usage,
    now: Date,
    peer: Peer,
}

#[derive(Debug)]
struct Authority {
    trustpoint: String,
    certificate: Certificate,
    revocation: Revocation,
}

/// What a peer's certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The peer dialled us.
    Client,
    /// We dialled the peer.
    Server,
}

/// A peer that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its certificate.
    pub certificate: Certificate,
    /// The trustpoint that vouches for it.
    pub trustpoint: String,
    /// That trustpoint holds this very certificate.
    pub is_pinned: bool,
    /// From its certificate to the authority's, where revocation is checked.
    pub path: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// From all trustpoints. One whose certificate cannot serve as an anchor vouches for nobody.
    pub fn new<'a>(trustpoints: impl Iterator<Item = &'a Trustpoint>) -> Self {
        let authorities: Vec<Authority> = trustpoints
            .filter_map(|own| {
                let certificate = own.authority.clone()?;
                let trustpoint = own.name.clone();
                Some(Authority {
                    trustpoint,
                    certificate,
                    revocation: Revocation::default(),
                })
            })
            .collect();
        let signing = authorities.iter().filter(|own| own.certificate.is_ca);
        let anchors = signing
            .filter_map(|own| webpki::anchor_from_trusted_cert(&own.certificate.der).ok())
            .map(|anchor| anchor.to_owned())
            .collect();
        let subject = |own: &Authority| {
            let anchor = webpki::anchor_from_trusted_cert(&own.certificate.der).ok()?;
            Some(DistinguishedName::in_sequence(&anchor.subject))
        };
        Self {
            hints: authorities.iter().filter_map(subject).collect(),
            anchors,
            authorities,
            algorithms: rustls::crypto::aws_lc_rs::default_provider()
                .signature_verification_algorithms,
            ledger: Arc::default(),
            judged: Mutex::default(),
        }
    }

    /// Peers are also checked for revocation, as each trustpoint says. `ledger` holds what is known already.
    pub fn checking(
        mut self,
        ledger: Arc<Ledger>,
        settings: impl Fn(&str) -> Option<Revocation>,
    ) -> Self {
        self.ledger = ledger;
        for authority in &mut self.authorities {
            authority.revocation = settings(&authority.trustpoint).unwrap_or_default();
        }
        self
    }

    /// What is known of revocations.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Whether a peer that is trusted has not been revoked, as far as is known.
    pub(super) fn standing(&self, peer: &Peer, now: Date) -> Standing {
        let vouches = |own: &&Authority| own.trustpoint == peer.trustpoint;
        match self.authorities.iter().find(vouches) {
            Some(authority) => self.ledger.judge(&peer.path, &authority.revocation, now),
            None => Standing::Clear(Vec::new()),
        }
    }

    /// The same as [`Trust::verify`], for a session whose handshake has just ended. Most were judged in it, a moment
    /// ago, and are not judged twice.
    pub(super) fn confirm(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: Date,
    ) -> Result<Peer, Distrust> {
        match self.last().take() {
            Some(judged) if judged.is_of(end_entity, between, usage, now) => Ok(judged.peer),
            _ => self.verify(end_entity, between, usage, now),
        }
    }

    /// During a handshake.
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: Date,
    ) -> Result<Peer, Distrust> {
        let peer = self.verify(end_entity, between, usage, now)?;
        let chain = std::iter::once(end_entity).chain(between);
        *self.last() = Some(Judged {
            chain: chain.map(|one| one.clone().into_owned()).collect(),
            usage,
            now,
            peer: peer.clone(),
        });
        Ok(peer)
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Judged>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the trustpoint that vouches for a certificate.
    pub fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: Date,
    ) -> Result<Peer, Distrust> {
        let certificate = Certificate::parse(end_entity).map_err(|error| Distrust {
            subject: "unknown".into(),
            reason: Reason::Unreadable(error.to_string()),
        })?;
        let found = check_key(&certificate).and_then(|()| match self.pin_of(&certificate) {
            // Nobody but the peer itself could revoke it.
            Some(pin) => check_pinned(&certificate, usage, now).map(|()| (pin, true, Vec::new())),
            None => self
                .verify_chain(&certificate, between, usage, now)
                .map(|(authority, path)| (authority, false, path)),
        });
        match found {
            Ok((authority, is_pinned, path)) => Ok(Peer {
                certificate,
                trustpoint: authority.trustpoint.clone(),
                is_pinned,
                path,
            }),
            Err(reason) => Err(Distrust {
                subject: certificate.subject,
                reason,
            }),
        }
    }

    /// The trustpoint that holds this very certificate.
    fn pin_of(&self, certificate: &Certificate) -> Option<&Authority> {
        self.authorities
            .iter()
            .find(|own| own.certificate.is_self_signed && own.certificate.der == certificate.der)
    }

    fn verify_chain(
        &self,
        certificate: &Certificate,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: Date,
    ) -> Result<(&Authority, Vec<CertificateDer<'static>>), Reason> {
        let parsed = EndEntityCert::try_from(&certificate.der)
            .map_err(|error| Reason::Other(error.to_string()))?;
        let purpose = match usage {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server => KeyUsage::server_auth(),
        };
        let time = UnixTime::since_unix_epoch(now.since_epoch());
        let path = parsed
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                between,
                time,
                purpose,
                None,
                None,
            )
            .map_err(|error| self.reason(&error, certificate, usage, now))?;
        let anchor = path.anchor();
        let authority = self
            .authorities
            .iter()
            .find(|own| is_anchor(&own.certificate, anchor))
            .ok_or_else(|| Reason::UnknownAuthority(certificate.issuer.clone()))?;
        // RFC 5280 leaves the dates of an anchor to us; an operator who sees one expire expects it to count.
        check_dates(&authority.certificate, now)?;
        if authority.revocation.ladder.first() == Some(&Method::None) {
            return Ok((authority, Vec::new()));
        }
        let between = path.intermediate_certificates().map(|one| one.der());
        let all = std::iter::once(certificate.der.clone())
            .chain(between.map(CertificateDer::into_owned))
            .chain(std::iter::once(authority.certificate.der.clone()));
        Ok((authority, all.collect()))
    }

    fn reason(
        &self,
        error: &webpki::Error,
        certificate: &Certificate,
        usage: Usage,
        now: Date,
    ) -> Reason {
        use webpki::Error as E;
        match error {
            E::UnknownIssuer | E::CaUsedAsEndEntity => {
                self.changed(certificate).unwrap_or_else(|| match error {
                    E::UnknownIssuer => Reason::UnknownAuthority(certificate.issuer.clone()),
                    _ => Reason::Other("it is an authority's certificate, not a peer's own".into()),
                })
            }
            E::CertExpired { not_after, .. } => Reason::Expired {
                at: Date::from(Duration::from_secs(not_after.as_secs())),
                now,
            },
            E::CertNotValidYet { not_before, .. } => Reason::NotYet {
                from: Date::from(Duration::from_secs(not_before.as_secs())),
                now,
            },
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Reason::Purpose(usage),
            E::InvalidSignatureForPublicKey
            | E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::Signature,
            // It ends before it begins: that it has ended is what the operator needs.
            E::InvalidCertValidity => check_dates(certificate, now)
                .err()
                .unwrap_or_else(|| Reason::Other(error.to_string())),
            other => Reason::Other(other.to_string()),
        }
    }

    /// A trustpoint that holds another certificate of the same self-signed peer.
    fn changed(&self, certificate: &Certificate) -> Option<Reason> {
        let held = self.authorities.iter().find(|own| {
            own.certificate.is_self_signed && own.certificate.subject == certificate.subject
        })?;
        Some(Reason::PinChanged {
            trustpoint: held.trustpoint.clone(),
            held: held.certificate.sha256(),
            shown: certificate.sha256(),
        })
    }
}

impl Judged {
    fn is_of(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: Date,
    ) -> bool {
        let chain = std::iter::once(end_entity).chain(between);
        self.usage == usage && self.now == now && self.chain.iter().eq(chain)
    }
}

/// Dates and purposes count for a pinned certificate too; its signature was checked when it was read.
fn check_pinned(certificate: &Certificate, usage: Usage, now: Date) -> Result<(), Reason> {
    check_dates(certificate, now)?;
    let permits = |purposes: Purposes| match usage {
        Usage::Client => purposes.client,
        Usage::Server => purposes.server,
    };
    match certificate.purposes.is_none_or(permits) {
        true => Ok(()),
        false => Err(Reason::Purpose(usage)),
    }
}

fn check_key(certificate: &Certificate) -> Result<(), Reason> {
    match certificate.key {
        KeyKind::Rsa(2048..) | KeyKind::Ecdsa(256..) | KeyKind::Ed25519 => Ok(()),
        weak => Err(Reason::Key(weak)),
    }
}

fn check_dates(certificate: &Certificate, now: Date) -> Result<(), Reason> {
    let (from, at) = (certificate.not_before, certificate.not_after);
    match now {
        now if now > at => Err(Reason::Expired { at, now }),
        now if now < from => Err(Reason::NotYet { from, now }),
        _ => Ok(()),
    }
}

fn is_anchor(certificate: &Certificate, anchor: &TrustAnchor<'_>) -> bool {
    webpki::anchor_from_trusted_cert(&certificate.der).is_ok_and(|own| {
        own.subject == anchor.subject
            && own.subject_public_key_info == anchor.subject_public_key_info
    })
}

/// Asks dialling peers for a certificate.
#[derive(Debug)]
pub(super) struct VerifyClient(pub Arc<Trust>);

/// Judges peers that we dial.
#[derive(Debug)]
pub(super) struct VerifyServer(pub Arc<Trust>);

impl ClientCertVerifier for VerifyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.0.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = Date::from(Duration::from_secs(now.as_secs()));
        self.0.judge(end_entity, between, Usage::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for VerifyServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = Date::from(Duration::from_secs(now.as_secs()));
        let peer = self.0.judge(end_entity, between, Usage::Server, now)?;
        check_name(&peer, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms.supported_schemes()
    }
}

/// A pinned certificate is the name. Without a name that the dialling peer asked for there is nothing to compare: the
/// address is one that it chose.
fn check_name(peer: &Peer, name: &ServerName<'_>) -> Result<(), Distrust> {
    let ServerName::DnsName(wanted) = name else {
        return Ok(());
    };
    let names = &peer.certificate.names;
    if peer.is_pinned || identity::speaks_for(names, wanted.as_ref()) {
        return Ok(());
    }
    Err(Distrust {
        subject: peer.certificate.subject.clone(),
        reason: Reason::Name {
            wanted: wanted.as_ref().to_owned(),
            found: identity::domains(names),
        },
    })
}

#[cfg(test)]
mod tests;
