//! What goes wrong on a leg, in words that an operator can act on.
//!
//! Comes in: an error of the TLS library and what the leg shows. Goes out: the rest of a line in the log.

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::verify::Distrust;

/// What an error means. `shown` is the trustpoint whose certificate the peer was shown.
pub fn of(error: &Error, shown: Option<&str>) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            match inner.downcast_ref::<Distrust>() {
                Some(distrust) => distrust.to_string(),
                None => format!("its certificate is not acceptable: {inner}"),
            }
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "it does not hold the key of its certificate".into()
        }
        Error::InvalidCertificate(other) => format!("its certificate is not acceptable: {other}"),
        Error::NoCertificatesPresented => {
            "it shows no certificate; `no server authenticate-client` would do without".into()
        }
        Error::PeerIncompatible(reason) => incompatible(reason),
        Error::AlertReceived(alert) => refused(*alert, shown),
        Error::InvalidMessage(_) => "what it sends is not TLS".into(),
        Error::DecryptError => "what it sends was damaged on the way".into(),
        Error::NoApplicationProtocol => {
            "it offers other application protocols than the peer behind".into()
        }
        other => other.to_string(),
    }
}

fn incompatible(reason: &PeerIncompatible) -> String {
    use PeerIncompatible as P;
    match reason {
        P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::Tls13RequiredForQuic
        | P::SupportedVersionsExtensionRequired
        // Every peer of TLS 1.2 names them, and no older one does.
        | P::SignatureAlgorithmsExtensionRequired
        | P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig => {
            "it speaks nothing newer than TLS 1.1; TLS 1.2 and 1.3 are spoken here".into()
        }
        P::NoCipherSuitesInCommon => {
            "no cipher suite in common: suites with forward secrecy and authenticated encryption are spoken here".into()
        }
        P::NoKxGroupsInCommon => "no key exchange group in common".into(),
        P::NoSignatureSchemesInCommon | P::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature scheme in common: it cannot use the certificate it is shown".into()
        }
        other => format!("it cannot be talked to: {other:?}"),
    }
}

fn refused(alert: AlertDescription, shown: Option<&str>) -> String {
    use AlertDescription as A;
    let certificate = match shown {
        Some(trustpoint) => format!("the certificate of trustpoint {trustpoint}"),
        None => "that it is shown no certificate".to_owned(),
    };
    match alert {
        A::UnknownCA => format!("it refuses {certificate}: it does not know the authority"),
        A::CertificateExpired => format!("it refuses {certificate}: expired"),
        A::CertificateRequired => {
            "it wants a certificate, and `client trust-point` is not set".into()
        }
        A::BadCertificate
        | A::CertificateUnknown
        | A::CertificateRevoked
        | A::UnsupportedCertificate
        | A::AccessDenied
        | A::DecryptError => format!("it refuses {certificate}: {alert:?}"),
        A::ProtocolVersion => "it refuses: it speaks neither TLS 1.2 nor TLS 1.3".into(),
        A::HandshakeFailure | A::InsufficientSecurity => {
            format!("it refuses: {alert:?}, most often no cipher suite in common or {certificate}")
        }
        A::UnrecognisedName => "it refuses: it does not serve that name".into(),
        A::NoApplicationProtocol => "it refuses: no application protocol in common".into(),
        other => format!("it gives up: {other:?}"),
    }
}
