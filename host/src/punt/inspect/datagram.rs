//! Messages in datagrams: read whole, also when they came in fragments, and sent on with another length.

use super::{Channel, Inspected};
use crate::flow::{Direction, Handle};
use crate::policy::model::ClassId;
use crate::punt::effect::Effect;
use crate::punt::neighbours::Route;
use crate::punt::report::{Drop, Report};
use crate::punt::slow_path::{Arrival, SlowPath};
use crate::wire::{datagram, edit};

impl SlowPath {
    /// Passes the message of a UDP datagram through its inspector.
    pub(in crate::punt) fn forward_message(
        &mut self,
        arrival: &Arrival,
        handle: Handle,
        direction: Direction,
        class: ClassId,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let conn = self.conns.get(handle).ok_or(Drop::NoFlow)?;
        let leg = *conn.leg(direction).ok_or(Drop::NoFlow)?;
        let mut report = Report::forwarded("inspected", handle, conn, &leg, leg.sent);
        let channel = Channel::of(&self.model, class, &conn.forward);
        let (packet, frame) = datagram::join(arrival.pieces).ok_or(Drop::FragmentFailed)?;
        if !datagram::has_valid_checksum(&packet, &frame) {
            return Err(Drop::UdpChecksum);
        }
        let message = datagram::udp_payload(&packet, &frame);
        let out = match self.inspect(arrival.now, &channel, direction, message, effects) {
            Inspected::Forward(out) => out,
            Inspected::Drop(_) | Inspected::End { .. } => return Err(Drop::Inspected),
        };
        self.tell_pinholes(effects);
        self.conns
            .observe(arrival.now, handle, direction, frame.len(), 0, &self.model);
        let frames = match out == message {
            // As they came, down to the checksum.
            true => arrival.pieces.to_vec(),
            false => datagram::with_udp_payload(&packet, &frame, &out).ok_or(Drop::Inspected)?,
        };
        for (packet, mut frame) in frames {
            edit::set_tuple(&mut frame, &packet, &leg.sent);
            let sent =
                self.neighbours
                    .send(arrival.now, leg.adjacency, frame, Route::Send, effects);
            report.note(sent)?;
        }
        Ok(report)
    }
}
