//! SCEP, as a user asks for it, against Debian's `scepserver`.
//!
//! It issues for clients alone, and answers with SHA-1 and DES whatever it is asked with. So what a user sees is a refusal
//! that says why; what lies behind it is tested in `tests/protocols`.
//!
//! No other server was found that could answer as RFC 8894 demands. Debian has this one alone. The library behind it takes
//! AES by a variable that the server does not set, and always signs with SHA-1, also when the request came with SHA-256. Of
//! PyPI's packages, PyScep has an empty module where its server should be, the others are clients or descriptions of a
//! cloud's interface. The registries of Rust and Node have none.

use rustix::process::Signal;

use crate::scene::{Scene, await_answer};

fn scene() -> Scene {
    let mut scene = Scene::new(
        "crypto ca trustpoint pub\n enrollment url http://127.0.0.1:8090/scep\n fqdn cup.example.com\n \
         keypair k rsa 2048\n password secret\n",
    );
    scene.run("scepserver ca -init -keySize 2048");
    let mut server = scene.program("scepserver");
    server.args(["-depot", "depot", "-port", "8090", "-challenge", "secret"]);
    scene.serve_quietly(server);
    await_answer(&scene, "http://127.0.0.1:8090/");
    scene
}

#[test]
fn scep_authenticates_by_fingerprint_and_says_why_it_does_not_take_what_is_issued() {
    let scene = scene();
    let fingerprint = scene.fingerprint("depot/ca.pem");
    scene.done(&format!(
        "ca authenticate pub fingerprint {fingerprint} nointeractive"
    ));
    let before = scene.stored();
    assert!(before.1.contains("CA Certificate\n"), "{before:?}");
    let refused = scene.crypto("ca enroll pub noconfirm");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("SCEP: "), "{refused:?}");
    assert_eq!(scene.stored(), before);
}

#[test]
fn scep_survives_a_kill_while_the_server_says_nothing() {
    let scene = scene();
    let fingerprint = scene.fingerprint("depot/ca.pem");
    scene.done(&format!(
        "ca authenticate pub fingerprint {fingerprint} nointeractive"
    ));
    let before = scene.stored();
    scene.signal_servers(Signal::STOP);
    scene.killed("ca enroll pub noconfirm", || scene.await_connection(8090));
    let pending = scene.show("trustpoints pub");
    assert!(pending.contains("Enrollment pending."), "{pending}");
    scene.signal_servers(Signal::CONT);
    // The second run comes as far as the first would have.
    let refused = scene.crypto("ca enroll pub noconfirm");
    assert!(refused.err.contains("SCEP: "), "{refused:?}");
    assert_ne!(
        scene.stored(),
        before,
        "the request that was interrupted is still known"
    );
}
