//! The commands as a user types them: what they print, what they write, how they end.

#[path = "support/command.rs"]
mod command;

use std::path::Path;
use std::time::Duration;

use command::{Answer, ENGINES, case, postern, postern_reading};
use etherparse::PacketBuilder;
use host::runtime::capture::{Capture, CaptureWriter};
use serde_json::Value;
use tempfile::TempDir;

const PEER: [u8; 4] = [192, 0, 2, 254];
const PUBLIC: [u8; 4] = [192, 0, 2, 1];

/// The case everything here is asked about.
fn corrected() -> String {
    case("seed-corrected")
        .join("setup.cfg")
        .display()
        .to_string()
}

/// A configuration in a file of its own.
fn file_with(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.cfg");
    std::fs::write(&path, text).expect("room");
    let name = path.display().to_string();
    (folder, name)
}

const BAD: &str =
    "hostname x\nmtu inside 10\nsnmp-server y\naccess-list A permit tcp any any eq 99999\n";

#[test]
fn check_of_a_usable_configuration_ends_with_0() {
    let answer = postern(["check", &corrected()]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert!(
        answer.out.ends_with("4 warnings, 1 note\n"),
        "{}",
        answer.out
    );
    let clean = "interface g0/0\n nameif outside\n";
    let answer = postern_reading(clean, ["check", "-"]);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (Some(0), "-: no findings\n")
    );
    let answer = postern_reading(clean, ["check", "-", "--format", "json"]);
    assert_eq!(
        (answer.code, answer.json()),
        (Some(0), Value::Array(vec![]))
    );
}

