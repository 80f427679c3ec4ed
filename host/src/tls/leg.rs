//! One leg: TLS with one peer, from its first byte to the end.
//!
//! Comes in: bytes from the peer, text for it. Goes out: text from the peer, bytes for it. The server leg reads what
//! the peer asks for before it answers, since the peer behind decides what can be answered.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ClientConnection, Connection, Error, HandshakeKind, ServerConfig};

/// What the peer that dials asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// Server name.
    pub name: Option<String>,
    /// Application protocols.
    pub protocols: Vec<Vec<u8>>,
}

/// TLS with one peer.
pub(super) struct Leg {
    stage: Stage,
    /// Bytes that came behind the hello, while it waits for its answer.
    behind: Vec<u8>,
    /// The peer said that it has no more to say.
    pub has_closed: bool,
}

enum Stage {
    Hello(Box<Acceptor>),
    Held(Box<Accepted>),
    Open(Box<Connection>),
    Failed(AcceptedAlert),
    Absent,
}

impl Leg {
    /// A leg whose peer is to speak first.
    pub fn server() -> Self {
        Self::at(Stage::Hello(Box::default()))
    }

    /// A leg that does not exist yet.
    pub fn absent() -> Self {
        Self::at(Stage::Absent)
    }

    /// A leg that speaks first.
    pub fn client(connection: ClientConnection) -> Self {
        Self::at(Stage::Open(Box::new(open(connection.into()))))
    }

    fn at(stage: Stage) -> Self {
        Self {
            stage,
            behind: Vec::new(),
            has_closed: false,
        }
    }

    /// Takes bytes from the peer; appends the text in them.
    pub fn read(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.stage {
                Stage::Hello(acceptor) => {
                    acceptor.read_tls(&mut rest).map_err(io)?;
                    match acceptor.accept() {
                        Ok(None) => {}
                        Ok(Some(accepted)) => self.stage = Stage::Held(Box::new(accepted)),
                        Err((error, alert)) => {
                            self.stage = Stage::Failed(alert);
                            return Err(error);
                        }
                    }
                }
                Stage::Held(_) => {
                    self.behind.extend_from_slice(rest);
                    rest = &[];
                }
                Stage::Open(connection) => {
                    connection.read_tls(&mut rest).map_err(io)?;
                    let state = connection.process_new_packets()?;
                    let at = text.len();
                    text.resize(at + state.plaintext_bytes_to_read(), 0);
                    connection
                        .reader()
                        .read_exact(&mut text[at..])
                        .map_err(io)?;
                    self.has_closed |= state.peer_has_closed();
                    if self.has_closed {
                        // What follows is noise.
                        rest = &[];
                    }
                }
                Stage::Failed(_) | Stage::Absent => rest = &[],
            }
        }
        Ok(())
    }

    /// What the peer asks for, while it waits for an answer.
    pub fn hello(&self) -> Option<Hello> {
        let Stage::Held(accepted) = &self.stage else {
            return None;
        };
        let hello = accepted.client_hello();
        Some(Hello {
            name: hello.server_name().map(str::to_ascii_lowercase),
            protocols: hello
                .alpn()
                .map(|list| list.map(<[u8]>::to_vec).collect())
                .unwrap_or_default(),
        })
    }

    /// Answers the hello.
    pub fn answer(&mut self, config: Arc<ServerConfig>, text: &mut Vec<u8>) -> Result<(), Error> {
        match std::mem::replace(&mut self.stage, Stage::Absent) {
            Stage::Held(accepted) => match accepted.into_connection(config) {
                Ok(connection) => {
                    self.stage = Stage::Open(Box::new(open(connection.into())));
                    let behind = std::mem::take(&mut self.behind);
                    self.read(&behind, text)
                }
                Err((error, alert)) => {
                    self.stage = Stage::Failed(alert);
                    Err(error)
                }
            },
            stage => {
                self.stage = stage;
                Ok(())
            }
        }
    }

    /// Whether there is TLS with the peer, and both know it.
    pub fn is_established(&self) -> bool {
        self.connection()
            .is_some_and(|connection| !connection.is_handshaking())
    }

    /// Takes text for the peer; returns how much. Less than all means that the peer is slow.
    pub fn write(&mut self, text: &[u8]) -> usize {
        match &mut self.stage {
            // Writing into the library's own buffer cannot fail.
            Stage::Open(connection) => connection.writer().write(text).unwrap_or(0),
            _ => 0,
        }
    }

    /// Says that no more text comes.
    pub fn close(&mut self) {
        if let Stage::Open(connection) = &mut self.stage {
            connection.send_close_notify();
        }
    }

    /// Appends bytes for the peer, all there are.
    pub fn take_bytes(&mut self, out: &mut Vec<u8>) {
        match &mut self.stage {
            Stage::Open(connection) => {
                while connection.write_tls(out).is_ok_and(|length| length > 0) {}
            }
            Stage::Failed(alert) => while alert.write(out).is_ok_and(|length| length > 0) {},
            _ => {}
        }
    }

    /// Certificates of the peer.
    pub fn certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection()?.peer_certificates()
    }

    /// The application protocol in use.
    pub fn protocol(&self) -> Option<Vec<u8>> {
        self.connection()?.alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Version of TLS, cipher suite, key exchange, and whether an earlier session goes on.
    pub fn about(&self) -> Option<About> {
        let connection = self.connection()?;
        let version = match connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        let exchange = connection.negotiated_key_exchange_group();
        Some(About {
            version,
            suite: format!("{suite:?}"),
            exchange: exchange.map(|group| format!("{:?}", group.name())),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.stage {
            Stage::Open(connection) => Some(connection),
            _ => None,
        }
    }
}

/// How a leg is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// Cipher suite.
    pub suite: String,
    /// Key exchange; a resumed session may have none.
    pub exchange: Option<String>,
    /// An earlier session goes on.
    pub is_resumed: bool,
}

fn open(mut connection: Connection) -> Connection {
    connection.set_buffer_limit(Some(BUFFER_BYTES));
    connection
}

/// The library refuses bytes when a message is longer than any may be.
fn io(error: std::io::Error) -> Error {
    Error::General(error.to_string())
}

/// Text and bytes that wait for a slow peer, each.
const BUFFER_BYTES: usize = 64 * 1024;
