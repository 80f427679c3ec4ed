//! What a session says in the log: numbers and first words are those of the device, so that what watches it goes on.

use super::super::words;
use super::{Effect, Session, Side};
use crate::pki::revocation::Trouble;
use crate::punt::Event;

impl Session {
    /// A handshake is done: how the leg is protected, and who is at its other end.
    pub(super) fn log_established(&mut self, side: Side) {
        let index = side as usize;
        let Some(about) = &self.about[index] else {
            return;
        };
        let kind = if about.is_resumed { "resumed" } else { "full" };
        let exchange = about.exchange.as_deref().unwrap_or("no key exchange");
        let peer = match &self.peers[index] {
            Some(peer) => format!(
                "peer {} by trustpoint {}",
                peer.certificate.subject, peer.trustpoint
            ),
            None => "peer not asked for a certificate".into(),
        };
        let text = format!(
            "Device completed SSL handshake with {} for {} session: {}, {exchange}, {kind}, {peer}",
            self.leg_words(side),
            about.version,
            about.suite
        );
        self.log(6, 725_002, text);
    }

    /// A leg failed: which, of which proxy, what its peer was shown, and why.
    pub(super) fn log_failure(&mut self, side: Side, reason: &str) {
        let step = match self.about[side as usize] {
            None => "Device failed SSL handshake with",
            Some(_) => "SSL session failed with",
        };
        let shown = match side {
            Side::Server => Some(self.proxy.server_trustpoint.as_str()),
            Side::Client => self.proxy.client_trustpoint.as_deref(),
        };
        let text = format!(
            "{step} {} (tls-proxy {}, {} leg, trust-point {}): {reason}",
            self.leg_words(side),
            self.proxy.name,
            match side {
                Side::Server => "server",
                Side::Client => "client",
            },
            shown.unwrap_or("none"),
        );
        self.log(4, 725_006, text);
    }

    /// A certificate of which nobody says how it stands is let pass, as configured.
    pub(super) fn log_passed(&mut self, side: Side, trouble: &Trouble) {
        let text = format!(
            "Revocation status check failed for {}: the certificate of {} {trouble}; it passes, as revocation-check \
             ends with none",
            self.leg_words(side),
            trouble.subject(),
        );
        self.log(4, 717_032, text);
    }

    /// An error of the library.
    pub(super) fn words(&self, side: Side, error: &rustls::Error) -> String {
        let shown = match side {
            Side::Server => Some(self.proxy.server_trustpoint.as_str()),
            Side::Client => self.proxy.client_trustpoint.as_deref(),
        };
        words::of(error, shown)
    }

    /// `client outside:192.0.2.254/50437 to inside:10.0.0.2/5061`, the peer first named as what it is to us.
    pub(super) fn leg_words(&self, side: Side) -> String {
        match side {
            Side::Server => format!("client {} to {}", self.dialler, self.dialled),
            Side::Client => format!("server {} from {}", self.dialled, self.dialler),
        }
    }

    /// A line. Peers choose some of the words in it: none may begin another line.
    pub(super) fn log(&mut self, severity: u8, id: u32, text: String) {
        let text = text.replace(char::is_control, "?");
        self.effects
            .push_back(Effect::Log(Event { severity, id, text }));
    }
}
