//! ARP over Ethernet for IPv4 (RFC 826).

use std::net::Ipv4Addr;

use etherparse::{ArpOperation, ArpPacketSlice};

use super::edit::link_header;
use super::packet::{ETHERTYPE_ARP, Link, Mac};

/// Shortest Ethernet frame without FCS; ARP is padded to it.
const MIN_FRAME_BYTES: usize = 60;

/// An ARP request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// A request, else a reply.
    pub is_request: bool,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender: Ipv4Addr,
    /// Target hardware address; meaningless in a request.
    pub target_mac: Mac,
    /// Target protocol address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads the message behind the link header; `None` if it is anything but a well-formed one.
    pub fn parse(frame: &[u8], link: &Link) -> Option<Self> {
        let packet = ArpPacketSlice::from_slice(frame.get(link.len_bytes..)?)
            .ok()?
            .to_packet();
        let packet = packet.try_eth_ipv4().ok()?;
        let is_request = match packet.operation {
            ArpOperation::REQUEST => true,
            ArpOperation::REPLY => false,
            _ => return None,
        };
        Some(Self {
            is_request,
            sender_mac: Mac(packet.sender_mac),
            sender: packet.sender_ipv4.into(),
            target_mac: Mac(packet.target_mac),
            target: packet.target_ipv4.into(),
        })
    }

    /// The frame that asks for `target`, broadcast.
    pub fn request(
        sender_mac: Mac,
        sender: Ipv4Addr,
        target: Ipv4Addr,
        vid: Option<u16>,
    ) -> Vec<u8> {
        let arp = Self {
            is_request: true,
            sender_mac,
            sender,
            target_mac: Mac::default(),
            target,
        };
        arp.frame(Mac::BROADCAST, vid)
    }

    /// The frame that answers this request: its target is at `mac`.
    pub fn reply(&self, mac: Mac, vid: Option<u16>) -> Vec<u8> {
        let arp = Self {
            is_request: false,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        };
        arp.frame(self.sender_mac, vid)
    }

    fn frame(&self, destination: Mac, vid: Option<u16>) -> Vec<u8> {
        let mut frame = link_header(destination, self.sender_mac, vid, ETHERTYPE_ARP);
        let operation = if self.is_request { 1 } else { 2 };
        frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend_from_slice(&self.sender_mac.0);
        frame.extend_from_slice(&self.sender.octets());
        frame.extend_from_slice(&self.target_mac.0);
        frame.extend_from_slice(&self.target.octets());
        frame.resize(frame.len().max(MIN_FRAME_BYTES), 0);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const PEER: Mac = Mac([2, 0, 0, 0, 0, 9]);

    #[test]
    fn reply_swaps_the_request() {
        for vid in [None, Some(30)] {
            let frame = Arp::request(PEER, [192, 0, 2, 9].into(), [192, 0, 2, 1].into(), vid);
            let link = Link::parse(&frame).expect("link");
            let request = Arp::parse(&frame, &link).expect("request");
            assert!(request.is_request && link.destination == Mac::BROADCAST && link.vid == vid);
            let frame = request.reply(US, vid);
            let link = Link::parse(&frame).expect("link");
            let reply = Arp::parse(&frame, &link).expect("reply");
            assert_eq!((link.destination, link.source, frame.len()), (PEER, US, 60));
            assert_eq!(
                (reply.sender_mac, reply.sender, reply.target),
                (US, request.target, request.sender)
            );
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(frame in proptest::collection::vec(any::<u8>(), 14..64)) {
            if let Ok(link) = Link::parse(&frame) {
                let _ = Arp::parse(&frame, &link);
            }
        }
    }
}
