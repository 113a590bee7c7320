//! Switching off: one patch for each Deployment and for the canary beside it, all of them at once as far as the bound
//! allows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::order::{Key, Order};
use super::row::{Arrival, Row, Sent, State};
use super::urgency::{FEW, Stop, Urgency};
use crate::cluster::{Beside, Error as ClusterError, Target};
use crate::output::emergency;
use crate::rollout::position::Emergency;

pub(super) struct Sending<'a> {
    pub urgency: &'a Urgency<'a>,
    pub ledger: &'a Ledger,
    pub mark: &'a Emergency,
    pub dry_run: bool,
    pub began: Instant,
    pub waits: bool,
    /// One is told by its name as soon as it is off.
    pub many: bool,
}

impl Sending<'_> {
    /// Sends every order, and looks for the canaries that nobody named. The orders come first: of them it is known that
    /// there is something to switch off, and nothing is read before.
    pub(super) async fn send(&self, orders: Vec<Order>) {
        let named: BTreeSet<Key> = orders.iter().map(Order::key).collect();
        let mains = orders.iter().filter(|order| order.name.is_some());
        let canaries: Vec<Order> =
            mains.map(Order::of_canary).filter(|canary| !named.contains(&canary.key())).collect();
        tokio::join!(
            biased;
            join_all(orders.into_iter().map(|order| self.switch_off(order))),
            self.look_for(canaries),
        );
        self.ledger.complete();
    }

    /// A few are asked for one by one, and many of one namespace by one list.
    async fn look_for(&self, canaries: Vec<Order>) {
        let mut namespaces: BTreeMap<String, Vec<Order>> = BTreeMap::new();
        for canary in canaries {
            namespaces.entry(canary.cluster.namespace.clone()).or_default().push(canary);
        }
        let looks = namespaces.into_values().map(async |canaries| {
            let listed = if canaries.len() > FEW { self.list(&canaries).await } else { None };
            match listed {
                Some(listed) => {
                    let known = canaries.into_iter().zip(listed);
                    let act = |(canary, beside): (_, Result<_, _>)| {
                        self.switch_off_if_marked(canary, beside.map_err(Stop::Failed))
                    };
                    join_all(known.map(act)).await;
                }
                None => {
                    join_all(canaries.into_iter().map(|canary| self.look_and_switch_off(canary))).await;
                }
            }
        });
        join_all(looks).await;
    }

    async fn look_and_switch_off(&self, canary: Order) {
        let look = async || canary.cluster.beside(&canary.deployment, canary.container.as_deref()).await;
        let beside = self.urgency.insist(look).await;
        self.switch_off_if_marked(canary, beside).await;
    }

    /// None where the list cannot be had at once, as without the permission for it: then each is asked for.
    async fn list(&self, canaries: &[Order]) -> Option<Vec<Result<Beside, ClusterError>>> {
        let cluster = &canaries.first()?.cluster;
        let names: Vec<_> =
            canaries.iter().map(|canary| (canary.deployment.as_str(), canary.container.as_deref())).collect();
        let _turn = self.urgency.turn().await.ok()?;
        cluster.beside_all(&names).await.ok()
    }

    async fn switch_off(&self, order: Order) {
        let state = match self.patch(&order).await {
            Ok(sent) => State::Sent(Box::new(sent)),
            Err(stop) => State::Failed(stop),
        };
        self.ledger.add(Row { order, state });
    }

    /// A canary is only one if it is marked as such: of somebody else's Deployment nothing is changed, whatever its
    /// name is.
    async fn switch_off_if_marked(&self, mut canary: Order, beside: Result<Beside, Stop>) {
        let printer = &self.urgency.context.printer;
        match beside {
            Ok(Beside::Nothing) => {}
            Ok(Beside::Stranger) => printer.tell(&emergency::stranger(&canary.deployment)),
            Ok(Beside::Canary { container }) => {
                canary.container = Some(container);
                self.switch_off(canary).await;
            }
            Err(stop) => {
                if let (Stop::Failed(error), false) = (&stop, self.many) {
                    printer.warn(error);
                }
                self.ledger.add(Row { order: canary, state: State::Unknown(stop) });
            }
        }
    }

    async fn patch(&self, order: &Order) -> Result<Sent, Stop> {
        let Order { cluster, deployment, off, .. } = order;
        let container = match &order.container {
            Some(container) => container.clone(),
            None => self.urgency.insist(async || cluster.only_container(deployment).await).await?,
        };
        let switch_off = async || cluster.switch_off(deployment, &container, off, self.mark, self.dry_run).await;
        let applied = self.urgency.insist(switch_off).await?;
        let took = self.began.elapsed();
        if self.waits && !self.many {
            self.urgency.context.printer.tell(&emergency::off(deployment, took));
        }
        let target = Target {
            deployment: deployment.clone(),
            container: Some(container),
            flags: off.keys().cloned().collect(),
            revisions: false,
            beside: false,
            router: None,
        };
        Ok(Sent { target, generation: applied.generation, took, arrival: Arrival::Awaited, last: None, trouble: None })
    }
}
