//! Being told to stop: Ctrl-C, termination, or a terminal that closes.

use std::pin::Pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes when the process is asked to stop. From the moment it exists such a request no longer kills the process,
/// so that a request in flight is always answered; what waits has to look at it.
pub(super) fn interrupted() -> Pin<Box<dyn Future<Output = ()>>> {
    let mut signals: Vec<Signal> = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .filter_map(|kind| signal(kind).ok())
        .collect();
    Box::pin(std::future::poll_fn(move |context| {
        let asked = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if asked { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}
