//! `postern crypto key {generate|zeroize} …` and `postern crypto ca {authenticate|enroll|import|export} TRUSTPOINT …`.
//!
//! The words after the trustpoint are those of the device, and so are the questions. Text to paste comes from standard
//! input and ends with a line `quit` or with the input.

/// Revocation lists.
mod revocation;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::input::{self, Input, Standard};
use super::{Failure, Outcome, check};
use crate::config::{self, Config};
use crate::enrol;
use crate::pki::bundle::{self, Bundle};
use crate::pki::enrol::cms;
use crate::pki::mypubkey::{self, Family};
use crate::pki::settings::Enrolment;
use crate::pki::trustpoint::{Role, State};
use crate::pki::{Certificate, Date, Settings, Trustpoint};
use crate::runtime::clock;
use crate::store::{self, Master, Store};

/// Key pairs.
mod key;
/// Over the network.
mod network;

const EXAMPLE: &str = "\
Example:
  postern crypto --state state key generate rsa label cup_key modulus 2048

  postern crypto --config firewall.cfg --state state ca enroll cup_proxy noconfirm
  postern crypto --config firewall.cfg --state state ca authenticate cert_from_cup nointeractive < cup.pem
  postern crypto --state state ca export cup_proxy identity-certificate";

/// Where trustpoints are defined and kept.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Directory of keys and certificates
    #[arg(long, value_name = "DIR", default_value = "/var/lib/postern")]
    state: PathBuf,
    /// What private keys are sealed with: a file, or `pkcs11:token=LABEL?module-path=/LIBRARY&pin-source=FILE` for a secret key in
    /// a token [default: master.key in the state directory, or the systemd credential postern.key]
    #[arg(long, value_name = "FILE|URI")]
    key_file: Option<Master>,
}

/// Arguments of `crypto`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// Configuration with the trustpoints
    #[arg(long, value_name = "CONFIG")]
    config: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Debug, Subcommand)]
enum Topic {
    /// Key pairs: `generate {rsa [label L] [modulus BITS] | ecdsa [label L] [elliptic-curve BITS] | eddsa [label L]}`, or
    /// `zeroize {rsa|ecdsa|eddsa} [label L] [default] [noconfirm]`
    Key {
        /// Make it in a token, where it stays: `pkcs11:token=LABEL?module-path=/LIBRARY&pin-source=FILE`
        #[arg(long, value_name = "URI")]
        token: Option<String>,
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
    },
    /// Trustpoints: authenticate, enroll, import, export
    #[command(subcommand)]
    Ca(Ca),
}

#[derive(Debug, Subcommand)]
enum Ca {
    /// Take an authority's certificate, or one peer's own: `[fingerprint HEX] [nointeractive]`
    Authenticate(Words),
    /// Get a certificate: `[regenerate] [shared-secret VALUE | signing-certificate TRUSTPOINT] [noconfirm]`. What an ACME
    /// server looks for is shown at ports 80 and 443 of this machine; with `auto-enroll` in the trustpoint a firewall that runs
    /// with the state directory asks instead, and shows it at addresses of the card
    Enroll(Words),
    /// Take a certificate or a file: `certificate [nointeractive]` or `pkcs12 PASSPHRASE [nointeractive]`
    Import(Words),
    /// Print a certificate or a file: `identity-certificate` or `pkcs12 PASSPHRASE`
    Export(Words),
    /// Fetch the revocation lists about a trustpoint's certificates: `request TRUSTPOINT`
    Crl {
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
    },
}

#[derive(Args, Debug)]
struct Words {
    /// The trustpoint
    trustpoint: String,
    /// The rest, as on the device
    #[arg(value_name = "WORD")]
    words: Vec<String>,
}

impl Place {
    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.state
    }

    /// The store's file.
    pub fn file(&self) -> PathBuf {
        store::file_in(&self.state)
    }

    /// Opens the store.
    pub fn open(&self) -> Result<Store, store::Error> {
        Store::open(&self.state, self.key_file.as_ref())
    }
}

/// Where a command finds what it needs, and whom it asks.
pub struct Dialogue<'a> {
    /// The store.
    pub place: &'a Place,
    /// The configuration with the trustpoints, and what it is called. Without one a trustpoint is a name and no more,
    /// which is enough for everything but a request.
    pub config: Option<(&'a str, &'a Config)>,
    /// Who answers and pastes.
    pub input: &'a mut dyn Input,
}

