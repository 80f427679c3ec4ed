//! Whole texts through the parser.

use super::parse;
use crate::config::ast::Kept;
use crate::config::ast::access_list::{Entry, PortSpec, ProtocolSpec};
use crate::config::ast::inspect::{InspectVerdict, Parameter};
use crate::config::ast::mpf::ClassAction;
use crate::config::ast::nat::{MappedAddress, ObjectTranslation, TwiceSource};
use crate::config::ast::object::{NetworkDefinition, ServiceMember};
use crate::config::ast::primitive::{Endpoint, Ports, Protocol, Service, Transport};
use crate::config::ast::timeout::Timer;
use crate::config::{Lost, Parsed, Severity};

const VERBATIM: &str = include_str!("../../../../tests/cases/seed-verbatim/setup.cfg");
const CORRECTED: &str = include_str!("../../../../tests/cases/seed-corrected/setup.cfg");

/// Code and line of every finding.
fn findings(parsed: &Parsed) -> Vec<(&'static str, u32)> {
    parsed
        .diagnostics
        .iter()
        .map(|d| (d.code, d.span.line))
        .collect()
}

/// Parses a text that must be free of findings.
fn clean(text: &str) -> Parsed {
    let parsed = parse(text);
    assert_eq!(parsed.diagnostics, [], "{text}");
    parsed
}

/// Code and line of the findings about a text.
fn codes(text: &str) -> Vec<(&'static str, u32)> {
    findings(&parse(text))
}

#[test]
fn the_corrected_seed_has_no_findings() {
    let config = clean(CORRECTED).config;
    assert_eq!(config.network_objects.len(), 13);
    assert_eq!(config.nat_before_auto.len(), 6);
    assert_eq!(config.access_lists.len(), 3);
    assert_eq!(config.access_lists[0].entries.len(), 15);
    assert_eq!(config.tls_proxies.len(), 2);
    assert_eq!(config.policy_maps[0].classes.len(), 3);
    assert_eq!(config.timeouts.seconds(Timer::Sip), 2100);
    assert_eq!(config.kept.len(), 4);
}

#[test]
fn the_verbatim_seed_is_read_with_notes_and_one_warning() {
    let parsed = parse(VERBATIM);
    let mut others = findings(&parsed);
    others.retain(|(code, _)| !code.starts_with('N'));
    assert_eq!(others, [("W0101", 58)], "the dots of the chapter");
    let continued = parsed
        .diagnostics
        .iter()
        .filter(|d| d.code == "N0101")
        .count();
    assert_eq!(continued, 9 + 2 * 10);
    assert_eq!(parsed.config.nat_before_auto.len(), 10);
    let objects = &parsed.config.network_objects;
    let ObjectTranslation::Static {
        service: Some(ports),
        mapped,
        ..
    } = &objects[0].nat.as_ref().unwrap().translation
    else {
        panic!("static expected")
    };
    assert_eq!(
        (ports.transport, *ports.real, *ports.mapped),
        (Transport::Tcp, 5061, 5061)
    );
    assert!(matches!(mapped, MappedAddress::Address(a) if a.to_string() == "192.0.2.1"));
    let line = parsed.source.command(objects[0].nat.as_ref().unwrap().span);
    assert_eq!(
        line,
        "nat (inside,outside) static 192.0.2.1 service tcp 5061 5061"
    );
}

#[test]
fn the_reopened_object_of_the_seed_shows_what_it_lost() {
    let parsed = parse(VERBATIM);
    let [lost] = &parsed.overwritten[..] else {
        panic!("{:?}", parsed.overwritten)
    };
    assert_eq!(lost.object.node, "obj-10.0.0.2-03");
    assert_eq!(
        parsed.source.line_of(lost.object.span),
        "hostname(config)# object network obj-10.0.0.2-03"
    );
    assert_eq!(lost.object.span.line, 35);
    let Lost::Nat(nat) = &lost.lost else {
        panic!("a nat was lost")
    };
    assert_eq!((nat.span.line, lost.by.line), (15, 37));
}

