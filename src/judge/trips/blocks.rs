//! When a breaker stopped being closed, from what was seen of it in blocks of time.
//!
//! In a block it is known whether the breaker was seen closed, and whether it was seen in another state, but not in
//! which order. A trip is the step from closed to another state. What a block allows, by the state at its two ends:
//!
//! | seen    | from closed                | from another state                                    |
//! |---------|----------------------------|-------------------------------------------------------|
//! | nothing | stays                      | stays                                                 |
//! | closed  | ends closed                | ends closed                                           |
//! | another | ends there: one trip       | ends there                                            |
//! | both    | one trip, whatever its end | ends closed: perhaps none; ends elsewhere: one trip   |
//!
//! Counted is the path through all blocks with the fewest trips: that many there were at least. A breaker whose fewest
//! is none, but which may have tripped all the same, is told as unclear: no trip at all is never said of one that
//! tripped. It does not know breakers, pods or times.

/// The states of a breaker in one block, or those that it may be in at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub closed: bool,
    /// In any state but closed.
    pub other: bool,
}

impl Seen {
    pub const CLOSED: Self = Self { closed: true, other: false };

    pub fn anything(self) -> bool {
        self.closed || self.other
    }

    fn has(self, state: State) -> bool {
        match state {
            State::Closed => self.closed,
            State::Other => self.other,
        }
    }
}

/// What a walk through the blocks found, as indices of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    /// Blocks with a trip, in order; there were at least so many, and where one may have been in either of two blocks
    /// it is in the earlier one.
    pub trips: Vec<usize>,
    /// Without a certain trip: the first block in which there may have been one.
    pub unclear: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Other,
}

const STATES: [State; 2] = [State::Closed, State::Other];

/// The best path to one state at the end of a block.
#[derive(Clone, Copy)]
struct Arrival {
    trips: usize,
    /// Sum of the blocks' indices: of two paths with as many trips the earlier ones count.
    late: usize,
    from: State,
    tripped: bool,
}

/// Finds the trips from block `first` on; the blocks before it only tell the state in which that one begins. `begin`
/// holds the states that the breaker may have been in before all blocks.
pub fn walk(begin: Seen, blocks: &[Seen], first: usize) -> Walk {
    let arrivals = arrivals(begin, blocks, first);
    let last = arrivals.last().copied().unwrap_or_default();
    let Some(mut state) = STATES
        .into_iter()
        .filter(|state| last[*state as usize].is_some())
        .min_by_key(|state| last[*state as usize].map(|arrival| (arrival.trips, arrival.late)))
    else {
        return Walk::default();
    };
    let mut trips = Vec::new();
    for (index, arrival) in arrivals.iter().enumerate().rev() {
        let Some(arrival) = arrival[state as usize] else { break };
        if arrival.tripped && index >= first {
            trips.push(index);
        }
        state = arrival.from;
    }
    trips.reverse();
    let possible = |index: &usize| {
        let before = match index.checked_sub(1) {
            None => begin,
            Some(before) => Seen { closed: arrivals[before][0].is_some(), other: arrivals[before][1].is_some() },
        };
        blocks[*index].other && (blocks[*index].closed || before.closed)
    };
    let unclear = if trips.is_empty() { (first..blocks.len()).find(possible) } else { None };
    Walk { trips, unclear }
}

/// For each block the best path to each state at its end, where there is one.
fn arrivals(begin: Seen, blocks: &[Seen], first: usize) -> Vec<[Option<Arrival>; 2]> {
    let mut reached = STATES.map(|state| begin.has(state).then_some((0, 0)));
    let mut all = Vec::with_capacity(blocks.len());
    for (index, seen) in blocks.iter().enumerate() {
        let arrival = |end: State| {
            let ways = STATES.into_iter().filter_map(|start| {
                let (trips, late) = reached[start as usize]?;
                let tripped = tripped(start, end, *seen)?;
                let counts = tripped && index >= first;
                let (trips, late) = if counts { (trips + 1, late + index) } else { (trips, late) };
                Some(Arrival { trips, late, from: start, tripped })
            });
            ways.min_by_key(|arrival| (arrival.trips, arrival.late))
        };
        let arrived = STATES.map(arrival);
        reached = arrived.map(|arrival| arrival.map(|arrival| (arrival.trips, arrival.late)));
        all.push(arrived);
    }
    all
}

