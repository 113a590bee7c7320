//! The buckets of a histogram that does not always show all of them.
//!
//! A native histogram leaves out its empty buckets, so that its bounds differ from pod to pod, and before and after a
//! restart. What is missing is known all the same wherever nothing lies between the bounds around it. A bound that
//! stays unknown at any time is dropped: without it the limit lies between wider bounds, but with a part of it every
//! later request would look slow.
//!
//! It does not know which bound will be asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::judge::samples::{Point, Series};

/// The same series, with every bound that any pod has, at every time at which that pod counted at all.
pub fn complete(series: Vec<Series>) -> Vec<Series> {
    let mut bounds: Vec<(f64, &str)> = Vec::new();
    let mut pods: BTreeMap<&str, BTreeMap<Timestamp, Vec<Option<f64>>>> = BTreeMap::new();
    for Series { part, .. } in &series {
        match part.parse::<f64>() {
            Ok(bound) if !bound.is_nan() => bounds.push((bound, part)),
            // Whoever judges says what is wrong with it.
            _ => return series,
        }
    }
    bounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    bounds.dedup_by(|(a, _), (b, _)| a.total_cmp(b).is_eq());
    for Series { pod, part, points } in &series {
        let Ok(index) = part.parse::<f64>().map(|bound| bounds.partition_point(|(other, _)| *other < bound)) else {
            continue;
        };
        let counts = pods.entry(pod).or_default();
        for Point { at, value } in points {
            counts.entry(*at).or_insert_with(|| vec![None; bounds.len()])[index] = Some(*value);
        }
    }
    if pods.values().flat_map(BTreeMap::values).flatten().all(Option::is_some) {
        return series;
    }
    pods.values_mut().flat_map(BTreeMap::values_mut).for_each(|counts| fill(counts));
    let mut completed = Vec::new();
    for (pod, counts) in &pods {
        for (index, (_, part)) in bounds.iter().enumerate() {
            let point = |(at, counts): (&Timestamp, &Vec<Option<f64>>)| Some(Point { at: *at, value: counts[index]? });
            if let Some(points) = counts.iter().map(point).collect() {
                completed.push(Series { pod: (*pod).to_owned(), part: (*part).to_owned(), points });
            }
        }
    }
    completed
}

/// Puts in what is certain: between two bounds with the same cumulative count nothing was counted.
fn fill(counts: &mut [Option<f64>]) {
    let mut above = None;
    let mut next: Vec<Option<f64>> = vec![None; counts.len()];
    for (index, count) in counts.iter().enumerate().rev() {
        above = count.or(above);
        next[index] = above;
    }
    let mut below = None;
    for (count, above) in counts.iter_mut().zip(next) {
        *count = count.or(below.filter(|_| below == above));
        below = count.or(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(pod: &str, part: &str, values: &[(i64, f64)]) -> Series {
        let points = values
            .iter()
            .map(|(at, value)| Point { at: Timestamp::from_second(*at).unwrap(), value: *value })
            .collect();
        Series { pod: pod.into(), part: part.into(), points }
    }

    #[test]
    fn a_bound_that_a_pod_does_not_show_is_known_where_nothing_lies_around_it() {
        let a = [series("a", "0.1", &[(1, 5.0)]), series("a", "0.8", &[(1, 5.0)]), series("a", "+Inf", &[(1, 7.0)])];
        let b = [series("b", "0.1", &[(1, 0.0)]), series("b", "0.4", &[(1, 2.0)]), series("b", "0.8", &[(1, 3.0)])];
        let inf = series("b", "+Inf", &[(1, 3.0)]);
        let expected = [&a[..1], &[series("a", "0.4", &[(1, 5.0)])], &a[1..], &b, std::slice::from_ref(&inf)].concat();
        assert_eq!(complete([&a[..], &b, &[inf]].concat()), expected);
    }

    #[test]
    fn a_bound_that_a_restarted_pod_does_not_show_any_more_goes_on_or_is_dropped() {
        let pod = |last: f64| {
            vec![
                series("a", "+Inf", &[(1, 9.0), (2, 3.0)]),
                series("a", "0.1", &[(1, 4.0), (2, 3.0)]),
                series("a", "0.4", &[(1, 6.0)]),
                series("a", "0.8", &[(1, 9.0), (2, last)]),
            ]
        };
        let of = |last: f64| -> Vec<(String, usize)> {
            complete(pod(last)).into_iter().map(|series| (series.part, series.points.len())).collect()
        };
        let all = |parts: &[&str]| parts.iter().map(|part| ((*part).to_owned(), 2)).collect::<Vec<_>>();
        assert_eq!(of(3.0), all(&["0.1", "0.4", "0.8", "+Inf"]));
        assert_eq!(of(5.0), all(&["0.1", "0.8", "+Inf"]), "of the two requests in between nobody knows");
    }

    #[test]
    fn what_is_complete_or_cannot_be_read_stays_as_it_is() {
        let whole = vec![series("a", "+Inf", &[(1, 9.0)]), series("a", "0.1", &[(1, 4.0)])];
        assert_eq!(complete(whole.clone()), whole);
        let strange = vec![series("a", "+Inf", &[(1, 9.0)]), series("a", "fast", &[(1, 4.0)])];
        assert_eq!(complete(strange.clone()), strange);
    }
}
