//! `show tls-proxy`, `show tls-proxy session [count | detail]`, in the device's shape.

use std::fmt::{self, Write};

use super::proxy::Proxy;
use super::sessions::Sessions;

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

/// `show tls-proxy session`, with `detail` the state of both legs.
pub fn sessions(sessions: &Sessions, is_detailed: bool) -> String {
    let mut text = count(sessions);
    for (id, open) in sessions.iter() {
        let Some(seen) = &open.seen else {
            continue;
        };
        let (dialler, dialled) = (&seen.dialler, &seen.dialled);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {} P:({}) S:{:#010x} byte {}",
            dialler.interface,
            dialler.address,
            dialled.interface,
            dialled.address,
            open.proxy,
            id.0,
            seen.bytes
        );
        if is_detailed {
            let _ = writeln!(
                text,
                "        Client: State {}",
                state(seen.client.as_ref())
            );
            let _ = writeln!(
                text,
                "        Server: State {}",
                state(seen.server.as_ref())
            );
        }
    }
    text
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
