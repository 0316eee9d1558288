//! What `perms` prints as JSON is as the schemas in docs/schema say.

use serde_json::Value;

/// The schema docs/schema/NAME.schema.json.
#[track_caller]
pub fn read(name: &str) -> Value {
    let path = format!("{}/docs/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Fails where `value` is not as `schema` says; `at` names it in the message.
#[track_caller]
pub fn check(schema: &Value, value: &Value, at: &str) {
    fits(schema, schema, value, at);
}

/// Reads what a command printed as JSON, and fails if it is not as the schema of its `kind` says.
#[track_caller]
pub fn report(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let kind = value["kind"].as_str().expect("a report says what kind it is");
    check(&read(if kind == "audit" { "findings" } else { kind }), &value, kind);
    value
}

/// As much of JSON Schema as our schema uses; a word that is not known fails the test.
fn fits(schema: &Value, root: &Value, value: &Value, at: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                fits(&root["$defs"][name], root, value, at);
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
                let right = rule.as_array().map_or_else(|| is(rule), |list| list.iter().any(is));
                assert!(right, "{at}: {value} is no {rule}");
            }
            // Of objects only: what may be null, too, is none.
            "required" if !value.is_object() => {}
            "required" => {
                for key in rule.as_array().unwrap() {
                    assert!(value.get(key.as_str().unwrap()).is_some(), "{at}: no {key}");
                }
            }
            "properties" => {
                for (key, sub) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        fits(sub, root, inner, &format!("{at}.{key}"));
                    }
                }
            }
            "additionalProperties" => {
                for (key, inner) in value.as_object().into_iter().flatten() {
                    if schema["properties"].get(key).is_none() {
                        assert!(rule.is_object(), "{at}: {key} is not in the schema");
                        fits(rule, root, inner, &format!("{at}.{key}"));
                    }
                }
            }
            "items" => {
                for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                    fits(rule, root, inner, &format!("{at}[{i}]"));
                }
            }
            "const" => assert_eq!(rule, value, "{at}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "minimum" => assert!(value.is_null() || value.as_u64() >= rule.as_u64(), "{at}: {value}"),
            "maximum" => assert!(value.as_u64() <= rule.as_u64(), "{at}: {value}"),
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                assert!(pattern.is_match(value.as_str().unwrap()), "{at}: {value}");
            }
            other => panic!("the schema's `{other}` is not checked here"),
        }
    }
}
