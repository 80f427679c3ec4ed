//! Servers that lie, ramble, redirect or say nothing. What they answer over HTTP; `curl` is not asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use host::enrol::http::{Client, Credentials, Error, Trust, fetch_signed};
use host::pki::enrol::{Answer, Ask, Body, MAX_ANSWER_BYTES};
use host::pki::revocation::MAX_LIST_BYTES;

/// A server that answers one connection after the other with these bytes, which may hold its address, then closes; what it
/// was asked comes back.
pub fn server(answers: impl FnOnce(&str) -> Vec<Vec<u8>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let answers = answers(&address);
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n")
                && reader.read_line(&mut request).expect("text") > 0
            {}
            let length = request
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |digits| digits.parse().expect("a number"))];
            reader.read_exact(&mut body).expect("a body");
            sender.send(request).expect("the test");
            // A client that has heard enough closes.
            let _ = reader.get_mut().write_all(&answer);
        }
        // Whoever comes now waits: the listener stays.
        let (_stream, _) = listener.accept().expect("a client");
        std::thread::park();
    });
    (address, asked)
}

fn ask(url: String, posts: bool) -> Ask {
    Ask {
        body: posts.then(|| Body {
            content_type: "application/pkcs10",
            bytes: b"request".to_vec(),
        }),
        url,
        accept: "",
    }
}

fn exchange(ask: &Ask) -> Result<Answer, Error> {
    exchange_within(ask, Duration::from_secs(30))
}

fn exchange_within(ask: &Ask, limit: Duration) -> Result<Answer, Error> {
    let credentials = Credentials {
        password: Some(("user", "secret")),
        ..Credentials::default()
    };
    let client = Client::new(Trust::Known(Vec::new()), &credentials).expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(client.within(limit).exchange(ask))
}

fn redirect(status: &str, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; x=y\r\nRetry-After: 7\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood";

#[test]
fn a_good_answer_comes_back_whole() {
    let (address, asked) = server(|_| vec![GOOD.to_vec()]);
    let answer = exchange(&ask(format!("http://{address}/x?y"), false)).expect("an answer");
    let expected = Answer {
        status: 200,
        content_type: "text/plain".into(),
        retry_after: Some(7),
        body: b"good".to_vec(),
    };
    assert_eq!(answer, expected);
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Basic dXNlcjpzZWNyZXQ=\r\n"),
        "{request}"
    );
}

#[test]
fn a_redirect_to_a_file_or_in_a_circle_is_not_followed() {
    for to in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "//other/",
        "http://a:b@127.0.0.1/",
        "x",
    ] {
        let (address, _asked) = server(|_| vec![redirect("302 Found", to)]);
        let error = exchange(&ask(format!("http://{address}/"), false)).expect_err(to);
        assert!(matches!(error, Error::Url { .. }), "{to}: {error}");
    }
    let (address, asked) = server(|_| vec![redirect("302 Found", "/again"); 9]);
    let error = exchange(&ask(format!("http://{address}/"), false)).expect_err("a circle");
    assert!(error.to_string().contains("redirects too often"), "{error}");
    assert_eq!(asked.try_iter().count(), 4);
}

#[test]
fn a_password_does_not_follow_a_redirect_to_another_host() {
    let (other, asked) = server(|_| vec![GOOD.to_vec()]);
    let (address, _asked) = server(|_| {
        vec![redirect(
            "307 Temporary Redirect",
            &format!("http://{other}/"),
        )]
    });
    exchange(&ask(format!("http://{address}/"), true)).expect("an answer");
    let request = asked.recv().expect("asked");
    assert!(
        request.starts_with("POST / ") && !request.contains("authorization"),
        "{request}"
    );
}

#[test]
fn a_request_that_is_redirected_as_a_question_is_not_sent_on() {
    let (address, _asked) = server(|_| vec![redirect("302 Found", "/other")]);
    let error = exchange(&ask(format!("http://{address}/"), true)).expect_err("a redirect");
    assert!(error.to_string().contains("should have taken"), "{error}");
}

#[test]
fn an_answer_of_ten_megabytes_is_cut_whether_it_says_so_or_not() {
    let body = vec![b'x'; 10 << 20];
    let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let unsaid = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    for head in [said, unsaid] {
        let (address, _asked) = server(|_| vec![[head.into_bytes(), body.clone()].concat()]);
        let error = exchange(&ask(format!("http://{address}/"), false)).expect_err("too long");
        let expected = format!("longer than {MAX_ANSWER_BYTES} bytes");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn what_an_authority_signed_may_be_as_long_as_a_list_of_revocations() {
    for (length, fits) in [(MAX_LIST_BYTES, true), (MAX_LIST_BYTES + 1, false)] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let answer = [head.into_bytes(), vec![b'x'; length]].concat();
        let (address, _asked) = server(|_| vec![answer]);
        let list = ask(format!("http://{address}/"), false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let found = runtime.expect("a runtime").block_on(fetch_signed(&list));
        match found {
            Ok(found) => assert!(fits && found.body.len() == length),
            Err(error) => assert!(
                !fits && error.to_string().contains("longer than"),
                "{error}"
            ),
        }
    }
}

#[test]
fn a_server_that_says_nothing_or_half_of_it_is_given_up() {
    let (address, _asked) = server(|_| Vec::new());
    let silent = ask(format!("http://{address}/"), false);
    let error = exchange_within(&silent, Duration::from_millis(100)).expect_err("silence");
    assert!(matches!(error, Error::Slow { .. }), "{error}");
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    let (address, _asked) = server(|_| vec![half]);
    let error = exchange(&ask(format!("http://{address}/"), false)).expect_err("half");
    assert!(error.to_string().contains("breaks off"), "{error}");
}

#[test]
fn only_http_and_https_are_asked() {
    for url in [
        "file:///etc/passwd",
        "ftp://a.example/",
        "http://",
        "http://a:b@c.example/",
        "x",
    ] {
        let error = exchange(&ask(url.into(), false)).expect_err(url);
        assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
    }
}
