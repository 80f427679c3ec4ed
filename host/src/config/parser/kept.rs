//! `crypto` and `ssl`: kept word for word, with their sub-modes and pasted data.

use super::{Mode, Parser};
use crate::config::ast::Kept;
use crate::config::cursor::{Cursor, Taken};
use crate::config::source::Spanned;

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

/// Whether data may follow the command.
pub fn takes_data(command: &str) -> bool {
    PASTES.iter().any(|words| command.starts_with(words))
}

/// `crypto …`.
pub fn crypto(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    keep(p, c)
}

/// `ssl …`.
pub fn ssl(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    keep(p, c)
}

fn keep(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let words = c.take_words("the rest of the command")?;
    let command = p.source.command(c.keyword_span().to(words.span));
    let kept = &mut p.config.kept;
    if c.is_negated {
        let count = kept.len();
        kept.retain(|known| !known.command.starts_with(&command));
        if kept.len() == count {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let opens_block = BLOCKS.iter().any(|words| command.starts_with(words));
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
    Ok(if opens_block {
        Mode::Kept(index)
    } else {
        Mode::Global
    })
}
