//! The smallest HTTP client that carries a protocol's questions to a server on this machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use host::pki::enrol::{Answer, Ask, MAX_ANSWER_BYTES};

/// How long a server may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks with HTTP/1.0, where the end of the connection is the end of the answer.
#[track_caller]
pub fn exchange(ask: &Ask) -> Answer {
    let rest = ask.url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let head = match &ask.body {
        None => format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"),
        Some(body) => format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            body.content_type,
            body.bytes.len()
        ),
    };
    stream.write_all(head.as_bytes()).expect("the server reads");
    if let Some(body) = &ask.body {
        stream.write_all(&body.bytes).expect("the server reads");
    }
    let mut bytes = Vec::new();
    stream
        .take(MAX_ANSWER_BYTES as u64)
        .read_to_end(&mut bytes)
        .expect("the server answers");
    parse(&bytes)
}

#[track_caller]
fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no HTTP: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let content_type = lines
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map_or("", |(_, value)| value);
    Answer {
        status: status.and_then(|text| text.parse().ok()).expect("a status"),
        content_type: content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .to_lowercase(),
        retry_after: None,
        body: bytes[end + 4..].to_vec(),
    }
}
