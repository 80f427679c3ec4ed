//! Any bytes of a peer pass TLS records, framer and inspector without a panic and within bounds, the session ends, and
//! the inspector hears what was said and nothing else.
#![no_main]

use std::io::{Read, Write};
use std::net::SocketAddrV4;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use host::pki::key::Wanted;
use host::pki::{Date, Key, Settings, Trustpoint};
use host::policy::Model;
use host::policy::model::ClassId;
use host::punt::{Channel, Resolution, Setup, SlowPath};
use host::runtime::streams::{Desk, SipStream};
use host::sip::{Protocol, Way};
use host::tls::inspect::Direction;
use host::tls::keys::Identity;
use host::tls::proxy::Parts;
use host::tls::session::{Effect, Place, READ_BYTES};
use host::tls::{Inspect, Proxy, Refusal, Session, Side, Trust};
use layout::table::Interface;
use libfuzzer_sys::fuzz_target;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, ServerConfig,
    ServerConnection, SignatureScheme,
};

const CONFIG: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network server
 host 10.0.0.2
 nat (inside,outside) static 192.0.2.2 service tcp 5061 5061
object network everybody
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic interface
tls-proxy y_to_x
 server trust-point own
 no server authenticate-client
class-map sip
 match port tcp eq 5061
policy-map global_policy
 class sip
  inspect sip tls-proxy y_to_x
service-policy global_policy global
";

const NOW: Duration = Duration::from_secs(1_000_000);

/// What every session needs and none changes.
struct World {
    proxy: Arc<Proxy>,
    model: Arc<Model>,
    /// Peers of both versions of TLS.
    diallers: [Arc<ClientConfig>; 2],
    behind: [Arc<ServerConfig>; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let parsed = host::config::parse(CONFIG);
    let [(own, own_key), (peer, peer_key)] = ["own", "peer"].map(|name| {
        let settings = Settings {
            name: name.into(),
            ..Settings::default()
        };
        let key = Key::generate(name, Wanted::Ecdsa(256)).expect("a key");
        let mut trustpoint = Trustpoint::new(name);
        trustpoint.sign_itself(&settings, &key, Date::from(NOW)).expect("a certificate");
        (trustpoint, key)
    });
    let certificate = peer.identity.clone().expect("a certificate");
    let chain = vec![CertificateDer::from(certificate.der.to_vec())];
    let mut pin = Trustpoint::new("pin");
    pin.authenticate(certificate).expect("a pin");
    let parts = Parts {
        server: Some(Identity::new(&own, &own_key).expect("enrolled")),
        client: None,
        local: None,
    };
    let trust = Arc::new(Trust::new([&pin].into_iter()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    World {
        proxy: Arc::new(Proxy::new(&parsed.config.tls_proxies[0], parts, trust).expect("a proxy")),
        model: Arc::new(host::policy::lower(&parsed.config).0),
        diallers: [&TLS13, &TLS12].map(|version| {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(&[version]).expect("a version");
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting));
            Arc::new(builder.with_no_client_auth())
        }),
        behind: [&TLS13, &TLS12].map(|version| {
            let builder = ServerConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(&[version]).expect("a version");
            let key = PrivatePkcs8KeyDer::from(peer_key.pkcs8().to_vec()).into();
            let config = builder.with_no_client_auth().with_single_cert(chain.clone(), key);
            Arc::new(config.expect("a key"))
        }),
    }
});

/// A peer that takes every certificate.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A slow path, and the session as it knows it.
fn desk(model: &Arc<Model>) -> Desk {
    let interface = |port| Interface {
        valid: true,
        port,
        ..Interface::default()
    };
    let slow_path = SlowPath::new(Setup {
        model: model.clone(),
        interfaces: vec![interface(0), interface(1)],
        resolution: Resolution::Ask,
        limits: host::flow::Limits::default(),
        seed: 1,
        has_proxy: true,
    });
    let peer = SocketAddrV4::new([198, 51, 100, 7].into(), 5061);
    Desk {
        slow_path: Arc::new(Mutex::new(slow_path)),
        channel: Channel {
            class: ClassId(0),
            protocol: Protocol::Tcp,
            is_tls: true,
            forward: Way::Inbound,
            real: 1,
            mapped: 0,
            peer,
            ends: [(0, peer), (1, SocketAddrV4::new([10, 0, 0, 2].into(), 5061))],
        },
        log: Arc::new(|_| {}),
    }
}

/// What the inspector heard, by direction.
type Heard = Arc<Mutex<[Vec<u8>; 2]>>;

/// The inspection that ships, and a witness of what it is told.
struct Witness {
    stream: SipStream,
    heard: Heard,
}

impl Inspect for Witness {
    fn handle_text(
        &mut self,
        now: Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.heard.lock().expect("alone")[direction as usize].extend_from_slice(text);
        self.stream.handle_text(now, direction, text, onward)
    }

    fn handle_end(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.stream.handle_end(now, direction, onward)
    }
}

/// Whoever is at an end of the session.
enum Peer {
    /// It speaks TLS, and has so much more to say.
    Honest(Box<Connection>, Vec<u8>),
    /// Its bytes are what they are.
    Raw(Vec<u8>),
}

