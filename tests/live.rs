//! The live loop on simulated cards: connections made, kept over a crash of the runtime, and ended; and the program.

#[allow(dead_code, reason = "this suite serves its cards by itself")]
mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use etherparse::PacketBuilder;
use host::config;
use host::flow::State;
use host::policy::{self, Capacity};
use host::punt::{Adopted, Event as LogEvent};
use host::runtime::capture::{Capture, CaptureWriter};
use host::runtime::live::{Live, Tables};
use host::simulator::{Event, Simulator};
use host::vfio::Device;
use host::vfio::user::Client;
use layout::desc::Reason;
use sim::Card;
use sim::server::{self, Server};
use sim::wire::Wire;
use support::cards;

const CONFIG: &str = "
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network everybody
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic interface
";

const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const CLIENT: [u8; 4] = [10, 0, 0, 9];
const GATEWAY: [u8; 4] = [192, 0, 2, 254];
const FAR: [u8; 4] = [198, 51, 100, 7];
const MAPPED: [u8; 4] = [192, 0, 2, 1];
const SYN: u8 = 2;
const FIN: u8 = 1;
const ACK: u8 = 16;

/// A card that stays while its clients come and go.
struct Served {
    socket: PathBuf,
    _directory: tempfile::TempDir,
    _server: JoinHandle<()>,
}

impl Served {
    fn new(mut device: server::Device) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("card.sock");
        let server = Server::bind(&socket).expect("a socket");
        // Ends with the process: it waits for clients for ever.
        let server = std::thread::spawn(move || while server.serve_client(&mut device).is_ok() {});
        Self {
            socket,
            _directory: directory,
            _server: server,
        }
    }

    fn connect(&self) -> Box<dyn Device> {
        let client = Client::connect(&self.socket, Duration::from_secs(10)).expect("a connection");
        Box::new(client)
    }
}

type Log = Arc<Mutex<Vec<String>>>;
type Write = Box<dyn FnMut(&LogEvent)>;

/// A runtime in front of a card in lock-step.
struct World {
    live: Live<Write>,
    log: Log,
    now: Duration,
}

impl World {
    fn start(served: &Served, now: Duration, tables: Tables, text: &str) -> Self {
        let (model, _) = policy::lower(&config::parse(text).config);
        let model = Arc::new(model);
        let (image, _) = policy::compile(&model, &Capacity::default());
        let log = Log::default();
        let write = log.clone();
        let write: Write =
            Box::new(move |event| write.lock().expect("a log").push(event.to_string()));
        let live = Live::start(now, served.connect(), tables, model, &image, None, write)
            .expect("a runtime");
        Self { live, log, now }
    }

    /// Lets a port receive a frame, serves what comes of it, and returns the reason and what left.
    fn receive(&mut self, port: u8, frame: &[u8]) -> (Option<Reason>, Vec<(u8, Vec<u8>)>) {
        let mut reason = None;
        let mut left = Vec::new();
        let mut fed = Some((port, frame));
        for _ in 0..4 {
            let events = Simulator::of(self.live.nic().device())
                .expect("a simulator")
                .run(fed.take())
                .expect("idle");
            for event in events {
                match event {
                    Event::Left(one) => left.push((one.port, one.frame)),
                    // What the host sends by itself is not about the frame.
                    Event::Verdict(one) if one.metadata.reason == Reason::HostInject as u8 => {}
                    Event::Verdict(one) => {
                        reason = reason.or(Reason::from_code(one.metadata.reason))
                    }
                }
            }
            self.live.turn(self.now).expect("served");
        }
        (reason, left)
    }

    /// Lets time pass, second by second.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.live.turn(self.now).expect("served");
        }
    }

    fn logged(&self, text: &str) -> usize {
        self.log
            .lock()
            .expect("a log")
            .iter()
            .filter(|line| line.contains(text))
            .count()
    }

    /// Our MAC address on a port.
    fn mac(&mut self, left: &[u8]) -> [u8; 6] {
        left[6..12].try_into().expect("a frame")
    }
}

