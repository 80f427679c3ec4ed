//! `crypto ca authenticate` and `crypto ca enroll` for a trustpoint that enrols over the network.

use std::process::ExitCode;

use super::{Confirmation, Dialogue, Place, clock_now, missing};
use crate::cli::{Failure, Outcome, input};
use crate::control::client;
use crate::enrol::prove::MachineDoor;
use crate::enrol::{self, Desk, Wish};
use crate::pki::settings::{Secret, Server, Via};
use crate::pki::{Certificate, Settings};

/// What is said behind `enroll TRUSTPOINT`.
#[derive(Debug, Default)]
pub struct Said {
    /// Nothing is asked.
    pub is_asked: bool,
    /// `regenerate`.
    pub regenerates: bool,
    /// `shared-secret`.
    pub secret: Option<String>,
    /// `signing-certificate`.
    pub signer: Option<String>,
}

impl Said {
    /// Reads `[regenerate] [{shared-secret VALUE | signing-certificate TRUSTPOINT}] [noconfirm]`.
    pub fn read(words: &[String]) -> Result<Self, Failure> {
        let mut said = Self {
            is_asked: true,
            ..Self::default()
        };
        let mut rest = words.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            match word {
                "noconfirm" => said.is_asked = false,
                "regenerate" => said.regenerates = true,
                "shared-secret" => {
                    let secret = rest.next().ok_or_else(|| missing("the secret"))?;
                    said.secret = Some(secret.to_owned());
                }
                "signing-certificate" => {
                    let signer = rest.next().ok_or_else(|| missing("a trustpoint"))?;
                    said.signer = Some(signer.to_owned());
                }
                _ => {
                    return Err(Failure::Usage(
                        "say `enroll TRUSTPOINT [regenerate] [{shared-secret VALUE | signing-certificate TRUSTPOINT}] [noconfirm]`"
                            .into(),
                    ));
                }
            }
        }
        Ok(said)
    }
}

/// Whether the server says who its authority is.
pub fn tells_authorities(server: &Server) -> bool {
    matches!(server.protocol, Via::Scep | Via::Est)
}

/// Fetches the authority's certificate.
pub fn fetch(
    place: &Place,
    server: &Server,
    confirmation: &Confirmation,
) -> Result<Certificate, Failure> {
    let open = || place.open();
    let desk = Desk {
        open: &open,
        now: &clock_now,
        door: &MachineDoor,
    };
    let found = block_on(enrol::authorities(&desk, server))??;
    let chosen = enrol::anchor(&found, confirmation.expected.as_deref());
    chosen.cloned().ok_or_else(|| {
        Failure::Usage(match &confirmation.expected {
            Some(expected) => format!(
                "no certificate of {} has the fingerprint {expected}: none is taken",
                server.url
            ),
            None => format!("{} has no authority's certificate", server.url),
        })
    })
}

impl Dialogue<'_> {
    /// Gets a certificate, asks for one that is awaited, or has a firewall that runs ask.
    pub(super) fn enroll_over_network(
        &mut self,
        mut settings: Settings,
        server: &Server,
        said: Said,
    ) -> Outcome {
        if let Some(secret) = said.secret {
            settings.password = Some(Secret::new(secret.into_bytes()));
        }
        if said.is_asked {
            if server.protocol == Via::Scep && settings.password.is_none() {
                // It is kept nowhere.
                let typed = input::password(self.input)?;
                settings.password = typed.map(|typed| Secret::new(typed.as_bytes().to_vec()));
            }
            if !input::ask(self.input, "Request certificate from CA?")? {
                return Ok(ExitCode::from(1));
            }
        }
        let place = self.place;
        let open = || place.open();
        let desk = Desk {
            open: &open,
            now: &clock_now,
            door: &MachineDoor,
        };
        let wish = Wish {
            regenerates: said.regenerates,
            signer: said.signer,
        };
        if settings.proves_at_a_port() && client::is_running(place.directory()) {
            if settings.renewal.is_some() {
                enrol::leave(&desk, &settings, &wish)?;
                println!("{LEFT}");
                return Ok(ExitCode::SUCCESS);
            }
            println!("{OWN_PORTS}");
        }
        let outcome = block_on(enrol::enrol(&desk, &settings, &wish))??;
        println!("{outcome}");
        match outcome {
            enrol::Outcome::Enrolled(trustpoint) => {
                if let Some(identity) = &trustpoint.identity {
                    super::tell_concerns(identity, clock_now());
                }
            }
            enrol::Outcome::Waiting(_) => println!(
                "The certificate request is pending: the same command asks for it, and so does a running firewall."
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Who enrols when a firewall runs that keeps the certificate.
const LEFT: &str = "INFO: The firewall that runs asks for it, and shows its proof at addresses of the card; \
    `show crypto ca trustpoints` tells when it is there, the firewall's log why it is not.";
/// Where a proof is looked for that the firewall does not show.
const OWN_PORTS: &str = "WARNING: The authority has to find its proof at this machine, not at addresses of the card; \
    with `auto-enroll` in the trustpoint the firewall that runs shows it there.";

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
