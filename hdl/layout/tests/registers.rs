//! `REGISTERS.md` says what the tables of this crate say. `UPDATE_DOCS=1` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use layout::csr::{self, Register};
use layout::desc::Reason;
use layout::table::{self, Operation, Table};
use layout::{ENTRIES, Entry, LAYOUT_HASH};

#[test]
fn registers_md_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("REGISTERS.md");
    let text = document();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).expect("REGISTERS.md is writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "REGISTERS.md is old: run with UPDATE_DOCS=1"
    );
}

#[test]
fn registers_do_not_overlap_and_are_in_order() {
    for pair in csr::REGISTERS.windows(2) {
        let [first, second] = pair else {
            unreachable!("windows of two")
        };
        assert!(
            first.offset + 4 * first.count <= second.offset,
            "{} and {}",
            first.name,
            second.name
        );
    }
    let end = csr::REGISTERS
        .last()
        .map_or(0, |last| last.offset + 4 * last.count);
    assert!(end as usize <= csr::BAR0_BYTES);
}

fn document() -> String {
    let mut text = String::from("# Registers and tables\n\n");
    text +=
        "Printed from `hdl/layout` by its test; `UPDATE_DOCS=1 cargo test -p layout` rewrites it. ";
    text += "Accesses to BAR0 are 32 bits wide, aligned, little-endian.\n\n";
    let _ = writeln!(text, "Layout hash: `{LAYOUT_HASH:#018x}`");
    sizes(&mut text);
    registers(&mut text);
    counters(&mut text);
    reasons(&mut text);
    tables(&mut text);
    serial_line(&mut text);
    text += "\n## Packed entries\n\nThe first field is at bit 0 of word 0.\n";
    for entry in ENTRIES {
        fields(&mut text, entry);
    }
    text
}

fn sizes(text: &mut String) {
    *text += "\n## Sizes\n\n| name | value |\n|---|---:|\n";
    for (name, value) in table::SIZES {
        let _ = writeln!(text, "| `{name}` | {value} |");
    }
}

fn registers(text: &mut String) {
    *text += "\n## BAR0\n\n| offset | name | access | reset | meaning |\n|---|---|---|---|---|\n";
    for Register {
        name,
        offset,
        count,
        access,
        reset,
        doc,
    } in csr::REGISTERS
    {
        let last = if *count > 1 {
            format!("…{:#06x}", offset + 4 * (count - 1))
        } else {
            String::new()
        };
        let array = if *count > 1 {
            format!("[{count}]")
        } else {
            String::new()
        };
        let (access, doc) = (access.name(), doc.replace('|', "\\|"));
        let _ = writeln!(
            text,
            "| {offset:#06x}{last} | `{name}{array}` | {access} | {reset:#x} | {doc} |"
        );
    }
}

fn counters(text: &mut String) {
    *text += "\n## Counters\n\n64 bits at `COUNTER + 8 * index`. Indexes 0 to 63 are the reasons below.\n\n";
    *text += "| index | name | meaning |\n|---:|---|---|\n";
    for counter in csr::COUNTERS {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            counter.index, counter.name, counter.doc
        );
    }
}

fn reasons(text: &mut String) {
    *text +=
        "\n## Reasons\n\n| code | reason | name | verdict | meaning |\n|---:|---|---|---|---|\n";
    for reason in Reason::ALL {
        let (code, verdict) = (
            *reason as u8,
            format!("{:?}", reason.verdict()).to_lowercase(),
        );
        let _ = writeln!(
            text,
            "| {code} | `{reason:?}` | {} | {verdict} | {} |",
            reason.name(),
            reason.doc().trim()
        );
    }
}

fn tables(text: &mut String) {
    *text += "\n## Tables\n\n| code | table | entries | operations |\n|---:|---|---:|---|\n";
    for table in Table::ALL {
        let operations: Vec<String> = [Operation::Read, Operation::Write, Operation::WritePair]
            .into_iter()
            .filter(|operation| table.supports(*operation))
            .map(|operation| format!("{operation:?} ({})", operation as u32))
            .collect();
        let _ = writeln!(
            text,
            "| {} | `{table:?}` | {} | {} |",
            *table as u32,
            table.len(),
            operations.join(", ")
        );
    }
}

fn serial_line(text: &mut String) {
    *text += "\n## Serial line\n\nFor boards without PCIe; `layout::uart` says how it is used.\n\n";
    *text += "| name | value |\n|---|---:|\n";
    for (name, value) in layout::uart::CONSTANTS {
        let _ = writeln!(text, "| `{name}` | {value:#x} |");
    }
}

fn fields(text: &mut String, entry: &Entry) {
    let _ = writeln!(text, "\n### {}\n\n{}\n", entry.name, entry.doc.trim());
    *text += "| bits | field |\n|---|---|\n";
    let mut at = 0;
    for field in entry.fields {
        let last = at + field.width - 1;
        let bits = if field.width == 1 {
            at.to_string()
        } else {
            format!("{last}..{at}")
        };
        let _ = writeln!(text, "| {bits} | `{}` |", field.name);
        at += field.width;
    }
}
