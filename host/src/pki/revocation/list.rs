//! A certificate revocation list: read, checked, asked.
//!
//! Comes in: bytes, the certificate that is asked about and its issuer's, the time. Goes out: what the list says of it,
//! or why the list counts for nothing. `rustls-webpki` reads it: whole lists of version 2 alone, no deltas, no indirect
//! ones, no critical extension that is unknown. RFC 5280 §5, §6.3.

use std::collections::BTreeSet;

use webpki::{CertRevocationList, OwnedCertRevocationList, RevocationReason};
use x509_parser::extensions::ParsedExtension;
use x509_parser::extensions::{DistributionPointName, GeneralName, IssuingDistributionPoint};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::signed::{Signed, inside};
use super::subject::Subject;
use super::{SKEW_SECONDS, Status};
use crate::pki::certificate::hexadecimal;
use crate::pki::{Date, name};

/// A list whose signature was checked.
pub struct List {
    /// Who signed it.
    pub issuer: String,
    /// Its number, in hexadecimal digits.
    pub number: String,
    /// When it was made.
    pub this_update: Date,
    /// When the next one is due.
    pub next_update: Option<Date>,
    /// How many certificates it revokes.
    pub entries: usize,
    /// As it came.
    pub der: Vec<u8>,
    parsed: CertRevocationList<'static>,
    scope: Scope,
}

/// Which certificates a list is about.
#[derive(Debug, Default)]
struct Scope {
    /// Places that it is published at; empty if it does not say.
    places: BTreeSet<String>,
    names_places: bool,
    only_peers: bool,
    only_authorities: bool,
}

impl List {
    /// Reads a list and checks that the issuer of a certificate signed it.
    pub(super) fn read(bytes: &[u8], subject: &Subject<'_>) -> Result<Self, String> {
        let der = unarmoured(bytes);
        let parsed = OwnedCertRevocationList::from_der(&der)
            .map(CertRevocationList::from)
            .map_err(|error| format!("it is no list that can be used: {error}"))?;
        let (rest, facts) = CertificateRevocationList::from_der(&der)
            .map_err(|_| "it is no list: the encoding is wrong".to_owned())?;
        if !rest.is_empty() {
            return Err("it is no list: something follows it".into());
        }
        let list = &facts.tbs_cert_list;
        if list.issuer.as_raw() != subject.certificate.issuer().as_raw() {
            let found = name::print(&list.issuer);
            return Err(format!("it is the list of {found}"));
        }
        if !subject.issuer_signs_lists() {
            return Err("the key usage of its issuer does not permit signing lists".into());
        }
        is_signed(&der, subject)?;
        let number = number(&facts)?;
        let scope = Scope::of(&facts);
        if scope.is_none() && parsed.issuing_distribution_point().is_some() {
            return Err("what it is about cannot be read".into());
        }
        Ok(Self {
            issuer: name::print(&list.issuer),
            number,
            this_update: Date(list.this_update.timestamp()),
            next_update: list.next_update.map(|date| Date(date.timestamp())),
            entries: list.revoked_certificates.len(),
            scope: scope.unwrap_or_default(),
            parsed,
            der,
        })
    }

    /// Whether it counts now. Without `enforced`, `nextUpdate` does not matter.
    pub(super) fn check_dates(&self, now: Date, enforced: bool) -> Result<(), String> {
        if self.this_update.0 > now.0.saturating_add(SKEW_SECONDS) {
            return Err(format!(
                "its list is of {}, and it is {now} here: is the clock right?",
                self.this_update
            ));
        }
        match self.next_update {
            Some(next) if enforced && now > next => Err(format!(
                "its list is too old: the next one was due at {next}"
            )),
            _ => Ok(()),
        }
    }

    /// What it says of a certificate.
    pub(super) fn status(&self, subject: &Subject<'_>) -> Result<Status, String> {
        self.scope.covers(subject)?;
        let found = self
            .parsed
            .find_serial(subject.certificate.raw_serial())
            .map_err(|error| format!("its list is damaged: {error}"))?;
        Ok(match found {
            None => Status::Good,
            // RFC 5280 §5.3.1: only in deltas, where it takes a revocation back.
            Some(entry) if entry.reason_code == Some(RevocationReason::RemoveFromCrl) => {
                Status::Good
            }
            Some(entry) => Status::Revoked {
                at: Date::from(std::time::Duration::from_secs(
                    entry.revocation_date.as_secs(),
                )),
                reason: entry.reason_code.map(word),
            },
        })
    }
}

impl Scope {
    /// `None` if the list does not say.
    fn of(list: &CertificateRevocationList<'_>) -> Option<Self> {
        let point =
            list.extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::IssuingDistributionPoint(point) => Some(point),
                    _ => None,
                })?;
        Some(Self {
            places: places(point),
            names_places: point.distribution_point.is_some(),
            only_peers: point.only_contains_user_certs,
            only_authorities: point.only_contains_ca_certs,
        })
    }

    /// RFC 5280 §6.3.3 (b)(2).
    fn covers(&self, subject: &Subject<'_>) -> Result<(), String> {
        let is_ca = subject.certificate.is_ca();
        if is_ca && self.only_peers || !is_ca && self.only_authorities {
            return Err("its list is about other certificates".into());
        }
        if !self.names_places {
            return Ok(());
        }
        // A certificate that names no place leaves it to us where its list is got.
        let said = subject.lists();
        match said.is_empty() || said.iter().any(|place| self.places.contains(place)) {
            true => Ok(()),
            false => Err("its list is that of another distribution point".into()),
        }
    }
}

fn places(point: &IssuingDistributionPoint<'_>) -> BTreeSet<String> {
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
        return BTreeSet::new();
    };
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    uris.collect()
}

fn is_signed(der: &[u8], subject: &Subject<'_>) -> Result<(), String> {
    let signed = inside(der).and_then(|mut reader| Signed::read(&mut reader));
    match signed.is_ok_and(|signed| signed.is_by(subject.issuer.public_key().raw)) {
        true => Ok(()),
        false => Err(format!(
            "{} did not sign it, or with an algorithm that is too weak",
            name::print(subject.issuer.subject())
        )),
    }
}

/// RFC 5280 §5.2.3: every list has one, and it is not critical.
fn number(list: &CertificateRevocationList<'_>) -> Result<String, String> {
    let found = list
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::CRLNumber(number) => Some((extension.critical, number)),
            _ => None,
        });
    match found {
        Some((false, number)) => Ok(hexadecimal(&number.to_bytes_be())),
        Some((true, _)) => Err("its number is marked critical".into()),
        None => Err("it has no number".into()),
    }
}

/// Lists are served as DER; some authorities serve PEM.
fn unarmoured(bytes: &[u8]) -> Vec<u8> {
    match bytes.starts_with(b"-----BEGIN X509 CRL-----") {
        true => pem::parse(bytes).map_or_else(|_| bytes.to_vec(), pem::Pem::into_contents),
        false => bytes.to_vec(),
    }
}

fn word(reason: RevocationReason) -> &'static str {
    use RevocationReason as R;
    match reason {
        R::Unspecified => "unspecified",
        R::KeyCompromise => "key compromise",
        R::CaCompromise => "compromise of the authority",
        R::AffiliationChanged => "affiliation changed",
        R::Superseded => "superseded",
        R::CessationOfOperation => "cessation of operation",
        R::CertificateHold => "on hold",
        R::RemoveFromCrl => "removed from the list",
        R::PrivilegeWithdrawn => "privilege withdrawn",
        R::AaCompromise => "compromise of an attribute authority",
    }
}
