//! The vfio-user server over a real socket, driven by the `vfio_user` crate's client and by raw bytes.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use layout::csr;
use layout::desc::{InjectDescriptor, Metadata, Reason};
use layout::simulator::{self, CYCLE, DRAIN, DRAIN_BYTES, FEED, RECORD_VERDICT, REGION_INDEX, RUN};
use layout::table::{Interface, Operation, Table};
use vfio_user::Client;

/// Host memory and interrupts.
mod dma;
/// TAP devices at the ports.
mod taps;

const BAR0: u32 = 0;
const CONFIG: u32 = 7;

/// A `postern-card` process that ends with the test.
struct CardProcess {
    child: Child,
    socket: PathBuf,
    // Removed with the test; holds the socket and captures.
    _directory: tempfile::TempDir,
}

impl CardProcess {
    fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// Starts the model card with arguments that may name files in the test's directory.
    fn start_with(arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        Self::start_by(&["env"], arguments)
    }

    /// Starts it by another program.
    fn start_by(by: &[&str], arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("card.sock");
        let mut child = Command::new(by[0])
            .args(&by[1..])
            .arg(env!("CARGO_BIN_EXE_postern-card"))
            .args(["--engine", "model", "--exit-with-stdin", "--socket"])
            .arg(&socket)
            .args(arguments(directory.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("ready on"), "{line}");
        Self {
            child,
            socket,
            _directory: directory,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket).unwrap()
    }

    fn raw(&self) -> UnixStream {
        UnixStream::connect(&self.socket).unwrap()
    }
}

impl Drop for CardProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        if !std::thread::panicking() {
            assert!(status.success(), "the card ended with {status}");
            assert!(!self.socket.exists(), "the socket was left behind");
        }
    }
}

fn read(client: &mut Client, offset: u32) -> u32 {
    let mut word = [0; 4];
    client
        .region_read(BAR0, u64::from(offset), &mut word)
        .unwrap();
    u32::from_le_bytes(word)
}

fn write(client: &mut Client, offset: u32, value: u32) {
    client
        .region_write(BAR0, u64::from(offset), &value.to_le_bytes())
        .unwrap();
}

fn read64(client: &mut Client, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    client
        .region_read(REGION_INDEX, offset, &mut bytes)
        .unwrap();
    u64::from_le_bytes(bytes)
}

fn write64(client: &mut Client, offset: u64, value: u64) {
    client
        .region_write(REGION_INDEX, offset, &value.to_le_bytes())
        .unwrap();
}

