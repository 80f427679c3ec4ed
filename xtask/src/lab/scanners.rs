//! testssl.sh and sslscan, which know what is wrong with a TLS server, against the proxy of a running firewall.
//!
//! Their reports stay in `target/lab`. Whatever they find fails the run, except what is so because the certificate is of
//! a test authority. Nothing leaves the machine: neither asks a name server or anybody on the Internet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde::Deserialize;

use super::certificates::Authority;
use super::firewall::Firewall;
use super::process;
use crate::networks::{Lab, Side};
use crate::process::{Failure, Result, at, root};

/// Where the proxy is found outside, and by which name.
const SERVER: &str = "192.0.2.2:5061";
const NAME: &str = "office.example";
/// Findings of testssl.sh that a test authority is the reason of.
const OF_TEST_AUTHORITY: &[&str] = &[
    // It publishes neither CRL nor OCSP.
    "cert_revocation",
];
/// Complaints of testssl.sh about the OpenSSL that it runs on.
const OF_SCANNER: &[&str] = &["engine_problem"];
/// What a report of testssl.sh has at least, if it went to the end.
const LAST_TESTS: &[&str] = &["RC4", "LUCKY13", "cipher_order", "TLS1_3"];

/// A running firewall and a server behind it.
struct Scene {
    // Dropped in this order: programs before the networks they are in.
    server: Child,
    _firewall: Firewall,
    lab: Lab,
}

impl Drop for Scene {
    fn drop(&mut self) {
        process::end(&mut self.server);
    }
}

/// Runs both, and judges what they say.
pub fn scan(engine: &str, programs: &Path, folder: &Path) -> Result {
    let scene = Scene::start(engine, programs, folder)?;
    println!("    sslscan");
    let report = folder.join("sslscan.xml");
    let mut sslscan = scene.lab.command(Side::Outside, "sslscan");
    sslscan.arg(format!("--xml={}", report.display()));
    sslscan.args(["--no-colour", &format!("--sni-name={NAME}"), SERVER]);
    process::run(&mut sslscan)?;
    let text = fs::read_to_string(&report).map_err(at(&report))?;
    judge("sslscan", sslscan_findings(&text))?;
    println!("    testssl.sh, some minutes");
    let report = folder.join("testssl.json");
    let mut testssl = scene.lab.command(Side::Outside, "testssl");
    testssl.arg("--jsonfile").arg(&report);
    testssl.args(["--quiet", "--color", "0", "--warnings", "batch"]);
    testssl.args(["--nodns", "none", "--ip", "192.0.2.2", "--add-ca"]);
    testssl.arg(folder.join("public-authority/ca.pem"));
    testssl.arg(format!("{NAME}:5061"));
    // Its exit code counts findings; they are read below.
    let told = crate::process::output(&mut testssl)?;
    let log = folder.join("testssl.txt");
    fs::write(&log, told.stdout).map_err(at(&log))?;
    let text = fs::read_to_string(&report).map_err(at(&report))?;
    judge("testssl.sh", testssl_findings(&text)?)?;
    println!("    reports: {}", folder.display());
    Ok(())
}

impl Scene {
    fn start(engine: &str, programs: &Path, folder: &Path) -> Result<Self> {
        let lab = Lab::start(&programs.join("postern-card"), engine)
            .map_err(|error| Failure::Check(format!("cannot start the card: {error}")))?;
        process::run(
            lab.command(Side::Inside, "ip")
                .args("address add 10.0.0.2/24 dev inside0".split(' ')),
        )?;
        let public = Authority::new(folder, "public-authority")?;
        let internal = Authority::new(folder, "internal-authority")?;
        let shown = public.bundle(folder, NAME)?;
        let ours = internal.bundle(folder, "partner.example")?;
        let firewall = Firewall::start(
            &programs.join("postern"),
            &configuration(folder)?,
            &[("public", &shown), ("internal", &ours)],
            &lab,
            folder,
        )?;
        let behind = folder.join("server");
        fs::create_dir_all(&behind).map_err(at(&behind))?;
        let identity = internal.issue(&behind, NAME)?;
        let mut server = lab.command(Side::Inside, "openssl");
        server.args(["s_server", "-quiet", "-accept", "10.0.0.2:5061"]);
        server.arg("-cert").arg(identity.certificate);
        server.arg("-key").arg(identity.key);
        let mut server = process::spawn(&mut server, &folder.join("server.log"))?;
        if let Err(failure) = process::await_port(&lab, Side::Inside, "10.0.0.2:5061") {
            process::end(&mut server);
            return Err(failure);
        }
        Ok(Self {
            server,
            _firewall: firewall,
            lab,
        })
    }
}

/// The configuration of the two enterprises, for anybody outside and without a certificate of his: a scanner has none.
fn configuration(folder: &Path) -> Result<PathBuf> {
    let path = root().join("tests/support/federation.cfg");
    let mut text = fs::read_to_string(&path).map_err(at(&path))?;
    for (from, to) in [
        (
            "permit tcp host 198.51.100.7 host 10.0.0.2 eq 5061",
            "permit tcp any host 10.0.0.2 eq 5061",
        ),
        (
            " server trust-point public\n",
            " server trust-point public\n no server authenticate-client\n",
        ),
    ] {
        if !text.contains(from) {
            let what = format!("{} has no `{}`", path.display(), from.trim());
            return Err(Failure::Check(what));
        }
        text = text.replace(from, to);
    }
    let path = folder.join("scan.cfg");
    fs::write(&path, text).map_err(at(&path))?;
    Ok(path)
}

