//! The Prometheus server: the only user of its HTTP client.
//!
//! Owns how a query is sent and how strictly its answer is read: whatever is not exactly what was asked for becomes a
//! named trouble, never a number. It does not know conditions, limits or pods beyond their names.

mod answer;
mod native;
pub mod selector;

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_http_query::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, StatusCode};
use serde::Serialize;

use crate::judge::verdict::{Fault, Gap, Trouble, seconds};

pub use answer::{RawSeries, decode};

/// One deadline for all queries of one look, and for each of them.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How far back the server looks for the value of a moment; its own default of five minutes judges dead data.
const LOOKBACK: &str = "2m";
/// Answers beyond this are not read on: a query that returns more is wrong.
const LARGEST_ANSWER: usize = 32 << 20;

/// A connection to one Prometheus server.
pub struct Prometheus {
    client: Client,
    allowed_warnings: Vec<String>,
}

/// What to ask.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Query {
    /// The value at a moment, in whole seconds.
    Instant { promql: String, at: Timestamp },
    /// The raw samples of a range selector that ends at a moment, in whole seconds.
    Raw { promql: String, at: Timestamp },
    /// Values on a grid from `from` to `to`, in whole seconds both.
    Range {
        promql: String,
        from: Timestamp,
        to: Timestamp,
        #[serde(serialize_with = "seconds")]
        step: Duration,
    },
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub series: Result<Vec<RawSeries>, Trouble>,
    /// How far the server's clock is ahead of ours, by its `Date` header.
    pub clock_offset: Option<SignedDuration>,
}

/// Why there is no connection to make.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("\"{url}\" is not the address of a Prometheus server")]
    Address { url: String },
    #[error("cannot read the Prometheus {what} from {path}")]
    Read {
        what: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the Prometheus {what} in {path} is not valid")]
    Content { what: &'static str, path: String },
    #[error("cannot set up the connection to Prometheus")]
    Setup {
        #[source]
        source: reqwest::Error,
    },
}

/// How to reach and trust the server.
pub struct Access<'a> {
    pub url: &'a str,
    pub ca_file: Option<&'a Path>,
    pub token_file: Option<&'a Path>,
    /// Outranks the file.
    pub token: Option<&'a str>,
}

impl Prometheus {
    pub fn new(access: &Access<'_>, allowed_warnings: Vec<String>) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .timeout(DEADLINE)
            // A redirect leads to a login page, or to a server that nobody declared.
            .redirect(Policy::none());
        if access.url.starts_with("http://") {
            // The system's certificates are read file by file, which takes longer than all queries.
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = access.ca_file {
            let what = "certificate authority";
            let pem = read(what, path)?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|_| Error::Content { what, path: path.display().to_string() })?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(header) = authorization(access)? {
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, header)]));
        }
        let client = builder.build().map_err(|source| Error::Setup { source })?;
        let address = || Error::Address { url: access.url.to_owned() };
        if !access.url.starts_with("http://") && !access.url.starts_with("https://") {
            return Err(address());
        }
        let client = Client::from(client, access.url).map_err(|_| address())?;
        Ok(Self { client, allowed_warnings })
    }

    /// Sends one query and reads its answer.
    pub async fn ask(&self, query: &Query) -> Answer {
        let sent = match query {
            Query::Instant { promql, at } | Query::Raw { promql, at } => {
                self.client.query(promql).at(at.as_second()).query("lookback_delta", LOOKBACK).post_raw().await
            }
            Query::Range { promql, from, to, step } => {
                let range = self.client.query_range(promql, from.as_second(), to.as_second(), step.as_secs_f64());
                range.query("lookback_delta", LOOKBACK).post_raw().await
            }
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Answer { series: Err(transport(&error).into()), clock_offset: None },
        };
        let clock_offset = clock_offset(response.headers());
        let series = match body(response).await {
            Ok(body) => decode(&body, query, &self.allowed_warnings),
            Err(fault) => Err(fault.into()),
        };
        Answer { series, clock_offset }
    }
}

fn authorization(access: &Access<'_>) -> Result<Option<HeaderValue>, Error> {
    let (token, path) = match (access.token, access.token_file) {
        (Some(token), _) => (token.to_owned(), "CBCTL_PROMETHEUS_TOKEN".to_owned()),
        (None, Some(path)) => (read("token", path)?, path.display().to_string()),
        (None, None) => return Ok(None),
    };
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| Error::Content { what: "token", path })?;
    header.set_sensitive(true);
    Ok(Some(header))
}

fn read(what: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { what, path: path.display().to_string(), source })
}

/// Reads the body of a good answer; every other one becomes its own fault.
async fn body(mut response: Response) -> Result<Vec<u8>, Fault> {
    let status = response.status();
    let header = |name: &HeaderName| -> String {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (content_type, location) = (header(&CONTENT_TYPE), header(&LOCATION));
    if status.is_redirection() {
        return Err(Fault::Redirected { location });
    }
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        return Err(Fault::Unauthorized { status: status.as_u16() });
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Fault::TooManyRequests);
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Err(Fault::Malformed {
                    detail: format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20),
                });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) if error.is_timeout() => return Err(Fault::Timeout { after: DEADLINE }),
            Err(_) => return Err(Fault::Truncated),
        }
    }
    if !status.is_success() {
        return Err(answer::refusal(status.as_u16(), &body));
    }
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Fault::NotJson { content_type });
    }
    Ok(body)
}

fn transport(error: &prometheus_http_query::Error) -> Fault {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut detail = String::new();
    while let Some(cause) = source {
        if cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) {
            return Fault::Timeout { after: DEADLINE };
        }
        detail = cause.to_string();
        source = cause.source();
    }
    Fault::Unreachable { detail }
}

#[expect(clippy::disallowed_methods, reason = "a clock can only be compared at the moment of its answer")]
fn clock_offset(headers: &HeaderMap) -> Option<SignedDuration> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(theirs.duration_since(Timestamp::now()))
}

/// One warning that nobody allowed spoils an answer.
fn unallowed(warnings: Vec<String>, allowed: &[String]) -> Result<(), Gap> {
    let messages: Vec<String> =
        warnings.into_iter().filter(|warning| !allowed.iter().any(|text| warning.contains(text))).collect();
    if messages.is_empty() { Ok(()) } else { Err(Gap::Warnings { messages }) }
}
