//! What somebody types or pastes while a command runs: answers, passwords, certificates.
//!
//! A command does not know whether a terminal, a pipe or the configuration shell is behind it.

use std::io::{self, BufRead, Read, Write};

use zeroize::Zeroizing;

use super::Failure;
use crate::pki::bundle;

/// What is shown before a line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt<'a> {
    /// Nothing: the line is one of many that are pasted.
    Pasted,
    /// A question.
    Question(&'a str),
    /// A question whose answer is not shown, if that can be helped.
    Secret(&'a str),
}

/// Where lines come from.
pub trait Input {
    /// The next line with its end, `None` when there is none. Bytes, since a file may come this way too.
    fn line(&mut self, prompt: Prompt<'_>) -> io::Result<Option<Zeroizing<Vec<u8>>>>;
}

/// Standard input, whatever it is.
#[derive(Debug)]
pub struct Standard;

impl Input for Standard {
    fn line(&mut self, prompt: Prompt<'_>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        if let Prompt::Question(text) | Prompt::Secret(text) = prompt {
            print!("{text}");
            io::stdout().flush()?;
        }
        let mut line = Zeroizing::new(Vec::new());
        let limit = bundle::MAX_BYTES as u64 + 1;
        io::stdin()
            .lock()
            .take(limit)
            .read_until(b'\n', &mut line)?;
        Ok(Some(line).filter(|line| !line.is_empty()))
    }
}

/// A question with a yes or no, asked until it is answered; the end of the input is a no.
pub fn ask(input: &mut dyn Input, question: &str) -> Result<bool, Failure> {
    let prompt = format!("{question} [yes/no]: ");
    loop {
        let Some(answer) = answered(input, Prompt::Question(&prompt))? else {
            return Ok(false);
        };
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "ye" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => println!("% Please answer 'yes' or 'no'."),
        }
    }
}

/// A password, typed twice; `None` for an empty one.
pub fn password(input: &mut dyn Input) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut typed = |prompt| answered(input, Prompt::Secret(prompt));
    let (first, second) = (typed("Password: ")?, typed("Re-enter password: ")?);
    if first != second {
        return Err(Failure::Usage("the passwords differ".into()));
    }
    Ok(first.filter(|password| !password.is_empty()))
}

fn answered(
    input: &mut dyn Input,
    prompt: Prompt<'_>,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let line = input.line(prompt).map_err(Failure::Input)?;
    Ok(line.map(|line| {
        let text = String::from_utf8_lossy(&line);
        Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
    }))
}

/// Lines up to `quit`, or all there are: text, or a file as it is.
pub fn data(input: &mut dyn Input) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut all = Zeroizing::new(Vec::new());
    while all.len() <= bundle::MAX_BYTES
        && let Some(line) = input.line(Prompt::Pasted).map_err(Failure::Input)?
        && line.trim_ascii() != b"quit"
    {
        all.extend_from_slice(&line);
    }
    Ok(all)
}

/// The same as text; bytes that are none become replacement characters, which no certificate has.
pub fn text(input: &mut dyn Input) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&data(input)?).into_owned())
}
