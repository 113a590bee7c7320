//! Trying again, for what must get through.

use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Refusal};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Where the server asks for more patience, it gets this much: what must get through asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Repeats `attempt` while its error is transient and the deadline is ahead; `told` hears of every new kind of failure
/// that is followed by another attempt. Being interrupted ends it between two attempts, never inside one.
pub async fn retry<T>(
    deadline: Instant,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
    mut told: impl FnMut(&Error),
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let asked = match error.refusal() {
            Some(Refusal::Api { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let next = Instant::now() + asked.unwrap_or(pause).min(LONGEST_WAIT);
        if !error.is_transient() || next >= deadline {
            return Err(error);
        }
        let cause = error.refusal().map(ToString::to_string);
        if cause != last {
            told(&error);
            last = cause;
        }
        tokio::select! {
            () = &mut *interrupted => return Err(Error::Interrupted { source: Box::new(error) }),
            () = tokio::time::sleep_until(next) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
