//! Stories about first packets on the corrected seed configuration, and the device's own sorting example.

use layout::table::Key;

use crate::config::parse;
use crate::policy::decision::{AclBasis, DropReason, SourceTranslation, Verdict};
use crate::policy::{Model, decide, lower};

const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;

fn seed() -> Model {
    lower(
        &parse(include_str!(
            "../../../../tests/cases/seed-corrected/setup.cfg"
        ))
        .config,
    )
    .0
}

fn key(
    interface: u8,
    proto: u8,
    (src, sport): ([u8; 4], u16),
    (dst, dport): ([u8; 4], u16),
) -> Key {
    Key {
        interface,
        proto,
        src: u32::from_be_bytes(src),
        sport,
        dst: u32::from_be_bytes(dst),
        dport,
    }
}

const PARTNER: [u8; 4] = [192, 0, 2, 254];
const PUBLIC: [u8; 4] = [192, 0, 2, 1];
const NODE_1: [u8; 4] = [10, 0, 0, 2];
const NODE_2: [u8; 4] = [10, 0, 0, 3];

#[test]
fn a_shifted_public_port_reaches_the_second_node() {
    let model = seed();
    let decision = decide(&model, &key(OUTSIDE, 6, (PARTNER, 40000), (PUBLIC, 45061)));
    assert_eq!(decision.verdict, Verdict::Permit);
    assert_eq!(decision.destination, u32::from_be_bytes(NODE_2));
    assert_eq!(decision.destination_port, 5061);
    assert_eq!(decision.source, SourceTranslation::None);
    let egress = decision.egress.expect("a way");
    assert_eq!(
        (egress.interface.0, egress.next_hop, egress.diverted),
        (INSIDE, u32::from_be_bytes(NODE_2), true)
    );
}

#[test]
fn the_real_address_from_outside_fails_the_reverse_path_check() {
    let model = seed();
    let decision = decide(&model, &key(OUTSIDE, 6, (PARTNER, 40000), (NODE_1, 5061)));
    assert_eq!(decision.verdict, Verdict::Drop(DropReason::RpfFailed));
    assert!(decision.ingress_acl.expect("asked").permit);
}

#[test]
fn outbound_from_the_static_port_keeps_it_and_others_share_the_address() {
    let model = seed();
    let fixed = decide(&model, &key(INSIDE, 6, (NODE_1, 5062), (PARTNER, 5061)));
    let public = u32::from_be_bytes(PUBLIC);
    assert!(
        matches!(fixed.source, SourceTranslation::Static { address, port: 5062, .. } if address == public)
    );
    let other = decide(&model, &key(INSIDE, 6, (NODE_1, 33333), (PARTNER, 5061)));
    assert!(matches!(other.source, SourceTranslation::DynamicPat { .. }));
    assert!(other.per_session);
    let rule = other.source.rule().expect("a rule");
    let ranges: Vec<_> = model
        .pat_ranges(rule, crate::policy::model::InterfaceId(OUTSIDE))
        .collect();
    assert_eq!(ranges, [crate::policy::range::AddressRange::host(public)]);
    let owned = |port| {
        model
            .owned
            .contains(crate::policy::model::InterfaceId(OUTSIDE), 6, public, port)
    };
    assert!(owned(5061) && owned(45062) && !owned(33333));
}

#[test]
fn the_classes_of_the_federation_name_their_proxy() {
    let model = seed();
    let proxy = |key: Key| {
        let class = decide(&model, &key).inspect?;
        model.class(class).inspect.as_ref()?.tls_proxy.clone()
    };
    assert_eq!(
        proxy(key(OUTSIDE, 6, (PARTNER, 40000), (PUBLIC, 5061))).as_deref(),
        Some("ent_y_to_x")
    );
    assert_eq!(
        proxy(key(INSIDE, 6, (NODE_1, 40000), (PARTNER, 5061))).as_deref(),
        Some("ent_x_to_y")
    );
    assert_eq!(
        proxy(key(INSIDE, 6, (NODE_2, 40000), (PARTNER, 5061))),
        None
    );
}

#[test]
fn what_no_line_permits_is_denied_by_the_line_that_says_so() {
    let model = seed();
    let decision = decide(&model, &key(OUTSIDE, 17, (PARTNER, 40000), (PUBLIC, 5270)));
    assert_eq!(decision.verdict, Verdict::Drop(DropReason::AclDrop));
    let AclBasis::Ace(ace) = decision.ingress_acl.expect("asked").by else {
        panic!("a line denies it");
    };
    assert!(!model.ace(ace).expect("exists").0.permit);
}

#[test]
fn the_devices_own_addresses_are_local_on_their_side_only() {
    let model = seed();
    let echo = 8 << 8;
    let own = decide(
        &model,
        &key(OUTSIDE, 1, (PARTNER, 7), ([192, 0, 2, 2], echo)),
    );
    assert_eq!(own.verdict, Verdict::Local);
    let far = decide(
        &model,
        &key(OUTSIDE, 1, (PARTNER, 7), ([10, 0, 0, 1], echo)),
    );
    assert_eq!(far.verdict, Verdict::Drop(DropReason::SecurityFailed));
}

#[test]
fn no_translation_leads_to_an_address_of_the_device() {
    let text = "interface GigabitEthernet0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\n\
                interface GigabitEthernet0/1\n nameif inside\n ip address 10.0.0.1 255.255.255.0\n\
                object network us\n host 10.0.0.1\n nat (inside,outside) static 192.0.2.7\n\
                access-list A extended permit ip any any\naccess-group A in interface outside\n";
    let model = lower(&parse(text).config).0;
    let decision = decide(
        &model,
        &key(OUTSIDE, 6, (PARTNER, 40000), ([192, 0, 2, 7], 22)),
    );
    assert_eq!(decision.verdict, Verdict::Drop(DropReason::SecurityFailed));
    assert!(decision.untranslate.is_some() && decision.egress.is_none());
}

