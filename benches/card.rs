//! The card in clocks: throughput and latency of the Verilated RTL, and speed of both simulated cards.
//!
//! Clocks are exact and repeat to the digit; only the last table depends on the machine. Run with
//! `cargo bench --features verilator --bench card`.

use std::time::Instant;

use layout::csr::{CONTROL, CONTROL_DROP_NOT_SYN, CONTROL_ENABLE, CONTROL_PROMISCUOUS, POLICY};
use layout::hash::flow_index;
use layout::simulator::STAGES;
use layout::table::{
    ACL_LANES, ACL_PAGES, ACL_SLOTS, AclEntry, AclValid, Adjacency, DESTINATIONS, Destination,
    FLOW_WAY_ENTRIES, FlowAction, FlowEntry, Interface, Key, PORTS, Table,
};
use sim::frame::{Frame, Transport};
use sim::{Access, Body, Card, Model, Verilated};

/// Frame lengths on the wire, FCS included, as RFC 2544 §9.1 lists them for Ethernet.
const WIRE_BYTES: [usize; 7] = [64, 128, 256, 512, 1024, 1280, 1518];
const FCS_BYTES: usize = 4;
const HEADER_BYTES: usize = 54;
const CLIENT: u32 = 0x0a00_0002;
const SERVER: u32 = 0xc633_6407;
const TCP: u8 = 6;
const SYN: u8 = 0x02;
/// Source port that the last ACL slot but one permits.
const MISS_PORT: u16 = 60_000;
const BURST: usize = 64;
const MAX_CLOCKS: u64 = 100_000_000;

/// What becomes of the frames of a run.
#[derive(Clone, Copy)]
enum Case {
    /// A known flow with source PAT.
    Hit,
    /// No flow, permitted by the last ACL slot but one: goes to the host.
    Miss,
    /// No flow, denied by the last ACL slot.
    Deny,
}

type Clocks = [u64; STAGES.len()];

fn main() {
    println!("clocks per frame back to back, and latency in clocks of a frame alone:");
    println!(
        "hit: first beat in to first beat out; miss and deny, by the last slots of a full list: first beat in to verdict"
    );
    println!(
        "{:>6} {:>6} {:>10} {:>12} {:>11} {:>13} {:>11} {:>13}",
        "width",
        "bytes",
        "hit clocks",
        "hit latency",
        "miss clocks",
        "miss latency",
        "deny clocks",
        "deny latency"
    );
    for width in [64, 512] {
        for bytes in WIRE_BYTES {
            let (hit, hit_latency) = measure(width, Case::Hit, bytes);
            let (miss, miss_latency) = measure(width, Case::Miss, bytes);
            let (deny, deny_latency) = measure(width, Case::Deny, bytes);
            println!(
                "{width:>6} {bytes:>6} {hit:>10.2} {hit_latency:>12} {miss:>11.2} {miss_latency:>13} {deny:>11.2} {deny_latency:>13}"
            );
        }
    }
    println!("\nclocks of table operations through BAR0, register accesses included");
    report_tables(&mut Verilated::new(64));
    println!("\nsimulated speed, 64-byte frames of known flows on both ports");
    report_speed("Verilated, 64 bit", &mut Verilated::new(64), 200_000);
    report_speed(
        "Verilated, with rings",
        &mut Verilated::with_rings(),
        100_000,
    );
    report_speed("Verilated, 512 bit", &mut Verilated::new(512), 100_000);
    report_speed("model", &mut Model::new(64), 1_000_000);
}

/// Clocks per frame in a burst, and the latency of a frame alone.
fn measure(width: usize, case: Case, wire_bytes: usize) -> (f64, u64) {
    let mut card = Verilated::new(width);
    set_up(&mut card);
    let frame = frame(case, wire_bytes - FCS_BYTES);
    let exit = stage(match case {
        Case::Hit => "egress",
        Case::Miss | Case::Deny => "decide",
    });
    let alone = pass(&mut card, &frame, 1);
    let latency = alone[0][exit] - alone[0][stage("ingress")];
    // The first half fills the pipeline, the second shows the pace.
    let burst = pass(&mut card, &frame, BURST);
    let clocks = burst[BURST - 1][exit] - burst[BURST / 2 - 1][exit];
    (clocks as f64 / (BURST / 2) as f64, latency)
}

/// Feeds copies of a frame to the ports in turn, gives the stage clocks of each verdict.
fn pass(card: &mut dyn Card, frame: &[u8], count: usize) -> Vec<Clocks> {
    for i in 0..count {
        card.feed(i % PORTS, frame);
    }
    assert!(card.run(MAX_CLOCKS), "the card did not come to rest");
    std::iter::from_fn(|| card.next_record())
        .filter_map(|record| match record.body {
            Body::Verdict { stages, .. } => Some(stages),
            Body::Frame(_) => None,
        })
        .collect()
}

fn stage(name: &str) -> usize {
    let position = STAGES.iter().position(|stage| *stage == name);
    position.expect("a stage of layout")
}

