//! What follows from a message that passed: the session's state, pinholes opened and closed.

use super::dialog::{Held, Mark, State};
use super::effect::Effect;
use super::event::{Event, method};
use super::field::Field;
use super::fixup::{End, Found, MediaEnd, Reach};
use super::inspect::{Arrival, Inspector};
use super::limits::PINHOLES;
use super::message::Message;
use super::pinhole::{Pinhole, PinholeId, Purpose};
use super::translate::Way;
use crate::flow::{Handle, Time};

/// A pinhole that a message asks for.
struct Wanted {
    pinhole: Pinhole,
    medium: Option<usize>,
    until: Option<Time>,
}

impl Inspector {
    /// Notes a message that passed.
    pub(super) fn follow(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Handle,
        tags: [Option<u64>; 2],
        found: &Found,
        effects: &mut Vec<Effect>,
    ) {
        let method = self.method_key(message);
        let Some(session) = self.sessions.get_mut(handle) else {
            return;
        };
        let was_active = session.state == State::Active;
        session.note_tags(tags);
        let mut media_end = false;
        match message.code() {
            None => session.request(arrival.now, message, arrival.way, method),
            Some(code) => media_end = session.response(arrival.now, message, code),
        }
        if media_end {
            self.close_where(handle, effects, |held| held.medium.is_some());
        } else {
            self.open_signalling(arrival, message, handle, &found.reaches, effects);
            if found.has_sdp {
                self.open_media(arrival, message, handle, &found.media, effects);
            }
            self.settle(message, handle, was_active, found.has_sdp, effects);
        }
        self.sessions.schedule(handle, &self.timeouts);
    }

    /// Where the sender wants answers and further requests.
    fn open_signalling(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Handle,
        reaches: &[Reach],
        effects: &mut Vec<Effect>,
    ) {
        // A Contact is for everybody, a Via for the next hop: the wider one counts when both name one end.
        let (vias, contacts): (Vec<&Reach>, Vec<&Reach>) =
            reaches.iter().partition(|reach| reach.field == Field::Via);
        for reach in contacts.into_iter().chain(vias) {
            if is_returned(arrival.way, reach.end) {
                continue;
            }
            let seen = match arrival.way {
                Way::Outbound => reach.end.real,
                Way::Inbound => reach.end.mapped,
            };
            let is_via = reach.field == Field::Via;
            // Answers to the port it was sent from come back through the same connection.
            if is_via && seen == arrival.source.socket {
                continue;
            }
            let wanted = Wanted {
                pinhole: Pinhole {
                    purpose: Purpose::Signalling,
                    protocol: reach.protocol,
                    way: arrival.way.back(),
                    to: reach.end,
                    from: is_via.then_some(*arrival.destination.socket.ip()),
                    idle: None,
                },
                medium: None,
                until: None,
            };
            self.open(arrival, message, handle, wanted, effects);
        }
    }

    /// Where the sender wants media.
    fn open_media(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Handle,
        media: &[MediaEnd],
        effects: &mut Vec<Effect>,
    ) {
        let is_provisional = message.code().is_some_and(|code| code < 200);
        let wait = self.timeouts.provisional_media.filter(|_| is_provisional);
        let until = wait.map(|wait| arrival.now.saturating_add(wait));
        let way = arrival.way.back();
        let Some(session) = self.sessions.get_mut(handle) else {
            return;
        };
        let sender = side(arrival.way);
        session.media[sender] = media
            .iter()
            .map(|end| (end.index, *end.rtp.real.ip()))
            .collect();
        let peers = session.media[1 - sender].clone();
        let mut wanted = Vec::new();
        for end in media {
            if is_returned(arrival.way, end.rtp) {
                continue;
            }
            let peer = peers.iter().find(|(index, _)| *index == end.index);
            let mut want = |purpose, to: End| {
                wanted.push(Wanted {
                    pinhole: Pinhole {
                        purpose,
                        protocol: end.protocol,
                        way,
                        to,
                        from: peer.map(|(_, address)| *address),
                        idle: self.timeouts.media,
                    },
                    medium: Some(end.index),
                    until,
                });
            };
            want(Purpose::Media, end.rtp);
            if let Some(rtcp) = end.rtcp {
                want(Purpose::Control, rtcp);
            }
        }
        for held in &mut session.pinholes {
            let is_wanted = wanted.iter().any(|one| one.pinhole.is_alike(&held.pinhole));
            if held.medium.is_some() && held.pinhole.way == way && !is_wanted {
                held.mark = Mark::Stale;
            }
        }
        for wanted in wanted {
            self.open(arrival, message, handle, wanted, effects);
        }
        self.narrow(arrival, message, handle, effects);
    }

