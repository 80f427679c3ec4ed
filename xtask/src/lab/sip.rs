//! Kamailio with presence in each network, and what its users do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use super::certificates::Authority;
use super::media::PACKETS;
use super::process;
use super::user::User;
use crate::networks::{FAR, Lab, Side};
use crate::process::{Failure, Result, at};

/// One enterprise's presence server.
pub struct Presence {
    /// Where it is.
    pub side: Side,
    /// Whom it serves.
    pub domain: &'static str,
    other_domain: &'static str,
    /// Its own address.
    pub address: &'static str,
    folder: PathBuf,
    process: Child,
}

/// Who is where.
struct Office {
    side: Side,
    domain: &'static str,
    address: &'static str,
    /// How the other one reaches it.
    dialled: &'static str,
}

const OFFICES: [Office; 2] = [
    Office {
        side: Side::Inside,
        domain: "office.example",
        address: "10.0.0.2",
        dialled: "192.0.2.2",
    },
    Office {
        side: Side::Outside,
        domain: "partner.example",
        address: FAR,
        dialled: FAR,
    },
];

/// Starts both.
pub fn start(lab: &Lab, authorities: [&Authority; 2], folder: &Path) -> Result<[Presence; 2]> {
    let ([ours, theirs], [internal, public]) = (&OFFICES, authorities);
    Ok([
        begin(lab, internal, folder, ours, theirs)?,
        begin(lab, public, folder, theirs, ours)?,
    ])
}

fn begin(
    lab: &Lab,
    authority: &Authority,
    folder: &Path,
    own: &Office,
    other: &Office,
) -> Result<Presence> {
    let folder = folder.join(format!("sip.{}", own.domain));
    fs::create_dir_all(folder.join("tables")).map_err(at(&folder))?;
    authority.issue(&folder, own.domain)?;
    for table in [
        "version",
        "presentity",
        "active_watchers",
        "watchers",
        "xcap",
    ] {
        let (from, to) = (
            Path::new(TABLES).join(table),
            folder.join("tables").join(table),
        );
        fs::copy(&from, to).map_err(at(&from))?;
    }
    let fill = |text: &str| {
        text.replace("{folder}", &folder.display().to_string())
            .replace("{domain}", own.domain)
            .replace("{address}", own.address)
            .replace("{other_domain}", other.domain)
            .replace("{other_address}", other.dialled)
    };
    for (name, text) in [
        ("kamailio.cfg", include_str!("kamailio.cfg")),
        ("tls.cfg", include_str!("tls.cfg")),
    ] {
        let path = folder.join(name);
        fs::write(&path, fill(text)).map_err(at(&path))?;
    }
    let mut command = lab.command(own.side, "kamailio");
    command
        .args(["-DD", "-E", "-m", "64", "-M", "8", "-Y"])
        .arg(&folder);
    command.arg("-f").arg(folder.join("kamailio.cfg"));
    let process = process::spawn(&mut command, &folder.join("kamailio.log"))?;
    process::await_port(lab, own.side, &format!("{}:5061", own.address))?;
    Ok(Presence {
        side: own.side,
        domain: own.domain,
        other_domain: other.domain,
        address: own.address,
        folder,
        process,
    })
}

/// A user of one enterprise asks, subscribes, writes and calls. What was seen, in words.
pub fn talk(lab: &Lab, caller: &Presence, callee: &Presence) -> Result<String> {
    let mut telephone = User::new(lab, callee, 5080)?;
    let mut user = User::new(lab, caller, 5070)?;
    std::thread::scope(|scope| {
        let call = scope.spawn(move || telephone.take_call());
        user.talk_to(caller.other_domain)?;
        call.join()
            .unwrap_or_else(|_| Err(Failure::Check("the telephone panicked".into())))
    })?;
    let heard = fs::read(callee.folder.join("kamailio.log")).map_err(at(&callee.folder))?;
    let heard = String::from_utf8_lossy(&heard);
    for method in ["OPTIONS", "SUBSCRIBE", "MESSAGE", "INVITE", "ACK", "BYE"] {
        if !heard.contains(&format!("RECEIVED {method} verified=1")) {
            return Err(Failure::Check(format!(
                "{} did not get {method} over mutual TLS; see {}",
                callee.domain,
                callee.folder.display()
            )));
        }
    }
    Ok(format!(
        "SIP, {} to {}: OPTIONS, SUBSCRIBE, NOTIFY, MESSAGE, INVITE, ACK and BYE over mutual TLS; \
         {PACKETS} RTP packets and one of RTCP there and back",
        caller.domain, caller.other_domain
    ))
}

/// Looks for addresses of ours in all that the partner heard over TLS. What was seen, in words.
pub fn search_leaks(offices: &[Presence; 2]) -> Result<String> {
    let [_, partner] = offices;
    let log = partner.folder.join("kamailio.log");
    let heard = fs::read(&log).map_err(at(&log))?;
    let heard = String::from_utf8_lossy(&heard);
    let messages = heard.split("RECEIVED ").skip(1);
    let messages: Vec<&str> = messages
        .filter_map(|text| text.split("]END").next())
        .collect();
    match messages.iter().find(|message| message.contains("10.0.0.")) {
        Some(leak) => Err(Failure::Check(format!(
            "an inside address is seen:\n{leak}"
        ))),
        None => Ok(format!(
            "SIP: {} messages reached {}, none with an inside address",
            messages.len(),
            partner.domain
        )),
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        process::end(&mut self.process);
    }
}

/// Where Debian's Kamailio keeps its empty tables.
const TABLES: &str = "/usr/share/kamailio/dbtext/kamailio";
