//! A running firewall proves its name at addresses of its card: nobody looks at the machine.
//!
//!     pebble ── outside ── card ── inside          pebble ── machine, where `postern run` is
//!
//! The authority's own server is reached by the machine's sockets. The machine's own ports 80 and 443 are taken, so nothing
//! that listens there can be what pebble finds.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::acme::{PEBBLE, Place, authenticate, start_authority, trustpoints};
use crate::command;
use crate::daemon::Daemon;
use crate::lab::{GATEWAY, Lab, Side};
use crate::scene::Scene;

/// The authority, as the machine reaches it.
const AUTHORITY: &str = "203.0.113.2";
/// The outside interface.
const OWN: &str = "192.0.2.1";
/// An address that a rule translates for one other port.
const MAPPED: &str = "192.0.2.10";
/// So short-lived that the next certificate is asked for at once.
const SHORT: &str = r#""certificateValidityPeriod": 100, "certificate""#;

/// Networks, a card, an authority.
struct Bench {
    scene: Scene,
    lab: Lab,
}

impl Bench {
    /// Names lead to an address of the card.
    fn new(names_lead_to: &str, pebble: &str, acme: &str) -> Self {
        let lab = Lab::start(command::card_program(), "model").expect("a lab");
        let mut scene = Scene::new("");
        let machine = scene.process().to_string();
        let link = format!("link add authority0 type veth peer name machine0 netns {machine}");
        let up = "link set authority0 up";
        let address = format!("address add {AUTHORITY}/24 dev authority0");
        for words in [&link, up, &address] {
            let done = lab
                .command(Side::Outside, "ip")
                .args(words.split(' '))
                .status();
            assert!(done.expect("ip").success(), "{words}");
        }
        scene.run("ip link set machine0 up");
        scene.run("ip address add 203.0.113.1/24 dev machine0");
        let place = Place {
            address: AUTHORITY,
            names_lead_to,
            enter: &|scene, program| in_folder(lab.command(Side::Outside, program), scene),
        };
        start_authority(&mut scene, &place, pebble);
        for port in ["80", "443"] {
            let mut taken = scene.program("openssl");
            taken.args([
                "s_server", "-accept", port, "-cert", "web.pem", "-key", "web.key",
            ]);
            scene.serve_quietly(taken);
            scene.await_listener(port.parse().expect("a number"));
        }
        scene.configure(&(FIREWALL.to_owned() + &trustpoints(AUTHORITY, acme)));
        authenticate(&scene);
        Self { scene, lab }
    }

    fn run(&self) -> Daemon {
        let mut command = self.scene.program(env!("CARGO_BIN_EXE_postern"));
        command.arg("run");
        let socket = self.lab.socket();
        Daemon::begin(command, Path::new("x.cfg"), &socket, Path::new("state")).0
    }

    /// The certificate that a proxy shows outside.
    fn shown(&self) -> String {
        let mut client = self.lab.command(Side::Outside, "openssl");
        client.args(["s_client", "-connect", "192.0.2.10:5269"]);
        let output = client.stdin(Stdio::null()).output().expect("openssl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n");
        let shown = text
            .split_once(begin)
            .and_then(|(_, rest)| rest.split_once(end));
        format!(
            "{begin}{}{end}",
            shown.unwrap_or_else(|| panic!("{output:?}")).0
        )
    }

    /// How many frames the card counted, by name.
    fn counted(&self, name: &str) -> u64 {
        let nic = format!("vfio-user:{}", self.lab.socket().display());
        let info = command::postern(["nic", "info", &nic, "--format", "json"]).json();
        info["counters"][name].as_u64().expect("a counter")
    }
}

fn in_folder(mut command: Command, scene: &Scene) -> Command {
    command.current_dir(scene.path(""));
    command
}

/// Waits for a certificate; returns whether somebody looked at an address and port for it.
fn await_certificate(daemon: &Daemon, looked_at: &str) -> bool {
    let said = daemon.await_line("The certificate of pub is there");
    let built = format!("to outside:{looked_at} ({looked_at})");
    said.iter()
        .any(|line| line.contains("302013: Built inbound TCP") && line.ends_with(&built))
}

