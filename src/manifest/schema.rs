//! The JSON Schema of a manifest, from the table of keys: what editors complete and check by.

use serde_json::{Map, Value, json};

use super::keys::{Absent, Key, ROOT, Shape, Table, Text};

/// The schema, in the dialect 2020-12.
pub fn schema() -> Value {
    let mut schema = table(&ROOT);
    if let Value::Object(object) = &mut schema {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("A manifest of perms"));
    }
    schema
}

fn table(table: &Table) -> Value {
    let properties: Map<String, Value> = table.keys.iter().map(|k| (k.name.to_owned(), key(k))).collect();
    let required: Vec<_> =
        table.keys.iter().filter(|k| k.absent == Absent::Required).map(|k| k.name).collect();
    json!({
        "type": "object",
        "description": table.doc,
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn key(key: &Key) -> Value {
    let mut value = shape(&key.shape);
    if let Value::Object(object) = &mut value {
        object.insert("description".into(), json!(key.doc));
    }
    value
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text(t) => text(t),
        Shape::Texts(t) => json!({ "type": "array", "items": text(t) }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Word(words) => json!({ "enum": words.iter().map(|(w, _)| w).collect::<Vec<_>>() }),
        Shape::Mode => json!({ "anyOf": [
            { "type": "string", "pattern": "^([0-7]{3,}|[ugo]=[rwxX]*,[ugo]=[rwxX]*,[ugo]=[rwxX]*)$" },
            { "type": "integer", "minimum": 0, "maximum": 0o7777 },
        ] }),
        Shape::Port => json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
        ] }),
        Shape::Table(t) => table(t),
        Shape::TextOrTable(t, fields) => json!({ "anyOf": [text(t), table(fields)] }),
        Shape::Tables(t) => json!({ "type": "array", "items": table(t) }),
        Shape::Flags(name) => json!({
            "type": "object",
            "propertyNames": text(name),
            "additionalProperties": { "type": "boolean" },
        }),
        Shape::Reasons => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9-]+::[a-z0-9-]+$" },
            "additionalProperties": { "type": "string", "pattern": "\\S" },
        }),
    }
}

fn text(text: &Text) -> Value {
    match text.pattern {
        Some(pattern) => json!({ "type": "string", "pattern": pattern }),
        None => json!({ "type": "string" }),
    }
}
