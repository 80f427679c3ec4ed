//! A decision told in the phases that packet-tracer users know, with the lines of the configuration that acted.
//!
//! The decision is taken by `eval`; here it is only told. Output as text or JSON is the caller's choice; both carry
//! the same.

/// As JSON and as text.
mod print;

/// The phases, one after the other.
mod tell;

use std::net::Ipv4Addr;

use layout::table::Key;

use super::decision::{Decision, Verdict};
use super::model::{InterfaceId, Model};
use crate::config::Parsed;
use tell::Teller;

/// A told decision.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The phases in order; only the last one can have dropped the packet.
    pub phases: Vec<Phase>,
    /// `nameif` the packet came in on.
    pub input: String,
    /// `nameif` it leaves on, as far as that was decided.
    pub output: Option<String>,
    /// The end of it.
    pub verdict: Verdict,
    /// The decision behind it.
    pub decision: Decision,
    /// Source address and port after translation; equal to the packet's own without one.
    pub mapped_source: Option<(Ipv4Addr, u16)>,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Type, such as `ACCESS-LIST`.
    pub kind: &'static str,
    /// Subtype, such as `rpf-check`; may be empty.
    pub subtype: &'static str,
    /// Let pass; else it dropped the packet.
    pub allow: bool,
    /// Lines of the configuration that acted, as entered; `Implicit Rule` when none did.
    pub config: Vec<String>,
    /// Numbers of those lines.
    pub lines: Vec<u32>,
    /// What it did.
    pub information: Vec<String>,
}

/// Tells a decision. `mapped` is the address and port a dynamic translation got, when the caller has allocated one;
/// otherwise the one it would get on an idle device is shown.
pub fn trace(
    parsed: &Parsed,
    model: &Model,
    key: &Key,
    decision: &Decision,
    mapped: Option<(u32, u16)>,
) -> Trace {
    let mut teller = Teller::new(parsed, model, key, decision);
    let mapped = teller.mapped(mapped);
    teller.tell(mapped);
    let name = |id: InterfaceId| {
        model
            .interfaces
            .get(usize::from(id.0))
            .map(|i| i.name.clone())
    };
    Trace {
        phases: teller.phases,
        input: name(InterfaceId(key.interface)).unwrap_or_default(),
        output: decision.egress.and_then(|egress| name(egress.interface)),
        verdict: decision.verdict,
        decision: *decision,
        mapped_source: mapped.map(|(address, port)| (Ipv4Addr::from_bits(address), port)),
    }
}
