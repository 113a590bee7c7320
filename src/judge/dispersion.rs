//! How much more events vary than independent ones would: errors that come in bursts make a test on counts too bold.
//!
//! It does not know what is counted.

use super::evidence::{Bursts, as_float};
use super::samples::Series;

/// Below this many blocks with requests, or events in them, the variance says nothing.
const ENOUGH: usize = 10;
/// Events before the change with which bursts are known; with fewer, what came since has to show them as well.
const MANY: f64 = 50.0;
/// Blocks of six hours before the change; with fewer, bursts are known even less well.
const LONG: usize = 120;

/// Blocks since the change with which bursts show; in fewer, an outage looks like one.
const MANY_SINCE: usize = 30;
/// Bursts that are only seen since the change are taken for no longer than this: an outage comes all at once as well.
const LONGEST: f64 = 10.0;

/// Requests and events of one block.
type Block = (f64, f64);

/// The bursts in which events came before the change, as these cumulative counters of requests and events show it; None
/// where they were too few to tell.
pub fn bursts(requests: &[Series], events: &[Series]) -> Option<Bursts> {
    let blocks = blocks(requests, events);
    let many = blocks.iter().map(|(_, events)| events).sum::<f64>() >= MANY && blocks.len() >= ENOUGH;
    many.then(|| Bursts::of_dispersion(of(&blocks)))
}

/// The bursts in which events came since, from neighbouring blocks: a change of the share, which is what is looked for,
/// is only one of the differences.
pub fn bursts_since(blocks: impl Iterator<Item = (u64, u64)>) -> Bursts {
    let blocks: Vec<Block> = blocks.filter(|(n, _)| *n > 0).map(|(n, s)| (as_float(n), as_float(s))).collect();
    let Some(share) = share(&blocks).filter(|_| blocks.len() >= MANY_SINCE) else { return Bursts::NONE };
    let residual = |(n, s): &Block| s - share * n;
    let differences: f64 = blocks.windows(2).map(|pair| (residual(&pair[1]) - residual(&pair[0])).powi(2)).sum();
    let expected: f64 = blocks.iter().map(|(n, _)| share * (1.0 - share) * n).sum();
    Bursts::of_mean(Bursts::of_dispersion(differences / (2.0 * expected)).mean().min(LONGEST))
}

/// The variance of the events of a block over what it would be if they were independent, and one standard error more,
/// because a few bursts are not known well; two where the time was short; at least 1.
///
/// The squared residuals of all blocks together over their expectation, so that requests may come and go with the time
/// of day.
fn of(blocks: &[Block]) -> f64 {
    let Some(share) = share(blocks) else { return 1.0 };
    let count = as_float(blocks.len() as u64);
    let square = |(n, s): &Block| (s - share * n).powi(2);
    let expected = |(n, _): &Block| share * (1.0 - share) * n;
    let sum = |of: &dyn Fn(&Block) -> f64| blocks.iter().map(of).sum::<f64>();
    let dispersion = sum(&square) / sum(&expected) * count / (count - 1.0);
    let mean = sum(&|block| square(block) / expected(block)) / count;
    let variance = sum(&|block| (square(block) / expected(block) - mean).powi(2)) / (count - 1.0);
    let errors = if blocks.len() < LONG { 2.0 } else { 1.0 };
    (dispersion + errors * (variance / count).sqrt()).max(1.0)
}

/// The share of events in all blocks; None where it is nothing or everything, or stands on too little.
fn share(blocks: &[Block]) -> Option<f64> {
    let (all, bad) = blocks.iter().fold((0.0, 0.0), |(all, bad), (n, s)| (all + n, bad + s));
    (blocks.len() >= ENOUGH && bad >= as_float(ENOUGH as u64) && bad < all).then(|| bad / all)
}

/// Requests and events between neighbouring moments, where both counters were read and neither fell: when a pod goes,
/// what it counted goes from the sum.
fn blocks(requests: &[Series], events: &[Series]) -> Vec<Block> {
    let ([requests], [events]) = (requests, events) else { return Vec::new() };
    let mut events = events.points.iter().peekable();
    let mut read = Vec::new();
    for point in &requests.points {
        while events.next_if(|event| event.at < point.at).is_some() {}
        read.extend(events.next_if(|event| event.at == point.at).map(|event| (point.value, event.value)));
    }
    let added = read.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
    added.filter(|(n, s)| *n > 0.0 && *s >= 0.0 && s <= n).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::judge::samples::Point;

    fn cumulative(added: impl Iterator<Item = f64>) -> Series {
        let mut total = 0.0;
        let mut points = vec![Point { at: Timestamp::UNIX_EPOCH, value: 0.0 }];
        for (second, added) in (1..).zip(added) {
            total += added;
            points.push(Point { at: Timestamp::from_second(second).unwrap(), value: total });
        }
        Series { pod: String::new(), part: String::new(), points }
    }

    #[test]
    fn events_in_lumps_are_dispersed_and_even_ones_are_not() {
        let requests = [cumulative(std::iter::repeat_n(100.0, 120))];
        let mean = |events: Vec<f64>| bursts(&requests, &[cumulative(events.into_iter())]).map(Bursts::mean);
        assert!(mean(vec![1.0; 120]).unwrap() < 1.01);
        let lumps: Vec<f64> = (0..120).map(|block| if block % 10 == 0 { 10.0 } else { 0.0 }).collect();
        assert!(mean(lumps).unwrap() > 4.5);
        let since = |blocks: &[(u64, u64)]| bursts_since(blocks.iter().copied()).mean();
        let lumps: Vec<(u64, u64)> = (0..120).map(|block| (100, if block % 10 == 0 { 10 } else { 0 })).collect();
        assert!(since(&lumps) > 4.5);
        let a_step: Vec<(u64, u64)> = (0..120).map(|block| (100, if block < 60 { 0 } else { 10 })).collect();
        assert!(since(&a_step) < 1.3, "{}", since(&a_step));
    }

    #[test]
    fn few_events_say_nothing() {
        let requests = [cumulative(std::iter::repeat_n(100.0, 120))];
        let few = [cumulative((0..120).map(|block| if block == 5 { 9.0 } else { 0.0 }))];
        assert_eq!(bursts(&requests, &few), None);
        assert_eq!(bursts(&[], &few), None);
        assert_eq!(bursts_since([(100, 9); 2].into_iter()), Bursts::NONE);
    }
}
