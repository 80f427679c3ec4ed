//! ACME (RFC 8555): an account, an order, proof that the names are ours, a certificate.
//!
//! Comes in: what a trustpoint is to be, its key, the account if there is one. Goes out: the account, when it is new,
//! before anything is ordered with it, and the certificates. The names that are proved are those that connections need:
//! the host's and its address.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, BodyWrapper, BytesResponse,
    CertificateIdentifier, ChallengeType, ExternalAccountKey, HttpClient, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use zeroize::Zeroizing;

use super::http::Client;
use super::prove::{Door, Proof, Stage, fault};
use crate::pki::enrol::cms;
use crate::pki::settings::{Challenge, Server};
use crate::pki::{self, Certificate, Date, Key, Settings, request};

/// What an order is made from.
pub struct Errand<'a> {
    /// The authority's directory.
    pub server: &'a Server,
    /// Whom the certificate is to name.
    pub settings: &'a Settings,
    /// The key it is for.
    pub key: &'a Key,
    /// The account, as [`Errand::keep`] got it.
    pub account: Option<Zeroizing<Vec<u8>>>,
    /// Keeps a new account.
    pub keep: &'a dyn Fn(&[u8]) -> Result<(), super::Error>,
    /// The certificate that the new one is to replace.
    pub replaced: Option<&'a Certificate>,
}

/// Gets a certificate. Who is to see a file or a certificate as proof finds it behind a door.
pub async fn issue(
    errand: &Errand<'_>,
    client: Arc<Client>,
    door: &dyn Door,
) -> Result<Vec<Certificate>, super::Error> {
    let named = Named::of(errand.settings)?;
    let account = open_account(errand, client).await?;
    let mut order = place(&account, errand, &named).await?;
    let text = fulfil(&mut order, errand, &named, door).await?;
    Ok(cms::certificates_of(text.as_bytes())?)
}

