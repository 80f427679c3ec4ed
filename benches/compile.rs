//! How long a policy takes: reading, lowering and compiling 1 000 and 10 000 entries, and judging first packets.
//!
//! And how long it takes onto a card: over vfio-user, into the model card, which costs next to nothing itself, so the
//! time is that of the driver and the socket. `cargo bench --bench compile`. The entries are the mixed kind a border firewall has: hosts, subnets, port
//! ranges; every twentieth is out of reach.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use host::policy::{Capacity, Model, compile, decide, lower};
use layout::table::Key;

#[path = "../tests/support/bench.rs"]
mod bench;

/// A configuration with so many entries in the list of the outside interface.
fn configuration(entries: u32) -> String {
    let mut text = String::from(
        "interface GigabitEthernet0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\n\
         interface GigabitEthernet0/1\n nameif inside\n ip address 10.0.0.1 255.255.0.0\n\
         route outside 0.0.0.0 0.0.0.0 192.0.2.254\n\
         object network node\n host 10.0.0.2\n nat (inside,outside) static 192.0.2.1 service tcp 5061 5061\n\
         object network rest\n subnet 10.0.0.0 255.255.0.0\n nat (inside,outside) dynamic 192.0.2.1\n",
    );
    for index in 0..entries {
        let (high, low) = (index / 250 % 250, index % 250);
        let action = if index % 7 == 3 { "deny" } else { "permit" };
        let line = match index % 20 {
            0..12 => format!("tcp any host 10.0.{high}.{low} eq {}", 1024 + index % 40000),
            12..16 => format!(
                "udp 198.51.{low}.0 255.255.255.0 host 10.0.{high}.{low} range {} {}",
                index % 60000,
                index % 60000 + 99
            ),
            16..19 => format!(
                "tcp host 203.0.113.{low} 10.0.{high}.0 255.255.255.0 neq {}",
                index % 65000 + 1
            ),
            _ => format!(
                "tcp host 203.0.113.{low} host 10.0.{high}.{} eq {}",
                low - 3,
                index % 65000 + 1
            ),
        };
        writeln!(text, "access-list outside_in extended {action} {line}").expect("memory takes it");
    }
    text.push_str("access-group outside_in in interface outside\n");
    text
}

fn model(text: &str) -> Model {
    let (model, findings) = lower(&host::config::parse(text).config);
    let error = findings
        .iter()
        .find(|finding| finding.code.starts_with('E'));
    assert!(error.is_none(), "{error:?}");
    model
}

fn policies(criterion: &mut Criterion) {
    for entries in [1_000, 10_000] {
        let text = configuration(entries);
        let parsed = host::config::parse(&text);
        let model = model(&text);
        let room = Capacity {
            acl: 1 << 16,
            ..Capacity::default()
        };
        let mut group = criterion.benchmark_group(format!("{entries} entries"));
        group.throughput(Throughput::Elements(u64::from(entries)));
        group.bench_function("parse", |b| {
            b.iter(|| host::config::parse(black_box(&text)))
        });
        group.bench_function("lower", |b| b.iter(|| lower(black_box(&parsed.config))));
        group.bench_function("check", |b| {
            b.iter(|| host::policy::check(black_box(&parsed)))
        });
        group.bench_function("compile", |b| b.iter(|| compile(black_box(&model), &room)));
        group.finish();
    }
}

/// First packets from outside to places all over the list: one in eight hits early, the rest runs deep.
fn first_packets(criterion: &mut Criterion) {
    for entries in [1_000, 10_000] {
        let model = model(&configuration(entries));
        let keys: Vec<Key> = (0..1024u32)
            .map(|index| Key {
                interface: 0,
                proto: if index % 3 == 0 { 17 } else { 6 },
                src: 0xc633_0000 | index << 5,
                sport: 40000,
                dst: if index % 8 == 0 {
                    0xc000_0201
                } else {
                    0x0a00_0000 | (index * 37 % 10_000)
                },
                dport: if index % 8 == 0 {
                    5061
                } else {
                    (index * 53) as u16
                },
            })
            .collect();
        let mut group = criterion.benchmark_group(format!("first packet, {entries} entries"));
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.bench_function("decide", |b| {
            b.iter_batched(
                || &keys,
                |keys| {
                    keys.iter()
                        .map(|key| decide(&model, key))
                        .filter(|d| d.egress.is_some())
                        .count()
                },
                BatchSize::SmallInput,
            )
        });
        group.finish();
    }
}

/// Replaces the policy of a running card by one of so many entries, as a change of the configuration does.
fn loads(criterion: &mut Criterion) {
    let bench = bench::Bench::serve(Box::new(sim::Model::new(64)));
    let mut nic = bench.bring_up();
    for entries in [100, 500] {
        let (image, report) = compile(&model(&configuration(entries)), &Capacity::default());
        assert_eq!(
            report.first_ace_left_out, None,
            "{entries} entries fit the card"
        );
        let mut group = criterion.benchmark_group(format!("{entries} entries"));
        group.throughput(Throughput::Elements(image.acl.len() as u64));
        group.bench_function("load", |b| {
            b.iter(|| {
                nic.load_policy(&image.acl, &image.destinations)
                    .expect("a policy that fits")
            })
        });
        group.finish();
    }
}

criterion_group!(benches, policies, first_packets, loads);
criterion_main!(benches);
