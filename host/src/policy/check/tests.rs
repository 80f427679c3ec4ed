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

fn line_of(text: &str, nth: usize, needle: &str) -> u32 {
    let found = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(needle))
        .nth(nth);
    found.expect("the seed has such a line").0 as u32 + 1
}

#[test]
fn the_seed_as_printed_has_its_conflicts_on_the_right_lines() {
    let text = include_str!("../../../../tests/cases/seed-verbatim/setup.cfg");
    // 10.0.0.3 takes udp 5070 while 10.0.0.2 still has it.
    expect(text, "E0301", line_of(text, 1, "service udp 5070"));
    // The name of 10.0.0.2 in the block of 10.0.0.3.
    expect(
        text,
        "W0301",
        line_of(text, 1, "object network obj-10.0.0.2-03"),
    );
    // tcp 5269 of the first public address, for the third node.
    let last = line_of(
        text,
        1,
        "source static obj_host_10.0.0.4 obj_host_192.0.2.1\n".trim_end(),
    );
    let last = last.max(line_of(
        text,
        2,
        "source static obj_host_10.0.0.4 obj_host_192.0.2.1",
    ));
    expect(text, "E0301", last);
    let service = line_of(text, 0, "obj_udp_source_eq_5269");
    expect(text, "E0202", service);
    expect(text, "W0201", 0);
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
fn groups_in_a_circle_end() {
    let text = "object-group network a\n group-object b\nobject-group network b\n group-object a\n\
                access-list A extended permit ip object-group a any\n";
    // The grammar may refuse the circle before it gets here; either way it is an error.
    let errors = check(&parse(text)).has_errors();
    assert!(errors);
}
