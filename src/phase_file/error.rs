//! What is wrong with a file, and where.
//!
//! It knows how an error looks, but no rule of the format. Whatever comes out of a file is stripped of control
//! characters before it gets into a message, so that no file can write to the terminal of who reads it.

use std::fmt;
use std::io;

use thiserror::Error as ThisError;

/// Columns of a source line that are shown; a longer line is cut around the fault.
const SHOWN: usize = 100;
/// Characters of an offending text that are quoted in a message.
const QUOTED: usize = 60;

/// Why the files of a rollout cannot be used.
#[derive(Debug, ThisError)]
pub enum Error {
    #[error("cannot list the folder \"{folder}\"")]
    ListFolder {
        folder: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot read \"{file}\"")]
    ReadFile {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("\"{folder}\" holds no phase")]
    FindPhases { folder: String },
    #[error("there is no rollout.yaml in \"{folder}\" or below it")]
    FindRollouts { folder: String },
    #[error("{file}: not the name of a phase file")]
    NamePhaseFile { file: String },
    #[error("{0}")]
    Parse(Box<Invalid>),
}

impl Error {
    /// The offending line with a caret under the fault, where there is one.
    pub fn snippet(&self) -> Option<String> {
        match self {
            Self::Parse(invalid) => Some(invalid.snippet()),
            Self::ListFolder { .. }
            | Self::ReadFile { .. }
            | Self::FindPhases { .. }
            | Self::FindRollouts { .. }
            | Self::NamePhaseFile { .. } => None,
        }
    }

    /// Advice that is too long for the snippet.
    pub fn hint(&self) -> Option<String> {
        const FILES: &str = "a rollout is a folder with rollout.yaml and one file a phase, such as 10-shadow.yaml";
        match self {
            Self::Parse(invalid) => invalid.fault.hint.clone(),
            Self::ListFolder { source, .. } | Self::ReadFile { source, .. } => {
                (source.kind() == io::ErrorKind::NotFound).then(|| FILES.to_owned())
            }
            Self::FindPhases { .. } | Self::FindRollouts { .. } => Some(FILES.to_owned()),
            Self::NamePhaseFile { .. } => Some(
                "a phase file is called NN-NAME.yaml, such as 20-cache.yaml; the number gives the order".to_owned(),
            ),
        }
    }
}

/// A stretch of one line; line and column count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    pub width: usize,
}

impl Place {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1, width: 1 };
}

/// One broken rule, in a file that is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: Place,
    message: String,
    label: Option<String>,
    hint: Option<String>,
}

impl Fault {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), label: None, hint: None }
    }

    /// A few words beside the caret: what to write instead.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Asks whether the nearest valid name was meant, if one is near.
    pub fn did_you_mean(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(nearest) => self.label(format!("did you mean `{nearest}`?")),
            None => self,
        }
    }

    /// A sentence of advice below the snippet.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The error of the file called `file`, which holds `text`.
    pub fn within(self, file: &str, text: &str) -> Error {
        let line =
            text.replace("\r\n", "\n").split(['\n', '\r']).nth(self.place.line - 1).unwrap_or_default().to_owned();
        Error::Parse(Box::new(Invalid { file: file.to_owned(), line, fault: self }))
    }
}

/// A fault with the line that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    file: String,
    line: String,
    fault: Fault,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, .. } = self.fault.place;
        write!(f, "{}:{line}:{column}: {}", clean(&self.file), clean(&self.fault.message))
    }
}

impl Invalid {
    fn snippet(&self) -> String {
        let Place { line: number, column, width } = self.fault.place;
        let cut = if column + width > SHOWN { column.saturating_sub(SHOWN / 2) } else { 0 };
        // A blank for each control character keeps the caret in its column.
        let line: String =
            self.line.chars().map(|c| if is_harmful(c) { ' ' } else { c }).skip(cut).take(SHOWN).collect();
        let gutter = number.to_string();
        let indent = " ".repeat(gutter.len());
        let carets = format!("{}{}", " ".repeat(column - 1 - cut), "^".repeat(width.clamp(1, SHOWN / 2)));
        let label = self.fault.label.as_deref().map(clean).unwrap_or_default();
        let marked = format!("{indent} | {carets} {label}");
        format!("{indent} |\n{}\n{}", format!("{gutter} | {line}").trim_end(), marked.trim_end())
    }
}

/// `text` as it may be quoted in a message: without control characters, and short.
pub fn excerpt(text: &str) -> String {
    let mut characters = text.chars().filter(|c| !is_harmful(*c));
    let mut excerpt: String = characters.by_ref().take(QUOTED).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// `text` without control characters.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_harmful(*c)).collect()
}

/// Control characters, and those that break a line or turn its direction.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_looks_like_the_sketch() {
        let text = "\n".repeat(13) + "  - p59 < 400ms over 30m\n";
        let place = Place { line: 14, column: 5, width: 3 };
        let error = Fault::new(place, "unknown indicator `p59`")
            .did_you_mean(Some("p95"))
            .within("phases/20-cache.yaml", &text);
        assert_eq!(error.to_string(), "phases/20-cache.yaml:14:5: unknown indicator `p59`");
        let expected = "   |\n14 |   - p59 < 400ms over 30m\n   |     ^^^ did you mean `p95`?";
        assert_eq!(error.snippet().as_deref(), Some(expected));
        assert_eq!(error.hint(), None);
    }

    #[test]
    fn nothing_from_a_file_reaches_the_terminal_raw() {
        let text = "a: \u{1b}[31m\u{202e}red";
        let place = Place { line: 1, column: 4, width: 4 };
        let error = Fault::new(place, format!("bad `{}`", excerpt(text))).within("x\u{7}.yaml", text);
        assert_eq!(error.to_string(), "x.yaml:1:4: bad `a: [31mred`");
        assert_eq!(error.snippet().as_deref(), Some("  |\n1 | a:  [31m red\n  |    ^^^^"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let text = format!("{}HERE{}", "x".repeat(500), "y".repeat(500));
        let snippet = Fault::new(Place { line: 1, column: 501, width: 4 }, "bad").within("f", &text).snippet().unwrap();
        let lines: Vec<_> = snippet.lines().collect();
        assert_eq!(lines[1].find("HERE"), lines[2].find("^^^^"));
        assert!(lines[1].len() <= SHOWN + 4);
    }
}
