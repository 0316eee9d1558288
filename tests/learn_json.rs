//! The JSON of `perms learn` and `perms why` is as docs/schema/learn.schema.json says, over all samples.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

use std::path::PathBuf;

use perms::denials::{Options, input, read};
use perms::learn;
use serde_json::Value;

/// As much of JSON Schema as our schema uses; a word that is not known fails the test.
fn check(schema: &Value, root: &Value, value: &Value, at: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                check(&root["$defs"][name], root, value, at);
            }
            "type" => {
                let is = |t: &Value| match t.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                let fits = rule.as_array().map_or_else(|| is(rule), |list| list.iter().any(is));
                assert!(fits, "{at}: {value} is no {rule}");
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    assert!(value.get(key.as_str().unwrap()).is_some(), "{at}: no {key}");
                }
            }
            "properties" => {
                for (key, sub) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        check(sub, root, inner, &format!("{at}.{key}"));
                    }
                }
            }
            "additionalProperties" => {
                for (key, inner) in value.as_object().unwrap() {
                    if schema["properties"].get(key).is_none() {
                        assert!(rule.is_object(), "{at}: {key} is not in the schema");
                        check(rule, root, inner, &format!("{at}.{key}"));
                    }
                }
            }
            "items" => {
                for (i, inner) in value.as_array().unwrap().iter().enumerate() {
                    check(rule, root, inner, &format!("{at}[{i}]"));
                }
            }
            "const" => assert_eq!(rule, value, "{at}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "minimum" => assert!(value.is_null() || value.as_u64() >= rule.as_u64(), "{at}: {value}"),
            "maximum" => assert!(value.as_u64() <= rule.as_u64(), "{at}: {value}"),
            other => panic!("the schema's `{other}` is not checked here"),
        }
    }
}

#[test]
fn every_report_is_as_the_schema_says() {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string("docs/schema/learn.schema.json").unwrap()).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir("audit-samples").unwrap() {
        let dir = entry.unwrap().path();
        let Some(log) = ["log", "log.gz"].map(|l| dir.join(l)).into_iter().find(|l| l.is_file()) else {
            continue;
        };
        let (sources, _) = input::sources(&[log, PathBuf::from("/nonexistent")]);
        let log = read(&sources, None, Options::default());
        assert_eq!(log.errors.len(), 1);
        let lesson = learn::learn(&log, &[], &learn::Options { name: None, xperms: true });
        let report =
            serde_json::to_value(learn::json::report("learn", &lesson, &[vec!["a.te".into()]])).unwrap();
        check(&schema, &schema, &report, &dir.display().to_string());
        seen += 1;
    }
    assert!(seen > 60);
}
