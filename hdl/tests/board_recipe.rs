//! What the recipe of the STLV7325 says twice: pins of the board that is printed, numbers of `layout`.

use std::collections::BTreeSet;

use layout::csr;

const CONSTRAINTS: &str = include_str!("../../bitstreams/stlv7325/constraints/stlv7325.xdc");
const RECIPE: &str = include_str!("../../bitstreams/stlv7325/build.tcl");

/// The top module's ports, each bit by the name that constraints give it.
fn bits(verilog: &str) -> BTreeSet<String> {
    let head = verilog
        .split_once("module postern(")
        .and_then(|(_, rest)| rest.split_once("endmodule"))
        .expect("the top module")
        .0;
    let mut bits = BTreeSet::new();
    for line in head.lines().map(str::trim) {
        let Some(declared) = ["input", "output", "inout"]
            .iter()
            .find_map(|direction| line.strip_prefix(direction))
        else {
            continue;
        };
        let name = declared
            .trim_end_matches(';')
            .split_whitespace()
            .next_back()
            .expect("a name");
        let width = declared.split_once('[').map(|(_, range)| {
            let highest = range.split(':').next().expect("a range");
            highest.parse::<usize>().expect("a number") + 1
        });
        match width {
            None => {
                bits.insert(name.to_owned());
            }
            Some(width) => bits.extend((0..width).map(|bit| format!("{name}[{bit}]"))),
        }
    }
    bits
}

#[test]
fn every_pin_of_the_board_has_one_place_and_nothing_else_has() {
    let verilog = hdl::emit_stlv7325(0, 0);
    let mut placed = BTreeSet::new();
    let mut places = BTreeSet::new();
    for line in CONSTRAINTS.lines() {
        let Some((_, place)) = line.split_once("PACKAGE_PIN ") else {
            continue;
        };
        let place = place.split([' ', '}']).next().expect("a place");
        let (_, port) = line.split_once("[get_ports ").expect("a port");
        let port = port.strip_suffix(']').expect("the end of the command");
        let name = port.trim_matches(['{', '}']).to_owned();
        assert!(places.insert(place), "{line}: a place has two ports");
        assert!(placed.insert(name), "{line}: a port has two places");
    }
    let lanes = |name: &String| name.starts_with("pcie_rx") || name.starts_with("pcie_tx");
    let pins: BTreeSet<String> = bits(&verilog)
        .into_iter()
        .filter(|bit| !lanes(bit))
        .collect();
    assert_eq!(pins.len(), 46);
    assert_eq!(placed, pins);

    // Cells that the constraints name.
    for (cell, module) in [
        ("power_up/runs/q_reg", "postern$power_up$runs("),
        ("bridge/told/q_reg", "postern$bridge$told("),
        ("port0/clock_out/ddr0", "postern$port0$clock_out("),
        ("port1/clock_out/ddr0", "postern$port1$clock_out("),
    ] {
        assert!(CONSTRAINTS.contains(cell));
        assert!(verilog.contains(&format!("module {module}")), "{cell}");
    }
}

/// What the recipe sets a property of the IP to.
fn setting(name: &str) -> &'static str {
    let line = RECIPE
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    line.and_then(|line| line.split_whitespace().nth(1))
        .unwrap_or_else(|| panic!("{name} is set"))
}

fn hexadecimal(name: &str) -> u32 {
    u32::from_str_radix(setting(name), 16).expect("hexadecimal digits")
}

#[test]
fn the_hard_block_shows_what_layout_says() {
    assert_eq!(setting("Bar0_Scale"), "Kilobytes");
    let kilobytes: usize = setting("Bar0_Size").parse().expect("a number");
    assert_eq!(kilobytes * 1024, csr::BAR0_BYTES);
    assert_eq!(hexadecimal("MSIx_Table_Size") as usize, csr::MSIX_VECTORS);
    assert_eq!(8 * hexadecimal("MSIx_Table_Offset"), csr::MSIX_TABLE);
    assert_eq!(8 * hexadecimal("MSIx_PBA_Offset"), csr::MSIX_PENDING);
}
