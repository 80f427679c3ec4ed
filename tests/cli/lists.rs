//! Revocation lists and public keys as an operator sees them, with OpenSSL as authority and as judge.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::command::{Answer, postern_reading};

/// `openssl` in a folder.
#[track_caller]
fn openssl(folder: &Path, words: &str) -> String {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &errors
}

/// `postern crypto …` or `postern show …` with the state in a folder.
fn postern(folder: &Path, input: &str, words: &str) -> Answer {
    let path = |name: &str| folder.join(name).display().to_string();
    let (config, state) = (path("x.cfg"), path("state"));
    let (first, rest) = words.split_once(' ').expect("two words");
    let head = match first {
        "crypto" => vec!["crypto", "--config", &config, "--state", &state],
        first => vec![first, "--state", &state],
    };
    postern_reading(input, head.into_iter().chain(rest.split(' ')))
}

#[track_caller]
fn done(folder: &Path, input: &str, words: &str) -> String {
    let answer = postern(folder, input, words);
    assert_eq!(answer.code, Some(0), "{words}: {answer:?}");
    answer.out
}

/// A list that revokes one certificate, made by `openssl ca`; the authority is `ca.pem`.
fn list(folder: &Path) -> Vec<u8> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("room");
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30",
    );
    write(
        "index.txt",
        "R\t491231235959Z\t240101000000Z\t0A\tunknown\t/CN=x\n",
    );
    write("crlnumber", "2A\n");
    write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\n",
    );
    openssl(
        folder,
        "ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out list.pem",
    );
    openssl(folder, "crl -in list.pem -outform DER -out list.crl");
    std::fs::read(folder.join("list.crl")).expect("the list")
}

#[test]
fn a_list_is_requested_kept_and_shown_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let right = list(folder);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let config = format!(
        "crypto ca trustpoint ent_y\n enrollment terminal\n revocation-check crl\n crl configure\n  policy static\n  \
         url 1 http://{address}/ca.crl\ncrypto ca trustpoint bare\n"
    );
    std::fs::write(folder.join("x.cfg"), config).expect("room");
    let authority = std::fs::read_to_string(folder.join("ca.pem")).expect("the file");
    done(
        folder,
        &authority,
        "crypto ca authenticate ent_y nointeractive",
    );
    let bodies = [right, b"<html>".to_vec()];
    let server = std::thread::spawn(move || {
        for body in bodies {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            // The question has no body: it is whole when it has come at all.
            let length = stream.read(&mut [0; 4096]).expect("a question");
            assert!(length > 0);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).expect("it listens");
            stream.write_all(&body).expect("it listens");
        }
    });
    let said = done(folder, "", "crypto ca crl request ent_y");
    assert_eq!(
        said,
        format!("CRL of cn=authority received from http://{address}/ca.crl.\n")
    );
    let shown = done(folder, "", "show crypto ca crls ent_y");
    for part in [
        "CRL Issuer Name:\n    cn=authority\n",
        &format!("    Retrieved from CRL Distribution Point:\n      http://{address}/ca.crl\n"),
        "    Number: 2a\n    Revoked certificates: 1\n",
        "    Associated Trustpoints: ent_y\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let wrong = postern(folder, "", "crypto ca crl request ent_y");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("it is no list"), "{wrong:?}");
    server.join().expect("it was asked twice");
    assert_eq!(done(folder, "", "show crypto ca crls"), shown);
    assert_eq!(done(folder, "", "show crypto ca crls bare"), "");
    let nowhere = postern(folder, "", "crypto ca crl request bare");
    assert!(nowhere.err.contains("url 1 http://"), "{nowhere:?}");
}

#[test]
fn an_ed25519_key_is_made_shown_and_signs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let config = "crypto ca trustpoint own\n enrollment self\n fqdn cup.example.com\n keypair ed\n";
    std::fs::write(folder.join("x.cfg"), config).expect("room");
    let said = done(
        folder,
        "",
        "crypto key generate eddsa label ed edwards-curve ed25519",
    );
    assert!(said.contains("Ed25519 key pair generated"), "{said}");
    let shown = done(folder, "", "show crypto key mypubkey eddsa");
    assert!(shown.starts_with("Key name: ed\n"), "{shown}");
    assert_eq!(done(folder, "", "show crypto key mypubkey rsa"), "");
    done(folder, "", "crypto ca enroll own noconfirm");
    let pem = done(folder, "", "crypto ca export own identity-certificate");
    std::fs::write(folder.join("own.pem"), pem).expect("room");
    openssl(folder, "verify -check_ss_sig -CAfile own.pem own.pem");
    let text = openssl(folder, "x509 -in own.pem -noout -text");
    assert!(text.contains("Public Key Algorithm: ED25519"), "{text}");
}
