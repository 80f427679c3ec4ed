//! A session description (RFC 8866) as spans of its bytes: what carries addresses and ports.

use std::net::Ipv4Addr;

use super::limits::{MEDIA, SDP_LINES};
use super::scan::{Span, ipv4, number};

/// A connection line, `c=IN IP4 ADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Where the address stands.
    pub span: Span,
    /// The address; `None` for IPv6, names, and groups with a time to live.
    pub address: Option<Ipv4Addr>,
}

/// `a=rtcp:PORT [IN IP4 ADDRESS]` (RFC 3605).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Where the port stands.
    pub port_span: Span,
    /// The port.
    pub port: u16,
    /// Address and where it stands.
    pub address: Option<(Span, Ipv4Addr)>,
}

/// `a=candidate:` (RFC 8839 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The line with its end.
    pub line: Span,
    /// Over UDP.
    pub is_udp: bool,
    /// Address and where it stands.
    pub address: Option<(Span, Ipv4Addr)>,
    /// Port and where it stands.
    pub port: (Span, u16),
}

/// A medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Behind its `m=` and `i=` lines: where a connection line belongs.
    pub after: usize,
    /// Behind its last line: where an attribute may be added.
    pub end: usize,
    /// Where the port stands.
    pub port_span: Span,
    /// First port; 0 when refused.
    pub port: u16,
    /// Pairs of ports.
    pub pairs: u16,
    /// `RTP/AVP` and its like.
    pub is_rtp: bool,
    /// Over TCP.
    pub is_tcp: bool,
    /// Its own connection line.
    pub connection: Option<Connection>,
    /// Its own RTCP port.
    pub rtcp: Option<Rtcp>,
    /// RTCP shares the port (RFC 5761).
    pub is_muxed: bool,
    /// ICE candidates.
    pub candidates: Vec<Candidate>,
}

/// What of a description carries addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdp {
    /// Address of `o=` and where it stands.
    pub origin: Option<(Span, Ipv4Addr)>,
    /// Connection line of the session.
    pub connection: Option<Connection>,
    /// Media in order.
    pub media: Vec<Media>,
    /// Triples of `a=remote-candidates`: address and port.
    pub remote_candidates: Vec<((Span, Ipv4Addr), (Span, u16))>,
    /// `a=alt` lines with their ends.
    pub alternatives: Vec<Span>,
    /// Every line read as its grammar wants it, and within the limits.
    pub is_whole: bool,
}

/// Words of a line by position.
struct Words<'a> {
    bytes: &'a [u8],
    rest: Span,
}

impl Words<'_> {
    fn next(&mut self) -> Option<Span> {
        let rest = self.rest.of(self.bytes);
        let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
        let length = rest[blanks..]
            .iter()
            .take_while(|byte| **byte != b' ')
            .count();
        let start = self.rest.start + blanks;
        self.rest.start = start + length;
        (length > 0).then(|| Span::new(start, start + length))
    }

    fn text(&mut self) -> Option<&[u8]> {
        let bytes = self.bytes;
        self.next().map(|span| span.of(bytes))
    }

    fn address(&mut self) -> Option<(Span, Option<Ipv4Addr>)> {
        let span = self.next()?;
        Some((span, ipv4(span.of(self.bytes))))
    }

    fn port(&mut self) -> Option<(Span, u16)> {
        let span = self.next()?;
        let port = number(span.of(self.bytes))?.try_into().ok()?;
        Some((span, port))
    }

    /// `IN IP4 ADDRESS`; other networks have no address for us.
    fn network_address(&mut self) -> Option<(Span, Option<Ipv4Addr>)> {
        let is_internet = self.text()?.eq_ignore_ascii_case(b"IN");
        let is_v4 = self.text()?.eq_ignore_ascii_case(b"IP4");
        let (span, address) = self.address()?;
        Some((span, address.filter(|_| is_internet && is_v4)))
    }
}

