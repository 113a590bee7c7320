//! The `freeze:` of `rollout.yaml`: stretches of civil time in a named zone.
//!
//! The zones are those that cbctl carries with it: a file means the same on every machine, also on one without any. It
//! does not know what time it is.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousZoned, TimeZone, TimeZoneDatabase};

use super::error::{Fault, excerpt};
use super::fields::{Fields, list, text};
use super::nearest::nearest;
use super::node::Node;
use crate::rollout::freeze::Freeze;

/// How a moment is written, each digit as 0; a day alone is its midnight.
const FORMS: [&str; 3] = ["0000-00-00", "0000-00-00T00:00", "0000-00-00T00:00:00"];

/// Reads the freezes.
pub fn freezes(node: &Node) -> Result<Vec<Freeze>, Fault> {
    list(node, "freeze")?.iter().map(freeze).collect()
}

fn freeze(node: &Node) -> Result<Freeze, Fault> {
    let fields = Fields::open(node, "a freeze", &["from", "to", "timezone", "reason"])?;
    let (from_node, to_node) = (fields.require("from")?, fields.require("to")?);
    let zone = zone(fields.require("timezone")?)?;
    let (from, to) = (moment(from_node, "from")?, moment(to_node, "to")?);
    if to <= from {
        return Err(Fault::new(to_node.place, "the freeze ends before it begins").label("later than `from`"));
    }
    let reason = fields.get("reason").map(|node| text(node, "a reason").map(str::to_owned)).transpose()?;
    // Of a time that a clock shows twice, or skips, the one with which the freeze is longer.
    Ok(Freeze {
        from: in_zone(from_node, from, &zone, AmbiguousZoned::earlier)?,
        to: in_zone(to_node, to, &zone, AmbiguousZoned::later)?,
        reason,
    })
}

fn moment(node: &Node, field: &str) -> Result<DateTime, Fault> {
    let text = text(node, field)?;
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if !FORMS.contains(&form.as_str()) {
        return Err(Fault::new(node.place, format!("{field} is `{}`, not a day and a time", excerpt(text)))
            .label("write it like 2026-12-20T00:00"));
    }
    text.parse().map_err(|_| no_such(node, text))
}

fn in_zone(
    node: &Node,
    moment: DateTime,
    zone: &TimeZone,
    chosen: fn(AmbiguousZoned) -> Result<Zoned, jiff::Error>,
) -> Result<Zoned, Fault> {
    chosen(zone.to_ambiguous_zoned(moment)).map_err(|_| no_such(node, &moment.to_string()))
}

fn no_such(node: &Node, text: &str) -> Fault {
    Fault::new(node.place, format!("there is no `{}`", excerpt(text))).label("a day of the calendar, up to 23:59:59")
}

fn zone(node: &Node) -> Result<TimeZone, Fault> {
    let text = text(node, "a timezone")?;
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(text)
        && !zone.is_unknown()
    {
        return Ok(zone);
    }
    let names: Vec<_> = zones.available().collect();
    let names = || names.iter().map(|name| name.as_str());
    let is_city = |name: &&str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text));
    Err(Fault::new(node.place, format!("unknown time zone `{}`", excerpt(text)))
        .label("an IANA name, such as Europe/Berlin")
        .did_you_mean(names().find(is_city).or_else(|| nearest(text, names()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase_file::node;

    fn read(from: &str, to: &str, zone: &str) -> Freeze {
        let text = format!("[{{from: {from}, to: {to}, timezone: {zone}}}]");
        node::parse(&text).and_then(|document| freezes(&document)).unwrap().swap_remove(0)
    }

    #[test]
    fn a_freeze_is_as_long_as_the_clock_allows() {
        for (from, to, zone, expected) in [
            ("2026-12-20T00:00", "2027-01-02T06:30:15", "Europe/Berlin", "2026-12-19T23:00:00Z 2027-01-02T05:30:15Z"),
            ("2026-07-01", "2026-07-02", "America/New_York", "2026-07-01T04:00:00Z 2026-07-02T04:00:00Z"),
            ("2026-07-01", "2026-07-02", "UTC", "2026-07-01T00:00:00Z 2026-07-02T00:00:00Z"),
            // The clock shows 02:00 to 03:00 twice.
            ("2026-10-25T02:30", "2026-10-25T02:31", "Europe/Berlin", "2026-10-25T00:30:00Z 2026-10-25T01:31:00Z"),
            // The clock goes from 02:00 to 03:00 at once.
            ("2026-03-29T02:30", "2026-03-29T02:31", "Europe/Berlin", "2026-03-29T00:30:00Z 2026-03-29T01:31:00Z"),
            // The day begins at 01:00.
            ("2024-09-08", "2024-09-09", "America/Santiago", "2024-09-08T03:00:00Z 2024-09-09T03:00:00Z"),
        ] {
            let freeze = read(from, to, zone);
            let (from, to) = (freeze.from.timestamp(), freeze.to.timestamp());
            assert_eq!(format!("{from} {to}"), expected);
            assert_eq!(freeze.to.time_zone().iana_name(), Some(zone));
        }
    }

    #[test]
    fn a_zone_is_one_for_all_machines() {
        assert_eq!(read("2026-07-01", "2026-07-02", "europe/berlin").to.time_zone().iana_name(), Some("Europe/Berlin"));
        for name in ["localtime", "posix/Europe/Berlin", "../zoneinfo/UTC", "Etc/Unknown", "+01:00", "CET-1CEST"] {
            let text = format!("[{{from: 2026-07-01, to: 2026-07-02, timezone: {name}}}]");
            assert!(node::parse(&text).and_then(|document| freezes(&document)).is_err(), "{name}");
        }
    }
}
