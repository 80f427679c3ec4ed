//! `postern shell [--config FILE]`: the console of the device.
//!
//! Commands come from a terminal or, for scripts, from a pipe. Configuration commands go through the parser, one line
//! after the other; `crypto …` and `show …` are what `postern crypto` and `postern show` are. The configuration is that
//! of a file; without one it is that of the firewall that runs, to be looked at.

/// Where lines come from.
mod console;
/// The file with the configuration.
mod file;
/// Words that may be typed.
mod menu;

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::crypto::{Dialogue, Place};
use super::{Failure, Outcome, input, show};
use crate::config::{Diagnostic, Editor, Entered, MAX_LINE_BYTES, Severity};
use crate::control::client;
use crate::pki::settings::block;
use crate::show::Format;
use console::{Console, Typed};
use file::Kept;
use menu::{Level, Menu};

const EXAMPLE: &str = "\
Example:
  postern shell --config firewall.cfg --state state
  postern shell --config firewall.cfg --state state < commands.txt

Exit code of commands that come from a pipe: 1 at the first that is refused; those after it are not carried out.";

/// Arguments of `shell`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// Configuration to change; made by `write memory` if it is not there [default: that of the firewall that runs, which can be
    /// looked at]
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Serves whoever types.
pub fn run(arguments: &Arguments) -> Outcome {
    let (file, text) = match &arguments.config {
        Some(path) => {
            let (file, text) = Kept::open(path)?;
            (Some(file), text)
        }
        None => {
            let command = "show running-config";
            let text = client::ask(arguments.place.directory(), Format::Text, command)?;
            (None, text)
        }
    };
    let (editor, findings) = Editor::new(&text);
    let mut shell = Shell {
        place: &arguments.place,
        file,
        editor,
        level: Level::User,
        in_crl: false,
        console: Console::open()?,
    };
    shell.tell_lost(&findings);
    shell.serve()
}

/// Whether a command leads on.
enum Flow {
    Next,
    Stop,
}

/// Why a command was not carried out.
enum Refused {
    /// It is no command, or not here.
    Said(String),
    /// It failed.
    Failed(Failure),
    /// It has said so itself.
    Told,
}

impl<F: Into<Failure>> From<F> for Refused {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

type Done = Result<Flow, Refused>;

struct Shell<'a> {
    place: &'a Place,
    /// Nothing can be changed without one.
    file: Option<Kept>,
    editor: Editor,
    level: Level,
    /// Lines are about `crl configure` of a trustpoint.
    in_crl: bool,
    console: Console,
}

