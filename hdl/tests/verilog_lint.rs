//! Verilator -Wall on the Verilog of every module, with an exact list of what may be said.
//!
//! Only three forms of WIDTH pass, all of constants or of a widening cast, checked by their numbers. LATCH,
//! IMPLICIT, MULTIDRIVEN, UNOPTFLAT and everything else fail.

mod support;

use hdl::flow::Flow;
use rust_hdl_core::prelude::*;
use support::verilog::{lint, print};

/// A warning that says nothing about what the circuit does.
fn is_allowed(line: &str) -> bool {
    let Some(text) = line.strip_prefix("%Warning-WIDTH: ") else {
        return false;
    };
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect()
    };
    // Literals are printed 32 or 64 bits wide; an index that is a signal has another width.
    if let Some((_, text)) = text.split_once("Bit extraction of var[") {
        return matches!(numbers(text)[..], [_, 0, _, 32 | 64]);
    }
    // A literal, which must fit.
    if let Some((_, text)) = text.split_once("Operator ASSIGN expects ") {
        let Some((head, tail)) =
            text.split_once(" bits on the Assign RHS, but Assign RHS's CONST '")
        else {
            return false;
        };
        let value = tail
            .split(['h', '\''])
            .nth(2)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let width = head.parse::<u32>().ok();
        return matches!((width, value), (Some(width), Some(value)) if width >= 64 || value >> width == 0);
    }
    // bit_cast to more bits: a signal or slice, and a mask of the new width.
    if let Some((_, text)) = text.split_once("Operator AND expects ") {
        let Some((wide, text)) = text.split_once(" bits on the LHS, but LHS's ") else {
            return false;
        };
        let narrow = text
            .rsplit_once("generates ")
            .map(|(_, tail)| numbers(tail));
        let from_signal = text.starts_with("VARREF") || text.starts_with("SEL");
        return from_signal
            && matches!((wide.parse::<u64>(), narrow), (Ok(wide), Some(narrow)) if narrow[0] < wide);
    }
    false
}

fn rejected(name: &str, verilog: &str) -> Vec<String> {
    lint(name, verilog)
        .into_iter()
        .filter(|line| !is_allowed(line))
        .collect()
}

/// The whole cards hold every module.
#[test]
fn the_cards_are_clean() {
    let cards = [
        ("card-64", hdl::emit_top(64)),
        ("card-512", hdl::emit_top(512)),
        ("card-rings", hdl::emit_card()),
    ];
    for (name, verilog) in cards {
        let verilog = verilog.replace(&format!("module {}(", hdl::TOP), "module dut(");
        let faults = rejected(name, &verilog);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn the_lookups_are_clean() {
    let lookups = [
        ("flow", print(&mut Flow::default())),
        (
            "destination",
            print(&mut hdl::destination::Destination::default()),
        ),
        ("acl", print(&mut hdl::acl::Acl::default())),
    ];
    for (name, verilog) in lookups {
        let faults = rejected(name, &verilog);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn the_endpoint_is_clean() {
    let circuits = [
        ("endpoint", print(&mut hdl::pcie::Endpoint::default())),
        ("bridge", print(&mut hdl::pcie::bridge::Bridge::default())),
    ];
    for (name, verilog) in circuits {
        let faults = rejected(name, &verilog);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn the_ethernet_port_is_clean() {
    let circuits = [
        ("mac", print(&mut hdl::mac::Mac::default())),
        (
            "management",
            print(&mut hdl::mac::management::Management::default()),
        ),
    ];
    for (name, verilog) in circuits {
        let faults = rejected(name, &verilog);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn the_boards_are_clean() {
    let boards = [
        (
            "versa-ecp5",
            hdl::emit_versa(0, 0),
            include_str!("support/ecp5.v"),
        ),
        (
            "stlv7325",
            hdl::emit_stlv7325(0, 0),
            concat!(
                include_str!("support/series7.v"),
                include_str!("support/pcie_7x.v")
            ),
        ),
    ];
    for (name, verilog, primitives) in boards {
        let verilog = verilog.replace("module postern(", "module dut(");
        let faults = rejected(name, &(verilog + primitives));
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn the_serial_line_is_clean() {
    let verilog = print(&mut hdl::uart::UartBridge::default());
    let faults = rejected("uart", &verilog);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn planted_faults_are_seen() {
    let module = |body: &str| {
        format!(
            "module dut(input wire clock, input wire [7:0] a, input wire b, output reg [7:0] q, output reg r);\n{body}\nendmodule\n"
        )
    };
    let faults = [
        ("LATCH", "always @(*) begin r = b; if (b) q = a; end"),
        (
            "IMPLICIT",
            "assign x = b; always @(*) begin q = a; r = b; end",
        ),
        ("WIDTH", "always @(*) begin q = {a, b}; r = b; end"),
        ("WIDTH", "always @(*) begin q = 32'h100; r = b; end"),
        ("WIDTH", "always @(*) begin q = (a & 4'hf); r = b; end"),
        ("WIDTH", "always @(*) begin q = a; r = a[b]; end"),
        (
            "WIDTH",
            "always @(*) begin q = a; r = (a + 32'h1) == 32'h0; end",
        ),
        (
            "MULTIDRIVEN",
            "reg c; always @(posedge clock) r <= b; always @(posedge b) r <= a[0]; always @(*) begin q = a; c = b; end",
        ),
        (
            "UNOPTFLAT",
            "wire c, d; assign c = d ^ a[0]; assign d = b ? c : a[1]; always @(*) begin q = a; r = c; end",
        ),
    ];
    for (index, (class, body)) in faults.iter().enumerate() {
        let lines = rejected(&format!("planted-{index}"), &module(body));
        assert!(
            lines.iter().any(|line| line.contains(class)),
            "{class} is not seen in {body}: {lines:?}"
        );
    }
    let clean = module("always @(*) begin q = a & 8'h0f; r = b; end");
    assert_eq!(rejected("planted-none", &clean), Vec::<String>::new());
}

/// Kernels whose native value differs from the Verilog are what lock-step is for; here, that the
/// printed form at least shows in the lint when an operand is widened by a literal.
#[test]
fn a_literal_in_a_compared_sum_is_seen() {
    #[derive(Clone, Debug, Default, LogicBlock)]
    struct Sum {
        a: Signal<In, Bits<8>>,
        zero: Signal<Out, Bit>,
    }
    impl Logic for Sum {
        #[hdl_gen]
        fn update(&mut self) {
            self.zero.next = (self.a.val() + 1) == 0;
        }
    }
    assert!(!rejected("sum", &print(&mut Sum::default())).is_empty());
}