    /// Now that the sender's addresses are known, only they may send to the other side.
    fn narrow(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Handle,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get(handle) else {
            return;
        };
        let senders = &session.media[side(arrival.way)];
        let mut wider = Vec::new();
        for held in &session.pinholes {
            let sender = senders
                .iter()
                .find(|(index, _)| Some(*index) == held.medium);
            if let Some((_, address)) = sender
                && held.pinhole.way == arrival.way
                && held.pinhole.from != Some(*address)
            {
                let mut narrower = *held;
                narrower.pinhole.from = Some(*address);
                wider.push(narrower);
            }
        }
        for narrower in wider {
            self.close_where(handle, effects, |held| held.id == narrower.id);
            let wanted = Wanted {
                pinhole: narrower.pinhole,
                medium: narrower.medium,
                until: narrower.until,
            };
            self.open(arrival, message, handle, wanted, effects);
        }
    }

    /// Opens a pinhole unless the session has one like it.
    fn open(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Handle,
        wanted: Wanted,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(handle) else {
            return;
        };
        let Wanted {
            pinhole,
            medium,
            until,
        } = wanted;
        let mut held = session.pinholes.iter_mut();
        if let Some(held) = held.find(|held| held.pinhole.is_alike(&pinhole)) {
            if held.mark == Mark::Stale {
                held.mark = Mark::Kept;
            }
            return;
        }
        if session.pinholes.len() >= PINHOLES {
            return;
        }
        let id = PinholeId(self.next_pinhole);
        self.next_pinhole += 1;
        session.pinholes.push(Held {
            id,
            pinhole,
            mark: Mark::Fresh,
            medium,
            until,
        });
        self.pinholes.insert(id, handle);
        self.stats.opened += 1;
        let (sender, receiver) = (arrival.source.interface, arrival.destination.interface);
        let interfaces = if pinhole.way == arrival.way {
            [receiver, sender]
        } else {
            [sender, receiver]
        };
        effects.push(Effect::Log(Event::pre_allocated(
            607001,
            "SIP",
            &pinhole,
            interfaces,
            &method(message),
        )));
        effects.push(Effect::OpenPinhole { id, pinhole });
    }

    /// An offer was answered or refused: what it replaced goes, or what it brought.
    fn settle(
        &mut self,
        message: &Message<'_>,
        handle: Handle,
        was_active: bool,
        has_sdp: bool,
        effects: &mut Vec<Effect>,
    ) {
        let carries_answers = matches!(message.method(), b"INVITE" | b"UPDATE" | b"PRACK");
        let is_taken = match message.code() {
            Some(code) => carries_answers && (200..300).contains(&code),
            None => message.method() == b"ACK" && has_sdp,
        };
        let is_refused =
            carries_answers && was_active && message.code().is_some_and(|code| code >= 300);
        if !is_taken && !is_refused {
            return;
        }
        let gone = if is_taken { Mark::Stale } else { Mark::Fresh };
        self.close_where(handle, effects, |held| {
            held.medium.is_some() && held.mark == gone
        });
        if let Some(session) = self.sessions.get_mut(handle) {
            for held in &mut session.pinholes {
                held.mark = Mark::Kept;
                held.until = held.until.filter(|_| !is_taken);
            }
        }
    }

    /// Closes those pinholes of a session that are meant.
    pub(super) fn close_where(
        &mut self,
        handle: Handle,
        effects: &mut Vec<Effect>,
        is_meant: impl Fn(&Held) -> bool,
    ) {
        let Some(session) = self.sessions.get_mut(handle) else {
            return;
        };
        let pinholes = &mut self.pinholes;
        session.pinholes.retain(|held| {
            let stays = !is_meant(held);
            if !stays {
                pinholes.remove(&held.id);
                effects.push(Effect::ClosePinhole { id: held.id });
            }
            stays
        });
    }

    /// Ends a session with all it holds.
    pub(super) fn end(&mut self, handle: Handle, effects: &mut Vec<Effect>) {
        self.close_where(handle, effects, |_| true);
        self.sessions.remove(handle);
    }

    /// The caller closed a pinhole through which nothing passed for its idle time.
    pub fn handle_closed(&mut self, id: PinholeId) {
        let Some(handle) = self.pinholes.remove(&id) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(handle) {
            session.pinholes.retain(|held| held.id != id);
        }
        self.sessions.schedule(handle, &self.timeouts);
    }
}

/// An end of the real side that comes back from the mapped side is not where its sender is reached.
fn is_returned(way: Way, end: End) -> bool {
    way == Way::Inbound && end.real != end.mapped
}

/// Index of who sends on a way.
fn side(way: Way) -> usize {
    match way {
        Way::Outbound => 0,
        Way::Inbound => 1,
    }
}
