//! Looking at what was switched off until every pod runs it, however many Deployments that are.
//!
//! A few are read one by one. Many of one namespace are read by two lists, and the greater the answers are, the longer
//! are the pauses: the API server has something better to do in an emergency.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::settle::Telling;
use super::ledger::Ledger;
use super::order::Key;
use super::row::{Arrival, Row, Sent};
use super::urgency::{FEW, Urgency};
use crate::cluster::{Cluster, Error as ClusterError, Target};
use crate::rollout::progress::Goal;
use crate::rollout::workload::Workload;

/// Between two looks; longer where a look takes long.
const INTERVAL: Duration = Duration::from_millis(500);
/// For each second of looking, so many of pause.
const PAUSES: u32 = 4;

pub(super) struct Verification<'a> {
    urgency: &'a Urgency<'a>,
    ledger: &'a Ledger,
    /// The pods are told whenever they are others.
    tells_pods: bool,
    /// Namespaces in which Deployments may not be listed.
    unlistable: RefCell<BTreeSet<String>>,
}

/// A Deployment that is still on its way.
struct Pending {
    index: usize,
    cluster: Cluster,
    target: Target,
}

/// Of a list that failed everybody has the same error.
type Looked = Result<Workload, Rc<ClusterError>>;

impl<'a> Verification<'a> {
    pub(super) fn new(urgency: &'a Urgency<'a>, ledger: &'a Ledger, tells_pods: bool) -> Self {
        Self { urgency, ledger, tells_pods, unlistable: RefCell::default() }
    }

    /// Looks until everything that is sent has arrived, and says why it stopped before.
    pub(super) async fn verify(&self) -> Option<&'static str> {
        let mut telling = Telling::new(self.urgency.deadline);
        loop {
            let is_complete = self.ledger.is_complete();
            let began = Instant::now();
            // Whoever has something to switch off has asked for a turn before.
            if let Err(why) = self.urgency.turn().await {
                return Some(why);
            }
            let looked = tokio::select! {
                biased;
                why = self.urgency.over() => return Some(why),
                looked = self.look() => looked,
            };
            let is_over = self.ledger.with(|rows| {
                note_all(rows, looked);
                if self.tells_pods {
                    self.tell_pods(rows, &mut telling);
                }
                pending(rows).is_empty()
            });
            if is_over && is_complete {
                return None;
            }
            let pause = INTERVAL.max(began.elapsed() * PAUSES);
            let next = async { if is_over { self.ledger.news().await } else { tokio::time::sleep(pause).await } };
            tokio::select! {
                biased;
                why = self.urgency.over() => return Some(why),
                () = next => {}
            }
        }
    }

    fn tell_pods(&self, rows: &[Row], telling: &mut Telling) {
        let mut spreads = rows.iter().filter_map(Row::spread).peekable();
        let Some(goal) = rows.first().map(|row| row.order.goal()) else { return };
        if spreads.peek().is_some() {
            let readiness = rows.iter().filter_map(|row| row.sent()?.last.as_ref()?.readiness()).max();
            telling.tell(&self.urgency.context.printer, spreads.sum(), &goal, readiness);
        }
    }

    /// One look at everything that is on its way.
    async fn look(&self) -> Vec<(usize, Looked)> {
        let mut namespaces: BTreeMap<String, Vec<Pending>> = BTreeMap::new();
        for pending in self.ledger.with(|rows| pending(rows)) {
            namespaces.entry(pending.cluster.namespace.clone()).or_default().push(pending);
        }
        let looks = namespaces.iter().map(async |(namespace, pending)| {
            if pending.len() <= FEW || self.unlistable.borrow().contains(namespace) {
                return self.one_by_one(pending).await;
            }
            match self.by_lists(pending).await {
                // Whoever may not list may still read.
                Err(ClusterError::ListDeployments { source, .. }) if source.code() == Some(403) => {
                    self.unlistable.borrow_mut().insert(namespace.clone());
                    self.one_by_one(pending).await
                }
                Err(error) => {
                    let error = Rc::new(error);
                    pending.iter().map(|pending| (pending.index, Err(error.clone()))).collect()
                }
                Ok(looked) => looked,
            }
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    async fn one_by_one(&self, pending: &[Pending]) -> Vec<(usize, Looked)> {
        let reads = pending.iter().map(async |pending| {
            // Without a turn all looking is over.
            let _turn = self.urgency.turn().await.ok()?;
            let looked = pending.cluster.read(&pending.target).await;
            Some((pending.index, looked.map(|found| found.workload).map_err(Rc::new)))
        });
        join_all(reads).await.into_iter().flatten().collect()
    }

    async fn by_lists(&self, pending: &[Pending]) -> Result<Vec<(usize, Looked)>, ClusterError> {
        let Some(Pending { cluster, .. }) = pending.first() else { return Ok(Vec::new()) };
        let Ok(_turn) = self.urgency.turn().await else { return Ok(Vec::new()) };
        let targets: Vec<&Target> = pending.iter().map(|pending| &pending.target).collect();
        let looked = cluster.read_all(&targets).await?;
        Ok(pending.iter().zip(looked).map(|(pending, looked)| (pending.index, looked.map_err(Rc::new))).collect())
    }
}

fn pending(rows: &[Row]) -> Vec<Pending> {
    let pending = |(index, row): (usize, &Row)| {
        let sent = row.sent().filter(|sent| sent.arrival == Arrival::Awaited)?;
        Some(Pending { index, cluster: row.order.cluster.clone(), target: sent.target.clone() })
    };
    rows.iter().enumerate().filter_map(pending).collect()
}

fn note_all(rows: &mut [Row], looked: Vec<(usize, Looked)>) {
    let names: BTreeSet<Key> = rows.iter().map(|row| row.order.key()).collect();
    for (index, looked) in looked {
        let row = &mut rows[index];
        // A canary that is switched off here speaks for its own pods; those of any other one count with these.
        let has_own_row = names.contains(&row.order.canary_key());
        let goal = row.order.goal();
        if let Some(sent) = row.sent_mut() {
            note(sent, &goal, looked.map(|seen| if has_own_row { seen } else { seen.with_canary() }));
        }
    }
}

/// What one look says of one Deployment. A passing error ends nothing: the change is made, and only looking tells what
/// became of it.
fn note(sent: &mut Sent, goal: &Goal, looked: Looked) {
    match looked {
        Ok(seen) => {
            if seen.emergency.is_none() {
                sent.arrival = Arrival::Missed("somebody else has changed the rollout since");
            } else if seen.has_arrived(sent.generation, goal, true) {
                sent.arrival = Arrival::Everywhere;
            }
            (sent.last, sent.trouble) = (Some(seen), None);
        }
        Err(error) => {
            if !error.is_transient() {
                sent.arrival = Arrival::Missed("nothing more can be seen of it");
            }
            sent.trouble = Some(error);
        }
    }
}
