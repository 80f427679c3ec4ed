//! More TLS proxy sessions than are licensed.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;

use crate::command::{self, postern};
use crate::daemon::Daemon;
use crate::engines;
use crate::lab::{Lab, Side};

/// The server that a proxy stands in front of, as the outside sees it.
const SIP: &str = "192.0.2.10:5061";
const CONFIG: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network sip-server
 host 10.0.0.9
 nat (inside,outside) static 192.0.2.10 service tcp 5061 5061
access-list TO-SERVER extended permit tcp any host 10.0.0.9 eq 5061
access-group TO-SERVER in interface outside
crypto ca trustpoint own
 enrollment self
tls-proxy y_to_x
 server trust-point own
 no server authenticate-client
class-map sips
 match access-list TO-SERVER
policy-map global_policy
 class sips
  inspect sip tls-proxy y_to_x
service-policy global_policy global
";

#[test]
fn sessions_beyond_the_licence_are_reset_counted_and_said_once() {
    for engine in engines() {
        println!("on the {engine} card");
        let lab = Lab::start(command::card_program(), engine).expect("a lab");
        let state = tempfile::tempdir().expect("a folder");
        let config = state.path().join("proxy.cfg");
        std::fs::write(&config, CONFIG).expect("room");
        let path = |path: &std::path::Path| path.display().to_string();
        let enrolled = postern([
            "crypto",
            "--config",
            &path(&config),
            "--state",
            &path(state.path()),
            "ca",
            "enroll",
            "own",
            "noconfirm",
        ]);
        assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
        // Two sessions come with the model.
        let words = ["--platform", "5505"];
        let (daemon, _) = Daemon::start_with(&config, &lab.socket(), Arc::new(state), &words);
        let shown = |words: &str| daemon.show(&format!("{words} --format json")).json();
        let await_sessions = |wanted: u64| {
            while shown("tls-proxy session count")["in_use"] != wanted {
                std::thread::yield_now();
            }
        };

        let connect = || lab.connect(Side::Outside, SIP).expect("a connection");
        let first = connect();
        let second = connect();
        await_sessions(2);
        for _ in 0..2 {
            assert_eq!(
                end(lab.connect(Side::Outside, SIP)),
                Some(io::ErrorKind::ConnectionReset)
            );
        }
        let said = daemon.await_line("%ASA-4-446003: Denied TLS Proxy session from outside:");
        let line = said.last().expect("a line");
        assert!(
            line.contains("UC proxy license limit of 2 sessions reached"),
            "{line}"
        );

        let limits = shown("tls-proxy");
        let of = |name: &str| limits[name].clone();
        assert_eq!(of("platform"), "ASA 5505");
        assert_eq!(
            (of("uc_sessions"), of("uc_sessions_used")),
            (2.into(), 2.into())
        );
        assert_eq!(
            (of("maximum_sessions"), of("most_used")),
            (10.into(), 2.into())
        );
        assert_eq!(limits["refused"]["uc-licence-limit"], 2, "{limits}");
        assert_eq!(limits["proxies"][0]["class"], "sips");
        assert_eq!(limits["proxies"][0]["active"], 2);
        let conns = shown("conn address 192.0.2.10");
        let carried = conns["conns"].as_array().expect("a list").iter();
        assert!(
            carried.len() >= 2 && carried.clone().all(|conn| conn["by"] == "proxy"),
            "{conns}"
        );

        // Those that were there go on, and one that ends makes room.
        drop(first);
        await_sessions(1);
        let third = connect();
        await_sessions(2);
        drop((second, third));
        await_sessions(0);
        // Both refusals came before these ends.
        let ended = || daemon.await_line("it ended the connection before the handshake was done");
        let said: Vec<String> = (0..3).flat_map(|_| ended()).collect();
        let again = said.iter().filter(|line| line.contains("446003"));
        assert_eq!(again.count(), 0, "{said:#?}");
        assert_eq!(daemon.stop().code(), Some(0));
        assert_eq!(lab.card_log(), "");
    }
}

/// How a connection ends that nothing is sent over. The reset may be here before the connection is.
fn end(connected: io::Result<TcpStream>) -> Option<io::ErrorKind> {
    let read = connected.and_then(|mut stream| stream.read(&mut [0]));
    read.err().map(|error| error.kind())
}
