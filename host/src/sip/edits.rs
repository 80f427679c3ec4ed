//! Replacements in a message, applied once at the end, or shown as a diff.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::scan::Span;

/// Replacements and insertions by position. Where two replacements overlap the first one counts.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// End and new bytes by start. `None`: the span stays, and nobody else may change it.
    spans: BTreeMap<usize, (usize, Option<Vec<u8>>)>,
    /// New bytes before a position.
    insertions: BTreeMap<usize, Vec<u8>>,
}

impl Edits {
    /// Replaces a span.
    pub fn replace(&mut self, span: Span, with: Vec<u8>) {
        self.enter(span, Some(with));
    }

    /// Inserts before a position, behind what was inserted there already.
    pub fn insert(&mut self, at: usize, text: &[u8]) {
        self.insertions
            .entry(at)
            .or_default()
            .extend_from_slice(text);
    }

    /// Keeps a span as it is.
    pub fn claim(&mut self, span: Span) {
        self.enter(span, None);
    }

    /// Replaces a span, or keeps it if there is nothing else to write.
    pub fn claim_or_replace(&mut self, span: Span, with: Option<String>) {
        self.enter(span, with.map(String::into_bytes));
    }

    fn enter(&mut self, span: Span, with: Option<Vec<u8>>) {
        if !span.is_empty() && !self.is_claimed(span) {
            self.spans.insert(span.start, (span.end, with));
        }
    }

    /// Puts other replacements above these: what they overlap is given up here.
    pub fn prefer(&mut self, others: Edits) {
        for (start, (end, with)) in others.spans {
            self.spans
                .retain(|own, (own_end, _)| *own_end <= start || *own >= end);
            self.spans.insert(start, (end, with));
        }
    }

    /// Whether any byte of a span was replaced or claimed.
    pub fn is_claimed(&self, span: Span) -> bool {
        let mut before = self.spans.range(..span.end);
        before
            .next_back()
            .is_some_and(|(_, (end, _))| *end > span.start)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.insertions.is_empty() && self.replacements().next().is_none()
    }

    fn replacements(&self) -> impl Iterator<Item = (Span, &[u8])> {
        self.spans
            .iter()
            .filter_map(|(start, (end, with))| Some((Span::new(*start, *end), with.as_deref()?)))
    }

    /// Replacements and insertions in order.
    fn changes(&self) -> Vec<(Span, &[u8])> {
        let insertions = self.insertions.iter();
        let insertions = insertions.map(|(at, text)| (Span::new(*at, *at), text.as_slice()));
        let mut all: Vec<_> = insertions.chain(self.replacements()).collect();
        all.sort_by_key(|(span, _)| *span);
        all
    }

    /// How much longer a span becomes. What is inserted at its end belongs to it.
    pub fn growth(&self, within: Span) -> isize {
        self.changes()
            .iter()
            .filter(|(span, _)| within.start <= span.start && span.end <= within.end)
            .map(|(span, with)| with.len() as isize - span.len() as isize)
            .sum()
    }

    /// The message with all changes.
    pub fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let mut at = 0;
        for (span, with) in self.changes() {
            out.extend_from_slice(Span::new(at, span.start).of(bytes));
            out.extend_from_slice(with);
            at = at.max(span.end);
        }
        out.extend_from_slice(Span::new(at, bytes.len()).of(bytes));
        out
    }

    /// What would change, line by line: `-` before, `+` after.
    pub fn diff(&self, bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = Span::new(start, start + line.len());
            start = whole.end;
            if let Some(inserted) = self.insertions.get(&whole.start) {
                mark(&mut text, '+', inserted);
            }
            let mut here = Edits::default();
            for (span, with) in self.replacements() {
                if whole.start <= span.start && span.start < whole.end {
                    let end = span.end.min(whole.end) - whole.start;
                    here.replace(Span::new(span.start - whole.start, end), with.to_vec());
                }
            }
            if !here.is_empty() {
                mark(&mut text, '-', line);
                mark(&mut text, '+', &here.apply(line));
            }
        }
        if let Some(inserted) = self.insertions.get(&bytes.len()) {
            mark(&mut text, '+', inserted);
        }
        text
    }
}

/// Lines of bytes with a sign before each; what is no text is escaped.
fn mark(text: &mut String, sign: char, bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sign}{}", line.escape_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_insertions_and_claims_do_not_disturb_each_other() {
        let bytes = b"one two three";
        let mut edits = Edits::default();
        edits.replace(Span::new(4, 7), b"2".to_vec());
        edits.claim(Span::new(8, 13));
        edits.replace(Span::new(10, 11), b"X".to_vec());
        edits.replace(Span::new(5, 9), b"Y".to_vec());
        edits.insert(4, b"<");
        edits.insert(4, b"=");
        edits.insert(13, b">");
        assert_eq!(edits.apply(bytes), b"one <=2 three>");
        assert_eq!(edits.growth(Span::new(0, 13)), 1);
        assert_eq!(edits.growth(Span::new(5, 13)), 1);
    }

    #[test]
    fn a_diff_shows_changed_lines_alone() {
        let bytes = b"a: 1\r\nb: 2\r\nc: 3\r\n";
        let mut edits = Edits::default();
        edits.replace(Span::new(9, 10), b"22".to_vec());
        edits.insert(12, b"d: 4\r\n");
        assert_eq!(edits.diff(bytes), "-b: 2\n+b: 22\n+d: 4\n");
    }
}
