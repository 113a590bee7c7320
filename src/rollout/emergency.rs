//! An emergency: which of many Deployments are switched off, and when it is over in one of them.
//!
//! It does not know how a Deployment is found, patched or looked at.

use std::collections::BTreeMap;

use super::canary;
use super::declaration::Flags;

/// A Deployment that a label selector found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub deployment: String,
    /// Its pods are marked as those of a canary.
    pub is_canary: bool,
    /// What its own record says of an emergency.
    pub record: Option<Recorded>,
    /// Its container, where it has only one.
    pub only_container: Option<String>,
}

/// The part of a record that an emergency needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub container: String,
    pub off: Flags,
}

/// What to switch off in one Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub deployment: String,
    pub is_canary: bool,
    /// None where that has to be asked.
    pub container: Option<String>,
    pub off: Flags,
}

/// What to switch off in each of the found Deployments: the named flags, else those on its own record, else, in a
/// canary, those on the record of the Deployment that it stands beside. An error is the name of one of which nothing
/// is known.
pub fn choose(listed: &[Listed], named: &Flags, container: Option<&str>) -> Vec<Result<Choice, String>> {
    let records: BTreeMap<&str, &Recorded> =
        listed.iter().filter_map(|found| Some((found.deployment.as_str(), found.record.as_ref()?))).collect();
    let choose = |found: &Listed| {
        let main = canary::beside(&found.deployment).filter(|_| found.is_canary);
        let record = found.record.as_ref().or_else(|| records.get(main?).copied());
        let off = if named.is_empty() { record.map(|record| &record.off) } else { Some(named) };
        let known = container.or(record.map(|record| record.container.as_str())).or(found.only_container.as_deref());
        Ok(Choice {
            deployment: found.deployment.clone(),
            is_canary: found.is_canary,
            container: known.map(str::to_owned),
            off: off.ok_or_else(|| found.deployment.clone())?.clone(),
        })
    };
    listed.iter().map(choose).collect()
}

#[cfg(test)]
mod tests {
    use super::super::name::FlagName;
    use super::super::progress::Goal;
    use super::super::tests::{pod, workload};
    use super::super::workload::{FlagSource, FlagValue, Pod, Replicas, Workload};
    use super::*;

    fn flags(names: &[&str]) -> Flags {
        names.iter().map(|name| (name.parse().unwrap(), "false".to_owned())).collect()
    }

    fn listed(deployment: &str, is_canary: bool, record: Option<&[&str]>) -> Listed {
        let record = record.map(|names| Recorded { container: "web".into(), off: flags(names) });
        Listed { deployment: deployment.into(), is_canary, record, only_container: Some("app".into()) }
    }

    #[test]
    fn flags_and_container_come_from_the_command_line_then_the_record_then_the_record_beside_it() {
        let found = [
            listed("shop", false, Some(&["CB_CACHE"])),
            listed("shop-canary", true, None),
            listed("search", false, None),
            listed("search-canary", true, None),
            listed("cart", false, Some(&["CB_DB"])),
            // Somebody else's, whatever its name is.
            listed("cart-canary", false, None),
        ];
        let told = |choices: Vec<Result<Choice, String>>| -> Vec<String> {
            let flags = |choice: &Choice| choice.off.keys().map(FlagName::as_str).collect::<Vec<_>>().join(" ");
            let line = |choice: Result<Choice, String>| match choice {
                Ok(choice) => format!("{} {} {}", choice.deployment, choice.container.clone().unwrap(), flags(&choice)),
                Err(deployment) => format!("{deployment}: nothing is known"),
            };
            choices.into_iter().map(line).collect()
        };
        assert_eq!(
            told(choose(&found, &Flags::new(), None)),
            [
                "shop web CB_CACHE",
                "shop-canary web CB_CACHE",
                "search: nothing is known",
                "search-canary: nothing is known",
                "cart web CB_DB",
                "cart-canary: nothing is known",
            ]
        );
        let named = told(choose(&found[..3], &flags(&["CB_ALL"]), None));
        assert_eq!(named, ["shop web CB_ALL", "shop-canary web CB_ALL", "search app CB_ALL"]);
        assert_eq!(told(choose(&found[..1], &Flags::new(), Some("main"))), ["shop main CB_CACHE"]);
    }

    #[test]
    fn it_is_over_when_nothing_is_left_that_runs_anything_else() {
        let pod = |value: &str, terminating| Pod {
            terminating,
            flags: [("CB_CACHE".parse().unwrap(), FlagSource::Value(FlagValue::Literal(value.into())))].into(),
            ..pod(&format!("shop-6f7d-{value}"))
        };
        let goal = Goal::Values([("CB_CACHE".parse().unwrap(), FlagValue::Literal("false".into()))].into());
        let seen = |observed_generation, pods: Vec<Pod>| {
            let replicas = Replicas {
                generation: observed_generation,
                observed_generation,
                desired: 1,
                updated: 1,
                available: 1,
                total: 1,
                ..Replicas::default()
            };
            Workload { replicas, pods, ..workload(&[]) }
        };
        assert!(seen(7, vec![pod("false", false)]).has_arrived(7, &goal, true));
        assert!(seen(8, vec![pod("false", false)]).has_arrived(7, &goal, true), "and somebody wrote since");
        assert!(
            !seen(6, vec![pod("false", false)]).has_arrived(7, &goal, true),
            "the controller has not seen the change"
        );
        assert!(!seen(7, vec![pod("false", false), pod("true", false)]).has_arrived(7, &goal, true));
        assert!(!seen(7, vec![pod("false", false), pod("true", true)]).has_arrived(7, &goal, true), "it still runs");
        let canary = Workload { canary: vec![pod("true", false)], ..seen(7, vec![pod("false", false)]) };
        assert!(canary.has_arrived(7, &goal, true) && !canary.with_canary().has_arrived(7, &goal, true));
    }
}