/// One header of a message, without a payload.
fn header(id: u16, command: u16, size: u32) -> Vec<u8> {
    let mut bytes = [id.to_le_bytes(), command.to_le_bytes()].concat();
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// A read of one register as raw bytes.
fn raw_read(id: u16, offset: u32) -> Vec<u8> {
    let mut bytes = header(id, 9, 32);
    bytes.extend_from_slice(&u64::from(offset).to_le_bytes());
    bytes.extend_from_slice(&BAR0.to_le_bytes());
    bytes.extend_from_slice(&4u32.to_le_bytes());
    bytes
}

/// The next reply: message id, error number, payload.
fn reply(stream: &mut UnixStream) -> (u16, u32, Vec<u8>) {
    let mut header = [0; 16];
    stream.read_exact(&mut header).unwrap();
    let size = u32::from_le_bytes(header[4..8].try_into().unwrap());
    let mut payload = vec![0; size as usize - 16];
    stream.read_exact(&mut payload).unwrap();
    let id = u16::from_le_bytes([header[0], header[1]]);
    let error = u32::from_le_bytes(header[12..16].try_into().unwrap());
    assert_eq!(header[8] & 0xf, 1, "not a reply");
    assert_eq!(
        header[8] & 0x20 != 0,
        error != 0,
        "error flag and number disagree"
    );
    (id, error, payload)
}

#[test]
fn every_standard_region_and_interrupt_exists() {
    let card = CardProcess::start();
    let mut client = card.client();
    let sizes: Vec<u64> = (0..10)
        .map(|index| client.region(index).unwrap().size)
        .collect();
    let expected = [
        csr::BAR0_BYTES as u64,
        0,
        0,
        0,
        0,
        0,
        0,
        4096,
        0,
        simulator::REGION_BYTES as u64,
    ];
    assert_eq!(sizes, expected);
    let counts: Vec<u32> = (0..5)
        .map(|index| client.get_irq_info(index).unwrap().count)
        .collect();
    assert_eq!(counts, [0, 0, 6, 1, 1]);
}

#[test]
fn ident_block_names_this_layout() {
    let card = CardProcess::start();
    let mut client = card.client();
    assert_eq!(read(&mut client, csr::MAGIC), csr::MAGIC_VALUE);
    let low = u64::from(read(&mut client, csr::LAYOUT_HASH_LOW));
    let high = u64::from(read(&mut client, csr::LAYOUT_HASH_HIGH));
    assert_eq!(high << 32 | low, layout::LAYOUT_HASH);
}

#[test]
fn configuration_space_is_a_network_card_with_one_bar() {
    let card = CardProcess::start();
    let mut client = card.client();
    let mut space = [0; 64];
    client.region_read(CONFIG, 0, &mut space).unwrap();
    assert_eq!(space[0..4], [0x34, 0x12, 0x4e, 0x50]);
    assert_eq!(space[9..12], [0, 0, 2]);
    client.region_write(CONFIG, 0, &[0xff; 64]).unwrap();
    client.region_read(CONFIG, 0, &mut space).unwrap();
    assert_eq!(
        space[0..4],
        [0x34, 0x12, 0x4e, 0x50],
        "identifiers are read-only"
    );
    assert_eq!(
        space[4..6],
        [0x06, 0x04],
        "command bits that mean something"
    );
    assert_eq!(
        space[0x10..0x18],
        [0, 0, 0xff, 0xff, 0, 0, 0, 0],
        "64 KiB of 32-bit memory and nothing else"
    );
}

#[test]
fn wide_access_is_split_in_ascending_order() {
    let card = CardProcess::start();
    let mut client = card.client();
    // Index, second index and the words of the entry in one access each; the command comes after.
    let words: Vec<u8> = (0..16u32)
        .flat_map(|i| (0xa000_0000 + i).to_le_bytes())
        .collect();
    client
        .region_write(BAR0, u64::from(csr::TABLE_DATA), &words)
        .unwrap();
    let mut back = vec![0; 64];
    client
        .region_read(BAR0, u64::from(csr::TABLE_DATA), &mut back)
        .unwrap();
    assert_eq!(back, words);
    // COUNTER latches on the low word: an ascending 8-byte read is one value.
    let mut counter = [0xee; 8];
    client
        .region_read(BAR0, u64::from(csr::COUNTER), &mut counter)
        .unwrap();
    assert_eq!(counter, [0; 8]);
}

#[test]
fn unaligned_or_outside_access_is_invalid_and_changes_nothing() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let access = |id, command, offset: u64, region: u32, count: u32, data: &[u8]| {
        let mut bytes = header(id, command, 32 + data.len() as u32);
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&region.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    };
    let scratch = u64::from(csr::SCRATCH);
    let bad = [
        access(1, 9, 1, BAR0, 4, &[]),
        access(2, 9, 0, BAR0, 3, &[]),
        access(3, 9, csr::BAR0_BYTES as u64 - 4, BAR0, 8, &[]),
        access(4, 9, u64::MAX - 1, BAR0, 4, &[]),
        access(5, 9, 0, 10, 4, &[]),
        access(6, 9, 0, 1, 4, &[]),
        access(7, 9, 0, BAR0, u32::MAX, &[]),
        access(8, 10, scratch + 2, BAR0, 4, &[1; 4]),
        access(9, 10, scratch, BAR0, 8, &[1; 4]),
        access(10, 10, scratch, BAR0, 4, &[1; 8]),
        access(11, 9, RUN, REGION_INDEX, 4, &[]),
        header(12, 10, 16),
    ];
    for (i, message) in bad.iter().enumerate() {
        stream.write_all(message).unwrap();
        assert_eq!(
            reply(&mut stream),
            (i as u16 + 1, 22, vec![]),
            "message {}",
            i + 1
        );
    }
    stream.write_all(&raw_read(20, csr::SCRATCH)).unwrap();
    let (_, error, payload) = reply(&mut stream);
    assert_eq!((error, &payload[16..]), (0, &[0; 4][..]));
}

