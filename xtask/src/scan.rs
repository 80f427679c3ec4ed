//! A wrapper with three pins around a circuit that has more ports than the package has balls.
//!
//! Inputs come from a shift register, outputs are folded into another, so every port starts and
//! ends in a flip-flop and nothing is optimised away.

use crate::process::{Failure, Result};

/// Name of the wrapper's module.
pub const WRAPPER: &str = "scan_wrapper";

/// The ports of a module, and so of its wrapper.
pub struct Scan {
    module: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

struct Port {
    name: String,
    width: usize,
}

impl Scan {
    /// Reads the ports of `module` from Verilog as `hdl` prints it: one declaration a line.
    pub fn new(module: &str, verilog: &str) -> Result<Self> {
        let missing = || Failure::Check(format!("no module `{module}` in the Verilog"));
        let start = verilog
            .find(&format!("module {module}("))
            .ok_or_else(missing)?;
        let body = verilog[start..]
            .split("\nendmodule")
            .next()
            .unwrap_or_default();
        let ports = |direction: &str| -> Vec<Port> {
            let lines = body
                .lines()
                .filter_map(|line| line.trim().strip_prefix(direction));
            lines
                .filter_map(port)
                .filter(|port| port.name != "clock")
                .collect()
        };
        Ok(Self {
            module: module.to_owned(),
            inputs: ports("input wire "),
            outputs: ports("output "),
        })
    }

    /// Flip-flops that the wrapper adds to the circuit's own.
    pub fn flip_flops(&self) -> usize {
        width(&self.inputs) + 2 * width(&self.outputs)
    }

    /// The wrapper as Verilog.
    pub fn verilog(&self) -> String {
        let (inputs, outputs) = (width(&self.inputs).max(1), width(&self.outputs).max(1));
        let connections = connect("stimulus", &self.inputs) + &connect("result", &self.outputs);
        format!(
            "module {WRAPPER}(input clock, input scan_in, output scan_out);\n\
             reg [{inputs}-1:0] stimulus = 0;\n\
             wire [{outputs}-1:0] result;\n\
             reg [{outputs}-1:0] captured = 0, folded = 0;\n\
             assign scan_out = folded[{outputs}-1];\n\
             always @(posedge clock) begin\n\
             stimulus <= {{stimulus, scan_in}};\n\
             captured <= result;\n\
             folded <= (folded << 1) ^ captured;\n\
             end\n\
             {module} core(.clock(clock){connections});\n\
             endmodule\n",
            module = self.module,
        )
    }
}

/// `[63:0] name;` or `reg  name;` to a port.
fn port(declaration: &str) -> Option<Port> {
    let name = declaration
        .trim()
        .strip_suffix(';')?
        .split_whitespace()
        .last()?
        .to_owned();
    let width = match declaration.split_once('[') {
        Some((_, range)) => range.split_once(':')?.0.parse::<usize>().ok()? + 1,
        None => 1,
    };
    Some(Port { name, width })
}

fn width(ports: &[Port]) -> usize {
    ports.iter().map(|port| port.width).sum()
}

fn connect(vector: &str, ports: &[Port]) -> String {
    let mut at = 0;
    let mut text = String::new();
    for Port { name, width } in ports {
        text += &format!(",\n.{name}({vector}[{at} +: {width}])");
        at += width;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_but_the_clock_is_scanned() {
        let verilog = "module m(clock,a,b);\n  input wire  clock;\n  input wire  [7:0] a;\n  \
                       output reg  b;\n  output wire  [1:0] c;\nendmodule\n";
        let scan = Scan::new("m", verilog).expect("the module is there");
        assert_eq!(scan.flip_flops(), 8 + 2 * 3);
        let wrapper = scan.verilog();
        assert!(wrapper.contains(".a(stimulus[0 +: 8])"));
        assert!(wrapper.contains(".c(result[1 +: 2])"));
        assert!(Scan::new("n", verilog).is_err());
    }
}
