//! Takes out of a text what is different every time, so that a snapshot shows the rest.

use std::sync::LazyLock;

use regex::Regex;

/// Applied in this order.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b[0-9a-f]{64}\b", "SEAL"),
        (r"shop-[0-9a-f]{8}", "shop"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        // Pods and the pattern for all of them; two templates may be there at once.
        (r"(storefront|updog)(-canary)?-[0-9a-z]{6,10}-[0-9a-z]{5}\b", "$1$2-POD"),
        (r"(storefront|updog)-([0-9a-z]{6,10}|\([0-9a-z|]+\))-\[a-z0-9\]\{5\}", "$1-PODS"),
        (r#"ReplicaSet "(storefront|updog)-[0-9a-z]+""#, "ReplicaSet \"$1-HASH\""),
        (r#"("resourceVersion": ?)"\d+""#, "$1\"VERSION\""),
        // Times that things take, and ages.
        (r"\babout [\d.]+(ms|s|m)(, \d+(?:s|m|h) at most: \d+ waves? of )[\d.]+(ms|s|m)\b", "about AGE${2}AGE"),
        (r"\babout [\d.]+(ms|s|m), allowed", "about AGE, allowed"),
        (r"\b(done in|failed in|in the deployment in|deployment/\S+ in) [\d.]+(ms|s|m)\b", "$1 AGE"),
        (r"(?m)^((?:off|sent|dry run) +deployment/.*?) +[\d.]+(ms|s)$", "$1   AGE"),
        (r"\b[\d.]+(ms|s|m) of (\d+(?:ms|s|m|h)), [\d.]+(ms|s|m) more", "AGE of $2, AGE more"),
        (r"\b[\d.]+(ms|s|m) of (\d+[hd]), \d+[hd] more", "AGE of $2, AGE more"),
        (r"\bbaked [\d.]+(ms|s|m) of", "baked AGE of"),
        (r"\b[\d.]+(ms|s|m) ago", "AGE ago"),
        (r"\bfor [\d.]+(ms|s|m);", "for AGE;"),
        (r"(?m)((?:complete|canary|baking, step \d of \d) +)[\d.]+(ms|s|m)( {2,})", "${1}AGE$3"),
        // Figures from the traffic.
        (r"[\d,]+ of [\d,]+ requests?", "N of N requests"),
        (r"[\d,]+ of [\d,]+ calls?( failed)?", "N of N calls$1"),
        (r"watched, [\d,]+ calls?", "watched, N calls"),
        (r"(calls[^;\n]*; )[\d.]+% to [\d.]+%", "${1}P to P"),
        (r"(POD: )-?[\d,.]+%(, of which )-?[\d,.]+%", "${1}P${2}P"),
        (r"(POD: )[\d,.]+%(?m:$)", "${1}P"),
        (r"(requests[^;\n]*; )[\d.]+% to [\d.]+%", "${1}P to P"),
        (r"at most [\d.]+%", "at most P"),
        (r"(POD) \([\d.]+%\)", "$1 (P)"),
        (r"( {2,})-?[\d.]+(%|ms|s)( {2,}[<>])", "${1}VALUE$3"),
        // What came since the change may look like bursts.
        (r"; in bursts of [\d.]+", ""),
        // Evidence so far; next to none is not told.
        (r"(over )?[\d,.]+x of (\d+x)", "Nx of $2"),
        (r"(?m)^(quiet .*); Nx of \d+x", "$1"),
        // Columns are as wide as what was taken out.
        (r"(?m)(\S) {3,}", "$1   "),
        (r"(?m)^ {6,}(\S)", "      $1"),
        // Between two attempts to pull an image the kubelet says one, and then the other.
        (r"\b(ErrImagePull|ImagePullBackOff)\b", "IMAGE PULL"),
    ];
    rules.into_iter().map(|(pattern, with)| (Regex::new(pattern).unwrap(), with)).collect()
});

pub fn redact(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

/// How far the pods are goes by in more or fewer steps, or before anybody looks.
static PROGRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\d+ of \d+ pods? runs? the new (values|template).*\n").unwrap());

/// The same of stderr, where alone progress is told.
pub fn redact_talk(text: &str) -> String {
    PROGRESS.replace_all(&redact(text), "").into_owned()
}
