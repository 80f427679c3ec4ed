//! A partner's server: it dials, and sends messages that are answered.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::certificates::SERVER_NAME;
use super::message;

/// A connection to whoever is measured.
pub struct Client {
    tls: StreamOwned<ClientConnection, TcpStream>,
    from: SocketAddrV4,
    sent: u64,
    held: Vec<u8>,
}

impl Client {
    /// Dials. The handshake is done with the first message.
    pub fn dial(config: &Arc<ClientConfig>, from: SocketAddrV4, to: SocketAddrV4) -> Self {
        let connected = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            // The proxy speaks to the server from the same address and port.
            socket.set_reuse_address(true)?;
            socket.bind(&from.into())?;
            socket.connect(&to.into())?;
            socket.set_tcp_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok::<TcpStream, io::Error>(socket.into())
        };
        let stream = connected().unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
        let name = ServerName::try_from(SERVER_NAME).expect("a name");
        let tls = ClientConnection::new(Arc::clone(config), name).expect("a client");
        Self {
            tls: StreamOwned::new(tls, stream),
            from,
            sent: 0,
            held: Vec::new(),
        }
    }

    pub fn send(&mut self) {
        self.sent += 1;
        let request = message::request(self.from, self.sent);
        let sent = self.tls.write_all(&request).and_then(|()| self.tls.flush());
        sent.unwrap_or_else(|error| panic!("{}: {error}", self.from));
    }

    /// Waits for the answer, and returns it.
    pub fn receive(&mut self) -> String {
        let answer = message::read(&mut self.tls, &mut self.held);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", self.from));
        let answer = answer.expect("an answer before the end");
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        answer
    }

    /// A message and its answer.
    pub fn exchange(&mut self) -> String {
        self.send();
        self.receive()
    }

    /// Says goodbye, and waits for the other end's.
    pub fn close(mut self) {
        assert_eq!(self.tls.conn.handshake_kind(), Some(HandshakeKind::Full));
        self.tls.conn.send_close_notify();
        self.tls.flush().expect("it listens");
        // The end comes with or without a word.
        let _ = message::read(&mut self.tls, &mut self.held);
    }
}

/// Addresses and ports that no connection had before: the proxy remembers, and the kernel does for a while.
#[derive(Debug)]
pub struct Places {
    next: u32,
}

/// Connections from one address.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub address: Ipv4Addr,
    pub port: u16,
    pub count: u16,
}

impl Places {
    pub fn new() -> Self {
        Self { next: 0 }
    }

    /// A block for so many connections.
    pub fn take(&mut self, count: u16) -> Block {
        assert!(count <= BLOCK);
        let (row, address) = (self.next / ADDRESSES, self.next % ADDRESSES);
        self.next += 1;
        Block {
            address: Ipv4Addr::new(198, 51, 100, 1 + address as u8),
            port: FIRST_PORT + row as u16 * BLOCK,
            count,
        }
    }
}

impl Block {
    pub fn words(self) -> String {
        format!("{} {} {}", self.address, self.port, self.count)
    }

    pub fn iter(self) -> impl Iterator<Item = SocketAddrV4> {
        let ports = self.port..self.port + self.count;
        ports.map(move |port| SocketAddrV4::new(self.address, port))
    }
}

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses of partners.
const ADDRESSES: u32 = 200;
/// Ports of a block.
pub const BLOCK: u16 = 100;
/// Below, the kernel has its own for whoever asks for none.
const FIRST_PORT: u16 = 1024;
