//! What the judge does in the long run, measured on simulated traffic with fixed seeds: how soon it finds what is bad,
//! and how often it is wrong about what is good, beside plain rules.
//!
//! It does not know Prometheus: the samples are made up, block by block.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "the numbers of a simulation are small")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers of a simulation are small")]

mod bad_data;
mod evidence_figures;
mod false_alarms;
mod history;
mod peers;
mod properties;
mod rules;
mod traffic;
mod watch;