/// Fails if anything was found.
fn judge(scanner: &str, findings: Vec<String>) -> Result {
    if findings.is_empty() {
        println!("      nothing found");
        return Ok(());
    }
    Err(Failure::Check(format!(
        "{scanner} found\n  {}",
        findings.join("\n  ")
    )))
}

/// A line of the report of testssl.sh.
#[derive(Deserialize)]
struct Line {
    id: String,
    severity: String,
    finding: String,
}

fn testssl_findings(report: &str) -> Result<Vec<String>> {
    let lines: Vec<Line> = serde_json::from_str(report)
        .map_err(|error| Failure::Check(format!("the report of testssl.sh: {error}")))?;
    let missing = LAST_TESTS
        .iter()
        .filter(|test| !lines.iter().any(|line| line.id == **test))
        .map(|test| format!("no test {test}: it did not go to the end"));
    let is_found = |line: &&Line| {
        let is_known = OF_TEST_AUTHORITY.contains(&line.id.as_str())
            || line.severity == "WARN" && OF_SCANNER.contains(&line.id.as_str());
        !matches!(line.severity.as_str(), "OK" | "INFO" | "DEBUG") && !is_known
    };
    let found = lines
        .iter()
        .filter(is_found)
        .map(|line| format!("{} {}: {}", line.severity, line.id, line.finding));
    Ok(found.chain(missing).collect())
}

/// Reads the elements of sslscan's report, which stand on lines of their own.
fn sslscan_findings(report: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut strong = [false; 2];
    for line in report.lines().map(str::trim) {
        let is = |name: &str, value: &str| line.contains(&format!(" {name}=\"{value}\""));
        let versions = [is("sslversion", "TLSv1.2"), is("sslversion", "TLSv1.3")];
        let is_new = is("type", "tls") && (is("version", "1.2") || is("version", "1.3"));
        let is_good = is("strength", "strong") || is("strength", "acceptable");
        let is_bad = match line.split([' ', '>']).next() {
            Some("<protocol") => is("enabled", "1") && !is_new,
            Some("<heartbleed") => is("vulnerable", "1"),
            Some("<compression") => is("supported", "1"),
            Some("<renegotiation") => is("supported", "1") && !is("secure", "1"),
            Some("<cipher") => {
                for (strong, is_version) in strong.iter_mut().zip(versions) {
                    *strong |= is_good && is_version;
                }
                !is_good || versions == [false; 2]
            }
            Some("<expired") | Some("<expired>true</expired") => line.contains(">true<"),
            _ => false,
        };
        if is_bad {
            found.push(line.to_owned());
        }
    }
    for (is_there, version) in strong.into_iter().zip(["1.2", "1.3"]) {
        if !is_there {
            found.push(format!("no cipher suite of TLS {version}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"
  <protocol type="ssl" version="3" enabled="0" />
  <protocol type="tls" version="1.1" enabled="0" />
  <protocol type="tls" version="1.2" enabled="1" />
  <renegotiation supported="0" secure="0" />
  <heartbleed sslversion="TLSv1.3" vulnerable="0" />
  <cipher status="preferred" sslversion="TLSv1.3" bits="128" strength="acceptable" />
  <cipher status="preferred" sslversion="TLSv1.2" bits="256" strength="strong" />
   <expired>false</expired>
"#;

    #[test]
    fn each_fault_in_a_report_of_sslscan_is_found() {
        assert_eq!(sslscan_findings(XML), [""; 0]);
        for (good, bad) in [
            (r#""1.1" enabled="0""#, r#""1.1" enabled="1""#),
            (r#""3" enabled="0""#, r#""3" enabled="1""#),
            (r#"vulnerable="0""#, r#"vulnerable="1""#),
            (r#"supported="0""#, r#"supported="1""#),
            (r#"strength="strong""#, r#"strength="weak""#),
            (r#"sslversion="TLSv1.2""#, r#"sslversion="TLSv1.0""#),
            (">false<", ">true<"),
        ] {
            let report = XML.replacen(good, bad, 1);
            assert_ne!(sslscan_findings(&report), [""; 0], "{bad}");
        }
        assert_eq!(
            sslscan_findings("").len(),
            2,
            "an empty report is no good one"
        );
    }

    #[test]
    fn of_a_report_of_testssl_only_what_the_test_authority_is_the_reason_of_passes() {
        let line = |id: &str, severity: &str| {
            format!(
                r#"{{"id": "{id}", "ip": "x", "port": "5061", "severity": "{severity}", "finding": "f"}}"#
            )
        };
        let report = |extra: &[String]| {
            let all = LAST_TESTS.iter().map(|test| line(test, "OK"));
            let all: Vec<String> = all.chain(extra.iter().cloned()).collect();
            format!("[{}]", all.join(","))
        };
        let found = |extra: &[String]| testssl_findings(&report(extra)).expect("a report");
        let known = [
            line("cert_revocation", "HIGH"),
            line("engine_problem", "WARN"),
        ];
        assert_eq!(found(&known), [""; 0]);
        for severity in ["LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"] {
            assert_eq!(
                found(&[line("fs", severity)]),
                [format!("{severity} fs: f")]
            );
        }
        assert_eq!(found(&[line("engine_problem", "HIGH")]).len(), 1);
        assert_eq!(
            testssl_findings("[]").expect("a report").len(),
            LAST_TESTS.len()
        );
        assert!(testssl_findings("").is_err());
    }
}
