//! The bridge between hard block and endpoint, with clocks of any order of edges: nothing is lost, reordered or doubled
//! while there is a link, nothing half is left when it goes, and the printed Verilog does what the native simulation does.

mod support;

use std::collections::VecDeque;

use hdl::pcie::bridge::Bridge;
use rust_hdl_core::prelude::*;
use support::domains::Domains;
use support::random::Random;

const LINK: usize = 0;
const CARD: usize = 1;

/// Beats that follow what the link broke off.
const ENDING: usize = 1024;

/// A beat of a TLP: data, `keep`, last, BAR, poisoned.
type Beat = (u64, u64, bool, u64, bool);

/// The hard block on one side, the endpoint on the other, who check what crosses.
struct Bench {
    run: Domains<Bridge>,
    random: Random,
    /// What either side still has to send, the beat it offers first.
    waiting: [VecDeque<Beat>; 2],
    offers: [bool; 2],
    /// Chances in percent that a side offers a beat, and that it takes one.
    offer: [u64; 2],
    take: [u64; 2],
    /// What is under way from a side, and what the other received of it.
    held: [VecDeque<Beat>; 2],
    received: [Vec<Beat>; 2],
    /// Held against what was sent, not only kept.
    checks: bool,
    deepest: [usize; 2],
}

impl Bench {
    fn new(seed: u64) -> Self {
        let run = Domains::new(
            Bridge::default(),
            &["link_clock", "clock"],
            |uut, clock, high| match clock {
                LINK => uut.link_clock.next = high.into(),
                _ => uut.clock.next = high.into(),
            },
        );
        let mut bench = Self {
            run,
            random: Random(seed),
            waiting: Default::default(),
            offers: [false; 2],
            offer: [0; 2],
            take: [0; 2],
            held: Default::default(),
            received: Default::default(),
            checks: true,
            deepest: [0; 2],
        };
        bench.run.uut.link_reset.next = true;
        bench.in_step(6);
        bench.run.uut.link_reset.next = false;
        bench.in_step(6);
        bench
    }

    /// Queues TLPs of random lengths on a side.
    fn queue(&mut self, side: usize, tlps: usize) {
        for _ in 0..tlps {
            let beats = 2 + self.random.below(9);
            let hit = self.random.chance(70);
            let poisoned = self.random.chance(10);
            for at in 0..beats {
                let last = at + 1 == beats;
                let half = last && self.random.chance(50);
                let keep = if half { 0x0f } else { 0xff };
                // The hard block tells of BAR and poison for the link alone.
                let beside = (u64::from(side == LINK && hit), side == LINK && poisoned);
                self.waiting[side].push_back((self.random.bits(), keep, last, beside.0, beside.1));
            }
        }
    }

    /// What a side sees of the other's stream: the beat offered, if any.
    fn seen(&self, side: usize) -> Option<Beat> {
        let uut = &self.run.uut;
        let number = |bits: Bits<64>| -> u64 { bits.into() };
        let byte = |bits: Bits<8>| -> u64 { bits.into() };
        match side {
            LINK if uut.link_tx_valid.val() => Some((
                number(uut.link_tx_data.val()),
                byte(uut.link_tx_keep.val()),
                uut.link_tx_last.val(),
                0,
                false,
            )),
            CARD if uut.rx_valid.val() => Some((
                number(uut.rx_data.val()),
                byte(uut.rx_keep.val()),
                uut.rx_last.val(),
                uut.rx_bar.val().index() as u64,
                uut.rx_poisoned.val(),
            )),
            _ => None,
        }
    }

    fn edge(&mut self, clock: usize) {
        self.run.settle();
        if self.run.is_low(clock) {
            let uut = &self.run.uut;
            let (taken, takes) = match clock {
                LINK => (uut.link_rx_ready.val(), uut.link_tx_ready.val()),
                _ => (uut.tx_ready.val(), uut.rx_ready.val()),
            };
            if self.offers[clock] && taken {
                let beat = self.waiting[clock].pop_front().expect("a beat was offered");
                self.held[clock].push_back(beat);
                self.offers[clock] = false;
                self.deepest[clock] = self.deepest[clock].max(self.held[clock].len());
            }
            if let Some(beat) = self.seen(clock) {
                if self.checks {
                    let oldest = self.held[1 - clock].front();
                    assert_eq!(Some(&beat), oldest, "side {clock}");
                }
                if takes {
                    self.held[1 - clock].pop_front();
                    self.received[clock].push(beat);
                }
            }
        }
        self.run.edge(clock);
        // Inputs change behind the edge of their own clock, as registers do, and an offer stays until it is taken.
        if !self.run.is_low(clock) {
            let offer = self.random.chance(self.offer[clock]);
            let take = self.random.chance(self.take[clock]);
            self.offers[clock] |= offer && !self.waiting[clock].is_empty();
            let beat = self.waiting[clock].front().copied().unwrap_or_default();
            let (data, keep, last, bar, poisoned) = beat;
            let uut = &mut self.run.uut;
            match clock {
                LINK => {
                    uut.link_rx_valid.next = self.offers[LINK];
                    uut.link_rx_data.next = data.to_bits();
                    uut.link_rx_keep.next = keep.to_bits();
                    uut.link_rx_last.next = last;
                    // The second bit is that of a BAR which the card does not have.
                    uut.link_rx_bar.next = (bar | 2).to_bits();
                    uut.link_rx_poisoned.next = poisoned;
                    uut.link_tx_ready.next = take;
                }
                _ => {
                    uut.tx_valid.next = self.offers[CARD];
                    uut.tx_data.next = data.to_bits();
                    uut.tx_keep.next = keep.to_bits();
                    uut.tx_last.next = last;
                    uut.rx_ready.next = take;
                }
            }
        }
    }

