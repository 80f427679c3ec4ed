//! Processes of this very program, asked line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Input and output of a process. It ends when this is dropped.
pub struct Control {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Control {
    /// Starts it, and waits until it is ready.
    pub fn spawn(command: &mut Command) -> (Child, Self) {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut control = Self {
            input: process.stdin.take().expect("piped"),
            output: BufReader::new(process.stdout.take().expect("piped")),
        };
        control.await_answer();
        (process, control)
    }

    /// Has something done.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it listens");
        self.await_answer();
    }

    fn await_answer(&mut self) {
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "ok\n");
    }
}

/// What such a process does once it is ready: what it is told, until there is nobody to tell it.
pub fn obey(mut order: impl FnMut(&str)) {
    println!("ok");
    for line in std::io::stdin().lines() {
        order(&line.expect("a line"));
        println!("ok");
    }
}