#[test]
fn unfilled_placeholders_are_pointed_at() {
    let parsed =
        parse("access-list A extended permit tcp any host <private cup IP address> eq 5269\n");
    assert_eq!(findings(&parsed), [("E0101", 1)]);
    assert_eq!(
        parsed.source.slice(parsed.diagnostics[0].span),
        "<private cup IP address>"
    );
    clean("access-list A remark put <address> here\n");
    assert_eq!(
        codes("object network obj_<x y>\n#host <x y>\nnames"),
        [("E0101", 1), ("N0102", 2), ("W0103", 2)]
    );
}

#[test]
fn keywords_may_be_shortened() {
    let config = clean("int g0/0\n namei outside\n sec 5\n ip add 10.0.0.1 255.0.0.0\naccess-l A ext per ip any any\n").config;
    assert_eq!(config.interfaces[0].hardware.node, "GigabitEthernet0/0");
    assert_eq!(config.interfaces[0].security_level(), 5);
    assert_eq!(config.access_lists[0].entries.len(), 1);
    assert_eq!(codes("acc A permit ip any any"), [("E0104", 1)]);
}

#[test]
fn indentation_decides_nothing() {
    let flat = "object network A\nhost 10.0.0.1\nobject network B\nhost 10.0.0.2\n";
    let deep = "  object network A\nhost 10.0.0.1\n     object network B\n  host 10.0.0.2\n";
    assert_eq!(clean(flat).config, clean(deep).config);
}

#[test]
fn commands_outside_the_subset_are_named_with_their_lines() {
    let text = "snmp-server host inside 10.0.0.9\naaa-server R protocol radius\n timeout 5\n key x\nnames\n\
                interface g0/0\n speed 100\n nameif outside\nname 10.0.0.1 x\nservice resetinbound\n";
    let parsed = parse(text);
    assert_eq!(
        findings(&parsed),
        [
            ("W0101", 1),
            ("W0101", 2),
            ("W0101", 3),
            ("W0101", 4),
            ("W0101", 7),
            ("W0101", 9),
            ("W0101", 10)
        ]
    );
    assert!(
        parsed.diagnostics[0]
            .message
            .contains("snmp-server host inside")
    );
    assert_eq!(
        parsed.config.interfaces[0].nameif.as_ref().unwrap().node,
        "outside"
    );
}

#[test]
fn blocks_of_other_inspectors_are_outside_as_a_whole() {
    let text =
        "policy-map type inspect dns preset\nparameters\nmessage-length maximum 512\nnames\n";
    assert_eq!(codes(text), [("W0101", 1), ("W0101", 2), ("W0101", 3)]);
}

#[test]
fn an_error_does_not_hide_the_next_one() {
    let text = "route inside 10.0.0.0 0.255.255.255 10.1.1.1\nmtu inside 10\naccess-list A permit tcp any any eq 70000\nnames\n";
    assert_eq!(codes(text), [("E0107", 1), ("E0105", 2), ("E0110", 3)]);
}

#[test]
fn each_kind_of_bad_value_has_its_code() {
    for (text, code) in [
        ("object network A\n host 10.0.0.300", "E0106"),
        ("object network A\n subnet 10.0.0.0 255.0.255.0", "E0107"),
        ("object network A\n subnet 10.0.0.1 255.0.0.0", "E0108"),
        ("object network A\n range 10.0.0.9 10.0.0.1", "E0109"),
        ("access-list A permit udp any any eq https", "E0110"),
        ("access-list A permit tcp any any range 20 10", "E0109"),
        ("access-list A permit ip any any eq 80", "E0103"),
        ("access-list A permit tcp any", "E0102"),
        ("static (inside,outside) 192.0.2.1 10.0.0.1", "E0112"),
        ("global (outside) 1 interface", "E0112"),
        ("nat (inside) 1 0.0.0.0 0.0.0.0", "E0112"),
        ("nat (a,b) source static 10.0.0.1 x", "E0123"),
        ("interface g0/x", "E0125"),
        (
            "interface g0/0\n nameif a\ninterface g0/1\n nameif a",
            "E0126",
        ),
        ("route inside 0 0 2001:db8::1", "E0127"),
        ("object-group service S\n port-object eq 80", "E0128"),
        (
            "object-group network G\nobject-group service G tcp",
            "E0118",
        ),
        ("class-map C\n match any\n match access-list A", "E0124"),
        ("time-range T\n absolute start 10:00 31 June 2027", "E0121"),
        ("timeout conn 1:99:00", "E0121"),
        (
            "object network A\n nat (a,b) static x dns service tcp 1 2",
            "E0120",
        ),
        (
            "access-list A standard permit any4\naccess-list A permit ip any any",
            "E0114",
        ),
        (
            "nat (a,b) source static x y unidirectional no-proxy-arp",
            "E0120",
        ),
    ] {
        let parsed = parse(text);
        let errors: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .collect();
        assert_eq!(
            errors.iter().map(|d| d.code).collect::<Vec<_>>(),
            [code],
            "{text}"
        );
    }
}

