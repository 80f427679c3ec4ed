//! `postern replay`.

use std::path::Path;
use std::time::Duration;

use etherparse::PacketBuilder;
use host::runtime::capture::{Capture, CaptureWriter};
use serde_json::Value;
use tempfile::TempDir;

use super::command::{Answer, ENGINES, postern};
use super::{corrected, file_with};

const PEER: [u8; 4] = [192, 0, 2, 254];
const PUBLIC: [u8; 4] = [192, 0, 2, 1];

/// Two captures: a peer asks a published port, is denied another, asks again; the node answers.
pub struct Scene(TempDir);

impl Scene {
    pub fn new() -> Self {
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

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn rx(&self, interface: &str, file: &str) -> String {
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
