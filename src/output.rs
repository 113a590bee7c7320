//! Everything that is printed: the only code that writes to stdout and stderr.
//!
//! One report type a verb, with a view as text and a view as JSON. stdout carries the answer, stderr the talk. It
//! decides nothing.

pub mod canary;
pub mod change;
pub mod check;
pub mod condition;
pub mod emergency;
mod exposure;
mod finding;
pub mod gradual;
pub mod history;
pub mod live;
pub mod obstacle;
pub mod onward;
pub mod progress;
pub mod rehearsal;
pub mod scope;
pub mod status;
pub mod step;
pub mod table;
pub mod trouble;
pub mod why;
pub mod words;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::cli::Format;

/// Version of the JSON answers; it grows when a field changes its meaning or goes away.
pub const SCHEMA: u8 = 1;

/// Where and how to print.
pub struct Printer {
    format: Format,
    quiet: bool,
    color: Color,
    /// What is drawn on the terminal, and goes before anything else is said.
    drawn: RefCell<live::Drawn>,
}

#[derive(Debug, Clone, Copy)]
struct Color {
    stdout: bool,
    stderr: bool,
}

/// A report can be read by people and by programs.
pub trait Report: Serialize {
    /// The lines for people, without colour.
    fn lines(&self) -> Vec<String>;
}

/// Words that begin a row, and the ANSI colour that supports them.
const PAINTED: [(&str, u8); 20] = [
    ("passed", 32),
    ("quiet", 32),
    ("signed", 32),
    ("complete", 32),
    ("done", 32),
    ("better", 32),
    ("off", 32),
    ("sent", 33),
    ("waiting", 33),
    ("inconclusive", 33),
    ("held", 33),
    ("warning", 33),
    ("failed", 31),
    ("firing", 31),
    ("error", 31),
    ("rollback", 31),
    ("unverified", 31),
    ("unknown", 31),
    ("hint", 36),
    ("note", 36),
];

impl Printer {
    pub fn new(format: Format, quiet: bool, no_color: bool) -> Self {
        // https://no-color.org: present and not empty.
        let colorless = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = Color {
            stdout: !colorless && std::io::stdout().is_terminal(),
            stderr: !colorless && std::io::stderr().is_terminal(),
        };
        Self { format, quiet, color, drawn: RefCell::default() }
    }

    /// Prints the answer.
    pub fn answer(&self, report: &impl Report) {
        match self.format {
            Format::Table => {
                self.raw(&report.lines().iter().map(|line| self.dress(line, self.color.stdout)).collect::<String>());
            }
            Format::Json => {
                let json = serde_json::to_string_pretty(report).unwrap_or_else(|error| error.to_string());
                self.raw(&format!("{}\n", escaped(&json)));
            }
        }
    }

    /// Whether there is a terminal that what goes on can be shown on, for people.
    pub fn shows(&self) -> bool {
        let moves = std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
        moves && !self.quiet && self.format == Format::Table && std::io::stderr().is_terminal()
    }

    /// Draws a view in the place of the one before.
    pub fn draw(&self, view: &live::View<'_>) {
        let lines = view.lines(live::measure().0);
        let mut drawn = self.drawn.borrow_mut();
        let cleared = drawn.clear();
        let fitting = drawn.fit(&lines);
        let text: String = fitting.iter().map(|line| self.dress(line, self.color.stderr)).collect();
        let _ = std::io::stderr().write_all(format!("{cleared}{text}").as_bytes());
    }

    /// Takes away what is drawn.
    pub fn clear(&self) {
        let cleared = self.drawn.borrow_mut().clear();
        let _ = std::io::stderr().write_all(cleared.as_bytes());
    }

    /// Prints text that is an answer by itself, as it is.
    pub fn raw(&self, text: &str) {
        self.clear();
        // A reader that has gone away is no failure of the command: what was done is done.
        let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
    }

    /// Tells what is going on.
    pub fn tell(&self, line: &str) {
        if !self.quiet {
            self.error_line(line);
        }
    }

    /// Warns of something that did not stop the command.
    pub fn warn(&self, error: &dyn std::error::Error) {
        if !self.quiet {
            self.error_line(&format!("warning: {error}"));
            self.causes(error);
        }
    }

    /// Tells of a failure that is followed by another attempt.
    pub fn retrying(&self, error: &dyn std::error::Error) {
        self.tell(&format!("warning: {}; trying again", in_one_line(error)));
    }

    /// Prints an error with its causes, what it points at, and what to do about it.
    pub fn error(&self, error: &dyn std::error::Error, snippet: Option<&str>, hint: Option<&str>) {
        self.error_line(&format!("error: {error}"));
        self.causes(error);
        for line in snippet.iter().flat_map(|snippet| snippet.lines()) {
            self.error_line(line);
        }
        if let Some(hint) = hint {
            self.error_line("");
            self.error_line(&format!("hint: {hint}"));
        }
    }

    fn causes(&self, error: &dyn std::error::Error) {
        let (mut source, mut told) = (error.source(), error.to_string());
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some libraries repeat the cause in their own text.
            if !told.contains(&text) {
                self.error_line(&format!("  caused by: {text}"));
            }
            told = text;
            source = cause.source();
        }
    }

    fn error_line(&self, line: &str) {
        self.clear();
        let _ = std::io::stderr().write_all(self.dress(line, self.color.stderr).as_bytes());
    }

    /// One line as it is printed: cleaned, coloured by its first word, and ended.
    #[expect(clippy::unused_self, reason = "printing takes a printer")]
    fn dress(&self, line: &str, color: bool) -> String {
        let clean = clean(line);
        let clean = clean.trim_end();
        let first = clean.split([' ', ':']).next().unwrap_or_default();
        match PAINTED.iter().find(|(word, _)| color && *word == first) {
            Some((word, code)) => format!("\u{1b}[{code}m{word}\u{1b}[0m{}\n", &clean[word.len()..]),
            None => format!("{clean}\n"),
        }
    }
}

/// An error with its causes.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(|cause| format!(": {cause}"));
    format!("{error}{}", causes.collect::<String>())
}

/// A crash ends like every unknown failure, so that no script takes it for a verdict.
#[expect(clippy::exit, reason = "nothing else may run after a bug has shown itself")]
pub fn crashed(bug: &std::panic::PanicHookInfo<'_>) {
    let told =
        format!("error: a bug in cbctl: {bug}\n\nhint: what it changed is in `cbctl status`; please report this\n");
    let _ = std::io::stderr().write_all(told.as_bytes());
    std::process::exit(1);
}

/// Text from the cluster and from Prometheus must not steer the terminal, nor turn what stands beside it around.
fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON as it may go to a terminal: the standard escapes only the control characters below space.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && clean(c.encode_utf8(&mut [0; 4])) != c.to_string() {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
