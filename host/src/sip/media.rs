//! Fix-up of a session description: `c=`, `m=`, `a=rtcp`, `o=`, ICE candidates.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::field::Field;
use super::fixup::{Candidates, End, Fixer, MediaEnd, ORIGIN, is_usable};
use super::limits::PORT_PAIRS;
use super::scan::Span;
use super::sdp::{Candidate, Connection, Media, Sdp};
use super::translate::{Mapping, Protocol, Way};

impl Fixer<'_> {
    /// Translates one description.
    pub(super) fn description(&mut self, body: Span) {
        let sdp = Sdp::parse(self.bytes, body);
        self.found.has_sdp = true;
        self.found.is_sdp_broken |= !sdp.is_whole;
        self.text_protocol = if sdp.media.iter().any(|media| media.is_tcp) {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        let ends: Vec<Option<MediaEnd>> = sdp
            .media
            .iter()
            .enumerate()
            .map(|(index, media)| self.media_end(&sdp, index, media))
            .collect();
        let session = self.session_connection(&sdp, &ends);
        for (media, end) in sdp.media.iter().zip(&ends) {
            self.media_lines(&sdp, media, end.as_ref(), session);
            for candidate in &media.candidates {
                self.candidate(candidate, end.as_ref());
            }
        }
        self.remote_candidates(&sdp);
        if self.context.candidates != Candidates::Keep {
            for line in &sdp.alternatives {
                self.remove_if_real(*line);
            }
        }
        self.origin(&sdp, &ends);
        self.sweep(body, Field::Other);
        self.text_protocol = self.context.protocol;
        self.found.media.extend(ends.into_iter().flatten());
    }

    /// Where a medium is received, translated; `None` when nothing is received or its address is no IPv4 address.
    fn media_end(&mut self, sdp: &Sdp, index: usize, media: &Media) -> Option<MediaEnd> {
        let address = sdp.address_of(media)?.address.filter(is_usable)?;
        // RFC 4145 §4.1: port 9 is said by who will connect himself.
        if media.port == 0 || media.is_tcp && media.port == 9 {
            return None;
        }
        let rtp = SocketAddrV4::new(address, media.port);
        if media.is_tcp {
            return Some(MediaEnd {
                index,
                protocol: Protocol::Tcp,
                rtp: self.media_pair(Protocol::Tcp, rtp, None)[0]?,
                rtcp: None,
            });
        }
        let beside = media.port.checked_add(1);
        let rtcp = match (media.is_rtp, &media.rtcp) {
            (false, _) => None,
            (true, Some(own)) if own.port == media.port => None,
            (true, Some(own)) => {
                let address = own.address.map_or(address, |(_, address)| address);
                Some(SocketAddrV4::new(address, own.port))
            }
            // A peer that does not share the port still sends there.
            (true, None) => beside.map(|port| SocketAddrV4::new(address, port)),
        };
        let rtcp = rtcp.filter(|rtcp| is_usable(rtcp.ip()) && rtcp.port() != 0);
        let [rtp, rtcp] = self.media_pair(Protocol::Udp, rtp, rtcp);
        let rtp = rtp?;
        self.further_pairs(media, rtp);
        Some(MediaEnd {
            index,
            protocol: Protocol::Udp,
            rtp,
            rtcp,
        })
    }

    /// `m=audio 49170/2`: the pairs that follow must follow on the other side too.
    fn further_pairs(&mut self, media: &Media, first: End) {
        let is_translated = first.real != first.mapped;
        if media.pairs > 1 && (media.pairs > PORT_PAIRS || is_translated) {
            let is_shifted = first.real.port() != first.mapped.port();
            if media.pairs > PORT_PAIRS || is_shifted {
                self.found.failed.get_or_insert(first.real);
            }
        }
        for pair in 1..media.pairs.min(PORT_PAIRS) {
            let Some(port) = first.real.port().checked_add(2 * pair) else {
                return;
            };
            let real = SocketAddrV4::new(*first.real.ip(), port);
            let rtcp = port
                .checked_add(1)
                .map(|port| SocketAddrV4::new(*real.ip(), port));
            if self.context.way == Way::Outbound && is_translated {
                let [rtp, rtcp] = self.media_pair(Protocol::Udp, real, rtcp);
                let is_neighbour = |end: &End| end.mapped.port() == end.real.port();
                if ![rtp, rtcp].iter().flatten().all(is_neighbour) {
                    self.found.failed.get_or_insert(real);
                }
            }
        }
    }

    /// Both ends of a medium on both sides. `None` where no translation could be made, which is noted.
    fn media_pair(
        &mut self,
        protocol: Protocol,
        rtp: SocketAddrV4,
        rtcp: Option<SocketAddrV4>,
    ) -> [Option<End>; 2] {
        if self.context.way == Way::Inbound {
            let mut real = |mapped| End {
                real: self.translator.unmap(protocol, mapped).unwrap_or(mapped),
                mapped,
            };
            return [Some(real(rtp)), rtcp.map(real)];
        }
        let mappings = match protocol {
            Protocol::Udp => self.translator.map_media(rtp, rtcp),
            Protocol::Tcp => [self.translator.map(Protocol::Tcp, rtp), Mapping::Same],
        };
        let mut end = |real, mapping| match mapping {
            Mapping::Same => Some(End { real, mapped: real }),
            Mapping::To(mapped) => Some(End { real, mapped }),
            Mapping::Failed => {
                self.found.failed.get_or_insert(real);
                None
            }
        };
        let first = end(rtp, mappings[0]);
        [first, rtcp.and_then(|rtcp| end(rtcp, mappings[1]))]
    }

    /// How an end is written on the other side.
    fn other_side(&self, end: End) -> SocketAddrV4 {
        match self.context.way {
            Way::Outbound => end.mapped,
            Way::Inbound => end.real,
        }
    }

    /// Translates the connection line of the session; returns the address that media without their own now have.
    fn session_connection(&mut self, sdp: &Sdp, ends: &[Option<MediaEnd>]) -> Option<Ipv4Addr> {
        let connection = sdp.connection?;
        let user = sdp
            .media
            .iter()
            .zip(ends)
            .find_map(|(media, end)| end.filter(|_| media.connection.is_none()));
        self.connection(connection, user.as_ref())
    }

    /// Translates a connection line as its medium is translated, or by its address alone.
    fn connection(&mut self, connection: Connection, end: Option<&MediaEnd>) -> Option<Ipv4Addr> {
        let address = connection.address.filter(is_usable)?;
        let Some(end) = end else {
            self.address_alone(connection.span, address);
            return Some(address);
        };
        let new = *self.other_side(end.rtp).ip();
        let text = (new != address).then(|| new.to_string());
        self.edits.claim_or_replace(connection.span, text);
        Some(new)
    }

    /// An address that says nothing about a port.
    fn address_alone(&mut self, span: Span, address: Ipv4Addr) {
        if !self.edits.is_claimed(span) {
            let place = self.place_alone();
            let new = self.written_alone(address, place);
            self.edits
                .claim_or_replace(span, new.map(|new| new.to_string()));
        }
    }

    fn media_lines(
        &mut self,
        sdp: &Sdp,
        media: &Media,
        end: Option<&MediaEnd>,
        session: Option<Ipv4Addr>,
    ) {
        let own = media.connection.and_then(|own| self.connection(own, end));
        let Some(end) = end else {
            if let Some((span, address)) = media.rtcp.and_then(|rtcp| rtcp.address) {
                self.address_alone(span, address);
            }
            return;
        };
        let rtp = self.other_side(end.rtp);
        let port = (rtp.port() != media.port).then(|| rtp.port().to_string());
        self.edits.claim_or_replace(media.port_span, port);
        if own.is_none() && session.is_some_and(|session| session != *rtp.ip()) {
            self.insert(media.after, format!("c=IN IP4 {}", rtp.ip()));
        }
        let control = match (end.rtcp, media.rtcp) {
            (Some(control), _) => self.other_side(control),
            // The same port as media: it moves with it.
            (None, Some(own)) if own.port == media.port => rtp,
            (None, own) => {
                if let Some((span, address)) = own.and_then(|own| own.address) {
                    self.address_alone(span, address);
                }
                return;
            }
        };
        self.control(sdp, media, rtp, control);
    }

    /// RFC 3605: where control packets go, when that is not the port beside media.
    fn control(&mut self, sdp: &Sdp, media: &Media, rtp: SocketAddrV4, control: SocketAddrV4) {
        let needs_address = control.ip() != rtp.ip();
        let Some(own) = media.rtcp else {
            let is_beside = !needs_address && rtp.port().checked_add(1) == Some(control.port());
            let was_beside = sdp.address_of(media).is_some();
            if !is_beside && was_beside && !media.is_muxed {
                let address = needs_address.then(|| format!(" IN IP4 {}", control.ip()));
                let line = format!("a=rtcp:{}{}", control.port(), address.unwrap_or_default());
                self.insert(media.end, line);
            }
            return;
        };
        let mut port = (control.port() != own.port).then(|| control.port().to_string());
        match own.address {
            Some((span, address)) => {
                let new = (*control.ip() != address).then(|| control.ip().to_string());
                self.edits.claim_or_replace(span, new);
            }
            None if needs_address => {
                port = Some(format!("{} IN IP4 {}", control.port(), control.ip()))
            }
            None => {}
        }
        self.edits.claim_or_replace(own.port_span, port);
    }

    /// Adds a line; the one before it may lack its end.
    fn insert(&mut self, at: usize, line: String) {
        let is_ended = self.bytes[..at].ends_with(b"\n");
        let text = if is_ended {
            format!("{line}\r\n")
        } else {
            format!("\r\n{line}")
        };
        self.edits.insert(at, text.as_bytes());
    }

    fn candidate(&mut self, candidate: &Candidate, end: Option<&MediaEnd>) {
        let policy = self.context.candidates;
        if policy == Candidates::Keep {
            self.edits.claim(candidate.line);
            return;
        }
        let Some((span, address)) = candidate.address else {
            return;
        };
        let here = SocketAddrV4::new(address, candidate.port.1);
        let is_here = |end: &End| match self.context.way {
            Way::Outbound => end.real == here,
            Way::Inbound => end.mapped == here,
        };
        let ends = end.map_or([None, None], |end| [Some(end.rtp), end.rtcp]);
        let own = ends.into_iter().flatten().find(is_here);
        match own.filter(|_| candidate.is_udp && policy == Candidates::Rewrite) {
            Some(own) => {
                let new = self.other_side(own);
                let changed = |is_changed: bool, text: String| is_changed.then_some(text);
                let address = changed(*new.ip() != address, new.ip().to_string());
                let port = changed(new.port() != here.port(), new.port().to_string());
                self.edits.claim_or_replace(span, address);
                self.edits.claim_or_replace(candidate.port.0, port);
            }
            None => self.remove_if_real(candidate.line),
        }
    }

    /// Removes a line that names an address of the real side: nobody outside can use it.
    fn remove_if_real(&mut self, line: Span) {
        if self.context.way == Way::Outbound && self.names_real(line) {
            self.edits.replace(line, Vec::new());
        }
    }

    /// What a peer calls our candidates.
    fn remote_candidates(&mut self, sdp: &Sdp) {
        for ((address_span, address), (port_span, port)) in &sdp.remote_candidates {
            let here = SocketAddrV4::new(*address, *port);
            let new = match self.context.way {
                Way::Inbound => self.translator.unmap(Protocol::Udp, here),
                Way::Outbound => None,
            };
            if let Some(new) = new {
                self.edits
                    .replace(*address_span, new.ip().to_string().into_bytes());
                self.edits
                    .replace(*port_span, new.port().to_string().into_bytes());
            }
        }
    }

    /// The origin has no port and may be another host: it follows a medium with the same address, else the address.
    fn origin(&mut self, sdp: &Sdp, ends: &[Option<MediaEnd>]) {
        let Some((span, address)) = sdp.origin else {
            return;
        };
        let ends = ends.iter().flatten().map(|end| end.rtp);
        let same = ends.into_iter().find_map(|end| match self.context.way {
            Way::Outbound => (*end.real.ip() == address).then_some(*end.mapped.ip()),
            Way::Inbound => (*end.mapped.ip() == address).then_some(*end.real.ip()),
        });
        let known = self.memory.real((address, None), ORIGIN);
        let same = same.filter(|_| self.context.way == Way::Outbound || known.is_none());
        let new = match same {
            Some(new) => {
                self.note_alone(address, new, ORIGIN);
                Some(new)
            }
            None => self.written_alone(address, ORIGIN),
        };
        let text = new.filter(|new| *new != address);
        self.edits
            .claim_or_replace(span, text.map(|new| new.to_string()));
    }
}
