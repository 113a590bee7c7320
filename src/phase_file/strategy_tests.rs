//! Every item of the rollout strategy is in `phases/`, word for word.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, PhaseFile, load, load_header, parse_header, parse_phase};
use crate::judge::condition::{Comparison, Condition, Measure, Role, Share};
use crate::rollout::declaration::{Check, Exposure, Gate, Phase, Probe, Requirement, Rollout, Step};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn rollout(name: &str) -> Rollout {
    load(&folder(name)).unwrap_or_else(|error| panic!("{error}\n{}", error.snippet().unwrap_or_default()))
}

fn texts<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> Vec<&'a str> {
    conditions.into_iter().map(|condition| condition.text.as_str()).collect()
}

fn measured(phase: &Phase) -> impl Iterator<Item = &Condition> {
    phase.gates.iter().filter_map(|gate| match gate {
        Gate::Measured(condition) => Some(condition),
        Gate::SignOff(_) | Gate::Check(_) => None,
    })
}

fn signed(phase: &Phase) -> Vec<&str> {
    sign_offs(&phase.gates)
}

fn sign_offs(gates: &[Gate]) -> Vec<&str> {
    let names = gates.iter().filter_map(|gate| match gate {
        Gate::Measured(_) | Gate::Check(_) => None,
        Gate::SignOff(required) => Some(required.name.as_str()),
    });
    names.collect()
}

fn required(phase: &Phase) -> Vec<String> {
    let words = phase.requires.iter().map(|requirement| match requirement {
        Requirement::Phase { phase, complete_for } => format!("{phase} for {}d", complete_for.as_secs() / DAY),
        Requirement::SignOff(required) => required.name.to_string(),
        Requirement::Check(_) => "check".to_owned(),
    });
    words.collect()
}

/// What every pod is asked for.
fn paths(phase: &Phase) -> Vec<&str> {
    let paths = phase.gates.iter().filter_map(|gate| match gate {
        Gate::Check(Check { probe: Probe::Http { path, .. }, .. }) => Some(path.as_str()),
        Gate::Check(_) | Gate::Measured(_) | Gate::SignOff(_) => None,
    });
    paths.collect()
}

/// The targets in order, each with the value of its flag and what has to be signed for it.
fn targets<'a>(phase: &'a Phase, flag: &str) -> Vec<(&'a str, &'a str, Vec<&'a str>)> {
    let flag = flag.parse().unwrap();
    let target = |step: &'a Step| {
        assert_eq!(step.flags.len(), 1);
        (step.target.as_ref().unwrap().as_str(), step.flags[&flag].as_str(), sign_offs(&step.gates))
    };
    let mut targets: Vec<_> = phase.steps.iter().map(target).collect();
    targets.dedup();
    targets
}

fn steps(phase: &Phase) -> Vec<(Exposure, u64)> {
    phase.steps.iter().map(|step| (step.exposure, step.bake.as_secs() / HOUR)).collect()
}

#[test]
fn every_checked_in_file_parses() {
    for name in ["phases", "examples/quick"] {
        let rollout = rollout(name);
        let names: Vec<_> = rollout.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["shadow", "cache", "http", "db"], "{name}");
        assert_eq!(load_header(&folder(name)).unwrap(), rollout.header, "{name}");
    }
}

#[test]
fn the_service_is_declared() {
    let header = rollout("phases").header;
    assert_eq!((header.name.as_str(), header.deployment.as_str()), ("updog", "updog"));
    assert_eq!(header.container.as_deref(), Some("updog"));
    let flags: Vec<_> = header.breakers.iter().map(|breaker| breaker.flag.as_str()).collect();
    assert_eq!(flags, ["CB_CACHE_ENABLED", "CB_HTTP_ENABLED", "CB_DB_ENABLED"]);
    assert_eq!(
        header.breaker("db").unwrap().never_for,
        [
            "write operations",
            "critical read paths without fallbacks",
            "authentication and authorization queries",
            "financial calculations",
        ]
    );
}

