//! A user of a presence server: speaks SIP over UDP with its own server, and with nobody else (RFC 3261).
//!
//! It answers every request with 200 while it waits for what it wants, so the order in which things come does not
//! matter. Networks of one machine lose nothing, so it sends nothing twice.

use std::io;
use std::net::UdpSocket;

use super::media::Media;
use super::sip::Presence;
use crate::networks::Lab;
use crate::process::{Failure, Result};

/// A user with a socket beside its server.
pub struct User {
    socket: UdpSocket,
    server: String,
    domain: &'static str,
    /// Own address and port.
    contact: String,
    media: Media,
    tag: String,
    count: u32,
}

/// A message, as text.
struct Message(String);

/// Where requests within a dialog go, and what they say of it.
struct Dialog {
    target: String,
    routes: Vec<String>,
    to: String,
    call: String,
}

impl User {
    /// A user at a port beside a server.
    pub fn new(lab: &Lab, server: &Presence, port: u16) -> Result<Self> {
        let contact = format!("{}:{port}", server.address);
        let media = Media::new(lab, server.side, server.address, port + 40_000)?;
        let socket = lab.datagrams(server.side, &contact).map_err(failed)?;
        Ok(Self {
            socket,
            server: format!("{}:5060", server.address),
            domain: server.domain,
            media,
            contact,
            tag: format!("t{port}"),
            count: 0,
        })
    }

    /// Asks the other enterprise, subscribes and gets the state, writes, calls, is heard, and hangs up.
    pub fn talk_to(&mut self, other_domain: &str) -> Result {
        let bob = format!("sip:bob@{other_domain}");
        self.ask("OPTIONS", &bob, "", "")?;
        let event = "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 300\r\n";
        self.send("SUBSCRIBE", &bob, event, "")?;
        self.wait_for(&["SUBSCRIBE 2", "NOTIFY"])?;
        let hello = format!("hello from {}", self.domain);
        self.ask("MESSAGE", &bob, "Content-Type: text/plain\r\n", &hello)?;
        let offer = self.media.description();
        let answer = self.ask("INVITE", &bob, "Content-Type: application/sdp\r\n", &offer)?;
        let dialog = Dialog {
            target: inside_brackets(answer.field("Contact")?),
            routes: answer
                .fields("Record-Route")
                .rev()
                .map(str::to_owned)
                .collect(),
            to: answer.field("To")?.to_owned(),
            call: answer.field("Call-ID")?.to_owned(),
        };
        self.send_within("ACK", &dialog)?;
        self.media.talk(answer.body())?;
        self.count += 1;
        self.send_within("BYE", &dialog)?;
        self.wait_for(&["BYE 2"]).map(drop)
    }

    /// Takes one call and says what it hears, until the caller hangs up.
    pub fn take_call(&mut self) -> Result {
        self.wait_for(&["INVITE", "ACK"])?;
        self.media.listen()?;
        self.wait_for(&["BYE"]).map(drop)
    }

    fn ask(&mut self, method: &str, target: &str, extra: &str, body: &str) -> Result<Message> {
        self.send(method, target, extra, body)?;
        self.wait_for(&[&format!("{method} 2")])
    }

    fn send(&mut self, method: &str, target: &str, extra: &str, body: &str) -> Result {
        self.count += 1;
        let (contact, tag, count, domain) = (&self.contact, &self.tag, self.count, self.domain);
        self.put(&format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {contact};branch=z9hG4bK{tag}{count}\r\n\
             From: <sip:alice@{domain}>;tag={tag}{count}\r\nTo: <{target}>\r\n\
             Call-ID: {tag}{count}@{contact}\r\nCSeq: {count} {method}\r\n\
             Contact: <sip:alice@{contact}>\r\nMax-Forwards: 70\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Within the dialog of the last INVITE, whose number ACK keeps.
    fn send_within(&mut self, method: &str, dialog: &Dialog) -> Result {
        let Dialog {
            target,
            routes,
            to,
            call,
        } = dialog;
        let (contact, tag, count, domain) = (&self.contact, &self.tag, self.count, self.domain);
        let from = call.split('@').next().unwrap_or_default();
        let routes: String = routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        self.put(&format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {contact};branch=z9hG4bK{tag}{count}{method}\r\n\
             From: <sip:alice@{domain}>;tag={from}\r\nTo: {to}\r\nCall-ID: {call}\r\n\
             CSeq: {count} {method}\r\n{routes}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ))
    }

    /// Waits for requests (`NOTIFY`) and answers (`BYE 2`: of the 2xx kind) in any order; returns the last of them.
    fn wait_for(&mut self, wanted: &[&str]) -> Result<Message> {
        let mut missing: Vec<&str> = wanted.to_vec();
        loop {
            let message = self.take().map_err(|error| {
                Failure::Check(format!(
                    "{}: no {} ({error})",
                    self.contact,
                    missing.join(", ")
                ))
            })?;
            let what = message.kind();
            if let Some(code) = what.split(' ').nth(1) {
                if !matches!(code, "1" | "2") {
                    return Err(Failure::Check(format!("refused: {}", message.0)));
                }
            } else if what != "ACK" {
                self.answer(&message)?;
            }
            missing.retain(|wanted| *wanted != what);
            if missing.is_empty() {
                return Ok(message);
            }
        }
    }

    fn answer(&self, request: &Message) -> Result {
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for name in ["Via", "Record-Route", "From", "Call-ID", "CSeq"] {
            for value in request.fields(name) {
                answer += &format!("{name}: {value}\r\n");
            }
        }
        let to = request.field("To")?;
        let tag = if to.contains("tag=") {
            ""
        } else {
            ";tag=callee"
        };
        answer += &format!("To: {to}{tag}\r\nContact: <sip:bob@{}>\r\n", self.contact);
        let body = match request.kind().as_str() {
            "INVITE" => self.media.description(),
            _ => String::new(),
        };
        if !body.is_empty() {
            answer += "Content-Type: application/sdp\r\n";
        }
        self.put(&format!(
            "{answer}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn put(&self, text: &str) -> Result {
        let sent = self.socket.send_to(text.as_bytes(), &self.server);
        sent.map(drop).map_err(failed)
    }

    fn take(&self) -> io::Result<Message> {
        let mut buffer = [0; 65_536];
        let length = self.socket.recv(&mut buffer)?;
        Ok(Message(
            String::from_utf8_lossy(&buffer[..length]).into_owned(),
        ))
    }
}

impl Message {
    /// `NOTIFY` of a request, `BYE 2` of an answer: whose, and the first digit of its code.
    fn kind(&self) -> String {
        let first = self.0.lines().next().unwrap_or_default();
        match first.strip_prefix("SIP/2.0 ") {
            Some(code) => {
                let cseq = self.field("CSeq").unwrap_or_default();
                let method = cseq.split(' ').nth(1).unwrap_or_default();
                format!("{method} {}", &code[..1.min(code.len())])
            }
            None => first.split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    fn fields<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn field(&self, name: &str) -> Result<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let mut values = head.lines().filter_map(|line| line.split_once(':'));
        let found = values.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.trim())
            .ok_or_else(|| Failure::Check(format!("no {name} in {}", self.0)))
    }
}

fn inside_brackets(value: &str) -> String {
    let inner = value
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(value, |(inner, _)| inner).to_owned()
}

/// A socket that does not do as it should.
pub fn failed(error: io::Error) -> Failure {
    Failure::Check(error.to_string())
}
