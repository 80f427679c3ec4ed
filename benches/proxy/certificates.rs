//! Two authorities and who they vouch for, made with openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What keys are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa2048,
    P256,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rsa2048 => "RSA-2048",
            Kind::P256 => "P-256",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Kind::Rsa2048 => "-newkey rsa:2048",
            Kind::P256 => "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
        }
    }
}

/// `public` vouches for the partner and for what the proxy shows it, `internal` for the server and for what the proxy
/// shows that. Of each there is `NAME.pem`, `NAME.key`, and `NAME.both` with the two.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Self { folder };
        for authority in ["public", "internal"] {
            let usage = "-addext keyUsage=critical,keyCertSign,cRLSign";
            made.request(kind, authority, authority, usage);
        }
        for (name, subject, authority) in [
            ("partner", "partner.example", "public"),
            ("shown-outside", SERVER_NAME, "public"),
            ("server", SERVER_NAME, "internal"),
            ("shown-inside", "partner.example", "internal"),
        ] {
            let words = format!(
                "-CA {authority}.pem -CAkey {authority}.key -addext subjectAltName=DNS:{subject} \
                 -addext extendedKeyUsage=serverAuth,clientAuth -addext basicConstraints=critical,CA:FALSE"
            );
            made.request(kind, name, subject, &words);
        }
        made
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn request(&self, kind: Kind, name: &str, subject: &str, words: &str) {
        let key = kind.words();
        let all = format!(
            "req -x509 -noenc -days 30 {key} -keyout {name}.key -out {name}.pem -subj /CN={subject} {words}"
        );
        let output = Command::new("openssl")
            .args(all.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .expect("openssl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {all}: {errors}");
        let read = |ending| std::fs::read(self.path(&format!("{name}.{ending}")));
        let both = [read("pem").expect("it"), read("key").expect("it")].concat();
        std::fs::write(self.path(&format!("{name}.both")), both).expect("room");
    }
}

/// Whom the partner asks for.
pub const SERVER_NAME: &str = "office.example";
