//! The journal as JSON (`journalctl -o json`): one object a line.
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
    /// Not a line of the journal.
    Bad,
}

/// Reads one line.
pub(super) fn to_line(text: &[u8]) -> Json {
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(text) else { return Json::Bad };
    let Some(message) = object.get("MESSAGE").and_then(bytes) else {
        return if object.contains_key("__CURSOR") { Json::Other } else { Json::Bad };
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
        Some("kernel") => match message.strip_prefix(b"audit: ").unwrap_or(&message) {
            rest if rest.starts_with(b"type=") => {
                let mut whole = b"audit: ".to_vec();
                whole.extend_from_slice(rest);
                Json::Record(whole)
            }
            _ => Json::Other,
        },
        // A program's own message: the object manager of a user's bus writes denials there.
        _ if message.starts_with(b"avc:") => {
            let (Some(tag), Some(micros)) = (word("SYSLOG_IDENTIFIER"), word("__REALTIME_TIMESTAMP")) else {
                return Json::Other;
            };
            let stamp = micros.parse().ok().and_then(|m| jiff::Timestamp::from_microsecond(m).ok());
            let Some(stamp) = stamp else { return Json::Other };
            let mut line =
                format!("{stamp:.6} {} {tag}", word("_HOSTNAME").unwrap_or("localhost")).into_bytes();
            if let Some(pid) = word("_PID") {
                let _ = write!(line, "[{pid}]");
            }
            line.extend_from_slice(b": ");
            line.extend_from_slice(&message);
            unit(&object, &mut line);
            Json::Record(line)
        }
        _ => Json::Other,
    }
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
