//! SIPp on both sides: calls without TLS, over UDP and over TCP, from behind an address that many share.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process;
use crate::networks::{Lab, Side};
use crate::process::{Failure, Result, at, capture};

/// The telephones outside.
pub const OUTSIDE: &str = "198.51.100.9";
/// The telephones inside.
pub const INSIDE: &str = "10.0.0.20";
/// Calls over each transport.
const CALLS: &str = "5";

/// Calls over both transports. What was seen, in words.
pub fn call(lab: &Lab, folder: &Path) -> Result<Vec<String>> {
    let told = [("UDP", "u1"), ("TCP", "t1")].map(|(name, transport)| {
        let folder = folder.join(format!("sipp.{}", name.to_lowercase()));
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        talk(lab, &folder, transport)?;
        let heard = search(&folder)?;
        Ok(format!(
            "SIPp over {name}: {CALLS} calls, {heard} messages heard outside, none with an inside address"
        ))
    });
    told.into_iter().collect()
}

fn talk(lab: &Lab, folder: &Path, transport: &str) -> Result {
    let sipp = |side, address: &str, scenario: &str| {
        let mut command = lab.command(side, "sipp");
        command.current_dir(folder);
        command.args([
            "-sn", scenario, "-i", address, "-p", "5060", "-t", transport,
        ]);
        command.args(["-m", CALLS, "-nostdin", "-timeout", "60", "-timeout_error"]);
        command.args(["-trace_msg", "-message_file", &format!("{scenario}.txt")]);
        command
    };
    let mut callee = process::spawn(
        &mut sipp(Side::Outside, OUTSIDE, "uas"),
        &folder.join("uas.log"),
    )?;
    let result = await_listener(lab, transport).and_then(|()| {
        let mut caller: Command = sipp(Side::Inside, INSIDE, "uac");
        capture(caller.arg(format!("{OUTSIDE}:5060"))).map(drop)
    });
    process::end(&mut callee);
    result
}

/// Waits until the callee has its port.
fn await_listener(lab: &Lab, transport: &str) -> Result {
    if transport == "t1" {
        return process::await_port(lab, Side::Outside, &format!("{OUTSIDE}:5060"));
    }
    process::await_answer(
        || lab.command(Side::Outside, "ss"),
        &["-Hunl", &format!("src {OUTSIDE}:5060")],
    )
}

/// Looks for addresses of ours in all that the callee heard; gives how many messages that was.
fn search(folder: &Path) -> Result<usize> {
    let path = folder.join("uas.txt");
    let text = fs::read(&path).map_err(at(&path))?;
    let text = String::from_utf8_lossy(&text);
    match text.lines().find(|line| line.contains("10.0.0.")) {
        Some(leak) => Err(Failure::Check(format!("an inside address is seen: {leak}"))),
        None => Ok(text.matches("message received").count()),
    }
}
