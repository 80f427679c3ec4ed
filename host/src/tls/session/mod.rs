//! Two legs: what one peer says goes to the other, in the same order and to the same end.
//!
//! Comes in: bytes of both connections, that one ended, that the second one is up, the time. Goes out: bytes, that the
//! peer behind is to be dialled, lines for the log. A peer that asks for an application protocol waits for the peer
//! behind to choose one; any other is first judged, and only then is somebody dialled.
//!
//! A clean end becomes a clean end, a cut becomes a cut, a reset a reset. Text of a peer is taken only while the other
//! side has room for it.

/// Whether a peer's certificate was revoked.
mod check;
/// Lines of the log.
mod log;
/// What it says of itself.
mod words;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::inspect::{Inspect, Refusal};
use super::leg::{About, Hello, Leg};
use super::proxy::Proxy;
use super::verify::{Peer, Usage};
use crate::pki::Date;
use check::Check;
pub use words::{Effect, End, Place, Side};

/// How the text of one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Not,
    /// The peer said so.
    Clean,
    /// Its connection ended without a word.
    Cut,
    /// The other side was told.
    Told,
}

/// A session between two peers.
pub struct Session {
    proxy: Arc<Proxy>,
    dialler: Place,
    dialled: Place,
    legs: [Leg; 2],
    ends: [End; 2],
    is_read: [bool; 2],
    peers: [Option<Peer>; 2],
    about: [Option<About>; 2],
    checks: [Check; 2],
    /// Text that came while the certificate was checked for revocation: no more than one read brings.
    held: [Vec<u8>; 2],
    /// Text that may go on and waits for the other side, by direction.
    onward: [Vec<u8>; 2],
    ended: [Ended; 2],
    bytes: [u64; 2],
    inspect: Box<dyn Inspect>,
    hello: Option<Hello>,
    is_dialled: bool,
    effects: VecDeque<Effect>,
    started: Duration,
    half_closed: Option<Duration>,
}

impl Session {
    /// A session for a peer that has just connected.
    pub fn new(
        now: Duration,
        proxy: Arc<Proxy>,
        dialler: Place,
        dialled: Place,
        inspect: Box<dyn Inspect>,
    ) -> Self {
        let mut session = Self {
            proxy,
            dialler,
            dialled,
            legs: [Leg::server(), Leg::absent()],
            ends: [End::Open; 2],
            is_read: [false; 2],
            peers: [None, None],
            about: [None, None],
            checks: Default::default(),
            held: [Vec::new(), Vec::new()],
            onward: [Vec::new(), Vec::new()],
            ended: [Ended::Not; 2],
            bytes: [0; 2],
            inspect,
            hello: None,
            is_dialled: false,
            effects: VecDeque::new(),
            started: now,
            half_closed: None,
        };
        let text = format!(
            "Starting SSL handshake with {} for TLS session",
            session.leg_words(Side::Server)
        );
        session.log(6, 725_001, text);
        session
    }

    /// Takes bytes from a peer: at most [`READ_BYTES`], and only while [`Session::wants_bytes`].
    pub fn handle_bytes(&mut self, now: Duration, side: Side, bytes: &[u8]) {
        self.proxy.set_time(now);
        if self.is_over() || self.is_read[side as usize] {
            return;
        }
        let mut text = Vec::new();
        let result = self.legs[side as usize].read(bytes, &mut text);
        // Nobody is heard who has not been judged: text may come right behind the handshake. What comes while his
        // certificate is checked for revocation is held.
        self.note_established(now, side);
        // What came before the fault is as good as ever.
        self.take_text(now, side, &text);
        match result {
            Ok(()) => self.advance(now),
            Err(error) => self.fail(side, &self.words(side, &error)),
        }
    }

    /// A peer's connection ended: it will send no more.
    pub fn handle_end(&mut self, now: Duration, side: Side) {
        self.proxy.set_time(now);
        let index = side as usize;
        if self.is_over() || std::mem::replace(&mut self.is_read[index], true) {
            return;
        }
        if self.legs[index].has_closed {
            return self.advance(now);
        }
        if !self.legs[index].is_established() {
            return self.fail(
                side,
                "it ended the connection before the handshake was done",
            );
        }
        if !self.is_heard(side) {
            return self.fail(
                side,
                "it ended the connection while its certificate was checked for revocation",
            );
        }
        let text = format!(
            "SSL session with {} ended without close_notify: what it said last may be cut",
            self.leg_words(side)
        );
        self.log(4, 725_007, text);
        self.end_text(now, side, Ended::Cut);
        self.advance(now);
    }

    /// A peer's connection was reset, or cannot be written to any more.
    pub fn handle_reset(&mut self, now: Duration, side: Side) {
        self.proxy.set_time(now);
        if self.is_over() {
            return;
        }
        let text = format!(
            "SSL session with {} was reset by the peer",
            self.leg_words(side)
        );
        self.log(4, 725_007, text);
        self.stop([End::Reset; 2]);
    }

