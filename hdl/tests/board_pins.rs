//! Whole boards at their pins: tables by the serial line, frames in at one port's RGMII and out at the other's; TLPs of the
//! one that has a link.
//!
//! Frames are built, and expected, with etherparse; their check sequence comes from crc32fast. A clock is 8 ns.

mod support;

use etherparse::PacketBuilder;
use layout::csr;
use layout::hash::flow_index;
use layout::table::{Adjacency, FlowAction, FlowEntry, Interface, Key, Table};
use support::board::{Board, is_sound, with_check};
use support::random::Random;
use support::tlp::{COMPLETION_DATA, READ, Request, WRITE};
use support::uart::{self, read, write};

const OUTSIDE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];
const INSIDE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const PEER: [u8; 4] = [198, 51, 100, 7];
const PUBLIC: [u8; 4] = [192, 0, 2, 10];
const SERVER: [u8; 4] = [10, 0, 0, 10];
const PEER_PORT: u16 = 40_000;
const PUBLIC_PORT: u16 = 5061;
const SERVER_PORT: u16 = 15_061;

/// Two interfaces, two next hops, and one connection through a static PAT.
fn load_connection(board: &mut Board) {
    let interface = |port: u8, mac: [u8; 6]| Interface {
        valid: true,
        port,
        tagged: false,
        vid: 0,
        mac: address(mac),
    };
    let hop = |interface: u8, mac: [u8; 6]| Adjacency {
        valid: true,
        interface,
        mac: address(mac),
    };
    board.load(
        Table::Interface,
        &[
            (0, interface(0, OUTSIDE_MAC).pack().to_vec()),
            (1, interface(1, INSIDE_MAC).pack().to_vec()),
        ],
    );
    board.load(
        Table::Adjacency,
        &[
            (0, hop(0, PEER_MAC).pack().to_vec()),
            (1, hop(1, SERVER_MAC).pack().to_vec()),
        ],
    );
    let inbound = Key {
        dport: PUBLIC_PORT,
        sport: PEER_PORT,
        dst: u32::from_be_bytes(PUBLIC),
        src: u32::from_be_bytes(PEER),
        proto: 6,
        interface: 0,
    };
    let outbound = Key {
        dport: PEER_PORT,
        sport: SERVER_PORT,
        dst: u32::from_be_bytes(PEER),
        src: u32::from_be_bytes(SERVER),
        proto: 6,
        interface: 1,
    };
    let flows = [
        (
            inbound,
            FlowAction {
                valid: true,
                punt: false,
                translate_source: false,
                translate_destination: true,
                adjacency: 1,
                l4_port: SERVER_PORT,
                address: u32::from_be_bytes(SERVER),
            },
        ),
        (
            outbound,
            FlowAction {
                valid: true,
                punt: false,
                translate_source: true,
                translate_destination: false,
                adjacency: 0,
                l4_port: PUBLIC_PORT,
                address: u32::from_be_bytes(PUBLIC),
            },
        ),
    ];
    let flows = flows.map(|(key, action)| {
        (
            flow_index(0, &key),
            FlowEntry::new(key, action).pack().to_vec(),
        )
    });
    board.load(Table::Flow, &flows);
    board.ask(&write(csr::CONTROL as u16, &[csr::CONTROL_ENABLE]));
}

