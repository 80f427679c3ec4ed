//! What does not fit the card. Nothing is judged otherwise for that, only slower: the host does what the card cannot.

use super::super::compile::compile;
use super::super::image::Capacity;
use super::super::lower::Findings;
use super::super::model::Model;
use crate::config::{Diagnostic, Span};

/// Reports where the tables of the default card end.
pub(super) fn check(model: &Model, findings: &mut Findings) {
    let (_, report) = compile(model, &Capacity::default());
    let (wanted, capacity) = (report.wanted, report.capacity);
    if wanted.acl > capacity.acl {
        // Security levels come last: if only they have no room, no line is to blame.
        let ace = report.first_ace_left_out.and_then(|ace| model.ace(ace));
        let span = ace.map_or(Span::default(), |(ace, _)| ace.span);
        let message = format!(
            "from here on the host decides: access lists and security levels take {} entries and the card has {}",
            wanted.acl, capacity.acl
        );
        findings.push(
            Diagnostic::warning("W0601", span, message)
                .with_help("name subnets and port ranges instead of single hosts and ports"),
        );
    }
    if let Some(rule) = report.first_nat_left_out {
        let message = format!(
            "from here on the host decides: the NAT rules take {} entries and the card has {}",
            wanted.destinations, capacity.destinations
        );
        findings.push(
            Diagnostic::warning("W0602", model.nat_rule(rule).span, message)
                .with_help("translate subnets instead of single hosts"),
        );
    }
    for id in report.interfaces_left_out {
        let interface = model.interface(id);
        let message = format!(
            "the card has {} interfaces: packets of {} are dropped",
            capacity.interfaces, interface.name
        );
        findings.push(
            Diagnostic::warning("W0603", interface.span.unwrap_or_default(), message)
                .with_help("remove sub-interfaces"),
        );
    }
}
