//! Text to command lines: prompts, comments and blanks removed, words with their places.
//!
//! Comes in: the whole text. Goes out: one [`Line`] for each physical line that holds a command. Which lines belong
//! together is the parser's question. Overlong lines are reported and left out.

use super::diagnostic::Diagnostic;
use super::source::Span;

/// Longest line in bytes; a device takes 510 characters, a pasted certificate line is shorter.
pub const MAX_LINE_BYTES: usize = 4096;
/// Longest text in bytes.
pub const MAX_TEXT_BYTES: usize = 8 << 20;

/// A word of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The word; a quoted one without its quotes.
    pub text: &'a str,
    /// Where it is, quotes included.
    pub span: Span,
}

/// One physical line with a command.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The words; never empty.
    pub tokens: Vec<Token<'a>>,
    /// From the first word to the last.
    pub span: Span,
    /// A prompt stood before the command, so it cannot continue the line above.
    pub has_prompt: bool,
    /// A lone `#` stood before the command: the rest of a prompt.
    pub has_hash: bool,
    /// Blanks before the command.
    pub indent: usize,
}

/// Splits a text into lines of words.
pub fn lex<'a>(text: &'a str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (index, raw) in text.split('\n').enumerate() {
        let at = Span {
            start: start as u32,
            end: (start + raw.len()) as u32,
            line: index as u32 + 1,
        };
        start += raw.len() + 1;
        if raw.len() > MAX_LINE_BYTES {
            let message = format!(
                "line of {} bytes; the longest accepted is {MAX_LINE_BYTES}",
                raw.len()
            );
            diagnostics.push(Diagnostic::error("E0117", at, message));
        } else if let Some(line) = lex_line(raw, at) {
            lines.push(line);
        }
    }
    lines
}

fn lex_line(raw: &str, at: Span) -> Option<Line<'_>> {
    let indent = raw.len() - raw.trim_start().len();
    let mut rest = raw.trim();
    let (mut has_prompt, mut has_hash) = (false, false);
    // In any order, so that what is left never begins with either, and reads the same when it is printed.
    loop {
        let after = strip_prompt(rest);
        let Some(after) = after.or_else(|| rest.strip_prefix('#')) else {
            break;
        };
        has_prompt |= !rest.starts_with('#');
        has_hash |= rest.starts_with('#');
        rest = after.trim_start();
    }
    // A comment mark counts only where a command would begin.
    if rest.is_empty() || rest.starts_with(['!', ':']) {
        return None;
    }
    let offset = at.start + (rest.as_ptr() as usize - raw.as_ptr() as usize) as u32;
    let tokens = words(rest, offset, at.line);
    let span = tokens.first()?.span.to(tokens.last()?.span);
    Some(Line {
        tokens,
        span,
        has_prompt,
        has_hash,
        indent,
    })
}

/// What follows `name#`, `name>`, `name(config-…)#`; `None` when the text does not begin with a prompt.
fn strip_prompt(text: &str) -> Option<&str> {
    let name_end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c)))?;
    if name_end == 0 {
        return None;
    }
    let mut rest = &text[name_end..];
    let mode = rest
        .strip_prefix("(config")
        .and_then(|mode| mode.split_once(')'));
    if let Some((_, after)) = mode {
        rest = after;
    }
    rest.strip_prefix('#').or_else(|| rest.strip_prefix('>'))
}

fn words(text: &str, offset: u32, line: u32) -> Vec<Token<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(blank) = text[at..].find(|c: char| !c.is_whitespace()) {
        let start = at + blank;
        let quoted = text[start..].strip_prefix('"').and_then(closing_quote);
        let (word, end) = match quoted {
            Some(length) => (&text[start + 1..start + 1 + length], start + length + 2),
            None => {
                let length = text[start..]
                    .find(char::is_whitespace)
                    .unwrap_or(text.len() - start);
                (&text[start..start + length], start + length)
            }
        };
        let span = Span {
            start: offset + start as u32,
            end: offset + end as u32,
            line,
        };
        words.push(Token { text: word, span });
        at = end;
    }
    words
}

/// Length of the text before the closing quote; a quote after a backslash does not close. `None` when nothing closes
/// or something is glued to the closing quote: then the quote is an ordinary character.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (index, c) in text.char_indices() {
        if c == '"' && !is_escaped {
            let after = text[index + 1..].chars().next();
            return after.is_none_or(char::is_whitespace).then_some(index);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<&str>> {
        lex(text, &mut Vec::new())
            .iter()
            .map(|line| line.tokens.iter().map(|t| t.text).collect())
            .collect()
    }

    #[test]
    fn prompts_hashes_and_comments_are_removed() {
        let text = "! comment\n: saved\nhostname(config)# object network A\nhostname(config-network-object)# host 1.1.1.1\n\
                    asa/pri/act# conf t\n  #host 2.2.2.2\r\nfw> enable\n\nhostname(config)#\n##fw#names\n";
        assert_eq!(
            texts(text),
            [
                vec!["object", "network", "A"],
                vec!["host", "1.1.1.1"],
                vec!["conf", "t"],
                vec!["host", "2.2.2.2"],
                vec!["enable"],
                vec!["names"],
            ]
        );
    }

    #[test]
    fn a_hash_inside_a_command_is_kept() {
        assert_eq!(texts("password a#b"), [vec!["password", "a#b"]]);
    }

    #[test]
    fn quoted_words_hold_blanks_and_escaped_quotes() {
        assert_eq!(
            texts(r#"regex A "x \" y" z"#),
            [vec!["regex", "A", r#"x \" y"#, "z"]]
        );
        assert_eq!(texts(r#"regex A "open"#), [vec!["regex", "A", "\"open"]]);
    }

    #[test]
    fn a_word_knows_its_place_behind_a_prompt() {
        let text = "x\nfw(config)#  mtu inside 1500";
        let lines = lex(text, &mut Vec::new());
        let span = lines[1].tokens[1].span;
        assert_eq!(&text[span.start as usize..span.end as usize], "inside");
        assert_eq!(span.line, 2);
    }

    #[test]
    fn an_overlong_line_is_an_error_and_the_next_line_is_read() {
        let text = format!("{}\nnames", "x".repeat(MAX_LINE_BYTES + 1));
        let mut diagnostics = Vec::new();
        assert_eq!(lex(&text, &mut diagnostics).len(), 1);
        assert_eq!(diagnostics[0].code, "E0117");
    }
}