fn address(mac: [u8; 6]) -> u64 {
    mac.iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// One end of a segment: MAC address, address, port.
type End = ([u8; 6], [u8; 4], u16);

/// A TCP segment from one end to the other.
fn segment(from: End, to: End, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(from.1, to.1, 64)
        .tcp(from.2, to.2, sequence, 1024)
        .ack(1)
        .write(&mut frame, payload)
        .expect("memory is written");
    frame
}

/// From the peer to the server: as it comes, and as it must leave.
fn inbound(sequence: u32, payload: &[u8]) -> [Vec<u8>; 2] {
    let ways = [
        (
            (PEER_MAC, PEER, PEER_PORT),
            (OUTSIDE_MAC, PUBLIC, PUBLIC_PORT),
        ),
        (
            (INSIDE_MAC, PEER, PEER_PORT),
            (SERVER_MAC, SERVER, SERVER_PORT),
        ),
    ];
    ways.map(|(from, to)| segment(from, to, sequence, payload))
}

/// From the server to the peer: as it comes, and as it must leave.
fn outbound(sequence: u32, payload: &[u8]) -> [Vec<u8>; 2] {
    let ways = [
        (
            (SERVER_MAC, SERVER, SERVER_PORT),
            (INSIDE_MAC, PEER, PEER_PORT),
        ),
        (
            (OUTSIDE_MAC, PUBLIC, PUBLIC_PORT),
            (PEER_MAC, PEER, PEER_PORT),
        ),
    ];
    ways.map(|(from, to)| segment(from, to, sequence, payload))
}

/// Bytes that make a frame of this length, check sequence included.
fn payload(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length - 58).map(|_| random.bits() as u8).collect()
}

#[test]
fn a_connection_passes_the_versa_at_line_rate_and_broken_frames_leave_broken() {
    passes(Board::versa("board-versa"), csr::BOARD_VERSA_ECP5);
}

#[test]
fn a_connection_passes_the_stlv7325_at_line_rate_and_broken_frames_leave_broken() {
    passes(Board::stlv7325("board-stlv7325"), csr::BOARD_STLV7325);
}

/// A connection crosses a board of this number, both ways at line rate, and broken frames leave broken.
fn passes(mut board: Board, number: u32) {
    let mut random = Random(17);
    let ident = board.ask(&read(csr::MAGIC as u16, 7));
    assert_eq!(ident[0], csr::MAGIC_VALUE);
    assert_eq!(
        u64::from(ident[1]) | u64::from(ident[2]) << 32,
        layout::LAYOUT_HASH
    );
    assert_eq!(ident[6], number);
    load_connection(&mut board);

    // One alone, of several lengths: the way through takes as long for all.
    let mut latencies = Vec::new();
    for length in [64, 65, 71, 72, 200, 1518] {
        let [frame, expected] = inbound(length as u32, &payload(&mut random, length));
        let at = board.receive(0, &frame);
        let [outside, inside] = board.settle();
        assert!(outside.is_empty());
        assert_eq!(inside.len(), 1, "{length} bytes");
        assert_eq!(inside[0].bytes, with_check(&expected), "{length} bytes");
        latencies.push((length, inside[0].clock - at));
    }
    for (length, clocks) in &latencies {
        println!(
            "{length:5} bytes: {} ns from first byte to first byte",
            8 * clocks
        );
    }
    assert!(
        latencies
            .iter()
            .all(|(_, clocks)| *clocks == latencies[0].1),
        "as long for all: {latencies:?}"
    );

    // Both ways at once, back to back: nothing is lost, nothing waits for ever.
    let mut expected = [Vec::new(), Vec::new()];
    for sequence in 0..60 {
        let long = random.chance(30);
        let length = if long {
            1518
        } else {
            64 + random.below(100) as usize
        };
        let [frame, leaves] = inbound(sequence, &payload(&mut random, length));
        board.receive(0, &frame);
        expected[1].push(with_check(&leaves));
    }
    for sequence in 0..200 {
        let length = 64 + random.below(64) as usize;
        let [frame, leaves] = outbound(sequence, &payload(&mut random, length));
        board.receive(1, &frame);
        expected[0].push(with_check(&leaves));
    }
    let sent = board.settle();
    for port in 0..2 {
        let bytes: Vec<&Vec<u8>> = sent[port].iter().map(|sent| &sent.bytes).collect();
        assert_eq!(bytes.len(), expected[port].len(), "port {port}");
        assert!(bytes.into_iter().eq(&expected[port]), "port {port}");
    }
    assert!(board.faults().iter().all(|count| *count == 0));

    // A broken frame leaves broken, and the next one is sound.
    let [frame, _] = inbound(7, &payload(&mut random, 300));
    let mut bytes = with_check(&frame);
    bytes[200] ^= 0x10;
    board.receive_bytes(0, &bytes);
    let [frame, leaves] = inbound(8, &payload(&mut random, 90));
    board.receive(0, &frame);
    let [_, inside] = board.settle();
    assert_eq!(inside.len(), 2);
    assert!(!is_sound(&inside[0].bytes), "its check sequence says so");
    assert_eq!(inside[1].bytes, with_check(&leaves));
    let faults = board.faults();
    assert_eq!(
        faults[0], 1,
        "port 0 received one with a wrong check sequence"
    );
    assert_eq!(
        faults[csr::PORT_FAULT_KINDS + 5],
        1,
        "port 1 sent one poisoned"
    );
    assert_eq!(faults.iter().sum::<u32>(), 2);
}

