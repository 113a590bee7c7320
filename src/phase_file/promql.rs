//! Whether a piece of `PromQL` is what it has to be, as far as that can be told without asking Prometheus.
//!
//! It does not know what a query is for.

use promql_parser::label::Matcher;
use promql_parser::parser::token::T_EQL_REGEX;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr, VectorSelector};

use super::error::{Fault, Place, excerpt};
use super::nearest::nearest;

/// Longer than any query by hand; the parser needs stack in proportion.
const LONGEST: usize = 4096;
/// What a query may leave to be filled in, and something to try the query with.
const VARIABLES: [(&str, &str); 2] = [("$namespace", "namespace"), ("$pods", "pod")];

/// A query that may return numbers.
pub fn query(text: &str, place: Place) -> Result<Expr, Fault> {
    let query = parse(text, place)?;
    match query.value_type() {
        ValueType::Vector | ValueType::Scalar => Ok(query),
        ValueType::Matrix => {
            Err(Fault::new(place, "a query that returns a range").label("it has to return one number"))
        }
        ValueType::String => Err(Fault::new(place, "a query that returns text").label("it has to return one number")),
    }
}

/// One metric with label matchers and nothing around it.
pub fn selector(text: &str, place: Place) -> Result<(), Fault> {
    // Alternatives are no PromQL of Prometheus, and the pods could not be added to all of them.
    let plain = matches!(
        parse(text, place)?,
        Expr::VectorSelector(VectorSelector { name: Some(_), offset: None, at: None, matchers })
            if matchers.or_matchers.is_empty()
    );
    if plain {
        return Ok(());
    }
    Err(Fault::new(place, format!("`{}` is more than a metric with label matchers", excerpt(text)))
        .label("write it like requests_total{status=~\"5..\"}")
        .hint("the counters are read as they are; rates and sums are made from them later"))
}

pub fn metric_name(text: &str, place: Place) -> Result<(), Fault> {
    name(text, place, "metric", |c| c == '_' || c == ':')
}

pub fn label_name(text: &str, place: Place) -> Result<(), Fault> {
    name(text, place, "label", |c| c == '_')
}

/// A regular expression as label matchers take it.
pub fn pattern(text: &str, place: Place) -> Result<(), Fault> {
    Matcher::new_matcher(T_EQL_REGEX, "label".to_owned(), text.to_owned())
        .map(drop)
        .map_err(|_| Fault::new(place, format!("`{}` is not a regular expression", excerpt(text))))
}

/// Refuses `$pod` and the like, which would be looked for word for word and never be found.
pub fn variables(text: &str, place: Place) -> Result<(), Fault> {
    let names = text.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        format!("${}", &rest[..end])
    });
    let known = VARIABLES.map(|(variable, _)| variable);
    match names.into_iter().find(|name| name.len() > 1 && !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Fault::new(place, format!("unknown variable `{}`", excerpt(&name)))
            .did_you_mean(nearest(&name, known))
            .hint(format!("the variables are {}", known.join(" and ")))),
    }
}

fn parse(text: &str, place: Place) -> Result<Expr, Fault> {
    if text.len() > LONGEST {
        return Err(Fault::new(place, "a query that is too long").label(format!("{LONGEST} characters at most")));
    }
    variables(text, place)?;
    let filled = VARIABLES.iter().fold(text.to_owned(), |text, (variable, value)| text.replace(variable, value));
    parser::parse(&filled)
        .map_err(|reason| Fault::new(place, format!("`{}` is not PromQL: {}", excerpt(text), excerpt(&reason))))
}

fn name(text: &str, place: Place, what: &str, also: fn(char) -> bool) -> Result<(), Fault> {
    let valid = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also(c));
    if valid { Ok(()) } else { Err(Fault::new(place, format!("`{}` is not the name of a {what}", excerpt(text)))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place::START;

    #[test]
    fn queries() {
        for good in ["min(redis_up)", "1", r#"max(x{namespace="$namespace",pod=~"$pods",path!~".*$"})"#, "time()"] {
            assert_eq!(query(good, PLACE).map(drop), Ok(()), "{good}");
        }
        for bad in ["", "min(redis_up", "x[5m]", "x[5m:1m]", "\"text\"", "rate(x)", r#"x{pod=~"$pod"}"#, r#"x{a=~"("}"#]
        {
            assert!(query(bad, PLACE).is_err(), "{bad}");
        }
        assert!(query(&"(".repeat(1_000_000), PLACE).is_err());
        assert!(query(&("-".repeat(4_000) + "x"), PLACE).is_ok());
        assert!(query(&("(".repeat(2_000) + "x" + &")".repeat(2_000)), PLACE).is_ok());
    }

    #[test]
    fn selectors() {
        for good in ["requests_total", r#"requests_total{status=~"5.."}"#] {
            assert_eq!(selector(good, PLACE), Ok(()), "{good}");
        }
        for bad in [
            "sum(x)",
            "rate(x[5m])",
            "x offset 5m",
            "x @ 1",
            "x[5m]",
            "x + y",
            r#"{status="5"}"#,
            r#"x{a="1" or b="2"}"#,
        ] {
            assert!(selector(bad, PLACE).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_patterns() {
        assert!(metric_name("http:requests_total", PLACE).is_ok());
        assert!(metric_name("http-requests", PLACE).is_err());
        assert!(label_name("a:b", PLACE).is_err());
        assert!(pattern(".*(cache|redis).*", PLACE).is_ok());
        assert!(pattern(".*(cache", PLACE).is_err());
    }
}
