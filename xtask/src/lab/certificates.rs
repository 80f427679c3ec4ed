//! A certification authority for the lab, made with openssl.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::run;
use crate::process::{Result, at, command};

/// A test authority.
pub struct Authority {
    folder: PathBuf,
}

/// Key and certificate of somebody, and whom he trusts, as files.
pub struct Identity {
    /// The private key.
    pub key: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
    /// The authority.
    pub trusted: PathBuf,
}

impl Authority {
    /// Makes one.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let authority = Self { folder };
        let mut openssl = authority.openssl(&["req", "-x509", "-noenc", "-days", DAYS]);
        openssl.args(NEW_KEY).args([
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]);
        run(&mut openssl)?;
        Ok(authority)
    }

    /// Issues a certificate for both ends of a connection, as federation needs it.
    pub fn issue(&self, folder: &Path, name: &str) -> Result<Identity> {
        let identity = Identity {
            key: folder.join("key.pem"),
            certificate: folder.join("certificate.pem"),
            trusted: folder.join("trusted.pem"),
        };
        let mut openssl = self.openssl(&["req", "-x509", "-noenc", "-days", DAYS]);
        openssl
            .args(NEW_KEY)
            .args(["-CA", "ca.pem", "-CAkey", "ca.key"]);
        openssl.arg("-keyout").arg(&identity.key);
        openssl.arg("-out").arg(&identity.certificate);
        openssl.args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name},URI:sip:{name}"),
            "-addext",
            "extendedKeyUsage=serverAuth,clientAuth",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        run(&mut openssl)?;
        fs::copy(self.folder.join("ca.pem"), &identity.trusted).map_err(at(&identity.trusted))?;
        Ok(identity)
    }

    /// Issues a certificate and puts it, its key and the authority into one file under a passphrase.
    pub fn bundle(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let identity = self.issue(&folder, name)?;
        let bundle = folder.join("bundle.p12");
        let mut openssl = self.openssl(&["pkcs12", "-export", "-passout"]);
        openssl.arg(format!("pass:{PASSPHRASE}"));
        openssl.arg("-inkey").arg(&identity.key);
        openssl.arg("-in").arg(&identity.certificate);
        openssl.arg("-certfile").arg(&identity.trusted);
        openssl.arg("-out").arg(&bundle);
        run(&mut openssl)?;
        Ok(bundle)
    }

    fn openssl(&self, arguments: &[&str]) -> std::process::Command {
        let mut openssl = command("openssl");
        openssl.current_dir(&self.folder).args(arguments);
        openssl
    }
}

/// Of the bundles.
pub const PASSPHRASE: &str = "between two commands";
/// Scanners complain of certificates that end within two months.
const DAYS: &str = "90";
const NEW_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
