//! What is printed reads back as the same tree, for fixed and for random configurations.

use proptest::prelude::*;

use crate::config::{Severity, parse};

const CORRECTED: &str = include_str!("../../../../tests/cases/seed-corrected/setup.cfg");
const VERBATIM: &str = include_str!("../../../../tests/cases/seed-verbatim/setup.cfg");

/// Prints what a text says, checks that it reads back as the same and prints as the same, and returns it.
fn round_trip(text: &str) -> String {
    let first = parse(text);
    let printed = first.config.to_string();
    let second = parse(&printed);
    let bad: Vec<_> = second
        .diagnostics
        .iter()
        .filter(|d| d.severity > Severity::Note)
        .collect();
    let kept_warnings = |code: &str| code == "W0104";
    assert!(
        bad.iter().all(|d| kept_warnings(d.code)),
        "{bad:?}\nin\n{printed}"
    );
    assert_eq!(
        first.config, second.config,
        "from\n{text}\nprinted\n{printed}"
    );
    assert_eq!(second.config.to_string(), printed);
    printed
}

#[test]
fn both_seed_configurations_come_back_from_print() {
    let printed = round_trip(CORRECTED);
    assert!(printed.contains(" nat (inside,outside) static 192.0.2.1 service tcp sip 45060\n"));
    assert!(printed.contains("access-list ALLOW-ALL extended deny ip any any log\n"));
    round_trip(VERBATIM);
}

#[test]
fn print_uses_full_words_names_and_the_order_of_the_device() {
    let text = "access-l A per 6 any host 10.0.0.1 eq 5060\nobj net O\n nat (i,o) dyn inter\n ho 10.0.0.1\nint g0/0\n namei o\ntimeo conn 2:0:0 udp 0:5:0 sip 1:0:0\n";
    let text = text
        .replace("access-l", "access-list")
        .replace("obj net", "object network");
    let expected = "names\n!\ninterface GigabitEthernet0/0\n nameif o\nobject network O\n host 10.0.0.1\n\
        access-list A extended permit tcp any host 10.0.0.1 eq sip\n!\nobject network O\n nat (i,o) dynamic interface\n\
        timeout conn 2:00:00 udp 0:05:00\ntimeout sip 1:00:00\n";
    assert_eq!(
        round_trip(&text.replace("dyn inter", "dyn interface")),
        expected
    );
}

