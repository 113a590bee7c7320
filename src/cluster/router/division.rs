//! Whole weights that come out at a share: the arithmetic of it.
//!
//! What goes to stable and canary together keeps its proportion to what goes elsewhere, exactly. It knows no objects.

/// Weights up to this are taken by every kind of router.
const LARGEST: u64 = 1_000_000;
/// Totals that people read easily, the smallest first.
const PLAIN_TOTALS: [u64; 3] = [100, 1_000, 10_000];
/// A percentage is told in hundredths.
pub(super) const WHOLE: u64 = 10_000;

/// What goes to one stable backend and its canary together, and how it is to be divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub total: u64,
    /// The canary's weight as it is.
    pub canary: u64,
    pub wanted: Fraction,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    pub part: u64,
    pub of: u64,
}

/// How it is divided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// Of stable and canary.
    pub pairs: Vec<(u64, u64)>,
    /// What every other weight is to be multiplied by.
    pub factor: u64,
}

impl Fraction {
    /// The percentage in units of so many hundredths of a percent; never nothing or everything unless it is just that.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and 10,000"
    )]
    pub(super) fn of_percent(percent: f64, unit: u64) -> Self {
        let hundredths = (percent.clamp(0.0, 100.0) * 100.0).min(10_000.0);
        let units = WHOLE / unit;
        let nearest = (hundredths * units as f64 / WHOLE as f64).round() as u64;
        let inside = percent > 0.0 && percent < 100.0;
        Self { part: if inside { nearest.clamp(1, units - 1) } else { nearest } * unit, of: WHOLE }
    }

    fn is_inside(self) -> bool {
        0 < self.part && self.part < self.of
    }
}

/// Divides every pair as it is wanted; `others` are the weights beside them. Where a sum of weights should rather stay as
/// it is, `tolerance` (in hundredths of a percent) is how far a share may be off for that.
///
/// None where a pair has so little beside the others that no weights come out.
pub(super) fn divide(pairs: &[Pair], others: &[u64], tolerance: u64) -> Option<Division> {
    let exact = pairs.iter().all(|pair| product(pair.canary, pair.wanted.of) == product(pair.wanted.part, pair.total));
    if exact {
        let pairs = pairs.iter().map(|pair| (pair.total - pair.canary, pair.canary)).collect();
        return Some(Division { pairs, factor: 1 });
    }
    if let [pair] = pairs
        && others.iter().all(|weight| *weight == 0)
        && let Some(total) = PLAIN_TOTALS.into_iter().find(|total| missing_factor(*total, pair.wanted) == 1)
    {
        return Some(Division { pairs: vec![halves(total, pair.wanted)], factor: 1 });
    }
    let at_factor = |factor: u64| Division {
        pairs: pairs.iter().map(|pair| halves(pair.total * factor, pair.wanted)).collect(),
        factor,
    };
    let near = |(pair, halves): (&Pair, &(u64, u64))| {
        let off = product(halves.1, pair.wanted.of).abs_diff(product(pair.wanted.part, pair.total));
        off * u128::from(WHOLE) <= product(pair.total, pair.wanted.of) * u128::from(tolerance)
    };
    let as_it_is = at_factor(1);
    if tolerance > 0 && pairs.iter().zip(&as_it_is.pairs).all(near) {
        return Some(as_it_is);
    }
    let largest = pairs.iter().map(|pair| pair.total).chain(others.iter().copied()).max().unwrap_or(1).max(1);
    let most = (LARGEST / largest).max(1);
    let mut factor: u64 = 1;
    for pair in pairs {
        let missing = missing_factor(pair.total, pair.wanted);
        factor = factor.saturating_mul(missing / greatest_common_divisor(factor.into(), missing.into()));
    }
    let division = at_factor(factor.min(most));
    let divided = |(pair, halves): (&Pair, &(u64, u64))| {
        pair.total == 0 || !pair.wanted.is_inside() || (halves.0 > 0 && halves.1 > 0)
    };
    pairs.iter().zip(&division.pairs).all(divided).then_some(division)
}

