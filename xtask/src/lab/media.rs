//! Media of a call: RTP and RTCP of one telephone (RFC 3550), 20 ms of PCMU a packet.
//!
//! One side sends and the other sends everything back, one packet at a time, so nothing depends on how fast the card
//! is simulated. Each packet is what it was when it went out, to the last byte.

use std::net::UdpSocket;

use crate::networks::{Lab, Side};
use crate::process::{Failure, Result};

use super::user::failed;

/// Where a telephone receives.
pub struct Media {
    address: &'static str,
    port: u16,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Media {
    /// At a port and the one beside it.
    pub fn new(lab: &Lab, side: Side, address: &'static str, port: u16) -> Result<Self> {
        let open = |port: u16| {
            let end = format!("{address}:{port}");
            lab.datagrams(side, &end).map_err(failed)
        };
        Ok(Self {
            address,
            port,
            rtp: open(port)?,
            rtcp: open(port + 1)?,
        })
    }

    /// Its description (RFC 8866).
    pub fn description(&self) -> String {
        let Self { address, port, .. } = self;
        format!(
            "v=0\r\no=user 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    }

    /// Sends to whom a description names, and gets everything back.
    pub fn talk(&self, description: &str) -> Result {
        let (address, port) = peer(description)?;
        for sequence in 0..PACKETS {
            exchange(&self.rtp, (&address, port), &packet(sequence))?;
        }
        exchange(&self.rtcp, (&address, port + 1), &report())
    }

    /// Sends everything back to whoever sent it.
    pub fn listen(&self) -> Result {
        for _ in 0..PACKETS {
            echo(&self.rtp)?;
        }
        echo(&self.rtcp)
    }
}

/// Sends a packet and waits until it comes back.
fn exchange(socket: &UdpSocket, to: (&str, u16), packet: &[u8]) -> Result {
    socket.send_to(packet, to).map_err(failed)?;
    let mut buffer = [0; 2048];
    let (length, from) = socket
        .recv_from(&mut buffer)
        .map_err(|error| Failure::Check(format!("no media from {}:{} ({error})", to.0, to.1)))?;
    let came = (from.ip().to_string(), from.port());
    if (came.0.as_str(), came.1) != to || buffer[..length] != *packet {
        return Err(Failure::Check(format!(
            "media to {}:{} came back from {from}, or changed",
            to.0, to.1
        )));
    }
    Ok(())
}

fn echo(socket: &UdpSocket) -> Result {
    let mut buffer = [0; 2048];
    let (length, from) = socket
        .recv_from(&mut buffer)
        .map_err(|error| Failure::Check(format!("no media came ({error})")))?;
    socket.send_to(&buffer[..length], from).map_err(failed)?;
    Ok(())
}

/// RFC 3550 §5.1.
fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(0x1234_5678_u32.to_be_bytes());
    packet.extend((0..160).map(|at| (at as u8) ^ sequence as u8));
    packet
}

/// A sender report without receptions (RFC 3550 §6.4.1).
fn report() -> Vec<u8> {
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(0x1234_5678_u32.to_be_bytes());
    report.extend([0; 20]);
    report
}

/// Address and port that a description names.
fn peer(description: &str) -> Result<(String, u16)> {
    let value = |prefix: &str| {
        let mut lines = description.lines();
        lines.find_map(|line| line.strip_prefix(prefix))
    };
    let address = value("c=IN IP4 ").map(|address| address.trim().to_owned());
    let port = value("m=audio ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    address
        .zip(port)
        .ok_or_else(|| Failure::Check(format!("no media in {description}")))
}

/// A second of a call.
pub const PACKETS: u16 = 50;