#[test]
fn flags_and_settings_have_the_values_of_the_strategy() {
    let rollout = rollout("phases");
    let expected = [
        [("CB_CACHE_ENABLED", "false"), ("CB_HTTP_ENABLED", "false"), ("CB_DB_ENABLED", "false")],
        [("CB_CACHE_ENABLED", "true"), ("CB_HTTP_ENABLED", "false"), ("CB_DB_ENABLED", "false")],
        [("CB_CACHE_ENABLED", "true"), ("CB_HTTP_ENABLED", "true"), ("CB_DB_ENABLED", "false")],
        [("CB_CACHE_ENABLED", "true"), ("CB_HTTP_ENABLED", "true"), ("CB_DB_ENABLED", "true")],
    ];
    let settings = [
        vec![],
        vec![
            ("CB_CACHE_FAILURE_THRESHOLD", "10"),
            ("CB_CACHE_RESET_TIMEOUT_MS", "60000"),
            ("CB_CACHE_OP_TIMEOUT_MS", "3000"),
        ],
        vec![
            ("CB_HTTP_FAILURE_THRESHOLD", "5"),
            ("CB_HTTP_RESET_TIMEOUT_MS", "120000"),
            ("CB_HTTP_OP_TIMEOUT_MS", "8000"),
        ],
        vec![("CB_DB_FAILURE_THRESHOLD", "8"), ("CB_DB_RESET_TIMEOUT_MS", "300000"), ("CB_DB_OP_TIMEOUT_MS", "15000")],
    ];
    for ((phase, expected), settings) in rollout.phases.iter().zip(expected).zip(settings) {
        let expected = expected.into_iter().chain(settings);
        let expected = expected.map(|(flag, value)| (flag.parse().unwrap(), value.to_owned())).collect();
        assert_eq!(phase.flags, expected, "{}", phase.name);
    }
}

#[test]
fn shadow_mode() {
    let shadow = &rollout("phases").phases[0];
    assert_eq!(steps(shadow), [(Exposure::Full, 14 * 24)], "week 1-2");
    assert_eq!(
        texts(measured(shadow)),
        ["p95 < 400ms over 30m", "breaker-metrics-present >= 3 for 30m", "error_rate < 1% over 30m"]
    );
    assert_eq!(
        signed(shadow),
        [
            "existing-functionality-unchanged",
            "admin-endpoints-return-expected-data",
            "decision-logging-validated",
            "load-test-baseline-recorded",
        ]
    );
    assert_eq!(paths(shadow), ["/metrics", "/readinessz"]);
    assert!(shadow.requires.is_empty() && shadow.triggers.is_empty() && !shadow.high_risk);
}

#[test]
fn cache_canary() {
    let cache = &rollout("phases").phases[1];
    assert_eq!(required(cache), ["shadow for 0d", "dashboards-reviewed", "shadow-validated"]);
    assert_eq!(steps(cache), [(Exposure::Pods(1), 1), (Exposure::Traffic(10.0), 48), (Exposure::Full, 24)]);
    assert_eq!(
        texts(measured(cache)),
        [
            "p95 < 400ms over 30m",
            "error_rate < 1% over 30m",
            "false_trips(cache) == 0 over 48h",
            "breaker_failures(cache) < 10% over 30m",
        ]
    );
    assert_eq!(signed(cache), ["memory-fallback-verified"]);
    assert_eq!(
        texts(&cache.triggers),
        ["p95 > 500ms for 5m", "error_rate > 2% for 2m", "stuck_open(cache) for 10m", "memory_growth > 20% over 6h"]
    );
}

#[test]
fn http_canary() {
    let phases = rollout("phases").phases;
    let (cache, http) = (&phases[1], &phases[2]);
    assert_eq!(
        required(http),
        ["cache for 7d", "no-performance-regressions", "team-comfortable-with-breakers", "cache-validated"]
    );
    assert_eq!(steps(http), steps(cache).repeat(3));
    assert_eq!(
        targets(http, "CB_HTTP_TARGETS"),
        [
            ("partner-apis", "partner-apis", vec!["partner-api-failures-handled"]),
            ("market-data-feeds", "partner-apis,market-data-feeds", vec!["stale-data-fallbacks-verified"]),
            (
                "analytics-services",
                "partner-apis,market-data-feeds,analytics-services",
                vec!["analytics-degrade-gracefully"],
            ),
        ],
        "the targets in order"
    );
    for gate in &cache.gates {
        assert!(http.gates.contains(gate), "all phase 2 gates still met: {gate:?}");
    }
    for trigger in &cache.triggers {
        assert!(http.triggers.contains(trigger), "{trigger:?}");
    }
    assert!(texts(&http.triggers).contains(&"stuck_open(http) for 10m"));
    for text in ["false_trips(http) == 0 over 48h", "breaker_failures(http) < 10% over 30m"] {
        assert!(texts(measured(http)).contains(&text), "{text}");
    }
    assert_eq!(signed(http), ["memory-fallback-verified", "no-user-facing-errors-from-trips"]);
}