fn tcp(
    to: [u8; 6],
    (src, sport): ([u8; 4], u16),
    (dst, dport): ([u8; 4], u16),
    flags: u8,
) -> Vec<u8> {
    let mut frame = Vec::new();
    let [_, b, c, d] = src;
    let step = PacketBuilder::ethernet2([2, 0xbb, 0, b, c, d], to)
        .ipv4(src, dst, 64)
        .tcp(sport, dport, 1, 1024);
    let step = if flags & SYN != 0 { step.syn() } else { step };
    let step = if flags & FIN != 0 { step.fin() } else { step };
    let step = if flags & ACK != 0 { step.ack(1) } else { step };
    step.write(&mut frame, &[])
        .expect("a vector takes everything");
    frame
}

/// An ARP message.
fn arp(
    operation: u8,
    sender_mac: [u8; 6],
    sender: [u8; 4],
    target_mac: [u8; 6],
    target: [u8; 4],
) -> Vec<u8> {
    let to = if operation == 1 {
        [0xff; 6]
    } else {
        target_mac
    };
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    let mut frame = [
        &to[..],
        &sender_mac,
        &[8, 6],
        &head,
        &sender_mac,
        &sender,
        &target_mac,
        &target,
    ]
    .concat();
    frame.resize(60, 0);
    frame
}

const CLIENT_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 9];
const GATEWAY_MAC: [u8; 6] = [2, 0xbb, 0, 0, 2, 254];

/// Opens a connection through ARP and handshake, and returns our MAC addresses by port.
fn establish(world: &mut World) -> [[u8; 6]; 2] {
    let (reason, answer) =
        world.receive(INSIDE, &arp(1, CLIENT_MAC, CLIENT, [0; 6], [10, 0, 0, 1]));
    assert_eq!((reason, answer.len()), (Some(Reason::Arp), 1));
    let inside = world.mac(&answer[0].1);
    let (_, asked) = world.receive(INSIDE, &tcp(inside, (CLIENT, 40000), (FAR, 443), SYN));
    let outside = world.mac(
        &asked
            .iter()
            .find(|(port, _)| *port == OUTSIDE)
            .expect("a question for the gateway")
            .1,
    );
    let (_, left) = world.receive(OUTSIDE, &arp(2, GATEWAY_MAC, GATEWAY, outside, MAPPED));
    let (port, syn) = left.last().expect("the SYN");
    assert_eq!(
        (*port, &syn[..6], &syn[26..30]),
        (OUTSIDE, &GATEWAY_MAC[..], &MAPPED[..])
    );
    // The client is asked for when the first answer comes.
    world.receive(
        OUTSIDE,
        &tcp(outside, (FAR, 443), (MAPPED, 40000), SYN | ACK),
    );
    world.receive(INSIDE, &arp(2, CLIENT_MAC, CLIENT, inside, [10, 0, 0, 1]));
    let (reason, _) = world.receive(INSIDE, &tcp(inside, (CLIENT, 40000), (FAR, 443), ACK));
    assert_eq!(reason, Some(Reason::FlowHit));
    [outside, inside]
}

/// Both directions pass without the host.
fn passes(world: &mut World, [outside, inside]: [[u8; 6]; 2], flags: u8) {
    for (port, frame) in [
        (INSIDE, tcp(inside, (CLIENT, 40000), (FAR, 443), flags)),
        (OUTSIDE, tcp(outside, (FAR, 443), (MAPPED, 40000), flags)),
    ] {
        let (reason, left) = world.receive(port, &frame);
        assert_eq!(reason, Some(Reason::FlowHit));
        assert!(
            left.iter()
                .any(|(to, frame)| *to == 1 - port && frame[12..14] == [8, 0])
        );
    }
}

const START: Duration = Duration::from_secs(1_700_000_000);

