//! Peers whose certificates were revoked, or that nobody knows about: OpenSSL as responder, lists over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

use super::peers::{Desk, PATIENCE, Peer};
use super::{PEER, Scene};

const REVOKED: &str = "-cert revoked.pem -key peer.key -verify_return_error";

/// A desk whose authority has a database: `own`, `cup` and `peer` stand, `revoked` was revoked, and of `unlisted` it knows
/// nothing.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.sign("revoked", "peer", "ca", "peer.ext", 20);
    desk.sign("unlisted", "peer", "ca", "peer.ext", 20);
    let mut index = String::new();
    for name in ["own", "cup", "peer", "revoked"] {
        let (flag, date) = match name {
            "revoked" => ("R", "240101000000Z,keyCompromise"),
            _ => ("V", ""),
        };
        let serial = serial(&desk, name);
        index += &format!("{flag}\t491231235959Z\t{date}\t{serial}\tunknown\t/CN={name}\n");
    }
    desk.write("index.txt", &index);
    desk.write("crlnumber", "01\n");
    desk.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\n\
         crl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n",
    );
    desk
}

fn serial(desk: &Desk, name: &str) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-serial", "-in"])
        .arg(desk.path(&format!("{name}.pem")))
        .output()
        .expect("openssl runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().trim_start_matches("serial=").to_owned()
}

/// A list of an authority, as DER.
fn list(desk: &Desk, authority: &str, words: &str) -> Vec<u8> {
    desk.run(&format!(
        "ca -config ca.cnf -gencrl -keyfile {authority}.key -cert {authority}.pem -out list.pem{words}"
    ));
    desk.run("crl -in list.pem -outform DER -out list.crl");
    std::fs::read(desk.path("list.crl")).expect("the list")
}

/// A server that gives the same answer to whoever asks; returns where it is.
fn web(body: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever asked may have gone.
            let _ = answer(stream, &body);
        }
    });
    format!("http://{address}/")
}

