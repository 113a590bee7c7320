//! What a promotion that goes on by itself shows on a terminal: a block of lines that is redrawn in place.
//!
//! The lines are made from a report alone; what is known here of a terminal is its size, and how to move on it. In a pipe
//! nothing of this is used.

use std::time::Duration;

use rustix::termios::tcgetwinsize;

use super::check::CheckReport;
use super::status::exposure;
use super::step;
use super::words::duration;
use crate::rollout::declaration::Rollout;
use crate::rollout::onward::Goal;
use crate::rollout::route::Route;
use crate::rollout::standing::elapsed;

/// Where the terminal does not tell its size.
const USUAL: (usize, usize) = (80, 24);

/// One look, to be shown.
pub struct View<'a> {
    pub rollout: &'a Rollout,
    pub goal: Goal,
    pub route: &'a Route,
    pub report: &'a CheckReport,
    /// What is waited for, in a line.
    pub waiting: &'a str,
    /// Until the watching ends.
    pub left: Duration,
}

impl View<'_> {
    /// The steps of the phase, everything judged, and what is waited for.
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let phase = &self.rollout.phases[self.goal.phase];
        let mut lines = vec![format!("{}: {}; watched for {} more", phase.name, phase.title, duration(self.left))];
        lines.extend((0..phase.steps.len()).map(|step| self.step(step)));
        lines.extend(self.report.rows(u16::try_from(columns).ok()));
        lines.push(self.waiting.to_owned());
        lines
    }

    fn step(&self, index: usize) -> String {
        let phase = &self.rollout.phases[self.goal.phase];
        let step = &phase.steps[index];
        let named = format!("{}: {}", step::named(phase, index), exposure(step.exposure));
        let place = self.route.standing.place.as_ref().filter(|_| !self.route.standing.emergency);
        let bake = duration(step.bake);
        match place.map(|place| (place.phase, place.step).cmp(&(self.goal.phase, index))) {
            Some(std::cmp::Ordering::Greater) => format!("done  {named}, baked {bake}"),
            Some(std::cmp::Ordering::Equal) if self.route.resumes => format!("now   {named}, cut short"),
            Some(std::cmp::Ordering::Equal) => {
                let baked = place.map_or(Duration::ZERO, |place| elapsed(place.since, self.report.at()));
                match step.bake.saturating_sub(baked) {
                    Duration::ZERO => format!("now   {named}, baked {bake}"),
                    left => format!("now   {named}, bakes for {} more of {bake}", duration(left)),
                }
            }
            Some(std::cmp::Ordering::Less) | None => format!("next  {named}, bake {bake}"),
        }
    }
}

/// The lines that stand on the terminal.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Columns that each of them takes.
    widths: Vec<usize>,
}

impl Drawn {
    /// What takes the block away: the cursor is on the line below it.
    pub fn clear(&mut self) -> String {
        if self.widths.is_empty() {
            return String::new();
        }
        let (columns, _) = measure();
        self.cleared(columns)
    }

    fn cleared(&mut self, columns: usize) -> String {
        // A terminal that was made narrower has wrapped what stood there.
        let rows: usize = self.widths.drain(..).map(|width| width.div_ceil(columns).max(1)).sum();
        format!("\r\u{1b}[{rows}A\u{1b}[J")
    }

    /// So much of the lines as the terminal has room for; from now on it is what stands there.
    pub fn fit(&mut self, lines: &[String]) -> Vec<String> {
        let (columns, rows) = measure();
        let fitting = fit(lines, columns, rows);
        self.widths = fitting.iter().map(|line| line.chars().map(width).sum()).collect();
        fitting
    }
}

/// Columns and rows of the terminal.
pub fn measure() -> (usize, usize) {
    let size = tcgetwinsize(std::io::stderr()).ok().map(|size| (size.ws_col.into(), size.ws_row.into()));
    size.filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or(USUAL)
}

/// No line reaches the last column, and the cursor's line is left: nothing ever wraps or scrolls.
fn fit(lines: &[String], columns: usize, rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(1).max(1);
    let mut fitting: Vec<String> = lines.iter().take(room).map(|line| clipped(&super::clean(line), columns)).collect();
    let hidden = lines.len().saturating_sub(room);
    if hidden > 0 {
        fitting.pop();
        fitting.push(clipped(&format!("and {} more lines", hidden + 1), columns));
    }
    fitting
}

fn clipped(line: &str, columns: usize) -> String {
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let fits = width(*c) <= left;
        left = left.saturating_sub(width(*c));
        fits
    };
    line.chars().take_while(fits).collect()
}

/// Columns that a character takes at most.
fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn nothing_wraps_or_scrolls() {
        assert_eq!(fit(&lines(&["abcdef", "ab"]), 5, 24), ["abcd", "ab"]);
        assert_eq!(fit(&lines(&["a…cdef"]), 5, 24), ["a…c"], "it may be wide");
        assert_eq!(fit(&lines(&["a", "b", "c", "d"]), 80, 4), ["a", "b", "and 2 more lines"]);
        assert_eq!(fit(&lines(&["a", "b", "c"]), 80, 4), ["a", "b", "c"]);
        assert_eq!(fit(&lines(&["a\u{1b}[2Jb"]), 80, 4), ["a\u{fffd}[2Jb"]);
        assert_eq!(fit(&lines(&["a", "b"]), 1, 1), [""]);
    }

    #[test]
    fn a_block_goes_as_a_whole_even_from_a_terminal_that_became_narrower() {
        let mut drawn = Drawn { widths: vec![10, 0, 79] };
        assert_eq!(drawn.cleared(80), "\r\u{1b}[3A\u{1b}[J");
        assert_eq!(drawn.clear(), "", "nothing is left to take away");
        drawn.widths = vec![10, 0, 79];
        assert_eq!(drawn.cleared(40), "\r\u{1b}[4A\u{1b}[J");
    }
}