#[test]
fn a_connection_survives_the_runtime_and_ends_in_the_next() {
    for (name, card) in cards() {
        println!("on the {name} card");
        let served = Served::new(server::Device::new(card));
        let mut world = World::start(&served, START, Tables::Adopt, CONFIG);
        assert_eq!(
            world.live.adopted(),
            Adopted::default(),
            "a fresh card has nothing"
        );
        let macs = establish(&mut world);
        assert_eq!(world.logged("302013: Built outbound TCP connection 1"), 1);
        passes(&mut world, macs, ACK);
        // No farewell: it died.
        let now = world.now + Duration::from_secs(5000);
        drop(world);

        let mut world = World::start(&served, now, Tables::Adopt, CONFIG);
        assert_eq!(
            world.live.adopted(),
            Adopted {
                conns: 1,
                removed: 0
            }
        );
        passes(&mut world, macs, ACK);
        // Next hops are taken over with their MAC addresses, and asked whether they are still there.
        world.pass(3);
        let [outside, inside] = macs;
        world.receive(OUTSIDE, &arp(2, GATEWAY_MAC, GATEWAY, outside, MAPPED));
        world.receive(INSIDE, &arp(2, CLIENT_MAC, CLIENT, inside, [10, 0, 0, 1]));
        let conn = world
            .live
            .slow_path()
            .conns()
            .iter()
            .next()
            .expect("taken over")
            .clone();
        assert_eq!(conn.state(), State::Established);
        assert_eq!(conn.seen[0].packets, 4, "SYN, ACK and two more");
        passes(&mut world, macs, FIN | ACK);
        world.pass(70);
        assert_eq!(world.live.nic().flow_count(), 0);
        assert_eq!(
            (world.logged("302014"), world.logged("TCP FINs")),
            (1, 1),
            "{:?}",
            world.log
        );
    }
}

#[test]
fn flows_that_are_no_longer_permitted_do_not_survive() {
    for (_, card) in cards() {
        let served = Served::new(server::Device::new(card));
        let mut world = World::start(&served, START, Tables::Adopt, CONFIG);
        let [_, inside] = establish(&mut world);
        drop(world);
        let stricter = format!(
            "{CONFIG}access-list none extended deny ip any any\naccess-group none in interface inside\n"
        );
        let mut world = World::start(&served, START, Tables::Adopt, &stricter);
        assert_eq!(
            world.live.adopted(),
            Adopted {
                conns: 0,
                removed: 2
            }
        );
        let (reason, _) = world.receive(INSIDE, &tcp(inside, (CLIENT, 40000), (FAR, 443), ACK));
        assert_eq!(reason, Some(Reason::AclDeny));
    }
}

#[test]
fn a_cleared_card_has_forgotten_everything() {
    for (_, card) in cards() {
        let served = Served::new(server::Device::new(card));
        let mut world = World::start(&served, START, Tables::Adopt, CONFIG);
        establish(&mut world);
        drop(world);
        let mut world = World::start(&served, START, Tables::Clear, CONFIG);
        assert_eq!(world.live.adopted(), Adopted::default());
        let (_, answer) = world.receive(INSIDE, &arp(1, CLIENT_MAC, CLIENT, [0; 6], [10, 0, 0, 1]));
        let inside = world.mac(&answer[0].1);
        let (reason, _) = world.receive(INSIDE, &tcp(inside, (CLIENT, 40000), (FAR, 443), ACK));
        assert_eq!(reason, Some(Reason::TcpNotSyn));
        let macs = establish(&mut world);
        passes(&mut world, macs, ACK);
    }
}

#[test]
fn interfaces_that_mean_something_else_end_their_flows() {
    for (_, card) in cards() {
        let served = Served::new(server::Device::new(card));
        let mut world = World::start(&served, START, Tables::Adopt, CONFIG);
        establish(&mut world);
        drop(world);
        let swapped = CONFIG
            .replace("GigabitEthernet0/0", "X")
            .replace("GigabitEthernet0/1", "GigabitEthernet0/0")
            .replace('X', "GigabitEthernet0/1");
        let mut world = World::start(&served, START, Tables::Adopt, &swapped);
        assert_eq!(
            (world.live.adopted().conns, world.live.nic().flow_count()),
            (0, 0)
        );
    }
}

