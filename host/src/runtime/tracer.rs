//! One packet through a simulated card and the slow path: what a card adds to the evaluator's answer.
//!
//! In: an interface and what lookups match on. The frame is made up around that: a SYN for TCP, no
//! data. Out: what a replay says of a frame, and the clock at which it passed each stage of the card.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etherparse::{Icmpv4Header, Icmpv4Type, IpNumber, Ipv4Header, TcpHeader, UdpHeader};
use layout::simulator::STAGES;
use layout::table::Key;
use serde::Serialize;

use super::Error;
use super::capture::Captured;
use super::lockstep::LockStep;
use super::report::{Describer, Record};
use crate::policy::Model;
use crate::policy::model::InterfaceId;
use crate::vfio::child::Engine;
use crate::wire::packet::{ETHERTYPE_IPV4, ETHERTYPE_VLAN, ICMP, TCP, UDP};

/// What a card did with a packet.
#[derive(Clone, Debug, Serialize)]
pub struct CardTrace {
    /// Which card.
    pub engine: &'static str,
    /// What became of the packet.
    pub packet: Record,
    /// Stages of the card that it passed at first sight, with the clocks since its first beat.
    pub stages: Vec<Stage>,
}

/// A stage of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// Clocks since the packet's first beat.
    pub cycle: u64,
}

/// Runs a packet through a card that is loaded with a configuration. `None` if its interface is not on
/// the card.
pub fn trace_on_card(
    engine: Engine,
    model: Arc<Model>,
    describer: &Describer<'_>,
    key: &Key,
) -> Result<Option<CardTrace>, Error> {
    let id = InterfaceId(key.interface);
    let interface = model.interface(id);
    let Some(port) = interface.port else {
        return Ok(None);
    };
    let frame = frame(key, interface.vlan);
    let mut card = LockStep::start(engine, model.clone())?;
    let outcome = card.receive(Duration::ZERO, port, &frame)?;
    let captured = Captured {
        time: Duration::ZERO,
        number: 1,
        wire_bytes: frame.len() as u32,
        frame,
    };
    let mut packet = Record::new(describer, id, &captured);
    packet.set_outcome(describer, captured.frame.len(), &outcome);
    let passed = STAGES
        .iter()
        .zip(&outcome.verdict.stages)
        .filter(|(_, clock)| **clock > 0);
    let first = outcome.verdict.cycle_first;
    let stages = passed
        .map(|(name, clock)| Stage {
            name,
            cycle: clock.saturating_sub(first),
        })
        .collect();
    Ok(Some(CardTrace {
        engine: engine.name(),
        packet,
        stages,
    }))
}

/// The way packet-tracer prints a phase.
impl fmt::Display for CardTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            verdict,
            path,
            reason,
            punted,
            egress,
            sent,
            ace,
            nat_rule,
            ..
        } = &self.packet;
        writeln!(f, "Card: {}", self.engine)?;
        writeln!(f, "Action: {verdict:?} by the {path:?}, {reason}")?;
        if let Some(punted) = punted {
            writeln!(f, "Punted: {punted}")?;
        }
        if let (Some(egress), Some(sent)) = (egress, sent) {
            writeln!(f, "Sent: {sent} on {egress}")?;
        }
        for line in [ace, nat_rule].into_iter().flatten() {
            writeln!(f, "Config: {line}")?;
        }
        for Stage { name, cycle } in &self.stages {
            writeln!(f, "  {name:<12} cycle {cycle}")?;
        }
        Ok(())
    }
}

/// A frame with these addresses and ports.
fn frame(key: &Key, vlan: Option<u16>) -> Vec<u8> {
    let mut frame = [DESTINATION_MAC, SOURCE_MAC].concat();
    if let Some(vid) = vlan {
        frame.extend_from_slice(&ETHERTYPE_VLAN.to_be_bytes());
        frame.extend_from_slice(&vid.to_be_bytes());
    }
    frame.extend_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
    let mut header = Ipv4Header {
        time_to_live: TTL,
        protocol: IpNumber(key.proto),
        source: key.src.to_be_bytes(),
        destination: key.dst.to_be_bytes(),
        ..Ipv4Header::default()
    };
    let payload = payload(key, &header);
    header.total_len = (Ipv4Header::MIN_LEN + payload.len()) as u16;
    header.header_checksum = header.calc_header_checksum();
    frame.extend_from_slice(&header.to_bytes());
    frame.extend_from_slice(&payload);
    frame
}

fn payload(key: &Key, ip: &Ipv4Header) -> Vec<u8> {
    let (source, destination) = (ip.source, ip.destination);
    match key.proto {
        TCP => {
            let mut tcp = TcpHeader::new(key.sport, key.dport, 1, u16::MAX);
            tcp.syn = true;
            // Fails only for a payload longer than a datagram.
            tcp.checksum = tcp
                .calc_checksum_ipv4_raw(source, destination, &[])
                .unwrap_or_default();
            tcp.to_bytes().to_vec()
        }
        UDP => {
            let mut udp = UdpHeader {
                source_port: key.sport,
                destination_port: key.dport,
                length: 8,
                checksum: 0,
            };
            udp.checksum = udp
                .calc_checksum_ipv4_raw(source, destination, &[])
                .unwrap_or_default();
            udp.to_bytes().to_vec()
        }
        ICMP => {
            let [type_u8, code_u8] = key.dport.to_be_bytes();
            let [high, low] = key.sport.to_be_bytes();
            let kind = Icmpv4Type::Unknown {
                type_u8,
                code_u8,
                bytes5to8: [high, low, 0, 1],
            };
            Icmpv4Header::with_checksum(kind, &[]).to_bytes().to_vec()
        }
        _ => vec![0; 20],
    }
}

/// Locally administered; in lock-step the card takes frames for any address.
const DESTINATION_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SOURCE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const TTL: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Packet;

    #[test]
    fn made_up_frames_are_what_was_asked_for() {
        for proto in [TCP, UDP, ICMP] {
            for vlan in [None, Some(7)] {
                let key = Key {
                    interface: 0,
                    proto,
                    src: 0x0a00_0002,
                    dst: 0xc000_02fe,
                    sport: 9,
                    dport: 0x0800,
                };
                let packet = Packet::parse(&frame(&key, vlan)).expect("valid");
                assert_eq!((packet.tuple.key(0), packet.link.vid), (key, vlan));
            }
        }
        let key = Key {
            proto: 47,
            src: 1,
            dst: 2,
            ..Key::default()
        };
        assert_eq!(
            Packet::parse(&frame(&key, None))
                .expect("valid")
                .tuple
                .key(0),
            key
        );
    }
}