/// Carries one command out.
pub fn run(arguments: &Arguments) -> Outcome {
    let parsed = match &arguments.config {
        Some(path) => Some((path.as_str(), config::parse(&check::read(path)?).config)),
        None => None,
    };
    let mut dialogue = Dialogue {
        place: &arguments.place,
        config: parsed.as_ref().map(|(path, config)| (*path, config)),
        input: &mut Standard,
    };
    match &arguments.topic {
        Topic::Key { token, words } => dialogue.key(token.as_deref(), words),
        Topic::Ca(Ca::Authenticate(said)) => dialogue.authenticate(&said.trustpoint, &said.words),
        Topic::Ca(Ca::Enroll(said)) => dialogue.enroll(&said.trustpoint, &said.words),
        Topic::Ca(Ca::Import(said)) => dialogue.import(&said.trustpoint, &said.words),
        Topic::Ca(Ca::Export(said)) => dialogue.export(&said.trustpoint, &said.words),
        Topic::Ca(Ca::Crl { words }) => dialogue.revocation_lists(words),
    }
}

fn clock_now() -> Date {
    Date::from(clock::Clock::start().now())
}

/// What is said of a certificate that is to be trusted.
#[derive(Debug)]
struct Confirmation {
    /// Its fingerprint.
    expected: Option<String>,
    /// Questions are asked.
    is_asked: bool,
}

impl Confirmation {
    fn read(words: &[String]) -> Result<Self, Failure> {
        let mut read = Self {
            expected: None,
            is_asked: true,
        };
        let mut rest = words.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            match word {
                "fingerprint" => {
                    let text = rest.next().ok_or_else(|| missing("a fingerprint"))?;
                    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
                    read.expected = Some(digits.to_ascii_lowercase());
                }
                "nointeractive" => read.is_asked = false,
                word => {
                    let text = format!("`{word}` is no word of this command");
                    return Err(Failure::Usage(text));
                }
            }
        }
        Ok(read)
    }

    /// Whether the certificate is the right one.
    fn is_given(&self, certificate: &Certificate, input: &mut dyn Input) -> Result<bool, Failure> {
        let known = [certificate.sha1(), certificate.sha256()];
        match &self.expected {
            Some(expected) if !known.contains(expected) => {
                eprintln!(
                    "postern: the fingerprint is not {expected}: the certificate is not taken"
                );
                Ok(false)
            }
            // Whoever knows the fingerprint has accepted it.
            Some(_) => Ok(true),
            None if self.is_asked => input::ask(input, "Do you accept this certificate?"),
            None => Ok(true),
        }
    }
}

