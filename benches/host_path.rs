//! What the host costs a first packet: a register read over vfio-user, and connections through the slow path.
//!
//! `cargo bench --bench host_path`. `decided` is the slow path alone: a SYN in, effects out. `installed` is the whole way
//! on a model card in lock-step: frame fed, punted by the window, decided, both entries written, frame injected; three
//! of four parts of it are round trips on a socket, which a card behind the kernel's VFIO does not have.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use host::flow::Limits;
use host::policy::{self, Capacity, Model};
use host::punt::{Resolution, Setup, SlowPath};
use host::runtime::Runtime;
use host::vfio::{BAR0, Device};
use layout::csr;
use layout::desc::{Metadata, NO_ACE, NO_DESTINATION, NO_FLOW, Reason, Verdict};
use layout::table::Interface;

#[path = "../tests/support/bench.rs"]
mod bench;

use bench::Bench;

/// Static and dynamic PAT, as in the tests of whole networks.
const CONFIG: &str = include_str!("../tests/support/lab.cfg");
/// Time stands still, so that nothing ages.
const NOW: Duration = Duration::from_secs(1000);
const INSIDE: u8 = 1;
const CONNECTIONS: u16 = 1000;

fn model() -> Arc<Model> {
    Arc::new(policy::lower(&host::config::parse(CONFIG).config).0)
}

/// The first packets of connections from inside.
fn first_packets() -> Vec<Vec<u8>> {
    let syn = |number| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1])
            .ipv4([10, 0, 0, 20], [198, 51, 100, 7], 64)
            .tcp(20_000 + number, 443, 1, 1024)
            .syn()
            .write(&mut frame, &[])
            .expect("a vector takes everything");
        frame
    };
    (0..CONNECTIONS).map(syn).collect()
}

fn register(criterion: &mut Criterion) {
    let bench = Bench::serve(Box::new(sim::Model::new(64)));
    let mut device = bench.connect();
    criterion.bench_function("register/read over vfio-user", |bencher| {
        bencher.iter(|| {
            let mut bytes = [0; 4];
            device
                .region_read(BAR0, csr::MAGIC.into(), &mut bytes)
                .expect("a register");
            assert_eq!(u32::from_le_bytes(bytes), csr::MAGIC_VALUE);
        });
    });
}

fn decided(criterion: &mut Criterion) {
    let (model, frames) = (model(), first_packets());
    let interface = |port: u8| Interface {
        valid: true,
        port,
        mac: 0x0200_0000_0001 + u64::from(port),
        ..Interface::default()
    };
    let start = || {
        SlowPath::new(Setup {
            model: model.clone(),
            interfaces: vec![interface(0), interface(1)],
            resolution: Resolution::Derive,
            limits: Limits::default(),
            seed: 7,
            has_proxy: false,
        })
    };
    let metadata = Metadata {
        length: frames[0].len() as u16,
        port: INSIDE,
        interface: INSIDE,
        reason: Reason::FlowMiss as u8,
        verdict: Verdict::Punt as u8,
        ace: NO_ACE,
        destination: NO_DESTINATION,
        flow: NO_FLOW,
        ..Metadata::default()
    };
    let mut group = criterion.benchmark_group("connections");
    group.throughput(Throughput::Elements(CONNECTIONS.into()));
    group.bench_function("decided", |bencher| {
        bencher.iter_batched(
            start,
            |mut path| {
                let mut effects = Vec::new();
                for frame in &frames {
                    path.handle_punt(NOW, &metadata, black_box(frame), &mut effects);
                    black_box(&effects);
                    effects.clear();
                }
                assert_eq!(path.conns().len(), frames.len());
                path
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn installed(criterion: &mut Criterion) {
    let (model, frames) = (model(), first_packets());
    let start = || {
        let bench = Bench::serve(Box::new(sim::Model::new(64)));
        let (image, _) = policy::compile(&model, &Capacity::default());
        let runtime = Runtime::start(bench.bring_up(), model.clone(), image);
        (runtime.expect("a loaded card"), bench)
    };
    let mut group = criterion.benchmark_group("connections");
    group.throughput(Throughput::Elements(CONNECTIONS.into()));
    group.sample_size(10);
    group.bench_function("installed", |bencher| {
        bencher.iter_batched(
            start,
            |(mut runtime, bench)| {
                for frame in &frames {
                    let outcome = runtime.receive(NOW, INSIDE, frame).expect("served");
                    assert_eq!(outcome.left.len(), 1);
                }
                // The client leaves before its server is waited for.
                (runtime, bench)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, register, decided, installed);
criterion_main!(benches);