#[test]
fn a_running_firewall_proves_its_name_by_a_file_at_its_own_address_and_shows_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        return println!("SKIPPED: network namespaces need root");
    }
    let bench = Bench::new(OWN, PEBBLE, "acme http-01\n auto-enroll");
    let daemon = bench.run();
    assert!(await_certificate(&daemon, "192.0.2.1/80"));
    let text = bench.scene.text_of(&bench.scene.identity("pub"));
    assert!(text.contains("DNS:cup.example.com"), "{text}");

    // Nothing is to be proved now.
    let refused = format!("TCP request discarded from {GATEWAY}/");
    let mut stranger = bench.lab.command(Side::Outside, "curl");
    stranger.args(["--silent", "--max-time", "60", "http://192.0.2.1/"]);
    let mut stranger = stranger.spawn().expect("curl");
    let said = daemon.await_line(&refused);
    assert!(said.last().expect("a line").ends_with("/80"), "{said:?}");
    stranger.kill().expect("it waits for an answer");
    stranger.wait().expect("an end");

    assert_eq!(daemon.stop().code(), Some(0));
    let in_flows = ["flow-hit", "flow-punt", "flow-miss"].map(|name| bench.counted(name));
    assert_eq!(in_flows, [0; 3], "the card has no flow of it");
    assert!(bench.counted("local") > 0);
    assert_eq!(bench.lab.card_log(), "");
}

#[test]
fn a_running_firewall_renews_by_a_certificate_at_a_mapped_address() {
    if !rustix::process::geteuid().is_root() {
        return println!("SKIPPED: network namespaces need root");
    }
    let pebble = PEBBLE.replace(r#""certificate""#, SHORT);
    let bench = Bench::new(MAPPED, &pebble, "acme tls-alpn-01\n auto-enroll 1");
    let daemon = bench.run();
    assert!(await_certificate(&daemon, "192.0.2.10/443"));
    let first = bench.scene.identity("pub");
    assert!(await_certificate(&daemon, "192.0.2.10/443"));
    assert_ne!(bench.scene.identity("pub"), first);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(bench.counted("flow-hit") + bench.counted("flow-punt"), 0);
    assert_eq!(bench.lab.card_log(), "");
}

#[test]
fn the_shell_has_a_running_firewall_enrol_and_its_proxies_show_what_is_new_to_the_next_peer() {
    if !rustix::process::geteuid().is_root() {
        return println!("SKIPPED: network namespaces need root");
    }
    let bench = Bench::new(OWN, PEBBLE, "acme http-01\n auto-enroll");
    let scene = &bench.scene;
    scene.configure(&(scene.read("x.cfg") + PROXY));
    // A proxy serves what was there when the firewall began.
    let daemon = bench.run();
    daemon.await_line("The certificate of pub is there");
    assert_eq!(daemon.stop().code(), Some(0));
    let daemon = bench.run();
    let first = scene.identity("pub");
    assert_eq!(bench.shown(), first);

    let said =
        scene.shell("enable\nconfigure terminal\ncrypto ca enroll pub regenerate noconfirm\n");
    assert!(
        said.contains("The firewall that runs asks for it"),
        "{said}"
    );
    assert!(await_certificate(&daemon, "192.0.2.1/80"));
    let said = scene.shell("show crypto ca trustpoints pub\n");
    assert!(said.contains("Certificate configured."), "{said}");
    let second = scene.identity("pub");
    let key = |certificate: &str| scene.public_key_of(certificate);
    assert_ne!(key(&first), key(&second), "`regenerate` makes a new key");
    // The log tells it before the proxies are told.
    while bench.shown() != second {}
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Nothing may come in from outside but to one port of a server.
const FIREWALL: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network server
 host 10.0.0.9
 nat (inside,outside) static 192.0.2.10 service tcp 5269 5269
access-list FROM-OUTSIDE extended permit tcp any host 10.0.0.9 eq 5269
access-list FROM-OUTSIDE extended deny ip any any
access-group FROM-OUTSIDE in interface outside
";
/// That port leads to a proxy.
const PROXY: &str = "\
tls-proxy x_to_y
 server trust-point pub
 no server authenticate-client
access-list TO-SERVER extended permit tcp any host 10.0.0.9 eq 5269
class-map sips
 match access-list TO-SERVER
policy-map global_policy
 class sips
  inspect sip tls-proxy x_to_y
service-policy global_policy global
";
