//! The server behind the proxies: it answers each message, on a thread for each connection.
//!
//! A process of its own, as are the proxies, since a process may open only so many sockets. It is this very program,
//! started with `answer`, a folder and a key exchange.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::control::{self, Control};
use super::ends::{self, Exchange};
use super::message;
use super::network::Network;
use super::peers::BACKEND;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// The process; it ends when this is dropped.
pub struct Server {
    process: Child,
    control: Option<Control>,
}

impl Server {
    /// Starts it in a network, and waits until it listens.
    pub fn start(network: &Network, folder: &Path, exchange: Exchange) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg("answer").arg(folder).arg(exchange.name());
        let (process, control) = network.enter(|| Control::spawn(&mut command));
        Self {
            process,
            control: Some(control),
        }
    }

    /// From now on connections are laid aside after their first message.
    pub fn lay_aside(&mut self) {
        self.say("aside");
    }

    /// Answers one more message on each of so many connections that were laid aside.
    pub fn answer_once(&mut self, count: usize) {
        self.say(&format!("once {count}"));
    }

    fn say(&mut self, line: &str) {
        self.control.as_mut().expect("it runs").say(line);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control = None;
        // It fails only if it was waited for.
        let _ = self.process.wait();
    }
}

/// What the process does.
pub fn run(folder: &Path, exchange: &str) {
    let exchange = Exchange::named(exchange);
    let listener = TcpListener::bind(BACKEND).expect("a free port");
    let shared = Arc::new(Shared {
        config: Arc::new(ends::server(folder, exchange)),
        lays_aside: AtomicBool::new(false),
        aside: Mutex::default(),
    });
    let accepting = Arc::clone(&shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let shared = Arc::clone(&accepting);
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // A connection that fails is its dialler's to tell of.
            let serve = move || shared.serve(stream).unwrap_or_default();
            thread.spawn(serve).expect("a thread");
        }
    });
    control::obey(|line| match line.strip_prefix("once ") {
        Some(count) => shared.answer_once(count.parse().expect("a number")),
        None => shared.lays_aside.store(true, Ordering::Relaxed),
    });
}

/// What all connections share.
struct Shared {
    config: Arc<ServerConfig>,
    /// A connection is laid aside after its first message.
    lays_aside: AtomicBool,
    aside: Mutex<Vec<Tls>>,
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let tls = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(tls, stream);
        let mut held = Vec::new();
        while answer(&mut tls, &mut held)? {
            assert_eq!(tls.conn.handshake_kind(), Some(HandshakeKind::Full));
            if self.lays_aside.load(Ordering::Relaxed) {
                self.aside.lock().expect("nobody panicked").push(tls);
                return Ok(());
            }
        }
        tls.conn.send_close_notify();
        tls.flush()
    }

    fn answer_once(&self, count: usize) {
        // The last ones are being laid aside.
        while self.aside.lock().expect("nobody panicked").len() < count {
            std::thread::yield_now();
        }
        for tls in self.aside.lock().expect("nobody panicked").iter_mut() {
            let answered = answer(tls, &mut Vec::new()).expect("a message");
            assert!(answered, "the connection has ended");
        }
    }
}

/// Answers one message. `false` if there is none any more.
fn answer(tls: &mut Tls, held: &mut Vec<u8>) -> io::Result<bool> {
    let Some(request) = message::read(tls, held)? else {
        return Ok(false);
    };
    tls.write_all(&message::answer(&request))?;
    Ok(true)
}

/// Enough for a handshake, ten thousand times.
const STACK_BYTES: usize = 256 * 1024;
