//! The words of one command, taken from left to right.
//!
//! Every `take_*` returns a value or the [`Failure`] that ends the command. Nothing here changes the tree, so an
//! attempt (with or without the next physical line) can be given up without a trace.

/// Numbers, addresses and times.
mod values;

use super::diagnostic::Diagnostic;
use super::lexer::Token;
use super::source::{Flag, Name, Source, Span, Spanned};

/// Longest name of an object or group.
pub const MAX_OBJECT_NAME: usize = 64;
/// Longest name of anything else.
pub const MAX_NAME: usize = 128;

/// Why a command was not accepted.
#[derive(Debug)]
pub enum Failure {
    /// The words ended too early; the next physical line may hold the rest.
    Incomplete(&'static str),
    /// A word is wrong.
    Refused(Box<Diagnostic>),
    /// Free text would have swallowed the next physical line.
    FreeText(&'static str),
    /// The device knows the command, this product does not.
    Outside,
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Failure::Refused(Box::new(diagnostic))
    }
}

/// Result of taking words.
pub type Taken<T> = Result<T, Failure>;

/// Keywords and what they stand for.
pub type Keywords<'t, T> = &'t [(&'static str, T)];

/// What a word is in a table of keywords.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The keyword itself.
    Exact(T),
    /// The beginning of exactly one keyword.
    Prefix(T),
    /// The beginning of several.
    Ambiguous(Vec<&'static str>),
    /// None of them.
    Unknown,
}

/// Finds a word in a table; keywords are case-insensitive and may be shortened.
pub fn look_up<T: Copy>(word: &str, table: Keywords<T>) -> Lookup<T> {
    if let Some((_, value)) = table
        .iter()
        .find(|(keyword, _)| keyword.eq_ignore_ascii_case(word))
    {
        return Lookup::Exact(*value);
    }
    let begins = |keyword: &str| {
        keyword
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let hits: Vec<_> = table
        .iter()
        .filter(|(keyword, _)| begins(keyword))
        .collect();
    match hits[..] {
        [] => Lookup::Unknown,
        [(_, value)] => Lookup::Prefix(*value),
        _ => Lookup::Ambiguous(hits.iter().map(|(keyword, _)| *keyword).collect()),
    }
}

/// A keyword in full if the word is one or can only become one, else the word as it is.
pub fn in_full<'a>(word: &'a str, table: Keywords<&'static str>) -> &'a str {
    match look_up(word, table) {
        Lookup::Exact(full) | Lookup::Prefix(full) => full,
        Lookup::Ambiguous(_) | Lookup::Unknown => word,
    }
}

/// The words of one command.
#[derive(Clone)]
pub struct Cursor<'a> {
    source: &'a Source,
    tokens: &'a [Token<'a>],
    at: usize,
    keyword_at: usize,
    /// `no` or `default` stood before the command.
    pub is_negated: bool,
}

impl<'a> Cursor<'a> {
    /// At the first of `tokens`, which are not empty.
    pub fn new(source: &'a Source, tokens: &'a [Token<'a>]) -> Self {
        Self {
            source,
            tokens,
            at: 0,
            keyword_at: 0,
            is_negated: false,
        }
    }

    /// The whole command.
    pub fn span(&self) -> Span {
        match self.tokens {
            [first, .., last] => first.span.to(last.span),
            [only] => only.span,
            [] => Span::default(),
        }
    }

    /// Takes the word that names the command, after `no` or `default`.
    pub fn take_command_word(&mut self) -> Taken<Token<'a>> {
        self.is_negated = self.eat_full("no") || self.eat_full("default");
        self.keyword_at = self.at;
        self.take("a command")
    }

    /// Goes back to the word that names the command.
    pub fn rewind(&mut self) {
        self.at = self.keyword_at;
    }

    /// A switch: on at this command, off when it is negated.
    pub fn flag(&self) -> Flag {
        (!self.is_negated).then(|| Spanned::new((), self.span()))
    }

    /// Takes the argument that ends a command. A negated command gives `None` and may leave it out.
    pub fn take_unless_negated<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Taken<T>,
    ) -> Taken<Option<T>> {
        if self.is_negated && self.is_at_end() {
            return Ok(None);
        }
        let value = take(self)?;
        self.end()?;
        Ok((!self.is_negated).then_some(value))
    }

    /// The next word, not taken.
    pub fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    /// The word after the next one, not taken.
    pub fn peek_second(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at + 1).copied()
    }

    /// No word is left.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The next word; `expected` completes "expected …".
    pub fn take(&mut self, expected: &'static str) -> Taken<Token<'a>> {
        let token = self.peek().ok_or(Failure::Incomplete(expected))?;
        self.at += 1;
        Ok(token)
    }

    /// Requires that no word is left.
    pub fn end(&self) -> Taken<()> {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(unexpected(token, "the end of the command")),
        }
    }

    /// Takes one of several keywords.
    pub fn take_keyword<T: Copy>(
        &mut self,
        expected: &'static str,
        table: Keywords<T>,
    ) -> Taken<T> {
        let token = self.take(expected)?;
        match look_up(token.text, table) {
            Lookup::Exact(value) | Lookup::Prefix(value) => Ok(value),
            Lookup::Ambiguous(hits) => Err(ambiguous(token, &hits)),
            Lookup::Unknown => {
                let list = table
                    .iter()
                    .map(|(keyword, _)| *keyword)
                    .collect::<Vec<_>>()
                    .join(", ");
                Err(wrong(token, expected)
                    .with_help(format!("one of: {list}"))
                    .into())
            }
        }
    }

