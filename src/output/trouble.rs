//! Missing evidence and broken answers in words, each with what lifts it.

use super::words::{count, duration, latency, percent, plural, some};
use crate::judge::verdict::{Fault, Gap};

pub fn gap(gap: &Gap) -> String {
    match gap {
        Gap::NoPods => "no pod to judge: the deployment has no replicas".to_owned(),
        Gap::NoPodsInCanary => "no canary pod is there: the events of its deployment say why".to_owned(),
        Gap::RolloutInProgress => "the deployment is still rolling out".to_owned(),
        Gap::WindowNotFull { have, need } => {
            let left = need.saturating_sub(*have);
            format!("{} of {}, {} more", duration(*have), duration(*need), duration(left))
        }
        Gap::NoSeries { metric } if metric == "query" => "the query returns nothing: is the name right?".to_owned(),
        Gap::NoSeries { metric } => format!("no {metric} series of these pods: is the name right, are they scraped?"),
        Gap::MissingPods { metric, pods } => format!("no {metric} from {}", some(pods)),
        Gap::TooFewSamples { metric } => format!("too few {metric} samples to tell the scrape interval"),
        Gap::Stale { metric, pod, age, allowed } => {
            format!("stale: newest {metric} sample of {pod} is {} old, {} allowed", duration(*age), duration(*allowed))
        }
        Gap::Coverage { metric, pod, have, need } => {
            format!("{pod} has {} of the expected {metric} samples, {} needed", percent(*have), percent(*need))
        }
        Gap::BeginsLate { metric, pod, missing } => {
            format!("no {metric} sample of {pod} in the first {}: what happened then is unknown", duration(*missing))
        }
        Gap::SeveralSources { metric, pod, sources } => format!(
            "{metric} of {pod} come from {} and would be counted as often: name one in prometheus.selector",
            plural(*sources, "scrape target")
        ),
        Gap::BreachYoung { have, need } => {
            format!("above the limit for {} of {}", duration(*have), duration(*need))
        }
        Gap::NoBaseline => "no canary runs beside stable pods: there is nothing to compare".to_owned(),
        Gap::BreakerTraffic { have, need } => {
            format!("{} of the {} that would prove something", plural(*have, "call"), count(*need))
        }
        Gap::TripsUnclear { least, most } => {
            format!("between {} and {}: the samples cannot tell", count(*least), plural(*most, "trip"))
        }
        Gap::NoMemoryLimit => "the container has no memory limit".to_owned(),
        Gap::CounterFell { pod } => {
            format!("a counter of {pod} fell, but the pod did not restart: is it scraped by more than one job?")
        }
        Gap::NoTraffic => "no traffic in the window".to_owned(),
        Gap::MoreRequests { have, more: Some(more), about } => {
            let about = about.map(|about| format!(", about {} at today's traffic", duration(about)));
            format!(
                "{} so far, about {} more needed{}",
                plural(*have, "request"),
                count(*more),
                about.unwrap_or_default()
            )
        }
        Gap::MoreRequests { have, more: None, .. } => {
            format!("{} so far prove neither good nor bad", plural(*have, "request"))
        }
        Gap::BetweenBuckets { below, above } => format!(
            "the limit lies between the bucket edges {} and {}: add a bucket there, or use one of them as limit",
            latency(*below),
            latency(*above)
        ),
        Gap::ImpossibleCount { events, requests } => {
            format!(
                "{} events in {} cannot be: check the indicator's counters",
                count(*events),
                plural(*requests, "request")
            )
        }
        Gap::ClockSkew { seconds } => {
            format!(
                "clocks differ by {}: check the time on this machine, the API server and Prometheus",
                plural(seconds.unsigned_abs(), "second")
            )
        }
        Gap::ClockUnknown => "an answer had no date, so that the clocks cannot be compared".to_owned(),
        Gap::Warnings { messages } => {
            format!("Prometheus warns: {} (prometheus.allow_warnings lets it pass)", some(messages))
        }
        Gap::NotANumber => "the value is NaN: is there traffic?".to_owned(),
        Gap::Infinite => "the value is infinite".to_owned(),
        Gap::SeveralSeries { count } => format!("the query returns {count} series, one is needed"),
        Gap::ShortRange { range, interval } => format!(
            "the range [{}] holds fewer than 4 samples of pods that are scraped every {}: make it longer",
            duration(*range),
            duration(*interval)
        ),
        Gap::Interrupted { have, need } => format!("{have} of {need} points: the series was interrupted"),
    }
}

pub fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Unreachable { detail } => format!("Prometheus cannot be reached: {detail}"),
        Fault::Timeout { after } => format!("Prometheus did not answer within {}", duration(*after)),
        Fault::Unauthorized { status } => format!("Prometheus refuses our credentials ({status})"),
        Fault::TooManyRequests => "Prometheus has too many requests (429)".to_owned(),
        Fault::HttpStatus { status, detail } if detail.is_empty() => format!("Prometheus answered {status}"),
        Fault::HttpStatus { status, detail } => format!("Prometheus answered {status}: {detail}"),
        Fault::Redirected { location } => format!("Prometheus redirects to {location}: a login page?"),
        Fault::NotJson { content_type } => {
            format!(
                "the answer is {}, not JSON: is this Prometheus?",
                if content_type.is_empty() { "untyped" } else { content_type }
            )
        }
        Fault::Truncated => "the answer breaks off".to_owned(),
        Fault::Malformed { detail } => format!("the answer makes no sense: {detail}"),
        Fault::Refused { kind, detail } => format!("Prometheus refuses the query: {kind}: {detail}"),
        Fault::WrongResultType { expected, got } => format!("the query returns a {got}, a {expected} is needed"),
        Fault::HistogramSample => "the query returns a histogram, a number is needed".to_owned(),
        Fault::AboveTopBucket { top } => {
            format!("the limit is not below the top bucket edge {}: this could never fail", latency(*top))
        }
        Fault::NotDeclared { indicator } => format!("rollout.yaml does not declare {indicator}"),
    }
}
