//! Bytes from a serial line, 8N1, least significant bit first.
//!
//! In goes the pin, out come bytes. The pin passes two flip-flops of a synchroniser and a vote of three clocks, which
//! swallows a spike of one clock. A start bit must still be there in its middle, half a bit after it began; each bit is
//! taken in its middle. A byte without stop bit (a break, noise, another baud rate) is not given out but said to be
//! `broken`, and the next start bit is looked for when the line has been high again.
//!
//! Latency: a byte comes out in the middle of its stop bit, 9.5 bits and 5 clocks after its first edge. Throughput: a
//! byte every ten bits; a sender may be off by 4 % of a bit's length. Cost: 66 LUTs, 8 carry cells, 35
//! flip-flops (`synth_ecp5`).

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Step: the line has not been high since a byte was broken.
const STUCK: u64 = 0;
/// Step: a start bit may come. The next ones are the start bit itself and the eight bits.
const QUIET: u64 = 1;
/// Step: the stop bit.
const STOP: u64 = 11;

/// The receiver; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Receive {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The pin, of any phase; high when at rest.
    pub line: Signal<In, Bit>,
    /// The byte, with `valid`.
    pub data: Signal<Out, Bits<8>>,
    /// A byte came, high for one clock.
    pub valid: Signal<Out, Bit>,
    /// A byte came without stop bit, high for one clock.
    pub broken: Signal<Out, Bit>,
    first: DFF<Bit>,
    second: DFF<Bit>,
    third: DFF<Bit>,
    fourth: DFF<Bit>,
    level: DFF<Bit>,
    step: DFF<Bits<4>>,
    /// Clocks until the line is looked at.
    countdown: DFF<Bits<16>>,
    bits_seen: DFF<Bits<8>>,
    came: DFF<Bit>,
    failed: DFF<Bit>,
    now: Signal<Local, Bit>,
    top: Signal<Local, Bits<8>>,
    none: Constant<Bits<8>>,
    one_bit: Constant<Bits<8>>,
    done: Constant<Bits<16>>,
    one: Constant<Bits<16>>,
    whole: Constant<Bits<16>>,
    half: Constant<Bits<16>>,
    next_step: Constant<Bits<4>>,
    stuck: Constant<Bits<4>>,
    quiet: Constant<Bits<4>>,
    start: Constant<Bits<4>>,
    stop: Constant<Bits<4>>,
}

impl Receive {
    /// A receiver of bits that last this many clocks.
    ///
    /// # Panics
    /// When a bit has fewer than eight clocks, which the vote takes a part of, or more than the counter holds.
    pub fn new(clocks_per_bit: u32) -> Self {
        assert!((8..1 << 16).contains(&clocks_per_bit), "8 to 65535 clocks");
        let clocks = u64::from(clocks_per_bit);
        Self {
            clock: Signal::default(),
            line: Signal::default(),
            data: Signal::default(),
            valid: Signal::default(),
            broken: Signal::default(),
            first: DFF::default(),
            second: DFF::default(),
            third: DFF::default(),
            fourth: DFF::default(),
            level: DFF::default(),
            step: DFF::default(),
            countdown: DFF::default(),
            bits_seen: DFF::default(),
            came: DFF::default(),
            failed: DFF::default(),
            now: Signal::default(),
            top: Signal::default(),
            none: Constant::new(0.into()),
            one_bit: Constant::new(0x80_u64.to_bits()),
            done: Constant::new(0.into()),
            one: Constant::new(1.into()),
            whole: Constant::new((clocks - 1).to_bits()),
            // The start bit was noticed one clock after it passed the vote.
            half: Constant::new((clocks / 2 - 1).to_bits()),
            next_step: Constant::new(1.into()),
            stuck: Constant::new(STUCK.to_bits()),
            quiet: Constant::new(QUIET.to_bits()),
            start: Constant::new((QUIET + 1).to_bits()),
            stop: Constant::new(STOP.to_bits()),
        }
    }
}

impl Logic for Receive {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, first, second, third, fourth, level, step, countdown, bits_seen, came,
            failed
        );
        self.first.d.next = self.line.val();
        self.second.d.next = self.first.q.val();
        self.third.d.next = self.second.q.val();
        self.fourth.d.next = self.third.q.val();
        self.level.d.next = (self.second.q.val() & self.third.q.val())
            | (self.third.q.val() & self.fourth.q.val())
            | (self.second.q.val() & self.fourth.q.val());

        self.now.next = self.countdown.q.val() == self.done.val();
        if !self.now.val() {
            self.countdown.d.next = self.countdown.q.val() - self.one.val();
        }
        self.top.next = self.none.val();
        if self.level.q.val() {
            self.top.next = self.one_bit.val();
        }
        self.came.d.next = false;
        self.failed.d.next = false;
        if self.step.q.val() == self.stuck.val() {
            if self.level.q.val() {
                self.step.d.next = self.quiet.val();
            }
        } else if self.step.q.val() == self.quiet.val() {
            if !self.level.q.val() {
                self.step.d.next = self.start.val();
                self.countdown.d.next = self.half.val();
            }
        } else if self.now.val() {
            self.countdown.d.next = self.whole.val();
            self.step.d.next = self.step.q.val() + self.next_step.val();
            if self.step.q.val() == self.start.val() {
                // A spike, and no start bit.
                if self.level.q.val() {
                    self.step.d.next = self.quiet.val();
                }
            } else if self.step.q.val() == self.stop.val() {
                self.came.d.next = self.level.q.val();
                self.failed.d.next = !self.level.q.val();
                self.step.d.next = self.stuck.val();
            } else {
                self.bits_seen.d.next = (self.bits_seen.q.val() >> 1) | self.top.val();
            }
        }
        self.data.next = self.bits_seen.q.val();
        self.valid.next = self.came.q.val();
        self.broken.next = self.failed.q.val();
    }
}
