//! A deliberate fault: one text substitution in one module of printed Verilog.

use serde::Deserialize;

use crate::process::{Failure, Result};

/// One fault, as written in a data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// What is broken, in words.
    pub name: String,
    /// The Verilog module whose text changes.
    pub module: String,
    /// Text that occurs exactly once in that module.
    pub find: String,
    /// What to put there.
    pub replace: String,
}

impl Mutation {
    /// The Verilog with the fault in it. A pattern that no longer matches is an error: the fault would
    /// silently stop testing anything.
    pub fn apply(&self, verilog: &str) -> Result<String> {
        let fault = |why: &str| Failure::Check(format!("mutation \"{}\": {why}", self.name));
        let header = format!("module {}(", self.module);
        let start = verilog
            .find(&header)
            .ok_or_else(|| fault("no such module"))?;
        let length = verilog[start..]
            .find("\nendmodule")
            .ok_or_else(|| fault("no endmodule"))?;
        let (before, rest) = verilog.split_at(start);
        let (body, after) = rest.split_at(length);
        match body.matches(&self.find).count() {
            1 => Ok([before, &body.replace(&self.find, &self.replace), after].concat()),
            0 => Err(fault("its pattern no longer matches")),
            count => Err(fault(&format!(
                "its pattern matches {count} times, not once"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERILOG: &str =
        "module a(x);\n y = x + 1;\nendmodule\nmodule b(x);\n y = x + 1;\nendmodule\n";

    fn mutation(module: &str, find: &str) -> Mutation {
        Mutation {
            name: "test".into(),
            module: module.into(),
            find: find.into(),
            replace: "x".into(),
        }
    }

    #[test]
    fn only_the_named_module_changes() {
        let changed = mutation("b", "x + 1").apply(VERILOG).expect("matches once");
        assert_eq!(
            changed,
            VERILOG.replacen("b(x);\n y = x + 1", "b(x);\n y = x", 1)
        );
    }

    #[test]
    fn a_pattern_that_does_not_match_once_is_refused() {
        assert!(mutation("b", "x - 1").apply(VERILOG).is_err());
        assert!(mutation("b", "x").apply(VERILOG).is_err());
        assert!(mutation("c", "x + 1").apply(VERILOG).is_err());
    }
}
