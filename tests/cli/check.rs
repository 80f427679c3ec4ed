//! `postern check`.

use serde_json::Value;

use super::command::{postern, postern_reading};
use super::{corrected, file_with};

const BAD: &str =
    "hostname x\nmtu inside 10\nsnmp-server y\naccess-list A permit tcp any any eq 99999\n";

#[test]
fn check_of_a_usable_configuration_ends_with_0() {
    let answer = postern(["check", &corrected()]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert!(
        answer.out.ends_with("4 warnings, 1 note\n"),
        "{}",
        answer.out
    );
    let clean = "interface g0/0\n nameif outside\n";
    let answer = postern_reading(clean, ["check", "-"]);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (Some(0), "-: no findings\n")
    );
    let answer = postern_reading(clean, ["check", "-", "--format", "json"]);
    assert_eq!(
        (answer.code, answer.json()),
        (Some(0), Value::Array(vec![]))
    );
}

#[test]
fn check_shows_all_errors_with_line_column_and_caret_and_ends_with_1() {
    let (_folder, file) = file_with(BAD);
    let answer = postern(["check", &file]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(1), ""));
    for part in [
        "E0105",
        &format!("{file}:2:12"),
        " 2 │ mtu inside 10\n   ·            ──\n",
        "E0110",
        &format!("{file}:4:37"),
        " 4 │ access-list A permit tcp any any eq 99999\n   ·                                     ─────\n",
        "W0101",
        &format!("{file}:3:1"),
        "`snmp-server y` is outside the supported commands; ignored",
    ] {
        assert!(answer.out.contains(part), "{part} in {}", answer.out);
    }
    assert!(
        answer.out.ends_with("2 errors, 2 warnings\n"),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn check_as_json_gives_code_severity_and_place_of_each_finding() {
    let (_folder, file) = file_with(BAD);
    let answer = postern(["check", "--format", "json", &file]);
    assert_eq!(answer.code, Some(1));
    let list = answer.json();
    let of = |finding: &Value| {
        let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
        let number = |key: &str| finding[key].as_u64().expect("a number");
        assert_eq!(text("file"), file);
        assert!(!text("message").is_empty());
        (
            text("code"),
            text("severity"),
            number("line"),
            number("column"),
        )
    };
    let found: Vec<_> = list.as_array().expect("a list").iter().map(of).collect();
    for (code, severity, line, column) in [
        ("E0105", "error", 2, 12),
        ("W0101", "warning", 3, 1),
        ("E0110", "error", 4, 37),
    ] {
        let expected = (code.to_owned(), severity.to_owned(), line, column);
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}
