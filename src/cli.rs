//! The command line: arguments into validated types, and every help text.
//!
//! No behaviour.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::rollout::name::{BreakerName, FlagName, PhaseName, SignOffName};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody waits longer than this for one command.
const LONGEST_DAYS: u32 = 7;
/// In characters.
const LONGEST_REASON: usize = 500;

const EXIT_CODES: &str = "\
Exit codes:
  0  passed; or done and verified; or nothing to do, and said so
  1  could not find out or carry out: run `cbctl status`
  2  wrong arguments or an invalid file; nothing was touched
  3  held: somebody has to act; nothing was touched
  4  inconclusive: time or traffic can lift it; nothing was touched
  5  a rollback trigger fires, or a change was applied and taken back
  6  the cluster moved since it was read, and nothing was touched; or somebody else changed the rollout";

/// Switch circuit breakers on safely: in phases, judged on Prometheus data
#[derive(Debug, Parser)]
#[command(name = "cbctl", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Folder with rollout.yaml and the phase files
    #[arg(short = 'f', long = "files", value_name = "DIR", default_value = "phases", global = true)]
    pub files: PathBuf,
    /// Namespace of the Deployment, instead of rollout.yaml's and the kubeconfig's
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Address of Prometheus, instead of rollout.yaml's
    #[arg(long, value_name = "URL", env = "CBCTL_PROMETHEUS", hide_env_values = true, global = true)]
    pub prometheus: Option<String>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t, global = true)]
    pub output: Format,
    /// Print the answer and errors, and nothing else
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Do without colour, as with `NO_COLOR` set
    #[arg(long, global = true)]
    pub no_color: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show where the rollout stands and what every gate and trigger says
    #[command(after_help = "Example:\n  cbctl status")]
    Status,
    /// Decide what `promote` would, and touch nothing; the exit code is the verdict
    #[command(
        after_help = "Examples:\n  cbctl check cache\n  cbctl check cache --wait=30m\n  cbctl check cache --at 2026-03-01T12:00:00Z -o json"
    )]
    Check(Check),
    /// Try the way back from the next step, and touch nothing; `promote` does it too
    #[command(after_help = "Example:\n  cbctl rehearse")]
    Rehearse,
    /// Take the rollout one step further towards a phase, if the gates allow it
    #[command(after_help = "Examples:\n  cbctl promote cache\n  cbctl promote cache --dry-run\n  \
                      cbctl promote cache --wait                    through all steps of cache, judged all the time\n  \
                      cbctl promote cache --wait=6h --step full     for 6 hours at most, until everything has it\n  \
                      cbctl promote cache --step 2 --from cache/1   this step and no other\n  cbctl promote db --yes-high-risk --reason 'the replicas are in place'")]
    Promote(Promote),
    /// Switch breakers off, or go back to where the rollout was before the last step
    #[command(
        after_help = "Examples:\n  cbctl rollback --emergency --reason 'checkout errors'   every breaker off, now\n  \
                      cbctl rollback --emergency --all -f rollouts            the same of every rollout in a folder\n  \
                      cbctl rollback --emergency -l tier=web                  and of every deployment with a label\n  \
                      cbctl rollback http                                     one breaker off\n  \
                      cbctl rollback --to shadow                              as it was when shadow was left\n  \
                      cbctl rollback                                          back to before the last step\n  \
                      cbctl rollback --gradual                                as far back as it takes, judged\n  \
                      cbctl rollback --undo                                   the pod template before this one\n  \
                      cbctl rollback --restart                                every pod anew, as it is\n\n\
                      Of many deployments the worst exit code counts: 1 before 6 before 2 before 0."
    )]
    Rollback(Rollback),
    /// Take the canary away, and the rollout back to where it stood before there was one
    #[command(after_help = "Example:\n  cbctl abort --reason 'the canary answers slowly'")]
    Abort(Back),
    /// Give your word for what Prometheus cannot tell
    #[command(after_help = "Example:\n  cbctl sign-off dashboards-reviewed --reason 'walked through all three'")]
    SignOff(SignOff),
    /// Have nothing promoted until `resume`; rollbacks go on as ever
    #[command(after_help = "Example:\n  cbctl pause --reason 'the database is being moved'")]
    Pause(Pause),
    /// Let promotions go on after `pause`
    #[command(after_help = "Example:\n  cbctl resume --reason 'the database has been moved'")]
    Resume(Pause),
    /// Show what happened to the rollout, newest first
    #[command(after_help = "Examples:\n  cbctl history\n  cbctl history --verify      has anybody touched it?")]
    History(History),
    /// Show one operation of the history, and the evidence it was decided on
    #[command(after_help = "Examples:\n  cbctl why        the newest\n  cbctl why 12     by its number in the history")]
    Why(Why),
    /// Print a shell's completion script
    #[command(after_help = "Example:\n  cbctl completions bash > /etc/bash_completion.d/cbctl")]
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = "Example:\n  cbctl man | man -l -")]
    Man,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Phase to decide about; the next step if left out
    pub phase: Option<PhaseName>,
    /// Judge a past moment, such as 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// Look again until the answer is conclusive, for this long at most; for a day if no time is given
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "24h",
        value_parser = duration,
        conflicts_with = "at"
    )]
    pub wait: Option<Duration>,
    /// Decide as if somebody had said yes to entering a phase of high risk
    #[arg(long)]
    pub yes_high_risk: bool,
}

