//! One list of backends: which of them share, what they weigh, and what becomes of the weights.

use serde_json::{Map, Value};

use super::Fault;
use super::backends::{Kind, Services};
use super::division::{Division, Fraction, Pair, divide};
use super::record::{RecordedOther, RecordedPair, RecordedPool, Written, fingerprint};

const WEIGHT: &str = "weight";

/// A list of backends that leads to the stable Service.
pub(super) struct Pool {
    /// Place of its entry.
    pub at: usize,
    /// Fingerprint of what it is recognised by.
    pub of: String,
    backends: Vec<Backend>,
    pub pairs: Vec<Place>,
    /// To be put in right behind the backends of these places.
    added: Vec<(usize, Backend)>,
}

#[derive(Clone)]
struct Backend {
    value: Value,
    weight: u64,
    /// As it is, or is to be, written.
    written: Written,
    /// No longer wanted.
    gone: bool,
}

/// Where a stable backend is, and the canary that shares with it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    stable: usize,
    canary: Option<usize>,
}

impl Pool {
    /// What goes to stable and canary together.
    pub(super) fn total(&self) -> u64 {
        self.pairs.iter().map(|pair| self.weight(pair.stable)).sum::<u64>() + self.canary()
    }

    pub(super) fn canary(&self) -> u64 {
        self.pairs.iter().filter_map(|pair| pair.canary).map(|canary| self.weight(canary)).sum()
    }

    fn weight(&self, at: usize) -> u64 {
        self.backends[at].weight
    }

    /// Places of the backends that are neither stable nor canary.
    fn others(&self) -> impl Iterator<Item = usize> {
        let paired = |at: &usize| self.pairs.iter().any(|pair| pair.stable == *at || pair.canary == Some(*at));
        (0..self.backends.len()).filter(move |at| !paired(at))
    }

    pub(super) fn record(&self) -> RecordedPool {
        let written = |at: usize| self.backends[at].written;
        let pair = |pair: &Place| RecordedPair { stable: written(pair.stable), canary: pair.canary.map(written) };
        let other = |at: usize| RecordedOther { is: self.backends[at].identity(), written: written(at) };
        RecordedPool {
            at: self.at,
            of: self.of.clone(),
            pairs: self.pairs.iter().map(pair).collect(),
            others: self.others().map(other).collect(),
        }
    }

    /// The weights at which every pair has its share; None where there are none.
    pub(super) fn divide<K: Kind>(&self, wanted: &[Fraction]) -> Option<Division> {
        let pair = |(pair, wanted): (&Place, &Fraction)| {
            let canary = pair.canary.map_or(0, |canary| self.weight(canary));
            Pair { total: self.weight(pair.stable) + canary, canary, wanted: *wanted }
        };
        let pairs: Vec<Pair> = self.pairs.iter().zip(wanted).map(pair).collect();
        let others: Vec<u64> = self.others().map(|at| self.weight(at)).collect();
        divide(&pairs, &others, K::TOLERANCE)
    }

    pub(super) fn take<K: Kind>(&mut self, division: &Division, services: Services) {
        for at in self.others().collect::<Vec<_>>() {
            let weight = self.weight(at);
            self.backends[at].set(weight * division.factor);
        }
        for (pair, (stable, canary)) in self.pairs.clone().iter().zip(&division.pairs) {
            self.backends[pair.stable].set(*stable);
            match pair.canary {
                Some(at) => self.backends[at].set(*canary),
                None => self.add::<K>(pair.stable, *canary, services),
            }
        }
    }

    /// Adds a canary to a stable backend, if it is to have a weight.
    fn add<K: Kind>(&mut self, stable: usize, weight: u64, services: Services) {
        if weight > 0 {
            let mut canary = self.backends[stable].clone();
            K::lead_to(&mut canary.value, services.canary, services.namespace);
            canary.weight = weight;
            canary.written = Written { weight: Some(weight) };
            self.added.push((stable, canary));
        }
    }