/// Simulated clocks and frames in a second of this machine.
fn report_speed(name: &str, card: &mut dyn Card, frames: usize) {
    const BATCH: usize = 1000;
    set_up(card);
    let frame = frame(Case::Hit, WIRE_BYTES[0] - FCS_BYTES);
    let (begin, clock) = (Instant::now(), card.cycle());
    for _ in 0..frames / BATCH {
        pass(card, &frame, BATCH);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let clocks = (card.cycle() - clock) as f64 / seconds / 1e6;
    let rate = frames as f64 / seconds / 1e3;
    println!("{name:>21}: {clocks:.2} M clocks/s, {rate:.0} k frames/s");
}

/// A TCP frame of the flow, or of one that the ACL denies.
fn frame(case: Case, bytes: usize) -> Vec<u8> {
    let sport = match case {
        Case::Hit => 40_000,
        Case::Miss => MISS_PORT,
        Case::Deny => 50_000,
    };
    Frame {
        src: CLIENT,
        dst: SERVER,
        transport: Transport::tcp(sport, 5061, SYN),
        payload: vec![0; bytes - HEADER_BYTES],
        ..Frame::default()
    }
    .build()
}

/// Two interfaces, a flow with source PAT from each port to the other, every ACL slot taken.
fn set_up(card: &mut dyn Card) {
    for port in 0..PORTS as u8 {
        let interface = Interface {
            valid: true,
            port,
            mac: 0x0200_0000_0001,
            ..Interface::default()
        };
        assert!(card.write_entry(Table::Interface, port.into(), &interface.pack()));
        let adjacency = Adjacency {
            valid: true,
            interface: port,
            mac: 0x0200_0000_0002,
        };
        assert!(card.write_entry(Table::Adjacency, port.into(), &adjacency.pack()));
        write_flow(card, port);
    }
    for slot in 0..ACL_SLOTS {
        assert!(card.write_entry(Table::Acl, slot, &acl_entry(slot).pack()));
    }
    let lanes = AclValid {
        lanes: (1 << ACL_LANES) - 1,
    };
    for page in 0..ACL_PAGES {
        assert!(card.write_entry(Table::AclValid, page, &lanes.pack()));
    }
    card.bar_write(POLICY, 0);
    card.bar_write(
        CONTROL,
        CONTROL_ENABLE | CONTROL_PROMISCUOUS | CONTROL_DROP_NOT_SYN,
    );
}

fn write_flow(card: &mut dyn Card, port: u8) {
    let key = Key {
        dport: 5061,
        sport: 40_000,
        dst: SERVER,
        src: CLIENT,
        proto: TCP,
        interface: port,
    };
    let action = FlowAction {
        valid: true,
        translate_source: true,
        adjacency: 1 - port,
        l4_port: 1024,
        address: 0xc000_0201,
        ..FlowAction::default()
    };
    let way = usize::from(port);
    let slot = way * FLOW_WAY_ENTRIES + flow_index(way, &key);
    assert!(card.write_entry(Table::Flow, slot, &FlowEntry::new(key, action).pack()));
}

/// Every slot permits a host of its own; the last but one permits one port of the client, the last denies everything.
fn acl_entry(slot: usize) -> AclEntry {
    let everything = AclEntry {
        proto: TCP,
        proto_mask: 0xff,
        sport_high: u16::MAX,
        dport_high: u16::MAX,
        ..AclEntry::default()
    };
    match ACL_SLOTS - slot {
        1 => everything,
        2 => AclEntry {
            src: CLIENT,
            src_mask: u32::MAX,
            sport_low: MISS_PORT,
            sport_high: MISS_PORT,
            permit: true,
            ..everything
        },
        _ => AclEntry {
            src: 0xac10_0000 + slot as u32,
            src_mask: u32::MAX,
            permit: true,
            ..everything
        },
    }
}

/// Clocks of one operation of each kind, and of a whole policy.
fn report_tables(card: &mut dyn Card) {
    let mut row =
        |what: &str, count: usize, operate: &mut dyn FnMut(&mut dyn Card, usize) -> bool| {
            let begin = card.cycle();
            for index in 0..count {
                assert!(operate(card, index), "{what} {index}");
            }
            let clocks = card.cycle() - begin;
            println!(
                "{what:>28}: {clocks:>7} clocks, {:.2} ms at 125 MHz",
                clocks as f64 / 125e3
            );
        };
    let flow = FlowEntry {
        valid: true,
        ..FlowEntry::default()
    };
    row("one flow, both directions", 1, &mut |card, _| {
        card.write_pair(
            Table::Flow,
            (0, &flow.pack()),
            (FLOW_WAY_ENTRIES, &flow.pack()),
        )
    });
    row("1152 ACL entries", ACL_SLOTS, &mut |card, slot| {
        card.write_entry(Table::Acl, slot, &acl_entry(slot).pack())
    });
    row("144 destinations", DESTINATIONS, &mut |card, index| {
        card.write_entry(Table::Destination, index, &Destination::default().pack())
    });
    row("32 pages of a valid map", ACL_PAGES, &mut |card, page| {
        card.write_entry(Table::AclValid, page, &AclValid::default().pack())
    });
    row("the switch to a policy", 1, &mut |card, _| {
        card.bar_write(POLICY, 1);
        true
    });
}
