//! SIP as the load speaks it: a MESSAGE of a partner's user, and the server's answer.

use std::io::{self, Read};
use std::net::SocketAddrV4;

/// A MESSAGE; `number` makes it unlike all others of its sender.
pub fn request(from: SocketAddrV4, number: u64) -> Vec<u8> {
    let (host, body) = (
        from.ip(),
        "presence is what this is all about\r\n".repeat(4),
    );
    format!(
        "MESSAGE sip:bob@office.example SIP/2.0\r\n\
         Via: SIP/2.0/TLS {from};branch=z9hG4bK-{host}-{number}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@partner.example>;tag=a{number}\r\n\
         To: <sip:bob@office.example>\r\n\
         Call-ID: {number}@{from}\r\n\
         CSeq: {number} MESSAGE\r\n\
         Contact: <sip:alice@{host}:5061;transport=tls>\r\n\
         User-Agent: load\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{body}",
        length = body.len()
    )
    .into_bytes()
}

/// The answer of the server, which says where it is: that is to be translated on its way out.
pub fn answer(request: &str) -> Vec<u8> {
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for line in request.split("\r\n").take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if matches!(name, "Via" | "From" | "Call-ID" | "CSeq") {
            text += line;
            text += "\r\n";
        } else if name == "To" {
            text += line;
            text += ";tag=b\r\n";
        }
    }
    text += "Contact: <sip:bob@10.0.0.2:5061;transport=tls>\r\nContent-Length: 0\r\n\r\n";
    text.into_bytes()
}

/// Reads one message; `held` keeps what came behind it.
pub fn read(stream: &mut impl Read, held: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(length) = length(held) {
            let rest = held.split_off(length);
            let message = std::mem::replace(held, rest);
            return String::from_utf8(message)
                .map(Some)
                .map_err(io::Error::other);
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes)? {
            0 => return Ok(None),
            length => held.extend_from_slice(&bytes[..length]),
        }
    }
}

/// Length of the message that begins here, if it is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let line = head.split("\r\nContent-Length: ").nth(1)?;
    let body: usize = line.split("\r\n").next()?.parse().ok()?;
    (bytes.len() >= end + body).then_some(end + body)
}