impl Shell<'_> {
    fn serve(&mut self) -> Outcome {
        let mut number = 0_usize;
        loop {
            let menu = self.menu();
            let prompt = self.prompt();
            let line = match self.console.command(&prompt, &menu)? {
                Typed::Line(line) => line,
                Typed::Question(line) => {
                    self.help(&line);
                    continue;
                }
                Typed::Nothing => continue,
                Typed::End => {
                    self.tell_unwritten();
                    return Ok(ExitCode::SUCCESS);
                }
            };
            number += 1;
            match self.carry_out(&line) {
                Ok(Flow::Next) => {}
                Ok(Flow::Stop) => {
                    if self.may_leave()? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                // The reader of a pipe has seen enough.
                Err(Refused::Failed(failure @ Failure::Write(_))) => return Err(failure),
                Err(refused) => {
                    match refused {
                        Refused::Said(text) => eprintln!("ERROR: {text}"),
                        Refused::Failed(failure) => eprintln!("ERROR: {failure}"),
                        Refused::Told => {}
                    }
                    if !self.console.is_terminal() {
                        eprintln!("postern: stopped at command {number}: {}", line.trim());
                        return Ok(ExitCode::from(1));
                    }
                }
            }
            std::io::stdout().flush()?;
        }
    }

    /// Whether changes that no file holds are told of.
    fn tell_unwritten(&self) -> bool {
        let config = self.editor.config();
        let is_unwritten = self.file.as_ref().is_some_and(|file| file.differs(config));
        if is_unwritten {
            eprintln!("WARNING: what was changed is not written: `write memory` does that");
        }
        is_unwritten
    }

    fn may_leave(&mut self) -> Result<bool, Failure> {
        match self.tell_unwritten() && self.console.is_terminal() {
            true => input::ask(&mut self.console, "Leave all the same?"),
            false => Ok(true),
        }
    }

    fn menu(&self) -> Menu {
        let own: Vec<&'static str> = match self.editor.mode() {
            _ if self.in_crl => first(block::CRL_WORDS),
            Some("ca-trustpoint") => first(block::WORDS),
            _ => self.editor.own_words().collect(),
        };
        Menu {
            level: self.level,
            own,
        }
    }

    fn prompt(&self) -> String {
        let name = self.editor.config().hostname.as_ref();
        let name = name.map_or("postern", |name| name.node.as_str());
        let mode = match (self.level, self.editor.mode()) {
            (Level::User, _) => return format!("{name}> "),
            (Level::Privileged, _) => return format!("{name}# "),
            (Level::Configuration, _) if self.in_crl => "-ca-crl".to_owned(),
            (Level::Configuration, Some(mode)) => format!("-{mode}"),
            (Level::Configuration, None) => String::new(),
        };
        format!("{name}(config{mode})# ")
    }

    fn carry_out(&mut self, line: &str) -> Done {
        if let Some(asked) = line.trim_end().strip_suffix('?') {
            self.help(asked);
            return Ok(Flow::Next);
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(Refused::Said(format!(
                "a line has at most {MAX_LINE_BYTES} bytes"
            )));
        }
        let words = self.menu().spelled_out(&Editor::words(line));
        let Some(first) = words.first() else {
            return Ok(Flow::Next);
        };
        let is_open = self.level != Level::User;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (first.as_str(), &words[1..]) {
            ("enable", []) if self.level == Level::User => self.level = Level::Privileged,
            ("enable", []) => {}
            ("disable", []) => {
                self.leave();
                self.level = Level::User;
            }
            ("exit" | "quit" | "logout", []) => return Ok(self.exit()),
            ("end", []) if is_open => {
                self.leave();
                self.level = Level::Privileged;
            }
            ("configure", ["terminal"]) if is_open => {
                self.leave();
                self.level = Level::Configuration;
            }
            ("show", words) => self.show(words)?,
            ("write", ["terminal"]) if is_open => self.show(&["running-config"])?,
            ("write", [] | ["memory"]) if is_open => self.write()?,
            ("copy", ["running-config", "startup-config"]) if is_open => self.write()?,
            ("crypto", rest) if is_open && menu::is_dialogue(rest) => self.crypto(rest)?,
            ("no", ["crypto", "ca", "trustpoint", name]) if self.is_configuring() => {
                self.remove_trustpoint(name)?;
            }
            _ if self.is_configuring() => self.configure(line)?,
            _ => {
                return Err(Refused::Said(format!(
                    "% `{first}` cannot be done here; `?` lists what can"
                )));
            }
        }
        Ok(Flow::Next)
    }

    fn is_configuring(&self) -> bool {
        self.level == Level::Configuration
    }

    fn leave(&mut self) {
        self.editor.leave();
        self.in_crl = false;
    }

    /// One mode up.
    fn exit(&mut self) -> Flow {
        if !self.is_configuring() {
            return Flow::Stop;
        }
        if std::mem::take(&mut self.in_crl) {
            return Flow::Next;
        }
        match self.editor.mode() {
            // Where it leads the parser knows.
            Some(_) => drop(self.editor.enter("exit")),
            None => self.level = Level::Privileged,
        }
        Flow::Next
    }

    fn show(&mut self, words: &[&str]) -> Result<(), Refused> {
        let (text, is_found) = match words {
            ["running-config", rest @ ..] => (self.running(rest), true),
            words => show::answer(self.place, Format::Text, words)?,
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        match is_found {
            true => Ok(()),
            false => Err(Refused::Said("there is no such thing".into())),
        }
    }

    /// The configuration without its secrets, all of it or the commands that begin with some words.
    fn running(&self, words: &[&str]) -> String {
        let text = self.editor.config().to_string();
        let full = words.first().map(|word| Menu::command(word));
        let is_asked = |line: &str| {
            let mut own = line.split(' ');
            let is_first = full.is_none_or(|full| own.next() == Some(full));
            let mut rest = words.iter().skip(1);
            is_first && rest.all(|word| own.next().is_some_and(|own| own.starts_with(word)))
        };
        let (mut shown, mut is_meant) = (String::new(), true);
        for line in text.lines() {
            if !line.starts_with(' ') {
                is_meant = is_asked(line);
            }
            if is_meant {
                shown += &block::without_secrets(line);
                shown.push('\n');
            }
        }
        shown
    }

    fn write(&mut self) -> Result<(), Refused> {
        let Some(file) = &mut self.file else {
            return Err(no_file());
        };
        println!("Building configuration...");
        for warning in file.write(self.editor.config())? {
            println!("WARNING: {warning}");
        }
        println!("[OK]");
        Ok(())
    }

    fn crypto(&mut self, words: &[&str]) -> Result<(), Refused> {
        let name = match &self.file {
            Some(file) => file.name().to_owned(),
            None => "the running configuration".to_owned(),
        };
        let mut dialogue = Dialogue {
            place: self.place,
            config: Some((&name, self.editor.config())),
            input: &mut self.console,
        };
        let owned = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        let code = match words {
            ["key", rest @ ..] => dialogue.key(None, &owned(rest)),
            ["ca", "authenticate", name, rest @ ..] => dialogue.authenticate(name, &owned(rest)),
            ["ca", "enroll", name, rest @ ..] => dialogue.enroll(name, &owned(rest)),
            ["ca", "import", name, rest @ ..] => dialogue.import(name, &owned(rest)),
            ["ca", "export", name, rest @ ..] => dialogue.export(name, &owned(rest)),
            ["ca", "crl", rest @ ..] => dialogue.revocation_lists(&owned(rest)),
            _ => return Err(Refused::Said("a trustpoint is missing".into())),
        }?;
        match code == ExitCode::SUCCESS {
            true => Ok(()),
            false => Err(Refused::Told),
        }
    }

    fn remove_trustpoint(&mut self, name: &str) -> Result<(), Refused> {
        if self.file.is_none() {
            return Err(no_file());
        }
        let head = format!("crypto ca trustpoint {name}");
        let mut kept = self.editor.config().kept.iter();
        if !kept.any(|kept| kept.command.node == head) {
            return Err(Refused::Said(format!("there is no trustpoint {name}")));
        }
        println!(
            "WARNING: Removing an enrolled trustpoint will destroy all certificates received from the related Certificate Authority."
        );
        if !input::ask(&mut self.console, "Are you sure you want to do this?")? {
            return Err(Refused::Said("the trustpoint is not removed".into()));
        }
        self.place.open()?.remove(name)?;
        self.in_crl = false;
        self.editor.enter(&format!("no {head}"));
        println!("INFO: Be sure to ask the CA administrator to revoke your certificates.");
        Ok(())
    }

    /// A configuration command.
    fn configure(&mut self, line: &str) -> Result<(), Refused> {
        if self.file.is_none() {
            return Err(no_file());
        }
        let line = match self.trustpoint() {
            Some(name) => {
                let menu = self.menu();
                let full = menu.in_full(line);
                if !menu.leads_out(&Editor::words(&full)) {
                    return self.trustpoint_line(&name, line);
                }
                full
            }
            None => line.to_owned(),
        };
        let entered = self.editor.enter(&line);
        self.tell(&entered);
        if entered.is_refused {
            return Err(Refused::Told);
        }
        self.in_crl = false;
        Ok(())
    }

    /// The trustpoint whose lines are typed.
    fn trustpoint(&self) -> Option<String> {
        let command = &self.editor.kept()?.command.node;
        command
            .strip_prefix("crypto ca trustpoint ")
            .map(str::to_owned)
    }

    fn trustpoint_line(&mut self, name: &str, line: &str) -> Result<(), Refused> {
        let line = block::spelled_out(line, self.in_crl);
        let entered = self.editor.enter(&line);
        self.tell(&entered);
        if entered.is_refused {
            return Err(Refused::Told);
        }
        let settled = self.editor.revise(|body| block::settle(name, body));
        for note in settled
            .transpose()
            .map_err(|reason| Refused::Said(format!("% {reason}")))?
            .unwrap_or_default()
        {
            println!("WARNING: {note}");
        }
        self.in_crl |= line == block::CRL_CONFIGURE;
        Ok(())
    }

    fn tell(&self, entered: &Entered) {
        let indent = match self.console.is_terminal() {
            true => self.prompt().chars().count(),
            false => 0,
        };
        for finding in &entered.diagnostics {
            if entered.is_refused || finding.severity != Severity::Note {
                tell_finding(finding, &entered.source, indent);
            }
        }
    }

    /// What comes next in a line that somebody began.
    fn help(&self, line: &str) {
        let words = Editor::words(line);
        let is_begun = !line.is_empty() && !line.ends_with(' ');
        let next = self.menu().next(&words, is_begun);
        if !next.is_empty() {
            for word in next {
                println!("  {word}");
            }
            return;
        }
        // The parser says what it misses.
        let entered = self.editor.clone().enter(line);
        let missed = entered.diagnostics.iter().find(|one| one.code == "E0102");
        let expected = missed.and_then(|one| one.message.strip_prefix("the command ends where "));
        let expected = expected.and_then(|text| text.strip_suffix(" is expected"));
        match (expected, is_begun || !self.is_configuring()) {
            (Some(expected), _) => println!("  {expected}"),
            (None, false) if !entered.is_refused => println!("  <cr>"),
            _ => println!("% Unrecognized command"),
        }
    }

    fn tell_lost(&mut self, findings: &[Diagnostic]) {
        let is_lost = |one: &&Diagnostic| one.severity == Severity::Error || one.code == "W0101";
        let lost = findings.iter().filter(is_lost).count();
        if let Some(file) = &mut self.file
            && lost > 0
        {
            eprintln!(
                "WARNING: {lost} lines of {0} are not understood (`postern check {0}` shows them). `write memory` leaves \
                 them out, and what there is now in {0}.old",
                file.name()
            );
            file.keep_old();
        }
    }
}

fn no_file() -> Refused {
    Refused::Said(
        "a firewall that runs takes its configuration when it is started: name its file with --config to change it"
            .into(),
    )
}

fn first(table: crate::config::Keywords<'static, &'static str>) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

/// A caret under what is meant, and what is wrong with it.
fn tell_finding(finding: &Diagnostic, source: &crate::config::Source, indent: usize) {
    let (_, column) = source.position(finding.span.start);
    if indent == 0 {
        eprintln!("{}", source.line_of(finding.span));
    }
    eprintln!("{:>1$}", "^", indent + column as usize);
    let kind = match finding.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Note => "INFO",
    };
    eprintln!("{kind}: {} {}", finding.code, finding.message);
    if let Some(help) = &finding.help {
        eprintln!("  {help}");
    }
}
