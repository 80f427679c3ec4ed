//! Packets of a connection: sent again through the card, or rewritten and sent by the host.

use super::effect::Effect;
use super::neighbours::Route;
use super::report::{Drop, Report};
use super::slow_path::{Arrival, SlowPath};
use crate::flow::{Direction, Handle, Leg};
use crate::wire::icmp::Quoted;
use crate::wire::packet::UDP;
use crate::wire::{Tuple, edit};

impl SlowPath {
    /// Forwards a packet of a connection.
    pub(super) fn forward(
        &mut self,
        arrival: &Arrival,
        handle: Handle,
        direction: Direction,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let conn = self.conns.get(handle).ok_or(Drop::NoFlow)?;
        if conn.terminated {
            return self.terminate(arrival, handle, direction, effects);
        }
        let datagrams = conn.inspect.filter(|_| conn.proto() == UDP);
        if let Some(class) = self.carries_sip(datagrams) {
            return self.forward_message(arrival, handle, direction, class, effects);
        }
        let leg = *conn.leg(direction).ok_or(Drop::NoFlow)?;
        let by_card = arrival.can_look_up && !conn.on_host;
        let reason = if by_card {
            "reinjected"
        } else {
            "host-forwarded"
        };
        let mut report = Report::forwarded(reason, handle, conn, &leg, leg.sent);
        for (packet, frame) in arrival.pieces {
            let mut frame = frame.clone();
            let route = if by_card {
                Route::LookUp(leg.ingress)
            } else {
                self.conns.observe(
                    arrival.now,
                    handle,
                    direction,
                    frame.len(),
                    packet.tcp_flags(),
                    &self.model,
                );
                edit::set_tuple(&mut frame, packet, &leg.sent);
                Route::Send
            };
            let sent = self
                .neighbours
                .send(arrival.now, leg.adjacency, frame, route, effects);
            report.note(sent)?;
        }
        Ok(report)
    }

    /// Forwards an ICMP error about a connection, with the packet it quotes translated back.
    pub(super) fn icmp_error(
        &mut self,
        arrival: &Arrival,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let [(packet, frame)] = arrival.pieces else {
            return Err(Drop::IcmpErrorNoConn);
        };
        let quoted = Quoted::parse(frame, packet).ok_or(Drop::IcmpErrorNoConn)?;
        // An error goes the way that an answer to the quoted packet would go.
        let answer = quoted.tuple.reply().ok_or(Drop::IcmpErrorNoConn)?;
        let (handle, direction) = self
            .conns
            .find(&answer.key(arrival.ingress))
            .ok_or(Drop::IcmpErrorNoConn)?;
        let conn = self.conns.get(handle).ok_or(Drop::IcmpErrorNoConn)?;
        if conn.terminated {
            // The kernel's TCP wants to know of it: it sent the quoted packet.
            return self.terminate(arrival, handle, direction, effects);
        }
        let leg = *conn.leg(direction).ok_or(Drop::IcmpErrorNoConn)?;
        let sent = translate_error(&leg, &packet.tuple).ok_or(Drop::IcmpErrorNoConn)?;
        let quoted_sent = leg.sent.reply().ok_or(Drop::IcmpErrorNoConn)?;
        let mut report = Report::forwarded("icmp-error-of-conn", handle, conn, &leg, sent);
        let mut frame = frame.clone();
        quoted.set_tuple(&mut frame, packet, &quoted_sent);
        edit::set_tuple(&mut frame, packet, &sent);
        let sent = self
            .neighbours
            .send(arrival.now, leg.adjacency, frame, Route::Send, effects);
        report.note(sent)?;
        Ok(report)
    }
}

/// The error's own addresses: its destination is that of an answer; its source changes only if the far end itself
/// complains, for a router on the way has no translation.
fn translate_error(leg: &Leg, error: &Tuple) -> Option<Tuple> {
    if error.dst != leg.seen.dst {
        return None;
    }
    let src = if error.src == leg.seen.src {
        leg.sent.src
    } else {
        error.src
    };
    Some(Tuple {
        src,
        dst: leg.sent.dst,
        ..*error
    })
}
