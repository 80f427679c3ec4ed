//! `postern packet-tracer`.

use serde_json::Value;

use super::command::{Answer, ENGINES, case, postern};
use super::corrected;

/// Asks packet-tracer about the corrected seed.
fn trace(options: &[&str], packet: &str) -> Answer {
    let config = corrected();
    let words = packet.split(' ');
    let start = ["packet-tracer", "--config", &config];
    postern(
        start
            .iter()
            .copied()
            .chain(options.iter().copied())
            .chain(words),
    )
}

const INBOUND: &str = "input outside tcp 192.0.2.254 40000 192.0.2.1 45061";

#[test]
fn packet_tracer_prints_the_phases_with_the_lines_that_acted() {
    let answer = trace(&[], INBOUND);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let kinds: Vec<&str> = answer
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("Type: "))
        .collect();
    assert_eq!(
        kinds,
        [
            "FLOW-LOOKUP",
            "UN-NAT",
            "ROUTE-LOOKUP",
            "ACCESS-LIST",
            "NAT",
            "IP-OPTIONS",
            "NAT",
            "FLOW-CREATION",
            "ADJACENCY"
        ]
    );
    for line in [
        "object network obj-10.0.0.3-01",
        "nat (inside,outside) static 192.0.2.1 service tcp 5061 45061",
        "NAT divert to egress interface inside",
        "Untranslate 192.0.2.1/45061 to 10.0.0.3/5061",
        "access-group ALLOW-ALL in interface outside",
        "access-list ALLOW-ALL extended permit tcp any host 10.0.0.3 eq 5061",
        "input-interface: outside",
        "output-interface: inside",
        "Action: allow",
    ] {
        assert!(answer.out.lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn inspection_comes_before_translation_in_the_phases() {
    let answer = trace(
        &["--format", "json"],
        "input inside tcp 10.0.0.2 5062 192.0.2.254 5061",
    );
    let json = answer.json();
    let phases = json["phases"].as_array().expect("phases");
    let place = |kind: &str, subtype: &str| {
        let is_it = |phase: &Value| phase["type"] == kind && phase["subtype"] == subtype;
        phases.iter().position(is_it).expect("the phase")
    };
    assert!(place("INSPECT", "inspect-sip") < place("NAT", ""));
    assert_eq!(json["mapped_source"]["port"], 5062);
}

#[test]
fn a_dropped_packet_is_an_answer_too() {
    let answer = trace(&[], "input outside tcp 192.0.2.254 40000 10.0.0.2 5061");
    assert_eq!(answer.code, Some(0));
    assert!(answer.out.contains("Subtype: rpf-check\nResult: DROP"));
    assert!(
        answer
            .out
            .contains("Action: drop\nDrop-reason: (nat-rpf-failed)")
    );
    let json = trace(
        &["--format", "json"],
        "input outside sctp 192.0.2.254 40000 192.0.2.1 5061",
    )
    .json();
    assert_eq!(
        (&json["action"], &json["drop_reason"]),
        (&"drop".into(), &"acl-drop".into())
    );
    let last = json["phases"].as_array().and_then(|list| list.last());
    assert_eq!(
        last.expect("a phase")["config"][1],
        "access-list ALLOW-ALL extended deny ip any any log"
    );
}

#[test]
fn packet_tracer_on_a_card_adds_what_the_card_did() {
    for engine in ENGINES {
        let answer = trace(&["--engine", engine], INBOUND);
        assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
        let (phases, card) = answer.out.split_once("\nCard: ").expect("a card");
        assert!(phases.ends_with("Action: allow\n"));
        assert!(card.starts_with(engine));
        for part in [
            "Punted: flow-miss",
            "Sent: tcp 192.0.2.254/40000 > 10.0.0.3/5061 on inside",
            "decide",
        ] {
            assert!(card.contains(part), "{part} in {card}");
        }
        let json = trace(&["--engine", engine, "--format", "json"], INBOUND).json();
        let card = &json["card"];
        assert_eq!(json["action"], "allow");
        assert_eq!(
            (&card["engine"], &card["packet"]["verdict"]),
            (&(*engine).into(), &"forward".into())
        );
        let stages = card["stages"].as_array().expect("stages");
        let cycles: Vec<u64> = stages
            .iter()
            .filter_map(|stage| stage["cycle"].as_u64())
            .collect();
        assert!(stages.len() > 4 && cycles.is_sorted(), "{stages:?}");
        assert_eq!(cycles.last() > Some(&0), *engine == "rtl");
    }
}

#[test]
fn a_packet_that_cannot_be_described_is_answered_with_how_to() {
    for (packet, says) in [
        ("outside tcp 1.1.1.1 1 2.2.2.2 2", "begins with `input`"),
        (
            "input dmz tcp 1.1.1.1 1 2.2.2.2 2",
            "no interface dmz, only outside, inside",
        ),
        ("input outside tcp 1.1.1.1 1 2.2.2.2", "cannot read"),
        (
            "input outside tcp 1.1.1 1 2.2.2.2 2",
            "`1.1.1` is not an IPv4 address",
        ),
        (
            "input outside udp 1.1.1.1 https 2.2.2.2 2",
            "`https` is not a port",
        ),
    ] {
        let answer = trace(&[], packet);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        assert!(answer.err.contains(says), "{says} in {}", answer.err);
        assert!(answer.err.contains("SRC SPORT DST DPORT"));
    }
}

#[test]
fn a_configuration_with_errors_is_traced_as_far_as_it_goes() {
    let config = case("seed-verbatim").join("setup.cfg");
    let start = ["packet-tracer", "--config", config.to_str().expect("UTF-8")];
    let answer = postern(start.into_iter().chain(INBOUND.split(' ')));
    assert_eq!(answer.code, Some(0));
    let errors = postern(["check", start[2], "--format", "json"]).json();
    let is_error = |finding: &&Value| finding["severity"] == "error";
    let count = errors
        .as_array()
        .expect("a list")
        .iter()
        .filter(is_error)
        .count();
    assert!(count > 10);
    assert!(
        answer.err.contains(&format!("has {count} errors")),
        "{}",
        answer.err
    );
    assert!(
        answer
            .out
            .contains("Untranslate 192.0.2.1/45061 to 10.0.0.3/5061")
    );
}
