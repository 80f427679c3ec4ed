//! `crypto` and `ssl`: kept word for word, with their sub-modes and pasted data.

use super::{Mode, Parser};
use crate::config::ast::Kept;
use crate::config::cursor::{Cursor, Keywords, Lookup, Taken, look_up, refused};
use crate::config::source::{Span, Spanned};

/// First words of the `crypto` commands that open a sub-mode.
const BLOCKS: [&str; 5] = [
    "crypto ca trustpoint",
    "crypto ca certificate",
    "crypto ikev1 policy",
    "crypto ikev2 policy",
    "crypto ipsec ikev2",
];

/// First words of the commands that data may be pasted after, up to `quit`.
const PASTES: [&str; 3] = ["crypto ca authenticate", "crypto ca import", "certificate"];

/// Second words of `crypto`.
const TOPICS: Keywords<'static, &str> = &[
    ("ca", "ca"),
    ("dynamic-map", "dynamic-map"),
    ("ikev1", "ikev1"),
    ("ikev2", "ikev2"),
    ("ipsec", "ipsec"),
    ("isakmp", "isakmp"),
    ("key", "key"),
    ("map", "map"),
];

/// Third words of `crypto ca`.
const OF_AUTHORITIES: Keywords<'static, &str> = &[
    ("authenticate", "authenticate"),
    ("certificate", "certificate"),
    ("crl", "crl"),
    ("enroll", "enroll"),
    ("export", "export"),
    ("import", "import"),
    ("server", "server"),
    ("trustpoint", "trustpoint"),
    ("trustpool", "trustpool"),
];

/// Whether data may follow the command.
pub fn takes_data(command: &str) -> bool {
    PASTES.iter().any(|words| command.starts_with(words))
}

/// `crypto …`.
pub fn crypto(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    keep(p, c, "crypto")
}

/// `ssl …`.
pub fn ssl(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    keep(p, c, "ssl")
}

fn keep(p: &mut Parser, c: &mut Cursor, keyword: &str) -> Taken<Mode> {
    let words = c.take_words("the rest of the command")?;
    let rest = words.join(" ");
    let command = match keyword {
        "crypto" => format!("crypto {}", spelled_out(&rest, words.span)?),
        keyword => format!("{keyword} {rest}"),
    };
    let kept = &mut p.config.kept;
    if c.is_negated {
        let count = kept.len();
        let goes = |known: &Kept| {
            let rest = known.command.strip_prefix(command.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        kept.retain(|known| !goes(known));
        if kept.len() == count {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let opens_block = BLOCKS.iter().any(|words| command.starts_with(words));
    let is_paste = takes_data(&command);
    let found = kept.iter().position(|known| known.command.node == command);
    let index = found.unwrap_or_else(|| {
        let command = Spanned::new(command, c.span());
        kept.push(Kept {
            command,
            body: Vec::new(),
            is_data: false,
        });
        kept.len() - 1
    });
    p.awaits_data = is_paste.then_some(index);
    Ok(if opens_block {
        Mode::Kept(index)
    } else {
        Mode::Global
    })
}

/// The words behind `crypto` with the keywords in front in full.
fn spelled_out(rest: &str, span: Span) -> Taken<String> {
    let mut words: Vec<&str> = rest.split(' ').collect();
    if let Some(word) = words.first_mut() {
        *word = in_full(word, TOPICS, span)?;
    }
    if let ["ca", word, ..] = words.as_mut_slice() {
        *word = in_full(word, OF_AUTHORITIES, span)?;
    }
    Ok(words.join(" "))
}

/// A keyword in full; another word as it is.
fn in_full<'a>(
    word: &'a str,
    table: Keywords<'static, &'static str>,
    span: Span,
) -> Taken<&'a str> {
    match look_up(word, table) {
        Lookup::Exact(full) | Lookup::Prefix(full) => Ok(full),
        Lookup::Ambiguous(hits) => {
            let message = format!("`{word}` is ambiguous: {}", hits.join(", "));
            Err(refused("E0104", span, message))
        }
        Lookup::Unknown => Ok(word),
    }
}
