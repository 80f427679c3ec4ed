use super::check;
use crate::config::{Severity, parse};

fn findings(text: &str) -> Vec<(&'static str, u32)> {
    let parsed = parse(text);
    check(&parsed)
        .diagnostics
        .iter()
        .map(|finding| (finding.code, finding.span.line))
        .collect()
}

#[track_caller]
fn expect(text: &str, code: &str, line: u32) {
    let found = findings(text);
    assert!(
        found.iter().any(|&(c, l)| c == code && l == line),
        "{code} on line {line} is not among {found:?}"
    );
}

const PAIR: &str = "interface GigabitEthernet0/0\n nameif outside\n ip address 192.0.2.2 255.255.255.0\n\
                    interface GigabitEthernet0/1\n nameif inside\n ip address 10.0.0.1 255.255.255.0\n";

/// `text` after the six lines of [`PAIR`].
fn with_pair(text: &str) -> String {
    format!("{PAIR}{text}")
}

/// Findings about NAT, with the lines of the other places they name.
fn nat_findings_of(text: &str) -> Vec<(&'static str, u32, Vec<u32>)> {
    check(&parse(text))
        .diagnostics
        .iter()
        .filter(|finding| finding.code[1..].starts_with("03"))
        .map(|finding| {
            let related = finding.related.iter().map(|place| place.span.line);
            (finding.code, finding.span.line, related.collect())
        })
        .collect()
}

#[test]
fn the_seed_as_printed_has_its_conflicts_on_the_right_lines() {
    let text = include_str!("../../../../tests/cases/seed-verbatim/setup.cfg");
    let lines: Vec<&str> = text.lines().collect();
    let prompt = "hostname(config-network-object)# ";
    assert_eq!(
        nat_findings_of(text),
        [
            // 10.0.0.3 takes udp 5070 while 10.0.0.2 still has it.
            ("E0301", 33, vec![15]),
            // The name of 10.0.0.2 among the objects of 10.0.0.3, and the rule of line 15 that line 37 replaces.
            ("W0301", 35, vec![15, 37]),
            ("N0308", 46, vec![6]),
            // tcp 5269 of the first public address, for the third node.
            ("E0301", 91, vec![63]),
        ]
    );
    // That the numbers are those of the lines meant.
    for (line, command) in [
        (6, "nat (inside,outside) static 192.0.2.1 service tcp 5061"),
        (15, "nat (inside,outside) static 192.0.2.1 service udp 5070"),
        (33, "nat (inside,outside) static 192.0.2.1 service udp 5070"),
        (37, "nat (inside,outside) static 192.0.2.1 service tcp 5070"),
        (46, "nat (inside,outside) dynamic 192.0.2.1"),
    ] {
        assert_eq!(lines[line - 1].strip_prefix(prompt), Some(command));
    }
    assert_eq!(
        lines[34],
        "hostname(config)# object network obj-10.0.0.2-03"
    );
    for (line, node) in [(63, "10.0.0.2"), (91, "10.0.0.4")] {
        assert_eq!(
            lines[line - 1],
            format!("nat (inside,outside) source static obj_host_{node} obj_host_192.0.2.1")
        );
        assert_eq!(
            lines[line + 1],
            "obj_tcp_source_eq_5269 obj_tcp_source_eq_5269"
        );
    }
    expect(text, "E0202", 62);
    expect(text, "W0201", 0);
}

/// The vendor's sample: the node listens on 5062, the line says the other way round.
#[test]
fn a_service_with_real_and_mapped_port_exchanged_is_told_by_the_access_list() {
    let sample = |ports: &str| {
        with_pair(&format!(
            "object network node\n host 10.0.0.2\n nat (inside,outside) static 192.0.2.1 service tcp {ports}\n\
             access-list ent_y_to_x extended permit tcp host 192.0.2.254 host 10.0.0.2 eq 5062\n\
             access-group ent_y_to_x in interface outside\n"
        ))
    };
    assert_eq!(
        nat_findings_of(&sample("5061 5062")),
        [("W0303", 9, vec![10])]
    );
    assert_eq!(nat_findings_of(&sample("5062 5061")), []);
}

