//! Golden stories: each folder of `tests/cases` through `postern check`, and its packets through `postern replay`.
//!
//! `packets.txt` holds a packet a line: `MILLISECONDS NAMEIF PROTOCOL SOURCE[/PORT] DESTINATION[/PORT] [FLAG…]`; for
//! ICMP the port of the source is the identifier and the flag is `TYPE.CODE`; for UDP a flag names a file with the
//! message that it carries, whose `{length}` is that of its body. `expect.txt` is what came of it, and is
//! rewritten with `UPDATE_DOCS=1`. Every engine must give the same text: clocks are left out of it.

#[path = "support/command.rs"]
mod command;

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use command::{ENGINES, case, postern};
use etherparse::{
    Icmpv4Type, IpHeaders, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice,
};
use host::runtime::capture::{Capture, CaptureWriter};
use serde_json::Value;

const INTERFACES: [&str; 2] = ["outside", "inside"];

#[test]
fn every_case_ends_as_it_is_told() {
    let folder = case("");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 10);
    let mut differing = Vec::new();
    for case in &cases {
        let expected = case.join("expect.txt");
        assert!(case.join("README.md").is_file(), "{}", case.display());
        let mut first_report = None;
        for engine in ENGINES {
            let (given, report) = tell(case, engine);
            let first = first_report.get_or_insert_with(|| report.clone());
            assert_eq!(*first, report, "{}: {engine} reports else", case.display());
            let rewrites = std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1");
            if rewrites && *engine == ENGINES[0] {
                std::fs::write(&expected, &given).expect("room");
            }
            let told = std::fs::read_to_string(&expected).unwrap_or_default();
            if told != given {
                differing.push(format!(
                    "{} on {engine}, told:\n{told}\ngiven:\n{given}",
                    case.display()
                ));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{}\nUPDATE_DOCS=1 cargo nextest run --test cases  rewrites what is told",
        differing.join("\n")
    );
}

/// What the checks find and what becomes of the packets, and the report without its clocks.
fn tell(case: &Path, engine: &str) -> (String, Value) {
    let config = config(case);
    let mut told = String::from("check\n");
    let checked = postern(["check", "--format", "json", &config]);
    for finding in checked.json().as_array().expect("a list") {
        // Notes on every joined line of a paste would hide the rest.
        if finding["severity"] != "note" {
            let text = |key: &str| finding[key].as_str().expect("a text");
            line(
                &mut told,
                &format!(
                    "  {} line {}: {}",
                    text("code"),
                    finding["line"],
                    text("message")
                ),
            );
        }
    }
    let mut report = Value::Null;
    if let Ok(packets) = std::fs::read_to_string(case.join("packets.txt")) {
        report = replay(&mut told, case, &packets, engine);
    }
    (told, report)
}

fn config(case: &Path) -> String {
    case.join("setup.cfg").display().to_string()
}

fn replay(told: &mut String, case: &Path, packets: &str, engine: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let frames = read(case, packets);
    let path = |name: &str| folder.path().join(name);
    let mut arguments: Vec<String> = ["replay", "--engine", engine, "--config", &config(case)]
        .map(str::to_owned)
        .into();
    for interface in INTERFACES {
        let file = path(&format!("in-{interface}.pcap"));
        let mut writer = CaptureWriter::create(&file).expect("a file");
        for (time, _, frame) in frames.iter().filter(|(_, own, _)| own == interface) {
            writer.write(*time, frame).expect("room");
        }
        writer.finish().expect("room");
        arguments.extend(["--rx".to_owned(), format!("{interface}={}", file.display())]);
    }
    let out = path("out");
    arguments.extend(["--out".to_owned(), out.display().to_string()]);
    let answer = postern(&arguments);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let report = std::fs::read_to_string(out.join("report.json")).expect("a report");
    let mut report: Value = serde_json::from_str(&report).expect("JSON");
    line(told, "packets");
    for record in report["packets"].as_array_mut().expect("packets") {
        tell_record(told, record);
        for clock in ["cycles_in", "cycles_out"] {
            record[clock].take();
        }
    }
    for interface in INTERFACES {
        line(told, &format!("left {interface}"));
        let capture = Capture::open(&out.join(format!("{interface}.pcap")));
        let mut capture = capture.expect("a capture");
        while let Some(captured) = capture.next_frame().expect("a whole capture") {
            line(told, &format!("  {}", describe(&captured.frame)));
        }
    }
    line(told, "log");
    for entry in report["log"].as_array().expect("a log") {
        line(told, &format!("  {}", entry.as_str().expect("a text")));
    }
    report
}

fn tell_record(told: &mut String, record: &Value) {
    let text = |key: &str| record[key].as_str();
    let is = |key: &str| text(key).expect("a text");
    line(
        told,
        &format!(
            "  {} {}: {}\n    {} by the {}, {}",
            is("port"),
            record["index"],
            is("received"),
            is("verdict"),
            is("path"),
            is("reason")
        ),
    );
    for (word, key) in [("punted as", "punted"), ("by", "ace"), ("by", "nat_rule")] {
        if let Some(what) = text(key) {
            line(told, &format!("    {word} {what}"));
        }
    }
}

fn line(told: &mut String, line: &str) {
    writeln!(told, "{line}").expect("memory takes it");
}

/// Frames of a `packets.txt`: time, interface, bytes.
fn read(case: &Path, packets: &str) -> Vec<(Duration, String, Vec<u8>)> {
    packets
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [time, interface, protocol, source, destination, flags @ ..] = &words[..] else {
                panic!("too few words: {line}");
            };
            let time = Duration::from_millis(1_000 + time.parse::<u64>().expect("milliseconds"));
            let frame = frame(case, protocol, end(source), end(destination), flags);
            (time, (*interface).to_owned(), frame)
        })
        .collect()
}

