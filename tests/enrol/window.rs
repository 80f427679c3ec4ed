//! When an authority wants a certificate to be renewed (RFC 9773). Debian's `pebble` does not say; so these are answers of
//! our own.

use std::sync::Arc;

use host::enrol::acme::{self, Errand};
use host::enrol::http::{Client, Credentials, Trust};
use host::pki::key::Wanted;
use host::pki::settings::{Server, Via};
use host::pki::{Certificate, Date, Key, Settings, request};

use crate::bad::server;

fn json(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
    );
    (head + body).into_bytes()
}

/// A certificate that names its authority's key.
fn certificate(settings: &Settings, key: &Key) -> Certificate {
    let authority = Key::generate("ca", Wanted::Ecdsa(256)).expect("a key");
    let own = request::self_signed(settings, &authority, Date(0)).expect("a certificate");
    request::local(&own, key, &own, &authority, Date(0)).expect("a certificate")
}

/// What was found, or what is wrong.
type Found = Result<Option<(Date, Date)>, String>;

/// What is said of a window, and what was asked.
fn window(answer: impl Fn(&str) -> Vec<u8>, has_place: bool) -> (Found, Vec<String>) {
    let key = Key::generate("k", Wanted::Ecdsa(256)).expect("a key");
    let settings = Settings {
        name: "pub".into(),
        ..Settings::default()
    };
    let place = if has_place {
        ",\"renewalInfo\":\"http://ADDRESS/ari\""
    } else {
        ""
    };
    let directory = format!(
        "{{\"newNonce\":\"http://ADDRESS/n\",\"newAccount\":\"http://ADDRESS/a\",\"newOrder\":\"http://ADDRESS/o\"{place}}}"
    );
    let (address, asked) = server(|address| {
        let directory = directory.replace("ADDRESS", address);
        vec![json("200 OK", "", &directory), answer(address)]
    });
    let url = format!("http://{address}/dir");
    let pem = host::pki::bundle::armour("X", key.pkcs8());
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let base64 = base64.replace('+', "-").replace('/', "_").replace('=', "");
    let account =
        format!("{{\"id\":\"{url}/1\",\"key_pkcs8\":\"{base64}\",\"directory\":\"{url}\"}}");
    let errand = Errand {
        server: &Server {
            protocol: Via::Acme,
            url,
        },
        settings: &settings,
        key: &key,
        account: Some(account.into_bytes().into()),
        keep: &|_| Ok(()),
        replaced: None,
    };
    let client = Client::new(Trust::Known(Vec::new()), &Credentials::default()).expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let certificate = certificate(&settings, &key);
    let work = acme::window(&errand, &certificate, Arc::new(client));
    let found = runtime.expect("a runtime").block_on(work);
    let asked = asked.try_iter().collect();
    (found.map_err(|error| error.to_string()), asked)
}

#[test]
fn a_window_is_asked_for_by_the_name_of_the_certificate() {
    let body = "{\"suggestedWindow\":{\"start\":\"1970-01-02T00:00:00Z\",\"end\":\"1970-01-03T00:00:00Z\"}}";
    let (found, asked) = window(|_| json("200 OK", "Retry-After: 600\r\n", body), true);
    assert_eq!(found, Ok(Some((Date(86_400), Date(2 * 86_400)))));
    // RFC 9773 §4.1: key identifier of the authority, a dot, serial number.
    let path = asked[1].split(' ').nth(1).expect("a path");
    let name = path.strip_prefix("/ari/").expect("the place it named");
    assert!(name.contains('.') && !name.contains('='), "{name}");
}

#[test]
fn an_authority_without_windows_has_no_opinion_and_nonsense_is_an_error() {
    let (found, _) = window(|_| Vec::new(), false);
    assert_eq!(found, Ok(None));
    let (found, _) = window(|_| json("200 OK", "Retry-After: 600\r\n", "{}"), true);
    assert!(found.expect_err("nonsense").contains("ACME: "));
}