#[test]
fn database_read_replicas() {
    let phases = rollout("phases").phases;
    let db = &phases[3];
    assert!(db.high_risk);
    assert_eq!(
        required(db),
        [
            "cache for 14d",
            "http for 14d",
            "database-read-write-separation",
            "caching-and-fallbacks-in-place",
            "team-trained",
            "never-for-classes-excluded",
            "http-validated",
        ]
    );
    for gate in measured(&phases[2]) {
        assert!(texts(measured(db)).contains(&gate.text.as_str()), "the gates of phase 3: {}", gate.text);
    }
    for text in
        ["p95 < 400ms over 30m", "p99 < 1000ms over 30m", "error_rate < 0.5% over 24h", "uptime > 0.999 over 24h"]
    {
        assert!(texts(measured(db)).contains(&text), "success metric {text}");
    }
    assert_eq!(signed(db), ["memory-fallback-verified", "stale-data-fallbacks-verified"]);
    assert_eq!(steps(db), [(Exposure::Pods(1), 24), (Exposure::Traffic(10.0), 48), (Exposure::Full, 7 * 24)].repeat(3));
    assert_eq!(
        targets(db, "CB_DB_TARGETS"),
        [
            ("analytics-queries", "analytics-queries", vec![]),
            ("report-generation", "analytics-queries,report-generation", vec!["report-cache-verified"]),
            (
                "dashboard-data",
                "analytics-queries,report-generation,dashboard-data",
                vec!["dashboard-fallbacks-verified"],
            ),
        ],
        "the targets in order"
    );
    assert!(texts(&db.triggers).contains(&"stuck_open(db) for 10m"));
}

#[test]
fn conditions_mean_what_they_say() {
    let rollout = rollout("phases");
    let cache = &rollout.phases[1];
    let gates: Vec<_> = measured(cache).collect();
    let Measure::Latency { quantile, limit } = gates[0].measure else { panic!("{:?}", gates[0]) };
    assert_eq!((quantile.get(), limit, gates[0].window), (0.95, Duration::from_millis(400), Duration::from_mins(30)));
    assert_eq!((gates[0].role, gates[0].confidence), (Role::Gate, Condition::GATE_CONFIDENCE));
    let Measure::ErrorRate { limit } = cache.triggers[1].measure else { panic!("{:?}", cache.triggers[1]) };
    assert_eq!((limit.get(), cache.triggers[1].window), (0.02, Duration::from_mins(2)));
    assert_eq!((cache.triggers[1].role, cache.triggers[1].confidence), (Role::Trigger, Condition::TRIGGER_CONFIDENCE));
    let Measure::Stuck { breaker, encoding, .. } = &cache.triggers[2].measure else {
        panic!("{:?}", cache.triggers[2])
    };
    assert_eq!((breaker.as_str(), encoding.closed, encoding.half_open, encoding.open), ("cache", 0.0, 1.0, 2.0));
    let Measure::Trips { breaker, only_false, comparison, limit, health, .. } = &gates[2].measure else {
        panic!("{:?}", gates[2])
    };
    assert_eq!((breaker.as_str(), only_false, comparison, limit), ("cache", &true, &Comparison::Equals, &0));
    assert_eq!((health, gates[2].window, gates[2].min_requests), (&None, Duration::from_hours(48), 100));
    let Measure::BreakerFailures { limit, .. } = gates[3].measure else { panic!("{:?}", gates[3]) };
    assert_eq!(Some(limit), Share::new(0.1));
    assert_eq!(cache.triggers[3].measure, Measure::MemoryGrowth { limit: 0.2 });
    assert_eq!(cache.triggers[3].window, Duration::from_hours(6));
    let uptime = measured(&rollout.phases[3]).last().unwrap();
    let Measure::Query(query) = &uptime.measure else { panic!("{uptime:?}") };
    assert_eq!((query.comparison, query.limit, query.throughout), (Comparison::Above, 0.999, false));
    let present = measured(&rollout.phases[0]).nth(1).unwrap();
    let Measure::Query(query) = &present.measure else { panic!("{present:?}") };
    assert!(query.throughout, "for: every point of the stretch");
}