    /// Takes one of several keywords if the next word is one.
    pub fn take_optional<T: Copy>(&mut self, table: Keywords<T>) -> Taken<Option<Spanned<T>>> {
        let Some(token) = self.peek() else {
            return Ok(None);
        };
        match look_up(token.text, table) {
            Lookup::Exact(value) | Lookup::Prefix(value) => {
                self.at += 1;
                Ok(Some(Spanned::new(value, token.span)))
            }
            Lookup::Ambiguous(hits) => Err(ambiguous(token, &hits)),
            Lookup::Unknown => Ok(None),
        }
    }

    /// Takes `keyword`, perhaps shortened, if it is next. For places where no name may stand.
    pub fn eat(&mut self, keyword: &'static str) -> bool {
        let is_next = self
            .peek()
            .is_some_and(|t| !matches!(look_up(t.text, &[(keyword, ())]), Lookup::Unknown));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes `keyword` if it is next in full. For places where a name may stand too.
    pub fn eat_full(&mut self, keyword: &str) -> bool {
        let is_next = self
            .peek()
            .is_some_and(|token| token.text.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_next);
        is_next
    }

    /// Requires `keyword`, perhaps shortened.
    pub fn expect(&mut self, keyword: &'static str) -> Taken<()> {
        self.take_keyword(keyword, &[(keyword, ())])
    }

    /// The rest of the line as it stands.
    pub fn take_text(&mut self, expected: &'static str) -> Taken<Spanned<String>> {
        let first = self.take(expected)?;
        let last = self.tokens[self.tokens.len() - 1];
        if last.span.line != first.span.line || self.span().line != last.span.line {
            return Err(Failure::FreeText(expected));
        }
        self.at = self.tokens.len();
        let span = first.span.to(last.span);
        Ok(Spanned::new(self.source.slice(span).to_owned(), span))
    }

    /// All words that are left, at least one, each as it stands: with its quotes.
    pub fn take_words(&mut self, expected: &'static str) -> Taken<Spanned<Vec<String>>> {
        let mut ahead = self.clone();
        let span = ahead.take_text(expected)?.span;
        let words = self.source.command(span);
        self.at = self.tokens.len();
        let words = words.split(' ').map(str::to_owned).collect();
        Ok(Spanned::new(words, span))
    }

    /// A name of at most `max` characters.
    pub fn take_name(&mut self, expected: &'static str, max: usize) -> Taken<Name> {
        let token = self.take(expected)?;
        if !is_name(token.text, max) {
            let shown: String = token.text.chars().take(max).collect();
            let help = format!("at most {max} characters, none of them blank or one of < > \" ?");
            let diagnostic =
                Diagnostic::error("E0111", token.span, format!("`{shown}` cannot be a name"));
            return Err(diagnostic.with_help(help).into());
        }
        Ok(Spanned::new(token.text.to_owned(), token.span))
    }

    /// The name of an object or group.
    pub fn take_object_name(&mut self) -> Taken<Name> {
        self.take_name("a name", MAX_OBJECT_NAME)
    }

    /// The name of an interface, which may stand between parentheses elsewhere.
    pub fn take_interface_name(&mut self) -> Taken<Name> {
        let name = self.take_name("an interface name", 48)?;
        check_interface_name(&name)?;
        Ok(name)
    }

    /// Joins the words up to one that ends with `)`, without blanks; for `( inside , outside )`.
    pub fn take_parenthesised(&mut self) -> Taken<Spanned<String>> {
        let first = self.take("(REAL_INTERFACE,MAPPED_INTERFACE)")?;
        let mut text = first.text.to_owned();
        let mut span = first.span;
        while !text.ends_with(')') {
            let next = self.take("`)`")?;
            text.push_str(next.text);
            span = span.to(next.span);
        }
        Ok(Spanned::new(text, span))
    }
}

/// Whether a word can be a name of at most `max` characters.
pub fn is_name(word: &str, max: usize) -> bool {
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || "<>\"?".contains(c);
    !word.is_empty() && !word.contains(is_bad) && word.chars().count() <= max
}

/// Refuses characters that would end the parentheses of `nat (a,b)`.
pub fn check_interface_name(name: &Name) -> Taken<()> {
    if name.node.is_empty() || name.node.contains(['(', ')', ',']) {
        return Err(refused(
            "E0111",
            name.span,
            format!("`{}` cannot be an interface name", name.node),
        ));
    }
    Ok(())
}

/// A refusal with a code and a message.
pub fn refused(code: &'static str, span: Span, message: impl Into<String>) -> Failure {
    Diagnostic::error(code, span, message).into()
}

/// A word where something else was expected.
pub fn unexpected(token: Token, expected: &str) -> Failure {
    wrong(token, expected).into()
}

fn wrong(token: Token, expected: &str) -> Diagnostic {
    Diagnostic::error(
        "E0103",
        token.span,
        format!("expected {expected}, found `{}`", token.text),
    )
}

fn ambiguous(token: Token, hits: &[&str]) -> Failure {
    refused(
        "E0104",
        token.span,
        format!("`{}` is ambiguous: {}", token.text, hits.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn keywords_may_be_shortened_while_unambiguous() {
        let table = &[("object", 1), ("object-group", 2), ("host", 3)];
        assert_eq!(look_up("HO", table), Lookup::Prefix(3));
        assert_eq!(look_up("object", table), Lookup::Exact(1));
        assert_eq!(
            look_up("obj", table),
            Lookup::Ambiguous(vec!["object", "object-group"])
        );
        assert_eq!(look_up("hostx", table), Lookup::Unknown);
        assert_eq!(look_up("é", table), Lookup::Unknown);
    }
}
