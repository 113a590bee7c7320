//! What a check was made on: which pods, since when, and how long a confidence has to last.

use jiff::Timestamp;
use serde::Serialize;

use super::words::{duration, percent, plural, since, some};
use crate::judge::condition::{Condition, Role};
use crate::judge::samples::{Look, Scope};
use crate::judge::verdict::seconds;

/// The judged pods as programs read them.
#[derive(Debug, Clone, Serialize)]
pub struct ScopeReport {
    /// Unknown of a past time: whoever delivered samples then.
    pods: Option<Vec<String>>,
    /// The stable pods beside a canary, which triggers watch too.
    #[serde(skip_serializing_if = "Option::is_none")]
    stable_pods: Option<Vec<String>>,
    /// Samples from before do not count.
    since: Option<Timestamp>,
    /// For how long all triggers of the rollout are armed together: their confidence is for all of that time.
    #[serde(serialize_with = "seconds")]
    trigger_time: std::time::Duration,
    #[serde(skip)]
    at: Timestamp,
    #[serde(skip)]
    confidence: Option<f64>,
}

impl ScopeReport {
    pub fn of<'a>(look: &Look, conditions: impl Iterator<Item = &'a Condition>) -> Self {
        let names = |scope: &Scope| -> Option<Vec<String>> {
            scope.pods.as_ref().map(|pods| pods.iter().map(|pod| pod.name.clone()).collect())
        };
        let scope = &look.judged.scope;
        let triggers = conditions.filter(|condition| condition.role == Role::Trigger && condition.fires_by_chance());
        Self {
            pods: names(scope),
            stable_pods: look.stable.as_ref().and_then(|stable| names(&stable.scope)),
            since: scope.since,
            trigger_time: scope.horizon,
            at: scope.now,
            confidence: triggers.map(|trigger| trigger.confidence).min_by(f64::total_cmp),
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let pods = match (&self.pods, &self.stable_pods) {
            (None, _) => "the pods of that time".to_owned(),
            (Some(pods), None) => listed(pods, "pod"),
            (Some(canary), Some(stable)) => {
                format!("{} beside {}", listed(canary, "canary pod"), listed(stable, "stable pod"))
            }
        };
        let begun =
            self.since.map(|begun| format!(", since the change {} ago", since(begun, self.at))).unwrap_or_default();
        let mut lines = vec![format!("judged: {pods}{begun}")];
        lines.extend(self.confidence.map(|confidence| {
            format!(
                "a healthy service is rolled back with {} probability at most in the {} that triggers are armed",
                percent(1.0 - confidence),
                duration(self.trigger_time)
            )
        }));
        lines
    }
}

fn listed(names: &[String], noun: &str) -> String {
    match names.len() {
        0 => format!("no {noun}"),
        count => format!("{} ({})", plural(count as u64, noun), some(names)),
    }
}