impl Peer {
    /// The next bytes from it.
    fn bytes(&mut self) -> Vec<u8> {
        match self {
            Peer::Raw(bytes) => std::mem::take(bytes),
            Peer::Honest(tls, text) => {
                if !tls.is_handshaking() && !text.is_empty() {
                    let taken = tls.writer().write(text).unwrap_or(0);
                    text.drain(..taken);
                }
                let mut bytes = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut bytes).expect("a vector takes everything");
                }
                bytes
            }
        }
    }

    fn is_talking(&self) -> bool {
        matches!(self, Peer::Honest(tls, _) if !tls.is_handshaking())
    }

    /// Takes bytes; what is wrong with them is the session's doing only if they were not tampered with.
    fn take(&mut self, mut bytes: &[u8]) {
        let Peer::Honest(tls, _) = self else {
            return;
        };
        while !bytes.is_empty() {
            if tls.read_tls(&mut bytes).is_err() || tls.process_new_packets().is_err() {
                return;
            }
            // What there is; the end of it is an error of its own.
            let _ = tls.reader().read_to_end(&mut Vec::new());
        }
    }
}

struct Scene {
    session: Session,
    peers: [Peer; 2],
    is_dialled: bool,
    piece: usize,
    /// Byte of the records behind the handshakes that is turned over, and by what.
    tamper: Option<(usize, u8)>,
}

impl Scene {
    fn carry(&mut self, side: Side) -> bool {
        let peer = &mut self.peers[side as usize];
        if side == Side::Client && !self.is_dialled {
            return false;
        }
        let mut moved = false;
        if self.session.wants_bytes(side) {
            let is_talking = peer.is_talking();
            let mut bytes = peer.bytes();
            if let Some((at, turn)) = self.tamper.filter(|_| is_talking && !bytes.is_empty()) {
                let at = at % bytes.len();
                bytes[at] ^= turn;
                self.tamper = None;
            }
            moved = !bytes.is_empty();
            for piece in bytes.chunks(self.piece) {
                self.session.handle_bytes(NOW, side, piece);
            }
        }
        let mut bytes = Vec::new();
        self.session.take_bytes(side, &mut bytes);
        assert!(bytes.len() < 1 << 20, "{} bytes are held", bytes.len());
        self.peers[side as usize].take(&bytes);
        moved | !bytes.is_empty()
    }

    fn dial(&mut self) -> bool {
        let mut moved = false;
        while let Some(effect) = self.session.poll_effect() {
            moved = true;
            if effect == Effect::Dial {
                assert!(!std::mem::replace(&mut self.is_dialled, true), "dialled twice");
                self.session.handle_connected(NOW);
            }
        }
        moved
    }

    fn run(&mut self) {
        for _ in 0..ROUNDS {
            if !(self.carry(Side::Server) | self.carry(Side::Client) | self.dial()) {
                return;
            }
        }
        panic!("bytes go round for ever");
    }
}

/// Turns without an end that no input of the fuzzer's size needs.
const ROUNDS: usize = 10_000;

// Input: a byte of switches, one for the size of pieces, one for what is turned over, then what a peer says.
fuzz_target!(|bytes: &[u8]| {
    let [switches, piece, turn, said @ ..] = bytes else {
        return;
    };
    let world = &*WORLD;
    let (heard, version) = (Heard::default(), usize::from(switches >> 2 & 1));
    let place = |interface: &str, address: [u8; 4]| Place {
        interface: interface.into(),
        address: (address, 5061).into(),
    };
    let (from, to) = (place("outside", [198, 51, 100, 7]), place("inside", [10, 0, 0, 2]));
    let desk = desk(&world.model);
    let slow_path = desk.slow_path.clone();
    let stream = SipStream::new(desk, None);
    let witness = Witness {
        stream,
        heard: heard.clone(),
    };
    // From whom the text comes, and whether it is text or all that comes.
    let (speaker, is_raw) = (usize::from(switches >> 3 & 1), switches & 1 != 0);
    let text = |side: usize| match side == speaker {
        true => said.to_vec(),
        false => Vec::new(),
    };
    let name = ServerName::try_from("cup.example.com").expect("a name");
    let client = ClientConnection::new(world.diallers[version].clone(), name).expect("a client");
    let server = ServerConnection::new(world.behind[version].clone()).expect("a server");
    let mut peers = [
        Peer::Honest(Box::new(client.into()), text(0)),
        Peer::Honest(Box::new(server.into()), text(1)),
    ];
    if is_raw {
        peers[speaker] = Peer::Raw(said.to_vec());
    }
    let mut scene = Scene {
        session: Session::new(NOW, world.proxy.clone(), from, to, Box::new(witness)),
        peers,
        is_dialled: false,
        piece: (usize::from(*piece) * 64 + 1).min(READ_BYTES),
        tamper: (switches & 2 != 0).then_some((usize::from(*piece), *turn | 1)),
    };
    scene.run();
    let is_sound = !is_raw && switches & 2 == 0;
    if is_sound {
        assert!(scene.is_dialled, "two honest peers do not meet");
    }
    {
        let heard = heard.lock().expect("alone");
        let silent = &heard[1 - speaker];
        assert!(silent.is_empty(), "{silent:?} was never said");
        // Bytes that are no records are no text; of records that were tampered with nothing may come through.
        match is_raw {
            true => assert!(heard[speaker].is_empty()),
            false => assert!(said.starts_with(&heard[speaker]), "heard what was not said"),
        }
    }
    scene.session.handle_end(NOW, Side::Server);
    scene.session.handle_end(NOW, Side::Client);
    scene.run();
    scene.session.handle_time(NOW + Duration::from_secs(3600));
    assert!(scene.session.is_over(), "it never ends");
    let mut slow_path = slow_path.lock().expect("alone");
    slow_path.poll(NOW * 2, &mut Vec::new());
    let inspectors = slow_path.inspectors().iter();
    let sessions: usize = inspectors.map(|inspector| inspector.sessions().len()).sum();
    assert_eq!((sessions, slow_path.open_pinholes()), (0, 0));
});
