//! Lowering: the tree to the model, resolving every name.
//!
//! Whatever cannot be resolved is reported and left out, so that one mistake yields one finding and the rest of the
//! configuration still has a meaning. A configuration with errors must not be loaded all the same.

/// Objects and groups by name.
pub(super) mod names;
/// Interfaces and routes.
mod interfaces;
/// Access lists and where they are bound.
mod access;
/// NAT rules in the order of evaluation.
mod nat;
/// Services of NAT rules, `xlate per-session`.
pub(super) mod nat_service;
/// Service policies.
mod policies;

use super::model::Model;
use crate::config::ast::Config;
use crate::config::{Diagnostic, Name};

/// Findings of lowering and checking.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Diagnostic>);

impl Findings {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// A name that leads nowhere.
    pub fn unknown(&mut self, code: &'static str, what: &str, name: &Name) {
        self.push(
            Diagnostic::error(code, name.span, format!("there is no {what} {}", name.node))
                .with_help("define it, or correct the name (names are case-sensitive)"),
        );
    }

    /// In the order of the text, each once.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.0.sort_by(|a, b| {
            (a.span.start, a.code, &a.message).cmp(&(b.span.start, b.code, &b.message))
        });
        self.0.dedup();
        self.0
    }
}

/// Resolves a configuration. The findings are in the order of the text.
pub fn lower(config: &Config) -> (Model, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let model = lower_into(config, &names::Names::new(config), &mut findings);
    (model, findings.sorted())
}

/// As [`lower`], for a caller that goes on finding.
pub(super) fn lower_into(
    config: &Config,
    names: &names::Names<'_>,
    findings: &mut Findings,
) -> Model {
    let mut model = Model {
        inter_interface: config.same_security.inter_interface.is_some(),
        intra_interface: config.same_security.intra_interface.is_some(),
        timeouts: config.timeouts.clone(),
        inspect_maps: config.inspect_maps.clone(),
        inspect_classes: config.inspect_classes.clone(),
        regexes: config.regexes.clone(),
        regex_classes: config.regex_classes.clone(),
        time_ranges: config
            .time_ranges
            .iter()
            .map(|range| (range.name.node.clone(), range.clone()))
            .collect(),
        ..Model::default()
    };
    interfaces::lower(config, &mut model, findings);
    access::lower(config, names, &mut model, findings);
    nat::lower(config, names, &mut model, findings);
    policies::lower(config, &mut model, findings);
    model
}
