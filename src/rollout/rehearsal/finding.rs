//! What can be found in a way back, and what each finding decides.
//!
//! It does not know how any of it is found, nor how it is worded.

use std::time::Duration;

use serde::Serialize;

use super::super::decision::Outcome;
use super::super::name::FlagName;
use super::super::replacement::Course;
use super::super::route::Obstacle;
use super::super::workload::FlagValue;
use super::{Permission, Trial};
use crate::judge::verdict::seconds;

/// Something that was found in the way, or that is good to know before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Finding {
    /// The API server would not take a rollback.
    Refused {
        commands: Vec<String>,
        message: String,
    },
    /// It could not say whether it would.
    Unanswered {
        commands: Vec<String>,
        message: String,
    },
    /// The API server would not take a request about the canary.
    CanaryRefused {
        #[serde(flatten)]
        trial: Trial,
        message: String,
    },
    /// It could not say whether it would.
    CanaryUnanswered {
        #[serde(flatten)]
        trial: Trial,
        message: String,
    },
    NotAllowed {
        permission: Permission,
    },
    /// What there is of a kind could not be seen, so that nothing is known of it.
    Unseen {
        resource: &'static str,
        forbidden: bool,
        message: String,
    },
    /// What holds a promotion up as well.
    Obstacle {
        obstacle: Obstacle,
    },
    /// Not one pod can be started beside the old ones. Even where old ones may go first, the controller tries a pod that
    /// was refused again ever more rarely, so that the way back takes minutes longer than it should.
    NoRoom {
        quota: String,
        resource: String,
    },
    /// A quota has less room than what the canary adds, and a rolling update beside it.
    NoRoomForCanary {
        quota: String,
        resource: String,
        room: u32,
        pods: u32,
        surge: u32,
    },
    /// An autoscaler would change the number of the canary's pods.
    CanaryAutoscaled {
        name: String,
    },
    /// A quota counts what the pods do not ask for: it lets no new one in.
    ShutOut {
        quota: String,
        resource: String,
    },
    /// Fewer pods than the surge can be started beside the old ones.
    LittleRoom {
        quota: String,
        resource: String,
        room: u32,
        surge: u32,
    },
    /// What is applied next switches a breaker on that a rollback has switched off.
    SwitchedOnByApply {
        flag: FlagName,
        value: FlagValue,
        off: String,
    },
    /// What is applied next is not what the promotion leads to.
    TakenBackByApply {
        flags: Vec<FlagName>,
    },
    /// A tool that owns none of the flags now, and might.
    ManagedBy {
        tool: &'static str,
    },
    /// Another rollout controller steers the same Deployment.
    TwoControllers {
        object: String,
    },
    Autoscaled {
        name: String,
        most: u32,
        /// Its figures are of stable and canary pods together.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        counts_canary: bool,
        course: Option<Course>,
    },
    Budget {
        name: String,
        disruptions_allowed: i32,
        /// It counts the canary's pods as well.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        of_canary: bool,
    },
    AllAtOnce,
    TooSlow {
        course: Course,
        #[serde(rename = "within_seconds", serialize_with = "seconds")]
        within: Duration,
    },
    /// No pod tells how long one takes to be ready.
    Unmeasured,
}

impl Finding {
    /// What this one alone would decide; a note lets everything go on.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { .. }
            | Self::CanaryRefused { .. }
            | Self::NoRoomForCanary { .. }
            | Self::CanaryAutoscaled { .. }
            | Self::Unseen { forbidden: true, .. }
            | Self::NoRoom { .. }
            | Self::ShutOut { .. }
            | Self::SwitchedOnByApply { .. }
            | Self::TwoControllers { .. }
            | Self::TooSlow { .. } => Outcome::Held,
            Self::NotAllowed { permission } if !permission.for_history => Outcome::Held,
            Self::Obstacle { obstacle } => match obstacle.passes_with_time() {
                true => Outcome::Inconclusive,
                false => Outcome::Held,
            },
            Self::Unanswered { .. } | Self::CanaryUnanswered { .. } | Self::Unseen { .. } => Outcome::Error,
            Self::Unmeasured => Outcome::Inconclusive,
            Self::NotAllowed { .. }
            | Self::LittleRoom { .. }
            | Self::TakenBackByApply { .. }
            | Self::ManagedBy { .. }
            | Self::Autoscaled { .. }
            | Self::Budget { .. }
            | Self::AllAtOnce => Outcome::Proceed,
        }
    }

    /// Whether it bars the step itself, and not the way back from it.
    pub fn is_of_the_step(&self) -> bool {
        match self {
            Self::CanaryRefused { trial, .. } | Self::CanaryUnanswered { trial, .. } => trial.action.leads_on(),
            Self::NotAllowed { permission } => {
                matches!((permission.verb, permission.resource), ("create", "deployments") | ("get", "pods/proxy"))
            }
            Self::NoRoomForCanary { .. } | Self::CanaryAutoscaled { .. } => true,
            Self::Obstacle { obstacle } => matches!(obstacle, Obstacle::Canary { .. }),
            Self::Refused { .. }
            | Self::Unanswered { .. }
            | Self::Unseen { .. }
            | Self::NoRoom { .. }
            | Self::ShutOut { .. }
            | Self::LittleRoom { .. }
            | Self::SwitchedOnByApply { .. }
            | Self::TakenBackByApply { .. }
            | Self::ManagedBy { .. }
            | Self::TwoControllers { .. }
            | Self::Autoscaled { .. }
            | Self::Budget { .. }
            | Self::AllAtOnce
            | Self::TooSlow { .. }
            | Self::Unmeasured => false,
        }
    }
}