    /// Whether nobody has added, removed or changed what is neither stable nor canary since the canary was given its part,
    /// or it makes no difference to the weights.
    pub(super) fn is_as_left(&self, recorded: &RecordedPool, implied: fn(usize) -> u64) -> bool {
        if self.pairs.len() != recorded.pairs.len() {
            return false;
        }
        let before = recorded_total(recorded, implied);
        let (now, others) = (self.total(), self.others().collect::<Vec<_>>());
        let same = |(at, other): (&usize, &RecordedOther)| {
            let weight = other.written.weight.unwrap_or_else(|| implied(recorded.backends()));
            other.is == self.backends[*at].identity()
                && u128::from(self.weight(*at)) * u128::from(before) == u128::from(weight) * u128::from(now)
        };
        others.is_empty()
            || before == now
            || before == 0
            || (others.len() == recorded.others.len() && others.iter().zip(&recorded.others).all(same))
    }

    pub(super) fn restore<K: Kind>(&mut self, recorded: &RecordedPool, services: Services) {
        let implied = K::implied(recorded.backends());
        let others: Vec<usize> = self.others().collect();
        if self.total() != recorded_total(recorded, K::implied) && recorded_total(recorded, K::implied) > 0 {
            for (at, other) in others.into_iter().zip(&recorded.others) {
                self.backends[at].put(other.written, implied);
            }
        }
        for (pair, recorded) in self.pairs.clone().iter().zip(&recorded.pairs) {
            self.backends[pair.stable].put(recorded.stable, implied);
            match (recorded.canary, pair.canary) {
                (Some(canary), Some(at)) => self.backends[at].put(canary, implied),
                (Some(canary), None) => self.add::<K>(pair.stable, canary.weight.unwrap_or(implied), services),
                (None, Some(at)) => self.backends[at].gone = true,
                (None, None) => {}
            }
        }
    }

    /// Divides what goes to stable and canary now as it was divided then.
    pub(super) fn share_as<K: Kind>(&mut self, recorded: &RecordedPool, services: Services) {
        let implied = K::implied(recorded.backends());
        let share = |pairs: &[RecordedPair]| {
            let canary =
                pairs.iter().filter_map(|pair| pair.canary).map(|canary| canary.weight.unwrap_or(implied)).sum();
            let stable: u64 = pairs.iter().map(|pair| pair.stable.weight.unwrap_or(implied)).sum();
            Fraction { part: canary, of: (stable + canary).max(1) }
        };
        let wanted: Vec<Fraction> = if self.pairs.len() == recorded.pairs.len() {
            recorded.pairs.iter().map(|pair| share(std::slice::from_ref(pair))).collect()
        } else {
            vec![share(&recorded.pairs); self.pairs.len()]
        };
        match self.divide::<K>(&wanted) {
            Some(division) if recorded.had_canary() => self.take::<K>(&division, services),
            _ => self.without_canary(),
        }
    }

    /// The stable backends get what the canary had.
    pub(super) fn without_canary(&mut self) {
        for pair in self.pairs.clone() {
            let Some(canary) = pair.canary else { continue };
            let total = self.weight(pair.stable) + self.weight(canary);
            self.backends[pair.stable].set(total);
            self.backends[canary].gone = true;
        }
    }

    /// The backends as they are to be.
    pub(super) fn written<K: Kind>(self) -> Vec<Value> {
        let mut left = Vec::new();
        let mut added = self.added;
        for (at, backend) in self.backends.into_iter().enumerate() {
            left.extend((!backend.gone).then_some(backend));
            left.extend(added.extract_if(.., |(behind, _)| *behind == at).map(|(_, backend)| backend));
        }
        let implied = K::implied(left.len());
        left.into_iter().map(|backend| backend.written(implied)).collect()
    }
}

impl Backend {
    fn set(&mut self, weight: u64) {
        self.weight = weight;
        self.written = Written { weight: self.written.weight.map(|_| weight) };
    }

    fn put(&mut self, written: Written, implied: u64) {
        self.weight = written.weight.unwrap_or(implied);
        self.written = written;
    }

    /// Fingerprint of everything but its weight.
    fn identity(&self) -> String {
        fingerprint(&without_weight(&self.value))
    }

