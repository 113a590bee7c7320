//! Quantities as Kubernetes writes them.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const UNITS: [(&str, f64); 15] = [
    ("Ki", 1_024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The number behind `512Mi`, `1G`, `1.5Gi`, `250m` or `1e9`.
pub(super) fn quantity(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.as_str();
    let unit = UNITS.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1.0));
    let value = number.parse::<f64>().ok()? * factor;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one() {
        let of = |text: &str| quantity(&Quantity(text.to_owned()));
        for (text, value) in [
            ("512Mi", 536_870_912.0),
            ("1G", 1e9),
            ("1.5Gi", 1_610_612_736.0),
            ("1e9", 1e9),
            ("1E", 1e18),
            ("250m", 0.25),
            ("1n", 1e-9),
            ("4", 4.0),
            ("0", 0.0),
        ] {
            assert_eq!(of(text), Some(value), "{text}");
        }
        for text in ["", "much", "Mi", "1Xi", "inf", "nan"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
