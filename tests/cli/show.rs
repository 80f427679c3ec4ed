//! What is asked of a firewall that does not run.

use crate::command::postern;

#[test]
fn a_firewall_that_does_not_run_is_no_answer_and_the_message_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().display().to_string();
    for words in [
        &["conn"][..],
        &["tls-proxy", "session", "detail"],
        &["nonsense"],
    ] {
        let head = ["show", "--state", &state];
        let answer = postern(head.iter().chain(words));
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        let start = format!("postern: no firewall runs with the state directory {state} (");
        assert!(answer.err.starts_with(&start), "{}", answer.err);
        let advice = format!("start `postern run --state {state}`");
        assert!(answer.err.contains(&advice), "{}", answer.err);
    }
}

#[test]
fn what_is_stored_is_shown_as_text_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().display().to_string();
    let ask = |format: &str| {
        postern([
            "show",
            "--state",
            &state,
            "--format",
            format,
            "crypto",
            "ca",
            "trustpoints",
        ])
    };
    assert_eq!(ask("text").code, Some(0));
    let answer = ask("json");
    assert_eq!(answer.code, Some(2));
    assert!(
        answer.err.contains("`show crypto` prints text"),
        "{}",
        answer.err
    );
}

#[test]
fn a_licence_that_a_model_does_not_have_is_refused_before_anything_starts() {
    let run = |platform: &str, sessions: &str| {
        let words = ["run", "--config", "/nowhere/x.cfg", "--nic", "sim"];
        let licence = ["--platform", platform, "--uc-sessions", sessions];
        postern(words.iter().chain(&licence))
    };
    let answer = run("5505", "50");
    assert_eq!(answer.code, Some(2));
    assert_eq!(
        answer.err,
        "postern: there is no license for 50 UC proxy sessions on ASA 5505, but for 2, 24\n"
    );
    let answer = run("6000", "50");
    assert_eq!(answer.code, Some(2));
    let message = "there is no such model, but ASA 5505, ASA 5512-X, ";
    assert!(answer.err.contains(message), "{}", answer.err);
    // With one that it has, the next thing is missing.
    let answer = run("ASA 5505", "24");
    assert!(
        answer.err.contains("cannot read /nowhere/x.cfg"),
        "{}",
        answer.err
    );
}
