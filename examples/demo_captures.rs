//! Writes the captures of the demonstration: `cargo run --example demo_captures -- DIR [PACKETS]`.
//!
//! They fit `tests/cases/seed-corrected/setup.cfg`: `outside.pcap` and `inside.pcap` are what its two
//! interfaces receive. Peers talk SIP over TLS, TCP and UDP and XMPP with the published nodes, inside
//! hosts go out through dynamic PAT, strangers are denied, and some frames are malformed. PACKETS is
//! the length of the longest conversation. The same arguments always give the same bytes.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

type Result = std::result::Result<(), PcapError>;
type Address = [u8; 4];
/// An address and a port.
type End = (Address, u16);

/// Which interface receives a frame.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Outside,
    Inside,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), packets) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: demo_captures DIR [PACKETS]");
        return ExitCode::from(2);
    };
    let packets = packets.and_then(|text| text.parse().ok()).unwrap_or(40);
    match write(Path::new(&folder), packets) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo_captures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, packets: usize) -> Result {
    std::fs::create_dir_all(folder).map_err(PcapError::IoError)?;
    let mut scene = Scene::new(folder)?;
    sip(&mut scene)?;
    xmpp(&mut scene, packets)?;
    outbound(&mut scene)?;
    denied(&mut scene)?;
    device(&mut scene)?;
    malformed(&mut scene)
}

/// SIP: TLS that has to be inspected, TLS that need not, plain TCP, UDP.
fn sip(scene: &mut Scene) -> Result {
    // A peer dials node 1: the TLS proxy's class takes it.
    scene.inbound_tcp(
        (PEER, 40_001),
        5061,
        (NODE_1, 5061),
        CLIENT_HELLO,
        SERVER_HELLO,
        2,
    )?;
    // Node 1 dials the peer.
    scene.outbound_tcp(
        (NODE_1, 50_010),
        (PEER, 5061),
        (PUBLIC, 50_010),
        CLIENT_HELLO,
        SERVER_HELLO,
        2,
    )?;
    // Strangers dial node 2 behind its shifted ports: nothing inspects these.
    scene.inbound_tcp(
        (STRANGER, 40_100),
        45_061,
        (NODE_2, 5061),
        CLIENT_HELLO,
        SERVER_HELLO,
        6,
    )?;
    scene.inbound_tcp(
        (STRANGER, 40_101),
        45_062,
        (NODE_2, 5062),
        CLIENT_HELLO,
        SERVER_HELLO,
        3,
    )?;
    // Plain SIP is inspected by default.
    scene.inbound_tcp((PEER, 40_002), 5060, (NODE_1, 5060), SUBSCRIBE, ACCEPTED, 1)?;
    for n in 0..4 {
        scene.udp(Side::Outside, (PEER, 5070), (PUBLIC, 5070), SUBSCRIBE)?;
        scene.udp(Side::Inside, (NODE_1, 5070), (PEER, 5070), ACCEPTED)?;
        if n % 2 == 0 {
            scene.udp(Side::Outside, (STRANGER, 5060), (PUBLIC, 45_070), SUBSCRIBE)?;
            scene.udp(Side::Inside, (NODE_2, 5070), (STRANGER, 5060), ACCEPTED)?;
        }
    }
    Ok(())
}

/// XMPP: one public address, one port a node, both directions.
fn xmpp(scene: &mut Scene, packets: usize) -> Result {
    scene.inbound_tcp(
        (PARTNER, 41_000),
        5269,
        (NODE_1, 5269),
        STREAM,
        STREAM,
        packets,
    )?;
    scene.inbound_tcp((PARTNER, 41_001), 25_269, (NODE_2, 5269), STREAM, STREAM, 5)?;
    scene.inbound_tcp((PARTNER, 41_002), 35_269, (NODE_3, 5269), STREAM, STREAM, 5)?;
    scene.outbound_tcp(
        (NODE_3, 5269),
        (PARTNER, 5269),
        (PUBLIC, 35_269),
        STREAM,
        STREAM,
        3,
    )
}

