//! Inspection of the text of one session.
//!
//! Comes in: text of both directions. Goes out: the same with addresses translated, or that the connection is refused.
//! What a message means the slow path knows, which holds the translations and pinholes of all connections.

use std::time::Duration;

use super::log::Log;
use super::{Shared, lock};
use crate::flow;
use crate::punt::{Channel, Effect, Inspected};
use crate::sip::skinny::{self, Connection};
use crate::sip::{Frame, Framer};
use crate::tls::inspect::Direction;
use crate::tls::{Inspect, Refusal};

/// Whom a stream asks.
#[derive(Clone)]
pub struct Desk {
    /// What knows everything.
    pub slow_path: Shared,
    /// The connection.
    pub channel: Channel,
    /// The log.
    pub log: Log,
}

impl Desk {
    fn tell(&self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Log(event) = effect {
                (self.log)(&event);
            }
        }
    }
}

/// Inspects one session of SIP.
pub struct SipStream {
    desk: Desk,
    framers: [Framer; 2],
}

impl SipStream {
    /// For a session that begins. `reassembly` is how long the rest of a message may take.
    pub fn new(desk: Desk, reassembly: Option<Duration>) -> Self {
        Self {
            desk,
            framers: [Framer::new(reassembly), Framer::new(reassembly)],
        }
    }

    /// Passes on what the framer of a direction has.
    fn pass(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        while let Some(frame) = self.framers[direction as usize].poll() {
            match frame {
                Frame::KeepAlive(bytes) => onward.extend(bytes),
                Frame::Message(bytes) | Frame::Foreign(bytes) => {
                    let Desk {
                        slow_path, channel, ..
                    } = &self.desk;
                    let way = way(direction);
                    let mut effects = Vec::new();
                    let inspected =
                        lock(slow_path).inspect(now, channel, way, &bytes, &mut effects);
                    self.desk.tell(effects);
                    pass_on(inspected, "SIP", onward)?;
                }
                Frame::Broken(fault) => {
                    return Err(Refusal {
                        reason: format!("not SIP: {}", fault.name()),
                        is_reset: false,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Inspect for SipStream {
    fn handle_text(
        &mut self,
        now: Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let framer = &mut self.framers[direction as usize];
        framer.handle_timeout(now);
        framer.handle_bytes(now, text);
        self.pass(now, direction, onward)
    }

    fn handle_end(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        // Half a message is no message: it ends with its connection.
        self.pass(now, direction, onward)
    }
}

/// Inspects one session of Skinny.
pub struct SkinnyStream {
    desk: Desk,
    framers: [skinny::Framer; 2],
    connection: Connection,
    /// When text last came: what a session that is dropped closes, it closes then.
    last: Duration,
}

impl SkinnyStream {
    /// For a session that begins.
    pub fn new(desk: Desk) -> Self {
        Self {
            desk,
            framers: Default::default(),
            connection: Connection::default(),
            last: Duration::ZERO,
        }
    }
}

impl Inspect for SkinnyStream {
    fn handle_text(
        &mut self,
        now: Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.last = now;
        let framer = &mut self.framers[direction as usize];
        framer.handle_bytes(text);
        while let Some(frame) = framer.poll() {
            let bytes = match frame {
                skinny::Frame::Message(bytes) => bytes,
                skinny::Frame::Broken(length) => {
                    return Err(Refusal {
                        reason: format!("not Skinny: no message has {length} bytes"),
                        is_reset: false,
                    });
                }
            };
            let Desk {
                slow_path, channel, ..
            } = &self.desk;
            let (way, connection) = (way(direction), &mut self.connection);
            let mut effects = Vec::new();
            let inspected =
                lock(slow_path).inspect_skinny(now, channel, way, connection, &bytes, &mut effects);
            self.desk.tell(effects);
            pass_on(inspected, "Skinny", onward)?;
        }
        Ok(())
    }

    fn handle_end(&mut self, _: Duration, _: Direction, _: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Its media ends with it.
impl Drop for SkinnyStream {
    fn drop(&mut self) {
        let connection = std::mem::take(&mut self.connection);
        let mut effects = Vec::new();
        lock(&self.desk.slow_path).end_skinny(
            self.last,
            &self.desk.channel,
            connection,
            &mut effects,
        );
        self.desk.tell(effects);
    }
}

fn pass_on(inspected: Inspected, protocol: &str, onward: &mut Vec<u8>) -> Result<(), Refusal> {
    match inspected {
        Inspected::Forward(bytes) => onward.extend(bytes),
        Inspected::Drop(_) => {}
        Inspected::End { reason, is_reset } => {
            return Err(Refusal {
                reason: format!("{protocol} inspection: {reason}"),
                is_reset,
            });
        }
    }
    Ok(())
}

fn way(direction: Direction) -> flow::Direction {
    match direction {
        Direction::Forward => flow::Direction::Forward,
        Direction::Backward => flow::Direction::Reverse,
    }
}
