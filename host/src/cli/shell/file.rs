//! The file with the configuration: read once, replaced whole, never lost.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Failure, check};
use crate::config::{self, Config};
use crate::policy;

/// A configuration in a file.
#[derive(Debug)]
pub struct Kept {
    /// As the user named it.
    name: String,
    /// Where it is, behind links.
    path: PathBuf,
    /// What was in it when it was read or written last; `None` when it was not there.
    text: Option<String>,
    /// What that says.
    saved: Config,
    /// What is there now is to be kept beside it.
    keeps_old: bool,
}

impl Kept {
    /// Reads it. One that is not there is empty.
    pub fn open(name: &str) -> Result<(Self, String), Failure> {
        let text = read(name)?;
        let path = match &text {
            Some(_) => fs::canonicalize(name).map_err(|source| unwritable(name, source))?,
            None => PathBuf::from(name),
        };
        let file = Self {
            name: name.to_owned(),
            path,
            saved: config::parse(text.as_deref().unwrap_or_default()).config,
            text: text.clone(),
            keeps_old: false,
        };
        Ok((file, text.unwrap_or_default()))
    }

    /// As the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What there is now is kept beside it when it is replaced: it says more than we understand.
    pub fn keep_old(&mut self) {
        self.keeps_old = true;
    }

    /// Whether it says something else.
    pub fn differs(&self, config: &Config) -> bool {
        self.saved != *config
    }

    /// Replaces it; returns what is to be known of that. After a failure it is as it was.
    pub fn write(&mut self, config: &Config) -> Result<Vec<String>, Failure> {
        let text = config.to_string();
        let parsed = config::parse(&text);
        if parsed.config != *config {
            return Err(Failure::Usage(format!(
                "{} is not written: what would be written says something else than what was entered",
                self.name
            )));
        }
        if read(&self.name)? != self.text {
            return Err(Failure::Usage(format!(
                "{} is not written: somebody else has changed it meanwhile",
                self.name
            )));
        }
        self.replace(&text)
            .map_err(|source| unwritable(&self.name, source))?;
        self.text = Some(text);
        self.saved = config.clone();
        let mut warnings = Vec::new();
        if policy::check(&parsed).has_errors() {
            warnings.push(format!(
                "it has errors, and no firewall starts with it: `postern check {}` shows them",
                self.name
            ));
        }
        Ok(warnings)
    }

    fn replace(&mut self, text: &str) -> std::io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Nobody but its owner reads a new one: it holds passwords.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        if let Ok(about) = fs::metadata(&self.path) {
            file.as_file().set_permissions(about.permissions())?;
        }
        file.as_file().sync_all()?;
        if std::mem::take(&mut self.keeps_old) {
            let mut old = self.path.clone().into_os_string();
            old.push(".old");
            fs::copy(&self.path, &old)?;
            File::open(&old)?.sync_all()?;
        }
        file.persist(&self.path)?;
        // The name is safe when the folder is.
        File::open(folder)?.sync_all()
    }
}

fn read(name: &str) -> Result<Option<String>, Failure> {
    match check::read(name) {
        Ok(text) => Ok(Some(text)),
        Err(Failure::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn unwritable(name: &str, source: std::io::Error) -> Failure {
    Failure::Keep {
        path: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn configuration(text: &str) -> Config {
        config::parse(text).config
    }

    #[test]
    fn a_file_is_replaced_whole_with_the_rights_it_had() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.cfg");
        fs::write(&path, "hostname a\nlogging enable\n").expect("room");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        let link = folder.path().join("link.cfg");
        std::os::unix::fs::symlink(&path, &link).expect("room");
        let (mut file, text) = Kept::open(link.to_str().expect("UTF-8")).expect("readable");
        assert_eq!(text, "hostname a\nlogging enable\n");
        file.keep_old();
        let warnings = file.write(&configuration("hostname b\n")).expect("room");
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "hostname b\nnames\n"
        );
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        let old = fs::read_to_string(folder.path().join("x.cfg.old"));
        assert_eq!(old.expect("there"), "hostname a\nlogging enable\n");
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.cfg");
        let (mut file, _) = Kept::open(path.to_str().expect("UTF-8")).expect("none yet");
        fs::write(&path, "hostname other\n").expect("room");
        let refused = file.write(&configuration("hostname own\n"));
        assert!(
            refused
                .expect_err("refused")
                .to_string()
                .contains("somebody else")
        );
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "hostname other\n"
        );
    }

    #[test]
    fn a_failure_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.cfg");
        fs::write(&path, "hostname a\n").expect("room");
        let (mut file, _) = Kept::open(path.to_str().expect("UTF-8")).expect("readable");
        file.keep_old();
        // A folder where the old one is to go: no copy can be made of it, root or not.
        fs::create_dir(folder.path().join("x.cfg.old")).expect("room");
        file.write(&configuration("hostname b\n"))
            .expect_err("no copy");
        assert_eq!(fs::read_to_string(&path).expect("there"), "hostname a\n");
        let left = fs::read_dir(folder.path()).expect("ours").count();
        assert_eq!(left, 2, "nothing half written stays");
    }
}