#[test]
fn a_wildcard_mask_gets_the_netmask_as_help() {
    let parsed = parse("access-list A permit ip 10.0.0.0 0.0.0.255 any");
    assert!(
        parsed.diagnostics[0]
            .help
            .as_ref()
            .unwrap()
            .contains("255.255.255.0")
    );
}

#[test]
fn a_route_that_depends_on_a_probe_is_outside_the_subset() {
    let text = "route outside 0 0 192.0.2.254 1 track 7\nroute outside 0 0 192.0.2.254 tunneled\n\
                route outside 0 0 192.0.2.254 1 tracks\nroute outside 0 0 192.0.2.254 1\n";
    let parsed = parse(text);
    assert_eq!(
        findings(&parsed),
        [("W0101", 1), ("W0101", 2), ("E0103", 3)]
    );
    assert_eq!(parsed.config.routes.len(), 1);
}

#[test]
fn the_interface_of_a_pool_stands_before_or_behind_its_options() {
    let one = |options: &str| {
        clean(&format!(
            "object network A\n subnet 10.0.0.0 255.0.0.0\n nat (a,b) dynamic pat-pool P {options} dns\n"
        ))
        .config
    };
    assert_eq!(
        one("interface extended flat"),
        one("extended flat interface")
    );
    assert_eq!(
        one("extended interface ipv6 flat"),
        one("extended flat interface ipv6")
    );
    assert_eq!(
        codes("object network A\n nat (a,b) dynamic pat-pool P interface flat interface"),
        [("E0103", 2)]
    );
}

#[test]
fn groups_of_ports_and_of_addresses_are_told_apart() {
    let text = "object-group network N\n network-object host 10.0.0.1\nobject-group service P tcp\n port-object eq 80\n\
                access-list A permit tcp object-group N object-group P object-group N object-group P\n\
                access-list A permit tcp object-group N object-group N\n";
    let config = clean(text).config;
    let list = &config.access_lists[0];
    let (_, _, first) = list.extended().next().unwrap();
    assert!(
        matches!(&first.source_port.as_ref().unwrap().node, PortSpec::Group(name) if name.node == "P")
    );
    assert!(matches!(&first.destination.node, Endpoint::Group(name) if name.node == "N"));
    let (_, _, second) = list.extended().nth(1).unwrap();
    assert!(second.source_port.is_none() && second.destination_port.is_none());
}

#[test]
fn a_group_defined_nowhere_is_ports_where_no_address_can_stand() {
    let text = "access-list A permit tcp any object-group P any object-group Q\n\
                access-list A permit tcp any object-group N object-group Q\n";
    let config = clean(text).config;
    let entries: Vec<_> = config.access_lists[0]
        .extended()
        .map(|(_, _, entry)| entry)
        .collect();
    assert!(entries[0].source_port.is_some() && entries[0].destination_port.is_some());
    assert!(entries[1].source_port.is_none() && entries[1].destination_port.is_some());
    assert!(matches!(entries[1].destination.node, Endpoint::Group(_)));
}

#[test]
fn line_numbers_place_entries_and_repeats_are_warned_about() {
    let text = "access-list A permit ip any host 1.1.1.1\naccess-list A line 1 permit ip any host 2.2.2.2\n\
                access-list A line 1 remark first\n";
    let parsed = parse(text);
    assert_eq!(findings(&parsed), [("W0106", 3)]);
    let entries = &parsed.config.access_lists[0].entries;
    assert_eq!(entries[0].node, Entry::Remark("first".to_owned()));
    assert_eq!(entries[1].span.line, 2);
    assert_eq!(entries[2].span.line, 1);
}

