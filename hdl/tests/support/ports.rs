//! The ports of a circuit: names, directions, widths and present values.

use rust_hdl_core::prelude::*;

/// One port of the circuit under test.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub is_input: bool,
    pub width: usize,
    /// Hexadecimal, without leading zeros.
    pub value: String,
}

/// Reads the ports of the outermost scope.
pub fn ports(uut: &dyn Block) -> Vec<Port> {
    let mut probe = PortProbe::default();
    uut.accept("dut", &mut probe);
    probe.ports
}

#[derive(Default)]
struct PortProbe {
    depth: usize,
    ports: Vec<Port>,
}

impl Probe for PortProbe {
    fn visit_start_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth += 1;
    }

    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        let kind = signal.kind();
        if self.depth == 1 && kind.is_parameter() {
            self.ports.push(Port {
                name: name.to_owned(),
                is_input: kind == AtomKind::InputParameter,
                width: signal.bits(),
                value: hexadecimal(&format!("{:x}", signal.verilog())),
            });
        }
    }

    fn visit_end_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth -= 1;
    }
}

/// The digits of a literal such as `108'hff`.
fn hexadecimal(literal: &str) -> String {
    let digits = literal.rsplit(['h', 'x']).next().unwrap_or(literal);
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        "0".to_owned()
    } else {
        digits.to_owned()
    }
}