    /// With its weight, unless none is wanted and none is needed.
    fn written(self, implied: u64) -> Value {
        let mut value = self.value;
        let Some(fields) = value.as_object_mut() else { return value };
        if self.written.weight.is_none() && self.weight == implied {
            fields.remove(WEIGHT);
        } else {
            fields.insert(WEIGHT.to_owned(), Value::from(self.weight));
        }
        value
    }
}

fn recorded_total(recorded: &RecordedPool, implied: fn(usize) -> u64) -> u64 {
    let weight = |written: Written| written.weight.unwrap_or_else(|| implied(recorded.backends()));
    recorded.pairs.iter().map(|pair| weight(pair.stable) + pair.canary.map_or(0, weight)).sum()
}

fn without_weight(backend: &Value) -> Value {
    let mut backend = backend.clone();
    if let Some(fields) = backend.as_object_mut() {
        fields.remove(WEIGHT);
    }
    backend
}

pub(super) fn pool<K: Kind>(
    at: usize,
    entry: &Value,
    backends: &Value,
    path: &str,
    services: Services,
) -> Result<Option<Pool>, Fault> {
    let values = entries(backends, path)?;
    let places = |service| -> Vec<usize> {
        (0..values.len()).filter(|at| K::leads_to(&values[*at], service, services.namespace)).collect()
    };
    let (stable, canary) = (places(services.stable), places(services.canary));
    if stable.is_empty() {
        return Ok(None);
    }
    let pairs = pairs::<K>(values, &stable, &canary, services).ok_or_else(|| {
        Fault::Unreadable(format!("{path} leads to \"{}\" in more ways than to its stable Service", services.canary))
    })?;
    let backend = |(at, value): (usize, &Value)| {
        let written = written(value, &format!("{path}[{at}]"))?;
        let weight = written.weight.unwrap_or_else(|| K::implied(values.len()));
        Ok(Backend { value: value.clone(), weight, written, gone: false })
    };
    let told_by: Map<String, Value> =
        K::TOLD_BY.iter().map(|field| ((*field).to_owned(), entry[*field].clone())).collect();
    let backends = values.iter().enumerate().map(backend).collect::<Result<_, Fault>>()?;
    Ok(Some(Pool { at, of: fingerprint(&Value::from(told_by)), backends, pairs, added: Vec::new() }))
}

/// To every stable backend its canary: the only one, or the one that differs in nothing but the Service. None where a
/// canary is left over.
fn pairs<K: Kind>(values: &[Value], stable: &[usize], canary: &[usize], services: Services) -> Option<Vec<Place>> {
    if let ([stable], [canary]) = (stable, canary) {
        return Some(vec![Place { stable: *stable, canary: Some(*canary) }]);
    }
    let mut left = canary.to_vec();
    let pairs = stable.iter().map(|stable| {
        let mut copy = without_weight(&values[*stable]);
        K::lead_to(&mut copy, services.canary, services.namespace);
        let found = left.iter().position(|at| without_weight(&values[*at]) == copy);
        Place { stable: *stable, canary: found.map(|found| left.remove(found)) }
    });
    let pairs = pairs.collect();
    left.is_empty().then_some(pairs)
}

/// A list; nothing at all is an empty one.
pub(super) fn entries<'a>(list: &'a Value, path: &str) -> Result<&'a [Value], Fault> {
    if list.is_null() {
        return Ok(&[]);
    }
    list.as_array().map(Vec::as_slice).ok_or_else(|| Fault::Unreadable(format!("{path} is not a list")))
}

fn written(backend: &Value, path: &str) -> Result<Written, Fault> {
    let weight = &backend[WEIGHT];
    if weight.is_null() {
        return Ok(Written { weight: None });
    }
    let number = weight.as_u64().filter(|weight| i32::try_from(*weight).is_ok());
    let number = number.ok_or_else(|| Fault::Unreadable(format!("{path}.{WEIGHT} is {weight}, which is no weight")))?;
    Ok(Written { weight: Some(number) })
}
