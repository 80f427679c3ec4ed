//! A configuration that is entered line by line, as at the console of the device.
//!
//! Comes in: one line. Goes out: what is to be said of it; a line that is refused changes neither the tree nor the mode.
//! Places of the tree that is left behind belong to lines that were entered before, so whoever needs them prints the
//! tree and reads it again.

use std::collections::HashMap;

use super::object_group::{GroupKind, opened_group};
use super::{GLOBAL, Index, Mode, Parser};
use crate::config::ast::{Config, Kept};
use crate::config::cursor::Keywords;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::lexer::lex;
use crate::config::source::{Source, Span, Spanned};

/// A configuration and the mode that the next line is read in.
#[derive(Clone, Default)]
pub struct Editor {
    config: Config,
    mode: Option<Mode>,
    group_kinds: HashMap<String, (GroupKind, Span)>,
    index: Index,
}

/// What became of a line.
#[derive(Debug)]
pub struct Entered {
    /// The line, which findings point into.
    pub source: Source,
    /// What is to be said of it.
    pub diagnostics: Vec<Diagnostic>,
    /// It changed nothing.
    pub is_refused: bool,
}

impl Editor {
    /// Reads a text to begin with. Lines that are refused are not in the tree.
    pub fn new(text: &str) -> (Self, Vec<Diagnostic>) {
        let mut editor = Self::default();
        let entered = editor.read(text);
        editor.mode = None;
        (editor, entered.diagnostics)
    }

    /// The tree.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Enters one line.
    pub fn enter(&mut self, line: &str) -> Entered {
        let before = self.mode;
        let mut entered = self.read(line);
        // A text passes over what it does not know. Somebody who typed it wants to know.
        let is_ignored = |one: &Diagnostic| matches!(one.code, "W0101" | "W0102" | "W0103");
        let mut found = entered.diagnostics.iter();
        entered.is_refused = found.any(|one| one.severity == Severity::Error || is_ignored(one));
        if entered.is_refused {
            self.mode = before;
        }
        entered
    }

    fn read(&mut self, text: &str) -> Entered {
        let source = Source::new(text);
        let mut diagnostics = Vec::new();
        let lines = lex(source.text(), &mut diagnostics);
        for (name, _) in lines.iter().filter_map(opened_group) {
            // A group that was removed may come again as another kind.
            if !self.has_group(name) {
                self.group_kinds.remove(name);
            }
        }
        let mut parser = Parser::new(&source);
        parser.config = std::mem::take(&mut self.config);
        parser.group_kinds = std::mem::take(&mut self.group_kinds);
        parser.index = std::mem::take(&mut self.index);
        parser.mode = self.mode.unwrap_or(Mode::Global);
        parser.diagnostics = diagnostics;
        parser.run(&lines);
        let diagnostics = std::mem::take(&mut parser.diagnostics);
        self.mode = Some(parser.mode).filter(|mode| *mode != Mode::Global);
        self.config = parser.config;
        self.group_kinds = parser.group_kinds;
        self.index = parser.index;
        Entered {
            source,
            diagnostics,
            is_refused: false,
        }
    }

    fn has_group(&self, name: &str) -> bool {
        let config = &self.config;
        let is_it = |known: &crate::config::Name| known.node == name;
        config.network_groups.iter().any(|own| is_it(&own.name))
            || config.protocol_groups.iter().any(|own| is_it(&own.name))
            || config.icmp_groups.iter().any(|own| is_it(&own.name))
            || (config.service_groups.iter()).any(|own| is_it(&own.group.name))
    }

    /// Leaves all sub-modes.
    pub fn leave(&mut self) {
        self.mode = None;
    }