#[test]
fn the_corrected_seed_has_no_errors() {
    let text = include_str!("../../../../tests/cases/seed-corrected/setup.cfg");
    let checked = check(&parse(text));
    let errors: Vec<_> = checked
        .diagnostics
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn nat_findings() {
    let text = with_pair(
        "object network a\n host 10.0.0.5\n nat (inside,outside) static 192.0.2.2\n\
         object network b\n host 10.0.0.6\n nat (inside,outside) static interface\n\
         object network c\n host 10.0.0.7\n nat (inside,outside) static 192.0.2.9 service tcp 5061 5062\n\
         object network d\n host 10.0.0.8\n nat (inside,outside) dynamic 192.0.2.9\n\
         access-list A extended permit tcp any host 10.0.0.7 eq 5062\n\
         access-list A extended permit tcp any host 192.0.2.9 eq 5062\n\
         access-group A in interface outside\n\
         object service t\n service tcp source eq 1\n\
         object service u\n service udp source eq 1\n\
         nat (inside,outside) source static c c service t u\n",
    );
    expect(&format!("{PAIR}mtu dmz 1500\n"), "E0203", 7);
    expect(&text, "E0302", 9);
    expect(&text, "W0307", 12);
    expect(&text, "W0303", 15);
    expect(&text, "N0308", 18);
    expect(&text, "W0304", 20);
    expect(&text, "E0303", 26);
}

#[test]
fn access_list_findings() {
    let text = with_pair(
        "object-group network empty\n\
         access-list A extended permit tcp any any range 1 100\n\
         access-list A extended deny tcp any host 10.0.0.2 eq 80\n\
         access-list A extended permit udp any any eq 5269\n\
         access-list A extended permit tcp any object nothing eq 1\n\
         access-list A extended permit tcp any object-group empty eq 101\n\
         access-group A in interface outside\n\
         access-group A in interface dmz\n\
         access-group B in interface inside\n\
         object network lonely\n host 10.0.0.9\n",
    );
    expect(&text, "W0403", 7);
    expect(&text, "W0401", 9);
    expect(&text, "W0404", 10);
    expect(&text, "E0201", 11);
    expect(&text, "E0203", 14);
    expect(&text, "E0204", 15);
    expect(&text, "W0402", 16);
}

#[test]
fn inspection_findings() {
    let text = with_pair(
        "access-list x extended permit tcp host 10.0.0.2 host 192.0.2.254 eq 5061\n\
         access-list s standard permit host 10.0.0.2\n\
         tls-proxy p\n\
         policy-map type inspect sip m\n parameters\n  strict-header-validation action drop log\n\
         class-map x\n match access-list x\n\
         class-map again\n match access-list x\n\
         class-map bad\n match access-list s\n\
         policy-map g\n class x\n  inspect sip m tls-proxy p\n class again\n  inspect sip m tls-proxy q\n\
         service-policy g global\n",
    );
    expect(&text, "W0501", 12);
    expect(&text, "E0401", 18);
    expect(&text, "W0503", 20);
    expect(&text, "W0502", 21);
    expect(&text, "W0504", 22);
    expect(&text, "E0209", 23);
}

#[test]
fn names_must_not_be_shared_by_object_and_group() {
    let text = with_pair(
        "object network same\n host 10.0.0.5\nobject-group network same\n network-object host 10.0.0.6\n\
         object service svc\n service tcp\nobject-group service svc tcp\n port-object eq 5\n\
         object network svc\n host 10.0.0.7\n",
    );
    let mut found = findings(&text);
    found.retain(|(code, _)| *code != "W0402");
    assert_eq!(found, [("E0212", 9), ("E0212", 13)]);
}

#[test]
fn an_expression_that_cannot_be_read_is_refused() {
    let mut found = findings(&with_pair(
        "regex good \"a(b|c)\"\nregex open \"a(b\"\nregex huge \"(a{1000}){1000}\"\n",
    ));
    found.retain(|(code, _)| *code == "E0214");
    assert_eq!(found, [("E0214", 8), ("E0214", 9)]);
}

#[test]
fn names_in_inspect_maps_and_proxies_must_lead_somewhere() {
    let text = with_pair(
        "regex known x\nclass-map type regex match-any some\n match regex known\n match regex lost\n\
         class-map type inspect sip match-all mine\n match called-party regex known\n match calling-party regex gone\n match message-path regex class away\n\
         policy-map type inspect sip m\n match content type regex off\n  drop\n class mine\n  drop\n class other\n  drop\n\
         crypto ca trustpoint own\n enrollment self\n\
         tls-proxy p\n server trust-point own\n client trust-point nowhere\n client ldc issuer own\n client cipher-suite aes128-sha1\n\
         class-map bare\n\
         policy-map g\n class bare\n  inspect sip m tls-proxy p\n  inspect skinny phone-proxy pp\n\
         service-policy g global\n",
    );
    let mut found = findings(&text);
    found.retain(|(code, _)| *code != "W0502");
    assert_eq!(
        found,
        [
            ("E0213", 10),
            ("E0213", 13),
            ("E0208", 14),
            ("E0213", 16),
            ("E0208", 20),
            ("W0505", 26),
            ("E0403", 27),
            ("W0506", 28),
            ("W0508", 29),
            ("W0507", 33),
        ]
    );
    let signs = text.replace(" enrollment self\n", " proxy-ldc-issuer\n");
    assert!(!findings(&signs).iter().any(|(code, _)| *code == "E0403"));
    let quoted = text.replace("aes128-sha1", "\"aes128-sha1\"");
    assert!(findings(&quoted).contains(&("W0506", 28)));
}

#[test]
fn parameters_that_do_nothing_are_named() {
    let text = "policy-map type inspect sip m\n parameters\n  rtp-conformance enforce-payloadtype\n  \
                trust-verification-server ip 10.0.0.5\n  max-forwards-validation action drop\n";
    let found: Vec<_> = findings(text)
        .into_iter()
        .filter(|(code, _)| *code == "W0509")
        .collect();
    assert_eq!(found, [("W0509", 3), ("W0509", 4)]);
}

#[test]
fn parts_of_policies_that_nothing_names_are_reported() {
    let text = with_pair(
        "time-range t\n periodic daily 0:00 to 12:00\n\
         tls-proxy p\npolicy-map type inspect sip m\nclass-map c\n match any\npolicy-map g\n class class-default\n  inspect sip\n",
    );
    assert_eq!(
        findings(&text),
        [7, 9, 10, 11, 13].map(|line| ("W0402", line))
    );
}

#[test]
fn a_class_behind_one_that_takes_everything_is_never_reached() {
    let text = with_pair(
        "class-map all\n match any\nclass-map port\n match port tcp eq sip\n\
         policy-map g\n class all\n  inspect skinny\n class port\n  inspect sip\n class inspection_default\n  inspect skinny\n\
         service-policy g global\n",
    );
    assert_eq!(findings(&text), [("W0504", 16)]);
}

#[test]
fn a_class_behind_one_with_the_same_list_is_never_reached_however_long_it_is() {
    let mut text = with_pair("");
    for n in 0..300 {
        text += &format!("access-list x extended permit tcp host 10.0.0.2 any eq {n}\n");
    }
    text += "class-map one\n match access-list x\nclass-map two\n match access-list x\n\
             policy-map g\n class one\n  inspect sip\n class two\n  inspect sip\nservice-policy g global\n";
    assert_eq!(findings(&text), [("W0504", 314)]);
}

#[test]
fn options_that_do_nothing_or_are_for_ipv6_are_named() {
    let text = with_pair(
        "object network pool\n range 192.0.2.60 192.0.2.70\n\
         object network a\n subnet 10.0.0.0 255.255.255.0\n nat (inside,outside) dynamic pat-pool pool interface extended\n\
         object network b\n host 10.0.0.6\n nat (inside,outside) static 192.0.2.9 route-lookup\n\
         object network c\n host 10.0.0.7\n nat (inside,outside) static interface ipv6 service tcp 1 1\n\
         nat (inside,outside) source static b b route-lookup\n\
         nat (inside,outside) source dynamic b interface ipv6\n\
         interface GigabitEthernet0/0\n ipv6 address 2001:db8::1/64\n",
    );
    assert_eq!(
        findings(&text),
        [
            ("W0309", 11),
            ("W0310", 14),
            ("W0205", 17),
            ("W0205", 19),
            ("W0205", 21)
        ]
    );
    let (model, _) = crate::policy::lower(&parse(&text).config);
    assert_eq!(model.nat.len(), 3, "the IPv6 rules are left out");
}

#[test]
fn a_mapped_address_is_found_as_a_source_too() {
    let text = with_pair(
        "object network a\n host 10.0.0.5\n nat (inside,outside) static 192.0.2.9\n\
         access-list x extended permit tcp host 192.0.2.9 host 192.0.2.254 eq 5061\n\
         class-map x\n match access-list x\npolicy-map g\n class x\n  inspect sip\nservice-policy g global\n",
    );
    assert_eq!(findings(&text), [("W0304", 10)]);
}

#[test]
fn a_rule_that_was_replaced_conflicts_with_what_came_in_between() {
    let text = with_pair(
        "object network public\n host 192.0.2.9\n\
         object network a\n host 10.0.0.5\n nat (inside,outside) static public service tcp 1 1\n\
         object network b\n host 10.0.0.6\n nat (inside,outside) static 192.0.2.9 service tcp 1 1\n\
         object network a\n nat (inside,outside) static public service tcp 1 2\n",
    );
    expect(&text, "E0301", 14);
}

#[test]
fn what_does_not_fit_the_card_is_told_where_it_begins() {
    let mut text = with_pair("");
    let lines = |count: u32, of: &dyn Fn(u32, [u8; 4]) -> String| -> String {
        (0..count)
            .map(|n| of(n, (0x0a01_0000 + n).to_be_bytes()))
            .collect()
    };
    // Two entries of the card are for the two addresses of ours.
    let slots = layout::table::ACL_SLOTS as u32 - 2;
    text += &lines(slots, &|n, [a, b, c, d]| {
        format!("access-list A extended permit tcp any host {a}.{b}.{c}.{d} eq {n}\n")
    });
    text += "access-group A in interface outside\naccess-group A in interface inside\n";
    assert_eq!(findings(&text), []);
    let more = "access-list A extended permit tcp any host 10.9.9.9\n";
    let found = findings(&format!("{text}{more}"));
    // The last slot is needed to say that the host decides, so the line that had it is the first to go.
    assert_eq!(found, [("W0601", 6 + slots)]);
    let levels = text.replace("access-group A in interface inside\n", "");
    assert_eq!(findings(&levels), [("W0601", 6 + slots)]);

    let mut text = with_pair("");
    text += &lines(layout::table::DESTINATIONS as u32, &|n, [a, b, c, d]| {
        format!(
            "object network o{n}\n host {a}.{b}.{c}.{d}\n nat (inside,outside) static 198.51.{c}.{d}\n"
        )
    });
    assert!(findings(&text).iter().all(|(code, _)| *code == "W0602"));
    assert_eq!(findings(&text).len(), 1);
}

#[test]
fn interfaces_beyond_the_card_are_named() {
    let mut text = String::new();
    for n in 0..=layout::table::INTERFACES {
        text += &format!(
            "interface GigabitEthernet0/0.{n}\n vlan {}\n nameif i{n}\n",
            n + 1
        );
    }
    let last = 3 * layout::table::INTERFACES as u32 + 3;
    assert_eq!(findings(&text), [("W0603", last)]);
}

#[test]
fn groups_in_a_circle_end() {
    let text = "object-group network a\n group-object b\nobject-group network b\n group-object a\n\
                access-list A extended permit ip object-group a any\n";
    // The grammar may refuse the circle before it gets here; either way it is an error.
    let errors = check(&parse(text)).has_errors();
    assert!(errors);
}
