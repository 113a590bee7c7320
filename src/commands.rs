//! The verbs, and what they share: the connections, and one decision on what is there now.
//!
//! A verb is a sandwich: observe, judge and plan, print, apply. It owns the order of things and the clock; rules
//! belong to `rollout` and `judge`.

mod canary;
mod check;
mod checks;
mod completions;
mod emergency;
mod gradual;
mod history;
mod interrupt;
mod looking;
mod onward;
mod pause;
mod promote;
mod rehearse;
mod remember;
mod rollback;
mod settle;
mod sign_off;
mod status;
mod why;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cli::{Cli, Command, Global};
use crate::cluster::{Cluster, Connection, Found, Target};
use crate::error::{Error, ExitStatus};
use crate::judge;
use crate::observe::{self, Moment};
use crate::output::Printer;
use crate::output::scope::ScopeReport;
use crate::phase_file;
use crate::prometheus::{Access, Prometheus};
use crate::rollout::decision::{self, Decision, Given, Tried};
use crate::rollout::declaration::{Header, Rollout};
use crate::rollout::exposure::CanaryShare;
use crate::rollout::name::PhaseName;
use crate::rollout::plan::Operation;
use crate::rollout::route::{Consent, Route};
use crate::rollout::workload::Workload;

/// Runs the command and says how it ended.
pub fn run(cli: Cli) -> ExitStatus {
    let Cli { global, command } = cli;
    let context = Context { printer: Printer::new(global.output, global.quiet, global.no_color), global };
    let ended = match command {
        Command::Completions(arguments) => Ok(completions::run(&context, &arguments)),
        Command::Man => Ok(completions::manual(&context)),
        Command::Status => block_on(status::run(&context)),
        Command::Check(arguments) => block_on(check::run(&context, &arguments)),
        Command::Rehearse => block_on(rehearse::run(&context)),
        Command::Promote(arguments) => block_on(promote::run(&context, &arguments)),
        Command::Rollback(arguments) if arguments.emergency.now => block_on(emergency::run(&context, &arguments)),
        Command::Rollback(arguments) if arguments.gradual => block_on(gradual::run(&context, &arguments)),
        Command::Abort(arguments) => block_on(rollback::abort(&context, &arguments)),
        Command::Rollback(arguments) => block_on(rollback::run(&context, &arguments)),
        Command::History(arguments) => block_on(history::run(&context, &arguments)),
        Command::Why(arguments) => block_on(why::run(&context, &arguments)),
        Command::SignOff(arguments) => block_on(sign_off::run(&context, &arguments)),
        Command::Pause(arguments) => block_on(pause::run(&context, &arguments, true)),
        Command::Resume(arguments) => block_on(pause::run(&context, &arguments, false)),
    };
    ended.unwrap_or_else(|error| {
        let snippet = match &error {
            Error::PhaseFile(error) => error.snippet(),
            Error::Cluster(_)
            | Error::Prometheus(_)
            | Error::Unknown { .. }
            | Error::NothingNamed { .. }
            | Error::NothingLabelled { .. }
            | Error::Start { .. }
            | Error::NoEntry { .. }
            | Error::SeveralEntries { .. }
            | Error::Future { .. }
            | Error::Impossible { .. }
            | Error::NotArrived { .. }
            | Error::Overtaken { .. }
            | Error::Elsewhere { .. }
            | Error::NoStep { .. }
            | Error::Unverified { .. } => None,
        };
        context.printer.error(&error, snippet.as_deref(), error.hint().as_deref());
        error.exit_status()
    })
}

/// One thread is enough: the work is waiting.
fn block_on<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // The only TLS stack, chosen once for both clients; a second call finds it chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(command);
            // A look-up of a name that hangs must not keep a finished command.
            runtime.shutdown_background();
            ended
        }
        Err(source) => Err(Error::Start { source }),
    }
}

/// What every verb is given.
struct Context {
    printer: Printer,
    global: Global,
}

/// One decision, and what it was made on.
struct Look {
    workload: Workload,
    decision: Decision,
    scope: ScopeReport,
    queries: serde_json::Value,
    now: Timestamp,
}

/// How to look.
#[derive(Default, Clone, Copy)]
struct Aim {
    /// Index of the phase that is asked about; the next step if None.
    phase: Option<usize>,
    consent: Consent,
    /// Only whether things are well where the rollout stands, and not what a promotion needs.
    only_triggers: bool,
    /// The revisions of the pod template as well.
    revisions: bool,
    /// A past time to judge.
    at: Option<Timestamp>,
}

impl Context {
    fn rollout(&self) -> Result<Rollout, Error> {
        Ok(phase_file::load(&self.global.files)?)
    }

    async fn cluster(&self, namespace: Option<&str>) -> Result<Cluster, Error> {
        let namespace = self.global.namespace.clone().or_else(|| namespace.map(str::to_owned));
        Ok(Cluster::connect(&Connection { context: self.global.context.clone(), namespace }).await?)
    }