#[test]
fn killed_client_leaves_its_tables_to_the_next() {
    let card = CardProcess::start();
    let interface = Interface {
        valid: true,
        port: 1,
        tagged: true,
        vid: 42,
        mac: 0x0200_5e10_0001,
    };
    // A process of its own, killed in the middle of a message it will never finish.
    let mut victim = Command::new("python3")
        .args(["-c", VICTIM])
        .arg(&card.socket)
        .args(interface.pack().map(|word| word.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(victim.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "written\n");
    victim.kill().unwrap();
    victim.wait().unwrap();

    let mut client = card.client();
    write(&mut client, csr::TABLE_INDEX, 3);
    write(
        &mut client,
        csr::TABLE_COMMAND,
        (Operation::Read as u32) << 4 | Table::Interface as u32,
    );
    let words: [u32; Interface::WORDS] =
        std::array::from_fn(|i| read(&mut client, csr::TABLE_DATA + 4 * i as u32));
    assert_eq!(Interface::unpack(&words), interface);
}

/// Writes an interface entry with bare messages, then half a header, then waits to be killed.
const VICTIM: &str = r#"
import socket, struct, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
def write(offset, value):
    s.sendall(struct.pack("<HHIIIQIII", 1, 10, 36, 0, 0, offset, 0, 4, value)); s.recv(4096)
write(0x148, 3)
for i, word in enumerate(sys.argv[2:]): write(0x180 + 4 * i, int(word))
write(0x140, 1 << 4 | 0)
s.sendall(b"\x01\x00\x09\x00\x20")
print("written", flush=True); time.sleep(600)
"#;

#[test]
fn header_in_pieces_is_one_message() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let message = raw_read(7, csr::MAGIC);
    for byte in &message {
        stream.write_all(&[*byte]).unwrap();
    }
    let (id, error, payload) = reply(&mut stream);
    assert_eq!((id, error), (7, 0));
    assert_eq!(payload[16..], csr::MAGIC_VALUE.to_le_bytes());
}

#[test]
fn two_messages_in_one_piece_get_two_replies_in_order() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    stream
        .write_all(&[raw_read(1, csr::MAGIC), raw_read(2, csr::SIZE_ACL)].concat())
        .unwrap();
    assert_eq!(reply(&mut stream).2[16..], csr::MAGIC_VALUE.to_le_bytes());
    assert_eq!(reply(&mut stream).0, 2);
}

#[test]
fn unknown_command_costs_one_error_and_not_the_place_in_the_stream() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    for command in [0, 6, 11, 12, 14, 99, 0xffff] {
        let mut message = header(5, command, 16 + 100);
        // A payload that would be a valid request if it were taken for the next message.
        message.extend_from_slice(&raw_read(66, csr::MAGIC));
        message.resize(16 + 100, 0);
        stream.write_all(&message).unwrap();
        assert_eq!(reply(&mut stream), (5, 95, vec![]), "command {command}");
    }
    stream.write_all(&raw_read(8, csr::MAGIC)).unwrap();
    assert_eq!(reply(&mut stream).0, 8);
}

#[test]
fn no_reply_flag_is_honoured() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let mut message = header(1, 10, 36);
    message[8] = 0x10;
    message.extend_from_slice(&u64::from(csr::SCRATCH).to_le_bytes());
    message.extend_from_slice(&BAR0.to_le_bytes());
    message.extend_from_slice(&4u32.to_le_bytes());
    message.extend_from_slice(&0x5eed_5eedu32.to_le_bytes());
    stream
        .write_all(&[message, raw_read(2, csr::SCRATCH)].concat())
        .unwrap();
    let (id, _, payload) = reply(&mut stream);
    assert_eq!((id, &payload[16..]), (2, &0x5eed_5eedu32.to_le_bytes()[..]));
}

