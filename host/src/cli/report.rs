//! Findings drawn for people (line, caret, help) or written for programs (JSON).

use std::fmt;
use std::io::{IsTerminal, Write};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use crate::config::{Diagnostic, Severity, Source, Span};

/// Draws every finding with its line and a caret, then one line that counts them.
pub fn write_text(
    out: &mut impl Write,
    file: &str,
    source: &Source,
    findings: &[Diagnostic],
) -> std::io::Result<()> {
    let is_plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let theme = if is_plain {
        GraphicalTheme::unicode_nocolor()
    } else {
        GraphicalTheme::unicode()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .with_context_lines(1);
    let text = NamedText { file, source };
    let mut drawing = String::new();
    for finding in findings {
        drawing.clear();
        let drawn = handler.render_report(
            &mut drawing,
            &Drawn {
                finding,
                text: &text,
            },
        );
        if drawn.is_err() {
            drawing = format!("{}: {}\n", finding.code, finding.message);
        }
        out.write_all(drawing.as_bytes())?;
    }
    writeln!(out, "{file}: {}", summary(findings))
}

/// One JSON array with an object for each finding. Lines and columns count from 1; `end_column` is one past the last
/// character.
pub fn write_json(
    out: &mut impl Write,
    file: &str,
    source: &Source,
    findings: &[Diagnostic],
) -> std::io::Result<()> {
    let list: Vec<Value> = findings
        .iter()
        .map(|finding| as_json(file, source, finding))
        .collect();
    serde_json::to_writer_pretty(&mut *out, &list)?;
    writeln!(out)
}

fn as_json(file: &str, source: &Source, finding: &Diagnostic) -> Value {
    let mut value = place(source, finding.span);
    value["file"] = json!(file);
    value["code"] = json!(finding.code);
    value["severity"] = json!(finding.severity.word());
    value["message"] = json!(finding.message);
    value["help"] = json!(finding.help);
    let related = finding.related.iter().map(|related| {
        let mut value = place(source, related.span);
        value["message"] = json!(related.message);
        value
    });
    value["related"] = related.collect();
    value
}

fn place(source: &Source, span: Span) -> Value {
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    json!({ "line": line, "column": column, "end_line": end_line, "end_column": end_column })
}

/// `2 errors, 1 warning`.
fn summary(findings: &[Diagnostic]) -> String {
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let counted = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
        let number = count(severity);
        let plural = if number == 1 { "" } else { "s" };
        (number, format!("{number} {}{plural}", severity.word()))
    });
    let words: Vec<_> = counted
        .into_iter()
        .filter(|c| c.0 > 0)
        .map(|c| c.1)
        .collect();
    if words.is_empty() {
        "no findings".to_owned()
    } else {
        words.join(", ")
    }
}

/// A finding in the form the drawing library takes.
struct Drawn<'a> {
    finding: &'a Diagnostic,
    text: &'a NamedText<'a>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(self.finding.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.finding
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = |span: Span| {
            let length = span.end.saturating_sub(span.start) as usize;
            SourceSpan::from((span.start as usize, length))
        };
        let first = LabeledSpan::new_primary_with_span(None, place(self.finding.span));
        let related = self.finding.related.iter();
        let rest = related
            .map(move |r| LabeledSpan::new_with_span(Some(r.message.clone()), place(r.span)));
        Some(Box::new(std::iter::once(first).chain(rest)))
    }
}

/// The text under its file name. Lines are found by index: a text with many findings is not read from its beginning
/// for each.
struct NamedText<'a> {
    file: &'a str,
    source: &'a Source,
}

impl SourceCode for NamedText<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let text = self.source.text();
        let end = span.offset() + span.len();
        if end > text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let (line, column) = self.source.position(span.offset() as u32);
        let (end_line, _) = self
            .source
            .position(end.saturating_sub(1).max(span.offset()) as u32);
        // The library asks without context lines for the place it prints in the heading, and with them for the lines
        // it draws. The lines of the span itself say enough.
        let is_heading = lines_before == 0 && lines_after == 0;
        let (from, to, column) = if is_heading {
            (span.offset(), end, column as usize - 1)
        } else {
            (
                self.source.line_start(line),
                self.source.line_start(end_line + 1),
                0,
            )
        };
        let contents = MietteSpanContents::new_named(
            self.file.to_owned(),
            &text.as_bytes()[from..to],
            (from, to - from).into(),
            line as usize - 1,
            column,
            (end_line - line) as usize + 1,
        );
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const TEXT: &str =
        "hostname x\nmtu inside 10\nsnmp-server y\naccess-list A permit tcp any any eq 99999\n";

    #[test]
    fn text_shows_code_line_and_caret() {
        let parsed = parse(TEXT);
        let mut out = Vec::new();
        write_text(&mut out, "x.cfg", &parsed.source, &parsed.diagnostics).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "E0105",
            "x.cfg:2:12",
            "mtu inside 10",
            "─",
            "E0110",
            "x.cfg:4:37",
            "W0101",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(text.ends_with("x.cfg: 2 errors, 1 warning\n"), "{text}");
    }

    #[test]
    fn json_gives_places_from_one() {
        let parsed = parse(TEXT);
        let mut out = Vec::new();
        write_json(&mut out, "x.cfg", &parsed.source, &parsed.diagnostics).unwrap();
        let list: Value = serde_json::from_slice(&out).unwrap();
        let first = &list[0];
        assert_eq!(first["file"], "x.cfg");
        assert_eq!((&first["line"], &first["column"]), (&json!(2), &json!(12)));
        assert_eq!(first["end_column"], 14);
        assert_eq!(
            (&first["code"], &first["severity"]),
            (&json!("E0105"), &json!("error"))
        );
        assert_eq!(list.as_array().unwrap().len(), 3);
    }

    #[test]
    fn related_places_are_drawn_too() {
        let parsed =
            parse("access-group A in interface o\nnames\nnames\naccess-group B in interface o\n");
        let mut out = Vec::new();
        write_text(&mut out, "x.cfg", &parsed.source, &parsed.diagnostics).unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("bound here before")
        );
    }
}
