//! The names that users give to things, each a type of its own so that they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expects:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(format!("`{text}` is not {}", $expects)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// What the user types for a phase.
    PhaseName, "a name of lower-case letters, digits and dashes, 63 at most", is_label
);
name!(
    /// A breaker as the rollout declares it.
    BreakerName, "a name of lower-case letters, digits, dashes and underscores, 63 at most", |text| is_label(&text.replace('_', "-"))
);
name!(
    /// An environment variable of the container.
    FlagName, "the name of an environment variable", is_environment_variable
);
name!(
    /// What somebody has to sign.
    SignOffName, "a name of lower-case letters, digits and dashes, 63 at most", is_label
);

name!(
    /// One of several things that a phase is enabled for, one after the other.
    TargetName, "a name of lower-case letters, digits and dashes, 63 at most", is_label
);

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_environment_variable(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["cache", "cache-2"] {
            assert!(good.parse::<PhaseName>().is_ok(), "{good}");
        }
        for bad in ["", "-cache", "cache-", "Cache", "ca che", "ca\u{1b}che"] {
            assert!(bad.parse::<PhaseName>().is_err(), "{bad:?}");
        }
        assert!("CB_CACHE_ENABLED".parse::<FlagName>().is_ok());
        assert!("1CB".parse::<FlagName>().is_err());
        assert!("partner_api".parse::<BreakerName>().is_ok());
    }
}