    /// What stands in the prompt behind `config`, nothing outside sub-modes.
    pub fn mode(&self) -> Option<&'static str> {
        Some(match self.mode? {
            Mode::Global | Mode::Outside | Mode::Refused => return None,
            Mode::Interface(_) => "if",
            Mode::NetworkObject(_) => "network-object",
            Mode::ServiceObject(_) => "service-object",
            Mode::NetworkGroup(_) => "network-object-group",
            Mode::ServiceGroup(_) => "service-object-group",
            Mode::ProtocolGroup(_) => "protocol-object-group",
            Mode::IcmpGroup(_) => "icmp-object-group",
            Mode::TimeRange(_) => "time-range",
            Mode::TlsProxy(_) => "tlsp",
            Mode::ClassMap(_) | Mode::RegexClass(_) | Mode::InspectClass(_) => "cmap",
            Mode::PolicyMap(_) | Mode::InspectMap(_) => "pmap",
            Mode::PolicyClass(..) | Mode::InspectRule(..) => "pmap-c",
            Mode::InspectParameters(_) => "pmap-p",
            Mode::Kept(_) => match self.kept()?.command.split(' ').nth(2) {
                Some("trustpoint") => "ca-trustpoint",
                Some("certificate") => "ca-cert-map",
                _ => "crypto",
            },
        })
    }

    /// The block whose lines are kept word for word, if the next line is one of them.
    pub fn kept(&self) -> Option<&Kept> {
        match self.mode? {
            Mode::Kept(index) => self.config.kept.get(index),
            _ => None,
        }
    }

    /// Changes the lines of that block: whoever reads them knows which of them take the place of others.
    pub fn revise<T>(&mut self, change: impl FnOnce(&mut Vec<Spanned<String>>) -> T) -> Option<T> {
        let Some(Mode::Kept(index)) = self.mode else {
            return None;
        };
        let kept = self.config.kept.get_mut(index)?;
        Some(change(&mut kept.body))
    }

    /// First words of the commands of the sub-mode.
    pub fn own_words(&self) -> impl Iterator<Item = &'static str> {
        first_words(self.mode.map_or(&[], Mode::commands))
    }

    /// First words of the global commands, which lead out of any sub-mode.
    pub fn global_words() -> impl Iterator<Item = &'static str> {
        first_words(GLOBAL)
    }

    /// The words of a line, without the prompt and the comment that a paste may bring along.
    pub fn words(line: &str) -> Vec<&str> {
        let lines = lex(line, &mut Vec::new());
        let tokens = lines.iter().flat_map(|line| &line.tokens);
        tokens.map(|token| token.text).collect()
    }
}

fn first_words<T>(table: Keywords<'static, T>) -> impl Iterator<Item = &'static str> {
    table.iter().map(|(word, _)| *word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::parse;

    const SEED: &str = include_str!("../../../../tests/cases/seed-corrected/setup.cfg");

    #[test]
    fn line_by_line_gives_what_the_whole_text_gives() {
        let mut editor = Editor::default();
        for line in SEED.lines() {
            let entered = editor.enter(line);
            assert!(!entered.is_refused, "{line}: {entered:?}");
        }
        assert_eq!(*editor.config(), parse(SEED).config);
        assert_eq!(*Editor::new(SEED).0.config(), parse(SEED).config);
    }

    #[test]
    fn a_refused_line_changes_nothing_and_keeps_the_mode() {
        let (mut editor, _) = Editor::new(SEED);
        assert!(!editor.enter("object network new").is_refused);
        let before = editor.config().clone();
        for line in [
            "host 1.2.3",
            "access-list A extended permt ip any any",
            "object network",
            "coffee",
            "object-group sausage x",
            "show conn",
            "crypto ca trustpo x",
        ] {
            let entered = editor.enter(line);
            assert!(entered.is_refused, "{line}");
            assert_eq!(editor.mode(), Some("network-object"), "{line}");
            assert_eq!(*editor.config(), before, "{line}");
        }
        assert!(!editor.enter("host 192.0.2.7").is_refused);
        assert!(editor.config().to_string().contains("host 192.0.2.7"));
    }

    #[test]
    fn modes_are_entered_and_left() {
        let (mut editor, _) = Editor::new("");
        for (line, mode) in [
            ("int g0/0", Some("if")),
            ("nameif inside", Some("if")),
            ("policy-map type inspect sip s", Some("pmap")),
            ("parameters", Some("pmap-p")),
            ("exit", Some("pmap")),
            ("hostname x", None),
            ("cry ca trustpoi tp", Some("ca-trustpoint")),
            ("enrollment self", Some("ca-trustpoint")),
            ("exit", None),
        ] {
            assert!(!editor.enter(line).is_refused, "{line}");
            assert_eq!(editor.mode(), mode, "{line}");
        }
        let text = editor.config().to_string();
        assert!(
            text.contains("crypto ca trustpoint tp\n enrollment self\n"),
            "{text}"
        );
    }

    #[test]
    fn a_group_that_was_removed_may_come_again_as_another_kind() {
        let mut editor = Editor::default();
        assert!(!editor.enter("object-group network g").is_refused);
        assert!(editor.enter("object-group protocol g").is_refused);
        assert!(!editor.enter("no object-group network g").is_refused);
        assert!(!editor.enter("object-group protocol g").is_refused);
    }

    proptest! {
        #[test]
        fn any_lines_are_taken_or_refused_and_what_is_left_prints_and_reads_again(
            lines in proptest::collection::vec("(no )?(object network|nat|host|crypto ca trustpoint|access-list A|exit|fqdn)? ?[ -~]{0,30}", 0..12),
        ) {
            let mut editor = Editor::default();
            for line in &lines {
                let before = (editor.config().clone(), editor.mode());
                if editor.enter(line).is_refused {
                    prop_assert_eq!(&before, &(editor.config().clone(), editor.mode()));
                }
            }
            let printed = editor.config().to_string();
            prop_assert_eq!(&parse(&printed).config, editor.config(), "{}", printed);
        }
    }
}
