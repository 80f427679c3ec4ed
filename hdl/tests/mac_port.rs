//! One Ethernet port at its pins, edge by edge: lock-step of the whole, how long a frame takes, and resets.

mod support;

use hdl::mac::Mac;
use rust_hdl_core::prelude::*;
use support::domains::Domains;
use support::frame::{
    Beat, Received, Stream, Symbol, Wire, any_frame, beats, checked, on_wire, symbols,
};
use support::random::Random;

const CARD: usize = 0;
const PHY: usize = 1;

/// Both clocks have one frequency; the order of their edges in a period is a parameter.
struct Port {
    run: Domains<Mac>,
    card_first: bool,
    /// Periods.
    now: usize,
    stream: Stream,
    wire: Wire,
    nibbles: (u64, bool),
    /// When the first beat was to be seen.
    first_out: Option<usize>,
    counts: [usize; 9],
}

impl Port {
    fn new(card_first: bool) -> Self {
        let run = Domains::new(
            Mac::default(),
            &["clock", "rgmii_rx_clock"],
            |uut, clock, high| match clock {
                CARD => uut.clock.next = high.into(),
                _ => uut.rgmii_rx_clock.next = high.into(),
            },
        );
        let mut port = Self {
            run,
            card_first,
            now: 0,
            stream: Stream::default(),
            wire: Wire::default(),
            nibbles: (0, false),
            first_out: None,
            counts: [0; 9],
        };
        port.reset();
        port
    }

    fn reset(&mut self) {
        self.run.uut.reset.next = true;
        self.quiet(8);
        self.run.uut.reset.next = false;
        self.quiet(8);
    }

    fn quiet(&mut self, periods: usize) {
        for _ in 0..periods {
            self.period((0, false, false), None);
        }
    }

    /// One period of both clocks; whether the beat was taken.
    fn period(&mut self, symbol: Symbol, beat: Option<Beat>) -> bool {
        let mut taken = false;
        let order = if self.card_first {
            [CARD, PHY]
        } else {
            [PHY, CARD]
        };
        for half in [true, false] {
            for clock in order {
                match clock {
                    CARD => taken |= self.card_edge(half, beat),
                    _ => self.phy_edge(half, symbol),
                }
            }
        }
        self.now += 1;
        taken
    }

    fn phy_edge(&mut self, rises: bool, (byte, there, wrong): Symbol) {
        let (nibble, control) = match rises {
            true => (byte & 15, there),
            false => (byte >> 4, there ^ wrong),
        };
        self.run.uut.rgmii_rxd.next = u64::from(nibble).to_bits();
        self.run.uut.rgmii_rx_ctl.next = control;
        self.run.edge(PHY);
    }

    fn card_edge(&mut self, rises: bool, beat: Option<Beat>) -> bool {
        let uut = &mut self.run.uut;
        let (data, keep, last) = beat.unwrap_or_default();
        uut.tx_valid.next = beat.is_some();
        uut.tx_data.next = data.to_bits();
        uut.tx_keep.next = u64::from(keep).to_bits();
        uut.tx_last.next = last;
        uut.rx_ready.next = true;
        self.run.settle();
        let uut = &self.run.uut;
        let taken = rises && beat.is_some() && uut.tx_ready.val();
        if rises && uut.rx_valid.val() {
            let keep: u64 = uut.rx_keep.val().into();
            let data = uut.rx_data.val().into();
            self.stream.push((data, keep as u8, uut.rx_last.val()));
        }
        if rises {
            let strobes = [
                uut.rx_good.val(),
                uut.rx_bad.val(),
                uut.rx_runt.val(),
                uut.rx_oversize.val(),
                uut.rx_pause.val(),
                uut.rx_overrun.val(),
                uut.tx_sent.val(),
                uut.tx_poisoned.val(),
                uut.tx_underrun.val(),
            ];
            for (count, strobe) in self.counts.iter_mut().zip(strobes) {
                *count += usize::from(strobe);
            }
        }
        self.run.edge(CARD);
        let uut = &self.run.uut;
        if rises && uut.rx_valid.val() {
            self.first_out.get_or_insert(self.now);
        }
        // At the pins: low nibble behind the rising edge, high nibble behind the falling one.
        let nibble: u64 = uut.rgmii_txd.val().into();
        match rises {
            true => self.nibbles = (nibble, uut.rgmii_tx_ctl.val()),
            false => {
                let (low, there) = self.nibbles;
                assert_eq!(uut.rgmii_tx_ctl.val(), there, "no error is sent");
                self.wire.push(((nibble << 4 | low) as u8, there, false));
            }
        }
        taken
    }
}