/// A capture with these frames.
fn capture(path: &Path, frames: &[Vec<u8>]) {
    let mut writer = CaptureWriter::create(path).expect("a file");
    for frame in frames {
        writer.write(Duration::ZERO, frame).expect("room");
    }
    writer.finish().expect("written");
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut capture = Capture::open(path).expect("a capture");
    std::iter::from_fn(|| capture.next_frame().expect("a frame"))
        .map(|captured| captured.frame)
        .collect()
}

#[test]
fn the_program_serves_a_card_until_it_is_told_to_stop() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("postern.cfg"), CONFIG).expect("a configuration");
    // Broadcast, since nobody knows our MAC address before the program has chosen it.
    let ask = arp(1, CLIENT_MAC, CLIENT, [0; 6], [10, 0, 0, 1]);
    let syn = tcp([0xff; 6], (CLIENT, 40000), (FAR, 443), SYN);
    capture(&file("inside.in"), &[ask, syn]);
    capture(&file("outside.in"), &[]);
    let mut wire = Wire::new();
    wire.connect(0, &file("outside.in"), &file("outside.out"))
        .expect("captures");
    wire.connect(1, &file("inside.in"), &file("inside.out"))
        .expect("captures");
    let card: Box<dyn Card> = Box::new(sim::Model::new(64));
    let served = Served::new(server::Device::wired(card, wire));

    let mut program = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "--config"])
        .arg(file("postern.cfg"))
        .arg("--nic")
        .arg(format!("vfio-user:{}", served.socket.display()))
        .arg("--state")
        .arg(file("state"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(program.stderr.take().expect("piped"))
        .lines()
        .map_while(Result::ok);
    let mut await_line = |text: &str| {
        let mut seen = Vec::new();
        let found = lines.by_ref().any(|line| {
            seen.push(line);
            seen.last().is_some_and(|line| line.contains(text))
        });
        assert!(found, "no `{text}` in {seen:#?}");
    };
    await_line("postern: running on vfio-user:");
    await_line("%ASA-6-302013: Built outbound TCP connection 1 for outside:198.51.100.7/443");
    let state = file("state");
    let show = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["show", "--state"])
            .arg(&state)
            .args(words.split(' '))
            .output()
            .expect("the program");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, conns, _) = show("conn");
    assert_eq!(code, Some(0));
    let rows = conns.strip_prefix(
        "1 in use, 1 most used\nTCP outside 198.51.100.7:443 inside 10.0.0.9:40000, idle 0:00:",
    );
    assert!(
        rows.is_some_and(|rows| rows.contains(", flags saA\n")),
        "{conns}"
    );
    let (code, xlates, _) = show("xlate --format json");
    assert_eq!(code, Some(0));
    let xlates: serde_json::Value = serde_json::from_str(&xlates).expect("JSON");
    assert_eq!(xlates["xlates"][0]["real"]["address"], "10.0.0.9");
    assert_eq!(xlates["xlates"][0]["mapped"]["address"], "192.0.2.1");
    assert_eq!(xlates["in_use"], 1);
    let (code, out, err) = show("access-list nothing");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "postern: there is no access-list nothing\n");
    let pid = i32::try_from(program.id()).expect("a process");
    // SAFETY: the process is our child and has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    await_line("postern: stopped; the card goes on with 1 connections");
    let status = program.wait().expect("an end");
    assert_eq!(status.code(), Some(0));
    let (code, _, err) = show("conn");
    assert!(code == Some(2) && err.contains("no firewall runs"), "{err}");
    let answers = frames(&file("inside.out"));
    assert!(
        answers
            .iter()
            .any(|frame| frame[12..14] == [8, 6] && frame[21] == 2),
        "an ARP reply left"
    );
}
