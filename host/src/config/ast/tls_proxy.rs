//! `tls-proxy`.

use super::{Flag, Name, Spanned};

/// `tls-proxy NAME`: one instance per dialling side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProxy {
    /// Name.
    pub name: Name,
    /// `server trust-point TP`: the certificate shown to whoever dials us.
    pub server_trust_point: Option<Name>,
    /// `no server authenticate-client`: do not ask the dialler for a certificate.
    pub no_authenticate_client: Flag,
    /// `server cipher-suite S...`, in order of preference.
    pub server_cipher_suites: Option<Spanned<Vec<String>>>,
    /// `client trust-point TP`: the certificate shown when we dial on.
    pub client_trust_point: Option<Name>,
    /// `client ldc issuer TP`: the trustpoint that signs certificates made on the fly.
    pub client_ldc_issuer: Option<Name>,
    /// `client ldc key-pair LABEL`.
    pub client_ldc_key_pair: Option<Name>,
    /// `client cipher-suite S...`, in order of preference.
    pub client_cipher_suites: Option<Spanned<Vec<String>>>,
}

impl TlsProxy {
    /// A proxy as it is before any command of its sub-mode.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            server_trust_point: None,
            no_authenticate_client: None,
            server_cipher_suites: None,
            client_trust_point: None,
            client_ldc_issuer: None,
            client_ldc_key_pair: None,
            client_cipher_suites: None,
        }
    }
}
