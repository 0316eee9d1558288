//! The headers' texts → the interfaces, each expanded for a domain whose name stands in for any.

use super::m4::M4;
use super::statements::{self, Statements};

/// The domain that interfaces are expanded for; no policy has a type of this name.
pub const DOMAIN: &str = "perms_any_domain";

/// A file of the headers.
#[derive(Debug, Clone)]
pub struct HeaderFile {
    /// Its path beneath the headers' folder: `support/file_patterns.spt`, `services/apache.if`, `build.conf`.
    pub path: String,
    /// What is in it.
    pub text: Vec<u8>,
}

/// An interface of one parameter, the domain.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it says, [`DOMAIN`] in the domain's place.
    pub statements: Statements,
}

/// The interfaces of a host.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// Where they were read from.
    pub folder: String,
    /// How many interfaces there are.
    pub interfaces: usize,
    /// Those of one parameter that can be expanded and are not on their way out.
    pub usable: Vec<Interface>,
    /// Those of one parameter that could not be expanded, each with the reason.
    pub flawed: Vec<(String, String)>,
    /// Files that could not be read, and why.
    pub unread: Vec<String>,
}

impl Headers {
    /// Expands the interfaces of the files, which come as `folder` has them.
    pub fn new(folder: String, mut files: Vec<HeaderFile>, unread: Vec<String>) -> Self {
        // The order of the headers' Makefile: support files by name, then interfaces.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut m4 = M4::default();
        let mut headers = Headers { folder, unread, ..Headers::default() };
        for file in files.iter().filter(|f| f.path == "build.conf") {
            options(&mut m4, &String::from_utf8_lossy(&file.text));
        }
        for extension in [".spt", ".if"] {
            for file in files.iter().filter(|f| f.path.ends_with(extension)) {
                if let Err(flaw) = m4.expand(&file.text) {
                    headers.unread.push(format!("{}: {flaw}", file.path));
                }
            }
        }
        let all: Vec<(String, bool)> = m4
            .interfaces()
            .map(|(name, text)| (String::from_utf8_lossy(name).into_owned(), is_of_one_parameter(text)))
            .collect();
        headers.interfaces = all.len();
        for (name, _) in all.into_iter().filter(|(name, one)| *one && is_name(name)) {
            let expanded = m4.expand(format!("{name}({DOMAIN})").as_bytes());
            if m4.deprecated() {
                continue;
            }
            let parsed = expanded
                .map_err(|e| e.to_string())
                .and_then(|text| statements::parse(&text).map_err(|e| e.to_string()));
            match parsed {
                Ok(statements) => headers.usable.push(Interface { name, statements }),
                Err(reason) => headers.flawed.push((name, reason)),
            }
        }
        headers
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether the text names its first argument and no other.
fn is_of_one_parameter(text: &[u8]) -> bool {
    let mut first = false;
    for (at, _) in text.iter().enumerate().filter(|(_, b)| **b == b'$') {
        match text.get(at + 1..).unwrap_or_default() {
            [b'1', next, ..] if next.is_ascii_digit() => return false,
            [b'1', ..] => first = true,
            [b'2'..=b'9', ..] => return false,
            _ => {}
        }
    }
    first
}

/// What `build.conf` sets, as the headers' Makefile hands it to m4.
fn options(m4: &mut M4, text: &str) {
    for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim_end_matches([' ', '?', ':', '+']).trim_start_matches("override ").trim();
        match (key, value.trim()) {
            ("TYPE", "mls") => m4.set("enable_mls", ""),
            ("TYPE", "mcs") => m4.set("enable_mcs", ""),
            ("DISTRO", name) if is_name(name) && !name.is_empty() => m4.set(&format!("distro_{name}"), ""),
            ("SYSTEMD", "y") => m4.set("init_systemd", ""),
            ("DIRECT_INITRC", "y") => m4.set("direct_sysadm_daemon", ""),
            ("UBAC", "y") => m4.set("enable_ubac", ""),
            _ => {}
        }
    }
}
