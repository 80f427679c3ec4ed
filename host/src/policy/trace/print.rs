//! A trace as JSON and as the device prints it.

use std::fmt;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::Trace;
use crate::policy::decision::{DropReason, Verdict};

impl Trace {
    /// As JSON, field by field.
    pub fn to_json(&self) -> Value {
        let phases: Vec<Value> = self
            .phases
            .iter()
            .enumerate()
            .map(|(index, phase)| {
                json!({
                    "phase": index + 1,
                    "type": phase.kind,
                    "subtype": phase.subtype,
                    "result": result_word(phase.allow),
                    "config": phase.config,
                    "lines": phase.lines,
                    "information": phase.information,
                })
            })
            .collect();
        let reason = self.drop_reason();
        json!({
            "phases": phases,
            "input_interface": self.input,
            "output_interface": self.output,
            "action": self.action(),
            "drop_reason": reason.map(DropReason::name),
            "drop_text": reason.map(DropReason::text),
            "destination": {
                "address": Ipv4Addr::from_bits(self.decision.destination).to_string(),
                "port": self.decision.destination_port,
            },
            "mapped_source": self.mapped_source.map(|(address, port)| {
                json!({ "address": address.to_string(), "port": port })
            }),
            "next_hop": self.decision.egress.map(|e| Ipv4Addr::from_bits(e.next_hop).to_string()),
        })
    }

    fn drop_reason(&self) -> Option<DropReason> {
        match self.verdict {
            Verdict::Drop(reason) => Some(reason),
            _ => None,
        }
    }

    /// `allow` or `drop`; what is for the device itself is `local`.
    pub fn action(&self) -> &'static str {
        match self.verdict {
            Verdict::Permit => "allow",
            Verdict::Local => "local",
            Verdict::Drop(_) => "drop",
        }
    }
}

/// As the device prints it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, phase) in self.phases.iter().enumerate() {
            writeln!(f, "Phase: {}", index + 1)?;
            writeln!(f, "Type: {}", phase.kind)?;
            writeln!(f, "Subtype: {}", phase.subtype)?;
            writeln!(f, "Result: {}", result_word(phase.allow))?;
            writeln!(f, "Config:")?;
            if phase.config.is_empty() {
                writeln!(f, "Implicit Rule")?;
            }
            for line in &phase.config {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "Additional Information:")?;
            for line in &phase.information {
                writeln!(f, "{line}")?;
            }
            writeln!(f)?;
        }
        let state = |up: bool| if up { "up" } else { "down" };
        let down = self.verdict == Verdict::Drop(DropReason::InterfaceDown);
        let input_up = !(down && self.output.is_none());
        writeln!(f, "Result:")?;
        writeln!(f, "input-interface: {}", self.input)?;
        writeln!(
            f,
            "input-status: {0}\ninput-line-status: {0}",
            state(input_up)
        )?;
        if let Some(output) = &self.output {
            writeln!(f, "output-interface: {output}")?;
            writeln!(
                f,
                "output-status: {0}\noutput-line-status: {0}",
                state(!down)
            )?;
        }
        writeln!(f, "Action: {}", self.action())?;
        if let Some(reason) = self.drop_reason() {
            writeln!(f, "Drop-reason: ({}) {}", reason.name(), reason.text())?;
        }
        Ok(())
    }
}

fn result_word(allow: bool) -> &'static str {
    if allow { "ALLOW" } else { "DROP" }
}
