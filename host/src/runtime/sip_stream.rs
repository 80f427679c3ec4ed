//! SIP inspection of the text of one proxy session.
//!
//! Comes in: text of both directions. Goes out: the same with addresses translated, or that the connection is refused.
//! What a message means the slow path knows, which holds the translations and pinholes of all connections.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, lock};
use crate::flow;
use crate::punt::{Channel, Effect, Event, Inspected};
use crate::sip::{Frame, Framer};
use crate::tls::inspect::Direction;
use crate::tls::{Inspect, Refusal};

/// Takes lines of the log, from any thread.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// Inspects one session.
pub struct SipStream {
    slow_path: Shared,
    channel: Channel,
    log: Log,
    framers: [Framer; 2],
}

impl SipStream {
    /// For a session that begins.
    pub fn new(
        slow_path: Shared,
        channel: Channel,
        log: Log,
        reassembly: Option<Duration>,
    ) -> Self {
        Self {
            slow_path,
            channel,
            log,
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
                    self.inspect(now, direction, &bytes, onward)?;
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

    fn inspect(
        &mut self,
        now: Duration,
        direction: Direction,
        bytes: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let direction = match direction {
            Direction::Forward => flow::Direction::Forward,
            Direction::Backward => flow::Direction::Reverse,
        };
        let mut effects = Vec::new();
        let inspected =
            lock(&self.slow_path).inspect(now, &self.channel, direction, bytes, &mut effects);
        for effect in effects {
            if let Effect::Log(event) = effect {
                (self.log)(&event);
            }
        }
        match inspected {
            Inspected::Forward(bytes) => onward.extend(bytes),
            Inspected::Drop(_) => {}
            Inspected::End { reason, is_reset } => {
                return Err(Refusal {
                    reason: format!("SIP inspection: {reason}"),
                    is_reset,
                });
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