    /// The peer behind was reached.
    pub fn handle_connected(&mut self, now: Duration) {
        self.proxy.set_time(now);
        if self.is_over() {
            return;
        }
        let text = format!(
            "Starting SSL handshake with {} for TLS session",
            self.leg_words(Side::Client)
        );
        self.log(6, 725_001, text);
        match self.client_leg(now) {
            Ok(leg) => {
                self.legs[Side::Client as usize] = leg;
                self.advance(now);
            }
            Err(reason) => self.fail(Side::Client, &reason),
        }
    }

    /// The peer behind was not reached.
    pub fn handle_unreachable(&mut self, reason: &str) {
        if !self.is_over() {
            self.fail(Side::Client, &format!("it cannot be reached: {reason}"));
        }
    }

    /// Does what is due.
    pub fn handle_time(&mut self, now: Duration) {
        if self.next_deadline().is_none_or(|due| now < due) {
            return;
        }
        // The peer behind is dialled for a dialler that was judged.
        let waiting = [Side::Server, Side::Client]
            .into_iter()
            .find(|side| !self.is_heard(*side));
        match waiting {
            Some(side) if self.legs[side as usize].is_established() => self.fail(
                side,
                "it takes too long to find out whether its certificate was revoked",
            ),
            Some(side) => self.fail(side, "the handshake takes too long"),
            None => {
                let text = format!(
                    "SSL session with {} was half closed for too long",
                    self.leg_words(Side::Server)
                );
                self.log(4, 725_007, text);
                self.stop([End::Reset; 2]);
            }
        }
    }

