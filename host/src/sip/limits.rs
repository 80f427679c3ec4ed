//! How much of everything the inspectors keep and read, so that no peer can take memory or time.

use crate::flow::Time;

/// Bytes of one message.
pub const MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes of one header with its folded lines.
pub const LINE_BYTES: usize = 8 * 1024;
/// Headers of one message.
pub const HEADERS: usize = 256;
/// Bytes of a Request-URI, as an ASA has it; longer ones are strict faults.
pub const URI_BYTES: usize = 255;
/// Parts of one multipart body.
pub const PARTS: usize = 16;
/// Multipart bodies inside each other.
pub const PART_DEPTH: usize = 3;
/// Lines of one session description.
pub const SDP_LINES: usize = 1024;
/// Media of one session description.
pub const MEDIA: usize = 32;
/// Port pairs of one medium (`m=audio 49170/2`).
pub const PORT_PAIRS: u16 = 4;
/// Translations that one session remembers, to write an address back as it was.
pub const MEMORIES: usize = 64;
/// Translations that the headers of one message may ask for.
pub const XLATES: usize = 64;
/// Transactions and tags that one session remembers.
pub const TRANSACTIONS: usize = 16;
/// Pinholes of one session.
pub const PINHOLES: usize = 64;
/// Bytes of a Call-ID kept for `show sip`.
pub const SHOWN_BYTES: usize = 96;
/// Expiry times above this count as this.
pub const EXPIRES_S: u32 = 24 * 3600;
/// How much longer than its expiry a subscription or registration lives.
pub const EXPIRES_MARGIN: Time = Time::from_secs(5 * 60);
/// Life of a subscription or registration that does not say (RFC 3261 §10.2, RFC 3856 §6.4).
pub const EXPIRES_DEFAULT_S: u32 = 3600;
/// A request other than INVITE is answered, or given up, within this (RFC 3261 §17.1.2.2, timers F and K, doubled).
pub const EXCHANGE_TIMEOUT: Time = Time::from_secs(64);

/// Bounds of the tables of one inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions; when reached, the oldest that nobody answered gives way.
    pub sessions: usize,
    /// Sources whose rate is known; when reached, the one silent for longest gives way.
    pub sources: usize,
    /// Sessions that one source may begin in a second, on average.
    pub begin_rate: u32,
    /// Sessions that one source may begin at once.
    pub begin_burst: u32,
}

impl Default for Limits {
    /// A federation peer is one source for all its users, so the rate is what one processor can inspect at most
    /// (`cargo bench --bench proxy`), halved.
    fn default() -> Self {
        Self {
            sessions: 16_384,
            sources: 4_096,
            begin_rate: 5_000,
            begin_burst: 10_000,
        }
    }
}