/// Whether a block that was begun and ended in these states has a trip at least; None where it cannot be.
fn tripped(start: State, end: State, seen: Seen) -> Option<bool> {
    match (seen.closed, seen.other) {
        (false, false) => (start == end).then_some(false),
        (true, false) => (end == State::Closed).then_some(false),
        (false, true) => (end == State::Other).then_some(start == State::Closed),
        (true, true) => Some(start == State::Closed || end == State::Other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Seen = Seen { closed: false, other: false };
    const OTHER: Seen = Seen { closed: false, other: true };
    const BOTH: Seen = Seen { closed: true, other: true };

    fn certain(begin: Seen, blocks: &[Seen]) -> Vec<usize> {
        walk(begin, blocks, 0).trips
    }

    #[test]
    fn a_trip_is_in_the_block_that_shows_it() {
        let closed = Seen::CLOSED;
        assert_eq!(certain(closed, &[closed, OTHER, OTHER, closed]), [1]);
        assert_eq!(certain(closed, &[closed, BOTH, OTHER, BOTH, closed]), [1], "the last one recovers");
        assert_eq!(certain(closed, &[BOTH, closed, BOTH]), [0, 2]);
        assert_eq!(certain(closed, &[NOTHING, NOTHING, OTHER]), [2], "closed was the last that is known");
        assert_eq!(certain(OTHER, &[OTHER, BOTH, OTHER]), [1], "here or at the next one's beginning");
        assert_eq!(certain(OTHER, &[OTHER, closed, OTHER]), [2]);
    }

    #[test]
    fn what_cannot_be_told_is_unclear() {
        assert_eq!(walk(OTHER, &[OTHER, OTHER], 0), Walk::default());
        assert_eq!(walk(OTHER, &[OTHER, BOTH, Seen::CLOSED], 0), Walk { trips: vec![], unclear: Some(1) });
        assert_eq!(walk(BOTH, &[OTHER], 0), Walk { trips: vec![], unclear: Some(0) });
        assert_eq!(walk(BOTH, &[BOTH, OTHER], 1), Walk { trips: vec![], unclear: Some(1) });
    }

    #[test]
    fn what_was_before_the_window_does_not_count() {
        assert_eq!(walk(Seen::CLOSED, &[OTHER, OTHER], 1), Walk::default());
        assert_eq!(walk(Seen::CLOSED, &[OTHER, Seen::CLOSED, OTHER], 1).trips, [2]);
    }

    proptest! {
        /// A breaker second by second, cut into blocks of any length; the window begins with block `first`.
        #[test]
        fn trips_are_neither_invented_nor_overlooked(
            path in proptest::collection::vec(0..10_u8, 1..400),
            lengths in proptest::collection::vec(1..40_usize, 400),
            flip in 1..9_u8,
            begun in any::<bool>(),
            first in 0..4_usize,
        ) {
            // A state lasts a few seconds, so that whole blocks of it happen as well.
            let mut closed = begun;
            let states: Vec<bool> = path.iter().map(|draw| { closed ^= *draw < flip; closed }).collect();
            let mut blocks = Vec::new();
            let mut ends = Vec::new();
            let mut at = 0;
            for length in lengths {
                let inside = &states[at..(at + length).min(states.len())];
                if inside.is_empty() {
                    break;
                }
                at += inside.len();
                ends.push(at);
                blocks.push(Seen { closed: inside.contains(&true), other: inside.contains(&false) });
            }
            let window = if first == 0 { 0 } else { ends.get(first - 1).copied().unwrap_or(states.len()) };
            let before = |second: usize| if second == 0 { begun } else { states[second - 1] };
            let tripped = |second: &usize| before(*second) && !states[*second];
            let truth = (window..states.len()).filter(tripped).count();

            let found = walk(Seen { closed: begun, other: !begun }, &blocks, first);
            prop_assert!(found.trips.len() <= truth);
            let none_is_said = found.trips.is_empty() && found.unclear.is_none();
            prop_assert!(!none_is_said || truth == 0, "{found:?} of {truth}");
            if first == 0 && begun {
                prop_assert_eq!(none_is_said, truth == 0, "nothing is unclear then");
            }
            for block in &found.trips {
                prop_assert!(*block >= first && blocks[*block].other);
            }
        }
    }
}