    /// Edges in random order, those of the link with this chance in percent.
    fn any_order(&mut self, edges: usize, link: u64) {
        for _ in 0..edges {
            let clock = if self.random.chance(link) { LINK } else { CARD };
            self.edge(clock);
        }
    }

    /// Clocks of the card, two of the link in each.
    fn in_step(&mut self, clocks: usize) {
        for _ in 0..clocks {
            for clock in [LINK, CARD, LINK, LINK, CARD, LINK] {
                self.edge(clock);
            }
        }
    }

    fn flow(&mut self, percent: u64) {
        (self.offer, self.take) = ([percent; 2], [percent; 2]);
    }
}

#[test]
fn tlps_cross_in_order_both_ways_whatever_the_clocks() {
    let mut bench = Bench::new(31);
    // Chances that both offer and take, and of an edge of the link.
    let phases = [
        ([100, 100], [100, 100], 67),
        ([100, 100], [30, 30], 67),
        ([30, 30], [100, 100], 67),
        ([100, 100], [0, 0], 50),
        ([0, 0], [100, 100], 50),
        ([100, 20], [20, 100], 85),
        ([20, 100], [100, 20], 15),
    ];
    for (offer, take, link) in phases {
        for side in [LINK, CARD] {
            bench.queue(side, 30);
        }
        (bench.offer, bench.take) = (offer, take);
        bench.any_order(400, link);
    }
    assert_eq!(bench.deepest, [17, 17], "back-pressure fills both FIFOs");
    let received = bench.received.each_ref().map(Vec::len);
    assert!(received.iter().all(|beats| *beats > 150), "{received:?}");
    bench
        .run
        .compare("pcie-bridge")
        .expect("native and Verilated agree");
}

#[test]
fn a_beat_a_clock_of_the_card_crosses_both_ways() {
    let mut bench = Bench::new(32);
    bench.queue(LINK, 60);
    bench.queue(CARD, 60);
    bench.flow(100);
    bench.in_step(20);
    let before = [bench.received[LINK].len(), bench.received[CARD].len()];
    bench.in_step(100);
    for side in [LINK, CARD] {
        assert_eq!(bench.received[side].len() - before[side], 100);
    }
}

/// Beats up to and with the first that is a last one.
fn up_to_last(beats: &[Beat]) -> usize {
    1 + beats
        .iter()
        .position(|beat| beat.2)
        .expect("a TLP ends here")
}