impl Dialogue<'_> {
    /// `ca authenticate TRUSTPOINT …`.
    pub fn authenticate(&mut self, name: &str, words: &[String]) -> Outcome {
        let now = clock_now();
        let settings = self.settings(name)?;
        let confirmation = Confirmation::read(words)?;
        let certificate = match &settings.enrolment {
            Enrolment::Network(server) if network::tells_authorities(server) => {
                if !confirmation.is_asked && confirmation.expected.is_none() {
                    // Nobody would have seen what comes over an open network.
                    return usage(
                        "`nointeractive` needs `fingerprint`, since nothing else confirms what a server says",
                    );
                }
                network::fetch(self.place, server, &confirmation)?
            }
            _ => {
                tell_paste("the base 64 encoded CA certificate", confirmation.is_asked);
                Certificate::from_text(&input::text(self.input)?)?
            }
        };
        println!("INFO: Certificate has the following attributes:");
        println!("Subject:             {}", certificate.subject);
        println!("Fingerprint SHA-1:   {}", certificate.sha1());
        println!("Fingerprint SHA-256: {}", certificate.sha256());
        tell_concerns(&certificate, now);
        if !confirmation.is_given(&certificate, self.input)? {
            return Ok(ExitCode::from(1));
        }
        let store = self.place.open()?;
        let mut trustpoint = store.trustpoint(&settings.name)?;
        trustpoint.authenticate(certificate)?;
        store.save(Some(&trustpoint), None)?;
        if trustpoint.role() == Some(Role::Pin) {
            println!("INFO: It is one peer's own certificate: that peer is trusted, and no other.");
        }
        println!("Trustpoint CA certificate accepted.");
        Ok(ExitCode::SUCCESS)
    }

    /// `ca enroll TRUSTPOINT …`.
    pub fn enroll(&mut self, name: &str, words: &[String]) -> Outcome {
        let settings = self.settings(name)?;
        let said = network::Said::read(words)?;
        for note in &settings.notes {
            println!("WARNING: {note}");
        }
        if said.is_asked {
            self.tell_names(&settings)?;
        }
        match settings.enrolment.clone() {
            Enrolment::Network(server) => self.enroll_over_network(settings, &server, said),
            Enrolment::Own => self.sign_itself(&settings, &said),
            Enrolment::Terminal => self.request(&settings, &said),
        }
    }

    /// What the certificate will say, and the device's question about its serial number.
    fn tell_names(&mut self, settings: &Settings) -> Result<(), Failure> {
        println!("% Start certificate enrollment ..");
        if let Some(subject) = &settings.subject {
            println!("% The subject name in the certificate will be: {subject}");
        }
        if let Some(name) = &settings.fqdn {
            println!("% The fully-qualified domain name in the certificate will be: {name}");
        }
        if input::ask(
            self.input,
            "% Include the device serial number in the subject name?",
        )? {
            println!(
                "INFO: the firewall has no serial number: `serialnumber=` in subject-name names one."
            );
        }
        Ok(())
    }

    fn sign_itself(&mut self, settings: &Settings, said: &network::Said) -> Outcome {
        if said.is_asked && !input::ask(self.input, "Generate Self-Signed Certificate?")? {
            return Ok(ExitCode::from(1));
        }
        let store = self.place.open()?;
        let mut trustpoint = store.trustpoint(&settings.name)?;
        let (key, is_new) = enrol::choose_key(&store, settings, &trustpoint, said.regenerates)?;
        trustpoint.sign_itself(settings, &key, clock_now())?;
        store.save(Some(&trustpoint), is_new.then_some(&key))?;
        println!("The self-signed certificate of {} is there.", settings.name);
        Ok(ExitCode::SUCCESS)
    }

    fn request(&mut self, settings: &Settings, said: &network::Said) -> Outcome {
        if said.is_asked && !input::ask(self.input, "Display Certificate Request to terminal?")? {
            return Ok(ExitCode::from(1));
        }
        let request = {
            let store = self.place.open()?;
            let mut trustpoint = store.trustpoint(&settings.name)?;
            let (key, is_new) = enrol::choose_key(&store, settings, &trustpoint, said.regenerates)?;
            let request = trustpoint.request(settings, &key)?;
            store.save(Some(&trustpoint), is_new.then_some(&key))?;
            request
        };
        print!("{request}");
        while said.is_asked && input::ask(self.input, "Redisplay enrollment request?")? {
            print!("{request}");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// `ca import TRUSTPOINT …`.
    pub fn import(&mut self, name: &str, words: &[String]) -> Outcome {
        let now = clock_now();
        let given: Vec<&str> = words.iter().map(String::as_str).collect();
        let settings = self.settings(name)?;
        match given.as_slice() {
            ["certificate"] | ["certificate", "nointeractive"] => {
                tell_paste("the base 64 encoded certificate", given.len() == 1);
                let answer = cms::certificates_of(&input::data(self.input)?)?;
                let store = self.place.open()?;
                let mut trustpoint = store.trustpoint(&settings.name)?;
                let key = store.wanted_key_of(&trustpoint)?;
                trustpoint.import(&answer, &key, now)?;
                trustpoint
                    .identity
                    .iter()
                    .for_each(|own| tell_concerns(own, now));
                store.save(Some(&trustpoint), None)?;
            }
            ["pkcs12", passphrase] | ["pkcs12", passphrase, "nointeractive"] => {
                tell_paste("the base 64 encoded pkcs12", given.len() == 2);
                let label = settings.key_label.as_ref().unwrap_or(&settings.name);
                let bundle = Bundle::from_pkcs12(label, &input::data(self.input)?, passphrase)?;
                self.take_bundle(&settings, bundle, now)?;
            }
            ["pem"] | ["pem", "nointeractive"] => {
                tell_paste("the key and the certificates", given.len() == 1);
                let label = settings.key_label.as_ref().unwrap_or(&settings.name);
                let bundle = Bundle::from_pem(label, &input::data(self.input)?)?;
                self.take_bundle(&settings, bundle, now)?;
            }
            _ => {
                return usage(
                    "say `import TRUSTPOINT {certificate | pem | pkcs12 PASSPHRASE} [nointeractive]`",
                );
            }
        }
        println!(
            "INFO: Import {} operation completed successfully.",
            given[0]
        );
        Ok(ExitCode::SUCCESS)
    }

    fn take_bundle(&self, settings: &Settings, bundle: Bundle, now: Date) -> Result<(), Failure> {
        tell_concerns(&bundle.identity, now);
        let store = self.place.open()?;
        if let Some(known) = store.key(&bundle.key.label)?
            && known.public_key() != bundle.key.public_key()
        {
            return Err(Failure::Usage(format!(
                "there is another key {} already; name a new one with `keypair` in the trustpoint",
                known.label
            )));
        }
        let mut trustpoint = store.trustpoint(&settings.name)?;
        let key = trustpoint.import_bundle(bundle);
        Ok(store.save(Some(&trustpoint), Some(&key))?)
    }

    /// `ca export TRUSTPOINT …`.
    pub fn export(&self, name: &str, words: &[String]) -> Outcome {
        let given: Vec<&str> = words.iter().map(String::as_str).collect();
        let store = self.place.open()?;
        let trustpoint = store.trustpoint(name)?;
        match given.as_slice() {
            ["identity-certificate"] => {
                let identity = trustpoint.identity.as_ref();
                print!(
                    "{}",
                    identity.ok_or_else(|| trustpoint.not_enrolled())?.pem()
                );
            }
            ["pkcs12", passphrase] => {
                let bundle = trustpoint.bundle(store.key_of(&trustpoint)?)?;
                let written = Zeroizing::new(bundle.to_pkcs12(&trustpoint.name, passphrase)?);
                print!("{}", bundle::armour("PKCS12", &written));
            }
            _ => {
                return usage("say `export TRUSTPOINT {identity-certificate | pkcs12 PASSPHRASE}`");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A trustpoint as the configuration defines it.
    fn settings(&self, name: &str) -> Result<Settings, Failure> {
        let Some((path, config)) = self.config else {
            return Ok(Settings {
                name: name.to_owned(),
                ..Settings::default()
            });
        };
        let (all, errors) = Settings::all(config);
        for error in &errors {
            eprintln!("postern: {error}");
        }
        all.into_iter()
            .find(|own| own.name == name)
            .ok_or_else(|| Failure::Usage(format!("{path} has no `crypto ca trustpoint {name}`")))
    }
}

fn tell_concerns(certificate: &Certificate, now: Date) {
    for concern in certificate.concerns(now) {
        println!("WARNING: {concern}");
    }
}

fn tell_paste(what: &str, is_asked: bool) {
    if is_asked {
        println!("Enter {what}.\nEnd with the word \"quit\" on a line by itself");
    }
}

fn missing(what: &str) -> Failure {
    Failure::Usage(format!("{what} is missing"))
}

fn usage(text: &str) -> Outcome {
    Err(Failure::Usage(text.to_owned()))
}

/// What is stored, as it is shown; whether there is what was asked for.
pub fn show(place: &Place, words: &[&str]) -> Result<(String, bool), Failure> {
    use crate::pki::show::{certificates, trustpoints};
    let refuse = |text: &str| Err(Failure::Usage(text.to_owned()));
    if let ["ca", "crls", name @ ..] = words
        && name.len() < 2
    {
        return Ok((revocation::lists(place, name.first().copied())?, true));
    }
    if let ["key", "mypubkey", family] = words {
        let Some(family) = Family::named(family) else {
            return refuse("say `show crypto key mypubkey {rsa | ecdsa | eddsa}`");
        };
        let text = mypubkey::print(place.open()?.keys()?.iter(), family);
        return Ok((text, true));
    }
    let (print, name): (fn(_) -> _, _) = match words {
        ["ca", "certificates", name @ ..] if name.len() < 2 => (certificates, name.first()),
        ["ca", "trustpoints", name @ ..] if name.len() < 2 => (trustpoints, name.first()),
        _ => {
            return refuse("say `show crypto ca {certificates | crls | trustpoints} [TRUSTPOINT]`");
        }
    };
    let all = place.open()?.trustpoints()?;
    let is_meant = |own: &&Trustpoint| name.is_none_or(|name| *name == own.name);
    let meant: Vec<&Trustpoint> = all.iter().filter(is_meant).collect();
    let is_found = name.is_none() || meant.iter().any(|own| own.state() != State::Defined);
    Ok((print(meant.iter().copied()), is_found))
}