/// Inside hosts through dynamic PAT.
fn outbound(scene: &mut Scene) -> Result {
    scene.outbound_tcp(
        (DESK, 51_000),
        (WEB, 443),
        (PUBLIC, 51_000),
        CLIENT_HELLO,
        SERVER_HELLO,
        8,
    )?;
    for n in 0..3 {
        scene.udp(Side::Inside, (DESK, 52_000 + n), (WEB, 53), b"query")?;
        scene.udp(Side::Outside, (WEB, 53), (PUBLIC, 52_000 + n), b"answer")?;
    }
    scene.ping(Side::Inside, DESK, WEB, true)?;
    scene.ping(Side::Outside, WEB, PUBLIC, false)
}

/// What the access list on the outside interface does not let in.
fn denied(scene: &mut Scene) -> Result {
    for port in [22, 23, 445, 3389, 5063] {
        scene.tcp(
            Side::Outside,
            (SCANNER, 60_000),
            (PUBLIC, port),
            Flags::SYN,
            1,
            0,
            b"",
        )?;
    }
    scene.udp(Side::Outside, (SCANNER, 60_000), (PUBLIC, 5060), SUBSCRIBE)?;
    scene.udp(Side::Outside, (SCANNER, 60_001), (NODE_1, 161), b"public")?;
    // The real address from outside: permitted by the list, refused by NAT's reverse-path check.
    scene.tcp(
        Side::Outside,
        (SCANNER, 60_002),
        (NODE_1, 5061),
        Flags::SYN,
        1,
        0,
        b"",
    )?;
    // Not the begin of a connection.
    scene.tcp(
        Side::Outside,
        (SCANNER, 60_003),
        (PUBLIC, 5062),
        Flags::ACK,
        7,
        9,
        b"",
    )
}

/// What is for the device itself.
fn device(scene: &mut Scene) -> Result {
    scene.arp(Side::Outside, PEER, OUTSIDE_OWN)?;
    scene.arp(Side::Outside, PEER, PUBLIC)?;
    scene.arp(Side::Inside, DESK, INSIDE_OWN)?;
    scene.ping(Side::Inside, DESK, INSIDE_OWN, true)?;
    scene.ping(Side::Outside, PEER, OUTSIDE_OWN, true)
}

/// Frames that a parser must survive.
fn malformed(scene: &mut Scene) -> Result {
    let good = frame_tcp(
        Side::Outside,
        (SCANNER, 61_000),
        (PUBLIC, 5061),
        Flags::SYN,
        1,
        0,
        b"",
    );
    let altered = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    scene.frame(Side::Outside, &altered(24, good[24] ^ 1))?; // header checksum
    scene.frame(Side::Outside, &altered(14, 0x35))?; // version 3
    scene.frame(Side::Outside, &altered(46, 0x10))?; // data offset 1
    scene.frame(Side::Outside, &altered(12, 0x86))?; // no EtherType of ours
    scene.frame(Side::Outside, &good[..13])?; // runt
    scene.frame(Side::Outside, &good[..30])?; // ends inside the IPv4 header
    scene.frame(Side::Outside, &good[..40])?; // ends inside the TCP header
    scene.frame(
        Side::Outside,
        &frame_tcp(
            Side::Outside,
            (PUBLIC, 5061),
            (PUBLIC, 5061),
            Flags::SYN,
            1,
            0,
            b"",
        ),
    )?;
    scene.frame(
        Side::Outside,
        &frame_tcp(
            Side::Outside,
            ([224, 0, 0, 1], 1),
            (PUBLIC, 5061),
            Flags::SYN,
            1,
            0,
            b"",
        ),
    )?;
    // Tagged, but nobody configured a VLAN.
    let mut tagged = good.clone();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    scene.frame(Side::Outside, &tagged)?;
    // Time to live 1, for a port that is open.
    let mut expiring = Vec::new();
    PacketBuilder::ethernet2(PEER_MAC, OUTSIDE_MAC)
        .ipv4(SCANNER, PUBLIC, 1)
        .tcp(61_001, 5061, 1, 1024)
        .syn()
        .write(&mut expiring, b"")
        .map_err(|_| PcapError::InvalidField("frame"))?;
    scene.frame(Side::Outside, &expiring)
}

/// TCP flags of a packet.
#[derive(Clone, Copy)]
struct Flags {
    syn: bool,
    ack: bool,
    fin: bool,
}