/// When the authority suggests to renew a certificate (RFC 9773), if it says.
pub async fn window(
    errand: &Errand<'_>,
    certificate: &Certificate,
    client: Arc<Client>,
) -> Result<Option<(Date, Date)>, super::Error> {
    let account = open_account(errand, client).await?;
    let Ok(id) = CertificateIdentifier::try_from(&certificate.der) else {
        return Ok(None);
    };
    match account.renewal_info(&id).await {
        Ok((info, _)) => {
            let window = info.suggested_window;
            let date = |at: time::OffsetDateTime| Date(at.unix_timestamp());
            Ok(Some((date(window.start), date(window.end))))
        }
        Err(instant_acme::Error::Unsupported(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn open_account(errand: &Errand<'_>, client: Arc<Client>) -> Result<Account, super::Error> {
    let builder = Account::builder_with_http(Box::new(Http(client)));
    if let Some(kept) = &errand.account {
        let kept = serde_json::from_slice(kept)
            .map_err(|_| fault("the account in the store cannot be read".into()))?;
        return builder.from_credentials(kept).await.map_err(failed);
    }
    let mail = errand
        .settings
        .mail
        .as_ref()
        .map(|mail| format!("mailto:{mail}"));
    let contact: Vec<&str> = mail.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = errand.settings.account.as_ref();
    let external = external.map(|own| ExternalAccountKey::new(own.kid.clone(), own.hmac.bytes()));
    let made = builder.create(&wanted, errand.server.url.clone(), external.as_ref());
    let (account, credentials) = made.await.map_err(failed)?;
    let text = serde_json::to_vec(&credentials)
        .map_err(|_| fault("the account cannot be written".into()))?;
    (errand.keep)(&Zeroizing::new(text))?;
    Ok(account)
}

async fn place(
    account: &Account,
    errand: &Errand<'_>,
    named: &Named,
) -> Result<Order, super::Error> {
    let id = errand
        .replaced
        .and_then(|old| CertificateIdentifier::try_from(&old.der).ok());
    if let Some(id) = id {
        let order = NewOrder::new(&named.identifiers).replaces(id);
        // An authority need not know what is replaced; then it is an order like any other.
        if let Ok(order) = account.new_order(&order).await {
            return Ok(order);
        }
    }
    let order = NewOrder::new(&named.identifiers);
    account.new_order(&order).await.map_err(failed)
}

async fn fulfil(
    order: &mut Order,
    errand: &Errand<'_>,
    named: &Named,
    door: &dyn Door,
) -> Result<String, super::Error> {
    let mut stage = Stage::new(door);
    let proved = prove(order, &errand.settings.challenge, &mut stage).await;
    let ready = match proved {
        Ok(()) => await_ready(order).await,
        Err(error) => Err(error),
    };
    stage.clear().await?;
    ready?;
    let request = request::encoded(&named.settings, errand.key, None)?;
    order.finalize_csr(&request).await.map_err(failed)?;
    order.poll_certificate(&PATIENCE).await.map_err(failed)
}

/// Sets up proof of every name that the authority does not know to be ours. One after the other, since each proof takes
/// the place of the one before.
async fn prove(
    order: &mut Order,
    way: &Challenge,
    stage: &mut Stage<'_>,
) -> Result<(), super::Error> {
    for at in 0..order.state().authorizations.len() {
        let mut all = order.authorizations();
        for _ in 0..at {
            all.next().await.transpose().map_err(failed)?;
        }
        if let Some(authorization) = all.next().await {
            let authorization = authorization.map_err(failed)?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            prove_one(authorization, way, stage).await?;
        }
        await_decision(order, at).await?;
    }
    Ok(())
}

/// Asks until an authority has looked.
async fn await_decision(order: &mut Order, at: usize) -> Result<(), super::Error> {
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut all = order.authorizations();
        for _ in 0..at {
            all.next().await.transpose().map_err(failed)?;
        }
        let Some(authorization) = all.next().await else {
            break;
        };
        let mut authorization = authorization.map_err(failed)?;
        let state = authorization.refresh().await.map_err(failed)?;
        if state.status != AuthorizationStatus::Pending {
            break;
        }
    }
    Ok(())
}

async fn prove_one(
    authorization: AuthorizationHandle<'_>,
    way: &Challenge,
    stage: &mut Stage<'_>,
) -> Result<(), super::Error> {
    let mut authorization = authorization;
    let identifier = authorization.identifier().to_string();
    let kind = match way {
        Challenge::Http => ChallengeType::Http01,
        Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        Challenge::Dns { .. } => ChallengeType::Dns01,
    };
    let Some(mut challenge) = authorization.challenge(kind) else {
        return Err(fault(format!(
            "the authority does not offer the challenge that `acme` names; {identifier} is to be proved another way"
        )));
    };
    let key = challenge.key_authorization();
    let name = challenge.identifier().to_string();
    let proof = match way {
        Challenge::Http => Proof::File {
            token: challenge.token.clone(),
            text: key.as_str().to_owned(),
        },
        Challenge::TlsAlpn => Proof::Certificate {
            name,
            digest: key.digest().as_ref().to_vec(),
        },
        Challenge::Dns { hook } => Proof::Record {
            hook: hook.clone(),
            name: format!("_acme-challenge.{}", name.trim_start_matches("*.")),
            value: key.dns_value(),
        },
    };
    stage.show(proof).await?;
    challenge.set_ready().await.map_err(failed)
}

async fn await_ready(order: &mut Order) -> Result<(), super::Error> {
    let status = order.poll_ready(&PATIENCE).await;
    if matches!(status, Ok(OrderStatus::Ready)) {
        return Ok(());
    }
    // The order says that it failed, its authorizations say why.
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            let errors = state.challenges.iter().filter_map(|own| own.error.as_ref());
            reasons.extend(errors.map(ToString::to_string));
        }
    }
    match status {
        _ if !reasons.is_empty() => Err(fault(format!(
            "the authority did not find the proof: {}",
            reasons.join("; ")
        ))),
        Err(error) => Err(failed(error)),
        Ok(status) => Err(fault(format!("the order ended as {status:?}"))),
    }
}

/// What is ordered, and the settings that say the same to the request: an authority refuses what it did not check.
struct Named {
    identifiers: Vec<Identifier>,
    settings: Settings,
}

impl Named {
    fn of(settings: &Settings) -> Result<Self, pki::Error> {
        let mut own = settings.clone();
        if own.fqdn.is_none() && own.address.is_none() {
            own.fqdn = request::common_name_of(settings)?;
        }
        (own.subject, own.mail) = (None, None);
        own.uris.clear();
        let host = own.fqdn.iter().cloned().map(Identifier::Dns);
        let address = own.address.iter().map(|own| Identifier::Ip((*own).into()));
        let identifiers = host.chain(address).collect();
        Ok(Self {
            identifiers,
            settings: own,
        })
    }
}

/// The client, as the library asks it.
struct Http(Arc<Client>);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>
    {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // It holds bytes, which cannot fail to be read.
            let body = body.collect().await.map(|whole| whole.to_bytes());
            let request = Request::from_parts(parts, Full::new(body.unwrap_or_default()));
            match client.request(request).await {
                Ok(response) => Ok(BytesResponse::from(response)),
                Err(error) => Err(instant_acme::Error::Other(Box::new(error))),
            }
        })
    }
}

fn failed(error: instant_acme::Error) -> super::Error {
    fault(error.to_string())
}

/// How often it is asked whether a proof was found, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const MOST_LOOKS: usize = 360;
/// How long an authority may look for a proof, or make a certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .timeout(Duration::from_secs(90));