#[test]
fn no_removes_what_the_same_words_added() {
    let text = "access-list A permit ip any any\nobject network O\n host 1.1.1.1\n nat (a,b) static 2.2.2.2\n no nat\n\
                nat (a,b) source static O O\nno nat (a,b) source static O O\nno access-list A permit ip any any\n\
                route i 0 0 1.1.1.1\nno route i 0.0.0.0 0.0.0.0 1.1.1.1\nhostname h\nno hostname\nno object network O\n";
    assert_eq!(clean(text).config, Default::default());
    assert_eq!(codes("no route i 0 0 1.1.1.1"), [("W0107", 1)]);
}

#[test]
fn clear_configure_removes_a_whole_kind() {
    let text = "access-list A permit ip any any\naccess-list B permit ip any any\nclear configure access-list A\nroute i 0 0 1.1.1.1\nclear conf route\n";
    let config = clean(text).config;
    assert_eq!(config.access_lists.len(), 1);
    assert_eq!(config.access_lists[0].name.node, "B");
    assert!(config.routes.is_empty());
    assert_eq!(
        clean(&format!("{CORRECTED}clear configure all\n")).config,
        Default::default()
    );
}

#[test]
fn a_pasted_certificate_is_data_and_not_commands() {
    let text = "crypto ca authenticate cert_from_cup\nEnter the base 64 encoded CA certificate.\n-----BEGIN CERTIFICATE-----\n\
                MIIBszCCAVmgAwIBAgIUQ0\nno\n-----END CERTIFICATE-----\nquit\nhostname after\n";
    let config = clean(text).config;
    assert_eq!(config.hostname.unwrap().node, "after");
    assert!(config.kept[0].is_data);
    assert_eq!(config.kept[0].body.len(), 5);
    assert_eq!(
        codes("crypto ca authenticate x\n-----BEGIN CERTIFICATE-----\nMIIB\n"),
        [("E0122", 1)]
    );
    assert_eq!(codes("crypto ca authenticate x\nhostname y\n"), []);
    let chain =
        "crypto ca certificate chain tp\n certificate 01ab\n    30820122 30820123\n  quit\nnames\n";
    assert_eq!(clean(chain).config.kept[0].body.len(), 3);
}

#[test]
fn pasted_data_belongs_to_the_command_before_it() {
    let twice = "crypto ca authenticate a\nMIIB\nquit\ncrypto ca trustpoint b\n enrollment self\n exit\n\
                 cry ca auth a\nMIIC\nMIID\nquit\n";
    let kept = clean(twice).config.kept;
    let lines =
        |kept: &Kept| -> Vec<String> { kept.body.iter().map(|line| line.node.clone()).collect() };
    assert_eq!(kept.len(), 2);
    assert_eq!(lines(&kept[0]), ["MIIC", "MIID"]);
    assert_eq!(lines(&kept[1]), ["enrollment self"]);

    // Not to one that was kept earlier.
    let stray =
        parse("crypto ca trustpoint b\n enrollment self\nnames\ncertificate 01ab\nMIIB\nquit\n");
    assert_eq!(lines(&stray.config.kept[0]), ["enrollment self"]);
    assert!(!stray.config.kept[0].is_data);
    assert!(stray.diagnostics.iter().any(|found| found.code == "W0101"));
}

#[test]
fn trustpoint_lines_are_kept_and_exit_leaves() {
    let text = "crypto ca trustpoint tp\n enrollment terminal\n no fqdn\n crl configure\n exit\nhostname h\n";
    let config = clean(text).config;
    assert_eq!(config.kept[0].body.len(), 3);
    assert!(config.hostname.is_some());
}

#[test]
fn sub_modes_of_maps_nest_and_unwind() {
    let text = "policy-map type inspect sip M\n parameters\n  no im\n  max-forwards-validation action drop log\n\
                 match request-method invite\n  rate-limit 10\n match not uri sip length gt 255\n  log\n\
                policy-map P\n class C\n  inspect sip M\n  set connection timeout idle 1:00:00 reset\n  exit\n class D\n\
                service-policy P interface outside\n";
    let config = clean(text).config;
    let map = &config.inspect_maps[0];
    assert_eq!(map.parameters[0].node, Parameter::Im(false));
    assert_eq!(
        map.rules[0].action.unwrap().verdict,
        Some(InspectVerdict::RateLimit(10))
    );
    assert!(map.rules[1].action.unwrap().log);
    let policy = &config.policy_maps[0];
    assert_eq!(policy.classes.len(), 2);
    let idle = ClassAction::IdleTimeout {
        seconds: 3600,
        reset: true,
    };
    assert_eq!(policy.classes[0].actions[1].node, idle);
}

