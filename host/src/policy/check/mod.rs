//! Findings that need the whole configuration.
//!
//! Codes are stable. `E` refuses the configuration, `W` and `N` do not. The grammar's own findings and those of lowering
//! come along, so that a caller has all of them, in the order of the text.

/// Access lists: entries out of reach, mapped addresses where real ones belong.
mod access;
/// What does not fit the card.
mod fit;
/// Service policies: classes and inspection.
mod inspect;
/// NAT: conflicts, overlaps, mistakes in typing.
mod nat;
/// Names that mean two things or lead nowhere.
mod references;
/// Names that are defined and never used.
mod unused;

use super::lower::Findings;
use super::lower::lower_into;
use super::lower::names::Names;
use super::model::Model;
use crate::config::{Diagnostic, Parsed, Severity};

/// A configuration's meaning and all that is to be said about it.
#[derive(Debug)]
pub struct Checked {
    /// What it means, as far as that is known.
    pub model: Model,
    /// Findings of all layers in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether the configuration must not be loaded.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}

/// Lowers a configuration and checks it.
pub fn check(parsed: &Parsed) -> Checked {
    let mut findings = Findings(parsed.diagnostics.clone());
    let names = Names::new(&parsed.config);
    let model = lower_into(&parsed.config, &names, &mut findings);
    nat::check(parsed, &names, &model, &mut findings);
    access::check(&parsed.config, &model, &mut findings);
    inspect::check(&parsed.config, &model, &mut findings);
    references::check(&parsed.config, &mut findings);
    unused::check(&parsed.config, &mut findings);
    fit::check(&model, &mut findings);
    Checked {
        model,
        diagnostics: findings.sorted(),
    }
}

#[cfg(test)]
mod tests;
