//! The HTTP client of enrolment: one exchange with a server that may be slow, lying or broken.
//!
//! Comes in: what to ask and whom to trust. Goes out: the answer, at most [`MAX_ANSWER_BYTES`] or [`MAX_LIST_BYTES`] of
//! it, within [`EXCHANGE_TIME`], redirects and all. A redirect leads to `http` or `https`, never from `https` to `http`, and never
//! takes a password to another host. RFC 9110 §15.4.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Pool};
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::pki::enrol::{Answer, Ask, MAX_ANSWER_BYTES};
use crate::pki::revocation::MAX_LIST_BYTES;
use crate::pki::{Certificate, Key};

/// How long an exchange may take, from the name of the host to the last byte.
pub const EXCHANGE_TIME: Duration = Duration::from_secs(30);
/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be asked.
    #[error("{url}: {reason}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server was not reached, or is not whom it should be.
    #[error("{url}: {reason}")]
    Exchange {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The server is too slow.
    #[error("{url}: no whole answer within {limit:?}")]
    Slow {
        /// What was asked.
        url: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The settings of TLS cannot be made.
    #[error("TLS towards the authority's server: {0}")]
    Tls(String),
}

/// Who may answer over TLS.
#[derive(Clone, Debug)]
pub enum Trust {
    /// A server with a certificate from one of these.
    Known(Vec<Certificate>),
    /// Any server: what it says is believed only after an operator, or a fingerprint, has confirmed it (RFC 7030
    /// §4.1.1).
    Anyone,
}

/// What we show of ourselves.
#[derive(Default)]
pub struct Credentials<'a> {
    /// Certificate chain and key.
    pub identity: Option<(Vec<Certificate>, &'a Key)>,
    /// User and password, for the host that is asked first.
    pub password: Option<(&'a str, &'a str)>,
}

/// A client with its settings.
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    authorization: Option<String>,
    limit: Duration,
    most_bytes: usize,
}

impl Client {
    /// Makes a client.
    pub fn new(trust: Trust, credentials: &Credentials<'_>) -> Result<Self, Error> {
        let config = settings(trust, credentials)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let authorization = credentials.password.map(|(user, password)| {
            let encoded = base64(format!("{user}:{password}").as_bytes());
            format!("Basic {encoded}")
        });
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            authorization,
            limit: EXCHANGE_TIME,
            most_bytes: MAX_ANSWER_BYTES,
        })
    }

    /// With another limit of time.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Asks, and follows redirects.
    pub async fn exchange(&self, ask: &Ask) -> Result<Answer, Error> {
        let slow = || Error::Slow {
            url: ask.url.clone(),
            limit: self.limit,
        };
        tokio::time::timeout(self.limit, self.follow(ask))
            .await
            .map_err(|_| slow())?
    }

    async fn follow(&self, ask: &Ask) -> Result<Answer, Error> {
        let first = parse(&ask.url)?;
        let mut at = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let is_first = same_host(&at, &first);
            let response = self.send(ask, &at, is_first).await?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                return self.read(&at, response).await;
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            at = redirect(ask.body.is_some(), &at, response.status(), location)?;
        }
        Err(Error::Url {
            url: ask.url.clone(),
            reason: "the server redirects too often",
        })
    }

    async fn send(&self, ask: &Ask, at: &Uri, is_first: bool) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder().uri(at.clone());
        if !ask.accept.is_empty() {
            request = request.header(ACCEPT, ask.accept);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| is_first) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = match &ask.body {
            None => request.method(Method::GET).body(Full::default()),
            Some(body) => request
                .method(Method::POST)
                .header(CONTENT_TYPE, body.content_type)
                .body(Full::from(body.bytes.clone())),
        };
        let request = request.map_err(|error| failed(at, &error.to_string()))?;
        let answer = self.pool.request(request).await;
        answer.map_err(|error| failed(at, &reason(&error)))
    }

    /// Sends a request as it is, without redirects.
    pub async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Error> {
        let at = request.uri().clone();
        check(&at)?;
        let whole = async {
            let answer = self.pool.request(request).await;
            let (parts, body) = answer
                .map_err(|error| failed(&at, &reason(&error)))?
                .into_parts();
            Ok(Response::from_parts(
                parts,
                Full::new(self.collect(&at, body).await?),
            ))
        };
        let slow = || Error::Slow {
            url: at.to_string(),
            limit: self.limit,
        };
        tokio::time::timeout(self.limit, whole)
            .await
            .map_err(|_| slow())?
    }

    async fn read(&self, at: &Uri, response: Response<Incoming>) -> Result<Answer, Error> {
        let (parts, body) = response.into_parts();
        let bytes = self.collect(at, body).await?;
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default();
        Ok(Answer {
            status: parts.status.as_u16(),
            content_type: content_type.trim().to_ascii_lowercase(),
            retry_after: retry_after(&parts.headers),
            body: bytes.to_vec(),
        })
    }

    async fn collect(&self, at: &Uri, body: Incoming) -> Result<Bytes, Error> {
        let whole = Limited::new(body, self.most_bytes).collect().await;
        let whole = whole.map_err(|error| {
            let text = match error.is::<http_body_util::LengthLimitError>() {
                true => format!("the answer is longer than {} bytes", self.most_bytes),
                false => format!("the answer breaks off: {error}"),
            };
            failed(at, &text)
        })?;
        Ok(whole.to_bytes())
    }
}

