//! One connection: its two legs, what was seen of it, its TCP state.
//!
//! TCP, UDP and ICMP queries, and any other protocol by its addresses. The state follows from what was
//! counted and from the FIN and RST bits, because that is all the card tells of packets that it forwards
//! by itself; packets on the host path are counted in the same way.

use std::net::Ipv4Addr;

use layout::table::FlowStats;

use super::leg::{Direction, Leg};
use super::limits::{CLOSING_TIMEOUT, EMBRYONIC_TIMEOUT, EPOCH};
use super::{Handle, Time};
use crate::config::ast::timeout::Timer;
use crate::policy::Model;
use crate::policy::model::{AceId, ClassId, NatId};
use crate::wire::packet::{ICMP, TCP, tcp_flags};

/// What was seen of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets.
    pub packets: u64,
    /// Frame bytes.
    pub bytes: u64,
    /// A FIN passed.
    pub fin: bool,
    /// A RST passed.
    pub rst: bool,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// TCP before its handshake is complete.
    Embryonic,
    /// TCP with both directions open.
    Established,
    /// One side sent its FIN.
    HalfClosed,
    /// Both sides sent their FIN.
    Closing,
    /// One side sent a RST.
    Closed,
    /// Not TCP: lives by its idle time.
    Pseudo,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Teardown {
    /// The handshake was not completed in time, or gave way to a newer one.
    SynTimeout,
    /// Idle for too long.
    IdleTimeout,
    /// Both sides closed.
    Fins,
    /// A side reset it.
    Reset(Direction),
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conn {
    /// Number in the log.
    pub number: u64,
    /// What its initiator sends.
    pub forward: Leg,
    /// What comes back; nothing answers an ICMP message that is no query.
    pub reverse: Option<Leg>,
    /// The host forwards every packet: the card's entries say punt, or the card has none.
    pub on_host: bool,
    /// It ends here: a proxy answers both ends.
    pub terminated: bool,
    /// Begun from the interface with the lower security level.
    pub inbound: bool,
    /// Its dynamic translation.
    pub xlate: Option<Handle>,
    /// The access-control element that permitted it.
    pub ace: Option<AceId>,
    /// The NAT rule that translates it.
    pub nat: Option<NatId>,
    /// The class that inspects it.
    pub inspect: Option<ClassId>,
    /// Idle timeout of its class.
    pub idle: Option<Time>,
    /// When it began.
    pub opened: Time,
    /// When its last packet passed, as far as known.
    pub last: Time,
    /// Forward and reverse, host path and card together.
    pub seen: [Seen; 2],
    /// The card's counters at the last look: packets and bytes of each direction.
    pub(super) counted: [(u32, u64); 2],
    /// When it is looked at next.
    pub(super) due: Option<Time>,
    /// Time between the last two looks.
    pub(super) look: Time,
}

impl Conn {
    /// A connection that begins now with the packet that comes in on `forward`.
    pub fn new(now: Time, forward: Leg, reverse: Option<Leg>) -> Self {
        Self {
            number: 0,
            forward,
            reverse,
            on_host: false,
            terminated: false,
            inbound: false,
            xlate: None,
            ace: None,
            nat: None,
            inspect: None,
            idle: None,
            opened: now,
            last: now,
            seen: [Seen::default(); 2],
            counted: [(0, 0); 2],
            due: None,
            look: Time::ZERO,
        }
    }

    /// The leg of a direction.
    pub fn leg(&self, direction: Direction) -> Option<&Leg> {
        match direction {
            Direction::Forward => Some(&self.forward),
            Direction::Reverse => self.reverse.as_ref(),
        }
    }

    /// IP protocol.
    pub fn proto(&self) -> u8 {
        self.forward.seen.proto
    }

    /// Real address and port of initiator and responder.
    pub fn real(&self) -> [(Ipv4Addr, u16); 2] {
        let Leg { seen, sent, .. } = self.forward;
        [(seen.src, seen.sport), (sent.dst, sent.dport)]
    }

    /// Mapped address and port of initiator and responder.
    pub fn mapped(&self) -> [(Ipv4Addr, u16); 2] {
        let Leg { seen, sent, .. } = self.forward;
        [(sent.src, sent.sport), (seen.dst, seen.dport)]
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        let [forward, reverse] = self.seen;
        if self.proto() != TCP {
            State::Pseudo
        } else if forward.rst || reverse.rst {
            State::Closed
        } else if forward.fin && reverse.fin {
            State::Closing
        } else if forward.fin || reverse.fin {
            State::HalfClosed
        } else if forward.packets > 1 && reverse.packets > 0 {
            State::Established
        } else {
            State::Embryonic
        }
    }

    /// How long it may be idle; `None` is for ever.
    pub fn timeout(&self, model: &Model) -> Option<Time> {
        let timer = |timer| match model.timeout_s(timer) {
            0 => None,
            seconds => Some(Time::from_secs(seconds.into())),
        };
        let idle = |default| match self.idle {
            Some(Time::ZERO) => None,
            Some(idle) => Some(idle),
            None => timer(default),
        };
        match self.state() {
            State::Embryonic => Some(EMBRYONIC_TIMEOUT),
            State::Established => idle(Timer::Conn),
            State::HalfClosed => timer(Timer::HalfClosed),
            State::Closing => Some(CLOSING_TIMEOUT),
            State::Closed => Some(Time::ZERO),
            State::Pseudo if self.proto() == ICMP => idle(Timer::Icmp),
            State::Pseudo => idle(Timer::Udp),
        }
    }

    /// Why it ends now, if it does.
    pub fn ended(&self, now: Time, model: &Model) -> Option<Teardown> {
        if now < self.last.saturating_add(self.timeout(model)?) {
            return None;
        }
        Some(match self.state() {
            State::Embryonic => Teardown::SynTimeout,
            State::Closing => Teardown::Fins,
            State::Closed if self.seen[0].rst => Teardown::Reset(Direction::Forward),
            State::Closed => Teardown::Reset(Direction::Reverse),
            State::Established | State::HalfClosed | State::Pseudo => Teardown::IdleTimeout,
        })
    }

    /// A packet passed on the host path.
    pub fn observe(&mut self, now: Time, direction: Direction, bytes: usize, flags: u8) {
        let seen = &mut self.seen[direction as usize];
        seen.packets += 1;
        seen.bytes += bytes as u64;
        seen.fin |= flags & tcp_flags::FIN != 0;
        seen.rst |= flags & tcp_flags::RST != 0;
        self.last = self.last.max(now);
    }

    /// Begins with what the card counted while nobody looked; `idle` is how long ago its last packet was.
    pub fn observe_inherited(
        &mut self,
        now: Time,
        direction: Direction,
        stats: &FlowStats,
        idle: Time,
    ) {
        self.counted[direction as usize] = (stats.packets, stats.bytes);
        self.seen[direction as usize] = Seen {
            packets: stats.packets.into(),
            bytes: stats.bytes,
            fin: stats.fin,
            rst: stats.rst,
        };
        self.last = self.last.max(now.saturating_sub(idle));
    }

    /// The card's counters of a direction; returns whether packets passed since the last look.
    pub fn observe_card(&mut self, now: Time, direction: Direction, stats: &FlowStats) -> bool {
        let (packets, bytes) = &mut self.counted[direction as usize];
        let more_packets = advance((*packets).into(), stats.packets.into(), 28);
        let more_bytes = advance(*bytes, stats.bytes, 34);
        (*packets, *bytes) = (stats.packets, stats.bytes);
        let seen = &mut self.seen[direction as usize];
        seen.packets += more_packets;
        seen.bytes += more_bytes;
        seen.fin |= stats.fin;
        seen.rst |= stats.rst;
        if more_packets > 0 {
            self.last = self.last.max(stamped(now, stats.stamp));
        }
        more_packets > 0
    }
}

/// The value of `EPOCH` at a time.
pub fn epoch(now: Time) -> u8 {
    (now.as_millis() / EPOCH.as_millis()) as u8
}

/// The latest time at which a packet with this stamp can have passed.
fn stamped(now: Time, stamp: u8) -> Time {
    let age = u64::from(epoch(now).wrapping_sub(stamp));
    let epochs = (now.as_millis() / EPOCH.as_millis()) as u64;
    let end = EPOCH.saturating_mul(
        (epochs.saturating_sub(age) + 1)
            .try_into()
            .unwrap_or(u32::MAX),
    );
    end.min(now)
}

/// How far a counter of so many bits went on. It may have begun again at zero, when the card's entry
/// was moved: a step of more than half its range is that.
fn advance(old: u64, new: u64, bits: u32) -> u64 {
    let step = new.wrapping_sub(old) & ((1 << bits) - 1);
    if step >> (bits - 1) == 0 { step } else { new }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Tuple;
    use crate::wire::packet::UDP;
    use proptest::prelude::*;

    fn tuple(proto: u8, src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple {
        Tuple {
            proto,
            src: src.into(),
            sport,
            dst: dst.into(),
            dport,
        }
    }

    fn leg(seen: Tuple, sent: Tuple) -> Leg {
        Leg {
            ingress: 1,
            seen,
            egress: 0,
            sent,
            adjacency: 3,
        }
    }

    fn conn(proto: u8) -> Conn {
        let seen = tuple(proto, [10, 0, 0, 2], 40000, [192, 0, 2, 254], 5061);
        let sent = Tuple {
            src: [192, 0, 2, 1].into(),
            ..seen
        };
        Conn::new(Time::from_secs(100), leg(seen, sent), None)
    }

    fn stats(packets: u32, stamp: u8, fin: bool, rst: bool) -> FlowStats {
        FlowStats {
            packets,
            bytes: u64::from(packets) * 60,
            stamp,
            fin,
            rst,
        }
    }

    #[test]
    fn tcp_goes_through_its_states() {
        let (mut conn, now) = (conn(TCP), Time::from_secs(100));
        conn.observe_card(now, Direction::Forward, &stats(1, 100, false, false));
        assert_eq!(conn.state(), State::Embryonic);
        conn.observe_card(now, Direction::Reverse, &stats(1, 100, false, false));
        assert_eq!(conn.state(), State::Embryonic);
        conn.observe_card(now, Direction::Forward, &stats(2, 100, false, false));
        assert_eq!(conn.state(), State::Established);
        conn.observe_card(now, Direction::Reverse, &stats(3, 101, true, false));
        assert_eq!(conn.state(), State::HalfClosed);
        conn.observe(now, Direction::Forward, 60, tcp_flags::FIN | tcp_flags::ACK);
        assert_eq!(conn.state(), State::Closing);
        conn.observe(now, Direction::Reverse, 60, tcp_flags::RST);
        assert_eq!(conn.state(), State::Closed);
        assert_eq!(
            conn.ended(now, &Model::default()),
            Some(Teardown::Reset(Direction::Reverse))
        );
    }

    #[test]
    fn timeouts_are_those_of_the_configuration() {
        let model = Model::default();
        let (mut tcp, udp, icmp) = (conn(TCP), conn(UDP), conn(ICMP));
        assert_eq!(tcp.timeout(&model), Some(EMBRYONIC_TIMEOUT));
        tcp.seen = [Seen {
            packets: 2,
            ..Seen::default()
        }; 2];
        assert_eq!(tcp.timeout(&model), Some(Time::from_secs(3600)));
        tcp.seen[0].fin = true;
        assert_eq!(tcp.timeout(&model), Some(Time::from_secs(600)));
        assert_eq!(udp.timeout(&model), Some(Time::from_secs(120)));
        assert_eq!(icmp.timeout(&model), Some(Time::from_secs(2)));
        let ends = Time::from_secs(220);
        assert_eq!(udp.ended(ends - Time::from_nanos(1), &model), None);
        assert_eq!(udp.ended(ends, &model), Some(Teardown::IdleTimeout));
    }

    #[test]
    fn a_class_sets_the_idle_timeout_and_zero_is_never() {
        let mut udp = conn(UDP);
        udp.idle = Some(Time::from_secs(7));
        assert_eq!(udp.timeout(&Model::default()), Some(Time::from_secs(7)));
        udp.idle = Some(Time::ZERO);
        assert_eq!(udp.timeout(&Model::default()), None);
    }

    #[test]
    fn stamps_tell_when_the_last_packet_passed() {
        let mut udp = conn(UDP);
        let now = Time::from_millis(400_500);
        assert!(udp.observe_card(
            now,
            Direction::Forward,
            &stats(5, epoch(Time::from_secs(390)), false, false)
        ));
        assert_eq!(udp.last, Time::from_secs(391));
        assert!(udp.observe_card(now, Direction::Forward, &stats(6, epoch(now), false, false)));
        assert_eq!(udp.last, now);
        assert!(!udp.observe_card(now, Direction::Forward, &stats(6, 0, false, false)));
    }

    #[test]
    fn counters_wrap_and_begin_again() {
        assert_eq!(advance((1 << 28) - 2, 3, 28), 5);
        assert_eq!(advance(1000, 7, 28), 7);
        assert_eq!(advance(7, 7, 28), 0);
    }

    proptest! {
        #[test]
        fn a_stamp_is_never_in_the_future_nor_more_than_an_epoch_late(seconds in 300u64..100_000, ago in 0u64..250) {
            let (now, then) = (Time::from_secs(seconds), Time::from_secs(seconds - ago));
            let stamped = stamped(now, epoch(then));
            prop_assert!(stamped >= then && stamped <= now && stamped - then <= EPOCH);
        }
    }
}
