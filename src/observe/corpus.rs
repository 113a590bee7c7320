//! Whatever a Prometheus answers, no gate passes and no trigger is quiet on an answer that is not sound.
//!
//! A good world is written down as the bytes that a correct server would answer to the planned queries; each row of a
//! table spoils it in one way, and says which reason every kind of condition has to give. What happens before there are
//! bytes (connections, status codes, headers) is no subject of this.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the numbers of a test are small"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

mod check;
mod edit;
mod kinds;
mod modes_of_data;
mod modes_of_rules;
mod rows_of_bodies;
mod rows_of_counts;
mod rows_of_scrapes;
mod rows_of_series;
mod rows_of_times;
mod rows_of_values;
mod server;
mod table;
mod world;
