//! Bytes of a stream in, whole messages out.
//!
//! One for each direction of a TCP or TLS connection. It delimits by Content-Length (RFC 3261 §18.3), lets keep-alives
//! (RFC 5626 §3.5.1) through, and holds one message at most. What cannot be delimited ends the stream: behind it nobody
//! knows where a message begins.

use std::collections::VecDeque;

use super::fault::Fault;
use super::limits::{LINE_BYTES, MESSAGE_BYTES};
use super::message::{Head, looks_like_sip};
use crate::flow::Time;

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Message(Vec<u8>),
    /// Line ends between messages.
    KeepAlive(Vec<u8>),
    /// The stream is not SIP: these bytes, and all that follow.
    Foreign(Vec<u8>),
    /// The stream cannot be delimited any further; nothing follows.
    Broken(Fault),
}

/// What the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sip,
    Foreign,
    Broken,
}

/// Cuts a stream into messages.
#[derive(Clone, Debug)]
pub struct Framer {
    state: State,
    buffer: Vec<u8>,
    /// Up to here there is no end of the head.
    searched: usize,
    /// Bytes of the message that begins the buffer, once its head is read.
    length: Option<usize>,
    out: VecDeque<Frame>,
    /// How long the rest of a message may take (`timeout tcp-proxy-reassembly`).
    reassembly: Option<Time>,
    due: Option<Time>,
}

impl Framer {
    /// A framer at the beginning of a stream.
    pub fn new(reassembly: Option<Time>) -> Self {
        Self {
            state: State::Sip,
            buffer: Vec::new(),
            searched: 0,
            length: None,
            out: VecDeque::new(),
            reassembly,
            due: None,
        }
    }

    /// Takes the next bytes. What they complete is in [`Framer::poll`].
    pub fn handle_bytes(&mut self, now: Time, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.state {
                State::Broken => return,
                State::Foreign => {
                    self.out.push_back(Frame::Foreign(bytes.to_vec()));
                    return;
                }
                State::Sip => {}
            }
            let room = (2 * MESSAGE_BYTES).saturating_sub(self.buffer.len()).max(1);
            let (now_bytes, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now_bytes);
            bytes = later;
            while self.state == State::Sip && self.step() {}
        }
        self.due = match (self.state, self.buffer.is_empty()) {
            (State::Sip, false) => self
                .due
                .or(self.reassembly.map(|time| now.saturating_add(time))),
            _ => None,
        };
    }

    /// The next piece.
    pub fn poll(&mut self) -> Option<Frame> {
        self.out.pop_front()
    }

    /// When the rest of a message must have come.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Gives up a message whose rest did not come in time.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|due| due <= now) {
            self.fail(Fault::Incomplete);
        }
    }

    /// Bytes held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Broken;
        self.buffer = Vec::new();
        self.due = None;
        self.out.push_back(Frame::Broken(fault));
    }

    /// Takes one piece off the buffer, if there is a whole one.
    fn step(&mut self) -> bool {
        if self.length.is_none() && !self.read_head() {
            return false;
        }
        let Some(length) = self.length.filter(|length| *length <= self.buffer.len()) else {
            return false;
        };
        self.take(length, Frame::Message);
        true
    }

    fn take(&mut self, length: usize, make: fn(Vec<u8>) -> Frame) {
        let rest = self.buffer.split_off(length);
        let piece = std::mem::replace(&mut self.buffer, rest);
        self.out.push_back(make(piece));
        (self.searched, self.length, self.due) = (0, None, None);
    }

    /// Finds the length of the message that begins the buffer. `true` if there is more to do.
    fn read_head(&mut self) -> bool {
        let blank = self
            .buffer
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if blank > 0 {
            self.take(blank, Frame::KeepAlive);
        }
        if self.is_foreign() {
            self.state = State::Foreign;
            self.take(self.buffer.len(), Frame::Foreign);
            return false;
        }
        let from = self.searched.saturating_sub(3);
        let end = self.buffer[from..]
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            self.searched = self.buffer.len();
            if self.buffer.len() > MESSAGE_BYTES {
                self.fail(Fault::MessageLong);
            }
            return false;
        };
        let head = &self.buffer[..from + end + 4];
        let length = Head::parse(head).and_then(|parsed| {
            let body = parsed.body_bytes(head)?.ok_or(Fault::NoContentLength)?;
            let length = parsed.end.saturating_add(body);
            (length <= MESSAGE_BYTES)
                .then_some(length)
                .ok_or(Fault::MessageLong)
        });
        match length {
            Ok(length) => {
                self.length = Some(length);
                true
            }
            Err(fault) => {
                self.fail(fault);
                false
            }
        }
    }

    /// Whether the first line, or what there is of it, cannot be SIP's.
    fn is_foreign(&self) -> bool {
        let reach = self.buffer.len().min(LINE_BYTES);
        let first = &self.buffer[..reach];
        match first.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let line = &first[..end];
                !looks_like_sip(line.strip_suffix(b"\r").unwrap_or(line))
            }
            None => {
                let is_binary = first.iter().any(|byte| *byte < b' ' && *byte != b'\r');
                is_binary || reach == LINE_BYTES
            }
        }
    }
}
