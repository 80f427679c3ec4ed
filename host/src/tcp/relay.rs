//! One session and its two sockets.
//!
//! Bytes are read while the session wants them, and taken from it when the last ones have left: what a slow peer does
//! not read, nobody holds.

use std::future::pending;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::adapter::Ask;
use super::carried::Carried;
use super::network;
use crate::runtime::clock::Clock;
use crate::tls::Side;
use crate::tls::session::{Effect, End, READ_BYTES};

/// A socket and the bytes that wait for it.
struct Leg {
    stream: TcpStream,
    waiting: Vec<u8>,
    sent: usize,
    is_shut: bool,
}

impl Leg {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
            sent: 0,
            is_shut: false,
        }
    }

    fn has_sent_all(&self) -> bool {
        self.sent == self.waiting.len()
    }

    /// Sends what the socket takes.
    fn send(&mut self) -> io::Result<()> {
        while !self.has_sent_all() {
            match self.stream.try_write(&self.waiting[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.waiting.clear();
        self.sent = 0;
        Ok(())
    }

    /// Ends our side of the connection, behind the bytes.
    fn shut(&mut self) {
        if !std::mem::replace(&mut self.is_shut, true) {
            // It fails when the peer has gone, which is what is wanted.
            let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
        }
    }

    /// Ends the connection at once, whatever waits.
    fn reset(self) {
        // It cannot fail on a socket.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Ends the connection so that the peer gets every byte: a socket that is closed with bytes unread is reset.
    async fn finish(mut self) {
        let orderly = async {
            while !self.has_sent_all() {
                self.stream.writable().await?;
                self.send()?;
            }
            self.shut();
            let mut ignored = [0; 4096];
            loop {
                self.stream.readable().await?;
                match self.stream.try_read(&mut ignored) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        };
        // A peer that does not end its side in time is cut off, and one that is gone is gone.
        let _: Result<io::Result<()>, _> = timeout(LINGER, orderly).await;
    }
}

/// What a relay was woken by.
enum Woken {
    Ready(Side, io::Result<Ready>),
    Dialled(io::Result<TcpStream>),
    Answered(Side),
    Time,
}

/// Carries a session to its end. `tell` gets lines for the log, `see` the session after each step.
pub async fn relay<S: Carried>(
    clock: &Clock,
    session: &mut S,
    dialler: TcpStream,
    ask: &Ask,
    mut tell: impl FnMut(&crate::punt::Event),
    mut see: impl FnMut(&S),
) {
    let mut legs = [Some(Leg::new(dialler)), None];
    let mut dialling: Option<JoinHandle<io::Result<TcpStream>>> = None;
    let mut asking = JoinSet::new();
    loop {
        while let Some(effect) = session.poll_effect() {
            match effect {
                Effect::Log(event) => tell(&event),
                Effect::Dial => {
                    let (from, to) = session.places();
                    dialling = Some(tokio::task::spawn_local(dial(from.address, to.address)));
                }
                Effect::Ask(side, question) => {
                    let answered = ask(*question);
                    asking.spawn_local(async move {
                        // Whoever asks may have ended; then nothing was learnt.
                        let _ = answered.await;
                        side
                    });
                }
            }
        }
        move_bytes(clock, session, &mut legs);
        see(session);
        if session.is_over() {
            break;
        }
        match wait(clock, session, &legs, &mut dialling, &mut asking).await {
            Woken::Time => session.handle_time(clock.now()),
            Woken::Ready(side, ready) => read(clock, session, &mut legs, side, ready),
            Woken::Answered(side) => session.handle_answer(clock.now(), side),
            Woken::Dialled(result) => {
                dialling = None;
                match result {
                    Ok(stream) => {
                        legs[Side::Client as usize] = Some(Leg::new(stream));
                        session.handle_connected(clock.now());
                    }
                    Err(error) => session.handle_unreachable(&error.to_string()),
                }
            }
        }
    }
    while let Some(effect) = session.poll_effect() {
        if let Effect::Log(event) = effect {
            tell(&event);
        }
    }
    if let Some(dialling) = dialling {
        dialling.abort();
    }
    let [server, client] = legs;
    tokio::join!(
        end(session, Side::Server, server),
        end(session, Side::Client, client)
    );
}

async fn end(session: &impl Carried, side: Side, leg: Option<Leg>) {
    match (leg, session.end(side)) {
        (Some(leg), End::Reset) => leg.reset(),
        (Some(leg), _) => leg.finish().await,
        (None, _) => {}
    }
}

async fn dial(from: std::net::SocketAddr, to: std::net::SocketAddr) -> io::Result<TcpStream> {
    match timeout(DIAL_LIMIT, network::connect(from, to)).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Takes bytes from the session and sends them, as far as both go.
fn move_bytes(clock: &Clock, session: &mut impl Carried, legs: &mut [Option<Leg>; 2]) {
    for side in [Side::Server, Side::Client] {
        let Some(leg) = &mut legs[side as usize] else {
            continue;
        };
        loop {
            if leg.has_sent_all() {
                session.take_bytes(side, &mut leg.waiting);
                if leg.has_sent_all() {
                    break;
                }
            }
            if leg.send().is_err() {
                session.handle_reset(clock.now(), side);
                break;
            }
            if !leg.has_sent_all() {
                break;
            }
        }
        // The last bytes of a session that is over leave elsewhere.
        if !session.is_over() && leg.has_sent_all() && session.end(side) == End::Finish {
            leg.shut();
        }
    }
}

/// Waits until there is something to do.
async fn wait(
    clock: &Clock,
    session: &impl Carried,
    legs: &[Option<Leg>; 2],
    dialling: &mut Option<JoinHandle<io::Result<TcpStream>>>,
    asking: &mut JoinSet<Side>,
) -> Woken {
    let ready = |side: Side| {
        let leg = legs[side as usize].as_ref();
        let wants = session.wants_bytes(side);
        async move {
            let interest = leg.and_then(|leg| match (wants, leg.has_sent_all()) {
                (true, true) => Some(Interest::READABLE),
                (true, false) => Some(Interest::READABLE | Interest::WRITABLE),
                (false, false) => Some(Interest::WRITABLE),
                (false, true) => None,
            });
            match (leg, interest) {
                (Some(leg), Some(interest)) => leg.stream.ready(interest).await,
                _ => pending().await,
            }
        }
    };
    let due = async {
        match session.next_deadline() {
            Some(due) => sleep(due.saturating_sub(clock.now())).await,
            None => pending().await,
        }
    };
    let dialled = async {
        match dialling {
            Some(task) => task
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
            None => pending().await,
        }
    };
    let answered = async {
        match asking.join_next().await {
            Some(Ok(side)) => side,
            // Nothing is asked, or a task ended with the runtime.
            _ => pending().await,
        }
    };
    tokio::select! {
        side = answered => Woken::Answered(side),
        result = ready(Side::Server) => Woken::Ready(Side::Server, result),
        result = ready(Side::Client) => Woken::Ready(Side::Client, result),
        result = dialled => Woken::Dialled(result),
        () = due => Woken::Time,
    }
}

/// Reads a piece from a socket that has one. What it can send is sent in the next turn.
fn read(
    clock: &Clock,
    session: &mut impl Carried,
    legs: &mut [Option<Leg>; 2],
    side: Side,
    ready: io::Result<Ready>,
) {
    let Some(leg) = &legs[side as usize] else {
        return;
    };
    if !session.wants_bytes(side) || ready.is_ok_and(|ready| !ready.is_readable()) {
        return;
    }
    // Most pieces are short: all of an array would be cleared for each.
    let mut bytes = Vec::with_capacity(READ_BYTES);
    match leg.stream.try_read_buf(&mut bytes) {
        Ok(0) => session.handle_end(clock.now(), side),
        Ok(_) => session.handle_bytes(clock.now(), side, &bytes),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => session.handle_reset(clock.now(), side),
    }
}

/// How long the peer behind may take to answer.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// How long a peer may take to end its side.
const LINGER: Duration = Duration::from_secs(5);
