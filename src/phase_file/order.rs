//! What has to fit between phases: names, numbers, and who requires whom.
//!
//! It does not know what a phase does.

use super::error::{Error, Fault, Place};
use super::nearest::nearest;
use super::phase::Placed;
use crate::rollout::name::PhaseName;

/// A phase with the file that it is from.
pub struct Entry {
    pub number: u64,
    /// The file's path, for messages.
    pub file: String,
    pub text: String,
    pub placed: Placed,
}

impl Entry {
    fn name(&self) -> &PhaseName {
        &self.placed.phase.name
    }

    fn fault(&self, place: Place, message: String, label: &str) -> Error {
        Fault::new(place, message).label(label).within(&self.file, &self.text)
    }
}

/// Sorts the phases by number and checks that each can be entered once those before it are complete.
pub fn in_order(mut entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
    entries.sort_by(|a, b| (a.number, &a.file).cmp(&(b.number, &b.file)));
    for (index, entry) in entries.iter().enumerate() {
        let before = &entries[..index];
        if let Some(twin) = before.iter().find(|other| other.number == entry.number) {
            let message = format!("number {} is that of \"{}\" too", entry.number, twin.file);
            return Err(entry.fault(entry.placed.name, message, "the number gives the order"));
        }
        if let Some(twin) = before.iter().find(|other| other.name() == entry.name()) {
            let message = format!("phase `{}` is in \"{}\" too", entry.name(), twin.file);
            return Err(entry.fault(entry.placed.name, message, "one name, one phase"));
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        for (required, place) in &entry.placed.required {
            let Some(position) = entries.iter().position(|other| other.name() == required) else {
                let names = entries.iter().map(|other| other.name().as_str());
                let fault = Fault::new(*place, format!("unknown phase `{required}`"));
                return Err(fault.did_you_mean(nearest(required.as_str(), names)).within(&entry.file, &entry.text));
            };
            if position < index {
                continue;
            }
            let mut circle = vec![index];
            return Err(if closes(&entries, position, index, &mut circle) {
                let names: Vec<_> = circle.iter().map(|phase| entries[*phase].name().as_str()).collect();
                entry.fault(*place, format!("phases require each other: {}", names.join(" -> ")), "the circle begins here")
            } else {
                let message = format!("phase `{}` requires `{required}`, which comes after it", entry.name());
                entry.fault(*place, message, "only phases before it")
            });
        }
    }
    Ok(entries)
}

/// Whether requirements lead from `from` to `to`; `circle` gets the phases on the way, both included.
fn closes(entries: &[Entry], from: usize, to: usize, circle: &mut Vec<usize>) -> bool {
    if from != to && circle.contains(&from) {
        return false;
    }
    circle.push(from);
    let required = entries[from].placed.required.iter();
    let mut next = required.filter_map(|(name, _)| entries.iter().position(|other| other.name() == name));
    if from == to || next.any(|next| closes(entries, next, to, circle)) {
        return true;
    }
    circle.pop();
    false
}