    /// The connection to Prometheus; None where no address is given.
    fn prometheus(&self, header: &Header) -> Result<Option<Prometheus>, Error> {
        let source = &header.prometheus;
        let Some(url) = self.global.prometheus.as_deref().or(source.url.as_deref()) else { return Ok(None) };
        // From the environment alone: an argument would be seen by everybody on the machine.
        let token = std::env::var_os("CBCTL_PROMETHEUS_TOKEN").and_then(|token| token.into_string().ok());
        let access = Access {
            url,
            ca_file: source.ca_file.as_deref().map(Path::new),
            token_file: source.token_file.as_deref().map(Path::new),
            token: token.as_deref(),
        };
        Ok(Some(Prometheus::new(&access, source.allowed_warnings.clone())?))
    }

    /// Observes, judges and decides, without touching anything.
    async fn look(&self, rollout: &Rollout, cluster: &Cluster, aim: Aim) -> Result<Look, Error> {
        Box::pin(self.look_again(rollout, cluster, aim, &Tried::default())).await
    }

    /// The same with what checks have shown.
    async fn look_again(&self, rollout: &Rollout, cluster: &Cluster, aim: Aim, tried: &Tried) -> Result<Look, Error> {
        let prometheus = self.prometheus(&rollout.header)?;
        let target = Target { revisions: aim.revisions, ..target_of(rollout) };
        let Found { workload, clock_offset } = read_settled(cluster, &target).await?;
        let now = aim.at.unwrap_or_else(|| shared_now(clock_offset));
        let route = Route::find(rollout, &workload, aim.phase, aim.consent, now);
        let route = if aim.only_triggers { route.without_gates() } else { route };
        let conditions: Vec<_> = decision::conditions(rollout, &workload, &route).collect();
        let moment = Moment { now, past: aim.at.is_some(), cluster_clock_offset: clock_offset };
        let seen =
            observe::sample(prometheus.as_ref(), rollout, &workload, &route.standing, &conditions, &moment).await;
        let scope = ScopeReport::of(&seen.look, conditions.iter().copied());
        let judged = |condition: &_| judge::judge(condition, &seen.look);
        let share = CanaryShare::of(rollout, &workload, &route.standing, &seen.look);
        let given = Given { now, past: moment.past, tried, share };
        let decision = decision::decide(rollout, &workload, route, given, judged);
        Ok(Look { workload, decision, scope, queries: seen.queries, now })
    }
}

/// Reads the Deployment, again for a moment if its controller has not looked at the latest write yet: a record or a
/// sign-off counts as a new generation as well, and is no rollout.
async fn read_settled(cluster: &Cluster, target: &Target) -> Result<Found, Error> {
    const LOOKS: usize = 30;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut found = cluster.read(target).await?;
    for _ in 1..LOOKS {
        if found.workload.replicas.is_observed() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        found = cluster.read(target).await?;
    }
    Ok(found)
}

/// The phase that the user named, as an index; asked before anything is connected to.
fn known_phase(rollout: &Rollout, name: Option<&PhaseName>) -> Result<Option<usize>, Error> {
    let Some(name) = name else { return Ok(None) };
    rollout.index_of(name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = rollout.phases.iter().map(|phase| phase.name.as_str()).collect();
        unknown("phase", name.as_str(), &known)
    })
}

fn unknown(kind: &'static str, name: &str, known: &[&str]) -> Error {
    Error::Unknown {
        kind,
        name: name.to_owned(),
        nearest: phase_file::nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.iter().map(|&known| known.to_owned()).collect(),
    }
}

/// What to look at in the cluster: its canary as well, where one is declared.
fn target_of(rollout: &Rollout) -> Target {
    let router = rollout.header.router.clone();
    Target { beside: rollout.has_canaries(), router, ..target(&rollout.header) }
}

/// The Deployment itself.
fn target(header: &Header) -> Target {
    Target {
        deployment: header.deployment.clone(),
        container: header.container.clone(),
        flags: header.declared_flags().cloned().collect::<BTreeSet<_>>(),
        revisions: false,
        beside: false,
        router: None,
    }
}

/// The time by the API server's clock where ours is off: what is recorded must mean the same to everybody.
fn shared_now(clock_offset: Option<SignedDuration>) -> Timestamp {
    // Its dates are whole seconds, and the answer was under way for a while.
    let off = clock_offset.filter(|offset| offset.abs() > SignedDuration::from_secs(2)).unwrap_or_default();
    now().checked_add(off).unwrap_or_else(|_| now())
}

#[expect(clippy::disallowed_methods, reason = "the clock enters the program here")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn operation(by: String, at: Timestamp, reason: Option<&String>) -> Operation {
    Operation { id: uuid::Uuid::now_v7().to_string(), by, at, reason: reason.cloned(), history: None }
}
