//! Starting another program and waiting for its end: the only code that does so.
//!
//! It has nothing to read, is in a process group of its own, and what it says is kept in part. When its time is over,
//! or nobody waits for it any more, the whole group is killed. It does not know what the program is for.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// So much of the end of each output is kept, in bytes.
const KEPT: usize = 4_096;
/// How long a program that has ended may keep its outputs open: somebody it left behind may hold them.
const DRAIN: Duration = Duration::from_millis(500);
/// So much of its last line is told, in characters.
const TOLD: usize = 200;
/// What no other program is told.
const SECRETS: [&str; 1] = ["CBCTL_PROMETHEUS_TOKEN"];

/// Why a program was no success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot be started: {0}")]
    Start(std::io::Error),
    #[error("not over within {}s, and killed{}", after.as_secs(), last_line(said))]
    Timeout { after: Duration, said: String },
    #[error("{}{}", ended(*status), last_line(said))]
    Ended { status: ExitStatus, said: String },
    #[error("cannot be waited for: {0}")]
    Wait(std::io::Error),
}

/// A group that is killed when nobody waits for its first process any more.
struct Group {
    child: Child,
}

/// The ends of both outputs.
#[derive(Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// Runs a program with its arguments until it ends; success is an exit with 0.
pub async fn run(command: &[String], environment: &[(&'static str, String)], within: Duration) -> Result<(), Failure> {
    let (name, arguments) = command.split_first().ok_or_else(|| Failure::Start(std::io::ErrorKind::NotFound.into()))?;
    let mut starting = Command::new(name);
    starting.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    for secret in SECRETS {
        starting.env_remove(secret);
    }
    starting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut group = Group { child: starting.spawn().map_err(Failure::Start)? };
    let (output, errors) = (group.child.stdout.take(), group.child.stderr.take());
    let mut said = Said::default();
    let status = {
        let reading = async { tokio::join!(keep(output, &mut said.output), keep(errors, &mut said.errors)) };
        tokio::pin!(reading);
        let mut all_read = false;
        let ended = timeout(within, async {
            loop {
                // A program whose outputs nobody reads comes to a halt.
                tokio::select! {
                    status = group.child.wait() => return status,
                    _ = &mut reading, if !all_read => all_read = true,
                }
            }
        })
        .await;
        if ended.is_err() {
            group.kill();
        }
        if !all_read {
            let _ = timeout(DRAIN, &mut reading).await;
        }
        ended
    };
    match status {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Failure::Ended { status, said: said.last_line() }),
        Ok(Err(source)) => Err(Failure::Wait(source)),
        Err(_) => Err(Failure::Timeout { after: within, said: said.last_line() }),
    }
}

/// Reads to the end, and keeps the last of it.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 1_024];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
}

impl Group {
    /// Only before its first process was waited for: afterwards its number may be somebody else's.
    fn kill(&mut self) {
        let first = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(first) = first {
            // One that has ended meanwhile needs nothing.
            let _ = kill_process_group(first, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Said {
    /// The last line of its errors, or of its output where it has none.
    fn last_line(&self) -> String {
        let last = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
            Some(line.chars().take(TOLD).collect::<String>())
        };
        last(&self.errors).or_else(|| last(&self.output)).unwrap_or_default()
    }
}

fn last_line(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| "killed by a signal".to_owned(), |code| format!("ended with {code}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, within: Duration) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let environment = [("CBCTL_PHASE", "cache".to_owned())];
        runtime.block_on(run(&command, &environment, within)).map_err(|failure| failure.to_string())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn what_a_program_says_last_is_told_if_it_fails() {
        for (script, told) in [
            ("exit 0", Ok(())),
            ("test \"$CBCTL_PHASE\" = cache && test -z \"$CBCTL_PROMETHEUS_TOKEN\"", Ok(())),
            ("read line", Err("ended with 1")),
            ("echo asked; echo no answer >&2; exit 3", Err("ended with 3: no answer")),
            ("echo first; echo last; echo; exit 1", Err("ended with 1: last")),
            ("kill -KILL $$", Err("killed by a signal")),
            ("head -c 200000 /dev/zero | tr '\\0' 'x\\n'; echo; echo end; exit 1", Err("ended with 1: end")),
            ("sleep 60 & exit 0", Ok(())),
        ] {
            assert_eq!(shell(script, LONG), told.map_err(str::to_owned), "{script}");
        }
        let nothing = ["./no-such-program".to_owned()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(matches!(runtime.block_on(run(&nothing, &[], LONG)), Err(Failure::Start(_))));
    }

    #[test]
    fn all_of_it_is_killed_when_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch {}) & echo waiting; sleep 60", mark.display());
        let begun = Instant::now();
        assert_eq!(shell(&script, Duration::from_secs(1)), Err("not over within 1s, and killed: waiting".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_secs(2));
        assert!(!mark.exists(), "what it had started went on");
    }
}
