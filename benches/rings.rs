//! What the ring code costs the host, a packet: a card in memory that costs next to nothing.
//!
//! `cargo bench --bench rings`. The frames have 60 bytes and come in batches of 64, each with one status and one doorbell.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

#[path = "../tests/support/memory_card.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod memory_card;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use host::nic::Nic;
use host::nic::host_path::Wake;
use layout::csr::{CAPABILITY_DMA, CAPABILITY_WINDOWS};
use layout::desc::Metadata;
use memory_card::MemoryCard;

fn started() -> (MemoryCard, Nic) {
    let card = MemoryCard::new(CAPABILITY_WINDOWS | CAPABILITY_DMA);
    let mut nic = Nic::bring_up(card.device()).expect("a card that fits");
    assert!(nic.start_rings(Wake::Polling).expect("rings"));
    (card, nic)
}

fn punt_ring(criterion: &mut Criterion) {
    let (card, mut nic) = started();
    // Every slot holds a frame; from then on the card only says that they are new.
    while card.punt(Metadata::default(), &[0x55; 60]) {}
    card.end_batch();
    while nic.take_punts(BATCH, |_, _| {}).expect("frames") > 0 {}
    let mut group = criterion.benchmark_group("rings");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("punt", |bencher| {
        bencher.iter(|| {
            card.move_tail(0, BATCH as u16);
            card.end_batch();
            let mut bytes = 0;
            let taken = nic.take_punts(BATCH, |metadata, frame| {
                bytes += frame.len() + usize::from(black_box(metadata).flow);
            });
            assert_eq!(taken.expect("frames"), BATCH);
            bytes
        });
    });
    group.finish();
}

fn inject_ring(criterion: &mut Criterion) {
    let (card, mut nic) = started();
    let frame = [0x55; 60];
    let mut group = criterion.benchmark_group("rings");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("inject", |bencher| {
        bencher.iter(|| {
            for _ in 0..BATCH {
                nic.queue(1, true, black_box(&frame)).expect("room");
            }
            nic.flush().expect("a doorbell");
            card.skip_injects();
        });
    });
    group.finish();
}

const BATCH: usize = 64;

criterion_group!(benches, punt_ring, inject_ring);
criterion_main!(benches);
