//! cbctl switches circuit breakers on safely: in phases, judged on Prometheus data, and back off again.
//!
//! The map, from the top; arrows only point down:
//!
//! - `commands`: one file a verb, each read top to bottom: observe, judge and plan, print, apply.
//! - `observe`: one look at the world. The only room that sees both the cluster and Prometheus.
//! - The edges, which never see each other: `cluster` (the only user of kube), `prometheus` (the only user of its
//!   client), `phase_file` (text to types), `program` (the only one that starts other programs), `output` (the only
//!   printing), `cli`, and `error` (the exit codes).
//! - `rollout`: phases, position, what may happen next. Pure; stands on `judge`.
//! - `judge`: samples to evidence to verdict. Pure; knows no phases, no Kubernetes and no client.
//!
//! What the rest relies on:
//!
//! - A verdict that lets a rollout go on carries its evidence; without evidence it cannot be built.
//! - Flags and the record of where the rollout stands are written in one patch, or not at all.
//! - A promotion carries the version that it was decided on; an emergency rollback carries none and reads nothing.
//! - Reports are made from what was applied.
//! - The clock is read in `commands` and handed down.

mod cli;
mod cluster;
mod commands;
mod error;
mod judge;
mod observe;
mod output;
mod phase_file;
mod program;
mod prometheus;
mod rollout;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(output::crashed));
    commands::run(cli::Cli::parse()).into()
}
