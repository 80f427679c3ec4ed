//! Any bytes pass the framer and the inspector both ways without a panic, within their bounds, and translated messages
//! can be read again.
#![no_main]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use host::sip::{
    Arrival, Effect, Frame, Framer, Framing, Inspector, Limits, Mapping, Message, Place, Protocol,
    Setup, Translator, Way,
};
use libfuzzer_sys::fuzz_target;

/// 10.0.0.0/24 is seen as one address.
struct Nat;

const SHARED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

impl Translator for Nat {
    fn map(&mut self, _: Protocol, real: SocketAddrV4) -> Mapping {
        match self.map_address(*real.ip()) {
            Some(mapped) => Mapping::To(SocketAddrV4::new(mapped, real.port() ^ 0x4000)),
            None => Mapping::Same,
        }
    }

    fn map_address(&mut self, real: Ipv4Addr) -> Option<Ipv4Addr> {
        (real.octets()[..3] == [10, 0, 0]).then_some(SHARED)
    }

    fn unmap(&mut self, _: Protocol, mapped: SocketAddrV4) -> Option<SocketAddrV4> {
        let real = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), mapped.port() ^ 0x4000);
        (*mapped.ip() == SHARED).then_some(real)
    }

    fn unmap_address(&mut self, _: Ipv4Addr) -> Option<Ipv4Addr> {
        None
    }
}

// Input: one byte of switches, then a stream, or one datagram.
fuzz_target!(|bytes: &[u8]| {
    let Some((switches, bytes)) = bytes.split_first() else {
        return;
    };
    let mut setup = Setup {
        limits: Limits {
            sessions: 4,
            sources: 2,
            ..Limits::default()
        },
        ..Setup::default()
    };
    setup.rules.parameters.ip_address_privacy = switches & 1 != 0;
    let mut inspector = Inspector::new(setup);
    let is_stream = switches & 2 != 0;
    let mut messages = vec![bytes.to_vec()];
    if is_stream {
        let mut framer = Framer::new(None);
        bytes
            .chunks(usize::from(switches >> 2) + 1)
            .for_each(|piece| framer.handle_bytes(Duration::ZERO, piece));
        messages = std::iter::from_fn(|| framer.poll())
            .filter_map(|frame| match frame {
                Frame::Message(bytes) => Some(bytes),
                _ => None,
            })
            .collect();
    }
    let place = |interface, address: [u8; 4]| Place {
        interface,
        socket: SocketAddrV4::new(address.into(), 5060),
    };
    let (inside, outside) = (
        place("inside", [10, 0, 0, 2]),
        place("outside", [198, 51, 100, 7]),
    );
    for (at, message) in messages.iter().enumerate() {
        for way in [Way::Outbound, Way::Inbound] {
            let (source, destination) = match way {
                Way::Outbound => (inside, outside),
                Way::Inbound => (outside, inside),
            };
            let arrival = Arrival {
                now: Duration::from_secs(at as u64),
                way,
                protocol: if is_stream {
                    Protocol::Tcp
                } else {
                    Protocol::Udp
                },
                is_tls: false,
                source,
                destination,
            };
            let mut effects = Vec::new();
            inspector.handle_message(&arrival, message, &mut Nat, &mut effects);
            if let (Some(Effect::Forward(out)), Ok(_)) =
                (effects.last(), Message::parse(message, Framing::Datagram))
            {
                let again = Message::parse(out, Framing::Datagram).map(|again| again.excess);
                assert!(
                    matches!(
                        again,
                        Ok(0) | Err(host::sip::Fault::MessageLong | host::sip::Fault::LineLong)
                    ),
                    "{again:?}"
                );
            }
        }
        assert!(inspector.sessions().len() <= 4);
    }
    let mut effects = Vec::new();
    inspector.handle_timeout(Duration::from_secs(1_000_000), &mut effects);
    assert_eq!(
        (inspector.sessions().len(), inspector.open_pinholes()),
        (0, 0)
    );
});
