//! What a thousand trustpoints cost at the start, and how soon a renewed certificate is shown.
//!
//! `cargo bench --bench trustpoints`. Start-up is what `postern run` does before it serves: configuration, store, keys,
//! proxies; 500 of those, each with two of the trustpoints. Hot swap is from the store's commit of a renewed certificate to the
//! end of the first handshake that shows it; handshakes follow one another, both peers and the proxy in one thread and
//! in memory, and one session from before goes on.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

mod peers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use host::config;
use host::enrol::prove::MachineDoor;
use host::pki::key::Wanted;
use host::pki::{Date, Key, Settings, Trustpoint};
use host::policy;
use host::runtime::clock::Clock;
use host::runtime::proxies::Proxies;
use host::runtime::renewal::{Keeper, Setup};
use host::runtime::serving::Serving;
use host::store::{Store, file_in};
use peers::{Conversation, Desk, Peers};
use tempfile::TempDir;

const TRUSTPOINTS: usize = 1000;

fn configuration() -> String {
    let mut text = String::new();
    for number in 0..TRUSTPOINTS {
        text += &format!(
            "crypto ca trustpoint tp{number}\n enrollment self\n fqdn host{number}.example.com\n keypair k{number} ecdsa 256\n"
        );
    }
    for number in (0..TRUSTPOINTS).step_by(2) {
        text += &format!(
            "tls-proxy p{number}\n server trust-point tp{number}\n client trust-point tp{}\n",
            number + 1
        );
    }
    text
}

/// A store in which all of them are enrolled.
fn enrolled(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), None).expect("a store");
    let now = Date::from(Clock::start().now());
    for settings in Settings::all(&config::parse(text).config).0 {
        let label = settings.key_label.as_deref().expect("it is named");
        let key = Key::generate(label, Wanted::Ecdsa(256)).expect("a key");
        let mut trustpoint = Trustpoint::new(&settings.name);
        trustpoint
            .sign_itself(&settings, &key, now)
            .expect("signed");
        store.save(Some(&trustpoint), Some(&key)).expect("saved");
    }
    folder
}

fn start(text: &str, folder: &TempDir) -> Serving {
    let parsed = config::parse(text);
    assert!(!parsed.has_errors());
    std::hint::black_box(policy::lower(&parsed.config));
    let store = Store::open(folder.path(), None).expect("a store");
    let serving = Serving::load(&Arc::new(parsed.config), &store).expect("read");
    assert_eq!(serving.now().ready.len(), TRUSTPOINTS / 2);
    serving
}

fn start_up(criterion: &mut Criterion) {
    let text = configuration();
    let folder = enrolled(&text);
    let mut group = criterion.benchmark_group("start-up");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("1000 trustpoints", |bencher| {
        bencher.iter_with_large_drop(|| start(&text, &folder));
    });
    group.finish();
}

/// A firewall's store and proxy, and who keeps its certificates.
struct Scene {
    desk: Desk,
    peers: Peers,
    folder: TempDir,
    trustpoint: Trustpoint,
    number: u32,
}

impl Scene {
    /// The authority issues the next certificate, and it is stored.
    fn renew(&mut self) {
        self.number += 1;
        self.desk.issue("own", "cup", self.number);
        self.trustpoint.identity = Some(self.desk.certificate("own"));
        let store = Store::open(self.folder.path(), None).expect("a store");
        store.save(Some(&self.trustpoint), None).expect("saved");
    }

    /// How long it takes until a renewed certificate is shown.
    fn swap(&mut self, proxies: &Proxies, keeps: &mut Conversation) -> Duration {
        self.renew();
        let begin = Instant::now();
        let next = self.trustpoint.identity.as_ref().expect("just renewed");
        loop {
            let now = Clock::start().now();
            let conversation = Conversation::begin(&self.peers, &proxies.ready["p"], now);
            if *conversation.shown() == next.der {
                let taken = begin.elapsed();
                keeps.say(now);
                return taken;
            }
        }
    }
}

fn hot_swap(criterion: &mut Criterion) {
    let desk = Desk::new();
    let trustpoint = Trustpoint {
        authority: Some(desk.certificate("ca")),
        identity: Some(desk.certificate("own")),
        key_label: Some("own".into()),
        ..Trustpoint::new("tp")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let open = |folder: &TempDir| Store::open(folder.path(), None).expect("a store");
    open(&folder)
        .save(Some(&trustpoint), Some(&desk.own_key("own")))
        .expect("saved");
    let text = "crypto ca trustpoint tp\n enrollment terminal\ntls-proxy p\n server trust-point tp\n client trust-point tp\n";
    let config = Arc::new(config::parse(text).config);
    let serving = Serving::load(&config, &open(&folder)).expect("read");
    let proxies = serving.now();
    let directory = folder.path().to_owned();
    let _keeper = Keeper::start(Setup {
        settings: Settings::all(&config).0,
        file: file_in(folder.path()),
        open: Box::new(move || Store::open(&directory, None)),
        door: Box::new(MachineDoor),
        serving,
        log: Arc::new(|event| println!("{event}")),
    })
    .expect("a thread");
    let mut scene = Scene {
        peers: Peers::new(&desk),
        desk,
        folder,
        trustpoint,
        number: 100,
    };
    let now = Clock::start().now();
    let mut keeps = Conversation::begin(&scene.peers, &proxies.ready["p"], now);
    let mut group = criterion.benchmark_group("hot swap");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("from commit to the first handshake", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| scene.swap(&proxies, &mut keeps)).sum());
    });
    group.finish();
}

criterion_group!(benches, start_up, hot_swap);
criterion_main!(benches);
