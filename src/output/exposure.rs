//! How much of the service a canary has, in words.

use super::words::{count, percent};
use crate::rollout::exposure::{CanaryShare, Measured, Uneven};

/// By its pods, by the router, and as measured.
pub fn line(share: &CanaryShare) -> String {
    let routed = match (&share.router, share.routed) {
        (Some(router), Some(routed)) => format!("{} by {router}, ", tenths(routed)),
        (Some(router), None) => format!("unknown by {router}, "),
        (None, _) => String::new(),
    };
    let measured = match share.measured {
        Some(measured) => format!("measured {} of {} requests", tenths(measured.share()), count(measured.all_requests)),
        None => "not measured".to_owned(),
    };
    let (canary, all) = (count(share.canary_pods as u64), count(share.all_pods as u64));
    format!("exposure: {routed}{} by pods ({canary} of {all}), {measured}", tenths(share.by_pods()))
}

/// What is wrong with it, and where to look.
pub fn row(share: &CanaryShare, uneven: Uneven) -> [String; 5] {
    let look = match &share.router {
        Some(router) => format!("look at the weights of {router} and at the Services behind it"),
        None => "look at which Services select its labels, and whether clients keep their connections".to_owned(),
    };
    let (value, limit, bound) = match share.measured {
        Some(measured) => (tenths(measured.share()), expected(&measured), bound(&measured, uneven)),
        None => Default::default(),
    };
    let why = match uneven {
        Uneven::TooGreat => format!("the canary gets far more than its part, {bound}: {look}"),
        Uneven::TooSmall => format!("the canary gets next to no traffic, {bound}: {look}"),
        Uneven::Unseen { others } => format!(
            "no canary pod tells of any request, the others of {}: it gets none or is not scraped; {look}",
            count(others)
        ),
    };
    ["held".to_owned(), "exposure".to_owned(), value, limit, why]
}

fn expected(measured: &Measured) -> String {
    measured.expected.map(|expected| format!("~ {}", tenths(expected))).unwrap_or_default()
}

fn bound(measured: &Measured, uneven: Uneven) -> String {
    let of = format!("{} of {} requests", count(measured.canary_requests), count(measured.all_requests));
    match uneven {
        Uneven::TooGreat => format!("{of}, at least {}", percent(measured.low)),
        Uneven::TooSmall | Uneven::Unseen { .. } => format!("{of}, at most {}", percent(measured.high)),
    }
}

/// A share in percent, to a tenth below ten.
fn tenths(share: f64) -> String {
    percent((share * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::declaration::Exposure;

    fn share(canary_requests: u64, all_requests: u64, uneven: Option<Uneven>) -> CanaryShare {
        let measured = Measured { canary_requests, all_requests, low: 0.0, high: 0.021, expected: Some(1.0 / 11.0) };
        CanaryShare {
            declared: Exposure::Pods(1),
            canary_pods: 1,
            all_pods: 11,
            router: None,
            routed: None,
            measured: Some(measured),
            uneven,
        }
    }

    #[test]
    fn the_share_is_told_by_pods_by_the_router_and_as_measured() {
        let even = share(1_116, 12_400, None);
        assert_eq!(line(&even), "exposure: 9.1% by pods (1 of 11), measured 9% of 12,400 requests");
        let unmeasured = CanaryShare { measured: None, ..even.clone() };
        assert_eq!(line(&unmeasured), "exposure: 9.1% by pods (1 of 11), not measured");
        let routed = CanaryShare { router: Some("httproute/web".into()), routed: Some(0.1), ..even };
        assert!(line(&routed).starts_with("exposure: 10% by httproute/web, 9.1% by pods (1 of 11), measured"));
        let lost = CanaryShare { routed: None, ..routed };
        assert!(line(&lost).starts_with("exposure: unknown by httproute/web, 9.1% by pods"));
    }

    #[test]
    fn an_uneven_share_says_where_to_look() {
        let none = share(0, 12_400, Some(Uneven::TooSmall));
        let [verdict, name, value, limit, why] = row(&none, Uneven::TooSmall);
        assert_eq!([verdict, name, value, limit], ["held", "exposure", "0%", "~ 9.1%"]);
        assert_eq!(
            why,
            "the canary gets next to no traffic, 0 of 12,400 requests, at most 2.1%: look at which Services select its \
             labels, and whether clients keep their connections"
        );
        let unseen = CanaryShare { measured: None, router: Some("ingress/web".into()), ..none };
        let [.., why] = row(&unseen, Uneven::Unseen { others: 5_000 });
        assert!(
            why.contains("the others of 5,000") && why.ends_with("ingress/web and at the Services behind it"),
            "{why}"
        );
    }
}