#[test]
fn service_groups_are_typed_or_untyped() {
    let text = "object-group service T tcp-udp\n port-object range 1 5\nobject-group service U\n service-object tcp eq 80\n \
                service-object udp source eq 53 destination gt 1023\n service-object object S\n service-object icmp echo\n";
    let config = clean(text).config;
    assert_eq!(config.service_groups[0].transport, Some(Transport::TcpUdp));
    assert_eq!(
        config.service_groups[0].group.members[0].node,
        ServiceMember::Ports(Ports::Range(1, 5))
    );
    let http = Service::Ports {
        transport: Transport::Tcp,
        source: None,
        destination: Some(Ports::Eq(80)),
    };
    assert_eq!(
        config.service_groups[1].group.members[0].node,
        ServiceMember::Service(http)
    );
}

#[test]
fn twice_nat_is_told_from_object_nat_inside_an_object() {
    let text = "object network O\n host 10.0.0.1\nnat (inside,outside) source dynamic any interface\nhost 10.0.0.2\n";
    let parsed = parse(text);
    let rule = &parsed.config.nat_before_auto[0];
    assert!(matches!(rule.source, TwiceSource::Dynamic { .. }));
    assert!(parsed.config.network_objects[0].nat.is_none());
    // After the global command, `host` is no longer the object's.
    let definition = parsed.config.network_objects[0]
        .definition
        .as_ref()
        .unwrap();
    assert_eq!(
        definition.node,
        NetworkDefinition::Host("10.0.0.1".parse().unwrap())
    );
}

#[test]
fn after_auto_and_line_numbers_place_twice_nat() {
    let text = "nat (a,b) source static X X\nnat (a,b) 1 source static Y Y\nnat (a,b) after-auto source static Z Z description any words\n";
    let config = clean(text).config;
    assert_eq!(config.nat_before_auto[0].span.line, 2);
    assert_eq!(
        config.nat_after_auto[0].description.as_deref(),
        Some("any words")
    );
}

#[test]
fn numbers_and_names_of_protocols_and_ports_are_one() {
    let named = clean("access-list A permit tcp any any eq sip\n").config;
    let numbered = clean("access-list A permit 6 any any eq 5060\n").config;
    assert_eq!(named, numbered);
    let (_, _, entry) = named.access_lists[0].extended().next().unwrap();
    assert_eq!(entry.protocol, ProtocolSpec::Protocol(Protocol::TCP));
}

#[test]
fn an_unknown_line_is_never_swallowed_by_the_command_above() {
    let text = "object network O\n description some text\n zone-member x\nnat (a,b) source static X Y\nsysopt x\n";
    assert_eq!(codes(text), [("W0101", 3), ("W0101", 5)]);
}

#[test]
fn a_missing_argument_may_stand_on_the_next_line() {
    let text = "mtu inside\n1500\naccess-list A extended permit tcp any host\n10.0.0.1 eq 5269\n";
    let parsed = parse(text);
    assert_eq!(findings(&parsed), [("N0101", 2), ("N0101", 4)]);
    assert_eq!(parsed.config.mtus[0].bytes, 1500);
    assert_eq!(codes("mtu inside\nhostname x\n"), [("E0102", 1)]);
}

#[test]
fn a_second_binding_in_one_place_replaces_the_first_aloud() {
    let text = "access-group A in interface o\naccess-group B in interface o\nservice-policy P global\nservice-policy Q global\n";
    let parsed = parse(text);
    assert_eq!(findings(&parsed), [("W0109", 2), ("W0109", 4)]);
    assert_eq!(parsed.config.access_groups.len(), 1);
}

#[test]
fn a_text_above_the_limit_is_refused_at_once() {
    let text = " ".repeat(crate::config::MAX_TEXT_BYTES + 1);
    assert_eq!(codes(&text), [("E0116", 1)]);
}
