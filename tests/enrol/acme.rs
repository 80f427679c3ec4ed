//! ACME against Debian's `pebble`, which looks for every proof.

use std::io::{Read, Write};
use std::process::Command;

use crate::scene::{Scene, await_answer, script};

/// A firewall, an authority that checks, and a name server that answers as it is told.
fn scene(acme: &str) -> Scene {
    scene_of(PEBBLE, acme)
}

fn scene_of(pebble_settings: &str, acme: &str) -> Scene {
    let mut scene = Scene::new("");
    let place = Place {
        address: "127.0.0.1",
        names_lead_to: "127.0.0.1",
        enter: &|scene, program| scene.program(program),
    };
    start_authority(&mut scene, &place, pebble_settings);
    scene.configure(&trustpoints("127.0.0.1", acme));
    authenticate(&scene);
    scene
}

/// Where an authority and its name server are.
pub struct Place<'a> {
    /// Its address, as the firewall's machine reaches it.
    pub address: &'a str,
    /// Where all names lead to.
    pub names_lead_to: &'a str,
    /// Runs a program there.
    pub enter: &'a dyn Fn(&Scene, &str) -> Command,
}

/// Starts an authority that checks, and a name server; waits until they answer.
pub fn start_authority(scene: &mut Scene, place: &Place<'_>, pebble_settings: &str) {
    let address = place.address;
    scene.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout web-ca.key -out web-ca.pem -subj /CN=web -days 30");
    scene.run(
        "openssl req -newkey rsa:2048 -nodes -keyout web.key -out web.csr -subj /CN=web-server",
    );
    scene.write(
        "web.ext",
        &format!("subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n"),
    );
    scene.run("openssl x509 -req -in web.csr -CA web-ca.pem -CAkey web-ca.key -extfile web.ext -days 30 -out web.pem");
    scene.write(
        "pebble.json",
        &pebble_settings.replace("127.0.0.1", address),
    );
    let mut names = (place.enter)(scene, "pebble-challtestsrv");
    names.args(["-defaultIPv6", "", "-defaultIPv4", place.names_lead_to]);
    names.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
    scene.serve_quietly(names);
    let mut pebble = (place.enter)(scene, "pebble");
    pebble
        .args(["-config", "pebble.json", "-dnsserver", "127.0.0.1:8053"])
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "0")
        // Otherwise it looks at what it has found once every other time only.
        .env("PEBBLE_AUTHZREUSE", "0");
    scene.serve_quietly(pebble);
    for (scheme, port) in [("http", 8055), ("https", 15000), ("https", 14000)] {
        await_answer(scene, &format!("{scheme}://{address}:{port}/"));
    }
    let root = scene.run(&format!(
        "curl --silent --show-error --fail --cacert web-ca.pem https://{address}:15000/roots/0"
    ));
    scene.write("root.pem", &root);
}

/// The trustpoint that is enrolled, and the one that vouches for the authority's own server.
pub fn trustpoints(address: &str, acme: &str) -> String {
    format!(
        "crypto ca trustpoint web\n enrollment terminal\n\
         crypto ca trustpoint pub\n enrollment protocol acme url https://{address}:14000/dir\n \
         fqdn cup.example.com\n keypair k ecdsa 256\n {acme}\n"
    )
}

/// Takes both authorities' certificates.
pub fn authenticate(scene: &Scene) {
    for (name, file) in [("web", "web-ca.pem"), ("pub", "root.pem")] {
        let pasted = scene.read(file);
        let taken = scene.crypto_reading(&pasted, &format!("ca authenticate {name} nointeractive"));
        assert_eq!(taken.code, Some(0), "{taken:?}");
    }
}

