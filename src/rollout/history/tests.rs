//! What is found when somebody touches a history, and what is told of an operation that could not tell it itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::entry::{Action, Ending, Entry};
use super::page::{self, Division, Link, Page};
use super::verify::{Anchor, Fault, verify};
use super::*;
use crate::rollout::gradual::{Fewer, announcing};
use crate::rollout::position::Place;
use crate::rollout::template::Undone;
use crate::rollout::tests::{all_off, at, operation, promoted, switch_off};

fn entry(operation: &str, second: i64) -> Entry {
    Entry {
        operation: operation.into(),
        at: at(second),
        by: "alice".into(),
        action: Action::Promote,
        from: None,
        to: Some(Place { phase: "cache".parse().unwrap(), step: 1, since: at(second) }),
        changes: vec![],
        canary: None,
        signed: None,
        evidence: vec![serde_json::json!({"condition": "p95"})],
        reason: None,
        result: Ending::Done,
        took_seconds: Some(1.5),
        version: "0.1.0".into(),
    }
}

fn write(page: &mut Page, entries: Vec<Entry>) {
    let addition = page.add(entries).unwrap();
    page.texts.extend(addition.texts);
    page.extent = Some(addition.extent);
}

/// One page with this many entries.
fn history(entries: u64) -> Page {
    let mut page = Page::default();
    for number in 1..=entries {
        write(&mut page, vec![entry(&format!("operation-{number}"), i64::try_from(number).unwrap())]);
    }
    page
}

fn faults(page: Page) -> Vec<Fault> {
    verify(&[Some(page)], None)
}

