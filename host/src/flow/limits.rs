//! How much of everything the host keeps, so that no flood can take its memory.

use super::Time;

/// Bounds of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub conns: usize,
    /// TCP connections whose handshake is not complete; when reached, the oldest of them gives way.
    pub embryonic: usize,
    /// Dynamic translations.
    pub xlates: usize,
    /// Datagrams being reassembled.
    pub datagrams: usize,
    /// Fragments of one datagram.
    pub fragments: usize,
    /// Frames waiting for the MAC address of one next hop.
    pub waiting: usize,
}

impl Default for Limits {
    /// Room for many times what the card's flow table holds; fragments as an ASA (`fragment size 200`, `chain 24`).
    fn default() -> Self {
        Self {
            conns: 65_536,
            embryonic: 16_384,
            xlates: 65_536,
            datagrams: 200,
            fragments: 24,
            waiting: 8,
        }
    }
}

/// A handshake must be complete within this (`set connection timeout embryonic` default).
pub const EMBRYONIC_TIMEOUT: Time = Time::from_secs(30);
/// After both FINs the last acknowledgements may still pass for this long.
pub const CLOSING_TIMEOUT: Time = Time::from_secs(2);
/// All fragments of a datagram must arrive within this (`fragment timeout`).
pub const FRAGMENT_TIMEOUT: Time = Time::from_secs(5);
/// Unit of the card's hit stamps.
pub const EPOCH: Time = Time::from_secs(1);
/// A busy connection on the card is looked at after this, so that its end is noticed soon.
pub const FIRST_LOOK: Time = Time::from_secs(2);
/// A quiet one at least this often: below the 256 epochs after which a stamp would repeat.
pub const LAST_LOOK: Time = Time::from_secs(64);
/// Ports of one block of `block-allocation`.
pub const BLOCK_PORTS: u16 = 512;
/// Blocks one host may hold.
pub const BLOCKS_PER_HOST: usize = 4;
