//! The configuration shell, from a pipe and at a terminal, with OpenSSL as authority and as judge.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::command::{Answer, postern, postern_reading};
use crate::crypto::Desk;

impl Desk {
    fn shell(&self, input: &str) -> Answer {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (config, state) = (path("x.cfg"), path("state"));
        postern_reading(input, ["shell", "--config", &config, "--state", &state])
    }

    #[track_caller]
    fn typed(&self, input: &str) -> String {
        let answer = self.shell(input);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert_eq!(answer.err, "");
        answer.out
    }
}

/// The lines from one to another, both with them.
#[track_caller]
fn block<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let from = text.find(begin).expect("a beginning");
    let length = text[from..].find(end).expect("an end") + end.len() + 1;
    &text[from..from + length]
}

#[test]
fn a_script_configures_enrols_and_writes() {
    let desk = Desk::new();
    std::fs::remove_file(desk.folder.path().join("x.cfg")).expect("it is there");
    let said = desk.typed(
        "! a comment, and prompts as they are pasted\n\
         postern> en\n\
         postern# conf t\n\
         hostname fw\n\
         domain-name example.com\n\
         cry key gen ecdsa label own_key elliptic-curve 256\n\
         cry ca trustpoi own\n\
         enr term\n\
         enr self\n\
         subj cn=own,o=Example\n\
         password not to be shown\n\
         keypair own_key\n\
         crl conf\n\
         cache-time 10\n\
         exit\n\
         revocation-check crl none\n\
         sh run cry\n\
         crypto ca enroll own noconfirm\n\
         object network inside_host\n\
         host 10.0.0.2\n\
         end\n\
         show crypto ca certificates own\n\
         write memory\n\
         exit\n\
         show everything that is behind exit\n",
    );
    assert!(
        said.contains(
            "crypto ca trustpoint own\n enrollment self\n subject-name cn=own,o=Example\n password *****\n \
             keypair own_key\n crl configure\n cache-time 10\n revocation-check crl none\n"
        ),
        "{said}"
    );
    assert!(!said.contains("not to be shown"), "{said}");
    assert!(
        said.contains("The self-signed certificate of own is there."),
        "{said}"
    );
    assert!(said.contains("    cn=own,o=Example\n"), "{said}");
    assert!(
        said.ends_with("Building configuration...\n[OK]\n"),
        "{said}"
    );
    let written = desk.read("x.cfg");
    assert!(written.starts_with("hostname fw\n"), "{written}");
    assert!(
        written.contains("\n password not to be shown\n"),
        "{written}"
    );
    assert!(
        written.contains("object network inside_host\n host 10.0.0.2\n"),
        "{written}"
    );
    let checked = postern([
        "check",
        &desk.folder.path().join("x.cfg").display().to_string(),
    ]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    desk.write(
        "own.pem",
        &desk.done("", "ca export own identity-certificate"),
    );
    let text = desk.openssl("x509 -in own.pem -noout -text");
    assert!(text.contains("DNS:fw.example.com"), "{text}");
}

#[test]
fn a_trustpoint_enrols_by_terminal_and_travels_as_pkcs12_through_the_dialogues() {
    let desk = Desk::new();
    desk.authority();
    let said = desk.typed(&format!(
        "enable\nconf t\ncrypto key generate rsa label ent_key modulus 2048\n\
         crypto ca authenticate ent_y\n{}quit\nperhaps\nyes\n\
         crypto ca enroll ent_y\nno\nyes\nyes\nno\n",
        desk.read("ca.pem")
    ));
    for part in [
        "End with the word \"quit\" on a line by itself",
        "Fingerprint SHA-256: ",
        "Do you accept this certificate? [yes/no]: % Please answer 'yes' or 'no'.",
        "Trustpoint CA certificate accepted.",
        "% The subject name in the certificate will be: cn=cup.example.com,o=Example",
        "% The fully-qualified domain name in the certificate will be: cup.example.com",
        "% Include the device serial number in the subject name? [yes/no]: ",
        "Display Certificate Request to terminal? [yes/no]: ",
        "Redisplay enrollment request? [yes/no]: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        said.matches("-----BEGIN CERTIFICATE REQUEST-----").count(),
        2
    );
    let request = block(&said, "-----BEGIN", "-----END CERTIFICATE REQUEST-----");
    desk.write("own.csr", request);
    desk.openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -copy_extensions copyall -days 20 -out own.pem");
    let said = desk.typed(&format!(
        "en\nconf t\ncrypto ca import ent_y certificate\n{}quit\nshow crypto ca trustpoints ent_y\n\
         crypto ca export ent_y pkcs12 secret\n",
        desk.read("own.pem")
    ));
    assert!(
        said.contains("INFO: Import certificate operation completed successfully."),
        "{said}"
    );
    assert!(said.contains("Certificate configured."), "{said}");
    let bundle = block(&said, "-----BEGIN PKCS12-----", "-----END PKCS12-----");
    let said = desk.typed(&format!(
        "en\nconf t\ncrypto ca import copy pkcs12 secret\n{bundle}quit\ncrypto ca export copy identity-certificate\n"
    ));
    assert!(said.contains(&desk.read("own.pem")), "{said}");
    // The bundle is one to OpenSSL too.
    let body: String = bundle
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    desk.write("own.b64", &(body + "\n"));
    desk.openssl("base64 -d -A -in own.b64 -out own.p12");
    desk.openssl("pkcs12 -in own.p12 -passin pass:secret -nodes -info");
}

#[test]
fn a_script_ends_with_1_at_the_first_command_that_is_refused_and_changes_no_file() {
    let desk = Desk::new();
    let before = desk.read("x.cfg");
    for (commands, said) in [
        (
            "access-list A extended permt ip any any",
            "access-list A extended permt ip any any\n                       ^\nERROR: E0103 ",
        ),
        (
            "crypto ca trustpoint ent_y\nfqdn -x",
            "ERROR: % this is not a host name",
        ),
        (
            "crypto ca trustpoint ent_y\ncoffee",
            "ERROR: % a trustpoint has no such command",
        ),
        ("coffee", "is outside the supported commands"),
        (
            "crypto ca enroll nobody",
            "x.cfg has no `crypto ca trustpoint nobody`",
        ),
        ("crypto key zeroize rsa label none", "there is no such key"),
        ("crypto ca enroll late noconfirm", "no authority is known"),
        (
            "no crypto ca trustpoint ent_y\nno",
            "the trustpoint is not removed",
        ),
        ("show everything", "no firewall runs"),
    ] {
        let answer = desk.shell(&format!(
            "enable\nconf t\nhostname new\n{commands}\nwrite memory\n"
        ));
        assert_eq!(answer.code, Some(1), "{commands}: {answer:?}");
        assert!(answer.err.contains(said), "{commands}: {}", answer.err);
        assert!(!answer.out.contains("[OK]"), "{commands}");
        assert_eq!(desk.read("x.cfg"), before, "{commands}");
    }
    let answer = desk.shell("enable\nconf t\nhostname new\n");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(
        answer
            .err
            .starts_with("WARNING: what was changed is not written"),
        "{answer:?}"
    );
    for (commands, number) in [
        ("conf t", 1),
        ("enable\nhostname x", 2),
        ("enable\nenable\nenable x", 3),
    ] {
        let answer = desk.shell(&format!("{commands}\n"));
        assert_eq!(answer.code, Some(1), "{commands}: {answer:?}");
        let place = format!("postern: stopped at command {number}: ");
        assert!(answer.err.contains(&place), "{commands}: {}", answer.err);
    }
}

#[test]
fn removing_a_trustpoint_asks_and_takes_its_certificates_along() {
    let desk = Desk::new();
    let said = desk.typed(
        "en\nconf t\ncrypto key generate ecdsa label cup_key elliptic-curve 256\ncrypto ca enroll cup_proxy noconfirm\n\
         no crypto ca trustpoint cup_proxy\nyes\nsh run crypto ca trustpoint\nwr\n",
    );
    assert!(
        said.contains("Are you sure you want to do this? [yes/no]: "),
        "{said}"
    );
    assert!(
        !said.contains("\ncrypto ca trustpoint cup_proxy\n"),
        "{said}"
    );
    assert!(said.contains("\ncrypto ca trustpoint ent_y\n"), "{said}");
    assert_eq!(desk.show("crypto ca trustpoints cup_proxy").code, Some(1));
    assert!(!desk.read("x.cfg").contains("cup_proxy"));
}

#[test]
fn lines_that_are_not_understood_are_told_of_and_kept_beside_what_is_written() {
    let desk = Desk::new();
    let before = "logging enable\n".to_owned() + &desk.read("x.cfg");
    desk.write("x.cfg", &before);
    let answer = desk.shell("en\nconf t\nhostname x\nwr mem\n");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("WARNING: 1 lines of "), "{answer:?}");
    assert_eq!(desk.read("x.cfg.old"), before);
    assert!(desk.read("x.cfg").starts_with("hostname x\n"));
}