/// The total as stable and canary weights, as near as whole numbers come; neither is nothing if both are to have some.
fn halves(total: u64, wanted: Fraction) -> (u64, u64) {
    let (numerator, of) = (product(total, wanted.part), u128::from(wanted.of));
    let nearest = u64::try_from((numerator * 2 + of) / (of * 2)).unwrap_or(total);
    let canary = if wanted.is_inside() && total > 1 { nearest.clamp(1, total - 1) } else { nearest.min(total) };
    (total - canary, canary)
}

/// The smallest number to multiply the total by so that the share of it is whole.
fn missing_factor(total: u64, wanted: Fraction) -> u64 {
    wanted.of / greatest_common_divisor(product(total, wanted.part), wanted.of.into())
}

fn product(one: u64, other: u64) -> u128 {
    u128::from(one) * u128::from(other)
}

fn greatest_common_divisor(one: u128, other: u128) -> u64 {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    u64::try_from(one).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(stable: u64, canary: u64, others: &[u64], percent: f64, unit: u64) -> Option<(u64, u64, u64)> {
        let pair = Pair { total: stable + canary, canary, wanted: Fraction::of_percent(percent, unit) };
        let division = divide(&[pair], others, if unit == 1 { 0 } else { unit / 2 - 1 })?;
        Some((division.pairs[0].0, division.pairs[0].1, division.factor))
    }

    #[test]
    fn a_percentage_is_neither_nothing_nor_everything_by_rounding() {
        for (percent, unit, part) in [
            (0.0, 1, 0),
            (0.001, 1, 1),
            (0.25, 1, 25),
            (12.35, 1, 1235),
            (99.999, 1, 9999),
            (100.0, 1, 10_000),
            (0.3, 100, 100),
            (12.5, 100, 1300),
            (12.4, 100, 1200),
            (99.7, 100, 9900),
            (-1.0, 100, 0),
            (101.0, 1, 10_000),
        ] {
            assert_eq!(Fraction::of_percent(percent, unit).part, part, "{percent} by {unit}");
        }
    }

    #[test]
    fn shares_of_whole_weights() {
        for (stable, canary, others, percent, unit, expected) in [
            // Alone: a total that is easy to read.
            (1, 0, &[][..], 10.0, 1, Some((90, 10, 1))),
            (1, 0, &[], 12.5, 1, Some((875, 125, 1))),
            (1, 0, &[], 0.25, 1, Some((9975, 25, 1))),
            (100, 0, &[0], 25.0, 100, Some((75, 25, 1))),
            // It has its share: nothing changes.
            (9, 1, &[], 10.0, 1, Some((9, 1, 1))),
            (7, 0, &[], 0.0, 1, Some((7, 0, 1))),
            // Beside others, which stay if they can.
            (90, 0, &[10], 10.0, 1, Some((81, 9, 1))),
            (1, 0, &[1], 10.0, 1, Some((9, 1, 10))),
            (1, 0, &[1], 0.01, 1, Some((9999, 1, 10_000))),
            (1, 1, &[2], 100.0, 1, Some((0, 2, 1))),
            // A sum of a hundred stays if the share is near enough.
            (99, 0, &[1], 10.0, 100, Some((89, 10, 1))),
            (70, 0, &[30], 25.0, 100, Some((105, 35, 2))),
            (1, 0, &[99], 10.0, 100, Some((9, 1, 10))),
            // Weights end somewhere.
            (3, 0, &[400_000], 0.01, 1, Some((5, 1, 2))),
            (1, 0, &[600_000], 10.0, 1, None),
        ] {
            let found = divided(stable, canary, others, percent, unit);
            assert_eq!(found, expected, "{stable} {canary} {others:?} at {percent} by {unit}");
        }
    }

    #[test]
    fn several_pairs_by_one_factor() {
        let wanted = Fraction::of_percent(25.0, 1);
        let pair = |total| Pair { total, canary: 0, wanted };
        let division = divide(&[pair(90), pair(10)], &[], 0).unwrap();
        assert_eq!(division, Division { pairs: vec![(135, 45), (15, 5)], factor: 2 });
    }
}
