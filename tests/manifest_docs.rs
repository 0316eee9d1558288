//! `docs/manifest.md` against the program: its list of keys is the table of keys, and its examples are valid manifests.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

mod support;

use std::path::Path;

use perms::manifest;
use perms::report::{Source, render_diagnostic};
use serde_json::Value;

const DOC: &str = "docs/manifest.md";
const MARK: &str = "<!-- keys: from here on written by WRITE_GOLDEN=1 cargo test --test manifest_docs -->\n";

#[test]
fn the_list_of_keys_is_the_table_of_keys() {
    let doc = std::fs::read_to_string(DOC).unwrap();
    let (written, _) = doc.split_once(MARK).unwrap();
    support::golden(Path::new(DOC), &format!("{written}{MARK}\n{}", manifest::reference::reference()));
}

#[test]
fn every_example_is_a_valid_manifest() {
    let doc = std::fs::read_to_string(DOC).unwrap();
    let examples: Vec<&str> =
        doc.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        let (manifest, diagnostics) = manifest::parse(&Source::new(DOC, example));
        let said: String = diagnostics.iter().map(|d| render_diagnostic::human(d, false)).collect();
        assert!(manifest.is_some() && diagnostics.is_empty(), "{example}\n{said}");
    }
}

#[test]
fn the_schema_has_every_key_and_its_patterns_are_regular_expressions() {
    let schema = manifest::schema();
    let text = schema.to_string();
    for key in ["default_acl", "nopasswd", "booleans", "protocol", "accept"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key}");
    }
    let mut patterns = Vec::new();
    let mut todo = vec![&schema];
    while let Some(value) = todo.pop() {
        if let Some(pattern) = value.get("pattern").and_then(|p| p.as_str()) {
            patterns.push(pattern.to_owned());
        }
        match value {
            serde_json::Value::Object(o) => todo.extend(o.values()),
            serde_json::Value::Array(a) => todo.extend(a),
            _ => {}
        }
    }
    assert!(patterns.len() > 10);
    for pattern in patterns {
        regex::Regex::new(&pattern).unwrap();
    }
}

#[test]
fn the_schema_takes_every_good_manifest_and_refuses_other_shapes() {
    let schema = manifest::schema();
    let refused = |file: &str| -> Option<String> {
        let text = std::fs::read_to_string(Path::new("tests/manifests").join(file)).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let table = toml::de::DeTable::parse(text).unwrap();
        refusal(&schema, &json(&toml::de::DeValue::Table(table.into_inner())))
    };
    for entry in std::fs::read_dir("tests/manifests/good").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".toml") {
            continue; // a module's source
        }
        assert_eq!(refused(&format!("good/{name}")), None, "{name}");
    }
    for name in [
        "unknown-key",
        "missing-key",
        "missing-app",
        "wrong-type",
        "bad-value",
        "bad-name",
        "relative-path",
        "bad-mode",
        "bad-acl-entry",
        "bad-args",
        "bad-port",
        "bad-selinux-name",
        "empty-reason",
    ] {
        assert!(refused(&format!("bad/{name}.toml")).is_some(), "{name}");
    }
}

#[test]
fn the_published_schema_of_manifests_is_that_of_the_program() {
    let schema = serde_json::to_string_pretty(&manifest::schema()).unwrap() + "\n";
    support::golden(Path::new("docs/schema/manifest.schema.json"), &schema);
}

#[test]
fn every_report_of_check_is_as_its_schema_says() {
    let schema =
        serde_json::from_str(&std::fs::read_to_string("docs/schema/check.schema.json").unwrap()).unwrap();
    for path in ["bad", "risky", "good", "none", "bad/contradiction", "bad/not-utf8.toml"] {
        let mut out = Vec::new();
        let path = Path::new("tests/manifests").join(path);
        perms::cli::check::run(&[path], perms::report::Format::Json, false, &mut out).unwrap();
        assert_eq!(refusal(&schema, &serde_json::from_slice(&out).unwrap()), None);
    }
}

/// Why a value does not satisfy a schema: the part of JSON Schema that ours uses.
fn refusal(schema: &Value, value: &Value) -> Option<String> {
    refusal_in(schema, schema, value)
}

/// `root` is where `$ref` looks.
fn refusal_in(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let refusal = |schema: &Value, value: &Value| refusal_in(root, schema, value);
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return refusal(root.pointer(name.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(only) = schema.get("const") {
        return (only != value).then(|| format!("const: {value}"));
    }
    let no = |why: &str| Some(format!("{why}: {value} by {schema}"));
    if let Some(any) = schema.get("anyOf") {
        return any
            .as_array()
            .unwrap()
            .iter()
            .all(|s| refusal(s, value).is_some())
            .then(|| format!("none: {value}"));
    }
    if let Some(words) = schema.get("enum") {
        return if words.as_array().unwrap().contains(value) { None } else { no("enum") };
    }
    let found = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        _ => "integer",
    };
    if schema.get("type").is_some_and(|t| t != found) {
        return no("type");
    }
    match value {
        Value::String(s) => {
            let pattern = schema.get("pattern")?.as_str()?;
            if regex::Regex::new(pattern).unwrap().is_match(s) { None } else { no("pattern") }
        }
        Value::Number(n) => {
            let n = n.as_i64()?;
            let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
            let beyond = bound("minimum").is_some_and(|m| n < m) || bound("maximum").is_some_and(|m| n > m);
            if beyond { no("range") } else { None }
        }
        Value::Array(elements) => elements.iter().find_map(|e| refusal(&schema["items"], e)),
        Value::Object(fields) => {
            let required = schema.get("required").and_then(Value::as_array);
            if required.into_iter().flatten().any(|k| !fields.contains_key(k.as_str().unwrap())) {
                return no("required");
            }
            fields.iter().find_map(|(name, field)| {
                if let Some(s) =
                    schema.get("propertyNames").and_then(|s| refusal(s, &Value::from(name.as_str())))
                {
                    return Some(s);
                }
                match schema
                    .get("properties")
                    .and_then(|p| p.get(name))
                    .or(schema.get("additionalProperties"))
                {
                    Some(Value::Bool(false)) => no(name),
                    Some(s) => refusal(s, field),
                    None => None,
                }
            })
        }
        _ => None,
    }
}

fn json(value: &toml::de::DeValue<'_>) -> Value {
    use toml::de::DeValue;
    match value {
        DeValue::String(s) => Value::from(s.as_ref()),
        DeValue::Integer(n) => Value::from(i64::from_str_radix(n.as_str(), n.radix()).unwrap()),
        DeValue::Boolean(b) => Value::from(*b),
        DeValue::Array(a) => a.iter().map(|v| json(v.get_ref())).collect(),
        DeValue::Table(t) => t.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect(),
        other => Value::from(format!("a {}", other.type_str())),
    }
}
