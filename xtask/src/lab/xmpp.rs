//! Prosody in each network, one behind the usual port and one behind an odd one, and the names by which they are found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::certificates::Authority;
use super::process;
use crate::networks::{CLIENT, FAR, Lab, Side};
use crate::process::{Failure, Result, at, capture};

/// An enterprise's XMPP server and the name server that it asks.
pub struct Xmpp {
    domain: &'static str,
    folder: PathBuf,
    process: Child,
    names: Option<Child>,
}

/// Domain, network and address.
const SERVERS: [(&str, Side, &str); 3] = [
    ("xmpp.office.example", Side::Inside, CLIENT),
    ("second.office.example", Side::Inside, "10.0.0.10"),
    ("xmpp.partner.example", Side::Outside, FAR),
];
/// What the outside finds: both servers have one public address.
const OUTSIDE_NAMES: &[&str] = &[
    "--host-record=public.office.example,192.0.2.10",
    "--srv-host=_xmpp-server._tcp.xmpp.office.example,public.office.example,5269",
    "--srv-host=_xmpp-server._tcp.second.office.example,public.office.example,25269",
];
/// What the inside finds.
const INSIDE_NAMES: &[&str] = &[
    "--host-record=public.partner.example,198.51.100.7",
    "--srv-host=_xmpp-server._tcp.xmpp.partner.example,public.partner.example,5269",
];

/// Starts all of them.
pub fn start(lab: &Lab, authority: &Authority, folder: &Path) -> Result<[Xmpp; 3]> {
    let resolver = folder.join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.1\n").map_err(at(&resolver))?;
    let mut names = [
        Some(name_server(lab, folder, Side::Inside, INSIDE_NAMES)?),
        None,
        Some(name_server(lab, folder, Side::Outside, OUTSIDE_NAMES)?),
    ];
    let mut begin = |number: usize| {
        let (domain, side, address) = SERVERS[number];
        let folder = folder.join(domain);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        authority.issue(&folder, domain)?;
        let path = folder.join("prosody.cfg.lua");
        let text = include_str!("prosody.cfg.lua")
            .replace("{folder}", &folder.display().to_string())
            .replace("{domain}", domain)
            .replace("{address}", address);
        fs::write(&path, text).map_err(at(&path))?;
        // A private mount of the file that says who knows names.
        let script = "mount --bind \"$1\" /etc/resolv.conf && exec prosody --config \"$2\" -F";
        let mut command = lab.command(side, "unshare");
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&resolver)
            .arg(&path);
        let process = process::spawn(&mut command, &folder.join("prosody.log"))?;
        process::await_port(lab, side, &format!("{address}:5269"))?;
        Ok(Xmpp {
            domain,
            folder,
            process,
            names: names[number].take(),
        })
    };
    Ok([begin(0)?, begin(1)?, begin(2)?])
}

/// Each server of ours asks the other enterprise, and is asked. What was seen, in words.
pub fn ping(servers: &[Xmpp; 3]) -> Result<Vec<String>> {
    let [first, second, partner] = servers;
    let mut told = Vec::new();
    for (from, to) in [
        (first, partner),
        (partner, first),
        (second, partner),
        (partner, second),
    ] {
        let mut shell = Command::new("prosodyctl");
        shell
            .arg("--config")
            .arg(from.folder.join("prosody.cfg.lua"));
        shell.args(["shell", "xmpp", "ping", from.domain, to.domain]);
        let answer = capture(&mut shell)?;
        if !answer.contains("pong from") {
            return Err(Failure::Check(format!(
                "{} does not reach {}: {}; see {}",
                from.domain,
                to.domain,
                answer.trim(),
                from.folder.display()
            )));
        }
        told.push(format!("XMPP, {} to {}: answered", from.domain, to.domain));
    }
    Ok(told)
}

fn name_server(lab: &Lab, folder: &Path, side: Side, names: &[&str]) -> Result<Child> {
    let mut command = lab.command(side, "dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--log-facility=-",
        "--user=root",
        "--pid-file=",
    ]);
    command.args([
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--local=/example/",
    ]);
    command
        .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
        .args(names);
    let log = folder.join(format!("names-{side:?}.log"));
    process::spawn_until(&mut command, &log, "started")
}

impl Drop for Xmpp {
    fn drop(&mut self) {
        process::end(&mut self.process);
        if let Some(names) = &mut self.names {
            process::end(names);
        }
    }
}
