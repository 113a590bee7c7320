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
                entry.fault(
                    *place,
                    format!("phases require each other: {}", names.join(" -> ")),
                    "the circle begins here",
                )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase_file::{PhaseFile, parse_header, parse_phase};

    /// Phases as (number, name, phases that it requires).
    fn order(phases: &[(u64, &str, &[&str])]) -> Result<Vec<String>, String> {
        let header = parse_header("rollout.yaml", include_str!("../../phases/rollout.yaml")).unwrap();
        let entries = phases.iter().map(|(number, name, requires)| {
            let requires: Vec<_> =
                requires.iter().map(|phase| format!("  - {{phase: {phase}, complete_for: 0s}}\n")).collect();
            let requires =
                if requires.is_empty() { String::new() } else { format!("requires:\n{}", requires.concat()) };
            let text = format!(
                "apiVersion: cbctl.dev/v1\nkind: Phase\nname: {name}\ntitle: t\nflags: {{}}\n{requires}\
                 steps: [{{expose: full, bake: 0s}}]\n"
            );
            let file_name = format!("{number}-{name}.yaml");
            let file = PhaseFile { number: *number, name: (*name).to_owned(), file_name: file_name.clone() };
            parse_phase(&file, file_name, text, &header).unwrap()
        });
        let shown = |error: Error| format!("{error}\n{}", error.snippet().unwrap());
        let entries = in_order(entries.collect()).map_err(shown)?;
        Ok(entries.iter().map(|entry| entry.name().to_string()).collect())
    }

    #[test]
    fn the_number_gives_the_order() {
        let phases = order(&[(100, "c", &["a", "b"]), (9, "a", &[]), (20, "b", &["a"])]);
        assert_eq!(phases, Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (phases, expected) in [
            (
                &[(10, "a", &[][..]), (10, "b", &[])][..],
                "10-b.yaml:3:7: number 10 is that of \"10-a.yaml\" too\n\
                 \x20 |\n3 | name: b\n\x20 |       ^ the number gives the order",
            ),
            (
                &[(10, "a", &[]), (20, "a", &[])],
                "20-a.yaml:3:7: phase `a` is in \"10-a.yaml\" too\n\
                 \x20 |\n3 | name: a\n\x20 |       ^ one name, one phase",
            ),
            (
                &[(10, "shadow", &[]), (20, "cache", &["shadwo"])],
                "20-cache.yaml:7:13: unknown phase `shadwo`\n\
                 \x20 |\n7 |   - {phase: shadwo, complete_for: 0s}\n\x20 |             ^^^^^^ did you mean `shadow`?",
            ),
            (
                &[(10, "a", &["b"]), (20, "b", &[])],
                "10-a.yaml:7:13: phase `a` requires `b`, which comes after it\n\
                 \x20 |\n7 |   - {phase: b, complete_for: 0s}\n\x20 |             ^ only phases before it",
            ),
            (
                &[(10, "a", &["a"])],
                "10-a.yaml:7:13: phases require each other: a -> a\n\
                 \x20 |\n7 |   - {phase: a, complete_for: 0s}\n\x20 |             ^ the circle begins here",
            ),
            (
                &[(10, "a", &["c"]), (20, "b", &["a"]), (30, "c", &["a", "b"])],
                "10-a.yaml:7:13: phases require each other: a -> c -> a\n\
                 \x20 |\n7 |   - {phase: c, complete_for: 0s}\n\x20 |             ^ the circle begins here",
            ),
        ] {
            assert_eq!(order(phases), Err(expected.to_owned()));
        }
    }
}
