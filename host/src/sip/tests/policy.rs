//! What an inspect map does to messages.

use super::bench::{Bench, message};
use crate::sip::{Effect, Fault, Reason};

fn request(method: &str, more: &str) -> String {
    message(
        &format!(
            "{method} sip:bob@example.net SIP/2.0
             Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK1
             From: <sip:alice@example.com>;tag=a
             To: <sip:bob@example.net>
             Call-ID: {method}
             CSeq: 1 {method}{more}"
        ),
        "",
    )
}

fn with(parameters: &str) -> Bench {
    Bench::configured(&format!(
        "policy-map type inspect sip m\n parameters\n  {parameters}\n"
    ))
}

#[test]
fn a_message_with_no_hop_left_is_dropped_and_logged() {
    let spent = request("OPTIONS", "\nMax-Forwards: 0");
    let mut bench = Bench::new();
    assert_eq!(bench.out(&spent), Err(Effect::Drop(Reason::MaxForwards)));
    assert_eq!(
        bench.log,
        [
            "%ASA-4-607002: max-forwards-validation: Dropped SIP request OPTIONS from \
          inside:10.0.0.2/5060 to outside:198.51.100.7/5060; Max-Forwards is 0"
        ]
    );
    let mut lax = with("max-forwards-validation action log");
    assert!(lax.out(&spent).is_ok());
    assert_eq!(lax.logged("607003"), 1);
    let mut reset = with("max-forwards-validation action reset");
    assert_eq!(reset.out(&spent), Err(Effect::Reset(Reason::MaxForwards)));
    assert!(reset.out(&request("OPTIONS", "\nMax-Forwards: 1")).is_ok());
}

#[test]
fn strict_faults_pass_until_they_are_configured() {
    let odd = request("OPTIONS", "\nContact: < sip:a@h >");
    assert!(Bench::new().out(&odd).is_ok());
    let fault = Reason::Strict(Fault::Address(crate::sip::Field::Contact));
    let mut strict = with("strict-header-validation action drop-connection log");
    assert_eq!(strict.out(&odd), Err(Effect::DropConnection(fault)));
    assert_eq!(strict.log.len(), 1);
    assert!(strict.out(&request("OPTIONS", "")).is_ok());
}

#[test]
fn what_is_not_sip_passes_unless_it_may_not() {
    assert_eq!(
        Bench::new().out("GET / HTTP/1.1\r\n\r\n").as_deref(),
        Ok("GET / HTTP/1.1\r\n\r\n")
    );
    let mut closed = with("no traffic-non-sip");
    assert_eq!(
        closed.out("GET / HTTP/1.1\r\n\r\n"),
        Err(Effect::Drop(Reason::NonSip))
    );
}

#[test]
fn instant_messages_may_be_forbidden() {
    let subscribe = |event| request("SUBSCRIBE", &format!("\nEvent: {event}"));
    assert!(Bench::new().out(&request("MESSAGE", "")).is_ok());
    let mut closed = with("no im");
    let refused = Err(Effect::Drop(Reason::InstantMessage));
    assert_eq!(closed.out(&request("MESSAGE", "")), refused);
    assert_eq!(closed.out(&subscribe("presence.winfo")), refused);
    assert!(closed.out(&subscribe("dialog")).is_ok());
}

#[test]
fn versions_and_foreign_uris_are_masked_in_place() {
    let mut bench = Bench::configured(
        "policy-map type inspect sip m\n parameters\n  software-version action mask log\n  uri-non-sip action mask\n",
    );
    let text = request(
        "OPTIONS",
        "\nUser-Agent: Phone/10.0.0.2 (lab)\nAlert-Info: <http://10.0.0.2/ring>, <sip:r@h>",
    );
    let out = bench.out(&text).expect("passes");
    assert!(
        out.contains("User-Agent: XXXXX/XX.X.X.X (XXX)\r\n"),
        "{out}"
    );
    assert!(
        out.contains("Alert-Info: <http://XX.X.X.X/XXXX>, <sip:r@h>\r\n"),
        "{out}"
    );
    assert_eq!(out.len(), text.len());
    assert_eq!(bench.logged("607002: software-version: Masked"), 1);
}

