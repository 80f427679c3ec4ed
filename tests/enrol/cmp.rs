//! CMP, as a user asks for it, against `openssl cmp` as server. It returns one certificate, whatever it is asked; so that
//! one is made beforehand, for a key of ours.

use rustix::process::Signal;

use crate::scene::Scene;

/// A firewall whose key `k` the server has a certificate for.
fn scene(more: &str) -> Scene {
    let mut scene = Scene::new(
        "crypto ca trustpoint by_hand\n enrollment terminal\n fqdn cup.example.com\n keypair k rsa 2048\n",
    );
    scene.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
    scene.write("own.csr", &scene.done("ca enroll by_hand noconfirm"));
    scene.run("openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -copy_extensions copyall -days 20 -out own.pem");
    let mut server = scene.program("openssl");
    server.args(["cmp", "-port", "8080", "-rsp_cert", "own.pem"]);
    server.args(["-srv_ref", "device-17", "-srv_secret", "pass:insta"]);
    server.args(more.split_whitespace());
    scene.serve_quietly(server);
    scene.await_listener(8080);
    scene.configure(
        "crypto ca trustpoint pub\n enrollment protocol cmp url http://127.0.0.1:8080/pkix/\n \
         fqdn cup.example.com\n keypair k\n password device-17:insta\n",
    );
    scene
}

fn authenticate(scene: &Scene) {
    let taken = scene.crypto_reading(&scene.read("ca.pem"), "ca authenticate pub nointeractive");
    assert_eq!(taken.code, Some(0), "{taken:?}");
}

#[test]
fn cmp_enrols_with_a_shared_secret_and_refuses_a_server_that_does_not_know_it() {
    let scene = scene("");
    authenticate(&scene);
    let before = scene.stored();
    let wrong = scene.crypto("ca enroll pub shared-secret device-17:other noconfirm");
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert_eq!(scene.stored(), before);
    scene.done("ca enroll pub noconfirm");
    assert_eq!(scene.identity("pub"), scene.read("own.pem"));
}

#[test]
fn a_shared_secret_proves_the_authority_that_the_server_sends() {
    let scene = scene("-rsp_capubs ca.pem");
    scene.done("ca enroll pub noconfirm");
    assert_eq!(scene.identity("pub"), scene.read("own.pem"));
    let shown = scene.show("certificates pub");
    assert!(shown.contains("CA Certificate\n"), "{shown}");
}

#[test]
fn cmp_survives_a_kill_while_the_server_says_nothing() {
    let scene = scene("");
    authenticate(&scene);
    scene.signal_servers(Signal::STOP);
    scene.killed("ca enroll pub noconfirm", || scene.await_connection(8080));
    let pending = scene.show("trustpoints pub");
    assert!(pending.contains("Enrollment pending."), "{pending}");
    scene.signal_servers(Signal::CONT);
    scene.done("ca enroll pub noconfirm");
    assert_eq!(scene.identity("pub"), scene.read("own.pem"));
}
