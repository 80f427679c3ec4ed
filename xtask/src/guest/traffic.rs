//! Connections through the card, from the two networks beside it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::report::{equal, is};
use crate::networks::{self, CLIENT, FAR, GATEWAY, Lab, Side};
use crate::process::{Failure, Result};

/// Address and port of the XMPP server as the outside sees it.
const MAPPED_SERVER: &str = "192.0.2.10:5269";
/// Address that the inside shares by dynamic PAT.
const MAPPED_CLIENTS: &str = "192.0.2.1";
/// Bytes in each direction of a connection.
const BYTES: usize = 200_000;

/// A connection through the card, both ends.
pub struct Pair {
    client: TcpStream,
    server: TcpStream,
}

/// An XMPP connection from outside, through static PAT.
pub fn inbound(lab: &Lab) -> Result<Pair> {
    let listener = lab
        .listen(Side::Inside, &format!("{CLIENT}:5269"))
        .map_err(failed)?;
    let pair = connect(lab, Side::Outside, MAPPED_SERVER, &listener)?;
    let peer = pair.server.peer_addr().map_err(failed)?.ip().to_string();
    equal(
        "inbound: the server sees the client",
        peer.as_str(),
        GATEWAY,
    )?;
    Ok(pair)
}

/// A connection from inside, through dynamic PAT.
pub fn outbound(lab: &Lab) -> Result<Pair> {
    let listener = lab
        .listen(Side::Outside, &format!("{FAR}:443"))
        .map_err(failed)?;
    let pair = connect(lab, Side::Inside, &format!("{FAR}:443"), &listener)?;
    let peer = pair.server.peer_addr().map_err(failed)?.ip().to_string();
    equal(
        "outbound: the server sees the client as",
        peer.as_str(),
        MAPPED_CLIENTS,
    )?;
    Ok(pair)
}

/// Datagrams to a port that nobody may reach.
pub fn denied(lab: &Lab, count: usize) -> Result {
    let socket = lab
        .datagrams(Side::Outside, &format!("{GATEWAY}:0"))
        .map_err(failed)?;
    for _ in 0..count {
        socket
            .send_to(b"let me in", "192.0.2.10:22")
            .map_err(failed)?;
    }
    Ok(())
}

impl Pair {
    /// Sends bytes both ways and compares what arrives.
    pub fn exchange(&mut self, what: &str) -> Result {
        for (from, to) in [(&self.client, &self.server), (&self.server, &self.client)] {
            let sent: Vec<u8> = (0..BYTES).map(|at| (at / 3) as u8).collect();
            let mut received = vec![0; BYTES];
            let (mut from, mut to) = (from, to);
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| from.write_all(&sent));
                to.read_exact(&mut received)?;
                writer.join().unwrap_or(Ok(()))
            })
            .map_err(failed)?;
            let right = sent
                .iter()
                .zip(&received)
                .take_while(|(a, b)| a == b)
                .count();
            is(
                &format!("{what}: bytes that arrived"),
                &right,
                right == BYTES,
                &BYTES.to_string(),
            )?;
        }
        Ok(())
    }

    /// Ends the connection and waits for both ends of it.
    pub fn close(self) -> Result {
        let mut rest = Vec::new();
        for end in [&self.client, &self.server] {
            end.shutdown(Shutdown::Write).map_err(failed)?;
        }
        for mut end in [&self.client, &self.server] {
            end.read_to_end(&mut rest).map_err(failed)?;
        }
        equal("bytes after the end", rest.len(), 0)
    }
}

fn connect(lab: &Lab, side: Side, address: &str, listener: &TcpListener) -> Result<Pair> {
    let client = lab.connect(side, address).map_err(failed)?;
    let (server, _) = networks::accept(listener).map_err(failed)?;
    Ok(Pair { client, server })
}

fn failed(error: std::io::Error) -> Failure {
    Failure::Check(format!("traffic through the card: {error}"))
}
