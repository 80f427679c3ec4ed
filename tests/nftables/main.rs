//! Semantics against an implementation that nobody here wrote: Linux nftables.
//!
//! Random policies are printed as ASA text and as nftables rules. The same frames go into a Linux router in
//! network namespaces and into the model card with the slow path beside it; the same ones must leave, with the same
//! headers, and the answers to them must come back. Where PAT chooses a port, each side's answer goes to
//! the port that side chose. A failure prints its seed; `POSTERN_SEED=N cargo nextest run --test nftables` repeats it,
//! `POSTERN_PACKETS` sets how many are tried. Needs root.

mod netns;
mod policy;
#[path = "../compile/random.rs"]
mod random;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the suites share one bench")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use etherparse::{PacketBuilder, PacketHeaders, TransportHeader};
use host::policy::{Capacity, Verdict, compile, decide, lower};
use host::runtime::Runtime;
use host::wire::{Packet, Tuple};
use netns::{ROUTER_MAC, Router};
use policy::{ICMP, Policy, SHARED, TCP, Trial, UDP};
use random::Random;
use support::Bench;

/// Packets for each policy; each forwarded one is answered.
const PACKETS_EACH: u64 = 150;
/// Time stands still, so that nothing ages.
const NOW: Duration = Duration::from_secs(1000);

#[test]
fn linux_forwards_drops_and_translates_the_same() {
    if !netns::is_root() {
        println!("SKIPPED: network namespaces need root");
        return;
    }
    netns::stay_on_one_processor();
    let seed = number("POSTERN_SEED");
    let packets = number("POSTERN_PACKETS").unwrap_or(3_000);
    let first = seed.unwrap_or(1);
    let rounds = if seed.is_some() {
        1
    } else {
        packets.div_ceil(PACKETS_EACH)
    };
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        Round::new(seed).run(&mut tally);
    }
    println!("{tally:?}");
    if rounds >= 10 {
        let Tally {
            forwarded,
            dropped,
            untranslated,
            chosen,
            answered,
        } = tally;
        assert!(
            [forwarded, dropped, untranslated, chosen, answered]
                .iter()
                .all(|count| *count > 50)
        );
    }
}

#[derive(Debug, Default)]
struct Tally {
    forwarded: u64,
    dropped: u64,
    untranslated: u64,
    /// Ports that PAT chose.
    chosen: u64,
    answered: u64,
}

/// One policy on both sides.
struct Round {
    seed: u64,
    random: Random,
    policy: Policy,
    model: Arc<host::policy::Model>,
    router: Router,
    // The card's client leaves before its server is waited for.
    runtime: Runtime,
    _bench: Bench,
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let policy = Policy::random(&mut random);
        let parsed = host::config::parse(&policy.asa());
        assert!(
            !parsed.has_errors(),
            "{:?}\n{}",
            parsed.diagnostics,
            policy.asa()
        );
        let model = Arc::new(lower(&parsed.config).0);
        let (image, _) = compile(&model, &Capacity::default());
        let bench = Bench::serve(Box::new(sim::Model::new(64)));
        let runtime =
            Runtime::start(bench.bring_up(), model.clone(), image).expect("a loaded card");
        let router = Router::new(&policy.nft(), &policy::inside_hosts()).expect("a router");
        Self {
            seed,
            random,
            policy,
            model,
            router,
            runtime,
            _bench: bench,
        }
    }

    fn run(mut self, tally: &mut Tally) {
        for count in 0..PACKETS_EACH {
            let trial = self.policy.trial(&mut self.random, 20_000 + count as u16);
            self.attempt(&trial, tally);
        }
    }

    /// One first packet and, if it passes, its answer.
    fn attempt(&mut self, trial: &Trial, tally: &mut Tally) {
        let frame = frame(trial);
        let first = Packet::parse(&frame).expect("ours").tuple;
        let (ours, theirs) = self.forward(trial.wire, &frame);
        let context = self.context(trial, &first);
        assert_eq!(
            ours.is_some(),
            theirs.is_some(),
            "who forwards?\nours {ours:?}\nLinux {theirs:?}\n{context}"
        );
        let decision = decide(&self.model, &first.key(trial.wire as u8));
        let may_begin = trial.proto != TCP || trial.flags == 2;
        assert_eq!(
            decision.verdict == Verdict::Permit && may_begin,
            ours.is_some(),
            "the evaluator: {decision:?}\n{context}"
        );
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            tally.dropped += 1;
            return;
        };
        tally.forwarded += 1;
        tally.untranslated += u64::from(decision.untranslate.is_some());
        let (ours_tuple, theirs_tuple) = (tuple(&ours), tuple(&theirs));
        let mut expected = theirs_tuple;
        if trial.wire == 1 && self.policy.is_dynamic(trial) {
            tally.chosen += 1;
            assert_eq!(ours_tuple.src.to_string(), SHARED, "{context}");
            assert!(
                !self.policy.owns(trial.proto, ours_tuple.sport),
                "a static rule's port\n{context}"
            );
            expected.sport = ours_tuple.sport;
        }
        assert_eq!(ours_tuple, expected, "{context}");
        if ours_tuple == theirs_tuple {
            assert_eq!(comparable(&ours), comparable(&theirs), "bytes\n{context}");
        }
        self.answer(trial, &first, [ours_tuple, theirs_tuple], &context);
        tally.answered += 1;
    }

    /// The answers to what left on each side come back as answers to the first packet.
    fn answer(&mut self, trial: &Trial, first: &Tuple, sent: [Tuple; 2], context: &str) {
        let exit = 1 - trial.wire;
        let [to_ours, to_theirs] = sent.map(|sent| {
            let reply = sent.reply().expect("a query");
            let Tuple {
                proto,
                src,
                sport,
                dst,
                dport,
            } = reply;
            frame(&Trial {
                wire: exit,
                proto,
                src: src.octets(),
                sport,
                dst: dst.octets(),
                dport,
                flags: 18,
            })
        });
        let ours = self
            .on_card(exit, &to_ours)
            .unwrap_or_else(|| panic!("our answer is lost\n{context}"));
        let theirs = self
            .on_linux(exit, &to_theirs)
            .unwrap_or_else(|| panic!("Linux' answer is lost\n{context}"));
        let expected = first.reply();
        assert_eq!(
            (Some(tuple(&ours)), Some(tuple(&theirs))),
            (expected, expected),
            "{context}"
        );
        assert_eq!(comparable(&ours), comparable(&theirs), "answers\n{context}");
    }

    fn forward(&mut self, wire: usize, frame: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        (self.on_card(wire, frame), self.on_linux(wire, frame))
    }

    fn on_card(&mut self, wire: usize, frame: &[u8]) -> Option<Vec<u8>> {
        let outcome = self
            .runtime
            .receive(NOW, wire as u8, frame)
            .expect("a card that works");
        one(
            wire,
            outcome
                .left
                .into_iter()
                .map(|left| (left.port.into(), left.frame))
                .collect(),
        )
    }

    fn on_linux(&self, wire: usize, frame: &[u8]) -> Option<Vec<u8>> {
        one(
            wire,
            self.router
                .forward(wire, frame)
                .expect("a router that works"),
        )
    }

    fn context(&self, trial: &Trial, first: &Tuple) -> String {
        let Self { seed, policy, .. } = self;
        format!(
            "POSTERN_SEED={seed}\n{trial:?}\n{first}\n{}\n{}",
            policy.asa(),
            policy.nft()
        )
    }
}