impl Sdp {
    /// Reads a description.
    pub fn parse(bytes: &[u8], body: Span) -> Self {
        let mut sdp = Sdp {
            is_whole: true,
            ..Sdp::default()
        };
        let mut start = body.start;
        let text = body.of(bytes);
        for (count, raw) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = Span::new(start, start + raw.len());
            start = line.end;
            if count == SDP_LINES {
                sdp.is_whole = false;
                break;
            }
            if sdp.line(bytes, line).is_none() {
                sdp.is_whole = false;
            }
        }
        sdp
    }

    fn line(&mut self, bytes: &[u8], line: Span) -> Option<()> {
        let text = line.of(bytes);
        let ends = text
            .iter()
            .rev()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let value = Span::new(line.start + 2, line.end - ends);
        let words = |rest| Words { bytes, rest };
        match text {
            [b'm', b'=', ..] => self.media_line(words(value), line)?,
            [b'c', b'=', ..] => {
                let (span, address) = words(value).network_address()?;
                let connection = Some(Connection { span, address });
                match self.media.last_mut() {
                    Some(media) => media.connection = media.connection.or(connection),
                    None => self.connection = self.connection.or(connection),
                }
            }
            [b'o', b'=', ..] => {
                let mut words = words(value);
                for _ in 0..3 {
                    words.next()?;
                }
                let (span, address) = words.network_address()?;
                self.origin = address.map(|address| (span, address));
            }
            [b'a', b'=', ..] => self.attribute(bytes, value, line)?,
            [b'i', b'=', ..] => {
                if let Some(media) = self.media.last_mut() {
                    media.after = line.end;
                }
            }
            [letter, b'=', ..] => letter.is_ascii_lowercase().then_some(())?,
            [] | [b'\r' | b'\n', ..] => return Some(()),
            _ => return None,
        }
        if let Some(media) = self.media.last_mut() {
            media.end = line.end;
        }
        Some(())
    }

    /// `m=KIND PORT[/PAIRS] PROTO FORMATS`.
    fn media_line(&mut self, mut words: Words<'_>, line: Span) -> Option<()> {
        if self.media.len() == MEDIA {
            return None;
        }
        words.next()?;
        let ports = words.next()?;
        let text = ports.of(words.bytes);
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let port = number(&text[..digits])?.try_into().ok()?;
        let pairs = match text[digits..] {
            [] => 1,
            [b'/', ref pairs @ ..] => number(pairs)?.try_into().ok()?,
            _ => return None,
        };
        let proto = words.text()?.to_ascii_uppercase();
        self.media.push(Media {
            after: line.end,
            end: line.end,
            port_span: Span::new(ports.start, ports.start + digits),
            port,
            pairs,
            is_rtp: proto.windows(4).any(|part| part == b"RTP/"),
            is_tcp: proto.starts_with(b"TCP"),
            connection: None,
            rtcp: None,
            is_muxed: false,
            candidates: Vec::new(),
        });
        Some(())
    }

    fn attribute(&mut self, bytes: &[u8], value: Span, line: Span) -> Option<()> {
        let text = value.of(bytes);
        let colon = text.iter().position(|byte| *byte == b':');
        let name = &text[..colon.unwrap_or(text.len())];
        let start = value.start + colon.map_or(text.len(), |at| at + 1);
        let mut words = Words {
            bytes,
            rest: Span::new(start, value.end),
        };
        match name {
            b"rtcp" => {
                let (port_span, port) = words.port()?;
                let address = words.network_address();
                let address = address.and_then(|(span, address)| Some((span, address?)));
                let media = self.media.last_mut()?;
                media.rtcp = Some(Rtcp {
                    port_span,
                    port,
                    address,
                });
            }
            b"rtcp-mux" => self.media.last_mut()?.is_muxed = true,
            b"candidate" => {
                let found = candidate(words, line)?;
                self.media.last_mut()?.candidates.push(found);
            }
            b"remote-candidates" => {
                while words.next().is_some() {
                    let (span, address) = words.address()?;
                    let port = words.port()?;
                    if let Some(address) = address {
                        self.remote_candidates.push(((span, address), port));
                    }
                }
            }
            b"alt" => self.alternatives.push(line),
            _ => {}
        }
        Some(())
    }

    /// The address that a medium's packets go to, and where it stands.
    pub fn address_of(&self, media: &Media) -> Option<Connection> {
        media.connection.or(self.connection)
    }
}

/// `FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ …`.
fn candidate(mut words: Words<'_>, line: Span) -> Option<Candidate> {
    words.next()?;
    words.next()?;
    let is_udp = words.text()?.eq_ignore_ascii_case(b"UDP");
    words.next()?;
    let (span, address) = words.address()?;
    let port = words.port()?;
    Some(Candidate {
        line,
        is_udp,
        address: address.map(|address| (span, address)),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ports_are_found_where_they_stand() {
        let text = "v=0\r\no=a 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n\
            m=audio 49170/2 RTP/AVP 0\r\na=rtcp:53020 IN IP4 10.0.0.3\r\n\
            m=message 7394 TCP/MSRP *\r\nc=IN IP6 2001:db8::1\r\n\
            m=video 0 UDP/TLS/RTP/SAVPF 31\r\na=rtcp-mux\r\n\
            a=candidate:1 1 UDP 2130706431 10.0.0.2 8998 typ host\r\n\
            a=remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665\r\n";
        let bytes = text.as_bytes();
        let sdp = Sdp::parse(bytes, Span::new(0, bytes.len()));
        assert!(sdp.is_whole);
        assert_eq!(sdp.origin.map(|(_, at)| at), Some([10, 0, 0, 9].into()));
        let [audio, message, video] = &sdp.media[..] else {
            panic!("three media: {sdp:?}");
        };
        assert_eq!((audio.port, audio.pairs, audio.is_rtp), (49170, 2, true));
        assert_eq!(audio.port_span.of(bytes), b"49170");
        let rtcp = audio.rtcp.expect("a=rtcp");
        assert_eq!(
            (rtcp.port_span.of(bytes), rtcp.port),
            (&b"53020"[..], 53020)
        );
        assert_eq!(
            rtcp.address.map(|(span, _)| span.of(bytes)),
            Some(&b"10.0.0.3"[..])
        );
        let own = sdp.address_of(audio).and_then(|own| own.address);
        assert_eq!(own, Some([10, 0, 0, 2].into()));
        assert!(message.is_tcp && !message.is_rtp);
        assert_eq!(sdp.address_of(message).and_then(|own| own.address), None);
        assert!(video.is_muxed && video.is_rtp && video.port == 0);
        assert_eq!(video.candidates[0].port.1, 8998);
        assert_eq!(sdp.remote_candidates.len(), 2);
    }

    #[test]
    fn what_is_malformed_is_said() {
        for text in [
            "m=audio x RTP/AVP 0\r\n",
            "m =video 3227 RTP/AVP 31\r\n",
            "m=audio 70000 RTP/AVP 0\r\n",
            "c=IN IP4\r\n",
            "a=rtcp:1\r\n",
            "testing=123\r\n",
        ] {
            assert!(
                !Sdp::parse(text.as_bytes(), Span::new(0, text.len())).is_whole,
                "{text}"
            );
        }
    }
}