#[track_caller]
fn enrols(scene: &Scene) {
    scene.done("ca enroll pub noconfirm");
    let text = scene.text_of(&scene.identity("pub"));
    for part in ["DNS:cup.example.com", "Issuer: CN = Pebble Intermediate CA"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let shown = scene.show("certificates pub");
    let authorities = shown.matches("CA Certificate\n").count();
    assert_eq!(authorities, 2, "what is between is kept: {shown}");
}

#[test]
fn acme_proves_a_name_by_a_file_and_renews() {
    let scene = scene("acme http-01");
    enrols(&scene);
    let first = scene.identity("pub");
    enrols(&scene);
    assert_ne!(scene.identity("pub"), first);
}

#[test]
fn acme_proves_a_name_by_a_certificate() {
    enrols(&scene("acme tls-alpn-01"));
}

#[test]
fn acme_proves_a_name_by_a_record_and_survives_a_kill_while_it_does() {
    let scene = scene("acme dns-01 HOOK");
    let hook = script(&scene, "hook", HOOK);
    let configured = scene
        .read("x.cfg")
        .replace("HOOK", &hook.display().to_string());
    scene.configure(&configured);
    for name in ["held", "go"] {
        scene.run(&format!("mkfifo {name}"));
    }
    scene.killed("ca enroll pub noconfirm", || {
        let mut word = String::new();
        let mut held = std::fs::File::open(scene.path("held")).expect("the hook");
        held.read_to_string(&mut word).expect("a word");
        assert_eq!(word.trim(), "set");
    });
    // The hook outlives it, and goes when it may.
    let mut go = std::fs::File::options().write(true).open(scene.path("go"));
    go.as_mut()
        .expect("the hook waits")
        .write_all(b"go\n")
        .expect("read");
    drop(go);
    std::fs::remove_file(scene.path("held")).expect("ours");
    let pending = scene.show("trustpoints pub");
    assert!(pending.contains("Enrollment pending."), "{pending}");
    enrols(&scene);
}

#[test]
fn acme_says_why_a_proof_was_not_found_and_leaves_everything_as_it_was() {
    let scene = scene("acme dns-01 /bin/true");
    let before = scene.stored();
    let refused = scene.crypto("ca enroll pub noconfirm");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("the authority did not find the proof"),
        "{refused:?}"
    );
    assert_eq!(scene.stored(), before);
    scene.configure(&scene.read("x.cfg").replace("/bin/true", "/bin/false"));
    let failed = scene.crypto("ca enroll pub noconfirm");
    assert!(failed.err.contains("/bin/false set failed"), "{failed:?}");
    assert_eq!(scene.stored(), before);
}

#[test]
fn acme_is_not_spoken_with_a_server_that_no_trustpoint_vouches_for() {
    let scene = scene("acme http-01");
    scene.configure(
        &scene
            .read("x.cfg")
            .replace("trustpoint pub", "trustpoint other"),
    );
    let root = scene.read("root.pem");
    scene.run("rm -r state");
    let taken = scene.crypto_reading(&root, "ca authenticate other nointeractive");
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let refused = scene.crypto("ca enroll other noconfirm");
    assert!(refused.err.contains("UnknownIssuer"), "{refused:?}");
}

#[test]
fn acme_binds_an_account_that_the_authority_knows_and_keeps_it() {
    let settings = PEBBLE.replace(
        "\"externalAccountBindingRequired\": false",
        "\"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {\"kid-1\": \"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\"}",
    );
    let scene = scene_of(&settings, "acme http-01");
    let before = scene.stored();
    let refused = scene.crypto("ca enroll pub noconfirm");
    assert!(
        refused.err.contains("externalAccountRequired"),
        "{refused:?}"
    );
    assert_eq!(scene.stored(), before);
    let bare = scene.read("x.cfg");
    let eab =
        " eab kid kid-1 hmac zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\n";
    scene.configure(&(bare.clone() + eab));
    enrols(&scene);
    // The account is ours now: nothing has to bind it again.
    scene.configure(&bare);
    enrols(&scene);
}

/// An authority's settings; its address takes the place of that of the loopback.
pub const PEBBLE: &str = r#"{"pebble": {
  "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
  "certificate": "web.pem", "privateKey": "web.key", "httpPort": 80, "tlsPort": 443,
  "ocspResponderURL": "", "externalAccountBindingRequired": false}}"#;

/// Sets and clears a record at pebble's name server; the first time it says so and waits.
const HOOK: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
if [ -p held ]; then echo "$1" > held; read word < go; fi
curl --silent --fail --data "{\"host\":\"$2.\", \"value\":\"$3\"}" "http://127.0.0.1:8055/$1-txt"
"#;