/// At most one frame leaves, on the other side.
fn one(wire: usize, mut left: Vec<(usize, Vec<u8>)>) -> Option<Vec<u8>> {
    let last = left.pop()?;
    assert!(
        left.is_empty() && last.0 == 1 - wire,
        "one frame in, {last:?} and {left:?} out"
    );
    Some(last.1)
}

fn tuple(frame: &[u8]) -> Tuple {
    Packet::parse(frame).expect("what leaves is valid").tuple
}

/// The datagram without what may differ: Linux counts the time to live down, the device does not.
/// All checksums are checked before.
fn comparable(frame: &[u8]) -> Vec<u8> {
    let headers = PacketHeaders::from_ethernet_slice(frame).expect("what leaves is valid");
    let Some(etherparse::NetHeaders::Ipv4(ip, _)) = &headers.net else {
        panic!("IPv4 went in")
    };
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    let payload = headers.payload.slice();
    let (given, right) = match headers
        .transport
        .as_ref()
        .expect("a transport header went in")
    {
        TransportHeader::Tcp(tcp) => (tcp.checksum, tcp.calc_checksum_ipv4(ip, payload)),
        TransportHeader::Udp(udp) => (udp.checksum, udp.calc_checksum_ipv4(ip, payload)),
        TransportHeader::Icmpv4(icmp) => (icmp.checksum, Ok(icmp.icmp_type.calc_checksum(payload))),
        other => panic!("{other:?} never went in"),
    };
    assert_eq!(Ok(given), right);
    let packet = Packet::parse(frame).expect("what leaves is valid");
    let mut datagram = frame[packet.ip..packet.end].to_vec();
    datagram[8] = 0;
    datagram[10..12].fill(0);
    datagram
}

fn frame(trial: &Trial) -> Vec<u8> {
    let Trial {
        wire,
        proto,
        src,
        sport,
        dst,
        dport,
        flags,
    } = *trial;
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 2, 0], ROUTER_MAC[wire]).ipv4(src, dst, 64);
    let mut frame = Vec::new();
    let payload = b"federation";
    match proto {
        TCP => {
            let mut builder = builder.tcp(sport, dport, 1000, 8192);
            for bit in [1, 2, 4, 16].into_iter().filter(|bit| flags & bit != 0) {
                builder = match bit {
                    1 => builder.fin(),
                    2 => builder.syn(),
                    4 => builder.rst(),
                    _ => builder.ack(1001),
                };
            }
            // A SYN carries nothing, or connection tracking would expect it to be acknowledged.
            builder.write(&mut frame, if flags & 2 != 0 { b"" } else { payload })
        }
        UDP => builder.udp(sport, dport).write(&mut frame, payload),
        ICMP if dport == 0 => builder
            .icmpv4_echo_reply(sport, 1)
            .write(&mut frame, payload),
        _ => builder
            .icmpv4_echo_request(sport, 1)
            .write(&mut frame, payload),
    }
    .expect("a vector takes everything");
    frame
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}
