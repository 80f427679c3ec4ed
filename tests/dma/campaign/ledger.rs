//! What was sent, and what must become of it.

use std::collections::BTreeMap;

use layout::desc::{Metadata, Reason};
use layout::hash;
use layout::table::{Key, PUNT_QUEUES};
use sim::frame::{Frame, Transport};

use crate::random::Random;

const UDP: u8 = 17;
/// Ethernet, IPv4 and UDP headers.
const HEADER_BYTES: usize = 42;

/// Where a frame comes in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A port.
    Port(u8),
    /// The inject ring, for lookup as from this port.
    Host(u8),
}

/// Where it must come out.
enum End {
    Ring {
        origin: Origin,
        queue: u8,
        reason: Reason,
    },
    Port(u8),
}

/// Frames by their number, which is in their destination MAC; a frame that came out is taken away.
#[derive(Default)]
pub struct Ledger {
    next: u32,
    open: BTreeMap<u32, (Vec<u8>, End)>,
    /// Number of the last frame seen: of each ring and origin, and of each port.
    last: BTreeMap<(usize, Option<Origin>), u32>,
    /// Since the last start.
    fed: u64,
    described: u64,
    punts: u64,
    sent: u64,
    base: BTreeMap<u32, u64>,
}

impl Ledger {
    /// Frames so far.
    pub fn frames(&self) -> usize {
        self.next as usize
    }

    /// A frame that the card punts.
    pub fn punted(&mut self, random: &mut Random, origin: Origin, length: usize) -> Vec<u8> {
        let port = match origin {
            Origin::Port(port) | Origin::Host(port) => port,
        };
        match origin {
            Origin::Port(_) => self.fed += 1,
            Origin::Host(_) => self.described += 1,
        }
        let (mut frame, queue, reason) = match length >= HEADER_BYTES && random.percent(75) {
            true => {
                let (frame, key) = first_packet(random, port, length);
                (frame, hash::queue(&key), Reason::FlowMiss)
            }
            false => {
                let mut frame = noise(random, length);
                frame[12..14].copy_from_slice(&[0x08, 0x06]);
                (frame, 0, Reason::Arp)
            }
        };
        let end = End::Ring {
            origin,
            queue,
            reason,
        };
        self.open(&mut frame, end);
        frame
    }

    /// A frame that leaves a port as it is.
    pub fn direct(&mut self, random: &mut Random, port: u8, length: usize) -> Vec<u8> {
        self.described += 1;
        let mut frame = noise(random, length);
        self.open(&mut frame, End::Port(port));
        frame
    }

    fn open(&mut self, frame: &mut [u8], end: End) {
        // A shorter one never comes out.
        if let Some(place) = frame.get_mut(2..6) {
            place.copy_from_slice(&self.next.to_le_bytes());
        }
        self.open.insert(self.next, (frame.to_vec(), end));
        self.next += 1;
    }

    fn take(&mut self, frame: &[u8]) -> (u32, End) {
        let number = frame[2..6].try_into().map(u32::from_le_bytes);
        let number = number.expect("four bytes");
        let (expected, end) = self.open.remove(&number).unwrap_or_else(|| {
            panic!("frame {number} was never sent, or comes twice: {frame:02x?}")
        });
        assert!(
            expected == frame,
            "frame {number} is changed:\n{expected:02x?}\n{frame:02x?}"
        );
        (number, end)
    }

    fn follow(&mut self, way: (usize, Option<Origin>), number: u32) {
        let last = self.last.insert(way, number);
        assert!(last < Some(number), "frame {number} behind {last:?}");
    }

    /// A frame that came to the host: out of a ring, or the window.
    pub fn take_punt(&mut self, ring: Option<usize>, metadata: &Metadata, frame: &[u8]) {
        let (number, end) = self.take(frame);
        let End::Ring {
            origin,
            queue,
            reason,
        } = end
        else {
            panic!("frame {number} came to the host: {metadata:?}");
        };
        let (port, reinjected) = match origin {
            Origin::Port(port) => (port, false),
            Origin::Host(port) => (port, true),
        };
        let told = (
            metadata.reason,
            metadata.port,
            metadata.reinjected,
            metadata.queue,
            usize::from(metadata.length),
        );
        let expected = (reason as u8, port, reinjected, queue, frame.len());
        assert_eq!(told, expected, "frame {number}");
        assert!(ring.is_none_or(|ring| ring == usize::from(queue)));
        self.follow((queue.into(), Some(origin)), number);
        self.punts += 1;
    }

    /// A frame that left a port.
    pub fn take_sent(&mut self, port: u8, frame: &[u8]) {
        let (number, end) = self.take(frame);
        assert!(matches!(end, End::Port(right) if right == port));
        self.follow((PUNT_QUEUES + usize::from(port), None), number);
        self.sent += 1;
    }

    /// Nothing that was sent before needs to come out any more, and nothing may.
    pub fn start_again(&mut self) {
        self.open.clear();
        (self.fed, self.described, self.punts, self.sent) = (0, 0, 0, 0);
    }

    /// What a counter shows at the start.
    pub fn set_base(&mut self, counter: u32, value: u64) {
        self.base.insert(counter, value);
    }

    /// What it has counted since.
    pub fn since(&self, counter: u32, value: u64) -> u64 {
        value - self.base.get(&counter).copied().unwrap_or(0)
    }

    /// Compares with what was counted: frames from the inject ring, punts lost, injects lost.
    pub fn check(&self, entered: u64, punts_lost: u64, injects_lost: u64) {
        assert_eq!(self.described, entered + injects_lost, "injected frames");
        let looked_up = entered - self.sent;
        assert_eq!(
            self.fed + looked_up,
            self.punts + punts_lost,
            "punted frames"
        );
        assert_eq!(
            self.open.len() as u64,
            punts_lost + injects_lost,
            "frames without an end"
        );
    }
}

fn noise(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.next() as u8).collect()
}

/// A packet of no flow, and its key.
fn first_packet(random: &mut Random, port: u8, length: usize) -> (Vec<u8>, Key) {
    let key = Key {
        dport: 5061,
        sport: random.next() as u16,
        dst: 0xc633_6407,
        src: 0x0a00_0000 | (random.next() as u32 & 0xff_ffff),
        proto: UDP,
        interface: port,
    };
    let frame = Frame {
        src: key.src,
        dst: key.dst,
        transport: Transport::Udp {
            sport: key.sport,
            dport: key.dport,
        },
        payload: noise(random, length - HEADER_BYTES),
        ..Frame::default()
    };
    (frame.build(), key)
}
