//! `show crypto ca certificates` and `show crypto ca trustpoints`, in the device's shape.

use std::fmt::{self, Write};

use super::trustpoint::State;
use super::{Certificate, Trustpoint};

/// The certificates of trustpoints.
pub fn certificates<'a>(trustpoints: impl Iterator<Item = &'a Trustpoint>) -> String {
    let mut text = String::new();
    for trustpoint in trustpoints {
        // Writing to a string cannot fail.
        let _ = write_trustpoint(&mut text, trustpoint);
    }
    text
}

/// One paragraph a trustpoint.
pub fn trustpoints<'a>(trustpoints: impl Iterator<Item = &'a Trustpoint>) -> String {
    let mut text = String::new();
    for trustpoint in trustpoints {
        // Writing to a string cannot fail.
        let _ = write_summary(&mut text, trustpoint);
    }
    text
}

fn write_trustpoint(out: &mut String, trustpoint: &Trustpoint) -> fmt::Result {
    let name = &trustpoint.name;
    if let Some(pending) = &trustpoint.pending {
        // Only a server leaves something to be remembered.
        let how = if pending.memo.is_empty() {
            " terminal enrollment"
        } else {
            ""
        };
        writeln!(out, "Certificate")?;
        writeln!(out, "  Status: Pending{how}")?;
        writeln!(out, "  Key pair: {}", pending.key_label)?;
        writeln!(out, "  Associated Trustpoints: {name}\n")?;
    }
    if let Some(identity) = &trustpoint.identity {
        writeln!(out, "Certificate")?;
        write_certificate(out, identity, name)?;
    }
    for between in trustpoint.between.iter().chain(&trustpoint.authority) {
        let title = if between.is_ca {
            "CA Certificate"
        } else {
            "Peer Certificate"
        };
        writeln!(out, "{title}")?;
        write_certificate(out, between, name)?;
    }
    Ok(())
}

fn write_certificate(out: &mut String, certificate: &Certificate, name: &str) -> fmt::Result {
    writeln!(out, "  Status: Available")?;
    writeln!(out, "  Certificate Serial Number: {}", certificate.serial)?;
    writeln!(out, "  Certificate Usage: General Purpose")?;
    writeln!(out, "  Public Key Type: {}", certificate.key)?;
    writeln!(out, "  Signature Algorithm: {}", certificate.signature)?;
    writeln!(out, "  Issuer Name:\n    {}", certificate.issuer)?;
    writeln!(out, "  Subject Name:\n    {}", certificate.subject)?;
    writeln!(out, "  Validity Date:")?;
    writeln!(out, "    start date: {}", certificate.not_before)?;
    writeln!(out, "    end date: {}", certificate.not_after)?;
    writeln!(out, "  Fingerprint (SHA-256): {}", certificate.sha256())?;
    writeln!(out, "  Storage: config")?;
    writeln!(out, "  Associated Trustpoints: {name}\n")
}

fn write_summary(out: &mut String, trustpoint: &Trustpoint) -> fmt::Result {
    writeln!(out, "Trustpoint {}:", trustpoint.name)?;
    match &trustpoint.authority {
        Some(authority) => {
            writeln!(out, "    Subject Name:\n    {}", authority.subject)?;
            writeln!(out, "          Serial Number: {}", authority.serial)?;
        }
        None if trustpoint.identity.is_none() => writeln!(out, "    Not authenticated.")?,
        None => {}
    }
    match trustpoint.state() {
        State::Enrolled => writeln!(out, "    Certificate configured.")?,
        State::Pending => writeln!(out, "    Enrollment pending.")?,
        State::Renewing => writeln!(out, "    Certificate configured, renewal pending.")?,
        State::Authenticated | State::Defined => {}
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Wanted;
    use crate::pki::{Date, Key, Settings};

    #[test]
    fn a_self_signed_trustpoint_is_shown_as_the_device_shows_it() {
        let settings = Settings {
            name: "cup_proxy".into(),
            subject: Some("cn=cup.example.com".into()),
            ..Settings::default()
        };
        let key = Key::generate("k", Wanted::Rsa(2048)).expect("a key");
        let mut trustpoint = Trustpoint::new("cup_proxy");
        assert_eq!(
            trustpoints([&trustpoint].into_iter()),
            "Trustpoint cup_proxy:\n    Not authenticated.\n\n"
        );
        trustpoint
            .sign_itself(&settings, &key, Date(1_793_527_200))
            .expect("a certificate");
        let identity = trustpoint.identity.as_ref().expect("enrolled");
        let (serial, fingerprint) = (&identity.serial, identity.sha256());
        assert_eq!(
            certificates([&trustpoint].into_iter()),
            format!(
                "Certificate\n  Status: Available\n  Certificate Serial Number: {serial}\n  \
                 Certificate Usage: General Purpose\n  Public Key Type: RSA (2048 bits)\n  \
                 Signature Algorithm: RSA-SHA256\n  Issuer Name:\n    cn=cup.example.com\n  \
                 Subject Name:\n    cn=cup.example.com\n  Validity Date:\n    \
                 start date: 10:00:00 UTC Nov 1 2026\n    end date: 10:00:00 UTC Oct 31 2036\n  \
                 Fingerprint (SHA-256): {fingerprint}\n  Storage: config\n  \
                 Associated Trustpoints: cup_proxy\n\n"
            )
        );
        assert_eq!(
            trustpoints([&trustpoint].into_iter()),
            "Trustpoint cup_proxy:\n    Certificate configured.\n\n"
        );
    }
}