#[test]
fn what_the_service_must_never_guard_is_refused() {
    let rollout = include_str!("../../phases/rollout.yaml");
    let phase = include_str!("../../phases/40-db.yaml");
    let read = |phase: &str| {
        let header = parse_header("rollout.yaml", rollout).unwrap();
        let file = PhaseFile { number: 40, name: "db".to_owned(), file_name: "40-db.yaml".to_owned() };
        parse_phase(&file, file.file_name.clone(), phase.to_owned(), &header)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(phase), Ok(()));
    for class in &load_header(&folder("phases")).unwrap().breaker("db").unwrap().never_for {
        let value = phase.replace("\"analytics-queries\"", &format!("\"analytics-queries, {class}\""));
        let name = phase.replace("name: dashboard-data", &format!("name: {}", class.replace(' ', "-")));
        for refused in [value, name] {
            let error = read(&refused).unwrap_err();
            assert!(error.ends_with(&format!("`db` must never guard `{class}`")), "{error}");
        }
    }
}

#[test]
fn what_is_commented_out_in_the_files_can_be_used() {
    for name in ["rollout.yaml", "20-cache.yaml"] {
        let text = std::fs::read_to_string(folder("phases").join(name)).unwrap();
        let used = |line: &str| {
            let code = ["# traffic:", "#   ", "# freeze:", "  # - "].iter().any(|start| line.starts_with(start));
            if code { line.replacen("# ", "", 1) } else { line.to_owned() }
        };
        let text: String = text.lines().map(|line| used(line) + "\n").collect();
        if name == "rollout.yaml" {
            let header = parse_header(name, &text).unwrap();
            assert_eq!(header.router.unwrap().object(), "httproute/updog");
            assert_eq!(header.freezes[0].to.to_string(), "2027-01-02T00:00:00+01:00[Europe/Berlin]");
        } else {
            let header = load_header(&folder("phases")).unwrap();
            let file = PhaseFile { number: 20, name: "cache".to_owned(), file_name: name.to_owned() };
            let cache = parse_phase(&file, name.to_owned(), text, &header).unwrap().placed.phase;
            assert!(matches!(cache.requires.last(), Some(Requirement::Check(_))));
            assert_eq!(cache.triggers.len(), 6);
        }
    }
}

#[test]
fn what_the_gates_allow_is_healthy() {
    let phases = rollout("phases").phases;
    let healthy = |phase: usize, trigger: usize| phases[phase].triggers[trigger].healthy.map(Share::get);
    assert_eq!(healthy(1, 1), Some(0.01), "error_rate < 1% is a gate of the phase");
    assert_eq!(healthy(3, 1), Some(0.005), "the lowest one, over 24h");
    assert_eq!(healthy(1, 0), None, "another latency");
}

#[test]
fn a_folder_without_a_rollout_says_so() {
    let error = load(&folder("no-such-folder")).unwrap_err();
    assert!(error.to_string().starts_with("cannot list the folder"), "{error}");
    assert!(error.snippet().is_none() && error.hint().is_some());
    let error = load_header(&folder("src")).unwrap_err();
    assert!(error.to_string().ends_with("/src/rollout.yaml\""), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

/// A folder of its own that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("cbctl-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ignored = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_emergency_needs_only_the_rollout_file() {
    let rollout = include_str!("../../phases/rollout.yaml");
    let folder =
        Folder::new("emergency", &[("rollout.yaml", rollout), ("20-cache.yaml", "broken: ["), ("README.md", "")]);
    assert_eq!(load_header(&folder.0).unwrap().breakers.len(), 3);
    assert!(load(&folder.0).unwrap_err().to_string().contains("20-cache.yaml:"));
}

#[test]
fn a_folder_must_hold_phases_and_no_other_yaml() {
    let rollout = include_str!("../../phases/rollout.yaml");
    let folder = Folder::new("empty", &[("rollout.yaml", rollout)]);
    assert!(matches!(load(&folder.0), Err(Error::FindPhases { .. })));
    let folder = Folder::new("misnamed", &[("rollout.yaml", rollout), ("20_cache.yaml", "")]);
    let error = load(&folder.0).unwrap_err();
    assert!(error.to_string().ends_with("20_cache.yaml: not the name of a phase file"), "{error}");
}
