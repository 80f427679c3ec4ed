//! Whatever the card punts, the slow path takes it without a panic and within its bounds.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use host::flow::Limits;
use host::punt::{Resolution, Setup, SlowPath};
use layout::desc::Metadata;
use layout::table::Interface;
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = "
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
 nat (inside,outside) static 192.0.2.10 service tcp 5061 5062
object network everybody
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic 192.0.2.10
access-list from_outside extended permit ip any any
access-group from_outside in interface outside
";

// Input: records of 12 bytes metadata, 1 byte wait in seconds, 1 byte frame length, frame.
fuzz_target!(|bytes: &[u8]| {
    let (model, _) = host::policy::lower(&host::config::parse(CONFIG).config);
    let interface = |port| Interface {
        valid: true,
        port,
        mac: 0x0200_0000_0001,
        ..Interface::default()
    };
    let limits = Limits {
        conns: 32,
        embryonic: 16,
        xlates: 24,
        datagrams: 8,
        ..Limits::default()
    };
    let mut path = SlowPath::new(Setup {
        model: Arc::new(model),
        interfaces: vec![interface(0), interface(1)],
        resolution: Resolution::Ask,
        limits,
        seed: 1,
        has_proxy: false,
    });
    let (mut now, mut rest) = (Duration::ZERO, bytes);
    let mut effects = Vec::new();
    while rest.len() >= 14 {
        let head = rest;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let metadata = Metadata::unpack(&[word(0), word(4), word(8)]);
        let end = (14 + usize::from(head[13])).min(head.len());
        now += Duration::from_secs(head[12].into());
        path.poll(now, &mut effects);
        path.handle_punt(now, &metadata, &head[14..end], &mut effects);
        effects.clear();
        assert!(path.conns().len() <= limits.conns && path.xlates().len() <= limits.xlates);
        rest = &head[end..];
    }
});