impl Flags {
    const SYN: Self = Self {
        syn: true,
        ack: false,
        fin: false,
    };
    const SYN_ACK: Self = Self {
        syn: true,
        ack: true,
        fin: false,
    };
    const ACK: Self = Self {
        syn: false,
        ack: true,
        fin: false,
    };
    const FIN: Self = Self {
        syn: false,
        ack: true,
        fin: true,
    };
}

/// The two captures and the time.
struct Scene {
    outside: PcapWriter<File>,
    inside: PcapWriter<File>,
    time: Duration,
}

impl Scene {
    fn new(folder: &Path) -> std::result::Result<Self, PcapError> {
        let create = |name: &str| {
            let file = File::create(folder.join(name)).map_err(PcapError::IoError)?;
            let header = PcapHeader {
                datalink: DataLink::ETHERNET,
                ts_resolution: TsResolution::MicroSecond,
                ..PcapHeader::default()
            };
            PcapWriter::with_header(file, header)
        };
        Ok(Self {
            outside: create("outside.pcap")?,
            inside: create("inside.pcap")?,
            time: BEGIN,
        })
    }

    fn frame(&mut self, side: Side, frame: &[u8]) -> Result {
        self.time += GAP;
        let writer = match side {
            Side::Outside => &mut self.outside,
            Side::Inside => &mut self.inside,
        };
        writer
            .write_packet(&PcapPacket::new(self.time, frame.len() as u32, frame))
            .map(drop)
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a TCP header")]
    fn tcp(
        &mut self,
        side: Side,
        from: End,
        to: End,
        flags: Flags,
        sequence: u32,
        acknowledge: u32,
        data: &[u8],
    ) -> Result {
        self.frame(
            side,
            &frame_tcp(side, from, to, flags, sequence, acknowledge, data),
        )
    }

    fn udp(&mut self, side: Side, from: End, to: End, data: &[u8]) -> Result {
        let mut frame = Vec::new();
        let (source, destination) = macs(side);
        PacketBuilder::ethernet2(source, destination)
            .ipv4(from.0, to.0, 64)
            .udp(from.1, to.1)
            .write(&mut frame, data)
            .map_err(|_| PcapError::InvalidField("frame"))?;
        self.frame(side, &frame)
    }

    fn ping(&mut self, side: Side, from: Address, to: Address, is_request: bool) -> Result {
        let mut frame = Vec::new();
        let (source, destination) = macs(side);
        let builder = PacketBuilder::ethernet2(source, destination).ipv4(from, to, 64);
        let builder = match is_request {
            true => builder.icmpv4_echo_request(7, 1),
            false => builder.icmpv4_echo_reply(7, 1),
        };
        builder
            .write(&mut frame, b"abcdefgh")
            .map_err(|_| PcapError::InvalidField("frame"))?;
        self.frame(side, &frame)
    }

    fn arp(&mut self, side: Side, from: Address, target: Address) -> Result {
        let (source, _) = macs(side);
        let mut frame = [
            &[0xff; 6],
            &source[..],
            &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1],
        ]
        .concat();
        frame.extend_from_slice(&source);
        frame.extend_from_slice(&from);
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&target);
        frame.resize(60, 0);
        self.frame(side, &frame)
    }

    /// A peer dials a public port; the node answers from its real address.
    fn inbound_tcp(
        &mut self,
        peer: End,
        public: u16,
        node: End,
        request: &[u8],
        answer: &[u8],
        rounds: usize,
    ) -> Result {
        let ends = [
            (Side::Outside, peer, (PUBLIC, public)),
            (Side::Inside, node, peer),
        ];
        self.conversation(ends, request, answer, rounds)
    }

    /// An inside host dials a peer, which sees its mapped end.
    fn outbound_tcp(
        &mut self,
        host: End,
        peer: End,
        mapped: End,
        request: &[u8],
        answer: &[u8],
        rounds: usize,
    ) -> Result {
        let ends = [(Side::Inside, host, peer), (Side::Outside, peer, mapped)];
        self.conversation(ends, request, answer, rounds)
    }

    /// Handshake, rounds of request and answer, both FINs.
    fn conversation(
        &mut self,
        ends: [(Side, End, End); 2],
        request: &[u8],
        answer: &[u8],
        rounds: usize,
    ) -> Result {
        let [(near, near_from, near_to), (far, far_from, far_to)] = ends;
        let (mut ours, mut theirs) = (1_000, 9_000);
        self.tcp(near, near_from, near_to, Flags::SYN, ours, 0, b"")?;
        ours += 1;
        self.tcp(far, far_from, far_to, Flags::SYN_ACK, theirs, ours, b"")?;
        theirs += 1;
        self.tcp(near, near_from, near_to, Flags::ACK, ours, theirs, b"")?;
        for _ in 0..rounds {
            self.tcp(near, near_from, near_to, Flags::ACK, ours, theirs, request)?;
            ours += request.len() as u32;
            self.tcp(far, far_from, far_to, Flags::ACK, theirs, ours, answer)?;
            theirs += answer.len() as u32;
        }
        self.tcp(near, near_from, near_to, Flags::FIN, ours, theirs, b"")?;
        ours += 1;
        self.tcp(far, far_from, far_to, Flags::FIN, theirs, ours, b"")?;
        self.tcp(near, near_from, near_to, Flags::ACK, ours, theirs + 1, b"")
    }
}

