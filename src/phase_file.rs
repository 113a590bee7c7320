//! The files of a rollout: text in, checked types out, and errors that point at the very word.
//!
//! It owns the file format and reads a folder. It does not know the cluster, Prometheus or how far a rollout is; what
//! it returns can be acted upon without looking at the files again.

mod asked;
mod breakers;
mod check;
mod condition;
mod condition_mapping;
mod condition_query;
mod error;
mod fields;
mod flags;
mod folders;
mod freeze;
mod gate;
mod indicator;
mod nearest;
mod never_for;
mod node;
mod options;
mod order;
mod phase;
mod promql;
mod promql_lint;
pub mod promql_parts;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod reading_condition_tests;
#[cfg(test)]
mod reading_target_tests;
#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod refusal_baseline_tests;
#[cfg(test)]
mod refusal_breaker_tests;
#[cfg(test)]
mod refusal_check_tests;
#[cfg(test)]
mod refusal_condition_tests;
#[cfg(test)]
mod refusal_mapping_tests;
#[cfg(test)]
mod refusal_option_tests;
#[cfg(test)]
mod refusal_phase_tests;
#[cfg(test)]
mod refusal_rollout_tests;
#[cfg(test)]
mod refusal_source_tests;
#[cfg(test)]
mod refusal_target_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod refusal_traffic_tests;
mod relation;
mod rollout_file;
mod steps;
#[cfg(test)]
mod strategy_tests;
mod target;
mod traffic;
mod unit;

use std::fs;
use std::path::Path;

use ring::digest::{SHA256, digest};

pub use self::error::Error;
use self::error::clean;
pub use self::folders::find as find_rollouts;
pub use self::nearest::nearest;
use self::order::Entry;
use crate::rollout::declaration::{Header, Rollout};
use crate::rollout::name::PhaseName;

const ROLLOUT_FILE: &str = "rollout.yaml";

/// Reads `rollout.yaml` and every phase file of a folder.
pub fn load(directory: &Path) -> Result<Rollout, Error> {
    let phase_files = list(directory)?;
    let header = load_header(directory)?;
    let mut entries = Vec::new();
    for file in phase_files {
        let (path, text) = read(&directory.join(&file.file_name))?;
        entries.push(parse_phase(&file, path, text, &header)?);
    }
    if entries.is_empty() {
        return Err(Error::FindPhases { folder: shown(directory) });
    }
    let phases = order::in_order(entries)?.into_iter().map(|entry| entry.placed.phase).collect();
    Ok(Rollout { header, phases })
}

/// Reads `rollout.yaml` alone: in an emergency, phase files may be broken or missing.
pub fn load_header(directory: &Path) -> Result<Header, Error> {
    let (path, text) = read(&directory.join(ROLLOUT_FILE))?;
    parse_header(&path, &text)
}

fn parse_header(path: &str, text: &str) -> Result<Header, Error> {
    let header = node::parse(text).and_then(|document| rollout_file::header(&document));
    header.map_err(|fault| fault.within(path, text))
}

fn parse_phase(file: &PhaseFile, path: String, text: String, header: &Header) -> Result<Entry, Error> {
    let placed = node::parse(&text).and_then(|document| phase::phase(&document, &file.name, header));
    match placed {
        Ok(mut placed) => {
            placed.phase.content = fingerprint(&text);
            Ok(Entry { number: file.number, file: path, text, placed })
        }
        Err(fault) => Err(fault.within(&path, &text)),
    }
}

/// What a text is told by: enough hexadecimal digits that no other one has them by chance.
fn fingerprint(text: &str) -> String {
    const LENGTH: usize = 16;
    let mut hex: String = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(LENGTH);
    hex
}

/// A file named like one of a phase.
struct PhaseFile {
    number: u64,
    name: String,
    file_name: String,
}

/// The phase files of a folder. A YAML file with any other name is refused: a phase must not be skipped for a slip.
fn list(directory: &Path) -> Result<Vec<PhaseFile>, Error> {
    let failed = |source| Error::ListFolder { folder: shown(directory), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let file_name = entry.map_err(failed)?.file_name();
        let lossy = file_name.to_string_lossy();
        let is_yaml = [".yaml", ".yml"].iter().any(|ending| lossy.to_lowercase().ends_with(ending));
        if !is_yaml || lossy.starts_with('.') || lossy == ROLLOUT_FILE {
            continue;
        }
        let file = file_name.to_str().and_then(phase_file);
        files.push(file.ok_or_else(|| Error::NamePhaseFile { file: shown(&directory.join(&file_name)) })?);
    }
    // The order in which a folder is listed is chance; that of errors must not be.
    files.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    Ok(files)
}

/// Takes `20-cache.yaml` apart.
fn phase_file(file_name: &str) -> Option<PhaseFile> {
    let (number, name) = file_name.strip_suffix(".yaml")?.split_once('-')?;
    let all_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = all_digits.then(|| number.parse().ok())??;
    name.parse::<PhaseName>().ok()?;
    Some(PhaseFile { number, name: name.to_owned(), file_name: file_name.to_owned() })
}

/// A file's path for messages, and its text.
fn read(path: &Path) -> Result<(String, String), Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::ReadFile { file: shown(path), source })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((shown(path), text))
}

fn shown(path: &Path) -> String {
    clean(&path.display().to_string())
}
