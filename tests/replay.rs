//! Replay: captures through a configuration and a card, and what is said of it.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use host::config;
use host::policy::{self, Capacity};
use host::runtime::Runtime;
use host::runtime::capture::{Capture, CaptureError, CaptureWriter};
use host::runtime::replay::{Error, Input, Outputs, Replay};
use host::runtime::report::{Describer, Path as Way, Record, Replayed, Verdict};
use sim::Card;
use support::{Bench, cards};

/// What a replay gave: the report, the captures, and how it ended.
struct Given {
    replayed: Replayed,
    files: Vec<(String, Vec<u8>)>,
    outcome: Result<(), Error>,
}

impl Given {
    fn record(&self, port: &str, index: u64) -> &Record {
        let is_it = |record: &&Record| (record.port.as_str(), record.index) == (port, index);
        self.replayed
            .packets
            .iter()
            .find(is_it)
            .expect("a record of each frame")
    }
}

/// Replays captures of a folder (`outside.pcap`, `inside.pcap`) through a case's configuration.
fn replay_folder(card: Box<dyn Card>, folder: &Path) -> Given {
    let text =
        std::fs::read_to_string(case("seed-corrected").join("setup.cfg")).expect("a configuration");
    let parsed = config::parse(&text);
    let (model, _) = policy::lower(&parsed.config);
    let model = Arc::new(model);
    let inputs = ["outside", "inside"]
        .iter()
        .map(|name| (name, folder.join(format!("{name}.pcap"))))
        .filter(|(_, file)| file.exists())
        .map(|(name, file)| {
            let interface = model.interface_named(name).expect("an interface");
            let port = model.interface(interface).port.expect("on the card");
            Input {
                interface,
                port,
                capture: Capture::open(&file).expect("a capture"),
            }
        })
        .collect();
    let bench = Bench::serve(card);
    let (image, _) = policy::compile(&model, &Capacity::default());
    let mut runtime =
        Runtime::start(bench.bring_up(), model.clone(), image).expect("a loaded card");
    let describer = Describer::new(&parsed.source, &model);
    let out = tempfile::tempdir().expect("a folder");
    let outputs = Outputs::create(&model, out.path()).expect("outputs");
    let mut replayed = Replayed::default();
    let replay = Replay::new(inputs).expect("first frames");
    let outcome = replay.run(&mut runtime, &describer, outputs, &mut replayed, |_| {});
    replayed
        .read_out(&mut runtime, &describer)
        .expect("counters");
    let read = |name: &str| {
        (
            name.to_owned(),
            std::fs::read(out.path().join(name)).expect("an output"),
        )
    };
    Given {
        replayed,
        files: vec![read("outside.pcap"), read("inside.pcap")],
        outcome,
    }
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

/// Frames of a capture.
fn frames_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("room");
    let mut capture = Capture::open(file.path()).expect("a capture");
    let mut frames = Vec::new();
    while let Some(captured) = capture.next_frame().expect("a whole capture") {
        frames.push(captured.frame);
    }
    frames
}

/// Writes a capture of frames, a millisecond apart.
fn write(path: &Path, begin_ms: u64, frames: &[Vec<u8>]) {
    let mut writer = CaptureWriter::create(path).expect("a file");
    for (n, frame) in frames.iter().enumerate() {
        writer
            .write(Duration::from_millis(begin_ms + n as u64), frame)
            .expect("room");
    }
    writer.finish().expect("room");
}

fn udp(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 0, 1])
        .ipv4(src, dst, 64)
        .udp(sport, dport)
        .write(&mut frame, payload)
        .expect("a vector takes everything");
    frame
}

/// A peer asks a published port, the node answers, the peer asks again, a stranger is denied.
fn little_scene(folder: &Path) {
    let ask = udp(PEER, 5070, PUBLIC, 5070, b"ask");
    let denied = udp(PEER, 5070, PUBLIC, 999, b"denied");
    write(
        &folder.join("outside.pcap"),
        1_000,
        &[ask.clone(), denied, ask],
    );
    write(
        &folder.join("inside.pcap"),
        1_001,
        &[udp(NODE, 5070, PEER, 5070, b"answer")],
    );
}

#[test]
fn first_packets_go_to_the_host_and_later_ones_stay_in_the_card() {
    for (name, card) in cards() {
        let folder = tempfile::tempdir().expect("a folder");
        little_scene(folder.path());
        let given = replay_folder(card, folder.path());
        given.outcome.as_ref().expect("all frames");
        let first = given.record("outside", 1);
        assert_eq!(
            (first.verdict, first.path, first.punted),
            (Verdict::Forward, Way::Host, Some("flow-miss")),
            "{name}"
        );
        let ace = first.ace.as_deref().expect("an access-list line");
        assert!(
            ace.starts_with(
                "access-list ALLOW-ALL extended permit udp any host 10.0.0.2 eq 5070 (line "
            ),
            "{ace}"
        );
        let nat = first.nat_rule.as_deref().expect("a NAT line");
        assert!(nat.starts_with("object network obj-10.0.0.2-03: nat (inside,outside) static 192.0.2.1 service udp 5070 5070"), "{nat}");
        for (port, index, sent) in [
            ("inside", 1, "udp 192.0.2.1/5070 > 192.0.2.254/5070"),
            ("outside", 3, "udp 192.0.2.254/5070 > 10.0.0.2/5070"),
        ] {
            let record = given.record(port, index);
            assert_eq!(
                (record.verdict, record.path, record.reason),
                (Verdict::Forward, Way::Card, "flow-hit")
            );
            assert_eq!(
                (record.sent.as_deref(), &record.ace, &record.nat_rule),
                (Some(sent), &first.ace, &first.nat_rule)
            );
        }
        let denied = given.record("outside", 2);
        assert_eq!(
            (denied.verdict, denied.path, denied.reason),
            (Verdict::Drop, Way::Card, "acl-deny")
        );
        assert!(
            denied
                .ace
                .as_deref()
                .is_some_and(|ace| ace.contains("deny ip any any"))
        );
        let [(_, outside), (_, inside)] = given.files.as_slice() else {
            panic!("two outputs")
        };
        assert_eq!((frames_of(outside).len(), frames_of(inside).len()), (1, 2));
    }
}