#[test]
fn nothing_passes_through_an_interface_for_management() {
    let text = include_str!("../../../../tests/cases/seed-corrected/setup.cfg")
        .replace(" nameif inside\n", " nameif inside\n management-only\n");
    let model = lower(&parse(&text).config).0;
    let inbound = key(OUTSIDE, 6, (PARTNER, 40000), (PUBLIC, 5061));
    let outbound = key(INSIDE, 6, (NODE_1, 5062), (PARTNER, 5061));
    for through in [inbound, outbound] {
        let reason = DropReason::SecurityFailed;
        assert_eq!(decide(&model, &through).verdict, Verdict::Drop(reason));
        assert_ne!(decide(&seed(), &through).verdict, Verdict::Drop(reason));
    }
    let ping = key(INSIDE, 1, (NODE_1, 7), ([10, 0, 0, 1], 8 << 8));
    assert_eq!(decide(&model, &ping).verdict, Verdict::Local);
}

#[test]
fn a_pat_address_without_a_connection_and_protocols_without_ports() {
    let model = seed();
    // Permitted by `any any eq 5269`, but no rule maps this port of the shared address over this protocol.
    let mut open = seed();
    open.nat.retain(|rule| rule.section == 2);
    let unknown = decide(&open, &key(OUTSIDE, 6, (PARTNER, 40000), (PUBLIC, 5269)));
    // The route back out of the same interface is refused first.
    assert_eq!(unknown.verdict, Verdict::Drop(DropReason::SecurityFailed));
    open.intra_interface = true;
    let unknown = decide(&open, &key(OUTSIDE, 6, (PARTNER, 40000), (PUBLIC, 5269)));
    assert_eq!(unknown.verdict, Verdict::Drop(DropReason::NoXlateToPatPool));
    let gre = decide(&model, &key(INSIDE, 47, (NODE_1, 0), (PARTNER, 0)));
    assert_eq!(gre.verdict, Verdict::Drop(DropReason::XlateFailed));
}

#[test]
fn object_nat_is_sorted_as_the_device_sorts_it() {
    let mut text = String::from(
        "interface GigabitEthernet0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\n\
         interface GigabitEthernet0/1\n nameif inside\n ip address 10.9.9.1 255.255.255.0\n",
    );
    for (name, address, nat) in [
        (
            "a",
            "subnet 192.168.1.0 255.255.255.0",
            "static 203.0.113.0",
        ),
        ("b", "subnet 192.168.1.0 255.255.255.0", "dynamic 192.0.2.9"),
        ("c", "subnet 10.1.1.0 255.255.255.0", "static 198.51.100.0"),
        ("d", "host 192.168.1.1", "static 192.0.2.8"),
        (
            "def",
            "subnet 172.16.1.0 255.255.255.0",
            "dynamic 192.0.2.9",
        ),
        (
            "abc",
            "subnet 172.16.1.0 255.255.255.0",
            "dynamic 192.0.2.9",
        ),
    ] {
        text.push_str(&format!(
            "object network {name}\n {address}\n nat (inside,outside) {nat}\n"
        ));
    }
    let (model, _) = lower(&parse(&text).config);
    let names: Vec<_> = model
        .nat
        .iter()
        .filter_map(|rule| rule.object.as_ref())
        .map(|object| object.name.as_str())
        .collect();
    assert_eq!(names, ["d", "c", "a", "abc", "def", "b"]);
}

#[test]
fn twice_nat_translates_both_ends_and_comes_back() {
    let text = "interface GigabitEthernet0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\n\
                interface GigabitEthernet0/1\n nameif inside\n ip address 10.0.0.1 255.255.255.0\n\
                object network real\n host 10.0.0.2\nobject network mapped\n host 192.0.2.7\n\
                object network seen\n host 10.0.0.99\nobject network far\n host 192.0.2.99\n\
                object service one\n service tcp destination eq 80\nobject service two\n service tcp destination eq 8080\n\
                nat (inside,outside) source static real mapped destination static seen far service one two\n\
                access-list A extended permit ip any any\naccess-group A in interface outside\n";
    let (model, findings) = lower(&parse(text).config);
    assert!(findings.is_empty(), "{findings:?}");
    let out = decide(
        &model,
        &key(INSIDE, 6, (NODE_1, 1000), ([10, 0, 0, 99], 80)),
    );
    assert_eq!(out.verdict, Verdict::Permit);
    assert_eq!(
        (out.destination, out.destination_port),
        (u32::from_be_bytes([192, 0, 2, 99]), 8080)
    );
    let mapped = u32::from_be_bytes([192, 0, 2, 7]);
    assert!(
        matches!(out.source, SourceTranslation::Static { address, port: 1000, .. } if address == mapped)
    );
    let back = decide(
        &model,
        &key(OUTSIDE, 6, ([192, 0, 2, 99], 8080), ([192, 0, 2, 7], 1000)),
    );
    assert_eq!(back.verdict, Verdict::Permit);
    assert_eq!(
        (back.destination, back.destination_port),
        (u32::from_be_bytes(NODE_1), 1000)
    );
    let seen = u32::from_be_bytes([10, 0, 0, 99]);
    assert!(
        matches!(back.source, SourceTranslation::Static { address, port: 80, .. } if address == seen)
    );
}