#[derive(Debug, Args)]
pub struct Promote {
    /// Phase to go towards; the next step if left out
    pub phase: Option<PhaseName>,
    /// Accept flags that somebody else changed, or that are those of no phase
    #[arg(long)]
    pub adopt: bool,
    /// Go through the whole phase, one step after the other, and back by itself if a rollback trigger fires; for this
    /// long at most, for 7 days if no time is given
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "7d",
        value_parser = duration,
        conflicts_with = "dry_run"
    )]
    pub wait: Option<Duration>,
    /// Only this step of the phase, by its number or `full`; with --wait up to it
    #[arg(long, value_name = "N|full", value_parser = StepChoice::from_str)]
    pub step: Option<StepChoice>,
    /// Only if the rollout stands there now: `cache/1`, any step of `cache`, or `none` if it has not begun
    #[arg(long, value_name = "PHASE/STEP", value_parser = Standpoint::from_str)]
    pub from: Option<Standpoint>,
    /// Enter a phase of high risk; with --reason
    #[arg(long)]
    pub yes_high_risk: bool,
    /// Roll back by itself if the pods are not healthy within this time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub write: Write,
}

/// A step of a phase, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepChoice {
    /// Counted from 1.
    Number(usize),
    /// The last one.
    Full,
}

/// Where somebody believes that the rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standpoint {
    NotBegun,
    /// At a step, counted from 1, or at any.
    At {
        phase: PhaseName,
        step: Option<usize>,
    },
}

impl FromStr for StepChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("full", _) => Ok(Self::Full),
            (_, Ok(number @ 1..)) => Ok(Self::Number(number)),
            (_, Ok(0) | Err(_)) => Err(format!("`{text}` is neither `full` nor a number from 1 on")),
        }
    }
}

impl FromStr for Standpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (phase, step) = text.split_once('/').map_or((text, None), |(phase, step)| (phase, Some(step)));
        if text == "none" {
            return Ok(Self::NotBegun);
        }
        let step = match step.map(str::parse) {
            None => None,
            Some(Ok(step @ 1..)) => Some(step),
            Some(Ok(0) | Err(_)) => return Err(format!("`{text}` is no place such as cache/1, cache or none")),
        };
        Ok(Self::At { phase: phase.parse()?, step })
    }
}

