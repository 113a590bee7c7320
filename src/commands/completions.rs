//! `cbctl completions` and `cbctl man`: texts made from the command line's own definition.

use clap::CommandFactory;

use super::Context;
use crate::cli::{Cli, Completions};
use crate::error::ExitStatus;

pub(super) fn run(context: &Context, arguments: &Completions) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "cbctl", &mut script);
    context.printer.raw(&String::from_utf8_lossy(&script));
    ExitStatus::Success
}

pub(super) fn manual(context: &Context) -> ExitStatus {
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(Cli::command()).render(&mut page);
    context.printer.raw(&String::from_utf8_lossy(&page));
    ExitStatus::Success
}