fn answer(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(found) = line.strip_prefix("content-length:") {
            length = found.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// `openssl ocsp` as responder, once it listens; returns where it is. It says on which port: a connection without a
/// question, to see whether it is there, would stop it for good.
fn responder(desk: &Desk, words: &str) -> (Peer, String) {
    let mut process = desk.start(&format!(
        "ocsp -index index.txt -CA ca.pem -port 0 -ignore_err {words}"
    ));
    assert!(process.find("ACCEPT "), "openssl ocsp does not listen");
    let said = process.seen().last().expect("a line").clone();
    let address = said.split(' ').nth(1).expect("an address");
    let port = address.rsplit(':').next().expect("a port");
    (process, format!("http://127.0.0.1:{port}/"))
}

/// A place where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    format!("http://{}/", listener.local_addr().expect("an address"))
}

/// What peer dials and is heard.
fn is_heard(scene: &Scene, server: &mut Peer, words: &str) {
    let mut client = scene.client(&format!("-quiet {words}"));
    client.say("MESSAGE");
    assert_eq!(server.line(), "MESSAGE");
    client.kill();
}

/// A peer dials and is cut off; the log says why.
#[track_caller]
fn is_cut_off(scene: &Scene, words: &str, said: &str) {
    let mut client = scene.client(&format!("-quiet {words}"));
    client.say("MESSAGE");
    let line = scene.line("%ASA-4-725006");
    assert!(line.contains(said), "{said}: {line}");
    assert!(
        line.contains("(tls-proxy ent_y_to_x, server leg, trust-point own)"),
        "{line}"
    );
    assert!(client.ends(), "the connection was not closed");
}

const SIGNED_BY_CA: &str = "-rsigner ca.pem -rkey ca.key -nmin 5";

#[test]
fn a_responder_of_openssl_says_who_is_heard() {
    let desk = desk();
    let (_responder, url) = responder(&desk, SIGNED_BY_CA);
    let scene = Scene::checking(desk, &format!(" revocation-check ocsp\n ocsp url {url}\n"));
    let mut server = scene.server("");
    is_cut_off(
        &scene,
        REVOKED,
        &format!(
            "was revoked at 00:00:00 UTC Jan 1 2024 (key compromise), says the responder {url}"
        ),
    );
    let unlisted = "-cert unlisted.pem -key peer.key";
    is_cut_off(&scene, unlisted, &format!("{url} does not know it"));
    is_heard(&scene, &mut server, PEER);
}

#[test]
fn a_list_of_openssl_says_who_is_heard() {
    let desk = desk();
    let url = web(list(&desk, "ca", ""));
    let lines = format!(" revocation-check crl\n crl configure\n  policy static\n  url 1 {url}\n");
    let scene = Scene::checking(desk, &lines);
    let mut server = scene.server("");
    is_cut_off(
        &scene,
        REVOKED,
        &format!("(key compromise), says the list at {url}"),
    );
    is_heard(&scene, &mut server, PEER);
}

#[test]
fn lists_that_are_old_or_of_a_stranger_count_for_nothing() {
    for (authority, words, said) in [
        (
            "ca",
            " -crl_lastupdate 20240101000000Z -crl_nextupdate 20240201000000Z",
            "its list is too old: the next one was due at 00:00:00 UTC Feb 1 2024",
        ),
        ("other", "", "it is the list of cn=stranger"),
    ] {
        let desk = desk();
        let url = web(list(&desk, authority, words));
        let lines =
            format!(" revocation-check crl\n crl configure\n  policy static\n  url 1 {url}\n");
        let scene = Scene::checking(desk, &lines);
        let _server = scene.server("");
        is_cut_off(&scene, PEER, said);
    }
}

#[test]
fn a_responder_that_is_down_lets_pass_only_where_that_is_configured() {
    let down = nobody();
    let hard = Scene::checking(
        desk(),
        &format!(" revocation-check ocsp\n ocsp url {down}\n"),
    );
    let _server = hard.server("");
    is_cut_off(
        &hard,
        PEER,
        "may be revoked, nobody knows: http://127.0.0.1:",
    );

    let soft = Scene::checking(
        desk(),
        &format!(" revocation-check ocsp none\n ocsp url {down}\n"),
    );
    let mut server = soft.server("");
    is_heard(&soft, &mut server, REVOKED);
    let line = soft.line("%ASA-4-717032: Revocation status check failed for client");
    assert!(
        line.ends_with("it passes, as revocation-check ends with none"),
        "{line}"
    );

    let desk = desk();
    let url = web(list(&desk, "ca", ""));
    let lines = format!(
        " revocation-check ocsp crl\n ocsp url {down}\n crl configure\n  policy static\n  url 1 {url}\n"
    );
    let next = Scene::checking(desk, &lines);
    let mut server = next.server("");
    is_cut_off(&next, REVOKED, &format!("says the list at {url}"));
    is_heard(&next, &mut server, PEER);
}

#[test]
fn a_responder_is_one_only_if_the_authority_made_it_one() {
    let desk = desk();
    desk.write("ocsp.ext", "extendedKeyUsage=OCSPSigning\n");
    desk.sign("delegated", "stranger", "ca", "ocsp.ext", 20);
    desk.sign("impostor", "stranger", "other", "ocsp.ext", 20);
    let (_right, right) = responder(&desk, "-rsigner delegated.pem -rkey stranger.key -nmin 5");
    let (_wrong, wrong) = responder(&desk, "-rsigner impostor.pem -rkey stranger.key -nmin 5");
    let scene = Scene::checking(
        desk,
        &format!(" revocation-check ocsp\n ocsp url {right}\n"),
    );
    let mut server = scene.server("");
    is_heard(&scene, &mut server, PEER);
    drop(server);
    let Scene { desk, .. } = scene;
    let scene = Scene::checking(
        desk,
        &format!(" revocation-check ocsp\n ocsp url {wrong}\n"),
    );
    let _server = scene.server("");
    is_cut_off(
        &scene,
        PEER,
        "signed by somebody whom the issuer made no responder",
    );
}

#[test]
fn an_answer_to_another_question_counts_only_without_a_nonce() {
    let desk = desk();
    desk.run("ocsp -issuer ca.pem -cert peer.pem -cert cup.pem -nonce -reqout request");
    desk.run(
        "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -nmin 5 -reqin request -respout response",
    );
    let url = web(std::fs::read(desk.path("response")).expect("the answer"));
    let scene = Scene::checking(desk, &format!(" revocation-check ocsp\n ocsp url {url}\n"));
    let server = scene.server("");
    is_cut_off(
        &scene,
        PEER,
        "the answer has another nonce: it is to another question",
    );
    drop(server);
    let Scene { desk, .. } = scene;
    let lines = format!(" revocation-check ocsp\n ocsp url {url}\n ocsp disable-nonce\n");
    let scene = Scene::checking(desk, &lines);
    let mut server = scene.server("");
    is_heard(&scene, &mut server, PEER);
}

#[test]
fn whoever_dials_is_shown_what_the_responder_says_of_our_certificate() {
    let desk = desk();
    let (_responder, url) = responder(&desk, SIGNED_BY_CA);
    let scene = Scene::checking(
        desk,
        &format!(" revocation-check ocsp none\n ocsp url {url}\n"),
    );
    let _server = scene.server("");
    let begin = Instant::now();
    // The first may dial before the responder has answered.
    loop {
        let mut client = scene.client(&format!("-status {PEER}"));
        assert!(client.find("OCSP response:"), "{:?}", client.seen());
        let has_none = client
            .seen()
            .iter()
            .any(|line| line.contains("no response sent"));
        if !has_none {
            assert!(client.find("Cert Status: good"), "{:?}", client.seen());
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "nothing was ever shown");
    }
}
