//! Whatever an EST server answers, step by step, without a panic and to an end.

#![no_main]

use std::sync::OnceLock;

use host::pki::enrol::est::Est;
use host::pki::enrol::{Answer, Next, Order, Protocol};
use host::pki::key::Wanted;
use host::pki::{Date, Key, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::generate("k", Wanted::Ecdsa(256)).expect("a key"));
    let Some((status, body)) = bytes.split_first() else {
        return;
    };
    let settings = Settings {
        name: "fuzz".into(),
        ..Settings::default()
    };
    let order = Order {
        url: "https://a.example",
        settings: &settings,
        key,
        authorities: &[],
        memo: &[],
    };
    let statuses = [200, 202, 204, 401, 500];
    let answer = Answer {
        status: statuses[usize::from(*status) % statuses.len()],
        body: body.to_vec(),
        ..Answer::default()
    };
    let mut told = Est::authorities(order.url);
    let _ = told
        .start(Date(0))
        .and_then(|_| told.answer(&answer, Date(0)));
    let mut asked = Est::certificate(&order, false).expect("an order");
    let mut next = asked.start(Date(0));
    for _ in 0..4 {
        match next {
            Ok(Next::Ask(_)) => next = asked.answer(&answer, Date(0)),
            _ => return,
        }
    }
    assert!(!matches!(next, Ok(Next::Ask(_))), "it asks for ever");
});
