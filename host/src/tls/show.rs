//! `show tls-proxy`, `show tls-proxy session [count | detail]`, in the device's shape.

use std::fmt::{self, Write};

use super::proxy::Proxy;
use super::sessions::{Open, SessionId, Sessions};

/// `show tls-proxy`: the proxies and what they have done. `class` names the class-map that leads to each.
pub fn proxies<'a>(
    proxies: impl Iterator<Item = (&'a Proxy, &'a str)>,
    sessions: &Sessions,
) -> String {
    let mut text = String::new();
    for (number, (proxy, class)) in (1..).zip(proxies) {
        // Writing to a string cannot fail.
        let _ = write_proxy(&mut text, number, proxy, class, sessions);
    }
    text
}

/// `show tls-proxy session count`.
pub fn count(sessions: &Sessions) -> String {
    format!(
        "{} in use, {} most used\n",
        sessions.usage().total,
        sessions.most()
    )
}

/// The first lines of `show tls-proxy`: how many sessions there may be, and how many were too many.
pub fn limits(sessions: &Sessions) -> String {
    let limits = sessions.limits();
    let mut text = format!(
        "Maximum number of sessions: {}\nUC license: {} sessions, {} in use ({})\n",
        limits.proxy(),
        limits.licence(),
        sessions.usage().counted,
        limits.platform()
    );
    for (limit, count) in sessions.refused() {
        text += &format!("Refused: {count} by {limit}\n");
    }
    text
}

/// One session of `show tls-proxy session`, with or without the state of both legs.
pub struct Row<'a>(pub SessionId, pub &'a Open, pub bool);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, open, is_detailed) = self;
        // Nothing is known of one that has just begun.
        let Some(seen) = &open.seen else {
            return Ok(());
        };
        let (dialler, dialled) = (&seen.dialler, &seen.dialled);
        writeln!(
            f,
            "{} {} {} {} P:({}) S:{:#010x} byte {}",
            dialler.interface,
            dialler.address,
            dialled.interface,
            dialled.address,
            open.proxy,
            id.0,
            seen.bytes
        )?;
        if *is_detailed {
            let (client, server) = (state(seen.client.as_ref()), state(seen.server.as_ref()));
            writeln!(f, "        Client: State {client}")?;
            writeln!(f, "        Server: State {server}")?;
        }
        Ok(())
    }
}

fn state(suite: Option<&String>) -> String {
    match suite {
        Some(suite) => format!("SSLOK Cipher {suite}"),
        None => "Handshake".to_owned(),
    }
}

fn write_proxy(
    out: &mut String,
    number: u32,
    proxy: &Proxy,
    class: &str,
    sessions: &Sessions,
) -> fmt::Result {
    let counts = sessions.counts(&proxy.name);
    writeln!(
        out,
        "TLS-Proxy '{}': ref_cnt {}, seq#{number}",
        proxy.name,
        counts.active + 1
    )?;
    write!(
        out,
        "        Server proxy: Trust-point: {}",
        proxy.server_trustpoint
    )?;
    match proxy.authenticates_client {
        true => writeln!(out)?,
        false => writeln!(out, "   Authenticate-client: no")?,
    }
    let client = proxy.client_trustpoint.as_deref().unwrap_or("none");
    write!(out, "        Client proxy: Trust-point: {client}")?;
    match proxy.client_suites.is_empty() {
        true => writeln!(out)?,
        false => writeln!(out, "   Cipher-suite {}", proxy.client_suites.join(" "))?,
    }
    writeln!(
        out,
        "        Run-time proxies: Class-map: {class}, Inspect: sip"
    )?;
    writeln!(
        out,
        "                Active sess {}, most sess {}, byte {}",
        counts.active, counts.most, counts.bytes
    )
}
