//! The loop over lines: which command a line is, which lines belong together, what to say about failures.

use super::kept::takes_data;
use super::object_group::opened_group;
use super::{GLOBAL, Handler, Mode, OUTSIDE_WORDS, Parser};
use crate::config::cursor::{Cursor, Failure, Lookup, Taken, look_up};
use crate::config::diagnostic::Diagnostic;
use crate::config::lexer::{Line, Token};
use crate::config::source::{Span, Spanned};

/// Most lines a paste is taken to have broken one command into, beyond the first.
const MAX_CONTINUATIONS: usize = 4;

/// Words that never begin a command of the mode they are met in, but continue one.
const CONTINUATION_WORDS: &[&str] = &[
    "destination",
    "dns",
    "eq",
    "gt",
    "inactive",
    "log",
    "lt",
    "neq",
    "net-to-net",
    "no-proxy-arp",
    "range",
    "route-lookup",
    "service",
    "standby",
    "unidirectional",
];

/// What the first word of a line stands for.
enum Resolved {
    /// A command of the current mode.
    Local(Handler),
    /// A global command.
    Global(Handler, bool),
    /// A command of the device outside the subset.
    Outside,
    Ambiguous(Vec<&'static str>),
    Unknown,
}

impl Parser<'_> {
    /// Reads all lines.
    pub(super) fn run(&mut self, lines: &[Line]) {
        for line in lines {
            if let Some((name, kind)) = opened_group(line) {
                let place = (kind, line.span);
                self.group_kinds.entry(name.to_owned()).or_insert(place);
            }
        }
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += self.step(line, &lines[at + 1..]);
        }
    }

    /// Reads one command and returns how many physical lines it took.
    fn step(&mut self, line: &Line, following: &[Line]) -> usize {
        if line.has_hash {
            let message = "a leading `#` is taken for the rest of a prompt";
            self.diagnostics
                .push(Diagnostic::note("N0102", line.span, message));
        }
        if self
            .outside_indent
            .is_some_and(|indent| line.indent > indent && !line.has_prompt)
        {
            self.report_outside(
                line.span,
                "belongs to a command outside the subset; ignored",
            );
            return 1;
        }
        self.outside_indent = None;
        if let Mode::Kept(index) = self.mode
            && !self.leaves_block(line)
        {
            return self.keep_body(index, line, following);
        }
        if matches!(self.mode, Mode::Outside | Mode::Refused) && !self.leaves_block(line) {
            self.skip_body(line);
            return 1;
        }
        let taken = self.read(line, following);
        match self.awaits_data.take() {
            Some(index) => taken + self.keep_data(index, line.span, &following[taken - 1..]),
            None => taken,
        }
    }

    /// Reads a command that may go on in the following lines; returns how many lines it took.
    fn read(&mut self, line: &Line, following: &[Line]) -> usize {
        let count = following
            .iter()
            .take(MAX_CONTINUATIONS)
            .take_while(|next| self.may_continue(next))
            .count();
        let is_evident = count > 0 && continues_evidently(&following[0]);
        if is_evident && let Some(joined) = self.read_joined(line, &following[..count]) {
            return 1 + joined;
        }
        match self.attempt(&line.tokens) {
            Ok(mode) => {
                self.enter(mode, line.span);
                1
            }
            Err(failure) => {
                let may_join = matches!(failure, Failure::Incomplete(_)) && !is_evident;
                let joined = if may_join {
                    self.read_joined(line, &following[..count])
                } else {
                    None
                };
                if joined.is_none() {
                    self.refuse(line, failure);
                }
                1 + joined.unwrap_or(0)
            }
        }
    }

    /// Tries the command with as many of the following lines as make sense.
    fn read_joined(&mut self, line: &Line, following: &[Line]) -> Option<usize> {
        for count in (1..=following.len()).rev() {
            let mut tokens = line.tokens.clone();
            tokens.extend(following[..count].iter().flat_map(|next| &next.tokens));
            if let Ok(mode) = self.attempt(&tokens) {
                let last = &following[count - 1];
                self.enter(mode, line.span.to(last.span));
                for next in &following[..count] {
                    let message = "read as the continuation of the command above";
                    let note = Diagnostic::note("N0101", next.span, message);
                    self.diagnostics
                        .push(note.with_related(line.span, "the command"));
                }
                return Some(count);
            }
        }
        None
    }

    fn enter(&mut self, mode: Mode, command: Span) {
        if mode != self.mode {
            self.block = command;
        }
        self.mode = mode;
    }

    fn may_continue(&self, line: &Line) -> bool {
        !line.has_prompt
            && !line.has_hash
            && !matches!(line.tokens[0].text, "no" | "default")
            && matches!(
                self.resolve(line.tokens[0].text),
                Resolved::Unknown | Resolved::Outside
            )
    }

    fn resolve(&self, word: &str) -> Resolved {
        let local = look_up(word, self.mode.commands());
        if let Lookup::Exact(handler) = local {
            return Resolved::Local(handler);
        }
        let global = look_up(word, GLOBAL);
        if let Lookup::Exact(command) = global {
            return Resolved::Global(command.handler, command.opens_block);
        }
        if OUTSIDE_WORDS
            .iter()
            .any(|outside| outside.eq_ignore_ascii_case(word))
        {
            return Resolved::Outside;
        }
        match (local, global) {
            (Lookup::Prefix(handler), _) => Resolved::Local(handler),
            (Lookup::Ambiguous(hits), _) => Resolved::Ambiguous(hits),
            (_, Lookup::Prefix(command)) => Resolved::Global(command.handler, command.opens_block),
            (_, Lookup::Ambiguous(hits)) => Resolved::Ambiguous(hits),
            _ => Resolved::Unknown,
        }
    }

    /// Runs the handler of a command. A failure leaves no trace.
    fn attempt(&mut self, tokens: &[Token]) -> Taken<Mode> {
        if let Some(diagnostic) = self.unfilled_placeholder(tokens) {
            return Err(diagnostic.into());
        }
        let source = self.source;
        let mut cursor = Cursor::new(source, tokens);
        let word = cursor.take_command_word()?;
        let handler = match self.resolve(word.text) {
            Resolved::Local(_) if self.is_twice_nat(word, &cursor) => super::nat::twice_nat,
            Resolved::Local(handler) | Resolved::Global(handler, _) => handler,
            Resolved::Ambiguous(hits) => {
                let message = format!("`{}` is ambiguous: {}", word.text, hits.join(", "));
                return Err(Diagnostic::error("E0104", word.span, message).into());
            }
            Resolved::Outside | Resolved::Unknown => return Err(Failure::Outside),
        };
        let count = self.diagnostics.len();
        let result = handler(self, &mut cursor);
        if result.is_err() {
            self.diagnostics.truncate(count);
        }
        result
    }

    /// `nat … source …` typed under an object is the global command.
    fn is_twice_nat(&self, word: Token, cursor: &Cursor) -> bool {
        matches!(self.mode, Mode::NetworkObject(_))
            && "nat".starts_with(&word.text.to_ascii_lowercase())
            && super::nat::is_twice(cursor)
    }

    /// Says why a single line was not accepted and sets the mode of the next one.
    fn refuse(&mut self, line: &Line, failure: Failure) {
        let (is_global, opens_block) = self.scope(line);
        let is_outside = matches!(failure, Failure::Outside);
        match failure {
            Failure::Refused(diagnostic) => self.diagnostics.push(*diagnostic),
            Failure::Outside => {
                self.outside_indent = Some(line.indent);
                self.report_outside(line.span, "is outside the supported commands; ignored");
            }
            Failure::Incomplete(expected) | Failure::FreeText(expected) => {
                let message = format!("the command ends where {expected} is expected");
                self.diagnostics
                    .push(Diagnostic::error("E0102", line.span, message));
            }
        }
        if is_global {
            self.mode = match (opens_block, is_outside) {
                (true, true) => Mode::Outside,
                (true, false) => Mode::Refused,
                (false, _) => Mode::Global,
            };
        }
    }

    /// Whether the line is a global command, and whether it opens a block.
    fn scope(&self, line: &Line) -> (bool, bool) {
        let is_negated = matches!(line.tokens[0].text, "no" | "default");
        let word = line
            .tokens
            .get(usize::from(is_negated))
            .map_or("", |token| token.text);
        match self.resolve(word) {
            Resolved::Global(_, opens_block) => (true, opens_block && !is_negated),
            _ => (false, false),
        }
    }

    /// Whether a line in a block of unread lines is a global command in full.
    fn leaves_block(&self, line: &Line) -> bool {
        let is_negated = matches!(line.tokens[0].text, "no" | "default");
        let Some(word) = line.tokens.get(usize::from(is_negated)) else {
            return false;
        };
        matches!(look_up(word.text, GLOBAL), Lookup::Exact(_))
    }

    fn report_outside(&mut self, span: Span, what: &str) {
        let command = self.source.command(span);
        let shown: String = command.chars().take(60).collect();
        let dots = if shown.len() < command.len() {
            "…"
        } else {
            ""
        };
        self.warn("W0101", span, format!("`{shown}{dots}` {what}"));
    }

    fn skip_body(&mut self, line: &Line) {
        if self.mode == Mode::Outside {
            self.report_outside(
                line.span,
                "belongs to a command outside the subset; ignored",
            );
        } else {
            let message = "ignored, because the command that opened its block was refused";
            self.warn("W0103", line.span, message);
        }
    }

    fn keep_body(&mut self, index: usize, line: &Line, following: &[Line]) -> usize {
        let command = self.source.command(line.span);
        let is_paste = takes_data(&command);
        if let Some(kept) = self.config.kept.get_mut(index) {
            kept.body.push(Spanned::new(command, line.span));
        }
        if !is_paste {
            return 1;
        }
        1 + self.keep_data(index, line.span, following)
    }

    /// Takes pasted data up to and with `quit`; returns how many lines that were.
    fn keep_data(&mut self, index: usize, command: Span, following: &[Line]) -> usize {
        let data = following.iter().take_while(|line| is_data(line)).count();
        if data == 0 {
            return 0;
        }
        let is_block = matches!(self.mode, Mode::Kept(_));
        let has_end = following
            .get(data)
            .is_some_and(|line| line.tokens[0].text == "quit");
        let texts = following[..data + usize::from(has_end && is_block)].iter();
        let texts: Vec<_> = texts
            .map(|line| Spanned::new(self.source.command(line.span), line.span))
            .collect();
        if let Some(kept) = self.config.kept.get_mut(index) {
            if is_block {
                kept.body.extend(texts);
            } else {
                // A second paste for the same command replaces the first.
                kept.body = texts;
                kept.is_data = true;
            }
        }
        if !has_end {
            let message = "the pasted data does not end with a line `quit`";
            self.diagnostics
                .push(Diagnostic::error("E0122", command, message));
        }
        data + usize::from(has_end)
    }

    /// Reports `<…>` that was to be filled in, except in free text.
    fn unfilled_placeholder(&self, tokens: &[Token]) -> Option<Diagnostic> {
        let first = tokens.first()?;
        if matches!(first.text, "regex" | "crypto" | "ssl") {
            return None;
        }
        let is_free_text = |token: &&Token| !matches!(token.text, "remark" | "description");
        let token = tokens
            .iter()
            .take_while(is_free_text)
            .find(|t| t.text.contains('<'))?;
        let line_end = tokens.iter().rfind(|t| t.span.line == token.span.line)?;
        let text = self.source.slice(token.span.to(line_end.span));
        let open = text.find('<')?;
        let length = text[open..].find('>')? + 1;
        let start = token.span.start + open as u32;
        let span = Span {
            start,
            end: start + length as u32,
            line: token.span.line,
        };
        let message = format!("`{}` is a placeholder", &text[open..open + length]);
        Some(Diagnostic::error("E0101", span, message).with_help("put your own value in its place"))
    }
}

fn continues_evidently(line: &Line) -> bool {
    let word = line.tokens[0].text;
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    is_number
        || CONTINUATION_WORDS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether a line can be part of a pasted certificate or of the dialogue around it.
fn is_data(line: &Line) -> bool {
    let first = line.tokens[0].text;
    if first.starts_with("-----") || matches!(first, "Enter" | "End") {
        return true;
    }
    let is_code = |token: &Token| {
        token
            .text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    let is_command = matches!(look_up(first, GLOBAL), Lookup::Exact(_));
    !is_command && line.tokens.iter().all(is_code)
}
