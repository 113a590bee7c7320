//! The answer of `why`: one operation, and on which evidence it was decided.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::condition::{FIGURES, HEADERS};
use super::history::{ended, journey, moment, verb};
use super::obstacle::{value_of, value_text};
use super::words::since;
use super::{Report, SCHEMA, table};
use crate::rollout::history::page::Link;

#[derive(Debug, Clone, Serialize)]
pub struct WhyReport {
    schema: u8,
    kind: &'static str,
    rollout: String,
    namespace: String,
    #[serde(flatten)]
    link: Link,
    #[serde(skip)]
    now: Timestamp,
}

impl WhyReport {
    pub fn of(rollout: &str, namespace: &str, link: Link, now: Timestamp) -> Self {
        let (rollout, namespace) = (rollout.to_owned(), namespace.to_owned());
        Self { schema: SCHEMA, kind: "why", rollout, namespace, link, now }
    }
}

impl Report for WhyReport {
    fn lines(&self) -> Vec<String> {
        let Link { number, entry, .. } = &self.link;
        let mut lines = vec![
            format!("#{number} {}: {}", verb(entry.action), journey(entry)),
            format!(
                "{}, by {}, {} ({} ago)",
                ended(entry.result, entry.took_seconds),
                entry.by,
                moment(entry.at),
                since(entry.at, self.now)
            ),
        ];
        lines.extend(entry.reason.as_ref().map(|reason| format!("reason: {reason}")));
        let changes = entry.changes.iter().map(|change| {
            vec![format!("  {}", change.flag), format!("{} -> {}", value_of(&change.before), value_text(&change.after))]
        });
        lines.extend(table::lines(&[], &[], changes));
        let mut rows = entry.evidence.iter().filter_map(evidence).peekable();
        if rows.peek().is_some() {
            lines.extend(table::lines(&HEADERS, &FIGURES, rows));
        }
        if let Some(bytes) = entry.evidence.first().and_then(|first| first["left_out_bytes"].as_u64()) {
            lines.push(format!("its evidence was too long to keep: {bytes} bytes"));
        }
        if !entry.operation.is_empty() {
            lines.push(format!("operation {}", entry.operation));
        }
        if !entry.version.is_empty() {
            lines.push(format!("written by cbctl {}", entry.version));
        }
        lines
    }
}

/// The row of a condition as it was shown when it was judged.
fn evidence(condition: &Value) -> Option<Vec<String>> {
    let cells = condition.get("row")?.as_array()?;
    Some(cells.iter().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect())
}
