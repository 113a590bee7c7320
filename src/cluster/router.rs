//! Stub until the routers land.
use super::{Cluster, Error};
use crate::rollout::router::{Router, Split, Unsplittable, Weights};

impl Cluster {
    pub async fn split(&self, router: &Router) -> Result<Result<Split, Unsplittable>, Error> {
        Ok(Err(Unsplittable::Missing { router: router.object() }))
    }

    pub async fn give_share(&self, _: &Router, _: &Split, _: f64, _: bool) -> Result<(), Error> {
        Ok(())
    }

    pub async fn restore_weights(&self, _: &Router, _: &Split, _: &Weights, _: bool) -> Result<(), Error> {
        Ok(())
    }
}