#[test]
fn check_shows_all_errors_with_line_column_and_caret_and_ends_with_1() {
    let (_folder, file) = file_with(BAD);
    let answer = postern(["check", &file]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(1), ""));
    for part in [
        "E0105",
        &format!("{file}:2:12"),
        " 2 │ mtu inside 10\n   ·            ──\n",
        "E0110",
        &format!("{file}:4:37"),
        " 4 │ access-list A permit tcp any any eq 99999\n   ·                                     ─────\n",
        "W0101",
        &format!("{file}:3:1"),
        "`snmp-server y` is outside the supported commands; ignored",
    ] {
        assert!(answer.out.contains(part), "{part} in {}", answer.out);
    }
    assert!(
        answer.out.ends_with("2 errors, 2 warnings\n"),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn check_as_json_gives_code_severity_and_place_of_each_finding() {
    let (_folder, file) = file_with(BAD);
    let answer = postern(["check", "--format", "json", &file]);
    assert_eq!(answer.code, Some(1));
    let list = answer.json();
    let of = |finding: &Value| {
        let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
        let number = |key: &str| finding[key].as_u64().expect("a number");
        assert_eq!(text("file"), file);
        assert!(!text("message").is_empty());
        (
            text("code"),
            text("severity"),
            number("line"),
            number("column"),
        )
    };
    let found: Vec<_> = list.as_array().expect("a list").iter().map(of).collect();
    for (code, severity, line, column) in [
        ("E0105", "error", 2, 12),
        ("W0101", "warning", 3, 1),
        ("E0110", "error", 4, 37),
    ] {
        let expected = (code.to_owned(), severity.to_owned(), line, column);
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}

#[test]
fn what_cannot_be_read_or_understood_ends_with_2() {
    for arguments in [
        &["check", "/nowhere/x.cfg"][..],
        &["packet-tracer", "--config", "/nowhere/x.cfg", "input"],
        &[
            "replay",
            "--config",
            "/nowhere/x.cfg",
            "--rx",
            "outside=y",
            "--out",
            "/nowhere",
        ],
    ] {
        let answer = postern(arguments);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        let message = "postern: cannot read /nowhere/x.cfg: ";
        assert!(answer.err.starts_with(message), "{}", answer.err);
    }
    for arguments in [&[][..], &["check"], &["check", "--form"], &["replay"]] {
        let answer = postern(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}");
        assert!(answer.err.contains("Usage:"), "{}", answer.err);
    }
}

#[test]
fn help_of_each_command_shows_an_example_that_works() {
    for command in ["check", "packet-tracer", "replay"] {
        let answer = postern([command, "--help"]);
        assert_eq!(answer.code, Some(0));
        let example = answer
            .out
            .lines()
            .skip_while(|line| *line != "Example:")
            .nth(1)
            .expect("an example")
            .trim();
        let mut words: Vec<String> = example.split(' ').map(str::to_owned).collect();
        assert_eq!(words.remove(0), "postern");
        let scene = Scene::new();
        for word in &mut words {
            match word.as_str() {
                "firewall.cfg" => *word = corrected(),
                "outside=a.pcap" => *word = scene.rx("outside", "outside.pcap"),
                "inside=b.pcapng" => *word = scene.rx("inside", "inside.pcap"),
                "result" => *word = scene.path("result"),
                _ => {}
            }
        }
        let answer = postern(&words);
        assert_eq!(answer.code, Some(0), "{example}: {}", answer.err);
    }
}

/// Asks packet-tracer about the corrected seed.
fn trace(options: &[&str], packet: &str) -> Answer {
    let config = corrected();
    let words = packet.split(' ');
    let start = ["packet-tracer", "--config", &config];
    postern(
        start
            .iter()
            .copied()
            .chain(options.iter().copied())
            .chain(words),
    )
}

const INBOUND: &str = "input outside tcp 192.0.2.254 40000 192.0.2.1 45061";

#[test]
fn packet_tracer_prints_the_phases_with_the_lines_that_acted() {
    let answer = trace(&[], INBOUND);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let kinds: Vec<&str> = answer
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("Type: "))
        .collect();
    assert_eq!(
        kinds,
        [
            "FLOW-LOOKUP",
            "UN-NAT",
            "ROUTE-LOOKUP",
            "ACCESS-LIST",
            "NAT",
            "IP-OPTIONS",
            "NAT",
            "FLOW-CREATION",
            "ADJACENCY"
        ]
    );
    for line in [
        "object network obj-10.0.0.3-01",
        "nat (inside,outside) static 192.0.2.1 service tcp 5061 45061",
        "NAT divert to egress interface inside",
        "Untranslate 192.0.2.1/45061 to 10.0.0.3/5061",
        "access-group ALLOW-ALL in interface outside",
        "access-list ALLOW-ALL extended permit tcp any host 10.0.0.3 eq 5061",
        "input-interface: outside",
        "output-interface: inside",
        "Action: allow",
    ] {
        assert!(answer.out.lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn inspection_comes_before_translation_in_the_phases() {
    let answer = trace(
        &["--format", "json"],
        "input inside tcp 10.0.0.2 5062 192.0.2.254 5061",
    );
    let json = answer.json();
    let phases = json["phases"].as_array().expect("phases");
    let place = |kind: &str, subtype: &str| {
        let is_it = |phase: &Value| phase["type"] == kind && phase["subtype"] == subtype;
        phases.iter().position(is_it).expect("the phase")
    };
    assert!(place("INSPECT", "inspect-sip") < place("NAT", ""));
    assert_eq!(json["mapped_source"]["port"], 5062);
}

#[test]
fn a_dropped_packet_is_an_answer_too() {
    let answer = trace(&[], "input outside tcp 192.0.2.254 40000 10.0.0.2 5061");
    assert_eq!(answer.code, Some(0));
    assert!(answer.out.contains("Subtype: rpf-check\nResult: DROP"));
    assert!(
        answer
            .out
            .contains("Action: drop\nDrop-reason: (nat-rpf-failed)")
    );
    let json = trace(
        &["--format", "json"],
        "input outside sctp 192.0.2.254 40000 192.0.2.1 5061",
    )
    .json();
    assert_eq!(
        (&json["action"], &json["drop_reason"]),
        (&"drop".into(), &"acl-drop".into())
    );
    let last = json["phases"].as_array().and_then(|list| list.last());
    assert_eq!(
        last.expect("a phase")["config"][1],
        "access-list ALLOW-ALL extended deny ip any any log"
    );
}

#[test]
fn packet_tracer_on_a_card_adds_what_the_card_did() {
    for engine in ENGINES {
        let answer = trace(&["--engine", engine], INBOUND);
        assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
        let (phases, card) = answer.out.split_once("\nCard: ").expect("a card");
        assert!(phases.ends_with("Action: allow\n"));
        assert!(card.starts_with(engine));
        for part in [
            "Punted: flow-miss",
            "Sent: tcp 192.0.2.254/40000 > 10.0.0.3/5061 on inside",
            "decide",
        ] {
            assert!(card.contains(part), "{part} in {card}");
        }
        let json = trace(&["--engine", engine, "--format", "json"], INBOUND).json();
        let card = &json["card"];
        assert_eq!(json["action"], "allow");
        assert_eq!(
            (&card["engine"], &card["packet"]["verdict"]),
            (&(*engine).into(), &"forward".into())
        );
        let stages = card["stages"].as_array().expect("stages");
        let cycles: Vec<u64> = stages
            .iter()
            .filter_map(|stage| stage["cycle"].as_u64())
            .collect();
        assert!(stages.len() > 4 && cycles.is_sorted(), "{stages:?}");
        assert_eq!(cycles.last() > Some(&0), *engine == "rtl");
    }
}

#[test]
fn a_packet_that_cannot_be_described_is_answered_with_how_to() {
    for (packet, says) in [
        ("outside tcp 1.1.1.1 1 2.2.2.2 2", "begins with `input`"),
        (
            "input dmz tcp 1.1.1.1 1 2.2.2.2 2",
            "no interface dmz, only outside, inside",
        ),
        ("input outside tcp 1.1.1.1 1 2.2.2.2", "cannot read"),
        (
            "input outside tcp 1.1.1 1 2.2.2.2 2",
            "`1.1.1` is not an IPv4 address",
        ),
        (
            "input outside udp 1.1.1.1 https 2.2.2.2 2",
            "`https` is not a port",
        ),
    ] {
        let answer = trace(&[], packet);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        assert!(answer.err.contains(says), "{says} in {}", answer.err);
        assert!(answer.err.contains("SRC SPORT DST DPORT"));
    }
}

#[test]
fn a_configuration_with_errors_is_traced_as_far_as_it_goes() {
    let config = case("seed-verbatim").join("setup.cfg");
    let start = ["packet-tracer", "--config", config.to_str().expect("UTF-8")];
    let answer = postern(start.into_iter().chain(INBOUND.split(' ')));
    assert_eq!(answer.code, Some(0));
    let errors = postern(["check", start[2], "--format", "json"]).json();
    let is_error = |finding: &&Value| finding["severity"] == "error";
    let count = errors
        .as_array()
        .expect("a list")
        .iter()
        .filter(is_error)
        .count();
    assert!(count > 10);
    assert!(
        answer.err.contains(&format!("has {count} errors")),
        "{}",
        answer.err
    );
    assert!(
        answer
            .out
            .contains("Untranslate 192.0.2.1/45061 to 10.0.0.3/5061")
    );
}

/// Two captures: a peer asks a published port, is denied another, asks again; the node answers.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().expect("a folder"));
        let ask = udp(PEER, 5070, PUBLIC, 5070);
        let denied = udp(PEER, 5070, PUBLIC, 999);
        let answer = udp([10, 0, 0, 2], 5070, PEER, 5070);
        scene.write(
            "outside.pcap",
            &[(1_000, &ask), (1_001, &denied), (1_003, &ask)],
        );
        scene.write("inside.pcap", &[(1_002, &answer)]);
        scene
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn rx(&self, interface: &str, file: &str) -> String {
        format!("{interface}={}", self.path(file))
    }

    fn write(&self, name: &str, frames: &[(u64, &[u8])]) {
        let mut writer = CaptureWriter::create(&self.0.path().join(name)).expect("a file");
        for (time_ms, frame) in frames {
            writer
                .write(Duration::from_millis(*time_ms), frame)
                .expect("room");
        }
        writer.finish().expect("room");
    }

    /// Replays `outside.pcap`-like files on an engine into the folder `result`.
    fn replay(&self, engine: &str, config: &str, outside: &str, more: &[&str]) -> Answer {
        let (outside, inside) = (
            self.rx("outside", outside),
            self.rx("inside", "inside.pcap"),
        );
        let out = self.path("result");
        let arguments = [
            "replay", "--config", config, "--rx", &outside, "--rx", &inside, "--out", &out,
            "--engine", engine,
        ];
        postern(arguments.iter().chain(more))
    }

    fn report(&self) -> Value {
        let text = std::fs::read_to_string(self.path("result/report.json")).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }

    fn frames(&self, name: &str) -> usize {
        let path = self.0.path().join("result").join(name);
        let mut capture = Capture::open(&path).expect("a capture");
        std::iter::from_fn(|| capture.next_frame().expect("a whole capture")).count()
    }
}

fn udp(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 0, 1])
        .ipv4(src, dst, 64)
        .udp(sport, dport)
        .write(&mut frame, b"payload")
        .expect("a vector takes everything");
    frame
}

fn verdicts(report: &Value) -> Vec<String> {
    let packets = report["packets"].as_array().expect("packets");
    let verdict = |packet: &Value| {
        let text = |key: &str| packet[key].as_str().expect("a text");
        format!(
            "{} {} {} {}",
            text("port"),
            packet["index"],
            text("verdict"),
            text("path")
        )
    };
    packets.iter().map(verdict).collect()
}

#[test]
fn replay_writes_what_left_and_a_report_and_tells_it() {
    for engine in ENGINES {
        let scene = Scene::new();
        let answer = scene.replay(engine, &corrected(), "outside.pcap", &[]);
        assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
        assert_eq!(
            verdicts(&scene.report()),
            [
                "outside 1 forward host",
                "outside 2 drop card",
                "inside 1 forward card",
                "outside 3 forward card"
            ]
        );
        assert_eq!(
            (scene.frames("inside.pcap"), scene.frames("outside.pcap")),
            (2, 1)
        );
        for part in [
            "Forwarded in the card",
            "Dropped in the card",
            "4 frames received",
        ] {
            assert!(answer.out.contains(part), "{part} in {}", answer.out);
        }
        let json = scene.replay(engine, &corrected(), "outside.pcap", &["--format", "json"]);
        assert_eq!(json.json(), scene.report());
    }
}

#[test]
fn the_same_replay_gives_the_same_bytes() {
    let all = |scene: &Scene| {
        ["report.json", "inside.pcap", "outside.pcap"]
            .map(|name| std::fs::read(Path::new(&scene.path("result")).join(name)).expect("a file"))
    };
    let scenes = [Scene::new(), Scene::new()].map(|scene| {
        let answer = scene.replay("model", &corrected(), "outside.pcap", &[]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        all(&scene)
    });
    assert_eq!(scenes[0], scenes[1]);
}

#[test]
fn a_broken_capture_ends_with_1_names_the_packet_and_keeps_what_came_before() {
    let scene = Scene::new();
    let whole = std::fs::read(scene.path("outside.pcap")).expect("a capture");
    std::fs::write(scene.path("cut.pcap"), &whole[..whole.len() - 5]).expect("room");
    let answer = scene.replay("model", &corrected(), "cut.pcap", &[]);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer
            .err
            .contains("cut.pcap: packet 3 cannot be read: the file ends inside it"),
        "{}",
        answer.err
    );
    // The other capture is followed up to the last packet of the broken one.
    assert_eq!(
        verdicts(&scene.report()),
        ["outside 1 forward host", "outside 2 drop card"]
    );
    assert_eq!(
        (scene.frames("inside.pcap"), scene.frames("outside.pcap")),
        (1, 0)
    );
}

#[test]
fn replay_reads_pcapng() {
    let scene = Scene::new();
    let frame = udp(PEER, 5070, PUBLIC, 5070);
    std::fs::write(scene.path("a.pcapng"), pcapng(&frame)).expect("room");
    let answer = scene.replay("model", &corrected(), "a.pcapng", &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let verdicts = verdicts(&scene.report());
    assert!(
        verdicts.contains(&"outside 1 forward host".to_owned()),
        "{verdicts:?}"
    );
    assert_eq!(scene.frames("inside.pcap"), 1);
}

/// A little-endian pcapng with one frame at 1 s.
fn pcapng(frame: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &length].concat()
    };
    let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let length = (frame.len() as u32).to_le_bytes();
    let time = 1_000_000u32.to_le_bytes();
    let mut packet = [&[0; 8][..], &time, &length, &length, frame].concat();
    packet.resize(packet.len().next_multiple_of(4), 0);
    [
        block(0x0a0d_0d0a, &section),
        block(1, &[1, 0, 0, 0, 0, 0, 0, 0]),
        block(6, &packet),
    ]
    .concat()
}