/// Words of BAR0 by TLPs.
struct Host {
    board: Board,
    identifier: u16,
    tag: u32,
}

impl Host {
    fn request(&mut self, kind: u32, register: u32, dwords: usize) -> Request {
        self.tag += 1;
        Request {
            kind,
            address: 0xd000_0000 | u64::from(register),
            dwords,
            last: if dwords > 1 { 15 } else { 0 },
            tag: self.tag % 32,
            ..Request::default()
        }
    }

    fn read(&mut self, register: u32, dwords: usize) -> Vec<u32> {
        let request = self.request(READ, register, dwords);
        let answer = self.board.exchange(&request.tlp(&[]));
        assert_eq!(answer.kind(), COMPLETION_DATA);
        assert_eq!(answer.tag(), request.tag);
        assert_eq!(answer.header[1] >> 16, u32::from(self.identifier));
        answer.payload
    }
}

#[test]
fn a_host_reads_and_writes_registers_over_the_link_beside_the_serial_line() {
    let mut board = Board::stlv7325("board-link");
    let identifier = 0x0300;
    board.link(true, identifier);
    let mut host = Host {
        board,
        identifier,
        tag: 0,
    };
    let ident = host.read(csr::MAGIC, 8);
    assert_eq!(ident[0], csr::MAGIC_VALUE);
    assert_eq!(
        u64::from(ident[1]) | u64::from(ident[2]) << 32,
        layout::LAYOUT_HASH
    );
    assert_eq!(ident[6], csr::BOARD_STLV7325);
    assert_eq!(
        ident[7],
        csr::CAPABILITY_WINDOWS | csr::CAPABILITY_DMA,
        "it has rings"
    );

    // Written over the link, read over the serial line, and the other way round.
    let request = host.request(WRITE, csr::SCRATCH, 1).tlp(&[0x1234_5678]);
    let read = host.request(READ, csr::SCRATCH, 1).tlp(&[]);
    host.board.send(&request);
    assert_eq!(host.board.exchange(&read).payload, [0x1234_5678]);
    assert_eq!(
        host.board.ask(&uart::read(csr::SCRATCH as u16, 1)),
        [0x1234_5678]
    );
    host.board
        .ask(&uart::write(csr::SCRATCH as u16, &[0x9abc_def0]));
    assert_eq!(host.read(csr::SCRATCH, 1), [0x9abc_def0]);
    assert_eq!(host.read(csr::DMA_STATUS, 1), [csr::DMA_BUS_MASTER]);

    // A lost link is a function reset: registers of the rings are forgotten, those of the card are not.
    let request = host.request(WRITE, csr::DMA_BLOCK_HIGH, 1).tlp(&[7]);
    host.board.send(&request);
    assert_eq!(host.read(csr::DMA_BLOCK_HIGH, 1), [7]);
    host.board.link(false, 0);
    host.identifier = 0x0500;
    host.board.link(true, host.identifier);
    assert_eq!(host.read(csr::DMA_BLOCK_HIGH, 1), [0]);
    assert_eq!(host.read(csr::SCRATCH, 1), [0x9abc_def0]);
}
