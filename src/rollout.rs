//! The rollout: what is declared, where it stands, and what may happen next.
//!
//! Pure: phases, the recorded position, the observed workload and the judgements go in, decisions and plans come out.
//! It does not know how any of them is read, judged, printed or applied.

#[cfg(test)]
mod canary_model_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod requirement_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod undo_tests;

pub mod canary;
pub mod decision;
pub mod declaration;
pub mod emergency;
pub mod exposure;
pub mod freeze;
pub mod gradual;
pub mod history;
pub mod name;
pub mod onward;
pub mod plan;
pub mod pods;
pub mod position;
pub mod progress;
pub mod rehearsal;
pub mod replacement;
pub mod requirement;
pub mod route;
pub mod router;
pub mod sign_off;
pub mod standing;
pub mod template;
pub mod workload;
