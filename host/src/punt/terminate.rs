//! Connections that end at the host: a proxy answers both ends, with the kernel's TCP (DESIGN.md, "The runtime").
//!
//! Packets of such a connection go to the proxy as they came in, and what the proxy sends is already translated: towards
//! the initiator it speaks as the address that the initiator dialled, towards the responder as the translated
//! initiator. So the addresses of what the proxy sends name the connection and the way.
//!
//! A RST ends one end only, until the proxy has told the other: it counts like a FIN.

use super::effect::Effect;
use super::neighbours::Route;
use super::report::{Drop, Report, Verdict};
use super::slow_path::{Arrival, SlowPath};
use crate::flow::{Direction, Handle, Time};
use crate::wire::packet::{ETHERTYPE_IPV4, Mac, Transport, tcp_flags};
use crate::wire::{Packet, edit};

impl SlowPath {
    /// Sends what the proxy of a connection sends: an IPv4 packet without a link header.
    pub fn handle_proxied(
        &mut self,
        now: Time,
        datagram: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Report {
        // What it carries may say that packets can be sent somewhere now.
        self.tell_pinholes(effects);
        let report = self.send_proxied(now, datagram, effects);
        let report = report.unwrap_or_else(Report::from);
        if let Verdict::Drop(drop) = report.verdict {
            self.count_drop(drop);
        }
        report
    }

    fn send_proxied(
        &mut self,
        now: Time,
        datagram: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        // Whoever sends the frame puts the addresses in.
        let mut frame = edit::link_header(Mac([0; 6]), Mac([0; 6]), None, ETHERTYPE_IPV4);
        frame.extend_from_slice(datagram);
        let packet = Packet::parse(&frame).map_err(Drop::Invalid)?;
        let (handle, direction) = self.find_proxied(&packet).ok_or(Drop::NoFlow)?;
        let conn = self.conns.get(handle).ok_or(Drop::NoFlow)?;
        let leg = *conn.leg(direction).ok_or(Drop::NoFlow)?;
        let mut report = Report::forwarded("proxied", handle, conn, &leg, leg.sent);
        let flags = packet.tcp_flags();
        let mut note_end = |direction| {
            let fin = tcp_flags::FIN;
            self.conns
                .observe(now, handle, direction, 0, fin, &self.model);
        };
        if flags & (tcp_flags::FIN | tcp_flags::RST) != 0 {
            // Nothing more goes there, whether or not there ever was somebody behind to say so.
            note_end(direction);
        }
        if flags & tcp_flags::RST != 0 {
            // And nothing more is taken from there.
            note_end(direction.opposite());
        }
        let sent = self
            .neighbours
            .send(now, leg.adjacency, frame, Route::Send, effects);
        report.note(sent)?;
        Ok(report)
    }

    /// The connection that leaves with these addresses, and which way.
    fn find_proxied(&self, packet: &Packet) -> Option<(Handle, Direction)> {
        let answer = packet.tuple.reply()?;
        let interfaces = 0..u8::try_from(self.attachments.len()).ok()?;
        interfaces
            .filter_map(|interface| self.conns.find(&answer.key(interface)))
            .map(|(handle, direction)| (handle, direction.opposite()))
            .find(|(handle, direction)| {
                let conn = self.conns.get(*handle);
                conn.is_some_and(|conn| {
                    let leg = conn.leg(*direction);
                    conn.terminated && leg.is_some_and(|leg| leg.sent == packet.tuple)
                })
            })
    }

    /// Hands packets of a connection that ends here to its proxy.
    pub(super) fn terminate(
        &mut self,
        arrival: &Arrival,
        handle: Handle,
        direction: Direction,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let conn = self.conns.get(handle).ok_or(Drop::NoFlow)?;
        let report = Report {
            conn: Some(handle),
            ace: conn.ace,
            nat: conn.nat,
            ..Report::new(Verdict::Local, "to-proxy")
        };
        for (packet, frame) in arrival.pieces {
            let mut flags = packet.tcp_flags();
            if flags & tcp_flags::RST != 0 {
                flags = tcp_flags::FIN;
            }
            let counted = matches!(packet.transport, Transport::Tcp { .. } | Transport::Later);
            if counted {
                self.conns.observe(
                    arrival.now,
                    handle,
                    direction,
                    frame.len(),
                    flags,
                    &self.model,
                );
            }
            let datagram = frame.get(packet.ip..packet.end).unwrap_or_default();
            effects.push(Effect::Terminate {
                datagram: datagram.to_vec(),
            });
        }
        Ok(report)
    }
}