#[test]
fn garbage_ends_that_client_only() {
    let card = CardProcess::start();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut garbage = vec![
        vec![0; 4096],
        vec![0xff; 4096],
        header(1, 1, 15),
        header(1, 1, u32::MAX),
    ];
    let mut reply_type = raw_read(1, 0);
    reply_type[8] = 1;
    garbage.push(reply_type);
    // VERSION: no payload, no terminator, not text, another major version.
    garbage.push(header(1, 1, 16));
    garbage.push([header(1, 1, 21), b"\0\0\0\0{".to_vec()].concat());
    garbage.push([header(1, 1, 24), vec![0xff; 8]].concat());
    garbage.extend((0..40).map(|_| {
        (0..256)
            .map(|_| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (random >> 56) as u8
            })
            .collect()
    }));
    for bytes in garbage {
        let mut stream = card.raw();
        // The server may have hung up before all of it was written.
        let _ = stream.write_all(&bytes);
        drop(stream);
    }
    assert_eq!(read(&mut card.client(), csr::MAGIC), csr::MAGIC_VALUE);
}

#[test]
fn frames_are_fed_judged_and_drained_in_lock_step() {
    let card = CardProcess::start();
    let mut client = card.client();
    let mut feed = Vec::new();
    for (port, length) in [(0u8, 13u16), (1, 60)] {
        let frame = simulator::Frame {
            length,
            port,
            reserved: 0,
        };
        feed.extend(frame.pack().iter().flat_map(|word| word.to_le_bytes()));
        feed.extend(vec![0; usize::from(length).next_multiple_of(8)]);
    }
    write(&mut client, csr::CONTROL, csr::CONTROL_ENABLE);
    client.region_write(REGION_INDEX, FEED, &feed).unwrap();
    assert_eq!(
        read64(&mut client, CYCLE),
        0,
        "the clock moves only when told to"
    );
    write64(&mut client, RUN, 1000);
    assert_eq!(read64(&mut client, RUN), 1);
    assert_eq!(read64(&mut client, CYCLE), 2);
    let waiting = read64(&mut client, DRAIN_BYTES) as usize;
    let verdict_bytes = 24 + 16 + 8 * simulator::STAGES.len();
    assert_eq!(waiting, 2 * verdict_bytes);
    // Room for one and a half: one comes, the rest is zero.
    let mut data = vec![0xee; verdict_bytes * 3 / 2];
    client.region_read(REGION_INDEX, DRAIN, &mut data).unwrap();
    assert_eq!(reason_of(&data), Reason::Runt);
    assert!(data[verdict_bytes..].iter().all(|byte| *byte == 0));
    client.region_read(REGION_INDEX, DRAIN, &mut data).unwrap();
    assert_eq!(reason_of(&data), Reason::NoInterface);
    assert_eq!(read64(&mut client, DRAIN_BYTES), 0);
}

/// The reason in a verdict record.
fn reason_of(record: &[u8]) -> Reason {
    let words: Vec<u32> = record
        .chunks(4)
        .map(|w| u32::from_le_bytes(w.try_into().unwrap()))
        .collect();
    let head = simulator::Record::unpack(&words[..6]);
    assert_eq!(head.kind, RECORD_VERDICT);
    Reason::from_code(Metadata::unpack(&words[6..9]).reason).unwrap()
}