#[test]
fn replay_refuses_what_it_cannot_use_and_says_why() {
    let scene = Scene::new();
    let refused = |answer: Answer, code, says: &str| {
        assert_eq!((answer.code, answer.out.as_str()), (Some(code), ""));
        assert!(answer.err.contains(says), "{says} in {}", answer.err);
        assert!(
            !Path::new(&scene.path("result")).exists(),
            "nothing is written"
        );
    };
    // A conflict that only the checks find refuses the configuration as well.
    let conflict = "interface g0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\ninterface g0/1\n nameif inside\n\
                    object network a\n host 10.0.0.2\n nat (inside,outside) static 192.0.2.1 service udp 5070 5070\n\
                    object network b\n host 10.0.0.3\n nat (inside,outside) static 192.0.2.1 service udp 5070 5070\n";
    let (_folder, file) = file_with(conflict);
    refused(
        scene.replay("model", &file, "outside.pcap", &[]),
        1,
        "1 errors in the configuration; `postern check` shows them",
    );
    refused(
        scene.replay("model", &corrected(), "missing.pcap", &[]),
        1,
        "cannot open",
    );
    std::fs::write(scene.path("text.pcap"), "not a capture at all").expect("room");
    refused(
        scene.replay("model", &corrected(), "text.pcap", &[]),
        1,
        "text.pcap is not a capture",
    );
    let more = ["--rx", "dmz=x.pcap"];
    refused(
        scene.replay("model", &corrected(), "outside.pcap", &more),
        2,
        "there is no interface dmz on the card; the configuration has outside, inside",
    );
    let wave = scene.path("wave.vcd");
    refused(
        scene.replay("model", &corrected(), "outside.pcap", &["--wave", &wave]),
        2,
        "only the RTL card has them",
    );
}

#[cfg(feature = "verilator")]
#[test]
fn replay_of_the_rtl_card_writes_waves() {
    let scene = Scene::new();
    let wave = scene.path("wave.fst");
    let answer = scene.replay("rtl", &corrected(), "outside.pcap", &["--wave", &wave]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(std::fs::metadata(&wave).expect("a wave file").len() > 0);
}
