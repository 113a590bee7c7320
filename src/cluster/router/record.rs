//! What is recorded of weights so that they can be put back: by places, and by what a place is recognised by when others
//! have come before it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::template::fingerprint_of;
use super::Fault;
use crate::rollout::router::Weights;

/// Backends that the traffic is divided between, as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedPool {
    /// Its place among all entries of the list.
    pub at: usize,
    /// Fingerprint of what its entry is recognised by.
    pub of: String,
    pub pairs: Vec<RecordedPair>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<RecordedOther>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedPair {
    pub stable: Written,
    /// None where there was no such backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Written>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedOther {
    /// Fingerprint of the backend without its weight.
    pub is: String,
    #[serde(flatten)]
    pub written: Written,
}

/// What a backend says of its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
}

impl RecordedPool {
    /// How many backends it had.
    pub(super) fn backends(&self) -> usize {
        let of_pair = |pair: &RecordedPair| 1 + usize::from(pair.canary.is_some());
        self.pairs.iter().map(of_pair).sum::<usize>() + self.others.len()
    }

    pub(super) fn had_canary(&self) -> bool {
        self.pairs.iter().any(|pair| pair.canary.is_some())
    }
}

pub(super) fn to_weights<T: Serialize>(record: &T) -> Result<Weights, Fault> {
    serde_json::to_string(record).map(Weights).map_err(|error| Fault::Unreadable(error.to_string()))
}

pub(super) fn from_weights<'a, T: Deserialize<'a>>(weights: &'a Weights) -> Result<T, Fault> {
    let unreadable = |error| Fault::Unreadable(format!("the recorded weights cannot be read: {error}"));
    serde_json::from_str(&weights.0).map_err(unreadable)
}

pub(super) fn fingerprint(value: &Value) -> String {
    fingerprint_of(value.to_string().as_bytes())
}

/// Whether a pool (place and fingerprint) is one that was recorded.
type Rule<'a> = &'a dyn Fn(&(usize, String), &RecordedPool) -> bool;

/// For each of these pools (place and fingerprint) the record of it: by what it is recognised by, in order where as many
/// are alike as before, and then by its place.
pub(super) fn matching<'a>(record: &'a [RecordedPool], pools: &[(usize, String)]) -> Vec<Option<&'a RecordedPool>> {
    let mut found: Vec<Option<&RecordedPool>> = vec![None; pools.len()];
    let mut left: Vec<&RecordedPool> = record.iter().collect();
    let alike = |of: &str| {
        let before = record.iter().filter(|recorded| recorded.of == of).count();
        before == pools.iter().filter(|pool| pool.1 == of).count()
    };
    let rules: [Rule; 4] = [
        &|pool, recorded| pool.1 == recorded.of && alike(&pool.1),
        &|pool, recorded| pool.1 == recorded.of && pool.0 == recorded.at,
        &|pool, recorded| pool.1 == recorded.of,
        &|pool, recorded| pool.0 == recorded.at,
    ];
    for rule in rules {
        left.retain(|recorded| {
            let place = (0..pools.len()).find(|place| found[*place].is_none() && rule(&pools[*place], recorded));
            if let Some(place) = place {
                found[place] = Some(recorded);
            }
            place.is_none()
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_found_where_they_have_gone() {
        let recorded = |at, of: &str| RecordedPool { at, of: of.into(), pairs: Vec::new(), others: Vec::new() };
        for (record, pools, expected) in [
            (vec![recorded(0, "a"), recorded(1, "b")], vec![(0, "a"), (1, "b")], vec![Some(0), Some(1)]),
            // One has come before them.
            (
                vec![recorded(0, "a"), recorded(1, "b")],
                vec![(0, "new"), (1, "a"), (2, "b")],
                vec![None, Some(0), Some(1)],
            ),
            // Two are alike: their order tells them apart, or where one has come or gone their places.
            (vec![recorded(0, "a"), recorded(1, "a")], vec![(1, "a"), (2, "a")], vec![Some(0), Some(1)]),
            (vec![recorded(0, "a"), recorded(1, "a")], vec![(1, "a")], vec![Some(1)]),
            // What it is recognised by has changed.
            (vec![recorded(1, "a")], vec![(1, "other")], vec![Some(1)]),
            (vec![recorded(1, "a")], vec![(0, "other")], vec![None]),
        ] {
            let pools: Vec<(usize, String)> = pools.into_iter().map(|(at, of)| (at, of.to_owned())).collect();
            let found: Vec<Option<usize>> =
                matching(&record, &pools).into_iter().map(|found| found.map(|recorded| recorded.at)).collect();
            assert_eq!(found, expected, "{pools:?}");
        }
    }
}