#[test]
fn without_a_file_and_without_a_firewall_there_is_nothing_to_look_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().display().to_string();
    let answer = postern(["shell", "--state", &state]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.err.contains("no firewall runs"), "{answer:?}");
}

/// The shell at a terminal of ours.
struct Terminal {
    shell: Child,
    wire: File,
    seen: String,
}

impl Terminal {
    fn open(desk: &Desk) -> Self {
        let wire = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&wire).expect("ours");
        unlockpt(&wire).expect("ours");
        let name = ptsname(&wire, Vec::new()).expect("a name");
        let far = || -> Stdio {
            let flags = OFlags::RDWR | OFlags::NOCTTY;
            let far = rustix::fs::open(&*name, flags, Mode::empty());
            far.expect("the other end").into()
        };
        let shell = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["shell", "--config", "x.cfg", "--state", "state"])
            .current_dir(desk.folder.path())
            .env("TERM", "xterm")
            .stdin(far())
            .stdout(far())
            .stderr(far())
            .spawn()
            .expect("it runs");
        Self {
            shell,
            wire: File::from(wire),
            seen: String::new(),
        }
    }

    /// Reads until this is shown, and forgets what was before.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let count = self.wire.read(&mut bytes).unwrap_or_default();
            assert_ne!(count, 0, "it ended before {text:?}: {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&bytes[..count]);
        }
    }

    fn types(&mut self, keys: &str) {
        self.wire.write_all(keys.as_bytes()).expect("room");
    }
}