#[test]
fn quotes_come_back_from_print_where_words_are_kept_as_they_stand() {
    let text = "crypto ca trustpoint \"t\"\n!\ntls-proxy x\n server cipher-suite \"a  b\" \"\"\n!\n\
                policy-map P\n class C\n  inspect odd \"\" \"a\u{b}b\"~\n";
    let printed = round_trip(text);
    for line in [
        "trustpoint \"t\"\n",
        " server cipher-suite \"a b\" \"\"\n",
        "  inspect odd \"\" \"a b\"~\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[test]
fn every_kind_of_line_comes_back_from_print() {
    let text = r#"
hostname fw
domain-name example.com
no names
xlate per-session deny udp any4 any4 eq sip
same-security-traffic permit inter-interface
same-security-traffic permit intra-interface
interface GigabitEthernet0/1.100
 description to the # lab <x>
 shutdown
 vlan 100
 management-only
 nameif dmz
 security-level 50
 ip address 10.1.0.1 255.255.0.0 standby 10.1.0.2
 ipv6 address 2001:db8::1/64 standby 2001:db8::2
interface Port-channel 3
 ip address dhcp setroute
regex plain a\"b
regex blank "a b\" c"
regex slash a\
time-range T
 absolute start 08:00 01 January 2027 end 17:30 28 February 2028
 periodic weekdays 8:00 to 17:00
 periodic Monday Friday 22:00 to Saturday 6:00
object network F
 fqdn v4 a.example.com
 description words of a description
object network R
 range 2001:db8::1 2001:db8::9
 nat (any,any) static X net-to-net dns no-proxy-arp route-lookup
object network P
 subnet 2001:db8::/32
 nat (a,b) dynamic pat-pool POOL extended flat include-reserve round-robin block-allocation interface ipv6 dns
object network D
 nat static interface service udp 53 domain
object service S1
 service tcp-udp source gt 1023 destination range 53 54
object service S2
 service icmp unreachable 3
object service S3
 service 89
object-group network N
 description group
 network-object host 10.0.0.1
 network-object 10.0.0.0 255.0.0.0
 network-object 2001:db8::/32
 network-object object F
object-group network M
 group-object N
object-group service U
 service-object tcp destination eq www
 service-object object S1
 service-object icmp6 echo
 service-object esp
object-group service T tcp-udp
 port-object eq domain
object-group protocol PR
 protocol-object tcp
 protocol-object udp
object-group icmp-type IC
 icmp-object echo-reply
access-list A remark with <text> here
access-list A extended deny object-group PR object-group N eq domain any4 eq 53 log warnings interval 60 time-range T inactive
access-list A extended permit icmp any6 interface dmz object-group IC
access-list A extended permit icmp6 any any echo log disable
access-list A extended permit object-group U object F 10.0.0.0 255.0.0.0 log default
access-list A extended permit tcp any object-group T any object-group T
access-list S standard permit host 10.0.0.1
mtu dmz 9000
nat (a,b) source dynamic N pat-pool POOL flat interface destination static interface M service S1 S1 unidirectional inactive description free text here
nat source static any any destination static interface N dns route-lookup no-proxy-arp
nat (a,b) after-auto source dynamic any interface
access-group A in interface dmz per-user-override control-plane
access-group A global
route dmz 2001:db8::/32 2001:db8::1 5
timeout xlate 0:00:00 pat-xlate 0:01:00
timeout uauth 0:05:00 absolute
crypto ca trustpoint tp
 enrollment terminal
 subject-name CN=a, O="b c"
crypto ca authenticate tp
-----BEGIN CERTIFICATE-----
MIIB
-----END CERTIFICATE-----
quit
crypto ca certificate chain tp
 certificate 01
    3082 0102
  quit
ssl trust-point tp dmz
tls-proxy maximum-session 100 noconfirm
tls-proxy X
 server trust-point tp
 no server authenticate-client
 server cipher-suite aes128-sha1
 client ldc issuer i
 client ldc key-pair k
 client cipher-suite aes128-sha1 aes256-sha1
class-map type regex match-any RC
 match regex blank
class-map C
 description c
 match port tcp range 1 5
class-map type inspect sip match-any IC
 match not called-party regex class RC
 match content length gt 100
 match content type sdp
policy-map type inspect sip M
 parameters
  no im
  rtp-conformance enforce-payloadtype
  software-version action mask log
  trust-verification-server port 2445
 match uri tel length gt 20
  drop-connection log
 class IC
  log
policy-map type inspect skinny K
 parameters
  message-id max 0x181
  timeout media 0:05:00
 match message-id range 0x10 0x20
  drop
policy-map PM
 description p
 class C
  inspect sip M tls-proxy X uc-ime I
  inspect skinny
  inspect dns preset
  set connection timeout idle 2:00:00 reset
  set connection conn-max 5 per-client-embryonic-max 7
service-policy PM interface dmz fail-close
"#;
    let findings = parse(text).diagnostics;
    let codes: Vec<_> = findings.iter().map(|d| (d.code, d.span.line)).collect();
    assert_eq!(
        codes.iter().map(|c| c.0).collect::<Vec<_>>(),
        ["W0104"],
        "{codes:?}"
    );
    round_trip(text);
}

/// One end of an access-list entry.
fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("any".to_owned()),
        Just("any4".to_owned()),
        any::<u32>().prop_map(|bits| format!("host {}", std::net::Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| format!("host {}", std::net::Ipv6Addr::from_bits(bits))),
        (any::<u32>(), 0u8..=32).prop_map(|(bits, length)| {
            let mask = crate::config::ast::primitive::netmask(length);
            format!(
                "{} {mask}",
                std::net::Ipv4Addr::from_bits(bits & mask.to_bits())
            )
        }),
        Just("object O1".to_owned()),
        Just("object-group N1".to_owned()),
    ]
}

fn ports() -> impl Strategy<Value = String> {
    let one = (
        prop_oneof![Just("eq"), Just("neq"), Just("lt"), Just("gt")],
        any::<u16>(),
    );
    prop_oneof![
        Just(String::new()),
        one.prop_map(|(operator, port)| format!("{operator} {port}")),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| format!("range {} {}", a.min(b), a.max(b))),
        Just("object-group T1".to_owned()),
        Just("eq sip".to_owned()),
    ]
}

