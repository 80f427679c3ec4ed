//! Where the shell's lines come from: a terminal, with editing and what was typed before, or a pipe.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Context, Event, EventContext, EventHandler,
    Helper, KeyEvent, RepeatCount,
};
use zeroize::Zeroizing;

use super::menu::Menu;
use crate::cli::Failure;
use crate::cli::input::{Input, Prompt, Standard};
use crate::config::Editor;

/// What came of asking for a command.
pub enum Typed {
    /// A command.
    Line(String),
    /// The beginning of one, and the question what comes next.
    Question(String),
    /// It was given up.
    Nothing,
    /// Nobody types any more.
    End,
}

/// Where lines come from.
pub enum Console {
    /// Somebody types.
    Terminal(Box<Terminal>),
    /// A script.
    Pipe,
}

/// A terminal.
pub struct Terminal {
    editor: rustyline::Editor<Aid, MemHistory>,
    question: Arc<Question>,
    /// What was typed before `?`, to be gone on with.
    begun: String,
}

impl Console {
    /// Standard input, whatever it is.
    pub fn open() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self::Pipe);
        }
        let opened = || -> rustyline::Result<Terminal> {
            let config = rustyline::Config::builder()
                .completion_type(CompletionType::List)
                // Pasted commands are commands, one after the other, and not one that has many lines.
                .bracketed_paste(false)
                .build();
            let mut editor = rustyline::Editor::with_history(config, MemHistory::new())?;
            let question = Arc::new(Question::default());
            let key = QuestionKey(Arc::clone(&question));
            editor.bind_sequence(
                Event::from(KeyEvent::from('?')),
                EventHandler::Conditional(Box::new(key)),
            );
            editor.set_helper(Some(Aid::default()));
            Ok(Terminal {
                editor,
                question,
                begun: String::new(),
            })
        };
        let terminal = opened().map_err(|error| Failure::Input(io::Error::other(error)))?;
        Ok(Self::Terminal(Box::new(terminal)))
    }

    /// Whether somebody types, who can try again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next command. `menu` is what may be typed.
    pub fn command(&mut self, prompt: &str, menu: &Menu) -> Result<Typed, Failure> {
        match self {
            Self::Pipe => {
                let line = Standard.line(Prompt::Pasted).map_err(Failure::Input)?;
                Ok(line.map_or(Typed::End, |line| {
                    Typed::Line(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
                }))
            }
            Self::Terminal(terminal) => terminal.command(prompt, menu).map_err(Failure::Input),
        }
    }
}

impl Input for Console {
    fn line(&mut self, prompt: Prompt<'_>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match self {
            Self::Pipe => Standard.line(prompt),
            Self::Terminal(terminal) => terminal.answer(prompt),
        }
    }
}

impl Terminal {
    fn command(&mut self, prompt: &str, menu: &Menu) -> io::Result<Typed> {
        self.aid(Some(menu.clone()), false);
        let begun = std::mem::take(&mut self.begun);
        let typed = self.editor.readline_with_initial(prompt, (&begun, ""));
        self.aid(None, false);
        let line = match typed {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => return Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => return Ok(Typed::End),
            Err(error) => return Err(io::Error::other(error)),
        };
        if self.question.is_asked.swap(false, Ordering::Relaxed) {
            self.begun = line.clone();
            return Ok(Typed::Question(line));
        }
        // In memory alone: passwords are typed here too. It is bounded.
        self.editor
            .add_history_entry(&line)
            .map_err(io::Error::other)?;
        Ok(Typed::Line(line))
    }

    /// A line that is no command.
    fn answer(&mut self, prompt: Prompt<'_>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let (text, is_secret) = match prompt {
            Prompt::Pasted => ("", false),
            Prompt::Question(text) => (text, false),
            Prompt::Secret(text) => (text, true),
        };
        self.aid(None, is_secret);
        let typed = self.editor.readline(text);
        self.aid(None, false);
        match typed {
            Ok(line) => {
                let mut line = Zeroizing::new(line.into_bytes());
                line.push(b'\n');
                Ok(Some(line))
            }
            Err(ReadlineError::Eof) => Ok(None),
            Err(ReadlineError::Interrupted) => Err(io::ErrorKind::Interrupted.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn aid(&mut self, menu: Option<Menu>, is_secret: bool) {
        let is_command = menu.is_some();
        self.question.may_be.store(is_command, Ordering::Relaxed);
        if let Some(aid) = self.editor.helper_mut() {
            *aid = Aid { menu, is_secret };
        }
    }
}

/// What the key and the terminal tell each other.
#[derive(Default)]
struct Question {
    /// A command is typed, and no answer.
    may_be: AtomicBool,
    /// `?` was typed.
    is_asked: AtomicBool,
}

/// `?` asks for help, unless it is part of an answer or stands between quotes.
struct QuestionKey(Arc<Question>);

impl ConditionalEventHandler for QuestionKey {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let is_quoted = context.line().matches('"').count() % 2 == 1;
        let is_at_end = context.pos() == context.line().len();
        if is_quoted || !is_at_end || !self.0.may_be.load(Ordering::Relaxed) {
            return None;
        }
        self.0.is_asked.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// What helps while a line is typed.
#[derive(Default)]
struct Aid {
    /// The line is a command.
    menu: Option<Menu>,
    /// What is typed is not shown.
    is_secret: bool,
}

impl Completer for Aid {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (Some(menu), Some(before)) = (&self.menu, line.get(..at)) else {
            return Ok((at, Vec::new()));
        };
        let start = before.rfind(' ').map_or(0, |blank| blank + 1);
        let words = menu.next(&Editor::words(before), start < at);
        let pair = |word: &'static str| Pair {
            display: word.to_owned(),
            replacement: format!("{word} "),
        };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

impl Highlighter for Aid {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.is_secret {
            true => Cow::Owned("*".repeat(line.chars().count())),
            false => Cow::Borrowed(line),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.is_secret
    }
}

impl Hinter for Aid {
    type Hint = String;
}

impl Validator for Aid {}

impl Helper for Aid {}
