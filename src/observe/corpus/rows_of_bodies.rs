//! Bodies that are no answers, or answers of another kind.

use serde_json::{Value, json as value};

use super::edit::{bytes, json, text};
use super::kinds::{ALL, ERRORS, FAILURES, INSTANT, LATENCY, MEMORY, STUCK, THROUGHOUT, TRIPS};
use super::table::Row;

pub fn rows() -> Vec<Row> {
    let type_is = |text: &'static str| json(move |answer| answer["data"]["resultType"] = value!(text));
    let result_is = |result: Value| json(move |answer| answer["data"]["result"] = result.clone());
    let with = |name: &'static str, content: Value| json(move |answer| answer[name] = content.clone());
    let without = |name: &'static str| {
        json(move |answer| {
            answer.as_object_mut().unwrap().remove(name);
        })
    };
    let mut rows = vec![
        Row::new("an empty body", text("")).all("Truncated"),
        Row::new("only spaces", text(" \n ")).all("Truncated"),
        Row::new("HTML as JSON", text("<!DOCTYPE html><title>Sign in</title>")).all("Malformed"),
        Row::new("null", text("null")).all("Malformed"),
        Row::new("an empty object", text("{}")).all("Malformed { detail: \"missing field `status`"),
        Row::new("an empty list", text("[]")).all("Malformed"),
        Row::new("a number", text("1")).all("Malformed"),
        Row::new("an error with status 200", text(r#"{"status":"error","errorType":"timeout","error":"timed out"}"#))
            .all("Refused { kind: \"timeout\", detail: \"timed out\" }"),
        Row::new("an error beside good data", with("status", value!("error")))
            .all("Malformed { detail: \"its status is"),
        Row::new("an error that does not say why", text(r#"{"status":"error"}"#))
            .all("Malformed { detail: \"its status is"),
        Row::new("a status that does not exist", with("status", value!("partial")))
            .all("Malformed { detail: \"its status is"),
        Row::new("no status", without("status")).all("Malformed { detail: \"missing field `status`"),
        Row::new("no data", without("data")).all("Malformed { detail: \"the answer has no data\" }"),
        Row::new("data null", with("data", Value::Null)).all("Malformed { detail: \"the answer has no data\" }"),
        Row::new("data a list", with("data", value!([]))).all("Malformed"),
        Row::new("a vector for everything", type_is("vector"))
            .all("WrongResultType { expected: \"matrix\", got: \"vector\" }"),
        Row::new("a matrix for everything", type_is("matrix"))
            .all("WrongResultType { expected: \"vector\", got: \"matrix\" }"),
        Row::new("a scalar that is a list", type_is("scalar"))
            .all("WrongResultType { expected: \"matrix\", got: \"scalar\" }")
            .says(INSTANT, "Malformed { detail: \"a scalar is not a pair\" }"),
        Row::new("a text", type_is("string")).all("WrongResultType"),
        Row::new("streams of a log store", type_is("streams")).all("WrongResultType"),
        Row::new("an empty result", result_is(value!([])))
            .says(ERRORS, "NoSeries { metric: \"requests\" }")
            .says(LATENCY, "NoSeries { metric: \"latency histogram\" }")
            .says(STUCK, "NoSeries { metric: \"breaker state\" }")
            .says(TRIPS, "NoSeries { metric: \"breaker state\" }")
            .says(FAILURES, "NoSeries { metric: \"breaker ")
            .says(MEMORY, "NoSeries { metric: \"memory\" }")
            .says(INSTANT, "NoSeries { metric: \"query\" }")
            .says(THROUGHOUT, "NoSeries { metric: \"query\" }"),
        Row::new("a result that is null", result_is(Value::Null)).all("Malformed { detail: \"the result is no list"),
        Row::new("a result that is an object", result_is(value!({}))).all("Malformed"),
        Row::new("a list of nulls", result_is(value!([null]))).all("Malformed"),
        Row::new("a list of lists", result_is(value!([[1, "2"]]))).all("Malformed"),
        Row::new("a warning", with("warnings", value!(["partial response: a store is down"])))
            .all("Warnings { messages: [\"partial response: a store is down\"] }"),
        Row::new("an allowed warning and another", with("warnings", value!(["known to be harmless", "not this"])))
            .all("Warnings { messages: [\"not this\"] }"),
        Row::new("an allowed warning", with("warnings", value!(["known to be harmless: x"])))
            .harmless(ALL, "the file allows it by name"),
        Row::new("warnings that are a text", with("warnings", value!("partial"))).all("Malformed"),
        Row::new("an information", with("infos", value!(["metric might not be a counter"])))
            .harmless(ALL, "an information is about the query's style, not about its result"),
        Row::new("something after the answer", bytes(|body| [body, b"x".to_vec()].concat())).all("Malformed"),
        Row::new("two answers", bytes(|body| [body.clone(), body].concat())).all("Malformed"),
        Row::new("a byte order mark", bytes(|body| [b"\xef\xbb\xbf".to_vec(), body].concat())).all("Malformed"),
        Row::new("compressed bytes", bytes(|_| b"\x1f\x8b\x08\x00\x00".to_vec())).all("Malformed"),
        Row::new("no UTF-8", bytes(|body| body.into_iter().map(|b| if b == b'p' { 0xff } else { b }).collect()))
            .all("Malformed"),
        Row::new("an answer that is a list of its fields", json(as_list))
            .harmless(ALL, "every field is in its place, and nothing is read that is not there"),
    ];
    for eighths in 1..8 {
        let cut = bytes(move |body| body[..body.len() * eighths / 8].to_vec());
        rows.push(Row::new(format!("broken off after {eighths} of 8 parts"), cut).all("Truncated"));
    }
    rows
}

fn as_list(answer: &mut Value) {
    *answer = value!([answer["status"], answer["data"], null, null, []]);
}
