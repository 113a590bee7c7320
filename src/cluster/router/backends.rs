//! Lists of backends with weights: what goes to the stable Service is shared with the canary's, everything else stays.
//!
//! What a kind of object calls it all is said by a [`Kind`]. An entry of the object that does not lead to the stable
//! Service is not looked at.

use serde_json::{Map, Value};

use super::Fault;
use super::division::Fraction;
use super::pool::{Pool, entries, pool};
use super::record::{RecordedPool, from_weights, matching, to_weights};
use crate::rollout::router::Weights;

/// How a kind of object lists its backends.
pub(super) trait Kind {
    /// The way to the list that a patch replaces as a whole: a merge patch can do no less.
    const LIST: &'static [&'static str];
    /// The field of an entry that holds its backends; None where the entries are the backends.
    const BACKENDS: Option<&'static str>;
    /// Fields that tell an entry from others.
    const TOLD_BY: &'static [&'static str];
    /// The smallest part that it gives, in hundredths of a percent.
    const UNIT: u64;
    /// How far a part may be off so that a sum of weights can stay as it is, in hundredths of a percent.
    const TOLERANCE: u64;

    /// Whether the traffic of this backend goes to a Service.
    fn leads_to(backend: &Value, service: &str, namespace: &str) -> bool;
    /// Has it go to that Service instead.
    fn lead_to(backend: &mut Value, service: &str, namespace: &str);
    /// The weight of a backend that has none, in a list of so many.
    fn implied(backends: usize) -> u64;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Services<'a> {
    pub stable: &'a str,
    pub canary: &'a str,
    pub namespace: &'a str,
}

/// The canary's part in percent, and the weights. Where entries differ, it is the mean of them: nobody knows what traffic
/// each of them has.
#[expect(clippy::cast_precision_loss, reason = "weights are far below 2^52")]
pub(super) fn read<K: Kind>(object: &Value, services: Services) -> Result<(f64, Weights), Fault> {
    let pools = pools::<K>(object, services)?;
    let share = |pool: &Pool| 100.0 * pool.canary() as f64 / pool.total() as f64;
    let shares: Vec<f64> = pools.iter().filter(|pool| pool.total() > 0).map(share).collect();
    let Some(first) = shares.first() else {
        return Err(Fault::NoBackend { service: services.stable.to_owned() });
    };
    // The mean of equal numbers may be another one.
    let percent = match shares.iter().all(|share| share.total_cmp(first).is_eq()) {
        true => *first,
        false => shares.iter().sum::<f64>() / shares.len() as f64,
    };
    let record: Vec<RecordedPool> = pools.iter().map(Pool::record).collect();
    Ok((percent, to_weights(&record)?))
}

/// The merge patch that gives the canary its percentage in every pool; None where it has it.
pub(super) fn give<K: Kind>(object: &Value, services: Services, percent: f64) -> Result<Option<Value>, Fault> {
    let mut pools = pools::<K>(object, services)?;
    if pools.iter().all(|pool| pool.total() == 0) {
        return Err(Fault::NoBackend { service: services.stable.to_owned() });
    }
    let wanted = Fraction::of_percent(percent, K::UNIT);
    for pool in &mut pools {
        let division = pool.divide::<K>(&vec![wanted; pool.pairs.len()]).ok_or_else(|| {
            let total = pool.total();
            Fault::Unreadable(format!(
                "in {}[{}] a weight of {total} for {} is too little beside the others to be divided",
                K::LIST.join("."),
                pool.at,
                services.stable,
            ))
        })?;
        pool.take::<K>(&division, services);
    }
    Ok(patch::<K>(object, pools))
}

/// The merge patch that puts recorded weights back; None where they are there.
pub(super) fn restore<K: Kind>(object: &Value, services: Services, weights: &Weights) -> Result<Option<Value>, Fault> {
    let record: Vec<RecordedPool> = from_weights(weights)?;
    let had_canary = record.iter().any(RecordedPool::had_canary);
    let mut pools = pools::<K>(object, services)?;
    let places: Vec<(usize, String)> = pools.iter().map(|pool| (pool.at, pool.of.clone())).collect();
    for (pool, recorded) in pools.iter_mut().zip(matching(&record, &places)) {
        match recorded {
            Some(recorded) if pool.is_as_left(recorded, K::implied) => pool.restore::<K>(recorded, services),
            Some(recorded) => pool.share_as::<K>(recorded, services),
            // It has come since, and shared with a canary that will go.
            None if !had_canary => pool.without_canary(),
            None => {}
        }
    }
    Ok(patch::<K>(object, pools))
}

/// Every list of backends of the object that leads to the stable Service.
fn pools<K: Kind>(object: &Value, services: Services) -> Result<Vec<Pool>, Fault> {
    let mut list = object;
    for field in K::LIST {
        list = &list[*field];
    }
    let path = K::LIST.join(".");
    let mut pools = Vec::new();
    let Some(backends_field) = K::BACKENDS else {
        pools.extend(pool::<K>(0, &Value::Null, list, &path, services)?);
        return Ok(pools);
    };
    for (at, entry) in entries(list, &path)?.iter().enumerate() {
        let path = format!("{path}[{at}].{backends_field}");
        pools.extend(pool::<K>(at, entry, &entry[backends_field], &path, services)?);
    }
    Ok(pools)
}

/// The whole list with these pools in it, as a merge patch; None where nothing changes.
fn patch<K: Kind>(object: &Value, pools: Vec<Pool>) -> Option<Value> {
    let pointer: String = K::LIST.iter().flat_map(|field| ["/", *field]).collect();
    let before = object.pointer(&pointer)?;
    let mut after = before.clone();
    for pool in pools {
        let at = pool.at;
        let backends = Value::from(pool.written::<K>());
        match K::BACKENDS {
            Some(field) => after[at][field] = backends,
            None => after = backends,
        }
    }
    let nested = |inner: Value, field: &&str| Value::from(Map::from_iter([((*field).to_owned(), inner)]));
    (after != *before).then(|| K::LIST.iter().rev().fold(after, nested))
}