fn entry() -> BoxedStrategy<String> {
    let options = prop_oneof![
        Just(""),
        Just("log"),
        Just("log 3 interval 10"),
        Just("log debugging inactive"),
        Just("time-range T inactive"),
    ];
    let kind = prop_oneof![Just("tcp"), Just("udp"), Just("6"), Just("object-group PR")];
    let with_ports = (
        kind,
        address(),
        ports(),
        address(),
        ports(),
        options.clone(),
    )
        .prop_map(|(p, s, sp, d, dp, o)| format!("{p} {s} {sp} {d} {dp} {o}"));
    let plain = (
        prop_oneof![
            Just("ip".to_owned()),
            any::<u8>().prop_map(|n| n.to_string())
        ],
        address(),
        address(),
        options,
    )
        .prop_map(|(p, s, d, o)| format!("{p} {s} {d} {o}"));
    let icmp =
        (address(), address(), any::<u8>()).prop_map(|(s, d, t)| format!("icmp {s} {d} {t}"));
    let rule = (
        prop_oneof![Just("permit"), Just("deny")],
        prop_oneof![with_ports, plain, icmp],
    );
    (1u32..5, any::<bool>(), 1u32..9, rule)
        .prop_map(|(list, placed, at, (action, rest))| {
            let line = if placed {
                format!("line {at}")
            } else {
                String::new()
            };
            format!("access-list L{list} {line} extended {action} {rest}")
        })
        .boxed()
}

/// Random lines, many of them valid, in a random order: blocks are opened, left, reopened and removed.
fn config_line() -> BoxedStrategy<String> {
    let name = (1u32..4).prop_map(|n| format!("O{n}"));
    let fixed = prop::sample::select(
        CORRECTED
            .lines()
            .chain(VERBATIM.lines())
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    let object =
        (name.clone(), any::<u32>(), any::<u16>(), any::<u16>()).prop_map(|(n, a, p, q)| {
            let host = std::net::Ipv4Addr::from_bits(a);
            format!(
                "object network {n}\n host {host}\n nat (i,o) static {host} service tcp {p} {q}"
            )
        });
    let twice =
        (name.clone(), name.clone(), any::<bool>(), 1u32..4).prop_map(|(a, b, after, at)| {
            let after = if after { "after-auto " } else { "" };
            format!("nat (i,o) {after}{at} source static {a} {b} destination static interface {b}")
        });
    let groups = prop_oneof![
        Just("object-group network N1\n network-object object O1".to_owned()),
        Just("object-group service T1 tcp-udp\n port-object eq 53".to_owned()),
        Just("object-group protocol PR\n protocol-object tcp".to_owned()),
    ];
    prop_oneof![
        4 => entry(),
        2 => entry().prop_map(|line| format!("no {line}")),
        4 => fixed,
        2 => object,
        2 => twice,
        2 => groups,
        1 => name.prop_map(|n| format!("no object network {n}")),
        1 => Just("clear configure nat".to_owned()),
        1 => Just("exit".to_owned()),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn random_configurations_come_back_from_print(lines in prop::collection::vec(config_line(), 0..40)) {
        round_trip(&lines.join("\n"));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let parsed = parse(&String::from_utf8_lossy(&bytes));
        parse(&parsed.config.to_string());
    }

    #[test]
    fn damaged_configurations_never_panic_and_still_come_back(
        lines in prop::collection::vec((config_line(), any::<prop::sample::Index>(), any::<char>()), 0..20),
    ) {
        let damaged = lines.into_iter().map(|(line, at, c)| {
            let mut chars: Vec<char> = line.chars().collect();
            if !chars.is_empty() {
                let at = at.index(chars.len());
                chars[at] = c;
            }
            chars.into_iter().collect::<String>()
        });
        round_trip(&damaged.collect::<Vec<_>>().join("\n"));
    }
}
