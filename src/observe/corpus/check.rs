//! Every kind of condition on every row, in a world without a canary and in one with.

use super::kinds::VERSUS;
use super::rows_of_bodies;
use super::server::{Reply, Store, replies};
use super::table::{Change, Expected, Row};
use super::world::{Decoded, World};
use super::{rows_of_counts, rows_of_scrapes, rows_of_series, rows_of_times, rows_of_values};
use crate::judge::condition::{Metric, Role};
use crate::judge::judge;
use crate::judge::samples::{Group, Look};
use crate::judge::verdict::{Gap, Judgement};

#[test]
fn on_sound_answers_every_kind_is_good() {
    for world in [World::plain(), World::canary()] {
        let look = Good::of(&world).look;
        for (kind, condition) in &world.conditions {
            let judgement = judge(condition, &look);
            let without_canary = VERSUS.contains(kind) && world.stable.is_none();
            let said_so = without_canary && matches!(judgement, Judgement::Inconclusive(Gap::NoBaseline, _));
            assert!(said_so || is_good(condition.role, &judgement), "{kind:?}: {judgement:?}");
        }
    }
}

#[test]
fn bodies_that_are_no_answers() {
    check(&rows_of_bodies::rows());
}

#[test]
fn values_that_are_no_numbers() {
    check(&rows_of_values::rows());
}

#[test]
fn series_that_nobody_asked_for() {
    check(&rows_of_series::rows());
}

#[test]
fn times_that_do_not_fit() {
    check(&rows_of_times::rows());
}

#[test]
fn scrapes_that_did_not_happen() {
    check(&rows_of_scrapes::rows());
}

#[test]
fn counts_that_cannot_be() {
    check(&rows_of_counts::rows());
}

#[test]
fn the_table_is_as_long_as_it_says() {
    let mut names: Vec<String> = all_rows().into_iter().map(|row| row.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two rows have one name");
    assert!(all >= 60, "{all}");
}

fn all_rows() -> Vec<Row> {
    [
        rows_of_bodies::rows(),
        rows_of_values::rows(),
        rows_of_series::rows(),
        rows_of_times::rows(),
        rows_of_scrapes::rows(),
        rows_of_counts::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_good(role: Role, judgement: &Judgement) -> bool {
    match role {
        Role::Gate => matches!(judgement, Judgement::Met(_)),
        Role::Trigger => matches!(judgement, Judgement::Unmet(_)),
    }
}

fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for world in [World::plain(), World::canary()] {
        let good = Good::of(&world);
        for row in rows {
            check_row(row, &world, &good, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check_row(row: &Row, world: &World, good: &Good, wrong: &mut Vec<String>) {
    let look = good.spoilt(row, world);
    let place = if world.stable.is_none() { "plain" } else { "canary" };
    let mut touched = row.may_change_nothing();
    for (kind, condition) in &world.conditions {
        if is_same(&condition.needs(), &look, &good.look) {
            continue;
        }
        touched = true;
        let judgement = judge(condition, &look);
        let is_good = is_good(condition.role, &judgement);
        let was_good = self::is_good(condition.role, &judge(condition, &good.look));
        let reason = match &judgement {
            Judgement::Inconclusive(gap, _) | Judgement::Missing(gap) => format!("{gap:?}"),
            Judgement::Error(fault) => format!("{fault:?}"),
            Judgement::Met(_) | Judgement::Unmet(_) => String::new(),
        };
        let expected = row.expected(*kind);
        let right = match expected {
            // Without a canary there is nothing to compare, whatever the answers are.
            _ if !was_good => VERSUS.contains(kind) && !is_good,
            None => false,
            Some(Expected::Reason(expected)) => names(&reason, expected),
            Some(Expected::Harmless(_)) => is_good,
            Some(Expected::Bad(_)) => !is_good && reason.is_empty(),
        };
        if !right {
            let told = format!("{judgement:?}");
            wrong.push(format!("{} | {place} {kind:?} | {told:.150} | not {expected:?}", row.name));
        }
    }
    if !touched {
        wrong.push(format!("{} | {place} | changes nothing for any kind", row.name));
    }
}

/// Whether the reason is one of those expected, which are told by their beginnings.
fn names(reason: &str, expected: &str) -> bool {
    !reason.is_empty() && expected.split('|').any(|expected| reason.starts_with(expected))
}

/// Whether nothing that a condition looks at has changed.
fn is_same(needs: &[Metric], one: &Look, other: &Look) -> bool {
    let same = |one: &Group, other: &Group| {
        one.scope == other.scope && needs.iter().all(|metric| one.samples.get(metric) == other.samples.get(metric))
    };
    same(&one.judged, &other.judged) && one.stable.iter().zip(&other.stable).all(|(one, other)| same(one, other))
}

/// Sound answers, in all their forms.
struct Good {
    replies: Vec<Reply>,
    bodies: Vec<Vec<u8>>,
    decoded: Vec<Decoded>,
    look: Look,
}

impl Good {
    fn of(world: &World) -> Self {
        let replies = world.good_replies();
        let bodies: Vec<Vec<u8>> = replies.iter().map(Reply::body).collect();
        let decoded: Vec<Decoded> =
            world.plan.queries.iter().zip(&bodies).map(|(query, body)| world.decode(query, body)).collect();
        let look = world.look_at(decoded.clone());
        Self { replies, bodies, decoded, look }
    }

    fn spoilt(&self, row: &Row, world: &World) -> Look {
        let victim = world.victim();
        match &row.change {
            Change::Bytes(change) => world.look(&self.bodies.iter().cloned().map(change).collect::<Vec<_>>()),
            Change::Json(change) => {
                let spoil = |reply: &Reply| {
                    let mut answer = reply.json();
                    change(&mut answer);
                    answer.to_string().into_bytes()
                };
                world.look(&self.replies.iter().map(spoil).collect::<Vec<_>>())
            }
            Change::Lines(change) => {
                let spoil = |reply: &Reply| Reply {
                    lines: reply.lines.iter().flat_map(|line| change(line.clone(), &victim)).collect(),
                    query: reply.query.clone(),
                };
                self.answered(world, self.replies.iter().map(spoil))
            }
            Change::Scrapes { kept, lookback } => {
                let store = Store { kept: &|scrape| kept(scrape, &victim), lookback: *lookback };
                self.answered(world, replies(world, &store).into_iter())
            }
            Change::Scope(change) => {
                let mut look = self.look.clone();
                change(&mut look.judged.scope);
                if let Some(stable) = &mut look.stable {
                    change(&mut stable.scope);
                }
                look
            }
        }
    }

    /// What has not changed is not read again.
    fn answered(&self, world: &World, replies: impl Iterator<Item = Reply>) -> Look {
        let decode = |(index, reply): (usize, Reply)| {
            if reply.lines == self.replies[index].lines {
                self.decoded[index].clone()
            } else {
                world.decode(&reply.query, &reply.body())
            }
        };
        world.look_at(replies.enumerate().map(decode).collect())
    }
}