fn frame_tcp(
    side: Side,
    from: End,
    to: End,
    flags: Flags,
    sequence: u32,
    acknowledge: u32,
    data: &[u8],
) -> Vec<u8> {
    let (source, destination) = macs(side);
    let mut builder = PacketBuilder::ethernet2(source, destination)
        .ipv4(from.0, to.0, 64)
        .tcp(from.1, to.1, sequence, 64_240);
    if flags.syn {
        builder = builder.syn();
    }
    if flags.ack {
        builder = builder.ack(acknowledge);
    }
    if flags.fin {
        builder = builder.fin();
    }
    let mut frame = Vec::new();
    builder
        .write(&mut frame, data)
        .expect("a vector takes everything");
    frame
}

/// Source and destination of what a side receives.
fn macs(side: Side) -> ([u8; 6], [u8; 6]) {
    match side {
        Side::Outside => (PEER_MAC, OUTSIDE_MAC),
        Side::Inside => (HOST_MAC, INSIDE_MAC),
    }
}

const PUBLIC: Address = [192, 0, 2, 1];
const OUTSIDE_OWN: Address = [192, 0, 2, 2];
const INSIDE_OWN: Address = [10, 0, 0, 1];
const NODE_1: Address = [10, 0, 0, 2];
const NODE_2: Address = [10, 0, 0, 3];
const NODE_3: Address = [10, 0, 0, 4];
const DESK: Address = [10, 0, 0, 77];
const PEER: Address = [192, 0, 2, 254];
const STRANGER: Address = [203, 0, 113, 9];
const PARTNER: Address = [203, 0, 113, 20];
const WEB: Address = [198, 51, 100, 7];
const SCANNER: Address = [203, 0, 113, 66];

const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x01, 0xfe];
const OUTSIDE_MAC: [u8; 6] = [0x02, 0x50, 0x53, 0x54, 0, 0];
const HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x0a, 0x02];
const INSIDE_MAC: [u8; 6] = [0x02, 0x50, 0x53, 0x54, 0, 1];

/// 1 June 2026, 12:00 UTC.
const BEGIN: Duration = Duration::from_secs(1_780_315_200);
const GAP: Duration = Duration::from_micros(1_500);

/// The first bytes of a TLS 1.2 ClientHello and ServerHello: enough for what looks at the header.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03,
];
const SERVER_HELLO: &[u8] = &[
    0x16, 0x03, 0x03, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x03,
];
const SUBSCRIBE: &[u8] = b"SUBSCRIBE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.254;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@192.0.2.254\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n";
const ACCEPTED: &[u8] = b"SIP/2.0 202 Accepted\r\nVia: SIP/2.0/TCP 192.0.2.254;branch=z9hG4bK1\r\nFrom: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.com>;tag=2\r\nCall-ID: 1@192.0.2.254\r\nCSeq: 1 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n";
const STREAM: &[u8] =
    b"<presence from='alice@example.org' to='bob@example.com'><show>away</show></presence>";