#[test]
fn the_same_captures_give_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    little_scene(folder.path());
    let mut all = Vec::new();
    for _ in 0..2 {
        for (_, card) in cards() {
            let mut given = replay_folder(card, folder.path());
            // The cards differ in cycles and in nothing else.
            for record in &mut given.replayed.packets {
                (record.cycles_in, record.cycles_out) = (None, None);
            }
            all.push((
                serde_json::to_string(&given.replayed).expect("JSON"),
                given.files,
            ));
        }
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn captures_that_break_off_keep_what_came_before() {
    let folder = tempfile::tempdir().expect("a folder");
    little_scene(folder.path());
    let path = folder.path().join("outside.pcap");
    let whole = std::fs::read(&path).expect("a capture");
    std::fs::write(&path, &whole[..whole.len() - 5]).expect("room");
    let given = replay_folder(Box::new(sim::Model::new(64)), folder.path());
    let error = given
        .outcome
        .as_ref()
        .expect_err("a broken capture")
        .to_string();
    assert!(
        error.contains("outside.pcap: packet 3 cannot be read: the file ends inside it"),
        "{error}"
    );
    assert_eq!(
        given.replayed.packets.len(),
        2 + 1,
        "both frames before the break, and the one at that time"
    );
    let [(_, outside), (_, inside)] = given.files.as_slice() else {
        panic!("two outputs")
    };
    assert_eq!((frames_of(outside).len(), frames_of(inside).len()), (1, 1));
}

#[test]
fn frames_too_long_for_the_host_are_reported_and_not_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = udp(PEER, 5070, PUBLIC, 5070, &[7; 4_000]);
    write(&folder.path().join("outside.pcap"), 1, &[long]);
    let given = replay_folder(Box::new(sim::Model::new(64)), folder.path());
    let record = given.record("outside", 1);
    assert_eq!(
        (record.verdict, record.reason, record.punted),
        (Verdict::Drop, "too-long-for-host", Some("flow-miss"))
    );
    assert!(frames_of(&given.files[1].1).is_empty());
}

#[test]
fn files_that_are_no_captures_of_ethernet_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.pcap");
    for bytes in [&b""[..], b"abc", b"this is a text and not a capture at all"] {
        std::fs::write(&path, bytes).expect("room");
        assert!(matches!(
            Capture::open(&path),
            Err(CaptureError::NotACapture { .. })
        ));
    }
    write(&path, 1, &[vec![0; 60]]);
    let mut bytes = std::fs::read(&path).expect("a capture");
    bytes[20] = 101; // LINKTYPE_RAW
    std::fs::write(&path, bytes).expect("room");
    let error = Capture::open(&path)
        .expect("a capture")
        .next_frame()
        .expect_err("not Ethernet");
    assert!(
        matches!(error, CaptureError::LinkType { number: 1, .. }),
        "{error}"
    );
}

#[test]
fn pcapng_times_follow_the_resolution_of_their_interface() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (resolution, ticks, expected) in [
        (None, 5_000_001, Duration::from_micros(5_000_001)),
        (Some(9), 7, Duration::from_nanos(7)),
        (Some(3), 1_250, Duration::from_millis(1_250)),
        (Some(0x80 | 1), 3, Duration::from_millis(1_500)),
    ] {
        std::fs::write(file.path(), pcapng(resolution, ticks)).expect("room");
        let mut capture = Capture::open(file.path()).expect("a capture");
        let captured = capture.next_frame().expect("a frame").expect("one");
        assert_eq!(
            (captured.time, captured.number, captured.frame),
            (expected, 1, vec![1, 2, 3])
        );
        assert_eq!(capture.next_frame().expect("the end"), None);
    }
}

/// A little-endian pcapng with one interface and one packet of three bytes.
fn pcapng(resolution: Option<u8>, ticks: u64) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &length].concat()
    };
    let mut interface = vec![1, 0, 0, 0, 0, 0, 0, 0];
    if let Some(resolution) = resolution {
        interface.extend([9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
    }
    let mut packet = vec![0; 4];
    packet.extend(((ticks >> 32) as u32).to_le_bytes());
    packet.extend((ticks as u32).to_le_bytes());
    packet.extend([3, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 0]);
    let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    [
        block(0x0a0d_0d0a, &section),
        block(1, &interface),
        block(6, &packet),
    ]
    .concat()
}

#[test]
fn altered_captures_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    little_scene(folder.path());
    let classic = std::fs::read(folder.path().join("outside.pcap")).expect("a capture");
    let path = folder.path().join("altered.pcap");
    for original in [classic, pcapng(Some(9), 7)] {
        for at in 0..original.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut altered = original.clone();
                altered[at] = value;
                std::fs::write(&path, altered).expect("room");
                let Ok(mut capture) = Capture::open(&path) else {
                    continue;
                };
                while let Ok(Some(_)) = capture.next_frame() {}
            }
        }
    }
}

const PUBLIC: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 254];
const NODE: [u8; 4] = [10, 0, 0, 2];