impl fmt::Display for Standpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBegun => f.write_str("none"),
            Self::At { phase, step: None } => phase.fmt(f),
            Self::At { phase, step: Some(step) } => write!(f, "{phase}/{step}"),
        }
    }
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// Breakers to switch off
    #[arg(value_name = "BREAKER", conflicts_with = "emergency")]
    pub breakers: Vec<BreakerName>,
    #[command(flatten)]
    pub emergency: Emergency,
    /// Phase to go back to, as it was when it was left
    #[arg(long, value_name = "PHASE", conflicts_with_all = ["breakers", "emergency"])]
    pub to: Option<PhaseName>,
    /// Go back in reductions, each of them judged: fewer canary pods, then one recorded step after the other, until
    /// the rollback triggers are quiet or every breaker is off
    #[arg(long, conflicts_with_all = ["breakers", "emergency", "to", "undo", "restart", "no_wait"])]
    pub gradual: bool,
    #[command(flatten)]
    pub template: Template,
    #[command(flatten)]
    pub back: Back,
}

/// How a way back is gone.
#[derive(Debug, Args)]
pub struct Back {
    /// Do not wait until every pod runs the old values
    #[arg(long)]
    pub no_wait: bool,
    /// How long to try and to wait; with --gradual, for the pods of each reduction
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub write: Write,
}

/// What an emergency switches off.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Emergency {
    /// Switch every breaker off now, whatever else is going on
    #[arg(id = "emergency", long = "emergency")]
    pub now: bool,
    /// Switch off every rollout in the folder of -f and below it
    #[arg(long, requires = "emergency", conflicts_with = "deployment")]
    pub all: bool,
    /// Switch off every Deployment of the namespace that has these labels
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        requires = "emergency",
        conflicts_with_all = ["all", "deployment"],
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub selector: Option<String>,
    /// Deployment to switch off, instead of rollout.yaml's
    #[arg(long, value_name = "NAME", requires = "emergency")]
    pub deployment: Option<String>,
    /// Container to switch off, instead of rollout.yaml's
    #[arg(long, value_name = "NAME", requires = "emergency")]
    pub container: Option<String>,
    /// Flag to set to "false", instead of the declared or recorded ones
    #[arg(long = "flag", value_name = "NAME", requires = "emergency")]
    pub flags: Vec<FlagName>,
}

/// Ways back for the pod template as a whole.
#[derive(Debug, Args)]
pub struct Template {
    /// Bring the revision of the pod template before the present one back, with every breaker that is off kept off
    #[arg(long, conflicts_with_all = ["breakers", "emergency", "to"])]
    pub undo: bool,
    /// Restart every pod with the present values
    #[arg(long, conflicts_with_all = ["breakers", "emergency", "to", "undo"])]
    pub restart: bool,
}

#[derive(Debug, Args)]
pub struct SignOff {
    /// What is signed, as the phase file names it
    pub name: SignOffName,
    #[command(flatten)]
    pub write: Write,
}

/// Of `resume` as well.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    pub write: Write,
}

#[derive(Debug, Args)]
pub struct History {
    /// How many entries to show
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub last: usize,
    /// Find entries that were edited, dropped, added or reordered; exit code 3 if there are any
    #[arg(long)]
    pub verify: bool,
}

#[derive(Debug, Args)]
pub struct Why {
    /// Number of the entry, or the beginning of the operation's id; the newest entry if left out
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub struct Write {
    /// Have the API server check the change without storing it
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Completions {
    pub shell: clap_complete::Shell,
}

/// Reasons are kept in an annotation, in the history and in an event.
fn reason(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length <= LONGEST_REASON {
        Ok(text.to_owned())
    } else {
        Err(format!("{length} characters, {LONGEST_REASON} at most: link to the rest"))
    }
}

/// Days as the files write them, and what `jiff` reads.
fn duration(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let parsed = if let Some(days) = days {
        DAY.saturating_mul(days)
    } else {
        let parsed: SignedDuration =
            text.parse().map_err(|_| format!("`{text}` is no duration such as 90s, 30m, 2h or 1d"))?;
        Duration::try_from(parsed).map_err(|_| format!("`{text}` is negative"))?
    };
    if parsed > DAY * LONGEST_DAYS { Err(format!("`{text}` is longer than {LONGEST_DAYS} days")) } else { Ok(parsed) }
}