#[test]
fn a_message_out_of_its_state_is_refused() {
    let mut bench = with("state-checking action drop");
    let refused = Err(Effect::Drop(Reason::State));
    let answer = |tag: &str| {
        let text =
            request("INVITE", "").replace("INVITE sip:bob@example.net SIP/2.0", "SIP/2.0 200 OK");
        text.replace(
            "To: <sip:bob@example.net>",
            &format!("To: <sip:bob@example.net>;tag={tag}"),
        )
    };
    let bye = |tag: &str| {
        let text = request("BYE", "").replace("Call-ID: BYE", "Call-ID: INVITE");
        text.replace(
            "To: <sip:bob@example.net>",
            &format!("To: <sip:bob@example.net>;tag={tag}"),
        )
    };
    assert_eq!(bench.back(&answer("b")), refused);
    assert_eq!(bench.out(&bye("b")), refused);
    assert!(bench.out(&request("INVITE", "")).is_ok());
    assert_eq!(
        bench.out(&answer("b")),
        refused,
        "the one who asked does not answer"
    );
    assert!(bench.back(&answer("b")).is_ok());
    assert_eq!(bench.out(&bye("other")), refused);
    assert!(bench.out(&bye("b")).is_ok());
}

#[test]
fn rules_match_what_the_guide_says() {
    let base = "regex bad \"(mallory|eve)@\"\nclass-map type regex match-any bads\n match regex bad\n\
        class-map type inspect sip match-all calls\n match request-method invite\n match not calling-party regex bad\n\
        policy-map type inspect sip m\n";
    let from = |who: &str| request("INVITE", "").replace("sip:alice@", &format!("sip:{who}@"));
    for (rule, text, is_refused) in [
        ("match calling-party regex bad", from("eve"), true),
        ("match calling-party regex class bads", from("eve"), true),
        ("match not calling-party regex bad", from("eve"), false),
        ("match called-party regex bad", from("eve"), false),
        ("match message-path regex bad", from("eve"), false),
        ("match im-subscriber regex bad", from("eve"), false),
        ("match request-method invite", from("eve"), true),
        ("match request-method unknown", request("PUBLISH", ""), true),
        (
            "match request-method unknown",
            request("OPTIONS", ""),
            false,
        ),
        ("match uri sip length gt 19", from("alice"), true),
        ("match uri sip length gt 22", from("alice"), false),
        ("match uri tel length gt 1", from("alice"), false),
        ("match content length gt 0", from("alice"), false),
        (
            "match content type sdp",
            request("INVITE", "\nc: application/SDP ;x=1"),
            true,
        ),
        (
            "match content type regex bad",
            request("INVITE", "\nc: text/eve@x"),
            true,
        ),
        (
            "match third-party-registration regex bad",
            request("REGISTER", "").replace("sip:alice@", "sip:eve@"),
            true,
        ),
        ("class calls", from("alice"), true),
        ("class calls", from("eve"), false),
    ] {
        let mut bench = Bench::configured(&format!("{base} {rule}\n  drop\n"));
        let result = bench.out(&text);
        assert_eq!(result.is_err(), is_refused, "{rule}: {result:?}");
        if is_refused {
            assert_eq!(result, Err(Effect::Drop(Reason::Rule)), "{rule}");
        }
    }
}

#[test]
fn a_rate_limit_lets_so_many_through_a_second() {
    let mut bench = Bench::configured(
        "policy-map type inspect sip m\n match request-method options\n  rate-limit 2 log\n",
    );
    let text = request("OPTIONS", "");
    let passed = |bench: &mut Bench| (0..10).filter(|_| bench.out(&text).is_ok()).count();
    assert_eq!(passed(&mut bench), 2);
    assert_eq!(bench.logged("rate limit"), 8);
    bench.now += crate::flow::Time::from_millis(500);
    assert_eq!(passed(&mut bench), 1);
    assert!(bench.out(&request("MESSAGE", "")).is_ok());
}
