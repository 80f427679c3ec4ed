//! Configuration text and places in it.
//!
//! Comes in: the text as the user pasted it. Goes out: spans that every node of the tree carries, and the text
//! behind a span, so that a diagnostic or a packet trace can show the very line that acted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// A byte range of the source and the line it begins on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Line of the first byte, from 1.
    pub line: u32,
}

impl Span {
    /// From the beginning of `self` to the end of `last`.
    pub fn to(self, last: Span) -> Span {
        Span {
            start: self.start,
            end: self.end.max(last.end),
            line: self.line,
        }
    }
}

/// A value and where it was written. Two are equal when they say the same, wherever they stand, so that trees
/// compare by meaning; an order or hash over them follows the same rule.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub node: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value written at `span`.
    pub fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.node.hash(state);
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.node
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

/// The name of an object, list, interface, map: case-sensitive, without blanks.
pub type Name = Spanned<String>;

/// A switch that was turned on, and where.
pub type Flag = Option<Spanned<()>>;

/// The whole text, with the beginnings of its lines.
#[derive(Clone, Debug, Default)]
pub struct Source {
    text: String,
    line_starts: Vec<u32>,
}

impl Source {
    /// Indexes a text. Spans are 32 bits wide; the parser refuses longer texts long before that.
    pub fn new(text: &str) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i as u32 + 1),
        );
        Self {
            text: text.to_owned(),
            line_starts,
        }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The raw text of a span; empty when the span is not of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// The command behind a span on one line: a paste's line breaks and runs of blanks become one blank.
    pub fn command(&self, span: Span) -> String {
        self.slice(span)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The whole physical line a span begins on, without its line end.
    pub fn line_of(&self, span: Span) -> &str {
        self.line(span.line)
    }

    /// A physical line by number from 1, without its line end; empty when there is no such line.
    pub fn line(&self, number: u32) -> &str {
        let index = (number as usize).saturating_sub(1);
        let Some(&start) = self.line_starts.get(index) else {
            return "";
        };
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |&next| next as usize - 1);
        self.text[start as usize..end].trim_end_matches('\r')
    }

    /// Byte offset of the beginning of a line by number from 1; the end of the text when there is no such line.
    pub fn line_start(&self, number: u32) -> usize {
        let index = (number as usize).saturating_sub(1);
        self.line_starts
            .get(index)
            .map_or(self.text.len(), |&start| start as usize)
    }

    /// Line and column (in characters), both from 1, of a byte offset.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let line = self
            .line_starts
            .partition_point(|&start| start <= offset)
            .max(1);
        let start = self.line_starts[line - 1] as usize;
        let column = self
            .text
            .get(start..offset as usize)
            .map_or(0, |before| before.chars().count());
        (line as u32, column as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_gives_back_its_line_and_its_column() {
        let source = Source::new("hostname x\r\n é access-list A\nlast");
        let start = source.text().find("access").unwrap() as u32;
        let span = Span {
            start,
            end: start + 6,
            line: 2,
        };
        assert_eq!(source.slice(span), "access");
        assert_eq!(source.line_of(span), " é access-list A");
        assert_eq!(source.position(start), (2, 4));
        assert_eq!(source.line(1), "hostname x");
        assert_eq!(source.line(3), "last");
        assert_eq!(source.line(4), "");
    }

    #[test]
    fn a_command_pasted_over_two_lines_is_shown_on_one() {
        let source = Source::new("nat (inside,outside)  static x\n   5061\n");
        let span = Span {
            start: 0,
            end: source.text().len() as u32,
            line: 1,
        };
        assert_eq!(source.command(span), "nat (inside,outside) static x 5061");
    }

    #[test]
    fn equality_ignores_the_place() {
        let here = Spanned::new(
            5,
            Span {
                start: 0,
                end: 1,
                line: 1,
            },
        );
        let there = Spanned::new(
            5,
            Span {
                start: 9,
                end: 10,
                line: 2,
            },
        );
        assert_eq!(here, there);
        assert_ne!(here, Spanned::new(6, here.span));
    }
}