fn end(text: &str) -> (Ipv4Addr, u16) {
    let (address, port) = text.split_once('/').unwrap_or((text, "0"));
    let address = address.parse().expect("an address");
    (address, port.parse().expect("a port"))
}

/// A message as it goes over the wire.
fn message(path: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(path).expect("a message");
    let text = text.replace('\n', "\r\n");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let head = head.replace("{length}", &body.len().to_string());
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn frame(
    case: &Path,
    protocol: &str,
    (src, sport): (Ipv4Addr, u16),
    (dst, dport): (Ipv4Addr, u16),
    flags: &[&str],
) -> Vec<u8> {
    let [_, b, c, d] = src.octets();
    let builder: PacketBuilderStep<IpHeaders> = PacketBuilder::ethernet2(
        [2, 0, 0, b, c, d],
        [2, 0, 0, 0, 0, 1],
    )
    .ipv4(src.octets(), dst.octets(), 64);
    let payload = b"payload";
    let mut frame = Vec::new();
    let written = match protocol {
        "tcp" => {
            let has = |flag| flags.contains(&flag);
            let mut tcp = builder.tcp(sport, dport, 1, 1024);
            if has("syn") {
                tcp = tcp.syn();
            }
            if has("ack") {
                tcp = tcp.ack(1);
            }
            if has("psh") {
                tcp = tcp.psh();
            }
            let data: &[u8] = if has("psh") { payload } else { &[] };
            tcp.write(&mut frame, data)
        }
        "udp" => {
            let message = flags.first().map(|name| message(&case.join(name)));
            let payload = message.as_deref().unwrap_or(payload);
            builder.udp(sport, dport).write(&mut frame, payload)
        }
        "icmp" => {
            let (kind, code) = flags
                .first()
                .and_then(|flag| flag.split_once('.'))
                .expect("TYPE.CODE");
            let [high, low] = sport.to_be_bytes();
            let kind = Icmpv4Type::Unknown {
                type_u8: kind.parse().expect("a type"),
                code_u8: code.parse().expect("a code"),
                bytes5to8: [high, low, 0, 1],
            };
            builder.icmpv4(kind).write(&mut frame, payload)
        }
        other => panic!("no such protocol: {other}"),
    };
    written.expect("a vector takes everything");
    frame
}

/// What a frame is and whether its checksums are right, seen by a parser that is not ours.
fn describe(frame: &[u8]) -> String {
    let sliced = SlicedPacket::from_ethernet(frame).expect("what leaves is valid");
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
        return format!("{} bytes, not IPv4", frame.len());
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let (src, dst) = (header.source, header.destination);
    let (from, to) = (Ipv4Addr::from(src), Ipv4Addr::from(dst));
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let header = tcp.to_header();
            let right = header.calc_checksum_ipv4_raw(src, dst, tcp.payload());
            assert_eq!(Ok(header.checksum), right.map_err(|_| ()));
            let flags = [
                (header.syn, " syn"),
                (header.ack, " ack"),
                (header.psh, " psh"),
            ];
            let flags: String = flags
                .iter()
                .filter(|(is_set, _)| *is_set)
                .map(|(_, word)| *word)
                .collect();
            let (sport, dport) = (header.source_port, header.destination_port);
            format!("tcp {from}/{sport} > {to}/{dport}{flags}")
        }
        Some(TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            let right = header.calc_checksum_ipv4_raw(src, dst, udp.payload());
            assert_eq!(Ok(header.checksum), right.map_err(|_| ()));
            let (sport, dport) = (header.source_port, header.destination_port);
            let text = String::from_utf8_lossy(udp.payload());
            let lines = text.lines().filter(|_| text.contains("\r\n"));
            let text: String = lines.map(|line| format!("\n    | {line}")).collect();
            format!("udp {from}/{sport} > {to}/{dport}{text}")
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let header = icmp.header();
            let right = header.icmp_type.calc_checksum(icmp.payload());
            assert_eq!(header.checksum, right);
            let [high, low, ..] = icmp.bytes5to8();
            let id = u16::from_be_bytes([high, low]);
            format!(
                "icmp {from}/{id} > {to} {}.{}",
                icmp.type_u8(),
                icmp.code_u8()
            )
        }
        _ => format!("protocol {} {from} > {to}", header.protocol.0),
    }
}
