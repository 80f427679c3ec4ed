//! The timers of `timeout sip …`.

use crate::config::ast::timeout::{self, Timer};
use crate::flow::Time;

/// Timers of the inspectors; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `sip`: a session without a message.
    pub sip: Option<Time>,
    /// `sip_media`: a media pinhole without a packet.
    pub media: Option<Time>,
    /// `sip-invite`: an INVITE, or its last provisional answer, without a final one.
    pub invite: Option<Time>,
    /// `sip-disconnect`: what stays after BYE, CANCEL or a refusal.
    pub disconnect: Option<Time>,
    /// `sip-provisional-media`: media pinholes of a provisional answer.
    pub provisional_media: Option<Time>,
    /// `tcp-proxy-reassembly`: the rest of a message on a stream.
    pub reassembly: Option<Time>,
}

impl Timeouts {
    /// The timers of a configuration.
    pub fn of(configured: &timeout::Timeouts) -> Self {
        let timer = |timer| match configured.seconds(timer) {
            0 => None,
            seconds => Some(Time::from_secs(seconds.into())),
        };
        Self {
            sip: timer(Timer::Sip),
            media: timer(Timer::SipMedia),
            invite: timer(Timer::SipInvite),
            disconnect: timer(Timer::SipDisconnect),
            provisional_media: timer(Timer::SipProvisionalMedia),
            reassembly: timer(Timer::TcpProxyReassembly),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::of(&timeout::Timeouts::default())
    }
}