#[test]
fn the_first_beat_is_out_after_eighteen_clocks() {
    // The card's edge just behind the PHY's, and just before it.
    for (card_first, clocks) in [(false, 17), (true, 18)] {
        let mut port = Port::new(card_first);
        let frame = any_frame(&mut Random(51), 64);
        let heard = symbols(&checked(&frame), 40);
        let mut at_pins = 0;
        for (index, &symbol) in heard.iter().enumerate() {
            if index == 8 {
                at_pins = port.now;
            }
            port.period(symbol, None);
        }
        assert_eq!(port.stream.frames, [Received::Whole(frame)]);
        assert_eq!(port.first_out.expect("a beat") - at_pins, clocks);
    }
}

#[test]
fn the_first_byte_is_at_the_pins_after_fourteen_clocks() {
    let mut port = Port::new(false);
    let frame = any_frame(&mut Random(52), 64);
    let taken = port.now;
    let to_send = beats(&frame).into_iter().map(Some);
    let mut bytes = 0;
    let mut first = None;
    // Preamble is eight bytes; the ninth is the frame's first.
    for beat in to_send.chain([None; 120]) {
        let accepted = port.period((0, false, false), beat);
        assert_eq!(accepted, beat.is_some());
        bytes += usize::from(port.nibbles.1);
        if bytes == 9 {
            first.get_or_insert(port.now - 1);
        }
    }
    assert_eq!(port.wire.frames, [on_wire(&frame)]);
    assert_eq!(first.expect("a byte") - taken, 14);
}

#[test]
fn a_port_does_in_verilog_what_it_does_natively() {
    let mut port = Port::new(true);
    let mut random = Random(53);
    let (mut whole, mut sent) = (Vec::new(), Vec::new());
    for round in 0..4 {
        let length = 60 + random.below(20) as usize;
        let frame = any_frame(&mut random, length);
        let mut heard = symbols(&checked(&frame), 30);
        let mut to_send = beats(&frame).into_iter().peekable();
        match round {
            2 => heard[30].2 = true,
            _ => whole.push(Received::Whole(frame.clone())),
        }
        for symbol in heard {
            let beat = to_send.peek().copied();
            if port.period(symbol, beat) {
                to_send.next();
            }
        }
        sent.push(on_wire(&frame));
    }
    port.quiet(60);
    let received = port.stream.frames.iter();
    let handed_on: Vec<_> = received
        .filter(|received| matches!(received, Received::Whole(_)))
        .cloned()
        .collect();
    assert_eq!(handed_on, whole);
    assert_eq!(port.wire.frames, sent);
    assert_eq!(port.counts, [3, 1, 0, 0, 0, 0, 4, 0, 0]);
    port.run
        .compare("mac-port")
        .expect("native and Verilated agree");
}

#[test]
fn a_reset_forgets_the_frame_at_hand_even_while_the_phy_clock_stands() {
    let mut port = Port::new(false);
    let frame = any_frame(&mut Random(54), 64);
    let heard = symbols(&checked(&frame), 40);
    for &symbol in &heard[..40] {
        port.period(symbol, None);
    }
    // The PHY's clock stops in mid-frame; the reset comes and goes.
    port.run.uut.reset.next = true;
    for clock in 0..40 {
        port.run.uut.reset.next = clock < 16;
        port.run.edge(CARD);
        assert!(clock < 2 || !port.run.uut.rx_valid.val(), "{clock}");
    }
    port.stream = Stream::default();
    // It runs again, the carrier is still there: the rest of the frame is passed over.
    for &symbol in heard[40..].iter().chain(&heard) {
        port.period(symbol, None);
    }
    assert_eq!(port.stream.frames, [Received::Whole(frame)]);
    assert_eq!(port.counts[0], 1);
    port.run
        .compare("mac-port-reset")
        .expect("native and Verilated agree");
}
