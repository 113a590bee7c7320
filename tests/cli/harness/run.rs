//! One run of the command: how it is started, what is done to it meanwhile, and what is left of it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::future::IntoFuture;
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::proxy::{Journal, Proxy, Seen, summary};
use super::redact::{redact, redact_talk};
use super::{World, until};

/// No command of a test takes that long; a hanging one shall not hold up all others.
const LONGEST: Duration = Duration::from_secs(160);

thread_local! {
    /// What the last command of this test left behind, or has said so far, for a test that waited for another answer in
    /// vain.
    pub static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A command that is not started yet.
pub struct Invocation {
    command: Command,
    journal: Journal,
}

/// A started command.
pub struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: Arc<Mutex<String>>,
    stderr_reader: JoinHandle<()>,
    journal: Journal,
}

/// What a command left behind. Its text form is what snapshots compare.
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    pub requests: Vec<Seen>,
}

impl Invocation {
    pub fn new(world: &World, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cbctl"));
        command.env_clear();
        command.current_dir(world.folder.path()).args(arguments).kill_on_drop(true);
        command.env("HOME", world.folder.path()).env("PATH", "/usr/bin:/bin");
        command.env("KUBECONFIG", world.kubeconfig_for(&world.api.url)).env("CBCTL_PROMETHEUS", &world.prometheus.url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, journal: world.api.journal.clone() }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sees the API server through this proxy.
    pub fn api(mut self, world: &World, proxy: &Proxy) -> Self {
        self.journal = proxy.journal.clone();
        self.env("KUBECONFIG", world.kubeconfig_for(&proxy.url))
    }

    /// Sees Prometheus through this proxy.
    pub fn prometheus(self, proxy: &Proxy) -> Self {
        self.env("CBCTL_PROMETHEUS", &proxy.url)
    }

    /// Its stdout is a pipe that nobody reads.
    pub fn with_closed_stdout(mut self) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command.stdout(Stdio::from(writer));
        self
    }

    /// Runs with a terminal for stdout and stderr, and returns what came to stand on it.
    pub async fn on_a_terminal(mut self) -> String {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let screen = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        self.command.stdout(Stdio::from(screen.try_clone().unwrap())).stderr(Stdio::from(screen));
        let mut child = self.command.spawn().unwrap();
        // The command's side of the terminal has to be closed here for the reading to end.
        drop(self.command);
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            // Linux ends the reading with an error when nobody can write any more.
            let _ = std::fs::File::from(terminal).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        child.wait().await.unwrap();
        reading.await.unwrap()
    }

    pub fn start(mut self) -> Running {
        self.journal.take();
        let mut child = self.command.spawn().unwrap();
        let stdout = child.stdout.take();
        let stdout = tokio::spawn(async move {
            let mut text = String::new();
            if let Some(mut stdout) = stdout {
                stdout.read_to_string(&mut text).await.unwrap();
            }
            text
        });
        let stderr: Arc<Mutex<String>> = Arc::default();
        let (lines, collected) = (BufReader::new(child.stderr.take().unwrap()), stderr.clone());
        let stderr_reader = tokio::spawn(async move {
            let mut lines = lines.lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                collected.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Running { child, stdout, stderr, stderr_reader, journal: self.journal }
    }
}

impl IntoFuture for Invocation {
    type Output = Run;
    type IntoFuture = Pin<Box<dyn Future<Output = Run>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.start().finish().await })
    }
}

impl Running {
    /// Waits until stderr has said this.
    pub async fn says(&self, piece: &str) {
        let what = format!("stderr says `{piece}`");
        until(&what, async || {
            let said = self.stderr.lock().unwrap().clone();
            let found = said.contains(piece);
            LAST.replace(said);
            found.then_some(())
        })
        .await;
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub async fn finish(mut self) -> Run {
        let ended = tokio::time::timeout(LONGEST, self.child.wait()).await;
        let Ok(status) = ended else {
            let so_far = self.stderr.lock().unwrap().clone();
            panic!("the command does not end; so far it said:\n{so_far}");
        };
        let stdout = self.stdout.await.unwrap();
        self.stderr_reader.await.unwrap();
        let stderr = self.stderr.lock().unwrap().clone();
        // A command that was killed has no status of its own.
        let status = status.unwrap().code().unwrap_or(-1);
        let run = Run { status, stdout, stderr, requests: self.journal.take() };
        LAST.replace(format!("{run}\n{}", run.stdout));
        run
    }
}

impl Run {
    /// The same with other words in the place of some, where two answers are right.
    pub fn saying(mut self, found: &str, wanted: &str) -> Self {
        for text in [&mut self.stdout, &mut self.stderr] {
            *text = text.replace(found, wanted);
        }
        self
    }

    /// The one document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is no JSON ({error}):\n{self}"))
    }

    /// What was asked, as it arrived.
    pub fn lines(&self) -> Vec<&str> {
        self.requests.iter().map(|seen| seen.line.as_str()).collect()
    }

    /// What Prometheus was asked, without the verb; each once, in whatever parts the time was asked for.
    pub fn queries(&self) -> Vec<&str> {
        let queries = self.lines().into_iter().filter_map(|line| line.strip_prefix("QUERY "));
        let queries: BTreeSet<&str> = queries.map(|query| query.trim_start_matches("RANGE ")).collect();
        queries.into_iter().collect()
    }

    /// The same without a request that has to be there, and whose place among the others is chance.
    #[track_caller]
    pub fn apart_from(mut self, line: &str) -> Self {
        assert!(self.lines().contains(&line), "`{line}` was not asked:\n{self}");
        self.requests.retain(|seen| seen.line != line);
        self
    }

    /// The requests that could have changed something.
    pub fn writes(&self) -> Vec<&str> {
        self.requests.iter().filter(|seen| seen.writes()).map(|seen| seen.line.as_str()).collect()
    }

    /// The changes that the API server only had to check.
    pub fn dry_runs(&self) -> Vec<&str> {
        assert!(self.writes().is_empty(), "{self}");
        self.lines().into_iter().filter(|line| line.starts_with("DRYRUN")).collect()
    }

    pub fn says(&self, piece: &str) -> bool {
        self.stdout.contains(piece) || self.stderr.contains(piece)
    }

    /// stdout without what is different every time.
    pub fn redacted(&self) -> String {
        redact(&self.stdout)
    }

    /// The lines of stdout with this in them, and the exit code.
    pub fn stdout_with(&self, piece: &str) -> String {
        let stdout = self.redacted();
        let lines: Vec<&str> = stdout.lines().filter(|line| line.contains(piece)).collect();
        format!("{}\n[exit status: {}]", lines.join("\n"), self.status)
    }

    /// Checks how it ended and a piece of what it said, and shows everything if one of them is wrong.
    #[track_caller]
    pub fn expect(&self, status: i32, pieces: &[&str]) {
        assert_eq!(self.status, status, "exit status\n{self}");
        for piece in pieces {
            assert!(
                redact(&self.stdout).contains(piece) || redact(&self.stderr).contains(piece),
                "`{piece}` is not in\n{self}"
            );
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.stdout))?;
        if !self.stderr.is_empty() {
            write!(f, "------- stderr -------\n{}", redact_talk(&self.stderr))?;
        }
        write!(f, "[exit status: {}]", self.status)?;
        if !self.requests.is_empty() {
            write!(f, "\n------- requests -------\n{}", redact(&summary(&self.requests).join("\n")))?;
        }
        Ok(())
    }
}
