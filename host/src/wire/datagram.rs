//! Whole datagrams: put together from fragments, given another payload, cut into fragments again.
//!
//! Here a checksum is computed and not updated: whoever changes a payload has read it, and must have checked it before.
//! RFC 791 §2.3, RFC 768.

use super::checksum;
use super::packet::{Fragment, Packet, Transport};

/// A packet and the frame it is in.
pub type Framed = (Packet, Vec<u8>);

/// One frame out of all pieces of a datagram, first one first; longer than a link carries when there are several.
/// `None` if they do not fit together.
pub fn join(pieces: &[Framed]) -> Option<Framed> {
    let ((first, frame), rest) = pieces.split_first()?;
    let mut joined = frame.get(..first.end)?.to_vec();
    for (packet, frame) in rest {
        joined.extend_from_slice(packet.payload(frame));
    }
    let whole = Packet {
        fragment: None,
        end: joined.len(),
        ..*first
    };
    finish_header(&mut joined, &whole, None)?;
    Some((whole, joined))
}

/// Whether a UDP datagram came as it was sent. One without a checksum may have (RFC 768).
pub fn has_valid_checksum(packet: &Packet, frame: &[u8]) -> bool {
    let payload = packet.payload(frame);
    match payload.get(6..8) {
        Some([0, 0]) => true,
        Some(_) => pseudo_sum(packet, payload) == 0xffff,
        None => false,
    }
}

/// What a UDP datagram carries: its length field may say less than the IPv4 header does.
pub fn udp_payload<'a>(packet: &Packet, frame: &'a [u8]) -> &'a [u8] {
    let datagram = packet.payload(frame);
    let length = match datagram.get(4..6) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    datagram.get(UDP_HEADER_BYTES..length).unwrap_or_default()
}

