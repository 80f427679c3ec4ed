//! Needs root: the card runs in a network namespace of its own, which ends with it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use layout::csr;
use layout::hash::flow_index;
use layout::table::{Adjacency, FlowAction, FlowEntry, Interface, Key, Operation, Table};
use vfio_user::Client;

use crate::{CardProcess, read, write};

/// A helper beside the card that sends and receives frames on the kernel's side of the devices.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Commands: `DEVICE HEX` sends, `DEVICE` alone receives one frame of ours.
const PEER: &str = r#"
import socket, subprocess, sys
sockets = {}
for name in ("outside0", "inside0"):
    with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as file: file.write("1")
    subprocess.run(["ip", "link", "set", name, "up", "mtu", "9000"], check=True)
    sockets[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sockets[name].bind((name, 0))
print("up", flush=True)
for line in sys.stdin:
    name, _, data = line.strip().partition(" ")
    if data:
        sockets[name].send(bytes.fromhex(data))
    else:
        while True:
            frame, address = sockets[name].recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING: break
        print(frame.hex(), flush=True)
"#;

impl Peer {
    fn start(card: &CardProcess) -> Self {
        let mut child = Command::new("nsenter")
            .args(["-t", &card.child.id().to_string(), "-n", "python3", "-c"])
            .arg(PEER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Self {
            child,
            input,
            output,
        };
        assert_eq!(peer.line(), "up");
        peer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn send(&mut self, device: &str, frame: &[u8]) {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{device} {hex}").unwrap();
    }

    fn receive(&mut self, device: &str) -> Vec<u8> {
        writeln!(self.input, "{device}").unwrap();
        let line = self.line();
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        (0..line.len()).step_by(2).map(byte).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be waiting for a frame.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start() -> CardProcess {
    CardProcess::start_by(&["unshare", "-n"], |_| {
        let ports = ["outside=tap:outside0", "inside=tap:inside0"];
        ports
            .iter()
            .flat_map(|port| ["--port".to_owned(), (*port).to_owned()])
            .collect()
    })
}

fn write_entry(client: &mut Client, table: Table, index: u32, words: &[u32]) {
    for i in 0..8 {
        let word = words.get(i).copied().unwrap_or(0);
        write(client, csr::TABLE_DATA + 4 * i as u32, word);
    }
    write(client, csr::TABLE_INDEX, index);
    write(
        client,
        csr::TABLE_COMMAND,
        (Operation::Write as u32) << 4 | table as u32,
    );
    assert_eq!(read(client, csr::TABLE_STATUS), 0);
}

/// A flow from outside to inside, and the frames it matches.
fn install_flow(client: &mut Client) -> sim::frame::Frame {
    let frame = sim::frame::Frame::default();
    for port in 0..2 {
        let interface = Interface {
            valid: true,
            port,
            mac: 0x0200_0000_0001,
            ..Interface::default()
        };
        write_entry(client, Table::Interface, port.into(), &interface.pack());
    }
    let adjacency = Adjacency {
        valid: true,
        interface: 1,
        mac: 0x0200_0000_00aa,
    };
    write_entry(client, Table::Adjacency, 1, &adjacency.pack());
    // The key of `Frame::default()`.
    let key = Key {
        dport: 443,
        sport: 40_000,
        dst: 0xc000_0202,
        src: 0x0a00_0002,
        proto: 6,
        interface: 0,
    };
    let action = FlowAction {
        valid: true,
        adjacency: 1,
        ..FlowAction::default()
    };
    let entry = FlowEntry::new(key, action);
    write_entry(
        client,
        Table::Flow,
        flow_index(0, &key) as u32,
        &entry.pack(),
    );
    let control = csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS;
    write(client, csr::CONTROL, control);
    frame
}

#[test]
fn frames_pass_between_tap_devices_with_and_without_a_client() {
    let card = start();
    let mut client = card.client();
    let mut frame = install_flow(&mut client).build();
    // Shorter than a MAC would send: as it is.
    frame.truncate(55);
    let mut peer = Peer::start(&card);
    let mut long = frame.clone();
    long.resize(8000, 0x11);
    for frame in [&frame, &long] {
        peer.send("outside0", frame);
        let got = peer.receive("inside0");
        assert_eq!(got[..6], [0x02, 0, 0, 0, 0, 0xaa]);
        assert_eq!(got[14..], frame[14..]);
    }
    drop(client);
    peer.send("outside0", &long);
    assert_eq!(peer.receive("inside0").len(), 8000);
    // A burst that is longer than the wire takes at once comes through whole and in order.
    for n in 0..100 {
        let mut numbered = frame.clone();
        numbered.push(n);
        peer.send("outside0", &numbered);
    }
    for n in 0..100 {
        assert_eq!(peer.receive("inside0").last(), Some(&n));
    }
    let mut next = card.client();
    assert_eq!(read(&mut next, csr::COUNTER), 103);
}

#[test]
fn host_sees_frames_of_a_tap_device_and_sends_on_it() {
    let card = start();
    let mut client = card.client();
    install_flow(&mut client);
    let mut peer = Peer::start(&card);
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    peer.send("inside0", &arp);
    while read(&mut client, csr::PUNT_STATUS) == 0 {}
    assert_eq!(read(&mut client, csr::PUNT_WINDOW) & 0xffff, 42);
    for (i, word) in arp.chunks(4).enumerate() {
        let mut bytes = [0; 4];
        bytes[..word.len()].copy_from_slice(word);
        write(
            &mut client,
            csr::INJECT_WINDOW + 4 * i as u32,
            u32::from_le_bytes(bytes),
        );
    }
    write(&mut client, csr::INJECT_SUBMIT, 42);
    assert_eq!(peer.receive("outside0"), arp);
}

#[test]
fn device_that_cannot_be_attached_is_named() {
    for (name, reason) in [("lo", "lo"), ("name-of-16-bytes", "1 to 15 bytes")] {
        let output = Command::new("unshare")
            .args([
                "-n",
                env!("CARGO_BIN_EXE_postern-card"),
                "--engine",
                "model",
            ])
            .args([
                "--socket",
                "unused",
                "--port",
                &format!("outside=tap:{name}"),
            ])
            .output()
            .unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("cannot attach TAP device") && text.contains(reason),
            "{text}"
        );
    }
}