#[test]
fn at_a_terminal_one_can_try_again_ask_and_paste() {
    let desk = Desk::new();
    desk.authority();
    let mut terminal = Terminal::open(&desk);
    terminal.sees("postern> ");
    terminal.types("configure\r");
    terminal.sees("ERROR: % `configure` cannot be done here");
    terminal.sees("postern> ");
    terminal.types("en\r");
    terminal.sees("postern# ");
    // Help comes with the key, and the line goes on.
    terminal.types("conf ?");
    terminal.sees("  terminal");
    terminal.sees("postern# conf ");
    terminal.types("t\r");
    terminal.sees("postern(config)# ");
    terminal.types("host\tx\r");
    terminal.sees("x(config)# ");
    terminal.types("access-list A extended permt ip any any\r");
    terminal.sees("^\r\nERROR: E0103 ");
    terminal.sees("x(config)# ");
    terminal.types("access-list A extended ?");
    terminal.sees("  permit or deny");
    terminal.sees("x(config)# access-list A extended ");
    // Given up with control-C.
    terminal.types("\u{3}");
    terminal.sees("x(config)# ");
    terminal.types("cry ca trustpoint ent_y\r");
    terminal.sees("x(config-ca-trustpoint)# ");
    terminal.types("crl configure\r");
    terminal.sees("x(config-ca-crl)# ");
    terminal.types("exit\r");
    terminal.sees("x(config-ca-trustpoint)# ");
    terminal.types("int g0/0\r");
    terminal.sees("x(config-if)# ");
    terminal.types("exit\r");
    terminal.sees("x(config)# ");
    // All at once, as it is pasted: the command, the certificate, its end and the answer.
    let pem = desk.read("ca.pem").replace('\n', "\r");
    terminal.types(&format!("crypto ca authenticate ent_y\r{pem}quit\ryes\r"));
    terminal.sees("Trustpoint CA certificate accepted.");
    terminal.sees("x(config)# ");
    terminal.types("end\r");
    terminal.sees("x# ");
    terminal.types("exit\r");
    terminal.sees("Leave all the same? [yes/no]: ");
    terminal.types("no\r");
    terminal.sees("x# ");
    terminal.types("write memory\r");
    terminal.sees("[OK]");
    terminal.sees("x# ");
    terminal.types("\u{4}");
    assert!(terminal.shell.wait().expect("a child").success());
    assert!(desk.read("x.cfg").starts_with("hostname x\n"));
    let shown = desk.show("crypto ca certificates ent_y").out;
    assert!(shown.contains("cn=authority"), "{shown}");
}
