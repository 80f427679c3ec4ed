//! What the TLS proxy costs with SIP inspection on, beside haproxy and Kamailio where they are installed.
//!
//! `cargo bench --bench proxy`; behind `--` the words `handshakes`, `messages` and `memory` select. Needs root and
//! openssl. TLS 1.3, both legs with mutual authentication, nothing resumed. Each proxy is a process of its own in a
//! network namespace of its own, reached over the loopback; the load is elsewhere. CPU time is that of the proxy's
//! process, memory what its user space grew by (PSS). Rounds of the proxies alternate; the medians are printed.
//!
//! haproxy only copies. Kamailio handles transactions; it is not asked for connections, since it shares one towards the
//! server among all partners.

mod certificates;
mod client;
mod control;
mod ends;
mod load;
mod measure;
mod message;
mod network;
mod peers;
mod postern;
mod sections;
mod server;

use std::path::Path;

use rustix::process::{Resource, geteuid, getrlimit, setrlimit};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", folder] => return postern::serve(Path::new(folder)),
        ["answer", folder, exchange] => return server::run(Path::new(folder), exchange),
        _ => {}
    }
    if !geteuid().is_root() {
        println!("network namespaces need root: skipped");
        return;
    }
    let mut files = getrlimit(Resource::Nofile);
    // What is started here inherits it.
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("anyone may");
    let selected: Vec<&str> = words
        .into_iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!(
        "{}; TLS 1.3, mutual authentication on both legs",
        measure::cpu_model()
    );
    for (name, section) in sections::ALL {
        if selected.is_empty() || selected.contains(&name) {
            section();
        }
    }
}