#[test]
fn malformed_feed_feeds_nothing() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let frame = |length, port| {
        simulator::Frame {
            length,
            port,
            reserved: 0,
        }
        .pack()
        .map(u32::to_le_bytes)
        .concat()
    };
    let good = [frame(8, 0), vec![0; 8]].concat();
    for bad in [
        frame(8, 0),
        frame(0, 0),
        [frame(8, 2), vec![0; 8]].concat(),
        vec![0; 4],
    ] {
        let data = [good.clone(), bad].concat();
        let mut message = header(1, 10, 32 + data.len() as u32);
        message.extend_from_slice(&FEED.to_le_bytes());
        message.extend_from_slice(&REGION_INDEX.to_le_bytes());
        message.extend_from_slice(&(data.len() as u32).to_le_bytes());
        message.extend_from_slice(&data);
        stream.write_all(&message).unwrap();
        assert_eq!(reply(&mut stream).1, 22);
    }
    drop(stream);
    let mut client = card.client();
    write64(&mut client, RUN, 1000);
    assert_eq!(read64(&mut client, CYCLE), 0);
}

#[test]
fn captures_are_played_and_recorded() {
    let frames = [vec![0x11; 60], vec![0x22; 61]];
    let card = CardProcess::start_with(|directory| {
        write_capture(&directory.join("in.pcap"), &frames);
        let (input, output) = (directory.join("in.pcap"), directory.join("out.pcap"));
        vec![
            "--port".into(),
            format!("outside=pcap:{},{}", input.display(), output.display()),
        ]
    });
    let mut client = card.client();
    assert_eq!(
        client.region(REGION_INDEX).unwrap().size,
        0,
        "no lock-step region with captures"
    );
    // Each frame is punted (NonIp); the next is played when the host has taken it.
    let interface = Interface {
        valid: true,
        port: 0,
        tagged: false,
        vid: 0,
        mac: 0,
    };
    for (i, word) in interface.pack().iter().enumerate() {
        write(&mut client, csr::TABLE_DATA + 4 * i as u32, *word);
    }
    write(
        &mut client,
        csr::TABLE_COMMAND,
        (Operation::Write as u32) << 4 | Table::Interface as u32,
    );
    write(
        &mut client,
        csr::CONTROL,
        csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS,
    );
    for frame in &frames {
        wait_for_punt(&mut client);
        let length = read(&mut client, csr::PUNT_WINDOW) & 0xffff;
        assert_eq!(length as usize, frame.len());
        write(&mut client, csr::PUNT_POP, 1);
        // And what the host injects for the port is recorded.
        client
            .region_write(BAR0, u64::from(csr::INJECT_WINDOW), &[frame[0]; 64])
            .unwrap();
        let descriptor = InjectDescriptor {
            length: frame.len() as u16,
            port: 0,
            lookup: false,
        };
        write(&mut client, csr::INJECT_SUBMIT, descriptor.pack()[0]);
    }
    assert_eq!(read(&mut client, csr::PUNT_STATUS), 0);
    let output = card.socket.with_file_name("out.pcap");
    assert_eq!(read_capture(&output), frames);
}

/// The card runs a slice between requests: a frame that was just fed is punted some requests later.
fn wait_for_punt(client: &mut Client) {
    let is_punted = (0..1_000).any(|_| read(client, csr::PUNT_STATUS) == 1);
    assert!(is_punted, "the capture is not played");
}

fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = pcap_file::pcap::PcapWriter::new(file).unwrap();
    for frame in frames {
        let packet =
            pcap_file::pcap::PcapPacket::new(Default::default(), frame.len() as u32, frame);
        writer.write_packet(&packet).unwrap();
    }
}

fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = pcap_file::pcap::PcapReader::new(std::fs::File::open(path).unwrap()).unwrap();
    std::iter::from_fn(|| {
        reader
            .next_packet()
            .map(|packet| packet.unwrap().data.into_owned())
    })
    .collect()
}

#[test]
fn abandoned_socket_is_replaced_and_a_live_one_is_not() {
    let card = CardProcess::start();
    let second = Command::new(env!("CARGO_BIN_EXE_postern-card"))
        .args(["--engine", "model", "--once", "--socket"])
        .arg(&card.socket)
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("cannot listen on"));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = sim::server::Server::bind(&path).unwrap();
    drop(server);
    assert!(!path.exists());
}

#[cfg(not(feature = "verilator"))]
#[test]
fn rtl_engine_says_what_it_needs() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern-card"))
        .args(["--socket", "unused"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--features verilator"));
}