#[test]
fn what_nobody_touched_is_whole() {
    for entries in [0, 1, 2, 9] {
        assert_eq!(faults(history(entries)), [], "{entries}");
    }
    let page = history(3);
    let links: Vec<Link> = page.links().collect();
    assert_eq!(links.iter().map(|link| link.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(links[0].previous, "");
    assert_eq!(links[2].previous, page::seal(&page.texts[&page::key(2)]));
}

/// Somebody's hand on a history of five entries.
type Touch = fn(&mut Page);

#[test]
fn every_touch_is_found() {
    let cases: [(&str, Touch, &[Fault]); 11] = [
        ("edited", |page| edit(page, 3), &[Fault::Changed { number: 3 }]),
        ("the first edited", |page| edit(page, 1), &[Fault::Changed { number: 1 }]),
        ("the last edited", |page| edit(page, 5), &[Fault::Changed { number: 5 }]),
        (
            "two edited",
            |page| (edit(page, 2), edit(page, 4)).1,
            &[Fault::Changed { number: 4 }, Fault::Changed { number: 2 }],
        ),
        ("dropped", |page| drop(page.texts.remove(&page::key(3))), &[Fault::Missing { first: 3, last: 3 }]),
        ("the first dropped", |page| drop(page.texts.remove(&page::key(1))), &[Fault::Missing { first: 1, last: 1 }]),
        (
            "the end dropped",
            |page| page.texts = page.texts.split_off(&page::key(0)).into_iter().take(3).collect(),
            &[Fault::Missing { first: 4, last: 5 }],
        ),
        (
            "reordered",
            |page| {
                let (two, three) = (page.texts[&page::key(2)].clone(), page.texts[&page::key(3)].clone());
                page.texts.insert(page::key(2), three);
                page.texts.insert(page::key(3), two);
            },
            &[
                Fault::Misplaced { key: "00000002".into(), number: 3 },
                Fault::Misplaced { key: "00000003".into(), number: 2 },
            ],
        ),
        (
            "one added",
            |page| {
                let link = Link { number: 6, previous: String::new(), resumed: false, entry: entry("forged", 9) };
                page.texts.insert(page::key(6), serde_json::to_string(&link).unwrap());
            },
            &[Fault::Added { first: 6 }],
        ),
        (
            "garbage",
            |page| drop(page.texts.insert(page::key(2), "{".into())),
            &[Fault::Unreadable { page: 1, key: "00000002".into() }, Fault::Missing { first: 2, last: 2 }],
        ),
        ("the end forgotten", |page| page.extent = None, &[Fault::NoEnd { number: 5 }]),
    ];
    for (name, touch, expected) in cases {
        let mut page = history(5);
        touch(&mut page);
        assert_eq!(faults(page.clone()), expected, "{name}");
        // What is written afterwards does not cover it up.
        write(&mut page, vec![entry("later", 10)]);
        let later = faults(page);
        assert!(!later.is_empty(), "{name}: covered up");
    }
}

fn edit(page: &mut Page, number: u64) {
    let text = page.texts.get_mut(&page::key(number)).unwrap();
    *text = text.replace("alice", "mallory");
}

#[test]
fn a_chain_that_was_forged_from_somewhere_on_is_not_the_one_on_record() {
    let honest = history(4);
    let known = honest.extent.as_ref().map(|extent| Anchor { number: extent.last, seal: extent.seal.clone() });
    let mut forged = history(2);
    for number in 3..=6 {
        write(&mut forged, vec![Entry { by: "mallory".into(), ..entry(&format!("operation-{number}"), number) }]);
    }
    assert_eq!(verify(&[Some(forged.clone())], None), [], "by itself it is as good as any");
    assert_eq!(verify(&[Some(forged)], known.as_ref()), [Fault::NotTheRecorded { number: 4 }]);
    assert_eq!(verify(&[Some(honest)], known.as_ref()), []);
    assert_eq!(verify(&[], known.as_ref()), [Fault::NotTheRecorded { number: 4 }], "all of it is gone");
}

/// Pages as they come to be when every entry is this large.
fn pages(entries: u64, bytes: usize) -> Vec<Option<Page>> {
    let (mut closed, mut newest) = (Vec::new(), Page::default());
    for number in 1..=entries {
        let large = Entry { reason: Some("x".repeat(bytes)), ..entry(&format!("operation-{number}"), 1) };
        let addition = newest.add(vec![large.clone()]).unwrap();
        if let Some(Division { closed: page, rest }) = newest.divide(&addition) {
            newest.texts.retain(|key, _| !page.texts.contains_key(key));
            newest.extent = Some(rest);
            closed.push(Some(page));
        }
        write(&mut newest, vec![large]);
        assert!(newest.size() <= page::FULL, "{}", newest.size());
    }
    closed.push(Some(newest));
    closed
}

#[test]
fn a_full_page_is_divided_and_nothing_is_lost() {
    let mut pages = pages(500, 8_000);
    assert!(pages.len() > 3, "{} pages", pages.len());
    assert_eq!(verify(&pages, None), []);
    let links: Vec<u64> = pages.iter().flatten().flat_map(Page::links).map(|link| link.number).collect();
    assert_eq!(links, (1..=500).collect::<Vec<_>>());

    let second = pages[1].clone().unwrap();
    let (first, last) = second.extent.as_ref().map(|extent| (extent.first, extent.last)).unwrap();
    pages[1] = None;
    assert_eq!(verify(&pages, None), [Fault::PageMissing { page: 2 }, Fault::Missing { first, last }]);
    let mut touched = second;
    edit(&mut touched, last);
    pages[1] = Some(touched);
    assert_eq!(verify(&pages, None), [Fault::Changed { number: last }], "the end of a page has a witness as well");
}

#[test]
fn the_evidence_of_an_entry_is_bounded_and_says_so() {
    let mut page = Page::default();
    let evidence = vec![serde_json::json!("x".repeat(1 << 20))];
    write(&mut page, vec![Entry { evidence, ..entry("large", 1) }]);
    assert!(page.size() < 10_000);
    assert!(page.texts[&page::key(1)].contains("left_out_bytes"));
    assert_eq!(faults(page), []);
}

proptest! {
    #[test]
    fn no_text_can_be_changed_unseen(number in 1u64..=6, position in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut page = history(6);
        let mut bytes = page.texts[&page::key(number)].clone().into_bytes();
        let at = position.index(bytes.len());
        prop_assume!(bytes[at] != with && with.is_ascii());
        bytes[at] = with;
        page.texts.insert(page::key(number), String::from_utf8(bytes).unwrap());
        prop_assert!(!faults(page).is_empty());
    }
}

/// What is told of a workload whose history has these operations.
fn missing(known: &[(&str, Option<&str>)], workload: &Workload) -> Vec<(Action, String)> {
    let mut page = Page::default();
    for (operation, to) in known {
        let to = to.map(|phase| Place { phase: phase.parse().unwrap(), step: 1, since: at(1) });
        write(&mut page, vec![Entry { to, ..entry(operation, 1) }]);
    }
    let found = catch_up(&page, workload, "operation-now");
    assert!(found.iter().all(|entry| entry.result == Ending::Found));
    let place = |place: &Option<Place>| place.as_ref().map_or("-".to_owned(), |place| place.phase.to_string());
    found.iter().map(|entry| (entry.action, format!("{} to {}", place(&entry.from), place(&entry.to)))).collect()
}

#[test]
fn the_history_catches_up_with_the_record() {
    let shadow = promoted(&all_off(), 100);
    let cache = promoted(&shadow, 300);
    let back = crate::rollout::plan::step_back(&cache, &operation(400)).unwrap();
    let back = crate::rollout::tests::apply(&cache, &back);
    let off = switch_off(&cache, 500);
    let (of_shadow, of_cache) = (("operation-100", Some("shadow")), ("operation-300", Some("cache")));
    let lost = |action, place: &str| vec![(action, place.to_owned())];

    assert_eq!(missing(&[], &all_off()), []);
    assert_eq!(missing(&[of_shadow, of_cache], &cache), []);
    assert_eq!(missing(&[of_shadow], &cache), lost(Action::Promote, "shadow to cache"));
    assert_eq!(missing(&[of_shadow, of_cache], &back), lost(Action::Rollback, "cache to shadow"));
    assert_eq!(missing(&[of_shadow, of_cache], &off), lost(Action::Emergency, "cache to -"));
    assert_eq!(missing(&[of_shadow, of_cache, ("emergency", None)], &off), []);
    assert_eq!(missing(&[of_shadow], &all_off()), lost(Action::Rollback, "shadow to -"), "the record is gone");
    let both: Vec<Action> = missing(&[of_shadow], &off).into_iter().map(|(action, _)| action).collect();
    assert_eq!(both, [Action::Promote, Action::Emergency], "in the order in which they happened");
}

#[test]
fn what_leaves_the_record_where_it_was_is_caught_up_with_as_well() {
    let mut cache = promoted(&promoted(&all_off(), 100), 300);
    let known = [("operation-100", Some("shadow")), ("operation-300", Some("cache"))];
    cache.template.undone = Some(Undone { at: at(400), operation: "undo".into(), revision: 4 });
    assert_eq!(missing(&known, &cache), [(Action::Undo, "cache to cache".to_owned())]);
    let fewer = Fewer::of(&cache, "web-canary", 4);
    let smaller = announcing(&cache, &fewer, &operation(500)).unwrap().outcome(&cache);
    let told: Vec<Action> = missing(&known, &smaller).into_iter().map(|(action, _)| action).collect();
    assert_eq!(told, [Action::Undo, Action::Rollback]);
    let told = catch_up(&Page::default(), &smaller, "");
    assert_eq!(told.last().unwrap().canary, Some(fewer));
}

#[test]
fn an_operation_that_is_about_to_tell_itself_is_not_told_before() {
    let mut shadow = promoted(&all_off(), 100);
    if let Some(Ok(position)) = &mut shadow.position {
        position.operation = "operation-now".into();
    }
    assert_eq!(missing(&[], &shadow), []);
}

#[test]
fn the_usual_time_is_not_that_of_one_bad_day() {
    let time = |entries: &[(f64, Ending, Action)]| {
        let mut page = Page::default();
        for (seconds, result, action) in entries {
            let took_seconds = Some(*seconds);
            write(&mut page, vec![Entry { took_seconds, result: *result, action: *action, ..entry("one", 1) }]);
        }
        usual_time(&page).map(|time| time.as_secs())
    };
    let done = |seconds| (seconds, Ending::Done, Action::Emergency);
    assert_eq!(time(&[]), None);
    assert_eq!(time(&[done(40.0)]), Some(40));
    assert_eq!(time(&[done(40.0), done(900.0), done(50.0)]), Some(50));
    assert_eq!(
        time(&[done(900.0), done(1.0), done(2.0), done(3.0), done(4.0), done(5.0)]),
        Some(3),
        "of the last five"
    );
    assert_eq!(time(&[(9.0, Ending::Interrupted, Action::Emergency)]), None, "nobody saw it end");
    assert_eq!(time(&[(9.0, Ending::Done, Action::Promote)]), None, "no flag changed, no pod was replaced");
}

#[test]
fn keys_sort_like_numbers() {
    let keys: BTreeMap<String, u64> = [9, 10, 99_999, 100_000].map(|number| (page::key(number), number)).into();
    assert_eq!(keys.values().copied().collect::<Vec<_>>(), [9, 10, 99_999, 100_000]);
}
