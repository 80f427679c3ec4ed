//! `tls-proxy`.

use super::{Handler, Mode, Parser};
use crate::config::ast::tls_proxy::TlsProxy;
use crate::config::cursor::{Cursor, Keywords, MAX_NAME, Taken};
use crate::config::source::Spanned;

/// Commands of the sub-mode.
pub const COMMANDS: Keywords<'static, Handler> = &[("server", server), ("client", client)];

/// `tls-proxy NAME` or `tls-proxy maximum-session N`.
pub fn tls_proxy(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if c.eat_full("maximum-session") || c.eat_full("maximum-sessions") {
        let limit = if c.is_negated && c.is_at_end() {
            None
        } else {
            Some(c.take_number("a number of sessions", 1, 1_000_000)?)
        };
        c.eat("noconfirm");
        c.end()?;
        let span = c.span();
        p.config.tls_proxy_limit = limit
            .filter(|_| !c.is_negated)
            .map(|limit| Spanned::new(limit.node, span));
        return Ok(Mode::Global);
    }
    let name = c.take_name("a name", MAX_NAME)?;
    c.eat("noconfirm");
    c.end()?;
    if c.is_negated {
        if !super::remove_named(&mut p.config.tls_proxies, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let proxies = &mut p.config.tls_proxies;
    let index = proxies
        .iter()
        .position(|proxy| proxy.name == name)
        .unwrap_or_else(|| {
            proxies.push(TlsProxy::new(name));
            proxies.len() - 1
        });
    Ok(Mode::TlsProxy(index))
}

fn current<'p>(p: &'p mut Parser) -> Option<&'p mut TlsProxy> {
    match p.mode {
        Mode::TlsProxy(index) => p.config.tls_proxies.get_mut(index),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Word {
    TrustPoint,
    Authenticate,
    CipherSuite,
    Ldc,
}

fn server(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let word = c.take_keyword(
        "trust-point, authenticate-client or cipher-suite",
        &[
            ("trust-point", Word::TrustPoint),
            ("authenticate-client", Word::Authenticate),
            ("cipher-suite", Word::CipherSuite),
        ],
    )?;
    match word {
        Word::TrustPoint => {
            let name = c.take_unless_negated(|c| c.take_name("a trustpoint", MAX_NAME))?;
            set(p, |proxy| proxy.server_trust_point = name)
        }
        Word::Authenticate => {
            c.end()?;
            // The device authenticates by default; only the negation is kept.
            let flag = c.is_negated.then(|| Spanned::new((), c.span()));
            set(p, |proxy| proxy.no_authenticate_client = flag)
        }
        Word::CipherSuite | Word::Ldc => {
            let suites = c.take_unless_negated(|c| c.take_words("cipher suites"))?;
            set(p, |proxy| proxy.server_cipher_suites = suites)
        }
    }
}

fn client(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let word = c.take_keyword(
        "trust-point, ldc or cipher-suite",
        &[
            ("trust-point", Word::TrustPoint),
            ("ldc", Word::Ldc),
            ("cipher-suite", Word::CipherSuite),
        ],
    )?;
    match word {
        Word::TrustPoint => {
            let name = c.take_unless_negated(|c| c.take_name("a trustpoint", MAX_NAME))?;
            set(p, |proxy| proxy.client_trust_point = name)
        }
        Word::Ldc => {
            let is_issuer = c.take_keyword(
                "issuer or key-pair",
                &[("issuer", true), ("key-pair", false)],
            )?;
            let name = c.take_unless_negated(|c| c.take_name("a name", MAX_NAME))?;
            set(p, |proxy| {
                if is_issuer {
                    proxy.client_ldc_issuer = name;
                } else {
                    proxy.client_ldc_key_pair = name;
                }
            })
        }
        Word::CipherSuite | Word::Authenticate => {
            let suites = c.take_unless_negated(|c| c.take_words("cipher suites"))?;
            set(p, |proxy| proxy.client_cipher_suites = suites)
        }
    }
}

fn set(p: &mut Parser, change: impl FnOnce(&mut TlsProxy)) -> Taken<Mode> {
    if let Some(proxy) = current(p) {
        change(proxy);
    }
    Ok(p.mode)
}
