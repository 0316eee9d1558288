//! `[selinux]`: from the spanned tree to [`SelinuxRules`].

use std::collections::HashMap;

use toml::de::DeValue;

use super::model::{BooleanRule, LabelRule, PortProtocol, PortRule, SelinuxRules};
use super::text;
use super::tree::{Reader, Sink};
use super::{keys, lower_store};
use crate::report::codes::manifest as code;
use crate::report::{Diagnostic, Origin, Spanned};

/// `[selinux]` and all below it.
pub(super) fn selinux(sink: &mut Sink, table: &Reader<'_>) -> SelinuxRules {
    let domain = table.text("domain").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "type")));
    let mut booleans = Vec::new();
    for (name, span, value) in table.entries("booleans") {
        let name = sink.value(span, text::selinux_name(name, "boolean"));
        if let (Some(name), Some(value)) = (name, value.get_ref().as_bool()) {
            booleans.push(BooleanRule { name, value });
        }
    }
    let ports = ports(sink, table);
    let labels = labels(sink, table);
    let mut rules = SelinuxRules {
        origin: sink.origin(table.span.clone()),
        domain,
        booleans,
        ports,
        labels,
        nodes: Vec::new(),
        interfaces: Vec::new(),
        logins: Vec::new(),
        permissive: Vec::new(),
        dontaudit: None,
        modules: Vec::new(),
    };
    lower_store::store(sink, table, &mut rules);
    rules
}

fn ports(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<PortRule> {
    let mut rules: Vec<PortRule> = Vec::new();
    for table in selinux.tables("ports", &keys::PORT) {
        let protocol = table.text("protocol").and_then(|(t, _)| protocol(t));
        let range = table.value("port").and_then(|value| match value.get_ref() {
            DeValue::String(t) => sink.value(value.span(), text::ports(t)),
            DeValue::Integer(n) => sink.value(value.span(), text::port_number(n)),
            _ => None,
        });
        let setype = table.text("type").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "type")));
        let (Some(protocol), Some(range), Some(setype)) = (protocol, range, setype) else { continue };
        let (low, high) = range.value;
        rules.push(PortRule { origin: sink.origin(table.span.clone()), protocol, low, high, setype });
    }
    overlaps(sink, &rules);
    rules
}

/// Reports each port that two rules claim. Sorted, so that a long list takes no longer than sorting it.
fn overlaps(sink: &mut Sink, rules: &[PortRule]) {
    let mut sorted: Vec<&PortRule> = rules.iter().collect();
    sorted.sort_by_key(|r| (r.protocol, r.low, r.high));
    let mut widest: Option<&PortRule> = None;
    for rule in sorted {
        match widest {
            Some(other) if other.protocol == rule.protocol && rule.low <= other.high => {
                let (first, second) =
                    if other.origin.start < rule.origin.start { (other, rule) } else { (rule, other) };
                let message = format!("port {} is declared twice", rule.low);
                let d =
                    Diagnostic::new(&code::DUPLICATE_PORT, message, second.origin.clone(), "declared again");
                let line = sink.line(&first.origin);
                sink.push(d.note("first", line));
                if rule.high > other.high {
                    widest = Some(rule);
                }
            }
            _ => widest = Some(rule),
        }
    }
}

fn protocol(word: &str) -> Option<PortProtocol> {
    Some(match word {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        "dccp" => PortProtocol::Dccp,
        _ => return None,
    })
}

fn labels(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<LabelRule> {
    let mut rules = Vec::new();
    let mut seen: HashMap<(String, Option<char>), Origin> = HashMap::new();
    for table in selinux.tables("label", &keys::LABEL) {
        let paths = table.text("paths").and_then(|(t, span)| sink.value(span, text::label_paths(t)));
        let setype = table.text("type").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "type")));
        let level = table.text("level").and_then(|(t, span)| sink.value(span, text::level(t)));
        let files = table
            .text("files")
            .and_then(|(t, span)| Some(Spanned::new(keys::file_letter(t)?, sink.origin(span))));
        let (Some(paths), Some(setype)) = (paths, setype) else { continue };
        let same = (paths.value.clone(), files.as_ref().map(|f| f.value));
        if let Some(first) = seen.get(&same) {
            let message = format!("`{}` is labelled twice", paths.value);
            let d = Diagnostic::new(&code::DUPLICATE_LABEL, message, paths.origin.clone(), "labelled again");
            let line = sink.line(first);
            sink.push(d.note("first", line));
        }
        seen.entry(same).or_insert_with(|| paths.origin.clone());
        rules.push(LabelRule { origin: sink.origin(table.span.clone()), paths, files, setype, level });
    }
    rules
}
