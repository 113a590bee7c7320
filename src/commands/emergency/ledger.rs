//! What is known so far of every Deployment: the sending adds to it and the verification looks at it, side by side,
//! so that one that does not get through keeps nobody from being verified.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use super::row::{Arrival, Row};

#[derive(Default)]
pub(super) struct Ledger {
    rows: RefCell<Vec<Row>>,
    /// Nothing will be added any more.
    is_complete: Cell<bool>,
    news: Notify,
}

impl Ledger {
    pub(super) fn add(&self, row: Row) {
        self.rows.borrow_mut().push(row);
        self.news.notify_one();
    }

    pub(super) fn complete(&self) {
        self.is_complete.set(true);
        self.news.notify_one();
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.get()
    }

    /// Waits for the next addition, or for the end of them.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Looks at the rows, or changes them; their order stays.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut [Row]) -> T) -> T {
        act(&mut self.rows.borrow_mut())
    }

    /// Everything, once the waiting is over; the reason holds for what has not been seen everywhere by then.
    pub(super) fn close(self, missed: Option<&'static str>) -> Vec<Row> {
        let mut rows = self.rows.into_inner();
        let awaited = rows.iter_mut().filter_map(Row::sent_mut).filter(|sent| sent.arrival == Arrival::Awaited);
        if let Some(why) = missed {
            awaited.for_each(|sent| sent.arrival = Arrival::Missed(why));
        }
        rows
    }
}
