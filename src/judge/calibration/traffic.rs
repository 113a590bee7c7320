//! Simulated traffic: requests and errors by block of time, the same for the same seed.
//!
//! It does not know what they are judged by.

/// `SplitMix64`: ten lines that are the same on every machine and in every version of everything.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly from 0 to below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// Trials up to and with the first success.
    pub fn geometric(&mut self, success: f64) -> u64 {
        1 + ((1.0 - self.unit()).ln() / (1.0 - success).ln()).floor() as u64
    }
}

/// A distribution over counts, drawn from by inversion: its sums are worked out once.
#[derive(Clone)]
pub struct Table(Vec<f64>);

impl Table {
    pub fn poisson(mean: f64) -> Self {
        let mut chance = (-mean).exp();
        Self::summed((1..).map(|count| {
            let this = chance;
            chance *= mean / f64::from(count);
            this
        }))
    }

    pub fn binomial(trials: u32, share: f64) -> Self {
        let mut chance = (1.0 - share).powi(trials as i32);
        Self::summed((0..=trials).map(|count| {
            let this = chance;
            chance *= f64::from(trials - count) / f64::from(count + 1) * share / (1.0 - share);
            this
        }))
    }

    fn summed(chances: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let mut sums = Vec::new();
        for chance in chances {
            sum += chance;
            sums.push(sum);
            // What is left is less than any draw can tell.
            if sum > 1.0 - 1e-13 {
                break;
            }
        }
        Self(sums)
    }

    pub fn draw(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        self.0.partition_point(|sum| *sum <= unit) as u64
    }
}

/// What one block of time counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    pub requests: u64,
    pub errors: u64,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
    }
}

impl std::iter::Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(counted: I) -> Self {
        counted.fold(Self::default(), |mut sum, counted| {
            sum += counted;
            sum
        })
    }
}

/// Poisson requests at a rate, of which a share are errors.
#[derive(Clone, Copy)]
pub struct Traffic {
    pub per_second: f64,
    pub share: f64,
    /// Errors come in geometric bursts of this mean, at one moment each; 1 for errors that know nothing of each other.
    pub burst: f64,
    /// The rate follows the time of day, between a tenth of its peak and all of it.
    pub daily: bool,
}

impl Traffic {
    pub fn steady(per_second: f64, share: f64) -> Self {
        Self { per_second, share, burst: 1.0, daily: false }
    }

    pub fn bursty(per_second: f64, share: f64, burst: f64) -> Self {
        Self { burst, ..Self::steady(per_second, share) }
    }

    /// What this variance of errors over their mean is.
    pub fn dispersion(self) -> f64 {
        2.0 * self.burst - 1.0
    }

    pub fn in_blocks(self, seconds: u32) -> Source {
        let hours = if self.daily { 24 } else { 1 };
        let tables = (0..hours).map(|hour| {
            let daily = 1.0 - 0.818 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).cos();
            let requests = self.per_second * f64::from(seconds) * if self.daily { daily } else { 1.0 };
            (Table::poisson(requests * (1.0 - self.share)), Table::poisson(requests * self.share / self.burst))
        });
        Source { traffic: self, tables: tables.collect(), blocks_an_hour: 3_600 / seconds as usize }
    }
}

/// Traffic in blocks of one length.
pub struct Source {
    traffic: Traffic,
    /// Good requests, and bursts of errors, by hour of the day.
    tables: Vec<(Table, Table)>,
    blocks_an_hour: usize,
}

impl Source {
    /// The block of this number since midnight.
    pub fn block(&self, number: usize, random: &mut Random) -> Counted {
        let (good, bursts) = &self.tables[number / self.blocks_an_hour % self.tables.len()];
        let bursts = bursts.draw(random);
        let errors = if self.traffic.burst > 1.0 {
            (0..bursts).map(|_| random.geometric(1.0 / self.traffic.burst)).sum()
        } else {
            bursts
        };
        Counted { requests: good.draw(random) + errors, errors }
    }

    pub fn blocks(&self, numbers: std::ops::Range<usize>, random: &mut Random) -> Vec<Counted> {
        numbers.map(|number| self.block(number, random)).collect()
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_simulated_traffic_is_what_it_says() {
    let mut random = Random::new(1);
    for traffic in [Traffic::steady(1.0, 0.01), Traffic::bursty(1.0, 0.01, 4.0)] {
        let blocks = traffic.in_blocks(60).blocks(0..100_000, &mut random);
        let sum: Counted = blocks.iter().copied().sum();
        let share = sum.errors as f64 / sum.requests as f64;
        assert!((share / 0.01 - 1.0).abs() < 0.03, "{share}");
        let mean = sum.errors as f64 / blocks.len() as f64;
        let squares: f64 = blocks.iter().map(|block| (block.errors as f64 - mean).powi(2)).sum();
        let dispersion = squares / blocks.len() as f64 / mean;
        assert!((dispersion / traffic.dispersion() - 1.0).abs() < 0.05, "{dispersion}");
    }
    let drawn: u64 = (0..10_000).map(|_| Table::binomial(60, 0.1).draw(&mut random)).sum();
    assert!((drawn as f64 / 60_000.0 - 1.0).abs() < 0.02, "{drawn}");
}
