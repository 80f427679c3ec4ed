//! Forwarding: MAC and IP addresses, ports and checksums; the only place that changes a frame.
//!
//! Checksums by RFC 1624 equation 3. UDP without a checksum keeps none, and a computed zero is sent
//! as all ones (RFC 768). TTL stays, as on an ASA.

use layout::table::{Adjacency, FlowAction, Interface};

use super::parse::{ICMP, Link, TCP, UDP, be16, fold};

/// How to send a frame.
pub struct Forward {
    /// Egress port.
    pub port: u8,
    rewrite: Option<Rewrite>,
}

/// New addresses of a frame.
struct Rewrite {
    link_bytes: usize,
    destination_mac: u64,
    source_mac: u64,
    vid: Option<u16>,
    translation: Option<Translation>,
}

/// New network and transport addresses of a packet.
struct Translation {
    proto: u8,
    is_source: bool,
    address: u32,
    l4_port: u16,
}

impl Forward {
    /// As it is.
    pub fn untouched(port: u8) -> Self {
        Self {
            port,
            rewrite: None,
        }
    }

    /// As a flow says.
    pub fn flow(
        link: &Link,
        proto: u8,
        action: &FlowAction,
        adjacency: &Adjacency,
        egress: &Interface,
    ) -> Self {
        let translates = action.translate_source || action.translate_destination;
        let translation = translates.then_some(Translation {
            proto,
            is_source: action.translate_source,
            address: action.address,
            l4_port: action.l4_port,
        });
        let rewrite = Rewrite {
            link_bytes: link.header_bytes,
            destination_mac: adjacency.mac,
            source_mac: egress.mac,
            vid: link.vid.map(|_| egress.vid),
            translation,
        };
        Self {
            port: egress.port,
            rewrite: Some(rewrite),
        }
    }

    /// Changes the frame.
    pub fn apply(&self, frame: &mut [u8]) {
        let Some(rewrite) = &self.rewrite else { return };
        frame[0..6].copy_from_slice(&rewrite.destination_mac.to_be_bytes()[2..]);
        frame[6..12].copy_from_slice(&rewrite.source_mac.to_be_bytes()[2..]);
        if let Some(vid) = rewrite.vid {
            let priority = be16(frame, 14) & 0xf000;
            frame[14..16].copy_from_slice(&(priority | vid).to_be_bytes());
        }
        if let Some(translation) = &rewrite.translation {
            translation.apply(&mut frame[rewrite.link_bytes..]);
        }
    }
}

impl Translation {
    /// Changes an IPv4 packet without options.
    fn apply(&self, packet: &mut [u8]) {
        let address_at = if self.is_source { 12 } else { 16 };
        let address = self.address.to_be_bytes();
        let (high, low) = (be16(&address, 0), be16(&address, 2));
        let mut delta = replace(packet, address_at, high);
        delta += replace(packet, address_at + 2, low);
        update(packet, 10, delta);
        match self.proto {
            TCP | UDP => {
                delta += replace(packet, if self.is_source { 20 } else { 22 }, self.l4_port);
                let checksum_at = if self.proto == TCP { 36 } else { 26 };
                self.update_l4(packet, checksum_at, delta);
            }
            ICMP => {
                // ICMP has no pseudo-header: only the identifier counts.
                let delta = replace(packet, 24, self.l4_port);
                update(packet, 22, delta);
            }
            _ => {}
        }
    }

    fn update_l4(&self, packet: &mut [u8], at: usize, delta: u32) {
        if self.proto == TCP {
            return update(packet, at, delta);
        }
        if be16(packet, at) != 0 {
            update(packet, at, delta);
            if be16(packet, at) == 0 {
                packet[at..at + 2].fill(0xff);
            }
        }
    }
}

/// Writes 16 bits and gives their part of the checksum sum: ~m + m'.
fn replace(packet: &mut [u8], at: usize, value: u16) -> u32 {
    let old = be16(packet, at);
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
    u32::from(!old) + u32::from(value)
}

/// HC' = ~fold(~HC + sum).
fn update(packet: &mut [u8], at: usize, delta: u32) {
    let checksum = !fold(u32::from(!be16(packet, at)) + delta);
    packet[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}
