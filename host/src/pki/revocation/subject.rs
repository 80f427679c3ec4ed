//! A certificate that is asked about: who signed it, and where its authority says to ask.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::super::name;

/// A certificate and the one that signed it.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The certificate, encoded.
    pub certificate: &'a [u8],
    /// The one that signed it, encoded.
    pub issuer: &'a [u8],
}

/// What a link says, read once.
pub(super) struct Subject<'a> {
    pub certificate: X509Certificate<'a>,
    pub issuer: X509Certificate<'a>,
    pub issuer_der: &'a [u8],
}

impl<'a> Subject<'a> {
    /// `None` for bytes that are no certificates; both were read before, so that is nobody's fault but ours.
    pub fn read(link: Link<'a>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(link.certificate).ok()?;
        let (_, issuer) = X509Certificate::from_der(link.issuer).ok()?;
        Some(Self {
            certificate,
            issuer,
            issuer_der: link.issuer,
        })
    }

    /// Whom it names.
    pub fn name(&self) -> String {
        name::print(self.certificate.subject())
    }

    /// What tells it from all others: who signed it, and its serial number.
    pub fn key(&self) -> Vec<u8> {
        let issuer = self.issuer.public_key().raw;
        [issuer, self.certificate.raw_serial()].concat()
    }

    /// Where its authority publishes lists that are about it.
    pub fn lists(&self) -> Vec<String> {
        let mut found = Vec::new();
        for extension in self.certificate.extensions() {
            if let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() {
                let points = points.points.iter();
                // A list of some reasons, or of another issuer, does not say that a certificate stands.
                let whole =
                    points.filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
                for point in whole {
                    if let Some(DistributionPointName::FullName(names)) = &point.distribution_point
                    {
                        found.extend(names.iter().filter_map(http));
                    }
                }
            }
        }
        found
    }

    /// Who answers about it.
    pub fn responders(&self) -> Vec<String> {
        let mut found = Vec::new();
        for extension in self.certificate.extensions() {
            if let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() {
                let about = access.accessdescs.iter();
                let responders =
                    about.filter(|one| one.access_method.to_id_string() == OCSP_RESPONDER);
                found.extend(responders.filter_map(|one| http(&one.access_location)));
            }
        }
        found
    }

    /// Whether the issuer's certificate lets it sign lists. RFC 5280 §6.3.3 (f).
    pub fn issuer_signs_lists(&self) -> bool {
        match self.issuer.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.crl_sign()),
            Err(_) => false,
        }
    }
}

/// A place that can be asked over HTTP. Lists and responses are signed themselves.
fn http(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(uri) if uri.starts_with("http://") || uri.starts_with("https://") => {
            Some((*uri).to_owned())
        }
        _ => None,
    }
}

/// RFC 5280 §4.2.2.1.
const OCSP_RESPONDER: &str = "1.3.6.1.5.5.7.48.1";