/// A UDP datagram with another payload, in as many fragments as it takes. `None` if it would be too long.
pub fn with_udp_payload(packet: &Packet, frame: &[u8], payload: &[u8]) -> Option<Vec<Framed>> {
    let mut whole = frame.get(..packet.l4 + UDP_HEADER_BYTES)?.to_vec();
    whole.extend_from_slice(payload);
    let packet = Packet {
        fragment: None,
        end: whole.len(),
        ..*packet
    };
    let length = u16::try_from(UDP_HEADER_BYTES + payload.len()).ok()?;
    let udp = packet.l4;
    whole[udp + 4..udp + 6].copy_from_slice(&length.to_be_bytes());
    whole[udp + 6..udp + 8].fill(0);
    let sum = match !pseudo_sum(&packet, packet.payload(&whole)) {
        0 => 0xffff,
        sum => sum,
    };
    whole[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    finish_header(&mut whole, &packet, None)?;
    cut(&packet, whole, sum)
}

/// Cuts a datagram into fragments that a link carries. `spare` identifies it if it came without an identification,
/// as one that must not be cut may (RFC 6864 §4.1); it is cut nevertheless, for it has become another one.
fn cut(packet: &Packet, frame: Vec<u8>, spare: u16) -> Option<Vec<Framed>> {
    let header_bytes = packet.l4 - packet.ip;
    let room = (MTU_BYTES - header_bytes) / 8 * 8;
    let payload = packet.payload(&frame);
    if header_bytes + payload.len() <= MTU_BYTES {
        return Some(vec![(*packet, frame)]);
    }
    let header = &frame[..packet.l4];
    let ident = match u16::from_be_bytes([header[packet.ip + 4], header[packet.ip + 5]]) {
        0 => spare,
        ident => ident,
    };
    let pieces = payload.chunks(room).enumerate().map(|(index, chunk)| {
        let fragment = Fragment {
            ident,
            start: index * room,
            more: (index + 1) * room < payload.len(),
        };
        let mut piece = header.to_vec();
        piece.extend_from_slice(chunk);
        let is_first = index == 0;
        let mut own = Packet {
            fragment: Some(fragment),
            end: piece.len(),
            ..*packet
        };
        if !is_first {
            own.transport = Transport::Later;
            (own.tuple.sport, own.tuple.dport) = (0, 0);
        }
        finish_header(&mut piece, &own, Some(fragment))?;
        Some((own, piece))
    });
    pieces.collect()
}

/// Writes length, fragment fields and checksum of the IPv4 header.
fn finish_header(frame: &mut [u8], packet: &Packet, fragment: Option<Fragment>) -> Option<()> {
    let length = u16::try_from(packet.end - packet.ip).ok()?;
    let header = frame.get_mut(packet.ip..packet.l4)?;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    let place = match fragment {
        Some(fragment) => {
            header[4..6].copy_from_slice(&fragment.ident.to_be_bytes());
            let more = u16::from(fragment.more) << 13;
            more | u16::try_from(fragment.start / 8).ok()?
        }
        None => 0,
    };
    header[6..8].copy_from_slice(&place.to_be_bytes());
    header[10..12].fill(0);
    let sum = !checksum::sum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// One's complement sum of a transport payload and its pseudo-header.
fn pseudo_sum(packet: &Packet, payload: &[u8]) -> u16 {
    let tuple = packet.tuple;
    let mut bytes = Vec::with_capacity(12 + payload.len());
    bytes.extend_from_slice(&tuple.src.octets());
    bytes.extend_from_slice(&tuple.dst.octets());
    bytes.extend_from_slice(&[0, tuple.proto]);
    // No datagram is longer than its length field can say.
    bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(payload);
    checksum::sum(&bytes)
}

/// Bytes of an IPv4 packet that the ports carry.
const MTU_BYTES: usize = 1500;
/// Bytes of the UDP header.
const UDP_HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Ipv4HeaderSlice, PacketBuilder, UdpHeaderSlice};
    use proptest::prelude::*;

    fn datagram(payload: &[u8]) -> Framed {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [192, 0, 2, 1], 64)
            .udp(5060, 5070);
        let mut frame = Vec::new();
        builder
            .write(&mut frame, payload)
            .expect("a vector takes everything");
        (Packet::parse(&frame).expect("valid"), frame)
    }

    proptest! {
        #[test]
        fn another_payload_arrives_whole_with_checksums_that_are_right(
            old in proptest::collection::vec(any::<u8>(), 0..100),
            new in proptest::collection::vec(any::<u8>(), 0..5000),
        ) {
            let (packet, frame) = datagram(&old);
            prop_assert!(has_valid_checksum(&packet, &frame));
            let pieces = with_udp_payload(&packet, &frame, &new).expect("not too long");
            for (packet, frame) in &pieces {
                prop_assert!(frame.len() <= 14 + MTU_BYTES);
                prop_assert_eq!(Packet::parse(frame), Ok(*packet));
            }
            let (whole, joined) = join(&pieces).expect("they fit");
            prop_assert_eq!(Packet::parse(&joined), Ok(whole));
            prop_assert_eq!(udp_payload(&whole, &joined), &new);
            prop_assert!(has_valid_checksum(&whole, &joined));
            let ip = Ipv4HeaderSlice::from_slice(&joined[whole.ip..]).expect("a header");
            let udp = UdpHeaderSlice::from_slice(whole.payload(&joined)).expect("a header");
            let right = udp.to_header().calc_checksum_ipv4(&ip.to_header(), &new).expect("short");
            prop_assert_eq!(right, udp.checksum());
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_and_a_missing_checksum_is_not() {
        let (packet, mut frame) = datagram(b"OPTIONS");
        *frame.last_mut().expect("some") ^= 1;
        assert!(!has_valid_checksum(&packet, &frame));
        frame[packet.l4 + 6..packet.l4 + 8].fill(0);
        assert!(has_valid_checksum(&packet, &frame));
    }

    #[test]
    fn what_does_not_fit_a_datagram_is_refused() {
        let (packet, frame) = datagram(b"");
        assert!(with_udp_payload(&packet, &frame, &vec![0; 65_535]).is_none());
    }
}