/// Gets what an authority signed, a list of revocations at the longest: whoever hands it over need not be trusted. Each
/// exchange has a connection of its own, since responders that serve one at a time would wait for a spare one that a pool
/// keeps.
pub async fn fetch_signed(ask: &Ask) -> Result<Answer, Error> {
    let client = Client {
        most_bytes: MAX_LIST_BYTES,
        ..Client::new(Trust::Anyone, &Credentials::default())?
    };
    client.exchange(ask).await
}

/// Where a redirect of a request leads, which `posts` or asks.
fn redirect(
    posts: bool,
    from: &Uri,
    status: StatusCode,
    location: Option<&str>,
) -> Result<Uri, Error> {
    let refuse = |reason| Error::Url {
        url: from.to_string(),
        reason,
    };
    let keeps_method = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if posts && !keeps_method.contains(&status) {
        return Err(refuse(
            "the server redirects a request that it should have taken",
        ));
    }
    let location = location.ok_or_else(|| refuse("the server redirects, but not where to"))?;
    let to = if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = location.parse().ok();
        Uri::from_parts(parts).map_err(|_| refuse("the server redirects to no address"))?
    } else {
        parse(location)?
    };
    if from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS) {
        return Err(refuse(
            "the server redirects from https to http, which is not followed",
        ));
    }
    Ok(to)
}

fn parse(url: &str) -> Result<Uri, Error> {
    let parsed = url.parse().map_err(|_| Error::Url {
        url: url.to_owned(),
        reason: "this is not an address",
    })?;
    check(&parsed)?;
    Ok(parsed)
}

fn check(url: &Uri) -> Result<(), Error> {
    let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme());
    let has_user = url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    match is_http && url.host().is_some_and(|host| !host.is_empty()) && !has_user {
        true => Ok(()),
        false => Err(Error::Url {
            url: url.to_string(),
            reason: "only http and https are asked, and without a user in the address",
        }),
    }
}

fn same_host(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| {
        uri.authority()
            .map(Authority::as_str)
            .map(str::to_lowercase)
    };
    one.scheme() == other.scheme() && host(one) == host(other)
}

/// Only the form in seconds: the other needs a clock that agrees with the server's.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok()
}

fn failed(at: &Uri, reason: &str) -> Error {
    Error::Exchange {
        url: at.to_string(),
        reason: reason.to_owned(),
    }
}

/// What went wrong, from the library's inmost words, with what to do about it.
fn reason(error: &legacy::Error) -> String {
    let mut inmost: &dyn std::error::Error = error;
    while let Some(source) = inmost.source() {
        inmost = source;
    }
    let text = inmost.to_string();
    match text.contains("UnknownIssuer") {
        true => format!(
            "{text}: no trustpoint holds the authority of this server's certificate; authenticate one that does"
        ),
        false => text,
    }
}

fn settings(trust: Trust, credentials: &Credentials<'_>) -> Result<ClientConfig, Error> {
    let library = |error: rustls::Error| Error::Tls(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(library)?;
    let builder = match trust {
        Trust::Known(authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.into_iter().map(|known| known.der));
            builder.with_root_certificates(roots)
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Provisional(provider))),
    };
    match &credentials.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let chain = chain.iter().map(|own| own.der.clone()).collect();
            let signer = key
                .signer()
                .map_err(|error| Error::Tls(error.to_string()))?;
            let certified = CertifiedKey::new(chain, signer);
            certified.keys_match().map_err(library)?;
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
        }
    }
}

/// Takes any certificate whose key signs the handshake.
#[derive(Debug)]
struct Provisional(Arc<CryptoProvider>);

impl ServerCertVerifier for Provisional {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Base64 in one line (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    let armoured = crate::pki::bundle::armour("X", bytes);
    armoured
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_with_https_and_a_path_stays_with_its_host() {
        let to = |from: &str, location| {
            let from = parse(from).expect("an address");
            redirect(false, &from, StatusCode::FOUND, location).map(|to| to.to_string())
        };
        let secure = "https://a.example:8443/x?y";
        assert_eq!(
            to(secure, Some("/z")).ok().as_deref(),
            Some("https://a.example:8443/z")
        );
        let other = "https://b.example/z";
        assert_eq!(to(secure, Some(other)).ok().as_deref(), Some(other));
        let down = to(secure, Some("http://a.example:8443/z")).expect_err("open");
        assert!(down.to_string().contains("from https to http"), "{down}");
        assert!(to("http://a.example/", Some(other)).is_ok());
        assert!(to(secure, None).is_err());
    }
}