#[test]
fn a_lost_link_leaves_nothing_half() {
    for seed in 33..37 {
        let mut bench = Bench::new(seed);
        bench.flow(80);
        bench.queue(LINK, 12);
        bench.queue(CARD, 12);
        // Until the endpoint is within a TLP of the link's, and stays so with what it is offered; and the card within its own.
        loop {
            bench.any_order(1, 60);
            let within = |beats: &[Beat]| beats.last().is_some_and(|beat| !beat.2);
            let sending = bench.held[CARD].back().is_some_and(|beat| !beat.2);
            let offered = bench.seen(CARD).is_none_or(|beat| !beat.2);
            if bench.received[CARD].len() > 12
                && within(&bench.received[CARD])
                && offered
                && sending
            {
                break;
            }
        }
        // The link goes. The hard block offers nothing; the card does not know and goes on.
        bench.run.uut.link_reset.next = true;
        bench.run.uut.link_rx_valid.next = false;
        bench.waiting[LINK].clear();
        (bench.offers[LINK], bench.checks) = (false, false);
        bench.take = [0, 100];
        let begun = bench.received[CARD].len();
        bench.in_step(3);
        assert!(bench.run.uut.pcie_function_reset.val() && !bench.run.uut.pcie_bus_master.val());
        bench.queue(CARD, 20);
        bench.in_step(ENDING + 300);
        assert!(bench.waiting[CARD].is_empty(), "the card is not held up");
        let ending = &bench.received[CARD][begun..];
        assert!(ending.len() >= ENDING, "{} beats", ending.len());
        assert!(
            ending[ending.len() - ENDING..]
                .iter()
                .all(|beat| beat.1 == 0xff)
        );
        assert_eq!(
            up_to_last(ending),
            ending.len(),
            "one end, and nothing behind"
        );

        // It comes back while the card is within a TLP, of which nothing may arrive.
        bench.queue(CARD, 1);
        bench.offer = [0, 100];
        let torn = bench.waiting[CARD].len();
        while bench.waiting[CARD].len() == torn {
            bench.edge(CARD);
        }
        assert!(torn > 1);
        bench.run.uut.link_reset.next = false;
        (bench.offer, bench.take) = ([100; 2], [100; 2]);
        bench.received = Default::default();
        bench.in_step(20);
        assert!(!bench.run.uut.pcie_function_reset.val());
        assert_eq!(bench.received, [Vec::new(), Vec::new()]);
        for side in [LINK, CARD] {
            bench.held[side].clear();
            bench.queue(side, 8);
        }
        bench.checks = true;
        bench.in_step(100);
        let waits = |side: usize| bench.waiting[side].len() + bench.held[side].len();
        assert_eq!([waits(LINK), waits(CARD)], [0, 0]);
        bench
            .run
            .compare(&format!("pcie-bridge-reset-{seed}"))
            .expect("native and Verilated agree");
    }
}

#[test]
fn a_link_clock_that_stands_still_holds_up_nobody() {
    let mut bench = Bench::new(38);
    bench.flow(100);
    bench.queue(CARD, 40);
    bench.any_order(60, 50);
    bench.run.uut.link_reset.next = true;
    (bench.offers[LINK], bench.checks) = (false, false);
    for _ in 0..1000 {
        bench.edge(CARD);
    }
    assert!(bench.waiting[CARD].is_empty());
    assert!(bench.run.uut.pcie_function_reset.val());
    bench
        .run
        .compare("pcie-bridge-still")
        .expect("native and Verilated agree");
}

#[test]
fn the_configuration_is_told_and_a_function_reset_of_one_clock_is_not_missed() {
    let mut bench = Bench::new(39);
    for round in 0..12 {
        let bits = bench.random.bits();
        let flags: Vec<bool> = (0..4).map(|flag| bits >> (40 + flag) & 1 == 1).collect();
        let uut = &mut bench.run.uut;
        uut.link_completer_id.next = (bits & 0xffff).to_bits();
        uut.link_max_payload.next = (bits >> 16 & 7).to_bits();
        uut.link_max_read_request.next = (bits >> 20 & 7).to_bits();
        uut.link_bus_master.next = flags[0];
        uut.link_read_completion_boundary.next = flags[1];
        uut.link_msix_enable.next = flags[2];
        uut.link_msix_mask.next = flags[3];
        bench.in_step(2);
        bench.run.settle();
        let uut = &bench.run.uut;
        assert_eq!(uut.pcie_completer_id.val(), (bits & 0xffff).to_bits());
        assert_eq!(uut.pcie_max_payload.val(), (bits >> 16 & 7).to_bits());
        assert_eq!(uut.pcie_max_read_request.val(), (bits >> 20 & 7).to_bits());
        let told = [
            uut.pcie_bus_master.val(),
            uut.pcie_read_completion_boundary.val(),
            uut.pcie_msix_enable.val(),
            uut.pcie_msix_mask.val(),
        ];
        assert_eq!(told[..], flags[..]);
        assert!(!uut.pcie_function_reset.val());

        // One clock of the link, at any place in the card's.
        for _ in 0..round % 4 {
            bench.edge(LINK);
        }
        if !bench.run.is_low(LINK) {
            bench.edge(LINK);
        }
        bench.run.uut.link_function_reset.next = true;
        bench.edge(LINK);
        bench.edge(LINK);
        bench.run.uut.link_function_reset.next = false;
        let mut clocks = 0;
        for _ in 0..12 {
            for clock in [LINK, LINK, CARD, LINK, LINK, CARD] {
                bench.run.settle();
                let rises = clock == CARD && bench.run.is_low(CARD);
                clocks += usize::from(rises && bench.run.uut.pcie_function_reset.val());
                bench.edge(clock);
            }
        }
        assert!((2..=4).contains(&clocks), "{clocks} clocks");
    }
    bench
        .run
        .compare("pcie-bridge-configuration")
        .expect("native and Verilated agree");
}
