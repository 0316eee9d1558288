//! The journal as JSON: one object a line (`journalctl -o json`, `json-seq`, `json-sse`).
//!
//! Here the journal says itself that a message came through the kernel's audit socket (`_TRANSPORT`, which no
//! program can write), and of which type and event it is.

use std::io::Write as _;

use serde_json::{Map, Value};

/// What a line of JSON is.
pub(super) enum Json {
    /// An audit record, turned into the line that auditd would have written.
    Record(Vec<u8>),
    /// A message of another kind.
    Other,
    /// An audit record whose message journalctl left out.
    LeftOut,
    /// Not a line of the journal.
    Bad,
}

/// The object of a line: in json-seq it begins with byte 0x1E, in json-sse with `data: `.
pub(super) fn object(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"\x1e").or_else(|| line.strip_prefix(b"data: ")).unwrap_or(line);
    rest.starts_with(b"{").then_some(rest)
}

/// Reads one line.
pub(super) fn to_line(text: &[u8]) -> Json {
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(text) else { return Json::Bad };
    let Some(message) = object.get("MESSAGE").and_then(bytes) else {
        let audit = word(&object, "_TRANSPORT") == Some("audit");
        return match object.contains_key("__CURSOR") {
            true if audit => Json::LeftOut,
            true => Json::Other,
            false => Json::Bad,
        };
    };
    if message.iter().any(|b| matches!(b, b'\n' | 0)) {
        return Json::Other;
    }
    let word = |key: &str| word(&object, key);
    let mut line = Vec::with_capacity(message.len() + 80);
    if let Some(host) = word("_HOSTNAME") {
        line.extend_from_slice(b"node=");
        line.extend_from_slice(host.as_bytes());
        line.push(b' ');
    }
    match word("_TRANSPORT") {
        Some("audit") => {
            let (Some(kind), Some(id)) = (word("_AUDIT_TYPE"), word("_AUDIT_ID")) else { return Json::Other };
            let micros = word("_SOURCE_REALTIME_TIMESTAMP").or_else(|| word("__REALTIME_TIMESTAMP"));
            let Some(micros) = micros.and_then(|m| m.parse::<u64>().ok()) else { return Json::Other };
            let (seconds, ms) = (micros / 1_000_000, micros / 1000 % 1000);
            // The text begins with the type's name.
            let body = match memchr::memchr(b' ', &message) {
                Some(at) => message.get(at + 1..).unwrap_or_default(),
                None => b"",
            };
            let _ = write!(line, "type={kind} msg=audit({seconds}.{ms:03}:{id}): ");
            line.extend_from_slice(body);
            unit(&object, &mut line);
            Json::Record(line)
        }
        Some("kernel") => told(&object, "kernel", &message, None),
        // A program's own message: the object manager of a user's bus writes denials there.
        _ if message.starts_with(b"avc:") => match word("SYSLOG_IDENTIFIER") {
            // A program may call itself `kernel[1]`.
            Some(tag) if is_program(tag) => told(&object, tag, &message, word("_PID")),
            _ => Json::Other,
        },
        _ => Json::Other,
    }
}

/// Whether a tag is one that only programs have.
fn is_program(tag: &str) -> bool {
    !matches!(tag, "kernel" | "audit" | "auditd" | "audispd" | "audisp-syslog")
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(&b))
}

/// The line that syslog would have: time, host, tag, message, and the service.
fn told(object: &Map<String, Value>, tag: &str, message: &[u8], pid: Option<&str>) -> Json {
    let micros = word(object, "__REALTIME_TIMESTAMP").and_then(|micros| micros.parse().ok());
    let stamp = micros.and_then(|m| jiff::Timestamp::from_microsecond(m).ok()).unwrap_or_default();
    let mut line =
        format!("{stamp:.6} {} {tag}", word(object, "_HOSTNAME").unwrap_or("localhost")).into_bytes();
    if let Some(pid) = pid {
        let _ = write!(line, "[{pid}]");
    }
    line.extend_from_slice(b": ");
    line.extend_from_slice(message);
    unit(object, &mut line);
    Json::Record(line)
}

/// Adds the service, as auditd adds names.
fn unit(object: &Map<String, Value>, line: &mut Vec<u8>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@:._-\\".contains(&b);
    let name = ["_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT"].iter().find_map(|key| word(object, key));
    if let Some(name) = name.filter(|n| n.bytes().all(plain)) {
        let _ = write!(line, "\u{1d}UNIT=\"{name}\"");
    }
}

/// A field with a value that fits between spaces.
fn word<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let text = object.get(key)?.as_str()?;
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
}

/// The journal writes what is not UTF-8 as a list of numbers.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(list) => list.iter().map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok())).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_audit_socket_and_the_kernel_are_believed() {
        let line = |text: &str| match to_line(text.as_bytes()) {
            Json::Record(line) => Some(String::from_utf8(line).unwrap()),
            _ => None,
        };
        let audit = r#"{"__CURSOR":"x","_TRANSPORT":"audit","_AUDIT_TYPE":"1400","_AUDIT_ID":"243","_HOSTNAME":"vm",
            "_SOURCE_REALTIME_TIMESTAMP":"1795244087351000","MESSAGE":"AVC avc:  denied  { read }"}"#;
        assert_eq!(
            line(audit).unwrap(),
            "node=vm type=1400 msg=audit(1795244087.351:243): avc:  denied  { read }"
        );
        let forged =
            r#"{"_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"audit","MESSAGE":"AVC avc:  denied  { read }"}"#;
        assert!(line(forged).is_none());
        for tag in ["kernel", "audit", "kernel[1]", "a:"] {
            let forged = format!(
                r#"{{"_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"{tag}","MESSAGE":"avc:  denied  {{ read }}"}}"#
            );
            assert!(line(&forged).is_none(), "{tag}");
        }
        let kernel = r#"{"_TRANSPORT":"kernel","_HOSTNAME":"vm","MESSAGE":"audit: backlog limit exceeded"}"#;
        assert!(line(kernel).unwrap().ends_with(" vm kernel: audit: backlog limit exceeded"));
        let left_out = r#"{"__CURSOR":"x","_TRANSPORT":"audit","_AUDIT_TYPE":"1400","MESSAGE":null}"#;
        assert!(matches!(to_line(left_out.as_bytes()), Json::LeftOut));
        assert!(
            line(
                r#"{"_TRANSPORT":"audit","_AUDIT_TYPE":"1400","_AUDIT_ID":"1","MESSAGE":"AVC a\ntype=AVC"}"#
            )
            .is_none()
        );
        assert!(matches!(to_line(b"{"), Json::Bad));
        assert!(matches!(to_line(b"{}"), Json::Bad));
    }
}
