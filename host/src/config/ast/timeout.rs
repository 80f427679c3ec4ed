//! `timeout`: names, defaults and what was configured.

use std::collections::BTreeMap;

use super::Spanned;

/// One timer of the `timeout` command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "TIMERS names each")]
pub enum Timer {
    Xlate,
    PatXlate,
    Conn,
    HalfClosed,
    Udp,
    Sctp,
    Icmp,
    Sunrpc,
    H323,
    H225,
    Mgcp,
    MgcpPat,
    Sip,
    SipMedia,
    SipInvite,
    SipDisconnect,
    SipProvisionalMedia,
    Uauth,
    TcpProxyReassembly,
    FloatingConn,
}

/// A timer, its keyword, its default in seconds, and the line `show running-config` prints it on.
pub struct TimerInfo {
    /// The timer.
    pub timer: Timer,
    /// Its keyword.
    pub keyword: &'static str,
    /// Default in seconds; 0 is never.
    pub default_s: u32,
    /// Whether it starts a new `timeout` line in print.
    pub starts_line: bool,
}

const fn timer(
    timer: Timer,
    keyword: &'static str,
    default_s: u32,
    starts_line: bool,
) -> TimerInfo {
    TimerInfo {
        timer,
        keyword,
        default_s,
        starts_line,
    }
}

/// All timers in the order the device prints them.
pub const TIMERS: [TimerInfo; 20] = [
    timer(Timer::Xlate, "xlate", 3 * 3600, true),
    timer(Timer::PatXlate, "pat-xlate", 30, true),
    timer(Timer::Conn, "conn", 3600, true),
    timer(Timer::HalfClosed, "half-closed", 600, false),
    timer(Timer::Udp, "udp", 120, false),
    timer(Timer::Sctp, "sctp", 120, false),
    timer(Timer::Icmp, "icmp", 2, false),
    timer(Timer::Sunrpc, "sunrpc", 600, true),
    timer(Timer::H323, "h323", 300, false),
    timer(Timer::H225, "h225", 3600, false),
    timer(Timer::Mgcp, "mgcp", 300, false),
    timer(Timer::MgcpPat, "mgcp-pat", 300, false),
    timer(Timer::Sip, "sip", 1800, true),
    timer(Timer::SipMedia, "sip_media", 120, false),
    timer(Timer::SipInvite, "sip-invite", 180, false),
    timer(Timer::SipDisconnect, "sip-disconnect", 120, false),
    timer(
        Timer::SipProvisionalMedia,
        "sip-provisional-media",
        120,
        true,
    ),
    timer(Timer::Uauth, "uauth", 300, false),
    timer(Timer::TcpProxyReassembly, "tcp-proxy-reassembly", 60, true),
    timer(Timer::FloatingConn, "floating-conn", 0, true),
];

/// The timers that were set; the rest have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Seconds by timer; 0 is never.
    pub set: BTreeMap<Timer, Spanned<u32>>,
}

impl Timeouts {
    /// Seconds in force; 0 is never.
    pub fn seconds(&self, timer: Timer) -> u32 {
        let default = TIMERS
            .iter()
            .find(|info| info.timer == timer)
            .map_or(0, |info| info.default_s);
        self.set.get(&timer).map_or(default, |value| value.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_its_default_until_it_is_set() {
        let mut timeouts = Timeouts::default();
        assert_eq!(timeouts.seconds(Timer::Sip), 1800);
        timeouts
            .set
            .insert(Timer::Sip, Spanned::new(2100, Default::default()));
        assert_eq!(timeouts.seconds(Timer::Sip), 2100);
        assert_eq!(timeouts.seconds(Timer::FloatingConn), 0);
    }
}