    /// When [`Session::handle_time`] is to be called, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let is_heard = self.is_heard(Side::Server) && self.is_heard(Side::Client);
        match is_heard && self.legs.iter().all(Leg::is_established) {
            _ if self.is_over() => None,
            false => Some(self.started + HANDSHAKE_LIMIT),
            true => self.half_closed.map(|since| since + HALF_CLOSED_LIMIT),
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether bytes of this peer can be taken now.
    pub fn wants_bytes(&self, side: Side) -> bool {
        let is_held =
            side == Side::Server && self.hello.is_some() && self.legs[0].hello().is_some();
        !self.is_read[side as usize]
            && !self.is_over()
            && !self.legs[side as usize].has_closed
            && !is_held
            && !matches!(self.checks[side as usize], Check::Asked(_))
            && self.onward[side as usize].is_empty()
    }

    /// Appends bytes for a peer. To be called when those of the last call have left: what is not taken is not produced.
    pub fn take_bytes(&mut self, side: Side, out: &mut Vec<u8>) {
        self.legs[side as usize].take_bytes(out);
        if !self.is_over() {
            self.flow();
            self.legs[side as usize].take_bytes(out);
        }
    }

    /// How a connection is to end, once its bytes were taken.
    pub fn end(&self, side: Side) -> End {
        self.ends[side as usize]
    }

    /// Nothing more will be read from either peer.
    pub fn is_over(&self) -> bool {
        self.is_read == [true; 2] && self.ends.iter().all(|end| *end != End::Open)
    }

    /// The proxy that it belongs to.
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// Both ends, that of the dialling peer first.
    pub fn places(&self) -> (&Place, &Place) {
        (&self.dialler, &self.dialled)
    }

    /// How a leg is protected, once it is.
    pub fn about(&self, side: Side) -> Option<&About> {
        self.about[side as usize].as_ref()
    }

    /// Who is at the other end of a leg, once that is proved.
    pub fn peer(&self, side: Side) -> Option<&Peer> {
        self.peers[side as usize].as_ref()
    }

    /// Text bytes that were taken from both peers.
    pub fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Goes on as far as possible after something changed.
    fn advance(&mut self, now: Duration) {
        self.answer_or_dial(now);
        for side in [Side::Server, Side::Client] {
            self.note_established(now, side);
        }
        for side in [Side::Server, Side::Client] {
            if self.legs[side as usize].has_closed && self.is_heard(side) {
                self.end_text(now, side, Ended::Clean);
            }
        }
        if !self.is_over() {
            self.flow();
        }
    }

    /// Reads the hello of the peer that dials, and answers it as soon as it can be answered.
    fn answer_or_dial(&mut self, now: Duration) {
        if self.is_over() {
            return;
        }
        if self.hello.is_none() {
            self.hello = self.legs[0].hello();
        }
        let Some(hello) = self.hello.clone() else {
            return;
        };
        let must_choose = !hello.protocols.is_empty() && !self.proxy.shows_peer_as_itself();
        if must_choose {
            self.dial();
        }
        if self.legs[0].hello().is_none() || must_choose && !self.legs[1].is_established() {
            return;
        }
        let protocol = self.legs[1].protocol();
        let config = self.proxy.server_settings(protocol.as_deref());
        let mut text = Vec::new();
        let result = self.legs[0].answer(config, &mut text);
        self.take_text(now, Side::Server, &text);
        if let Err(error) = result {
            self.fail(Side::Server, &self.words(Side::Server, &error));
        }
    }

    fn dial(&mut self) {
        if !std::mem::replace(&mut self.is_dialled, true) {
            self.effects.push_back(Effect::Dial);
        }
    }

    fn client_leg(&self, now: Duration) -> Result<Leg, String> {
        let hello = self.hello.clone().unwrap_or_default();
        let dialler = self.peers[0].as_ref();
        let config = self
            .proxy
            .client_settings(dialler, Date::from(now))
            .map_err(|error| error.to_string())?;
        let name = match hello.name {
            Some(name) => ServerName::try_from(name).map_err(|error| error.to_string())?,
            None => ServerName::IpAddress(self.dialled.address.ip().into()),
        };
        let protocols = match self.proxy.shows_peer_as_itself() {
            true => Vec::new(),
            false => hello.protocols,
        };
        let connection = ClientConnection::new_with_alpn(config, name, protocols);
        Ok(Leg::client(connection.map_err(|error| error.to_string())?))
    }

    /// Judges the peer once the handshake is done. A session that goes on from an earlier one is judged again: what was
    /// trusted then may not be now.
    fn note_established(&mut self, now: Duration, side: Side) {
        let index = side as usize;
        if self.is_over() || self.about[index].is_some() || !self.legs[index].is_established() {
            return;
        }
        let usage = match side {
            Side::Server => Usage::Client,
            Side::Client => Usage::Server,
        };
        let judged = match self.legs[index].certificates() {
            Some([own, between @ ..]) => {
                let trust = self.proxy.trust();
                let peer = trust.confirm(own, between, usage, Date::from(now));
                peer.map(Some)
            }
            _ => Ok(None),
        };
        match judged {
            Ok(peer) => self.peers[index] = peer,
            Err(distrust) => return self.fail(side, &distrust.to_string()),
        }
        self.about[index] = self.legs[index].about();
        self.log_established(side);
        self.check_revocation(now, side);
    }

    /// Hands text of a peer to the inspection.
    fn take_text(&mut self, now: Duration, side: Side, text: &[u8]) {
        if text.is_empty() || self.is_over() {
            return;
        }
        let index = side as usize;
        if !self.is_heard(side) {
            self.held[index].extend_from_slice(text);
            return;
        }
        self.bytes[index] += text.len() as u64;
        let result = self
            .inspect
            .handle_text(now, side.direction(), text, &mut self.onward[index]);
        if let Err(refusal) = result {
            self.refuse(side, &refusal);
        }
    }

    /// The text of a peer ended.
    fn end_text(&mut self, now: Duration, side: Side, how: Ended) {
        let index = side as usize;
        if self.is_over() || self.ended[index] != Ended::Not {
            return;
        }
        self.ended[index] = how;
        self.half_closed.get_or_insert(now);
        let result = self
            .inspect
            .handle_end(now, side.direction(), &mut self.onward[index]);
        if let Err(refusal) = result {
            self.refuse(side, &refusal);
        }
    }

    /// Moves text that may go on into the legs, and ends behind it.
    fn flow(&mut self) {
        for from in [Side::Server, Side::Client] {
            let (index, to) = (from as usize, from.other() as usize);
            if !self.legs[to].is_established() || !self.is_heard(from.other()) {
                continue;
            }
            let taken = self.legs[to].write(&self.onward[index]);
            self.onward[index].drain(..taken);
            if !self.onward[index].is_empty() {
                continue;
            }
            match self.ended[index] {
                Ended::Not | Ended::Told => continue,
                Ended::Clean => self.legs[to].close(),
                Ended::Cut => {}
            }
            self.ended[index] = Ended::Told;
            self.ends[to] = End::Finish;
        }
        if self.ended == [Ended::Told; 2] {
            self.is_read = [true; 2];
            let text = format!(
                "SSL session with {} terminated, {} bytes",
                self.leg_words(Side::Server),
                self.bytes()
            );
            self.log(6, 725_007, text);
        }
    }

    /// A leg failed: its peer is told, the other is cut off.
    fn fail(&mut self, side: Side, reason: &str) {
        self.log_failure(side, reason);
        let mut ends = [End::Reset; 2];
        // The alert that says why.
        ends[side as usize] = End::Finish;
        self.stop(ends);
    }

    /// The inspection will not have it.
    fn refuse(&mut self, side: Side, refusal: &Refusal) {
        let text = format!(
            "SSL session with {} (tls-proxy {}) closed by inspection of {}: {}",
            self.leg_words(Side::Server),
            self.proxy.name,
            self.leg_words(side),
            refusal.reason
        );
        self.log(4, 725_007, text);
        match refusal.is_reset {
            true => self.stop([End::Reset; 2]),
            false => {
                for leg in &mut self.legs {
                    leg.close();
                }
                self.stop([End::Finish; 2]);
            }
        }
    }

    fn stop(&mut self, ends: [End; 2]) {
        self.ends = ends;
        self.is_read = [true; 2];
        self.onward = [Vec::new(), Vec::new()];
        self.held = [Vec::new(), Vec::new()];
    }
}

/// Bytes of a peer that are taken at once.
pub const READ_BYTES: usize = 16 * 1024;
/// Time for both handshakes.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// Time that one peer may go on after the other has ended, as the device's `timeout half-closed`.
pub const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(600);
