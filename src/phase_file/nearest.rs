//! What a misspelt word was probably meant to be.
//!
//! It does not know what the words stand for.

/// A longer word is no misspelling, and comparing it would take long.
const LONGEST: usize = 64;

/// The candidate that `word` is most likely a misspelling of, for "did you mean".
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let tolerated = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (rank(&word, &plain(candidate)), candidate))
        .filter(|((distance, _), candidate)| *distance <= tolerated && *distance < candidate.len())
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// Fewest edits first; of these, letters that only changed places: `p59` is `p95` sooner than `p50`.
fn rank(word: &str, candidate: &str) -> (usize, bool) {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    (strsim::osa_distance(word, candidate), letters(word) != letters(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        for (word, candidates, expected) in [
            ("p59", vec!["p50", "p95", "p99"], Some("p95")),
            ("CB_CAHCE_ENABLED", vec!["CB_HTTP_ENABLED", "CB_CACHE_ENABLED"], Some("CB_CACHE_ENABLED")),
            ("cb_http_enabled", vec!["CB_HTTP_ENABLED"], Some("CB_HTTP_ENABLED")),
            ("error-rate", vec!["stuck_open", "error_rate"], Some("error_rate")),
            ("memory_growth", vec!["error_rate", "stuck_open"], None),
            ("x", vec!["y"], None),
            ("", vec!["a"], None),
            ("cache", vec![], None),
        ] {
            assert_eq!(nearest(word, candidates), expected, "{word}");
        }
    }
}
